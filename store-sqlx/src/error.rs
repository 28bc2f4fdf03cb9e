//! What a store's error holds as its source: what the database said, without what it was said of.

use std::{sync::Arc, time::Duration};

use session_core::StoreError;
use sqlx::error::{BoxDynError, DatabaseError};

#[cfg(feature = "mysql")]
use sqlx::mysql::MySqlDatabaseError;
#[cfg(feature = "postgres")]
use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::run::Run;

/// The cause of a [`StoreError`]. Databases like to quote the key or the value at fault, in details above all: neither
/// comes this far.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{message} (code {code})")]
    Database {
        code: String,
        message: String,
        /// What said it closes the connection, whoever that is.
        is_fatal: bool,
    },
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    #[error("there is no table {table}: create it, or let {option} do so")]
    NoTable { table: String, option: &'static str },
    #[error("no answer within {0:?}")]
    Late(Duration),
    #[error("option {option}: {reason}")]
    Option { option: &'static str, reason: &'static str },
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    #[error("there is no password for a new connection")]
    Password(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// Connections, pools, protocols: the driver's own words.
    #[error(transparent)]
    Driver(Arc<sqlx::Error>),
    #[cfg(feature = "mysql")]
    #[error("the connection's {setting} {reason}")]
    Session { setting: &'static str, reason: &'static str },
    #[cfg(feature = "mysql")]
    #[error(
        "the sid is another one's to the collation of its column, which must tell all apart: see the README"
    )]
    SameSid,
}

impl Failure {
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    pub(crate) fn password(why: BoxDynError) -> Self {
        Self::Password(why.into())
    }

    pub(crate) fn of(self, store: &'static str) -> StoreError {
        StoreError::unavailable(store, self)
    }

    /// The database's own code: SQLSTATE, MySQL's number, SQLite's extended result code. Empty where it was not the database.
    pub(crate) fn code(&self) -> &str {
        if let Self::Database { code, .. } = self { code } else { "" }
    }

    /// The connection is of no more use: it broke, what came over it was not understood, or the server has closed it.
    pub(crate) fn ends_connection<DB: Run>(&self) -> bool {
        use sqlx::Error::{Io, Protocol, Tls, WorkerCrashed};
        match self {
            Self::Driver(error) => matches!(**error, Io(_) | Protocol(_) | Tls(_) | WorkerCrashed),
            Self::Database { code, is_fatal, .. } => *is_fatal || DB::is_last_word(code),
            _ => false,
        }
    }
}

/// A value that cannot be sent, or a column that cannot be read.
impl From<BoxDynError> for Failure {
    fn from(error: BoxDynError) -> Self {
        Self::from(sqlx::Error::Encode(error))
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        match error.as_database_error() {
            Some(said) => {
                Self::Database { code: code_of(said), message: message_of(said), is_fatal: is_fatal(said) }
            }
            None => Self::Driver(Arc::new(error)),
        }
    }
}

fn is_fatal(said: &dyn DatabaseError) -> bool {
    #[cfg(feature = "postgres")]
    if let Some(said) = said.try_downcast_ref::<PgDatabaseError>() {
        return matches!(said.severity(), PgSeverity::Fatal | PgSeverity::Panic);
    }
    _ = said;
    false
}

fn code_of(said: &dyn DatabaseError) -> String {
    #[cfg(feature = "mysql")]
    if let Some(said) = said.try_downcast_ref::<MySqlDatabaseError>() {
        return said.number().to_string();
    }
    said.code().unwrap_or_default().into()
}

/// PostgreSQL keeps values out of the message itself, and SQLite has none in its own. MySQL quotes keys and values as it
/// quotes names.
fn message_of(said: &dyn DatabaseError) -> String {
    #[cfg(feature = "mysql")]
    if let Some(said) = said.try_downcast_ref::<MySqlDatabaseError>() {
        // Access denied (three), no such database, column, right (two), table: of names only.
        let names = matches!(said.number(), 1044 | 1045 | 1698 | 1049 | 1054 | 1142 | 1143 | 1146);
        return if names { said.message().into() } else { without_quotes(said.message()) };
    }
    said.message().into()
}

/// With `'…'` for whatever stands between the first quote and the last: a value may hold quotes of its own.
#[cfg(feature = "mysql")]
fn without_quotes(message: &str) -> String {
    let Some((before, quoted)) = message.split_once('\'') else { return message.into() };
    let after = quoted.rsplit_once('\'').map_or("", |(_, after)| after);
    format!("{before}'…'{after}")
}

#[cfg(all(test, feature = "mysql"))]
mod tests {
    use super::*;

    #[test]
    fn what_mysql_quotes_may_be_a_key_and_is_left_out() {
        for (said, kept) in [
            ("Duplicate entry 'hunter2' for key 'PRIMARY'", "Duplicate entry '…'"),
            (
                "Incorrect string value: '\\xF0'hunter2' for column x",
                "Incorrect string value: '…' for column x",
            ),
            ("Lock wait timeout exceeded", "Lock wait timeout exceeded"),
            ("near 'hunter2", "near '…'"),
        ] {
            assert_eq!(without_quotes(said), kept);
        }
    }
}
