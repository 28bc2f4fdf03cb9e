//! The operations: which questions each asks the store, in which order, and what it answers its caller.

use std::sync::Arc;

use super::{
    Context,
    decide::{Decision, Presence, SetCookie, Write, cookie_after, decide},
    fault::{Fault, planted},
    merge::merge,
    state::{Before, CookieOut, Learned, Life, Sent, Standing},
};
use crate::{
    error::{Error, StoreError},
    record::{Record, cookie::Cookie, data::Data, value::same_values},
    store::{Destroyed, Expect, Set, Stored, Touched, Version},
    wire::sid::Sid,
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
#[expect(
    clippy::large_enum_variant,
    reason = "moved and never kept: a box would be one more allocation a request"
)]
pub(crate) enum Answer {
    Got(Option<Stored>),
    Set(Set),
    Touched(Touched),
    Destroyed(Destroyed),
    Failed(StoreError),
    Turn,
    Changed(Changed),
    NewSid(Sid),
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
#[expect(
    clippy::large_enum_variant,
    reason = "moved and never kept: a box would be one more allocation a request"
)]
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
    /// The application was asked for another id.
    has_other_sid: bool,
}

#[derive(Clone)]
#[cfg_attr(test, derive(Hash))]
enum Kind {
    Save,
    Change(Change),
    Reload,
    Regenerate { new: Sid },
    Renew { new: Sid, copy: Option<Box<Copy>> },
    Destroy,
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
}

/// The question that is out.
#[derive(Clone)]
#[cfg_attr(test, derive(Hash))]
enum Asked {
    Nothing,
    Get {
        learned: Learned,
    },
    Set(Sent),
    /// Under the new id.
    Copy(Sent),
    Touch {
        sid: Sid,
        stamped: Cookie,
        at: crate::wire::date::Millis,
    },
    Destroy {
        sid: Sid,
        learned: Learned,
        why: Why,
    },
    Turn,
    Change {
        seen: Arc<Data>,
        base: Arc<Data>,
    },
    NewSid {
        learned: Learned,
    },
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
    /// Written, but the session had been ended or had moved meanwhile.
    WrittenToNobody(Sid, Version),
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
    /// Something was learned meanwhile, the turn has come, or the application has answered: go on from what is known.
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

    pub(crate) fn destroy() -> Self {
        Self::of(Kind::Destroy)
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
            has_other_sid: false,
        }
    }

    /// The next question, after the answer to the last one; `None` at first.
    pub(crate) fn step(&mut self, life: &mut Life, context: &Context<'_>, answer: Option<Answer>) -> Step {
        let event = match answer {
            None => Event::Begin,
            Some(answer) => self.settle(life, context, answer),
        };
        self.next(life, context, event)
    }
}

