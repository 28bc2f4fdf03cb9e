//! What the tests with probes share.

#![allow(dead_code, clippy::panic, clippy::print_stdout, reason = "each test file uses some of it")]

use std::env;

use conformance::differential::Program;
use serde_json::{Value, json};

pub(crate) const AXUM: &str = env!("CARGO_BIN_EXE_probe-axum");
pub(crate) const ACTIX: &str = env!("CARGO_BIN_EXE_probe-actix");
pub(crate) const ROCKET: &str = env!("CARGO_BIN_EXE_probe-rocket");

/// The oracle, or none where it cannot run and need not: only CI insists on it.
pub(crate) fn oracle() -> Option<Program> {
    match Program::oracle() {
        Ok(oracle) => Some(oracle),
        Err(missing) if env::var_os("CI").is_some() => panic!("{missing}"),
        Err(missing) => {
            println!("skipped: {missing}");
            None
        }
    }
}

/// A number from the environment.
pub(crate) fn setting<T: std::str::FromStr>(variable: &str, default: T) -> T {
    match env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text:?}")),
        Err(_) => default,
    }
}

/// A database, and how tests keep their sessions apart on it.
pub(crate) struct Database {
    url: &'static str,
    store: fn(&str) -> Value,
    /// They cannot be kept apart by a name: the store is emptied, and nothing runs beside.
    pub(crate) cleared: bool,
}

pub(crate) const REDIS: Database = Database {
    url: "REDIS_URL",
    store: |url| json!({ "kind": "redis", "url": url, "options": { "prefix": "{case}:" } }),
    cleared: false,
};

impl Database {
    /// The `store` of the probe protocol, with `{case}` for a name; none where there is no server and need not be.
    pub(crate) fn store(&self) -> Option<Value> {
        session_testkit::service_url(self.url).map(|url| (self.store)(&url))
    }
}
