//! Test programs beside each other: many of them wait most of the time.

use std::env;
use std::io::{self, Read, Write, pipe};
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::listed::COUNT_ANEW;
use crate::progress::Done;
use crate::totals::Totals;
use crate::{Result, process, say};

/// Of what runs beside each other the tests are to be as sure as alone: no more than those of a machine that is busy.
const BESIDE: usize = 2;

/// One that hangs is ended, so that what it printed is seen. The longest takes a quarter of it on a machine that is busy.
pub(crate) const LIMIT: Duration = Duration::from_secs(60 * 60);

/// So many lines of a program that failed are shown once more at the end, where who keeps but a part of the output finds them.
const SHOWN_AGAIN: usize = 100;

/// With one of these it is the caller who says how much there is to do.
const MORE: [&str; 5] =
    ["SIMULATION", "DIFFERENTIAL_CONFIGS", "FUZZ_TIMES", "PARSER_INPUTS", "DIFFERENTIAL_SELF_CONFIGS"];

/// A test program, or what else runs tests.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) name: String,
    pub(crate) command: Command,
    /// How many tests it has; none: some are left out on purpose.
    pub(crate) tests: Option<u64>,
}

/// What the ones that have ended leave.
struct Ended<'a, W> {
    totals: &'a mut Totals,
    to: &'a mut W,
    done: Done,
    failed: Vec<String>,
    /// Of each that failed, the last it printed.
    ends: String,
    /// That one could not be run at all, or the interrupt.
    error: Option<String>,
}

/// Runs all, two at a time in this order, whatever comes of those before. The output of each is written when it has ended, and
/// summed; at the end stand the slowest.
///
/// # Errors
/// The tasks that failed, by their names; or why one could not be run.
pub(crate) fn run(tasks: Vec<Task>, totals: &mut Totals, to: &mut (impl Write + Send)) -> Result<()> {
    let count = tasks.len();
    let limit = if MORE.iter().any(|more| env::var_os(more).is_some()) { Duration::MAX } else { LIMIT };
    let queue = Mutex::new(tasks.into_iter().enumerate());
    let ended = Mutex::new(Ended {
        totals,
        to,
        done: Done::default(),
        failed: Vec::new(),
        ends: String::new(),
        error: None,
    });
    thread::scope(|scope| {
        for _ in 0..BESIDE {
            scope.spawn(|| {
                while let Some((index, task)) = next(&queue, &ended) {
                    say(&format!("{} of {count}: {}", index + 1, task.name));
                    let start = Instant::now();
                    let outcome = outcome(&task.command, limit);
                    locked(&ended).add(task.name, task.tests, start, outcome);
                }
            });
        }
    });
    let ended = ended.into_inner().unwrap_or_else(PoisonError::into_inner);
    write!(ended.to, "{}{}", ended.ends, ended.done.slowest())
        .map_err(|error| format!("cannot show the slowest: {error}"))?;
    let failed = (!ended.failed.is_empty()).then(|| format!("failed: {}", ended.failed.join(", ")));
    match ended.error.into_iter().chain(failed).collect::<Vec<_>>() {
        whole if whole.is_empty() => Ok(()),
        errors => Err(errors.join("\n")),
    }
}

/// None after an error.
fn next<T>(queue: &Mutex<impl Iterator<Item = T>>, ended: &Mutex<Ended<'_, impl Write>>) -> Option<T> {
    if locked(ended).error.is_some() { None } else { locked(queue).next() }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<W: Write> Ended<'_, W> {
    fn add(
        &mut self,
        name: String,
        tests: Option<u64>,
        start: Instant,
        outcome: Result<(Vec<u8>, ExitStatus)>,
    ) {
        let shown = outcome.and_then(|(output, status)| {
            let mut own = Totals::default();
            let results = String::from_utf8_lossy(&output).lines().filter(|line| own.add(line)).count();
            *self.totals += own;
            let (ran, tests) = (own.ran(), tests.unwrap_or(own.ran()));
            let failure = if !status.success() {
                Some(status.to_string())
            } else if results == 0 {
                Some("it says no result".into())
            } else if ran != tests {
                Some(format!("it has {ran} tests, and not {tests}; {COUNT_ANEW}"))
            } else {
                None
            };
            if let Some(failure) = failure {
                self.failed.push(format!("{name} ({failure})"));
                let output = String::from_utf8_lossy(&output);
                let from = output.lines().count().saturating_sub(SHOWN_AGAIN);
                let end = output.lines().skip(from).map(|line| format!("{line}\n"));
                self.ends.extend([format!("\n     Failed {name}\n")].into_iter().chain(end));
            }
            let written = writeln!(self.to, "\n     Ran {name}").and_then(|()| self.to.write_all(&output));
            written.and_then(|()| self.to.flush()).map_err(|error| format!("cannot show its output: {error}"))
        });
        if let Err(error) = shown {
            self.error.get_or_insert(error);
        }
        say(&self.done.add(name, start.elapsed()));
    }
}

