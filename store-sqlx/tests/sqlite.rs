//! The store contract on SQLite, on each of the three tables.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on stops")]

mod common;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use common::{
    DAY, TempDir, assert_all_are_listed_and_cleared, contract, eventually, millis, put, record, shown, until,
};
use futures_util::future::join_all;
use session_core::{
    AdminStore, Cookie, Destroyed, Expect, Options, Record, RequestInfo, Sealed, Set, Sid, Store, StoreError,
    Stored, Touched, async_trait,
};
use session_testkit::{Captured, Fixture, ManualClock};
use store_sqlx::{
    SqliteStore, SqliteTable,
    sqlx::{
        self, SqlitePool,
        sqlite::{SqliteConnectOptions, SqlitePoolOptions},
    },
};
use test_support::within;

/// What the manual clock starts at.
const START: u64 = 1_767_323_045_678;

/// A file of its own, which goes with the fixture.
async fn open(table: SqliteTable, plant: &'static str) -> Fixture {
    open_as(table, plant, |store| store).await
}

/// Within another store.
async fn open_as<S: AdminStore>(
    table: SqliteTable,
    plant: &'static str,
    wrapped: impl Fn(SqliteStore) -> S,
) -> Fixture {
    let folder = TempDir::new();
    let clock = ManualClock::new();
    let [store, other] =
        [(); 2].map(|()| SqliteStore::open(&folder.url()).unwrap().table(table).clock(clock.clock()));
    store.clear().await.unwrap();
    let pool = in_folder(&folder);
    let [store, other] = [store, other].map(wrapped);
    let fixture = Fixture::new(store).beside(other).ttl(DAY).clock(clock).exact_to_the_millisecond();
    fixture.plant(move |sid: Sid, text, until| {
        let (pool, _keep) = (pool.clone(), folder.clone());
        async move {
            let plant = sqlx::query(plant).bind(sid.as_str().to_owned()).bind(millis(until)).bind(text);
            plant.execute(&pool).await.unwrap();
        }
    })
}

mod native {
    use super::*;

    async fn open() -> Fixture {
        super::open(
            SqliteTable::Native,
            "INSERT OR REPLACE INTO session (sid, expire, sess) VALUES (?, ?, ?)",
        )
        .await
    }

    session_testkit::store_contract!(open);
    session_testkit::admin_contract!(open);
}

/// The database sees no data, and what others write is read as it is.
mod sealed {
    use super::*;

    async fn open() -> Fixture {
        let plant = "INSERT OR REPLACE INTO session (sid, expire, sess) VALUES (?, ?, ?)";
        super::open_as(SqliteTable::Native, plant, |store| {
            Sealed::new(store, [7; 32]).unwrap().also_reads_plain(true)
        })
        .await
    }

    session_testkit::store_contract!(open);
    session_testkit::admin_contract!(open);
}

mod in_memory {
    use super::*;

    async fn open() -> Fixture {
        let clock = ManualClock::new();
        let store = SqliteStore::open("sqlite::memory:").unwrap().clock(clock.clock());
        Fixture::new(store).ttl(DAY).clock(clock).exact_to_the_millisecond().nobody_else_writes()
    }

    session_testkit::store_contract!(open);
    session_testkit::admin_contract!(open);
}

mod connect_sqlite3 {
    use super::*;

    async fn open() -> Fixture {
        let plant = "INSERT OR REPLACE INTO sessions (sid, expired, sess) VALUES (?, ?, ?)";
        super::open(SqliteTable::ConnectSqlite3, plant).await
    }

    session_testkit::store_contract!(open);
    session_testkit::admin_contract!(open);
}

mod better_sqlite3 {
    use super::*;

    async fn open() -> Fixture {
        let plant = "INSERT OR REPLACE INTO sessions (sid, expire, sess) VALUES (?, strftime('%Y-%m-%dT%H:%M:%fZ', ? / 1000.0, 'unixepoch'), ?)";
        super::open(SqliteTable::BetterSqlite3, plant).await
    }

    session_testkit::store_contract!(open);
    session_testkit::admin_contract!(open);
}

fn in_folder(folder: &TempDir) -> SqlitePool {
    SqlitePool::connect_lazy(&folder.url()).unwrap()
}

