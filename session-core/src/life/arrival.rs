//! A request comes with an id: the session that it leads to. Where ids are renewed in time that may have gone on under another one, and now
//! and then it gets another.
//!
//! ```text
//! renewal:  the record under the new id, which nobody knows yet; then, on the condition that nobody wrote to it in between, the record
//!           under the old id says where the session has gone on. That is the moment. It keeps its data for Express.
//! arrival:  somebody comes with the new id: from then on the grace of the old one is counted.
//! ```
//!
//! Every reader follows from the old record to the new one, in whatever operation it finds it. As long as the old id is served, its record is
//! looked at with each request: whoever has ended that, has ended the session. Like an operation this asks, and may be dropped anywhere.

use std::{sync::Arc, time::Duration};

use super::{
    Answer, Ask, Context,
    clocks::Clocks,
    fault::{Fault, planted},
    held::Held,
};
use crate::{
    error::StoreError,
    options::policy::Attributes,
    record::{
        Record,
        cookie::{Bounds, Cookie},
        data::Data,
        ids::{Ids, changed_since, digests_of, family_of, key_of_family, key_of_former},
    },
    store::{Destroyed, Expect, Set, Stored, Version},
    wire::{
        date::{self, CLOCKS_DIFFER, Millis},
        sid::Sid,
    },
};

/// So many ids are followed. (One leads to another before that is renewed, and not after.)
pub(super) const HOPS: u8 = 4;
/// So often it is read again because somebody else has written.
const READS: u8 = 8;
/// For so long, in milliseconds, an id is known as a former one, where the session has no end: 30 days.
const KNOWN_FOR: Millis = 30 * 86_400_000;

/// What a request has come with, on its way to the session.
#[derive(Clone)]
#[cfg_attr(test, derive(Hash))]
pub(crate) struct Arrival {
    presented: Sid,
    /// A response can bring another id.
    is_request: bool,
    /// A former id that is used may end the session.
    may_end: bool,
    may_renew: bool,
    has_claimed: bool,
    hops: u8,
    reads: u8,
    asked: Millis,
    stage: Stage,
}

/// The session that was found.
#[derive(Clone)]
#[cfg_attr(test, derive(Hash))]
pub(crate) struct Found {
    pub(crate) sid: Sid,
    pub(crate) record: Read,
    /// The client has another id of it, and is to be sent this one.
    pub(crate) by_former: bool,
}

/// A record as the store has answered it, and when it was asked.
#[derive(Clone)]
pub(crate) struct Read {
    pub(crate) stored: Stored,
    pub(crate) asked: Millis,
}

#[cfg(test)]
impl std::hash::Hash for Read {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let Stored { record, version, left, lifetime } = &self.stored;
        (&record.data, &record.cookie, &record.times, &record.ids, version, left, lifetime, self.asked)
            .hash(state);
    }
}

/// The record under another id of the session.
#[derive(Clone)]
#[cfg_attr(test, derive(Hash))]
struct Old {
    sid: Sid,
    record: Read,
}

/// What was asked last, and what is known until then.
#[derive(Clone)]
#[cfg_attr(test, derive(Hash))]
enum Stage {
    Begin,
    Reading,
    /// Nothing is there: whether it was an id once.
    Unknown,
    /// It is that of a session which has gone on, and its record is gone.
    Orphaned(Sid),
    /// The record under the old id says where the session has gone on.
    Following(Box<(Old, Sid)>),
    /// Somebody comes with the id that a session has: is the record under its old one still there?
    LookingBack(Box<Found>),
    /// It leads elsewhere: what does the note say?
    Verifying(Box<(Found, Old)>),
    /// What was written under the old id is brought along.
    Merging(Box<(Found, Old)>),
    /// And who wrote it has forgotten where the session has gone on.
    Pointing(Box<(Found, Old)>),
    KeepingAlive(Box<Found>),
    /// The new id has arrived.
    Arriving(Box<Found>),
    /// And the grace of the old one is over: a note says that it was one, its record goes, and then it is forgotten.
    Burying(Box<Found>),
    Naming(Box<Found>),
    Removing(Box<Found>),
    Closing(Box<Found>),
    /// The record under the old id is gone: is that what the note says?
    Missing(Box<Found>),
    /// Its id is old: was it renewed before?
    Claiming(Box<Found>),
    NewSid(Box<Found>),
    Copying(Box<(Found, Found)>),
    Moving(Box<Found>),
    /// And a note says so.
    PointingOut(Box<Found>),
    Discarding,
    /// What is left of a session that has ended.
    Sweeping,
    /// A former id was used.
    Tracing,
    EndingRead(Vec<Sid>),
    Ending(Vec<Sid>),
}

