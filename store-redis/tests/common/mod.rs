//! What the tests of this store share.

#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test file takes its part")]

pub mod server;

use std::time::{Duration, SystemTime};

use redis::{Client, FromRedisValue};
use session_core::Sid;
use session_testkit::Fixture;
use store_redis::{RedisStore, redis};
use test_support::{Need, service};
pub use test_support::{put, record};

pub fn redis_url() -> Need<String> {
    service("REDIS_URL")
}

/// A store among keys of its own.
pub fn store(url: &str) -> (RedisStore, String) {
    let prefix = new_prefix();
    (RedisStore::open(url).unwrap().prefix(&prefix), prefix)
}

pub fn new_prefix() -> String {
    format!("test:{}:", Sid::random().as_str())
}

/// The store's default time to live.
pub const DAY: Duration = Duration::from_secs(86_400);

pub fn fixture(url: &str) -> Fixture {
    let ((store, prefix), url) = (store(url), url.to_owned());
    let other = RedisStore::open(&url).unwrap().prefix(&prefix);
    Fixture::new(store).beside(other).ttl(DAY).expires_by_itself().plant(move |sid, text, until| {
        let (key, url) = (format!("{prefix}{}", sid.as_str()), url.clone());
        async move { ask(&url, &["SET", &key, &text, "PX", &left(until)]) }
    })
}

/// In milliseconds, as Redis has it.
pub fn left(until: SystemTime) -> String {
    until.duration_since(SystemTime::now()).unwrap_or_default().as_millis().max(1).to_string()
}

/// One command, past the store.
pub fn ask<T: FromRedisValue>(url: &str, command: &[&str]) -> T {
    let mut connection = Client::open(url).unwrap().get_connection().unwrap();
    redis::cmd(command[0]).arg(&command[1..]).query(&mut connection).unwrap()
}