async fn ask(folder: &TempDir, sql: &'static str) -> String {
    sqlx::query_scalar(sql).fetch_one(&in_folder(folder)).await.unwrap()
}

const TABLES: [SqliteTable; 3] =
    [SqliteTable::Native, SqliteTable::ConnectSqlite3, SqliteTable::BetterSqlite3];

#[test]
fn touch_says_what_became_of_the_row() {
    session_testkit::run(async {
        for table in TABLES {
            let clock = ManualClock::new();
            let store = SqliteStore::open("sqlite::memory:").unwrap().table(table).clock(clock.clock());
            contract::touch_says_what_became_of_the_row(&store, &clock).await;
        }
    });
}

#[test]
fn destroy_says_what_became_of_the_row() {
    session_testkit::run(async {
        for table in TABLES {
            let clock = ManualClock::new();
            let store = SqliteStore::open("sqlite::memory:").unwrap().table(table).clock(clock.clock());
            contract::destroy_says_what_became_of_the_row(&store, &clock).await;
        }
    });
}

#[test]
fn what_has_expired_itself_changes_nothing() {
    session_testkit::run(async {
        let nowhere = SqliteStore::open("sqlite:no/such/folder/sessions.db").unwrap();
        contract::what_has_expired_itself_changes_nothing(&nowhere).await;
    });
}

#[test]
fn a_record_is_held_for_the_rest_of_a_second() {
    session_testkit::run(async {
        for table in TABLES {
            let clock = ManualClock::new();
            let store = SqliteStore::open("sqlite::memory:").unwrap().table(table).clock(clock.clock());
            contract::a_record_is_held_for_the_rest_of_a_second(&store, &clock, START).await;
        }
    });
}

#[test]
fn sessions_survive_a_restart() {
    session_testkit::run(async {
        let folder = TempDir::new();
        for table in TABLES {
            let name = format!("{table:?} \"{{sid}}\"");
            let open = || SqliteStore::open(&folder.url()).unwrap().table(table).table_name(&name).unwrap();
            let mut sids = Vec::new();
            for run in 0..3 {
                let store = open();
                for (at, sid) in sids.iter().enumerate() {
                    let stored = store.get(sid).await.unwrap().expect("an earlier run wrote it");
                    assert_eq!(stored.record.data.get("run"), Some(&*at.to_string()));
                }
                sids.push(put(&store, &record(&format!("\"run\":{run}"))).await);
            }
        }
        assert_eq!(ask(&folder, "PRAGMA journal_mode").await, "wal");
        let native = "SELECT group_concat(name, ' ') FROM sqlite_schema WHERE tbl_name LIKE 'Native%'";
        assert!(ask(&folder, native).await.contains("_expire"), "there is an index");
    });
}

#[test]
fn in_memory_every_store_is_on_its_own() {
    session_testkit::run(async {
        let [one, other] = [(); 2].map(|()| SqliteStore::open("sqlite::memory:").unwrap());
        let sid = put(&one, &record("")).await;
        assert!(one.get(&sid).await.unwrap().is_some() && other.get(&sid).await.unwrap().is_none());
    });
}

#[test]
fn many_that_start_at_once_create_one_file_and_one_table() {
    session_testkit::run(async {
        let folder = TempDir::new();
        let start = |_| {
            let store = SqliteStore::open(&folder.url()).unwrap();
            tokio::spawn(async move { put(&store, &record("")).await })
        };
        join_all((0..16).map(start)).await.into_iter().for_each(|put| drop(put.unwrap()));
        assert_eq!(SqliteStore::open(&folder.url()).unwrap().length().await.unwrap(), 16);
    });
}

/// Adds one to a session's number, a hundred times, with the others that do.
async fn count_to_a_hundred(url: &str, sid: &Sid) {
    let store = SqliteStore::open(url).unwrap();
    for _ in 0..100 {
        loop {
            let stored = store.get(sid).await.unwrap().expect("it is there");
            let n: u64 = stored.record.data.get("n").unwrap().parse().unwrap();
            let next = record(&format!("\"n\":{}", n + 1));
            let set = store.set(sid, &next, &Expect::Version(stored.version)).await.unwrap();
            if matches!(set, Set::Written(_)) {
                break;
            }
        }
    }
}

