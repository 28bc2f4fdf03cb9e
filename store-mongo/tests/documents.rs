//! The documents, to the byte: what connect-mongo 6 has written with the same options.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a test that cannot go on stops"
)]

mod common;

use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime},
};

use common::{clock, collection, document, in_an_hour, mongodb_url, put, quiet, record, set};
use mongodb::{
    Collection,
    bson::{
        Binary, Bson, DateTime, Decimal128, Document, RawDocumentBuf, doc, oid::ObjectId, spec::BinarySubtype,
    },
};
use session_core::{
    AdminStore, Destroyed, Expect, Options, Record, RequestInfo, Set, Sid, Store, StoreError, Touched,
};
use session_testkit::run;
use store_mongo::{Kruptein, MongoOptions, MongoStore, mongodb};
use test_support::tests;

fn main() -> ExitCode {
    tests! {
        free =>
            what_has_expired_itself_changes_nothing;
        needs mongodb_url =>
            a_string,
            a_string_whose_cookie_expires_and_the_touch_after,
            last_modified_and_timestamps,
            a_document,
            a_name_of_its_own_and_a_time_to_live,
            dates_and_object_ids_stay_what_they_are,
            types_stay_beside_what_changed_and_under_another_sid,
            what_looks_like_extended_json_is_what_it_is,
            bytes_that_are_no_bson_are_corrupt_and_spoil_nothing_else,
            both_forms_are_read_and_change_over,
            what_cannot_be_read_is_said_and_spoils_nothing_else,
            without_expires_a_session_is_held_and_with_null_it_has_expired,
            a_touch_is_throttled_as_touch_after_says,
            touch_says_what_became_of_the_document,
            destroy_says_what_became_of_the_document,
            what_has_expired_and_is_not_yet_removed_is_not_held,
            a_write_over_what_has_expired_is_a_new_session;
    }
    .run()
}

const USER: &str = r#""user":{"id":42,"name":"Zoë Ünïcode 日本語 😀","roles":["admin","user"],"nested":{"a":{"b":[1,2.5,null,true]}}}"#;
const REST: &str = "\"csrf\":\"a/b+c=\\\"<&>\u{2028}\",\"views\":1,\"passport\":{\"user\":\"5f1\"}";
const FOURTEEN_DAYS: u64 = 14 * 86_400_000;

/// Canonical extended JSON as the server's tools print it.
fn shown(document: Document) -> String {
    Bson::Document(document).into_canonical_extjson().to_string()
}

fn string(session: &str) -> String {
    serde_json::to_string(session).unwrap()
}

