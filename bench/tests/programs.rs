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
fn many_sessions_are_counted_shown_and_removed() {
    let file = std::env::temp_dir().join(format!("many-sessions-{}.db", std::process::id()));
    let mut program = Command::new(env!("CARGO_BIN_EXE_many_sessions"));
    let output = program.arg(format!("sqlite:{}", file.display())).arg("3000").output().unwrap();
    for suffix in ["", "-wal", "-shm"] {
        _ = std::fs::remove_file(format!("{}{suffix}", file.display()));
    }
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{table}{}", String::from_utf8_lossy(&output.stderr));
    // Eight who visit are there as well, each time others.
    for done in ["1516 sessions", "1524 shown", "1500 removed"] {
        assert!(table.contains(done), "{table}");
    }
    let unharmed = table.lines().filter(|line| line.trim_end().ends_with(" 0 |")).count();
    assert_eq!(unharmed, 4, "a call of others failed: {table}");
}

#[test]
fn nobody_waits_for_a_session_that_is_stuck() {
    let table = table(env!("CARGO_BIN_EXE_stuck"));
    for beside in ["none is stuck", "one session is stuck", "one session is crowded"] {
        let done = table.lines().filter(|line| line.contains(beside) && line.contains("| 10000 |"));
        assert_eq!(done.count(), 2, "{table}");
    }
}
