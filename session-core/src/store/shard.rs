//! One shard of the memory store: a slab of records, an index over it, and the order of their use.
//!
//! A session costs one allocation, of its sid and record, and some fifty bytes beside it.

use hashbrown::HashTable;

use crate::wire::date::Millis;

/// The expiry of what is held for ever.
pub(crate) const NEVER: Millis = Millis::MAX;

/// No slot.
const NIL: u32 = u32::MAX;

pub(crate) struct Shard {
    /// Slots by the hash of their sid.
    index: HashTable<u32>,
    slots: Vec<Slot>,
    /// The first of the empty slots, chained by `older`.
    free: u32,
    newest: u32,
    oldest: u32,
    limit: usize,
    /// Where the sweep goes on.
    hand: usize,
}

struct Slot {
    /// The sid, then the record. Empty: a free slot.
    text: Box<str>,
    sid_length: u32,
    newer: u32,
    older: u32,
    expires: Millis,
    version: u64,
}

/// What the shard holds under a sid.
pub(crate) struct Held<'a> {
    pub(crate) record: &'a str,
    pub(crate) expires: Millis,
    pub(crate) version: u64,
}

impl Shard {
    /// Holds at most so many, and one in any case.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            index: HashTable::new(),
            slots: Vec::new(),
            free: NIL,
            newest: NIL,
            oldest: NIL,
            limit: limit.max(1),
            hand: 0,
        }
    }

    /// What is held and has not expired. It is now the most recently used.
    pub(crate) fn get(&mut self, hash: u64, sid: &str, now: Millis) -> Option<Held<'_>> {
        let at = self.find(hash, sid)?;
        if self.slot(at).expires <= now {
            self.remove(hash, sid);
            return None;
        }
        if self.limit != usize::MAX {
            self.unlink(at);
            self.link_newest(at);
        }
        Some(self.slot(at).held())
    }

    /// Holds a record, in place of an earlier one or, when the shard is full, of the least recently used.
    pub(crate) fn put(
        &mut self,
        hash: u64,
        sid: &str,
        record: &str,
        expires: Millis,
        version: u64,
        rehash: &impl Fn(&str) -> u64,
    ) {
        let text = [sid, record].concat().into_boxed_str();
        if let Some(at) = self.find(hash, sid) {
            let slot = &mut self.slots[at as usize];
            (slot.text, slot.expires, slot.version) = (text, expires, version);
            return;
        }
        if self.index.len() >= self.limit {
            self.remove_slot(self.oldest, rehash);
        }
        let sid_length = u32::try_from(sid.len()).unwrap_or(u32::MAX);
        let slot = Slot { text, sid_length, newer: NIL, older: NIL, expires, version };
        let at = self.place(slot);
        self.link_newest(at);
        let slots = &self.slots;
        self.index.insert_unique(hash, at, |&at| rehash(slots[at as usize].sid()));
    }

    pub(crate) fn remove(&mut self, hash: u64, sid: &str) {
        let slots = &self.slots;
        if let Ok(entry) = self.index.find_entry(hash, |&at| slots[at as usize].sid() == sid) {
            let (at, _) = entry.remove();
            self.empty(at);
        }
    }

    /// Looks at the next `count` slots and drops what has expired.
    pub(crate) fn sweep(&mut self, count: usize, now: Millis, rehash: &impl Fn(&str) -> u64) {
        for _ in 0..count.min(self.slots.len()) {
            self.hand = (self.hand + 1) % self.slots.len();
            if self.slots[self.hand].has_expired(now) {
                self.remove_slot(u32::try_from(self.hand).unwrap_or(NIL), rehash);
            }
        }
    }

    /// Drops all that has expired, and answers how much that was.
    pub(crate) fn prune(&mut self, now: Millis, rehash: &impl Fn(&str) -> u64) -> u64 {
        let before = self.index.len();
        self.sweep(self.slots.len(), now, rehash);
        (before - self.index.len()) as u64
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.limit);
    }

    /// Sids and what is held under them, without what has expired.
    pub(crate) fn iter(&self, now: Millis) -> impl Iterator<Item = (&str, Held<'_>)> {
        let held = move |slot: &&Slot| !slot.text.is_empty() && slot.expires > now;
        self.slots.iter().filter(held).map(|slot| (slot.sid(), slot.held()))
    }

    fn find(&self, hash: u64, sid: &str) -> Option<u32> {
        self.index.find(hash, |&at| self.slot(at).sid() == sid).copied()
    }

    fn slot(&self, at: u32) -> &Slot {
        &self.slots[at as usize]
    }

    fn place(&mut self, slot: Slot) -> u32 {
        if self.free == NIL {
            self.slots.push(slot);
            return u32::try_from(self.slots.len() - 1).unwrap_or(NIL);
        }
        let at = self.free;
        self.free = self.slot(at).older;
        self.slots[at as usize] = slot;
        at
    }

    fn remove_slot(&mut self, at: u32, rehash: &impl Fn(&str) -> u64) {
        let hash = rehash(self.slot(at).sid());
        if let Ok(entry) = self.index.find_entry(hash, |&other| other == at) {
            entry.remove();
            self.empty(at);
        }
    }

    fn empty(&mut self, at: u32) {
        self.unlink(at);
        let slot = &mut self.slots[at as usize];
        slot.text = Box::default();
        slot.sid_length = 0;
        slot.older = self.free;
        self.free = at;
    }

    fn link_newest(&mut self, at: u32) {
        let second = std::mem::replace(&mut self.newest, at);
        self.slots[at as usize].older = second;
        self.slots[at as usize].newer = NIL;
        match second {
            NIL => self.oldest = at,
            second => self.slots[second as usize].newer = at,
        }
    }

    fn unlink(&mut self, at: u32) {
        let (newer, older) = (self.slot(at).newer, self.slot(at).older);
        match newer {
            NIL => self.newest = older,
            newer => self.slots[newer as usize].older = older,
        }
        match older {
            NIL => self.oldest = newer,
            older => self.slots[older as usize].newer = newer,
        }
    }
}