#[test]
fn two_processes_share_one_file() {
    const CHILD: &str = "STORE_SQLX_TEST_FILE";
    let sid = Sid::from("shared");
    session_testkit::run(async {
        if let Ok(url) = std::env::var(CHILD) {
            return count_to_a_hundred(&url, &sid).await;
        }
        let folder = TempDir::new();
        let store = SqliteStore::open(&folder.url()).unwrap();
        store.set(&sid, &record("\"n\":0"), &Expect::Nothing).await.unwrap();
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "two_processes_share_one_file"])
            .env(CHILD, folder.url())
            .stdout(std::process::Stdio::null())
            .spawn();
        join_all([count_to_a_hundred(&folder.url(), &sid), count_to_a_hundred(&folder.url(), &sid)]).await;
        let ended = tokio::task::spawn_blocking(|| child.unwrap().wait().unwrap()).await.unwrap();
        assert!(ended.success());
        assert_eq!(store.get(&sid).await.unwrap().unwrap().record.data.get("n"), Some("300"));
    });
}

#[test]
fn the_columns_hold_what_nodes_stores_write() {
    session_testkit::run(async {
        let (clock, until) = (ManualClock::new(), until(1_767_326_400_001, "\"user\":\"é😀\""));
        for (table, row, expected) in [
            (
                SqliteTable::Native,
                "SELECT sess || ' ' || typeof(expire) || ' ' || expire FROM session",
                "integer 1767326400001",
            ),
            (
                SqliteTable::ConnectSqlite3,
                "SELECT sess || ' ' || typeof(expired) || ' ' || expired FROM sessions",
                "real 1767326400001.0",
            ),
            (
                SqliteTable::BetterSqlite3,
                "SELECT sess || ' ' || typeof(expire) || ' ' || expire FROM sessions",
                "text 2026-01-02T04:00:00.001Z",
            ),
        ] {
            let folder = TempDir::new();
            let store = SqliteStore::open(&folder.url()).unwrap().table(table).clock(clock.clock());
            let sid = put(&store, &until).await;
            assert_eq!(ask(&folder, row).await, format!("{} {expected}", until.to_json()));
            let stored = store.get(&sid).await.unwrap().unwrap();
            assert_eq!(stored.left, Some(Duration::from_millis(1_767_326_400_001 - START)));
            assert_eq!(
                store.touch(&sid, &record("").cookie, &Expect::Anything).await.unwrap(),
                Touched::Moved
            );
            let left = store.get(&sid).await.unwrap().unwrap().left;
            assert_eq!(left, Some(Duration::from_secs(86_400)), "a day, where the cookie has no end");
        }
    });
}

