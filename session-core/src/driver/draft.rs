//! The data of a session while an atomic change works on them.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    driver::typed::Change,
    error::Error,
    life::limits::Limits,
    record::{
        data::Data,
        value::{at_path, put_path, read, text_of},
    },
};

/// A copy of a session's data, for [`SessionHandle::transaction`](crate::SessionHandle::transaction): what is done to it is stored as
/// a whole or not at all.
pub struct Draft {
    data: Data,
    limits: Limits,
}

impl Draft {
    pub(crate) fn new(data: Data, limits: Limits) -> Self {
        Self { data, limits }
    }

    pub(crate) fn into_data(self) -> Data {
        self.data
    }

    /// The value of a key; `None` when there is none, or JavaScript's `null`.
    ///
    /// # Errors
    /// [`Error::Deserialize`] when the value is not of the type asked for.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        read(self.data.get(key), key)
    }

    /// The value at a dotted path, as [`SessionHandle::get_path`](crate::SessionHandle::get_path) reads it.
    ///
    /// # Errors
    /// [`Error::Deserialize`] when the value is not of the type asked for.
    pub fn get_path<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Error> {
        read(at_path(&self.data, path), path)
    }

    /// Sets the value at a dotted path, as [`SessionHandle::insert_path`](crate::SessionHandle::insert_path) does.
    ///
    /// # Errors
    /// Those of [`SessionHandle::insert_path`](crate::SessionHandle::insert_path).
    pub fn insert_path(&mut self, path: &str, value: impl Serialize) -> Result<(), Error> {
        let json = text_of(path, &value)?;
        let (key, json) = put_path(&self.data, path, &json)?;
        self.limits.check_insert(&mut self.data, key, &json)?;
        self.data.insert(key, json);
        Ok(())
    }

    /// Whether there is such a key.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.data.contains(key)
    }

    /// Sets a key. A key that is there keeps its place in the order.
    ///
    /// # Errors
    /// Those of [`SessionHandle::insert`](crate::SessionHandle::insert).
    pub fn insert(&mut self, key: &str, value: impl Serialize) -> Result<(), Error> {
        let json = text_of(key, &value)?;
        self.limits.check_insert(&mut self.data, key, &json)?;
        self.data.insert(key, json);
        Ok(())
    }

    /// Removes a key; answers whether it was there.
    pub fn remove(&mut self, key: &str) -> bool {
        self.data.remove(key)
    }

    pub(super) fn change(&mut self, change: &Change) -> Result<(), Error> {
        change.check(&self.data, self.limits)?;
        change.make(&mut self.data);
        Ok(())
    }

    /// All of the data, to look at.
    #[must_use]
    pub fn data(&self) -> &Data {
        &self.data
    }
}

/// Shows no data.
impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Draft").field(&self.data).finish()
    }
}
