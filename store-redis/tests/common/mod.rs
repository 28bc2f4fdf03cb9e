//! What the tests of this store share.

#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test file takes its part")]

pub mod server;

use std::time::{Duration, SystemTime};

use redis::{Client, FromRedisValue};
use session_core::{Sealed, Sid};
use session_testkit::{Fixture, ManualClock};
use store_redis::{RedisStore, redis};
use test_support::put_patiently;
use test_support::{Need, service};
pub use test_support::{put, record};

pub fn redis_url() -> Need<String> {
    service("REDIS_URL")
}

/// What waits for nobody is not to fail on a machine that is busy.
pub const PATIENT: Duration = Duration::from_secs(30);

fn open(url: &str, prefix: &str) -> RedisStore {
    RedisStore::open(url).unwrap().prefix(prefix).timeout(PATIENT)
}

/// A store among keys of its own.
pub fn store(url: &str) -> (RedisStore, String) {
    let prefix = new_prefix();
    (open(url, &prefix), prefix)
}

pub fn new_prefix() -> String {
    format!("test:{}:", Sid::random().as_str())
}

/// The store's default time to live.
pub const DAY: Duration = Duration::from_secs(86_400);

/// Redis ends what has expired by its own clock, which no test can move, and counts in milliseconds that pass between two calls.
pub const BY_ITS_OWN_CLOCK: [&str; 5] = [
    "what_has_no_expires_ends_with_the_stores_own_time_to_live",
    "the_end_is_the_same_millisecond_to_every_verb",
    "all_verbs_see_the_end_at_the_same_moment",
    // These two need nothing that ends, and so a clock that the store alone goes by: `by_a_clock`.
    "a_version_is_as_good_after_hours",
    "what_is_removed_by_the_way_has_expired",
];

/// A store whose own clock a test moves, for sentences in which nothing has to end: Redis's stays behind.
pub fn by_a_clock(url: &str) -> Fixture {
    let (prefix, clock) = (new_prefix(), ManualClock::new());
    let [store, other] = [(); 2].map(|()| open(url, &prefix).clock(clock.clock()));
    Fixture::new(store).beside(other).clock(clock).ttl(DAY).expires_by_itself()
}

pub fn fixture(url: &str) -> Fixture {
    let ((store, prefix), url) = (store(url), url.to_owned());
    let other = open(&url, &prefix);
    let fixture = Fixture::new(store).beside(other).ttl(DAY).expires_by_itself().exempt(BY_ITS_OWN_CLOCK);
    fixture.plant(move |sid, text, until| {
        let (key, url) = (format!("{prefix}{}", sid.as_str()), url.clone());
        async move { ask(&url, &["SET", &key, &text, "PX", &left(until)]) }
    })
}

/// What is held is no text, and never the same twice: each byte of the JSON beside a random one.
pub fn serialized(url: &str) -> Fixture {
    let (prefix, url) = (new_prefix(), url.to_owned());
    let [store, other] = [(); 2].map(|()| with_serializer(open(&url, &prefix)));
    let fixture = Fixture::new(store).beside(other).ttl(DAY).expires_by_itself().exempt(BY_ITS_OWN_CLOCK);
    fixture.plant(move |sid, text, until| {
        let (key, url, held) = (format!("{prefix}{}", sid.as_str()), url.clone(), scrambled(&text));
        async move {
            let mut connection = Client::open(url).unwrap().get_connection().unwrap();
            let set = redis::cmd("SET").arg(key).arg(held).arg("PX").arg(left(until)).exec(&mut connection);
            set.unwrap();
        }
    })
}

/// The database sees no data, and what others write is read as it is.
pub fn sealed(url: &str) -> Fixture {
    let ((store, prefix), url) = (store(url), url.to_owned());
    let [store, other] =
        [store, open(&url, &prefix)].map(|store| Sealed::new(store, [7; 32]).unwrap().also_reads_plain(true));
    let fixture = Fixture::new(store).beside(other).ttl(DAY).expires_by_itself().exempt(BY_ITS_OWN_CLOCK);
    fixture.plant(move |sid, text, until| {
        let (key, url) = (format!("{prefix}{}", sid.as_str()), url.clone());
        async move { ask(&url, &["SET", &key, &text, "PX", &left(until)]) }
    })
}

pub fn with_serializer(store: RedisStore) -> RedisStore {
    let parse = |held: &[u8]| {
        let (salt, rest) = held.split_first().ok_or("it is empty")?;
        Ok(String::from_utf8(rest.iter().map(|byte| byte ^ salt).collect())?)
    };
    store.serializer(|json| Ok(scrambled(json)), parse)
}

pub fn scrambled(json: &str) -> Vec<u8> {
    let salt = Sid::random().as_str().as_bytes()[0] | 0x80;
    std::iter::once(salt).chain(json.bytes().map(|byte| byte ^ salt)).collect()
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

/// Two hundred, of which each knows its number.
pub async fn sessions(store: &RedisStore) -> Vec<Sid> {
    let mut sids = Vec::new();
    for n in 0..200 {
        sids.push(put_patiently(store, &record(&format!("\"n\":{n}"))).await);
    }
    sids
}
