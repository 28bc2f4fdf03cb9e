//! The examples of `express-session`, and other programs that serve, as a test uses them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use test_support::{Need, free_port};

/// Where Cargo has put an example: beside the programs of this package. One that is older than what it is made of is none.
pub(crate) fn built(name: &str) -> Need<PathBuf> {
    const HOW: &str = "`cargo build --examples --all-features` and `cargo xtask test` build it";
    let program = Path::new(super::AXUM).with_file_name("examples").join(name);
    let made = fs::metadata(&program).and_then(|program| program.modified());
    let made = made.map_err(|_| format!("the example {name} is not built: {HOW}"))?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let parts = [
        "session-core",
        "session-axum",
        "session-actix",
        "session-rocket",
        "store-redis",
        "store-mongo",
        "store-sqlx",
    ];
    let sources = parts.map(|part| root.join(part).join("src"));
    let newest = sources
        .iter()
        .chain(&[root.join("src"), root.join("examples")])
        .filter_map(|part| newest(part))
        .max();
    if newest.unwrap() > made {
        Err(format!("the example {name} is older than its source: {HOW}"))
    } else {
        Ok(program)
    }
}

fn newest(folder: &Path) -> Option<SystemTime> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let of = |path: PathBuf| {
        if path.is_dir() {
            newest(&path)
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            Some(fs::metadata(path).unwrap().modified().unwrap())
        } else {
            None
        }
    };
    entries.filter_map(of).max()
}

/// A server that ends with its test.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
}

impl Server {
    /// On a port that was free a moment ago, once it says where it listens.
    pub(crate) fn start(command: &mut Command) -> Self {
        let command =
            command.env("PORT", free_port().to_string()).stdout(Stdio::piped()).stdin(Stdio::null());
        let mut server = Self { child: command.spawn().unwrap(), url: String::new() };
        BufReader::new(server.child.stdout.as_mut().unwrap()).read_line(&mut server.url).unwrap();
        server.url = server.url.trim().strip_prefix("listening on ").unwrap().to_owned();
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
