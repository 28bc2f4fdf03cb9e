//! SQLite, with a table of our own or with those of two Node packages.

mod better_sqlite3;
mod connect_sqlite3;
mod native;

use std::{borrow::Cow, fmt, path::PathBuf, sync::Arc, time::Duration};

use session_core::{Clock, Expect, StoreError, Stored, Version};
use sqlx::{
    Arguments, Row, Sqlite, SqliteConnection, SqlitePool,
    error::BoxDynError,
    sqlite::{SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous},
};
use tokio::sync::Semaphore;

use self::{better_sqlite3::BETTER_SQLITE3, connect_sqlite3::CONNECT_SQLITE3, native::NATIVE};
use crate::{
    dialect::{Dialect, Sql, Templates},
    error::Failure,
    pool::{Connections, Opener},
    run::Run,
    settings::{QUARTER, Schedule, Settings, parse},
    sql::{Style, Value, Values, fill, identifier, quoted},
    store::{SqlStore, execute, verbs},
    time::Millis,
};

/// The end of the year 9999, which is for ever: SQLite's dates go no further.
const LAST: Millis = 253_402_300_799_999;

/// SQLite has no limit of its own.
const LONGEST_NAME: usize = 255;

/// A file's. Readers and the one writer do not wait for each other.
const CONNECTIONS: usize = 4;

/// One kind of table, by what its columns hold.
struct Columns {
    /// Its name, unless another is chosen.
    table: &'static str,
    create: &'static str,
    is_indexed: bool,
    sid: &'static str,
    text: &'static str,
    expiry: &'static str,
    until: &'static str,
    /// Milliseconds.
    left: &'static str,
    held: &'static str,
    past: &'static str,
}

const STYLE: Style = Style { mark: '?', is_numbered: true };

// A version is the text that is held: nobody has to send it anywhere. Rows are gone through, and removed, by their numbers: a
// sid may be of any type.
const TEMPLATES: Templates = Templates {
    get: "SELECT {text}, {left} FROM {table} WHERE sid = :sid AND {held}",

    set: "\
        INSERT INTO {table} (sid, {expiry}, sess) VALUES (:sid, {until}, :text) \
        ON CONFLICT (sid) DO UPDATE SET {expiry} = excluded.{expiry}, sess = excluded.sess",
    set_expecting_nothing: "\
        INSERT INTO {table} (sid, {expiry}, sess) VALUES (:sid, {until}, :text) \
        ON CONFLICT (sid) DO UPDATE SET {expiry} = excluded.{expiry}, sess = excluded.sess \
        WHERE ({held}) IS NOT TRUE",
    set_expecting_version: "\
        UPDATE {table} SET {expiry} = {until}, sess = :text WHERE sid = :sid AND {held} AND {text} = :version",

    touch: "UPDATE {table} SET {expiry} = {until} WHERE sid = :sid AND {held}",
    touch_expecting_version: "\
        UPDATE {table} SET {expiry} = {until} WHERE sid = :sid AND {held} AND {text} = :version",

    destroy: "DELETE FROM {table} WHERE sid = :sid",
    destroy_expecting_version: "DELETE FROM {table} WHERE sid = :sid AND {held} AND {text} = :version",

    length: "SELECT count(*) FROM {table} WHERE {held}",
    ids: "\
        SELECT {sid}, CAST(rowid AS TEXT) FROM {table} \
        WHERE rowid > CAST(:after AS INTEGER) AND {held} ORDER BY rowid LIMIT :limit",
    all: "\
        SELECT {sid}, CAST(rowid AS TEXT), {text} FROM {table} \
        WHERE rowid > CAST(:after AS INTEGER) AND {held} ORDER BY rowid LIMIT :limit",
    rows: "\
        SELECT CAST(rowid AS TEXT) FROM {table} \
        WHERE rowid > CAST(:after AS INTEGER) ORDER BY rowid LIMIT :limit",
    clear: "DELETE FROM {table}",

    expired: "SELECT CAST(rowid AS TEXT) FROM {table} WHERE {past} LIMIT :limit",
    step: "\
        SELECT CAST(rowid AS TEXT) FROM {table} \
        WHERE rowid > CAST(:after AS INTEGER) ORDER BY rowid LIMIT 1 OFFSET :limit",
    expired_of_step: "\
        SELECT CAST(rowid AS TEXT) FROM {table} \
        WHERE rowid > CAST(:after AS INTEGER) AND rowid <= CAST(:end AS INTEGER) AND {past}",
    expired_of_last_step: "\
        SELECT CAST(rowid AS TEXT) FROM {table} WHERE rowid > CAST(:after AS INTEGER) AND {past}",
    remove_expired: "DELETE FROM {table} WHERE rowid IN (:sids) AND {past}",
    remove: "DELETE FROM {table} WHERE rowid IN (:sids)",

    create: "{create}",
};

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
pub struct SqliteStore(SqlStore<Table>, Option<File>);

