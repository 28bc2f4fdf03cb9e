//! The `genid` option, and the cookie's `name` (Node's `key` is its older name).

use express_session::Options;

use crate::{
    adapters::{Adapter, app, on_each_adapter},
    client::get,
    fixture::{nothing, options},
};

async fn ids_are_32_characters_by_default(adapter: Adapter) {
    let app = app(adapter, options(), nothing);
    let (one, other) = (get("/").ok(&app).await.cookie().sid(), get("/").ok(&app).await.cookie().sid());
    assert_eq!((one.len(), other.len()), (32, 32));
    assert_ne!(one, other);
}

async fn value(adapter: Adapter, options: Options, uri: &str) -> String {
    get(uri).ok(&app(adapter, options, nothing)).await.cookie().value
}

async fn genid_makes_the_ids(adapter: Adapter) {
    let signed = "s%3Aapple.D8Y%2BpkTAmeR0PobOhY4G97PRW%2Bj7bUnP%2F5m6%2FOn1MCU";
    assert_eq!(value(adapter, options().genid(|_| "apple".into()), "/").await, signed);
}

async fn unsafe_characters_of_an_id_are_encoded(adapter: Adapter) {
    let signed = "s%3A%25.kzQ6x52kKVdF35Qh62AWk4ZekS28K5XYCXKa%2FOTZ01g";
    assert_eq!(value(adapter, options().genid(|_| "%".into()), "/").await, signed);
}

async fn genid_gets_the_request(adapter: Adapter) {
    let signed = "s%3A%2Ffoo.paEKBtAHbV5s1IB8B2zPnzAgYmmnRPIqObW4VRYj%2FMQ";
    assert_eq!(value(adapter, options().genid(|request| request.path().into()), "/foo").await, signed);
}

async fn the_cookie_is_named_connect_sid_by_default(adapter: Adapter) {
    assert_eq!(get("/").ok(&app(adapter, options(), nothing)).await.cookie().name, "connect.sid");
}

async fn the_cookie_can_have_another_name(adapter: Adapter) {
    let app = app(adapter, options().name("session_id"), nothing);
    assert_eq!(get("/").ok(&app).await.cookie().name, "session_id");
}

on_each_adapter!(
    ids_are_32_characters_by_default,
    genid_makes_the_ids,
    unsafe_characters_of_an_id_are_encoded,
    genid_gets_the_request,
    the_cookie_is_named_connect_sid_by_default,
    the_cookie_can_have_another_name,
);
