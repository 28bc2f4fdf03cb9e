//! The `rolling` option.

use crate::{
    client::get,
    fixture::{Fixture, app, bob, nothing},
};

#[tokio::test]
async fn rolling_is_off_by_default() {
    let fixture = Fixture::new();
    let app = app(fixture.options(), bob);
    let first = get("/").ok(&app).await;
    assert_eq!(first.cookies().len(), 1);
    assert!(get("/").cookie_of(&first).ok(&app).await.sets_no_cookie());
}

#[tokio::test]
async fn rolling_sends_the_cookie_of_an_unmodified_session() {
    let fixture = Fixture::new();
    let app = app(fixture.options().rolling(true), bob);
    let first = get("/").ok(&app).await;
    fixture.time.pass(1000);
    let second = get("/").cookie_of(&first).ok(&app).await;
    assert_eq!(second.cookie().pair(), first.cookie().pair());
    assert_eq!(second.cookie().attribute("Expires"), Some("Fri, 02 Jan 2026 03:05:06 GMT"));
}

#[tokio::test]
async fn rolling_sends_no_cookie_for_a_session_that_is_not_saved() {
    let fixture = Fixture::new();
    let app = app(fixture.options().rolling(true).save_uninitialized(false), nothing);
    assert!(get("/").ok(&app).await.sets_no_cookie());
    assert_eq!(fixture.store.take_calls(), [""; 0]);
}

#[tokio::test]
async fn rolling_sends_the_cookie_of_an_uninitialized_session_that_is_saved() {
    let fixture = Fixture::new();
    let app = app(fixture.options().rolling(true).save_uninitialized(true), nothing);
    assert_eq!(get("/").ok(&app).await.cookies().len(), 1);
    assert_eq!(fixture.store.take_calls(), ["set"]);
}

#[tokio::test]
async fn rolling_sends_the_cookie_of_a_modified_session_without_save_uninitialized() {
    let fixture = Fixture::new();
    let app = app(fixture.options().rolling(true).save_uninitialized(false), bob);
    assert_eq!(get("/").ok(&app).await.cookies().len(), 1);
    assert_eq!(fixture.store.take_calls(), ["set"]);
}
