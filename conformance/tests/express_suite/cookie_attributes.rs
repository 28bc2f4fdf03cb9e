//! `visit.cookie`: what a handler sees of it, and changes.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use express_session::{CookieOptions, Options, Priority};

use crate::{
    adapters::{Adapter, App, Reply, Visit, app, on_each_adapter},
    client::{SetCookie, get},
    fixture::{Fixture, nothing, options, with_cookie},
    stores::TextStore,
};

async fn what_the_handler_changes_is_sent(adapter: Adapter) {
    let app = app(adapter, options().proxy(true), async |visit: Visit| -> Reply {
        visit.update_cookie(|cookie| {
            cookie.set_http_only(false);
            cookie.set_secure(true);
        })?;
        Ok(String::new())
    });
    let cookie = get("/").forwarded_proto("https").ok(&app).await.cookie();
    assert!(cookie.has("Secure") && !cookie.has("HttpOnly"));
}

fn admin(adapter: Adapter) -> App {
    app(adapter, with_cookie(CookieOptions::new().path("/admin")), nothing)
}

async fn a_cookie_lives_until_the_browser_closes_by_default(adapter: Adapter) {
    assert!(!get("/admin").ok(&admin(adapter)).await.cookie().has("Expires"));
}

async fn a_cookie_until_the_browser_closes_is_sent_once(adapter: Adapter) {
    let app = admin(adapter);
    let first = get("/admin/foo").ok(&app).await;
    assert!(get("/admin").cookie_of(&first).ok(&app).await.sets_no_cookie());
}

async fn the_handler_has_the_last_word_over_the_options(adapter: Adapter) {
    let cookie = CookieOptions::new().http_only(false).max_age_millis(5000).path("/admin");
    let options = with_cookie(cookie.priority(Priority::High).secure(true));
    let app = app(adapter, options, async |visit: Visit| -> Reply {
        visit.update_cookie(|cookie| cookie.set_secure(false))?;
        Ok(String::new())
    });
    let cookie = get("/admin").ok(&app).await.cookie();
    assert!(cookie.has("Expires") && !cookie.has("HttpOnly") && !cookie.has("Secure"));
    assert_eq!(cookie.attribute("Path"), Some("/admin"));
    assert_eq!(cookie.attribute("Priority"), Some("High"));
}

#[test]
fn attributes_that_cannot_be_sent_are_refused_when_the_options_are_built() {
    let refused = |cookie| with_cookie(cookie).build().unwrap_err().option();
    assert_eq!(refused(CookieOptions::new().path("/a;b")), "cookie.path");
    assert_eq!(refused(CookieOptions::new().domain("a;b")), "cookie.domain");
}

/// In Express the answer goes out without the cookie; here the handler is told, and the cookie is as it was.
async fn attributes_that_cannot_be_sent_are_refused_where_they_are_set_and_change_nothing(adapter: Adapter) {
    let app = app(adapter, options(), async |visit: Visit| -> Reply {
        let refused = visit.update_cookie(|cookie| cookie.set_path("/a;Domain=evil.example"));
        Ok(refused.unwrap_err().to_string())
    });
    let answer = get("/").ok(&app).await;
    assert_eq!(answer.body, "cookie: option path is invalid");
    assert!(!answer.sets_no_cookie());
}

async fn original_max_age(visit: Visit) -> Reply {
    Ok(visit.cookie().original_max_age().map_or("null".into(), |age| age.as_millis().to_string()))
}

fn two_seconds() -> CookieOptions {
    CookieOptions::new().max_age_millis(2000)
}

async fn the_original_max_age_is_that_of_the_options(adapter: Adapter) {
    assert_eq!(get("/").ok(&app(adapter, with_cookie(two_seconds()), original_max_age)).await.body, "2000");
}

/// In Node it loses a millisecond now and then.
async fn the_original_max_age_is_the_same_for_all_requests(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = app(adapter, fixture.with_cookie(two_seconds()), original_max_age);
    let first = get("/").ok(&app).await;
    assert_eq!(first.body, "2000");
    for _ in 0..5 {
        fixture.time.pass(101);
        assert_eq!(get("/").cookie_of(&first).ok(&app).await.body, "2000");
    }
}

