//! The application of the adapter contract on actix-web.

use actix_web::{
    Error as ActixError, HttpRequest, HttpResponse,
    cookie::Cookie,
    error,
    web::{self, Bytes, Payload, ServiceConfig},
};
use futures_util::{StreamExt as _, stream};
use session_actix::{MaybeSession, Session, SessionError, SessionMiddleware, TypedSession};
use session_core::{MemoryStore, Options};
use session_testkit::adapter::{
    self, Basket, Layers, MEGABYTES, Second, answer, later, meanwhile, megabyte, twice,
};

/// The application with its layers: a macro, because its type depends on each of them.
macro_rules! layered {
    ($layers:expr) => {{
        let [inner, outer, second] = $crate::routes::middlewares($layers);
        let on = |middleware: &Option<_>| middleware.is_some();
        use actix_web::middleware::Condition;
        actix_web::App::new()
            .configure($crate::routes::routes)
            .wrap(Condition::new(on(&inner), $crate::routes::or_any(inner)))
            .wrap(Condition::new(on(&outer), $crate::routes::or_any(outer)))
            .wrap(Condition::new(
                on(&second),
                $crate::routes::or_any(second).marked::<$crate::routes::Marker>(),
            ))
    }};
}
pub(crate) use layered;

pub(crate) type Marker = Second;

/// The innermost first, and the marked one.
pub(crate) fn middlewares(layers: Layers) -> [Option<SessionMiddleware>; 3] {
    let mut nested = layers.nested.into_iter().rev().map(SessionMiddleware::from);
    let middlewares = [nested.next(), nested.next(), layers.second.map(SessionMiddleware::from)];
    assert!(nested.next().is_none(), "the contract nests two");
    middlewares
}

/// In the place of one that is switched off.
pub(crate) fn or_any(middleware: Option<SessionMiddleware>) -> SessionMiddleware {
    let any = || SessionMiddleware::new(Options::new("keyboard cat").store(MemoryStore::new())).unwrap();
    middleware.unwrap_or_else(any)
}

pub(crate) fn routes(config: &mut ServiceConfig) {
    config
        .route("/none", web::get().to(async || "none"))
        .route("/optional", web::get().to(optional))
        .route("/twice/{rest:.*}", web::get().to(both))
        .route("/stream/{rest:.*}", web::get().to(streamed))
        .route("/megabytes/{rest:.*}", web::get().to(megabytes))
        .route("/upload/{rest:.*}", web::post().to(upload))
        .route("/nothing/{rest:.*}", web::get().to(nothing))
        .route("/unchanged/{rest:.*}", web::get().to(unchanged))
        .route("/panics/{rest:.*}", web::get().to(panics))
        .route("/error/{rest:.*}", web::get().to(error))
        .route("/cookie/{rest:.*}", web::get().to(cookie))
        .route("/headed/{rest:.*}", web::get().to(headed))
        .route("/later/{rest:.*}", web::get().to(spawn))
        .route("/second/{rest:.*}", web::get().to(second))
        .route("/both/{rest:.*}", web::get().to(side_by_side))
        .route("/typed/second/{rest:.*}", web::get().to(typed_second))
        .route("/typed/{rest:.*}", web::get().to(typed))
        .route("/unasked/{rest:.*}", web::get().to(unasked))
        .service(
            web::scope("/mounted")
                .route("/optional", web::get().to(optional))
                .default_service(web::to(plain)),
        )
        .default_service(web::to(plain));
}

type Answer<T = String> = Result<T, SessionError>;

async fn plain(session: Session, request: HttpRequest) -> Answer {
    Ok(answer(&session, request.path()).await?)
}

async fn second(session: Session<Second>, request: HttpRequest) -> Answer {
    Ok(answer(&session, request.path()).await?)
}

async fn side_by_side(first: Session, second: Session<Second>, request: HttpRequest) -> Answer {
    Ok(adapter::both(&first, &second, request.path()).await?)
}

async fn typed(basket: TypedSession<Basket>, request: HttpRequest) -> Answer {
    Ok(adapter::typed(&basket, request.path()).await?)
}

async fn typed_second(basket: TypedSession<Basket, Second>, request: HttpRequest) -> Answer {
    Ok(adapter::typed(&basket, request.path()).await?)
}

async fn unasked(request: HttpRequest) -> &'static str {
    adapter::unasked(request.path()).await;
    ""
}

async fn optional(session: MaybeSession) -> &'static str {
    if session.is_some() { "some" } else { "none" }
}

async fn both(one: Session, other: Session, request: HttpRequest) -> Answer {
    answer(&one, request.path()).await?;
    Ok(twice(&one, &other))
}

async fn streamed(session: Session, request: HttpRequest) -> Answer<HttpResponse> {
    let text = answer(&session, request.path()).await?;
    let pieces = stream::iter(text.into_bytes().into_iter().map(|byte| Bytes::from(vec![byte])));
    let last = stream::once(async move { meanwhile(session.into_handle(), request.path()).await.into() });
    Ok(HttpResponse::Ok().streaming(pieces.chain(last).map(Ok::<_, ActixError>)))
}

async fn megabytes(session: Session, request: HttpRequest) -> Answer<HttpResponse> {
    let text = answer(&session, request.path()).await?.into_bytes();
    let pieces = std::iter::once(text).chain(std::iter::repeat_with(megabyte).take(MEGABYTES));
    Ok(HttpResponse::Ok().streaming(stream::iter(pieces.map(|piece| Ok::<_, ActixError>(piece.into())))))
}

async fn upload(session: Session, request: HttpRequest, mut body: Payload) -> Answer {
    let mut length = 0;
    while let Some(piece) = body.next().await {
        length += piece.unwrap().len();
    }
    Ok(format!("{length} {}", answer(&session, request.path()).await?))
}

async fn nothing(session: Session, request: HttpRequest) -> Answer<HttpResponse> {
    answer(&session, request.path()).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn unchanged(session: Session, request: HttpRequest) -> Answer<HttpResponse> {
    answer(&session, request.path()).await?;
    Ok(HttpResponse::NotModified().finish())
}

async fn panics(session: Session, request: HttpRequest) -> Answer {
    answer(&session, request.path()).await?;
    panic!("a mistake")
}

async fn error(session: Session, request: HttpRequest) -> Result<String, ActixError> {
    Err(error::ErrorBadRequest(answer(&session, request.path()).await.map_err(SessionError::from)?))
}

async fn cookie(session: Session, request: HttpRequest) -> Answer<HttpResponse> {
    let text = answer(&session, request.path()).await?;
    Ok(HttpResponse::Ok().cookie(Cookie::new("own", "1")).body(text))
}

async fn headed(session: Session, request: HttpRequest) -> Answer<HttpResponse> {
    let mut response = HttpResponse::Ok();
    for header in adapter::headed(request.query_string()) {
        response.append_header(header);
    }
    Ok(response.body(answer(&session, request.path()).await?))
}

async fn spawn(session: Session, request: HttpRequest) -> Answer {
    let text = answer(&session, request.path()).await?;
    actix_web::rt::spawn(later(session.into_handle()));
    Ok(text)
}
