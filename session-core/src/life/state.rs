//! What one request knows of its session, and how each answer of the store changes that.
//!
//! [`Life`] is changed by the handler (its data, its cookie) and by answers. When a write goes out, the session is *in
//! doubt* until the answer comes: whoever drops the operation in between leaves it so, and the next operation reads before
//! it writes.

use std::sync::Arc;

use super::{
    Context,
    clocks::Clocks,
    decide::{CONFIRMED_FOR, Facts, Presence, Saved, Writer, kept_to},
    doubt::{Doubt, Few},
    fault::{Fault, planted},
    held::{Held, ROUNDED, Renewed, Span},
    leftovers::Leftovers,
    merge::{changed_keys, either, merge},
};
use crate::{
    options::{
        lifetimes::Limits,
        policy::{Attributes, CookieExpiry, CookieRenewal, ExplicitSave},
    },
    record::{
        Record,
        cookie::{Cookie, Differing},
        data::Data,
        ids::Ids,
        times::Times,
    },
    store::{Expect, Stored, Version},
    wire::{
        date::{self, Millis},
        sid::Sid,
    },
};

#[derive(Clone)]
#[cfg_attr(test, derive(Hash))]
pub(crate) struct Life {
    sid: Sid,
    pub(super) presence: Presence,
    pub(super) standing: Standing,
    /// What the handler sees: what the store held when it was read or written last, with what was changed since.
    view: Arc<Data>,
    /// What the store held then.
    base: Arc<Data>,
    cookie: Cookie,
    /// What may be stored since, without an answer.
    doubt: Doubt,
    /// The handler set cookie attributes in this request …
    cookie_changed: bool,
    /// … and these have not been stored since.
    cookie_unsaved: Differing,
    /// What is stored, or was at first, where that is another cookie.
    recorded: Option<Cookie>,
    /// When the session began, and what goes by that.
    clocks: Clocks,
    /// Which ids it has had, as the record says.
    ids: Option<Arc<Ids>>,
    /// The client has another id of it, and no response has brought it this one yet.
    owes_its_id: bool,
    is_new: bool,
    /// The id in the request's cookie.
    presented: Option<Sid>,
    /// And the session was stored under it: the client's cookie is this session's.
    has_its_cookie: bool,
    /// The data with which the request began: what "changed" is measured against.
    original: Arc<Data>,
    /// The session has the id with which the request began.
    same_id: bool,
    /// What express-session calls the saved hash.
    saved: Option<Arc<Data>>,
    /// This request has given the record its whole lifetime, and nobody has moved its end since.
    renewed: Option<Renewed>,
    /// It has, whatever came since.
    has_renewed: bool,
    /// When the store was last asked of this session, and told that it is there.
    confirmed: Millis,
    /// A cookie that the handler had changed was sent, and no answer came yet …
    cookie_sent: bool,
    /// … nor will one, and it was changed again since.
    cookie_in_doubt: bool,
    /// A call was sent that may have moved the expiry, and no answer came; or one has moved it to where no cookie ends.
    expiry_in_doubt: bool,
    /// A write has kept back a part of the lifetime, which the end of the request is to give: by a write as well, since there
    /// are stores whose touch does nothing.
    has_kept_back: bool,
    pub(super) leftovers: Leftovers,
    /// The version that a call expects which was given up, and may still arrive.
    fence: Option<Version>,
    /// The version that the call expects which is out.
    expected: Option<Version>,
    /// A call of this request has had no answer, and may still arrive.
    has_lost_a_call: bool,
    /// A regeneration was begun, and is not done.
    is_replaced: bool,
    /// `req.session = null` is to destroy the record.
    unset_destroys: bool,
    /// Whether the response has gone out, and if so, whether the client has this session's cookie.
    response: Option<CookieOut>,
    /// The id that the session had then.
    cookie_of: Option<Sid>,
    /// What the end of the request has told of that it was not stored.
    reported: Option<(Arc<Data>, Cookie, Times)>,
    /// And that a record may not be destroyed.
    told_unfinished: bool,
    /// The end of the request failed: it may be tried again.
    end_failed: bool,
}

/// Where the record stands, as far as this request knows.
#[derive(Clone, PartialEq)]
#[cfg_attr(test, derive(Hash))]
pub(crate) enum Standing {
    /// Nothing is stored under the id. `tried`: what was sent to be stored, without an answer; it may still arrive.
    Fresh { tried: Few },
    /// The store holds what is in `base`.
    Held(Held),
    /// A write or a destruction was sent, and its answer is not known, or somebody else wrote: to be read before the next write.
    Doubt { before: Before },
    /// Somebody else ended the session, or it expired. It is never stored again.
    Gone,
}

/// What was known before the doubt.
#[derive(Clone, PartialEq)]
#[cfg_attr(test, derive(Hash))]
pub(crate) enum Before {
    Fresh { tried: Few },
    Held(Held),
}

#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
pub(super) enum CookieOut {
    Sent,
    NotSent,
    /// The client was told that its cookie has expired.
    Expired,
}

/// What the handler saw when a call went out.
#[derive(Clone)]
#[cfg_attr(test, derive(Hash))]
pub(super) struct Seen {
    data: Arc<Data>,
    cookie: Cookie,
}

/// A write that was sent.
#[derive(Clone)]
#[cfg_attr(test, derive(Hash))]
pub(super) struct Sent {
    pub(super) sid: Sid,
    /// What the handler saw when it was sent.
    seen: Arc<Data>,
    /// What was sent.
    pub(super) data: Arc<Data>,
    /// The cookie as the handler had set it, and as it was sent.
    cookie: Cookie,
    pub(super) stamped: Cookie,
    pub(super) times: Times,
    ids: Option<Arc<Ids>>,
    pub(super) at: Millis,
    /// Where the record ends was in doubt before.
    was_in_doubt: bool,
}

impl Sent {
    pub(super) fn record(&self) -> Record {
        let record = Record::new(self.stamped.clone(), Arc::clone(&self.data));
        record.with_times(self.times).with_ids(self.ids.clone())
    }
}

/// What is asked of a session when it is made.
impl Life {
    pub(crate) fn created(sid: Sid, presented: Option<Sid>, context: &Context<'_>) -> Self {
        let cookie = context.new_cookie();
        let clocks = Clocks::new(cookie.lifetime(), context);
        let ids = new_ids(context);
        Self { clocks, ids, ..Self::of(sid, presented, Arc::default(), cookie, context.now) }
    }