/// What `open` has been told of a file.
struct File {
    options: SqliteConnectOptions,
    path: PathBuf,
    is_uri: bool,
    /// To whom only reads the log is as it is.
    is_written: bool,
    creates_folder: bool,
    is_concurrent: bool,
}

/// One of the three, under its name.
pub(crate) struct Table {
    kind: SqliteTable,
    name: Option<String>,
    is_indexed: bool,
    sql: Sql,
    /// Who waits for another writer in SQLite itself looks again and again, and may be overtaken each time.
    turns: Arc<Semaphore>,
}

impl SqliteStore {
    /// On the pool that the application already has. Its connections' journal mode and busy time-out are as the
    /// application set them; several connections want [WAL](https://www.sqlite.org/wal.html).
    #[must_use]
    pub fn new(pool: SqlitePool) -> Self {
        Self::on(Connections::Shared(pool), None)
    }

    /// On a file, `sqlite:sessions.db`, which is created if it is missing (unless the URL has a `mode`), or in memory, `sqlite::memory:`. Nothing is
    /// opened yet.
    ///
    /// A file gets a write-ahead log (WAL), so that readers and the one writer do not wait for each other, is synchronized
    /// to the disk at checkpoints (`synchronous=NORMAL`: a power failure may take the last seconds with it, never the
    /// file), and writers of all processes wait up to four seconds for one another. To whom only reads (`mode=ro`) it is as it is.
    ///
    /// # Errors
    /// The URL is none.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        let failed = |failure: Failure| failure.of(Table::STORE);
        let options: SqliteConnectOptions = url.parse().map_err(|error: sqlx::Error| failed(error.into()))?;
        let options = options.busy_timeout(Duration::from_secs(4));
        if url.contains(":memory:") || url.contains("mode=memory") {
            // It lasts as long as its one connection.
            let connections = Connections::own(Opener::new(options).lasting(), 1);
            return Ok(Self::on(connections.map_err(failed)?, None));
        }
        let path = options.get_filename().to_owned();
        if path.as_os_str().is_empty() {
            // SQLite would make a file for each connection, and remove it.
            return Err(failed(Failure::Option { option: "open", reason: "the file has no name" }));
        }
        let parameters = url.split_once('?').map_or("", |(_, parameters)| parameters).split('&');
        let mode = parameters.filter_map(|parameter| parameter.strip_prefix("mode=")).next_back();
        let options = if mode.is_none() { options.create_if_missing(true) } else { options };
        // Wherever the process goes later.
        let is_uri = path.to_str().is_none_or(|name| name.starts_with("file:"));
        let path = if is_uri { path } else { std::path::absolute(&path).unwrap_or(path) };
        let options = options.filename(&path);
        let is_written = mode != Some("ro");
        let file = File { options, path, is_uri, is_written, creates_folder: false, is_concurrent: true };
        Ok(Self::on(file.connections().map_err(failed)?, Some(file)))
    }

    fn on(connections: Connections<Sqlite>, file: Option<File>) -> Self {
        let table = Table::of(SqliteTable::default(), None);
        Self(SqlStore::new(connections, table, Schedule::every(QUARTER)), file)
    }

    /// Whether the file has a write-ahead log ([WAL](https://www.sqlite.org/wal.html)), so that nobody who reads waits for a writer.
    /// Default: `true`. With `false` the file keeps the journal that it has, which is a new one's rollback journal: for file
    /// systems that cannot share memory, those of a network; then it is synchronized with each write. connect-sqlite3:
    /// `concurrentDb`, `false` there.
    ///
    /// # Errors
    /// The store is not on a file that it opens: a pool has what the application set.
    pub fn concurrent_db(self, concurrent: bool) -> Result<Self, StoreError> {
        self.reopened("concurrent_db", |file| file.is_concurrent = concurrent)
    }

    /// Whether the file's folder is created, with those above it, where it is missing. Default: `false`, so that a wrong name is an
    /// error. connect-sqlite3: `createDirIfNotExists`.
    ///
    /// # Errors
    /// The store is not on a file that it opens, or that is named by a `file:` URI.
    pub fn create_dir_if_not_exists(self, create: bool) -> Result<Self, StoreError> {
        const OPTION: &str = "create_dir_if_not_exists";
        if self.1.as_ref().is_some_and(|file| file.is_uri) {
            let reason = "the file is named by a `file:` URI, or by what is no text";
            return Err(Failure::Option { option: OPTION, reason }.of(Table::STORE));
        }
        self.reopened(OPTION, |file| file.creates_folder = create)
    }

    fn reopened(mut self, option: &'static str, change: impl FnOnce(&mut File)) -> Result<Self, StoreError> {
        let reason = "it is for a file that the store opens by its URL";
        let file = self.1.as_mut().ok_or(Failure::Option { option, reason });
        let connections = file.and_then(|file| {
            change(file);
            file.connections()
        });
        self.0.connections = connections.map_err(|failure| failure.of(Table::STORE))?;
        Ok(self)
    }

    /// Whose table it is. Default: this crate's own.
    ///
    /// Take another to share sessions with a Node application, or to take over its file.
    #[must_use]
    pub fn table(mut self, table: SqliteTable) -> Self {
        self.0.dialect = Arc::new(Table::of(table, self.0.dialect.name.clone()));
        self
    }

    /// The table's name. Default: `session`, and `sessions` for the tables of the Node packages, which are not alike: a
    /// file can have only one of that name. It is created if it is missing. connect-sqlite3: `table`.
    ///
    /// # Errors
    /// SQLite can have no table of that name.
    pub fn table_name(mut self, name: &str) -> Result<Self, StoreError> {
        let name =
            identifier("table_name", name, LONGEST_NAME).map_err(|failure| failure.of(Table::STORE))?;
        self.0.dialect = Arc::new(Table::of(self.0.dialect.kind, Some(name)));
        Ok(self)
    }

    /// How long a session is held whose cookie lives until the browser closes. Default: one day, as in both Node packages.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.0.settings.ttl = ttl;
        self
    }

    /// How often expired sessions are removed from the table; `None`: never. Default: every fifteen minutes.
    ///
    /// There is no timer behind it: the first write after that time starts it, in a task of its own. Expired sessions are
    /// never seen, removed or not. better-sqlite3-session-store: `expired.intervalMs`; connect-sqlite3 has once a day.
    #[must_use]
    pub fn prune_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.0.settings.pruning.interval = interval.into();
        self
    }

    /// How long any of the four verbs may take, waiting for other writers included; then it is an error. Default: five
    /// seconds.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.0.settings.timeout = timeout;
        self
    }

    /// The clock that expiry goes by, for tests. Default: the system's.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.0.settings.clock = clock;
        self
    }
}

