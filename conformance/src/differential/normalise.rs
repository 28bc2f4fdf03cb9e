//! From a reply to an [`Answer`]: sids become symbols in order of appearance, signatures are checked and dropped, dates
//! and ages become numbers. A sid that a client made up is no such symbol. Where a request has a reason to fail (`Reason`), the page
//! of a framework is one word, and Express's status that which is expected of us; the words of a failed operation are ours (`WORDS`). Of
//! headers those that a server writes by itself are passed over (`is_compared`). On MongoDB (`raw`) `updatedAt` goes by the server's
//! clock, of an encrypted session the length counts, and in object form -0 is 0, what a cookie has not set may be null, and a
//! fraction of a millisecond of its age is cut off. The rest must be equal to the byte.

use serde_json::value::RawValue;

use super::answer::{Answer, Held};
use super::case::{Answers, Case, Op, Request, THROW};
use super::cookies::STAND_IN;
use super::dates;
use super::fields::Fields;
use super::http::Reply;
use super::raw::{Piece, Row};
use super::sign::{sid_of, wire};

/// The sids that one side has shown so far, and those that its clients have made up.
#[derive(Default)]
pub(super) struct Symbols {
    shown: Vec<String>,
    made_up: Vec<String>,
}

const MADE_UP: &str = "<sid that a client made up>";

impl Symbols {
    /// Takes note of what a Cookie header has that no answer had.
    pub(super) fn sent(&mut self, header: &[u8]) {
        let header = String::from_utf8_lossy(header);
        let values = header.split(';').filter_map(|pair| pair.split_once('='));
        let sids = values.filter_map(|(_, value)| sid_of(value.trim().trim_matches('"')));
        for sid in sids.filter(|sid| is_random(sid)) {
            if !(self.shown.contains(&sid) || self.is_made_up(&sid)) {
                self.made_up.push(sid);
            }
        }
    }

    fn is_made_up(&self, sid: &str) -> bool {
        sid == STAND_IN || self.made_up.iter().any(|made_up| made_up == sid)
    }

    /// The symbol of a sid in a database, where it may be one that nobody was told.
    fn shown(&self, sid: &str) -> String {
        match self.shown.iter().position(|seen| seen == sid) {
            Some(index) => format!("<sid {}>", index + 1),
            None if self.is_made_up(sid) => MADE_UP.to_owned(),
            None if is_random(sid) => "<untold sid>".to_owned(),
            None => sid.to_owned(),
        }
    }

    fn of(&mut self, sid: &str) -> String {
        if !is_random(sid) {
            return sid.to_owned();
        }
        if self.is_made_up(sid) {
            return MADE_UP.to_owned();
        }
        let index = self.shown.iter().position(|seen| seen == sid).unwrap_or_else(|| {
            self.shown.push(sid.to_owned());
            self.shown.len() - 1
        });
        format!("<sid {}>", index + 1)
    }
}

/// 24 bytes in base64url; another shape stays as it is, and so shows.
fn is_random(sid: &str) -> bool {
    sid.len() == 32 && sid.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// What is needed to recognise the session cookie of a layer.
pub(super) struct Session {
    pub(super) name: String,
    pub(super) secret: Vec<u8>,
}

impl Session {
    fn has_signed(&self, sid: &str, name: &str, value: &str) -> bool {
        name == self.name && wire(sid, &self.secret) == value
    }
}

/// Why a request may be answered without what its handler has to say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Reason {
    /// The handler ends with an error.
    Thrown,
    /// The record cannot be read.
    Spoilt,
    /// The store was told to fail.
    StoreFails,
}

impl Reason {
    /// Of two only the first is here: `generate` makes no case with both.
    pub(super) fn of(case: &Case, request: &Request, is_spoilt: bool) -> Option<Self> {
        if is_spoilt {
            Some(Self::Spoilt)
        } else if case.config.contains_key("storeFails") {
            Some(Self::StoreFails)
        } else {
            request.ops.iter().any(|op| op.text == THROW).then_some(Self::Thrown)
        }
    }

    /// What stands for Express's 500, its status of every error.
    fn expected(self) -> u16 {
        match self {
            Self::Thrown | Self::Spoilt => 500,
            // Whoever asked may ask again.
            Self::StoreFails => 503,
        }
    }
}

/// Who answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum By {
    Express,
    Us,
}

