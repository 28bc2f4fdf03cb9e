//! A store that remembers in which order it was asked for what.

use std::sync::{Arc, Mutex, PoisonError};

use express_session::{
    Cookie, Destroyed, Expect, MemoryStore, Record, Set, Sid, Store, StoreError, Stored, Touched, async_trait,
};

/// Over a [`MemoryStore`].
#[derive(Debug)]
pub(crate) struct Recorder {
    memory: Arc<MemoryStore>,
    touches: bool,
    calls: Mutex<Vec<&'static str>>,
}

impl Recorder {
    pub(crate) fn new(memory: Arc<MemoryStore>) -> Self {
        Self { memory, touches: true, calls: Mutex::default() }
    }

    /// As a store of Node without the method `touch`: every store here has the verb, so it does nothing and is not
    /// remembered.
    pub(crate) fn without_touch(self) -> Self {
        Self { touches: false, ..self }
    }

    /// The verbs since this was last asked.
    pub(crate) fn take_calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn called(&self, verb: &'static str) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(verb);
    }
}

#[async_trait]
impl Store for Recorder {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        self.called("get");
        self.memory.get(sid).await
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        self.called("set");
        self.memory.set(sid, record, expect).await
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        if !self.touches {
            return Ok(Touched::Skipped);
        }
        self.called("touch");
        self.memory.touch(sid, cookie, expect).await
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        self.called("destroy");
        self.memory.destroy(sid, expect).await
    }
}
