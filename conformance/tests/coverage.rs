//! `COVERAGE.md` says of each of the 160 titles of express-session's own suite, and of the 42 of cookie-session's, whether it holds
//! here, differs or cannot apply, and names tests or a reason; here it is held to that.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::{collections::BTreeMap, fs, path::Path};

/// What is said of the one suite, and of the other: a head and a table each.
fn coverage() -> [&'static str; 2] {
    let (express_session, cookie_session) = include_str!("../COVERAGE.md").split_once("\n## ").unwrap();
    [express_session, cookie_session]
}

/// One row of the table.
struct Row {
    number: usize,
    file: String,
    title: String,
    answer: String,
    here: String,
}

impl Row {
    /// `path::test` of every test that the row names.
    fn tests(&self) -> Vec<(&str, &str)> {
        let quoted = self.here.split('`').skip(1).step_by(2);
        quoted.filter(|text| text.contains(".rs::")).map(|text| text.split_once("::").unwrap()).collect()
    }

    /// What it says beside the tests that it names.
    fn sentence(&self) -> &str {
        self.here.trim_start_matches(|c: char| c != ';').trim_start_matches("; ")
    }
}

/// The rows that begin with a number, of a table without `|` in its cells.
fn rows_of(text: &str) -> Vec<Row> {
    let cells =
        |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let row = |line: &str| {
        let [number, file, _group, title, answer, here] = <[String; 6]>::try_from(cells(line)).ok()?;
        Some(Row { number: number.parse().ok()?, file, title, answer, here })
    };
    text.lines().filter_map(row).collect()
}

/// Those of express-session's suite.
fn rows() -> Vec<Row> {
    rows_of(coverage()[0])
}

#[test]
fn every_title_of_the_suite_has_a_row() {
    let rows = rows();
    let numbers: Vec<usize> = rows.iter().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=160).collect::<Vec<_>>());
    let of = |file| rows.iter().filter(|row| row.file == file).count();
    assert_eq!((of("cookie.js"), of("session.js")), (18, 142));
    assert!(rows.iter().all(|row| row.title.starts_with("should ")));
}

#[test]
fn every_answer_has_what_belongs_to_it() {
    for row in coverage().into_iter().flat_map(rows_of) {
        let (tests, sentence) = (row.tests().len(), row.sentence());
        let holds = match row.answer.as_str() {
            "same" => tests > 0 && sentence.is_empty(),
            "differs" => tests > 0 && sentence.ends_with('.'),
            "cannot apply" => tests == 0 && row.here.len() > 20 && row.here.ends_with('.'),
            _ => false,
        };
        assert!(holds, "row {}: {}: {}", row.number, row.answer, row.here);
    }
}

#[test]
fn every_named_test_exists_and_the_numbers_are_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources: BTreeMap<String, String> = BTreeMap::new();
    let mut on_three = 0;
    let rows = rows();
    for row in &rows {
        let mut adapters = usize::from(!row.tests().is_empty()) * 3;
        for (path, test) in row.tests() {
            let source = sources.entry(path.into()).or_insert_with(|| {
                fs::read_to_string(folder.join(path))
                    .unwrap_or_else(|error| panic!("row {}: {path}: {error}", row.number))
            });
            let found = adapters_of(source, test);
            // One of its tests on the core alone, and the row is not on all three.
            adapters =
                adapters.min(found.unwrap_or_else(|| panic!("row {}: no {test} in {path}", row.number)));
        }
        on_three += usize::from(adapters == 3);
    }

    let answers = |answer| rows.iter().filter(|row| row.answer == answer).count();
    let (same, differ, cannot) = (answers("same"), answers("differs"), answers("cannot apply"));
    let counted = format!("{same} are the *same* here, {differ} *differ*, {cannot} *cannot apply*");
    for sentence in [counted, format!("{on_three} rows run on all three adapters")] {
        assert!(coverage()[0].replace('\n', " ").contains(&sentence), "the head does not say: {sentence}");
    }
    let readme = fs::read_to_string(folder.join("../README.md")).unwrap();
    let sentence = format!(
        "of {}, {same} are the same here, {differ} differ on purpose, {cannot} cannot apply; what is about HTTP ({on_three}, and of one \
         more a part) runs on all three adapters",
        rows.len()
    );
    assert!(readme.contains(&sentence), "README does not say: {sentence}");
}

#[test]
fn every_title_of_cookie_sessions_suite_has_a_row() {
    let rows = rows_of(coverage()[1]);
    let numbers: Vec<usize> = rows.iter().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=42).collect::<Vec<_>>());
    assert!(rows.iter().all(|row| row.file == "test.js" && row.title.starts_with("should ")));
}

#[test]
fn of_cookie_sessions_suite_the_tests_are_the_named_ones_and_the_numbers_are_right() {
    const PATH: &str = "tests/cookie_session_suite.rs";
    let head = coverage()[1];
    let rows = rows_of(head);
    let named: Vec<(&str, &str)> = rows.iter().flat_map(Row::tests).collect();
    assert!(named.iter().all(|(path, _)| *path == PATH), "{named:?}");
    let mut named: Vec<&str> = named.into_iter().map(|(_, test)| test).collect();

    // Each test is listed once, and is the answer to one title.
    let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(PATH)).unwrap();
    let listed = source.split_once("free =>").unwrap().1.split_once(';').unwrap().0;
    let mut listed: Vec<&str> = listed.split(',').map(str::trim).filter(|test| !test.is_empty()).collect();
    named.sort_unstable();
    listed.sort_unstable();
    assert_eq!(named, listed);

    let answers = |answer| rows.iter().filter(|row| row.answer == answer).count();
    let (same, differ, cannot) = (answers("same"), answers("differs"), answers("cannot apply"));
    let counted = format!(
        "{} tests, all in `test/test.js`: {same} are the *same* here, {differ} *differ*, {cannot} *cannot apply*",
        rows.len()
    );
    assert!(head.replace('\n', " ").contains(&counted), "the head does not say: {counted}");
}

/// On how many adapters a test runs: one right below the attribute that makes it a test runs on one at most, one that
/// `on_each_adapter` lists on three.
fn adapters_of(source: &str, name: &str) -> Option<usize> {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let function = |line: &str| {
        let function = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
        function.and_then(|rest| rest.split_once('(')).is_some_and(|(found, _)| found == name)
    };
    let attribute = |line: &str| line == "#[test]" || line.starts_with("#[tokio::test");
    if lines.windows(2).any(|pair| attribute(pair[0]) && function(pair[1])) {
        return Some(1);
    }
    let listed = source.split_once("on_each_adapter!(")?.1.split_once(");")?.0;
    let listed = listed.split(',').any(|listed| listed.trim() == name);
    (listed && lines.iter().any(|line| function(line))).then_some(3)
}
