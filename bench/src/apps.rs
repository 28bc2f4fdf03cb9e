use std::{
    hint::black_box,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{StatusCode, header},
    response::Response,
    routing::get,
};
use session_axum::{Session, SessionLayer};
use session_core::Options;
use tower::Service;
use tower_layer::Layer;
use tower_sessions::{MemoryStore, SessionManagerLayer, cookie::Key};

use crate::{
    now,
    samples::{self, HEADERS, SECRET},
};

/// Sessions that a store in memory holds at most before it is begun afresh.
const VISITORS: usize = 100_000;

/// Requests that are made ready before the clock runs.
const BATCH: u64 = 64;

/// The same four routes, with and without sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum App {
    /// The router and nothing else.
    Bare,
    /// A layer that does nothing and holds an `Arc`, as every layer with options does: axum boxes it for each request.
    Nothing,
    /// Sessions in the profile of a new application.
    New,
    /// Sessions in the profile of express-session.
    Express,
    /// tower-sessions, its cookie not signed.
    Peer,
    /// tower-sessions, its cookie signed.
    PeerSigned,
}

/// What a route does with the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// It never asks for it.
    Nothing,
    /// It reads a key.
    Read,
    /// It reads a key and writes it.
    Write,
    /// It writes two keys of a visitor who has none yet.
    New,
}

impl App {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Bare, Self::Nothing, Self::New, Self::Express, Self::Peer, Self::PeerSigned];

    /// For the head of a table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare router",
            Self::Nothing => "idle layer",
            Self::New => "new profile",
            Self::Express => "express profile",
            Self::Peer => "tower-sessions",
            Self::PeerSigned => "tower-sessions signed",
        }
    }

    /// Whether there are sessions in it.
    #[must_use]
    pub fn has_sessions(self) -> bool {
        !matches!(self, Self::Bare | Self::Nothing)
    }

    /// The app itself, its store empty.
    pub fn router(self) -> Router {
        let peer = || SessionManagerLayer::new(MemoryStore::default());
        match self {
            Self::Bare => bare_routes(),
            Self::Nothing => bare_routes().layer(Idle::default()),
            Self::New => routes().layer(layer(Options::new(SECRET))),
            Self::Express => routes().layer(layer(Options::express(SECRET))),
            Self::Peer => peer_routes().layer(peer()),
            Self::PeerSigned => peer_routes().layer(peer().with_signed(Key::from(&[7; 64]))),
        }
    }
}

impl Asks {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Nothing, Self::Read, Self::Write, Self::New];

    /// For the first column of a table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "never asks",
            Self::Read => "read",
            Self::Write => "write",
            Self::New => "new",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Nothing => "/nothing",
            Self::Read => "/read",
            Self::Write => "/write",
            Self::New => "/new",
        }
    }
}

#[derive(Clone, Default)]
struct Idle(Arc<()>);

#[derive(Clone)]
struct IdleService<S>(S, #[expect(dead_code, reason = "it is there to be cloned")] Arc<()>);

impl<S> Layer<S> for Idle {
    type Service = IdleService<S>;

    fn layer(&self, inner: S) -> IdleService<S> {
        IdleService(inner, Arc::clone(&self.0))
    }
}

impl<S: Service<R>, R> Service<R> for IdleService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.0.call(request)
    }
}

/// An app and a visitor's cookie.
#[derive(Debug)]
pub struct Server {
    app: App,
    router: Router,
    cookie: String,
    visitors: usize,
}

impl Server {
    /// Starts the app and visits it once.
    ///
    /// # Panics
    /// A route does not do what it is measured for.
    #[must_use]
    pub fn start(app: App) -> Self {
        let mut server = Self { app, router: app.router(), cookie: "none=0".into(), visitors: 0 };
        let response = server.answer(server.request(Asks::New));
        let sent = response.headers().get(header::SET_COOKIE).and_then(|value| value.to_str().ok());
        assert_eq!(sent.is_some(), app.has_sessions(), "{app:?} sends a cookie");
        if let Some(pair) = sent.and_then(|sent| sent.split(';').next()) {
            server.cookie = pair.into();
        }
        for asks in Asks::ALL.into_iter().chain(Asks::ALL) {
            let status = server.answer(server.request(asks)).status();
            assert_eq!(status, StatusCode::OK, "{app:?} {asks:?}");
        }
        server
    }

