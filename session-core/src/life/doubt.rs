//! What may be stored because writes were sent whose answers never came.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{
    merge::{UNKNOWN, either},
    state::same,
};
use crate::record::data::Data;

/// So many writes without an answer are remembered one by one.
const DOUBTED: usize = 4;

/// Data that were sent and may be stored: most often of one write, for which nothing is allocated.
pub(crate) type Few = SmallVec<[Arc<Data>; 1]>;

#[derive(Clone, Default)]
#[cfg_attr(test, derive(Hash))]
pub(super) struct Doubt {
    /// What the handler saw when they were sent, oldest first: they may have stored what was changed back since.
    pub(super) seen: Few,
    /// What atomic changes may have stored.
    made: Option<Arc<Data>>,
    /// The same, without the last one.
    made_before: Option<Arc<Data>>,
    /// And the last few of them one by one, for who asks which keys they may have put.
    made_each: Few,
}

impl Doubt {
    /// There is none.
    pub(super) fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// What each of the atomic changes may have stored.
    pub(super) fn made(&self) -> Few {
        if self.has_made() { self.made_each.clone() } else { Few::new() }
    }

    /// An atomic change is in doubt.
    pub(super) fn has_made(&self) -> bool {
        self.made.is_some()
    }

    /// A write of these data goes out, of a session that the handler sees so.
    pub(super) fn sent(&mut self, data: &Arc<Data>, seen: &Arc<Data>) {
        self.saw(Arc::clone(seen));
        self.made_before = self.made.clone();
        if same(data, seen) {
            return;
        }
        if self.made.is_none() {
            self.made_each.clear();
        } else if self.made_each.len() == DOUBTED {
            self.made_each.remove(0);
        }
        self.made_each.push(Arc::clone(data));
        self.made = Some(match self.made.take() {
            Some(made) => Arc::new(either(&made, data)),
            None => Arc::clone(data),
        });
    }

    /// However many writes get no answer, a few are kept: of the others, which keys they may have changed.
    fn saw(&mut self, seen: Arc<Data>) {
        if self.seen.len() == DOUBTED
            && let Some(last) = self.seen.pop()
            && let Some(before) = self.seen.last_mut()
        {
            *before = Arc::new(either(before, &last));
        }
        self.seen.push(seen);
    }

    /// The write that was sent last was not done.
    pub(super) fn came_to_nothing(&mut self) {
        self.seen.pop();
        let before = self.made_before.take();
        if before.as_ref().map(Arc::as_ptr) != self.made.as_ref().map(Arc::as_ptr) {
            self.made_each.pop();
        }
        self.made = before;
    }

    /// What the handler says of these keys is a change also where it is what it saw, if an atomic change may have stored
    /// something else.
    pub(super) fn says(&mut self, keys: &[&str]) {
        let Some(made) = &self.made else { return };
        // All of them: that of a call that is out is forgotten when it turns out to have done nothing.
        for seen in &mut self.seen {
            let (mut made, mut before) = (made.lookup(), seen.lookup());
            let differ = keys.iter().filter(|key| made.get(key) != before.get(key));
            let differ: Vec<(&str, &str)> = differ.map(|key| (*key, UNKNOWN)).collect();
            if !differ.is_empty() {
                let mut unknown = (**seen).clone();
                unknown.change(&[], &differ);
                *seen = Arc::new(unknown);
            }
        }
    }

    /// The handler says of all keys that they are not.
    pub(super) fn says_nothing_is_there(&mut self) {
        self.made_before = None;
        if let Some(made) = self.made.take() {
            // Not behind a call that is out, which may turn out to have done nothing.
            match self.seen.first_mut() {
                Some(first) => *first = Arc::new(either(first, &made)),
                None => self.seen.push(made),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(pairs: &[(&str, &str)]) -> Arc<Data> {
        let mut data = Data::new();
        pairs.iter().for_each(|(key, value)| data.insert(key, (*value).into()));
        Arc::new(data)
    }

    #[test]
    fn writes_without_an_answer_do_not_pile_up() {
        let mut doubt = Doubt::default();
        for times in 0..100 {
            let seen = data(&[("k", &times.to_string())]);
            doubt.sent(&seen, &seen);
        }
        assert_eq!(doubt.seen.len(), DOUBTED);
        // Of those that are not remembered one by one any value is a change.
        assert!(doubt.seen.iter().any(|seen| seen.get("k") == Some(UNKNOWN)));
        assert!(!doubt.has_made());
    }

    #[test]
    fn an_atomic_change_that_was_not_done_has_made_nothing() {
        let (seen, first, second) = (data(&[]), data(&[("a", "1")]), data(&[("b", "1")]));
        let mut doubt = Doubt::default();
        doubt.sent(&first, &seen);
        assert_eq!(doubt.made().as_slice(), [Arc::clone(&first)]);
        doubt.sent(&second, &seen);
        assert_eq!(doubt.made().as_slice(), [Arc::clone(&first), second]);
        doubt.came_to_nothing();
        assert_eq!(doubt.made().as_slice(), [Arc::clone(&first)]);
        // Nor has one that made nothing of its own.
        doubt.sent(&seen, &seen);
        doubt.came_to_nothing();
        assert_eq!(doubt.made().as_slice(), [first]);
    }

    #[test]
    fn no_more_than_a_few_atomic_changes_are_told_one_by_one() {
        let mut doubt = Doubt::default();
        for times in 0..9 {
            doubt.sent(&data(&[("k", &times.to_string())]), &data(&[]));
        }
        let last: Vec<_> = (5..9).map(|times| data(&[("k", &times.to_string())])).collect();
        assert_eq!(doubt.made().as_slice(), last);
    }
}
