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
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use common::{
    put, record,
    server::{Cluster, Server, Watched, redis_server, until},
};
use session_core::{Expect, Sid, Store};
use store_redis::{
    RedisStore,
    redis::{
        cluster::ClusterClient,
        sentinel::{SentinelClient, SentinelServerType},
    },
};
use test_support::{Load, Repeats, tests};

fn main() -> ExitCode {
    tests! {
        if redis_server =>
            in_a_cluster_a_killed_master_costs_bounded_errors_and_no_replicated_session,
            under_sentinels_a_killed_master_costs_bounded_errors_and_no_replicated_session;
    }
    .run()
}

const TIMEOUT: Duration = Duration::from_secs(2);
/// Of a call: none of its timers may be longer than the one that the option sets.
const BOUND: Duration = TIMEOUT.saturating_mul(2);

fn in_a_cluster_a_killed_master_costs_bounded_errors_and_no_replicated_session() {
    session_testkit::run(async {
        let mut cluster = Cluster::start("1500");
        let store = RedisStore::new(ClusterClient::new(cluster.urls()).unwrap()).timeout(TIMEOUT);
        let store = Arc::new(store);
        let before = sessions(&store).await;
        replicated(&cluster.0);
        let load = Load::start(&store, BOUND, Repeats::Perhaps);
        load.until_acknowledged(300).await;
        let master = cluster.0.iter().position(is_master).unwrap();
        let killed = cluster.0.remove(master).kill();
        let took = all_back(&store, &before).await;
        load.until_acknowledged(300).await;
        let outcome = load.stop().await;
        println!("cluster: {outcome}; every session back after {took:?}");
        outcome.assert_counted(&*store, before.len() as u64).await;
        drop(killed);
    });
}

fn under_sentinels_a_killed_master_costs_bounded_errors_and_no_replicated_session() {
    session_testkit::run(async {
        let mut watched = Watched::start();
        let client =
            SentinelClient::build(watched.urls(), Watched::NAME, None, SentinelServerType::Master).unwrap();
        let store = Arc::new(RedisStore::new(client).timeout(TIMEOUT));
        let before = sessions(&store).await;
        replicated(&watched.servers);
        let load = Load::start(&store, BOUND, Repeats::Perhaps);
        load.until_acknowledged(300).await;
        let master = watched.servers.iter().position(is_master).unwrap();
        let killed = watched.servers.remove(master).kill();
        let took = all_back(&store, &before).await;
        load.until_acknowledged(300).await;
        let outcome = load.stop().await;
        println!("sentinel: {outcome}; every session back after {took:?}");
        outcome.assert_counted(&*store, before.len() as u64).await;
        drop(killed);
    });
}

async fn sessions(store: &RedisStore) -> Vec<Sid> {
    let mut sids = Vec::new();
    for n in 0..200 {
        sids.push(put(store, &record(&format!("\"n\":{n}"))).await);
    }
    sids
}

/// Until what the masters have by now has reached a replica: Redis acknowledges writes before that.
fn replicated(servers: &[Server]) {
    for master in servers.iter().filter(|server| is_master(server)) {
        let written = offsets(master, "master_repl_offset:")[0];
        until("a replica has it", || offsets(master, ",offset=").iter().any(|read| *read >= written));
    }
}

fn is_master(server: &Server) -> bool {
    server.ask::<String>(&["INFO", "replication"]).contains("role:master")
}

fn offsets(master: &Server, label: &str) -> Vec<u64> {
    let info: String = master.ask(&["INFO", "replication"]);
    let number = |rest: &str| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
    info.split(label).skip(1).map(number).collect()
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
