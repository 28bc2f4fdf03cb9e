//! The store contract on the memory store.

use std::time::Duration;

use session_core::MemoryStore;
use session_testkit::{Fixture, ManualClock};

async fn open() -> Fixture {
    let clock = ManualClock::new();
    Fixture::new(MemoryStore::new().clock(clock.clock()))
        .clock(clock)
        .exact_to_the_millisecond()
        .nobody_else_writes()
}

session_testkit::store_contract!(open);
session_testkit::admin_contract!(open);

mod with_a_time_to_live {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    async fn open() -> Fixture {
        let clock = ManualClock::new();
        let store = MemoryStore::new().ttl(DAY).clock(clock.clock());
        Fixture::new(store).clock(clock).ttl(DAY).exact_to_the_millisecond().nobody_else_writes()
    }

    session_testkit::store_contract!(open);
    session_testkit::admin_contract!(open);
}
