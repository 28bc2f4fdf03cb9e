//! `destroy`, `regenerate`, `reload`, `save` and `touch`.

use std::sync::Arc;

use express_session::{AdminStore, Error, Options, Store};
use tokio::sync::Notify;

use crate::{
    adapters::{Adapter, App, Page, Reply, Visit, app, on_each_adapter},
    client::get,
    fixture::{Fixture, nothing},
};

async fn destroy_ends_the_session(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = app(adapter, fixture.options(), async |visit: Visit| -> Reply {
        if visit.path == "/logout" {
            visit.destroy().await?;
        }
        Ok(visit.is_destroyed().to_string())
    });
    let never_was = get("/logout").ok(&app).await;
    assert!(never_was.sets_no_cookie() && never_was.body == "true");

    let first = get("/").ok(&app).await;
    assert_eq!(fixture.sessions().await, 1);
    let logout = get("/logout").cookie_of(&first).ok(&app).await;
    assert!(logout.sets_no_cookie() && logout.body == "true");
    assert_eq!(fixture.sessions().await, 0);
}

async fn regenerate_replaces_the_session(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = app(adapter, fixture.options(), async |visit: Visit| -> Reply {
        let id = visit.id().unwrap();
        visit.insert("user", "bob")?;
        visit.regenerate().await?;
        Ok(format!("{} {}", visit.id().unwrap() == id, visit.keys().len()))
    });
    let first = get("/").ok(&app).await;
    let second = get("/").cookie_of(&first).ok(&app).await;
    assert_eq!(second.body, "false 0");
    assert_ne!(second.cookie().sid(), first.cookie().sid());
    assert!(fixture.record(&first.cookie().sid()).await.is_none());
    assert!(fixture.record(&second.cookie().sid()).await.is_some());
}

