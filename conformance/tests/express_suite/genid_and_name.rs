//! The `genid` option, and the cookie's `name` (Node's `key` is its older name).

use express_session::Options;

use crate::{
    client::get,
    fixture::{app, nothing, options},
};

#[tokio::test]
async fn ids_are_32_characters_by_default() {
    let app = app(options(), nothing);
    let (one, other) = (get("/").ok(&app).await.cookie().sid(), get("/").ok(&app).await.cookie().sid());
    assert_eq!((one.len(), other.len()), (32, 32));
    assert_ne!(one, other);
}

async fn value(options: Options, uri: &str) -> String {
    get(uri).ok(&app(options, nothing)).await.cookie().value
}

#[tokio::test]
async fn genid_makes_the_ids() {
    let signed = "s%3Aapple.D8Y%2BpkTAmeR0PobOhY4G97PRW%2Bj7bUnP%2F5m6%2FOn1MCU";
    assert_eq!(value(options().genid(|_| "apple".into()), "/").await, signed);
}

#[tokio::test]
async fn unsafe_characters_of_an_id_are_encoded() {
    let signed = "s%3A%25.kzQ6x52kKVdF35Qh62AWk4ZekS28K5XYCXKa%2FOTZ01g";
    assert_eq!(value(options().genid(|_| "%".into()), "/").await, signed);
}

#[tokio::test]
async fn genid_gets_the_request() {
    let signed = "s%3A%2Ffoo.paEKBtAHbV5s1IB8B2zPnzAgYmmnRPIqObW4VRYj%2FMQ";
    assert_eq!(value(options().genid(|request| request.path().into()), "/foo").await, signed);
}

#[tokio::test]
async fn the_cookie_is_named_connect_sid_by_default() {
    assert_eq!(get("/").ok(&app(options(), nothing)).await.cookie().name, "connect.sid");
}

#[tokio::test]
async fn the_cookie_can_have_another_name() {
    let app = app(options().name("session_id"), nothing);
    assert_eq!(get("/").ok(&app).await.cookie().name, "session_id");
}
