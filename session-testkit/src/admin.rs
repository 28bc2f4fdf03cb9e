//! The contract of the optional powers, a test a sentence.

use std::{collections::BTreeMap, time::Duration};

use session_core::{Expect, Record, Sid};

use crate::{Fixture, verbs::record};

async fn fill(fixture: &Fixture) -> BTreeMap<Sid, String> {
    let mut held = BTreeMap::new();
    for at in 0..250 {
        let (sid, record) = (Sid::random(), record(fixture, &format!("\"at\":{at}")));
        fixture.store.set(&sid, &record, &Expect::Anything).await.unwrap();
        held.insert(sid, record.to_json());
    }
    held
}

/// One more, over by the time this returns.
async fn expired(fixture: &Fixture) {
    let mut short = record(fixture, "");
    short.cookie.set_max_age(Some(Duration::from_secs(2)), fixture.now());
    fixture.store.set(&Sid::random(), &short, &Expect::Anything).await.unwrap();
    fixture.pass(Duration::from_millis(3_200)).await;
}

#[allow(missing_docs)]
pub async fn length_counts_what_has_not_expired(fixture: &Fixture) {
    assert_eq!(fixture.store.length().await.unwrap(), 0);
    let held = fill(fixture).await;
    expired(fixture).await;
    assert_eq!(fixture.store.length().await.unwrap(), held.len() as u64);
}

#[allow(missing_docs)]
pub async fn ids_shows_every_sid_once(fixture: &Fixture) {
    let held = fill(fixture).await;
    expired(fixture).await;
    let mut sids = Vec::new();
    fixture.store.ids(&mut |sid| sids.push(sid)).await.unwrap();
    sids.sort();
    assert!(sids.iter().eq(held.keys()));
}

#[allow(missing_docs)]
pub async fn all_shows_every_record_with_its_sid(fixture: &Fixture) {
    let held = fill(fixture).await;
    expired(fixture).await;
    let mut records = BTreeMap::new();
    let mut visit = |sid: Sid, record: Record| _ = records.insert(sid, record.to_json());
    fixture.store.all(&mut visit).await.unwrap();
    assert!(records == held);
}

#[allow(missing_docs)]
pub async fn clear_destroys_every_session(fixture: &Fixture) {
    let held = fill(fixture).await;
    fixture.store.clear().await.unwrap();
    assert_eq!(fixture.store.length().await.unwrap(), 0);
    for sid in held.keys() {
        assert!(fixture.store.get(sid).await.unwrap().is_none());
    }
    fixture.store.clear().await.unwrap();
}

#[allow(missing_docs)]
pub async fn prune_removes_what_has_expired_and_nothing_else(fixture: &Fixture) {
    let held = fill(fixture).await;
    expired(fixture).await;
    // A database that expires by itself has nothing left to remove.
    assert!(fixture.store.prune().await.unwrap() <= 1);
    assert_eq!(fixture.store.prune().await.unwrap(), 0);
    assert_eq!(fixture.store.length().await.unwrap(), held.len() as u64);
}
