//! What the core is told of a request.

use std::{borrow::Cow, fmt, net::IpAddr};

use crate::{
    options::proxy::{Proxy, ProxyHeader},
    wire::forwarded::{self, Element},
};

/// A request in plain strings, as an adapter describes it: this crate knows no framework's types.
///
/// ```
/// use session_core::RequestInfo;
///
/// let headers = [("host", "example.com"), ("cookie", "sid=s%3Ax")];
/// let each = |visit: &mut dyn FnMut(&str, &[u8])| {
///     headers.iter().for_each(|(name, value)| visit(name, value.as_bytes()));
/// };
/// let request = RequestInfo::new("/shop/cart?page=2", false, &each).with_method("POST").with_peer("192.0.2.1".parse().ok());
/// assert_eq!((request.method(), request.path(), request.query()), ("POST", "/shop/cart", Some("page=2")));
/// assert_eq!(request.header("Host").as_deref(), Some("example.com"));
/// assert_eq!(request.header("accept"), None);
/// ```
#[derive(Clone)]
pub struct RequestInfo<'a> {
    method: Cow<'a, str>,
    uri: Cow<'a, str>,
    peer: Option<IpAddr>,
    authority: Option<Cow<'a, str>>,
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
        let headers = Headers::Borrowed(headers);
        Self {
            method: Cow::Borrowed("GET"),
            uri: uri.into(),
            peer: None,
            authority: None,
            encrypted,
            headers,
        }
    }

    /// The method; `GET` where an adapter does not say.
    #[must_use]
    pub fn with_method(self, method: &'a str) -> Self {
        Self { method: method.into(), ..self }
    }

    /// The address that the connection comes from: the last proxy's, where there is one.
    #[must_use]
    pub fn with_peer(self, peer: Option<IpAddr>) -> Self {
        Self { peer, ..self }
    }

    /// Host and port as the request's target names them: `:authority` of HTTP/2, whose requests need no `Host`.
    #[must_use]
    pub fn with_authority(self, authority: Option<&'a str>) -> Self {
        Self { authority: authority.map(Cow::Borrowed), ..self }
    }

    /// The method, as the client sent it.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The address that the connection comes from; `None` where it is not known, as over a Unix socket.
    #[must_use]
    pub fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    /// The host that the request was sent to, without its port: of the target where that names one (RFC 9112 §3.2.2), else of `Host`.
    /// `None` where there is neither. What a proxy says in other headers is another question.
    ///
    /// ```
    /// use session_core::RequestInfo;
    ///
    /// let each = |visit: &mut dyn FnMut(&str, &[u8])| visit("host", b"example.com:8080");
    /// let request = RequestInfo::new("/", false, &each);
    /// assert_eq!(request.host().as_deref(), Some("example.com"));
    /// assert_eq!(request.with_authority(Some("[::1]:3000")).host().as_deref(), Some("[::1]"));
    /// ```
    #[must_use]
    pub fn host(&self) -> Option<String> {
        let authority = self.authority.as_deref().map(Into::into).or_else(|| self.header("host"))?;
        let host = authority.rsplit_once('@').map_or(&*authority, |(_, host)| host);
        let end = match host.strip_prefix('[').and_then(|address| address.find(']')) {
            Some(end) => end + 2,
            None => host.find(':').unwrap_or(host.len()),
        };
        host.get(..end).map(Into::into)
    }

    /// The path, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        match self.uri.split(['?', '#']).next() {
            None | Some("") => "/",
            Some(path) => path,
        }
    }

    /// The query, without its `?`; `None` when there is none.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        let uri = self.uri.split('#').next()?;
        uri.split_once('?').map(|(_, query)| query)
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

    /// express-session's `issecure`: the connection is TLS, or somebody whose word counts says that the client's was.
    pub(crate) fn is_secure(&self, proxy: &Proxy, header: ProxyHeader) -> bool {
        self.encrypted || (proxy.trusts(self.peer) && self.is_forwarded_https(proxy, header))
    }

    /// Whether anybody at all says that the client's connection was TLS.
    pub(crate) fn claims_https(&self) -> bool {
        self.is_forwarded_https(&Proxy::Always, ProxyHeader::XForwardedProto)
    }

    fn is_forwarded_https(&self, proxy: &Proxy, header: ProxyHeader) -> bool {
        match header {
            ProxyHeader::XForwardedProto => {
                let forwarded = self.header("x-forwarded-proto").unwrap_or_default();
                let first = forwarded.split(',').next().unwrap_or_default().trim();
                // Express's own `trust proxy` compares as it stands.
                if *proxy == Proxy::Always { first.eq_ignore_ascii_case("https") } else { first == "https" }
            }
            ProxyHeader::Forwarded => {
                let mut elements = Some(Vec::new());
                self.each_header(&mut |name, value| {
                    if name.eq_ignore_ascii_case("forwarded") {
                        let more = forwarded::elements(&String::from_utf8_lossy(value));
                        elements =
                            elements.take().zip(more).map(|(elements, more)| [elements, more].concat());
                    }
                });
                outermost(&elements.unwrap_or_default(), proxy)
                    .and_then(|element| element.proto.as_ref())
                    .is_some_and(|proto| proto.eq_ignore_ascii_case("https"))
            }
        }
    }

    /// A copy to keep after the request.
    pub(crate) fn to_owned(&self) -> RequestInfo<'static> {
        let mut headers = Vec::new();
        self.each_header(&mut |name, value| headers.push((name.into(), value.into())));
        RequestInfo {
            method: Cow::Owned(self.method.clone().into_owned()),
            uri: Cow::Owned(self.uri.clone().into_owned()),
            peer: self.peer,
            authority: self.authority.clone().map(|authority| Cow::Owned(authority.into_owned())),
            encrypted: self.encrypted,
            headers: Headers::Owned(headers),
        }
    }
}