/// All it printed, in the order in which it came, and how it ended.
pub(crate) fn outcome(command: &Command, limit: Duration) -> Result<(Vec<u8>, ExitStatus)> {
    let cannot = |error: io::Error| format!("cannot read the output of a test: {error}");
    let (mut output, to) = pipe().map_err(cannot)?;
    let errors = to.try_clone().map_err(cannot)?;
    let mut child = process::foreground_guarded(command, |shell| {
        shell.stdout(to).stderr(errors);
    })?;
    // Waiting beside the reading, not after it: what a test leaves behind may hold the output open.
    thread::scope(|scope| {
        let reading = scope.spawn(move || {
            let mut bytes = Vec::new();
            output.read_to_end(&mut bytes).map(|_| bytes)
        });
        let group = child.id();
        let (ended, end) = mpsc::channel::<()>();
        let hangs = scope.spawn(move || {
            let hangs = end.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
            if hangs {
                process::kill_group(group);
            }
            hangs
        });
        let status = process::wait(&mut child);
        drop(ended);
        let bytes = reading.join().unwrap_or_else(|_| Err(io::Error::other("the reader has panicked")));
        let mut bytes = bytes.map_err(cannot)?;
        if hangs.join().unwrap_or_default() {
            bytes.extend(format!("xtask: it was ended after {} s\n", limit.as_secs()).bytes());
        }
        Ok((bytes, status?))
    })
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::{LIMIT, Task, outcome, run};
    use crate::totals::Totals;

    const PASSED: &str = "echo 'test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured'";

    fn task(name: &str, script: &str) -> Task {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Task { name: name.into(), command, tests: None }
    }

    #[test]
    fn one_that_has_another_number_of_tests_has_failed() {
        let run = |script, tests| {
            let task = Task { tests: Some(tests), ..task("a", script) };
            run(vec![task], &mut Totals::default(), &mut Vec::new())
        };
        // What is ignored has run as well.
        assert_eq!(run(PASSED, 4), Ok(()));
        assert!(
            run(PASSED, 3).unwrap_err().contains("a (it has 4 tests, and not 3"),
            "which one may go later?"
        );
        assert!(run(PASSED, 5).unwrap_err().contains("a (it has 4 tests, and not 5"));
        let nothing = "echo 'test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured'";
        assert!(run(nothing, 1).unwrap_err().contains("a (it has 0 tests, and not 1"));
        assert_eq!(run(nothing, 0), Ok(()));
    }

    #[test]
    fn all_run_and_are_summed_whatever_comes_of_one() {
        let passed = PASSED;
        let failed = "echo 'test result: FAILED. 1 passed; 2 failed; 0 ignored' >&2; exit 101";
        let mut totals = Totals::default();
        let tasks = vec![task("a", passed), task("b", failed), task("c", passed), task("d", "exit 3")];
        let mut shown = Vec::new();
        let error = run(tasks, &mut totals, &mut shown).unwrap_err();
        assert!(error.contains("b (exit status: 101)") && error.contains("d (exit status: 3)"), "{error}");
        assert_eq!(totals, Totals { passed: 7, failed: 2, skipped: 2 });
        let shown = String::from_utf8(shown).unwrap();
        assert!(shown.contains("\n     Ran a\ntest result: ok. 3 passed"), "{shown}");
        let end = shown.split_once("\n     Failed b\ntest result: FAILED.").expect(&shown).1;
        assert!(end.contains("\n     Failed d\n") && end.contains("the slowest:\n"), "{shown}");
        assert!(!shown.contains("Failed a"), "{shown}");
        assert_eq!(run(vec![task("a", passed)], &mut totals, &mut Vec::new()), Ok(()));
    }

    #[test]
    fn one_that_says_no_result_has_failed() {
        let error = run(vec![task("a", "echo hello")], &mut Totals::default(), &mut Vec::new()).unwrap_err();
        assert!(error.contains("a (it says no result)"), "{error}");
    }

    #[test]
    fn one_that_hangs_is_ended_and_shown() {
        let command = task("a", "echo 'test b ...'; sleep 1000").command;
        let (output, status) = outcome(&command, Duration::from_secs(3)).unwrap();
        assert_eq!(output, b"test b ...\nxtask: it was ended after 3 s\n");
        assert!(!status.success());
    }

    #[test]
    fn it_runs_in_its_own_folder() {
        let mut command = task("a", "pwd").command;
        command.current_dir("/");
        assert_eq!(outcome(&command, LIMIT).unwrap().0, b"/\n");
    }

    #[test]
    fn two_run_at_a_time() {
        let folder = std::env::temp_dir().join(format!("xtask-beside-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let meet = |mine: &str, other: &str| {
            let folder = folder.display();
            format!("touch {folder}/{mine}; until [ -e {folder}/{other} ]; do sleep 0.01; done; {PASSED}")
        };
        let tasks = vec![task("a", &meet("a", "b")), task("b", &meet("b", "a"))];
        assert_eq!(run(tasks, &mut Totals::default(), &mut Vec::new()), Ok(()));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_it_leaves_behind_does_not_hold_it_up() {
        let task = task("a", &format!("sleep 1000 & {PASSED}"));
        assert_eq!(run(vec![task], &mut Totals::default(), &mut Vec::new()), Ok(()));
    }
}
