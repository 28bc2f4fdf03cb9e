//! What is promised, held against what happened. The checks look at the store itself, at the moment of each effect, and at
//! what callers were told; they know nothing of how the life of a session works.

use std::fmt;

use super::{
    store::SimStore,
    world::{LIFETIME, Op, Request, Rules, Running, SHORTER, Status, value},
};
use crate::{
    error::Error,
    life::{
        Answer, Ask, Done, Ended, Life,
        decide::{CONFIRMED_AT_THE_END_FOR, CONFIRMED_FOR, Presence},
    },
    store::{Destroyed, Expect, Set, Touched},
    wire::{date::Millis, sid::Sid},
};

/// A promise that was broken.
#[derive(Clone, Debug)]
pub(super) struct Violation(String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Violation {
    pub(super) fn stuck() -> Self {
        Self("somebody waits for ever".into())
    }

    /// But for the numbers.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let words = |text: &str| text.replace(|letter: char| letter.is_ascii_digit(), "");
        words(&self.0) == words(&other.0)
    }

    pub(super) fn endless() -> Self {
        Self("somebody asks the same for ever".into())
    }
}

fn broken<T>(what: impl Into<String>) -> Result<T, Violation> {
    Err(Violation(what.into()))
}

/// What is known of each id, from outside.
#[derive(Clone, Default, Hash)]
pub(super) struct Ghost(Vec<(Sid, About)>);

#[derive(Clone, Default, Hash)]
struct About {
    /// A record was held, and then none any more.
    existed: bool,
    gone: bool,
    /// Something was begun that shortens it, or lengthens it.
    shortened: bool,
    /// … while a request goes on: it may go by what it has read.
    is_changing: bool,
    /// The requests that have set its lifetime to end: they may store it again.
    returns: Vec<usize>,
    /// So may whoever was there first, of a first write that was given up.
    made_anew: bool,
    /// Somebody was told that it has ended, or that it is logged out.
    ended: bool,
    logged_out: bool,
    /// A browser was given its id.
    known: bool,
    /// … with a cookie that had expired by then.
    sent_expired: bool,
    /// The session that was renewed to become this one, and the request that made the record.
    parent: Option<Sid>,
    maker: Option<usize>,
    /// The requests that destroyed its record.
    enders: Vec<usize>,
    /// Until then it must live, and its cookie in the browser.
    deadline: Millis,
    browser_deadline: Millis,
    /// The expiry was moved, and the cookie that goes with it was not sent yet, or never arrived.
    cookie_behind: bool,
    /// The latest end that it has had: who has read that keeps it, whatever has set it back in the moment since.
    latest: Millis,
    /// The record was made by a call that nobody waited for any more.
    made_late: bool,
    /// When it has begun, where it has a limit.
    begun: Option<Millis>,
    /// When its user has last shown who that is, as it was written last.
    authenticated: Option<Millis>,
    /// The expiry of a call that arrived late: it has the lifetime of when it was sent.
    late: Option<Millis>,
}

/// What one request changed that the store shall have.
#[derive(Clone, Default, Hash)]
pub(super) struct Mine {
    /// The last value that it gave to the key.
    wanted: Option<Option<u8>>,
    /// It was in the store since.
    applied: bool,
    /// It was to end the session, or to let go of it.
    ended: bool,
    /// The session was not in the store under this id at some time.
    absent: Option<Sid>,
    let_go: bool,
    /// A logout was begun, and nobody was told that it is done.
    logs_out: bool,
    /// It was to begin anew, and what was before could not be destroyed then.
    is_to_replace: bool,
    /// It has moved the end of the record.
    moved: bool,
    /// When it asked for its last write of the record, where that is not to be touched, and whether its end did.
    wrote: Option<Millis>,
    end_wrote: bool,
    /// The lifetime that it gave the session, until that is stored, and at all.
    lifetime: Option<Millis>,
    gave: Option<Millis>,
    /// When it noted that the user was authenticated, until that is stored, and at all.
    authenticated: Option<Millis>,
    noted: Option<Millis>,
}

impl Mine {
    pub(super) fn wants(&mut self, value: Option<u8>) {
        self.wanted = Some(value);
        self.applied = false;
    }

    pub(super) fn forgets(&mut self) {
        self.wanted = None;
        self.lifetime = None;
        self.authenticated = None;
        self.ended = true;
    }

    pub(super) fn authenticates(&mut self, now: Millis) {
        (self.authenticated, self.noted) = (Some(now), Some(now));
    }

    pub(super) fn begins_logout(&mut self) {
        self.forgets();
        self.logs_out = true;
    }

    pub(super) fn gives_lifetime(&mut self, lifetime: Millis) {
        self.lifetime = Some(lifetime);
        self.gave = Some(lifetime);
    }

    /// A record that it has stored may stay, whoever knows of it.
    pub(super) fn lets_go(&mut self) {
        self.forgets();
        self.let_go = true;
    }

    /// What was under way when an operation was dropped came into the store.
    pub(super) fn arrived(&mut self, late: &Self) {
        self.applied |= late.applied && self.wanted == late.wanted;
        if late.lifetime.is_none() && self.lifetime == late.gave {
            self.lifetime = None;
        }
        if late.authenticated.is_none() && self.authenticated == late.noted {
            self.authenticated = None;
        }
    }