/// What the outermost of the trusted proxies wrote; all that comes before, anybody may have.
fn outermost<'a>(elements: &'a [Element], proxy: &Proxy) -> Option<&'a Element> {
    match proxy {
        Proxy::Never => None,
        Proxy::Always => elements.first(),
        Proxy::Hops(hops) => elements.get(elements.len().saturating_sub(*hops)),
        Proxy::Peers(_) => {
            let mut inwards = elements.iter().rev();
            let mut outermost = inwards.next()?;
            while proxy.trusts(outermost.from) {
                let Some(next) = inwards.next() else { break };
                outermost = next;
            }
            Some(outermost)
        }
    }
}

/// Shows no header: they carry credentials.
impl fmt::Debug for RequestInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestInfo").field("path", &self.path()).field("encrypted", &self.encrypted).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_secure(proxy: &Proxy, header: ProxyHeader, headers: &[(&str, &str)]) -> bool {
        let each = |visit: &mut dyn FnMut(&str, &[u8])| {
            headers.iter().for_each(|(name, value)| visit(name, value.as_bytes()));
        };
        let request = RequestInfo::new("/", false, &each).with_peer("10.0.0.1".parse().ok());
        let copy = request.to_owned();
        let is_secure = request.is_secure(proxy, header);
        assert_eq!(copy.is_secure(proxy, header), is_secure);
        is_secure
    }

    #[test]
    fn what_express_trusts_says_that_it_is_secure() {
        let (near, far) = (Proxy::peers(["10.0.0.0/8"]), Proxy::peers(["192.0.2.0/24"]));
        for (value, never, always, hops) in [
            ("https", false, true, true),
            ("https, http", false, true, true),
            (" https ,http", false, true, true),
            ("HTTPS", false, true, false),
            ("http, https", false, false, false),
            ("", false, false, false),
        ] {
            let says = |proxy: &Proxy| {
                is_secure(
                    proxy,
                    ProxyHeader::XForwardedProto,
                    &[("X-Forwarded-Proto", value), ("forwarded", "proto=https")],
                )
            };
            assert_eq!((says(&Proxy::Never), says(&Proxy::Hops(0))), (never, never), "{value}");
            assert_eq!(says(&Proxy::Always), always, "{value}");
            assert_eq!((says(&Proxy::Hops(1)), says(&Proxy::Hops(9))), (hops, hops), "{value}");
            assert_eq!((says(&near), says(&far)), (hops, false), "{value}");
        }
    }

    #[test]
    fn of_forwarded_the_outermost_trusted_proxy_counts() {
        let peers = Proxy::peers(["10.0.0.0/8"]);
        let trusted = "for=10.0.0.2;proto=http";
        for (lines, always, one, two, of_peers) in [
            (vec!["for=192.0.2.1;proto=https"], true, true, true, true),
            (vec!["for=192.0.2.1;proto=HTTPS"], true, true, true, true),
            // The first is what a client has sent.
            (vec!["proto=https, for=192.0.2.1;proto=http"], true, false, true, false),
            // Two of ours: the outer one ended TLS.
            (vec!["for=192.0.2.1;proto=https, for=10.0.0.2;proto=http"], true, false, true, true),
            (vec!["for=192.0.2.1;proto=https", trusted], true, false, true, true),
            (vec!["proto=https", "for=192.0.2.1;proto=http", trusted], true, false, false, false),
            (vec![trusted], false, false, false, false),
            (vec!["for=192.0.2.1"], false, false, false, false),
            (vec!["proto=https;x=\", for=192.0.2.1;proto=http"], false, false, false, false),
            (vec!["x", "for=192.0.2.1;proto=https"], false, false, false, false),
            (vec![], false, false, false, false),
        ] {
            let headers: Vec<_> = lines.iter().map(|line| ("Forwarded", *line)).collect();
            let headers = [&headers[..], &[("x-forwarded-proto", "https")]].concat();
            let says = |proxy: &Proxy| is_secure(proxy, ProxyHeader::Forwarded, &headers);
            assert!(!says(&Proxy::Never) && !says(&Proxy::Hops(0)) && !says(&Proxy::peers(["192.0.2.0/24"])));
            let said = [says(&Proxy::Always), says(&Proxy::Hops(1)), says(&Proxy::Hops(2)), says(&peers)];
            assert_eq!(said, [always, one, two, of_peers], "{lines:?}");
        }
    }

    #[test]
    fn path_and_query_are_told_apart() {
        for (uri, path, query) in [
            ("/a", "/a", None),
            ("/a?", "/a", Some("")),
            ("/a?b=c?d#e", "/a", Some("b=c?d")),
            ("/a#b?c", "/a", None),
            ("?b", "/", Some("b")),
            ("", "/", None),
        ] {
            let request = RequestInfo::new(uri, false, &|_| {});
            assert_eq!((request.path(), request.query()), (path, query), "{uri}");
        }
        assert_eq!(RequestInfo::new("/", false, &|_| {}).method(), "GET");
    }

    /// What `genid` and `cookie_with` are given after the request is what they were given in it.
    #[test]
    fn a_copy_says_the_same() {
        let each = |visit: &mut dyn FnMut(&str, &[u8])| visit("cookie", b"secret=1");
        for (encrypted, peer) in [(true, "192.0.2.1".parse().ok()), (false, None)] {
            let request = RequestInfo::new("/a?b", encrypted, &each).with_method("PUT").with_peer(peer);
            for request in [request.to_owned(), request] {
                assert_eq!((request.method(), request.path(), request.query()), ("PUT", "/a", Some("b")));
                assert_eq!((request.is_encrypted(), request.peer()), (encrypted, peer));
                assert_eq!(request.header("Cookie").as_deref(), Some("secret=1"));
                let shown = format!("{request:?}");
                assert!(
                    shown.contains("/a")
                        && shown.contains(&encrypted.to_string())
                        && !shown.contains("secret")
                );
            }
        }
    }
}