    fn of(sid: Sid, presented: Option<Sid>, data: Arc<Data>, cookie: Cookie, now: Millis) -> Self {
        Self {
            sid,
            presence: Presence::Present,
            standing: Standing::Fresh { tried: Few::new() },
            view: Arc::clone(&data),
            base: Arc::clone(&data),
            doubt: Doubt::default(),
            cookie,
            cookie_changed: false,
            cookie_unsaved: Differing::default(),
            recorded: None,
            clocks: Clocks::default(),
            ids: None,
            owes_its_id: false,
            is_new: true,
            presented,
            has_its_cookie: false,
            original: data,
            same_id: true,
            saved: None,
            renewed: None,
            has_renewed: false,
            confirmed: now,
            cookie_sent: false,
            cookie_in_doubt: false,
            expiry_in_doubt: false,
            has_kept_back: false,
            leftovers: Leftovers::default(),
            fence: None,
            expected: None,
            has_lost_a_call: false,
            is_replaced: false,
            unset_destroys: false,
            response: None,
            cookie_of: None,
            reported: None,
            told_unfinished: false,
            end_failed: false,
        }
    }

    /// One that its client keeps. `data`: what came with the request.
    pub(crate) fn on_the_client(sid: Sid, data: Option<Arc<Data>>, cookie: Cookie, now: Millis) -> Self {
        let is_new = data.is_none();
        Self { is_new, ..Self::of(sid, None, data.unwrap_or_default(), cookie, now) }
    }

    /// `asked`: when the store was.
    pub(crate) fn loaded(sid: Sid, stored: Stored, asked: Millis, context: &Context<'_>) -> Self {
        let clocks = Clocks::loaded(stored.record.times, stored.record.cookie.lifetime(), context);
        let bounds = context.bounds(clocks.times(), &stored.record.cookie);
        let held = Held::of(&stored, asked, context.now, None, &bounds);
        let (data, ids) = (stored.record.data, stored.record.ids);
        let cookie = current(stored.record.cookie, context);
        Self {
            ids,
            standing: Standing::Held(held),
            clocks,
            is_new: false,
            has_its_cookie: true,
            saved: (!context.options.resave).then(|| Arc::clone(&data)),
            ..Self::of(sid.clone(), Some(sid), data, cookie, asked)
        }
    }
}

/// Of an id that is given now.
fn new_ids(context: &Context<'_>) -> Option<Arc<Ids>> {
    context.options.renewal.map(|_| Arc::new(Ids::issued_at(context.now)))
}

/// What the handler asks and changes.
impl Life {
    /// The client has come with a former id of it.
    pub(crate) fn came_by_a_former_id(mut self) -> Self {
        self.owes_its_id = !planted(Fault::NewIdNotSent);
        self
    }

    pub(crate) fn sid(&self) -> &Sid {
        &self.sid
    }

    pub(crate) fn is_new(&self) -> bool {
        self.is_new
    }

    pub(crate) fn presence(&self) -> Presence {
        self.presence
    }

    /// The data; of a session that was destroyed or unset, whatever it had.
    pub(crate) fn data(&self) -> &Arc<Data> {
        &self.view
    }

    /// What the store held when it was read or written last.
    pub(crate) fn base(&self) -> &Arc<Data> {
        &self.base
    }

    pub(crate) fn data_mut(&mut self) -> &mut Data {
        Arc::make_mut(&mut self.view)
    }

    pub(crate) fn insert(&mut self, key: &str, json: Box<str>) {
        self.doubt.says(&[key]);
        self.data_mut().insert(key, json);
    }

    /// Answers whether it was there.
    pub(crate) fn remove(&mut self, key: &str) -> bool {
        self.doubt.says(&[key]);
        self.view.contains(key) && self.data_mut().remove(key)
    }

    /// What each of the atomic changes may have stored that are in doubt.
    pub(crate) fn made(&self) -> Few {
        self.doubt.made()
    }

    /// Many keys at once. What is `same` as the handler saw it is a change only while an atomic one is in doubt.
    pub(crate) fn change(
        &mut self,
        removed: &[String],
        put: &[(String, Box<str>)],
        same: &[(String, Box<str>)],
    ) {
        let same = if self.doubt.has_made() { same } else { &[] };
        let keys = removed.iter().chain(put.iter().chain(same).map(|(key, _)| key));
        self.doubt.says(&keys.map(String::as_str).collect::<Vec<_>>());
        let removed: Vec<&str> = removed.iter().map(String::as_str).collect();
        let put: Vec<(&str, &str)> = put.iter().chain(same).map(|(key, json)| (&**key, &**json)).collect();
        self.data_mut().change(&removed, &put);
    }

    pub(crate) fn clear(&mut self, now: Millis) {
        self.clocks.is_nobodys(now);
        self.doubt.says_nothing_is_there();
        self.view = Arc::default();
    }

    /// Other data, in the place of all. `begins_anew`: as another session, also where this one was unset.
    pub(crate) fn replace(&mut self, data: Data, begins_anew: bool, now: Millis) {
        self.clocks.is_nobodys(now);
        self.doubt.says_nothing_is_there();
        self.view = Arc::new(data);
        if begins_anew {
            (self.is_new, self.presence) = (true, Presence::Present);
        }
    }

    /// What an atomic change has made of what was `seen`, on top of what was changed here meanwhile.
    pub(crate) fn takes(&mut self, seen: &Arc<Data>, made: Arc<Data>) {
        self.view =
            if Arc::ptr_eq(&self.view, seen) { made } else { Arc::new(merge(seen, &made, &self.view)) };
    }

    /// The handler has set attributes of the cookie, if only to what they are: nobody knows what its client has.
    pub(crate) fn sets_cookie(&mut self) {
        self.cookie_changed = true;
    }

    /// Also when the session ends.
    pub(crate) fn has_set_lifetime(&self) -> bool {
        self.cookie_unsaved.is_of_the_lifetime()
    }

    /// And when the session ends.
    pub(crate) fn sets_lifetime(&mut self) {
        self.sets_cookie();
        self.cookie_unsaved = self.cookie_unsaved.or(Differing::LIFETIME);
    }

    pub(crate) fn has_set_cookie(&self) -> bool {
        self.cookie_changed
    }

