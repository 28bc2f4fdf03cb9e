//! SQLite, with a table of our own or with those of two Node packages.

mod better_sqlite3;
mod connect_sqlite3;
mod native;

use std::{fmt, future::Future, sync::Arc, time::Duration};

use futures_util::TryStreamExt;
use session_core::{
    AdminStore, Clock, Cookie, Destroyed, Expect, Record, Set, Sid, Store, StoreError, Stored, Touched,
    Version, async_trait,
};
use sqlx::{
    Executor, Sqlite, SqliteConnection, SqlitePool, query, query_as, query_scalar,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::OnceCell;

use self::{better_sqlite3::BETTER_SQLITE3, connect_sqlite3::CONNECT_SQLITE3, native::NATIVE};
use crate::{
    call::{Lent, again, call, lent},
    error::{Failure, code},
    settings::{BATCH, QUARTER, Schedule, Settings, parse},
    sql::{Statement, identifier, quoted},
    time::Millis,
};

const STORE: &str = "sqlite";

/// The end of the year 9999, which is for ever: SQLite's dates go no further.
const LAST: Millis = 253_402_300_799_999;

/// How many rows of a table without an index on the expiry one statement of a pruning looks at.
const STEP: i64 = 10_000;

/// After each, so that others who wait for the one lock get it.
const PAUSE: Duration = Duration::from_millis(5);

/// SQLite has no limit of its own.
const LONGEST_NAME: usize = 255;

/// The statements of one kind of table. They take their values in one order: the sid, now, the expiry, the text of the
/// record, the version. A version is the text that is held: nobody has to send it anywhere.
struct Template {
    name: &'static str,
    create: &'static str,
    get: &'static str,
    set: &'static str,
    set_expecting_nothing: &'static str,
    set_expecting_version: &'static str,
    touch: &'static str,
    touch_expecting_version: &'static str,
    destroy: &'static str,
    destroy_expecting_version: &'static str,
    length: &'static str,
    ids: &'static str,
    all: &'static str,
    clear: &'static str,
    /// Takes now, and then how many at the most; of a table that is walked, the row before a step and its last.
    prune: &'static str,
    is_walked: bool,
}

const STEP_END: &str = "SELECT rowid FROM {table} WHERE rowid > ?1 ORDER BY rowid LIMIT 1 OFFSET ?2";

/// Whose table it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SqliteTable {
    /// This crate's own, `session` unless named otherwise, with an index on the expiry.
    #[default]
    Native,
    /// That of connect-sqlite3, `sessions` unless named otherwise.
    ConnectSqlite3,
    /// That of better-sqlite3-session-store, always `sessions` there.
    BetterSqlite3,
}

/// Sessions in a file of SQLite: they survive a restart, and there is no server to install.
///
/// See the [crate's page](crate#sqlite) for the tables and a runnable example.
pub struct SqliteStore {
    pool: SqlitePool,
    table: SqliteTable,
    name: Option<String>,
    sql: Arc<Sql>,
    ready: OnceCell<()>,
    settings: Settings,
}

struct Sql {
    create: Statement,
    get: Statement,
    set: Statement,
    set_expecting_nothing: Statement,
    set_expecting_version: Statement,
    touch: Statement,
    touch_expecting_version: Statement,
    destroy: Statement,
    destroy_expecting_version: Statement,
    length: Statement,
    ids: Statement,
    all: Statement,
    clear: Statement,
    prune: Statement,
    /// The last row of a step, for a table without an index on the expiry: to look for what has expired from its beginning
    /// each time would keep all writers waiting.
    step: Option<Statement>,
}

impl SqliteStore {
    /// On the pool that the application already has. Its connections' journal mode and busy time-out are as the
    /// application set them; several connections want [WAL](https://www.sqlite.org/wal.html).
    #[must_use]
    pub fn new(pool: SqlitePool) -> Self {
        let table = SqliteTable::default();
        Self {
            pool,
            table,
            name: None,
            sql: Arc::new(Sql::of(table, None)),
            ready: OnceCell::new(),
            settings: Settings::new(Schedule::every(QUARTER)),
        }
    }

