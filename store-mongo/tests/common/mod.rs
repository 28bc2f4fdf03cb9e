//! What the tests of this store share.

#![allow(dead_code, unreachable_pub, reason = "each test file takes its part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on stops"
)]

pub mod node;
pub mod server;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mongodb::{
    Client, Collection,
    bson::{DateTime, Document, doc},
};
use session_core::{Clock, Expect, Record, Set, Sid, Store, Version};
use store_mongo::{AutoRemove, MongoOptions, mongodb};

pub const DATABASE: &str = "express_session_test";

pub fn mongodb_url() -> Option<String> {
    session_testkit::service_url("MONGODB_URL")
}

/// A collection of its own for every test.
pub async fn collection(url: &str) -> Collection<Document> {
    let client = Client::with_uri_str(url).await.unwrap();
    client.database(DATABASE).collection(&format!("test_{}", Sid::random().as_str()))
}

/// Options for tests that look at one thing: nothing happens beside it.
pub fn quiet(collection: &Collection<Document>) -> MongoOptions {
    MongoOptions::new(collection.clone()).auto_remove(AutoRemove::Disabled)
}

/// Stands still at these milliseconds.
pub fn clock(millis: u64) -> Clock {
    Clock::new(move || UNIX_EPOCH + Duration::from_millis(millis))
}

pub fn millis(time: SystemTime) -> i64 {
    i64::try_from(time.duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

pub fn in_an_hour() -> DateTime {
    DateTime::from_millis(millis(SystemTime::now()) + 3_600_000)
}

/// A record with this data that lives until the browser closes.
pub fn record(data: &str) -> Record {
    let cookie = r#""cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}"#;
    let comma = if data.is_empty() { "" } else { "," };
    Record::parse(format!("{{{cookie}{comma}{data}}}")).unwrap()
}

pub async fn set(store: &impl Store, sid: &Sid, record: &Record, expect: Expect) -> Version {
    match store.set(sid, record, &expect).await.unwrap() {
        Set::Written(version) => version,
        other => panic!("nobody else writes: {other:?}"),
    }
}

/// A new session with the record.
pub async fn put(store: &impl Store, record: &Record) -> Sid {
    let sid = Sid::random();
    set(store, &sid, record, Expect::Nothing).await;
    sid
}

pub async fn document(collection: &Collection<Document>, sid: &Sid) -> Document {
    collection.find_one(doc! { "_id": sid.as_str() }).await.unwrap().unwrap()
}

/// Until `done` answers true, at most ten seconds.
pub async fn until(mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..400 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("not within ten seconds");
}
