//! Redis servers that a test starts itself, on free ports of the loopback interface.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread::sleep,
    time::{Duration, Instant},
};

use store_redis::redis::{self, Client, FromRedisValue, RedisResult};
use test_support::{Guarded, Need, Network, free_port, installed};

/// Long enough for a slow machine; what takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// The server's program, and the one that makes a cluster of several.
pub fn redis_server() -> Need<()> {
    installed("redis-server").and(installed("redis-cli")).map(drop)
}

pub fn redis_server_and_openssl() -> Need<()> {
    redis_server().and(installed("openssl")).map(drop)
}

/// A server. It ends with this value, and however the test's process ends.
pub struct Server {
    pub port: u16,
    process: Guarded,
    dir: PathBuf,
}

impl Server {
    /// In memory only.
    pub fn start(arguments: &[&str]) -> Self {
        let dir = new_dir();
        Self::start_at(free_port(), dir, &[&["--save", "", "--appendonly", "no"], arguments].concat())
    }

    /// What it acknowledges is on the disk.
    pub fn start_durable() -> Self {
        Self::start_at(free_port(), new_dir(), &DURABLE)
    }

    fn start_at(port: u16, dir: PathBuf, arguments: &[&str]) -> Self {
        let port_text = port.to_string();
        let bound = ["--port", &port_text, "--bind", "127.0.0.1", "--daemonize", "no"];
        Self::run(port, dir, &[&bound, arguments].concat())
    }

    pub fn run(port: u16, dir: PathBuf, arguments: &[&str]) -> Self {
        let mut command = Command::new(program("redis-server"));
        command.args(arguments).current_dir(&dir);
        let process = Guarded::start(&command, "KILL", None).unwrap();
        let server = Self { port, process, dir };
        until("the server answers", || {
            server.try_ask::<String>(&["PING"]).is_ok_and(|answer| answer == "PONG")
        });
        server
    }

    /// One that speaks TLS as well, with a certificate for `localhost` that it signed itself; answers that port.
    pub fn start_tls() -> (u16, Self) {
        let (port, dir) = (free_port(), new_dir());
        let made = Command::new(program("openssl"))
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=localhost"])
            .args([
                "-addext",
                "subjectAltName=DNS:localhost",
                "-addext",
                "basicConstraints=critical,CA:FALSE",
            ])
            .current_dir(&dir)
            .stderr(Stdio::null())
            .status();
        assert!(made.unwrap().success(), "openssl req");
        let tls_port = port.to_string();
        let tls = ["--tls-port", &tls_port, "--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem"];
        let options = [&tls[..], &["--tls-ca-cert-file", "cert.pem", "--tls-auth-clients", "no"]].concat();
        (port, Self::start_at(free_port(), dir, &options))
    }

    pub fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.dir.join(name)).unwrap()
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// One command, past the store.
    pub fn ask<T: FromRedisValue>(&self, command: &[&str]) -> T {
        self.try_ask(command).unwrap()
    }

    pub fn try_ask<T: FromRedisValue>(&self, command: &[&str]) -> RedisResult<T> {
        let mut connection =
            Client::open(self.url())?.get_connection_with_timeout(Duration::from_secs(10))?;
        redis::cmd(command[0]).arg(&command[1..]).query(&mut connection)
    }

    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Kills it without warning, and keeps its disk and its port.
    pub fn kill(self) -> Killed {
        self.process.kill();
        Killed { port: self.port, dir: self.dir }
    }
}

/// A server that was killed. Its disk goes with this value, unless it is started again.
pub struct Killed {
    port: u16,
    dir: PathBuf,
}

impl Killed {
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn restart_durable(mut self) -> Server {
        Server::start_at(self.port, std::mem::take(&mut self.dir), &DURABLE)
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.dir);
    }
}

const DURABLE: [&str; 6] = ["--save", "", "--appendonly", "yes", "--appendfsync", "always"];

