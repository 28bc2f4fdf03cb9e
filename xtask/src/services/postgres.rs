//! PostgreSQL: `initdb`, then `postgres`, neither of which runs as root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Service, ping};
use crate::workspace::{Workspace, program};
use crate::{Result, install, process};

pub(super) const POSTGRES: Service = Service {
    name: "postgres",
    variable: "POSTGRES_URL",
    member: "store-sqlx",
    port: 5432,
    url: |port| format!("postgres://postgres@127.0.0.1:{port}/postgres"),
    find,
    install: |workspace| install::debian(workspace, &["postgresql"]),
    command,
    greets: ping::postgres,
    // A fast stop; after TERM it would wait for its clients.
    stop: "INT",
    refuses_root: true,
};

/// Debian keeps each version in a folder of its own, outside of `PATH`. The newest.
fn find(_: &Workspace) -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<PathBuf> = versions.map(|version| version.path()).collect();
    versions.sort_by_key(|version| version.file_name()?.to_str()?.parse::<u32>().ok());
    let debian = versions.into_iter().rev().map(|version| version.join("bin/postgres"));
    program("postgres")
        .into_iter()
        .chain(debian)
        .find(|postgres| postgres.is_file() && initdb(postgres).is_file())
}

fn initdb(postgres: &Path) -> PathBuf {
    postgres.with_file_name("initdb")
}

fn command(postgres: &Path, folder: &Path, port: u16) -> Result<Command> {
    let user = user();
    if let Some((uid, gid)) = user {
        give(folder, uid, gid)?;
    }
    let data = folder.join("data");
    let mut init = as_user(&initdb(postgres), user, folder);
    init.args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale", "--no-sync", "-D"]);
    process::run(init.arg(&data), &folder.join("log"))?;
    let mut command = as_user(postgres, user, folder);
    command.args(["-p", &port.to_string(), "-h", "127.0.0.1", "-D"]).arg(data);
    // No socket file, whose path may be too long, and no waiting for the disk.
    command.args(["-c", "unix_socket_directories=", "-c", "fsync=off"]);
    Ok(command)
}

/// Who runs it in root's place: its own user, or nobody. None, if we are not root.
fn user() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| process::ask(Command::new("id").args(arguments))?.parse::<u32>().ok();
    if id(&["-u"])? != 0 {
        return None;
    }
    let ids = |user| Some((id(&["-u", user])?, id(&["-g", user])?));
    ids("postgres").or_else(|| ids("nobody"))
}

/// In its own folder: it may not be allowed into ours.
#[cfg_attr(not(unix), allow(unused_variables, reason = "there is no root"))]
fn as_user(program: &Path, user: Option<(u32, u32)>, folder: &Path) -> Command {
    let mut command = Command::new(program);
    #[cfg(unix)]
    if let Some((uid, gid)) = user {
        use std::os::unix::process::CommandExt;
        command.uid(uid).gid(gid);
    }
    command.current_dir(folder);
    command
}

#[cfg(unix)]
fn give(folder: &Path, uid: u32, gid: u32) -> Result<()> {
    std::os::unix::fs::chown(folder, Some(uid), Some(gid))
        .map_err(|error| format!("cannot give {} to another user: {error}", folder.display()))
}

#[cfg(not(unix))]
fn give(_: &Path, _: u32, _: u32) -> Result<()> {
    Ok(())
}
