//! The targets in the ordinary test run. `FUZZ_SEED` makes other inputs, and `FUZZ_TIMES` so many times as many.

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use crate::{Mutator, Target, seed};

pub(crate) fn run(name: &str, target: Target, inputs: u64) {
    let times = env::var("FUZZ_TIMES").map_or(1, |times| times.parse().unwrap());
    let seed = seed();
    let mutator = Mutator::new(name, seed);
    for input in mutator.corpus() {
        attempt(target, input, || format!("{name}: corpus"));
    }
    for number in 0..inputs * times {
        attempt(target, &mutator.input(number), || format!("{name}: FUZZ_SEED={seed}, input {number}"));
    }
}

fn attempt(target: Target, input: &[u8], which: impl Fn() -> String) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(input))) {
        println!("{}: b\"{}\"", which(), input.escape_ascii());
        resume_unwind(panic);
    }
}
