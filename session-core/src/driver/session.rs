//! The session, as a handler holds it.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    driver::sessions::Sessions,
    error::Error,
    life::decide::{Facts, Presence, Saved},
    options::Options,
    options::cookie_options::CookieOptions,
    options::policy::Attributes,
    record::Record,
    record::cookie::Cookie,
    record::data::Data,
    request::RequestInfo,
    store::{Expect, Stored, Version},
    wire::json,
    wire::sid::Sid,
};

/// **Session**: the handle that a request handler holds. Reading and writing its data touches no store; the end of the
/// request does, once, and so do the `async` methods, at once.
///
/// Cheap to clone, and every clone is the same session. It stays usable after the response (in a WebSocket, say), through
/// [`save`](Self::save). Data that change while a response body is being sent are not saved by themselves.
///
/// ```
/// # async fn handler(session: session_core::Session) -> Result<String, session_core::Error> {
/// let views = session.get::<u32>("views")?.unwrap_or(0) + 1;
/// session.insert("views", views)?;
/// Ok(format!("You visited this page {views} times"))
/// # }
/// ```
#[derive(Clone)]
pub struct Session(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) sessions: Sessions,
    origin: Origin,
    state: Mutex<State>,
}

/// What of the request is needed once more when the session gets a new id.
pub(crate) struct Origin {
    /// Kept only for a `genid` of the application.
    pub(crate) request: Option<Box<RequestInfo<'static>>>,
    pub(crate) computed: Option<Box<CookieOptions>>,
    pub(crate) secure: bool,
}

pub(crate) struct State {
    pub(crate) sid: Sid,
    presented: Option<Sid>,
    pub(crate) presence: Presence,
    is_new: bool,
    pub(crate) cookie: Cookie,
    cookie_changed: bool,
    pub(crate) cookie_unsaved: bool,
    /// As the request began: what "changed" is measured against.
    original: Arc<Data>,
    pub(crate) same_id: bool,
    /// As the store had it when last read or written: what the difference is taken from.
    pub(crate) stored: Arc<Data>,
    pub(crate) held: Held,
    pub(crate) saved: Option<Arc<Data>>,
    pub(crate) now: Arc<Data>,
    pub(crate) left: Option<Duration>,
    pub(crate) lifetime: Option<Duration>,
}

/// What we know the store to hold under our id.
#[derive(Clone)]
pub(crate) enum Held {
    /// Nothing: a new session, or one that we wrote as over.
    Nothing,
    Version(Version),
    /// No more, by somebody else's doing.
    Gone,
}

/// express-session's `in` test: the session's own properties and methods, and those of every object.
const RESERVED: [&str; 21] = [
    "cookie",
    "id",
    "req",
    "touch",
    "resetMaxAge",
    "save",
    "reload",
    "destroy",
    "regenerate",
    "constructor",
    "toString",
    "toLocaleString",
    "valueOf",
    "hasOwnProperty",
    "isPrototypeOf",
    "propertyIsEnumerable",
    "__proto__",
    "__defineGetter__",
    "__defineSetter__",
    "__lookupGetter__",
    "__lookupSetter__",
];

/// What a handler asks and tells. Nothing here waits.
impl Session {
    /// The id. Whoever knows it and the secret is logged in: do not log it.
    #[must_use]
    pub fn id(&self) -> Sid {
        self.state().sid.clone()
    }

