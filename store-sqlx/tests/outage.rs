//! A server that is down, hangs or is killed under load: errors are quick, and nobody has to restart anything.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on stops"
)]

mod common;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use common::{
    load::{Load, recovered},
    put, record,
    server::{Engine, Server},
};
use session_core::{AdminStore, Sid, Store, StoreError};
use store_sqlx::{MySqlStore, PostgresStore};

const TIMEOUT: Duration = Duration::from_secs(2);

/// What an error may take longer than the option says, on a machine with other things to do.
const SLACK: Duration = Duration::from_secs(1);

fn postgres(url: &str) -> Arc<PostgresStore> {
    let store = PostgresStore::open(url).unwrap().create_table_if_missing(true);
    Arc::new(store.timeout(TIMEOUT))
}

fn mysql(url: &str) -> Arc<MySqlStore> {
    Arc::new(MySqlStore::open(url).unwrap().timeout(TIMEOUT))
}

async fn is_killed_and_restarted<S: AdminStore>(server: Server, open: impl Fn(&str) -> Arc<S>) {
    let store = open(&server.url());
    let dynamic: Arc<dyn Store> = store.clone();
    put(&store, &record("")).await;
    let load = Load::start(&dynamic);
    load.until_acknowledged(300).await;
    let stopped = server.kill();
    load.until_failed(20).await;
    let fails = Instant::now();
    let error = store.get(&Sid::random()).await.unwrap_err();
    assert!(
        fails.elapsed() < TIMEOUT + SLACK && matches!(error, StoreError::Unavailable { .. }),
        "{error:?}"
    );

    let server = stopped.start();
    let took = recovered(&*dynamic).await;
    load.until_acknowledged(300).await;
    let outcome = load.stop().await;
    println!("{}: {outcome}; back after {took:?}", server.url());
    assert!(outcome.slowest < TIMEOUT + SLACK, "{outcome}");
    outcome.assert_all_kept(&*dynamic).await;
    assert!(store.length().await.unwrap() > outcome.acknowledged.len() as u64);
}

async fn is_down_at_the_start<S: Store>(server: Server, open: impl Fn(&str) -> Arc<S>) {
    let stopped = server.kill();
    let store = open(&stopped.url());
    let start = Instant::now();
    let error = store.get(&Sid::random()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert!(start.elapsed() < TIMEOUT + SLACK);
    let _server = stopped.start();
    recovered(&*store).await;
    let sid = put(&store, &record("")).await;
    assert!(store.get(&sid).await.unwrap().is_some());
}

#[test]
fn postgres_killed_and_restarted_under_load_loses_nothing_acknowledged() {
    let Some(server) = Server::start(Engine::Postgres) else { return };
    session_testkit::run(is_killed_and_restarted(server, postgres));
}

#[test]
fn mysql_killed_and_restarted_under_load_loses_nothing_acknowledged() {
    let Some(server) = Server::start(Engine::MariaDb) else { return };
    session_testkit::run(is_killed_and_restarted(server, mysql));
}

#[test]
fn postgres_that_is_down_at_the_start_is_an_error_until_it_is_there() {
    let Some(server) = Server::start(Engine::Postgres) else { return };
    session_testkit::run(is_down_at_the_start(server, postgres));
}

#[test]
fn mysql_that_is_down_at_the_start_is_an_error_until_it_is_there() {
    let Some(server) = Server::start(Engine::MariaDb) else { return };
    session_testkit::run(is_down_at_the_start(server, mysql));
}

#[test]
fn a_server_that_hangs_is_an_error_in_bounded_time() {
    let Some(server) = Server::start(Engine::MariaDb) else { return };
    session_testkit::run(async {
        let store = mysql(&server.url());
        let sid = put(&store, &record("")).await;
        server.signal("STOP");
        // The signal may arrive after a call or two.
        let error = loop {
            let start = Instant::now();
            let got = store.get(&sid).await;
            assert!(start.elapsed() < TIMEOUT + SLACK);
            if let Err(error) = got {
                break error;
            }
        };
        assert!(matches!(error, StoreError::Unavailable { .. }));
        server.signal("CONT");
        recovered(&*store).await;
        assert!(store.get(&sid).await.unwrap().is_some());
    });
}
