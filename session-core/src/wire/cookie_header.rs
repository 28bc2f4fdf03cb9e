//! The request's `Cookie` header, read as Node's `cookie` 0.7 reads it.

use std::borrow::Cow;

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
    header.split(|&byte| byte == b';').filter_map(move |pair| {
        let after_name = trim_start(pair).strip_prefix(name.as_bytes())?;
        let value = trim_start(after_name).strip_prefix(b"=")?;
        Some(decode(unquote(trim(value))))
    })
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
    let text = match std::str::from_utf8(value) {
        Ok(text) if text.is_ascii() => Cow::Borrowed(text),
        _ => value.iter().map(|&byte| char::from(byte)).collect::<String>().into(),
    };
    if text.contains('%') { percent_decode(&text).map_or(text, Cow::Owned) } else { text }
}

fn percent_decode(text: &str) -> Option<String> {
    let mut parts = text.split('%').map(str::as_bytes);
    let mut bytes = Vec::with_capacity(text.len());
    bytes.extend_from_slice(parts.next()?);
    for part in parts {
        let (&[high, low], plain) = part.split_first_chunk()?;
        let digit = |hex: u8| char::from(hex).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(digit(high)? << 4 | digit(low)?);
        bytes.extend_from_slice(plain);
    }
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
}
