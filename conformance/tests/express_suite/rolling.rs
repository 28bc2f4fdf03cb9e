//! The `rolling` option.

use crate::{
    adapters::{Adapter, app, on_each_adapter},
    client::get,
    fixture::{Fixture, bob, nothing},
};

async fn rolling_is_off_by_default(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = app(adapter, fixture.options(), bob);
    let first = get("/").ok(&app).await;
    assert_eq!(first.cookies().len(), 1);
    assert!(get("/").cookie_of(&first).ok(&app).await.sets_no_cookie());
}

async fn rolling_sends_the_cookie_of_an_unmodified_session(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = app(adapter, fixture.options().rolling(true), bob);
    let first = get("/").ok(&app).await;
    fixture.time.pass(1000);
    let second = get("/").cookie_of(&first).ok(&app).await;
    assert_eq!(second.cookie().pair(), first.cookie().pair());
    assert_eq!(second.cookie().attribute("Expires"), Some("Fri, 02 Jan 2026 03:05:06 GMT"));
}

async fn rolling_sends_no_cookie_for_a_session_that_is_not_saved(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = app(adapter, fixture.options().rolling(true).save_uninitialized(false), nothing);
    assert!(get("/").ok(&app).await.sets_no_cookie());
    assert_eq!(fixture.store.take_calls(), [""; 0]);
}

async fn rolling_sends_the_cookie_of_an_uninitialized_session_that_is_saved(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = app(adapter, fixture.options().rolling(true).save_uninitialized(true), nothing);
    assert_eq!(get("/").ok(&app).await.cookies().len(), 1);
    assert_eq!(fixture.store.take_calls(), ["set"]);
}

async fn rolling_sends_the_cookie_of_a_modified_session_without_save_uninitialized(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = app(adapter, fixture.options().rolling(true).save_uninitialized(false), bob);
    assert_eq!(get("/").ok(&app).await.cookies().len(), 1);
    assert_eq!(fixture.store.take_calls(), ["set"]);
}

on_each_adapter!(
    rolling_is_off_by_default,
    rolling_sends_the_cookie_of_an_unmodified_session,
    rolling_sends_no_cookie_for_a_session_that_is_not_saved,
    rolling_sends_the_cookie_of_an_uninitialized_session_that_is_saved,
    rolling_sends_the_cookie_of_a_modified_session_without_save_uninitialized,
);
