//! Sessions sealed into their clients' cookies: their options, what is in such a cookie, and what the response sets.

use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    chunks,
    end::{Sending, Sent, fits},
    json::{self, Numbers},
    options::{ClientSide, EmptySession, GUESSED, KEPT_BY_BROWSERS, Reissue, shared_setters, warn_of_short},
};
use crate::{
    clock::Clock,
    driver::sessions::Sessions,
    error::{Error, OptionsError},
    options::{
        Options,
        carrier::Carrier,
        cookie_options::{CookieOptions, Secure},
        policy::{BrowserRules, CacheHeaders, OnDisconnect, SaveError},
        proxy::{Proxy, ProxyHeader},
    },
    record::{cookie::SameSite, data::Data},
    store::Store,
    wire::{
        date::{self, Millis},
        keygrip::{Keygrip, KeygripAlgorithm},
        seal::{Purpose, Sealer, SealingKeys},
    },
};

/// A session that ends with the browser lives so long after each renewal, unless it is told otherwise: as in the stores.
const DAY: Millis = 86_400_000;
/// And so long at all: NIST SP 800-63B-4, AAL1.
const ABSOLUTE: Millis = 30 * DAY;
const CLOCKS_DIFFER: Millis = 5 * 60_000;

/// The options of sessions that are sealed into the client's own cookie: encrypted and authenticated, so that whoever has the cookie can
/// neither read nor change it. No database is needed. As with [`CookieSessionOptions`](crate::CookieSessionOptions) nothing is merged: of parallel
/// responses the last one counts.
///
/// When a session began, when it was renewed last and when it ends are inside, and the server goes by them, whatever the cookie says. New
/// secrets go round in two steps, where several instances serve: first as the second one everywhere, then as the first.
///
/// **What it cannot promise**, without [`revocations`](Self::revocations): an older copy of the cookie opens until it expires, also after a
/// logout. Who has stolen one has the session as it was then. And where the client has another live session of the name (of another path or
/// domain, or from another tab's login), that one takes the place of the one that was ended.
///
/// ```
/// use std::time::Duration;
///
/// use session_core::{SealedSessionOptions, Sessions};
///
/// let secret = [7; 32]; // from the environment, say
/// let sessions: Sessions = SealedSessionOptions::new(secret).idle(Duration::from_secs(30 * 60)).build()?;
///
/// let error = SealedSessionOptions::new("keyboard cat").build().unwrap_err();
/// assert_eq!(error.to_string(), "option secrets: one has fewer than 32 bytes; take as many random ones");
/// # Ok::<(), session_core::OptionsError>(())
/// ```
///
/// A team moves from cookie-session's cookies to sealed ones of the same name while both are read: [`also_reads_cookie_session`](Self::also_reads_cookie_session).
#[derive(Clone)]
pub struct SealedSessionOptions {
    options: Options,
    secrets: SealingKeys,
    audience: String,
    idle: Option<Millis>,
    absolute: Millis,
    padding: usize,
    chunks: bool,
    max_size: Option<usize>,
    older: Option<Keygrip>,
    revocations: Option<Arc<dyn Store>>,
}

/// What the rules go by.
pub(crate) struct Sealing {
    sealer: Sealer,
    /// The cookie's name and the audience.
    bound: String,
    /// A session without a lifetime of its own lives no longer after a renewal.
    idle: Millis,
    absolute: Millis,
    padding: usize,
    pub(super) chunks: bool,
    /// Where those are written down that have ended.
    pub(crate) revocations: Option<Arc<dyn Store>>,
}

/// Under this id it is written down that the session has ended.
pub(crate) fn revocation_of(front: &Front) -> String {
    format!("ended:{}", front.sid())
}

impl SealedSessionOptions {
    /// Cookies as browsers want them today, a lifetime on the server, and an error instead of a loss. `secrets`: one, or several of which the
    /// first seals and all open; each 32 random bytes at least.
    pub fn new(secrets: impl Into<SealingKeys>) -> Self {
        let cookie = CookieOptions::new().same_site(SameSite::Lax).secure(Secure::Auto);
        Self {
            options: Options::new("").named_by_profile("session").cookie(cookie),
            secrets: secrets.into(),
            audience: String::new(),
            idle: None,
            absolute: ABSOLUTE,
            padding: 1,
            chunks: false,
            max_size: Some(KEPT_BY_BROWSERS),
            older: None,
            revocations: None,
        }
    }

