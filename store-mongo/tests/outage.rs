//! Servers that are down, slow, or want a password; and a primary that is killed under load.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on stops"
)]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use common::{
    put, record,
    server::{BOUND, ReplicaSet, Server, certificates, mongod, new_dir, openssl},
    until,
};
use mongodb::bson::doc;
use session_core::{AdminStore, Destroyed, Expect, Options, Set, Sid, Store, StoreError};
use session_testkit::run;
use store_mongo::{MongoError, MongoOptions, MongoStore, mongodb};

const CANARY: &str = "hunter2-canary";

fn unavailable(error: &StoreError) -> &MongoError {
    let StoreError::Unavailable { store: "mongo", source } = error else { panic!("{error:?}") };
    let shown = format!("{error:?} {error} {source} {:?}", source.source());
    assert!(!shown.contains(CANARY), "{shown}");
    source.downcast_ref().unwrap()
}

async fn timed<T>(call: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    (call.await, start.elapsed())
}

/// All four verbs fail, in bounded time, and show nothing of what they were for.
async fn all_fail(store: &MongoStore) -> Duration {
    let (sid, record) = (Sid::from(CANARY), record(&format!("\"{CANARY}\":1")));
    let (get, one) = timed(store.get(&sid)).await;
    let (set, two) = timed(store.set(&sid, &record, &Expect::Nothing)).await;
    let (touch, three) = timed(store.touch(&sid, &record.cookie, &Expect::Anything)).await;
    let (destroy, four) = timed(store.destroy(&sid, &Expect::Anything)).await;
    for error in [get.unwrap_err(), set.unwrap_err(), touch.unwrap_err(), destroy.unwrap_err()] {
        unavailable(&error);
    }
    let longest = [one, two, three, four].into_iter().max().unwrap();
    assert!(longest < BOUND, "{longest:?}");
    longest
}

#[test]
fn a_server_that_is_down_at_the_start_harms_only_who_asks() {
    run(async {
        let store = MongoStore::open("mongodb://127.0.0.1:1/shop").await.unwrap();
        let sessions = Options::new("keyboard cat").store(store.clone()).build().unwrap();
        assert!(sessions.exchange().end().await.unwrap().is_empty(), "a route that never asks");
        println!("down: errors after {:?}", all_fail(&store).await);
        let error = store.get(&Sid::from(CANARY)).await.unwrap_err();
        let why = unavailable(&error).to_string();
        assert!(why.starts_with("no server is reachable: Connection refused"), "{why}");
        let refused = MongoStore::open(&format!("mongodb://tj:{CANARY}@127.0.0.1:x/shop")).await.unwrap_err();
        assert_eq!(refused.option(), "url");
        assert!(!format!("{refused:?} {refused}").contains(CANARY));
        assert!(MongoStore::open("redis://127.0.0.1").await.is_err());
    });
}

#[test]
fn a_server_that_comes_later_is_found_and_one_that_hangs_is_not_waited_for() {
    let Some(mongod) = mongod() else { return };
    run(async {
        let server = Server::start(&mongod, &[]).await;
        let url = format!("{}/shop", server.url());
        let options = MongoOptions::open(&url).await.unwrap();
        let store = options.timeout(Duration::from_secs(1)).build().unwrap();
        let sid = put(&store, &record("")).await;
        server.signal("STOP");
        // Not all of its threads stop at once.
        until(async || store.get(&sid).await.is_err()).await;
        println!("hanging: errors after {:?}", all_fail(&store).await);
        server.signal("CONT");
        until(async || store.get(&sid).await.is_ok_and(|held| held.is_some())).await;
    });
}

#[test]
fn what_the_driver_quotes_is_not_passed_on() {
    let Some(url) = common::mongodb_url() else { return };
    run(async {
        let collection = common::collection(&url).await;
        let store = common::quiet(&collection).build().unwrap();
        // A rule of the database's that no session obeys: the server quotes the document.
        let rule = doc! { "collMod": collection.name(), "validator": { "never": true } };
        collection.insert_one(doc! { "never": true }).await.unwrap();
        collection.client().database(common::DATABASE).run_command(rule).await.unwrap();
        let record = record(&format!("\"key\":\"{CANARY}\""));
        let error = store.set(&Sid::from(CANARY), &record, &Expect::Anything).await.unwrap_err();
        assert_eq!(unavailable(&error).code(), Some(121));
        assert!(unavailable(&error).to_string().contains("121"), "{}", unavailable(&error));
    });
}

