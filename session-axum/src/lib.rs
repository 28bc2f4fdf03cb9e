#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

use std::{
    fmt,
    ops::Deref,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::{
    BoxError,
    body::{Body, Bytes, HttpBody},
    extract::{FromRequestParts, OptionalFromRequestParts, OriginalUri},
    response::{IntoResponse, Response as AxumResponse},
};
use http::{Extensions, HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header, request::Parts};
use pin_project_lite::pin_project;
use session_core::{Error, Exchange, Options, OptionsError, RequestInfo, Sessions};
use tower_layer::Layer;
use tower_service::Service;

/// The layer that gives every request below it its session. Put it outside of what turns errors into responses
/// (`HandleErrorLayer` around a time-out, say): where the service below answers an error, there is no response to carry a
/// cookie, and a visitor whose id was renewed by then is logged out. A warning says so.
///
/// ```
/// use axum::{Router, routing::get};
/// use session_axum::{Session, SessionError, SessionLayer};
/// use session_core::Options;
///
/// async fn views(session: Session) -> Result<String, SessionError> {
///     let views = session.get::<u32>("views")?.unwrap_or(0) + 1;
///     session.insert("views", views)?;
///     Ok(format!("{views} views"))
/// }
///
/// let app: Router = Router::new().route("/", get(views)).layer(SessionLayer::new(Options::new("keyboard cat"))?);
/// # Ok::<(), session_core::OptionsError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SessionLayer {
    sessions: Sessions,
}

impl SessionLayer {
    /// From options, which are checked here.
    ///
    /// # Errors
    /// Options that cannot work; the error names the option.
    pub fn new(options: Options) -> Result<Self, OptionsError> {
        options.build().map(Self::from)
    }
}

/// From sessions that something else shares.
impl From<Sessions> for SessionLayer {
    fn from(sessions: Sessions) -> Self {
        Self { sessions }
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> SessionService<S> {
        SessionService { inner, sessions: self.sessions.clone() }
    }
}

/// The service that [`SessionLayer`] makes.
#[derive(Clone, Debug)]
pub struct SessionService<S> {
    inner: S,
    sessions: Sessions,
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for SessionService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    RequestBody: Send + 'static,
    ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    ResponseBody::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        // Below another layer this one does nothing, as in Express.
        if request.extensions().get::<Exchange>().is_some() {
            return ResponseFuture::Handling { handler: self.inner.call(request), exchange: None };
        }
        let exchange = self.sessions.exchange();
        request.extensions_mut().insert(exchange.clone());
        if !self.sessions.reads_on_arrival() {
            return ResponseFuture::Handling { handler: self.inner.call(request), exchange: Some(exchange) };
        }
        let session = ask(&exchange, request.uri(), request.headers(), request.extensions());
        // The service that is ready is this one; its clone may not be.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        ResponseFuture::Boxed {
            future: Box::pin(async move {
                match session.await {
                    Ok(_) => end(exchange, boxed(inner.call(request).await)).await,
                    Err(error) => Ok(SessionError::told(error).into_response()),
                }
            }),
        }
    }
}

pin_project! {
    /// The response, its session written and its cookie appended.
    #[project = Step]
    #[must_use = "futures do nothing unless polled"]
    pub enum ResponseFuture<F, E> {
        /// The handler is at work.
        #[allow(missing_docs)]
        Handling { #[pin] handler: F, exchange: Option<Exchange> },
        /// The session is being read or written.
        #[allow(missing_docs)]
        Boxed { future: Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>> },
    }
}

impl<F, B, E> Future for ResponseFuture<F, E>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    E: Send + 'static,
{
    type Output = Result<Response<Body>, E>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let next = match self.as_mut().project() {
                Step::Boxed { future } => return future.as_mut().poll(context),
                Step::Handling { handler, exchange } => {
                    let response = boxed(ready!(handler.poll(context)));
                    match exchange.take().filter(|exchange| !exchange.ends_unasked()) {
                        None => return Poll::Ready(response),
                        Some(exchange) => Box::pin(end(exchange, response)),
                    }
                }
            };
            self.set(Self::Boxed { future: next });
        }
    }
}

impl<F, E> fmt::Debug for ResponseFuture<F, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

