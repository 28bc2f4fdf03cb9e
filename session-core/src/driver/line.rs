//! The operations of one handle, one after the other.
//!
//! Whoever waits for another operation of the same handle drives it: one that was begun and put aside, neither polled nor
//! dropped, holds up nobody. Nothing is locked while a call to the store, or the application, is at work.

use std::{
    collections::BTreeMap,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Wake, Waker, ready},
};

use crate::{
    driver::{
        session::SessionHandle,
        turns::{Taking, Turn},
    },
    error::{Error, StoreError},
    life::{ATTEMPTS, Answer, Ask, Changed, Done, Operation, Step},
    record::data::Data,
    wire::date::Millis,
};

/// Who is under way on one handle, and who waits.
#[derive(Default)]
pub(super) struct Line(Mutex<State>);

/// Another number for each operation.
pub(super) fn ticket() -> u64 {
    static TICKETS: AtomicU64 = AtomicU64::new(1);
    TICKETS.fetch_add(1, Ordering::Relaxed)
}

#[derive(Default)]
struct State {
    current: Option<Current>,
    /// What somebody else has brought to its end, or to a question that only its own future can answer.
    aside: Vec<(u64, Aside)>,
    /// Of whoever polled last, while nobody else waits.
    waker: Option<(u64, Waker)>,
    /// Of all, since more than one came.
    everyone: Option<Arc<Everyone>>,
}

enum Current {
    /// In a box only while it waits: what the store answers immediately needs none.
    Resting(Box<Running>),
    /// Somebody polls it at this moment. Its own future may be dropped meanwhile.
    Polled { ticket: u64, dropped: bool },
}

enum Aside {
    Done(Box<Result<Done, Error>>),
    Asks(Box<Running>),
}

/// One operation under way.
struct Running {
    ticket: u64,
    operation: Operation,
    stage: Stage,
    /// The turn among the writers of the session, until the operation ends.
    turn: Option<Turn>,
    /// When the store was asked, for one that has the turn.
    asked: Millis,
}

/// In milliseconds, by the clock of the options: an error that took longer is one that nobody shall wait for again. After a quicker one
/// the next writer tries, so that a store with a few errors sees no herd. Who is let go by a clock that was set takes no harm.
const SLOW_ERROR: Millis = 50;

enum Stage {
    Step(Option<Answer>),
    Call(Pin<Box<dyn Future<Output = Answer> + Send>>),
    Turn(Taking),
}

/// Where an operation stops.
enum Stop {
    /// It asks the application what the data are to become.
    Asks(Arc<Data>),
    Done(Result<Done, Error>),
}

/// An operation, from its beginning to what it answers its caller. It may be dropped at any time.
pub(super) struct Run<'a, F> {
    session: &'a SessionHandle,
    ticket: u64,
    /// While it is not put to rest: before it begins, while it is driven here, and while the application is asked.
    mine: Option<Running>,
    /// It has let those go first who came before.
    has_yielded: bool,
    /// How often the session was written while the application was asked.
    wrote: u8,
    change: F,
}

impl<F> Unpin for Run<'_, F> {}

/// What is there to do for one that comes.
enum Entered {
    Waits,
    /// Somebody else has done it.
    Done(Box<Result<Done, Error>>),
    /// Drives its own. The waker of all, where others wait too.
    Drives(Option<Waker>),
    /// Drives somebody else's.
    Helps(Box<Running>, Waker),
}

impl<'a, F: FnMut(&Arc<Data>) -> Changed> Run<'a, F> {
    pub(super) fn new(session: &'a SessionHandle, operation: Operation, change: F) -> Self {
        let ticket = ticket();
        let mine = Running { ticket, operation, stage: Stage::Step(None), turn: None, asked: 0 };
        Self { session, ticket, mine: Some(mine), has_yielded: false, wrote: 0, change }
    }
}

