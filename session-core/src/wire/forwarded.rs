//! The header `Forwarded` (RFC 7239).

use std::net::{IpAddr, SocketAddr};

/// What one proxy has written: who came to it, and by what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    /// None for a name that hides the address, as `_secret` and `unknown` do.
    pub(crate) from: Option<IpAddr>,
    pub(crate) proto: Option<String>,
}

/// The elements in order: the outermost proxy's first. What cannot be read of an element is not there.
pub(crate) fn elements(header: &str) -> Vec<Element> {
    split(header, ',').into_iter().map(element).collect()
}

fn element(text: &str) -> Element {
    let mut element = Element::default();
    for pair in split(text, ';') {
        let Some((name, value)) = pair.split_once('=') else { continue };
        let value = unquoted(value.trim());
        match name.trim() {
            name if name.eq_ignore_ascii_case("for") => element.from = address(&value),
            name if name.eq_ignore_ascii_case("proto") => element.proto = Some(value),
            _ => {}
        }
    }
    element
}

/// At each separator that is in no quoted string.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(|char| {
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
    })
    .collect()
}

fn unquoted(value: &str) -> String {
    let Some(inside) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut escaped = false;
    inside
        .chars()
        .filter(|char| {
            escaped = *char == '\\' && !escaped;
            !escaped
        })
        .collect()
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
    fn elements_are_read_as_rfc_7239_has_them() {
        let all = |header: &str| {
            elements(header)
                .into_iter()
                .map(|element| (element.from.map(|from| from.to_string()), element.proto))
                .collect::<Vec<_>>()
        };
        let one = |from: Option<&str>, proto: Option<&str>| (from.map(Into::into), proto.map(Into::into));
        for (header, expected) in [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", vec![one(Some("192.0.2.60"), Some("http"))]),
            ("For=\"[2001:db8:cafe::17]:4711\"", vec![one(Some("2001:db8:cafe::17"), None)]),
            ("for=\"[2001:db8::1]\"", vec![one(Some("2001:db8::1"), None)]),
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
            ("", vec![one(None, None)]),
            (",proto=https", vec![one(None, None), one(None, Some("https"))]),
        ] {
            assert_eq!(all(header), expected, "{header}");
        }
    }
}
