//! Random configurations, without `port`, `profile` and `store`.

use serde_json::{Map, Value, json};

use super::super::case::Case;
use super::super::rng::Rng;

const NAMES: [&str; 7] = ["connect.sid", "sid", "app.session", "a!b~c", "SID", "__Host-sid", "__Secure-sid"];
const SECRETS: [&str; 6] = [
    "keyboard cat",
    "s3cr3t",
    "ünïcödé ☃",
    " ",
    "a much longer secret, longer than the 64 bytes of a SHA-256 block 0123456789",
    "k",
];
/// No UTF-8, as a Buffer can be.
const BYTES: &str = "00ff80c328676f6f64";
const PATHS: [&str; 5] = ["/", "/app", "/app/", "/a/b", "/A~b"];
const DOMAINS: [&str; 4] = ["example.com", ".example.com", "localhost", "Sub.Example.com"];
const MAX_AGES: [i64; 6] = [60_000, 3_600_000, 86_400_000, 31_536_000_000, 0, -1000];

/// For a case that several programs answer in turns, or one alone.
pub(super) fn random(rng: &mut Rng, alone: bool) -> Map<String, Value> {
    let mut config = Map::new();
    let mut put = |key: &str, value: Value| drop(config.insert(key.to_owned(), value));

    put("secret", secret(rng));
    if rng.percent(40) {
        put("name", rng.pick(&NAMES).into());
    }
    for (key, chance) in [("resave", 75), ("saveUninitialized", 75), ("rolling", 60)] {
        if rng.percent(chance) {
            put(key, rng.percent(50).into());
        }
    }
    if rng.percent(50) {
        put("unset", rng.pick(&["keep", "destroy", "destroy"]).into());
    }
    let proxy = rng.percent(40);
    if proxy || rng.percent(20) {
        put("proxy", proxy.into());
    }
    let destroys = config.get("unset").and_then(Value::as_str) == Some("destroy");
    let trusts = !config.contains_key("proxy") && rng.percent(30);
    let mut put = |key: &str, value: Value| drop(config.insert(key.to_owned(), value));
    if trusts {
        put("trustProxy", rng.pick(&[json!(true), json!(0), json!(1), json!(2)]));
    }
    if rng.percent(8) {
        put("cookieFunction", rng.pick(&["byPath", "ofApp", "byHeader"]).into());
    } else if rng.percent(85) {
        put("cookie", cookie(rng, proxy || trusts).into());
    }
    if rng.percent(6) {
        put("storeWithoutTouch", true.into());
    }
    // Two programs in turns would each count for themselves.
    if alone && rng.percent(8) {
        put("genidFunction", rng.pick(&["counted", "odd", "byPath"]).into());
    }
    // With `unset: "destroy"` Express destroys a session that it could not read; here it stays.
    if alone && !destroys && rng.percent(8) {
        put("storeFails", json!({ "verb": "get", "call": 1 + rng.below(8) }));
    }
    config
}

/// One configuration in eight is served over TLS, by a server that no proxy stands before or that trusts one all the same. Drawn
/// apart from the rest, which so stays what its seed has made before.
pub(super) fn over_tls(seed: u64, config: &mut Map<String, Value>) {
    let mut rng = Rng::new(!seed);
    if !rng.percent(12) {
        return;
    }
    // Any value: the side that serves it has the certificate.
    config.insert("tls".to_owned(), true.into());
    if config.contains_key("cookieFunction") {
        return;
    }
    let cookie = config.entry("cookie").or_insert_with(|| json!({}));
    let secure = rng.pick(&[json!(true), json!("auto"), json!("auto"), json!(false)]);
    let may_be_secure = secure != json!(false);
    cookie["secure"] = secure;
    if rng.percent(50) {
        let none = if may_be_secure { "none" } else { "lax" };
        cookie["sameSite"] = rng.pick(&["auto", "auto", none]).into();
    }
    if !may_be_secure {
        // Browsers refuse both without it.
        if cookie["sameSite"] == "none" {
            cookie["sameSite"] = "lax".into();
        }
        if cookie["partitioned"] == true {
            cookie["partitioned"] = false.into();
        }
    }
}

/// One configuration in ten has another layer around it: of another path, on a memory store of its own, at first under the same name and
/// secret, so that each may get the cookie of the other. Drawn apart from the rest as well.
pub(super) fn within_another(seed: u64, config: &mut Map<String, Value>) {
    let mut rng = Rng::new(seed ^ 0x006f_7574_6572);
    if !rng.percent(10) {
        return;
    }
    let mut outer = Map::new();
    for key in ["name", "secret", "trustProxy"] {
        if let Some(value) = config.get(key) {
            outer.insert(key.to_owned(), value.clone());
        }
    }
    for key in ["resave", "saveUninitialized", "rolling"] {
        if rng.percent(70) {
            outer.insert(key.to_owned(), rng.percent(50).into());
        }
    }
    if !outer.contains_key("trustProxy") && rng.percent(40) {
        outer.insert("proxy".to_owned(), rng.percent(60).into());
    }
    let mut cookie = json!({ "path": rng.pick(&PATHS[1..]) });
    if rng.percent(50) {
        cookie["httpOnly"] = rng.percent(50).into();
    }
    if rng.percent(30) {
        cookie["secure"] = "auto".into();
    }
    outer.insert("cookie".to_owned(), cookie);
    config.insert("outer".to_owned(), outer.into());
}

