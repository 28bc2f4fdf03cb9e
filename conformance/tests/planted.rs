//! Faults that are put into our side on purpose, outside of the library: the comparison finds each of them within the cases of
//! its default run.

#![allow(clippy::panic, clippy::print_stdout, reason = "helpers of tests")]

mod common;

use std::process::ExitCode;

use common::{
    ACTIX, AXUM, BETTER_SQLITE3, CONNECT_SQLITE3, Database, MONGO, MONGO_ENCRYPTED, MONGO_OBJECTS, MYSQL,
    POSTGRES, REDIS, ROCKET, Store, adapted, oracle,
};
use conformance::differential::{Differential, Failure, Program, Side};
use conformance::probe::Fault;
use test_support::Tests;

fn main() -> ExitCode {
    let mut tests = Tests::default();
    for (name, probe) in [("axum", AXUM), ("actix", ACTIX), ("rocket", ROCKET)] {
        tests = tests.needing(&format!("{name}::each_is_found"), oracle, move |oracle| {
            each_is_found(&oracle, probe);
        });
    }
    let databases: [(&str, &'static Database); 8] = [
        ("redis", &REDIS),
        ("mongo", &MONGO),
        ("mongo_objects", &MONGO_OBJECTS),
        ("mongo_encrypted", &MONGO_ENCRYPTED),
        ("postgres", &POSTGRES),
        ("mysql", &MYSQL),
        ("connect_sqlite3", &CONNECT_SQLITE3),
        ("better_sqlite3", &BETTER_SQLITE3),
    ];
    for (name, database) in databases {
        let need = move || Ok((oracle()?, database.url()?));
        tests = tests.needing(&format!("{name}::each_is_found"), need, move |(oracle, url)| {
            each_of_stores_is_found(&oracle, database, &url);
        });
    }
    tests.run()
}

/// Where the first case stands that shows the difference; none: nothing shows it. A probe that does not start, or does not
/// answer, has another fault than the one that was planted.
fn found(run: Differential) -> Option<(u64, usize)> {
    match run.as_found().run() {
        Ok(_) => None,
        Err(Failure::Difference(difference)) if difference.is_of_answers() => Some(difference.place()),
        Err(Failure::Difference(difference)) => panic!("{difference}"),
        Err(failure) => panic!("{failure}"),
    }
}

/// In the case in which the fault is found nothing differs without it.
fn assert_nothing_differs(run: Differential, seed: u64) {
    if let Err(failure) = run.as_found().configs(1).seed(seed).run() {
        panic!("without a fault: {failure}");
    }
}

fn each_is_found(oracle: &Program, probe: &str) {
    let side = |program: &Program| adapted(probe, Side::of(program.clone()));
    let program = Program::probe(probe);
    let mut missed = Vec::new();
    let shows = |fault: Fault| !fault.needs_database() && (probe == AXUM || !fault.needs_layer());
    for (name, _) in Fault::ALL.into_iter().filter(|(_, fault)| shows(*fault)) {
        let run = |tested| Differential::new(side(oracle), tested).configs(160).seed(20_260_101);
        let (faulty, sound) = (run(side(&program).with("fault", name)), run(side(&program)));
        if let Some((seed, request)) = found(faulty.clone().clock()) {
            println!("{name}: seed {seed}, request {request}, on one clock");
            assert_nothing_differs(sound.clock(), seed);
        } else if let Some((seed, request)) = found(faulty) {
            println!("{name}: seed {seed}, request {request}, by the real time");
            assert_nothing_differs(sound, seed);
        } else {
            missed.push(name);
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}

/// Found by what a database holds; and without it nothing differs in that case.
fn each_of_stores_is_found(oracle: &Program, database: &Database, url: &str) {
    let mut faults =
        vec!["touchDoesNothing", "expiryColumnAnHourOff", "leavesStrayRecord", "corruptIsUnavailable"];
    // In an object no spelling is left.
    if database.config()["options"]["stringify"] != false {
        faults.push("respellsText");
    }
    for fault in faults {
        let run = |with: &dyn Fn(Side) -> Side| {
            let [one, two] = [(); 2].map(|()| database.store(url));
            let on = |side: Side, store: &Store| side.store(store.config.clone()).rewritten(database.rewrite);
            let tested = with(on(Side::of(Program::probe(AXUM)), &two));
            let run = Differential::new(on(Side::of(oracle.clone()), &one), tested);
            (run.configs(database.configs).seed(20_260_404).workers(1).lasting().clock(), (one, two))
        };
        let (faulty, _stores) = run(&|side| side.with("fault", fault));
        match found(faulty) {
            Some((seed, request)) => {
                println!("{fault}: seed {seed}, request {request}");
                let (sound, _stores) = run(&|side| side);
                assert_nothing_differs(sound, seed);
            }
            None => panic!("not found: {fault}"),
        }
    }
}
