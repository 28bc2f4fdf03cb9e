//! One running probe, for tests that send it requests of their own.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use ureq::Agent;

use super::http::{agent, exchange};
use super::process::{Program, Serving};
use super::sign::encode;

/// For a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running probe, ended when dropped.
#[derive(Debug)]
pub struct Server {
    serving: Mutex<Serving>,
    base: String,
    agent: Agent,
}

/// What a probe answered to a test.
#[derive(Debug)]
pub struct Sent {
    /// The status.
    pub status: u16,
    /// `name=value` of the session cookie, if one was sent.
    pub cookie: Option<String>,
    /// The results of the operations; null where the body is no JSON.
    pub results: Value,
}

/// All of an answer that a comparison of cookies looks at.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) set_cookie: Vec<String>,
    pub(super) body: String,
}

impl Program {
    /// Starts it, and waits until it listens.
    ///
    /// # Errors
    /// What it said instead.
    pub fn serve(&self, config: &Value) -> Result<Server, String> {
        let serving = self.start(config)?.ready()?;
        let base = serving.url().to_owned();
        Ok(Server { serving: Mutex::new(serving), base, agent: agent() })
    }
}

impl Server {
    /// Sends operations with a cookie. From any thread.
    ///
    /// # Errors
    /// There was no answer.
    pub fn send(&self, operations: &Value, cookie: Option<&str>) -> Result<Sent, String> {
        let mut headers = vec![("x-ops", encode(&operations.to_string()).into_bytes())];
        headers.extend(cookie.map(|cookie| ("cookie", cookie.as_bytes().to_vec())));
        let reply = exchange(&self.agent, "GET", &format!("{}/", self.base), &headers)
            .map_err(|error| error.to_string())?;
        let cookie = reply.headers.get("set-cookie").and_then(|value| value.to_str().ok());
        Ok(Sent {
            status: reply.status,
            cookie: cookie.and_then(|cookie| cookie.split(';').next()).map(str::to_owned),
            results: serde_json::from_str(&reply.body).unwrap_or_default(),
        })
    }

    /// Sends operations with headers.
    pub(super) fn ask(&self, headers: &[(String, Vec<u8>)], operations: &Value) -> Result<Answered, String> {
        let mut all = vec![("x-ops", encode(&operations.to_string()).into_bytes())];
        all.extend(headers.iter().map(|(name, value)| (name.as_str(), value.clone())));
        let reply = exchange(&self.agent, "GET", &format!("{}/", self.base), &all)
            .map_err(|error| error.to_string())?;
        let set_cookie = reply.headers.get_all("set-cookie").iter();
        Ok(Answered {
            status: reply.status,
            set_cookie: set_cookie
                .map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned())
                .collect(),
            body: reply.body,
        })
    }

    /// Sends operations with a cookie, over a plain connection of its own, and hangs up as soon as a handler waits at the gate.
    ///
    /// # Errors
    /// Nobody came there.
    pub fn hang_up_at(&self, gate: &str, operations: &Value, cookie: Option<&str>) -> Result<(), String> {
        let address = self.base.strip_prefix("http://").ok_or("the probe ends TLS")?;
        let cookie = cookie.map(|cookie| format!("cookie: {cookie}\r\n")).unwrap_or_default();
        let operations = encode(&operations.to_string());
        let request = format!("GET / HTTP/1.1\r\nhost: {address}\r\nx-ops: {operations}\r\n{cookie}\r\n");
        let mut stream = TcpStream::connect(address).map_err(|error| error.to_string())?;
        stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
        let begun = Instant::now();
        while !self.waits_at(gate)? {
            if begun.elapsed() > PATIENCE {
                return Err(format!("no handler waits at {gate}"));
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Whether a handler waits at this gate: one whose operation `["wait", gate]` has come.
    ///
    /// # Errors
    /// The probe is no more.
    pub fn waits_at(&self, gate: &str) -> Result<bool, String> {
        self.serving().waits_at(gate)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// The probe is no more.
    pub fn open(&self, gate: &str) -> Result<(), String> {
        self.serving().open(gate)
    }

    fn serving(&self) -> MutexGuard<'_, Serving> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
