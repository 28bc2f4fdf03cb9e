//! How two requests that changed one session both keep what they did. Pure: no I/O, no clock.
//!
//! A request remembers the data as they were read. What it did is the difference to what it has now, and that difference,
//! not the whole record, is applied to whatever the store holds by the time of the write:
//!
//! - a key that only one of the two requests touched keeps that request's value;
//! - of one same key, the later writer wins; a removal is a write like another;
//! - keys keep the order of what is in the store, new ones come last; where nobody else changed anything, they have that of the
//!   request, as in Express.

use crate::record::data::{Data, FEW};

/// What one request did to the data.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Difference<'a> {
    put: Vec<(&'a str, &'a str)>,
    removed: Vec<&'a str>,
}

/// What turns `before` into `after`.
pub(crate) fn difference<'a>(before: &'a Data, after: &'a Data) -> Difference<'a> {
    Difference { put: put(before, after).collect(), removed: removed(before, after).collect() }
}

/// What `ours` changed from `base`, applied to `latest`.
pub(crate) fn merge(base: &Data, ours: &Data, latest: &Data) -> Data {
    // A difference tells nothing of the order: of a key that was removed and set again, say.
    if latest == base {
        return ours.clone();
    }
    let mut merged = latest.clone();
    difference(base, ours).apply(&mut merged);
    merged
}

/// Either of the two: where they differ stands what no value is, so that a value of any third is a change.
pub(crate) fn either(one: &Data, other: &Data) -> Data {
    let Difference { put, removed } = difference(one, other);
    let mut either = other.clone();
    let keys = put.into_iter().map(|(key, _)| key).chain(removed);
    let unknown: Vec<(&str, &str)> = keys.map(|key| (key, UNKNOWN)).collect();
    either.change(&[], &unknown);
    either
}

/// No JSON text.
pub(super) const UNKNOWN: &str = "?";

/// How many keys `ours` put, changed or removed.
pub(crate) fn changed_keys(base: &Data, ours: &Data) -> usize {
    put(base, ours).count() + removed(base, ours).count()
}

fn put<'a>(before: &'a Data, after: &'a Data) -> impl Iterator<Item = (&'a str, &'a str)> {
    let mut before = before.lookup();
    after.iter().filter(move |(key, value)| before.get(key) != Some(value))
}

fn removed<'a>(before: &'a Data, after: &'a Data) -> impl Iterator<Item = &'a str> {
    let mut after = after.lookup();
    before.keys().filter(move |key| after.get(key).is_none())
}

