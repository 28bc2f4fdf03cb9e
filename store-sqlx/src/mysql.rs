//! MySQL and MariaDB, with express-mysql-session's table.

use std::{fmt, fmt::Write, future::Future, sync::Arc, time::Duration};

use futures_util::TryStreamExt;
use session_core::{
    AdminStore, Clock, Cookie, Destroyed, Expect, Record, Set, Sid, Store, StoreError, Stored, Touched,
    Version, async_trait,
};
use sha2::{Digest, Sha256};
use sqlx::{
    Connection, Executor, MySql, MySqlConnection, MySqlPool,
    mysql::{MySqlConnectOptions, MySqlPoolOptions},
    query, query_as, query_scalar,
};
use tokio::sync::OnceCell;

use crate::{
    call::{Lent, again, call, lent},
    error::{Failure, code},
    settings::{BATCH, QUARTER, Schedule, Settings, parse},
    sql::{Statement, fill, identifier, quoted},
    time::{Millis, left, round_seconds},
};

const STORE: &str = "mysql";
const LONGEST_NAME: usize = 64;
const NO_SUCH_TABLE: &str = "1146";

// To the collation of Node's table `a` and `a ` are one id (PAD SPACE), and to others `a` and `A`: the bytes decide.

const SID_BYTES: &str = "CAST(CONVERT({session_id} USING utf8mb4) AS BINARY)";
const TEXT: &str = "CONVERT({data} USING utf8mb4)";

/// Node takes a null for no session, SQL's or JSON's. Lists do not look into the column for the latter.
const HELD: &str = "{expires} >= ? AND {data} IS NOT NULL";
const JSON_NULL: &str = "CONVERT({data} USING utf8mb4) = CAST('null' AS BINARY)";

// Whether the column is signed is its table's business.
const GET: &str = "\
    SELECT {text}, CAST({expires} AS SIGNED) FROM {table} WHERE {session_id} = ? AND {sid_bytes} = ? AND {held} AND NOT {json_null}";

// There is no condition on an upsert, and no count of rows that would tell an insert from an update that changes nothing:
// what it did is told by LAST_INSERT_ID: 1, the row is replaced; one of the two below, it is as it was; else there was none.
// They are no ids that a column counts up to. A table may have one, whose number an insert tells.
const SET: &str = "\
    INSERT INTO {table} ({session_id}, {expires}, {data}) VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE \
    {data} = IF(LAST_INSERT_ID(IF({sid_bytes} <> ?, CAST(18446744073709551613 AS UNSIGNED), \
        IF({expires} < ?, CAST(1 AS UNSIGNED), CAST(18446744073709551614 AS UNSIGNED)))) = 1, VALUES({data}), {data}), \
    {expires} = IF({sid_bytes} = ? AND {expires} < ?, VALUES({expires}), {expires})";
const AS_IT_WAS: u64 = u64::MAX - 1;
const OF_ANOTHER_SID: u64 = u64::MAX - 2;
const CLEAR_NULL: &str = "\
    DELETE FROM {table} WHERE {session_id} = ? AND {sid_bytes} = ? \
    AND ({data} IS NULL OR {expires} IS NULL OR {json_null})";

const SET_EXPECTING_VERSION: &str = "\
    UPDATE {table} SET {data} = ?, {expires} = ? \
    WHERE {session_id} = ? AND {sid_bytes} = ? AND {held} AND SHA2({text}, 256) = ?";

const TOUCH: &str = "\
    UPDATE {table} SET {expires} = ? \
    WHERE {session_id} = ? AND {sid_bytes} = ? AND {held} AND NOT {json_null}";
const TOUCH_EXPECTING_VERSION: &str = "\
    UPDATE {table} SET {expires} = ? \
    WHERE {session_id} = ? AND {sid_bytes} = ? AND {held} AND SHA2({text}, 256) = ?";

const DESTROY: &str = "DELETE FROM {table} WHERE {session_id} = ? AND {sid_bytes} = ?";
const DESTROY_EXPECTING_VERSION: &str = "\
    DELETE FROM {table} \
    WHERE {session_id} = ? AND {sid_bytes} = ? AND {held} AND SHA2({text}, 256) = ?";

