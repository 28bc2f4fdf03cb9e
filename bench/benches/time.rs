//! How long it takes: requests through the axum layer, beside the bare router and beside a peer, and the parts of one.
//!
//! `cargo bench -p bench --bench time`

#![allow(clippy::print_stdout, reason = "it prints tables")]
#![allow(clippy::expect_used, reason = "what cannot be set up cannot be measured")]

use std::{
    cell::Cell,
    collections::HashMap,
    hint::black_box,
    time::{Duration, Instant},
};

use bench::{App, Asks, Server, Visitor, now, samples, table};
use criterion::Criterion;
use session_core::{Expect, MemoryStore, Record, Secret, Sid, Store, cookie_values};
use tower_sessions::{
    SessionStore,
    cookie::{
        Cookie, CookieJar, Key,
        time::{Duration as Lifetime, OffsetDateTime},
    },
    session,
};

const OURS: &str = "this project";

fn main() {
    let mut clock = Clock::new();
    for asks in Asks::ALL {
        for app in App::ALL {
            let mut server = Server::start(app);
            clock.measure(asks.name(), app.name(), |times| server.time(asks, times));
        }
    }
    signatures(&mut clock);
    records(&mut clock);
    stores(&mut clock);
    clock.criterion.final_summary();
    println!("{}\n{}", requests_table(&clock), parts_table(&clock));
}

fn signatures(clock: &mut Clock) {
    let secret = Secret::new(samples::SECRET);
    let sid = Sid::random();
    let key = Key::from(&[7; 64]);
    let signed = || {
        let mut jar = CookieJar::new();
        jar.signed_mut(&key).add(Cookie::new("sid", black_box(sid.as_str()).to_owned()));
        jar
    };
    clock.part("sign a sid", OURS, || secret.sign(black_box(sid.as_str())));
    clock.part("sign a sid", "cookie", signed);

    let header = Visitor::new_profile().cookie_header().to_owned();
    let verify = || {
        cookie_values(black_box(header.as_bytes()), "sid")
            .any(|value| value.strip_prefix("s:").is_some_and(|signed| secret.unsign(signed).is_some()))
    };
    let theirs = samples::cookie_header(&signed().get("sid").expect("a cookie").encoded().to_string());
    let verify_theirs = || {
        let mut jar = CookieJar::new();
        for cookie in Cookie::split_parse_encoded(black_box(theirs.as_str())).flatten() {
            jar.add_original(cookie.into_owned());
        }
        jar.signed(&key).get("sid").is_some()
    };
    assert!(verify() && verify_theirs(), "both cookies verify");
    clock.part("scan the Cookie header, verify", OURS, verify);
    clock.part("scan the Cookie header, verify", "cookie", verify_theirs);
}

fn records(clock: &mut Clock) {
    let large = samples::large();
    for (size, text) in [("100 B", samples::SMALL), ("4 kB", &large)] {
        let record = Record::parse(text).expect("a record");
        let value: serde_json::Value = serde_json::from_str(text).expect("JSON");
        let [read, write] = ["read", "write"].map(|verb| format!("{verb} a record of {size}"));
        clock.part(&read, OURS, || Record::parse(black_box(text)));
        clock.part(&read, "serde_json::Value", || serde_json::from_str::<serde_json::Value>(black_box(text)));
        clock.part(&write, OURS, || black_box(&record).to_json());
        clock.part(&write, "serde_json::Value", || black_box(&value).to_string());
    }
}

fn stores(clock: &mut Clock) {
    let (store, sid) = (MemoryStore::new(), Sid::random());
    let record = Record::parse(samples::SMALL).expect("a record");
    let peer = tower_sessions::MemoryStore::default();
    let data = HashMap::from([("views".into(), 1.into()), ("user".into(), "u123456".into())]);
    let expiry_date = OffsetDateTime::now_utc() + Lifetime::weeks(2);
    let theirs = session::Record { id: session::Id::default(), data, expiry_date };
    clock.part("MemoryStore set", OURS, || now(store.set(&sid, &record, &Expect::Anything)));
    clock.part("MemoryStore set", "tower-sessions", || now(peer.save(&theirs)));
    clock.part("MemoryStore get", OURS, || now(store.get(&sid)));
    clock.part("MemoryStore get", "tower-sessions", || now(peer.load(&theirs.id)));
}

fn requests_table(clock: &Clock) -> String {
    let mut rows =
        vec![[vec!["ns a request".into()], App::ALL.map(|app| app.name().into()).to_vec()].concat()];
    for asks in Asks::ALL {
        let bare = clock.nanoseconds(asks.name(), App::Bare.name());
        if bare.is_nan() {
            continue;
        }
        let cells = App::ALL.map(|app| {
            let spent = clock.nanoseconds(asks.name(), app.name());
            if app == App::Bare {
                format!("{spent:.0}")
            } else {
                format!("{spent:.0} (×{:.2})", spent / bare)
            }
        });
        rows.push([vec![asks.name().into()], cells.to_vec()].concat());
    }
    table(&rows)
}

fn parts_table(clock: &Clock) -> String {
    let mut rows = vec![["part", "ns", "beside", "ns"].map(String::from).to_vec()];
    for (part, _, ours) in clock.fastest.iter().filter(|(_, who, _)| who == OURS) {
        let peer = clock.fastest.iter().find(|(of, who, _)| of == part && who != OURS);
        let (who, theirs) = peer.map_or(("", f64::NAN), |(_, who, theirs)| (who, *theirs));
        rows.push(vec![
            part.clone(),
            format!("{ours:.0}"),
            who.into(),
            format!("{theirs:.0} (×{:.2})", theirs / ours),
        ]);
    }
    table(&rows)
}

/// Criterion, and the fastest of its samples of each group and name, in nanoseconds: what it finds it keeps to itself, and
/// ratios want figures that nothing else on the machine has slowed.
struct Clock {
    criterion: Criterion,
    fastest: Vec<(String, String, f64)>,
}

impl Clock {
    fn new() -> Self {
        let criterion = Criterion::default()
            .warm_up_time(Duration::from_millis(500))
            .measurement_time(Duration::from_secs(2))
            .configure_from_args();
        Self { criterion, fastest: Vec::new() }
    }

    fn part<T>(&mut self, part: &str, who: &str, mut work: impl FnMut() -> T) {
        self.measure(part, who, |times| {
            let start = Instant::now();
            for _ in 0..times {
                black_box(work());
            }
            start.elapsed()
        });
    }

    fn measure(&mut self, group: &str, name: &str, mut time: impl FnMut(u64) -> Duration) {
        let fastest = Cell::new(f64::NAN);
        let mut criterion_group = self.criterion.benchmark_group(group);
        criterion_group.bench_function(name, |bencher| {
            bencher.iter_custom(|times| {
                let spent = time(times);
                fastest.set(fastest.get().min(spent.as_secs_f64() * 1e9 / times as f64));
                spent
            });
        });
        criterion_group.finish();
        self.fastest.push((group.into(), name.into(), fastest.get()));
    }

    /// Not a number for what was filtered out.
    fn nanoseconds(&self, group: &str, name: &str) -> f64 {
        let found = self.fastest.iter().find(|(of, called, _)| of == group && called == name);
        found.map_or(f64::NAN, |(.., nanoseconds)| *nanoseconds)
    }
}
