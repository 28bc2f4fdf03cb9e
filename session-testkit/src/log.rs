//! What is logged while a test looks.

use std::{
    fmt, io,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use tracing::{
    Dispatch, Subscriber,
    subscriber::{DefaultGuard, NoSubscriber},
};

static SECOND: OnceLock<Dispatch> = OnceLock::new();

/// Keeps what this thread logs, at every level, for as long as it lives; or what the process does.
pub struct Captured {
    log: Log,
    _guard: Option<DefaultGuard>,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// From now on.
    #[must_use]
    pub fn begin() -> Self {
        // While there is one subscriber only, what another thread logs first is off for all.
        SECOND.get_or_init(|| Dispatch::new(NoSubscriber::new()));
        let log = Log::default();
        Self { _guard: Some(tracing::subscriber::set_default(log.subscriber())), log }
    }

    /// Of all threads, from now on and for ever: in a test file that has no other test.
    ///
    /// # Panics
    /// The process has a subscriber already.
    #[must_use]
    pub fn begin_for_all_threads() -> Self {
        let log = Log::default();
        tracing::subscriber::set_global_default(log.subscriber()).expect("nobody else has asked");
        Self { log, _guard: None }
    }

    /// All of it.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.log.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// The lines of a level: `"ERROR"`, `"WARN"`.
    #[must_use]
    pub fn lines(&self, level: &str) -> Vec<String> {
        let level = format!(" {level} ");
        self.text().lines().filter(|line| line.contains(&level)).map(Into::into).collect()
    }
}

impl Log {
    fn subscriber(&self) -> impl Subscriber + Send + Sync + use<> {
        let written = self.clone();
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || written.clone())
            .finish()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Captured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Captured").finish_non_exhaustive()
    }
}
