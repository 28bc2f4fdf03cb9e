#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod adapter;
mod client;
mod clock;
mod driver;
mod error;
#[cfg(feature = "__fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod life;
mod options;
mod record;
mod request;
mod store;
mod wire;

pub use async_trait::async_trait;

pub use crate::{
    client::options::{CookieSessionOptions, EmptySession, Reissue},
    client::sealed::SealedSessionOptions,
    clock::Clock,
    driver::draft::Draft,
    driver::exchange::Exchange,
    driver::lasting::{Lasting, Rest},
    driver::outgoing::{Outgoing, ResponseHeaders},
    driver::session::SessionHandle,
    driver::sessions::Sessions,
    driver::typed::{SessionData, TypedHandle},
    error::{CookieError, EndError, Error, Failure, OptionsError, StoreError},
    options::Options,
    options::carrier::Carrier,
    options::cookie_options::{CookieOptions, SameSiteOption, Secure},
    options::id_renewal::{IdRenewal, ReusedId},
    options::lifetimes::Lifetimes,
    options::policy::{
        Attributes, BrowserRules, CacheHeaders, CookieChange, CookieExpiry, CookieRenewal, CorruptRecord,
        DuplicateCookies, ExplicitSave, OnDisconnect, PathMatch, RemovalCookie, SaveError, StoreRead, Touch,
        Unset,
    },
    options::proxy::{Peers, Proxy, ProxyHeader},
    options::secret::{Secret, Secrets},
    record::cookie::{Cookie, Priority, SameSite},
    record::data::Data,
    record::{Record, RecordError},
    request::RequestInfo,
    store::memory::MemoryStore,
    store::sealed::Sealed,
    store::{AdminStore, Destroyed, Expect, Set, Store, Stored, Touched, Version},
    wire::cookie_header::cookie_values,
    wire::key::Key,
    wire::keygrip::{Keygrip, KeygripAlgorithm, KeygripEncoding, cookie_session_value},
    wire::seal::SealingKeys,
    wire::sid::Sid,
};
