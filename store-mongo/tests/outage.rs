//! Servers that are down, slow, or want a password; and a primary that is killed under load.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::needless_pass_by_value,
    reason = "a test that cannot go on stops"
)]

mod common;

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use common::{
    mongodb_url, put, record,
    server::{ReplicaSet, Server, certificates, mongod, mongod_and_openssl, new_dir},
    until,
};
use futures_util::future::join_all;
use mongodb::bson::doc;
use session_core::{AdminStore, Destroyed, Expect, Options, Set, Sid, Store, StoreError, Touched};
use session_testkit::run;
use store_mongo::{MongoError, MongoOptions, MongoStore, mongodb};
use test_support::{Load, Network, Repeats, free_port, put_patiently, tests, within};

fn main() -> ExitCode {
    tests! {
        free =>
            a_server_that_is_down_at_the_start_harms_only_who_asks,
            options_that_cannot_work_are_refused,
            what_the_application_gave_is_refused_where_nobody_acknowledges;
        needs mongod =>
            a_server_that_comes_later_is_found_and_one_that_hangs_is_not_waited_for,
            a_killed_primary_costs_bounded_errors_and_no_acknowledged_session,
            sessions_are_read_from_the_primary_whatever_the_client_prefers,
            the_index_is_made_once_the_server_is_there,
            what_a_server_says_that_changes_its_part_is_no_refusal;
        needs mongodb_url =>
            what_the_driver_quotes_is_not_passed_on;
        needs mongod_and_openssl =>
            with_a_password_over_tls_and_no_right_to_make_an_index;
    }
    .run()
}

const CANARY: &str = "hunter2-canary";

fn unavailable(error: &StoreError) -> &MongoError {
    let StoreError::Unavailable { store: "mongo", source } = error else { panic!("{error:?}") };
    let shown = format!("{error:?} {error} {source} {:?}", source.source());
    assert!(!shown.contains(CANARY), "{shown}");
    source.downcast_ref().unwrap()
}

/// How long a store of `open` looks for a server.
const SELECTION: Duration = Duration::from_secs(3);

/// All four verbs fail, by a timer of theirs that is no longer than `limit`, and show nothing of what they were for.
async fn all_fail(store: &MongoStore, limit: Duration) {
    let (sid, record) = (Sid::from(CANARY), record(&format!("\"{CANARY}\":1")));
    let bound = 2 * limit;
    let get = within(bound, store.get(&sid)).await.map(drop);
    let set = within(bound, store.set(&sid, &record, &Expect::Nothing)).await.map(drop);
    let touch = within(bound, store.touch(&sid, &record.cookie, &Expect::Anything)).await.map(drop);
    let destroy = within(bound, store.destroy(&sid, &Expect::Anything)).await.map(drop);
    for failed in [get, set, touch, destroy] {
        unavailable(&failed.unwrap_err());
    }
}

fn a_server_that_is_down_at_the_start_harms_only_who_asks() {
    run(async {
        let store = MongoStore::open("mongodb://127.0.0.1:1/shop").await.unwrap();
        let sessions = Options::new("keyboard cat").store(store.clone()).build().unwrap();
        assert!(sessions.exchange().end().await.unwrap().is_empty(), "a route that never asks");
        all_fail(&store, SELECTION).await;
        let error = store.get(&Sid::from(CANARY)).await.unwrap_err();
        let why = unavailable(&error).to_string();
        assert!(why.starts_with("no server is reachable: Connection refused"), "{why}");
        // And nobody waits for the attempts of others, which take as long one after the other.
        let sid = Sid::from(CANARY);
        for error in join_all((0..8).map(|_| within(2 * SELECTION, store.get(&sid)))).await {
            let why = unavailable(&error.unwrap_err()).to_string();
            assert!(why.starts_with("no server is reachable: Connection refused"), "{why}");
        }
        let refused = MongoStore::open(&format!("mongodb://tj:{CANARY}@127.0.0.1:x/shop")).await.unwrap_err();
        assert_eq!(refused.option(), "url");
        assert!(!format!("{refused:?} {refused}").contains(CANARY));
        assert!(MongoStore::open("redis://127.0.0.1").await.is_err());
    });
}

fn a_server_that_comes_later_is_found_and_one_that_hangs_is_not_waited_for(mongod: PathBuf) {
    run(async {
        let server = Server::start(&mongod, &[]).await;
        let url = format!("{}/shop", server.url());
        let options = MongoOptions::open(&url).await.unwrap();
        let timeout = Duration::from_secs(1);
        let store = options.timeout(timeout).build().unwrap();
        let sid = put_patiently(&store, &record("")).await;
        server.signal("STOP");
        // Not all of its threads stop at once.
        until(async || store.get(&sid).await.is_err()).await;
        all_fail(&store, timeout).await;
        server.signal("CONT");
        until(async || store.get(&sid).await.is_ok_and(|held| held.is_some())).await;
    });
}

