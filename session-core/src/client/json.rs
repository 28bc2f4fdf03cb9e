//! A payload: what cookie-session makes of a JSON text, and the text that it makes of that again.

use std::{borrow::Cow, collections::HashMap};

use serde::de::{Deserializer as _, Visitor};
use serde_json::value::RawValue;

use crate::{
    record::{
        data::{Data, array_index},
        value::Reserved,
    },
    wire::json,
};

/// What becomes of numbers.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Numbers {
    /// Doubles, as JavaScript has them.
    JavaScript,
    /// Integers stay what they are: one beyond 2⁵³ would be another one.
    Exact,
}

fn is_integer(number: &str) -> bool {
    number != "-0" && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

/// Deeper values are refused: a client could send as many as fit, and each level costs stack.
pub(super) const DEEPEST: usize = 128;

/// What `new Session(JSON.parse(text))` has: an object's members, an array's items, a string's letters; of every other value
/// nothing. Names that a session has already are dropped. `None`: it is no JSON.
pub(super) fn parse(text: &str, numbers: Numbers) -> Option<Data> {
    let value = serde_json::from_str::<&RawValue>(text).ok()?.get();
    // Of two that no UTF-8 tells apart the last one.
    let (mut put, mut places) = (Vec::<(String, String)>::new(), HashMap::new());
    match value.as_bytes().first()? {
        b'{' | b'[' => {
            for (key, value) in parts(value, numbers, 0)? {
                let key = String::from_utf8_lossy(&key).into_owned();
                if Reserved::CookieSession.has(&key) {
                    continue;
                }
                match places.get(&key) {
                    Some(&at) => put[at] = (key, value),
                    None => {
                        places.insert(key.clone(), put.len());
                        put.push((key, value));
                    }
                }
            }
        }
        b'"' => {
            for (at, unit) in units_of(&bytes_of(value)?).into_iter().enumerate() {
                let mut json = String::from('"');
                push_units(&mut json, &[unit]);
                json.push('"');
                put.push((at.to_string(), json));
            }
        }
        _ => {}
    }
    let put: Vec<(&str, &str)> = put.iter().map(|(key, value)| (&**key, &**value)).collect();
    let mut data = Data::new();
    data.change(&[], &put);
    Some(data)
}

/// `JSON.stringify` of the session.
pub(super) fn stringify(data: &Data) -> String {
    let mut text = String::with_capacity(data.size() + "{}".len());
    for (key, value) in data.iter() {
        text.push(if text.is_empty() { '{' } else { ',' });
        json::push_string(&mut text, key);
        text.push(':');
        text.push_str(value);
    }
    text.push_str(if text.is_empty() { "{}" } else { "}" });
    text
}

/// Whether [`parse`] would refuse this value of a key because of its depth.
pub(super) fn is_too_deep(value: &str) -> bool {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (1, 1, false, false);
    for byte in value.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => {
                in_string = !in_string;
                deepest = deepest.max(depth);
            }
            _ if in_string => {}
            b'[' | b'{' => {
                deepest = deepest.max(depth);
                depth += 1;
            }
            b']' | b'}' => depth -= 1,
            b',' | b':' | b' ' => {}
            _ => deepest = deepest.max(depth),
        }
    }
    deepest > DEEPEST
}

