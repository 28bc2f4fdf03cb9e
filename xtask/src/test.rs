//! `cargo xtask test`.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write, pipe};
use std::process::{Command, ExitCode, Stdio};
use std::{env, str, thread};

use crate::beside::{self, Task};
use crate::listed::Listed;
use crate::progress::{Program, Progress};
use crate::services::Lease;
use crate::totals::Totals;
use crate::workspace::Workspace;
use crate::{Result, node, process, say};

/// What `--quick` does not run although it needs nothing: the tests whose names begin so take long.
const SLOW: [&str; 7] = [
    "life::simulation::",
    // What every adapter does is tried over plain HTTP/1.1.
    "http1_tls",
    "http2",
    "three_operations_at_once_in_every_order",
    "crypto::tests::",
    // They compile packages.
    "the_compiler_says_what_to_write",
    "a_release_build_warns_of_the_store_that_nobody_chose",
];

/// Those that take longest, by package and source.
const LONGEST: [&str; 6] = [
    "conformance tests/stores.rs",
    "store-mongo tests/contract.rs",
    "session-core src/lib.rs",
    "conformance tests/differential.rs",
    "store-sqlx tests/sqlite.rs",
    "fuzz src/lib.rs",
];

/// Stands for the programs that rustdoc makes of them.
const EXAMPLES: &str = "examples of the documentation";

/// What is set for the tests.
type Environment = Vec<(String, OsString)>;

/// Every test, after everything they need. The last line is always `N passed, N failed, N skipped`; what fails outside of a
/// test (code that does not compile) is one failure.
pub(crate) fn test(workspace: &Workspace, arguments: &[&str]) -> ExitCode {
    conclude(|totals| {
        let mut environment: Environment = vec![("TEST_NEEDS".into(), "required".into())];
        match node::ready(workspace) {
            Ok(node) => {
                if let Err(error) = node::with_sqlite(workspace, &node) {
                    process::not_interrupted()?;
                    say(&format!("going on without Node's stores on SQLite\n{error}"));
                    environment.push(("NODE_SQLITE_MISSING".into(), error.into()));
                }
                environment.push(("PATH".into(), node.path));
            }
            Err(error) => {
                process::not_interrupted()?;
                say(&format!("going on without Node\n{error}"));
                environment.push(("NODE_MISSING".into(), error.into()));
            }
        }
        // Stops what it started when it goes out of scope, however this ends.
        let services = Lease::take(workspace)?;
        environment.extend(services.environment().map(|(name, value)| (name, value.into())));
        match arguments {
            [] => every_program(&[], &[], &environment, Some(&Listed::read(workspace)?), totals),
            _ => cargo_test(&[], arguments, &environment, totals),
        }
    })
}

/// What needs no server and no Node and does not take long.
pub(crate) fn quick(_: &Workspace, arguments: &[&str]) -> ExitCode {
    const LEFT_OUT: &str = "--quick leaves out: tests that need a server, a program or Node; examples and those in the \
        documentation; and what takes long:";
    conclude(|totals| {
        say(&format!("{LEFT_OUT} {}", SLOW.join(", ")));
        let environment = vec![("TEST_NEEDS".into(), "left out".into())];
        let targets = ["--lib", "--bins", "--tests"];
        let skip = SLOW.into_iter().flat_map(|slow| ["--skip", slow]);
        if arguments.is_empty() {
            return every_program(&targets, &skip.collect::<Vec<_>>(), &environment, None, totals);
        }
        // After those of the caller.
        let mut arguments = arguments.to_vec();
        if !arguments.contains(&"--") {
            arguments.push("--");
        }
        arguments.extend(skip);
        cargo_test(&targets, &arguments, &environment, totals)
    })
}

