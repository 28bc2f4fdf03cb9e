//! The four verbs.

use std::fmt;

use redis::{Cmd, RedisResult, cmd, pipe};
use session_core::{
    Cookie, Destroyed, Expect, Record, Set, Sid, Store, StoreError, Stored, Touched, Version, async_trait,
};

use crate::{
    call::{Call, broke},
    connection::Connection,
    error::failed,
    options::{Hold, Settings},
    script::{self, Found, if_version, version_of},
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
    /// feature `tls` `rediss://…`; for Valkey, the same or `valkey://`, `valkey+unix://`, `valkeys://`. Nothing is connected yet: a server that is down harms only what needs a session.
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
        let (call, key) = (self.call(), self.key(sid));
        // Of one moment: what is left belongs to this text.
        let read = if self.connection.is_cluster() {
            script::read(&call, &key).await
        } else {
            let mut commands = pipe();
            commands.atomic().cmd("GET").arg(&key).cmd("PTTL").arg(&key);
            let read: RedisResult<(Option<Vec<u8>>, i64)> = call.send(&commands).await;
            read.map(|(text, left)| text.zip(Some(left)))
        };
        match read.map_err(failed)? {
            // It may expire between the two commands all the same.
            Some((_, left)) if left == NO_KEY => Ok(None),
            Some((text, left)) if !text.is_empty() => self.settings.stored(text, left).map(Some),
            _ => Ok(None),
        }
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        let hold = self.settings.hold(&record.cookie);
        if hold == Hold::Expired {
            return Ok(Set::Expired);
        }
        let (call, key, text) = (self.call(), self.key(sid), self.settings.text(record.to_json())?);
        let written = match expect {
            Expect::Anything => call.send(&set(&key, &text, hold)).await.map(|()| true),
            Expect::Nothing => create(&call, &key, &text, hold).await,
            Expect::Version(version) => {
                let set = |command: &mut Cmd| value(command.arg("SET"), &text, hold);
                let found = if_version(&call, &key, version, set).await;
                found.map(|found| found == Found::Version)
            }
        };
        Ok(if written.map_err(failed)? { Set::Written(version_of(&text)) } else { Set::Conflict })
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        let (call, key, touches) = (self.call(), self.key(sid), self.settings.touches());
        let found = match (self.settings.hold(cookie), expect) {
            (Hold::Expired, _) => return Ok(Touched::Expired),
            (_, Expect::Nothing) => look(&call, &key).await,
            (Hold::Seconds(seconds), Expect::Anything) if touches => {
                let moved: RedisResult<bool> = call.send(cmd("EXPIRE").arg(&key).arg(seconds)).await;
                moved.map(|moved| if moved { Found::Version } else { Found::Nothing })
            }
            (Hold::Seconds(seconds), Expect::Version(version)) if touches => {
                expire_if(&call, &key, version, seconds).await
            }
            // Whether the session is there at all, and as it was read, would be a round trip, to save which these options
            // are for.
            (Hold::Seconds(_) | Hold::ForEver, _) => return Ok(Touched::Skipped),
        };
        Ok(match found.map_err(failed)? {
            Found::Version => Touched::Moved,
            Found::Other => Touched::Conflict,
            Found::Nothing => Touched::Unknown,
        })
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        let (call, key) = (self.call(), self.key(sid));
        let found = match expect {
            Expect::Anything => {
                // Once: a second attempt would find nothing where the first one has deleted.
                let deleted: RedisResult<bool> = call.send_once(&del(&key)).await;
                deleted.map(|deleted| if deleted { Found::Version } else { Found::Nothing })
            }
            Expect::Nothing => look(&call, &key).await,
            Expect::Version(version) => {
                if_version(&call, &key, version, |command| _ = command.arg("DEL")).await
            }
        };
        Ok(match found.map_err(failed)? {
            Found::Version => Destroyed::Destroyed,
            Found::Other => Destroyed::Conflict,
            Found::Nothing => Destroyed::Unknown,
        })
    }
}

/// What `PTTL` answers for a key that is not there.
const NO_KEY: i64 = -2;

fn set(key: &str, text: &[u8], hold: Hold) -> Cmd {
    let mut command = cmd("SET");
    value(command.arg(key), text, hold);
    command
}

/// SET's arguments after the key.
fn value(command: &mut Cmd, text: &[u8], hold: Hold) {
    command.arg(text);
    if let Hold::Seconds(seconds) = hold {
        command.arg("EX").arg(seconds);
    }
}

fn del(key: &str) -> Cmd {
    let mut command = cmd("DEL");
    command.arg(key);
    command
}

/// Moves the expiry of what is held of that version.
async fn expire_if(call: &Call<'_>, key: &str, version: &Version, seconds: u64) -> RedisResult<Found> {
    let expire = || if_version(call, key, version, |command| _ = command.arg("EXPIRE").arg(seconds));
    match expire().await {
        // The first attempt, if it was done, left the version as it was.
        Err(error) if broke(&error) => expire().await,
        found => found,
    }
}

/// For who expects nothing: whatever is held is something else.
async fn look(call: &Call<'_>, key: &str) -> RedisResult<Found> {
    let exists: RedisResult<bool> = call.send(cmd("EXISTS").arg(key)).await;
    exists.map(|exists| if exists { Found::Other } else { Found::Nothing })
}

async fn is_held(call: &Call<'_>, key: &str, text: &[u8]) -> RedisResult<bool> {
    let held: Option<Vec<u8>> = call.send(cmd("GET").arg(key)).await?;
    Ok(held.as_deref() == Some(text))
}

/// Writes where nothing is held.
async fn create(call: &Call<'_>, key: &str, text: &[u8], hold: Hold) -> RedisResult<bool> {
    let mut command = set(key, text, hold);
    command.arg("NX");
    match call.send_once(&command).await {
        // An idle connection that the server had closed is found out by the first command on it, and nobody knows then
        // whether that was done. A new id is nobody else's: the text under it is ours.
        Err(error) if broke(&error) => Ok(call.send_once(&command).await? || is_held(call, key, text).await?),
        written => written,
    }
}

/// Shows neither address nor password.
impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("connection", &self.connection)
            .field("settings", &self.settings)
            .finish()
    }
}
