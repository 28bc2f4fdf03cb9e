//! `cargo xtask fuzz`: the targets of `fuzz/` under libFuzzer.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use test_support::program;

use crate::workspace::{self, Workspace};
use crate::{Result, install, process, say};

const CARGO_FUZZ: &str = "0.13.2";
/// Of each target, unless `FUZZ_SECONDS` says otherwise: an hour for all.
const SECONDS: u32 = 240;

/// All targets, or those that are named; each runs, whatever became of the ones before it.
pub(crate) fn fuzz(workspace: &Workspace, names: &[&str]) -> Result<()> {
    let seconds = match env::var("FUZZ_SECONDS") {
        Ok(seconds) => seconds.parse().map_err(|_| format!("FUZZ_SECONDS is not a number: {seconds:?}"))?,
        Err(_) => SECONDS,
    };
    let all = targets(&workspace.root.join("fuzz/fuzz_targets"))?;
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|target| target == *name)) {
        return Err(format!("no target {unknown}, only {}", all.join(", ")));
    }
    let program = match program("cargo-fuzz") {
        Some(program) => program,
        None => install::cargo(workspace, "cargo-fuzz", CARGO_FUZZ)?.join("cargo-fuzz"),
    };
    let mut failed = Vec::new();
    for target in all.iter().filter(|target| names.is_empty() || names.contains(&target.as_str())) {
        say(&format!("fuzz: {target}, {seconds} s"));
        // What is found goes into the first folder, and not into the repository.
        let found = workspace.kept.join("corpus").join(target);
        workspace::create(&found)?;
        let mut command = Command::new(&program);
        // The sanitizers need a nightly compiler, and find what `unsafe` does: there is none.
        command.current_dir(&workspace.root).args(["fuzz", "run", "--sanitizer", "none", target]);
        command.arg(&found).arg(format!("fuzz/corpus/{target}"));
        command.args(["--", "-print_final_stats=1", &format!("-max_total_time={seconds}")]);
        let done = run(&mut command);
        process::not_interrupted()?;
        if done.is_err() {
            failed.push(target.as_str());
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("fuzzing failed: {}", failed.join(", "))) }
}

/// In the order of their names.
fn targets(folder: &Path) -> Result<Vec<String>> {
    let files = fs::read_dir(folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let stem = |file: &Path| Some(file.file_stem()?.to_str()?.to_owned());
    let mut targets: Vec<String> = files.flatten().filter_map(|file| stem(&file.path())).collect();
    targets.sort();
    Ok(targets)
}

/// Its output is shown as it comes.
fn run(command: &mut Command) -> Result<()> {
    let status = process::wait(&mut process::foreground(command)?)?;
    if status.success() { Ok(()) } else { Err(format!("{status}, see above")) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::targets;

    #[test]
    fn every_target_has_a_corpus_and_a_test() {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("fuzz");
        let (manifest, tests) = (
            fs::read_to_string(fuzz.join("Cargo.toml")).unwrap(),
            fs::read_to_string(fuzz.join("src/lib.rs")).unwrap(),
        );
        let targets = targets(&fuzz.join("fuzz_targets")).unwrap();
        assert!(!targets.is_empty());
        for target in targets {
            assert!(fuzz.join("corpus").join(&target).is_dir(), "{target}");
            assert!(manifest.contains(&format!("name = \"{target}\"")), "{target}");
            assert!(tests.contains(&format!("\n    {target}, ")), "{target}");
        }
    }
}
