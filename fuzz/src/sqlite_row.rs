use std::{
    cell::LazyCell,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use session_core::{
    Clock, Destroyed, Expect, Record, Set, Sid, Store, StoreError, Touched, Version,
    fuzzing::{iso, parse_date},
};
use store_sqlx::{
    SqliteStore, SqliteTable,
    sqlx::{AssertSqlSafe, SqlitePool, query, query_as, sqlite::SqlitePoolOptions},
};

use crate::{input::Input, runtime::block_on};

const NOW: u64 = 1_767_323_045_678;

/// Columns of the expiry and the record, and the kind of table.
const TABLES: [(&str, &str, &str, SqliteTable); 3] = [
    ("native", "expire", "sess", SqliteTable::Native),
    ("connect", "expired", "sess", SqliteTable::ConnectSqlite3),
    ("better", "expire", "sess", SqliteTable::BetterSqlite3),
];

struct Tables {
    pool: SqlitePool,
    stores: [SqliteStore; 3],
}

thread_local! {
    /// In memory, on one connection.
    static OPEN: LazyCell<Tables> = LazyCell::new(|| block_on(async {
        let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
        let stores = TABLES.map(|(name, .., table)| {
            let store = SqliteStore::new(pool.clone()).table(table).table_name(name).unwrap();
            store.clock(Clock::new(now)).prune_interval(None)
        });
        for store in &stores {
            assert!(store.get(&sid()).await.unwrap().is_none(), "that makes the table");
        }
        Tables { pool, stores }
    }));
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(NOW)
}

fn sid() -> Sid {
    Sid::from("sid")
}

/// A byte that chooses the table and the types of its two values; a line for the expiry; the record.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input(data);
    let chosen = usize::from(input.byte());
    let (expiry, text) = (input.line(), input.0);
    OPEN.with(|tables| block_on(tables.try_row(chosen, expiry, text)));
}

impl Tables {
    async fn try_row(&self, chosen: usize, expiry: &[u8], text: &[u8]) {
        let at = chosen % TABLES.len();
        let (name, expire, sess, _) = TABLES[at];
        let store = &self.stores[at];
        store.destroy(&sid(), &Expect::Anything).await.unwrap();
        let types = ["TEXT", "BLOB", "INTEGER", "REAL", "NUMERIC"];
        let of = |place: usize| types[chosen / TABLES.len() / place % types.len()];
        let insert = format!(
            "INSERT INTO {name} (sid, {expire}, {sess}) VALUES ('sid', CAST(? AS {}), CAST(? AS {}))",
            of(1),
            of(types.len())
        );
        let planted = query(AssertSqlSafe(insert)).bind(expiry).bind(text).execute(&self.pool).await;
        // What the table itself refuses can stand in none.
        if let Err(refused) = &planted {
            const CONSTRAINT: u32 = 19;
            let code: u32 = refused.as_database_error().unwrap().code().unwrap().parse().unwrap();
            assert_eq!(code & 0xff, CONSTRAINT, "{refused}");
        } else {
            crate::reached();
            let kind = format!(
                "SELECT typeof({expire}), CAST({expire} AS REAL), CAST({expire} AS BLOB) FROM {name}"
            );
            let row = query_as(AssertSqlSafe(kind)).fetch_one(&self.pool).await;
            let (kind, number, text): (String, f64, Vec<u8>) = row.unwrap();
            check_left(store, left(at, &kind, number, &text)).await;
            check(store).await;
        }
    }
}

/// The milliseconds that are left by a column's own word, of those that it takes no SQL to read.
fn left(table: usize, kind: &str, number: f64, text: &[u8]) -> Option<i64> {
    let is_safe = number.abs() < 1e15;
    let date = || {
        let text = std::str::from_utf8(text).ok()?;
        parse_date(text).filter(|millis| iso(*millis) == text)
    };
    let until = match (TABLES[table].3, kind) {
        (SqliteTable::BetterSqlite3, "text") => date()?,
        (SqliteTable::Native, "integer") | (SqliteTable::ConnectSqlite3, "integer" | "real") if is_safe => {
            number.floor() as i64
        }
        _ => return None,
    };
    Some(until - NOW as i64)
}

async fn check_left(store: &SqliteStore, left: Option<i64>) {
    let Some(left) = left else { return };
    match store.get(&sid()).await {
        Ok(Some(stored)) => {
            let found = stored.left.unwrap().as_millis() as i64;
            assert!((found - left).abs() <= 1, "{found} ms are left, not {left}");
        }
        Ok(None) => assert!(left <= 0, "{left} ms are left, and it is gone"),
        // There, and no record.
        Err(_) => assert!(left >= 0),
    }
}

/// All four verbs have the same opinion of what is held.
async fn check(store: &SqliteStore) {
    let mut fresh = Record::parse(r#"{"cookie":{}}"#).unwrap();
    fresh.cookie.set_max_age(Some(Duration::from_secs(60)), now());
    match store.get(&sid()).await {
        Ok(Some(stored)) => {
            assert!(
                Record::parse(stored.version.text().unwrap()).is_ok_and(|record| record == stored.record)
            );
            let other = Expect::Version(Version::from_text(format!("{} ", stored.version.text().unwrap())));
            assert_eq!(store.set(&sid(), &fresh, &other).await.unwrap(), Set::Conflict);
            assert_eq!(store.touch(&sid(), &fresh.cookie, &other).await.unwrap(), Touched::Conflict);
            assert_eq!(store.destroy(&sid(), &other).await.unwrap(), Destroyed::Conflict);
            let version = Expect::Version(stored.version);
            assert_eq!(store.set(&sid(), &fresh, &Expect::Nothing).await.unwrap(), Set::Conflict);
            assert_eq!(store.touch(&sid(), &fresh.cookie, &version).await.unwrap(), Touched::Moved);
            let touched = store.get(&sid()).await.unwrap().unwrap();
            assert!(touched.record == stored.record && touched.left == Some(Duration::from_secs(60)));
            assert!(matches!(store.set(&sid(), &fresh, &version).await.unwrap(), Set::Written(_)));
        }
        Ok(None) => {
            assert_eq!(
                store.touch(&sid(), &fresh.cookie, &Expect::Anything).await.unwrap(),
                Touched::Unknown
            );
            assert!(matches!(store.set(&sid(), &fresh, &Expect::Nothing).await.unwrap(), Set::Written(_)));
        }
        Err(StoreError::Corrupt { .. }) => {
            assert_eq!(store.set(&sid(), &fresh, &Expect::Nothing).await.unwrap(), Set::Conflict);
            assert_eq!(store.touch(&sid(), &fresh.cookie, &Expect::Anything).await.unwrap(), Touched::Moved);
            assert!(matches!(store.get(&sid()).await, Err(StoreError::Corrupt { .. })));
            assert!(matches!(store.set(&sid(), &fresh, &Expect::Anything).await.unwrap(), Set::Written(_)));
        }
        Err(error) => panic!("{error:?}"),
    }
    assert!(
        store.get(&sid()).await.unwrap().is_some_and(|stored| stored.record == fresh),
        "what is written is read"
    );
    assert_eq!(store.destroy(&sid(), &Expect::Anything).await.unwrap(), Destroyed::Destroyed);
}
