//! The `secret` option.

use express_session::{Options, Secret, Secrets};

use crate::{
    adapters::{Adapter, Reply, Visit, app, on_each_adapter},
    client::get,
    fixture::{Fixture, bob},
};

#[test]
fn an_empty_list_of_secrets_is_refused() {
    let error = Options::express(Vec::<String>::new()).build().unwrap_err();
    assert_eq!(error.option(), "secret");
}

/// Sets the user, or tells it.
async fn user(visit: Visit) -> Reply {
    match visit.get_json("user") {
        Some(json) => Ok(format!("get:{json}")),
        None => visit.insert("user", "bob").map(|()| "set".into()),
    }
}

async fn signs_and_unsigns(adapter: Adapter, secret: impl Into<Secrets>) {
    let app = app(adapter, Options::express(secret), user);
    let first = get("/").ok(&app).await;
    assert_eq!(first.body, "set");
    assert_eq!(get("/").cookie_of(&first).ok(&app).await.body, r#"get:"bob""#);
}

async fn a_text_signs_and_unsigns(adapter: Adapter) {
    signs_and_unsigns(adapter, "awesome cat").await;
}

async fn bytes_sign_and_unsign(adapter: Adapter) {
    let bytes: Vec<u8> = (128..160).collect();
    signs_and_unsigns(adapter, Secret::new(bytes)).await;
}

async fn several_secrets_sign(adapter: Adapter) {
    signs_and_unsigns(adapter, ["keyboard cat", "nyan cat"]).await;
}

/// What a request gets whose cookie one application signed and another one reads, over the same store.
async fn across(adapter: Adapter, signing: impl Into<Secrets>, reading: impl Into<Secrets>) -> String {
    let fixture = Fixture::new();
    let first = get("/").ok(&app(adapter, fixture.options().secret(signing), bob)).await;
    get("/").cookie_of(&first).ok(&app(adapter, fixture.options().secret(reading), user)).await.body.clone()
}

async fn the_first_of_several_secrets_signs(adapter: Adapter) {
    assert_eq!(across(adapter, ["keyboard cat", "nyan cat"], "nyan cat").await, "set");
    assert_eq!(across(adapter, ["keyboard cat", "nyan cat"], "keyboard cat").await, r#"get:"bob""#);
}

async fn each_of_several_secrets_verifies(adapter: Adapter) {
    assert_eq!(across(adapter, "nyan cat", ["keyboard cat", "nyan cat"]).await, r#"get:"bob""#);
    assert_eq!(across(adapter, "keyboard cat", ["keyboard cat", "nyan cat"]).await, r#"get:"bob""#);
}

on_each_adapter!(
    a_text_signs_and_unsigns,
    bytes_sign_and_unsign,
    several_secrets_sign,
    the_first_of_several_secrets_signs,
    each_of_several_secrets_verifies,
);
