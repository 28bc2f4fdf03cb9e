//! What stands in Redis is what connect-redis writes there, to the byte.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "helpers of tests"
)]

mod common;

use std::{
    process::ExitCode,
    time::{Duration, Instant, SystemTime},
};

use common::{
    ask, put, record, redis_url,
    server::{Server, redis_server},
    store,
};
use session_core::{AdminStore, Cookie, Destroyed, Expect, Record, Set, Sid, Store, StoreError, Touched};
use store_redis::RedisStore;
use test_support::tests;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn main() -> ExitCode {
    tests! {
        free =>
            what_has_expired_is_not_written_and_costs_no_command,
            what_is_not_redis_is_asked_whether_it_is;
        if redis_server =>
            the_prefix_is_sess_unless_another_is_set,
            no_error_shows_sid_data_or_password;
        needs redis_url =>
            key_value_and_time_to_live_are_those_of_connect_redis,
            destroy_deletes_the_key_on_its_condition_and_says_what_became_of_it,
            the_options_change_the_time_to_live_as_in_connect_redis,
            a_touch_is_an_expire_later_or_earlier,
            a_touch_goes_by_its_condition_and_says_what_became_of_it,
            without_touch_the_expiry_stays,
            without_a_time_to_live_keys_stay_until_they_are_destroyed,
            an_empty_value_is_none_and_another_type_or_no_text_is_corrupt,
            a_serializer_makes_what_is_held_and_its_refusals_lose_nothing,
            a_prefix_is_taken_literally_and_other_keys_are_left_alone;
    }
    .run()
}

const HOUR: Duration = Duration::from_secs(3_600);

/// `user`, `csrf` and so on as in a record that an Express app wrote, with a raw U+2028.
const GOLDEN: &str = "{\"cookie\":{\"originalMaxAge\":null,\"expires\":null,\"httpOnly\":true,\"path\":\"/\"},\
    \"user\":{\"id\":42,\"name\":\"Zoë Ünïcode 日本語 😀\",\"roles\":[\"admin\",\"user\"],\
    \"nested\":{\"a\":{\"b\":[1,2.5,null,true]}}},\"csrf\":\"a/b+c=\\\"<&>\u{2028}\",\"views\":1,\
    \"passport\":{\"user\":\"5f1\"}}";

fn lasting(lifetime: Duration) -> Record {
    let mut record = record("");
    record.cookie.set_max_age(Some(lifetime), SystemTime::now());
    record
}

fn expired() -> Record {
    let mut record = record("");
    record.cookie.set_expires(Some(SystemTime::now() - HOUR), SystemTime::now());
    record
}

/// The key's time to live as Redis has it, in milliseconds; -1 for ever, -2 when it is not there.
fn pttl(url: &str, prefix: &str, sid: &Sid) -> i64 {
    ask(url, &["PTTL", &format!("{prefix}{}", sid.as_str())])
}

/// So many seconds of what was written since `begun` are left, but for those that a busy machine has taken since.
#[track_caller]
fn assert_left(url: &str, prefix: &str, sid: &Sid, begun: Instant, seconds: i64) {
    let left = pttl(url, prefix, sid);
    let passed = i64::try_from(begun.elapsed().as_millis()).unwrap();
    // Redis counts from the beginning of its millisecond.
    assert!((0..=passed + 1).contains(&(seconds * 1_000 - left)), "{left} of {seconds} s after {passed} ms");
}

/// A new session, held for so many seconds.
async fn put_for(store: &RedisStore, url: &str, prefix: &str, record: &Record, seconds: i64) -> Sid {
    let begun = Instant::now();
    let sid = put(store, record).await;
    assert_left(url, prefix, &sid, begun, seconds);
    sid
}

fn key_value_and_time_to_live_are_those_of_connect_redis(url: String) {
    session_testkit::run(async {
        let (store, prefix) = store(&url);
        let sid = put_for(&store, &url, &prefix, &Record::parse(GOLDEN).unwrap(), 86_400).await;
        let key = format!("{prefix}{}", sid.as_str());
        assert_eq!(ask::<String>(&url, &["TYPE", &key]), "string");
        assert_eq!(ask::<String>(&url, &["GET", &key]), GOLDEN);
        put_for(&store, &url, &prefix, &lasting(HOUR), 3_600).await;
        put_for(&store, &url, &prefix, &lasting(Duration::from_millis(3_600_500)), 3_601).await;
    });
}

