//! What is logged while a test looks.

use std::{
    fmt, io,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use tracing::{
    Dispatch,
    subscriber::{DefaultGuard, NoSubscriber},
};

static SECOND: OnceLock<Dispatch> = OnceLock::new();

/// Keeps what this thread logs, at every level, for as long as it lives.
pub struct Captured {
    log: Log,
    _guard: DefaultGuard,
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
        let written = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || written.clone())
            .finish();
        Self { log, _guard: tracing::subscriber::set_default(subscriber) }
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
