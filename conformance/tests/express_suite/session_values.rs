//! The session as the handler sees it.

use std::sync::Arc;

use crate::{
    adapters::{Adapter, Reply, Visit, app, on_each_adapter},
    client::get,
    fixture::{Fixture, hits, options},
    stores::{ALL_VERBS, Faulty},
};

async fn what_a_request_stored_the_next_one_reads(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = app(adapter, fixture.options(), hits);
    let first = get("/").ok(&app).await;
    assert_eq!(first.body, "hits: 1");
    assert_eq!(fixture.record(&first.cookie().sid()).await.unwrap()["count"], 1);
    assert_eq!(get("/").cookie_of(&first).ok(&app).await.body, "hits: 2");
}

async fn the_cookie_is_sent_again_only_when_the_session_was_modified(adapter: Adapter) {
    let app = app(adapter, options(), async |visit: Visit| -> Reply {
        match visit.path.as_str() {
            "/read" => Ok(visit.get_json("count").unwrap_or_default()),
            _ => hits(visit).await,
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

async fn the_keys_are_those_that_were_inserted(adapter: Adapter) {
    let app = app(adapter, options(), async |visit: Visit| -> Reply {
        visit.insert("foo", "foo")?;
        visit.insert("bar", "bar")?;
        Ok(visit.keys().join(","))
    });
    assert_eq!(get("/").ok(&app).await.body, "foo,bar");
}

/// Express serves such a request without a session; here it is an error, so that no handler takes a visitor who is logged
/// in for one who is not.
async fn a_store_that_is_down_is_an_opaque_503(adapter: Adapter) {
    let store = Arc::new(Faulty::default());
    let app = app(adapter, options().store(Arc::clone(&store)), hits);
    let first = get("/").ok(&app).await;
    store.break_down(&ALL_VERBS);
    assert!(get("/").send(&app).await.is_opaque(503));
    assert!(get("/").cookie_of(&first).send(&app).await.is_opaque(503));
}

async fn a_store_that_is_up_again_serves_the_session_that_it_had(adapter: Adapter) {
    let store = Arc::new(Faulty::default());
    let app = app(adapter, options().store(Arc::clone(&store)), hits);
    let first = get("/").ok(&app).await;
    store.break_down(&ALL_VERBS);
    assert!(get("/").cookie_of(&first).send(&app).await.is_opaque(503));
    store.repair();
    assert_eq!(get("/").cookie_of(&first).ok(&app).await.body, "hits: 2");
}

on_each_adapter!(
    what_a_request_stored_the_next_one_reads,
    the_cookie_is_sent_again_only_when_the_session_was_modified,
    the_keys_are_those_that_were_inserted,
    a_store_that_is_down_is_an_opaque_503,
    a_store_that_is_up_again_serves_the_session_that_it_had,
);
