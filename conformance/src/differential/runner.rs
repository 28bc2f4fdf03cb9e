//! Runs cases on both sides until one differs.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::answer::{Window, Windows};
use super::case::Case;
use super::generate;
use super::report::{Difference, Failure, Mismatch, Summary, Weight};
use super::seeds::Seeds;
use super::shrink::shrink;
use super::side::Side;

/// A differential run, set up by its setters.
#[derive(Clone, Debug)]
pub struct Differential {
    reference: Side,
    tested: Side,
    configs: usize,
    seed: u64,
    workers: usize,
    lasting: bool,
    clock: bool,
    shrinks: bool,
}

impl Differential {
    /// Compares `tested` with `reference`, over 150 configurations from seed 1, with two workers.
    pub fn new(reference: Side, tested: Side) -> Self {
        Self {
            reference,
            tested,
            configs: 150,
            seed: 1,
            workers: 2,
            lasting: false,
            clock: false,
            shrinks: true,
        }
    }

    /// How many configurations to try, each with 13 to 22 requests and with fresh processes.
    #[must_use]
    pub fn configs(mut self, configs: usize) -> Self {
        self.configs = configs;
        self
    }

    /// The seed of the first configuration; the next one has the next number.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How many configurations run at the same time.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Makes lifetimes of zero or less a minute long: Node's stores on databases count and keep what has expired until it is
    /// pruned, ours never show it.
    #[must_use]
    pub fn lasting(mut self) -> Self {
        self.lasting = true;
        self
    }

    /// Gives both sides one clock, which stands still but where the case moves it: times are equal to the millisecond, and
    /// lifetimes end.
    #[must_use]
    pub fn clock(mut self) -> Self {
        self.clock = true;
        self
    }

    /// Reports a difference as it was found, in no time.
    #[must_use]
    pub fn as_found(mut self) -> Self {
        self.shrinks = false;
        self
    }

    /// Runs so many configurations under a fixed seed, and a tenth of them under one that is made of today's date, so that
    /// every day has cases of its own. `DIFFERENTIAL_SEED` is the only seed where it is set, `DIFFERENTIAL_CONFIGS` the number.
    ///
    /// # Errors
    /// Those of [`run`](Self::run), and a variable that is no number.
    pub fn run_seeds(&self, fixed: u64, configs: usize) -> Result<Vec<Summary>, Failure> {
        let seeds = Seeds::from_env(fixed, configs).map_err(Failure::Reference)?;
        seeds.runs().map(|(seed, configs)| self.clone().seed(seed).configs(configs).run()).collect()
    }