/// What an answer changes of what is known.
impl Operation {
    fn settle(&mut self, life: &mut Life, context: &Context<'_>, answer: Answer) -> Event {
        match (std::mem::replace(&mut self.asked, Asked::Nothing), answer) {
            (_, Answer::Failed(error)) => Event::Failed(error),
            (Asked::Get { learned }, Answer::Got(_)) if !life.awaits(learned) => Event::GoOn,
            (Asked::Get { .. }, Answer::Got(Some(stored))) => self.found(life, context, stored),
            (Asked::Get { .. }, Answer::Got(None)) => self.found_nothing(life),
            (Asked::Set(sent), Answer::Set(set)) => Self::set(life, context, &sent, set),
            (Asked::Copy(sent), Answer::Set(Set::Written(version))) => {
                let current = life.awaits(sent.ticket);
                life.leave(&sent.sid);
                if let Kind::Renew { copy, .. } = &mut self.kind {
                    *copy = Some(Box::new(Copy { sent, version }));
                }
                if current { Event::Copied } else { Event::GoOn }
            }
            (Asked::Copy(_), Answer::Set(Set::Conflict))
                if matches!(self.kind, Kind::Renew { copy: Some(_), .. }) =>
            {
                // The copy has expired meanwhile.
                if let Kind::Renew { copy, .. } = &mut self.kind {
                    *copy = None;
                }
                Event::GoOn
            }
            (Asked::Copy(sent), Answer::Set(Set::Conflict)) => {
                life.leftovers.retain(|sid| *sid != sent.sid);
                Event::IdInUse
            }
            (Asked::Copy(sent), Answer::Set(Set::Expired)) => Event::Expired { late: context.now > sent.at },
            (Asked::Touch { sid, stamped, at }, Answer::Touched(touched)) => match touched {
                Touched::Moved => {
                    if sid == *life.sid() {
                        life.touched(&stamped, at);
                    }
                    Event::Touched
                }
                Touched::Unknown => {
                    if sid == *life.sid() {
                        life.found_nothing();
                    }
                    Event::Touched
                }
                Touched::Expired => Event::Expired { late: context.now > at },
            },
            (Asked::Destroy { sid, learned, why }, Answer::Destroyed(destroyed)) => {
                self.destroyed(life, &sid, learned, why, destroyed)
            }
            (Asked::NewSid { learned }, Answer::NewSid(sid)) => {
                self.has_other_sid = true;
                // A `genid` may have one answer only.
                if life.awaits(learned) && sid != *life.sid() {
                    life.rename(sid);
                }
                Event::GoOn
            }
            (Asked::Turn, Answer::Turn) => {
                self.has_turn = true;
                Event::GoOn
            }
            (Asked::Change { seen, .. }, Answer::Changed(Changed::To(made)))
                if made == *seen && !life.has_changes() =>
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
            // An answer to another question than the one that was asked: the session is read again.
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
        }
        if let Kind::Reload = self.kind {
            life.take_over(stored, context);
            return Event::Reloaded;
        }
        self.has_merged = self.conflicts > 0;
        life.read(stored, context);
        Event::Read
    }

    fn found_nothing(&mut self, life: &mut Life) -> Event {
        if let Kind::Reload = self.kind {
            return Event::NothingToDo;
        }
        life.found_nothing();
        Event::Read
    }

    fn set(life: &mut Life, context: &Context<'_>, sent: &Sent, set: Set) -> Event {
        let awaited = life.awaits(sent.ticket);
        match set {
            Set::Written(version) if awaited && life.presence != Presence::Destroyed => {
                life.written(sent, version, context);
                Event::Written
            }
            Set::Written(version) if sent.sid != *life.sid() || life.presence == Presence::Destroyed => {
                Event::WrittenToNobody(sent.sid.clone(), version)
            }
            Set::Written(version) => {
                life.written_late(&version);
                Event::Written
            }
            Set::Conflict if awaited && life.was_first_try() => {
                life.nothing_was_done();
                Event::IdInUse
            }
            Set::Conflict => Event::Conflict,
            Set::Expired => {
                if awaited {
                    life.nothing_was_done();
                }
                Event::Expired { late: context.now > sent.at }
            }
        }
    }

    fn destroyed(
        &mut self,
        life: &mut Life,
        sid: &Sid,
        learned: Learned,
        why: Why,
        destroyed: Destroyed,
    ) -> Event {
        let awaited = life.awaits(learned);
        let here = destroyed == Destroyed::Destroyed;
        match why {
            Why::LeftOver => {
                life.leftovers.retain(|left| left != sid);
                Event::Destroyed(why, here)
            }
            Why::Wanted if destroyed == Destroyed::Conflict => {
                if matches!(life.standing, Standing::Fresh { .. }) {
                    Event::Destroyed(why, false)
                } else {
                    Event::Conflict
                }
            }
            Why::Moved if destroyed == Destroyed::Conflict => {
                if matches!(self.kind, Kind::Regenerate { .. }) {
                    Event::Destroyed(why, false)
                } else {
                    Event::Conflict
                }
            }
            // What was written meanwhile may have come after it.
            Why::Wanted if !awaited && !here => Event::GoOn,
            Why::Wanted | Why::Moved => Event::Destroyed(why, here),
            Why::Expired => {
                match destroyed {
                    Destroyed::Conflict => return Event::Conflict,
                    Destroyed::Destroyed if awaited => life.expired(),
                    Destroyed::Unknown if awaited => life.found_nothing(),
                    _ => {}
                }
                Event::Destroyed(why, here)
            }
        }
    }
}

