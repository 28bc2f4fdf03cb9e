//! Where the time comes from.

use std::{fmt, sync::Arc, time::SystemTime};

use crate::wire::date::{self, Millis};

/// The clock that sessions and stores go by: the system's, unless a test brings its own.
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use session_core::{Clock, Options, MemoryStore};
///
/// let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_355_200);
/// let clock = Clock::new(move || noon);
/// let store = MemoryStore::new().clock(clock.clone());
/// let sessions = Options::new("keyboard cat").store(store).clock(clock).build()?;
/// # Ok::<(), session_core::OptionsError>(())
/// ```
#[derive(Clone, Default)]
pub struct Clock(Option<Arc<dyn Fn() -> SystemTime + Send + Sync>>);

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// Any other: the function is asked whenever the time is needed.
    pub fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(now)))
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.0.as_ref().map_or_else(SystemTime::now, |now| now())
    }

    pub(crate) fn millis(&self) -> Millis {
        date::from_system(self.now())
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Clock(given)" } else { "Clock(system)" })
    }
}
