//! Faults that are put into our side on purpose, outside of the library: the comparison finds each of them within the cases of
//! its default run.

#![allow(clippy::panic, clippy::print_stdout, reason = "helpers of tests")]

mod common;

use std::process::ExitCode;

use common::{AXUM, Database, POSTGRES, REDIS, Store, oracle};
use conformance::differential::{Differential, Failure, Program, Side};
use conformance::probe::Fault;
use test_support::Tests;

fn main() -> ExitCode {
    let on = |database: &'static Database| move || Ok((oracle()?, database.url()?));
    Tests::default()
        .needing("each_is_found", oracle, each_is_found)
        .needing("each_in_redis_is_found", on(&REDIS), |(oracle, url)| {
            each_of_stores_is_found(&oracle, &REDIS, &url);
        })
        .needing("each_in_postgres_is_found", on(&POSTGRES), |(oracle, url)| {
            each_of_stores_is_found(&oracle, &POSTGRES, &url);
        })
        .run()
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

#[allow(clippy::needless_pass_by_value, reason = "as tests are called")]
fn each_is_found(oracle: Program) {
    let probe = Program::probe(AXUM);
    let mut missed = Vec::new();
    for (name, _) in Fault::ALL {
        let tested = Side::of(probe.clone()).with("fault", name);
        let run = Differential::new(Side::of(oracle.clone()), tested).configs(160).seed(20_260_101);
        let found = found(run.clone().clock()).map(|place| ("on one clock", place));
        match found.or_else(|| self::found(run).map(|place| ("by the real time", place))) {
            Some((which, (seed, request))) => println!("{name}: seed {seed}, request {request}, {which}"),
            None => missed.push(name),
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}

/// Found by what a database holds.
fn each_of_stores_is_found(oracle: &Program, database: &Database, url: &str) {
    let on = |side: Side, store: &Store| side.store(store.config.clone());
    for fault in ["touchDoesNothing", "expiryColumnAnHourOff", "leavesStrayRecord", "respellsText"] {
        let [one, two] = [(); 2].map(|()| database.store(url));
        let reference = on(Side::of(oracle.clone()), &one);
        let tested = on(Side::of(Program::probe(AXUM)).with("fault", fault), &two);
        let run =
            Differential::new(reference, tested).configs(120).seed(20_260_404).workers(1).lasting().clock();
        match found(run) {
            Some((seed, request)) => println!("{fault}: seed {seed}, request {request}"),
            None => panic!("not found: {fault}"),
        }
    }
}