async fn reload_takes_what_the_store_has(adapter: Adapter) {
    let fixture = Fixture::new();
    let (arrived, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (here, on) = (Arc::clone(&arrived), Arc::clone(&go_on));
    let app = app(adapter, fixture.options(), move |visit: Visit| {
        let (here, on) = (Arc::clone(&here), Arc::clone(&on));
        async move {
            visit.insert("url", &visit.path)?;
            if visit.path == "/foo" {
                here.notify_one();
                on.notified().await;
                visit.reload().await?;
            }
            Ok(format!("saw {}", visit.get::<String>("url")?.unwrap_or_default()))
        }
    });
    let first = get("/").ok(&app).await;
    let meanwhile = async {
        arrived.notified().await;
        assert_eq!(get("/bar").cookie_of(&first).ok(&app).await.body, "saw /bar");
        go_on.notify_one();
    };
    let (second, ()) = tokio::join!(get("/foo").cookie_of(&first).ok(&app), meanwhile);
    assert_eq!(second.body, "saw /bar");
    assert_eq!(fixture.record(&first.cookie().sid()).await.unwrap()["url"], "/bar");
}

/// An app whose handler finds the store emptied, except on `/`.
fn losing(adapter: Adapter, fixture: &Fixture, options: Options, tries: usize) -> App {
    let memory = Arc::clone(&fixture.memory);
    app(adapter, options, move |visit: Visit| {
        let memory = Arc::clone(&memory);
        async move {
            visit.insert("active", true).unwrap();
            if visit.path == "/" {
                return Ok("session created".into());
            }
            memory.clear().await.unwrap();
            let mut answer = String::new();
            for _ in 0..tries {
                let error = visit.reload().await.unwrap_err();
                assert!(matches!(error, Error::NotStored));
                answer = error.to_string();
            }
            assert!(visit.contains("active"));
            Ok(Page::from(answer).status(418))
        }
    })
}

async fn reload_of_a_session_that_is_gone_is_an_error(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = losing(adapter, &fixture, fixture.options(), 1);
    let first = get("/").ok(&app).await;
    let second = get("/foo").cookie_of(&first).send(&app).await;
    assert_eq!((second.status, second.body.as_str()), (418, "failed to load session"));
}

async fn a_reload_that_fails_again_and_again_leaves_the_session_as_it_is(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = losing(adapter, &fixture, fixture.options().resave(false), 20);
    let first = get("/").ok(&app).await;
    fixture.store.take_calls();
    let second = get("/foo").cookie_of(&first).send(&app).await;
    assert_eq!((second.status, second.body.as_str()), (418, "failed to load session"));
    assert_eq!(fixture.store.take_calls().iter().filter(|verb| **verb == "get").count(), 21);
}

async fn save_writes_at_once(adapter: Adapter) {
    let fixture = Fixture::new();
    let memory = Arc::clone(&fixture.memory);
    let app = app(adapter, fixture.options(), move |visit: Visit| {
        let memory = Arc::clone(&memory);
        async move {
            visit.insert("hit", true)?;
            visit.save().await?;
            let stored = memory.get(&visit.id().unwrap()).await.unwrap();
            Ok(if stored.is_some() { "stored" } else { "empty" })
        }
    });
    assert_eq!(get("/").ok(&app).await.body, "stored");
}

/// Marks the session and saves it.
async fn save(visit: Visit) -> Reply {
    visit.insert("hit", true)?;
    visit.save().await?;
    Ok("saved".into())
}

async fn each_request_writes_once(fixture: &Fixture, app: &App) {
    let first = get("/").ok(app).await;
    assert_eq!((first.body.as_str(), fixture.sets()), ("saved", 1));
    let second = get("/").cookie_of(&first).ok(app).await;
    assert_eq!((second.body.as_str(), fixture.sets()), ("saved", 1));
}

async fn what_was_saved_is_not_saved_again_at_the_end(adapter: Adapter) {
    let fixture = Fixture::new();
    each_request_writes_once(&fixture, &app(adapter, fixture.options(), save)).await;
}

async fn what_was_reloaded_and_saved_is_not_saved_again_at_the_end(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = app(adapter, fixture.options(), async |visit: Visit| -> Reply {
        visit.insert("hit", true)?;
        // A new session is not in the store yet.
        let is_new = visit.is_new();
        assert_eq!(visit.reload().await.is_err(), is_new);
        visit.save().await?;
        Ok("saved".into())
    });
    each_request_writes_once(&fixture, &app).await;
}

async fn without_save_uninitialized_what_was_saved_is_not_saved_again_at_the_end(adapter: Adapter) {
    let fixture = Fixture::new();
    each_request_writes_once(&fixture, &app(adapter, fixture.options().save_uninitialized(false), save))
        .await;
}

async fn touch_gives_the_session_its_whole_lifetime_again(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = app(adapter, fixture.options().resave(false), async |visit: Visit| -> Reply {
        visit.insert("hit", true)?;
        visit.touch()?;
        Ok(visit.cookie_json())
    });
    let first = get("/").ok(&app).await;
    let expires = async || fixture.record(&first.cookie().sid()).await.unwrap()["cookie"]["expires"].clone();
    assert_eq!(expires().await, "2026-01-02T03:05:05.678Z");
    fixture.time.pass(100);
    let second = get("/").cookie_of(&first).ok(&app).await;
    assert_eq!(expires().await, "2026-01-02T03:05:05.778Z");
    assert!(second.body.contains("2026-01-02T03:05:05.778Z"), "{}", second.body);
}

/// Every response with a session touches it, so that nobody has to call `touch`.
async fn the_end_of_a_request_touches_by_itself(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = app(adapter, fixture.options().resave(false), nothing);
    let first = get("/").ok(&app).await;
    fixture.time.pass(100);
    get("/").cookie_of(&first).ok(&app).await;
    let record = fixture.record(&first.cookie().sid()).await.unwrap();
    assert_eq!(record["cookie"]["expires"], "2026-01-02T03:05:05.778Z");
}

on_each_adapter!(
    destroy_ends_the_session,
    regenerate_replaces_the_session,
    reload_takes_what_the_store_has,
    reload_of_a_session_that_is_gone_is_an_error,
    a_reload_that_fails_again_and_again_leaves_the_session_as_it_is,
    save_writes_at_once,
    what_was_saved_is_not_saved_again_at_the_end,
    what_was_reloaded_and_saved_is_not_saved_again_at_the_end,
    without_save_uninitialized_what_was_saved_is_not_saved_again_at_the_end,
    touch_gives_the_session_its_whole_lifetime_again,
    the_end_of_a_request_touches_by_itself,
);
