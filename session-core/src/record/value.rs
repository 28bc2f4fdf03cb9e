//! Values between JSON text and Rust's types.

use std::{
    any::type_name,
    borrow::Cow,
    collections::{HashMap, HashSet},
    ops::Range,
    sync::Arc,
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    error::Error,
    record::{
        data::{Data, array_index},
        ids, times,
    },
    wire::json,
};

/// express-session's `in` test: the session's own properties and methods, and those of every object.
const RESERVED: [&str; 21] = [
    "cookie",
    "id",
    "req",
    "touch",
    "resetMaxAge",
    "save",
    "reload",
    "destroy",
    "regenerate",
    "constructor",
    "toString",
    "toLocaleString",
    "valueOf",
    "hasOwnProperty",
    "isPrototypeOf",
    "propertyIsEnumerable",
    "__proto__",
    "__defineGetter__",
    "__defineSetter__",
    "__lookupGetter__",
    "__lookupSetter__",
];

/// cookie-session's: the session's getters and its context, and those of every object.
const RESERVED_BY_COOKIE_SESSION: [&str; 4] = ["isChanged", "isNew", "isPopulated", "_ctx"];
/// From here on [`RESERVED`] are those of every object.
const OF_EVERY_OBJECT: usize = 9;

/// Whose names are no keys: an Express app would drop their values.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reserved {
    Express,
    CookieSession,
}

impl Reserved {
    pub(crate) fn has(self, key: &str) -> bool {
        match self {
            // Ours, in the records of both.
            Self::Express => [times::KEY, ids::KEY].contains(&key) || RESERVED.contains(&key),
            Self::CookieSession => {
                RESERVED_BY_COOKIE_SESSION.contains(&key) || RESERVED[OF_EVERY_OBJECT..].contains(&key)
            }
        }
    }
}

/// The JSON text of a value that goes under a key.
pub(crate) fn text_of(key: &str, value: &impl Serialize) -> Result<Box<str>, Error> {
    json::to_text(value).map(Into::into).map_err(|_| Error::Serialize { key: key.into() })
}

/// The value of a key. JavaScript's `null` is no value, whatever the type; a lone surrogate is read as U+FFFD.
pub(crate) fn read<T: DeserializeOwned>(json: Option<&str>, key: &str) -> Result<Option<T>, Error> {
    let Some(json) = json.filter(|json| *json != "null") else { return Ok(None) };
    let read = from_json(json).map(Some);
    read.map_err(|reason| Error::Deserialize { key: key.into(), expected: type_name::<T>(), reason })
}

/// Or why the type cannot be read of it.
fn from_json<T: DeserializeOwned>(json: &str) -> Result<T, String> {
    let value = serde_json::from_str(json).or_else(|error| match json::without_lone_surrogates(json) {
        Cow::Owned(json) => serde_json::from_str(&json),
        Cow::Borrowed(_) => Err(error),
    });
    value.map_err(|error| reason(&error, json))
}

/// The data as a whole, as one object. A member that is JavaScript's `null` is none, as in [`read`].
pub(crate) fn read_object<T: DeserializeOwned>(data: &Data) -> Result<T, Error> {
    let mut text = String::with_capacity(data.size() + "{}".len());
    for (key, value) in data.iter().filter(|(_, value)| *value != "null") {
        text.push(if text.is_empty() { '{' } else { ',' });
        json::push_string(&mut text, key);
        text.push(':');
        text.push_str(value);
    }
    text.push_str(if text.is_empty() { "{}" } else { "}" });
    from_json(&text).map_err(|reason| Error::DeserializeData { expected: type_name::<T>(), reason })
}

/// What a value has as members: keys and their JSON texts.
pub(crate) fn members_of<T: Serialize>(value: &T) -> Result<Data, Error> {
    let no_object = || Error::NoObject(type_name::<T>());
    let text = json::to_text(value).map_err(|_| no_object())?;
    if !text.starts_with('{') {
        return Err(no_object());
    }
    let text = Arc::<str>::from(text);
    let mut members = Data::over(Arc::clone(&text));
    let visit = |key: Option<Cow<'_, [u8]>>, json: &str| {
        members.push_read(&String::from_utf8_lossy(&key.unwrap_or_default()), json);
    };
    json::each_part(&text, visit).map_err(|_| no_object())?;
    if members.has_duplicates() {
        members.resolve_duplicates();
    }
    Ok(members)
}