/// What comes next.
impl Operation {
    fn next(&mut self, life: &mut Life, context: &Context<'_>, event: Event) -> Step {
        match &self.kind {
            Kind::Save => match self.write(life, context, event) {
                Ok(Written::Ask(ask)) => Step::Ask(ask),
                Ok(Written::Stored) => Step::Done(Ok(Done::Ok)),
                Ok(Written::Gone) => Step::Done(Err(Error::Gone)),
                Err(error) => Step::Done(Err(error)),
            },
            Kind::Change(_) => match self.write(life, context, event) {
                Ok(Written::Ask(ask)) => Step::Ask(ask),
                Ok(Written::Stored) => Step::Done(Ok(Done::Ok)),
                Ok(Written::Gone) => Step::Done(Err(Error::Gone)),
                Err(error) => Step::Done(Err(error)),
            },
            Kind::Reload => self.step_reload(life, event),
            Kind::Regenerate { new } => self.step_regenerate(new.clone(), life, context, event),
            Kind::Renew { new, copy } => {
                let (new, copy) = (new.clone(), copy.clone());
                self.step_renew(&new, copy, life, context, event)
            }
            Kind::Destroy => self.step_destroy(life, event),
            Kind::End(phase) => self.step_end(phase.clone(), life, context, event),
        }
    }

    /// Brings what was changed here into the store, and lets nothing come back that is gone.
    fn write(&mut self, life: &mut Life, context: &Context<'_>, event: Event) -> Result<Written, Error> {
        match event {
            Event::Written => return Ok(Written::Stored),
            // The session has another id by now, or none: what was written is taken back.
            Event::WrittenToNobody(sid, version) => {
                life.leftovers.push(sid.clone());
                return Ok(Written::Ask(self.ask_destroy(
                    life,
                    sid,
                    Expect::Version(version),
                    Why::LeftOver,
                )));
            }
            Event::Destroyed(Why::LeftOver, _) => {}
            Event::Touched => {
                let gone = matches!(life.standing, Standing::Gone);
                if !gone {
                    life.is_stored_as_it_is();
                }
                return Ok(if gone { Written::Gone } else { Written::Stored });
            }
            Event::Destroyed(..) => {
                let gone = matches!(life.standing, Standing::Gone);
                return Ok(if gone { Written::Gone } else { Written::Stored });
            }
            Event::NothingToDo => return Ok(Written::Stored),
            Event::IdInUse => return Err(Error::IdInUse),
            Event::Failed(error) => return Err(error.into()),
            Event::Expired { late: false } => return Ok(self.write_expired(life)),
            Event::Expired { late: true } => self.count_conflict()?,
            Event::Conflict => {
                self.count_conflict()?;
                if !self.has_turn {
                    self.asked = Asked::Turn;
                    return Ok(Written::Ask(Ask::Turn(life.sid().clone())));
                }
                if !planted(Fault::ConflictNotRead) {
                    return Ok(Written::Ask(self.ask_get(life)));
                }
            }
            Event::Begin | Event::Read | Event::GoOn | Event::Reloaded | Event::Copied => {}
        }
        if life.presence != Presence::Present && !planted(Fault::SavedAfterDestroy) {
            // The end of the request has nothing to save then.
            return if matches!(self.kind, Kind::End(_)) { Ok(Written::Gone) } else { Err(Error::Destroyed) };
        }
        let expect = match &life.standing {
            Standing::Gone => return Ok(Written::Gone),
            Standing::Doubt { before: Before::Fresh { .. } } if planted(Fault::DoubtNotRead) => {
                Expect::Nothing
            }
            Standing::Doubt { .. } if planted(Fault::ConflictNotRead) && self.conflicts > 0 => {
                Expect::Anything
            }
            Standing::Doubt { .. } => return Ok(Written::Ask(self.ask_get(life))),
            Standing::Fresh { .. } => Expect::Nothing,
            Standing::Held(held) => Expect::Version(held.version.clone()),
        };
        if !life.is_reachable() && !planted(Fault::UnreachableSaved) {
            return Err(Error::ResponseOut);
        }
        if life.needs_another_id() && !self.has_other_sid && !planted(Fault::IdKeptInDoubt) {
            self.asked = Asked::NewSid { learned: life.learned };
            return Ok(Written::Ask(Ask::NewSid));
        }
        let data = match self.data_to_write(life) {
            Ok(data) => data,
            Err(ask) => return Ok(Written::Ask(ask)),
        };
        let stamped = life.stamped(context.now);
        if stamped.expires_at().is_some_and(|at| at <= context.now) && !planted(Fault::OldExpiryWritten) {
            return Ok(self.write_expired(life));
        }
        if self.has_merged && matches!(self.kind, Kind::Save | Kind::End(_)) && !life.has_changes() {
            return Ok(Written::Ask(self.ask_touch(life, stamped, context)));
        }
        context.options.limits.check(&data)?;
        Ok(Written::Ask(self.ask_set(life, data, stamped, expect, context)))
    }

