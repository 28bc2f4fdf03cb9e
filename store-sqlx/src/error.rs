//! What a store's error holds as its source: what the database said, without what it was said of.

use std::time::Duration;

use session_core::{RecordError, StoreError};

/// The cause of a [`StoreError`]. Databases like to quote the key or the value at fault, in details above all: neither
/// comes this far.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{message} (code {code})")]
    Database { code: String, message: String },
    #[error("there is no table {table}: create it, or let {option} do so")]
    NoTable { table: String, option: &'static str },
    #[error("no answer within {0:?}")]
    Late(Duration),
    #[error("option {option}: the name {reason}")]
    Option { option: &'static str, reason: &'static str },
    /// Connections, pools, protocols: the driver's own words.
    #[error(transparent)]
    Driver(sqlx::Error),
    #[cfg(feature = "mysql")]
    #[error("the sid is another one's to the collation of its column, which must tell all apart: see the README")]
    SameSid,
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        match error.as_database_error() {
            Some(said) => Self::Database {
                code: said.code().unwrap_or_default().into(),
                message: said.message().to_owned(),
            },
            None => Self::Driver(error),
        }
    }
}

impl Failure {
    pub(crate) fn of(self, store: &'static str) -> StoreError {
        StoreError::unavailable(store, self)
    }
}

pub(crate) fn corrupt(store: &'static str, error: RecordError) -> StoreError {
    StoreError::corrupt(store, error)
}
