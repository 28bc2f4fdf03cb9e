//! How two requests that changed one session both keep what they did. Pure: no I/O, no clock.
//!
//! A request remembers the data as they were read. What it did is the difference to what it has now, and that difference,
//! not the whole record, is applied to whatever the store holds by the time of the write:
//!
//! - a key that only one of the two requests touched keeps that request's value;
//! - of one same key, the later writer wins; a removal is a write like another;
//! - keys keep the order of what is in the store, new ones come last.

use crate::record::data::Data;

/// What one request did to the data.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Difference<'a> {
    put: Vec<(&'a str, &'a str)>,
    removed: Vec<&'a str>,
}

/// What turns `before` into `after`.
pub(crate) fn difference<'a>(before: &'a Data, after: &'a Data) -> Difference<'a> {
    Difference {
        put: after.iter().filter(|(key, value)| before.get(key) != Some(value)).collect(),
        removed: before.keys().filter(|key| !after.contains(key)).collect(),
    }
}

impl Difference<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.put.is_empty() && self.removed.is_empty()
    }

    /// Applies the difference to what is there now.
    pub(crate) fn apply(&self, latest: &mut Data) {
        for key in &self.removed {
            latest.remove(key);
        }
        for (key, json) in &self.put {
            latest.insert(key, (*json).into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(pairs: &[(&str, &str)]) -> Data {
        let mut data = Data::new();
        pairs.iter().for_each(|(key, value)| data.insert(key, (*value).into()));
        data
    }

    fn merged(before: &Data, ours: &Data, latest: &Data) -> Data {
        let mut result = latest.clone();
        difference(before, ours).apply(&mut result);
        result
    }

    /// Every state that two keys with two values can be in.
    fn all_states() -> Vec<Data> {
        let values = [None, Some("1"), Some("2"), Some("3")];
        let state = |a: Option<&str>, b: Option<&str>| {
            let mut data = Data::new();
            a.into_iter().for_each(|json| data.insert("a", json.into()));
            b.into_iter().for_each(|json| data.insert("b", json.into()));
            data
        };
        values.iter().flat_map(|a| values.iter().map(move |b| state(*a, *b))).collect()
    }

    #[test]
    fn every_merge_of_two_keys_keeps_what_either_side_did() {
        for before in all_states() {
            for ours in all_states() {
                for theirs in all_states() {
                    let merged = merged(&before, &ours, &theirs);
                    for key in ["a", "b"] {
                        let we_touched = before.get(key) != ours.get(key);
                        let expected = if we_touched { ours.get(key) } else { theirs.get(key) };
                        assert_eq!(merged.get(key), expected, "{before:?} {ours:?} {theirs:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_done_is_no_difference_and_changes_nothing() {
        let before = data(&[("a", "1"), ("b", "2")]);
        let latest = data(&[("c", "3")]);
        assert!(difference(&before, &before.clone()).is_empty());
        assert_eq!(merged(&before, &before, &latest), latest);
    }

    #[test]
    fn keys_keep_the_order_of_the_store_and_new_ones_come_last() {
        let before = data(&[("a", "1")]);
        let ours = data(&[("a", "2"), ("mine", "1")]);
        let latest = data(&[("theirs", "1"), ("a", "1")]);
        assert_eq!(merged(&before, &ours, &latest), data(&[("theirs", "1"), ("a", "2"), ("mine", "1")]));
    }
}
