//! What stands where sessions have no store.

use async_trait::async_trait;

use super::{Destroyed, Expect, Set, Store, Stored, Touched};
use crate::{
    error::StoreError,
    record::{Record, cookie::Cookie},
    wire::sid::Sid,
};

/// Each of its verbs fails: nobody asks, but for an application that takes it out of its sessions.
#[derive(Debug)]
pub(crate) struct NoStore;

fn none<T>() -> Result<T, StoreError> {
    Err(StoreError::unavailable("none", "the clients keep these sessions themselves"))
}

#[async_trait]
impl Store for NoStore {
    async fn get(&self, _: &Sid) -> Result<Option<Stored>, StoreError> {
        none()
    }

    async fn set(&self, _: &Sid, _: &Record, _: &Expect) -> Result<Set, StoreError> {
        none()
    }

    async fn touch(&self, _: &Sid, _: &Cookie, _: &Expect) -> Result<Touched, StoreError> {
        none()
    }

    async fn destroy(&self, _: &Sid, _: &Expect) -> Result<Destroyed, StoreError> {
        none()
    }
}
