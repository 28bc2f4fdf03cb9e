//! Writers of one session take turns once they have been in each other's way. When a turn ends, all who wait are woken in
//! the order in which they came, and the first to come has it: one that was put aside, and is not polled, holds up nobody.
//! Nobody waits for another session, and whoever is dropped gives up the turn or the place in the line.

use std::{
    collections::{HashMap, VecDeque},
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::wire::sid::Sid;

/// Who may write, and who waits, by session: only sessions with a conflict are in it.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<Sid, Line>>);

#[derive(Default)]
struct Line {
    holder: Option<Holder>,
    waiting: VecDeque<Waiting>,
    tickets: u64,
}

struct Holder {
    ticket: u64,
    owner: Owner,
}

struct Waiting {
    ticket: u64,
    waker: Waker,
}

/// Which handle an operation belongs to. Operations of one handle never wait for each other: one of them may have been
/// put aside by the very task that now waits.
pub(crate) type Owner = usize;

/// The turn. It ends when this is dropped.
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    sid: Sid,
    /// None: another operation of this handle has it.
    ticket: Option<u64>,
}

pub(crate) struct Taking<'a> {
    turns: &'a Turns,
    sid: Sid,
    owner: Owner,
    /// The place in the line.
    ticket: Option<u64>,
}

impl Turns {
    pub(crate) fn take(&self, sid: Sid, owner: Owner) -> Taking<'_> {
        Taking { turns: self, sid, owner, ticket: None }
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<Sid, Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whom to wake once nobody has the turn; a line without anybody is forgotten.
    fn go_on(lines: &mut HashMap<Sid, Line>, sid: &Sid) -> Vec<Waker> {
        let Some(line) = lines.get(sid).filter(|line| line.holder.is_none()) else { return Vec::new() };
        let wakers: Vec<Waker> = line.waiting.iter().map(|waiting| waiting.waker.clone()).collect();
        if wakers.is_empty() {
            lines.remove(sid);
        }
        wakers
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.lines().is_empty()
    }
}

impl<'a> Future for Taking<'a> {
    type Output = Turn<'a>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Turn<'a>> {
        let this = &mut *self;
        let (turns, sid) = (this.turns, this.sid.clone());
        let mut lines = turns.lines();
        let line = lines.entry(sid.clone()).or_default();
        if line.holder.as_ref().is_some_and(|holder| holder.owner == this.owner) {
            // Its place in the line, if it has one, is given up when it is dropped.
            return Poll::Ready(Turn { turns, sid, ticket: None });
        }
        let ticket = *this.ticket.get_or_insert_with(|| {
            line.tickets += 1;
            line.tickets
        });
        if line.holder.is_none() {
            line.waiting.retain(|waiting| waiting.ticket != ticket);
            line.holder = Some(Holder { ticket, owner: this.owner });
            this.ticket = None;
            return Poll::Ready(Turn { turns, sid, ticket: Some(ticket) });
        }
        match line.waiting.iter_mut().find(|waiting| waiting.ticket == ticket) {
            Some(waiting) => waiting.waker.clone_from(context.waker()),
            None => line.waiting.push_back(Waiting { ticket, waker: context.waker().clone() }),
        }
        Poll::Pending
    }
}

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let next = {
            let mut lines = self.turns.lines();
            if let Some(line) = lines.get_mut(&self.sid) {
                line.waiting.retain(|waiting| waiting.ticket != ticket);
            }
            Turns::go_on(&mut lines, &self.sid)
        };
        next.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let next = {
            let mut lines = self.turns.lines();
            if let Some(line) = lines.get_mut(&self.sid) {
                line.holder = line.holder.take().filter(|holder| holder.ticket != ticket);
            }
            Turns::go_on(&mut lines, &self.sid)
        };
        next.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::Wake,
    };

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn poll<'a>(taking: &mut Pin<&mut Taking<'a>>, count: &Arc<Count>) -> Option<Turn<'a>> {
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
        let [mut a, mut b, mut c] = [1, 2, 3].map(|owner| Box::pin(turns.take("one".into(), owner)));
        let first = poll(&mut a.as_mut(), &counts[0]).unwrap();
        assert!(poll(&mut b.as_mut(), &counts[1]).is_none());
        assert!(poll(&mut c.as_mut(), &counts[2]).is_none());
        let mut stranger = pin!(turns.take("other".into(), 4));
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
    fn whoever_is_dropped_gives_up_the_turn_or_the_place() {
        let turns = Turns::default();
        let count = Arc::new(Count::default());
        let mut a = Box::pin(turns.take("one".into(), 1));
        let mut b = Box::pin(turns.take("one".into(), 2));
        let mut c = Box::pin(turns.take("one".into(), 3));
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
    fn operations_of_one_handle_do_not_wait_for_each_other() {
        let turns = Turns::default();
        let count = Arc::new(Count::default());
        let mut put_aside = Box::pin(turns.take("one".into(), 1));
        let turn = poll(&mut put_aside.as_mut(), &count).unwrap();
        let mut other = Box::pin(turns.take("one".into(), 1));
        drop(poll(&mut other.as_mut(), &count).unwrap());
        let mut stranger = Box::pin(turns.take("one".into(), 2));
        assert!(poll(&mut stranger.as_mut(), &count).is_none(), "the turn is still taken");
        drop(turn);
        drop(poll(&mut stranger.as_mut(), &count).unwrap());
        assert!(turns.is_empty());
    }
}
