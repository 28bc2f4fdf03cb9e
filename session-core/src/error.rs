//! What can go wrong. No error carries an id, a secret or data.

use std::{
    error::Error as StdError,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// A store failed. It names the store and keeps the cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database did not do it: no connection, a time-out, a missing table, a full disk.
    #[error("{store}: the store failed")]
    Unavailable {
        /// The store's name: `"redis"`.
        store: &'static str,
        /// The driver's error.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// There is a record, and it cannot be read. [`CorruptRecord`](crate::CorruptRecord) says what becomes of that.
    #[error("{store}: a stored record cannot be read")]
    Corrupt {
        /// The store's name.
        store: &'static str,
        /// What is wrong with it.
        source: Box<dyn StdError + Send + Sync>,
    },
}

impl StoreError {
    /// The database did not do it.
    pub fn unavailable(store: &'static str, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Unavailable { store, source: source.into() }
    }

    /// There is a record, and it cannot be read.
    pub fn corrupt(store: &'static str, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Corrupt { store, source: source.into() }
    }
}

/// What an operation on a session can fail with, and asking for one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No layer, middleware or fairing of this project is around the route.
    #[error("no session: {0}")]
    NoLayer(&'static str),
    /// The request's path is outside the cookie's path.
    #[error(
        "no session: this path is outside the cookie's; widen cookie.path, or ask for a session that may be missing"
    )]
    OutsidePath,
    /// The request brought the ids of different sessions, each of them signed and live, by several carriers or several headers of one
    /// ([`Options::carriers`](crate::Options::carriers)): none is chosen. The log is told once as a warning, and then at debug level.
    #[error(
        "no session: the request brought different session ids, by a cookie and a header or by several headers: it shall send one"
    )]
    ConflictingIds,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The value has no JSON text: a map whose keys are no strings, say.
    #[error("the value for the session key {key:?} cannot be written as JSON")]
    Serialize {
        /// The key.
        key: String,
    },
    /// What is stored under the key is of another type than the one asked for.
    #[error("the session key {key:?} holds a value that is no {}: {reason}", without_modules(.expected))]
    Deserialize {
        /// The key.
        key: String,
        /// The Rust type that was asked for.
        expected: &'static str,
        /// What does not fit, in words of the type (``missing field `zip` ``), else where in the value.
        reason: String,
    },
    /// The data as a whole are not of the type asked for ([`SessionData`](crate::SessionData) without a key).
    #[error("the session's data are no {}: {reason}", without_modules(.expected))]
    DeserializeData {
        /// The Rust type that was asked for.
        expected: &'static str,
        /// As in [`Deserialize`](Self::Deserialize).
        reason: String,
    },
    /// The value that is to be the whole of the data has no JSON text, or one that is no object.
    #[error(
        "a {} is not written as a JSON object: only a struct, or a map whose keys are strings, can be all of a session's data; else \
         give it a key",
        without_modules(.0)
    )]
    NoObject(&'static str),
    /// On the way to a path stands a value that is neither an object nor a list with such an item.
    #[error("the session has a value at {path:?} that nothing can be put into")]
    NoPlace {
        /// The part of the path that leads to it.
        path: String,
    },
    /// express-session keeps this name for itself (or cookie-session does, where the client keeps the session): an Express app would drop the
    /// value.
    #[error("{0:?} is a name that Node's sessions keep for themselves: choose another key")]
    ReservedKey(String),
    /// The session was destroyed or unset earlier in this request.
    #[error("the session was destroyed or unset in this request: it takes no more calls")]
    Destroyed,
    /// The user has not shown who that is as recently as this page wants it
    /// ([`SessionHandle::require_recent`](crate::SessionHandle::require_recent)).
    #[error("the user of this session was authenticated too long ago, or not at all")]
    NotRecent,
    /// Another request destroyed, renewed or regenerated this session, or it expired: it is not stored again.
    #[error("the session is gone from the store: another request ended it, or it expired")]
    Gone,
    /// The response has gone out: its cookie can no longer carry the id of a session that the client does not have.
    #[error(
        "the response has gone out without the cookie of this session: nobody could find what is stored now"
    )]
    ResponseOut,
    /// The key is longer than [`Options::max_key_length`](crate::Options::max_key_length).
    #[error("a session key is longer than {limit} bytes (option max_key_length)")]
    KeyTooLong {
        /// The bound, in bytes.
        limit: usize,
    },
    /// The record would be larger than [`Options::max_record_size`](crate::Options::max_record_size).
    #[error("the session would have {size} bytes, more than {limit} (option max_record_size)")]
    TooLarge {
        /// What it would have, in bytes of its keys and values as JSON.
        size: usize,
        /// The bound, in bytes.
        limit: usize,
    },
    /// The cookie of a session that its client keeps would be larger than
    /// [`CookieSessionOptions::max_size`](crate::CookieSessionOptions::max_size), so that browsers would drop it in silence; or than what
    /// is read again.
    #[error(
        "the session's cookie would have {size} bytes of name and value, more than {limit} (option max_size, 16 KiB at most): keep less in it"
    )]
    CookieTooLarge {
        /// What it would have, in bytes.
        size: usize,
        /// The bound, in bytes.
        limit: usize,
    },
    /// A value of a session that its client keeps is nested so deep that it would not be read again.
    #[error(
        "a value of the session is nested deeper than {limit}: its client's cookie would not be read again"
    )]
    TooDeep {
        /// How deep values may be nested.
        limit: usize,
    },
    /// What was asked for needs a store, and the client keeps this session itself ([`CookieSessionOptions`](crate::CookieSessionOptions)).
    #[error("{0}: the client keeps this session in its cookie, and there is no store that could do it")]
    NoStore(&'static str),
    /// `reload`: the store has no record of this session. express-session's words.
    #[error("failed to load session")]
    NotStored,
    /// Others kept writing to this session; nothing of this write was stored.
    #[error("the session was changed by others at every one of {0} attempts to write it")]
    Contended(usize),
    /// A new session's id is in use: `genid` does not make unique ids.
    #[error("genid: the id of a new session is in use")]
    IdInUse,
    /// A cookie attribute that cannot be sent.
    #[error("cookie: {0}")]
    Cookie(#[from] CookieError),
}

impl Error {
    /// The HTTP status of a request that ends because of this: 503 where the store did not do it
    /// ([`StoreError::Unavailable`]), so that whoever asked may ask again; 400 where the request is at fault
    /// ([`ConflictingIds`](Self::ConflictingIds)); else 500. Express: 500.
    ///
    /// ```
    /// use session_core::{Error, StoreError};
    ///
    /// assert_eq!(Error::Store(StoreError::unavailable("redis", "no connection")).status(), 503);
    /// assert_eq!(Error::ReservedKey("cookie".into()).status(), 500);
    /// ```
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Store(StoreError::Unavailable { .. }) => 503,
            Self::NotRecent => 403,
            Self::ConflictingIds => 400,
            _ => 500,
        }
    }

    /// Tells the log, at error level (as a warning where the request is at fault) and with the whole cause, that a request fails because
    /// of this: for an adapter, when it makes a response of it, which tells the client nothing. Of a session that could not be read the exchange has done so.
    pub fn log(&self) {
        let error = self as &dyn StdError;
        // Nobody here can do anything about it.
        if self.status() < 500 {
            tracing::warn!(error, "the request fails because of its session");
        } else {
            tracing::error!(error, "the request fails because of its session");
        }
    }
}

