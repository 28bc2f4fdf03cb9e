//! Several operations at once on one handle, in every order: clones of a session in a `join!`, a `select!` or a spawned job.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use common::{App, Trouble, add, apps, done};
use session_core::{Error, Exchange, SessionHandle, Sid};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Update,
    Take,
    Save,
    Reload,
    Renew,
    Regenerate,
    Destroy,
    End,
}

const OPS: [Op; 8] =
    [Op::Update, Op::Take, Op::Save, Op::Reload, Op::Renew, Op::Regenerate, Op::Destroy, Op::End];

/// What an operation answered; of the end, the cookies.
type Answer = Result<Vec<String>, Error>;

async fn run(op: Op, exchange: Exchange, session: SessionHandle) -> Answer {
    let nothing = |()| Vec::new();
    match op {
        Op::Update => add(&session).await.map(|_| Vec::new()),
        Op::Take => session.take::<String>("flash").await.map(|taken| taken.into_iter().collect()),
        Op::Save => session.save().await.map(nothing),
        Op::Reload => session.reload().await.map(nothing),
        Op::Renew => session.renew_id().await.map(nothing),
        Op::Regenerate => session.regenerate().await.map(nothing),
        Op::Destroy => session.destroy().await.map(nothing),
        Op::End => exchange.end().await.map_err(Error::from),
    }
}

/// Which of those that are under way goes on, at each step: all of them, one after the other.
#[derive(Default)]
struct Schedule {
    chosen: Vec<(usize, usize)>,
    at: usize,
}

impl Schedule {
    fn choose(&mut self, of: usize) -> usize {
        if self.at == self.chosen.len() {
            self.chosen.push((0, of));
        }
        self.at += 1;
        self.chosen[self.at - 1].0
    }

    /// Whether there is another one.
    fn next(&mut self) -> bool {
        self.at = 0;
        while let Some((chosen, of)) = self.chosen.pop() {
            if chosen + 1 < of {
                self.chosen.push((chosen + 1, of));
                return true;
            }
        }
        false
    }
}

/// Who is polled.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Executor {
    /// Whoever is not done: what a `join!` does.
    Everybody,
    /// Only who was woken: what spawned tasks see.
    Woken,
}

/// It was woken since it was polled last.
struct Awake(AtomicBool);

impl Wake for Awake {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Polls them in the order of the schedule until all are done.
fn interleave(
    futures: &mut [Pin<Box<dyn Future<Output = Answer>>>],
    executor: Executor,
    schedule: &mut Schedule,
) -> Result<Vec<Answer>, String> {
    let mut answers: Vec<Option<Answer>> = futures.iter().map(|_| None).collect();
    let awake: Vec<Arc<Awake>> = futures.iter().map(|_| Arc::new(Awake(AtomicBool::new(true)))).collect();
    for _ in 0..10_000 {
        let open: Vec<usize> = (0..futures.len()).filter(|at| answers[*at].is_none()).collect();
        let is_polled = |at: &usize| executor == Executor::Everybody || awake[*at].0.load(Ordering::SeqCst);
        let polled: Vec<usize> = open.iter().copied().filter(is_polled).collect();
        let at = match (open.as_slice(), polled.as_slice()) {
            ([], _) => return Ok(answers.into_iter().flatten().collect()),
            (_, []) => return Err("nobody is woken".to_owned()),
            (_, [last]) => *last,
            (_, several) => several[schedule.choose(several.len())],
        };
        awake[at].0.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&awake[at]));
        if let Poll::Ready(answer) = futures[at].as_mut().poll(&mut Context::from_waker(&waker)) {
            answers[at] = Some(answer);
        }
    }
    Err("they wait for each other".to_owned())
}

/// One handle in one request, and what became of it.
struct Run {
    app: App,
    /// The id that the browser came with.
    came: Option<Sid>,
    /// The id in the cookie that it got.
    got: Option<Sid>,
    session: SessionHandle,
    ops: Vec<Op>,
    answers: Vec<Answer>,
    faulty: bool,
}

