//! `cargo xtask …`: the whole test run, and the database servers that it needs.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

mod fuzz;
mod install;
mod node;
mod process;
mod services;
mod test;
mod totals;
mod workspace;

use std::env;
use std::process::ExitCode;

use workspace::Workspace;

/// What went wrong, in one sentence: all that a program for the terminal does with an error is to print it.
type Result<T> = std::result::Result<T, String>;

const USAGE: &str = "\
cargo xtask test [-- ARGUMENTS]        every test of the workspace; the arguments go to `cargo test`
cargo xtask fuzz [TARGET] [--seconds N]  look for inputs that fail, an hour in total, or so long for each
cargo xtask services up [NAME ...]     start redis, mongo, postgres, mysql, or only some, and print their URLs
cargo xtask services down              stop them
cargo xtask services status            say which run";

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
        ["fuzz", arguments @ ..] => fuzz::fuzz(&workspace, arguments),
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

/// One line of what is being done. To stderr: stdout is for URLs and totals.
fn say(what: &str) {
    eprintln!("xtask: {what}");
}
