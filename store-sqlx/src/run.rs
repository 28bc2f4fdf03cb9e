//! What is done on a connection, the same for the three databases. sqlx asks for each of them by name.

use futures_util::future::{BoxFuture, FutureExt, TryFutureExt};
use sqlx::{Database, Executor, query_with, raw_sql};

use crate::{error::Failure, sql::Statement};

pub(crate) type Answer<'a, T> = BoxFuture<'a, Result<T, Failure>>;

pub(crate) trait Run: Database {
    /// There is a network between, or another process.
    const IS_REMOTE: bool;

    /// The same with this password.
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    fn with_password(
        options: <Self::Connection as sqlx::Connection>::Options,
        password: &str,
    ) -> <Self::Connection as sqlx::Connection>::Options;

    /// The server closes the connection after this error.
    fn is_last_word(code: &str) -> bool;
    /// After which it hangs up on this connection, and on no other.
    fn hangs_up(code: &str) -> bool;

    /// It does not write, or does nothing at all: a primary may have become a replica, and another server have its address.
    fn is_read_only(code: &str) -> bool;

    /// The first row, if there is one.
    fn fetch<'a>(
        on: &'a mut Self::Connection,
        statement: &Statement,
        arguments: Self::Arguments,
    ) -> Answer<'a, Option<Self::Row>>;

    fn fetch_all<'a>(
        on: &'a mut Self::Connection,
        statement: &Statement,
        arguments: Self::Arguments,
    ) -> Answer<'a, Vec<Self::Row>>;

    fn execute<'a>(
        on: &'a mut Self::Connection,
        statement: &Statement,
        arguments: Self::Arguments,
    ) -> Answer<'a, Self::QueryResult>;

    /// Several statements without values, unprepared.
    fn execute_raw<'a>(on: &'a mut Self::Connection, statements: &Statement) -> Answer<'a, ()>;

    fn rows_affected(result: &Self::QueryResult) -> u64;
}

macro_rules! run {
    ($database:ty, $is_remote:literal, $with_password:expr, $last_words:expr, $hangs_up:expr, $read_only:expr) => {
        impl Run for $database {
            const IS_REMOTE: bool = $is_remote;

            #[cfg(any(feature = "postgres", feature = "mysql"))]
            fn with_password(
                options: <Self::Connection as sqlx::Connection>::Options,
                password: &str,
            ) -> <Self::Connection as sqlx::Connection>::Options {
                let with_password: fn(_, &str) -> _ = $with_password;
                with_password(options, password)
            }

            fn is_last_word(code: &str) -> bool {
                let last_words: &[&str] = &$last_words;
                last_words.contains(&code)
            }

            fn hangs_up(code: &str) -> bool {
                let hangs_up: &[&str] = &$hangs_up;
                hangs_up.contains(&code)
            }

            fn is_read_only(code: &str) -> bool {
                let read_only: &[&str] = &$read_only;
                read_only.contains(&code)
            }

            fn fetch<'a>(
                on: &'a mut Self::Connection,
                statement: &Statement,
                arguments: Self::Arguments,
            ) -> Answer<'a, Option<Self::Row>> {
                let query = query_with(statement.text(), arguments);
                on.fetch_optional(query).map_err(Failure::from).boxed()
            }

            fn fetch_all<'a>(
                on: &'a mut Self::Connection,
                statement: &Statement,
                arguments: Self::Arguments,
            ) -> Answer<'a, Vec<Self::Row>> {
                let query = query_with(statement.text(), arguments);
                on.fetch_all(query).map_err(Failure::from).boxed()
            }

            fn execute<'a>(
                on: &'a mut Self::Connection,
                statement: &Statement,
                arguments: Self::Arguments,
            ) -> Answer<'a, Self::QueryResult> {
                let query = query_with(statement.text(), arguments);
                on.execute(query).map_err(Failure::from).boxed()
            }

            fn execute_raw<'a>(on: &'a mut Self::Connection, statements: &Statement) -> Answer<'a, ()> {
                on.execute(raw_sql(statements.text())).map_ok(drop).map_err(Failure::from).boxed()
            }

            fn rows_affected(result: &Self::QueryResult) -> u64 {
                result.rows_affected()
            }
        }
    };
}

// A shutdown; the connection was killed, or was idle for too long. Then: a record is larger than the server reads
// (`max_allowed_packet`). Then: it only reads; a node of Galera is without the others.
#[cfg(feature = "mysql")]
run!(
    sqlx::MySql,
    true,
    crate::mysql::with_password,
    ["1053", "1927", "4031"],
    ["1153"],
    ["1047", "1290", "1792", "1836"]
);
// What closes a connection says that it is fatal; what is not PostgreSQL may not: a shutdown, a crash, a server that starts, a database
// that is no more, a connection that was idle for too long.
#[cfg(feature = "postgres")]
run!(
    sqlx::Postgres,
    true,
    sqlx::postgres::PgConnectOptions::password,
    ["57P01", "57P02", "57P03", "57P04", "57P05"],
    [],
    ["25006"]
);
#[cfg(feature = "sqlite")]
run!(sqlx::Sqlite, false, |options, _| options, [], [], []);
