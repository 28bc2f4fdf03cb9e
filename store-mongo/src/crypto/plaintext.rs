//! What stands inside the encryption.

use serde::Deserialize;
use serde_json::value::RawValue;

/// What connect-mongo's plaintext has around the record: nothing (Web Crypto; documents in connect-mongo 4 and 5), a JSON
/// string (kruptein 3.0 to 3.3), an object that names the type (kruptein 3.4), or one in the other.
const LAYERS: usize = 4;

#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(borrow, rename = "type")]
    _type: &'a RawValue,
    #[serde(borrow)]
    value: &'a RawValue,
    #[serde(borrow)]
    cookie: Option<&'a RawValue>,
}

/// The record's text; `None` for what is no text at all.
pub(super) fn unwrap(plaintext: Vec<u8>) -> Option<String> {
    let mut text = String::from_utf8(plaintext).ok()?;
    for _ in 0..LAYERS {
        let inside = if text.starts_with('"') {
            serde_json::from_str::<String>(&text).ok()
        } else if text.starts_with("{\"type\":") {
            let typed = serde_json::from_str::<Typed<'_>>(&text).ok();
            typed.filter(|typed| typed.cookie.is_none()).map(|typed| typed.value.get().to_owned())
        } else {
            None
        };
        match inside {
            Some(inside) => text = inside,
            None => break,
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layer_comes_off() {
        for plaintext in [
            r#"{"a":1}"#,
            r#""{\"a\":1}""#,
            r#"{"type":"string","value":"{\"a\":1}"}"#,
            r#"{"type":"object","value":{"a":1}}"#,
            r#""\"{\\\"a\\\":1}\"""#,
        ] {
            assert_eq!(unwrap(plaintext.into()).unwrap(), r#"{"a":1}"#);
        }
        let record = r#"{"type":"x","value":1,"cookie":{}}"#;
        assert_eq!(unwrap(record.into()).unwrap(), record);
        assert_eq!(unwrap(vec![0xff]), None);
    }
}
