//! BSON as the text that `JSON.stringify` prints of what Node's driver makes of it.

use std::fmt::Write;

use mongodb::bson::{Bson, Document, spec::BinarySubtype};

use base64::{Engine, engine::general_purpose::STANDARD};

/// The largest date that JavaScript has, in milliseconds from 1970.
const DATE_MAX: i64 = 8_640_000_000_000_000;

/// Appends the value; answers whether there was one (`undefined` has no text).
pub(crate) fn push(text: &mut String, value: &Bson) -> bool {
    // Writing to a String cannot fail.
    match value {
        Bson::Undefined => return false,
        Bson::Null => text.push_str("null"),
        Bson::Boolean(value) => _ = write!(text, "{value}"),
        Bson::Int32(value) => _ = write!(text, "{value}"),
        // Node prints an object of two halves where a number would lose digits.
        Bson::Int64(value) => _ = write!(text, "{value}"),
        Bson::Double(value) => push_number(text, *value),
        Bson::String(value) | Bson::Symbol(value) => push_string(text, value),
        Bson::Document(document) => push_document(text, document),
        Bson::Array(values) => push_array(text, values),
        Bson::DateTime(date) => push_date(text, date.timestamp_millis()),
        Bson::ObjectId(id) => push_string(text, &id.to_hex()),
        Bson::Decimal128(value) => push_wrapped(text, "$numberDecimal", &value.to_string()),
        Bson::Timestamp(at) => {
            push_wrapped(
                text,
                "$timestamp",
                &(u64::from(at.time) << 32 | u64::from(at.increment)).to_string(),
            );
        }
        Bson::Binary(binary) => match binary.subtype {
            BinarySubtype::Uuid if binary.bytes.len() == 16 => push_string(text, &uuid(&binary.bytes)),
            _ => push_string(text, &STANDARD.encode(&binary.bytes)),
        },
        Bson::JavaScriptCode(code) => push_wrapped(text, "code", code),
        Bson::JavaScriptCodeWithScope(code) => {
            text.push_str("{\"code\":");
            push_string(text, &code.code);
            text.push_str(",\"scope\":");
            push_document(text, &code.scope);
            text.push('}');
        }
        Bson::DbPointer(_) => push_pointer(text, value),
        Bson::RegularExpression(_) | Bson::MinKey | Bson::MaxKey => text.push_str("{}"),
    }
    true
}

fn push_document(text: &mut String, document: &Document) {
    let mut object = Object::open(text);
    for (key, value) in in_order(document) {
        object.member(key, |text| push(text, value));
    }
    object.close();
}

fn push_array(text: &mut String, values: &[Bson]) {
    text.push('[');
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        if !push(text, value) {
            text.push_str("null");
        }
    }
    text.push(']');
}

/// As a `DBRef`. Only extended JSON shows what is in such a pointer.
fn push_pointer(text: &mut String, pointer: &Bson) {
    let shown = pointer.clone().into_canonical_extjson();
    let part = |path| shown.pointer(path).and_then(serde_json::Value::as_str).unwrap_or_default();
    let mut object = Object::open(text);
    for (key, part) in [("$ref", part("/$dbPointer/$ref")), ("$id", part("/$dbPointer/$id/$oid"))] {
        object.member(key, |text| {
            push_string(text, part);
            true
        });
    }
    object.close();
}

fn push_wrapped(text: &mut String, key: &str, value: &str) {
    let mut object = Object::open(text);
    object.member(key, |text| {
        push_string(text, value);
        true
    });
    object.close();
}

/// An object that is being written.
pub(crate) struct Object<'a> {
    text: &'a mut String,
    empty: usize,
}

impl<'a> Object<'a> {
    pub(crate) fn open(text: &'a mut String) -> Self {
        text.push('{');
        Self { empty: text.len(), text }
    }