    /// The cookie of a session that its client keeps: `fresh`, and what the handler has set. A max age counts from now, and a date stays
    /// where it is (`is_dated`). A sealed one keeps its lifetime from request to request.
    pub(crate) fn cookie_for_the_client(
        &self,
        fresh: Cookie,
        (is_dated, keeps_its_lifetime): (bool, bool),
        now: Millis,
    ) -> Cookie {
        let mut own = self.cookie.clone();
        if !is_dated {
            own.touch(now);
        }
        let parts = self.cookie_unsaved;
        fresh.with(if keeps_its_lifetime { parts.or(Differing::LIFETIME) } else { parts }, own)
    }

    /// A logout of a session that its client keeps.
    pub(crate) fn ends_on_the_client(&mut self) {
        self.presence = Presence::Destroyed;
    }

    /// Another session, which its client does not have yet.
    pub(crate) fn begins_anew_on_the_client(&mut self, sid: Sid, context: &Context<'_>) {
        self.replace(Data::new(), true, context.now);
        self.sid = sid;
        (self.cookie, self.cookie_changed) = (context.new_cookie(), false);
        self.cookie_unsaved = Differing::default();
    }

    /// It goes on under another id.
    pub(crate) fn is_renamed_on_the_client(&mut self, sid: Sid) {
        self.sid = sid;
        self.sets_cookie();
    }

    /// The response takes these data to the client that keeps them.
    pub(crate) fn goes_to_the_client(&mut self, is_sent: bool) {
        self.base = Arc::clone(&self.view);
        self.cookie_unsaved = Differing::default();
        self.response = Some(if is_sent { CookieOut::Sent } else { CookieOut::NotSent });
    }

    pub(crate) fn cookie(&self) -> &Cookie {
        &self.cookie
    }

    /// What was changed from `before` to `after`: the cookie may have changed meanwhile.
    pub(crate) fn change_cookie(&mut self, before: &Cookie, after: Cookie) {
        let cookie = self.cookie.clone().with(after.differing(before), after);
        let changed = cookie.differing(&self.cookie);
        if !changed.is_nothing() {
            let before = std::mem::replace(&mut self.cookie, cookie);
            if self.cookie_unsaved.is_nothing() {
                self.recorded = Some(before);
            }
            self.cookie_changed = true;
            self.cookie_in_doubt |= self.cookie_sent;
            self.cookie_unsaved = self.cookie_unsaved.or(changed);
        }
    }

    pub(crate) fn touch(&mut self, context: &Context<'_>) {
        self.cookie = self.within_bounds(self.cookie.clone(), context.now, context);
    }

    pub(crate) fn times(&self) -> &Times {
        self.clocks.times()
    }

    /// Its user has just shown who that is; or that counts no more.
    pub(crate) fn is_authenticated(&mut self, is_so: bool, now: Millis) {
        if is_so {
            self.clocks.is_authenticated(now);
        } else if self.times().authenticated().is_some() || self.may_be_stored() {
            self.clocks.is_forgotten(now);
        }
    }

    /// How long it lives at all, by itself; `None`: as the options say.
    pub(crate) fn lives_at_all(&mut self, absolute: Option<Millis>, now: Millis) {
        self.clocks.lives_at_all(absolute, now);
    }

    /// The handler has given it another lifetime than it had before.
    pub(crate) fn is_given_its_lifetime(&mut self, before: Option<Millis>, limits: &Limits) {
        self.clocks.is_given(before, self.cookie.lifetime(), limits);
    }

    /// The handler has just said when it ends at all, which may be past.
    pub(crate) fn has_set_its_end(&self) -> bool {
        self.clocks.has_set_its_end()
    }

    /// It has ended, by another request or by its limits.
    pub(crate) fn is_over(&self, context: &Context<'_>) -> bool {
        self.standing == Standing::Gone || context.has_passed(self.times(), &self.cookie)
    }

    /// When it ends if nobody uses it any more, as far as this request knows; `None`: that is the store's to say.
    pub(crate) fn ends(&self, context: &Context<'_>) -> Option<Millis> {
        if self.is_over(context) {
            return Some(context.now);
        }
        let bounds = context.bounds(self.times(), &self.cookie);
        let last = context.end_of(self.times(), &self.cookie);
        match self.span() {
            Some(span) => span.until.map(|until| bounds.cut(until)).or(last),
            None => {
                let cookie = self.within_bounds(self.cookie.clone(), context.now, context);
                cookie.ends().or(last.filter(|_| self.is_stored()))
            }
        }
    }

    /// This cookie with its whole lifetime from then on, as far as the limits of the session let it.
    fn within_bounds(&self, cookie: Cookie, at: Millis, context: &Context<'_>) -> Cookie {
        let bounds = context.bounds(self.times(), &cookie);
        let mut cookie = if planted(Fault::LimitNotKept) { cookie } else { cookie.within(bounds) };
        cookie.touch(at);
        cookie
    }

    /// A logout: for this request the session is no more. Answers whether it was there until now, or something is left of it.
    pub(crate) fn begins_to_end(&mut self) -> bool {
        let was_there = matches!(self.presence, Presence::Present | Presence::Ending);
        if was_there {
            self.presence = Presence::Ending;
            self.told_unfinished = false;
        }
        was_there || (self.presence == Presence::Destroyed && !self.leftovers.is_empty())
    }

    pub(crate) fn unset(&mut self, destroys: bool) {
        self.unset_destroys = destroys && self.may_be_stored();
        self.told_unfinished &= !self.unset_destroys;
        if self.presence == Presence::Present
            || (self.presence == Presence::Ending && planted(Fault::UnsetForgetsLogout))
        {
            self.presence = Presence::Unset;
        }
    }

    /// How many changes were not stored: keys, the cookie as one, and its times. `req.session = null` drops them on purpose.
    pub(super) fn unsaved(&self) -> usize {
        if self.presence != Presence::Present {
            return 0;
        }
        let keys = if !self.doubt.is_empty() {
            // Of what may be stored, too.
            let all = self.doubt.seen.iter().fold((*self.base).clone(), |all, one| either(&all, one));
            changed_keys(&all, &self.view)
        } else if Arc::ptr_eq(&self.base, &self.view) {
            0
        } else {
            changed_keys(&self.base, &self.view)
        };
        let times = self.clocks.is_unsaved();
        keys + usize::from(!self.cookie_unsaved.is_nothing()) + usize::from(times)
    }

    /// Those of them that nobody was told of.
    pub(crate) fn unreported(&self) -> usize {
        match &self.reported {
            Some((data, cookie, times))
                if same(data, &self.view) && *cookie == self.cookie && times == self.times() =>
            {
                0
            }
            _ => self.unsaved(),
        }
    }

