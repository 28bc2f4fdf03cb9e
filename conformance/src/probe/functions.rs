//! The functions that a configuration can name for the options `cookie` and `genid`. The oracle has the same ones.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use express_session::{CookieOptions, Options, Priority, RequestInfo, SameSite, Sid};

pub(super) type OfOptions = fn(Options) -> Options;

/// Each answers the options of one request's cookie.
pub(super) const COOKIE: [(&str, OfOptions); 3] = [
    ("byPath", |options| {
        options.cookie_with(|request| {
            let age = if request.path().starts_with("/app") { 60 } else { 3_600 };
            CookieOptions::new().path("/").max_age(Duration::from_secs(age)).same_site(SameSite::Lax)
        })
    }),
    ("ofApp", |options| {
        options.cookie_with(|_| CookieOptions::new().path("/app").http_only(false).priority(Priority::High))
    }),
    ("byHeader", |options| {
        options.cookie_with(|request| {
            let forwarded = request.header("x-forwarded-proto").unwrap_or_default();
            let secure = forwarded.split(',').next() == Some("https");
            CookieOptions::new().secure(secure).max_age(None)
        })
    }),
];

/// Each makes ids, the first of them with the number 1.
pub(super) const GENID: [(&str, OfOptions); 3] = [
    ("counted", |options| options.genid(numbered(|n, _| format!("number-{n}")))),
    ("odd", |options| options.genid(numbered(|n, _| format!("{n} é☃/+%;=.")))),
    ("byPath", |options| options.genid(numbered(|n, request| format!("{}#{n}", request.path())))),
];

fn numbered(id: fn(u64, &RequestInfo<'_>) -> String) -> impl Fn(&RequestInfo<'_>) -> Sid + Send + Sync {
    let n = AtomicU64::new(0);
    move |request| Sid::from(id(n.fetch_add(1, Ordering::Relaxed) + 1, request))
}
