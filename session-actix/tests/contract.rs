//! The adapter contract on actix-web.

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value, reason = "helpers of tests")]

#[path = "common/routes.rs"]
mod routes;

use std::sync::Arc;

use actix_web::{
    App as Application, Error as ActixError, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse},
    error,
    middleware::{Next, from_fn},
    test as server, web,
};
use session_actix::{Session, SessionError, SessionExt, SessionMiddleware};
use session_core::{CookieOptions, MemoryStore, OnDisconnect, Options};
use session_testkit::{
    App, Body, CANARY, Captured, FailingStore, GatedStore, Request, Response, adapter::Layers,
};

use routes::{layered, routes};

struct Actix<S>(S);

#[session_core::async_trait(?Send)]
impl<S, B> App for Actix<S>
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = ActixError>,
    B: MessageBody,
{
    async fn send(&self, request: Request) -> Response {
        let is_head = request.method == "HEAD";
        let body = if let Body::Whole(bytes) = request.body { bytes } else { Vec::new() };
        let builder = server::TestRequest::with_uri(&request.path).method(request.method.parse().unwrap());
        let add = |builder: server::TestRequest, (name, value): (_, Vec<u8>)| {
            builder.append_header((name, actix_web::http::header::HeaderValue::from_bytes(&value).unwrap()))
        };
        let request = request.headers.into_iter().fold(builder, add).set_payload(body).to_request();
        let response = match self.0.call(request).await {
            Ok(response) => read(response.into_parts().1).await,
            Err(error) => read(error.error_response()).await,
        };
        // It is actix-web's server that leaves out the body.
        if is_head { Response { body: String::new(), ..response } } else { response }
    }
}

async fn read<B: MessageBody>(response: HttpResponse<B>) -> Response {
    let (head, body) = response.into_parts();
    let body = actix_web::body::to_bytes(body).await.unwrap_or_else(|_| panic!("a body"));
    Response::new(head.status().as_u16(), head.headers(), String::from_utf8(body.into()).unwrap())
}

async fn app(layers: Layers) -> impl App {
    Actix(server::init_service(layered!(layers)).await)
}

session_testkit::adapter_contract!(app);

#[test]
fn a_missing_layer_is_an_error_that_tells_the_log_what_to_add() {
    session_testkit::run(async {
        let app = Actix(server::init_service(Application::new().configure(routes)).await);
        let log = Captured::begin();
        let response = app.send(Request::get("/count")).await;
        assert_eq!((response.status, response.body.as_str()), (500, ""));
        let told = log.lines("ERROR");
        assert!(told.len() == 1 && told[0].contains("add .wrap(SessionMiddleware"), "{told:?}");
        assert_eq!(app.send(Request::get("/none")).await.body, "none");
    });
}

/// Whether anybody waits for the extractor or not.
#[test]
fn a_missing_middleware_is_told_where_an_extractor_is_dropped() {
    session_testkit::run(async {
        let app = Application::new().configure(routes).wrap_fn(|mut request, service| {
            drop(request.extract::<Session>());
            service.call(request)
        });
        let app = Actix(server::init_service(app).await);
        let log = Captured::begin();
        assert_eq!(app.send(Request::get("/count")).await.status, 500);
        let told = log.lines("ERROR");
        assert!(told.len() == 1 && told[0].contains("add .wrap(SessionMiddleware"), "{told:?}");
    });
}

/// An `Option` is none then, and would hide it.
#[test]
fn a_missing_middleware_is_told_behind_an_option_too() {
    session_testkit::run(async {
        let is_some = async |session: Option<Session>, again: Option<Session>| {
            (session.is_some() || again.is_some()).to_string()
        };
        let app = Application::new().route("/option", web::get().to(is_some));
        let app = Actix(server::init_service(app).await);
        let log = Captured::begin();
        assert_eq!(app.send(Request::get("/option")).await.body, "false");
        let told = log.lines("ERROR");
        assert!(told.len() == 1 && told[0].contains("add .wrap(SessionMiddleware"), "{told:?}");
    });
}

/// The extractor's future holds nothing of the request, which actix-web wants for itself.
#[test]
fn a_middleware_below_may_ask_before_it_goes_on() {
    session_testkit::run(async {
        let sessions =
            SessionMiddleware::new(Options::new("keyboard cat").store(MemoryStore::new())).unwrap();
        let app = Application::new()
            .configure(routes)
            .wrap_fn(|mut request, service| {
                let session = request.extract::<Session>();
                let response = service.call(request);
                async move {
                    session.await?.insert("count", 5).map_err(SessionError::from)?;
                    response.await
                }
            })
            .wrap(sessions);
        let app = Actix(server::init_service(app).await);
        assert_eq!(app.send(Request::get("/count")).await.body, "6");
    });
}

/// It is none there, and nobody is told.
#[test]
fn an_option_outside_the_cookies_path_is_none() {
    session_testkit::run(async {
        let is_some = async |session: Option<Session>| session.is_some().to_string();
        let options = Options::new("keyboard cat").cookie(CookieOptions::new().path("/shop"));
        let sessions = SessionMiddleware::new(options.store(MemoryStore::new())).unwrap();
        let app = Application::new().route("/option", web::get().to(is_some)).wrap(sessions);
        let app = Actix(server::init_service(app).await);
        let log = Captured::begin();
        assert_eq!(app.send(Request::get("/option")).await.body, "false");
        assert!(log.lines("ERROR").is_empty(), "{}", log.text());
    });
}

