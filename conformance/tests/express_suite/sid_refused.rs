//! Cookies whose session is not there, or is not theirs.

use std::sync::Arc;

use axum::{Router, http::header};
use express_session::{CookieOptions, RequestInfo, Secret, Session as CoreSession};

use crate::{
    client::get,
    fixture::{Fixture, SECRET, app, hits, numbering, options},
    stores::TextStore,
};

fn five_milliseconds(fixture: &Fixture) -> Router {
    numbering(fixture.with_cookie(CookieOptions::new().max_age_millis(5)))
}

#[tokio::test]
async fn an_id_that_the_store_does_not_have_gets_a_new_session() {
    let fixture = Fixture::new();
    let app = numbering(fixture.options());
    let first = get("/").ok(&app).await;
    express_session::AdminStore::clear(&*fixture.memory).await.unwrap();
    assert_eq!(get("/").cookie_of(&first).ok(&app).await.body, "session 2");
}

#[tokio::test]
async fn an_id_that_the_store_does_not_have_is_not_adopted() {
    let fixture = Fixture::new();
    let app = numbering(fixture.options());
    let first = get("/").ok(&app).await;
    express_session::AdminStore::clear(&*fixture.memory).await.unwrap();
    let second = get("/").cookie_of(&first).ok(&app).await;
    assert_eq!(second.body, "session 2");
    assert_ne!(second.cookie().sid(), first.cookie().sid());
}

#[tokio::test]
async fn an_unsigned_id_gets_a_new_session() {
    let app = app(options().name("sessid"), hits);
    let first = get("/").ok(&app).await;
    let sid = first.cookie().sid();
    let second = get("/").header(header::COOKIE, &format!("sessid={sid}")).ok(&app).await;
    assert_eq!(second.body, "hits: 1");
    assert_ne!(second.cookie().sid(), sid);
}

#[tokio::test]
async fn a_badly_signed_id_never_reaches_the_store() {
    let fixture = Fixture::new();
    let app = app(fixture.options().name("sessid"), hits);
    let first = get("/").ok(&app).await;
    fixture.store.take_calls();
    let sid = first.cookie().sid();
    let forged = first.cookie().pair().replace(&sid, &sid[..sid.len() - 3]);
    let second = get("/").header(header::COOKIE, &forged).ok(&app).await;
    assert_eq!(second.body, "hits: 1");
    assert_eq!(second.cookie().name, "sessid");
    assert_eq!(fixture.store.take_calls(), ["set"]);
}

#[tokio::test]
async fn an_expired_session_is_followed_by_a_new_one() {
    let fixture = Fixture::new();
    let app = five_milliseconds(&fixture);
    let first = get("/").ok(&app).await;
    assert_eq!(get("/").cookie_of(&first).ok(&app).await.body, "session 1");
    fixture.time.pass(20);
    let later = get("/").cookie_of(&first).ok(&app).await;
    assert_eq!(later.body, "session 2");
    assert_eq!(later.cookie().name, "connect.sid");
}

#[tokio::test]
async fn the_id_of_an_expired_session_is_not_used_again() {
    let fixture = Fixture::new();
    let app = five_milliseconds(&fixture);
    let first = get("/").ok(&app).await;
    fixture.time.pass(5);
    let second = get("/").cookie_of(&first).ok(&app).await;
    assert_ne!(second.cookie().sid(), first.cookie().sid());
}

#[tokio::test]
async fn an_expired_session_is_not_in_the_store() {
    let fixture = Fixture::new();
    let answer = get("/").ok(&five_milliseconds(&fixture)).await;
    assert_eq!(answer.body, "session 1");
    assert_eq!(fixture.sessions().await, 1);
    fixture.time.pass(10);
    assert_eq!(fixture.sessions().await, 0);
}

#[tokio::test]
async fn a_record_without_a_cookie_is_an_opaque_500() {
    let store = Arc::new(TextStore::default());
    let app = numbering(options().store(Arc::clone(&store)));
    let first = get("/").ok(&app).await;
    let sid = first.cookie().sid();
    store.put(&sid, r#"{"foo":"bar"}"#);
    assert!(get("/").cookie_of(&first).send(&app).await.is_opaque_failure());
    assert_eq!(store.text(&sid).as_deref(), Some(r#"{"foo":"bar"}"#));
}

/// What a framework's own cookie jar took out of the headers, an adapter hands on as one `cookie` header with the value
/// already decoded.
async fn from_a_jar(fixture: &Fixture, value: &str) -> CoreSession {
    let header = format!("sessid={value}");
    let headers = |visit: &mut dyn FnMut(&str, &[u8])| visit("cookie", header.as_bytes());
    let sessions = fixture.options().name("sessid").build().unwrap();
    sessions.exchange().session(&RequestInfo::new("/", false, &headers)).await.unwrap().unwrap()
}

/// An id with a session behind it.
async fn visited(fixture: &Fixture) -> String {
    get("/").ok(&app(fixture.options(), hits)).await.cookie().sid()
}

#[tokio::test]
async fn a_signed_id_from_a_cookie_jar_is_read() {
    let fixture = Fixture::new();
    let sid = visited(&fixture).await;
    let session = from_a_jar(&fixture, &format!("s:{}", Secret::new(SECRET).sign(&sid))).await;
    assert!(!session.is_new() && session.id().as_str() == sid);
}

#[tokio::test]
async fn an_unsigned_id_from_a_cookie_jar_is_refused() {
    let fixture = Fixture::new();
    let sid = visited(&fixture).await;
    assert!(from_a_jar(&fixture, &sid).await.is_new());
    // Signed, and without the mark that says so.
    assert!(from_a_jar(&fixture, &Secret::new(SECRET).sign(&sid)).await.is_new());
}

#[tokio::test]
async fn a_badly_signed_id_from_a_cookie_jar_is_refused() {
    let fixture = Fixture::new();
    let sid = visited(&fixture).await;
    assert!(from_a_jar(&fixture, &format!("s:{}", Secret::new("another cat").sign(&sid))).await.is_new());
}
