//! The real connect-mongo, by `node`.

use std::{path::Path, process::Command};

use serde_json::Value;
use test_support::{Express, Need, express};

/// A server that both stores use, and connect-mongo.
pub fn connect_mongo() -> Need<(String, Express)> {
    Ok((super::mongodb_url()?, express()?))
}

/// What `tests/data/connect-mongo.js` answers.
pub fn ask(express: &Express, arguments: &Value) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/connect-mongo.js");
    let mut node = Command::new(&express.node);
    let output = node.arg(script).arg(arguments.to_string()).current_dir(&express.folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
