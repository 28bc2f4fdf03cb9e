//! One of the two sides that are compared: its programs, its store and, while a case runs, its clients' jars.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Map, Value, json};
use ureq::Agent;

use super::answer::Answer;
use super::case::{Case, Op, Request, operations};
use super::cookies::{STAND_IN, Wallet};
use super::http::{agent, exchange};
use super::jar::Jar;
use super::normalise::{self, Session, Symbols};
use super::process::{Program, Serving};
use super::sign::{encode, sid_of};

/// What answers on one side of the comparison.
#[derive(Clone, Debug)]
pub struct Side {
    programs: Vec<Program>,
    store: Value,
    clear: bool,
    utf8: bool,
    rewrite: fn(String) -> String,
    overrides: Map<String, Value>,
}

impl Side {
    /// One program on its memory store.
    pub fn of(program: Program) -> Self {
        Self::alternating([program])
    }

    /// Several programs that answer in turns, with the same cookie jars. They need a shared [`store`](Self::store).
    pub fn alternating(programs: impl IntoIterator<Item = Program>) -> Self {
        Self {
            programs: programs.into_iter().collect(),
            store: json!({ "kind": "memory" }),
            clear: false,
            utf8: false,
            rewrite: |body| body,
            overrides: Map::new(),
        }
    }

    /// The `store` of the probe protocol, for all programs of this side. `{case}` in one of its strings becomes another
    /// word (letters, digits, `_`) for each case and side, so that cases can share a database: in a prefix, say.
    #[must_use]
    pub fn store(mut self, store: Value) -> Self {
        self.store = store;
        self
    }

    /// Empties the store before each case: for stores that `{case}` cannot keep apart. Needs one worker.
    #[must_use]
    pub fn cleared(mut self) -> Self {
        self.clear = true;
        self
    }

    /// Sends cookies that are not UTF-8 as UTF-8: a server that drops such a header whole, before any of our code sees it,
    /// cannot find the good cookie beside them. Both sides need it.
    #[must_use]
    pub fn utf8_headers(mut self) -> Self {
        self.utf8 = true;
        self
    }

    /// Rewrites every body before it is compared, where what the two stores show differs on purpose.
    #[must_use]
    pub fn rewritten(mut self, rewrite: fn(String) -> String) -> Self {
        self.rewrite = rewrite;
        self
    }

    /// A key of the configuration that this side has instead of the random one.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.overrides.insert(key.to_owned(), value.into());
        self
    }

    pub(super) fn programs(&self) -> usize {
        self.programs.len()
    }

    /// Starts every program; [`Starting::ready`] waits for them, so that both sides start at once.
    pub(super) fn start<'a>(&'a self, case: &'a Case) -> Result<Starting<'a>, String> {
        static CASES: AtomicUsize = AtomicUsize::new(0);
        let token = format!("d{}_{}", std::process::id(), CASES.fetch_add(1, Ordering::Relaxed));
        let mut config = case.config.clone();
        config.extend(self.overrides.clone());
        config.insert("store".to_owned(), named(&self.store, &token));
        if case.starts_at.is_some() {
            config.insert("clock".to_owned(), true.into());
        }
        let config = Value::Object(config);

        let programs = self.programs.iter().map(|program| program.start(&config));
        Ok(Starting { side: self, case, programs: programs.collect::<Result<_, _>>()? })
    }
}

/// `store` with `{case}` replaced in all of its strings.
fn named(store: &Value, token: &str) -> Value {
    match store {
        Value::String(text) => text.replace("{case}", token).into(),
        Value::Array(items) => items.iter().map(|item| named(item, token)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| (key.clone(), named(value, token))).collect()
        }
        other => other.clone(),
    }
}

pub(super) struct Starting<'a> {
    side: &'a Side,
    case: &'a Case,
    programs: Vec<super::process::Starting>,
}