fn a_serializer_makes_what_is_held_and_its_refusals_lose_nothing(url: String) {
    session_testkit::run(async {
        let (plain, prefix) = store(&url);
        let open = || RedisStore::open(&url).unwrap().prefix(&prefix);
        let reversed = open().serializer(
            |json| match json {
                json if json.contains("nothing") => Ok(Vec::new()),
                json if json.contains("refused") => Err("not that one".into()),
                json => Ok(json.bytes().rev().collect()),
            },
            |held| Ok(String::from_utf8(held.iter().rev().copied().collect())?),
        );
        let sid = put(&reversed, &record("\"n\":1")).await;
        let key = format!("{prefix}{}", sid.as_str());
        let backwards: String = record("\"n\":1").to_json().chars().rev().collect();
        assert_eq!(ask::<String>(&url, &["GET", &key]), backwards);
        let held = reversed.get(&sid).await.unwrap().unwrap();
        assert_eq!(held.record, record("\"n\":1"));
        for bad in ["\"n\":\"nothing\"", "\"n\":\"refused\""] {
            for expect in [Expect::Anything, Expect::Nothing, Expect::Version(held.version.clone())] {
                let error = reversed.set(&sid, &record(bad), &expect).await.unwrap_err();
                let StoreError::Unavailable { source, .. } = &error else { panic!("{error:?}") };
                assert_eq!(source.to_string(), "the serializer failed");
            }
        }
        assert_eq!(ask::<String>(&url, &["GET", &key]), backwards);
        // Who has another one reads nothing, and says so.
        assert!(matches!(plain.get(&sid).await, Err(StoreError::Corrupt { .. })));
        let latin = put(&plain, &record("\"n\":\"é\"")).await;
        assert!(matches!(reversed.get(&latin).await, Err(StoreError::Corrupt { .. })));
        let mut read = 0;
        reversed.all(&mut |_, _| read += 1).await.unwrap();
        assert_eq!(read, 1);
    });
}

fn what_has_expired_is_not_written_and_costs_no_command() {
    session_testkit::run(async {
        let down = || RedisStore::open("redis://127.0.0.1:1").unwrap();
        let version = session_core::Version::from_text("0".repeat(40));
        for (store, expired) in [
            (down(), expired()),
            (down().ttl_with(|_| HOUR), expired()),
            (down().ttl_with(|_| Duration::ZERO), lasting(HOUR)),
            (down().ttl(Duration::ZERO), record("")),
            (down().disable_touch(true), expired()),
            (down().disable_ttl(true), expired()),
        ] {
            for expect in [Expect::Anything, Expect::Nothing, Expect::Version(version.clone())] {
                let sid = Sid::random();
                assert_eq!(store.set(&sid, &expired, &expect).await.unwrap(), Set::Expired);
                assert_eq!(store.touch(&sid, &expired.cookie, &expect).await.unwrap(), Touched::Expired);
            }
        }
    });
}

fn destroy_deletes_the_key_on_its_condition_and_says_what_became_of_it(url: String) {
    session_testkit::run(async {
        let (store, prefix) = store(&url);
        let key = |sid: &Sid| format!("{prefix}{}", sid.as_str());
        let (sid, other) = (put(&store, &record("")).await, put(&store, &record("")).await);
        let version = Expect::Version(store.get(&sid).await.unwrap().unwrap().version);
        let _: String = ask(&url, &["SET", &key(&sid), &record("\"a\":1").to_json()]);
        for expect in [&version, &Expect::Nothing] {
            assert_eq!(store.destroy(&sid, expect).await.unwrap(), Destroyed::Conflict);
        }
        let held = Expect::Version(store.get(&sid).await.unwrap().unwrap().version);
        assert_eq!(store.destroy(&sid, &held).await.unwrap(), Destroyed::Destroyed);
        assert_eq!(pttl(&url, &prefix, &sid), -2);
        for expect in [&held, &Expect::Nothing, &Expect::Anything] {
            assert_eq!(store.destroy(&sid, expect).await.unwrap(), Destroyed::Unknown);
        }
        assert_eq!(store.destroy(&other, &Expect::Anything).await.unwrap(), Destroyed::Destroyed);
        assert_eq!(pttl(&url, &prefix, &other), -2);
    });
}

fn the_prefix_is_sess_unless_another_is_set() {
    session_testkit::run(async {
        let server = Server::start(&[]);
        let store = RedisStore::open(&server.url()).unwrap();
        let sid = put(&store, &record("")).await;
        assert_eq!(server.ask::<Vec<String>>(&["KEYS", "*"]), [format!("sess:{}", sid.as_str())]);
        let bare = put(&store.prefix(""), &record("")).await;
        assert_eq!(server.ask::<i64>(&["EXISTS", bare.as_str()]), 1);
    });
}

