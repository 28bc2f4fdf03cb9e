//! What the core is told of a request.

use std::{borrow::Cow, fmt};

/// A request in plain strings, as an adapter describes it: this crate knows no framework's types.
///
/// ```
/// use session_core::RequestInfo;
///
/// let headers = [("host", "example.com"), ("cookie", "sid=s%3Ax")];
/// let each = |visit: &mut dyn FnMut(&str, &[u8])| {
///     headers.iter().for_each(|(name, value)| visit(name, value.as_bytes()));
/// };
/// let request = RequestInfo::new("/shop/cart?page=2", false, &each);
/// assert_eq!(request.path(), "/shop/cart");
/// assert_eq!(request.header("Host").as_deref(), Some("example.com"));
/// assert_eq!(request.header("accept"), None);
/// ```
#[derive(Clone)]
pub struct RequestInfo<'a> {
    uri: Cow<'a, str>,
    encrypted: bool,
    headers: Headers<'a>,
}

/// Calls a function with each header's name and value.
type Visit<'a> = &'a (dyn Fn(&mut dyn FnMut(&str, &[u8])) + Sync);

#[derive(Clone)]
enum Headers<'a> {
    Borrowed(Visit<'a>),
    Owned(Vec<(Box<str>, Box<[u8]>)>),
}

impl<'a> RequestInfo<'a> {
    /// `uri`: the path as the client sent it, before any mount took a prefix off, with or without query. `encrypted`: the
    /// connection itself is TLS. `headers`: calls its argument with each header's name and value; of a cookie jar without
    /// header text, make one `cookie` header.
    pub fn new(uri: &'a str, encrypted: bool, headers: Visit<'a>) -> Self {
        Self { uri: uri.into(), encrypted, headers: Headers::Borrowed(headers) }
    }

    /// The path, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        match self.uri.split(['?', '#']).next() {
            None | Some("") => "/",
            Some(path) => path,
        }
    }

    /// Whether the connection itself is TLS; what a proxy says of its own is another question.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// The first header of this name, in any case; `None` when there is none. Bytes that are not UTF-8 become `U+FFFD`.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let mut found = None;
        self.each_header(&mut |other, value| {
            if found.is_none() && other.eq_ignore_ascii_case(name) {
                found = Some(String::from_utf8_lossy(value).into_owned());
            }
        });
        found
    }

    pub(crate) fn each_header(&self, visit: &mut dyn FnMut(&str, &[u8])) {
        match &self.headers {
            Headers::Borrowed(headers) => headers(visit),
            Headers::Owned(headers) => headers.iter().for_each(|(name, value)| visit(name, value)),
        }
    }

    /// express-session's `issecure`: the connection is TLS, or a trusted proxy says that its own was.
    pub(crate) fn is_secure(&self, proxy: bool) -> bool {
        let forwarded_https = || {
            let forwarded = self.header("x-forwarded-proto").unwrap_or_default();
            forwarded.split(',').next().is_some_and(|first| first.trim().eq_ignore_ascii_case("https"))
        };
        self.encrypted || (proxy && forwarded_https())
    }

    /// A copy to keep after the request.
    pub(crate) fn to_owned(&self) -> RequestInfo<'static> {
        let mut headers = Vec::new();
        self.each_header(&mut |name, value| headers.push((name.into(), value.into())));
        RequestInfo {
            uri: Cow::Owned(self.uri.clone().into_owned()),
            encrypted: self.encrypted,
            headers: Headers::Owned(headers),
        }
    }
}

/// Shows no header: they carry credentials.
impl fmt::Debug for RequestInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestInfo").field("path", &self.path()).field("encrypted", &self.encrypted).finish()
    }
}
