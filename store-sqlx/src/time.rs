//! When a record ends, in milliseconds since 1970, and the whole seconds that Node's stores make of them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use session_core::{Clock, Cookie};

pub(crate) type Millis = i64;

pub(crate) fn now(clock: &Clock) -> Millis {
    of(clock.now())
}

/// Until when a record with this cookie is held; `None` when it has expired already.
pub(crate) fn until(cookie: &Cookie, ttl: Duration, now: Millis) -> Option<Millis> {
    let until = cookie.held_until(to_system(now), Some(ttl)).map_or(Millis::MAX, of);
    (until > now).then_some(until)
}

#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(crate) fn left(until: Millis, now: Millis) -> Duration {
    Duration::from_millis(u64::try_from(until.saturating_sub(now)).unwrap_or_default())
}

pub(crate) fn of_span(span: Duration) -> Millis {
    Millis::try_from(span.as_millis()).unwrap_or(Millis::MAX)
}

/// Upwards: connect-pg-simple's `Math.ceil`.
#[cfg(feature = "postgres")]
pub(crate) fn ceil_seconds(ms: Millis) -> i64 {
    ms.div_euclid(1_000) + i64::from(ms.rem_euclid(1_000) > 0)
}

/// To the nearest: express-mysql-session's `Math.round`.
#[cfg(feature = "mysql")]
pub(crate) fn round_seconds(ms: Millis) -> i64 {
    ms.saturating_add(500).div_euclid(1_000)
}

fn to_system(ms: Millis) -> SystemTime {
    let distance = Duration::from_millis(ms.unsigned_abs());
    if ms < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}

fn of(time: SystemTime) -> Millis {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => of_span(since),
        Err(before) => -of_span(before.duration()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_held_until_its_cookie_expires_else_for_the_time_to_live() {
        let day = Duration::from_secs(86_400);
        let mut cookie = Cookie::default();
        assert_eq!(until(&cookie, day, 1_000), Some(86_401_000));
        // The last date that there is.
        assert_eq!(until(&cookie, Duration::MAX, 1_000), Some(253_402_300_799_999));
        cookie.set_expires(Some(UNIX_EPOCH + Duration::from_millis(1_001)), UNIX_EPOCH);
        assert_eq!(until(&cookie, day, 1_000), Some(1_001));
        assert_eq!(until(&cookie, day, 1_001), None);
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn postgres_counts_in_seconds_begun() {
        assert_eq!([0, 1, 999, 1_000, 1_001, -1, -1_000].map(ceil_seconds), [0, 1, 1, 1, 2, 0, -1]);
    }

    #[cfg(feature = "mysql")]
    #[test]
    fn mysql_counts_in_the_nearest_seconds() {
        assert_eq!([0, 499, 500, 1_499, 1_500, -500, -501].map(round_seconds), [0, 0, 1, 1, 2, 0, -1]);
    }
}
