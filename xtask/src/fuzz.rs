//! `cargo xtask fuzz`: libFuzzer on the targets of `fuzz/`, on the stable toolchain.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use crate::workspace::{self, Workspace};
use crate::{Result, process, say};

/// All targets together, unless told otherwise.
const SECONDS: u64 = 3_600;

const CARGO_FUZZ: &str = "0.13.2";

/// Runs one target, or each in turn. What it finds is kept: inputs that reach something new in `target/fuzz/corpus`, those that
/// fail in `fuzz/artifacts`.
pub(crate) fn fuzz(workspace: &Workspace, arguments: &[&str]) -> Result<()> {
    let all = targets(workspace)?;
    let (chosen, seconds) = match arguments {
        [] => (None, None),
        ["--seconds", seconds] => (None, Some(*seconds)),
        [target] => (Some(*target), None),
        [target, "--seconds", seconds] => (Some(*target), Some(*seconds)),
        _ => return Err("usage: cargo xtask fuzz [TARGET] [--seconds N]".into()),
    };
    let chosen = match chosen {
        None => all.clone(),
        Some(target) if all.iter().any(|known| known == target) => vec![target.to_owned()],
        Some(target) => return Err(format!("there is no target {target}: {}", all.join(", "))),
    };
    let seconds = match seconds {
        None => SECONDS / all.len() as u64,
        Some(seconds) => seconds.parse().map_err(|_| format!("{seconds} is no number of seconds"))?,
    };
    install(workspace)?;
    let mut failed = Vec::new();
    for target in chosen {
        say(&format!("fuzzing {target} for {seconds} seconds"));
        if !run(workspace, &target, seconds)? {
            failed.push(target);
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("inputs that fail, see fuzz/artifacts: {}", failed.join(", ")))
    }
}

fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.root.join("fuzz").join("fuzz_targets");
    let cannot = |error| format!("cannot read {}: {error}", folder.display());
    let files = fs::read_dir(&folder).map_err(cannot)?;
    let mut targets: Vec<String> = files
        .filter_map(|file| Some(file.ok()?.path().file_stem()?.to_string_lossy().into_owned()))
        .collect();
    targets.sort();
    Ok(targets)
}

fn install(workspace: &Workspace) -> Result<()> {
    if process::ask(cargo().args(["fuzz", "--version"])).is_some() {
        return Ok(());
    }
    say(&format!("installing cargo-fuzz {CARGO_FUZZ}"));
    let log = workspace.kept.join("install.log");
    process::run(cargo().args(["install", "--locked", "cargo-fuzz", "--version", CARGO_FUZZ]), &log)
}

/// Answers whether no input failed.
fn run(workspace: &Workspace, target: &str, seconds: u64) -> Result<bool> {
    let built = workspace.kept.with_file_name("fuzz");
    let found = built.join("corpus").join(target);
    workspace::create(&found)?;
    let mut command = cargo();
    // Without a sanitizer, all that libFuzzer needs of the compiler is stable; and there is no unsafe code of ours to watch.
    command.args(["fuzz", "run", "--sanitizer", "none", "--target-dir"]).arg(&built).arg(target);
    command.arg(&found).arg(PathBuf::from("fuzz").join("corpus").join(target));
    command.args([
        "--",
        &format!("-max_total_time={seconds}"),
        "-max_len=4096",
        "-timeout=10",
        "-print_final_stats=1",
    ]);
    let status = process::wait(&mut process::foreground(command.current_dir(&workspace.root))?)?;
    Ok(status.success())
}

fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
