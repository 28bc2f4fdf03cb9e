//! The data that other tests hold against, made anew by the scripts in `express` from the packages that are installed: a package
//! of another version that does anything else is seen here.

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value, reason = "helpers of tests")]

use std::{
    collections::BTreeMap,
    error::Error,
    process::{Command, ExitCode, Output},
    time::{Duration, SystemTime},
};

use express_session::{
    Store,
    mongo::{
        Algorithm, AutoRemove, Crypto, CryptoError, Encoding, Hashing, Kruptein, MongoOptions, MongoStore,
        WebAlgorithm, WebCrypto,
        mongodb::{
            Client, Collection,
            bson::{DateTime, Document, doc},
        },
    },
};
use futures_util::future::join_all;
use serde_json::{Map, Value};
use test_support::{Express, Need, express, service, tests};

fn main() -> ExitCode {
    tests! {
        needs express =>
            the_vectors_are_what_the_packages_print,
            the_observed_runs_are_what_express_session_does,
            the_client_side_sessions_are_what_cookie_session_sets;
        needs mongo_and_express => the_encrypted_sessions_are_what_node_stores_and_reads;
    }
    .run()
}

fn mongo_and_express() -> Need<(String, Express)> {
    Ok((service("MONGODB_URL")?, express()?))
}

const SECRET: &str = "AAbb11!!squirrel";
const CRYPTO_VECTORS: &str = include_str!("../../store-mongo/tests/data/crypto-vectors.json");

/// What `regenerate.js` prints of it.
fn regenerated(express: &Express, what: &str) -> String {
    let script = express.folder.join("regenerate.js");
    let output = Command::new(&express.node).arg(script).arg(what).output().unwrap();
    let Output { status, stdout, stderr } = output;
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// To the byte; of what differs, the first lines.
fn assert_same(new: &str, committed: &str) {
    let lines = |text: &str| text.replace("},{", "},\n{").lines().map(String::from).collect::<Vec<_>>();
    let (new, committed) = (lines(new), lines(committed));
    let differ = new.iter().zip(&committed).filter(|(new, committed)| new != committed);
    let shown: Vec<String> = differ.take(5).map(|(new, old)| format!("now {new}\nwas {old}")).collect();
    assert!(shown.is_empty(), "it differs:\n{}", shown.join("\n"));
    assert_eq!(new.len(), committed.len());
}

fn the_vectors_are_what_the_packages_print(express: Express) {
    assert_same(&regenerated(&express, "golden"), include_str!("../data/golden.json"));
}

fn the_observed_runs_are_what_express_session_does(express: Express) {
    assert_same(&regenerated(&express, "truth"), include_str!("../data/truth-3328.json"));
}

fn the_client_side_sessions_are_what_cookie_session_sets(express: Express) {
    let committed = include_str!("../data/cookie-session-vectors.json");
    assert_same(&regenerated(&express, "cookie-session"), committed);
}

/// What is random in a vector, or the time: only its length is the same.
const RANDOM: [&str; 7] = ["stored_session", "full", "stored", "iv_hex", "tag_hex", "session", "expires"];

/// Both without the values that are random; a text becomes its length.
fn without_chance(mut vectors: Value) -> Value {
    fn mask(key: &str, value: &mut Value) {
        match value {
            Value::Object(members) => members.iter_mut().for_each(|(key, value)| mask(key, value)),
            // A tag that stands there in numbers, as connect-mongo 3 writes it, has no one length.
            Value::String(text) if RANDOM.contains(&key) => {
                *value = text.split('[').map(str::len).next().into();
            }
            _ => {}
        }
    }
    let vectors_of = vectors.as_object_mut().unwrap();
    for (name, vector) in vectors_of {
        mask(name, vector);
        // The salt of kruptein is random, that of Web Crypto is not.
        if let Some(key) = vector.pointer_mut("/analysis/key_hex") {
            *key = key.as_str().unwrap().len().into();
        }
    }
    vectors
}

fn the_encrypted_sessions_are_what_node_stores_and_reads((url, express): (String, Express)) {
    let new = regenerated(&express, "crypto");
    let pretty = |text: &str| {
        serde_json::to_string_pretty(&without_chance(serde_json::from_str(text).unwrap())).unwrap()
    };
    assert_same(&pretty(&new), &pretty(CRYPTO_VECTORS));

    let read: BTreeMap<String, String> = serde_json::from_str(&regenerated(&express, "plaintexts")).unwrap();
    let vectors: Map<String, Value> = serde_json::from_str(&new).unwrap();
    let encrypted: Vec<_> = vectors
        .iter()
        .filter_map(|(name, vector)| {
            let stored = ["full", "stored_session", "stored"].iter().find_map(|key| vector[*key].as_str());
            stored.map(|stored| (name.as_str(), stored))
        })
        .collect();
    assert_eq!(encrypted.len(), read.len());
    for (name, text) in &read {
        assert_eq!(text, plaintext(name), "{name}: Node, of the committed vector");
    }
    session_testkit::run(async {
        let client = Client::with_uri_str(&url).await.unwrap();
        let collection = client.database("test").collection(&format!("regenerated_{}", std::process::id()));
        // The keys are derived at the same time.
        let reads =
            encrypted.iter().map(|(name, stored)| assert_read_here(&collection, name, stored, &read[*name]));
        join_all(reads).await;
        collection.drop().await.unwrap();
    });
}

fn plaintext(name: &str) -> &'static str {
    if name.starts_with("knob") {
        r#"{"a":1}"#
    } else if name.starts_with("webcrypto binary") {
        "hi"
    } else {
        r#"{"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"},"user":{"id":42,"name":"Zoë 日本 😀"}}"#
    }
}

