//! Sessions that come by a header, and by several ways.

use std::{future::Future, sync::Arc};

use session_core::{Carrier, MemoryStore, Options, Store};

use super::{Layers, app, new, signed};
use crate::{
    browser::{App, Browser, Request, Response},
    stores::{CANARY, FailingStore},
};

/// What the routes answer at `carrier`.
pub(super) fn named(carrier: &Carrier) -> String {
    let name = match carrier {
        Carrier::Cookie => "cookie",
        Carrier::Bearer => "bearer",
        Carrier::Header(name) => name,
        _ => "another",
    };
    format!("{name}{}", if carrier.is_ambient() { ", ambient" } else { "" })
}

/// A client that keeps no cookies.
#[derive(Clone, Default)]
struct Client {
    token: Option<String>,
    is_bearer: bool,
}

impl Client {
    fn bearer() -> Self {
        Self { is_bearer: true, ..Self::default() }
    }

    fn request(&self, path: &str) -> Request {
        match &self.token {
            None => Request::get(path),
            Some(token) if self.is_bearer => {
                Request::get(path).header("authorization", format!("Bearer {token}"))
            }
            Some(token) => Request::get(path).header("x-session", token.as_str()),
        }
    }

    async fn get(&mut self, app: &impl App, path: &str) -> Response {
        let response = app.send(self.request(path)).await;
        let name = if self.is_bearer { "x-auth-token" } else { "x-session" };
        if let Some(token) = response.values(name).first() {
            self.token = Some((*token).into()).filter(|token: &String| !token.is_empty());
        }
        response
    }
}

/// It has the form of a token.
const FORGED: &str = "x.0123456789012345678901234567890123456789012";

fn by_header(store: impl Store) -> Options {
    new(store).carriers([Carrier::header("X-Session")])
}

fn by_all(store: impl Store) -> Options {
    new(store).carriers([Carrier::Cookie, Carrier::bearer(), Carrier::header("X-Session")])
}

