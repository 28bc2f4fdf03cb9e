//! What responses tell caches.

use std::{future::Future, sync::Arc};

use session_core::{
    CacheHeaders, CookieOptions, CookieSessionOptions, MemoryStore, Options, SealedSessionOptions, Sessions,
    StoreRead,
};

use super::{Layers, app, new, text};
use crate::{
    browser::{App, Browser, Request, Response},
    log::Captured,
    stores::FailingStore,
};

/// The headers that the route `/headed` sets, one by one: `vary=Origin&cache-control=public,+max-age=60`, where `+` is a blank.
#[must_use]
pub fn headed(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.into(), value.replace('+', " "))).collect()
}

/// Where the handler tells caches nothing.
const OF_THE_COOKIE: &str = "private, no-cache=\"Set-Cookie\"";

fn told(response: &Response) -> (String, String) {
    (response.list("vary"), response.list("cache-control"))
}

fn tells(vary: &str, cache_control: &str) -> (String, String) {
    (vary.into(), cache_control.into())
}

async fn all_of<A: App, F: Future<Output = A>>(open: impl Fn(Layers) -> F, sessions: Sessions) -> A {
    open(Layers { nested: vec![sessions], second: None }).await
}

contract! {
    async fn a_response_that_used_the_session_tells_caches(open) {
        let app = app(open, new(MemoryStore::new())).await;
        let mut browser = Browser::new();
        for (path, vary, cache_control) in [
            ("/none", "", ""),
            // Nothing is set, and another visitor may be answered something else.
            ("/user", "Cookie", ""),
            ("/optional", "Cookie", ""),
            ("/count", "Cookie", OF_THE_COOKIE),
            ("/count", "Cookie", ""),
            ("/none", "", ""),
            ("/login", "Cookie", OF_THE_COOKIE),
            ("/stream/count", "Cookie", ""),
            ("/unchanged/count", "Cookie", ""),
            ("/error/login", "Cookie", OF_THE_COOKIE),
            ("/mistake", "Cookie", ""),
            ("/twice/count", "Cookie", ""),
            // It is removed.
            ("/logout", "Cookie", OF_THE_COOKIE),
        ] {
            assert_eq!(told(&browser.get(&app, path).await), tells(vary, cache_control), "{path}");
        }
        assert_eq!(browser.cookie("sid"), None);
    }

    async fn what_the_handler_tells_caches_is_added_to(open) {
        let app = app(open, new(MemoryStore::new())).await;
        for (query, vary, cache_control) in [
            ("vary=Origin", "Origin, Cookie", OF_THE_COOKIE),
            ("vary=Accept,+cookie", "Accept, cookie", OF_THE_COOKIE),
            ("vary=*", "*", OF_THE_COOKIE),
            ("cache-control=public,+max-age=60", "Cookie", "public, max-age=60, no-cache=\"Set-Cookie\""),
            ("cache-control=no-cache=X-A", "Cookie", "no-cache=\"X-A, Set-Cookie\""),
            ("cache-control=no-store", "Cookie", "no-store"),
            ("cache-control=max-age=60,+private", "Cookie", "max-age=60, private"),
            ("cache-control=No-Cache", "Cookie", "No-Cache"),
        ] {
            let response = app.send(Request::get(&format!("/headed/count?{query}"))).await;
            assert_eq!((response.set_cookie.len(), told(&response)), (1, tells(vary, cache_control)), "{query}");
        }
    }

    async fn a_failure_that_carries_a_cookie_tells_caches(open) {
        let store = FailingStore::new(MemoryStore::new());
        let app = app(open, new(Arc::clone(&store))).await;
        let mut browser = Browser::new();
        text(&mut browser, &app, "/count").await;
        // The record under the new id, and the end of the old one.
        store.fail_writes_after(2);
        let response = browser.get(&app, "/headed/login?cache-control=public").await;
        assert_eq!((response.status, response.set_cookie.len()), (503, 1), "{response:?}");
        assert_eq!(told(&response), tells("Cookie", OF_THE_COOKIE));
        // And one that could not be read is no answer for others.
        store.fail_reads(true);
        assert_eq!(told(&browser.get(&app, "/optional").await), tells("Cookie", ""));
    }

    /// No handler has run.
    async fn a_session_that_cannot_be_read_on_arrival_tells_caches(open) {
        let store = FailingStore::new(MemoryStore::new());
        let options = || new(Arc::clone(&store)).store_read(StoreRead::OnArrival);
        let app = app(open, options()).await;
        let mut browser = Browser::new();
        assert_eq!(told(&browser.get(&app, "/count").await), tells("Cookie", OF_THE_COOKIE));
        store.fail_reads(true);
        for path in ["/none", "/count"] {
            let response = browser.get(&app, path).await;
            assert_eq!((response.status, told(&response)), (503, tells("Cookie", "")), "{path}");
        }
        let app = self::app(open, options().cache_headers(CacheHeaders::Never)).await;
        assert_eq!(told(&browser.get(&app, "/none").await), tells("", ""));
    }

    async fn outside_the_cookies_path_caches_are_told_nothing(open) {
        let app = app(open, new(MemoryStore::new()).cookie(CookieOptions::new().path("/shop"))).await;
        assert_eq!(told(&app.send(Request::get("/optional")).await), tells("", ""));
        assert_eq!(told(&app.send(Request::get("/shop/count")).await), tells("Cookie", OF_THE_COOKIE));
    }

    async fn where_the_options_say_so_caches_are_told_nothing(open) {
        let express = || Options::express("keyboard cat").store(MemoryStore::new());
        let never = CacheHeaders::Never;
        for sessions in [
            express().build(),
            new(MemoryStore::new()).cache_headers(never).build(),
            CookieSessionOptions::express("key1").build(),
            CookieSessionOptions::new("key1").cache_headers(never).build(),
            SealedSessionOptions::new([7; 32]).cache_headers(never).build(),
        ] {
            let app = all_of(open, sessions.unwrap()).await;
            let response = app.send(Request::get("/count")).await;
            assert!(!response.set_cookie.is_empty() && told(&response) == tells("", ""), "{response:?}");
            let response = app.send(Request::get("/headed/count?vary=Origin&cache-control=public")).await;
            assert_eq!(told(&response), tells("Origin", "public"));
        }
        let asked = express().cache_headers(CacheHeaders::WhereUsed);
        let response = app(open, asked).await.send(Request::get("/none")).await;
        assert_eq!(told(&response), tells("Cookie", OF_THE_COOKIE));
    }

    async fn sessions_that_their_clients_keep_tell_caches(open) {
        for sessions in [CookieSessionOptions::new("key1").build(), SealedSessionOptions::new([7; 32]).build()] {
            let app = all_of(open, sessions.unwrap()).await;
            let mut browser = Browser::new();
            for (path, vary, cache_control) in [
                ("/none", "", ""),
                ("/user", "Cookie", ""),
                ("/headed/count?vary=Origin", "Origin, Cookie", OF_THE_COOKIE),
                ("/user", "Cookie", ""),
                ("/headed/logout?cache-control=private", "Cookie", "private"),
            ] {
                assert_eq!(told(&browser.get(&app, path).await), tells(vary, cache_control), "{path}");
            }
            assert_eq!(browser.cookie("session"), None);
        }
    }

    async fn of_two_sessions_each_tells_caches(open) {
        let of = |name: &str, path: &str| {
            let cookie = CookieOptions::new().path(path);
            new(MemoryStore::new()).name(name).cookie(cookie).build().unwrap()
        };
        let app = open(Layers { nested: vec![of("first", "/")], second: Some(of("second", "/second")) }).await;
        let mut browser = Browser::new();
        for (path, vary) in [("/count", "Cookie"), ("/second/count", "Cookie"), ("/none", "")] {
            let response = browser.get(&app, path).await;
            assert_eq!(response.list("vary"), vary, "{path}");
        }
    }

    /// Of this thread's log.
    async fn a_cookie_for_another_domain_is_told_once(open) {
        let with = |domain: &str| new(MemoryStore::new()).cookie(CookieOptions::new().domain(domain));
        let told = |log: &Captured| {
            let lines = log.lines("WARN");
            lines.into_iter().filter(|line| line.contains("cookie.domain")).collect::<Vec<_>>()
        };
        for (host, times) in [("shop.example.com:8080", 0), ("example.com", 0), ("example.org", 1)] {
            let app = app(open, with("example.com")).await;
            let log = Captured::begin();
            for path in ["/none", "/user", "/count", "/count"] {
                app.send(Request::get(path).header("host", host)).await;
            }
            let told = told(&log);
            assert_eq!(told.len(), times, "{host}: {told:?}");
            assert!(told.iter().all(|line| line.contains("example.com") && line.contains(host)), "{told:?}");
        }
        // Whom a proxy names, where it is trusted.
        for (trusted, times) in [(true, 0), (false, 1)] {
            let app = app(open, with("example.com").proxy(trusted)).await;
            let log = Captured::begin();
            let request = Request::get("/count").header("host", "inside").header("x-forwarded-host", "example.com, b");
            app.send(request).await;
            assert_eq!(told(&log).len(), times, "{trusted}");
        }
    }
}
