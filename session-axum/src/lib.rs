#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

use std::{
    fmt,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    BoxError,
    body::{Body, Bytes, HttpBody},
    extract::{ConnectInfo, FromRequestParts, OptionalFromRequestParts, OriginalUri},
    response::{IntoResponse, Response as AxumResponse},
};
use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri,
    request::Parts, uri::Authority,
};
use pin_project_lite::pin_project;
use session_core::{
    Error, Exchange, Failure, Lasting, RequestInfo, ResponseHeaders, Rest, SessionData, SessionHandle,
    TypedHandle,
};
use tower_layer::Layer;
use tower_service::Service;

session_core::layer! {
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
    ///
    /// Below another one it serves the requests that the outer one leaves alone, because their path is outside its cookie's: so
    /// `/admin` can have sessions of its own. For several sessions in one request, give each its [`marker`](Self::marked).
    pub struct SessionLayer;

    /// For a session beside others: of a type of the application's own, by which `Session<M>` finds it. Each needs another cookie
    /// name.
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use session_axum::{Session, SessionLayer};
    /// use session_core::Options;
    ///
    /// struct Cart;
    ///
    /// async fn page(user: Session, cart: Session<Cart>) {}
    ///
    /// let app: Router = Router::new()
    ///     .route("/", get(page))
    ///     .layer(SessionLayer::new(Options::new("keyboard cat"))?)
    ///     .layer(SessionLayer::new(Options::new("keyboard cat").name("cart"))?.marked::<Cart>());
    /// # Ok::<(), session_core::OptionsError>(())
    /// ```
    pub fn marked;
}

impl<S, M> Layer<S> for SessionLayer<M> {
    type Service = SessionService<S, M>;

    fn layer(&self, inner: S) -> SessionService<S, M> {
        SessionService { inner, layer: self.clone() }
    }
}

/// The service that [`SessionLayer`] makes.
pub struct SessionService<S, M = ()> {
    inner: S,
    layer: SessionLayer<M>,
}

impl<S: fmt::Debug, M> fmt::Debug for SessionService<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionService").field("inner", &self.inner).field("layer", &self.layer).finish()
    }
}

impl<S: Clone, M> Clone for SessionService<S, M> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), layer: self.layer.clone() }
    }
}

impl<S, M, RequestBody, ResponseBody> Service<Request<RequestBody>> for SessionService<S, M>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    M: 'static,
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
        // What the layer around this one serves is its own, as in Express.
        let around = request.extensions().get::<Exchange>();
        if around.is_some_and(|around| of_request(&request, |info| around.is_served::<M>(info))) {
            return Step::Handling { handler: self.inner.call(request), exchange: None }.into();
        }
        let exchange = self.layer.sessions.exchange_below::<M>(around);
        request.extensions_mut().insert(exchange.clone());
        if self.layer.sessions.reads_on_arrival() {
            let session = of_request(&request, |info| exchange.session(info));
            // The service that is ready is this one; its clone may not be.
            let clone = self.inner.clone();
            let mut inner = std::mem::replace(&mut self.inner, clone);
            return Step::lasting(&exchange.clone(), async move {
                match session.await {
                    Ok(_) => end(exchange, boxed(inner.call(request).await)).await,
                    Err(error) => end(exchange, Ok(SessionError(Failure::told(error)).into_response())).await,
                }
            });
        }
        let handler = self.inner.call(request);
        if exchange.may_outlive_client() {
            return Step::lasting(&exchange.clone(), async { end(exchange, boxed(handler.await)).await });
        }
        Step::Handling { handler, exchange: Some(exchange) }.into()
    }
}

pin_project! {
    /// The response, its session written and its cookie appended.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, E> {
        #[pin]
        step: Step<F, E>,
    }
}

pin_project! {
    #[project = StepNow]
    enum Step<F, E> {
        /// The handler is at work.
        Handling { #[pin] handler: F, exchange: Option<Exchange> },
        /// The session is being read or written; or all of it, where that shall outlive the client.
        Lasting { future: Lasting<Responding<E>> },
    }
}

type Responding<E> = dyn Future<Output = Result<Response<Body>, E>> + Send;

impl<F, E: Send + 'static> Step<F, E> {
    fn lasting(
        exchange: &Exchange,
        future: impl Future<Output = Result<Response<Body>, E>> + Send + 'static,
    ) -> ResponseFuture<F, E> {
        // Without a runtime there is nobody who could go on.
        let spawn = |rest: Rest<Responding<E>>| {
            let runtime = tokio::runtime::Handle::try_current();
            drop(runtime.map(|runtime| runtime.spawn(async { drop(rest.await) })));
        };
        Self::Lasting { future: Lasting::new(Box::pin(future), exchange.clone(), spawn) }.into()
    }
}

impl<F, E> From<Step<F, E>> for ResponseFuture<F, E> {
    fn from(step: Step<F, E>) -> Self {
        Self { step }
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
            let next = match self.as_mut().project().step.project() {
                StepNow::Lasting { future } => return Pin::new(future).poll(context),
                StepNow::Handling { handler, exchange } => {
                    let response = boxed(ready!(handler.poll(context)));
                    let concerns = |exchange: &Exchange| !exchange.ends_unasked() || exchange.is_used();
                    match exchange.take().filter(concerns) {
                        None => return Poll::Ready(response),
                        Some(exchange) => Step::lasting(&exchange.clone(), end(exchange, response)),
                    }
                }
            };
            self.set(next);
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
    let (outgoing, saved) = exchange.finish().await;
    let mut response = match (response, saved) {
        (Ok(response), Ok(())) => response,
        (Ok(_), Err(failure)) => SessionError(failure).into_response(),
        // It has no headers, and whoever makes a response of it knows no cookie.
        (Err(error), saved) => {
            if let Err(failure) = saved {
                failure.tell();
            }
            exchange.cookies_are_lost();
            return Err(error);
        }
    };
    outgoing.apply(&mut Headers(response.headers_mut()));
    Ok(response)
}

struct Headers<'a>(&'a mut HeaderMap);

