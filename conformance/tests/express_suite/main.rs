//! The rules that express-session's own suite holds it to, shown through each adapter, in process; the secure connections are
//! TLS on a socket. `COVERAGE.md` says which test answers which of its 160 titles.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod adapters;
mod client;
mod cookie_attributes;
mod cookie_jar;
mod cookie_object;
mod cookie_option;
mod fixture;
mod genid_and_name;
mod lifecycle;
mod proxy;
mod recorder;
mod resave;
mod response;
mod response_ended;
mod rolling;
mod save_uninitialized;
mod secret;
mod session_methods;
mod session_values;
mod sid_refused;
mod store_kinds;
mod stores;
mod unset;
