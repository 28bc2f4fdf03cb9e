//! The store in this process's memory.

use std::{
    fmt,
    hash::BuildHasher,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use hashbrown::DefaultHashBuilder;

use crate::{
    clock::Clock,
    error::StoreError,
    record::Record,
    record::cookie::Cookie,
    store::shard::{Held, NEVER, Shard},
    store::{AdminStore, Destroyed, Expect, Set, Store, Stored, Touched, Version},
    wire::date::Millis,
    wire::sid::Sid,
};

const SHARDS: usize = 64;

/// Below so many sessions a shard, eviction would be far from least-recently-used: then there is one shard.
const SHARD_MINIMUM: usize = 64;

/// Every write looks at so many other sessions of its shard and drops those that have expired.
const SWEEP: usize = 2;

/// The store in this process's memory: sessions are gone with the process, and no other process sees them. For tests, for
/// development, and for a single server that may forget.
///
/// Records are kept as JSON text, so that what comes back is what a database would give. There is no lock around all of
/// it: sessions are spread over shards. Expired sessions are never seen, and are dropped bit by bit as others are written:
/// there is no thread behind it.
///
/// Without [`max_sessions`](Self::max_sessions), and without a limit of how long sessions live, it grows for as long as visitors come.
///
/// ```
/// use std::time::Duration;
///
/// use session_core::{MemoryStore, Options};
///
/// let store = MemoryStore::new().max_sessions(100_000).ttl(Duration::from_secs(86_400));
/// let sessions = Options::new("keyboard cat").store(store).build()?;
/// # Ok::<(), session_core::OptionsError>(())
/// ```
pub struct MemoryStore {
    shards: Box<[Mutex<Shard>]>,
    hasher: DefaultHashBuilder,
    versions: AtomicU64,
    ttl: Option<Duration>,
    clock: Clock,
}

impl MemoryStore {
    /// No limit, and sessions without a lifetime of their own are held for ever: express-session's `MemoryStore`.
    #[must_use]
    pub fn new() -> Self {
        Self::with_shards(SHARDS, usize::MAX)
    }

    /// At most so many sessions, counted as they are held, expired or not: then the least recently used one goes, read or
    /// written. Default: no limit. Large limits are kept shard by shard, so that it is nearly the least recently used one.
    /// One is held in any case: zero is taken for one. To be called before the store is used: it starts empty.
    #[must_use]
    pub fn max_sessions(self, limit: usize) -> Self {
        let shards = if limit / SHARDS < SHARD_MINIMUM { 1 } else { SHARDS };
        Self { ttl: self.ttl, clock: self.clock, ..Self::with_shards(shards, limit / shards) }
    }

    /// How long a session is held whose cookie lives until the browser closes, where [`Options::idle`](crate::Options::idle) does not say so.
    /// Default: for ever, or as long as the session lives at all ([`Options::absolute`](crate::Options::absolute)). Zero: not at
    /// all, and writing one answers [`Set::Expired`].
    #[must_use]
    pub fn ttl(self, ttl: Duration) -> Self {
        Self { ttl: Some(ttl), ..self }
    }

    /// The clock that expiry goes by, for tests. Default: the system's.
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    fn with_shards(shards: usize, limit: usize) -> Self {
        Self {
            shards: (0..shards).map(|_| Mutex::new(Shard::new(limit))).collect(),
            hasher: DefaultHashBuilder::default(),
            versions: AtomicU64::new(0),
            ttl: None,
            clock: Clock::system(),
        }
    }

    fn shard(&self, sid: &Sid) -> (MutexGuard<'_, Shard>, u64) {
        let hash = self.hasher.hash_one(sid.as_str());
        // The table inside a shard goes by the low bits: these are others.
        let shard = usize::try_from(hash >> 40).unwrap_or_default() % self.shards.len();
        (lock(&self.shards[shard]), hash)
    }

    fn rehash(&self) -> impl Fn(&str) -> u64 {
        |sid| self.hasher.hash_one(sid)
    }

    fn expires(&self, cookie: &Cookie, now: Millis) -> Millis {
        let ttl = self.ttl.map(|ttl| Millis::try_from(ttl.as_millis()).unwrap_or(Millis::MAX));
        cookie.held(now, ttl).unwrap_or(NEVER)
    }

    /// Not while the shard is locked: a record may be long, and a shard is many sessions'.
    fn read(&self, held: Copied, now: Millis) -> Result<Stored, StoreError> {
        let record = Record::parse(held.record).map_err(|error| StoreError::corrupt("memory", error))?;
        let millis = |ms: Millis| Duration::from_millis(u64::try_from(ms).unwrap_or_default());
        let lifetime = record.cookie.lifetime().map(millis);
        Ok(Stored {
            version: Version::from_number(held.version),
            left: (held.expires != NEVER).then(|| millis(held.expires.saturating_sub(now))),
            lifetime: lifetime.or(self.ttl),
            record,
        })
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        let now = self.clock.millis();
        let held = {
            let (mut shard, hash) = self.shard(sid);
            shard.get(hash, sid.as_str(), now).map(|held| Copied::of(&held))
        };
        held.map(|held| self.read(held, now)).transpose()
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        let now = self.clock.millis();
        let expires = self.expires(&record.cookie, now);
        if expires <= now {
            return Ok(Set::Expired);
        }
        let text = record.to_json();
        let (mut shard, hash) = self.shard(sid);
        shard.sweep(SWEEP, now, &self.rehash());
        if !is_expected(shard.get(hash, sid.as_str(), now).as_ref(), expect) {
            return Ok(Set::Conflict);
        }
        let version = self.versions.fetch_add(1, Ordering::Relaxed);
        shard.put(hash, sid.as_str(), &text, expires, version, &self.rehash());
        Ok(Set::Written(Version::from_number(version)))
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        let now = self.clock.millis();
        let expires = self.expires(cookie, now);
        if expires <= now {
            return Ok(Touched::Expired);
        }
        // express-session's MemoryStore writes the cookie into the record as well.
        let mut touched: Option<(u64, String)> = None;
        loop {
            let held = {
                let (mut shard, hash) = self.shard(sid);
                let Some(held) = shard.get(hash, sid.as_str(), now) else { return Ok(Touched::Unknown) };
                if !is_expected(Some(&held), expect) {
                    return Ok(Touched::Conflict);
                }
                match touched.take().filter(|(version, _)| *version == held.version) {
                    Some((version, text)) => {
                        shard.put(hash, sid.as_str(), &text, expires, version, &self.rehash());
                        return Ok(Touched::Moved);
                    }
                    None => Copied::of(&held),
                }
            };
            let version = held.version;
            let mut record = self.read(held, now)?.record;
            record.cookie = cookie.clone();
            touched = Some((version, record.to_json()));
        }
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        let now = self.clock.millis();
        let (mut shard, hash) = self.shard(sid);
        let held = shard.get(hash, sid.as_str(), now);
        match (held.is_some(), is_expected(held.as_ref(), expect)) {
            (false, _) => Ok(Destroyed::Unknown),
            (true, false) => Ok(Destroyed::Conflict),
            (true, true) => {
                shard.remove(hash, sid.as_str());
                Ok(Destroyed::Destroyed)
            }
        }
    }
}

/// What a shard holds, copied out of it.
struct Copied {
    record: Arc<str>,
    expires: Millis,
    version: u64,
}

impl Copied {
    fn of(held: &Held<'_>) -> Self {
        Self { record: held.record.into(), expires: held.expires, version: held.version }
    }
}

fn is_expected(held: Option<&Held<'_>>, expect: &Expect) -> bool {
    match expect {
        Expect::Anything => true,
        Expect::Nothing => held.is_none(),
        Expect::Version(version) => held.is_some_and(|held| Some(held.version) == version.number()),
    }
}

#[async_trait]
impl AdminStore for MemoryStore {
    async fn length(&self) -> Result<u64, StoreError> {
        let now = self.clock.millis();
        let count = |shard| lock(shard).iter(now).count() as u64;
        Ok(self.shards.iter().map(count).sum())
    }

    async fn ids(&self, visit: &mut (dyn FnMut(Sid) + Send)) -> Result<(), StoreError> {
        let now = self.clock.millis();
        for shard in &self.shards {
            // Not while the shard is locked: the visitor may use the store.
            let sids: Vec<Sid> = lock(shard).iter(now).map(|(sid, _)| sid.into()).collect();
            sids.into_iter().for_each(&mut *visit);
        }
        Ok(())
    }

    async fn all(&self, visit: &mut (dyn FnMut(Sid, Record) + Send)) -> Result<(), StoreError> {
        let now = self.clock.millis();
        for shard in &self.shards {
            let held: Vec<(Sid, Copied)> =
                lock(shard).iter(now).map(|(sid, held)| (sid.into(), Copied::of(&held))).collect();
            let read = |(sid, held): (Sid, Copied)| Some((sid, self.read(held, now).ok()?.record));
            held.into_iter().filter_map(read).for_each(|(sid, record)| visit(sid, record));
        }
        Ok(())
    }

    async fn clear(&self) -> Result<(), StoreError> {
        self.shards.iter().for_each(|shard| lock(shard).clear());
        Ok(())
    }

    async fn prune(&self) -> Result<u64, StoreError> {
        let now = self.clock.millis();
        Ok(self.shards.iter().map(|shard| lock(shard).prune(now, &self.rehash())).sum())
    }
}

/// A panic of another holder left the shard whole: nothing in it panics half-way.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("ttl", &self.ttl).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_small_is_kept_by_one_shard() {
        let shards = |limit: usize| MemoryStore::new().max_sessions(limit).shards.len();
        let enough = SHARDS * SHARD_MINIMUM;
        assert_eq!([0, 1, 65, enough - 1].map(shards), [1; 4]);
        assert_eq!([enough, enough + 1, usize::MAX].map(shards), [SHARDS; 3]);
    }
}
