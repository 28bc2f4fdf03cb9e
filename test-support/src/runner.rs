//! The program of a test file some of whose tests need something.

use std::env;
use std::panic::resume_unwind;
use std::process::ExitCode;
use std::thread;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use session_testkit::{ContractTest, Fixture, admin_tests, store_tests};

use crate::Need;

/// The tests of a file, as [`tests!`](crate::tests) lists them, and how they run: as with `cargo test` otherwise.
#[derive(Debug)]
pub struct Tests {
    trials: Vec<Trial>,
    missing: Missing,
    left_out: usize,
}

/// What becomes of a test without what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    Ignored,
    /// As in CI.
    Fails,
    /// It is not even looked for.
    LeftOut,
}

impl Missing {
    /// By the variable `TEST_NEEDS`, which `cargo xtask test` sets.
    fn from_environment() -> Self {
        match env::var("TEST_NEEDS").as_deref() {
            Ok("required") => Self::Fails,
            Ok("left out") => Self::LeftOut,
            Ok(other) => panic!("TEST_NEEDS is {other:?}, neither \"required\" nor \"left out\""),
            Err(_) if env::var_os("CI").is_some() => Self::Fails,
            Err(_) => Self::Ignored,
        }
    }
}

impl Default for Tests {
    fn default() -> Self {
        Self { trials: Vec::new(), missing: Missing::from_environment(), left_out: 0 }
    }
}

impl Tests {
    /// A test that needs nothing.
    #[must_use]
    pub fn free(mut self, name: &str, test: impl FnOnce() + Send + 'static) -> Self {
        self.trials.push(Trial::test(
            name,
            named(name, move || {
                test();
                Ok(())
            }),
        ));
        self
    }

    /// A test that is given what it needs.
    #[must_use]
    pub fn needing<N>(
        mut self,
        name: &str,
        need: impl FnOnce() -> Need<N> + Send + 'static,
        test: impl FnOnce(N) + Send + 'static,
    ) -> Self {
        let missing = self.missing;
        if missing == Missing::LeftOut {
            self.left_out += 1;
            return self;
        }
        let run = move || match need() {
            Ok(needed) => {
                test(needed);
                Ok(Completion::Completed)
            }
            Err(reason) if missing == Missing::Fails => Err(Failed::from(reason)),
            Err(reason) => Ok(Completion::ignored_with(reason)),
        };
        self.trials.push(Trial::ignorable_test(name, named(name, run)));
        self
    }

    /// Tests of a contract, in the module of this name (none: no module), each on what `open` makes of what it needs.
    #[must_use]
    pub fn contract<N: 'static, F: Future<Output = Fixture>>(
        self,
        module: &str,
        need: impl FnOnce() -> Need<N> + Copy + Send + 'static,
        open: impl FnOnce(N) -> F + Copy + Send + 'static,
        tests: impl IntoIterator<Item = ContractTest>,
    ) -> Self {
        tests.into_iter().fold(self, |all, test| {
            let name =
                if module.is_empty() { test.name.to_owned() } else { format!("{module}::{}", test.name) };
            let run = move |needed| session_testkit::run(async move { test.run(&open(needed).await).await });
            all.needing(&name, need, run)
        })
    }

    /// Both contracts, as [`Self::contract`].
    #[must_use]
    pub fn contracts<N: 'static, F: Future<Output = Fixture>>(
        self,
        module: &str,
        need: impl FnOnce() -> Need<N> + Copy + Send + 'static,
        open: impl FnOnce(N) -> F + Copy + Send + 'static,
    ) -> Self {
        self.contract(module, need, open, store_tests()).contract(module, need, open, admin_tests())
    }

    /// Both contracts, but for the sentences that this store cannot keep.
    ///
    /// # Panics
    /// There is no such sentence.
    #[must_use]
    pub fn contracts_but<N: 'static, F: Future<Output = Fixture>>(
        self,
        module: &str,
        need: impl FnOnce() -> Need<N> + Copy + Send + 'static,
        open: impl FnOnce(N) -> F + Copy + Send + 'static,
        but: &[&str],
    ) -> Self {
        let mut tests = [store_tests(), admin_tests()].concat();
        for name in but {
            let all = tests.len();
            tests.retain(|test| test.name != *name);
            assert!(tests.len() < all, "no contract has the sentence {name}");
        }
        self.contract(module, need, open, tests)
    }

    /// What the file's `main` returns.
    pub fn run(self) -> ExitCode {
        let mut arguments = Arguments::from_args();
        // As Rust's own harness.
        let threads = || env::var("RUST_TEST_THREADS").ok()?.parse().ok();
        arguments.test_threads = arguments.test_threads.or_else(threads);
        if self.left_out > 0 && !arguments.list {
            println!("left out: {} tests that need a server, a program or Node", self.left_out);
        }
        libtest_mimic::run(&arguments, self.trials).exit_code()
    }
}

/// On a thread with the name of the test, which stands in front of what a panic says.
fn named<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> impl FnOnce() -> T + Send + 'static {
    let thread = thread::Builder::new().name(name.to_owned());
    move || {
        let running = thread.spawn(run).expect("a thread");
        running.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}

/// The [`Tests`] of a file, by what they need: nothing, or that something is there, or what then comes of it.
///
/// ```no_run
/// use test_support::{Need, service, tests};
///
/// fn two_and_two_is_four() {
///     assert_eq!(2 + 2, 4);
/// }
///
/// fn a_session_is_kept(url: String) {
///     assert!(url.starts_with("redis:"));
/// }
///
/// fn certificates_are_made() {}
///
/// fn redis() -> Need<String> {
///     service("REDIS_URL")
/// }
///
/// fn openssl() -> Need<()> {
///     test_support::installed("openssl").map(drop)
/// }
///
/// fn main() -> std::process::ExitCode {
///     tests! {
///         free => two_and_two_is_four;
///         if openssl => certificates_are_made;
///         needs redis => a_session_is_kept;
///     }
///     .run()
/// }
/// ```
#[macro_export]
macro_rules! tests {
    (
        $(free => $($free:path),+;)?
        $(if $condition:path => $($alone:path),+;)*
        $(needs $need:path => $($test:path),+;)*
    ) => {{
        let tests = $crate::Tests::default();
        $($(let tests = tests.free(::std::stringify!($free), $free);)+)?
        $($(let tests = tests.needing(::std::stringify!($alone), $condition, |()| $alone());)+)*
        $($(let tests = tests.needing(::std::stringify!($test), $need, $test);)+)*
        tests
    }};
}

#[cfg(test)]
mod tests {
    use libtest_mimic::Arguments;

    use super::{Missing, Tests};

    /// How many passed, failed and were ignored.
    fn counts(missing: Missing) -> (u64, u64, u64) {
        let tests = Tests { trials: Vec::new(), missing, left_out: 0 }
            .free("free", || {})
            .needing("has it", || Ok(1), |one| assert_eq!(one, 1))
            .needing("has none", || Err("no server".into()), |()| panic!("it runs all the same"));
        // Its result is no line of this program's.
        let arguments = Arguments { logfile: Some("/dev/null".into()), ..Arguments::default() };
        let done = libtest_mimic::run(&arguments, tests.trials);
        (done.num_passed, done.num_failed, done.num_ignored)
    }

    #[test]
    fn a_test_without_what_it_needs_never_passes() {
        assert_eq!(counts(Missing::Ignored), (2, 0, 1));
        assert_eq!(counts(Missing::Fails), (2, 1, 0));
        assert_eq!(counts(Missing::LeftOut), (1, 0, 0));
    }
}