/// Three masters with a replica each.
pub struct Cluster(pub Vec<Server>);

impl Cluster {
    /// A node that is silent for so long, in milliseconds, is taken for dead.
    pub fn start(node_timeout: &str) -> Self {
        let cluster = Self::create((0..6).map(|_| node(node_port(), node_timeout, &[])).collect(), "1");
        until("replicas are in step", || cluster.0.iter().all(in_step));
        cluster
    }

    /// Three masters alone, of which each is found behind a network.
    pub async fn start_behind_networks() -> (Self, Vec<Network>) {
        let (mut servers, mut networks) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let (port, network) = (node_port(), Network::new());
            let url = network.before(&format!("redis://127.0.0.1:{port}")).await;
            let announced = url.rsplit_once(':').unwrap().1;
            servers.push(node(port, "30000", &["--cluster-announce-port", announced]));
            networks.push(network);
        }
        (Self::create(servers, "0"), networks)
    }

    /// One more master, which has no slot yet.
    pub fn joined(&self) -> Server {
        let new = node(node_port(), "30000", &[]);
        let other = &self.0[0];
        let bus = match is_before_7() {
            true => other.port + 10_000,
            false => other.ask::<Vec<String>>(&["CONFIG", "GET", "cluster-port"])[1].parse().unwrap(),
        };
        let address = ["127.0.0.1", &other.port.to_string(), &bus.to_string()];
        let _: String = new.ask(&[&["CLUSTER", "MEET"], &address[..]].concat());
        let id: String = new.ask(&["CLUSTER", "MYID"]);
        let knows = |server: &Server| server.ask::<String>(&["CLUSTER", "NODES"]).contains(&id);
        let is_up = || new.ask::<String>(&["CLUSTER", "INFO"]).contains("cluster_state:ok");
        until("all know it", || self.0.iter().all(knows) && is_up());
        new
    }

    /// By what one of them tells all: the slot is of that one.
    pub fn moves_slot(&self, slot: u16, to: usize) {
        let id: String = self.0[to].ask(&["CLUSTER", "MYID"]);
        // Who gets it first: it tells the others.
        for node in [to].into_iter().chain((0..self.0.len()).filter(|node| *node != to)) {
            let _: String = self.0[node].ask(&["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", &id]);
        }
    }

    fn create(servers: Vec<Server>, replicas: &str) -> Self {
        let nodes = servers.iter().map(|server| format!("127.0.0.1:{}", server.port));
        let created = Command::new(program("redis-cli"))
            .args(["--cluster", "create"])
            .args(nodes)
            .args(["--cluster-replicas", replicas, "--cluster-yes"])
            .stdout(Stdio::null())
            .status();
        assert!(created.unwrap().success(), "redis-cli --cluster create");
        until("the cluster is whole", || {
            servers.iter().all(|server| is_whole(&server.ask::<String>(&["CLUSTER", "INFO"])))
        });
        Self(servers)
    }

    /// Which of them has the slot of a key.
    pub fn master_of(&self, key: &str) -> usize {
        let slot: String = self.slot_of(key).to_string();
        let has_it = |server: &Server| {
            let answer = server.try_ask::<Vec<String>>(&["CLUSTER", "GETKEYSINSLOT", &slot, "0"]);
            answer.is_ok() && server.try_ask::<Option<String>>(&["GET", key]).is_ok()
        };
        self.0.iter().position(has_it).unwrap()
    }

    pub fn slot_of(&self, key: &str) -> u16 {
        self.0[0].ask(&["CLUSTER", "KEYSLOT", key])
    }

    pub fn urls(&self) -> Vec<String> {
        self.0.iter().map(Server::url).collect()
    }
}

fn node(port: u16, timeout: &str, more: &[&str]) -> Server {
    let options = ["--cluster-enabled", "yes", "--cluster-node-timeout", timeout];
    let memory = ["--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"];
    let bus = free_port().to_string();
    // Before Redis 7 it is the port and ten thousand.
    let bus = if is_before_7() { vec![] } else { vec!["--cluster-port", &bus] };
    Server::start_at(port, new_dir(), &[&options[..], &memory, &bus, more].concat())
}

