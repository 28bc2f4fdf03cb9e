//! The options of sessions that the client keeps, and the two profiles of their defaults.

use std::{fmt, sync::Arc};

use super::{chunks, sealed::Sealing};
use crate::{
    clock::Clock,
    driver::sessions::Sessions,
    error::OptionsError,
    options::{
        Options, STRONG,
        carrier::Carrier,
        cookie_options::{CookieOptions, Secure},
        policy::{BrowserRules, CacheHeaders, OnDisconnect, SaveError},
        proxy::{Proxy, ProxyHeader},
    },
    record::cookie::SameSite,
    wire::keygrip::{Keygrip, KeygripAlgorithm},
};

/// The setters of what is the same for all sessions that their clients keep.
macro_rules! shared_setters {
    () => {
        /// Who is believed when a request says that it was encrypted on its way here. Default [`Proxy::Never`]. Express: `trust proxy`.
        #[must_use]
        pub fn proxy(self, proxy: impl Into<Proxy>) -> Self {
            Self { options: self.options.proxy(proxy), ..self }
        }

        /// Which header a trusted proxy says it in. Default [`ProxyHeader::XForwardedProto`].
        #[must_use]
        pub fn proxy_header(self, proxy_header: ProxyHeader) -> Self {
            Self { options: self.options.proxy_header(proxy_header), ..self }
        }

        /// What a session that does not fit does to the response. Default: an opaque 500.
        #[must_use]
        pub fn save_error(self, save_error: SaveError) -> Self {
            Self { options: self.options.save_error(save_error), ..self }
        }

        /// What becomes of a handler whose client has gone. Default: it is dropped; in cookie-session's profile it finishes.
        #[must_use]
        pub fn on_disconnect(self, on_disconnect: OnDisconnect) -> Self {
            Self { options: self.options.on_disconnect(on_disconnect), ..self }
        }

        /// By what the session comes: a cookie, since it is the session itself. Anything else is an error of [`build`](Self::build).
        #[must_use]
        pub fn carriers(self, carriers: impl IntoIterator<Item = Carrier>) -> Self {
            Self { options: self.options.carriers(carriers), ..self }
        }

        /// What a response tells caches of the session. Default: `Vary: Cookie` and `Cache-Control: no-cache="Set-Cookie"` where they are
        /// due; in cookie-session's profile nothing.
        #[must_use]
        pub fn cache_headers(self, cache_headers: CacheHeaders) -> Self {
            Self { options: self.options.cache_headers(cache_headers), ..self }
        }

        /// The clock that expiry goes by, for tests. Default: the system's.
        #[must_use]
        pub fn clock(self, clock: Clock) -> Self {
            Self { options: self.options.clock(clock), ..self }
        }
    };
}

pub(super) use shared_setters;

/// The options of sessions that live in the client's own cookie, every one by the name that Node's `cookie-session` has for it. Nothing is
/// kept on the server: what is in the cookie can be read by whoever has it, an older copy of it opens as well, and of parallel
/// responses the last one counts: what two requests change at the same time is not merged, and [`update`](crate::SessionHandle::update)
/// and [`take`](crate::SessionHandle::take) are atomic within one request only. A max age is counted from the last *change*, as in Node, and
/// is the cookie's alone: no server enforces it. One that a handler sets is that response's: set it with each, or
/// [`touch`](crate::SessionHandle::touch) the session, to have it live on. What comes with a cookie of more than 16 KiB, or nests deeper than
/// 128, is no session, and the new profile sends no such one. Every path has the session, so that of two layers around each other the outer one
/// serves, whatever their cookies' paths (in Node the inner one). A key is hashed as it stands: take 32 random bytes.
///
/// There are two **profiles**, full sets of defaults from which each setter departs:
///
/// | option | [`express`](Self::express) | [`new`](Self::new) |
/// |---|---|---|
/// | `name` | `session` | `session`, or `__Host-session` |
/// | `signed` | true | true |
/// | the keys' digest | SHA-1 | SHA-256 |
/// | `overwrite` | true | true |
/// | `proxy` | never | never |
/// | `cookie.secure` | as the connection is | as the connection is |
/// | `cookie.same_site` | not set | Lax |
/// | `max_size` | none | 4,096 bytes |
/// | `reissue` | the signature alone | both cookies |
/// | `empty_session` | kept | removed |
/// | `browser_rules` | warn | enforce |
/// | `save_error` | fail | fail |
/// | `on_disconnect` | finish | cancel |
/// | `cache_headers` | never | where used |
/// | the latest `expires` that is sent | none | in 400 days |
/// | a key is warned about below | 8 bytes | 32 bytes |
/// | a changed lifetime or attribute alone | sends nothing | sends the cookie |
/// | integers beyond 2⁵³ | doubles, as in JavaScript | stay what they are |
/// | a max age of zero | ends with the browser | ends the session |
/// | several cookies of the name | the first one counts | the first one that is signed |
/// | a signature that no key has made | removed | left alone |
///
/// New keys go round in two steps, where several instances serve: first as the second one everywhere, then as the first.
///
/// ```
/// use session_core::{CookieSessionOptions, Sessions};
///
/// let sessions: Sessions = CookieSessionOptions::express(["key2", "key1"]).name("my.session").build()?;
///
/// let error = CookieSessionOptions::new("").build().unwrap_err();
/// assert_eq!(error.to_string(), "option keys: one is empty; give one key, or several of which the first signs");
/// # Ok::<(), session_core::OptionsError>(())
/// ```
#[derive(Clone)]
pub struct CookieSessionOptions {
    options: Options,
    keys: Keygrip,
    signed: bool,
    client: ClientSide,
}