    /// What is to be stored, or the question that comes first.
    #[expect(clippy::result_large_err, reason = "no error, and moved only")]
    fn data_to_write(&mut self, life: &Life) -> Result<Arc<Data>, Ask> {
        let Kind::Change(change) = &self.kind else { return Ok(Arc::clone(life.data())) };
        match change {
            Change::Made { seen, made, .. } if Arc::ptr_eq(seen, life.data()) => Ok(Arc::clone(made)),
            // Changed here while the application was asked.
            Change::Made { seen, made, base } if Arc::ptr_eq(base, life.base()) => {
                Ok(Arc::new(merge(seen, made, life.data())))
            }
            _ => {
                let (seen, base) = (Arc::clone(life.data()), Arc::clone(life.base()));
                self.asked = Asked::Change { seen: Arc::clone(&seen), base };
                Err(Ask::Change(seen))
            }
        }
    }

    /// A record that has expired is destroyed instead of written, on the same condition.
    fn write_expired(&mut self, life: &mut Life) -> Written {
        let expect = match &life.standing {
            Standing::Gone => return Written::Gone,
            Standing::Doubt { .. } => return Written::Ask(self.ask_get(life)),
            Standing::Fresh { .. } => {
                life.expired();
                return Written::Stored;
            }
            Standing::Held(held) => Expect::Version(held.version.clone()),
        };
        life.begin_doubt();
        Written::Ask(self.ask_destroy(life, life.sid().clone(), expect, Why::Expired))
    }

    fn step_reload(&mut self, life: &Life, event: Event) -> Step {
        match event {
            Event::Failed(error) => Step::Done(Err(error.into())),
            Event::Reloaded => Step::Done(Ok(Done::Ok)),
            Event::NothingToDo => Step::Done(Err(Error::NotStored)),
            _ if life.presence != Presence::Present => Step::Done(Err(Error::Destroyed)),
            _ => Step::Ask(self.ask_get(life)),
        }
    }

    fn step_regenerate(&mut self, new: Sid, life: &mut Life, context: &Context<'_>, event: Event) -> Step {
        let done = match event {
            Event::Begin if life.presence != Presence::Present => return Step::Done(Err(Error::Destroyed)),
            Event::Begin if life.is_response_out() => return Step::Done(Err(Error::ResponseOut)),
            Event::Begin => {
                let Ask::Destroy { sid, expect } = self.ask_destroy_this(life) else {
                    return Step::Done(Err(Error::Gone));
                };
                life.begin_doubt();
                return Step::Ask(self.ask_destroy(life, sid, expect, Why::Moved));
            }
            Event::Failed(error) => {
                // To be tried again before the response goes out: somebody may still have the old id.
                life.leftovers.push(life.sid().clone());
                Err(error.into())
            }
            _ => Ok(Done::Ok),
        };
        if life.presence != Presence::Present {
            return Step::Done(Err(Error::Destroyed));
        }
        if life.is_response_out() {
            life.gone();
            return Step::Done(Err(Error::ResponseOut));
        }
        // As in Express, the new one begins even where the old one could not be destroyed.
        life.start_over(new, context);
        Step::Done(done)
    }