    /// A logout, or another end of a record, was begun, and nobody was told that it may not be done.
    pub(crate) fn is_unfinished(&self) -> bool {
        let is_to_end = match self.presence {
            Presence::Present => self.is_replaced,
            Presence::Unset => self.unset_destroys,
            Presence::Ending => true,
            Presence::Destroyed => false,
        };
        !self.told_unfinished && (is_to_end || !self.leftovers.is_empty())
    }
}

/// What the rules ask.
impl Life {
    #[cfg(test)]
    pub(super) fn came_with(&self) -> Option<&Sid> {
        self.presented.as_ref()
    }

    /// The request came with the id of this session.
    pub(super) fn is_presented(&self) -> bool {
        self.presented.as_ref() == Some(&self.sid)
    }

    pub(super) fn facts(&self, context: &Context<'_>) -> Facts {
        let due = match self.held().map(|held| held.span) {
            Some(Some(span)) => {
                let left = span.surely().map(|until| until.saturating_sub(context.now).max(0));
                // No lifetime reaches beyond the last date, or what the session may live at all.
                let bounds = context.bounds(self.times(), &self.cookie);
                let whole = |lifetime| bounds.cut(date::after(context.now, lifetime)).max(context.now);
                // Held for ever, it would be held as long as it lives.
                let lifetime = span.lifetime.or(bounds.has_end().then_some(Millis::MAX));
                let lifetime = lifetime.map(|lifetime| whole(lifetime) - context.now);
                // The options may say less than they did when it was written. (The clocks of two instances differ.)
                let is_longer = |(left, most): (Millis, Millis)| left > most + ROUNDED.max(most / 100);
                let is_beyond = bounds.is_any() && left.zip(lifetime).is_some_and(is_longer);
                let is_for_ever = bounds.has_end() && left.is_none();
                let beyond_cookies = match (context.options.cookie_expiry, lifetime) {
                    // No cookie tells of more than this, and none is to end while it is in use.
                    (CookieExpiry::Within400Days, Some(lifetime)) => {
                        (lifetime - date::LIFE_OF_A_COOKIE).max(0)
                    }
                    _ => 0,
                };
                let [left, lifetime] = [left, lifetime].map(|time| time.map(|time| time - beyond_cookies));
                is_beyond || is_for_ever || context.options.touch.is_due(left, lifetime)
            }
            Some(None) => {
                let a_while_ago = |at| !(0..CONFIRMED_FOR).contains(&context.now.saturating_sub(at));
                self.renewed.is_none_or(|renewed| a_while_ago(renewed.at))
                    || context.options.touch.is_due(None, None)
            }
            None => context.options.touch.is_due(None, None),
        };
        Facts {
            presence: self.presence,
            cookie_matches: self.is_presented(),
            has_its_cookie: self.has_its_cookie,
            same_id: self.same_id,
            changed: !same(&self.original, &self.view),
            cookie_changed: self.cookie_changed,
            cookie_unsaved: !self.cookie_unsaved.is_nothing(),
            times_changed: self.clocks.is_changed(),
            times_unsaved: self.clocks.is_unsaved(),
            first_seen: self.is_first_seen(),
            cookie_in_doubt: self.cookie_is_in_doubt(),
            owes_its_id: self.owes_its_id,
            saved: match &self.saved {
                None => Saved::Never,
                Some(saved)
                    if same(saved, &self.view)
                        && !self.has_changed_data()
                        && !self.is_to_fence()
                        && !self.has_kept_back =>
                {
                    Saved::Current
                }
                Some(_) => Saved::Stale,
            },
            expires: self.cookie.has_expires(),
            cookie_secure: self.cookie.secure(),
            connection_secure: context.secure,
            // A touch settles what is in doubt.
            touch_due: due || (self.expiry_in_doubt && !planted(Fault::ExpiryInDoubt)),
            stored: self.is_stored(),
            unconfirmed: self.is_unheard(CONFIRMED_FOR, context.now),
            renewed: self.renewed.is_some(),
            has_renewed: self.has_renewed,
            end_known: self.known_end(context).is_some(),
            ended_elsewhere: self.standing == Standing::Gone,
        }
    }

    /// A cookie that the handler had changed was sent to be stored, no answer came, and it was changed again.
    pub(super) fn cookie_is_in_doubt(&self) -> bool {
        self.cookie_in_doubt
    }

    pub(super) fn expiry_is_in_doubt(&self) -> bool {
        self.expiry_in_doubt
    }

    /// The end of the request is to give the rest of the lifetime by a write.
    pub(super) fn has_kept_back(&self) -> bool {
        self.has_kept_back
    }

    /// Whether there is anything to write that the store does not have.
    pub(super) fn has_changes(&self) -> bool {
        !self.cookie_unsaved.is_nothing() || self.clocks.is_unsaved() || self.has_changed_data()
    }

    /// When it has begun was found out by this request, and is to be stored with whatever is.
    pub(super) fn is_first_seen(&self) -> bool {
        self.clocks.is_first_seen()
    }

    /// A call was given up while it was on its way, and what it expects is what is held. It may still arrive, and must then find
    /// another version.
    pub(super) fn is_to_fence(&self) -> bool {
        self.held().is_some_and(|held| Some(&held.version) == self.fence.as_ref())
            && !planted(Fault::NotFenced)
    }

    /// A call that is still on its way names the version that it expects: what is written now must have another one, also
    /// where that is made of the text. A cookie's date makes it differ; without one, the text of the record does: always in
    /// the new profile, and in Express's own only when there is such a call. A date that is kept stands still as well.
    pub(super) fn is_to_differ(&mut self, stamped: &Cookie, context: &Context<'_>) -> bool {
        self.has_lost_a_call |= !self.doubt.is_empty() || self.fence.is_some();
        let with_record = context.options.policies.cookie_renewal == CookieRenewal::WithRecord;
        // The last date that there is for it does not move either.
        let has_no_date = stamped.ends_at_last();
        let stands_still = has_no_date || !stamped.is_whole(context.now);
        (has_no_date && self.has_lost_a_call) || (stands_still && with_record)
    }

    /// The store may hold it under its id.
    pub(super) fn may_be_stored(&self) -> bool {
        !matches!(&self.standing, Standing::Fresh { tried } | Standing::Doubt { before: Before::Fresh { tried } }
            if tried.is_empty())
    }

    /// Data that the store does not have, or may not have: a write without an answer may have stored other ones.
    fn has_changed_data(&self) -> bool {
        !same(&self.base, &self.view) || self.doubt.seen.iter().any(|seen| !same(seen, &self.view))
    }

