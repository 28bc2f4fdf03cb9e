//! A Redis Cluster by the store's own client: whom it asks, whom it believes, and for whom nobody waits.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::{
    io,
    process::ExitCode,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use common::{
    record,
    server::{Cluster as Nodes, Server, is_master, redis_server, replicated},
    sessions,
};
use futures_util::{FutureExt, future::join_all};
use session_core::{AdminStore, Expect, Set, Sid, Store, StoreError};
use store_redis::{Cluster, RedisStore};
use test_support::{Network, put_patiently, recovered, tests, until_served, within};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream},
    net::{TcpListener, TcpStream},
};

fn main() -> ExitCode {
    tests! {
        if redis_server =>
            a_cluster_that_is_down_at_the_start_has_no_sessions_to_count_and_none_to_clear,
            each_master_has_one_connection_however_many_ranges_of_slots_it_has,
            a_master_to_which_keys_are_on_their_way_has_one_connection,
            a_master_that_is_cut_off_from_the_others_is_left,
            who_is_wrong_about_all_others_is_asked_last,
            a_map_with_a_gap_is_taken_where_nobody_has_a_better_one,
            who_knows_a_part_is_no_better_than_who_is_slow,
            who_knows_of_one_master_alone_leads_to_the_others,
            a_walk_that_cannot_reach_a_master_of_unknown_address_is_an_error,
            a_cluster_with_a_gap_is_walked_after_a_master_was_lost,
            a_walk_after_an_outage_knows_of_a_master_that_is_new,
            a_time_out_without_an_end_is_one,
            a_connection_that_took_longer_than_its_callers_waited_is_there_for_the_next,
            many_masters_that_moved_at_once_are_found_by_the_given_address,
            a_call_whose_own_master_refuses_does_not_wait_for_a_silent_other_one,
            who_counts_after_a_while_finds_connections_that_were_forgotten,
            a_runtime_that_nobody_drives_any_more_keeps_nobody_from_connecting,
            an_address_map_that_leads_to_another_node_is_an_error_that_says_so,
            nodes_are_reached_where_they_are_mapped_to;
    }
    .run()
}

const TIMEOUT: Duration = Duration::from_secs(2);

/// What a call takes at most that waits for nobody.
const AT_ONCE: Duration = Duration::from_millis(1_500);

async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("redis://{}", listener.local_addr().unwrap())
}

/// Connections that each server has taken so far, without the one that asks.
fn connections(server: &Server) -> u32 {
    let stats: String = server.ask(&["INFO", "stats"]);
    let count = stats.split("total_connections_received:").nth(1).unwrap();
    count.split_whitespace().next().unwrap().parse().unwrap()
}

/// Where it is reached through its network.
fn announced(server: &Server) -> u16 {
    server.ask::<Vec<String>>(&["CONFIG", "GET", "cluster-announce-port"])[1].parse().unwrap()
}

/// Also just after an attempt, when no other one is made.
fn a_cluster_that_is_down_at_the_start_has_no_sessions_to_count_and_none_to_clear() {
    session_testkit::run(async {
        let store = RedisStore::new(Cluster::new([nobody().await]).unwrap());
        for _ in 0..3 {
            within(AT_ONCE, store.get(&Sid::random())).await.unwrap_err();
            within(AT_ONCE, store.length()).await.unwrap_err();
            within(AT_ONCE, store.clear()).await.unwrap_err();
        }
    });
}

fn each_master_has_one_connection_however_many_ranges_of_slots_it_has() {
    session_testkit::run(async {
        let (cluster, networks) = Nodes::start_behind_networks().await;
        let from = cluster.master_of("{one}:");
        let slot = cluster.slot_of("{one}:");
        // Every second one of some.
        let first = if slot < 8_000 { slot } else { slot - 100 };
        for slot in (first..first + 60).step_by(2) {
            cluster.moves_slot(slot, (from + 1) % 3);
        }
        let count = || networks.iter().map(Network::connections).sum::<usize>();
        let before = count();
        let store = RedisStore::new(Cluster::new(cluster.urls()).unwrap());
        sessions(&store).await;
        assert_eq!(store.length().await.unwrap(), 200);
        // Those that were given are asked first, at their own addresses.
        assert_eq!(count() - before, 3);
    });
}

