//! What the three stores have in common beside SQL: their times.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use session_core::{Clock, Cookie, Record, StoreError, Stored, Version};

use crate::time::{self, Millis};

pub(crate) const DAY: Duration = Duration::from_secs(86_400);
pub(crate) const QUARTER: Duration = Duration::from_secs(900);

/// Of a store's own, as sqlx's pools have them.
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(crate) const CONNECTIONS: usize = 10;

pub(crate) struct Settings {
    pub(crate) ttl: Duration,
    pub(crate) timeout: Duration,
    pub(crate) clock: Clock,
    pub(crate) pruning: Schedule,
    pub(crate) disable_touch: bool,
}

impl Settings {
    pub(crate) fn new(pruning: Schedule) -> Self {
        Self {
            ttl: DAY,
            timeout: Duration::from_secs(5),
            clock: Clock::system(),
            pruning,
            disable_touch: false,
        }
    }

    pub(crate) fn now(&self) -> Millis {
        time::now(&self.clock)
    }

    pub(crate) fn until(&self, cookie: &Cookie, now: Millis) -> Option<Millis> {
        time::until(cookie, self.ttl, now)
    }

    /// What was read.
    pub(crate) fn stored(&self, record: Record, version: Version, left: Duration) -> Stored {
        let lifetime = match record.cookie.original_max_age() {
            // Where a touch moves nothing, none is ever due.
            _ if self.disable_touch => left,
            lifetime => lifetime.unwrap_or(self.ttl),
        };
        Stored { version, left: Some(left), lifetime: Some(lifetime), record }
    }
}

/// The record of a text, or the error that says that it is none.
pub(crate) fn parse(store: &'static str, text: impl Into<Arc<str>>) -> Result<Record, StoreError> {
    Record::parse(text).map_err(|error| StoreError::corrupt(store, error))
}

/// When expired records are removed: nobody waits for it with a thread or a timer; whoever writes looks at the clock.
#[derive(Debug)]
pub(crate) struct Schedule {
    pub(crate) interval: Option<Duration>,
    pub(crate) randomized: bool,
    pub(crate) is_on: bool,
    /// Zero: not yet drawn.
    due: AtomicI64,
}

impl Schedule {
    pub(crate) fn every(interval: Duration) -> Self {
        Self { interval: Some(interval), randomized: false, is_on: true, due: AtomicI64::new(0) }
    }

    /// Whether it is the caller who is to prune: of those who come when it is due, one is told so. The first interval
    /// begins with the first call.
    pub(crate) fn is_due(&self, now: Millis) -> bool {
        let Some(interval) = self.interval.filter(|_| self.is_on) else { return false };
        let due = self.due.load(Ordering::Relaxed);
        if now < due {
            return false;
        }
        let next = now.saturating_add(self.draw(interval)).max(1);
        self.due.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok() && due != 0
    }

    /// Half to one and a half intervals, so that the processes of an application do not all prune at once.
    fn draw(&self, interval: Duration) -> Millis {
        let factor = if self.randomized { 0.5 + rand::random::<f64>() } else { 1.0 };
        // Longer than a span can be is never.
        time::of_span(Duration::try_from_secs_f64(interval.as_secs_f64() * factor).unwrap_or(Duration::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_once_an_interval_and_not_at_once() {
        let schedule = Schedule::every(Duration::from_secs(10));
        let due =
            [5, 6, 10_004, 10_005, 10_006, 20_004, 20_005, 90_000, 90_001].map(|now| schedule.is_due(now));
        assert_eq!(due, [false, false, false, true, false, false, true, true, false]);
    }

    #[test]
    fn a_call_may_take_five_seconds_by_default() {
        assert_eq!(Settings::new(Schedule::every(DAY)).timeout, Duration::from_secs(5));
    }

    #[test]
    fn it_is_never_due_without_an_interval() {
        let schedule = Schedule { interval: None, ..Schedule::every(DAY) };
        assert!(![1, Millis::MAX].map(|now| schedule.is_due(now)).contains(&true));
    }

    #[test]
    fn an_interval_may_be_longer_than_any_time() {
        for randomized in [false, true] {
            let schedule = Schedule { randomized, ..Schedule::every(Duration::MAX) };
            assert!((0..20).all(|now| !schedule.is_due(now)));
        }
    }

    #[test]
    fn a_randomized_interval_is_half_to_one_and_a_half() {
        let schedule = Schedule { randomized: true, ..Schedule::every(Duration::from_secs(10)) };
        let drawn: Vec<Millis> = (0..1_000).map(|_| schedule.draw(Duration::from_secs(10))).collect();
        assert!(drawn.iter().all(|ms| (5_000..=15_000).contains(ms)));
        assert!(drawn.iter().any(|ms| *ms < 8_000) && drawn.iter().any(|ms| *ms > 12_000));
    }
}
