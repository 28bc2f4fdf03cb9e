#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod begin;
mod clock;
mod cookie;
mod cookie_header;
mod cookie_options;
mod data;
mod date;
mod decide;
mod error;
mod exchange;
mod json;
mod keygrip;
mod memory;
mod merge;
mod options;
mod policy;
mod record;
mod request;
mod secret;
mod session;
mod sessions;
mod set_cookie;
mod shard;
mod sid;
mod store;
mod write;

pub use async_trait::async_trait;

pub use crate::{
    clock::Clock,
    cookie::{Cookie, Priority, SameSite},
    cookie_header::cookie_values,
    cookie_options::{CookieOptions, SameSiteOption, Secure},
    data::Data,
    error::{CookieError, Error, OptionsError, StoreError},
    exchange::Exchange,
    keygrip::{Keygrip, KeygripAlgorithm, KeygripEncoding, cookie_session_value},
    memory::MemoryStore,
    options::Options,
    policy::{
        Attributes, BrowserRules, CookieChange, CorruptRecord, DuplicateCookies, ExplicitSave, PathMatch,
        RemovalCookie, SaveError, StoreRead, Touch, Unset,
    },
    record::{Record, RecordError},
    request::RequestInfo,
    secret::{Secret, Secrets},
    session::Session,
    sessions::Sessions,
    sid::Sid,
    store::{AdminStore, Expect, Set, Store, Stored, Touched, Version},
};
