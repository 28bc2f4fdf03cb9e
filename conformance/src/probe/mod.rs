//! What the Rust probes share: everything but the framework. A probe describes its request and sends the reply.

mod client_side;
mod clock;
mod config;
mod faults;
mod faulty_layer;
mod functions;
mod gates;
mod javascript;
mod keys;
mod operations;
mod serving;
mod stores;
mod tls;

use std::io;

use percent_encoding::percent_decode_str;

use self::operations::Operation;
pub use self::{
    clock::ProbeClock,
    config::Config,
    faults::Fault,
    faulty_layer::faulty_layer,
    keys::Refusal,
    serving::{Serving, run},
    tls::{Tls, TlsListener},
};
use express_session::SessionHandle;

/// What a probe answers.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Headers to append.
    pub headers: Vec<(String, String)>,
    /// A JSON array, or nothing.
    pub body: String,
    /// Whether the handler ends with an error: the framework's own way to say so, which the rest is not for.
    pub thrown: bool,
    /// Whether the body is sent in chunks, its length not told before.
    pub streamed: bool,
}

impl Reply {
    fn new(status: u16, body: &str) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), thrown: false, streamed: false }
    }

    /// The body in two chunks, for one that is streamed.
    #[must_use]
    pub fn chunks(&self) -> [String; 2] {
        let (first, rest) = self.body.split_at(self.body.len().min(1));
        [first.into(), rest.into()]
    }
}

/// A configuration that this probe cannot honour: the key, and why not.
#[must_use]
pub fn unhonoured(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}

/// For the adapters that have no faulty layer.
///
/// # Errors
/// The configuration has a fault of one.
pub fn without_faulty_layer(config: &Config) -> io::Result<()> {
    let refused = || unhonoured("fault: only probe-axum has that layer");
    if config.fault.is_some_and(Fault::needs_layer) { Err(refused()) } else { Ok(()) }
}

/// The reply to `/none`, which never asks for the session.
#[must_use]
pub fn none() -> Reply {
    Reply::new(200, "[]")
}

/// Performs the operations of the header `x-ops` and makes the reply. `session` is none outside the cookie's path.
pub async fn perform(
    config: &Config,
    path: &str,
    ops: Option<&[u8]>,
    session: Option<&SessionHandle>,
) -> Reply {
    let Some(operations) = parse(ops) else {
        return Reply::new(400, "x-ops is no JSON array");
    };
    let mut reply = Reply::new(200, "[");
    for operation in operations {
        if operation.throws() {
            reply.thrown = true;
            return reply;
        }
        let result = operation.perform(config, session, &mut reply).await;
        let text = result.unwrap_or_else(|message| {
            format!(r#"{{"error":true,"message":{}}}"#, serde_json::Value::from(message))
        });
        reply.body += if reply.body == "[" { "" } else { "," };
        reply.body += &text;
    }
    reply.body.push(']');
    if path == "/head-only" {
        reply.status = 204;
        reply.body.clear();
        reply.streamed = false;
    }
    reply
}

fn parse(ops: Option<&[u8]>) -> Option<Vec<Operation>> {
    let Some(ops) = ops else { return Some(Vec::new()) };
    let text = percent_decode_str(std::str::from_utf8(ops).ok()?).decode_utf8().ok()?;
    serde_json::from_str(&text).ok()
}