#[test]
fn options_that_cannot_work_are_refused() {
    run(async {
        let options = || async { MongoOptions::open("mongodb://127.0.0.1:1").await.unwrap() };
        let second = Duration::from_secs(1);
        let w = |w| {
            mongodb::options::WriteConcern::builder().w(mongodb::options::Acknowledgment::Nodes(w)).build()
        };
        for (refused, option) in [
            (options().await.ttl(Duration::ZERO), "ttl"),
            (options().await.ttl(second * 1_209_600_000), "ttl"),
            (options().await.ttl(second * 60).touch_after(second * 60), "touch_after"),
            (options().await.auto_remove_interval(Duration::from_millis(10)), "auto_remove_interval"),
            (options().await.auto_remove_interval(second * 60 * 71_583), "auto_remove_interval"),
            (options().await.timeout(Duration::ZERO), "timeout"),
            (options().await.db_name("a.b"), "db_name"),
            (options().await.collection_name(""), "collection_name"),
            (options().await.collection_name("system.users"), "collection_name"),
            (options().await.write_concern(w(0)), "write_concern"),
            (options().await.crypto(store_mongo::Kruptein::new("")), "crypto"),
        ] {
            let error = refused.build().unwrap_err();
            assert_eq!(error.option(), option, "{error}");
        }
        let client = mongodb::Client::with_uri_str("mongodb://127.0.0.1:1/shop").await.unwrap();
        let database = client.database("shop");
        assert!(MongoOptions::new(database.clone()).db_name("other").build().is_err());
        assert!(MongoOptions::new(database.clone()).collection_name("other").build().is_ok());
        let collection = database.collection::<mongodb::bson::Document>("other");
        assert!(MongoOptions::new(collection).collection_name("other").build().is_err());
        let collection = |options: MongoOptions| format!("{:?}", options.build().unwrap());
        assert!(collection(MongoOptions::new(client.clone())).contains("shop.sessions"));
        assert!(collection(MongoOptions::new(client.clone()).db_name("one")).contains("one.sessions"));
        assert!(collection(options().await.write_concern(w(1))).contains("test.sessions"));
    });
}

const WRITERS: usize = 16;

/// What the writers saw.
#[derive(Default)]
struct Outcome {
    /// Every session that was acknowledged, with the last number that was.
    acknowledged: Vec<(Sid, u64)>,
    failed: usize,
    slowest: Duration,
}

