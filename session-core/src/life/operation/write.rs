//! Bringing what was changed here into the store, and reading it again.

use std::sync::Arc;

use super::{Ask, Asked, Change, Done, Event, Kind, Operation, Step};
use crate::{
    error::Error,
    life::{
        Context,
        decide::Presence,
        fault::{Fault, planted},
        merge::merge,
        state::{Before, Life, Standing, same},
    },
    record::data::Data,
    store::Expect,
};

/// What a write has come to.
pub(super) enum Written {
    Ask(Ask),
    Stored,
    Gone,
}

impl Operation {
    pub(super) fn step_write(&mut self, life: &mut Life, context: &Context<'_>, event: Event) -> Step {
        match self.write(life, context, event) {
            Ok(Written::Ask(ask)) => Step::Ask(ask),
            Ok(Written::Stored) => Step::Done(Ok(Done::Ok)),
            Ok(Written::Gone) => Step::Done(Err(Error::Gone)),
            Err(error) => Step::Done(Err(error)),
        }
    }

    /// Brings what was changed here into the store, and lets nothing come back that is gone.
    pub(super) fn write(
        &mut self,
        life: &mut Life,
        context: &Context<'_>,
        event: Event,
    ) -> Result<Written, Error> {
        match event {
            Event::Written => return Ok(Written::Stored),
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
            Event::Expired { late: false } => {
                let made = match self.data_to_write(life) {
                    Ok(data) => self.is_change().then_some(data),
                    Err(seen) => return Ok(Written::Ask(Ask::Change(seen))),
                };
                return Ok(self.write_expired(life, made));
            }
            Event::Expired { late: true } => self.count_conflict()?,
            Event::Conflict if planted(Fault::ConflictNotRead) && self.has_turn => self.count_conflict()?,
            Event::Conflict => return Ok(Written::Ask(self.after_conflict(life)?)),
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
        let at_the_end = matches!(self.kind, Kind::End(_));
        if matches!(life.standing, Standing::Held(_))
            && !self.has_read
            && life.is_to_look_at_its_end(at_the_end, context)
        {
            return Ok(Written::Ask(self.ask_get(life)));
        }
        if life.needs_another_id() && !self.has_other_sid && !planted(Fault::IdKeptInDoubt) {
            self.asked = Asked::NewSid;
            return Ok(Written::Ask(Ask::NewSid));
        }
        let data = match self.data_to_write(life) {
            Ok(data) => data,
            Err(seen) => return Ok(Written::Ask(Ask::Change(seen))),
        };
        let stamped = life.stamped_to_write(at_the_end, context);
        let has_expired = life.stamped(context).held(context.now, None).is_some_and(|at| at <= context.now);
        if has_expired && !planted(Fault::OldExpiryWritten) {
            if self.is_change() {
                context.options.limits.check(&data)?;
            }
            let made = self.is_change().then_some(data);
            return Ok(self.write_expired(life, made));
        }
        let has_nothing_to_add = !life.has_changes() && !life.has_kept_back() && !life.is_first_seen();
        if self.has_merged && matches!(self.kind, Kind::Save | Kind::End(_)) && has_nothing_to_add {
            return Ok(Written::Ask(self.ask_touch(life, stamped, context)));
        }
        context.options.limits.check(&data)?;
        Ok(Written::Ask(self.ask_set(life, data, stamped, expect, context)))
    }

    fn is_change(&self) -> bool {
        matches!(self.kind, Kind::Change(_))
    }

    /// What is to be stored, or of what the application is to be asked first.
    fn data_to_write(&mut self, life: &Life) -> Result<Arc<Data>, Arc<Data>> {
        let Kind::Change(change) = &self.kind else { return Ok(Arc::clone(life.data())) };
        match change {
            Change::Made { seen, made, .. } if same(seen, life.data()) => Ok(Arc::clone(made)),
            // Changed here while the application was asked.
            Change::Made { seen, made, base } if Arc::ptr_eq(base, life.base()) => {
                Ok(Arc::new(merge(seen, made, life.data())))
            }
            _ => {
                let (seen, base) = (Arc::clone(life.data()), Arc::clone(life.base()));
                self.asked = Asked::Change { seen: Arc::clone(&seen), base };
                Err(seen)
            }
        }
    }

    /// A record that has expired is destroyed instead of written, on the same condition. What an atomic change has `made` is then
    /// what the handler sees, and stored if it revives the session.
    pub(super) fn write_expired(&mut self, life: &mut Life, made: Option<Arc<Data>>) -> Written {
        let expect = match &life.standing {
            Standing::Gone => return Written::Gone,
            Standing::Doubt { .. } => return Written::Ask(self.ask_get(life)),
            Standing::Fresh { .. } => {
                life.expired(life.seen(), made);
                return Written::Stored;
            }
            Standing::Held(held) => Expect::Version(held.version.clone()),
        };
        Written::Ask(self.ask_destroy_expired(life, expect, made))
    }

    pub(super) fn step_reload(&mut self, life: &Life, event: Event) -> Step {
        match event {
            Event::Failed(error) => Step::Done(Err(error.into())),
            Event::Reloaded => Step::Done(Ok(Done::Ok)),
            Event::NothingToDo => Step::Done(Err(Error::NotStored)),
            _ if life.presence != Presence::Present => Step::Done(Err(Error::Destroyed)),
            _ => Step::Ask(self.ask_get(life)),
        }
    }
}
