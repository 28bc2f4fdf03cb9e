//! PostgreSQL, MySQL, MariaDB and SQLite: a row for each sid.

use std::time::Duration;

use express_session::sql::sqlx::{
    AssertSqlSafe, Error, MySqlPool, PgPool, SqlitePool, query, query_as, sqlite::SqliteConnectOptions,
};

use super::super::dates;
use super::{Piece, Row, words};

#[derive(Clone, Debug)]
pub(super) struct Postgres(PgPool);

impl Postgres {
    pub(super) fn open(url: &str) -> Result<Self, String> {
        PgPool::connect_lazy(url).map(Self).map_err(words)
    }

    pub(super) async fn rows(&self, table: &str) -> Result<Vec<Row>, String> {
        let sql = format!("SELECT sid, sess::text, expire::text FROM {table}");
        let rows: Vec<(String, String, String)> =
            query_as(AssertSqlSafe(sql)).fetch_all(&self.0).await.map_err(words)?;
        let row = |(sid, sess, expire): (String, String, String)| {
            // A fraction of a second makes another text.
            let time = dates::iso(&format!("{}.000Z", expire.replace(' ', "T")));
            let expire = time.map_or(Piece::Text(expire), Piece::Time);
            Row { sid, pieces: vec![Piece::Record(sess), expire] }
        };
        Ok(rows.into_iter().map(row).collect())
    }

    pub(super) async fn clear(&self, table: &str) -> Result<(), String> {
        query(AssertSqlSafe(format!("DELETE FROM {table}"))).execute(&self.0).await.map(drop).map_err(words)
    }

    pub(super) async fn remove(&self, table: &str, sid: &str) -> Result<(), String> {
        self.run(format!("DELETE FROM {table} WHERE sid = $1"), sid).await
    }

    pub(super) async fn spoil(&self, table: &str, sid: &str) -> Result<(), String> {
        self.run(format!("UPDATE {table} SET sess = '{{}}' WHERE sid = $1"), sid).await
    }

    async fn run(&self, sql: String, sid: &str) -> Result<(), String> {
        query(AssertSqlSafe(sql)).bind(sid).execute(&self.0).await.map(drop).map_err(words)
    }
}

#[derive(Clone, Debug)]
pub(super) struct MySql(MySqlPool);

/// It is created when it is first used.
fn is_missing(error: &Error) -> bool {
    const NO_SUCH_TABLE: &str = "42S02";
    matches!(error, Error::Database(error) if error.code().as_deref() == Some(NO_SUCH_TABLE))
}

impl MySql {
    pub(super) fn open(url: &str) -> Result<Self, String> {
        MySqlPool::connect_lazy(url).map(Self).map_err(words)
    }

    pub(super) async fn remove(&self, table: &str, sid: &str) -> Result<(), String> {
        self.run(format!("DELETE FROM {table} WHERE session_id = ?"), sid).await
    }

    pub(super) async fn spoil(&self, table: &str, sid: &str) -> Result<(), String> {
        self.run(format!("UPDATE {table} SET data = '{{}}' WHERE session_id = ?"), sid).await
    }

    async fn run(&self, sql: String, sid: &str) -> Result<(), String> {
        query(AssertSqlSafe(sql)).bind(sid).execute(&self.0).await.map(drop).map_err(words)
    }

    pub(super) async fn clear(&self, table: &str) -> Result<(), String> {
        match query(AssertSqlSafe(format!("DELETE FROM {table}"))).execute(&self.0).await {
            Err(error) if !is_missing(&error) => Err(words(error)),
            _ => Ok(()),
        }
    }

    pub(super) async fn rows(&self, table: &str) -> Result<Vec<Row>, String> {
        let sql = format!("SELECT session_id, CAST(expires AS SIGNED), data FROM {table}");
        let rows: Result<Vec<(String, i64, String)>, Error> =
            query_as(AssertSqlSafe(sql)).fetch_all(&self.0).await;
        let rows = match rows {
            Err(error) if is_missing(&error) => Vec::new(),
            rows => rows.map_err(words)?,
        };
        let row = |(sid, expires, data): (String, i64, String)| Row {
            sid,
            pieces: vec![Piece::Record(data), Piece::Time(expires * 1000)],
        };
        Ok(rows.into_iter().map(row).collect())
    }
}

/// Writers of a file wait for each other.
const PATIENCE: Duration = Duration::from_secs(30);

/// A file, with the table of one of two packages.
#[derive(Clone, Debug)]
pub(super) struct Sqlite(SqlitePool);

impl Sqlite {
    pub(super) fn open(url: &str) -> Result<Self, String> {
        let options: SqliteConnectOptions = url.parse().map_err(words)?;
        let options = options.create_if_missing(true).busy_timeout(PATIENCE);
        Ok(Self(SqlitePool::connect_lazy_with(options)))
    }

    pub(super) async fn rows(&self, package: &str) -> Result<Vec<Row>, String> {
        // Which type a value has is its own: both say what they have written.
        let expiry = if package == "connect-sqlite3" { "expired" } else { "expire" };
        let sql = format!(
            "SELECT sid, sess, typeof(sess) || ' ' || typeof({expiry}), CAST({expiry} AS TEXT) FROM sessions"
        );
        let rows: Result<Vec<(String, String, String, String)>, Error> =
            query_as(AssertSqlSafe(sql)).fetch_all(&self.0).await;
        let rows = match rows {
            Err(error) if has_no_table(&error) => Vec::new(),
            rows => rows.map_err(words)?,
        };
        let row = |(sid, sess, types, expiry): (String, String, String, String)| {
            // A fraction of a millisecond is another text.
            #[expect(clippy::cast_possible_truncation, reason = "whole milliseconds")]
            let whole = |millis: f64| (millis.fract() == 0.0).then_some(millis as i64);
            let number = || expiry.parse().ok().and_then(whole);
            let time = dates::iso(&expiry).or_else(number);
            let expiry = time.map_or(Piece::Text(expiry), Piece::Time);
            Row { sid, pieces: vec![Piece::Text(types), Piece::Record(sess), expiry] }
        };
        Ok(rows.into_iter().map(row).collect())
    }

    pub(super) async fn clear(&self) -> Result<(), String> {
        match query("DELETE FROM sessions").execute(&self.0).await {
            Err(error) if !has_no_table(&error) => Err(words(error)),
            _ => Ok(()),
        }
    }

    pub(super) async fn remove(&self, sid: &str) -> Result<(), String> {
        self.run("DELETE FROM sessions WHERE sid = ?", sid).await
    }

    pub(super) async fn spoil(&self, sid: &str) -> Result<(), String> {
        self.run("UPDATE sessions SET sess = '{}' WHERE sid = ?", sid).await
    }

    async fn run(&self, sql: &'static str, sid: &str) -> Result<(), String> {
        query(sql).bind(sid).execute(&self.0).await.map(drop).map_err(words)
    }
}

/// Of a store that was not asked for anything yet.
fn has_no_table(error: &Error) -> bool {
    matches!(error, Error::Database(error) if error.message().starts_with("no such table"))
}