    /// What was there when the request began is there again, and nothing else was sent.
    pub(super) fn wants_nothing(&mut self) {
        self.wanted = None;
        self.applied = false;
    }

    fn is_stored(&mut self) {
        self.lifetime = None;
        self.authenticated = None;
        self.wanted = None;
        self.applied = false;
    }
}

/// One effect on the store.
pub(super) struct Effect<'a> {
    pub(super) rules: &'a Rules,
    pub(super) before: &'a SimStore,
    pub(super) after: &'a SimStore,
    pub(super) now: Millis,
    /// When the question was asked.
    pub(super) asked: Millis,
    pub(super) ask: &'a Ask,
    pub(super) answer: &'a Answer,
    pub(super) op: Op,
    pub(super) request: usize,
    /// The session's id when it was asked.
    pub(super) of: &'a Sid,
    /// Nobody waits for the answer.
    pub(super) late: bool,
    /// And the request has ended well, with the session that it asked this of.
    pub(super) is_settled: bool,
    /// And it has heard of the session since it gave this up.
    pub(super) is_overruled: bool,
    /// When this was asked, the response had gone out: no cookie is to come.
    pub(super) after_response: bool,
    /// The browser's cookie, and when it ends.
    pub(super) jar: Option<&'a (Sid, Option<Millis>)>,
    /// The request has not heard of all that it has done, or in an answer that took long.
    pub(super) is_in_doubt: bool,
}

impl Effect<'_> {
    /// Where no cookie may come a record is held until a touch is due at least. (Longer where it was before, as far as was known
    /// when this was asked.)
    /// `lifetime`: as far as the session may live at all.
    fn is_renewed_in_time(&self, until: Millis, lifetime: Millis) -> bool {
        let due = self.asked + self.rules.kept * lifetime / LIFETIME;
        (due..=self.asked + lifetime).contains(&until)
    }

    /// When the record of this session ended before, and when it does now, with the lifetime that it may have.
    fn ends(&self, sid: &Sid) -> Option<(Millis, Millis, Millis)> {
        let held = |store: &SimStore| {
            let entry = store.held(sid, self.now)?;
            let whole = |lifetime| self.rules.whole(lifetime, self.asked, entry.times.begun());
            Some((entry.until, entry.cookie.lifetime().map(whole)))
        };
        match (held(self.before), held(self.after)) {
            (Some((before, Some(_))), Some((until, Some(lifetime)))) => Some((before, until, lifetime)),
            _ => None,
        }
    }

    /// The response is to bring the cookie, and may never go out: it ends as the record did, and no touch is due immediately
    /// that tells of the new end. (A call that took long may have set the record back, and not the cookie.)
    fn leaves_the_cookie_behind(&self, sid: &Sid, latest: Millis) -> bool {
        let due = |lifetime| self.asked + self.rules.kept * lifetime / LIFETIME;
        let known =
            self.jar.filter(|(held, _)| held == sid).and_then(|(_, until)| *until).unwrap_or_default();
        self.rules.cookie_follows
            && self.op != Op::End
            && !self.after_response
            && self.ends(sid).is_some_and(|(before, until, lifetime)| {
                until > before.max(due(lifetime)).max(known).max(latest)
            })
    }

    /// A record that ends earlier than before has as much left as each write gives at least: from when it was asked for.
    fn takes_what_was_promised(&self, sid: &Sid) -> bool {
        self.ends(sid).is_some_and(|(before, until, lifetime)| {
            until < before.min(self.asked + self.rules.kept * lifetime / LIFETIME)
        })
    }

    /// The record is held for longer than the session may live, or lie unused.
    fn holds_too_long(&self, sid: &Sid) -> bool {
        let Some(entry) = self.after.held(sid, self.now) else { return false };
        let lifetime = entry.cookie.lifetime().or(self.rules.idle());
        let last = lifetime.map(|lifetime| self.asked + lifetime);
        entry.until > self.rules.end(entry.times.begun())
            || (self.rules.idle().is_some() && last.is_some_and(|last| entry.until > last))
    }

    /// Nobody but the request that writes has moved its end: it knows that one, and takes nothing of it.
    fn takes_what_it_gave(&self, sid: &Sid) -> bool {
        let is_own = self.before.held(sid, self.now).is_some_and(|entry| entry.writer == Some(self.request));
        is_own
            && self.rules.cookie_follows
            && !self.is_in_doubt
            && self.ends(sid).is_some_and(|(before, until, _)| until < before)
    }

    /// The record ends later than before, of which no response has told. (What a touch has given in the moment between a look
    /// and a write may be set back.)
    fn moves_its_end(&self, sid: &Sid) -> bool {
        self.ends(sid).is_none_or(|(before, until, _)| before < until)
    }
}

/// When an operation answers its caller.
pub(super) struct Moment<'a> {
    pub(super) rules: &'a Rules,
    pub(super) store: &'a SimStore,
    pub(super) now: Millis,
    pub(super) running: &'a Running,
    /// The request.
    pub(super) at: usize,
    /// The session's id when it began.
    pub(super) before: &'a Sid,
}

impl About {
    fn may_return(&self) -> bool {
        self.made_anew || !self.returns.is_empty()
    }