impl<F: FnMut(&Arc<Data>) -> Changed> Future for Run<'_, F> {
    type Output = Result<Done, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let line = this.session.line();
        loop {
            if !this.has_yielded && line.has_earlier(this.ticket) {
                this.has_yielded = true;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            this.has_yielded = true;
            let waker = match line.enter(this.ticket, &mut this.mine, context.waker()) {
                Entered::Waits => return Poll::Pending,
                Entered::Done(done) => return Poll::Ready(*done),
                Entered::Helps(running, waker) => {
                    if running.help(this.session, this.ticket, &waker, context) {
                        return Poll::Pending;
                    }
                    continue;
                }
                Entered::Drives(waker) => waker,
            };
            let Some(running) = &mut this.mine else { return Poll::Ready(Err(lost())) };
            let by = &mut Context::from_waker(waker.as_ref().unwrap_or(context.waker()));
            let mut on_panic = Freed(Some(line));
            let stop = running.drive(this.session, by);
            on_panic.0 = None;
            match stop {
                Poll::Pending => {
                    let Some(running) = this.mine.take() else { return Poll::Ready(Err(lost())) };
                    if line.rest(Box::new(running), waker.is_some(), this.ticket, context.waker()) {
                        return Poll::Pending;
                    }
                }
                Poll::Ready(Stop::Done(done)) => {
                    line.free();
                    this.mine = None;
                    return Poll::Ready(done);
                }
                Poll::Ready(Stop::Asks(seen)) => {
                    // The line is free meanwhile: the application may use the session.
                    line.free();
                    let base = Arc::clone(this.session.life().base());
                    running.stage = Stage::Step(Some(Answer::Changed((this.change)(&seen))));
                    // One that writes the session itself, something else each time, would be asked for ever.
                    let wrote = !Arc::ptr_eq(&base, this.session.life().base());
                    this.wrote += u8::from(wrote);
                    if this.wrote > ATTEMPTS {
                        return Poll::Ready(Err(Error::Contended(ATTEMPTS.into())));
                    }
                }
            }
        }
    }
}

impl<F> Drop for Run<'_, F> {
    fn drop(&mut self) {
        self.session.line().forget(self.ticket, self.session);
    }
}

impl SessionHandle {
    /// Drives what is under way on this handle, for somebody who waits for the turn of one of its operations. False: that one
    /// is not under way.
    pub(super) fn help(&self, of: u64, ticket: u64, context: &mut Context<'_>) -> bool {
        let line = self.line();
        loop {
            let (current, entered) = line.enter_to_help(ticket, context.waker());
            let Entered::Helps(running, waker) = entered else { return current == of };
            if running.help(self, ticket, &waker, context) {
                return current == of;
            }
        }
    }
}

impl Running {
    /// Drives what somebody else has begun. False: to look again who is under way.
    fn help(
        mut self: Box<Self>,
        session: &SessionHandle,
        ticket: u64,
        all: &Waker,
        context: &Context<'_>,
    ) -> bool {
        let by = &mut Context::from_waker(all);
        // A store that panics strikes the one that asked it, and not whoever helps.
        let driven = catch_unwind(AssertUnwindSafe(|| self.drive(session, by)));
        let of = self.ticket;
        let aside = match driven {
            Ok(Poll::Pending) => return session.line().rest(self, true, ticket, context.waker()),
            Ok(Poll::Ready(Stop::Done(done))) => Aside::Done(Box::new(done)),
            Ok(Poll::Ready(Stop::Asks(_))) => Aside::Asks(self),
            Err(_) => Aside::Done(Box::new(Err(lost()))),
        };
        session.line().put_aside(of, aside, session);
        false
    }

    /// As far as it gets.
    fn drive(&mut self, session: &SessionHandle, context: &mut Context<'_>) -> Poll<Stop> {
        loop {
            let answer = match &mut self.stage {
                Stage::Call(call) => Some(ready!(call.as_mut().poll(context))),
                Stage::Turn(taking) => {
                    self.turn = Some(ready!(Pin::new(taking).poll(context)));
                    Some(Answer::Turn)
                }
                Stage::Step(answer) => answer.take(),
            };
            if let (Some(Answer::Failed(StoreError::Unavailable { .. })), Some(turn)) = (&answer, &self.turn)
                && session.options().clock.millis().saturating_sub(self.asked) > SLOW_ERROR
            {
                turn.lets_all_go();
            }
            if self.turn.as_ref().is_some_and(|turn| !turn.is_held()) {
                // Somebody who waited for it has taken it, while the application was asked.
                self.turn = None;
                self.operation.loses_turn();
            }
            let step = session.step(&mut self.operation, answer);
            if self.turn.is_none() {
                // It was let go without it.
                self.operation.loses_turn();
            }
            self.stage = match step {
                Step::Done(done) => return Poll::Ready(Stop::Done(done)),
                Step::Ask(Ask::Change(seen)) => {
                    // Should its future come back much later: it is to ask again.
                    self.stage = Stage::Step(Some(Answer::Again));
                    return Poll::Ready(Stop::Asks(seen));
                }
                Step::Ask(Ask::NewSid) => Stage::Step(Some(Answer::NewSid(session.new_sid()))),
                Step::Ask(Ask::Turn(sid)) => Stage::Turn(session.take_turn(sid, self.ticket)),
                Step::Ask(ask) => {
                    if self.turn.is_some() {
                        self.asked = session.options().clock.millis();
                    }
                    Stage::Call(Box::pin(session.sessions().clone().call(ask)))
                }
            };
        }
    }
}

impl Aside {
    /// An end of the request that somebody else has brought to its own, and whose future is no more.
    fn is_not_heard(&self, session: &SessionHandle) {
        if let Self::Done(done) = self
            && let Ok(Done::Ended(_)) = **done
        {
            session.life().end_was_not_heard();
        }
    }
}

