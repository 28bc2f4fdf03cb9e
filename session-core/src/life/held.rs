//! A record that is held: its version, and until when.

use super::{
    fault::{Fault, planted},
    state::Sent,
};
use crate::{
    record::cookie::{Bounds, Cookie},
    store::{Stored, Version},
    wire::date::Millis,
};

/// By so much, in milliseconds, a store may round an expiry.
pub(super) const ROUNDED: Millis = 1_000;

/// A record that is held.
#[derive(Clone, PartialEq)]
#[cfg_attr(test, derive(Hash))]
pub(crate) struct Held {
    pub(super) version: Version,
    /// `None`: that is the store's to say, and it was not asked yet.
    pub(super) span: Option<Span>,
}

/// How long a record is held.
#[derive(Clone, Copy, PartialEq)]
#[cfg_attr(test, derive(Hash))]
pub(super) struct Span {
    /// Until when at most; `None`: for ever.
    pub(super) until: Option<Millis>,
    /// And by so much less, perhaps: the store took so long to say it, and it is no end that is known otherwise.
    slack: Millis,
    /// How long a touch would hold it; `None`: for ever.
    pub(super) lifetime: Option<Millis>,
}

/// When the record got its whole lifetime, and when it so ends; `None`: that is the store's to say.
#[derive(Clone, Copy)]
#[cfg_attr(test, derive(Hash))]
pub(super) struct Renewed {
    pub(super) at: Millis,
    pub(super) end: Option<Millis>,
}

impl Held {
    /// `given`: the end that this request has given the record. A store rounds, and its answer takes time: what it says is
    /// that end, or the one in the record, if it is as near. Else each write that keeps an end would move it by as much. After
    /// an answer that took longer it may be any other.
    ///
    /// `bounds`: how long the session may lie unused, of which the store does not know.
    pub(super) fn of(
        stored: &Stored,
        asked: Millis,
        now: Millis,
        given: Option<Millis>,
        bounds: &Bounds,
    ) -> Self {
        let millis = |time: std::time::Duration| Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX);
        let told = stored.left.map(|left| now.saturating_add(millis(left)));
        let slack = now.saturating_sub(asked).max(0);
        let is_near = |end: &Millis| {
            told.is_some_and(|told| (*end - ROUNDED..=end.saturating_add(ROUNDED + slack)).contains(&told))
        };
        let mut ends = [given, stored.record.cookie.expires_at()].into_iter().flatten();
        let exact = if slack <= ROUNDED { ends.find(is_near) } else { None };
        let until = exact.or(told);
        let slack = if exact.is_some() { 0 } else { slack };
        let told = stored.lifetime.map(millis);
        let known = if planted(Fault::IdleNotKnown) { Bounds::default() } else { *bounds };
        // That of the store has a word of its own where touches do nothing.
        let cookie = stored.record.cookie.lifetime().and(told);
        let span = Span { until, slack, lifetime: known.held_for(cookie, told) };
        Self { version: stored.version.clone(), span: Some(span) }
    }

    /// Until when at most; `None`: for ever.
    pub(super) fn until(&self) -> Option<Millis> {
        self.span.and_then(|span| span.until)
    }

    pub(super) fn written(version: Version, sent: &Sent, before: Option<Span>) -> Self {
        let span = Span::of(&sent.stamped, sent.at, before);
        if planted(Fault::LifetimeClaimed) {
            return Self { version, span: Some(Span { until: None, slack: 0, lifetime: None }) };
        }
        Self { version, span }
    }
}

impl Span {
    /// Until when at least.
    pub(super) fn surely(self) -> Option<Millis> {
        let slack = if planted(Fault::AnswersTimeIgnored) { 0 } else { self.slack };
        self.until.map(|until| until.saturating_sub(slack))
    }

    /// It ends then, and not perhaps.
    pub(super) fn is_known_to_end(self, at: Option<Millis>) -> bool {
        at.is_some() && at == self.until && self.slack == 0
    }

    /// What a cookie without a date of its own is held for is the store's to say: what it said last.
    pub(super) fn of(stamped: &Cookie, now: Millis, before: Option<Self>) -> Option<Self> {
        match stamped.ends() {
            Some(at) => {
                let lifetime = stamped.whole().unwrap_or_else(|| at.saturating_sub(now));
                Some(Self { until: Some(at), slack: 0, lifetime: Some(lifetime) })
            }
            None => before.map(|Self { lifetime, .. }| Self {
                until: stamped.held(now, lifetime),
                slack: 0,
                lifetime,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::options::Options;

    /// Within a second the store has rounded; after an answer of twenty somebody else may have moved it.
    #[test]
    fn what_the_store_says_is_the_end_in_the_record_only_if_it_said_so_quickly() {
        let options = Options::new("keyboard cat");
        let mut cookie = options.cookie.cookie(false, 0);
        cookie.ends_at(60_000);
        let told = |asked, now: Millis, end: Millis| {
            let left = std::time::Duration::from_millis(u64::try_from(end - now).unwrap_or_default());
            let stored = Stored {
                record: crate::record::Record::new(cookie.clone(), Arc::default()),
                version: Version::from_number(1),
                left: Some(left),
                lifetime: Some(std::time::Duration::from_secs(60)),
            };
            Held::of(&stored, asked, now, None, &Bounds::default()).span.and_then(|span| span.until)
        };
        assert_eq!(told(10_000, 10_000, 60_900), Some(60_000));
        assert_eq!(told(10_000, 10_900, 61_800), Some(60_000));
        assert_eq!(told(10_000, 30_000, 75_000), Some(75_000));
    }

    /// An answer that took three seconds may be three seconds old.
    #[test]
    fn what_an_answer_says_is_sure_but_for_the_time_that_it_took() {
        let span = Span { until: Some(60_000), slack: 3_000, lifetime: None };
        assert_eq!(span.surely(), Some(57_000));
        assert!(!span.is_known_to_end(Some(60_000)));
        assert!(!span.is_known_to_end(Some(57_000)));
        let known = Span { slack: 0, ..span };
        assert_eq!(known.surely(), Some(60_000));
        assert!(known.is_known_to_end(Some(60_000)));
        let endless = Span { until: None, ..span };
        assert_eq!(endless.surely(), None);
        assert!(!endless.is_known_to_end(None));
    }
}
