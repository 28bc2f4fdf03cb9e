//! The response's `Set-Cookie` header, to the byte as Node's `cookie` 0.7 serializes it.

use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

use crate::{
    error::CookieError,
    record::cookie::{Cookie, Priority, SameSite},
    wire::date,
};

/// What ECMA-262's `encodeURIComponent` encodes.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// `name=value` with the value percent-encoded, then the attributes in Node's order; never `Max-Age`.
pub(crate) fn serialize(name: &str, value: &str, cookie: &Cookie) -> Result<String, CookieError> {
    let mut header = String::with_capacity(name.len() + value.len() + 96);
    check_name(name)?;
    header.push_str(name);
    header.push('=');
    header.extend(encode_uri_component(value));
    push_attributes(&mut header, cookie)?;
    Ok(header)
}

pub(crate) fn encode_uri_component(value: &str) -> PercentEncode<'_> {
    utf8_percent_encode(value, COMPONENT)
}

/// Tells the client to forget the cookie: empty, long over, and otherwise with the attributes it was set with.
pub(crate) fn removal(name: &str, cookie: &Cookie) -> Result<String, CookieError> {
    let mut over = cookie.clone();
    over.live_until(Some(0), 0);
    serialize(name, "", &over)
}

pub(crate) fn check_name(name: &str) -> Result<(), CookieError> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !name.is_empty() && name.bytes().all(token) { Ok(()) } else { Err(CookieError::Name) }
}

pub(crate) fn check_attributes(cookie: &Cookie) -> Result<(), CookieError> {
    push_attributes(&mut String::new(), cookie)
}

/// Which option makes browsers refuse the cookie, and why: RFC 6265bis §4.1.3 (prefixes) and §5.6.7 (`SameSite=None`), and CHIPS
/// (`Partitioned`).
pub(crate) fn browser_refusal(name: &str, cookie: &Cookie) -> Option<(&'static str, &'static str)> {
    let insecure = !cookie.secure();
    // In any case, as browsers read them.
    let begins =
        |prefix: &str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let host = begins("__Host-");
    let prefixed = host || begins("__Secure-");
    let rules = [
        (
            cookie.same_site() == Some(SameSite::None) && insecure,
            "cookie.same_site",
            "SameSite=None needs secure: set cookie.secure",
        ),
        (
            cookie.partitioned() && insecure,
            "cookie.partitioned",
            "Partitioned needs secure: set cookie.secure",
        ),
        (prefixed && insecure, "name", "the prefixes __Host- and __Secure- need secure: set cookie.secure"),
        (host && cookie.domain().is_some(), "cookie.domain", "a __Host- cookie has no domain"),
        (host && cookie.path() != Some("/"), "cookie.path", "a __Host- cookie has the path /"),
        (
            cookie.domain().is_some_and(|domain| domain.trim_start_matches('.').len() > LONGEST_HOST_NAME),
            "cookie.domain",
            "a host name has at most 253 bytes",
        ),
    ];
    rules.into_iter().find(|(broken, ..)| *broken).map(|(_, option, reason)| (option, reason))
}

fn push_attributes(header: &mut String, cookie: &Cookie) -> Result<(), CookieError> {
    if let Some(domain) = cookie.domain().filter(|domain| !domain.is_empty()) {
        if !is_domain(domain) {
            return Err(CookieError::Domain);
        }
        header.push_str("; Domain=");
        header.push_str(domain);
    }
    if let Some(path) = cookie.path().filter(|path| !path.is_empty()) {
        if !path.bytes().all(|byte| matches!(byte, b' '..=b':' | b'='..=b'~')) {
            return Err(CookieError::Path);
        }
        header.push_str("; Path=");
        header.push_str(path);
    }
    if let Some(expires) = cookie.expires_at() {
        // Writing to a String cannot fail.
        _ = write!(header, "; Expires={}", date::http(expires));
    }
    if cookie.http_only() {
        header.push_str("; HttpOnly");
    }
    if cookie.secure() {
        header.push_str("; Secure");
    }
    if cookie.partitioned() {
        header.push_str("; Partitioned");
    }
    header.push_str(match cookie.priority() {
        None => "",
        Some(Priority::Low) => "; Priority=Low",
        Some(Priority::Medium) => "; Priority=Medium",
        Some(Priority::High) => "; Priority=High",
    });
    header.push_str(match cookie.same_site() {
        None => "",
        Some(SameSite::Strict) => "; SameSite=Strict",
        Some(SameSite::Lax) => "; SameSite=Lax",
        Some(SameSite::None) => "; SameSite=None",
    });
    Ok(())
}

/// RFC 1035 §2.3.4: 255 octets with the lengths of the labels. Node's pattern does not count.
const LONGEST_HOST_NAME: usize = 253;

/// A top-level domain, for whose cookies browsers have no room; or a name without dots in a network of one's own.
pub(crate) fn has_one_label(domain: &str) -> bool {
    let domain = domain.trim_start_matches('.');
    !domain.is_empty() && !domain.contains('.') && !domain.eq_ignore_ascii_case("localhost")
}

