#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

use std::{
    fmt,
    future::Future,
    ops::Deref,
    sync::{Arc, OnceLock},
};

use rocket::{
    Build, Data, Request, Response, Rocket, Route,
    fairing::{self, Fairing, Info, Kind},
    http::{Method, Status},
    request::{FromRequest, Outcome},
    response::Responder,
    route,
};
use session_core::{Error, Exchange, Options, OptionsError, RequestInfo, Sessions};

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
#[derive(Clone, Debug)]
pub struct SessionFairing {
    sessions: Sessions,
}

impl SessionFairing {
    /// From options, which are checked here.
    ///
    /// # Errors
    /// Options that cannot work; the error names the option.
    pub fn new(options: Options) -> Result<Self, OptionsError> {
        options.build().map(Self::from)
    }
}

/// From sessions that something else shares.
impl From<Sessions> for SessionFairing {
    fn from(sessions: Sessions) -> Self {
        Self { sessions }
    }
}

/// What a request carries. A fairing cannot fail it: a route that comes first does.
struct Carried {
    exchange: Exchange,
    failed: Option<Status>,
}

#[rocket::async_trait]
impl Fairing for SessionFairing {
    fn info(&self) -> Info {
        Info { name: "Session", kind: Kind::Ignite | Kind::Request | Kind::Response | Kind::Singleton }
    }

    async fn on_ignite(&self, rocket: Rocket<Build>) -> fairing::Result {
        Ok(if self.sessions.reads_on_arrival() { rocket.mount("/", unreadable()) } else { rocket })
    }

    async fn on_request(&self, request: &mut Request<'_>, _: &mut Data<'_>) {
        let exchange = self.sessions.exchange();
        let read =
            if self.sessions.reads_on_arrival() { ask(&exchange, request).await.map(drop) } else { Ok(()) };
        let failed = read.err().map(|error| SessionError::told(error).tell());
        // Set once: this fairing is a singleton.
        _ = slot(request).set(Carried { exchange, failed });
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        let Some(carried) = slot(request).get() else { return };
        match carried.exchange.end().await {
            Ok(cookies) => append(response, &cookies),
            Err(error) => {
                let cookies = error.cookies().to_vec();
                let status = SessionError::from(Error::from(error)).tell();
                *response = Response::build().status(status).finalize();
                append(response, &cookies);
            }
        }
    }
}

/// Empty until this fairing has come: who asks before finds nothing, and takes it from nobody.
fn slot<'r>(request: &'r Request<'_>) -> &'r OnceLock<Carried> {
    request.local_cache(OnceLock::new)
}

fn append(response: &mut Response<'_>, cookies: &[String]) {
    for cookie in cookies {
        response.adjoin_raw_header("Set-Cookie", cookie.clone());
    }
}

/// Describes the request, and asks for its session.
fn ask(
    exchange: &Exchange,
    request: &Request<'_>,
) -> impl Future<Output = Result<Option<session_core::Session>, Error>> + Send + use<> {
    let headers = request.headers();
    let each = |visit: &mut dyn FnMut(&str, &[u8])| {
        headers.iter().for_each(|header| visit(header.name().as_str(), header.value().as_bytes()));
        // Rocket's local client puts cookies into the jar alone.
        if !headers.contains("cookie") {
            request
                .cookies()
                .iter()
                .for_each(|cookie| visit("cookie", cookie.encoded().to_string().as_bytes()));
        }
    };
    exchange.session(&RequestInfo::new(
        request.uri().path().as_str(),
        request.rocket().config().tls_enabled(),
        &each,
    ))
}

/// Routes before all others, which end requests whose session could not be read: no handler runs.
fn unreadable() -> Vec<Route> {
    use Method::{Connect, Delete, Get, Head, Options, Patch, Post, Put, Trace};
    let methods = [Get, Put, Post, Delete, Options, Head, Trace, Connect, Patch];
    methods.map(|method| Route::ranked(isize::MIN, method, "/<path..>", Unreadable)).into()
}

#[derive(Clone)]
struct Unreadable;

#[rocket::async_trait]
impl route::Handler for Unreadable {
    async fn handle<'r>(&self, request: &'r Request<'_>, data: Data<'r>) -> route::Outcome<'r> {
        match slot(request).get().and_then(|carried| carried.failed) {
            Some(status) => route::Outcome::Error(status),
            None => route::Outcome::Forward((data, Status::NotFound)),
        }
    }
}

/// The session of the request, as a request guard. All that it can do stands at [`session_core::Session`]. Catchers get it
/// with `request.guard::<Session>()`.
///
/// Beware of `Option<Session>`, which Rocket makes of every guard: it is `None` also when the store failed. Where a
/// request may be outside the cookie's path, take `Result<Session, SessionError>`.
#[derive(Clone, Debug)]
pub struct Session(pub session_core::Session);

impl Deref for Session {
    type Target = session_core::Session;

    fn deref(&self) -> &session_core::Session {
        &self.0
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Session {
    type Error = SessionError;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, SessionError> {
        match session(request).await.and_then(|session| session.ok_or_else(|| Error::OutsidePath.into())) {
            Ok(session) => Outcome::Success(session),
            // A route may take that for an answer: what Rocket logs of a guard that fails is enough.
            Err(error) if matches!(*error.error, Error::OutsidePath) => {
                Outcome::Error((error.status(), error))
            }
            Err(mut error) => Outcome::Error((error.tell(), error)),
        }
    }
}

/// The session of a request in a guard or fairing of your own; `None` outside the cookie's path.
///
/// # Errors
/// [`Error::NoLayer`]: no [`SessionFairing`] is attached; or the store failed.
pub async fn session(request: &Request<'_>) -> Result<Option<Session>, SessionError> {
    let carried = slot(request).get().ok_or(Error::NoLayer(MISSING))?;
    Ok(ask(&carried.exchange, request).await.map_err(SessionError::told)?.map(Session))
}

const MISSING: &str = "add .attach(SessionFairing::new(options)?) to the rocket";

/// Why there is no session, or what a call on it failed with: for the `?` of a handler. It is told to the log once, by the guard or
/// when a response is made of it, and the client gets the [status](Error::status) and nothing else: for a page of your own,
/// register a catcher. (No catcher comes after a save at the end of the request: if that fails, the response is empty.)
#[derive(Clone)]
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

    fn tell(&mut self) -> Status {
        if !std::mem::replace(&mut self.is_told, true) {
            self.error.log();
        }
        self.status()
    }

    fn status(&self) -> Status {
        Status::new(self.error.status())
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

/// The sentence: it is what Rocket logs of a guard that failed.
impl fmt::Debug for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for SessionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl<'r> Responder<'r, 'static> for SessionError {
    fn respond_to(mut self, _: &'r Request<'_>) -> rocket::response::Result<'static> {
        Err(self.tell())
    }
}