    /// Runs until all configurations are done or one differs.
    ///
    /// # Errors
    /// The first difference, made as small as possible, or what is wrong with the reference.
    pub fn run(&self) -> Result<Summary, Failure> {
        let next = AtomicUsize::new(0);
        let sent = Mutex::new((0, Weight::default()));
        let stop = AtomicBool::new(false);
        let failure = Mutex::new(None);

        thread::scope(|scope| {
            for _ in 0..self.workers.max(1) {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        if index >= self.configs {
                            break;
                        }
                        match self.try_case(self.seed.wrapping_add(index as u64)) {
                            Ok((requests, weight)) => {
                                let mut sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
                                sent.0 += requests;
                                sent.1 += weight;
                            }
                            // The worker that stops the others is the one that shrinks and reports.
                            Err(first) if !stop.swap(true, Ordering::Relaxed) => {
                                let first = if self.shrinks { self.shrunk(first) } else { first };
                                if let Ok(mut failure) = failure.lock() {
                                    *failure = Some(first);
                                }
                            }
                            Err(_) => {}
                        }
                    }
                });
            }
        });

        match failure.into_inner().ok().flatten() {
            Some(failure) => Err(failure),
            None => {
                let (requests, weight) = sent.into_inner().unwrap_or_else(PoisonError::into_inner);
                let summary = Summary { requests, weight, configs: self.configs, seed: self.seed };
                match summary.shows_too_little(self.reference.has_database()) {
                    Some(what) => Err(Failure::Reference(format!("too few {what}: {summary}"))),
                    None => Ok(summary),
                }
            }
        }
    }

    /// How many requests were sent to each side, and what they were worth.
    fn try_case(&self, seed: u64) -> Result<(usize, Weight), Failure> {
        let mut case = generate::case(
            seed,
            self.reference.programs().max(self.tested.programs()),
            self.clock,
            self.reference.least_age(),
            self.reference.has_database(),
        );
        if self.lasting {
            case.make_lasting();
        }
        let mut weight = Weight::default();
        match self.mismatch(&case, &mut weight)? {
            None => Ok((case.requests.len(), weight)),
            Some(mismatch) => Err(Failure::Difference(Box::new(Difference { case, mismatch }))),
        }
    }

    /// Runs a case on both sides up to the first request that is answered differently.
    fn mismatch(&self, case: &Case, weight: &mut Weight) -> Result<Option<Mismatch>, Failure> {
        let broken = |reason| Failure::Reference(format!("{reason}\nseed {}\n{case}", case.seed));
        let reference = self.reference.start(case);
        let tested = self.tested.start(case).and_then(super::side::Starting::ready);
        let mut reference = reference.and_then(super::side::Starting::ready).map_err(broken)?;
        let mut tested = match tested {
            Ok(tested) => tested,
            Err(reason) => {
                let expected = "  it starts\n".to_owned();
                let got = format!("  {reason}\n");
                return Ok(Some(Mismatch { request: None, expected, got, answered: false }));
            }
        };
        let mut windows = Windows::exact(case.starts_at.is_some());
        let mut now = case.starts_at.unwrap_or_default();
        let mut ended = Vec::new(); // when each request had been answered, by the case's clock
        for (index, request) in case.requests.iter().enumerate() {
            now += request.after;
            if case.starts_at.is_some() {
                reference.remove_ended(now).map_err(broken)?;
                tested.remove_ended(now).map_err(broken)?;
            }
            // Both sides at once: each waits for its own program and its own records.
            let (reference, tested) = (&mut reference, &mut tested);
            let ((expected, on_reference), (got, on_tested)) = thread::scope(|scope| {
                let expected = scope.spawn(|| Window::of(|| reference.send(request, now)));
                let got = Window::of(|| tested.send(request, now));
                (expected.join().unwrap_or_else(|panic| resume_unwind(panic)), got)
            });
            let expected = expected.map_err(broken)?;
            weight.add(&expected);
            windows.push(on_reference, on_tested);
            now += request.moves();
            ended.push(now);
            if !got.as_ref().is_ok_and(|got| got.agrees(&expected, &windows)) {
                let (expected, answered) = (expected.to_string(), got.is_ok());
                let got = got.map_or_else(|error| format!("  no answer: {error}\n"), |got| got.to_string());
                return Ok(Some(Mismatch { request: Some(index), expected, got, answered }));
            }
            for (expected, got) in expected.held.iter().zip(got.iter().flat_map(|got| &got.held)) {
                if let Some((request, seconds)) = expected.agreed(got) {
                    let end = ended[request] + seconds * 1000;
                    reference.ends(&expected.sid, end);
                    tested.ends(&got.sid, end);
                }
            }
        }
        Ok(None)
    }

    fn shrunk(&self, failure: Failure) -> Failure {
        let Failure::Difference(found) = failure else { return failure };
        let mut case = found.case.clone();
        case.requests.truncate(found.mismatch.request.map_or(0, |index| index + 1));
        let mismatch = |case: &Case| self.mismatch(case, &mut Weight::default());
        let case = shrink(case, |case| matches!(mismatch(case), Ok(Some(_))));
        // Once more for the answers; a difference that comes and goes is reported as it was found.
        match mismatch(&case) {
            Ok(Some(mismatch)) => Failure::Difference(Box::new(Difference { case, mismatch })),
            _ => Failure::Difference(found),
        }
    }
}
