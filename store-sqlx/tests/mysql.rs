//! MySQL or MariaDB: the store contract, and what is MySQL's own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a test that cannot go on stops"
)]

mod common;

use std::{process::ExitCode, time::Duration};

use common::{
    DAY, EXACT, assert_all_are_listed_and_cleared, contract, eventually, millis, mysql_url, new_name, put,
    record,
    requests::App,
    server::{Server, mysql_server},
    shown, until,
};
use futures_util::future::join_all;
use session_core::{AdminStore, Destroyed, Expect, Set, Sid, Store, StoreError, Touched, Version};
use session_testkit::{Fixture, ManualClock};
use store_sqlx::{
    MySqlStore,
    sqlx::{self, AssertSqlSafe, Executor, MySqlPool, mysql::MySqlPoolOptions},
};
use test_support::{tests, within};

fn main() -> ExitCode {
    tests! {
        free =>
            what_has_expired_itself_changes_nothing,
            names_are_checked_when_they_are_given_and_urls_when_they_are_opened;
        needs mysql_url =>
            the_columns_hold_what_express_mysql_session_writes,
            what_node_wrote_is_read,
            a_connection_that_would_cut_or_lose_what_is_written_is_refused,
            a_table_may_have_a_column_that_counts_and_expiries_of_another_type,
            trailing_blanks_match_no_other_row_in_nodes_table,
            touch_says_what_became_of_the_row,
            destroy_says_what_became_of_the_row,
            a_record_is_held_for_the_rest_of_a_second,
            what_is_written_twice_is_written_twice,
            a_record_that_the_server_does_not_read_is_an_error_of_its_own_writer,
            many_that_start_at_once_create_one_table,
            a_table_that_is_there_needs_no_right_to_create_one,
            a_missing_table_is_an_error_that_names_the_option,
            no_error_shows_a_sid_or_data,
            a_row_that_is_no_record_is_left_alone_and_passed_over,
            an_exhausted_pool_is_a_quick_error,
            an_idle_connection_that_the_server_closed_costs_nobody_an_error,
            a_statement_that_must_wait_is_an_error_in_bounded_time,
            without_touch_the_expiry_stays,
            expired_rows_are_pruned_in_batches_by_who_writes_when_it_is_due,
            a_table_without_an_index_is_pruned_by_steps_and_without_locks,
            a_table_that_is_dropped_is_made_again,
            lists_go_through_all_in_pages,
            who_touches_prunes_as_well_as_often_as_the_option_says,
            a_request_costs_no_more_statements_than_it_must;
        needs mysql_server =>
            connections_of_its_own_are_strict_and_commit_whatever_the_servers_defaults;
    }
    .contracts("created", mysql_url, created::open)
    .contracts("with_other_columns", mysql_url, with_other_columns::open)
    .contracts("with_one_other_column", mysql_url, with_one_other_column::open)
    .contracts_but("created_by_node", mysql_url, created_by_node::open, &created_by_node::BUT)
    .run()
}

/// What the manual clock starts at.
const START: u64 = 1_767_323_045_678;

/// Few connections: the server has not many more than a hundred for all tests together.
fn pool(url: &str) -> MySqlPool {
    MySqlPoolOptions::new().max_connections(4).connect_lazy(url).unwrap()
}

/// Past the store.
async fn run(pool: &MySqlPool, sql: &str) {
    pool.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
}

async fn ask(pool: &MySqlPool, sql: String) -> String {
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(pool).await.unwrap()
}

/// A store on a table of its own, that it creates.
fn store(pool: &MySqlPool) -> (MySqlStore, String) {
    let table = new_name();
    (MySqlStore::new(pool.clone()).table_name(&table).unwrap(), table)
}

/// The table as express-mysql-session creates it.
async fn create_as_node(pool: &MySqlPool, table: &str, data: &str) {
    let create = format!(
        "CREATE TABLE `{table}` (
            `session_id` varchar(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
            `expires` int(11) unsigned NOT NULL,
            `data` {data},
            PRIMARY KEY (`session_id`)
        ) ENGINE=InnoDB"
    );
    run(pool, &create).await;
}

const NODES_DATA: &str = "mediumtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL";

/// Two stores that this opens, each with connections of its own.
fn planted(url: &str, store: impl Fn(MySqlStore) -> MySqlStore, insert: String) -> Fixture {
    let (clock, pool) = (ManualClock::new(), pool(url));
    let open = |pool| store(MySqlStore::new(pool)).clock(clock.clock());
    let (store, other) = (open(pool.clone()), open(self::pool(url)));
    Fixture::new(store).beside(other).ttl(DAY).clock(clock).exempt(EXACT).plant(move |sid, text, until| {
        let (pool, insert) = (pool.clone(), insert.clone());
        async move {
            let insert = sqlx::query(AssertSqlSafe(insert)).bind(sid.as_str()).bind(millis(until) / 1_000);
            insert.bind(text).execute(&pool).await.unwrap();
        }
    })
}

