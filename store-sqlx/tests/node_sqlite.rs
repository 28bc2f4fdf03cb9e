//! One file, two stores: the real connect-sqlite3 or better-sqlite3-session-store, as they are, and ours on their tables.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "helpers of tests"
)]

mod common;

use std::{
    path::Path,
    process::{Command, ExitCode},
    time::Duration,
};

use common::{TempDir, put, record};
use session_core::{Expect, Record, Set, Sid, Store, Stored};
use store_sqlx::{SqliteStore, SqliteTable};
use test_support::{Express, express_on_sqlite, tests};

fn main() -> ExitCode {
    tests! {
        needs express_on_sqlite =>
            sessions_are_shared_with_connect_sqlite3,
            sessions_are_shared_with_better_sqlite3_session_store;
    }
    .run()
}

fn sessions_are_shared_with_connect_sqlite3(express: Express) {
    shared(&express, "connect-sqlite3", SqliteTable::ConnectSqlite3);
}

fn sessions_are_shared_with_better_sqlite3_session_store(express: Express) {
    shared(&express, "better-sqlite3-session-store", SqliteTable::BetterSqlite3);
}

/// Longer than a busy machine takes for a call, and not as long as the lifetimes are apart.
const SLACK: Duration = Duration::from_secs(300);
const HOUR: Duration = Duration::from_secs(3_600);
const DATA: &str = "\"user\":{\"name\":\"é😀\",\"n\":[1,2.5,null]},\"csrf\":\"a/b\\\"\\\\\"";

fn shared(express: &Express, package: &str, table: SqliteTable) {
    session_testkit::run(async {
        // Who comes first makes the table.
        for node_first in [true, false] {
            let folder = TempDir::new();
            let file = folder.path().join("sessions");
            let url = format!("sqlite:{}", file.display());
            let store = SqliteStore::open(&url).unwrap().concurrent_db(false).unwrap().table(table);
            let node = |what: &[&str]| ask(express, package, &file, what);
            let (theirs, data) = (Sid::random(), format!("{{{DATA}}}"));
            if !node_first {
                put(&store, &record("")).await;
            }
            node(&["set", theirs.as_str(), &data]);
            let held = async |sid: &Sid| store.get(sid).await.unwrap().expect("it has not expired");
            let is_of = |stored: &Stored, lifetime: Duration| {
                let left = stored.left.unwrap();
                left <= lifetime && left + SLACK > lifetime
            };
            let read = held(&theirs).await;
            assert!(read.record.to_json().starts_with(&format!("{{{DATA},\"cookie\":{{")), "{read:?}");
            assert!(is_of(&read, HOUR));

            // What is changed here is read there, and is refused here where it was changed there meanwhile.
            let changed = read.record.to_json().replacen('{', "{\"n\":1,", 1);
            let changed = Record::parse(changed).unwrap();
            let set = store.set(&theirs, &changed, &Expect::Version(read.version.clone())).await.unwrap();
            assert!(matches!(set, Set::Written(_)));
            assert!(node(&["get", theirs.as_str()]).contains("\"n\":1"));
            node(&["set", theirs.as_str(), "{\"n\":2}"]);
            let late = store.set(&theirs, &changed, &Expect::Version(read.version)).await.unwrap();
            assert_eq!(late, Set::Conflict);
            assert_eq!(held(&theirs).await.record.data.get("n"), Some("2"));

            let ours = put(&store, &record(DATA)).await;
            assert!(node(&["get", ours.as_str()]).contains(DATA));
            assert!(is_of(&held(&ours).await, 24 * HOUR));
            node(&["touch", ours.as_str()]);
            assert!(is_of(&held(&ours).await, HOUR));
            node(&["destroy", ours.as_str()]);
            assert!(store.get(&ours).await.unwrap().is_none());
            store.destroy(&theirs, &Expect::Anything).await.unwrap();
            assert_eq!(node(&["get", theirs.as_str()]), "null");
        }
    });
}

/// What `tests/data/sqlite.js` answers.
fn ask(express: &Express, package: &str, file: &Path, what: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sqlite.js");
    let mut node = Command::new(&express.node);
    let output = node.arg(script).arg(package).arg(file).args(what).current_dir(&express.folder).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
