#![cfg_attr(feature = "sentinel", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "sentinel"),
    doc = "Sessions in Redis and what speaks its protocol: the whole page is the one with all features."
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod admin;
mod call;
mod cluster;
mod connection;
mod error;
#[cfg(feature = "__fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod lazy;
mod options;
mod script;
mod store;

/// The client library, for what [`RedisStore::new`] takes.
pub use redis;

pub use crate::cluster::Cluster;
pub use crate::{connection::Connection, store::RedisStore};