fn with_max_age(data: &str, original: u64, expires: &str) -> Record {
    let cookie = format!(
        r#"{{"originalMaxAge":{original},"expires":"{expires}","secure":false,"httpOnly":true,"path":"/","sameSite":"lax"}}"#
    );
    Record::parse(format!(r#"{{"cookie":{cookie},{data}}}"#)).unwrap()
}

async fn written(
    url: &str,
    now: u64,
    record: &Record,
    options: impl FnOnce(MongoOptions) -> MongoOptions,
) -> (String, String) {
    let collection = collection(url).await;
    let store = options(quiet(&collection).clock(clock(now))).build().unwrap();
    let sid = put(&store, record).await;
    (shown(document(&collection, &sid).await), sid.as_str().to_owned())
}

fn a_string(url: String) {
    run(async {
        let record = record(&format!("{USER},{REST}"));
        let (shown, sid) = written(&url, 1_796_457_130_644 - FOURTEEN_DAYS, &record, |options| options).await;
        let session = string(&format!(
            r#"{{"cookie":{{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}},{USER},{REST}}}"#
        ));
        assert_eq!(
            shown,
            format!(
                r#"{{"_id":"{sid}","expires":{{"$date":{{"$numberLong":"1796457130644"}}}},"session":{session}}}"#
            )
        );
    });
}

fn a_string_whose_cookie_expires_and_the_touch_after(url: String) {
    run(async {
        let collection = collection(&url).await;
        let store = quiet(&collection).clock(clock(1_795_247_532_205)).build().unwrap();
        let record = with_max_age(USER, 3_599_999, "2026-11-21T08:52:12.205Z");
        let sid = put(&store, &record).await;
        let expected = |expires: u64| {
            let session = string(&format!(
                r#"{{"cookie":{{"originalMaxAge":3599999,"expires":"2026-11-21T08:52:12.205Z","secure":false,"httpOnly":true,"path":"/","sameSite":"lax"}},{USER}}}"#
            ));
            format!(
                r#"{{"_id":"{}","expires":{{"$date":{{"$numberLong":"{expires}"}}}},"session":{session}}}"#,
                sid.as_str()
            )
        };
        assert_eq!(shown(document(&collection, &sid).await), expected(1_795_251_132_205));
        let touched = with_max_age(USER, 3_599_999, "2026-11-21T08:52:12.239Z");
        assert_eq!(store.touch(&sid, &touched.cookie, &Expect::Anything).await.unwrap(), Touched::Moved);
        assert_eq!(shown(document(&collection, &sid).await), expected(1_795_251_132_239));
    });
}

fn last_modified_and_timestamps(url: String) {
    run(async {
        let now = 1_795_247_536_455;
        let record = with_max_age(USER, 3_600_000, "2026-11-21T08:52:16.455Z");
        let session = string(&record.to_json());
        let day = Duration::from_secs(86_400);
        let (shown, sid) = written(&url, now, &record, |options| options.touch_after(day)).await;
        assert_eq!(
            shown,
            format!(
                r#"{{"_id":"{sid}","expires":{{"$date":{{"$numberLong":"1795251136455"}}}},"lastModified":{{"$date":{{"$numberLong":"1795247536455"}}}},"session":{session}}}"#
            )
        );
        let asked = server_time(&url).await;
        let (shown, sid) = written(&url, now, &record, |options| options.timestamps(true)).await;
        let (before, updated) = shown.rsplit_once(r#","updatedAt":{"$date":{"$numberLong":"#).unwrap();
        assert_eq!(
            before,
            format!(
                r#"{{"_id":"{sid}","createdAt":{{"$date":{{"$numberLong":"1795247536455"}}}},"expires":{{"$date":{{"$numberLong":"1795251136455"}}}},"session":{session}"#
            )
        );
        let updated: i64 = updated.trim_matches(['"', '}']).parse().unwrap();
        assert!((asked..=server_time(&url).await).contains(&updated), "the server's clock: {updated}");
    });
}

/// In milliseconds since 1970.
async fn server_time(url: &str) -> i64 {
    let hello =
        collection(url).await.client().database("admin").run_command(doc! { "hello": 1 }).await.unwrap();
    hello.get_datetime("localTime").unwrap().timestamp_millis()
}

fn a_document(url: String) {
    run(async {
        let user = r#""user":{"id":{"$numberInt":"42"},"name":"Zoë Ünïcode 日本語 😀","roles":["admin","user"],"nested":{"a":{"b":[{"$numberInt":"1"},{"$numberDouble":"2.5"},null,true]}}}"#;
        let rest = REST.replace(r#""views":1"#, r#""views":{"$numberInt":"1"}"#);
        let (shown, sid) =
            written(&url, 1_796_457_137_825 - FOURTEEN_DAYS, &record(&format!("{USER},{REST}")), |options| {
                options.stringify(false)
            })
            .await;
        assert_eq!(
            shown,
            format!(
                r#"{{"_id":"{sid}","expires":{{"$date":{{"$numberLong":"1796457137825"}}}},"session":{{"cookie":{{"originalMaxAge":null,"partitioned":null,"priority":null,"expires":null,"secure":null,"httpOnly":true,"domain":null,"path":"/","sameSite":null}},{user},{rest}}}}}"#
            )
        );
        let cookie =
            r#"{"originalMaxAge":3600000,"expires":"2026-11-21T08:52:17.995Z","httpOnly":true,"path":"/"}"#;
        let record = Record::parse(format!(r#"{{"cookie":{cookie}}}"#)).unwrap();
        let (shown, sid) =
            written(&url, 1_795_247_537_995, &record, |options| options.stringify(false)).await;
        let date = r#"{"$date":{"$numberLong":"1795251137995"}}"#;
        assert_eq!(
            shown,
            format!(
                r#"{{"_id":"{sid}","expires":{date},"session":{{"cookie":{{"originalMaxAge":{{"$numberInt":"3600000"}},"partitioned":null,"priority":null,"expires":{date},"secure":null,"httpOnly":true,"domain":null,"path":"/","sameSite":null}}}}}}"#
            )
        );
    });
}

fn a_name_of_its_own_and_a_time_to_live(url: String) {
    run(async {
        let collection = collection(&url).await;
        let options = quiet(&collection).clock(clock(1_795_247_537_000)).ttl(Duration::from_secs(60));
        let store = options.transform_id(|sid| format!("app1:{sid}")).build().unwrap();
        let sid = put(&store, &record("")).await;
        assert!(store.get(&sid).await.unwrap().is_some());
        let document = document(&collection, &Sid::from(format!("app1:{}", sid.as_str()))).await;
        assert_eq!(document.get_datetime("expires").unwrap().timestamp_millis(), 1_795_247_597_000);
        let error = store.ids(&mut |_| panic!("no sids to show")).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }));
        let error = store.all(&mut |_, _| panic!("no sids to show")).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }));
        assert_eq!(store.length().await.unwrap(), 1);
        assert_eq!(store.destroy(&sid, &Expect::Anything).await.unwrap(), Destroyed::Destroyed);
        assert_eq!(store.length().await.unwrap(), 0);
    });
}

