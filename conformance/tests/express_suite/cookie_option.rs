//! The `cookie` option: its path, *auto*, and a function of the request.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use axum::{Router, http::header, routing::any};
use express_session::{
    CookieOptions, Options, SameSiteOption, Secure,
    axum::{Session, SessionLayer},
};

use crate::{
    client::{SetCookie, get},
    fixture::{SECRET, app, nothing, with_cookie},
};

fn foo_bar() -> Options {
    with_cookie(CookieOptions::new().path("/foo/bar"))
}

#[tokio::test]
async fn a_path_outside_the_cookies_has_no_session() {
    let app = app(foo_bar(), async |session: Option<Session>| session.is_none().to_string());
    let answer = get("/").ok(&app).await;
    assert!(answer.sets_no_cookie());
    assert_eq!(answer.body, "true");
}

#[tokio::test]
async fn the_host_is_no_part_of_the_path() {
    let app = app(foo_bar(), nothing);
    assert!(get("/").header(header::HOST, "http://foo/bar").ok(&app).await.sets_no_cookie());
    assert!(get("http://foo/bar").ok(&app).await.sets_no_cookie());
}

#[tokio::test]
async fn the_cookies_path_has_a_session() {
    let answer = get("/foo/bar").ok(&app(foo_bar(), nothing)).await;
    assert_eq!(answer.cookie().attribute("Path"), Some("/foo/bar"));
}

#[tokio::test]
async fn what_is_below_the_cookies_path_has_a_session() {
    let answer = get("/foo/bar/baz").ok(&app(foo_bar(), nothing)).await;
    assert_eq!(answer.cookie().attribute("Path"), Some("/foo/bar"));
}

/// The layer stands inside of the nested router, which sees `/bar` where the client asked for `/foo/bar`.
fn mounted_at_foo() -> Router {
    let inner = Router::new().fallback(nothing).layer(SessionLayer::new(foo_bar()).unwrap());
    Router::new().nest("/foo", inner)
}

#[tokio::test]
async fn a_mounted_router_goes_by_the_path_that_the_client_sent() {
    assert_eq!(get("/foo/bar").ok(&mounted_at_foo()).await.cookies().len(), 1);
}

#[tokio::test]
async fn a_mounted_router_does_not_go_by_its_own_path() {
    assert!(get("/foo/foo/bar").ok(&mounted_at_foo()).await.sets_no_cookie());
}

/// The layer around the whole router, the route in a nested one.
#[tokio::test]
async fn a_layer_around_nested_routers_goes_by_the_path_that_the_client_sent() {
    let inner =
        Router::new().route("/bar", any(async |session: Option<Session>| session.is_some().to_string()));
    let app = Router::new().nest("/foo", inner).layer(SessionLayer::new(foo_bar()).unwrap());
    assert_eq!(get("/foo/bar").ok(&app).await.body, "true");
}

fn auto_secure(options: Options) -> Router {
    app(options.cookie(CookieOptions::new().max_age_millis(5).secure(Secure::Auto)), nothing)
}

#[tokio::test]
async fn auto_secure_is_secure_behind_a_trusted_https_proxy() {
    let app = auto_secure(Options::express(SECRET).proxy(true));
    assert!(get("/").forwarded_proto("https").ok(&app).await.cookie().has("Secure"));
}

#[tokio::test]
async fn auto_secure_does_not_believe_a_proxy_that_is_not_trusted() {
    let app = auto_secure(Options::express(SECRET).proxy(false));
    assert!(!get("/").forwarded_proto("https").ok(&app).await.cookie().has("Secure"));
}

#[tokio::test]
async fn auto_secure_is_secure_over_an_encrypted_connection() {
    let app = auto_secure(Options::express(SECRET));
    assert!(get("/").encrypted().ok(&app).await.cookie().has("Secure"));
}

#[tokio::test]
async fn auto_secure_is_not_secure_over_a_plain_connection() {
    let app = auto_secure(Options::express(SECRET));
    assert!(!get("/").ok(&app).await.cookie().has("Secure"));
}

#[tokio::test]
async fn a_function_gives_the_attributes() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let options = Options::express(SECRET).cookie_with(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        CookieOptions::new().path("/test").http_only(true).secure(false)
    });
    let cookie = get("/test").ok(&app(options, nothing)).await.cookie();
    assert_eq!(cookie.attribute("Path"), Some("/test"));
    assert!(cookie.has("HttpOnly") && !cookie.has("Secure"));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_function_gets_the_request() {
    let options = Options::express(SECRET).cookie_with(|request| {
        CookieOptions::new().path(request.path()).domain(request.header("host").unwrap())
    });
    let app = app(options, nothing);
    let cookie = get("/test").header(header::HOST, "a.example").ok(&app).await.cookie();
    assert_eq!((cookie.attribute("Path"), cookie.attribute("Domain")), (Some("/test"), Some("a.example")));
    let cookie = get("/other").header(header::HOST, "b.example").ok(&app).await.cookie();
    assert_eq!((cookie.attribute("Path"), cookie.attribute("Domain")), (Some("/other"), Some("b.example")));
}