impl Run {
    fn count(&self, op: Op) -> usize {
        self.ops.iter().zip(&self.answers).filter(|(ran, answer)| **ran == op && answer.is_ok()).count()
    }

    fn has(&self, op: Op) -> bool {
        self.ops.contains(&op)
    }

    fn check(&self) -> Result<(), String> {
        for (op, answer) in self.ops.iter().zip(&self.answers) {
            let because = match answer {
                Ok(_) => true,
                Err(Error::Store(_)) => self.faulty,
                Err(Error::Destroyed) => self.has(Op::Destroy),
                Err(Error::ResponseOut) => self.has(Op::End),
                Err(Error::Gone) => self.faulty || self.has(Op::Destroy) || self.has(Op::Regenerate),
                Err(Error::NotStored) => *op == Op::Reload,
                Err(_) => false,
            };
            if !because {
                return Err(format!("{op:?} failed without a reason: {answer:?}"));
            }
        }
        let id = self.session.id().unwrap();
        let held = self.app.held(&id);
        let records = self.app.records();
        if !self.faulty && records > u64::from(held.is_some()) {
            return Err("a record is left under another id".to_owned());
        }
        if held.is_some() && self.came.as_ref() != Some(&id) && self.got.as_ref() != Some(&id) && !self.faulty
        {
            return Err("nobody knows the id of what is stored".to_owned());
        }
        if self.count(Op::Destroy) > 0 && records > 0 {
            return Err("a logout was acknowledged, and a session lives".to_owned());
        }
        // What is destroyed right after the end was there when its cookie was sent.
        if self.got.is_some() && held.is_none() && !self.faulty && !self.has(Op::Destroy) {
            return Err("a cookie was sent, and nothing is stored".to_owned());
        }
        if self.count(Op::Renew) + self.count(Op::Regenerate) > 0
            && self.came.as_ref().is_some_and(|came| self.app.held(came).is_some())
        {
            return Err("the old id is still good".to_owned());
        }
        let Some(record) = held else { return Ok(()) };
        let n: usize = record.data.get("n").map_or(0, |n| n.parse().unwrap());
        let (least, most) = (self.count(Op::Update), self.ops.iter().filter(|op| **op == Op::Update).count());
        let most = if self.faulty { most } else { least };
        if n > most || (n < least && !self.has(Op::Regenerate)) {
            return Err(format!("{least} updates were acknowledged, and the sum is {n}"));
        }
        let saved = self.ops.iter().zip(&self.answers).all(|(op, answer)| *op != Op::End || answer.is_ok());
        if record.data.get("k") != Some("1") && saved && !self.has(Op::Reload) && !self.has(Op::Regenerate) {
            return Err("what was set is not stored".to_owned());
        }
        let taken =
            self.ops.iter().zip(&self.answers).filter(|(op, answer)| {
                **op == Op::Take && answer.as_ref().is_ok_and(|taken| !taken.is_empty())
            });
        let taken = taken.count();
        if taken > 1 || (taken == 1 && record.data.contains("flash")) {
            return Err(format!(
                "one message was taken {taken} times, and there is {:?}",
                record.data.get("flash")
            ));
        }
        Ok(())
    }
}

fn sid_in(cookies: &[String]) -> Option<Sid> {
    let value = cookies.first()?.split_once("=s%3A")?.1;
    value.split_once('.').map(|(sid, _)| sid.into())
}