    /// The shortest one that it was given.
    fn lifetime(&self) -> Millis {
        if self.shortened { SHORTER } else { LIFETIME }
    }

    fn returns_by(&self, request: usize) -> bool {
        self.made_anew || self.returns.contains(&request)
    }
}

impl Ghost {
    pub(super) fn began_with(&mut self, sid: Sid, begun: Option<Millis>) {
        let about = About { existed: true, known: true, begun, ..About::default() };
        self.0.push((sid, about));
    }

    fn about(&mut self, sid: &Sid) -> &mut About {
        let at = self.0.iter().position(|(known, _)| known == sid).unwrap_or_else(|| {
            self.0.push((sid.clone(), About::default()));
            self.0.sort_by(|(one, _), (other, _)| one.cmp(other));
            self.0.iter().position(|(known, _)| known == sid).unwrap_or_default()
        });
        &mut self.0[at].1
    }

    /// A request is served with this session.
    pub(super) fn answers(&self, rules: &Rules, sid: &Sid, now: Millis) -> Result<(), Violation> {
        if rules.end(self.look(sid).begun) <= now {
            return broken("a session was served that had lived as long as it may");
        }
        Ok(())
    }

    /// It knows of no time that a session may lie unused, and goes by that of the store.
    pub(super) fn express_wrote(&mut self, rules: &Rules, sid: &Sid, until: Millis) {
        if rules.idle().is_some() {
            let about = self.about(sid);
            about.deadline = about.deadline.min(until);
            // Until somebody else moves it: who has read the session before does not know.
            about.late = Some(until);
        }
    }

    fn look(&self, sid: &Sid) -> About {
        self.0.iter().find(|(known, _)| known == sid).map(|(_, about)| about.clone()).unwrap_or_default()
    }

    fn is_logged_out(&self, sid: &Sid) -> bool {
        let about = self.look(sid);
        about.logged_out || about.parent.as_ref().is_some_and(|parent| self.is_logged_out(parent))
    }

    pub(super) fn begins(&mut self, op: Op, at: usize, sid: &Sid, present: bool) {
        if !present {
            return;
        }
        match op {
            Op::ExpireNow => {
                self.about(sid).returns.push(at);
                self.about(sid).deadline = 0;
                self.about(sid).browser_deadline = 0;
            }
            Op::Shorten => {
                self.about(sid).shortened = true;
                self.about(sid).is_changing = true;
                self.about(sid).deadline = 0;
                self.about(sid).browser_deadline = 0;
            }
            Op::Lengthen => self.about(sid).is_changing = true,
            _ => {}
        }
    }

    /// What was done to a session was done to it under its next id as well.
    pub(super) fn renamed(&mut self, from: &Sid, to: &Sid) {
        let old = self.look(from);
        let new = self.about(to);
        new.shortened |= old.shortened;
        new.is_changing |= old.is_changing;
        new.returns.extend(old.returns);
        new.made_anew |= old.made_anew;
    }

