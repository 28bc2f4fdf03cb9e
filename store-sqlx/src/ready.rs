//! What has to be done once before all else.

use std::{
    future::Future,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};

use tokio::time::Instant;

use crate::error::Failure;

/// A table that is there, a connection that is as it must be. Whoever comes while it is seen to shares the attempt and its
/// failure. It is a task of its own, and goes on when all who wait for it have left.
#[derive(Default)]
pub(crate) struct Ready(Arc<State>);

#[derive(Default)]
struct State {
    is_done: AtomicBool,
    /// While it goes on, and since when.
    attempt: Mutex<Option<(Attempt, Instant)>>,
}

type Attempt = Shared<BoxFuture<'static, Result<Result<(), Failure>, Lost>>>;

/// Its runtime has ended, or it panicked.
#[derive(Clone, Debug)]
struct Lost;

impl Ready {
    /// No attempt takes longer than the limit, unless nobody drives its runtime.
    pub(crate) async fn ensure<F>(&self, limit: Duration, attempt: impl Fn() -> F) -> Result<(), Failure>
    where
        F: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        for _ in 0..2 {
            if self.0.is_done.load(Ordering::Acquire) {
                return Ok(());
            }
            let going_on = {
                let mut slot = self.0.attempt();
                // Since it was looked at.
                if self.0.is_done.load(Ordering::Acquire) {
                    return Ok(());
                }
                let longest = limit.saturating_mul(2);
                let (attempt, _) = match slot.take().filter(|(_, since)| since.elapsed() <= longest) {
                    Some(going_on) => slot.insert(going_on),
                    None => {
                        let now = Instant::now();
                        slot.insert((self.0.begin(attempt(), now), now))
                    }
                };
                attempt.clone()
            };
            // That of another runtime, which has ended meanwhile, is begun again.
            if let Ok(ended) = going_on.await {
                return ended;
            }
        }
        Err(sqlx::Error::Io(io::ErrorKind::Interrupted.into()).into())
    }

    /// It turns out that it has to be done again.
    pub(crate) fn undo(&self) {
        self.0.is_done.store(false, Ordering::Release);
    }
}

impl State {
    fn begin(
        self: &Arc<Self>,
        attempt: impl Future<Output = Result<(), Failure>> + Send + 'static,
        since: Instant,
    ) -> Attempt {
        let [state, of_waiters] = [(); 2].map(|()| Arc::clone(self));
        let task = tokio::spawn(async move {
            let ended = attempt.await;
            state.end(since, ended.is_ok());
            ended
        });
        let ended = move |ended: Result<_, _>| {
            ended.map_err(|_| {
                of_waiters.end(since, false);
                Lost
            })
        };
        task.map(ended).boxed().shared()
    }

    /// One that was given up for another says nothing of that one's.
    fn end(&self, since: Instant, is_done: bool) {
        let mut attempt = self.attempt();
        if attempt.take_if(|(_, begun)| *begun == since).is_some() {
            self.is_done.store(is_done, Ordering::Release);
        }
    }

    /// Nothing in it panics half-way.
    fn attempt(&self) -> MutexGuard<'_, Option<(Attempt, Instant)>> {
        self.attempt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures_util::future::join_all;
    use tokio::time::{sleep, timeout};

    use super::*;

    const ATTEMPT: Duration = Duration::from_secs(3);

    /// Counted, and that takes a while.
    fn attempts(
        answer: Result<(), Failure>,
    ) -> (Arc<AtomicUsize>, impl Fn() -> BoxFuture<'static, Result<(), Failure>>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let attempt = move || {
            let (counted, answer) = (Arc::clone(&counted), answer.clone());
            async move {
                counted.fetch_add(1, Ordering::SeqCst);
                sleep(ATTEMPT).await;
                answer
            }
            .boxed()
        };
        (count, attempt)
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_shares_the_failure_and_who_comes_later_tries_again() {
        let ready = Ready::default();
        let (count, attempt) = attempts(Err(Failure::Late(ATTEMPT)));
        let begun = Instant::now();
        let all = join_all((0..30).map(|_| ready.ensure(ATTEMPT, &attempt))).await;
        assert!(all.iter().all(Result::is_err));
        assert_eq!((count.load(Ordering::SeqCst), begun.elapsed()), (1, ATTEMPT));
        assert!(ready.ensure(ATTEMPT, &attempt).await.is_err());
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_done_once_unless_it_is_undone() {
        let ready = Ready::default();
        let (count, attempt) = attempts(Ok(()));
        for times in [1, 2] {
            for _ in 0..2 {
                let all = join_all((0..30).map(|_| ready.ensure(ATTEMPT, &attempt))).await;
                assert!(all.iter().all(Result::is_ok));
                assert_eq!(count.load(Ordering::SeqCst), times);
            }
            ready.undo();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_goes_on_when_who_began_it_has_left() {
        let ready = Ready::default();
        let (count, attempt) = attempts(Ok(()));
        assert!(timeout(ATTEMPT / 2, ready.ensure(ATTEMPT, &attempt)).await.is_err());
        // This one has less time than an attempt takes.
        assert!(timeout(ATTEMPT * 2 / 3, ready.ensure(ATTEMPT, &attempt)).await.unwrap().is_ok());
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_panics_is_a_failure_and_not_the_last() {
        let ready = Ready::default();
        assert!(ready.ensure(ATTEMPT, || async { panic!("of the test") }).await.is_err());
        assert!(ready.ensure(ATTEMPT, || async { Ok(()) }).await.is_ok());
    }

    /// As of tests, each with a runtime of its own.
    #[test]
    fn an_attempt_whose_runtime_has_ended_is_begun_again() {
        let ready = Ready::default();
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let hangs = || std::future::pending::<Result<(), Failure>>();
        runtime().block_on(async {
            _ = timeout(Duration::from_millis(1), ready.ensure(ATTEMPT, hangs)).await;
        });
        assert!(runtime().block_on(ready.ensure(ATTEMPT, || async { Ok(()) })).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_nobody_drives_holds_up_nobody_for_ever() {
        let ready = Ready::default();
        let hangs = || std::future::pending::<Result<(), Failure>>();
        assert!(timeout(ATTEMPT, ready.ensure(ATTEMPT, hangs)).await.is_err());
        sleep(2 * ATTEMPT).await;
        assert!(ready.ensure(ATTEMPT, || async { Ok(()) }).await.is_ok());
    }
}
