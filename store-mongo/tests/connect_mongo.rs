//! One collection, two stores: the real connect-mongo and this one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a test that cannot go on stops"
)]

mod common;

use std::process::ExitCode;

use common::{
    DATABASE, collection,
    node::{self, connect_mongo},
    put, quiet, record, set,
};
use mongodb::bson::{Binary, Bson, doc, spec::BinarySubtype};
use serde_json::{Value, json};
use session_core::{AdminStore, Expect, Record, Sid, Store, StoreError};
use session_testkit::run;
use store_mongo::{
    Algorithm, Crypto, Encoding, Hashing, Kruptein, MongoOptions, WebAlgorithm, WebCrypto, mongodb,
};
use test_support::{Express, tests};

fn main() -> ExitCode {
    tests! {
        needs connect_mongo =>
            strings_and_documents_are_shared,
            what_is_encrypted_here_connect_mongo_decrypts_and_the_reverse,
            what_a_serializer_makes_is_shared,
            every_type_is_read_as_node_prints_it,
            dates_and_object_ids_of_express_stay_what_they_are;
    }
    .run()
}

const SECRET: &str = "AAbb11!!squirrel";
const DATA: &str =
    r#""user":{"id":42,"name":"Zoë 日本 😀","big":1099511627776,"half":0.5},"csrf":"a/b\"\\","none":null"#;

/// What one writes the other reads, and back again after a change.
async fn shared(
    (url, express): &(String, Express),
    asked: Value,
    options: impl FnOnce(MongoOptions) -> MongoOptions,
) {
    let collection = collection(url).await;
    let store = options(quiet(&collection)).build().unwrap();
    let ask = |what: Value| {
        let mut arguments = asked.clone();
        let more = json!({ "url": url, "db": DATABASE, "collection": collection.name() });
        for object in [more, what] {
            arguments.as_object_mut().unwrap().extend(object.as_object().unwrap().clone());
        }
        node::ask(express, &arguments)
    };
    let data = |record: &Record| {
        let mut value: Value = serde_json::from_str(&record.to_json()).unwrap();
        value.as_object_mut().unwrap().remove("cookie");
        value
    };
    let ours = put(&store, &record(DATA)).await;
    let theirs = Sid::random();
    let session: Value = serde_json::from_str(&record(DATA).to_json()).unwrap();
    let answers =
        ask(json!({ "set": { theirs.as_str(): session }, "get": [ours.as_str(), theirs.as_str()] }));
    for answer in answers.as_array().unwrap() {
        let mut answer = answer.clone();
        let cookie = answer.as_object_mut().unwrap().remove("cookie").unwrap();
        // With `touchAfter` it stands in the session, until the session is stored.
        answer.as_object_mut().unwrap().remove("lastModified");
        assert_eq!((&cookie["path"], &cookie["httpOnly"]), (&json!("/"), &json!(true)));
        assert_eq!(answer, data(&record(DATA)), "{asked}");
    }
    let read = store.get(&theirs).await.unwrap().unwrap();
    assert_eq!(read.record.to_json(), record(DATA).to_json(), "{asked}");

    let changed = Record::parse(read.record.to_json().replace("42", "43")).unwrap();
    set(&store, &theirs, &changed, Expect::Version(read.version)).await;
    assert_eq!(ask(json!({ "get": [theirs.as_str()] }))[0]["user"]["id"], 43);
}

fn strings_and_documents_are_shared(both: (String, Express)) {
    run(async {
        shared(&both, json!({}), |options| options).await;
        let asked = json!({ "options": { "stringify": false, "timestamps": true } });
        shared(&both, asked, |options| options.stringify(false).timestamps(true)).await;
        let asked = json!({ "options": { "touchAfter": 3600 } });
        shared(&both, asked, |options| options.touch_after(std::time::Duration::from_secs(3_600))).await;
    });
}