/// What it has come to.
#[expect(
    clippy::large_enum_variant,
    reason = "the larger one is what comes of most, and costs no allocation"
)]
pub(crate) enum Outcome {
    Session(Found),
    Nothing(Why),
}

/// Why there is none.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Why {
    Unknown,
    /// It has lived as long as it may.
    Over,
    /// The id is that of a session which has had another one for too long: of this family, unless it has ended with that.
    Reused(Option<Arc<str>>),
}

pub(crate) enum Next {
    Ask(Ask),
    Done(Result<Outcome, StoreError>),
}

const NOTHING: Next = Next::Done(Ok(Outcome::Nothing(Why::Unknown)));
const OVER: Next = Next::Done(Ok(Outcome::Nothing(Why::Over)));
fn reused(family: Option<Arc<str>>) -> Next {
    Next::Done(Ok(Outcome::Nothing(Why::Reused(family))))
}

const REUSED: Next = Next::Done(Ok(Outcome::Nothing(Why::Reused(None))));

impl Arrival {
    /// A request has come with this id.
    pub(crate) fn of_request(presented: Sid) -> Self {
        Self {
            presented,
            is_request: true,
            may_end: true,
            may_renew: true,
            has_claimed: false,
            hops: 0,
            reads: 0,
            asked: 0,
            stage: Stage::Begin,
        }
    }

    /// The application has it from elsewhere, and no response will bring another.
    pub(crate) fn of_application(presented: Sid) -> Self {
        Self { is_request: false, may_end: false, may_renew: false, ..Self::of_request(presented) }
    }

    /// There is another id beside it, perhaps the one that it has led to: whoever has both is no thief.
    pub(crate) fn beside_another(self) -> Self {
        Self { may_end: false, ..self }
    }

    /// The next question, after the answer to the last one; `None` at first.
    pub(crate) fn step(&mut self, context: &Context<'_>, answer: Option<Answer>) -> Next {
        let asked = self.asked;
        let next = match answer {
            None => self.read(),
            Some(answer) => self.settle(context, answer, asked),
        };
        if let Next::Ask(_) = next {
            self.asked = context.now;
        }
        next
    }

    fn ask(&mut self, stage: Stage, ask: Ask) -> Next {
        self.stage = stage;
        Next::Ask(ask)
    }

    fn read(&mut self) -> Next {
        self.reads += 1;
        self.hops = 0;
        let sid = self.presented.clone();
        self.ask(Stage::Reading, Ask::Get(sid))
    }

