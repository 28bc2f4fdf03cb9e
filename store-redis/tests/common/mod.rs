//! What the tests of this store share.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file takes its part")]

pub mod server;

use redis::{Client, FromRedisValue};
use session_core::{Record, Sid};
use session_testkit::Fixture;
use store_redis::{Connection, RedisStore};

pub fn redis_url() -> Option<String> {
    session_testkit::service_url("REDIS_URL")
}

/// A store among keys of its own.
pub fn store(url: &str) -> RedisStore {
    on(Client::open(url).unwrap())
}

pub fn on(connection: impl Into<Connection>) -> RedisStore {
    RedisStore::new(connection).prefix(new_prefix())
}

pub fn new_prefix() -> String {
    format!("test:{}:", Sid::random().as_str())
}

/// For the contracts; what they plant goes past the store.
pub fn fixture(store: RedisStore, url: &str) -> Fixture {
    let (prefix, url) = (prefix_of(&store), url.to_owned());
    Fixture::new(store).plant(move |sid, text| {
        let (key, url) = (format!("{prefix}{}", sid.as_str()), url.clone());
        async move { ask(&url, &["SET", &key, &text]) }
    })
}

/// The prefix is the store's own affair: only its Debug shows it.
pub fn prefix_of(store: &RedisStore) -> String {
    let shown = format!("{store:?}");
    shown.split("prefix: \"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

/// One command, past the store.
pub fn ask<T: FromRedisValue>(url: &str, command: &[&str]) -> T {
    let mut connection = Client::open(url).unwrap().get_connection().unwrap();
    let mut request = redis::cmd(command[0]);
    request.arg(&command[1..]).query(&mut connection).unwrap()
}

/// A record with this data, that lives until the browser closes.
pub fn record(data: &str) -> Record {
    let cookie = r#""cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}"#;
    let comma = if data.is_empty() { "" } else { "," };
    Record::parse(format!("{{{cookie}{comma}{data}}}")).unwrap()
}
