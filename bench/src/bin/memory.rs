//! How many bytes a session costs in memory, at a million of them: `{views, user}`, and with it the whole record of Express
//! where the store keeps one.
//!
//! `cargo run --release -p bench --bin memory`

#![allow(clippy::print_stdout, reason = "it prints a table")]
#![allow(clippy::expect_used, reason = "what cannot be set up cannot be measured")]

use std::{alloc::System, any::Any, collections::HashMap, env, fs, process::Command};

use bench::{now, samples, table};
use session_core::{Expect, MemoryStore, Record, Sid, Store};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tower_sessions::{
    SessionStore,
    cookie::time::{Duration, OffsetDateTime},
    session,
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SESSIONS: u32 = 1_000_000;

/// Fills a store, and answers it.
type Fill = fn() -> Box<dyn Any>;

const STORES: [(&str, Fill); 3] =
    [("MemoryStore", ours), ("`HashMap<String, String>`", bare), ("tower-sessions MemoryStore", peer)];

fn main() {
    match env::args().nth(1) {
        Some(store) => print!("{}", measured(&store)),
        None => compare(),
    }
}

/// Each store in a process of its own: memory that was freed would be used again.
fn compare() {
    let mut rows = vec![["bytes a session", "resident", "allocated"].map(String::from).to_vec()];
    for (store, _) in STORES {
        let program = env::current_exe().expect("this program");
        let output = Command::new(program).arg(store).output().expect("this program once more");
        let figures = String::from_utf8(output.stdout).expect("two numbers");
        rows.push([store].into_iter().chain(figures.split_whitespace()).map(String::from).collect());
    }
    println!("{}", table(&rows));
}

fn measured(store: &str) -> String {
    let (_, fill) = STORES.into_iter().find(|(name, _)| *name == store).expect("one of the stores");
    let sessions = u64::from(SESSIONS);
    let before = resident();
    let region = Region::new(ALLOCATOR);
    let kept = fill();
    let allocated = region.change();
    let resident = resident() - before;
    drop(kept);
    let allocated = (allocated.bytes_allocated - allocated.bytes_deallocated) as u64;
    format!("{} {}", resident / sessions, allocated / sessions)
}

/// Resident memory in bytes, as Linux has it; zero elsewhere.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB")?.trim().parse().ok());
    kilobytes.unwrap_or(0_u64) * 1024
}

fn ours() -> Box<dyn Any> {
    let store = MemoryStore::new();
    for at in 0..SESSIONS {
        let record = Record::parse(record(at)).expect("a record");
        now(store.set(&Sid::random(), &record, &Expect::Nothing)).expect("a write");
    }
    Box::new(store)
}

fn bare() -> Box<dyn Any> {
    let mut map = HashMap::new();
    for at in 0..SESSIONS {
        map.insert(Sid::random().as_str().to_owned(), record(at));
    }
    Box::new(map)
}

fn peer() -> Box<dyn Any> {
    let store = tower_sessions::MemoryStore::default();
    for at in 0..SESSIONS {
        let data = HashMap::from([("views".into(), 1.into()), ("user".into(), user(at).into())]);
        let expiry_date = OffsetDateTime::now_utc() + Duration::weeks(2);
        let mut record = session::Record { id: session::Id::default(), data, expiry_date };
        now(store.create(&mut record)).expect("a write");
    }
    Box::new(store)
}

fn record(at: u32) -> String {
    samples::SMALL.replace("u123456", &user(at))
}

fn user(at: u32) -> String {
    format!("u{at:06}")
}
