//! The 77 vectors of `data/golden.json`, which the published Node packages printed, by the public interface.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use express_session::{
    Exchange, Keygrip, KeygripAlgorithm, KeygripEncoding, MemoryStore, Options, Record, RequestInfo, Secret,
    SessionHandle, Sessions, Sid, Store, cookie_session_value, cookie_values,
};
use fuzz::core;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha1::{Digest, Sha1};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Golden {
    wire: Vec<Wire>,
    tamper: Vec<Tamper>,
    keygrip: Vec<Keygripped>,
    cookie_session: Vec<CookieSession>,
    hash: Vec<Hash>,
    cookie_parse: Vec<CookieParse>,
    uid: Vec<Uid>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    name: String,
    sid: String,
    secret: Option<String>,
    secret_hex: Option<String>,
    signed: String,
    cookie_value: String,
    set_cookie_default: String,
}

#[derive(Deserialize)]
struct Tamper {
    input: String,
    secret: String,
    unsign: serde_json::Value,
}

#[derive(Deserialize)]
struct Keygripped {
    key: String,
    data: String,
    algorithm: String,
    encoding: String,
    sig: String,
}

#[derive(Deserialize)]
struct CookieSession {
    name: String,
    key: String,
    json: String,
    value: String,
    sig: String,
}

#[derive(Deserialize)]
struct Hash {
    json: String,
    sha1: String,
}

#[derive(Deserialize)]
struct CookieParse {
    header: String,
    parsed: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Uid {
    bytes_hex: String,
    id: String,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../data/golden.json")).unwrap()
}

impl Wire {
    fn secret(&self) -> Secret {
        match (&self.secret, &self.secret_hex) {
            (Some(text), _) => text.as_str().into(),
            (_, hex) => unhex(hex.as_deref().unwrap()).into(),
        }
    }

