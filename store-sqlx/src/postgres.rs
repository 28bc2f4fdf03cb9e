//! PostgreSQL, with connect-pg-simple's table.

use std::{
    borrow::Cow,
    env::{self, VarError},
    fmt,
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt;
use session_core::{Clock, Expect, StoreError, Stored, Version};
use sqlx::{
    Arguments, PgConnection, PgPool, Postgres, Row,
    error::BoxDynError,
    postgres::{PgArguments, PgConnectOptions, PgRow},
};

use crate::{
    dialect::{Dialect, Sql, Templates},
    digest::digest,
    error::Failure,
    pool::{Connections, Opener, without_brackets},
    run::Run,
    settings::{CONNECTIONS, QUARTER, Schedule, Settings, parse},
    sql::{Statement, Style, Value, Values, fill, identifier, quoted},
    store::{SqlStore, fetch, verbs},
    time::{Millis, ceil_seconds, left},
};

const LONGEST_NAME: usize = 63;

/// The server does not see that who waits for a lock has given up: it must not wait for ever.
const BEGIN: &str = "SET lock_timeout = '10s'";

// The expiry is compared with this machine's clock and in whole seconds, as connect-pg-simple does. `{zone}` and
// `{instant}` stand between a point in time and a `timestamp`, which has no time zone of its own. Points in time are what
// is compared: local times go back once a year.
//
// The record is always written as `json`: PostgreSQL assigns that to a column of any of the types `json`, `jsonb`, `text`
// and `varchar`. The version is what the column then holds, and so what `get` will find; a statement compares its digest.
const HELD: &str = "expire{instant} >= to_timestamp(:now)";
const IS_VERSION: &str = "encode(sha256(convert_to(sess::text, 'UTF8')), 'hex') = :version";

/// Node takes a null for no session, whether it is SQL's or JSON's.
const IS_RECORD: &str = "sess::text <> 'null'";

/// No index leads to what is written so: a statement that has keys goes by them.
const PAST: &str = "(expire{instant} < to_timestamp(:now)) IS NOT FALSE";

/// What an index leads to: with a zone by the local time, which is off by hours at the most.
const EXPIRED: &str = "expire < to_timestamp(:now)";
const EXPIRED_THERE: &str =
    "expire < to_timestamp(:now){zone} + interval '3 hours' AND expire{instant} < to_timestamp(:now)";

/// What was written, where the column does not keep it as it was sent.
const WRITTEN: &str = "RETURNING CASE WHEN sess::text = :text THEN NULL ELSE sess::text END";

const STYLE: Style = Style { mark: '$', is_numbered: true };

const TEMPLATES: Templates = Templates {
    get: "\
        SELECT sess::text, extract(epoch FROM expire{instant})::float8 FROM {table} \
        WHERE sid = :sid AND {held} AND {is_record}",

    set: "\
        INSERT INTO {table} (sid, sess, expire) VALUES (:sid, :text::json, to_timestamp(:until){zone}) \
        ON CONFLICT (sid) DO UPDATE SET sess = EXCLUDED.sess, expire = EXCLUDED.expire {written}",
    set_expecting_nothing: "\
        INSERT INTO {table} AS held (sid, sess, expire) \
        VALUES (:sid, :text::json, to_timestamp(:until){zone}) \
        ON CONFLICT (sid) DO UPDATE SET sess = EXCLUDED.sess, expire = EXCLUDED.expire \
        WHERE (held.expire{instant} >= to_timestamp(:now) AND held.{is_record}) IS NOT TRUE {written}",
    set_expecting_version: "\
        UPDATE {table} SET sess = :text::json, expire = to_timestamp(:until){zone} \
        WHERE sid = :sid AND {held} AND {is_version} {written}",

    touch: "\
        UPDATE {table} SET expire = to_timestamp(:until){zone} WHERE sid = :sid AND {held} AND {is_record}",
    touch_expecting_version: "\
        UPDATE {table} SET expire = to_timestamp(:until){zone} WHERE sid = :sid AND {held} AND {is_version}",

    destroy: "DELETE FROM {table} WHERE sid = :sid",
    destroy_expecting_version: "DELETE FROM {table} WHERE sid = :sid AND {held} AND {is_version}",

    length: "SELECT count(*) FROM {table} WHERE {held}",
    ids: "SELECT sid::text FROM {table} WHERE sid > :after AND {held} ORDER BY sid LIMIT :limit",
    all: "SELECT sid::text, sess::text FROM {table} WHERE sid > :after AND {held} ORDER BY sid LIMIT :limit",
    rows: "SELECT sid::text FROM {table} WHERE sid > :after ORDER BY sid LIMIT :limit",
    clear: "DELETE FROM {table}",

    // In two, each of which an index leads.
    expired: "\
        (SELECT sid::text FROM {table} WHERE {expired} ORDER BY expire LIMIT :limit) UNION ALL \
        (SELECT sid::text FROM {table} WHERE expire IS NULL LIMIT :limit)",
    step: "SELECT sid::text FROM {table} WHERE sid > :after ORDER BY sid LIMIT 1 OFFSET :limit",
    expired_of_step: "SELECT sid::text FROM {table} WHERE sid > :after AND sid <= :end AND {past}",
    expired_of_last_step: "SELECT sid::text FROM {table} WHERE sid > :after AND {past}",
    // Nobody waits for a row that somebody has locked, and so no two wait for each other.
    remove_expired: "\
        DELETE FROM {table} WHERE sid IN \
        (SELECT sid FROM {table} WHERE sid IN (:sids) AND {past} FOR UPDATE SKIP LOCKED)",
    remove: "DELETE FROM {table} WHERE sid IN (:sids)",

    // One message, and so one transaction. The lock lets one process in at a time, of those that use this crate.
    create: r#"
        SELECT pg_advisory_xact_lock(7310031003);
        CREATE TABLE IF NOT EXISTS {table} (
            "sid" varchar NOT NULL COLLATE "default" PRIMARY KEY,
            "sess" json NOT NULL,
            "expire" timestamp(6) NOT NULL
        );
        CREATE INDEX IF NOT EXISTS {index} ON {table} ("expire");
    "#,
};

const EXISTS: &str = "SELECT count(to_regclass(:text))";
const INDEXED: &str = "\
    SELECT count(*) FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0] \
    WHERE indrelid = to_regclass(:text) AND attname = 'expire' AND indisvalid AND indpred IS NULL";

/// Sessions in PostgreSQL, in the table of connect-pg-simple.
///
/// See the [crate's page](crate#postgresql) for the table and a runnable example. The setters are connect-pg-simple's
/// options.
pub struct PostgresStore(SqlStore<PostgresTable>);

/// connect-pg-simple's, under its name.
pub(crate) struct PostgresTable {
    name: TableName,
    creates: bool,
    sql: Sql,
    exists: Statement,
    indexed: Statement,
}

#[derive(Clone)]
struct TableName {
    schema: Option<String>,
    name: String,
    time_zone: Option<String>,
}

impl PostgresStore {
    /// On the pool that the application already has. How many connections there are, and how long to wait for one, is the
    /// pool's.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self::on(Connections::Shared(pool))
    }

    /// On the server at a URL, `postgres://user:password@host:5432/database`, with up to ten connections of its own.
    /// Nothing is connected yet: a server that is down harms only what needs a session.
    ///
    /// # Errors
    /// The URL is none.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        let failed = |failure: Failure| failure.of(PostgresTable::STORE);
        let options: PgConnectOptions = url.parse().map_err(|error: sqlx::Error| failed(error.into()))?;
        // Which PgBouncer refuses: sqlx asks for numbers in full, which in its binary form they are.
        let options = options.extra_float_digits(None);
        let host = without_brackets(options.get_host()).to_owned();
        let options = options.host(&host);
        Connections::own(Opener::new(options).begin(BEGIN), CONNECTIONS).map(Self::on).map_err(failed)
    }

    /// On the server that the environment's variable `DATABASE_URL` names, as [`open`](Self::open) takes it: where
    /// connect-pg-simple goes when it is told nothing.
    ///
    /// # Errors
    /// There is no such variable, or it is no URL.
    pub fn from_env() -> Result<Self, StoreError> {
        Self::of_variable(env::var("DATABASE_URL"))
    }

    /// The password of each new connection, asked for before it is made: for one that rotates, a token of an identity service (IAM),
    /// say. Default: the URL's.
    ///
    /// A connection that was made with an earlier one goes on, for half an hour at most. What `password` fails with is the error
    /// of the call ([`StoreError::Unavailable`], as its source); its words may be logged. The time that it takes is the call's.
    /// It is asked often while the server refuses, and given up with the call that waits for it: where a token takes its time, keep it
    /// yourself until it ends. A server that asks for it in the clear gets it: demand TLS (`sslmode=verify-full`), or whoever is in
    /// between may ask. connect-pg-simple: none; its `pool` does.
    ///
    /// ```
    /// # async fn token() -> Result<String, std::io::Error> { Ok("token".into()) }
    /// # use store_sqlx::PostgresStore;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = PostgresStore::open("postgres://web@db.example.com/shop?sslmode=verify-full")?.password(|| async { Ok(token().await?) })?;
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
        self.0.connections = connections.map_err(|failure| failure.of(PostgresTable::STORE))?;
        Ok(self)
    }

    fn of_variable(url: Result<String, VarError>) -> Result<Self, StoreError> {
        let missing = |error| {
            let reason = match error {
                VarError::NotPresent => "the environment has no such variable",
                VarError::NotUnicode(_) => "the variable is no text",
            };
            Failure::Option { option: "DATABASE_URL", reason }.of(PostgresTable::STORE)
        };
        Self::open(&url.map_err(missing)?)
    }

    fn on(connections: Connections<Postgres>) -> Self {
        let name = TableName { schema: None, name: "session".into(), time_zone: None };
        let mut pruning = Schedule::every(QUARTER);
        pruning.randomized = true;
        Self(SqlStore::new(connections, PostgresTable::of(name, false), pruning))
    }

    /// The table. Default: `session`.
    ///
    /// Change it where the application has a table of that name already, or sessions of several kinds. connect-pg-simple:
    /// `tableName`.
    ///
    /// # Errors
    /// PostgreSQL can have no table of that name.
    pub fn table_name(self, name: &str) -> Result<Self, StoreError> {
        let name = name_of("table_name", name)?;
        Ok(self.with(|table| table.name = name))
    }

    /// The schema that the table is in; it must exist. Default: the one that the connection's `search_path` finds.
    /// connect-pg-simple: `schemaName`.
    ///
    /// # Errors
    /// PostgreSQL can have no schema of that name.
    pub fn schema_name(self, name: &str) -> Result<Self, StoreError> {
        let name = name_of("schema_name", name)?;
        Ok(self.with(|table| table.schema = Some(name)))
    }

    /// The time zone that the column `expire` is in, `"Europe/Berlin"`: what `SHOW timezone` says on the connections of
    /// the Node applications that share the table. Default: that of this store's own connections, for which sqlx sets UTC.
    ///
    /// Set it where the server's `timezone` is not UTC: the column is a `timestamp`, which means nothing without a zone, and
    /// Node writes it in the server's. Leave it out where the column is a `timestamptz`. connect-pg-simple: none; each
    /// process takes the zone that it happens to have.
    ///
    /// # Errors
    /// It is no name of a time zone.
    pub fn time_zone(self, zone: &str) -> Result<Self, StoreError> {
        let zone = name_of("time_zone", zone)?;
        Ok(self.with(|table| table.time_zone = Some(zone)))
    }

    /// How long a session is held whose cookie lives until the browser closes. Default: one day.
    ///
    /// Kept in whole seconds, rounded up. connect-pg-simple: `ttl`, in seconds.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.0.settings.ttl = ttl;
        self
    }

    /// Whether the table is created before it is used first, if there is none. Default: `false`.
    ///
    /// Safe with any number of processes that start at once. It needs the right to create tables in the schema, and only
    /// where there is no table. connect-pg-simple: `createTableIfMissing`.
    #[must_use]
    pub fn create_table_if_missing(mut self, create: bool) -> Self {
        self.0.dialect = Arc::new(PostgresTable::of(self.0.dialect.name.clone(), create));
        self
    }

    /// Whether a touch is left out, so that a session ends a lifetime after it was last written, in use or not (in the new
    /// profile, where only a handler has saved it, four fifths of one at least, of which the browser hears when the end of a
    /// request writes again). Default: `false`.
    ///
    /// A touch then costs nothing, and answers [`Touched::Skipped`](session_core::Touched::Skipped). connect-pg-simple: `disableTouch`.
    #[must_use]
    pub fn disable_touch(mut self, disable: bool) -> Self {
        self.0.settings.disable_touch = disable;
        self
    }

    /// How often expired sessions are removed from the table; `None`: never, somebody else does. Default: every fifteen
    /// minutes.
    ///
    /// There is no timer behind it: the first write after that time starts it, in a task of its own. Expired sessions are
    /// never seen, removed or not. connect-pg-simple: `pruneSessionInterval`, in seconds, `false` for never.
    #[must_use]
    pub fn prune_session_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.0.settings.pruning.interval = interval.into();
        self
    }

    /// Whether each of these intervals is anything from half to one and a half times as long, so that several processes
    /// do not prune at once. Default: `true`. connect-pg-simple: `pruneSessionRandomizedInterval`.
    #[must_use]
    pub fn prune_session_randomized_interval(mut self, randomized: bool) -> Self {
        self.0.settings.pruning.randomized = randomized;
        self
    }

    /// How long any of the four verbs may take, waiting for a connection included; then it is an error. Default: five
    /// seconds.
    ///
    /// connect-pg-simple has no such option: it waits for as long as the pool and the server do.
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

    fn with(mut self, change: impl FnOnce(&mut TableName)) -> Self {
        let (mut name, creates) = (self.0.dialect.name.clone(), self.0.dialect.creates);
        change(&mut name);
        self.0.dialect = Arc::new(PostgresTable::of(name, creates));
        self
    }
}

