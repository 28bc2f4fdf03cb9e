//! Which tasks go on with a future, and what one task does beside another.

use std::{
    collections::HashSet,
    future::poll_fn,
    pin::pin,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::task::{Id, try_id};

/// In which tasks something was polled.
#[derive(Debug, Default)]
pub(crate) struct Tasks(Mutex<HashSet<Option<Id>>>);

impl Tasks {
    pub(crate) async fn with<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(try_id());
            work.as_mut().poll(context)
        })
        .await
    }

    /// Another task goes on than the one that began.
    pub(crate) fn have_changed(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len() > 1
    }
}

/// The calls of a task that goes on beside a list.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    begun: AtomicUsize,
    done: AtomicUsize,
    ended: AtomicBool,
    met: AtomicUsize,
}

impl Beside {
    pub(crate) async fn call<T>(&self, call: impl Future<Output = T>) -> T {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let answer = call.await;
        self.done.fetch_add(1, Ordering::SeqCst);
        answer
    }

    /// No more calls.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    /// How many were answered.
    pub(crate) fn done(&self) -> usize {
        self.done.load(Ordering::SeqCst)
    }

    /// How often one was met.
    pub(crate) fn met(&self) -> usize {
        self.met.load(Ordering::SeqCst)
    }

    /// Holds up who shows a list until a call was answered since, or is under way: a store that shows what it has locked lets
    /// nobody through meanwhile. The other task is on another thread.
    pub(crate) fn wait_for_one(&self, since: usize) {
        let begun = Instant::now();
        while self.done() == since && self.begun.load(Ordering::SeqCst) == since {
            if self.ended.load(Ordering::SeqCst) {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "nobody calls the store beside the list");
            thread::sleep(Duration::from_micros(50));
        }
        self.met.fetch_add(1, Ordering::SeqCst);
    }
}