/// What the rules go by.
#[derive(Clone)]
pub(crate) struct ClientSide {
    /// `None`: nothing is signed.
    pub(crate) keys: Option<Keygrip>,
    pub(crate) overwrite: bool,
    pub(crate) max_size: Option<usize>,
    pub(crate) reissue: Reissue,
    pub(crate) empty: EmptySession,
    /// As the real one has it, where that is nobody's choice: numbers are doubles, and a max age of nothing is none.
    pub(crate) is_node: bool,
    /// The cookie is sealed, and not signed: `keys` are of cookies from before.
    pub(crate) sealing: Option<Arc<Sealing>>,
}

impl ClientSide {
    /// Whether there is a cookie of the name and this suffix: a signature, or a chunk.
    pub(crate) fn has_beside(&self, suffix: &str) -> bool {
        let has_chunks = self.sealing.as_ref().is_some_and(|sealing| sealing.chunks);
        (self.keys.is_some() && suffix == ".sig") || (has_chunks && chunks::is_suffix(suffix))
    }
}

/// What is set when an older key has signed the session that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reissue {
    /// The signature, as a cookie that ends with the browser, whatever the session's own does: cookie-session's way, by which a session that
    /// shall outlive the browser ends with it.
    SignatureOnly,
    /// The session and its signature, with their attributes.
    Both,
}

/// What becomes of the client's cookie where its session was replaced by one without data, and of one that is unset and never was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmptySession {
    /// It stays, old data and all: cookie-session's way. The client is told to forget what it may not have.
    Kept,
    /// The client is told to forget it, if it has one.
    Removed,
}

/// Shorter ones are guessed by trying.
pub(super) const GUESSED: usize = 8;

/// RFC 6265bis §5.5: what a browser keeps of name and value.
pub(super) const KEPT_BY_BROWSERS: usize = 4096;

impl CookieSessionOptions {
    /// The profile of a new application: cookies as browsers want them today, and an error instead of a loss.
    pub fn new(keys: impl Into<Keygrip>) -> Self {
        let cookie = CookieOptions::new().same_site(SameSite::Lax).secure(Secure::Auto);
        Self {
            options: Options::new("").named_by_profile("session").cookie(cookie),
            keys: keys.into().or_algorithm(KeygripAlgorithm::Sha256),
            signed: true,
            client: ClientSide {
                keys: None,
                overwrite: true,
                max_size: Some(KEPT_BY_BROWSERS),
                reissue: Reissue::Both,
                empty: EmptySession::Removed,
                is_node: false,
                sealing: None,
            },
        }
    }

    /// The profile of cookie-session 2.1, every default as there: for serving the same users as an Express app. `keys`: one, or several of
    /// which the first signs, or a [`Keygrip`] of another algorithm or encoding.
    ///
    /// ```
    /// use session_core::{CookieSessionOptions, Keygrip, KeygripAlgorithm};
    ///
    /// let options = CookieSessionOptions::express("keyboard cat");
    /// let keys = Keygrip::new(["key2", "key1"]).algorithm(KeygripAlgorithm::Sha256);
    /// let other = CookieSessionOptions::express(keys);
    /// # assert!(options.build().is_ok() && other.build().is_ok());
    /// ```
    pub fn express(keys: impl Into<Keygrip>) -> Self {
        let new = Self::new(keys.into().or_algorithm(KeygripAlgorithm::Sha1));
        Self {
            options: Options::express("").name("session").cookie(CookieOptions::new().secure(Secure::Auto)),
            client: ClientSide {
                max_size: None,
                reissue: Reissue::SignatureOnly,
                empty: EmptySession::Kept,
                is_node: true,
                ..new.client
            },
            ..new
        }
    }