    fn settle(&mut self, context: &Context<'_>, answer: Answer, asked: Millis) -> Next {
        match (std::mem::replace(&mut self.stage, Stage::Begin), answer) {
            (Stage::Reading, Answer::Got(Some(stored))) => {
                let sid = self.presented.clone();
                self.found(context, Found { sid, record: Read { stored, asked }, by_former: false })
            }
            (Stage::Reading, Answer::Got(None)) if context.options.renewal.is_some() => {
                let key = key_of_former(&self.presented);
                self.ask(Stage::Unknown, Ask::Get(key))
            }
            (Stage::Unknown, Answer::Got(Some(note))) => match next_of(&note) {
                // Its record is gone before its time: whoever destroyed it has ended the session.
                Some(next) => self.ask(Stage::Orphaned(next.clone()), Ask::Get(next)),
                None => self.reused(context, family_in(&note)),
            },
            (Stage::Orphaned(sid), Answer::Got(Some(stored))) => {
                let former = stored.record.ids.as_ref().and_then(|ids| ids.former.as_ref());
                if former == Some(&self.presented) { self.sweep(sid, stored.version) } else { NOTHING }
            }
            // The session may have gone on since it was read.
            (Stage::Claiming(_), Answer::Got(Some(_))) if !self.has_claimed => {
                self.has_claimed = true;
                self.read()
            }
            (Stage::Claiming(found), Answer::Got(Some(note))) => match next_of(&note) {
                // Whoever wrote the whole record had read it before.
                Some(next) => self.follow(Old { sid: found.sid, record: found.record }, next),
                None => self.reused(context, family_in(&note)),
            },
            // Whatever stands there, it is no session.
            (Stage::Unknown, Answer::Failed(StoreError::Corrupt { .. })) => REUSED,
            (Stage::Following(both), Answer::Got(None)) => {
                self.sweep(both.0.sid, both.0.record.stored.version)
            }
            (Stage::Following(both), Answer::Got(Some(stored))) => {
                let (old, sid) = *both;
                self.followed(context, old, Found { sid, record: Read { stored, asked }, by_former: true })
            }
            (Stage::LookingBack(found), Answer::Got(None)) => match found.former() {
                Some(former) => self.ask(Stage::Missing(found), Ask::Get(key_of_former(&former))),
                None => came(*found),
            },
            (Stage::Verifying(both), Answer::Got(note)) => {
                let (found, old) = *both;
                if note.as_ref().and_then(next_of).as_ref() == Some(&found.sid) {
                    self.compare(context, found, old)
                } else {
                    came(found.without_former())
                }
            }
            (Stage::Verifying(both), _) => came(both.0.without_former()),
            // Nobody is logged out by a note that cannot be read.
            (Stage::Missing(found), Answer::Failed(StoreError::Corrupt { .. })) => {
                self.close(context, *found)
            }
            (Stage::Missing(found), Answer::Got(note)) => {
                self.found_no_old_one(context, *found, note.as_ref())
            }
            (Stage::LookingBack(found), Answer::Got(Some(stored))) => {
                let Some(sid) = found.former() else { return came(*found) };
                self.verify(context, *found, Old { sid, record: Read { stored, asked } })
            }
            (Stage::LookingBack(found), Answer::Failed(StoreError::Corrupt { .. })) => {
                self.arrive(context, *found)
            }
            (
                Stage::Reading
                | Stage::Unknown
                | Stage::Orphaned(_)
                | Stage::Following(_)
                | Stage::LookingBack(_)
                | Stage::Missing(_),
                Answer::Failed(error),
            ) => Next::Done(Err(error)),
            (Stage::Merging(both), answer) => {
                let (mut found, old) = *both;
                match answer {
                    Answer::Set(Set::Written(version)) => {
                        found.record.stored.version = version;
                        self.point(context, found, old)
                    }
                    Answer::Set(Set::Conflict) if self.reads < READS => self.read(),
                    // The next one who comes brings it along.
                    _ => came(found),
                }
            }
            (Stage::Pointing(both), answer) => {
                let (found, mut old) = *both;
                match answer {
                    Answer::Set(Set::Written(version)) => {
                        old.record.stored.version = version;
                        self.compared(context, found, old)
                    }
                    Answer::Set(Set::Conflict) if self.reads < READS => self.read(),
                    _ => came(found),
                }
            }
            (Stage::Arriving(mut found), answer) => match answer {
                Answer::Set(Set::Written(version)) => {
                    found.record.stored.version = version;
                    came(*found)
                }
                Answer::Set(Set::Conflict) if self.reads < READS => self.read(),
                _ => came(*found),
            },
            (Stage::Burying(found), Answer::Set(Set::Written(_))) => self.name(context, *found),
            (Stage::Naming(found), _) => self.remove(context, *found),
            (Stage::Removing(found), Answer::Destroyed(_)) => self.close(context, *found),
            (Stage::Closing(mut found), answer) => match answer {
                Answer::Set(Set::Written(version)) => {
                    found.record.stored.version = version;
                    self.renew_in_time(context, *found)
                }
                Answer::Set(Set::Conflict) if self.reads < READS => self.read(),
                _ => came(*found),
            },
            // The next one who comes does it.
            (Stage::Burying(found) | Stage::Removing(found), _) => came(*found),
            (Stage::KeepingAlive(found), _) => came(*found),
            (Stage::Claiming(found), Answer::Got(None)) => self.ask(Stage::NewSid(found), Ask::NewSid),
            (Stage::NewSid(found), Answer::NewSid(new)) => self.copy(context, *found, new),
            (Stage::Copying(both), Answer::Set(Set::Written(version))) => {
                let (found, mut copy) = *both;
                copy.record.stored.version = version;
                self.move_on(found, copy)
            }
            // Another time.
            (Stage::Claiming(found) | Stage::NewSid(found), _) => came(*found),
            (Stage::Copying(both), _) => came(both.0),
            (Stage::Moving(copy), Answer::Set(Set::Written(_))) => self.point_out(context, *copy),
            // A note that is lost costs what somebody else writes over the old record, at most.
            (Stage::PointingOut(copy), _) => came(*copy),
            // Somebody else has written, or was faster.
            (Stage::Moving(copy), Answer::Set(_)) => {
                self.may_renew = false;
                self.ask(Stage::Discarding, Ask::Destroy { sid: copy.sid, expect: Expect::Anything })
            }
            // It may have been done, or will be: what was copied stays, and is found where it was.
            (Stage::Moving(_), _) | (Stage::Discarding, _) => {
                self.may_renew = false;
                self.read()
            }
            (Stage::Tracing, Answer::Got(Some(family))) => {
                let sid =
                    family.record.data.get(SID).and_then(|json| serde_json::from_str::<String>(json).ok());
                self.end(sid.map(Sid::from).into_iter().collect())
            }
            (Stage::EndingRead(mut all), Answer::Got(Some(stored))) => {
                let Some(sid) = all.pop() else { return REUSED };
                if let Some(ids) = &stored.record.ids {
                    self.hops += 1;
                    let others = ids.next.iter().chain(&ids.former).filter(|_| self.hops < HOPS);
                    let others: Vec<Sid> = others.filter(|other| !all.contains(other)).cloned().collect();
                    all.extend(others);
                }
                self.ask(Stage::Ending(all), Ask::Destroy { sid, expect: Expect::Anything })
            }
            (Stage::EndingRead(mut all), _) => {
                all.pop();
                self.end(all)
            }
            (Stage::Ending(all), _) => self.end(all),
            (Stage::Tracing, _) => REUSED,
            // Somebody has written it since: perhaps that the new id has arrived, and the old one had its time.
            (Stage::Sweeping, Answer::Destroyed(Destroyed::Conflict)) if self.reads < READS => self.read(),
            (Stage::Sweeping | Stage::Reading | Stage::Unknown | Stage::Orphaned(_), _) => NOTHING,
            // Nobody was asked.
            (Stage::Begin | Stage::Following(_) | Stage::LookingBack(_) | Stage::Missing(_), _) => NOTHING,
        }
    }
}