impl File {
    fn connections(&self) -> Result<Connections<Sqlite>, Failure> {
        let options = if self.is_written && self.is_concurrent {
            let options = self.options.clone().journal_mode(SqliteJournalMode::Wal);
            // The file cannot be harmed with a log.
            options.synchronous(SqliteSynchronous::Normal)
        } else {
            self.options.clone()
        };
        let opener = Opener::new(options).file(self.path.clone());
        let opener = if self.creates_folder && self.is_written { opener.creates_folder() } else { opener };
        Connections::own(opener, CONNECTIONS)
    }
}

impl Table {
    fn of(kind: SqliteTable, name: Option<String>) -> Self {
        let columns = match kind {
            SqliteTable::Native => NATIVE,
            SqliteTable::ConnectSqlite3 => CONNECT_SQLITE3,
            SqliteTable::BetterSqlite3 => BETTER_SQLITE3,
        };
        let table = name.as_deref().unwrap_or(columns.table);
        let (table, index) = (quoted(table, '"'), quoted(&format!("{table}_expire"), '"'));
        let create = fill(columns.create, &[("table", &table), ("index", &index)]);
        let names = [
            ("table", &*table),
            ("create", &create),
            ("sid", columns.sid),
            ("text", columns.text),
            ("expiry", columns.expiry),
            ("until", columns.until),
            ("left", columns.left),
            ("held", columns.held),
            ("past", columns.past),
        ];
        let (sql, turns) = (TEMPLATES.fill(&names, STYLE), Arc::new(Semaphore::new(1)));
        Self { kind, name, is_indexed: columns.is_indexed, sql, turns }
    }
}

impl Dialect for Table {
    type Db = Sqlite;

    const STORE: &'static str = "sqlite";
    const LAST: Millis = LAST;
    // Row numbers: the least, and the second column.
    const FIRST: &'static str = "-9223372036854775808";
    const PLACE: usize = 1;

    fn creates(&self) -> bool {
        true
    }

    fn sql(&self) -> &Sql {
        &self.sql
    }

