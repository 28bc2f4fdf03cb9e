//! The record: what a store holds under a sid.

pub(crate) mod cookie;
pub(crate) mod data;
pub(crate) mod ids;
mod index;
pub(crate) mod times;
pub(crate) mod value;

use std::{
    any::Any,
    borrow::Cow,
    fmt,
    panic::{RefUnwindSafe, UnwindSafe},
    sync::Arc,
    time::SystemTime,
};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::{
    record::{
        cookie::{Cookie, Unread},
        data::Data,
        ids::Ids,
        times::Times,
    },
    wire::{date::Millis, json},
};

/// **Record**: the session's cookie settings and its data; the JSON object that express-session writes.
///
/// ```
/// use session_core::Record;
///
/// let text = r#"{"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"},"views":1.50}"#;
/// let record = Record::parse(text)?;
/// assert_eq!(record.data.get("views"), Some("1.50"));
/// assert_eq!(record.to_json(), text);
/// assert!(Record::parse("{}").is_err());
/// # Ok::<(), session_core::RecordError>(())
/// ```
///
/// Where a session has limits of its own, or its user has shown who that is, there is a third part under the key `__session_times`, which Express
/// leaves alone: `{"begun":…,"authenticated":…,"idle":…,"absolute":…}`, in milliseconds: when it began and when its user last showed who that
/// is, since 1970; for how long it may lie unused, and lives at all. It is none of [`data`](Self::data), and goes with the record through [`parse`](Self::parse) and [`to_json`](Self::to_json).
///
/// And where ids are [renewed](crate::Options::renew_ids), a fourth one under `__session_ids`: when the id was given, and which one it had before or
/// has now.
///
/// Two records are equal when all their parts are.
#[derive(Clone)]
pub struct Record {
    /// The attributes kept with the session.
    pub cookie: Cookie,
    /// The application's keys and values. Shared, so that a record costs no copy of them.
    pub data: Arc<Data>,
    pub(crate) times: Times,
    /// `None`: it has had no other.
    pub(crate) ids: Option<Arc<Ids>>,
    /// When it was written, if the text is to tell.
    stamp: Option<Millis>,
}

/// A stored record that cannot be read. It says where and why, and nothing of the record.
#[derive(Debug, thiserror::Error)]
#[error("not a session record: {0}")]
pub struct RecordError(String);

impl Record {
    /// From its two parts.
    #[must_use]
    pub fn new(cookie: Cookie, data: impl Into<Arc<Data>>) -> Self {
        Self { cookie, data: data.into(), times: Times::default(), ids: None, stamp: None }
    }

    pub(crate) fn with_times(self, times: Times) -> Self {
        Self { times, ..self }
    }

    pub(crate) fn with_ids(self, ids: Option<Arc<Ids>>) -> Self {
        Self { ids, ..self }
    }

    /// The text tells this moment, in white space that no reader of JSON sees. Where a store's version is the text, a record
    /// that is written again is then another one, as the date of a cookie makes it.
    pub(crate) fn stamped(self, at: Millis) -> Self {
        Self { stamp: Some(at), ..self }
    }

    /// Reads the JSON text of a record: one shallow pass, which looks into `cookie` and into no value.
    ///
    /// # Errors
    /// The text is not a JSON object, or has no object under `cookie`.
    pub fn parse(text: impl Into<Arc<str>>) -> Result<Self, RecordError> {
        let text = text.into();
        let mut reader = serde_json::Deserializer::from_str(&text);
        let record =
            RecordSeed(&text).deserialize(&mut reader).and_then(|record| reader.end().map(|()| record));
        record.map_err(RecordError::from)
    }

