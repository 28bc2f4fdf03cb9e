//! The driver's beginning: what a request's cookie says, and the session that follows from it.

use std::{net::IpAddr, sync::Arc};

use crate::{
    client::{self, Came, sealed::revocation_of},
    driver::{
        hand_over,
        session::{Origin, SessionHandle, Way},
        sessions::Sessions,
    },
    error::{Error, StoreError},
    life::{
        Answer, Ask, Context, Life,
        arrival::{Arrival, Found as Arrived, Next, Outcome, Why},
    },
    options::carrier::Carrier,
    options::cookie_options::CookieOptions,
    options::policy::{CorruptRecord, DuplicateCookies, PathMatch},
    options::proxy::ProxyHeader,
    record::{data::Data, ids},
    request::RequestInfo,
    store::Stored,
    wire::{
        cookie_header::{decode_up_to, raw_values},
        set_cookie,
        sid::Sid,
        token,
    },
};

/// Longer values are no cookies of ours: RFC 6265bis §5.5 lets a browser keep 4,096 bytes of name and value.
pub(crate) const VALUE_LIMIT: usize = 4096;

/// So many cookies of the name are looked at in one request.
const DUPLICATES_LIMIT: usize = 8;

/// What a request's cookie came to, before the store is asked.
pub(crate) enum Begun {
    Stored(Presented),
    /// All of it came with the request.
    OnTheClient(Box<(Origin, Option<Arc<Data>>, Came)>),
}

/// An id that we signed, and by what of the request it came.
struct Brought {
    sid: Sid,
    by: Vec<Way>,
}

/// What one carrier has.
struct Found {
    /// Anything that may be ours: of a header what has a token's form, of cookies all of the name.
    is_there: bool,
    /// Each once, in order, and whether the client can keep the token that it has of it.
    ids: Vec<(Sid, bool)>,
}

pub(crate) struct Presented {
    brought: Vec<Brought>,
    origin: Origin,
    new_sid: Option<Sid>,
}

impl Sessions {
    /// Is the path in the cookie's? A session that the client keeps is there for all. `computed`: the attributes of this request, where
    /// the application has a function for them.
    pub(crate) fn covers(&self, request: &RequestInfo<'_>, computed: Option<&Arc<CookieOptions>>) -> bool {
        let options = self.options();
        if options.client.is_some() {
            return true;
        }
        let cookie_path = computed.map_or(&options.cookie, |computed| computed).match_path();
        path_matches(request.path(), cookie_path, options.path_match)
    }

    /// Does the path match, is the connection secure, whose is the cookie? `None`: this path has no session.
    pub(crate) fn begin(
        &self,
        request: &RequestInfo<'_>,
        computed: Option<&Arc<CookieOptions>>,
    ) -> Result<Option<Begun>, Error> {
        let options = self.options();
        if !self.covers(request, computed) {
            tracing::debug!("no session: the path is outside the cookie's");
            return Ok(None);
        }
        let secure = request.is_secure(&options.proxy, options.proxy_header);
        if let Some(computed) = computed {
            set_cookie::check_attributes(&computed.cookie(secure, options.clock.millis()))?;
        }
        if !secure && options.proxy.needs_peer() && request.peer().is_none() {
            self.warn_unknown_peer();
        }
        if !secure
            && computed.map_or(&options.cookie, |computed| computed).is_auto()
            && options.proxy_header == ProxyHeader::XForwardedProto
            && !options.proxy.trusts(request.peer())
        {
            self.warn_untrusted_proxy(request);
        }
        let host = self.host_to_compare(request, computed);
        let computed = computed.cloned();
        if let Some(client) = &options.client {
            let is_dated = computed.as_deref().unwrap_or(&options.cookie).is_dated();
            let now = options.clock.millis();
            let (data, came) = client::read(request, &options.name, client, is_dated, now);
            if came.has_duplicates && !client.is_node {
                self.warn_duplicates();
            }
            let origin = Origin { secure, host, computed, is_loaded: false, ..Origin::by(Carrier::Cookie) };
            return Ok(Some(Begun::OnTheClient(Box::new((origin, data, came)))));
        }
        let (brought, by) = self.brought(request);
        let origin = Origin {
            request: options.genid.is_some().then(|| Box::new(request.to_owned())),
            computed,
            secure,
            host,
            by,
            has_come: false,
            is_loaded: false,
        };
        // With a cookie it is made only when the store has no such session.
        let new_sid = brought.is_empty().then(|| origin.new_sid(options));
        Ok(Some(Begun::Stored(Presented { brought, origin, new_sid })))
    }

