//! The optional powers: everything by SCAN, never by KEYS or FLUSHALL, and one key a command, which a cluster takes as well.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
};

use futures_util::{StreamExt, TryStreamExt, stream};
use redis::{Cmd, ErrorKind, RedisError, RedisResult, cmd};
use session_core::{AdminStore, Record, Sid, Store, StoreError, async_trait};

use crate::{
    connection::{Live, Place},
    error::failed,
    store::RedisStore,
};

/// So many commands are under way at a time.
const AT_ONCE: usize = 64;

/// So many keys go by one command: it holds up the others for a fraction of a millisecond.
const TOGETHER: usize = 512;

#[async_trait]
impl AdminStore for RedisStore {
    async fn length(&self) -> Result<u64, StoreError> {
        let mut scan = Scan::of(self);
        let mut length = 0;
        while let Some(sids) = scan.step().await? {
            length += sids.len() as u64;
        }
        Ok(length)
    }

    async fn ids(&self, visit: &mut (dyn FnMut(Sid) + Send)) -> Result<(), StoreError> {
        let mut scan = Scan::of(self);
        while let Some(sids) = scan.step().await? {
            sids.into_iter().for_each(&mut *visit);
        }
        Ok(())
    }

    async fn all(&self, visit: &mut (dyn FnMut(Sid, Record) + Send)) -> Result<(), StoreError> {
        let mut scan = Scan::of(self);
        while let Some(sids) = scan.step().await? {
            let reads = sids.into_iter().map(|sid| async move { (self.get(&sid).await, sid) });
            let mut reads = stream::iter(reads).buffer_unordered(AT_ONCE);
            while let Some((read, sid)) = reads.next().await {
                match read {
                    Ok(Some(stored)) => visit(sid, stored.record),
                    Ok(None) | Err(StoreError::Corrupt { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    async fn clear(&self) -> Result<(), StoreError> {
        let mut scan = Scan::of(self);
        // Of the keys of one command, a cluster wants all in one slot.
        let together = if self.connection.is_cluster() { 1 } else { TOGETHER };
        while let Some(keys) = scan.keys().await? {
            let unlink = |keys: &[Vec<u8>]| {
                let mut command = cmd("UNLINK");
                command.arg(keys);
                command
            };
            let commands: Vec<Cmd> = keys.chunks(together).map(unlink).collect();
            let removals =
                commands.into_iter().map(|command| async move { self.call().send(&command).await });
            let removals = stream::iter(removals).buffer_unordered(AT_ONCE);
            removals.try_collect::<()>().await.map_err(failed)?;
        }
        Ok(())
    }

    /// Redis does it by itself.
    async fn prune(&self) -> Result<u64, StoreError> {
        Ok(0)
    }
}

/// Connections that break all the time are an error.
const AGAIN: u32 = 8;

fn not_one_server() -> RedisError {
    (ErrorKind::Io, "the connection broke again and again, and each time the walk began anew").into()
}

/// A walk over the keys of all masters.
struct Scan<'a> {
    store: &'a RedisStore,
    pattern: String,
    /// SCAN may show a key more than once. Of each, 128 bits: keys themselves would be many times as much.
    seen: HashSet<u128>,
    hashes: [RandomState; 2],
    /// Where it is, and where it has not been yet. None: it has not begun.
    ahead: Option<Vec<(Place, u64)>>,
    /// The connection that the cursors are of, whatever others do: to another server they mean other keys.
    on: Option<Live>,
    /// How often it may begin anew yet.
    left: u32,
}

impl<'a> Scan<'a> {
    fn of(store: &'a RedisStore) -> Self {
        let pattern = format!("{}*", glob_escaped(&store.settings.prefix));
        Self {
            store,
            pattern,
            seen: HashSet::new(),
            hashes: Default::default(),
            ahead: None,
            on: None,
            left: AGAIN,
        }
    }

    /// Some sids more, perhaps none, and each once; `None` at the end.
    async fn step(&mut self) -> Result<Option<Vec<Sid>>, StoreError> {
        let keys = self.keys().await?;
        Ok(keys.map(|keys| keys.into_iter().filter_map(|key| self.new_sid(&key)).collect()))
    }

    /// Some keys more, also such as came before.
    async fn keys(&mut self) -> Result<Option<Vec<Vec<u8>>>, StoreError> {
        let call = self.store.call();
        let ahead = match &mut self.ahead {
            Some(ahead) => ahead,
            ahead => {
                let places = call.places().await.map_err(failed)?;
                ahead.insert(places.into_iter().map(|place| (place, 0)).collect())
            }
        };
        let Some((place, cursor)) = ahead.pop() else { return Ok(None) };
        if cursor == 0 {
            self.on = None;
        }
        let mut command = cmd("SCAN");
        command.arg(cursor).arg("MATCH").arg(&self.pattern).arg("COUNT").arg(self.store.settings.scan_count);
        let (call, is_first) = (call.at(place.clone()), self.on.is_none());
        let page: RedisResult<Page> = match self.store.connection.is_reopened() {
            true => call.send_on(&mut self.on, self.store.settings.prefix.as_bytes(), &command).await,
            false => call.send(&command).await,
        };
        let (cursor, keys) = match page {
            // It broke, and the cursors with it.
            Err(_) if !is_first && self.on.is_none() => {
                self.left = self.left.checked_sub(1).ok_or_else(|| failed(not_one_server()))?;
                self.ahead = None;
                return Ok(Some(Vec::new()));
            }
            page => page.map_err(failed)?,
        };
        if cursor != 0 {
            ahead.push((place, cursor));
        }
        Ok(Some(keys))
    }

    fn new_sid(&mut self, key: &[u8]) -> Option<Sid> {
        let sid = std::str::from_utf8(key).ok()?.strip_prefix(&self.store.settings.prefix)?;
        let [high, low] = self.hashes.each_ref().map(|hash| u128::from(hash.hash_one(sid)));
        self.seen.insert(high << 64 | low).then(|| sid.into())
    }
}

/// What SCAN answers: the next cursor, and keys.
type Page = (u64, Vec<Vec<u8>>);

/// The text as a pattern that matches it and nothing else.
fn glob_escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_shown_twice_counts_once() {
        let store = RedisStore::open("redis://127.0.0.1").unwrap();
        let mut scan = Scan::of(&store);
        assert_eq!(scan.new_sid(b"sess:a"), Some("a".into()));
        assert_eq!(scan.new_sid(b"sess:a"), None);
        assert_eq!(scan.new_sid(b"other:a"), None);
        assert_eq!(scan.new_sid(b"sess:\xff"), None);
    }

    #[test]
    fn a_prefix_is_escaped_for_the_pattern() {
        assert_eq!(glob_escaped(r"s[ab]*?\:"), r"s\[ab\]\*\?\\:");
    }
}