impl Slot {
    fn sid(&self) -> &str {
        self.text.get(..self.sid_length as usize).unwrap_or_default()
    }

    fn held(&self) -> Held<'_> {
        let record = self.text.get(self.sid_length as usize..).unwrap_or_default();
        Held { record, expires: self.expires, version: self.version }
    }

    fn has_expired(&self, now: Millis) -> bool {
        !self.text.is_empty() && self.expires <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(sid: &str) -> u64 {
        sid.bytes().fold(7, |hash, byte| hash * 31 + u64::from(byte))
    }

    fn put(shard: &mut Shard, sid: &str, expires: Millis) {
        shard.put(hash(sid), sid, "record", expires, 0, &hash);
    }

    fn holds(shard: &mut Shard, sid: &str, now: Millis) -> bool {
        shard.get(hash(sid), sid, now).is_some()
    }

    #[test]
    fn a_list_leaves_out_what_ends_now() {
        let mut shard = Shard::new(10);
        put(&mut shard, "a", 1_000);
        assert_eq!([999, 1_000, 1_001].map(|now| shard.iter(now).count()), [1, 0, 0]);
    }

    #[test]
    fn the_least_recently_used_goes_when_it_is_full() {
        let mut shard = Shard::new(3);
        ["a", "b", "c"].iter().for_each(|sid| put(&mut shard, sid, NEVER));
        assert!(holds(&mut shard, "a", 0), "a read is a use");
        put(&mut shard, "d", NEVER);
        assert!(!holds(&mut shard, "b", 0));
        put(&mut shard, "e", NEVER);
        assert!(!holds(&mut shard, "c", 0));
        assert_eq!(shard.iter(0).count(), 3);
        assert!(["a", "d", "e"].iter().all(|sid| holds(&mut shard, sid, 0)));
    }

    #[test]
    fn what_has_expired_is_swept_as_others_are_written_and_its_room_is_used_again() {
        let mut shard = Shard::new(usize::MAX);
        (0..100).for_each(|at| put(&mut shard, &format!("short{at}"), 10));
        for at in 0..50 {
            shard.sweep(2, 20, &hash);
            put(&mut shard, &format!("long{at}"), NEVER);
        }
        assert_eq!(shard.index.len(), 50);
        assert_eq!(shard.slots.len(), 100);
        assert!((0..50).all(|at| holds(&mut shard, &format!("long{at}"), 20)));
    }

    /// Against a plain map: whatever is put, read, removed and swept in whatever order.
    #[test]
    fn it_holds_what_a_map_would_hold() {
        let mut shard = Shard::new(usize::MAX);
        let mut map = std::collections::HashMap::new();
        let mut random = 1_u64;
        for now in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let sid = (random >> 33).rem_euclid(200).to_string();
            match (random >> 50) % 4 {
                0 | 1 => {
                    put(&mut shard, &sid, now + 500);
                    map.insert(sid, now + 500);
                }
                2 => {
                    shard.remove(hash(&sid), &sid);
                    map.remove(&sid);
                }
                _ => {
                    shard.sweep(2, now, &hash);
                    assert_eq!(holds(&mut shard, &sid, now), map.get(&sid).is_some_and(|end| *end > now));
                }
            }
        }
        map.retain(|_, end| *end > 20_000);
        assert_eq!(shard.iter(20_000).count(), map.len());
        shard.prune(20_000, &hash);
        assert_eq!(shard.index.len(), map.len());
    }
}
