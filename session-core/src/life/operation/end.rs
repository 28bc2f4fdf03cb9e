//! Destroying the session, and the end of the request: gathers the facts, asks `decide`, and does what it says.

use super::{Ask, Done, End, Ended, Event, Kind, Operation, Step, Why, write::Written};
use crate::{
    error::Error,
    life::{
        Context,
        decide::{
            Decision, Presence, SetCookie, Write, after_look, cookie_after, cookie_with_error, decide,
            is_to_look_after, owes_its_cookie,
        },
        fault::{Fault, planted},
        state::{CookieOut, Life, Standing},
    },
    store::Expect,
};

/// There is none, and somebody else's session may get the id of the application's making.
pub(super) fn is_nobodys(life: &Life, context: &Context<'_>) -> bool {
    matches!(life.standing, Standing::Gone) && context.options.genid.is_some()
}

/// As the store would answer.
const NOT_THERE: Event = Event::Destroyed(Why::Wanted, false);

impl Operation {
    pub(super) fn step_destroy(
        &mut self,
        was_there: bool,
        life: &mut Life,
        context: &Context<'_>,
        event: Event,
    ) -> Step {
        match event {
            // The end of the request has done it, while this waited.
            Event::Begin if was_there && life.presence == Presence::Destroyed => {
                return self.destroy_leftovers(life);
            }
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
                life.destroyed(here, context);
                return self.destroy_leftovers(life);
            }
            event => {
                return match self.destroy_again(life, context, &event) {
                    Ok(Some(ask)) => Step::Ask(ask),
                    Ok(None) => self.step_destroy(was_there, life, context, NOT_THERE),
                    Err(error) => Step::Done(Err(error)),
                };
            }
        }
        match self.destroy_this(life, context) {
            Some(ask) => Step::Ask(ask),
            None => self.step_destroy(was_there, life, context, NOT_THERE),
        }
    }

    /// `None`: nothing of this session is there.
    fn destroy_this(&mut self, life: &Life, context: &Context<'_>) -> Option<Ask> {
        (!is_nobodys(life, context)).then(|| self.ask_destroy_this(life, context, Why::Wanted))
    }

    /// A logout that nobody waits for any more, or that failed.
    fn destroy_at_last(&mut self, life: &mut Life, context: &Context<'_>) -> Step {
        self.kind = Kind::End(End::Destroying);
        match self.destroy_this(life, context) {
            Some(ask) => Step::Ask(ask),
            None => self.step_end(End::Destroying, life, context, NOT_THERE),
        }
    }

    /// It has been looked at; or what was looked at has changed since, and is looked at again.
    fn destroy_again(
        &mut self,
        life: &Life,
        context: &Context<'_>,
        event: &Event,
    ) -> Result<Option<Ask>, Error> {
        Ok(match event {
            Event::Conflict => {
                self.count_conflict()?;
                Some(self.ask_get(life))
            }
            _ => self.destroy_this(life, context),
        })
    }

    /// What earlier operations left behind is of this session too: a logout that says so has ended it as well.
    fn destroy_leftovers(&mut self, life: &mut Life) -> Step {
        if let Some(sid) = life.leftovers.first().cloned()
            && !planted(Fault::LogoutForgetsLeftovers)
        {
            return Step::Ask(self.ask_destroy(sid, Expect::Anything, Why::LeftOver));
        }
        let elsewhere = matches!(life.standing, Standing::Gone) && !planted(Fault::OvertakenDestroy);
        Step::Done(if elsewhere { Err(Error::Gone) } else { Ok(Done::Ok) })
    }

    pub(super) fn step_end(
        &mut self,
        phase: End,
        life: &mut Life,
        context: &Context<'_>,
        event: Event,
    ) -> Step {
        match (phase, event) {
            (End::Begin, _) if !life.begins_the_end() => self.ended(life, context, Decision::NOTHING, None),
            (End::Begin, _) if life.presence == Presence::Ending && !planted(Fault::DestroyNotFinished) => {
                self.destroy_at_last(life, context)
            }
            (End::Destroying, Event::Failed(error)) => {
                self.ended(life, context, Decision::NOTHING, Some(error.into()))
            }
            (End::Destroying, Event::Destroyed(_, here)) => {
                life.destroyed(here, context);
                self.decide(life, context)
            }
            (End::Destroying, event) => match self.destroy_again(life, context, &event) {
                Ok(Some(ask)) => Step::Ask(ask),
                Ok(None) => self.step_end(End::Destroying, life, context, NOT_THERE),
                Err(error) => self.ended(life, context, Decision::NOTHING, Some(error)),
            },
            (End::Begin, _) => self.decide(life, context),
            (End::Writing(decision), event) => self.carry_out(decision, life, context, event),
            (End::Looking(_), Event::Failed(_)) if life.presence != Presence::Present => {
                self.decide(life, context)
            }
            (End::Looking(decision), Event::Failed(error)) => {
                let has_written = matches!(decision.write, Write::Set | Write::Touch) && !self.was_skipped;
                let owes = owes_its_cookie(&life.facts(context), &context.options.policies);
                if is_to_write(life, context) || (owes && !has_written) {
                    return self.ended(life, context, decision, Some(error.into()));
                }
                self.ended_unconfirmed(decision, life, context, error.into())
            }
            (End::Looking(before), _) => {
                self.is_looked_after = true;
                if !life.has_changes() {
                    life.is_stored_as_it_is();
                }
                let decision = decide(&life.facts(context), &context.options.policies);
                let may_touch = !(self.has_confirmed || self.was_skipped) || life.expiry_is_in_doubt();
                let decision = after_look(decision, before.cookie, may_touch);
                self.carry_out(decision, life, context, Event::Begin)
            }
            // What nobody can come with is no reason to fail.
            (End::CleaningUp(decision), Event::Failed(_))
                if life.leftovers.next().is_some_and(|sid| life.leftovers.is_nobodys(sid)) =>
            {
                life.leftovers.forgive_nobodys();
                self.leaves_over = true;
                self.cleaned_up(decision, life, context)
            }
            (End::CleaningUp(decision), Event::Failed(error)) => {
                self.ended(life, context, decision, Some(error.into()))
            }
            (End::CleaningUp(decision), _) => self.cleaned_up(decision, life, context),
        }
    }

    /// One more is gone.
    fn cleaned_up(&mut self, decision: Decision, life: &mut Life, context: &Context<'_>) -> Step {
        if life.leftovers.is_empty()
            && (life.presence == Presence::Present
                || decide(&life.facts(context), &context.options.policies) != decision)
            && self.is_to_decide_again(life, context)
        {
            self.decide(life, context)
        } else {
            self.clean_up(decision, life, context)
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
        match (decision.write, event) {
            (Write::Nothing, _) => {
                if decision.cookie != SetCookie::Send {
                    // What a first write may have stored, and was changed back since, is nobody's.
                    life.leave_over(context);
                }
                self.clean_up(decision, life, context)
            }
            (Write::Set, event) => match self.write(life, context, event) {
                Ok(Written::Ask(ask)) => Step::Ask(ask),
                Ok(Written::Stored | Written::Gone) if self.is_to_decide_again(life, context) => {
                    self.decide(life, context)
                }
                Ok(Written::Stored | Written::Gone) => {
                    let decision = if self.has_read && !planted(Fault::CookieNotDecidedAgain) {
                        cookie_after(&life.facts(context), &context.options.policies, decision)
                    } else {
                        decision
                    };
                    self.clean_up(decision, life, context)
                }
                Err(error) => self.ended(life, context, decision, Some(error)),
            },
            (_, Event::Failed(error)) => self.ended(life, context, decision, Some(error.into())),
            (Write::Touch, event) => self.touch(decision, life, context, &event),
            (Write::Destroy, Event::Destroyed(_, here)) => {
                // A session that another request ended stays so.
                let gone = matches!(life.standing, Standing::Gone);
                life.destroyed(here || (life.presence == Presence::Destroyed && !gone), context);
                self.clean_up(decision, life, context)
            }
            (Write::Destroy, Event::Begin) => match self.destroy_this(life, context) {
                Some(ask) => Step::Ask(ask),
                None => self.carry_out(decision, life, context, NOT_THERE),
            },
            (Write::Destroy, event) => match self.destroy_again(life, context, &event) {
                Ok(Some(ask)) => Step::Ask(ask),
                Ok(None) => self.carry_out(decision, life, context, NOT_THERE),
                Err(error) => self.ended(life, context, decision, Some(error)),
            },
        }
    }

    fn touch(&mut self, decision: Decision, life: &mut Life, context: &Context<'_>, event: &Event) -> Step {
        match event {
            Event::Begin if matches!(life.standing, Standing::Gone) => self.clean_up(decision, life, context),
            // A destruction that was given up may still arrive.
            Event::Begin if matches!(life.standing, Standing::Doubt { .. }) => Step::Ask(self.ask_get(life)),
            Event::Expired { late: false } => self.end_expired(life),
            Event::Begin | Event::Expired { .. } => {
                let stamped = life.stamped(context);
                if stamped.held(context.now, None).is_some_and(|at| at <= context.now) {
                    return self.end_expired(life);
                }
                // What led here again after a conflict has counted it.
                let goes_on = if matches!(event, Event::Begin) { Ok(()) } else { self.count_conflict() };
                match goes_on {
                    Ok(()) => Step::Ask(self.ask_touch(life, stamped, context)),
                    Err(error) => self.ended(life, context, decision, Some(error)),
                }
            }
            // Somebody else wrote, and with it gave the session a lifetime of its own: perhaps there is nothing left to do.
            Event::Conflict => match self.after_conflict(life) {
                Ok(ask) => Step::Ask(ask),
                Err(error) => self.ended(life, context, decision, Some(error)),
            },
            Event::GoOn => Step::Ask(self.ask_get(life)),
            Event::Read => self.decide(life, context),
            Event::Touched | Event::Destroyed(..) if self.is_to_decide_again(life, context) => {
                self.decide(life, context)
            }
            // Nothing was moved of which a cookie could tell.
            Event::Touched if self.was_skipped && !life.expiry_is_in_doubt() => {
                let decision = Decision { write: Write::Nothing, ..decision };
                let decision = cookie_after(&life.facts(context), &context.options.policies, decision);
                self.clean_up(decision, life, context)
            }
            _ => self.clean_up(decision, life, context),
        }
    }

    /// What is stored is no failure. The cookie goes out where the record would be nobody's without it.
    fn ended_unconfirmed(
        &mut self,
        decision: Decision,
        life: &mut Life,
        context: &Context<'_>,
        error: Error,
    ) -> Step {
        let cookie = cookie_with_error(&life.facts(context), &context.options.policies, decision);
        let mut step = self.ended(life, context, Decision { cookie, ..decision }, None);
        if let Step::Done(Ok(Done::Ended(ended))) = &mut step {
            ended.unconfirmed = Some(Box::new(error));
        }
        step
    }

    /// The handler, or what it has spawned, has changed the session while the call was out. Whoever does not stop is not
    /// waited for.
    fn is_to_decide_again(&mut self, life: &Life, context: &Context<'_>) -> bool {
        (life.presence != Presence::Present || is_to_write(life, context))
            && !matches!(life.standing, Standing::Gone)
            && self.count_conflict().is_ok()
    }

    /// A touch with a lifetime that has ended: the session ends.
    fn end_expired(&mut self, life: &mut Life) -> Step {
        let expect = match &life.standing {
            Standing::Held(held) => Expect::Version(held.version.clone()),
            _ => Expect::Anything,
        };
        Step::Ask(self.ask_destroy_expired(life, expect, None))
    }

    /// What operations of this request left behind is destroyed before the response goes out.
    fn clean_up(&mut self, decision: Decision, life: &mut Life, context: &Context<'_>) -> Step {
        match life.leftovers.next().cloned() {
            Some(sid) if !planted(Fault::LeftoverKept) => {
                self.kind = Kind::End(End::CleaningUp(decision));
                Step::Ask(self.ask_destroy(sid, Expect::Anything, Why::LeftOver))
            }
            _ => match self.look(decision, life, context) {
                Some(ask) => Step::Ask(ask),
                None => self.ended(life, context, decision, None),
            },
        }
    }

    /// The last question, where the answers before it are old: is what the cookie is to say still so?
    fn look(&mut self, decision: Decision, life: &Life, context: &Context<'_>) -> Option<Ask> {
        let has_asked =
            self.has_read || (matches!(decision.write, Write::Set | Write::Touch) && !self.was_skipped);
        let leads_on = life.facts(context).owes_its_id || context.options.renewal.is_some();
        let after = is_to_look_after(&context.options.policies, has_asked, leads_on)?;
        let is_due = decision.cookie == SetCookie::Send
            && life.presence == Presence::Present
            && life.is_stored()
            && (life.is_unheard(after, context.now) || matches!(life.standing, Standing::Doubt { .. }))
            && !(self.has_confirmed || self.is_looked_after);
        is_due.then(|| {
            self.has_confirmed = has_asked;
            self.kind = Kind::End(End::Looking(decision));
            self.ask_get(life)
        })
    }

    fn ended(
        &mut self,
        life: &mut Life,
        context: &Context<'_>,
        decision: Decision,
        error: Option<Error>,
    ) -> Step {
        let is_at_it = matches!(self.kind, Kind::End(End::Destroying)) || planted(Fault::DestroyNotFinished);
        if life.presence == Presence::Ending && !life.is_response_out() && !is_at_it {
            // A logout that came while a call was out, and that nobody waits for any more.
            return self.destroy_at_last(life, context);
        }
        let gone = matches!(life.standing, Standing::Gone);
        let silent = planted(Fault::DroppedInSilence) || error.is_some();
        let dropped = if gone && !silent { life.unsaved() } else { 0 };
        let ended = life.presence != Presence::Present && decision.cookie == SetCookie::Send;
        let set_cookie = match &error {
            _ if gone || ended => SetCookie::Nothing,
            Some(_) => cookie_with_error(&life.facts(context), &context.options.policies, decision),
            None => decision.cookie,
        };
        let cookie = match &error {
            Some(_) => life.cookie_with_error(context),
            None => life.cookie_to_send(context),
        };
        if !life.is_response_out() {
            let out = match set_cookie {
                SetCookie::Send if cookie.expires_at().is_some_and(|at| at <= context.now) => {
                    CookieOut::Expired
                }
                SetCookie::Send => CookieOut::Sent,
                _ => CookieOut::NotSent,
            };
            life.response_out(out, context);
        }
        if error.is_some() || gone {
            life.is_told();
        }
        if error.is_some() {
            life.end_fails();
        }
        Step::Done(Ok(Done::Ended(Ended {
            set_cookie,
            sid: life.sid().clone(),
            cookie,
            gone,
            dropped,
            error,
            unconfirmed: None,
            leaves_over: self.leaves_over,
        })))
    }
}

/// There is something to write that the store does not have.
fn is_to_write(life: &Life, context: &Context<'_>) -> bool {
    life.has_changes() && decide(&life.facts(context), &context.options.policies).write == Write::Set
}
