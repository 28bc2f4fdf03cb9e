//! A client in process, and what it makes of the answers.

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, HeaderName, Request, Response, StatusCode, header},
};
use express_session::axum::Encrypted;
use percent_encoding::percent_decode_str;
use tower::ServiceExt;

/// A request to be sent.
pub(crate) struct Ask(Request<Body>);

pub(crate) fn get(uri: &str) -> Ask {
    ask("GET", uri)
}

pub(crate) fn ask(method: &str, uri: &str) -> Ask {
    Ask(Request::builder().method(method).uri(uri).body(Body::empty()).unwrap())
}

impl Ask {
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.0.headers_mut().append(name, value.parse().unwrap());
        self
    }

    /// What a proxy says that the client came over.
    pub(crate) fn forwarded_proto(self, proto: &str) -> Self {
        self.header(HeaderName::from_static("x-forwarded-proto"), proto)
    }

    /// As if it had come over TLS.
    pub(crate) fn encrypted(mut self) -> Self {
        self.0.extensions_mut().insert(Encrypted);
        self
    }

    /// With the cookie that an earlier answer set.
    pub(crate) fn cookie_of(self, answer: &Answer) -> Self {
        self.header(header::COOKIE, &answer.cookie().pair())
    }

    /// The answer's head, its body not yet looked at.
    pub(crate) async fn head(self, app: &Router) -> Response<Body> {
        app.clone().oneshot(self.0).await.unwrap()
    }

    pub(crate) async fn send(self, app: &Router) -> Answer {
        Answer::read(self.head(app).await).await
    }

    /// An answer that must be 200.
    pub(crate) async fn ok(self, app: &Router) -> Answer {
        let answer = self.send(app).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer
    }
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn read(response: Response<Body>) -> Self {
        let (head, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Self { status: head.status, headers: head.headers, body: String::from_utf8(body.into()).unwrap() }
    }

    pub(crate) fn cookies(&self) -> Vec<SetCookie> {
        self.headers
            .get_all(header::SET_COOKIE)
            .iter()
            .map(|value| SetCookie::read(value.to_str().unwrap()))
            .collect()
    }

    /// The one cookie that it sets.
    pub(crate) fn cookie(&self) -> SetCookie {
        let mut cookies = self.cookies();
        assert_eq!(cookies.len(), 1);
        cookies.remove(0)
    }

    pub(crate) fn sets_no_cookie(&self) -> bool {
        !self.headers.contains_key(header::SET_COOKIE)
    }

    /// A 500 that tells the client nothing.
    pub(crate) fn is_opaque_failure(&self) -> bool {
        self.status == StatusCode::INTERNAL_SERVER_ERROR && self.body.is_empty() && self.sets_no_cookie()
    }
}

/// A `Set-Cookie` header.
pub(crate) struct SetCookie {
    pub(crate) name: String,
    /// As it went over the wire, percent-encoded.
    pub(crate) value: String,
    attributes: Vec<(String, String)>,
}

impl SetCookie {
    fn read(header: &str) -> Self {
        let mut pairs = header.split("; ").map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name.to_owned(), value.to_owned())
        });
        let (name, value) = pairs.next().unwrap();
        Self { name, value, attributes: pairs.collect() }
    }

    /// What a browser sends back.
    pub(crate) fn pair(&self) -> String {
        format!("{}={}", self.name, self.value)
    }

    pub(crate) fn has(&self, attribute: &str) -> bool {
        self.attribute(attribute).is_some()
    }

    /// The value of an attribute, empty when it has none; `None` when it is not there.
    pub(crate) fn attribute(&self, attribute: &str) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| name == attribute).map(|(_, value)| value.as_str())
    }

    /// The id in the signed value.
    pub(crate) fn sid(&self) -> String {
        let value = percent_decode_str(&self.value).decode_utf8().unwrap();
        let (sid, _signature) = value.strip_prefix("s:").unwrap().rsplit_once('.').unwrap();
        sid.into()
    }
}
