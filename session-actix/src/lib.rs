#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

use std::{
    fmt,
    future::{Future, Ready, ready},
    pin::Pin,
    rc::Rc,
};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest, HttpResponse, ResponseError,
    body::{BoxBody, EitherBody, MessageBody},
    dev::{Payload, Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
    error::InternalError,
    http::{
        StatusCode,
        header::{HeaderMap, HeaderName, HeaderValue},
        uri::Authority,
    },
};
use session_core::{
    Error, Exchange, Failure, Lasting, Outgoing, RequestInfo, ResponseHeaders, Rest, SessionData,
    SessionHandle, TypedHandle,
};

session_core::layer! {
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
    ///
    /// Below another one it serves the requests that the outer one leaves alone, because their path is outside its cookie's: so
    /// `/admin` can have sessions of its own. For several sessions in one request, give each its [`marker`](Self::marked).
    pub struct SessionMiddleware;

    /// For a session beside others: of a type of the application's own, by which `Session<M>` finds it. Each needs another cookie
    /// name.
    ///
    /// ```
    /// use actix_web::{App, web};
    /// use session_actix::{Session, SessionMiddleware};
    /// use session_core::Options;
    ///
    /// struct Cart;
    ///
    /// async fn page(user: Session, cart: Session<Cart>) -> &'static str { "" }
    ///
    /// let app = App::new()
    ///     .route("/", web::get().to(page))
    ///     .wrap(SessionMiddleware::new(Options::new("keyboard cat"))?)
    ///     .wrap(SessionMiddleware::new(Options::new("keyboard cat").name("cart"))?.marked::<Cart>());
    /// # Ok::<(), session_core::OptionsError>(())
    /// ```
    pub fn marked;
}

impl<S, B, M> Transform<S, ServiceRequest> for SessionMiddleware<M>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    B: MessageBody + 'static,
    M: 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = actix_web::Error;
    type Transform = SessionService<S, M>;
    type InitError = ();
    type Future = Ready<Result<SessionService<S, M>, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(SessionService { inner: Rc::new(inner), middleware: self.clone() }))
    }
}

/// The service that [`SessionMiddleware`] makes.
pub struct SessionService<S, M = ()> {
    inner: Rc<S>,
    middleware: SessionMiddleware<M>,
}

impl<S: fmt::Debug, M> fmt::Debug for SessionService<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inner, middleware } = self;
        f.debug_struct("SessionService").field("inner", inner).field("middleware", middleware).finish()
    }
}

impl<S, B, M> Service<ServiceRequest> for SessionService<S, M>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    B: MessageBody + 'static,
    M: 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, actix_web::Error>>>>;

    forward_ready!(inner);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let inner = Rc::clone(&self.inner);
        // What the middleware around this one serves is its own, as in Express.
        let around = request.extensions().get::<Exchange>().cloned();
        let is_served = |around: &Exchange| describe(request.request(), |info| around.is_served::<M>(info));
        if around.as_ref().is_some_and(is_served) {
            return Box::pin(async move { Ok(inner.call(request).await?.map_into_left_body()) });
        }
        let exchange = self.middleware.sessions.exchange_below::<M>(around.as_ref());
        request.extensions_mut().insert(exchange.clone());
        let on_arrival = self.middleware.sessions.reads_on_arrival();
        let session = on_arrival.then(|| describe(request.request(), |info| exchange.session(info)));
        lasting(&exchange.clone(), async move {
            if let Some(session) = session
                && let Err(error) = session.await
            {
                // Its own `into_response` would lose the error.
                let (request, _) = request.into_parts();
                let mut failure = HttpResponse::from_error(SessionError(Failure::told(error)));
                exchange.finish().await.0.apply(&mut Headers(failure.headers_mut()));
                return Ok(ServiceResponse::new(request, failure).map_into_right_body());
            }
            end(exchange, inner.call(request).await).await
        })
    }
}

/// The request's future, which may outlive its client.
fn lasting<B: 'static>(
    exchange: &Exchange,
    future: impl Future<Output = Result<ServiceResponse<B>, actix_web::Error>> + 'static,
) -> Responding<Result<ServiceResponse<B>, actix_web::Error>> {
    if !exchange.may_outlive_client() {
        return Box::pin(future);
    }
    let spawn = |rest: Rest<dyn Future<Output = Result<ServiceResponse<B>, actix_web::Error>>>| {
        let rest = async {
            // Nobody makes a response of it any more.
            if let Err(error) = rest.await {
                told(&error);
            }
        };
        // Outside of a task there is no worker that could go on.
        drop(tokio::task::try_id().map(|_| actix_web::rt::spawn(rest)));
    };
    let future: Pin<Box<dyn Future<Output = _>>> = Box::pin(future);
    Box::pin(Lasting::new(future, exchange.clone(), spawn))
}