#[test]
fn what_nodes_stores_wrote_is_read() {
    session_testkit::run(async {
        let clock = ManualClock::new();
        let text = record(r#""user":{"name":"é😀"}"#).to_json();
        for (table, create, insert) in [
            (
                SqliteTable::ConnectSqlite3,
                "CREATE TABLE sessions (sid PRIMARY KEY, expired, sess)",
                "INSERT OR REPLACE INTO sessions VALUES ('UBFGR_aHYI', 1767326400001.0, ?)",
            ),
            (
                SqliteTable::BetterSqlite3,
                "CREATE TABLE sessions (sid TEXT NOT NULL PRIMARY KEY, sess JSON NOT NULL, expire TEXT NOT NULL)",
                "INSERT OR REPLACE INTO sessions VALUES ('UBFGR_aHYI', ?, '2026-01-02T04:00:00.001Z')",
            ),
        ] {
            let folder = TempDir::new();
            let store = SqliteStore::open(&folder.url()).unwrap();
            store.clear().await.unwrap();
            let pool = in_folder(&folder);
            sqlx::query(create).execute(&pool).await.unwrap();
            sqlx::query(insert).bind(&text).execute(&pool).await.unwrap();
            let store = store.table(table).clock(clock.clock());
            let sid = Sid::from("UBFGR_aHYI");
            let stored = store.get(&sid).await.unwrap().expect("it has not expired");
            assert_eq!(stored.record.to_json(), text);
            assert_eq!(stored.left, Some(Duration::from_millis(1_767_326_400_001 - START)));
            let written =
                store.set(&sid, &record("\"n\":1"), &Expect::Version(stored.version)).await.unwrap();
            assert!(matches!(written, Set::Written(_)));
        }
    });
}

#[test]
fn a_row_that_is_no_record_is_left_alone_and_passed_over() {
    session_testkit::run(async {
        let folder = TempDir::new();
        let store = SqliteStore::open(&folder.url()).unwrap().table(SqliteTable::ConnectSqlite3);
        let good = put(&store, &record("")).await;
        let rows = "INSERT INTO sessions VALUES ('0', 9e15, ''), ('1', 9e15, NULL), ('2', 9e15, 7), \
            ('3', 9e15, x'7bff'), ('4', 9e15, '{\"hunter2\":'), ('5', 9e15, 'null'), \
            ('6', 'soon', '{}'), ('7', NULL, '{}')";
        sqlx::query(rows).execute(&in_folder(&folder)).await.unwrap();
        for sid in ["0", "1", "2", "3", "4", "5"] {
            let error = store.get(&Sid::from(sid)).await.unwrap_err();
            assert!(matches!(error, StoreError::Corrupt { store: "sqlite", .. }), "{sid}: {error:?}");
            assert!(!shown(&error).contains("hunter2") && !shown(&error).contains("123, 255"), "{error:?}");
        }
        let mut seen = Vec::new();
        store.all(&mut |sid, _| seen.push(sid)).await.unwrap();
        assert!(seen == [good]);
    });
}

#[test]
fn what_is_no_expiry_has_expired() {
    session_testkit::run(async {
        for (table, insert) in [
            (SqliteTable::ConnectSqlite3, "INSERT INTO sessions (sid, expired, sess) VALUES (?, NULL, '{}')"),
            (
                SqliteTable::ConnectSqlite3,
                "INSERT INTO sessions (sid, expired, sess) VALUES (?, 'soon', '{}')",
            ),
            (
                SqliteTable::ConnectSqlite3,
                "INSERT INTO sessions (sid, expired, sess) VALUES (?, '9e15', '{}')",
            ),
            (
                SqliteTable::ConnectSqlite3,
                "INSERT INTO sessions (sid, expired, sess) VALUES (?, x'00', '{}')",
            ),
            (SqliteTable::BetterSqlite3, "INSERT INTO sessions (sid, expire, sess) VALUES (?, 'soon', '{}')"),
        ] {
            let folder = TempDir::new();
            let store = SqliteStore::open(&folder.url()).unwrap().table(table);
            let next = record("\"a\":1");
            put(&store, &next).await;
            let pool = in_folder(&folder);
            for sid in ["one", "other"] {
                sqlx::query(insert).bind(sid).execute(&pool).await.unwrap();
            }
            let one = Sid::from("one");
            assert!(store.get(&one).await.unwrap().is_none());
            assert_eq!(store.touch(&one, &next.cookie, &Expect::Anything).await.unwrap(), Touched::Unknown);
            assert_eq!(store.destroy(&one, &Expect::Nothing).await.unwrap(), Destroyed::Unknown);
            let mut listed = 0;
            store.ids(&mut |_| listed += 1).await.unwrap();
            store.all(&mut |_, _| listed += 1).await.unwrap();
            assert_eq!((listed, store.length().await.unwrap()), (2, 1));
            assert!(matches!(store.set(&one, &next, &Expect::Nothing).await.unwrap(), Set::Written(_)));
            assert_eq!(store.prune().await.unwrap(), 1);
            assert_eq!(store.length().await.unwrap(), 2);
        }
    });
}

#[test]
fn for_ever_is_a_time_to_live() {
    session_testkit::run(async {
        for table in TABLES {
            let store = SqliteStore::open("sqlite::memory:").unwrap().table(table).ttl(Duration::MAX);
            let sid = put(&store, &record("")).await;
            assert_eq!(
                store.touch(&sid, &record("").cookie, &Expect::Anything).await.unwrap(),
                Touched::Moved
            );
            let left = store.get(&sid).await.unwrap().expect("it is held").left.unwrap();
            assert!(left > DAY * 365 * 1_000);
        }
    });
}

/// More rows than one step takes, live ones among them, and gaps.
#[test]
fn tables_without_an_index_are_pruned_to_the_last_row() {
    session_testkit::run(async {
        const ROWS: &str = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 25000) INSERT INTO \
            sessions";
        for (table, fill) in [
            (
                SqliteTable::ConnectSqlite3,
                " (rowid, sid, expired, sess) SELECT n * 3 - 9, n, \
                    CASE n % 5 WHEN 0 THEN 9e15 ELSE 1.0 END, '{\"cookie\":{}}' FROM n",
            ),
            (
                SqliteTable::BetterSqlite3,
                " (rowid, sid, expire, sess) SELECT n * 3 - 9, CAST(n AS TEXT), \
                    CASE n % 5 WHEN 0 THEN '9999-01-01' ELSE '2020-01-01T00:00:00.000Z' END, '{\"cookie\":{}}' FROM n",
            ),
        ] {
            let folder = TempDir::new();
            let store = SqliteStore::open(&folder.url()).unwrap().table(table);
            assert_eq!(store.prune().await.unwrap(), 0);
            let fill: &'static str = format!("{ROWS}{fill}").leak();
            sqlx::query(fill).execute(&in_folder(&folder)).await.unwrap();
            assert_eq!(store.prune().await.unwrap(), 20_000);
            assert_eq!(store.length().await.unwrap(), 5_000);
            assert_eq!(store.prune().await.unwrap(), 0);
        }
    });
}