/// What can be shown: of a name that nobody has there is nothing to say.
pub(crate) fn is_host_name(host: &str) -> bool {
    host.len() <= LONGEST_HOST_NAME && is_domain(host)
}

/// RFC 6265 §5.1.3: the host itself, or one below the domain. A host that is an address is itself alone.
pub(crate) fn domain_matches(host: &str, domain: &str) -> bool {
    let domain = domain.strip_prefix('.').unwrap_or(domain);
    let Some(above) = host.len().checked_sub(domain.len()) else { return false };
    let (Some(labels), Some(end)) = (host.get(..above), host.get(above..)) else { return false };
    let is_below = labels.ends_with('.') && host.parse::<std::net::IpAddr>().is_err();
    end.eq_ignore_ascii_case(domain) && (labels.is_empty() || is_below)
}

/// Labels of letters, digits and inner hyphens, up to 63 long, with one dot before the first allowed.
fn is_domain(domain: &str) -> bool {
    let alphanumeric = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    domain.strip_prefix('.').unwrap_or(domain).split('.').map(str::as_bytes).all(|label| {
        label.len() <= 63
            && alphanumeric(label.first())
            && alphanumeric(label.last())
            && label.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_those_that_node_accepts() {
        for good in ["example.com", ".example.com", "a", "a-b.c", "xn--bcher-kva.example", "127.0.0.1"] {
            assert!(is_domain(good), "{good}");
        }
        assert!(is_domain(&"a".repeat(63)));
        let long = "a".repeat(64);
        for bad in ["..a", "a..b", "a.", "-a", "a-", "a_b", "a b", "a;b", "bücher.example", &long] {
            assert!(!is_domain(bad), "{bad}");
        }
    }

    #[test]
    fn a_domain_covers_its_host_and_those_below() {
        for (host, domain, covers) in [
            ("example.com", "example.com", true),
            ("Example.COM", "example.com", true),
            ("www.example.com", "example.com", true),
            ("www.example.com", ".example.com", true),
            ("a.b.example.com", "EXAMPLE.com", true),
            ("example.com", ".example.com", true),
            ("notexample.com", "example.com", false),
            ("example.com", "www.example.com", false),
            ("example.org", "example.com", false),
            ("com", "example.com", false),
            ("", "example.com", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "0.0.1", false),
            ("\u{e9}.example.com", "example.com", true),
            ("\u{e9}xample.com", "xample.com", false),
        ] {
            assert_eq!(domain_matches(host, domain), covers, "{host} {domain}");
        }
    }

    #[test]
    fn what_would_end_the_attribute_is_refused() {
        let mut cookie = Cookie::plain();
        cookie.set_path("/a;Domain=evil.example");
        assert_eq!(serialize("sid", "x", &cookie), Err(CookieError::Path));
        cookie.set_path("/");
        cookie.set_domain(Some("a;b"));
        assert_eq!(serialize("sid", "x", &cookie), Err(CookieError::Domain));
        assert_eq!(serialize("a b", "x", &Cookie::plain()), Err(CookieError::Name));
        assert_eq!(serialize("", "x", &Cookie::plain()), Err(CookieError::Name));
    }

    #[test]
    fn a_host_name_has_at_most_253_bytes() {
        let refusal = |length: usize| {
            let mut cookie = Cookie::plain();
            cookie.set_domain(Some(&"a.".repeat(127)[..length]));
            browser_refusal("sid", &cookie)
        };
        assert_eq!(refusal(253), None);
        assert_eq!(refusal(254), Some(("cookie.domain", "a host name has at most 253 bytes")));
    }

    /// Browsers go by the name, the domain, the path and the partition, and leave a secure one to whoever is secure.
    #[test]
    fn a_removal_has_every_attribute_of_the_cookie() {
        let sets: [fn(&mut Cookie); 8] = [
            |cookie| cookie.set_domain(Some("example.com")),
            |cookie| cookie.set_path("/shop"),
            |cookie| cookie.set_http_only(false),
            |cookie| cookie.set_secure(true),
            |cookie| cookie.set_partitioned(true),
            |cookie| cookie.set_priority(Some(Priority::High)),
            |cookie| cookie.set_same_site(Some(SameSite::Lax)),
            |cookie| cookie.live_for(Some(60_000), 1_000),
        ];
        for chosen in 0..1_u16 << sets.len() {
            let mut cookie = Cookie::plain();
            sets.iter()
                .enumerate()
                .filter(|(at, _)| chosen >> at & 1 == 1)
                .for_each(|(_, set)| set(&mut cookie));
            let attributes = |line: &str| -> Vec<String> {
                let attributes =
                    line.split("; ").skip(1).filter(|attribute| !attribute.starts_with("Expires="));
                attributes.map(Into::into).collect()
            };
            let (set, removed) = (serialize("sid", "x", &cookie).unwrap(), removal("sid", &cookie).unwrap());
            assert_eq!(attributes(&removed), attributes(&set), "{removed}");
            assert_eq!(
                attributes(&set).len(),
                usize::try_from((chosen & 0b111_1001).count_ones()).unwrap()
                    + 1
                    + usize::from(chosen & 0b100 == 0)
            );
            assert!(
                removed.starts_with("sid=; ") && removed.contains("; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
            );
        }
    }
}
