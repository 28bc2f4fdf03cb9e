//! MongoDB servers that a test starts itself, on free ports of the loopback interface.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use mongodb::{
    Client,
    bson::{Document, doc},
    options::{ClientOptions, ServerAddress},
};
use store_mongo::mongodb;

use super::until;

/// The server's program. Without one the test shall return: a sentence says what was skipped.
pub fn mongod() -> Option<PathBuf> {
    let on_path = || {
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path).map(|folder| folder.join("mongod")).find(|file| file.is_file())
    };
    let found = env::var_os("MONGOD").map(PathBuf::from).or_else(on_path).or_else(unpacked);
    if found.is_none() {
        assert!(env::var_os("CI").is_none(), "no mongod: neither MONGOD nor the PATH has one");
        println!("skipped: no mongod on the PATH, nor in the variable MONGOD; `cargo xtask test` brings one");
    }
    found
}

/// By `cargo xtask services up`.
fn unpacked() -> Option<PathBuf> {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/services/programs");
    let folders = fs::read_dir(programs).ok()?.flatten();
    let programs = folders.map(|folder| folder.path().join("fiftyone/db/bin/mongod"));
    programs.into_iter().find(|file| file.is_file())
}

pub fn openssl() -> bool {
    let installed = Command::new("openssl").arg("version").stdout(Stdio::null()).status().is_ok();
    if !installed {
        assert!(env::var_os("CI").is_none(), "openssl is not on the PATH");
        println!("skipped: openssl is not on the PATH");
    }
    installed
}

/// A server. It ends with this value, and however the test's process ends.
pub struct Server {
    pub port: u16,
    pid: String,
    guard: Child,
    pub dir: PathBuf,
}

impl Server {
    pub async fn start(mongod: &Path, arguments: &[&str]) -> Self {
        Self::start_in(mongod, new_dir(), arguments).await
    }

    /// By a shell that waits for the end of its input, which comes with ours, and then kills it.
    pub async fn start_in(mongod: &Path, dir: PathBuf, arguments: &[&str]) -> Self {
        const GUARD: &str = r#""$@" >log 2>&1 & echo $!
            read -r last; kill -9 $!; wait; [ "$last" = keep ] || rm -rf "$PWD""#;
        let port = free_port();
        let mut guard = Command::new("sh")
            .args(["-c", GUARD, "guard"])
            .arg(mongod)
            .args(["--port", &port.to_string(), "--bind_ip", "127.0.0.1", "--dbpath", "."])
            .args(["--wiredTigerCacheSizeGB", "0.25", "--nounixsocket"])
            .args(["--setParameter", "ttlMonitorSleepSecs=1"])
            .args(["--setParameter", "diagnosticDataCollectionEnabled=false"])
            .args(arguments)
            .current_dir(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut pid = String::new();
        BufReader::new(guard.stdout.take().unwrap()).read_line(&mut pid).unwrap();
        let server = Self { port, pid: pid.trim().to_owned(), guard, dir };
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
        assert!(Command::new("kill").args(["-s", name, &self.pid]).status().unwrap().success());
    }

    /// Kills it without warning.
    pub fn kill(mut self) {
        self.guard.stdin.take().unwrap().write_all(b"\n").unwrap();
        self.guard.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        _ = self.guard.wait();
    }
}

/// A replica set of three.
pub struct ReplicaSet(pub Vec<Server>);

impl ReplicaSet {
    pub async fn start(mongod: &Path) -> Self {
        let arguments = ["--replSet", "rs0", "--oplogSize", "64"];
        let mut servers = Vec::new();
        for _ in 0..3 {
            servers.push(Server::start(mongod, &arguments).await);
        }
        let member = |(at, server): (usize, &Server)| {
            doc! { "_id": at as i32, "host": format!("127.0.0.1:{}", server.port) }
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

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
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
        let made = Command::new("openssl")
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

/// The longest that a call may take with `open`'s timeouts, and some patience with a slow machine.
pub const BOUND: Duration = Duration::from_secs(5);
