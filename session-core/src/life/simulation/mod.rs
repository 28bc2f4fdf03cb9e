//! Every order of events in the life of a session, explored.
//!
//! A world is a store, a browser, two or three requests of it, and a virtual clock. At each step one of many things may
//! happen: a request goes on, begins any operation, ends, or is dropped; the store does what it was asked, fails before or
//! after it did it, or never answers; time passes; Express writes. All of them are tried, in every order, until nothing
//! new comes up: worlds that were seen before are not visited again, so that all programs are explored at once. After each
//! step the world is held against what the operations promise (`check`).
//!
//! The explorer is itself tested: each fault of [`Fault`](super::fault::Fault) is planted in turn, and must be found.

mod check;
mod explore;
mod renewal;
mod store;
mod world;

use std::{
    panic::resume_unwind,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use self::{
    explore::{Budget, explore, wander},
    store::Versions,
    world::{Arrival, FEWER, OPS, OPS_OF_LIMITED, Op, Rules},
};
use super::fault::{Fault, plant};

/// Two requests with up to two operations each, with one fault; three with one operation.
const TWO: Budget = Budget {
    requests: 2,
    operations: 2,
    faults: 1,
    time: 0,
    express: 0,
    late: false,
    answers: false,
    versions: Versions::Digest,
    ops: &FEWER,
};
const THREE: Budget = Budget { requests: 3, operations: 1, faults: 0, ..TWO };
/// Two with one operation: with more faults, with time, with Express, or with handles that are used after the response.
const FAULTS: Budget = Budget { operations: 1, faults: 2, ops: OPS, ..TWO };
const TIME: Budget = Budget { faults: 0, time: 2, ..FAULTS };
const EXPRESS: Budget = Budget { faults: 0, time: 1, express: 1, ..FAULTS };
const LATE: Budget = Budget { faults: 1, late: true, ..FAULTS };
/// One request alone, with all of it.
const ONE: Budget = Budget {
    requests: 1,
    operations: 2,
    faults: 2,
    time: 1,
    express: 1,
    late: true,
    answers: false,
    versions: Versions::Digest,
    ops: OPS,
};

/// What is changed back, and what is read again after a long time: longer programs of few operations.
const BACK: Budget = Budget { operations: 3, ops: &[Op::Insert, Op::PutBack, Op::Save], ..TWO };
/// What a renewal that was given up may still do, after whatever comes then.
const GIVEN_UP: Budget = Budget {
    operations: 3,
    faults: 1,
    time: 0,
    express: 0,
    late: false,
    answers: false,
    versions: Versions::Count,
    ops: &[Op::Insert, Op::Remove, Op::Update, Op::Save, Op::Reload, Op::Renew, Op::Regenerate, Op::Touch],
    ..ONE
};
/// Handles that are used after the response, for a long time.
const LATE_TIME: Budget = Budget { faults: 0, time: 2, late: true, ops: &[Op::Update, Op::Save], ..FAULTS };
const LONG: Budget = Budget { faults: 0, time: 2, ops: &[Op::Update, Op::Reload], ..TWO };
/// What the store has done may be another thing by the time that its answer is heard.
const ANSWERS: Budget = Budget {
    answers: true,
    ops: &[Op::Insert, Op::Update, Op::Reload, Op::Renew, Op::Destroy, Op::Shorten],
    ..TIME
};
/// And is lost on its way.
const ANSWERS_LOST: Budget =
    Budget { faults: 1, time: 1, ops: &[Op::Insert, Op::Update, Op::Destroy], ..ANSWERS };
/// Sessions that live no longer than a limit.
const LIMITED: Budget = Budget {
    time: 2,
    ops: &[
        Op::Insert,
        Op::Update,
        Op::Save,
        Op::Reload,
        Op::Renew,
        Op::Regenerate,
        Op::Destroy,
        Op::Authenticate,
    ],
    ..EXPRESS
};
const LIMITED_FAULTS: Budget = Budget {
    faults: 1,
    time: 1,
    express: 0,
    ops: &[Op::Update, Op::Renew, Op::Authenticate, Op::Save],
    ..LIMITED
};
const LIMITED_ALONE: Budget =
    Budget { operations: 2, requests: 1, time: 2, faults: 1, late: true, ops: &OPS_OF_LIMITED, ..EXPRESS };

/// As `MemoryStore` has them.
const COUNTED: Budget = Budget { versions: Versions::Count, ..FAULTS };
const COUNTED_TWO: Budget = Budget { versions: Versions::Count, ..TWO };

/// Without `SIMULATION`: what takes less than a minute.
const FEW: [Budget; 12] = [
    Budget { faults: 1, ..COUNTED },
    Budget { faults: 0, ..TWO },
    Budget { requests: 2, ..THREE },
    Budget { faults: 1, ..FAULTS },
    Budget { time: 1, ..TIME },
    EXPRESS,
    LATE,
    Budget { faults: 1, ..ONE },
    BACK,
    Budget { time: 1, ..LONG },
    Budget { time: 1, ..ANSWERS },
    ANSWERS_LOST,
];

/// With rarer options.
const RARER: [Budget; 5] = [
    Budget { faults: 1, ..FAULTS },
    Budget { time: 1, ..TIME },
    LATE_TIME,
    ONE,
    Budget { time: 1, ..ANSWERS },
];

/// With limits.
const FEW_OF_LIMITED: [Budget; 3] = [
    Budget { time: 1, ops: &[Op::Update, Op::Reload, Op::Renew, Op::Authenticate], ..LIMITED },
    Budget { ops: &[Op::Update, Op::Authenticate], ..LIMITED_FAULTS },
    Budget { operations: 1, faults: 0, ..LIMITED_ALONE },
];
const USUAL_OF_LIMITED: [Budget; 4] = [
    Budget { ops: &[Op::Update, Op::Save, Op::Renew, Op::Authenticate], ..LIMITED },
    LIMITED_FAULTS,
    Budget { faults: 0, ..LIMITED_ALONE },
    Budget { operations: 2, time: 1, express: 0, ops: &[Op::Update, Op::Renew, Op::Authenticate], ..LIMITED },
];

const FEW_OF_RARER: [Budget; 2] = [Budget { faults: 1, ..FAULTS }, Budget { time: 1, ..TIME }];

const USUAL: [Budget; 15] = [
    TWO,
    COUNTED_TWO,
    THREE,
    FAULTS,
    COUNTED,
    TIME,
    EXPRESS,
    LATE,
    LATE_TIME,
    ONE,
    BACK,
    LONG,
    GIVEN_UP,
    ANSWERS,
    ANSWERS_LOST,
];

/// With `SIMULATION=all`, which takes long: two faults everywhere, and more of everything else.
const MORE: [Budget; 9] = [
    Budget { faults: 1, ..EXPRESS },
    Budget { ops: OPS, ..TWO },
    Budget { faults: 2, ..TWO },
    Budget { faults: 2, ..THREE },
    Budget { time: 1, ..FAULTS },
    Budget { faults: 1, time: 1, late: true, ..TIME },
    Budget { operations: 3, ..ONE },
    Budget { ops: &FEWER, ..ANSWERS },
    Budget { faults: 1, time: 1, ops: &FEWER, ..ANSWERS },
];

/// How much is explored, as the environment variable `SIMULATION` says.
#[derive(Clone, Copy, PartialEq)]
enum Much {
    Few,
    /// `usual`, as a change of the core has it before it is merged: minutes, with optimization.
    Usual,
    /// `all`
    All,
}

impl Much {
    fn from_env() -> Self {
        match std::env::var("SIMULATION").as_deref() {
            Err(_) => Self::Few,
            Ok("usual") => Self::Usual,
            Ok("all") => Self::All,
            Ok(other) => panic!("SIMULATION={other}: it is usual or all"),
        }
    }
}

/// Every combination of budgets, profiles and arrivals, on as many threads as there are cores.
fn explore_all(budgets: &[Budget], rules: &[Rules]) -> (usize, Vec<String>) {
    let arrivals = [Arrival::LoggedIn, Arrival::New];
    let runs: Vec<(Budget, &Rules, Arrival)> = budgets
        .iter()
        .flat_map(|budget| {
            rules.iter().flat_map(move |rules| arrivals.map(|arrival| (*budget, rules, arrival)))
        })
        // Without time, cookies with and without a date are alike.
        .filter(|(budget, rules, _)| budget.time > 0 || !rules.is_without_dates())
        .collect();
    let next = AtomicUsize::new(0);
    let (worlds, violations) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some((budget, rules, arrival)) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let found = explore(rules, *arrival, *budget);
            println!(
                "{} requests, {} operations, {} faults, {} jumps of time, {arrival:?}, {}: {} worlds, {} steps, {} deep",
                budget.requests,
                budget.operations,
                budget.faults,
                budget.time,
                rules.name,
                found.worlds,
                found.steps,
                found.deepest,
            );
            if let Some(violation) = &found.violation {
                println!("VIOLATION {violation}");
            }
            assert!(
                found.worlds > 500 || found.violation.is_some(),
                "so few are not every order: {}",
                found.worlds
            );
            worlds.fetch_add(found.worlds, Ordering::Relaxed);
            violations.lock().unwrap().extend(found.violation.map(|text| format!("{}: {text}", rules.name)));
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    (worlds.into_inner(), violations.into_inner().unwrap())
}

/// So many sequences of up to so many of all operations, for so many requests.
fn programs(budget: &Budget) -> usize {
    let one: usize = (0..=budget.operations).map(|length| budget.ops.len().pow(length.into())).sum();
    one.pow(u32::try_from(budget.requests).unwrap())
}

#[test]
fn every_order_of_events_keeps_the_promises() {
    let much = Much::from_env();
    let mut budgets = if much == Much::Few { FEW.to_vec() } else { USUAL.to_vec() };
    if much == Much::All {
        budgets.extend(MORE);
    }
    let (mut worlds, mut violations) = explore_all(&budgets, &Rules::profiles());
    let rarer = match much {
        Much::Few => &FEW_OF_RARER[..],
        Much::Usual => &RARER[..],
        Much::All => &USUAL[..],
    };
    let (more, found) = explore_all(rarer, &Rules::rarer());
    worlds += more;
    violations.extend(found);
    let limited = match much {
        Much::Few => &FEW_OF_LIMITED[..],
        Much::Usual => &USUAL_OF_LIMITED[..],
        Much::All => &[LIMITED, LIMITED_FAULTS, LIMITED_ALONE],
    };
    let (more, found) = explore_all(limited, &Rules::limited());
    worlds += more;
    violations.extend(found);
    let programs: usize = budgets.iter().map(programs).sum();
    println!("{worlds} worlds of {programs} programs, in two profiles");
    assert!(violations.is_empty(), "{}", violations.join("\n"));
    // A state that is taken for another one is not visited: a little less is a change of the rules, much less is a mistake.
    let least = match much {
        Much::Few => 10_000_000,
        Much::Usual => 64_000_000,
        Much::All => 300_000_000,
    };
    assert!(worlds > least, "so few worlds are not every order of events: {worlds}");
}

#[test]
fn long_runs_at_random_keep_the_promises() {
    let number = |name: &str| {
        std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
    };
    let runs = number("SIMULATION_RUNS").unwrap_or(20_000).max(1);
    let seeds = match number("SIMULATION_SEED") {
        Some(seed) => seed..=seed,
        None => match Much::from_env() {
            Much::Few => 1..=2,
            Much::Usual => 1..=4,
            Much::All => 1..=100,
        },
    };
    println!("SIMULATION_SEED={seeds:?} SIMULATION_RUNS={runs}");
    let seeds = Mutex::new(seeds);
    let next = || seeds.lock().unwrap().next();
    thread::scope(|scope| {
        let wanderers = [(); 2].map(|()| {
            scope.spawn(|| {
                while let Some(seed) = next() {
                    wander_from(seed, runs);
                }
            })
        });
        // The test fails with what the one that failed has said.
        wanderers.into_iter().for_each(|one| one.join().unwrap_or_else(|panic| resume_unwind(panic)));
    });
}

fn wander_from(seed: u64, runs: u64) {
    let budget = Budget {
        requests: 4,
        operations: 4,
        faults: 4,
        time: 4,
        express: 2,
        late: true,
        answers: true,
        versions: if seed.is_multiple_of(2) { Versions::Count } else { Versions::Digest },
        ops: OPS,
    };
    for rules in Rules::profiles().iter().chain(&Rules::rarer()).chain(&Rules::limited()) {
        let budget = if rules.is_limited() { Budget { ops: &OPS_OF_LIMITED, ..budget } } else { budget };
        for arrival in [Arrival::LoggedIn, Arrival::New] {
            let found = wander(rules, arrival, budget, seed, usize::try_from(runs).unwrap());
            println!(
                "seed {seed}, {arrival:?}, {}: {} runs, {} steps, {} deep",
                rules.name, found.worlds, found.steps, found.deepest
            );
            if let Some(violation) = found.violation {
                panic!("SIMULATION_SEED={seed}, {}: {violation}", rules.name);
            }
            assert!(found.steps > found.worlds * 10, "{} steps", found.steps);
        }
    }
}

/// Where faults show: a request alone, with time or with a fault of the store; two; and a slow answer.
const ALONE: Budget = Budget { operations: 1, faults: 0, time: 2, ..ONE };
const ALONE_IN_DOUBT: Budget = Budget { faults: 1, time: 0, express: 0, ..ONE };
const ALONE_TWICE_IN_DOUBT: Budget = Budget { faults: 2, ..ALONE_IN_DOUBT };
const BESIDE: Budget = Budget { faults: 0, time: 1, ..FAULTS };
const SLOW: Budget = Budget { time: 1, ..FAULTS };
const BEHIND: Budget =
    Budget { operations: 2, faults: 1, time: 1, ops: &[Op::Save, Op::Reload, Op::Update], ..FAULTS };

/// The smallest budget that shows this fault.
fn shows(fault: Fault) -> Budget {
    match fault {
        Fault::ConflictNotRead
        | Fault::CookieNotRenewed
        | Fault::DroppedInSilence
        | Fault::IdNotRenewed
        | Fault::LifetimeClaimed
        | Fault::NotConfirmed
        | Fault::OldExpiryWritten
        | Fault::RenewedUnsent
        | Fault::SkippedTouchBelieved
        | Fault::StaleCookieSent
        | Fault::UnreachableSaved
        | Fault::UpdateSeenBeforehand => ALONE,
        Fault::CookieNotDecidedAgain
        | Fault::ExpiryInDoubt
        | Fault::OvertakenDestroy
        | Fault::OvertakenRenewal
        | Fault::TouchUnconditional => BESIDE,
        Fault::CookieSetBack => LONG,
        Fault::AnybodysForgiven => ALONE_TWICE_IN_DOUBT,
        Fault::RenewedUnseen | Fault::TouchForgotten => LATE_TIME,
        Fault::OvertakenInDoubt => BACK,
        Fault::LateCallNotFenced | Fault::NotFenced => GIVEN_UP,
        Fault::SlowAnswerTrusted => SLOW,
        Fault::ConfirmedAfterConflict => BEHIND,
        Fault::AnswersTimeIgnored => ANSWERS,
        Fault::LimitNotEnforced | Fault::LimitNotKept | Fault::LimitOutlived | Fault::LimitRenewed => {
            LIMITED_ALONE
        }
        Fault::TimesLost => LIMITED_FAULTS,
        Fault::IdleNotKnown => Budget { operations: 1, time: 3, ops: &[Op::Save], ..ALONE },
        _ => ALONE_IN_DOUBT,
    }
}

/// The promise that this fault breaks: whatever else it may break, this is what is found.
fn breaks(fault: Fault) -> &'static str {
    match fault {
        Fault::OldExpiryWritten => "a write took from a session what it had left",
        Fault::TouchForgotten => "a write took from a session what its own request had given",
        Fault::TouchUnconditional => "a touch gave a session of",
        Fault::NoDoubt => "Destroy was acknowledged, and the session lives",
        Fault::ConflictNotRead | Fault::OvertakenInDoubt => "a write changed a key",
        Fault::LifetimeClaimed | Fault::AnswersTimeIgnored => "a session in use ended",
        Fault::DestroyClaimed => "the browser was told to forget a session that lives",
        Fault::OvertakenDestroy => "a logout left a live successor",
        Fault::OvertakenRenewal => "a renewal brought back what a logout had ended",
        Fault::DestroyNotFinished | Fault::UnsetForgetsLogout => {
            "a logout was begun, and nobody was told that it is not done"
        }
        Fault::AnybodysForgiven => "the request has ended under another id, and the one before lives on",
        Fault::LeftoverKept => "the request has ended, and left a record behind",
        Fault::UpdateSeenBeforehand => "a write changed the counter",
        Fault::DoubtNotRead | Fault::IdKeptInDoubt | Fault::SavedAfterDestroy => {
            "a session that was gone was stored again"
        }
        Fault::UnreachableSaved => "a record is left that nobody knows the id of",
        Fault::StaleCookieSent | Fault::SkippedTouchBelieved => "the cookie ends at",
        Fault::CookieNotRenewed
        | Fault::ExpiryInDoubt
        | Fault::FoundNotSaved
        | Fault::CookieNotDecidedAgain => "the record's expiry was moved, and the cookie was not sent",
        Fault::DroppedInSilence => "a change was dropped in silence",
        Fault::LifetimeForgotten => "a lifetime was dropped in silence",
        Fault::NotConfirmed | Fault::ConfirmedAfterConflict => "the browser's cookie was set back",
        Fault::FailedRenewalLogsOut => "a request destroyed its session, which nobody had asked for",
        Fault::CookieSetBack | Fault::RenewedUnseen => "the browser's cookie ended",
        Fault::LogoutForgetsLeftovers => "a logout was acknowledged, and what a renewal had copied lives",
        Fault::ReloadKeepsCookie => "a write changed the lifetime, which its request did not",
        Fault::ReloadKeepsData => "a reload was acknowledged, and the handler sees something else",
        Fault::IdNotRenewed => "Renew was acknowledged, and the id is the same",
        Fault::FailedFirstWriteEnds => "Update failed without a reason",
        Fault::NotFenced | Fault::LateCallNotFenced => "a write that was given up changed the session",
        Fault::UnsavedCookieSent => "a cookie was sent with an error, and its lifetime is not stored",
        Fault::RenewedUnsent => "a write before the response kept the cookie from being renewed in time",
        Fault::SlowAnswerTrusted => "a cookie was sent for a session whose end was told",
        Fault::LimitNotEnforced => "a session was served that had lived as long as it may",
        Fault::LimitNotKept => "a record is held for longer than its session may live",
        Fault::LimitOutlived => "a request destroyed its session, which nobody had asked for",
        Fault::LimitRenewed => "a renewal moved when the session has begun",
        Fault::TimesLost => "who has shown who that is was dropped in silence",
        Fault::IdleNotKnown => "a session in use ended",
        Fault::NotFollowed => "somebody was logged out who has not logged out",
        Fault::RenewedWhateverCame => "one session stands under two ids",
        Fault::EndsWhateverCame | Fault::OldIdNotLookedAt | Fault::FormerIdKept => {
            "a logout left what an id of its session opens"
        }
        Fault::OldRecordIgnored => "what Express wrote is lost",
        Fault::GraceForEver => "a former id was served after its grace",
        Fault::NewIdNotSent => "who came with a former id was not sent the new one",
    }
}