    /// The JSON text, as `JSON.stringify` prints it; untouched values to the byte as they were read.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = String::with_capacity(self.data.size() + 128);
        let mut before = '{';
        let mut at = 0;
        let mut members = self.data.iter();
        let has_times = !self.times.is_none();
        loop {
            if at == self.data.cookie_at() {
                text.push(before);
                text.push_str("\"cookie\":");
                self.cookie.push_json(&mut text);
                before = ',';
                if has_times {
                    text.push_str(",\"");
                    text.push_str(times::KEY);
                    text.push_str("\":");
                    self.times.push_json(&mut text);
                }
                if let Some(ids) = &self.ids {
                    text.push_str(",\"");
                    text.push_str(ids::KEY);
                    text.push_str("\":");
                    ids.push_json(&mut text);
                }
            }
            let Some((key, value)) = members.next() else { break };
            at += 1;
            // What else stands there is not to come twice.
            if (has_times && key == times::KEY) || (self.ids.is_some() && key == ids::KEY) {
                continue;
            }
            text.push(before);
            json::push_string(&mut text, key);
            text.push(':');
            text.push_str(value);
            before = ',';
        }
        if let Some(at) = self.stamp {
            push_stamp(&mut text, at);
        }
        text.push('}');
        text
    }

    /// With what the store has read it from, for the store alone. Whatever is made of this record keeps it: the record with
    /// changed data, until nothing is left of them, and the one that goes on under another id. So a store can tell what the
    /// text does not, that a string was a date, say. It is no part of the text, and records that differ in nothing else are
    /// equal.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use session_core::Record;
    ///
    /// let record = Record::parse(r#"{"cookie":{},"at":"2026-01-02"}"#)?.with_origin(Arc::new(["at"]));
    /// assert_eq!(record.origin(), Some(&["at"]));
    /// assert_eq!(record.origin::<u64>(), None);
    /// # Ok::<(), session_core::RecordError>(())
    /// ```
    #[must_use]
    pub fn with_origin(mut self, origin: Arc<impl Any + Send + Sync + UnwindSafe + RefUnwindSafe>) -> Self {
        Arc::make_mut(&mut self.data).origin = Some(origin);
        self
    }

    /// What the store has read it from, or what it was made of: `None` where that is nothing, or of another type.
    #[must_use]
    pub fn origin<T: Any>(&self) -> Option<&T> {
        let origin: &dyn Any = &**self.data.origin.as_ref()?;
        origin.downcast_ref()
    }

    /// When the record is over by its own word, `cookie.expires`; `None` when it has none. A store that keeps the expiry
    /// beside the record goes by that one, since a touch moves nothing else. (Until when it is to be held says
    /// [`Cookie::held_until`].)
    #[must_use]
    pub fn expires(&self) -> Option<SystemTime> {
        self.cookie.expires()
    }
}

/// Two bits a character, of as many milliseconds as 49 days have.
fn push_stamp(text: &mut String, at: Millis) {
    let blanks = std::array::from_fn::<u8, 16, _>(|place| match (at >> (2 * place)) & 3 {
        0 => b' ',
        1 => b'\t',
        2 => b'\n',
        _ => b'\r',
    });
    text.push_str(std::str::from_utf8(&blanks).unwrap_or_default());
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        self.cookie == other.cookie
            && self.data == other.data
            && self.times == other.times
            && self.ids == other.ids
    }
}

/// Shows no data.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("cookie", &self.cookie).field("data", &self.data).finish()
    }
}

impl From<serde_json::Error> for RecordError {
    fn from(error: serde_json::Error) -> Self {
        // serde_json's own words could quote a value: only our own, and the position, are kept.
        let what = match error.classify() {
            serde_json::error::Category::Data => "no cookie object in it",
            _ => "broken JSON",
        };
        Self(format!("{what} (line {}, column {})", error.line(), error.column()))
    }
}

struct RecordSeed<'a>(&'a Arc<str>);

impl<'de> DeserializeSeed<'de> for RecordSeed<'_> {
    type Value = Record;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Record, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RecordSeed<'_> {
    type Value = Record;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a cookie object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Record, A::Error> {
        let mut data = Data::over(Arc::clone(self.0));
        let mut cookie = None;
        let (mut times, mut ids) = (None, None);
        while let Some(Key(key)) = members.next_key()? {
            if key == "cookie" {
                if cookie.is_none() {
                    data.mark_cookie();
                }
                cookie = Some(members.next_value_seed(CookieSeed)?);
                continue;
            }
            let json = members.next_value::<&RawValue>()?.get();
            // The last one counts, as in `JSON.parse`.
            if let Some(known) = Times::of_member(&key, json) {
                times = Some(known);
            } else if let Some(known) = Ids::of_member(&key, json) {
                ids = Some(Arc::new(known));
            } else {
                data.push_read(&key, json);
            }
        }
        if data.has_duplicates() {
            data.resolve_duplicates();
        }
        let cookie = cookie.ok_or_else(|| A::Error::custom("no cookie"))?;
        Ok(Record::new(cookie, data).with_times(times.unwrap_or_default()).with_ids(ids))
    }
}

struct CookieSeed;

impl<'de> DeserializeSeed<'de> for CookieSeed {
    type Value = Cookie;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cookie, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for CookieSeed {
    type Value = Cookie;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a cookie object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Cookie, A::Error> {
        let mut cookie = Unread::default();
        while let Some(Key(name)) = members.next_key()? {
            cookie.read_member(&name, members.next_value::<&RawValue>()?);
        }
        Ok(cookie.done())
    }
}

/// A key, borrowed from the text unless it has escapes.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    const COOKIE: &str = r#""cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}"#;

    fn rewritten(text: &str) -> String {
        Record::parse(text).unwrap().to_json()
    }

