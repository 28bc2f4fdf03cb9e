//! The `carriers` option: by what a request brings the id of its session, and a response takes it back.

use std::sync::Arc;

use crate::wire::set_cookie;

/// By what a session comes with a request, and goes back with the response. See [`Options::carriers`](crate::Options::carriers).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Carrier {
    /// The cookie: the one carrier that a browser sends by itself.
    Cookie,
    /// `Authorization: Bearer <token>`: see [`bearer`](Self::bearer).
    Bearer,
    /// A header of its own, by its name in small letters: see [`header`](Self::header).
    Header(Arc<str>),
    /// None of a request's: the application has asked for the session by [`Sessions::resume`](crate::Sessions::resume) or
    /// [`Sessions::load`](crate::Sessions::load).
    Application,
}

/// What a bearer's response takes it back in: a response has no `Authorization`, and Spring Session calls its header so.
const X_AUTH_TOKEN: &str = "x-auth-token";

/// What HTTP, a browser, a proxy or this crate says by these; the names that a page cannot set (Fetch) are among them.
const TAKEN: [&str; 72] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "alt-svc",
    "authorization",
    "cache-control",
    "clear-site-data",
    "connection",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-security-policy",
    "content-type",
    "cookie",
    "cookie2",
    "date",
    "dnt",
    "early-data",
    "etag",
    "expect",
    "expires",
    "forwarded",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "last-modified",
    "link",
    "location",
    "max-forwards",
    "nel",
    "origin",
    "permissions-policy",
    "pragma",
    "priority",
    "range",
    "referer",
    "refresh",
    "report-to",
    "reporting-endpoints",
    "retry-after",
    "server",
    "server-timing",
    "set-cookie",
    "set-cookie2",
    "sourcemap",
    "strict-transport-security",
    "te",
    "timing-allow-origin",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "upgrade-insecure-requests",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "x-content-type-options",
    "x-frame-options",
    "x-real-ip",
    "x-requested-with",
];

/// And by all that begin so.
const TAKEN_PREFIXES: [&str; 4] = ["access-control-", "proxy-", "sec-", "x-forwarded-"];

impl Carrier {
    /// `Authorization: Bearer <token>` (RFC 6750 §2.1), and back in `X-Auth-Token`, as Spring Session's header is called. For clients that are
    /// no browsers' pages: an app, a command line, another server.
    #[must_use]
    pub fn bearer() -> Self {
        Self::Bearer
    }

    /// A header of this name, in both directions (Spring's `HeaderHttpSessionIdResolver`; scs: `X-Session`). What is no name of a header, or
    /// one that HTTP, browsers or proxies use themselves, is an error of [`Options::build`](crate::Options::build). For scripts of another origin to read it, the
    /// response needs `Access-Control-Expose-Headers` with the name.
    #[must_use]
    pub fn header(name: impl AsRef<str>) -> Self {
        Self::Header(name.as_ref().to_ascii_lowercase().into())
    }

    /// However the variant was made: names are compared in small letters.
    pub(crate) fn in_small_letters(self) -> Self {
        match self {
            Self::Header(name) => Self::header(name),
            other => other,
        }
    }

    /// Whether a client sends it without having been told to, as browsers do with cookies: only then another site's page can make a
    /// request *with* the session, so that only then a request that changes something needs a defence against that (CSRF).
    #[must_use]
    pub fn is_ambient(&self) -> bool {
        *self == Self::Cookie
    }

    /// The header that a request has it in.
    pub(crate) fn asked_by(&self) -> Option<&str> {
        match self {
            Self::Cookie => Some("cookie"),
            Self::Bearer => Some("authorization"),
            Self::Header(name) => Some(name),
            Self::Application => None,
        }
    }

    /// The header that a response takes it back in, unless that is a cookie.
    pub(crate) fn answered_by(&self) -> Option<&str> {
        match self {
            Self::Bearer => Some(X_AUTH_TOKEN),
            Self::Header(name) => Some(name),
            Self::Cookie | Self::Application => None,
        }
    }

    /// Of the value of its header, what is the token; `None`: it is something else.
    pub(crate) fn token_of<'a>(&self, value: &'a [u8]) -> Option<&'a [u8]> {
        let value = value.trim_ascii();
        let token = match self {
            Self::Bearer => {
                let (scheme, token) = value.split_at_checked("bearer ".len())?;
                scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii_start())?
            }
            _ => value,
        };
        (!token.is_empty()).then_some(token)
    }
}

/// Why these cannot work.
pub(crate) fn refusal(carriers: &[Carrier]) -> Option<String> {
    if carriers.is_empty() {
        return Some("there is none; give Carrier::Cookie, or what else a request has the session in".into());
    }
    carriers.iter().enumerate().find_map(|(at, carrier)| match carrier {
        Carrier::Application => {
            Some("no request has Carrier::Application: call Sessions::resume with what you have".into())
        }
        Carrier::Header(name) if set_cookie::check_name(name).is_err() => {
            Some(format!("{name:?} is no name of a header: letters, digits and !#$%&'*+-.^_`|~"))
        }
        Carrier::Header(name)
            if TAKEN.contains(&&**name) || TAKEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) =>
        {
            Some(format!("the header {name} has a meaning of its own: give another name, as x-session"))
        }
        carrier if carriers[..at].contains(carrier) => Some("one is there twice".into()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_is_one_in_any_case_and_other_schemes_are_none() {
        let token = |value: &'static str| Carrier::bearer().token_of(value.as_bytes());
        for (value, is) in [
            ("Bearer x.y", Some("x.y")),
            ("bearer x.y", Some("x.y")),
            ("  BEARER   x.y ", Some("x.y")),
            ("Bearer", None),
            ("Bearer ", None),
            ("Bearerx.y", None),
            ("Basic x.y", None),
            ("x.y", None),
            ("", None),
        ] {
            assert_eq!(token(value), is.map(str::as_bytes), "{value}");
        }
        assert_eq!(Carrier::header("X-Session").token_of(b" x "), Some(&b"x"[..]));
        assert_eq!(Carrier::header("X-Session").token_of(b" "), None);
    }

    #[test]
    fn only_a_cookie_is_ambient() {
        assert!(Carrier::Cookie.is_ambient());
        for other in [Carrier::bearer(), Carrier::header("x"), Carrier::Application] {
            assert!(!other.is_ambient());
        }
    }
}
