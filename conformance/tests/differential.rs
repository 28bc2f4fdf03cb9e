//! The same random requests to express-session and to the probes, and to itself as a check of the runner.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::process::ExitCode;

use common::{ACTIX, AXUM, ROCKET, adapted, oracle, setting};
use conformance::differential::{Differential, Failure, Program, Side};
use test_support::{Need, tests};

fn main() -> ExitCode {
    tests! {
        if express =>
            axum_answers_as_express_does,
            actix_answers_as_express_does,
            rocket_answers_as_express_does,
            axum_keeps_time_as_express_does,
            actix_keeps_time_as_express_does,
            rocket_keeps_time_as_express_does,
            express_agrees_with_itself,
            a_planted_difference_is_found_and_shrunk;
    }
    .run()
}

/// The first seed, and how many configurations follow it, unless the environment says otherwise.
const USUAL: (u64, usize) = (20_260_101, 160);

fn express() -> Need<()> {
    oracle().map(drop)
}

/// Some 2,800 requests over 160 configurations, and a tenth of that under a seed of the day; more with `DIFFERENTIAL_CONFIGS`,
/// others with `DIFFERENTIAL_SEED`.
fn answers_as_express_does(probe: &str) {
    compare(probe, |run| run);
}

/// The same, and both sides have one clock, which only the driver moves: every time is equal to the millisecond, and sessions
/// end between requests.
fn keeps_time_as_express_does(probe: &str) {
    compare(probe, Differential::clock);
}

fn compare(probe: &str, set: impl FnOnce(Differential) -> Differential) {
    let side = |program| adapted(probe, Side::of(program));
    let run = Differential::new(side(oracle().unwrap()), side(Program::probe(probe)));
    let (seed, configs) = USUAL;
    match set(run).run_seeds(seed, configs) {
        Ok(summaries) => {
            summaries.iter().for_each(|summary| println!("{summary}"));
            let usual = summaries.iter().find(|summary| (summary.seed, summary.configs) == USUAL);
            // As many as README says; a generator that has others may have forgotten some.
            assert!(usual.is_none_or(|usual| (2_700..2_900).contains(&usual.requests)));
        }
        Err(failure) => panic!("{failure}"),
    }
}

fn axum_answers_as_express_does() {
    answers_as_express_does(AXUM);
}

fn actix_answers_as_express_does() {
    answers_as_express_does(ACTIX);
}

fn rocket_answers_as_express_does() {
    answers_as_express_does(ROCKET);
}

fn axum_keeps_time_as_express_does() {
    keeps_time_as_express_does(AXUM);
}

fn actix_keeps_time_as_express_does() {
    keeps_time_as_express_does(ACTIX);
}

fn rocket_keeps_time_as_express_does() {
    keeps_time_as_express_does(ROCKET);
}

fn express_agrees_with_itself() {
    let oracle = oracle().unwrap();
    let run = Differential::new(Side::of(oracle.clone()), Side::of(oracle))
        .configs(setting("DIFFERENTIAL_SELF_CONFIGS", 10))
        .seed(setting("DIFFERENTIAL_SEED", 1));
    match run.run() {
        Ok(summary) => println!("{summary}"),
        Err(failure) => panic!("{failure}"),
    }
}

fn a_planted_difference_is_found_and_shrunk() {
    let oracle = oracle().unwrap();
    let reference = Side::of(oracle.clone()).with("rolling", false);
    let failure = Differential::new(reference, Side::of(oracle).with("rolling", true)).run().unwrap_err();
    println!("{failure}");
    let Failure::Difference(difference) = failure else { panic!("{failure}") };
    // One request gets a cookie and the next one gets it again.
    assert_eq!(difference.requests(), 2);
    assert!(difference.operations() <= 1);
    assert!(difference.config_keys().count() <= 2);
}
