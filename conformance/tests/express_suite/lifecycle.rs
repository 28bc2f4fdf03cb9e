//! From the request's cookie to the stored record and back.

use std::{any::type_name, sync::Arc};

use express_session::{Error, MemoryStore, Options, RequestInfo, Store};

use crate::{
    adapters::{Adapter, Page, Reply, Visit, app, on_each_adapter},
    client::get,
    fixture::{Fixture, hits, nothing, numbering, options},
    stores::{Faulty, TextStore},
};

#[test]
fn session_store_and_memory_store_are_public() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    assert!(format!("{store:?}").starts_with("MemoryStore"));
    assert!(type_name::<express_session::SessionHandle>().ends_with("SessionHandle"));
}

async fn a_session_layer_below_another_does_nothing(adapter: Adapter) {
    let app = app(adapter, options(), hits).twice();
    let first = get("/").ok(&app).await;
    assert_eq!(first.cookies().len(), 1);
    assert_eq!(get("/").cookie_of(&first).ok(&app).await.body, "hits: 2");
}

#[test]
fn options_without_a_secret_are_refused() {
    let error = Options::express("").build().unwrap_err();
    assert_eq!(error.option(), "secret");
}

async fn a_visitor_without_a_cookie_gets_a_session(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = app(adapter, fixture.options(), async |visit: Visit| -> Reply {
        visit.insert("active", true)?;
        Ok("session active".into())
    });
    let answer = get("/").ok(&app).await;
    assert_eq!(answer.body, "session active");
    assert_eq!(answer.cookie().name, "connect.sid");
    assert_eq!(fixture.sessions().await, 1);
    assert_eq!(fixture.record(&answer.cookie().sid()).await.unwrap()["active"], true);
}

async fn the_session_of_the_cookie_is_loaded(adapter: Adapter) {
    let app = numbering(adapter, options());
    let first = get("/").ok(&app).await;
    assert_eq!(first.body, "session 1");
    assert_eq!(get("/").cookie_of(&first).ok(&app).await.body, "session 1");
    assert_eq!(get("/").ok(&app).await.body, "session 2");
}

async fn a_store_that_cannot_read_is_an_opaque_503(adapter: Adapter) {
    let store = Arc::new(Faulty::default());
    let app = app(adapter, options().store(Arc::clone(&store)), async |_: Visit| Ok("hello, world"));
    let first = get("/").ok(&app).await;
    assert_eq!(first.body, "hello, world");
    store.break_down(&["get"]);
    assert!(get("/").cookie_of(&first).send(&app).await.is_opaque(503));
}

async fn what_the_store_does_not_find_is_a_new_session(adapter: Adapter) {
    let store = Arc::new(TextStore::default());
    let app = numbering(adapter, options().store(Arc::clone(&store)));
    let first = get("/").ok(&app).await;
    store.find_nothing();
    assert_eq!(get("/").cookie_of(&first).ok(&app).await.body, "session 2");
}

async fn every_visitor_has_a_session_of_its_own(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = numbering(adapter, fixture.options());
    let (one, other) = tokio::join!(get("/").ok(&app), get("/").ok(&app));
    assert_ne!(one.cookie().sid(), other.cookie().sid());
    assert_ne!(one.body, other.body);
    assert_eq!(fixture.sessions().await, 2);
}

/// No server hands on a request without a path, but an adapter might.
#[tokio::test]
async fn an_empty_url_counts_as_the_root() {
    let sessions = options().build().unwrap();
    let exchange = sessions.exchange();
    let session = exchange.session(&RequestInfo::new("", false, &|_| {})).await.unwrap();
    assert!(session.is_some_and(|session| session.is_new()));
    assert_eq!(exchange.end().await.unwrap().len(), 1);
}

async fn a_response_without_a_body_is_like_any_other(adapter: Adapter) {
    let fixture = Fixture::new();
    let answer = get("/").ok(&app(adapter, fixture.options(), nothing)).await;
    assert_eq!(answer.body, "");
    assert!(fixture.record(&answer.cookie().sid()).await.is_some());
}

async fn reserved_names_in_a_stored_record_do_no_harm(adapter: Adapter) {
    let store = Arc::new(TextStore::default());
    let app = numbering(adapter, options().store(Arc::clone(&store)));
    let first = get("/").ok(&app).await;
    let sid = first.cookie().sid();
    let text = store.text(&sid).unwrap();
    store.put(&sid, &text.replace(r#""num":1"#, r#""num":1,"save":"nope","constructor":1"#));
    assert_eq!(get("/").cookie_of(&first).ok(&app).await.body, "session 1");
}

async fn reserved_names_cannot_be_set(adapter: Adapter) {
    let app = app(adapter, options(), async |visit: Visit| -> Reply {
        let reserved =
            ["cookie", "id", "req", "save", "reload", "destroy", "regenerate", "touch", "constructor"];
        let refused = |name: &&str| matches!(visit.insert(name, 1), Err(Error::ReservedKey(_)));
        Ok(reserved.iter().filter(|name| refused(name)).count().to_string())
    });
    assert_eq!(get("/").ok(&app).await.body, "9");
}

async fn a_record_is_the_cookie_and_the_data_and_nothing_else(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = app(adapter, fixture.options(), async |visit: Visit| -> Reply {
        visit.insert("test1", 1)?;
        visit.insert("test2", "b")?;
        Ok(visit.keys().join(","))
    });
    let answer = get("/").ok(&app).await;
    assert_eq!(answer.body, "test1,test2");
    let record = fixture.record(&answer.cookie().sid()).await.unwrap();
    let mut members: Vec<_> = record.as_object().unwrap().keys().cloned().collect();
    members.sort();
    assert_eq!(members, ["cookie", "test1", "test2"]);
}

/// The expiry is that of the moment when the head went out, and the next response moves it.
async fn a_slow_body_does_not_keep_the_expiry_from_moving(adapter: Adapter) {
    let fixture = Fixture::new();
    let time = fixture.time.clone();
    let app = app(adapter, fixture.options().rolling(true), move |visit: Visit| {
        let time = time.clone();
        async move {
            visit.insert("user", "bob")?;
            Ok(Page::parts(["hello, ", "world!"].into_iter().inspect(move |_| time.pass(200))))
        }
    });
    let first = get("/").ok(&app).await;
    assert_eq!(first.body, "hello, world!");
    assert_eq!(first.cookie().attribute("Expires"), Some("Fri, 02 Jan 2026 03:05:05 GMT"));
    fixture.time.pass(1000);
    let second = get("/").cookie_of(&first).ok(&app).await;
    assert_eq!(second.cookie().attribute("Expires"), Some("Fri, 02 Jan 2026 03:05:07 GMT"));
}

on_each_adapter!(
    a_session_layer_below_another_does_nothing,
    a_visitor_without_a_cookie_gets_a_session,
    the_session_of_the_cookie_is_loaded,
    a_store_that_cannot_read_is_an_opaque_503,
    what_the_store_does_not_find_is_a_new_session,
    every_visitor_has_a_session_of_its_own,
    a_response_without_a_body_is_like_any_other,
    reserved_names_in_a_stored_record_do_no_harm,
    reserved_names_cannot_be_set,
    a_record_is_the_cookie_and_the_data_and_nothing_else,
    a_slow_body_does_not_keep_the_expiry_from_moving,
);
