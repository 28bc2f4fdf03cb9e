//! The store contract on a MongoDB server, in every form that documents have.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod common;

use std::{process::ExitCode, time::Duration};

use mongodb::{
    IndexModel,
    bson::{Binary, Bson, DateTime, doc, spec::BinarySubtype},
};
use session_core::{AdminStore, Sealed};
use session_testkit::{Fixture, ManualClock};
use store_mongo::{Kruptein, MongoOptions, MongoStore, WebCrypto, mongodb};
use test_support::Tests;

/// The clock is moved, so that the server, which goes by its own, must not remove anything.
async fn open(url: &str, is_indexed: bool, options: impl Fn(MongoOptions) -> MongoOptions) -> Fixture {
    open_as(url, is_indexed, options, |store| store).await
}

/// Within another store.
async fn open_as<S: AdminStore>(
    url: &str,
    is_indexed: bool,
    options: impl Fn(MongoOptions) -> MongoOptions,
    wrapped: impl Fn(MongoStore) -> S,
) -> Fixture {
    let (collection, clock) = (common::collection(url).await, ManualClock::new());
    // As with `AutoRemove::Native`, but that nothing is removed: the server may find its way by it.
    if is_indexed {
        let index = IndexModel::builder().keys(doc! { "expires": 1 }).build();
        collection.create_index(index).await.unwrap();
    }
    // Each with a connection pool of its own, as in a process of its own.
    let other = mongodb::Client::with_uri_str(url).await.unwrap();
    let other = other.database(common::DATABASE).collection(collection.name());
    let [store, other] = [&collection, &other]
        .map(|collection| options(common::quiet(collection).clock(clock.clock())).build().unwrap())
        .map(wrapped);
    let fixture = Fixture::new(store).beside(other).ttl(14 * DAY).clock(clock.clone());
    fixture.exact_to_the_millisecond().plant(move |sid, text, until| {
        let expires = DateTime::from_millis(common::millis(until));
        let set = doc! { "$set": { "expires": expires, "session": text } };
        let collection = collection.clone();
        async move {
            let planted = collection.update_one(doc! { "_id": sid.as_str() }, set).upsert(true);
            planted.await.unwrap();
        }
    })
}

macro_rules! contract {
    ($($name:ident: $options:expr;)+) => {
        fn main() -> ExitCode {
            let tests = Tests::default();
            $(
                // Without the index the collection is not there before the first write.
                let is_indexed = stringify!($name) != "strings";
                let fixture = move |url: String| async move { open(&url, is_indexed, $options).await };
                let tests = tests.contracts(stringify!($name), common::mongodb_url, fixture);
            )+
            // The database sees no data, and what others write is read as it is.
            let sealed = |store| Sealed::new(store, [7; 32]).unwrap().also_reads_plain(true);
            let documents = |options: MongoOptions| options.stringify(false);
            let fixture = move |url: String| async move { open_as(&url, true, documents, sealed).await };
            tests.contracts("sealed", common::mongodb_url, fixture).run()
        }
    };
}

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

contract! {
    strings: |options| options;
    documents: |options| options.stringify(false);
    touched_once_a_minute: |options| options.touch_after(MINUTE).timestamps(true);
    touched_once_a_day: |options| options.touch_after(DAY).timestamps(true).stringify(false);
    serialized: |options| options.serializer(
        |json| {
            let bytes = json.bytes().rev().collect();
            Ok(Binary { subtype: BinarySubtype::Generic, bytes }.into())
        },
        |held| match held {
            // As the fixture plants it.
            Bson::String(json) => Ok(json.clone()),
            Bson::Binary(held) => Ok(String::from_utf8(held.bytes.iter().rev().copied().collect())?),
            _ => Err("neither of both".into()),
        },
    );
    encrypted: |options| options.crypto(Kruptein::new("AAbb11!!squirrel"));
    web_encrypted: |options| options.stringify(false).crypto(WebCrypto::new("AAbb11!!squirrel").iterations(1_000));
}
