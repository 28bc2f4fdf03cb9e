//! The examples of `express-session`, and other programs that serve, as a test uses them.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use test_support::{Need, free_port};

/// Where Cargo has put an example: beside the programs of this package. One that is older than what it is made of is none.
pub(crate) fn built(name: &str) -> Need<PathBuf> {
    const HOW: &str = "`cargo build --examples --all-features` and `cargo xtask test` build it";
    let program = Path::new(super::AXUM).with_file_name("examples").join(name);
    let made = modified(&program).map_err(|_| format!("the example {name} is not built: {HOW}"))?;
    // Beside it Cargo says what it was made of, as for `make`: "PROGRAM: SOURCE SOURCE …".
    let sources = fs::read_to_string(program.with_extension("d")).unwrap();
    let is_newer = |source: &str| modified(Path::new(source)).is_ok_and(|source| source > made);
    match sources.split_whitespace().skip(1).find(|source| is_newer(source)) {
        Some(source) => Err(format!("the example {name} is older than {source}: {HOW}")),
        None => Ok(program),
    }
}

fn modified(file: &Path) -> io::Result<SystemTime> {
    fs::metadata(file)?.modified()
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
