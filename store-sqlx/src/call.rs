//! One call of the database: for so long and no longer, and again when the database itself made it give way.

use std::{
    future::Future,
    ops::{Deref, DerefMut},
    time::Duration,
};

use sqlx::{Database, Pool, pool::PoolConnection};

use crate::error::Failure;

const ATTEMPTS: usize = 10;

/// A connection for one call, which hands it back when it has [ended](Self::ended). Dropped before (the client went away, the
/// time was up), it is closed: it may be half-way through an answer, its host may be gone, its statement may wait for a lock.
/// The pool then opens another one, so that nobody else waits for it. Not so SQLite's: no network is between, and a database
/// in memory would go with it.
pub(crate) struct Lent<DB: Database>(PoolConnection<DB>, bool);

/// `lent!(on => …)`: a call that uses `on`, a connection, and hands it back.
macro_rules! lent {
    ($on:ident $(: $database:ty)? => $call:expr) => {
        |mut $on $(: Lent<$database>)?| async move {
            let answer = async { $call }.await;
            $on.ended(answer)
        }
    };
}

pub(crate) use lent;

impl<DB: Database> Lent<DB> {
    /// The call has come to its end, with this answer.
    pub(crate) fn ended<T>(mut self, answer: T) -> T {
        self.1 = true;
        answer
    }
}

impl<DB: Database> Deref for Lent<DB> {
    type Target = DB::Connection;

    fn deref(&self) -> &DB::Connection {
        &self.0
    }
}

impl<DB: Database> DerefMut for Lent<DB> {
    fn deref_mut(&mut self) -> &mut DB::Connection {
        &mut self.0
    }
}

impl<DB: Database> Drop for Lent<DB> {
    fn drop(&mut self) {
        if !self.1 && DB::NAME != "SQLite" {
            self.0.close_on_drop();
        }
    }
}

/// As long as it takes. `gave_way` knows the errors after which nothing was written and the same statement is to be sent
/// again: a deadlock, a serialization failure.
pub(crate) async fn again<DB: Database, T, F>(
    pool: &Pool<DB>,
    gave_way: fn(&sqlx::Error) -> bool,
    mut send: impl FnMut(Lent<DB>) -> F,
) -> sqlx::Result<T>
where
    F: Future<Output = sqlx::Result<T>>,
{
    let mut attempts = 1;
    loop {
        match send(Lent(pool.acquire().await?, false)).await {
            Err(error) if attempts < ATTEMPTS && gave_way(&error) => attempts += 1,
            answer => return answer,
        }
    }
}

/// As [`again`], and no longer than the limit.
pub(crate) async fn call<DB: Database, T, F>(
    limit: Duration,
    pool: &Pool<DB>,
    gave_way: fn(&sqlx::Error) -> bool,
    send: impl FnMut(Lent<DB>) -> F,
) -> Result<T, Failure>
where
    F: Future<Output = sqlx::Result<T>>,
{
    match tokio::time::timeout(limit, again(pool, gave_way, send)).await {
        Ok(answer) => answer.map_err(Failure::from),
        Err(_) => Err(Failure::Late(limit)),
    }
}
