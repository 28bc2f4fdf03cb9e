//! A client, and what it makes of the answers.

use std::ops::Deref;

use percent_encoding::percent_decode_str;
use session_testkit::{Request, Response};

use crate::adapters::App;

/// A request to be sent.
pub(crate) struct Ask(Request);

pub(crate) fn get(uri: &str) -> Ask {
    Ask(Request::get(uri))
}

pub(crate) fn ask(method: &'static str, uri: &str) -> Ask {
    Ask(Request { method, ..Request::get(uri) })
}

impl Ask {
    pub(crate) fn header(self, name: &'static str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    /// What a proxy says that the client came over.
    pub(crate) fn forwarded_proto(self, proto: &str) -> Self {
        self.header("x-forwarded-proto", proto)
    }

    /// With the cookie that an earlier answer set.
    pub(crate) fn cookie_of(self, answer: &Answer) -> Self {
        self.header("cookie", &answer.cookie().pair())
    }

    pub(crate) async fn send(self, app: &App) -> Answer {
        Answer(app.send(self.0).await)
    }

    /// An answer that must be 200.
    pub(crate) async fn ok(self, app: &App) -> Answer {
        let answer = self.send(app).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer
    }
}

/// An answer.
pub(crate) struct Answer(Response);

impl Deref for Answer {
    type Target = Response;

    fn deref(&self) -> &Response {
        &self.0
    }
}

impl Answer {
    pub(crate) fn cookies(&self) -> Vec<SetCookie> {
        self.set_cookie.iter().map(|header| SetCookie::read(header)).collect()
    }

    /// The one cookie that it sets.
    pub(crate) fn cookie(&self) -> SetCookie {
        let mut cookies = self.cookies();
        assert_eq!(cookies.len(), 1);
        cookies.remove(0)
    }

    pub(crate) fn sets_no_cookie(&self) -> bool {
        self.set_cookie.is_empty()
    }

    /// It tells the client nothing but the status; Rocket puts a page of its own into it.
    pub(crate) fn is_opaque(&self, status: u16) -> bool {
        let told = ["boom", "faulty", "cookie", "record"].iter().any(|word| self.body.contains(word));
        self.status == status && !told && self.sets_no_cookie()
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
