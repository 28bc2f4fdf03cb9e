//! Writes to ten thousand sessions at once, with and without one session whose every write hangs in the store: how long the
//! others take. Requests of one session beside each other, so that some of them meet.
//!
//! `cargo run --release -p bench --bin stuck`

#![allow(clippy::print_stdout, reason = "it prints a table")]
#![allow(clippy::expect_used, reason = "what cannot be set up cannot be measured")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bench::table;
use futures_util::future::join_all;
use session_core::{
    Cookie, Destroyed, Expect, MemoryStore, Options, Record, RequestInfo, Session, Sessions, Set, Sid, Store,
    StoreError, Stored, Touched, async_trait,
};
use tokio::{runtime::Runtime, time::sleep};

const SESSIONS: usize = 10_000;
/// So many requests write to the session whose writes hang.
const STUCK: usize = 200;
/// What a call takes.
const TRIP: Duration = Duration::from_millis(1);

/// A memory store behind a network, which never answers a write of the sessions with `stuck` in their data.
#[derive(Debug, Default)]
struct Far(MemoryStore);

#[async_trait]
impl Store for Far {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        sleep(TRIP).await;
        self.0.get(sid).await
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        if record.data.contains("stuck") {
            std::future::pending::<()>().await;
        }
        sleep(TRIP).await;
        self.0.set(sid, record, expect).await
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        sleep(TRIP).await;
        self.0.touch(sid, cookie, expect).await
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        sleep(TRIP).await;
        self.0.destroy(sid, expect).await
    }
}

fn main() {
    let runtime = Runtime::new().expect("a runtime");
    let mut rows =
        vec![["10,000 writes at once", "done", "p50", "p99", "longest"].map(String::from).to_vec()];
    for (what, stuck) in [
        ("none is stuck", 0),
        ("one session is stuck", STUCK),
        ("none is stuck", 0),
        ("one session is stuck", STUCK),
    ] {
        let mut took = runtime.block_on(writes(stuck));
        took.sort_unstable();
        let at = |part: usize| took.get(took.len() * part / 1000).copied().unwrap_or(Duration::MAX);
        let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
        let longest = took.last().copied().unwrap_or(Duration::MAX);
        rows.push(vec![what.into(), took.len().to_string(), ms(at(500)), ms(at(990)), ms(longest)]);
    }
    println!("{}", table(&rows));
}

/// How long each of the writes to sessions that are not stuck took; those that are not done after ten seconds are left out.
async fn writes(stuck: usize) -> Vec<Duration> {
    let sessions = Options::new("keyboard cat").store(Arc::new(Far::default())).build().expect("sessions");
    let all = join_all((0..SESSIONS).map(|_| new(&sessions))).await;
    let hanging: Vec<_> = join_all((0..stuck.min(1)).map(|_| new(&sessions))).await;
    let hanging: Vec<_> = hanging
        .into_iter()
        .flat_map(|session| {
            (0..stuck).map(move |_| {
                let session = session.clone();
                tokio::spawn(async move {
                    session.update("stuck", |n: Option<u64>| n.unwrap_or(0) + 1).await.is_ok()
                })
            })
        })
        .collect();
    tokio::task::yield_now().await;
    let begun = Instant::now();
    let tasks: Vec<_> = all
        .into_iter()
        .map(|session| {
            tokio::spawn(async move {
                session.update("views", |n: Option<u64>| n.unwrap_or(0) + 1).await.expect("an update");
                begun.elapsed()
            })
        })
        .collect();
    let limit = Duration::from_secs(10);
    let done = join_all(tasks.into_iter().map(|task| tokio::time::timeout(limit, task))).await;
    hanging.iter().for_each(tokio::task::JoinHandle::abort);
    done.into_iter().filter_map(|done| done.ok()?.ok()).collect()
}

async fn new(sessions: &Sessions) -> Session {
    let exchange = sessions.exchange();
    let none = |_: &mut dyn FnMut(&str, &[u8])| {};
    let session = exchange.session(&RequestInfo::new("/", false, &none)).await.expect("a session");
    let session = session.expect("within the cookie's path");
    session.insert("views", 0).expect("a value");
    session.save().await.expect("stored");
    session
}