contract! {
    async fn a_session_goes_back_by_the_header_that_it_came_by(open) {
        for (mut client, carrier, asked, answered) in [
            (Client::default(), Carrier::header("X-Session"), "x-session", "x-session"),
            (Client::bearer(), Carrier::bearer(), "authorization", "x-auth-token"),
        ] {
            let app = app(open, new(MemoryStore::new()).carriers([carrier])).await;
            let before = client.clone();
            for (path, body, is_told) in [
                ("/user", "nobody", false),
                ("/count", "1", true),
                ("/count", "2", false),
                ("/login", "tj", true),
                ("/user", "tj", false),
                ("/stream/count", "3", false),
                ("/none", "none", false),
            ] {
                let cached = match path {
                    _ if is_told => "no-store",
                    // What is answered to a session that came by a header is for no shared cache.
                    _ if client.token.is_some() && path != "/none" => "private",
                    _ => "",
                };
                let response = client.get(&app, path).await;
                assert_eq!((response.status, response.body.as_str()), (200, body), "{path}");
                assert!(response.set_cookie.is_empty(), "{path}: {response:?}");
                assert_eq!(response.values(answered).len(), usize::from(is_told), "{path}: {response:?}");
                assert_eq!(response.list("cache-control"), cached, "{path}");
                assert_eq!(response.list("vary"), if path == "/none" { "" } else { asked }, "{path}");
            }
            let mut logged_in = client.clone();
            assert_eq!(client.get(&app, "/token").await.body, logged_in.token.clone().unwrap());
            // The handler's own words stay.
            let response = client.get(&app, "/headed/login?vary=Origin&cache-control=max-age=60").await;
            assert_eq!(response.list("cache-control"), "max-age=60, no-store");
            assert_eq!(response.list("vary"), format!("Origin, {asked}"));
            assert_eq!(logged_in.get(&app, "/user").await.body, "nobody", "its id was renewed");
            let response = client.get(&app, "/logout").await;
            assert_eq!((response.body.as_str(), response.values(answered)), ("bye", vec![""]));
            assert!(client.token.is_none() && response.list("cache-control") == "no-store");
            assert_eq!(before.clone().get(&app, "/count").await.body, "1");
        }
    }

    async fn a_new_session_goes_back_by_what_the_request_has_shown(open) {
        let app = app(open, by_all(MemoryStore::new())).await;
        let forged = FORGED;
        let bearer = format!("Bearer {FORGED}");
        for (header, value, by) in [
            ("accept", "text/html", "cookie"),
            ("cookie", "sid=forged; a=b", "cookie"),
            ("cookie", "other=1", "cookie"),
            ("x-session", forged, "x-session"),
            ("x-session", "", "cookie"),
            ("x-session", "x.y", "cookie"),
            ("authorization", bearer.as_str(), "x-auth-token"),
            // What another system's clients bring is no token.
            ("authorization", "Bearer x.y", "cookie"),
            // Another scheme is the application's own.
            ("authorization", "Basic eDp5", "cookie"),
        ] {
            let response = app.send(Request::get("/count").header(header, value)).await;
            let given = (response.set_cookie.len(), response.values("x-session").len(), response.values("x-auth-token").len());
            let expected = (usize::from(by == "cookie"), usize::from(by == "x-session"), usize::from(by == "x-auth-token"));
            assert_eq!((response.body.as_str(), given), ("1", expected), "{header}: {value}: {response:?}");
            let no_store = if by == "cookie" { "private, no-cache=\"Set-Cookie\"" } else { "no-store" };
            assert_eq!(response.list("cache-control"), no_store);
            assert_eq!(response.list("vary"), "authorization, x-session, Cookie");
        }
        // Of two the first in the list.
        let both = Request::get("/count").header("x-session", forged).header("authorization", format!("bearer {FORGED}"));
        assert_eq!(app.send(both).await.values("x-auth-token").len(), 1);
    }

    async fn different_ids_in_one_request_are_refused(open) {
        let app = app(open, by_all(MemoryStore::new())).await;
        let (mut browser, mut client, mut bearer) = (Browser::new(), Client::default(), Client::bearer());
        // Asked by its header for the first time.
        (client.token, bearer.token) = (Some(FORGED.into()), Some(FORGED.into()));
        browser.get(&app, "/count").await;
        client.get(&app, "/count").await;
        bearer.get(&app, "/count").await;
        let (token, other) = (client.token.clone().unwrap(), bearer.token.clone().unwrap());
        let refused = [
            client.request("/count").header("authorization", format!("Bearer {other}")),
            client.request("/count").header("x-session", other.clone()),
            browser.request("/count").header("x-session", token.clone()),
            browser.request("/optional").header("authorization", format!("Bearer {other}")),
            Request::get("/count").header("authorization", format!("Bearer {other}")).header("authorization", format!("Bearer {token}")),
        ];
        for request in refused {
            let response = app.send(request.clone()).await;
            assert_eq!(response.status, 400, "{request:?}");
            assert!(response.set_cookie.is_empty() && response.values("x-session").is_empty());
            assert!(!response.body.contains(&token) && !response.body.contains(&other));
        }
        // And none of them was taken.
        assert_eq!(browser.get(&app, "/count").await.body, "2");
        assert_eq!(client.get(&app, "/count").await.body, "2");
        // The same id twice is one, and a forged one none.
        let sid = client.get(&app, "/id").await.body;
        for (header, value) in [
            ("authorization", format!("Bearer {token}")),
            ("cookie", format!("sid={}", signed(&sid))),
            ("x-session", token.clone()),
            ("authorization", format!("Bearer {token}x")),
            ("cookie", "sid=s%3Aforged.x".into()),
        ] {
            let before: u32 = client.get(&app, "/count").await.body.parse().unwrap();
            let response = app.send(client.request("/count").header(header, value.clone())).await;
            assert_eq!(response.body, (before + 1).to_string(), "{header}: {value}");
        }
    }

    async fn a_session_says_by_which_carrier_it_came(open) {
        let app = app(open, by_all(MemoryStore::new())).await;
        let (mut browser, mut client, mut bearer) = (Browser::new(), Client::default(), Client::bearer());
        (client.token, bearer.token) = (Some(FORGED.into()), Some(FORGED.into()));
        for _ in 0..2 {
            assert_eq!(browser.get(&app, "/carrier").await.body, "cookie, ambient");
            assert_eq!(client.get(&app, "/carrier").await.body, "x-session");
            assert_eq!(bearer.get(&app, "/carrier").await.body, "bearer");
            browser.get(&app, "/count").await;
            client.get(&app, "/count").await;
            bearer.get(&app, "/count").await;
        }
        assert!(browser.cookie("sid").is_some());
    }

    async fn broken_tokens_are_a_new_session_and_never_an_error(open) {
        let app = app(open, by_header(MemoryStore::new())).await;
        let mut client = Client::default();
        client.get(&app, "/count").await;
        let good = client.token.clone().unwrap();
        let broken: Vec<Vec<u8>> = vec![
            "".into(),
            ".".into(),
            "s:".into(),
            "%".into(),
            good[..good.len() - 1].into(),
            format!("{good}x").into(),
            format!("Bearer {good}").into(),
            signed("nobody-has-this-id").into(),
            signed(&"x".repeat(5_000)).into(),
            b"\xff\xfe.\x80".to_vec(),
        ];
        for value in broken {
            let shown = String::from_utf8_lossy(&value).into_owned();
            let response = app.send(Request::get("/count").header("x-session", value)).await;
            assert_eq!((response.status, response.body.as_str()), (200, "1"), "{shown}");
            assert_eq!(response.values("x-session").len(), 1, "{shown}");
        }
        // What a cookie holds is a token too.
        let sid = client.get(&app, "/id").await.body;
        let response = app.send(Request::get("/count").header("x-session", signed(&sid))).await;
        assert_eq!(response.body, "2");
    }

    async fn a_save_that_fails_after_a_login_leaves_the_client_the_token(open) {
        let store = FailingStore::new(MemoryStore::new());
        let app = app(open, by_header(Arc::clone(&store))).await;
        let mut client = Client::default();
        client.get(&app, "/count").await;
        let before = client.token.clone();
        // The record under the new id, and the end of the old one.
        store.fail_writes_after(2);
        let response = client.get(&app, "/login").await;
        store.fail_writes(false);
        assert_eq!((response.status, response.list("cache-control").as_str()), (503, "no-store"), "{response:?}");
        assert!(!response.body.contains(CANARY) && client.token != before);
        assert_eq!(client.get(&app, "/count").await.body, "2");
    }

    async fn of_two_sessions_each_has_its_carrier(open) {
        let layers = Layers {
            nested: vec![new(MemoryStore::new()).build().unwrap()],
            second: Some(by_header(MemoryStore::new()).build().unwrap()),
        };
        let app = open(layers).await;
        let (mut browser, mut token) = (Browser::new(), None);
        for count in ["1 1", "2 2"] {
            let request = browser.request("/both/count");
            let request = match &token {
                None => request,
                Some(token) => Request::header(request, "x-session", String::clone(token)),
            };
            let response = app.send(request).await;
            browser.keep(&response);
            token = response.values("x-session").first().map(|token| (*token).to_owned()).or(token);
            assert_eq!(response.body, count);
            let vary = response.list("vary");
            assert!(vary.contains("Cookie") && vary.contains("x-session"), "{vary}");
        }
    }
}
