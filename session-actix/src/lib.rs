#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

use std::{
    fmt,
    future::{Future, Ready, ready},
    ops::Deref,
    pin::Pin,
    rc::Rc,
    sync::Arc,
};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest, HttpResponse, ResponseError,
    body::{BoxBody, EitherBody, MessageBody},
    dev::{Payload, Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
    error::InternalError,
    http::{
        StatusCode,
        header::{HeaderMap, HeaderValue, SET_COOKIE},
    },
};
use session_core::{Error, Exchange, Options, OptionsError, RequestInfo, Sessions};

/// The middleware that gives every request below it its session.
///
/// ```
/// use actix_web::{App, web};
/// use session_actix::{Session, SessionError, SessionMiddleware};
/// use session_core::Options;
///
/// async fn views(session: Session) -> Result<String, SessionError> {
///     let views = session.get::<u32>("views")?.unwrap_or(0) + 1;
///     session.insert("views", views)?;
///     Ok(format!("{views} views"))
/// }
///
/// // Once, outside the closure that makes an `App` for each worker: they share the store and its locks.
/// let sessions = SessionMiddleware::new(Options::new("keyboard cat"))?;
/// let app = App::new().route("/", web::get().to(views)).wrap(sessions.clone());
/// # Ok::<(), session_core::OptionsError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SessionMiddleware {
    sessions: Sessions,
}

impl SessionMiddleware {
    /// From options, which are checked here.
    ///
    /// # Errors
    /// Options that cannot work; the error names the option.
    pub fn new(options: Options) -> Result<Self, OptionsError> {
        options.build().map(Self::from)
    }
}

/// From sessions that something else shares.
impl From<Sessions> for SessionMiddleware {
    fn from(sessions: Sessions) -> Self {
        Self { sessions }
    }
}

impl<S, B> Transform<S, ServiceRequest> for SessionMiddleware
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = actix_web::Error;
    type Transform = SessionService<S>;
    type InitError = ();
    type Future = Ready<Result<SessionService<S>, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(SessionService { inner: Rc::new(inner), sessions: self.sessions.clone() }))
    }
}

/// The service that [`SessionMiddleware`] makes.
#[derive(Debug)]
pub struct SessionService<S> {
    inner: Rc<S>,
    sessions: Sessions,
}

impl<S, B> Service<ServiceRequest> for SessionService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, actix_web::Error>>>>;

    forward_ready!(inner);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let inner = Rc::clone(&self.inner);
        // Below another of its kind this one does nothing, as in Express.
        if request.extensions().contains::<Exchange>() {
            return Box::pin(async move { Ok(inner.call(request).await?.map_into_left_body()) });
        }
        let exchange = self.sessions.exchange();
        request.extensions_mut().insert(exchange.clone());
        let session = self.sessions.reads_on_arrival().then(|| ask(&exchange, request.request()));
        Box::pin(async move {
            if let Some(session) = session
                && let Err(error) = session.await
            {
                // Its own `into_response` would lose the error.
                let (request, _) = request.into_parts();
                return Ok(ServiceResponse::new(
                    request,
                    HttpResponse::from_error(SessionError::told(error)),
                )
                .map_into_right_body());
            }
            end(exchange, inner.call(request).await).await
        })
    }
}

/// Writes the session and appends its cookie; also when the service below failed.
async fn end<B>(
    exchange: Exchange,
    response: Result<ServiceResponse<B>, actix_web::Error>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    match (response, exchange.end().await) {
        (Ok(mut response), Ok(cookies)) => {
            append(response.headers_mut(), &cookies);
            Ok(response.map_into_left_body())
        }
        (Ok(response), Err(error)) => {
            let cookies = error.cookies().to_vec();
            let mut failure = failure(error.into());
            append(failure.headers_mut(), &cookies);
            Ok(response.into_response(failure).map_into_right_body())
        }
        (Err(error), Ok(cookies)) => Err(with_cookies(error, &cookies)),
        (Err(below), Err(error)) => {
            if let Some(below) = below.as_error::<SessionError>() {
                below.tell();
            }
            let cookies = error.cookies().to_vec();
            Err(with_cookies(SessionError::from(Error::from(error)).into(), &cookies))
        }
    }
}

/// The error's own response carries the cookies.
fn with_cookies(error: actix_web::Error, cookies: &[String]) -> actix_web::Error {
    if cookies.is_empty() {
        return error;
    }
    let mut response = error.error_response();
    append(response.headers_mut(), cookies);
    InternalError::from_response(error, response).into()
}

