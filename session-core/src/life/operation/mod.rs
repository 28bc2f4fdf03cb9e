//! The operations: which questions each asks the store, in which order, and what it answers its caller. Those of one
//! session in one request come one after the other; the handler may change the session in between.
//!
//! - `write`: `save`, atomic changes and `reload`
//! - `replace`: `renew_id` and `regenerate`
//! - `end`: `destroy`, and the end of the request

mod end;
mod replace;
mod write;

use std::sync::Arc;

use super::{
    Context,
    arrival::HOPS,
    decide::{Decision, SetCookie},
    fault::{Fault, planted},
    state::{Before, Life, Seen, Sent, Standing},
};
use crate::{
    error::{Error, StoreError},
    record::{Record, cookie::Cookie, data::Data, value::same_values},
    store::{Destroyed, Expect, Set, Stored, Touched, Version},
    wire::{date::Millis, sid::Sid},
};

/// A conflict means that somebody else got a write through. Writers within one process take turns after the first.
pub(crate) const ATTEMPTS: u8 = 32;

/// What to do next.
#[derive(Debug)]
pub(crate) enum Step {
    Ask(Ask),
    Done(Result<Done, Error>),
}

/// A question, to the store unless it says otherwise.
#[derive(Debug)]
pub(crate) enum Ask {
    Get(Sid),
    Set {
        sid: Sid,
        record: Record,
        expect: Expect,
    },
    Touch {
        sid: Sid,
        cookie: Cookie,
        expect: Expect,
    },
    Destroy {
        sid: Sid,
        expect: Expect,
    },
    /// To the other writers of this session: may I?
    Turn(Sid),
    /// To the application: what are these data to become?
    Change(Arc<Data>),
    /// To the application: another id for a new session.
    NewSid,
}

/// The answer to the last question.
#[derive(Debug)]
pub(crate) enum Answer {
    Got(Option<Stored>),
    Set(Set),
    Touched(Touched),
    Destroyed(Destroyed),
    Failed(StoreError),
    Turn,
    Changed(Changed),
    NewSid(Sid),
    /// Nobody was asked: if it still matters, the operation asks again.
    Again,
}

/// What the application made of the data.
#[derive(Debug)]
pub(crate) enum Changed {
    To(Data),
    /// Nothing is to be written.
    NotAtAll,
}

/// What an operation answers its caller.
#[derive(Debug)]
pub(crate) enum Done {
    Ok,
    Ended(Ended),
}

/// The end of a request: what the response is to carry, and what the log is to say.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) set_cookie: SetCookie,
    pub(crate) sid: Sid,
    pub(crate) cookie: Cookie,
    /// Somebody else ended the session.
    pub(crate) gone: bool,
    /// So many changed keys were not stored, because somebody else ended the session.
    pub(crate) dropped: usize,
    pub(crate) error: Option<Error>,
    /// Why it is not known whether what the end has written is still so.
    pub(crate) unconfirmed: Option<Box<Error>>,
    /// A record may be left under an id that nobody has.
    pub(crate) leaves_over: bool,
}

/// One operation under way.
#[derive(Clone)]
#[cfg_attr(test, derive(Hash))]
pub(crate) struct Operation {
    kind: Kind,
    asked: Asked,
    conflicts: u8,
    /// It is our turn to write, until this operation ends.
    has_turn: bool,
    /// Somebody else wrote, and what they wrote was read. (What is read after a doubt is written again in any case: a write
    /// that is still on its way must then find another version.)
    has_merged: bool,
    /// The session was read: what was known of its cookie may have changed.
    has_read: bool,
    /// The application was asked for another id.
    has_other_sid: bool,
    /// Something stands under an id that was made here, where only this operation has written.
    was_sent_twice: bool,
    /// The store was asked what stands under an id of the application's making.
    has_looked: bool,
    /// A touch was left out: nobody was asked.
    was_skipped: bool,
    /// The store was asked once more whether what the end has written is still so.
    has_confirmed: bool,
    /// Nothing was sent since the end has looked.
    is_looked_after: bool,
    /// What nobody has the id of could not be destroyed.
    leaves_over: bool,
    /// So many ids have led on to others.
    hops: u8,
    /// What is asked of now is where the session may have gone on.
    led_to: Option<Sid>,
    /// When the last question was asked.
    asked_at: Millis,
}