/// Nothing may fail, and nothing be skipped.
fn conclude(tests: impl FnOnce(&mut Totals) -> Result<()>) -> ExitCode {
    let mut totals = Totals::default();
    let failure = match tests(&mut totals) {
        Ok(()) if totals.passed == 0 => Some("no test was run".into()),
        Ok(()) => None,
        Err(error) => Some(error),
    };
    if let Some(failure) = failure {
        say(&failure);
        totals.failed = totals.failed.max(1);
    }
    println!("{totals}");
    if totals.failed == 0 && totals.skipped == 0 { ExitCode::SUCCESS } else { process::exit_code() }
}

/// Writes anew how many tests each program has, by what it lists.
pub(crate) fn count(workspace: &Workspace) -> Result<()> {
    let count = |task: Task| {
        let mut command = task.command;
        let (output, status) = beside::outcome(command.env("TEST_NEEDS", "required"), beside::LIMIT)?;
        let output = String::from_utf8_lossy(&output);
        if !status.success() {
            return Err(format!("{}: {status}\n{output}", task.name));
        }
        Ok((task.name, output.lines().filter(|line| line.ends_with(": test")).count() as u64))
    };
    let mut tasks: Vec<Task> =
        build(&[], &[])?.into_iter().map(|program| program.task(&["--list"])).collect();
    tasks.push(examples(&["--", "--list"]));
    let counted: Listed = tasks.into_iter().map(count).collect::<Result<_>>()?;
    counted.write(workspace)
}

fn examples(arguments: &[&str]) -> Task {
    Task { name: EXAMPLES.into(), command: cargo(&["--doc"], arguments), tests: None }
}

/// All of the workspace, several programs at a time: those that take longest first, and the examples of the documentation last.
fn every_program(
    targets: &[&str],
    arguments: &[&str],
    environment: &Environment,
    listed: Option<&Listed>,
    totals: &mut Totals,
) -> Result<()> {
    let mut programs = build(targets, &[])?;
    programs.sort_by_key(|program| {
        LONGEST.iter().position(|long| *long == program.name).unwrap_or(LONGEST.len())
    });
    let mut tasks: Vec<Task> = programs.into_iter().map(|program| program.task(arguments)).collect();
    if targets.is_empty() {
        tasks.push(examples(&[]));
    }
    for task in &mut tasks {
        task.command.envs(environment.iter().cloned()).env("CARGO_TERM_COLOR", "never");
        task.tests = listed.map(|listed| listed.tests(&task.name));
    }
    let names: Vec<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
    let missing = listed.map_or(Ok(()), |listed| listed.all_are_among(&names));
    let failed = beside::run(tasks, totals, &mut io::stdout());
    let errors: Vec<String> = [failed, missing].into_iter().filter_map(Result::err).collect();
    if errors.is_empty() { Ok(()) } else { Err(errors.join("\n")) }
}

impl Program {
    fn task(self, arguments: &[&str]) -> Task {
        let mut command = Command::new(self.executable);
        command.args(arguments).current_dir(&self.folder).env("CARGO_MANIFEST_DIR", self.folder);
        Task { name: self.name, command, tests: None }
    }
}

/// Builds first, and so knows what will run. Shows the output as it comes, and sums it.
fn cargo_test(
    targets: &[&str],
    arguments: &[&str],
    environment: &Environment,
    totals: &mut Totals,
) -> Result<()> {
    let mut progress = Progress::of(&build(targets, arguments)?);
    let (output, to) = can_show(pipe())?;
    let errors = can_show(to.try_clone())?;
    let mut command = cargo(targets, arguments);
    command.envs(environment.iter().cloned()).env("CARGO_TERM_COLOR", "never");
    // One pipe for both, so that what stands in which order is what came in that order.
    let mut child = process::foreground_guarded(&command, |shell| {
        shell.stdout(to).stderr(errors);
    })?;
    // Waiting beside the reading, not after it: what a test leaves behind may hold the output open.
    let status = thread::scope(|scope| {
        let shown = scope.spawn(|| show(output, &mut io::stdout(), totals, &mut progress));
        let status = process::wait(&mut child);
        if let Ok(shown) = shown.join() {
            can_show(shown)?;
        }
        status
    });
    print!("{}", progress.done.slowest());
    match status? {
        status if status.success() || totals.failed > 0 => Ok(()),
        status => Err(format!("cargo test failed outside of the tests, see above ({status})")),
    }
}