/// What serde_json says of the type, and nothing that it says of the data: else only the place in the text.
fn reason(error: &serde_json::Error, json: &str) -> String {
    let place = match error.line() {
        // It was read to its end, and then found wrong.
        0 => "the type refuses it".into(),
        line => format!("line {line} column {}", error.column()),
    };
    if !error.is_data() || could_be_quoted(json) {
        return place;
    }
    let message = error.to_string();
    let message = message.strip_suffix(&format!(" at {place}")).unwrap_or(&message);
    words_of_the_type(message).unwrap_or(place)
}

/// Whether the data have the words by which a message is judged, or hide letters in escapes: a type's own error, which may
/// quote the data, could then look like one of serde's.
fn could_be_quoted(json: &str) -> bool {
    let hides_a_letter = |rest: &str| rest.starts_with(|digit| matches!(digit, '2'..='7'));
    json.contains(", expected ")
        || json.contains("field `")
        || json.split("\\u00").skip(1).any(hides_a_letter)
}

/// The messages of `serde::de::Error` without what they quote of the data.
fn words_of_the_type(message: &str) -> Option<String> {
    for kind in ["missing field", "duplicate field"] {
        if let Some(quoted) = message.strip_prefix(kind) {
            let name = quoted.strip_prefix(" `")?.strip_suffix('`')?;
            return is_a_name(name).then(|| message.into());
        }
    }
    // The data come before, and may have these words too.
    let (found, expected) = message.rsplit_once(", expected ")?;
    if let Some(count) = found.strip_prefix("invalid length ") {
        let is_a_number = count.bytes().all(|digit| digit.is_ascii_digit());
        return is_a_number.then(|| message.into());
    }
    if let Some(found) = found.strip_prefix("invalid type: ") {
        let kind = KINDS.iter().find(|kind| found.starts_with(**kind));
        return Some(match kind {
            Some(kind) => format!("invalid type: {kind}, expected {expected}"),
            None => format!("invalid type, expected {expected}"),
        });
    }
    let kinds = ["invalid value: ", "unknown variant `", "unknown field `"];
    let kind = kinds.into_iter().find(|kind| found.starts_with(kind))?;
    Some(format!("{}, expected {expected}", kind.trim_end_matches([':', ' ', '`'])))
}

/// What JSON can hold, in serde's words.
const KINDS: [&str; 7] = ["boolean", "integer", "floating point", "string", "null", "sequence", "map"];

fn is_a_name(name: &str) -> bool {
    let letter = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '$');
    !name.is_empty() && name.len() <= 64 && name.chars().all(letter)
}

/// The JSON text at a path of keys and array indexes: `cart.items.0.price`. A key that is all of the path comes first.
pub(crate) fn at_path<'a>(data: &'a Data, path: &str) -> Option<&'a str> {
    data.get(path).or_else(|| {
        let mut segments = path.split('.');
        let value = data.get(segments.next()?)?;
        segments.try_fold(value, member)
    })
}

/// The member of an object or the item of an array; of duplicates the last one, as in `JSON.parse`.
fn member<'a>(json: &'a str, segment: &str) -> Option<&'a str> {
    let mut found = None;
    let mut place = 0;
    let index = array_index(segment);
    let visit = |key: Option<Cow<'a, [u8]>>, value| {
        if key.map_or(index == Some(place), |key| *key == *segment.as_bytes()) {
            found = Some(value);
        }
        place += 1;
    };
    json::each_part(json, visit).ok()?;
    found
}

/// On the way to a path stands something that has no such member, and can have none.
#[derive(Debug, PartialEq)]
pub(crate) struct NoPlace {
    /// So many segments lead to it.
    pub(crate) depth: usize,
}