#[derive(Clone)]
#[cfg_attr(test, derive(Hash))]
enum Kind {
    Save,
    Change(Change),
    Reload,
    Regenerate {
        new: Sid,
    },
    Renew {
        new: Sid,
        copy: Option<Box<Copy>>,
    },
    /// `was_there`: when it was asked for, the session was not destroyed yet.
    Destroy {
        was_there: bool,
    },
    End(End),
}

/// What an atomic change has come to.
#[derive(Clone, Default)]
#[cfg_attr(test, derive(Hash))]
pub(crate) enum Change {
    #[default]
    NotAsked,
    /// The application made this of what it saw.
    Made { seen: Arc<Data>, base: Arc<Data>, made: Arc<Data> },
}

/// A record under the new id.
#[derive(Clone)]
#[cfg_attr(test, derive(Hash))]
struct Copy {
    sent: Sent,
    version: Version,
}

#[derive(Clone)]
#[cfg_attr(test, derive(Hash))]
enum End {
    Begin,
    /// A destruction that the handler began is brought to its end.
    Destroying,
    Writing(Decision),
    CleaningUp(Decision),
    /// Whether what the cookie is to say is still so.
    Looking(Decision),
}

/// The question that is out.
#[derive(Clone)]
#[cfg_attr(test, derive(Hash))]
enum Asked {
    Nothing,
    Get,
    Set(Sent),
    /// Under the new id.
    Copy(Sent),
    Touch {
        stamped: Cookie,
        at: Millis,
        /// Where the record ends was in doubt before.
        was_in_doubt: bool,
    },
    Destroy {
        sid: Sid,
        why: Why,
        /// Of one that has expired: what the handler saw, and what an atomic change has made of it.
        seen: Option<Box<(Seen, Option<Arc<Data>>)>>,
    },
    Turn,
    Change {
        seen: Arc<Data>,
        base: Arc<Data>,
    },
    NewSid,
}

/// Why a record is destroyed.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
enum Why {
    /// The application or the `unset` option says so.
    Wanted,
    /// Its lifetime has ended.
    Expired,
    /// It moved to another id.
    Moved,
    /// It was left behind.
    LeftOver,
}

/// What an answer means.
enum Event {
    Begin,
    Read,
    Reloaded,
    Written,
    Copied,
    Conflict,
    /// The store's clock says that the record has expired; `late`: it took so long that a new date helps.
    Expired {
        late: bool,
    },
    Touched,
    Destroyed(Why, bool),
    IdInUse,
    Failed(StoreError),
    /// The turn has come, or the application has answered: go on from what is known.
    GoOn,
    NothingToDo,
}

impl Operation {
    pub(crate) fn save() -> Self {
        Self::of(Kind::Save)
    }

    pub(crate) fn change() -> Self {
        Self::of(Kind::Change(Change::NotAsked))
    }

    pub(crate) fn reload() -> Self {
        Self::of(Kind::Reload)
    }

    pub(crate) fn regenerate(new: Sid) -> Self {
        Self::of(Kind::Regenerate { new })
    }

    pub(crate) fn renew(new: Sid) -> Self {
        Self::of(Kind::Renew { new, copy: None })
    }

    pub(crate) fn destroy(was_there: bool) -> Self {
        Self::of(Kind::Destroy { was_there })
    }

    pub(crate) fn end() -> Self {
        Self::of(Kind::End(End::Begin))
    }

    fn of(kind: Kind) -> Self {
        Self {
            kind,
            asked: Asked::Nothing,
            conflicts: 0,
            has_turn: false,
            has_merged: false,
            has_read: false,
            has_other_sid: false,
            was_sent_twice: false,
            has_looked: false,
            was_skipped: false,
            has_confirmed: false,
            is_looked_after: false,
            leaves_over: false,
            hops: 0,
            led_to: None,
            asked_at: 0,
        }
    }

    /// What another record has led to is this session if it says so too: an application may have let somebody write anything into the first.
    fn is_led_here(&mut self, life: &mut Life, answer: Option<Answer>) -> Option<Answer> {
        match (self.led_to.take(), answer) {
            (Some(next), Some(Answer::Got(stored))) => {
                let former = stored.as_ref().and_then(|stored| stored.record.ids.as_ref()?.former.as_ref());
                // Where nothing is, the session has ended.
                if stored.is_none() || former == Some(life.sid()) {
                    life.follows(next);
                    return Some(Answer::Got(stored));
                }
                Some(Answer::Got(None))
            }
            (_, answer) => answer,
        }
    }