    /// The cookie's name; that of its signature ends in `.sig`. Default: `session`, and in the new profile `__Host-session` where the
    /// cookie is always secure, has the path `/` and no domain.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { options: self.options.name(name), ..self }
    }

    /// Whether the session is signed: without, a client can make what it likes of it. Default `true`.
    #[must_use]
    pub fn signed(self, signed: bool) -> Self {
        Self { signed, ..self }
    }

    /// Whether a `Set-Cookie` of the same name that the handler has put into the response is taken out. Default `true`.
    #[must_use]
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.client.overwrite = overwrite;
        self
    }

    /// The attributes of both cookies; what is not set in them stays as it was. Every path has the session, whatever the cookie's is.
    /// cookie-session has them beside the other options.
    #[must_use]
    pub fn cookie(self, cookie: CookieOptions) -> Self {
        Self { options: self.options.cookie(cookie), ..self }
    }

    /// How large the cookie may be, in bytes of its name and value; a larger one is an error
    /// ([`Error::CookieTooLarge`](crate::Error::CookieTooLarge)) before the response goes out. Default: 4,096 in the new profile, which is
    /// what browsers keep; none in the other, where a larger one is lost in silence.
    #[must_use]
    pub fn max_size(mut self, bytes: impl Into<Option<usize>>) -> Self {
        self.client.max_size = bytes.into();
        self
    }

    /// What is set when an older key has signed the session that came. Default: the signature alone in cookie-session's profile, both
    /// cookies in the new one.
    #[must_use]
    pub fn reissue(mut self, reissue: Reissue) -> Self {
        self.client.reissue = reissue;
        self
    }

    /// What becomes of the client's cookie where its session was replaced by an empty one. Default: kept in cookie-session's
    /// profile, removed in the new one.
    #[must_use]
    pub fn empty_session(mut self, empty: EmptySession) -> Self {
        self.client.empty = empty;
        self
    }

    /// What becomes of attributes that browsers refuse. Default: a warning in cookie-session's profile, an error of
    /// [`build`](Self::build) in the new one.
    #[must_use]
    pub fn browser_rules(self, browser_rules: BrowserRules) -> Self {
        Self { options: self.options.browser_rules(browser_rules), ..self }
    }

    shared_setters!();

    /// Checks the options and makes the driver that adapters take.
    ///
    /// # Errors
    /// What cannot work, with the name of the option.
    pub fn build(self) -> Result<Sessions, OptionsError> {
        let Self { options, keys, signed, mut client } = self;
        if signed && !keys.is_usable() {
            let reason = if keys.has_none() { "there is none" } else { "one is empty" };
            let reason = format!("{reason}; give one key, or several of which the first signs");
            return Err(OptionsError { option: "keys", reason });
        }
        if signed {
            warn_of_short(&keys, if client.is_node { GUESSED } else { STRONG });
        }
        client.keys = signed.then_some(keys);
        options.on_the_client(client).build()
    }
}

/// A client has all that it needs to try them.
pub(super) fn warn_of_short(keys: &Keygrip, shortest: usize) {
    if keys.has_shorter_than(shortest) {
        tracing::warn!(
            "a key of sessions that the client keeps has fewer than {shortest} bytes: each client can try until it finds it, and then make \
             what session it likes; take {STRONG} random ones"
        );
    }
}

impl TryFrom<CookieSessionOptions> for Sessions {
    type Error = OptionsError;

    fn try_from(options: CookieSessionOptions) -> Result<Self, OptionsError> {
        options.build()
    }
}

/// Shows no key.
impl fmt::Debug for CookieSessionOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CookieSessionOptions")
            .field("options", &self.options)
            .field("signed", &self.signed)
            .field("overwrite", &self.client.overwrite)
            .field("max_size", &self.client.max_size)
            .field("reissue", &self.client.reissue)
            .field("empty_session", &self.client.empty)
            .finish_non_exhaustive()
    }
}