impl<'a> Starting<'a> {
    pub(super) fn ready(self) -> Result<Running<'a>, String> {
        let programs = self.programs.into_iter().map(super::process::Starting::ready);
        let running = Running {
            side: self.side,
            case: self.case,
            programs: programs.collect::<Result<_, _>>()?,
            agent: agent(),
            jars: Vec::new(),
            symbols: Symbols::default(),
        };
        if self.side.clear {
            running.clear()?;
        }
        Ok(running)
    }
}

/// A side while a case runs.
pub(super) struct Running<'a> {
    side: &'a Side,
    case: &'a Case,
    programs: Vec<Serving>,
    agent: Agent,
    jars: Vec<Jar>,
    symbols: Symbols,
}

impl Running<'_> {
    /// Sends one request as its client would, and keeps the cookies that come back. `now` counts where the case has a clock of
    /// its own.
    pub(super) fn send(&mut self, request: &Request, now: i64) -> Result<Answer, String> {
        let (name, secrets) = (self.case.cookie_name(), self.case.secrets());
        let jar = |client: usize| self.jars.get(client);
        let value = |client: usize| Some(jar(client)?.get(name)?.to_owned());
        let wallet = Wallet {
            name,
            secrets: &secrets,
            line: &|client| jar(client).map(Jar::line).unwrap_or_default(),
            value: &value,
        };
        let sid = |client: usize| value(client).and_then(|value| sid_of(&value));
        let program = request.turn % self.programs.len();
        let touches = self.side.programs[program].touches_before_saving;
        let (ops, put_in) = if touches { touching(&request.ops) } else { (request.ops.clone(), Vec::new()) };
        let operations = operations(&ops, now, |client| sid(client).unwrap_or_else(|| STAND_IN.to_owned()));

        let mut headers = vec![("x-ops", encode(&operations).into_bytes())];
        if self.case.starts_at.is_some() {
            headers.push(("x-now", now.to_string().into_bytes()));
        }
        headers.extend(request.forwarded.map(|scheme| ("x-forwarded-proto", scheme.as_bytes().to_vec())));
        for line in request.cookies.lines(request.client, &wallet) {
            let line =
                if self.side.utf8 { String::from_utf8_lossy(&line).into_owned().into_bytes() } else { line };
            headers.push(("cookie", line));
        }

        let base = self.programs[program].url();
        let url = format!("{base}{}", request.path);
        let mut reply =
            exchange(&self.agent, request.method, &url, &headers).map_err(|error| error.to_string())?;
        reply.body = (self.side.rewrite)(normalise::without(&reply.body, &put_in));

        if self.jars.len() <= request.client {
            self.jars.resize_with(request.client + 1, Jar::default);
        }
        for line in normalise::set_cookies(&reply) {
            self.jars[request.client].keep(&line);
        }
        let session = Session { name, secret: secrets.first().copied().unwrap_or_default() };
        Ok(normalise::answer(&reply, &request.ops, &session, &mut self.symbols))
    }

    fn clear(&self) -> Result<(), String> {
        let base = self.programs[0].url();
        let operations = encode(r#"[["store","clear"]]"#).into_bytes();
        match exchange(&self.agent, "GET", &format!("{base}/"), &[("x-ops", operations)]) {
            Ok(reply) if reply.body == "[null]" => Ok(()),
            Ok(reply) => Err(format!("the store was not cleared: {}", reply.body)),
            Err(error) => Err(format!("the store was not cleared: {error}")),
        }
    }
}

/// The operations with a `touch` before every `save`, and where those stand.
fn touching(ops: &[Op]) -> (Vec<Op>, Vec<usize>) {
    let (mut all, mut put_in) = (Vec::new(), Vec::new());
    for op in ops {
        if op.text == r#"["save"]"# {
            put_in.push(all.len());
            all.push(Op { text: r#"["touch"]"#.to_owned(), ..op.clone() });
        }
        all.push(op.clone());
    }
    (all, put_in)
}
