//! The probe of the axum adapter.

use std::{convert::Infallible, io, sync::Arc};

use axum::{
    Extension, Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::any,
};
use conformance::probe::{self, Config, Fault, Reply, Serving, TlsListener};
use express_session::axum::{Encrypted, Session, SessionLayer};
use futures_util::stream;
use tower::util::option_layer;

#[tokio::main]
async fn main() -> io::Result<()> {
    probe::run(serve).await
}

async fn serve(config: Arc<Config>) -> io::Result<Serving> {
    let sessions = SessionLayer::from(config.sessions.clone());
    let outer = config.outer.clone().map(SessionLayer::from);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", config.port)).await?;
    let port = listener.local_addr()?.port();
    let app = Router::new()
        .route("/none", any(async || respond(probe::none())))
        .fallback(perform)
        .layer(sessions)
        .layer(option_layer(outer))
        .layer(from_fn_with_state(Arc::clone(&config), probe::faulty_layer))
        .layer(from_fn_with_state(Arc::clone(&config), put_clock))
        .with_state(Arc::clone(&config));
    let server = match &config.tls {
        Some(tls) => {
            let listener = TlsListener::new(listener, tls.server());
            let is_seen = config.fault != Some(Fault::TlsNotSeen);
            let app = if is_seen { app.layer(Extension(Encrypted)) } else { app };
            tokio::spawn(async { axum::serve(listener, app).await })
        }
        None => tokio::spawn(async { axum::serve(listener, app).await }),
    };
    let stop = server.abort_handle();
    // Only `stop` ends it.
    let end = async { server.await.unwrap_or(Ok(())) };
    Ok(Serving::new(port, end, move || stop.abort()).with_tls(config.tls.is_some()))
}

async fn put_clock(State(config): State<Arc<Config>>, request: Request, next: Next) -> Response {
    config.clock.put(request.headers().get("x-now").map(HeaderValue::as_bytes));
    next.run(request).await
}

async fn perform(
    State(config): State<Arc<Config>>,
    uri: Uri,
    headers: HeaderMap,
    session: Option<Session>,
) -> Result<Response, StatusCode> {
    let ops = headers.get("x-ops").map(HeaderValue::as_bytes);
    let reply = probe::perform(&config, uri.path(), ops, session.as_deref()).await;
    if reply.thrown { Err(StatusCode::INTERNAL_SERVER_ERROR) } else { Ok(respond(reply)) }
}

fn respond(reply: Reply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let empty = reply.body.is_empty();
    let mut response = Response::new(match reply.streamed {
        true => Body::from_stream(stream::iter(reply.chunks().map(Ok::<_, Infallible>))),
        false => Body::from(reply.body),
    });
    *response.status_mut() = status;
    if !empty {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    for (name, value) in reply.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response.into_response()
}
