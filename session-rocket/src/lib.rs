#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

use std::{
    mem::{replace, take},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rocket::{
    Build, Data, Request, Response, Rocket, Route,
    fairing::{self, Fairing, Info, Kind},
    http::{Method, Status},
    request::{FromRequest, Outcome},
    response::Responder,
    route,
};
use session_core::{
    Error, Exchange, Failure, RequestInfo, ResponseHeaders, SessionData, SessionHandle, TypedHandle,
};

session_core::layer! {
    /// The fairing that gives every request its session.
    ///
    /// ```
    /// use rocket::{get, routes};
    /// use session_core::Options;
    /// use session_rocket::{Session, SessionError, SessionFairing};
    ///
    /// #[get("/")]
    /// async fn views(session: Session) -> Result<String, SessionError> {
    ///     let views = session.get::<u32>("views")?.unwrap_or(0) + 1;
    ///     session.insert("views", views)?;
    ///     Ok(format!("{views} views"))
    /// }
    ///
    /// let app = rocket::build().mount("/", routes![views]).attach(SessionFairing::new(Options::new("keyboard cat"))?);
    /// # Ok::<(), session_core::OptionsError>(())
    /// ```
    ///
    /// One that is attached later serves the requests that the earlier one leaves alone, because their path is outside its cookie's: so
    /// `/admin` can have sessions of its own. For several sessions in one request, give each its [`marker`](Self::marked).
    ///
    /// It saves the session in its turn among the response fairings: what one that is attached later changes, it saves itself
    /// ([`SessionHandle::save`]), or a warning says that it is dropped.
    pub struct SessionFairing;

    /// For a session beside others: of a type of the application's own, by which `Session<M>` finds it. Each needs another cookie
    /// name.
    ///
    /// ```
    /// use rocket::{get, routes};
    /// use session_core::Options;
    /// use session_rocket::{Session, SessionFairing};
    ///
    /// struct Cart;
    ///
    /// #[get("/")]
    /// async fn page(user: Session, cart: Session<Cart>) {}
    ///
    /// let app = rocket::build()
    ///     .mount("/", routes![page])
    ///     .attach(SessionFairing::new(Options::new("keyboard cat"))?)
    ///     .attach(SessionFairing::new(Options::new("keyboard cat").name("cart"))?.marked::<Cart>());
    /// # Ok::<(), session_core::OptionsError>(())
    /// ```
    pub fn marked;
}

#[rocket::async_trait]
impl<M: 'static> Fairing for SessionFairing<M> {
    fn info(&self) -> Info {
        Info { name: "Session", kind: Kind::Ignite | Kind::Request | Kind::Response }
    }

    async fn on_ignite(&self, rocket: Rocket<Build>) -> fairing::Result {
        let is_mounted = rocket.routes().any(|route| route.name.as_deref() == Some(UNREADABLE));
        let mounts = self.sessions.reads_on_arrival() && !is_mounted;
        Ok(if mounts { rocket.mount("/", unreadable()) } else { rocket })
    }

    async fn on_request(&self, request: &mut Request<'_>, _: &mut Data<'_>) {
        // A clone of a local client's request shares what the first one had.
        let around = exchange(request).filter(|around| !around.has_ended());
        // What the fairing before this one serves is its own, as in Express.
        let is_served = |around: &Exchange| describe(request, |info| around.is_served::<M>(info));
        if around.as_ref().is_some_and(is_served) {
            return;
        }
        let exchange = self.sessions.exchange_below::<M>(around.as_ref());
        // Of a request that this one is a clone of, nothing.
        let before = take(&mut *carried(request));
        let before = if around.is_some() { before } else { Carried::default() };
        *carried(request) = Carried { exchange: Some(exchange.clone()), ..before };
        if self.sessions.reads_on_arrival() {
            let session = describe(request, |info| exchange.session(info));
            if let Err(error) = session.await {
                let status = Status::new(error.status());
                // The first that fails is the one that is answered.
                carried(request).failed.get_or_insert(status);
            }
        }
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        let around = exchange(request);
        let Some(exchange) = around.as_ref().and_then(|around| around.begun_by::<M>(&self.sessions)) else {
            return;
        };
        // Attached twice, it comes by twice.
        if exchange.has_ended() {
            return;
        }
        let (outgoing, saved) = exchange.finish().await;
        if let Err(failure) = saved {
            let status = SessionError(failure).tell();
            *response = Response::build().status(status).finalize();
        }
        outgoing.apply(&mut Headers(response));
    }
}

