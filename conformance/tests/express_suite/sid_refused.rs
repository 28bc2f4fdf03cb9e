//! Cookies whose session is not there, or is not theirs.

use std::sync::Arc;

use express_session::CookieOptions;

use crate::{
    adapters::{Adapter, App, app, on_each_adapter},
    client::get,
    fixture::{Fixture, hits, numbering, options},
    stores::TextStore,
};

fn five_milliseconds(adapter: Adapter, fixture: &Fixture) -> App {
    numbering(adapter, fixture.with_cookie(CookieOptions::new().max_age_millis(5)))
}

async fn an_id_that_the_store_does_not_have_gets_a_new_session(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = numbering(adapter, fixture.options());
    let first = get("/").ok(&app).await;
    express_session::AdminStore::clear(&*fixture.memory).await.unwrap();
    assert_eq!(get("/").cookie_of(&first).ok(&app).await.body, "session 2");
}

async fn an_id_that_the_store_does_not_have_is_not_adopted(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = numbering(adapter, fixture.options());
    let first = get("/").ok(&app).await;
    express_session::AdminStore::clear(&*fixture.memory).await.unwrap();
    let second = get("/").cookie_of(&first).ok(&app).await;
    assert_eq!(second.body, "session 2");
    assert_ne!(second.cookie().sid(), first.cookie().sid());
}

async fn an_unsigned_id_gets_a_new_session(adapter: Adapter) {
    let app = app(adapter, options().name("sessid"), hits);
    let first = get("/").ok(&app).await;
    let sid = first.cookie().sid();
    let second = get("/").header("cookie", &format!("sessid={sid}")).ok(&app).await;
    assert_eq!(second.body, "hits: 1");
    assert_ne!(second.cookie().sid(), sid);
}

async fn a_badly_signed_id_never_reaches_the_store(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = app(adapter, fixture.options().name("sessid"), hits);
    let first = get("/").ok(&app).await;
    fixture.store.take_calls();
    let sid = first.cookie().sid();
    let forged = first.cookie().pair().replace(&sid, &sid[..sid.len() - 3]);
    let second = get("/").header("cookie", &forged).ok(&app).await;
    assert_eq!(second.body, "hits: 1");
    assert_eq!(second.cookie().name, "sessid");
    assert_eq!(fixture.store.take_calls(), ["set"]);
}

async fn an_expired_session_is_followed_by_a_new_one(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = five_milliseconds(adapter, &fixture);
    let first = get("/").ok(&app).await;
    assert_eq!(get("/").cookie_of(&first).ok(&app).await.body, "session 1");
    fixture.time.pass(20);
    let later = get("/").cookie_of(&first).ok(&app).await;
    assert_eq!(later.body, "session 2");
    assert_eq!(later.cookie().name, "connect.sid");
}

async fn the_id_of_an_expired_session_is_not_used_again(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = five_milliseconds(adapter, &fixture);
    let first = get("/").ok(&app).await;
    fixture.time.pass(5);
    let second = get("/").cookie_of(&first).ok(&app).await;
    assert_ne!(second.cookie().sid(), first.cookie().sid());
}

async fn an_expired_session_is_not_in_the_store(adapter: Adapter) {
    let fixture = Fixture::new();
    let answer = get("/").ok(&five_milliseconds(adapter, &fixture)).await;
    assert_eq!(answer.body, "session 1");
    assert_eq!(fixture.sessions().await, 1);
    fixture.time.pass(10);
    assert_eq!(fixture.sessions().await, 0);
}

async fn a_record_without_a_cookie_is_an_opaque_500(adapter: Adapter) {
    let store = Arc::new(TextStore::default());
    let app = numbering(adapter, options().store(Arc::clone(&store)));
    let first = get("/").ok(&app).await;
    let sid = first.cookie().sid();
    store.put(&sid, r#"{"foo":"bar"}"#);
    assert!(get("/").cookie_of(&first).send(&app).await.is_opaque(500));
    assert_eq!(store.text(&sid).as_deref(), Some(r#"{"foo":"bar"}"#));
}

on_each_adapter!(
    an_id_that_the_store_does_not_have_gets_a_new_session,
    an_id_that_the_store_does_not_have_is_not_adopted,
    an_unsigned_id_gets_a_new_session,
    a_badly_signed_id_never_reaches_the_store,
    an_expired_session_is_followed_by_a_new_one,
    the_id_of_an_expired_session_is_not_used_again,
    an_expired_session_is_not_in_the_store,
    a_record_without_a_cookie_is_an_opaque_500,
);
