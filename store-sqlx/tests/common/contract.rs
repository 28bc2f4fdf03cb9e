//! What the contract asks of a touch, of a destruction, and of what has expired itself.

use std::time::Duration;

use session_core::{Destroyed, Expect, Set, Sid, Store, Touched, Version};
use session_testkit::ManualClock;

use super::{put, record};

/// On a store with this clock.
pub async fn touch_says_what_became_of_the_row(store: &impl Store, clock: &ManualClock) {
    let read = async |sid: &Sid| store.get(sid).await.unwrap().unwrap();
    let sid = put(store, &record("\"a\":1")).await;
    let stale = Expect::Version(read(&sid).await.version);
    assert!(matches!(store.set(&sid, &record("\"a\":2"), &stale).await.unwrap(), Set::Written(_)));
    let held = Expect::Version(read(&sid).await.version);
    let elsewhere = Expect::Version(Version::from_number(1));
    let (left, cookie) = (read(&sid).await.left, record("").cookie);
    clock.pass(Duration::from_secs(10));
    for expect in [&stale, &elsewhere, &Expect::Nothing] {
        assert_eq!(store.touch(&sid, &cookie, expect).await.unwrap(), Touched::Conflict);
    }
    let ten_later = read(&sid).await.left.unwrap() + Duration::from_secs(10);
    assert_eq!(Some(ten_later), left, "a conflict moves nothing");
    // The second one changes nothing in the row.
    for expect in [&held, &held, &Expect::Anything] {
        assert_eq!(store.touch(&sid, &cookie, expect).await.unwrap(), Touched::Moved);
        let stored = read(&sid).await;
        assert_eq!(stored.left, left);
        assert!(Expect::Version(stored.version) == held && stored.record.data.get("a") == Some("2"));
    }
    clock.pass(Duration::from_secs(86_402));
    for sid in [&sid, &Sid::random()] {
        for expect in [&held, &stale, &elsewhere, &Expect::Nothing, &Expect::Anything] {
            assert_eq!(store.touch(sid, &cookie, expect).await.unwrap(), Touched::Unknown);
        }
    }
}

/// On a store with this clock.
pub async fn destroy_says_what_became_of_the_row(store: &impl Store, clock: &ManualClock) {
    let read = async |sid: &Sid| Expect::Version(store.get(sid).await.unwrap().unwrap().version);
    let sid = put(store, &record("\"a\":1")).await;
    let stale = read(&sid).await;
    assert!(matches!(store.set(&sid, &record("\"a\":2"), &stale).await.unwrap(), Set::Written(_)));
    let held = read(&sid).await;
    let elsewhere = Expect::Version(Version::from_number(1));
    for expect in [&stale, &elsewhere, &Expect::Nothing] {
        assert_eq!(store.destroy(&sid, expect).await.unwrap(), Destroyed::Conflict);
    }
    assert!(read(&sid).await == held, "a conflict destroys nothing");
    assert_eq!(store.destroy(&sid, &held).await.unwrap(), Destroyed::Destroyed);
    for expect in [&held, &Expect::Nothing, &Expect::Anything] {
        assert_eq!(store.destroy(&sid, expect).await.unwrap(), Destroyed::Unknown);
    }

    let expired = put(store, &record("\"a\":1")).await;
    let version = read(&expired).await;
    clock.pass(Duration::from_secs(86_402));
    for expect in [&version, &Expect::Nothing] {
        assert_eq!(store.destroy(&expired, expect).await.unwrap(), Destroyed::Unknown);
    }
    store.destroy(&expired, &Expect::Anything).await.unwrap();
    assert_eq!(store.destroy(&expired, &Expect::Anything).await.unwrap(), Destroyed::Unknown);
}

/// On a store whose database is not there: what has expired costs no statement.
pub async fn what_has_expired_itself_changes_nothing(store: &impl Store) {
    let (sid, expired) = (Sid::random(), super::until(0, ""));
    let version = Expect::Version(Version::from_text("a"));
    for expect in [Expect::Anything, Expect::Nothing, version] {
        assert_eq!(store.set(&sid, &expired, &expect).await.unwrap(), Set::Expired);
        assert_eq!(store.touch(&sid, &expired.cookie, &expect).await.unwrap(), Touched::Expired);
    }
}

/// On a store whose clock starts at these milliseconds, of which some are left of the second: no record is held shorter
/// than its cookie lives, and a touch moves the expiry earlier as well.
pub async fn a_record_is_held_for_the_rest_of_a_second(store: &impl Store, clock: &ManualClock, start: u64) {
    let sids = [put(store, &super::until(start + 300, "")).await, put(store, &record("")).await];
    let touched =
        store.touch(&sids[1], &super::until(start + 300, "").cookie, &Expect::Anything).await.unwrap();
    assert_eq!(touched, Touched::Moved);
    clock.pass(Duration::from_millis(299));
    for sid in &sids {
        assert!(store.get(sid).await.unwrap().is_some(), "not yet");
    }
    clock.pass(Duration::from_millis(1_300));
    for sid in &sids {
        assert!(store.get(sid).await.unwrap().is_none(), "a second later at the most");
    }
}
