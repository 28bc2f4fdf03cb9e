//! The session, as a handler holds it.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::{Duration, SystemTime},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    client::{Came, sealed},
    driver::{
        line::Line,
        sessions::Sessions,
        turns::{Help, Taking},
        typed::Change,
    },
    error::{CookieError, Error},
    life::{Context, Life, clocks, decide::Presence, doubt::Few},
    options::{
        Options,
        carrier::Carrier,
        cookie_options::CookieOptions,
        lifetimes::{self, Lifetimes},
        policy::{Attributes, BrowserRules, Unset},
    },
    record::{
        cookie::Cookie,
        data::Data,
        times::Times,
        value::{at_path, members_of, put_path, read, text_of},
    },
    request::RequestInfo,
    wire::{date, set_cookie, sid::Sid, token},
};

/// The session, as a request handler holds it: every adapter's `Session` is this behind `Deref`. Reading and writing its data touches no store; the end of the
/// request does, once, and so do the `async` methods, immediately.
///
/// Cheap to clone, and every clone is the same session. It stays usable after the response (in a WebSocket, say), through
/// [`save`](Self::save) and [`update`](Self::update). Data that change while a response body is being sent are not saved
/// by themselves.
///
/// Requests that change different keys both keep what they did. Of one same key that two requests set, the later one's
/// value stays; where both values count, [`update`](Self::update) it.
///
/// **When the session was ended elsewhere** (another tab logged out, renewed its id, or it expired), it is never stored
/// again. What talks to the store answers [`Error::Gone`]. What was only set is dropped: the end of the request says so by
/// a warning in the log, and sends no cookie. The same warning tells of changes that nobody saved after the response, or
/// in a request that was given up.
///
/// ```
/// # async fn handler(session: session_core::SessionHandle) -> Result<String, session_core::Error> {
/// let views = session.get::<u32>("views")?.unwrap_or(0) + 1;
/// session.insert("views", views)?;
/// Ok(format!("You visited this page {views} times"))
/// # }
/// ```
#[derive(Clone)]
pub struct SessionHandle(Arc<Inner>);

struct Inner {
    sessions: Sessions,
    origin: Origin,
    life: Mutex<Life>,
    line: Line,
    /// The client keeps the session: what came with the request.
    came: Option<Came>,
}

/// What of the request is needed once more when the session gets a new id.
pub(crate) struct Origin {
    /// Kept only for a `genid` of the application.
    pub(crate) request: Option<Box<RequestInfo<'static>>>,
    pub(crate) computed: Option<Arc<CookieOptions>>,
    pub(crate) secure: bool,
    /// That the client has asked, where the cookie's domain may be another one.
    pub(crate) host: Option<Box<str>>,
    /// By which the session came, or goes to who has none yet: each is answered.
    pub(crate) by: Vec<Way>,
    /// It came by these, and lived.
    pub(crate) has_come: bool,
    /// There is no request, whose connection and attributes could be told: the record's stay.
    pub(crate) is_loaded: bool,
}

/// One of the carriers of a session.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) by: Carrier,
    /// The client has the token of this id, by the first secret, and keeps it until it gets another.
    pub(crate) has: Option<Sid>,
}

/// What a handler asks and tells. Nothing here waits.
impl SessionHandle {
    /// The id. Whoever knows it and the secret is logged in: do not log it.
    ///
    /// # Errors
    /// [`Error::NoStore`] where the client keeps the session ([`CookieSessionOptions`](crate::CookieSessionOptions)): it has no id, unless it is
    /// sealed.
    pub fn id(&self) -> Result<Sid, Error> {
        self.sessions().needs_an_id("id")?;
        Ok(self.life().sid().clone())
    }

