//! Reads `PROBE_CONFIG` by this project's public options.

use std::sync::Arc;

use express_session::{AdminStore, CookieOptions, Options, Priority, SameSite, Secrets, Secure, Unset};
use serde_json::{Map, Value};

use super::clock::ProbeClock;
use super::keys::{Either, Keys, Parsed, Refusal, refusal};
use super::stores::store;

/// A probe's configuration.
#[derive(Debug)]
pub struct Config {
    /// Where to listen; 0: any free port.
    pub port: u16,
    /// The options of the session middleware, its store included.
    pub options: Options,
    /// The store, for the operations that go straight to it.
    pub store: Arc<dyn AdminStore>,
    /// What they all go by.
    pub clock: ProbeClock,
}

impl Config {
    /// From the JSON text of the protocol.
    ///
    /// # Errors
    /// Names the key that cannot be honoured.
    pub async fn parse(text: &str) -> Parsed<Self> {
        let Ok(Value::Object(object)) = serde_json::from_str(text) else {
            return Err(refusal("PROBE_CONFIG", "must be a JSON object"));
        };
        let mut keys = Keys::of("", &object);
        let clock = ProbeClock::new(keys.boolean("clock")?.unwrap_or(false));
        let store = store(&keys.object("store")?.unwrap_or_default(), &clock.clock()).await?;
        let options = options(&mut keys)?.store(Arc::clone(&store)).clock(clock.clock());
        let port = keys.take("port", "a port", |value| u16::try_from(value.as_u64()?).ok())?.unwrap_or(0);
        keys.finish()?;
        match options.clone().build() {
            Ok(_) => Ok(Self { port, options, store, clock }),
            Err(error) => Err(Refusal(error.to_string())),
        }
    }
}

fn options(keys: &mut Keys<'_>) -> Parsed<Options> {
    let secret: Secrets = keys
        .take("secret", "a string or an array of strings", secrets)?
        .ok_or_else(|| refusal("secret", "missing"))?;
    let profile = keys.word("profile", &[("express", true), ("new", false)])?.unwrap_or(true);
    let mut options = if profile { Options::express(secret) } else { Options::new(secret) };
    if let Some(name) = keys.text("name")? {
        options = options.name(name);
    }
    for (key, set) in [
        ("resave", Options::resave as fn(Options, bool) -> Options),
        ("saveUninitialized", Options::save_uninitialized),
        ("rolling", Options::rolling),
        ("proxy", Options::proxy),
    ] {
        if let Some(value) = keys.boolean(key)? {
            options = set(options, value);
        }
    }
    if let Some(unset) = keys.word("unset", &[("keep", Unset::Keep), ("destroy", Unset::Destroy)])? {
        options = options.unset(unset);
    }
    match keys.object("cookie")? {
        Some(object) => Ok(options.cookie(cookie(&object)?)),
        None => Ok(options),
    }
}

fn cookie(object: &Map<String, Value>) -> Parsed<CookieOptions> {
    let mut keys = Keys::of("cookie.", object);
    let mut cookie = CookieOptions::new();
    if let Some(path) = keys.text("path")? {
        cookie = cookie.path(path);
    }
    if let Some(domain) = keys.text("domain")? {
        cookie = cookie.domain(domain);
    }
    if let Some(http_only) = keys.boolean("httpOnly")? {
        cookie = cookie.http_only(http_only);
    }
    if let Some(secure) = keys.take("secure", "true, false or \"auto\"", secure)? {
        cookie = cookie.secure(secure);
    }
    if let Some(same_site) = keys.boolean_or("sameSite", &same_site())? {
        cookie = match same_site {
            Either::Boolean(strict) => cookie.same_site(strict),
            Either::Word(word) => cookie.same_site(word),
        };
    }
    if let Some(partitioned) = keys.boolean("partitioned")? {
        cookie = cookie.partitioned(partitioned);
    }
    let priorities = [("low", Priority::Low), ("medium", Priority::Medium), ("high", Priority::High)];
    if let Some(priority) = keys.word("priority", &priorities)? {
        cookie = cookie.priority(priority);
    }
    #[expect(clippy::cast_possible_truncation, reason = "a Date keeps whole milliseconds")]
    let millis = |value: &Value| value.as_f64().map(|ms| Some(ms as i64)).or(value.is_null().then_some(None));
    cookie = match keys.take("maxAge", "a number of milliseconds or null", millis)? {
        Some(Some(ms)) => cookie.max_age_millis(ms),
        Some(None) => cookie.max_age(None),
        None => cookie,
    };
    keys.finish()?;
    Ok(cookie)
}

fn secrets(value: &Value) -> Option<Secrets> {
    match value {
        Value::String(secret) => Some(secret.as_str().into()),
        Value::Array(secrets) => {
            secrets.iter().map(Value::as_str).collect::<Option<Vec<_>>>().map(Into::into)
        }
        _ => None,
    }
}

fn secure(value: &Value) -> Option<Secure> {
    match value {
        Value::Bool(secure) => Some((*secure).into()),
        Value::String(word) if word == "auto" => Some(Secure::Auto),
        _ => None,
    }
}

fn same_site() -> [(&'static str, SameSite); 3] {
    [("lax", SameSite::Lax), ("strict", SameSite::Strict), ("none", SameSite::None)]
}