/// The log is told of one of ours, which nobody makes a response of.
fn told(error: &actix_web::Error) {
    if let Some(error) = error.as_error::<SessionError>() {
        error.0.tell();
    }
}

type Responding<T> = Pin<Box<dyn Future<Output = T>>>;

/// Writes the session and appends its cookie; also when the service below failed.
async fn end<B>(
    exchange: Exchange,
    response: Result<ServiceResponse<B>, actix_web::Error>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let (outgoing, saved) = exchange.finish().await;
    match (response, saved) {
        (Ok(mut response), Ok(())) => {
            outgoing.apply(&mut Headers(response.headers_mut()));
            Ok(response.map_into_left_body())
        }
        (Ok(response), Err(failure)) => {
            // The response keeps the error, for middleware outside.
            let mut failure = HttpResponse::from_error(SessionError(failure));
            outgoing.apply(&mut Headers(failure.headers_mut()));
            Ok(response.into_response(failure).map_into_right_body())
        }
        (Err(error), Ok(())) => Err(with_headers(error, &outgoing)),
        (Err(below), Err(failure)) => {
            told(&below);
            Err(with_headers(SessionError(failure).into(), &outgoing))
        }
    }
}

/// The error's own response carries them. An error makes it anew whenever it is asked, and so it is kept in another one, for which
/// middleware outside pays: it does not see the first one any more. So it is left alone where only caches would be told something.
fn with_headers(error: actix_web::Error, outgoing: &Outgoing) -> actix_web::Error {
    if !outgoing.is_for_the_client() {
        return error;
    }
    let mut response = error.error_response();
    outgoing.apply(&mut Headers(response.headers_mut()));
    InternalError::from_response(error, response).into()
}

struct Headers<'a>(&'a mut HeaderMap);

impl ResponseHeaders for Headers<'_> {
    fn visit(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        self.0.get_all(name).for_each(|value| visit(value.as_bytes()));
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
fn describe<T>(request: &HttpRequest, then: impl FnOnce(&RequestInfo<'_>) -> T) -> T {
    let (uri, headers) = (request.uri(), request.headers());
    let authority = uri.authority().map(Authority::as_str);
    let uri = uri.path_and_query().map_or(uri.path(), |path_and_query| path_and_query.as_str());
    let encrypted = request.app_config().secure();
    let peer = request.peer_addr().map(|peer| peer.ip());
    let each = |visit: &mut dyn FnMut(&str, &[u8])| {
        headers.iter().for_each(|(name, value)| visit(name.as_str(), value.as_bytes()));
    };
    let request = RequestInfo::new(uri, encrypted, &each).with_method(request.method().as_str());
    then(&request.with_authority(authority).with_peer(peer))
}

session_core::extractor! {
    /// The session of the request, as an extractor. All that it can do stands at [`SessionHandle`], which it is behind `Deref`. `M` is the
    /// marker of its middleware, where there are [several](SessionMiddleware::marked).
    ///
    /// Beware of `Option<Session>`, which actix-web makes of every extractor: it is `None` also when the store failed. Where
    /// a request may be outside the cookie's path, take [`MaybeSession`].
    pub struct Session(SessionHandle);
}

impl<M: 'static> FromRequest for Session<M> {
    type Error = SessionError;
    type Future = Responding<Result<Self, SessionError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let session = extracted::<M>(request);
        Box::pin(async { Ok(session.await?.ok_or(Error::OutsidePath)?.into()) })
    }
}

session_core::extractor! {
    /// The session of a request that may be outside the cookie's path: there it is none. A store that failed is an error.
    pub struct MaybeSession(Option<SessionHandle>);
}

impl<M: 'static> FromRequest for MaybeSession<M> {
    type Error = SessionError;
    type Future = Responding<Result<Self, SessionError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let session = extracted::<M>(request);
        Box::pin(async { Ok(session.await?.into()) })
    }
}

session_core::extractor! {
    /// The session of the request as one value of the application's own, as an extractor: `TypedSession<Cart>` for a `Cart` that is
    /// [`SessionData`], which has an example. All that it can do stands at [`TypedHandle`]. Where a request may be outside the cookie's path, take a
    /// [`MaybeSession`] and its `typed`, not an `Option` of this.
    pub struct TypedSession<T>(TypedHandle<T>);
}

