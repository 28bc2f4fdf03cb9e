//! The inputs of `corpus/`, and what comes of them by small changes.

use std::{
    env, fs,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

/// Most inputs that fuzzing finds are this small.
const LARGEST: usize = 4_096;

/// What means something to one of the parsers.
const WORDS: [&str; 42] = [
    "\"",
    "\\",
    "\\ud800",
    "\\udc00",
    "\\u0000",
    "\\\"",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "null",
    "true",
    "-0",
    "1e999",
    "1e21",
    "5e-324",
    "9007199254740993",
    "\"cookie\":{}",
    "\"expires\":",
    "\"originalMaxAge\":",
    "\"__proto__\":1",
    "\"0\":1",
    "\"4294967295\":1",
    "9999-12-31T23:59:59-23:59",
    "0000-01-01T00:00:00+23:59",
    "T24:00:00Z",
    "%",
    "%FF",
    "%C3%A9",
    "=",
    ";",
    "; ",
    "\t",
    "s:",
    "s%3A",
    ".",
    "\u{fffd}",
    "é😀",
    "\0",
    "\n",
];

/// Makes inputs: the same ones from the same seed.
#[derive(Debug)]
pub struct Mutator {
    corpus: Vec<Vec<u8>>,
    seed: u64,
}

/// The seeds of a run, each with how many inputs it makes of so many: `FUZZ_SEED` all of them; else always the same one, and
/// the day's a tenth more, which `SEEDS=fixed` leaves out.
pub fn seeds(inputs: u64) -> Vec<(u64, u64)> {
    if let Ok(seed) = env::var("FUZZ_SEED") {
        return vec![(seed.parse().expect("FUZZ_SEED is a number"), inputs)];
    }
    match env::var("SEEDS").as_deref() {
        Ok("fixed") => return vec![(0, inputs)],
        Ok(other) => assert!(other.is_empty(), "SEEDS is fixed or nothing: {other:?}"),
        Err(_) => {}
    }
    let days = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / 86_400);
    vec![(0, inputs), (days, inputs.div_ceil(10))]
}

impl Mutator {
    /// Over the corpus of a target.
    pub fn new(target: &str, seed: u64) -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        assert!(!files.is_empty(), "{} has inputs", folder.display());
        Self { corpus: files.iter().map(|file| fs::read(file).unwrap()).collect(), seed }
    }

    /// The inputs that changes begin with.
    pub fn corpus(&self) -> &[Vec<u8>] {
        &self.corpus
    }

    /// The input of this number.
    pub fn input(&self, number: u64) -> Vec<u8> {
        let mut random =
            StdRng::seed_from_u64(self.seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let mut input = self.pick(&mut random).to_vec();
        for _ in 0..random.random_range(1..=6) {
            self.change(&mut input, &mut random);
        }
        input.truncate(LARGEST);
        input
    }

    fn pick(&self, random: &mut impl Rng) -> &[u8] {
        &self.corpus[random.random_range(0..self.corpus.len())]
    }

    fn change(&self, input: &mut Vec<u8>, random: &mut impl Rng) {
        let mut place = |end: usize| random.random_range(0..=end);
        let (from, to) = (place(input.len()), place(input.len()));
        let (from, to) = (from.min(to), from.max(to));
        match random.random_range(0..8) {
            0 if from < input.len() => input[from] ^= 1 << random.random_range(0..8),
            1 if from < input.len() => input[from] = random.random(),
            2 => _ = input.drain(from..to),
            3 => input.truncate(from),
            4 => {
                let part = input[from..to].to_vec();
                let at = random.random_range(0..=input.len());
                input.splice(at..at, part);
            }
            5 => {
                let other = self.pick(random);
                let part = other[random.random_range(0..=other.len())..].to_vec();
                input.splice(from.., part);
            }
            _ => {
                let word = WORDS[random.random_range(0..WORDS.len())];
                // Instead of what stands there, or beside it.
                let end = if random.random() { from } else { to.min(from + word.len()) };
                input.splice(from..end, word.bytes());
            }
        }
    }
}