/// Half of the layers around have a name, a secret or both of their own, and some leave nothing to the other.
pub(super) fn unlike_the_other(seed: u64, config: &mut Map<String, Value>) {
    let mut rng = Rng::new(seed ^ 0x0075_6e6c_696b_6500);
    let Some(outer) = config.get_mut("outer") else { return };
    if rng.percent(35) {
        outer["name"] = rng.pick(&["outer.sid", "connect.sid"]).into();
    }
    if rng.percent(35) {
        outer["secret"] = rng.pick(&[json!("the outer secret"), json!(["the outer secret", "keyboard cat"])]);
    }
    if rng.percent(15) {
        outer["cookie"]["path"] = PATHS[0].into();
    }
}

/// What the sessions of a layer around live: most often as long as the others, whose end the case's clock comes to.
pub(super) fn lifetime_of_another(seed: u64, config: &mut Map<String, Value>) {
    let mut rng = Rng::new(seed ^ 0x006c_6976_6573);
    let ours = config.get("cookie").and_then(|cookie| cookie.get("maxAge")).cloned();
    let Some(outer) = config.get_mut("outer") else { return };
    let lives = match rng.below(6) {
        0 => return,
        1 => rng.pick(&MAX_AGES).into(),
        _ => ours.unwrap_or_else(|| rng.pick(&MAX_AGES).into()),
    };
    outer["cookie"]["maxAge"] = lives;
}

/// In one case of ten the server is started anew in the middle, with another secret before the others or in place of them.
pub(super) fn rotation(seed: u64, case: &mut Case) {
    let mut rng = Rng::new(seed ^ 0x726f_7461_7465);
    let at = 1 + rng.below(case.requests.len().max(2) - 1);
    // Numbered ids would begin anew, and be in use; and so would the calls of which one fails.
    let counts = ["genidFunction", "storeFails"].iter().any(|key| case.config.contains_key(*key));
    if !rng.percent(10) || at >= case.requests.len() || counts {
        return;
    }
    let old = match case.config.get("secret") {
        Some(Value::Array(secrets)) => secrets.clone(),
        secret => secret.cloned().into_iter().collect(),
    };
    let mut secrets = vec![json!("the new secret")];
    match rng.below(4) {
        0 => {}
        1 => secrets.splice(..0, old).for_each(drop),
        _ => secrets.extend(old),
    }
    case.requests[at].secret = Some(secrets.into());
}

fn secret(rng: &mut Rng) -> Value {
    let first = rng.pick(&SECRETS);
    match rng.below(6) {
        0 | 1 => json!(first),
        2 => json!([first]),
        5 => rng.pick(&[
            json!({ "hex": BYTES }),
            json!([{ "hex": BYTES }, first]),
            json!([first, { "hex": BYTES }]),
        ]),
        3 => json!([first, "the old secret"]),
        _ => json!([first, "the old secret", "the oldest secret"]),
    }
}

fn cookie(rng: &mut Rng, proxy: bool) -> Map<String, Value> {
    let mut cookie = Map::new();
    let mut put = |key: &str, value: Value| drop(cookie.insert(key.to_owned(), value));

    if rng.percent(40) {
        put("path", rng.pick(&PATHS).into());
    }
    if rng.percent(25) {
        put("domain", rng.pick(&DOMAINS).into());
    }
    if rng.percent(40) {
        put("httpOnly", rng.percent(50).into());
    }
    if rng.percent(60) {
        put("maxAge", if rng.percent(15) { Value::Null } else { rng.pick(&MAX_AGES).into() });
    }
    if rng.percent(25) {
        put("priority", rng.pick(&["low", "medium", "high"]).into());
    }
    // Behind no proxy nothing is secure, and `true` means that no cookie is ever sent: keep that rare.
    let secure = match rng.below(if proxy { 4 } else { 12 }) {
        0 => Some(json!(true)),
        1 => Some(json!("auto")),
        2 => Some(json!(false)),
        _ => None,
    };
    let may_be_secure = matches!(secure, Some(Value::Bool(true) | Value::String(_)));
    if let Some(secure) = secure {
        put("secure", secure);
    }
    if rng.percent(40) {
        let none = if may_be_secure { json!("none") } else { json!("lax") };
        put(
            "sameSite",
            rng.pick(&[json!(true), json!(false), json!("lax"), json!("strict"), json!("auto"), none]),
        );
    }
    if rng.percent(20) {
        put("partitioned", (may_be_secure && rng.percent(70)).into());
    }
    cookie
}
