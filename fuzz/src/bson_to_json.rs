use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use session_core::{
    Record,
    fuzzing::{insert, to_text},
};
use store_mongo::{
    fuzzing::{object_of, object_of_version, object_text, object_version, to_json},
    mongodb::bson::{Bson, Document},
};

use crate::json::{is_json, members};

/// The bytes of a document.
pub(crate) fn run(data: &[u8]) {
    let Ok(session) = Document::from_reader(data) else { return };
    let text = object_text(&session);
    assert!(is_json(&text), "it is JSON");
    let version = object_version(&session).unwrap();
    let named = object_of_version(&version).unwrap();
    assert_eq!(bytes(&named), bytes(&session), "a version names its document");

    // What Node's driver stored as null is shown in no cookie.
    let mut expected = reference(&Bson::Document(session.clone())).unwrap();
    if let Some(cookie) = expected.get_mut("cookie").and_then(Value::as_object_mut)
        && matches!(session.get("cookie"), Some(Bson::Document(_)))
    {
        let unset = ["partitioned", "priority", "secure", "domain", "sameSite"];
        cookie.retain(|key, value| {
            !(value.is_null() && session_null(&session, key) && unset.contains(&&**key))
        });
    }
    if let Ok(read) = serde_json::from_str::<Value>(&text) {
        assert_eq!(read, expected, "every value is there");
    }

    let shown = session.iter().filter(|(_, value)| **value != Bson::Undefined).count();
    assert_eq!(members(&text).map(|members| members.len()), Some(shown), "a member for all but undefined");
    let parsed = Record::parse(text.as_str());
    let cookie = session.get("cookie").and_then(to_json);
    assert_eq!(parsed.is_ok(), cookie.is_some_and(|cookie| cookie.starts_with('{')));
    let Ok(record) = parsed else { return };
    crate::reached();

    let Some(written) = object_of(&record, Some(&session)) else { return };
    for (key, value) in session.iter().filter(|(key, value)| *key != "cookie" && **value != Bson::Undefined) {
        let kept = written.get(key).unwrap();
        assert_eq!(one(key, kept), one(key, value), "what nobody changed keeps its type and its bytes");
    }
    assert_eq!(written.len(), shown);
    change(record, &session);
    assert_eq!(object_text(&written), Record::parse(object_text(&written)).unwrap().to_json());
}

/// What is changed is stored as it was set, also where its text is as long as it was.
fn change(mut record: Record, session: &Document) {
    let Some((key, json)) = record.data.iter().next().map(|(key, json)| (key.to_owned(), json.to_owned()))
    else {
        return;
    };
    let new = "x".repeat(json.len().saturating_sub(2));
    insert(Arc::make_mut(&mut record.data), &key, &format!("\"{new}\""));
    let written = object_of(&record, Some(session)).unwrap();
    assert_eq!(written.get(&key), Some(&Bson::String(new)));
}

fn session_null(session: &Document, member: &str) -> bool {
    session.get_document("cookie").is_ok_and(|cookie| cookie.get(member) == Some(&Bson::Null))
}

/// What `JSON.stringify` has of it, by serde_json; `None` for `undefined`.
fn reference(value: &Bson) -> Option<Value> {
    let document = |document: &Document| -> Value {
        document.iter().filter_map(|(key, value)| Some((key.clone(), reference(value)?))).collect()
    };
    Some(match value {
        Bson::Undefined => return None,
        Bson::Null => Value::Null,
        Bson::Boolean(value) => json!(value),
        Bson::Int32(value) => json!(value),
        Bson::Int64(value) => json!(value),
        // As a number in JSON may be an integer where the one in BSON is a double.
        Bson::Double(value) => serde_json::from_str(&to_text(value).unwrap()).unwrap(),
        Bson::String(value) | Bson::Symbol(value) => json!(value),
        Bson::Document(value) => document(value),
        Bson::Array(values) => values.iter().map(|value| reference(value).unwrap_or_default()).collect(),
        Bson::DateTime(date) if date.timestamp_millis().unsigned_abs() > 8_640_000_000_000_000 => Value::Null,
        // The target of dates looks at these.
        Bson::DateTime(_) => serde_json::from_str(&to_json(value).unwrap()).unwrap(),
        Bson::ObjectId(id) => json!(id.to_hex()),
        Bson::Decimal128(value) => json!({ "$numberDecimal": value.to_string() }),
        Bson::Timestamp(at) => {
            let bits = u64::from(at.time) * (1 << 32) + u64::from(at.increment);
            json!({ "$timestamp": bits.to_string() })
        }
        Bson::Binary(binary) => match binary.to_uuid() {
            Ok(uuid) => json!(uuid.to_string()),
            Err(_) => json!(STANDARD.encode(&binary.bytes)),
        },
        Bson::JavaScriptCode(code) => json!({ "code": code }),
        Bson::JavaScriptCodeWithScope(code) => json!({ "code": code.code, "scope": document(&code.scope) }),
        // Node's driver makes a reference of it.
        Bson::DbPointer(_) => {
            let shown = value.clone().into_canonical_extjson();
            json!({ "$ref": shown["$dbPointer"]["$ref"], "$id": shown["$dbPointer"]["$id"]["$oid"] })
        }
        Bson::RegularExpression(_) | Bson::MinKey | Bson::MaxKey => json!({}),
    })
}

/// Numbers that are none are equal to nothing: bytes are.
fn one(key: &str, value: &Bson) -> Vec<u8> {
    bytes(&Document::from_iter([(key.to_owned(), value.clone())]))
}

fn bytes(document: &Document) -> Vec<u8> {
    let mut bytes = Vec::new();
    document.to_writer(&mut bytes).unwrap();
    assert!(to_json(&Bson::Document(document.clone())).is_some_and(|text| is_json(&text)));
    bytes
}
