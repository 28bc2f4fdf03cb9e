//! Random requests of several clients under one configuration.

use serde_json::{Map, Value, json};

use super::super::case::{Answers, Case, Op, Request, THROW, WAIT};
use super::super::cookies::{Cookies, SINGLE};
use super::super::rng::Rng;
use super::time::Pace;
use super::values;

/// Upper case counts for `proxy: true`, and not for `trust proxy`, which the library cannot tell apart.
/// Each line is a header of its own.
const SCHEMES: [&str; 10] = [
    "HTTPS , http",
    "https",
    "https",
    "http",
    "http,https",
    " https,",
    "",
    "https http",
    "https\nhttp",
    "http\nhttps",
];
/// The first one lasts for ten years, longer than a case's own clock can tell apart from others.
const AGES: [&str; 8] = ["315360000000", "null", "60000", "60000", "3600000", "86400000", "0", "-1000"];
/// Each is valid: what no header can carry is an error here, and in Express one after the handler.
const ATTRIBUTES: [&str; 18] = [
    r#""path","/""#,
    r#""path","/app""#,
    r#""path","/a b""#,
    r#""domain","example.com""#,
    r#""domain",".Sub.example.com""#,
    r#""secure",true"#,
    r#""secure",false"#,
    r#""httpOnly",true"#,
    r#""httpOnly",false"#,
    r#""httpOnly",false"#,
    r#""sameSite","lax""#,
    r#""sameSite","strict""#,
    r#""sameSite","none""#,
    r#""priority","low""#,
    r#""priority","high""#,
    r#""partitioned",true"#,
    r#""partitioned",false"#,
    r#""expires",null"#,
];
const STATUSES: [u16; 8] = [200, 201, 202, 302, 401, 404, 500, 503];
const HEADERS: [(&str, &str); 10] = [
    ("Vary", "Cookie"),
    ("Vary", "Accept"),
    ("Cache-Control", "private, max-age=0"),
    ("Location", "/login?next=%2F"),
    ("x-a", "1"),
    ("X-A", "two, words"),
    ("x-b", ""),
    ("Set-Cookie", "theme=dark; Path=/"),
    ("Set-Cookie", "theme=light"),
    ("set-cookie", "connect.sid=of-the-handler; Path=/"),
];

pub(super) fn random(
    rng: &mut Rng,
    config: &Map<String, Value>,
    programs: usize,
    pace: Option<&Pace>,
) -> Vec<Request> {
    let clients = 1 + rng.below(3);
    let cookie = |key: &str| config.get("cookie").and_then(|cookie| cookie.get(key));
    let scene = Scene {
        clients,
        secrets: config.get("secret").and_then(Value::as_array).map_or(1, Vec::len),
        path: path_of(config),
        ends_at_once: cookie("maxAge").and_then(Value::as_i64).is_some_and(|age| age <= 0),
        proxy: config.get("proxy") == Some(&Value::Bool(true)) || config.contains_key("trustProxy"),
        outer: config.get("outer").and_then(|outer| outer["cookie"]["path"].as_str()),
        resaves: [Some(config), config.get("outer").and_then(Value::as_object)]
            .into_iter()
            .flatten()
            .any(|layer| layer.get("resave") != Some(&Value::Bool(false))),
        counts_reads: config.contains_key("storeFails"),
        pace,
    };
    let mut requests: Vec<_> = (0..12 + rng.below(10))
        .map(|index| {
            let turn = index % programs.max(1);
            let request = match rng.below(100) {
                0..=6 => scene.admin(rng, turn),
                // Who finds that another has written meanwhile reads once more here, and so counts to another call that fails.
                7..=11 if !config.contains_key("storeFails") => scene.overlapping(rng, turn, programs.max(1)),
                _ => scene.visit(rng, turn),
            };
            Request { after: pace.map_or(0, |pace| pace.jump(rng)), ..request }
        })
        .collect();
    requests.push(scene.audit());
    requests
}

