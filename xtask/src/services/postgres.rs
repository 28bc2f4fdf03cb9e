//! PostgreSQL: `initdb`, then `postgres`, neither of which runs as root.

use std::path::{Path, PathBuf};
use std::process::Command;

use test_support::User;

use super::{Service, ping};
use crate::install::{self, Release};
use crate::workspace::Workspace;
use crate::{Result, process};

pub(super) const POSTGRES: Service = Service {
    name: "postgres",
    variable: "POSTGRES_URL",
    member: "store-sqlx",
    port: 5432,
    url: |port| format!("postgres://postgres@127.0.0.1:{port}/postgres"),
    find,
    install: |workspace| install::debian(workspace, &["postgresql"]),
    add,
    command,
    greets: ping::postgres,
    // A fast stop; after TERM it would wait for its clients.
    stop: "INT",
    // It has processes of its own to take along.
    kill: "QUIT",
    refuses_root: true,
};

/// The tests run behind PgBouncer as well, in the version of another release where this one's knows of no prepared statements.
/// Without it, its own tests fail, and no others.
const PGBOUNCER: Release = Release { suite: "trixie", package: "pgbouncer" };

fn find() -> Option<PathBuf> {
    test_support::postgres().map(|(postgres, _)| postgres)
}

fn add(workspace: &Workspace) -> Result<()> {
    if test_support::pgbouncer().is_some() {
        return Ok(());
    }
    install::release(workspace, "pgbouncer-1.24", &PGBOUNCER, &[("pgbouncer", "usr/sbin/pgbouncer")])
        .map(drop)
}

fn command(postgres: &Path, folder: &Path, port: u16, user: Option<User>) -> Result<Command> {
    let data = folder.join("data");
    let mut init = Command::new(postgres.with_file_name("initdb"));
    // In its own folder: it may not be allowed into ours.
    init.current_dir(folder);
    if let Some(user) = user {
        user.runs(&mut init);
    }
    init.args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale", "--no-sync", "-D"]);
    // Not in the server's log, which is another user's.
    process::run(init.arg(&data), &folder.join("initdb.log"))?;
    let mut command = Command::new(postgres);
    command.args(["-p", &port.to_string(), "-h", "127.0.0.1", "-D"]).arg(data);
    // No socket file, whose path may be too long, and no waiting for the disk.
    command.args(["-c", "unix_socket_directories=", "-c", "fsync=off"]);
    // Node writes local times of the server's zone, which is else the machine's.
    command.args(["-c", "timezone=UTC"]);
    Ok(command)
}