impl Difference<'_> {
    /// Applies the difference to what is there now.
    pub(crate) fn apply(&self, latest: &mut Data) {
        if self.put.len() > FEW || self.removed.len() > FEW {
            return latest.change(&self.removed, &self.put);
        }
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
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::record::data::tests::{LOOKS, Random};

    fn data(pairs: &[(&str, &str)]) -> Data {
        let mut data = Data::new();
        pairs.iter().for_each(|(key, value)| data.insert(key, (*value).into()));
        data
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
                    let merged = merge(&before, &ours, &theirs);
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
    fn whatever_either_was_a_third_one_is_applied_as_a_whole() {
        // What the store holds may be any of them.
        for latest in [data(&[("c", "1")]), data(&[("a", "9"), ("b", "9")])] {
            for one in all_states() {
                for other in all_states() {
                    for third in all_states() {
                        let merged = merge(&either(&one, &other), &third, &latest);
                        for key in ["a", "b"] {
                            let same = one.get(key) == other.get(key) && other.get(key) == third.get(key);
                            let expected = if same { latest.get(key) } else { third.get(key) };
                            assert_eq!(merged.get(key), expected);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_done_is_no_difference_and_changes_nothing() {
        let before = data(&[("a", "1"), ("b", "2")]);
        let latest = data(&[("c", "3")]);
        assert_eq!(difference(&before, &before.clone()), Difference::default());
        assert_eq!(merge(&before, &before, &latest), latest);
    }

    #[test]
    fn keys_keep_the_order_of_the_store_and_new_ones_come_last() {
        let before = data(&[("a", "1")]);
        let ours = data(&[("a", "2"), ("mine", "1")]);
        let latest = data(&[("theirs", "1"), ("a", "1")]);
        assert_eq!(merge(&before, &ours, &latest), data(&[("theirs", "1"), ("a", "2"), ("mine", "1")]));
    }

    /// Whoever only writes back what was read, as `resave` does, changes nothing.
    #[test]
    fn where_nobody_else_changed_anything_keys_have_the_order_of_the_request() {
        let before = data(&[("a", "1"), ("b", "1")]);
        let ours = data(&[("b", "1"), ("a", "1")]);
        let merged = merge(&before, &ours, &before.clone());
        assert_eq!(merged.keys().collect::<Vec<_>>(), ["b", "a"]);
    }

    /// As `merge` was before it had a way for many keys.
    fn merge_one_by_one(base: &Data, ours: &Data, latest: &Data) -> (Data, usize) {
        let mut merged = latest.clone();
        let gone: Vec<&str> = base.keys().filter(|key| !ours.contains(key)).collect();
        let put: Vec<(&str, &str)> =
            ours.iter().filter(|(key, value)| base.get(key) != Some(value)).collect();
        gone.iter().for_each(|key| _ = merged.remove(key));
        put.iter().for_each(|(key, json)| merged.insert(key, (*json).into()));
        (merged, gone.len() + put.len())
    }

    #[test]
    fn many_keys_merge_as_few_do() {
        let mut random = Random(7);
        for round in 0..600 {
            let keys = [4, 40, 120][round % 3];
            let mut state = |from: &Data| {
                let mut data = from.clone();
                for _ in 0..random.below(2 * keys) {
                    let number = random.below(keys);
                    let key = if random.below(2) == 0 { format!("{number}") } else { format!("k{number}") };
                    match random.below(3) {
                        0 => _ = data.remove(&key),
                        value => data.insert(&key, format!("{value}").into()),
                    }
                }
                data
            };
            let base = state(&Data::new());
            let (ours, mut latest) = (state(&base), state(&base));
            // Somebody else did something.
            latest.insert("theirs", "1".into());
            let (expected, changed) = merge_one_by_one(&base, &ours, &latest);
            let merged = merge(&base, &ours, &latest);
            assert_eq!(merged.iter().collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
            assert_eq!(merged.cookie_at(), expected.cookie_at());
            assert_eq!(changed_keys(&base, &ours), changed);
        }
    }

    #[test]
    fn keys_put_changed_and_removed_are_counted() {
        let before = data(&[("a", "1"), ("b", "1"), ("c", "1")]);
        assert_eq!(changed_keys(&before, &before.clone()), 0);
        assert_eq!(changed_keys(&before, &data(&[("c", "1"), ("b", "1"), ("a", "1")])), 0, "another order");
        assert_eq!(changed_keys(&before, &data(&[("b", "2"), ("c", "1"), ("d", "1")])), 3);
    }

    /// In the order of a map, so that one state's keys stand elsewhere in another.
    fn many(keys: impl Iterator<Item = String>, value: &str) -> Data {
        let keys: BTreeMap<String, &str> = keys.map(|key| (key, value)).collect();
        let mut data = Data::new();
        data.change(&[], &keys.iter().map(|(key, value)| (key.as_str(), *value)).collect::<Vec<_>>());
        data
    }

    #[test]
    fn twenty_thousand_keys_on_both_sides_merge_in_linear_time() {
        let named =
            |from: usize, to: usize, prefix: &'static str| (from..to).map(move |at| format!("{prefix}{at}"));
        let looks = |count: usize| {
            let base = many(named(0, count, "k"), "1");
            // We change a half of the keys, remove the other and add indexes; they change them all and add others.
            let all_of_ours = named(0, count / 2, "k").chain(named(0, count, "1"));
            let ours = many(all_of_ours, "2");
            let latest =
                many(named(0, count, "k").chain(named(0, count, "2")).chain(named(0, count, "z")), "3");
            LOOKS.set(0);
            let merged = merge(&base, &ours, &latest);
            let changed = changed_keys(&base, &ours);
            let looks = LOOKS.get();
            assert_eq!(changed, 2 * count);
            assert_eq!(merged.get("k0"), Some("2"));
            assert_eq!(merged.get(&format!("k{}", count - 1)), None);
            assert_eq!(merged.get("z7"), Some("3"));
            assert!(merged.keys().next().is_some_and(|first| first == "10"));
            looks
        };
        let (few, many) = (looks(2_000), looks(20_000));
        assert!(many < 11 * few, "{few} looks at 2,000 keys, {many} at 20,000");
    }

    /// States of up to forty keys, array indexes among them, in any order.
    fn state() -> impl Strategy<Value = Data> {
        let key =
            prop_oneof![(0..20u8).prop_map(|at| format!("k{at}")), (0..20u8).prop_map(|at| at.to_string())];
        vec((key, 0..3u8), 0..40).prop_map(|members| {
            let mut data = Data::new();
            members.iter().for_each(|(key, value)| data.insert(key, value.to_string().into()));
            data
        })
    }

    /// What is held, in whatever order.
    fn held(data: &Data) -> BTreeMap<&str, &str> {
        data.iter().collect()
    }

    /// The keys that were put, changed or removed.
    fn touched<'a>(base: &'a Data, ours: &'a Data) -> impl Iterator<Item = &'a str> {
        let keys: BTreeSet<&str> = base.keys().chain(ours.keys()).collect();
        keys.into_iter().filter(move |key| base.get(key) != ours.get(key))
    }

    proptest! {
        #[test]
        fn a_change_of_the_base_is_the_change_and_no_change_is_none(base in state(), ours in state()) {
            let merged = merge(&base, &ours, &base);
            // To the order of the keys.
            prop_assert!(merged == ours);
            prop_assert!(merge(&base, &base, &ours) == ours);
            prop_assert!(merge(&base, &ours, &ours) == ours);
            prop_assert_eq!(changed_keys(&base, &ours), touched(&base, &ours).count());
        }

        #[test]
        fn two_changes_in_either_order_differ_only_where_both_touched(
            base in state(), one in state(), other in state(),
        ) {
            let one_then_other = merge(&base, &other, &merge(&base, &one, &base));
            let other_then_one = merge(&base, &one, &merge(&base, &other, &base));
            for key in base.keys().chain(one.keys()).chain(other.keys()) {
                let by_one = base.get(key) != one.get(key);
                let by_other = base.get(key) != other.get(key);
                let (first, second) = (one_then_other.get(key), other_then_one.get(key));
                // The later writer of one same key wins.
                prop_assert_eq!(first, if by_other { other.get(key) } else { one.get(key) });
                prop_assert_eq!(second, if by_one { one.get(key) } else { other.get(key) });
                prop_assert!(first == second || (by_one && by_other));
            }
        }

        #[test]
        fn one_change_after_the_other_is_both_at_once(
            base in state(), first in state(), second in state(), latest in state(),
        ) {
            // In two steps what the second undid of the first is still a write: of the rest, nothing differs.
            let steps = merge(&first, &second, &merge(&base, &first, &latest));
            let at_once = merge(&base, &second, &latest);
            let undone = |key: &str| base.get(key) == second.get(key) && base.get(key) != first.get(key);
            for key in touched(&steps, &at_once) {
                prop_assert!(undone(key), "{}", key);
            }
        }

        #[test]
        fn keys_stay_where_the_store_has_them(base in state(), ours in state(), latest in state()) {
            prop_assume!(latest != base);
            let merged = merge(&base, &ours, &latest);
            let kept: Vec<&str> = latest.keys().filter(|key| merged.contains(key)).collect();
            prop_assert_eq!(merged.keys().filter(|key| latest.contains(key)).collect::<Vec<_>>(), kept);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 0, ..ProptestConfig::default() })]

        /// Whatever part of the keys each side removes, changes and adds, and in whatever order they stand.
        #[test]
        fn merging_twenty_thousand_keys_looks_at_each_of_them_a_few_times(
            kept in 0..=100usize, changed in 0..=100usize, new in 0..=100usize, step in 1..1_000usize,
        ) {
            let looks = |count: usize| {
                // Coprime to both counts, so that it visits all keys; and one key after the other of neither, or of both.
                let step = (if step % 200 == 0 { step + 1 } else { step }) * 10 + 1;
                let all = || (0..count).map(move |at| at * step % count);
                let data = |members: Vec<(String, &str)>| {
                    let mut data = Data::new();
                    data.change(&[], &members.iter().map(|(key, json)| (key.as_str(), *json)).collect::<Vec<_>>());
                    data
                };
                let base = data((0..count).map(|at| (format!("k{at}"), "1")).collect());
                let ours = all().filter(|at| at % 100 <= kept);
                let ours = ours.map(|at| (format!("k{at}"), if at % 97 <= changed { "2" } else { "1" }));
                let ours = data(ours.chain(all().filter(|at| at % 100 < new).map(|at| (at.to_string(), "3"))).collect());
                let latest = data(all().map(|at| (format!("k{at}"), "1")).collect());
                LOOKS.set(0);
                let merged = merge(&base, &ours, &latest);
                let looks = LOOKS.get();
                assert_eq!(held(&merged), held(&ours));
                looks
            };
            prop_assert!(looks(20_000) < 12 * looks(2_000));
        }
    }
}