/// Through a store over a document that holds it. What is no record is decrypted and then refused: what was decrypted is not
/// shown, but it is authenticated.
async fn assert_read_here(collection: &Collection<Document>, name: &str, stored: &str, plaintext: &str) {
    let expires = DateTime::from_system_time(SystemTime::now() + Duration::from_secs(60));
    collection.insert_one(doc! { "_id": name, "session": stored, "expires": expires }).await.unwrap();
    let options = MongoOptions::new(collection.clone()).auto_remove(AutoRemove::Disabled);
    let store: MongoStore = options.crypto(crypto_of(name)).build().unwrap();
    let read = store.get(&name.into()).await;
    if plaintext.starts_with(r#"{"cookie""#) {
        assert_eq!(read.unwrap().unwrap().record.to_json(), plaintext, "{name}");
    } else {
        let error = read.unwrap_err();
        let source = error.source().unwrap();
        assert!(source.downcast_ref::<CryptoError>().is_none(), "{name}: {error:?}");
    }
}

/// The options that a vector was made with, which are in its name.
fn crypto_of(name: &str) -> Crypto {
    let (kind, rest) = name.split_once(' ').unwrap();
    let knobs: Map<String, Value> = serde_json::from_str(rest).unwrap_or_default();
    let text = |name: &str| knobs.get(name).and_then(Value::as_str);
    if kind == "webcrypto" {
        return web_crypto(&knobs, rest.starts_with("binary")).into();
    }
    let kruptein = Kruptein::new(SECRET).use_scrypt(knobs.contains_key("use_scrypt"));
    let kruptein = match text("algorithm") {
        None => kruptein,
        Some("aes-256-cbc") => kruptein.algorithm(Algorithm::Aes256Cbc),
        Some("aes-256-ctr") => kruptein.algorithm(Algorithm::Aes256Ctr),
        Some("aes-128-gcm") => kruptein.algorithm(Algorithm::Aes128Gcm),
        Some("aes-192-gcm") => kruptein.algorithm(Algorithm::Aes192Gcm),
        Some(other) => panic!("{other}"),
    };
    let kruptein =
        if text("hashing") == Some("sha256") { kruptein.hashing(Hashing::Sha256) } else { kruptein };
    if text("encodeas") == Some("hex") { kruptein.encodeas(Encoding::Hex).into() } else { kruptein.into() }
}

fn web_crypto(knobs: &Map<String, Value>, binary: bool) -> WebCrypto {
    if binary {
        return WebCrypto::new([1, 2, 3, 4]).salt([9]);
    }
    knobs.iter().fold(WebCrypto::new(SECRET), |web, (name, value)| {
        match (name.as_str(), value.as_str(), value.as_u64()) {
            ("encoding", Some("base64url"), _) => web.encoding(Encoding::Base64Url),
            ("encoding", Some("hex"), _) => web.encoding(Encoding::Hex),
            ("algorithm", Some("AES-CBC"), _) => web.algorithm(WebAlgorithm::AesCbc),
            ("salt", Some(salt), _) => web.salt(salt),
            ("iterations", _, Some(count)) => web.iterations(count.try_into().unwrap()),
            ("ivLength", _, Some(length)) => web.iv_length(length.try_into().unwrap()),
            other => panic!("{other:?}"),
        }
    })
}
