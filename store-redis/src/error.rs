//! Errors without keys and data.

use std::{error::Error, fmt::Display};

use redis::{ErrorKind, RedisError};
use session_core::StoreError;

const STORE: &str = "redis";

/// An answer of the server that is an error, in its words: `NOPERM: …`.
#[derive(Debug, thiserror::Error)]
#[error("the server answered: {0}")]
struct Refused(String);

/// An answer of another type than the command's. The library's error would show it.
#[derive(Debug, thiserror::Error)]
#[error("an answer that does not belong to the command: is it Redis?")]
struct Misunderstood;

/// What the application's own `stringify` refused.
#[derive(Debug, thiserror::Error)]
#[error("the serializer failed")]
struct Unwritten(#[source] Box<dyn Error + Send + Sync>);

/// Its words, and not what it may hold.
pub(crate) fn unwritten(reason: impl Display) -> StoreError {
    StoreError::unavailable(STORE, Unwritten(reason.to_string().into()))
}

pub(crate) fn corrupt(reason: impl Into<Box<dyn Error + Send + Sync>>) -> StoreError {
    StoreError::corrupt(STORE, reason)
}

pub(crate) fn failed(error: RedisError) -> StoreError {
    match error.kind() {
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => StoreError::unavailable(STORE, Misunderstood),
        ErrorKind::Server(_) | ErrorKind::Extension => refused(error),
        _ => StoreError::unavailable(STORE, error),
    }
}

fn refused(error: RedisError) -> StoreError {
    let errors = error.into_server_errors();
    let Some((_, first)) = errors.as_deref().and_then(<[_]>::first) else {
        return StoreError::unavailable(STORE, Misunderstood);
    };
    if first.code() == "WRONGTYPE" {
        return corrupt("another type of value is held under its key");
    }
    // "unknown command 'EVALSHA', with args beginning with: …": those would be the key and the record.
    let words = first.details().unwrap_or_default().split(", with args").next().unwrap_or_default();
    // Whose slot it is would tell something of the key.
    let words = match first.code() {
        "MOVED" | "ASK" => {
            "a node of a cluster, which sends to another one: give the store a `Cluster`, with a `node_address_map` where its nodes \
             are not reached at the addresses that they announce"
        }
        _ => words,
    };
    StoreError::unavailable(STORE, Refused(format!("{}: {words}", first.code())))
}