    /// Every effect changes what the request has changed, and nothing else.
    pub(super) fn effect(
        &mut self,
        effect: &Effect<'_>,
        added: &mut u8,
        mine: &mut Mine,
    ) -> Result<(), Violation> {
        match (effect.ask, effect.answer) {
            (Ask::Set { sid, record, expect }, Answer::Set(Set::Written(_))) => {
                // After the response there is no end that would see to it.
                if effect.is_settled && effect.is_overruled && !effect.after_response && sid == effect.of {
                    return broken("a write that was given up changed the session after its request");
                }
                let parent = self.look(effect.of);
                let about = self.about(sid);
                // Nobody can call back a first write that is on its way for longer than its session lives.
                about.made_anew |= effect.late && *expect == Expect::Nothing && !about.known;
                if about.gone && about.known && !about.returns_by(effect.request) {
                    return broken("a session that was gone was stored again");
                }
                about.ended &= !(about.gone && about.returns_by(effect.request));
                about.existed = true;
                about.gone = false;
                about.made_late |= effect.late;
                about.maker.get_or_insert(effect.request);
                // Of a copy that nobody knows yet that is to be seen when what was there before ends.
                let is_copy = effect.op == Op::Renew && sid != effect.of;
                if about.begun.is_some() && record.times.begun() != about.begun && !is_copy {
                    return broken("a write moved when the session has begun");
                }
                if effect.rules.is_limited() && record.times.begun().is_none() {
                    return broken("a session with a limit has no beginning");
                }
                about.begun = record.times.begun();
                let (was, is) = (about.authenticated, record.times.authenticated());
                if !is_copy && is != was && is != mine.noted && !about.returns_by(effect.request) {
                    return broken(
                        "a write changed when the user was authenticated, which its request did not",
                    );
                }
                about.authenticated = is;
                if mine.authenticated.is_some() && is >= mine.authenticated {
                    mine.authenticated = None;
                }
                if effect.holds_too_long(sid) {
                    return broken("a record is held for longer than its session may live");
                }
                let about = self.about(sid);
                if is_copy {
                    about.parent = Some(effect.of.clone());
                    about.shortened |= parent.shortened;
                    about.is_changing |= parent.is_changing;
                    about.returns.extend(parent.returns);
                    about.made_anew |= parent.made_anew;
                    return Ok(());
                }
                let held = effect.before.held(sid, effect.now).map(|entry| &entry.data);
                let [old, old_count] = ["k", "n"].map(|key| held.and_then(|data| value(data, key)));
                let [new, count] = ["k", "n"].map(|key| value(&record.data, key));
                let returns = held.is_none() && self.look(sid).returns_by(effect.request);
                if new != old && Some(new) != mine.wanted && !returns {
                    return broken(format!(
                        "a write changed a key from {old:?} to {new:?}, which its request did not"
                    ));
                }
                if held.is_some() && count != old_count {
                    let by_one = count.unwrap_or(0) == old_count.unwrap_or(0) + 1;
                    if effect.op != Op::Update || !by_one || *added > 0 {
                        return broken(format!(
                            "a write changed the counter from {old_count:?} to {count:?}"
                        ));
                    }
                    *added += 1;
                } else if held.is_none() {
                    if !returns && count != (effect.op == Op::Update).then_some(1) {
                        return broken(format!("a new record has the counter {count:?}"));
                    }
                    if effect.op == Op::Update {
                        *added = 1;
                    }
                }
                if Some(new) == mine.wanted {
                    mine.applied = true;
                }
                if mine.lifetime.is_some() && record.cookie.lifetime() == mine.lifetime {
                    mine.lifetime = None;
                }
                let before = effect.before.held(sid, effect.now).map(|entry| entry.cookie.lifetime());
                if before.is_some_and(|before| before != record.cookie.lifetime())
                    && mine.gave != record.cookie.lifetime()
                    && effect.rules.cookie_follows
                {
                    return broken("a write changed the lifetime, which its request did not");
                }
                mine.moved |= effect.moves_its_end(sid);
                mine.wrote = (!effect.rules.touches).then_some(effect.asked);
                mine.end_wrote |= !effect.rules.touches && effect.op == Op::End;
                let latest = self.look(sid).latest;
                if effect.leaves_the_cookie_behind(sid, latest) {
                    return broken("a write before the response kept the cookie from being renewed in time");
                }
                let is_changing = mine.gave.is_some() || self.look(sid).is_changing;
                if !is_changing && effect.takes_what_it_gave(sid) {
                    return broken("a write took from a session what its own request had given");
                }
                if effect.takes_what_was_promised(sid) {
                    return broken("a write took from a session what it had left");
                }
                self.late_write(sid, effect);
            }
            // What it was to be is what it is.
            (Ask::Get(sid), Answer::Got(Some(stored))) if sid == effect.of => {
                mine.applied |= Some(value(&stored.record.data, "k")) == mine.wanted;
                if stored.record.cookie.lifetime() == mine.lifetime {
                    mine.lifetime = None;
                }
                if stored.record.times.authenticated() >= mine.authenticated {
                    mine.authenticated = None;
                }
            }
            (Ask::Touch { sid, .. }, Answer::Touched(touched)) => {
                // The lifetime is the record's own, not the one that somebody read before it was given another.
                if let (Touched::Moved, true, Some(entry)) =
                    (touched, effect.rules.cookie_follows, effect.after.held(sid, effect.now))
                    && let Some(lifetime) = entry.cookie.lifetime()
                    && let lifetime = effect.rules.whole(lifetime, effect.asked, entry.times.begun())
                    && entry.until != effect.asked + lifetime
                    && !((effect.after_response || effect.op != Op::End)
                        && effect.is_renewed_in_time(entry.until, lifetime))
                {
                    return broken(format!(
                        "a touch gave a session of {lifetime} ms until {} at {}",
                        entry.until, effect.asked
                    ));
                }
                if *touched == Touched::Moved {
                    if effect.holds_too_long(sid) {
                        return broken("a record is held for longer than its session may live");
                    }
                    mine.moved = true;
                    self.late_write(sid, effect);
                }
            }
            (Ask::Destroy { sid, .. }, Answer::Destroyed(Destroyed::Destroyed)) => {
                let returns = self.look(sid).returns_by(effect.request);
                if !effect.late && !returns && effect.op == Op::Renew && sid == effect.of {
                    self.moved(sid, effect, mine)?;
                }
                if effect.late && effect.op == Op::Renew && sid == effect.of && effect.is_settled && !returns
                {
                    return broken("a renewal that was given up ended the session after its request");
                }
                // What nobody was given is nobody's.
                let is_over = effect.rules.end(self.look(sid).begun) <= effect.now;
                let wanted = mine.ended || returns || is_over || !self.look(sid).known;
                let ends = matches!(effect.op, Op::Destroy | Op::Renew | Op::Regenerate);
                if !ends && sid == effect.of && !wanted && !effect.late {
                    return broken("a request destroyed its session, which nobody had asked for");
                }
                let about = self.about(sid);
                about.gone = true;
                if !about.enders.contains(&effect.request) {
                    about.enders.push(effect.request);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What arrives late has the lifetime of when it was sent.
    fn late_write(&mut self, sid: &Sid, effect: &Effect<'_>) {
        let Some(entry) = effect.after.held(sid, effect.now) else { return };
        let until = entry.until;
        let about = self.about(sid);
        about.latest = about.latest.max(until);
        about.cookie_behind |= !effect.after_response && effect.moves_its_end(sid);
        if effect.asked == effect.now {
            about.late = None;
            return;
        }
        about.late = Some(until);
        about.deadline = about.deadline.min(until);
        about.browser_deadline = about.browser_deadline.min(until);
    }

    /// The old record ends: the new one has all of it.
    fn moved(&mut self, old: &Sid, effect: &Effect<'_>, mine: &mut Mine) -> Result<(), Violation> {
        // The last id that the request made.
        let new = self
            .0
            .iter()
            .rfind(|(_, about)| about.parent.as_ref() == Some(old) && about.maker == Some(effect.request));
        let new = new.filter(|(_, about)| !about.gone);
        let Some(new) = new.and_then(|(sid, _)| effect.after.held(sid, effect.now)) else {
            // The copy expired meanwhile.
            return Ok(());
        };
        let Some(old) = effect.before.held(old, effect.now) else { return Ok(()) };
        let (kept, was) = (value(&new.data, "k"), value(&old.data, "k"));
        if kept != was && Some(kept) != mine.wanted {
            return broken(format!("a renewal made {kept:?} of {was:?}"));
        }
        if value(&new.data, "n") != value(&old.data, "n") {
            return broken("a renewal lost an update");
        }
        if new.times.begun() != old.times.begun() && old.times.begun().is_some() {
            return broken("a renewal moved when the session has begun");
        }
        if new.times.authenticated() < old.times.authenticated() {
            return broken("a renewal lost that its user was authenticated");
        }
        if Some(kept) == mine.wanted {
            mine.applied = true;
        }
        Ok(())
    }

    /// After each step.
    pub(super) fn look_around(
        &mut self,
        rules: &Rules,
        store: &SimStore,
        now: Millis,
        requests: &mut [Request],
        calls_are_late: bool,
    ) -> Result<(), Violation> {
        let goes_on = |request: &Request| match request.status {
            Status::NotBegun | Status::Ended => false,
            // What it asked for last may be on its way yet.
            Status::Left => calls_are_late,
            _ => true,
        };
        // A browser to which no response came is behind until one does, whoever else sends what he knows.
        let at_rest =
            requests.iter().all(|request| matches!(request.status, Status::NotBegun | Status::Ended));
        for (sid, about) in &mut self.0 {
            about.is_changing &= !at_rest;
            let held = store.held(sid, now).is_some();
            if !held && about.existed && !about.gone {
                let expiring = about.returns.iter().any(|at| goes_on(&requests[*at]));
                if now < about.deadline && !about.made_anew && !expiring {
                    return broken(format!("a session in use ended {} ms too early", about.deadline - now));
                }
                about.gone = true;
                about.latest = 0;
            }
            // A new record that is still on its way when its session is destroyed is one that nobody can find.
            let lost = !about.known && about.maker.is_none_or(|maker| requests[maker].faulty);
            if held && about.ended && !lost {
                return broken("a session lives after its end was told");
            }
        }
        for request in requests {
            if let Some(life) = &request.life {
                let about = self.0.iter().find(|(sid, about)| sid == life.sid() && about.existed);
                let is_over = rules.end(life.times().begun()) <= now;
                if about.is_some() && (is_over || store.held(life.sid(), now).is_none()) {
                    request.mine.absent = Some(life.sid().clone());
                }
            }
        }
        Ok(())
    }

    pub(super) fn sent(
        &mut self,
        rules: &Rules,
        world: (&SimStore, Option<&(Sid, Option<Millis>)>),
        now: Millis,
        at: usize,
        ended: &Ended,
        (request, running): (&Request, &Running),
    ) -> Result<(), Violation> {
        let (store, jar) = world;
        if ended.cookie.expires_at().is_some_and(|at| at <= now) {
            // The client had it, if only for a moment.
            self.about(&ended.sid).known = true;
            self.about(&ended.sid).sent_expired = true;
            return Ok(());
        }
        // What the store said a moment ago may have changed since, as it may while the response is on its way.
        let just_heard = now - request.heard < CONFIRMED_FOR && !request.is_behind;
        let trusted =
            if rules.cookie_follows { now - request.asked < CONFIRMED_AT_THE_END_FOR } else { just_heard };
        // A store that is slow is not asked for ever: a cookie that stayed away would log out who is there.
        let trusted = trusted || running.slow > 1;
        if self.is_logged_out(&ended.sid) && !trusted {
            return broken("a cookie was sent for what a logout had ended");
        }
        let about = self.about(&ended.sid);
        about.known = true;
        let expires = ended.cookie.expires_at();
        // Where there is no later end, no touch will ever tell again of one that was not heard.
        let is_later = |end: Millis| store.held(&ended.sid, now).is_some_and(|entry| entry.until > end);
        about.cookie_behind = rules.is_limited() && expires.is_some_and(is_later);
        if let (Some((held, Some(until))), Some(expires)) = (jar, expires)
            && *held == ended.sid
            && rules.cookie_follows
            && expires < (*until).min(rules.end(about.begun))
            // A call has the lifetime of when it was sent.
            && !just_heard
            && !about.is_changing
            && !about.returns_by(at)
        {
            return broken(format!("the browser's cookie was set back from {until} to {expires}"));
        }
        if let (Some((held, Some(until))), Some(expires), false) = (jar, expires, rules.touches)
            && *held == ended.sid
            && expires < *until
        {
            // Of two responses at the same time, the browser believes the one that comes last; no touch sends another.
            about.browser_deadline = about.browser_deadline.min(expires);
        }
        if about.ended && !trusted && !about.returns_by(at) {
            return broken("a cookie was sent for a session whose end was told");
        }
        // Where its end is in doubt, a cookie that outlives its record harms nobody.
        let in_doubt =
            |life: &Life| life.expiry_is_in_doubt() || (request.faulty && life.cookie_is_in_doubt());
        let is_in_doubt = request.life.as_ref().is_some_and(in_doubt);
        // Nor does one that goes by an answer, and outlives it by no more than that took.
        let took = request.took;
        match store.held(&ended.sid, now) {
            Some(entry)
                if ended.error.is_some()
                    && rules.cookie_follows
                    && entry.writer == Some(at)
                    && entry.cookie.lifetime() != ended.cookie.lifetime()
                    // It may be what was sent last, and never answered; or before that.
                    && request.life.as_ref().map(|life| life.cookie().lifetime()) != Some(entry.cookie.lifetime())
                    && !request.life.as_ref().is_some_and(Life::cookie_is_in_doubt) =>
            {
                broken("a cookie was sent with an error, and its lifetime is not stored")
            }
            Some(entry)
                if (rules.cookie_follows || !(about.is_changing || about.returns_by(at)))
                    && !running.faulty
                    && entry.writer == Some(at)
                    && expires.is_some_and(|at| {
                        at != entry.until && !(at > entry.until && (is_in_doubt || at <= entry.until + took))
                    }) =>
            {
                broken(format!("the cookie ends at {expires:?}, its record at {}", entry.until))
            }
            None if !about.gone && expires.is_some_and(|at| at > now) && rules.cookie_follows => {
                broken("a cookie was sent, and nothing is stored")
            }
            _ => Ok(()),
        }
    }

    /// The browser is told to forget its cookie.
    pub(super) fn removed(
        &self,
        rules: &Rules,
        store: &SimStore,
        now: Millis,
        sid: &Sid,
        jar: Option<&(Sid, Option<Millis>)>,
        at: usize,
    ) -> Result<(), Violation> {
        let is_over = |sid: &Sid| rules.end(self.look(sid).begun) <= now;
        let lives =
            |sid: &Sid| store.held(sid, now).is_some() && !self.look(sid).returns_by(at) && !is_over(sid);
        // Of a logout and a login at the same time, the browser believes the response that comes last.
        let ended_something = self.0.iter().any(|(_, about)| about.known && about.enders.contains(&at));
        if lives(sid) || jar.is_some_and(|(held, _)| lives(held) && !ended_something) {
            return broken("the browser was told to forget a session that lives");
        }
        Ok(())
    }

    /// The client has left.
    pub(super) fn lost(&mut self, sid: &Sid) {
        self.about(sid).cookie_behind = true;
    }

    pub(super) fn not_sent(
        &mut self,
        rules: &Rules,
        (store, jar): (&SimStore, Option<&(Sid, Option<Millis>)>),
        now: Millis,
        at: usize,
        request: &Request,
        faulty: bool,
    ) -> Result<(), Violation> {
        let Some(life) = &request.life else { return Ok(()) };
        let held = store.held(life.sid(), now);
        // Somebody else has told the browser of this very end.
        let is_told =
            jar.is_some_and(|(of, until)| of == life.sid() && *until == held.map(|entry| entry.until));
        let wrote = held.is_some_and(|entry| entry.writer == Some(at));
        let moved = wrote && request.mine.moved;
        if (faulty && !is_told) || (moved && life.presence() != Presence::Present) {
            self.lost(life.sid());
        }
        if rules.cookie_follows
            && moved
            && life.cookie().has_expires()
            && !faulty
            && life.presence() == Presence::Present
            && !is_told
        {
            return broken("the record's expiry was moved, and the cookie was not sent");
        }
        Ok(())
    }

    /// The browser keeps its cookie for as long as the session is promised to live.
    pub(super) fn browser(
        &self,
        rules: &Rules,
        now: Millis,
        jar: Option<&(Sid, Option<Millis>)>,
    ) -> Result<(), Violation> {
        let Some((sid, Some(until))) = jar else { return Ok(()) };
        let about = self.look(sid);
        if rules.cookie_follows
            && *until <= now
            && now < about.browser_deadline
            && !about.gone
            && !about.made_anew
            && !about.cookie_behind
            && !about.is_changing
        {
            return broken(format!(
                "the browser's cookie ended at {until}, and the session is promised until {}",
                about.browser_deadline
            ));
        }
        Ok(())
    }

    /// An operation has answered its caller.
    pub(super) fn done(
        &mut self,
        moment: &Moment<'_>,
        request: &mut Request,
        done: &Result<Done, Error>,
    ) -> Result<(), Violation> {
        let Moment { rules, store, now, running, before, .. } = *moment;
        let Some(life) = &request.life else { return Ok(()) };
        let is_over = rules.end(life.times().begun()) <= now;
        let expired = is_over || life.cookie().lifetime().is_some_and(|ms| ms <= 0);
        let sid = life.sid().clone();
        let op = running.op;
        if op == Op::Renew && *before != sid {
            self.renamed(before, &sid);
        }
        match done {
            Err(error) => return self.failed(&sid, request, (running, is_over), error),
            Ok(Done::Ended(ended)) => return self.ended(moment, request, ended, expired),
            Ok(Done::Ok) => {}
        }
        // Since this was done, a request that had let the session expire has stored it again.
        let is_back = {
            let about = self.look(before);
            let was_gone = running.saw_nothing || about.enders.contains(&moment.at);
            was_gone && store.held(before, now).is_some() && about.may_return()
        };
        match op {
            Op::Update | Op::Save | Op::Renew if !expired => {
                let stored = request.mine.wanted.is_none()
                    || request.mine.applied
                    || store
                        .held(&sid, now)
                        .is_some_and(|entry| Some(value(&entry.data, "k")) == request.mine.wanted);
                let never_stored = op == Op::Renew && store.held(&sid, now).is_none();
                if !stored && !never_stored {
                    return broken(format!("{op:?} was acknowledged, and a change is not stored"));
                }
                if op == Op::Update && running.added != 1 {
                    return broken(format!("an update was acknowledged and counted {} times", running.added));
                }
                let lifetime = store.held(&sid, now).map(|entry| entry.cookie.lifetime());
                if let (Some(wanted), Some(held)) = (request.mine.lifetime, lifetime)
                    && held != Some(wanted)
                {
                    return broken(format!(
                        "{op:?} was acknowledged, and the lifetime is {held:?}, not {wanted}"
                    ));
                }
                let authenticated = store.held(&sid, now).map(|entry| entry.times.authenticated());
                if request.mine.authenticated.is_some()
                    && authenticated.is_some_and(|held| held < request.mine.authenticated)
                {
                    return broken(format!(
                        "{op:?} was acknowledged, and who has shown who that is is not stored"
                    ));
                }
                if !never_stored {
                    request.mine.is_stored();
                    match op {
                        Op::Renew => {
                            request.knows(store.held(&sid, now).and_then(|entry| value(&entry.data, "k")));
                        }
                        // A touch does not say what it has found.
                        _ => request.has_no_doubt(),
                    }
                }
                if op != Op::Renew {
                    self.promise(rules, &request.mine, &sid, running.began);
                }
            }
            Op::Reload => {
                request.mine.is_stored();
                request.mine.gave = None;
                // As it was read: somebody else may have written since.
                let seen = value(life.data(), "k");
                request.knows(running.read);
                if running.read != seen {
                    return broken("a reload was acknowledged, and the handler sees something else");
                }
            }
            Op::Regenerate => {
                request.mine.is_stored();
                request.knows(None);
            }
            Op::Destroy => {
                request.mine.forgets();
                request.mine.logs_out = false;
                self.about(before).logged_out |= !is_back;
                let copy = store.live(now).any(|(copy, _)| {
                    let about = self.look(copy);
                    about.maker == Some(moment.at) && !about.known && !about.made_late && copy != before
                });
                if copy {
                    return broken("a logout was acknowledged, and what a renewal had copied lives");
                }
            }
            _ => {}
        }
        if matches!(op, Op::Regenerate | Op::Renew) && *before == sid && !expired {
            return broken(format!("{op:?} was acknowledged, and the id is the same"));
        }
        if matches!(op, Op::Regenerate | Op::Destroy | Op::Renew) && (op == Op::Destroy || *before != sid) {
            // What came late, under an id that nobody was given, logs nobody in.
            let about = self.look(before);
            if store.held(before, now).is_some() && !is_back && (about.known || !about.made_late) {
                return broken(format!("{op:?} was acknowledged, and the session lives"));
            }
            self.about(before).ended = !is_back;
        }
        if self.is_logged_out(&sid) && op == Op::Renew {
            return broken("a renewal brought back what a logout had ended");
        }
        Ok(())
    }

    fn promise(&mut self, rules: &Rules, mine: &Mine, sid: &Sid, from: Millis) {
        // Without touches a session lives from its last write on.
        let Some(from) = (if rules.touches { Some(from) } else { mine.wrote }) else { return };
        let about = self.about(sid);
        let lifetime = about.lifetime();
        if about.existed && !about.gone {
            let until = from + rules.kept * rules.whole(lifetime, from, about.begun) / LIFETIME;
            about.deadline = about.deadline.max(about.late.map_or(until, |late| late.min(until)));
        }
    }

    /// An error has a reason.
    fn failed(
        &self,
        sid: &Sid,
        request: &mut Request,
        (running, is_over): (&Running, bool),
        error: &Error,
    ) -> Result<(), Violation> {
        let because = match error {
            Error::Store(_) => running.faulty,
            // The copy of a renewal may have expired before the old record was ended.
            Error::Gone => {
                is_over
                    || request.mine.absent.as_ref() == Some(sid)
                    || (running.op == Op::Renew && running.saw_nothing)
            }
            Error::Destroyed => request.mine.ended,
            // Another id, or what no browser can come back to.
            Error::ResponseOut => {
                let to_another_id = matches!(running.op, Op::Renew | Op::Regenerate);
                let about = self.look(sid);
                let unreachable = !about.known || about.sent_expired || about.may_return();
                request.status == Status::Ended && (to_another_id || unreachable)
            }
            Error::NotStored => running.saw_nothing,
            _ => false,
        };
        if !because {
            return broken(format!("{:?} failed without a reason: {error}", running.op));
        }
        if matches!((running.op, error), (Op::Destroy, Error::Gone)) {
            request.mine.logs_out = false;
        }
        match (running.op, error) {
            (Op::Destroy, Error::Store(_) | Error::Gone) => request.mine.forgets(),
            (Op::Regenerate, Error::Store(_)) => {
                request.mine.is_to_replace = true;
                request.mine.is_stored();
                request.knows(None);
            }
            _ => {}
        }
        Ok(())
    }

    fn ended(
        &mut self,
        moment: &Moment<'_>,
        request: &mut Request,
        ended: &Ended,
        expired: bool,
    ) -> Result<(), Violation> {
        let Moment { rules, store, now, running, .. } = *moment;
        let Some(life) = &request.life else { return Ok(()) };
        let sid = life.sid().clone();
        let present = life.presence() == Presence::Present;
        if let Some(error) = &ended.error {
            let is_over = rules.end(life.times().begun()) <= now;
            return self.failed(&sid, request, (running, is_over), error);
        }
        if request.mine.logs_out && store.held(&sid, now).is_some() && !self.look(&sid).may_return() {
            return broken("a logout was begun, and nobody was told that it is not done");
        }
        let left = store.live(now).any(|(left, _)| {
            let about = self.look(left);
            *left != sid && !about.known && !about.made_late && about.maker == Some(moment.at)
        });
        if left && !(ended.leaves_over && running.faulty) {
            return broken("the request has ended, and left a record behind");
        }
        // What the client came with, and may come with again. (Not what came back since this request found nothing there.)
        let came_with = life.came_with().filter(|came_with| **came_with != sid);
        let lives = |sid: &Sid| {
            let about = self.look(sid);
            let is_over = rules.end(about.begun) <= now;
            store.held(sid, now).is_some() && !about.made_late && !about.may_return() && !is_over
        };
        if present && request.mine.is_to_replace && came_with.is_some_and(lives) {
            return broken("the request has ended under another id, and the one before lives on");
        }
        let held = store.held(&sid, now);
        let there = Some(held.and_then(|entry| value(&entry.data, "k"))) == request.mine.wanted
            // What it began with is there again, and nothing is there to have it.
            || (held.is_none() && request.mine.wanted == Some(request.loaded));
        // What stands under an id that nobody was given is nobody's.
        let (known, returns) = (self.look(&sid).known, self.look(&sid).returns_by(moment.at));
        if present
            && known
            && !returns
            && !expired
            && request.mine.wanted.is_some()
            && !request.mine.applied
            && !there
        {
            if ended.dropped == 0 {
                return broken("a change was dropped in silence");
            }
            if request.mine.absent.as_ref() != Some(&sid) {
                return broken("a change was dropped without a reason");
            }
        }
        if present
            && known
            && !returns
            && !expired
            && rules.cookie_follows
            && let (Some(wanted), Some(held)) = (request.mine.lifetime, held)
            && held.cookie.lifetime() != Some(wanted)
        {
            if ended.dropped == 0 {
                return broken("a lifetime was dropped in silence");
            }
            if request.mine.absent.as_ref() != Some(&sid) {
                return broken("a lifetime was dropped without a reason");
            }
        }
        if present
            && known
            && !returns
            && !expired
            && request.mine.authenticated.is_some()
            && held.is_some_and(|held| held.times.authenticated() < request.mine.authenticated)
        {
            if ended.dropped == 0 {
                return broken("who has shown who that is was dropped in silence");
            }
            if request.mine.absent.as_ref() != Some(&sid) {
                return broken("who has shown who that is was dropped without a reason");
            }
        }
        request.mine.is_stored();
        // A session that was stored by an explicit save begins to end then, in Express. (One that was gone for this request is back
        // without it.)
        if present && held.is_some() && known && !ended.gone && (rules.cookie_follows || life.is_presented())
        {
            // A request that was not heard of since another gave it a shorter life goes by what it knows.
            let from =
                if self.look(&sid).shortened { running.began.min(request.heard) } else { running.began };
            self.promise(rules, &request.mine, &sid, from);
            let about = self.about(&sid);
            if rules.touches || request.mine.end_wrote {
                let whole = rules.whole(about.lifetime(), running.began, about.begun);
                let kept = running.began + rules.kept * whole / LIFETIME;
                about.browser_deadline = about.deadline.min(kept);
            }
        }
        Ok(())
    }

    /// When nothing more happens.
    pub(super) fn at_rest(
        &self,
        store: &SimStore,
        now: Millis,
        requests: &[Request],
    ) -> Result<(), Violation> {
        for (sid, _) in store.live(now) {
            let about = self.look(sid);
            let excused =
                about.maker.is_some_and(|maker| requests[maker].faulty || requests[maker].mine.let_go);
            if !about.known && !excused {
                return broken("a record is left that nobody knows the id of");
            }
            if self.is_logged_out(sid) && (about.known || !excused) {
                return broken("a logout left a live successor");
            }
        }
        Ok(())
    }
}
