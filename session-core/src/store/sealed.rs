//! Records that the database cannot read.

use std::{fmt, sync::Arc, time::SystemTime};

use async_trait::async_trait;

use super::{AdminStore, Destroyed, Expect, Set, Store, Stored, Touched};
use crate::{
    error::{OptionsError, StoreError},
    record::{
        Record,
        cookie::{Cookie, Differing},
        data::Data,
    },
    wire::{
        date,
        seal::{Purpose, Sealer, SealingKeys},
        sid::Sid,
    },
};

/// The key under which a sealed record has all of its data.
const KEY: &str = "sealed";

/// A store whose database sees no data: each record is sealed with its id before it is written, by XAES-256-GCM under keys that HKDF makes of
/// the secrets. Who can read the database sees ids, the cookie's attributes and when sessions end; who can write to it can end a session or
/// lengthen it, and can make none, change none, and put none in another one's place. (An older copy of a session's own record it can put
/// back.) Conditional writes, merging and touches are the store's, as without.
///
/// Express servers cannot read such records: to them a session has one key, `sealed`.
///
/// ```
/// use session_core::{MemoryStore, Options, Sealed};
///
/// let secret = [7; 32]; // from the environment, say
/// let store = Sealed::new(MemoryStore::new(), secret)?;
/// let sessions = Options::new("keyboard cat").store(store).build()?;
/// # Ok::<(), session_core::OptionsError>(())
/// ```
///
/// **A table that has records already**: with [`also_reads_plain`](Self::also_reads_plain) what is not sealed is read as it is, and sealed when
/// it is written next. What is only read stays as it is, so seal the rest by [`reseal`](Self::reseal), and take the option out again: as
/// long as it is set, who can write to the database can make sessions. So it is with a secret that shall go.
#[derive(Clone)]
pub struct Sealed<S> {
    store: S,
    sealer: Arc<Sealer>,
    reads_plain: bool,
}

impl<S> Sealed<S> {
    /// Around a store. Of several secrets the first seals and all open: a record that an older one has sealed is sealed by the first when it is
    /// written next.
    ///
    /// # Errors
    /// A secret is missing, or has fewer than 32 bytes.
    pub fn new(store: S, secrets: impl Into<SealingKeys>) -> Result<Self, OptionsError> {
        let secrets = secrets.into();
        match secrets.refusal() {
            Some(reason) => Err(OptionsError { option: "secrets", reason }),
            None => {
                let sealer = Arc::new(Sealer::new(&secrets, Purpose::Record));
                Ok(Self { store, sealer, reads_plain: false })
            }
        }
    }

    /// Whether records that are not sealed are read as they are, for as long as there are any. What looks like a sealed one is none of these,
    /// also where its secret is not known any more. Default: they are [corrupt](StoreError::Corrupt).
    #[must_use]
    pub fn also_reads_plain(self, reads_plain: bool) -> Self {
        Self { reads_plain, ..self }
    }

    /// The store inside.
    pub fn store(&self) -> &S {
        &self.store
    }

    fn seal(&self, sid: &Sid, record: &Record) -> Record {
        let sealed = self.sealer.seal(record.to_json().as_bytes(), sid.as_str());
        let mut data = Data::new();
        data.insert(KEY, format!("\"{sealed}\"").into());
        Record::new(record.cookie.clone(), data)
    }

    /// `None`: it is not ours. And whether it is sealed, and by the first secret.
    fn open(&self, sid: &Sid, record: Record) -> Option<(Record, bool)> {
        let Some(sealed) = sealed_in(&record) else {
            // One that Express has added a key to has lost nothing, and may not be taken for a plain one.
            // So of a secret that is not among ours any more.
            let is_sealed = |text: &str| self.sealer.knows(text) || Sealer::may_have_made(text);
            let has_one = record.data.get(KEY).and_then(text_of).is_some_and(is_sealed);
            return (self.reads_plain && !has_one).then_some((record, false));
        };
        // Of a secret that is not among ours any more it may be.
        if self.reads_plain && !Sealer::may_have_made(sealed) {
            return Some((record, false));
        }
        let opened = self.sealer.open(sealed, sid.as_str())?;
        let is_current = !opened.by_older;
        let mut inner = Record::parse(std::str::from_utf8(&opened.text).ok()?).ok()?;
        // A touch moves the end alone, and that it may write outside.
        inner.cookie = inner.cookie.with(Differing::LIFETIME, record.cookie);
        Some((inner, is_current))
    }
}

