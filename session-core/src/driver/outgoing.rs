//! What a session adds to its response: cookies, and what caches are told of them.

use std::fmt;

use crate::{
    driver::sessions::Sessions,
    options::policy::CacheHeaders,
    wire::header_list::{self, cookie_is_no_matter_of_caches},
};

/// The headers of a response, as [`Outgoing`] changes them: an adapter implements it for those of its framework. Names are in small
/// letters, and compared in any case.
pub trait ResponseHeaders {
    /// Calls a function with each value of a header, in order.
    fn visit(&self, name: &str, visit: &mut dyn FnMut(&[u8]));

    /// Takes a header out, every value of it.
    fn remove(&mut self, name: &str);

    /// Adds one more value behind those that are there.
    fn append(&mut self, name: &str, value: &[u8]);
}

/// What the end of an [exchange](crate::Exchange::finish) has for the response.
#[must_use = "without it the client does not learn of its session"]
pub struct Outgoing {
    pub(super) sessions: Sessions,
    /// What the response says may depend on the session.
    pub(super) is_used: bool,
    pub(super) cookies: Vec<String>,
}

impl Outgoing {
    /// Whether the client would lose something without it; else it is for caches alone.
    #[must_use]
    pub fn is_for_the_client(&self) -> bool {
        !self.cookies.is_empty()
    }

    /// Changes the headers of the response: takes out the cookies of the handler's that the session
    /// [overwrites](crate::CookieSessionOptions::overwrite), appends the session's behind all others, and tells caches what
    /// [`CacheHeaders`](crate::CacheHeaders) says. To be done once.
    pub fn apply(&self, headers: &mut impl ResponseHeaders) {
        self.apply_to(headers);
    }

    fn apply_to(&self, headers: &mut dyn ResponseHeaders) {
        let options = self.sessions.options();
        if options.client.as_ref().is_some_and(|client| client.overwrite) {
            change(headers, SET_COOKIE, |set| self.without_ours(set));
        }
        for cookie in &self.cookies {
            headers.append(SET_COOKIE, cookie.as_bytes());
        }
        if options.cache_headers == CacheHeaders::Never {
            return;
        }
        if self.is_used {
            change(headers, VARY, |lines| header_list::vary(lines, "Cookie"));
        }
        if !self.cookies.is_empty() {
            change(headers, CACHE_CONTROL, cookie_is_no_matter_of_caches);
        }
    }

    /// `None`: there is none of ours.
    fn without_ours(&self, set: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
        let name = |cookie: &[u8]| cookie.iter().position(|byte| *byte == b'=');
        let is_ours = |set: &Vec<u8>| {
            name(set).is_some_and(|end| {
                self.cookies.iter().any(|cookie| cookie.as_bytes().get(..=end) == set.get(..=end))
            })
        };
        set.iter().any(is_ours).then(|| set.iter().filter(|set| !is_ours(set)).cloned().collect())
    }
}

const SET_COOKIE: &str = "set-cookie";
const VARY: &str = "vary";
const CACHE_CONTROL: &str = "cache-control";

/// The values of a header become what is made of them; `None`: they stay.
fn change(
    headers: &mut dyn ResponseHeaders,
    name: &str,
    change: impl FnOnce(&[Vec<u8>]) -> Option<Vec<Vec<u8>>>,
) {
    let mut values = Vec::new();
    headers.visit(name, &mut |value| values.push(value.to_vec()));
    if let Some(changed) = change(&values) {
        headers.remove(name);
        changed.iter().for_each(|value| headers.append(name, value));
    }
}

/// Shows no cookie: it carries the id.
impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").field("cookies", &self.cookies.len()).finish_non_exhaustive()
    }
}
