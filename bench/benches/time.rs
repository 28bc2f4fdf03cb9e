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
    cookie::time::{Duration as Lifetime, OffsetDateTime},
    session,
};

fn main() {
    let mut clock = Clock::new();
    requests(&mut clock);
    parts(&mut clock);
    clock.criterion.final_summary();
    println!("{}\n{}", requests_table(&clock), parts_table(&clock));
}

fn requests(clock: &mut Clock) {
    for asks in Asks::ALL {
        for app in App::ALL {
            let mut server = Server::start(app);
            clock.measure(asks.name(), app.name(), |times| server.time(asks, times));
        }
    }
}

fn parts(clock: &mut Clock) {
    let secret = Secret::new(samples::SECRET);
    let sid = Sid::random();
    let visitor = Visitor::new_profile();
    let header = visitor.cookie_header().as_bytes();
    let verify = || cookie_values(header, "sid").any(|value| secret.unsign(&value[2..]).is_some());
    assert!(verify(), "the header has a cookie that verifies");
    clock.part("sign a sid", || secret.sign(black_box(sid.as_str())));
    clock.part("scan the Cookie header and verify", verify);

    let large = samples::large();
    for (size, text) in [("100 B", samples::SMALL), ("4 kB", &large)] {
        let record = Record::parse(text).expect("a record");
        clock.part(&format!("read a record of {size}"), || Record::parse(black_box(text)));
        clock.part(&format!("… with serde_json::Value, {size}"), || {
            serde_json::from_str::<serde_json::Value>(black_box(text))
        });
        clock.part(&format!("write a record of {size}"), || black_box(&record).to_json());
    }

    let store = MemoryStore::new();
    let record = Record::parse(samples::SMALL).expect("a record");
    clock.part("MemoryStore set", || now(store.set(&sid, &record, &Expect::Anything)));
    clock.part("MemoryStore get", || now(store.get(&sid)));

    let peer = tower_sessions::MemoryStore::default();
    let data = HashMap::from([("views".into(), 1.into()), ("user".into(), "u123456".into())]);
    let expiry_date = OffsetDateTime::now_utc() + Lifetime::weeks(2);
    let record = session::Record { id: session::Id::default(), data, expiry_date };
    clock.part("tower-sessions MemoryStore save", || now(peer.save(&record)));
    clock.part("tower-sessions MemoryStore load", || now(peer.load(&record.id)));
}

fn requests_table(clock: &Clock) -> String {
    let mut rows = vec![[vec!["ns a request".into()], App::ALL.map(|app| app.name().into()).to_vec()].concat()];
    for asks in Asks::ALL {
        let cells = App::ALL.map(|app| {
            let [bare, spent] = [App::Bare, app].map(|app| clock.nanoseconds(asks.name(), app.name()));
            if app == App::Bare { format!("{spent:.0}") } else { format!("{spent:.0} (×{:.2})", spent / bare) }
        });
        rows.push([vec![asks.name().into()], cells.to_vec()].concat());
    }
    table(&rows)
}

fn parts_table(clock: &Clock) -> String {
    let head = vec!["part".into(), "ns".into()];
    let parts = clock.fastest.iter().filter(|(group, ..)| group == PARTS);
    let rows = parts.map(|(_, part, nanoseconds)| vec![part.clone(), format!("{nanoseconds:.0}")]);
    table(&[vec![head], rows.collect()].concat())
}

const PARTS: &str = "parts";

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

    fn part<T>(&mut self, name: &str, mut part: impl FnMut() -> T) {
        self.measure(PARTS, name, |times| {
            let start = Instant::now();
            for _ in 0..times {
                black_box(part());
            }
            start.elapsed()
        });
    }

    fn measure(&mut self, group: &str, name: &str, mut time: impl FnMut(u64) -> Duration) {
        let fastest = Cell::new(f64::INFINITY);
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

    fn nanoseconds(&self, group: &str, name: &str) -> f64 {
        let found = self.fastest.iter().find(|(of, called, _)| of == group && called == name);
        found.map_or(f64::NAN, |(.., nanoseconds)| *nanoseconds)
    }
}
