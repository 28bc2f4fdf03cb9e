//! JSON text as the BSON that Node's driver makes of what `JSON.parse` reads.

use std::{borrow::Cow, cell::OnceCell, collections::HashMap, fmt};

use mongodb::bson::{Bson, Document};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::to_json;

/// `None` when the text is no JSON that BSON could hold: nested too deep, a number beyond all doubles, a key with a NUL.
pub(crate) fn parse(json: &str) -> Option<Bson> {
    serde_json::from_str::<Value>(&whole(json)).ok().map(|value| value.0)
}

/// What was read, and what stands in it that JSON does not have.
pub(crate) struct Before<'a> {
    session: &'a Document,
    kept: OnceCell<Kept<'a>>,
}

/// By the name of the member in which it stands, at whatever depth, and by its text.
#[derive(Default)]
struct Kept<'a> {
    values: HashMap<(&'a str, String), &'a Bson>,
    longest: usize,
}

/// As deep as the reader of JSON goes.
const DEEPEST: usize = 127;

impl<'a> Before<'a> {
    pub(crate) fn new(session: &'a Document) -> Self {
        Self { session, kept: OnceCell::new() }
    }

    /// The value of a member of the session. Whatever has the text that it had keeps its type: the value, what did not change
    /// in it, and a date or an id that moved under the same name.
    pub(crate) fn over(&self, key: &str, json: &str) -> Option<Bson> {
        self.value(key, json, self.session.get(key), DEEPEST)
    }

    /// `deeper`: how many levels there may be in it.
    fn value(&self, key: &str, json: &str, here: Option<&Bson>, deeper: usize) -> Option<Bson> {
        if let Some(here) = here.filter(|here| text_of(here).as_deref() == Some(json)) {
            return Some(here.clone());
        }
        // Of what is kept, nothing else is an object than a number or a point in time.
        let is_kept = json.starts_with('"') || json.starts_with("{\"$");
        if let Some(kept) = is_kept.then(|| self.kept(key, json)).flatten() {
            return Some(kept.clone());
        }
        let deeper = deeper.checked_sub(1);
        match (json.chars().next(), here) {
            (Some('{'), Some(Bson::Document(here))) => self.members(json, here, deeper?),
            (Some('{'), _) => self.members(json, &Document::new(), deeper?),
            (Some('['), Some(Bson::Array(here))) => self.items(key, json, here, deeper?),
            (Some('['), _) => self.items(key, json, &[], deeper?),
            _ => parse(json),
        }
    }

    fn members(&self, json: &str, here: &Document, deeper: usize) -> Option<Bson> {
        let members: Members<'_> = serde_json::from_str(json).ok()?;
        let mut document = Document::new();
        for (key, value) in members.0 {
            let value = is_key(&key).then(|| self.value(&key, value.get(), here.get(&key), deeper))??;
            document.insert(key, value);
        }
        Some(Bson::Document(in_order(document)))
    }

    fn items(&self, key: &str, json: &str, here: &[Bson], deeper: usize) -> Option<Bson> {
        let items: Vec<&RawValue> = serde_json::from_str(json).ok()?;
        let items =
            items.iter().enumerate().map(|(at, item)| self.value(key, item.get(), here.get(at), deeper));
        items.collect::<Option<Vec<_>>>().map(Bson::Array)
    }

    fn kept(&self, key: &str, json: &str) -> Option<&Bson> {
        let kept = self.kept.get_or_init(|| {
            let mut kept = Kept::default();
            // Not what the cookie has: an application's copy of that is its own.
            let data = self.session.iter().filter(|(key, _)| *key != "cookie");
            data.for_each(|(key, value)| kept.keep(key, value));
            kept
        });
        // The map wants a text of its own to look for: no longer than the longest there is.
        let may_be = !kept.values.is_empty() && json.len() <= kept.longest;
        may_be.then(|| kept.values.get(&(key, json.to_owned())).copied()).flatten()
    }
}

impl<'a> Kept<'a> {
    fn keep(&mut self, key: &'a str, value: &'a Bson) {
        match value {
            Bson::Document(document) => document.iter().for_each(|(key, value)| self.keep(key, value)),
            Bson::Array(items) => items.iter().for_each(|item| self.keep(key, item)),
            // As text it is like any other empty one.
            Bson::Binary(binary) if binary.bytes.is_empty() => {}
            Bson::DateTime(_)
            | Bson::ObjectId(_)
            | Bson::Binary(_)
            | Bson::Decimal128(_)
            | Bson::Timestamp(_) => {
                if let Some(text) = text_of(value) {
                    self.longest = self.longest.max(text.len());
                    self.values.entry((key, text)).or_insert(value);
                }
            }
            _ => {}
        }
    }
}

fn text_of(value: &Bson) -> Option<String> {
    let mut text = String::new();
    to_json::push(&mut text, value).then_some(text)
}

/// The members of an object, in order. Of those of one name the last one holds.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Members<'de>, A::Error> {
        let mut all = Vec::new();
        while let Some(member) = members.next_entry()? {
            all.push(member);
        }
        Ok(Members(all))
    }
}