#[test]
fn lists_go_through_all_in_pages() {
    session_testkit::run(async {
        for (table, fill) in [
            (SqliteTable::Native, "session SELECT CAST(n AS TEXT), 9000000000000, '{\"cookie\":{}}' FROM n"),
            (SqliteTable::ConnectSqlite3, "sessions SELECT n, 9e12, '{\"cookie\":{}}' FROM n"),
            (
                SqliteTable::BetterSqlite3,
                "sessions SELECT CAST(n AS TEXT), '{\"cookie\":{}}', '2200-01-01' FROM n",
            ),
        ] {
            let folder = TempDir::new();
            let store = SqliteStore::open(&folder.url()).unwrap().table(table);
            assert_eq!(store.length().await.unwrap(), 0);
            let fill: &'static str = format!(
                "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 2500) INSERT INTO {fill}"
            )
            .leak();
            sqlx::query(fill).execute(&in_folder(&folder)).await.unwrap();
            assert_all_are_listed_and_cleared(&store, 2_500).await;
        }
    });
}

/// Another process writes and does not end. Writers wait for it, or have gone, and whoever reads is served.
#[test]
fn who_reads_does_not_wait_for_writers() {
    session_testkit::run(async {
        let folder = TempDir::new();
        let store = SqliteStore::open(&folder.url()).unwrap().timeout(Duration::from_secs(60));
        let sid = put(&store, &record("")).await;
        let other = in_folder(&folder);
        let mut writes = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
        sqlx::query("DELETE FROM session").execute(&mut *writes).await.unwrap();
        let next = record("\"n\":1");
        for leave in [true, false] {
            let mut writers: Vec<_> =
                (0..8).map(|_| Box::pin(store.set(&sid, &next, &Expect::Anything))).collect();
            for writer in &mut writers {
                let waits = tokio::time::timeout(Duration::from_millis(20), writer).await;
                assert!(waits.is_err(), "the file is locked");
            }
            if leave {
                writers.clear();
            }
            // SQLite itself would wait for four seconds.
            let read = test_support::within(Duration::from_secs(3), store.get(&sid)).await;
            assert!(read.unwrap().is_some());
        }
        writes.rollback().await.unwrap();
    });
}

/// What somebody wanted to write who has left meanwhile may still be written, and not after what came later.
#[test]
fn who_leaves_keeps_the_turn_until_the_database_is_done() {
    session_testkit::run(async {
        let folder = TempDir::new();
        let store = SqliteStore::open(&folder.url()).unwrap().timeout(Duration::from_secs(60));
        let sid = put(&store, &record("")).await;
        let other = in_folder(&folder);
        for round in 0..5 {
            let writes = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
            let [first, second] = [1, 2].map(|n| record(&format!("\"n\":{}", 10 * round + n)));
            let leaves = store.set(&sid, &first, &Expect::Anything);
            // SQLite looks again after a while, and that while grows.
            assert!(tokio::time::timeout(Duration::from_millis(300), leaves).await.is_err());
            writes.rollback().await.unwrap();
            assert!(matches!(store.set(&sid, &second, &Expect::Anything).await.unwrap(), Set::Written(_)));
            tokio::time::sleep(Duration::from_millis(200)).await;
            assert!(store.get(&sid).await.unwrap().unwrap().record == second);
        }
    });
}

