//! When the client has the response, the store has the session, however long that takes and whatever the response is.

use std::sync::Arc;

use express_session::{AdminStore, MemoryStore};
use futures_util::future::poll_immediate;
use session_testkit::GatedStore;

use crate::{
    adapters::{Adapter, Page, Reply, Visit, app, on_each_adapter},
    client::{ask, get},
    fixture::{Fixture, options},
};

/// A store that takes its time: no response comes before it is done, and then the session is there.
async fn saved_before(adapter: Adapter, method: &'static str, respond: fn() -> Page) -> String {
    let memory = Arc::new(MemoryStore::new());
    let store = GatedStore::new(Arc::clone(&memory));
    let app = app(adapter, options().store(Arc::clone(&store)), move |visit: Visit| async move {
        visit.insert("hit", true)?;
        Ok(respond())
    });
    let mut answer = std::pin::pin!(ask(method, "/").send(&app));
    for _ in 0..100 {
        assert!(poll_immediate(&mut answer).await.is_none(), "the save is still under way");
        tokio::task::yield_now().await;
    }
    store.open();
    let answer = answer.await;
    assert_eq!(answer.cookies().len(), 1);
    assert_eq!(memory.length().await.unwrap(), 1);
    answer.body.clone()
}

async fn a_session_is_saved_before_its_response(adapter: Adapter) {
    assert_eq!(saved_before(adapter, "GET", || "session saved".into()).await, "session saved");
}

async fn a_session_is_saved_before_an_empty_response(adapter: Adapter) {
    assert_eq!(saved_before(adapter, "GET", || "".into()).await, "");
    assert_eq!(saved_before(adapter, "GET", || Page::from("").status(204)).await, "");
}

async fn a_session_is_saved_before_a_body_in_several_parts(adapter: Adapter) {
    assert_eq!(saved_before(adapter, "GET", || Page::parts(["hello, ", "world"])).await, "hello, world");
}

async fn a_session_is_saved_before_a_body_of_known_length(adapter: Adapter) {
    let known = || Page::from("session saved").header("content-length", "13");
    assert_eq!(saved_before(adapter, "GET", known).await, "session saved");
}

async fn a_session_is_saved_before_the_response_to_a_head_request(adapter: Adapter) {
    assert_eq!(saved_before(adapter, "HEAD", || "".into()).await, "");
}

/// The body is made while it is sent, and the record is there before its first part.
async fn a_session_is_saved_before_the_body_begins(adapter: Adapter) {
    let fixture = Fixture::new();
    let store = Arc::clone(&fixture.store);
    let app = app(adapter, fixture.options(), move |visit: Visit| {
        let store = Arc::clone(&store);
        async move {
            visit.insert("hit", true)?;
            let saved = move |_: &&str| assert_eq!(store.take_calls(), ["set"]);
            Ok(Page::parts(["saved"].into_iter().inspect(saved)))
        }
    });
    assert_eq!(get("/").ok(&app).await.body, "saved");
    assert_eq!(fixture.store.take_calls(), [""; 0]);
}

async fn a_session_is_saved_with_the_expiry_that_its_cookie_has(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = app(adapter, fixture.options(), async |visit: Visit| -> Reply {
        visit.insert("user", "bob")?;
        Ok(visit.id().unwrap().as_str().into())
    });
    let first = get("/").ok(&app).await;
    let expires = async || fixture.record(&first.body).await.unwrap()["cookie"]["expires"].clone();
    assert_eq!(expires().await, "2026-01-02T03:05:05.678Z");
    assert_eq!(first.cookie().attribute("Expires"), Some("Fri, 02 Jan 2026 03:05:05 GMT"));

    fixture.time.pass(1200);
    let second = get("/").cookie_of(&first).ok(&app).await;
    assert_eq!(second.body, first.body);
    assert_eq!(expires().await, "2026-01-02T03:05:06.878Z");
}

on_each_adapter!(
    a_session_is_saved_before_its_response,
    a_session_is_saved_before_an_empty_response,
    a_session_is_saved_before_a_body_in_several_parts,
    a_session_is_saved_before_a_body_of_known_length,
    a_session_is_saved_before_the_response_to_a_head_request,
    a_session_is_saved_before_the_body_begins,
    a_session_is_saved_with_the_expiry_that_its_cookie_has,
);