    /// The record under the new id first, then the end of the old one, on the condition that nobody wrote to it in between.
    fn step_renew(
        &mut self,
        new: &Sid,
        copy: Option<Box<Copy>>,
        life: &mut Life,
        context: &Context<'_>,
        event: Event,
    ) -> Step {
        match event {
            Event::Failed(error) => return Step::Done(Err(error.into())),
            Event::IdInUse => return Step::Done(Err(Error::IdInUse)),
            Event::Destroyed(Why::Moved, here) if here || planted(Fault::OvertakenRenewal) => {
                if life.presence != Presence::Present || life.is_response_out() {
                    // The copy is one that nobody shall find.
                    life.gone();
                    return Step::Ask(self.ask_destroy(life, new.clone(), Expect::Anything, Why::LeftOver));
                }
                if let Some(copy) = copy {
                    // The store took longer for it than the session lives.
                    if copy.sent.stamped.expires_at().is_some_and(|at| at <= context.now) {
                        life.gone();
                        return Step::Done(Err(Error::Gone));
                    }
                    life.moved(&copy.sent, copy.version, context);
                }
                return Step::Done(Ok(Done::Ok));
            }
            Event::Destroyed(Why::LeftOver, _) => {
                let destroyed = life.presence != Presence::Present;
                return Step::Done(Err(if destroyed { Error::Destroyed } else { Error::Gone }));
            }
            Event::Destroyed(Why::Expired, true) => {
                life.rename(new.clone());
                return Step::Done(Ok(Done::Ok));
            }
            Event::Destroyed(..) => life.gone(),
            Event::Conflict => {
                if let Err(error) = self.count_conflict() {
                    return Step::Done(Err(error));
                }
                if !self.has_turn {
                    self.asked = Asked::Turn;
                    return Step::Ask(Ask::Turn(life.sid().clone()));
                }
                return Step::Ask(self.ask_get(life));
            }
            Event::Copied => {
                if let (Standing::Held(held), Presence::Present, false) =
                    (&life.standing, life.presence, life.is_response_out())
                {
                    let expect = Expect::Version(held.version.clone());
                    life.begin_doubt();
                    let sid = life.sid().clone();
                    return Step::Ask(self.ask_destroy(life, sid, expect, Why::Moved));
                }
            }
            _ => {}
        }
        if life.presence != Presence::Present {
            return Step::Done(Err(Error::Destroyed));
        }
        if life.is_response_out() {
            return Step::Done(Err(Error::ResponseOut));
        }
        match &life.standing {
            Standing::Doubt { .. } => Step::Ask(self.ask_get(life)),
            Standing::Gone if copy.is_some() => {
                Step::Ask(self.ask_destroy(life, new.clone(), Expect::Anything, Why::LeftOver))
            }
            Standing::Gone => Step::Done(Err(Error::Gone)),
            Standing::Fresh { .. } => {
                life.rename(new.clone());
                Step::Done(Ok(Done::Ok))
            }
            Standing::Held(_) => self.copy(new, copy, life, context),
        }
    }

    fn copy(&mut self, new: &Sid, copy: Option<Box<Copy>>, life: &mut Life, context: &Context<'_>) -> Step {
        let stamped = life.stamped(context.now);
        if stamped.expires_at().is_some_and(|at| at <= context.now) {
            return match self.write_expired(life) {
                Written::Ask(ask) => Step::Ask(ask),
                Written::Stored => Step::Done(Ok(Done::Ok)),
                Written::Gone => Step::Done(Err(Error::Gone)),
            };
        }
        let expect = copy.map_or(Expect::Nothing, |copy| Expect::Version(copy.version));
        // Under an id of the application's making it is left over only once it is known to be ours.
        if context.options.genid.is_none() {
            life.leave(new);
        }
        let sent = life.copy_to(new.clone(), stamped, context.now);
        let record = Record::new(sent.stamped.clone(), (*sent.data).clone());
        self.asked = Asked::Copy(sent);
        Step::Ask(Ask::Set { sid: new.clone(), record, expect })
    }

