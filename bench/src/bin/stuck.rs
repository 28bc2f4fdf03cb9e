//! Writes to ten thousand sessions at once, with and without one session whose every write hangs in the store, or that many
//! write to at once: how long the others take. And how long those many take.
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
    Cookie, Destroyed, Exchange, Expect, MemoryStore, Options, Record, RequestInfo, Secret, SessionHandle,
    Sessions, Set, Sid, Store, StoreError, Stored, Touched, async_trait,
};
use tokio::{runtime::Runtime, time::sleep};

const SESSIONS: usize = 10_000;
/// So many requests write to the session whose writes hang.
const STUCK: usize = 200;
/// And so many to one whose writes get in each other's way.
const CROWD: usize = 500;
const SECRET: &str = "keyboard cat";
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

/// What else goes on meanwhile.
#[derive(Clone, Copy)]
enum Beside {
    Nothing,
    /// So many writes to one session, which never come back.
    Stuck(usize),
    /// So many writes to one session, which get in each other's way.
    Crowd(usize),
}

fn main() {
    let runtime = Runtime::new().expect("a runtime");
    let mut rows =
        vec![["10,000 writes at once", "done", "p50", "p99", "longest"].map(String::from).to_vec()];
    let all = [
        ("none is stuck", Beside::Nothing),
        ("one session is stuck", Beside::Stuck(STUCK)),
        ("one session is crowded", Beside::Crowd(CROWD)),
    ];
    for (what, beside) in all.into_iter().chain(all) {
        let mut took = runtime.block_on(writes(beside));
        took.sort_unstable();
        let at = |part: usize| took[took.len() * part / 1000];
        let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
        let longest = took[took.len() - 1];
        rows.push(vec![what.into(), took.len().to_string(), ms(at(500)), ms(at(990)), ms(longest)]);
    }
    println!("{}", table(&rows));
    let mut rows = vec![["updates of one session at once", "all done"].map(String::from).to_vec()];
    for crowd in [125, 250, 500, 1_000] {
        let took = runtime.block_on(crowded(crowd));
        rows.push(vec![crowd.to_string(), format!("{:.0} ms", took.as_secs_f64() * 1e3)]);
    }
    println!("{}", table(&rows));
}

/// How long each of the writes to sessions that nothing else is about took; those that are not done after a minute are
/// left out.
async fn writes(beside: Beside) -> Vec<Duration> {
    let sessions = sessions();
    let all = join_all((0..SESSIONS).map(|_| new(&sessions))).await;
    let (key, count) = match beside {
        Beside::Nothing => ("", 0),
        Beside::Stuck(count) => ("stuck", count),
        Beside::Crowd(count) => ("views", count),
    };
    let others = beside_them(&sessions, key, count).await;
    tokio::task::yield_now().await;
    let begun = Instant::now();
    let tasks: Vec<_> = all
        .into_iter()
        .map(|(exchange, session)| {
            tokio::spawn(async move {
                add(&session, "views").await.expect("an update");
                drop(exchange);
                begun.elapsed()
            })
        })
        .collect();
    let limit = Duration::from_secs(60);
    let done = join_all(tasks.into_iter().map(|task| tokio::time::timeout(limit, task))).await;
    others.iter().for_each(tokio::task::JoinHandle::abort);
    done.into_iter().filter_map(|done| done.ok().map(|done| done.expect("a write"))).collect()
}

/// How long it takes until all of them are in the store.
async fn crowded(count: usize) -> Duration {
    let sessions = sessions();
    let begun = Instant::now();
    let all = join_all(beside_them(&sessions, "views", count).await).await;
    let took = begun.elapsed();
    assert!(all.into_iter().all(|done| done.is_ok_and(|done| done.is_ok())), "an update failed");
    took
}

type Task = tokio::task::JoinHandle<Result<u64, session_core::Error>>;

/// Requests of one session, each of which adds one.
async fn beside_them(sessions: &Sessions, key: &'static str, count: usize) -> Vec<Task> {
    let (_exchange, first) = new(sessions).await;
    let cookie =
        format!("connect.sid=s:{}", Secret::new(SECRET).sign(first.id().expect("it has a store").as_str()));
    let asking = (0..count).map(async |_| {
        let cookies = |visit: &mut dyn FnMut(&str, &[u8])| visit("cookie", cookie.as_bytes());
        let exchange = sessions.exchange();
        let session = exchange.session(&RequestInfo::new("/", false, &cookies)).await.expect("a session");
        (exchange, session.expect("within the cookie's path"))
    });
    let all = join_all(asking).await;
    assert!(all.iter().all(|(_, session)| session.id().ok() == first.id().ok()), "the one session");
    let spawn = |(exchange, session)| {
        tokio::spawn(async move {
            let added = add(&session, key).await;
            drop::<Exchange>(exchange);
            added
        })
    };
    all.into_iter().map(spawn).collect()
}

async fn add(session: &SessionHandle, key: &str) -> Result<u64, session_core::Error> {
    session.update(key, |n: Option<u64>| n.unwrap_or(0) + 1).await
}

fn sessions() -> Sessions {
    Options::new(SECRET).name("connect.sid").store(Arc::new(Far::default())).build().expect("sessions")
}

/// A session, and its request, which is not over.
async fn new(sessions: &Sessions) -> (Exchange, SessionHandle) {
    let exchange = sessions.exchange();
    let none = |_: &mut dyn FnMut(&str, &[u8])| {};
    let session = exchange.session(&RequestInfo::new("/", false, &none)).await.expect("a session");
    let session = session.expect("within the cookie's path");
    session.insert("views", 0).expect("a value");
    session.save().await.expect("stored");
    (exchange, session)
}