/// Under which the records have it that no session has.
const FAMILY: &str = "family";
const SID: &str = "sid";
const NEXT: &str = "next";

fn text_in(note: &Stored, key: &str) -> Option<String> {
    note.record.data.get(key).and_then(|json| serde_json::from_str(json).ok())
}

fn next_of(note: &Stored) -> Option<Sid> {
    text_in(note, NEXT).map(Sid::from)
}

fn family_in(note: &Stored) -> Option<String> {
    text_in(note, FAMILY)
}

fn came(found: Found) -> Next {
    Next::Done(Ok(Outcome::Session(found)))
}

impl Found {
    /// Of all ids that the session has had.
    pub(crate) fn family(&self) -> Option<&Arc<str>> {
        self.ids()?.family.as_ref()
    }

    fn ids(&self) -> Option<&Arc<Ids>> {
        self.record.stored.record.ids.as_ref()
    }

    /// The id that leads here, or did until its grace was over.
    fn former(&self) -> Option<Sid> {
        self.ids()?.former.clone()
    }

    /// What it says of that is not so.
    fn without_former(self) -> Self {
        self.with_ids(|ids| (ids.former, ids.until, ids.held, ids.was) = (None, None, None, None))
    }

    fn with_ids(mut self, change: impl FnOnce(&mut Ids)) -> Self {
        let mut ids = self.ids().map(|ids| (**ids).clone()).unwrap_or_default();
        change(&mut ids);
        self.record.stored.record.ids = Some(Arc::new(ids));
        self
    }