fn a_master_to_which_keys_are_on_their_way_has_one_connection() {
    session_testkit::run(async {
        let (cluster, _networks) = Nodes::start_behind_networks().await;
        let new = cluster.joined();
        let store = Arc::new(RedisStore::new(Cluster::new(cluster.urls()).unwrap()).prefix("{one}:"));
        put_patiently(&store, &record("")).await;
        let (slot, from) = (cluster.slot_of("{one}:").to_string(), &cluster.0[cluster.master_of("{one}:")]);
        let [source, target] = [from, &new].map(|node| node.ask::<String>(&["CLUSTER", "MYID"]));
        let _: String = new.ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source]);
        let _: String = from.ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target]);
        let before = connections(&new);
        for _ in 0..100 {
            // What is not there may be there already.
            assert!(store.get(&Sid::random()).await.unwrap().is_none());
        }
        let sids: Vec<Sid> = (0..100).map(|_| Sid::random()).collect();
        for read in join_all(sids.iter().map(|sid| store.get(sid))).await {
            assert!(read.unwrap().is_none());
        }
        // And the one that counts.
        assert_eq!(connections(&new) - before, 2);
        // What has come there already is counted: here one that stayed, and one that is new.
        put_patiently(&store, &record("")).await;
        assert_eq!(store.length().await.unwrap(), 2);
    });
}

/// It believes that its slots are its own, where all others know who took over; then it knows of nobody else. (No real one: since Redis
/// 7.2 whoever forgets others tells them to forget each other.)
fn a_master_that_is_cut_off_from_the_others_is_left() {
    session_testkit::run(async {
        let ((cluster, _networks), cut_off) = (Nodes::start_behind_networks().await, Wrong::start().await);
        let nodes = Cluster::new(cluster.urls()).unwrap();
        let sids = sessions(&RedisStore::new(nodes)).await;
        let own = cut_off.url.rsplit_once(':').unwrap().1.parse().unwrap();
        let others = cluster.0[1..].iter().map(|server| server.port);
        let masters: Vec<_> =
            [own].into_iter().chain(others).map(|port| ("127.0.0.1".to_owned(), port)).collect();
        *cut_off.says.lock().unwrap() = of_masters(&masters);
        let is_its_own = |sid: &&Sid| cluster.master_of(&format!("sess:{}", sid.as_str())) == 0;
        let (lost, kept): (Vec<&Sid>, Vec<&Sid>) = sids.iter().partition(is_its_own);
        let given = [&*cut_off.url].into_iter().map(ToOwned::to_owned).chain(cluster.urls());
        let store = RedisStore::new(Cluster::new(given).unwrap()).timeout(15 * TIMEOUT);
        assert!(store.get(kept[0]).await.unwrap().is_some());
        let error = store.get(lost[0]).await.unwrap_err();
        assert!(format!("{error:?}").contains("CLUSTERDOWN"), "{error:?}");
        for sid in &sids {
            until_served(&store, sid).await;
        }
        cut_off.knows_a_part();
        // Each time another one is asked who has what.
        for _ in 0..6 {
            tokio::time::sleep(Duration::from_millis(600)).await;
            assert_eq!(store.length().await.unwrap(), 200);
            for sid in sids.iter().take(20) {
                assert!(store.get(sid).await.unwrap().is_some());
            }
        }
    });
}

/// What it says of slots, by its masters' addresses, each of as many.
fn of_masters(ports: &[(String, u16)]) -> String {
    let each = 16_384 / ports.len();
    let mut answer = format!("*{}\r\n", ports.len());
    for (n, (host, port)) in ports.iter().enumerate() {
        let last = if n + 1 == ports.len() { 16_383 } else { (n + 1) * each - 1 };
        let host = format!("${}\r\n{host}", host.len());
        answer += &format!("*3\r\n:{}\r\n:{last}\r\n*2\r\n{host}\r\n:{port}\r\n", n * each);
    }
    answer
}

/// Says what it is told to say of slots, and serves nobody: a master that was cut off, which no network here can do to a real one.
struct Wrong {
    url: String,
    says: Arc<Mutex<String>>,
}

