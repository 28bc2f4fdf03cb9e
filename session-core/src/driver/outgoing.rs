//! What a session adds to its response: cookies, and what caches are told of them.

use std::fmt;

use crate::{
    driver::sessions::Sessions,
    options::{carrier::Carrier, policy::CacheHeaders},
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
    pub(super) given: Given,
}

/// What a session gives to its response, or several to one that is put into its place.
#[derive(Clone, Default)]
pub(super) struct Given {
    /// The values of `Set-Cookie`.
    pub(super) cookies: Vec<String>,
    pub(super) tokens: Vec<Token>,
    /// Caches are to be told that what the response says may depend on the session.
    pub(super) varies: bool,
    /// And that there are cookies.
    pub(super) tells: bool,
    /// It may depend on these headers as well.
    pub(super) headers: Vec<String>,
    /// The session came by one, which caches do not take for a visitor's own.
    pub(super) is_private: bool,
}

#[derive(Clone)]
pub(super) struct Token {
    pub(super) by: Carrier,
    /// Empty: there is none any more.
    pub(super) value: String,
}

impl Given {
    /// With what caches are to be told of it.
    pub(super) fn told(self, sessions: &Sessions, is_used: bool, is_private: bool) -> Self {
        let options = sessions.options();
        let headers = options.carriers.iter().filter(|by| is_used && **by != Carrier::Cookie);
        let headers = headers.filter_map(Carrier::asked_by).map(Into::into).collect();
        let says = options.cache_headers != CacheHeaders::Never;
        let varies = says && is_used && options.carriers.contains(&Carrier::Cookie);
        Self { varies, tells: says && !self.cookies.is_empty(), headers, is_private, ..self }
    }

    /// Each layer's as its own options say.
    pub(super) fn and(mut self, other: &Self) -> Self {
        self.cookies.extend_from_slice(&other.cookies);
        self.tokens.extend_from_slice(&other.tokens);
        self.headers.extend_from_slice(&other.headers);
        self.varies |= other.varies;
        self.tells |= other.tells;
        self.is_private |= other.is_private;
        self
    }
}

impl Outgoing {
    /// Whether the client would lose something without it, or caches be told nothing of a session that may have come by a header, of which they do not
    /// know by themselves; else it is for caches alone, of a cookie.
    #[must_use]
    pub fn is_for_the_client(&self) -> bool {
        let Given { cookies, tokens, headers, is_private, .. } = &self.given;
        !(cookies.is_empty() && tokens.is_empty() && headers.is_empty()) || *is_private
    }

    /// Changes the headers of the response: takes out the cookies of the handler's that the session
    /// [overwrites](crate::CookieSessionOptions::overwrite), appends the session's behind all others, sets the header of another
    /// [carrier](crate::Options::carriers), and tells caches what [`CacheHeaders`](crate::CacheHeaders) says. To be done once.
    pub fn apply(&self, headers: &mut impl ResponseHeaders) {
        self.apply_to(headers);
    }

    fn apply_to(&self, headers: &mut dyn ResponseHeaders) {
        let Given { cookies, varies, tells, .. } = &self.given;
        let client = self.sessions.options().client.as_ref();
        if !cookies.is_empty() && client.is_some_and(|client| client.overwrite) {
            change(headers, SET_COOKIE, |set| self.without_ours(set));
        }
        for cookie in cookies {
            headers.append(SET_COOKIE, cookie.as_bytes());
        }
        self.apply_tokens_to(headers);
        if *varies {
            change(headers, VARY, |lines| header_list::vary(lines, "Cookie"));
        }
        if *tells {
            change(headers, CACHE_CONTROL, cookie_is_no_matter_of_caches);
        }
    }

    /// Whatever the option says, which is for cookies: no cache knows of these by itself.
    fn apply_tokens_to(&self, headers: &mut dyn ResponseHeaders) {
        for Token { by, value } in &self.given.tokens {
            if let Some(name) = by.answered_by() {
                headers.remove(name);
                headers.append(name, value.as_bytes());
                change(headers, CACHE_CONTROL, header_list::no_store);
            }
        }
        if self.given.is_private {
            change(headers, CACHE_CONTROL, header_list::private);
        }
        for name in &self.given.headers {
            change(headers, VARY, |lines| header_list::vary(lines, name));
        }
    }

    /// `None`: there is none of ours.
    fn without_ours(&self, set: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
        let name = |cookie: &[u8]| cookie.iter().position(|byte| *byte == b'=');
        let is_ours = |set: &Vec<u8>| {
            name(set).is_some_and(|end| {
                self.given.cookies.iter().any(|cookie| cookie.as_bytes().get(..=end) == set.get(..=end))
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

/// Shows no cookie and no token: they carry the id.
impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").field("cookies", &self.given.cookies.len()).finish_non_exhaustive()
    }
}
