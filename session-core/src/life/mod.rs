//! The life of a session: every rule, and no I/O, clock, lock or async.
//!
//! An [`Operation`] says what to ask the store next, gets the answer, and says what to ask after that, until it is done.
//! What is known of the session stands in [`Life`], which changes when an answer comes and at no other time, but for the
//! mark that a write is on its way. So whoever drives an operation may drop it anywhere: what was known before is still
//! true.
//!
//! - `arrival`: from the id that a request brings to its session, and how that gets another in time
//! - `state`: what is known, and what each event changes; of it `held`: a record and its end, `doubt`: what may be stored without an
//!   answer, `leftovers`: what is still to be destroyed
//! - `operation`: which questions each operation asks, in which order
//! - `clocks`: when it began, and what goes by that
//! - `decide`: what the end of a request writes and sends
//! - `merge`: how two requests that changed one session both keep what they did
//! - `limits`: how large a session may be

pub(crate) mod arrival;
pub(crate) mod clocks;
pub(crate) mod decide;
pub(crate) mod doubt;
pub(crate) mod fault;
mod held;
mod leftovers;
pub(crate) mod limits;
pub(crate) mod merge;
pub(crate) mod operation;
pub(crate) mod state;

#[cfg(test)]
mod simulation;

use crate::{
    options::{Options, cookie_options::CookieOptions, policy::Attributes},
    record::{
        Record,
        cookie::{Bounds, Cookie},
        times::Times,
    },
    wire::date::Millis,
};

use self::fault::{Fault, planted};
pub(crate) use self::{
    operation::{ATTEMPTS, Answer, Ask, Changed, Done, Ended, Operation, Step},
    state::Life,
};

/// What the rules go by: the options, this request's part of them, and the time.
pub(crate) struct Context<'a> {
    pub(crate) options: &'a Options,
    /// The cookie options of this request.
    pub(crate) cookie: &'a CookieOptions,
    /// The connection is secure.
    pub(crate) secure: bool,
    /// Where the cookie's attributes come from.
    pub(crate) attributes: Attributes,
    pub(crate) now: Millis,
}

impl Context<'_> {
    /// The cookie of a session that begins now.
    fn new_cookie(&self) -> Cookie {
        self.cookie.cookie(self.secure, self.now)
    }

    /// What the lifetime of a session with these goes by.
    fn bounds(&self, times: &Times, cookie: &Cookie) -> Bounds {
        Bounds::new(times.idle.get().or(self.options.lifetimes.idle), self.end_of(times, cookie))
    }

    /// When the session ends, however often it is used.
    fn end_of(&self, times: &Times, cookie: &Cookie) -> Option<Millis> {
        times.end(self.options.lifetimes.absolute_of(cookie.lifetime(), times.room.get()))
    }

    /// The session has lived as long as it may, whatever the store holds.
    pub(crate) fn has_ended(&self, record: &Record) -> bool {
        self.has_passed(&record.times, &record.cookie) && !planted(Fault::LimitNotEnforced)
    }

    fn has_passed(&self, times: &Times, cookie: &Cookie) -> bool {
        self.end_of(times, cookie).is_some_and(|end| end <= self.now)
    }
}