/// The text with a value put at a path of keys and array indexes. Objects are made where there is nothing, or `null`; all
/// other members keep their text and their order.
pub(crate) fn put_at_path(json: Option<&str>, path: &[&str], value: &str) -> Result<String, NoPlace> {
    let json = json.unwrap_or("null");
    let mut place = 0..json.len();
    for (depth, segment) in path.iter().enumerate() {
        let here = json.get(place.clone()).unwrap_or_default();
        if here == "null" {
            let objects = objects_around(path.get(depth..).unwrap_or_default(), value);
            return Ok(replaced(json, place, &objects));
        }
        let part = Part::find(here, segment).ok_or(NoPlace { depth })?;
        let from = place.start;
        match part {
            Part::Held(part) => place = from + part.start..from + part.end,
            Part::New { at, before, after } => {
                let mut member = String::from(before);
                json::push_string(&mut member, segment);
                member.push(':');
                member.push_str(&objects_around(path.get(depth + 1..).unwrap_or_default(), value));
                member.push_str(after);
                return Ok(replaced(json, from + at..from + at, &member));
            }
        }
    }
    Ok(replaced(json, place, value))
}

/// The top-level key that a dotted path leads through, and its value once `value` stands at the path. A key that is the
/// whole path comes first, as in [`at_path`].
pub(crate) fn put_path<'p>(data: &Data, path: &'p str, value: &str) -> Result<(&'p str, Box<str>), Error> {
    let (key, rest) = match path.split_once('.') {
        Some((key, rest)) if !data.contains(path) => (key, rest),
        _ => return Ok((path, value.into())),
    };
    let segments: Vec<&str> = rest.split('.').collect();
    let put = put_at_path(data.get(key), &segments, value);
    let no_place = |NoPlace { depth }| Error::NoPlace {
        path: path.split('.').take(depth + 1).collect::<Vec<_>>().join("."),
    };
    put.map(|json| (key, json.into())).map_err(no_place)
}

/// Where a part is, or is to be, in the text of its object or array.
enum Part {
    Held(Range<usize>),
    New { at: usize, before: &'static str, after: &'static str },
}

impl Part {
    /// `None` when there is neither such a part nor a place for it.
    fn find(json: &str, segment: &str) -> Option<Self> {
        let index = array_index(segment);
        let mut held = None;
        let mut place = 0;
        // Behind the brace, or behind the last member that JavaScript's order has before the new one.
        let mut end = 1;
        let mut passed = false;
        let visit = |key: Option<Cow<'_, [u8]>>, value: &str| {
            let from = value.as_ptr() as usize - json.as_ptr() as usize;
            let here = from..from + value.len();
            let key = key.as_deref();
            passed |= index.is_some_and(|new| index_of(key).is_none_or(|held| held > new));
            if !passed {
                end = here.end;
            }
            if key.map_or(index == Some(place), |key| key == segment.as_bytes()) {
                held = Some(here);
            }
            place += 1;
        };
        json::each_part(json, visit).ok()?;
        match held {
            Some(held) => Some(Self::Held(held)),
            None if json.starts_with('[') => None,
            None if place == 0 => Some(Self::New { at: end, before: "", after: "" }),
            None if end == 1 => Some(Self::New { at: end, before: "", after: "," }),
            None => Some(Self::New { at: end, before: ",", after: "" }),
        }
    }
}

fn index_of(key: Option<&[u8]>) -> Option<u32> {
    array_index(std::str::from_utf8(key?).ok()?)
}

/// `{"a":{"b":value}}` for the path a, b.
fn objects_around(path: &[&str], value: &str) -> String {
    let mut text = String::new();
    for key in path {
        text.push('{');
        json::push_string(&mut text, key);
        text.push(':');
    }
    text.push_str(value);
    text.extend(path.iter().map(|_| '}'));
    text
}

fn replaced(text: &str, range: Range<usize>, by: &str) -> String {
    [text.get(..range.start).unwrap_or_default(), by, text.get(range.end..).unwrap_or_default()].concat()
}

