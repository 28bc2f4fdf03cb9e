//! One of the two sides that are compared: its programs, its store and, while a case runs, its clients' jars.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Map, Value, json};
use ureq::Agent;

use super::answer::{Answer, Held, SetAt};
use super::case::{Case, Op, Request, operations, secrets};
use super::cookies::{STAND_IN, Wallet};
use super::http::{agent, exchange};
use super::jar::Jar;
use super::normalise::{self, Reason, Symbols};
use super::process::{self, Program, Serving};
use super::raw::{Connections, Raw};
use super::sign::{encode, sid_of};
use super::tls;

/// What answers on one side of the comparison.
#[derive(Clone, Debug)]
pub struct Side {
    programs: Vec<Program>,
    store: Value,
    utf8: bool,
    rewrite: fn(String) -> String,
    overrides: Map<String, Value>,
    left_out: Vec<&'static str>,
    connections: Connections,
    places: Places,
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
            utf8: false,
            rewrite: |body| body,
            overrides: Map::new(),
            left_out: Vec::new(),
            connections: Connections::default(),
            places: Places::default(),
        }
    }

    /// The `store` of the probe protocol, for all programs of this side. `{case}` in one of its strings becomes a word
    /// (letters, digits, `_`) that no other case has at the same time, and no other side: in a prefix, say. Without it the
    /// cases need one worker. A database is emptied before each case.
    #[must_use]
    pub fn store(mut self, store: Value) -> Self {
        self.store = store;
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

    /// Leaves a key of the random configuration out. Both sides need it.
    #[must_use]
    pub fn without(mut self, key: &'static str) -> Self {
        self.left_out.push(key);
        self
    }

    /// No lifetime is shorter, in milliseconds, on a clock of the case's own: while that stands still, Redis removes by the real
    /// time what lives for a second, and a busy machine takes longer than that.
    pub(super) fn least_age(&self) -> i64 {
        if self.store["kind"] == "redis" { 60_000 } else { 0 }
    }

    pub(super) fn has_database(&self) -> bool {
        self.store["kind"] != "memory"
    }

    pub(super) fn programs(&self) -> usize {
        self.programs.len()
    }

    /// Starts every program; [`Starting::ready`] waits for them, so that both sides start at once.
    pub(super) fn start<'a>(&'a self, case: &'a Case) -> Result<Starting<'a>, String> {
        let place = self.places.take();
        let mut config = case.config.clone();
        config.retain(|key, _| !self.left_out.contains(&key.as_str()));
        config.extend(self.overrides.clone());
        let store = named(&self.store, &place.name);
        let raw = self.connections.raw(&store)?;
        config.insert("store".to_owned(), store);
        if case.starts_at.is_some() {
            config.insert("clock".to_owned(), true.into());
        }
        if config.contains_key("tls") {
            config.insert("tls".to_owned(), tls::certified()?);
        }
        let programs = self.start_with(&config)?;
        Ok(Starting { side: self, case, config, raw, programs, place })
    }

    fn start_with(&self, config: &Map<String, Value>) -> Result<Vec<process::Starting>, String> {
        let config = Value::Object(config.clone());
        self.programs.iter().map(|program| program.start(&config)).collect()
    }
}

/// Where cases keep their sessions: a place serves one after the other, so that tables and indexes are made once.
#[derive(Clone, Debug, Default)]
struct Places(Arc<Mutex<Vec<String>>>);

impl Places {
    fn take(&self) -> Place {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let new = || format!("d{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        Place { name: free.unwrap_or_else(new), of: self.clone() }
    }
}

/// Free for the next case when it is dropped.
struct Place {
    name: String,
    of: Places,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.of.0.lock().unwrap_or_else(PoisonError::into_inner).push(std::mem::take(&mut self.name));
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
    config: Map<String, Value>,
    raw: Option<Raw>,
    programs: Vec<process::Starting>,
    place: Place,
}

impl<'a> Starting<'a> {
    pub(super) fn ready(self) -> Result<Running<'a>, String> {
        let running = Running {
            side: self.side,
            case: self.case,
            config: self.config,
            programs: ready(self.programs)?,
            agent: agent(),
            jars: Vec::new(),
            symbols: Symbols::default(),
            raw: self.raw,
            asked: Vec::new(),
            first_seen: HashMap::new(),
            ends: HashMap::new(),
            place: self.place,
        };
        if let Some(raw) = &running.raw {
            raw.clear()?;
        }
        Ok(running)
    }
}

