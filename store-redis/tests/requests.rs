//! What a request costs, counted by MONITOR.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "helpers of tests"
)]

mod common;

use std::{process::ExitCode, time::Duration};

use common::{ask, new_prefix, redis_url};
use futures_util::StreamExt;
use session_core::{CookieOptions, Options, RequestInfo, Secure, SessionHandle, Sessions};
use store_redis::{RedisStore, redis};
use test_support::tests;

fn main() -> ExitCode {
    tests! {
        free =>
            a_route_that_never_asks_costs_nothing_and_needs_no_server;
        needs redis_url =>
            a_request_costs_no_more_round_trips_than_it_must,
            in_the_express_profile_a_touch_is_an_expire,
            without_touch_a_read_is_all_there_is;
    }
    .run()
}

struct App {
    url: String,
    prefix: String,
    sessions: Sessions,
}

impl App {
    fn new(url: String, options: impl FnOnce(Options) -> Options) -> Self {
        let prefix = new_prefix();
        let cookie = CookieOptions::new().max_age(Duration::from_secs(3_600)).secure(Secure::Never);
        let store = RedisStore::open(&url).unwrap().prefix(&prefix);
        let sessions = options(Options::new("keyboard cat").cookie(cookie)).store(store).build().unwrap();
        Self { url, prefix, sessions }
    }

    /// A request with this cookie; answers the commands that it cost, and the cookie that it set.
    async fn request(
        &self,
        cookie: Option<&str>,
        handler: impl AsyncFnOnce(SessionHandle),
    ) -> (Vec<String>, Option<String>) {
        let client = redis::Client::open(self.url.as_str()).unwrap();
        let mut lines = Box::pin(client.get_async_monitor().await.unwrap().into_on_message::<String>());

        let exchange = self.sessions.exchange();
        let each = |visit: &mut dyn FnMut(&str, &[u8])| {
            cookie.iter().for_each(|cookie| visit("cookie", cookie.as_bytes()));
        };
        let asked = exchange.session(&RequestInfo::new("/", false, &each));
        handler(asked.await.unwrap().unwrap()).await;
        let set_cookie = exchange.end().await.unwrap().pop();

        let end = format!("{}end", self.prefix);
        let _: i64 = ask(&self.url, &["EXISTS", &end]);
        let mut commands = Vec::new();
        while let Some(line) = lines.next().await {
            if line.contains(&end) {
                break;
            }
            // Not those of other tests, nor what a script does inside the server.
            if line.contains(&self.prefix) && !line.contains(" lua]") {
                commands.push(line.split('"').nth(1).unwrap().to_owned());
            }
        }
        let name_and_value = |header: String| header.split(';').next().unwrap().to_owned();
        (commands, set_cookie.map(name_and_value))
    }

    async fn login(&self) -> String {
        let (_, cookie) = self.request(None, async |session| session.insert("user", "tj").unwrap()).await;
        cookie.unwrap()
    }

    /// Most of the lifetime has passed.
    fn age(&self, cookie: &str) {
        let sid = cookie.split("s%3A").nth(1).unwrap().split('.').next().unwrap();
        assert_eq!(ask::<i64>(&self.url, &["EXPIRE", &format!("{}{sid}", self.prefix), "600"]), 1);
    }
}

/// GET and PTTL go out and come back together: one round trip.
const READ: [&str; 2] = ["GET", "PTTL"];

fn a_request_costs_no_more_round_trips_than_it_must(url: String) {
    session_testkit::run(async {
        let app = App::new(url, |options| options);
        let (commands, cookie) = app.request(None, async |_| {}).await;
        assert_eq!((commands.len(), cookie), (0, None), "a visitor without data");
        let (commands, _) = app.request(None, async |session| session.insert("user", "tj").unwrap()).await;
        assert_eq!(commands, ["SET"], "new");

        let cookie = app.login().await;
        // A server that has not seen the script is told it once.
        app.request(Some(&cookie), async |session| session.insert("views", 0).unwrap()).await;
        let read =
            async |session: SessionHandle| assert_eq!(session.get::<String>("user").unwrap().unwrap(), "tj");
        assert_eq!(app.request(Some(&cookie), read).await.0, READ, "read");
        app.age(&cookie);
        assert_eq!(
            app.request(Some(&cookie), read).await.0,
            ["GET", "PTTL", "EVALSHA"],
            "read, when a touch is due"
        );
        assert_eq!(app.request(Some(&cookie), read).await.0, READ, "it was moved");

        let write = async |session: SessionHandle| session.insert("views", 1).unwrap();
        assert_eq!(app.request(Some(&cookie), write).await.0, ["GET", "PTTL", "EVALSHA"], "write");
        let update = async |session: SessionHandle| {
            session.update("views", |views: Option<u64>| views.unwrap_or(0) + 1).await.unwrap();
        };
        assert_eq!(app.request(Some(&cookie), update).await.0, ["GET", "PTTL", "EVALSHA"], "update");
        let same = async |session: SessionHandle| session.insert("user", "tj").unwrap();
        assert_eq!(app.request(Some(&cookie), same).await.0, READ, "what was written is what was there");

        let logout = async |session: SessionHandle| session.destroy().await.unwrap();
        assert_eq!(app.request(Some(&cookie), logout).await.0, ["GET", "PTTL", "DEL"], "logout");
        let (commands, _) = app.request(Some(&cookie), async |_| {}).await;
        assert_eq!(commands, READ, "a stale cookie");
    });
}

fn in_the_express_profile_a_touch_is_an_expire(url: String) {
    session_testkit::run(async {
        let app = App::new(url.clone(), |options| options);
        let sessions = Options::express("keyboard cat").save_uninitialized(false).resave(false);
        let store = RedisStore::open(&url).unwrap().prefix(&app.prefix);
        let app = App { sessions: sessions.store(store).build().unwrap(), ..app };
        let cookie = app.login().await;
        assert_eq!(app.request(Some(&cookie), async |_| {}).await.0, ["GET", "PTTL", "EXPIRE"]);
    });
}

fn a_route_that_never_asks_costs_nothing_and_needs_no_server() {
    let sessions = Options::new("keyboard cat").store(RedisStore::open("redis://127.0.0.1:1").unwrap());
    session_testkit::run(async {
        assert!(sessions.build().unwrap().exchange().end().await.unwrap().is_empty());
    });
}

fn without_touch_a_read_is_all_there_is(url: String) {
    session_testkit::run(async {
        for disable in [RedisStore::disable_touch, RedisStore::disable_ttl] {
            let prefix = new_prefix();
            let store = disable(RedisStore::open(&url).unwrap().prefix(&prefix), true);
            let app = App { prefix, ..App::new(url.clone(), |options| options) };
            let sessions = Options::express("keyboard cat").save_uninitialized(false).resave(false);
            let app = App { sessions: sessions.store(store).build().unwrap(), ..app };
            let cookie = app.login().await;
            assert_eq!(app.request(Some(&cookie), async |_| {}).await.0, READ);
        }
    });
}