/// An error on its way to the response: told to the log once, however often it or a clone is turned into something else. The
/// adapters' `SessionError` is this and its framework's traits. Its `Debug` is the sentence, as frameworks log it.
///
/// ```
/// use session_core::{Error, Failure};
///
/// let failure = Failure::from(Error::ReservedKey("cookie".into()));
/// assert_eq!(failure.tell(), 500);
/// assert!(failure.to_string().starts_with(r#""cookie" is a name"#));
/// ```
#[derive(Clone)]
pub struct Failure(Arc<Failed>);

struct Failed {
    error: Error,
    is_told: AtomicBool,
}

impl Failure {
    /// Of an error that the log knows: what asking for the session answers.
    #[must_use]
    pub fn told(error: Error) -> Self {
        Self(Arc::new(Failed { error, is_told: AtomicBool::new(true) }))
    }

    /// What went wrong.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.0.error
    }

    /// Tells the log, unless that was done. Answers the [status](Error::status) of the response, which tells the client nothing
    /// else.
    pub fn tell(&self) -> u16 {
        if !self.0.is_told.swap(true, Ordering::Relaxed) {
            self.error().log();
        }
        self.error().status()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(Arc::new(Failed { error, is_told: AtomicBool::new(false) }))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error().fmt(f)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.error().source()
    }
}

