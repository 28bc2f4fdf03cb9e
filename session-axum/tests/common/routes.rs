//! The application of the adapter contract on axum.

use std::convert::Infallible;

use axum::{
    Router,
    body::Body,
    http::{StatusCode, Uri},
    response::{AppendHeaders, IntoResponse},
    routing::{get, post},
};
use futures_util::{StreamExt, stream};
use session_axum::{Session, SessionError, SessionLayer, TypedSession};
use session_testkit::adapter::{
    self, Basket, Layers, MEGABYTES, Second, answer, later, meanwhile, megabyte, twice,
};

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
        .route("/stream/{*rest}", get(streamed))
        .route("/megabytes/{*rest}", get(megabytes))
        .route("/upload/{*rest}", post(upload))
        .route("/nothing/{*rest}", get(nothing))
        .route("/unchanged/{*rest}", get(unchanged))
        .route("/panics/{*rest}", get(panics))
        .route("/error/{*rest}", get(error))
        .route("/cookie/{*rest}", get(cookie))
        .route("/headed/{*rest}", get(headed))
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

async fn streamed(session: Session, uri: Uri) -> Answer<Body> {
    let text = answer(&session, uri.path()).await?;
    let pieces = stream::iter(text.into_bytes().into_iter().map(|byte| vec![byte]));
    let last = stream::once(async move { meanwhile(session.into_handle(), uri.path()).await.into() });
    Ok(Body::from_stream(pieces.chain(last).map(Ok::<_, Infallible>)))
}

async fn megabytes(session: Session, uri: Uri) -> Answer<Body> {
    let text = answer(&session, uri.path()).await?.into_bytes();
    let pieces = std::iter::once(text).chain(std::iter::repeat_with(megabyte).take(MEGABYTES));
    Ok(Body::from_stream(stream::iter(pieces.map(Ok::<_, Infallible>))))
}

async fn upload(session: Session, uri: Uri, body: Body) -> Answer {
    let mut pieces = body.into_data_stream();
    let mut length = 0;
    while let Some(piece) = pieces.next().await {
        length += piece.unwrap().len();
    }
    Ok(format!("{length} {}", answer(&session, uri.path()).await?))
}

async fn nothing(session: Session, uri: Uri) -> Answer<StatusCode> {
    answer(&session, uri.path()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn unchanged(session: Session, uri: Uri) -> Answer<StatusCode> {
    answer(&session, uri.path()).await?;
    Ok(StatusCode::NOT_MODIFIED)
}

async fn panics(session: Session, uri: Uri) -> Answer {
    answer(&session, uri.path()).await?;
    panic!("a mistake")
}

async fn error(session: Session, uri: Uri) -> Answer<(StatusCode, String)> {
    Ok((StatusCode::BAD_REQUEST, answer(&session, uri.path()).await?))
}

async fn cookie(session: Session, uri: Uri) -> Answer<impl IntoResponse> {
    Ok((AppendHeaders([("set-cookie", "own=1")]), answer(&session, uri.path()).await?))
}

async fn headed(session: Session, uri: Uri) -> Answer<impl IntoResponse> {
    let headers = adapter::headed(uri.query().unwrap_or_default());
    Ok((AppendHeaders(headers), answer(&session, uri.path()).await?))
}

async fn spawn(session: Session, uri: Uri) -> Answer {
    let text = answer(&session, uri.path()).await?;
    tokio::spawn(later(session.into_handle()));
    Ok(text)
}
