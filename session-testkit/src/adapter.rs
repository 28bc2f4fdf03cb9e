//! The adapter contract: what an application behind any adapter does.
//!
//! The application under test has these routes. *Answer* means: ask for the session, answer the text of [`answer`] with the
//! request's path, and let its error become the framework's error with `?`.
//!
//! | route | handler |
//! |---|---|
//! | `/none` | answers `none` and never asks for the session |
//! | `/optional` | answers `some` or `none`: whether there is a session for this path |
//! | `/twice/…` | asks twice, lets [`answer`] work on the first and answers what [`twice`] says of both |
//! | `/stream/…` | as *answer*, but streams the text in several pieces, and behind them what [`meanwhile`] answers |
//! | `/megabytes/…` | as *answer*, but behind the text [`MEGABYTES`] times [`megabyte`] are streamed |
//! | `/upload/…` | by `POST`: reads the body piece by piece, and answers its length, a space, and then as *answer* |
//! | `/nothing/…` | as *answer*, but with status 204, and without the text |
//! | `/unchanged/…` | as *answer*, but with status 304, and without the text |
//! | `/panics/…` | as *answer*, but then panics |
//! | `/error/…` | as *answer*, but then fails with an error of the framework, status 400 |
//! | `/cookie/…` | as *answer*, with a cookie `own=1` of its own, set by the framework's own means |
//! | `/headed/…` | as *answer*, with the headers that [`headed`] makes of the query |
//! | `/later/…` | as *answer*, and spawns [`later`] |
//! | `/mounted/optional` | as `/optional`, in a nested router, scope or mount |
//! | `/second/…` | as *answer*, on the session of the layer that is marked [`Second`] |
//! | `/both/…` | lets [`both`] work on the two, and answers what it says |
//! | `/typed/…` | takes a `TypedSession<Basket>`, and answers what [`typed`] says |
//! | `/typed/second/…` | takes a `TypedSession<Basket, Second>`, and answers what [`typed`] says |
//! | `/unasked/…` | waits as [`unasked`] does, and asks for no session |
//! | everything else, by `GET`, `HEAD` and `POST` | *answer* |
//!
//! One rule for all frameworks: cookies are read from the text of the `Cookie` headers, all of them in order, and from
//! the framework's jar only where a request has no such header; values are percent-decoded once; the path is the one that
//! the client sent, before anything was mounted.

use std::{
    future::{Future, poll_fn},
    sync::Arc,
};

use futures_util::future::{join_all, poll_immediate};
use serde::{Deserialize, Serialize};
use session_core::{
    AdminStore, CookieOptions, CookieSessionOptions, Error, MemoryStore, Options, Priority, Proxy,
    ProxyHeader, Record, RequestInfo, SealedSessionOptions, Secret, Secure, SessionData, SessionHandle,
    Sessions, Sid, Store, TypedHandle,
};

use self::hang_ups::{Gate, stored, until};
use crate::{
    browser::{App, Body, Browser, Request, Response},
    log::Captured,
    stores::{CANARY, Call, FailingStore, GatedStore, RecordingStore},
};

/// The session layers around the application.
#[derive(Debug)]
pub struct Layers {
    /// The outermost first; one is around the next.
    pub nested: Vec<Sessions>,
    /// Of the layer that is marked [`Second`], which is outside of all others.
    pub second: Option<Sessions>,
}

/// The marker of a session beside the other.
#[derive(Debug)]
pub struct Second;

/// What every route of the application answers, by the last segment of its path.
///
/// # Errors
/// Those of the session.
pub async fn answer(session: &SessionHandle, path: &str) -> Result<String, Error> {
    let user = || Ok(session.get::<String>("user")?.unwrap_or_else(|| "nobody".into()));
    match path.rsplit('/').next().unwrap_or_default() {
        "count" => {
            let count = session.get::<u32>("count")?.unwrap_or(0) + 1;
            session.insert("count", count)?;
            Ok(count.to_string())
        }
        "add" => Ok(session.update("sum", |sum: Option<u32>| sum.unwrap_or(0) + 1).await?.to_string()),
        "sum" => Ok(session.get::<u32>("sum")?.unwrap_or(0).to_string()),
        "login" => {
            session.renew_id().await?;
            session.insert("user", "tj")?;
            user()
        }
        "user" => user(),
        "logout" => session.destroy().await.map(|()| "bye".into()),
        "mistake" => Ok(session.get::<u32>("user")?.unwrap_or(0).to_string()),
        "saved" => {
            session.insert("saved", 1)?;
            session.save().await.map(|()| "saved".into())
        }
        "reserved" => session.insert("save", 1).map(|()| "saved".into()),
        "id" => Ok(session.id().unwrap().as_str().into()),
        "token" => Ok(session.token()?.unwrap_or_default()),
        "carrier" => Ok(carriers::named(&session.carrier())),
        word => {
            if let Some(gate) = word.strip_prefix("wait-") {
                session.update("sum", |sum: Option<u32>| sum.unwrap_or(0) + 1).await?;
                session.insert("begun", true)?;
                Gate(gate.into()).wait().await;
                session.insert("user", "patient")?;
            }
            Ok("read".into())
        }
    }
}

