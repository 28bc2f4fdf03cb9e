//! From the request's cookie to the stored record and back.

use std::{any::type_name, sync::Arc};

use axum::{Router, body::Body, response::Response};
use express_session::{
    Error, MemoryStore, Options, RequestInfo, Store,
    axum::{Session, SessionLayer},
};
use futures_util::{StreamExt, stream};

use crate::{
    client::get,
    fixture::{Fixture, Reply, app, hits, nothing, numbering, options},
    stores::{Faulty, TextStore},
};

#[test]
fn session_store_and_memory_store_are_public() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    assert!(format!("{store:?}").starts_with("MemoryStore"));
    assert!(type_name::<express_session::Session>().ends_with("Session"));
}

#[tokio::test]
async fn a_session_layer_below_another_does_nothing() {
    let layer = || SessionLayer::new(options()).unwrap();
    let app = Router::new().fallback(hits).layer(layer()).layer(layer());
    let first = get("/").ok(&app).await;
    assert_eq!(first.cookies().len(), 1);
    assert_eq!(get("/").cookie_of(&first).ok(&app).await.body, "hits: 2");
}

#[test]
fn options_without_a_secret_are_refused() {
    let error = SessionLayer::new(Options::express("")).unwrap_err();
    assert_eq!(error.option(), "secret");
}

#[tokio::test]
async fn a_visitor_without_a_cookie_gets_a_session() {
    let fixture = Fixture::new();
    let app = app(fixture.options(), async |session: Session| -> Reply {
        session.insert("active", true)?;
        Ok("session active".into())
    });
    let answer = get("/").ok(&app).await;
    assert_eq!(answer.body, "session active");
    assert_eq!(answer.cookie().name, "connect.sid");
    assert_eq!(fixture.sessions().await, 1);
    assert_eq!(fixture.record(&answer.cookie().sid()).await.unwrap()["active"], true);
}

#[tokio::test]
async fn the_session_of_the_cookie_is_loaded() {
    let app = numbering(options());
    let first = get("/").ok(&app).await;
    assert_eq!(first.body, "session 1");
    assert_eq!(get("/").cookie_of(&first).ok(&app).await.body, "session 1");
    assert_eq!(get("/").ok(&app).await.body, "session 2");
}

#[tokio::test]
async fn a_store_that_cannot_read_is_an_opaque_500() {
    let store = Arc::new(Faulty::default());
    let app = app(options().store(Arc::clone(&store)), async || "hello, world");
    let first = get("/").ok(&app).await;
    assert_eq!(first.body, "hello, world");
    store.break_down(&["get"]);
    assert!(get("/").cookie_of(&first).send(&app).await.is_opaque_failure());
}

#[tokio::test]
async fn what_the_store_does_not_find_is_a_new_session() {
    let store = Arc::new(TextStore::default());
    let app = numbering(options().store(Arc::clone(&store)));
    let first = get("/").ok(&app).await;
    store.find_nothing();
    assert_eq!(get("/").cookie_of(&first).ok(&app).await.body, "session 2");
}

#[tokio::test]
async fn every_visitor_has_a_session_of_its_own() {
    let fixture = Fixture::new();
    let app = numbering(fixture.options());
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

#[tokio::test]
async fn a_response_without_a_body_is_like_any_other() {
    let fixture = Fixture::new();
    let answer = get("/").ok(&app(fixture.options(), nothing)).await;
    assert_eq!(answer.body, "");
    assert!(fixture.record(&answer.cookie().sid()).await.is_some());
}

#[tokio::test]
async fn reserved_names_in_a_stored_record_do_no_harm() {
    let store = Arc::new(TextStore::default());
    let app = numbering(options().store(Arc::clone(&store)));
    let first = get("/").ok(&app).await;
    let sid = first.cookie().sid();
    let text = store.text(&sid).unwrap();
    store.put(&sid, &text.replace(r#""num":1"#, r#""num":1,"save":"nope","constructor":1"#));
    assert_eq!(get("/").cookie_of(&first).ok(&app).await.body, "session 1");
}

#[tokio::test]
async fn reserved_names_cannot_be_set() {
    let app = app(options(), async |session: Session| {
        let reserved =
            ["cookie", "id", "req", "save", "reload", "destroy", "regenerate", "touch", "constructor"];
        let refused = |name: &&str| matches!(session.insert(name, 1), Err(Error::ReservedKey(_)));
        reserved.iter().filter(|name| refused(name)).count().to_string()
    });
    assert_eq!(get("/").ok(&app).await.body, "9");
}

#[tokio::test]
async fn a_record_is_the_cookie_and_the_data_and_nothing_else() {
    let fixture = Fixture::new();
    let app = app(fixture.options(), async |session: Session| -> Reply {
        session.insert("test1", 1)?;
        session.insert("test2", "b")?;
        Ok(session.keys().join(","))
    });
    let answer = get("/").ok(&app).await;
    assert_eq!(answer.body, "test1,test2");
    let record = fixture.record(&answer.cookie().sid()).await.unwrap();
    let mut members: Vec<_> = record.as_object().unwrap().keys().cloned().collect();
    members.sort();
    assert_eq!(members, ["cookie", "test1", "test2"]);
}

/// The expiry is that of the moment when the head went out, and the next response moves it.
#[tokio::test]
async fn a_slow_body_does_not_keep_the_expiry_from_moving() {
    let fixture = Fixture::new();
    let time = fixture.time.clone();
    let app = app(fixture.options().rolling(true), move |session: Session| {
        let time = time.clone();
        async move {
            session.insert("user", "bob").unwrap();
            let chunks = stream::iter(["hello, ", "world!"]).map(move |chunk| {
                time.pass(200);
                Ok::<_, std::convert::Infallible>(chunk)
            });
            Response::new(Body::from_stream(chunks))
        }
    });
    let first = get("/").ok(&app).await;
    assert_eq!(first.body, "hello, world!");
    assert_eq!(first.cookie().attribute("Expires"), Some("Fri, 02 Jan 2026 03:05:05 GMT"));
    fixture.time.pass(1000);
    let second = get("/").cookie_of(&first).ok(&app).await;
    assert_eq!(second.cookie().attribute("Expires"), Some("Fri, 02 Jan 2026 03:05:07 GMT"));
}
