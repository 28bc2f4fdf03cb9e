//! Stores around a store: one that fails when told to, one that notes what is called, one that waits.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use tokio::sync::Semaphore;

use crate::tasks::Tasks;

use session_core::{
    Cookie, Destroyed, Expect, Record, Set, Sid, Store, StoreError, Stored, Touched, async_trait,
};

/// What the errors of a [`FailingStore`] say: no response may contain it.
pub const CANARY: &str = "canary: connection refused by sessions.internal";

/// A store that works until it is told to fail.
#[derive(Debug)]
pub struct FailingStore<S> {
    store: S,
    reads: AtomicBool,
    next_read: AtomicBool,
    /// So many writes work yet.
    writes: AtomicUsize,
}

impl<S: Store> FailingStore<S> {
    /// Around a store. Nothing fails yet.
    pub fn new(store: S) -> Arc<Self> {
        let [reads, next_read] = [false; 2].map(AtomicBool::new);
        Arc::new(Self { store, reads, next_read, writes: AtomicUsize::new(usize::MAX) })
    }

    /// From now on `get` fails, or works again.
    pub fn fail_reads(&self, fail: bool) {
        self.reads.store(fail, Ordering::SeqCst);
    }

    /// The next `get` fails, and those after it work.
    pub fn fail_next_read(&self) {
        self.next_read.store(true, Ordering::SeqCst);
    }

    /// From now on `set`, `touch` and `destroy` fail, or work again.
    pub fn fail_writes(&self, fail: bool) {
        self.writes.store(if fail { 0 } else { usize::MAX }, Ordering::SeqCst);
    }

    /// So many calls of `set`, `touch` and `destroy` work yet, and then they fail.
    pub fn fail_writes_after(&self, writes: usize) {
        self.writes.store(writes, Ordering::SeqCst);
    }

    fn check_write(&self) -> Result<(), StoreError> {
        let left = |left: usize| if left == usize::MAX { Some(left) } else { left.checked_sub(1) };
        let written = self.writes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left);
        written.map(|_| ()).map_err(|_| StoreError::unavailable("failing", CANARY))
    }

    fn check_read(&self) -> Result<(), StoreError> {
        let fails = self.next_read.swap(false, Ordering::SeqCst) || self.reads.load(Ordering::SeqCst);
        if fails { Err(StoreError::unavailable("failing", CANARY)) } else { Ok(()) }
    }
}

#[async_trait]
impl<S: Store> Store for FailingStore<S> {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        self.check_read()?;
        self.store.get(sid).await
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        self.check_write()?;
        self.store.set(sid, record, expect).await
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        self.check_write()?;
        self.store.touch(sid, cookie, expect).await
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        self.check_write()?;
        self.store.destroy(sid, expect).await
    }
}

/// A verb that was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Call {
    Get,
    Set,
    Touch,
    Destroy,
}

/// A store that notes the verbs that are called: the round trips of a request.
#[derive(Debug)]
pub struct RecordingStore<S> {
    store: S,
    calls: Mutex<Vec<Call>>,
}

impl<S: Store> RecordingStore<S> {
    /// Around a store.
    pub fn new(store: S) -> Arc<Self> {
        Arc::new(Self { store, calls: Mutex::default() })
    }

    /// The verbs since this was asked last.
    pub fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, call: Call) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }
}

#[async_trait]
impl<S: Store> Store for RecordingStore<S> {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        self.note(Call::Get);
        self.store.get(sid).await
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        self.note(Call::Set);
        self.store.set(sid, record, expect).await
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        self.note(Call::Touch);
        self.store.touch(sid, cookie, expect).await
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        self.note(Call::Destroy);
        self.store.destroy(sid, expect).await
    }
}

/// A store whose writes wait until it is opened, and its reads if they are told to.
#[derive(Debug)]
pub struct GatedStore<S> {
    store: S,
    gate: Semaphore,
    reads: AtomicBool,
    others_pass: AtomicBool,
    waiting: AtomicUsize,
    tasks: Tasks,
}

impl<S: Store> GatedStore<S> {
    /// Around a store, closed.
    pub fn new(store: S) -> Arc<Self> {
        let [reads, others_pass] = [false; 2].map(AtomicBool::new);
        let (gate, waiting) = (Semaphore::new(0), AtomicUsize::new(0));
        Arc::new(Self { store, gate, reads, others_pass, waiting, tasks: Tasks::default() })
    }

    /// Around a store; reads wait as well.
    pub fn new_for_reads(store: S) -> Arc<Self> {
        let gated = Self::new(store);
        gated.reads.store(true, Ordering::SeqCst);
        gated
    }

    /// Whether a call waits now.
    pub fn is_waited_at(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// A call waits in another task than the one that began it.
    pub fn has_moved(&self) -> bool {
        self.tasks.have_changed()
    }

    /// Those who wait go on waiting, and nobody else does.
    pub(crate) fn let_others_pass(&self) {
        self.others_pass.store(true, Ordering::SeqCst);
    }

    /// Lets every write through that waits, and every later one.
    pub fn open(&self) {
        self.gate.close();
    }

    async fn pass(&self) {
        struct Waiting<'a>(&'a AtomicUsize);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        if self.others_pass.load(Ordering::SeqCst) {
            return;
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waiting = Waiting(&self.waiting);
        // A closed semaphore is an open gate.
        _ = self.tasks.with(self.gate.acquire()).await;
    }
}

#[async_trait]
impl<S: Store> Store for GatedStore<S> {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        if self.reads.load(Ordering::SeqCst) {
            self.pass().await;
        }
        self.store.get(sid).await
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        self.pass().await;
        self.store.set(sid, record, expect).await
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        self.pass().await;
        self.store.touch(sid, cookie, expect).await
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        self.pass().await;
        self.store.destroy(sid, expect).await
    }
}