impl PostgresTable {
    fn of(name: TableName, creates: bool) -> Self {
        let (zone, instant) = match &name.time_zone {
            None => (String::new(), "::timestamptz".into()),
            Some(zone) => {
                let zone = format!(" AT TIME ZONE {}", quoted(zone, '\''));
                (zone.clone(), zone)
            }
        };
        let (table, index) = (name.to_string(), quoted(&format!("IDX_{}_expire", name.name), '"'));
        let times = [("zone", &*zone), ("instant", &*instant)];
        let expired = if name.time_zone.is_some() { EXPIRED_THERE } else { EXPIRED };
        let [held, past, expired] = [HELD, PAST, expired].map(|template| fill(template, &times));
        let names = [
            ("table", &*table),
            ("index", &*index),
            ("held", &*held),
            ("past", &*past),
            ("expired", &*expired),
            ("is_record", IS_RECORD),
            ("is_version", IS_VERSION),
            ("written", WRITTEN),
        ];
        let sql = TEMPLATES.fill(&[&times[..], &names].concat(), STYLE);
        let [exists, indexed] = [EXISTS, INDEXED].map(|template| Statement::new(template, &[], STYLE));
        Self { name, creates, sql, exists, indexed }
    }

    async fn is_one(&self, on: &mut PgConnection, statement: &Statement) -> Result<bool, Failure> {
        let name = self.name.to_string();
        let row = fetch::<Self>(on, statement, &Values { text: &name, ..Values::default() }).await?;
        Ok(row.map_or(Ok(0), |row| Self::number(&row, 0))? > 0)
    }
}

