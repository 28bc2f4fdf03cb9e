//! The store contract on a Redis server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on stops")]

mod common;

use std::process::ExitCode;

use test_support::Tests;

fn main() -> ExitCode {
    let open = |url: String| async move { common::fixture(&url) };
    Tests::default().contracts("", common::redis_url, open).run()
}