impl Line {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody is under way, and somebody waits who came before: woken, so that whoever comes again and again passes nobody.
    fn has_earlier(&self, ticket: u64) -> bool {
        let everyone = {
            let state = self.state();
            state.everyone.clone().filter(|_| state.current.is_none())
        };
        everyone.is_some_and(|everyone| {
            let waits = everyone.waiting().wakers.range(..ticket).next().is_some();
            if waits {
                everyone.wake_all();
            }
            waits
        })
    }

    fn enter(&self, ticket: u64, mine: &mut Option<Running>, waker: &Waker) -> Entered {
        let mut state = self.state();
        if let Some(at) = state.aside.iter().position(|(of, _)| *of == ticket) {
            match state.aside.swap_remove(at).1 {
                Aside::Done(done) => return Entered::Done(done),
                Aside::Asks(running) => *mine = Some(*running),
            }
        }
        match (state.current.take(), mine.is_some()) {
            (None, true) => state.drive(ticket, waker).unlocked(state),
            (Some(Current::Resting(running)), false) if running.ticket == ticket => {
                *mine = Some(*running);
                state.drive(ticket, waker).unlocked(state)
            }
            (current, false) if current.as_ref().is_none_or(|current| current.ticket() != ticket) => {
                state.current = current;
                Entered::Done(Box::new(Err(lost())))
            }
            (current, _) => {
                let entered = state.help(current, |everyone| everyone.and(ticket, waker)).unlocked(state);
                // Whoever is in the line may need the turn.
                if let Some(waiting) = mine {
                    waiting.operation.loses_turn();
                    waiting.turn = None;
                }
                entered
            }
        }
    }

    /// Who is under way, and what to do about it.
    fn enter_to_help(&self, ticket: u64, waker: &Waker) -> (u64, Entered) {
        let mut state = self.state();
        let Some(current) = state.current.take() else { return (0, Entered::Waits) };
        (
            current.ticket(),
            state.help(Some(current), |everyone| everyone.and_helper(ticket, waker)).unlocked(state),
        )
    }

    /// This one helps no longer.
    pub(super) fn forget_helper(&self, ticket: u64) {
        let everyone = self.state().everyone.clone();
        let last = everyone.and_then(|everyone| everyone.waiting().helpers.remove(&ticket));
        drop(last);
    }

    /// It goes on when it is woken. False: somebody came meanwhile whom the last poll does not wake, or its future was
    /// dropped, so once more.
    fn rest(&self, running: Box<Running>, wakes_everyone: bool, ticket: u64, waker: &Waker) -> bool {
        let mut state = self.state();
        if let Some(Current::Polled { dropped: true, .. }) = state.current {
            state.current = None;
            let everyone = state.everyone.clone();
            drop(state);
            let _woken = Wakes(everyone.as_ref());
            drop(running);
            return false;
        }
        state.current = Some(Current::Resting(running));
        if let Some(everyone) = state.everyone.clone() {
            drop(state);
            if wakes_everyone && everyone.waiting().fired {
                // Whoever came since it was woken, and before it was put back, does not know yet.
                everyone.wake_all();
            }
            return wakes_everyone;
        }
        if state.waker.as_ref().is_some_and(|(of, last)| *of == ticket && last.will_wake(waker)) {
            return true;
        }
        let last = state.waker.replace((ticket, waker.clone()));
        drop(state);
        drop(last);
        true
    }

    /// The one under way is no more.
    fn free(&self) {
        let mut state = self.state();
        state.current = None;
        let last = state.waker.take();
        let everyone = state.everyone.clone();
        drop(state);
        let _woken = Wakes(everyone.as_ref());
        drop(last);
    }

    /// The one under way waits for its own future, or is not wanted any more.
    fn put_aside(&self, of: u64, aside: Aside, session: &SessionHandle) {
        let mut state = self.state();
        let unwanted = if let Some(Current::Polled { dropped: true, .. }) = state.current {
            // Before anybody can try it again.
            aside.is_not_heard(session);
            Some(aside)
        } else {
            state.aside.push((of, aside));
            None
        };
        state.current = None;
        let last = state.waker.take();
        let everyone = state.everyone.clone();
        drop(state);
        let _woken = Wakes(everyone.as_ref());
        drop((unwanted, last));
    }

