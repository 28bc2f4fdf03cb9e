//! Places where a handler waits for the driver, so that requests overlap in an order that is the same on both sides.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
};

use tokio::sync::oneshot;

/// Who waits, by the name of the gate. The driver gives every gate another name.
static WAITING: LazyLock<Mutex<HashMap<String, oneshot::Sender<()>>>> = LazyLock::new(Mutex::default);

/// Until the driver opens this gate.
pub(super) async fn wait(name: &str) {
    let (open, opened) = oneshot::channel();
    WAITING.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), open);
    // Only `open` ends it.
    _ = opened.await;
}

/// Whether a handler has come so far.
pub(super) fn is_waited_at(name: &str) -> bool {
    let waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    waiting.get(name).is_some_and(|open| !open.is_closed())
}

/// The handler goes on.
pub(super) fn open(name: &str) {
    let waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    // It may have been given up meanwhile.
    _ = waiting.map(|waiting| waiting.send(()));
}
