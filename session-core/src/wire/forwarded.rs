//! The header `Forwarded` (RFC 7239).

use std::net::{IpAddr, SocketAddr};

/// What one proxy has written: who came to it, and by what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    /// None for a name that hides the address, as `_secret` and `unknown` do.
    pub(crate) from: Option<IpAddr>,
    pub(crate) proto: Option<String>,
}

/// The elements in order: the outermost proxy's first. `None`: the header breaks the grammar somewhere. Then nobody can tell what of
/// it a proxy wrote, and what a client: an open quote of the one swallows the element of the other.
pub(crate) fn elements(header: &str) -> Option<Vec<Element>> {
    // Empty elements are allowed in a list (RFC 9110 §5.6.1).
    let elements = split(header, ',')?.into_iter().filter(|text| !text.trim().is_empty());
    elements.map(element).collect()
}

/// So many parameters may an element have.
const MANY: usize = 16;

fn element(text: &str) -> Option<Element> {
    let mut element = Element::default();
    let mut names = Vec::new();
    for pair in split(text, ';')?.into_iter().filter(|pair| !pair.trim().is_empty()) {
        let (name, value) = pair.split_once('=')?;
        let (name, value) = (name.trim().to_ascii_lowercase(), unquoted(value.trim())?);
        match &*name {
            "for" => element.from = address(&value),
            "proto" => element.proto = Some(value),
            name if !is_token(name) => return None,
            _ => {}
        }
        // None may stand twice (RFC 7239 §4). There are four, and nobody needs many more.
        if names.len() == MANY || names.contains(&name) {
            return None;
        }
        names.push(name);
    }
    Some(element)
}

/// RFC 9110 §5.6.2
fn is_token(text: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(token)
}

/// At each separator that is in no quoted string; `None` where one does not end.
fn split(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut quoted, mut escaped) = (false, false);
    let parts = text.split(|char| {
        if escaped {
            escaped = false;
            return false;
        }
        match char {
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        char == separator && !quoted
    });
    let parts = parts.collect();
    (!quoted).then_some(parts)
}

/// A token, or what is in a quoted string. Proxies write addresses with ports without quotes, too.
fn unquoted(value: &str) -> Option<String> {
    let Some(inside) = value.strip_prefix('"') else {
        let bare = |byte: u8| byte == b':' || byte == b'[' || byte == b']';
        let is_value =
            value.bytes().all(|byte| bare(byte) || is_token(char::from(byte).encode_utf8(&mut [0; 4])));
        return is_value.then(|| value.to_owned());
    };
    let (mut text, mut chars) = (String::new(), inside.chars());
    loop {
        match chars.next()? {
            '"' => return chars.next().is_none().then_some(text),
            '\\' => text.push(chars.next()?),
            char => text.push(char),
        }
    }
}

/// With or without a port; an IPv6 address stands in brackets.
fn address(node: &str) -> Option<IpAddr> {
    let bare = node.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(node);
    bare.parse().ok().or_else(|| node.parse().ok().map(|address: SocketAddr| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_has_not_many_parameters() {
        let with = |count: usize| {
            let names: Vec<String> = (1..count).map(|n| format!("n{n}=1")).collect();
            elements(&format!("proto=https;{}", names.join(";")))
        };
        assert_eq!(with(16).unwrap()[0].proto.as_deref(), Some("https"));
        assert_eq!(with(17), None);
    }

    #[test]
    fn elements_are_read_as_rfc_7239_has_them() {
        let all = |header: &str| {
            elements(header)
                .unwrap()
                .into_iter()
                .map(|element| (element.from.map(|from| from.to_string()), element.proto))
                .collect::<Vec<_>>()
        };
        let one = |from: Option<&str>, proto: Option<&str>| (from.map(Into::into), proto.map(Into::into));
        for (header, expected) in [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", vec![one(Some("192.0.2.60"), Some("http"))]),
            ("For=\"[2001:db8:cafe::17]:4711\"", vec![one(Some("2001:db8:cafe::17"), None)]),
            ("for=\"[2001:db8::1]\"", vec![one(Some("2001:db8::1"), None)]),
            // Without the quotes that they should have.
            ("for=[2001:db8::1]", vec![one(Some("2001:db8::1"), None)]),
            ("for=192.0.2.60:4711", vec![one(Some("192.0.2.60"), None)]),
            (
                "for=192.0.2.43, for=198.51.100.17",
                vec![one(Some("192.0.2.43"), None), one(Some("198.51.100.17"), None)],
            ),
            ("for=192.0.2.43:47011 ; PROTO=https", vec![one(Some("192.0.2.43"), Some("https"))]),
            ("for=_SEVKISEK;proto=\"https\"", vec![one(None, Some("https"))]),
            ("for=unknown", vec![one(None, None)]),
            ("by=\"a,b;proto=https\";proto=http", vec![one(None, Some("http"))]),
            (r#"by="a\",proto=https,";proto="ht\tps""#, vec![one(None, Some("https"))]),
            (r#"by="\\";proto=https"#, vec![one(None, Some("https"))]),
            ("", vec![]),
            (", proto=https,", vec![one(None, Some("https"))]),
            ("proto=https;", vec![one(None, Some("https"))]),
        ] {
            assert_eq!(all(header), expected, "{header}");
        }
    }

    /// What a client has sent stands before what the proxy appends to the same line.
    #[test]
    fn what_breaks_the_grammar_is_worth_nothing() {
        for header in [
            r#"proto=https;x=", for=192.0.2.1;proto=http"#,
            r#"proto=https;x="\", for=192.0.2.1;proto=http"#,
            r#"proto=https;x=a", for=192.0.2.1;proto=http"#,
            r#"proto=https;x="a"b, for=192.0.2.1;proto=http"#,
            "proto=http;host=x;proto=https",
            "proto=http;Proto=https",
            "proto=https;x",
            "proto=https;=x",
            "proto=https;a b=x",
            "proto=https x",
        ] {
            assert_eq!(elements(header), None, "{header}");
        }
    }
}
