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
/// | [`NIST_AAL1`](Self::NIST_AAL1) | a day | 30 days | NIST SP 800-63B-4 §2.1.3; it asks for no idle limit |
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
    /// NIST SP 800-63B-4, authentication assurance level 1: a day, and 30 days at all. The new profile's.
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
    /// Of a session whose cookie lives until the browser closes; `None`: that is the store's to say.
    pub(crate) idle: Option<Millis>,
    /// Somebody has chosen it: no cookie is to have a longer lifetime by the options either.
    pub(crate) is_idle_chosen: bool,
    pub(crate) absolute: Option<Millis>,
    pub(crate) is_absolute_chosen: bool,
}

pub(crate) fn millis(time: Duration) -> Millis {
    Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX)
}

impl Limits {
    /// Of a profile.
    pub(crate) fn of(lifetimes: Lifetimes) -> Self {
        Self {
            idle: Some(millis(lifetimes.idle)),
            absolute: Some(millis(lifetimes.absolute)),
            ..Self::default()
        }
    }

    /// The longest lifetime that a cookie has by the options.
    pub(crate) fn longest_by_option(&self) -> Option<Millis> {
        self.idle.filter(|_| self.is_idle_chosen)
    }

    /// How long a session lives at all whose cookie has this lifetime: a limit that nobody has chosen cuts none that somebody has.
    pub(crate) fn absolute_of(&self, lifetime: Option<Millis>) -> Option<Millis> {
        let given = lifetime.filter(|_| !self.is_absolute_chosen).unwrap_or_default();
        self.absolute.map(|absolute| absolute.max(given))
    }
}
