//! The `unset` option: what letting go of the session does to its record.

use std::sync::Arc;

use express_session::{Options, SaveError, Unset};

use crate::{
    adapters::{Adapter, App, Reply, Visit, app, on_each_adapter},
    client::get,
    fixture::{Fixture, options},
    stores::Faulty,
};

/// Lets go of the session with the second request.
fn two_visits(adapter: Adapter, options: Options) -> App {
    app(adapter, options, async |visit: Visit| -> Reply {
        let count = visit.get::<u32>("count")?.unwrap_or(0) + 1;
        visit.insert("count", count)?;
        if count == 2 {
            visit.unset();
        }
        Ok(String::new())
    })
}

/// Lets go of the session at once.
fn none(adapter: Adapter, options: Options) -> App {
    app(adapter, options, async |visit: Visit| {
        visit.unset();
        Ok("session destroyed")
    })
}

async fn unset_keeps_the_record_by_default(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = two_visits(adapter, fixture.options());
    let first = get("/").ok(&app).await;
    assert_eq!(fixture.sessions().await, 1);
    assert!(get("/").cookie_of(&first).ok(&app).await.sets_no_cookie());
    assert_eq!(fixture.sessions().await, 1);
    assert_eq!(fixture.record(&first.cookie().sid()).await.unwrap()["count"], 1);
}

async fn unset_can_destroy_the_record(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = two_visits(adapter, fixture.options().unset(Unset::Destroy));
    let first = get("/").ok(&app).await;
    assert_eq!(fixture.sessions().await, 1);
    get("/").cookie_of(&first).ok(&app).await;
    assert_eq!(fixture.sessions().await, 0);
}

async fn a_new_session_that_is_unset_leaves_neither_cookie_nor_record(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = none(adapter, fixture.options().unset(Unset::Destroy));
    assert!(get("/").ok(&app).await.sets_no_cookie());
    assert_eq!(fixture.sessions().await, 0);
}

/// Express has sent its answer by then, and has only its error handler left to tell.
async fn a_store_that_cannot_destroy_is_an_opaque_503(adapter: Adapter) {
    let store = Arc::new(Faulty::default());
    store.break_down(&["destroy"]);
    let options = options().unset(Unset::Destroy).store(store);
    assert!(get("/").send(&none(adapter, options.clone())).await.is_opaque(503));
    let logging = none(adapter, options.save_error(SaveError::Log));
    assert_eq!(get("/").ok(&logging).await.body, "session destroyed");
}

on_each_adapter!(
    unset_keeps_the_record_by_default,
    unset_can_destroy_the_record,
    a_new_session_that_is_unset_leaves_neither_cookie_nor_record,
    a_store_that_cannot_destroy_is_an_opaque_503,
);
