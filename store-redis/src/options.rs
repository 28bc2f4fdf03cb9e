//! The options, and what follows from them for a record.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use session_core::{Clock, Cookie, Record, StoreError, Stored};

use crate::{
    error::{corrupt, unwritten},
    script::version_of,
    store::RedisStore,
};

const DAY: Duration = Duration::from_secs(86_400);

/// A thousand years of seconds. Longer ones overflow in Redis.
const LONGEST: u64 = 1_000 * 31_556_952;

/// What passes between a request and its write is no more.
const A_SECOND: Duration = Duration::from_secs(1);

/// connect-redis's options, under their own names.
impl RedisStore {
    /// What every key begins with. Default: `sess:`.
    ///
    /// Change it where two applications share a database, or sessions share it with other keys: `length`, `clear` and the
    /// like take every key that begins so. May be empty. connect-redis: `prefix`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.settings.prefix = prefix.into();
        self
    }

    /// How long a session is held whose cookie lives until the browser closes. Default: one day.
    ///
    /// Kept in whole seconds, rounded up. Zero: such sessions have expired when they are written. connect-redis: `ttl`, in
    /// seconds.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.settings.ttl = Ttl::Fixed(ttl);
        self
    }

    /// How long a session is held, whatever its cookie's own lifetime; only one whose cookie has expired has expired all the
    /// same, and so has one for which this is zero. Default: the cookie's lifetime, else [`ttl`](Self::ttl).
    ///
    /// For records that shall outlive their cookie, or that shall not last as long. connect-redis: `ttl`, as a function.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn store(store: store_redis::RedisStore) -> store_redis::RedisStore {
    /// // A minute more than the cookie, for slow clients.
    /// let grace = Duration::from_secs(60);
    /// store.ttl_with(move |cookie| cookie.original_max_age().unwrap_or(Duration::from_secs(86_400)) + grace)
    /// # }
    /// ```
    #[must_use]
    pub fn ttl_with(mut self, ttl: impl Fn(&Cookie) -> Duration + Send + Sync + 'static) -> Self {
        self.settings.ttl = Ttl::Computed(Arc::new(ttl));
        self
    }

    /// How a record's JSON becomes what is held under its key, and the way back: to compress or to encrypt it, or for records in
    /// another format. Default: the JSON itself.
    ///
    /// Whoever shares the records must have the same. What `parse` refuses is a record that cannot be read
    /// ([`StoreError::Corrupt`]); what `stringify` refuses is not written, and an error of the call. The words of these errors may be
    /// logged: let them show no data. Both run on the caller's thread, which they should not hold up. connect-redis: `serializer`, an
    /// object with these two, of which `parse` may be asynchronous there.
    ///
    /// ```
    /// # fn store(store: store_redis::RedisStore) -> store_redis::RedisStore {
    /// // As text that no shell minds: JSON in hexadecimal digits.
    /// store.serializer(
    ///     |json| Ok(json.bytes().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()),
    ///     |held| {
    ///         let digits = str::from_utf8(held)?;
    ///         let byte = |at| u8::from_str_radix(digits.get(at..at + 2).unwrap_or("?"), 16);
    ///         let bytes = (0..digits.len()).step_by(2).map(byte).collect::<Result<Vec<u8>, _>>()?;
    ///         Ok(String::from_utf8(bytes)?)
    ///     },
    /// )
    /// # }
    /// ```
    #[must_use]
    pub fn serializer(
        mut self,
        stringify: impl Fn(&str) -> Result<Vec<u8>, BoxError> + Send + Sync + 'static,
        parse: impl Fn(&[u8]) -> Result<String, BoxError> + Send + Sync + 'static,
    ) -> Self {
        self.settings.serializer =
            Some(Serializer { stringify: Box::new(stringify), parse: Box::new(parse) });
        self
    }

    /// Whether a touch is left out, so that a session ends a lifetime after it was last written, in use or not (in the new
    /// profile, where only a handler has saved it, four fifths of one at least, of which the browser hears when the end of a
    /// request writes again). Default: `false`.
    ///
    /// A touch then costs nothing, and answers [`Touched::Skipped`](session_core::Touched::Skipped). connect-redis: `disableTouch`.
    #[must_use]
    pub fn disable_touch(mut self, disable: bool) -> Self {
        self.settings.disable_touch = disable;
        self
    }

    /// Whether keys are written without a time to live, for a Redis that evicts what it has no room for
    /// (`maxmemory-policy allkeys-lru`) or for somebody else who cleans up. Default: `false`.
    ///
    /// Nothing is touched then, and a touch answers as with [`disable_touch`](Self::disable_touch). connect-redis:
    /// `disableTTL`.
    #[must_use]
    pub fn disable_ttl(mut self, disable: bool) -> Self {
        self.settings.disable_ttl = disable;
        self
    }

    /// How many keys the server looks at in one step of `length`, `ids`, `all` and `clear`. Default: 100; at least 1.
    ///
    /// More makes them faster and everybody else wait longer. connect-redis: `scanCount`.
    #[must_use]
    pub fn scan_count(mut self, count: u32) -> Self {
        self.settings.scan_count = count.max(1);
        self
    }

    /// How long any call may take, connecting and repeating included; then it is an error. Default: two seconds. Of
    /// `length`, `ids`, `all` and `clear`, each step.
    ///
    /// connect-redis has no such option: while the server does not answer, neither does the application.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// The clock that a cookie's end is counted from, for tests. Default: the system's. Redis's own removal goes by the
    /// server's.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.settings.clock = clock;
        self
    }
}

