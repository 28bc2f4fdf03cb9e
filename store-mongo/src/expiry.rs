//! Which documents are held and which have expired, and until when.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mongodb::bson::{DateTime, Document, doc};
use session_core::Cookie;

/// Milliseconds since 1970, as a BSON date has them.
pub(crate) type Millis = i64;

pub(crate) fn millis(time: SystemTime) -> Millis {
    let whole = |time: Duration| Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => whole(since),
        Err(before) => -whole(before.duration()),
    }
}

fn time(millis: Millis) -> SystemTime {
    let distance = Duration::from_millis(millis.unsigned_abs());
    if millis < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}

pub(crate) fn date(millis: Millis) -> DateTime {
    DateTime::from_millis(millis)
}

pub(crate) fn after(now: Millis, time: Duration) -> Millis {
    now.saturating_add(Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX))
}

/// From `now` to `until`, nothing when that has passed.
pub(crate) fn left(now: Millis, until: Millis) -> Duration {
    Duration::from_millis(u64::try_from(until.saturating_sub(now)).unwrap_or_default())
}

/// When the cookie says, or the time to live from now on.
pub(crate) fn expires(cookie: &Cookie, now: Millis, ttl: Duration) -> Millis {
    cookie.held_until(time(now), Some(ttl)).map_or(Millis::MAX, millis)
}

/// Whether a cookie that ends then has its whole lifetime from now on, but for the moment that has passed since it was made.
pub(crate) fn is_whole(cookie: &Cookie, expires: Millis, now: Millis) -> bool {
    cookie.original_max_age().is_none_or(|age| expires.saturating_add(1_000) >= after(now, age))
}

/// What connect-mongo finds: without `expires` a session is held for ever. And what Node takes for one: `null` is none.
pub(crate) fn held(now: Millis) -> Document {
    doc! {
        "$or": [{ "expires": { "$exists": false } }, { "expires": { "$gt": date(now) } }],
        "session": { "$not": { "$type": "null" } },
    }
}

/// All that [`held`] is not, an `expires` of `null` included.
pub(crate) fn expired(now: Millis) -> Document {
    doc! { "$or": [
        { "expires": { "$exists": true, "$not": { "$gt": date(now) } } },
        { "session": { "$type": "null" } },
    ] }
}

/// What may be removed for good: only what bears a date.
pub(crate) fn past(now: Millis) -> Document {
    doc! { "expires": { "$lte": date(now) } }
}
