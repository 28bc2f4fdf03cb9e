//! When the client has the response, the store has the session: the record is written before the head goes out.

use std::convert::Infallible;

use axum::{
    Router,
    body::Body,
    http::{Response, header},
};
use express_session::axum::Session;
use futures_util::stream;

use crate::{
    client::{Answer, ask, get},
    fixture::{Fixture, Reply, app},
};

/// An app that marks the session and answers as told.
fn marking(fixture: &Fixture, respond: fn() -> Response<Body>) -> Router {
    app(fixture.options(), async move |session: Session| {
        session.insert("hit", true).unwrap();
        respond()
    })
}

/// Nobody has looked at the body yet when the record and its cookie are there.
async fn saved_by_the_head(method: &str, respond: fn() -> Response<Body>) -> String {
    let fixture = Fixture::new();
    let head = ask(method, "/").head(&marking(&fixture, respond)).await;
    assert_eq!(fixture.store.take_calls(), ["set"]);
    assert_eq!(fixture.sessions().await, 1);
    let answer = Answer::read(head).await;
    assert_eq!(fixture.record(&answer.cookie().sid()).await.unwrap()["hit"], true);
    assert_eq!(fixture.store.take_calls(), [""; 0]);
    answer.body
}

#[tokio::test]
async fn a_session_is_saved_before_its_response() {
    assert_eq!(saved_by_the_head("GET", || Response::new("session saved".into())).await, "session saved");
}

#[tokio::test]
async fn a_session_is_saved_before_an_empty_response() {
    let empty = || Response::builder().header(header::CONTENT_LENGTH, 0).body(Body::empty()).unwrap();
    assert_eq!(saved_by_the_head("GET", empty).await, "");
    let no_content = || Response::builder().status(204).body(Body::empty()).unwrap();
    assert_eq!(saved_by_the_head("GET", no_content).await, "");
}

#[tokio::test]
async fn a_session_is_saved_before_a_body_in_several_parts() {
    let parts = || {
        let parts = stream::iter([Ok::<_, Infallible>("hello, "), Ok("world")]);
        Response::builder().header(header::CONTENT_LENGTH, 12).body(Body::from_stream(parts)).unwrap()
    };
    assert_eq!(saved_by_the_head("GET", parts).await, "hello, world");
}

#[tokio::test]
async fn a_session_is_saved_before_a_body_of_known_length() {
    let known =
        || Response::builder().header(header::CONTENT_LENGTH, 13).body("session saved".into()).unwrap();
    assert_eq!(saved_by_the_head("GET", known).await, "session saved");
}

#[tokio::test]
async fn a_session_is_saved_before_the_response_to_a_head_request() {
    assert_eq!(saved_by_the_head("HEAD", || Response::new(Body::empty())).await, "");
}

#[tokio::test]
async fn a_session_is_saved_with_the_expiry_that_its_cookie_has() {
    let fixture = Fixture::new();
    let app = app(fixture.options(), async |session: Session| -> Reply {
        session.insert("user", "bob")?;
        Ok(session.id().as_str().into())
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