    /// A write of it that leaves its end where it is: no cookie has told of another.
    fn written_on(self, context: &Context<'_>) -> (Self, Ask) {
        let expect = Expect::Version(self.record.stored.version.clone());
        let found = Self { record: self.record.keeping_its_end(context), ..self };
        let record = found.record.stored.record.clone();
        let ask = Ask::Set { sid: found.sid.clone(), record: stamped(record, context), expect };
        (found, ask)
    }
}

/// Where versions are made of the text, one that differs from what was there, whatever it holds.
fn stamped(record: Record, context: &Context<'_>) -> Record {
    if record.cookie.has_expires() { record } else { record.stamped(context.now) }
}

impl Read {
    fn bounds(&self, context: &Context<'_>) -> Bounds {
        let record = &self.stored.record;
        context.bounds(&record.times, &record.cookie)
    }

    /// When it ends. `None`: never.
    fn end(&self, context: &Context<'_>) -> Option<Millis> {
        Held::of(&self.stored, self.asked, context.now, None, &self.bounds(context)).until()
    }

    /// How long it is held that has just been touched. `None`: for ever.
    fn lifetime(&self) -> Option<Millis> {
        self.stored.lifetime.map(|time| Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX))
    }

    fn with_cookie(mut self, cookie: Cookie, context: &Context<'_>) -> Self {
        let end = cookie.held(context.now, self.lifetime());
        self.stored.left = end.map(|end| millis((end - context.now).max(0)));
        self.stored.record.cookie = cookie;
        self.asked = context.now;
        self
    }

    /// All of its lifetime from now on.
    fn whole(self, context: &Context<'_>) -> Self {
        let mut cookie = self.stored.record.cookie.clone().within(self.bounds(context));
        cookie.touch(context.now);
        self.with_cookie(cookie, context)
    }

    fn keeping_its_end(self, context: &Context<'_>) -> Self {
        let end = self.end(context);
        let mut kept = self.whole(context);
        if let (true, Some(end)) = (kept.stored.record.cookie.expires_at().is_some(), end) {
            let mut cookie = kept.stored.record.cookie.clone();
            cookie.ends_at(end);
            kept = kept.with_cookie(cookie, context);
        }
        kept
    }
}

fn millis(time: Millis) -> Duration {
    Duration::from_millis(u64::try_from(time).unwrap_or_default())
}

/// What is found.
impl Arrival {
    fn found(&mut self, context: &Context<'_>, found: Found) -> Next {
        if context.has_ended(&found.record.stored.record) {
            return OVER;
        }
        if let Some(next) = found.ids().and_then(|ids| ids.next.clone()) {
            let old = Old { sid: found.sid, record: found.record };
            return self.follow(old, next);
        }
        match found.former() {
            Some(former) if !planted(Fault::OldIdNotLookedAt) => {
                self.ask(Stage::LookingBack(Box::new(found)), Ask::Get(former))
            }
            _ => self.renew_in_time(context, found),
        }
    }

    fn follow(&mut self, old: Old, next: Sid) -> Next {
        self.ask(Stage::Following(Box::new((old, next.clone()))), Ask::Get(next))
    }

