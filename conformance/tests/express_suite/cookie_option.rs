//! The `cookie` option: its path, *auto*, and a function of the request.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use express_session::{CookieOptions, Options, SameSiteOption, Secure};

use crate::{
    adapters::{Adapter, App, Visit, app, on_each_adapter},
    client::{SetCookie, get},
    fixture::{SECRET, nothing, with_cookie},
};

fn foo_bar() -> Options {
    with_cookie(CookieOptions::new().path("/foo/bar"))
}

async fn a_path_outside_the_cookies_has_no_session(adapter: Adapter) {
    let app = app(adapter, foo_bar(), async |visit: Visit| Ok(visit.session.is_none().to_string()));
    let answer = get("/").ok(&app).await;
    assert!(answer.sets_no_cookie());
    assert_eq!(answer.body, "true");
}

async fn the_host_is_no_part_of_the_path(adapter: Adapter) {
    let app = app(adapter, foo_bar(), nothing);
    assert!(get("/").header("host", "http://foo/bar").ok(&app).await.sets_no_cookie());
    // Rocket's client in process takes paths alone.
    if adapter != Adapter::Rocket {
        assert!(get("http://foo/bar").ok(&app).await.sets_no_cookie());
    }
}

async fn the_cookies_path_has_a_session(adapter: Adapter) {
    let answer = get("/foo/bar").ok(&app(adapter, foo_bar(), nothing)).await;
    assert_eq!(answer.cookie().attribute("Path"), Some("/foo/bar"));
}

async fn what_is_below_the_cookies_path_has_a_session(adapter: Adapter) {
    let answer = get("/foo/bar/baz").ok(&app(adapter, foo_bar(), nothing)).await;
    assert_eq!(answer.cookie().attribute("Path"), Some("/foo/bar"));
}

/// The session's middleware stands inside of what is mounted; axum's sees `/bar` where the client asked for `/foo/bar`.
fn mounted_at_foo(adapter: Adapter) -> App {
    app(adapter, foo_bar(), nothing).mounted_at("/foo")
}

async fn a_mounted_router_goes_by_the_path_that_the_client_sent(adapter: Adapter) {
    assert_eq!(get("/foo/bar").ok(&mounted_at_foo(adapter)).await.cookies().len(), 1);
}

async fn a_mounted_router_does_not_go_by_its_own_path(adapter: Adapter) {
    assert!(get("/foo/foo/bar").ok(&mounted_at_foo(adapter)).await.sets_no_cookie());
}

fn auto_secure(adapter: Adapter, options: Options) -> App {
    app(adapter, options.cookie(CookieOptions::new().max_age_millis(5).secure(Secure::Auto)), nothing)
}

async fn auto_secure_is_secure_behind_a_trusted_https_proxy(adapter: Adapter) {
    let app = auto_secure(adapter, Options::express(SECRET).proxy(true));
    assert!(get("/").forwarded_proto("https").ok(&app).await.cookie().has("Secure"));
}

async fn auto_secure_does_not_believe_a_proxy_that_is_not_trusted(adapter: Adapter) {
    let app = auto_secure(adapter, Options::express(SECRET).proxy(false));
    assert!(!get("/").forwarded_proto("https").ok(&app).await.cookie().has("Secure"));
}

async fn auto_secure_is_secure_over_an_encrypted_connection(adapter: Adapter) {
    let app = auto_secure(adapter, Options::express(SECRET));
    assert!(get("/").ok(&app.over_tls()).await.cookie().has("Secure"));
}

async fn auto_secure_is_not_secure_over_a_plain_connection(adapter: Adapter) {
    let app = auto_secure(adapter, Options::express(SECRET));
    assert!(!get("/").ok(&app).await.cookie().has("Secure"));
}

async fn a_function_gives_the_attributes(adapter: Adapter) {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let options = Options::express(SECRET).cookie_with(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        CookieOptions::new().path("/test").http_only(true).secure(false)
    });
    let cookie = get("/test").ok(&app(adapter, options, nothing)).await.cookie();
    assert_eq!(cookie.attribute("Path"), Some("/test"));
    assert!(cookie.has("HttpOnly") && !cookie.has("Secure"));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

async fn a_function_gets_the_request(adapter: Adapter) {
    let options = Options::express(SECRET).cookie_with(|request| {
        CookieOptions::new().path(request.path()).domain(request.header("host").unwrap())
    });
    let app = app(adapter, options, nothing);
    let cookie = get("/test").header("host", "a.example").ok(&app).await.cookie();
    assert_eq!((cookie.attribute("Path"), cookie.attribute("Domain")), (Some("/test"), Some("a.example")));
    let cookie = get("/other").header("host", "b.example").ok(&app).await.cookie();
    assert_eq!((cookie.attribute("Path"), cookie.attribute("Domain")), (Some("/other"), Some("b.example")));
}

/// Where Express leaves `'auto'` from a function as it is, and so sends a cookie that is wrong or none, it works here.
async fn auto_works_from_a_function_too(adapter: Adapter) {
    let served = || {
        let auto = CookieOptions::new().secure(Secure::Auto).same_site(SameSiteOption::Auto);
        app(adapter, Options::express(SECRET).cookie_with(move |_| auto.clone()), nothing)
    };
    let cookie = over_tls(served()).await;
    assert_eq!((cookie.has("Secure"), cookie.attribute("SameSite")), (true, Some("None")));
    let cookie = in_clear(&served()).await;
    assert_eq!((cookie.has("Secure"), cookie.attribute("SameSite")), (false, Some("Lax")));
}

