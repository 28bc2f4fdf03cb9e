//! Another id for the session, with its data or without.

use super::{Copy, Done, Event, Operation, Step, Why, write::Written};
use crate::{
    error::Error,
    life::{
        Context,
        decide::Presence,
        fault::{Fault, planted},
        state::{Life, Standing},
    },
    record::Record,
    store::Expect,
    wire::sid::Sid,
};

impl Operation {
    pub(super) fn step_regenerate(
        &mut self,
        new: Sid,
        life: &mut Life,
        context: &Context<'_>,
        event: Event,
    ) -> Step {
        let done = match event {
            Event::Begin if life.presence != Presence::Present => return Step::Done(Err(Error::Destroyed)),
            Event::Begin if life.is_response_out() => return Step::Done(Err(Error::ResponseOut)),
            Event::Begin => {
                let ask = self.ask_destroy_this(life, Why::Moved);
                life.begin_doubt();
                return Step::Ask(ask);
            }
            Event::Failed(error) => {
                life.may_not_have_its_cookie();
                // To be tried again before the response goes out: somebody may still have the old id.
                life.leave(&life.sid().clone());
                Err(error.into())
            }
            Event::Destroyed(_, here) => {
                if !here {
                    life.may_not_have_its_cookie();
                }
                Ok(Done::Ok)
            }
            _ => Ok(Done::Ok),
        };
        if life.presence == Presence::Unset {
            return Step::Done(Err(Error::Destroyed));
        }
        // As in Express, the new one begins even where the old one could not be destroyed.
        life.start_over(new, context);
        Step::Done(done)
    }

    /// The record under the new id first, then the end of the old one, on the condition that nobody wrote to it in between.
    pub(super) fn step_renew(
        &mut self,
        new: &Sid,
        copy: Option<Box<Copy>>,
        life: &mut Life,
        context: &Context<'_>,
        event: Event,
    ) -> Step {
        match event {
            Event::Failed(error) => {
                if planted(Fault::FailedRenewalLogsOut) {
                    life.leave(&life.sid().clone());
                }
                return Step::Done(Err(error.into()));
            }
            Event::IdInUse => return Step::Done(Err(Error::IdInUse)),
            Event::Destroyed(Why::Moved, here) if here || planted(Fault::OvertakenRenewal) => {
                if life.presence == Presence::Unset {
                    // Unset meanwhile: the copy is one that nobody shall find.
                    life.gone();
                    return Step::Ask(self.ask_destroy(new.clone(), Expect::Anything, Why::LeftOver));
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
            Event::Destroyed(Why::LeftOver, _)
                if life.presence == Presence::Present && matches!(life.standing, Standing::Fresh { .. }) =>
            {
                life.rename(new.clone());
                return Step::Done(Ok(Done::Ok));
            }
            Event::Destroyed(Why::LeftOver, _) => {
                let destroyed = life.presence != Presence::Present;
                return Step::Done(Err(if destroyed { Error::Destroyed } else { Error::Gone }));
            }
            // What was copied before it expired must not stand under the id that the session gets.
            Event::Destroyed(Why::Expired, true) if life.leftovers.contains(new) => {
                return Step::Ask(self.ask_destroy(new.clone(), Expect::Anything, Why::LeftOver));
            }
            Event::Destroyed(Why::Expired, true) => {
                life.rename(new.clone());
                return Step::Done(Ok(Done::Ok));
            }
            Event::Destroyed(..) => life.gone(),
            Event::Conflict => {
                return match self.after_conflict(life) {
                    Ok(ask) => Step::Ask(ask),
                    Err(error) => Step::Done(Err(error)),
                };
            }
            Event::Expired { late: false } => return self.renew_expired(life),
            Event::Expired { late: true } => {
                if let Err(error) = self.count_conflict() {
                    return Step::Done(Err(error));
                }
            }
            Event::Copied => {
                if let (Standing::Held(held), Presence::Present) = (&life.standing, life.presence) {
                    let version = held.version.clone();
                    life.moves_away(version.clone());
                    let expect = Expect::Version(version);
                    return Step::Ask(self.ask_destroy(life.sid().clone(), expect, Why::Moved));
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
                Step::Ask(self.ask_destroy(new.clone(), Expect::Anything, Why::LeftOver))
            }
            Standing::Gone => Step::Done(Err(Error::Gone)),
            Standing::Fresh { .. } => {
                if !planted(Fault::IdNotRenewed) {
                    life.rename(new.clone());
                }
                Step::Done(Ok(Done::Ok))
            }
            Standing::Held(_) => self.copy(new, copy, life, context),
        }
    }

    fn copy(&mut self, new: &Sid, copy: Option<Box<Copy>>, life: &mut Life, context: &Context<'_>) -> Step {
        let stamped = life.stamped(context.now);
        if stamped.expires_at().is_some_and(|at| at <= context.now) {
            return self.renew_expired(life);
        }
        let expect = copy.map_or(Expect::Nothing, |copy| Expect::Version(copy.version));
        // Under an id of the application's making it is left over only once it is known to be ours.
        if context.options.genid.is_none() {
            life.leave(new);
        }
        let sent = life.copy_to(new.clone(), stamped, context.now);
        let record = Record::new(sent.stamped.clone(), (*sent.data).clone());
        Step::Ask(self.ask_copy(sent, record, expect))
    }

    fn renew_expired(&mut self, life: &mut Life) -> Step {
        match self.write_expired(life) {
            Written::Ask(ask) => Step::Ask(ask),
            Written::Stored => Step::Done(Ok(Done::Ok)),
            Written::Gone => Step::Done(Err(Error::Gone)),
        }
    }
}
