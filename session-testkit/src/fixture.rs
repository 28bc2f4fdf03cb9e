//! What a contract needs of the store under test.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use session_core::{AdminStore, Clock, Sid};

/// A store, new and empty, with the clock that it goes by.
pub struct Fixture {
    pub(crate) store: Arc<dyn AdminStore>,
    pub(crate) clock: Option<ManualClock>,
    pub(crate) plant: Option<Plant>,
}

type Plant = Box<dyn Fn(Sid, String) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

impl Fixture {
    /// A store on a database, which goes by the real time: its tests wait a few seconds where something must expire.
    pub fn new(store: impl AdminStore) -> Self {
        Self { store: Arc::new(store), clock: None, plant: None }
    }

    /// The store goes by this clock, so that nobody waits.
    #[must_use]
    pub fn clock(self, clock: ManualClock) -> Self {
        Self { clock: Some(clock), ..self }
    }

    /// How to put a text under a sid past the store, for what a store must do with a record that it cannot read. A store
    /// that nobody else can write to leaves it out.
    #[must_use]
    pub fn plant<F>(self, plant: impl Fn(Sid, String) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self { plant: Some(Box::new(move |sid, text| Box::pin(plant(sid, text)))), ..self }
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.session_clock().now()
    }

    pub(crate) fn session_clock(&self) -> Clock {
        self.clock.as_ref().map_or_else(Clock::system, ManualClock::clock)
    }

    pub(crate) async fn pass(&self, time: Duration) {
        match &self.clock {
            Some(clock) => clock.pass(time),
            None => tokio::time::sleep(time).await,
        }
    }
}

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixture").field("store", &self.store).finish_non_exhaustive()
    }
}

/// A clock that stands still until a test moves it.
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// Starts at 2026-01-02T03:04:05.678Z.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_767_323_045_678)))
    }

    /// The clock for options and stores.
    #[must_use]
    pub fn clock(&self) -> Clock {
        let millis = Arc::clone(&self.0);
        Clock::new(move || SystemTime::UNIX_EPOCH + Duration::from_millis(millis.load(Ordering::SeqCst)))
    }

    /// Moves it on.
    pub fn pass(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_millis()).unwrap_or_default(), Ordering::SeqCst);
    }
}

/// Runs a test: other tasks on several threads, its own on this one, so that it may hold what is not `Send`.
pub fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test);
}