const LENGTH: &str = "SELECT COUNT(*) FROM {table} WHERE {held}";
const IDS: &str = "SELECT CONVERT({session_id} USING utf8mb4) FROM {table} WHERE {held}";
const ALL: &str = "SELECT CONVERT({session_id} USING utf8mb4), {text} FROM {table} WHERE {held}";
const CLEAR: &str = "DELETE FROM {table}";
// A row whose data are null goes when its time has come: no index knows it.
const PRUNE: &str = "DELETE FROM {table} WHERE {expires} < ? OR {expires} IS NULL LIMIT ?";

// What a connection must be like: without a strict mode MySQL cuts what does not fit, and without autocommit it keeps nothing.
const SESSION: &str =
    "SELECT CONVERT(@@SESSION.sql_mode USING utf8mb4), CAST(@@SESSION.autocommit AS SIGNED)";
/// Nothing is cut, everything is kept, and who waits for a lock does not wait for ever: the server does not see that it has
/// given up.
const BEGIN_SESSION: &str = "\
    SET SESSION sql_mode = CONCAT(@@SESSION.sql_mode, ',STRICT_TRANS_TABLES'), SESSION autocommit = 1, \
    SESSION innodb_lock_wait_timeout = 10, SESSION lock_wait_timeout = 10";

const EXISTS: &str = "SELECT 1 FROM {table} LIMIT 0";
// The collation is Node's utf8mb4_bin, but for the blanks: MariaDB reads the first comment, MySQL the second.
const CREATE: &str = "\
    CREATE TABLE IF NOT EXISTS {table} (\
        {session_id} varchar(128) CHARACTER SET utf8mb4 \
            COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */ NOT NULL, \
        {expires} int(11) unsigned NOT NULL, \
        {data} mediumtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, \
        PRIMARY KEY ({session_id}), \
        KEY ({expires})\
    ) ENGINE=InnoDB";

/// Sessions in MySQL or MariaDB, in the table of express-mysql-session.
///
/// See the [crate's page](crate#mysql-and-mariadb) for the table and a runnable example. The setters are
/// express-mysql-session's options.
pub struct MySqlStore {
    pool: MySqlPool,
    schema: Schema,
    sql: Arc<Sql>,
    create_database_table: bool,
    ready: OnceCell<()>,
    clear_expired: bool,
    settings: Settings,
}

struct Schema {
    table: String,
    session_id: String,
    expires: String,
    data: String,
}

struct Sql {
    get: Statement,
    set: Statement,
    clear_null: Statement,
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
    exists: Statement,
    create: Statement,
}

impl MySqlStore {
    /// On the pool that the application already has. How many connections there are, and how long to wait for one, is the
    /// pool's. Its connections must have the character set that sqlx gives them, utf8mb4, a strict `sql_mode`
    /// (`STRICT_TRANS_TABLES`) and `autocommit`, as they have unless the server or the pool says otherwise: else what does
    /// not fit is cut, or nothing is kept. The first use looks, and fails where it is not so.
    #[must_use]
    pub fn new(pool: MySqlPool) -> Self {
        let schema = Schema {
            table: "sessions".into(),
            session_id: "session_id".into(),
            expires: "expires".into(),
            data: "data".into(),
        };
        Self {
            pool,
            sql: Arc::new(Sql::of(&schema)),
            schema,
            create_database_table: true,
            ready: OnceCell::new(),
            clear_expired: true,
            settings: Settings::new(Schedule::every(QUARTER)),
        }
    }

