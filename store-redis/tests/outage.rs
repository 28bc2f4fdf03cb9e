//! A server that is down, hangs, forgets its scripts, closes idle connections or is killed under load: errors are quick, and
//! nobody has to restart anything.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests"
)]

mod common;

use std::{
    collections::HashSet,
    pin::pin,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use common::{
    put, record,
    server::{Server, redis_server, until},
};
use session_core::{AdminStore, Destroyed, Expect, Set, Sid, Store, StoreError, Touched};
use store_redis::{Connection, RedisStore, redis};
use test_support::{Load, Network, Repeats, put_patiently, recovered, tests, until_served, within};

fn main() -> ExitCode {
    tests! {
        if redis_server =>
            a_server_that_is_down_at_the_start_is_a_quick_error_until_it_is_there,
            a_server_that_hangs_is_an_error_in_bounded_time,
            a_slow_answer_is_waited_for_as_long_as_the_option_says,
            an_idle_connection_that_the_server_closed_costs_nobody_an_error,
            a_destruction_whose_connection_broke_is_an_error_and_never_nothing_was_held,
            a_server_that_forgot_its_scripts_is_told_again,
            an_applications_own_connection_serves_as_well,
            a_connection_that_goes_silent_is_given_up,
            a_connection_that_was_forgotten_while_it_was_idle_costs_nobody_an_error,
            a_walk_over_the_keys_begins_anew_on_another_server,
            a_connection_that_goes_silent_is_given_up_by_those_who_leave_before_the_time_out,
            a_master_that_became_a_replica_is_left_for_the_new_one,
            a_master_that_became_a_replica_is_left_by_an_applications_manager_too,
            many_who_leave_a_replica_by_one_manager_are_all_served,
            a_first_write_whose_answer_was_lost_is_told_from_somebody_elses,
            a_kill_under_load_costs_quick_errors_and_no_acknowledged_session;
    }
    .run()
}

/// What a call that waits for a server in vain takes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What one takes at most that does not wait.
const AT_ONCE: Duration = Duration::from_secs(10);

fn assert_unavailable(error: &StoreError) {
    assert!(matches!(error, StoreError::Unavailable { store: "redis", .. }), "{error:?}");
}

fn a_server_that_is_down_at_the_start_is_a_quick_error_until_it_is_there() {
    session_testkit::run(async {
        let killed = Server::start_durable().kill();
        let store = RedisStore::open(&killed.url()).unwrap().timeout(TIMEOUT);
        for _ in 0..3 {
            let refused = within(AT_ONCE, store.get(&Sid::random())).await;
            assert_unavailable(&refused.map(drop).unwrap_err());
        }
        let _server = killed.restart_durable();
        let sid = put(&store, &record("")).await;
        assert!(store.get(&sid).await.unwrap().is_some(), "the first call already");
    });
}

fn a_server_that_hangs_is_an_error_in_bounded_time() {
    session_testkit::run(async {
        let server = Server::start(&[]);
        let timeout = Duration::from_millis(300);
        let store = RedisStore::open(&server.url()).unwrap().timeout(timeout);
        let unconnected = RedisStore::open(&server.url()).unwrap().timeout(timeout);
        let sid = put_patiently(&store, &record("")).await;
        server.signal("STOP");
        for store in [&store, &store, &unconnected] {
            let calls = futures_util::future::join_all((0..50).map(|_| store.get(&sid)));
            // Side by side: one after the other they would take fifty times as long as one.
            for error in within(10 * timeout, calls).await {
                assert_unavailable(&error.map(drop).unwrap_err());
            }
        }
        server.signal("CONT");
        until_served(&store, &sid).await;
    });
}

fn a_slow_answer_is_waited_for_as_long_as_the_option_says() {
    session_testkit::run(async {
        let server = Server::start(&[]);
        let store = RedisStore::open(&server.url()).unwrap().timeout(TIMEOUT);
        let sid = put(&store, &record("")).await;
        // The driver's own limit is half a second. On a busy machine the pause may be over before it is asked.
        let begun = Instant::now();
        loop {
            server.ask::<String>(&["CLIENT", "PAUSE", "1200"]);
            let asked = Instant::now();
            assert!(store.get(&sid).await.unwrap().is_some());
            if asked.elapsed() > Duration::from_millis(600) {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "no answer was slow");
        }
    });
}

fn an_idle_connection_that_the_server_closed_costs_nobody_an_error() {
    session_testkit::run(async {
        let server = Server::start(&[]);
        let store = RedisStore::open(&server.url()).unwrap();
        let sid = put(&store, &record("")).await;
        let close = || server.ask::<i64>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        close();
        assert!(store.get(&sid).await.unwrap().is_some());
        let version = Expect::Version(store.get(&sid).await.unwrap().unwrap().version);
        for expect in [&Expect::Anything, &version] {
            close();
            assert_eq!(store.touch(&sid, &record("").cookie, expect).await.unwrap(), Touched::Moved);
        }
        close();
        put(&store, &record("")).await;
        close();
        store.set(&sid, &record(""), &Expect::Anything).await.unwrap();
        close();
        assert_eq!(store.length().await.unwrap(), 2);
    });
}

fn a_destruction_whose_connection_broke_is_an_error_and_never_nothing_was_held() {
    session_testkit::run(async {
        let server = Server::start(&[]);
        let store = RedisStore::open(&server.url()).unwrap();
        let sid = put(&store, &record("")).await;
        let version = Expect::Version(store.get(&sid).await.unwrap().unwrap().version);
        for expect in [&version, &Expect::Anything] {
            put(&store, &record("")).await;
            let _: i64 = server.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
            assert_unavailable(&store.destroy(&sid, expect).await.map(drop).unwrap_err());
        }
        assert_eq!(store.destroy(&sid, &version).await.unwrap(), Destroyed::Destroyed);
    });
}

fn a_server_that_forgot_its_scripts_is_told_again() {
    session_testkit::run(async {
        let server = Server::start(&[]);
        let store = RedisStore::open(&server.url()).unwrap();
        let sid = put(&store, &record("")).await;
        for _ in 0..3 {
            let _: String = server.ask(&["SCRIPT", "FLUSH"]);
            for _ in 0..2 {
                let version = store.get(&sid).await.unwrap().unwrap().version;
                let set = store.set(&sid, &record("\"a\":1"), &Expect::Version(version)).await.unwrap();
                assert!(matches!(set, Set::Written(_)));
            }
        }
        let _: String = server.ask(&["SCRIPT", "FLUSH"]);
        let version = Expect::Version(store.get(&sid).await.unwrap().unwrap().version);
        assert_eq!(store.destroy(&sid, &version).await.unwrap(), Destroyed::Destroyed);
        let calls: String = server.ask(&["INFO", "commandstats"]);
        assert!(
            calls.contains("cmdstat_eval:calls=4,") && calls.contains("cmdstat_evalsha:calls=7,"),
            "{calls}"
        );
    });
}

fn an_applications_own_connection_serves_as_well() {
    session_testkit::run(async {
        let server = Server::start_durable();
        let client = redis::Client::open(server.url()).unwrap();
        let multiplexed = RedisStore::new(client.get_multiplexed_async_connection().await.unwrap());
        let managed = RedisStore::new(client.get_connection_manager().await.unwrap());
        for store in [&multiplexed, &managed] {
            let sid = put(store, &record("")).await;
            assert!(store.get(&sid).await.unwrap().is_some());
        }
        let killed = server.kill();
        assert_unavailable(&managed.get(&Sid::random()).await.map(drop).unwrap_err());
        let _server = killed.restart_durable();
        recovered(&managed).await;
    });
}

/// Its host is gone, and nobody said so; a new connection finds the next one.
fn a_connection_that_goes_silent_is_given_up() {
    session_testkit::run(async {
        let (server, network) = (Server::start(&[]), Network::new());
        let url = network.before(&server.url()).await;
        let store = RedisStore::open(&url).unwrap().timeout(Duration::from_secs(1));
        let sid = put_patiently(&store, &record("")).await;
        network.goes_silent();
        assert_unavailable(&store.get(&sid).await.map(drop).unwrap_err());
        network.serves_again(&store, &sid).await;
    });
}

/// Whoever stands before the application has less patience than the store.
fn a_connection_that_goes_silent_is_given_up_by_those_who_leave_before_the_time_out() {
    session_testkit::run(async {
        let (server, network) = (Server::start(&[]), Network::new());
        let url = network.before(&server.url()).await;
        let store = RedisStore::open(&url).unwrap().timeout(Duration::from_secs(2));
        let sid = put_patiently(&store, &record("")).await;
        // Also where none of them stays for as long as a silence is let pass.
        for patience in [1_000, 200] {
            network.goes_silent();
            let is_served = async || {
                let read = tokio::time::timeout(Duration::from_millis(patience), store.get(&sid)).await;
                read.is_ok_and(|read| read.is_ok_and(|held| held.is_some()))
            };
            network.answers_again(is_served).await;
        }
    });
}

/// A planned change behind one name: the old master stays, and nothing is written there any more.
fn a_master_that_became_a_replica_is_left_for_the_new_one() {
    session_testkit::run(async {
        left_for_the_new_one(async |client| RedisStore::new(client)).await;
    });
}

fn a_master_that_became_a_replica_is_left_by_an_applications_manager_too() {
    session_testkit::run(async {
        left_for_the_new_one(async |client| RedisStore::new(client.get_connection_manager().await.unwrap()))
            .await;
    });
}

async fn left_for_the_new_one(open: impl AsyncFnOnce(redis::Client) -> RedisStore) {
    let start = || Server::start(&["--repl-diskless-sync-delay", "0"]);
    let (old, new, network) = (start(), start(), Network::new());
    let store = open(redis::Client::open(network.before(&old.url()).await).unwrap()).await.timeout(TIMEOUT);
    put(&store, &record("")).await;
    network.leads_to(new.port);
    let _: String = old.ask(&["REPLICAOF", "127.0.0.1", &new.port.to_string()]);
    // The first call already, of each kind.
    let sid = put(&store, &record("")).await;
    assert_eq!(new.ask::<u64>(&["DBSIZE"]), 1);
    // A manager is not made to connect again twice within a second.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    until("the old one has it", || old.ask(&["EXISTS", &format!("sess:{}", sid.as_str())]));
    network.leads_to(old.port);
    let _: String = old.ask(&["REPLICAOF", "NO", "ONE"]);
    let _: String = new.ask(&["REPLICAOF", "127.0.0.1", &old.port.to_string()]);
    let version = store.get(&sid).await.unwrap().unwrap().version;
    let set = store.set(&sid, &record("\"a\":1"), &Expect::Version(version)).await.unwrap();
    assert!(matches!(set, Set::Written(_)));
}

/// All at once, and the application uses it too: it is made to connect again once for all of them.
fn many_who_leave_a_replica_by_one_manager_are_all_served() {
    session_testkit::run(async {
        let start = || Server::start(&["--repl-diskless-sync-delay", "0"]);
        let (old, new, network) = (start(), start(), Network::new());
        let client = redis::Client::open(network.before(&old.url()).await).unwrap();
        let manager = client.get_connection_manager().await.unwrap();
        let store = Arc::new(RedisStore::new(manager.clone()).timeout(TIMEOUT));
        put(&*store, &record("")).await;
        for (from, to) in [(&old, &new), (&new, &old)] {
            let before = connections(to);
            network.leads_to(to.port);
            let _: String = to.ask(&["REPLICAOF", "NO", "ONE"]);
            let _: String = from.ask(&["REPLICAOF", "127.0.0.1", &to.port.to_string()]);
            let writers = (0..50).map(|_| {
                let store = Arc::clone(&store);
                // Some are at their second call while others find out with their first.
                tokio::spawn(async move {
                    let sid = Sid::random();
                    let mut expect = Expect::Nothing;
                    for n in 0..3 {
                        let record = record(&format!("\"n\":{n}"));
                        let Set::Written(version) = store.set(&sid, &record, &expect).await? else {
                            panic!("nobody else writes")
                        };
                        expect = Expect::Version(version);
                    }
                    store.destroy(&sid, &expect).await
                })
            });
            for writer in writers.collect::<Vec<_>>() {
                assert_eq!(writer.await.unwrap().unwrap(), Destroyed::Destroyed);
            }
            let more = connections(to) - before;
            assert!(more < 20, "{more}");
            let pong: String = redis::cmd("PING").query_async(&mut manager.clone()).await.unwrap();
            assert_eq!(pong, "PONG");
            // Not twice within a second.
            tokio::time::sleep(Duration::from_millis(1_100)).await;
        }
    });
}

/// So many the server has had.
fn connections(server: &Server) -> u32 {
    let stats: String = server.ask(&["INFO", "stats"]);
    let count = stats.split("total_connections_received:").nth(1).unwrap();
    count.split_whitespace().next().unwrap().parse().unwrap()
}

/// By what lies between, which tells nobody.
fn a_connection_that_was_forgotten_while_it_was_idle_costs_nobody_an_error() {
    session_testkit::run(async {
        let (server, network) = (Server::start(&[]), Network::new());
        let store =
            RedisStore::open(&network.before(&server.url()).await).unwrap().timeout(Duration::from_secs(4));
        let sid = put(&store, &record("")).await;
        let held = store.get(&sid).await.unwrap().unwrap();
        let forgotten = async || {
            // Longer than a connection is idle without being asked.
            tokio::time::sleep(Duration::from_millis(5_100)).await;
            network.goes_silent();
        };
        forgotten().await;
        let expect = Expect::Version(held.version);
        assert!(matches!(store.set(&sid, &record("\"n\":1"), &expect).await.unwrap(), Set::Written(_)));
        forgotten().await;
        assert!(store.get(&sid).await.unwrap().is_some());
    });
}

/// A cursor says where one server is in its own table: to another one it means other keys.
fn a_walk_over_the_keys_begins_anew_on_another_server() {
    session_testkit::run(async {
        let (servers, network) = ([Server::start(&[]), Server::start(&[])], Network::new());
        let url = network.before(&servers[0].url()).await;
        let (mut sids, theirs) = (HashSet::new(), Sid::random());
        // The second one has what the first one has, as a replica does.
        let [one, other] = servers.each_ref().map(|server| RedisStore::open(&server.url()).unwrap());
        for _ in 0..2_000 {
            let sid = Sid::random();
            for store in [&one, &other] {
                store.set(&sid, &record(""), &Expect::Anything).await.unwrap();
            }
            sids.insert(sid);
        }
        let fails_over = |seen: usize| {
            if seen == 500 {
                network.leads_to(servers[1].port);
                network.ends_with(Vec::new());
            }
        };
        let store = RedisStore::open(&url).unwrap().timeout(TIMEOUT);
        let (mut listed, mut seen) = (HashSet::new(), 0);
        store
            .ids(&mut |sid| {
                assert!(listed.insert(sid), "none is shown twice");
                seen += 1;
                fails_over(seen);
            })
            .await
            .unwrap();
        assert!(listed == sids, "{} are passed over", sids.difference(&listed).count());

        // And not because others have given up the connection that all share: it is the same server.
        let connection = Connection::from(redis::Client::open(servers[1].url()).unwrap());
        let store = RedisStore::new(connection.clone()).timeout(TIMEOUT).scan_count(10);
        let impatient = RedisStore::new(connection).timeout(Duration::from_nanos(1));
        let (mut length, mut left) = (pin!(store.length()), 0);
        let length = loop {
            tokio::select! {
                length = &mut length => break length.unwrap(),
                _ = impatient.get(&theirs) => left += 1,
            }
        };
        assert!(length == 2_000 && left > 20, "{length}, {left}");
    });
}

fn a_first_write_whose_answer_was_lost_is_told_from_somebody_elses() {
    session_testkit::run(async {
        let (server, network) = (Server::start(&[]), Network::new());
        let store = RedisStore::open(&network.before(&server.url()).await).unwrap().timeout(TIMEOUT);
        let (ours, sid, theirs) = (record("\"user\":\"tj\""), Sid::random(), Sid::random());
        put(&store, &ours).await;
        network.loses_an_answer(&sid);
        let set = store.set(&sid, &ours, &Expect::Nothing).await.unwrap();
        assert!(network.has_lost_it() && matches!(set, Set::Written(_)), "what is held is what was sent");
        store.set(&theirs, &record("\"user\":\"tobi\""), &Expect::Nothing).await.unwrap();
        network.loses_an_answer(&theirs);
        assert!(matches!(store.set(&theirs, &ours, &Expect::Nothing).await.unwrap(), Set::Conflict));
        assert!(network.has_lost_it());
    });
}

fn a_kill_under_load_costs_quick_errors_and_no_acknowledged_session() {
    session_testkit::run(async {
        let server = Server::start_durable();
        let store = Arc::new(RedisStore::open(&server.url()).unwrap().timeout(TIMEOUT));
        let load = Load::start(&store, AT_ONCE, Repeats::Perhaps);
        load.until_acknowledged(500).await;
        let killed = server.kill();
        load.until_failed(50).await;
        let server = killed.restart_durable();
        let took = recovered(&*store).await;
        load.until_acknowledged(500).await;
        let outcome = load.stop().await;
        outcome.assert_all_kept(&*store).await;
        outcome.assert_counted(&*store, 0).await;
        println!("{outcome}; back {took:?} after the server, on {}", server.port);
    });
}
