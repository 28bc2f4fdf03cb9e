//! One case as plain data: a configuration and the requests to send under it.

use std::fmt;

use serde_json::{Map, Value};

use super::cookies::Cookies;
use super::normalise::Session;

/// Everything that one seed stands for.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) seed: u64,
    /// `PROBE_CONFIG` without `store` and `port`.
    pub(super) config: Map<String, Value>,
    pub(super) requests: Vec<Request>,
    /// Where both sides' clock stands at the first request, in milliseconds since 1970; none: the real time.
    pub(super) starts_at: Option<i64>,
}

#[derive(Clone, Debug)]
pub(super) struct Request {
    /// Which program of an alternating side answers. Kept when other requests are dropped.
    pub(super) turn: usize,
    pub(super) client: usize,
    /// How long after the request before it, in milliseconds, where the clock is not the real one.
    pub(super) after: i64,
    pub(super) method: &'static str,
    pub(super) path: String,
    /// What `X-Forwarded-Proto` says; each line is a header of its own.
    pub(super) forwarded: Option<&'static str>,
    pub(super) cookies: Cookies,
    pub(super) ops: Vec<Op>,
    /// Before it the server is started anew, with these secrets.
    pub(super) secret: Option<Value>,
    /// Before it the record of its client is overwritten by one that nobody can read, and removed after it: on databases alone.
    pub(super) spoils: bool,
    /// Sent while this one waits at its gate, and answered before that opens.
    pub(super) during: Option<Box<Request>>,
}

/// Where a request waits for the one that is sent meanwhile.
pub(super) const WAIT: &str = r#"["wait","@gate@"]"#;

/// The handler ends here, with an error.
pub(super) const THROW: &str = r#"["throw"]"#;

/// One operation of the probe protocol.
#[derive(Clone, Debug)]
pub(super) struct Op {
    /// Its JSON text. `@sidN@` stands for the sid that client N holds, which differs on the two sides, `@now@` for the time, which
    /// this operation moves on by [`Op::moves`], `@inN@` for N milliseconds later than that, and `@gate@`
    /// for the name of the request's gate.
    pub(super) text: String,
    pub(super) answers: Answers,
    /// By how many milliseconds it moves the clock.
    pub(super) moves: i64,
}

/// What of an operation's result cannot be equal on two sides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Answers {
    Plain,
    Sid,
    Cookie,
    Record,
}

impl Case {
    /// Lifetimes of zero or less become a minute; where time passes, nothing is counted, which takes in what has expired.
    pub(super) fn make_lasting(&mut self) {
        if self.starts_at.is_some() {
            let counts = |op: &Op| op.text == r#"["store","length"]"# || op.text == r#"["store","all"]"#;
            self.requests.iter_mut().for_each(|request| request.ops.retain(|op| !counts(op)));
        }
        self.lengthen();
    }

    /// Lifetimes of zero or less become a minute.
    pub(super) fn lengthen(&mut self) {
        const MINUTE: u32 = 60_000;
        let over = |age: &Value| age.as_f64().is_some_and(|ms| ms <= 0.0);
        if let Some(age) =
            self.config.get_mut("cookie").and_then(|cookie| cookie.get_mut("maxAge")).filter(|age| over(age))
        {
            *age = MINUTE.into();
        }
        for op in self.requests.iter_mut().flat_map(|request| &mut request.ops) {
            let parsed: Value = serde_json::from_str(&op.text).unwrap_or_default();
            if parsed[0] == "maxAge" && over(&parsed[1]) {
                op.text = format!("[\"maxAge\",{MINUTE}]");
            }
        }
    }

