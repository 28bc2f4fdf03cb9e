//! Passwords that change while the store is in use.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::needless_pass_by_value,
    reason = "a test that cannot go on stops"
)]

mod common;

use std::{
    error::Error,
    fs,
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use common::{
    put, record,
    server::{Server, mysql_server, postgres_server},
    shown,
};
use futures_util::{FutureExt, future::BoxFuture};
use session_core::{Sid, Store, StoreError};
use store_sqlx::{
    MySqlStore, PostgresStore,
    sqlx::{AssertSqlSafe, Executor, MySqlPool, PgPool, raw_sql},
};
use test_support::{put_patiently, tests};

fn main() -> ExitCode {
    tests! {
        needs postgres_server =>
            postgres_is_told_the_password_of_now;
        needs mysql_server =>
            mysql_is_told_the_password_of_now;
    }
    .run()
}

/// What gives them out.
#[derive(Clone, Default)]
struct Service(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// None: it fails.
    password: Mutex<Option<&'static str>>,
    asked: AtomicUsize,
}

type Password = Result<String, Box<dyn Error + Send + Sync>>;

impl Service {
    fn says(&self, password: Option<&'static str>) {
        *self.0.password.lock().unwrap() = password;
    }

    fn asked(&self) -> usize {
        self.0.asked.load(Ordering::SeqCst)
    }

    fn ask(&self) -> BoxFuture<'static, Password> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        let password = *self.0.password.lock().unwrap();
        async move { Ok(password.ok_or("the service is down")?.to_owned()) }.boxed()
    }
}

/// `changes`: the password in the database; `ends`: all connections of that user.
async fn the_password_of_now<S: Store>(
    open: impl FnOnce(Service) -> S,
    changes: impl AsyncFn(&str),
    ends: impl AsyncFn(),
) {
    let service = Service::default();
    let store = open(service.clone());
    service.says(Some("first"));
    let sid = put_patiently(&store, &record("")).await;
    let asked = service.asked();
    assert!(asked > 0);
    assert!(store.get(&sid).await.unwrap().is_some());
    assert_eq!(service.asked(), asked, "a connection that is there needs none");

    changes("second").await;
    service.says(Some("second"));
    ends().await;
    assert!(store.get(&sid).await.unwrap().is_some(), "nobody who reads notices");
    assert!(service.asked() > asked);

    let refused = async |is_said: &str| {
        ends().await;
        let error = store.get(&sid).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        let shown = shown(&error);
        assert!(shown.contains(is_said) && !shown.contains("hunter2"), "{shown}");
    };
    service.says(None);
    refused("there is no password for a new connection").await;
    refused("the service is down").await;
    service.says(Some("hunter2"));
    refused("rotating").await;
    service.says(Some("second"));
    assert!(store.get(&sid).await.unwrap().is_some(), "and nothing has to be restarted");
    put(&store, &record("")).await;
    assert!(store.get(&Sid::random()).await.unwrap().is_none());
}

fn url_of_rotating(server: &Server) -> String {
    let url = server.url();
    let (scheme, rest) = url.split_once("://").unwrap();
    format!("{scheme}://rotating@{}", rest.split_once('@').unwrap().1)
}

fn postgres_is_told_the_password_of_now(server: Server) {
    session_testkit::run(async {
        let pool = PgPool::connect_lazy(&server.url()).unwrap();
        put_patiently(&PostgresStore::new(pool.clone()).create_table_if_missing(true), &record("")).await;
        let run = async |sql: &str| _ = pool.execute(raw_sql(AssertSqlSafe(sql.to_owned()))).await.unwrap();
        run("CREATE ROLE rotating LOGIN PASSWORD 'first'; GRANT ALL ON session TO rotating").await;
        // The others need none.
        let rules = server.folder().join("data/pg_hba.conf");
        let before = fs::read_to_string(&rules).unwrap();
        fs::write(&rules, format!("host all rotating all scram-sha-256\n{before}")).unwrap();
        run("SELECT pg_reload_conf()").await;
        common::eventually(async || PgPool::connect(&url_of_rotating(&server)).await.is_err()).await;
        assert!(
            PostgresStore::new(pool.clone()).password(|| async { Ok(String::new()) }).is_err(),
            "the pool has its own"
        );
        the_password_of_now(
            |service| {
                let store = PostgresStore::open(&url_of_rotating(&server)).unwrap();
                store.password(move || service.ask()).unwrap()
            },
            async |password| run(&format!("ALTER ROLE rotating PASSWORD '{password}'")).await,
            async || {
                run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'rotating'")
                    .await;
                common::eventually(async || {
                    let left = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'rotating'";
                    let left: i64 = store_sqlx::sqlx::query_scalar(left).fetch_one(&pool).await.unwrap();
                    left == 0
                })
                .await;
            },
        )
        .await;
    });
}

fn mysql_is_told_the_password_of_now(server: Server) {
    session_testkit::run(async {
        let pool = MySqlPool::connect_lazy(&server.url()).unwrap();
        put_patiently(&MySqlStore::new(pool.clone()), &record("")).await;
        let run = async |sql: &str| _ = pool.execute(raw_sql(AssertSqlSafe(sql.to_owned()))).await.unwrap();
        run("CREATE USER rotating@'%' IDENTIFIED BY 'first'").await;
        run("GRANT ALL ON sessions.* TO rotating@'%'").await;
        assert!(
            MySqlStore::new(pool.clone()).password(|| async { Ok(String::new()) }).is_err(),
            "the pool has its own"
        );
        the_password_of_now(
            |service| {
                let store = MySqlStore::open(&url_of_rotating(&server)).unwrap();
                store.password(move || service.ask()).unwrap()
            },
            async |password| run(&format!("ALTER USER rotating@'%' IDENTIFIED BY '{password}'")).await,
            async || {
                common::eventually(async || {
                    let left = "SELECT CAST(id AS SIGNED) FROM information_schema.processlist WHERE user = 'rotating'";
                    let left: Vec<i64> = store_sqlx::sqlx::query_scalar(left).fetch_all(&pool).await.unwrap();
                    for id in &left {
                        // It may have ended since.
                        _ = pool.execute(raw_sql(AssertSqlSafe(format!("KILL {id}")))).await;
                    }
                    left.is_empty()
                })
                .await;
            },
        )
        .await;
    });
}
