//! The same random requests to express-session and to the probes on the databases that both use: each on records of its
//! own, and then both on the same ones, every second request served by the other.

#![allow(clippy::panic, reason = "helpers of tests")]

mod common;

use std::process::ExitCode;

use common::{
    ACTIX, AXUM, BETTER_SQLITE3, CONFIGS, CONNECT_SQLITE3, Database, MONGO, MONGO_ENCRYPTED,
    MONGO_ENCRYPTED_CBC, MONGO_ENCRYPTED_SCRYPT, MONGO_OBJECTS, MONGO_TIMESTAMPS, MYSQL, POSTGRES, REDIS,
    ROCKET, Store, WITH_OPTIONS, adapted, oracle,
};
use conformance::differential::{Differential, Program, Side};
use test_support::Tests;

/// The name of an adapter, and its probe.
type Probe = (&'static str, &'static str);

fn main() -> ExitCode {
    const ALL: [Probe; 3] = [("axum", AXUM), ("actix", ACTIX), ("rocket", ROCKET)];
    let databases: [(&str, &'static Database, &[Probe]); 11] = [
        ("redis", &REDIS, &ALL),
        ("mongo", &MONGO, &ALL),
        ("mongo_objects", &MONGO_OBJECTS, &ALL[..1]),
        ("mongo_timestamps", &MONGO_TIMESTAMPS, &ALL[..1]),
        ("mongo_encrypted", &MONGO_ENCRYPTED, &ALL[..1]),
        ("mongo_encrypted_cbc", &MONGO_ENCRYPTED_CBC, &ALL[..1]),
        ("mongo_encrypted_scrypt", &MONGO_ENCRYPTED_SCRYPT, &ALL[..1]),
        ("postgres", &POSTGRES, &ALL),
        ("mysql", &MYSQL, &ALL),
        ("connect_sqlite3", &CONNECT_SQLITE3, &ALL[..1]),
        ("better_sqlite3", &BETTER_SQLITE3, &ALL[..1]),
    ];
    let mut tests = Tests::default();
    for (module, database, probes) in databases {
        for &(name, probe) in probes {
            let plain = Comparison { database, probe, alternating: false, clock: false };
            let turns = Comparison { alternating: true, ..plain };
            tests = plain.add(tests, &format!("{module}::{name}::stores_what_express_stores"));
            tests = turns.add(tests, &format!("{module}::{name}::takes_turns_with_express"));
        }
    }
    // All on one clock, which jumps. Redis removes by a clock of its own: what has ended by the case's is removed by hand there,
    // before each request and on both sides.
    let with_options = WITH_OPTIONS.iter().map(|(module, database)| (*module, database));
    for (module, database) in
        databases.iter().map(|&(module, database, _)| (module, database)).chain(with_options)
    {
        let plain = Comparison { database, probe: AXUM, alternating: false, clock: true };
        let turns = Comparison { alternating: true, ..plain };
        let module = format!("on_one_clock::{module}");
        tests = plain.add(tests, &format!("{module}::keeps_time_as_express_does"));
        tests = turns.add(tests, &format!("{module}::keeps_time_in_turns_with_express"));
    }
    tests.run()
}

#[derive(Clone, Copy)]
struct Comparison {
    database: &'static Database,
    probe: &'static str,
    /// Every second request is served by the other side.
    alternating: bool,
    clock: bool,
}

impl Comparison {
    fn add(self, tests: Tests, name: &str) -> Tests {
        let need = move || Ok((oracle()?, self.database.url()?));
        tests.needing(name, need, move |(oracle, url)| self.run(oracle, &url))
    }

    /// Some 2,000 requests with one clock, a third of that by the real time, where less can be compared (a quarter where sessions are
    /// encrypted, and through the second and the third adapter, which have their comparison without a database). After each of them both
    /// sides' records are read from the database itself and compared; more with `DIFFERENTIAL_CONFIGS`, others with `DIFFERENTIAL_SEED`.
    fn run(self, oracle: Program, url: &str) {
        let Self { database, probe, alternating, clock } = self;
        let tested = Program::probe(probe);
        let programs = if alternating { vec![oracle.clone(), tested] } else { vec![tested] };
        let [one, two] = [(); 2].map(|()| database.store(url));
        let on = |programs: Vec<Program>, store: &Store| {
            let side = Side::alternating(programs).store(store.config.clone());
            adapted(probe, side.rewritten(database.rewrite))
        };
        let run = Differential::new(on(vec![oracle], &one), on(programs, &two))
            .workers(if database.one_at_a_time { 1 } else { 2 })
            .lasting();
        let run = if clock { run.clock() } else { run };
        let configs = match (probe == AXUM, clock) {
            (true, true) => database.configs,
            (true, false) => database.configs.min(CONFIGS / 3),
            (false, _) => database.configs / 4,
        };
        match run.run_seeds(20_260_404, configs) {
            Ok(summaries) => summaries.iter().for_each(|summary| println!("{summary}")),
            Err(failure) => panic!("{failure}"),
        }
    }
}