    fn step_destroy(&mut self, life: &mut Life, event: Event) -> Step {
        match event {
            Event::Begin => {
                if !matches!(life.presence, Presence::Present | Presence::Ending) {
                    return Step::Done(Err(Error::Destroyed));
                }
                life.presence =
                    if planted(Fault::DestroyClaimed) { Presence::Destroyed } else { Presence::Ending };
            }
            Event::Failed(error) => return Step::Done(Err(error.into())),
            Event::Destroyed(Why::LeftOver, _) => return self.destroy_leftovers(life),
            Event::Destroyed(_, here) => {
                life.destroyed(here);
                return self.destroy_leftovers(life);
            }
            _ => {
                if let Err(error) = self.count_conflict() {
                    return Step::Done(Err(error));
                }
            }
        }
        Step::Ask(self.ask_destroy_this(life))
    }

    /// What earlier operations left behind is of this session too: a logout that says so has ended it as well.
    fn destroy_leftovers(&mut self, life: &mut Life) -> Step {
        if let Some(sid) = life.leftovers.first().cloned() {
            return Step::Ask(self.ask_destroy(life, sid, Expect::Anything, Why::LeftOver));
        }
        let elsewhere = matches!(life.standing, Standing::Gone) && !planted(Fault::OvertakenDestroy);
        Step::Done(if elsewhere { Err(Error::Gone) } else { Ok(Done::Ok) })
    }
}

/// The end of a request: gathers the facts, asks `decide`, and does what it says.
impl Operation {
    fn step_end(&mut self, phase: End, life: &mut Life, context: &Context<'_>, event: Event) -> Step {
        match (phase, event) {
            (End::Begin, _) if life.is_response_out() => self.ended(life, context, Decision::NOTHING, None),
            (End::Begin, _) if life.presence == Presence::Ending && !planted(Fault::DestroyNotFinished) => {
                self.kind = Kind::End(End::Destroying);
                Step::Ask(self.ask_destroy_this(life))
            }
            (End::Destroying, Event::Failed(error)) => {
                self.ended(life, context, Decision::NOTHING, Some(error.into()))
            }
            (End::Destroying, Event::Destroyed(_, here)) => {
                life.destroyed(here);
                self.decide(life, context)
            }
            (End::Destroying, _) => Step::Ask(self.ask_destroy_this(life)),
            (End::Begin, _) => self.decide(life, context),
            (End::Writing(decision), event) => self.carry_out(decision, life, context, event),
            (End::CleaningUp(decision), Event::Failed(error)) => {
                self.ended(life, context, decision, Some(error.into()))
            }
            (End::CleaningUp(decision), _) => self.clean_up(decision, life, context),
        }
    }

    fn decide(&mut self, life: &mut Life, context: &Context<'_>) -> Step {
        let decision = decide(&life.facts(context), &context.options.policies);
        self.carry_out(decision, life, context, Event::Begin)
    }

    fn carry_out(
        &mut self,
        decision: Decision,
        life: &mut Life,
        context: &Context<'_>,
        event: Event,
    ) -> Step {
        self.kind = Kind::End(End::Writing(decision));
        let gone = matches!(life.standing, Standing::Gone);
        match (decision.write, event) {
            (Write::Nothing, _) => self.clean_up(decision, life, context),
            (Write::Set, event) => match self.write(life, context, event) {
                Ok(Written::Ask(ask)) => Step::Ask(ask),
                Ok(Written::Stored | Written::Gone) => {
                    let decision = if self.has_merged {
                        cookie_after(&life.facts(context), &context.options.policies, decision)
                    } else {
                        decision
                    };
                    self.clean_up(decision, life, context)
                }
                Err(error) => self.ended(life, context, decision, Some(error)),
            },
            (_, Event::Failed(error)) => self.ended(life, context, decision, Some(error.into())),
            (Write::Touch, Event::Begin) if gone => self.clean_up(decision, life, context),
            (Write::Touch, Event::Begin | Event::Expired { late: true }) => {
                let stamped = life.stamped(context.now);
                if stamped.expires_at().is_some_and(|at| at <= context.now) {
                    return self.end_expired(life);
                }
                Step::Ask(self.ask_touch(life, stamped, context))
            }
            (Write::Touch, Event::Expired { late: false }) => self.end_expired(life),
            (Write::Destroy, Event::Begin) => Step::Ask(self.ask_destroy_this(life)),
            (Write::Destroy, Event::Destroyed(_, here)) => {
                let presence = life.presence;
                life.destroyed(here || presence == Presence::Destroyed);
                self.clean_up(decision, life, context)
            }
            (Write::Touch | Write::Destroy, _) => self.clean_up(decision, life, context),
        }
    }