/// The members of an object, or the items of an array under their indexes, each as `JSON.stringify` prints it and in the order in which
/// JavaScript has them: array indexes first, and of two with one name the last value in the first one's place.
fn parts(value: &str, numbers: Numbers, depth: usize) -> Option<Vec<(Cow<'_, [u8]>, String)>> {
    let mut parts: Vec<(Cow<'_, [u8]>, &str)> = Vec::new();
    let mut places = HashMap::new();
    json::each_part(value, |key, json| {
        let key = key.unwrap_or_else(|| parts.len().to_string().into_bytes().into());
        let at = *places.entry(key.clone()).or_insert(parts.len());
        match parts.get_mut(at) {
            Some((_, value)) => *value = json,
            None => parts.push((key, json)),
        }
    })
    .ok()?;
    // Stable: what is no index stays in its order.
    let index = |key: &[u8]| str::from_utf8(key).ok().and_then(array_index);
    parts.sort_by_key(|(key, _)| index(key).map_or(u64::MAX, u64::from));
    parts.into_iter().map(|(key, value)| Some((key, printed(value, numbers, depth + 1)?))).collect()
}

/// As `JSON.stringify(JSON.parse(value))`.
fn printed(value: &str, numbers: Numbers, depth: usize) -> Option<String> {
    if depth > DEEPEST {
        return None;
    }
    let mut text = String::with_capacity(value.len());
    match value.as_bytes().first()? {
        b'{' => {
            text.push('{');
            for (at, (key, value)) in parts(value, numbers, depth)?.into_iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                push_bytes(&mut text, &key);
                text.push(':');
                text.push_str(&value);
            }
            text.push('}');
        }
        b'[' => {
            text.push('[');
            for (at, (_, value)) in parts(value, numbers, depth)?.into_iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                text.push_str(&value);
            }
            text.push(']');
        }
        b'"' => push_bytes(&mut text, &bytes_of(value)?),
        b't' | b'f' | b'n' => text.push_str(value),
        _ if numbers == Numbers::Exact && is_integer(value) => text.push_str(value),
        // JavaScript has one kind of numbers, and none that is infinite in JSON.
        _ => match value.parse::<f64>().ok()? {
            number if number.is_finite() => {
                text.push_str(ryu_js::Buffer::new().format_finite(number));
            }
            _ => text.push_str("null"),
        },
    }
    Some(text)
}

/// A string's bytes: UTF-8, and lone surrogates as it would have them.
fn bytes_of(string: &str) -> Option<Vec<u8>> {
    struct Bytes;
    impl Visitor<'_> for Bytes {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a string")
        }

        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }
    }
    serde_json::Deserializer::from_str(string).deserialize_bytes(Bytes).ok()
}

/// A JSON string of such bytes: a lone surrogate is an escape.
fn push_bytes(text: &mut String, bytes: &[u8]) {
    match str::from_utf8(bytes) {
        Ok(string) => json::push_string(text, string),
        Err(_) => {
            text.push('"');
            push_units(text, &units_of(bytes));
            text.push('"');
        }
    }
}

/// In UTF-16, as JavaScript has a string.
fn units_of(mut bytes: &[u8]) -> Vec<u16> {
    let mut units = Vec::with_capacity(bytes.len());
    while !bytes.is_empty() {
        let (plain, surrogate, behind) = split_at_surrogate(bytes);
        units.extend(String::from_utf8_lossy(plain).encode_utf16());
        units.extend(surrogate);
        bytes = behind;
    }
    units
}

/// What comes before the first lone surrogate, that, and what comes behind.
fn split_at_surrogate(bytes: &[u8]) -> (&[u8], Option<u16>, &[u8]) {
    let found = bytes.windows(3).position(|three| matches!(three, [0xed, 0xa0..=0xbf, _]));
    match found.and_then(|at| Some((bytes.get(..at)?, bytes.get(at..at + 3)?, bytes.get(at + 3..)?))) {
        Some((before, &[_, middle, last], behind)) => {
            let unit = 0xd000 | u16::from(middle & 0x3f) << 6 | u16::from(last & 0x3f);
            (before, Some(unit), behind)
        }
        _ => (bytes, None, &[]),
    }
}

/// Inside of a JSON string.
fn push_units(text: &mut String, units: &[u16]) {
    for unit in char::decode_utf16(units.iter().copied()) {
        match unit {
            Ok(letter) => {
                let mut printed = String::new();
                json::push_string(&mut printed, letter.encode_utf8(&mut [0; 4]));
                text.push_str(printed.get(1..printed.len() - 1).unwrap_or_default());
            }
            Err(lone) => text.push_str(&format!("\\u{:04x}", lone.unpaired_surrogate())),
        }
    }
}