fn the_options_change_the_time_to_live_as_in_connect_redis(url: String) {
    session_testkit::run(async {
        let open = || store(&url);
        let (store, prefix) = open();
        let store = store.ttl(Duration::from_millis(59_001));
        put_for(&store, &url, &prefix, &record(""), 60).await;
        put_for(&store, &url, &prefix, &lasting(HOUR), 3_600).await;

        let (store, prefix) = open();
        let store = store.ttl(Duration::ZERO);
        let unkept = store.set(&Sid::random(), &record(""), &Expect::Nothing).await.unwrap();
        assert_eq!(unkept, Set::Expired);
        let store = store.ttl(Duration::MAX);
        put_for(&store, &url, &prefix, &record(""), 31_556_952_000).await;

        let (store, prefix) = open();
        let store = store.ttl_with(|cookie| cookie.original_max_age().unwrap_or_default() / 2);
        let sid = put_for(&store, &url, &prefix, &lasting(HOUR), 1_800).await;
        let begun = Instant::now();
        store.touch(&sid, &lasting(2 * HOUR).cookie, &Expect::Anything).await.unwrap();
        assert_left(&url, &prefix, &sid, begun, 3_600);
        assert_eq!(store.get(&sid).await.unwrap().unwrap().lifetime, Some(HOUR / 2));
        for expect in [Expect::Anything, Expect::Nothing] {
            assert_eq!(store.set(&sid, &record(""), &expect).await.unwrap(), Set::Expired);
        }
        // What is held stays.
        assert_left(&url, &prefix, &sid, begun, 3_600);

        let (store, _) = open();
        let store = store.ttl_with(|_| Duration::MAX);
        let sid = put(&store, &lasting(HOUR)).await;
        assert!(store.get(&sid).await.unwrap().unwrap().left > Some(HOUR - Duration::from_secs(60)));

        // Longer than the cookie: which is what the core is told of. What has less than its whole lifetime is due for a touch.
        let (store, prefix) = open();
        let grace = Duration::from_secs(60);
        let store = store.ttl_with(move |cookie| cookie.original_max_age().unwrap_or_default() + grace);
        let sid = put_for(&store, &url, &prefix, &lasting(HOUR), 3_660).await;
        let told = store.get(&sid).await.unwrap().unwrap();
        assert_eq!(told.lifetime, Some(HOUR));
        assert!(told.left <= Some(HOUR) && told.left > Some(HOUR - grace));
        let mut kept_back = lasting(HOUR);
        let age = kept_back.cookie.original_max_age();
        let kept_since = Instant::now();
        kept_back.cookie.set_max_age(age, std::time::SystemTime::now() - HOUR / 5);
        let sid = put(&store, &kept_back).await;
        assert_left(&url, &prefix, &sid, kept_since, 3_600 * 4 / 5 + 60);
        let told = store.get(&sid).await.unwrap().unwrap();
        assert!(told.left.unwrap() <= HOUR * 4 / 5 && told.lifetime == Some(HOUR));

        // Shorter: the same part of it.
        let (store, prefix) = open();
        let store = store.ttl_with(|cookie| cookie.original_max_age().unwrap_or_default() / 2);
        put_for(&store, &url, &prefix, &lasting(HOUR), 1_800).await;
        let sid = put(&store, &kept_back).await;
        assert_left(&url, &prefix, &sid, kept_since, 1_800 * 4 / 5);
        let told = store.get(&sid).await.unwrap().unwrap();
        assert!(told.left.unwrap() <= HOUR * 2 / 5 && told.lifetime == Some(HOUR / 2));
    });
}

fn a_touch_is_an_expire_later_or_earlier(url: String) {
    session_testkit::run(async {
        let (store, prefix) = store(&url);
        let sid = put(&store, &lasting(HOUR)).await;
        let version = Expect::Version(store.get(&sid).await.unwrap().unwrap().version);
        for expect in [&Expect::Anything, &version] {
            let mut begun = Instant::now();
            for (lifetime, seconds) in [(Some(2 * HOUR), 7_200), (None, 86_400), (Some(HOUR), 3_600)] {
                begun = Instant::now();
                let cookie = lifetime.map_or_else(Cookie::default, |lifetime| lasting(lifetime).cookie);
                assert_eq!(store.touch(&sid, &cookie, expect).await.unwrap(), Touched::Moved);
                assert_left(&url, &prefix, &sid, begun, seconds);
            }
            assert_eq!(store.touch(&sid, &expired().cookie, expect).await.unwrap(), Touched::Expired);
            // What is held stays.
            assert_left(&url, &prefix, &sid, begun, 3_600);
        }
    });
}

