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
mod store;
mod world;

use self::{
    explore::{Budget, Found, explore, wander},
    world::{Arrival, Rules},
};
use super::fault::{Fault, plant};

/// Two requests with up to two operations each.
const TWO: Budget = Budget { requests: 2, operations: 2, faults: 2, time: 2, express: 1, late: true };

/// Three requests with one operation each.
const THREE: Budget = Budget { requests: 3, operations: 1, faults: 2, time: 1, express: 0, late: false };

fn all_rules() -> Vec<Rules> {
    Rules::profiles()
}

fn say(what: &str, rules: &Rules, found: &Found) {
    println!(
        "{what}, {}: {} worlds, {} steps, deepest {}",
        rules.name, found.worlds, found.steps, found.deepest
    );
}

#[test]
fn every_order_of_events_keeps_the_promises() {
    let mut worlds = 0;
    for budget in [TWO, THREE] {
        for rules in &all_rules() {
            for arrival in [Arrival::LoggedIn, Arrival::New] {
                let found = explore(rules, arrival, budget);
                say(
                    &format!("{} requests, {} operations, {arrival:?}", budget.requests, budget.operations),
                    rules,
                    &found,
                );
                if let Some(violation) = found.violation {
                    panic!("{}: {violation}", rules.name);
                }
                worlds += found.worlds;
            }
        }
    }
    println!("{worlds} worlds in all");
    assert!(worlds > 1_000_000, "so few worlds are not every order of events: {worlds}");
}

#[test]
fn long_runs_at_random_keep_the_promises() {
    let seed = std::env::var("SIMULATION_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let runs = std::env::var("SIMULATION_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(20_000);
    println!("SIMULATION_SEED={seed} SIMULATION_RUNS={runs}");
    let budget = Budget { requests: 4, operations: 4, faults: 4, time: 6, express: 2, late: true };
    for rules in &all_rules() {
        for arrival in [Arrival::LoggedIn, Arrival::New] {
            let found = wander(rules, arrival, budget, seed, runs);
            say("at random", rules, &found);
            if let Some(violation) = found.violation {
                panic!("{}: {violation}", rules.name);
            }
        }
    }
}

#[test]
fn every_planted_fault_is_found() {
    let mut missed = Vec::new();
    for fault in Fault::ALL {
        plant(Some(fault));
        let found = [TWO, THREE].into_iter().find_map(|budget| {
            all_rules().iter().find_map(|rules| {
                [Arrival::LoggedIn, Arrival::New].into_iter().find_map(|arrival| {
                    let violation = explore::shortest(rules, arrival, budget)?;
                    Some(format!("{}: {violation}", rules.name))
                })
            })
        });
        plant(None);
        match found {
            Some(violation) => println!("{fault:?}\n    {violation}"),
            None => missed.push(fault),
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}

#[test]
fn sizes() {
    let Ok(text) = std::env::var("SIM_BUDGET") else { return };
    let n: Vec<u8> = text.split(',').map(|n| n.parse().unwrap()).collect();
    let budget = Budget {
        requests: n[0].into(),
        operations: n[1],
        faults: n[2],
        time: n[3],
        express: n[4],
        late: n[5] == 1,
    };
    for rules in &all_rules() {
        for arrival in [Arrival::LoggedIn, Arrival::New] {
            let began = std::time::Instant::now();
            let found = explore(rules, arrival, budget);
            say(&format!("{budget:?} {arrival:?} {:?}", began.elapsed()), rules, &found);
            if let Some(violation) = found.violation {
                println!("VIOLATION worlds {violation}");
            }
        }
    }
}