/// The text that may be sealed of a record that has nothing else.
fn sealed_in(record: &Record) -> Option<&str> {
    let mut members = record.data.iter();
    match (members.next(), members.next()) {
        (Some((KEY, json)), None) => text_of(json).filter(|text| text.starts_with('A')),
        _ => None,
    }
}

/// Of a JSON string without escapes.
fn text_of(json: &str) -> Option<&str> {
    json.strip_prefix('"')?.strip_suffix('"')
}

impl<S: AdminStore> Sealed<S> {
    /// Seals each record that is plain (with [`also_reads_plain`](Self::also_reads_plain)) or was sealed by an older secret, where nobody else
    /// writes to it meanwhile: the session that its owner has is as it was, but that a touch in the same moment may be undone. Answers how many that were, and were to be: call it until it answers zero. Their ids
    /// are held in memory. Dropped or failed, another call goes on with the rest.
    ///
    /// ```
    /// # use session_core::{MemoryStore, Sealed, StoreError};
    /// async fn migrate(store: &Sealed<MemoryStore>) -> Result<(), StoreError> {
    ///     while store.reseal().await? > 0 {}
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reseal(&self) -> Result<u64, StoreError> {
        let mut sids = Vec::new();
        let mut look = |sid: Sid, record| {
            if let Some((_, false)) = self.open(&sid, record) {
                sids.push(sid);
            }
        };
        self.store.all(&mut look).await?;
        let mut sealed = 0;
        for sid in sids {
            let Some(Stored { record, version, left, .. }) = self.store.get(&sid).await? else { continue };
            let Some((mut record, false)) = self.open(&sid, record) else { continue };
            // A touch may have moved its end beside the record.
            if let Some(left) = left {
                let end = date::from_system(SystemTime::now() + left);
                match record.cookie.expires() {
                    Some(_) => record.cookie.ends_at(end),
                    None => record.cookie.held_to(Some(end)),
                }
            }
            let set = self.store.set(&sid, &self.seal(&sid, &record), &Expect::Version(version)).await?;
            sealed += u64::from(matches!(set, Set::Written(_) | Set::Conflict));
        }
        Ok(sealed)
    }
}

#[async_trait]
impl<S: Store> Store for Sealed<S> {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        let Some(stored) = self.store.get(sid).await? else { return Ok(None) };
        match self.open(sid, stored.record) {
            Some((record, _)) => Ok(Some(Stored { record, ..stored })),
            None => Err(StoreError::corrupt(
                "sealed",
                "it is not sealed, or by another secret, or for another id",
            )),
        }
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        self.store.set(sid, &self.seal(sid, record), expect).await
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        self.store.touch(sid, cookie, expect).await
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        self.store.destroy(sid, expect).await
    }
}

#[async_trait]
impl<S: AdminStore> AdminStore for Sealed<S> {
    async fn length(&self) -> Result<u64, StoreError> {
        self.store.length().await
    }

    async fn ids(&self, visit: &mut (dyn FnMut(Sid) + Send)) -> Result<(), StoreError> {
        self.store.ids(visit).await
    }

    async fn all(&self, visit: &mut (dyn FnMut(Sid, Record) + Send)) -> Result<(), StoreError> {
        let mut open = |sid: Sid, record| {
            if let Some((record, _)) = self.open(&sid, record) {
                visit(sid, record);
            }
        };
        self.store.all(&mut open).await
    }

    async fn clear(&self) -> Result<(), StoreError> {
        self.store.clear().await
    }

    async fn prune(&self) -> Result<u64, StoreError> {
        self.store.prune().await
    }
}

impl<S: fmt::Debug> fmt::Debug for Sealed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed")
            .field("store", &self.store)
            .field("reads_plain", &self.reads_plain)
            .finish_non_exhaustive()
    }
}
