//! How many allocations a request costs, beside the bare router and beside a layer that does nothing.
//!
//! `cargo run --release -p bench --bin allocations`

#![allow(clippy::print_stdout, reason = "it prints a table")]

use std::alloc::System;

use bench::{App, Asks, Server, table};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// A table that grows now and then is not what a request costs: the median of so many is.
const REQUESTS: usize = 101;

fn main() {
    let mut rows =
        vec![[vec!["allocations a request".into()], App::ALL.map(|app| app.name().into()).to_vec()].concat()];
    for asks in Asks::ALL {
        let mut row = vec![asks.name().to_owned()];
        for app in App::ALL {
            row.push(median(app, asks).to_string());
        }
        rows.push(row);
    }
    println!("{}", table(&rows));
}

/// Reallocations count as well.
fn median(app: App, asks: Asks) -> usize {
    let mut server = Server::start(app);
    let mut counts: Vec<usize> = (0..REQUESTS)
        .map(|_| {
            let request = server.request(asks);
            let region = Region::new(ALLOCATOR);
            drop(server.answer(request));
            let Stats { allocations, reallocations, .. } = region.change();
            allocations + reallocations
        })
        .collect();
    counts.sort_unstable();
    counts[REQUESTS / 2]
}
