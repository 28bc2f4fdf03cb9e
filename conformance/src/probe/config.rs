//! Reads `PROBE_CONFIG` by this project's public options.
//!
//! Beside the keys of the probe protocol there are, for the comparison: a `secret` of bytes as `{"hex": "…"}`, `cookie.expires`
//! (milliseconds since 1970), `cookieFunction` and `genidFunction` (a name in `functions`), `storeWithoutTouch`,
//! `storeFails: {"verb": "get", "call": 2}` (one call of a verb fails), `storeWaits` (the same with a `gate`: it waits there), `tls` (`certificate` and `key`, as PEM: the server ends
//! TLS), and in `probe-axum` alone `fault` (see [`Fault`]).

use std::{sync::Arc, time::Duration};

use express_session::{
    AdminStore, CookieOptions, CookieSessionOptions, IdRenewal, MemoryStore, OnDisconnect, Options, Priority,
    Proxy, SameSite, SameSiteOption, Secret, Secure, Sessions, Sid, Unset,
};
use serde_json::{Map, Value};

use crate::differential::STAND_IN;

use super::client_side::client_side;
use super::clock::ProbeClock;
use super::faults::{Fault, Strike, Unreliable, Verb};
use super::functions;
use super::keys::{Keys, Parsed, Refusal, refusal};
use super::operations::time;
use super::stores::store;
use super::tls::Tls;

/// A probe's configuration.
#[derive(Debug)]
pub struct Config {
    /// Where to listen; 0: any free port.
    pub port: u16,
    /// What the session middleware is made of.
    pub sessions: Sessions,
    /// And another one around it.
    pub outer: Option<Sessions>,
    /// What becomes of a handler whose client has gone, where the configuration says so.
    pub on_disconnect: Option<OnDisconnect>,
    /// The store, for the operations that go straight to it.
    pub store: Arc<dyn AdminStore>,
    /// What they all go by.
    pub clock: ProbeClock,
    /// What is wrong on purpose.
    pub fault: Option<Fault>,
    /// Whether it ends TLS.
    pub tls: Option<Tls>,
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
        let is_client_side = keys.word("backend", &[("cookie", ())])?.is_some();
        let store = store(&keys.object("store")?.unwrap_or_default(), &clock.clock()).await?;
        let fault = keys.word("fault", &Fault::ALL)?;
        let tls = keys.object("tls")?.map(|object| Tls::parse(&object)).transpose()?;
        let touches = !keys.boolean("storeWithoutTouch")?.unwrap_or(false);
        let fails = keys.object("storeFails")?.map(|object| strike("storeFails.", &object)).transpose()?;
        let waits = keys.object("storeWaits")?.map(|object| strike("storeWaits.", &object)).transpose()?;
        let strikes: Vec<Strike> = fails.into_iter().chain(waits).collect();
        let on_disconnect = keys.word("onDisconnect", &ON_DISCONNECT)?;
        if is_client_side {
            let options = client_side(&mut keys)?.clock(clock.clock());
            let options = on_disconnect.into_iter().fold(options, CookieSessionOptions::on_disconnect);
            let port = port(&mut keys)?;
            keys.finish()?;
            let sessions = options.build().map_err(|error| Refusal(error.to_string()))?;
            return Ok(Self { port, sessions, outer: None, on_disconnect, store, clock, fault, tls });
        }
        let mut options = options(&mut keys, fault)?.clock(clock.clock());
        options = if fault.is_some() || !strikes.is_empty() || !touches {
            options.store(Unreliable::new(Arc::clone(&store), fault, strikes, touches))
        } else {
            options.store(Arc::clone(&store))
        };
        options = on_disconnect.into_iter().fold(options, Options::on_disconnect);
        let outer = keys.object("outer")?.map(|object| outer(&object, &clock)).transpose()?;
        let outer = outer.filter(|_| fault != Some(Fault::OuterLayerLeftOut));
        let port = port(&mut keys)?;
        keys.finish()?;
        let sessions = options.build().map_err(|error| Refusal(error.to_string()))?;
        Ok(Self { port, sessions, outer, on_disconnect, store, clock, fault, tls })
    }
}

const ON_DISCONNECT: [(&str, OnDisconnect); 2] =
    [("finish", OnDisconnect::Finish), ("cancel", OnDisconnect::Cancel)];

/// A layer around the other, on a memory store of its own.
fn outer(object: &Map<String, Value>, clock: &ProbeClock) -> Parsed<Sessions> {
    let mut keys = Keys::of("outer.", object);
    let mut options = options(&mut keys, None)?;
    let on_disconnect = keys.word("onDisconnect", &ON_DISCONNECT)?;
    options = on_disconnect.into_iter().fold(options, Options::on_disconnect);
    keys.finish()?;
    let options = options.clock(clock.clock()).store(MemoryStore::new().clock(clock.clock()));
    options.build().map_err(|error| Refusal(format!("outer: {error}")))
}

fn port(keys: &mut Keys<'_>) -> Parsed<u16> {
    Ok(keys.take("port", "a port", |value| u16::try_from(value.as_u64()?).ok())?.unwrap_or(0))
}

/// The call of a verb that is to fail, or to wait at a gate.
fn strike(place: &'static str, object: &Map<String, Value>) -> Parsed<Strike> {
    let mut keys = Keys::of(place, object);
    let words = [("get", Verb::Get), ("set", Verb::Set), ("touch", Verb::Touch), ("destroy", Verb::Destroy)];
    let verb = keys.word("verb", &words)?.ok_or_else(|| refusal(place, "no verb"))?;
    let call = keys.take("call", "a number", Value::as_u64)?.unwrap_or(1);
    let gate = keys.text("gate")?;
    keys.finish()?;
    Ok(Strike::new(verb, call, gate))
}

