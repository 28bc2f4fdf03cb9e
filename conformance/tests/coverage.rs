//! `COVERAGE.md` names a test, or a reason, for each of the 160 titles of express-session's own suite; here it is held to
//! that.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::{collections::BTreeMap, fs, path::Path};

const CANNOT: &str = "Cannot apply: ";

/// One row of the table.
struct Row {
    number: usize,
    file: String,
    title: String,
    answer: String,
}

impl Row {
    /// `path::test` of every test that the row names.
    fn tests(&self) -> Vec<(&str, &str)> {
        let quoted = self.answer.split('`').skip(1).step_by(2);
        quoted.filter(|text| text.contains(".rs::")).map(|text| text.split_once("::").unwrap()).collect()
    }
}

/// The rows that begin with a number, of a table without `|` in its cells.
fn rows() -> Vec<Row> {
    let cells =
        |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let row = |line: &str| {
        let [number, file, _group, title, answer] = <[String; 5]>::try_from(cells(line)).ok()?;
        Some(Row { number: number.parse().ok()?, file, title, answer })
    };
    include_str!("../COVERAGE.md").lines().filter_map(row).collect()
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
fn every_row_names_a_test_or_a_reason() {
    for row in rows() {
        let reason = row.answer.strip_prefix(CANNOT).is_some_and(|reason| reason.len() > 20);
        assert!(reason == row.tests().is_empty(), "row {}: {}", row.number, row.answer);
    }
}

#[test]
fn every_named_test_exists() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources: BTreeMap<String, String> = BTreeMap::new();
    for row in rows() {
        for (path, test) in row.tests() {
            let source = sources.entry(path.into()).or_insert_with(|| {
                fs::read_to_string(folder.join(path))
                    .unwrap_or_else(|error| panic!("row {}: {path}: {error}", row.number))
            });
            assert!(is_test(source, test), "row {}: there is no test {test} in {path}", row.number);
        }
    }
}

/// A function of this name, right below the attribute that makes it a test.
fn is_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    lines.windows(2).any(|pair| {
        let attribute = pair[0] == "#[test]" || pair[0].starts_with("#[tokio::test");
        let function = pair[1].strip_prefix("async ").unwrap_or(pair[1]).strip_prefix("fn ");
        attribute && function.and_then(|rest| rest.split_once('(')).is_some_and(|(found, _)| found == name)
    })
}
