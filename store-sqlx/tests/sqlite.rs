//! The store contract on SQLite, on each of the three tables.

mod common;

use common::TempDir;
use session_core::{AdminStore, Sid};
use session_testkit::{Fixture, ManualClock};
use store_sqlx::{
    SqliteStore, SqliteTable,
    sqlx::{self, SqlitePool},
};

const FOREVER: i64 = 9_999_999_999_999;

/// A file of its own, which goes with the fixture.
async fn open(table: SqliteTable, plant: &'static str) -> Fixture {
    let folder = TempDir::new();
    let clock = ManualClock::new();
    let store = SqliteStore::open(&folder.url()).unwrap().table(table).clock(clock.clock());
    store.clear().await.unwrap();
    let pool = SqlitePool::connect_lazy(&folder.url()).unwrap();
    Fixture::new(store).clock(clock).plant(move |sid: Sid, text| {
        let (pool, _keep) = (pool.clone(), folder.clone());
        async move {
            let plant = sqlx::query(plant).bind(sid.as_str().to_owned()).bind(FOREVER).bind(text);
            plant.execute(&pool).await.unwrap();
        }
    })
}

mod native {
    use super::*;

    async fn open() -> Fixture {
        super::open(SqliteTable::Native, "INSERT INTO session (sid, expire, sess) VALUES (?, ?, ?)").await
    }

    session_testkit::store_contract!(open);
    session_testkit::admin_contract!(open);
}

mod in_memory {
    use super::*;

    async fn open() -> Fixture {
        let clock = ManualClock::new();
        Fixture::new(SqliteStore::open("sqlite::memory:").unwrap().clock(clock.clock())).clock(clock)
    }

    session_testkit::store_contract!(open);
    session_testkit::admin_contract!(open);
}

mod connect_sqlite3 {
    use super::*;

    async fn open() -> Fixture {
        let plant = "INSERT INTO sessions (sid, expired, sess) VALUES (?, ?, ?)";
        super::open(SqliteTable::ConnectSqlite3, plant).await
    }

    session_testkit::store_contract!(open);
    session_testkit::admin_contract!(open);
}

mod better_sqlite3 {
    use super::*;

    async fn open() -> Fixture {
        let plant = "INSERT INTO sessions (sid, expire, sess) VALUES (?, datetime(? / 1000, 'unixepoch'), ?)";
        super::open(SqliteTable::BetterSqlite3, plant).await
    }

    session_testkit::store_contract!(open);
    session_testkit::admin_contract!(open);
}
