//! The `saveUninitialized` option.

use std::sync::Arc;

use express_session::SaveError;

use crate::{
    adapters::{Adapter, app, on_each_adapter},
    client::get,
    fixture::{Fixture, hits, nothing, options},
    stores::Faulty,
};

async fn save_uninitialized_is_on_by_default(adapter: Adapter) {
    let fixture = Fixture::new();
    assert_eq!(get("/").ok(&app(adapter, fixture.options(), nothing)).await.cookies().len(), 1);
    assert_eq!(fixture.store.take_calls(), ["set"]);
}

async fn save_uninitialized_saves_a_session_without_data(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = app(adapter, fixture.options().save_uninitialized(true), nothing);
    let answer = get("/").ok(&app).await;
    assert_eq!(fixture.store.take_calls(), ["set"]);
    assert!(fixture.record(&answer.cookie().sid()).await.is_some());
}

async fn without_save_uninitialized_a_session_without_data_is_not_saved(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = app(adapter, fixture.options().save_uninitialized(false), nothing);
    assert!(get("/").ok(&app).await.sets_no_cookie());
    assert_eq!(fixture.store.take_calls(), [""; 0]);
}

async fn without_save_uninitialized_a_session_with_data_is_saved(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = app(adapter, fixture.options().save_uninitialized(false), hits);
    assert_eq!(get("/").ok(&app).await.cookies().len(), 1);
    assert_eq!(fixture.store.take_calls(), ["set"]);
}

/// Express has sent its answer by then, cookie and all, and has only its error handler left to tell.
async fn a_store_that_cannot_write_is_an_opaque_503(adapter: Adapter) {
    let store = Arc::new(Faulty::default());
    store.break_down(&["set"]);
    let options = options().store(Arc::clone(&store));
    assert!(get("/").send(&app(adapter, options.clone(), hits)).await.is_opaque(503));
    let logging = get("/").ok(&app(adapter, options.save_error(SaveError::Log), hits)).await;
    assert_eq!(logging.body, "hits: 1");
    assert!(logging.sets_no_cookie());
}

async fn a_session_that_is_not_saved_is_not_touched(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = app(adapter, fixture.options().save_uninitialized(false), nothing);
    get("/").ok(&app).await;
    assert_eq!(fixture.store.take_calls(), [""; 0]);
}

on_each_adapter!(
    save_uninitialized_is_on_by_default,
    save_uninitialized_saves_a_session_without_data,
    without_save_uninitialized_a_session_without_data_is_not_saved,
    without_save_uninitialized_a_session_with_data_is_saved,
    a_store_that_cannot_write_is_an_opaque_503,
    a_session_that_is_not_saved_is_not_touched,
);