impl ResponseHeaders for Headers<'_> {
    fn visit(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        self.0.get_all(name).iter().for_each(|value| visit(value.as_bytes()));
    }

    fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    fn append(&mut self, name: &str, value: &[u8]) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_bytes(value)) {
            self.0.append(name, value);
        }
    }
}

/// Describes the request.
fn of_request<B, T>(request: &Request<B>, then: impl FnOnce(&RequestInfo<'_>) -> T) -> T {
    describe(request.method(), request.uri(), request.headers(), request.extensions(), then)
}

fn describe<T>(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    extensions: &Extensions,
    then: impl FnOnce(&RequestInfo<'_>) -> T,
) -> T {
    // A nested router takes its prefix off the URI, and keeps what the client sent.
    let uri = extensions.get::<OriginalUri>().map_or(uri, |original| &original.0);
    let authority = uri.authority().map(Authority::as_str);
    let uri = uri.path_and_query().map_or(uri.path(), |path_and_query| path_and_query.as_str());
    let encrypted = extensions.get::<Encrypted>().is_some();
    let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
    let each = |visit: &mut dyn FnMut(&str, &[u8])| {
        headers.iter().for_each(|(name, value)| visit(name.as_str(), value.as_bytes()));
    };
    let request = RequestInfo::new(uri, encrypted, &each).with_method(method.as_str());
    then(&request.with_authority(authority).with_peer(peer))
}

/// A server that ends TLS itself puts this into the extensions of each request that came through it: then the connection
/// is secure. Behind a proxy, [`Options::proxy`](session_core::Options::proxy) is what you want.
#[derive(Clone, Copy, Debug)]
pub struct Encrypted;

session_core::extractor! {
    /// The session of the request, as an extractor. All that it can do stands at [`SessionHandle`], which it is behind `Deref`. `M` is the
    /// marker of its layer, where there are [several](SessionLayer::marked).
    ///
    /// `Option<Session>` is `None` where the request's path is outside the cookie's path.
    pub struct Session(SessionHandle);
}

impl<S: Send + Sync, M: 'static> FromRequestParts<S> for Session<M> {
    type Rejection = SessionError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SessionError> {
        Ok(session_of::<M>(parts).await?.ok_or(Error::OutsidePath)?.into())
    }
}

impl<S: Send + Sync, M: 'static> OptionalFromRequestParts<S> for Session<M> {
    type Rejection = SessionError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, SessionError> {
        Ok(session_of::<M>(parts).await?.map(Self::from))
    }
}

session_core::extractor! {
    /// The session of the request as one value of the application's own, as an extractor: `TypedSession<Cart>` for a `Cart` that is
    /// [`SessionData`], which has an example. All that it can do stands at [`TypedHandle`].
    pub struct TypedSession<T>(TypedHandle<T>);
}

impl<S: Send + Sync, T: SessionData, M: 'static> FromRequestParts<S> for TypedSession<T, M> {
    type Rejection = SessionError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SessionError> {
        Ok(session_of::<M>(parts).await?.ok_or(Error::OutsidePath)?.typed().into())
    }
}

impl<S: Send + Sync, T: SessionData, M: 'static> OptionalFromRequestParts<S> for TypedSession<T, M> {
    type Rejection = SessionError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, SessionError> {
        Ok(session_of::<M>(parts).await?.map(|session| session.typed().into()))
    }
}

/// The session of a request in a middleware of your own, below the layer; `None` outside the cookie's path.
///
/// # Errors
/// [`Error::NoLayer`]: there is no [`SessionLayer`] above; or the store failed.
pub async fn session(parts: &Parts) -> Result<Option<SessionHandle>, SessionError> {
    session_of::<()>(parts).await
}

/// [`session`] by its layer's [marker](SessionLayer::marked).
///
/// # Errors
/// Those of [`session`].
pub async fn session_of<M: 'static>(parts: &Parts) -> Result<Option<SessionHandle>, SessionError> {
    let exchange =
        parts.extensions.get::<Exchange>().and_then(Exchange::marked::<M>).ok_or(Error::NoLayer(MISSING))?;
    let session =
        describe(&parts.method, &parts.uri, &parts.headers, &parts.extensions, |info| exchange.session(info));
    session.await.map_err(|error| SessionError(Failure::told(error)))
}

const MISSING: &str = "add .layer(SessionLayer::new(options)?) after all routes and layers that ask for it; for a Session<M> one that is .marked::<M>()";

session_core::session_error! {
    /// Why there is no session, or what a call on it failed with: for the `?` of a handler. It is told to the log when a response is
    /// made of it, and the client gets the [status](Error::status) and nothing else. For a page of your own it is in the response's
    /// extensions:
    ///
    /// ```
    /// use axum::{Router, http::header::CONTENT_LENGTH, middleware::map_response, response::Response};
    /// use session_axum::SessionError;
    ///
    /// async fn page(mut response: Response) -> Response {
    ///     if response.extensions().get::<SessionError>().is_some() {
    ///         // Another body under the same head, which may bring a cookie, and knows how long the empty one is.
    ///         response.headers_mut().remove(CONTENT_LENGTH);
    ///         *response.body_mut() = "We are sorry. Please try again.".into();
    ///     }
    ///     response
    /// }
    ///
    /// let app: Router = Router::new().layer(map_response(page));
    /// ```
    pub struct SessionError;
}

impl IntoResponse for SessionError {
    fn into_response(self) -> AxumResponse {
        let status = StatusCode::from_u16(self.0.tell()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