    /// What the old one has led to.
    fn followed(&mut self, context: &Context<'_>, old: Old, found: Found) -> Next {
        if context.has_ended(&found.record.stored.record) {
            return OVER;
        }
        let served = found.ids().and_then(|ids| ids.served(context.now));
        let is_served = served == Some(&old.sid) || planted(Fault::GraceForEver);
        if !is_served {
            // Who goes on is known: no note of that is needed.
            if self.ends_sessions(context) {
                return self.end(vec![found.sid]);
            }
            let family = found.ids().and_then(|ids| ids.family.as_deref().map(Into::into));
            return self.reused(context, family);
        }
        if let Some(next) = found.ids().and_then(|ids| ids.next.clone()) {
            self.hops += 1;
            if self.hops >= HOPS {
                return NOTHING;
            }
            let old = Old { sid: found.sid, record: found.record };
            return self.follow(old, next);
        }
        self.compare(context, found, old)
    }

    /// What the record says of a former id is believed where that one leads here, or the note does: an application may have let somebody write
    /// anything into it.
    fn verify(&mut self, context: &Context<'_>, found: Found, old: Old) -> Next {
        if old.next() == Some(&found.sid) {
            return self.compare(context, found, old);
        }
        let key = key_of_former(&old.sid);
        self.ask(Stage::Verifying(Box::new((found, old))), Ask::Get(key))
    }

    /// Somebody who knows of no renewal may have written under the old id.
    fn compare(&mut self, context: &Context<'_>, found: Found, old: Old) -> Next {
        if !self.is_request {
            return came(found);
        }
        let theirs = &old.record.stored.record.data;
        let known = found.ids().and_then(|ids| ids.was.clone());
        let (Some(known), Some(is)) = (known, digests_of(theirs)) else {
            return self.point(context, found, old);
        };
        if known == is || planted(Fault::OldRecordIgnored) {
            return self.point(context, found, old);
        }
        let data = changed_since(&known, theirs, &found.record.stored.record.data);
        let mut found = found.with_ids(|ids| ids.was = Some(is));
        found.record.stored.record.data = Arc::new(data);
        let (found, ask) = found.written_on(context);
        self.ask(Stage::Merging(Box::new((found, old))), ask)
    }

    /// The record under the old id is to say where the session has gone on, also where somebody has written the whole of it who had read it
    /// before.
    fn point(&mut self, context: &Context<'_>, found: Found, old: Old) -> Next {
        if old.next().is_some() {
            return self.compared(context, found, old);
        }
        let pointing = old.leading_to(&found.sid);
        let record = pointing.record.clone().keeping_its_end(context).stored.record;
        let expect = Expect::Version(pointing.record.stored.version.clone());
        let ask = Ask::Set { sid: pointing.sid.clone(), record: stamped(record, context), expect };
        self.ask(Stage::Pointing(Box::new((found, pointing))), ask)
    }

    fn compared(&mut self, context: &Context<'_>, found: Found, old: Old) -> Next {
        if !found.by_former {
            return self.arrive(context, found);
        }
        let has_arrived = found.ids().is_some_and(|ids| ids.until.is_some());
        let is_due = |left: Option<Duration>, lifetime: Option<Duration>| {
            let millis = |time: Duration| Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX);
            context.options.touch.is_due(left.map(millis), lifetime.map(millis))
        };
        let Stored { left, lifetime, version, .. } = &old.record.stored;
        if has_arrived || !is_due(*left, *lifetime) {
            return came(found);
        }
        // Whoever has only the old id is to have the session for as long as it lives.
        let (sid, expect) = (old.sid.clone(), Expect::Version(version.clone()));
        let cookie = old.record.whole(context).stored.record.cookie;
        self.ask(Stage::KeepingAlive(Box::new(found)), Ask::Touch { sid, cookie, expect })
    }

    /// The record under the old id is gone. Whoever destroyed it has ended the session, unless it had its time.
    fn found_no_old_one(&mut self, context: &Context<'_>, found: Found, note: Option<&Stored>) -> Next {
        if note.is_some_and(|note| next_of(note).is_none()) {
            return if self.is_request { self.close(context, found) } else { came(found) };
        }
        let Some(ids) = found.ids() else { return came(found) };
        let grace = context.options.renewal.unwrap_or_default().grace_millis();
        // It may have come to its end by itself.
        let is_held = ids.held.is_none_or(|held| context.now.saturating_add(grace) < held);
        if is_held {
            return self.sweep(found.sid, found.record.stored.version);
        }
        self.arrive(context, found)
    }

    /// What nobody is to find any more, unless somebody has written it since.
    fn sweep(&mut self, sid: Sid, version: Version) -> Next {
        self.ask(Stage::Sweeping, Ask::Destroy { sid, expect: Expect::Version(version) })
    }
}

