//! `cargo xtask audit`: what a release needs beside its tests.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs};

use serde_json::Value;

use crate::workspace::{self, Workspace};
use crate::{Result, install, process, say};

/// Python packages that hold programs, with the hash of each.
const TOOLS: &str = include_str!("../wheels/audit.txt");
/// No package has it ready-made.
const SEMVER_CHECKS: &str = "0.51.0";
/// Its dependencies are the other members, each with its feature: without features it needs no more than the core does.
const FACADE: &str = "express-session";
const LICENCES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

/// One thing that is looked at.
struct Check {
    name: &'static str,
    /// Says what holds, in one sentence.
    run: fn(&Audit<'_>) -> Result<String>,
}

/// What takes seconds first.
const ALL: [Check; 11] = [
    Check { name: "typos", run: typos },
    Check { name: "unused", run: unused },
    Check { name: "deny", run: deny },
    Check { name: "advisories", run: advisories },
    Check { name: "rust-version", run: rust_version },
    Check { name: "package", run: package },
    Check { name: "features", run: features },
    Check { name: "publish", run: publish },
    Check { name: "docs", run: docs },
    Check { name: "old-rust", run: old_rust },
    Check { name: "semver", run: semver },
];

/// All checks, or those that are named. Each runs, whatever became of the ones before it.
pub(crate) fn audit(workspace: &Workspace, names: &[&str]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| !ALL.iter().any(|check| check.name == **name)) {
        return Err(format!("no check {unknown}, only {}", ALL.map(|check| check.name).join(", ")));
    }
    let audit = Audit { workspace, path: tools(workspace)? };
    let (mut lines, mut failed) = (Vec::new(), Vec::new());
    for check in ALL.iter().filter(|check| names.is_empty() || names.contains(&check.name)) {
        say(&format!("audit: {}", check.name));
        let start = Instant::now();
        let found = (check.run)(&audit);
        process::not_interrupted()?;
        if found.is_err() {
            failed.push(check.name);
        }
        lines.push(line(check.name, start.elapsed(), &found));
    }
    println!("{}", lines.join("\n"));
    if failed.is_empty() { Ok(()) } else { Err(format!("the audit failed: {}", failed.join(", "))) }
}

fn line(name: &str, took: Duration, found: &Result<String>) -> String {
    let (word, what) = match found {
        Ok(what) => ("ok", what),
        Err(what) => ("FAILED", what),
    };
    format!("{name:<13}{word:<7}{:>4} s  {what}", took.as_secs())
}

fn typos(audit: &Audit<'_>) -> Result<String> {
    audit.run(&mut audit.command("typos"))?;
    Ok("no word is misspelt".into())
}

fn unused(audit: &Audit<'_>) -> Result<String> {
    audit.cargo(&["shear", "--locked", "--deny-warnings"])?;
    Ok("every dependency is used".into())
}

fn deny(audit: &Audit<'_>) -> Result<String> {
    audit.cargo(&["deny", "--locked", "check", "bans", "licenses", "sources"])?;
    Ok("licences, sources and names of all dependencies are allowed".into())
}

/// The database of advisories is a git repository, fetched each time.
fn advisories(audit: &Audit<'_>) -> Result<String> {
    audit.cargo(&["deny", "--locked", "check", "advisories"])?;
    Ok("no advisory names a dependency".into())
}

fn rust_version(audit: &Audit<'_>) -> Result<String> {
    needs_no_more(&audit.metadata()?)?;
    Ok("no dependency declares to need a newer Rust than the crate that has it".into())
}

fn features(audit: &Audit<'_>) -> Result<String> {
    let crates = "hack check --locked --workspace --ignore-private";
    // `default` has nothing in any crate.
    let features = "--feature-powerset --depth 2 --exclude-features default";
    audit.cargo(&words(&format!("{crates} {features}")))?;
    Ok("each feature alone and every two together compile".into())
}

fn package(audit: &Audit<'_>) -> Result<String> {
    let metadata = audit.metadata()?;
    let mut command = audit.command("cargo");
    audit.run(command.args(["package", "--locked", "--no-verify"]).args(packages(&metadata)))?;
    let folder = PathBuf::from(text(&metadata["target_directory"])).join("package");
    for package in published(&metadata) {
        let name = format!("{}-{}", text(&package["name"]), text(&package["version"]));
        audit.has_licences(&folder, &name)?;
    }
    Ok("every crate can be packed, and has its licences".into())
}