    /// The cookie's name, for which its key is made: under another one no session is found any more. Default: `session`, or
    /// `__Host-session` where the cookie is always secure, has the path `/` and no domain.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { options: self.options.name(name), ..self }
    }

    /// The cookie's attributes; what is not set in them stays as it was. With a max age the browser keeps the cookie so long after each
    /// renewal, and without one until it closes.
    #[must_use]
    pub fn cookie(self, cookie: CookieOptions) -> Self {
        Self { options: self.options.cookie(cookie), ..self }
    }

    /// How long a session lives after the last request that renewed it, whatever the cookie says. Default: the cookie's max age, and a day
    /// where it has none. A session that a handler gives a lifetime of its own ([`set_max_age`](crate::SessionHandle::set_max_age): "remember
    /// me") has that.
    ///
    /// It is renewed by a change, and by a request that uses it once a fifth of this time has passed. Renewing is sealing anew: where two
    /// requests are answered at the same time, what the later answer brings is what the browser has, and that of one which has only read
    /// may undo a change or, without [`revocations`](Self::revocations), a logout. (With them, what was renewed or ended after they were
    /// asked opens no more.)
    #[must_use]
    pub fn idle(self, idle: Duration) -> Self {
        Self { idle: Some(millis(idle)), ..self }
    }

    /// How long a session lives at all, from when it began, however often it is renewed and whatever lifetime it was given. One that is raised is one
    /// for new sessions. Default: 30 days (NIST SP 800-63B-4, AAL1).
    ///
    /// Where ends are [written down](Self::revocations), each is kept until this time is over, however short [`idle`](Self::idle) is: another
    /// request may have given a copy of its own a longer life, and the one that ends the session has not seen that. Whose users log out often
    /// chooses this no longer than they need.
    #[must_use]
    pub fn absolute(self, absolute: Duration) -> Self {
        Self { absolute: millis(absolute), ..self }
    }

    /// For whom the sessions are: those of another audience are not opened, though secrets and name be the same. Default: nobody by name.
    #[must_use]
    pub fn audience(self, audience: impl Into<String>) -> Self {
        Self { audience: audience.into(), ..self }
    }

    /// The data are filled up with blanks to a multiple of so many bytes, so that the cookie's length tells less of what is in it. Default: they
    /// are not.
    #[must_use]
    pub fn padding(self, bytes: usize) -> Self {
        Self { padding: bytes.max(1), ..self }
    }

    /// Whether a session that does not fit into one cookie goes into several, of the names `name.0` to `name.3`, 3,900 bytes each. The client
    /// sends them all with each request: servers and proxies that take no more than 8 KiB of headers refuse that. Each response that sets the
    /// session also tells the client to forget those of the five names that it does not set, since another tab may have set them. Default
    /// `false`.
    #[must_use]
    pub fn chunks(self, chunks: bool) -> Self {
        Self { chunks, ..self }
    }

    /// How large the cookie may be, in bytes of its name and value; a larger one is an error
    /// ([`Error::CookieTooLarge`]) before the response goes out, or goes into [`chunks`](Self::chunks). Default: 4,096, which is what browsers
    /// keep.
    #[must_use]
    pub fn max_size(self, bytes: impl Into<Option<usize>>) -> Self {
        Self { max_size: bytes.into(), ..self }
    }

    /// Keys of cookie-session: cookies of the same name that one of them has signed are read as well, and sealed by the next response. Default:
    /// none. Where nobody has chosen a digest it is SHA-1, as there; for those of
    /// [`CookieSessionOptions::new`](crate::CookieSessionOptions::new) it is SHA-256. The domain and the path must be those of the old cookie, so
    /// that browsers replace it; where the cookie would be a `__Host-` one, the name is to be [chosen](Self::name). A session that nearly fills its
    /// cookie has no room once it is sealed, which takes some 150 bytes more: it stays signed while it is only read.
    ///
    /// As long as the keys are there, who has one of them can make sessions, and a copy of a signed cookie opens again and again: such cookies
    /// do not end, and [`revocations`](Self::revocations) know none of them.
    ///
    /// ```
    /// # let secret = [7; 32];
    /// let options = session_core::SealedSessionOptions::new(secret).also_reads_cookie_session(["key2", "key1"]);
    /// # assert!(options.build().is_ok());
    /// ```
    #[must_use]
    pub fn also_reads_cookie_session(self, keys: impl Into<Keygrip>) -> Self {
        Self { older: Some(keys.into().or_algorithm(KeygripAlgorithm::Sha1)), ..self }
    }

    /// Where sessions are written down that have ended ([`destroy`](crate::SessionHandle::destroy),
    /// [`regenerate`](crate::SessionHandle::regenerate), [`renew_id`](crate::SessionHandle::renew_id),
    /// [`unset`](crate::SessionHandle::unset)), until no copy of their cookie opens any more. Each request that uses its session asks it once (of
    /// each of several cookies), and once more where it seals it anew; where it does not answer there is no session but [`Error::Store`].
    /// Default: nowhere. A copy of a session that has *not* ended still opens, as it was then; and a store that throws records out before their
    /// time (`maxmemory-policy` of Redis) forgets logouts.
    ///
    /// Who logs out ends every live session of the name that came with the request, not only the one that it was: another would be in its place
    /// with the next request. (Not one that is [only signed](Self::also_reads_cookie_session): such have no id.) A renewed id ends the one
    /// alone, and a session whose time is over none.
    ///
    /// Of two requests that end the same session, or renew its id, one is first: the other's is [`Error::Gone`]. After its response a session can
    /// still be [destroyed](crate::SessionHandle::destroy).
    #[must_use]
    pub fn revocations(self, store: impl Store) -> Self {
        Self { revocations: Some(Arc::new(store)), ..self }
    }

    /// What becomes of attributes that browsers refuse. Default: an error of [`build`](Self::build).
    #[must_use]
    pub fn browser_rules(self, browser_rules: BrowserRules) -> Self {
        Self { options: self.options.browser_rules(browser_rules), ..self }
    }

    shared_setters!();

    /// Checks the options and makes the driver that adapters take.
    ///
    /// # Errors
    /// What cannot work, with the name of the option.
    pub fn build(mut self) -> Result<Sessions, OptionsError> {
        let refuse = |option, reason: String| Err(OptionsError { option, reason });
        if let Some(reason) = self.secrets.refusal() {
            return refuse("secrets", reason);
        }
        if self.older.as_ref().is_some_and(|keys| !keys.is_usable()) {
            return refuse("also_reads_cookie_session", "there is no key, or an empty one".into());
        }
        if let Some(keys) = &self.older {
            warn_of_short(keys, GUESSED);
        }
        if self.padding > KEPT_BY_BROWSERS {
            return refuse(
                "padding",
                format!("no cookie has so much room; {KEPT_BY_BROWSERS} bytes are all"),
            );
        }
        for (option, time) in [("idle", self.idle), ("absolute", Some(self.absolute))] {
            if time == Some(0) {
                return refuse(option, "no session would live; give a time".into());
            }
        }
        if self.older.is_some() && self.options.would_be_prefixed() {
            let reason =
                "choose one: cookie-session's has no __Host- in front, and it stays when its keys go";
            return refuse("name", reason.into());
        }
        self.options.choose_name();
        let name = self.options.chosen_name();
        // A date counts by itself.
        let by_the_cookie = self.options.cookie.max_age_in_millis();
        let without = if self.options.cookie.is_dated() { Millis::MAX } else { DAY };
        let idle = self.idle.or(by_the_cookie).unwrap_or(without);
        let sealing = Sealing {
            sealer: Sealer::new(&self.secrets, Purpose::Cookie(name)),
            // No name has such a letter.
            bound: format!("{name}\0{}", self.audience),
            idle,
            absolute: self.absolute,
            padding: self.padding,
            chunks: self.chunks,
            revocations: self.revocations,
        };
        let client = ClientSide {
            keys: self.older,
            overwrite: true,
            max_size: self.max_size,
            reissue: Reissue::Both,
            empty: EmptySession::Removed,
            is_node: false,
            sealing: Some(Arc::new(sealing)),
        };
        self.options.on_the_client(client).build()
    }
}

