//! The session as the handler sees it.

use std::sync::Arc;

use axum::http::Uri;
use express_session::axum::Session;

use crate::{
    client::get,
    fixture::{Fixture, Reply, app, hits, options},
    stores::{ALL_VERBS, Faulty},
};

#[tokio::test]
async fn what_a_request_stored_the_next_one_reads() {
    let fixture = Fixture::new();
    let app = app(fixture.options(), hits);
    let first = get("/").ok(&app).await;
    assert_eq!(first.body, "hits: 1");
    assert_eq!(fixture.record(&first.cookie().sid()).await.unwrap()["count"], 1);
    assert_eq!(get("/").cookie_of(&first).ok(&app).await.body, "hits: 2");
}

#[tokio::test]
async fn the_cookie_is_sent_again_only_when_the_session_was_modified() {
    let app = app(options(), async |uri: Uri, session: Session| -> Reply {
        match uri.path() {
            "/read" => Ok(session.get_json("count").unwrap_or_default()),
            _ => hits(session).await,
        }
    });
    let first = get("/").ok(&app).await;
    let second = get("/").cookie_of(&first).ok(&app).await;
    assert_eq!((second.body.as_str(), second.cookies().len()), ("hits: 2", 1));
    let third = get("/read").cookie_of(&first).ok(&app).await;
    assert_eq!((third.body.as_str(), third.cookies().len()), ("2", 0));
    let fourth = get("/").cookie_of(&first).ok(&app).await;
    assert_eq!((fourth.body.as_str(), fourth.cookies().len()), ("hits: 3", 1));
}

#[tokio::test]
async fn the_keys_are_those_that_were_inserted() {
    let app = app(options(), async |session: Session| -> Reply {
        session.insert("foo", "foo")?;
        session.insert("bar", "bar")?;
        Ok(session.keys().join(","))
    });
    assert_eq!(get("/").ok(&app).await.body, "foo,bar");
}

/// Express serves such a request without a session; here it is an error, so that no handler takes a visitor who is logged
/// in for one who is not.
#[tokio::test]
async fn a_store_that_is_down_is_an_opaque_500() {
    let store = Arc::new(Faulty::default());
    let app = app(options().store(Arc::clone(&store)), hits);
    let first = get("/").ok(&app).await;
    store.break_down(&ALL_VERBS);
    assert!(get("/").send(&app).await.is_opaque_failure());
    assert!(get("/").cookie_of(&first).send(&app).await.is_opaque_failure());
}

#[tokio::test]
async fn a_store_that_is_up_again_serves_the_session_that_it_had() {
    let store = Arc::new(Faulty::default());
    let app = app(options().store(Arc::clone(&store)), hits);
    let first = get("/").ok(&app).await;
    store.break_down(&ALL_VERBS);
    assert!(get("/").cookie_of(&first).send(&app).await.is_opaque_failure());
    store.repair();
    assert_eq!(get("/").cookie_of(&first).ok(&app).await.body, "hits: 2");
}