impl Dialect for PostgresTable {
    type Db = Postgres;

    const STORE: &'static str = "postgres";

    fn creates(&self) -> bool {
        self.creates
    }

    fn sql(&self) -> &Sql {
        &self.sql
    }

    fn bind(arguments: &mut PgArguments, value: Value, values: &Values<'_>) -> Result<(), BoxDynError> {
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

    async fn prepare(&self, on: &mut PgConnection) -> Result<(), Failure> {
        if self.is_one(on, &self.exists).await? {
            return Ok(());
        }
        match Postgres::execute_raw(on, &self.sql.create).await {
            // Somebody who does not know of the lock was faster.
            Err(_) if self.is_one(on, &self.exists).await? => Ok(()),
            created => created,
        }
    }

    fn text(row: &PgRow, column: usize) -> Result<Option<String>, Failure> {
        Ok(row.try_get(column)?)
    }

    fn number(row: &PgRow, column: usize) -> Result<i64, Failure> {
        Ok(row.try_get(column)?)
    }

    fn stored(settings: &Settings, row: &PgRow, now: Millis) -> Result<Stored, StoreError> {
        let failed = |error: sqlx::Error| Failure::from(error).of(Self::STORE);
        stored(settings, (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?), now)
    }

    async fn set(
        &self,
        on: &mut PgConnection,
        values: &Values<'_>,
        expect: &Expect,
    ) -> Result<Option<Version>, Failure> {
        let Some(row) = fetch::<Self>(on, self.sql.set_for(expect), values).await? else { return Ok(None) };
        let text = Self::text(&row, 0)?;
        Ok(Some(Version::from_text(text.as_deref().unwrap_or(values.text))))
    }

    fn compared(version: &Version) -> Cow<'_, str> {
        digest(version).into()
    }

