//! The same random requests to express-session and to the probes on the databases that both use: each on records of its
//! own, and then both on the same ones, every second request served by the other.

#![allow(clippy::panic, clippy::print_stdout, reason = "helpers of tests")]

mod common;

use common::{
    ACTIX, AXUM, Database, MONGO, MONGO_ENCRYPTED, MONGO_OBJECTS, MONGO_TIMESTAMPS, MYSQL, POSTGRES, REDIS,
    ROCKET, oracle,
};
use conformance::differential::{Differential, Program, Side};

/// At least 2,000 requests, after each of which both sides' records are read from the database itself and compared; more with `DIFFERENTIAL_CONFIGS`, others with `DIFFERENTIAL_SEED`.
fn compare(database: &Database, probe: &str, alternating: bool, clock: bool, name: &str) {
    let Some(oracle) = oracle() else { return };
    let tested = Program::probe(probe);
    let programs = if alternating { vec![oracle.clone(), tested] } else { vec![tested] };
    let on = |programs: Vec<Program>, name: String| {
        let side = Side::alternating(programs).store(database.store(&name)?);
        let side = side.rewritten(database.rewrite);
        let side = if database.cleared { side.cleared() } else { side };
        Some(if probe == ROCKET { side.utf8_headers().without("storeFails") } else { side })
    };
    let Some(reference) = on(vec![oracle], format!("{name}_reference")) else { return };
    let Some(tested) = on(programs, format!("{name}_tested")) else { return };
    let run = Differential::new(reference, tested).workers(if database.cleared { 1 } else { 2 }).lasting();
    let run = if clock { run.clock() } else { run };
    match run.run_seeds(20_260_404, 120) {
        Ok(summaries) => summaries.iter().for_each(|summary| println!("{summary}")),
        Err(failure) => panic!("{failure}"),
    }
}

macro_rules! databases {
    ($($module:ident: $database:expr, $($probe:ident)+;)+) => {
        $(mod $module {
            use super::*;

            $(mod $probe {
                use super::*;

                #[test]
                fn stores_what_express_stores() {
                    compare(&$database, $probe(), false, false, concat!(stringify!($module), "_", stringify!($probe), "_plain"));
                }

                #[test]
                fn takes_turns_with_express() {
                    compare(&$database, $probe(), true, false, concat!(stringify!($module), "_", stringify!($probe), "_turns"));
                }
            })+
        })+
    };
}

databases! {
    redis: REDIS, axum actix rocket;
    mongo: MONGO, axum actix rocket;
    mongo_objects: MONGO_OBJECTS, axum;
    mongo_timestamps: MONGO_TIMESTAMPS, axum;
    mongo_encrypted: MONGO_ENCRYPTED, axum;
    postgres: POSTGRES, axum actix rocket;
    mysql: MYSQL, axum actix rocket;
}

fn axum() -> &'static str {
    AXUM
}

fn actix() -> &'static str {
    ACTIX
}

fn rocket() -> &'static str {
    ROCKET
}

/// All on one clock, which jumps. Redis removes by a clock of its own: what has ended by the case's is removed by hand there,
/// before each request and on both sides.
mod on_one_clock {
    use super::*;

    macro_rules! databases {
        ($($module:ident: $database:expr;)+) => {
            $(mod $module {
                use super::*;

                #[test]
                fn keeps_time_as_express_does() {
                    compare(&$database, AXUM, false, true, concat!(stringify!($module), "_time_plain"));
                }

                #[test]
                fn keeps_time_in_turns_with_express() {
                    compare(&$database, AXUM, true, true, concat!(stringify!($module), "_time_turns"));
                }
            })+
        };
    }

    databases! {
        mongo: MONGO;
        mongo_objects: MONGO_OBJECTS;
        mongo_timestamps: MONGO_TIMESTAMPS;
        mongo_encrypted: MONGO_ENCRYPTED;
        postgres: POSTGRES;
        mysql: MYSQL;
        redis: REDIS;
    }
}
