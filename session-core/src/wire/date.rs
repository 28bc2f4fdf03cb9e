//! Dates as JavaScript writes them: `toISOString` in records, `toUTCString` on the wire. Milliseconds since 1970.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Milliseconds since 1970-01-01T00:00:00Z, which is what a JavaScript `Date` holds.
pub(crate) type Millis = i64;

/// A time that may be none, in the space of a time.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Maybe(Millis);

impl Maybe {
    pub(crate) const NONE: Self = Self(Millis::MIN);

    pub(crate) fn get(self) -> Option<Millis> {
        (self != Self::NONE).then_some(self.0)
    }
}

impl Default for Maybe {
    fn default() -> Self {
        Self::NONE
    }
}

impl From<Option<Millis>> for Maybe {
    fn from(time: Option<Millis>) -> Self {
        time.map_or(Self::NONE, Self)
    }
}

impl std::fmt::Debug for Maybe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.get().fmt(f)
    }
}

/// By so much, in milliseconds, two clocks may differ that are both taken for right.
pub(crate) const CLOCKS_DIFFER: Millis = 5 * 60_000;

/// 0000-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z: four-digit years, which every reader of a date accepts.
const RANGE: std::ops::RangeInclusive<Millis> = -62_167_219_200_000..=LAST;

/// What every later date is.
pub(crate) const LAST: Millis = 253_402_300_799_999;

pub(crate) fn from_system(time: SystemTime) -> Millis {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => clamp(i64::try_from(since.as_millis()).unwrap_or(Millis::MAX)),
        Err(before) => clamp(i64::try_from(before.duration().as_millis()).map_or(Millis::MIN, |ms| -ms)),
    }
}

pub(crate) fn to_system(ms: Millis) -> SystemTime {
    let distance = Duration::from_millis(ms.unsigned_abs());
    if ms < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}

/// `now` plus a lifetime, kept within the dates that can be written.
pub(crate) fn after(now: Millis, lifetime: Millis) -> Millis {
    clamp(now.saturating_add(lifetime))
}

/// RFC 6265bis §5.5: no browser keeps a cookie for longer than 400 days.
pub(crate) const LIFE_OF_A_COOKIE: Millis = 400 * 86_400_000;

pub(crate) fn latest_of_a_cookie(now: Millis) -> Millis {
    after(now, LIFE_OF_A_COOKIE)
}

/// `2026-01-02T03:04:05.678Z`
pub(crate) fn iso(ms: Millis) -> String {
    let date = civil(ms);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        date.year(),
        date.month() as u8,
        date.day(),
        date.hour(),
        date.minute(),
        date.second(),
        date.millisecond()
    )
}

/// `Fri, 02 Jan 2026 03:04:05 GMT` (RFC 9110 §5.6.7), floored to the second.
pub(crate) fn http(ms: Millis) -> String {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let date = civil(ms);
    format!(
        "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
        DAYS[usize::from(date.weekday().number_days_from_sunday())],
        date.day(),
        MONTHS[usize::from(date.month() as u8 - 1)],
        date.year(),
        date.hour(),
        date.minute(),
        date.second()
    )
}

/// Reads what [`iso`] writes and every other RFC 3339 date, with an offset or without milliseconds. An offset may lead out of
/// the dates that can be written: then it is the first or the last of them. Leap seconds are none, as in JavaScript.
pub(crate) fn parse(text: &str) -> Option<Millis> {
    // `time` takes any letter between the day and the hour.
    let is_known = match text.as_bytes().get(10) {
        Some(b'T' | b't') => true,
        // With a space, JavaScript takes a year before 100 for a month, or for one of our time.
        Some(b' ') => !text.starts_with("00"),
        _ => false,
    };
    if !is_known || text.get(17..19) == Some("60") {
        return None;
    }
    let date = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(date.unix_timestamp_nanos().div_euclid(1_000_000)).ok().map(clamp)
}

fn clamp(ms: Millis) -> Millis {
    ms.clamp(*RANGE.start(), *RANGE.end())
}

fn civil(ms: Millis) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(clamp(ms)) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_dates_as_javascript_does() {
        assert_eq!(iso(1_767_323_045_678), "2026-01-02T03:04:05.678Z");
        assert_eq!(http(1_767_323_045_678), "Fri, 02 Jan 2026 03:04:05 GMT");
        assert_eq!(iso(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(http(-1), "Wed, 31 Dec 1969 23:59:59 GMT");
        assert_eq!(http(951_782_400_000), "Tue, 29 Feb 2000 00:00:00 GMT");
    }

    #[test]
    fn reads_what_it_writes() {
        for ms in [0, -1, 1, 999, 1_767_323_045_678, 253_402_300_799_999, -62_167_219_200_000] {
            assert_eq!(parse(&iso(ms)), Some(ms));
            assert_eq!(from_system(to_system(ms)), ms);
        }
        assert_eq!(parse("2026-01-02T04:04:05+01:00"), Some(1_767_323_045_000));
        assert_eq!(parse("2026-01-02T03:04:05.6789Z"), Some(1_767_323_045_678));
        assert_eq!(parse("1969-12-31T23:59:59.9995Z"), Some(-1), "down, as the others");
        assert_eq!(parse("0100-07-28 17:55:39Z"), Some(-58_993_423_461_000));
        for not_a_date in [
            "",
            "tomorrow",
            "2016-12-31T23:59:60Z",
            "2016-12-31P23:59:59Z",
            "0008-07-28 17:55:39.648Z",
            "2026-13-02T03:04:05.678Z",
            "2026-01-02",
        ] {
            assert_eq!(parse(not_a_date), None, "{not_a_date}");
        }
    }

    #[test]
    fn stays_within_four_digit_years() {
        assert_eq!(parse("9999-12-31T23:59:59-01:00"), Some(LAST));
        assert_eq!(parse("0000-01-01T00:00:00+01:00"), Some(*RANGE.start()));
        assert_eq!(iso(after(0, Millis::MAX)), "9999-12-31T23:59:59.999Z");
        assert_eq!(iso(after(0, Millis::MIN)), "0000-01-01T00:00:00.000Z");
    }
}