    async fn is_indexed(&self, on: &mut PgConnection) -> Result<bool, Failure> {
        self.is_one(on, &self.indexed).await
    }

    /// The database's default isolation may be a stricter one.
    fn gave_way(failure: &Failure) -> bool {
        matches!(failure.code(), "40001" | "40P01")
    }

    fn is_no_table(failure: &Failure) -> bool {
        failure.code() == "42P01"
    }

    fn explained(&self, failure: Failure) -> Failure {
        match failure {
            failure if Self::is_no_table(&failure) => {
                Failure::NoTable { table: self.name.to_string(), option: "create_table_if_missing" }
            }
            Failure::Database { code, message, is_fatal } if code == "22P05" => {
                let message = format!("{message}: a column of type json could hold it, jsonb cannot");
                Failure::Database { code, message, is_fatal }
            }
            failure => failure,
        }
    }
}

/// The record's text, and the seconds since 1970 at which it ends.
pub(crate) type Found = (Option<String>, f64);

pub(crate) fn stored(settings: &Settings, (text, expire): Found, now: Millis) -> Result<Stored, StoreError> {
    let text: Arc<str> = text.unwrap_or_default().into();
    let record = parse(PostgresTable::STORE, Arc::clone(&text))?;
    #[expect(clippy::cast_possible_truncation, reason = "whole seconds, and it saturates")]
    let until = (expire * 1_000.0) as Millis;
    Ok(settings.stored(record, Version::from_text(text), left(until, now)))
}

