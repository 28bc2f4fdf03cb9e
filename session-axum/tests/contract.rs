//! The adapter contract on axum.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

#[path = "common/routes.rs"]
mod routes;

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use axum::{Router, body::Body, extract::FromRequestParts, http, response::IntoResponse};
use http_body_util::BodyExt;
use session_axum::{Session, SessionError, SessionLayer, TypedSession};
use session_core::{CookieOptions, Error, MemoryStore, Options, Sessions};
use session_testkit::{
    App, Body as SentBody, Browser, CANARY, Captured, FailingStore, Request, Response,
    adapter::{Basket, Layers, Second},
};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_http::trace::TraceLayer;

use routes::{layered, routes};

struct Axum(Router);

#[session_core::async_trait(?Send)]
impl App for Axum {
    async fn send(&self, request: Request) -> Response {
        let body = if let SentBody::Whole(bytes) = request.body { bytes.into() } else { Body::empty() };
        let builder = http::Request::builder().method(request.method).uri(request.path);
        let add = |builder: http::request::Builder, (name, value)| builder.header::<_, Vec<u8>>(name, value);
        let request = request.headers.into_iter().fold(builder, add).body(body).unwrap();
        let response = self.0.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = String::from_utf8(body.collect().await.unwrap().to_bytes().into()).unwrap();
        Response::new(head.status.as_u16(), &head.headers, body)
    }
}

async fn app(layers: Layers) -> Axum {
    Axum(layered(layers))
}

session_testkit::adapter_contract!(app);

/// Found by their markers, each outside the other's path.
#[test]
fn an_option_of_a_session_or_of_a_typed_one_is_none_outside_the_path() {
    session_testkit::run(async {
        async fn options(
            a: Option<Session>,
            b: Option<TypedSession<Basket>>,
            c: Option<Session<Second>>,
            d: Option<TypedSession<Basket, Second>>,
        ) -> String {
            format!("{} {} {} {}", a.is_some(), b.is_some(), c.is_some(), d.is_some())
        }
        let of = |name: &str, path: &str| {
            let cookie = CookieOptions::new().path(path);
            let options = Options::new("keyboard cat").name(name).cookie(cookie);
            SessionLayer::new(options.store(MemoryStore::new())).unwrap()
        };
        let router = Router::new().fallback(options).layer(of("first", "/one"));
        let app = Axum(router.layer(of("second", "/two").marked::<Second>()));
        assert_eq!(app.send(Request::get("/one")).await.body, "true true false false");
        assert_eq!(app.send(Request::get("/two")).await.body, "false false true true");
    });
}

#[test]
fn a_missing_layer_is_an_error_that_tells_the_log_what_to_add() {
    session_testkit::run(async {
        let log = Captured::begin();
        let response = Axum(routes()).send(Request::get("/count")).await;
        assert_eq!((response.status, response.body.as_str()), (500, ""));
        let told = log.lines("ERROR");
        assert!(told.len() == 1 && told[0].contains("add .layer(SessionLayer"), "{told:?}");
        assert_eq!(Axum(routes()).send(Request::get("/none")).await.body, "none");
    });
}

#[test]
fn an_error_can_have_a_page_of_the_applications_own() {
    async fn page(response: axum::response::Response) -> axum::response::Response {
        match response.extensions().get::<SessionError>() {
            Some(error) => (response.status(), format!("{:?}", error.error().status())).into_response(),
            None => response,
        }
    }
    session_testkit::run(async {
        for options in [Options::new("keyboard cat"), Options::express("keyboard cat").name("sid")] {
            let store = FailingStore::new(MemoryStore::new());
            let layer = SessionLayer::new(options.store(Arc::clone(&store))).unwrap();
            let app = Axum(routes().layer(layer).layer(axum::middleware::map_response(page)));
            let mut browser = Browser::new();
            assert_eq!(browser.get(&app, "/login").await.body, "tj");
            assert_eq!(browser.get(&app, "/mistake").await.body, "500");
            store.fail_writes(true);
            for path in ["/count", "/add"] {
                assert_eq!(browser.get(&app, path).await.body, "503", "{path}");
            }
            store.fail_reads(true);
            assert_eq!(browser.get(&app, "/count").await.body, "503");
        }
    });
}

#[test]
fn handles_are_usable_on_every_thread() {
    fn assert<T: Clone + Send + Sync + 'static>() {}
    assert::<Session>();
    assert::<SessionLayer>();
    assert::<Arc<Sessions>>();
}

/// A layer below that answers an error, as a time-out of tower's does: no response carries the cookie, and nobody believes that
/// it was sent.
#[test]
fn where_the_service_below_answers_an_error_nobody_has_the_cookie() {
    session_testkit::run(async {
        let store = Arc::new(MemoryStore::new());
        let kept = Arc::new(Mutex::new(None));
        let service = failing_after_a_login(&store, &kept);
        let request = http::Request::new(Body::empty());
        assert_eq!(service.oneshot(request).await.unwrap_err(), "too slow");
        let session = kept.lock().unwrap().take().unwrap();
        session.insert("cart", 1).unwrap();
        assert!(matches!(session.save().await, Err(Error::ResponseOut)), "nobody can come back to it");
    });
}

