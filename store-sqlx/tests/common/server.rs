//! Database servers that a test starts itself, on free ports of the loopback interface.

use std::{
    env, fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use test_support::{Guarded, Need, User, free_port, installed, installed_postgres};

use super::new_name;

/// Long enough for a slow machine; what takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Postgres,
    MariaDb,
    MySql,
}

/// A server. It ends with this value, and however the test's process ends.
pub struct Server {
    stopped: Stopped,
    process: Guarded,
}

pub fn postgres_server() -> Need<Server> {
    Server::start(Engine::Postgres)
}

pub fn mysql_server() -> Need<Server> {
    // As `cargo xtask` has chosen.
    let mysql_first = env::var_os("SERVICES_OF_ITS_OWN").is_some() || Engine::MariaDb.programs().is_err();
    let is_mysql = mysql_first && Engine::MySql.programs().is_ok();
    Server::start(if is_mysql { Engine::MySql } else { Engine::MariaDb })
}

pub fn pgbouncer() -> Need<PathBuf> {
    test_support::pgbouncer().ok_or_else(|| {
        "PgBouncer 1.21 or newer is not installed: where there is apt-get, `cargo xtask test` does it".into()
    })
}

/// One before any server on this machine. It ends with this value, and however the test's process ends.
pub struct Bouncer {
    port: u16,
    _process: Guarded,
}

impl Bouncer {
    pub fn start(mode: &str) -> Self {
        // In sessions, each client has a connection of the server's for as long as its own lasts.
        let connections = if mode == "session" { 60 } else { 12 };
        let dir = env::temp_dir().join(format!("store-sqlx-{}", new_name()));
        fs::create_dir_all(&dir).unwrap();
        let port = free_port();
        // It does not stay root.
        let user = if User::unprivileged().is_some() { "user = nobody" } else { "" };
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={{server}} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\n{user}\n\
             max_prepared_statements = 200\nmax_client_conn = 1000\ndefault_pool_size = {connections}\n"
        );
        let server = env::var("POSTGRES_URL").unwrap();
        let server = server.rsplit_once(':').unwrap().1.split('/').next().unwrap();
        fs::write(dir.join("pgbouncer.ini"), settings.replace("{server}", server)).unwrap();
        let mut command = Command::new(pgbouncer().unwrap());
        command.current_dir(&dir).args(["-q", "pgbouncer.ini"]);
        let process = Guarded::start(&command, "KILL", None).unwrap();
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = || fs::read_to_string(dir.join("log")).unwrap_or_default();
            assert!(start.elapsed() < PATIENCE, "PgBouncer does not answer: {}", log());
            sleep(Duration::from_millis(20));
        }
        Self { port, _process: process }
    }

    /// The URL of this server behind it.
    pub fn url(&self, server: &str) -> String {
        let port = server.rsplit_once(':').unwrap().1.split('/').next().unwrap();
        server.replacen(&format!(":{port}"), &format!(":{}", self.port), 1)
    }
}

/// Its disk and its port.
pub struct Stopped {
    engine: Engine,
    program: PathBuf,
    dir: PathBuf,
    port: u16,
}

impl Server {
    /// An error without the program.
    fn start(engine: Engine) -> Need<Self> {
        let (program, installer) = engine.programs()?;
        let dir = env::temp_dir().join(format!("store-sqlx-{}", new_name()));
        fs::create_dir_all(&dir).unwrap();
        let mut install = Command::new(&installer);
        install.current_dir(&dir).env("TMPDIR", &dir);
        if let Some(user) = user(engine) {
            user.takes(&dir).unwrap();
            user.runs(&mut install);
        }
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
            Engine::MySql => {
                let data = format!("--datadir={}", dir.join("data").display());
                install.args(["--no-defaults", "--initialize-insecure", "--secure-file-priv=NULL"]);
                install.arg(me()).arg(data)
            }
        };
        let installed = install.stdin(Stdio::null()).output().unwrap();
        assert!(installed.status.success(), "{}: {installed:?}", installer.display());
        // MySQL's own root comes from `localhost` only, which nobody is where no names are resolved.
        let root = "CREATE USER IF NOT EXISTS root@'127.0.0.1';\nGRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n";
        let root = if engine == Engine::MySql { root } else { "" };
        fs::write(dir.join("first.sql"), format!("{root}CREATE DATABASE IF NOT EXISTS sessions;\n")).unwrap();
        Ok(Stopped { engine, program, dir, port: free_port() }.start())
    }

    pub fn url(&self) -> String {
        self.stopped.url()
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        &self.stopped.dir
    }

    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Ends it without warning, in the middle of what it does.
    pub fn kill(self) -> Stopped {
        self.process.kill();
        self.stopped
    }
}

impl Stopped {
    pub fn url(&self) -> String {
        match self.engine {
            Engine::Postgres => format!("postgres://postgres@127.0.0.1:{}/postgres", self.port),
            Engine::MariaDb | Engine::MySql => format!("mysql://root@127.0.0.1:{}/sessions", self.port),
        }
    }

    pub fn start(self) -> Server {
        let port = self.port.to_string();
        let mut command = Command::new(&self.program);
        // MariaDB, when it starts, removes temporary tables of others.
        command.current_dir(&self.dir).env("TMPDIR", &self.dir);
        match self.engine {
            Engine::Postgres => {
                command.args(["-D", "data", "-h", "127.0.0.1", "-p", &port]);
                command.args(["-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "timezone=UTC"])
            }
            Engine::MariaDb | Engine::MySql => command.args([
                "--no-defaults".into(),
                me(),
                "--secure-file-priv=".into(),
                format!("--datadir={}", self.dir.join("data").display()),
                format!("--init-file={}", self.dir.join("first.sql").display()),
                format!("--port={port}"),
                "--bind-address=127.0.0.1".into(),
                "--skip-name-resolve".into(),
                "--socket=socket".into(),
                "--pid-file=pid".into(),
            ]),
        };
        let signal = match self.engine {
            // It has processes of its own to take along; this is the end without a checkpoint.
            Engine::Postgres => "QUIT",
            Engine::MariaDb | Engine::MySql => "KILL",
        };
        let process = Guarded::start(&command, signal, user(self.engine)).unwrap();
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(start.elapsed() < PATIENCE, "the server does not answer");
            sleep(Duration::from_millis(20));
        }
        Server { stopped: self, process }
    }
}

impl Engine {
    /// The server, and what makes the files for it.
    fn programs(self) -> Need<(PathBuf, PathBuf)> {
        match self {
            Self::Postgres => installed_postgres(),
            Self::MariaDb => Ok((installed("mariadbd")?, installed("mariadb-install-db")?)),
            Self::MySql => {
                let mysqld = installed("mysqld")?;
                let version = Command::new(&mysqld).arg("--version").output().unwrap().stdout;
                if String::from_utf8_lossy(&version).contains("MariaDB") {
                    return Err("this mysqld is MariaDB's".into());
                }
                Ok((mysqld.clone(), mysqld))
            }
        }
    }
}

fn me() -> String {
    let name = Command::new("id").arg("-un").output().unwrap().stdout;
    format!("--user={}", String::from_utf8(name).unwrap().trim())
}

/// PostgreSQL refuses root.
fn user(engine: Engine) -> Option<User> {
    if engine == Engine::Postgres { User::unprivileged() } else { None }
}