/// The end of a request could not save its session.
#[derive(thiserror::Error)]
#[error("the session could not be saved")]
pub struct EndError {
    pub(crate) cookies: Vec<String>,
    #[source]
    pub(crate) error: Error,
}

impl EndError {
    /// The values of the `Set-Cookie` headers that the client needs all the same, as the record has them: the session has
    /// another id than the one it came with, and what was stored under that earlier in the request is all that it has; or an
    /// attribute or a lifetime was stored a moment ago.
    #[must_use]
    pub fn cookies(&self) -> &[String] {
        &self.cookies
    }

    /// What went wrong.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.error
    }
}

/// Shows no cookie: it carries the id.
impl fmt::Debug for EndError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndError").field("error", &self.error).field("cookies", &self.cookies.len()).finish()
    }
}

impl From<EndError> for Failure {
    fn from(error: EndError) -> Self {
        error.error.into()
    }
}

impl From<EndError> for Error {
    fn from(error: EndError) -> Self {
        error.error
    }
}

/// `Option<User>` for `core::option::Option<app::User>`.
fn without_modules(type_name: &str) -> String {
    let in_a_path = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | ':');
    let paths = type_name.split_inclusive(|letter| !in_a_path(letter));
    paths.filter_map(|path| path.rsplit("::").next()).collect()
}

/// A part of a cookie that `Set-Cookie` cannot carry. The words are those of Node's `cookie`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CookieError {
    /// The name is not a token (RFC 9110 §5.6.2).
    #[error("argument name is invalid")]
    Name,
    /// The domain is not a host name.
    #[error("option domain is invalid")]
    Domain,
    /// The path has a character that would end the attribute.
    #[error("option path is invalid")]
    Path,
    /// No browser would keep such a cookie ([`BrowserRules::Enforce`](crate::BrowserRules::Enforce)); or it is for secure connections, and
    /// this one is not.
    #[error("browsers would refuse it: {0}")]
    Refused(&'static str),
}

/// Options that cannot work. It names the option, and says what would.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("option {option}: {reason}")]
pub struct OptionsError {
    pub(crate) option: &'static str,
    pub(crate) reason: String,
}

impl OptionsError {
    /// The option that is at fault, by its name in [`Options`](crate::Options) or
    /// [`CookieOptions`](crate::CookieOptions): `"secret"`, `"cookie.same_site"`.
    #[must_use]
    pub fn option(&self) -> &'static str {
        self.option
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_named_without_its_modules() {
        for (name, short) in [
            ("u32", "u32"),
            ("app::User", "User"),
            ("core::option::Option<app::User>", "Option<User>"),
            ("(alloc::vec::Vec<&str>, [app::users::User; 3])", "(Vec<&str>, [User; 3])"),
        ] {
            assert_eq!(without_modules(name), short);
        }
    }
}
