//! Answers without a body, bodies of many megabytes, what changes while one is sent, and handlers that panic.

use std::{future::Future, sync::Arc};

use session_core::{CookieOptions, Error, MemoryStore, Options, SessionHandle};

use super::{
    Layers, app,
    hang_ups::{known, stored},
    new, text,
};
use crate::{
    browser::{App, Body, Browser, Request},
    log::Captured,
};

/// How many pieces the route `/megabytes` streams.
pub const MEGABYTES: usize = 16;

/// One of them.
#[must_use]
pub fn megabyte() -> Vec<u8> {
    vec![b'x'; 1 << 20]
}

/// What the route `/stream` does while its body is sent, and answers behind the text: nothing, unless the last segment of the path is
/// `meanwhile`, or `meanwhile-saved`.
pub async fn meanwhile(session: SessionHandle, path: &str) -> &'static str {
    let word = path.rsplit('/').next().unwrap_or_default();
    if !word.starts_with("meanwhile") {
        return "";
    }
    session.insert("sent", 1).expect("the session is there");
    if !word.ends_with("-saved") {
        return ", set";
    }
    match session.save().await {
        Ok(()) => ", saved",
        Err(Error::ResponseOut) => ", too late",
        Err(_) => ", failed",
    }
}

contract! {
    async fn an_answer_without_a_body_brings_the_cookie_too(open) {
        for options in [new(MemoryStore::new()), Options::express("keyboard cat").store(MemoryStore::new())] {
            let app = app(open, options.name("sid")).await;
            for (method, path, status) in [
                ("HEAD", "/count", 200),
                ("GET", "/nothing/count", 204),
                ("GET", "/unchanged/count", 304),
            ] {
                let response = app.send(Request { method, ..Request::get(path) }).await;
                let seen = (response.status, response.set_cookie.len(), response.body.as_str());
                assert_eq!(seen, (status, 1, ""), "{method} {path}");
                let mut browser = Browser::new();
                browser.keep(&response);
                assert_eq!(text(&mut browser, &app, "/count").await, "2", "{method} {path}");
            }
        }
    }

    async fn many_megabytes_are_sent_and_the_session_is_saved(open) {
        let app = app(open, new(MemoryStore::new())).await;
        let mut browser = Browser::new();
        for count in ["1", "2"] {
            let answer = text(&mut browser, &app, "/megabytes/count").await;
            assert!(answer.starts_with(&format!("{count}x")) && answer.len() == 1 + (MEGABYTES << 20));
        }
    }

    async fn many_megabytes_are_received_and_the_session_is_saved(open) {
        let app = app(open, new(MemoryStore::new())).await;
        let mut browser = Browser::new();
        for count in ["1", "2"] {
            let body = Body::Whole(megabyte().repeat(MEGABYTES));
            let response = app.send(Request { method: "POST", body, ..browser.request("/upload/count") }).await;
            browser.keep(&response);
            assert_eq!((response.status, response.body), (200, format!("{} {count}", MEGABYTES << 20)));
        }
    }

    async fn what_changes_while_the_body_is_sent_is_saved_by_those_who_say_so(open) {
        for options in [Options::new("keyboard cat"), Options::express("keyboard cat")] {
            let store = Arc::new(MemoryStore::new());
            let app = app(open, options.name("sid").store(Arc::clone(&store))).await;
            let (mut browser, sid) = known(&app).await;
            for (path, answer, held) in [
                ("/stream/meanwhile", "read, set", None),
                ("/stream/meanwhile-saved", "read, saved", Some("1".to_owned())),
            ] {
                assert_eq!(text(&mut browser, &app, path).await, answer);
                assert_eq!(stored(&store, &sid, "sent").await, held, "{path}");
            }
        }
    }

    /// Its cookie would have gone out with the head.
    async fn a_session_that_is_begun_while_the_body_is_sent_is_too_late(open) {
        let app = app(open, new(MemoryStore::new())).await;
        let mut browser = Browser::new();
        assert_eq!(text(&mut browser, &app, "/stream/meanwhile-saved").await, "read, too late");
        assert_eq!(browser.cookie("sid"), None);
    }

    /// Of this thread's log.
    async fn what_is_set_while_the_body_is_sent_and_not_saved_is_told(open) {
        let app = app(open, new(MemoryStore::new())).await;
        let (mut browser, _) = known(&app).await;
        for (path, times) in [("/stream/meanwhile", 1), ("/stream/meanwhile-saved", 0)] {
            let log = Captured::begin();
            text(&mut browser, &app, path).await;
            let told = log.lines("WARN");
            assert_eq!(told.len(), times, "{path}: {told:?}");
            assert!(told.iter().all(|line| line.contains("changes of a session are dropped")), "{told:?}");
        }
    }

    /// Of this thread's log.
    async fn a_session_outside_the_cookies_path_is_told_where_it_ends_the_request(open) {
        let app = app(open, new(MemoryStore::new()).cookie(CookieOptions::new().path("/shop"))).await;
        for (path, status, times) in [("/optional", 200, 0), ("/count", 500, 1), ("/typed/count", 500, 1)] {
            let log = Captured::begin();
            assert_eq!(app.send(Request::get(path)).await.status, status, "{path}");
            let told = log.lines("ERROR");
            assert_eq!(told.len(), times, "{path}: {}", log.text());
            assert!(told.iter().all(|line| line.contains("cookie.path")), "{path}: {told:?}");
        }
    }

    /// Over sockets: its server may answer, or close the connection.
    async fn a_handler_that_panics_takes_nothing_that_was_acknowledged(open) {
        for options in [Options::new("keyboard cat"), Options::express("keyboard cat")] {
            let app = app(open, options.name("sid").store(MemoryStore::new())).await;
            let (mut browser, _) = known(&app).await;
            for sum in ["1", "2"] {
                let answered = app.try_send(browser.request("/panics/add")).await;
                assert!(answered.is_none_or(|response| response.status == 500));
                assert_eq!(text(&mut browser, &app, "/sum").await, sum);
            }
            assert_eq!(text(&mut browser, &app, "/count").await, "2");
        }
    }
}
