//! The probe of the axum adapter.

use std::{io, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::any,
};
use conformance::probe::{self, Config, Reply, Serving};
use express_session::axum::{Session, SessionLayer};

#[tokio::main]
async fn main() -> io::Result<()> {
    probe::run(serve).await
}

async fn serve(config: Arc<Config>) -> io::Result<Serving> {
    let sessions = SessionLayer::new(config.options.clone()).map_err(io::Error::other)?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", config.port)).await?;
    let port = listener.local_addr()?.port();
    let app = Router::new()
        .route("/none", any(async || respond(probe::none())))
        .fallback(perform)
        .layer(sessions)
        .layer(from_fn_with_state(Arc::clone(&config), put_clock))
        .with_state(config);
    let server = tokio::spawn(async { axum::serve(listener, app).await });
    let stop = server.abort_handle();
    // Only `stop` ends it.
    Ok(Serving::new(port, async { server.await.unwrap_or(Ok(())) }, move || stop.abort()))
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
) -> Response {
    let ops = headers.get("x-ops").map(HeaderValue::as_bytes);
    respond(probe::perform(&config, uri.path(), ops, session.as_deref()).await)
}

fn respond(reply: Reply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in reply.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response.into_response()
}