pub(super) fn answer(
    reply: &Reply,
    by: By,
    ops: &[Op],
    reason: Option<Reason>,
    sessions: &[Session],
    symbols: &mut Symbols,
) -> Answer {
    let reason = reason.filter(|_| reply.status >= 400 && !reply.body.starts_with('['));
    let status = match reason {
        Some(reason) if by == By::Express && reply.status == 500 => reason.expected(),
        _ => reply.status,
    };
    let mut answer = Answer { status, ..Answer::default() };
    answer.body = match reason {
        Some(_) => ERROR_PAGE.to_owned(),
        None => body(reply, ops, symbols, &mut answer),
    };
    for line in set_cookies(reply) {
        let line = set_cookie(&line, sessions, symbols, &mut answer.times);
        answer.set_cookie.push(line);
    }
    let page = answer.body == ERROR_PAGE;
    let mut headers = Vec::new();
    for (name, value) in &reply.headers {
        if is_compared(name.as_str(), page) {
            headers.push((name.as_str(), String::from_utf8_lossy(value.as_bytes())));
        }
    }
    // The order of different names means nothing, that of the values of one does.
    headers.sort_by_key(|(name, _)| *name);
    answer.headers = headers.into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
    answer
}

/// Adds what the database holds: the rows in the order of their symbols, and those whose sid no answer has shown by what is in
/// them. `held` knows what can be said of a key that Redis removes at some time.
pub(super) fn rows(
    rows: Vec<Row>,
    symbols: &Symbols,
    answer: &mut Answer,
    mut held: impl FnMut(&str, Option<i64>) -> Held,
) {
    let mut written: Vec<_> = rows
        .into_iter()
        .map(|row| {
            // The times and ages of this row alone.
            let mut own = Answer::default();
            let mut text = symbols.shown(&row.sid);
            for piece in row.pieces {
                text.push_str(" | ");
                match piece {
                    Piece::Text(piece) => text.push_str(&piece),
                    Piece::Record(record) => text.push_str(&stored(&record, &mut own)),
                    Piece::Time(time) => {
                        own.times.push(time);
                        text.push_str("<time>");
                    }
                    Piece::Age(age) => {
                        own.ages.push(age);
                        text.push_str("<age>");
                    }
                    Piece::HeldUntil(end) => {
                        own.held.push(held(&row.sid, end));
                        text.push_str("<held>");
                    }
                }
            }
            (text, own)
        })
        .collect();
    // Rows that nothing tells apart but their times and ages are in the order of those: the sides came to them in the same order.
    let first_set = |answer: &Answer| answer.held.first().and_then(Held::first_set);
    written.sort_by_cached_key(|(text, own)| {
        (text.clone(), own.times.clone(), own.ages.clone(), first_set(own))
    });
    for (text, own) in written {
        answer.rows.push(text);
        answer.times.extend(own.times);
        answer.ages.extend(own.ages);
        answer.held.extend(own.held);
    }
}

/// The JSON text of a session, as a store holds it.
fn stored(record: &str, answer: &mut Answer) -> String {
    let mut edits = Edits::new(record);
    if let Some(held) = Fields::of(record).and_then(|fields| fields.get("cookie")) {
        cookie(held, &mut edits, answer);
    }
    edits.finish()
}

/// Each framework has its own.
const ERROR_PAGE: &str = "<error page>";

/// Every header counts but those that a server writes by itself, whoever answers.
fn is_compared(name: &str, error_page: bool) -> bool {
    match name {
        // The real time.
        "date" => false,
        // Of the connection: Node keeps it open and says so, the others do without a word.
        "connection" | "keep-alive" => false,
        // Rocket names itself.
        "server" => false,
        // The length differs with sids of other lengths and with the words of errors; the client has held it to the body.
        "content-length" => false,
        // How the body was framed, which the client has undone; of a HEAD actix-web tells how it would have been.
        "transfer-encoding" => false,
        // A cookie is compared as such, attribute by attribute.
        "set-cookie" => false,
        "content-type" => !error_page,
        _ => true,
    }
}

/// The Set-Cookie lines of a reply, in order.
pub(super) fn set_cookies(reply: &Reply) -> Vec<String> {
    let values = reply.headers.get_all("set-cookie");
    values.iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
}

fn set_cookie(line: &str, sessions: &[Session], symbols: &mut Symbols, times: &mut Vec<i64>) -> String {
    let mut parts = line.split("; ");
    let (name, value) = parts.next().and_then(|pair| pair.split_once('=')).unwrap_or_default();
    let signed = sid_of(value).and_then(|sid| {
        let layer = sessions.iter().position(|session| session.has_signed(&sid, name, value))?;
        Some((sid, layer))
    });
    let Some((sid, layer)) = signed else { return line.to_owned() };

    let mut written = format!("{name}={}", symbols.of(&sid));
    if layer > 0 {
        written.push_str(" of the layer around");
    }
    for part in parts {
        let time = part.strip_prefix("Expires=").and_then(dates::http);
        times.extend(time);
        written.push_str("; ");
        written.push_str(if time.is_some() { "Expires=<time>" } else { part });
    }
    written
}