fn what_the_driver_quotes_is_not_passed_on(url: String) {
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
            (
                options()
                    .await
                    .crypto(store_mongo::Kruptein::new("a secret"))
                    .serializer(|json| Ok(json.into()), |_| Err("never".into())),
                "serializer",
            ),
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

fn what_the_application_gave_is_refused_where_nobody_acknowledges() {
    run(async {
        let client = mongodb::Client::with_uri_str("mongodb://127.0.0.1:1/?w=0").await.unwrap();
        let store = MongoStore::new(client);
        let (sid, record) = (Sid::random(), record(""));
        for error in [
            store.get(&sid).await.unwrap_err(),
            store.set(&sid, &record, &Expect::Nothing).await.unwrap_err(),
            store.touch(&sid, &record.cookie, &Expect::Anything).await.unwrap_err(),
            store.destroy(&sid, &Expect::Anything).await.unwrap_err(),
            store.length().await.unwrap_err(),
        ] {
            assert!(unavailable(&error).to_string().starts_with("option write_concern"), "{error:?}");
        }
    });
}

/// A member of the set that is behind knows of nothing that was just written.
fn sessions_are_read_from_the_primary_whatever_the_client_prefers(mongod: PathBuf) {
    run(async {
        let set = ReplicaSet::start_with_one_behind(&mongod).await;
        let url = format!("{}&w=1&readPreference=secondary", set.url().replace("&w=majority", ""));
        let store = MongoStore::open(&url).await.unwrap();
        let client = mongodb::Client::with_uri_str(&url).await.unwrap();
        for store in [store, MongoStore::new(client.clone())] {
            let sid = put_patiently(&store, &record("\"a\":1")).await;
            assert!(store.get(&sid).await.unwrap().is_some());
            assert_eq!(
                store.touch(&sid, &record("").cookie, &Expect::Anything).await.unwrap(),
                Touched::Moved
            );
            let version = Expect::Version(store.get(&sid).await.unwrap().unwrap().version);
            assert!(matches!(store.set(&sid, &record("\"a\":2"), &version).await.unwrap(), Set::Written(_)));
            assert_eq!(store.destroy(&sid, &version).await.unwrap(), Destroyed::Conflict);
            assert_eq!(store.length().await.unwrap(), 1);
            let (mut ids, mut all) = (0, 0);
            store.ids(&mut |_| ids += 1).await.unwrap();
            store.all(&mut |_, _| all += 1).await.unwrap();
            assert_eq!((ids, all), (1, 1));
            store.clear().await.unwrap();
            // With the one that it replaces too large for one command.
            let large = |letter: &str| record(&format!("\"large\":\"{}\"", letter.repeat(9 << 20)));
            let sid = put_patiently(&store, &large("a")).await;
            let version = Expect::Version(store.get(&sid).await.unwrap().unwrap().version);
            assert!(matches!(store.set(&sid, &large("b"), &version).await.unwrap(), Set::Written(_)));
            store.clear().await.unwrap();
        }
        // The client's own reads see that it is behind.
        let sessions = client.database("shop").collection::<mongodb::bson::Document>("probe");
        sessions.insert_one(doc! { "a": 1 }).await.unwrap();
        assert_eq!(sessions.find_one(doc! {}).await.unwrap(), None);
    });
}

fn a_killed_primary_costs_bounded_errors_and_no_acknowledged_session(mongod: PathBuf) {
    run(async {
        let mut set = ReplicaSet::start(&mongod).await;
        // The store's own timeout is not what ends a call.
        let options = MongoOptions::open(&set.url()).await.unwrap().timeout(20 * SELECTION);
        let store = Arc::new(options.build().unwrap());
        let load = Load::start(&store, 5 * SELECTION, Repeats::Never);
        load.until_acknowledged(300).await;
        let primary = set.primary().await.unwrap();
        drop(set.0.remove(primary));
        let start = Instant::now();
        until(async || set.primary().await.is_some()).await;
        let elected = start.elapsed();
        load.until_acknowledged(1).await;
        let back = start.elapsed();
        load.until_acknowledged(300).await;
        let outcome = load.stop().await;
        outcome.errors.iter().for_each(|error| _ = unavailable(error));
        outcome.assert_all_kept(&*store).await;
        outcome.assert_counted(&*store, 0).await;
        println!("replica set: another primary after {elected:?}, writes after {back:?}, {outcome}");
    });
}

fn with_a_password_over_tls_and_no_right_to_make_an_index(mongod: PathBuf) {
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
        all_fail(&MongoStore::open(&plain).await.unwrap(), SELECTION).await;
        // A server that no authority of ours vouches for.
        let others = new_dir();
        certificates(&others);
        let strange =
            url("SCRAM-SHA-256:hunter2-canary@").replace(&ca, &others.join("ca.pem").display().to_string());
        assert!(strange.contains("tls=true") && !strange.contains(&ca));
        all_fail(&MongoStore::open(&strange).await.unwrap(), SELECTION).await;
    });
}

