//! What the fuzz targets call of the private modules: no part of the interface, and without the feature `__fuzzing` not there.

#![allow(clippy::missing_errors_doc, reason = "each is its namesake's")]

use session_core::{StoreError, Stored};

use crate::RedisStore;

/// What `get` makes of the answers to GET and PTTL.
pub fn stored(store: &RedisStore, text: Vec<u8>, left: i64) -> Result<Stored, StoreError> {
    store.settings.stored(text, left)
}
