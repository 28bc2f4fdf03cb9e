//! The store contract on a Redis server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on stops")]

mod common;

use std::process::ExitCode;

use session_testkit::contract_list;
use test_support::Tests;

fn main() -> ExitCode {
    let open = |url: String| async move { common::fixture(&url) };
    let by_a_clock = |url: String| async move { common::by_a_clock(&url) };
    let hours_later = contract_list! {
        verbs: a_version_is_as_good_after_hours;
        lifetimes: what_is_removed_by_the_way_has_expired
    };
    Tests::default()
        .contracts("", common::redis_url, open)
        .contracts("sealed", common::redis_url, |url: String| async move { common::sealed(&url) })
        .contracts("serialized", common::redis_url, |url: String| async move { common::serialized(&url) })
        .contract("by_a_clock", common::redis_url, by_a_clock, hours_later)
        .run()
}