/// What `to_timestamp` takes.
fn at(ms: Millis) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "exact for a hundred million years")]
    let seconds = ceil_seconds(ms) as f64;
    // The end of the year 9999 is for ever, and PostgreSQL's own dates end some time.
    seconds.min(253_402_300_799.0)
}

fn name_of(option: &'static str, name: &str) -> Result<String, StoreError> {
    identifier(option, name, LONGEST_NAME).map_err(|failure| failure.of(PostgresTable::STORE))
}

/// As SQL has it: quoted, and with its schema.
impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{}.", quoted(schema, '"'))?;
        }
        f.write_str(&quoted(&self.name, '"'))
    }
}

/// Shows no connection: a password may be part of it.
impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("table", &self.0.dialect.name.to_string())
            .finish_non_exhaustive()
    }
}

verbs!(PostgresStore);

#[cfg(test)]
mod tests {
    use session_core::{Sid, Store};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    #[test]
    fn the_environment_may_say_where_it_is() {
        assert!(PostgresStore::of_variable(Ok("postgres://web@127.0.0.1/shop".into())).is_ok());
        for bad in
            [Ok("hunter2".into()), Err(VarError::NotPresent), Err(VarError::NotUnicode("hunter2".into()))]
        {
            let StoreError::Unavailable { source, .. } = PostgresStore::of_variable(bad.clone()).unwrap_err()
            else {
                panic!("nothing was read")
            };
            let shown = format!("{source} {source:?}");
            assert!(bad.is_ok() || shown.contains("DATABASE_URL"), "{shown}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    #[tokio::test]
    async fn how_a_connection_is_encrypted_is_as_the_url_says() {
        use sqlx::postgres::PgSslMode;
        for (word, mode) in [
            ("disable", PgSslMode::Disable),
            ("require", PgSslMode::Require),
            ("verify-ca", PgSslMode::VerifyCa),
            ("verify-full", PgSslMode::VerifyFull),
        ] {
            let store = PostgresStore::open(&format!("postgres://me@127.0.1/app?sslmode={word}")).unwrap();
            let kept = store.0.connections.options().get_ssl_mode();
            assert_eq!(format!("{kept:?}"), format!("{mode:?}"));
        }
    }

    #[tokio::test]
    async fn expired_sessions_are_removed_as_often_as_the_option_says() {
        let store = PostgresStore::open("postgres://me@127.0.1/app").unwrap();
        assert_eq!(store.0.settings.pruning.interval, Some(QUARTER));
        let store = store.prune_session_interval(Duration::from_secs(7));
        assert_eq!(store.0.settings.pruning.interval, Some(Duration::from_secs(7)));
        assert_eq!(store.prune_session_interval(None).0.settings.pruning.interval, None);
    }

    #[tokio::test]
    async fn a_connection_is_encrypted_where_its_url_says_so() {
        let listener = TcpListener::bind("127.0.1:0").await.unwrap();
        let url = format!("postgres://me@{}/app?sslmode=require", listener.local_addr().unwrap());
        let store = PostgresStore::open(&url).unwrap();
        let server = async {
            let (mut connection, _) = listener.accept().await.unwrap();
            // SSLRequest, which this server grants; then the first byte of a TLS handshake.
            assert_eq!(connection.read_u64().await.unwrap(), 0x0000_0008_04D2_162F);
            connection.write_all(b"S").await.unwrap();
            connection.read_u8().await.unwrap()
        };
        let sid = Sid::random();
        tokio::select! {
            first = server => assert_eq!(first, 0x16),
            got = store.get(&sid) => panic!("{got:?}"),
        }
    }

    #[tokio::test]
    async fn processes_do_not_prune_all_at_once() {
        assert!(PostgresStore::open("postgres://localhost").unwrap().0.settings.pruning.randomized);
    }
}