impl Old {
    fn next(&self) -> Option<&Sid> {
        self.record.stored.record.ids.as_ref()?.next.as_ref()
    }

    fn leading_to(mut self, next: &Sid) -> Self {
        let mut ids = self.record.stored.record.ids.as_deref().cloned().unwrap_or_default();
        ids.next = Some(next.clone());
        self.record.stored.record.ids = Some(Arc::new(ids));
        self
    }
}

/// Somebody has come with the new id.
impl Arrival {
    fn arrive(&mut self, context: &Context<'_>, found: Found) -> Next {
        let Some(ids) = found.ids().filter(|_| self.is_request) else { return came(found) };
        match (ids.until, &ids.former, &ids.family) {
            (None, ..) => {
                // From now on the grace of the old one is counted.
                let grace = context.options.renewal.unwrap_or_default().grace_millis();
                let until = date::after(context.now, grace);
                let (found, ask) = found.with_ids(|ids| ids.until = Some(until)).written_on(context);
                self.ask(Stage::Arriving(Box::new(found)), ask)
            }
            (Some(until), Some(former), Some(family)) if until <= context.now => {
                let (sid, record) = (key_of_former(former), note(FAMILY, family, &found, context));
                self.ask(Stage::Burying(Box::new(found)), Ask::Set { sid, record, expect: Expect::Anything })
            }
            _ => came(found),
        }
    }

    /// Who goes on for the family, where a former id is to end it.
    fn name(&mut self, context: &Context<'_>, found: Found) -> Next {
        let family = found.ids().and_then(|ids| ids.family.clone());
        let ends_sessions = context.options.renewal.is_some_and(|renewal| renewal.ends_sessions());
        let Some(family) = family.filter(|_| ends_sessions) else { return self.remove(context, found) };
        let record = note(SID, found.sid.as_str(), &found, context);
        let ask = Ask::Set { sid: key_of_family(&family), record, expect: Expect::Anything };
        self.ask(Stage::Naming(Box::new(found)), ask)
    }

    fn remove(&mut self, context: &Context<'_>, found: Found) -> Next {
        let Some(sid) = found.former() else { return self.close(context, found) };
        self.ask(Stage::Removing(Box::new(found)), Ask::Destroy { sid, expect: Expect::Anything })
    }

    /// Last of all: until then a logout ends the old record too.
    fn close(&mut self, context: &Context<'_>, found: Found) -> Next {
        let (found, ask) = found.without_former().written_on(context);
        self.ask(Stage::Closing(Box::new(found)), ask)
    }
}

/// A record that is no session, and lives as long as one.
fn note(key: &str, value: &str, of: &Found, context: &Context<'_>) -> Record {
    let end = of.record.end(context).map_or(KNOWN_FOR, |end| end - context.now);
    let whole = of.record.lifetime().unwrap_or(KNOWN_FOR);
    let mut cookie = Cookie::plain();
    cookie.live_for(Some(end.max(whole).clamp(1, KNOWN_FOR)), context.now);
    let mut data = Data::new();
    data.insert(key, serde_json::Value::from(value).to_string().into());
    Record::new(cookie, data)
}

/// A new id.
impl Arrival {
    fn renew_in_time(&mut self, context: &Context<'_>, found: Found) -> Next {
        if !self.is_due(context, &found) {
            return came(found);
        }
        // Whoever writes the whole of a record may have brought back one whose session has gone on.
        let key = key_of_former(&found.sid);
        self.ask(Stage::Claiming(Box::new(found)), Ask::Get(key))
    }

