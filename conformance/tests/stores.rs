//! The same random requests to express-session and to the probes on the databases that both use: each on records of its
//! own, and then both on the same ones, every second request served by the other.

#![allow(clippy::panic, clippy::print_stdout, reason = "helpers of tests")]

mod common;

use common::{ACTIX, AXUM, Database, REDIS, ROCKET, oracle, setting};
use conformance::differential::{Differential, Program, Side};

/// At least 2,000 requests; more with `DIFFERENTIAL_CONFIGS`, others with `DIFFERENTIAL_SEED`.
fn compare(database: &Database, probe: &str, alternating: bool) {
    let Some(oracle) = oracle() else { return };
    let Some(store) = database.store() else { return };
    let tested = Program::probe(probe);
    let sides = if alternating {
        [Side::of(oracle.clone()), Side::alternating([oracle, tested])]
    } else {
        [Side::of(oracle), Side::of(tested)]
    };
    let [reference, tested] = sides.map(|side| {
        let side = side.store(store.clone());
        let side = if database.cleared { side.cleared() } else { side };
        if probe == ROCKET { side.utf8_headers() } else { side }
    });
    let run = Differential::new(reference, tested)
        .configs(setting("DIFFERENTIAL_CONFIGS", 120))
        .seed(setting("DIFFERENTIAL_SEED", 20_260_404))
        .workers(if database.cleared { 1 } else { 2 });
    match run.run() {
        Ok(summary) => println!("{summary}"),
        Err(failure) => panic!("{failure}"),
    }
}

macro_rules! databases {
    ($($module:ident: $database:expr;)+) => {
        $(mod $module {
            use super::*;

            #[test]
            fn axum_stores_what_express_stores() {
                compare(&$database, AXUM, false);
            }

            #[test]
            fn actix_stores_what_express_stores() {
                compare(&$database, ACTIX, false);
            }

            #[test]
            fn rocket_stores_what_express_stores() {
                compare(&$database, ROCKET, false);
            }

            #[test]
            fn axum_and_express_take_turns() {
                compare(&$database, AXUM, true);
            }

            #[test]
            fn actix_and_express_take_turns() {
                compare(&$database, ACTIX, true);
            }

            #[test]
            fn rocket_and_express_take_turns() {
                compare(&$database, ROCKET, true);
            }
        })+
    };
}

databases! {
    redis: REDIS;
}
