//! A store that never waits, and one that cannot touch.

use std::sync::Arc;

use express_session::Unset;

use crate::{
    adapters::{Adapter, Reply, Visit, app, on_each_adapter},
    client::get,
    fixture::{Fixture, bob, hits, options},
    recorder::Recorder,
    stores::TextStore,
};

async fn a_store_that_never_waits_saves(adapter: Adapter) {
    let app = app(adapter, options().store(TextStore::default()), hits);
    let first = get("/").ok(&app).await;
    assert_eq!(first.body, "hits: 1");
    assert_eq!(get("/").cookie_of(&first).ok(&app).await.body, "hits: 2");
}

async fn a_store_that_never_waits_destroys(adapter: Adapter) {
    let store = Arc::new(TextStore::default());
    let options = options().store(Arc::clone(&store)).unset(Unset::Destroy);
    let app = app(adapter, options, async |visit: Visit| -> Reply {
        let count = visit.get::<u32>("count")?.unwrap_or(0) + 1;
        visit.insert("count", count)?;
        if count > 1 {
            visit.unset();
            return Ok(format!("destroyed\nhits: {count}"));
        }
        Ok(format!("hits: {count}"))
    });
    let first = get("/").ok(&app).await;
    assert_eq!(first.body, "hits: 1");
    assert_eq!(get("/").cookie_of(&first).ok(&app).await.body, "destroyed\nhits: 2");
    assert_eq!(store.text(&first.cookie().sid()), None);
}

async fn a_store_that_cannot_touch_needs_resave(adapter: Adapter) {
    let fixture = Fixture::new();
    for (resave, calls) in [(false, vec!["get"]), (true, vec!["get", "set"])] {
        let store = Arc::new(Recorder::new(Arc::clone(&fixture.memory)).without_touch());
        let app = app(adapter, fixture.options().resave(resave).store(Arc::clone(&store)), bob);
        let first = get("/").ok(&app).await;
        store.take_calls();
        get("/").cookie_of(&first).ok(&app).await;
        assert_eq!(store.take_calls(), calls);
    }
}

on_each_adapter!(
    a_store_that_never_waits_saves,
    a_store_that_never_waits_destroys,
    a_store_that_cannot_touch_needs_resave,
);
