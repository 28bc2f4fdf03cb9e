#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

use std::{fmt, future::Future, ops::Deref, sync::OnceLock};

use rocket::{
    Data, Request, Response,
    fairing::{Fairing, Info, Kind},
    http::Status,
    request::{FromRequest, Outcome},
    response::Responder,
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

/// What a request carries: a fairing cannot fail it, so a failure waits for the response.
struct Carried {
    exchange: Exchange,
    readable: bool,
}

#[rocket::async_trait]
impl Fairing for SessionFairing {
    fn info(&self) -> Info {
        Info { name: "Session", kind: Kind::Request | Kind::Response | Kind::Singleton }
    }

    async fn on_request(&self, request: &mut Request<'_>, _: &mut Data<'_>) {
        let exchange = self.sessions.exchange();
        let readable = !self.sessions.reads_on_arrival() || ask(&exchange, request).await.is_ok();
        // Set once: this fairing is a singleton.
        _ = slot(request).set(Carried { exchange, readable });
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        let Some(carried) = slot(request).get() else { return };
        match carried.exchange.end().await {
            Ok(cookies) if carried.readable => append(response, &cookies),
            // The session was read after all, and may have another id by now.
            Ok(cookies) => {
                *response = failure();
                append(response, &cookies);
            }
            Err(error) => {
                *response = failure();
                append(response, error.cookies());
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

/// What a client learns of a store that failed: nothing.
fn failure<'r>() -> Response<'r> {
    Response::build().status(Status::InternalServerError).finalize()
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
        match session(request).await.and_then(|session| session.ok_or(SessionError::OutsidePath)) {
            Ok(session) => Outcome::Success(session),
            Err(error) => Outcome::Error((Status::InternalServerError, error)),
        }
    }
}

/// The session of a request in a guard or fairing of your own; `None` outside the cookie's path.
///
/// # Errors
/// No [`SessionFairing`] is attached, or the store failed.
pub async fn session(request: &Request<'_>) -> Result<Option<Session>, SessionError> {
    let carried = slot(request).get().ok_or(SessionError::MissingFairing)?;
    Ok(ask(&carried.exchange, request).await?.map(Session))
}

/// Why there is no session, or what a call on it failed with: for the `?` of a handler. The client gets a 500 and nothing
/// else; Rocket logs why a guard failed.
#[non_exhaustive]
pub enum SessionError {
    /// No [`SessionFairing`] is attached.
    MissingFairing,
    /// The request's path is outside the cookie's path.
    OutsidePath,
    /// A call on the session, or reading it, failed.
    Session(Error),
}

impl From<Error> for SessionError {
    fn from(error: Error) -> Self {
        Self::Session(error)
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MissingFairing => "no session: add .attach(SessionFairing::new(options)?) to the rocket",
            Self::OutsidePath => {
                "no session: this path is outside the cookie's; widen cookie.path, or take Result<Session, SessionError>"
            }
            Self::Session(error) => return error.fmt(f),
        })
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
        match self {
            Self::Session(error) => error.source(),
            _ => None,
        }
    }
}

impl<'r> Responder<'r, 'static> for SessionError {
    fn respond_to(self, _: &'r Request<'_>) -> rocket::response::Result<'static> {
        Err(Status::InternalServerError)
    }
}
