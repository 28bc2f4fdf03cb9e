//! On axum.

use std::convert::Infallible;

use axum::{
    Extension, Router,
    body::{Body as AxumBody, to_bytes},
    http::{Method, Request as HttpRequest, Response as HttpResponse, Uri},
    middleware::map_response,
};
use conformance::probe::TlsListener;
use express_session::axum::{Encrypted, Session, SessionError, SessionLayer};
use futures_util::{FutureExt, StreamExt};
use session_testkit::{Request, Response};
use tokio::net::TcpListener;
use tower::ServiceExt;

use super::{Body, Page, Served, Shout, Site, Visit, tls};

pub(super) fn serve(site: Site) -> Served {
    let app = router(site);
    Box::new(move |request| send(app.clone(), request).boxed_local())
}

/// The server that ends TLS says so of every request, as `Encrypted` asks for.
pub(super) async fn serve_tls(site: Site) -> Served {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let app = router(site).layer(Extension(Encrypted));
    let listener = TlsListener::new(listener, tls::server());
    tokio::spawn(async { axum::serve(listener, app).await });
    tls::client(port)
}

fn router(site: Site) -> Router {
    let layer = || SessionLayer::new(site.options.clone()).unwrap();
    let handler = site.handler;
    let mut app = Router::new().fallback(async move |method: Method, uri: Uri, session: Option<Session>| {
        let session = session.map(Session::into_handle);
        let visit = Visit { method: method.to_string(), path: uri.path().into(), session };
        handler(visit).await.map(respond).map_err(SessionError::from)
    });
    if site.shout == Some(Shout::InsideOfTheSession) {
        app = app.layer(map_response(shout));
    }
    app = app.layer(layer());
    if site.twice {
        app = app.layer(layer());
    }
    if site.shout == Some(Shout::OutsideOfTheSession) {
        app = app.layer(map_response(shout));
    }
    if site.mounted_at.is_empty() { app } else { Router::new().nest(site.mounted_at, app) }
}

fn respond(page: Page) -> HttpResponse<AxumBody> {
    let body = match page.body {
        Body::Whole(text) => text.into(),
        Body::Parts(parts) => AxumBody::from_stream(parts.map(Ok::<_, Infallible>)),
    };
    let response = HttpResponse::builder().status(page.status);
    let add =
        |response: axum::http::response::Builder, (name, value)| response.header::<&str, &str>(name, value);
    page.headers.into_iter().fold(response, add).body(body).unwrap()
}

async fn shout(response: HttpResponse<AxumBody>) -> HttpResponse<AxumBody> {
    let (head, body) = response.into_parts();
    let text = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().into()).unwrap();
    HttpResponse::from_parts(head, text.to_uppercase().into())
}

async fn send(app: Router, request: Request) -> Response {
    let builder = HttpRequest::builder().method(request.method).uri(request.path);
    let add =
        |builder: axum::http::request::Builder, (name, value)| builder.header::<&str, Vec<u8>>(name, value);
    let request = request.headers.into_iter().fold(builder, add).body(AxumBody::empty()).unwrap();
    let (head, body) = app.oneshot(request).await.unwrap().into_parts();
    let body = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().into()).unwrap();
    Response::new(head.status.as_u16(), &head.headers, body)
}
