//! `destroy`, `regenerate`, `reload`, `save` and `touch`.

use std::sync::Arc;

use axum::{
    Router,
    http::{HeaderMap, StatusCode, Uri, header},
};
use express_session::{
    AdminStore, Error, Options, Store,
    axum::{Session, SessionError},
};

use crate::{
    client::get,
    fixture::{Fixture, Reply, app, nothing},
};

#[tokio::test]
async fn destroy_ends_the_session() {
    let fixture = Fixture::new();
    let app = app(fixture.options(), async |uri: Uri, session: Session| -> Reply {
        if uri.path() == "/logout" {
            session.destroy().await?;
        }
        Ok(session.is_destroyed().to_string())
    });
    let never_was = get("/logout").ok(&app).await;
    assert!(never_was.sets_no_cookie() && never_was.body == "true");

    let first = get("/").ok(&app).await;
    assert_eq!(fixture.sessions().await, 1);
    let logout = get("/logout").cookie_of(&first).ok(&app).await;
    assert!(logout.sets_no_cookie() && logout.body == "true");
    assert_eq!(fixture.sessions().await, 0);
}

#[tokio::test]
async fn regenerate_replaces_the_session() {
    let fixture = Fixture::new();
    let app = app(fixture.options(), async |session: Session| -> Reply {
        let id = session.id();
        session.insert("user", "bob")?;
        session.regenerate().await?;
        Ok(format!("{} {}", session.id() == id, session.keys().len()))
    });
    let first = get("/").ok(&app).await;
    let second = get("/").cookie_of(&first).ok(&app).await;
    assert_eq!(second.body, "false 0");
    assert_ne!(second.cookie().sid(), first.cookie().sid());
    assert!(fixture.record(&first.cookie().sid()).await.is_none());
    assert!(fixture.record(&second.cookie().sid()).await.is_some());
}

#[tokio::test]
async fn reload_takes_what_the_store_has() {
    let fixture = Fixture::new();
    let setting = app(fixture.options(), async |uri: Uri, session: Session| -> Reply {
        session.insert("url", uri.path())?;
        Ok(String::new())
    });
    let other = setting.clone();
    let reloading = app(fixture.options(), move |headers: HeaderMap, session: Session| {
        let other = other.clone();
        async move {
            session.insert("url", "/foo")?;
            get("/bar").header(header::COOKIE, headers[header::COOKIE].to_str().unwrap()).ok(&other).await;
            session.reload().await?;
            Ok::<_, SessionError>(format!("saw {}", session.get::<String>("url")?.unwrap_or_default()))
        }
    });
    let first = get("/").ok(&setting).await;
    let second = get("/foo").cookie_of(&first).ok(&reloading).await;
    assert_eq!(second.body, "saw /bar");
    assert_eq!(fixture.record(&first.cookie().sid()).await.unwrap()["url"], "/bar");
}

/// An app whose handler finds the store emptied, except on `/`.
fn losing(fixture: &Fixture, options: Options, tries: usize) -> Router {
    let memory = Arc::clone(&fixture.memory);
    app(options, move |uri: Uri, session: Session| {
        let memory = Arc::clone(&memory);
        async move {
            session.insert("active", true).unwrap();
            if uri.path() == "/" {
                return (StatusCode::OK, "session created".into());
            }
            memory.clear().await.unwrap();
            let mut answer = String::new();
            for _ in 0..tries {
                let error = session.reload().await.unwrap_err();
                assert!(matches!(error, Error::NotStored));
                answer = error.to_string();
            }
            assert!(session.contains("active"));
            (StatusCode::IM_A_TEAPOT, answer)
        }
    })
}

#[tokio::test]
async fn reload_of_a_session_that_is_gone_is_an_error() {
    let fixture = Fixture::new();
    let app = losing(&fixture, fixture.options(), 1);
    let first = get("/").ok(&app).await;
    let second = get("/foo").cookie_of(&first).send(&app).await;
    assert_eq!((second.status, second.body.as_str()), (StatusCode::IM_A_TEAPOT, "failed to load session"));
}

#[tokio::test]
async fn a_reload_that_fails_again_and_again_leaves_the_session_as_it_is() {
    let fixture = Fixture::new();
    let app = losing(&fixture, fixture.options().resave(false), 20);
    let first = get("/").ok(&app).await;
    fixture.store.take_calls();
    let second = get("/foo").cookie_of(&first).send(&app).await;
    assert_eq!((second.status, second.body.as_str()), (StatusCode::IM_A_TEAPOT, "failed to load session"));
    assert_eq!(fixture.store.take_calls().iter().filter(|verb| **verb == "get").count(), 21);
}

#[tokio::test]
async fn save_writes_at_once() {
    let fixture = Fixture::new();
    let memory = Arc::clone(&fixture.memory);
    let app = app(fixture.options(), move |session: Session| {
        let memory = Arc::clone(&memory);
        async move {
            session.insert("hit", true)?;
            session.save().await?;
            let stored = memory.get(&session.id()).await.unwrap();
            Ok::<_, SessionError>(if stored.is_some() { "stored" } else { "empty" })
        }
    });
    assert_eq!(get("/").ok(&app).await.body, "stored");
}

/// Marks the session and saves it.
async fn save(session: Session) -> Reply {
    session.insert("hit", true)?;
    session.save().await?;
    Ok("saved".into())
}

async fn each_request_writes_once(fixture: &Fixture, app: &Router) {
    let first = get("/").ok(app).await;
    assert_eq!((first.body.as_str(), fixture.sets()), ("saved", 1));
    let second = get("/").cookie_of(&first).ok(app).await;
    assert_eq!((second.body.as_str(), fixture.sets()), ("saved", 1));
}

#[tokio::test]
async fn what_was_saved_is_not_saved_again_at_the_end() {
    let fixture = Fixture::new();
    each_request_writes_once(&fixture, &app(fixture.options(), save)).await;
}

#[tokio::test]
async fn what_was_reloaded_and_saved_is_not_saved_again_at_the_end() {
    let fixture = Fixture::new();
    let app = app(fixture.options(), async |session: Session| -> Reply {
        session.insert("hit", true)?;
        // A new session is not in the store yet.
        let is_new = session.is_new();
        assert_eq!(session.reload().await.is_err(), is_new);
        session.save().await?;
        Ok("saved".into())
    });
    each_request_writes_once(&fixture, &app).await;
}

#[tokio::test]
async fn without_save_uninitialized_what_was_saved_is_not_saved_again_at_the_end() {
    let fixture = Fixture::new();
    each_request_writes_once(&fixture, &app(fixture.options().save_uninitialized(false), save)).await;
}

#[tokio::test]
async fn touch_gives_the_session_its_whole_lifetime_again() {
    let fixture = Fixture::new();
    let app = app(fixture.options().resave(false), async |session: Session| -> Reply {
        session.insert("hit", true)?;
        session.touch()?;
        Ok(session.cookie_json())
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
#[tokio::test]
async fn the_end_of_a_request_touches_by_itself() {
    let fixture = Fixture::new();
    let app = app(fixture.options().resave(false), nothing);
    let first = get("/").ok(&app).await;
    fixture.time.pass(100);
    get("/").cookie_of(&first).ok(&app).await;
    let record = fixture.record(&first.cookie().sid()).await.unwrap();
    assert_eq!(record["cookie"]["expires"], "2026-01-02T03:05:05.778Z");
}
