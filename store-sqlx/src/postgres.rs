//! PostgreSQL, with connect-pg-simple's table.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::{TryStreamExt, future::Future};
use session_core::{
    AdminStore, Clock, Cookie, Destroyed, Expect, Record, Set, Sid, Store, StoreError, Stored, Touched,
    Version, async_trait,
};
use sqlx::{
    Connection, Executor, PgConnection, PgPool, Postgres,
    postgres::{PgConnectOptions, PgPoolOptions},
    query, query_as, query_scalar,
};
use tokio::sync::OnceCell;

use crate::{
    call::{Lent, again, call, lent},
    error::{Failure, code},
    settings::{BATCH, QUARTER, Schedule, Settings, parse},
    sql::{Statement, fill, identifier, quoted},
    time::{Millis, ceil_seconds, left},
};

const STORE: &str = "postgres";
const LONGEST_NAME: usize = 63;

/// The server does not see that who waits for a lock has given up: it must not wait for ever.
const BEGIN_SESSION: &str = "SET lock_timeout = '10s'";

// The expiry is compared with this machine's clock and in whole seconds, as connect-pg-simple does. `{zone}` and
// `{instant}` stand between a point in time and a `timestamp`, which has no time zone of its own. Points in time are what
// is compared: local times go back once a year.
//
// The record is always written as `json`: PostgreSQL assigns that to a column of any of the types `json`, `jsonb`, `text`
// and `varchar`. The version is a digest of what the column then holds, and so what `get` will find.
const VERSION: &str = "encode(sha256(convert_to(sess::text, 'UTF8')), 'hex')";

/// Node takes a null for no session, whether it is SQL's or JSON's.
const IS_RECORD: &str = "sess::text <> 'null'";

const GET: &str = "\
    SELECT sess::text, {version}, extract(epoch FROM expire{instant})::float8 FROM {table} \
    WHERE sid = $1 AND expire{instant} >= to_timestamp($2) AND {is_record}";

const SET: &str = "\
    INSERT INTO {table} (sid, sess, expire) VALUES ($1, $2::json, to_timestamp($3){zone}) \
    ON CONFLICT (sid) DO UPDATE SET sess = EXCLUDED.sess, expire = EXCLUDED.expire \
    RETURNING {version}";
const SET_EXPECTING_NOTHING: &str = "\
    INSERT INTO {table} AS held (sid, sess, expire) VALUES ($1, $2::json, to_timestamp($3){zone}) \
    ON CONFLICT (sid) DO UPDATE SET sess = EXCLUDED.sess, expire = EXCLUDED.expire \
    WHERE (held.expire{instant} >= to_timestamp($4) AND held.{is_record}) IS NOT TRUE \
    RETURNING {version}";
const SET_EXPECTING_VERSION: &str = "\
    UPDATE {table} SET sess = $2::json, expire = to_timestamp($3){zone} \
    WHERE sid = $1 AND expire{instant} >= to_timestamp($4) AND {version} = $5 \
    RETURNING {version}";

const TOUCH: &str = "\
    UPDATE {table} SET expire = to_timestamp($3){zone} \
    WHERE sid = $1 AND expire{instant} >= to_timestamp($2) AND {is_record}";
const TOUCH_EXPECTING_VERSION: &str = "\
    UPDATE {table} SET expire = to_timestamp($3){zone} \
    WHERE sid = $1 AND expire{instant} >= to_timestamp($2) AND {version} = $4";

const DESTROY: &str = "DELETE FROM {table} WHERE sid = $1";
const DESTROY_EXPECTING_VERSION: &str = "\
    DELETE FROM {table} WHERE sid = $1 AND expire{instant} >= to_timestamp($2) AND {version} = $3";

