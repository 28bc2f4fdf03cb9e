//! What a contract needs of the store under test.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use session_core::{AdminStore, Clock, Sid};

use crate::{Applies, admin_tests, store_tests};

/// A store, new and empty, with the clock that it goes by and what else the tests must know of it.
pub struct Fixture {
    pub(crate) store: Arc<dyn AdminStore>,
    other: Option<Arc<dyn AdminStore>>,
    turn: AtomicUsize,
    pub(crate) clock: Option<ManualClock>,
    plant: Option<Plant>,
    exempt: Vec<&'static str>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) expires_by_itself: bool,
    pub(crate) is_exact: bool,
}

pub(crate) type Plant =
    Box<dyn Fn(Sid, String, SystemTime) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

impl Fixture {
    /// A store on a database, which goes by the real time: its tests wait a few seconds where something must expire.
    ///
    /// A store that leaves out a touch soon after a write passes if that time is a minute or more, and if every touch is
    /// due of a record with less than that left: the records that the tests touch live for less than a minute.
    pub fn new(store: impl AdminStore) -> Self {
        Self {
            store: Arc::new(store),
            other: None,
            turn: AtomicUsize::new(0),
            clock: None,
            plant: None,
            exempt: Vec::new(),
            ttl: None,
            expires_by_itself: false,
            is_exact: false,
        }
    }

    /// The same records through a second store, as another process would open it. Parallel requests then come through
    /// both by turns, so that a lock or a cache within one store does not pass for the database's. A store that no other
    /// process can share leaves it out.
    #[must_use]
    pub fn beside(self, other: impl AdminStore) -> Self {
        Self { other: Some(Arc::new(other)), ..self }
    }

    /// The time to live that the store was opened with, or its default: how long it holds a record whose cookie has no
    /// `expires`. Without this: for ever.
    #[must_use]
    pub fn ttl(self, ttl: Duration) -> Self {
        Self { ttl: Some(ttl), ..self }
    }

    /// The database removes what has expired by itself, so that `prune` has nothing to do and answers zero. Without this
    /// it must answer exactly how many there were.
    #[must_use]
    pub fn expires_by_itself(self) -> Self {
        Self { expires_by_itself: true, ..self }
    }

    /// The store ends a record in the millisecond in which its cookie expires, to every verb; with [`clock`](Self::clock).
    /// Without this it may count in whole seconds.
    #[must_use]
    pub fn exact_to_the_millisecond(self) -> Self {
        Self { is_exact: true, ..self }
    }

    /// The store goes by this clock, so that nobody waits.
    #[must_use]
    pub fn clock(self, clock: ManualClock) -> Self {
        Self { clock: Some(clock), ..self }
    }

    /// How to put a text under a sid past the store, over what is there, held until then by the store's clock: for what a store
    /// must do with a record that it cannot read, or that Node has written. Where it can hold none but well-formed texts, it may put
    /// another in the place of one that is not, as long as that is no record either. A store that nobody else can write to
    /// says so instead ([`nobody_else_writes`](Self::nobody_else_writes)), and without either their sentences fail.
    #[must_use]
    pub fn plant<F>(self, plant: impl Fn(Sid, String, SystemTime) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self { plant: Some(Box::new(move |sid, text, until| Box::pin(plant(sid, text, until)))), ..self }
    }

    /// No program but this store can write its records: the sentences of what others have written are
    /// [exempt](Self::exempt).
    #[must_use]
    pub fn nobody_else_writes(self) -> Self {
        self.exempt(OF_OTHERS)
    }

    /// These sentences do not apply to the store, by name: of a clock that the test cannot move, say. Any other that does not
    /// apply fails, and so does one of these that does.
    ///
    /// # Panics
    /// No contract has such a sentence.
    #[must_use]
    pub fn exempt(mut self, sentences: impl IntoIterator<Item = &'static str>) -> Self {
        let all = [store_tests(), admin_tests()].concat();
        for sentence in sentences {
            assert!(all.iter().any(|test| test.name == sentence), "no contract has the sentence {sentence}");
            self.exempt.push(sentence);
        }
        self
    }

    /// Whether the sentence has tested what it was to test.
    ///
    /// # Panics
    /// It has not, or was not to test anything.
    #[doc(hidden)]
    pub fn check(&self, sentence: &str, applies: impl Into<Applies>) {
        match (applies.into(), self.exempt.contains(&sentence)) {
            (Applies::No, false) => panic!(
                "{sentence} does not apply to this store and tests nothing: the fixture must give it what it needs, or \
                 exempt it"
            ),
            (Applies::Yes, true) => {
                panic!("{sentence} applies to this store: the fixture must not exempt it")
            }
            (Applies::Yes, false) | (Applies::No, true) => {}
        }
    }

    /// How others write; `None` where they cannot.
    pub(crate) fn planting(&self) -> Option<&Plant> {
        self.plant.as_ref()
    }

    /// The store as the next process has it.
    pub(crate) fn process(&self) -> Arc<dyn AdminStore> {
        let other = self.other.as_ref().filter(|_| self.turn.fetch_add(1, Ordering::Relaxed) % 2 == 1);
        Arc::clone(other.unwrap_or(&self.store))
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

    pub(crate) async fn pass_until(&self, at: SystemTime) {
        if let Ok(time) = at.duration_since(self.now()) {
            self.pass(time).await;
        }
    }
}

/// The sentences of what others write.
const OF_OTHERS: [&str; 5] = [
    "get_of_a_record_that_cannot_be_read_is_an_error_that_says_so",
    "a_record_that_cannot_be_read_is_held_all_the_same",
    "a_record_that_cannot_be_read_expires_as_any_other",
    "a_record_that_cannot_be_read_hides_no_other",
    "what_a_stranger_writes_is_another_version",
];

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
