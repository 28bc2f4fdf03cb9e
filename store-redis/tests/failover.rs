//! A master that is killed, in a cluster and under sentinels: another takes over, and the store finds it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests"
)]

mod common;

use std::{
    any::Any,
    collections::HashSet,
    net::TcpListener,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use common::{
    PATIENT, record,
    server::{Cluster, Server, Watched, is_master, redis_server, replicated},
    sessions,
};
use session_core::{AdminStore, Expect, Set, Sid, Store, StoreError, Touched};
use store_redis::{
    RedisStore,
    redis::{
        self, Value,
        sentinel::{SentinelClient, SentinelServerType},
    },
};
use test_support::{Load, Repeats, put_patiently, recovered, tests, until_served, within};
use tokio::task::JoinHandle;

fn main() -> ExitCode {
    tests! {
        if redis_server =>
            in_a_cluster_a_node_that_is_silent_holds_up_nobody_elses_sessions,
            in_a_cluster_a_silent_address_keeps_nobody_from_connecting,
            in_a_cluster_a_slow_node_is_reached_by_who_connects_meanwhile,
            in_a_cluster_a_forgotten_connection_holds_up_nobody_for_long_when_a_slot_moves,
            under_sentinels_a_master_without_its_replicas_is_asked_for_again,
            in_a_cluster_a_slot_that_moves_costs_nobody_an_error,
            in_a_cluster_a_write_whose_answer_was_lost_is_not_repeated,
            in_a_cluster_a_killed_master_costs_bounded_errors_and_no_replicated_session,
            in_a_cluster_a_master_that_falls_silent_costs_bounded_errors_and_no_replicated_session,
            under_sentinels_a_killed_master_costs_bounded_errors_and_no_replicated_session,
            under_sentinels_a_master_that_falls_silent_costs_bounded_errors_and_no_replicated_session;
    }
    .run()
}

const TIMEOUT: Duration = Duration::from_secs(2);
/// Of a call: none of its timers may be longer than the one that the option sets.
const BOUND: Duration = TIMEOUT.saturating_mul(2);

/// However often it was tried before: nobody takes a connection there, and nobody refuses one.
fn in_a_cluster_a_silent_address_keeps_nobody_from_connecting() {
    session_testkit::run(async {
        let (cluster, networks) = Cluster::start_behind_networks().await;
        let ports: Vec<u16> = cluster.0.iter().map(|server| server.port).collect();
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut urls = Vec::new();
        for (network, server) in networks.iter().zip(&cluster.0) {
            urls.push(network.before(&server.url()).await);
        }
        urls.push(format!("redis://{}", silent.local_addr().unwrap()));
        let store = RedisStore::new(store_redis::Cluster::new(urls).unwrap()).timeout(TIMEOUT);
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        networks.iter().for_each(|network| network.leads_to(nobody));
        for _ in 0..8 {
            store.get(&Sid::random()).await.expect_err("there is none");
        }
        networks.iter().zip(ports).for_each(|(network, port)| network.leads_to(port));
        recovered(&store).await;
        put_patiently(&store, &record("")).await;
    });
}

/// Whose calls are answered in time, and its first answers not in the part of it that a node has.
fn in_a_cluster_a_slow_node_is_reached_by_who_connects_meanwhile() {
    session_testkit::run(async {
        let (cluster, networks) = Cluster::start_behind_networks().await;
        let open = || RedisStore::new(store_redis::Cluster::new(cluster.urls()).unwrap()).prefix("{one}:");
        let sid = put_patiently(&open().timeout(PATIENT), &record("")).await;
        networks[cluster.master_of("{one}:")].delays(TIMEOUT / 3);
        until_served(&open().timeout(TIMEOUT), &sid).await;
    });
}

/// A connection to another node is nobody's business but of who needs it.
fn in_a_cluster_a_forgotten_connection_holds_up_nobody_for_long_when_a_slot_moves() {
    session_testkit::run(async {
        let (cluster, networks) = Cluster::start_behind_networks().await;
        let nodes = store_redis::Cluster::new(cluster.urls()).unwrap();
        let quick = RedisStore::new(nodes.clone()).prefix("").timeout(TIMEOUT / 4);
        let store = RedisStore::new(nodes).prefix("").timeout(PATIENT);
        let (moved, from) = (Sid::from("{one}"), cluster.master_of("{one}"));
        let [to, forgotten] = [1, 2].map(|further| (from + further) % 3);
        let on = |node: usize| loop {
            let sid = Sid::random();
            if cluster.master_of(sid.as_str()) == node {
                break sid;
            }
        };
        let sids = [on(to), on(forgotten)];
        for sid in &sids {
            put_at(&store, sid).await;
            until_served(&quick, sid).await;
        }
        assert!(store.get(&moved).await.unwrap().is_none());
        networks[forgotten].goes_silent();
        let (slot, id) =
            (cluster.slot_of("{one}").to_string(), cluster.0[to].ask::<String>(&["CLUSTER", "MYID"]));
        for node in [to, from, forgotten] {
            _ = cluster.0[node].ask::<Value>(&["CLUSTER", "SETSLOT", &slot, "NODE", &id]);
        }
        let begun = Instant::now();
        for sid in [&moved, &sids[0]] {
            within(PATIENT / 3, store.get(sid)).await.unwrap();
        }
        println!("a slot moved: {:?}", begun.elapsed());
        until_served(&quick, &sids[1]).await;
    });
}

async fn put_at(store: &RedisStore, sid: &Sid) {
    let set = store.set(sid, &record(""), &Expect::Nothing).await.unwrap();
    assert!(matches!(set, Set::Written(_)));
}

/// It refuses to write, and the connection to it stays: another one may be the master by now.
fn under_sentinels_a_master_without_its_replicas_is_asked_for_again() {
    session_testkit::run(async {
        // Nobody is to take over here, however busy the machine is.
        let watched = Watched::start("60000");
        let client =
            SentinelClient::build(watched.urls(), Watched::NAME, None, SentinelServerType::Master).unwrap();
        let Watched { servers, sentinels } = watched;
        let store = RedisStore::new(client).timeout(PATIENT);
        let sid = put_patiently(&store, &record("")).await;
        let master = servers.iter().find(|server| is_master(server)).unwrap();
        let connections = || {
            let clients: String = master.ask(&["INFO", "stats"]);
            let count = clients.split("total_connections_received:").nth(1).unwrap();
            count.split_whitespace().next().unwrap().parse::<u32>().unwrap()
        };
        // More than there are.
        _ = master.ask::<Value>(&["CONFIG", "SET", "min-replicas-to-write", "9"]);
        // Redis 6.0 lets a script write all the same.
        let refused = async || {
            let error = store.set(&sid, &record("\"n\":1"), &Expect::Anything).await.unwrap_err();
            assert!(format!("{error:?}").contains("NOREPLICAS"), "{error:?}");
        };
        refused().await;
        let (asked, begun) = (connections(), Instant::now());
        for _ in 0..40 {
            refused().await;
        }
        // Once a second, and more than once for each; so do the sentinels, and each question here.
        let most = 10 + 5 * u32::try_from(begun.elapsed().as_secs()).unwrap();
        assert!(connections() - asked <= most, "it connects with every refusal");
        let mut quiet = connections();
        let begun = Instant::now();
        loop {
            refused().await;
            let now = connections();
            if now > quiet + 1 {
                break;
            }
            quiet = now;
            assert!(begun.elapsed() < Duration::from_secs(60), "it never asks again");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // Where nobody can be asked, who reads is served all the same.
        drop(sentinels);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(3) {
            refused().await;
            assert!(store.get(&sid).await.unwrap().is_some());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        _ = master.ask::<Value>(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
        until_served(&store, &sid).await;
    });
}

fn in_a_cluster_a_killed_master_costs_bounded_errors_and_no_replicated_session() {
    session_testkit::run(in_a_cluster_a_master_is_lost(killed));
}

/// Nothing is closed: a host that froze.
fn in_a_cluster_a_master_that_falls_silent_costs_bounded_errors_and_no_replicated_session() {
    session_testkit::run(in_a_cluster_a_master_is_lost(silent));
}

async fn in_a_cluster_a_master_is_lost(lose: Lose) {
    let mut cluster = Cluster::start("1500");
    let store = RedisStore::new(store_redis::Cluster::new(cluster.urls()).unwrap()).timeout(TIMEOUT);
    let store = Arc::new(store);
    let before = sessions(&store).await;
    replicated(&cluster.0);
    let load = Load::start(&store, BOUND, Repeats::Perhaps);
    load.until_acknowledged(300).await;
    let master = cluster.0.iter().position(is_master).unwrap();
    let lost = lose(cluster.0.remove(master));
    let took = all_back(&store, &before).await;
    load.until_acknowledged(300).await;
    let outcome = load.stop().await;
    println!("cluster: {outcome}; every session back after {took:?}");
    outcome.assert_counted(&*store, before.len() as u64).await;
    drop(lost);
}

/// Nobody takes over from it meanwhile, and it is back.
fn in_a_cluster_a_node_that_is_silent_holds_up_nobody_elses_sessions() {
    session_testkit::run(async {
        let cluster = Cluster::start("600000");
        let open =
            || Arc::new(RedisStore::new(store_redis::Cluster::new(cluster.urls()).unwrap()).timeout(BOUND));
        let store = open();
        let sids = sessions(&store).await;
        let silent = &cluster.0[cluster.0.iter().position(is_master).unwrap()];
        let has_it = |sid: &Sid| silent.try_ask::<Value>(&["GET", &format!("sess:{}", sid.as_str())]).is_ok();
        let (lost, others): (Vec<Sid>, Vec<Sid>) = sids.into_iter().partition(has_it);
        assert!(lost.len() > 20 && others.len() > 20);
        silent.signal("STOP");
        // One that was connected before, and one that connects now.
        let (stores, mut of_calls) = ([store, open()], Vec::new());
        for store in &stores {
            let waits = |sid: &Sid| {
                let (store, sid) = (Arc::clone(store), sid.clone());
                tokio::spawn(async move {
                    for _ in 0..3 {
                        store.get(&sid).await.expect_err("it is silent");
                    }
                })
            };
            let waiting: Vec<_> = lost.iter().take(16).map(waits).collect();
            let (mut calls, mut failed, mut slowest) = (0, 0, Duration::ZERO);
            let mut served = HashSet::new();
            let begun = Instant::now();
            while served.len() < others.len() || !waiting.iter().all(JoinHandle::is_finished) {
                assert!(begun.elapsed() < Duration::from_secs(60), "others are held up");
                for sid in &others {
                    let begun = Instant::now();
                    match store.get(sid).await {
                        Ok(stored) => _ = served.insert(stored.expect("it is there").record.to_json()),
                        Err(_) => failed += 1,
                    }
                    (calls, slowest) = (calls + 1, slowest.max(begun.elapsed()));
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            for waited in waiting {
                waited.await.unwrap();
            }
            println!("others: {failed} of {calls} calls failed, the slowest took {slowest:?}");
            // Not all are counted as if they were.
            store.length().await.expect_err("a third is missing");
            of_calls.push((failed, slowest));
        }
        for (failed, slowest) in of_calls {
            assert!(failed == 0 && slowest < BOUND, "{failed} failed, the slowest took {slowest:?}");
        }
        silent.signal("CONT");
        for store in &stores {
            // It heals for who does nothing but count.
            let begun = Instant::now();
            while !store.length().await.is_ok_and(|length| length == 200) {
                assert!(begun.elapsed() < Duration::from_secs(60), "it is missing for ever");
            }
            for sid in &lost {
                until_served(&**store, sid).await;
            }
        }
    });
}

fn under_sentinels_a_killed_master_costs_bounded_errors_and_no_replicated_session() {
    session_testkit::run(under_sentinels_a_master_is_lost(killed, "CONT"));
}

fn under_sentinels_a_master_that_falls_silent_costs_bounded_errors_and_no_replicated_session() {
    session_testkit::run(under_sentinels_a_master_is_lost(silent, "STOP"));
}

async fn under_sentinels_a_master_is_lost(lose: Lose, sentinel: &str) {
    let mut watched = Watched::start("1000");
    let client =
        SentinelClient::build(watched.urls(), Watched::NAME, None, SentinelServerType::Master).unwrap();
    let store = Arc::new(RedisStore::new(client).timeout(TIMEOUT));
    let before = sessions(&store).await;
    replicated(&watched.servers);
    let load = Load::start(&store, BOUND, Repeats::Perhaps);
    load.until_acknowledged(300).await;
    let master = watched.servers.iter().position(is_master).unwrap();
    let lost = lose(watched.servers.remove(master));
    watched.sentinels[0].signal(sentinel);
    let took = all_back(&store, &before).await;
    load.until_acknowledged(300).await;
    let outcome = load.stop().await;
    println!("sentinel: {outcome}; every session back after {took:?}");
    outcome.assert_counted(&*store, before.len() as u64).await;
    drop(lost);
}

/// How a master is lost; what is left of it goes with the answer.
type Lose = fn(Server) -> Box<dyn Any>;

fn killed(server: Server) -> Box<dyn Any> {
    Box::new(server.kill())
}

fn silent(server: Server) -> Box<dyn Any> {
    server.signal("STOP");
    Box::new(server)
}

/// Who has it wait for what became of it (the core) finds it as it was written.
fn in_a_cluster_a_write_whose_answer_was_lost_is_not_repeated() {
    session_testkit::run(async {
        let (cluster, networks) = Cluster::start_behind_networks().await;
        // Of one slot.
        let store = RedisStore::new(store_redis::Cluster::new(cluster.urls()).unwrap()).prefix("{one}:");
        let master = cluster.master_of("{one}:");
        let raw = |sid: &Sid| cluster.0[master].ask::<String>(&["GET", &format!("{{one}}:{}", sid.as_str())]);
        let nth = |n: u32| record(&format!("\"n\":{n}"));
        let known = put_patiently(&store, &record("")).await;
        // By a script that the server knows by then.
        let version = Expect::Version(store.get(&known).await.unwrap().unwrap().version);
        assert!(matches!(store.set(&known, &nth(0), &version).await.unwrap(), Set::Written(_)));

        // A new id is nobody else's.
        let sid = Sid::random();
        networks[master].loses_an_answer(&sid);
        let Set::Written(first) = store.set(&sid, &nth(1), &Expect::Nothing).await.unwrap() else {
            panic!("it is in nobody's use")
        };
        assert!(networks[master].has_lost_it());
        assert_eq!(store.get(&sid).await.unwrap().unwrap().version, first);

        networks[master].loses_an_answer(&sid);
        let error = store.set(&sid, &nth(2), &Expect::Version(first)).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }) && networks[master].has_lost_it());
        assert_eq!(raw(&sid), nth(2).to_json());
        // Once more would be over what somebody else wrote meanwhile.
        let version = Expect::Version(store.get(&sid).await.unwrap().unwrap().version);
        assert!(matches!(store.set(&sid, &nth(3), &version).await.unwrap(), Set::Written(_)));
        assert_eq!(raw(&sid), nth(3).to_json());

        // Who is no cluster's client is told so, and immediately.
        let open =
            |server: &Server| RedisStore::open(&server.url()).unwrap().prefix("{one}:").timeout(PATIENT);
        let nodes = cluster.0.iter().map(open);
        for node in nodes {
            // To repeat it in vain would take all of its time.
            let cookie = nth(2).cookie;
            match within(PATIENT / 3, node.touch(&sid, &cookie, &Expect::Anything)).await {
                Ok(touched) => assert_eq!(touched, Touched::Moved),
                Err(error) => {
                    let said = format!("{error:?}");
                    assert!(said.contains("MOVED") && said.contains("`Cluster`"), "{said}");
                }
            }
        }
    });
}

/// One key after the other, while all are read, written and touched.
fn in_a_cluster_a_slot_that_moves_costs_nobody_an_error() {
    session_testkit::run(async {
        let cluster = Cluster::start("30000");
        let client = store_redis::Cluster::new(cluster.urls()).unwrap();
        let store = Arc::new(RedisStore::new(client).prefix("{one}:").timeout(PATIENT));
        let sids = sessions(&store).await;
        let (slot, from) = (cluster.slot_of("{one}:").to_string(), cluster.master_of("{one}:"));
        let masters: Vec<&Server> = cluster.0.iter().filter(|server| is_master(server)).collect();
        let source = &cluster.0[from];
        let target = masters.iter().find(|server| server.port != source.port).unwrap();
        let [source_id, target_id] =
            [source, target].map(|server| server.ask::<String>(&["CLUSTER", "MYID"]));

        let (ended, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let busy = |part: usize| {
            let (store, sids) = (Arc::clone(&store), sids.clone());
            let (ended, calls) = (Arc::clone(&ended), Arc::clone(&calls));
            tokio::spawn(async move {
                let mut failed = Vec::new();
                for (n, sid) in sids.iter().enumerate().cycle().skip(part * 25) {
                    if ended.load(Ordering::SeqCst) {
                        break;
                    }
                    let call = async {
                        let read = store.get(sid).await?.expect("nobody logs out");
                        assert_eq!(read.record.data.get("n"), Some(n.to_string().as_str()));
                        let version = Expect::Version(read.version);
                        if n % 8 == part {
                            let set = store.set(sid, &read.record, &version).await?;
                            assert!(matches!(set, Set::Written(_)), "nobody else writes this one");
                        } else if n % 8 != (part + 1) % 8 {
                            store.touch(sid, &read.record.cookie, &Expect::Anything).await?;
                        }
                        Ok::<_, StoreError>(())
                    };
                    match call.await {
                        Ok(()) => _ = calls.fetch_add(1, Ordering::SeqCst),
                        Err(error) => {
                            failed.push(format!("{error:?}"));
                            ended.store(true, Ordering::SeqCst);
                        }
                    }
                }
                failed
            })
        };
        // Many at once, that want more than a task may do before it lets others go on.
        let reader = |part: usize| {
            let (store, sids, ended) = (Arc::clone(&store), sids.clone(), Arc::clone(&ended));
            tokio::spawn(async move {
                for sid in sids.iter().cycle().skip(part).take_while(|_| !ended.load(Ordering::SeqCst)) {
                    match store.get(sid).await {
                        Ok(read) => assert!(read.is_some(), "nobody logs out"),
                        Err(error) => return vec![format!("{error:?}")],
                    }
                }
                vec![]
            })
        };
        let busy: Vec<_> = (0..8).map(busy).chain((0..200).map(reader)).collect();
        let go_on = async |count: usize| {
            let (begun, before) = (Instant::now(), calls.load(Ordering::SeqCst));
            while calls.load(Ordering::SeqCst) < before + count && !ended.load(Ordering::SeqCst) {
                assert!(begun.elapsed() < Duration::from_secs(60), "nobody is served");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let ask = |server: &Server, words: &[&str]| _ = server.ask::<redis::Value>(words);
        ask(target, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source_id]);
        ask(source, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target_id]);
        let mut moved = 0;
        loop {
            let keys: Vec<String> = source.ask(&["CLUSTER", "GETKEYSINSLOT", &slot, "8"]);
            if keys.is_empty() {
                break;
            }
            for key in &keys {
                let port = target.port.to_string();
                ask(source, &["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]);
                moved += 1;
            }
            // All of them are asked for while some are here and some there.
            go_on(50).await;
        }
        for master in [target].into_iter().chain(masters.iter().filter(|master| master.port != target.port)) {
            ask(master, &["CLUSTER", "SETSLOT", &slot, "NODE", &target_id]);
        }
        go_on(200).await;
        ended.store(true, Ordering::SeqCst);
        let mut failed = Vec::new();
        for busy in busy {
            failed.extend(busy.await.unwrap());
        }
        println!("{moved} sessions moved beside {} requests", calls.load(Ordering::SeqCst));
        assert!(moved >= sids.len() && failed.is_empty(), "{} failed: {:?}", failed.len(), failed.first());
    });
}

/// Until every session can be read and written again; answers how long that took.
async fn all_back(store: &RedisStore, sids: &[Sid]) -> Duration {
    let start = Instant::now();
    'again: loop {
        assert!(start.elapsed() < Duration::from_secs(60), "no new master");
        for (n, sid) in sids.iter().enumerate() {
            match store.get(sid).await {
                Ok(stored) => {
                    let record = stored.expect("a replicated session is there").record;
                    assert_eq!(record.data.get("n"), Some(n.to_string().as_str()));
                }
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue 'again;
                }
            }
            if store.touch(sid, &record("").cookie, &Expect::Anything).await.is_err() {
                continue 'again;
            }
        }
        return start.elapsed();
    }
}
