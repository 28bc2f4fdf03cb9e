//! The targets in the ordinary test run: `FUZZ_SECONDS` each (default: 3), from
//! `FUZZ_SEED`. The seed and the number make the same input again.

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    time::{Duration, Instant},
};

use crate::{Mutator, Target, seed};

pub(crate) fn run(name: &str, target: Target) {
    let seconds = env::var("FUZZ_SECONDS").map_or(3.0, |seconds| seconds.parse().unwrap());
    let seed = seed();
    let inputs = Mutator::new(name, seed);
    for input in inputs.corpus() {
        attempt(target, input, || format!("{name}: corpus"));
    }
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let mut number = 0;
    while Instant::now() < end {
        attempt(target, &inputs.input(number), || format!("{name}: FUZZ_SEED={seed}, input {number}"));
        number += 1;
    }
    println!("{name}: FUZZ_SEED={seed}, {} inputs of the corpus, {number} others", inputs.corpus().len());
    assert!(number > 0, "time for one input at least");
}

fn attempt(target: Target, input: &[u8], which: impl Fn() -> String) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(input))) {
        println!("{}: b\"{}\"", which(), input.escape_ascii());
        resume_unwind(panic);
    }
}