const LENGTH: &str = "SELECT count(*) FROM {table} WHERE expire{instant} >= to_timestamp($1)";
const IDS: &str = "SELECT sid FROM {table} WHERE expire{instant} >= to_timestamp($1)";
const ALL: &str = "SELECT sid, sess::text FROM {table} WHERE expire{instant} >= to_timestamp($1)";
const CLEAR: &str = "DELETE FROM {table}";
/// By the local time first, which an index knows, and which is off by hours at the most.
const PAST: &str = "\
    (expire IS NULL OR expire < to_timestamp($1){zone} + interval '1 day' AND expire{instant} < to_timestamp($1))";
/// Answers how many rows it found and how many it removed: one of them may have been touched meanwhile.
const PRUNE: &str = "\
    WITH found AS (SELECT sid FROM {table} WHERE {past} LIMIT $2), \
    removed AS (DELETE FROM {table} WHERE {past} AND sid IN (SELECT sid FROM found) RETURNING 1) \
    SELECT (SELECT count(*) FROM found), (SELECT count(*) FROM removed)";

const EXISTS: &str = "SELECT to_regclass($1) IS NOT NULL";
// One message, and so one transaction. The lock lets one process in at a time, of those that use this crate.
const CREATE: &str = r#"
    SELECT pg_advisory_xact_lock(7310031003);
    CREATE TABLE IF NOT EXISTS {table} (
        "sid" varchar NOT NULL COLLATE "default" PRIMARY KEY,
        "sess" json NOT NULL,
        "expire" timestamp(6) NOT NULL
    );
    CREATE INDEX IF NOT EXISTS {index} ON {table} ("expire");
"#;

/// Sessions in PostgreSQL, in the table of connect-pg-simple.
///
/// See the [crate's page](crate#postgresql) for the table and a runnable example. The setters are connect-pg-simple's
/// options.
pub struct PostgresStore {
    pool: PgPool,
    table: Table,
    sql: Arc<Sql>,
    create_table_if_missing: bool,
    ready: OnceCell<()>,
    settings: Settings,
}

struct Table {
    schema: Option<String>,
    name: String,
    time_zone: Option<String>,
}

struct Sql {
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
    create: Statement,
}

