//! The sum of all `test result:` lines.

use std::fmt;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// Ignored, as Rust calls it.
    pub(crate) skipped: u64,
}

impl Totals {
    /// Whatever came of them.
    pub(crate) fn ran(self) -> u64 {
        self.passed + self.failed + self.skipped
    }

    /// Adds what a line of `cargo test` says, which for most lines is nothing; answers whether it was a result.
    pub(crate) fn add(&mut self, line: &str) -> bool {
        // test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
        let Some(counts) = line.strip_prefix("test result: ") else { return false };
        for count in counts.split(';') {
            let mut words = count.split_whitespace().rev();
            let sum = match words.next() {
                Some("passed") => &mut self.passed,
                Some("failed") => &mut self.failed,
                Some("ignored") => &mut self.skipped,
                _ => continue,
            };
            *sum += words.next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0);
        }
        true
    }
}

impl std::ops::AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::Totals;

    fn sum(output: &str) -> Totals {
        let mut totals = Totals::default();
        output.lines().for_each(|line| _ = totals.add(line));
        totals
    }

    #[test]
    fn every_result_line_counts() {
        let output = "\
running 4 tests
test a ... ok
test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

     Running tests/b.rs (target/debug/deps/b-0123456789abcdef)
test b ... FAILED
test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 7 filtered out; finished in 1.20s
   Doc-tests c
test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.31s
all doctests ran in 1.07s; merged doctests compilation took 0.75s";
        assert_eq!(sum(output), Totals { passed: 18, failed: 2, skipped: 1 });
    }

    #[test]
    fn other_lines_count_nothing() {
        assert_eq!(sum("12 passed; 1 failed\n  test result: ok. 1 passed; 0 failed\n"), Totals::default());
        assert_eq!(sum("test result: unknown\ntest result: ok. many passed; -1 failed"), Totals::default());
    }

    #[test]
    fn the_last_line_is_plain() {
        assert_eq!(Totals { passed: 7, failed: 0, skipped: 3 }.to_string(), "7 passed, 0 failed, 3 skipped");
    }
}
