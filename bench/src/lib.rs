//! What sessions cost, beside no sessions and beside a peer, measured in one run each:
//!
//! | what | command |
//! |---|---|
//! | time | `cargo bench -p bench --bench time` |
//! | instructions (with valgrind and gungraun-runner) | `cargo bench -p bench --bench instructions` |
//! | allocations a request | `cargo run --release -p bench --bin allocations` |
//! | bytes a session | `cargo run --release -p bench --bin memory` |
//! | round trips to the store | `cargo run --release -p bench --bin round_trips` |
//! | millions of sessions in a database | `cargo run --release -p bench --bin many_sessions -- URL COUNT` |
//!
//! All of it but the last runs in process and on one thread: no socket, no runtime.

#![allow(clippy::expect_used, reason = "what cannot be set up cannot be measured")]

mod apps;
mod counting;
mod exchange;
mod table;

pub mod samples;

pub use crate::{
    apps::{App, Asks, Server},
    counting::{Counting, Trips},
    exchange::Visitor,
    table::table,
};

use futures_util::FutureExt;

/// The output of a future that has nothing to wait for.
///
/// # Panics
/// It did wait.
pub fn now<F: Future>(future: F) -> F::Output {
    future.now_or_never().expect("a store in memory keeps nobody waiting")
}