    /// The token: the id and its signature, for whoever shall bring it back by a header ([`Options::carriers`]) or by
    /// [`Sessions::resume`]. `None`: no store holds the session under this id, since it is new (and will be stored by [`save`](Self::save), or
    /// the end of the request), or is no more. Another id ([`renew_id`](Self::renew_id)) has another token.
    ///
    /// **It is a credential**: whoever has it is logged in, as with the cookie, which has the same id and signature. It belongs into no log, no URL, and no page that a cache keeps.
    ///
    /// ```
    /// # use session_core::{Error, SessionHandle};
    /// async fn log_in(session: SessionHandle) -> Result<Option<String>, Error> {
    ///     session.renew_id().await?;
    ///     session.insert("user", "tj")?;
    ///     session.save().await?;
    ///     session.token()
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::NoStore`] where the client keeps the session.
    pub fn token(&self) -> Result<Option<String>, Error> {
        self.sessions().needs_a_store("token")?;
        let sid = {
            let life = self.life();
            let is_there = life.presence() == Presence::Present && life.is_stored();
            is_there.then(|| life.sid().clone())
        };
        Ok(sid.map(|sid| token::of(&self.options().secrets, sid.as_str())))
    }

    /// By which carrier the session came with the request; one that came by none goes back by this one. Of several that brought the same
    /// id it is the ambient one. For a defence against requests that
    /// other sites' pages make (CSRF), which only those need whose carrier is [ambient](Carrier::is_ambient):
    ///
    /// ```
    /// use session_core::SessionHandle;
    ///
    /// fn is_forged(session: &SessionHandle, fetch_site: Option<&str>) -> bool {
    ///     session.carrier().is_ambient() && !matches!(fetch_site, Some("same-origin" | "none"))
    /// }
    /// ```
    #[must_use]
    pub fn carrier(&self) -> Carrier {
        // One that a browser sends by itself is enough for another site's page.
        let by = |way: &Way| way.by.clone();
        let ways = &self.0.origin.by;
        ways.iter().map(by).find(Carrier::is_ambient).or(ways.first().map(by)).unwrap_or(Carrier::Application)
    }