    /// The store holds it, as far as this request knows.
    pub(crate) fn is_stored(&self) -> bool {
        self.held().is_some()
    }

    /// The store was not heard of this session for so long.
    pub(super) fn is_unheard(&self, long: Millis, now: Millis) -> bool {
        // A clock that was set back says nothing.
        !(0..long).contains(&now.saturating_sub(self.confirmed))
    }

    /// Whether the client has, or is still to get, the cookie of this session.
    pub(super) fn is_reachable(&self) -> bool {
        match self.response {
            None => true,
            Some(CookieOut::Sent) => self.cookie_of.as_ref() == Some(&self.sid) || self.is_presented(),
            Some(CookieOut::NotSent) => self.is_presented(),
            Some(CookieOut::Expired) => false,
        }
    }

    pub(crate) fn is_response_out(&self) -> bool {
        self.response.is_some()
    }

    /// The cookie with its whole lifetime from now on: what every write stores and sends.
    pub(super) fn stamped(&self, context: &Context<'_>) -> Cookie {
        if planted(Fault::OldExpiryWritten) {
            return self.cookie.clone();
        }
        self.within_bounds(self.cookie.clone(), context.now, context)
    }

    /// The cookie that a write stores. After the response no cookie can tell the browser of a new end, and before it the
    /// response may never go out: the record then lives so long that a touch is due for the next request, which tells it; and
    /// never shorter than it did. Without a record there is no cookie to be told apart.
    pub(super) fn stamped_to_write(&self, at_the_end: bool, context: &Context<'_>) -> Cookie {
        let mut stamped = self.stamped(context);
        if let Some((due, held)) = self.kept_end(&stamped, at_the_end, context)
            && let Some(whole) = stamped.expires_at()
        {
            stamped.ends_at(held.clamp(due, whole.max(due)));
        }
        stamped
    }

    /// When a record ends for which a touch is due immediately, and when the one that is held does. `None`: a write is to give
    /// it its whole lifetime.
    fn kept_end(
        &self,
        stamped: &Cookie,
        at_the_end: bool,
        context: &Context<'_>,
    ) -> Option<(Millis, Millis)> {
        let lifetime = stamped.expires_at()?.saturating_sub(context.now);
        let held = self.span()?.surely()?;
        let writer = match (at_the_end, self.is_response_out()) {
            (true, _) => Writer::End,
            (false, true) => Writer::LateHandler,
            (false, false) => Writer::Handler,
        };
        let due = kept_to(writer, &context.options.policies, context.options.touch, lifetime)?;
        Some((date::after(context.now, due), held))
    }

    /// A write that keeps the end of the record, which another request may have moved since it was heard of.
    pub(super) fn is_to_look_at_its_end(&self, at_the_end: bool, context: &Context<'_>) -> bool {
        self.is_unheard(CONFIRMED_FOR, context.now)
            && self.kept_end(&self.stamped(context), at_the_end, context).is_some()
    }

    /// The cookie as the response sends it: it ends when the record does.
    pub(super) fn cookie_to_send(&self, context: &Context<'_>) -> Cookie {
        if planted(Fault::StaleCookieSent) {
            return self.cookie.clone();
        }
        let mut cookie = self.within_bounds(self.cookie.clone(), self.renewed_at(context.now), context);
        if let Some(end) = self.known_end(context) {
            cookie.ends_at(end);
        }
        cookie
    }

    /// When the record ends, where this request has not moved that and goes by what is stored.
    fn known_end(&self, context: &Context<'_>) -> Option<Millis> {
        let with_record = context.options.policies.cookie_renewal == CookieRenewal::WithRecord;
        let kept = with_record && self.renewed.is_none() && !self.expiry_in_doubt;
        let is_stored = kept && self.cookie_unsaved.is_nothing() && self.cookie.expires_at().is_some();
        self.span().and_then(|span| span.until).filter(|_| is_stored)
    }

    /// What may have been moved has the later end: a cookie that outlives its record harms nobody.
    fn renewed_at(&self, now: Millis) -> Millis {
        self.renewed.filter(|_| !self.expiry_in_doubt).map_or(now, |renewed| renewed.at)
    }

    /// And with an error: what is stored, not what was to be.
    pub(super) fn cookie_with_error(&self, context: &Context<'_>) -> Cookie {
        match &self.recorded {
            Some(recorded) if !self.cookie_unsaved.is_nothing() && !planted(Fault::UnsavedCookieSent) => {
                self.within_bounds(recorded.clone(), self.renewed_at(context.now), context)
            }
            _ => self.cookie_to_send(context),
        }
    }
}

/// What each event changes.
impl Life {
    /// A write of `data` goes out: until its answer comes, nobody knows what the store holds.
    pub(super) fn send(&mut self, data: Arc<Data>, stamped: Cookie, now: Millis) -> Sent {
        self.goes_out();
        let sent = Sent {
            sid: self.sid.clone(),
            seen: Arc::clone(&self.view),
            data,
            cookie: self.cookie.clone(),
            stamped,
            times: self.clocks.to_store(),
            ids: self.ids.clone(),
            at: now,
            was_in_doubt: self.expiry_in_doubt,
        };
        let keeps_its_end = |span: Span| span.is_known_to_end(sent.stamped.ends());
        self.expiry_in_doubt |= !self.span().is_some_and(keeps_its_end);
        self.cookie_sent |= !self.cookie_unsaved.is_nothing();
        self.doubt.sent(&sent.data, &self.view);
        if let Standing::Doubt { before: Before::Fresh { tried } } = &mut self.standing {
            tried.push(Arc::clone(&sent.data));
        }
        sent
    }

    /// Where the cookie goes out with every touch, it must be true: a touch with the lifetime that this request read undoes
    /// no lifetime that another one gave. express-session's touch goes by what it read, whatever has happened since.
    pub(super) fn expect_to_touch(&self, context: &Context<'_>) -> Expect {
        match self.held() {
            Some(held)
                if (context.options.policies.cookie_renewal == CookieRenewal::WithRecord
                    && !planted(Fault::TouchUnconditional))
                    // No cookie goes out with an id that leads on.
                    || context.options.renewal.is_some() =>
            {
                Expect::Version(held.version.clone())
            }
            _ => Expect::Anything,
        }
    }

    /// The old record of a renewal is to end, if it is still this one.
    pub(super) fn moves_away(&mut self, version: Version) {
        self.begin_doubt();
        self.fence = Some(version);
    }

