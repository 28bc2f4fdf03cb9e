//! Random keys and values, as JSON text: what JavaScript makes of a number's or a key's spelling is part of the test.

use super::super::rng::Rng;

/// Few and often, so that operations meet.
const COMMON_KEYS: [&str; 4] = ["a", "b", "2", "é☃😀"];

/// Integer-like keys come first in JavaScript, up to 2^32 - 2.
const RARE_KEYS: [&str; 14] = [
    "views",
    "user",
    "10",
    "0",
    "02",
    "-1",
    "1.5",
    "4294967294",
    "4294967295",
    "99999999999999999999",
    "",
    "with space",
    "Cookie",
    "x.y",
];

const NUMBERS: [&str; 31] = [
    "0",
    "-0",
    "1",
    "-1",
    "42",
    "1.0",
    "-0.0",
    "0.1",
    "2.5",
    "4.35",
    "0.30000000000000004",
    "1e3",
    "1E5",
    "1e21",
    "1e-7",
    "0.000001",
    "0.0000001",
    "123456789.125",
    "2147483648",
    "9007199254740991",
    "9007199254740993",
    "-9223372036854775808",
    "18446744073709551616",
    "100000000000000000000",
    "123456789012345680000",
    "1000000000000000000000",
    "1.5e300",
    "5e-324",
    "1.7976931348623157e308",
    "-1e-7",
    "1784774400000",
];

/// Spelled as JSON: the escapes are part of the test.
const STRINGS: [&str; 16] = [
    r#""""#,
    r#""tj""#,
    r#""é☃😀""#,
    r#""\u00e9\u2603\ud83d\ude00""#,
    "\"a\u{2028}b\u{2029}\"",
    r#""\u2028""#,
    r#""\u0000\u0001\u001f\u007f""#,
    r#""\b\f\n\r\t""#,
    r#""\"\\\/""#,
    r#""</script>&'""#,
    r#""1""#,
    r#""null""#,
    r#""\ufeffbom""#,
    r#""\uffff""#,
    "\"\u{80}\u{9f}\"",
    r#""2026-01-02T03:04:05.678Z""#,
];

/// A key as JSON text.
pub(super) fn key(rng: &mut Rng) -> String {
    serde_json::Value::from(any_key(rng)).to_string()
}

fn any_key(rng: &mut Rng) -> &'static str {
    if rng.percent(65) { rng.pick(&COMMON_KEYS) } else { rng.pick(&RARE_KEYS) }
}

/// A value as JSON text.
pub(super) fn value(rng: &mut Rng) -> String {
    nested(rng, 3)
}

fn nested(rng: &mut Rng, depth: usize) -> String {
    match rng.below(if depth == 0 { 7 } else { 10 }) {
        0 => "null".to_owned(),
        1 => rng.pick(&["true", "false"]).to_owned(),
        2..=4 => rng.pick(&NUMBERS).to_owned(),
        5 => rng.pick(&STRINGS).to_owned(),
        6 => format!("\"{}\"", "long é ".repeat(rng.below(3) * 20)),
        7 => list(rng, |rng| nested(rng, depth - 1), "[", "]"),
        _ => object(rng, depth - 1),
    }
}

fn list(rng: &mut Rng, item: impl Fn(&mut Rng) -> String, open: &str, close: &str) -> String {
    let items: Vec<_> = (0..rng.below(4)).map(|_| item(rng)).collect();
    format!("{open}{}{close}", items.join(","))
}

fn object(rng: &mut Rng, depth: usize) -> String {
    let mut keys: Vec<&str> = Vec::new();
    for _ in 0..rng.below(5) {
        let key = any_key(rng);
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let entries: Vec<_> = keys
        .into_iter()
        .map(|key| format!("{}:{}", serde_json::Value::from(key), nested(rng, depth)))
        .collect();
    format!("{{{}}}", entries.join(","))
}
