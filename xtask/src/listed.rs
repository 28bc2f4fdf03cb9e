//! How many tests each program has, as `tests.txt` says: a list that is gone, or half of one, would pass as well.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::workspace::{self, Workspace};
use crate::{Result, say};

pub(crate) const COUNT_ANEW: &str = "`cargo xtask test --count` writes xtask/tests.txt anew";

/// By the names of the programs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Listed(BTreeMap<String, u64>);

impl Listed {
    pub(crate) fn read(workspace: &Workspace) -> Result<Self> {
        Self::parse(&workspace::read(&file(workspace))?)
    }

    fn parse(text: &str) -> Result<Self> {
        let entry = |line: &str| {
            let (number, name) = line.trim_start().split_once(' ')?;
            Some((name.to_owned(), number.parse().ok()?))
        };
        let entries = text.lines().map(|line| entry(line).ok_or(format!("tests.txt: no count: {line:?}")));
        entries.collect::<Result<_>>().map(Self)
    }

    /// One that is not listed has none.
    pub(crate) fn tests(&self, program: &str) -> u64 {
        self.0.get(program).copied().unwrap_or_default()
    }

    /// Fails for a program that is listed and is not among these.
    pub(crate) fn all_are_among(&self, programs: &[&str]) -> Result<()> {
        let gone: Vec<&str> =
            self.0.keys().map(String::as_str).filter(|name| !programs.contains(name)).collect();
        if gone.is_empty() { Ok(()) } else { Err(format!("missing: {}; {COUNT_ANEW}", gone.join(", "))) }
    }

    /// Says what has changed.
    pub(crate) fn write(&self, workspace: &Workspace) -> Result<()> {
        let before = Self::read(workspace).unwrap_or_default();
        for name in before.0.keys().chain(self.0.keys().filter(|name| !before.0.contains_key(*name))) {
            let (was, is) = (before.0.get(name), self.0.get(name));
            if was != is {
                say(&format!("{name}: {} tests, {} before", number(is), number(was)));
            }
        }
        workspace::write(&file(workspace), &self.to_string())
    }
}

fn number(tests: Option<&u64>) -> u64 {
    tests.copied().unwrap_or_default()
}

fn file(workspace: &Workspace) -> PathBuf {
    workspace.root.join("xtask/tests.txt")
}

impl FromIterator<(String, u64)> for Listed {
    fn from_iter<T: IntoIterator<Item = (String, u64)>>(entries: T) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, tests)| writeln!(f, "{tests:>4} {name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::Listed;
    use crate::workspace::Workspace;

    #[test]
    fn is_read_as_it_is_written() {
        let listed: Listed =
            [("a src/lib.rs".to_owned(), 12), ("b tests/c.rs".to_owned(), 0)].into_iter().collect();
        assert_eq!(listed.to_string(), "  12 a src/lib.rs\n   0 b tests/c.rs\n");
        assert_eq!(Listed::parse(&listed.to_string()), Ok(listed));
        assert!(Listed::parse("a src/lib.rs").is_err());
    }

    #[test]
    fn a_program_that_is_gone_is_named() {
        let listed = Listed::parse("1 a src/lib.rs\n2 b tests/c.rs\n").unwrap();
        assert_eq!(listed.all_are_among(&["b tests/c.rs", "a src/lib.rs", "new"]), Ok(()));
        let error = listed.all_are_among(&["a src/lib.rs"]).unwrap_err();
        assert!(error.starts_with("missing: b tests/c.rs;"), "{error}");
        assert_eq!((listed.tests("b tests/c.rs"), listed.tests("new")), (2, 0));
    }

    #[test]
    fn the_comparison_is_listed() {
        let listed = Listed::read(&Workspace::find()).unwrap();
        for name in ["differential", "stores", "planted", "parsers"] {
            assert!(listed.tests(&format!("conformance tests/{name}.rs")) > 1, "{name}");
        }
    }
}