    /// Whether a store that fails to write does so in the handler, which goes on: what Express makes of it at the end of a request
    /// is another difference, and a known one.
    pub(super) fn fails_in_handler(&self) -> bool {
        let writes = self.config.get("storeFails").is_some_and(|fails| fails["verb"] != "get");
        !writes
            || self
                .requests
                .first()
                .is_some_and(|first| matches!(&first.ops[..], [_, save, _] if save.text == r#"["save"]"#))
    }

    /// Where a store fails, every error page is of that, and has a body.
    pub(super) fn leave_one_reason(&mut self) {
        if self.config.contains_key("storeFails") {
            for request in &mut self.requests {
                request.ops.retain(|op| op.text != THROW);
                if request.method == "HEAD" {
                    request.method = "GET";
                }
            }
        }
    }

    /// The cookie's name under this configuration.
    pub(super) fn cookie_name(&self) -> &str {
        cookie_name(&self.config)
    }

    /// What the layers sign: the inner one, whose secrets may be others by now, and the one around it.
    pub(super) fn sessions(&self, secret: Option<&Value>) -> Vec<Session> {
        let outer = self.config.get("outer").and_then(Value::as_object);
        let session = |config: &Map<String, Value>, secret: Option<&Value>| {
            let secret = secrets(secret).into_iter().next().unwrap_or_default();
            Session { name: cookie_name(config).to_owned(), secret }
        };
        let outer = outer.map(|config| session(config, config.get("secret")));
        [session(&self.config, secret)].into_iter().chain(outer).collect()
    }
}

fn cookie_name(config: &Map<String, Value>) -> &str {
    config.get("name").and_then(Value::as_str).unwrap_or("connect.sid")
}

/// The secrets as bytes, the one that signs first.
pub(super) fn secrets(secret: Option<&Value>) -> Vec<Vec<u8>> {
    match secret {
        Some(Value::Array(secrets)) => secrets.iter().filter_map(bytes).collect(),
        Some(secret) => bytes(secret).into_iter().collect(),
        None => Vec::new(),
    }
}

/// A secret is a string, or bytes as `{"hex": "…"}`.
fn bytes(secret: &Value) -> Option<Vec<u8>> {
    let Some(hex) = secret.get("hex") else { return Some(secret.as_str()?.into()) };
    let hex = hex.as_str()?;
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()).collect()
}

impl Request {
    /// By how many milliseconds its operations move the clock.
    pub(super) fn moves(&self) -> i64 {
        self.ops.iter().map(|op| op.moves).sum()
    }
}

/// The `x-ops` text on one side, where `sid_of` knows the clients' sids, at the time `now`.
pub(super) fn operations(ops: &[Op], mut now: i64, sid_of: impl Fn(usize) -> String) -> String {
    let text = |op: &Op| {
        now += op.moves;
        let text = op.text.replace("@now@", &now.to_string());
        replaced(text, "@in", |later| (now + later.parse::<i64>().unwrap_or_default()).to_string())
    };
    let texts: Vec<_> = ops.iter().map(text).collect();
    replaced(format!("[{}]", texts.join(",")), "@sid", |client| sid_of(client.parse().unwrap_or_default()))
}

/// The text with each `{mark}…@` in it replaced.
fn replaced(mut text: String, mark: &str, by: impl Fn(&str) -> String) -> String {
    while let Some((before, rest)) = text.split_once(mark) {
        let Some((inside, after)) = rest.split_once('@') else { break };
        text = format!("{before}{}{after}", by(inside));
    }
    text
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "config {}", Value::Object(self.config.clone()))?;
        for (index, request) in self.requests.iter().enumerate() {
            writeln!(f, "{:>3}. {request}", index + 1)?;
        }
        Ok(())
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.after != 0 {
            write!(f, "{} ms later, ", self.after)?;
        }
        if let Some(secret) = &self.secret {
            write!(f, "with the secret {secret} from here on, ")?;
        }
        if self.spoils {
            write!(f, "its record spoilt, ")?;
        }
        write!(f, "client {} {} {}", self.client, self.method, self.path)?;
        if let Some(scheme) = self.forwarded {
            write!(f, " X-Forwarded-Proto: {scheme:?}")?;
        }
        // An operation that moves the clock shows by how much since the request came.
        write!(
            f,
            " cookies {:?} {}",
            self.cookies,
            operations(&self.ops, 0, |client| format!("<sid of client {client}>"))
        )?;
        match &self.during {
            Some(during) => write!(f, "\n     meanwhile {during}"),
            None => Ok(()),
        }
    }
}