pub(crate) struct Settings {
    pub(crate) prefix: String,
    ttl: Ttl,
    disable_touch: bool,
    disable_ttl: bool,
    pub(crate) scan_count: u32,
    pub(crate) timeout: Duration,
    serializer: Option<Serializer>,
    clock: Clock,
}

type BoxError = Box<dyn Error + Send + Sync>;

struct Serializer {
    stringify: Box<Stringify>,
    parse: Box<Parse>,
}

type Stringify = dyn Fn(&str) -> Result<Vec<u8>, BoxError> + Send + Sync;
type Parse = dyn Fn(&[u8]) -> Result<String, BoxError> + Send + Sync;

enum Ttl {
    Fixed(Duration),
    Computed(Arc<dyn Fn(&Cookie) -> Duration + Send + Sync>),
}

/// What a write says about the expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Not at all.
    Expired,
    Seconds(u64),
    ForEver,
}

impl Settings {
    /// How long a record with this cookie is held from now on.
    pub(crate) fn hold(&self, cookie: &Cookie) -> Hold {
        // SystemTime's difference is an error where it would be negative.
        let now = self.clock.now();
        let until = |ttl| cookie.held_until(now, ttl).map(|at| at.duration_since(now).unwrap_or_default());
        let left = if cookie.expires().is_some() { until(None) } else { None };
        let age = cookie.original_max_age().unwrap_or_default();
        let held = match (left, &self.ttl) {
            (Some(Duration::ZERO), _) => Duration::ZERO,
            (Some(left), Ttl::Computed(ttl)) if left.saturating_add(A_SECOND) < age => {
                // A write keeps back a part of the cookie's lifetime: as much longer than the cookie as with all of it, or the
                // same part of less.
                let whole = ttl(&self.touched(cookie)).min(Duration::from_secs(LONGEST));
                let bounded = cookie.held_for(now).unwrap_or(age).max(left).as_secs_f64();
                match whole.checked_sub(age) {
                    Some(longer) => left + longer,
                    None => whole.mul_f64(left.as_secs_f64() / bounded).min(left),
                }
            }
            (Some(_), Ttl::Computed(ttl)) => ttl(cookie),
            (Some(left), Ttl::Fixed(_)) => left,
            // No longer than the session may lie unused, or live at all.
            (None, ttl) => {
                let ttl = match ttl {
                    Ttl::Fixed(ttl) => *ttl,
                    Ttl::Computed(ttl) => ttl(cookie),
                };
                until(Some(ttl)).unwrap_or(ttl)
            }
        };
        match whole_seconds(held) {
            0 => Hold::Expired,
            _ if self.disable_ttl => Hold::ForEver,
            seconds => Hold::Seconds(seconds),
        }
    }

