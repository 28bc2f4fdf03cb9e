//! The only async code: it reads, asks the store what the life of a session wants to know, and holds nothing while it waits.

mod client_side;
pub(crate) mod draft;
pub(crate) mod exchange;
mod hand_over;
pub(crate) mod lasting;
mod line;
pub(crate) mod load;
mod operations;
pub(crate) mod outgoing;
pub(crate) mod session;
pub(crate) mod sessions;
mod turns;
pub(crate) mod typed;
mod warnings;