    /// On the server at a URL, `mysql://user:password@host:3306/database`, with up to ten connections of its own. Nothing
    /// is connected yet: a server that is down harms only what needs a session. Whatever the server's defaults, each
    /// connection has a strict `sql_mode` and `autocommit`.
    ///
    /// # Errors
    /// The URL is none.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        let options: MySqlConnectOptions = url.parse().map_err(|error| Failure::from(error).of(STORE))?;
        // A connection that was used a moment ago is not asked whether it is still there.
        let pool = MySqlPoolOptions::new()
            .acquire_timeout(Duration::from_secs(3))
            .after_connect(|connection, _| {
                Box::pin(async move { connection.execute(BEGIN_SESSION).await.map(|_| ()) })
            })
            .test_before_acquire(false)
            .before_acquire(|connection, pooled| {
                Box::pin(async move {
                    if pooled.idle_for > Duration::from_secs(1) {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(options);
        Ok(Self::new(pool))
    }

    /// The table. Default: `sessions`. express-mysql-session: `schema.tableName`.
    ///
    /// # Errors
    /// MySQL can have no table of that name.
    pub fn table_name(mut self, name: &str) -> Result<Self, StoreError> {
        self.schema.table = name_of("table_name", name)?;
        Ok(self.refilled())
    }

    /// The three columns. Default: `session_id`, `expires` and `data`. express-mysql-session: `schema.columnNames`, of
    /// which its own `all` takes no notice; here every operation does.
    ///
    /// # Errors
    /// MySQL can have no column of one of these names.
    pub fn column_names(mut self, session_id: &str, expires: &str, data: &str) -> Result<Self, StoreError> {
        self.schema.session_id = name_of("column_names", session_id)?;
        self.schema.expires = name_of("column_names", expires)?;
        self.schema.data = name_of("column_names", data)?;
        Ok(self.refilled())
    }

    /// How long a session is held whose cookie lives until the browser closes. Default: one day.
    ///
    /// Kept in whole seconds, rounded to the nearest. express-mysql-session: `expiration`, in milliseconds.
    #[must_use]
    pub fn expiration(mut self, expiration: Duration) -> Self {
        self.settings.ttl = expiration;
        self
    }

    /// Whether the table is created before it is used first, if there is none. Default: `true`.
    ///
    /// Safe with any number of processes that start at once. It needs the right to create tables, and only where there is
    /// no table. express-mysql-session: `createDatabaseTable`.
    #[must_use]
    pub fn create_database_table(mut self, create: bool) -> Self {
        self.create_database_table = create;
        self
    }

    /// Whether a touch is left out, so that a session ends a lifetime after it was last written, in use or not (in the new
    /// profile, where only a handler has saved it, four fifths of one at least, of which the browser hears when the end of a
    /// request writes again). Default: `false`.
    ///
    /// A touch then costs nothing, and answers [`Touched::Skipped`]. express-mysql-session: `disableTouch`.
    #[must_use]
    pub fn disable_touch(mut self, disable: bool) -> Self {
        self.settings.disable_touch = disable;
        self
    }

    /// Whether expired sessions are removed from the table. Default: `true`. Removed or not, they are never seen.
    /// express-mysql-session: `clearExpired`.
    #[must_use]
    pub fn clear_expired(mut self, clear: bool) -> Self {
        self.clear_expired = clear;
        self
    }

    /// How often they are. Default: every fifteen minutes.
    ///
    /// There is no timer behind it: the first write after that time starts it, in a task of its own.
    /// express-mysql-session: `checkExpirationInterval`, in milliseconds.
    #[must_use]
    pub fn check_expiration_interval(mut self, interval: Duration) -> Self {
        self.settings.pruning.interval = Some(interval);
        self
    }

    /// How long any of the four verbs may take, waiting for a connection included; then it is an error. Default: five
    /// seconds.
    ///
    /// express-mysql-session has no such option: it waits for as long as the pool and the server do.
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
        self.sql = Arc::new(Sql::of(&self.schema));
        self
    }

    async fn call<T, F>(&self, send: impl FnMut(Lent<MySql>) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = sqlx::Result<T>>,
    {
        self.ready().await?;
        call(self.settings.timeout, &self.pool, gave_way, send).await.map_err(|failure| self.failed(failure))
    }

    /// What is not for a request has no time limit.
    async fn take_time<T>(&self, sent: impl Future<Output = sqlx::Result<T>>) -> Result<T, StoreError> {
        self.ready().await?;
        sent.await.map_err(|error| self.failed(error.into()))
    }

    /// Looks at the connection and creates the table, once; a failure is no reason not to try again.
    async fn ready(&self) -> Result<(), StoreError> {
        self.ready.get_or_try_init(|| self.prepare()).await.map_err(|failure| self.failed(failure))?;
        Ok(())
    }

    async fn prepare(&self) -> Result<(), Failure> {
        let session = lent!(on: MySql => query_as(SESSION).fetch_one(&mut *on).await);
        let (sql_mode, autocommit): (String, i64) =
            call(self.settings.timeout, &self.pool, gave_way, session).await?;
        if !["STRICT_TRANS_TABLES", "STRICT_ALL_TABLES"].iter().any(|strict| sql_mode.contains(strict)) {
            let reason = "is not strict, and would cut what does not fit: add STRICT_TRANS_TABLES to it";
            return Err(Failure::Session { setting: "sql_mode", reason });
        }
        if autocommit == 0 {
            let reason = "is off, and nothing that is written would be kept: set it to 1";
            return Err(Failure::Session { setting: "autocommit", reason });
        }
        if self.create_database_table {
            call(self.settings.timeout, &self.pool, gave_way, lent!(on => self.create(&mut on).await))
                .await?;
        }
        Ok(())
    }

    async fn create(&self, on: &mut MySqlConnection) -> sqlx::Result<()> {
        // Without the right to create one, `IF NOT EXISTS` is an error even where it does.
        match on.execute(query(self.sql.exists.text())).await {
            Err(error) if code(&error).as_deref() == Some(NO_SUCH_TABLE) => {}
            answer => return answer.map(|_| ()),
        }
        on.execute(sqlx::raw_sql(self.sql.create.text())).await.map(|_| ())
    }

    fn failed(&self, failure: Failure) -> StoreError {
        let failure = match failure {
            Failure::Database { code, .. } if code == NO_SUCH_TABLE => {
                let table = quoted(&self.schema.table, '`');
                Failure::NoTable { table, option: "create_database_table" }
            }
            failure => failure,
        };
        failure.of(STORE)
    }

    fn prune_when_due(&self, now: Millis) {
        if self.clear_expired && self.settings.pruning.is_due(now) {
            let (pool, sql) = (self.pool.clone(), Arc::clone(&self.sql));
            tokio::spawn(async move {
                if let Err(error) = prune(&pool, &sql, now).await {
                    tracing::warn!(store = STORE, error = %Failure::from(error), "expired sessions stay for now");
                }
            });
        }
    }
}

/// The record's text, and the seconds since 1970 at which it ends.
pub(crate) type Row = (String, i64);

pub(crate) fn stored(settings: &Settings, (text, expires): Row, now: Millis) -> Result<Stored, StoreError> {
    let version = digest(&text);
    let record = parse(STORE, text)?;
    Ok(settings.stored(record, version, left(expires.saturating_mul(1_000), now)))
}

#[async_trait]
impl Store for MySqlStore {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        let (now, sid) = (self.settings.now(), sid.as_str());
        let get = || query_as(self.sql.get.text()).bind(sid).bind(sid.as_bytes()).bind(at(now));
        let held: Option<Row> = self.call(lent!(on => get().fetch_optional(&mut *on).await)).await?;
        held.map(|row| stored(&self.settings, row, now)).transpose()
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        let now = self.settings.now();
        let Some(until) = self.settings.until(&record.cookie, now) else { return Ok(Set::Expired) };
        self.prune_when_due(now);
        let (text, sid) = (&*record.to_json(), sid.as_str());
        let written = match expect {
            // What expires before this is replaced: all of it, or what has expired.
            Expect::Anything => self.upsert(sid, text, until, i64::MAX).await?,
            Expect::Nothing => self.upsert(sid, text, until, at(now)).await?,
            Expect::Version(version) => {
                let update = lent!(on: MySql => {
                    let update = query(self.sql.set_expecting_version.text()).bind(text).bind(at(until));
                    let update = update.bind(sid).bind(sid.as_bytes()).bind(at(now)).bind(version.text());
                    update.execute(&mut *on).await
                });
                // Rows found, changed or not: sqlx asks the server to count so.
                self.call(update).await?.rows_affected() > 0
            }
        };
        Ok(if written { Set::Written(digest(text)) } else { Set::Conflict })
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        let (now, sql, sid) = (self.settings.now(), &*self.sql, sid.as_str());
        let Some(until) = self.settings.until(cookie, now) else { return Ok(Touched::Expired) };
        if self.settings.disable_touch && *expect != Expect::Nothing {
            return Ok(Touched::Skipped);
        }
        self.prune_when_due(now);
        self.call(lent!(on => {
            let touch = |sql: &Statement| {
                query(sql.text()).bind(at(until)).bind(sid).bind(sid.as_bytes()).bind(at(now))
            };
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
            let of_sid = |sql: &Statement| query(sql.text()).bind(sid).bind(sid.as_bytes());
            let destroy = match expect {
                Expect::Anything => Some(of_sid(&sql.destroy)),
                Expect::Version(version) => {
                    Some(of_sid(&sql.destroy_expecting_version).bind(at(now)).bind(version.text()))
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

impl MySqlStore {
    /// Writes where there is no row, or one that expires before `replaced`; answers whether it did.
    async fn upsert(&self, sid: &str, text: &str, until: Millis, replaced: i64) -> Result<bool, StoreError> {
        let upsert = async |on: &mut MySqlConnection| {
            let upsert = query(self.sql.set.text()).bind(sid).bind(at(until)).bind(text);
            let upsert = upsert.bind(sid.as_bytes()).bind(replaced).bind(sid.as_bytes()).bind(replaced);
            Ok::<_, sqlx::Error>(upsert.execute(on).await?.last_insert_id())
        };
        let did = self.call(lent!(on => {
            let did = upsert(&mut *on).await?;
            if did != AS_IT_WAS {
                return Ok(did);
            }
            // The row may be one that nobody finds.
            let null = query(self.sql.clear_null.text()).bind(sid).bind(sid.as_bytes());
            let cleared = null.execute(&mut *on).await?.rows_affected();
            if cleared > 0 { upsert(&mut *on).await } else { Ok(did) }
        }));
        match did.await? {
            AS_IT_WAS => Ok(false),
            OF_ANOTHER_SID => Err(Failure::SameSid.of(STORE)),
            _ => Ok(true),
        }
    }
}

#[async_trait]
impl AdminStore for MySqlStore {
    async fn length(&self) -> Result<u64, StoreError> {
        let count = query_scalar(self.sql.length.text()).bind(at(self.settings.now()));
        let count: i64 = self.take_time(count.fetch_one(&self.pool)).await?;
        Ok(count.unsigned_abs())
    }

    async fn ids(&self, visit: &mut (dyn FnMut(Sid) + Send)) -> Result<(), StoreError> {
        self.ready().await?;
        let mut ids =
            query_scalar::<_, String>(self.sql.ids.text()).bind(at(self.settings.now())).fetch(&self.pool);
        while let Some(sid) = ids.try_next().await.map_err(|error| self.failed(error.into()))? {
            visit(Sid::from(sid));
        }
        Ok(())
    }

    async fn all(&self, visit: &mut (dyn FnMut(Sid, Record) + Send)) -> Result<(), StoreError> {
        self.ready().await?;
        let mut all = query_as::<_, (String, Option<String>)>(self.sql.all.text())
            .bind(at(self.settings.now()))
            .fetch(&self.pool);
        while let Some((sid, text)) = all.try_next().await.map_err(|error| self.failed(error.into()))? {
            if let Ok(record) = Record::parse(text.unwrap_or_default()) {
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

async fn prune(pool: &MySqlPool, sql: &Sql, now: Millis) -> sqlx::Result<u64> {
    let mut pruned = 0;
    loop {
        let batch = again(
            pool,
            gave_way,
            lent!(on => {
                query(sql.prune.text()).bind(at(now)).bind(BATCH).execute(&mut *on).await
            }),
        )
        .await?;
        pruned += batch.rows_affected();
        if batch.rows_affected() < BATCH {
            return Ok(pruned);
        }
    }
}

/// The column is unsigned and of 32 bits: until 2106, which is for ever.
fn at(ms: Millis) -> i64 {
    round_seconds(ms).clamp(0, i64::from(u32::MAX))
}

/// The version of a text, as the server computes it of the column.
fn digest(text: &str) -> Version {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(text) {
        // Writing to a String cannot fail.
        _ = write!(hex, "{byte:02x}");
    }
    Version::from_text(hex)
}

/// A deadlock, or in newer versions of MariaDB a row that changed while the statement looked for it: nothing was written.
fn gave_way(error: &sqlx::Error) -> bool {
    matches!(code(error).as_deref(), Some("1213" | "1020"))
}

fn name_of(option: &'static str, name: &str) -> Result<String, StoreError> {
    identifier(option, name, LONGEST_NAME).map_err(|failure| failure.of(STORE))
}

async fn is_held(on: &mut MySqlConnection, sql: &Sql, sid: &str, now: Millis) -> sqlx::Result<bool> {
    let held = query(sql.get.text()).bind(sid).bind(sid.as_bytes()).bind(at(now));
    Ok(held.fetch_optional(on).await?.is_some())
}

impl Sql {
    fn of(schema: &Schema) -> Self {
        let [table, session_id, expires, data] =
            [&schema.table, &schema.session_id, &schema.expires, &schema.data].map(|name| quoted(name, '`'));
        let columns = [("session_id", &*session_id), ("expires", &*expires), ("data", &*data)];
        let [sid_bytes, text, held, json_null] =
            [SID_BYTES, TEXT, HELD, JSON_NULL].map(|template| fill(template, &columns));
        let names = [
            ("table", &*table),
            ("sid_bytes", &*sid_bytes),
            ("text", &*text),
            ("held", &*held),
            ("json_null", &*json_null),
        ];
        let names = [&columns[..], &names].concat();
        let fill = |template| Statement::fill(template, &names);
        Self {
            get: fill(GET),
            set: fill(SET),
            clear_null: fill(CLEAR_NULL),
            set_expecting_version: fill(SET_EXPECTING_VERSION),
            touch: fill(TOUCH),
            touch_expecting_version: fill(TOUCH_EXPECTING_VERSION),
            destroy: fill(DESTROY),
            destroy_expecting_version: fill(DESTROY_EXPECTING_VERSION),
            length: fill(LENGTH),
            ids: fill(IDS),
            all: fill(ALL),
            clear: fill(CLEAR),
            prune: fill(PRUNE),
            exists: fill(EXISTS),
            create: fill(CREATE),
        }
    }
}

/// Shows no connection: a password may be part of it.
impl fmt::Debug for MySqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MySqlStore").field("table", &self.schema.table).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use sqlx::mysql::MySqlSslMode;

    use super::*;

    #[tokio::test]
    async fn how_a_connection_is_encrypted_is_as_the_url_says() {
        for (word, mode) in [
            ("DISABLED", MySqlSslMode::Disabled),
            ("REQUIRED", MySqlSslMode::Required),
            ("VERIFY_CA", MySqlSslMode::VerifyCa),
            ("VERIFY_IDENTITY", MySqlSslMode::VerifyIdentity),
        ] {
            let store = MySqlStore::open(&format!("mysql://me@127.0.0.1/app?ssl-mode={word}")).unwrap();
            let kept = store.pool.connect_options().get_ssl_mode();
            assert_eq!(format!("{kept:?}"), format!("{mode:?}"));
        }
    }

    #[tokio::test]
    async fn expired_sessions_are_removed_as_often_as_the_option_says() {
        let store = MySqlStore::open("mysql://me@127.0.0.1/app").unwrap();
        assert_eq!(store.settings.pruning.interval, Some(QUARTER));
        let store = store.check_expiration_interval(Duration::from_secs(7));
        assert_eq!(store.settings.pruning.interval, Some(Duration::from_secs(7)));
        assert!(store.clear_expired && !store.clear_expired(false).clear_expired);
    }
}
