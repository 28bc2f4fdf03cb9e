//! `cargo xtask versions`: the tests of a store on servers of other versions and makers than the one that is installed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use crate::install::{self, Release};
use crate::services::OF_ITS_OWN;
use crate::workspace::Workspace;
use crate::{Result, process, say};

/// A server that is not the one of this system. Debian has each of them, in one release or another.
struct Version {
    name: &'static str,
    /// In what its program says of itself: Debian's releases move on.
    says: &'static str,
    release: Release,
    /// What the tests and `cargo xtask test` call its programs, and where they are.
    programs: &'static [(&'static str, &'static str)],
    /// Which tests: arguments of `cargo test`.
    tests: &'static [&'static str],
    /// The URL of another one, which is not to be taken.
    variable: &'static str,
}

const BULLSEYE: &str = "bullseye";
const TRIXIE: &str = "trixie";
const SID: &str = "sid";

const fn redis(
    name: &'static str,
    says: &'static str,
    suite: &'static str,
    package: &'static str,
    programs: &'static [(&'static str, &'static str)],
) -> Version {
    let release = Release { suite, package };
    Version { name, says, release, programs, tests: &["-p", "store-redis"], variable: "REDIS_URL" }
}

const REDIS: [(&str, &str); 2] =
    [("redis-server", "usr/bin/redis-server"), ("redis-cli", "usr/bin/redis-cli")];
const VALKEY: [(&str, &str); 2] =
    [("redis-server", "usr/bin/valkey-server"), ("redis-cli", "usr/bin/valkey-cli")];
const REDICT: [(&str, &str); 2] =
    [("redis-server", "usr/bin/redict-server"), ("redis-cli", "usr/bin/redict-cli")];

const ALL: [Version; 6] = [
    redis("redis-6.0", "v=6.0.", BULLSEYE, "redis-server", &REDIS),
    redis("redis-8.0", "v=8.0.", TRIXIE, "redis-server", &REDIS),
    redis("valkey-8.1", "v=8.1.", TRIXIE, "valkey-server", &VALKEY),
    redis("valkey-9", "v=9.", SID, "valkey-server", &VALKEY),
    redis("redict-7.3", "v=7.3.", SID, "redict-server", &REDICT),
    Version {
        name: "mysql-9",
        says: "Ver 9.",
        release: Release { suite: SID, package: "mysql-server-core" },
        programs: &[("mysqld", "usr/sbin/mysqld")],
        tests: &[
            "-p",
            "store-sqlx",
            "--features",
            "mysql",
            "--test",
            "mysql",
            "--test",
            "network",
            "--test",
            "outage",
        ],
        variable: "MYSQL_URL",
    },
];

/// All of them, or those that are named; each runs, whatever became of the ones before it.
pub(crate) fn versions(workspace: &Workspace, names: &[&str]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| !ALL.iter().any(|version| version.name == **name)) {
        let all: Vec<&str> = ALL.iter().map(|version| version.name).collect();
        return Err(format!("no version {unknown}, only {}", all.join(", ")));
    }
    let mut failed = Vec::new();
    for version in ALL.iter().filter(|version| names.is_empty() || names.contains(&version.name)) {
        let tested = test(workspace, version);
        process::not_interrupted()?;
        if let Err(error) = tested {
            say(&format!("{}: {error}", version.name));
            failed.push(version.name);
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("versions failed: {}", failed.join(", "))) }
}

fn test(workspace: &Workspace, version: &Version) -> Result<()> {
    // Nobody finds it there who did not ask for it.
    let kept = format!("versions/{}", version.name);
    let folder = install::release(workspace, &kept, &version.release, version.programs)?;
    let (program, _) = version.programs[0];
    let says = process::ask(Command::new(folder.join(program)).arg("--version"))
        .ok_or_else(|| format!("{} does not start here", folder.join(program).display()))?;
    if !says.contains(version.says) {
        // By the next time, Debian may have another one.
        fs::remove_dir_all(folder.parent().unwrap_or(&folder)).ok();
        let expected = version.says;
        return Err(format!(
            "Debian's {} has none that says {expected:?}, but {says:?}",
            version.release.suite
        ));
    }
    say(&format!("{}: {}", version.name, says.lines().next().unwrap_or_default()));
    let this = env::current_exe().map_err(|error| format!("where is xtask: {error}"))?;
    let mut tests = Command::new(this);
    tests.args(["test", "--"]).args(version.tests).env("PATH", before_all(folder)?);
    tests.env_remove(version.variable).env(OF_ITS_OWN, "1");
    let status = process::wait(&mut process::foreground(&mut tests)?)?;
    if status.success() { Ok(()) } else { Err(format!("{status}, see above")) }
}

/// The `PATH` with this folder in front.
fn before_all(folder: PathBuf) -> Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::join_paths([folder].into_iter().chain(env::split_paths(&path)))
        .map_err(|error| format!("no PATH: {error}"))
}
