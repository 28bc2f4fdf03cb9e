//! From a reply to an [`Answer`]: sids become symbols in order of appearance, signatures are checked and dropped, dates
//! and ages become numbers. Of an error only the fact is kept: the text of a failed operation, and the page of a framework; and of
//! headers those that a server writes by itself are passed over (`is_compared`). On MongoDB (`raw`) `updatedAt` goes by the server's
//! clock, of an encrypted session the length counts, and in object form -0 is 0, what a cookie has not set may be null, and a
//! fraction of a millisecond of its age is cut off. The rest must be equal to the byte.

use serde_json::value::RawValue;

use super::answer::{Answer, Held};
use super::case::{Answers, Op};
use super::dates;
use super::fields::Fields;
use super::http::Reply;
use super::raw::{Piece, Row};
use super::sign::{sid_of, wire};

/// The sids that one side has shown so far.
#[derive(Default)]
pub(super) struct Symbols(Vec<String>);

impl Symbols {
    /// The symbol of a sid in a database, where it may be one that nobody was told.
    fn shown(&self, sid: &str) -> String {
        match self.0.iter().position(|seen| seen == sid) {
            Some(index) => format!("<sid {}>", index + 1),
            None if is_random(sid) => "<untold sid>".to_owned(),
            None => sid.to_owned(),
        }
    }

    fn of(&mut self, sid: &str) -> String {
        if !is_random(sid) {
            return sid.to_owned();
        }
        let index = self.0.iter().position(|seen| seen == sid).unwrap_or_else(|| {
            self.0.push(sid.to_owned());
            self.0.len() - 1
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

pub(super) fn answer(reply: &Reply, ops: &[Op], sessions: &[Session], symbols: &mut Symbols) -> Answer {
    // Where a store failed, Express says 500 as of every error, and this project 503.
    let status = if reply.status == 503 && is_error_page(reply) { 500 } else { reply.status };
    let mut answer = Answer { status, ..Answer::default() };
    answer.body = body(reply, ops, symbols, &mut answer);
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

fn is_error_page(reply: &Reply) -> bool {
    reply.status >= 400 && !reply.body.starts_with('[')
}

fn body(reply: &Reply, ops: &[Op], symbols: &mut Symbols, answer: &mut Answer) -> String {
    if is_error_page(reply) {
        return ERROR_PAGE.to_owned();
    }
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
        if is_error(result) {
            edits.replace(result, "<error>".to_owned());
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

fn is_error(result: &str) -> bool {
    Fields::of(result)
        .is_some_and(|fields| fields.get("error") == Some("true") && fields.get("message").is_some())
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
    use ureq::http::HeaderMap;

    use super::super::answer::{Window, Windows};
    use super::*;

    const SID: &str = "123456789abcdefghijklmnopqrstuvw";

    fn normalised(body: &str, answers: Answers) -> Answer {
        let reply = Reply { status: 200, headers: HeaderMap::new(), body: body.to_owned() };
        let op = Op { text: String::new(), answers, moves: 0 };
        answer(&reply, &[op], &[], &mut Symbols::default())
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
    fn errors_are_alike_and_sids_become_symbols() {
        assert_eq!(normalised(r#"[{"error":true,"message":"one"}]"#, Answers::Plain).body, "[<error>]");
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
