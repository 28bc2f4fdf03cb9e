//! Sessions that live in the client's own cookie, as Node's `cookie-session` keeps them: the other backend behind the driver.
//!
//! - `options`: what a user may choose
//! - `json`: a payload, as `JSON.parse` and `JSON.stringify` take it
//! - `read`: what a request's cookies come to
//! - `end`: what the response sets
//! - `sealed`: the same of cookies that are sealed, and `chunks` where one is too small

mod chunks;
mod end;
mod json;
pub(crate) mod options;
mod read;
pub(crate) mod sealed;

pub(crate) use self::{
    end::{Sending, Sent, check, ends, ends_instead},
    read::{Came, read},
};