#[test]
fn a_file_is_created_unless_its_mode_forbids_it() {
    session_testkit::run(async {
        for (parameters, creates) in
            [("", true), ("?mode=rwc", true), ("?mode=rw", false), ("?mode=ro", false)]
        {
            let folder = TempDir::new();
            let store = SqliteStore::open(&format!("{}{parameters}", folder.url())).unwrap();
            assert_eq!(store.length().await.is_ok(), creates, "{parameters}");
        }
        assert!(shown(&SqliteStore::open("sqlite:").unwrap_err()).contains("has no name"));
        let folder = TempDir::new();
        let file = folder.path().join("sessions.db");
        let store = SqliteStore::open(&format!("sqlite:file:{}", file.display())).unwrap();
        put(&store, &record("")).await;
        assert!(file.exists());
    });
}

#[test]
fn a_file_that_is_replaced_is_noticed() {
    session_testkit::run(async {
        let folder = TempDir::new();
        let store = SqliteStore::open(&folder.url()).unwrap();
        let old = put(&store, &record("")).await;
        let file = folder.path().join("sessions.db");
        for suffix in ["", "-wal", "-shm"] {
            _ = std::fs::remove_file(format!("{}{suffix}", file.display()));
        }
        assert!(store.get(&old).await.unwrap().is_none());
        let new = put(&store, &record("")).await;
        assert_eq!(ask(&folder, "SELECT sid FROM session").await, new.as_str());
        // And a table that is dropped.
        sqlx::query("DROP TABLE session").execute(&in_folder(&folder)).await.unwrap();
        let new = put(&store, &record("")).await;
        assert_eq!(ask(&folder, "SELECT sid FROM session").await, new.as_str());
    });
}

#[test]
fn an_exhausted_pool_is_a_quick_error_and_a_locked_file_says_that_it_is() {
    session_testkit::run(async {
        let folder = TempDir::new();
        let begin = SqlitePoolOptions::new().max_connections(1);
        let options = folder.url().parse::<SqliteConnectOptions>().unwrap().create_if_missing(true);
        let pool = begin.connect_lazy_with(options.busy_timeout(Duration::from_millis(50)));
        let store = SqliteStore::new(pool.clone()).timeout(Duration::from_secs(1));
        let sid = put(&store, &record("")).await;
        let quick = async |store: &SqliteStore| {
            let again = record("");
            let set = within(Duration::from_secs(30), store.set(&sid, &again, &Expect::Anything));
            shown(&set.await.unwrap_err())
        };
        let taken = pool.acquire().await.unwrap();
        assert!(quick(&store).await.contains("1s"));
        drop(taken);
        let other = in_folder(&folder);
        let mut writes = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
        sqlx::query("DELETE FROM session").execute(&mut *writes).await.unwrap();
        // It tries again a few times, which a busy machine may take longer for.
        let patient = SqliteStore::new(pool.clone()).timeout(Duration::from_secs(20));
        assert!(quick(&patient).await.contains("locked"));
        writes.rollback().await.unwrap();
        assert!(store.get(&sid).await.unwrap().is_some());
    });
}