/// Passes on what a call on the session failed with: an error, and no response.
async fn mistaken(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse, ActixError> {
    let session = request.session().await?.unwrap();
    next.call(request).await?;
    session.insert("user", "tj").map_err(SessionError::from)?;
    session.get::<u32>("user").map_err(SessionError::from)?;
    Err(error::ErrorImATeapot("it is no number"))
}

/// Nobody makes a response of the first where the save fails too.
#[test]
fn an_error_of_an_inner_middleware_is_told_beside_that_of_the_save() {
    session_testkit::run(async {
        let store = FailingStore::new(MemoryStore::new());
        store.fail_writes(true);
        let options = Options::new("keyboard cat").store(Arc::clone(&store));
        let sessions = SessionMiddleware::new(options).unwrap();
        let app = Application::new().configure(routes).wrap(from_fn(mistaken)).wrap(sessions);
        let app = Actix(server::init_service(app).await);
        let log = Captured::begin();
        assert_eq!(app.send(Request::get("/none")).await.status, 503);
        let told = log.lines("ERROR");
        assert!(told.len() == 2 && told.iter().any(|line| line.contains("\"user\"")), "{}", log.text());
        assert!(told.iter().any(|line| line.contains(CANARY)), "{}", log.text());
    });
}

/// Nor where the client has gone.
#[test]
fn an_error_of_an_inner_middleware_is_told_where_nobody_waits_any_more() {
    session_testkit::run(async {
        let store = GatedStore::new(MemoryStore::new());
        let options =
            Options::new("keyboard cat").on_disconnect(OnDisconnect::Finish).store(Arc::clone(&store));
        let sessions = SessionMiddleware::new(options).unwrap();
        let app = Application::new().configure(routes).wrap(from_fn(mistaken)).wrap(sessions);
        let app = Actix(server::init_service(app).await);
        let log = Captured::begin();
        actix_web::rt::spawn(async move {
            let mut response = Box::pin(app.send(Request::get("/none")));
            while !store.is_waited_at() {
                assert!(futures_util::poll!(&mut response).is_pending());
                tokio::task::yield_now().await;
            }
            drop(response);
            store.open();
        })
        .await
        .unwrap();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let told = log.lines("ERROR");
        assert!(told.len() == 1 && told[0].contains("\"user\""), "{}", log.text());
    });
}

#[test]
fn an_error_can_have_a_page_of_the_applications_own() {
    session_testkit::run(async {
        for express in [false, true] {
            let new = Options::new("keyboard cat");
            let options = if express { Options::express("keyboard cat").name("sid") } else { new };
            let store = FailingStore::new(MemoryStore::new());
            let sessions = SessionMiddleware::new(options.store(Arc::clone(&store))).unwrap();
            let page = |response: ServiceResponse<_>| {
                let failed = response.response().error().and_then(|error| error.as_error::<SessionError>());
                match failed.map(|error| error.error().status().to_string()) {
                    Some(status) => response.map_body(|_, _| BoxBody::new(status)),
                    None => response.map_into_boxed_body(),
                }
            };
            let app = Application::new().configure(routes).wrap(sessions).wrap_fn(move |request, service| {
                let response = service.call(request);
                async move { Ok(page(response.await?)) }
            });
            let app = Actix(server::init_service(app).await);
            let mut browser = session_testkit::Browser::new();
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
    assert::<SessionMiddleware>();
}

/// actix-web gives errors of inner middleware back as errors, not as responses. What such an error says itself stays.
#[test]
fn an_error_of_an_inner_middleware_is_no_reason_not_to_save() {
    session_testkit::run(async {
        let sessions = SessionMiddleware::new(Options::new("keyboard cat")).unwrap();
        let app = Application::new()
            .configure(routes)
            .wrap_fn(|request, service| {
                let session = request.session();
                let response = service.call(request);
                async move {
                    session.await?.unwrap().insert("count", 1).map_err(SessionError::from)?;
                    response.await?;
                    let own =
                        HttpResponse::BadRequest().insert_header(("Set-Cookie", "own=1; Path=/")).body("no");
                    Err::<ServiceResponse, _>(error::InternalError::from_response("no", own).into())
                }
            })
            .wrap(sessions);
        let app = Actix(server::init_service(app).await);
        let mut browser = session_testkit::Browser::new();
        for _ in 0..2 {
            let response = browser.get(&app, "/none").await;
            assert_eq!((response.status, response.body.as_str()), (400, "no"));
            assert_eq!((browser.cookie("own"), browser.cookie("sid").is_some()), (Some("1"), true));
        }
    });
}

/// And a store that then fails takes nobody's new id.
#[test]
fn an_error_of_an_inner_middleware_and_of_the_store_leaves_the_visitor_the_session() {
    session_testkit::run(async {
        let store = FailingStore::new(MemoryStore::new());
        let options = Options::new("keyboard cat").store(Arc::clone(&store));
        let sessions = SessionMiddleware::new(options).unwrap();
        let app = Application::new()
            .configure(routes)
            .wrap_fn(|request, service| {
                let response = service.call(request);
                async move {
                    let response = response.await?;
                    match response.request().path() {
                        "/login" => Err(error::ErrorBadRequest("no")),
                        _ => Ok(response),
                    }
                }
            })
            .wrap(sessions);
        let app = Actix(server::init_service(app).await);
        let mut browser = session_testkit::Browser::new();
        assert_eq!(browser.get(&app, "/count").await.body, "1");
        // The record under the new id, and the end of the old one.
        store.fail_writes_after(2);
        let response = browser.get(&app, "/login").await;
        assert_eq!((response.status, response.set_cookie.len()), (503, 1), "{response:?}");
        assert!(!response.body.contains(CANARY), "{response:?}");
        store.fail_writes(false);
        assert_eq!(browser.get(&app, "/count").await.body, "2");
    });
}