    /// The session has gone on under another id.
    fn leads_on(&self, answer: Option<&Answer>) -> Option<Sid> {
        match (&self.asked, answer) {
            (Asked::Get, Some(Answer::Got(Some(stored))))
                if self.hops < HOPS && !planted(Fault::NotFollowed) =>
            {
                stored.record.ids.as_ref()?.next.clone()
            }
            _ => None,
        }
    }

    /// Somebody else may write now.
    pub(crate) fn loses_turn(&mut self) {
        self.has_turn = false;
    }

    /// The next question, after the answer to the last one; `None` at first.
    pub(crate) fn step(&mut self, life: &mut Life, context: &Context<'_>, answer: Option<Answer>) -> Step {
        let answer = self.is_led_here(life, answer);
        if let Some(next) = self.leads_on(answer.as_ref()) {
            self.hops += 1;
            self.led_to = Some(next.clone());
            self.asked_at = context.now;
            self.asked = Asked::Get;
            return Step::Ask(Ask::Get(next));
        }
        let event = match answer {
            None => Event::Begin,
            Some(answer) => self.settle(life, context, answer),
        };
        life.ends_at_last(context);
        let step = self.next(life, context, event);
        if let Step::Ask(_) = step {
            self.asked_at = context.now;
        }
        step
    }
}

/// What an answer changes of what is known.
impl Operation {
    fn settle(&mut self, life: &mut Life, context: &Context<'_>, answer: Answer) -> Event {
        let asked = std::mem::replace(&mut self.asked, Asked::Nothing);
        let is_of_this = matches!(&asked, Asked::Set(_))
            || matches!(&asked, Asked::Destroy { why, .. } if *why != Why::LeftOver);
        if is_of_this && matches!(answer, Answer::Set(_) | Answer::Destroyed(_)) {
            life.is_answered();
        }
        match (asked, answer) {
            (_, Answer::Failed(error)) => Event::Failed(error),
            // Nobody is to have it, whoever has kept it alive.
            (Asked::Get, Answer::Got(Some(stored))) if context.has_ended(&stored.record) => {
                self.found_nothing(life)
            }
            (Asked::Get, Answer::Got(Some(stored))) => self.found(life, context, stored),
            (Asked::Get, Answer::Got(None)) => self.found_nothing(life),
            (Asked::Set(sent), Answer::Set(set)) => self.set(life, context, &sent, set),
            (Asked::Copy(sent), Answer::Set(set)) => self.copied(life, context, sent, set),
            (Asked::Touch { stamped, at, was_in_doubt }, Answer::Touched(touched)) => match touched {
                // An end that was in doubt stays so: a cookie that outlives its record harms nobody.
                Touched::Skipped if !planted(Fault::SkippedTouchBelieved) => {
                    life.moved_nothing(was_in_doubt);
                    self.was_skipped = true;
                    Event::Touched
                }
                Touched::Moved | Touched::Skipped => {
                    self.was_skipped = false;
                    life.touched(&stamped, at);
                    Event::Touched
                }
                Touched::Unknown => {
                    life.found_nothing();
                    Event::Touched
                }
                Touched::Conflict => {
                    life.moved_nothing(was_in_doubt);
                    Event::Conflict
                }
                Touched::Expired => {
                    life.moved_nothing(was_in_doubt);
                    Event::Expired { late: context.now > at }
                }
            },
            (Asked::Destroy { sid, why, seen }, Answer::Destroyed(destroyed)) => {
                self.destroyed(life, &sid, why, seen, destroyed)
            }
            (Asked::NewSid, Answer::NewSid(sid)) => {
                self.has_other_sid = true;
                // A `genid` may have one answer only.
                if sid != *life.sid() {
                    life.rename(sid, context);
                }
                Event::GoOn
            }
            (Asked::Turn, Answer::Turn) => {
                self.has_turn = true;
                Event::GoOn
            }
            (Asked::Change { seen, .. }, Answer::Changed(Changed::To(made)))
                if made == *seen && !life.has_changes() && !life.is_to_fence() =>
            {
                Event::NothingToDo
            }
            (Asked::Change { seen, base }, Answer::Changed(Changed::To(made))) => {
                if planted(Fault::UpdateSeenBeforehand) {
                    *life.data_mut() = made.clone();
                }
                self.kind = Kind::Change(Change::Made { seen, base, made: Arc::new(made) });
                Event::GoOn
            }
            (Asked::Change { .. }, Answer::Changed(Changed::NotAtAll)) => Event::NothingToDo,
            // Nobody was asked.
            _ => Event::GoOn,
        }
    }

