//! The examples of `express-session`, and other programs that serve, as a test uses them.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use test_support::{Need, free_port};

/// Where Cargo has put an example: beside the programs of this package.
pub(crate) fn built(name: &str) -> Need<PathBuf> {
    let program = Path::new(super::AXUM).with_file_name("examples").join(name);
    let missing = || format!("the example {name} is not built: `cargo xtask test` does it");
    program.is_file().then_some(program).ok_or_else(missing)
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