    /// Left out when `value` answers that there was none.
    pub(crate) fn member(&mut self, key: &str, value: impl FnOnce(&mut String) -> bool) {
        let before = self.text.len();
        if before > self.empty {
            self.text.push(',');
        }
        push_string(self.text, key);
        self.text.push(':');
        if !value(self.text) {
            self.text.truncate(before);
        }
    }

    pub(crate) fn close(self) {
        self.text.push('}');
    }
}

/// The members as JavaScript enumerates them: array indexes first, in ascending order.
pub(crate) fn in_order(document: &Document) -> Vec<(&String, &Bson)> {
    let mut members: Vec<_> = document.iter().collect();
    if members.iter().any(|(key, _)| array_index(key).is_some()) {
        members.sort_by_key(|(key, _)| array_index(key).map_or(u64::MAX, u64::from));
    }
    members
}

pub(crate) fn array_index(key: &str) -> Option<u32> {
    let canonical =
        key == "0" || (key.starts_with(|first: char| first.is_ascii_digit()) && !key.starts_with('0'));
    key.parse().ok().filter(|&index| canonical && index != u32::MAX)
}

pub(crate) fn push_string(text: &mut String, value: &str) {
    // A string always has a JSON text.
    text.push_str(&serde_json::to_string(value).unwrap_or_default());
}

/// ECMA-262 `Number::toString`.
fn push_number(text: &mut String, value: f64) {
    if !value.is_finite() {
        text.push_str("null");
        return;
    }
    text.push_str(ryu_js::Buffer::new().format_finite(value));
}

/// `toISOString`, which has six digits for a year outside 0 to 9999.
fn push_date(text: &mut String, millis: i64) {
    if millis.unsigned_abs() > DATE_MAX.unsigned_abs() {
        text.push_str("null");
        return;
    }
    let (days, time) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
    // Days from the civil calendar's era of 400 years that begins on 1 March of the year 0.
    let since = days + 719_468;
    let (era, day) = (since.div_euclid(146_097), since.rem_euclid(146_097));
    let year_of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let day = day - (153 * shifted + 2) / 5 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second, ms) = (time / 3_600_000, time / 60_000 % 60, time / 1_000 % 60, time % 1_000);
    text.push('"');
    _ = match year {
        0..=9_999 => write!(text, "{year:04}"),
        _ => write!(text, "{year:+07}"),
    };
    _ = write!(text, "-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z\"");
}

fn uuid(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(value: impl Into<Bson>) -> String {
        let mut text = String::new();
        push(&mut text, &value.into());
        text
    }

    #[test]
    fn numbers_are_printed_as_javascript_prints_them() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (2_592_000_000.0, "2592000000"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (1e-6, "0.000001"),
            (1.25e-9, "1.25e-9"),
            (1.5 + 2_f64.powi(-17), "1.5000076293945312"),
            (f64::NAN, "null"),
            (f64::INFINITY, "null"),
        ] {
            assert_eq!(printed(value), text);
        }
        assert_eq!(printed(i64::MAX), "9223372036854775807");
    }

    #[test]
    fn dates_are_printed_as_javascript_prints_them() {
        for (millis, text) in [
            (0, "\"1970-01-01T00:00:00.000Z\""),
            (-1, "\"1969-12-31T23:59:59.999Z\""),
            (951_782_400_000, "\"2000-02-29T00:00:00.000Z\""),
            (1_767_323_045_678, "\"2026-01-02T03:04:05.678Z\""),
            (253_402_300_800_000, "\"+010000-01-01T00:00:00.000Z\""),
            (-62_167_219_200_001, "\"-000001-12-31T23:59:59.999Z\""),
            (DATE_MAX, "\"+275760-09-13T00:00:00.000Z\""),
            (-DATE_MAX, "\"-271821-04-20T00:00:00.000Z\""),
            (DATE_MAX + 1, "null"),
        ] {
            assert_eq!(printed(mongodb::bson::DateTime::from_millis(millis)), text);
        }
    }
}