impl<T: SessionData + 'static, M: 'static> FromRequest for TypedSession<T, M> {
    type Error = SessionError;
    type Future = Responding<Result<Self, SessionError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let session = extracted::<M>(request);
        Box::pin(async { Ok(session.await?.ok_or(Error::OutsidePath)?.typed().into()) })
    }
}

/// Told at once: an `Option` of the extractor would hide that the middleware was forgotten. And once, however many extractors there are.
fn extracted<M: 'static>(
    request: &HttpRequest,
) -> impl Future<Output = Result<Option<SessionHandle>, SessionError>> + use<M> {
    let session = request.session_of::<M>();
    // Here and not in the future, which may hold no request: actix-web wants it for itself.
    let is_missing = request.extensions().get::<Exchange>().and_then(Exchange::marked::<M>).is_none();
    let is_told = request.extensions().contains::<MissingTold>();
    if is_missing && !is_told {
        Failure::from(Error::NoLayer(MISSING)).tell();
        request.extensions_mut().insert(MissingTold);
    }
    async {
        session.await.map_err(|error| match error.error() {
            Error::NoLayer(missing) => SessionError(Failure::told(Error::NoLayer(missing))),
            _ => error,
        })
    }
}

struct MissingTold;

/// The session of a request in a middleware of your own, below the session's: for [`HttpRequest`] and [`ServiceRequest`].
pub trait SessionExt {
    /// The session; `None` outside the cookie's path.
    ///
    /// # Errors
    /// [`Error::NoLayer`]: there is no [`SessionMiddleware`] around; or the store failed.
    fn session(&self) -> impl Future<Output = Result<Option<SessionHandle>, SessionError>> + use<Self> {
        self.session_of::<()>()
    }

    /// The session by its middleware's [marker](SessionMiddleware::marked).
    ///
    /// # Errors
    /// Those of [`session`](Self::session).
    fn session_of<M: 'static>(
        &self,
    ) -> impl Future<Output = Result<Option<SessionHandle>, SessionError>> + use<Self, M>;
}

impl SessionExt for HttpRequest {
    fn session_of<M: 'static>(
        &self,
    ) -> impl Future<Output = Result<Option<SessionHandle>, SessionError>> + use<M> {
        let exchange = self.extensions().get::<Exchange>().and_then(Exchange::marked::<M>).cloned();
        let session = exchange.map(|exchange| describe(self, |info| exchange.session(info)));
        async {
            let session = session.ok_or(Error::NoLayer(MISSING))?.await;
            session.map_err(|error| SessionError(Failure::told(error)))
        }
    }
}

impl SessionExt for ServiceRequest {
    fn session_of<M: 'static>(
        &self,
    ) -> impl Future<Output = Result<Option<SessionHandle>, SessionError>> + use<M> {
        self.request().session_of::<M>()
    }
}

const MISSING: &str = "add .wrap(SessionMiddleware::new(options)?) after every wrap that asks for it; for a Session<M> one that is .marked::<M>()";

session_core::session_error! {
    /// Why there is no session, or what a call on it failed with: for the `?` of a handler. It is told to the log by the extractor,
    /// or when a response is made of it, and the client gets the [status](Error::status) and nothing else. For a page of your own it is the response's error
    /// (but where an inner middleware fails in a request of which a cookie goes out: that is another error, with a response; and of one
    /// of which none does, the response tells caches nothing of the session, see [`CacheHeaders`](session_core::CacheHeaders)):
    ///
    /// ```
    /// use actix_web::{App, dev::ServiceResponse, http::StatusCode, middleware::{ErrorHandlerResponse, ErrorHandlers}};
    /// use session_actix::{SessionError, SessionMiddleware};
    /// use session_core::Options;
    ///
    /// fn page<B>(response: ServiceResponse<B>) -> actix_web::Result<ErrorHandlerResponse<B>> {
    ///     let failed = response.response().error().and_then(|error| error.as_error::<SessionError>()).is_some();
    ///     let page = if failed { "We are sorry. Please try again." } else { "It is not available." };
    ///     let (request, response) = response.into_parts();
    ///     let response = response.set_body(page).map_into_boxed_body().map_into_right_body();
    ///     Ok(ErrorHandlerResponse::Response(ServiceResponse::new(request, response)))
    /// }
    ///
    /// let sessions = SessionMiddleware::new(Options::new("keyboard cat"))?;
    /// let pages = ErrorHandlers::new().handler(StatusCode::SERVICE_UNAVAILABLE, page);
    /// let app = App::new().wrap(sessions).wrap(pages);
    /// # Ok::<(), session_core::OptionsError>(())
    /// ```
    pub struct SessionError;
}

impl ResponseError for SessionError {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.error().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        self.0.tell();
        HttpResponse::new(self.status_code())
    }
}