/// In some cases the first `save` of a handler fails, or its `destroy`: the first call of that verb there is.
pub(super) fn failing(seed: u64, case: &mut Case) {
    let mut rng = Rng::new(seed ^ 0x6661_696c_7300);
    let is_left_out = ["storeFails", "genidFunction"].iter().any(|key| case.config.contains_key(*key));
    if is_left_out || !rng.percent(8) {
        return;
    }
    // What is over at once is not stored here.
    case.lengthen();
    let path = path_of(&case.config).to_owned();
    let Some(first) = case.requests.first_mut() else { return };
    let destroys = case.config.get("unset").is_some_and(|unset| unset == "destroy") && rng.percent(60);
    let last = rng.pick(&[r#"["set","b",2]"#, r#"["unset"]"#, r#"["save"]"#]);
    let (verb, last) = if destroys { ("destroy", r#"["destroy"]"#) } else { ("set", last) };
    case.config.insert("storeFails".to_owned(), json!({ "verb": verb, "call": 1 }));
    let ops = [r#"["set","a",1]"#, r#"["save"]"#, last].map(plain).into();
    *first = Request { method: "GET", path, cookies: Cookies::Jar, ops, during: None, ..first.clone() };
}

/// In some cases a record cannot be read, once. With `unset: "destroy"` Express destroys what it could not read; here it stays.
pub(super) fn spoiling(seed: u64, case: &mut Case, programs: usize) {
    let mut rng = Rng::new(seed ^ 0x0073_706f_696c_7400);
    let destroys = case.config.get("unset").is_some_and(|unset| unset == "destroy");
    if destroys || case.config.contains_key("storeFails") || !rng.percent(40) {
        return;
    }
    let at = 1 + rng.below(case.requests.len() - 1);
    let before = case.requests[at - 1].clone();
    let (ops, turn) = (Vec::new(), rng.below(programs.max(1)));
    let (method, cookies) = ("GET", Cookies::Jar);
    let path = path_of(&case.config).to_owned();
    let request = Request {
        turn,
        after: 0,
        method,
        path,
        cookies,
        ops,
        spoils: true,
        secret: None,
        during: None,
        ..before
    };
    case.requests.insert(at, request);
}

/// The path of the cookie.
fn path_of(config: &Map<String, Value>) -> &str {
    let path = config.get("cookie").and_then(|cookie| cookie.get("path")?.as_str());
    match config.get("cookieFunction").and_then(Value::as_str) {
        Some("ofApp") => "/app",
        _ => path.unwrap_or("/"),
    }
}

struct Scene<'a> {
    clients: usize,
    secrets: usize,
    path: &'a str,
    /// The configured age is 0 or less.
    ends_at_once: bool,
    proxy: bool,
    /// The path of another layer around.
    outer: Option<&'a str>,
    /// Which of the store's calls fails is a matter of their number.
    counts_reads: bool,
    /// What is unchanged is written all the same.
    resaves: bool,
    pace: Option<&'a Pace>,
}

impl Scene<'_> {
    fn visit(&self, rng: &mut Rng, turn: usize) -> Request {
        let mut lifetimes = Lifetimes { ends_at_once: self.ends_at_once, ..Lifetimes::default() };
        let client = rng.below(self.clients);
        Request {
            turn,
            client,
            after: 0,
            method: self.method(rng),
            path: self.request_path(rng),
            forwarded: rng.percent(if self.proxy { 70 } else { 10 }).then(|| rng.pick(&SCHEMES)),
            cookies: if rng.percent(72) { Cookies::Jar } else { self.other_cookies(rng) },
            secret: None,
            spoils: false,
            during: None,
            ops: settled((0..rng.below(7)).filter_map(|_| self.operation(rng, &mut lifetimes)).collect()),
        }
    }

    /// Looks after the store. Its session is always new, so that it removes none that is in use.
    fn admin(&self, rng: &mut Rng, turn: usize) -> Request {
        let client = rng.below(self.clients);
        let operations = (0..1 + rng.below(4))
            .map(|_| match rng.below(10) {
                0 => plain(r#"["store","clear"]"#),
                1..=3 => plain(&format!(r#"["store","destroy","@sid{client}@"]"#)),
                4 => plain(r#"["store","destroy","nobody"]"#),
                5 | 6 => record(client),
                7 | 8 => plain(r#"["store","length"]"#),
                _ => plain(r#"["store","all"]"#),
            })
            .collect();
        self.of_admin(turn, operations)
    }

    /// What the store holds in the end.
    fn audit(&self) -> Request {
        let mut operations: Vec<_> = (0..self.clients).map(record).collect();
        operations.push(plain(r#"["store","length"]"#));
        self.of_admin(0, operations)
    }

    fn of_admin(&self, turn: usize, ops: Vec<Op>) -> Request {
        Request {
            turn,
            client: self.clients,
            after: 0,
            method: "GET",
            path: self.path.to_owned(),
            forwarded: None,
            cookies: Cookies::None,
            ops,
            secret: None,
            spoils: false,
            during: None,
        }
    }

    /// Two requests of one client at once, of which only one changes anything: of two that do, Express keeps what the last one
    /// wrote, and this project both. The one that only looks must not write either, so that it is the first to end, or saves
    /// nothing that is unchanged.
    fn overlapping(&self, rng: &mut Rng, turn: usize, turns: usize) -> Request {
        let client = rng.below(self.clients);
        let looks = |rng: &mut Rng| match rng.below(3) {
            0 => format!(r#"["get",{}]"#, values::key(rng)),
            1 => r#"["keys"]"#.to_owned(),
            _ => r#"["status",201]"#.to_owned(),
        };
        let changes = |rng: &mut Rng| match rng.below(3) {
            0 => format!(r#"["del",{}]"#, values::key(rng)),
            _ => format!(r#"["set",{},{}]"#, values::key(rng), values::value(rng)),
        };
        let some = |rng: &mut Rng, changing: bool| -> Vec<Op> {
            (0..1 + rng.below(3)).map(|_| plain(&if changing { changes(rng) } else { looks(rng) })).collect()
        };
        let outer_changes = self.resaves || rng.percent(50);
        let mut ops = some(rng, outer_changes);
        ops.push(plain(WAIT));
        ops.extend(some(rng, outer_changes));
        let request = |turn, ops| Request {
            turn,
            client,
            after: 0,
            method: "GET",
            path: self.path.to_owned(),
            forwarded: None,
            cookies: Cookies::Jar,
            ops,
            secret: None,
            spoils: false,
            during: None,
        };
        let during = request((turn + rng.below(2)) % turns, some(rng, !outer_changes));
        Request { during: Some(Box::new(during)), ..request(turn, ops) }
    }

    fn method(&self, rng: &mut Rng) -> &'static str {
        if rng.percent(75) {
            "GET"
        } else {
            rng.pick(&["POST", "POST", "HEAD", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
        }
    }

    /// Mostly below the cookie's path; a plain prefix matches too (`/app` and `/apple`).
    fn request_path(&self, rng: &mut Rng) -> String {
        let path = match self.outer {
            Some(outer) if rng.percent(40) => outer,
            _ => self.path,
        };
        let inside = path.trim_end_matches('/');
        match rng.below(20) {
            0..=10 => path.to_owned(),
            11 => format!("{inside}/page"),
            12 => {
                if inside.is_empty() {
                    "/le".to_owned()
                } else {
                    format!("{inside}le")
                }
            }
            13 => format!("{path}?next=/none&a=%20b"),
            14 => path.to_uppercase(),
            15 => {
                if inside.is_empty() {
                    "/a%zz/%2e".to_owned()
                } else {
                    inside.to_owned()
                }
            }
            16 => rng.pick(&["/", "/other", "//app"]).to_owned(),
            17 => "/none".to_owned(),
            18 => "/none?a=b".to_owned(),
            _ => "/head-only".to_owned(),
        }
    }

    fn other_cookies(&self, rng: &mut Rng) -> Cookies {
        let other = rng.below(self.clients);
        match rng.below(43) {
            0..=4 => Cookies::None,
            5 | 6 => Cookies::Of(other),
            7..=9 => Cookies::ResignedWith(rng.below(self.secrets)),
            10 => Cookies::WrongSecret,
            11 | 12 => Cookies::UnknownSid(rng.pick(&[
                "",
                "a",
                "a.b.c",
                "of nobody/é☃",
                "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345",
            ])),
            13 => Cookies::BadSignature,
            14 => Cookies::SpareBits,
            15 => Cookies::PaddedSignature,
            16 => Cookies::BadSid,
            17 => Cookies::NoSignature,
            18 => Cookies::NoPrefix,
            19 => Cookies::Truncated(rng.below(80)),
            20 => Cookies::Unencoded,
            21 => Cookies::OverEncoded,
            22 => Cookies::Quoted,
            23 => Cookies::Untidy,
            24 => Cookies::BadThenGood,
            25 => Cookies::GoodThenBad,
            26 => Cookies::GoodThenOf(other),
            27 => Cookies::OfThenGood(other),
            28 => Cookies::TwoLines,
            29 => Cookies::WrongName,
            30 => Cookies::BrokenPercent,
            31 => Cookies::BrokenPercentBeside,
            32 => Cookies::NotUtf8,
            33 => Cookies::NotUtf8Beside,
            34 => Cookies::Oversized(rng.pick(&[4096, 20_000])),
            35 => {
                let size = rng.pick(&[200, 4096, 20_000]);
                // Longer ones are refused here before the store is asked, whose calls are counted then.
                Cookies::OversizedSid(if self.counts_reads { 200 } else { size })
            }
            36..=38 => Cookies::Both(rng.below(SINGLE.len()), rng.below(SINGLE.len())),
            39..=41 => Cookies::Apart(rng.below(SINGLE.len()), rng.below(SINGLE.len())),
            _ => Cookies::Beside(rng.pick(&[500, 4000])),
        }
    }

    fn operation(&self, rng: &mut Rng, lifetimes: &mut Lifetimes) -> Option<Op> {
        let op = match rng.below(68) {
            0..=9 => format!(r#"["get",{}]"#, values::key(rng)),
            10..=21 => format!(r#"["set",{},{}]"#, values::key(rng), values::value(rng)),
            22..=26 => format!(r#"["del",{}]"#, values::key(rng)),
            27..=30 => r#"["keys"]"#.to_owned(),
            31..=33 => return Some(Op { answers: Answers::Sid, ..plain(r#"["id"]"#) }),
            34..=36 => return Some(Op { answers: Answers::Cookie, ..plain(r#"["cookie"]"#) }),
            37..=39 => {
                if let Some(age) = self.pace.and_then(|pace| pace.age(rng)) {
                    return Some(plain(&format!(r#"["maxAge",{age}]"#)));
                }
                let age = rng.pick(if self.pace.is_some() { &AGES[1..] } else { &AGES });
                if !lifetimes.allow_age(age) {
                    return None;
                }
                format!(r#"["maxAge",{age}]"#)
            }
            40 | 41 => r#"["regenerate"]"#.to_owned(),
            42 => r#"["destroy"]"#.to_owned(),
            43 | 44 => r#"["reload"]"#.to_owned(),
            45..=47 => {
                if !lifetimes.allow_save() {
                    return None;
                }
                r#"["save"]"#.to_owned()
            }
            48 => r#"["touch"]"#.to_owned(),
            49 => r#"["unset"]"#.to_owned(),
            50 | 51 => format!(r#"["status",{}]"#, rng.pick(&STATUSES)),
            52..=54 => {
                let (name, value) = rng.pick(&HEADERS);
                format!(r#"["header","{name}","{value}"]"#)
            }
            55 => match self.pace.and_then(|pace| pace.moves(rng)) {
                Some(_) if lifetimes.saved => return None,
                Some(moves) => return Some(Op { moves, ..plain(r#"["now",@now@]"#) }),
                None => format!(r#"["sleep",{}]"#, rng.below(4)),
            },
            56 => r#"["store","length"]"#.to_owned(),
            57 => r#"["store","all"]"#.to_owned(),
            60..=63 => format!(r#"["cookieSet",{}]"#, rng.pick(&ATTRIBUTES)),
            64 => match self.pace.and_then(|pace| pace.age(rng)) {
                Some(age) => format!(r#"["cookieSet","expires",@in{age}@]"#),
                None => return None,
            },
            65 => r#"["resetMaxAge"]"#.to_owned(),
            66 => THROW.to_owned(),
            67 => r#"["stream"]"#.to_owned(),
            _ => return Some(record(rng.below(self.clients))),
        };
        Some(plain(&op))
    }
}

/// Keeps one request from saving a session that is at its end and then reviving it.
#[derive(Default)]
struct Lifetimes {
    ends_at_once: bool,
    ended: bool,
    saved: bool,
}

impl Lifetimes {
    fn allow_age(&mut self, age: &str) -> bool {
        if self.ends_at_once && self.saved {
            return false;
        }
        self.ended |= matches!(age, "0" | "-1000");
        true
    }

    fn allow_save(&mut self) -> bool {
        self.saved |= !self.ended;
        !self.ended
    }
}

/// What an error that a handler ends with makes of the status and the headers that it has set is the framework's.
fn settled(mut ops: Vec<Op>) -> Vec<Op> {
    if ops.iter().any(|op| op.text == THROW) {
        ops.retain(|op| {
            !["[\"status\"", "[\"header\"", "[\"stream\""].iter().any(|of| op.text.starts_with(of))
        });
    }
    ops
}

fn plain(text: &str) -> Op {
    Op { text: text.to_owned(), answers: Answers::Plain, moves: 0 }
}

fn record(client: usize) -> Op {
    Op { answers: Answers::Record, ..plain(&format!(r#"["store","get","@sid{client}@"]"#)) }
}