    fn found(&mut self, life: &mut Life, context: &Context<'_>, stored: Stored) -> Event {
        if let Standing::Fresh { tried } | Standing::Doubt { before: Before::Fresh { tried } } =
            &life.standing
        {
            // Under an id that the application made there may be somebody else's session.
            let ours = context.options.genid.is_none()
                || tried.iter().any(|tried| same_values(tried, &stored.record.data));
            if !ours {
                return if let Kind::Reload = self.kind { Event::NothingToDo } else { Event::IdInUse };
            }
            if let Kind::Change(_) = self.kind
                && self.was_sent_twice
                && tried.last().is_some_and(|tried| same_values(tried, &stored.record.data))
            {
                self.has_read = true;
                life.read(stored, self.asked_at, context);
                return Event::Written;
            }
        }
        if let Kind::Reload = self.kind {
            life.take_over(stored, self.asked_at, context);
            return Event::Reloaded;
        }
        self.has_merged = self.conflicts > 0;
        self.has_read = true;
        life.read(stored, self.asked_at, context);
        Event::Read
    }

    fn found_nothing(&mut self, life: &mut Life) -> Event {
        if let Kind::Reload = self.kind {
            return Event::NothingToDo;
        }
        life.found_nothing();
        Event::Read
    }

    fn set(&mut self, life: &mut Life, context: &Context<'_>, sent: &Sent, set: Set) -> Event {
        match set {
            Set::Written(version) => {
                self.was_skipped = false;
                life.written(sent, version, context);
                Event::Written
            }
            Set::Conflict if life.was_first_try() && context.options.genid.is_some() => {
                life.nothing_was_done(sent);
                Event::IdInUse
            }
            Set::Conflict => {
                // An id that was made here is nobody else's: what is there is ours, from a client that sends twice.
                self.was_sent_twice = life.was_first_try();
                life.was_overtaken(sent);
                Event::Conflict
            }
            Set::Expired => {
                life.nothing_was_done(sent);
                Event::Expired { late: context.now > sent.at }
            }
        }
    }

    fn copied(&mut self, life: &mut Life, context: &Context<'_>, sent: Sent, set: Set) -> Event {
        let Kind::Renew { copy, .. } = &mut self.kind else { return Event::GoOn };
        match set {
            Set::Written(version) => {
                life.leave(&sent.sid);
                *copy = Some(Box::new(Copy { sent, version }));
                Event::Copied
            }
            // The copy has expired meanwhile.
            Set::Conflict if copy.is_some() => {
                *copy = None;
                Event::GoOn
            }
            Set::Conflict => Event::IdInUse,
            Set::Expired => Event::Expired { late: context.now > sent.at },
        }
    }

    fn destroyed(
        &self,
        life: &mut Life,
        sid: &Sid,
        why: Why,
        seen: Option<Box<(Seen, Option<Arc<Data>>)>>,
        destroyed: Destroyed,
    ) -> Event {
        let here = destroyed == Destroyed::Destroyed;
        match (why, destroyed) {
            (Why::LeftOver, _) => life.leftovers.remove(sid),
            // Somebody else's session stands under an id that this one never had.
            (Why::Wanted | Why::Moved, Destroyed::Conflict)
                if matches!(
                    &life.standing,
                    Standing::Fresh { tried } | Standing::Doubt { before: Before::Fresh { tried } }
                        if why == Why::Wanted || tried.is_empty()
                ) => {}
            (_, Destroyed::Conflict) => return Event::Conflict,
            (Why::Expired, Destroyed::Destroyed) => {
                let (seen, made) = seen.map_or_else(|| (life.seen(), None), |seen| *seen);
                life.expired(seen, made);
            }
            (Why::Expired, Destroyed::Unknown) => life.found_nothing(),
            (Why::Wanted | Why::Moved, _) => {}
        }
        Event::Destroyed(why, here)
    }
}

/// What comes next.
impl Operation {
    fn next(&mut self, life: &mut Life, context: &Context<'_>, event: Event) -> Step {
        match &self.kind {
            Kind::Save | Kind::Change(_) => self.step_write(life, context, event),
            Kind::Reload => self.step_reload(life, event),
            Kind::Regenerate { new } => self.step_regenerate(new.clone(), life, context, event),
            Kind::Renew { new, copy } => {
                let (new, copy) = (new.clone(), copy.clone());
                self.step_renew(&new, copy, life, context, event)
            }
            Kind::Destroy { was_there } => self.step_destroy(*was_there, life, context, event),
            Kind::End(phase) => self.step_end(phase.clone(), life, context, event),
        }
    }

