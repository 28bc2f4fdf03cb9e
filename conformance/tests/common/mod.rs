//! What the tests with probes share.

#![allow(
    dead_code,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "each test file uses some of it"
)]

use std::env;
use std::sync::LazyLock;

use conformance::differential::Program;
use serde_json::{Value, json};

pub(crate) const AXUM: &str = env!("CARGO_BIN_EXE_probe-axum");
pub(crate) const ACTIX: &str = env!("CARGO_BIN_EXE_probe-actix");
pub(crate) const ROCKET: &str = env!("CARGO_BIN_EXE_probe-rocket");

/// The oracle, or none where it cannot run and need not: only CI insists on it. All tests of a file share its processes.
pub(crate) fn oracle() -> Option<Program> {
    static ORACLE: LazyLock<Result<Program, String>> = LazyLock::new(Program::oracle);
    match &*ORACLE {
        Ok(oracle) => Some(oracle.clone()),
        Err(missing) if env::var_os("CI").is_some() => panic!("{missing}"),
        Err(missing) => {
            println!("skipped: {missing}");
            None
        }
    }
}

/// A number from the environment.
pub(crate) fn setting<T: std::str::FromStr>(variable: &str, default: T) -> T {
    match env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text:?}")),
        Err(_) => default,
    }
}

/// A database, and how tests keep their sessions apart on it.
pub(crate) struct Database {
    url: &'static str,
    /// The `store` of the probe protocol, by the server's URL and a name of the test's own; `{case}` in it becomes another
    /// word for every case.
    store: fn(&str, &str) -> Value,
    /// Cases are not kept apart by `{case}`: the store is emptied for each.
    pub(crate) cleared: bool,
    /// What Node's store shows and ours does not, taken out of its answers.
    pub(crate) rewrite: fn(String) -> String,
}

pub(crate) const REDIS: Database = Database {
    url: "REDIS_URL",
    store: |url, _| json!({ "kind": "redis", "url": url, "options": { "prefix": "{case}:" } }),
    cleared: false,
    rewrite: |body| body,
};

pub(crate) const MONGO: Database = mongo(|url, _| mongo_with(url, json!({})));
/// Node's driver stores `undefined` as null, and connect-mongo shows it as it comes back.
pub(crate) const MONGO_OBJECTS: Database = Database {
    rewrite: |body| {
        let unset = ["partitioned", "priority", "secure", "domain", "sameSite"];
        unset.iter().fold(body, |body, name| {
            body.replace(&format!("\"{name}\":null,"), "").replace(&format!(",\"{name}\":null}}"), "}")
        })
    },
    ..mongo(|url, _| mongo_with(url, json!({ "stringify": false })))
};

pub(crate) const MONGO_TIMESTAMPS: Database = mongo(|url, _| mongo_with(url, json!({ "timestamps": true })));
pub(crate) const MONGO_ENCRYPTED: Database =
    mongo(|url, _| mongo_with(url, json!({ "crypto": { "secret": "squirrel" } })));

/// connect-pg-simple cannot have two tables in one schema: a schema a test.
pub(crate) const POSTGRES: Database = Database {
    url: "POSTGRES_URL",
    store: |url, name| {
        let schema = format!("express_session_{name}");
        create_schema(url, &schema);
        let options = json!({ "schemaName": schema, "pruneSessionInterval": false });
        json!({ "kind": "postgres", "url": url, "options": options })
    },
    cleared: true,
    rewrite: |body| body,
};

pub(crate) const MYSQL: Database = Database {
    url: "MYSQL_URL",
    store: |url, _| json!({ "kind": "mysql", "url": url, "options": { "clearExpired": false, "schema": { "tableName": "sessions_{case}" } } }),
    cleared: false,
    rewrite: |body| body,
};

const fn mongo(store: fn(&str, &str) -> Value) -> Database {
    Database { url: "MONGODB_URL", store, cleared: false, rewrite: |body| body }
}

fn mongo_with(url: &str, mut options: Value) -> Value {
    options["collectionName"] = "sessions_{case}".into();
    json!({ "kind": "mongo", "url": url, "options": options })
}

fn create_schema(url: &str, schema: &str) {
    use express_session::sql::sqlx::{Connection, Executor, PgConnection, raw_sql};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = PgConnection::connect(url).await.unwrap();
        let sql = format!(
            "DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}; \
             CREATE TABLE {schema}.session (sid varchar NOT NULL COLLATE \"default\" PRIMARY KEY, \
             sess json NOT NULL, expire timestamp(6) NOT NULL)"
        );
        connection.execute(raw_sql(express_session::sql::sqlx::AssertSqlSafe(sql))).await.unwrap();
        connection.close().await.unwrap();
    });
}

impl Database {
    /// The store for a test, or for one side of it; none where there is no server and need not be.
    pub(crate) fn store(&self, name: &str) -> Option<Value> {
        session_testkit::service_url(self.url).map(|url| (self.store)(&url, name))
    }
}