/// What the route `/twice` answers of the two sessions that it got.
#[must_use]
pub fn twice(one: &SessionHandle, other: &SessionHandle) -> String {
    let count = |session: &SessionHandle| session.get::<u32>("count").ok().flatten().unwrap_or(0);
    format!("{} {}", count(one), count(other))
}

/// What the route `/unasked` waits for.
pub async fn unasked(path: &str) {
    if let Some((_, gate)) = path.rsplit_once("wait-") {
        Gate(gate.into()).wait().await;
    }
}

/// What the route `/both` answers of the two sessions that stand side by side.
///
/// # Errors
/// Those of the sessions. One whose id cannot be renewed is no reason not to answer: the end of the request will tell.
pub async fn both(first: &SessionHandle, second: &SessionHandle, path: &str) -> Result<String, Error> {
    if let Some((_, gate)) = path.rsplit_once("wait-") {
        Gate(gate.into()).wait().await;
        first.insert("user", "patient")?;
        second.insert("user", "patient")?;
    }
    let mut counts = Vec::new();
    for session in [first, second] {
        if path.ends_with("login") {
            session.insert("user", "tj")?;
            if session.renew_id().await.is_err() {
                session.insert("count", 1)?;
            }
        } else {
            let path = if path.contains("wait-") { "/read" } else { path };
            counts.push(answer(session, path).await?);
        }
    }
    Ok(counts.join(" "))
}

/// What the route `/typed` counts in.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Basket {
    items: u32,
}

impl SessionData for Basket {
    const KEY: Option<&'static str> = Some("basket");
}

/// What the route `/typed` answers: how many items are in the basket, one more than before.
///
/// # Errors
/// Those of the session.
pub async fn typed(basket: &TypedHandle<Basket>, path: &str) -> Result<String, Error> {
    let one_more = |basket: Option<Basket>| Basket { items: basket.unwrap_or_default().items + 1 };
    let basket =
        if path.ends_with("add") { basket.update(one_more).await? } else { basket.modify(one_more)? };
    Ok(basket.items.to_string())
}

/// What the route `/later` spawns: work that goes on after the response, and saves for itself.
pub async fn later(session: SessionHandle) {
    session.insert("user", "later").expect("the session is there");
    session.save().await.expect("the store works");
}

fn new(store: impl Store) -> Options {
    Options::new("keyboard cat").store(store)
}

async fn app<A: App, F: Future<Output = A>>(open: impl Fn(Layers) -> F, options: Options) -> A {
    nested(open, [options]).await
}

async fn nested<A: App, F: Future<Output = A>>(
    open: impl Fn(Layers) -> F,
    options: impl IntoIterator<Item = Options>,
) -> A {
    let nested = options.into_iter().map(|options| options.build().unwrap()).collect();
    open(Layers { nested, second: None }).await
}

async fn text(browser: &mut Browser, app: &impl App, path: &str) -> String {
    let response = browser.get(app, path).await;
    assert_eq!(response.status, 200, "{path}: {response:?}");
    response.body
}

fn signed(sid: &str) -> String {
    format!("s:{}", Secret::new("keyboard cat").sign(sid))
}

/// Nothing of the store's error, and no id.
fn assert_opaque(response: &Response, sid: &str) {
    assert!(response.status >= 500, "{response:?}");
    assert!(response.set_cookie.is_empty());
    for word in [CANARY, "canary", "refused", "store", "failing", sid] {
        assert!(!response.body.contains(word), "{response:?}");
    }
}

/// Between requests without a body.
async fn unread<A: App, F: Future<Output = A>>(open: impl Fn(Layers) -> F, body: &Body) {
    let app = app(open, new(MemoryStore::new())).await;
    let mut browser = Browser::new();
    for count in 1..5 {
        let body = if count % 2 == 0 { body.clone() } else { Body::Empty };
        let response = app.send(Request { body, ..browser.request("/count") }).await;
        browser.keep(&response);
        assert_eq!((response.status, response.body), (200, count.to_string()));
    }
}