/// Whether both have the same keys with the same values, in any order: what a database gives back that keeps values rather
/// than texts (jsonb, MySQL's JSON, BSON).
pub(crate) fn same_values(one: &Data, other: &Data) -> bool {
    let mut held = other.lookup();
    let same = |(key, value)| held.get(key).is_some_and(|held| same_texts(value, held));
    one.len() == other.len() && one.iter().all(same)
}

/// Whether two texts of one serializer say the same: a map may be written in another order each time.
pub(crate) fn same_members(one: &str, other: &str) -> bool {
    same_to_depth(one, other, 128)
}

fn same_to_depth(one: &str, other: &str, depth: usize) -> bool {
    let Some(deeper) = depth.checked_sub(1) else { return false };
    if one == other {
        return true;
    }
    let is_list = one.starts_with('[');
    if is_list != other.starts_with('[') {
        return false;
    }
    let parts = |json| {
        let mut parts = Vec::new();
        json::each_part(json, |key, value| parts.push((key, value))).ok().map(|()| parts)
    };
    let (Some(one), Some(other)) = (parts(one), parts(other)) else { return false };
    if one.len() != other.len() {
        return false;
    }
    if is_list {
        return one.iter().zip(&other).all(|((_, one), (_, other))| same_to_depth(one, other, deeper));
    }
    let (count, keys) = (one.len(), one.iter().map(|(key, _)| key).collect::<HashSet<_>>().len());
    let other: HashMap<_, _> = other.into_iter().collect();
    // Where a key stands twice, only the same text is the same.
    (count, count) == (keys, other.len())
        && one
            .into_iter()
            .all(|(key, one)| other.get(&key).is_some_and(|other| same_to_depth(one, other, deeper)))
}

/// What serde_json does not read, nested deeper than 128 levels or beyond all doubles, is the same as its own text only.
fn same_texts(one: &str, other: &str) -> bool {
    // A database that keeps UTF-8 has no lone surrogates to give back.
    let value = |json| serde_json::from_str(&json::without_lone_surrogates(json));
    one == other || matches!((value(one), value(other)), (Ok(one), Ok(other)) if same_value(&one, &other))
}