impl Wrong {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let says = Arc::new(Mutex::new(of_masters(&[("127.0.0.1".to_owned(), port)])));
        let told = Arc::clone(&says);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serves_nobody(BufStream::new(stream), Arc::clone(&told)));
            }
        });
        Self { url: format!("redis://127.0.0.1:{port}"), says }
    }
}

impl Wrong {
    /// A hundred slots, and they are its own.
    fn knows_a_part(&self) {
        let port = self.url.rsplit_once(':').unwrap().1;
        let host = "$9\r\n127.0.0.1";
        *self.says.lock().unwrap() = format!("*1\r\n*3\r\n:0\r\n:99\r\n*2\r\n{host}\r\n:{port}\r\n");
    }
}

async fn serves_nobody(mut stream: BufStream<TcpStream>, says: Arc<Mutex<String>>) -> io::Result<()> {
    loop {
        let (mut line, mut words) = (String::new(), Vec::new());
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        for _ in 0..line[1..].trim_end().parse().unwrap() {
            line.clear();
            stream.read_line(&mut line).await?;
            let mut word = vec![0; line[1..].trim_end().parse::<usize>().unwrap() + 2];
            stream.read_exact(&mut word).await?;
            words.push(String::from_utf8(word).unwrap().trim_end().to_owned());
        }
        let answer = match words[0].as_str() {
            "CLUSTER" => says.lock().unwrap().clone(),
            "CLIENT" => "+OK\r\n".to_owned(),
            "SCAN" => "*2\r\n$1\r\n0\r\n*0\r\n".to_owned(),
            _ => "-CLUSTERDOWN The cluster is down\r\n".to_owned(),
        };
        stream.write_all(answer.as_bytes()).await?;
        stream.flush().await?;
    }
}

/// It says that it has all slots.
fn who_is_wrong_about_all_others_is_asked_last() {
    session_testkit::run(async {
        let ((cluster, _networks), wrong) = (Nodes::start_behind_networks().await, Wrong::start().await);
        let urls = [wrong.url].into_iter().chain(cluster.urls());
        let store = RedisStore::new(Cluster::new(urls).unwrap());
        let error = store.get(&Sid::random()).await.unwrap_err();
        assert!(format!("{error:?}").contains("CLUSTERDOWN"), "{error:?}");
        for _ in 0..20 {
            put_patiently(&store, &record("")).await;
        }
        // Each time it could be asked again.
        for _ in 0..6 {
            tokio::time::sleep(Duration::from_millis(600)).await;
            assert_eq!(store.length().await.unwrap(), 20);
            assert!(store.get(&Sid::random()).await.unwrap().is_none());
        }
    });
}

