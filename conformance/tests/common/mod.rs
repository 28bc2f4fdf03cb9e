//! What the tests with probes share.

#![allow(dead_code, clippy::panic, clippy::unwrap_used, reason = "each test file uses some of it")]

pub(crate) mod example;

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs};

use conformance::differential::{Program, Side};
use express_session::sql::sqlx::{self, AssertSqlSafe, Connection, Executor, PgConnection, raw_sql};
use serde_json::{Value, json};
use test_support::{Need, express_on_sqlite, service};

pub(crate) const AXUM: &str = env!("CARGO_BIN_EXE_probe-axum");
pub(crate) const ACTIX: &str = env!("CARGO_BIN_EXE_probe-actix");
pub(crate) const ROCKET: &str = env!("CARGO_BIN_EXE_probe-rocket");

/// The oracle. All tests of a file share its processes.
pub(crate) fn oracle() -> Need<Program> {
    static ORACLE: LazyLock<Need<Program>> = LazyLock::new(Program::oracle);
    ORACLE.clone()
}

/// A number from the environment.
pub(crate) fn setting<T: std::str::FromStr>(variable: &str, default: T) -> T {
    match env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text:?}")),
        Err(_) => default,
    }
}

/// What a side can be asked that is compared with this probe. Rocket drops a header that is not UTF-8 before any fairing or guard
/// sees it: the same requests with such cookies made UTF-8.
pub(crate) fn adapted(probe: &str, side: Side) -> Side {
    if probe == ROCKET { side.utf8_headers() } else { side }
}

/// A database, and how tests keep their sessions apart on it.
pub(crate) struct Database {
    url: &'static str,
    /// The `store` of the probe protocol, by the server's URL; `{case}` in it becomes a word that no other case has meanwhile.
    store: fn(&str) -> Value,
    /// Cases are not kept apart by `{case}`: one at a time.
    pub(crate) one_at_a_time: bool,
    /// How many configurations a comparison tries.
    pub(crate) configs: usize,
    /// What Node's store shows and ours does not, taken out of its answers.
    pub(crate) rewrite: fn(String) -> String,
}

/// Some 2,000 requests.
pub(crate) const CONFIGS: usize = 120;

pub(crate) const REDIS: Database = Database {
    url: "REDIS_URL",
    store: |url| redis_with(url, json!({})),
    one_at_a_time: false,
    configs: CONFIGS,
    rewrite: |body| body,
};

pub(crate) const MONGO: Database = mongo(|url| mongo_with(url, json!({})));
/// Node's driver stores `undefined` as null, and connect-mongo shows it as it comes back.
pub(crate) const MONGO_OBJECTS: Database = Database {
    rewrite: |body| {
        let unset = ["partitioned", "priority", "secure", "domain", "sameSite"];
        unset.iter().fold(body, |body, name| {
            body.replace(&format!("\"{name}\":null,"), "").replace(&format!(",\"{name}\":null}}"), "}")
        })
    },
    ..mongo(|url| mongo_with(url, json!({ "stringify": false })))
};

pub(crate) const MONGO_TIMESTAMPS: Database = mongo(|url| mongo_with(url, json!({ "timestamps": true })));
pub(crate) const MONGO_ENCRYPTED: Database = mongo_encrypted(|url| encrypted_with(url, json!({})));
pub(crate) const MONGO_ENCRYPTED_CBC: Database = mongo_encrypted(|url| {
    encrypted_with(url, json!({ "algorithm": "aes-256-cbc", "hashing": "sha256", "encodeas": "hex" }))
});
pub(crate) const MONGO_ENCRYPTED_SCRYPT: Database =
    mongo_encrypted(|url| encrypted_with(url, json!({ "algorithm": "aes-128-ctr", "use_scrypt": true })));

/// connect-pg-simple cannot have two tables in one schema: a schema a test.
pub(crate) const POSTGRES: Database = Database {
    url: "POSTGRES_URL",
    store: |url| postgres_with(url, json!({})),
    one_at_a_time: true,
    configs: CONFIGS,
    rewrite: |body| body,
};

pub(crate) const MYSQL: Database = Database {
    url: "MYSQL_URL",
    store: |url| mysql_with(url, json!({})),
    one_at_a_time: false,
    configs: CONFIGS,
    rewrite: |body| body,
};

/// The options of Node's stores that change what is written, and when.
pub(crate) const WITH_OPTIONS: [(&str, Database); 7] = [
    ("redis_ttl", few(&REDIS, |url| redis_with(url, json!({ "ttl": 100 })))),
    ("redis_disable_touch", few(&REDIS, |url| redis_with(url, json!({ "ttl": 100, "disableTouch": true })))),
    ("redis_disable_ttl", few(&REDIS, |url| redis_with(url, json!({ "disableTTL": true })))),
    ("mongo_ttl", few(&MONGO, |url| mongo_with(url, json!({ "ttl": 100 })))),
    (
        "postgres_disable_touch",
        few(&POSTGRES, |url| postgres_with(url, json!({ "ttl": 100, "disableTouch": true }))),
    ),
    // Where Node's connections are in a zone of their own. (Times that come twice a year are told apart by neither.)
    (
        "postgres_in_another_zone",
        few(&POSTGRES, |url| postgres_with(url, json!({ "timeZone": "Asia/Kolkata" }))),
    ),
    (
        "mysql_disable_touch",
        few(&MYSQL, |url| mysql_with(url, json!({ "expiration": 100_000, "disableTouch": true }))),
    ),
];