    /// On a file, `sqlite:sessions.db`, which is created if it is missing, or in memory, `sqlite::memory:`. Nothing is
    /// opened yet.
    ///
    /// A file gets a write-ahead log (WAL), so that readers and the one writer do not wait for each other, is synchronized
    /// to the disk at checkpoints (`synchronous=NORMAL`: a power failure may take the last seconds with it, never the
    /// file), and writers of all processes wait up to four seconds for one another.
    ///
    /// # Errors
    /// The URL is none.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        let options: SqliteConnectOptions = url.parse().map_err(|error| Failure::from(error).of(STORE))?;
        let options = options.busy_timeout(Duration::from_secs(4));
        let pool =
            SqlitePoolOptions::new().acquire_timeout(Duration::from_secs(3)).test_before_acquire(false);
        let in_memory = url.contains(":memory:") || url.contains("mode=memory");
        let pool = if in_memory {
            // It lasts as long as its one connection.
            let pool = pool.max_connections(1).idle_timeout(None).max_lifetime(None);
            pool.connect_lazy_with(options)
        } else {
            let options = options
                .create_if_missing(!url.contains("mode="))
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Normal);
            pool.max_connections(4).connect_lazy_with(options)
        };
        Ok(Self::new(pool))
    }

    /// Whose table it is. Default: this crate's own.
    ///
    /// Take another to share sessions with a Node application, or to take over its file.
    #[must_use]
    pub fn table(mut self, table: SqliteTable) -> Self {
        self.table = table;
        self.refilled()
    }

    /// The table's name. Default: `session`, and `sessions` for the tables of the Node packages, which are not alike: a
    /// file can have only one of that name. It is created if it is missing. connect-sqlite3: `table`.
    ///
    /// # Errors
    /// SQLite can have no table of that name.
    pub fn table_name(mut self, name: &str) -> Result<Self, StoreError> {
        let name = identifier("table_name", name, LONGEST_NAME).map_err(|failure| failure.of(STORE))?;
        self.name = Some(name);
        Ok(self.refilled())
    }

    /// How long a session is held whose cookie lives until the browser closes. Default: one day, as in both Node packages.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.settings.ttl = ttl;
        self
    }

    /// How often expired sessions are removed from the table; `None`: never. Default: every fifteen minutes.
    ///
    /// There is no timer behind it: the first write after that time starts it, in a task of its own. Expired sessions are
    /// never seen, removed or not. better-sqlite3-session-store: `expired.intervalMs`; connect-sqlite3 has once a day.
    #[must_use]
    pub fn prune_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.settings.pruning.interval = interval.into();
        self
    }

    /// How long any of the four verbs may take, waiting for other writers included; then it is an error. Default: five
    /// seconds.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// The clock that expiry goes by, for tests. Default: the system's.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.settings.clock = clock;
        self
    }

    fn refilled(mut self) -> Self {
        self.sql = Arc::new(Sql::of(self.table, self.name.as_deref()));
        self
    }

    async fn call<T, F>(&self, send: impl FnMut(Lent<Sqlite>) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = sqlx::Result<T>>,
    {
        self.ready().await?;
        call(self.settings.timeout, &self.pool, is_locked, send).await.map_err(|failure| failure.of(STORE))
    }

    /// What is not for a request has no time limit.
    async fn take_time<T>(&self, sent: impl Future<Output = sqlx::Result<T>>) -> Result<T, StoreError> {
        self.ready().await?;
        sent.await.map_err(failed)
    }

    /// Creates the table, once; a failure is no reason not to try again.
    async fn ready(&self) -> Result<(), StoreError> {
        let create = lent!(on: Sqlite => {
            on.execute(sqlx::raw_sql(self.sql.create.text())).await.map(|_| ())
        });
        let create = || call(self.settings.timeout, &self.pool, is_locked, create);
        self.ready.get_or_try_init(create).await.map_err(|failure| failure.of(STORE))?;
        Ok(())
    }

    fn until(&self, cookie: &Cookie, now: Millis) -> Option<Millis> {
        Some(self.settings.until(cookie, now)?.min(LAST))
    }

    fn prune_when_due(&self, now: Millis) {
        if self.settings.pruning.is_due(now) {
            let (pool, sql) = (self.pool.clone(), Arc::clone(&self.sql));
            tokio::spawn(async move {
                if let Err(error) = prune(&pool, &sql, now).await {
                    tracing::warn!(store = STORE, error = %Failure::from(error), "expired sessions stay for now");
                }
            });
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        let now = self.settings.now();
        let held: Option<(Option<Vec<u8>>, Millis)> = self
            .call(lent!(on => {
                query_as(self.sql.get.text()).bind(sid.as_str()).bind(now).fetch_optional(&mut *on).await
            }))
            .await?;
        let Some((text, left)) = held else { return Ok(None) };
        let text = String::from_utf8(text.unwrap_or_default());
        // Not the whole error: it keeps the bytes.
        let text = text.map_err(|error| StoreError::corrupt(STORE, error.utf8_error()))?;
        let text: Arc<str> = text.into();
        let record = parse(STORE, Arc::clone(&text))?;
        let left = Duration::from_millis(u64::try_from(left).unwrap_or_default());
        Ok(Some(self.settings.stored(record, Version::from_text(text), left)))
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        let now = self.settings.now();
        let Some(until) = self.until(&record.cookie, now) else { return Ok(Set::Expired) };
        self.prune_when_due(now);
        let (json, sql): (Arc<str>, _) = (record.to_json().into(), &*self.sql);
        let text = &*json;
        let written = self
            .call(lent!(on => {
                let set = match expect {
                    Expect::Anything => &sql.set,
                    Expect::Nothing => &sql.set_expecting_nothing,
                    Expect::Version(_) => &sql.set_expecting_version,
                };
                let set = query(set.text()).bind(sid.as_str()).bind(now).bind(until).bind(text);
                let set = match expect {
                    Expect::Version(version) => set.bind(version.text()),
                    Expect::Anything | Expect::Nothing => set,
                };
                set.execute(&mut *on).await
            }))
            .await?;
        Ok(if written.rows_affected() > 0 { Set::Written(Version::from_text(json)) } else { Set::Conflict })
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        let (now, sql, sid) = (self.settings.now(), &*self.sql, sid.as_str());
        let Some(until) = self.until(cookie, now) else { return Ok(Touched::Expired) };
        self.prune_when_due(now);
        self.call(lent!(on => {
            let touch = |sql: &Statement| query(sql.text()).bind(sid).bind(now).bind(until);
            let touch = match expect {
                Expect::Anything => Some(touch(&sql.touch)),
                Expect::Version(version) => Some(touch(&sql.touch_expecting_version).bind(version.text())),
                Expect::Nothing => None,
            };
            if let Some(touch) = touch
                && touch.execute(&mut *on).await?.rows_affected() > 0
            {
                return Ok(Touched::Moved);
            }
            if *expect == Expect::Anything {
                return Ok(Touched::Unknown);
            }
            Ok(if is_held(&mut on, sql, sid, now).await? { Touched::Conflict } else { Touched::Unknown })
        }))
        .await
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        let (now, sql, sid) = (self.settings.now(), &*self.sql, sid.as_str());
        self.call(lent!(on => {
            let destroy = match expect {
                Expect::Anything => Some(query(sql.destroy.text()).bind(sid)),
                Expect::Version(version) => {
                    let destroy = query(sql.destroy_expecting_version.text()).bind(sid).bind(now);
                    Some(destroy.bind(version.text()))
                }
                Expect::Nothing => None,
            };
            if let Some(destroy) = destroy
                && destroy.execute(&mut *on).await?.rows_affected() > 0
            {
                return Ok(Destroyed::Destroyed);
            }
            if *expect == Expect::Anything {
                return Ok(Destroyed::Unknown);
            }
            Ok(if is_held(&mut on, sql, sid, now).await? { Destroyed::Conflict } else { Destroyed::Unknown })
        }))
        .await
    }
}

#[async_trait]
impl AdminStore for SqliteStore {
    async fn length(&self) -> Result<u64, StoreError> {
        let count = query_scalar(self.sql.length.text()).bind(self.settings.now());
        let count: i64 = self.take_time(count.fetch_one(&self.pool)).await?;
        Ok(count.unsigned_abs())
    }

    async fn ids(&self, visit: &mut (dyn FnMut(Sid) + Send)) -> Result<(), StoreError> {
        self.ready().await?;
        let mut ids =
            query_scalar::<_, String>(self.sql.ids.text()).bind(self.settings.now()).fetch(&self.pool);
        while let Some(sid) = ids.try_next().await.map_err(failed)? {
            visit(Sid::from(sid));
        }
        Ok(())
    }

    async fn all(&self, visit: &mut (dyn FnMut(Sid, Record) + Send)) -> Result<(), StoreError> {
        self.ready().await?;
        let mut all = query_as::<_, (String, Option<Vec<u8>>)>(self.sql.all.text())
            .bind(self.settings.now())
            .fetch(&self.pool);
        while let Some((sid, text)) = all.try_next().await.map_err(failed)? {
            let record = String::from_utf8(text.unwrap_or_default()).ok().map(Record::parse);
            if let Some(Ok(record)) = record {
                visit(Sid::from(sid), record);
            }
        }
        Ok(())
    }

    async fn clear(&self) -> Result<(), StoreError> {
        self.take_time(query(self.sql.clear.text()).execute(&self.pool)).await.map(|_| ())
    }

    async fn prune(&self) -> Result<u64, StoreError> {
        self.take_time(prune(&self.pool, &self.sql, self.settings.now())).await
    }
}

async fn prune(pool: &SqlitePool, sql: &Sql, now: Millis) -> sqlx::Result<u64> {
    if let Some(step) = &sql.step {
        return walk(pool, sql, step, now).await;
    }
    let mut pruned = 0;
    loop {
        let prune = lent!(on: Sqlite => {
            query(sql.prune.text()).bind(now).bind(BATCH.cast_signed()).execute(&mut *on).await
        });
        let batch = again(pool, is_locked, prune).await?;
        pruned += batch.rows_affected();
        if batch.rows_affected() < BATCH {
            return Ok(pruned);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// From the first row to the last, by steps.
async fn walk(pool: &SqlitePool, sql: &Sql, step: &Statement, now: Millis) -> sqlx::Result<u64> {
    let (mut pruned, mut before) = (0, i64::MIN);
    loop {
        let next = lent!(on: Sqlite => {
            query_scalar(step.text()).bind(before).bind(STEP - 1).fetch_optional(&mut *on).await
        });
        let next: Option<i64> = again(pool, is_locked, next).await?;
        let end = next.unwrap_or(i64::MAX);
        let prune = lent!(on: Sqlite => {
            query(sql.prune.text()).bind(now).bind(before).bind(end).execute(&mut *on).await
        });
        pruned += again(pool, is_locked, prune).await?.rows_affected();
        if next.is_none() {
            return Ok(pruned);
        }
        before = end;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Another connection writes, and the busy time-out did not apply: 5 is BUSY, 6 is LOCKED, the others are their kinds.
fn is_locked(error: &sqlx::Error) -> bool {
    let code = code(error).and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| matches!(code & 0xff, 5 | 6))
}

fn failed(error: sqlx::Error) -> StoreError {
    Failure::from(error).of(STORE)
}

async fn is_held(on: &mut SqliteConnection, sql: &Sql, sid: &str, now: Millis) -> sqlx::Result<bool> {
    let held = query(sql.get.text()).bind(sid).bind(now);
    Ok(held.fetch_optional(on).await?.is_some())
}

impl Sql {
    fn of(table: SqliteTable, name: Option<&str>) -> Self {
        let template = match table {
            SqliteTable::Native => NATIVE,
            SqliteTable::ConnectSqlite3 => CONNECT_SQLITE3,
            SqliteTable::BetterSqlite3 => BETTER_SQLITE3,
        };
        let name = name.unwrap_or(template.name);
        let (table, index) = (quoted(name, '"'), quoted(&format!("{name}_expire"), '"'));
        let names = [("table", &*table), ("index", &index)];
        let fill = |template| Statement::fill(template, &names);
        Self {
            create: fill(template.create),
            get: fill(template.get),
            set: fill(template.set),
            set_expecting_nothing: fill(template.set_expecting_nothing),
            set_expecting_version: fill(template.set_expecting_version),
            touch: fill(template.touch),
            touch_expecting_version: fill(template.touch_expecting_version),
            destroy: fill(template.destroy),
            destroy_expecting_version: fill(template.destroy_expecting_version),
            length: fill(template.length),
            ids: fill(template.ids),
            all: fill(template.all),
            clear: fill(template.clear),
            prune: fill(template.prune),
            step: template.is_walked.then(|| fill(STEP_END)),
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("SqliteStore");
        shown.field("table", &self.table).field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::SqliteStore;

    #[tokio::test]
    async fn a_database_in_memory_lasts_as_long_as_its_one_connection() {
        for url in ["sqlite::memory:", "sqlite:file:shared?mode=memory"] {
            let store = SqliteStore::open(url).unwrap();
            let options = store.pool.options();
            assert_eq!(options.get_max_connections(), 1);
            assert_eq!((options.get_idle_timeout(), options.get_max_lifetime()), (None, None));
        }
    }

    #[tokio::test]
    async fn a_file_is_opened_as_it_is_promised() {
        let file = std::env::temp_dir().join(format!("store-sqlx-pragmas-{}.db", std::process::id()));
        let store = SqliteStore::open(&format!("sqlite:{}", file.display())).unwrap();
        let mut connection = store.pool.acquire().await.unwrap();
        for (ask, value) in [
            ("SELECT journal_mode FROM pragma_journal_mode", "wal"),
            ("SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous", "1"),
            ("SELECT CAST(timeout AS TEXT) FROM pragma_busy_timeout", "4000"),
        ] {
            let held: String = sqlx::query_scalar(ask).fetch_one(&mut *connection).await.unwrap();
            assert_eq!(held, value, "{ask}");
        }
        drop(connection);
        for suffix in ["", "-wal", "-shm"] {
            _ = std::fs::remove_file(format!("{}{suffix}", file.display()));
        }
    }
}
