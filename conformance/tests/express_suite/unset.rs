//! The `unset` option: what letting go of the session does to its record.

use std::sync::Arc;

use axum::Router;
use express_session::{Options, SaveError, Unset, axum::Session};

use crate::{
    client::get,
    fixture::{Fixture, Reply, app, options},
    stores::Faulty,
};

/// Lets go of the session with the second request.
fn two_visits(options: Options) -> Router {
    app(options, async |session: Session| -> Reply {
        let count = session.get::<u32>("count")?.unwrap_or(0) + 1;
        session.insert("count", count)?;
        if count == 2 {
            session.unset();
        }
        Ok(String::new())
    })
}

/// Lets go of the session at once.
fn none(options: Options) -> Router {
    app(options, async |session: Session| {
        session.unset();
        "session destroyed"
    })
}

#[tokio::test]
async fn unset_keeps_the_record_by_default() {
    let fixture = Fixture::new();
    let app = two_visits(fixture.options());
    let first = get("/").ok(&app).await;
    assert_eq!(fixture.sessions().await, 1);
    assert!(get("/").cookie_of(&first).ok(&app).await.sets_no_cookie());
    assert_eq!(fixture.sessions().await, 1);
    assert_eq!(fixture.record(&first.cookie().sid()).await.unwrap()["count"], 1);
}

#[tokio::test]
async fn unset_can_destroy_the_record() {
    let fixture = Fixture::new();
    let app = two_visits(fixture.options().unset(Unset::Destroy));
    let first = get("/").ok(&app).await;
    assert_eq!(fixture.sessions().await, 1);
    get("/").cookie_of(&first).ok(&app).await;
    assert_eq!(fixture.sessions().await, 0);
}

#[tokio::test]
async fn a_new_session_that_is_unset_leaves_neither_cookie_nor_record() {
    let fixture = Fixture::new();
    let app = none(fixture.options().unset(Unset::Destroy));
    assert!(get("/").ok(&app).await.sets_no_cookie());
    assert_eq!(fixture.sessions().await, 0);
}

/// Express has sent its answer by then, and has only its error handler left to tell.
#[tokio::test]
async fn a_store_that_cannot_destroy_is_an_opaque_500() {
    let store = Arc::new(Faulty::default());
    store.break_down(&["destroy"]);
    let options = options().unset(Unset::Destroy).store(store);
    assert!(get("/").send(&none(options.clone())).await.is_opaque_failure());
    let logging = none(options.save_error(SaveError::Log));
    assert_eq!(get("/").ok(&logging).await.body, "session destroyed");
}
