//! MongoDB servers that a test starts itself, on free ports of the loopback interface.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use mongodb::{
    Client,
    bson::{Document, doc},
    options::{ClientOptions, ServerAddress},
};
use store_mongo::mongodb;
use test_support::{Guarded, Need, free_port, installed};

use super::until;

pub fn mongod() -> Need<PathBuf> {
    installed("mongod")
}

pub fn mongod_and_openssl() -> Need<PathBuf> {
    installed("openssl").and(mongod())
}

/// A server. It ends with this value, and however the test's process ends.
pub struct Server {
    pub port: u16,
    process: Guarded,
    pub dir: PathBuf,
}

impl Server {
    pub async fn start(mongod: &Path, arguments: &[&str]) -> Self {
        Self::start_in(mongod, new_dir(), arguments).await
    }

    pub async fn start_in(mongod: &Path, dir: PathBuf, arguments: &[&str]) -> Self {
        let port = free_port();
        let mut command = Command::new(mongod);
        command
            .args(["--port", &port.to_string(), "--bind_ip", "127.0.0.1", "--dbpath", "."])
            .args(["--wiredTigerCacheSizeGB", "0.25", "--nounixsocket"])
            .args(["--setParameter", "ttlMonitorSleepSecs=1"])
            .args(["--setParameter", "diagnosticDataCollectionEnabled=false"])
            .args(arguments)
            .current_dir(&dir);
        let process = Guarded::start(&command, "KILL", None).unwrap();
        let server = Self { port, process, dir };
        until(async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
        server
    }

    pub fn url(&self) -> String {
        format!("mongodb://127.0.0.1:{}", self.port)
    }

    pub async fn admin(&self, command: Document) -> Document {
        let address = ServerAddress::Tcp { host: "127.0.0.1".into(), port: Some(self.port) };
        let options = ClientOptions::builder().hosts(vec![address]).direct_connection(true).build();
        let client = Client::with_options(options).unwrap();
        client.database("admin").run_command(command).await.unwrap()
    }

    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }
}

/// A replica set of three.
pub struct ReplicaSet(pub Vec<Server>);

impl ReplicaSet {
    pub async fn start(mongod: &Path) -> Self {
        Self::start_as(mongod, 3, |_| doc! {}).await
    }

    /// Of one, which can do what only a replica set can.
    pub async fn start_alone(mongod: &Path) -> Self {
        Self::start_as(mongod, 1, |_| doc! {}).await
    }

    /// Of two, of which the second one learns nothing any more.
    pub async fn start_with_one_behind(mongod: &Path) -> Self {
        let set = Self::start_as(mongod, 2, |at| {
            if at == 1 {
                doc! { "priority": 0 }
            } else {
                doc! {}
            }
        })
        .await;
        let behind = &set.0[1];
        until(async || behind.admin(doc! { "hello": 1 }).await.get_bool("secondary").unwrap_or(false)).await;
        behind.admin(doc! { "configureFailPoint": "rsSyncApplyStop", "mode": "alwaysOn" }).await;
        set
    }

    async fn start_as(mongod: &Path, count: usize, of: impl Fn(usize) -> Document) -> Self {
        let test_commands = "enableTestCommands=1";
        let arguments = ["--replSet", "rs0", "--oplogSize", "64", "--setParameter", test_commands];
        let mut servers = Vec::new();
        for _ in 0..count {
            servers.push(Server::start(mongod, &arguments).await);
        }
        let member = |(at, server): (usize, &Server)| {
            let mut member = doc! { "_id": at as i32, "host": format!("127.0.0.1:{}", server.port) };
            member.extend(of(at));
            member
        };
        let members: Vec<Document> = servers.iter().enumerate().map(member).collect();
        // The quickest that an election gets: what a test measures is the store.
        let settings = doc! { "electionTimeoutMillis": 1_000, "heartbeatIntervalMillis": 200 };
        let config = doc! { "_id": "rs0", "members": members, "settings": settings };
        servers[0].admin(doc! { "replSetInitiate": config }).await;
        let set = Self(servers);
        until(async || set.primary().await.is_some()).await;
        set
    }

    pub fn url(&self) -> String {
        let hosts: Vec<String> = self.0.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
        format!("mongodb://{}/shop?replicaSet=rs0&w=majority", hosts.join(","))
    }

    pub async fn primary(&self) -> Option<usize> {
        for (at, server) in self.0.iter().enumerate() {
            let hello = server.admin(doc! { "hello": 1 }).await;
            if hello.get_bool("isWritablePrimary").unwrap_or(false) {
                return Some(at);
            }
        }
        None
    }
}

pub fn new_dir() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("store-mongo-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let dir = env::temp_dir().join(name);
    fs::create_dir_all(&dir).unwrap();
    dir
}

/// A certificate authority and a server's certificate for 127.0.0.1.
pub fn certificates(dir: &Path) {
    let run = |arguments: &str| {
        let made = Command::new(installed("openssl").unwrap())
            .args(arguments.split(' '))
            .current_dir(dir)
            .stderr(Stdio::null())
            .status();
        assert!(made.unwrap().success(), "openssl {arguments}");
    };
    fs::write(dir.join("extensions"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    run("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=authority");
    run("req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=server");
    run(
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.crt -days 2 -extfile extensions",
    );
    let parts = ["server.key", "server.crt"].map(|name| fs::read(dir.join(name)).unwrap());
    fs::write(dir.join("server.pem"), parts.concat()).unwrap();
}