fn ready(programs: Vec<process::Starting>) -> Result<Vec<Serving>, String> {
    programs.into_iter().map(process::Starting::ready).collect()
}

/// A request as it is sent, and where operations stand in it that were put in for the program.
struct Prepared {
    url: String,
    headers: Vec<(&'static str, Vec<u8>)>,
    put_in: Vec<usize>,
}

/// A side while a case runs.
pub(super) struct Running<'a> {
    side: &'a Side,
    case: &'a Case,
    /// As the programs have it now.
    config: Map<String, Value>,
    programs: Vec<Serving>,
    agent: Agent,
    jars: Vec<Jar>,
    symbols: Symbols,
    raw: Option<Raw>,
    /// For each request, when it was sent and when its answer had come, by the clock of a database that removes records itself.
    asked: Vec<(i64, i64)>,
    /// The end of each such record, and the request after which it was first seen.
    first_seen: HashMap<String, (i64, usize)>,
    /// When each such record ends, where the case has a clock of its own.
    ends: HashMap<String, i64>,
    /// Given back after the programs have ended. Its name is that of the gate where a request waits for another.
    place: Place,
}

impl Running<'_> {
    /// Sends one request as its client would, and keeps the cookies that come back; then looks at what is stored. `now` counts
    /// where the case has a clock of its own.
    pub(super) fn send(&mut self, request: &Request, now: i64) -> Result<Answer, String> {
        if let Some(secret) = &request.secret {
            self.restart(secret)?;
        }
        let spoilt = self.spoilt(request)?;
        let sent = self.raw.as_ref().map_or(Ok(None), Raw::time)?;
        let mut answer = self.answer(request, now)?;
        let answered = self.raw.as_ref().map_or(Ok(None), Raw::time)?;
        self.asked.extend(sent.zip(answered));
        if let Some(raw) = &self.raw {
            let rows = raw.rows()?;
            let (asked, exact) = (&self.asked, self.case.starts_at.is_some());
            let first_seen = &mut self.first_seen;
            normalise::rows(rows, &self.symbols, &mut answer, |sid, end| {
                held(sid, end, asked, exact, first_seen)
            });
            if let Some(sid) = spoilt {
                raw.remove(&sid)?;
                self.ends.remove(&sid);
            }
        }
        Ok(answer)
    }

    /// All programs anew, with other secrets. What a memory store had is gone.
    fn restart(&mut self, secret: &Value) -> Result<(), String> {
        self.config.insert("secret".to_owned(), secret.clone());
        self.programs.clear();
        self.programs = ready(self.side.start_with(&self.config)?)?;
        Ok(())
    }

    /// The sid whose record nobody can read from now on.
    fn spoilt(&self, request: &Request) -> Result<Option<String>, String> {
        let Some(raw) = self.raw.as_ref().filter(|_| request.spoils) else { return Ok(None) };
        let value = self.jars.get(request.client).and_then(|jar| jar.get(self.case.cookie_name()));
        let Some(sid) = value.and_then(sid_of) else { return Ok(None) };
        raw.spoil(&sid)?;
        Ok(Some(sid))
    }

    fn answer(&mut self, request: &Request, now: i64) -> Result<Answer, String> {
        let Prepared { url, headers, put_in } = self.prepared(request, now);
        let cookies = headers.iter().filter(|(name, _)| *name == "cookie");
        cookies.for_each(|(_, line)| self.symbols.sent(line));
        let (reply, during) = match &request.during {
            None => (exchange(&self.agent, request.method, &url, &headers), None),
            Some(during) => {
                let agent = self.agent.clone();
                let method = request.method;
                let waiting = thread::spawn(move || exchange(&agent, method, &url, &headers));
                let program = request.turn % self.programs.len();
                let gate = self.place.name.clone();
                while !waiting.is_finished() && !self.programs[program].waits_at(&gate)? {
                    thread::sleep(Duration::from_millis(1));
                }
                let during = self.answer(during, now);
                self.programs[program].open(&gate)?;
                let reply = waiting.join().map_err(|_| "the request that waited was given up")?;
                (reply, Some(Box::new(during?)))
            }
        };
        let mut reply = reply.map_err(|error| error.to_string())?;
        reply.body = (self.side.rewrite)(normalise::without(&reply.body, &put_in));

        if self.jars.len() <= request.client {
            self.jars.resize_with(request.client + 1, Jar::default);
        }
        for line in normalise::set_cookies(&reply) {
            self.jars[request.client].keep(&line);
        }
        let sessions = self.case.sessions(self.config.get("secret"));
        let by = self.side.programs[request.turn % self.programs.len()].by;
        let reason = Reason::of(self.case, request, request.spoils && self.raw.is_some());
        let answer = normalise::answer(&reply, by, &request.ops, reason, &sessions, &mut self.symbols);
        Ok(Answer { during, ..answer })
    }

    /// What goes over the wire.
    fn prepared(&self, request: &Request, now: i64) -> Prepared {
        let (name, secrets) = (self.case.cookie_name(), secrets(self.config.get("secret")));
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
        let operations = operations(&ops, now, |client| sid(client).unwrap_or_else(|| STAND_IN.to_owned()))
            .replace("@gate@", &self.place.name);

        let mut headers = vec![("x-ops", encode(&operations).into_bytes())];
        if self.case.starts_at.is_some() {
            headers.push(("x-now", now.to_string().into_bytes()));
        }
        let forwarded = request.forwarded.into_iter().flat_map(|lines| lines.split('\n'));
        headers.extend(forwarded.map(|scheme| ("x-forwarded-proto", scheme.as_bytes().to_vec())));
        for line in request.cookies.lines(request.client, &wallet) {
            let line =
                if self.side.utf8 { String::from_utf8_lossy(&line).into_owned().into_bytes() } else { line };
            headers.push(("cookie", line));
        }
        Prepared { url: format!("{}{}", self.programs[program].url(), request.path), headers, put_in }
    }

    /// The record ends at this time of the case's clock.
    pub(super) fn ends(&mut self, sid: &str, at: i64) {
        self.ends.insert(sid.to_owned(), at);
    }

    /// Removes what has ended by the case's clock and not by that of its database.
    pub(super) fn remove_ended(&mut self, now: i64) -> Result<(), String> {
        let Some(raw) = &self.raw else { return Ok(()) };
        for (sid, _) in self.ends.extract_if(|_, end| *end < now) {
            raw.remove_as_redis(&sid)?;
        }
        Ok(())
    }
}

/// What the end of a key says of its time to live, which is set in whole seconds from when it is set. Each request may have set
/// it, from that on after which this end was first seen. By the real time (not `exact`) the lifetime may have been counted
/// from earlier within the request than it was set.
fn held(
    sid: &str,
    end: Option<i64>,
    asked: &[(i64, i64)],
    exact: bool,
    first_seen: &mut HashMap<String, (i64, usize)>,
) -> Held {
    let sid = sid.to_owned();
    let Some(end) = end else { return Held { sid, set: None } };
    let latest = asked.len().saturating_sub(1);
    let seen = first_seen.entry(sid.clone()).or_insert((end, latest));
    if seen.0 != end {
        *seen = (end, latest);
    }
    let set_at = |(request, (sent, answered)): (usize, &(i64, i64))| {
        let took = if exact { 0 } else { answered - sent };
        let least = (end - answered).div_euclid(1000) + i64::from((end - answered).rem_euclid(1000) > 0);
        let most = (end - sent + took).div_euclid(1000);
        (least <= most).then_some(SetAt { request, seconds: least..=most })
    };
    let set = asked.iter().enumerate().skip(seen.1).filter_map(set_at).collect();
    Held { sid, set: Some(set) }
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