    /// Whether this request began without a stored session, or its session was regenerated.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.state().is_new
    }

    /// Whether the session was destroyed or unset in this request. Reading it finds nothing, writing to it is an error.
    #[must_use]
    pub fn is_destroyed(&self) -> bool {
        self.state().presence != Presence::Present
    }

    /// The value of a key; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::Deserialize`] when the value is not of the type asked for.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        read(self.state().data().get(key), key)
    }

    /// The JSON text of a value as it is stored; `None` when there is no such key.
    #[must_use]
    pub fn get_json(&self, key: &str) -> Option<String> {
        self.state().data().get(key).map(Into::into)
    }

    /// Sets a key. A key that is there keeps its place in the order.
    ///
    /// # Errors
    /// [`Error::Serialize`] when the value has no JSON text, [`Error::ReservedKey`] for a name that express-session keeps
    /// for itself, [`Error::Destroyed`] when the session is no more.
    pub fn insert(&self, key: &str, value: impl Serialize) -> Result<(), Error> {
        let json = text_of(key, &value)?;
        self.present()?.data_mut().insert(key, json);
        Ok(())
    }

    /// Removes a key; answers whether it was there.
    ///
    /// # Errors
    /// [`Error::Destroyed`] when the session is no more.
    pub fn remove(&self, key: &str) -> Result<bool, Error> {
        let mut state = self.present()?;
        Ok(state.now.contains(key) && state.data_mut().remove(key))
    }

    /// Removes a key and answers the value that it had; `None` when there was none. For flash messages.
    ///
    /// # Errors
    /// [`Error::Deserialize`] when the value is not of the type asked for, and then the key stays;
    /// [`Error::Destroyed`] when the session is no more.
    pub fn take<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        let mut state = self.present()?;
        let value = read(state.now.get(key), key)?;
        if value.is_some() {
            state.data_mut().remove(key);
        }
        Ok(value)
    }

    /// Removes every key. The session stays.
    ///
    /// # Errors
    /// [`Error::Destroyed`] when the session is no more.
    pub fn clear(&self) -> Result<(), Error> {
        self.present()?.now = Arc::default();
        Ok(())
    }

    /// The keys in JavaScript's order: array indexes first, then as they were inserted.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.state().data().keys().map(Into::into).collect()
    }

    /// Whether there is such a key.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.state().data().contains(key)
    }

    /// The cookie settings of this session, as they are now.
    #[must_use]
    pub fn cookie(&self) -> Cookie {
        self.state().cookie.clone()
    }

    /// The cookie settings as the record would hold them: Node's JSON object, `{"originalMaxAge":null,…}`.
    #[must_use]
    pub fn cookie_json(&self) -> String {
        let mut text = String::new();
        self.state().cookie.push_json(&mut text);
        text
    }

    /// How long this session lives after each request from now on; `None`: until the browser closes. For "remember me".
    /// In the express profile the browser learns of it with the next change of data. Node: `cookie.maxAge = …`.
    ///
    /// # Errors
    /// [`Error::Destroyed`] when the session is no more.
    pub fn set_max_age(&self, max_age: Option<Duration>) -> Result<(), Error> {
        self.change_cookie(|cookie, now| cookie.set_max_age(max_age, now))
    }

    /// When this session is over, unless another request prolongs it by as long again; `None`: when the browser closes. A
    /// date that is past ends it. Node: `cookie.expires = …`.
    ///
    /// # Errors
    /// [`Error::Destroyed`] when the session is no more.
    pub fn set_expires(&self, expires: Option<SystemTime>) -> Result<(), Error> {
        self.change_cookie(|cookie, now| cookie.set_expires(expires, now))
    }

    /// Changes the other attributes of this session's cookie. Under [`Attributes::Current`] they last for this response.
    ///
    /// # Errors
    /// [`Error::Destroyed`] when the session is no more.
    pub fn update_cookie(&self, change: impl FnOnce(&mut Cookie)) -> Result<(), Error> {
        self.change_cookie(|cookie, _| change(cookie))
    }

    /// Gives the session its whole lifetime again, in memory; the end of every request does it too. Node: `touch()`.
    ///
    /// # Errors
    /// [`Error::Destroyed`] when the session is no more.
    pub fn touch(&self) -> Result<(), Error> {
        let now = self.options().clock.millis();
        self.present()?.cookie.touch(now);
        Ok(())
    }

    /// Lets go of the session for this request: what `req.session = null` does. Nothing is saved; the record stays or
    /// goes as [`Unset`](crate::Unset) says.
    pub fn unset(&self) {
        let mut state = self.state();
        if state.presence == Presence::Present {
            state.presence = Presence::Unset;
        }
    }
}

/// For the driver.
impl Session {
    pub(crate) fn created(sessions: Sessions, origin: Origin, sid: Sid, presented: Option<Sid>) -> Self {
        let options = sessions.options();
        let cookie = origin.cookie_options(options).cookie(origin.secure, options.clock.millis());
        let nothing = Arc::new(Data::new());
        let state = State {
            sid,
            presented,
            presence: Presence::Present,
            is_new: true,
            cookie,
            cookie_changed: false,
            cookie_unsaved: false,
            original: Arc::clone(&nothing),
            same_id: true,
            stored: Arc::clone(&nothing),
            held: Held::Nothing,
            saved: None,
            now: nothing,
            left: None,
            lifetime: None,
        };
        Self(Arc::new(Inner { sessions, origin, state: Mutex::new(state) }))
    }

    pub(crate) fn loaded(sessions: Sessions, origin: Origin, sid: Sid, stored: Stored) -> Self {
        let data = Arc::new(stored.record.data);
        let state = State {
            presented: Some(sid.clone()),
            sid,
            presence: Presence::Present,
            is_new: false,
            cookie: current(stored.record.cookie, &origin, sessions.options()),
            cookie_changed: false,
            cookie_unsaved: false,
            original: Arc::clone(&data),
            same_id: true,
            stored: Arc::clone(&data),
            held: Held::Version(stored.version),
            saved: (!sessions.options().resave).then(|| Arc::clone(&data)),
            now: data,
            left: stored.left,
            lifetime: stored.lifetime,
        };
        Self(Arc::new(Inner { sessions, origin, state: Mutex::new(state) }))
    }

