//! The application of the adapter contract on axum.

use axum::{
    Router,
    body::Body,
    http::{StatusCode, Uri},
    response::{AppendHeaders, IntoResponse},
    routing::get,
};
use session_axum::{Session, SessionError, SessionLayer, TypedSession};
use session_testkit::adapter::{self, Basket, Layers, Second, answer, later, twice};

pub(crate) fn layered(layers: Layers) -> Router {
    let inwards = layers.nested.into_iter().rev();
    let routes = inwards.fold(routes(), |routes, sessions| routes.layer(SessionLayer::from(sessions)));
    match layers.second {
        Some(second) => routes.layer(SessionLayer::from(second).marked::<Second>()),
        None => routes,
    }
}

pub(crate) fn routes() -> Router {
    let mounted = Router::new().route("/optional", get(optional)).fallback(plain);
    Router::new()
        .route("/none", get(async || "none"))
        .route("/optional", get(optional))
        .route("/twice/{*rest}", get(both))
        .route("/stream/{*rest}", get(stream))
        .route("/error/{*rest}", get(error))
        .route("/cookie/{*rest}", get(cookie))
        .route("/later/{*rest}", get(spawn))
        .route("/second/{*rest}", get(second))
        .route("/both/{*rest}", get(side_by_side))
        .route("/typed/{*rest}", get(typed))
        .route("/typed/second/{*rest}", get(typed_second))
        .route("/unasked/{*rest}", get(async |uri: Uri| adapter::unasked(uri.path()).await))
        .nest("/mounted", mounted)
        .fallback(plain)
}

type Answer<T = String> = Result<T, SessionError>;

async fn plain(session: Session, uri: Uri) -> Answer {
    Ok(answer(&session, uri.path()).await?)
}

async fn second(session: Session<Second>, uri: Uri) -> Answer {
    Ok(answer(&session, uri.path()).await?)
}

async fn side_by_side(first: Session, second: Session<Second>, uri: Uri) -> Answer {
    Ok(adapter::both(&first, &second, uri.path()).await?)
}

async fn typed(basket: TypedSession<Basket>, uri: Uri) -> Answer {
    Ok(adapter::typed(&basket, uri.path()).await?)
}

async fn typed_second(basket: TypedSession<Basket, Second>, uri: Uri) -> Answer {
    Ok(adapter::typed(&basket, uri.path()).await?)
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
    tokio::spawn(later(session.into_handle()));
    Ok(text)
}
