//! Reading a JSON object key by key, with an error that names the key.

use std::{collections::HashSet, fmt, time::Duration};

use serde_json::{Map, Value};

/// A configuration that cannot be honoured: the key, and why not.
#[derive(Debug)]
pub struct Refusal(pub(super) String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) type Parsed<T> = Result<T, Refusal>;

/// The keys of one object, of which every one must be asked for.
pub(super) struct Keys<'a> {
    prefix: &'static str,
    object: &'a Map<String, Value>,
    asked: HashSet<&'static str>,
}

impl<'a> Keys<'a> {
    pub(super) fn of(prefix: &'static str, object: &'a Map<String, Value>) -> Self {
        Self { prefix, object, asked: HashSet::new() }
    }

    pub(super) fn take<T>(
        &mut self,
        key: &'static str,
        what: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Parsed<Option<T>> {
        self.asked.insert(key);
        let wrong = || refusal(&format!("{}{key}", self.prefix), &format!("must be {what}"));
        self.object.get(key).map(|value| read(value).ok_or_else(wrong)).transpose()
    }

    pub(super) fn text(&mut self, key: &'static str) -> Parsed<Option<String>> {
        self.take(key, "a string", |value| value.as_str().map(Into::into))
    }

    pub(super) fn boolean(&mut self, key: &'static str) -> Parsed<Option<bool>> {
        self.take(key, "true or false", Value::as_bool)
    }

    pub(super) fn duration(
        &mut self,
        key: &'static str,
        of: fn(f64) -> Duration,
    ) -> Parsed<Option<Duration>> {
        self.take(key, "a number that is not negative", |value| value.as_f64().filter(|n| *n >= 0.0).map(of))
    }

    pub(super) fn object(&mut self, key: &'static str) -> Parsed<Option<Map<String, Value>>> {
        self.take(key, "an object", |value| value.as_object().cloned())
    }

    pub(super) fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Parsed<Option<T>> {
        let known = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(" or ");
        self.take(key, &known, |value| find(words, value))
    }

    pub(super) fn finish(&self) -> Parsed<()> {
        match self.object.keys().find(|key| !self.asked.contains(key.as_str())) {
            Some(key) => Err(refusal(&format!("{}{key}", self.prefix), "unknown key")),
            None => Ok(()),
        }
    }
}

fn find<T: Copy>(words: &[(&str, T)], value: &Value) -> Option<T> {
    words.iter().find(|(word, _)| value == word).map(|(_, meaning)| *meaning)
}

pub(super) fn refusal(key: &str, reason: &str) -> Refusal {
    Refusal(format!("{key}: {reason}"))
}
