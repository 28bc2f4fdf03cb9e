//! The real cookie-session beside ours: its vectors, and random configurations and requests.

use std::collections::BTreeMap;
use std::fmt;

use express_session::{Keygrip, KeygripAlgorithm, KeygripEncoding, cookie_session_value};
use serde_json::{Value, json};

use super::process::Program;
use super::rng::Rng;
use super::server::{Answered, Server};

/// What was asked, and where two sides answered otherwise.
#[derive(Debug)]
pub struct Difference(String);

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How many requests were compared, and what came of them.
#[derive(Debug, Default)]
pub struct Compared {
    /// Requests.
    pub requests: usize,
    /// Answers that set a cookie.
    pub with_cookies: usize,
    /// Cookies that were sent and that a side read a session of.
    pub known: usize,
    /// And that it did not.
    pub refused: usize,
}

/// What a side answered, in the words of the comparison: of cookies of different names the order is the network's.
#[derive(Debug, PartialEq)]
struct Told {
    status: u16,
    results: Vec<Value>,
    set_cookie: BTreeMap<String, Vec<String>>,
}

impl From<Answered> for Told {
    fn from(answered: Answered) -> Self {
        let mut set_cookie = BTreeMap::<_, Vec<_>>::new();
        for line in answered.set_cookie {
            let name = line.split('=').next().unwrap_or_default().to_owned();
            set_cookie.entry(name).or_default().push(line);
        }
        // Each has an error page of its own, and words of its own for an operation that fails.
        let mut results: Vec<Value> = serde_json::from_str(&answered.body).unwrap_or_default();
        let errors = results.iter_mut().filter(|result| result.get("error") == Some(&Value::Bool(true)));
        errors.for_each(|result| *result = json!({ "error": true }));
        Self { status: answered.status, results, set_cookie }
    }
}

