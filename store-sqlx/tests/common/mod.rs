//! What the tests of the three stores share.

#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test file takes its part")]

pub mod contract;
pub mod requests;
pub mod server;

use std::{
    collections::BTreeSet,
    error::Error,
    fs,
    path::PathBuf,
    process,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use session_core::{AdminStore, Record, Sid, StoreError};
use store_sqlx::sqlx::{self, AssertSqlSafe, PgPool};
use test_support::{Need, service};
pub use test_support::{put, record};

/// What a store of whole seconds is exempt from.
pub const EXACT: [&str; 1] = ["the_end_is_the_same_millisecond_to_every_verb"];

/// The stores' default time to live.
pub const DAY: Duration = Duration::from_secs(86_400);

pub fn postgres_url() -> Need<String> {
    service("POSTGRES_URL")
}

pub fn mysql_url() -> Need<String> {
    service("MYSQL_URL")
}

/// A name of a table that no other test has.
pub fn new_name() -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("test_{}_{}_{}", since.as_millis(), process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// Since 1970.
pub fn millis(time: SystemTime) -> i64 {
    i64::try_from(time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A record that is held until then, in milliseconds since 1970.
pub fn until(ms: u64, data: &str) -> Record {
    let mut record = record(data);
    record.cookie.set_expires(Some(SystemTime::UNIX_EPOCH + Duration::from_millis(ms)), SystemTime::now());
    record
}

/// All that an error says, in every way that it could be printed.
pub fn shown(error: &StoreError) -> String {
    let mut shown = format!("{error} {error:?}");
    let mut cause: Option<&dyn Error> = error.source();
    while let Some(error) = cause {
        shown += &format!(" {error} {error:?}");
        cause = error.source();
    }
    shown
}

/// A folder that is removed with the last that holds it.
#[derive(Clone)]
pub struct TempDir(Arc<Folder>);

struct Folder(PathBuf);

impl TempDir {
    pub fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("store-sqlx-{}", new_name()));
        fs::create_dir_all(&folder).unwrap();
        Self(Arc::new(Folder(folder)))
    }

    pub fn path(&self) -> &PathBuf {
        &self.0.0
    }

    /// The URL of a file of SQLite in it.
    pub fn url(&self) -> String {
        format!("sqlite:{}", self.path().join("sessions.db").display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// What another task does, or the server.
pub async fn eventually(mut done: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !done().await {
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Sids are the numbers from 0 or 1 on.
pub async fn assert_all_are_listed_and_cleared(store: &impl AdminStore, sessions: usize) {
    let (mut ids, mut all) = (BTreeSet::new(), BTreeSet::new());
    let mut listed = 0;
    store
        .ids(&mut |sid| {
            listed += 1;
            ids.insert(sid.as_str().to_owned());
        })
        .await
        .unwrap();
    store
        .all(&mut |sid, record| {
            listed += 1;
            assert!(record.data.is_empty());
            all.insert(sid.as_str().to_owned());
        })
        .await
        .unwrap();
    assert_eq!((ids.len(), listed), (sessions, 2 * sessions), "each of them once");
    assert!(ids == all);
    store.clear().await.unwrap();
    assert_eq!(store.length().await.unwrap(), 0);
}

/// Writes past the stores, as Node does: `insert` takes the sid, the text and the end in seconds. A column of JSON takes no other
/// text: what is well-formed there is no record either.
pub async fn plant_in_postgres(pool: &PgPool, insert: &str, sid: &Sid, text: &str, until: SystemTime) {
    let planted = async |text: &str| {
        let insert = sqlx::query(AssertSqlSafe(insert.to_owned())).bind(sid.as_str()).bind(text.to_owned());
        insert.bind((millis(until) / 1_000) as f64).execute(pool).await
    };
    match planted(text).await {
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("22P02") => {
            planted("[\"hunter2\"]").await.unwrap();
        }
        done => _ = done.unwrap(),
    }
}