macro_rules! contract {
    ($($(#[$doc:meta])* async fn $name:ident($open:ident) $body:block)+) => {
        $(
            $(#[$doc])*
            #[allow(missing_docs)]
            pub async fn $name<A: App, F: Future<Output = A>>($open: &impl Fn(Layers) -> F) $body
        )+
    };
}

contract! {
    async fn a_route_that_never_asks_has_no_session(open) {
        let store = RecordingStore::new(MemoryStore::new());
        let app = app(open, new(Arc::clone(&store)).save_uninitialized(true)).await;
        let mut browser = Browser::new();
        assert!(browser.get(&app, "/none").await.set_cookie.is_empty());
        text(&mut browser, &app, "/count").await;
        assert_eq!(store.calls(), [Call::Set]);
        assert!(browser.get(&app, "/none").await.set_cookie.is_empty());
        assert_eq!(store.calls(), []);
    }

    async fn on_arrival_every_route_has_a_session(open) {
        let store = RecordingStore::new(MemoryStore::new());
        let app = app(open, Options::express("keyboard cat").store(Arc::clone(&store))).await;
        let mut browser = Browser::new();
        let first = browser.get(&app, "/none").await;
        assert_eq!((first.body.as_str(), first.set_cookie.len()), ("none", 1));
        assert_eq!(store.calls(), [Call::Set]);
        browser.get(&app, "/none").await;
        assert_eq!(store.calls(), [Call::Get, Call::Set]);
    }

    async fn a_session_is_kept_from_request_to_request(open) {
        let app = app(open, new(MemoryStore::new())).await;
        let (mut one, mut other) = (Browser::new(), Browser::new());
        for count in 1..4 {
            assert_eq!(text(&mut one, &app, "/count").await, count.to_string());
        }
        assert_eq!(text(&mut other, &app, "/count").await, "1");
        assert_eq!(text(&mut one, &app, "/count?query=1").await, "4");
    }

    async fn a_visitor_without_data_leaves_nothing_behind(open) {
        let store = RecordingStore::new(MemoryStore::new());
        let app = app(open, new(Arc::clone(&store))).await;
        let response = app.send(Request::get("/read")).await;
        assert_eq!((response.body.as_str(), response.set_cookie.len()), ("read", 0));
        assert_eq!(store.calls(), []);
    }

    async fn parallel_requests_keep_all_their_updates(open) {
        let app = app(open, new(MemoryStore::new())).await;
        let mut browser = Browser::new();
        text(&mut browser, &app, "/add").await;
        let requests = (0..40).map(|at| {
            let path = if at % 2 == 0 { "/add" } else { "/count" };
            app.send(browser.request(path))
        });
        assert!(join_all(requests).await.iter().all(|response| response.status == 200));
        assert_eq!(text(&mut browser, &app, "/sum").await, "21");
    }

    async fn a_logout_removes_the_cookie_and_stays_a_logout(open) {
        let all = CookieOptions::new().domain("example.com").priority(Priority::High).http_only(false);
        for cookie in [CookieOptions::new(), all] {
            let app = app(open, new(MemoryStore::new()).cookie(cookie)).await;
            let mut browser = Browser::new();
            text(&mut browser, &app, "/login").await;
            let before = browser.clone();
            assert_eq!(text(&mut browser, &app, "/logout").await, "bye");
            assert_eq!(browser.cookie("sid"), None);
            assert_eq!(text(&mut before.clone(), &app, "/user").await, "nobody");
        }
    }

    async fn a_login_renews_the_id_and_keeps_the_data(open) {
        let app = app(open, new(MemoryStore::new())).await;
        let mut browser = Browser::new();
        text(&mut browser, &app, "/count").await;
        let mut before = browser.clone();
        assert_eq!(text(&mut browser, &app, "/login").await, "tj");
        assert_ne!(browser.cookie("sid"), before.cookie("sid"));
        assert_eq!(text(&mut browser, &app, "/count").await, "2");
        assert_eq!(text(&mut browser, &app, "/user").await, "tj");
        assert_eq!(text(&mut before, &app, "/user").await, "nobody");
    }

    async fn sessions_that_their_clients_keep_are_the_same_to_an_application(open) {
        let ended = FailingStore::new(MemoryStore::new());
        let signed = CookieSessionOptions::new("key1").build();
        let sealed = SealedSessionOptions::new([7; 32]).revocations(Arc::clone(&ended)).build();
        for (sessions, is_sealed) in [(signed, false), (sealed, true)] {
            let app = open(Layers { nested: vec![sessions.unwrap()], second: None }).await;
            let mut browser = Browser::new();
            for count in 1..4 {
                assert_eq!(text(&mut browser, &app, "/count").await, count.to_string());
            }
            assert_eq!(text(&mut browser, &app, "/stream/add").await, "1");
            assert_eq!(text(&mut browser, &app, "/sum").await, "1");
            // A login renews an id, and the signed kind has none.
            let login = browser.get(&app, "/login").await;
            assert_eq!(login.status, if is_sealed { 200 } else { 500 });
            assert_eq!(login.body == "tj", is_sealed);
            let mut before = browser.clone();
            assert_eq!(text(&mut browser, &app, "/logout").await, "bye");
            assert_eq!(browser.cookie("session"), None);
            assert_eq!(text(&mut before, &app, "/count").await, if is_sealed { "1" } else { "4" });
            if is_sealed {
                ended.fail_reads(true);
                assert_opaque(&before.get(&app, "/count").await, "session");
                ended.fail_reads(false);
            }
        }
    }

    async fn the_save_is_done_before_the_response_goes_out(open) {
        let store = GatedStore::new(MemoryStore::new());
        let app = app(open, new(Arc::clone(&store))).await;
        let mut response = Box::pin(app.send(Request::get("/count")));
        let mut is_saved = Box::pin(until("it is saved", async || store.is_waited_at()));
        poll_fn(|context| {
            assert!(response.as_mut().poll(context).is_pending(), "the save is still under way");
            is_saved.as_mut().poll(context)
        })
        .await;
        for _ in 0..100 {
            assert!(poll_immediate(&mut response).await.is_none(), "the save is still under way");
            tokio::task::yield_now().await;
        }
        store.open();
        assert_eq!(response.await.set_cookie.len(), 1);
    }

    async fn a_streamed_response_has_its_session_saved(open) {
        let app = app(open, new(MemoryStore::new())).await;
        let mut browser = Browser::new();
        assert_eq!(text(&mut browser, &app, "/stream/count").await, "1");
        assert_eq!(text(&mut browser, &app, "/stream/count").await, "2");
    }

    async fn an_error_of_the_handler_is_no_reason_not_to_save(open) {
        let app = app(open, new(MemoryStore::new())).await;
        let mut browser = Browser::new();
        let response = browser.get(&app, "/error/count").await;
        assert_eq!((response.status, response.set_cookie.len()), (400, 1));
        assert_eq!(text(&mut browser, &app, "/count").await, "2");
    }

    async fn a_cookie_of_the_handler_stays_and_ours_comes_last(open) {
        let app = app(open, new(MemoryStore::new())).await;
        let response = app.send(Request::get("/cookie/count")).await;
        assert_eq!(response.set_cookie.len(), 2, "{response:?}");
        assert!(response.set_cookie[0].starts_with("own=1"));
        assert!(response.set_cookie[1].starts_with("sid=s%3A"));
    }

    async fn the_path_is_the_one_that_the_client_sent(open) {
        for (path, answer) in [("/mounted", "some"), ("/mounted/optional", "some"), ("/optional", "none")] {
            let options = new(MemoryStore::new()).cookie(CookieOptions::new().path(path));
            let app = app(open, options).await;
            assert_eq!(app.send(Request::get("/mounted/optional")).await.body, answer, "{path}");
        }
    }

    async fn outside_the_cookies_path_there_is_no_session(open) {
        let app = app(open, new(MemoryStore::new()).cookie(CookieOptions::new().path("/shop"))).await;
        assert_eq!(app.send(Request::get("/optional")).await.body, "none");
        assert_eq!(app.send(Request::get("/count")).await.status, 500);
        assert_eq!(app.send(Request::get("/shopping/count")).await.status, 500);
        assert_eq!(app.send(Request::get("/shop/count")).await.body, "1");
    }

    async fn of_duplicate_cookies_the_first_verified_counts(open) {
        let app = app(open, new(MemoryStore::new())).await;
        let mut browser = Browser::new();
        text(&mut browser, &app, "/count").await;
        let good = browser.cookie("sid").unwrap();
        for cookies in [format!("sid=s%3Aforged.x; sid={good}"), format!("sid={good}; sid=s%3Aforged.x")] {
            let response = app.send(Request::get("/count").header("cookie", cookies)).await;
            assert_ne!(response.body, "1");
        }
    }

    async fn in_the_express_profile_the_first_duplicate_counts(open) {
        let app = app(open, Options::express("keyboard cat").store(MemoryStore::new())).await;
        let mut browser = Browser::new();
        text(&mut browser, &app, "/count").await;
        let good = browser.cookie("connect.sid").unwrap();
        let count = async |cookies: String| app.send(Request::get("/count").header("cookie", cookies)).await.body;
        assert_eq!(count(format!("connect.sid=s%3Aforged.x; connect.sid={good}")).await, "1");
        assert_eq!(count(format!("connect.sid={good}; connect.sid=s%3Aforged.x")).await, "2");
    }

    async fn broken_cookies_are_a_new_session_and_never_an_error(open) {
        let app = app(open, new(MemoryStore::new())).await;
        let mut browser = Browser::new();
        text(&mut browser, &app, "/count").await;
        let good = browser.cookie("sid").unwrap().to_owned();
        let unknown = signed("nobody-has-this-id");
        let long = signed(&"x".repeat(5_000));
        let broken: Vec<Vec<u8>> = vec![
            "".into(),
            "s:".into(),
            "s:.".into(),
            "%".into(),
            "s%3A%zz.x".into(),
            "\"".into(),
            good[..good.len() - 1].into(),
            good.replace("s%3A", "").into(),
            good.replace("s%3A", "S%3A").into(),
            format!("{good}%3D").into(),
            signed("").into(),
            unknown.into(),
            long.into(),
            b"s:\xff\xfe.\x80".to_vec(),
            [good.as_bytes(), b"\xff"].concat(),
        ];
        for value in broken {
            let shown = String::from_utf8_lossy(&value).into_owned();
            let response = app.send(Request::get("/count").header("cookie", [b"sid=", &value[..]].concat())).await;
            assert_eq!((response.status, response.body.as_str()), (200, "1"), "{shown}");
            assert_eq!(response.set_cookie.len(), 1, "{shown}");
        }
        assert_eq!(text(&mut browser, &app, "/count").await, "2");
    }

    async fn a_cookie_in_several_headers_is_found(open) {
        let app = app(open, new(MemoryStore::new())).await;
        let mut browser = Browser::new();
        text(&mut browser, &app, "/count").await;
        let request = Request::get("/count").header("cookie", "a=1").header("cookie", b"b=\xff;c=%zz".to_vec());
        let request = request.header("cookie", format!("sid={}", browser.cookie("sid").unwrap()));
        assert_eq!(app.send(request).await.body, "2");
    }

    async fn a_store_that_cannot_be_read_is_an_opaque_failure(open) {
        for express in [false, true] {
            let store = FailingStore::new(MemoryStore::new());
            let options = if express { Options::express("keyboard cat").name("sid") } else { Options::new("keyboard cat") };
            let app = app(open, options.store(Arc::clone(&store))).await;
            let mut browser = Browser::new();
            text(&mut browser, &app, "/count").await;
            let sid = text(&mut browser, &app, "/id").await;
            store.fail_reads(true);
            assert_opaque(&browser.get(&app, "/count").await, &sid);
            assert_opaque(&browser.get(&app, "/optional").await, &sid);
            store.fail_reads(false);
            assert_eq!(text(&mut browser, &app, "/count").await, "2");
        }
    }

    async fn a_store_that_cannot_be_written_is_an_opaque_failure(open) {
        let store = FailingStore::new(MemoryStore::new());
        let app = app(open, new(Arc::clone(&store))).await;
        let mut browser = Browser::new();
        text(&mut browser, &app, "/count").await;
        let sid = text(&mut browser, &app, "/id").await;
        store.fail_writes(true);
        for path in ["/count", "/add", "/logout", "/stream/count", "/error/count", "/cookie/count"] {
            assert_opaque(&browser.clone().get(&app, path).await, &sid);
        }
        store.fail_writes(false);
        assert_eq!(text(&mut browser, &app, "/count").await, "2");
    }

    async fn a_save_that_fails_after_a_login_leaves_the_visitor_the_session(open) {
        let store = FailingStore::new(MemoryStore::new());
        let app = app(open, new(Arc::clone(&store))).await;
        let mut browser = Browser::new();
        text(&mut browser, &app, "/count").await;
        // Also where the handler has failed as well.
        for (path, count) in [("/login", "2"), ("/error/login", "3")] {
            // The record under the new id, and the end of the old one.
            store.fail_writes_after(2);
            let response = browser.get(&app, path).await;
            assert!(response.status >= 500 && response.set_cookie.len() == 1, "{path}: {response:?}");
            assert!(!response.body.contains(CANARY), "{path}: {response:?}");
            store.fail_writes(false);
            assert_eq!(text(&mut browser, &app, "/count").await, count, "{path}");
        }
    }

    async fn a_store_that_is_down_harms_no_route_that_never_asks(open) {
        let store = FailingStore::new(MemoryStore::new());
        let app = app(open, new(Arc::clone(&store))).await;
        let mut browser = Browser::new();
        text(&mut browser, &app, "/count").await;
        store.fail_reads(true);
        store.fail_writes(true);
        assert_eq!(text(&mut browser, &app, "/none").await, "none");
    }

    async fn what_ends_a_request_is_logged_with_its_cause_once_for_each_failure(open) {
        let store = FailingStore::new(MemoryStore::new());
        let app = app(open, new(Arc::clone(&store))).await;
        let mut browser = Browser::new();
        text(&mut browser, &app, "/login").await;
        let sid = text(&mut browser, &app, "/id").await;
        // By what fails: reading, and writing. Of a change that is in doubt, or a logout, the end of the request fails as well.
        for (path, reads, writes, status, times, cause) in [
            ("/count", true, false, 503, 1, CANARY),
            ("/count", false, true, 503, 1, CANARY),
            ("/add", false, true, 503, 2, CANARY),
            ("/login", false, true, 503, 2, CANARY),
            ("/saved", false, true, 503, 2, CANARY),
            ("/logout", false, true, 503, 2, CANARY),
            ("/mistake", false, false, 500, 1, "\"user\""),
            ("/reserved", false, false, 500, 1, "\"save\""),
        ] {
            store.fail_reads(reads);
            store.fail_writes(writes);
            let log = Captured::begin();
            let response = browser.clone().get(&app, path).await;
            store.fail_reads(false);
            store.fail_writes(false);
            assert_eq!(response.status, status, "{path}: {response:?}");
            let told = log.lines("ERROR");
            assert_eq!(told.len(), times, "{path}: {}", log.text());
            assert!(told.iter().all(|line| line.contains(cause)), "{path}: {told:?}");
            assert!(!log.text().contains(&sid), "{path}: {}", log.text());
            assert!(!response.body.contains(CANARY) && !response.body.contains("key"), "{path}: {response:?}");
        }
    }

    async fn no_handler_runs_without_the_session_that_it_was_to_have(open) {
        let store = FailingStore::new(MemoryStore::new());
        let app = app(open, Options::express("keyboard cat").name("sid").store(Arc::clone(&store))).await;
        let mut browser = Browser::new();
        text(&mut browser, &app, "/count").await;
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
            // It could be read the second time: by a handler that asks for it.
            store.fail_next_read();
            let response = app.send(Request { method, ..browser.request("/count") }).await;
            assert_eq!((response.status, response.set_cookie.len()), (503, 0), "{method}: {response:?}");
        }
        assert_eq!(text(&mut browser, &app, "/count").await, "2");
    }

    async fn a_session_that_cannot_be_read_on_arrival_is_told_once(open) {
        let store = FailingStore::new(MemoryStore::new());
        let app = app(open, Options::express("keyboard cat").name("sid").store(Arc::clone(&store))).await;
        let mut browser = Browser::new();
        text(&mut browser, &app, "/count").await;
        store.fail_next_read();
        let log = Captured::begin();
        assert_eq!(browser.get(&app, "/count").await.status, 503);
        assert_eq!(log.lines("ERROR").len(), 1, "{}", log.text());
    }

    async fn a_proxy_is_believed_only_when_it_is_trusted(open) {
        let secure = CookieOptions::new().secure(Secure::Always);
        for (proxy, header, sent) in [
            (false, "https", 0),
            (true, "https", 1),
            (true, "HTTPS , http", 1),
            (true, "http,https", 0),
            (true, "", 0),
            // Two lines of the header.
            (true, "https\nhttp", 1),
            (true, "http\nhttps", 0),
        ] {
            let app = app(open, new(MemoryStore::new()).cookie(secure.clone()).proxy(proxy)).await;
            let request = header.lines().fold(Request::get("/count"), |request, line| {
                request.header("x-forwarded-proto", line)
            });
            let response = app.send(request).await;
            assert_eq!((response.status, response.set_cookie.len()), (200, sent), "{proxy} {header}");
        }
    }

    async fn every_asking_in_one_request_gets_the_same_session(open) {
        let store = RecordingStore::new(MemoryStore::new());
        let app = app(open, new(Arc::clone(&store))).await;
        let mut browser = Browser::new();
        assert_eq!(text(&mut browser, &app, "/twice/count").await, "1 1");
        assert_eq!(store.calls(), [Call::Set]);
        assert_eq!(text(&mut browser, &app, "/twice/count").await, "2 2");
        assert_eq!(store.calls(), [Call::Get, Call::Set]);
    }

    async fn a_session_is_usable_after_the_response(open) {
        let store = Arc::new(MemoryStore::new());
        let app = app(open, new(Arc::clone(&store))).await;
        let mut browser = Browser::new();
        text(&mut browser, &app, "/count").await;
        let sid = Sid::from(text(&mut browser, &app, "/id").await);
        text(&mut browser, &app, "/later/count").await;
        let is_saved = async || stored(&store, &sid, "user").await.as_deref() == Some("\"later\"");
        until("the work after the response is saved", is_saved).await;
        assert_eq!(text(&mut browser, &app, "/count").await, "3");
    }

    async fn of_nested_layers_the_inner_one_serves_what_the_outer_one_leaves_alone(open) {
        let admin = || CookieOptions::new().path("/mounted");
        let profiles = [
            |name: &str| Options::new("keyboard cat").name(name),
            |name: &str| Options::express("keyboard cat").name(name),
        ];
        for options in profiles {
            for outer_is_admin in [true, false] {
                let (inside, around) = if outer_is_admin { ("site", "admin") } else { ("admin", "site") };
                let of = |name: &str| {
                    let options = options(name).store(MemoryStore::new());
                    if name == "admin" { options.cookie(admin()) } else { options }
                };
                let app = nested(open, [of(around), of(inside)]).await;
                let mut browser = Browser::new();
                for count in ["1", "2"] {
                    assert_eq!(text(&mut browser, &app, "/count").await, count);
                }
                // Where both could serve, the outer one does.
                let others = if outer_is_admin { ["1", "2"] } else { ["3", "4"] };
                for count in others {
                    assert_eq!(text(&mut browser, &app, "/mounted/count").await, count, "{around} around {inside}");
                }
                assert_eq!(browser.cookie("admin").is_some(), outer_is_admin);
                assert_eq!(app.send(Request::get("/mounted/optional")).await.body, "some");
            }
        }
    }

    async fn where_no_layer_serves_there_is_no_session(open) {
        let of = |path: &str| {
            let cookie = CookieOptions::new().path(path);
            new(MemoryStore::new()).name(path.trim_start_matches('/')).cookie(cookie)
        };
        let app = nested(open, [of("/mounted"), of("/shop")]).await;
        for (path, answer) in [("/optional", "none"), ("/mounted/optional", "some")] {
            assert_eq!(app.send(Request::get(path)).await.body, answer, "{path}");
        }
        assert_eq!(app.send(Request::get("/shop/count")).await.body, "1");
        assert_eq!(app.send(Request::get("/count")).await.status, 500);
    }

    async fn sessions_side_by_side_are_each_their_own(open) {
        for express in [false, true] {
            let of = |name: &str| {
                let options = if express { Options::express("keyboard cat") } else { Options::new("keyboard cat") };
                options.store(MemoryStore::new()).name(name).build().unwrap()
            };
            let app = open(Layers { nested: vec![of("first")], second: Some(of("second")) }).await;
            let mut browser = Browser::new();
            for count in ["1", "2"] {
                assert_eq!(text(&mut browser, &app, "/count").await, count);
            }
            assert_eq!(text(&mut browser, &app, "/second/count").await, "1");
            assert_eq!(text(&mut browser, &app, "/second/logout").await, "bye");
            assert_eq!(text(&mut browser, &app, "/second/count").await, "1");
            assert_eq!(text(&mut browser, &app, "/count").await, "3");
            assert!(browser.cookie("first").is_some() && browser.cookie("second").is_some());
        }
    }

    async fn of_two_stores_that_are_down_one_failure_is_answered(open) {
        let stores = [FailingStore::new(MemoryStore::new()), FailingStore::new(MemoryStore::new())];
        let of = |at: usize| {
            let options = Options::express("keyboard cat").name(if at == 0 { "first" } else { "second" });
            options.store(Arc::clone(&stores[at])).build().unwrap()
        };
        let app = open(Layers { nested: vec![of(0)], second: Some(of(1)) }).await;
        let mut browser = Browser::new();
        text(&mut browser, &app, "/count").await;
        text(&mut browser, &app, "/second/count").await;
        for down in [[true, false], [false, true], [true, true]] {
            stores.iter().zip(down).for_each(|(store, down)| store.fail_reads(down));
            let response = browser.get(&app, "/count").await;
            assert_eq!(response.status, 503, "{down:?} {response:?}");
        }
        stores.iter().for_each(|store| store.fail_reads(false));
        assert_eq!(text(&mut browser, &app, "/count").await, "2");
    }

    /// Whichever of two is saved first: what it had to tell the browser goes out with the failure of the other.
    async fn a_save_that_fails_takes_no_other_sessions_cookie(open) {
        for failing in [0, 1] {
            let stores = [FailingStore::new(MemoryStore::new()), FailingStore::new(MemoryStore::new())];
            let of = |at: usize| {
                let options = Options::new("keyboard cat").name(if at == 0 { "first" } else { "second" });
                options.store(Arc::clone(&stores[at])).build().unwrap()
            };
            let app = open(Layers { nested: vec![of(0)], second: Some(of(1)) }).await;
            let mut browser = Browser::new();
            text(&mut browser, &app, "/both/count").await;
            stores[failing].fail_writes(true);
            let before = browser.clone();
            let response = browser.get(&app, "/both/login").await;
            stores[failing].fail_writes(false);
            let (kept, lost) = if failing == 0 { ("second", "first") } else { ("first", "second") };
            assert_eq!((response.status, response.set_cookie.len()), (503, 1), "{failing}: {response:?}");
            assert!(browser.cookie(kept) != before.cookie(kept) && browser.cookie(lost) == before.cookie(lost));
            // Nobody is logged out of either.
            assert_eq!(text(&mut browser, &app, "/both/count").await, "2 2", "{failing}");
        }
    }

    async fn a_typed_session_is_a_part_of_the_session(open) {
        let store = Arc::new(MemoryStore::new());
        let app = app(open, new(Arc::clone(&store)).cookie(CookieOptions::new().path("/typed"))).await;
        let mut browser = Browser::new();
        for (path, items) in [("/typed/count", "1"), ("/typed/add", "2"), ("/typed/count", "3")] {
            assert_eq!(text(&mut browser, &app, path).await, items);
        }
        let mut held = Vec::new();
        let mut visit = |_, record: Record| held.extend(record.data.get("basket").map(String::from));
        store.all(&mut visit).await.unwrap();
        assert_eq!(held, [r#"{"items":3}"#]);
    }

    async fn a_typed_session_is_found_by_its_marker(open) {
        let of = |name: &str| new(MemoryStore::new()).name(name).build().unwrap();
        let app = open(Layers { nested: vec![of("first")], second: Some(of("second")) }).await;
        let mut browser = Browser::new();
        assert_eq!(text(&mut browser, &app, "/typed/count").await, "1");
        assert_eq!(text(&mut browser, &app, "/typed/second/count").await, "1");
        assert_eq!(text(&mut browser, &app, "/typed/second/add").await, "2");
        assert_eq!(text(&mut browser, &app, "/typed/add").await, "2");
        assert!(browser.cookie("first").is_some() && browser.cookie("second").is_some());
    }

    async fn outside_the_cookies_path_there_is_no_typed_session(open) {
        let app = app(open, new(MemoryStore::new()).cookie(CookieOptions::new().path("/elsewhere"))).await;
        let response = app.send(Request::get("/typed/count")).await;
        assert_eq!((response.status, response.set_cookie), (500, Vec::new()));
    }

    async fn what_makes_ids_sees_the_method_and_the_query(open) {
        let genid = |request: &RequestInfo<'_>| {
            Sid::from(format!("{} {}", request.method(), request.query().unwrap_or("none")))
        };
        let app = app(open, new(MemoryStore::new()).save_uninitialized(true).genid(genid)).await;
        for (method, path, id) in [
            ("GET", "/id?a=1&b=%20", "GET a=1&b=%20"),
            ("GET", "/id", "GET none"),
            ("POST", "/id?", "POST "),
        ] {
            let response = app.send(Request { method, ..Request::get(path) }).await;
            assert_eq!(response.body, id);
        }
    }

    /// Its server may go on with the connection or close it, and either way the session is there.
    async fn a_body_that_nobody_reads_harms_no_session(open) {
        unread(open, &Body::Whole(vec![b'x'; 10_000])).await;
    }

    async fn a_body_that_never_ends_harms_no_session(open) {
        unread(open, &Body::Unfinished).await;
    }

    async fn who_is_a_trusted_proxy_is_a_choice(open) {
        let secure = CookieOptions::new().secure(Secure::Always);
        for (proxy, sent) in [
            (Proxy::Never, 0),
            (Proxy::Hops(0), 0),
            (Proxy::Hops(1), 1),
            // None of these, or not known.
            (Proxy::peers(["192.0.2.1"]), 0),
        ] {
            let app = app(open, new(MemoryStore::new()).cookie(secure.clone()).proxy(proxy.clone())).await;
            let response = app.send(claims_to_be("192.0.2.1")).await;
            assert_eq!((response.status, response.set_cookie.len()), (200, sent), "{proxy:?}");
        }
        let forwarded = new(MemoryStore::new()).cookie(secure).proxy(true).proxy_header(ProxyHeader::Forwarded);
        let app = app(open, forwarded).await;
        for (header, value, sent) in [
            ("forwarded", "for=192.0.2.7;proto=https", 1),
            ("forwarded", "for=192.0.2.7;proto=http", 0),
            ("x-forwarded-proto", "https", 0),
        ] {
            let response = app.send(Request::get("/count").header(header, value)).await;
            assert_eq!((response.status, response.set_cookie.len()), (200, sent), "{header}: {value}");
        }
    }

    /// Over sockets: there is a peer.
    async fn a_peer_is_trusted_by_its_address(open) {
        let secure = CookieOptions::new().secure(Secure::Always);
        for (peer, sent) in [("loopback", 1), ("127.0.0.0/8", 1), ("192.0.2.0/24", 0)] {
            let app = app(open, new(MemoryStore::new()).cookie(secure.clone()).proxy(Proxy::peers([peer]))).await;
            let response = app.send(claims_to_be("192.0.2.1")).await;
            assert_eq!((response.status, response.set_cookie.len()), (200, sent), "{peer}");
        }
    }

    /// Over TLS.
    async fn a_connection_that_is_encrypted_is_secure(open) {
        for options in [Options::new("keyboard cat"), Options::express("keyboard cat")] {
            let cookie = CookieOptions::new().secure(Secure::Auto);
            let app = app(open, options.store(MemoryStore::new()).cookie(cookie)).await;
            let response = app.send(Request::get("/count").header("x-forwarded-proto", "http")).await;
            assert!(response.set_cookie[0].contains("; Secure"), "{response:?}");
        }
    }
}

/// A client that would be taken for this peer, and its connection for an encrypted one.
fn claims_to_be(peer: &str) -> Request {
    Request::get("/count")
        .header("x-forwarded-proto", "https")
        .header("x-forwarded-for", peer)
        .header("x-real-ip", peer)
        .header("forwarded", format!("for={peer};proto=https"))
}

mod around;
mod caches;
mod carriers;
mod hang_ups;

pub use around::*;
pub use caches::*;
pub use carriers::*;
pub use hang_ups::*;