fn a_map_with_a_gap_is_taken_where_nobody_has_a_better_one() {
    session_testkit::run(async {
        let (cluster, _networks) = Nodes::start_behind_networks().await;
        let gap = cluster.slot_of("{gap}:").to_string();
        for node in &cluster.0 {
            let _: String = node.ask(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
            let _: String = node.ask(&["CLUSTER", "DELSLOTS", &gap]);
        }
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // One that says nothing, and one that knows of less.
        let (silent, part) = (format!("redis://{}", silent.local_addr().unwrap()), Wrong::start().await);
        part.knows_a_part();
        let nodes = Cluster::new([part.url, silent].into_iter().chain(cluster.urls())).unwrap();
        let store = RedisStore::new(nodes.clone());
        until_served(&store, &put_patiently(&store, &record("")).await).await;
        // And who asks for what nobody has is told so.
        let gap = RedisStore::new(nodes).prefix("{gap}:");
        recovered(&store).await;
        within(AT_ONCE, gap.get(&Sid::random())).await.unwrap_err();
    });
}

/// The others need longer to be connected than somebody better is waited for.
fn who_knows_a_part_is_no_better_than_who_is_slow() {
    session_testkit::run(async {
        let ((cluster, networks), part) = (Nodes::start_behind_networks().await, Wrong::start().await);
        part.knows_a_part();
        networks.iter().for_each(|network| network.delays(Duration::from_millis(400)));
        let announced = cluster.0.iter().map(|server| format!("redis://127.0.0.1:{}", announced(server)));
        let urls = [part.url].into_iter().chain(announced);
        let store = RedisStore::new(Cluster::new(urls).unwrap()).timeout(15 * TIMEOUT);
        for _ in 0..5 {
            until_served(&store, &put_patiently(&store, &record("")).await).await;
        }
        assert_eq!(store.length().await.unwrap(), 5);
    });
}

/// A node that has just met another one.
fn who_knows_of_one_master_alone_leads_to_the_others() {
    session_testkit::run(async {
        let ((cluster, _networks), new) = (Nodes::start_behind_networks().await, Wrong::start().await);
        let store = RedisStore::new(Cluster::new(cluster.urls()).unwrap());
        sessions(&store).await;
        let known = format!("$9\r\n127.0.0.1\r\n:{}", cluster.0[0].port);
        *new.says.lock().unwrap() = format!("*1\r\n*3\r\n:0\r\n:5460\r\n*2\r\n{known}\r\n");
        let store = RedisStore::new(Cluster::new([new.url]).unwrap()).timeout(15 * TIMEOUT);
        assert_eq!(store.length().await.unwrap(), 200);
        store.clear().await.unwrap();
        assert_eq!(store.length().await.unwrap(), 0);
    });
}

/// Its name is preferred, and it has none (`cluster-preferred-endpoint-type`).
fn a_walk_that_cannot_reach_a_master_of_unknown_address_is_an_error() {
    session_testkit::run(async {
        let node = Wrong::start().await;
        let own = format!("$9\r\n127.0.0.1\r\n:{}", node.url.rsplit_once(':').unwrap().1);
        let other = "*3\r\n:8000\r\n:16383\r\n*2\r\n$1\r\n?\r\n:6379";
        *node.says.lock().unwrap() = format!("*2\r\n*3\r\n:0\r\n:7999\r\n*2\r\n{own}\r\n{other}\r\n");
        let store = RedisStore::new(Cluster::new([&*node.url]).unwrap());
        for _ in 0..2 {
            store.length().await.unwrap_err();
            store.clear().await.unwrap_err();
        }
        // It has some keys of its own, in a cluster that has no others.
        *node.says.lock().unwrap() = format!("*1\r\n*3\r\n:0\r\n:7999\r\n*2\r\n{own}\r\n");
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert_eq!(store.length().await.unwrap(), 0);
    });
}

fn a_cluster_with_a_gap_is_walked_after_a_master_was_lost() {
    session_testkit::run(async {
        let mut cluster = Nodes::start("1500");
        let gap = cluster.slot_of("{gap}:").to_string();
        for node in &cluster.0 {
            let _: String = node.ask(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
            let _: String = node.ask(&["CLUSTER", "DELSLOTS", &gap]);
        }
        let store = RedisStore::new(Cluster::new(cluster.urls()).unwrap()).timeout(TIMEOUT);
        // One may have been for the gap.
        let before = store.length().await.unwrap();
        let mut sids = Vec::new();
        while sids.len() < 100 {
            let sid = Sid::random();
            if cluster.slot_of(&format!("sess:{}", sid.as_str())).to_string() != gap {
                let set = store.set(&sid, &record(""), &Expect::Nothing).await.unwrap();
                assert!(matches!(set, Set::Written(_)));
                sids.push(sid);
            }
        }
        replicated(&cluster.0);
        let lost = cluster.0.iter().position(is_master).unwrap();
        let _lost = cluster.0.remove(lost).kill();
        for sid in &sids {
            until_served(&store, sid).await;
        }
        let begun = Instant::now();
        loop {
            match store.length().await {
                Ok(length) => break assert_eq!(length - before, 100),
                Err(error) => assert!(begun.elapsed() < Duration::from_secs(60), "{error:?}"),
            }
        }
    });
}

/// It has taken over a slot while nobody could be reached.
fn a_walk_after_an_outage_knows_of_a_master_that_is_new() {
    session_testkit::run(async {
        let (cluster, networks) = Nodes::start_behind_networks().await;
        let store = RedisStore::new(Cluster::new(cluster.urls()).unwrap()).timeout(15 * TIMEOUT);
        let sids = sessions(&store).await;
        assert_eq!(store.length().await.unwrap(), 200);
        let closed = nobody().await.rsplit_once(':').unwrap().1.parse().unwrap();
        for network in &networks {
            network.leads_to(closed);
            network.cuts();
        }
        let new = cluster.joined();
        let moved = format!("sess:{}", sids[0].as_str());
        let (slot, from) = (cluster.slot_of(&moved).to_string(), &cluster.0[cluster.master_of(&moved)]);
        let [source, target] = [from, &new].map(|node| node.ask::<String>(&["CLUSTER", "MYID"]));
        let _: String = new.ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source]);
        let _: String = from.ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target]);
        let migrate = ["MIGRATE", "127.0.0.1", &new.port.to_string(), &moved, "0", "5000"];
        assert_eq!(from.ask::<String>(&migrate), "OK");
        for node in [&new].into_iter().chain(&cluster.0) {
            let _: String = node.ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &target]);
        }
        store.length().await.unwrap_err();
        for (network, server) in networks.iter().zip(&cluster.0) {
            network.leads_to(server.port);
        }
        let begun = Instant::now();
        loop {
            match store.length().await {
                Ok(length) => break assert_eq!(length, 200),
                Err(error) => assert!(begun.elapsed() < Duration::from_secs(60), "{error:?}"),
            }
        }
    });
}