/// One row of the vectors: what the real package answered to a request.
///
/// # Errors
/// The probe answers otherwise.
pub fn answers_as_recorded(probe: &Program, row: &Value, now: u64) -> Result<(), Difference> {
    let mut config = row["config"].clone();
    (config["backend"], config["clock"]) = ("cookie".into(), true.into());
    let served = probe.serve(&config).map_err(|error| Difference(format!("{}: {error}", row["title"])))?;
    let mut headers = vec![("x-now".to_owned(), now.to_string().into_bytes())];
    // A letter up to U+00FF is one byte.
    let bytes = |text: &str| text.chars().filter_map(|letter| u8::try_from(u32::from(letter)).ok()).collect();
    headers.extend(row["cookie"].as_str().map(|cookie| ("cookie".to_owned(), bytes(cookie))));
    for (name, value) in row["headers"].as_object().into_iter().flatten() {
        headers.push((name.clone(), value.as_str().unwrap_or_default().into()));
    }
    let answered = served.ask(&headers, &row["operations"]).map_err(Difference)?;
    let lines = row["setCookie"].as_array().into_iter().flatten();
    let expected = Told::from(Answered {
        status: row["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or_default(),
        set_cookie: lines.filter_map(Value::as_str).map(Into::into).collect(),
        body: row["results"].to_string(),
    });
    let told = Told::from(answered);
    if told == expected {
        return Ok(());
    }
    Err(Difference(format!("{row:#}\nours: {told:#?}")))
}

/// So many configurations from a seed on, each with a browser's requests one after the other.
///
/// # Errors
/// The first answers that differ, with all that was sent before.
pub fn compare(oracle: &Program, probe: &Program, seed: u64, configs: usize) -> Result<Compared, Difference> {
    let mut compared = Compared::default();
    for at in 0..configs {
        let seed = seed + at as u64;
        let mut rng = Rng::new(seed);
        let config = config(&mut rng);
        let serve = |program: &Program| {
            program.serve(&config).map_err(|error| Difference(format!("seed {seed}, {config}: {error}")))
        };
        let sides = [serve(oracle)?, serve(probe)?];
        let mut browser = Browser::new(&config, 1_767_323_045_678);
        for _ in 0..3 + rng.below(6) {
            let request = browser.request(&mut rng);
            let ask = |side: &Server| {
                let answered = side.ask(&request.headers, &request.operations);
                answered.map_err(|error| Difference(format!("seed {seed}: {error}")))
            };
            let [real, ours] = [ask(&sides[0])?, ask(&sides[1])?];
            compared.requests += 1;
            compared.with_cookies += usize::from(!real.set_cookie.is_empty());
            let is_new = real.body.starts_with("[true");
            compared.known += usize::from(request.has_cookie && !is_new);
            compared.refused += usize::from(request.has_cookie && is_new);
            let cookies = real.set_cookie.clone();
            let [real, ours] = [real, ours].map(Told::from);
            if real != ours {
                return Err(Difference(format!(
                    "seed {seed}, {config}\n{request}\nreal {real:#?}\nours {ours:#?}"
                )));
            }
            browser.keeps(&cookies);
        }
    }
    Ok(compared)
}

const KEYS: [&str; 4] = ["key1", "key2", "keyboard cat", "é☃"];

fn config(rng: &mut Rng) -> Value {
    let mut config = json!({ "backend": "cookie", "clock": true });
    let mut set = |rng: &mut Rng, chance, key: &str, values: &[Value]| {
        if rng.percent(chance) {
            config[key] = rng.pick(values);
        }
    };
    let values = |values: Value| values.as_array().cloned().unwrap_or_default();
    set(rng, 30, "name", &values(json!(["my.session", "s$x+", "a|b", "SESSION", "s"])));
    set(rng, 20, "signed", &[false.into()]);
    set(rng, 30, "overwrite", &values(json!([true, false])));
    set(rng, 30, "httpOnly", &values(json!([true, false])));
    set(rng, 40, "secure", &values(json!([true, false, false])));
    set(rng, 40, "sameSite", &values(json!([true, false, "lax", "strict", "none"])));
    set(rng, 20, "domain", &values(json!(["example.com", "a.b.example"])));
    set(rng, 20, "path", &values(json!(["/", "", "/p", "/p/q"])));
    set(rng, 50, "maxAge", &values(json!([0, null, 1_000, 60_000, 86_400_000, -1_000])));
    set(rng, 20, "priority", &values(json!(["low", "medium", "high"])));
    set(rng, 20, "partitioned", &values(json!([true, false])));
    set(rng, 60, "proxy", &values(json!([true, true, false])));
    set(rng, 10, "trustProxy", &values(json!([true, 1])));
    let algorithms = ["sha1", "sha256", "sha384", "sha512"];
    if rng.percent(25) {
        config["keygrip"] =
            json!({ "algorithm": rng.pick(&algorithms), "encoding": rng.pick(&["base64", "hex"]) });
    }
    if rng.percent(20) {
        config["secret"] = rng.pick(&KEYS).into();
    } else {
        let keys: Vec<&str> = (0..=rng.below(3)).map(|_| rng.pick(&KEYS)).collect();
        config["keys"] = json!(keys);
    }
    config
}

/// A client that keeps what it is sent, and sometimes sends something else.
struct Browser {
    name: String,
    keys: Vec<String>,
    algorithm: KeygripAlgorithm,
    encoding: KeygripEncoding,
    jar: BTreeMap<String, String>,
    now: u64,
}

struct Request {
    headers: Vec<(String, Vec<u8>)>,
    operations: Value,
    has_cookie: bool,
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {}", String::from_utf8_lossy(value))?;
        }
        write!(f, "{}", self.operations)
    }
}

