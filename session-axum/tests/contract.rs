//! The adapter contract on axum.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    http::{self, StatusCode, Uri},
    response::{AppendHeaders, IntoResponse},
    routing::get,
};
use http_body_util::BodyExt;
use session_axum::{Session, SessionError, SessionLayer};
use session_core::Sessions;
use session_testkit::{
    App, Request, Response,
    adapter::{answer, later, twice},
};
use tower::ServiceExt;

struct Axum(Router);

#[session_core::async_trait(?Send)]
impl App for Axum {
    async fn send(&self, request: Request) -> Response {
        let builder = http::Request::builder().method(request.method).uri(request.path);
        let add = |builder: http::request::Builder, (name, value)| builder.header::<_, Vec<u8>>(name, value);
        let request = request.headers.into_iter().fold(builder, add).body(Body::empty()).unwrap();
        let response = self.0.clone().oneshot(request).await.unwrap();
        let cookies = response.headers().get_all(http::header::SET_COOKIE).iter();
        Response {
            status: response.status().as_u16(),
            set_cookie: cookies.map(|value| value.to_str().unwrap().into()).collect(),
            body: String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().into()).unwrap(),
        }
    }
}

async fn app(sessions: Sessions) -> Axum {
    Axum(routes().layer(SessionLayer::from(sessions)))
}

fn routes() -> Router {
    let mounted = Router::new().route("/optional", get(optional)).fallback(plain);
    Router::new()
        .route("/none", get(async || "none"))
        .route("/optional", get(optional))
        .route("/twice/{*rest}", get(both))
        .route("/stream/{*rest}", get(stream))
        .route("/error/{*rest}", get(error))
        .route("/cookie/{*rest}", get(cookie))
        .route("/later/{*rest}", get(spawn))
        .nest("/mounted", mounted)
        .fallback(plain)
}

type Answer<T = String> = Result<T, SessionError>;

async fn plain(session: Session, uri: Uri) -> Answer {
    Ok(answer(&session, uri.path()).await?)
}

async fn optional(session: Option<Session>) -> &'static str {
    if session.is_some() { "some" } else { "none" }
}

async fn both(one: Session, other: Session, uri: Uri) -> Answer {
    answer(&one, uri.path()).await?;
    Ok(twice(&one, &other))
}

async fn stream(session: Session, uri: Uri) -> Answer<Body> {
    let text = answer(&session, uri.path()).await?;
    let pieces = text.into_bytes().into_iter().map(|byte| Ok::<_, std::io::Error>(vec![byte]));
    Ok(Body::from_stream(futures_util::stream::iter(pieces.collect::<Vec<_>>())))
}

async fn error(session: Session, uri: Uri) -> Answer<(StatusCode, String)> {
    Ok((StatusCode::BAD_REQUEST, answer(&session, uri.path()).await?))
}

async fn cookie(session: Session, uri: Uri) -> Answer<impl IntoResponse> {
    Ok((AppendHeaders([("set-cookie", "own=1")]), answer(&session, uri.path()).await?))
}

async fn spawn(session: Session, uri: Uri) -> Answer {
    let text = answer(&session, uri.path()).await?;
    tokio::spawn(later(session.0));
    Ok(text)
}

session_testkit::adapter_contract!(app);

#[test]
fn a_missing_layer_is_an_error_that_says_what_to_add() {
    session_testkit::run(async {
        let response = Axum(routes()).send(Request::get("/count")).await;
        assert_eq!(response.status, 500);
        assert!(response.body.contains("SessionLayer"), "{response:?}");
        assert_eq!(Axum(routes()).send(Request::get("/none")).await.body, "none");
    });
}

#[test]
fn handles_are_usable_on_every_thread() {
    fn assert<T: Clone + Send + Sync + 'static>() {}
    assert::<Session>();
    assert::<SessionLayer>();
    assert::<Arc<Sessions>>();
}