/// Without a fault there is nothing to find: what is found with one is its work. (Of the largest budgets in which faults show that
/// is known with `SIMULATION=usual`.)
#[test]
fn without_a_fault_nothing_is_found() {
    // What every order of events has been through needs no other visit.
    let mut budgets = vec![ALONE, ALONE_IN_DOUBT, ALONE_TWICE_IN_DOUBT, BESIDE];
    match Much::from_env() {
        Much::Few => {}
        Much::Usual | Much::All => budgets.extend([SLOW, BEHIND]),
    }
    let (_, mut violations) = explore_all(&budgets, &Rules::profiles());
    violations.extend(explore_all(&[ALONE], &Rules::rarer()).1);
    violations.extend(explore_all(&[LIMITED_FAULTS], &Rules::limited()).1);
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn every_planted_fault_is_found() {
    let next = AtomicUsize::new(0);
    let missed = Mutex::new(Vec::new());
    let work = || {
        while let Some(fault) = Fault::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
            plant(Some(*fault));
            // One shows only where touches are left out.
            let rules = match fault {
                Fault::SkippedTouchBelieved => Rules::rarer(),
                Fault::LimitNotEnforced
                | Fault::LimitNotKept
                | Fault::LimitOutlived
                | Fault::LimitRenewed
                | Fault::TimesLost
                | Fault::IdleNotKnown => Rules::limited(),
                _ => Rules::profiles(),
            };
            let found = rules.iter().find_map(|rules| {
                [Arrival::LoggedIn, Arrival::New].into_iter().find_map(|arrival| {
                    let violation = explore(rules, arrival, shows(*fault)).violation?;
                    Some(format!("{}: {violation}", rules.name))
                })
            });
            match found {
                Some(violation) if violation.contains(breaks(*fault)) => {
                    println!("{fault:?}\n    {violation}");
                }
                Some(other) => missed.lock().unwrap().push(format!("{fault:?}, but {other}")),
                None => missed.lock().unwrap().push(format!("{fault:?}")),
            }
        }
        plant(None);
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let missed = missed.into_inner().unwrap();
    println!("{} of {} planted faults found", Fault::ALL.len() - missed.len(), Fault::ALL.len());
    assert!(missed.is_empty(), "not found for what they are:\n{}", missed.join("\n"));
}
