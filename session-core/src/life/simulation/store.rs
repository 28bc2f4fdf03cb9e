//! A store without I/O: conditional writes, expiry by the virtual clock.

use std::{
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::Arc,
    time::Duration,
};

use crate::{
    life::{Answer, Ask},
    record::{Record, cookie::Cookie, data::Data, ids::Ids, times::Times},
    store::{Destroyed, Expect, Set, Stored, Touched, Version},
    wire::{date::Millis, sid::Sid},
};

#[derive(Clone, Hash)]
pub(super) struct SimStore {
    entries: Vec<(Sid, Entry)>,
    versions: Versions,
    /// Its options do not leave touches out.
    touches: bool,
    /// For how long it holds a record that says nothing of that.
    ttl: Millis,
    writes: u64,
}

/// What a version is.
#[derive(Clone, Copy, Debug, Hash, PartialEq)]
pub(super) enum Versions {
    /// A digest of what is held: the same again when the same is written.
    Digest,
    /// Another one with each write.
    Count,
}

#[derive(Clone, Hash)]
pub(super) struct Entry {
    pub(super) data: Arc<Data>,
    pub(super) cookie: Cookie,
    pub(super) times: Times,
    pub(super) ids: Option<Arc<Ids>>,
    pub(super) until: Millis,
    version: u64,
    /// The request that moved the expiry last; none: Express, or whoever was there before.
    pub(super) writer: Option<usize>,
}

impl SimStore {
    pub(super) fn new(versions: Versions, touches: bool, ttl: Millis) -> Self {
        Self { entries: Vec::new(), versions, touches, ttl, writes: 0 }
    }

    /// Until when a record with this cookie is held; none: it has expired.
    pub(super) fn until(&self, cookie: &Cookie, now: Millis) -> Option<Millis> {
        cookie.held(now, Some(self.ttl)).filter(|at| *at > now)
    }

    pub(super) fn counts(&self) -> bool {
        self.versions == Versions::Count
    }

    pub(super) fn held(&self, sid: &Sid, now: Millis) -> Option<&Entry> {
        self.entries.iter().find(|(held, entry)| held == sid && entry.until > now).map(|(_, entry)| entry)
    }

    pub(super) fn live(&self, now: Millis) -> impl Iterator<Item = (&Sid, &Entry)> {
        self.entries.iter().filter(move |(_, entry)| entry.until > now).map(|(sid, entry)| (sid, entry))
    }

    pub(super) fn put(&mut self, sid: &Sid, record: &Record, until: Millis, writer: Option<usize>) {
        let Record { cookie, data, times, ids, .. } = record.clone();
        let version = match self.versions {
            Versions::Digest => {
                BuildHasherDefault::<DefaultHasher>::default().hash_one((&data, &cookie, &times, &ids))
            }
            Versions::Count => {
                self.writes += 1;
                self.writes
            }
        };
        let entry = Entry { data, cookie, times, ids, until, version, writer };
        self.remove(sid);
        self.entries.push((sid.clone(), entry));
        // Two orders of the same records are one store.
        self.entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    }

    pub(super) fn remove(&mut self, sid: &Sid) {
        self.entries.retain(|(held, _)| held != sid);
    }

    /// What has expired is not there.
    pub(super) fn sweep(&mut self, now: Millis) {
        self.entries.retain(|(_, entry)| entry.until > now);
    }

    pub(super) fn get(&self, sid: &Sid, now: Millis) -> Option<Stored> {
        let entry = self.held(sid, now)?;
        let millis = |ms: Millis| Duration::from_millis(ms.unsigned_abs());
        let left = entry.until - now;
        // Where touches are left out, none is ever due.
        let lifetime = if self.touches { entry.cookie.lifetime().unwrap_or(self.ttl) } else { left };
        Some(Stored {
            record: Record::new(entry.cookie.clone(), Arc::clone(&entry.data))
                .with_times(entry.times)
                .with_ids(entry.ids.clone()),
            version: Version::from_number(entry.version),
            left: Some(millis(left)),
            lifetime: Some(millis(lifetime)),
        })
    }

    /// Does what it is asked.
    pub(super) fn answer(&mut self, ask: &Ask, now: Millis, writer: usize) -> Answer {
        self.sweep(now);
        let expected = |entry: Option<&Entry>, expect: &Expect| match expect {
            Expect::Anything => true,
            Expect::Nothing => entry.is_none(),
            Expect::Version(version) => entry.is_some_and(|entry| Some(entry.version) == version.number()),
        };
        match ask {
            Ask::Get(sid) => Answer::Got(self.get(sid, now)),
            Ask::Set { sid, record, expect } => {
                let Some(until) = self.until(&record.cookie, now) else {
                    return Answer::Set(Set::Expired);
                };
                if !expected(self.held(sid, now), expect) {
                    return Answer::Set(Set::Conflict);
                }
                self.put(sid, record, until, Some(writer));
                let version = self.held(sid, now).map_or(0, |entry| entry.version);
                Answer::Set(Set::Written(Version::from_number(version)))
            }
            Ask::Touch { sid, cookie, expect } => {
                let Some(until) = self.until(cookie, now) else {
                    return Answer::Touched(Touched::Expired);
                };
                if !self.touches {
                    return Answer::Touched(Touched::Skipped);
                }
                match self.entries.iter_mut().find(|(held, _)| held == sid) {
                    Some((_, entry)) if !expected(Some(&*entry), expect) => {
                        Answer::Touched(Touched::Conflict)
                    }
                    Some((_, entry)) => {
                        entry.until = until;
                        entry.writer = Some(writer);
                        Answer::Touched(Touched::Moved)
                    }
                    None => Answer::Touched(Touched::Unknown),
                }
            }
            Ask::Destroy { sid, expect } => Answer::Destroyed(match self.held(sid, now) {
                None => Destroyed::Unknown,
                entry if !expected(entry, expect) => Destroyed::Conflict,
                _ => {
                    self.remove(sid);
                    Destroyed::Destroyed
                }
            }),
            Ask::Turn(_) | Ask::Change(_) | Ask::NewSid => Answer::Again,
        }
    }
}
