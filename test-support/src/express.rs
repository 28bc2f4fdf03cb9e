//! Node, and the npm packages of the Express oracle, `conformance/express`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::programs;

/// What runs the real express-session and its stores.
#[derive(Clone, Debug)]
pub struct Express {
    /// A Node that is new enough.
    pub node: PathBuf,
    /// Where the packages are installed.
    pub folder: PathBuf,
}

impl Express {
    /// # Errors
    /// A sentence that says what is missing.
    pub fn find() -> Result<Self, String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("conformance").join("express");
        let package = fs::read_to_string(folder.join("package.json")).unwrap_or_default();
        let needed = engine(&package).ok_or("conformance/express/package.json asks for no Node")?;
        let node = programs("node").find(|node| version(node).is_some_and(|version| version >= needed));
        let node = node.ok_or_else(|| format!("there is no Node {needed} or newer"))?;
        let missing = dependencies(&package).find(|name| !folder.join("node_modules").join(name).is_dir());
        match missing {
            Some(name) => Err(format!("the npm package {name} is not installed in conformance/express")),
            None => Ok(Self { node, folder }),
        }
    }
}

impl Express {
    /// What npm compiles of the packages that have SQLite.
    pub fn sqlite_drivers(&self) -> impl Iterator<Item = PathBuf> + use<> {
        sqlite_drivers(&self.folder.join("sqlite"))
    }
}

/// What npm compiles of the packages in this folder.
pub fn sqlite_drivers(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let packages = folder.join("node_modules");
    ["better-sqlite3/build/Release/better_sqlite3.node", "sqlite3/build/Release/node_sqlite3.node"]
        .into_iter()
        .map(move |driver| packages.join(driver))
}

/// The major version of Node that a `package.json` asks for.
#[must_use]
pub fn engine(package: &str) -> Option<u32> {
    let package: Value = serde_json::from_str(package).ok()?;
    major(package["engines"]["node"].as_str()?)
}

/// The first number: of `v22.20.0`, of `>=20`.
#[must_use]
pub fn major(version: &str) -> Option<u32> {
    version.split(|c: char| !c.is_ascii_digit()).find(|number| !number.is_empty())?.parse().ok()
}

fn version(node: &Path) -> Option<u32> {
    let version = Command::new(node).arg("--version").stdin(Stdio::null()).output().ok()?;
    major(&String::from_utf8(version.stdout).ok()?)
}

fn dependencies(package: &str) -> impl Iterator<Item = String> {
    let package: Value = serde_json::from_str(package).unwrap_or_default();
    let names = package["dependencies"].as_object().map(|all| all.keys().cloned().collect::<Vec<_>>());
    names.unwrap_or_default().into_iter()
}

#[cfg(test)]
mod tests {
    use super::{dependencies, engine, major};

    #[test]
    fn versions() {
        assert_eq!(major("v22.20.0"), Some(22));
        assert_eq!(major("v9.11.2"), Some(9));
        assert_eq!(major(">= 20.19"), Some(20));
        assert_eq!(major(""), None);
        assert_eq!(major("none"), None);
        assert_eq!(major("99999999999"), None);
    }

    #[test]
    fn the_version_of_a_package_json() {
        assert_eq!(engine(r#"{"name":"probe-express","engines":{"node":">=20"}}"#), Some(20));
        assert_eq!(engine(r#"{"name":"probe-express"}"#), None);
        assert_eq!(engine("no JSON"), None);
    }

    #[test]
    fn the_oracle_asks_for_one_and_for_the_packages_that_are_compared() {
        let package = include_str!("../../conformance/express/package.json");
        assert!(engine(package) >= Some(18));
        let names: Vec<String> = dependencies(package).collect();
        assert!(names.contains(&"express-session".into()) && names.contains(&"connect-mongo".into()));
    }
}