async fn the_original_max_age_is_the_same_from_a_store_of_json_texts(adapter: Adapter) {
    let fixture = Fixture::new();
    let store = Arc::new(TextStore::default());
    let app = app(adapter, fixture.with_cookie(two_seconds()).store(Arc::clone(&store)), original_max_age);
    let first = get("/").ok(&app).await;
    assert_eq!(first.body, "2000");
    fixture.time.pass(100);
    assert_eq!(get("/").cookie_of(&first).ok(&app).await.body, "2000");
    assert!(store.text(&first.cookie().sid()).unwrap().contains(r#""originalMaxAge":2000"#));
}

fn secure(adapter: Adapter) -> App {
    app(adapter, with_cookie(CookieOptions::new().secure(true)), nothing)
}

async fn a_secure_cookie_is_sent_over_a_secure_connection(adapter: Adapter) {
    assert!(get("/").ok(&secure(adapter).over_tls()).await.cookie().has("Secure"));
}

async fn a_secure_cookie_is_not_sent_over_an_insecure_connection(adapter: Adapter) {
    assert!(get("/").ok(&secure(adapter)).await.sets_no_cookie());
}

/// The cookie of a second request, on a path whose handler sets another max age, or the same.
async fn expires_after(adapter: Adapter, uri: &str) -> String {
    let fixture = Fixture::new();
    let app = app(adapter, fixture.with_cookie(two_seconds()), async |visit: Visit| -> Reply {
        visit.insert("path", &visit.path)?;
        if let Ok(ms) = visit.path[1..].parse() {
            visit.set_max_age(Some(Duration::from_millis(ms)))?;
        }
        Ok(String::new())
    });
    let first = get("/").ok(&app).await;
    fixture.time.pass(1000);
    get(uri).cookie_of(&first).ok(&app).await.cookie().attribute("Expires").unwrap().into()
}

async fn a_cookie_expires_its_max_age_from_now(adapter: Adapter) {
    assert_eq!(expires_after(adapter, "/same").await, "Fri, 02 Jan 2026 03:04:08 GMT");
}

async fn a_changed_max_age_changes_the_expiry(adapter: Adapter) {
    assert_eq!(expires_after(adapter, "/5000").await, "Fri, 02 Jan 2026 03:04:11 GMT");
}

async fn a_max_age_of_more_than_a_month_changes_the_expiry(adapter: Adapter) {
    assert_eq!(expires_after(adapter, "/3000000000").await, "Thu, 05 Feb 2026 20:24:06 GMT");
}

async fn an_expiry_can_be_a_date(adapter: Adapter) {
    let fixture = Fixture::new();
    let app = app(adapter, fixture.options(), async |visit: Visit| -> Reply {
        visit.set_expires(Some(SystemTime::UNIX_EPOCH))?;
        Ok(String::new())
    });
    let cookie = get("/").ok(&app).await.cookie();
    assert_eq!(cookie.attribute("Expires"), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
}

/// The handler takes the expiry away, and on `/hit` changes the data too.
fn without_expiry(adapter: Adapter) -> App {
    app(adapter, options(), async |visit: Visit| -> Reply {
        visit.set_expires(None)?;
        if visit.path == "/hit" {
            visit.insert("hit", visit.get::<u32>("hit")?.unwrap_or(0) + 1)?;
        }
        Ok(String::new())
    })
}

async fn without_expiry_a_cookie_lives_until_the_browser_closes(adapter: Adapter) {
    assert!(!get("/").ok(&without_expiry(adapter)).await.cookie().has("Expires"));
}

async fn without_expiry_the_cookie_is_not_sent_again(adapter: Adapter) {
    let app = without_expiry(adapter);
    let first = get("/").ok(&app).await;
    assert!(get("/").cookie_of(&first).ok(&app).await.sets_no_cookie());
}

async fn without_expiry_the_cookie_is_not_sent_again_for_a_modified_session(adapter: Adapter) {
    let app = without_expiry(adapter);
    let first = get("/hit").ok(&app).await;
    assert!(!first.cookie().has("Expires"));
    assert!(get("/hit").cookie_of(&first).ok(&app).await.sets_no_cookie());
}

async fn sent(adapter: Adapter, options: Options) -> SetCookie {
    get("/").ok(&app(adapter, options, nothing)).await.cookie()
}

async fn a_cookie_is_not_partitioned_by_default(adapter: Adapter) {
    assert!(!sent(adapter, options()).await.has("Partitioned"));
}

async fn a_cookie_can_be_not_partitioned(adapter: Adapter) {
    assert!(!sent(adapter, with_cookie(CookieOptions::new().partitioned(false))).await.has("Partitioned"));
}

async fn a_cookie_can_be_partitioned(adapter: Adapter) {
    assert!(sent(adapter, with_cookie(CookieOptions::new().partitioned(true))).await.has("Partitioned"));
}

on_each_adapter!(
    what_the_handler_changes_is_sent,
    a_cookie_lives_until_the_browser_closes_by_default,
    a_cookie_until_the_browser_closes_is_sent_once,
    the_handler_has_the_last_word_over_the_options,
    attributes_that_cannot_be_sent_are_refused_where_they_are_set_and_change_nothing,
    the_original_max_age_is_that_of_the_options,
    the_original_max_age_is_the_same_for_all_requests,
    the_original_max_age_is_the_same_from_a_store_of_json_texts,
    a_secure_cookie_is_sent_over_a_secure_connection,
    a_secure_cookie_is_not_sent_over_an_insecure_connection,
    a_cookie_expires_its_max_age_from_now,
    a_changed_max_age_changes_the_expiry,
    a_max_age_of_more_than_a_month_changes_the_expiry,
    an_expiry_can_be_a_date,
    without_expiry_a_cookie_lives_until_the_browser_closes,
    without_expiry_the_cookie_is_not_sent_again,
    without_expiry_the_cookie_is_not_sent_again_for_a_modified_session,
    a_cookie_is_not_partitioned_by_default,
    a_cookie_can_be_not_partitioned,
    a_cookie_can_be_partitioned,
);
