//! How large a session may be.

use crate::{
    error::Error,
    record::{data::Data, value::Reserved},
};

/// The bounds of keys and records, in bytes of their text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) key: usize,
    pub(crate) record: usize,
    /// Keys that are none.
    pub(crate) reserved: Reserved,
}

impl Limits {
    pub(crate) const NONE: Self = Self { key: usize::MAX, record: usize::MAX, reserved: Reserved::Express };

    pub(crate) fn check_key(&self, key: &str) -> Result<(), Error> {
        if self.reserved.has(key) {
            return Err(Error::ReservedKey(key.into()));
        }
        if key.len() > self.key { Err(Error::KeyTooLong { limit: self.key }) } else { Ok(()) }
    }

    /// Before the store is asked.
    pub(crate) fn check(&self, data: &Data) -> Result<(), Error> {
        if self.record == usize::MAX { Ok(()) } else { self.check_size(data.size()) }
    }

    /// Before a value comes into the data.
    pub(crate) fn check_insert(&self, data: &mut Data, key: &str, json: &str) -> Result<(), Error> {
        self.check_key(key)?;
        if self.record == usize::MAX { Ok(()) } else { self.check_size(data.size_with(key, json)) }
    }

    fn check_size(&self, size: usize) -> Result<(), Error> {
        if size > self.record { Err(Error::TooLarge { size, limit: self.record }) } else { Ok(()) }
    }
}
