//! One call of the database: for so long and no longer, and again when the database itself made it give way.

use std::{future::Future, time::Duration};

use crate::error::Failure;

const ATTEMPTS: usize = 10;

/// `gave_way` knows the errors after which nothing was written and the same statement is to be sent again: a deadlock, a
/// serialization failure.
pub(crate) async fn again<T, F>(
    gave_way: fn(&sqlx::Error) -> bool,
    mut send: impl FnMut() -> F,
) -> sqlx::Result<T>
where
    F: Future<Output = sqlx::Result<T>>,
{
    for _ in 1..ATTEMPTS {
        match send().await {
            Err(error) if gave_way(&error) => {}
            answer => return answer,
        }
    }
    send().await
}

/// As [`again`], and no longer than the limit.
pub(crate) async fn call<T, F>(
    limit: Duration,
    gave_way: fn(&sqlx::Error) -> bool,
    send: impl FnMut() -> F,
) -> Result<T, Failure>
where
    F: Future<Output = sqlx::Result<T>>,
{
    match tokio::time::timeout(limit, again(gave_way, send)).await {
        Ok(answer) => answer.map_err(Failure::from),
        Err(_) => Err(Failure::Late(limit)),
    }
}
