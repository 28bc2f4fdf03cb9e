//! The store contract on a Redis server.

mod common;

session_testkit::store_contract!({
    let Some(url) = common::redis_url() else { return };
    async move || common::fixture(&url)
});
session_testkit::admin_contract!({
    let Some(url) = common::redis_url() else { return };
    async move || common::fixture(&url)
});
