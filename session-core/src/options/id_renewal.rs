//! A new id for a session that lives long.

use std::time::Duration;

use crate::{options::lifetimes::millis, wire::date::Millis};

/// **Timed renewal**: a session gets a new id every so often, and keeps its data ([`Options::renew_ids`](crate::Options::renew_ids)). An id that
/// somebody has got hold of is then worth nothing soon (OWASP Session Management Cheat Sheet, "Renewal Timeout").
///
/// Until the client has come with the new id, the old one is served as well, and each response brings the new one again: a response that is
/// lost on its way logs nobody out. When it has come, the old one is served for the [grace](Self::grace), for requests that were under way;
/// both reach one session. At a login there is no grace: [`renew_id`](crate::SessionHandle::renew_id) and
/// [`regenerate`](crate::SessionHandle::regenerate) end both ids at once, and so does a logout.
///
/// ```
/// use std::time::Duration;
///
/// use session_core::{IdRenewal, Options, ReusedId};
///
/// let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
/// let renewal = IdRenewal::every(minutes(15)).grace(minutes(1)).reused(ReusedId::EndSession);
/// assert_eq!((renewal.interval(), IdRenewal::default().interval()), (minutes(15), minutes(15)));
///
/// let sessions = Options::new("keyboard cat").renew_ids(renewal).build()?;
/// # Ok::<(), session_core::OptionsError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRenewal {
    every: Duration,
    grace: Duration,
    reused: ReusedId,
}

/// What becomes of a session one of whose former ids is used after its grace. Somebody may have stolen it, and whether the thief or the user
/// has the session now nobody can tell. In any case the request gets none, and the log a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReusedId {
    /// It goes on: the former id opens nothing.
    Refuse,
    /// It ends, and its user logs in again (RFC 9700 §4.14.2 does so with refresh tokens). Costs one more write per renewal. A browser whose
    /// cookies were put back from a copy ends the session too.
    EndSession,
}

impl Default for IdRenewal {
    /// Every 15 minutes, with 30 seconds of grace; a former id is refused.
    fn default() -> Self {
        Self { every: Duration::from_secs(900), grace: Duration::from_secs(30), reused: ReusedId::Refuse }
    }
}

impl IdRenewal {
    /// A new id with the first request that comes after an id was so old.
    #[must_use]
    pub fn every(interval: Duration) -> Self {
        Self { every: interval, ..Self::default() }
    }

    /// How long the former id is served after the client has come with the new one: as long as requests take that were under way. Default: 30
    /// seconds.
    #[must_use]
    pub fn grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// What a former id does to the session when it is used after that. Default: [`ReusedId::Refuse`].
    #[must_use]
    pub fn reused(self, reused: ReusedId) -> Self {
        Self { reused, ..self }
    }

    /// How old an id gets.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.every
    }

    pub(crate) fn every_millis(&self) -> Millis {
        millis(self.every)
    }

    pub(crate) fn grace_millis(&self) -> Millis {
        millis(self.grace)
    }

    pub(crate) fn ends_sessions(&self) -> bool {
        self.reused == ReusedId::EndSession
    }

    /// Why it cannot work.
    pub(crate) fn refusal(&self) -> Option<&'static str> {
        if self.every.is_zero() {
            return Some("each request would get another id; give a time");
        }
        // Else an id would lead to one that leads to another.
        (self.grace >= self.every).then_some("the grace is as long as an id lives, or longer")
    }
}
