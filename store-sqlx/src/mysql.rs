//! MySQL and MariaDB, with express-mysql-session's table.

use std::{
    borrow::Cow,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use session_core::{Clock, Expect, StoreError, Stored, Version};
use sqlx::{
    Arguments, MySql, MySqlConnection, MySqlPool, Row,
    error::BoxDynError,
    mysql::{MySqlArguments, MySqlConnectOptions, MySqlRow},
};

use crate::{
    dialect::{Dialect, OfList, Sql, Templates},
    digest::digest,
    error::Failure,
    pool::{Connections, Opener, without_brackets},
    run::Run,
    settings::{CONNECTIONS, QUARTER, Schedule, Settings, parse},
    sql::{Statement, Style, Value, Values, fill, identifier, quoted},
    store::{SqlStore, arguments, execute, fetch, verbs},
    time::{Millis, left, round_seconds},
};

const LONGEST_NAME: usize = 64;
const NO_SUCH_TABLE: &str = "1146";

// To the collation of Node's table `a` and `a ` are one id (PAD SPACE), and to others `a` and `A`: the bytes decide.

const SID_BYTES: &str = "CAST(CONVERT({session_id} USING utf8mb4) AS BINARY)";
const IS_SID: &str = "{session_id} = :sid AND {sid_bytes} = :bytes";
const SID: &str = "CONVERT({session_id} USING utf8mb4)";
const TEXT: &str = "CONVERT({data} USING utf8mb4)";
const IS_VERSION: &str = "SHA2({text}, 256) = :version";

/// Node takes a null for no session, SQL's or JSON's. Lists do not look into the column for the latter.
const HELD: &str = "{expires} >= :now AND {data} IS NOT NULL";
const JSON_NULL: &str = "CONVERT({data} USING utf8mb4) = CAST('null' AS BINARY)";

/// A row whose data are null goes when its time has come: no index knows it.
const PAST: &str = "({expires} < :now OR {expires} IS NULL)";

// There is no condition on an upsert, and no count of rows that would tell an insert from an update that changes nothing:
// what it did is told by LAST_INSERT_ID: 1, the row is replaced; one of the two below, it is as it was; else there was none.
// They are no ids that a column counts up to. A table may have one, whose number an insert tells.
const AS_IT_WAS: u64 = u64::MAX - 1;
const OF_ANOTHER_SID: u64 = u64::MAX - 2;

const STYLE: Style = Style { mark: '?', is_numbered: false };

const TEMPLATES: Templates = Templates {
    // Whether the column is signed is its table's business.
    get: "\
        SELECT {text}, CAST({expires} AS SIGNED) FROM {table} WHERE {is_sid} AND {held} AND NOT {json_null}",

    set: "\
        INSERT INTO {table} ({session_id}, {expires}, {data}) VALUES (:sid, :until, :text) \
        ON DUPLICATE KEY UPDATE \
        {data} = IF(LAST_INSERT_ID(IF({sid_bytes} <> :bytes, \
            CAST(18446744073709551613 AS UNSIGNED), CAST(1 AS UNSIGNED))) = 1, VALUES({data}), {data}), \
        {expires} = IF({sid_bytes} = :bytes, VALUES({expires}), {expires})",
    set_expecting_nothing: "\
        INSERT INTO {table} ({session_id}, {expires}, {data}) VALUES (:sid, :until, :text) \
        ON DUPLICATE KEY UPDATE \
        {data} = IF(LAST_INSERT_ID(IF({sid_bytes} <> :bytes, CAST(18446744073709551613 AS UNSIGNED), \
            IF({expires} < :now, CAST(1 AS UNSIGNED), CAST(18446744073709551614 AS UNSIGNED)))) = 1, \
            VALUES({data}), {data}), \
        {expires} = IF({sid_bytes} = :bytes AND {expires} < :now, VALUES({expires}), {expires})",
    // Rows found, changed or not: sqlx asks the server to count so.
    set_expecting_version: "\
        UPDATE {table} SET {data} = :text, {expires} = :until WHERE {is_sid} AND {held} AND {is_version}",

    touch: "UPDATE {table} SET {expires} = :until WHERE {is_sid} AND {held} AND NOT {json_null}",
    touch_expecting_version: "\
        UPDATE {table} SET {expires} = :until WHERE {is_sid} AND {held} AND {is_version}",

    destroy: "DELETE FROM {table} WHERE {is_sid}",
    destroy_expecting_version: "DELETE FROM {table} WHERE {is_sid} AND {held} AND {is_version}",

    length: "SELECT COUNT(*) FROM {table} WHERE {held}",
    ids: "\
        SELECT {sid} FROM {table} WHERE {session_id} > :after AND {held} ORDER BY {session_id} LIMIT :limit",
    all: "\
        SELECT {sid}, {text} FROM {table} \
        WHERE {session_id} > :after AND {held} ORDER BY {session_id} LIMIT :limit",
    rows: "SELECT {sid} FROM {table} WHERE {session_id} > :after ORDER BY {session_id} LIMIT :limit",
    clear: "DELETE FROM {table}",

    expired: "SELECT {sid} FROM {table} WHERE {past} LIMIT :limit",
    step: "\
        SELECT {sid} FROM {table} WHERE {session_id} > :after ORDER BY {session_id} LIMIT 1 OFFSET :limit",
    expired_of_step: "\
        SELECT {sid} FROM {table} WHERE {session_id} > :after AND {session_id} <= :end AND {past}",
    expired_of_last_step: "SELECT {sid} FROM {table} WHERE {session_id} > :after AND {past}",
    // A statement that goes by this key locks the rows that it removes, and no others; left to itself the server may look at all.
    remove_expired: "\
        DELETE {table} FROM {table} FORCE INDEX (PRIMARY) WHERE {session_id} IN (:sids) AND {past}",
    remove: "DELETE FROM {table} WHERE {session_id} IN (:sids)",

    // The collation is Node's utf8mb4_bin, but for the blanks: MariaDB reads the first comment, MySQL the second.
    create: "\
        CREATE TABLE IF NOT EXISTS {table} (\
            {session_id} varchar(128) CHARACTER SET utf8mb4 \
                COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */ NOT NULL, \
            {expires} int(11) unsigned NOT NULL, \
            {data} mediumtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, \
            PRIMARY KEY ({session_id}), \
            KEY ({expires})\
        ) ENGINE=InnoDB",
};

/// Where the table has another key than Node's.
const REMOVE_EXPIRED: &str = "DELETE FROM {table} WHERE {session_id} IN (:sids) AND {past}";
const CLEAR_NULL: &str =
    "DELETE FROM {table} WHERE {is_sid} AND ({data} IS NULL OR {expires} IS NULL OR {json_null})";
const EXISTS: &str = "SELECT 1 FROM {table} LIMIT 0";
/// How many indexes begin with the expiry, and whether the sid is the primary key.
const INDEXED: &str = "\
    SELECT CAST(COALESCE(SUM(column_name = :text), 0) AS SIGNED), \
    CAST(COALESCE(SUM(column_name = :version AND index_name = 'PRIMARY'), 0) AS SIGNED) \
    FROM information_schema.statistics \
    WHERE table_schema = DATABASE() AND table_name = :sid AND seq_in_index = 1";

/// What a connection must be like: without a strict mode MySQL cuts what does not fit, and without autocommit it keeps nothing.
const SESSION: &str =
    "SELECT CONVERT(@@SESSION.sql_mode USING utf8mb4), CAST(@@SESSION.autocommit AS SIGNED)";

/// Nothing is cut, everything is kept, and who waits for a lock does not wait for ever: the server does not see that it has
/// given up.
const BEGIN: &str = "\
    SET SESSION sql_mode = CONCAT(@@SESSION.sql_mode, ',STRICT_TRANS_TABLES'), SESSION autocommit = 1, \
    SESSION innodb_lock_wait_timeout = 10, SESSION lock_wait_timeout = 10";

/// Sessions in MySQL or MariaDB, in the table of express-mysql-session.
///
/// See the [crate's page](crate#mysql-and-mariadb) for the table and a runnable example. The setters are
/// express-mysql-session's options.
pub struct MySqlStore(SqlStore<MySqlTable>);

/// express-mysql-session's, under its names.
pub(crate) struct MySqlTable {
    names: Names,
    creates: bool,
    sql: Sql,
    remove_expired: OfList,
    /// As far as a pruning has seen.
    has_primary_key: AtomicBool,
    clear_null: Statement,
    exists: Statement,
    indexed: Statement,
    session: Statement,
}

#[derive(Clone)]
struct Names {
    table: String,
    session_id: String,
    expires: String,
    data: String,
}

impl MySqlStore {
    /// On the pool that the application already has. How many connections there are, and how long to wait for one, is the
    /// pool's. Its connections must have the character set that sqlx gives them, utf8mb4, a strict `sql_mode`
    /// (`STRICT_TRANS_TABLES`) and `autocommit`, as they have unless the server or the pool says otherwise: else what does
    /// not fit is cut, or nothing is kept. The first use looks, and fails where it is not so.
    #[must_use]
    pub fn new(pool: MySqlPool) -> Self {
        Self::on(Connections::Shared(pool))
    }

    /// On the server at a URL, `mysql://user:password@host:3306/database`, with up to ten connections of its own. Nothing
    /// is connected yet: a server that is down harms only what needs a session. Whatever the server's defaults, each
    /// connection has a strict `sql_mode` and `autocommit`.
    ///
    /// # Errors
    /// The URL is none.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        let failed = |failure: Failure| failure.of(MySqlTable::STORE);
        let options: MySqlConnectOptions = url.parse().map_err(|error: sqlx::Error| failed(error.into()))?;
        let host = without_brackets(options.get_host()).to_owned();
        let options = options.host(&host);
        Connections::own(Opener::new(options).begin(BEGIN), CONNECTIONS).map(Self::on).map_err(failed)
    }

    /// The password of each new connection, asked for before it is made: for one that rotates, a token of an identity service (IAM),
    /// say. Default: the URL's.
    ///
    /// A connection that was made with an earlier one goes on, for half an hour at most. What `password` fails with is the error
    /// of the call ([`StoreError::Unavailable`], as its source); its words may be logged. The time that it takes is the call's.
    /// It is asked often while the server refuses, and given up with the call that waits for it: where a token takes its time, keep it
    /// yourself until it ends. In the clear, as RDS wants it (`mysql_clear_password`), only where the URL's `ssl-mode` demands TLS;
    /// who is in between is kept out by `verify_identity` alone.
    /// express-mysql-session: none; its `pool` does.
    ///
    /// ```
    /// # async fn token() -> Result<String, std::io::Error> { Ok("token".into()) }
    /// # use store_sqlx::MySqlStore;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = MySqlStore::open("mysql://web@db.example.com/shop?ssl-mode=verify_identity")?.password(|| async { Ok(token().await?) })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The store is on a pool of the application's, which has its own.
    pub fn password<F>(mut self, password: impl Fn() -> F + Send + Sync + 'static) -> Result<Self, StoreError>
    where
        F: Future<Output = Result<String, BoxDynError>> + Send + 'static,
    {
        let password = Arc::new(move || password().boxed());
        let connections = self.0.connections.with_password(password);
        self.0.connections = connections.map_err(|failure| failure.of(MySqlTable::STORE))?;
        Ok(self)
    }

    fn on(connections: Connections<MySql>) -> Self {
        let [table, session_id, expires, data] =
            ["sessions", "session_id", "expires", "data"].map(String::from);
        let table = MySqlTable::of(Names { table, session_id, expires, data }, true);
        Self(SqlStore::new(connections, table, Schedule::every(QUARTER)))
    }

    /// The table. Default: `sessions`. express-mysql-session: `schema.tableName`.
    ///
    /// # Errors
    /// MySQL can have no table of that name.
    pub fn table_name(self, name: &str) -> Result<Self, StoreError> {
        let name = name_of("table_name", name)?;
        Ok(self.with(|names| names.table = name))
    }

    /// What the columns `session_id`, `expires` and `data` are called; those that are not given keep their names.
    /// express-mysql-session: `schema.columnNames`, of which its own `all` takes no notice; here every operation does.
    ///
    /// ```
    /// # use store_sqlx::MySqlStore;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = MySqlStore::open("mysql://web@127.0.0.1/shop")?.column_names([("session_id", "id"), ("data", "json")])?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// There is no such column to name, MySQL can have none of that name, or two have one.
    pub fn column_names<'a>(
        self,
        names: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, StoreError> {
        const OPTION: &str = "column_names";
        let mut all = self.0.dialect.names.clone();
        for (column, name) in names {
            let place = match column {
                "session_id" => &mut all.session_id,
                "expires" => &mut all.expires,
                "data" => &mut all.data,
                _ => {
                    let reason = "there is no such column, only session_id, expires and data";
                    return Err(Failure::Option { option: OPTION, reason }.of(MySqlTable::STORE));
                }
            };
            *place = name_of(OPTION, name)?;
        }
        // MySQL does not tell columns apart by their case.
        let [one, two, three] = [&all.session_id, &all.expires, &all.data].map(|name| name.to_lowercase());
        if one == two || two == three || one == three {
            let reason = "two columns have one name";
            return Err(Failure::Option { option: OPTION, reason }.of(MySqlTable::STORE));
        }
        Ok(self.with(|names| *names = all))
    }

    /// How long a session is held whose cookie lives until the browser closes. Default: one day.
    ///
    /// Kept in whole seconds, rounded to the nearest. express-mysql-session: `expiration`, in milliseconds.
    #[must_use]
    pub fn expiration(mut self, expiration: Duration) -> Self {
        self.0.settings.ttl = expiration;
        self
    }

    /// Whether the table is created before it is used first, if there is none. Default: `true`.
    ///
    /// Safe with any number of processes that start at once. It needs the right to create tables, and only where there is
    /// no table. express-mysql-session: `createDatabaseTable`.
    #[must_use]
    pub fn create_database_table(mut self, create: bool) -> Self {
        self.0.dialect = Arc::new(MySqlTable::of(self.0.dialect.names.clone(), create));
        self
    }

    /// Whether a touch is left out, so that a session ends a lifetime after it was last written, in use or not (in the new
    /// profile, where only a handler has saved it, four fifths of one at least, of which the browser hears when the end of a
    /// request writes again). Default: `false`.
    ///
    /// A touch then costs nothing, and answers [`Touched::Skipped`](session_core::Touched::Skipped). express-mysql-session: `disableTouch`.
    #[must_use]
    pub fn disable_touch(mut self, disable: bool) -> Self {
        self.0.settings.disable_touch = disable;
        self
    }

    /// Whether expired sessions are removed from the table. Default: `true`. Removed or not, they are never seen.
    /// express-mysql-session: `clearExpired`.
    #[must_use]
    pub fn clear_expired(mut self, clear: bool) -> Self {
        self.0.settings.pruning.is_on = clear;
        self
    }

    /// How often they are. Default: every fifteen minutes.
    ///
    /// There is no timer behind it: the first write after that time starts it, in a task of its own.
    /// express-mysql-session: `checkExpirationInterval`, in milliseconds.
    #[must_use]
    pub fn check_expiration_interval(mut self, interval: Duration) -> Self {
        self.0.settings.pruning.interval = Some(interval);
        self
    }

    /// How long any of the four verbs may take, waiting for a connection included; then it is an error. Default: five
    /// seconds.
    ///
    /// express-mysql-session has no such option: it waits for as long as the pool and the server do.
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

    fn with(mut self, change: impl FnOnce(&mut Names)) -> Self {
        let (mut names, creates) = (self.0.dialect.names.clone(), self.0.dialect.creates);
        change(&mut names);
        self.0.dialect = Arc::new(MySqlTable::of(names, creates));
        self
    }
}

/// Tokens are sent in the clear, which only TLS makes a secret.
pub(crate) fn with_password(options: MySqlConnectOptions, password: &str) -> MySqlConnectOptions {
    use sqlx::mysql::MySqlSslMode::{Required, VerifyCa, VerifyIdentity};
    let is_secret = matches!(options.get_ssl_mode(), Required | VerifyCa | VerifyIdentity);
    options.password(password).enable_cleartext_plugin(is_secret)
}

impl MySqlTable {
    fn of(names: Names, creates: bool) -> Self {
        let [table, session_id, expires, data] =
            [&names.table, &names.session_id, &names.expires, &names.data].map(|name| quoted(name, '`'));
        let columns =
            [("table", &*table), ("session_id", &*session_id), ("expires", &*expires), ("data", &*data)];
        let [sid_bytes, sid, text, held, json_null, past] =
            [SID_BYTES, SID, TEXT, HELD, JSON_NULL, PAST].map(|template| fill(template, &columns));
        let of_columns = [("sid_bytes", &*sid_bytes), ("text", &*text)];
        let of_columns = [&columns[..], &of_columns].concat();
        let [is_sid, is_version] = [IS_SID, IS_VERSION].map(|template| fill(template, &of_columns));
        let filled = [
            ("sid", &*sid),
            ("held", &*held),
            ("json_null", &*json_null),
            ("past", &*past),
            ("is_sid", &*is_sid),
            ("is_version", &*is_version),
        ];
        let filled = [&of_columns[..], &filled].concat();
        let statement = |template| Statement::new(template, &filled, STYLE);
        let [clear_null, exists, indexed, session] = [CLEAR_NULL, EXISTS, INDEXED, SESSION].map(statement);
        let sql = TEMPLATES.fill(&filled, STYLE);
        let remove_expired = OfList::new(REMOVE_EXPIRED, &filled, STYLE);
        let has_primary_key = AtomicBool::new(false);
        Self { names, creates, sql, remove_expired, has_primary_key, clear_null, exists, indexed, session }
    }

    /// What it did.
    async fn upsert(
        &self,
        on: &mut MySqlConnection,
        statement: &Statement,
        values: &Values<'_>,
    ) -> Result<u64, Failure> {
        let arguments = arguments::<Self>(statement, values)?;
        Ok(MySql::execute(on, statement, arguments).await?.last_insert_id())
    }
}

impl Dialect for MySqlTable {
    type Db = MySql;

    const STORE: &'static str = "mysql";

    fn creates(&self) -> bool {
        self.creates
    }

    /// At least the connections are looked at.
    fn is_to_prepare(&self) -> bool {
        true
    }

    fn sql(&self) -> &Sql {
        &self.sql
    }

    fn bind(arguments: &mut MySqlArguments, value: Value, values: &Values<'_>) -> Result<(), BoxDynError> {
        match value {
            Value::Sid => arguments.add(values.sid),
            Value::Bytes => arguments.add(values.sid.as_bytes()),
            Value::Now => arguments.add(at(values.now)),
            Value::Until => arguments.add(at(values.until)),
            Value::Text => arguments.add(values.text),
            Value::Version => arguments.add(values.version),
            Value::After => arguments.add(values.after),
            Value::End => arguments.add(values.end),
            Value::Limit => arguments.add(values.limit),
            Value::Sids => values.sids.iter().try_for_each(|sid| arguments.add(sid)),
        }
    }

    async fn prepare(&self, on: &mut MySqlConnection) -> Result<(), Failure> {
        let row = fetch::<Self>(on, &self.session, &Values::default()).await?;
        if let Some(row) = row {
            let sql_mode = Self::text(&row, 0)?.unwrap_or_default();
            if !["STRICT_TRANS_TABLES", "STRICT_ALL_TABLES"].iter().any(|strict| sql_mode.contains(strict)) {
                let reason = "is not strict, and would cut what does not fit: add STRICT_TRANS_TABLES to it";
                return Err(Failure::Session { setting: "sql_mode", reason });
            }
            if Self::number(&row, 1)? == 0 {
                let reason = "is off, and nothing that is written would be kept: set it to 1";
                return Err(Failure::Session { setting: "autocommit", reason });
            }
        }
        if !self.creates {
            return Ok(());
        }
        // Without the right to create one, `IF NOT EXISTS` is an error even where it does.
        match fetch::<Self>(on, &self.exists, &Values::default()).await {
            Err(failure) if Self::is_no_table(&failure) => {}
            answer => return answer.map(drop),
        }
        MySql::execute_raw(on, &self.sql.create).await
    }

    fn text(row: &MySqlRow, column: usize) -> Result<Option<String>, Failure> {
        Ok(row.try_get(column)?)
    }

    fn number(row: &MySqlRow, column: usize) -> Result<i64, Failure> {
        Ok(row.try_get(column)?)
    }

    fn stored(settings: &Settings, row: &MySqlRow, now: Millis) -> Result<Stored, StoreError> {
        let failed = |error: sqlx::Error| Failure::from(error).of(Self::STORE);
        stored(settings, (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?), now)
    }

    async fn set(
        &self,
        on: &mut MySqlConnection,
        values: &Values<'_>,
        expect: &Expect,
    ) -> Result<Option<Version>, Failure> {
        let statement = match expect {
            Expect::Anything => &self.sql.set,
            Expect::Nothing => &self.sql.set_expecting_nothing,
            Expect::Version(_) => {
                let written = execute::<Self>(on, &self.sql.set_expecting_version, values).await? > 0;
                return Ok(written.then(|| Version::from_text(values.text)));
            }
        };
        let mut did = self.upsert(on, statement, values).await?;
        // The row may be one that nobody finds.
        if did == AS_IT_WAS && execute::<Self>(on, &self.clear_null, values).await? > 0 {
            did = self.upsert(on, statement, values).await?;
        }
        match did {
            AS_IT_WAS => Ok(None),
            OF_ANOTHER_SID => Err(Failure::SameSid),
            _ => Ok(Some(Version::from_text(values.text))),
        }
    }

    fn compared(version: &Version) -> Cow<'_, str> {
        digest(version).into()
    }

    async fn is_indexed(&self, on: &mut MySqlConnection) -> Result<bool, Failure> {
        let Names { table, session_id, expires, .. } = &self.names;
        let values = Values { sid: table, text: expires, version: session_id, ..Values::default() };
        let Some(row) = fetch::<Self>(on, &self.indexed, &values).await? else { return Ok(false) };
        self.has_primary_key.store(Self::number(&row, 1)? > 0, Ordering::Relaxed);
        Ok(Self::number(&row, 0)? > 0)
    }

    fn remove_expired(&self) -> &OfList {
        let has_primary_key = self.has_primary_key.load(Ordering::Relaxed);
        if has_primary_key { &self.sql.remove_expired } else { &self.remove_expired }
    }

    /// A deadlock; in newer versions of MariaDB a row that changed while the statement looked for it; in a group of primaries another
    /// one's write.
    fn gave_way(failure: &Failure) -> bool {
        matches!(failure.code(), "1213" | "1020" | "3101")
    }

    fn is_no_table(failure: &Failure) -> bool {
        failure.code() == NO_SUCH_TABLE
    }

    fn explained(&self, failure: Failure) -> Failure {
        if Self::is_no_table(&failure) {
            let table = quoted(&self.names.table, '`');
            return Failure::NoTable { table, option: "create_database_table" };
        }
        failure
    }
}