mod created {
    use super::*;

    pub(crate) async fn open(url: String) -> Fixture {
        let (store, table) = store(&pool(&url));
        store.clear().await.unwrap();
        let insert = format!("REPLACE INTO `{table}` (session_id, expires, data) VALUES (?, ?, ?)");
        planted(&url, |store| store.table_name(&table).unwrap(), insert)
    }
}

mod with_other_columns {
    use super::*;

    pub(crate) async fn open(url: String) -> Fixture {
        let (store, table) = store(&pool(&url));
        let renamed = |store: MySqlStore| {
            let names = [("session_id", "the `key`"), ("expires", "{data}"), ("data", "order")];
            store.column_names(names).unwrap()
        };
        renamed(store).clear().await.unwrap();
        let insert = format!("REPLACE INTO `{table}` (`the ``key```, `{{data}}`, `order`) VALUES (?, ?, ?)");
        planted(&url, |store| renamed(store.table_name(&table).unwrap()), insert)
    }
}

mod with_one_other_column {
    use super::*;

    pub(crate) async fn open(url: String) -> Fixture {
        let (store, table) = store(&pool(&url));
        let renamed = |store: MySqlStore| store.column_names([("expires", "until")]).unwrap();
        renamed(store).clear().await.unwrap();
        let insert = format!("REPLACE INTO `{table}` (session_id, until, data) VALUES (?, ?, ?)");
        planted(&url, |store| renamed(store.table_name(&table).unwrap()), insert)
    }
}

mod created_by_node {
    use super::*;

    /// There, `a` and `a ` are one: the second is refused.
    pub(crate) const BUT: [&str; 2] = ["sids_are_told_apart_to_the_byte", "no_sid_is_a_pattern"];

    pub(crate) async fn open(url: String) -> Fixture {
        let table = new_name();
        create_as_node(&pool(&url), &table, NODES_DATA).await;
        let insert = format!("REPLACE INTO `{table}` (session_id, expires, data) VALUES (?, ?, ?)");
        planted(&url, |store| store.table_name(&table).unwrap().create_database_table(false), insert)
    }
}

fn the_columns_hold_what_express_mysql_session_writes(url: String) {
    session_testkit::run(async {
        let (pool, clock) = (pool(&url), ManualClock::new());
        let (store, table) = store(&pool);
        let store = store.clock(clock.clock());
        let row = async |sid: &Sid| {
            let row = format!(
                "SELECT CONCAT(data, ' ', expires) FROM `{table}` WHERE session_id = '{}'",
                sid.as_str()
            );
            ask(&pool, row).await
        };
        let data = r#""user":"é☃😀""#;
        let text = record(data).to_json();
        // To the nearest second.
        let sid = put(&store, &record(data)).await;
        assert_eq!(row(&sid).await, format!("{text} {}", 1_767_323_046 + 86_400));
        for (ms, seconds) in [(1_767_326_400_499, 1_767_326_400), (1_767_326_400_500, 1_767_326_401)] {
            let until = until(ms, "");
            let sid = put(&store, &until).await;
            assert_eq!(row(&sid).await, format!("{} {seconds}", until.to_json()));
            assert_eq!(
                store.touch(&sid, &record("").cookie, &Expect::Anything).await.unwrap(),
                Touched::Moved
            );
            let moved = format!("{} {}", until.to_json(), 1_767_323_046 + 86_400);
            assert_eq!(row(&sid).await, moved, "a touch moves the column only");
        }
        let ever = put(&store, &until(u64::from(u32::MAX) * 2_000, "")).await;
        assert!(row(&ever).await.ends_with(" 4294967295"));
        // Which pruning goes by.
        let indexes = format!(
            "SELECT CONCAT(COUNT(*), '') FROM information_schema.statistics
            WHERE table_schema = DATABASE() AND table_name = '{table}' AND column_name = 'expires'"
        );
        assert_eq!(ask(&pool, indexes).await, "1");
    });
}

