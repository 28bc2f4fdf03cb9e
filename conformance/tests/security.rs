//! `SECURITY.md` says of each requirement where it is met, and which test shows that; here it is held to that.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::{fs, path::Path, time::Duration};

use express_session::{Lifetimes, MemoryStore, Options, RequestInfo, Sessions};
use session_testkit::{ManualClock, run};

const PAGE: &str = include_str!("../../SECURITY.md");
/// The first three are shown by a test.
const ANSWERS: [&str; 5] = ["met", "new profile", "on request", "application", "not met"];

/// Requirement, what it asks, the answer, where or why, and tests.
type Row = [&'static str; 5];

/// The chapters that have a table, and its rows.
fn chapters() -> Vec<(&'static str, Vec<Row>)> {
    let row = |line: &'static str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        Row::try_from(cells).unwrap_or_else(|cells| panic!("{} cells: {line}", cells.len()))
    };
    // Behind the head, and the line below it.
    let rows = |text: &'static str| text.lines().filter(|line| line.starts_with('|')).skip(2).map(row);
    let chapters = PAGE.split("\n## ").map(|text| (text, rows(text).collect::<Vec<_>>()));
    chapters.filter(|(_, rows)| !rows.is_empty()).collect()
}

/// `path::function` of every test that a row names.
fn tests_of(row: Row) -> impl Iterator<Item = (&'static str, &'static str)> {
    let quoted = row[4].split('`').skip(1).step_by(2);
    quoted.map(move |text| text.split_once("::").unwrap_or_else(|| panic!("{}: no test: {text}", row[0])))
}

#[test]
fn every_row_has_a_test_that_exists_or_a_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for row in chapters().into_iter().flat_map(|(_, rows)| rows) {
        let [requirement, asks, answer, why, _] = row;
        let at = ANSWERS.iter().position(|known| *known == answer);
        let at = at.unwrap_or_else(|| panic!("{requirement}: {answer} is no answer"));
        assert!(!asks.is_empty() && why.ends_with('.'), "{requirement}: {why}");
        assert!(at > 2 || tests_of(row).next().is_some(), "{requirement}: {asks}: no test is named");
        for (path, name) in tests_of(row) {
            let source =
                fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert!(source.contains(&format!("fn {name}(")), "{requirement}: no {name} in {path}");
        }
    }
}

#[test]
fn the_numbers_above_each_table_are_right() {
    let chapters = chapters();
    assert_eq!(chapters.len(), 4);
    for (text, rows) in chapters {
        let of = |answer| format!("{} *{answer}*", rows.iter().filter(|row| row[2] == answer).count());
        let counted = format!("{} rows: {}.", rows.len(), ANSWERS.map(of).join(", "));
        assert!(text.contains(&counted), "not said: {counted}");
    }
}

/// The cookie of a new session, as a browser sends it.
async fn log_in(sessions: &Sessions) -> String {
    let exchange = sessions.exchange();
    let session = exchange.session(&RequestInfo::new("/", true, &|_| {})).await.unwrap().unwrap();
    session.insert("user", "tj").unwrap();
    exchange.end().await.unwrap()[0].split(';').next().unwrap().to_owned()
}

/// Whether a request with this header has the session.
async fn finds(sessions: &Sessions, uri: &str, (name, value): (&str, &str)) -> bool {
    let each = |visit: &mut dyn FnMut(&str, &[u8])| visit(name, value.as_bytes());
    let exchange = sessions.exchange();
    let session = exchange.session(&RequestInfo::new(uri, true, &each)).await.unwrap().unwrap();
    exchange.end().await.unwrap();
    !session.is_new()
}

/// Anywhere else what opens a session as a cookie opens nothing.
#[test]
fn an_id_is_read_from_cookies_alone() {
    run(async {
        let sessions = Options::new([7; 32]).store(MemoryStore::new()).build().unwrap();
        let cookie = log_in(&sessions).await;
        assert!(finds(&sessions, "/", ("cookie", &cookie)).await);
        for uri in [format!("/?{cookie}"), format!("/;{cookie}"), format!("/{cookie}"), format!("/#{cookie}")]
        {
            assert!(!finds(&sessions, &uri, ("accept", "*/*")).await, "{uri}");
        }
        for name in ["set-cookie", "cookie2", "authorization", "x-sid", "sid", "referer"] {
            assert!(!finds(&sessions, "/", (name, &cookie)).await, "{name}");
        }
    });
}

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn the_presets_are_the_limits_that_are_named() {
    for (preset, idle, absolute) in [
        (Lifetimes::NIST_AAL1, 24 * HOUR, 30 * 24 * HOUR),
        (Lifetimes::NIST_AAL2, HOUR, 24 * HOUR),
        (Lifetimes::NIST_AAL3, HOUR / 4, 12 * HOUR),
        (Lifetimes::OWASP_HIGH_VALUE, HOUR / 12, 4 * HOUR),
        (Lifetimes::OWASP_LOW_RISK, HOUR / 2, 8 * HOUR),
    ] {
        assert_eq!(preset, Lifetimes::new(idle, absolute));
    }
}

/// A day unused, by the store's own time to live, and 30 days at all.
#[test]
fn the_new_profile_has_the_limits_of_aal1() {
    run(async {
        let clock = ManualClock::new();
        let store = MemoryStore::new().ttl(24 * HOUR).clock(clock.clock());
        let sessions = Options::new([7; 32]).store(store).clock(clock.clock()).build().unwrap();
        let cookie = log_in(&sessions).await;
        for _ in 1..60 {
            clock.pass(12 * HOUR);
            assert!(finds(&sessions, "/", ("cookie", &cookie)).await);
        }
        clock.pass(12 * HOUR);
        assert!(!finds(&sessions, "/", ("cookie", &cookie)).await);

        let cookie = log_in(&sessions).await;
        clock.pass(24 * HOUR);
        assert!(!finds(&sessions, "/", ("cookie", &cookie)).await);
    });
}
