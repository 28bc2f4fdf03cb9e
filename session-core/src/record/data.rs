//! The application's keys and values, as JSON text, in the order in which JavaScript would enumerate them.

use std::{
    any::Any,
    collections::{HashMap, HashSet},
    fmt,
    hash::{Hash, Hasher},
    mem,
    panic::{RefUnwindSafe, UnwindSafe},
    sync::Arc,
};

use super::index::{Index, MANY};
use crate::wire::json;

/// Up to so many keys, comparing costs less than hashing.
pub(crate) const FEW: usize = 16;

/// **Data**: the record without `cookie`. Each value stays the JSON text that was stored until somebody asks for it,
/// so that what nobody touched is written back to the byte.
///
/// A read keeps the record's text once and remembers where keys and values stand in it.
#[derive(Default)]
pub struct Data {
    text: Option<Arc<str>>,
    entries: Vec<Entry>,
    /// How many keys stand before `cookie` in the record: none in what Node writes, unless they are array indexes.
    cookie_at: usize,
    /// What `size` answers: kept once it was counted for an insertion, because many come in a row.
    size: Option<usize>,
    /// Of many keys, where each stands: made for an insertion.
    index: Option<Box<Index>>,
    /// See [`Record::with_origin`](super::Record::with_origin).
    pub(super) origin: Option<Origin>,
}

/// What a store has read a record from.
pub(crate) type Origin = Arc<dyn Any + Send + Sync + UnwindSafe + RefUnwindSafe>;

