//! What the Rust probes share: everything but the framework. A probe describes its request and sends the reply.

mod clock;
mod config;
mod javascript;
mod keys;
mod operations;
mod serving;
mod stores;

use percent_encoding::percent_decode_str;

use self::operations::Operation;
pub use self::{
    clock::ProbeClock,
    config::Config,
    keys::Refusal,
    serving::{Serving, run},
};
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
    }
    reply
}

fn parse(ops: Option<&[u8]>) -> Option<Vec<Operation>> {
    let Some(ops) = ops else { return Some(Vec::new()) };
    let text = percent_decode_str(std::str::from_utf8(ops).ok()?).decode_utf8().ok()?;
    serde_json::from_str(&text).ok()
}