fn a_touch_goes_by_its_condition_and_says_what_became_of_it(url: String) {
    session_testkit::run(async {
        let (store, prefix) = store(&url);
        let sid = put(&store, &lasting(HOUR)).await;
        let version = Expect::Version(store.get(&sid).await.unwrap().unwrap().version);
        let elsewhere = Expect::Version(session_core::Version::from_number(1));
        let (key, text) = (format!("{prefix}{}", sid.as_str()), record("\"a\":1").to_json());
        let begun = Instant::now();
        let _: String = ask(&url, &["SET", &key, &text, "EX", "60"]);
        for expect in [&version, &elsewhere, &Expect::Nothing] {
            let touched = store.touch(&sid, &lasting(HOUR).cookie, expect).await.unwrap();
            assert_eq!(touched, Touched::Conflict);
            assert_left(&url, &prefix, &sid, begun, 60);
        }
        assert_eq!(ask::<String>(&url, &["GET", &key]), text);
        let _: i64 = ask(&url, &["DEL", &key]);
        for expect in [&version, &elsewhere, &Expect::Nothing, &Expect::Anything] {
            let touched = store.touch(&sid, &lasting(HOUR).cookie, expect).await.unwrap();
            assert_eq!(touched, Touched::Unknown);
            assert_eq!(pttl(&url, &prefix, &sid), -2);
        }
    });
}

fn without_touch_the_expiry_stays(url: String) {
    session_testkit::run(async {
        let (store, prefix) = store(&url);
        let store = store.disable_touch(true);
        let sid = put(&store, &lasting(HOUR)).await;
        let begun = Instant::now();
        let _: i64 = ask(&url, &["EXPIRE", &format!("{prefix}{}", sid.as_str()), "60"]);
        // Nobody looks whether it is that version.
        let other = Expect::Version(session_core::Version::from_text("0".repeat(40)));
        for (expect, answer) in [
            (Expect::Anything, Touched::Skipped),
            (other, Touched::Skipped),
            (Expect::Nothing, Touched::Conflict),
        ] {
            assert_eq!(store.touch(&sid, &lasting(HOUR).cookie, &expect).await.unwrap(), answer);
            assert_left(&url, &prefix, &sid, begun, 60);
        }
        let stored = store.get(&sid).await.unwrap().unwrap();
        assert!(stored.left.is_some() && stored.left == stored.lifetime, "no touch is ever due");
    });
}

fn without_a_time_to_live_keys_stay_until_they_are_destroyed(url: String) {
    session_testkit::run(async {
        let (store, prefix) = store(&url);
        let store = store.disable_ttl(true);
        for record in [record(""), lasting(HOUR)] {
            let sid = put(&store, &record).await;
            assert_eq!(pttl(&url, &prefix, &sid), -1);
            let stored = store.get(&sid).await.unwrap().unwrap();
            assert_eq!((stored.left, stored.lifetime), (None, None));
            for expect in [Expect::Anything, Expect::Version(stored.version.clone())] {
                assert_eq!(store.touch(&sid, &record.cookie, &expect).await.unwrap(), Touched::Skipped);
            }
            let written = store.set(&sid, &record, &Expect::Version(stored.version.clone())).await.unwrap();
            assert!(matches!(written, Set::Written(_)));
            assert_eq!(pttl(&url, &prefix, &sid), -1);
            let version = Expect::Version(stored.version);
            assert_eq!(store.set(&sid, &expired(), &version).await.unwrap(), Set::Expired);
            assert_eq!(store.destroy(&sid, &version).await.unwrap(), Destroyed::Destroyed);
        }
    });
}

fn an_empty_value_is_none_and_another_type_or_no_text_is_corrupt(url: String) {
    session_testkit::run(async {
        let (store, prefix) = store(&url);
        let key = |sid: &Sid| format!("{prefix}{}", sid.as_str());
        let [empty, list, bytes, null] = [(); 4].map(|()| Sid::random());
        let good = put(&store, &record("")).await;
        let _: String = ask(&url, &["SET", &key(&empty), ""]);
        let _: i64 = ask(&url, &["RPUSH", &key(&list), "hunter2"]);
        let _: i64 = ask(&url, &["SETBIT", &key(&bytes), "0", "1"]);
        let _: String = ask(&url, &["SET", &key(&null), "null"]);
        assert!(store.get(&empty).await.unwrap().is_none());
        for sid in [&list, &bytes, &null] {
            let error = store.get(sid).await.unwrap_err();
            assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
            assert!(!format!("{error:?} {error}").contains("hunter2"));
        }
        let next = record("\"a\":1");
        let Set::Written(version) = store.set(&good, &record(""), &Expect::Anything).await.unwrap() else {
            panic!("it is always written")
        };
        for expect in [Expect::Nothing, Expect::Version(version)] {
            for sid in [&list, &bytes, &null] {
                assert_eq!(store.set(sid, &next, &expect).await.unwrap(), Set::Conflict);
                assert_eq!(store.touch(sid, &next.cookie, &expect).await.unwrap(), Touched::Conflict);
                assert_eq!(store.destroy(sid, &expect).await.unwrap(), Destroyed::Conflict);
            }
            assert_eq!(store.set(&empty, &next, &expect).await.unwrap(), Set::Conflict, "something is held");
        }
        let mut shown = Vec::new();
        store.all(&mut |sid, _| shown.push(sid)).await.unwrap();
        assert_eq!(shown, [good], "what cannot be read is passed over");
        store.clear().await.unwrap();
        assert_eq!(store.length().await.unwrap(), 0);
    });
}

