//! The adapter contract on Rocket.

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value, reason = "helpers of tests")]

#[path = "common/routes.rs"]
mod routes;

use std::sync::Arc;

use rocket::{
    Build, Rocket, catch, catchers,
    fairing::AdHoc,
    get,
    http::{Header, Method, Status},
    local::asynchronous::Client,
    routes,
};
use session_core::{CookieOptions, Error, MemoryStore, Options};
use session_rocket::{Session, SessionError, SessionFairing, TypedSession, session};
use session_testkit::{
    App, Body, Browser, Captured, FailingStore, Request, Response,
    adapter::{Basket, Layers},
};

use crate::routes::{custom, layered};

struct Local(Client);

#[session_core::async_trait(?Send)]
impl App for Local {
    async fn send(&self, request: Request) -> Response {
        let method: Method = request.method.parse().unwrap();
        let mut sent = self.0.req(method, request.path);
        for (name, value) in request.headers {
            sent.add_header(Header::new(name, String::from_utf8_lossy(&value).into_owned()));
        }
        if let Body::Whole(bytes) = request.body {
            sent.set_body(bytes);
        }
        let response = sent.dispatch().await;
        let of = |header: Header<'_>| (header.name().to_string(), header.value().to_owned());
        let (status, headers): (_, Vec<_>) =
            (response.status().code, response.headers().iter().map(of).collect());
        Response::new(status, headers, response.into_string().await.unwrap_or_default())
    }
}

async fn app(layers: Layers) -> Local {
    local(layered(rocket(), layers)).await
}

fn rocket() -> Rocket<Build> {
    custom(rocket::Config::default())
}

async fn local(rocket: Rocket<Build>) -> Local {
    Local(Client::untracked(rocket).await.unwrap())
}

#[get("/teapot")]
fn brew() -> Status {
    Status::ImATeapot
}

session_testkit::adapter_contract!(app);

#[test]
fn a_missing_layer_is_an_error_that_tells_the_log_what_to_add() {
    session_testkit::run(async {
        let app = local(rocket()).await;
        let log = Captured::begin();
        let response = app.send(Request::get("/count")).await;
        assert!(response.status == 500 && !response.body.contains("attach"), "{response:?}");
        let told = log.lines("ERROR");
        assert!(told.len() == 1 && told[0].contains("add .attach(SessionFairing"), "{told:?}");
        drop(log);
        assert_eq!(app.send(Request::get("/none")).await.body, "none");
        // Several guards are one mistake.
        let app = local(rocket().mount("/", routes![option, results])).await;
        for (path, status) in [("/option", 200), ("/results", 500)] {
            let log = Captured::begin();
            let response = app.send(Request::get(path)).await;
            assert!(response.status == status && (status == 500 || response.body == "none"), "{response:?}");
            let told = log.lines("ERROR");
            assert!(told.len() == 1 && told[0].contains("add .attach(SessionFairing"), "{path}: {told:?}");
        }
    });
}

#[catch(503)]
fn sorry() -> &'static str {
    "503"
}

#[catch(500)]
fn mistake() -> &'static str {
    "500"
}

#[test]
fn an_error_can_have_a_page_of_the_applications_own() {
    session_testkit::run(async {
        for options in [Options::new("keyboard cat"), Options::express("keyboard cat").name("sid")] {
            let store = FailingStore::new(MemoryStore::new());
            let fairing = SessionFairing::new(options.store(Arc::clone(&store))).unwrap();
            let app = local(rocket().attach(fairing).register("/", catchers![sorry, mistake])).await;
            let mut browser = Browser::new();
            assert_eq!(browser.get(&app, "/login").await.body, "tj");
            assert_eq!(browser.get(&app, "/mistake").await.body, "500");
            store.fail_reads(true);
            assert_eq!(browser.get(&app, "/count").await.body, "503");
        }
    });
}

#[test]
fn handles_are_usable_on_every_thread() {
    fn assert<T: Clone + Send + Sync + 'static>() {}
    assert::<Session>();
    assert::<SessionFairing>();
}

#[get("/option")]
fn option(session: Option<Session>, typed: Option<TypedSession<Basket>>) -> &'static str {
    if session.is_some() || typed.is_some() { "some" } else { "none" }
}

/// Passes on the error of the second guard.
#[get("/results")]
fn results(
    first: Result<Session, SessionError>,
    second: Result<Session, SessionError>,
) -> Result<String, SessionError> {
    drop(first);
    Ok(second?.id()?.as_str().into())
}

/// A guard does not know that a route takes its error for an answer; [`MaybeSession`](session_rocket::MaybeSession) does.
#[test]
fn an_option_outside_the_cookies_path_is_none_and_told_once() {
    session_testkit::run(async {
        let options = Options::new("keyboard cat").cookie(CookieOptions::new().path("/shop"));
        let sessions = SessionFairing::new(options.store(MemoryStore::new())).unwrap();
        let app = local(rocket().mount("/", routes![option, results]).attach(sessions)).await;
        for (path, status, times) in [("/option", 200, 1), ("/optional", 200, 0), ("/results", 500, 1)] {
            let log = Captured::begin();
            let response = app.send(Request::get(path)).await;
            assert!(response.status == status && (status == 500 || response.body == "none"), "{response:?}");
            assert_eq!(log.lines("ERROR").len(), times, "{path}: {}", log.text());
        }
    });
}