    /// Somebody else was faster: their change is read, and the writers of one process take turns from now on.
    fn after_conflict(&mut self, life: &mut Life) -> Result<Ask, Error> {
        life.is_behind();
        self.count_conflict()?;
        if self.has_turn {
            return Ok(self.ask_get(life));
        }
        self.asked = Asked::Turn;
        Ok(Ask::Turn(life.sid().clone()))
    }

    fn count_conflict(&mut self) -> Result<(), Error> {
        self.conflicts += 1;
        if self.conflicts > ATTEMPTS { Err(Error::Contended(ATTEMPTS.into())) } else { Ok(()) }
    }
}

/// The questions.
impl Operation {
    fn ask_get(&mut self, life: &Life) -> Ask {
        self.asked = Asked::Get;
        Ask::Get(life.sid().clone())
    }

    fn ask_set(
        &mut self,
        life: &mut Life,
        data: Arc<Data>,
        stamped: Cookie,
        expect: Expect,
        context: &Context<'_>,
    ) -> Ask {
        self.is_looked_after = false;
        let is_stamped = life.is_to_differ(&stamped, context);
        let sent = life.send(data, stamped, context.now);
        let record = sent.record();
        let record = if is_stamped { record.stamped(context.now) } else { record };
        let sid = sent.sid.clone();
        self.asked = Asked::Set(sent);
        Ask::Set { sid, record, expect }
    }

    /// Under the new id.
    fn ask_copy(&mut self, sent: Sent, record: Record, expect: Expect) -> Ask {
        let sid = sent.sid.clone();
        self.asked = Asked::Copy(sent);
        Ask::Set { sid, record, expect }
    }

    fn ask_touch(&mut self, life: &mut Life, stamped: Cookie, context: &Context<'_>) -> Ask {
        let (sid, expect) = (life.sid().clone(), life.expect_to_touch(context));
        self.is_looked_after = false;
        let was_in_doubt = life.touch_goes_out();
        self.asked = Asked::Touch { stamped: stamped.clone(), at: context.now, was_in_doubt };
        Ask::Touch { sid, cookie: stamped, expect }
    }

    fn ask_destroy(&mut self, sid: Sid, expect: Expect, why: Why) -> Ask {
        self.asked = Asked::Destroy { sid: sid.clone(), why, seen: None };
        Ask::Destroy { sid, expect }
    }

    /// Its own lifetime has ended.
    fn ask_destroy_expired(&mut self, life: &mut Life, expect: Expect, made: Option<Arc<Data>>) -> Ask {
        life.goes_out();
        let sid = life.sid().clone();
        let seen = Some(Box::new((life.seen(), made)));
        self.asked = Asked::Destroy { sid: sid.clone(), why: Why::Expired, seen };
        Ask::Destroy { sid, expect }
    }

    /// Whatever is stored under the id. Under one that the application made there may be somebody else's: of a session that
    /// was never stored, nothing, and of one that may have been, what it is found to be.
    fn ask_destroy_this(&mut self, life: &Life, context: &Context<'_>, why: Why) -> Ask {
        let is_made = context.options.genid.is_some();
        let expect = match &life.standing {
            Standing::Fresh { tried } if tried.is_empty() => Expect::Nothing,
            Standing::Fresh { .. } | Standing::Doubt { before: Before::Fresh { .. } } if is_made => {
                if !self.has_looked {
                    self.has_looked = true;
                    return self.ask_get(life);
                }
                Expect::Nothing
            }
            // It was looked for and not found: what may still arrive is a leftover.
            Standing::Fresh { .. } if self.has_looked && why == Why::Moved => Expect::Nothing,
            // Where the session has gone on under another id, that one is to end.
            Standing::Held(held)
                if self.has_looked
                    || (context.options.renewal.is_some() && !planted(Fault::EndsWhateverCame)) =>
            {
                Expect::Version(held.version.clone())
            }
            Standing::Doubt { before: Before::Held(_) }
                if context.options.renewal.is_some() && !self.has_looked =>
            {
                self.has_looked = true;
                return self.ask_get(life);
            }
            _ => Expect::Anything,
        };
        self.ask_destroy(life.sid().clone(), expect, why)
    }
}
