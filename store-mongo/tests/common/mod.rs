//! What the tests of this store share.

#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test file takes its part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on stops")]

pub mod node;
pub mod server;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mongodb::{
    Client, Collection,
    bson::{DateTime, Document, doc},
};
use session_core::{Clock, Expect, Record, Set, Sid, Store, Version};
use store_mongo::{AutoRemove, MongoOptions, mongodb};
use test_support::{Need, service};
pub use test_support::{put, record};

pub const DATABASE: &str = "express_session_test";

pub fn mongodb_url() -> Need<String> {
    service("MONGODB_URL")
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

pub async fn set(store: &impl Store, sid: &Sid, record: &Record, expect: Expect) -> Version {
    match store.set(sid, record, &expect).await.unwrap() {
        Set::Written(version) => version,
        other => panic!("nobody else writes: {other:?}"),
    }
}

pub async fn document(collection: &Collection<Document>, sid: &Sid) -> Document {
    collection.find_one(doc! { "_id": sid.as_str() }).await.unwrap().unwrap()
}

/// Until `done` answers true, for as long as a slow machine may need.
pub async fn until(mut done: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !done().await {
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}
