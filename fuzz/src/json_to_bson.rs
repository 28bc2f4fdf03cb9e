use serde_json::Value;
use session_core::{
    Record,
    fuzzing::{to_text, without_lone_surrogates},
};
use store_mongo::{
    fuzzing::{object_of, object_text, to_bson, to_json},
    mongodb::bson::{Bson, Document},
};

use crate::json::{by_key, has_key_with_nul, members};

/// A value's JSON text; and the same as the text of a record.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let reference: Option<Value> = serde_json::from_str(&without_lone_surrogates(text)).ok();
    let value = to_bson(text);
    assert_eq!(value.is_some(), reference.is_some() && !has_key_with_nul(text), "what serde_json reads");
    if let (Some(value), Some(reference)) = (value, reference) {
        let printed = to_json(&value).unwrap();
        assert!(same(&serde_json::from_str(&printed).unwrap(), &reference), "the same value");
        assert_eq!(
            to_bson(&printed).and_then(|again| to_json(&again)),
            Some(printed),
            "and then the same text"
        );
        numbers(&value, &reference);
    }
    let Ok(record) = Record::parse(text) else { return };
    let document = object_of(&record, None);
    // Over what was read, where nothing in that is past JSON.
    assert_eq!(object_of(&record, Some(&Document::new())), document, "over nothing");
    let Some(document) = document else { return };
    crate::reached();
    assert_eq!(object_of(&record, Some(&document)).as_ref(), Some(&document), "over itself");
    let stored = Record::parse(object_text(&document)).unwrap();
    // A document has array indexes first, as JavaScript has.
    let sorted = |record: &Record| {
        let mut keys: Vec<String> = record.data.keys().map(String::from).collect();
        keys.sort();
        keys
    };
    assert_eq!(sorted(&stored), sorted(&record), "the same keys");
    for (key, value) in record.data.iter() {
        assert_eq!(document.get(key), to_bson(value).as_ref(), "the same value");
    }
    assert!(same(&cookie_of(&stored), &cookie_of(&record)), "the same cookie");
    let cookie = document.get_document("cookie").unwrap();
    assert_eq!(cookie.len(), 9);
    assert_eq!(cookie.get_datetime("expires").is_ok(), record.expires().is_some(), "a date is one");
}

/// Without the members that are null: Node's driver stores as null what is undefined.
fn cookie_of(record: &Record) -> Value {
    let cookie = by_key(members(&record.to_json()).unwrap()).remove("cookie").unwrap();
    let set = by_key(members(&cookie).unwrap()).into_iter().filter(|(_, json)| json != "null");
    set.map(|(name, json)| (name, serde_json::from_str::<Value>(&without_lone_surrogates(&json)).unwrap()))
        .collect()
}

/// JavaScript has no other numbers than doubles.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, one)| other.get(key).is_some_and(|other| same(one, other)))
        }
        _ => one == other,
    }
}

/// Node's driver makes an int32 of what fits, and never of a negative zero.
fn numbers(value: &Bson, reference: &Value) {
    match (value, reference) {
        (Bson::Double(double), _) => {
            let fits = *double == double.trunc() && double.abs() <= f64::from(i32::MAX);
            assert!(!fits || (*double == 0.0 && double.is_sign_negative()), "{double} fits into 32 bits");
            assert_eq!(to_json(value), to_text(double));
        }
        (Bson::Int64(integer), _) => assert!(integer.unsigned_abs() > 1 << 53, "a double holds {integer}"),
        (Bson::Int32(0), zero) => {
            assert!(zero.as_f64().is_some_and(f64::is_sign_positive), "a negative zero")
        }
        (Bson::Array(values), Value::Array(references)) => {
            values.iter().zip(references).for_each(|(value, reference)| numbers(value, reference));
        }
        (Bson::Document(document), Value::Object(references)) => {
            document.iter().for_each(|(key, value)| numbers(value, &references[key]));
        }
        _ => {}
    }
}
