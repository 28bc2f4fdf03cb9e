//! PostgreSQL behind PgBouncer, in both of the modes that applications use.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a test that cannot go on stops"
)]

mod common;

use std::{
    process::ExitCode,
    sync::{Arc, LazyLock},
};

use common::{
    DAY, EXACT, new_name, plant_in_postgres, postgres_url, record,
    server::{Bouncer, pgbouncer},
};
use session_core::{AdminStore, Expect, Set, Sid, Store};
use session_testkit::{Fixture, ManualClock};
use store_sqlx::{
    PostgresStore,
    sqlx::{
        self, AssertSqlSafe, PgPool,
        postgres::{PgConnectOptions, PgPoolOptions},
    },
};
use test_support::{Need, tests};

fn main() -> ExitCode {
    let both = || -> Need<String> { pgbouncer().and_then(|_| postgres_url()) };
    tests! {
        needs both =>
            with_a_pool_of_the_applications_too,
            connections_that_the_server_ended_cost_nobody_an_error;
    }
    .contracts("in_transactions", both, |url| open(IN_TRANSACTIONS.url(&url), url))
    .contracts("in_sessions", both, |url| open(IN_SESSIONS.url(&url), url))
    .run()
}

/// Each statement may go to another connection of the server's than the one before.
static IN_TRANSACTIONS: LazyLock<Bouncer> = LazyLock::new(|| Bouncer::start("transaction"));
static IN_SESSIONS: LazyLock<Bouncer> = LazyLock::new(|| Bouncer::start("session"));

/// Two stores with connections of their own, and somebody who writes past them and past PgBouncer.
async fn open(url: String, server: String) -> Fixture {
    let (clock, table) = (ManualClock::new(), new_name());
    let [store, other] = [(); 2].map(|()| {
        let store = PostgresStore::open(&url).unwrap().table_name(&table).unwrap();
        store.create_table_if_missing(true).clock(clock.clock())
    });
    let pool = PgPoolOptions::new().max_connections(4).connect_lazy(&server).unwrap();
    // With the first call the table is there.
    store.clear().await.unwrap();
    Fixture::new(store).beside(other).ttl(DAY).clock(clock).exempt(EXACT).plant(move |sid, text, until| {
        let insert = format!(
            r#"INSERT INTO "{table}" (sid, sess, expire) VALUES ($1, $2::json, to_timestamp($3::float8))
               ON CONFLICT (sid) DO UPDATE SET sess = excluded.sess, expire = excluded.expire"#
        );
        let pool = pool.clone();
        async move { plant_in_postgres(&pool, &insert, &sid, &text, until).await }
    })
}

/// sqlx's own way to begin a connection is refused by PgBouncer, unless the application says otherwise.
fn with_a_pool_of_the_applications_too(server: String) {
    session_testkit::run(async {
        let url = IN_TRANSACTIONS.url(&server);
        let refused = PgPool::connect(&url).await.unwrap_err().to_string();
        assert!(refused.contains("extra_float_digits"), "{refused}");
        let options: PgConnectOptions = url.parse().unwrap();
        let pool =
            PgPoolOptions::new().max_connections(8).connect_lazy_with(options.extra_float_digits(None));
        let store = PostgresStore::new(pool).table_name(&new_name()).unwrap().create_table_if_missing(true);
        let store = Arc::new(store);
        // More at a time than the server has connections for.
        let busy = (0..32).map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let sid = Sid::random();
                for turn in 0..20 {
                    let expect = match store.get(&sid).await.unwrap() {
                        Some(stored) => Expect::Version(stored.version),
                        None => Expect::Nothing,
                    };
                    let record = record(&format!("\"n\":{n},\"turn\":{turn}"));
                    assert!(matches!(store.set(&sid, &record, &expect).await.unwrap(), Set::Written(_)));
                }
            })
        });
        for busy in busy.collect::<Vec<_>>() {
            busy.await.unwrap();
        }
        assert_eq!(store.length().await.unwrap(), 32);
    });
}

/// Those between PgBouncer and the server: a restart, say.
fn connections_that_the_server_ended_cost_nobody_an_error(server: String) {
    session_testkit::run(async {
        let bouncer = Bouncer::start("transaction");
        let table = new_name();
        let store = PostgresStore::open(&bouncer.url(&server)).unwrap();
        let store = store.table_name(&table).unwrap().create_table_if_missing(true);
        let sid = test_support::put(&store, &record("\"a\":1")).await;
        let past = PgPool::connect(&server).await.unwrap();
        for _ in 0..3 {
            // By what they did last: other tests have connections too.
            let end = format!(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                 WHERE pid <> pg_backend_pid() AND query LIKE '%{table}%'"
            );
            let ended: i64 = sqlx::query_scalar(AssertSqlSafe(end)).fetch_one(&past).await.unwrap();
            assert!(ended > 0);
            assert!(store.get(&sid).await.unwrap().is_some());
        }
    });
}