/// In connect-mongo's own example of one, and with another type of BSON.
fn what_a_serializer_makes_is_shared(both: (String, Express)) {
    run(async {
        let wrapped = |options: MongoOptions| {
            options.serializer(
                |json| Ok(doc! { "wrapped": json }.into()),
                |held| {
                    let wrapped = held.as_document().and_then(|held| held.get_str("wrapped").ok());
                    Ok(wrapped.ok_or("it is not wrapped")?.to_owned())
                },
            )
        };
        shared(&both, json!({ "serializer": "wrapped" }), wrapped).await;
        shared(&both, json!({ "serializer": "bytes" }), bytes).await;
        for first in ['\0', '\u{1}', '\u{2}', 'x'] {
            let marked = |options: MongoOptions| {
                options.serializer(
                    move |json| Ok(Bson::String(format!("{first}{json}"))),
                    move |held| {
                        Ok(held
                            .as_str()
                            .and_then(|held| held.strip_prefix(first))
                            .ok_or("no text")?
                            .to_owned())
                    },
                )
            };
            shared(&both, json!({ "serializer": "marked", "first": first }), marked).await;
        }

        let collection = collection(&both.0).await;
        let store = bytes(quiet(&collection)).build().unwrap();
        let sid = put(&store, &record("\"n\":1")).await;
        let held = store.get(&sid).await.unwrap().unwrap().version;
        for bad in ["\"n\":\"nothing\"", "\"n\":\"refused\"", "\"n\":\"many\""] {
            let refused = store.set(&sid, &record(bad), &Expect::Version(held.clone())).await;
            let Err(StoreError::Unavailable { source, .. }) = refused else { panic!("{refused:?}") };
            assert_eq!(source.to_string(), "the serializer failed");
        }
        assert_eq!(store.get(&sid).await.unwrap().unwrap().version, held);
        // Who has none reads nothing, and says so.
        let plain = quiet(&collection).build().unwrap();
        assert!(matches!(plain.get(&sid).await, Err(StoreError::Corrupt { .. })));
        let other = put(&plain, &record("\"n\":1")).await;
        assert!(matches!(store.get(&other).await, Err(StoreError::Corrupt { .. })));
        let mut read = 0;
        store.all(&mut |_, _| read += 1).await.unwrap();
        assert_eq!(read, 1);
    });
}

fn bytes(options: MongoOptions) -> MongoOptions {
    options.serializer(
        |json| match json {
            json if json.contains("nothing") => Ok(Bson::Null),
            json if json.contains("many") => Ok(vec![Bson::Null, json.into()].into()),
            json if json.contains("refused") => Err("not that one".into()),
            json => Ok(Binary { subtype: BinarySubtype::Generic, bytes: json.into() }.into()),
        },
        |held| match held {
            Bson::Binary(held) => Ok(String::from_utf8(held.bytes.clone())?),
            _ => Err("no bytes".into()),
        },
    )
}

