//! The four verbs.

use std::fmt;

use redis::{Pipeline, RedisResult, cmd, pipe};
use session_core::{Cookie, Expect, Record, Set, Sid, Store, StoreError, Stored, Touched, Version, async_trait};

use crate::{
    call::{Call, broke},
    connection::Connection,
    error::{corrupt, failed},
    options::{Hold, Settings},
    script,
};

/// Sessions in Redis, as connect-redis keeps them: a string under `sess:` and the sid, with the JSON text of the record
/// and a time to live.
///
/// See the [crate's page](crate) for a runnable example. The setters are connect-redis's options.
pub struct RedisStore {
    pub(crate) connection: Connection,
    pub(crate) settings: Settings,
}

impl RedisStore {
    /// On what the application already has: a [`redis::Client`], or one of the others that [`Connection`] is made from.
    ///
    /// A client is connected when the first session is asked for, and again whenever its connection broke. All requests
    /// share that connection.
    ///
    /// ```
    /// use store_redis::{RedisStore, redis::Client};
    ///
    /// let store = RedisStore::new(Client::open("redis://127.0.0.1:6379/1")?).prefix("shop:");
    /// # Ok::<(), store_redis::redis::RedisError>(())
    /// ```
    pub fn new(connection: impl Into<Connection>) -> Self {
        Self { connection: connection.into(), settings: Settings::default() }
    }

    /// On the server at a URL: `redis://user:password@host:port/database`, `redis+unix:///path?db=database`, or with the
    /// feature `tls` `rediss://…`. Nothing is connected yet: a server that is down harms only what needs a session.
    ///
    /// # Errors
    /// The URL is none of these.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        redis::Client::open(url).map(Self::new).map_err(failed)
    }

    pub(crate) fn call(&self) -> Call<'_> {
        Call::new(&self.connection, self.settings.timeout)
    }

    pub(crate) fn key(&self, sid: &Sid) -> String {
        format!("{}{}", self.settings.prefix, sid.as_str())
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        let key = self.key(sid);
        let commands = pipe().cmd("GET").arg(&key).cmd("PTTL").arg(&key).to_owned();
        let (held, left): (Option<Vec<u8>>, i64) = self.call().send(&commands).await.map_err(failed)?;
        match held {
            Some(text) if !text.is_empty() => self.settings.stored(text, left).map(Some),
            _ => Ok(None),
        }
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        let (call, key) = (self.call(), self.key(sid));
        let (hold, text) = (self.settings.hold(&record.cookie), record.to_json());
        let written = match (expect, hold.expiry()) {
            (Expect::Anything, Some(expiry)) => call.send(&set(&key, &text, expiry, None)).await.map(|()| true),
            (Expect::Anything, None) => call.send(&del(&key)).await.map(|()| true),
            (Expect::Nothing, Some(expiry)) => create(&call, &key, &text, expiry).await,
            (Expect::Nothing, None) => exists(&call, &key).await.map(|exists| !exists),
            (Expect::Version(version), Some(expiry)) => {
                script::set_if(&call, &key, version, Some((&text, expiry))).await
            }
            (Expect::Version(version), None) => script::set_if(&call, &key, version, None).await,
        };
        Ok(match written.map_err(failed)? {
            true => Set::Written(script::version(text.as_bytes())),
            false => Set::Conflict,
        })
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie) -> Result<Touched, StoreError> {
        let seconds = match self.settings.touch(cookie) {
            // Whether the session is still there would be a round trip, to save which is what the option is for.
            None | Some(Hold::ForEver) => return Ok(Touched::Moved),
            Some(Hold::Over) => 0,
            Some(Hold::Seconds(seconds)) => seconds,
        };
        let expire = pipe().cmd("EXPIRE").arg(self.key(sid)).arg(seconds).to_owned();
        let (moved,): (bool,) = self.call().send(&expire).await.map_err(failed)?;
        Ok(if moved { Touched::Moved } else { Touched::Unknown })
    }

    async fn destroy(&self, sid: &Sid) -> Result<(), StoreError> {
        self.call().send(&del(&self.key(sid))).await.map_err(failed)
    }
}