fn build(targets: &[&str], arguments: &[&str]) -> Result<Vec<Program>> {
    // All up to those for the tests themselves.
    let arguments: Vec<&str> = arguments.iter().copied().take_while(|word| *word != "--").collect();
    if arguments.contains(&"--doc") {
        return Ok(Vec::new());
    }
    let mut command = cargo(targets, &arguments);
    command.args(["--no-run", "--message-format=json-render-diagnostics"]);
    let mut child = process::foreground_guarded(&command, |shell| {
        shell.stdout(Stdio::piped());
    })?;
    let mut messages = String::new();
    let read = child.stdout.take().map(|mut output| output.read_to_string(&mut messages));
    let status = process::wait(&mut child)?;
    can_show(read.transpose())?;
    if status.success() { Program::all(&messages) } else { Err(format!("it does not build ({status})")) }
}

fn cargo(targets: &[&str], arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["test", "--locked", "--all-features", "--no-fail-fast"]).args(targets);
    // Cargo would run all of the workspace in spite of `-p`.
    if !names_packages(arguments) {
        command.arg("--workspace");
    }
    command.args(arguments);
    command
}

fn show(
    output: impl Read,
    to: &mut impl Write,
    totals: &mut Totals,
    progress: &mut Progress,
) -> io::Result<()> {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line)? > 0 {
        if let Ok(line) = str::from_utf8(&line) {
            totals.add(line);
            if let Some(said) = progress.line(line) {
                writeln!(to, "{said}")?;
            }
        }
        to.write_all(&line)?;
        line.clear();
    }
    if let Some(said) = progress.end() {
        writeln!(to, "{said}")?;
    }
    to.flush()
}

fn can_show<T>(done: io::Result<T>) -> Result<T> {
    done.map_err(|error| format!("cannot show the output of cargo test: {error}"))
}

fn names_packages(arguments: &[&str]) -> bool {
    arguments.iter().take_while(|word| **word != "--").any(|word| names_package(word))
}

fn names_package(word: &str) -> bool {
    word.starts_with("-p") || word.starts_with("--package")
}

#[cfg(test)]
mod tests {
    use super::{Progress, Totals, names_packages, show};

    #[test]
    fn output_that_is_not_text_is_shown_and_passed_over() {
        let (output, mut shown) = (b"\xff\xfe\ntest result: ok. 2 passed; 0 failed\nno newline", Vec::new());
        let mut totals = Totals::default();
        show(&output[..], &mut shown, &mut totals, &mut Progress::default()).unwrap();
        assert_eq!(shown, output);
        assert_eq!(totals, Totals { passed: 2, failed: 0, skipped: 0 });
    }

    #[test]
    fn what_begins_and_ends_is_said_between_the_lines() {
        let output = "     Running tests/a.rs (deps/a-1)\ntest result: ok. 1 passed; 0 failed\n";
        let (mut shown, mut totals) = (Vec::new(), Totals::default());
        show(output.as_bytes(), &mut shown, &mut totals, &mut Progress::default()).unwrap();
        let shown = String::from_utf8(shown).unwrap();
        assert!(shown.starts_with("xtask: 1 of 1: tests/a.rs\n     Running"), "{shown}");
        assert!(shown.contains("\nxtask: tests/a.rs took 0."), "{shown}");
    }

    #[test]
    fn packages_are_named_in_three_ways() {
        for word in ["-p", "-pxtask", "--package", "--package=xtask"] {
            assert!(names_packages(&["--test", word]));
        }
        assert!(!names_packages(&["--test", "pages", "--workspace", "--", "-p"]));
    }
}
