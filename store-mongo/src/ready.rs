//! What is looked at once before all else. Whoever comes meanwhile shares the attempt and its failure.

use std::{
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};

use crate::error::MongoError;

#[derive(Default)]
pub(crate) struct Ready {
    is_done: Arc<AtomicBool>,
    attempt: Mutex<Option<Attempt>>,
}

/// What came of it, where nothing speaks against going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Looked {
    ForGood,
    /// The next call is to look once more.
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
            if self.is_done.load(Ordering::Acquire) {
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

    /// What ended while nobody looked says nothing of now.
    fn going_on<F>(&self, look: &impl Fn() -> F) -> Attempt
    where
        F: Future<Output = Result<Looked, MongoError>> + Send + 'static,
    {
        let mut slot = self.attempt();
        match slot.take().filter(|attempt| !attempt.is_over.load(Ordering::Acquire)) {
            Some(going_on) => slot.insert(going_on).clone(),
            None => slot.insert(Attempt::begin(look(), Arc::clone(&self.is_done))).clone(),
        }
    }

    /// Nothing in it panics half-way.
    fn attempt(&self) -> MutexGuard<'_, Option<Attempt>> {
        self.attempt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt {
    fn begin(
        look: impl Future<Output = Result<Looked, MongoError>> + Send + 'static,
        is_done: Arc<AtomicBool>,
    ) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let task = tokio::spawn(async move {
            let ended = look.await;
            is_done.fetch_or(matches!(ended, Ok(Looked::ForGood)), Ordering::Release);
            over.store(true, Ordering::Release);
            ended
        });
        Self { is_over, ended: task.map(|ended| ended.map_err(|_| Lost)).boxed().shared() }
    }
}