impl TryFrom<SealedSessionOptions> for Sessions {
    type Error = OptionsError;

    fn try_from(options: SealedSessionOptions) -> Result<Self, OptionsError> {
        options.build()
    }
}

fn millis(time: Duration) -> Millis {
    Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX)
}

/// What is in front of the data: its length in one byte, and then these. Who reads it passes over what is behind them, so that more can be
/// added, and refuses a flag that it does not know.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Front {
    id: [u8; 16],
    begun: Millis,
    pub(crate) renewed: Millis,
    /// However often it is renewed.
    ends: Millis,
    /// The latest end that any copy of it was given, where instances have other limits. Not how long these may be idle: of a copy that another
    /// request has made of the same one, and of what lifetime that has given it, this one knows nothing.
    latest: Millis,
    /// How long it lives after each renewal.
    idle: Millis,
    /// `None`: the browser keeps it until it closes. As a number -1.
    lifetime: Option<Millis>,
    /// The handler has given it this lifetime. Else it has what the options say.
    is_own: bool,
}

impl Front {
    const LEN: usize = 1 + 16 + 6 * size_of::<Millis>() + 1;

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::LEN);
        bytes.push(u8::try_from(Self::LEN - 1).unwrap_or_default());
        bytes.extend(self.id);
        let lifetime = self.lifetime.unwrap_or(-1);
        for time in [self.begun, self.renewed, self.ends, self.latest, self.idle, lifetime] {
            bytes.extend(time.to_be_bytes());
        }
        bytes.push(self.is_own.into());
        bytes
    }

    /// And what is behind it.
    fn of(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (&length, rest) = bytes.split_first()?;
        let (front, behind) = rest.split_at_checked(length.into())?;
        let (id, front) = front.split_first_chunk()?;
        let (times, front) = front.split_first_chunk::<48>()?;
        let (times, _) = times.as_chunks::<8>();
        let &[begun, renewed, ends, latest, idle, lifetime] = times else { return None };
        let [begun, renewed, ends, latest, idle, lifetime] =
            [begun, renewed, ends, latest, idle, lifetime].map(Millis::from_be_bytes);
        let (&flags, _) = front.split_first()?;
        let lifetime = (lifetime >= 0).then_some(lifetime);
        let front = Self { id: *id, begun, renewed, ends, latest, idle, lifetime, is_own: flags == 1 };
        (flags <= 1).then_some((front, behind))
    }

    pub(crate) fn sid(&self) -> String {
        sid_of(self.id)
    }

    /// The lifetime that the handler has given it.
    pub(crate) fn own_lifetime(&self) -> Option<Option<Millis>> {
        self.is_own.then_some(self.lifetime)
    }

    /// Two copies of one.
    pub(super) fn is_of_one_session_with(&self, other: &Self) -> bool {
        self.id == other.id
    }

    /// It stands for an older copy as well.
    pub(super) fn outlives(&mut self, older: &Self) {
        self.latest = self.latest.max(older.latest);
    }

    /// When no copy of it opens any more.
    pub(crate) fn last_copy_ends(&self) -> Millis {
        date::after(self.latest, CLOCKS_DIFFER)
    }

    fn lives(&self, now: Millis) -> bool {
        now < self.ends && now < date::after(self.renewed, self.idle)
    }
}