    /// A touch with a lifetime that has ended: the session ends.
    fn end_expired(&mut self, life: &mut Life) -> Step {
        life.begin_doubt();
        let sid = life.sid().clone();
        Step::Ask(self.ask_destroy(life, sid, Expect::Anything, Why::Expired))
    }

    /// What operations of this request left behind is destroyed before the response goes out.
    fn clean_up(&mut self, decision: Decision, life: &mut Life, context: &Context<'_>) -> Step {
        match life.leftovers.first().cloned() {
            Some(sid) if !planted(Fault::LeftoverKept) => {
                self.kind = Kind::End(End::CleaningUp(decision));
                Step::Ask(self.ask_destroy(life, sid, Expect::Anything, Why::LeftOver))
            }
            _ => self.ended(life, context, decision, None),
        }
    }

    fn ended(
        &mut self,
        life: &mut Life,
        context: &Context<'_>,
        decision: Decision,
        error: Option<Error>,
    ) -> Step {
        let gone = matches!(life.standing, Standing::Gone);
        if error.is_some() || gone {
            life.is_told();
        }
        let set_cookie = if gone || error.is_some() { SetCookie::Nothing } else { decision.cookie };
        if !life.is_response_out() {
            let expired = life.cookie_to_send(context.now).expires_at().is_some_and(|at| at <= context.now);
            let out = match set_cookie {
                SetCookie::Send if expired => CookieOut::Expired,
                SetCookie::Send => CookieOut::Sent,
                _ => CookieOut::NotSent,
            };
            life.response_out(out, context.now);
        }
        let silent = planted(Fault::DroppedInSilence) || error.is_some();
        let dropped = if gone && !silent { life.unsaved() } else { 0 };
        Step::Done(Ok(Done::Ended(Ended {
            set_cookie,
            sid: life.sid().clone(),
            cookie: life.cookie().clone(),
            gone,
            dropped,
            error,
        })))
    }
}

/// What a write has come to.
#[expect(
    clippy::large_enum_variant,
    reason = "moved and never kept: a box would be one more allocation a request"
)]
enum Written {
    Ask(Ask),
    Stored,
    Gone,
}

/// The questions.
impl Operation {
    fn ask_get(&mut self, life: &Life) -> Ask {
        self.asked = Asked::Get { learned: life.learned };
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
        let sent = life.send(data, stamped, context.now);
        let record = Record::new(sent.stamped.clone(), (*sent.data).clone());
        let sid = sent.sid.clone();
        self.asked = Asked::Set(sent);
        Ask::Set { sid, record, expect }
    }

    fn ask_touch(&mut self, life: &mut Life, stamped: Cookie, context: &Context<'_>) -> Ask {
        let sid = life.sid().clone();
        life.touch_goes_out();
        self.asked = Asked::Touch { sid: sid.clone(), stamped: stamped.clone(), at: context.now };
        Ask::Touch { sid, cookie: stamped }
    }

    fn ask_destroy(&mut self, life: &Life, sid: Sid, expect: Expect, why: Why) -> Ask {
        self.asked = Asked::Destroy { sid: sid.clone(), learned: life.learned, why };
        Ask::Destroy { sid, expect }
    }

    /// Whatever is stored under the id; of a session that was never stored, nothing: under an id that the application made
    /// there may be somebody else's.
    fn ask_destroy_this(&mut self, life: &Life) -> Ask {
        let never_stored = matches!(&life.standing, Standing::Fresh { tried } if tried.is_empty());
        let expect = if never_stored { Expect::Nothing } else { Expect::Anything };
        self.ask_destroy(life, life.sid().clone(), expect, Why::Wanted)
    }

    fn count_conflict(&mut self) -> Result<(), Error> {
        self.conflicts += 1;
        if self.conflicts > ATTEMPTS { Err(Error::Contended(ATTEMPTS.into())) } else { Ok(()) }
    }
}