#[test]
fn expired_rows_are_pruned_in_batches_by_who_writes_when_it_is_due() {
    session_testkit::run(async {
        for (table, rows, fill) in [
            (
                SqliteTable::Native,
                "SELECT CAST(count(*) AS TEXT) FROM session",
                "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 2500) \
                    INSERT INTO session SELECT CAST(n AS TEXT), 1, '{}' FROM n",
            ),
            (
                SqliteTable::BetterSqlite3,
                "SELECT CAST(count(*) AS TEXT) FROM sessions",
                "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 2500) \
                    INSERT INTO sessions SELECT CAST(n AS TEXT), '{}', '2020-01-01T00:00:00.000Z' FROM n",
            ),
        ] {
            let (folder, clock) = (TempDir::new(), ManualClock::new());
            let store = SqliteStore::open(&folder.url()).unwrap().table(table).clock(clock.clock());
            put(&store, &record("")).await;
            sqlx::query(fill).execute(&in_folder(&folder)).await.unwrap();
            assert_eq!(ask(&folder, rows).await, "2501");
            // By default.
            clock.pass(Duration::from_secs(15 * 60 + 1));
            put(&store, &record("")).await;
            eventually(async || ask(&folder, rows).await == "2").await;
            sqlx::query(fill).execute(&in_folder(&folder)).await.unwrap();
            assert_eq!(store.prune().await.unwrap(), 2_500);
        }
    });
}

#[test]
fn what_cannot_be_opened_is_an_error() {
    session_testkit::run(async {
        let folder = TempDir::new();
        let nowhere = format!("sqlite:{}/no/such/folder/sessions.db", folder.path().display());
        let store = SqliteStore::open(&nowhere).unwrap();
        let error = store.get(&Sid::random()).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { store: "sqlite", .. }), "{error:?}");
        let read_write = format!("{}?mode=rw", folder.url());
        assert!(
            SqliteStore::open(&read_write).unwrap().length().await.is_err(),
            "it was told not to create it"
        );
        assert!(SqliteStore::open("sqlite:x?nonsense=1").is_err());
        let error = SqliteStore::open("sqlite::memory:").unwrap().table_name("a\n").unwrap_err();
        assert!(shown(&error).contains("option table_name"));
        let error = SqliteStore::open("sqlite::memory:").unwrap().table_name("sqlite_sessions").unwrap();
        assert!(error.get(&Sid::random()).await.is_err(), "a name that SQLite keeps for itself");
    });
}

#[test]
fn a_file_may_be_without_a_log_and_in_a_folder_that_is_made() {
    session_testkit::run(async {
        let folder = TempDir::new();
        let inner = folder.path().join("a/b");
        let url = format!("sqlite:{}", inner.join("sessions.db").display());
        let open = || SqliteStore::open(&url).unwrap();
        let made = || open().create_dir_if_not_exists(true).unwrap();
        let sid = Sid::random();
        for store in [open(), made().create_dir_if_not_exists(false).unwrap()] {
            assert!(store.get(&sid).await.is_err(), "a wrong name is an error");
        }
        let store = made().concurrent_db(false).unwrap();
        let sid = put(&store, &record("")).await;
        let log = inner.join("sessions.db-wal");
        assert!(inner.is_dir() && !log.exists());
        // Who wants a log has one, and who does not leaves it.
        let concurrent = open().concurrent_db(false).unwrap().concurrent_db(true).unwrap();
        assert!(concurrent.get(&sid).await.unwrap().is_some() && log.exists());
        put(&open().concurrent_db(false).unwrap(), &record("")).await;
        assert!(log.exists() && concurrent.length().await.unwrap() == 2);

        for refused in [
            SqliteStore::open("sqlite::memory:").unwrap().concurrent_db(false),
            SqliteStore::new(SqlitePool::connect_lazy("sqlite::memory:").unwrap())
                .create_dir_if_not_exists(true),
        ] {
            let shown = shown(&refused.unwrap_err());
            assert!(shown.contains("it is for a file that the store opens by its URL"), "{shown}");
        }
        let uri = SqliteStore::open("sqlite:file:/no/such/folder/x.db").unwrap();
        let shown = shown(&uri.create_dir_if_not_exists(true).unwrap_err());
        assert!(shown.contains("`file:` URI"), "{shown}");
        let nowhere = folder.path().join("c/x.db");
        let only_read = SqliteStore::open(&format!("sqlite:{}?mode=ro", nowhere.display())).unwrap();
        let only_read = only_read.create_dir_if_not_exists(true).unwrap();
        assert!(only_read.get(&sid).await.is_err() && !nowhere.parent().unwrap().exists());
    });
}

/// A destruction may be caught, and done later.
#[derive(Debug)]
struct Late {
    store: SqliteStore,
    catches: AtomicBool,
    caught: Mutex<Option<(Sid, Expect)>>,
}

