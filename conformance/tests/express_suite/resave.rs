//! The `resave` option.

use std::sync::Arc;

use axum::http::{Method, Uri};
use express_session::{SaveError, axum::Session};
use serde_json::{Value, json};

use crate::{
    client::{ask, get},
    fixture::{Fixture, Reply, app, bob, options},
    stores::Faulty,
};

#[tokio::test]
async fn resave_is_on_by_default() {
    let fixture = Fixture::new();
    let app = app(fixture.options(), bob);
    let first = get("/").ok(&app).await;
    assert_eq!(fixture.sets(), 1);
    get("/").cookie_of(&first).ok(&app).await;
    assert_eq!(fixture.sets(), 1);
}

#[tokio::test]
async fn resave_writes_an_unmodified_session() {
    let fixture = Fixture::new();
    let app = app(fixture.options().resave(true), bob);
    let first = get("/").ok(&app).await;
    assert_eq!(fixture.store.take_calls(), ["set"]);
    get("/").cookie_of(&first).ok(&app).await;
    assert_eq!(fixture.store.take_calls(), ["get", "set"]);
}

#[tokio::test]
async fn without_resave_an_unmodified_session_is_only_touched() {
    let fixture = Fixture::new();
    let app = app(fixture.options().resave(false), bob);
    let first = get("/").ok(&app).await;
    assert_eq!(fixture.store.take_calls(), ["set"]);
    get("/").cookie_of(&first).ok(&app).await;
    assert_eq!(fixture.store.take_calls(), ["get", "touch"]);
}

#[tokio::test]
async fn without_resave_a_modified_session_is_written() {
    let fixture = Fixture::new();
    let app =
        app(fixture.options().resave(false), async |method: Method, uri: Uri, session: Session| -> Reply {
            if method == Method::PUT {
                session.insert("token", &uri.path()[1..])?;
            }
            Ok(format!("token={}", session.get::<String>("token")?.unwrap_or_default()))
        });
    let first = ask("PUT", "/w6RHhwaA").ok(&app).await;
    assert_eq!((first.body.as_str(), fixture.sets()), ("token=w6RHhwaA", 1));
    let second = get("/").cookie_of(&first).ok(&app).await;
    assert_eq!((second.body.as_str(), fixture.sets()), ("token=w6RHhwaA", 0));
    let third = ask("PUT", "/zfQ3rzM3").cookie_of(&first).ok(&app).await;
    assert_eq!((third.body.as_str(), fixture.sets()), ("token=zfQ3rzM3", 1));
}

/// Only the record's own `cookie` is not data.
#[tokio::test]
async fn a_cookie_within_the_data_counts_as_data() {
    let fixture = Fixture::new();
    let app = app(fixture.options().resave(false), async |session: Session| -> Reply {
        let mut user = session.get::<Value>("user")?.unwrap_or(json!({ "name": "bob", "cookie": 0 }));
        user["cookie"] = json!(user["cookie"].as_u64().unwrap() + 1);
        session.insert("user", &user)?;
        Ok(user["cookie"].to_string())
    });
    let first = get("/").ok(&app).await;
    assert_eq!((first.body.as_str(), fixture.sets()), ("1", 1));
    let second = get("/").cookie_of(&first).ok(&app).await;
    assert_eq!((second.body.as_str(), fixture.sets()), ("2", 1));
}

/// Express has sent its answer by then, and has only its error handler left to tell.
#[tokio::test]
async fn a_store_that_cannot_touch_is_an_opaque_500() {
    let store = Arc::new(Faulty::default());
    let options = options().resave(false).store(Arc::clone(&store));
    let failing = app(options.clone(), bob);
    let first = get("/").ok(&failing).await;
    store.break_down(&["touch"]);
    assert!(get("/").cookie_of(&first).send(&failing).await.is_opaque_failure());
    let logging = app(options.save_error(SaveError::Log), bob);
    assert_eq!(get("/").cookie_of(&first).ok(&logging).await.body, "bob");
}
