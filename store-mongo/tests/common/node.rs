//! The real connect-mongo, by `node`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// Where connect-mongo is installed. Without it the test shall return: a sentence says what was skipped.
pub fn installed() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/express");
    if folder.join("node_modules/connect-mongo").is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "connect-mongo is not installed in conformance/express");
    println!("skipped: connect-mongo is not installed; `npm ci` in conformance/express does it");
    None
}

/// What `tests/data/connect-mongo.js` answers.
pub fn ask(folder: &Path, arguments: &Value) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/connect-mongo.js");
    let output =
        Command::new("node").arg(script).arg(arguments.to_string()).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