    /// Where a cookie with a domain may go out, and nobody was told yet that it does not fit. A trusted proxy knows better than `Host`
    /// which one the client has asked.
    fn host_to_compare(
        &self,
        request: &RequestInfo<'_>,
        computed: Option<&Arc<CookieOptions>>,
    ) -> Option<Box<str>> {
        let options = self.options();
        let has_domain = computed.map_or(&options.cookie, |computed| computed).has_domain();
        if !has_domain || self.has_warned_of_the_domain() {
            return None;
        }
        let is_trusted = options.proxy.trusts(request.peer());
        let host = match is_trusted.then(|| request.header("x-forwarded-host")).flatten() {
            None => request.host()?,
            Some(hosts) => RequestInfo::new("/", false, &|_| {})
                .with_authority(hosts.split(',').next().map(str::trim))
                .host()?,
        };
        // Who asks for an address looks whether the server lives, most often.
        let is_name = set_cookie::is_host_name(&host) && host.parse::<IpAddr>().is_err();
        is_name.then(|| host.into())
    }

    /// The session under an id, outside of any request: for a job, or a message on a socket. `None`: the store has none, or it has
    /// expired. It is as a handle after the response: what it changes is stored by [`update`](SessionHandle::update) and
    /// [`save`](SessionHandle::save), [`destroy`](SessionHandle::destroy) ends it, and what a cookie would have to tell is
    /// [`Error::ResponseOut`].
    ///
    /// ```
    /// # use session_core::{Error, Sessions, Sid};
    /// async fn pay_out(sessions: &Sessions, sid: &Sid) -> Result<(), Error> {
    ///     if let Some(session) = sessions.load(sid).await? {
    ///         session.update("balance", |balance: Option<u64>| balance.unwrap_or(0) + 100).await?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// The store failed, or holds a record that cannot be read and [`CorruptRecord::Fail`] says so. [`Error::NoStore`] where the clients keep
    /// their sessions.
    pub async fn load(&self, sid: &Sid) -> Result<Option<SessionHandle>, Error> {
        self.needs_a_store("load")?;
        if is_no_session(sid.as_str()) {
            return Ok(None);
        }
        let of_record = |secure| Origin { secure, ..Origin::by(Carrier::Application) };
        let arrival = Arrival::of_application(sid.clone());
        let found = match self.arrive(arrival, &of_record(false)).await? {
            Ok(found) => found,
            Err(family) => {
                if family.is_some() {
                    self.warn_former_id(false);
                }
                return Ok(None);
            }
        };
        let origin = of_record(found.record.stored.record.cookie.secure());
        let session = SessionHandle::new(self.clone(), origin, |context| loaded(found, context));
        session.came_late();
        Ok(Some(session))
    }

    /// The session of a [token](SessionHandle::token) that came by none of the request's carriers: in a field of a form, or a message on a
    /// socket. A signed value as a cookie holds it is one as well. `None`: it is none that we signed, or the store has no such session.
    /// It is as one that was [loaded](Self::load).
    ///
    /// To read it keeps no session alive: [`touch`](SessionHandle::touch) and [`save`](SessionHandle::save) it where its use is to count.
    ///
    /// **What this keeps out, and what not.** Another site's page does not know the token of your visitor, and so can send nothing with their
    /// session. But it can send *its own* token, and your visitor then goes on in a session that somebody else reads (login CSRF, session
    /// fixation). Where that matters, look at `Origin` or `Sec-Fetch-Site` as well, or bind the session to a cookie of the browser's.
    ///
    /// **At a login** the session needs an id that nobody knew before. What was resumed has no response that could tell of one
    /// ([`renew_id`](SessionHandle::renew_id) and [`regenerate`](SessionHandle::regenerate) answer [`Error::ResponseOut`]): begin one of the
    /// request's own, and end the other.
    ///
    /// ```
    /// # use session_core::{Error, SessionHandle, Sessions};
    /// async fn log_in(sessions: &Sessions, own: &SessionHandle, token: &str, user: &str) -> Result<Option<String>, Error> {
    ///     own.regenerate().await?;
    ///     own.insert("user", user)?;
    ///     own.save().await?;
    ///     if let Some(before) = sessions.resume(token).await? {
    ///         before.destroy().await?;
    ///     }
    ///     // For the field of the next page.
    ///     own.token()
    /// }
    /// ```
    ///
    /// ```
    /// # use session_core::{Error, Sessions};
    /// async fn vote(sessions: &Sessions, token: &str) -> Result<bool, Error> {
    ///     let Some(session) = sessions.resume(token).await? else { return Ok(false) };
    ///     session.update("votes", |votes: Option<u32>| votes.unwrap_or(0) + 1).await?;
    ///     Ok(true)
    /// }
    /// ```
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    pub async fn resume(&self, token: &str) -> Result<Option<SessionHandle>, Error> {
        self.needs_a_store("resume")?;
        match self.open_token(token.as_bytes()) {
            Some(sid) => self.load(&sid).await,
            None => Ok(None),
        }
    }