/// What a visitor who comes with a cookie has changed is stored all the same.
#[test]
fn where_the_service_below_answers_an_error_what_was_changed_is_kept() {
    session_testkit::run(async {
        let store = Arc::new(MemoryStore::new());
        let app = Axum(routes().layer(SessionLayer::new(options(&store)).unwrap()));
        let mut browser = Browser::new();
        assert_eq!(browser.get(&app, "/count").await.body, "1");
        let kept = Arc::default();
        let service = failing_after_a_login(&store, &kept);
        let cookie = format!("sid={}", browser.cookie("sid").unwrap());
        let request = http::Request::builder().header("cookie", cookie).body(Body::empty()).unwrap();
        assert_eq!(service.oneshot(request).await.unwrap_err(), "too slow");
        assert_eq!(browser.get(&app, "/user").await.body, "tj");
    });
}

fn options(store: &Arc<MemoryStore>) -> Options {
    Options::new("keyboard cat").store(Arc::clone(store))
}

fn failing_after_a_login(
    store: &Arc<MemoryStore>,
    kept: &Arc<Mutex<Option<Session>>>,
) -> impl Service<http::Request<Body>, Response = http::Response<Body>, Error = &'static str> {
    let kept = Arc::clone(kept);
    let below = tower::service_fn(move |request: http::Request<Body>| {
        let kept = Arc::clone(&kept);
        async move {
            let (mut parts, _) = request.into_parts();
            let session: Session = Session::from_request_parts(&mut parts, &()).await.unwrap();
            session.insert("user", "tj").unwrap();
            *kept.lock().unwrap() = Some(session);
            Err::<http::Response<Body>, _>("too slow")
        }
    });
    SessionLayer::new(options(store)).unwrap().layer(below)
}

/// And if it cannot be stored, the log is told: nobody else is.
#[test]
fn where_the_service_below_answers_an_error_a_save_that_fails_is_told() {
    session_testkit::run(async {
        let memory = Arc::new(MemoryStore::new());
        let mut browser = Browser::new();
        browser.get(&Axum(routes().layer(SessionLayer::new(options(&memory)).unwrap())), "/count").await;
        let store = FailingStore::new(memory);
        store.fail_writes(true);
        let layer = SessionLayer::new(Options::new("keyboard cat").store(Arc::clone(&store))).unwrap();
        let service = layer.layer(tower::service_fn(async |request: http::Request<Body>| {
            let (mut parts, _) = request.into_parts();
            let session: Session = Session::from_request_parts(&mut parts, &()).await.unwrap();
            session.insert("user", "tj").unwrap();
            Err::<http::Response<Body>, _>("too slow")
        }));
        let log = Captured::begin();
        let cookie = format!("sid={}", browser.cookie("sid").unwrap());
        let request = http::Request::builder().header("cookie", cookie).body(Body::empty()).unwrap();
        assert_eq!(service.oneshot(request).await.unwrap_err(), "too slow");
        let told = log.lines("ERROR");
        assert!(told.len() == 1 && told[0].contains(CANARY), "{}", log.text());
    });
}

/// A service that may be called only where it was asked whether it is ready: its clone was not.
struct AskedFirst(bool);

impl Clone for AskedFirst {
    fn clone(&self) -> Self {
        Self(false)
    }
}

impl Service<http::Request<Body>> for AskedFirst {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0 = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<Body>) -> Self::Future {
        assert!(self.0, "it was not asked whether it is ready");
        ready(Ok(http::Response::default()))
    }
}

#[test]
fn the_service_that_is_called_is_the_one_that_was_ready() {
    session_testkit::run(async {
        for options in [Options::new("keyboard cat"), Options::express("keyboard cat")] {
            let service = SessionLayer::new(options).unwrap().layer(AskedFirst(false));
            let response = service.oneshot(http::Request::new(Body::empty())).await.unwrap();
            assert_eq!(response.status(), 200);
        }
    });
}

/// In one `ServiceBuilder` with layers whose bodies are no other's: around them, and below.
#[test]
fn layers_with_bodies_of_their_own_may_be_above_and_below() {
    session_testkit::run(async {
        let session = || SessionLayer::new(Options::new("keyboard cat").store(MemoryStore::new())).unwrap();
        let trace = TraceLayer::new_for_http;
        let below = routes().layer(ServiceBuilder::new().layer(session()).layer(trace()));
        let above = routes().layer(ServiceBuilder::new().layer(trace()).layer(session()));
        for app in [Axum(below), Axum(above)] {
            let mut browser = Browser::new();
            for count in ["1", "2"] {
                assert_eq!(browser.get(&app, "/count").await.body, count);
                assert_eq!(browser.get(&app, "/stream/read").await.body, "read");
            }
        }
    });
}