fn same_value(one: &Value, other: &Value) -> bool {
    match (one, other) {
        // JavaScript has no other numbers than doubles.
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same_value(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let mut members = one.iter().map(|(key, value)| (value, other.get(key)));
            one.len() == other.len()
                && members.all(|(one, other)| other.is_some_and(|other| same_value(one, other)))
        }
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use serde::Deserialize;

    use super::*;
    use crate::record::Record;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct User {
        name: String,
        zip: u32,
    }

    #[test]
    fn members_are_the_same_in_any_order_and_to_the_last_digit() {
        for (one, other) in [
            ("1", "1"),
            (r#"{"a":1,"b":[1,2]}"#, r#"{"b":[1,2],"a":1}"#),
            (r#"{"a":{"b":1,"c":2}}"#, r#"{"a":{"c":2,"b":1}}"#),
            (r#"[{"b":1,"c":2},3]"#, r#"[{"c":2,"b":1},3]"#),
        ] {
            assert!(same_members(one, other) && same_members(other, one), "{one} {other}");
        }
        for (one, other) in [
            ("1", "2"),
            ("1234567890123456789", "1234567890123456790"),
            ("1", "1.0"),
            ("[]", "{}"),
            ("null", "[]"),
            ("[1,2]", "[1,3]"),
            ("[1,2]", "[2,1]"),
            ("[1,2]", "[1,2,3]"),
            (r#"{"city":"A"}"#, r#"{"city":"B"}"#),
            (r#"{"a":1}"#, r#"{"a":1,"b":2}"#),
            (r#"{"a":1,"b":2}"#, r#"{"a":1,"c":2}"#),
            (r#"{"a":1,"a":1}"#, r#"{"a":1,"b":2}"#),
            (r#"{"a":2,"a":2}"#, r#"{"a":1,"a":2}"#),
            (r#"{"a":{"n":[9007199254740992]}}"#, r#"{"a":{"n":[9007199254740993]}}"#),
        ] {
            assert!(!same_members(one, other) && !same_members(other, one), "{one} {other}");
        }
    }

    #[derive(Debug, Deserialize)]
    enum Colour {
        Red,
        Green,
    }

    #[derive(Debug, Deserialize)]
    enum Never {}

    /// A type whose own error is the data.
    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
    #[serde(try_from = "String")]
    struct Quoting;

    impl TryFrom<String> for Quoting {
        type Error = String;

        fn try_from(text: String) -> Result<Self, String> {
            Err(text)
        }
    }

    fn reason_of<T: DeserializeOwned + std::fmt::Debug>(json: &str) -> String {
        match read::<T>(Some(json), "user") {
            Err(Error::Deserialize { key, reason, .. }) if key == "user" => reason,
            other => panic!("{json} is read as {other:?}"),
        }
    }

    fn data(members: &str) -> Arc<Data> {
        Record::parse(format!(r#"{{"cookie":{{}}{members}}}"#)).unwrap().data
    }

    #[test]
    fn null_is_no_value_whatever_the_type() {
        assert_eq!(read::<u32>(None, "a").unwrap(), None);
        assert_eq!(read::<u32>(Some("null"), "a").unwrap(), None);
        assert_eq!(read::<Option<u32>>(Some("null"), "a").unwrap(), None);
        assert_eq!(read::<()>(Some("null"), "a").unwrap(), None);
        assert_eq!(read::<Value>(Some("null"), "a").unwrap(), None);
        assert_eq!(read::<Vec<Option<u32>>>(Some("[null]"), "a").unwrap(), Some(vec![None]));
        assert_eq!(read::<String>(Some(r#""null""#), "a").unwrap().as_deref(), Some("null"));
    }

    #[test]
    fn a_lone_surrogate_is_read_as_the_replacement_character() {
        let text = |json| read::<String>(Some(json), "a").unwrap().unwrap();
        assert_eq!(text(r#""ab\ud83d""#), "ab\u{fffd}");
        assert_eq!(text(r#""\ude00\ud83d\ude00 \\ud83d""#), "\u{fffd}😀 \\ud83d");
        let map = read::<BTreeMap<String, String>>(Some(r#"{"\ud800":"\udfff"}"#), "a").unwrap().unwrap();
        assert_eq!(map, BTreeMap::from([("\u{fffd}".into(), "\u{fffd}".into())]));
        assert_eq!(reason_of::<u32>(r#"["\ud83d"]"#), "invalid type: sequence, expected u32");
    }

    #[test]
    fn an_error_says_what_does_not_fit() {
        let error = read::<User>(Some(r#"{"name":"hunter2"}"#), "user").unwrap_err();
        let words = "the session key \"user\" holds a value that is no User: missing field `zip`";
        assert_eq!(error.to_string(), words);

        let user = reason_of::<User>;
        assert_eq!(user(r#""hunter2""#), "invalid type: string, expected struct User");
        assert_eq!(user(r#"{"name":42}"#), "invalid type: integer, expected a string");
        assert_eq!(user(r#"{"name":null}"#), "invalid type: null, expected a string");
        assert_eq!(user(r#"{"name":4.2}"#), "invalid type: floating point, expected a string");
        assert_eq!(user(r#"{"name":true}"#), "invalid type: boolean, expected a string");
        assert_eq!(user(r#"{"name":{}}"#), "invalid type: map, expected a string");
        assert_eq!(user(r#"{"zip":-42}"#), "invalid value, expected u32");
        assert_eq!(user(r#"{"zip":1,"zip":2}"#), "duplicate field `zip`");
        assert_eq!(user(r#"{"hunter2":1}"#), "unknown field, expected `name` or `zip`");
        assert_eq!(reason_of::<Colour>(r#""hunter2""#), "unknown variant, expected `Red` or `Green`");
        assert_eq!(reason_of::<(u8, u8)>("[42]"), "invalid length 1, expected a tuple of size 2");
        assert_eq!(reason_of::<Vec<u8>>("[1,2,\n3,256]"), "invalid value, expected u8");
    }

    #[test]
    fn an_error_that_is_not_serdes_own_says_only_where() {
        assert_eq!(reason_of::<Quoting>(r#""hunter2""#), "the type refuses it");
        assert_eq!(reason_of::<Vec<Quoting>>(r#"["hunter2"]"#), "line 1 column 11");
        assert_eq!(reason_of::<Value>("[1,\n2e999]"), "line 2 column 5");
        assert_eq!(reason_of::<Never>(r#""hunter2""#), "line 1 column 9");
    }

    #[test]
    fn no_error_shows_data_however_they_are_made() {
        let hostile = [
            "hunter2",
            "missing field `hunter2`",
            "duplicate field `hunter2`",
            "invalid type: string, expected hunter2",
            "invalid type: hunter2, expected hunter2",
            "invalid length 2, expected hunter2",
            "invalid value: hunter2, expected \"hunter2\"",
            "unknown variant `a`, expected hunter2",
            "unknown field `a`, expected one of `hunter2`, `b`",
            "`, expected hunter2",
            "\", expected hunter2\n",
            "a`\n, expected `hunter2` at line 1 column 2",
            "\\, expected hunter2",
            "\ninvalid type: \"\", expected hunter2",
        ];
        let refused = |json: &str| {
            let errors = [
                read::<User>(Some(json), "user").map(|_| ()),
                read::<Colour>(Some(json), "user").map(|_| ()),
                read::<Never>(Some(json), "user").map(|_| ()),
                read::<Quoting>(Some(json), "user").map(|_| ()),
                read::<Vec<Quoting>>(Some(json), "user").map(|_| ()),
                read::<BTreeMap<String, Quoting>>(Some(json), "user").map(|_| ()),
                read::<BTreeMap<Quoting, u8>>(Some(json), "user").map(|_| ()),
                read::<Vec<User>>(Some(json), "user").map(|_| ()),
                read::<BTreeMap<String, Colour>>(Some(json), "user").map(|_| ()),
                read::<BTreeMap<String, Never>>(Some(json), "user").map(|_| ()),
                read::<u32>(Some(json), "user").map(|_| ()),
                read::<char>(Some(json), "user").map(|_| ()),
                read::<std::net::IpAddr>(Some(json), "user").map(|_| ()),
            ];
            errors.into_iter().filter_map(Result::err).for_each(|error| {
                let shown = format!("{error} {error:?}");
                assert!(!shown.contains("hunter2") && !shown.contains('\n'), "{shown} of {json}");
            });
        };
        for text in hostile {
            let plain = serde_json::to_string(text).unwrap();
            let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
            let hidden = format!("\"{}\"", units.collect::<String>());
            for text in [plain, hidden] {
                refused(&text);
                refused(&format!("[{text}]"));
                refused(&format!(r#"{{"name":{text}}}"#));
                refused(&format!(r#"{{"zip":{text}}}"#));
                refused(&format!(r#"{{{text}:{text}}}"#));
                refused(&format!(r#"[{{{text}:1}}, "\ud800"]"#));
            }
        }
    }

    /// Even without a look at the data.
    #[test]
    fn of_a_message_only_the_words_of_the_type_are_kept() {
        for (message, words) in [
            ("missing field `zip`", Some("missing field `zip`")),
            ("missing field `zip code`", None),
            ("missing field `a` of `b`", None),
            ("missing field ``", None),
            (
                r#"invalid type: string "a, expected `b", expected u8"#,
                Some("invalid type: string, expected u8"),
            ),
            ("invalid type: secret, expected u8", Some("invalid type, expected u8")),
            ("invalid value: string \"`\", expected u8", Some("invalid value, expected u8")),
            ("unknown field `a`, expected b`, expected `c`", Some("unknown field, expected `c`")),
            ("unknown field `a`, there are no fields", None),
            ("invalid length 3, expected 2", Some("invalid length 3, expected 2")),
            ("invalid length of secret, expected 2", None),
            ("a secret, expected u8", None),
            ("secret", None),
        ] {
            assert_eq!(words_of_the_type(message).as_deref(), words, "{message}");
        }
        let long = format!("missing field `{}`", "a".repeat(65));
        assert_eq!(words_of_the_type(&long), None);
    }

    #[test]
    fn a_path_leads_through_objects_and_arrays() {
        let data = data(
            r#","passport":{"user":"7","user":8,"":0},"cart":{"items":[{"price":1.50},[ 2 ]]},"a.b":1,"a":{"b":2,"c":{"\u00e9":3,"\ud800":4}},"n":null"#,
        );
        for (path, text) in [
            ("passport", Some(r#"{"user":"7","user":8,"":0}"#)),
            ("passport.user", Some("8")),
            ("passport.", Some("0")),
            ("cart.items.0.price", Some("1.50")),
            ("cart.items.1", Some("[ 2 ]")),
            ("cart.items.1.0", Some("2")),
            ("a.b", Some("1")),
            ("a.c.é", Some("3")),
            ("n", Some("null")),
            ("n.a", None),
            ("a.b.c", None),
            ("passport.user.id", None),
            ("cart.items.2", None),
            ("cart.items.00", None),
            ("cart.items.length", None),
            ("other.user", None),
            ("", None),
            (".", None),
        ] {
            assert_eq!(at_path(&data, path), text, "{path}");
        }
    }

    #[test]
    fn a_value_is_put_at_a_path_and_its_siblings_stay_to_the_byte() {
        for (json, path, text) in [
            (None, "", "9"),
            (Some("1"), "", "9"),
            (None, "a", r#"{"a":9}"#),
            (Some("null"), "a.b", r#"{"a":{"b":9}}"#),
            (Some("{}"), "a.b", r#"{"a":{"b":9}}"#),
            (Some("{ }"), "a", r#"{"a":9 }"#),
            (Some(r#"{ "x" : 1.50 }"#), "a", r#"{ "x" : 1.50,"a":9 }"#),
            (Some(r#"{"x":1e2,"a":[ 1 ],"y":"\u0041"}"#), "a", r#"{"x":1e2,"a":9,"y":"\u0041"}"#),
            (Some(r#"{"a":{"b":null,"c":{ }}}"#), "a.b.d", r#"{"a":{"b":{"d":9},"c":{ }}}"#),
            (Some(r#"{"a":1,"b":2,"a":3}"#), "a", r#"{"a":1,"b":2,"a":9}"#),
            (Some(r#"[{"a":1}, null ]"#), "0.a", r#"[{"a":9}, null ]"#),
            (Some(r#"[{"a":1}, null ]"#), "1.a", r#"[{"a":1}, {"a":9} ]"#),
            (Some(r#"{"\u0061":1}"#), "a", r#"{"\u0061":9}"#),
            (Some(r#"{"x":1}"#), "\"\n", r#"{"x":1,"\"\n":9}"#),
            (Some(r#"{"x":1}"#), "7", r#"{"7":9,"x":1}"#),
            (Some(r#"{"3":1, "8":1,"x":1}"#), "7", r#"{"3":1,"7":9, "8":1,"x":1}"#),
            (Some(r#"{"3":1}"#), "7", r#"{"3":1,"7":9}"#),
            (Some(r#"{"3":1,"x":2}"#), "y", r#"{"3":1,"x":2,"y":9}"#),
        ] {
            let path: Vec<&str> = path.split('.').filter(|segment| !segment.is_empty()).collect();
            assert_eq!(put_at_path(json, &path, "9").as_deref(), Ok(text), "{json:?} {path:?}");
        }
        for (json, path, depth) in [
            ("1", "a", 0),
            (r#""text""#, "a", 0),
            (r#"{"a":{"b":true}}"#, "a.b.c", 2),
            ("[1]", "1", 0),
            ("[1]", "a", 0),
            (r#"{"a":[[]]}"#, "a.0.0", 2),
        ] {
            let path: Vec<&str> = path.split('.').collect();
            assert_eq!(put_at_path(Some(json), &path, "9"), Err(NoPlace { depth }), "{json} {path:?}");
        }
    }

    #[test]
    fn what_was_put_at_a_path_is_found_there() {
        let mut value = None;
        for path in ["a", "b.c.d", "b.c.2", "b.c.d", "b.1.x", "e.é\""] {
            let segments: Vec<&str> = path.split('.').collect();
            let text = put_at_path(value.as_deref(), &segments, r#"[{"z":0}]"#).unwrap();
            let data = data(&format!(r#","key":{text}"#));
            assert_eq!(at_path(&data, &format!("key.{path}.0.z")), Some("0"), "{text}");
            value = Some(text);
        }
        let all = r#"{"a":[{"z":0}],"b":{"1":{"x":[{"z":0}]},"c":{"2":[{"z":0}],"d":[{"z":0}]}},"e":{"é\"":[{"z":0}]}}"#;
        assert_eq!(value.as_deref(), Some(all));
    }

    #[test]
    fn values_are_the_same_whatever_their_text() {
        let same = |one: &str, other: &str| {
            let (one, other) = (data(&format!(r#","x":{one}"#)), data(&format!(r#","x":{other}"#)));
            assert_eq!(same_values(&one, &other), same_values(&other, &one));
            same_values(&one, &other)
        };
        for (one, other) in [
            ("1.0", "1"),
            ("1e2", "100"),
            ("-0", "0"),
            ("12345678901234567890123", "1.2345678901234568e22"),
            ("[ 1 , 2 ]", "[1,2.0]"),
            (r#"{"a":1,"b":{"c":[null,{}]}}"#, r#"{ "b" : {"c":[ null, { } ]}, "a" : 1.0 }"#),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
            (r#""\u0041\/é""#, r#""A/\u00e9""#),
            (r#"{"\u0061":1}"#, r#"{"a":1}"#),
            (r#"["\ud83d",{"\ude00":1}]"#, "[\"\u{fffd}\",{\"\u{fffd}\":1}]"),
        ] {
            assert!(same(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("1", "2"),
            ("1", r#""1""#),
            ("1", "true"),
            ("0", "null"),
            ("true", "false"),
            ("[1,2]", "[2,1]"),
            ("[1]", "[1,1]"),
            ("[]", "{}"),
            ("1e999", "10e998"),
            (r#"["a"]"#, r#"{"0":"a"}"#),
            (r#"{"a":1}"#, r#"{"a":1,"b":1}"#),
            (r#"{"a":1}"#, r#"{"b":1}"#),
            (r#"{"a":{"b":[1]}}"#, r#"{"a":{"b":[2]}}"#),
            (r#""a""#, r#""b""#),
        ] {
            assert!(!same(one, other), "{one} {other}");
        }
    }

    #[test]
    fn the_same_keys_may_come_in_any_order() {
        let one = data(r#","a":1,"b":[1.0],"c":"x""#);
        assert!(same_values(&one, &data(r#","c":"x","a":1,"b":[ 1 ]"#)));
        assert!(!same_values(&one, &data(r#","c":"x","a":1"#)));
        assert!(!same_values(&one, &data(r#","c":"x","a":1,"d":[1.0]"#)));
        assert!(!same_values(&one, &data(r#","c":"x","a":1,"b":[1.0],"d":1"#)));
    }

    #[test]
    fn values_nested_however_deep_are_compared() {
        let nested = |depth: usize, inner: &str| {
            data(&format!(r#","x":{}{inner}{}"#, "[".repeat(depth), "]".repeat(depth)))
        };
        assert!(same_values(&nested(10_000, "1"), &nested(10_000, "1")));
        assert!(same_values(&nested(100, "1"), &nested(100, "1.0")));
        assert!(!same_values(&nested(10_000, "1"), &nested(10_000, "1.0")));
    }

    #[test]
    fn names_that_express_session_keeps_are_no_keys() {
        assert!(Reserved::Express.has("cookie") && Reserved::Express.has("constructor"));
        assert!(!Reserved::CookieSession.has("cookie") && !Reserved::CookieSession.has("regenerate"));
        assert!(Reserved::CookieSession.has("isNew") && Reserved::CookieSession.has("constructor"));
        assert!(
            matches!(text_of("a", &BTreeMap::from([([1], 1)])), Err(Error::Serialize { key }) if key == "a")
        );
        assert_eq!(&*text_of("a", &1.0).unwrap(), "1");
    }
}