fn a_prefix_is_taken_literally_and_other_keys_are_left_alone(url: String) {
    session_testkit::run(async {
        let (_, unique) = store(&url);
        for odd in ["*", "s[ab]*:", "?", "\\", "[^a]", "a]", "é\u{1F600}\"'"] {
            let prefix = format!("{unique}{odd}");
            let store = RedisStore::open(&url).unwrap().prefix(&prefix).scan_count(1);
            let sid = put(&store, &record("")).await;
            let other = format!("{unique}sa:{}", sid.as_str());
            let _: String = ask(&url, &["SET", &other, "other"]);
            let mut shown = Vec::new();
            store.ids(&mut |sid| shown.push(sid)).await.unwrap();
            assert_eq!(shown, std::slice::from_ref(&sid), "{odd}");
            store.clear().await.unwrap();
            assert!(store.get(&sid).await.unwrap().is_none());
            assert_eq!(ask::<i64>(&url, &["DEL", &other]), 1);
        }
    });
}

fn no_error_shows_sid_data_or_password() {
    session_testkit::run(async {
        // What the server does not know, it repeats with its arguments.
        let renamed =
            ["EVALSHA", "SET", "GET", "EXPIRE", "DEL", "SCAN"].map(|name| ["--rename-command", name, ""]);
        let server = Server::start(&renamed.concat());
        let store = RedisStore::open(&server.url()).unwrap();
        let (sid, secret) = (Sid::random(), record(r#""password":"hunter2""#));
        let version = Expect::Version(session_core::Version::from_text("0".repeat(40)));
        let errors = [
            store.get(&sid).await.map(drop).unwrap_err(),
            store.set(&sid, &secret, &version).await.map(drop).unwrap_err(),
            store.set(&sid, &secret, &Expect::Anything).await.map(drop).unwrap_err(),
            store.set(&sid, &secret, &Expect::Nothing).await.map(drop).unwrap_err(),
            store.touch(&sid, &secret.cookie, &version).await.map(drop).unwrap_err(),
            store.touch(&sid, &secret.cookie, &Expect::Anything).await.map(drop).unwrap_err(),
            store.destroy(&sid, &version).await.map(drop).unwrap_err(),
            store.destroy(&sid, &Expect::Anything).await.map(drop).unwrap_err(),
            store.length().await.map(drop).unwrap_err(),
        ];
        for error in errors {
            let source = std::error::Error::source(&error).unwrap();
            assert!(source.to_string().contains("unknown command"), "{source}");
            let shown = format!("{error:?} {error} {source:?} {source}");
            assert!(!shown.contains(sid.as_str()) && !shown.contains("hunter2"), "{shown}");
        }

        let url = format!("redis://tj:hunter2@127.0.0.1:{}", server.port);
        let store = RedisStore::open(&url).unwrap();
        let refused = store.get(&sid).await.map(drop).unwrap_err();
        let garbled = RedisStore::open("http://tj:hunter2@127.0.0.1").unwrap_err();
        let shown = format!("{store:?} {refused:?} {garbled:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    });
}

/// The library's error would quote what it got.
fn what_is_not_redis_is_asked_whether_it_is() {
    session_testkit::run(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut asked = [0; 1_024];
                    while let Ok(1..) = client.read(&mut asked).await {
                        if client.write_all(b"%hunter2\r\n$7\r\nhunter2\r\n").await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        let store = RedisStore::open(&url).unwrap().timeout(Duration::from_secs(5));
        let error = store.get(&Sid::random()).await.map(drop).unwrap_err();
        let source = std::error::Error::source(&error).unwrap();
        assert!(source.to_string().contains("is it Redis?"), "{source}");
        assert!(!format!("{error:?} {source:?} {source}").contains("hunter2"), "{source:?}");
    });
}
