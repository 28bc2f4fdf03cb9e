//! Hostile input: what stands in a request or a database, and whatever somebody could have put there.
//!
//! Each target is a function of bytes that panics where a property does not hold. The ordinary test run replays `corpus/` and tries
//! what comes of it by small changes, the same ones each time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a target fails by a panic")]

use std::cell::Cell;

mod bson_to_json;
mod client_session;
mod cookie_header;
mod corpus;
mod date;
mod forwarded;
mod input;
mod json;
mod json_to_bson;
mod keygrip;
mod kruptein;
mod number;
mod proxy_peer;
mod record;
mod redis_row;
mod replay;
mod runtime;
mod sealed_session;
mod server_rows;
mod signed_value;
#[cfg(test)]
mod smoke;
mod sqlite_row;
mod web_crypto;

pub use self::{
    corpus::{Mutator, seeds},
    json::has_key_with_nul,
    proxy_peer::question as of_proxy_peer,
    replay::replay,
};

/// Of the crates' private modules, for the comparison with Node's packages.
pub use {session_core::fuzzing as core, store_mongo::fuzzing as mongo};

thread_local!(static REACHED: Cell<u64> = const { Cell::new(0) });

/// A target has come to what it is for: inputs that it cannot take apart try nothing.
fn reached() {
    REACHED.set(REACHED.get() + 1);
}

/// A target: the bytes are what fuzzing changes.
pub type Target = fn(&[u8]);

macro_rules! targets {
    ($($name:ident, $inputs:literal: $what:literal,)*) => {
        $(#[doc = $what]
        pub fn $name(data: &[u8]) {
            $name::run(data);
        })*

        #[cfg(test)]
        mod tests {
            $(#[test]
            fn $name() {
                crate::smoke::run(stringify!($name), super::$name, $inputs);
            })*
        }
    };
}

// The numbers make each take a few seconds at most.
targets! {
    cookie_header, 20_000: "A `Cookie` header, and the name that is looked for.",
    signed_value, 3_000: "A signed value, alone and in a request.",
    record, 20_000: "The text of a record.",
    number, 20_000: "A number, printed as JavaScript prints it.",
    date, 10_000: "A date in both of JavaScript's forms.",
    forwarded, 20_000: "The header `Forwarded`, and what a proxy appends to it.",
    proxy_peer, 20_000: "Who is a trusted proxy, and who comes.",
    keygrip, 10_000: "A cookie that Keygrip signed.",
    client_session, 40_000: "A session that its client keeps, unsigned.",
    sealed_session, 20_000: "A session that is sealed into its client's cookie, and what is inside.",
    kruptein, 150: "What connect-mongo's `crypto` option has encrypted.",
    web_crypto, 10_000: "What connect-mongo's Web Crypto adapter has encrypted.",
    bson_to_json, 8_000: "A session as a BSON document.",
    json_to_bson, 10_000: "A session that becomes a BSON document.",
    redis_row, 20_000: "What stands under a key of Redis.",
    sqlite_row, 500: "A row of each of SQLite's tables.",
    server_rows, 15_000: "A row of PostgreSQL's and of MySQL's.",
}

/// The program of a target: under cargo-fuzz libFuzzer's, else one that replays the files it is given.
#[macro_export]
macro_rules! target {
    ($name:ident) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::$name(data));

        #[cfg(not(fuzzing))]
        fn main() -> std::io::Result<()> {
            $crate::replay($crate::$name)
        }
    };
}
