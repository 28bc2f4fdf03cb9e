//! The `cookie` option: the attributes that a new session's cookie starts with.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use crate::{
    record::cookie::{Attributes, Cookie, Field, Priority, SameSite},
    wire::date::{self, Millis},
};

/// The `cookie` option. What is not set stays the profile's: `path` `/` and `httpOnly` in both, `SameSite=Lax` and secure
/// *auto* in the new one.
///
/// ```
/// use std::time::Duration;
///
/// use session_core::{CookieOptions, Options, SameSite, Secure};
///
/// let a_day = CookieOptions::new().max_age(Duration::from_secs(86_400));
/// let strict = a_day.clone().same_site(SameSite::Strict).secure(Secure::Auto).domain("example.com");
/// let options = Options::new("keyboard cat").cookie(strict);
/// ```
#[derive(Clone, Debug, Default)]
pub struct CookieOptions {
    path: Option<Box<str>>,
    domain: Option<Box<str>>,
    http_only: Option<bool>,
    secure: Option<Secure>,
    same_site: Option<SameSiteOption>,
    lifetime: Option<Lifetime>,
    partitioned: Option<bool>,
    priority: Option<Priority>,
    /// What comes of these on a connection that is not secure, and on one that is: made for the first cookie, when nothing
    /// is set any more.
    made: [OnceLock<Arc<Attributes>>; 2],
}

#[derive(Clone, Copy, Debug)]
enum Lifetime {
    Browser,
    MaxAge(Millis),
    Expires(Millis),
}

/// The `secure` attribute: `true`, `false`, or *auto*.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secure {
    /// Only over secure connections: on others the cookie is not sent at all.
    Always,
    /// Over every connection.
    Never,
    /// As the connection is with which the session begins: express-session's `'auto'`.
    Auto,
}

impl From<bool> for Secure {
    fn from(secure: bool) -> Self {
        if secure { Self::Always } else { Self::Never }
    }
}

/// The `sameSite` attribute as an option: one of the words, `true` (strict), `false` (none of it), or *auto*.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSiteOption {
    /// This word.
    Is(SameSite),
    /// `true`: strict, and stored as `true`.
    On,
    /// `false`: no attribute, and stored as `false`.
    Off,
    /// `None` over a secure connection and `Lax` over others: express-session's `'auto'`.
    Auto,
}

impl From<SameSite> for SameSiteOption {
    fn from(word: SameSite) -> Self {
        Self::Is(word)
    }
}

impl From<bool> for SameSiteOption {
    fn from(strict: bool) -> Self {
        if strict { Self::On } else { Self::Off }
    }
}

impl CookieOptions {
    /// Nothing set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The `Path` attribute, and the paths for which there is a session at all. Default `/`. Choose another for sessions
    /// of one part of the site. Node: `cookie.path`.
    #[must_use]
    pub fn path(self, path: impl Into<Box<str>>) -> Self {
        Self { path: Some(path.into()), ..self }
    }

    /// The `Domain` attribute. Default: none, so that only the host itself gets the cookie. Choose one to share sessions
    /// with its subdomains. Node: `cookie.domain`.
    #[must_use]
    pub fn domain(self, domain: impl Into<Box<str>>) -> Self {
        Self { domain: Some(domain.into()), ..self }
    }

    /// Whether scripts in the page cannot read the cookie. Default `true`, and there is hardly a reason to choose
    /// otherwise. Node: `cookie.httpOnly`.
    #[must_use]
    pub fn http_only(self, http_only: bool) -> Self {
        Self { http_only: Some(http_only), ..self }
    }

    /// Whether the cookie is for secure connections only. Default: *auto* in the new profile, no in the express profile.
    /// Behind a proxy that ends TLS, [`Options::proxy`](crate::Options::proxy) says whether its word counts. Node:
    /// `cookie.secure`.
    #[must_use]
    pub fn secure(self, secure: impl Into<Secure>) -> Self {
        Self { secure: Some(secure.into()), ..self }
    }

    /// The `SameSite` attribute. Default: `Lax` in the new profile, none in the express profile. Node: `cookie.sameSite`.
    #[must_use]
    pub fn same_site(self, same_site: impl Into<SameSiteOption>) -> Self {
        Self { same_site: Some(same_site.into()), ..self }
    }

    /// How long the session lives after its last request. `None`, the default: until the browser closes. In the express profile the
    /// record does, and the cookie in the browser ends so long after the last *change*, as in Express, unless
    /// [`rolling`](crate::Options::rolling) or [`CookieRenewal::WithRecord`](crate::CookieRenewal::WithRecord) says otherwise. The last
    /// call of `max_age`, `max_age_millis` and `expires` counts. Node: `cookie.maxAge`, there in milliseconds.
    #[must_use]
    pub fn max_age(self, max_age: impl Into<Option<Duration>>) -> Self {
        let millis =
            |age: Duration| Lifetime::MaxAge(Millis::try_from(age.as_millis()).unwrap_or(Millis::MAX));
        Self { lifetime: Some(max_age.into().map_or(Lifetime::Browser, millis)), ..self }
    }