impl Clone for Data {
    fn clone(&self) -> Self {
        let Self { text, entries, cookie_at, size, index: _, origin } = self;
        Self {
            text: text.clone(),
            entries: entries.clone(),
            cookie_at: *cookie_at,
            size: *size,
            index: None,
            origin: origin.clone(),
        }
    }
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

impl Entry {
    fn new(key: &str, json: impl Into<Box<str>>) -> Self {
        Self { key: Text::Own(key.into()), value: Text::Own(json.into()) }
    }
}

/// Between two members.
const COMMA: usize = 1;

/// The bytes of a member, its comma included.
fn member_len(key: &str, value: usize) -> usize {
    json::string_len(key) + ":".len() + value + COMMA
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

    /// The bytes of all keys and values as JSON text: what the record has between its braces, but for the cookie.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size.unwrap_or_else(|| {
            let members = self.iter().map(|(key, value)| member_len(key, value.len()));
            members.sum::<usize>().saturating_sub(COMMA)
        })
    }

    /// What [`size`](Self::size) would be with this value.
    pub(crate) fn size_with(&mut self, key: &str, json: &str) -> usize {
        self.make_index();
        let size = self.size();
        self.size = Some(size);
        self.size_after(size, self.position(key), key, json)
    }

    fn size_after(&self, size: usize, at: Option<usize>, key: &str, json: &str) -> usize {
        match at.and_then(|at| self.entries.get(at)) {
            Some(before) => size - self.resolve(&before.value).len() + json.len(),
            None if self.is_empty() => member_len(key, json.len()) - COMMA,
            None => size + member_len(key, json.len()),
        }
    }

    /// Puts a value that is JSON text; a key that is there keeps its place.
    pub(crate) fn insert(&mut self, key: &str, json: Box<str>) {
        self.make_index();
        let at = self.position(key);
        self.size = self.size.map(|size| self.size_after(size, at, key, &json));
        match at {
            Some(at) => self.entries[at].value = Text::Own(json),
            None => {
                let at = self.place_of(key);
                self.cookie_at += usize::from(at <= self.cookie_at && array_index(key).is_some());
                if at == self.len()
                    && let Some(mut index) = self.index.take()
                {
                    index.push(key, at, |at| self.key_at(at));
                    self.index = Some(index);
                } else {
                    self.index = None;
                }
                self.entries.insert(at, Entry::new(key, json));
            }
        }
    }

    fn make_index(&mut self) {
        if self.index.is_none() && self.len() > MANY {
            self.index = Some(Box::new(Index::of((0..self.len()).map(|at| self.key_at(at)))));
        }
    }

    fn key_at(&self, at: usize) -> &str {
        self.entries.get(at).map(|entry| self.resolve(&entry.key)).unwrap_or_default()
    }

    /// Takes a key out; answers whether it was there.
    pub(crate) fn remove(&mut self, key: &str) -> bool {
        let Some(at) = self.position(key) else { return false };
        (self.size, self.index) = (None, None);
        self.entries.remove(at);
        self.cookie_at -= usize::from(at < self.cookie_at);
        self.forget_origin();
        true
    }

    /// Many removals, then many insertions, in one pass: one by one, each would look through all keys. No key may come
    /// twice.
    pub(crate) fn change(&mut self, removed: &[&str], put: &[(&str, &str)]) {
        let removed = removed.iter().map(|key| (*key, None));
        let mut changes: HashMap<&str, Option<&str>> =
            removed.chain(put.iter().map(|(key, json)| (*key, Some(*json)))).collect();
        let before_cookie = self.cookie_at;
        (self.size, self.index) = (None, None);
        let mut kept = Vec::with_capacity(self.len() + put.len());
        for (at, mut entry) in mem::take(&mut self.entries).into_iter().enumerate() {
            match changes.remove(self.resolve(&entry.key)) {
                Some(None) => {
                    self.cookie_at -= usize::from(at < before_cookie);
                    continue;
                }
                Some(Some(json)) => entry.value = Text::Own(json.into()),
                None => {}
            }
            kept.push(entry);
        }
        self.entries = kept;
        self.forget_origin();
        self.add(put.iter().filter(|(key, _)| changes.contains_key(key)));
    }

    /// Nothing of it is left.
    fn forget_origin(&mut self) {
        if self.is_empty() {
            self.origin = None;
        }
    }

    /// Inserts keys that are not there yet.
    fn add<'a>(&mut self, new: impl Iterator<Item = &'a (&'a str, &'a str)>) {
        let mut indexes = Vec::new();
        let mut others = Vec::new();
        for (key, json) in new {
            match array_index(key) {
                Some(index) => indexes.push((index, Entry::new(key, *json))),
                None => others.push(Entry::new(key, *json)),
            }
        }
        if !indexes.is_empty() {
            indexes.sort_unstable_by_key(|(index, _)| *index);
            self.add_indexes(indexes);
        }
        self.entries.append(&mut others);
    }

    /// Each goes where `place_of` has it: before the first key that is a greater index, or none.
    fn add_indexes(&mut self, ascending: Vec<(u32, Entry)>) {
        let before_cookie = self.cookie_at;
        let mut all = Vec::with_capacity(self.len() + ascending.len());
        let mut new = ascending.into_iter().peekable();
        let held = mem::take(&mut self.entries).into_iter().map(Some);
        for (at, entry) in held.chain([None]).enumerate() {
            let held = entry.as_ref().and_then(|entry| array_index(self.resolve(&entry.key)));
            while let Some((_, entry)) = new.next_if(|(index, _)| held.is_none_or(|held| held > *index)) {
                all.push(entry);
                self.cookie_at += usize::from(at <= before_cookie);
            }
            all.extend(entry);
        }
        self.entries = all;
    }

    /// A reader's half: starts from a record's text …
    pub(crate) fn over(text: Arc<str>) -> Self {
        Self { text: Some(text), entries: Vec::with_capacity(8), cookie_at: 0, ..Self::default() }
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
        let mut first = HashMap::with_capacity(self.len());
        let place_of = |key| {
            let next = first.len();
            *first.entry(key).or_insert(next)
        };
        let places: Vec<usize> = self.keys().map(place_of).collect();
        self.cookie_at = places.iter().take(self.cookie_at).max().map_or(0, |last| last + 1);
        let mut kept: Vec<Entry> = Vec::with_capacity(self.len());
        for (entry, place) in mem::take(&mut self.entries).into_iter().zip(places) {
            match kept.get_mut(place) {
                Some(first) => first.value = entry.value,
                None => kept.push(entry),
            }
        }
        self.entries = kept;
    }

    pub(crate) fn has_duplicates(&self) -> bool {
        if self.len() <= FEW {
            self.keys().enumerate().any(|(at, key)| self.keys().take(at).any(|other| other == key))
        } else {
            let mut seen = HashSet::with_capacity(self.len());
            !self.keys().all(|key| seen.insert(key))
        }
    }

    /// For many look-ups in a row.
    pub(crate) fn lookup(&self) -> Lookup<'_> {
        Lookup { data: self, next: 0, index: None }
    }

    fn position(&self, key: &str) -> Option<usize> {
        if let Some(index) = &self.index {
            return index.find(key, |at| self.key_at(at));
        }
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
        #[cfg(test)]
        tests::LOOKS.with(|looks| looks.set(looks.get() + 1));
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

/// Finds keys, the more easily the more they come in the order of the data: two states of one session mostly agree in it.
pub(crate) struct Lookup<'a> {
    data: &'a Data,
    /// Behind the key that was found last.
    next: usize,
    /// Made when it is needed first.
    index: Option<HashMap<&'a str, usize>>,
}