    fn is_due(&self, context: &Context<'_>, found: &Found) -> bool {
        let Some(renewal) = context.options.renewal.filter(|_| self.may_renew) else { return false };
        let record = &found.record.stored.record;
        let is_secure = match context.attributes {
            Attributes::Stored => record.cookie.secure(),
            Attributes::Current => context.new_cookie().secure(),
        };
        // No cookie would bring it.
        let may_be_sent = context.secure || !is_secure;
        let is_old = found.ids().and_then(|ids| ids.issued).is_none_or(|at| {
            context.now >= at.saturating_add(renewal.every_millis()) || at > context.now + CLOCKS_DIFFER
        });
        may_be_sent && is_old
    }

    fn copy(&mut self, context: &Context<'_>, found: Found, new: Sid) -> Next {
        // A `genid` may have one answer only.
        if new == found.sid {
            return came(found);
        }
        let copy = Found { sid: new, record: found.record.clone().whole(context), by_former: true };
        let held =
            copy.record.stored.left.map(|left| {
                date::after(context.now, Millis::try_from(left.as_millis()).unwrap_or(Millis::MAX))
            });
        let family = found.ids().and_then(|ids| ids.family.clone());
        let family = family.unwrap_or_else(|| family_of(&found.sid));
        let ids = Ids {
            issued: Some(context.now),
            next: None,
            former: Some(found.sid.clone()),
            until: None,
            held,
            was: digests_of(&found.record.stored.record.data),
            family: Some(family),
        };
        let mut copy = copy.with_ids(|all| *all = ids);
        // Of what Express began it is seen first now, and no touch will be due for a while that would write that.
        let record = &mut copy.record.stored.record;
        record.times = *Clocks::loaded(record.times, record.cookie.lifetime(), context).times();
        let record = stamped(copy.record.stored.record.clone(), context);
        let ask = Ask::Set { sid: copy.sid.clone(), record, expect: Expect::Nothing };
        self.ask(Stage::Copying(Box::new((found, copy))), ask)
    }

    fn move_on(&mut self, found: Found, copy: Found) -> Next {
        let expect = if planted(Fault::RenewedWhateverCame) {
            Expect::Anything
        } else {
            Expect::Version(found.record.stored.version.clone())
        };
        let old = Old { sid: found.sid, record: found.record }.leading_to(&copy.sid);
        // It is held for as long as the session is.
        let mut record = old.record.stored.record;
        record.cookie = copy.record.stored.record.cookie.clone();
        let ask = Ask::Set { sid: old.sid, record, expect };
        self.ask(Stage::Moving(Box::new(copy)), ask)
    }

    fn point_out(&mut self, context: &Context<'_>, copy: Found) -> Next {
        let Some(former) = copy.former() else { return came(copy) };
        let record = note(NEXT, copy.sid.as_str(), &copy, context);
        // However late it comes: not over the note that its time was over.
        let ask = Ask::Set { sid: key_of_former(&former), record, expect: Expect::Nothing };
        self.ask(Stage::PointingOut(Box::new(copy)), ask)
    }

    /// Whoever used it is not served, and by the policy nobody is any more.
    fn reused(&mut self, context: &Context<'_>, family: Option<String>) -> Next {
        match family {
            Some(family) if self.ends_sessions(context) => {
                self.ask(Stage::Tracing, Ask::Get(key_of_family(&family)))
            }
            family => reused(family.map(Into::into)),
        }
    }

    fn ends_sessions(&self, context: &Context<'_>) -> bool {
        self.may_end && context.options.renewal.is_some_and(|renewal| renewal.ends_sessions())
    }

    fn end(&mut self, mut all: Vec<Sid>) -> Next {
        match all.pop() {
            Some(sid) => {
                all.push(sid.clone());
                self.ask(Stage::EndingRead(all), Ask::Get(sid))
            }
            None => REUSED,
        }
    }
}