fn body(reply: &Reply, ops: &[Op], symbols: &mut Symbols, answer: &mut Answer) -> String {
    let results: Vec<&RawValue> = match serde_json::from_str(&reply.body) {
        Ok(results) => results,
        Err(_) => return reply.body.clone(),
    };
    if results.len() != ops.len() {
        return reply.body.clone();
    }
    let mut edits = Edits::new(&reply.body);
    for (op, result) in ops.iter().zip(results) {
        let result = result.get();
        if let Some(message) = error(result) {
            edits.replace(result, format!("<error: {}>", ours(&message)));
            continue;
        }
        match op.answers {
            Answers::Plain => {}
            Answers::Sid => {
                if let Ok(sid) = serde_json::from_str::<String>(result) {
                    edits.replace(result, symbols.of(&sid));
                }
            }
            Answers::Cookie => cookie(result, &mut edits, answer),
            Answers::Record => {
                if let Some(held) = Fields::of(result).and_then(|fields| fields.get("cookie")) {
                    cookie(held, &mut edits, answer);
                }
            }
        }
    }
    edits.finish()
}

fn cookie(text: &str, edits: &mut Edits<'_>, answer: &mut Answer) {
    let Some(fields) = Fields::of(text) else { return };
    if let Some(expires) = fields.get("expires")
        && let Some(time) = expires.strip_prefix('"').and_then(|text| dates::iso(text.strip_suffix('"')?))
    {
        answer.times.push(time);
        edits.replace(expires, "<time>".to_owned());
    }
    if let Some(age) = fields.get("originalMaxAge")
        && let Ok(number) = age.parse()
    {
        answer.ages.push(number);
        edits.replace(age, "<age>".to_owned());
    }
}

/// What failed operations say in Express, and here.
const WORDS: [(&str, &str); 1] = [("the store was told to fail", "probe: the store failed")];

fn ours(message: &str) -> &str {
    WORDS.iter().find(|(express, _)| *express == message).map_or(message, |(_, ours)| ours)
}

fn error(result: &str) -> Option<String> {
    let fields = Fields::of(result).filter(|fields| fields.get("error") == Some("true"))?;
    serde_json::from_str(fields.get("message")?).ok()
}

/// A body without the results of the operations that were put in at these indexes.
pub(super) fn without(body: &str, put_in: &[usize]) -> String {
    let results: Vec<&RawValue> = match serde_json::from_str(body) {
        Ok(results) if !put_in.is_empty() => results,
        _ => return body.to_owned(),
    };
    let kept = results.iter().enumerate().filter(|(index, _)| !put_in.contains(index));
    format!("[{}]", kept.map(|(_, result)| result.get()).collect::<Vec<_>>().join(","))
}

/// Replacements of parts of one text.
struct Edits<'a> {
    text: &'a str,
    replacements: Vec<(usize, usize, String)>,
}

