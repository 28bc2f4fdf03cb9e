//! When a session began, and what goes by that: the part of a record that neither the cookie nor the data have.

use std::fmt::Write;

use serde::Deserialize;

use crate::wire::date::{self, CLOCKS_DIFFER, Maybe, Millis};

/// The member of a record under which they stand. Express leaves it alone. What this version does not know in it is dropped when the record is
/// written: what comes later needs a member of its own.
pub(crate) const KEY: &str = "__session_times";

/// **Times** of a session, in milliseconds: they stay while its id and its data change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Times {
    /// Since 1970. Known where something goes by it.
    begun: Maybe,
    /// When its user has last shown who that is, since 1970.
    authenticated: Maybe,
    /// How long it may lie unused, where that is its own; else the options say so.
    idle: Maybe,
    /// How long it lives at all, in the same way.
    absolute: Maybe,
    /// When it was said last that nobody has shown who that is.
    forgotten: Maybe,
    /// A limit that nobody has chosen has made room for so much.
    room: Maybe,
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

/// Some of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "one for each")]
pub(crate) struct Which {
    pub(crate) begun: bool,
    pub(crate) authenticated: bool,
    pub(crate) idle: bool,
    pub(crate) absolute: bool,
    pub(crate) forgotten: bool,
}

impl Which {
    /// What a handler has set, and not what a request finds out by itself.
    pub(crate) fn is_of_a_handler(self) -> bool {
        self.authenticated || self.idle || self.absolute
    }
}