    /// A panic of another holder left the state whole: each lock does one thing.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn present(&self) -> Result<MutexGuard<'_, State>, Error> {
        let state = self.state();
        if state.presence == Presence::Present { Ok(state) } else { Err(Error::Destroyed) }
    }

    pub(crate) fn options(&self) -> &Options {
        self.0.sessions.options()
    }

    pub(crate) fn new_sid(&self) -> Sid {
        self.0.origin.new_sid(self.options())
    }

    pub(crate) fn connection_secure(&self) -> bool {
        self.0.origin.secure
    }

    /// `store.generate`: another id, no data, the cookie as configured. What the request began with stays what it was.
    pub(crate) fn start_over(&self, sid: Sid) {
        let options = self.options();
        let cookie =
            self.0.origin.cookie_options(options).cookie(self.0.origin.secure, options.clock.millis());
        let mut state = self.state();
        state.sid = sid;
        state.is_new = true;
        state.same_id = false;
        state.held = Held::Nothing;
        state.cookie = cookie;
        state.now = Arc::default();
        state.stored = Arc::default();
    }

    /// Takes over what the store holds: for `reload`.
    pub(crate) fn take_over(&self, read: Stored) {
        let mut state = self.state();
        state.cookie = current(read.record.cookie, &self.0.origin, self.options());
        state.now = Arc::new(read.record.data);
        state.stored = Arc::clone(&state.now);
        state.held = Held::Version(read.version);
        state.cookie_changed = false;
        state.cookie_unsaved = false;
    }

    /// The stored cookie with what the configuration has to say of it.
    pub(crate) fn current_cookie(&self, stored: Cookie) -> Cookie {
        current(stored, &self.0.origin, self.options())
    }

    fn change_cookie(&self, change: impl FnOnce(&mut Cookie, SystemTime)) -> Result<(), Error> {
        let now = self.options().clock.now();
        let mut state = self.present()?;
        let before = state.cookie.clone();
        change(&mut state.cookie, now);
        if state.cookie != before {
            state.cookie_changed = true;
            state.cookie_unsaved = true;
        }
        Ok(())
    }
}

fn current(stored: Cookie, origin: &Origin, options: &Options) -> Cookie {
    match options.attributes {
        Attributes::Stored => stored,
        Attributes::Current => {
            let now = options.clock.millis();
            stored.with_attributes_of(origin.cookie_options(options).cookie(origin.secure, now))
        }
    }
}

impl Origin {
    pub(crate) fn new_sid(&self, options: &Options) -> Sid {
        match (&options.genid, &self.request) {
            (Some(genid), Some(request)) => genid(request),
            _ => Sid::random(),
        }
    }

    pub(crate) fn cookie_options<'a>(&'a self, options: &'a Options) -> &'a CookieOptions {
        self.computed.as_deref().unwrap_or(&options.cookie)
    }
}

impl State {
    pub(crate) fn record(&self) -> Record {
        Record::new(self.cookie.clone(), (*self.now).clone())
    }

    pub(crate) fn data_mut(&mut self) -> &mut Data {
        Arc::make_mut(&mut self.now)
    }

    /// What a write must find; `None`: the session is gone and is not written again.
    pub(crate) fn expectation(&self) -> Option<Expect> {
        match &self.held {
            Held::Nothing => Some(Expect::Nothing),
            Held::Version(version) => Some(Expect::Version(version.clone())),
            Held::Gone => None,
        }
    }

    pub(crate) fn facts(&self, connection_secure: bool, options: &Options) -> Facts {
        Facts {
            presence: self.presence,
            cookie_matches: self.presented.as_ref() == Some(&self.sid),
            cookie_presented: self.presented.is_some(),
            same_id: self.same_id,
            changed: !same(&self.original, &self.now),
            cookie_changed: self.cookie_changed,
            cookie_unsaved: self.cookie_unsaved,
            saved: match &self.saved {
                None => Saved::Never,
                Some(saved) if same(saved, &self.now) => Saved::Current,
                Some(_) => Saved::Stale,
            },
            expires: self.cookie.has_expires(),
            cookie_secure: self.cookie.secure(),
            connection_secure,
            touch_due: options.touch.is_due(self.left, self.lifetime),
        }
    }

    /// What a handler may read: nothing of a session that is no more.
    fn data(&self) -> &Data {
        static NOTHING: std::sync::LazyLock<Data> = std::sync::LazyLock::new(Data::new);
        if self.presence == Presence::Present { &self.now } else { &NOTHING }
    }
}

/// The same data, most often because they are the same place.
pub(crate) fn same(one: &Arc<Data>, other: &Arc<Data>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

pub(crate) fn read<T: DeserializeOwned>(json: Option<&str>, key: &str) -> Result<Option<T>, Error> {
    // serde_json's own error could quote the value.
    let error = |error: serde_json::Error| Error::Deserialize {
        key: key.into(),
        expected: std::any::type_name::<T>(),
        reason: format!("line {} column {}", error.line(), error.column()),
    };
    json.map(|json| serde_json::from_str(json).map_err(error)).transpose()
}

pub(crate) fn text_of(key: &str, value: &impl Serialize) -> Result<Box<str>, Error> {
    if RESERVED.contains(&key) {
        return Err(Error::ReservedKey(key.into()));
    }
    json::to_text(value).map(Into::into).map_err(|_| Error::Serialize { key: key.into() })
}

/// Shows neither id nor data.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Session")
            .field("new", &state.is_new)
            .field("presence", &state.presence)
            .field("data", &state.now)
            .finish_non_exhaustive()
    }
}