    /// Sessions whose new ids are all the one of this vector.
    fn sessions(&self) -> Sessions {
        let sid = Sid::from(self.sid.as_str());
        let options = Options::express(self.secret()).name(&self.name).genid(move |_| sid.clone());
        options.build().unwrap()
    }
}

async fn begin(sessions: &Sessions, cookie: Option<&str>) -> (Exchange, SessionHandle) {
    let headers = |visit: &mut dyn FnMut(&str, &[u8])| {
        cookie.iter().for_each(|cookie| visit("cookie", cookie.as_bytes()));
    };
    let exchange = sessions.exchange();
    let session = exchange.session(&RequestInfo::new("/", false, &headers)).await.unwrap().unwrap();
    (exchange, session)
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn there_are_77_vectors() {
    let golden = golden();
    let lengths = [
        golden.wire.len(),
        golden.tamper.len(),
        golden.keygrip.len(),
        golden.cookie_session.len(),
        golden.hash.len(),
        golden.cookie_parse.len(),
        golden.uid.len(),
    ];
    assert_eq!(lengths, [15, 11, 10, 9, 7, 22, 3]);
    assert_eq!(lengths.iter().sum::<usize>(), 77);
}

#[tokio::test]
async fn ids_are_signed_sent_and_read_as_cookie_signature_and_express_session_do() {
    for wire in golden().wire {
        let secret = wire.secret();
        assert_eq!(secret.sign(&wire.sid), wire.signed);
        assert_eq!(secret.unsign(&wire.signed), Some(wire.sid.as_str()));

        let sessions = wire.sessions();
        let (exchange, session) = begin(&sessions, None).await;
        assert!(session.is_new() && session.id().unwrap().as_str() == wire.sid);
        assert_eq!(exchange.end().await.unwrap(), [wire.set_cookie_default.as_str()]);

        let (_, session) = begin(&sessions, Some(&format!("{}={}", wire.name, wire.cookie_value))).await;
        assert_eq!(session.id().unwrap().as_str(), wire.sid);
        // express-session takes an empty id for none at all, however well it is signed.
        assert_eq!(session.is_new(), wire.sid.is_empty(), "{:?}", wire.sid);
    }
}

#[test]
fn what_was_tampered_with_is_refused() {
    for tamper in golden().tamper {
        let secret = Secret::new(&tamper.secret);
        assert_eq!(secret.unsign(&tamper.input), tamper.unsign.as_str(), "{:?}", tamper.input);
        assert!(tamper.unsign.is_string() || tamper.unsign == false);
    }
}

#[test]
fn keygrip_signs_as_in_node() {
    for vector in golden().keygrip {
        let algorithm = match vector.algorithm.as_str() {
            "sha1" => KeygripAlgorithm::Sha1,
            "sha256" => KeygripAlgorithm::Sha256,
            "sha384" => KeygripAlgorithm::Sha384,
            other => {
                assert_eq!(other, "sha512");
                KeygripAlgorithm::Sha512
            }
        };
        let hex = vector.encoding == "hex";
        assert!(hex || vector.encoding == "base64");
        let encoding = if hex { KeygripEncoding::Hex } else { KeygripEncoding::Base64 };
        let keygrip = Keygrip::new([&vector.key]).algorithm(algorithm).encoding(encoding);
        assert_eq!(keygrip.sign(&vector.data), vector.sig);
        assert_eq!(keygrip.verify(&vector.data, &vector.sig), Some(0));
    }
}

#[test]
fn cookie_session_values_and_their_signatures_are_those_of_node() {
    for vector in golden().cookie_session {
        let value = cookie_session_value(&vector.json);
        assert_eq!(value, vector.value);
        assert_eq!(Keygrip::new([&vector.key]).sign(&format!("{}={value}", vector.name)), vector.sig);
    }
}

/// What express-session hashes is the record without `cookie`: the text that a session of ours has stored.
#[tokio::test]
async fn the_data_have_the_text_that_express_session_hashes() {
    for Hash { json, sha1 } in golden().hash {
        let store = Arc::new(MemoryStore::new());
        let sessions = Options::express("keyboard cat").store(Arc::clone(&store)).build().unwrap();
        let (_exchange, session) = begin(&sessions, None).await;
        let members = json.strip_prefix('{').unwrap();
        let comma = if members == "}" { "" } else { "," };
        let wanted = Record::parse(format!(r#"{{"cookie":{{}}{comma}{members}"#)).unwrap();
        for (key, value) in wanted.data.iter() {
            session.insert(key, RawValue::from_string(value.into()).unwrap()).unwrap();
        }
        session.save().await.unwrap();

        let stored = store.get(&session.id().unwrap()).await.unwrap().unwrap().record.to_json();
        let cookie = format!(r#""cookie":{}{comma}"#, session.cookie_json());
        let data = stored.replacen(&cookie, "", 1);
        assert_eq!(data, json);
        assert_eq!(hex(&Sha1::digest(&data)), sha1);
    }
}

#[test]
fn cookie_headers_are_read_as_nodes_cookie_reads_them() {
    for CookieParse { header, parsed } in golden().cookie_parse {
        let first = |name: &str| cookie_values(header.as_bytes(), name).next().map(String::from);
        for (name, value) in &parsed {
            assert_eq!(first(name).as_ref(), Some(value), "{header:?} {name:?}");
        }
        for name in ["a", "A", "b", "c", "x", "\"x y\"", ""] {
            assert_eq!(first(name).is_some(), parsed.contains_key(name), "{header:?} {name:?}");
        }
    }
}

#[test]
fn ids_are_written_as_uid_safe_writes_them() {
    for Uid { bytes_hex, id } in golden().uid {
        let drawn = unhex(&bytes_hex).try_into().unwrap();
        assert_eq!(core::sid(&drawn).as_str(), id);
    }
    for _ in 0..1000 {
        let sid = Sid::random();
        let bytes = URL_SAFE_NO_PAD.decode(sid.as_str()).unwrap();
        assert_eq!(bytes.len(), 24);
    }
}
