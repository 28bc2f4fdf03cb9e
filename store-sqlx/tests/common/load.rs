//! Writers that go on while something happens to the server.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use session_core::{Expect, Set, Sid, Store};
use tokio::{task::JoinHandle, time::sleep};

use super::record;

const WRITERS: usize = 16;
const PATIENCE: Duration = Duration::from_secs(60);

/// Until the store works again; answers how long that took.
pub async fn recovered(store: &dyn Store) -> Duration {
    let start = Instant::now();
    while store.get(&Sid::random()).await.is_err() {
        assert!(start.elapsed() < PATIENCE, "the store does not recover");
        sleep(Duration::from_millis(5)).await;
    }
    start.elapsed()
}

pub struct Load {
    counts: Arc<Counts>,
    writers: Vec<JoinHandle<Outcome>>,
}

#[derive(Default)]
struct Counts {
    stop: AtomicBool,
    acknowledged: AtomicUsize,
    failed: AtomicUsize,
}

/// What the writers saw.
#[derive(Default)]
pub struct Outcome {
    /// Every session whose creation was acknowledged, with the last number that was.
    pub acknowledged: Vec<(Sid, u64)>,
    pub failed: usize,
    /// The longest that an error took.
    pub slowest: Duration,
}

impl Load {
    pub fn start(store: &Arc<dyn Store>) -> Self {
        let counts = Arc::<Counts>::default();
        let writer = |_| tokio::spawn(write(Arc::clone(store), Arc::clone(&counts)));
        Self { writers: (0..WRITERS).map(writer).collect(), counts }
    }

    pub async fn until_acknowledged(&self, more: usize) {
        until_more(&self.counts.acknowledged, more).await;
    }

    pub async fn until_failed(&self, more: usize) {
        until_more(&self.counts.failed, more).await;
    }

    pub async fn stop(self) -> Outcome {
        self.counts.stop.store(true, Ordering::Relaxed);
        let mut all = Outcome::default();
        for writer in self.writers {
            let one = writer.await.unwrap();
            all.acknowledged.extend(one.acknowledged);
            all.failed += one.failed;
            all.slowest = all.slowest.max(one.slowest);
        }
        all
    }
}

impl Outcome {
    pub async fn assert_all_kept(&self, store: &dyn Store) {
        for (sid, n) in &self.acknowledged {
            let stored = store.get(sid).await.unwrap().expect("an acknowledged session is there");
            let held: u64 = stored.record.data.get("n").unwrap().parse().unwrap();
            // The write after the last acknowledged one may have been done.
            assert!(held == *n || held == n + 1, "{held} of {n}");
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acknowledged, failed, slowest } = self;
        write!(
            f,
            "{} sessions acknowledged, {failed} calls failed, the slowest after {slowest:?}",
            acknowledged.len()
        )
    }
}

/// A session after the other, each written to a few times.
async fn write(store: Arc<dyn Store>, counts: Arc<Counts>) -> Outcome {
    let mut outcome = Outcome::default();
    while !counts.stop.load(Ordering::Relaxed) {
        let (sid, mut expect) = (Sid::random(), Expect::Nothing);
        for n in 0..5 {
            let start = Instant::now();
            match store.set(&sid, &record(&format!("\"n\":{n}")), &expect).await {
                Ok(Set::Written(version)) => {
                    expect = Expect::Version(version);
                    match outcome.acknowledged.last_mut() {
                        Some((last, acknowledged)) if *last == sid => *acknowledged = n,
                        _ => outcome.acknowledged.push((sid.clone(), n)),
                    }
                    counts.acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                Ok(other) => panic!("nobody else writes to this session: {other:?}"),
                Err(_) => {
                    outcome.failed += 1;
                    outcome.slowest = outcome.slowest.max(start.elapsed());
                    counts.failed.fetch_add(1, Ordering::Relaxed);
                    sleep(Duration::from_millis(5)).await;
                    break;
                }
            }
        }
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