impl Browser {
    fn new(config: &Value, now: u64) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let keys = match &config["keys"] {
            Value::Array(keys) => keys.iter().map(text).collect(),
            _ => vec![text(&config["secret"])],
        };
        Self {
            name: config["name"].as_str().unwrap_or("session").into(),
            keys,
            algorithm: match config["keygrip"]["algorithm"].as_str() {
                Some("sha256") => KeygripAlgorithm::Sha256,
                Some("sha384") => KeygripAlgorithm::Sha384,
                Some("sha512") => KeygripAlgorithm::Sha512,
                _ => KeygripAlgorithm::Sha1,
            },
            encoding: match config["keygrip"]["encoding"].as_str() {
                Some("hex") => KeygripEncoding::Hex,
                _ => KeygripEncoding::Base64,
            },
            jar: BTreeMap::new(),
            now,
        }
    }

    fn keeps(&mut self, lines: &[String]) {
        for line in lines {
            let pair = line.split(';').next().unwrap_or_default();
            let Some((name, value)) = pair.split_once('=') else { continue };
            if line.contains("expires=Thu, 01 Jan 1970") {
                self.jar.remove(name);
            } else {
                self.jar.insert(name.into(), value.into());
            }
        }
    }

    /// By one of the configured keys, or by another.
    fn signed(&self, rng: &mut Rng, value: &str) -> String {
        let key = if rng.percent(85) { rng.pick(&self.keys) } else { "another key".into() };
        let keys = Keygrip::new([key]).algorithm(self.algorithm).encoding(self.encoding);
        keys.sign(&format!("{}={value}", self.name))
    }

    fn request(&mut self, rng: &mut Rng) -> Request {
        self.now += rng.pick(&[0, 1, 500, 1_000, 61_000]);
        let mut headers = vec![("x-now".to_owned(), self.now.to_string().into_bytes())];
        let cookie = self.cookie(rng);
        let has_cookie = cookie.as_ref().is_some_and(|cookie| cookie.contains(&format!("{}=", self.name)));
        headers.extend(cookie.map(|cookie| ("cookie".to_owned(), cookie.into_bytes())));
        if rng.percent(40) {
            let protocol =
                rng.pick(&["https", "https", "http", "HTTPS", "https, http", "http, https", " https"]);
            headers.push(("x-forwarded-proto".into(), protocol.into()));
        }
        Request { headers, operations: self.operations(rng), has_cookie }
    }

    fn cookie(&self, rng: &mut Rng) -> Option<String> {
        let [name, signature_name] = [self.name.clone(), format!("{}.sig", self.name)];
        let held = self.jar.get(&name).cloned();
        let value = match held {
            Some(value) if rng.percent(70) => value,
            None if rng.percent(60) => return None,
            _ => cookie_session_value(&payload(rng)),
        };
        let value = misspelt(rng, value);
        let signature = match self.jar.get(&signature_name) {
            Some(signature) if rng.percent(60) => signature.clone(),
            _ => self.signed(rng, &value),
        };
        let mut pairs = vec![format!("{name}={value}")];
        match rng.below(12) {
            0 => {}
            1 => pairs.push(format!("{signature_name}=")),
            2 => pairs.push(format!("{signature_name}=\"{signature}\"")),
            3 => pairs.push(format!("{signature_name}={signature}=")),
            _ => pairs.push(format!("{signature_name}={signature}")),
        }
        if rng.percent(10) {
            pairs.insert(
                0,
                rng.pick(&["a=1".to_owned(), format!("x{name}=1"), format!("{name} =1"), "=".into()]),
            );
        }
        if rng.percent(5) {
            pairs.push(format!("{name}=eyJ0aGUiOiJzZWNvbmQifQ=="));
        }
        if rng.percent(20) {
            pairs.reverse();
        }
        let between = rng.pick(&["; ", "; ", "; ", ";", ";  ", " ; ", ";\t"]);
        Some(pairs.join(between))
    }

    fn operations(&self, rng: &mut Rng) -> Value {
        let mut operations = vec![json!(["isNew"])];
        for _ in 0..rng.below(5) {
            let key = rng.pick(&["a", "b", "2", "10", "cookie", "save", "length", "é"]);
            operations.push(match rng.below(16) {
                0..=4 => json!(["set", key, value(rng, 0)]),
                5 => json!(["get", key]),
                6 => json!(["del", key]),
                7 => json!(["keys"]),
                8 => json!(["isPopulated"]),
                9 => json!(["unset"]),
                10 => json!(["replace", replacement(rng)]),
                11 => json!(["options", options(rng)]),
                12 => json!([
                    "header",
                    "Set-Cookie",
                    rng.pick(&["other=1".into(), format!("{}=theirs", self.name)])
                ]),
                13 => json!(["status", rng.pick(&[200, 201, 404, 500])]),
                14 if rng.percent(20) => json!(["throw"]),
                _ => json!(["isNew"]),
            });
        }
        if operations.iter().any(|operation| operation[0] == "throw") {
            // A handler that fails has no response whose headers it could have set.
            operations.retain(|operation| operation[0] != "header");
        }
        json!(operations)
    }
}

fn value(rng: &mut Rng, depth: usize) -> Value {
    match rng.below(if depth < 3 { 10 } else { 8 }) {
        0 => Value::Null,
        1 => rng.percent(50).into(),
        2 => json!(rng.below(1_000)),
        3 => rng.pick(&[
            json!(-0.5),
            json!(1e21),
            json!(1.5e-9),
            json!(12_345_678_901_234_567_890_u64),
            json!(0.1),
        ]),
        4 => "".into(),
        5 => rng.pick(&["text", "é☃😀", "\"\\/\n\u{1}\u{7f}\u{2028}", "<script>", "%41+;="]).into(),
        6 => json!([]),
        7 => json!({}),
        8 => (0..rng.below(4)).map(|_| value(rng, depth + 1)).collect(),
        _ => {
            let keys = ["z", "a", "10", "2", "01", "__proto__", "isNew", "é"];
            let member = |rng: &mut Rng| (rng.pick(&keys).to_owned(), value(rng, depth + 1));
            Value::Object((0..rng.below(4)).map(|_| member(rng)).collect())
        }
    }
}

