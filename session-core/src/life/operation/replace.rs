//! Another id for the session, with its data or without.

use super::{Ask, Copy, Done, Event, Operation, Step, Why, end::is_nobodys, write::Written};
use crate::{
    error::Error,
    life::{
        Context,
        decide::Presence,
        fault::{Fault, planted},
        state::{Before, Life, Standing},
    },
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
        let is_ended_here = matches!(event, Event::Destroyed(_, true));
        let done = match event {
            Event::Begin if life.presence != Presence::Present => return Step::Done(Err(Error::Destroyed)),
            Event::Begin if life.is_response_out() => return Step::Done(Err(Error::ResponseOut)),
            Event::Begin | Event::Read | Event::GoOn if is_nobodys(life, context) => {
                life.may_not_have_its_cookie();
                Ok(Done::Ok)
            }
            Event::Begin | Event::Read | Event::GoOn => return Step::Ask(self.ask_replace(life, context)),
            Event::Conflict => match self.after_conflict(life) {
                Ok(ask) => {
                    // What was sent to be stored has arrived.
                    self.has_looked = false;
                    return Step::Ask(ask);
                }
                Err(error) => Err(error),
            },
            Event::Failed(error) => Err(error.into()),
            Event::Destroyed(_, here) => {
                if !here {
                    life.may_not_have_its_cookie();
                }
                Ok(Done::Ok)
            }
            _ => Ok(Done::Ok),
        };
        if done.is_err() {
            life.may_not_have_its_cookie();
            // To be tried again before the response goes out: somebody may still have the old id.
            let is_ours = match &life.standing {
                Standing::Fresh { .. } | Standing::Doubt { before: Before::Fresh { .. } } => {
                    // Under an id of the application's making there may be somebody else's session.
                    life.may_be_stored() && context.options.genid.is_none()
                }
                _ => true,
            };
            if is_ours {
                life.leave(&life.sid().clone());
            }
        }
        if life.presence == Presence::Unset {
            if is_ended_here {
                life.ended_here(context);
            }
            return Step::Done(Err(Error::Destroyed));
        }
        // As in Express, the new one begins even where the old one could not be destroyed.
        life.start_over(new, context);
        Step::Done(done)
    }

    /// The old record ends on the condition that it is the one that is known: given up, this may still arrive, and must not
    /// end what was written since.
    fn ask_replace(&mut self, life: &mut Life, context: &Context<'_>) -> Ask {
        life.is_to_be_replaced();
        match &life.standing {
            Standing::Doubt { before: Before::Held(_) } => self.ask_get(life),
            // What was sent to be stored may be there by now: it ends on the condition of what it is found to be.
            Standing::Fresh { tried } | Standing::Doubt { before: Before::Fresh { tried } }
                if !tried.is_empty() && !self.has_looked =>
            {
                self.has_looked = true;
                self.ask_get(life)
            }
            Standing::Held(held) => {
                let version = held.version.clone();
                life.moves_away(version.clone());
                self.ask_destroy(life.sid().clone(), Expect::Version(version), Why::Moved)
            }
            _ => {
                let ask = self.ask_destroy_this(life, context, Why::Moved);
                life.begin_doubt();
                ask
            }
        }
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
                let is_out = life.presence == Presence::Present && life.is_response_out();
                if life.presence == Presence::Unset || is_out {
                    // Unset meanwhile, or the client has left: the copy is one that nobody shall find, or can.
                    if is_out {
                        life.gone();
                    } else {
                        life.ended_here(context);
                    }
                    return Step::Ask(self.ask_destroy(new.clone(), Expect::Anything, Why::LeftOver));
                }
                if let Some(copy) = copy {
                    // The store took longer for it than the session lives.
                    if copy.sent.stamped.held(context.now, None).is_some_and(|at| at <= context.now) {
                        life.gone();
                        return Step::Done(Err(Error::Gone));
                    }
                    life.moved(&copy.sent, copy.version, self.asked_at, context);
                }
                return Step::Done(Ok(Done::Ok));
            }
            Event::Destroyed(Why::LeftOver, _)
                if life.presence == Presence::Present && matches!(life.standing, Standing::Fresh { .. }) =>
            {
                life.rename(new.clone(), context);
                return Step::Done(Ok(Done::Ok));
            }
            Event::Destroyed(Why::LeftOver, _) => {
                return Step::Done(Err(match &life.standing {
                    _ if life.presence != Presence::Present => Error::Destroyed,
                    Standing::Gone if !life.is_response_out() => Error::Gone,
                    _ => Error::ResponseOut,
                }));
            }
            // What was copied before it expired must not stand under the id that the session gets.
            Event::Destroyed(Why::Expired, true) if life.leftovers.contains(new) => {
                return Step::Ask(self.ask_destroy(new.clone(), Expect::Anything, Why::LeftOver));
            }
            Event::Destroyed(Why::Expired, true) => {
                life.rename(new.clone(), context);
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
                if let (Standing::Held(held), Presence::Present, false) =
                    (&life.standing, life.presence, life.is_response_out())
                {
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
            // Nobody gets the new id.
            return match copy {
                Some(_) => Step::Ask(self.ask_destroy(new.clone(), Expect::Anything, Why::LeftOver)),
                None => Step::Done(Err(Error::ResponseOut)),
            };
        }
        match &life.standing {
            Standing::Doubt { .. } => Step::Ask(self.ask_get(life)),
            Standing::Gone if copy.is_some() => {
                Step::Ask(self.ask_destroy(new.clone(), Expect::Anything, Why::LeftOver))
            }
            Standing::Gone => Step::Done(Err(Error::Gone)),
            Standing::Fresh { .. } => {
                if !planted(Fault::IdNotRenewed) {
                    life.rename(new.clone(), context);
                }
                Step::Done(Ok(Done::Ok))
            }
            Standing::Held(_) => self.copy(new, copy, life, context),
        }
    }

    fn copy(&mut self, new: &Sid, copy: Option<Box<Copy>>, life: &mut Life, context: &Context<'_>) -> Step {
        let stamped = life.stamped(context);
        if stamped.held(context.now, None).is_some_and(|at| at <= context.now) {
            return self.renew_expired(life);
        }
        let expect = copy.map_or(Expect::Nothing, |copy| Expect::Version(copy.version));
        // Under an id of the application's making it is left over only once it is known to be ours.
        if context.options.genid.is_none() {
            life.leave(new);
        }
        let sent = life.copy_to(new.clone(), stamped, context);
        let record = sent.record();
        let record =
            if life.is_to_differ(&sent.stamped, context) { record.stamped(context.now) } else { record };
        Step::Ask(self.ask_copy(sent, record, expect))
    }

    fn renew_expired(&mut self, life: &mut Life) -> Step {
        match self.write_expired(life, None) {
            Written::Ask(ask) => Step::Ask(ask),
            Written::Stored => Step::Done(Ok(Done::Ok)),
            Written::Gone => Step::Done(Err(Error::Gone)),
        }
    }
}
