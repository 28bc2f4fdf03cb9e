//! The store contract on a Redis server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests"
)]

mod common;

session_testkit::store_contract!({
    let Some(url) = common::redis_url() else { return };
    async move || common::fixture(&url)
});
session_testkit::admin_contract!({
    let Some(url) = common::redis_url() else { return };
    async move || common::fixture(&url)
});