impl<'a> Edits<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, replacements: Vec::new() }
    }

    /// `part` is a slice of the text, as the parser borrows it.
    fn replace(&mut self, part: &str, with: String) {
        let start = part.as_ptr() as usize - self.text.as_ptr() as usize;
        self.replacements.push((start, start + part.len(), with));
    }

    fn finish(mut self) -> String {
        self.replacements.sort();
        let mut written = String::with_capacity(self.text.len());
        let mut done = 0;
        for (start, end, with) in &self.replacements {
            written.push_str(&self.text[done..*start]);
            written.push_str(with);
            done = *end;
        }
        written + &self.text[done..]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use ureq::http::HeaderMap;

    use super::super::answer::{Window, Windows};
    use super::*;

    const SID: &str = "123456789abcdefghijklmnopqrstuvw";

    fn normalised(body: &str, answers: Answers) -> Answer {
        let reply = Reply { status: 200, headers: HeaderMap::new(), body: body.to_owned() };
        let op = Op { text: String::new(), answers, moves: 0 };
        answer(&reply, By::Us, &[op], None, &[], &mut Symbols::default())
    }

    /// Asked one after the other, within the same millisecond each.
    fn at_once() -> Windows {
        let mut windows = Windows::default();
        windows.push(Window::of(|| ()).1, Window::of(|| ()).1);
        windows
    }

    #[test]
    fn numbers_and_the_order_of_keys_are_compared_as_text() {
        let one = normalised(r#"[{"a":1,"b":2}]"#, Answers::Plain);
        for other in [r#"[{"a":1.0,"b":2}]"#, r#"[{"b":2,"a":1}]"#, r#"[{"a":1, "b":2}]"#] {
            assert!(!one.agrees(&normalised(other, Answers::Plain), &at_once()), "{other}");
        }
    }

    #[test]
    fn only_the_clock_of_a_record_is_tolerated() {
        let record = |age: &str, second: &str, more: &str| {
            let expires = format!("2026-01-02T03:04:{second}.678Z");
            let body = format!(r#"[{{"cookie":{{"originalMaxAge":{age},"expires":"{expires}"}}{more}}}]"#);
            normalised(&body, Answers::Record)
        };
        let one = record("60000", "05", "");
        assert_eq!(one.body, r#"[{"cookie":{"originalMaxAge":<age>,"expires":<time>}}]"#);
        assert!(one.agrees(&record("59999", "06", ""), &at_once()));
        assert!(!one.agrees(&record("59000", "05", ""), &at_once()));
        assert!(!one.agrees(&record("60000", "09", ""), &at_once()));
        assert!(!one.agrees(&record("null", "05", ""), &at_once()));
        assert!(!one.agrees(&record("60000", "05", r#","a":1"#), &at_once()));
    }

    #[test]
    fn an_error_page_needs_a_reason_and_has_the_status_of_that() {
        let of = |by, status, reason| {
            let reply = Reply { status, headers: HeaderMap::new(), body: "a page".to_owned() };
            let answer = answer(&reply, by, &[], reason, &[], &mut Symbols::default());
            (answer.status, answer.body)
        };
        let page = |status| (status, ERROR_PAGE.to_owned());
        for (reason, status) in [(Reason::Spoilt, 500), (Reason::Thrown, 500), (Reason::StoreFails, 503)] {
            assert_eq!(of(By::Express, 500, Some(reason)), page(status));
            assert_eq!(of(By::Us, 500, Some(reason)), page(500));
            assert_eq!(of(By::Us, 503, Some(reason)), page(503));
        }
        assert_eq!(of(By::Us, 503, None), (503, "a page".to_owned()));
    }

    #[test]
    fn an_id_that_a_client_made_up_is_no_new_one() {
        let mut symbols = Symbols::default();
        assert_eq!(symbols.of(SID), "<sid 1>");
        let other = SID.replace('1', "z");
        for sid in [SID, &other] {
            symbols.sent(format!("a=b; sid=\"{}\"; c", wire(sid, b"k")).as_bytes());
        }
        assert_eq!(symbols.of(SID), "<sid 1>");
        assert_eq!((symbols.of(&other).as_str(), symbols.shown(&other).as_str()), (MADE_UP, MADE_UP));
        assert_eq!(symbols.of(STAND_IN), MADE_UP);
    }

    #[test]
    fn errors_have_our_words_and_sids_become_symbols() {
        let error = |message: &str| {
            normalised(&json!([{ "error": true, "message": message }]).to_string(), Answers::Plain).body
        };
        assert_eq!(error("one"), "[<error: one>]");
        assert_eq!(error("the store was told to fail"), error("probe: the store failed"));
        assert_eq!(normalised(&format!(r#"["{SID}"]"#), Answers::Sid).body, "[<sid 1>]");
        assert_eq!(normalised(r#"["short"]"#, Answers::Sid).body, "[short]");
    }

    #[test]
    fn a_cookie_with_another_encoding_or_signature_shows() {
        let session = Session { name: "sid".into(), secret: b"k".into() };
        let shown = |line: &str| {
            set_cookie(line, std::slice::from_ref(&session), &mut Symbols::default(), &mut Vec::new())
        };
        let good = wire(SID, b"k");
        assert_eq!(
            shown(&format!("sid={good}; Path=/; Expires=Fri, 02 Jan 2026 03:04:05 GMT")),
            "sid=<sid 1>; Path=/; Expires=<time>"
        );
        for bad in [wire(SID, b"other"), good.replace("%3A", "%3a"), good.replace("%3A", ":")] {
            let line = format!("sid={bad}; Path=/");
            assert_eq!(shown(&line), line);
        }
    }

    #[test]
    fn which_layer_has_signed_a_cookie_shows() {
        let session = |secret: &[u8]| Session { name: "sid".into(), secret: secret.into() };
        let layers = [session(b"inner"), session(b"outer")];
        let shown = |secret| {
            let line = format!("sid={}; Path=/", wire(SID, secret));
            set_cookie(&line, &layers, &mut Symbols::default(), &mut Vec::new())
        };
        assert_eq!(shown(b"inner"), "sid=<sid 1>; Path=/");
        assert_eq!(shown(b"outer"), "sid=<sid 1> of the layer around; Path=/");
    }
}