    /// The future of this operation is dropped, or done.
    fn forget(&self, ticket: u64, session: &SessionHandle) {
        let mut state = self.state();
        let current = match state.current.take() {
            Some(Current::Resting(running)) if running.ticket == ticket => Some(running),
            Some(Current::Polled { ticket: of, .. }) if of == ticket => {
                state.current = Some(Current::Polled { ticket, dropped: true });
                None
            }
            other => {
                state.current = other;
                None
            }
        };
        let aside =
            state.aside.iter().position(|(of, _)| *of == ticket).map(|at| state.aside.swap_remove(at));
        if let Some((_, aside)) = &aside {
            aside.is_not_heard(session);
        }
        let last = state.waker.take_if(|(of, _)| *of == ticket);
        let everyone = state.everyone.clone();
        drop(state);
        // It may have been woken to go on with what is under way. Also if what is dropped panics.
        let _woken = Wakes(everyone.as_ref());
        if let Some(everyone) = &everyone {
            everyone.without(ticket);
        }
        drop((current, aside, last));
    }
}

impl State {
    fn drive(&mut self, ticket: u64, waker: &Waker) -> Decided {
        self.current = Some(Current::Polled { ticket, dropped: false });
        let everyone = self.everyone.as_ref().map(|everyone| {
            everyone.waiting().fired = false;
            everyone.and(ticket, waker)
        });
        let (everyone, last) = everyone.unzip();
        Decided { entered: Entered::Drives(everyone), unused: [last.flatten(), None] }
    }

    /// Somebody else is under way.
    fn help(
        &mut self,
        current: Option<Current>,
        join: impl FnOnce(&Arc<Everyone>) -> (Waker, Option<Waker>),
    ) -> Decided {
        let everyone = self.everyone.get_or_insert_default();
        let last = self.waker.take().and_then(|(of, last)| everyone.and(of, &last).1);
        let (all, replaced) = join(everyone);
        let entered = match current {
            Some(Current::Resting(running)) => {
                everyone.waiting().fired = false;
                self.current = Some(Current::Polled { ticket: running.ticket, dropped: false });
                Entered::Helps(running, all)
            }
            other => {
                self.current = other;
                Entered::Waits
            }
        };
        Decided { entered, unused: [last, replaced] }
    }
}

/// What one that came has to do, and wakers that nobody needs any more.
struct Decided {
    entered: Entered,
    unused: [Option<Waker>; 2],
}

impl Decided {
    /// A waker may be the last that holds a task: whatever is dropped with it finds nothing locked.
    fn unlocked(self, state: MutexGuard<'_, State>) -> Entered {
        drop(state);
        drop(self.unused);
        self.entered
    }
}

impl Current {
    fn ticket(&self) -> u64 {
        match self {
            Self::Resting(running) => running.ticket,
            Self::Polled { ticket, .. } => *ticket,
        }
    }
}

/// All who wait. Each is woken, since any of them may have been put aside; one that was woken and did not come is not woken
/// again.
#[derive(Default)]
struct Everyone(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    /// The operations of this handle, by ticket; whether each was woken since it came last.
    wakers: BTreeMap<u64, (Waker, bool)>,
    /// Those of other requests who help.
    helpers: BTreeMap<u64, Waker>,
    /// Somebody was woken since the call was polled last.
    fired: bool,
}

impl Everyone {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more to be woken; answers the waker of all, and the one that it had before.
    fn and(self: &Arc<Self>, ticket: u64, waker: &Waker) -> (Waker, Option<Waker>) {
        let last = self.waiting().wakers.insert(ticket, (waker.clone(), false));
        (Waker::from(Arc::clone(self)), last.map(|(last, _)| last))
    }

    /// The same for one that helps.
    fn and_helper(self: &Arc<Self>, ticket: u64, waker: &Waker) -> (Waker, Option<Waker>) {
        let last = self.waiting().helpers.insert(ticket, waker.clone());
        (Waker::from(Arc::clone(self)), last)
    }

    fn without(&self, ticket: u64) {
        let last = self.waiting().wakers.remove(&ticket);
        drop(last);
    }

    fn wake_all(&self) {
        let mut woken = Vec::new();
        {
            let mut waiting = self.waiting();
            waiting.fired = true;
            woken.extend(mem::take(&mut waiting.helpers).into_values());
            for (waker, is_woken) in waiting.wakers.values_mut().filter(|(_, is_woken)| !is_woken) {
                *is_woken = true;
                woken.push(waker.clone());
            }
        }
        woken.into_iter().for_each(Waker::wake);
    }
}

impl Wake for Everyone {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }
}

/// Wakes who waits when it goes out of scope: also if the drop of a foreign future panics.
struct Wakes<'a>(Option<&'a Arc<Everyone>>);

impl Drop for Wakes<'_> {
    fn drop(&mut self) {
        if let Some(everyone) = self.0 {
            everyone.wake_all();
        }
    }
}

/// Frees the line should a store or the application panic.
struct Freed<'a>(Option<&'a Line>);

impl Drop for Freed<'_> {
    fn drop(&mut self) {
        if let Some(line) = self.0 {
            line.free();
        }
    }
}

/// It was driven by somebody else, and there a store or the application panicked.
fn lost() -> Error {
    StoreError::unavailable("session", "a call ended in a panic").into()
}
