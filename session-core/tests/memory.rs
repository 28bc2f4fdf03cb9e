//! The store contract on the memory store.

use session_core::MemoryStore;
use session_testkit::{Fixture, ManualClock};

async fn open() -> Fixture {
    let clock = ManualClock::new();
    Fixture::new(MemoryStore::new().clock(clock.clock())).clock(clock)
}

session_testkit::store_contract!(open);
session_testkit::admin_contract!(open);
