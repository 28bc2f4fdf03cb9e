//! What is looked at once before all else. Whoever comes meanwhile shares the attempt and its failure.

use std::{
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};

use crate::error::MongoError;

/// Between two looks where the server has said why not, and may say otherwise.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(crate) struct Ready {
    is_done: Arc<AtomicBool>,
    /// Not before then is it looked at again, and how long that was put off.
    later: Arc<Mutex<Option<(Instant, Duration)>>>,
    attempt: Mutex<Option<Attempt>>,
}

/// What came of it, where nothing speaks against going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Looked {
    ForGood,
    /// It is to be looked at once more, a while later.
    NotYet,
}

/// It is a task of its own, and goes on when all who wait for it have left.
#[derive(Clone)]
struct Attempt {
    is_over: Arc<AtomicBool>,
    ended: Shared<BoxFuture<'static, Result<Result<Looked, MongoError>, Lost>>>,
}

/// Its runtime has ended, or it panicked.
#[derive(Clone, Debug)]
struct Lost;

impl Ready {
    pub(crate) async fn ensure<F>(&self, look: impl Fn() -> F) -> Result<(), MongoError>
    where
        F: Future<Output = Result<Looked, MongoError>> + Send + 'static,
    {
        for _ in 0..2 {
            if self.is_done.load(Ordering::Acquire) || self.is_put_off() {
                return Ok(());
            }
            let Attempt { is_over, ended } = self.going_on(&look);
            match ended.await {
                Ok(ended) => return ended.map(drop),
                Err(Lost) => is_over.store(true, Ordering::Release),
            }
        }
        Err(MongoError::plain("the runtime has ended"))
    }

    fn is_put_off(&self) -> bool {
        locked(&self.later).is_some_and(|(until, _)| Instant::now() < until)
    }

    /// What ended while nobody looked says nothing of now.
    fn going_on<F>(&self, look: &impl Fn() -> F) -> Attempt
    where
        F: Future<Output = Result<Looked, MongoError>> + Send + 'static,
    {
        let mut slot = self.attempt();
        match slot.take().filter(|attempt| !attempt.is_over.load(Ordering::Acquire)) {
            Some(going_on) => slot.insert(going_on).clone(),
            None => slot.insert(Attempt::begin(look(), self)).clone(),
        }
    }

    fn attempt(&self) -> MutexGuard<'_, Option<Attempt>> {
        locked(&self.attempt)
    }
}

/// Each time for twice as long.
fn put_off(later: &Mutex<Option<(Instant, Duration)>>) {
    let mut later = locked(later);
    let pause = later.map_or(FIRST_PAUSE, |(_, pause)| LONGEST_PAUSE.min(2 * pause));
    *later = Some((Instant::now() + pause, pause));
}

/// Nothing in it panics half-way.
fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Attempt {
    fn begin(look: impl Future<Output = Result<Looked, MongoError>> + Send + 'static, ready: &Ready) -> Self {
        let (is_done, later) = (Arc::clone(&ready.is_done), Arc::clone(&ready.later));
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let task = tokio::spawn(async move {
            let ended = look.await;
            match ended {
                Ok(Looked::ForGood) => is_done.store(true, Ordering::Release),
                Ok(Looked::NotYet) => put_off(&later),
                Err(_) => {}
            }
            over.store(true, Ordering::Release);
            ended
        });
        Self { is_over, ended: task.map(|ended| ended.map_err(|_| Lost)).boxed().shared() }
    }
}
