//! Visiting worlds: all of them depth first, or some at random.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashSet};

use super::{
    check::Violation,
    store::Versions,
    world::{Arrival, Choice, Op, Rules, World},
};

/// How much may happen in one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Budget {
    pub(super) requests: usize,
    /// Operations of each request, before its end or after it.
    pub(super) operations: u8,
    /// Failures, lost answers, dropped operations and dropped requests.
    pub(super) faults: u8,
    /// How often time passes.
    pub(super) time: u8,
    /// How often Express writes a whole record.
    pub(super) express: u8,
    /// Whether a handle is used after the response.
    pub(super) late: bool,
    /// Whether an answer takes its time after the store has done what it was asked.
    pub(super) answers: bool,
    pub(super) versions: Versions,
    /// What handlers may do.
    pub(super) ops: &'static [Op],
}

/// What came of it.
pub(super) struct Found {
    pub(super) worlds: usize,
    pub(super) steps: usize,
    pub(super) deepest: usize,
    pub(super) violation: Option<String>,
}

struct Explorer<'a> {
    rules: &'a Rules,
    hasher: DefaultHashBuilder,
    seen: HashSet<u64>,
    path: Vec<Choice>,
    /// The worlds on the way here.
    way: HashSet<u64>,
    found: Found,
}

/// Every world that can be reached.
pub(super) fn explore(rules: &Rules, arrival: Arrival, budget: Budget) -> Found {
    let mut explorer = Explorer {
        rules,
        hasher: DefaultHashBuilder::default(),
        seen: HashSet::new(),
        path: Vec::new(),
        way: HashSet::new(),
        found: Found { worlds: 0, steps: 0, deepest: 0, violation: None },
    };
    explorer.visit(&World::new(rules, arrival, budget));
    explorer.found
}

/// So many runs at random.
pub(super) fn wander(rules: &Rules, arrival: Arrival, budget: Budget, seed: u64, runs: usize) -> Found {
    let mut random = Random(seed);
    let mut found = Found { worlds: 0, steps: 0, deepest: 0, violation: None };
    for _ in 0..runs {
        let mut world = World::new(rules, arrival, budget);
        let mut path = Vec::new();
        loop {
            let choices = world.choices();
            if choices.is_empty() {
                if !world.is_quiet() {
                    found.violation = Some(tell(&Violation::stuck(), &path));
                    return found;
                }
                break;
            }
            // Most of the time nothing goes wrong.
            let usual: Vec<Choice> = choices.iter().copied().filter(|choice| choice.is_usual()).collect();
            let from = if usual.is_empty() || random.below(5) == 0 { &choices } else { &usual };
            let choice = from[random.below(from.len())];
            path.push(choice);
            found.steps += 1;
            if let Err(violation) = world.advance(rules, choice) {
                found.violation = Some(shortest(&World::new(rules, arrival, budget), rules, path, violation));
                return found;
            }
        }
        found.worlds += 1;
        found.deepest = found.deepest.max(path.len());
    }
    found
}

impl Explorer<'_> {
    fn visit(&mut self, world: &World) {
        let hash = self.hasher.hash_one(world);
        if !self.seen.insert(hash) {
            if self.way.contains(&hash) {
                self.found.violation = Some(tell(&Violation::endless(), &self.path));
            }
            return;
        }
        self.way.insert(hash);
        self.found.worlds += 1;
        self.found.deepest = self.found.deepest.max(self.path.len());
        let choices = world.choices();
        if choices.is_empty() && !world.is_quiet() {
            self.found.violation = Some(tell(&Violation::stuck(), &self.path));
        }
        for choice in choices {
            self.found.steps += 1;
            self.path.push(choice);
            let mut next = world.clone();
            match next.advance(self.rules, choice) {
                Ok(()) => self.visit(&next),
                Err(violation) => self.found.violation = Some(tell(&violation, &self.path)),
            }
            self.path.pop();
            if self.found.violation.is_some() {
                return;
            }
        }
        self.way.remove(&hash);
    }
}

/// The same violation with as few steps as it takes, and what each request asks the store after each of them.
fn shortest(begin: &World, rules: &Rules, mut path: Vec<Choice>, mut violation: Violation) -> String {
    let mut at = path.len();
    while at > 0 {
        at -= 1;
        let mut shorter = path.clone();
        shorter.remove(at);
        if let Some((steps, same)) =
            violates(begin, rules, &shorter).filter(|(_, other)| other.is_like(&violation))
        {
            shorter.truncate(steps);
            (path, violation, at) = (shorter, same, steps);
        }
    }
    let mut world = begin.clone();
    let steps: Vec<String> = path
        .iter()
        .map(|choice| {
            _ = world.advance(rules, *choice);
            format!("\n  {choice:?}: {}", world.asks())
        })
        .collect();
    format!("{}{}", tell(&violation, &path), steps.concat())
}

/// After how many of these steps something is wrong, if they can be gone at all.
fn violates(begin: &World, rules: &Rules, path: &[Choice]) -> Option<(usize, Violation)> {
    let mut world = begin.clone();
    for (at, choice) in path.iter().enumerate() {
        if !world.choices().contains(choice) {
            return None;
        }
        if let Err(violation) = world.advance(rules, *choice) {
            return Some((at + 1, violation));
        }
    }
    None
}

fn tell(violation: &Violation, path: &[Choice]) -> String {
    let path: Vec<String> = path.iter().map(|choice| format!("{choice:?}")).collect();
    format!("{violation}, after {}", path.join(", "))
}

/// A generator that is the same everywhere (SplitMix64).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound.max(1) as u64).unwrap_or_default()
    }
}
