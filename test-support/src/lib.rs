//! What tests that need a server or a program share, some of it with `cargo xtask`.
//!
//! A test file with such tests has a `main` of its own ([`tests!`]): what is missing is then reported as *ignored*, with the
//! reason, where `#[test]` could only pass or fail.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on stops")]

mod express;
mod guarded;
#[cfg(feature = "harness")]
mod load;
#[cfg(feature = "harness")]
mod needs;
#[cfg(feature = "harness")]
mod network;
mod port;
mod programs;
#[cfg(feature = "harness")]
mod records;
#[cfg(feature = "harness")]
mod runner;
#[cfg(feature = "sockets")]
pub mod sockets;
mod user;
#[cfg(feature = "sockets")]
pub mod websocket;

pub use self::{
    express::{Express, engine, major, sqlite_drivers},
    guarded::Guarded,
    port::free_port,
    programs::{pgbouncer, postgres, program, programs},
    user::User,
};
#[cfg(feature = "harness")]
pub use self::{
    load::{Load, Outcome, Repeats, recovered, until_served, within},
    needs::{Need, express, express_on_sqlite, installed, installed_postgres, service},
    network::Network,
    records::{put, put_patiently, record},
    runner::Tests,
};