/// The record's text, and the seconds since 1970 at which it ends.
pub(crate) type Found = (String, i64);

pub(crate) fn stored(settings: &Settings, (text, expires): Found, now: Millis) -> Result<Stored, StoreError> {
    let text: Arc<str> = text.into();
    let record = parse(MySqlTable::STORE, Arc::clone(&text))?;
    Ok(settings.stored(record, Version::from_text(text), left(expires.saturating_mul(1_000), now)))
}

/// The column is unsigned and of 32 bits: until 2106, which is for ever.
fn at(ms: Millis) -> i64 {
    round_seconds(ms).clamp(0, i64::from(u32::MAX))
}

fn name_of(option: &'static str, name: &str) -> Result<String, StoreError> {
    identifier(option, name, LONGEST_NAME).map_err(|failure| failure.of(MySqlTable::STORE))
}

/// Shows no connection: a password may be part of it.
impl fmt::Debug for MySqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MySqlStore").field("table", &self.0.dialect.names.table).finish_non_exhaustive()
    }
}

verbs!(MySqlStore);

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
            let kept = store.0.connections.options().get_ssl_mode();
            assert_eq!(format!("{kept:?}"), format!("{mode:?}"));
        }
    }

    #[test]
    fn a_password_goes_in_the_clear_only_where_the_url_demands_tls() {
        for (mode, is_sent) in [
            ("disabled", false),
            ("preferred", false),
            ("required", true),
            ("verify_ca", true),
            ("verify_identity", true),
        ] {
            let options = format!("mysql://me@127.0.0.1/app?ssl-mode={mode}").parse().unwrap();
            let shown = format!("{:?}", with_password(options, "hunter2"));
            assert!(shown.contains(&format!("enable_cleartext_plugin: {is_sent}")), "{mode}");
        }
    }

    #[tokio::test]
    async fn expired_sessions_are_removed_as_often_as_the_option_says() {
        let store = MySqlStore::open("mysql://me@127.0.0.1/app").unwrap();
        assert_eq!(store.0.settings.pruning.interval, Some(QUARTER));
        let store = store.check_expiration_interval(Duration::from_secs(7));
        assert_eq!(store.0.settings.pruning.interval, Some(Duration::from_secs(7)));
        assert!(store.0.settings.pruning.is_on && !store.clear_expired(false).0.settings.pruning.is_on);
    }
}
