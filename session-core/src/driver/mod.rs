//! The only async code.

pub(crate) mod exchange;
pub(crate) mod load;
pub(crate) mod session;
pub(crate) mod sessions;
mod write;
