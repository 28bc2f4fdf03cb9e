//! When a session began, and what goes by that: the part of a record that neither the cookie nor the data have.

use std::fmt::Write;

use serde::Deserialize;

use crate::wire::date::{self, Maybe, Millis};

/// The member of a record under which they stand. Express leaves it alone. What this version does not know in it is dropped when the record is
/// written: what comes later needs a member of its own.
pub(crate) const KEY: &str = "__session_times";

/// **Times** of a session, in milliseconds: they stay while its id and its data change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Times {
    /// Since 1970. Known where something goes by it.
    pub(crate) begun: Maybe,
    /// When its user has last shown who that is, since 1970.
    pub(crate) authenticated: Maybe,
    /// How long it may lie unused, where that is its own; else the options say so.
    pub(crate) idle: Maybe,
    /// How long it lives at all, in the same way.
    pub(crate) absolute: Maybe,
    /// When it was said last that nobody has shown who that is.
    pub(crate) forgotten: Maybe,
    /// A limit that nobody has chosen has made room for so much.
    pub(crate) room: Maybe,
}

/// As they stand in a record.
#[derive(Deserialize)]
struct Text {
    begun: Option<Millis>,
    authenticated: Option<Millis>,
    idle: Option<Millis>,
    absolute: Option<Millis>,
    forgotten: Option<Millis>,
    room: Option<Millis>,
}

impl Times {
    pub(crate) fn begun_at(now: Millis) -> Self {
        Self { begun: Some(now).into(), ..Self::default() }
    }

    pub(crate) fn begun(&self) -> Option<Millis> {
        self.begun.get()
    }

    pub(crate) fn authenticated(&self) -> Option<Millis> {
        self.authenticated.get()
    }

    /// When the session ends, however often it is used. `absolute`: where it has no such limit of its own.
    pub(crate) fn end(&self, absolute: Option<Millis>) -> Option<Millis> {
        let (begun, absolute) = (self.begun.get()?, self.absolute.get().or(absolute)?);
        Some(date::after(begun, absolute))
    }

    /// Of a member of a record. `None`: what stands there is somebody else's.
    pub(crate) fn of_member(key: &str, json: &str) -> Option<Self> {
        // A list would do for serde.
        let text =
            (key == KEY && json.starts_with('{')).then(|| serde_json::from_str::<Text>(json).ok())??;
        let time = |at: Option<Millis>| at.map(|at| date::after(at, 0)).into();
        let span = |span: Option<Millis>| span.map(|span| span.max(0)).into();
        let times = Self {
            begun: time(text.begun),
            authenticated: time(text.authenticated),
            idle: span(text.idle),
            absolute: span(text.absolute),
            forgotten: time(text.forgotten),
            room: span(text.room),
        };
        (!times.is_none()).then_some(times)
    }

    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Appends the JSON object.
    pub(crate) fn push_json(&self, text: &mut String) {
        let members = [
            ("begun", self.begun),
            ("authenticated", self.authenticated),
            ("idle", self.idle),
            ("absolute", self.absolute),
            ("forgotten", self.forgotten),
            ("room", self.room),
        ];
        let known = members.into_iter().filter_map(|(name, time)| Some((name, time.get()?)));
        text.push('{');
        for (at, (name, time)) in known.enumerate() {
            let comma = if at > 0 { "," } else { "" };
            // Writing to a String cannot fail.
            _ = write!(text, "{comma}\"{name}\":{time}");
        }
        text.push('}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(begun: Option<Millis>, authenticated: Option<Millis>, absolute: Option<Millis>) -> Times {
        let [begun, authenticated, absolute] = [begun, authenticated, absolute].map(Maybe::from);
        Times { begun, authenticated, absolute, ..Times::default() }
    }

    fn text(times: &Times) -> String {
        let mut text = String::new();
        times.push_json(&mut text);
        text
    }

    fn parse(json: &str) -> Option<Times> {
        Times::of_member(KEY, json)
    }

    #[test]
    fn what_is_written_is_read_and_what_is_not_ours_is_not() {
        let mut all = times(Some(1), Some(2), Some(4));
        all.idle = Some(3).into();
        for times in [Times::begun_at(1_767_323_045_678), times(None, Some(5), None), all] {
            assert_eq!(parse(&text(&times)), Some(times));
        }
        assert_eq!(text(&all), r#"{"begun":1,"authenticated":2,"idle":3,"absolute":4}"#);
        assert_eq!(parse(r#"{ "begun": 1, "more": [2] }"#), Some(Times::begun_at(1)));
        for other in ["{}", "[1,2,3]", "null", "1", "\"begun\"", r#"{"begun":"1"}"#, r#"{"begun":1.5}"#] {
            assert_eq!(parse(other), None, "{other}");
        }
        assert_eq!(Times::of_member("times", r#"{"begun":1}"#), None);
        // Whoever has written it: a date, and no negative time.
        let wild = format!(r#"{{"begun":{0},"authenticated":-9223372036854775808,"absolute":-5}}"#, i64::MAX);
        let read = parse(&wild).unwrap();
        assert_eq!((read.begun(), read.end(None)), (Some(date::LAST), Some(date::LAST)));
        assert!(read.authenticated().is_some_and(|at| at > Millis::MIN / 2));
    }

    #[test]
    fn a_session_ends_so_long_after_it_has_begun() {
        let begun = Times::begun_at(1_000);
        assert_eq!(begun.end(Some(500)), Some(1_500));
        assert_eq!(begun.end(None), None);
        let own = times(Some(1_000), None, Some(9));
        assert_eq!([own.end(Some(500)), own.end(None)], [Some(1_009); 2]);
        assert_eq!(Times::default().end(Some(500)), None);
        assert_eq!(begun.end(Some(Millis::MAX)), Some(date::LAST));
    }
}
