//! The request's `Cookie` header, read as Node's `cookie` 0.7 reads it.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter};

/// Every value of the cookie `name` in one header, in order, unquoted and percent-decoded. The first is the one that
/// express-session looks at.
///
/// Pairs are split at `;` and at the first `=`, spaces and tabs around them fall away, one pair of double quotes around a
/// value too; what does not percent-decode stays as it is. Bytes are Latin-1 where they are not ASCII, as Node has them.
///
/// ```
/// use session_core::cookie_values;
///
/// let header = b"a=1; sid=s%3Ax; b=2; sid=\"y\"";
/// let values: Vec<_> = cookie_values(header, "sid").collect();
/// assert_eq!(values, ["s:x", "y"]);
/// assert_eq!(cookie_values(header, "c").count(), 0);
/// ```
pub fn cookie_values<'a>(header: &'a [u8], name: &str) -> impl Iterator<Item = Cow<'a, str>> {
    raw_values(header, name).map(decode)
}

/// As each of [`cookie_values`]; `None` when it would be longer than so many bytes: most of those are not even decoded.
pub(crate) fn decode_up_to(raw: &[u8], limit: usize) -> Option<Cow<'_, str>> {
    // `%41` is one byte.
    let is_short = raw.len() <= 3 * limit;
    is_short.then(|| decode(raw)).filter(|value| value.len() <= limit)
}

/// As they were sent, without their quotes.
pub(crate) fn raw_values<'a>(header: &'a [u8], name: &str) -> impl Iterator<Item = &'a [u8]> {
    pairs(header).filter_map(move |pair| {
        let after_name = trim_start(pair).strip_prefix(name.as_bytes())?;
        let value = trim_start(after_name).strip_prefix(b"=")?;
        Some(unquote(trim(value)))
    })
}

fn pairs(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = memchr_iter(b';', header).chain([header.len()]);
    ends.scan(0, |from, to| header.get(std::mem::replace(from, to + 1)..to))
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

fn unquote(value: &[u8]) -> &[u8] {
    match value {
        [b'"'] => &[],
        [b'"', inside @ .., b'"'] => inside,
        plain => plain,
    }
}

/// Node's `decodeURIComponent` where it succeeds, else the text as it was sent.
fn decode(value: &[u8]) -> Cow<'_, str> {
    if !value.is_ascii() {
        let text: String = value.iter().map(|&byte| char::from(byte)).collect();
        return percent_decode(text.as_bytes()).unwrap_or(text).into();
    }
    let decoded = memchr(b'%', value).and_then(|_| percent_decode(value));
    decoded.map_or_else(|| str::from_utf8(value).unwrap_or_default().into(), Cow::Owned)
}

fn percent_decode(mut text: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    while let Some(plain) = memchr(b'%', text) {
        let (&[_, high, low], behind) = text.get(plain..)?.split_first_chunk()?;
        let digit = |hex: u8| char::from(hex).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.extend_from_slice(text.get(..plain)?);
        bytes.push(digit(high)? << 4 | digit(low)?);
        text = behind;
    }
    bytes.extend_from_slice(text);
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_ascii_are_latin_1() {
        let read = |header| cookie_values(header, "a").map(Cow::into_owned).collect::<Vec<_>>();
        assert_eq!(read(b"a=\xff"), ["\u{ff}"]);
        assert_eq!(read("a=é".as_bytes()), ["Ã©"]);
        assert_eq!(read(b"a=%C3%A9"), ["é"]);
        assert_eq!(read(b"a=%FF"), ["%FF"]);
        assert_eq!(read(b"a=%"), ["%"]);
        assert_eq!(read(b"a=%4"), ["%4"]);
    }

    #[test]
    fn a_value_that_is_too_long_is_none_and_hides_no_other() {
        let within = |header: &[u8]| {
            let values = raw_values(header, "a").map(|raw| decode_up_to(raw, 4));
            values.map(|value| value.map(Cow::into_owned)).collect::<Vec<_>>()
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(within(b"a=1234; a=12345; a=1"), [some("1234"), None, some("1")]);
        assert_eq!(within(b"a=%41%41%41%41; a=%41%41%41%414"), [some("AAAA"), None]);
        // What does not decode counts as it is; each of these bytes is two in UTF-8.
        assert_eq!(within(b"a=%zz1; a=%zz12"), [some("%zz1"), None]);
        assert_eq!(within(b"a=\xff\xff; a=\xff\xff\xff"), [some("\u{ff}\u{ff}"), None]);
    }
}