/// The text with U+FFFD for every half of a surrogate pair, which a BSON string cannot hold and Node replaces likewise.
pub(crate) fn whole(json: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(json);
    let mut at = 0;
    while let Some(found) = json.get(at..).and_then(|rest| rest.find('\\')) {
        let escape = at + found;
        at = escape + 2;
        match unit(json, escape) {
            Some(0xD800..=0xDBFF) if matches!(unit(json, escape + 6), Some(0xDC00..=0xDFFF)) => {
                at = escape + 12;
            }
            Some(0xD800..=0xDFFF) => {
                at = escape + 6;
                // As long as what it replaces, so that places stay the same.
                text.to_mut().replace_range(escape..at, "\\ufffd");
            }
            _ => {}
        }
    }
    text
}

/// The code unit of an escape `\uXXXX` that begins at this place.
fn unit(json: &str, at: usize) -> Option<u16> {
    let digits = json.get(at..at + 6)?.strip_prefix("\\u")?;
    u16::from_str_radix(digits, 16).ok()
}

/// BSON ends a key with a NUL.
pub(crate) fn is_key(key: &str) -> bool {
    !key.contains('\0')
}

struct Value(Bson);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor).map(Self)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Bson;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Bson, E> {
        Ok(Bson::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Bson, E> {
        Ok(Bson::Boolean(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Bson, E> {
        Ok(integer(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Bson, E> {
        // Beyond the largest BSON integer only a double is left, as in JavaScript.
        #[expect(clippy::cast_precision_loss, reason = "what a JavaScript number does")]
        let double = || Bson::Double(value as f64);
        Ok(i64::try_from(value).map_or_else(|_| double(), integer))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Bson, E> {
        Ok(double(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Bson, E> {
        Ok(Bson::String(value.into()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Bson, E> {
        Ok(Bson::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Bson, A::Error> {
        let mut array = Vec::new();
        while let Some(Value(value)) = values.next_element()? {
            array.push(value);
        }
        Ok(Bson::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Bson, A::Error> {
        let mut document = Document::new();
        while let Some((key, Value(value))) = members.next_entry::<String, Value>()? {
            if !is_key(&key) {
                return Err(Error::custom("no key of BSON"));
            }
            document.insert(key, value);
        }
        Ok(Bson::Document(in_order(document)))
    }
}

/// As in JavaScript: array indexes first.
fn in_order(document: Document) -> Document {
    if document.keys().all(|key| to_json::array_index(key).is_none()) {
        return document;
    }
    to_json::in_order(&document).into_iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Node's rule: what fits into 32 bits is an int32, every other number a double. An integer that a double would round, which
/// no Node app writes, is an int64 instead.
fn integer(value: i64) -> Bson {
    #[expect(clippy::cast_precision_loss, reason = "only where it is exact")]
    let double = value as f64;
    match i32::try_from(value) {
        Ok(small) => Bson::Int32(small),
        #[expect(clippy::cast_possible_truncation, reason = "back again, to compare")]
        Err(_) if double as i128 == i128::from(value) => Bson::Double(double),
        Err(_) => Bson::Int64(value),
    }
}

fn double(value: f64) -> Bson {
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and then differs")]
    let small = value as i32;
    let same = f64::from(small).to_bits() == value.to_bits();
    if same { Bson::Int32(small) } else { Bson::Double(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_what_node_makes_of_them() {
        for (json, bson) in [
            ("0", Bson::Int32(0)),
            ("-0", Bson::Double(-0.0)),
            ("1.0", Bson::Int32(1)),
            ("1e5", Bson::Int32(100_000)),
            ("2147483647", Bson::Int32(i32::MAX)),
            ("2147483648", Bson::Double(2_147_483_648.0)),
            ("1099511627776", Bson::Double(1_099_511_627_776.0)),
            ("5.5", Bson::Double(5.5)),
            ("9007199254740993", Bson::Int64(9_007_199_254_740_993)),
            ("18446744073709551615", Bson::Double(18_446_744_073_709_551_615.0)),
        ] {
            // -0 equals 0: the text tells them apart.
            assert_eq!(format!("{:?}", parse(json).unwrap()), format!("{bson:?}"), "{json}");
        }
        assert!(parse("1e999").is_none());
        assert!(parse(r#"{"a":{"\u0000":1}}"#).is_none());
    }

    #[test]
    fn array_indexes_come_first_as_in_javascript() {
        let value = parse(r#"[{"b":0,"10":1,"2":{"a":0,"1":1},"01":2}]"#).unwrap();
        assert_eq!(value.to_string(), r#"[{ "2": { "1": 1, "a": 0 }, "10": 1, "b": 0, "01": 2 }]"#);
    }

    #[test]
    fn halves_of_surrogate_pairs_become_what_node_makes_of_them() {
        for (json, text) in [
            (r#""\ud83d\ude00""#, "😀"),
            (r#""\uD83D""#, "\u{fffd}"),
            (r#""\ud83d\ud83d\ude00\udc00x""#, "\u{fffd}😀\u{fffd}x"),
            (r#""\\ud83d é\\\udead""#, "\\ud83d é\\\u{fffd}"),
        ] {
            assert_eq!(parse(json), Some(Bson::String(text.into())), "{json}");
        }
    }
}
