//! JSON text as `JSON.stringify` prints it, so that a record written here is the one that Express would have written.

use std::{borrow::Cow, fmt, io};

use serde::{
    Deserialize, Serialize,
    de::{Deserializer as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{
    ser::{Formatter, Serializer},
    value::RawValue,
};

/// The text of a value. Strings and escapes already agree between serde_json and JavaScript; numbers do not.
pub(crate) fn to_text(value: &(impl Serialize + ?Sized)) -> serde_json::Result<String> {
    let mut text = Vec::with_capacity(64);
    value.serialize(&mut Serializer::with_formatter(&mut text, JavaScript))?;
    String::from_utf8(text).map_err(serde::ser::Error::custom)
}

/// Appends a JSON string.
pub(crate) fn push_string(text: &mut String, value: &str) {
    let plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if value.bytes().all(plain) {
        text.push('"');
        text.push_str(value);
        text.push('"');
    } else {
        // A string always has a JSON text.
        text.push_str(&serde_json::to_string(value).unwrap_or_default());
    }
}

/// The bytes that [`push_string`] appends.
pub(crate) fn string_len(value: &str) -> usize {
    let escaped = value.bytes().map(|byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    });
    escaped.sum::<usize>() + 2
}

/// Calls `visit` with each member of an object, or with each item of an array and no key, and the JSON text of its value.
/// Keys are bytes, since UTF-8 has no lone surrogates.
///
/// # Errors
/// The text is neither an object nor an array.
pub(crate) fn each_part<'a>(
    json: &'a str,
    visit: impl FnMut(Option<Cow<'a, [u8]>>, &'a str),
) -> serde_json::Result<()> {
    serde_json::Deserializer::from_str(json).deserialize_any(Parts(visit))
}

struct Parts<F>(F);

impl<'de, F: FnMut(Option<Cow<'de, [u8]>>, &'de str)> Visitor<'de> for Parts<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        while let Some((Key(key), value)) = members.next_entry::<_, &RawValue>()? {
            (self.0)(Some(key), value.get());
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element::<&RawValue>()? {
            (self.0)(None, item.get());
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, [u8]>);

/// The text with U+FFFD for every lone surrogate, which JavaScript's strings can hold and Rust's cannot.
pub(crate) fn without_lone_surrogates(json: &str) -> Cow<'_, str> {
    let mut text = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = json.get(at..).and_then(|rest| rest.find('\\')) {
        let escape = at + found;
        at = match code_unit(json, escape) {
            Some(0xd800..=0xdbff) if matches!(code_unit(json, escape + 6), Some(0xdc00..=0xdfff)) => {
                escape + 12
            }
            Some(0xd800..=0xdfff) => {
                // As long as what it replaces, so that an error names the same place.
                text.push_str(json.get(copied..escape).unwrap_or_default());
                text.push_str("\\ufffd");
                copied = escape + 6;
                copied
            }
            _ => escape + 2,
        };
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    text.push_str(json.get(copied..).unwrap_or_default());
    Cow::Owned(text)
}

/// Of an escape `\uXXXX` at this place.
fn code_unit(json: &str, at: usize) -> Option<u16> {
    let digits = json.get(at..at + 6)?.strip_prefix("\\u")?;
    u16::from_str_radix(digits, 16).ok()
}

/// ECMAScript truthiness of a JSON text: what `if (value)` does in Node.
pub(crate) fn is_truthy(json: &str) -> bool {
    !matches!(json, "null" | "false" | "\"\"") && json.parse() != Ok(0.0_f64)
}

/// Numbers as ECMA-262 `Number::toString` has them.
struct JavaScript;

impl Formatter for JavaScript {
    fn write_f64<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(ryu_js::Buffer::new().format_finite(value).as_bytes())
    }

