//! HTTP without a framework: what a test sends, what it gets, and a client that keeps cookies.

use std::collections::BTreeMap;

use async_trait::async_trait;

/// An application under test, in process or behind a socket. Its futures need not be `Send`.
#[async_trait(?Send)]
pub trait App {
    /// Sends a request and waits for the whole response.
    async fn send(&self, request: Request) -> Response;

    /// As [`send`](Self::send), where there may be no response, because the connection was closed: `None`.
    async fn try_send(&self, request: Request) -> Option<Response> {
        Some(self.send(request).await)
    }
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, unless a test says otherwise.
    pub method: &'static str,
    /// Path and query.
    pub path: String,
    /// Names and values. A value may be bytes that are no UTF-8.
    pub headers: Vec<(&'static str, Vec<u8>)>,
    /// What is sent with it.
    pub body: Body,
}

/// The body of a request.
#[derive(Clone, Debug, Default)]
pub enum Body {
    /// None at all.
    #[default]
    Empty,
    /// All of it.
    Whole(Vec<u8>),
    /// It begins, and its end does not come. An application in process is sent none.
    Unfinished,
}

impl Request {
    /// `GET` this path.
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self { method: "GET", path: path.into(), headers: Vec::new(), body: Body::Empty }
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A response.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The values of the `Set-Cookie` headers, in order.
    pub set_cookie: Vec<String>,
    /// All headers: names in small letters, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Response {
    /// With the cookies that are among the headers.
    pub fn new<N: AsRef<str>, V: AsRef<[u8]>>(
        status: u16,
        headers: impl IntoIterator<Item = (N, V)>,
        body: impl Into<String>,
    ) -> Self {
        let of = |(name, value): (N, V)| {
            let value = String::from_utf8_lossy(value.as_ref()).into_owned();
            (name.as_ref().to_ascii_lowercase(), value)
        };
        let headers: Vec<_> = headers.into_iter().map(of).collect();
        let response = Self { status, set_cookie: Vec::new(), headers, body: body.into() };
        let set_cookie = response.values("set-cookie").into_iter().map(Into::into).collect();
        Self { set_cookie, ..response }
    }

    /// The values of a header, in order, by its name in small letters.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str()).collect()
    }

    /// All values of a header as the list that they are; nothing where there is none.
    #[must_use]
    pub fn list(&self, name: &str) -> String {
        self.values(name).join(", ")
    }
}

/// A client that keeps cookies as a browser would, as far as the contract needs it: by name, until they are removed by a line that has the
/// attributes with which they were set.
#[derive(Clone, Debug, Default)]
pub struct Browser {
    cookies: BTreeMap<String, Held>,
}

#[derive(Clone, Debug)]
struct Held {
    value: String,
    attributes: String,
}

impl Browser {
    /// Without cookies.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `GET` this path with the cookies, and keep what comes back.
    pub async fn get(&mut self, app: &impl App, path: &str) -> Response {
        let response = app.send(self.request(path)).await;
        self.keep(&response);
        response
    }

    /// The request that this browser would send.
    #[must_use]
    pub fn request(&self, path: &str) -> Request {
        let request = Request::get(path);
        if self.cookies.is_empty() {
            return request;
        }
        let pairs: Vec<String> =
            self.cookies.iter().map(|(name, held)| format!("{name}={}", held.value)).collect();
        request.header("cookie", pairs.join("; "))
    }

    /// Takes the cookies of a response.
    pub fn keep(&mut self, response: &Response) {
        for header in &response.set_cookie {
            let (pair, attributes) = header.split_once(';').unwrap_or((header, ""));
            let (name, value) = pair.split_once('=').expect("a cookie has a name");
            // Browsers read the names of attributes in any case.
            let is_end = |attribute: &&str| {
                attribute.get(..8).is_some_and(|name| name.eq_ignore_ascii_case("expires="))
            };
            let all = || attributes.split(';').map(str::trim);
            let is_removal = all().find(is_end).is_some_and(|end| end[8..].starts_with("Thu, 01 Jan 1970"));
            let of_it = all().filter(|attribute| !is_end(attribute));
            let attributes = of_it.collect::<Vec<_>>().join("; ");
            if !is_removal {
                self.cookies.insert(name.into(), Held { value: value.into(), attributes });
            } else if self.cookies.get(name).is_some_and(|held| held.attributes == attributes) {
                self.cookies.remove(name);
            }
        }
    }

    /// The value of a cookie, as it was sent; `None` when there is none.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(|held| held.value.as_str())
    }
}
