//! JSON text as `JSON.stringify` prints it, so that a record written here is the one that Express would have written.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

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

/// ECMAScript truthiness of a JSON text: what `if (value)` does in Node.
pub(crate) fn is_truthy(json: &str) -> bool {
    !matches!(json, "null" | "false" | "\"\"") && json.parse() != Ok(0.0_f64)
}

struct JavaScript;

impl Formatter for JavaScript {
    fn write_f64<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(number(&format!("{value:e}")).as_bytes())
    }

    fn write_f32<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: f32) -> io::Result<()> {
        writer.write_all(number(&format!("{value:e}")).as_bytes())
    }
}

/// ECMA-262 `Number::toString`: the shortest digits, laid out by where the decimal point falls.
fn number(scientific: &str) -> String {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let digits = mantissa.replace('.', "");
    if digits.bytes().all(|digit| digit == b'0') {
        return "0".into(); // −0 is printed as 0
    }
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let length = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    // The value is 0.DIGITS × 10^point.
    let point = exponent + 1;
    let body = match point {
        _ if length <= point && point <= 21 => digits + &"0".repeat((point - length).unsigned_abs() as usize),
        1..=21 => {
            let (whole, part) = digits.split_at(point.unsigned_abs() as usize);
            format!("{whole}.{part}")
        }
        -5..=0 => format!("0.{}{digits}", "0".repeat(point.unsigned_abs() as usize)),
        _ => {
            let (first, rest) = digits.split_at(1);
            let dot = if rest.is_empty() { "" } else { "." };
            format!("{first}{dot}{rest}e{exponent:+}")
        }
    };
    format!("{sign}{body}")
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