/// Where Express leaves `'auto'` from a function as it is, and so sends a cookie that is wrong or none, it works here.
#[tokio::test]
async fn auto_works_from_a_function_too() {
    let auto = CookieOptions::new().secure(Secure::Auto).same_site(SameSiteOption::Auto);
    let app = app(Options::express(SECRET).cookie_with(move |_| auto.clone()), nothing);
    let cookie = get("/").encrypted().ok(&app).await.cookie();
    assert_eq!((cookie.has("Secure"), cookie.attribute("SameSite")), (true, Some("None")));
    let cookie = get("/").ok(&app).await.cookie();
    assert_eq!((cookie.has("Secure"), cookie.attribute("SameSite")), (false, Some("Lax")));
}

fn auto_same_site(options: Options) -> Router {
    app(options.cookie(CookieOptions::new().same_site(SameSiteOption::Auto)), nothing)
}

fn auto_same_site_with(secure: impl Into<Secure>) -> Router {
    auto_same_site(with_cookie(CookieOptions::new().secure(secure)))
}

async fn over_tls(app: &Router) -> SetCookie {
    get("/").encrypted().ok(app).await.cookie()
}

async fn in_clear(app: &Router) -> SetCookie {
    get("/").ok(app).await.cookie()
}

#[tokio::test]
async fn auto_same_site_is_none_over_a_secure_connection() {
    let app = auto_same_site(Options::express(SECRET));
    assert_eq!(over_tls(&app).await.attribute("SameSite"), Some("None"));
}

#[tokio::test]
async fn auto_same_site_is_lax_over_an_insecure_connection() {
    let app = auto_same_site(Options::express(SECRET));
    assert_eq!(in_clear(&app).await.attribute("SameSite"), Some("Lax"));
}

#[tokio::test]
async fn auto_same_site_is_none_behind_a_trusted_https_proxy() {
    let app = auto_same_site(Options::express(SECRET).proxy(true));
    let cookie = get("/").forwarded_proto("https").ok(&app).await.cookie();
    assert_eq!(cookie.attribute("SameSite"), Some("None"));
}

#[tokio::test]
async fn auto_same_site_is_lax_behind_a_trusted_http_proxy() {
    let app = auto_same_site(Options::express(SECRET).proxy(true));
    let cookie = get("/").forwarded_proto("http").ok(&app).await.cookie();
    assert_eq!(cookie.attribute("SameSite"), Some("Lax"));
}

#[tokio::test]
async fn auto_same_site_does_not_believe_a_proxy_that_is_not_trusted() {
    let app = auto_same_site(Options::express(SECRET).proxy(false));
    let cookie = get("/").forwarded_proto("https").ok(&app).await.cookie();
    assert_eq!(cookie.attribute("SameSite"), Some("Lax"));
}

#[tokio::test]
async fn both_autos_are_secure_and_none_over_a_secure_connection() {
    let cookie = over_tls(&auto_same_site_with(Secure::Auto)).await;
    assert!(cookie.has("Secure"));
    assert_eq!(cookie.attribute("SameSite"), Some("None"));
}

#[tokio::test]
async fn both_autos_are_neither_over_an_insecure_connection() {
    let cookie = in_clear(&auto_same_site_with(Secure::Auto)).await;
    assert!(!cookie.has("Secure"));
    assert_eq!(cookie.attribute("SameSite"), Some("Lax"));
}

#[tokio::test]
async fn auto_same_site_without_secure_is_none_over_a_secure_connection() {
    let cookie = over_tls(&auto_same_site_with(false)).await;
    assert!(!cookie.has("Secure"));
    assert_eq!(cookie.attribute("SameSite"), Some("None"));
}

#[tokio::test]
async fn auto_same_site_without_secure_is_lax_over_an_insecure_connection() {
    let cookie = in_clear(&auto_same_site_with(false)).await;
    assert!(!cookie.has("Secure"));
    assert_eq!(cookie.attribute("SameSite"), Some("Lax"));
}

#[tokio::test]
async fn auto_same_site_with_secure_is_none_over_a_secure_connection() {
    let cookie = over_tls(&auto_same_site_with(true)).await;
    assert!(cookie.has("Secure"));
    assert_eq!(cookie.attribute("SameSite"), Some("None"));
}

#[tokio::test]
async fn auto_same_site_with_secure_is_not_sent_over_an_insecure_connection() {
    assert!(get("/").ok(&auto_same_site_with(true)).await.sets_no_cookie());
}