/// Any body below, and axum's above: it can be empty, where the session could not be read or saved.
fn boxed<B, E>(response: Result<Response<B>, E>) -> Result<Response<Body>, E>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    response.map(|response| response.map(Body::new))
}

/// Writes the session and appends its cookie; also when the service below failed.
async fn end<E>(exchange: Exchange, response: Result<Response<Body>, E>) -> Result<Response<Body>, E> {
    let ended = exchange.end().await;
    let mut response = match response {
        Ok(response) => response,
        // It has no headers, and whoever makes a response of it knows no cookie.
        Err(error) => {
            if let Err(unsaved) = ended {
                Error::from(unsaved).log();
            }
            exchange.cookies_are_lost();
            return Err(error);
        }
    };
    match ended {
        Ok(cookies) => append(response.headers_mut(), &cookies),
        Err(error) => {
            let cookies = error.cookies().to_vec();
            response = SessionError::from(Error::from(error)).into_response();
            append(response.headers_mut(), &cookies);
        }
    }
    Ok(response)
}

fn append(headers: &mut HeaderMap, cookies: &[String]) {
    for cookie in cookies {
        if let Ok(value) = HeaderValue::try_from(cookie) {
            headers.append(header::SET_COOKIE, value);
        }
    }
}

/// Describes the request, and asks for its session.
fn ask(
    exchange: &Exchange,
    uri: &Uri,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> impl Future<Output = Result<Option<session_core::Session>, Error>> + Send + use<> {
    // A nested router takes its prefix off the URI, and keeps what the client sent.
    let uri = extensions.get::<OriginalUri>().map_or(uri, |original| &original.0);
    let encrypted = extensions.get::<Encrypted>().is_some();
    let each = |visit: &mut dyn FnMut(&str, &[u8])| {
        headers.iter().for_each(|(name, value)| visit(name.as_str(), value.as_bytes()));
    };
    exchange.session(&RequestInfo::new(uri.path(), encrypted, &each))
}

/// A server that ends TLS itself puts this into the extensions of each request that came through it: then the connection
/// is secure. Behind a proxy, [`Options::proxy`] is what you want.
#[derive(Clone, Copy, Debug)]
pub struct Encrypted;

/// The session of the request, as an extractor. All that it can do stands at [`session_core::Session`].
///
/// `Option<Session>` is `None` where the request's path is outside the cookie's path.
#[derive(Clone, Debug)]
pub struct Session(pub session_core::Session);

impl Deref for Session {
    type Target = session_core::Session;

    fn deref(&self) -> &session_core::Session {
        &self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Session {
    type Rejection = SessionError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SessionError> {
        session(parts).await?.ok_or_else(|| Error::OutsidePath.into())
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Session {
    type Rejection = SessionError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, SessionError> {
        session(parts).await
    }
}

/// The session of a request in a middleware of your own, below the layer; `None` outside the cookie's path.
///
/// # Errors
/// [`Error::NoLayer`]: there is no [`SessionLayer`] above; or the store failed.
pub async fn session(parts: &Parts) -> Result<Option<Session>, SessionError> {
    let exchange = parts.extensions.get::<Exchange>().ok_or(Error::NoLayer(MISSING))?;
    let session = ask(exchange, &parts.uri, &parts.headers, &parts.extensions);
    Ok(session.await.map_err(SessionError::told)?.map(Session))
}

const MISSING: &str = "add .layer(SessionLayer::new(options)?) around this route";

/// Why there is no session, or what a call on it failed with: for the `?` of a handler. It is told to the log when a response is
/// made of it, and the client gets the [status](Error::status) and nothing else. For a page of your own it is in the response's
/// extensions:
///
/// ```
/// use axum::{Router, http::StatusCode, middleware::map_response, response::{IntoResponse, Response}};
/// use session_axum::SessionError;
///
/// async fn page(response: Response) -> Response {
///     match response.extensions().get::<SessionError>() {
///         Some(_) => (response.status(), "We are sorry. Please try again.").into_response(),
///         None => response,
///     }
/// }
///
/// let app: Router = Router::new().layer(map_response(page));
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

impl IntoResponse for SessionError {
    fn into_response(self) -> AxumResponse {
        if !self.is_told {
            self.error.log();
        }
        let status = StatusCode::from_u16(self.error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(Self { is_told: true, ..self });
        response
    }
}