/// What a request carries: empty until a fairing has come, so that who asks before finds nothing, and takes it from nobody.
#[derive(Default)]
struct Carried {
    exchange: Option<Exchange>,
    /// The status that the request ends with before its handler runs. A fairing cannot end it: a route that comes first does.
    failed: Option<Status>,
    /// The log knows that a guard is outside the cookie's path. Each guard, and those of catchers, would tell it again.
    outside_told: bool,
    /// And that there is no fairing.
    missing_told: bool,
}

fn carried<'r>(request: &'r Request<'_>) -> MutexGuard<'r, Carried> {
    request.local_cache(Mutex::<Carried>::default).lock().unwrap_or_else(PoisonError::into_inner)
}

fn exchange(request: &Request<'_>) -> Option<Exchange> {
    carried(request).exchange.clone()
}

struct Headers<'a, 'r>(&'a mut Response<'r>);

impl ResponseHeaders for Headers<'_, '_> {
    fn visit(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        self.0.headers().get(name).for_each(|value| visit(value.as_bytes()));
    }

    fn remove(&mut self, name: &str) {
        self.0.remove_header(name);
    }

    fn append(&mut self, name: &str, value: &[u8]) {
        if let Ok(value) = str::from_utf8(value) {
            self.0.adjoin_raw_header(name.to_owned(), value.to_owned());
        }
    }
}

/// Describes the request.
fn describe<T>(request: &Request<'_>, then: impl FnOnce(&RequestInfo<'_>) -> T) -> T {
    let (uri, headers) = (request.uri().to_string(), request.headers());
    // Of HTTP/2, whose requests need no such header.
    let authority = request.host().filter(|_| !headers.contains("host")).map(ToString::to_string);
    let encrypted = request.rocket().config().tls_enabled();
    let peer = request.remote().map(|remote| remote.ip());
    let each = |visit: &mut dyn FnMut(&str, &[u8])| {
        headers.iter().for_each(|header| visit(header.name().as_str(), header.value().as_bytes()));
        // Rocket's local client puts cookies into the jar alone.
        if !headers.contains("cookie") {
            request
                .cookies()
                .iter()
                .for_each(|cookie| visit("cookie", cookie.stripped().to_string().as_bytes()));
        }
    };
    let request = RequestInfo::new(&uri, encrypted, &each).with_method(request.method().as_str());
    then(&request.with_authority(authority.as_deref()).with_peer(peer))
}

/// Routes before all others, which end requests whose session could not be read: no handler runs.
fn unreadable() -> Vec<Route> {
    use Method::{Connect, Delete, Get, Head, Options, Patch, Post, Put, Trace};
    let methods = [Get, Put, Post, Delete, Options, Head, Trace, Connect, Patch];
    methods
        .map(|method| {
            let mut route = Route::ranked(isize::MIN, method, "/<path..>", Unreadable);
            route.name = Some(UNREADABLE.into());
            route
        })
        .into()
}

const UNREADABLE: &str = "session that could not be read";

#[derive(Clone)]
struct Unreadable;

#[rocket::async_trait]
impl route::Handler for Unreadable {
    async fn handle<'r>(&self, request: &'r Request<'_>, data: Data<'r>) -> route::Outcome<'r> {
        let failed = carried(request).failed;
        match failed {
            Some(status) => route::Outcome::Error(status),
            None => route::Outcome::Forward((data, Status::NotFound)),
        }
    }
}

session_core::extractor! {
    /// The session of the request, as a request guard. All that it can do stands at [`SessionHandle`], which it is behind `Deref`. `M` is
    /// the marker of its fairing, where there are [several](SessionFairing::marked). Catchers get it with `request.guard::<Session>()`.
    ///
    /// Beware of `Option<Session>`, which Rocket makes of every guard: it is `None` also when the store failed, and the log is told of an
    /// error outside the cookie's path too. Where a request may be there, take [`MaybeSession`].
    pub struct Session(SessionHandle);
}

