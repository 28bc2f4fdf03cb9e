//! What an option says is what goes out and what is stored. What Express does with the same words is the comparison's to show.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::{
    error::Error as _,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use session_core::{
    CookieOptions, Error, Failure, MemoryStore, Options, Priority, Proxy, ProxyHeader, Record, RequestInfo,
    SameSite, Secret, Secure, SessionHandle, Sid, StoreError,
};
use session_testkit::{Call, Captured, ManualClock, RecordingStore, run};

/// A request with these headers: the session's id, and its `Set-Cookie`.
async fn request(
    options: &Options,
    headers: &[(&str, &str)],
    handler: impl FnOnce(&SessionHandle),
) -> (Sid, Option<String>) {
    let sessions = options.clone().build().unwrap();
    let each = |visit: &mut dyn FnMut(&str, &[u8])| {
        headers.iter().for_each(|(name, value)| visit(name, value.as_bytes()));
    };
    let exchange = sessions.exchange();
    let session = exchange.session(&RequestInfo::new("/admin", false, &each)).await.unwrap().unwrap();
    handler(&session);
    (session.id().unwrap(), exchange.end().await.unwrap().pop())
}

fn logs_in(session: &SessionHandle) {
    session.insert("user", "tj").unwrap();
}

/// Attributes and all, without its value, which is an id's.
async fn attributes(options: Options) -> String {
    let clock = ManualClock::new();
    let options = options.store(MemoryStore::new().clock(clock.clock())).clock(clock.clock());
    let (_, cookie) = request(&options, &[], logs_in).await;
    let cookie = cookie.unwrap_or_else(|| panic!("{options:?}"));
    let (name, rest) = (cookie.split('=').next().unwrap(), cookie.split_once(';').unwrap().1);
    format!("{name};{rest}")
}

#[test]
fn the_cookie_has_what_its_options_say() {
    let of = |cookie: CookieOptions| Options::express("keyboard cat").cookie(cookie);
    let new = CookieOptions::new;
    // Where the clock starts.
    let start = UNIX_EPOCH + Duration::from_millis(1_767_323_045_678);
    run(async {
        for (options, cookie) in [
            (Options::express("keyboard cat"), "connect.sid; Path=/; HttpOnly"),
            (Options::new("keyboard cat"), "sid; Path=/; HttpOnly; SameSite=Lax"),
            (of(new().http_only(false)), "connect.sid; Path=/"),
            (of(new().path("/admin")), "connect.sid; Path=/admin; HttpOnly"),
            (of(new().domain("example.com")), "connect.sid; Domain=example.com; Path=/; HttpOnly"),
            (of(new().same_site(SameSite::Strict)), "connect.sid; Path=/; HttpOnly; SameSite=Strict"),
            (of(new().priority(Priority::High)), "connect.sid; Path=/; HttpOnly; Priority=High"),
            (of(new().partitioned(true)), "connect.sid; Path=/; HttpOnly; Partitioned"),
            (
                of(new().max_age(Duration::from_secs(20))),
                "connect.sid; Path=/; Expires=Fri, 02 Jan 2026 03:04:25 GMT; HttpOnly",
            ),
            (
                of(new().max_age_millis(20_000)),
                "connect.sid; Path=/; Expires=Fri, 02 Jan 2026 03:04:25 GMT; HttpOnly",
            ),
            (
                of(new().expires(start + Duration::from_secs(40))),
                "connect.sid; Path=/; Expires=Fri, 02 Jan 2026 03:04:45 GMT; HttpOnly",
            ),
        ] {
            assert_eq!(attributes(options).await, cookie);
        }
    });
}

#[test]
fn the_secret_that_was_set_last_signs() {
    run(async {
        let options = Options::new("an old one").secret(["the new one", "an old one"]);
        let (sid, cookie) = request(&options.store(MemoryStore::new()), &[], logs_in).await;
        let value = percent_decoded(cookie.unwrap().split(['=', ';']).nth(1).unwrap());
        assert_eq!(value, format!("s:{}", Secret::new("the new one").sign(sid.as_str())));
    });
}

fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

#[test]
fn the_express_profile_writes_what_nobody_changed_and_a_trusted_header_is_the_one_that_was_chosen() {
    run(async {
        let store = RecordingStore::new(MemoryStore::new());
        let options = Options::express("keyboard cat").store(Arc::clone(&store));
        let (_, cookie) = request(&options, &[], |_| {}).await;
        let cookie = cookie.unwrap();
        store.calls();
        request(&options, &[("cookie", cookie.split(';').next().unwrap())], |_| {}).await;
        let calls = store.calls();
        assert!(matches!(calls[..], [Call::Get, Call::Set]), "{calls:?}");

        let secure = CookieOptions::new().secure(Secure::Always);
        let behind = |header| {
            let options = Options::new("keyboard cat").proxy(Proxy::Hops(1)).proxy_header(header);
            options.cookie(secure.clone()).store(MemoryStore::new())
        };
        for (header, name, value) in [
            (ProxyHeader::XForwardedProto, "x-forwarded-proto", "https"),
            (ProxyHeader::Forwarded, "forwarded", "proto=https"),
        ] {
            for chosen in [ProxyHeader::XForwardedProto, ProxyHeader::Forwarded] {
                let (_, cookie) = request(&behind(chosen), &[(name, value)], logs_in).await;
                assert_eq!(cookie.is_some(), chosen == header, "{name} where {chosen:?} is read");
            }
        }
    });
}

#[test]
fn options_that_cannot_work_name_the_one() {
    for (option, options) in [
        ("secret", Options::new("")),
        ("name", Options::new("keyboard cat").name("")),
        ("cookie.path", Options::new("keyboard cat").cookie(CookieOptions::new().path("a"))),
    ] {
        assert_eq!(options.build().unwrap_err().option(), option);
    }
}

#[test]
fn a_failure_is_told_once_and_says_its_status_and_its_cause() {
    let log = Captured::begin();
    let told = || log.text().matches("the request fails because of its session").count();
    let down = || Error::Store(StoreError::unavailable("redis", "no connection"));
    let failure = Failure::from(down());
    assert_eq!((told(), failure.tell(), told()), (0, 503, 1));
    assert_eq!((failure.clone().tell(), failure.tell(), told()), (503, 503, 1));
    assert_eq!((Failure::from(Error::ReservedKey("cookie".into())).tell(), told()), (500, 2));
    assert_eq!((Failure::told(down()).tell(), told()), (503, 2));
    let cause = |error: &dyn std::error::Error| error.source().map(ToString::to_string);
    assert_eq!(cause(&failure), cause(&down()));
    assert!(failure.source().is_some());
}

#[test]
fn records_are_equal_when_both_of_their_parts_are() {
    let record = |cookie: &str, data: &str| Record::parse(format!(r#"{{"cookie":{cookie}{data}}}"#)).unwrap();
    let (plain, admin) = (r#"{"path":"/"}"#, r#"{"path":"/admin"}"#);
    let one = record(plain, r#","a":1"#);
    assert!(one == record(plain, r#","a":1"#));
    assert!(one != record(plain, r#","a":2"#));
    assert!(one != record(admin, r#","a":1"#));
    // What a store has read them from is no part of them, and goes along with the data.
    let read = one.clone().with_origin(Arc::new(1));
    assert!(one == read);
    assert_eq!(Record::new(one.cookie.clone(), read.data.clone()).origin(), Some(&1));
    assert_eq!(Record::new(read.cookie, one.data).origin::<i32>(), None);
}

/// As `get_path` finds it first.
#[test]
fn a_key_that_is_the_whole_path_is_the_one_that_is_put() {
    run(async {
        let options = Options::new("keyboard cat").store(MemoryStore::new());
        request(&options, &[], |session| {
            session.insert("a.b", 1).unwrap();
            session.insert_path("a.b", 2).unwrap();
            assert_eq!(session.keys(), ["a.b"]);
            assert_eq!(session.get_path("a.b").unwrap(), Some(2));
        })
        .await;
    });
}
