//! Reads `PROBE_CONFIG` by this project's public options.

use std::{collections::HashSet, fmt, sync::Arc, time::Duration};

use express_session::{
    AdminStore, CookieOptions, MemoryStore, Options, Priority, SameSite, Secrets, Secure, Unset,
    redis::RedisStore,
};
use serde_json::{Map, Value};

/// A probe's configuration.
#[derive(Debug)]
pub struct Config {
    /// Where to listen; 0: any free port.
    pub port: u16,
    /// The options of the session middleware, its store included.
    pub options: Options,
    /// The store, for the operations that go straight to it.
    pub store: Arc<dyn AdminStore>,
}

/// A configuration that cannot be honoured: the key, and why not.
#[derive(Debug)]
pub struct Refusal(String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

type Parsed<T> = Result<T, Refusal>;

impl Config {
    /// From the JSON text of the protocol.
    ///
    /// # Errors
    /// Names the key that cannot be honoured.
    pub fn parse(text: &str) -> Parsed<Self> {
        let Ok(Value::Object(object)) = serde_json::from_str(text) else {
            return Err(refusal("PROBE_CONFIG", "must be a JSON object"));
        };
        let mut keys = Keys::of("", &object);
        let store = store(&keys.object("store")?.unwrap_or_default())?;
        let options = options(&mut keys)?.store(Arc::clone(&store));
        let port = keys.take("port", "a port", |value| u16::try_from(value.as_u64()?).ok())?.unwrap_or(0);
        keys.finish()?;
        match options.clone().build() {
            Ok(_) => Ok(Self { port, options, store }),
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

fn store(object: &Map<String, Value>) -> Parsed<Arc<dyn AdminStore>> {
    let mut keys = Keys::of("store.", object);
    let kind = keys.text("kind")?.unwrap_or_else(|| "memory".into());
    let url = keys.text("url")?.unwrap_or_default();
    let options = keys.object("options")?.unwrap_or_default();
    keys.finish()?;
    let mut keys = Keys::of("store.options.", &options);
    let store: Arc<dyn AdminStore> = match kind.as_str() {
        "memory" => Arc::new(MemoryStore::new()),
        "redis" => Arc::new(redis(&url, &mut keys)?),
        _ => return Err(refusal("store.kind", "no such store")),
    };
    keys.finish()?;
    Ok(store)
}

fn redis(url: &str, keys: &mut Keys<'_>) -> Parsed<RedisStore> {
    let mut store = RedisStore::open(url).map_err(|_| refusal("store.url", "no Redis URL"))?;
    if let Some(prefix) = keys.text("prefix")? {
        store = store.prefix(prefix);
    }
    // connect-redis takes its default for 0.
    if let Some(ttl) = keys.duration("ttl", Duration::from_secs_f64)?.filter(|ttl| !ttl.is_zero()) {
        store = store.ttl(ttl);
    }
    if let Some(disable) = keys.boolean("disableTouch")? {
        store = store.disable_touch(disable);
    }
    if let Some(disable) = keys.boolean("disableTTL")? {
        store = store.disable_ttl(disable);
    }
    Ok(store)
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

enum Either<T> {
    Boolean(bool),
    Word(T),
}

/// The keys of one object, of which every one must be asked for.
struct Keys<'a> {
    prefix: &'static str,
    object: &'a Map<String, Value>,
    asked: HashSet<&'static str>,
}

impl<'a> Keys<'a> {
    fn of(prefix: &'static str, object: &'a Map<String, Value>) -> Self {
        Self { prefix, object, asked: HashSet::new() }
    }

    fn take<T>(
        &mut self,
        key: &'static str,
        what: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Parsed<Option<T>> {
        self.asked.insert(key);
        let wrong = || refusal(&format!("{}{key}", self.prefix), &format!("must be {what}"));
        self.object.get(key).map(|value| read(value).ok_or_else(wrong)).transpose()
    }

    fn text(&mut self, key: &'static str) -> Parsed<Option<String>> {
        self.take(key, "a string", |value| value.as_str().map(Into::into))
    }

    fn boolean(&mut self, key: &'static str) -> Parsed<Option<bool>> {
        self.take(key, "true or false", Value::as_bool)
    }

    fn duration(&mut self, key: &'static str, of: fn(f64) -> Duration) -> Parsed<Option<Duration>> {
        self.take(key, "a number that is not negative", |value| value.as_f64().filter(|n| *n >= 0.0).map(of))
    }

    fn object(&mut self, key: &'static str) -> Parsed<Option<Map<String, Value>>> {
        self.take(key, "an object", |value| value.as_object().cloned())
    }

    fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Parsed<Option<T>> {
        let known = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(" or ");
        self.take(key, &known, |value| find(words, value))
    }

    fn boolean_or<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Parsed<Option<Either<T>>> {
        let known = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        self.take(key, &format!("true, false, {known}"), |value| {
            value.as_bool().map(Either::Boolean).or_else(|| find(words, value).map(Either::Word))
        })
    }

    fn finish(&self) -> Parsed<()> {
        match self.object.keys().find(|key| !self.asked.contains(key.as_str())) {
            Some(key) => Err(refusal(&format!("{}{key}", self.prefix), "unknown key")),
            None => Ok(()),
        }
    }
}

fn find<T: Copy>(words: &[(&str, T)], value: &Value) -> Option<T> {
    words.iter().find(|(word, _)| value == word).map(|(_, meaning)| *meaning)
}

fn refusal(key: &str, reason: &str) -> Refusal {
    Refusal(format!("{key}: {reason}"))
}
