use session_core::Record;
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

    let shown = session.iter().filter(|(_, value)| **value != Bson::Undefined).count();
    assert_eq!(members(&text).map(|members| members.len()), Some(shown), "a member for all but undefined");
    let parsed = Record::parse(text.as_str());
    let cookie = session.get("cookie").and_then(to_json);
    assert_eq!(parsed.is_ok(), cookie.is_some_and(|cookie| cookie.starts_with('{')));
    let Ok(record) = parsed else { return };

    let Some(written) = object_of(&record, Some(&session)) else { return };
    for (key, value) in session.iter().filter(|(key, value)| *key != "cookie" && **value != Bson::Undefined) {
        let kept = written.get(key).unwrap();
        assert_eq!(one(key, kept), one(key, value), "what nobody changed keeps its type and its bytes");
    }
    assert_eq!(written.len(), shown);
    assert_eq!(object_text(&written), Record::parse(object_text(&written)).unwrap().to_json());
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