/// In the order of their dependencies, each compiled from its package.
fn publish(audit: &Audit<'_>) -> Result<String> {
    audit.cargo(&["publish", "--locked", "--workspace", "--dry-run"])?;
    Ok("every crate compiles from its package".into())
}

/// As docs.rs makes them.
fn docs(audit: &Audit<'_>) -> Result<String> {
    let metadata = audit.metadata()?;
    let mut command = audit.command("cargo");
    command.args(["+nightly", "doc", "--locked", "--no-deps", "--all-features"]);
    audit.run(command.args(packages(&metadata)).env("RUSTDOCFLAGS", "--cfg docsrs -D warnings"))?;
    Ok("the documentation is made as docs.rs makes it".into())
}

/// With the toolchains themselves, which rustup downloads.
fn old_rust(audit: &Audit<'_>) -> Result<String> {
    let others = format!("--workspace --ignore-private --exclude {FACADE} --all-features");
    for packages in [others, format!("--package {FACADE}")] {
        audit.cargo(&words(&format!("hack check --locked --rust-version {packages}")))?;
    }
    Ok("every crate compiles with the Rust that it declares".into())
}

/// Against the last release, which is a tag: `v0.1.0`.
fn semver(audit: &Audit<'_>) -> Result<String> {
    let Some(last) = last_release(&audit.workspace.root)? else {
        return Ok("there is no release yet to compare with".into());
    };
    let folder = install::cargo(audit.workspace, "cargo-semver-checks", SEMVER_CHECKS)?;
    let mut command = audit.command(folder.join("cargo-semver-checks"));
    audit.run(command.args(["semver-checks", "--workspace", "--baseline-rev", &last]))?;
    Ok(format!("nothing that is used since {last} breaks"))
}

/// Fails where git does: only an empty list of tags means that there is none.
fn last_release(folder: &Path) -> Result<Option<String>> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").current_dir(folder).args(arguments).output();
        let output = output.map_err(|error| format!("cannot run git: {error}"))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
            false => Err(format!("git {}: {}", arguments[0], String::from_utf8_lossy(&output.stderr).trim())),
        }
    };
    if git(&["tag", "--list", "v[0-9]*", "--merged", "HEAD^"])?.is_empty() {
        return Ok(None);
    }
    git(&["describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", "HEAD^"]).map(Some)
}

/// Where the checks run.
struct Audit<'a> {
    workspace: &'a Workspace,
    /// With the tools in front.
    path: OsString,
}

impl Audit<'_> {
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.workspace.root).env("PATH", &self.path);
        command
    }

    fn cargo(&self, arguments: &[&str]) -> Result<()> {
        self.run(self.command("cargo").args(arguments))
    }

    /// Its output is shown as it comes.
    fn run(&self, command: &mut Command) -> Result<()> {
        let status = process::wait(&mut process::foreground(command)?)?;
        if status.success() { Ok(()) } else { Err(format!("{status}, see above")) }
    }

    /// The same texts in a packed crate as in the workspace.
    fn has_licences(&self, folder: &Path, name: &str) -> Result<()> {
        for licence in LICENCES {
            let mut tar = self.command("tar");
            tar.arg("-xOf").arg(folder.join(format!("{name}.crate"))).arg(format!("{name}/{licence}"));
            let packed = tar.output().map_err(|error| format!("cannot run tar: {error}"))?.stdout;
            if packed != workspace::read(&self.workspace.root.join(licence))?.as_bytes() {
                return Err(format!("{name} is packed without {licence}, or with another text"));
            }
        }
        Ok(())
    }

    /// Of the workspace and all its dependencies, with every feature.
    fn metadata(&self) -> Result<Value> {
        let output = self
            .command("cargo")
            .args(["metadata", "--locked", "--all-features", "--format-version=1", "--quiet"])
            .output()
            .map_err(|error| format!("cannot run cargo metadata: {error}"))?;
        serde_json::from_slice(&output.stdout)
            .map_err(|_| format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// Installs what is missing, and returns the `PATH` on which it is found.
fn tools(workspace: &Workspace) -> Result<OsString> {
    let folder = workspace.kept.join("programs/audit");
    let installed = folder.join("audit.txt");
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == TOOLS) {
        return with_tools(&folder);
    }
    say(&format!("installing the tools of the audit in {}", folder.display()));
    fs::remove_dir_all(&folder).ok();
    if process::ask(Command::new("python3").args(["-m", "pip", "--version"])).is_none() {
        install::debian(workspace, &["python3-pip"])?;
    }
    let arguments = "-m pip install --require-hashes --only-binary=:all: --no-deps --no-compile --target";
    let mut pip = Command::new("python3");
    pip.args(words(arguments)).arg(&folder).arg("-r").arg(workspace.root.join("xtask/wheels/audit.txt"));
    process::run(&mut pip, &workspace.kept.join("install.log"))?;
    workspace::write(&installed, TOOLS)?;
    with_tools(&folder)
}

fn with_tools(folder: &Path) -> Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::join_paths([folder.join("bin")].into_iter().chain(env::split_paths(&path)))
        .map_err(|error| format!("cannot put {} in PATH: {error}", folder.display()))
}