    /// A call goes out that changes the record, if it is still the one that is held.
    pub(super) fn goes_out(&mut self) {
        if let Standing::Held(held) = &self.standing {
            self.expected = Some(held.version.clone());
        }
        self.begin_doubt();
    }

    /// It has come back.
    pub(super) fn is_answered(&mut self) {
        self.expected = None;
    }

    fn has_no_doubt(&mut self) {
        self.doubt = Doubt::default();
        (self.cookie_sent, self.cookie_in_doubt) = (false, false);
    }

    pub(super) fn is_to_be_replaced(&mut self) {
        self.is_replaced = true;
        self.told_unfinished = false;
    }

    /// Answers whether the expiry was in doubt before.
    pub(super) fn touch_goes_out(&mut self) -> bool {
        std::mem::replace(&mut self.expiry_in_doubt, true)
    }

    /// The call that went out last has left the record's end where it was.
    pub(super) fn moved_nothing(&mut self, was_in_doubt: bool) {
        self.expiry_in_doubt = was_in_doubt;
    }

    /// A copy under another id: it changes nothing of what is known of this one.
    pub(super) fn copy_to(&self, sid: Sid, stamped: Cookie, context: &Context<'_>) -> Sent {
        let now = context.now;
        Sent {
            sid,
            seen: Arc::clone(&self.view),
            data: Arc::clone(&self.view),
            cookie: self.cookie.clone(),
            stamped,
            times: if planted(Fault::LimitRenewed) { Times::begun_at(now) } else { self.clocks.to_store() },
            ids: new_ids(context),
            at: now,
            was_in_doubt: self.expiry_in_doubt,
        }
    }

    /// A call goes out that changes the record.
    pub(super) fn begin_doubt(&mut self) {
        if planted(Fault::NoDoubt) {
            return;
        }
        let standing = std::mem::replace(&mut self.standing, Standing::Gone);
        self.standing = match standing {
            Standing::Fresh { tried } => Standing::Doubt { before: Before::Fresh { tried } },
            Standing::Held(held) => Standing::Doubt { before: Before::Held(held) },
            Standing::Doubt { before } => Standing::Doubt { before },
            Standing::Gone => Standing::Gone,
        };
    }

    /// A first write was sent and not found: it may still arrive, and then under an id that somebody knows.
    pub(super) fn needs_another_id(&self) -> bool {
        matches!(&self.standing, Standing::Fresh { tried } if !tried.is_empty())
    }

    /// Whether only one write was ever sent under a new id: then what else is found there is not ours.
    pub(super) fn was_first_try(&self) -> bool {
        matches!(&self.standing, Standing::Doubt { before: Before::Fresh { tried } } if tried.len() == 1)
    }

    /// The last call did nothing, and said so: what was known before it holds.
    pub(super) fn nothing_was_done(&mut self, sent: &Sent) {
        self.moved_nothing(sent.was_in_doubt);
        self.doubt.came_to_nothing();
        let standing = std::mem::replace(&mut self.standing, Standing::Gone);
        self.standing = match standing {
            Standing::Doubt { before: Before::Held(held) } => Standing::Held(held),
            Standing::Doubt { before: Before::Fresh { mut tried } } => {
                tried.pop();
                Standing::Fresh { tried }
            }
            other => other,
        };
    }

    /// Somebody else has written since the session was heard of: until it is read, nothing of it is confirmed.
    pub(super) fn is_behind(&mut self) {
        if !planted(Fault::ConfirmedAfterConflict) {
            self.confirmed = Millis::MIN;
        }
    }

    /// Somebody else wrote first: the last write was not done. What they wrote is to be read.
    pub(super) fn was_overtaken(&mut self, sent: &Sent) {
        self.moved_nothing(sent.was_in_doubt);
        if !planted(Fault::OvertakenInDoubt) {
            self.doubt.came_to_nothing();
        }
    }

    /// A write that was the last one sent was done.
    pub(super) fn written(&mut self, sent: &Sent, version: Version, context: &Context<'_>) {
        let span = self.span();
        let keeps_its_end = span.is_some_and(|span| span.surely() == sent.stamped.ends());
        self.view = self.with_view(&sent.seen, &sent.data);
        self.base = Arc::clone(&sent.data);
        self.has_no_doubt();
        // What stands there is no leftover any more.
        self.leftovers.remove(&sent.sid);
        if self.cookie == sent.cookie {
            self.cookie_unsaved = Differing::default();
            // As the record has it.
            self.cookie = sent.stamped.clone();
        } else {
            self.cookie_unsaved = self.cookie_unsaved.and(self.cookie.differing(&sent.cookie));
            self.recorded = Some(sent.cookie.clone());
        }
        self.clocks.written(&sent.times);
        self.standing = Standing::Held(Held::written(version, sent, span));
        if sent.stamped.is_whole(sent.at) {
            self.is_renewed(&sent.stamped, sent.at);
        } else {
            self.has_kept_back |= !keeps_its_end;
            if keeps_its_end {
                self.moved_nothing(sent.was_in_doubt);
            }
            // What this request gave is no more where the record ends.
            let is_still =
                |renewed: &Renewed| sent.stamped.ends() == renewed.end && sent.stamped.is_whole(renewed.at);
            self.renewed = self.renewed.filter(is_still);
        }
        self.confirmed = sent.at;
        self.reported = None;
        if context.options.policies.explicit_save == ExplicitSave::Counts {
            self.same_id = true;
        }
        // Express forgets what was saved of a regenerated session.
        if self.same_id {
            self.saved = Some(Arc::clone(&sent.data));
        }
    }

    /// What was changed here since it was `seen`, on top of these data.
    fn with_view(&self, seen: &Arc<Data>, data: &Arc<Data>) -> Arc<Data> {
        if Arc::ptr_eq(&self.view, seen) { Arc::clone(data) } else { Arc::new(merge(seen, &self.view, data)) }
    }