    /// The visitor's request; of a visitor without a cookie, for a new session.
    ///
    /// # Panics
    /// It is no request.
    #[must_use]
    pub fn request(&self, asks: Asks) -> Request {
        let cookie = if asks == Asks::New { "none=0" } else { &self.cookie };
        let mut request = Request::get(asks.path()).header(header::COOKIE, samples::cookie_header(cookie));
        for (name, value) in HEADERS {
            request = request.header(name, value);
        }
        request.body(Body::empty()).expect("a request")
    }

    /// The response, without its body being read.
    pub fn answer(&mut self, request: Request) -> Response {
        now(self.router.call(request)).unwrap_or_else(|never| match never {})
    }

    /// How long so many of these requests take.
    pub fn time(&mut self, asks: Asks, requests: u64) -> Duration {
        let mut spent = Duration::ZERO;
        for from in (0..requests).step_by(BATCH as usize) {
            let batch: Vec<Request> =
                (from..requests.min(from + BATCH)).map(|_| self.request(asks)).collect();
            if asks == Asks::New {
                self.visitors += batch.len();
            }
            let start = Instant::now();
            for request in batch {
                black_box(self.answer(request));
            }
            spent += start.elapsed();
            if self.visitors > VISITORS {
                *self = Self::start(self.app);
            }
        }
        spent
    }
}

fn bare_routes() -> Router {
    let mut router = Router::new();
    for asks in Asks::ALL {
        router = router.route(asks.path(), get(nothing));
    }
    router
}

async fn nothing() -> Result<&'static str, StatusCode> {
    Ok("hello")
}

fn layer(options: Options) -> SessionLayer {
    SessionLayer::new(options).expect("options that work")
}

fn routes() -> Router {
    async fn read(session: Session) -> Result<&'static str, StatusCode> {
        views(&session).map(|_| "hello")
    }

    async fn write(session: Session) -> Result<&'static str, StatusCode> {
        session.insert("views", views(&session)? + 1).map_err(failed)?;
        Ok("hello")
    }

    async fn new(session: Session) -> Result<&'static str, StatusCode> {
        session.insert("views", 1).map_err(failed)?;
        session.insert("user", "u123456").map_err(failed)?;
        Ok("hello")
    }

    fn views(session: &Session) -> Result<u32, StatusCode> {
        session.get("views").map_err(failed)?.ok_or(StatusCode::NOT_FOUND)
    }

    Router::new()
        .route(Asks::Nothing.path(), get(nothing))
        .route(Asks::Read.path(), get(read))
        .route(Asks::Write.path(), get(write))
        .route(Asks::New.path(), get(new))
}

fn peer_routes() -> Router {
    use tower_sessions::Session;

    async fn read(session: Session) -> Result<&'static str, StatusCode> {
        views(&session).await.map(|_| "hello")
    }

    async fn write(session: Session) -> Result<&'static str, StatusCode> {
        session.insert("views", views(&session).await? + 1).await.map_err(failed)?;
        Ok("hello")
    }

    async fn new(session: Session) -> Result<&'static str, StatusCode> {
        session.insert("views", 1).await.map_err(failed)?;
        session.insert("user", "u123456").await.map_err(failed)?;
        Ok("hello")
    }

    async fn views(session: &Session) -> Result<u32, StatusCode> {
        session.get("views").await.map_err(failed)?.ok_or(StatusCode::NOT_FOUND)
    }

    Router::new()
        .route(Asks::Nothing.path(), get(nothing))
        .route(Asks::Read.path(), get(read))
        .route(Asks::Write.path(), get(write))
        .route(Asks::New.path(), get(new))
}

fn failed<E>(_: E) -> StatusCode {
    StatusCode::INTERNAL_SERVER_ERROR
}
