//! Writers that go on while something happens to the server.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use session_core::{AdminStore, Expect, Set, Sid, Store, StoreError};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::record;

const WRITERS: usize = 16;
const PATIENCE: Duration = Duration::from_secs(60);

/// What a call answers, which it must do before so much time has passed. Timers of one runtime go off in their order however
/// busy the machine is, and so this says that none within the call was longer.
///
/// # Panics
/// When it does not.
pub async fn within<T>(bound: Duration, call: impl Future<Output = T>) -> T {
    timeout(bound, call).await.unwrap_or_else(|_| panic!("no answer within {bound:?}"))
}

/// Until the store works again; answers how long that took.
///
/// # Panics
/// When it does not.
pub async fn recovered(store: &(impl Store + ?Sized)) -> Duration {
    let start = Instant::now();
    while store.get(&Sid::random()).await.is_err() {
        assert!(start.elapsed() < PATIENCE, "the store does not recover");
        sleep(Duration::from_millis(5)).await;
    }
    start.elapsed()
}

/// Until the session is read, however busy the machine is.
///
/// # Panics
/// When it is not.
pub async fn until_served(store: &(impl Store + ?Sized), sid: &Sid) {
    let start = Instant::now();
    while !store.get(sid).await.is_ok_and(|held| held.is_some()) {
        assert!(start.elapsed() < PATIENCE, "the session is not served");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a client library repeats what may have been done already, so that a writer meets itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Repeats {
    Never,
    Perhaps,
}

/// Writers at work.
#[derive(Debug)]
pub struct Load {
    counts: Arc<Counts>,
    writers: Vec<JoinHandle<Outcome>>,
}

#[derive(Debug, Default)]
struct Counts {
    stop: AtomicBool,
    acknowledged: AtomicUsize,
    failed: AtomicUsize,
}

/// What the writers saw.
#[derive(Debug, Default)]
pub struct Outcome {
    sessions: Vec<Written>,
    /// Of the calls that failed.
    pub errors: Vec<StoreError>,
    slowest: Duration,
}

/// A session that somebody wrote, numbers from 0 on.
#[derive(Debug)]
struct Written {
    sid: Sid,
    acknowledged: Option<u64>,
    /// The last write may have been done or not.
    in_doubt: bool,
}

impl Load {
    /// Starts them. Every call must answer within `bound`.
    pub fn start<S: Store + ?Sized>(store: &Arc<S>, bound: Duration, repeats: Repeats) -> Self {
        let counts = Arc::<Counts>::default();
        let writer = |_| tokio::spawn(write(Arc::clone(store), bound, repeats, Arc::clone(&counts)));
        Self { writers: (0..WRITERS).map(writer).collect(), counts }
    }

    /// Until so many more writes are acknowledged.
    ///
    /// # Panics
    /// When they are not.
    pub async fn until_acknowledged(&self, more: usize) {
        until_more(&self.counts.acknowledged, more).await;
    }

    /// Until so many more writes have failed.
    ///
    /// # Panics
    /// When they do not.
    pub async fn until_failed(&self, more: usize) {
        until_more(&self.counts.failed, more).await;
    }

    /// Ends it.
    ///
    /// # Panics
    /// When a writer saw what must not be.
    pub async fn stop(self) -> Outcome {
        self.counts.stop.store(true, Ordering::Relaxed);
        let mut all = Outcome::default();
        for writer in self.writers {
            let one = writer.await.expect("a writer goes on");
            all.sessions.extend(one.sessions);
            all.errors.extend(one.errors);
            all.slowest = all.slowest.max(one.slowest);
        }
        all
    }
}

impl Outcome {
    /// How many sessions have a write that was acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.sessions.iter().filter(|written| written.acknowledged.is_some()).count()
    }

    /// How long the slowest call took.
    pub fn slowest(&self) -> Duration {
        self.slowest
    }

    /// How many sessions are not there, or not as they were acknowledged.
    pub async fn lost(&self, store: &(impl Store + ?Sized)) -> usize {
        let mut lost = 0;
        for written in self.sessions.iter().filter(|written| written.acknowledged.is_some()) {
            let stored = store.get(&written.sid).await.unwrap();
            let held = stored.and_then(|stored| stored.record.data.get("n")?.parse::<u64>().ok());
            lost += usize::from(held < written.acknowledged);
        }
        lost
    }

    /// Every acknowledged write is there; one in doubt may be.
    ///
    /// # Panics
    /// When it is otherwise.
    pub async fn assert_all_kept(&self, store: &(impl Store + ?Sized)) {
        for written in &self.sessions {
            let stored = store.get(&written.sid).await.unwrap();
            let held = stored.map(|stored| stored.record.data.get("n").unwrap().parse::<u64>().unwrap());
            let next = Some(written.acknowledged.map_or(0, |n| n + 1));
            let kept = held == written.acknowledged || written.in_doubt && held == next;
            assert!(kept, "{held:?} is held, {:?} was acknowledged", written.acknowledged);
        }
    }

    /// The store counts what is there of these, in doubt or not, and so many others.
    ///
    /// # Panics
    /// When it counts otherwise.
    pub async fn assert_counted(&self, store: &impl AdminStore, others: u64) {
        let before = self.there(store).await;
        let counted = store.length().await.unwrap() - others;
        // What is in doubt may be done at any time.
        let after = self.there(store).await;
        assert!((before..=after).contains(&counted), "{counted}, and not {before} to {after}");
    }

    async fn there(&self, store: &impl Store) -> u64 {
        let mut there = 0;
        for written in &self.sessions {
            there += u64::from(store.get(&written.sid).await.unwrap().is_some());
        }
        there
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let acknowledged = self.acknowledged();
        let in_doubt = self.sessions.iter().filter(|written| written.in_doubt).count();
        let (failed, slowest) = (self.errors.len(), self.slowest);
        write!(
            f,
            "{acknowledged} sessions acknowledged, {in_doubt} in doubt, {failed} calls failed, \
             the slowest call took {slowest:?}"
        )
    }
}

/// A session after the other, each written to a few times.
async fn write<S: Store + ?Sized>(
    store: Arc<S>,
    bound: Duration,
    repeats: Repeats,
    counts: Arc<Counts>,
) -> Outcome {
    let mut outcome = Outcome::default();
    while !counts.stop.load(Ordering::Relaxed) {
        let mut written = Written { sid: Sid::random(), acknowledged: None, in_doubt: false };
        let mut expect = Expect::Nothing;
        for n in 0..5 {
            let start = Instant::now();
            let record = record(&format!("\"n\":{n}"));
            let set = within(bound, store.set(&written.sid, &record, &expect)).await;
            outcome.slowest = outcome.slowest.max(start.elapsed());
            match set {
                Ok(Set::Written(version)) => {
                    expect = Expect::Version(version);
                    written.acknowledged = Some(n);
                    counts.acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                Ok(Set::Conflict) if repeats == Repeats::Perhaps => {
                    written.in_doubt = true;
                    break;
                }
                Ok(other) => panic!("nobody else writes to this session: {other:?}"),
                Err(error) => {
                    outcome.errors.push(error);
                    written.in_doubt = true;
                    counts.failed.fetch_add(1, Ordering::Relaxed);
                    sleep(Duration::from_millis(5)).await;
                    break;
                }
            }
        }
        outcome.sessions.push(written);
    }
    outcome
}

async fn until_more(count: &AtomicUsize, more: usize) {
    let (start, goal) = (Instant::now(), count.load(Ordering::Relaxed) + more);
    while count.load(Ordering::Relaxed) < goal {
        assert!(start.elapsed() < PATIENCE, "waited in vain for {more} more");
        sleep(Duration::from_millis(5)).await;
    }
}
