//! The targets in the ordinary test run: always the same inputs, and a tenth more under a seed of the day. `FUZZ_SEED` makes other
//! inputs, and `FUZZ_TIMES` so many times as many.

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use crate::{Mutator, REACHED, Target, seeds};

pub(crate) fn run(name: &str, target: Target, inputs: u64) {
    let times: u64 = env::var("FUZZ_TIMES").map_or(1, |times| times.parse().unwrap());
    assert!(times > 0, "FUZZ_TIMES=0 tries nothing");
    let reached = || REACHED.get();
    REACHED.set(0);
    let mutator = Mutator::new(name, 0);
    for input in mutator.corpus() {
        attempt(target, input, || format!("{name}: corpus"));
    }
    let of_corpus = mutator.corpus().len();
    println!("{name}: {} of {of_corpus} of the corpus", reached());
    assert!(reached() * 3 >= of_corpus as u64, "two thirds of the corpus try nothing");
    REACHED.set(0);
    for (seed, inputs) in seeds(inputs * times) {
        let mutator = Mutator::new(name, seed);
        for number in 0..inputs {
            attempt(target, &mutator.input(number), || format!("{name}: FUZZ_SEED={seed}, input {number}"));
        }
    }
    println!("{name}: {} of {}", reached(), inputs * times);
    assert!(reached() * 100 >= inputs * times, "nearly nothing is tried");
}

fn attempt(target: Target, input: &[u8], which: impl Fn() -> String) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(input))) {
        println!("{}: b\"{}\"", which(), input.escape_ascii());
        resume_unwind(panic);
    }
}