/// A port of which the one for the bus is free as well.
fn node_port() -> u16 {
    let is_free = |port: &u16| !is_before_7() || TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok();
    (0..1_000).map(|_| free_port()).find(is_free).unwrap()
}

fn is_before_7() -> bool {
    let version = Command::new(program("redis-server")).arg("--version").output().unwrap().stdout;
    String::from_utf8_lossy(&version).contains(" v=6.")
}

fn is_whole(info: &str) -> bool {
    info.contains("cluster_state:ok")
        && info.contains("cluster_slots_ok:16384")
        && info.contains("cluster_size:3")
}

/// A master that has its replica, or a replica that has its master.
fn in_step(server: &Server) -> bool {
    let info: String = server.ask(&["INFO", "replication"]);
    info.contains("master_link_status:up") || info.contains("state=online")
}

/// A master, two replicas and three sentinels.
pub struct Watched {
    pub servers: Vec<Server>,
    pub sentinels: Vec<Server>,
}

impl Watched {
    pub const NAME: &str = "mymaster";

    /// A master that is silent for so long, in milliseconds, is taken for dead.
    pub fn start(down_after: &str) -> Self {
        let quick = ["--repl-diskless-sync-delay", "0"];
        let master = Server::start(&quick);
        let port = master.port.to_string();
        let replica = |_| Server::start(&[&quick[..], &["--replicaof", "127.0.0.1", &port]].concat());
        let servers: Vec<Server> = std::iter::once(master).chain((0..2).map(replica)).collect();
        until("replicas are in step", || servers.iter().all(in_step));
        let sentinels: Vec<Server> = (0..3).map(|_| sentinel(&port, down_after)).collect();
        until("the sentinels know each other", || {
            sentinels.iter().all(|sentinel| {
                let info: String = sentinel.ask(&["INFO", "sentinel"]);
                info.contains("slaves=2,sentinels=3")
            })
        });
        Self { servers, sentinels }
    }

    pub fn urls(&self) -> Vec<String> {
        self.sentinels.iter().map(Server::url).collect()
    }
}

fn sentinel(master: &str, down_after: &str) -> Server {
    let (port, dir, name) = (free_port(), new_dir(), Watched::NAME);
    let config = format!(
        "port {port}\nbind 127.0.0.1\nsentinel monitor {name} 127.0.0.1 {master} 2\n\
         sentinel down-after-milliseconds {name} {down_after}\nsentinel failover-timeout {name} 5000\n"
    );
    let file = dir.join("sentinel.conf");
    fs::write(&file, config).unwrap();
    Server::run(port, dir, &[file.to_str().unwrap(), "--sentinel"])
}

pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        sleep(Duration::from_millis(20));
    }
}

/// Until what the masters have by now has reached a replica: Redis acknowledges writes before that.
pub fn replicated(servers: &[Server]) {
    for master in servers.iter().filter(|server| is_master(server)) {
        let written = offsets(master, "master_repl_offset:")[0];
        until("a replica has it", || offsets(master, ",offset=").iter().any(|read| *read >= written));
    }
}

pub fn is_master(server: &Server) -> bool {
    server.ask::<String>(&["INFO", "replication"]).contains("role:master")
}

fn offsets(master: &Server, label: &str) -> Vec<u64> {
    let info: String = master.ask(&["INFO", "replication"]);
    let number = |rest: &str| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
    info.split(label).skip(1).map(number).collect()
}

fn program(name: &str) -> PathBuf {
    installed(name).unwrap()
}

fn new_dir() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("store-redis-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let dir = Path::new(&std::env::temp_dir()).join(name);
    fs::create_dir_all(&dir).unwrap();
    dir
}