impl PostgresStore {
    /// On the pool that the application already has. How many connections there are, and how long to wait for one, is the
    /// pool's.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let table = Table { schema: None, name: "session".into(), time_zone: None };
        let mut pruning = Schedule::every(QUARTER);
        pruning.randomized = true;
        Self {
            pool,
            sql: Arc::new(Sql::of(&table)),
            table,
            create_table_if_missing: false,
            ready: OnceCell::new(),
            settings: Settings::new(pruning),
        }
    }

    /// On the server at a URL, `postgres://user:password@host:5432/database`, with up to ten connections of its own.
    /// Nothing is connected yet: a server that is down harms only what needs a session.
    ///
    /// # Errors
    /// The URL is none.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        let options: PgConnectOptions = url.parse().map_err(|error| Failure::from(error).of(STORE))?;
        // A connection that was used a moment ago is not asked whether it is still there.
        let pool = PgPoolOptions::new()
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

    /// The table. Default: `session`.
    ///
    /// Change it where the application has a table of that name already, or sessions of several kinds. connect-pg-simple:
    /// `tableName`.
    ///
    /// # Errors
    /// PostgreSQL can have no table of that name.
    pub fn table_name(mut self, name: &str) -> Result<Self, StoreError> {
        self.table.name = name_of("table_name", name)?;
        Ok(self.refilled())
    }

    /// The schema that the table is in; it must exist. Default: the one that the connection's `search_path` finds.
    /// connect-pg-simple: `schemaName`.
    ///
    /// # Errors
    /// PostgreSQL can have no schema of that name.
    pub fn schema_name(mut self, name: &str) -> Result<Self, StoreError> {
        self.table.schema = Some(name_of("schema_name", name)?);
        Ok(self.refilled())
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
    pub fn time_zone(mut self, zone: &str) -> Result<Self, StoreError> {
        self.table.time_zone = Some(name_of("time_zone", zone)?);
        Ok(self.refilled())
    }

    /// How long a session is held whose cookie lives until the browser closes. Default: one day.
    ///
    /// Kept in whole seconds, rounded up. connect-pg-simple: `ttl`, in seconds.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.settings.ttl = ttl;
        self
    }

    /// Whether the table is created before it is used first, if there is none. Default: `false`.
    ///
    /// Safe with any number of processes that start at once. It needs the right to create tables in the schema, and only
    /// where there is no table. connect-pg-simple: `createTableIfMissing`.
    #[must_use]
    pub fn create_table_if_missing(mut self, create: bool) -> Self {
        self.create_table_if_missing = create;
        self
    }

    /// Whether a touch is left out, so that a session ends a lifetime after it was last written, in use or not (in the new
    /// profile, where only a handler has saved it, four fifths of one at least, of which the browser hears when the end of a
    /// request writes again). Default: `false`.
    ///
    /// A touch then costs nothing, and answers [`Touched::Skipped`]. connect-pg-simple: `disableTouch`.
    #[must_use]
    pub fn disable_touch(mut self, disable: bool) -> Self {
        self.settings.disable_touch = disable;
        self
    }

    /// How often expired sessions are removed from the table; `None`: never, somebody else does. Default: every fifteen
    /// minutes.
    ///
    /// There is no timer behind it: the first write after that time starts it, in a task of its own. Expired sessions are
    /// never seen, removed or not. connect-pg-simple: `pruneSessionInterval`, in seconds, `false` for never.
    #[must_use]
    pub fn prune_session_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.settings.pruning.interval = interval.into();
        self
    }

    /// Whether each of these intervals is anything from half to one and a half times as long, so that several processes
    /// do not prune at once. Default: `true`. connect-pg-simple: `pruneSessionRandomizedInterval`.
    #[must_use]
    pub fn prune_session_randomized_interval(mut self, randomized: bool) -> Self {
        self.settings.pruning.randomized = randomized;
        self
    }

    /// How long any of the four verbs may take, waiting for a connection included; then it is an error. Default: five
    /// seconds.
    ///
    /// connect-pg-simple has no such option: it waits for as long as the pool and the server do.
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
        self.sql = Arc::new(Sql::of(&self.table));
        self
    }

    async fn call<T, F>(&self, send: impl FnMut(Lent<Postgres>) -> F) -> Result<T, StoreError>
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

    /// Creates the table, once; a failure is no reason not to try again.
    async fn ready(&self) -> Result<(), StoreError> {
        if !self.create_table_if_missing {
            return Ok(());
        }
        let create =
            || call(self.settings.timeout, &self.pool, gave_way, lent!(on => self.create(&mut on).await));
        self.ready.get_or_try_init(create).await.map_err(|failure| self.failed(failure))?;
        Ok(())
    }

    async fn create(&self, on: &mut PgConnection) -> sqlx::Result<()> {
        let exists = || query_scalar::<_, bool>(EXISTS).bind(self.table.to_string());
        if exists().fetch_one(&mut *on).await? {
            return Ok(());
        }
        match on.execute(sqlx::raw_sql(self.sql.create.text())).await {
            // Somebody who does not know of the lock was faster.
            Err(_) if exists().fetch_one(&mut *on).await? => Ok(()),
            created => created.map(|_| ()),
        }
    }

    fn failed(&self, failure: Failure) -> StoreError {
        let failure = match failure {
            Failure::Database { code, .. } if code == "42P01" => {
                Failure::NoTable { table: self.table.to_string(), option: "create_table_if_missing" }
            }
            Failure::Database { code, message } if code == "22P05" => {
                let message = format!("{message}: a column of type json could hold it, jsonb cannot");
                Failure::Database { code, message }
            }
            failure => failure,
        };
        failure.of(STORE)
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

/// The record's text, its version, and the seconds since 1970 at which it ends.
pub(crate) type Row = (Option<String>, Option<String>, f64);

pub(crate) fn stored(
    settings: &Settings,
    (text, version, expire): Row,
    now: Millis,
) -> Result<Stored, StoreError> {
    let record = parse(STORE, text.unwrap_or_default())?;
    #[expect(clippy::cast_possible_truncation, reason = "whole seconds, and it saturates")]
    let until = (expire * 1_000.0) as Millis;
    let version = Version::from_text(version.unwrap_or_default());
    Ok(settings.stored(record, version, left(until, now)))
}

#[async_trait]
impl Store for PostgresStore {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        let now = self.settings.now();
        let held: Option<Row> = self
            .call(lent!(on => {
                query_as(self.sql.get.text()).bind(sid.as_str()).bind(at(now)).fetch_optional(&mut *on).await
            }))
            .await?;
        held.map(|row| stored(&self.settings, row, now)).transpose()
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        let now = self.settings.now();
        let Some(until) = self.settings.until(&record.cookie, now) else { return Ok(Set::Expired) };
        self.prune_when_due(now);
        let (text, sql) = (&*record.to_json(), &*self.sql);
        let written: Option<String> = self
            .call(lent!(on => {
                let set = match expect {
                    Expect::Anything => &sql.set,
                    Expect::Nothing => &sql.set_expecting_nothing,
                    Expect::Version(_) => &sql.set_expecting_version,
                };
                let set = query_scalar(set.text()).bind(sid.as_str()).bind(text).bind(at(until));
                let set = match expect {
                    Expect::Anything => set,
                    Expect::Nothing => set.bind(at(now)),
                    Expect::Version(version) => set.bind(at(now)).bind(version.text()),
                };
                set.fetch_optional(&mut *on).await
            }))
            .await?;
        Ok(written.map_or(Set::Conflict, |version| Set::Written(Version::from_text(version))))
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        let (now, sql, sid) = (self.settings.now(), &*self.sql, sid.as_str());
        let Some(until) = self.settings.until(cookie, now) else { return Ok(Touched::Expired) };
        if self.settings.disable_touch && *expect != Expect::Nothing {
            return Ok(Touched::Skipped);
        }
        self.prune_when_due(now);
        self.call(lent!(on => {
            let touch = |sql: &Statement| query(sql.text()).bind(sid).bind(at(now)).bind(at(until));
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
                    let destroy = query(sql.destroy_expecting_version.text()).bind(sid).bind(at(now));
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
impl AdminStore for PostgresStore {
    async fn length(&self) -> Result<u64, StoreError> {
        let count = query_scalar(self.sql.length.text()).bind(at(self.settings.now()));
        let count: i64 = self.take_time(count.fetch_one(&self.pool)).await?;
        Ok(count.unsigned_abs())
    }

    async fn ids(&self, visit: &mut (dyn FnMut(Sid) + Send)) -> Result<(), StoreError> {
        self.ready().await?;
        let ids = query_scalar::<_, String>(self.sql.ids.text()).bind(at(self.settings.now()));
        let mut ids = ids.fetch(&self.pool);
        while let Some(sid) = ids.try_next().await.map_err(|error| self.failed(error.into()))? {
            visit(Sid::from(sid));
        }
        Ok(())
    }

    async fn all(&self, visit: &mut (dyn FnMut(Sid, Record) + Send)) -> Result<(), StoreError> {
        self.ready().await?;
        let all = query_as::<_, (String, Option<String>)>(self.sql.all.text()).bind(at(self.settings.now()));
        let mut all = all.fetch(&self.pool);
        let next = |error: sqlx::Error| self.failed(error.into());
        while let Some((sid, text)) = all.try_next().await.map_err(next)? {
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

async fn prune(pool: &PgPool, sql: &Sql, now: Millis) -> sqlx::Result<u64> {
    let mut pruned = 0;
    loop {
        let prune = lent!(on: Postgres => {
            query_as(sql.prune.text()).bind(at(now)).bind(BATCH.cast_signed()).fetch_one(&mut *on).await
        });
        let (found, removed): (i64, i64) = again(pool, gave_way, prune).await?;
        pruned += removed.unsigned_abs();
        // A rule of the database's own may keep rows that have expired.
        if found.unsigned_abs() < BATCH || removed == 0 {
            return Ok(pruned);
        }
    }
}

/// What `to_timestamp` takes.
fn at(ms: Millis) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "exact for a hundred million years")]
    let seconds = ceil_seconds(ms) as f64;
    // A thousand years is for ever, and PostgreSQL's own dates end some time.
    seconds.min(253_402_300_799.0)
}

/// A serialization failure or a deadlock: the database's default isolation may be a stricter one.
fn gave_way(error: &sqlx::Error) -> bool {
    matches!(code(error).as_deref(), Some("40001" | "40P01"))
}

fn name_of(option: &'static str, name: &str) -> Result<String, StoreError> {
    identifier(option, name, LONGEST_NAME).map_err(|failure| failure.of(STORE))
}

async fn is_held(on: &mut PgConnection, sql: &Sql, sid: &str, now: Millis) -> sqlx::Result<bool> {
    let held = query(sql.get.text()).bind(sid).bind(at(now));
    Ok(held.fetch_optional(on).await?.is_some())
}

impl Sql {
    fn of(table: &Table) -> Self {
        let (zone, instant) = match &table.time_zone {
            None => (String::new(), "::timestamptz".into()),
            Some(zone) => {
                let zone = format!(" AT TIME ZONE {}", quoted(zone, '\''));
                (zone.clone(), zone)
            }
        };
        let index = quoted(&format!("IDX_{}_expire", table.name), '"');
        let name = table.to_string();
        let past = fill(PAST, &[("zone", &zone), ("instant", &instant)]);
        let names = [
            ("table", &*name),
            ("index", &index),
            ("version", VERSION),
            ("is_record", IS_RECORD),
            ("zone", &zone),
            ("instant", &instant),
            ("past", &past),
        ];
        let fill = |template| Statement::fill(template, &names);
        Self {
            get: fill(GET),
            set: fill(SET),
            set_expecting_nothing: fill(SET_EXPECTING_NOTHING),
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
            create: fill(CREATE),
        }
    }
}

/// As SQL has it: quoted, and with its schema.
impl fmt::Display for Table {
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
        f.debug_struct("PostgresStore").field("table", &self.table.to_string()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn how_a_connection_is_encrypted_is_as_the_url_says() {
        use sqlx::postgres::PgSslMode;
        for (word, mode) in [
            ("disable", PgSslMode::Disable),
            ("require", PgSslMode::Require),
            ("verify-ca", PgSslMode::VerifyCa),
            ("verify-full", PgSslMode::VerifyFull),
        ] {
            let store = PostgresStore::open(&format!("postgres://me@127.0.0.1/app?sslmode={word}")).unwrap();
            let kept = store.pool.connect_options().get_ssl_mode();
            assert_eq!(format!("{kept:?}"), format!("{mode:?}"));
        }
    }

    #[tokio::test]
    async fn expired_sessions_are_removed_as_often_as_the_option_says() {
        let store = PostgresStore::open("postgres://me@127.0.0.1/app").unwrap();
        assert_eq!(store.settings.pruning.interval, Some(QUARTER));
        let store = store.prune_session_interval(Duration::from_secs(7));
        assert_eq!(store.settings.pruning.interval, Some(Duration::from_secs(7)));
        assert_eq!(store.prune_session_interval(None).settings.pruning.interval, None);
    }

    #[tokio::test]
    async fn a_connection_is_encrypted_where_its_url_says_so() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
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
        assert!(PostgresStore::open("postgres://localhost").unwrap().settings.pruning.randomized);
    }
}