fn auto_same_site(adapter: Adapter, options: Options) -> App {
    app(adapter, options.cookie(CookieOptions::new().same_site(SameSiteOption::Auto)), nothing)
}

fn auto_same_site_with(adapter: Adapter, secure: impl Into<Secure>) -> App {
    auto_same_site(adapter, with_cookie(CookieOptions::new().secure(secure)))
}

async fn over_tls(app: App) -> SetCookie {
    get("/").ok(&app.over_tls()).await.cookie()
}

async fn in_clear(app: &App) -> SetCookie {
    get("/").ok(app).await.cookie()
}

async fn auto_same_site_is_none_over_a_secure_connection(adapter: Adapter) {
    let app = auto_same_site(adapter, Options::express(SECRET));
    assert_eq!(over_tls(app).await.attribute("SameSite"), Some("None"));
}

async fn auto_same_site_is_lax_over_an_insecure_connection(adapter: Adapter) {
    let app = auto_same_site(adapter, Options::express(SECRET));
    assert_eq!(in_clear(&app).await.attribute("SameSite"), Some("Lax"));
}

async fn auto_same_site_is_none_behind_a_trusted_https_proxy(adapter: Adapter) {
    let app = auto_same_site(adapter, Options::express(SECRET).proxy(true));
    let cookie = get("/").forwarded_proto("https").ok(&app).await.cookie();
    assert_eq!(cookie.attribute("SameSite"), Some("None"));
}

async fn auto_same_site_is_lax_behind_a_trusted_http_proxy(adapter: Adapter) {
    let app = auto_same_site(adapter, Options::express(SECRET).proxy(true));
    let cookie = get("/").forwarded_proto("http").ok(&app).await.cookie();
    assert_eq!(cookie.attribute("SameSite"), Some("Lax"));
}

async fn auto_same_site_does_not_believe_a_proxy_that_is_not_trusted(adapter: Adapter) {
    let app = auto_same_site(adapter, Options::express(SECRET).proxy(false));
    let cookie = get("/").forwarded_proto("https").ok(&app).await.cookie();
    assert_eq!(cookie.attribute("SameSite"), Some("Lax"));
}

async fn both_autos_are_secure_and_none_over_a_secure_connection(adapter: Adapter) {
    let cookie = over_tls(auto_same_site_with(adapter, Secure::Auto)).await;
    assert!(cookie.has("Secure"));
    assert_eq!(cookie.attribute("SameSite"), Some("None"));
}

async fn both_autos_are_neither_over_an_insecure_connection(adapter: Adapter) {
    let cookie = in_clear(&auto_same_site_with(adapter, Secure::Auto)).await;
    assert!(!cookie.has("Secure"));
    assert_eq!(cookie.attribute("SameSite"), Some("Lax"));
}

async fn auto_same_site_without_secure_is_none_over_a_secure_connection(adapter: Adapter) {
    let cookie = over_tls(auto_same_site_with(adapter, false)).await;
    assert!(!cookie.has("Secure"));
    assert_eq!(cookie.attribute("SameSite"), Some("None"));
}

async fn auto_same_site_without_secure_is_lax_over_an_insecure_connection(adapter: Adapter) {
    let cookie = in_clear(&auto_same_site_with(adapter, false)).await;
    assert!(!cookie.has("Secure"));
    assert_eq!(cookie.attribute("SameSite"), Some("Lax"));
}

async fn auto_same_site_with_secure_is_none_over_a_secure_connection(adapter: Adapter) {
    let cookie = over_tls(auto_same_site_with(adapter, true)).await;
    assert!(cookie.has("Secure"));
    assert_eq!(cookie.attribute("SameSite"), Some("None"));
}

async fn auto_same_site_with_secure_is_not_sent_over_an_insecure_connection(adapter: Adapter) {
    assert!(get("/").ok(&auto_same_site_with(adapter, true)).await.sets_no_cookie());
}

on_each_adapter!(
    a_path_outside_the_cookies_has_no_session,
    the_host_is_no_part_of_the_path,
    the_cookies_path_has_a_session,
    what_is_below_the_cookies_path_has_a_session,
    a_mounted_router_goes_by_the_path_that_the_client_sent,
    a_mounted_router_does_not_go_by_its_own_path,
    auto_secure_is_secure_behind_a_trusted_https_proxy,
    auto_secure_does_not_believe_a_proxy_that_is_not_trusted,
    auto_secure_is_secure_over_an_encrypted_connection,
    auto_secure_is_not_secure_over_a_plain_connection,
    a_function_gives_the_attributes,
    a_function_gets_the_request,
    auto_works_from_a_function_too,
    auto_same_site_is_none_over_a_secure_connection,
    auto_same_site_is_lax_over_an_insecure_connection,
    auto_same_site_is_none_behind_a_trusted_https_proxy,
    auto_same_site_is_lax_behind_a_trusted_http_proxy,
    auto_same_site_does_not_believe_a_proxy_that_is_not_trusted,
    both_autos_are_secure_and_none_over_a_secure_connection,
    both_autos_are_neither_over_an_insecure_connection,
    auto_same_site_without_secure_is_none_over_a_secure_connection,
    auto_same_site_without_secure_is_lax_over_an_insecure_connection,
    auto_same_site_with_secure_is_none_over_a_secure_connection,
    auto_same_site_with_secure_is_not_sent_over_an_insecure_connection,
);