    /// Whether a touch does anything.
    pub(crate) fn touches(&self) -> bool {
        !self.disable_touch && !self.disable_ttl
    }

    /// What is held for a record's JSON.
    pub(crate) fn text(&self, json: String) -> Result<Vec<u8>, StoreError> {
        let Some(serializer) = &self.serializer else { return Ok(json.into_bytes()) };
        let text = (serializer.stringify)(&json).map_err(unwritten)?;
        // That would be read as no session.
        if text.is_empty() { Err(unwritten("it made nothing of one")) } else { Ok(text) }
    }

    /// What was read: the text, and Redis's word for what is left of it, negative for ever.
    pub(crate) fn stored(&self, text: Vec<u8>, left: i64) -> Result<Stored, StoreError> {
        let version = version_of(&text);
        let text = match &self.serializer {
            Some(serializer) => {
                // Its words, and not what it may hold: the bytes that are no text.
                (serializer.parse)(&text).map_err(|error| corrupt(error.to_string()))?
            }
            None => String::from_utf8(text).map_err(|_| corrupt("it is no text"))?,
        };
        let record = Record::parse(text).map_err(corrupt)?;
        let left = u64::try_from(left).ok().map(Duration::from_millis);
        // Told as long as the cookie's, which a computed time may outlive.
        let grace = match (&self.ttl, self.lifetime(&record.cookie), record.cookie.original_max_age()) {
            (Ttl::Computed(_), Some(lifetime), Some(age)) => lifetime.saturating_sub(age),
            _ => Duration::ZERO,
        };
        let left = left.map(|left| left.saturating_sub(grace));
        // Where a touch moves nothing, none is ever due.
        let lifetime = if self.touches() {
            self.lifetime(&record.cookie).map(|lifetime| lifetime.saturating_sub(grace))
        } else {
            left
        };
        Ok(Stored { record, version, left, lifetime })
    }

    fn touched(&self, cookie: &Cookie) -> Cookie {
        let mut touched = cookie.clone();
        touched.set_max_age(cookie.original_max_age(), self.clock.now());
        touched
    }

    fn lifetime(&self, cookie: &Cookie) -> Option<Duration> {
        match self.hold(&self.touched(cookie)) {
            Hold::Expired => Some(Duration::ZERO),
            Hold::Seconds(seconds) => Some(Duration::from_secs(seconds)),
            Hold::ForEver => None,
        }
    }
}

fn whole_seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0)).min(LONGEST)
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            prefix: "sess:".into(),
            ttl: Ttl::Fixed(DAY),
            disable_touch: false,
            disable_ttl: false,
            scan_count: 100,
            timeout: Duration::from_secs(2),
            serializer: None,
            clock: Clock::system(),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("prefix", &self.prefix)
            .field("ttl", &self.ttl)
            .field("disable_touch", &self.disable_touch)
            .field("disable_ttl", &self.disable_ttl)
            .field("scan_count", &self.scan_count)
            .field("timeout", &self.timeout)
            .field("serializer", &self.serializer.as_ref().map(|_| "…"))
            .field("clock", &self.clock)
            .finish()
    }
}

impl fmt::Debug for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(ttl) => ttl.fmt(f),
            Self::Computed(_) => f.write_str("computed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_may_take_two_seconds_by_default() {
        assert_eq!(Settings::default().timeout, Duration::from_secs(2));
    }
}
