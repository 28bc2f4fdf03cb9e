//! The programs that print tables run to their end.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::process::Command;

fn table(program: &str) -> String {
    let output = Command::new(program).output().unwrap();
    let [said, wrong] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success() && wrong.is_empty(), "{program}: {wrong}");
    said
}

#[test]
fn round_trips_are_counted() {
    let table = table(env!("CARGO_BIN_EXE_round_trips"));
    assert!(table.contains("| begins a session                     |               1 (set) |"), "{table}");
}

#[test]
fn allocations_are_counted() {
    let table = table(env!("CARGO_BIN_EXE_allocations"));
    assert_eq!(table.lines().filter(|line| line.starts_with('|')).count(), 6, "{table}");
}

#[test]
fn nobody_waits_for_a_session_that_is_stuck() {
    let table = table(env!("CARGO_BIN_EXE_stuck"));
    for beside in ["none is stuck", "one session is stuck", "one session is crowded"] {
        let done = table.lines().filter(|line| line.contains(beside) && line.contains("| 10000 |"));
        assert_eq!(done.count(), 2, "{table}");
    }
}
