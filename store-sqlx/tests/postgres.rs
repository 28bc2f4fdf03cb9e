//! PostgreSQL: the store contract on every kind of table, and what is PostgreSQL's own.

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
    DAY, EXACT, assert_all_are_listed_and_cleared, contract, eventually, new_name, plant_in_postgres,
    postgres_url, put, record, requests::App, shown, until,
};
use futures_util::future::join_all;
use session_core::{AdminStore, Destroyed, Expect, Set, Sid, Store, StoreError, Touched, Version};
use session_testkit::{ContractTest, Fixture, ManualClock, contract_list};
use store_sqlx::{
    PostgresStore,
    sqlx::{self, AssertSqlSafe, Executor, PgPool, postgres::PgPoolOptions},
};
use test_support::{tests, within};

fn main() -> ExitCode {
    tests! {
        free =>
            names_are_checked_when_they_are_given_and_urls_when_they_are_opened,
            what_has_expired_itself_changes_nothing;
        needs postgres_url =>
            the_columns_hold_what_connect_pg_simple_writes,
            what_node_wrote_in_its_time_zone_is_read,
            the_hour_in_which_clocks_go_back_ends_nothing,
            a_null_is_no_expiry_and_no_record,
            many_that_start_at_once_create_one_table,
            several_tables_fit_into_one_schema_and_several_schemas,
            a_table_that_is_there_needs_no_right_to_create_one,
            a_missing_table_is_an_error_that_names_the_option,
            what_jsonb_cannot_hold_is_an_error_without_data,
            a_row_that_is_no_record_is_left_alone_and_passed_over,
            a_connection_that_only_reads_is_closed_after_a_write,
            an_exhausted_pool_is_a_quick_error,
            an_idle_connection_that_the_server_closed_costs_nobody_an_error,
            a_statement_that_must_wait_is_an_error_in_bounded_time,
            without_touch_the_expiry_stays,
            the_time_to_live_holds_what_has_no_lifetime,
            expired_rows_are_pruned_in_batches_by_who_writes_when_it_is_due,
            who_touches_prunes_as_well_as_often_as_the_option_says,
            a_row_that_is_locked_is_left_for_the_next_pruning,
            an_index_leads_to_what_has_expired,
            a_table_without_an_index_is_pruned_by_steps,
            a_table_that_is_dropped_is_made_again,
            lists_go_through_all_in_pages,
            who_gave_way_tries_again,
            a_request_costs_no_more_statements_than_it_must,
            an_expired_row_is_nobodys_until_it_is_replaced,
            touch_says_what_became_of_the_row,
            destroy_says_what_became_of_the_row,
            a_record_is_held_for_the_rest_of_a_second;
    }
    .contracts("json", postgres_url, json::open)
    .contracts("text_and_timestamptz", postgres_url, text_and_timestamptz::open)
    .contracts_but("jsonb", postgres_url, jsonb::open, &jsonb::BUT)
    .contracts("in_another_time_zone", postgres_url, in_another_time_zone::open)
    .contract("serializable", postgres_url, serializable::open, serializable::tests())
    .run()
}

/// What the manual clock starts at.
const START: u64 = 1_767_323_045_678;

/// Few connections: the server has a hundred for all tests together.
fn pool(url: &str) -> PgPool {
    PgPoolOptions::new().max_connections(4).connect_lazy(url).unwrap()
}

/// Connections of which each begins with this statement.
fn pool_with(url: &str, first: &'static str) -> PgPool {
    let begin = PgPoolOptions::new().max_connections(4);
    let begin = begin.after_connect(move |connection, _| {
        Box::pin(async move { connection.execute(first).await.map(|_| ()) })
    });
    begin.connect_lazy(url).unwrap()
}

/// Past the store.
async fn run(pool: &PgPool, sql: &str) {
    pool.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
}

async fn ask(pool: &PgPool, sql: String) -> String {
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(pool).await.unwrap()
}

/// A store on a table of its own, that it creates.
fn store(pool: &PgPool) -> (PostgresStore, String) {
    let table = new_name();
    (store_on(pool, &table), table)
}

fn store_on(pool: &PgPool, table: &str) -> PostgresStore {
    PostgresStore::new(pool.clone()).table_name(table).unwrap().create_table_if_missing(true)
}