    /// [`max_age`](Self::max_age) in Node's unit; zero or less makes sessions that are over at once.
    #[must_use]
    pub fn max_age_millis(self, max_age: i64) -> Self {
        Self { lifetime: Some(Lifetime::MaxAge(max_age)), ..self }
    }

    /// When the session is over, as a date; from then on it is as long again after each request as it was at first. Prefer
    /// [`max_age`](Self::max_age). Node: `cookie.expires`.
    #[must_use]
    pub fn expires(self, expires: SystemTime) -> Self {
        Self { lifetime: Some(Lifetime::Expires(date::from_system(expires))), ..self }
    }

    /// Whether browsers keep the cookie apart for each top-level site (CHIPS). Default: no attribute. Node:
    /// `cookie.partitioned`.
    #[must_use]
    pub fn partitioned(self, partitioned: bool) -> Self {
        Self { partitioned: Some(partitioned), ..self }
    }

    /// The `Priority` attribute. Default: none. Node: `cookie.priority`.
    #[must_use]
    pub fn priority(self, priority: Priority) -> Self {
        Self { priority: Some(priority), ..self }
    }

    /// What is set here, and for the rest what is set there.
    pub(crate) fn or(self, defaults: &Self) -> Self {
        Self {
            path: self.path.or_else(|| defaults.path.clone()),
            domain: self.domain.or_else(|| defaults.domain.clone()),
            http_only: self.http_only.or(defaults.http_only),
            secure: self.secure.or(defaults.secure),
            same_site: self.same_site.or(defaults.same_site),
            lifetime: self.lifetime.or(defaults.lifetime),
            partitioned: self.partitioned.or(defaults.partitioned),
            priority: self.priority.or(defaults.priority),
            made: Default::default(),
        }
    }

    /// The cookie of a session that begins now.
    pub(crate) fn cookie(&self, connection_secure: bool, now: Millis) -> Cookie {
        let [plain, secure] = &self.made;
        let made = if connection_secure { secure } else { plain };
        let mut cookie = Cookie::of(Arc::clone(made.get_or_init(|| self.attributes(connection_secure))));
        match self.lifetime {
            None | Some(Lifetime::Browser) => {}
            Some(Lifetime::MaxAge(ms)) => cookie.live_for(Some(ms), now),
            Some(Lifetime::Expires(at)) => cookie.live_until(Some(at), now),
        }
        cookie
    }

    fn attributes(&self, connection_secure: bool) -> Arc<Attributes> {
        let mut attributes = Attributes {
            partitioned: field(self.partitioned),
            priority: field(self.priority),
            secure: field(self.secure.map(|secure| secure.resolve(connection_secure))),
            domain: field(self.domain.clone().map(|domain| domain.into_string().into())),
            same_site: self.same_site.map_or(Field::Absent, |option| option.resolve(connection_secure)),
            ..Attributes::plain()
        };
        if let Some(path) = &self.path {
            attributes.path = Field::Known(path.clone().into_string().into());
        }
        if let Some(http_only) = self.http_only {
            attributes.http_only = Field::Known(http_only);
        }
        attributes.shared()
    }

    /// Whether the connection decides about an attribute.
    pub(crate) fn is_auto(&self) -> bool {
        self.secure == Some(Secure::Auto) || self.same_site == Some(SameSiteOption::Auto)
    }

    /// Whether it is for a domain, and not for the host alone.
    pub(crate) fn has_domain(&self) -> bool {
        self.domain.as_deref().is_some_and(|domain| !domain.is_empty())
    }

    /// Whether it goes over secure connections only, to all of one host: what browsers want of a `__Host-` cookie.
    pub(crate) fn is_of_one_host(&self) -> bool {
        self.secure == Some(Secure::Always)
            && self.domain.is_none()
            && self.path.as_deref().is_none_or(|path| path == "/")
    }

    /// The path that requests are matched with; an empty one covers all, as `/` does.
    /// The max age, where there is one.
    pub(crate) fn max_age_in_millis(&self) -> Option<Millis> {
        match self.lifetime {
            Some(Lifetime::MaxAge(millis)) => Some(millis),
            _ => None,
        }
    }

    /// Sessions end on a date.
    pub(crate) fn is_dated(&self) -> bool {
        matches!(self.lifetime, Some(Lifetime::Expires(_)))
    }

    pub(crate) fn match_path(&self) -> &str {
        self.path.as_deref().filter(|path| !path.is_empty()).unwrap_or("/")
    }
}

impl Secure {
    fn resolve(self, connection_secure: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => connection_secure,
        }
    }
}

impl SameSiteOption {
    fn resolve(self, connection_secure: bool) -> Field<SameSite> {
        match self {
            Self::Is(word) => Field::Known(word),
            Self::On => Field::Other("true".into()),
            Self::Off => Field::Other("false".into()),
            Self::Auto if connection_secure => Field::Known(SameSite::None),
            Self::Auto => Field::Known(SameSite::Lax),
        }
    }
}

fn field<T>(value: Option<T>) -> Field<T> {
    value.map_or(Field::Absent, Field::Known)
}
