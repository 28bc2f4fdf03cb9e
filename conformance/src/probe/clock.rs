//! The clock that the driver moves.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::SystemTime,
};

use express_session::Clock;

use super::operations::time;

/// Stands where it was put; before that it shows the real time.
#[derive(Clone, Debug, Default)]
pub struct ProbeClock(Option<Arc<AtomicI64>>);

const NOT_SET: i64 = i64::MIN;

impl ProbeClock {
    /// One that can be put, or the system's.
    pub(super) fn new(can_be_put: bool) -> Self {
        Self(can_be_put.then(|| Arc::new(AtomicI64::new(NOT_SET))))
    }

    /// To the time in the request header `x-now`, where the configuration says so and there is one.
    pub fn put(&self, header: Option<&[u8]>) {
        let millis = header.and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
        if let Some(millis) = millis {
            self.put_millis(millis);
        }
    }

    /// Whether it could be put.
    pub(super) fn put_millis(&self, millis: i64) -> bool {
        self.0.iter().for_each(|now| now.store(millis, Ordering::SeqCst));
        self.0.is_some()
    }

    /// As the options and the stores take it.
    pub(super) fn clock(&self) -> Clock {
        let Some(now) = self.0.clone() else { return Clock::system() };
        Clock::new(move || match now.load(Ordering::SeqCst) {
            NOT_SET => SystemTime::now(),
            millis => time(millis),
        })
    }
}