/// Nor does another fairing forget it; and a request that is sent again is another one.
#[test]
fn who_is_outside_of_several_paths_is_told_once_a_request() {
    session_testkit::run(async {
        let of = |path: &str| {
            let cookie = CookieOptions::new().path(path);
            let options = Options::new("keyboard cat").name(path.trim_start_matches('/')).cookie(cookie);
            SessionFairing::new(options.store(MemoryStore::new())).unwrap()
        };
        let asks = AdHoc::on_request("asks", |request, _| {
            Box::pin(async move { assert!(request.guard::<Session>().await.is_error()) })
        });
        let app = rocket().attach(of("/one")).attach(asks).attach(of("/two"));
        let client = Client::untracked(app).await.unwrap();
        let request = client.get("/count");
        for _ in 0..2 {
            let log = Captured::begin();
            assert_eq!(request.clone().dispatch().await.status().code, 500);
            assert_eq!(log.lines("ERROR").len(), 1, "{}", log.text());
        }
    });
}

/// Whatever status a catcher puts in the place of the guard's.
#[test]
fn a_session_outside_the_cookies_path_is_told_also_where_a_catcher_answers() {
    #[catch(500)]
    async fn elsewhere(request: &rocket::Request<'_>) -> (Status, &'static str) {
        assert!(request.guard::<Session>().await.is_error());
        (Status::Ok, "elsewhere")
    }
    session_testkit::run(async {
        let options = Options::new("keyboard cat").cookie(CookieOptions::new().path("/shop"));
        let sessions = SessionFairing::new(options.store(MemoryStore::new())).unwrap();
        let app = local(rocket().attach(sessions).register("/", catchers![elsewhere])).await;
        let log = Captured::begin();
        let response = app.send(Request::get("/count")).await;
        assert_eq!((response.status, response.body.as_str()), (200, "elsewhere"));
        assert_eq!(log.lines("ERROR").len(), 1, "{}", log.text());
    });
}

#[test]
fn catchers_see_the_session() {
    session_testkit::run(async {
        let sessions = SessionFairing::new(Options::new("keyboard cat")).unwrap();
        let app = local(rocket().mount("/", routes![brew]).attach(sessions)).await;
        let mut browser = Browser::new();
        for count in ["1", "2", "3"] {
            let response = browser.get(&app, "/teapot").await;
            assert_eq!((response.status, response.body.as_str()), (418, count));
        }
    });
}

/// Rocket's local client puts its cookies into the jar, without a header.
#[test]
fn cookies_of_the_local_client_are_found() {
    session_testkit::run(async {
        let sessions = SessionFairing::new(Options::new("keyboard cat")).unwrap();
        let client = Client::tracked(rocket().attach(sessions)).await.unwrap();
        for count in ["1", "2", "3"] {
            assert_eq!(client.get("/count").dispatch().await.into_string().await.unwrap(), count);
        }
    });
}

#[test]
fn who_asks_before_the_session_is_there_takes_it_from_nobody() {
    session_testkit::run(async {
        let early = AdHoc::on_request("early", |request, _| {
            Box::pin(async move {
                let error = session(request).await.unwrap_err();
                assert!(matches!(error.error(), Error::NoLayer(_)));
            })
        });
        let sessions = SessionFairing::new(Options::new("keyboard cat")).unwrap();
        let client = Client::tracked(rocket().attach(early).attach(sessions)).await.unwrap();
        for count in ["1", "2"] {
            assert_eq!(client.get("/count").dispatch().await.into_string().await.unwrap(), count);
        }
    });
}

/// A clone of a local client's request shares Rocket's cache with it.
#[test]
fn a_request_that_is_sent_again_has_a_session_of_its_own() {
    session_testkit::run(async {
        for options in [Options::new("keyboard cat"), Options::express("keyboard cat").name("sid")] {
            let store = FailingStore::new(MemoryStore::new());
            let sessions = SessionFairing::new(options.store(Arc::clone(&store))).unwrap();
            let client = Client::untracked(rocket().attach(sessions)).await.unwrap();
            let first = client.get("/count").dispatch().await;
            let cookie = first.headers().get_one("set-cookie").unwrap().split(';').next().unwrap().to_owned();
            let request = client.get("/count").header(Header::new("cookie", cookie));
            for count in ["2", "3"] {
                assert_eq!(request.clone().dispatch().await.into_string().await.unwrap(), count);
            }
            store.fail_reads(true);
            assert_eq!(request.clone().dispatch().await.status().code, 503);
            store.fail_reads(false);
            assert_eq!(request.clone().dispatch().await.into_string().await.unwrap(), "4");
        }
    });
}
