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
        let others = IN_USE.fetch_add(1, Ordering::Relaxed);
        if let Some(warning) = warning(others, !cfg!(debug_assertions)) {
            tracing::warn!("{warning}");
        }
        Self
    }
}

fn warning(others: usize, is_release: bool) -> Option<&'static str> {
    if others > 0 {
        Some(
            "a second default MemoryStore in this process: each has sessions of its own. Make the sessions once, outside of the \
             closure that makes an application for each worker, and clone them; give several session layers a store each",
        )
    } else if is_release {
        Some(
            "sessions are kept in the memory of this process alone, and end with it: choose a store for production",
        )
    } else {
        None
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        IN_USE.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Node's does where `NODE_ENV` is `production`.
    #[test]
    fn a_release_build_warns_of_the_first_and_every_build_of_more() {
        assert_eq!(warning(0, false), None);
        assert!(warning(0, true).is_some_and(|warning| warning.contains("choose a store")));
        for others in [1, 5] {
            for is_release in [false, true] {
                let warning = warning(others, is_release);
                assert!(
                    warning.is_some_and(|warning| warning.contains("outside of the closure")),
                    "{others}"
                );
            }
        }
    }
}