/// Two stores on a table, each with connections of its own; others write to it too, as Node does, with a time of this form.
fn beside(
    pools: &[PgPool; 2],
    table: &str,
    with: impl Fn(PostgresStore) -> PostgresStore,
    (holds, time): (&str, &'static str),
) -> Fixture {
    let clock = ManualClock::new();
    let [store, other] = pools.each_ref().map(|pool| with(store_on(pool, table)).clock(clock.clock()));
    let (pool, table) = (pools[0].clone(), table.to_owned());
    let cast = if holds == "text" { "" } else { "::json" };
    Fixture::new(store).beside(other).ttl(DAY).clock(clock).exempt(EXACT).plant(move |sid, text, until| {
        let insert = format!(
            r#"INSERT INTO "{table}" (sid, sess, expire) VALUES ($1, $2{cast}, {time})
               ON CONFLICT (sid) DO UPDATE SET sess = excluded.sess, expire = excluded.expire"#
        );
        let pool = pool.clone();
        async move { plant_in_postgres(&pool, &insert, &sid, &text, until).await }
    })
}

/// On a table that the store creates.
async fn fixture(pools: &[PgPool; 2]) -> Fixture {
    let table = new_name();
    store_on(&pools[0], &table).clear().await.unwrap();
    beside(pools, &table, |store| store, ("json", SECONDS))
}

const SECONDS: &str = "to_timestamp($3::float8)";

/// A store on a table whose columns have these types.
async fn fixture_on(url: &str, sess: &str, expire: &str) -> Fixture {
    let (pools, table) = ([pool(url), pool(url)], new_name());
    let create = format!(r#"CREATE TABLE "{table}" (sid varchar PRIMARY KEY, sess {sess}, expire {expire})"#);
    run(&pools[0], &create).await;
    beside(&pools, &table, |store| store, (sess, SECONDS))
}

mod json {
    use super::*;

    pub(crate) async fn open(url: String) -> Fixture {
        fixture(&[pool(&url), pool(&url)]).await
    }
}

mod text_and_timestamptz {
    use super::*;

    pub(crate) async fn open(url: String) -> Fixture {
        fixture_on(&url, "text", "timestamptz").await
    }
}

mod jsonb {
    use super::*;

    /// They want keys in their order back.
    pub(crate) const BUT: [&str; 5] = [
        "get_answers_what_was_set",
        "values_of_a_megabyte_come_back",
        "odd_keys_and_values_come_back",
        "the_cookie_is_that_of_the_last_write",
        "a_renewed_session_takes_along_what_others_wrote",
    ];

    pub(crate) async fn open(url: String) -> Fixture {
        fixture_on(&url, "jsonb", "timestamp(6)").await
    }
}

/// Connections in one zone, the table in another.
mod in_another_time_zone {
    use super::*;

    async fn fixture(url: &str) -> Fixture {
        let pools = [(); 2].map(|()| pool_with(url, "SET TIME ZONE 'Asia/Kolkata'"));
        let time = "to_timestamp($3::float8) AT TIME ZONE 'America/New_York'";
        let (table, zoned) =
            (new_name(), |store: PostgresStore| store.time_zone("America/New_York").unwrap());
        zoned(store_on(&pools[0], &table)).clear().await.unwrap();
        beside(&pools, &table, zoned, ("json", time))
    }

    pub(crate) async fn open(url: String) -> Fixture {
        fixture(&url).await
    }
}

/// The strictest isolation: writers are told to give way, and write again.
mod serializable {
    use super::*;

    pub(crate) fn tests() -> Vec<ContractTest> {
        contract_list! {
            concurrency:
                of_parallel_writes_that_expect_nothing_one_is_written,
                of_parallel_writes_that_expect_one_version_one_is_written,
                no_touch_of_a_version_comes_after_a_write,
                what_is_done_unconditionally_is_not_undone,
                who_reads_beside_a_writer_finds_the_session,
                parallel_increments_are_all_kept,
                parallel_requests_keep_each_others_keys,
                a_logout_stays_a_logout,
                a_renewed_session_takes_along_what_others_wrote,
                a_session_over_an_expired_one_outlives_a_prune;
        }
        .into()
    }

    pub(crate) async fn open(url: String) -> Fixture {
        let first = "SET default_transaction_isolation = 'serializable'";
        fixture(&[(); 2].map(|()| pool_with(&url, first))).await
    }
}

fn the_columns_hold_what_connect_pg_simple_writes(url: String) {
    session_testkit::run(async {
        let (pool, clock) = (pool(&url), ManualClock::new());
        let (store, table) = store(&pool);
        let store = store.clock(clock.clock());
        let row = async |sid: Sid| {
            let row = format!(
                r#"SELECT sess::text || ' ' || expire FROM "{table}" WHERE sid = '{}'"#,
                sid.as_str()
            );
            ask(&pool, row).await
        };
        let text = record(r#""user":"tj""#).to_json();
        // To the second begun: 2026-01-02T03:04:05.678Z and a day; 04:00:00.001Z.
        let sid = put(&store, &record(r#""user":"tj""#)).await;
        assert_eq!(row(sid).await, format!("{text} 2026-01-03 03:04:06"));
        let until = until(1_767_326_400_001, "");
        let sid = put(&store, &until).await;
        assert_eq!(row(sid.clone()).await, format!("{} 2026-01-02 04:00:01", until.to_json()));
        assert_eq!(store.touch(&sid, &record("").cookie, &Expect::Anything).await.unwrap(), Touched::Moved);
        assert_eq!(
            row(sid).await,
            format!("{} 2026-01-03 03:04:06", until.to_json()),
            "a touch moves the column only"
        );
    });
}

fn what_node_wrote_in_its_time_zone_is_read(url: String) {
    session_testkit::run(async {
        let node = pool_with(&url, "SET TIME ZONE 'America/New_York'");
        let (pool, clock) = (pool(&url), ManualClock::new());
        let (store, table) = store(&pool);
        let store = store.time_zone("America/New_York").unwrap().clock(clock.clock());
        assert_eq!(store.length().await.unwrap(), 0);
        let text = record(r#""user":"tj""#).to_json();
        let expire = START / 1_000 + 3_600;
        let insert = format!(
            r#"INSERT INTO "{table}" (sess, expire, sid) SELECT '{text}', to_timestamp({expire}), 'HefWVFVJT0Yb-JBDdjy2IWCHk-TbiSgv'
            ON CONFLICT (sid) DO UPDATE SET sess = '{text}', expire = to_timestamp({expire}) RETURNING sid"#
        );
        run(&node, &insert).await;
        let sid = Sid::from("HefWVFVJT0Yb-JBDdjy2IWCHk-TbiSgv");
        let stored = store.get(&sid).await.unwrap().expect("it has not expired");
        assert_eq!(stored.record.to_json(), text);
        assert_eq!(stored.left, Some(Duration::from_millis(3_599_322)));

        let sid = put(&store, &until(START + 60_000, "")).await;
        let select = format!(
            r#"SELECT sess::text FROM "{table}" WHERE sid = '{}' AND expire >= to_timestamp({})"#,
            sid.as_str(),
            START / 1_000 + 61
        );
        assert!(ask(&node, select).await.contains("cookie"), "Node reads it up to the same second");
        clock.pass(Duration::from_secs(3_598));
        assert_eq!(store.length().await.unwrap(), 1);
        clock.pass(Duration::from_secs(2));
        assert_eq!(store.length().await.unwrap(), 0);
    });
}

/// From 03:00 to 02:00: what ends soon after is earlier by the clock on the wall.
fn the_hour_in_which_clocks_go_back_ends_nothing(url: String) {
    session_testkit::run(async {
        // 02:51 in Berlin, for the first time.
        const NINE_MINUTES_BEFORE: u64 = 1_792_889_460_000;
        let (pool, clock) = (pool(&url), ManualClock::new());
        clock.pass(Duration::from_millis(NINE_MINUTES_BEFORE - START));
        let store = store(&pool).0.time_zone("Europe/Berlin").unwrap().clock(clock.clock());
        let next = until(NINE_MINUTES_BEFORE + 20 * 60_000, "\"a\":1");
        let sid = put(&store, &next).await;
        for _ in 0..3 {
            let version = store.get(&sid).await.unwrap().expect("it ends in 20 minutes").version;
            for expect in [Expect::Anything, Expect::Version(version)] {
                assert_eq!(store.touch(&sid, &next.cookie, &expect).await.unwrap(), Touched::Moved);
            }
            assert_eq!(store.set(&sid, &next, &Expect::Nothing).await.unwrap(), Set::Conflict);
            assert_eq!(store.destroy(&sid, &Expect::Nothing).await.unwrap(), Destroyed::Conflict);
            assert_eq!(store.prune().await.unwrap(), 0);
            assert_eq!(store.length().await.unwrap(), 1);
            clock.pass(Duration::from_secs(6 * 60));
        }
        clock.pass(Duration::from_secs(3 * 60));
        assert!(store.get(&sid).await.unwrap().is_none());
        assert_eq!(store.prune().await.unwrap(), 1);
    });
}

fn a_null_is_no_expiry_and_no_record(url: String) {
    session_testkit::run(async {
        let pool = pool(&url);
        let (store, table) = store(&pool);
        let create = format!(
            r#"CREATE TABLE "{table}" (sid varchar PRIMARY KEY, sess json, expire timestamp);
            INSERT INTO "{table}" VALUES ('never', '{{"cookie":{{}}}}', NULL), ('gone', NULL, NULL),
                ('null', NULL, '9999-01-01'), ('json', 'null', '9999-01-01')"#
        );
        run(&pool, &create).await;
        let [never, null, json] = ["never", "null", "json"].map(Sid::from);
        let next = record("");
        assert!(store.get(&never).await.unwrap().is_none());
        assert_eq!(store.touch(&never, &next.cookie, &Expect::Anything).await.unwrap(), Touched::Unknown);
        assert_eq!(store.destroy(&never, &Expect::Nothing).await.unwrap(), Destroyed::Unknown);
        let Set::Written(version) = store.set(&never, &next, &Expect::Nothing).await.unwrap() else {
            panic!("nothing was held")
        };
        for null in [&null, &json] {
            assert!(store.get(null).await.unwrap().is_none());
            let version = Expect::Version(version.clone());
            for expect in [&Expect::Nothing, &version] {
                assert_eq!(store.touch(null, &next.cookie, expect).await.unwrap(), Touched::Unknown);
                assert_eq!(store.destroy(null, expect).await.unwrap(), Destroyed::Unknown);
            }
            let touched = store.touch(null, &next.cookie, &Expect::Anything).await.unwrap();
            assert_eq!(touched, Touched::Unknown);
            assert_eq!(store.set(null, &next, &version).await.unwrap(), Set::Conflict);
        }
        // Lists do not look into the column.
        assert_eq!(store.length().await.unwrap(), 3);
        assert_eq!(store.prune().await.unwrap(), 1);
        assert!(store.get(&never).await.unwrap().is_some());
        for null in [&null, &json] {
            assert!(matches!(store.set(null, &next, &Expect::Nothing).await.unwrap(), Set::Written(_)));
            assert_eq!(store.get(null).await.unwrap().unwrap().record, next);
            assert_eq!(store.set(null, &next, &Expect::Nothing).await.unwrap(), Set::Conflict);
        }
    });
}

fn many_that_start_at_once_create_one_table(url: String) {
    session_testkit::run(async {
        let table = new_name();
        let start = |_| {
            let pool = PgPoolOptions::new().max_connections(1).connect_lazy(&url).unwrap();
            let store = PostgresStore::new(pool).table_name(&table).unwrap().create_table_if_missing(true);
            tokio::spawn(async move { put(&store, &record("")).await })
        };
        join_all((0..16).map(start)).await.into_iter().for_each(|put| drop(put.unwrap()));
        let pool = pool(&url);
        let store = PostgresStore::new(pool.clone()).table_name(&table).unwrap();
        assert_eq!(store.length().await.unwrap(), 16);
        let index = format!(
            r#"SELECT string_agg(indexname, ' ' ORDER BY indexname) FROM pg_indexes WHERE tablename = '{table}'"#
        );
        assert_eq!(ask(&pool, index).await, format!("IDX_{table}_expire {table}_pkey"));
    });
}

fn several_tables_fit_into_one_schema_and_several_schemas(url: String) {
    session_testkit::run(async {
        let (pool, schema, odd) = (pool(&url), new_name(), format!("odd \"{{sid}}\" {}", new_name()));
        run(&pool, &format!(r#"CREATE SCHEMA "{schema}""#)).await;
        let named = |name: &str| {
            PostgresStore::new(pool.clone()).table_name(name).unwrap().create_table_if_missing(true)
        };
        let stores = [
            named("session").schema_name(&schema).unwrap(),
            named("admin_session").schema_name(&schema).unwrap(),
            named(&odd).schema_name(&schema).unwrap(),
            named(&odd),
        ];
        let sid = Sid::random();
        for (at, store) in stores.iter().enumerate() {
            let written = store.set(&sid, &record(&format!("\"at\":{at}")), &Expect::Nothing).await.unwrap();
            assert!(matches!(written, Set::Written(_)));
        }
        for (at, store) in stores.iter().enumerate() {
            let stored = store.get(&sid).await.unwrap().unwrap();
            assert_eq!(stored.record.data.get("at"), Some(&*at.to_string()));
        }
    });
}

fn a_table_that_is_there_needs_no_right_to_create_one(url: String) {
    session_testkit::run(async {
        let admin = pool(&url);
        let (store, table) = store(&admin);
        put(&store, &record("")).await;
        let role = new_name();
        run(
            &admin,
            &format!(
                r#"CREATE ROLE "{role}"; GRANT SELECT, INSERT, UPDATE, DELETE ON "{table}" TO "{role}""#
            ),
        )
        .await;
        let become_it: &'static str = format!(r#"SET ROLE "{role}""#).leak();
        let poor = pool_with(&url, become_it);
        let store =
            PostgresStore::new(poor.clone()).table_name(&table).unwrap().create_table_if_missing(true);
        let sid = put(&store, &record("")).await;
        assert_eq!(store.touch(&sid, &record("").cookie, &Expect::Anything).await.unwrap(), Touched::Moved);
        assert_eq!(store.destroy(&sid, &Expect::Nothing).await.unwrap(), Destroyed::Conflict);
        assert_eq!(store.destroy(&sid, &Expect::Anything).await.unwrap(), Destroyed::Destroyed);
        assert_eq!(store.prune().await.unwrap(), 0);

        let elsewhere =
            PostgresStore::new(poor).table_name("elsewhere").unwrap().create_table_if_missing(true);
        let elsewhere = elsewhere.schema_name("pg_catalog").unwrap();
        let error = elsewhere.destroy(&sid, &Expect::Anything).await.unwrap_err();
        assert!(shown(&error).contains("42501"), "{error:?}");
    });
}

fn a_missing_table_is_an_error_that_names_the_option(url: String) {
    session_testkit::run(async {
        let table = new_name();
        let store = PostgresStore::new(pool(&url)).table_name(&table).unwrap();
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
            assert!(matches!(error, StoreError::Unavailable { store: "postgres", .. }));
            assert!(shown.contains(&table) && shown.contains("create_table_if_missing"), "{shown}");
        }
    });
}

fn what_jsonb_cannot_hold_is_an_error_without_data(url: String) {
    session_testkit::run(async {
        let pool = pool(&url);
        let data = [r#""hunter2":"\u0000""#, r#""hunter2":"\ud800""#];
        let (plain, _) = store(&pool);
        for data in data {
            let sid = put(&plain, &record(data)).await;
            let stored = plain.get(&sid).await.unwrap().unwrap();
            assert_eq!(stored.record, record(data), "json holds it");
        }
        let (store, table) = store(&pool);
        run(
            &pool,
            &format!(r#"CREATE TABLE "{table}" (sid varchar PRIMARY KEY, sess jsonb, expire timestamp)"#),
        )
        .await;
        for data in data {
            let sid = Sid::random();
            let error = store.set(&sid, &record(data), &Expect::Nothing).await.unwrap_err();
            assert!(matches!(error, StoreError::Unavailable { .. }));
            let shown = shown(&error);
            assert!(!shown.contains("hunter2") && !shown.contains(sid.as_str()), "{shown}");
            assert!(store.get(&sid).await.unwrap().is_none());
        }
        let large = record(&format!(r#""l":"{}","é":{{"n":[1.5,null,true]}}"#, "x".repeat(1 << 20)));
        let sid = put(&store, &large).await;
        let held = store.get(&sid).await.unwrap().unwrap().record;
        assert!(held.data.get("l") == large.data.get("l"));
        assert_eq!(held.data.get("é"), Some(r#"{"n": [1.5, null, true]}"#));
    });
}

fn a_row_that_is_no_record_is_left_alone_and_passed_over(url: String) {
    session_testkit::run(async {
        let pool = pool(&url);
        let (store, table) = store(&pool);
        let good = put(&store, &record("")).await;
        for (at, text) in
            ["[]", "\"hunter2\"", "[null]", "{\"hunter2\":1}", "{\"cookie\":null}"].iter().enumerate()
        {
            run(&pool, &format!(r#"INSERT INTO "{table}" VALUES ('corrupt{at}', '{text}', '9999-01-01')"#))
                .await;
            let sid = format!("corrupt{at}");
            let error = store.get(&Sid::from(sid.as_str())).await.unwrap_err();
            assert!(matches!(error, StoreError::Corrupt { store: "postgres", .. }), "{text}");
            assert!(!shown(&error).contains("hunter2") && !shown(&error).contains(&sid), "{text}");
        }
        let mut seen = Vec::new();
        store.all(&mut |sid, _| seen.push(sid)).await.unwrap();
        assert!(seen == [good]);
        assert_eq!(store.length().await.unwrap(), 6);
    });
}

/// For the one call that must wait: a busy machine takes longer for others.
fn hurried(pool: &PgPool, table: &str) -> PostgresStore {
    PostgresStore::new(pool.clone()).table_name(table).unwrap().timeout(Duration::from_millis(200))
}

fn an_idle_connection_that_the_server_closed_costs_nobody_an_error(url: String) {
    session_testkit::run(async {
        let (pool, name) = (pool(&url), new_name());
        let separator = if url.contains('?') { '&' } else { '?' };
        let store = PostgresStore::open(&format!("{url}{separator}application_name={name}")).unwrap();
        let store = store.table_name(&name).unwrap().create_table_if_missing(true);
        let sid = put(&store, &record("")).await;
        let kill =
            "SELECT count(pg_terminate_backend(pid))::text FROM pg_stat_activity WHERE application_name";
        // Used a moment ago, or idle for a while.
        for wait in [0, 1_500] {
            assert_ne!(ask(&pool, format!("{kill} = '{name}'")).await, "0");
            tokio::time::sleep(Duration::from_millis(wait)).await;
            assert!(store.get(&sid).await.unwrap().is_some());
        }
        run(&pool, &format!(r#"DROP TABLE "{name}""#)).await;
    });
}

/// A primary may have become a replica, and another server have its address.
fn a_connection_that_only_reads_is_closed_after_a_write(url: String) {
    session_testkit::run(async {
        let pool = pool(&url);
        let (writes, table) = store(&pool);
        let sid = put(&writes, &record("")).await;
        let separator = if url.contains('?') { '&' } else { '?' };
        let read_only = format!(
            "{url}{separator}application_name={table}&options=-c%20default_transaction_read_only%3Don"
        );
        let store = PostgresStore::open(&read_only).unwrap().table_name(&table).unwrap();
        let connections = async || {
            let pids = "SELECT coalesce(string_agg(pid::text, ','), '') FROM pg_stat_activity WHERE application_name";
            ask(&pool, format!("{pids} = '{table}'")).await
        };
        assert!(store.get(&sid).await.unwrap().is_some());
        let first = connections().await;
        let error = store.set(&sid, &record(""), &Expect::Anything).await.unwrap_err();
        assert!(shown(&error).contains("25006"), "{error:?}");
        assert!(store.get(&sid).await.unwrap().is_some());
        eventually(async || !connections().await.contains(&first)).await;
    });
}

fn an_exhausted_pool_is_a_quick_error(url: String) {
    session_testkit::run(async {
        let pool = PgPoolOptions::new().max_connections(1).connect_lazy(&url).unwrap();
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

fn a_statement_that_must_wait_is_an_error_in_bounded_time(url: String) {
    session_testkit::run(async {
        let pool = pool(&url);
        let (store, table) = store(&pool);
        let sid = put(&store, &record("")).await;
        let hurried = hurried(&pool, &table);
        let mut other = pool.begin().await.unwrap();
        let lock = format!(r#"SELECT 1 FROM "{table}" FOR UPDATE"#);
        other.execute(AssertSqlSafe(lock)).await.unwrap();
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
        let store = store(&pool).0.disable_touch(true).clock(clock.clock());
        let sid = put(&store, &record("")).await;
        clock.pass(Duration::from_secs(80_000));
        let stored = store.get(&sid).await.unwrap().unwrap();
        assert_eq!(stored.lifetime, stored.left, "no touch is ever due");
        // Nobody looks whether it is that version.
        for expect in [Expect::Anything, Expect::Version(Version::from_text("another"))] {
            assert_eq!(store.touch(&sid, &record("").cookie, &expect).await.unwrap(), Touched::Skipped);
        }
        let nothing = store.touch(&sid, &record("").cookie, &Expect::Nothing).await.unwrap();
        assert_eq!(nothing, Touched::Conflict);
        clock.pass(Duration::from_secs(10_000));
        assert!(store.get(&sid).await.unwrap().is_none());
    });
}

fn the_time_to_live_holds_what_has_no_lifetime(url: String) {
    session_testkit::run(async {
        let (pool, clock) = (pool(&url), ManualClock::new());
        let store = store(&pool).0.ttl(Duration::from_secs(60)).clock(clock.clock());
        let sid = put(&store, &record("")).await;
        let stored = store.get(&sid).await.unwrap().unwrap();
        assert_eq!(stored.lifetime, Some(Duration::from_secs(60)));
        assert!(stored.left.unwrap() <= Duration::from_secs(61));
        clock.pass(Duration::from_secs(62));
        assert!(store.get(&sid).await.unwrap().is_none());
    });
}

fn expired_rows_are_pruned_in_batches_by_who_writes_when_it_is_due(url: String) {
    session_testkit::run(async {
        let (pool, clock) = (pool(&url), ManualClock::new());
        let (store, table) = store(&pool);
        // By default every 15 minutes.
        let store = store.prune_session_randomized_interval(false).clock(clock.clock());
        put(&store, &record("")).await;
        let fill = format!(
            r#"INSERT INTO "{table}" SELECT n, '{{"cookie":{{}}}}', '2020-01-01' FROM generate_series(1, 2500) n"#
        );
        run(&pool, &fill).await;
        let rows = async || {
            let count = format!(r#"SELECT count(*)::text FROM "{table}""#);
            ask(&pool, count).await.parse::<u64>().unwrap()
        };
        put(&store, &record("")).await;
        assert_eq!(rows().await, 2_502, "not yet");
        clock.pass(Duration::from_secs(15 * 60 + 1));
        put(&store, &record("")).await;
        eventually(async || rows().await == 3).await;
        run(&pool, &fill).await;
        assert_eq!(store.prune().await.unwrap(), 2_500);
        assert_eq!(rows().await, 3);
    });
}

/// It is not waited for, and two who prune do not wait for each other.
fn a_row_that_is_locked_is_left_for_the_next_pruning(url: String) {
    session_testkit::run(async {
        let pool = pool(&url);
        let (store, table) = store(&pool);
        put(&store, &record("")).await;
        expired(&pool, &table, 2_500).await;
        // Some of each batch.
        let mut other = pool.begin().await.unwrap();
        let touch =
            format!(r#"UPDATE "{table}" SET expire = '9999-01-01' WHERE sid LIKE '%01' AND length(sid) < 5"#);
        assert_eq!(other.execute(AssertSqlSafe(touch)).await.unwrap().rows_affected(), 24);
        assert_eq!(store.prune().await.unwrap(), 2_476);
        other.rollback().await.unwrap();
        assert_eq!(store.prune().await.unwrap(), 24);
        assert_eq!(ask(&pool, format!(r#"SELECT count(*)::text FROM "{table}""#)).await, "1");
    });
}

async fn expired(pool: &PgPool, table: &str, rows: u32) {
    let fill = format!(
        r#"INSERT INTO "{table}" SELECT n, '{{"cookie":{{}}}}', '2020-01-01' FROM generate_series(1, {rows}) n"#
    );
    run(pool, &fill).await;
}

/// Of many sessions that live on, and end within a day.
fn an_index_leads_to_what_has_expired(url: String) {
    session_testkit::run(async {
        for zone in [None, Some("Europe/Berlin")] {
            let pool = pool(&url);
            let (mut store, table) = store(&pool);
            if let Some(zone) = zone {
                store = store.time_zone(zone).unwrap();
            }
            put(&store, &record("")).await;
            let fill = format!(
                r#"INSERT INTO "{table}" SELECT 'live' || n, '{{"cookie":{{}}}}', now() + interval '20 hours'
                    FROM generate_series(1, 20000) n;
                ANALYZE "{table}""#
            );
            run(&pool, &fill).await;
            expired(&pool, &table, 10).await;
            // The server counts for others now and then.
            let counted = async |what: &str| {
                ask(&pool, format!("SELECT {what}::text FROM pg_stat_user_tables WHERE relname = '{table}'"))
                    .await
            };
            eventually(async || counted("n_tup_ins").await == "20011").await;
            let scans = counted("seq_scan").await;
            assert_eq!(store.prune().await.unwrap(), 10);
            eventually(async || counted("n_tup_del").await == "10").await;
            assert_eq!(counted("seq_scan").await, scans, "the whole table is read");
        }
    });
}

/// As connect-pg-simple's users have them who made theirs by hand.
fn a_table_without_an_index_is_pruned_by_steps(url: String) {
    session_testkit::run(async {
        let pool = pool(&url);
        let (store, table) = store(&pool);
        let sid = put(&store, &record("")).await;
        run(&pool, &format!(r#"DROP INDEX "IDX_{table}_expire""#)).await;
        expired(&pool, &table, 25_000).await;
        assert_eq!(store.prune().await.unwrap(), 25_000);
        assert_eq!(store.prune().await.unwrap(), 0);
        assert!(store.get(&sid).await.unwrap().is_some());
    });
}

fn a_table_that_is_dropped_is_made_again(url: String) {
    session_testkit::run(async {
        let pool = pool(&url);
        let (store, table) = store(&pool);
        let sid = put(&store, &record("")).await;
        run(&pool, &format!(r#"DROP TABLE "{table}""#)).await;
        assert!(store.get(&sid).await.unwrap().is_none());
        run(&pool, &format!(r#"DROP TABLE "{table}""#)).await;
        let sid = put(&store, &record("")).await;
        assert!(store.get(&sid).await.unwrap().is_some());
        run(&pool, &format!(r#"DROP TABLE "{table}""#)).await;
        assert_eq!(store.length().await.unwrap(), 0);
        run(&pool, &format!(r#"DROP TABLE "{table}""#)).await;
        assert_eq!(store.prune().await.unwrap(), 0);
        run(&pool, &format!(r#"DROP TABLE "{table}""#)).await;
        store.clear().await.unwrap();
        // Who is not to create one says what is missing.
        let others = PostgresStore::new(pool.clone()).table_name(&table).unwrap();
        run(&pool, &format!(r#"DROP TABLE "{table}""#)).await;
        let error = others.get(&sid).await.unwrap_err();
        assert!(shown(&error).contains("create_table_if_missing"), "{error:?}");
    });
}

fn lists_go_through_all_in_pages(url: String) {
    session_testkit::run(async {
        let pool = pool(&url);
        let (store, table) = store(&pool);
        assert_eq!(store.length().await.unwrap(), 0);
        let fill = format!(
            r#"INSERT INTO "{table}" SELECT n, '{{"cookie":{{}}}}', '9999-01-01' FROM generate_series(1, 2500) n"#
        );
        run(&pool, &fill).await;
        assert_all_are_listed_and_cleared(&store, 2_500).await;
        assert_eq!(ask(&pool, format!(r#"SELECT count(*)::text FROM "{table}""#)).await, "0");
    });
}

/// Two transactions that lock each other's rows: the database ends one of them, and that one is tried again.
fn who_gave_way_tries_again(url: String) {
    session_testkit::run(async {
        let pool = pool(&url);
        let (store, table) = store(&pool);
        let store = store.timeout(Duration::from_secs(30));
        let [one, two] = [put(&store, &record("")).await, put(&store, &record("")).await];
        // A trigger makes each write lock the other row as well, after a while.
        let other = format!(
            r#"CREATE FUNCTION "{table}_f"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                PERFORM pg_sleep(0.3);
                PERFORM 1 FROM "{table}" WHERE sid <> NEW.sid FOR UPDATE;
                RETURN NEW;
            END $$;
            CREATE TRIGGER "{table}_t" AFTER UPDATE ON "{table}" FOR EACH ROW EXECUTE FUNCTION "{table}_f"()"#
        );
        run(&pool, &other).await;
        let deadlocks = || {
            ask(
                &pool,
                "SELECT deadlocks::text FROM pg_stat_database WHERE datname = current_database()".into(),
            )
        };
        let before = deadlocks().await;
        let (next, expect) = (record("\"n\":1"), Expect::Anything);
        let (first, second) = tokio::join!(store.set(&one, &next, &expect), store.set(&two, &next, &expect));
        assert!(matches!((first.unwrap(), second.unwrap()), (Set::Written(_), Set::Written(_))));
        // The server counts for others now and then.
        eventually(async || deadlocks().await != before).await;
    });
}

fn a_request_costs_no_more_statements_than_it_must(url: String) {
    session_testkit::run(async {
        let pool = PgPoolOptions::new().max_connections(1).connect_lazy(&url).unwrap();
        let (store, table) = store(&pool);
        // What the server itself counts of this connection.
        let count = || async {
            let count = "SELECT coalesce(sum(generic_plans + custom_plans), 0)::bigint FROM pg_prepared_statements \
                WHERE statement NOT LIKE '%pg_prepared_statements%'";
            sqlx::query_scalar(count).fetch_one(&pool).await.unwrap()
        };
        let age =
            || run_owned(&pool, format!(r#"UPDATE "{table}" SET expire = expire - interval '50 minutes'"#));
        App::new(store, count).a_request_costs_no_more_statements_than_it_must(age).await;
    });
}

async fn run_owned(pool: &PgPool, sql: String) {
    run(pool, &sql).await;
}

fn names_are_checked_when_they_are_given_and_urls_when_they_are_opened() {
    session_testkit::run(async {
        let open = || PostgresStore::open("postgres://nobody@127.0.0.1:1/none").unwrap();
        for (option, error) in [
            ("table_name", open().table_name("")),
            ("table_name", open().table_name(&"x".repeat(64))),
            ("schema_name", open().schema_name("a\0b")),
            ("time_zone", open().time_zone("\n")),
        ] {
            let shown = shown(&error.unwrap_err());
            assert!(shown.contains(&format!("option {option}")), "{shown}");
        }
        let secret = "postgres://user:hunter2@:port/x";
        assert!(!shown(&PostgresStore::open(secret).unwrap_err()).contains("hunter2"));
        let store = PostgresStore::open("postgres://user:hunter2@127.0.0.1:1/none").unwrap();
        assert_eq!(format!("{store:?}"), r#"PostgresStore { table: "\"session\"", .. }"#);
    });
}

fn an_expired_row_is_nobodys_until_it_is_replaced(url: String) {
    session_testkit::run(async {
        let (pool, clock) = (pool(&url), ManualClock::new());
        let (store, table) = store(&pool);
        let store = store.clock(clock.clock());
        let sid = put(&store, &until(START + 60_000, "\"a\":1")).await;
        let version = Expect::Version(store.get(&sid).await.unwrap().unwrap().version);
        clock.pass(Duration::from_secs(62));
        let later = until(START + 120_000, "");
        assert_eq!(store.set(&sid, &later, &version).await.unwrap(), Set::Conflict);
        assert_eq!(store.touch(&sid, &later.cookie, &Expect::Anything).await.unwrap(), Touched::Unknown);
        for expect in [&version, &Expect::Nothing] {
            assert_eq!(store.destroy(&sid, expect).await.unwrap(), Destroyed::Unknown);
        }
        let rows = format!(r#"SELECT count(*)::text FROM "{table}""#);
        assert_eq!(ask(&pool, rows).await, "1", "the row is still there, for a pruning to remove");
        assert!(matches!(store.set(&sid, &later, &Expect::Nothing).await.unwrap(), Set::Written(_)));
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
        let down = || PostgresStore::open("postgres://nobody@127.0.0.1:1/none").unwrap();
        contract::what_has_expired_itself_changes_nothing(&down().create_table_if_missing(true)).await;
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

fn who_touches_prunes_as_well_as_often_as_the_option_says(url: String) {
    session_testkit::run(async {
        let (pool, clock) = (pool(&url), ManualClock::new());
        let (store, table) = store(&pool);
        let store = store.clock(clock.clock()).prune_session_randomized_interval(false);
        let minute = store.prune_session_interval(Duration::from_secs(60));
        let never = PostgresStore::new(pool.clone()).table_name(&table).unwrap().clock(clock.clock());
        let never = never.prune_session_interval(None);
        let sid = put(&minute, &record("")).await;
        run(&pool, &format!(r#"INSERT INTO "{table}" VALUES ('expired', '{{}}', '2020-01-01')"#)).await;
        let rows = async || ask(&pool, format!(r#"SELECT count(*)::text FROM "{table}""#)).await;
        for (store, seconds, left) in
            [(&never, 0, "2"), (&never, 59, "2"), (&minute, 0, "2"), (&minute, 2, "1")]
        {
            clock.pass(Duration::from_secs(seconds));
            let touched = store.touch(&sid, &record("").cookie, &Expect::Anything).await.unwrap();
            assert_eq!(touched, Touched::Moved);
            eventually(async || rows().await == left).await;
        }
    });
}
