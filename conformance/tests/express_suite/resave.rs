//! The `resave` option.

use std::sync::Arc;

use express_session::SaveError;
use serde_json::{Value, json};

use crate::{
    adapters::{Adapter, Reply, Visit, app, on_each_adapter},
    client::{ask, get},
    fixture::{Fixture, bob, options},
    stores::Faulty,
};

async fn resave_is_on_by_default(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = app(adapter, fixture.options(), bob);
    let first = get("/").ok(&app).await;
    assert_eq!(fixture.sets(), 1);
    get("/").cookie_of(&first).ok(&app).await;
    assert_eq!(fixture.sets(), 1);
}

async fn resave_writes_an_unmodified_session(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = app(adapter, fixture.options().resave(true), bob);
    let first = get("/").ok(&app).await;
    assert_eq!(fixture.store.take_calls(), ["set"]);
    get("/").cookie_of(&first).ok(&app).await;
    assert_eq!(fixture.store.take_calls(), ["get", "set"]);
}

async fn without_resave_an_unmodified_session_is_only_touched(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = app(adapter, fixture.options().resave(false), bob);
    let first = get("/").ok(&app).await;
    assert_eq!(fixture.store.take_calls(), ["set"]);
    get("/").cookie_of(&first).ok(&app).await;
    assert_eq!(fixture.store.take_calls(), ["get", "touch"]);
}

async fn without_resave_a_modified_session_is_written(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = app(adapter, fixture.options().resave(false), async |visit: Visit| -> Reply {
        if visit.method == "PUT" {
            visit.insert("token", &visit.path[1..])?;
        }
        Ok(format!("token={}", visit.get::<String>("token")?.unwrap_or_default()))
    });
    let first = ask("PUT", "/w6RHhwaA").ok(&app).await;
    assert_eq!((first.body.as_str(), fixture.sets()), ("token=w6RHhwaA", 1));
    let second = get("/").cookie_of(&first).ok(&app).await;
    assert_eq!((second.body.as_str(), fixture.sets()), ("token=w6RHhwaA", 0));
    let third = ask("PUT", "/zfQ3rzM3").cookie_of(&first).ok(&app).await;
    assert_eq!((third.body.as_str(), fixture.sets()), ("token=zfQ3rzM3", 1));
}

/// Only the record's own `cookie` is not data.
async fn a_cookie_within_the_data_counts_as_data(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = app(adapter, fixture.options().resave(false), async |visit: Visit| -> Reply {
        let mut user = visit.get::<Value>("user")?.unwrap_or(json!({ "name": "bob", "cookie": 0 }));
        user["cookie"] = json!(user["cookie"].as_u64().unwrap() + 1);
        visit.insert("user", &user)?;
        Ok(user["cookie"].to_string())
    });
    let first = get("/").ok(&app).await;
    assert_eq!((first.body.as_str(), fixture.sets()), ("1", 1));
    let second = get("/").cookie_of(&first).ok(&app).await;
    assert_eq!((second.body.as_str(), fixture.sets()), ("2", 1));
}

/// Express has sent its answer by then, and has only its error handler left to tell.
async fn a_store_that_cannot_touch_is_an_opaque_503(adapter: Adapter) {
    let store = Arc::new(Faulty::default());
    let options = options().resave(false).store(Arc::clone(&store));
    let failing = app(adapter, options.clone(), bob);
    let first = get("/").ok(&failing).await;
    store.break_down(&["touch"]);
    assert!(get("/").cookie_of(&first).send(&failing).await.is_opaque(503));
    let logging = app(adapter, options.save_error(SaveError::Log), bob);
    assert_eq!(get("/").cookie_of(&first).ok(&logging).await.body, "bob");
}

on_each_adapter!(
    resave_is_on_by_default,
    resave_writes_an_unmodified_session,
    without_resave_an_unmodified_session_is_only_touched,
    without_resave_a_modified_session_is_written,
    a_cookie_within_the_data_counts_as_data,
    a_store_that_cannot_touch_is_an_opaque_503,
);