    /// The store holds this now: what was changed here and not stored yet is applied to it.
    pub(super) fn read(&mut self, stored: Stored, asked: Millis, context: &Context<'_>) {
        if let Some(expected) = self.expected.take()
            && !planted(Fault::LateCallNotFenced)
        {
            self.fence = Some(expected);
        }
        let given = self.renewed.and_then(|renewed| renewed.end);
        // What an answer that took long has said of it may be later.
        let ours = self.span().and_then(|span| span.until).into_iter().chain(given).min();
        let was_held = self.held().is_some();
        if planted(Fault::LifetimeForgotten) && matches!(self.standing, Standing::Doubt { .. }) {
            self.cookie_unsaved = Differing::default();
        }
        let gives = self.cookie_unsaved.is_of_the_lifetime();
        self.clocks.read(stored.record.times, (self.cookie.lifetime(), gives), context);
        let bounds = context.bounds(self.times(), &stored.record.cookie);
        self.standing = Standing::Held(Held::of(&stored, asked, context.now, given, &bounds));
        let follows = context.options.policies.cookie_renewal == CookieRenewal::WithRecord;
        let theirs = self.span().and_then(|span| if follows { span.until } else { span.surely() });
        // Somebody else may have moved it further since, and sent the cookie for it. Stores round to whole seconds. (A cookie that
        // follows the record has the later end where that is not sure: it harms nobody.)
        if ours.zip(theirs).is_some_and(|(ours, theirs)| theirs > ours.saturating_add(ROUNDED))
            && !planted(Fault::CookieSetBack)
        {
            self.renewed = None;
        }
        self.confirmed = asked;
        (self.cookie_sent, self.cookie_in_doubt) = (false, false);
        self.rebase(stored.record.data);
        self.ids = stored.record.ids;
        if !was_held
            && context.options.policies.explicit_save == ExplicitSave::Counts
            && !planted(Fault::FoundNotSaved)
        {
            // A first write whose answer never came was done.
            self.saved = Some(Arc::clone(&self.base));
        }
        let stored = stored.record.cookie;
        let before = self.cookie.lifetime();
        let ours = self.cookie_unsaved;
        self.cookie = if !ours.is_nothing() {
            let stored = current(stored, context);
            let base = if self.cookie_changed && context.attributes == Attributes::Current {
                stored.clone().with_attributes_of(self.cookie.clone())
            } else {
                stored.clone()
            };
            let merged = base.with(ours, self.cookie.clone());
            self.cookie_unsaved = if merged == stored { Differing::default() } else { ours };
            self.recorded = Some(stored);
            merged
        } else if self.cookie_changed && context.attributes == Attributes::Current {
            // What the handler has set lasts for this response.
            stored.with_attributes_of(self.cookie.clone())
        } else {
            current(stored, context)
        };
        // What this request has moved the expiry by was another lifetime.
        self.expiry_in_doubt |= self.renewed.is_some() && before != self.cookie.lifetime();
    }

    /// What was changed here, in the order in which it was, on top of what the store holds.
    fn rebase(&mut self, latest: Arc<Data>) {
        let mut before = std::mem::replace(&mut self.base, Arc::clone(&latest));
        let mut now = latest;
        for changed in self.doubt.seen.iter_mut().chain([&mut self.view]) {
            if !same(&before, changed) {
                now = Arc::new(merge(&before, changed, &now));
            }
            before = std::mem::replace(changed, Arc::clone(&now));
        }
    }

    /// `reload`: the same without what was changed here.
    pub(super) fn take_over(&mut self, stored: Stored, asked: Millis, context: &Context<'_>) {
        if !planted(Fault::ReloadKeepsData) {
            self.view = Arc::clone(&self.base);
        }
        self.reported = None;
        self.has_no_doubt();
        // What was stored of it is still to be sent.
        let is_stored = self.cookie_unsaved.is_nothing() || self.renewed.is_some() || self.expiry_in_doubt;
        let to_be_sent = self.cookie_changed && is_stored;
        if !planted(Fault::ReloadKeepsCookie) {
            self.cookie_changed = false;
            self.cookie_unsaved = Differing::default();
        }
        self.clocks.drops_changes();
        self.read(stored, asked, context);
        self.cookie_changed |= to_be_sent;
    }

    /// The store holds nothing under the id.
    pub(super) fn found_nothing(&mut self) {
        let standing = std::mem::replace(&mut self.standing, Standing::Gone);
        if let Standing::Fresh { tried } | Standing::Doubt { before: Before::Fresh { tried } } = standing
            && (tried.is_empty() || !planted(Fault::FailedFirstWriteEnds))
        {
            self.standing = Standing::Fresh { tried };
        }
    }

    /// This request ended its record.
    pub(super) fn ended_here(&mut self, context: &Context<'_>) {
        self.leave_over(context);
        self.standing = Standing::Fresh { tried: Few::new() };
    }

    /// It has lived as long as it may, if it has. (Where the handler has just said so, the record is to be destroyed.)
    pub(super) fn ends_at_last(&mut self, context: &Context<'_>) {
        let is_over = !self.clocks.has_set_its_end() && context.has_passed(self.times(), &self.cookie);
        if is_over && !planted(Fault::LimitOutlived) {
            self.gone();
        }
    }

    /// Somebody else ended it.
    pub(super) fn gone(&mut self) {
        self.standing = Standing::Gone;
    }

    /// After a merge that left nothing to add, a touch does.
    pub(super) fn is_stored_as_it_is(&mut self) {
        self.saved = Some(Arc::clone(&self.base));
    }

    pub(super) fn touched(&mut self, stamped: &Cookie, now: Millis) {
        let span = self.span();
        if let Standing::Held(held) | Standing::Doubt { before: Before::Held(held) } = &mut self.standing
            && !planted(Fault::TouchForgotten)
        {
            held.span = Span::of(stamped, now, span);
        }
        if stamped.is_whole(now) {
            self.is_renewed(stamped, now);
        }
        self.confirmed = now;
    }

    /// The record has its whole lifetime.
    fn is_renewed(&mut self, stamped: &Cookie, at: Millis) {
        (self.expiry_in_doubt, self.has_kept_back) = (false, false);
        self.renewed = Some(Renewed { at, end: stamped.ends() });
        self.has_renewed = true;
    }

    /// The record was destroyed because its own lifetime had ended: the session may be stored again.
    pub(super) fn expired(&mut self, Seen { data, cookie }: Seen, made: Option<Arc<Data>>) {
        self.standing = Standing::Fresh { tried: Few::new() };
        let data = match made {
            Some(made) => {
                self.view = self.with_view(&data, &made);
                made
            }
            None => data,
        };
        self.base = Arc::clone(&data);
        self.has_no_doubt();
        (self.expiry_in_doubt, self.has_kept_back) = (false, false);
        self.saved = Some(data);
        self.clocks.needs_no_store();
        if self.cookie == cookie {
            self.cookie_unsaved = Differing::default();
        }
    }

    pub(super) fn seen(&self) -> Seen {
        Seen { data: Arc::clone(&self.view), cookie: self.cookie.clone() }
    }

