//! The store that nobody has chosen. One in a process is what tutorials have; two are a mistake that nobody sees: each counts
//! for itself.

use std::sync::{
    OnceLock,
    atomic::{AtomicUsize, Ordering},
};

/// Goes with a [`MemoryStore`](crate::MemoryStore) that nobody has chosen, and with everything that shares it.
#[derive(Debug, Default)]
pub(crate) struct DefaultStore(OnceLock<InUse>);

#[derive(Debug)]
struct InUse;

/// How many are in use in this process.
static IN_USE: AtomicUsize = AtomicUsize::new(0);

impl DefaultStore {
    /// Options with it are built.
    pub(crate) fn is_used(&self) {
        self.0.get_or_init(InUse::new);
    }
}

impl InUse {
    fn new() -> Self {
        if IN_USE.fetch_add(1, Ordering::Relaxed) > 0 {
            tracing::warn!(
                "a second default MemoryStore in this process: each has sessions of its own. Make the sessions once, outside of \
                 the closure that makes an application for each worker, and clone them; give several session layers a store each"
            );
        } else if !cfg!(debug_assertions) {
            tracing::warn!(
                "sessions are kept in the memory of this process alone, and end with it: choose a store for production"
            );
        }
        Self
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        IN_USE.fetch_sub(1, Ordering::Relaxed);
    }
}
