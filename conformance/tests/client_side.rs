//! Sessions that the client keeps: what the real cookie-session answered, and random requests to it and to the probes.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::process::ExitCode;

use common::{ACTIX, AXUM, ROCKET, oracle, setting};
use conformance::differential::{Program, client_side};
use serde_json::Value;
use test_support::Tests;

fn main() -> ExitCode {
    let mut tests = Tests::default();
    for (name, probe) in [("axum", AXUM), ("actix", ACTIX), ("rocket", ROCKET)] {
        let recorded = move |()| answers_as_cookie_session_did(probe);
        tests = tests.needing(&format!("{name}::answers_as_cookie_session_did"), || Ok(()), recorded);
        let random = move |oracle: Program| answers_as_cookie_session_does(&oracle, probe);
        tests = tests.needing(&format!("{name}::answers_as_cookie_session_does"), oracle, random);
    }
    tests.run()
}

/// What differs on purpose, each with its reason.
const DIFFER: [(&str, &str); 16] = [
    ("no keys in the array", "is refused when the options are built, where Node fails every request"),
    ("an empty key", "is refused: whoever knows that it is empty can sign what he likes"),
    ("letters of patterns", "the name is no token, and is refused"),
    ("a name with a space", "the same"),
    ("maxAge beyond every date", "Node sends `expires=Invalid Date`"),
    ("reserved keys", "an error, where Node drops them in silence"),
    ("only reserved keys", "the same"),
    ("a word that sameSite has not", "there is no such value of the type"),
    ("capitals", "the same"),
    ("a word that priority has not", "the same"),
    ("a path that no header holds", "an error of the call, where Node sends no cookie"),
    ("a path with more", "an error of the call, where Node sends another attribute"),
    ("signed no more", "the layer says whether it signs"),
    ("signed without keys", "the same"),
    ("overwrite no more", "the layer says whether it overwrites"),
    ("letters beyond ASCII", ROCKET_DROPS),
];

/// Rocket drops a header that is not UTF-8 before any fairing or guard sees it.
const ROCKET_DROPS: &str = "Rocket alone";

fn answers_as_cookie_session_did(probe: &str) {
    let vectors: Value = serde_json::from_str(include_str!("../data/cookie-session-vectors.json")).unwrap();
    let program = Program::probe(probe);
    let now = vectors["now"].as_u64().unwrap();
    let groups = vectors.as_object().unwrap().iter().filter_map(|(_, rows)| rows.as_array());
    let rows: Vec<&Value> = groups.flatten().collect();
    assert!(rows.len() > 150, "{}", rows.len());
    let is_meant = |row: &&Value| {
        let differs = DIFFER.iter().find(|(title, _)| row["title"] == *title);
        differs.is_none_or(|(_, why)| *why == ROCKET_DROPS && probe != ROCKET)
    };
    // Each of them is there.
    let meant = rows.iter().filter(|row| is_meant(row)).count();
    assert_eq!(rows.len() - meant, DIFFER.len() - usize::from(probe != ROCKET));
    let wrong: Vec<String> = rows
        .iter()
        .copied()
        .filter(is_meant)
        .filter_map(|row| client_side::answers_as_recorded(&program, row, now).err())
        .map(|difference| difference.to_string())
        .collect();
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

fn answers_as_cookie_session_does(oracle: &Program, probe: &str) {
    let seed = setting("DIFFERENTIAL_SEED", 20_260_101);
    let configs = setting("DIFFERENTIAL_CONFIGS", 200);
    let compared = client_side::compare(oracle, &Program::probe(probe), seed, configs);
    let compared = compared.unwrap_or_else(|difference| panic!("{difference}"));
    println!("{compared:?}");
    if configs >= 200 {
        assert!(compared.requests > 1_000 && compared.with_cookies > 300, "{compared:?}");
        assert!(compared.known > 200 && compared.refused > 100, "{compared:?}");
    }
}