fn options(keys: &mut Keys<'_>, fault: Option<Fault>) -> Parsed<Options> {
    let mut secrets = keys
        .take("secret", "a secret or an array of secrets: strings, or bytes as {\"hex\": \"…\"}", secrets)?
        .ok_or_else(|| refusal("secret", "missing"))?;
    if fault == Some(Fault::AnotherSecretAccepted) {
        secrets.push(Secret::new("not a configured secret"));
    }
    let adopts = fault == Some(Fault::ClientsIdAdopted);
    let profile = keys.word("profile", &[("express", true), ("new", false)])?.unwrap_or(true);
    let mut options = if profile { Options::express(secrets) } else { Options::new(secrets) };
    if adopts {
        options = options.genid(|request| {
            let cookies = request.header("cookie").unwrap_or_default();
            made_up(&cookies).map_or_else(Sid::random, Sid::from)
        });
    }
    if let Some(name) = keys.text("name")? {
        options = options.name(name);
    }
    for (key, set) in [
        ("resave", Options::resave as fn(Options, bool) -> Options),
        ("saveUninitialized", Options::save_uninitialized),
        ("rolling", Options::rolling),
    ] {
        if let Some(value) = keys.boolean(key)? {
            options = set(options, value);
        }
    }
    if let Some(unset) = keys.word("unset", &[("keep", Unset::Keep), ("destroy", Unset::Destroy)])? {
        options = options.unset(unset);
    }
    let trusted = trusted_proxy(keys)?;
    let mut proxy = keys.boolean("proxy")?.map(Proxy::from).or(trusted);
    if fault == Some(Fault::CapitalsTrusted) {
        proxy = proxy.map(|proxy| if matches!(proxy, Proxy::Hops(1..)) { Proxy::Always } else { proxy });
    }
    if let Some(proxy) = proxy {
        options = options.proxy(proxy);
    }
    if let Some(object) = keys.object("cookie")? {
        options = options.cookie(cookie(&object)?);
    }
    for (key, named) in [("cookieFunction", functions::COOKIE), ("genidFunction", functions::GENID)] {
        if let Some(with_function) = keys.word(key, &named)? {
            options = with_function(options);
        }
    }
    // Ours alone: the protocol has no word for it.
    let pair = |value: &Value| {
        let [every, grace] = value.as_array()?.as_slice() else { return None };
        Some((Duration::from_millis(every.as_u64()?), Duration::from_millis(grace.as_u64()?)))
    };
    if let Some((every, grace)) = keys.take("renewIds", "an array of two numbers of milliseconds", pair)? {
        options = options.renew_ids(IdRenewal::every(every).grace(grace));
    }
    Ok(options)
}

/// Express's `trust proxy`.
pub(super) fn trusted_proxy(keys: &mut Keys<'_>) -> Parsed<Option<Proxy>> {
    let hops = |value: &Value| match value {
        Value::Bool(true) => Some(usize::MAX),
        hops => usize::try_from(hops.as_u64()?).ok(),
    };
    Ok(keys.take("trustProxy", "true or a number of hops", hops)?.map(Proxy::Hops))
}

/// An id that a client of the comparison has made up: of one that it was given, the first character is another.
fn made_up(cookies: &str) -> Option<&str> {
    let (_, value) = cookies.split_once("s%3A")?;
    value.get(..32).filter(|sid| sid.starts_with(['A', 'B']) && *sid != STAND_IN)
}

fn cookie(object: &Map<String, Value>) -> Parsed<CookieOptions> {
    let mut keys = Keys::of("cookie.", object);
    let cookie = attributes(&mut keys)?;
    keys.finish()?;
    Ok(cookie)
}

pub(super) fn attributes(keys: &mut Keys<'_>) -> Parsed<CookieOptions> {
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
    if let Some(same_site) = keys.take("sameSite", "true, false, lax, strict, none or auto", same_site)? {
        cookie = cookie.same_site(same_site);
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
    if let Some(expires) = keys.take("expires", "a number of milliseconds since 1970", Value::as_i64)? {
        cookie = cookie.expires(time(expires));
    }
    Ok(cookie)
}

fn secrets(value: &Value) -> Option<Vec<Secret>> {
    match value {
        Value::Array(secrets) => secrets.iter().map(secret).collect(),
        one => secret(one).map(|secret| vec![secret]),
    }
}

/// A string, or bytes as `{"hex": "…"}`.
fn secret(value: &Value) -> Option<Secret> {
    bytes(value).map(Secret::new)
}

pub(super) fn bytes(value: &Value) -> Option<Vec<u8>> {
    if let Some(text) = value.as_str() {
        return Some(text.into());
    }
    let hex = value.get("hex")?.as_str()?;
    let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    (0..hex.len()).step_by(2).map(byte).collect()
}

fn secure(value: &Value) -> Option<Secure> {
    match value {
        Value::Bool(secure) => Some((*secure).into()),
        Value::String(word) if word == "auto" => Some(Secure::Auto),
        _ => None,
    }
}

fn same_site(value: &Value) -> Option<SameSiteOption> {
    match value {
        Value::Bool(strict) => Some((*strict).into()),
        Value::String(word) => match word.as_str() {
            "lax" => Some(SameSite::Lax.into()),
            "strict" => Some(SameSite::Strict.into()),
            "none" => Some(SameSite::None.into()),
            "auto" => Some(SameSiteOption::Auto),
            _ => None,
        },
        _ => None,
    }
}
