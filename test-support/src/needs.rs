//! What tests need of the machine.

use std::env;
use std::path::PathBuf;

use crate::{Express, postgres, program};

/// What a test needs, or a sentence that says what is missing.
pub type Need<T> = Result<T, String>;

/// The URL of a server, from this environment variable.
///
/// # Errors
/// Without it: why `cargo xtask test` could not start one, or how to.
pub fn service(variable: &str) -> Need<String> {
    let url = env::var(variable).ok().filter(|url| !url.is_empty());
    url.ok_or_else(|| {
        why(variable, || format!("{variable} is not set: `cargo xtask services up` starts a server"))
    })
}

/// The program of a server, or of a tool that a test uses.
///
/// # Errors
/// Without it.
pub fn installed(name: &str) -> Need<PathBuf> {
    program(name).ok_or_else(|| not_installed(name))
}

/// PostgreSQL's `postgres` and `initdb`.
///
/// # Errors
/// Without them.
pub fn installed_postgres() -> Need<(PathBuf, PathBuf)> {
    postgres().ok_or_else(|| not_installed("postgres, with initdb beside it,"))
}

fn not_installed(what: &str) -> String {
    format!("{what} is not installed: `cargo xtask test` does it")
}

/// The Express oracle.
///
/// # Errors
/// Without Node or a package: why `cargo xtask test` could not install it, or what is missing.
pub fn express() -> Need<Express> {
    Express::find().map_err(|missing| why("NODE", || format!("{missing}: `cargo xtask test` does it")))
}

/// The same with the packages that have SQLite, whose drivers npm compiles.
///
/// # Errors
/// As of [`express`].
pub fn express_on_sqlite() -> Need<Express> {
    let express = express()?;
    let compiled = express.sqlite_drivers().find(|driver| !driver.is_file());
    match compiled {
        Some(driver) => {
            Err(why("NODE_SQLITE", || format!("no {}: `cargo xtask test` makes it", driver.display())))
        }
        None => Ok(express),
    }
}

/// What `cargo xtask test` says in its place.
fn why(what: &str, otherwise: impl FnOnce() -> String) -> String {
    env::var(format!("{what}_MISSING")).unwrap_or_else(|_| otherwise())
}