    pub(super) fn leave(&mut self, sid: &Sid) {
        self.told_unfinished = false;
        self.leftovers.add(sid);
    }

    /// What was sent to be stored under a new id may still arrive after it was destroyed. (Under an id that the application
    /// made there may be somebody else's by then.)
    pub(super) fn leave_over(&mut self, context: &Context<'_>) {
        if context.options.genid.is_none()
            && let Standing::Fresh { tried } | Standing::Doubt { before: Before::Fresh { tried } } =
                &self.standing
            && !tried.is_empty()
        {
            let is_known = self.is_presented() || self.cookie_of.as_ref() == Some(&self.sid);
            if is_known { self.leftovers.add(&self.sid) } else { self.leftovers.add_nobodys(&self.sid) }
        }
    }

    /// The record under another id of this session is there still, and ends with it.
    fn leave_former(&mut self) {
        let former = self.ids.as_ref().and_then(|ids| ids.former.clone());
        if let Some(former) = former.filter(|_| !planted(Fault::FormerIdKept)) {
            self.leave(&former);
        }
    }

    /// The record says that the session has gone on under another id.
    pub(super) fn follows(&mut self, next: Sid) {
        let before = std::mem::replace(&mut self.sid, next);
        // The client has come with it, in a way: whoever brings that one is led here.
        if self.presented.as_ref() == Some(&before) {
            self.presented = Some(self.sid.clone());
            self.owes_its_id |= self.response.is_none();
        }
        if self.cookie_of.as_ref() == Some(&before) {
            self.cookie_of = Some(self.sid.clone());
        }
        // What was on its way was so to the record under the old one.
        (self.fence, self.expected) = (None, None);
        self.begin_doubt();
    }

    pub(super) fn destroyed(&mut self, here: bool, context: &Context<'_>) {
        self.leave_over(context);
        self.leave_former();
        self.presence = Presence::Destroyed;
        let was_stored = matches!(
            self.standing,
            Standing::Held(_) | Standing::Doubt { before: Before::Held(_) } | Standing::Gone
        );
        self.standing =
            if here || !was_stored { Standing::Fresh { tried: Few::new() } } else { Standing::Gone };
    }

    /// Another id, no data, the cookie as configured: what a request began with stays what it was.
    pub(super) fn start_over(&mut self, sid: Sid, context: &Context<'_>) {
        self.leave_over(context);
        self.leave_former();
        self.is_replaced = false;
        self.fence = None;
        self.sid = sid;
        self.standing = Standing::Fresh { tried: Few::new() };
        self.is_new = true;
        self.same_id = false;
        self.cookie = context.new_cookie();
        self.cookie_unsaved = Differing::default();
        self.clocks = Clocks::new(self.cookie.lifetime(), context);
        self.ids = new_ids(context);
        self.owes_its_id = false;
        self.view = Arc::default();
        self.base = Arc::clone(&self.view);
        self.has_no_doubt();
        (self.renewed, self.has_renewed) = (None, false);
        (self.expiry_in_doubt, self.has_kept_back) = (false, false);
    }

    /// Nothing was stored yet: only the id changes.
    pub(super) fn rename(&mut self, sid: Sid, context: &Context<'_>) {
        self.leave_over(context);
        self.standing = Standing::Fresh { tried: Few::new() };
        self.sid = sid;
    }

    /// The copy is the session from now on.
    pub(super) fn moved(&mut self, copy: &Sent, version: Version, asked: Millis, context: &Context<'_>) {
        self.leave_former();
        self.sid = copy.sid.clone();
        (self.ids, self.owes_its_id) = (copy.ids.clone(), false);
        self.written(copy, version, context);
        self.confirmed = asked;
        self.is_replaced = false;
        self.fence = None;
        self.same_id = context.options.policies.explicit_save == ExplicitSave::Counts;
        self.saved = Some(Arc::clone(&copy.data));
    }

    /// Whoever waits for the end of the request is told that the data were not stored.
    pub(crate) fn is_told(&mut self) {
        self.reported = Some((Arc::clone(&self.view), self.cookie.clone(), *self.times()));
        self.told_unfinished = true;
    }

    /// The request fails, and the response goes out all the same, unless the end is tried again.
    pub(super) fn end_fails(&mut self) {
        self.end_failed = true;
    }

    /// Somebody else brought it to its end, and whoever waited for that is no more: nobody was told of anything.
    pub(crate) fn end_was_not_heard(&mut self) {
        self.end_failed = true;
        self.cookie_was_refused();
        self.reported = None;
        self.told_unfinished = false;
    }

    /// Whether the end of the request has anything to do: it has not come yet, or it failed.
    pub(super) fn begins_the_end(&mut self) -> bool {
        if std::mem::take(&mut self.end_failed) {
            self.response = None;
        }
        self.response.is_none()
    }

    /// Another request ended it, and may have given the client a cookie of its own.
    pub(super) fn may_not_have_its_cookie(&mut self) {
        self.has_its_cookie = false;
    }

    /// It was to be sent, and cannot be. Answers whether it was.
    pub(crate) fn cookie_was_refused(&mut self) -> bool {
        let was_sent = self.response == Some(CookieOut::Sent);
        if was_sent {
            self.response = Some(CookieOut::NotSent);
        }
        was_sent
    }

    /// The handler has this session since the response went out.
    pub(crate) fn came_late(&mut self) {
        if self.response.is_none() {
            self.response = Some(CookieOut::NotSent);
            self.cookie_of = Some(self.sid.clone());
        }
    }

    pub(super) fn response_out(&mut self, cookie: CookieOut, context: &Context<'_>) {
        self.owes_its_id &= cookie != CookieOut::Sent;
        self.response = Some(cookie);
        self.cookie_of = Some(self.sid.clone());
        self.cookie = self.cookie_to_send(context);
    }

    /// What is held, or was before a doubt.
    fn held(&self) -> Option<&Held> {
        match &self.standing {
            Standing::Held(held) | Standing::Doubt { before: Before::Held(held) } => Some(held),
            _ => None,
        }
    }

    fn span(&self) -> Option<Span> {
        self.held().and_then(|held| held.span)
    }
}

/// The stored cookie with what the configuration has to say of it.
fn current(stored: Cookie, context: &Context<'_>) -> Cookie {
    match context.attributes {
        Attributes::Stored => stored,
        Attributes::Current => stored.with_attributes_of(context.new_cookie()),
    }
}

/// The same data, most often because they are the same place.
pub(super) fn same(one: &Arc<Data>, other: &Arc<Data>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}