fn what_is_encrypted_here_connect_mongo_decrypts_and_the_reverse(both: (String, Express)) {
    let kruptein = || Kruptein::new(SECRET);
    let web = || WebCrypto::new(SECRET).iterations(1_000);
    let cases: Vec<(Value, Crypto)> = vec![
        (json!({ "crypto": {} }), kruptein().into()),
        (
            json!({ "crypto": { "algorithm": "aes-128-gcm" } }),
            kruptein().algorithm(Algorithm::Aes128Gcm).into(),
        ),
        (
            json!({ "crypto": { "algorithm": "aes-192-gcm" } }),
            kruptein().algorithm(Algorithm::Aes192Gcm).into(),
        ),
        (
            json!({ "crypto": { "algorithm": "aes-256-cbc" } }),
            kruptein().algorithm(Algorithm::Aes256Cbc).into(),
        ),
        (
            json!({ "crypto": { "algorithm": "aes-256-ctr" } }),
            kruptein().algorithm(Algorithm::Aes256Ctr).into(),
        ),
        (json!({ "crypto": { "hashing": "sha256" } }), kruptein().hashing(Hashing::Sha256).into()),
        (
            json!({ "crypto": { "hashing": "sha384", "encodeas": "hex" } }),
            kruptein().hashing(Hashing::Sha384).encodeas(Encoding::Hex).into(),
        ),
        (json!({ "crypto": { "use_scrypt": true } }), kruptein().use_scrypt(true).into()),
        (json!({ "web": {} }), web().into()),
        (
            json!({ "web": { "encoding": "base64url", "ivLength": 16 } }),
            web().encoding(Encoding::Base64Url).iv_length(16).into(),
        ),
        (
            json!({ "web": { "encoding": "hex", "algorithm": "AES-CBC" } }),
            web().encoding(Encoding::Hex).algorithm(WebAlgorithm::AesCbc).into(),
        ),
        (json!({ "web": { "salt": [9, 0, 255] } }), web().salt([9, 0, 255]).into()),
    ];
    run(async {
        for (mut case, crypto) in cases {
            for stringify in [true, false] {
                let mut asked = json!({ "options": { "stringify": stringify } });
                if let Some(crypto) = case.get_mut("crypto") {
                    crypto["secret"] = SECRET.into();
                    asked["options"]["crypto"] = crypto.clone();
                } else {
                    let web = &mut case["web"];
                    web["secret"] = SECRET.into();
                    web["iterations"] = 1_000.into();
                    asked["web"] = web.clone();
                }
                let crypto = crypto.clone();
                shared(&both, asked, |options| options.stringify(stringify).crypto(crypto)).await;
            }
        }
    });
}

fn every_type_is_read_as_node_prints_it((url, express): (String, Express)) {
    run(async {
        let (collection, sid) = (collection(&url).await, Sid::random());
        let asked =
            json!({ "url": url, "db": DATABASE, "collection": collection.name(), "types": sid.as_str() });
        let printed = node::ask(&express, &asked);
        let store = quiet(&collection).stringify(false).build().unwrap();
        let read = store.get(&sid).await.unwrap().unwrap();
        let mut keys = read.record.data.keys();
        for (key, value) in printed.as_object().unwrap().iter().filter(|(key, _)| *key != "cookie") {
            assert_eq!(keys.next(), Some(key.as_str()));
            assert_eq!(read.record.data.get(key), Some(value.to_string().as_str()), "{key}");
        }
        assert_eq!(keys.next(), None);
    });
}

fn dates_and_object_ids_of_express_stay_what_they_are((url, express): (String, Express)) {
    run(async {
        let (collection, sid) = (collection(&url).await, Sid::random());
        let session = json!({
            "cookie": { "originalMaxAge": null, "expires": null, "httpOnly": true, "path": "/" },
            "at": { "$date": "2026-01-02T03:04:05.678Z" }, "id": { "$id": "0123456789abcdef01234567" },
            "deep": { "at": { "$date": "2026-01-02T03:04:05.678Z" } }, "views": 1,
        });
        let ask = |what: Value| {
            let mut asked = json!({ "url": url, "db": DATABASE, "collection": collection.name(),
                "options": { "stringify": false } });
            asked.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
            node::ask(&express, &asked)
        };
        ask(json!({ "set": { sid.as_str(): session } }));
        let store = quiet(&collection).stringify(false).build().unwrap();
        let read = store.get(&sid).await.unwrap().unwrap();
        let changed = Record::parse(read.record.to_json().replace("\"views\":1", "\"views\":2")).unwrap();
        set(&store, &sid, &changed, Expect::Version(read.version)).await;
        let after = &ask(json!({ "get": [sid.as_str()] }))[0];
        for key in ["at", "id", "deep"] {
            assert_eq!(after[key], session[key], "{key}");
        }
        assert_eq!(after["views"], 2);
    });
}