    fn bind(arguments: &mut SqliteArguments, value: Value, values: &Values<'_>) -> Result<(), BoxDynError> {
        let text = |text: &str| text.to_owned();
        match value {
            Value::Sid => arguments.add(text(values.sid)),
            Value::Bytes => arguments.add(values.sid.as_bytes().to_vec()),
            Value::Now => arguments.add(values.now),
            Value::Until => arguments.add(values.until),
            Value::Text => arguments.add(text(values.text)),
            Value::Version => arguments.add(text(values.version)),
            Value::After => arguments.add(text(values.after)),
            Value::End => arguments.add(text(values.end)),
            Value::Limit => arguments.add(values.limit),
            Value::Sids => values.sids.iter().try_for_each(|sid| arguments.add(text(sid))),
        }
    }

    async fn prepare(&self, on: &mut SqliteConnection) -> Result<(), Failure> {
        Sqlite::execute_raw(on, &self.sql.create).await
    }

    /// SQLite keeps bytes that are no text in a column of texts.
    fn text(row: &SqliteRow, column: usize) -> Result<Option<String>, Failure> {
        let bytes: Option<Vec<u8>> = row.try_get(column)?;
        // Not the whole error: it keeps the bytes.
        let no_text = |error: std::string::FromUtf8Error| BoxDynError::from(error.utf8_error());
        Ok(bytes.map(String::from_utf8).transpose().map_err(no_text)?)
    }

    fn number(row: &SqliteRow, column: usize) -> Result<i64, Failure> {
        Ok(row.try_get(column)?)
    }

    fn stored(settings: &Settings, row: &SqliteRow, _: Millis) -> Result<Stored, StoreError> {
        let text = Self::text(row, 0).map_err(|failure| StoreError::corrupt(Self::STORE, failure))?;
        let text: Arc<str> = text.unwrap_or_default().into();
        let record = parse(Self::STORE, Arc::clone(&text))?;
        let left = Self::number(row, 1).map_err(|failure| failure.of(Self::STORE))?;
        let left = Duration::from_millis(u64::try_from(left).unwrap_or_default());
        Ok(settings.stored(record, Version::from_text(text), left))
    }

    async fn set(
        &self,
        on: &mut SqliteConnection,
        values: &Values<'_>,
        expect: &Expect,
    ) -> Result<Option<Version>, Failure> {
        let written = execute::<Self>(on, self.sql.set_for(expect), values).await? > 0;
        Ok(written.then(|| Version::from_text(values.text)))
    }

    fn compared(version: &Version) -> Cow<'_, str> {
        version.text().unwrap_or_default().into()
    }

    async fn is_indexed(&self, _: &mut SqliteConnection) -> Result<bool, Failure> {
        Ok(self.is_indexed)
    }

    /// Another process writes, and the busy time-out did not apply: 5 is BUSY, 6 is LOCKED, the others are their kinds.
    fn gave_way(failure: &Failure) -> bool {
        failure.code().parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6))
    }

    fn is_no_table(failure: &Failure) -> bool {
        matches!(failure, Failure::Database { message, .. } if message.starts_with("no such table"))
    }

    fn explained(&self, failure: Failure) -> Failure {
        failure
    }

    fn turns(&self) -> Option<&Arc<Semaphore>> {
        Some(&self.turns)
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut shown, table) = (f.debug_struct("SqliteStore"), &self.0.dialect);
        shown.field("table", &table.kind).field("name", &table.name).finish_non_exhaustive()
    }
}

verbs!(SqliteStore);

#[cfg(test)]
mod tests {
    use super::SqliteStore;

    #[tokio::test]
    async fn a_database_in_memory_lasts_as_long_as_its_one_connection() {
        for url in ["sqlite::memory:", "sqlite:file:shared?mode=memory"] {
            let store = SqliteStore::open(url).unwrap();
            assert_eq!(store.0.connections.size(), 1);
            assert!(store.0.connections.is_lasting());
        }
    }

    #[tokio::test]
    async fn a_file_is_opened_as_it_is_promised() {
        let file = std::env::temp_dir().join(format!("store-sqlx-pragmas-{}.db", std::process::id()));
        let store = SqliteStore::open(&format!("sqlite:{}", file.display())).unwrap();
        let mut lent = store.0.connections.lend().await.unwrap();
        for (ask, value) in [
            ("SELECT journal_mode FROM pragma_journal_mode", "wal"),
            ("SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous", "1"),
            ("SELECT CAST(timeout AS TEXT) FROM pragma_busy_timeout", "4000"),
        ] {
            let held: String = sqlx::query_scalar(ask).fetch_one(lent.connection().unwrap()).await.unwrap();
            assert_eq!(held, value, "{ask}");
        }
        drop((lent, store));
        for suffix in ["", "-wal", "-shm"] {
            _ = std::fs::remove_file(format!("{}{suffix}", file.display()));
        }
    }
}
