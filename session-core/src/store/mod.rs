//! The store contract.

pub(crate) mod default;
pub(crate) mod memory;
pub(crate) mod none;
pub(crate) mod sealed;
mod shard;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{error::StoreError, record::Record, record::cookie::Cookie, wire::sid::Sid};

/// **Store**: where records live. Four verbs, and these sentences are their contract; `session-testkit` has a test for each.
///
/// A store takes the client or pool that the application already has, keeps no state of its own beside the database, and
/// lets every error name it ([`StoreError`]) and show neither id nor data.
#[async_trait]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no session store",
    note = "a store is made by its own type, such as `MemoryStore::new()` or `RedisStore::open(url)?`, or by `open_store(url).await?`; one of your own implements `Store`"
)]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// The record, its version, and when the store will drop it.
    ///
    /// Absent or expired: `None`, and nothing is created or changed.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for what is stored and cannot be read, which is left as it is;
    /// [`StoreError::Unavailable`] when the database does not answer.
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError>;

    /// Writes, if what is held is still what `expect` says, in one atomic step; answers whether it was.
    ///
    /// Held until [`Cookie::held_until`] says, which is the cookie's `expires`, or where it has none the store's own time to live, and in any
    /// case no longer than the session may lie unused, or live at all. A store that
    /// counts in whole seconds rounds up or to the nearest, never down, and to all verbs alike. What has expired counts as
    /// nothing held, readable or not. A record that has expired itself, to the millisecond and with nothing left at all, is
    /// not written: nothing changes, and the answer is [`Set::Expired`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer; it may then be written or not.
    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError>;

    /// Moves the expiry to where [`set`](Self::set) would put it, later or earlier, and nothing else, if what is held is
    /// still what `expect` says: the data stay as they are, and so does the version. One atomic step: a write that comes
    /// between is not undone, and whoever named the version that was read before it learns of it.
    ///
    /// The cookie is the record's own with its end moved. A store may write it into the record or leave the one that is
    /// there: all attributes are held as before, and the lifetime is that of one of the two.
    ///
    /// Unknown sid: answers so, whatever was expected, and creates nothing. A cookie that has expired itself: nothing
    /// changes, and the answer is [`Touched::Expired`]. A store whose options leave touches out
    /// answers [`Touched::Skipped`], and its `get` that a touch would give nothing.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer; the expiry may then be moved or not.
    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError>;

    /// Forgets the record, if what is held is still what `expect` says, in one atomic step; answers what became of it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer; the record may then be gone or not.
    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError>;
}

/// Optional powers of a store, which sessions themselves never use: express-session's optional methods `length`, `all`,
/// `clear`, and what goes with them. None of them sees a record that has expired.
#[async_trait]
pub trait AdminStore: Store {
    /// The number of sessions.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn length(&self) -> Result<u64, StoreError>;

    /// Shows every sid to `visit`, in no order. Sessions that come or go meanwhile may be shown or not.
    ///
    /// # Errors
    /// When the database does not answer; some sids may have been shown by then.
    async fn ids(&self, visit: &mut (dyn FnMut(Sid) + Send)) -> Result<(), StoreError>;

    /// Shows every record to `visit`, in no order. One that cannot be read is passed over.
    ///
    /// # Errors
    /// When the database does not answer; some records may have been shown by then.
    async fn all(&self, visit: &mut (dyn FnMut(Sid, Record) + Send)) -> Result<(), StoreError>;

    /// Destroys every session. Dropped before its end, what is gone stays gone, and another call goes on with the rest.
    ///
    /// # Errors
    /// When the database does not answer; some sessions may be gone by then.
    async fn clear(&self) -> Result<(), StoreError>;

    /// Removes what has expired, and answers how many records that were. Zero where the database does it by itself. Dropped before
    /// its end, another call goes on with the rest.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn prune(&self) -> Result<u64, StoreError>;
}

/// What a store holds under a sid.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The record.
    pub record: Record,
    /// What a conditional write names.
    pub version: Version,
    /// How long the store will still hold it; `None`: for ever.
    pub left: Option<Duration>,
    /// How long it would hold it if it were touched now; `None`: for ever.
    pub lifetime: Option<Duration>,
}

/// **Version**: an opaque token of what a store held when it was read: a number, a text or a digest, as suits the store.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Version(Token);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Token {
    Number(u64),
    Text(Arc<str>),
}

impl Version {
    /// A store that counts its writes.
    #[must_use]
    pub fn from_number(number: u64) -> Self {
        Self(Token::Number(number))
    }

    /// A store that compares what it holds, or a digest of it.
    pub fn from_text(text: impl Into<Arc<str>>) -> Self {
        Self(Token::Text(text.into()))
    }

    /// The number it was made from; `None` for a text.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        match self.0 {
            Token::Number(number) => Some(number),
            Token::Text(_) => None,
        }
    }

    /// The text it was made from; `None` for a number.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.0 {
            Token::Number(_) => None,
            Token::Text(text) => Some(text),
        }
    }
}

/// Shows nothing: the text may be the record.
impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Version(…)")
    }
}

/// The condition of a write, of a touch or of a destruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Whatever is held, or nothing.
    Anything,
    /// Nothing is held: a new session.
    Nothing,
    /// What was read is still held.
    Version(Version),
}

/// What became of a conditional write.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
pub enum Set {
    /// It is written, and this is its version.
    Written(Version),
    /// Something else is held than was expected; nothing was written.
    Conflict,
    /// The record's cookie has expired by the store's clock; nothing was written, whatever is held.
    Expired,
}

/// What became of a touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
pub enum Touched {
    /// The expiry is moved.
    Moved,
    /// Something else is held than was expected; nothing was moved.
    Conflict,
    /// No such session.
    Unknown,
    /// The cookie has expired by the store's clock; nothing was moved, whatever is held.
    Expired,
    /// The store's options leave touches out (connect-redis: `disableTouch`): nothing was asked or moved, and nothing is known.
    Skipped,
}

/// What became of a destruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
pub enum Destroyed {
    /// The record that was held is gone. One that had expired and was not yet removed may be answered so as well.
    Destroyed,
    /// Something else is held than was expected, and it stays.
    Conflict,
    /// Nothing was held. Who asked for [`Expect::Nothing`] gets this answer when it is so.
    Unknown,
}

#[async_trait]
impl<S: Store + ?Sized> Store for Arc<S> {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        (**self).get(sid).await
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        (**self).set(sid, record, expect).await
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        (**self).touch(sid, cookie, expect).await
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        (**self).destroy(sid, expect).await
    }
}

#[async_trait]
impl<S: AdminStore + ?Sized> AdminStore for Arc<S> {
    async fn length(&self) -> Result<u64, StoreError> {
        (**self).length().await
    }

    async fn ids(&self, visit: &mut (dyn FnMut(Sid) + Send)) -> Result<(), StoreError> {
        (**self).ids(visit).await
    }

    async fn all(&self, visit: &mut (dyn FnMut(Sid, Record) + Send)) -> Result<(), StoreError> {
        (**self).all(visit).await
    }

    async fn clear(&self) -> Result<(), StoreError> {
        (**self).clear().await
    }

    async fn prune(&self) -> Result<u64, StoreError> {
        (**self).prune().await
    }
}