#[async_trait]
impl Store for Late {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        self.store.get(sid).await
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        self.store.set(sid, record, expect).await
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        self.store.touch(sid, cookie, expect).await
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        if self.catches.swap(false, Ordering::SeqCst) {
            *self.caught.lock().unwrap() = Some((sid.clone(), expect.clone()));
            std::future::pending::<()>().await;
        }
        self.store.destroy(sid, expect).await
    }
}

/// Its versions are its texts, and without a date in the cookie these are alike.
#[test]
fn a_renewal_that_was_given_up_and_arrives_late_does_not_end_the_session() {
    session_testkit::run(async {
        let store = SqliteStore::open("sqlite::memory:").unwrap();
        let store = Arc::new(Late { store, catches: AtomicBool::new(false), caught: Mutex::default() });
        let sessions = Options::new("keyboard cat").store(Arc::clone(&store)).build().unwrap();
        let exchange = sessions.exchange();
        let session = exchange.session(&RequestInfo::new("/", false, &|_| {})).await.unwrap().unwrap();
        session.insert("user", "tj").unwrap();
        let cookies = exchange.end().await.unwrap();
        let cookie = cookies[0].split(';').next().unwrap();
        let with = |visit: &mut dyn FnMut(&str, &[u8])| visit("cookie", cookie.as_bytes());

        let exchange = sessions.exchange();
        let session = exchange.session(&RequestInfo::new("/", false, &with)).await.unwrap().unwrap();
        store.catches.store(true, Ordering::SeqCst);
        let given_up = async {
            while store.caught.lock().unwrap().is_none() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            _ = session.renew_id() => panic!("its last step hangs"),
            () = given_up => {}
        }
        exchange.end().await.unwrap();
        let (sid, expect) = store.caught.lock().unwrap().take().unwrap();
        assert_eq!(store.store.destroy(&sid, &expect).await.unwrap(), Destroyed::Conflict);
    });
}

#[test]
fn who_touches_prunes_as_well_as_often_as_the_option_says() {
    session_testkit::run(async {
        let (folder, clock) = (TempDir::new(), ManualClock::new());
        let open = || SqliteStore::open(&folder.url()).unwrap().clock(clock.clock());
        let (minute, never) = (open().prune_interval(Duration::from_secs(60)), open().prune_interval(None));
        let sid = put(&minute, &record("")).await;
        sqlx::query("INSERT INTO session VALUES ('expired', 1, '{}')")
            .execute(&in_folder(&folder))
            .await
            .unwrap();
        let rows = "SELECT CAST(count(*) AS TEXT) FROM session";
        for (store, seconds, left) in
            [(&never, 0, "2"), (&never, 59, "2"), (&minute, 0, "2"), (&minute, 2, "1")]
        {
            clock.pass(Duration::from_secs(seconds));
            let touched = store.touch(&sid, &record("").cookie, &Expect::Anything).await.unwrap();
            assert_eq!(touched, Touched::Moved);
            eventually(async || ask(&folder, rows).await == left).await;
        }
    });
}

/// Nobody waits for a pruning, so that only the log can tell.
#[tokio::test]
async fn rows_that_cannot_be_pruned_are_told() {
    let log = Captured::begin();
    let (folder, clock) = (TempDir::new(), ManualClock::new());
    let store = SqliteStore::open(&folder.url()).unwrap().clock(clock.clock());
    let sid = put(&store, &record("")).await;
    for sql in [
        "CREATE TRIGGER kept BEFORE DELETE ON session BEGIN SELECT RAISE(ABORT, 'it is kept'); END",
        "INSERT INTO session VALUES ('expired', 1, '{}')",
    ] {
        sqlx::query(sql).execute(&in_folder(&folder)).await.unwrap();
    }
    clock.pass(Duration::from_secs(15 * 60 + 1));
    store.touch(&sid, &record("").cookie, &Expect::Anything).await.unwrap();
    eventually(async || log.text().contains("expired sessions stay for now")).await;
    let text = log.lines("WARN").join("\n");
    assert!(text.contains("it is kept") && !log.text().contains(sid.as_str()), "{text}");
}
