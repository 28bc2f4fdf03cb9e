//! Sessions so large that one of them and what it replaces do not fit into one command.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a test that cannot go on stops"
)]

mod common;

use std::{path::PathBuf, process::ExitCode};

use common::{
    mongodb_url, put, quiet, record,
    server::{ReplicaSet, mongod},
    set,
};
use mongodb::{Client, bson::Document};
use session_core::{Destroyed, Expect, Record, Set, Sid, Store, Touched};
use session_testkit::run;
use store_mongo::{Kruptein, MongoOptions, mongodb};
use test_support::tests;

fn main() -> ExitCode {
    tests! {
        needs mongod =>
            a_large_session_is_written_over_a_large_one,
            of_two_who_write_over_a_large_one_one_is_told_of_the_other;
        needs mongodb_url =>
            without_a_replica_set_it_is_refused_and_says_so;
    }
    .run()
}

/// Two of them are more than 16 MB, and one is not.
fn large(letter: &str) -> Record {
    of_megabytes(9, letter)
}

fn of_megabytes(count: usize, letter: &str) -> Record {
    record(&format!("\"large\":\"{}\"", letter.repeat(count << 20)))
}

fn options(client: &Client) -> MongoOptions {
    quiet(&client.database("shop").collection::<Document>("large"))
}

fn a_large_session_is_written_over_a_large_one(mongod: PathBuf) {
    run(async {
        let servers = ReplicaSet::start_alone(&mongod).await;
        let client = Client::with_uri_str(servers.url()).await.unwrap();
        let secret = Kruptein::new("AAbb11!!squirrel");
        // What is encrypted is a third longer, at least.
        for (options, megabytes) in [
            (options(&client), 9),
            (options(&client).stringify(false), 9),
            (options(&client).crypto(secret), 7),
        ] {
            let large = |letter| of_megabytes(megabytes, letter);
            let store = options.build().unwrap();
            let sid = put(&store, &large("a")).await;
            let first = store.get(&sid).await.unwrap().unwrap().version;
            let second = set(&store, &sid, &large("b"), Expect::Version(first.clone())).await;
            let read = store.get(&sid).await.unwrap().unwrap();
            assert!(read.version == second && read.record.to_json() == large("b").to_json());

            let (first, second) = (Expect::Version(first), Expect::Version(second));
            assert_eq!(store.set(&sid, &large("c"), &first).await.unwrap(), Set::Conflict);
            let cookie = record("").cookie;
            assert_eq!(store.touch(&sid, &cookie, &first).await.unwrap(), Touched::Conflict);
            assert_eq!(store.touch(&sid, &cookie, &second).await.unwrap(), Touched::Moved);
            assert_eq!(store.destroy(&sid, &first).await.unwrap(), Destroyed::Conflict);
            assert_eq!(store.destroy(&sid, &second).await.unwrap(), Destroyed::Destroyed);
            assert_eq!(store.set(&sid, &large("c"), &second).await.unwrap(), Set::Conflict, "it is gone");
            assert!(store.get(&sid).await.unwrap().is_none());
        }
    });
}

fn of_two_who_write_over_a_large_one_one_is_told_of_the_other(mongod: PathBuf) {
    run(async {
        let servers = ReplicaSet::start_alone(&mongod).await;
        let client = Client::with_uri_str(servers.url()).await.unwrap();
        let store = options(&client).build().unwrap();
        for _ in 0..8 {
            let sid = put(&store, &large("a")).await;
            let version = Expect::Version(store.get(&sid).await.unwrap().unwrap().version);
            let (b, c) = (large("b"), large("c"));
            let (one, other) = tokio::join!(store.set(&sid, &b, &version), store.set(&sid, &c, &version));
            let written = [one.unwrap(), other.unwrap()].map(|answer| matches!(answer, Set::Written(_)));
            assert!(written[0] != written[1], "{written:?}");
            let left = store.get(&sid).await.unwrap().unwrap().record.to_json();
            assert!(left == if written[0] { b.to_json() } else { c.to_json() });
        }
    });
}

fn without_a_replica_set_it_is_refused_and_says_so(url: String) {
    run(async {
        let store = quiet(&common::collection(&url).await).build().unwrap();
        let sid: Sid = put(&store, &large("a")).await;
        let version = store.get(&sid).await.unwrap().unwrap().version;
        let error = store.set(&sid, &large("b"), &Expect::Version(version)).await.unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("16 MB") && source.contains("replica set"), "{source}");
        assert!(store.get(&sid).await.unwrap().unwrap().record.to_json() == large("a").to_json());
    });
}
