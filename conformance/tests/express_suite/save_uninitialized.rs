//! The `saveUninitialized` option.

use std::sync::Arc;

use express_session::SaveError;

use crate::{
    client::get,
    fixture::{Fixture, app, hits, nothing, options},
    stores::Faulty,
};

#[tokio::test]
async fn save_uninitialized_is_on_by_default() {
    let fixture = Fixture::new();
    assert_eq!(get("/").ok(&app(fixture.options(), nothing)).await.cookies().len(), 1);
    assert_eq!(fixture.store.take_calls(), ["set"]);
}

#[tokio::test]
async fn save_uninitialized_saves_a_session_without_data() {
    let fixture = Fixture::new();
    let app = app(fixture.options().save_uninitialized(true), nothing);
    let answer = get("/").ok(&app).await;
    assert_eq!(fixture.store.take_calls(), ["set"]);
    assert!(fixture.record(&answer.cookie().sid()).await.is_some());
}

#[tokio::test]
async fn without_save_uninitialized_a_session_without_data_is_not_saved() {
    let fixture = Fixture::new();
    let app = app(fixture.options().save_uninitialized(false), nothing);
    assert!(get("/").ok(&app).await.sets_no_cookie());
    assert_eq!(fixture.store.take_calls(), [""; 0]);
}

#[tokio::test]
async fn without_save_uninitialized_a_session_with_data_is_saved() {
    let fixture = Fixture::new();
    let app = app(fixture.options().save_uninitialized(false), hits);
    assert_eq!(get("/").ok(&app).await.cookies().len(), 1);
    assert_eq!(fixture.store.take_calls(), ["set"]);
}

/// Express has sent its answer by then, cookie and all, and has only its error handler left to tell.
#[tokio::test]
async fn a_store_that_cannot_write_is_an_opaque_500() {
    let store = Arc::new(Faulty::default());
    store.break_down(&["set"]);
    let options = options().store(Arc::clone(&store));
    assert!(get("/").send(&app(options.clone(), hits)).await.is_opaque_failure());
    let logging = get("/").ok(&app(options.save_error(SaveError::Log), hits)).await;
    assert_eq!(logging.body, "hits: 1");
    assert!(logging.sets_no_cookie());
}

#[tokio::test]
async fn a_session_that_is_not_saved_is_not_touched() {
    let fixture = Fixture::new();
    let app = app(fixture.options().save_uninitialized(false).resave(false), nothing);
    get("/").ok(&app).await;
    assert_eq!(fixture.store.take_calls(), [""; 0]);
}
