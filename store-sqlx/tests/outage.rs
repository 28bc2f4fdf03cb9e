//! A server that is down, hangs or is killed under load: errors are quick, and nobody has to restart anything.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::needless_pass_by_value,
    reason = "a test that cannot go on stops"
)]

mod common;

use std::{process::ExitCode, sync::Arc, time::Duration};

use common::{
    put, record,
    server::{Server, mysql_server, postgres_server},
};
use session_core::{AdminStore, Sid, Store, StoreError};
use store_sqlx::{MySqlStore, PostgresStore};
use test_support::{Load, Repeats, put_patiently, recovered, tests, within};

fn main() -> ExitCode {
    tests! {
        free =>
            an_address_of_ipv6_is_no_name;
        needs postgres_server =>
            postgres_killed_and_restarted_under_load_loses_nothing_acknowledged,
            postgres_that_is_down_at_the_start_is_an_error_until_it_is_there;
        needs mysql_server =>
            mysql_killed_and_restarted_under_load_loses_nothing_acknowledged,
            mysql_that_is_down_at_the_start_is_an_error_until_it_is_there,
            a_server_that_hangs_is_an_error_in_bounded_time;
    }
    .run()
}

fn an_address_of_ipv6_is_no_name() {
    session_testkit::run(async {
        let postgres = PostgresStore::open("postgres://postgres@[::1]:1/shop").unwrap();
        let mysql = MySqlStore::open("mysql://root@[::1]:1/shop").unwrap();
        let errors = [postgres.get(&Sid::random()).await, mysql.get(&Sid::random()).await];
        for error in errors.map(|get| get.map(drop).unwrap_err()) {
            // What a machine says that has no such addresses is another error, and no question for a name.
            let said = format!("{error:?}");
            assert!(said.contains("Io(") && !said.contains("lookup"), "{said}");
        }
    });
}

const TIMEOUT: Duration = Duration::from_secs(2);

/// Of a call: none of its timers may be longer than the one that the option sets.
const BOUND: Duration = TIMEOUT.saturating_mul(2);

fn postgres(url: &str) -> Arc<PostgresStore> {
    let store = PostgresStore::open(url).unwrap().create_table_if_missing(true);
    Arc::new(store.timeout(TIMEOUT))
}

fn mysql(url: &str) -> Arc<MySqlStore> {
    Arc::new(MySqlStore::open(url).unwrap().timeout(TIMEOUT))
}

async fn is_killed_and_restarted<S: AdminStore>(server: Server, open: impl Fn(&str) -> Arc<S>) {
    let store = open(&server.url());
    // It listens before it has begun.
    put_patiently(&*store, &record("")).await;
    let load = Load::start(&store, BOUND, Repeats::Never);
    load.until_acknowledged(300).await;
    let stopped = server.kill();
    load.until_failed(20).await;
    let error = within(BOUND, store.get(&Sid::random())).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");

    let server = stopped.start();
    let took = recovered(&*store).await;
    load.until_acknowledged(300).await;
    let outcome = load.stop().await;
    println!("{}: {outcome}; back after {took:?}", server.url());
    outcome.assert_all_kept(&*store).await;
    outcome.assert_counted(&*store, 1).await;
}

async fn is_down_at_the_start<S: Store>(server: Server, open: impl Fn(&str) -> Arc<S>) {
    let stopped = server.kill();
    let store = open(&stopped.url());
    let error = within(BOUND, store.get(&Sid::random())).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    let _server = stopped.start();
    recovered(&*store).await;
    let sid = put(&store, &record("")).await;
    assert!(store.get(&sid).await.unwrap().is_some());
}

fn postgres_killed_and_restarted_under_load_loses_nothing_acknowledged(server: Server) {
    session_testkit::run(is_killed_and_restarted(server, postgres));
}

fn mysql_killed_and_restarted_under_load_loses_nothing_acknowledged(server: Server) {
    session_testkit::run(is_killed_and_restarted(server, mysql));
}

fn postgres_that_is_down_at_the_start_is_an_error_until_it_is_there(server: Server) {
    session_testkit::run(is_down_at_the_start(server, postgres));
}

fn mysql_that_is_down_at_the_start_is_an_error_until_it_is_there(server: Server) {
    session_testkit::run(is_down_at_the_start(server, mysql));
}

fn a_server_that_hangs_is_an_error_in_bounded_time(server: Server) {
    session_testkit::run(async {
        let store = mysql(&server.url());
        let sid = put_patiently(&*store, &record("")).await;
        server.signal("STOP");
        // The signal may arrive after a call or two.
        let error = loop {
            if let Err(error) = within(BOUND, store.get(&sid)).await {
                break error;
            }
        };
        assert!(matches!(error, StoreError::Unavailable { .. }));
        server.signal("CONT");
        recovered(&*store).await;
        assert!(store.get(&sid).await.unwrap().is_some());
    });
}
