//! When a session began, and what goes by that: the part of a record that neither the cookie nor the data have.

use std::fmt::Write;

use serde::Deserialize;

use crate::wire::date::{self, Millis};

/// The member of a record under which they stand. Express leaves it alone.
pub(crate) const KEY: &str = "__session";

/// **Times** of a session, in milliseconds since 1970: they stay while its id and its data change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
pub(crate) struct Times {
    /// Known where something goes by it.
    pub(crate) begun: Option<Millis>,
    /// When its user has last shown who that is.
    pub(crate) authenticated: Option<Millis>,
    /// How long it lives at all, where that is its own; else the options say so.
    pub(crate) absolute: Option<Millis>,
}

/// Some of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Which {
    pub(crate) begun: bool,
    pub(crate) authenticated: bool,
    pub(crate) absolute: bool,
}

impl Which {
    pub(crate) fn is_any(self) -> bool {
        self != Self::default()
    }

    /// What a handler has set, and not what a request finds out by itself.
    pub(crate) fn is_of_a_handler(self) -> bool {
        self.authenticated || self.absolute
    }
}

impl Times {
    pub(crate) fn begun_at(now: Millis) -> Self {
        Self { begun: Some(now), ..Self::default() }
    }

    /// Of a member of a record.
    pub(crate) fn of_member(key: &str, json: &str) -> Option<Self> {
        if key == KEY { Self::parse(json) } else { None }
    }

    /// `None`: that is no such text, and what stands there is somebody else's.
    fn parse(json: &str) -> Option<Self> {
        // A list would do for serde.
        let times = json.starts_with('{').then(|| serde_json::from_str::<Self>(json).ok())??;
        (!times.is_none()).then_some(times)
    }

    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Appends the JSON object.
    pub(crate) fn push_json(&self, text: &mut String) {
        let members =
            [("begun", self.begun), ("authenticated", self.authenticated), ("absolute", self.absolute)];
        let known = members.into_iter().filter_map(|(name, time)| Some((name, time?)));
        text.push('{');
        for (at, (name, time)) in known.enumerate() {
            let comma = if at > 0 { "," } else { "" };
            // Writing to a String cannot fail.
            _ = write!(text, "{comma}\"{name}\":{time}");
        }
        text.push('}');
    }

    /// When the session ends, however often it is used. `absolute`: where it has no such limit of its own.
    pub(crate) fn end(&self, absolute: Option<Millis>) -> Option<Millis> {
        let (begun, absolute) = (self.begun?, self.absolute.or(absolute)?);
        Some(date::after(begun, absolute))
    }

    /// What one request has `set` of these, on top of the latest ones. A session has begun once, and who has shown who that is last has.
    pub(crate) fn over(self, latest: Self, set: Which) -> Self {
        Self {
            begun: latest.begun.or(self.begun),
            authenticated: if set.authenticated {
                latest.authenticated.max(self.authenticated)
            } else {
                latest.authenticated
            },
            absolute: if set.absolute { self.absolute } else { latest.absolute },
        }
    }

    /// Of what was `set`, what is another time here than there.
    pub(crate) fn differing(&self, other: &Self, set: Which) -> Which {
        Which {
            begun: set.begun && self.begun != other.begun,
            authenticated: set.authenticated && self.authenticated != other.authenticated,
            absolute: set.absolute && self.absolute != other.absolute,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(times: &Times) -> String {
        let mut text = String::new();
        times.push_json(&mut text);
        text
    }

    #[test]
    fn what_is_written_is_read_and_what_is_not_ours_is_not() {
        for times in [
            Times::begun_at(1_767_323_045_678),
            Times { begun: None, authenticated: Some(5), absolute: None },
            Times { begun: Some(1), authenticated: Some(2), absolute: Some(3) },
        ] {
            assert_eq!(Times::parse(&text(&times)), Some(times));
        }
        assert_eq!(
            text(&Times { begun: Some(1), authenticated: Some(2), absolute: Some(3) }),
            r#"{"begun":1,"authenticated":2,"absolute":3}"#
        );
        let more = r#"{ "begun": 1, "more": [2] }"#;
        assert_eq!(Times::parse(more), Some(Times::begun_at(1)));
        for other in ["{}", "[1,2,3]", "null", "1", "\"begun\"", r#"{"begun":"1"}"#, r#"{"begun":1.5}"#] {
            assert_eq!(Times::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_session_ends_so_long_after_it_has_begun() {
        let times = Times::begun_at(1_000);
        assert_eq!(times.end(Some(500)), Some(1_500));
        assert_eq!(times.end(None), None);
        assert_eq!(Times { absolute: Some(9), ..times }.end(Some(500)), Some(1_009));
        assert_eq!(Times { absolute: Some(9), ..times }.end(None), Some(1_009));
        assert_eq!(Times::default().end(Some(500)), None);
        assert_eq!(times.end(Some(Millis::MAX)), Some(date::LAST));
    }

    #[test]
    fn of_parallel_requests_each_keeps_what_it_has_set() {
        let base = Times { begun: Some(10), authenticated: Some(20), absolute: None };
        let set = |authenticated, absolute| Which { begun: false, authenticated, absolute };
        let ours = Times { authenticated: Some(40), ..base };
        let theirs = Times { absolute: Some(7), ..base };
        assert_eq!(ours.over(theirs, set(true, false)), Times { authenticated: Some(40), ..theirs });
        // Who has only read sets nothing back.
        assert_eq!(base.over(ours, set(false, false)), ours);
        assert_eq!(base.over(ours, set(true, false)), ours, "the last one counts, whoever writes last");
        assert_eq!(base.over(theirs, set(false, true)), base, "set to none");
        // A session that an Express app began is seen by two at once.
        let first = Times::begun_at(5);
        assert_eq!(Times::begun_at(6).over(first, Which { begun: true, ..set(false, false) }), first);
        assert_eq!(first.over(Times::default(), Which::default()), first);
        assert_eq!(ours.differing(&base, set(true, true)), set(true, false));
    }
}