/// No clock is so far ahead.
fn is_believed(at: Millis, now: Millis) -> bool {
    at <= now.saturating_add(CLOCKS_DIFFER)
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

    pub(crate) fn begins(&mut self, now: Millis) {
        self.begun = Some(now).into();
    }

    /// How long it lives at all, where that is its own.
    pub(crate) fn absolute(&self) -> Option<Millis> {
        self.absolute.get()
    }

    /// After whatever was forgotten before.
    pub(crate) fn is_authenticated(&mut self, now: Millis) {
        let before = self.forgotten.get().filter(|at| is_believed(*at, now));
        self.authenticated = Some(before.map_or(now, |at| now.max(at.saturating_add(1)))).into();
    }

    /// And whatever was noted before.
    pub(crate) fn forgets_authenticated(&mut self, now: Millis) {
        let before = self.authenticated.get().filter(|at| is_believed(*at, now));
        self.forgotten = Some(before.map_or(now, |at| now.max(at))).into();
        self.authenticated = Maybe::NONE;
    }

    /// That nobody has shown who that is, and nothing else: no record needs to say so that says nothing of it.
    pub(crate) fn is_only_forgotten(&self) -> bool {
        Self { forgotten: Maybe::NONE, ..*self }.is_none()
    }

    pub(crate) fn set_idle(&mut self, idle: Option<Millis>) {
        self.idle = idle.map(|idle| idle.min(date::LAST)).into();
    }

    pub(crate) fn set_absolute(&mut self, absolute: Option<Millis>) {
        self.absolute = absolute.map(|absolute| absolute.min(date::LAST)).into();
    }

    pub(crate) fn make_room(&mut self, room: Option<Millis>) {
        self.room = self.room.get().max(room.map(|room| room.min(date::LAST))).into();
    }

    pub(crate) fn room(&self) -> Option<Millis> {
        self.room.get()
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

    /// How long it may lie unused. `idle`: where it has no such limit of its own.
    pub(crate) fn idle(&self, idle: Option<Millis>) -> Option<Millis> {
        self.idle.get().or(idle)
    }

    /// When the session ends, however often it is used. `absolute`: where it has no such limit of its own.
    pub(crate) fn end(&self, absolute: Option<Millis>) -> Option<Millis> {
        let (begun, absolute) = (self.begun.get()?, self.absolute.get().or(absolute)?);
        Some(date::after(begun, absolute))
    }

    /// Without what a clock has said that was wrong.
    pub(crate) fn believed(self, now: Millis) -> Self {
        let known = |at: Maybe| at.get().filter(|at| is_believed(*at, now)).into();
        let [begun, authenticated, forgotten] = [self.begun, self.authenticated, self.forgotten].map(known);
        Self { begun, authenticated, forgotten, ..self }
    }

    /// What one request has `set` of these, on top of the latest ones. A session has begun once; of two who have shown who they are the
    /// last one counts, unless a clock was wrong, and what was forgotten after both is forgotten.
    pub(crate) fn over(self, latest: Self, set: Which) -> Self {
        let mark = match (self.authenticated.get(), latest.authenticated.get()) {
            (ours, theirs) if !set.authenticated || ours.is_none() => theirs,
            (Some(ours), Some(theirs)) if theirs <= ours.saturating_add(CLOCKS_DIFFER) => {
                Some(ours.max(theirs))
            }
            (ours, _) => ours,
        };
        let forgotten = latest.forgotten.get().max(self.forgotten.get().filter(|_| set.forgotten));
        let is_forgotten = mark.is_some() && mark <= forgotten;
        let pick = |is_set, ours, theirs| if is_set { ours } else { theirs };
        Self {
            begun: if latest.begun == Maybe::NONE { self.begun } else { latest.begun },
            authenticated: mark.filter(|_| !is_forgotten).into(),
            idle: pick(set.idle, self.idle, latest.idle),
            absolute: pick(set.absolute, self.absolute, latest.absolute),
            forgotten: forgotten.into(),
            room: self.room.get().max(latest.room.get()).into(),
        }
    }

    /// Of what was `set`, what is another time here than there.
    pub(crate) fn differing(&self, other: &Self, set: Which) -> Which {
        Which {
            begun: set.begun && self.begun != other.begun,
            authenticated: set.authenticated && self.authenticated != other.authenticated,
            idle: set.idle && self.idle != other.idle,
            absolute: set.absolute && self.absolute != other.absolute,
            forgotten: set.forgotten && self.forgotten != other.forgotten,
        }
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
        all.set_idle(Some(3));
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

    #[test]
    fn of_parallel_requests_each_keeps_what_it_has_set() {
        let base = times(Some(10), Some(20), None);
        let set = |authenticated, absolute| Which { authenticated, absolute, ..Which::default() };
        let (ours, theirs) = (times(Some(10), Some(40), None), times(Some(10), Some(20), Some(7)));
        assert_eq!(ours.over(theirs, set(true, false)), times(Some(10), Some(40), Some(7)));
        // Who has only read sets nothing back.
        assert_eq!(base.over(ours, set(false, false)), ours);
        assert_eq!(base.over(ours, set(true, false)), ours, "the last one counts, whoever writes last");
        assert_eq!(base.over(theirs, set(false, true)), base, "set to none");
        // What is forgotten later is forgotten, whoever writes last, and whether it was seen.
        let forgets = Which { forgotten: true, ..Which::default() };
        for before in [base, times(Some(10), None, None)] {
            let mut forgotten = before;
            forgotten.forgets_authenticated(50);
            assert_eq!(forgotten.authenticated(), None);
            assert_eq!(forgotten.over(ours, forgets).authenticated(), None);
            assert_eq!(ours.over(forgotten, set(true, false)).authenticated(), None);
            forgotten.is_authenticated(50);
            assert_eq!(forgotten.authenticated(), Some(51), "it was done after that");
            let both = Which { authenticated: true, ..forgets };
            assert_eq!(forgotten.over(ours, both).authenticated(), Some(51));
            assert_eq!(ours.over(forgotten, set(true, false)).authenticated(), Some(51));
        }
        // By a clock that was days ahead.
        let wrong = times(Some(10), Some(40 + CLOCKS_DIFFER + 1), None);
        assert_eq!(ours.over(wrong, set(true, false)), ours);
        // A session that an Express app began is seen by two.
        let first = Times::begun_at(5);
        let seen = Which { begun: true, ..Which::default() };
        assert_eq!(Times::begun_at(6).over(first, seen), first);
        assert_eq!(first.over(Times::begun_at(6), seen), Times::begun_at(6), "whoever wrote first");
        let ahead = Times::begun_at(7 + CLOCKS_DIFFER);
        assert_eq!((ahead.believed(6), ahead.believed(7)), (Times::default(), ahead));
        assert_eq!(first.over(Times::default(), Which::default()), first);
        assert_eq!(ours.differing(&base, set(true, true)), set(true, false));
    }
}
