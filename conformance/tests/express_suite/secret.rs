//! The `secret` option.

use express_session::{
    Options, Secret, Secrets,
    axum::{Session, SessionLayer},
};

use crate::{
    client::get,
    fixture::{Fixture, Reply, app, bob},
};

#[test]
fn an_empty_list_of_secrets_is_refused() {
    let error = SessionLayer::new(Options::express(Vec::<String>::new())).unwrap_err();
    assert_eq!(error.option(), "secret");
}

/// Sets the user, or tells it.
async fn user(session: Session) -> Reply {
    match session.get_json("user") {
        Some(json) => Ok(format!("get:{json}")),
        None => session.insert("user", "bob").map(|()| "set".into()).map_err(Into::into),
    }
}

async fn signs_and_unsigns(secret: impl Into<Secrets>) {
    let app = app(Options::express(secret), user);
    let first = get("/").ok(&app).await;
    assert_eq!(first.body, "set");
    assert_eq!(get("/").cookie_of(&first).ok(&app).await.body, r#"get:"bob""#);
}

#[tokio::test]
async fn a_text_signs_and_unsigns() {
    signs_and_unsigns("awesome cat").await;
}

#[tokio::test]
async fn bytes_sign_and_unsign() {
    let bytes: Vec<u8> = (128..160).collect();
    signs_and_unsigns(Secret::new(bytes)).await;
}

#[tokio::test]
async fn several_secrets_sign() {
    signs_and_unsigns(["keyboard cat", "nyan cat"]).await;
}

/// What a request gets whose cookie one application signed and another one reads, over the same store.
async fn across(signing: impl Into<Secrets>, reading: impl Into<Secrets>) -> String {
    let fixture = Fixture::new();
    let first = get("/").ok(&app(fixture.options().secret(signing), bob)).await;
    get("/").cookie_of(&first).ok(&app(fixture.options().secret(reading), user)).await.body
}

#[tokio::test]
async fn the_first_of_several_secrets_signs() {
    assert_eq!(across(["keyboard cat", "nyan cat"], "nyan cat").await, "set");
    assert_eq!(across(["keyboard cat", "nyan cat"], "keyboard cat").await, r#"get:"bob""#);
}

#[tokio::test]
async fn each_of_several_secrets_verifies() {
    assert_eq!(across("nyan cat", ["keyboard cat", "nyan cat"]).await, r#"get:"bob""#);
    assert_eq!(across("keyboard cat", ["keyboard cat", "nyan cat"]).await, r#"get:"bob""#);
}