fn a_time_out_without_an_end_is_one() {
    session_testkit::run(async {
        let ((cluster, _networks), server) = (Nodes::start_behind_networks().await, Server::start(&[]));
        let stores = [
            RedisStore::new(Cluster::new(cluster.urls()).unwrap()),
            RedisStore::open(&server.url()).unwrap(),
        ];
        for store in stores {
            let store = store.timeout(Duration::MAX);
            let sids: Vec<Sid> = (0..3).map(|_| Sid::random()).collect();
            for read in join_all(sids.iter().map(|sid| store.get(sid))).await {
                assert!(read.unwrap().is_none());
            }
        }
    });
}

fn a_connection_that_took_longer_than_its_callers_waited_is_there_for_the_next() {
    session_testkit::run(async {
        let (server, network) = (Server::start(&[]), Network::new());
        network.delays(Duration::from_millis(1_500));
        let store = RedisStore::open(&network.before(&server.url()).await).unwrap();
        let store = store.timeout(Duration::from_secs(1));
        store.get(&Sid::random()).await.unwrap_err();
        network.delays(Duration::ZERO);
        // Longer than any attempt.
        tokio::time::sleep(Duration::from_secs(11)).await;
        assert!(store.get(&Sid::random()).await.unwrap().is_none());
        assert_eq!(network.connections(), 1);
    });
}

/// To addresses that are silent now, as all others are that are known.
fn many_masters_that_moved_at_once_are_found_by_the_given_address() {
    session_testkit::run(async {
        let ((cluster, _networks), name) = (Nodes::start_behind_networks().await, Wrong::start().await);
        let mut listeners = Vec::new();
        for n in 2..62 {
            listeners.push(TcpListener::bind(format!("127.0.0.{n}:0")).await.unwrap());
        }
        let addresses = listeners.iter().map(|listener| listener.local_addr().unwrap());
        let silent: Vec<_> = addresses.map(|at| (at.ip().to_string(), at.port())).collect();
        *name.says.lock().unwrap() = of_masters(&silent);
        let store = RedisStore::new(Cluster::new([name.url]).unwrap()).timeout(TIMEOUT);
        store.get(&Sid::random()).await.unwrap_err();
        let moved: Vec<_> = cluster.0.iter().map(|server| ("127.0.0.1".to_owned(), server.port)).collect();
        *name.says.lock().unwrap() = of_masters(&moved);
        recovered(&store).await;
        until_served(&store, &put_patiently(&store, &record("")).await).await;
    });
}