    /// Whether a sealed session is among those that have ended.
    pub(super) async fn is_revoked(&self, came: &Came) -> Result<bool, Error> {
        let store = self.sealing().and_then(|sealing| sealing.revocations.as_ref());
        let (Some(store), Some(front)) = (store, &came.front) else { return Ok(false) };
        let answer = store.get(&revocation_of(front).into()).await;
        match &answer {
            Err(StoreError::Unavailable { store, .. }) => self.warn_lost(store),
            _ => self.tell_found(),
        }
        match answer {
            Ok(stored) => Ok(stored.is_some()),
            // Something is written down.
            Err(StoreError::Corrupt { .. }) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the store where a cookie is ours; else, and for what is not there, a new session under a new id.
    pub(crate) async fn load_begun(&self, begun: Begun) -> Result<SessionHandle, Error> {
        let Presented { brought, mut origin, new_sid } = match begun {
            Begun::Stored(presented) => presented,
            Begun::OnTheClient(begun) => {
                let (origin, mut data, mut came) = *begun;
                // One that has ended shall not hide a live one behind it.
                while self.is_revoked(&came).await? {
                    tracing::debug!(why = "it has ended", "session cookie refused");
                    data = came.next_sealed();
                }
                return Ok(SessionHandle::on_the_client(self.clone(), origin, data, came.chosen()));
            }
        };
        // Of several cookies the first counts that is live. Of what a script or an app sends beside them, none is chosen: somebody
        // could have planted the other. One that is dead plants nothing, and refuses nothing.
        let is_of_cookies = |ways: &[Way]| ways.iter().all(|way| way.by == Carrier::Cookie);
        let mut live: Option<(Vec<Way>, Arrived)> = None;
        let mut former: Vec<(Arc<str>, &Brought)> = Vec::new();
        for one in &brought {
            let Brought { sid, by } = one;
            if live.as_ref().is_some_and(|(first, _)| is_of_cookies(first) && is_of_cookies(by)) {
                continue;
            }
            let mut arrival = Arrival::of_request(sid.clone());
            if brought.len() > 1 {
                arrival = arrival.beside_another();
            }
            let found = match self.arrive(arrival, &origin).await? {
                // It has the id as well to which this one leads: that has arrived.
                Ok(found) if found.by_former && brought.iter().any(|other| other.sid == found.sid) => {
                    let arrival = Arrival::of_request(found.sid.clone()).beside_another();
                    match self.arrive(arrival, &origin).await? {
                        Ok(arrived) => Arrived { by_former: true, ..arrived },
                        Err(_) => continue,
                    }
                }
                Ok(found) => found,
                Err(family) => {
                    former.extend(family.map(|family| (family, one)));
                    continue;
                }
            };
            match &mut live {
                None => live = Some((by.clone(), found)),
                // Two ids of one session, of which one leads to the other.
                Some((ways, first)) if first.sid == found.sid => {
                    ways.extend(by.iter().cloned());
                    let by_former = first.by_former || found.by_former;
                    *first = Arrived { by_former, ..found };
                }
                Some(_) => return Err(Error::ConflictingIds),
            }
        }
        // Who brings a former id of the same session by another carrier is to be told there of the one that it has.
        for (family, Brought { sid, by }) in former {
            match &mut live {
                Some((ways, found)) if found.family() == Some(&family) => {
                    // Where it brings both by the same one it has it.
                    let others = by.iter().filter(|way| ways.iter().all(|known| known.by != way.by));
                    let others: Vec<Way> = others.cloned().collect();
                    found.by_former |= !others.is_empty();
                    ways.extend(others);
                }
                // Another one beside it is no excuse.
                _ if self.options().renewal.is_some_and(|renewal| renewal.ends_sessions()) => {
                    drop(self.arrive(Arrival::of_request(sid.clone()), &origin).await?);
                }
                _ => self.warn_former_id(false),
            }
        }
        if let Some((by, found)) = live {
            tracing::debug!("session loaded");
            origin.by = by;
            origin.has_come = true;
            return Ok(SessionHandle::new(self.clone(), origin, |context| loaded(found, context)));
        }
        tracing::debug!("session created");
        let presented = brought.first().map(|brought| brought.sid.clone());
        let sid = new_sid.unwrap_or_else(|| origin.new_sid(self.options()));
        Ok(SessionHandle::new(self.clone(), origin, |context| Life::created(sid, presented, context)))
    }

    /// The session that an id leads to. `Err`: none; with a family where it is a former id.
    async fn arrive(
        &self,
        mut arrival: Arrival,
        origin: &Origin,
    ) -> Result<Result<Arrived, Option<Arc<str>>>, Error> {
        let mut answer = None;
        let outcome = loop {
            match arrival.step(&origin.context(self.options()), answer.take()) {
                Next::Ask(Ask::NewSid) => answer = Some(Answer::NewSid(origin.new_sid(self.options()))),
                Next::Ask(ask) => answer = Some(self.clone().call(ask).await),
                Next::Done(outcome) => break outcome,
            }
        };
        match outcome {
            Ok(Outcome::Session(found)) => Ok(Ok(found)),
            Ok(Outcome::Nothing(Why::Reused(Some(family)))) => Ok(Err(Some(family))),
            Ok(Outcome::Nothing(Why::Reused(None))) => {
                let ends = self.options().renewal.is_some_and(|renewal| renewal.ends_sessions());
                self.warn_former_id(ends);
                Ok(Err(None))
            }
            Ok(Outcome::Nothing(why)) => {
                let why = match why {
                    // It stays: under other limits, and to Express, it lives.
                    Why::Over => "it has lived as long as it may",
                    _ => "unknown to the store, or expired",
                };
                tracing::debug!(why, "session refused");
                Ok(Err(None))
            }
            Err(StoreError::Corrupt { store, source })
                if self.options().corrupt == CorruptRecord::TreatAsMissing =>
            {
                tracing::error!(store, error = source, "a stored record cannot be read: it is left alone");
                Ok(Err(None))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Asks the store, and tells the log when it stops answering and when it answers again.
    pub(super) async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        let answer = self.store().get(sid).await;
        match answer {
            Err(StoreError::Unavailable { store, .. }) => self.warn_lost(store),
            _ => self.tell_found(),
        }
        answer
    }

    /// The ids that the request brought, in the order of the carriers, and by what a new session goes back: all that brought an id of
    /// ours, else the first that brought anything, else the first.
    fn brought(&self, request: &RequestInfo<'_>) -> (Vec<Brought>, Vec<Way>) {
        let carriers = &self.options().carriers;
        let (mut all, mut ways): (Vec<Brought>, Vec<Way>) = (Vec::new(), Vec::new());
        let mut shown = None;
        for by in carriers.iter() {
            let Found { is_there, ids } = match by {
                Carrier::Cookie => self.in_cookies(request),
                header => self.in_headers(request, header),
            };
            if is_there {
                shown = shown.or(Some(by));
            }
            let way = |(sid, keeps): &(Sid, bool)| Way { by: by.clone(), has: keeps.then(|| sid.clone()) };
            ways.extend(ids.first().map(way));
            for id in ids {
                let way = way(&id);
                let (sid, _) = id;
                match all.iter_mut().find(|brought| brought.sid == sid) {
                    Some(brought) => brought.by.push(way),
                    None => all.push(Brought { sid, by: vec![way] }),
                }
            }
        }
        if ways.is_empty() {
            let by = shown.or(carriers.first()).cloned().unwrap_or(Carrier::Cookie);
            ways.push(Way { by, has: None });
        }
        (all, ways)
    }

    fn in_headers(&self, request: &RequestInfo<'_>, by: &Carrier) -> Found {
        let (mut seen, mut is_there) = (0, false);
        let mut ids = Vec::new();
        request.each_header(&mut |name, value| {
            if !by.asked_by().is_some_and(|asked| name.eq_ignore_ascii_case(asked)) {
                return;
            }
            let Some(token) = by.token_of(value).filter(|_| seen < DUPLICATES_LIMIT) else { return };
            seen += 1;
            is_there |= token::has_form(token);
            let sid = self.open_token(token).filter(|sid| ids.iter().all(|(other, _)| other != sid));
            // One of an older secret is replaced while that secret still opens it.
            ids.extend(sid.map(|sid| (sid, token::is_current(&self.options().secrets, token))));
        });
        Found { is_there, ids }
    }

    fn open_token(&self, token: &[u8]) -> Option<Sid> {
        let opened = token::open(&self.options().secrets, token);
        let opened = opened.and_then(|sid| match &*sid {
            key if is_no_session(key) => Err("it is of no session"),
            _ => Ok(sid),
        });
        opened.inspect_err(|why| tracing::debug!(why, "session token refused")).ok().map(Sid::from)
    }

    /// Of one cookie, and under [`DuplicateCookies::FirstVerified`] of the others.
    fn in_cookies(&self, request: &RequestInfo<'_>) -> Found {
        let options = self.options();
        let candidates = match options.duplicates {
            DuplicateCookies::First => 1,
            DuplicateCookies::FirstVerified => DUPLICATES_LIMIT,
        };
        let mut seen = 0;
        let mut ids = Vec::new();
        request.each_header(&mut |name, header| {
            if !name.eq_ignore_ascii_case("cookie") {
                return;
            }
            for value in raw_values(header, &options.name).take(DUPLICATES_LIMIT - seen) {
                seen += 1;
                if seen > candidates {
                    continue;
                }
                let sid = self.verify(decode_up_to(value, VALUE_LIMIT).as_deref());
                let sid = sid.filter(|sid| ids.iter().all(|(other, _)| other != sid));
                ids.extend(sid.map(|sid| (sid, true)));
            }
        });
        if seen > 1 {
            self.warn_duplicates();
        }
        Found { is_there: seen > 0, ids }
    }

    fn verify(&self, value: Option<&str>) -> Option<Sid> {
        let refused = |why| {
            tracing::debug!(why, "session cookie refused");
            None
        };
        let Some(value) = value else { return refused("too long") };
        if !value.starts_with("s:") {
            return refused("not signed");
        }
        match self.options().secrets.unseal(value) {
            None => refused("the signature is not ours"),
            Some("") => refused("the id is empty"),
            Some(key) if is_no_session(key) => refused("it is of no session"),
            Some(sid) => Some(sid.into()),
        }
    }
}

fn loaded(found: Arrived, context: &Context<'_>) -> Life {
    let Arrived { sid, record, by_former } = found;
    let life = Life::loaded(sid, record.stored, record.asked, context);
    if by_former { life.came_by_a_former_id() } else { life }
}

/// What a store has under it is no session, whoever has signed it.
fn is_no_session(sid: &str) -> bool {
    hand_over::is_key(sid) || ids::is_key(sid)
}

pub(super) fn path_matches(path: &str, cookie_path: &str, rule: PathMatch) -> bool {
    let Some(rest) = path.strip_prefix(cookie_path) else { return false };
    match rule {
        PathMatch::Prefix => true,
        // RFC 6265 §5.1.4
        PathMatch::Rfc6265 => rest.is_empty() || rest.starts_with('/') || cookie_path.ends_with('/'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_match_by_prefix_or_by_segment() {
        for (path, cookie_path, prefix, segment) in [
            ("/", "/", true, true),
            ("/any/thing", "/", true, true),
            ("/admin", "/admin", true, true),
            ("/admin/x", "/admin", true, true),
            ("/administrator", "/admin", true, false),
            ("/Admin", "/admin", false, false),
            ("/admin", "/admin/", false, false),
            ("/admin/", "/admin/", true, true),
            ("/admin/x", "/admin/", true, true),
            ("/", "/admin", false, false),
        ] {
            assert_eq!(path_matches(path, cookie_path, PathMatch::Prefix), prefix, "{path} {cookie_path}");
            assert_eq!(path_matches(path, cookie_path, PathMatch::Rfc6265), segment, "{path} {cookie_path}");
        }
    }
}
