//! How often a request asks the store: each time is a round trip where the store is a database.
//!
//! `cargo run --release -p bench --bin round_trips`

#![allow(clippy::print_stdout, reason = "it prints a table")]
#![allow(clippy::expect_used, reason = "what cannot be set up cannot be measured")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use bench::{Asks, Counting, Trips, Visitor, table};
use session_core::{Clock, CookieOptions, Error, MemoryStore, Options, SessionHandle};

const LIFETIME: Duration = Duration::from_secs(3600);

/// What a request does, and how many seconds after the last one it comes.
const REQUESTS: [(&str, u64, Visit); 7] = [
    ("never asks for the session", 0, |visitor| visitor.visit(Asks::Nothing)),
    ("reads", 0, |visitor| visitor.visit(Asks::Read)),
    ("reads, a fifth of the lifetime later", 720, |visitor| visitor.visit(Asks::Read)),
    ("writes", 0, |visitor| visitor.visit(Asks::Write)),
    ("begins a session", 0, |visitor| visitor.visit(Asks::New)),
    ("logs in: `renew_id`", 0, |visitor| with(visitor, async |session| session.renew_id().await)),
    ("logs out: `destroy`", 0, |visitor| with(visitor, async |session| session.destroy().await)),
];

type Visit = fn(&Visitor) -> Result<Vec<String>, Error>;

fn main() {
    let profiles = [Options::new, Options::express, |secret| Options::express(secret).resave(false)];
    let mut rows = vec![
        ["a request that", "new profile", "express profile", "with resave off"].map(String::from).to_vec(),
    ];
    for (does, seconds, visit) in REQUESTS {
        let trips =
            profiles.map(|options| counted(options("keyboard cat"), Duration::from_secs(seconds), visit));
        rows.push([does.to_owned()].into_iter().chain(trips.map(words)).collect());
    }
    println!("{}", table(&rows));
}

fn counted(options: Options, later: Duration, visit: Visit) -> Trips {
    let seconds = Arc::new(AtomicU64::new(1_800_000_000));
    let clock = Clock::new({
        let seconds = Arc::clone(&seconds);
        move || SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.load(Ordering::Relaxed))
    });
    let store = Arc::new(Counting::over(MemoryStore::new().clock(clock.clone())));
    let cookie = CookieOptions::new().max_age(LIFETIME);
    let visitor = Visitor::of(options.store(Arc::clone(&store)).clock(clock).cookie(cookie));
    store.take();
    seconds.fetch_add(later.as_secs(), Ordering::Relaxed);
    visit(&visitor).expect("a visit");
    store.take()
}

fn with(
    visitor: &Visitor,
    handler: impl AsyncFnOnce(SessionHandle) -> Result<(), Error>,
) -> Result<Vec<String>, Error> {
    visitor.exchange(visitor.cookie_header(), Some(handler))
}

fn words(trips: Trips) -> String {
    let verbs = [("get", trips.get), ("set", trips.set), ("touch", trips.touch), ("destroy", trips.destroy)];
    let asked: Vec<String> = verbs
        .into_iter()
        .filter(|(_, times)| *times > 0)
        .map(|(verb, times)| if times == 1 { verb.to_owned() } else { format!("{times} {verb}") })
        .collect();
    let total: u32 = verbs.into_iter().map(|(_, times)| times).sum();
    if total == 0 { "0".into() } else { format!("{total} ({})", asked.join(", ")) }
}
