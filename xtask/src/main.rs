//! `cargo xtask …`: the whole test run, the database servers that it needs, the audit, and fuzzing.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

mod audit;
mod beside;
mod fuzz;
mod install;
mod listed;
mod node;
mod process;
mod progress;
mod services;
mod test;
mod totals;
mod versions;
mod workspace;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use workspace::Workspace;

/// What went wrong, in one sentence: all that a program for the terminal does with an error is to print it.
type Result<T> = std::result::Result<T, String>;

const USAGE: &str = "\
cargo xtask test [-- ARGUMENTS]          every test of the workspace; the arguments go to `cargo test`
cargo xtask test --quick [-- ARGUMENTS]  what needs no server and no Node, in a minute when it is built
cargo xtask test --count                 write anew how many tests each program has at least, which a whole run is held to
cargo xtask audit [CHECK ...]            licences, features, packages and all else that a release needs, or only some
cargo xtask fuzz [TARGET ...]            hostile input by libFuzzer for four minutes (FUZZ_SECONDS) each, to all targets or only some
cargo xtask versions [NAME ...]          the tests of a store on servers of other versions and makers, or only on some
cargo xtask services up [NAME ...]       start redis, mongo, postgres, mysql, or only some, and print their URLs
cargo xtask services down                stop them
cargo xtask services status              say which run";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let Err(error) = process::catch_interrupts() {
        return failed(&error);
    }
    let workspace = Workspace::find();
    let done = match words.as_slice() {
        ["test"] => return test::test(&workspace, &[]),
        ["test", "--", arguments @ ..] => return test::test(&workspace, arguments),
        ["test", "--quick"] => return test::quick(&workspace, &[]),
        ["test", "--quick", "--", arguments @ ..] => return test::quick(&workspace, arguments),
        ["test", "--count"] => test::count(&workspace),
        ["audit", names @ ..] => audit::audit(&workspace, names),
        ["fuzz", names @ ..] => fuzz::fuzz(&workspace, names),
        ["versions", names @ ..] => versions::versions(&workspace, names),
        ["services", "up", names @ ..] => services::up(&workspace, names),
        ["services", "down"] => services::down(&workspace),
        ["services", "status"] => services::status(&workspace),
        _ => Err(format!("usage:\n{USAGE}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &str) -> ExitCode {
    eprintln!("xtask: {error}");
    process::exit_code()
}

/// One line of what is being done. To stderr: stdout is for URLs and totals. Where it cannot be written nothing ends for that.
fn say(what: &str) {
    _ = writeln!(io::stderr(), "xtask: {what}");
}
