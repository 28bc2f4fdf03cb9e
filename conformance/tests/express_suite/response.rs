//! The response around the session's cookie: what others did to it stays.

use std::convert::Infallible;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Response, header},
    middleware::map_response,
};
use express_session::axum::{Session, SessionLayer};
use futures_util::stream;

use crate::{
    client::{Answer, get},
    fixture::{app, options},
};

/// A body in two parts, from a handler that changed the session.
async fn hello(session: Session) -> Response<Body> {
    session.insert("hit", true).unwrap();
    Response::new(Body::from_stream(stream::iter([Ok::<_, Infallible>("hello, "), Ok("world")])))
}

/// A middleware that takes every body into its own hands.
async fn shout(response: Response<Body>) -> Response<Body> {
    let (head, body) = response.into_parts();
    let text = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().into()).unwrap();
    Response::from_parts(head, text.to_uppercase().into())
}

async fn shouted(app: Router) -> Answer {
    let first = get("/").ok(&app).await;
    assert_eq!(first.body, "HELLO, WORLD");
    assert_eq!(first.cookies().len(), 1);
    assert_eq!(get("/").cookie_of(&first).ok(&app).await.body, "HELLO, WORLD");
    first
}

#[tokio::test]
async fn a_middleware_outside_of_the_layer_may_rewrite_the_body() {
    let layer = SessionLayer::new(options()).unwrap();
    shouted(Router::new().fallback(hello).layer(layer).layer(map_response(shout))).await;
}

#[tokio::test]
async fn a_middleware_inside_of_the_layer_may_rewrite_the_body() {
    let layer = SessionLayer::new(options()).unwrap();
    shouted(Router::new().fallback(hello).layer(map_response(shout)).layer(layer)).await;
}

#[tokio::test]
async fn cookies_that_the_handler_sets_stay_and_ours_comes_last() {
    let app = app(options(), async || ([(header::SET_COOKIE, "previous=cookieValue")], "hello"));
    let cookies = get("/").ok(&app).await.cookies();
    let names: Vec<_> = cookies.iter().map(|cookie| cookie.name.as_str()).collect();
    assert_eq!(names, ["previous", "connect.sid"]);
    assert_eq!(cookies[0].value, "cookieValue");
}

#[tokio::test]
async fn several_cookies_of_a_whole_response_stay_and_ours_comes_last() {
    let app = app(options(), async || {
        let head = Response::builder().header(header::SET_COOKIE, "previous=cookieValue");
        head.header(header::SET_COOKIE, "connect.sid=not ours").body(Body::from("hello")).unwrap()
    });
    let cookies = get("/").ok(&app).await.cookies();
    let names: Vec<_> = cookies.iter().map(|cookie| cookie.name.as_str()).collect();
    assert_eq!(names, ["previous", "connect.sid", "connect.sid"]);
    assert_eq!((cookies[0].value.as_str(), cookies[1].value.as_str()), ("cookieValue", "not ours"));
    assert_eq!(cookies[2].sid().len(), 32);
}