/// Every order of these operations; how many there were.
fn explore(
    ops: &[Op],
    executor: Executor,
    profile: usize,
    comes: bool,
    trouble: Option<(usize, Trouble)>,
) -> Result<usize, String> {
    let mut schedule = Schedule::default();
    for runs in 1.. {
        let app = apps().into_iter().nth(profile).unwrap();
        let came = comes.then(|| app.log_in());
        let (exchange, session) = came.as_ref().map_or_else(|| app.ask(&[]), |sid| app.request(sid));
        session.insert("flash", "hello").unwrap();
        if came.is_some() {
            done(session.save()).unwrap();
        }
        session.insert("k", 1).unwrap();
        if let Some((call, trouble)) = trouble {
            app.trouble_at(call, trouble);
        }
        let mut futures: Vec<Pin<Box<dyn Future<Output = Answer>>>> = Vec::new();
        for op in ops {
            futures.push(Box::pin(run(*op, exchange.clone(), session.clone())));
        }
        let told = |what: &str, answers: &[Answer], schedule: &Schedule| {
            let chosen = &schedule.chosen;
            format!(
                "{what}: {ops:?}, {executor:?}, profile {profile}, comes {comes}, {trouble:?}, {chosen:?}: {answers:?}"
            )
        };
        let mut answers =
            interleave(&mut futures, executor, &mut schedule).map_err(|what| told(&what, &[], &schedule))?;
        drop(futures);
        if !ops.contains(&Op::End) {
            answers.push(done(exchange.end()).map_err(Error::from));
        }
        let mut ops = ops.to_vec();
        if answers.len() > ops.len() {
            ops.push(Op::End);
        }
        let cookies = ops.iter().zip(&answers).filter(|(op, _)| **op == Op::End);
        let got = cookies.filter_map(|(_, answer)| sid_in(answer.as_ref().ok()?)).next();
        let run = Run { app, came, got, session, ops, answers, faulty: trouble.is_some() };
        run.check().map_err(|violation| told(&violation, &run.answers, &schedule))?;
        if !schedule.next() {
            return Ok(runs);
        }
    }
    Ok(0)
}

/// The profile, and whether the browser comes with a cookie.
const CASES: [(usize, bool); 4] = [(0, true), (0, false), (1, true), (1, false)];

/// How many runs there were, or all that was wrong.
fn explore_all(
    programs: impl Iterator<Item = Vec<Op>>,
    troubles: &[Option<(usize, Trouble)>],
    cases: &[(usize, bool)],
    executor: Executor,
) -> usize {
    let (mut runs, mut wrong) = (0, Vec::new());
    for ops in programs {
        for trouble in troubles {
            for (profile, comes) in cases.iter().copied() {
                match explore(&ops, executor, profile, comes, *trouble) {
                    Ok(more) => runs += more,
                    Err(violation) => wrong.push(violation),
                }
            }
        }
    }
    println!("{runs} runs");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    runs
}

fn pairs() -> impl Iterator<Item = Vec<Op>> {
    OPS.into_iter().flat_map(|first| OPS.map(|second| vec![first, second]))
}

const EXECUTORS: [Executor; 2] = [Executor::Everybody, Executor::Woken];

#[test]
fn two_operations_at_once_in_every_order() {
    for executor in EXECUTORS {
        let runs = explore_all(pairs(), &[None], &CASES, executor);
        assert!(runs > 2_000, "{runs}");
    }
}

/// One call of the store fails, before it is done or after it.
#[test]
fn two_operations_at_once_with_a_fault_in_every_order() {
    let troubles = (0..4)
        .flat_map(|call| [Trouble::FailsBefore, Trouble::FailsAfter].map(|trouble| Some((call, trouble))));
    let troubles: Vec<_> = troubles.collect();
    for executor in EXECUTORS {
        let runs = explore_all(pairs(), &troubles, &CASES, executor);
        assert!(runs > 20_000, "{runs}");
    }
}

#[test]
fn three_operations_at_once_in_every_order() {
    let triples = pairs().flat_map(|pair| OPS.map(|third| [pair.clone(), vec![third]].concat()));
    // One order of the same three is enough: which of them goes first is part of the schedule.
    let sorted: Vec<_> =
        triples.filter(|ops| ops.windows(2).all(|two| two[0] as u8 <= two[1] as u8)).collect();
    let all = std::env::var("SIMULATION").is_ok_and(|word| word == "all");
    let (executors, cases) = if all { (&EXECUTORS[..], &CASES[..]) } else { (&EXECUTORS[1..], &CASES[..1]) };
    for executor in executors {
        let runs = explore_all(sorted.iter().cloned(), &[None], cases, *executor);
        assert!(runs > 50_000, "{runs}");
    }
}
