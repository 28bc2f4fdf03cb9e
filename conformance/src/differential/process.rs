//! A probe as a child process, ended when dropped.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);

/// How to start one probe.
#[derive(Clone, Debug)]
pub struct Program {
    command: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// A probe program of this project, by its path: `env!("CARGO_BIN_EXE_probe-axum")` in a test.
    pub fn probe(path: impl Into<PathBuf>) -> Self {
        Self { command: path.into(), arguments: Vec::new() }
    }

    /// The oracle: the real express-session, under Node.
    ///
    /// # Errors
    /// A sentence that says what is missing and how to get it.
    pub fn oracle() -> Result<Self, String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("express");
        let runs = Command::new("node").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !runs.is_ok_and(|status| status.success()) {
            return Err("Node is missing: run `cargo xtask test`, which installs it".to_owned());
        }
        if !folder.join("node_modules").is_dir() {
            return Err("the npm packages of conformance/express are missing: run `cargo xtask test`, \
                        which installs them"
                .to_owned());
        }
        Ok(Self { command: "node".into(), arguments: vec![folder.join("probe.js").into()] })
    }

    pub(super) fn start(&self, config: &Value) -> Result<Starting, String> {
        let mut child = Command::new(&self.command)
            .args(&self.arguments)
            .env("PROBE_CONFIG", config.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", self.command.display()))?;
        let greeting = first_line(child.stdout.take());
        let complaint = first_line(child.stderr.take());
        Ok(Starting { process: Process { child }, greeting, complaint })
    }
}

/// A probe that may not have bound its port yet.
pub(super) struct Starting {
    process: Process,
    greeting: Receiver<String>,
    complaint: Receiver<String>,
}

impl Starting {
    /// The process and its base URL.
    pub(super) fn ready(self) -> Result<(Process, String), String> {
        match self.greeting.recv_timeout(PATIENCE) {
            Ok(line) => match line.strip_prefix("listening ") {
                Some(url) => Ok((self.process, url.trim().to_owned())),
                None => Err(format!("it printed {line:?} instead of `listening …`")),
            },
            Err(_) => {
                let complaint = self.complaint.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
                Err(format!("it did not start: {}", complaint.trim()))
            }
        }
    }
}

/// A running probe.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends the first line of `output`, and reads the rest so that the child never blocks on it.
fn first_line(output: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let Some(output) = output else { return };
        let mut lines = BufReader::new(output);
        let mut line = String::new();
        if lines.read_line(&mut line).is_ok_and(|length| length > 0) {
            let _ = sender.send(line);
        }
        drop(sender); // so that a probe that ends at once is noticed at once
        let _ = std::io::copy(&mut lines, &mut std::io::sink());
    });
    receiver
}