    fn write_f32<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: f32) -> io::Result<()> {
        writer.write_all(ryu_js::Buffer::new().format_finite(value).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_numbers_as_javascript_does() {
        let printed = |value: f64| to_text(&value).unwrap();
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (123_456_789.125, "123456789.125"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (123_456_789_012_345_680_000.0, "123456789012345680000"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (1.25e-9, "1.25e-9"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            // Of two shortest texts that are equally near, the even one.
            (1.5 + 2_f64.powi(-17), "1.5000076293945312"),
        ] {
            assert_eq!(printed(value), text);
        }
        assert_eq!(to_text(&0.1f32).unwrap(), "0.1");
        assert_eq!(to_text(&f64::NAN).unwrap(), "null");
        assert_eq!(to_text(&f64::INFINITY).unwrap(), "null");
        assert_eq!(to_text(&u64::MAX).unwrap(), "18446744073709551615");
    }

    #[test]
    fn prints_strings_as_javascript_does() {
        let text = "\u{1f}\u{8}\u{c}\n\r\t\"\\/<\u{7f}\u{2028}é😀";
        let expected = "\"\\u001f\\b\\f\\n\\r\\t\\\"\\\\/<\u{7f}\u{2028}é😀\"";
        assert_eq!(to_text(text).unwrap(), expected);
        let mut pushed = String::new();
        push_string(&mut pushed, text);
        assert_eq!(pushed, expected);
        for letter in (0..0x800).filter_map(char::from_u32).map(String::from) {
            let mut pushed = String::new();
            push_string(&mut pushed, &letter);
            assert_eq!(pushed, to_text(&letter).unwrap());
            assert_eq!(string_len(&letter), to_text(&letter).unwrap().len(), "{letter:?}");
        }
    }

    #[test]
    fn lone_surrogates_are_replaced_and_nothing_else_is() {
        for (json, text) in [
            (r#""\ud83d""#, r#""\ufffd""#),
            (r#"{"\uDE00":["\ud83dx","\ud83d\n"]}"#, r#"{"\ufffd":["\ufffdx","\ufffd\n"]}"#),
            (r#""\ud83d\ud83d\ude00\udc00é""#, r#""\ufffd\ud83d\ude00\ufffdé""#),
            (r#""\\ud83d\\\udead""#, r#""\\ud83d\\\ufffd""#),
        ] {
            assert_eq!(without_lone_surrogates(json), text);
        }
        for whole in
            [r#""\ud83d\ude00""#, r#""\\ud83d""#, "[1,2]", r#""\u0041é😀\"""#, "\\", "\\ud8", "\\ud8é0"]
        {
            assert!(matches!(without_lone_surrogates(whole), Cow::Borrowed(same) if same == whole));
        }
    }

    #[test]
    fn parts_come_in_order_with_their_texts_to_the_byte() {
        let parts = |json| {
            let mut parts = Vec::new();
            each_part(json, |key, value| parts.push((key.map(Cow::into_owned), value))).map(|()| parts)
        };
        let key = |text: &str| Some(text.as_bytes().to_vec());
        let object = r#"{ "a" : [ 1 ], "\u00e9":1.0 ,"a":"\ud800","\ud800":{}}"#;
        assert_eq!(
            parts(object).unwrap(),
            [
                (key("a"), "[ 1 ]"),
                (key("é"), "1.0"),
                (key("a"), r#""\ud800""#),
                (Some(vec![0xed, 0xa0, 0x80]), "{}")
            ]
        );
        assert_eq!(parts("[ 1 ,null]").unwrap(), [(None, "1"), (None, "null")]);
        let deep = format!("[{}{}]", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(parts(&deep).unwrap().len(), 1);
        for scalar in ["null", "true", "1", r#""a""#, r#""\ud800""#, ""] {
            assert!(parts(scalar).is_err());
        }
    }

    #[test]
    fn knows_what_javascript_takes_for_true() {
        for falsy in ["null", "false", "0", "-0", "0.0", "\"\""] {
            assert!(!is_truthy(falsy), "{falsy}");
        }
        for truthy in ["true", "1", "\"auto\"", "[]", "{}", "\"0\""] {
            assert!(is_truthy(truthy), "{truthy}");
        }
    }
}