    #[test]
    fn what_nobody_touched_is_written_back_to_the_byte() {
        for data in [
            "",
            r#","a":1"#,
            r#","a":1.50,"b":1e5,"c":-0,"d":12345678901234567890123"#,
            r#","s":"\ud800 \u0041 \/","o":{"z":1,"a":[ 1 , 2 ]}"#,
            r#","é\"\n":null"#,
        ] {
            let text = format!("{{{COOKIE}{data}}}");
            assert_eq!(rewritten(&text), text);
        }
        for text in [
            format!(r#"{{"1":true,{COOKIE},"a":1}}"#),
            format!(r#"{{"a":1,{COOKIE}}}"#),
            r#"{"cookie":{"originalMaxAge":false,"partitioned":true,"priority":"high","expires":false,"secure":"auto","httpOnly":false,"domain":"a.b","path":null,"sameSite":"Lax"}}"#.into(),
            r#"{"cookie":{"originalMaxAge":60000,"expires":"2026-01-02T03:05:05.678Z","secure":false,"httpOnly":true,"path":"/\"","sameSite":true}}"#.into(),
        ] {
            assert_eq!(rewritten(&text), text);
        }
    }

    #[test]
    fn a_stamp_is_another_text_and_the_same_record() {
        let plain = Record::parse(format!(r#"{{{COOKIE},"a":1}}"#)).unwrap();
        let texts = [0, 1, 2, 3, 4, 1_767_323_045_678].map(|at| plain.clone().stamped(at).to_json());
        for (at, text) in texts.iter().enumerate() {
            assert_eq!(text.len(), plain.to_json().len() + 16);
            assert!(texts[..at].iter().all(|other| other != text));
            assert_eq!(Record::parse(text.as_str()).unwrap(), plain);
            assert_eq!(rewritten(text), plain.to_json());
        }
    }

    #[test]
    fn times_stand_behind_the_cookie_and_are_no_data() {
        let text = format!(r#"{{"1":true,{COOKIE},"__session_times":{{"begun":5,"absolute":7}},"a":1}}"#);
        let record = Record::parse(text.as_str()).unwrap();
        assert_eq!(record.data.keys().collect::<Vec<_>>(), ["1", "a"]);
        assert_eq!((record.times.begun(), record.times.absolute.get()), (Some(5), Some(7)));
        assert_eq!(record.to_json(), text);
        // Wherever Express has put it.
        let moved = rewritten(&format!(r#"{{{COOKIE},"a":1,"__session_times":{{"begun":5}}}}"#));
        assert_eq!(moved, format!(r#"{{{COOKIE},"__session_times":{{"begun":5}},"a":1}}"#));
        assert_ne!(Record::parse(moved.as_str()).unwrap(), Record::parse(text).unwrap());
        // What is not ours is data, until there is something of ours.
        let theirs = format!(r#"{{{COOKIE},"__session_times":"theirs","a":1}}"#);
        assert_eq!(rewritten(&theirs), theirs);
        let both = Record::parse(theirs).unwrap().with_times(Times::begun_at(5));
        assert_eq!(both.to_json(), moved);
    }

    #[test]
    fn members_are_read_as_node_reads_them() {
        assert_eq!(
            rewritten(r#"{"cookie":{}}"#),
            r#"{"cookie":{"expires":null,"httpOnly":true,"path":"/"}}"#
        );
        assert_eq!(
            rewritten(&format!(r#"{{{COOKIE},"a":1,"b":2,"a":3}}"#)),
            format!(r#"{{{COOKIE},"a":3,"b":2}}"#)
        );
        let unknown = r#"{"cookie":{"foo":1,"path":"/x","expires":"nonsense"}}"#;
        assert_eq!(rewritten(unknown), r#"{"cookie":{"expires":"nonsense","httpOnly":true,"path":"/x"}}"#);
    }

    #[test]
    fn a_record_that_cannot_be_read_says_why_and_shows_nothing() {
        for (text, why) in [
            ("", "broken JSON (line 1, column 0)"),
            ("[]", "no cookie object in it (line 1, column 0)"),
            ("{\"secret\":\"hunter2\"", "broken JSON (line 1, column 19)"),
            ("{\"secret\":\"hunter2\"}", "no cookie object in it (line 1, column 20)"),
            ("{\"cookie\":null}", "no cookie object in it (line 1, column 14)"),
            ("{\"cookie\":\"hunter2\"}", "no cookie object in it (line 1, column 19)"),
            ("{\"cookie\":{}} x", "broken JSON (line 1, column 15)"),
        ] {
            let error = Record::parse(text).unwrap_err();
            assert_eq!(error.to_string(), format!("not a session record: {why}"), "{text}");
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }
}
