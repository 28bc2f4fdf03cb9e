//! Redis: a string under a prefix and the sid.

use std::time::Duration;

use express_session::redis::redis::{AsyncConnectionConfig, Client, aio::MultiplexedConnection, cmd, pipe};

use super::{Piece, Row, words};

#[derive(Clone)]
pub(super) struct Redis(MultiplexedConnection);

/// The driver's own half a second is too short for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const FOR_EVER: i64 = -1;
const NO_KEY: i64 = -2;

impl Redis {
    pub(super) async fn open(url: &str) -> Result<Self, String> {
        let client = Client::open(url).map_err(words)?;
        let settings = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
        client.get_multiplexed_async_connection_with_config(&settings).await.map(Self).map_err(words)
    }

    pub(super) async fn rows(&self, prefix: &str) -> Result<Vec<Row>, String> {
        let mut connection = self.0.clone();
        let keys = self.keys(prefix).await?;
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut commands = pipe();
        for key in &keys {
            commands.cmd("TYPE").arg(key).cmd("PEXPIRETIME").arg(key).cmd("GET").arg(key);
        }
        let held: Vec<(String, i64, Option<String>)> =
            commands.query_async(&mut connection).await.map_err(words)?;
        let mut rows = Vec::new();
        for (key, (kind, ends, text)) in keys.iter().zip(held) {
            // Gone since the keys were listed.
            let Some(text) = text.filter(|_| ends != NO_KEY) else { continue };
            rows.push(Row {
                sid: key.strip_prefix(prefix).unwrap_or(key).to_owned(),
                pieces: vec![
                    Piece::Text(kind),
                    Piece::Record(text),
                    Piece::HeldUntil((ends != FOR_EVER).then_some(ends)),
                ],
            });
        }
        Ok(rows)
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<String>, String> {
        cmd("KEYS").arg(format!("{prefix}*")).query_async(&mut self.0.clone()).await.map_err(words)
    }

    pub(super) async fn clear(&self, prefix: &str) -> Result<(), String> {
        let keys = self.keys(prefix).await?;
        if keys.is_empty() {
            return Ok(());
        }
        cmd("DEL").arg(keys).query_async(&mut self.0.clone()).await.map_err(words)
    }

    /// Milliseconds since 1970.
    pub(super) async fn time(&self) -> Result<i64, String> {
        let (seconds, micros): (i64, i64) =
            cmd("TIME").query_async(&mut self.0.clone()).await.map_err(words)?;
        Ok(seconds * 1000 + micros / 1000)
    }

    pub(super) async fn remove(&self, key: &str) -> Result<(), String> {
        cmd("DEL").arg(key).query_async(&mut self.0.clone()).await.map_err(words)
    }

    pub(super) async fn spoil(&self, key: &str) -> Result<(), String> {
        let mut set = cmd("SET");
        let set = set.arg(key).arg("{}").arg("XX").arg("KEEPTTL");
        let _: Option<String> = set.query_async(&mut self.0.clone()).await.map_err(words)?;
        Ok(())
    }
}

/// The driver's connection has no words for itself.
impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redis")
    }
}