/// Fails for a member whose `rust-version` is older than what one of its dependencies declares.
fn needs_no_more(metadata: &Value) -> Result<()> {
    is_whole(metadata)?;
    for member in array(&metadata["workspace_members"]) {
        let package = of_id(&metadata["packages"], member);
        let declared = version(package);
        let mut seen = vec![member];
        let mut at = 0;
        while let Some(&id) = seen.get(at) {
            at += 1;
            let dependency = of_id(&metadata["packages"], id);
            if version(dependency) > declared {
                let (name, needs) = (text(&dependency["name"]), text(&dependency["rust_version"]));
                return Err(format!("{}: {name} needs Rust {needs}", text(&package["name"])));
            }
            let edges = array(&of_id(&metadata["resolve"]["nodes"], id)["deps"]);
            for edge in edges.iter().filter(|edge| follows(metadata, package, edge)) {
                if !seen.contains(&&edge["pkg"]) {
                    seen.push(&edge["pkg"]);
                }
            }
        }
    }
    Ok(())
}

/// Every member and every dependency is described: one that is not would count as one that needs nothing.
fn is_whole(metadata: &Value) -> Result<()> {
    let nodes = array(&metadata["resolve"]["nodes"]);
    let edges = nodes.iter().flat_map(|node| array(&node["deps"])).map(|edge| &edge["pkg"]);
    let mut ids = array(&metadata["workspace_members"]).iter().chain(edges).peekable();
    if ids.peek().is_none() {
        return Err("cargo metadata names no package".into());
    }
    for id in ids {
        let is_in = |list: &Value| !of_id(list, id).is_null();
        if !(is_in(&metadata["packages"]) && is_in(&metadata["resolve"]["nodes"])) {
            return Err(format!("cargo metadata does not describe {id}"));
        }
    }
    Ok(())
}

/// Whether who builds this member builds that dependency. Tests do not count; and where another member comes with a
/// feature, so does what that one needs, also where this one names it as well.
fn follows(metadata: &Value, member: &Value, edge: &Value) -> bool {
    let is_built = array(&edge["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev");
    let optional =
        || array(&member["dependencies"]).iter().filter(|dependency| dependency["optional"] == true);
    let is = |dependency: &&Value| text(&dependency["name"]).replace('-', "_") == text(&edge["name"]);
    let comes_with_a_feature = optional().filter(is).any(|dependency| {
        let members = || optional().filter(|dependency| dependency["path"].is_string());
        dependency["path"].is_string() || members().any(|other| needs(metadata, other, &edge["pkg"]))
    });
    is_built && !comes_with_a_feature
}

/// Whether the package of this dependency has that one among its own.
fn needs(metadata: &Value, dependency: &Value, id: &Value) -> bool {
    let is_it = |package: &&Value| package["name"] == dependency["name"];
    let package = array(&metadata["packages"]).iter().find(is_it);
    package.is_some_and(|package| {
        array(&of_id(&metadata["resolve"]["nodes"], &package["id"])["deps"])
            .iter()
            .any(|edge| edge["pkg"] == *id)
    })
}

/// The members that are published.
fn published(metadata: &Value) -> impl Iterator<Item = &Value> {
    // `publish = false` is an empty list of registries.
    let members = array(&metadata["workspace_members"]).iter();
    members.map(|id| of_id(&metadata["packages"], id)).filter(|package| package["publish"].is_null())
}

fn packages(metadata: &Value) -> impl Iterator<Item = &str> {
    published(metadata).flat_map(|package| ["--package", text(&package["name"])])
}

fn of_id<'a>(list: &'a Value, id: &Value) -> &'a Value {
    array(list).iter().find(|entry| entry["id"] == *id).unwrap_or(&Value::Null)
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The `rust-version` of a package as numbers; none is the oldest.
fn version(package: &Value) -> Vec<u32> {
    let mut numbers: Vec<u32> =
        text(&package["rust_version"]).split('.').filter_map(|number| number.parse().ok()).collect();
    numbers.resize(3, 0);
    numbers
}

