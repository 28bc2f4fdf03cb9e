//! `cargo xtask test`.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::{env, str, thread};

use crate::services::Lease;
use crate::totals::Totals;
use crate::workspace::Workspace;
use crate::{Result, node, process, say};

/// Every test, after everything they need. The last line is always `N passed, N failed`; what fails outside of a test
/// (a server that does not start, code that does not compile) is one failure.
pub(crate) fn test(workspace: &Workspace, arguments: &[&str]) -> ExitCode {
    let mut totals = Totals::default();
    let failure = match all(workspace, arguments, &mut totals) {
        Ok(status) if status.success() => None,
        Ok(_) if totals.failed > 0 => None,
        Ok(status) => Some(format!("cargo test failed outside of the tests, see above ({status})")),
        Err(error) => Some(error),
    };
    if let Some(failure) = failure {
        say(&failure);
        totals.failed = totals.failed.max(1);
    }
    println!("{totals}");
    if totals.failed == 0 { ExitCode::SUCCESS } else { process::exit_code() }
}

fn all(workspace: &Workspace, arguments: &[&str], totals: &mut Totals) -> Result<ExitStatus> {
    let path = node::ready(workspace)?;
    // Stops what it started when it goes out of scope, however this ends.
    let services = Lease::take(workspace)?;
    cargo_test(arguments, &path, &services.urls(), totals)
}

/// Shows the output as it comes, and sums it.
fn cargo_test(
    arguments: &[&str],
    path: &OsString,
    urls: &[(&str, String)],
    totals: &mut Totals,
) -> Result<ExitStatus> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["test", "--all-features", "--no-fail-fast"]);
    // Cargo would run all of the workspace in spite of `-p`.
    if !arguments.iter().take_while(|word| **word != "--").any(|word| names_package(word)) {
        command.arg("--workspace");
    }
    command.args(arguments).env("PATH", path).envs(urls.iter().cloned()).stdout(Stdio::piped());
    let mut child = process::foreground(&mut command)?;
    let output = child.stdout.take();
    // Waiting beside the reading, not after it: what a test leaves behind may hold the output open.
    thread::scope(|scope| {
        let shown = scope.spawn(|| output.map(|output| show(output, &mut io::stdout(), totals)));
        let status = process::wait(&mut child);
        if let Ok(Some(Err(error))) = shown.join() {
            return Err(format!("cannot show the output of cargo test: {error}"));
        }
        status
    })
}

fn show(output: impl io::Read, to: &mut impl Write, totals: &mut Totals) -> io::Result<()> {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&line)?;
        if let Ok(line) = str::from_utf8(&line) {
            totals.add(line);
        }
        line.clear();
    }
    to.flush()
}

fn names_package(word: &str) -> bool {
    word.starts_with("-p") || word.starts_with("--package")
}

#[cfg(test)]
mod tests {
    use super::{Totals, names_package, show};

    #[test]
    fn output_that_is_not_text_is_shown_and_skipped() {
        let (output, mut shown) = (b"\xff\xfe\ntest result: ok. 2 passed; 0 failed\nno newline", Vec::new());
        let mut totals = Totals::default();
        show(&output[..], &mut shown, &mut totals).unwrap();
        assert_eq!(shown, output);
        assert_eq!(totals, Totals { passed: 2, failed: 0 });
    }

    #[test]
    fn packages_are_named_in_three_ways() {
        assert!(["-p", "-pxtask", "--package", "--package=xtask"].into_iter().all(names_package));
        assert!(!["--test", "pages", "--workspace"].into_iter().any(names_package));
    }
}