fn what_node_wrote_is_read(url: String) {
    session_testkit::run(async {
        let (pool, clock) = (pool(&url), ManualClock::new());
        let (store, table) = store(&pool);
        create_as_node(&pool, &table, NODES_DATA).await;
        let store = store.clock(clock.clock());
        let text = record(r#""user":{"name":"é😀"}"#).to_json();
        let (sid, expires) = ("cRQf-o8lCwGoP7s3J_A2cNEJEGeGtmth", START / 1_000 + 3_600);
        let insert = format!(
            "INSERT INTO `{table}` (`session_id`, `expires`, `data`) VALUES ('{sid}', {expires}, '{text}'), \
             ('null', {expires}, NULL), ('json', {expires}, 'null'), ('expired', 1, '{text}') \
             ON DUPLICATE KEY UPDATE `expires` = VALUES(`expires`), `data` = VALUES(`data`)"
        );
        run(&pool, &insert).await;
        let stored = store.get(&Sid::from(sid)).await.unwrap().expect("it has not expired");
        assert_eq!(stored.record.to_json(), text);
        assert_eq!(stored.left, Some(Duration::from_millis(3_599_322)));
        let next = record("");
        for none in ["null", "json", "expired"].map(Sid::from) {
            assert!(store.get(&none).await.unwrap().is_none(), "{none:?}");
            assert_eq!(store.touch(&none, &next.cookie, &Expect::Anything).await.unwrap(), Touched::Unknown);
            for expect in [Expect::Nothing, Expect::Version(stored.version.clone())] {
                assert_eq!(store.touch(&none, &next.cookie, &expect).await.unwrap(), Touched::Unknown);
                assert_eq!(store.destroy(&none, &expect).await.unwrap(), Destroyed::Unknown);
            }
        }
        // Lists count what is null to JSON; nobody looks into the column for them.
        assert_eq!(store.length().await.unwrap(), 2);
        for none in ["null", "json", "expired"].map(Sid::from) {
            assert!(matches!(store.set(&none, &next, &Expect::Nothing).await.unwrap(), Set::Written(_)));
            assert_eq!(store.get(&none).await.unwrap().unwrap().record, next);
            assert_eq!(store.set(&none, &next, &Expect::Nothing).await.unwrap(), Set::Conflict);
        }
        clock.pass(Duration::from_secs(3_600));
        assert!(store.get(&Sid::from(sid)).await.unwrap().is_none());
    });
}

/// With connections that begin so.
fn pool_with(url: &str, first: &'static str) -> MySqlPool {
    let begin = MySqlPoolOptions::new().max_connections(2);
    let begin = begin.after_connect(move |connection, _| {
        Box::pin(async move { connection.execute(first).await.map(|_| ()) })
    });
    begin.connect_lazy(url).unwrap()
}

fn a_connection_that_would_cut_or_lose_what_is_written_is_refused(url: String) {
    session_testkit::run(async {
        for create in [true, false] {
            for (first, setting) in
                [("SET SESSION sql_mode = ''", "sql_mode"), ("SET SESSION autocommit = 0", "autocommit")]
            {
                let (store, table) = store(&pool_with(&url, first));
                create_as_node(&pool(&url), &table, NODES_DATA).await;
                let store = store.create_database_table(create);
                let (sid, record) = (Sid::random(), record(""));
                for error in [
                    store.get(&sid).await.map(drop).unwrap_err(),
                    store.set(&sid, &record, &Expect::Nothing).await.map(drop).unwrap_err(),
                    store.touch(&sid, &record.cookie, &Expect::Anything).await.map(drop).unwrap_err(),
                    store.destroy(&sid, &Expect::Anything).await.map(drop).unwrap_err(),
                    store.length().await.map(drop).unwrap_err(),
                ] {
                    assert!(shown(&error).contains(&format!("the connection's {setting}")), "{error:?}");
                }
            }
            for first in
                ["SET SESSION sql_mode = 'STRICT_ALL_TABLES'", "SET SESSION sql_mode = 'TRADITIONAL'"]
            {
                let (store, table) = store(&pool_with(&url, first));
                create_as_node(&pool(&url), &table, NODES_DATA).await;
                put(&store.create_database_table(create), &record("")).await;
            }
        }
    });
}

fn connections_of_its_own_are_strict_and_commit_whatever_the_servers_defaults(server: Server) {
    session_testkit::run(async {
        let admin = pool(&server.url());
        run(&admin, "SET GLOBAL sql_mode = ''; SET GLOBAL autocommit = 0").await;
        let [one, other] = [(); 2].map(|()| MySqlStore::open(&server.url()).unwrap());
        let sid = put(&one, &record("\"a\":1")).await;
        assert_eq!(other.get(&sid).await.unwrap().unwrap().record.data.get("a"), Some("1"));
        // Longer than the column, of which a part would be another sid.
        let long = Sid::from("x".repeat(200));
        assert!(one.set(&long, &record(""), &Expect::Nothing).await.is_err());
        assert_eq!(other.length().await.unwrap(), 1);
        let given = MySqlStore::new(pool(&server.url()));
        assert!(shown(&given.get(&sid).await.map(drop).unwrap_err()).contains("sql_mode"));
    });
}

fn a_table_may_have_a_column_that_counts_and_expiries_of_another_type(url: String) {
    session_testkit::run(async {
        let pool = pool(&url);
        for expires in ["int(11) unsigned", "int", "bigint", "bigint unsigned"] {
            let (store, table) = store(&pool);
            let create = format!(
                "CREATE TABLE `{table}` (session_id varchar(128) PRIMARY KEY, expires {expires}, \
                 data mediumtext, id INT AUTO_INCREMENT UNIQUE)"
            );
            run(&pool, &create).await;
            // One after the other, so that each gets the next number.
            for n in 0..5 {
                let sid = put(&store, &record(&format!("\"n\":{n}"))).await;
                assert!(store.get(&sid).await.unwrap().is_some());
            }
            for n in 0..5 {
                let sid = put(&store, &record(&format!("\"n\":{n}"))).await;
                assert_eq!(
                    store.get(&sid).await.unwrap().unwrap().record.data.get("n"),
                    Some(&*n.to_string())
                );
                assert_eq!(store.set(&sid, &record(""), &Expect::Nothing).await.unwrap(), Set::Conflict);
                let next = record("\"next\":true");
                assert!(matches!(store.set(&sid, &next, &Expect::Anything).await.unwrap(), Set::Written(_)));
                assert!(store.get(&sid).await.unwrap().unwrap().record.data.contains("next"));
                run(
                    &pool,
                    &format!("UPDATE `{table}` SET expires = 1 WHERE session_id = '{}'", sid.as_str()),
                )
                .await;
                assert!(matches!(store.set(&sid, &next, &Expect::Nothing).await.unwrap(), Set::Written(_)));
                assert!(store.get(&sid).await.unwrap().is_some());
            }
            run(&pool, &format!("UPDATE `{table}` SET expires = NULL LIMIT 2")).await;
            assert_eq!(store.prune().await.unwrap(), 2);
            assert_eq!(store.length().await.unwrap(), 8);
        }
    });
}

fn trailing_blanks_match_no_other_row_in_nodes_table(url: String) {
    session_testkit::run(async {
        let pool = pool(&url);
        let (store, table) = store(&pool);
        create_as_node(&pool, &table, NODES_DATA).await;
        let (a, blank) = (Sid::from("a"), Sid::from("a "));
        let Set::Written(version) = store.set(&a, &record("\"a\":1"), &Expect::Nothing).await.unwrap() else {
            panic!("nothing was held")
        };
        assert!(store.get(&blank).await.unwrap().is_none());
        let version = Expect::Version(version);
        for expect in [&version, &Expect::Nothing, &Expect::Anything] {
            let touched = store.touch(&blank, &record("").cookie, expect).await.unwrap();
            assert_eq!(touched, Touched::Unknown);
            assert_eq!(store.destroy(&blank, expect).await.unwrap(), Destroyed::Unknown);
        }
        assert_eq!(store.set(&blank, &record(""), &version).await.unwrap(), Set::Conflict);
        for expect in [Expect::Anything, Expect::Nothing] {
            let error = store.set(&blank, &record(""), &expect).await.unwrap_err();
            assert!(shown(&error).contains("collation"), "{error:?}");
        }
        assert_eq!(store.get(&a).await.unwrap().unwrap().record.data.get("a"), Some("1"));
    });
}

fn touch_says_what_became_of_the_row(url: String) {
    session_testkit::run(async {
        let (pool, clock) = (pool(&url), ManualClock::new());
        let store = store(&pool).0.clock(clock.clock());
        contract::touch_says_what_became_of_the_row(&store, &clock).await;
    });
}

fn destroy_says_what_became_of_the_row(url: String) {
    session_testkit::run(async {
        let (pool, clock) = (pool(&url), ManualClock::new());
        let store = store(&pool).0.clock(clock.clock());
        contract::destroy_says_what_became_of_the_row(&store, &clock).await;
    });
}

fn what_has_expired_itself_changes_nothing() {
    session_testkit::run(async {
        let down = || MySqlStore::open("mysql://nobody@127.0.0.1:1/none").unwrap();
        contract::what_has_expired_itself_changes_nothing(&down()).await;
        contract::what_has_expired_itself_changes_nothing(&down().disable_touch(true)).await;
    });
}

fn a_record_is_held_for_the_rest_of_a_second(url: String) {
    session_testkit::run(async {
        let (pool, clock) = (pool(&url), ManualClock::new());
        let store = store(&pool).0.clock(clock.clock());
        contract::a_record_is_held_for_the_rest_of_a_second(&store, &clock, START).await;
    });
}

fn what_is_written_twice_is_written_twice(url: String) {
    session_testkit::run(async {
        let (store, _) = store(&pool(&url));
        let (sid, same) = (Sid::random(), until(4_000_000_000_000, "\"a\":1"));
        let Set::Written(version) = store.set(&sid, &same, &Expect::Nothing).await.unwrap() else {
            panic!("nothing was held")
        };
        // The server changes no row.
        for expect in [Expect::Anything, Expect::Version(version.clone())] {
            assert_eq!(store.set(&sid, &same, &expect).await.unwrap(), Set::Written(version.clone()));
        }
        assert_eq!(store.set(&sid, &same, &Expect::Nothing).await.unwrap(), Set::Conflict);
        assert_eq!(store.touch(&sid, &same.cookie, &Expect::Anything).await.unwrap(), Touched::Moved);
    });
}

/// It hangs up on who sends it, and that connection is nobody else's.
fn a_record_that_the_server_does_not_read_is_an_error_of_its_own_writer(url: String) {
    session_testkit::run(async {
        let (pool, table) = (pool(&url), new_name());
        let limit: u64 =
            ask(&pool, "SELECT CAST(@@max_allowed_packet AS CHAR)".into()).await.parse().unwrap();
        let large = "a".repeat(usize::try_from(limit).unwrap() + 1_000);
        let store = MySqlStore::open(&url).unwrap().table_name(&table).unwrap();
        let sid = put(&store, &record("")).await;
        for _ in 0..3 {
            let held = store.get(&sid).await.unwrap().unwrap();
            let too_large = record(&format!("\"a\":\"{large}\""));
            store.set(&Sid::random(), &too_large, &Expect::Nothing).await.unwrap_err();
            let expect = Expect::Version(held.version);
            let set = store.set(&sid, &record("\"n\":1"), &expect).await.unwrap();
            assert!(matches!(set, Set::Written(_)), "by the next one at once");
        }
        run_owned(&pool, format!("DROP TABLE `{table}`")).await;
    });
}

fn many_that_start_at_once_create_one_table(url: String) {
    session_testkit::run(async {
        let table = new_name();
        let start = |_| {
            let pool = MySqlPoolOptions::new().max_connections(1).connect_lazy(&url).unwrap();
            let store = MySqlStore::new(pool).table_name(&table).unwrap();
            tokio::spawn(async move { put(&store, &record("")).await })
        };
        join_all((0..16).map(start)).await.into_iter().for_each(|put| drop(put.unwrap()));
        let store = MySqlStore::new(pool(&url)).table_name(&table).unwrap();
        assert_eq!(store.length().await.unwrap(), 16);
    });
}

fn a_table_that_is_there_needs_no_right_to_create_one(url: String) {
    session_testkit::run(async {
        let admin = pool(&url);
        let (first, table) = store(&admin);
        put(&first, &record("")).await;
        let user = format!("u{}", new_name().rsplit('_').take(2).collect::<String>());
        let grant = format!(
            "CREATE USER '{user}'@'%' IDENTIFIED BY 'hunter2'; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON `{table}` TO '{user}'@'%'"
        );
        run(&admin, &grant).await;
        let poor = url.replacen("root", &format!("{user}:hunter2"), 1);
        assert_ne!(poor, url, "the URL is root's");
        let store = MySqlStore::open(&poor).unwrap().table_name(&table).unwrap();
        let sid = put(&store, &record("")).await;
        assert_eq!(store.touch(&sid, &record("").cookie, &Expect::Anything).await.unwrap(), Touched::Moved);
        assert_eq!(store.destroy(&sid, &Expect::Nothing).await.unwrap(), Destroyed::Conflict);
        assert_eq!(store.destroy(&sid, &Expect::Anything).await.unwrap(), Destroyed::Destroyed);
        assert_eq!(store.prune().await.unwrap(), 0);

        let elsewhere = MySqlStore::open(&poor).unwrap().table_name("elsewhere").unwrap();
        let shown = shown(&elsewhere.destroy(&sid, &Expect::Anything).await.unwrap_err());
        assert!(shown.contains("1142") && !shown.contains("hunter2"), "{shown}");
        run(&admin, &format!("DROP USER '{user}'@'%'")).await;
    });
}

fn a_missing_table_is_an_error_that_names_the_option(url: String) {
    session_testkit::run(async {
        let (store, table) = store(&pool(&url));
        let store = store.create_database_table(false);
        let (sid, record) = (Sid::random(), record(""));
        let errors = [
            store.get(&sid).await.map(drop).unwrap_err(),
            store.set(&sid, &record, &Expect::Nothing).await.map(drop).unwrap_err(),
            store.touch(&sid, &record.cookie, &Expect::Anything).await.map(drop).unwrap_err(),
            store.destroy(&sid, &Expect::Anything).await.map(drop).unwrap_err(),
            store.length().await.map(drop).unwrap_err(),
            store.ids(&mut |_| ()).await.unwrap_err(),
            store.all(&mut |_, _| ()).await.unwrap_err(),
            store.clear().await.unwrap_err(),
            store.prune().await.map(drop).unwrap_err(),
        ];
        for error in errors {
            let shown = shown(&error);
            assert!(matches!(error, StoreError::Unavailable { store: "mysql", .. }));
            assert!(shown.contains(&table) && shown.contains("create_database_table"), "{shown}");
        }
    });
}

fn no_error_shows_a_sid_or_data(url: String) {
    session_testkit::run(async {
        let pool = pool(&url);
        let (store, table) = store(&pool);
        create_as_node(&pool, &table, "varchar(200) CHARACTER SET latin1 CHECK (JSON_VALID(`data`))").await;
        let long = Sid::from("hunter2".repeat(100));
        let sid = Sid::from("hunter2");
        for (sid, data) in [
            (&long, String::new()),
            (&sid, r#""hunter2":"☃""#.into()),
            (&sid, format!(r#""hunter2":"{}""#, "x".repeat(300))),
        ] {
            let error = store.set(sid, &record(&data), &Expect::Nothing).await.unwrap_err();
            assert!(!shown(&error).contains("hunter2"), "{error:?}");
        }
        // A second unique key, which quotes what it holds.
        run(&pool, &format!("ALTER TABLE `{table}` ADD UNIQUE (data)")).await;
        let only = until(4_000_000_000_000, "\"hunter2\":1");
        assert!(matches!(store.set(&sid, &only, &Expect::Nothing).await.unwrap(), Set::Written(_)));
        let other = Sid::random();
        let Set::Written(version) = store.set(&other, &record(""), &Expect::Nothing).await.unwrap() else {
            panic!("nothing was held")
        };
        let error = store.set(&other, &only, &Expect::Version(version)).await.unwrap_err();
        assert!(shown(&error).contains("1062") && !shown(&error).contains("hunter2"), "{error:?}");
    });
}

fn a_row_that_is_no_record_is_left_alone_and_passed_over(url: String) {
    session_testkit::run(async {
        let pool = pool(&url);
        let (store, table) = store(&pool);
        let good = put(&store, &record("")).await;
        for (at, text) in ["", "[]", "{\"hunter2\":", "Null", "{\"hunter2\":1}"].iter().enumerate() {
            run(&pool, &format!("INSERT INTO `{table}` VALUES ('corrupt{at}', 4294967295, '{text}')")).await;
            let error = store.get(&Sid::from(format!("corrupt{at}"))).await.unwrap_err();
            assert!(matches!(error, StoreError::Corrupt { store: "mysql", .. }), "{text}");
            assert!(!shown(&error).contains("hunter2"));
        }
        let mut seen = Vec::new();
        store.all(&mut |sid, _| seen.push(sid)).await.unwrap();
        assert!(seen == [good]);
        assert_eq!(store.length().await.unwrap(), 6);
    });
}

/// For the one call that must wait: a busy machine takes longer for others.
fn hurried(pool: &MySqlPool, table: &str) -> MySqlStore {
    let store = MySqlStore::new(pool.clone()).table_name(table).unwrap();
    store.create_database_table(false).timeout(Duration::from_millis(200))
}

fn an_exhausted_pool_is_a_quick_error(url: String) {
    session_testkit::run(async {
        let pool = MySqlPoolOptions::new().max_connections(1).connect_lazy(&url).unwrap();
        let (store, table) = store(&pool);
        let sid = put(&store, &record("")).await;
        let hurried = hurried(&pool, &table);
        let taken = pool.acquire().await.unwrap();
        let error = within(Duration::from_secs(2), hurried.get(&sid)).await.unwrap_err();
        assert!(shown(&error).contains("200ms"), "{error:?}");
        drop(taken);
        assert!(store.get(&sid).await.unwrap().is_some());
    });
}

fn an_idle_connection_that_the_server_closed_costs_nobody_an_error(url: String) {
    session_testkit::run(async {
        let (pool, database) = (pool(&url), new_name());
        run(&pool, &format!("CREATE DATABASE `{database}`")).await;
        // A database of its own, by which its connection is known.
        let (server, _) = url.rsplit_once('/').unwrap();
        let store = MySqlStore::open(&format!("{server}/{database}")).unwrap();
        let sid = put(&store, &record("")).await;
        let mine =
            format!("SELECT CONCAT(ID, '') FROM information_schema.PROCESSLIST WHERE DB = '{database}'");
        // Used a moment ago, or idle for a while.
        for wait in [0, 1_500] {
            run(&pool, &format!("KILL {}", ask(&pool, mine.clone()).await)).await;
            tokio::time::sleep(Duration::from_millis(wait)).await;
            assert!(store.get(&sid).await.unwrap().is_some());
        }
        run(&pool, &format!("DROP DATABASE `{database}`")).await;
    });
}

fn a_statement_that_must_wait_is_an_error_in_bounded_time(url: String) {
    session_testkit::run(async {
        let pool = pool(&url);
        let (store, table) = store(&pool);
        let sid = put(&store, &record("")).await;
        let hurried = hurried(&pool, &table);
        // The table is looked for first, which is not what is to wait.
        within(Duration::from_secs(20), async { while hurried.get(&sid).await.is_err() {} }).await;
        let mut other = pool.begin().await.unwrap();
        other.execute(AssertSqlSafe(format!("SELECT 1 FROM `{table}` FOR UPDATE"))).await.unwrap();
        let again = record("\"a\":1");
        let set = within(Duration::from_secs(2), hurried.set(&sid, &again, &Expect::Anything));
        let error = set.await.unwrap_err();
        assert!(shown(&error).contains("200ms"), "{error:?}");
        assert!(store.get(&sid).await.unwrap().is_some(), "who only reads does not wait");
        other.rollback().await.unwrap();
        let written = store.set(&sid, &record("\"a\":2"), &Expect::Anything).await.unwrap();
        assert!(matches!(written, Set::Written(_)));
    });
}

fn without_touch_the_expiry_stays(url: String) {
    session_testkit::run(async {
        let (pool, clock) = (pool(&url), ManualClock::new());
        let store =
            store(&pool).0.disable_touch(true).expiration(Duration::from_secs(60)).clock(clock.clock());
        let sid = put(&store, &record("")).await;
        clock.pass(Duration::from_secs(50));
        let stored = store.get(&sid).await.unwrap().unwrap();
        assert_eq!(stored.lifetime, stored.left, "no touch is ever due");
        // Nobody looks whether it is that version.
        for expect in [Expect::Anything, Expect::Version(Version::from_text("another"))] {
            assert_eq!(store.touch(&sid, &record("").cookie, &expect).await.unwrap(), Touched::Skipped);
        }
        let nothing = store.touch(&sid, &record("").cookie, &Expect::Nothing).await.unwrap();
        assert_eq!(nothing, Touched::Conflict);
        clock.pass(Duration::from_secs(20));
        assert!(store.get(&sid).await.unwrap().is_none());
    });
}

fn expired_rows_are_pruned_in_batches_by_who_writes_when_it_is_due(url: String) {
    session_testkit::run(async {
        let (pool, clock) = (pool(&url), ManualClock::new());
        let (pruned, table) = store(&pool);
        // By default every 15 minutes.
        let pruned = pruned.clock(clock.clock());
        let never = MySqlStore::new(pool.clone()).table_name(&table).unwrap().clear_expired(false);
        let never = never.clock(clock.clock());
        put(&pruned, &record("")).await;
        put(&never, &record("")).await;
        let rows: Vec<String> = (0..2_500).map(|at| format!("({at}, 1, '{{}}')")).collect();
        let fill = format!("INSERT INTO `{table}` VALUES {}", rows.join(","));
        run(&pool, &fill).await;
        let rows = async || {
            let count = format!("SELECT CONCAT(COUNT(*), '') FROM `{table}`");
            ask(&pool, count).await.parse::<u64>().unwrap()
        };
        clock.pass(Duration::from_secs(15 * 60 + 1));
        put(&never, &record("")).await;
        // What prunes does so beside the write.
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(rows().await, 2_503);
        put(&pruned, &record("")).await;
        eventually(async || rows().await == 4).await;
        run(&pool, &fill).await;
        assert_eq!(pruned.prune().await.unwrap(), 2_500);
        assert_eq!(rows().await, 4);
    });
}

async fn fill(pool: &MySqlPool, table: &str, rows: u32, expires: u32) {
    for begin in (0..rows).step_by(5_000) {
        let rows =
            (begin..rows.min(begin + 5_000)).map(|at| format!("('{at}', {expires}, '{{\"cookie\":{{}}}}')"));
        let rows: Vec<String> = rows.collect();
        run(pool, &format!("INSERT INTO `{table}` VALUES {}", rows.join(","))).await;
    }
}

/// As express-mysql-session makes it. What is looked at is not locked: a writer whose row is held all the while waits for nobody.
fn a_table_without_an_index_is_pruned_by_steps_and_without_locks(url: String) {
    session_testkit::run(async {
        let pool = pool(&url);
        let (store, table) = store(&pool);
        let sid = put(&store, &record("")).await;
        run(&pool, &format!("ALTER TABLE `{table}` DROP INDEX expires")).await;
        fill(&pool, &table, 25_000, 1).await;
        // A delete that looks for its rows would wait for this one.
        let mut other = pool.begin().await.unwrap();
        let lock = format!("SELECT 1 FROM `{table}` WHERE session_id = '{}' FOR UPDATE", sid.as_str());
        other.execute(AssertSqlSafe(lock)).await.unwrap();
        assert_eq!(store.prune().await.unwrap(), 25_000);
        assert_eq!(store.prune().await.unwrap(), 0);
        other.rollback().await.unwrap();
        assert!(store.get(&sid).await.unwrap().is_some());
        // And with a key that has another name.
        run(&pool, &format!("ALTER TABLE `{table}` DROP PRIMARY KEY, ADD UNIQUE (session_id)")).await;
        fill(&pool, &table, 2_500, 1).await;
        assert_eq!(store.prune().await.unwrap(), 2_500);
    });
}

fn a_table_that_is_dropped_is_made_again(url: String) {
    session_testkit::run(async {
        let pool = pool(&url);
        let (store, table) = store(&pool);
        let sid = put(&store, &record("")).await;
        run(&pool, &format!("DROP TABLE `{table}`")).await;
        assert!(store.get(&sid).await.unwrap().is_none());
        run(&pool, &format!("DROP TABLE `{table}`")).await;
        let sid = put(&store, &record("")).await;
        assert!(store.get(&sid).await.unwrap().is_some());
        run(&pool, &format!("DROP TABLE `{table}`")).await;
        assert_eq!(store.length().await.unwrap(), 0);
        run(&pool, &format!("DROP TABLE `{table}`")).await;
        assert_eq!(store.prune().await.unwrap(), 0);
        run(&pool, &format!("DROP TABLE `{table}`")).await;
        store.clear().await.unwrap();
        let others = MySqlStore::new(pool.clone()).table_name(&table).unwrap().create_database_table(false);
        run(&pool, &format!("DROP TABLE `{table}`")).await;
        let error = others.get(&sid).await.unwrap_err();
        assert!(shown(&error).contains("create_database_table"), "{error:?}");
    });
}

fn lists_go_through_all_in_pages(url: String) {
    session_testkit::run(async {
        let pool = pool(&url);
        let (store, table) = store(&pool);
        assert_eq!(store.length().await.unwrap(), 0);
        fill(&pool, &table, 2_500, 4_000_000_000).await;
        assert_all_are_listed_and_cleared(&store, 2_500).await;
        assert_eq!(ask(&pool, format!("SELECT CONCAT(COUNT(*), '') FROM `{table}`")).await, "0");
    });
}

fn a_request_costs_no_more_statements_than_it_must(url: String) {
    session_testkit::run(async {
        let pool = MySqlPoolOptions::new().max_connections(1).connect_lazy(&url).unwrap();
        let (store, table) = store(&pool);
        let version: String = sqlx::query_scalar("SELECT VERSION()").fetch_one(&pool).await.unwrap();
        // MySQL shows these nowhere else, and does not count what is prepared as what it is.
        let count = if version.contains("MariaDB") {
            "SHOW SESSION STATUS WHERE Variable_name IN ('Com_select', 'Com_insert', 'Com_update', 'Com_delete')"
        } else {
            "SHOW SESSION STATUS WHERE Variable_name = 'Com_stmt_execute'"
        };
        // What the server itself counts of this connection, but for these questions.
        let count = || async {
            let counts: Vec<(String, String)> = sqlx::query_as(count).fetch_all(&pool).await.unwrap();
            assert!(!counts.is_empty());
            let counts = counts.iter().map(|(_, count)| count.parse::<i64>().unwrap());
            if version.contains("MariaDB") {
                return counts.sum::<i64>();
            }
            static ASKED: std::sync::atomic::AtomicI64 = std::sync::atomic::AtomicI64::new(0);
            counts.sum::<i64>() - ASKED.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
        };
        let age = || run_owned(&pool, format!("UPDATE `{table}` SET expires = expires - 3000"));
        App::new(store, count).a_request_costs_no_more_statements_than_it_must(age).await;
    });
}

async fn run_owned(pool: &MySqlPool, sql: String) {
    run(pool, &sql).await;
}

fn names_are_checked_when_they_are_given_and_urls_when_they_are_opened() {
    session_testkit::run(async {
        let open = || MySqlStore::open("mysql://nobody@127.0.0.1:1/none").unwrap();
        for (option, error) in [
            ("table_name", open().table_name("")),
            ("table_name", open().table_name(&"x".repeat(65))),
            ("column_names", open().column_names([("expires", "b ")])),
            ("column_names", open().column_names([("session_id", "a"), ("data", "c\0")])),
            ("column_names", open().column_names([("foo", "a")])),
            ("column_names", open().column_names([("expires", "Data")])),
        ] {
            let shown = shown(&error.unwrap_err());
            assert!(shown.contains(&format!("option {option}")), "{shown}");
        }
        assert!(!shown(&MySqlStore::open("mysql://user:hunter2@:port/x").unwrap_err()).contains("hunter2"));
        let store = MySqlStore::open("mysql://user:hunter2@127.0.0.1:1/none").unwrap();
        assert_eq!(format!("{store:?}"), r#"MySqlStore { table: "sessions", .. }"#);
    });
}

fn who_touches_prunes_as_well_as_often_as_the_option_says(url: String) {
    session_testkit::run(async {
        let (pool, clock) = (pool(&url), ManualClock::new());
        let (store, table) = store(&pool);
        let store = store.clock(clock.clock()).check_expiration_interval(Duration::from_secs(60));
        let sid = put(&store, &record("")).await;
        run(&pool, &format!("INSERT INTO `{table}` VALUES ('expired', 1, '{{}}')")).await;
        let rows = format!("SELECT CONCAT(COUNT(*), '') FROM `{table}`");
        for (seconds, left) in [(59, "2"), (2, "1")] {
            clock.pass(Duration::from_secs(seconds));
            assert_eq!(
                store.touch(&sid, &record("").cookie, &Expect::Anything).await.unwrap(),
                Touched::Moved
            );
            eventually(async || ask(&pool, rows.clone()).await == left).await;
        }
    });
}
