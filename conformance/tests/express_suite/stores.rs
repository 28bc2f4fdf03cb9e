//! Stores that an application could have written.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use express_session::{
    Cookie, Destroyed, Expect, MemoryStore, Record, Set, Sid, Store, StoreError, Stored, Touched, Version,
    async_trait,
};

/// A store whose verbs can be made to fail, all or one.
#[derive(Debug, Default)]
pub(crate) struct Faulty {
    memory: MemoryStore,
    broken: Mutex<Vec<&'static str>>,
}

pub(crate) const ALL_VERBS: [&str; 4] = ["get", "set", "touch", "destroy"];

impl Faulty {
    pub(crate) fn break_down(&self, verbs: &[&'static str]) {
        *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = verbs.to_vec();
    }

    pub(crate) fn repair(&self) {
        self.break_down(&[]);
    }

    fn called(&self, verb: &str) -> Result<(), StoreError> {
        let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner).contains(&verb);
        if broken { Err(StoreError::unavailable("faulty", "boom!")) } else { Ok(()) }
    }
}

#[async_trait]
impl Store for Faulty {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        self.called("get")?;
        self.memory.get(sid).await
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        self.called("set")?;
        self.memory.set(sid, record, expect).await
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        self.called("touch")?;
        self.memory.touch(sid, cookie, expect).await
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        self.called("destroy")?;
        self.memory.destroy(sid, expect).await
    }
}

/// The least that a store can be: JSON texts in a map, held for ever. It answers at once, without ever waiting.
#[derive(Debug, Default)]
pub(crate) struct TextStore {
    texts: Mutex<HashMap<String, String>>,
    forgetful: AtomicBool,
}

impl TextStore {
    /// Stores any text, as another program might.
    pub(crate) fn put(&self, sid: &str, text: &str) {
        self.with(|texts| texts.insert(sid.into(), text.into()));
    }

    pub(crate) fn text(&self, sid: &str) -> Option<String> {
        self.with(|texts| texts.get(sid).cloned())
    }

    /// From now on it finds nothing, whatever it holds.
    pub(crate) fn find_nothing(&self) {
        self.forgetful.store(true, Ordering::SeqCst);
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<String, String>) -> T) -> T {
        act(&mut self.texts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Store for TextStore {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        let Some(text) = self.text(sid.as_str()) else { return Ok(None) };
        if self.forgetful.load(Ordering::SeqCst) {
            return Ok(None);
        }
        let record = Record::parse(text.as_str()).map_err(|error| StoreError::corrupt("text", error))?;
        Ok(Some(Stored { record, version: Version::from_text(text), left: None, lifetime: None }))
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        let text = record.to_json();
        Ok(self.with(|texts| {
            let held = texts.get(sid.as_str()).map(String::as_str);
            let expected = match expect {
                Expect::Anything => true,
                Expect::Nothing => held.is_none(),
                Expect::Version(version) => held == version.text(),
            };
            if !expected {
                return Set::Conflict;
            }
            texts.insert(sid.as_str().into(), text.clone());
            Set::Written(Version::from_text(text))
        }))
    }

    async fn touch(&self, sid: &Sid, _: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        Ok(match (self.text(sid.as_str()), expect) {
            (None, _) => Touched::Unknown,
            (Some(_), Expect::Anything) => Touched::Moved,
            (Some(held), Expect::Version(version)) if version.text() == Some(&held) => Touched::Moved,
            (Some(_), Expect::Nothing | Expect::Version(_)) => Touched::Conflict,
        })
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        Ok(self.with(|texts| {
            let Some(held) = texts.get(sid.as_str()) else { return Destroyed::Unknown };
            let expected = match expect {
                Expect::Anything => true,
                Expect::Nothing => false,
                Expect::Version(version) => version.text() == Some(held.as_str()),
            };
            if !expected {
                return Destroyed::Conflict;
            }
            texts.remove(sid.as_str());
            Destroyed::Destroyed
        }))
    }
}