/// Whether the index that removes what has expired is there.
async fn has_index(server: &Server, database: &str) -> bool {
    let client = mongodb::Client::with_uri_str(server.url()).await.unwrap();
    let sessions = client.database(database).collection::<mongodb::bson::Document>("sessions");
    sessions.list_index_names().await.is_ok_and(|names| names.iter().any(|name| name == "expires_1"))
}

fn the_index_is_made_once_the_server_is_there(mongod: PathBuf) {
    run(async {
        let (server, network) = (Server::start(&mongod, &[]).await, Network::new());
        let url = format!("{}/shop?serverSelectionTimeoutMS=300", server.url());
        let url = network.before(&url).await;
        network.leads_to(free_port());
        let store = MongoStore::open(&url).await.unwrap();
        // The first attempt at the index fails with these.
        for _ in 0..3 {
            unavailable(&store.get(&Sid::random()).await.unwrap_err());
        }
        network.leads_to(server.port);
        until(async || store.get(&Sid::random()).await.is_ok()).await;
        until(async || has_index(&server, "shop").await).await;
    });
}

/// It goes down, or is not the primary any more: another attempt will do.
fn what_a_server_says_that_changes_its_part_is_no_refusal(mongod: PathBuf) {
    run(async {
        let server = Server::start(&mongod, &["--setParameter", "enableTestCommands=1"]).await;
        let entered = async || {
            let parameter = server.admin(doc! { "getParameter": 1, "failpoint.failCommand": 1 }).await;
            parameter.get_document("failpoint.failCommand").unwrap().get_i64("timesEntered").unwrap()
        };
        let fail_once = async |command: &str, code: i32| {
            let data = doc! { "failCommands": [command], "errorCode": code };
            let point = doc! { "configureFailPoint": "failCommand", "mode": { "times": 1 }, "data": data };
            server.admin(point).await;
        };
        // The driver asks the server anew after such a word: soon.
        let open = async |code: i32| {
            let options = "serverMonitoringMode=poll&heartbeatFrequencyMS=500";
            MongoStore::open(&format!("{}/code{code}?{options}", server.url())).await.unwrap()
        };
        let codes = [6, 7, 89, 91, 134, 189, 262, 9_001, 10_058, 10_107, 11_600, 11_602, 13_435, 13_436];
        for code in codes {
            let store = open(code).await;
            let before = entered().await;
            fail_once("createIndexes", code).await;
            // The driver gives up its other connections as well.
            put_patiently(&store, &record("")).await;
            until(async || entered().await > before).await;
            // Before the next fails, which would else be the second attempt of this one.
            until(async || has_index(&server, &format!("code{code}")).await).await;
        }
        // Before its first call the store looks whether the collection can be used.
        for code in codes {
            let store = open(code).await;
            let before = entered().await;
            fail_once("listCollections", code).await;
            assert_eq!(store.length().await.unwrap(), 1);
            assert!(entered().await > before);
        }
        // What is said once for reasons that nobody has listed here: the store looks again, and tries again.
        for code in [24, 46, 112, 133, 202, 276, 462, 11_601] {
            let name = format!("loose{code}");
            let database = mongodb::Client::with_uri_str(server.url()).await.unwrap().database(&name);
            let collation = doc! { "create": "sessions", "collation": { "locale": "en", "strength": 2 } };
            database.run_command(collation).await.unwrap();
            let store = MongoStore::open(&format!("{}/{name}", server.url())).await.unwrap();
            fail_once("listCollections", code).await;
            let refused = async || {
                let read = store.get(&Sid::from("abc")).await;
                read.is_err_and(|error| unavailable(&error).to_string().contains("default collation"))
            };
            until(refused).await;

            let name = format!("later{code}");
            let store = MongoOptions::open(&format!("{}/{name}", server.url())).await.unwrap();
            let store = store.auto_remove_interval(Duration::from_secs(1)).build().unwrap();
            fail_once("createIndexes", code).await;
            put_patiently(&store, &record("")).await;
            until(async || has_index(&server, &name).await).await;
        }
    });
}
