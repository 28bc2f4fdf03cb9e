//! What a side has stored, read from the database itself: past every store, Node's and ours.

mod mongo;
mod redis;
mod sql;

use std::sync::{Arc, LazyLock, OnceLock};

use serde_json::Value;
use tokio::runtime::Runtime;

/// One record as the database holds it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) sid: String,
    /// What is in it, in the order in which the database shows it.
    pub(super) pieces: Vec<Piece>,
}

/// A part of a row.
#[derive(Debug)]
pub(super) enum Piece {
    /// Equal on both sides to the byte.
    Text(String),
    /// The JSON text of a session.
    Record(String),
    /// Milliseconds since 1970.
    Time(i64),
    /// Milliseconds.
    Age(i64),
    /// When Redis removes the key, by its own time; none: never.
    HeldUntil(Option<i64>),
}

/// The connections of one side, opened when they are needed and kept for all of its cases.
#[derive(Clone, Debug, Default)]
pub(super) struct Connections(Arc<OnceLock<Connection>>);

#[derive(Clone, Debug)]
enum Connection {
    Redis(redis::Redis),
    Mongo(mongo::Mongo),
    Postgres(sql::Postgres),
    MySql(sql::MySql),
    Sqlite(sql::Sqlite),
}

/// One case's records in a database.
#[derive(Debug)]
pub(super) struct Raw {
    connection: Connection,
    /// The prefix, the collection or the table.
    place: String,
}

/// The drivers are asynchronous, the runner is not.
fn wait<T>(future: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    static RUNTIME: LazyLock<Result<Runtime, String>> = LazyLock::new(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().map_err(words)
    });
    RUNTIME.as_ref().map_err(Clone::clone)?.block_on(future)
}

fn words(error: impl std::fmt::Display) -> String {
    format!("the database cannot be read: {error}")
}

impl Connections {
    /// Where the `store` of a configuration keeps its records; none for a store that is no database.
    pub(super) fn raw(&self, store: &Value) -> Result<Option<Raw>, String> {
        let option = |key: &str| store["options"][key].as_str().unwrap_or_default();
        let place = match store["kind"].as_str() {
            Some("redis") => option("prefix").to_owned(),
            Some("mongo") => option("collectionName").to_owned(),
            Some("postgres") => format!("\"{}\".\"session\"", option("schemaName")),
            Some("mysql") => {
                format!("`{}`", store["options"]["schema"]["tableName"].as_str().unwrap_or_default())
            }
            Some("sqlite") => option("package").to_owned(),
            _ => return Ok(None),
        };
        let connection = match self.0.get() {
            Some(connection) => connection.clone(),
            None => {
                let opened = wait(Connection::open(store))?;
                self.0.get_or_init(|| opened).clone()
            }
        };
        Ok(Some(Raw { connection, place }))
    }
}

impl Connection {
    async fn open(store: &Value) -> Result<Self, String> {
        let url = store["url"].as_str().unwrap_or_default();
        Ok(match store["kind"].as_str() {
            Some("redis") => Self::Redis(redis::Redis::open(url).await?),
            Some("mongo") => Self::Mongo(mongo::Mongo::open(url).await?),
            Some("postgres") => Self::Postgres(sql::Postgres::open(url)?),
            Some("sqlite") => Self::Sqlite(sql::Sqlite::open(url)?),
            _ => Self::MySql(sql::MySql::open(url)?),
        })
    }
}

impl Raw {
    /// Every record, in no order.
    pub(super) fn rows(&self) -> Result<Vec<Row>, String> {
        wait(async {
            match &self.connection {
                Connection::Redis(redis) => redis.rows(&self.place).await,
                Connection::Mongo(mongo) => mongo.rows(&self.place).await,
                Connection::Postgres(postgres) => postgres.rows(&self.place).await,
                Connection::MySql(mysql) => mysql.rows(&self.place).await,
                Connection::Sqlite(sqlite) => sqlite.rows(&self.place).await,
            }
        })
    }

    /// The time by the server's own clock where that removes records: Redis.
    pub(super) fn time(&self) -> Result<Option<i64>, String> {
        match &self.connection {
            Connection::Redis(redis) => wait(redis.time()).map(Some),
            _ => Ok(None),
        }
    }

    /// Removes every record.
    pub(super) fn clear(&self) -> Result<(), String> {
        wait(async {
            match &self.connection {
                Connection::Redis(redis) => redis.clear(&self.place).await,
                Connection::Mongo(mongo) => mongo.clear(&self.place).await,
                Connection::Postgres(postgres) => postgres.clear(&self.place).await,
                Connection::MySql(mysql) => mysql.clear(&self.place).await,
                Connection::Sqlite(sqlite) => sqlite.clear().await,
            }
        })
    }

    /// Removes a record, as Redis does when its time to live is over.
    pub(super) fn remove_as_redis(&self, sid: &str) -> Result<(), String> {
        if matches!(self.connection, Connection::Redis(_)) { self.remove(sid) } else { Ok(()) }
    }

    pub(super) fn remove(&self, sid: &str) -> Result<(), String> {
        wait(async {
            match &self.connection {
                Connection::Redis(redis) => redis.remove(&format!("{}{sid}", self.place)).await,
                Connection::Mongo(mongo) => mongo.remove(&self.place, sid).await,
                Connection::Postgres(postgres) => postgres.remove(&self.place, sid).await,
                Connection::MySql(mysql) => mysql.remove(&self.place, sid).await,
                Connection::Sqlite(sqlite) => sqlite.remove(sid).await,
            }
        })
    }

    /// Leaves of a record, if there is one, no more than `{}`: without a cookie it is no session.
    pub(super) fn spoil(&self, sid: &str) -> Result<(), String> {
        wait(async {
            match &self.connection {
                Connection::Redis(redis) => redis.spoil(&format!("{}{sid}", self.place)).await,
                Connection::Mongo(mongo) => mongo.spoil(&self.place, sid).await,
                Connection::Postgres(postgres) => postgres.spoil(&self.place, sid).await,
                Connection::MySql(mysql) => mysql.spoil(&self.place, sid).await,
                Connection::Sqlite(sqlite) => sqlite.spoil(sid).await,
            }
        })
    }
}
