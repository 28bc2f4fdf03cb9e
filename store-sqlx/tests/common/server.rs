//! Database servers that a test starts itself, on free ports of the loopback interface.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread::sleep,
    time::{Duration, Instant},
};

use super::new_name;

/// Long enough for a slow machine; what takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Postgres,
    MariaDb,
}

/// A server. It ends with this value, and however the test's process ends.
pub struct Server {
    stopped: Stopped,
    pid: String,
    guard: Child,
}

/// Its disk and its port.
#[derive(Clone)]
pub struct Stopped {
    engine: Engine,
    dir: PathBuf,
    port: u16,
}

impl Server {
    /// `None` without the program: a sentence says what was skipped.
    pub fn start(engine: Engine) -> Option<Self> {
        let (program, package) = match engine {
            Engine::Postgres => (postgres("initdb"), "postgresql"),
            Engine::MariaDb => (program("mariadb-install-db"), "mariadb-server"),
        };
        let Some(program) = program else {
            assert!(env::var_os("CI").is_none(), "{package} is not installed");
            println!("skipped: {package} is not installed; with Debian that is the name of the package");
            return None;
        };
        let dir = env::temp_dir().join(format!("store-sqlx-{}", new_name()));
        fs::create_dir_all(&dir).unwrap();
        give_away(engine, &dir);
        let mut install = command(engine, &program, &dir);
        match engine {
            Engine::Postgres => {
                install.args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale"]);
                install.args(["--no-sync", "-D", "data"])
            }
            Engine::MariaDb => {
                let data = format!("--datadir={}", dir.join("data").display());
                install.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
                install.arg(me()).arg(data)
            }
        };
        let installed = install.stdin(Stdio::null()).output().unwrap();
        assert!(installed.status.success(), "{}: {installed:?}", program.display());
        fs::write(dir.join("first.sql"), "CREATE DATABASE IF NOT EXISTS sessions;\n").unwrap();
        Some(Stopped { engine, dir, port: free_port() }.start())
    }

    pub fn url(&self) -> String {
        self.stopped.url()
    }

    pub fn signal(&self, name: &str) {
        assert!(Command::new("kill").args(["-s", name, &self.pid]).status().unwrap().success());
    }

    /// Ends it without warning, in the middle of what it does.
    pub fn kill(mut self) -> Stopped {
        self.guard.stdin.take().unwrap().write_all(b"keep\n").unwrap();
        self.guard.wait().unwrap();
        self.stopped.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        _ = self.guard.wait();
    }
}

impl Stopped {
    pub fn url(&self) -> String {
        match self.engine {
            Engine::Postgres => format!("postgres://postgres@127.0.0.1:{}/postgres", self.port),
            Engine::MariaDb => format!("mysql://root@127.0.0.1:{}/sessions", self.port),
        }
    }

    /// By a shell that waits for the end of its input, which comes with ours, and then kills it.
    pub fn start(self) -> Server {
        const GUARD: &str = r#"signal=$1; shift; "$@" >>log 2>&1 & echo $!
            read -r last; kill -s "$signal" $!; wait; [ "$last" = keep ] || rm -rf "$PWD""#;
        let port = self.port.to_string();
        let mut guard = command(self.engine, Path::new("sh"), &self.dir);
        guard.args(["-c", GUARD, "guard"]);
        match self.engine {
            // It has processes of its own to take along; this is the end without a checkpoint.
            Engine::Postgres => {
                guard.arg("QUIT").arg(postgres("postgres").unwrap());
                guard.args(["-D", "data", "-h", "127.0.0.1", "-p", &port]);
                guard.args(["-c", "unix_socket_directories=", "-c", "fsync=off"])
            }
            Engine::MariaDb => guard.arg("KILL").arg(program("mariadbd").unwrap()).args([
                "--no-defaults".into(),
                me(),
                format!("--datadir={}", self.dir.join("data").display()),
                format!("--init-file={}", self.dir.join("first.sql").display()),
                format!("--port={port}"),
                "--bind-address=127.0.0.1".into(),
                "--skip-name-resolve".into(),
                "--socket=socket".into(),
                "--pid-file=pid".into(),
            ]),
        };
        guard.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut guard = guard.spawn().unwrap();
        let mut pid = String::new();
        BufReader::new(guard.stdout.take().unwrap()).read_line(&mut pid).unwrap();
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(start.elapsed() < PATIENCE, "the server does not answer");
            sleep(Duration::from_millis(20));
        }
        Server { stopped: self, pid: pid.trim().to_owned(), guard }
    }
}

/// Debian keeps the programs of each version in a folder of its own.
fn postgres(name: &str) -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = versions.map(|version| version.path().join("bin").join(name)).filter(|path| path.is_file());
    debian.max().or_else(|| program(name))
}

fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    folders.push("/usr/sbin".into());
    folders.into_iter().map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn id(arguments: &[&str]) -> Option<u32> {
    let id = Command::new("id").args(arguments).stderr(Stdio::null()).output().ok()?;
    String::from_utf8(id.stdout).ok()?.trim().parse().ok()
}

fn me() -> String {
    let name = Command::new("id").arg("-un").output().unwrap().stdout;
    format!("--user={}", String::from_utf8(name).unwrap().trim())
}

/// PostgreSQL refuses root.
fn other_user(engine: Engine) -> Option<(u32, u32)> {
    let root = engine == Engine::Postgres && id(&["-u"]) == Some(0);
    let ids = |user| Some((id(&["-u", user])?, id(&["-g", user])?));
    root.then(|| ids("postgres").or_else(|| ids("nobody")).unwrap())
}

fn command(engine: Engine, program: &Path, dir: &Path) -> Command {
    let mut command = Command::new(program);
    #[cfg(unix)]
    if let Some((uid, gid)) = other_user(engine) {
        use std::os::unix::process::CommandExt;
        command.uid(uid).gid(gid);
    }
    // MariaDB, when it starts, removes temporary tables of others.
    command.current_dir(dir).env("TMPDIR", dir);
    command
}

fn give_away(engine: Engine, dir: &Path) {
    #[cfg(unix)]
    if let Some((uid, gid)) = other_user(engine) {
        std::os::unix::fs::chown(dir, Some(uid), Some(gid)).unwrap();
    }
}

/// Below the ports that outgoing connections get.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let at = std::process::id() * 61 + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(at % 10_000).unwrap() + 20_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
