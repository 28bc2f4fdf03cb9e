//! What the fuzz targets call of the private modules: no part of the interface, and without the feature `__fuzzing` not there.

#![allow(clippy::missing_errors_doc, reason = "each is its namesake's")]

use session_core::{StoreError, Stored};

use crate::{
    mysql, postgres,
    settings::{QUARTER, Schedule, Settings},
};

/// What `get` makes of a row of PostgreSQL's, at `now`.
pub fn postgres_row(row: (Option<String>, f64), now: i64) -> Result<Stored, StoreError> {
    postgres::stored(&Settings::new(Schedule::every(QUARTER)), row, now)
}

/// What `get` makes of a row of MySQL's, at `now`.
pub fn mysql_row(row: (String, i64), now: i64) -> Result<Stored, StoreError> {
    mysql::stored(&Settings::new(Schedule::every(QUARTER)), row, now)
}
