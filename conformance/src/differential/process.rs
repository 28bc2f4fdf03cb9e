//! Probes as child processes, ended when dropped, and kept for one configuration after the other.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::normalise::By;

const PATIENCE: Duration = Duration::from_secs(30);

/// How to start one probe, and those of its processes that wait for a configuration.
#[derive(Clone, Debug)]
pub struct Program {
    command: PathBuf,
    arguments: Vec<OsString>,
    /// Its `save` stores the lifetime as it was read. Ours stores a whole one, as a `touch` before it makes that of
    /// express-session do: DESIGN has why.
    pub(super) touches_before_saving: bool,
    pub(super) by: By,
    idle: Arc<Mutex<Vec<Process>>>,
}

impl Program {
    /// A probe program of this project, by its path: `env!("CARGO_BIN_EXE_probe-axum")` in a test.
    pub fn probe(path: impl Into<PathBuf>) -> Self {
        Self {
            command: path.into(),
            arguments: Vec::new(),
            touches_before_saving: false,
            by: By::Us,
            idle: Arc::default(),
        }
    }

    /// The oracle: the real express-session, under Node.
    ///
    /// # Errors
    /// A sentence that says what is missing and how to get it.
    pub fn oracle() -> Result<Self, String> {
        let express = test_support::express()?;
        let arguments = vec![express.folder.join("probe.js").into()];
        let (touches_before_saving, by) = (true, By::Express);
        Ok(Self { command: express.node, arguments, touches_before_saving, by, idle: Arc::default() })
    }

    /// Has a process that is idle serve this configuration, or a new one; [`Starting::ready`] waits for it.
    pub(super) fn start(&self, config: &Value) -> Result<Starting, String> {
        let idle = self.idle.lock().ok().and_then(|mut idle| idle.pop());
        let mut process = match idle {
            Some(process) => process,
            None => self.spawn()?,
        };
        process.say(&config.to_string())?;
        Ok(Starting { process, idle: Arc::clone(&self.idle) })
    }

    fn spawn(&self) -> Result<Process, String> {
        let mut command = Command::new(&self.command);
        let mut child = command
            .args(&self.arguments)
            .arg("--many")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", self.command.display()))?;
        let said = lines(child.stdout.take());
        let complaints = lines(child.stderr.take());
        let input = child.stdin.take();
        Ok(Process { child, input, said, complaints })
    }
}

/// A probe that may not have bound its port yet.
pub(super) struct Starting {
    process: Process,
    idle: Arc<Mutex<Vec<Process>>>,
}

impl Starting {
    pub(super) fn ready(mut self) -> Result<Serving, String> {
        let url = self.process.url()?;
        Ok(Serving { process: Some(self.process), url, idle: self.idle })
    }
}

/// A configuration that is being served. When dropped, its process is kept for another.
#[derive(Debug)]
pub(super) struct Serving {
    process: Option<Process>,
    url: String,
    idle: Arc<Mutex<Vec<Process>>>,
}

impl Serving {
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Whether a handler waits at this gate.
    pub(super) fn waits_at(&mut self, gate: &str) -> Result<bool, String> {
        self.ask(&format!("gate {gate}")).map(|answer| answer == "waiting")
    }

    /// Lets the handler at this gate go on.
    pub(super) fn open(&mut self, gate: &str) -> Result<(), String> {
        self.ask(&format!("open {gate}")).map(drop)
    }

    fn ask(&mut self, line: &str) -> Result<String, String> {
        let process = self.process.as_mut().ok_or("it has ended")?;
        process.say(line)?;
        process.line()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let closed = self.ask(&format!("close {}", self.url));
        // One that does not close is ended here.
        if closed.is_ok_and(|answer| answer == "closed")
            && let Some(process) = self.process.take()
            && let Ok(mut idle) = self.idle.lock()
        {
            idle.push(process);
        }
    }
}

/// A running probe.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    said: Receiver<String>,
    complaints: Receiver<String>,
}

impl Process {
    fn say(&mut self, line: &str) -> Result<(), String> {
        let input = self.input.as_mut().ok_or("it has no input")?;
        let said = writeln!(input, "{line}").and_then(|()| input.flush());
        said.map_err(|error| self.complaint().unwrap_or_else(|| error.to_string()))
    }

    fn line(&self) -> Result<String, String> {
        self.said
            .recv_timeout(PATIENCE)
            .map_err(|_| self.complaint().unwrap_or_else(|| "it says nothing".into()))
    }

    /// What it wrote last to where errors go.
    fn complaint(&self) -> Option<String> {
        let first = self.complaints.recv_timeout(Duration::from_secs(1)).ok();
        self.complaints.try_iter().last().or(first)
    }

    /// The base URL that it says it listens at.
    fn url(&mut self) -> Result<String, String> {
        let line = self.line().map_err(|error| format!("it did not start: {}", error.trim()))?;
        match line.strip_prefix("listening ") {
            Some(url) => Ok(url.trim().to_owned()),
            None => Err(format!("it printed {line:?} instead of `listening …`")),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of `output` as they come: read to the end, so that the child never blocks on it.
fn lines(output: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let Some(output) = output else { return };
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
        }
    });
    receiver
}
