//! What has to be done once before all else.

use std::{
    future::Future,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use tokio::sync::Mutex;

use crate::error::Failure;

/// A table that is there, a connection that is as it must be. Whoever waits while another one sees to it shares that one's
/// failure: with a database that is down nobody waits for more than one attempt.
#[derive(Default)]
pub(crate) struct Ready {
    done: AtomicBool,
    failures: AtomicU64,
    last: Mutex<Option<Failure>>,
}

impl Ready {
    pub(crate) async fn ensure(
        &self,
        attempt: impl Future<Output = Result<(), Failure>>,
    ) -> Result<(), Failure> {
        if self.done.load(Ordering::Acquire) {
            return Ok(());
        }
        let before = self.failures.load(Ordering::Acquire);
        let mut last = self.last.lock().await;
        if self.done.load(Ordering::Acquire) {
            return Ok(());
        }
        if self.failures.load(Ordering::Acquire) != before
            && let Some(failure) = &*last
        {
            return Err(failure.clone());
        }
        // Dropped here, it counts for nothing, and the next one tries.
        match attempt.await {
            Ok(()) => self.done.store(true, Ordering::Release),
            Err(failure) => {
                *last = Some(failure.clone());
                self.failures.fetch_add(1, Ordering::Release);
                return Err(failure);
            }
        }
        Ok(())
    }

    /// It turns out that it has to be done again.
    pub(crate) fn undo(&self) {
        self.done.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, time::Duration};

    use futures_util::future::join_all;
    use tokio::time::{sleep, timeout};

    use super::*;

    const ATTEMPT: Duration = Duration::from_secs(3);

    fn failed() -> Failure {
        Failure::Late(ATTEMPT)
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_shares_the_failure_and_who_comes_later_tries_again() {
        let (ready, attempts) = (Ready::default(), Cell::new(0));
        let attempt = || async {
            attempts.set(attempts.get() + 1);
            sleep(ATTEMPT).await;
            Err(failed())
        };
        let begun = tokio::time::Instant::now();
        let all = join_all((0..30).map(|_| ready.ensure(attempt()))).await;
        assert!(all.iter().all(Result::is_err));
        assert_eq!((attempts.get(), begun.elapsed()), (1, ATTEMPT));
        assert!(ready.ensure(attempt()).await.is_err());
        assert_eq!(attempts.get(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_done_once_unless_it_is_undone() {
        let (ready, attempts) = (Ready::default(), Cell::new(0));
        let attempt = || async {
            sleep(ATTEMPT).await;
            attempts.set(attempts.get() + 1);
            Ok(())
        };
        assert!(join_all((0..30).map(|_| ready.ensure(attempt()))).await.iter().all(Result::is_ok));
        assert_eq!(attempts.get(), 1);
        ready.undo();
        assert!(ready.ensure(attempt()).await.is_ok());
        assert_eq!(attempts.get(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_is_given_up_fails_nobody_else() {
        let ready = Ready::default();
        let hangs = timeout(ATTEMPT, ready.ensure(std::future::pending()));
        let (given_up, done) = tokio::join!(hangs, ready.ensure(async { Ok(()) }));
        assert!(given_up.is_err() && done.is_ok());
    }
}