#[rocket::async_trait]
impl<'r, M: 'static> FromRequest<'r> for Session<M> {
    type Error = SessionError;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, SessionError> {
        guarded(request, present::<M>(request).await.map(Self::from))
    }
}

session_core::extractor! {
    /// The session of a request that may be outside the cookie's path: there it is none. A store that failed is an error.
    pub struct MaybeSession(Option<SessionHandle>);
}

#[rocket::async_trait]
impl<'r, M: 'static> FromRequest<'r> for MaybeSession<M> {
    type Error = SessionError;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, SessionError> {
        guarded(request, session_of::<M>(request).await.map(Self::from))
    }
}

session_core::extractor! {
    /// The session of the request as one value of the application's own, as a request guard: `TypedSession<Cart>` for a `Cart` that is
    /// [`SessionData`], which has an example. All that it can do stands at [`TypedHandle`]. Where a request may be outside the cookie's path, take a
    /// [`MaybeSession`] and its `typed`, not an `Option` of this.
    pub struct TypedSession<T>(TypedHandle<T>);
}

#[rocket::async_trait]
impl<'r, T: SessionData, M: 'static> FromRequest<'r> for TypedSession<T, M> {
    type Error = SessionError;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, SessionError> {
        guarded(request, present::<M>(request).await.map(|session| session.typed().into()))
    }
}

async fn present<M: 'static>(request: &Request<'_>) -> Result<SessionHandle, SessionError> {
    session_of::<M>(request).await?.ok_or_else(|| Error::OutsidePath.into())
}

fn guarded<T>(request: &Request<'_>, session: Result<T, SessionError>) -> Outcome<T, SessionError> {
    match session {
        Ok(session) => Outcome::Success(session),
        Err(error) => {
            let mut carried = carried(request);
            let known = match error.error() {
                Error::OutsidePath => replace(&mut carried.outside_told, true).then_some(Error::OutsidePath),
                Error::NoLayer(missing) => {
                    replace(&mut carried.missing_told, true).then_some(Error::NoLayer(missing))
                }
                _ => None,
            };
            drop(carried);
            let error = known.map_or(error, |known| SessionError(Failure::told(known)));
            Outcome::Error((error.tell(), error))
        }
    }
}

/// The session of a request in a guard or fairing of your own; `None` outside the cookie's path.
///
/// # Errors
/// [`Error::NoLayer`]: no [`SessionFairing`] is attached; or the store failed.
pub async fn session(request: &Request<'_>) -> Result<Option<SessionHandle>, SessionError> {
    session_of::<()>(request).await
}

/// [`session`] by its fairing's [marker](SessionFairing::marked).
///
/// # Errors
/// Those of [`session`].
pub async fn session_of<M: 'static>(request: &Request<'_>) -> Result<Option<SessionHandle>, SessionError> {
    let around = exchange(request);
    let exchange = around.as_ref().and_then(Exchange::marked::<M>).ok_or(Error::NoLayer(MISSING))?;
    let session = describe(request, |info| exchange.session(info));
    session.await.map_err(|error| SessionError(Failure::told(error)))
}

const MISSING: &str = "add .attach(SessionFairing::new(options)?) to the rocket, before a fairing that asks for it; for a Session<M> one that is .marked::<M>()";

session_core::session_error! {
    /// Why there is no session, or what a call on it failed with: for the `?` of a handler. It is told to the log once, by the guard
    /// or when a response is made of it, and the client gets the [status](Error::status) and nothing else: for a page of your own,
    /// register a catcher. (No catcher comes after a save at the end of the request: if that fails, the response is empty.)
    pub struct SessionError;
}

impl SessionError {
    fn tell(&self) -> Status {
        Status::new(self.0.tell())
    }
}

impl<'r> Responder<'r, 'static> for SessionError {
    fn respond_to(self, _: &'r Request<'_>) -> rocket::response::Result<'static> {
        Err(self.tell())
    }
}