/// A new one.
pub(crate) fn new_sid() -> String {
    sid_of(rand::random())
}

fn sid_of(id: [u8; 16]) -> String {
    URL_SAFE_NO_PAD.encode(id)
}

/// A session that was opened.
pub(super) struct Opened {
    pub(super) front: Front,
    pub(super) data: Data,
    /// By another secret than the one that seals.
    pub(super) by_older: bool,
}

impl Sealing {
    /// `None`: it is not sealed, or has expired.
    pub(super) fn open(&self, value: &str, now: Millis) -> Option<Opened> {
        let opened = self.sealer.open(value, &self.bound)?;
        let (mut front, json) = Front::of(&opened.text)?;
        let by_todays_limit = date::after(front.begun, self.absolute);
        front.latest = front.latest.max(by_todays_limit);
        // What was sealed before a limit was set to be shorter ends by it as well.
        front.ends = front.ends.min(by_todays_limit);
        if !front.is_own || front.lifetime.is_none() {
            front.idle = front.idle.min(self.idle);
        }
        if !front.lives(now) {
            tracing::debug!(why = "it has expired", "session cookie refused");
            return None;
        }
        let data = json::parse(std::str::from_utf8(json).ok()?, Numbers::Exact)?;
        Some(Opened { front, data, by_older: opened.by_older })
    }

