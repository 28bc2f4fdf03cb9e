//! A store that nobody has chosen: one process may have one. A test file of its own, because others have some too.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use session_core::{MemoryStore, Options};
use session_testkit::Captured;

#[test]
fn a_second_store_that_nobody_chose_is_told() {
    let log = Captured::begin();
    let told = || log.text().matches("a second default").count();
    let options = || Options::new("keyboard cat");

    let shared = options();
    let first = shared.clone().build().unwrap();
    let _chosen = options().store(MemoryStore::new()).build().unwrap();
    // The same store.
    let same = (first.clone(), shared.build().unwrap());
    assert_eq!(told(), 0);
    // As where each worker makes its own: it counts for itself.
    let second = options().build().unwrap();
    assert_eq!(told(), 1);
    drop((first, same, second));
    let _another = options().build().unwrap();
    assert_eq!(told(), 1, "one after the other are not two");
}