fn words(command: &str) -> Vec<&str> {
    command.split(' ').collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{last_release, needs_no_more, published, text};

    /// `app` has `time`, and with a feature `sql`, which has `sqlx`, as `app` itself has with it; its tests have `criterion`.
    fn metadata(app: &str) -> Value {
        let package = |id: &str, rust: Option<&str>, dependencies: Value| json!({ "id": id, "name": id, "rust_version": rust, "publish": null, "dependencies": dependencies });
        let sql = json!([
            { "name": "sql", "optional": true, "path": "/sql" },
            { "name": "sqlx", "optional": true },
        ]);
        let edge =
            |to: &str, kind: Option<&str>| json!({ "pkg": to, "name": to, "dep_kinds": [{ "kind": kind }] });
        json!({
            "workspace_members": ["app", "sql"],
            "packages": [
                package("app", Some(app), sql),
                package("sql", Some("1.94"), json!([])),
                package("time", Some("1.88.0"), json!([])),
                package("sqlx", Some("1.94.0"), json!([])),
                package("criterion", Some("1.99"), json!([])),
                package("old", None, json!([])),
            ],
            "resolve": { "nodes": [
                { "id": "app", "deps": [
                    edge("old", None), edge("sql", None), edge("sqlx", None), edge("criterion", Some("dev"))
                ] },
                { "id": "old", "deps": [edge("time", Some("build")), edge("app", None)] },
                { "id": "sql", "deps": [edge("sqlx", None)] },
                { "id": "time" },
                { "id": "sqlx" },
                { "id": "criterion" },
            ] },
        })
    }

    #[test]
    fn a_dependency_may_not_need_more_than_is_declared() {
        assert_eq!(needs_no_more(&metadata("1.88")), Ok(()));
        assert_eq!(needs_no_more(&metadata("1.100")), Ok(()));
        assert_eq!(needs_no_more(&metadata("1.87")), Err("app: time needs Rust 1.88.0".into()));
        let mut alone = metadata("1.88");
        alone["resolve"]["nodes"][2]["deps"] = json!([]);
        assert_eq!(needs_no_more(&alone), Err("app: sqlx needs Rust 1.94.0".into()), "no member brings it");
        let mut metadata = metadata("1.88");
        metadata["packages"][1]["rust_version"] = "1.93.1".into();
        assert_eq!(needs_no_more(&metadata), Err("sql: sqlx needs Rust 1.94.0".into()));
    }

    #[test]
    fn a_package_that_is_not_described_is_an_error() {
        assert!(needs_no_more(&json!({})).is_err());
        for part in ["/packages/3", "/resolve/nodes/4"] {
            let mut metadata = metadata("1.94");
            assert_eq!(needs_no_more(&metadata), Ok(()));
            metadata.pointer_mut(part).unwrap()["id"] = "another".into();
            let error = needs_no_more(&metadata).unwrap_err();
            assert!(error.contains("does not describe"), "{part}: {error}");
        }
    }

    #[test]
    fn a_git_that_fails_is_no_missing_release() {
        let folder = std::env::temp_dir().join(format!("xtask-tags-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let git = |arguments: &str| {
            let identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
            let mut command = std::process::Command::new("git");
            let output = command.current_dir(&folder).args(identity).args(super::words(arguments)).output();
            assert!(output.unwrap().status.success(), "{arguments}");
        };
        git("init --quiet");
        assert!(last_release(&folder).is_err(), "there is nothing before it");
        git("commit --quiet --allow-empty --message=one --no-gpg-sign");
        git("commit --quiet --allow-empty --message=two --no-gpg-sign");
        assert_eq!(last_release(&folder), Ok(None));
        git("tag v0.1.0 HEAD^");
        assert_eq!(last_release(&folder), Ok(Some("v0.1.0".into())));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_is_not_published() {
        let mut metadata = metadata("1.88");
        metadata["packages"][0]["publish"] = json!([]);
        let names: Vec<&str> = published(&metadata).map(|package| text(&package["name"])).collect();
        assert_eq!(names, ["sql"]);
    }
}