    /// Whether this request began without a stored session, or its session was regenerated.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.life().is_new()
    }

    /// Whether the session was destroyed or unset in this request. Reading it finds nothing, writing to it is an error.
    #[must_use]
    pub fn is_destroyed(&self) -> bool {
        self.life().presence() != Presence::Present
    }

    /// The value of a key; `None` when there is none, or JavaScript's `null`.
    ///
    /// # Errors
    /// [`Error::Deserialize`] when the value is not of the type asked for.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        read(self.data().get(key), key)
    }

    /// The value at a dotted path: `"passport.user"` reaches into the object under `passport`, `"cart.items.0"` into a list.
    /// `None` when there is none, or JavaScript's `null`.
    ///
    /// ```
    /// # fn handler(session: session_core::SessionHandle) -> Result<Option<String>, session_core::Error> {
    /// // What Passport has put there in an Express app.
    /// session.get_path("passport.user")
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Deserialize`] when the value is not of the type asked for.
    pub fn get_path<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Error> {
        read(at_path(&self.data(), path), path)
    }

    /// The JSON text of a value as it is stored; `None` when there is no such key.
    #[must_use]
    pub fn get_json(&self, key: &str) -> Option<String> {
        self.data().get(key).map(Into::into)
    }

    /// Sets a key. A key that is there keeps its place in the order.
    ///
    /// # Errors
    /// [`Error::Serialize`] when the value has no JSON text, [`Error::ReservedKey`] for a name that express-session keeps
    /// for itself, [`Error::Destroyed`] when the session is no more.
    pub fn insert(&self, key: &str, value: impl Serialize) -> Result<(), Error> {
        let json = text_of(key, &value)?;
        let mut life = self.present()?;
        self.options().limits.check_insert(life.data_mut(), key, &json)?;
        life.insert(key, json);
        Ok(())
    }

    /// Sets the value at a dotted path, as [`get_path`](Self::get_path) reads it; objects are made where there is nothing, and
    /// all other members keep their text and their order. What is merged with other requests is the whole key: where they set other
    /// members of it, the later one's stay; [`transaction`](Self::transaction) keeps both.
    ///
    /// ```
    /// # fn handler(session: session_core::SessionHandle) -> Result<(), session_core::Error> {
    /// session.insert_path("passport.user", "tj")
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::NoPlace`] when something on the way is no object, and those of [`insert`](Self::insert).
    pub fn insert_path(&self, path: &str, value: impl Serialize) -> Result<(), Error> {
        let json = text_of(path, &value)?;
        let mut life = self.present()?;
        let (key, json) = put_path(life.data(), path, &json)?;
        self.options().limits.check_insert(life.data_mut(), key, &json)?;
        life.insert(key, json);
        Ok(())
    }

    /// Removes a key; answers whether it was there.
    ///
    /// # Errors
    /// [`Error::Destroyed`] when the session is no more.
    pub fn remove(&self, key: &str) -> Result<bool, Error> {
        let mut life = self.present()?;
        Ok(life.remove(key))
    }

    /// Removes every key. The session stays.
    ///
    /// # Errors
    /// [`Error::Destroyed`] when the session is no more.
    pub fn clear(&self) -> Result<(), Error> {
        let now = self.options().clock.millis();
        self.present()?.clear(now);
        Ok(())
    }

    /// Puts other data in the place of all. Where the client keeps the session, this may also follow [`unset`](Self::unset), and unless it is
    /// sealed it is another one from then on ([`is_new`](Self::is_new)): what `req.session = {…}` does in cookie-session.
    ///
    /// ```
    /// # use serde::Serialize;
    /// #[derive(Serialize)]
    /// struct Visit { views: u32 }
    ///
    /// # fn handler(session: session_core::SessionHandle) -> Result<(), session_core::Error> {
    /// session.replace(&Visit { views: 1 })
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::NoObject`] when the value is not written as a JSON object, and those of [`insert`](Self::insert).
    pub fn replace<T: Serialize>(&self, value: &T) -> Result<(), Error> {
        let members = members_of(value)?;
        let limits = self.options().limits;
        members.keys().try_for_each(|key| limits.check_key(key))?;
        let put: Vec<(&str, &str)> = members.iter().collect();
        let mut data = Data::new();
        data.change(&[], &put);
        limits.check(&data)?;
        let now = self.options().clock.millis();
        let on_the_client = self.came().is_some();
        let is_sealed = self.sessions().sealing().is_some();
        let mut life = self.life();
        let may_follow_unset = on_the_client && life.presence() == Presence::Unset;
        if life.presence() != Presence::Present && !may_follow_unset {
            return Err(Error::Destroyed);
        }
        // A sealed one stays the session that it is, as one in a store does.
        let begins_anew = on_the_client && (!is_sealed || may_follow_unset);
        life.replace(data, begins_anew, now);
        if let Some(came) = self.came().filter(|_| begins_anew) {
            came.is_another(false);
            if is_sealed {
                life.is_renamed_on_the_client(sealed::new_sid().into());
            }
        }
        Ok(())
    }

    /// The keys in JavaScript's order: array indexes first, then as they were inserted.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.data().keys().map(Into::into).collect()
    }

    /// Whether there is such a key.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.data().contains(key)
    }

    /// The number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.data().len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data().is_empty()
    }

    /// All of the data as they are now, to look at: keys and JSON texts in order. Later changes do not show in it.
    ///
    /// ```
    /// # fn handler(session: session_core::SessionHandle) {
    /// for (key, json) in session.data().iter() {
    ///     println!("{key} has {} bytes", json.len());
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn data(&self) -> Arc<Data> {
        let life = self.life();
        if life.presence() == Presence::Present { Arc::clone(life.data()) } else { Arc::default() }
    }

    /// The cookie settings of this session, as they are now.
    #[must_use]
    pub fn cookie(&self) -> Cookie {
        self.life().cookie().clone()
    }

    /// The cookie settings as the record would hold them: Node's JSON object, `{"originalMaxAge":null,…}`.
    #[must_use]
    pub fn cookie_json(&self) -> String {
        let mut text = String::new();
        self.life().cookie().push_json(&mut text);
        text
    }

    /// How long this session lives after each request from now on; `None`: until the browser closes. For "remember me".
    /// In the express profile the browser learns of it with the next change of data. Where the client keeps the session
    /// ([`CookieSessionOptions`](crate::CookieSessionOptions)) it is this response's alone, and is sent with it in the new profile.
    /// It is no longer than the session lives at all ([`Options::absolute`](crate::Options::absolute), [`remember`](Self::remember)).
    /// Node: `cookie.maxAge = …`.
    ///
    /// # Errors
    /// [`Error::Destroyed`] when the session is no more; [`Error::ResponseOut`] after the response, which would have told the
    /// browser.
    pub fn set_max_age(&self, max_age: Option<Duration>) -> Result<(), Error> {
        self.change_cookie(Some(false), |cookie, now| cookie.set_max_age(max_age, now))
    }

    /// When this session ends, unless another request prolongs it by as long again; `None`: when the browser closes. A
    /// date that is past ends it. Node: `cookie.expires = …`.
    ///
    /// # Errors
    /// Those of [`set_max_age`](Self::set_max_age).
    pub fn set_expires(&self, expires: Option<SystemTime>) -> Result<(), Error> {
        self.change_cookie(Some(true), |cookie, now| cookie.set_expires(expires, now))
    }

    /// Changes the other attributes of this session's cookie. Under
    /// [`Attributes::Current`](crate::Attributes::Current) they last for this response.
    ///
    /// # Errors
    /// [`Error::Cookie`] for an attribute that no cookie can carry, or under [`BrowserRules::Enforce`] browsers would refuse (a domain under
    /// a `__Host-` name), and nothing is changed; those of
    /// [`set_max_age`](Self::set_max_age).
    pub fn update_cookie(&self, change: impl FnOnce(&mut Cookie)) -> Result<(), Error> {
        self.change_cookie(None, |cookie, _| change(cookie))
    }

    /// Gives the session its whole lifetime again, in memory: what [`cookie`](Self::cookie) shows. Stored and sent it is at the
    /// end of the request, which gives the whole lifetime too: to what it writes, and else once a touch is due
    /// ([`Options::touch`]). Where the client keeps the session, the new profile sends its cookie again. Node: `touch()`.
    ///
    /// # Errors
    /// [`Error::Destroyed`] when the session is no more; [`Error::ResponseOut`] after the response, where the client keeps the session.
    pub fn touch(&self) -> Result<(), Error> {
        let context = self.context();
        let Some(came) = self.came() else {
            self.present()?.touch(&context);
            return Ok(());
        };
        let mut life = self.is_to_be_sent()?;
        life.sets_cookie();
        // A date stays where it is.
        if !came.is_dated.load(Ordering::Relaxed) {
            life.touch(&context);
        }
        Ok(())
    }

    /// When the session began; `None` where nothing goes by that: without [`Options::absolute`](crate::Options::absolute) and a
    /// [limit of its own](Self::set_absolute). A new id changes nothing of it.
    ///
    /// # Errors
    /// [`Error::NoStore`] where the client keeps the session.
    pub fn begun(&self) -> Result<Option<SystemTime>, Error> {
        Ok(self.times("begun")?.begun().map(date::to_system))
    }

    /// Makes this session one that the browser keeps, with limits of its own: "remember me". It is the same session, and no second
    /// credential. [`set_max_age`](Self::set_max_age) is the one half of it, and [`set_absolute`](Self::set_absolute) the other.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use session_core::{Error, Lifetimes, SessionHandle};
    ///
    /// const DAY: Duration = Duration::from_secs(86_400);
    ///
    /// async fn log_in(session: SessionHandle, user: &str, remember_me: bool) -> Result<(), Error> {
    ///     session.renew_id().await?;
    ///     session.insert("user", user)?;
    ///     session.mark_authenticated()?;
    ///     if remember_me {
    ///         session.remember(Lifetimes::new(30 * DAY, 180 * DAY))?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// Those of [`set_max_age`](Self::set_max_age) and [`set_absolute`](Self::set_absolute).
    pub fn remember(&self, lifetimes: Lifetimes) -> Result<(), Error> {
        self.set_absolute(lifetimes.absolute())?;
        self.set_max_age(Some(lifetimes.idle()))
    }

    /// How long this session lives at all, from when it began, instead of what [`Options::absolute`](crate::Options::absolute) says; with
    /// `None` that again. A session that has no beginning yet begins now.
    ///
    /// # Errors
    /// [`Error::Destroyed`] when the session is no more; [`Error::Gone`] when another request has ended it, or it has lived as long as it may;
    /// [`Error::ResponseOut`] after the response, which would have told the browser; [`Error::NoStore`] where the client keeps the session.
    pub fn set_absolute(&self, absolute: impl Into<Option<Duration>>) -> Result<(), Error> {
        self.sessions().needs_a_store("set_absolute")?;
        let context = self.context();
        let mut life = self.before_the_response()?;
        if life.is_over(&context) && !life.has_set_its_end() {
            return Err(Error::Gone);
        }
        life.lives_at_all(absolute.into().map(lifetimes::millis), context.now);
        Ok(())
    }

    /// Notes in the session that its user has just shown who that is: at a login, and wherever the password was asked for again. Give the session
    /// [a new id](Self::renew_id) with it, so that who has stolen the old one is not taken for the user.
    /// It is stored with the end of the request, or by [`save`](Self::save), and stays under a new id until the data are
    /// [cleared](Self::clear) or [replaced](Self::replace).
    ///
    /// # Errors
    /// [`Error::Destroyed`] when the session is no more; [`Error::Gone`] when another request has ended it, or it has lived as long as it may;
    /// [`Error::NoStore`] where the client keeps the session.
    pub fn mark_authenticated(&self) -> Result<(), Error> {
        self.marks("mark_authenticated", true)
    }

    /// Takes that back: for who becomes somebody else in the same session.
    ///
    /// # Errors
    /// Those of [`mark_authenticated`](Self::mark_authenticated).
    pub fn forget_authenticated(&self) -> Result<(), Error> {
        self.marks("forget_authenticated", false)
    }

    fn marks(&self, call: &'static str, is_authenticated: bool) -> Result<(), Error> {
        self.sessions().needs_a_store(call)?;
        let context = self.context();
        let mut life = self.present()?;
        if life.is_over(&context) {
            return Err(Error::Gone);
        }
        life.is_authenticated(is_authenticated, context.now);
        Ok(())
    }

    /// When its user has last shown who that is ([`mark_authenticated`](Self::mark_authenticated)); `None`: not in this session.
    ///
    /// # Errors
    /// [`Error::NoStore`] where the client keeps the session.
    pub fn authenticated_at(&self) -> Result<Option<SystemTime>, Error> {
        Ok(self.times("authenticated_at")?.authenticated().map(date::to_system))
    }

    /// For pages that want the password again ("sudo"): whether the user has shown who that is
    /// ([`mark_authenticated`](Self::mark_authenticated)) no longer ago than this.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use session_core::{Error, SessionHandle};
    ///
    /// fn delete_account(session: &SessionHandle) -> Result<&'static str, Error> {
    ///     match session.require_recent(Duration::from_secs(10 * 60)) {
    ///         Err(Error::NotRecent) => Ok("Please enter your password again."),
    ///         recent => recent.map(|()| "Good bye."),
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::NotRecent`] when that is longer ago, or never was; [`Error::NoStore`] where the client keeps the session.
    pub fn require_recent(&self, within: Duration) -> Result<(), Error> {
        let times = self.times("require_recent")?;
        let now = self.options().clock.millis();
        if clocks::is_recent(&times, lifetimes::millis(within), now) { Ok(()) } else { Err(Error::NotRecent) }
    }

    /// When this session ends if nobody uses it any more, as far as this request knows: for a socket that shall close then. `None`: that is the
    /// store's to say, and it was not asked.
    ///
    /// # Errors
    /// [`Error::NoStore`] where the client keeps the session.
    pub fn ends_at(&self) -> Result<Option<SystemTime>, Error> {
        self.sessions().needs_a_store("ends_at")?;
        let context = self.context();
        Ok(self.life().ends(&context).map(date::to_system))
    }

    /// Of a session that has ended there are none.
    fn times(&self, call: &'static str) -> Result<Times, Error> {
        self.sessions().needs_a_store(call)?;
        let context = self.context();
        let life = self.life();
        let is_there = life.presence() == Presence::Present && !life.is_over(&context);
        Ok(if is_there { *life.times() } else { Times::default() })
    }

    /// Lets go of the session for this request: what `req.session = null` does. Nothing is saved; the record stays or
    /// goes as [`Unset`](crate::Unset) says. While a [`renew_id`](Self::renew_id) is under way it ends the session: the client
    /// could not be told the new id. After one that was given up it may: what is still on its way is not called back.
    pub fn unset(&self) {
        let destroys = self.options().policies.unset == Unset::Destroy && self.came().is_none();
        let mut life = self.life();
        // After the response it tells nobody.
        if let Some(came) = self.came().filter(|_| !life.is_response_out()) {
            came.ends();
        }
        life.unset(destroys);
    }
}

/// For the driver.
impl SessionHandle {
    pub(crate) fn new(sessions: Sessions, origin: Origin, life: impl FnOnce(&Context<'_>) -> Life) -> Self {
        let life = life(&origin.context(sessions.options()));
        Self(Arc::new(Inner { sessions, origin, life: Mutex::new(life), line: Line::default(), came: None }))
    }

    /// `data`: of a session that came with the request.
    pub(crate) fn on_the_client(
        sessions: Sessions,
        origin: Origin,
        data: Option<Arc<Data>>,
        came: Came,
    ) -> Self {
        let context = origin.context(sessions.options());
        let mut cookie = context.cookie.cookie(context.secure, context.now);
        if let Some(front) = &came.front
            && let Some(lifetime) = front.own_lifetime()
        {
            cookie.live_for(lifetime, front.renewed);
            came.is_dated.store(false, Ordering::Relaxed);
        }
        let sid = match (&came.front, sessions.sealing()) {
            (Some(front), _) => front.sid(),
            (None, Some(_)) => sealed::new_sid(),
            (None, None) => String::new(),
        };
        let life = Mutex::new(Life::on_the_client(sid.into(), data, cookie, context.now));
        let line = Line::default();
        Self(Arc::new(Inner { sessions, origin, life, line, came: Some(came) }))
    }

    /// What came with the request, where the client keeps the session.
    pub(super) fn came(&self) -> Option<&Came> {
        self.0.came.as_ref()
    }

    /// Locked for as long as it takes to look or to change, never while anybody else is at work. A panic of another holder
    /// left it whole: each lock does one thing.
    pub(super) fn life(&self) -> MutexGuard<'_, Life> {
        self.0.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    pub(super) fn options(&self) -> &Options {
        self.0.sessions.options()
    }

    pub(super) fn new_sid(&self) -> Sid {
        self.0.origin.new_sid(self.options())
    }

    pub(super) fn context(&self) -> Context<'_> {
        self.0.origin.context(self.options())
    }

    /// No response can tell of it any more: asked for when that had gone out, or its request was given up.
    pub(super) fn came_late(&self) {
        self.life().came_late();
    }

    /// What an atomic change may have stored, of which no answer came.
    pub(super) fn made(&self) -> Few {
        self.life().made()
    }

    /// All of it, or nothing where a bound forbids it.
    pub(super) fn change(&self, change: &Change) -> Result<(), Error> {
        let mut life = self.present()?;
        change.check(life.data(), self.options().limits)?;
        life.change(&change.removed, &change.put, &change.same);
        Ok(())
    }

    /// The operations of this handle and its clones.
    pub(super) fn line(&self) -> &Line {
        &self.0.line
    }

    /// To write to a session that others write to as well.
    pub(super) fn take_turn(&self, sid: Sid, ticket: u64) -> Taking {
        let help: Arc<dyn Help> = Arc::<Inner>::clone(&self.0);
        self.sessions().turns().take(sid, ticket, Arc::downgrade(&help))
    }

    fn present(&self) -> Result<MutexGuard<'_, Life>, Error> {
        let life = self.life();
        if life.presence() == Presence::Present { Ok(life) } else { Err(Error::Destroyed) }
    }

    /// `is_date`: of a change of its lifetime, whether it ends on a date.
    fn change_cookie(
        &self,
        is_date: Option<bool>,
        change: impl FnOnce(&mut Cookie, SystemTime),
    ) -> Result<(), Error> {
        let now = self.options().clock.now();
        // On a copy: the application may use the session meanwhile, and what it sets there stays.
        let before = self.before_the_response()?.cookie().clone();
        let mut cookie = before.clone();
        change(&mut cookie, now);
        set_cookie::check_attributes(&cookie)?;
        self.check_browser_rules(&before, &cookie)?;
        let mut life = self.before_the_response()?;
        let sets_lifetime = is_date.is_some() || cookie.differing(&before).is_of_the_lifetime();
        life.change_cookie(&before, cookie);
        if sets_lifetime && self.came().is_none() {
            life.is_given_its_lifetime(before.lifetime(), &self.options().lifetimes);
        }
        match self.came() {
            // An end that a closure has set is where it has set it.
            Some(came) if sets_lifetime => {
                life.sets_lifetime();
                came.is_dated.store(is_date.unwrap_or(true), Ordering::Relaxed);
            }
            Some(_) => life.sets_cookie(),
            None => {}
        }
        Ok(())
    }

    /// Of what this change makes such; what the connection or the configuration does is told where it is sent.
    fn check_browser_rules(&self, before: &Cookie, after: &Cookie) -> Result<(), CookieError> {
        let refusal = |cookie| set_cookie::browser_refusal(&self.options().name, cookie);
        match (refusal(before), refusal(after)) {
            (None, Some((_, reason))) if self.options().browser_rules == BrowserRules::Enforce => {
                Err(CookieError::Refused(reason))
            }
            _ => Ok(()),
        }
    }

    /// For what only a cookie tells.
    fn before_the_response(&self) -> Result<MutexGuard<'_, Life>, Error> {
        // Where the client keeps the session, they are of what tells it to forget it as well.
        let life = if self.came().is_some() { self.life() } else { self.present()? };
        if life.is_response_out() { Err(Error::ResponseOut) } else { Ok(life) }
    }
}

impl SessionHandle {
    /// The connection is, as far as the options believe what a proxy says of its own.
    pub(super) fn is_secure(&self) -> bool {
        self.0.origin.secure
    }

    /// Whether the session came with the request.
    pub(super) fn has_come(&self) -> bool {
        self.0.origin.has_come
    }

    /// By which the session goes back.
    pub(super) fn ways(&self) -> &[Way] {
        &self.0.origin.by
    }

    /// Whether the session came with the request, by a header.
    pub(super) fn came_by_header(&self) -> bool {
        self.has_come() && self.ways().iter().any(|way| way.by.answered_by().is_some())
    }

    /// That the client has asked, where the cookie's domain may be another one.
    pub(super) fn host(&self) -> Option<&str> {
        self.0.origin.host.as_deref()
    }
}

impl Origin {
    /// Of no request: whose connection and attributes could be told.
    pub(crate) fn by(by: Carrier) -> Self {
        let (request, computed, host) = (None, None, None);
        Self {
            request,
            computed,
            secure: false,
            host,
            by: vec![Way { by, has: None }],
            has_come: false,
            is_loaded: true,
        }
    }

    pub(crate) fn new_sid(&self, options: &Options) -> Sid {
        match (&options.genid, &self.request) {
            (Some(genid), Some(request)) => genid(request),
            _ => Sid::random(),
        }
    }

    pub(crate) fn context<'a>(&'a self, options: &'a Options) -> Context<'a> {
        Context {
            options,
            cookie: self.computed.as_deref().unwrap_or(&options.cookie),
            secure: self.secure,
            attributes: if self.is_loaded { Attributes::Stored } else { options.attributes },
            now: date::from_system(options.clock.now()),
        }
    }
}

impl Help for Inner {
    fn help(self: Arc<Self>, of: u64, ticket: u64, context: &mut std::task::Context<'_>) -> bool {
        SessionHandle(self).help(of, ticket, context)
    }

    fn without(self: Arc<Self>, ticket: u64) {
        self.line.forget_helper(ticket);
    }
}

/// A change that is dropped is never dropped in silence.
impl Drop for Inner {
    fn drop(&mut self) {
        let life = self.life.get_mut().unwrap_or_else(PoisonError::into_inner);
        let changes = life.unreported();
        if changes > 0 {
            tracing::warn!(
                changes,
                "changes of a session are dropped: nobody saved them, or the request was given up"
            );
        }
        let can_revoke = self.sessions.sealing().is_some_and(|sealing| sealing.revocations.is_some());
        let owes = |came: &Came| (came.front.is_some() && came.owes_a_revocation()) || came.owes_a_late_end();
        if can_revoke && self.came.as_ref().is_some_and(owes) {
            tracing::warn!(
                "a session was to be ended, and that was given up before it was written down: copies of its cookie may open"
            );
        }
        if life.is_unfinished() {
            tracing::warn!(
                "a session was to be ended, and that was given up before the store had done it: its record may live on"
            );
        }
    }
}

/// Shows neither id nor data.
impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The writer is the application's: nothing is locked while it writes.
        let (new, presence, data) = {
            let life = self.life();
            (life.is_new(), life.presence(), Arc::clone(life.data()))
        };
        f.debug_struct("Session")
            .field("new", &new)
            .field("presence", &presence)
            .field("data", &data)
            .finish_non_exhaustive()
    }
}
