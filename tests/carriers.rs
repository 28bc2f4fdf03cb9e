//! The three ways of `examples/carriers`, as a browser goes them.

#![cfg(feature = "axum")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::{convert::Infallible, sync::Arc};

use axum::{Router, body::Body, http};
use express_session::{MemoryStore, Options};
use tower::ServiceExt as _;

#[path = "../examples/carriers/app.rs"]
mod app;

struct Page {
    status: u16,
    headers: http::HeaderMap,
    text: String,
}

impl Page {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The pair that the browser sends back.
    fn cookie(&self) -> Option<String> {
        self.header("set-cookie").and_then(|cookie| cookie.split(';').next()).map(Into::into)
    }

    /// What the hidden field of its form has.
    fn field(&self) -> String {
        let field = self.text.split("name=\"session\" value=\"").nth(1).unwrap();
        field.split('"').next().unwrap().into()
    }
}

async fn send(app: &Router, method: &str, uri: &str, cookie: &str, form: &str) -> Page {
    let request = http::Request::builder().method(method).uri(uri).header("cookie", cookie);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let request = request.body(Body::from(form.to_owned())).unwrap();
    let response = app.clone().oneshot(request).await.unwrap_or_else(|never: Infallible| match never {});
    let (head, body) = response.into_parts();
    let text = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    Page {
        status: head.status.as_u16(),
        headers: head.headers,
        text: String::from_utf8(text.into()).unwrap(),
    }
}

fn apps() -> (Router, Router) {
    let store = Arc::new(MemoryStore::new());
    let site = Options::new([1; 32]).store(Arc::clone(&store));
    let shop = Options::new([2; 32]).name("shop").store(store);
    app::apps(site, shop, "https://shop.example").unwrap()
}

async fn logged_in(site: &Router) -> String {
    send(site, "POST", "/login", "", "user=tj").await.cookie().unwrap()
}

#[tokio::test]
async fn by_a_cookie() {
    let (site, _) = apps();
    assert!(send(&site, "GET", "/", "", "").await.text.contains("nobody is logged in"));
    let cookie = logged_in(&site).await;
    let page = send(&site, "GET", "/", &cookie, "").await;
    assert!(page.text.contains("tj is logged in"));
    assert_eq!(page.header("vary"), Some("Cookie"));
}

#[tokio::test]
async fn by_a_field_of_a_form() {
    let (site, _) = apps();
    let mut page = send(&site, "GET", "/quiz", "", "").await;
    for (answer, right) in [("4", 1), ("5", 1), ("4", 2)] {
        assert_eq!((page.cookie(), page.header("cache-control")), (None, Some("no-store")));
        let form = format!("session={}&answer={answer}", page.field().replace('+', "%2B"));
        page = send(&site, "POST", "/quiz", "", &form).await;
        assert!(page.text.contains(&format!("{right} right")), "{}", page.text);
    }
    // Nor does a URL, a cookie or a forged field open it.
    let token = page.field();
    let in_url = format!("/quiz?session={token}");
    assert!(send(&site, "GET", &in_url, &format!("sid=s:{token}"), "").await.text.contains("0 right"));
    assert_eq!(send(&site, "POST", "/quiz", "", "session=x.y&answer=4").await.status, 403);
    assert_eq!(send(&site, "POST", "/quiz", "", "answer=4").await.status, 422);
}

#[tokio::test]
async fn by_a_code_in_a_url_to_another_origin() {
    let (site, shop) = apps();
    let cookie = logged_in(&site).await;
    let page = send(&site, "POST", "/to-shop", &cookie, "").await;
    assert_eq!((page.status, page.header("referrer-policy")), (303, Some("no-referrer")));
    let url = page.header("location").unwrap().strip_prefix("https://shop.example").unwrap().to_owned();
    assert!(url.starts_with("/arrive?code=") && !url.contains(cookie.trim_start_matches("sid=s%3A")));
    let arrived = send(&shop, "GET", &url, "", "").await;
    assert_eq!((arrived.status, arrived.header("location")), (303, Some("/")));
    let shop_cookie = arrived.cookie().unwrap();
    assert!(shop_cookie.starts_with("shop="));
    assert!(send(&shop, "GET", "/", &shop_cookie, "").await.text.contains("The shop: tj is logged in"));
    // From somebody's history it opens nothing.
    let again = send(&shop, "GET", &url, "", "").await;
    assert_eq!((again.status, again.cookie()), (403, None));
    assert!(send(&site, "GET", "/", &cookie, "").await.text.contains("tj is logged in"), "and stays so");
}
