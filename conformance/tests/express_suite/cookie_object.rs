//! The cookie settings that a new session begins with: what `new Cookie(options)` holds in Node.

use std::time::Duration;

use express_session::{Cookie, CookieOptions, Options, Priority, RequestInfo};

use crate::fixture::{MINUTE, SECRET, Time};

async fn new_cookie(options: Options) -> Cookie {
    let exchange = options.clock(Time::start().clock()).build().unwrap().exchange();
    exchange.session(&RequestInfo::new("/foo", false, &|_| {})).await.unwrap().unwrap().cookie()
}

async fn default_cookie() -> Cookie {
    new_cookie(Options::express(SECRET)).await
}

async fn cookie_with(options: CookieOptions) -> Cookie {
    new_cookie(Options::express(SECRET).cookie(options)).await
}

#[tokio::test]
async fn a_new_session_has_cookie_settings() {
    let cookie = default_cookie().await;
    assert_eq!((cookie.secure(), cookie.partitioned()), (false, false));
    assert_eq!((cookie.domain(), cookie.same_site(), cookie.priority()), (None, None, None));
}

#[tokio::test]
async fn a_cookie_has_no_expiry_by_default() {
    assert_eq!(default_cookie().await.expires(), None);
}

#[tokio::test]
async fn a_cookie_is_http_only_by_default() {
    assert!(default_cookie().await.http_only());
}

#[tokio::test]
async fn a_cookies_path_is_the_root_by_default() {
    assert_eq!(default_cookie().await.path(), Some("/"));
}

#[tokio::test]
async fn a_cookie_has_no_max_age_by_default() {
    assert_eq!(default_cookie().await.original_max_age(), None);
}

#[tokio::test]
async fn options_that_set_nothing_change_nothing() {
    assert_eq!(cookie_with(CookieOptions::new()).await, default_cookie().await);
}

#[tokio::test]
async fn an_expiry_sets_the_expiry() {
    let expires = Time::start().now() + MINUTE;
    assert_eq!(cookie_with(CookieOptions::new().expires(expires)).await.expires(), Some(expires));
}

#[tokio::test]
async fn an_expiry_sets_the_max_age() {
    let expires = Time::start().now() + MINUTE;
    assert_eq!(cookie_with(CookieOptions::new().expires(expires)).await.original_max_age(), Some(MINUTE));
}

#[tokio::test]
async fn a_cookie_can_be_open_to_scripts() {
    assert!(!cookie_with(CookieOptions::new().http_only(false)).await.http_only());
}

#[tokio::test]
async fn a_max_age_sets_the_expiry() {
    let cookie = cookie_with(CookieOptions::new().max_age(MINUTE)).await;
    assert_eq!(cookie.expires(), Some(Time::start().now() + MINUTE));
}

#[tokio::test]
async fn a_max_age_sets_the_max_age() {
    let cookie = cookie_with(CookieOptions::new().max_age(MINUTE)).await;
    assert_eq!(cookie.original_max_age(), Some(MINUTE));
}

/// Node takes a `Date` as `maxAge` and says that it is deprecated. Here a date goes under its own name only, and comes to
/// the same.
#[tokio::test]
async fn a_date_comes_to_the_max_age_that_is_left_until_then() {
    let date =
        cookie_with(CookieOptions::new().expires(Time::start().now() + Duration::from_millis(1234))).await;
    assert_eq!(date, cookie_with(CookieOptions::new().max_age(Duration::from_millis(1234))).await);
}

#[tokio::test]
async fn of_a_max_age_and_an_expiry_the_last_counts() {
    let (time, hour) = (Time::start().now() + MINUTE, Duration::from_secs(3600));
    let expiry_last = cookie_with(CookieOptions::new().max_age(hour).expires(time)).await;
    assert_eq!(expiry_last.original_max_age(), Some(MINUTE));
    let max_age_last = cookie_with(CookieOptions::new().expires(time).max_age(hour)).await;
    assert_eq!(max_age_last.original_max_age(), Some(hour));
}

#[tokio::test]
async fn a_cookie_can_be_set_partitioned() {
    assert!(cookie_with(CookieOptions::new().partitioned(true)).await.partitioned());
}

#[tokio::test]
async fn a_cookie_can_have_another_path() {
    assert_eq!(cookie_with(CookieOptions::new().path("/foo")).await.path(), Some("/foo"));
}

#[tokio::test]
async fn a_cookie_can_have_a_priority() {
    assert_eq!(
        cookie_with(CookieOptions::new().priority(Priority::High)).await.priority(),
        Some(Priority::High)
    );
}
