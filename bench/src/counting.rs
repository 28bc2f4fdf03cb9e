use std::sync::atomic::{AtomicU32, Ordering};

use session_core::{
    Cookie, Destroyed, Expect, MemoryStore, Record, Set, Sid, Store, StoreError, Stored, Touched, async_trait,
};

/// A memory store that counts what it is asked: each is a round trip where the store is a database.
#[derive(Debug, Default)]
pub struct Counting {
    store: MemoryStore,
    get: AtomicU32,
    set: AtomicU32,
    touch: AtomicU32,
    destroy: AtomicU32,
}

/// How often each verb was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trips {
    /// `get`
    pub get: u32,
    /// `set`
    pub set: u32,
    /// `touch`
    pub touch: u32,
    /// `destroy`
    pub destroy: u32,
}

impl Counting {
    /// Over this store.
    #[must_use]
    pub fn over(store: MemoryStore) -> Self {
        Self { store, ..Self::default() }
    }

    /// What was asked since this was called last.
    pub fn take(&self) -> Trips {
        let take = |count: &AtomicU32| count.swap(0, Ordering::Relaxed);
        Trips {
            get: take(&self.get),
            set: take(&self.set),
            touch: take(&self.touch),
            destroy: take(&self.destroy),
        }
    }
}

#[async_trait]
impl Store for Counting {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        self.get.fetch_add(1, Ordering::Relaxed);
        self.store.get(sid).await
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        self.set.fetch_add(1, Ordering::Relaxed);
        self.store.set(sid, record, expect).await
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        self.touch.fetch_add(1, Ordering::Relaxed);
        self.store.touch(sid, cookie, expect).await
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        self.destroy.fetch_add(1, Ordering::Relaxed);
        self.store.destroy(sid, expect).await
    }
}