/// A file a side, and one case at a time in it.
pub(crate) const CONNECT_SQLITE3: Database = sqlite(|file| sqlite_with(file, "connect-sqlite3"));
pub(crate) const BETTER_SQLITE3: Database = sqlite(|file| sqlite_with(file, "better-sqlite3-session-store"));

const fn sqlite(store: fn(&str) -> Value) -> Database {
    Database { url: SQLITE, store, one_at_a_time: true, configs: CONFIGS, rewrite: |body| body }
}

fn sqlite_with(folder: &str, package: &str) -> Value {
    let url = format!("sqlite:{folder}/{}.db", schema());
    json!({ "kind": "sqlite", "url": url, "options": { "package": package } })
}

/// In the place of a server's URL: a folder.
const SQLITE: &str = "";

const fn few(database: &Database, store: fn(&str) -> Value) -> Database {
    let Database { url, one_at_a_time, configs, rewrite, .. } = *database;
    Database { url, store, one_at_a_time, configs: configs / 4, rewrite }
}

fn redis_with(url: &str, mut options: Value) -> Value {
    options["prefix"] = "{case}:".into();
    json!({ "kind": "redis", "url": url, "options": options })
}

fn postgres_with(url: &str, mut options: Value) -> Value {
    options["schemaName"] = schema().into();
    options["pruneSessionInterval"] = false.into();
    json!({ "kind": "postgres", "url": url, "options": options })
}

fn mysql_with(url: &str, mut options: Value) -> Value {
    options["clearExpired"] = false.into();
    options["schema"] = json!({ "tableName": "sessions_{case}" });
    json!({ "kind": "mysql", "url": url, "options": options })
}

const fn mongo(store: fn(&str) -> Value) -> Database {
    Database { url: "MONGODB_URL", store, one_at_a_time: false, configs: CONFIGS, rewrite: |body| body }
}

/// kruptein derives a key for every read and every write, which takes Node most of its time.
const fn mongo_encrypted(store: fn(&str) -> Value) -> Database {
    Database { configs: CONFIGS / 4, ..mongo(store) }
}

fn encrypted_with(url: &str, mut crypto: Value) -> Value {
    crypto["secret"] = "squirrel".into();
    mongo_with(url, json!({ "crypto": crypto }))
}

fn mongo_with(url: &str, mut options: Value) -> Value {
    options["collectionName"] = "sessions_{case}".into();
    json!({ "kind": "mongo", "url": url, "options": options })
}

/// Of this run alone: others may be at work on the same server.
fn schema() -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    format!("express_session_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// Past all stores.
fn postgres(url: &str, sql: String) -> sqlx::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = PgConnection::connect(url).await?;
        connection.execute(raw_sql(AssertSqlSafe(sql))).await?;
        connection.close().await
    })
}

/// Where a test, or one side of it, keeps its sessions.
pub(crate) struct Store {
    /// The `store` of the probe protocol.
    pub(crate) config: Value,
    /// The URL of the server and the schema, which goes with this.
    schema: Option<(String, String)>,
    /// A file that goes with this.
    file: Option<String>,
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Some((url, schema)) = &self.schema {
            // A server that is gone is told by the test itself.
            _ = postgres(url, format!("DROP SCHEMA {schema} CASCADE"));
        }
        for suffix in ["", "-wal", "-shm", "-journal"] {
            _ = self.file.as_ref().map(|file| fs::remove_file(format!("{file}{suffix}")));
        }
    }
}

impl Database {
    /// The URL of its server.
    pub(crate) fn url(&self) -> Need<String> {
        if self.url == SQLITE {
            express_on_sqlite().map(|_| env!("CARGO_TARGET_TMPDIR").to_owned())
        } else {
            service(self.url)
        }
    }

    /// What its store is configured with, wherever its server is.
    pub(crate) fn config(&self) -> Value {
        (self.store)("")
    }

    /// The store for a test, or for one side of it.
    pub(crate) fn store(&self, url: &str) -> Store {
        let config = (self.store)(url);
        let schema =
            config["options"]["schemaName"].as_str().map(|schema| (url.to_owned(), schema.to_owned()));
        if let Some((url, schema)) = &schema {
            let sql = format!(
                "CREATE SCHEMA {schema}; \
                 CREATE TABLE {schema}.session (sid varchar NOT NULL COLLATE \"default\" PRIMARY KEY, \
                 sess json NOT NULL, expire timestamp(6) NOT NULL)"
            );
            postgres(url, sql).unwrap();
        }
        let file = config["url"].as_str().and_then(|url| url.strip_prefix("sqlite:")).map(String::from);
        Store { config, schema, file }
    }
}
