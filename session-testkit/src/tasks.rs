//! Which tasks go on with a future.

use std::{
    collections::HashSet,
    future::poll_fn,
    pin::pin,
    sync::{Mutex, PoisonError},
};

use tokio::task::{Id, try_id};

/// In which tasks something was polled.
#[derive(Debug, Default)]
pub(crate) struct Tasks(Mutex<HashSet<Option<Id>>>);

impl Tasks {
    pub(crate) async fn with<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(try_id());
            work.as_mut().poll(context)
        })
        .await
    }

    /// Another task goes on than the one that began.
    pub(crate) fn have_changed(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len() > 1
    }
}
