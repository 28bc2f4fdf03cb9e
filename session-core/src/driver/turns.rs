//! Writers of one session take turns once they have been in each other's way. When a turn ends, all who wait are woken, and the
//! first to come has it; they also drive the one who has it. So one that was put aside holds up nobody, nobody waits for
//! another session, and whoever is dropped gives up the turn or the place in the line.

use std::{
    collections::{BTreeMap, HashMap},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
};

use crate::wire::sid::Sid;

/// Who may write, and who waits, by session: only sessions with a conflict are in it.
#[derive(Clone, Default)]
pub(crate) struct Turns(Arc<Mutex<HashMap<Sid, Line>>>);

#[derive(Default)]
struct Line {
    holder: Option<Holder>,
    /// By the order in which they came.
    waiting: BTreeMap<u64, Waiting>,
}

struct Holder {
    ticket: u64,
    help: Weak<dyn Help>,
}

struct Waiting {
    waker: Waker,
    /// Since it came last.
    woken: bool,
    /// It need not wait: see [`Turn::lets_all_go`].
    released: bool,
}

/// Who has a turn can be helped to be done with it.
pub(crate) trait Help: Send + Sync {
    /// Drives what is under way, and wakes the one with this ticket when it can go on. False: the operation `of` whom the turn
    /// is, is not under way.
    fn help(self: Arc<Self>, of: u64, ticket: u64, context: &mut Context<'_>) -> bool;

    /// The one with this ticket helps no longer.
    fn without(self: Arc<Self>, ticket: u64);
}

/// The turn. It ends when this is dropped.
pub(crate) struct Turn {
    turns: Turns,
    sid: Sid,
    ticket: u64,
}

/// One that waits for its turn.
pub(crate) struct Taking {
    turns: Turns,
    sid: Sid,
    help: Weak<dyn Help>,
    ticket: u64,
    /// It waits in the line.
    waits: bool,
    /// Whom it has helped last.
    helped: Option<Weak<dyn Help>>,
    /// Whom it found with the turn and nothing under way.
    found_idle: Option<u64>,
}

/// Who has the turn.
type Other = (u64, Weak<dyn Help>);

impl Turns {
    /// For the operation with this ticket, which `help` drives.
    pub(crate) fn take(&self, sid: Sid, ticket: u64, help: Weak<dyn Help>) -> Taking {
        Taking { turns: self.clone(), sid, help, ticket, waits: false, helped: None, found_idle: None }
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<Sid, Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes all who wait once nobody has the turn; a line without anybody is forgotten.
    fn go_on(mut lines: MutexGuard<'_, HashMap<Sid, Line>>, sid: &Sid) {
        let Some(line) = lines.get_mut(sid).filter(|line| line.holder.is_none()) else { return };
        if line.waiting.is_empty() {
            lines.remove(sid);
            return;
        }
        // They stay in the line until they have it, or are dropped: any of them may have been put aside.
        let wakers: Vec<Waker> = line
            .waiting
            .values_mut()
            .filter(|waiting| !waiting.woken)
            .map(|waiting| {
                waiting.woken = true;
                waiting.waker.clone()
            })
            .collect();
        drop(lines);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn revoke(&self, sid: &Sid, ticket: u64) {
        if let Some(line) = self.lines().get_mut(sid) {
            line.holder.take_if(|holder| holder.ticket == ticket);
        }
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.lines().is_empty()
    }
}

impl Taking {
    /// The turn, or who has it.
    fn try_take(&mut self, waker: &Waker) -> Result<Turn, Other> {
        let mut lines = self.turns.lines();
        let line = lines.entry(self.sid.clone()).or_default();
        let ticket = self.ticket;
        if line.waiting.get(&ticket).is_some_and(|waiting| waiting.released) {
            let last = line.waiting.remove(&ticket);
            drop(lines);
            drop(last);
            self.waits = false;
            return Ok(Turn { turns: self.turns.clone(), sid: self.sid.clone(), ticket });
        }
        if let Some(holder) = &line.holder {
            let other = (holder.ticket, Weak::clone(&holder.help));
            let waiting = Waiting { waker: waker.clone(), woken: false, released: false };
            let last = line.waiting.insert(ticket, waiting);
            drop(lines);
            // A waker may be the last that holds a task: whatever is dropped with it finds nothing locked.
            drop(last);
            self.waits = true;
            return Err(other);
        }
        let last = line.waiting.remove(&ticket);
        line.holder = Some(Holder { ticket, help: Weak::clone(&self.help) });
        drop(lines);
        drop(last);
        self.waits = false;
        Ok(Turn { turns: self.turns.clone(), sid: self.sid.clone(), ticket })
    }
}

impl Future for Taking {
    type Output = Turn;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Turn> {
        let this = self.get_mut();
        match this.try_take(context.waker()) {
            Ok(turn) => Poll::Ready(turn),
            Err((of, holder)) => {
                let before = this.helped.replace(Weak::clone(&holder));
                let before = before.filter(|before| !Weak::ptr_eq(before, &holder));
                if let Some(before) = before.and_then(|before| before.upgrade()) {
                    before.without(this.ticket);
                }
                // Nothing is locked meanwhile. It may be done then: whoever has a turn waits for nobody's.
                let is_busy = holder.upgrade().is_some_and(|holder| holder.help(of, this.ticket, context));
                if is_busy {
                    this.found_idle = None;
                } else if this.found_idle.replace(of) == Some(of) {
                    // It was woken, and did not come: put aside, or its application does something else with the session.
                    this.turns.revoke(&this.sid, of);
                } else {
                    context.waker().wake_by_ref();
                }
                match this.try_take(context.waker()) {
                    Ok(turn) => Poll::Ready(turn),
                    Err((now, _)) => {
                        if now != of {
                            // Another has it meanwhile, whom this one has not helped yet.
                            context.waker().wake_by_ref();
                        }
                        Poll::Pending
                    }
                }
            }
        }
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        if let Some(helped) = self.helped.take().and_then(|helped| helped.upgrade()) {
            helped.without(self.ticket);
        }
        if !self.waits {
            return;
        }
        let mut lines = self.turns.lines();
        let last = lines.get_mut(&self.sid).and_then(|line| line.waiting.remove(&self.ticket));
        Turns::go_on(lines, &self.sid);
        drop(last);
    }
}

impl Turn {
    /// The store does not answer: all who wait find that out at the same time, and not one after the other, each after a time-out of
    /// its own. None of them has the turn then.
    pub(super) fn lets_all_go(&self) {
        let mut lines = self.turns.lines();
        let waiting = lines.get_mut(&self.sid).into_iter().flat_map(|line| line.waiting.values_mut());
        let wakers: Vec<Waker> = waiting
            .map(|waiting| {
                waiting.released = true;
                waiting.waker.clone()
            })
            .collect();
        drop(lines);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Whether it is still this one's.
    pub(super) fn is_held(&self) -> bool {
        let lines = self.turns.lines();
        let holder = lines.get(&self.sid).and_then(|line| line.holder.as_ref());
        holder.is_some_and(|holder| holder.ticket == self.ticket)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut lines = self.turns.lines();
        if let Some(line) = lines.get_mut(&self.sid) {
            line.holder.take_if(|holder| holder.ticket == self.ticket);
        }
        Turns::go_on(lines, &self.sid);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        sync::{
            Arc, OnceLock,
            atomic::{AtomicUsize, Ordering},
        },
        task::Wake,
    };

    use super::*;
    use crate::driver::line;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Help for Count {
        fn help(self: Arc<Self>, _: u64, _: u64, _: &mut Context<'_>) -> bool {
            self.0.fetch_add(100, Ordering::Relaxed);
            false
        }

        fn without(self: Arc<Self>, _: u64) {
            self.0.fetch_sub(100, Ordering::Relaxed);
        }
    }

    struct Busy;

    impl Help for Busy {
        fn help(self: Arc<Self>, _: u64, _: u64, _: &mut Context<'_>) -> bool {
            true
        }

        fn without(self: Arc<Self>, _: u64) {}
    }

    /// Everybody is at work while they have the turn.
    fn busy() -> Weak<dyn Help> {
        static BUSY: OnceLock<Arc<Busy>> = OnceLock::new();
        let busy: Arc<dyn Help> = Arc::<Busy>::clone(BUSY.get_or_init(|| Arc::new(Busy)));
        Arc::downgrade(&busy)
    }

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn poll(taking: &mut Pin<&mut Taking>, count: &Arc<Count>) -> Option<Turn> {
        let waker = Waker::from(Arc::clone(count));
        match taking.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => None,
        }
    }

    #[test]
    fn one_writes_at_a_time_and_strangers_never_wait() {
        let turns = Turns::default();
        let counts: Vec<_> = (0..4).map(|_| Arc::new(Count::default())).collect();
        let [mut a, mut b, mut c] =
            [1, 2, 3].map(|_| Box::pin(turns.take("one".into(), line::ticket(), busy())));
        let first = poll(&mut a.as_mut(), &counts[0]).unwrap();
        assert!(poll(&mut b.as_mut(), &counts[1]).is_none());
        assert!(poll(&mut c.as_mut(), &counts[2]).is_none());
        let mut stranger = pin!(turns.take("other".into(), line::ticket(), busy()));
        drop(poll(&mut stranger, &counts[3]).unwrap());
        drop(first);
        assert_eq!(
            counts.iter().map(|count| count.0.load(Ordering::Relaxed)).collect::<Vec<_>>(),
            [0, 1, 1, 0],
            "all who wait are woken, and nobody else"
        );
        let second = poll(&mut b.as_mut(), &counts[1]).unwrap();
        assert!(poll(&mut c.as_mut(), &counts[2]).is_none(), "one at a time");
        drop(second);
        drop(poll(&mut c.as_mut(), &counts[2]).unwrap());
        assert!(turns.is_empty(), "nothing is kept of sessions without a conflict");
    }

    #[test]
    fn all_are_let_go_at_once_and_none_of_them_has_the_turn() {
        let turns = Turns::default();
        let count = Arc::new(Count::default());
        let [mut a, mut b, mut c, mut late] =
            [1, 2, 3, 4].map(|_| Box::pin(turns.take("one".into(), line::ticket(), busy())));
        let first = poll(&mut a.as_mut(), &count).unwrap();
        assert!(poll(&mut b.as_mut(), &count).is_none() && poll(&mut c.as_mut(), &count).is_none());
        first.lets_all_go();
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        let second = poll(&mut b.as_mut(), &count).unwrap();
        assert!(first.is_held() && !second.is_held());
        assert!(poll(&mut late.as_mut(), &count).is_none(), "who comes later waits");
        drop(second);
        assert!(first.is_held());
        drop(first);
        drop(poll(&mut late.as_mut(), &count).unwrap());
        drop((poll(&mut c.as_mut(), &count).unwrap(), c));
        assert!(turns.is_empty());
    }

    #[test]
    fn whoever_is_dropped_gives_up_the_turn_or_the_place() {
        let turns = Turns::default();
        let count = Arc::new(Count::default());
        let mut a = Box::pin(turns.take("one".into(), line::ticket(), busy()));
        let mut b = Box::pin(turns.take("one".into(), line::ticket(), busy()));
        let mut c = Box::pin(turns.take("one".into(), line::ticket(), busy()));
        let first = poll(&mut a.as_mut(), &count).unwrap();
        assert!(poll(&mut b.as_mut(), &count).is_none() && poll(&mut c.as_mut(), &count).is_none());
        drop(first);
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        // It was woken, and is put aside: the next one need not wait for it.
        drop(poll(&mut c.as_mut(), &count).unwrap());
        drop(b);
        assert!(turns.is_empty());
    }

    #[test]
    fn whoever_waits_helps_the_one_who_has_the_turn() {
        let turns = Turns::default();
        let (count, helped) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let as_help: Arc<dyn Help> = Arc::<Count>::clone(&helped);
        let mut has_it = Box::pin(turns.take("one".into(), line::ticket(), Arc::downgrade(&as_help)));
        let turn = poll(&mut has_it.as_mut(), &count).unwrap();
        let mut waits = Box::pin(turns.take("one".into(), line::ticket(), busy()));
        assert!(poll(&mut waits.as_mut(), &count).is_none());
        assert_eq!(helped.0.load(Ordering::Relaxed), 100);
        assert_eq!(count.0.load(Ordering::Relaxed), 1, "it comes again after all who were woken before");
        // Nothing was under way, and nothing is yet: the other was put aside.
        let taken = poll(&mut waits.as_mut(), &count).unwrap();
        assert!(!turn.is_held() && taken.is_held());
        drop(turn);
        assert!(taken.is_held(), "it has nothing to give up any more");
        drop((taken, waits));
        assert!(turns.is_empty());
    }
}