async fn write(store: MongoStore, stop: Arc<AtomicBool>, done: Arc<AtomicUsize>) -> Outcome {
    let mut outcome = Outcome::default();
    while !stop.load(Ordering::Relaxed) {
        let (sid, mut expect) = (Sid::random(), Expect::Nothing);
        for n in 0..5 {
            let record = record(&format!("\"n\":{n}"));
            let (set, took) = timed(store.set(&sid, &record, &expect)).await;
            outcome.slowest = outcome.slowest.max(took);
            match set {
                Ok(Set::Written(version)) => {
                    expect = Expect::Version(version);
                    match outcome.acknowledged.last_mut() {
                        Some((last, acknowledged)) if *last == sid => *acknowledged = n,
                        _ => outcome.acknowledged.push((sid.clone(), n)),
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
                Ok(other) => panic!("nobody else writes: {other:?}"),
                Err(error) => {
                    unavailable(&error);
                    outcome.failed += 1;
                    // It may be written or not.
                    break;
                }
            }
        }
    }
    outcome
}

#[test]
fn a_killed_primary_costs_bounded_errors_and_no_acknowledged_session() {
    let Some(mongod) = mongod() else { return };
    run(async {
        let mut set = ReplicaSet::start(&mongod).await;
        let store = MongoStore::open(&set.url()).await.unwrap();
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let more = async |count: usize| {
            let before = done.load(Ordering::Relaxed);
            until(async || done.load(Ordering::Relaxed) >= before + count).await;
        };
        let writer = |_| tokio::spawn(write(store.clone(), Arc::clone(&stop), Arc::clone(&done)));
        let writers: Vec<_> = (0..WRITERS).map(writer).collect();
        more(300).await;
        let primary = set.primary().await.unwrap();
        set.0.remove(primary).kill();
        let start = Instant::now();
        until(async || set.primary().await.is_some()).await;
        let elected = start.elapsed();
        more(1).await;
        let back = start.elapsed();
        more(300).await;
        stop.store(true, Ordering::Relaxed);

        let mut all = Outcome::default();
        for writer in writers {
            let one = writer.await.unwrap();
            all.acknowledged.extend(one.acknowledged);
            all.failed += one.failed;
            all.slowest = all.slowest.max(one.slowest);
        }
        for (sid, n) in &all.acknowledged {
            let stored = store.get(sid).await.unwrap().expect("an acknowledged session is there");
            let held: u64 = stored.record.data.get("n").unwrap().parse().unwrap();
            // The write after the last acknowledged one may have been done.
            assert!(held == *n || held == n + 1, "{held} of {n}");
        }
        println!(
            "replica set: another primary after {elected:?}, writes after {back:?}, {} sessions acknowledged and kept, \
             {} calls failed, the slowest call took {:?}",
            all.acknowledged.len(),
            all.failed,
            all.slowest
        );
        assert!(all.slowest < BOUND, "{:?}", all.slowest);
        assert!(store.length().await.unwrap() >= all.acknowledged.len() as u64);
    });
}

#[test]
fn with_a_password_over_tls_and_no_right_to_make_an_index() {
    let Some(mongod) = mongod() else { return };
    if !openssl() {
        return;
    }
    run(async {
        let dir = new_dir();
        certificates(&dir);
        let tls = ["--auth", "--tlsMode", "requireTLS", "--tlsCertificateKeyFile", "server.pem"];
        let tls = [&tls[..], &["--tlsCAFile", "ca.pem", "--tlsAllowConnectionsWithoutCertificates"]].concat();
        let server = Server::start_in(&mongod, dir, &tls).await;
        let ca = server.dir.join("ca.pem").display().to_string();
        let url = |user: &str| {
            format!("mongodb://{user}127.0.0.1:{}/shop?tls=true&tlsCAFile={ca}&authSource=admin", server.port)
        };
        let admin =
            |url: String| async move { mongodb::Client::with_uri_str(url).await.unwrap().database("admin") };
        // The first user may be made without one.
        let root = doc! { "createUser": "root", "pwd": "root", "roles": ["root"] };
        admin(url("")).await.run_command(root).await.unwrap();
        let admin = admin(url("root:root@")).await;
        let privilege = doc! {
            "resource": { "db": "shop", "collection": "sessions" }, "actions": ["find", "insert", "update", "remove"],
        };
        let role = doc! { "createRole": "sessions", "privileges": [privilege], "roles": [] };
        admin.run_command(role).await.unwrap();
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-1"] {
            let user = doc! { "createUser": mechanism, "pwd": CANARY, "roles": ["sessions"], "mechanisms": [mechanism] };
            admin.run_command(user).await.unwrap();
            let store = MongoStore::open(&url(&format!("{mechanism}:{CANARY}@"))).await.unwrap();
            let sid = put(&store, &record("\"a\":1")).await;
            assert!(store.get(&sid).await.unwrap().is_some());
            assert_eq!(store.length().await.unwrap(), 1);
            assert_eq!(store.destroy(&sid, &Expect::Anything).await.unwrap(), Destroyed::Destroyed);
            let wrong = MongoStore::open(&url(&format!("{mechanism}:wrong@"))).await.unwrap();
            unavailable(&wrong.get(&sid).await.unwrap_err());
        }
        let nobody = MongoStore::open(&url("")).await.unwrap();
        assert_eq!(unavailable(&nobody.get(&Sid::from(CANARY)).await.unwrap_err()).code(), Some(13));
        let plain = format!("mongodb://127.0.0.1:{}/shop", server.port);
        all_fail(&MongoStore::open(&plain).await.unwrap()).await;
    });
}
