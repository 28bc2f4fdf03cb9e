//! The application's keys and values, as JSON text, in the order in which JavaScript would enumerate them.

use std::{collections::HashMap, fmt, sync::Arc};

/// **Data**: the record without `cookie`. Each value stays the JSON text that was stored until somebody asks for it,
/// so that what nobody touched is written back to the byte.
///
/// A read keeps the record's text once and remembers where keys and values stand in it.
#[derive(Clone, Default)]
pub struct Data {
    text: Option<Arc<str>>,
    entries: Vec<Entry>,
    /// How many keys stand before `cookie` in the record: none in what Node writes, unless they are array indexes.
    cookie_at: usize,
}

#[derive(Clone)]
struct Entry {
    key: Text,
    value: Text,
}

#[derive(Clone)]
enum Text {
    /// A slice of the record's text.
    Span(u32, u32),
    Own(Box<str>),
}

impl Data {
    /// No keys at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The JSON text of a value; `None` when there is no such key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.position(key).map(|at| self.resolve(&self.entries[at].value))
    }

    /// Whether there is such a key.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.position(key).is_some()
    }

    /// The number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Keys and the JSON texts of their values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|entry| (self.resolve(&entry.key), self.resolve(&entry.value)))
    }

    /// Keys in insertion order, array indexes first: the order of JavaScript's `Object.keys`.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(key, _)| key)
    }

    /// Puts a value that is JSON text; a key that is there keeps its place.
    pub(crate) fn insert(&mut self, key: &str, json: Box<str>) {
        match self.position(key) {
            Some(at) => self.entries[at].value = Text::Own(json),
            None => {
                let at = self.place_of(key);
                self.cookie_at += usize::from(at <= self.cookie_at && array_index(key).is_some());
                self.entries.insert(at, Entry { key: Text::Own(key.into()), value: Text::Own(json) });
            }
        }
    }

    /// Takes a key out; answers whether it was there.
    pub(crate) fn remove(&mut self, key: &str) -> bool {
        let Some(at) = self.position(key) else { return false };
        self.entries.remove(at);
        self.cookie_at -= usize::from(at < self.cookie_at);
        true
    }

    /// A reader's half: starts from a record's text …
    pub(crate) fn over(text: Arc<str>) -> Self {
        Self { text: Some(text), entries: Vec::with_capacity(8), cookie_at: 0 }
    }

    pub(crate) fn cookie_at(&self) -> usize {
        self.cookie_at
    }

    /// The cookie comes next in the text.
    pub(crate) fn mark_cookie(&mut self) {
        self.cookie_at = self.len();
    }

    /// … and takes each key and value as it comes. `value` must be a slice of the text.
    pub(crate) fn push_read(&mut self, key: &str, value: &str) {
        let entry = Entry { key: self.text_of(key), value: self.text_of(value) };
        self.entries.push(entry);
    }

    /// Of keys that come twice the last value holds, at the place of the first, as in `JSON.parse`.
    pub(crate) fn resolve_duplicates(&mut self) {
        let mut seen: HashMap<Box<str>, usize> = HashMap::new();
        let mut kept: Vec<Entry> = Vec::with_capacity(self.entries.len());
        for entry in std::mem::take(&mut self.entries) {
            let key = self.resolve(&entry.key);
            match seen.get(key) {
                Some(&at) => kept[at].value = entry.value,
                None => {
                    seen.insert(key.into(), kept.len());
                    kept.push(entry);
                }
            }
        }
        self.cookie_at = self.cookie_at.min(kept.len());
        self.entries = kept;
    }

    pub(crate) fn has_duplicates(&self) -> bool {
        match self.entries.len() {
            0 | 1 => false,
            // Comparing a few pairs costs less than hashing.
            2..=16 => self.keys().enumerate().any(|(at, key)| self.keys().take(at).any(|other| other == key)),
            _ => {
                let mut seen = std::collections::HashSet::with_capacity(self.len());
                !self.keys().all(|key| seen.insert(key))
            }
        }
    }

    fn position(&self, key: &str) -> Option<usize> {
        self.entries.iter().position(|entry| self.resolve(&entry.key) == key)
    }

    /// JavaScript enumerates array indexes first and in ascending order, then all other keys as they came.
    fn place_of(&self, key: &str) -> usize {
        match array_index(key) {
            None => self.entries.len(),
            Some(index) => self
                .keys()
                .position(|other| array_index(other).is_none_or(|other| other > index))
                .unwrap_or(self.entries.len()),
        }
    }

    fn resolve<'a>(&'a self, text: &'a Text) -> &'a str {
        match (text, &self.text) {
            (Text::Own(own), _) => own,
            (Text::Span(from, to), Some(text)) => text.get(*from as usize..*to as usize).unwrap_or_default(),
            (Text::Span(..), None) => "",
        }
    }

    /// A span when `part` lies inside the record's text, else a copy (a key with escapes, say).
    fn text_of(&self, part: &str) -> Text {
        let span = self.text.as_ref().and_then(|text| {
            let from = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
            let to = from.checked_add(part.len())?;
            (to <= text.len()).then_some(())?;
            Some(Text::Span(u32::try_from(from).ok()?, u32::try_from(to).ok()?))
        });
        span.unwrap_or_else(|| Text::Own(part.into()))
    }
}

/// A canonical array index: "0", "17", at most 2³² − 2.
pub(crate) fn array_index(key: &str) -> Option<u32> {
    let canonical =
        key == "0" || (key.starts_with(|first: char| first.is_ascii_digit()) && !key.starts_with('0'));
    key.parse().ok().filter(|&index| canonical && index != u32::MAX)
}

/// Equal when the texts are: the comparison that express-session makes by hashing.
impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

/// The number of keys and nothing of their content.
impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Data({} keys)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(keys: &[&str]) -> Data {
        let mut data = Data::new();
        keys.iter().for_each(|key| data.insert(key, "1".into()));
        data
    }

    #[test]
    fn keys_come_as_javascript_enumerates_them() {
        let keys: Vec<String> = data(&["b", "10", "a", "2", "01", "4294967294", "4294967295", "-1", "0"])
            .keys()
            .map(String::from)
            .collect();
        assert_eq!(keys, ["0", "2", "10", "4294967294", "b", "a", "01", "4294967295", "-1"]);
    }

    #[test]
    fn a_key_that_is_put_again_keeps_its_place_and_one_that_was_removed_does_not() {
        let mut data = data(&["a", "b"]);
        data.insert("a", "2".into());
        assert_eq!(data.iter().collect::<Vec<_>>(), [("a", "2"), ("b", "1")]);
        assert!(data.remove("a") && !data.remove("a"));
        data.insert("a", "2".into());
        assert_eq!(data.iter().collect::<Vec<_>>(), [("b", "1"), ("a", "2")]);
    }

    #[test]
    fn the_cookie_keeps_its_place_among_the_keys() {
        let mut data = data(&["a", "7"]);
        assert_eq!(data.cookie_at(), 1, "array indexes stand before it");
        data.insert("3", "1".into());
        assert_eq!(data.cookie_at(), 2);
        data.remove("7");
        data.remove("a");
        assert_eq!(data.cookie_at(), 1);
        data.remove("3");
        data.insert("b", "1".into());
        assert_eq!(data.cookie_at(), 0);
    }

    #[test]
    fn debug_shows_no_content() {
        assert_eq!(format!("{:?}", data(&["token"])), "Data(1 keys)");
    }
}
