#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod admin;
mod collation;
mod crypto;
mod error;
mod expiry;
#[cfg(feature = "__fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod large;
mod object;
mod options;
mod ready;
mod removal;
mod session_field;
mod store;
mod to_bson;
mod to_json;

pub use mongodb;

pub use self::{
    crypto::{Algorithm, Crypto, CryptoError, Encoding, Hashing, Kruptein, WebAlgorithm, WebCrypto},
    error::MongoError,
    options::{AutoRemove, MongoOptions, MongoOptionsError, MongoSource},
    store::MongoStore,
};