/// What Express stored past JSON stays what it is while a Rust handler changes something else.
fn dates_and_object_ids_stay_what_they_are(url: String) {
    run(async {
        let collection = collection(&url).await;
        let store = quiet(&collection).stringify(false).build().unwrap();
        let (sid, id) = (Sid::random(), ObjectId::new());
        let session = doc! {
            "cookie": { "originalMaxAge": null, "partitioned": null, "priority": null, "expires": null, "secure": null,
                "httpOnly": true, "domain": null, "path": "/", "sameSite": null },
            "at": DateTime::from_millis(1), "id": id, "a.b": { "$x": DateTime::from_millis(2) }, "$y": [id], "views": 1,
            "bytes": Binary { subtype: BinarySubtype::Generic, bytes: vec![1, 2] }, "gone": true, "": 1_i64 << 60,
        };
        let planted = doc! { "_id": sid.as_str(), "expires": in_an_hour(), "session": session.clone(), "owner": "kept" };
        collection.insert_one(planted).await.unwrap();

        let read = store.get(&sid).await.unwrap().unwrap();
        let text = read.record.to_json();
        assert!(text.contains(r#""at":"1970-01-01T00:00:00.001Z""#) && text.contains(&id.to_hex()), "{text}");
        let text = text.replace(r#""views":1"#, r#""views":2"#).replace(r#""gone":true,"#, "");
        let changed = Record::parse(text.replace(r#""bytes":"#, r#""new.key":{"$set":1},"bytes":"#)).unwrap();
        let version = set(&store, &sid, &changed, Expect::Version(read.version.clone())).await;
        assert!(store.get(&sid).await.unwrap().unwrap().version == version);

        let after = document(&collection, &sid).await;
        assert_eq!(after.get_str("owner").unwrap(), "kept", "unknown fields are");
        let after = after.get_document("session").unwrap();
        for key in ["cookie", "at", "id", "a.b", "$y", "bytes", ""] {
            assert_eq!(after.get(key), session.get(key), "{key}");
        }
        assert_eq!(after.get("views"), Some(&Bson::Int32(2)));
        let order = ["cookie", "at", "id", "a.b", "$y", "views", "new.key", "bytes", ""];
        assert!(after.keys().eq(order), "{:?}", after.keys().collect::<Vec<_>>());

        let late = store.set(&sid, &changed, &Expect::Version(read.version)).await.unwrap();
        assert_eq!(late, Set::Conflict);
    });
}

/// Inside of what changed, in a list that became shorter, after a conflict, and with a login, which gives the session another id.
fn types_stay_beside_what_changed_and_under_another_sid(url: String) {
    run(async {
        let collection = collection(&url).await;
        let store = quiet(&collection).stringify(false).build().unwrap();
        let sessions = Options::new("keyboard cat").store(store.clone()).build().unwrap();
        let (id, at) = (ObjectId::new(), DateTime::from_millis(1));
        let price: Decimal128 = "1.50".parse().unwrap();
        let session = doc! {
            "cookie": { "originalMaxAge": null, "expires": null, "httpOnly": true, "path": "/" },
            "user": { "id": id, "since": at, "name": "tj", "seen": { "last": at, "times": 1 } },
            "cart": [{ "at": at, "n": 1 }, { "at": DateTime::from_millis(2), "n": 2 }, id, at],
            "price": price, "bytes": Binary { subtype: BinarySubtype::Generic, bytes: vec![1, 2] },
        };
        let exchange = sessions.exchange();
        let visitor = exchange.session(&RequestInfo::new("/", false, &|_| {})).await.unwrap().unwrap();
        visitor.insert("user", "tj").unwrap();
        let cookie = exchange.end().await.unwrap().pop().unwrap();
        let (sid, cookie) = (visitor.id().unwrap(), cookie.split(';').next().unwrap());
        let express = doc! { "$set": { "session": session } };
        collection.update_one(doc! { "_id": sid.as_str() }, express).await.unwrap();

        let exchange = sessions.exchange();
        let each = |visit: &mut dyn FnMut(&str, &[u8])| visit("cookie", cookie.as_bytes());
        let session = exchange.session(&RequestInfo::new("/", false, &each)).await.unwrap().unwrap();
        session.insert_path("user.name", "Zoë").unwrap();
        session.insert_path("user.seen.times", 2).unwrap();
        let mut cart: Vec<serde_json::Value> = session.get("cart").unwrap().unwrap();
        cart.remove(0);
        cart[0]["n"] = 3.into();
        session.insert("cart", cart).unwrap();
        // Somebody else comes in between.
        let other = doc! { "$set": { "session.bell": at } };
        collection.update_one(doc! { "_id": sid.as_str() }, other).await.unwrap();
        session.renew_id().await.unwrap();
        exchange.end().await.unwrap();
        let now = session.id().unwrap();
        assert_ne!(now, sid);

        let after = document(&collection, &now).await;
        let after = after.get_document("session").unwrap();
        let expected = doc! {
            "user": { "id": id, "since": at, "name": "Zoë", "seen": { "last": at, "times": 2 } },
            "cart": [{ "at": DateTime::from_millis(2), "n": 3 }, id, at],
            "price": price, "bytes": Binary { subtype: BinarySubtype::Generic, bytes: vec![1, 2] }, "bell": at,
        };
        for (key, value) in &expected {
            assert_eq!(after.get(key), Some(value), "{key}");
        }

        // What only looks so is what it is, and what is too deep is an error.
        let read = store.get(&now).await.unwrap().unwrap();
        let (mut with, version) = (Sid::random(), Expect::Version(read.version.clone()));
        let text = read.record.to_json();
        let data = r#""expires":"2026-01-02T03:04:05.678Z","name":"","bytes":"","gaps":[null,{}],"at":["1970-01-01"]"#;
        let more = Record::parse(format!("{},{data}}}", text.strip_suffix('}').unwrap())).unwrap();
        let more = more.with_origin(Arc::new(after.clone()));
        set(&store, &now, &more, version).await;
        let after = document(&collection, &now).await;
        let after = after.get_document("session").unwrap();
        assert_eq!(after.get_str("expires").unwrap(), "2026-01-02T03:04:05.678Z");
        assert_eq!(after.get_str("bytes").unwrap(), "");
        assert_eq!(after.get_array("gaps").unwrap(), &[Bson::Null, Bson::Document(doc! {})]);
        for levels in [90, 128, 20_000] {
            let (open, close) = ("[".repeat(levels), "]".repeat(levels));
            let deep = Record::parse(format!(r#"{{"cookie":{{}},"deep":{open}{close}}}"#)).unwrap();
            let deep = deep.with_origin(Arc::new(after.clone()));
            with = Sid::random();
            let answer = store.set(&with, &deep, &Expect::Nothing).await;
            assert_eq!(answer.is_ok(), levels < 100, "{levels}: {answer:?}");
        }
        assert!(store.get(&with).await.unwrap().is_none());
    });
}

/// An application's own objects, whose keys the BSON library's readers take for types.
fn what_looks_like_extended_json_is_what_it_is(url: String) {
    run(async {
        let collection = collection(&url).await;
        let store = quiet(&collection).stringify(false).build().unwrap();
        let data = r#""oid":{"$oid":"0123456789abcdef01234567"},"price":{"$numberDecimal":"1.50"},"at":{"$date":"2026-01-02T03:04:05.678Z"},"n":{"$numberLong":"5"},"list":[{"$binary":{"base64":"AQI=","subType":"00"}}]"#;
        let record = record(data);
        let sid = put(&store, &record).await;
        let read = store.get(&sid).await.unwrap().unwrap();
        assert_eq!(read.record.to_json(), record.to_json());
        let version = set(&store, &sid, &read.record, Expect::Version(read.version)).await;
        assert_eq!(store.get(&sid).await.unwrap().unwrap().record.to_json(), record.to_json());
        let mut all = Vec::new();
        store.all(&mut |_, record| all.push(record.to_json())).await.unwrap();
        assert_eq!(all, [record.to_json()]);
        let gone = store.destroy(&sid, &Expect::Version(version)).await.unwrap();
        assert_eq!(gone, Destroyed::Destroyed);
    });
}

/// Who writes them does not ask the server whether they are any.
fn bytes_that_are_no_bson_are_corrupt_and_spoil_nothing_else(url: String) {
    run(async {
        let collection = collection(&url).await;
        let store = quiet(&collection).build().unwrap();
        let good = put(&store, &record("")).await;
        let mut broken = Vec::new();
        for field in ["session", "owner"] {
            let sid = Sid::random();
            let mut document = doc! {
                "_id": sid.as_str(), "expires": in_an_hour(), "session": record("").to_json(), "owner": "hunter2-x",
            };
            document.insert(field, "hunter2-x");
            let mut bytes = Vec::new();
            document.to_writer(&mut bytes).unwrap();
            // No byte of UTF-8.
            let at = bytes.windows(9).rposition(|bytes| bytes == b"hunter2-x").unwrap() + 8;
            bytes[at] = 0xff;
            let raw = RawDocumentBuf::from_bytes(bytes).unwrap();
            collection.clone_with_type::<RawDocumentBuf>().insert_one(raw).await.unwrap();
            broken.push(sid);
        }
        let mut shown = Vec::new();
        store.all(&mut |sid, _| shown.push(sid)).await.unwrap();
        assert_eq!(shown, [good]);
        let next = record("");
        for sid in broken {
            let error = store.get(&sid).await.unwrap_err();
            let text = format!("{error:?} {error}");
            assert!(matches!(error, StoreError::Corrupt { store: "mongo", .. }), "{text}");
            assert!(!text.contains("hunter2") && !text.contains(sid.as_str()), "{text}");
            assert_eq!(store.touch(&sid, &next.cookie, &Expect::Anything).await.unwrap(), Touched::Moved);
            assert_eq!(store.set(&sid, &next, &Expect::Nothing).await.unwrap(), Set::Conflict);
            assert_eq!(store.destroy(&sid, &Expect::Anything).await.unwrap(), Destroyed::Destroyed);
        }
    });
}

fn both_forms_are_read_and_change_over(url: String) {
    run(async {
        let collection = collection(&url).await;
        let strings = quiet(&collection).build().unwrap();
        let documents = quiet(&collection).stringify(false).build().unwrap();
        let record = record(&format!("{USER},{REST}"));
        let sid = put(&strings, &record).await;
        for (store, is_string) in
            [(&documents, false), (&strings, true), (&strings, true), (&documents, false)]
        {
            let read = store.get(&sid).await.unwrap().unwrap();
            assert_eq!(read.record.to_json(), record.to_json());
            set(store, &sid, &read.record, Expect::Version(read.version)).await;
            let stored = document(&collection, &sid).await;
            assert_eq!(matches!(stored.get("session"), Some(Bson::String(_))), is_string);
        }
    });
}

async fn plant(collection: &Collection<Document>, session: impl Into<Bson>) -> Sid {
    let sid = Sid::random();
    let document = doc! { "_id": sid.as_str(), "expires": in_an_hour(), "session": session.into() };
    collection.insert_one(document).await.unwrap();
    sid
}

fn what_cannot_be_read_is_said_and_spoils_nothing_else(url: String) {
    run(async {
        let collection = collection(&url).await;
        let store = quiet(&collection).build().unwrap();
        let encrypted = quiet(&collection).crypto(Kruptein::new("AAbb11!!squirrel")).build().unwrap();
        let mut broken = Vec::new();
        for session in [Bson::Int32(1), Bson::Boolean(true), "hunter2".into(), "{\"hunter2\":1}".into()] {
            broken.push(plant(&collection, session).await);
        }
        broken.push(plant(&collection, doc! { "hunter2": 1 }).await);
        broken.push(plant(&collection, doc! { "cookie": "hunter2" }).await);
        collection.insert_one(doc! { "_id": ObjectId::new(), "expires": in_an_hour() }).await.unwrap();
        for sid in &broken {
            for store in [&store, &encrypted] {
                let error = store.get(sid).await.unwrap_err();
                let shown = format!("{error:?} {error}");
                assert!(matches!(error, StoreError::Corrupt { .. }), "{shown}");
                assert!(!shown.contains("hunter2") && !shown.contains(sid.as_str()), "{shown}");
            }
        }
        let null = plant(&collection, Bson::Null).await;
        assert!(store.get(&null).await.unwrap().is_none(), "as in Node");
        let next = record("");
        let touched = store.touch(&null, &next.cookie, &Expect::Anything).await.unwrap();
        assert_eq!(touched, Touched::Unknown);
        assert_eq!(store.destroy(&null, &Expect::Nothing).await.unwrap(), Destroyed::Unknown);
        assert!(matches!(store.set(&null, &next, &Expect::Nothing).await.unwrap(), Set::Written(_)));
        assert_eq!(store.destroy(&null, &Expect::Anything).await.unwrap(), Destroyed::Destroyed);

        let good = put(&store, &record("")).await;
        let secret = put(&encrypted, &record("")).await;
        for (store, readable) in [(&store, &good), (&encrypted, &secret)] {
            let mut shown = Vec::new();
            store.all(&mut |sid, _| shown.push(sid)).await.unwrap();
            assert_eq!(shown, std::slice::from_ref(readable));
            let mut ids = 0;
            store.ids(&mut |_| ids += 1).await.unwrap();
            assert_eq!(ids, broken.len() + 2);
        }
        store.clear().await.unwrap();
        assert_eq!(store.length().await.unwrap(), 0);
    });
}

fn without_expires_a_session_is_held_and_with_null_it_has_expired(url: String) {
    run(async {
        let collection = collection(&url).await;
        let store = quiet(&collection).build().unwrap();
        let text = record("").to_json();
        for (at, expires) in
            [None, Some(Bson::Null), Some(DateTime::from_millis(0).into())].into_iter().enumerate()
        {
            let sid = Sid::from(format!("{at}"));
            let mut document = doc! { "_id": sid.as_str(), "session": &text };
            document.extend(expires.map(|expires| ("expires".to_owned(), expires)));
            collection.insert_one(document).await.unwrap();
            let held = store.get(&sid).await.unwrap();
            assert_eq!(held.is_some(), at == 0);
            assert!(held.is_none_or(|held| held.left.is_none()));
            let written = store.set(&sid, &record("\"a\":1"), &Expect::Nothing).await.unwrap();
            assert_eq!(written == Set::Conflict, at == 0, "{at}");
        }
        assert_eq!(store.length().await.unwrap(), 3);
    });
}

fn a_touch_is_throttled_as_touch_after_says(url: String) {
    run(async {
        let collection = collection(&url).await;
        let minute = Duration::from_secs(60);
        let start = 1_795_247_000_000;
        let at = |seconds: u64| {
            let options = quiet(&collection).clock(clock(start + seconds * 1_000));
            options.touch_after(minute).timestamps(true).build().unwrap()
        };
        let hour = |from: u64| {
            let mut record = record("");
            let now = clock(start + from * 1_000).now();
            record.cookie.set_max_age(Some(Duration::from_secs(3_600)), now);
            record
        };
        // What was written with less than its whole lifetime is touched with the next request.
        let sid = put(&at(600), &hour(0)).await;
        let kept_back = at(600).get(&sid).await.unwrap().unwrap();
        assert_eq!(kept_back.lifetime.unwrap() - kept_back.left.unwrap(), minute * 10);
        let expect = Expect::Version(kept_back.version);
        assert_eq!(at(600).touch(&sid, &hour(600).cookie, &expect).await.unwrap(), Touched::Moved);
        let given = at(600).get(&sid).await.unwrap().unwrap();
        assert!(given.left == given.lifetime && given.left == Some(minute * 60));

        let sid = put(&at(0), &hour(0)).await;
        let written = document(&collection, &sid).await;
        let early = at(59).get(&sid).await.unwrap().unwrap();
        let another = Expect::Version(session_core::Version::from_text("{}"));
        for (expect, answer) in [
            (Expect::Anything, Touched::Moved),
            (Expect::Version(early.version), Touched::Moved),
            (another.clone(), Touched::Conflict),
            (Expect::Nothing, Touched::Conflict),
        ] {
            assert_eq!(at(59).touch(&sid, &hour(59).cookie, &expect).await.unwrap(), answer);
            assert_eq!(
                shown(document(&collection, &sid).await),
                shown(written.clone()),
                "nothing is written"
            );
        }
        assert_eq!(early.left, early.lifetime, "so that the core need not ask");

        let due = at(60).get(&sid).await.unwrap().unwrap();
        assert_eq!(due.lifetime.unwrap() - due.left.unwrap(), minute);
        assert_eq!(at(60).touch(&sid, &hour(60).cookie, &another).await.unwrap(), Touched::Conflict);
        assert_eq!(shown(document(&collection, &sid).await), shown(written.clone()), "nothing is written");
        let expect = Expect::Version(due.version);
        grow_old(&collection, &sid).await;
        assert_eq!(at(60).touch(&sid, &hour(60).cookie, &expect).await.unwrap(), Touched::Moved);
        let moved = document(&collection, &sid).await;
        let millis = |document: &Document, key| document.get_datetime(key).unwrap().timestamp_millis();
        for key in ["expires", "lastModified"] {
            assert_eq!(millis(&moved, key) - millis(&written, key), 60_000, "{key}");
        }
        assert!(millis(&moved, "updatedAt") >= millis(&written, "updatedAt"), "not the old one");
        assert!(moved.keys().eq(written.keys()));

        // Not due, but a shorter lifetime holds at once.
        let mut short = hour(61);
        short.cookie.set_max_age(Some(minute * 30), clock(start + 61_000).now());
        assert_eq!(at(61).touch(&sid, &short.cookie, &Expect::Anything).await.unwrap(), Touched::Moved);
        let moved = document(&collection, &sid).await;
        assert_eq!(millis(&moved, "expires") - millis(&written, "expires"), 61_000 - 30 * 60_000);

        // Without `lastModified`, as connect-mongo without the option writes it: moved, and none made up.
        collection
            .update_one(doc! { "_id": sid.as_str() }, doc! { "$unset": { "lastModified": 1 } })
            .await
            .unwrap();
        assert_eq!(at(61).touch(&sid, &hour(61).cookie, &Expect::Anything).await.unwrap(), Touched::Moved);
        let moved = document(&collection, &sid).await;
        assert!(!moved.contains_key("lastModified"));
        assert_eq!(millis(&moved, "expires") - millis(&written, "expires"), 61_000);
        assert_eq!(
            at(4_000).touch(&sid, &hour(4_000).cookie, &Expect::Anything).await.unwrap(),
            Touched::Unknown
        );
    });
}

/// As if it had been written in 1970.
async fn grow_old(collection: &Collection<Document>, sid: &Sid) {
    let old = doc! { "$set": { "updatedAt": DateTime::from_millis(1_000) } };
    collection.update_one(doc! { "_id": sid.as_str() }, old).await.unwrap();
}

fn touch_says_what_became_of_the_document(url: String) {
    run(async {
        for stringify in [true, false] {
            let collection = collection(&url).await;
            let store = quiet(&collection).stringify(stringify).timestamps(true).build().unwrap();
            let (sid, mut cookie) = (Sid::random(), record("").cookie);
            cookie.set_max_age(Some(Duration::from_secs(3_600)), SystemTime::now());
            let first = set(&store, &sid, &record("\"a\":1"), Expect::Nothing).await;
            let second = set(&store, &sid, &record("\"a\":2"), Expect::Version(first.clone())).await;
            let (first, second) = (Expect::Version(first), Expect::Version(second));
            let elsewhere = Expect::Version(session_core::Version::from_number(1));
            let written = document(&collection, &sid).await;
            for expect in [&first, &elsewhere, &Expect::Nothing] {
                assert_eq!(store.touch(&sid, &cookie, expect).await.unwrap(), Touched::Conflict);
            }
            assert_eq!(document(&collection, &sid).await, written, "a conflict changes nothing");
            // The second one changes nothing but `updatedAt`.
            for expect in [&second, &second, &Expect::Anything] {
                grow_old(&collection, &sid).await;
                assert_eq!(store.touch(&sid, &cookie, expect).await.unwrap(), Touched::Moved);
                let moved = document(&collection, &sid).await;
                let updated = |document: &Document| document.get_datetime("updatedAt").unwrap().to_owned();
                assert!(updated(&moved) >= updated(&written), "not the old one");
                assert_eq!(moved.get("session"), written.get("session"));
                assert!(moved.get_datetime("expires").unwrap() < written.get_datetime("expires").unwrap());
            }
            store.destroy(&sid, &second).await.unwrap();
            for expect in [&second, &elsewhere, &Expect::Nothing, &Expect::Anything] {
                assert_eq!(store.touch(&sid, &cookie, expect).await.unwrap(), Touched::Unknown);
            }
            assert_eq!(collection.count_documents(doc! {}).await.unwrap(), 0);
        }
    });
}

fn destroy_says_what_became_of_the_document(url: String) {
    run(async {
        for stringify in [true, false] {
            let collection = collection(&url).await;
            let store = quiet(&collection).stringify(stringify).build().unwrap();
            let sid = Sid::random();
            let first = set(&store, &sid, &record("\"a\":1"), Expect::Nothing).await;
            let second = set(&store, &sid, &record("\"a\":2"), Expect::Version(first.clone())).await;
            let (first, second) = (Expect::Version(first), Expect::Version(second));
            let elsewhere = Expect::Version(session_core::Version::from_number(1));
            for expect in [&first, &elsewhere, &Expect::Nothing] {
                assert_eq!(store.destroy(&sid, expect).await.unwrap(), Destroyed::Conflict);
            }
            assert!(store.get(&sid).await.unwrap().is_some(), "a conflict destroys nothing");
            assert_eq!(store.destroy(&sid, &second).await.unwrap(), Destroyed::Destroyed);
            for expect in [&second, &elsewhere, &Expect::Nothing, &Expect::Anything] {
                assert_eq!(store.destroy(&sid, expect).await.unwrap(), Destroyed::Unknown);
            }
        }
    });
}

fn what_has_expired_and_is_not_yet_removed_is_not_held(url: String) {
    run(async {
        let collection = collection(&url).await;
        let store = quiet(&collection).build().unwrap();
        let sid = Sid::random();
        let version = Expect::Version(set(&store, &sid, &record(""), Expect::Nothing).await);
        let expire = doc! { "$set": { "expires": DateTime::from_millis(1) } };
        collection.update_one(doc! { "_id": sid.as_str() }, expire).await.unwrap();
        for expect in [&version, &Expect::Nothing] {
            assert_eq!(store.destroy(&sid, expect).await.unwrap(), Destroyed::Unknown);
        }
        assert_eq!(collection.count_documents(doc! {}).await.unwrap(), 1);
        store.destroy(&sid, &Expect::Anything).await.unwrap();
        assert_eq!(collection.count_documents(doc! {}).await.unwrap(), 0);
    });
}

fn what_has_expired_itself_changes_nothing() {
    run(async {
        // Nobody answers there: what has expired costs no round trip.
        let store = MongoStore::open("mongodb://127.0.0.1:1/shop").await.unwrap();
        let (sid, mut expired) = (Sid::random(), record(""));
        expired.cookie.set_expires(Some(SystemTime::UNIX_EPOCH), SystemTime::now());
        for expect in [Expect::Anything, Expect::Nothing] {
            assert_eq!(store.set(&sid, &expired, &expect).await.unwrap(), Set::Expired);
            assert_eq!(store.touch(&sid, &expired.cookie, &expect).await.unwrap(), Touched::Expired);
        }
    });
}

fn a_write_over_what_has_expired_is_a_new_session(url: String) {
    run(async {
        let collection = collection(&url).await;
        let store = quiet(&collection).timestamps(true).build().unwrap();
        let sid = Sid::random();
        let old = DateTime::from_millis(1);
        let expired =
            doc! { "_id": sid.as_str(), "createdAt": old, "expires": old, "session": record("").to_json() };
        collection.insert_one(expired).await.unwrap();
        set(&store, &sid, &record("\"a\":1"), Expect::Nothing).await;
        assert!(document(&collection, &sid).await.get_datetime("createdAt").unwrap() > &old);
        let before = document(&collection, &sid).await;
        set(&store, &sid, &record("\"a\":2"), Expect::Anything).await;
        assert_eq!(document(&collection, &sid).await.get("createdAt"), before.get("createdAt"));
    });
}
