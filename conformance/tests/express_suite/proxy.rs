//! Whose word counts that a connection is secure.

use express_session::{CookieOptions, Options};

use crate::{
    adapters::{Adapter, App, app, on_each_adapter},
    client::get,
    fixture::{nothing, with_cookie},
};

fn secure() -> Options {
    with_cookie(CookieOptions::new().secure(true).max_age_millis(5))
}

fn trusting(adapter: Adapter) -> App {
    app(adapter, secure().proxy(true), nothing)
}

fn not_trusting(adapter: Adapter) -> App {
    app(adapter, secure().proxy(false), nothing)
}

fn by_default(adapter: Adapter) -> App {
    app(adapter, secure(), nothing)
}

async fn a_trusted_proxy_says_that_its_connection_is_secure(adapter: Adapter) {
    let answer = get("/").forwarded_proto("https").ok(&trusting(adapter)).await;
    assert_eq!(answer.cookie().name, "connect.sid");
    assert!(get("/").forwarded_proto("http").ok(&trusting(adapter)).await.sets_no_cookie());
}

async fn of_several_trusted_proxies_the_first_counts(adapter: Adapter) {
    assert_eq!(get("/").forwarded_proto("https,http").ok(&trusting(adapter)).await.cookies().len(), 1);
    assert_eq!(get("/").forwarded_proto(" HTTPS , http").ok(&trusting(adapter)).await.cookies().len(), 1);
    assert!(get("/").forwarded_proto("http,https").ok(&trusting(adapter)).await.sets_no_cookie());
}

async fn a_trusted_proxy_that_says_nothing_is_not_secure(adapter: Adapter) {
    assert!(get("/").ok(&trusting(adapter)).await.sets_no_cookie());
}

async fn a_proxy_that_is_not_trusted_is_not_believed(adapter: Adapter) {
    assert!(get("/").forwarded_proto("https").ok(&not_trusting(adapter)).await.sets_no_cookie());
}

/// `req.secure` is what Express concludes from headers. Here it would be the scheme of the request's target, which Rocket's client
/// in process does not take, or what another proxy's header says.
async fn what_the_request_says_of_itself_is_not_believed(adapter: Adapter) {
    let target = if adapter == Adapter::Rocket { "/" } else { "https://example.com/" };
    let asked = get(target).forwarded_proto("https").header("forwarded", "proto=https");
    assert!(asked.ok(&not_trusting(adapter)).await.sets_no_cookie());
}

async fn no_proxy_is_trusted_by_default(adapter: Adapter) {
    assert!(get("/").forwarded_proto("https").ok(&by_default(adapter)).await.sets_no_cookie());
}

async fn an_encrypted_connection_is_secure_by_default(adapter: Adapter) {
    assert_eq!(get("/").ok(&by_default(adapter).over_tls()).await.cookies().len(), 1);
}

on_each_adapter!(
    a_trusted_proxy_says_that_its_connection_is_secure,
    of_several_trusted_proxies_the_first_counts,
    a_trusted_proxy_that_says_nothing_is_not_secure,
    a_proxy_that_is_not_trusted_is_not_believed,
    what_the_request_says_of_itself_is_not_believed,
    no_proxy_is_trusted_by_default,
    an_encrypted_connection_is_secure_by_default,
);