    fn seal(&self, front: &Front, mut json: String) -> String {
        // JSON takes no notice of blanks behind it.
        let filled = json.len().next_multiple_of(self.padding);
        json.extend(std::iter::repeat_n(' ', filled - json.len()));
        self.sealer.seal(&[&front.bytes(), json.as_bytes()].concat(), &self.bound)
    }

    /// How long the value will be.
    fn sealed_len(&self, data: &Data) -> usize {
        Sealer::sealed_len(Front::LEN + json::stringify(data).len().next_multiple_of(self.padding))
    }
}

/// Whether these data could be sealed and sent. Answers whether in one cookie.
pub(super) fn check(name: &str, client: &ClientSide, sealing: &Sealing, data: &Data) -> Result<bool, Error> {
    let length = sealing.sealed_len(data);
    match fits(name, length, data, client) {
        Err(Error::CookieTooLarge { .. }) if sealing.chunks => match chunks::longest(name) {
            limit if length > limit => Err(Error::CookieTooLarge { size: length, limit }),
            _ => Ok(false),
        },
        fits => fits.map(|()| true),
    }
}

/// The values of the `Set-Cookie` headers, in order.
pub(super) fn ends(sending: &Sending<'_>, sealing: &Sealing) -> Result<Sent, Error> {
    let Sending { name, client, came, now, .. } = *sending;
    let mut sent = Sent::default();
    let front = came.front.filter(|_| !came.is_another_one());
    let has_expired = sending.cookie.lifetime().is_some_and(|left| left <= 0);
    let is_empty = |data: &Data| sending.is_new && data.is_empty();
    let Some(data) = sending.data.filter(|data| !has_expired && !is_empty(data)) else {
        // Who has none needs not be told.
        let has_one = if sending.data.is_some() && !has_expired { came.is_read } else { came.has_any() };
        if has_one {
            sent = sending.forgets_it(sealing);
            sent.is_expiry = has_expired && sending.data.is_some() && !sending.has_own_lifetime;
        }
        return Ok(sent);
    };
    let printed = json::stringify(data);
    let is_change = sending.is_new || sending.cookie_changed || came.printed.as_ref() != Some(&printed);
    // Before browsers have thrown it away, however long it would live.
    let kept = date::latest_of_a_cookie(0);
    let is_due = front.is_some_and(|front| now >= date::after(front.renewed, front.idle.min(kept) / 5));
    if !(is_change || came.is_to_reseal || is_due) {
        return Ok(sent);
    }
    if sending.is_withheld() {
        sent.is_withheld = true;
        return Ok(sent);
    }
    let fits_into_one = match check(name, client, sealing, data) {
        // The client has it, and keeps it.
        Err(_) if !is_change => return Ok(sent),
        fits => fits?,
    };
    let begun = front.map_or(now, |front| front.begun);
    let by_todays_limit = date::after(begun, sealing.absolute);
    let mut cookie = sending.cookie.clone();
    // Of a date what is left of it.
    let left = cookie.expires_at().map(|at| at.saturating_sub(now));
    let is_own = sending.has_own_lifetime || front.is_some_and(|front| front.is_own);
    let idle = match (is_own, left) {
        (true, Some(left)) => left,
        (false, Some(left)) => left.min(sealing.idle),
        (_, None) => sealing.idle,
    };
    let new = Front {
        id: id_of(sending.sid),
        begun,
        renewed: now,
        ends: front.map_or(by_todays_limit, |front| front.ends.min(by_todays_limit)),
        latest: front.map_or(by_todays_limit, |front| front.latest.max(by_todays_limit)),
        idle,
        lifetime: left,
        is_own,
    };
    if let Some(expires) = cookie.expires_at() {
        cookie.ends_at(expires.min(date::after(now, idle)).min(new.ends));
    }
    // The handler took longer than it had to live.
    if !new.lives(now) {
        return Ok(Sent { is_expiry: true, ..sending.forgets_it(sealing) });
    }
    let value = sealing.seal(&new, printed);
    (sent.front, sent.is_change) = (Some(new), is_change);
    let sending = Sending { cookie: &cookie, ..*sending };
    let set = |pair: String| sending.with_attributes(&pair, false);
    // All that it does not set: another response may have set what this request has not seen.
    if fits_into_one {
        sent.cookies.push(set(format!("{name}={value}")));
        sent.cookies.extend(sending.forgotten(0, sealing));
        return Ok(sent);
    }
    let parts = chunks::cut(&value, name);
    sent.cookies.push(sending.with_attributes(&format!("{name}="), true));
    sent.cookies.extend(sending.forgotten(parts.len(), sealing));
    let named = |(at, part)| set(format!("{}={part}", chunks::name_of(name, at)));
    sent.cookies.extend(parts.into_iter().enumerate().map(named));
    Ok(sent)
}

