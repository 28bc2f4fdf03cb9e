//! An answer in the form in which two sides can be compared.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::SystemTime;

const SECOND: i64 = 1000; // ms: `Expires` of a cookie is cut to whole seconds

/// When one side was asked something, and when it had answered: milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    sent: i64,
    answered: i64,
}

impl Window {
    /// What is done, and while the clock showed what.
    pub(super) fn of<T>(exchange: impl FnOnce() -> T) -> (T, Self) {
        let sent = now();
        let done = exchange();
        (done, Self { sent, answered: now() })
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The requests that both sides have been sent so far: what a time in an answer can have been counted from, however long a
/// busy machine took over any of them.
#[derive(Debug, Default)]
pub(super) struct Windows {
    asked: Vec<(Window, Window)>,
    /// Both sides have one clock, which does not move by itself: times are equal.
    exact: bool,
}

impl Windows {
    pub(super) fn exact(exact: bool) -> Self {
        Self { asked: Vec::new(), exact }
    }

    /// One more request: when the reference was asked, and when the tested side was.
    pub(super) fn push(&mut self, reference: Window, tested: Window) {
        self.asked.push((reference, tested));
    }

    /// Whether both times can be the same lifetime, counted from within the same request.
    fn explain(&self, expected: i64, got: i64) -> bool {
        if self.exact {
            return expected == got;
        }
        self.asked.iter().any(|(reference, tested)| {
            let (least, most) = (expected - reference.answered, expected - reference.sent);
            got - tested.sent >= least - SECOND && got - tested.answered <= most + SECOND
        })
    }

    /// How long the longest request took: a lifetime that is read within it may have lost as much.
    fn longest(&self) -> i64 {
        let took = |window: &Window| window.answered - window.sent;
        self.asked
            .iter()
            .map(|(reference, tested)| took(reference).max(took(tested)))
            .max()
            .unwrap_or_default()
    }
}

/// What one side answered, with `<sid N>`, `<time>` and `<age>` where the sides cannot be equal.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) set_cookie: Vec<String>,
    pub(super) headers: Vec<String>,
    pub(super) body: String,
    /// Milliseconds since 1970, one for each `<time>`.
    pub(super) times: Vec<i64>,
    /// Milliseconds, one for each `<age>`.
    pub(super) ages: Vec<i64>,
    /// What the side's database holds after the request, where it has one.
    pub(super) rows: Vec<String>,
    /// Until when Redis holds each `<held>`.
    pub(super) held: Vec<Held>,
    /// To the request that was sent meanwhile.
    pub(super) during: Option<Box<Answer>>,
}

/// How long Redis was told to hold a key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Held {
    pub(super) sid: String,
    /// None: for ever. Else every request that can have set this time to live, with the whole seconds that it can have set.
    pub(super) set: Option<Vec<SetAt>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct SetAt {
    pub(super) request: usize,
    pub(super) seconds: RangeInclusive<i64>,
}

impl Held {
    /// What both sides can have done: the earliest end, as the request and the seconds from it.
    pub(super) fn agreed(&self, other: &Self) -> Option<(usize, i64)> {
        let common = |one: &SetAt| {
            let mut others = other.set.iter().flatten().filter(|other| other.request == one.request);
            let other = others.next()?;
            let seconds = *one.seconds.start().max(other.seconds.start());
            (one.seconds.contains(&seconds) && other.seconds.contains(&seconds))
                .then_some((one.request, seconds))
        };
        self.set.iter().flatten().find_map(common)
    }

    /// The first request that can have set it.
    pub(super) fn first_set(&self) -> Option<usize> {
        self.set.as_ref()?.first().map(|set| set.request)
    }

    fn agrees(&self, other: &Self) -> bool {
        self.set.is_none() && other.set.is_none() || self.agreed(other).is_some()
    }
}

impl Answer {
    /// Whether this side answered as the reference did; `windows` ends with this request's.
    pub(super) fn agrees(&self, expected: &Self, windows: &Windows) -> bool {
        // express-session loses a millisecond now and then.
        let lost = if windows.exact { 0 } else { windows.longest() + 1 };
        self.status == expected.status
            && self.set_cookie == expected.set_cookie
            && self.headers == expected.headers
            && self.body == expected.body
            && self.rows == expected.rows
            && match (&self.during, &expected.during) {
                (Some(during), Some(expected)) => during.agrees(expected, windows),
                (during, expected) => during.is_none() && expected.is_none(),
            }
            && self.held.len() == expected.held.len()
            && self.held.iter().zip(&expected.held).all(|(got, expected)| got.agrees(expected))
            && all(&self.times, &expected.times, |got, expected| windows.explain(expected, got))
            && all(&self.ages, &expected.ages, |got, expected| (got - expected).abs() <= lost)
    }
}

fn all(got: &[i64], expected: &[i64], agree: impl Fn(i64, i64) -> bool) -> bool {
    got.len() == expected.len() && got.iter().zip(expected).all(|(got, expected)| agree(*got, *expected))
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {}", self.status)?;
        for line in &self.set_cookie {
            writeln!(f, "  set-cookie: {line}")?;
        }
        for line in &self.headers {
            writeln!(f, "  {line}")?;
        }
        writeln!(f, "  {}", self.body)?;
        if let Some(during) = &self.during {
            write!(f, "  meanwhile\n{during}")?;
        }
        for row in &self.rows {
            writeln!(f, "  stored: {row}")?;
        }
        for Held { set, .. } in &self.held {
            match set {
                None => writeln!(f, "  held for ever")?,
                Some(set) => {
                    let at = |set: &SetAt| format!("{:?} s from request {}", set.seconds, set.request + 1);
                    writeln!(f, "  held {}", set.iter().map(at).collect::<Vec<_>>().join(" or "))?;
                }
            }
        }
        if !(self.times.is_empty() && self.ages.is_empty()) {
            writeln!(f, "  times {:?} ages {:?}", self.times, self.ages)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_live_is_one_that_both_sides_can_have_set() {
        let held = |set: &[(usize, RangeInclusive<i64>)]| Held {
            sid: String::new(),
            set: Some(set.iter().cloned().map(|(request, seconds)| SetAt { request, seconds }).collect()),
        };
        let touched = held(&[(1, 60..=60)]);
        assert_eq!(touched.agreed(&held(&[(0, 60..=60), (1, 58..=61)])), Some((1, 60)));
        assert!(!touched.agrees(&held(&[(0, 60..=60), (1, 59..=59)])));
        assert!(!touched.agrees(&Held { sid: String::new(), set: None }));
    }

    #[test]
    fn a_busy_machine_explains_its_own_delay_and_no_other_lifetime() {
        let mut windows = Windows::default();
        windows.push(Window { sent: 0, answered: 5 }, Window { sent: 5, answered: 3_500 });
        assert!(windows.explain(60_000, 63_000));
        assert!(!windows.explain(60_000, 65_000));
        assert!(!windows.explain(63_000, 60_000 - SECOND));
        assert_eq!(windows.longest(), 3_495);
    }

    #[test]
    fn a_time_may_be_an_earlier_request_s() {
        let mut windows = Windows::default();
        windows.push(Window { sent: 0, answered: 10 }, Window { sent: 5_000, answered: 5_010 });
        windows.push(Window { sent: 20_000, answered: 20_010 }, Window { sent: 20_010, answered: 20_020 });
        assert!(windows.explain(60_000, 65_000));
        assert!(windows.explain(80_000, 80_020));
        assert!(!windows.explain(80_000, 90_000));
    }
}
