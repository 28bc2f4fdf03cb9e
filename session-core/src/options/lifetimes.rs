//! How long sessions live: two clocks, and presets of them.

use std::time::Duration;

use crate::wire::date::Millis;

/// How long a session lives after the last request that used it (*idle*), and at all (*absolute*).
///
/// For all sessions of an application ([`Options::lifetimes`](crate::Options::lifetimes)), or for one: "remember me"
/// ([`SessionHandle::remember`](crate::SessionHandle::remember)).
///
/// | preset | idle | absolute | from |
/// |---|---|---|---|
/// | [`OWASP_HIGH_VALUE`](Self::OWASP_HIGH_VALUE) | 5 minutes | 4 hours | OWASP Session Management Cheat Sheet: 2 to 5 minutes; 4 to 8 hours where people work for a day |
/// | [`OWASP_LOW_RISK`](Self::OWASP_LOW_RISK) | 30 minutes | 8 hours | the same: 15 to 30 minutes |
/// | [`NIST_AAL1`](Self::NIST_AAL1) | a day | 30 days | NIST SP 800-63B-4 §2.1.3; the idle limit is ours, it asks for none |
/// | [`NIST_AAL2`](Self::NIST_AAL2) | 1 hour | 24 hours | §2.2.3 |
/// | [`NIST_AAL3`](Self::NIST_AAL3) | 15 minutes | 12 hours | §2.3.3 |
///
/// ```
/// use std::time::Duration;
///
/// use session_core::{Lifetimes, Options};
///
/// let hours = |hours: u64| Duration::from_secs(hours * 3600);
/// assert_eq!(Lifetimes::NIST_AAL2, Lifetimes::new(hours(1), hours(24)));
///
/// let sessions = Options::new("keyboard cat").lifetimes(Lifetimes::NIST_AAL2).build()?;
/// # Ok::<(), session_core::OptionsError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    idle: Duration,
    absolute: Duration,
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

impl Lifetimes {
    /// OWASP, for applications of high value: 5 minutes, and 4 hours at all.
    pub const OWASP_HIGH_VALUE: Self = Self::seconds(5 * MINUTE, 4 * HOUR);
    /// OWASP, for applications of low risk: 30 minutes, and 8 hours at all.
    pub const OWASP_LOW_RISK: Self = Self::seconds(30 * MINUTE, 8 * HOUR);
    /// NIST SP 800-63B-4, authentication assurance level 1: a day, and 30 days at all.
    pub const NIST_AAL1: Self = Self::seconds(DAY, 30 * DAY);
    /// Level 2: 1 hour, and 24 hours at all.
    pub const NIST_AAL2: Self = Self::seconds(HOUR, 24 * HOUR);
    /// Level 3: 15 minutes, and 12 hours at all.
    pub const NIST_AAL3: Self = Self::seconds(15 * MINUTE, 12 * HOUR);

    /// So long after the last request, and so long at all.
    #[must_use]
    pub const fn new(idle: Duration, absolute: Duration) -> Self {
        Self { idle, absolute }
    }

    const fn seconds(idle: u64, absolute: u64) -> Self {
        Self::new(Duration::from_secs(idle), Duration::from_secs(absolute))
    }

    /// How long after the last request that used it.
    #[must_use]
    pub const fn idle(&self) -> Duration {
        self.idle
    }

    /// How long at all.
    #[must_use]
    pub const fn absolute(&self) -> Duration {
        self.absolute
    }
}

/// What the options say of both, in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    /// `None`: that is the cookie's to say, or the store's.
    pub(crate) idle: Option<Millis>,
    pub(crate) absolute: Option<Millis>,
    /// Nobody has chosen it.
    pub(crate) is_by_profile: bool,
}

pub(crate) fn millis(time: Duration) -> Millis {
    Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX)
}

fn twice(time: Millis) -> Millis {
    time.saturating_mul(2)
}

impl Limits {
    /// Of the new profile.
    pub(crate) fn by_profile() -> Self {
        Self { idle: None, absolute: Some(millis(Lifetimes::NIST_AAL1.absolute)), is_by_profile: true }
    }

    pub(crate) fn chosen_absolute(&mut self, absolute: Option<Duration>) {
        (self.absolute, self.is_by_profile) = (absolute.map(millis), false);
    }

    /// How long a session lives at all whose cookie has this lifetime. A limit that nobody has chosen cuts no lifetime that somebody has, and
    /// makes room for renewing it; and for what it had when it was longer (`room`).
    pub(crate) fn absolute_of(&self, lifetime: Option<Millis>, room: Option<Millis>) -> Option<Millis> {
        let most = self.absolute?;
        if !self.is_by_profile {
            return Some(most);
        }
        let unused = self.idle.map(twice);
        [lifetime.map(twice), unused, room]
            .into_iter()
            .flatten()
            .max()
            .map_or(Some(most), |room| Some(room.max(most)))
    }

    /// What is to be remembered of a lifetime.
    pub(crate) fn room_for(&self, lifetime: Option<Millis>) -> Option<Millis> {
        let is_longer = |room: &Millis| self.is_by_profile && self.absolute.is_some_and(|most| most < *room);
        lifetime.map(twice).filter(is_longer)
    }

    /// A session may not lie unused for longer than this, unless it was given a time of its own: `lifetime`, where that is longer.
    pub(crate) fn is_given(&self, lifetime: Option<Millis>) -> Option<Millis> {
        lifetime.filter(|lifetime| self.idle.is_some_and(|idle| idle < *lifetime))
    }
}