impl<'a> Lookup<'a> {
    /// The JSON text of a value; `None` when there is no such key.
    pub(crate) fn get(&mut self, key: &str) -> Option<&'a str> {
        let at = self.position(key)?;
        self.next = at + 1;
        self.data.entries.get(at).map(|entry| self.data.resolve(&entry.value))
    }

    fn position(&mut self, key: &str) -> Option<usize> {
        let data = self.data;
        if data.entries.get(self.next).is_some_and(|entry| data.resolve(&entry.key) == key) {
            Some(self.next)
        } else if data.len() <= FEW {
            data.position(key)
        } else {
            self.index.get_or_insert_with(|| data.keys().zip(0..).collect()).get(key).copied()
        }
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

impl Eq for Data {}

/// As they compare: keys and values in order.
impl Hash for Data {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_usize(self.len());
        self.iter().for_each(|member| member.hash(state));
    }
}

/// The number of keys and nothing of their content.
impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Data({} keys)", self.len())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{
        cell::Cell,
        collections::BTreeMap,
        hash::{BuildHasher, RandomState},
    };

    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;
    use crate::record::{Record, cookie::Cookie};

    thread_local! {
        /// How often a key or a value was looked at: steadier than time.
        pub(crate) static LOOKS: Cell<usize> = const { Cell::new(0) };
    }

    /// xorshift: the same data in every run.
    pub(crate) struct Random(pub(crate) u64);

    impl Random {
        pub(crate) fn below(&mut self, end: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 >> 33).unwrap() % end
        }

        fn shuffle<T>(&mut self, slice: &mut [T]) {
            (1..slice.len()).for_each(|at| slice.swap(at, self.below(at + 1)));
        }
    }

    fn read(members: &str) -> Data {
        Arc::unwrap_or_clone(Record::parse(format!("{{{members}}}")).unwrap().data)
    }

    fn order(data: &Data) -> (Vec<&str>, usize) {
        (data.keys().collect(), data.cookie_at())
    }

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
    fn many_changes_in_one_pass_are_those_changes_one_by_one() {
        let mut random = Random(1);
        let keys = ["a", "b", "0", "2", "7", "10", "01", "4294967294", "4294967295", "é"];
        for _ in 0..10_000 {
            // As somebody else may have stored them: indexes in any order, the cookie in any place.
            let mut shuffled: Vec<&str> = keys.iter().copied().filter(|_| random.below(2) == 0).collect();
            random.shuffle(&mut shuffled);
            let mut members: Vec<String> = shuffled.iter().map(|key| format!(r#""{key}":0"#)).collect();
            members.insert(random.below(members.len() + 1), r#""cookie":{}"#.into());
            let mut one_by_one = read(&members.join(","));
            let mut at_once = one_by_one.clone();

            let mut changed = keys;
            random.shuffle(&mut changed);
            let (removed, rest) = changed.split_at(random.below(changed.len()));
            let put: Vec<(&str, &str)> =
                rest[random.below(rest.len())..].iter().map(|key| (*key, "1")).collect();
            removed.iter().for_each(|key| _ = one_by_one.remove(key));
            put.iter().for_each(|(key, json)| one_by_one.insert(key, (*json).into()));
            at_once.change(removed, &put);
            assert_eq!(at_once, one_by_one, "{members:?} - {removed:?} + {put:?}");
            assert_eq!(order(&at_once), order(&one_by_one), "{members:?} - {removed:?} + {put:?}");
        }
    }

    #[test]
    fn of_duplicate_keys_the_last_value_stands_at_the_first_place_and_the_cookie_stays_between() {
        let cases = [
            (r#""a":1,"a":2,"cookie":{},"b":3"#, r#""a":2,"b":3"#, 1),
            (r#""a":1,"cookie":{},"b":3,"a":2"#, r#""a":2,"b":3"#, 1),
            (r#""cookie":{},"b":3,"\u0062":4,"a":2"#, r#""b":4,"a":2"#, 0),
            (r#""cookie":{},"a":1,"a":2"#, r#""a":2"#, 0),
        ];
        for (members, kept, cookie_at) in cases {
            let data = read(members);
            assert_eq!(data, read(&format!(r#""cookie":{{}},{kept}"#)), "{members}");
            assert_eq!(data.cookie_at(), cookie_at, "{members}");
        }
        let many: Vec<String> = (0..100).map(|at| format!(r#""k{}":{at}"#, at % 50)).collect();
        let data = read(&format!(r#""cookie":{{}},{}"#, many.join(",")));
        assert_eq!((data.len(), data.get("k7")), (50, Some("57")));
    }

    #[test]
    fn a_read_copies_neither_keys_nor_values() {
        let data = read(r#""cookie":{},"a":{"b":[1,2]},"c":"d""#);
        let is_span = |entry: &Entry| matches!((&entry.key, &entry.value), (Text::Span(..), Text::Span(..)));
        assert!(data.len() == 2 && data.entries.iter().all(is_span));
    }

    #[test]
    fn many_keys_are_read_in_linear_time() {
        let looks = |count: usize, last: &str| {
            let keys: String = (0..count).map(|at| format!(r#","k{at}":1"#)).collect();
            LOOKS.set(0);
            read(&format!(r#""cookie":{{}}{keys},"{last}":2"#));
            LOOKS.get()
        };
        for last in ["another", "k0"] {
            assert!(looks(20_000, last) < 11 * looks(2_000, last), "{last}");
        }
    }

    #[test]
    fn many_insertions_take_linear_time() {
        let looks = |count: usize| {
            let mut data = Data::new();
            LOOKS.set(0);
            for at in 0..count {
                let key = format!("k{at}");
                assert_eq!(data.size_with(&key, "1"), data.size() + key.len() + 4 + usize::from(at > 0));
                data.insert(&key, "1".into());
            }
            LOOKS.get()
        };
        assert!(looks(20_000) < 11 * looks(2_000));
    }

    #[test]
    fn an_index_finds_what_looking_through_all_finds() {
        let mut random = Random(7);
        let mut data = Data::new();
        let mut reference: Vec<(String, String)> = Vec::new();
        for at in 0..20_000 {
            let key = format!("k{}", random.below(400));
            let found = reference.iter().position(|(other, _)| *other == key);
            assert_eq!(data.get(&key), found.map(|at| reference[at].1.as_str()));
            match (random.below(8), found) {
                (0, found) => {
                    assert_eq!(data.remove(&key), found.is_some());
                    found.into_iter().for_each(|at| _ = reference.remove(at));
                }
                (1, _) => data = data.clone(),
                (_, found) => {
                    data.insert(&key, at.to_string().into());
                    match found {
                        Some(found) => reference[found].1 = at.to_string(),
                        None => reference.push((key, at.to_string())),
                    }
                }
            }
            assert_eq!(data.len(), reference.len());
        }
        assert!(data.iter().eq(reference.iter().map(|(key, json)| (key.as_str(), json.as_str()))));
    }

    #[test]
    fn the_size_is_that_of_the_text() {
        let empty = r#"{"cookie":{"expires":null,"httpOnly":true,"path":"/"}}"#;
        for members in [
            "",
            r#","a":1"#,
            r#","a":1.50,"b":[1, 2],"":null"#,
            r#","é\"\\\b\f\n\r\t\u0001\u001f\u007f\u2028/😀":"\ud800 \u0041","\u0041":1"#,
        ] {
            let mut record = Record::parse(empty.replace(r#"}}"#, &format!("}}{members}}}"))).unwrap();
            let comma = usize::from(!members.is_empty());
            assert_eq!(record.to_json().len(), empty.len() + comma + record.data.size(), "{members}");
            let data = Arc::make_mut(&mut record.data);
            let foreseen = data.size_with("new\n", "2");
            data.insert("new\n", "2".into());
            assert_eq!(data.size(), foreseen, "{members}");
            assert_eq!(data.size_with("new\n", "12"), foreseen + 1, "{members}");
            data.remove("a");
            assert_eq!(record.to_json().len(), empty.len() + 1 + record.data.size(), "{members}");
        }
    }

    #[test]
    fn what_is_equal_hashes_alike_wherever_its_text_stands() {
        let mut put = data(&["a", "b"]);
        let read = read(r#""a":1,"cookie":{},"b":1"#);
        let random = RandomState::new();
        assert_eq!(put, read);
        assert_eq!(random.hash_one(&put), random.hash_one(&read));
        put.insert("b", "1.0".into());
        assert_ne!(random.hash_one(&put), random.hash_one(&read));
        assert_ne!(random.hash_one(data(&["b", "a"])), random.hash_one(data(&["a", "b"])));
    }

    /// A JavaScript object: array indexes in ascending order, then the other keys as they came.
    #[derive(Clone, Debug, Default)]
    struct Object {
        indexes: BTreeMap<u32, String>,
        others: Vec<(String, String)>,
    }

    impl Object {
        fn insert(&mut self, key: &str, json: &str) {
            if let Some(index) = array_index(key) {
                self.indexes.insert(index, json.into());
            } else if let Some((_, held)) = self.others.iter_mut().find(|(held, _)| held == key) {
                *held = json.into();
            } else {
                self.others.push((key.into(), json.into()));
            }
        }

        fn remove(&mut self, key: &str) -> Option<String> {
            if let Some(index) = array_index(key) {
                return self.indexes.remove(&index);
            }
            let at = self.others.iter().position(|(held, _)| held == key)?;
            Some(self.others.remove(at).1)
        }

        fn text(&self) -> String {
            let member = |key: &str, json: &str| format!("{}:{json}", serde_json::to_string(key).unwrap());
            let indexes = self.indexes.iter().map(|(index, json)| member(&index.to_string(), json));
            let cookie = r#""cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}"#;
            let others = self.others.iter().map(|(key, json)| member(key, json));
            format!("{{{}}}", indexes.chain([cookie.into()]).chain(others).collect::<Vec<_>>().join(","))
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(&'static str, &'static str),
        Remove(&'static str),
        Rename(&'static str, &'static str),
        /// Removals, and then insertions.
        Change(Vec<&'static str>, Vec<(&'static str, &'static str)>),
        /// What is held is printed and read again: keys and values are then places in its text.
        Read,
    }

    const KEYS: [&str; 12] =
        ["a", "b", "é\"\\\n", "\u{1}", "", "0", "2", "10", "01", "4294967294", "4294967295", "-1"];

    fn step() -> impl Strategy<Value = Step> {
        let key = || select(&KEYS[..]);
        let json = || select(&["1", "1.50", "[ 1 , 2 ]", r#""\ud800""#, r#"{"a":null}"#][..]);
        prop_oneof![
            4 => (key(), json()).prop_map(|(key, json)| Step::Insert(key, json)),
            2 => key().prop_map(Step::Remove),
            2 => (key(), key()).prop_map(|(from, to)| Step::Rename(from, to)),
            1 => (proptest::sample::subsequence(&KEYS[..], 0..=KEYS.len()).prop_shuffle(), 0..=KEYS.len(), json())
                .prop_map(|(mut keys, removed, json)| {
                    let put = keys.split_off(removed.min(keys.len()));
                    Step::Change(keys, put.into_iter().map(|key| (key, json)).collect())
                }),
            1 => Just(Step::Read),
        ]
    }

    proptest! {
        /// Order, bytes, size, and what compares and hashes alike.
        #[test]
        fn whatever_is_done_to_it_it_is_a_javascript_object(steps in vec(step(), 0..40)) {
            let (mut data, mut object) = (Data::new(), Object::default());
            for step in steps {
                match step {
                    Step::Insert(key, json) => {
                        data.insert(key, json.into());
                        object.insert(key, json);
                    }
                    Step::Remove(key) => prop_assert_eq!(data.remove(key), object.remove(key).is_some()),
                    Step::Rename(from, to) => {
                        let held: Option<Box<str>> = data.get(from).map(Into::into);
                        let json = object.remove(from);
                        prop_assert_eq!(held.as_deref(), json.as_deref());
                        if let Some((held, json)) = held.zip(json) {
                            data.remove(from);
                            data.insert(to, held);
                            object.insert(to, &json);
                        }
                    }
                    Step::Change(removed, put) => {
                        data.change(&removed, &put);
                        removed.iter().for_each(|key| _ = object.remove(key));
                        put.iter().for_each(|(key, json)| object.insert(key, json));
                    }
                    Step::Read => data = Arc::unwrap_or_clone(Record::parse(object.text()).unwrap().data),
                }
                let (text, len) = (object.text(), object.indexes.len() + object.others.len());
                let record = Record::new(Cookie::plain(), data.clone());
                prop_assert_eq!(record.to_json(), text.as_str());
                prop_assert_eq!((data.len(), data.is_empty()), (len, len == 0));
                let nothing = Object::default().text().len();
                prop_assert_eq!(data.size() + usize::from(len > 0), text.len() - nothing);
                let read = Record::parse(text).unwrap().data;
                let random = RandomState::new();
                prop_assert!(*read == data && random.hash_one(&*read) == random.hash_one(&data));
                for key in KEYS {
                    prop_assert_eq!(data.contains(key), read.get(key).is_some());
                    prop_assert_eq!(data.lookup().get(key), data.get(key));
                }
            }
        }

        #[test]
        fn what_differs_in_a_key_a_value_or_the_order_is_not_equal(
            one in vec((select(&KEYS[..3]), select(&["1", "2"][..])), 0..4),
            other in vec((select(&KEYS[..3]), select(&["1", "2"][..])), 0..4),
        ) {
            let data = |members: &[(&str, &str)]| {
                let mut data = Data::new();
                members.iter().for_each(|(key, json)| data.insert(key, (*json).into()));
                data
            };
            let (one, other) = (data(&one), data(&other));
            let same = one.iter().collect::<Vec<_>>() == other.iter().collect::<Vec<_>>();
            prop_assert_eq!(one == other, same);
            let random = RandomState::new();
            prop_assert_eq!(random.hash_one(&one) == random.hash_one(&other), same);
        }
    }

    #[test]
    fn debug_shows_no_content() {
        assert_eq!(format!("{:?}", data(&["token"])), "Data(1 keys)");
    }
}