fn append(headers: &mut HeaderMap, cookies: &[String]) {
    for cookie in cookies {
        if let Ok(value) = HeaderValue::try_from(cookie) {
            headers.append(SET_COOKIE, value);
        }
    }
}

/// Describes the request, and asks for its session.
fn ask(
    exchange: &Exchange,
    request: &HttpRequest,
) -> impl Future<Output = Result<Option<session_core::Session>, Error>> + Send + use<> {
    let headers = request.headers();
    let each = |visit: &mut dyn FnMut(&str, &[u8])| {
        headers.iter().for_each(|(name, value)| visit(name.as_str(), value.as_bytes()));
    };
    exchange.session(&RequestInfo::new(request.uri().path(), request.app_config().secure(), &each))
}

/// The response keeps the error, for middleware outside.
fn failure(error: Error) -> HttpResponse<BoxBody> {
    HttpResponse::from_error(SessionError::from(error))
}

/// The session of the request, as an extractor. All that it can do stands at [`session_core::Session`].
///
/// Beware of `Option<Session>`, which actix-web makes of every extractor: it is `None` also when the store failed. Where
/// a request may be outside the cookie's path, ask with [`SessionExt::session`].
#[derive(Clone, Debug)]
pub struct Session(pub session_core::Session);

impl Deref for Session {
    type Target = session_core::Session;

    fn deref(&self) -> &session_core::Session {
        &self.0
    }
}

impl FromRequest for Session {
    type Error = SessionError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, SessionError>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let session = request.session();
        Box::pin(async { session.await?.ok_or_else(|| Error::OutsidePath.into()) })
    }
}

/// The session of a request in a middleware of your own, below the session's: for [`HttpRequest`] and [`ServiceRequest`].
pub trait SessionExt {
    /// The session; `None` outside the cookie's path.
    ///
    /// # Errors
    /// [`Error::NoLayer`]: there is no [`SessionMiddleware`] around; or the store failed.
    fn session(&self) -> impl Future<Output = Result<Option<Session>, SessionError>> + use<Self>;
}

impl SessionExt for HttpRequest {
    fn session(&self) -> impl Future<Output = Result<Option<Session>, SessionError>> + use<> {
        let exchange = self.extensions().get::<Exchange>().cloned();
        let session = exchange.map(|exchange| ask(&exchange, self));
        async {
            let session = session.ok_or(Error::NoLayer(MISSING))?.await;
            Ok(session.map_err(SessionError::told)?.map(Session))
        }
    }
}

impl SessionExt for ServiceRequest {
    fn session(&self) -> impl Future<Output = Result<Option<Session>, SessionError>> + use<> {
        self.request().session()
    }
}

const MISSING: &str = "add .wrap(SessionMiddleware::new(options)?) around this route";

/// Why there is no session, or what a call on it failed with: for the `?` of a handler. It is told to the log when a response is
/// made of it, and the client gets the [status](Error::status) and nothing else. For a page of your own it is the response's error
/// (but where an inner middleware fails in a request of which a cookie goes out: that is another error, with a response):
///
/// ```
/// use actix_web::{dev::ServiceResponse, http::StatusCode, middleware::{ErrorHandlerResponse, ErrorHandlers}};
/// use session_actix::SessionError;
///
/// fn page<B>(response: ServiceResponse<B>) -> actix_web::Result<ErrorHandlerResponse<B>> {
///     let failed = response.response().error().and_then(|error| error.as_error::<SessionError>()).is_some();
///     let page = if failed { "We are sorry. Please try again." } else { "It is not available." };
///     let (request, response) = response.into_parts();
///     let response = response.set_body(page).map_into_boxed_body().map_into_right_body();
///     Ok(ErrorHandlerResponse::Response(ServiceResponse::new(request, response)))
/// }
///
/// let pages = ErrorHandlers::new().handler(StatusCode::SERVICE_UNAVAILABLE, page::<actix_web::body::BoxBody>);
/// ```
#[derive(Clone, Debug)]
pub struct SessionError {
    error: Arc<Error>,
    is_told: bool,
}

impl SessionError {
    /// What went wrong.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// The exchange has told the log.
    fn told(error: Error) -> Self {
        Self { error: Arc::new(error), is_told: true }
    }

    fn tell(&self) {
        if !self.is_told {
            self.error.log();
        }
    }
}

impl From<Error> for SessionError {
    fn from(error: Error) -> Self {
        Self { error: Arc::new(error), is_told: false }
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for SessionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl ResponseError for SessionError {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        self.tell();
        HttpResponse::new(self.status_code())
    }
}