impl Sending<'_> {
    /// Whole and chunks: another response may have sent what this request has not seen.
    fn forgets_it(&self, sealing: &Sealing) -> Sent {
        let mut sent = Sent { is_removal: true, is_withheld: self.is_withheld(), ..Sent::default() };
        if !sent.is_withheld {
            sent.cookies.push(self.with_attributes(&format!("{}=", self.name), true));
            sent.cookies.extend(self.forgotten(0, sealing));
        }
        sent
    }
}

/// Of one that is not ours, another.
fn id_of(sid: &str) -> [u8; 16] {
    let decoded = URL_SAFE_NO_PAD.decode(sid).ok();
    decoded.and_then(|id| id.try_into().ok()).unwrap_or_else(rand::random)
}

/// Shows no id.
impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id: _, begun, renewed, ends, latest, idle, lifetime, is_own } = self;
        f.debug_struct("Front")
            .field("begun", begun)
            .field("renewed", renewed)
            .field("ends", ends)
            .field("latest", latest)
            .field("idle", idle)
            .field("lifetime", lifetime)
            .field("is_own", is_own)
            .finish_non_exhaustive()
    }
}

/// Shows no secret.
impl fmt::Debug for SealedSessionOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedSessionOptions")
            .field("options", &self.options)
            .field("idle", &self.idle)
            .field("absolute", &self.absolute)
            .field("max_size", &self.max_size)
            .field("chunks", &self.chunks)
            .field("also_reads_cookie_session", &self.older)
            .field("revocations", &self.revocations)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_front_comes_back() {
        let lifetime = Some(6);
        let (ends, latest) = (Millis::MAX - 1, Millis::MAX);
        let front =
            Front { id: [1; 16], begun: 2, renewed: -3, ends, latest, idle: 5, lifetime, is_own: true };
        let bytes = front.bytes();
        assert_eq!(bytes.len(), Front::LEN);
        let whole = [&bytes[..], b"{}"].concat();
        assert_eq!(Front::of(&whole), Some((front, &b"{}"[..])));
        assert_eq!(Front::of(&bytes[..Front::LEN - 1]), None);
        let until_it_closes = Front { lifetime: None, is_own: false, ..front };
        assert_eq!(Front::of(&until_it_closes.bytes()), Some((until_it_closes, &b""[..])));
        // A later version has more.
        let longer = [&[bytes[0] + 3], &bytes[1..], b"xyz", b"{}"].concat();
        assert_eq!(Front::of(&longer), Some((front, &b"{}"[..])));
        let mut flagged = bytes;
        *flagged.last_mut().unwrap() = 3;
        assert_eq!(Front::of(&flagged), None);
        assert_eq!(id_of(&front.sid()), front.id);
        let shown = format!("{front:?}");
        assert!(
            !shown.contains("1, 1") && !shown.contains(&front.sid()) && shown.contains("renewed: -3"),
            "{shown}"
        );
    }
}
