//! What the Rust probes share: everything but the framework. A probe describes its request and sends the reply.

mod config;
mod javascript;
mod keys;
mod operations;
mod stores;

use std::io::Write;

use percent_encoding::percent_decode_str;

use self::operations::Operation;
pub use self::{config::Config, keys::Refusal};
use express_session::Session;

/// What a probe answers.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Headers to append.
    pub headers: Vec<(String, String)>,
    /// A JSON array, or nothing.
    pub body: String,
}

/// The configuration in `PROBE_CONFIG`. One that cannot be honoured ends the process with exit status 2.
#[must_use]
pub async fn configure() -> Config {
    let text = std::env::var("PROBE_CONFIG").unwrap_or_else(|_| "{}".into());
    Config::parse(&text).await.unwrap_or_else(|refusal| {
        _ = writeln!(std::io::stderr(), "{refusal}");
        std::process::exit(2)
    })
}

/// Says that the port is bound.
pub fn announce(port: u16) {
    let mut out = std::io::stdout();
    _ = writeln!(out, "listening http://127.0.0.1:{port}").and_then(|()| out.flush());
}

/// The reply to `/none`, which never asks for the session.
#[must_use]
pub fn none() -> Reply {
    Reply { status: 200, headers: Vec::new(), body: "[]".into() }
}

/// Performs the operations of the header `x-ops` and makes the reply. `session` is none outside the cookie's path.
pub async fn perform(config: &Config, path: &str, ops: Option<&[u8]>, session: Option<&Session>) -> Reply {
    let Some(operations) = parse(ops) else {
        return Reply { status: 400, headers: Vec::new(), body: "x-ops is no JSON array".into() };
    };
    let mut reply = Reply { status: 200, headers: Vec::new(), body: String::from("[") };
    for operation in operations {
        let result = operation.perform(config.store.as_ref(), session, &mut reply).await;
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
    }
    reply
}

fn parse(ops: Option<&[u8]>) -> Option<Vec<Operation>> {
    let Some(ops) = ops else { return Some(Vec::new()) };
    let text = percent_decode_str(std::str::from_utf8(ops).ok()?).decode_utf8().ok()?;
    serde_json::from_str(&text).ok()
}
