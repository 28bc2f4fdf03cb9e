//! Where keys stand, for data that have so many that looking through them would be slow.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

/// Up to so many keys, looking through them costs no more.
pub(super) const MANY: usize = 64;

/// Places of keys, which stand in the data alone.
pub(super) struct Index {
    places: HashTable<usize>,
    hasher: DefaultHashBuilder,
}

impl Index {
    pub(super) fn of<'a>(keys: impl ExactSizeIterator<Item = &'a str>) -> Self {
        let hasher = DefaultHashBuilder::default();
        let mut places = HashTable::with_capacity(2 * keys.len());
        for (at, key) in keys.enumerate() {
            // There is room for all.
            places.insert_unique(hasher.hash_one(key), at, |_| 0);
        }
        Self { places, hasher }
    }

    pub(super) fn find<'a>(&self, key: &str, key_at: impl Fn(usize) -> &'a str) -> Option<usize> {
        self.places.find(self.hasher.hash_one(key), |at| key_at(*at) == key).copied()
    }

    /// A key that was not there comes last.
    pub(super) fn push<'a>(&mut self, key: &str, at: usize, key_at: impl Fn(usize) -> &'a str) {
        let Self { places, hasher } = self;
        places.insert_unique(hasher.hash_one(key), at, |at| hasher.hash_one(key_at(*at)));
    }
}
