//! The backend `cookie`: the options of cookie-session, and the operations that only its sessions have.

use express_session::{
    CookieOptions, CookieSessionOptions, Keygrip, KeygripAlgorithm, KeygripEncoding, Proxy, SessionHandle,
};
use serde_json::Value;

use super::{
    config::{attributes, bytes, trusted_proxy},
    javascript,
    keys::{Keys, Parsed},
};

const ALGORITHMS: [(&str, KeygripAlgorithm); 4] = [
    ("sha1", KeygripAlgorithm::Sha1),
    ("sha256", KeygripAlgorithm::Sha256),
    ("sha384", KeygripAlgorithm::Sha384),
    ("sha512", KeygripAlgorithm::Sha512),
];
const ENCODINGS: [(&str, KeygripEncoding); 2] =
    [("base64", KeygripEncoding::Base64), ("hex", KeygripEncoding::Hex)];

pub(super) fn client_side(keys: &mut Keys<'_>) -> Parsed<CookieSessionOptions> {
    let all = |value: &Value| value.as_array()?.iter().map(bytes).collect::<Option<Vec<_>>>();
    let secret = keys.take("secret", "a string, or bytes as {\"hex\": \"…\"}", bytes)?;
    let given = keys.take("keys", "an array of strings, or of bytes as {\"hex\": \"…\"}", all)?;
    // cookie-session's digest, whatever the profile.
    let keygrip = Keygrip::new(given.unwrap_or_else(|| secret.into_iter().collect()));
    let mut keygrip = keygrip.algorithm(KeygripAlgorithm::Sha1);
    if let Some(object) = keys.object("keygrip")? {
        let mut keys = Keys::of("keygrip.", &object);
        let algorithm = keys.word("algorithm", &ALGORITHMS)?.unwrap_or_default();
        keygrip =
            keygrip.algorithm(algorithm).encoding(keys.word("encoding", &ENCODINGS)?.unwrap_or_default());
        keys.finish()?;
    }
    let is_express = keys.word("profile", &[("express", true), ("new", false)])?.unwrap_or(true);
    let cookie = attributes(keys)?;
    let age = keys.take("maxAge", "a number", |age| Some(age.as_i64().filter(|age| *age != 0)))?.flatten();
    // It counts before `expires`.
    let cookie = age.into_iter().fold(cookie, CookieOptions::max_age_millis);
    let profile = if is_express { CookieSessionOptions::express } else { CookieSessionOptions::new };
    let mut options = profile(keygrip).cookie(cookie);
    if let Some(name) = keys.text("name")? {
        options = options.name(name);
    }
    if let Some(signed) = keys.boolean("signed")? {
        options = options.signed(signed);
    }
    if let Some(overwrite) = keys.boolean("overwrite")? {
        options = options.overwrite(overwrite);
    }
    // Here the word is Express's own setting, which is exact about capitals.
    let everybody = |trusts| if trusts { Proxy::Hops(usize::MAX) } else { Proxy::Never };
    let trusted = trusted_proxy(keys)?;
    if let Some(proxy) = keys.boolean("proxy")?.map(everybody).or(trusted) {
        options = options.proxy(proxy);
    }
    Ok(options)
}

/// What `req.session = value` does.
pub(super) fn replace(session: &SessionHandle, value: &javascript::Value) -> Result<(), String> {
    let members = match value {
        javascript::Value::Null => {
            session.unset();
            return Ok(());
        }
        javascript::Value::Object(members) => members.clone(),
        javascript::Value::Array(items) => {
            items.iter().enumerate().map(|(at, item)| (at.to_string(), item.clone())).collect()
        }
        _ => return Err("a session can only be replaced by null or an object".into()),
    };
    session.replace(&javascript::Value::Object(members)).map_err(|error| error.to_string())
}
