use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use session_core::{cookie_values, fuzzing::encode_uri_component};

use crate::input::Input;

/// The name on the first line, the header after it.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input(data);
    let Some(name) = input.text().filter(|name| is_token(name)) else { return };
    crate::reached();
    let header = input.0;
    let values: Vec<String> = cookie_values(header, name).map(Cow::into_owned).collect();
    assert_eq!(values, by_node(header, name), "as Node's cookie reads them");
    // Latin-1 becomes two bytes of UTF-8 at the most.
    assert!(values.iter().map(String::len).sum::<usize>() <= 2 * header.len());

    if let Ok(value) = std::str::from_utf8(header) {
        let sent = format!("first=1; {name}={}", encode_uri_component(value));
        assert_eq!(
            cookie_values(sent.as_bytes(), name).last().as_deref(),
            Some(value),
            "what is sent comes back"
        );
    }
}

fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// `parse` of Node's cookie 0.7.2, index by index, but with every value of a name and not only the first.
fn by_node(header: &[u8], name: &str) -> Vec<String> {
    let header: Vec<char> = header.iter().map(|byte| char::from(*byte)).collect();
    let find = |wanted, from: usize| (from..header.len()).find(|at| header[*at] == wanted);
    let blank = |at: usize| matches!(header[at], ' ' | '\t');
    let trimmed = |mut from: usize, mut to: usize| {
        while from < to && blank(from) {
            from += 1;
        }
        while to > from && blank(to - 1) {
            to -= 1;
        }
        (from, to)
    };
    let text =
        |(from, to): (usize, usize)| header.get(from..to).unwrap_or_default().iter().collect::<String>();
    let mut values = Vec::new();
    let mut index = 0;
    while index < header.len() {
        let Some(equals) = find('=', index) else { break };
        let end = find(';', index).unwrap_or(header.len());
        if equals > end {
            index = (index..equals).rfind(|at| header[*at] == ';').unwrap_or(end) + 1;
            continue;
        }
        if text(trimmed(index, equals)) == name {
            let (mut from, mut to) = trimmed(equals + 1, end);
            if from < to && header[from] == '"' && header[to - 1] == '"' {
                (from, to) = (from + 1, to - 1);
            }
            let value = text((from, to));
            values.push(decoded(&value).unwrap_or(value));
        }
        index = end + 1;
    }
    values
}

/// `decodeURIComponent`.
fn decoded(value: &str) -> Option<String> {
    let hex = |digit: Option<char>| digit.is_some_and(|digit| digit.is_ascii_hexdigit());
    let escapes = value.split('%').skip(1);
    let whole = escapes.map(str::chars).all(|mut part| hex(part.next()) && hex(part.next()));
    whole.then(|| percent_decode_str(value).decode_utf8().ok().map(Cow::into_owned)).flatten()
}