fn replacement(rng: &mut Rng) -> Value {
    match rng.below(6) {
        0 => json!({}),
        1 => json!([1, { "b": 2 }]),
        2 => rng.pick(&[json!("text"), json!(5), json!(false)]),
        3 => Value::Null,
        _ => json!({ "a": value(rng, 1), "7": value(rng, 2) }),
    }
}

fn options(rng: &mut Rng) -> Value {
    let (name, values) = rng.pick(&[
        ("maxAge", json!([0, 5_000, null, -5_000])),
        ("path", json!(["/q", ""])),
        ("domain", json!(["example.org"])),
        ("secure", json!([true, false])),
        ("httpOnly", json!([true, false])),
        ("sameSite", json!(["lax", "none", "strict", true, false])),
        ("priority", json!(["low", "high"])),
        ("partitioned", json!([true, false])),
    ]);
    json!({ name: rng.pick(values.as_array().map_or(&[][..], |values| values)) })
}

/// A JSON text that a client may send: canonical or not, an object or not.
fn payload(rng: &mut Rng) -> String {
    rng.pick(&[
        r#"{"a":1}"#,
        r#"{ "a" : 1 , "b":[ 1.0, 1e3,-0 ] }"#,
        r#"{"b":1,"a":2,"b":3}"#,
        r#"{"x":{"b":1,"2":0,"1":0,"b":{"01":1,"10":2,"9":3}}}"#,
        r#"{"isNew":1,"_ctx":2,"constructor":3,"__proto__":{"a":1},"toString":4,"a":{"__proto__":1,"isNew":2}}"#,
        r#"{"n":[12345678901234567890,1e400,-1e400,1E-7,0.1000,123456789012345680000]}"#,
        r#"{"s":"\u0041\/\ud83d\ude00\u00e9\u2028\u007f\b"}"#,
        r#"["x",{"y":[]}]"#,
        r#""aé😀""#,
        "null",
        "5",
        "true",
        "\"\"",
        "[]",
        "{}",
        r#"{"4294967295":1,"4294967294":2,"0":3,"-1":4}"#,
        "{",
        "{\"a\":1}x",
        "\u{feff}{}",
        "",
    ])
    .into()
}

/// As cookies come that somebody has had in hand.
fn misspelt(rng: &mut Rng, value: String) -> String {
    if !rng.percent(35) {
        return value;
    }
    let middle = value.len() / 2;
    let put = |text: &str| format!("{}{text}{}", &value[..middle], &value[middle..]);
    match rng.below(11) {
        0 => value.trim_end_matches('=').to_owned(),
        1 => value.replace('+', "-").replace('/', "_"),
        2 => put("."),
        3 => put("="),
        4 => put("%3D"),
        5 => format!("\"{value}\""),
        6 => format!("\"{value}x"),
        7 => format!("{value} "),
        8 => format!(" {value}"),
        9 => put("é"),
        _ => format!("{value}eyJiIjoyfQ=="),
    }
}

/// Has a probe serve a configuration, and asks it once: the status, the results (none where the body is no list of them), and the
/// lines of `Set-Cookie`.
///
/// # Errors
/// It refuses the configuration, or does not answer.
pub fn answer_of(
    probe: &Program,
    config: &Value,
    path: &str,
    headers: &[(&str, &str)],
    operations: &Value,
) -> Result<(u16, Vec<Value>, Vec<String>), String> {
    use super::{http, sign::encode};
    let serving = probe.start(config)?.ready()?;
    let mut all = vec![("x-ops", encode(&operations.to_string()).into_bytes())];
    all.extend(headers.iter().map(|(name, value)| (*name, value.as_bytes().to_vec())));
    let reply = http::exchange(&http::agent(), "GET", &format!("{}{path}", serving.url()), &all);
    let reply = reply.map_err(|error| error.to_string())?;
    let lines = reply.headers.get_all("set-cookie").iter();
    let lines = lines.map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned()).collect();
    Ok((reply.status, serde_json::from_str(&reply.body).unwrap_or_default(), lines))
}
