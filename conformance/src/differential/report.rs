//! What a run ends with.

use std::fmt;

use super::answer::Answer;
use super::case::Case;

/// A run without a difference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Requests sent to each side.
    pub requests: usize,
    /// How many of them were answered with a status below 300, with a session cookie, and left records in the database.
    pub(super) weight: Weight,
    /// Configurations tried.
    pub configs: usize,
    /// The seed of the first.
    pub seed: u64,
}

/// What a run is worth: two sides that refuse everything agree as well.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Weight {
    pub(super) done: usize,
    pub(super) cookies: usize,
    pub(super) records: usize,
}

impl Weight {
    pub(super) fn add(&mut self, answer: &Answer) {
        self.done += usize::from(answer.status < 300);
        self.cookies += usize::from(!answer.set_cookie.is_empty());
        self.records += usize::from(!answer.rows.is_empty());
    }
}

impl std::ops::AddAssign for Weight {
    fn add_assign(&mut self, other: Self) {
        self.done += other.done;
        self.cookies += other.cookies;
        self.records += other.records;
    }
}

impl Summary {
    /// What there is too little of to show anything; `on_database`: records are looked at.
    pub(super) fn shows_too_little(&self, on_database: bool) -> Option<&'static str> {
        let Weight { done, cookies, records } = self.weight;
        // One configuration may send no cookie, and so keep nothing.
        const ONE: usize = 25; // requests
        let part = |number: usize, of: usize, percent: usize| number * 100 >= of * percent;
        let others = self.requests.saturating_sub(ONE);
        match () {
            () if self.requests == 0 => Some("requests"),
            () if !part(done, self.requests, 60) => Some("requests that were not refused"),
            () if !part(cookies, others, 15) => Some("answers with a session cookie"),
            () if on_database && !part(records, others, 30) => Some("records in the database"),
            () => None,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, configs, seed, weight } = self;
        let Weight { done, cookies, records } = weight;
        write!(f, "{requests} requests over {configs} configurations, seed {seed}, no difference; ")?;
        write!(f, "{done} done, {cookies} with a cookie, {records} with records")
    }
}

/// Why a run ended early.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The two sides answered differently.
    Difference(Box<Difference>),
    /// The reference itself did not work, so that nothing can be said of the other side.
    Reference(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Difference(difference) => difference.fmt(f),
            Self::Reference(reason) => write!(f, "the reference failed: {reason}"),
        }
    }
}

impl std::error::Error for Failure {}

/// A difference, in the smallest case that was found for it.
#[derive(Clone, Debug)]
pub struct Difference {
    pub(super) case: Case,
    pub(super) mismatch: Mismatch,
}

/// The first request of a case that is answered differently, and both answers.
#[derive(Clone, Debug)]
pub(super) struct Mismatch {
    /// None: the tested side did not even start.
    pub(super) request: Option<usize>,
    pub(super) expected: String,
    pub(super) got: String,
    /// Both sides have answered it.
    pub(super) answered: bool,
}

impl Difference {
    /// The case: its seed, and the request that is answered differently, counted from 1.
    pub fn place(&self) -> (u64, usize) {
        (self.case.seed, self.mismatch.request.map_or(0, |index| index + 1))
    }

    /// Both sides have started, and answered the request.
    pub fn is_of_answers(&self) -> bool {
        self.mismatch.answered
    }

    /// How many requests are left of the case.
    pub fn requests(&self) -> usize {
        self.case.requests.len()
    }

    /// How many operations are left in them.
    pub fn operations(&self) -> usize {
        self.case.requests.iter().map(|request| request.ops.len()).sum()
    }

    /// The keys left of the configuration; `secret` always stays.
    pub fn config_keys(&self) -> impl Iterator<Item = &str> {
        self.case.config.keys().map(String::as_str)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mismatch { request, expected, got, .. } = &self.mismatch;
        let seed = self.case.seed;
        writeln!(f, "a difference; again with DIFFERENTIAL_SEED={seed} DIFFERENTIAL_CONFIGS=1")?;
        write!(f, "{}", self.case)?;
        match request {
            Some(index) => writeln!(f, "request {} differs", index + 1)?,
            None => writeln!(f, "the probe does not start")?,
        }
        write!(f, "expected\n{expected}got\n{got}")
    }
}

#[cfg(test)]
mod tests {
    use super::{Summary, Weight};

    #[test]
    fn a_run_that_shows_little_is_none() {
        let lacks = |requests, done, cookies, records| {
            let weight = Weight { done, cookies, records };
            Summary { requests, weight, configs: 1, seed: 1 }.shows_too_little(true).is_some()
        };
        assert!(!lacks(1_000, 900, 500, 800));
        assert!(lacks(1_000, 599, 500, 800) && lacks(1_000, 900, 146, 800) && lacks(1_000, 900, 500, 292));
        // Three configurations, and one.
        assert!(lacks(55, 32, 20, 20) && lacks(55, 50, 4, 20) && lacks(55, 50, 20, 8));
        assert!(!lacks(55, 50, 5, 9));
        assert!(lacks(17, 10, 9, 9) && !lacks(17, 15, 0, 0));
        assert!(lacks(0, 0, 0, 0));
    }
}
