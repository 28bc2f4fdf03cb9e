//! Whose word counts that a connection is secure.

use axum::Router;
use express_session::{CookieOptions, Options};

use crate::{
    client::get,
    fixture::{app, nothing, with_cookie},
};

fn secure() -> Options {
    with_cookie(CookieOptions::new().secure(true).max_age_millis(5))
}

fn trusting() -> Router {
    app(secure().proxy(true), nothing)
}

fn not_trusting() -> Router {
    app(secure().proxy(false), nothing)
}

fn by_default() -> Router {
    app(secure(), nothing)
}

#[tokio::test]
async fn a_trusted_proxy_says_that_its_connection_is_secure() {
    let answer = get("/").forwarded_proto("https").ok(&trusting()).await;
    assert_eq!(answer.cookie().name, "connect.sid");
    assert!(get("/").forwarded_proto("http").ok(&trusting()).await.sets_no_cookie());
}

#[tokio::test]
async fn of_several_trusted_proxies_the_first_counts() {
    assert_eq!(get("/").forwarded_proto("https,http").ok(&trusting()).await.cookies().len(), 1);
    assert_eq!(get("/").forwarded_proto(" HTTPS , http").ok(&trusting()).await.cookies().len(), 1);
    assert!(get("/").forwarded_proto("http,https").ok(&trusting()).await.sets_no_cookie());
}

#[tokio::test]
async fn a_trusted_proxy_that_says_nothing_is_not_secure() {
    assert!(get("/").ok(&trusting()).await.sets_no_cookie());
}

#[tokio::test]
async fn a_proxy_that_is_not_trusted_is_not_believed() {
    assert!(get("/").forwarded_proto("https").ok(&not_trusting()).await.sets_no_cookie());
}

/// `req.secure` is what a framework concludes from headers; here it would be the scheme of the request's target.
#[tokio::test]
async fn what_the_request_says_of_itself_is_not_believed() {
    assert!(get("https://example.com/").forwarded_proto("https").ok(&not_trusting()).await.sets_no_cookie());
}

#[tokio::test]
async fn no_proxy_is_trusted_by_default() {
    assert!(get("/").forwarded_proto("https").ok(&by_default()).await.sets_no_cookie());
}

#[tokio::test]
async fn an_encrypted_connection_is_secure_by_default() {
    assert_eq!(get("/").encrypted().ok(&by_default()).await.cookies().len(), 1);
}