fn a_call_whose_own_master_refuses_does_not_wait_for_a_silent_other_one() {
    session_testkit::run(async {
        let (cluster, networks) = Nodes::start_behind_networks().await;
        let store = RedisStore::new(Cluster::new(cluster.urls()).unwrap()).prefix("").timeout(4 * TIMEOUT);
        // All are connected.
        sessions(&store).await;
        assert_eq!(store.length().await.unwrap(), 200);
        let own = cluster.master_of("{one}");
        let closed = nobody().await.rsplit_once(':').unwrap().1.parse().unwrap();
        networks
            .iter()
            .enumerate()
            .filter(|(node, _)| *node != own)
            .for_each(|(_, other)| other.stays_silent());
        networks[own].leads_to(closed);
        networks[own].cuts();
        for _ in 0..8 {
            let begun = Instant::now();
            store.get(&Sid::from("{one}")).await.unwrap_err();
            assert!(begun.elapsed() < TIMEOUT, "it waits for another one: {:?}", begun.elapsed());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
}

fn who_counts_after_a_while_finds_connections_that_were_forgotten() {
    session_testkit::run(async {
        let (cluster, networks) = Nodes::start_behind_networks().await;
        let (server, network) = (Server::start(&[]), Network::new());
        let one = RedisStore::open(&network.before(&server.url()).await).unwrap();
        let stores = [RedisStore::new(Cluster::new(cluster.urls()).unwrap()), one];
        for store in &stores {
            sessions(store).await;
        }
        tokio::time::sleep(Duration::from_millis(5_100)).await;
        networks.iter().chain([&network]).for_each(Network::goes_silent);
        for store in &stores {
            assert_eq!(store.length().await.unwrap(), 200);
            assert_eq!(store.length().await.unwrap(), 200);
        }
    });
}

/// An application that waits for a call on a runtime, and gives it up: the attempt to connect is a task that stands still.
fn a_runtime_that_nobody_drives_any_more_keeps_nobody_from_connecting() {
    let driven = tokio::runtime::Runtime::new().unwrap();
    let stands_still = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (cluster, _networks) = driven.block_on(Nodes::start_behind_networks());
    let server = Server::start(&[]);
    let stores =
        [RedisStore::new(Cluster::new(cluster.urls()).unwrap()), RedisStore::open(&server.url()).unwrap()];
    stands_still.block_on(async {
        for store in &stores {
            // Polled once.
            assert!(store.get(&Sid::random()).now_or_never().is_none());
        }
    });
    driven.block_on(async {
        for store in &stores {
            recovered(store).await;
        }
    });
}

fn an_address_map_that_leads_to_another_node_is_an_error_that_says_so() {
    session_testkit::run(async {
        let (cluster, _networks) = Nodes::start_behind_networks().await;
        let port = cluster.0[(cluster.master_of("{one}:") + 1) % 3].port;
        let nodes = Cluster::new(cluster.urls()).unwrap();
        let nodes = nodes.node_address_map(move |host, _| Some((host.to_owned(), port)));
        let store = RedisStore::new(nodes).prefix("{one}:").timeout(TIMEOUT);
        let processed = || {
            let stats: String =
                cluster.0.iter().find(|node| node.port == port).unwrap().ask(&["INFO", "stats"]);
            let count = stats.split("total_commands_processed:").nth(1).unwrap();
            count.split_whitespace().next().unwrap().parse::<u32>().unwrap()
        };
        let before = processed();
        let error = store.get(&Sid::random()).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }));
        let said = format!("{error:?} {}", std::error::Error::source(&error).unwrap());
        let slot = cluster.slot_of("{one}:").to_string();
        assert!(said.contains("node_address_map") && !said.contains(&slot), "{said}");
        assert!(processed() - before < 100, "it asks without a pause");
    });
}

/// They announce the address of a network before them.
fn nodes_are_reached_where_they_are_mapped_to() {
    session_testkit::run(async {
        let (cluster, networks) = Nodes::start_behind_networks().await;
        let urls = cluster.urls();
        let announced: Vec<(u16, u16)> =
            cluster.0.iter().map(|server| (announced(server), server.port)).collect();
        let before: usize = networks.iter().map(Network::connections).sum();
        let nodes = Cluster::new(urls).unwrap().node_address_map(move |host, port| {
            let (_, reached) = announced.iter().find(|(announced, _)| *announced == port)?;
            Some((host.to_owned(), *reached))
        });
        let store = RedisStore::new(nodes);
        sessions(&store).await;
        assert_eq!(store.length().await.unwrap(), 200);
        assert_eq!(networks.iter().map(Network::connections).sum::<usize>(), before);
    });
}
