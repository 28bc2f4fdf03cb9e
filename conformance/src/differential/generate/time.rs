//! How a case's own clock moves.

use serde_json::{Map, Value, json};

use super::super::case::Case;
use super::super::rng::Rng;

const AGES: [i64; 9] = [1, 999, 1_000, 1_500, 4_000, 60_000, 3_600_000, 86_400_000, 31_536_000_000];
const TWENTY_YEARS: i64 = 20 * 31_536_000_000;
const LONG: [i64; 4] = [60_000, 3_600_000, 86_400_000, 31_536_000_000];

/// How fast time passes between the requests of one case.
#[derive(Debug)]
pub(super) enum Pace {
    /// Jumps of a bit, half, just under, to and past one of these ages.
    Jumps { ages: Vec<i64> },
    /// The clock moves within requests: a bit at a time, so that no session ends while it is in use; or past every end.
    Within { age: i64 },
}

impl Pace {
    /// Gives most configurations an age that can end within the case, and that is at least so many milliseconds.
    pub(super) fn random(rng: &mut Rng, config: &mut Map<String, Value>, start: i64, least: i64) -> Self {
        let within = rng.percent(30);
        let pick = |rng: &mut Rng, ages: &[i64]| {
            let age = rng.pick(ages);
            if age < least { age + least } else { age }
        };
        let age = if within { pick(rng, &LONG) } else { pick(rng, &AGES) };
        let pace = match within {
            true => Self::Within { age },
            false => Self::Jumps { ages: vec![age, age, age, pick(rng, &AGES), pick(rng, &AGES)] },
        };
        if config.contains_key("cookieFunction") {
            return pace;
        }
        let cookie = config.entry("cookie").or_insert_with(|| json!({}));
        if let Some(cookie) = cookie.as_object_mut() {
            if pace.ends_before(TWENTY_YEARS) && rng.percent(10) {
                cookie.remove("maxAge");
                cookie.insert("expires".to_owned(), (start + TWENTY_YEARS).into());
            } else if rng.percent(85) {
                cookie.insert("maxAge".to_owned(), age.into());
            } else if cookie.get("maxAge").and_then(Value::as_i64).is_some_and(|age| age <= 0) {
                cookie.remove("maxAge");
            }
        }
        pace
    }

    /// Whether no case can last so long. (A session that begins after the configured `expires` is over when it begins.)
    fn ends_before(&self, milliseconds: i64) -> bool {
        match self {
            Self::Jumps { ages } => ages.iter().max().is_some_and(|age| age * 2 * 25 < milliseconds),
            Self::Within { .. } => false,
        }
    }

    /// Milliseconds from one request to the next.
    pub(super) fn jump(&self, rng: &mut Rng) -> i64 {
        match self {
            Self::Jumps { ages } => {
                let age = rng.pick(ages);
                match rng.below(12) {
                    0..=3 => 0,
                    4 => 1,
                    5 => rng.pick(&[400, 999, 1_000]),
                    6 | 7 => age / 2,
                    8 => age - 1,
                    9 => age,
                    10 => age + 1,
                    _ => 2 * age,
                }
            }
            Self::Within { age } => match rng.below(12) {
                0..=5 => 0,
                6..=9 => rng.pick(&[1, 400, 1_000]),
                // With all others of a case it ends before 2106, as MySQL's column does.
                _ => 2 * age.max(&31_536_000_000),
            },
        }
    }

    /// Milliseconds from one operation to the next.
    pub(super) fn moves(&self, rng: &mut Rng) -> Option<i64> {
        matches!(self, Self::Within { .. }).then(|| rng.pick(&[1, 1, 400, 1_000]))
    }

    /// An age for a session of its own.
    pub(super) fn age(&self, rng: &mut Rng) -> Option<i64> {
        match self {
            Self::Jumps { ages } => Some(rng.pick(ages)),
            Self::Within { .. } => Some(rng.pick(&LONG)),
        }
        .filter(|_| rng.percent(80))
    }
}

/// In some cases the clock goes back now and then, as one that is put right does, and nothing ends.
pub(super) fn back(seed: u64, pace: &Pace, case: &mut Case) {
    let mut rng = Rng::new(seed ^ 0x6261_636b);
    if !matches!(pace, Pace::Within { .. }) || case.config.contains_key("outer") || !rng.percent(40) {
        return;
    }
    case.lengthen();
    for request in &mut case.requests {
        // All together less than the shortest lifetime.
        request.after = rng.pick(&[0, 0, 1, 400, 1_000, -1, -400, -1_000, -1_500]);
    }
}

/// Moments of the years from 2036 on, so that what ends here has not ended for a database that removes by its own clock, and a
/// seed means the same on every day; another millisecond for every seed.
pub(super) fn start(seed: u64) -> i64 {
    // ms since 1970
    const STARTS: [i64; 6] = [
        2_082_758_400_000, // 1 January 2036
        2_082_758_400_000,
        2_087_855_999_000, // 28 February 2036, 23:59:59, before a leap day
        2_087_942_399_000, // the end of that day
        2_114_380_799_000, // the last second of 2036
        2_147_483_647_000, // 19 January 2038, 03:14:07: the last second that 31 bits count
    ];
    let start = Rng::new(seed ^ 0x7374_6172_7400).pick(&STARTS);
    start + i64::try_from(seed % 1000).unwrap_or_default()
}
