//! The contract of the optional powers, a test a sentence.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, stream};
use session_core::{Destroyed, Expect, Record, Sid, StoreError, Touched};
use tokio::sync::Semaphore;

use crate::{
    Applies, Fixture,
    tasks::Beside,
    verbs::{
        HOUR, LIFE, LONGER, in_time, lasting, put, put_short, record, text_of, touch_short, with_attributes,
        written,
    },
};

/// What is held: data by their sids.
type Held = BTreeMap<Sid, Vec<(String, String)>>;

const SHORT_DATA: &str = r#""short":true"#;

/// More than a page or a batch of any store, and than a thousand, which many take for enough.
const MANY: usize = 1_100;

/// So many are under way at a time.
const AT_ONCE: usize = 32;

async fn fill(fixture: &Fixture) -> Held {
    let fill = stream::iter(0..MANY).map(async |at| {
        let (sid, record) = (Sid::random(), record(fixture, &format!("\"at\":{at}")));
        put(fixture, &sid, &record).await;
        (sid, text_of(&record))
    });
    fill.buffer_unordered(AT_ONCE).collect().await
}

/// So many more, which have expired by the time this returns: three that were written so, and two that touches have ended
/// sooner. And one that would have expired if it had not been touched.
const EXPIRED: u64 = 5;

async fn expired(fixture: &Fixture, held: &mut Held) {
    for _ in 0..3 {
        put_short(fixture, &Sid::random(), SHORT_DATA, &Expect::Anything).await;
    }
    for is_conditional in [false, true] {
        let sid = Sid::random();
        let version = put(fixture, &sid, &lasting(fixture, Some(LIFE), r#""sooner":true"#)).await;
        let expect = if is_conditional { Expect::Version(version) } else { Expect::Anything };
        touch_short(fixture, &sid, &expect).await;
    }
    let touched = Sid::random();
    let cookie = record(fixture, "").cookie;
    in_time(fixture, async || {
        let (_, end) = put_short(fixture, &touched, SHORT_DATA, &Expect::Anything).await;
        let moved = fixture.store.touch(&touched, &cookie, &Expect::Anything).await.unwrap();
        (end, (moved == Touched::Moved).then_some(()))
    })
    .await;
    held.insert(touched, text_of(&lasting(fixture, None, SHORT_DATA)));
    // And one that is about to expire, so long after a machine that is ever so busy has asked. It is written before the
    // others expire: a store may remove some of these beside any write.
    let lifetime = LONGER + Duration::from_secs(20);
    let (soon, record) = (Sid::random(), lasting(fixture, Some(lifetime), r#""soon":true"#));
    put(fixture, &soon, &record).await;
    held.insert(soon, text_of(&record));
    fixture.pass(LONGER).await;
}

/// And some whose sids are not like those that are made here.
async fn odd_sids(fixture: &Fixture, held: &mut Held) {
    for sid in ["a", "a:b", "b", "sess:a", "*", "ä b", "'"] {
        let record = record(fixture, "");
        put(fixture, &sid.into(), &record).await;
        held.insert(sid.into(), text_of(&record));
    }
}

/// Who leaves meanwhile hides nobody who stays.
#[allow(missing_docs)]
pub async fn a_list_beside_destructions_shows_all_who_stay(fixture: &Fixture) {
    /// Then who has not left yet may go at once.
    const LISTS: usize = 40;
    let held = fill(fixture).await;
    let (leave, stay): (Vec<_>, Vec<_>) = held.keys().cloned().enumerate().partition(|(at, _)| at % 2 == 0);
    // They leave while a list is under way, and not before or after it.
    let (shown, beside) = (Arc::new(Semaphore::new(0)), Arc::<Beside>::default());
    let (store, leaves, leaver) = (fixture.process(), Arc::clone(&shown), Arc::clone(&beside));
    let leaving = tokio::spawn(async move {
        for (_, sid) in leave {
            leaves.acquire().await.unwrap().forget();
            let destroyed = leaver.call(store.destroy(&sid, &Expect::Anything)).await.unwrap();
            assert_eq!(destroyed, Destroyed::Destroyed);
        }
        leaver.end();
    });
    let show = |seen: &mut BTreeSet<Sid>, sid| {
        seen.insert(sid);
        if seen.len() % 128 == 1 {
            let since = beside.done();
            shown.add_permits(1);
            beside.wait_for_one(since);
        }
    };
    for list in 0..LISTS {
        let (mut sids, mut records) = (BTreeSet::new(), BTreeSet::new());
        // Some leave while it is put together, also by one that shows everything at its end, and one that is slow to begin.
        let leave = [1, 3, 16][list % 3];
        shown.add_permits(leave);
        fixture.store.ids(&mut |sid| show(&mut sids, sid)).await.unwrap();
        shown.forget_permits(usize::MAX);
        shown.add_permits(leave);
        fixture.store.all(&mut |sid, _| show(&mut records, sid)).await.unwrap();
        shown.forget_permits(usize::MAX);
        for (_, sid) in &stay {
            assert!(sids.contains(sid) && records.contains(sid), "who stays is not shown");
        }
        if leaving.is_finished() {
            break;
        }
        tokio::task::yield_now().await;
    }
    shown.add_permits(MANY);
    leaving.await.unwrap();
    assert!(beside.met() > 0, "nobody left beside a list");
}

#[allow(missing_docs)]
pub async fn length_counts_what_has_not_expired(fixture: &Fixture) {
    assert_eq!(fixture.store.length().await.unwrap(), 0);
    let mut held = fill(fixture).await;
    expired(fixture, &mut held).await;
    assert_eq!(fixture.store.length().await.unwrap(), held.len() as u64);
}

#[allow(missing_docs)]
pub async fn ids_shows_every_sid_once(fixture: &Fixture) {
    let mut held = fill(fixture).await;
    odd_sids(fixture, &mut held).await;
    expired(fixture, &mut held).await;
    let mut sids = Vec::new();
    fixture.store.ids(&mut |sid| sids.push(sid)).await.unwrap();
    sids.sort();
    assert!(sids.iter().eq(held.keys()));
}

#[allow(missing_docs)]
pub async fn all_shows_every_record_with_its_sid(fixture: &Fixture) {
    let mut held = fill(fixture).await;
    expired(fixture, &mut held).await;
    // Written more than once, under each condition, and with a cookie that is no other's.
    let (sid, mut expect) = (Sid::random(), Expect::Nothing);
    for n in 0..4 {
        let record = with_attributes(fixture, Some(HOUR), &format!("\"n\":{n}"));
        let version = written(fixture.store.set(&sid, &record, &expect).await.unwrap());
        expect = if n == 1 { Expect::Anything } else { Expect::Version(version) };
        held.insert(sid.clone(), text_of(&record));
    }
    let (mut records, mut shown) = (Held::new(), None);
    let mut visit = |of: Sid, record: Record| {
        if of == sid {
            shown = Some(record.to_json());
        }
        records.insert(of, text_of(&record));
    };
    fixture.store.all(&mut visit).await.unwrap();
    assert!(records == held);
    let read = fixture.store.get(&sid).await.unwrap().expect("it is held").record;
    assert_eq!(shown, Some(read.to_json()), "all shows what get shows");
}

#[allow(missing_docs)]
pub async fn clear_destroys_every_session(fixture: &Fixture) {
    let mut held = fill(fixture).await;
    odd_sids(fixture, &mut held).await;
    fixture.store.clear().await.unwrap();
    assert_eq!(fixture.store.length().await.unwrap(), 0);
    for sid in held.keys() {
        assert!(fixture.store.get(sid).await.unwrap().is_none());
    }
    fixture.store.clear().await.unwrap();
}

#[allow(missing_docs)]
pub async fn prune_removes_what_has_expired_and_nothing_else(fixture: &Fixture) {
    let mut held = fill(fixture).await;
    expired(fixture, &mut held).await;
    let pruned = if fixture.expires_by_itself { 0 } else { EXPIRED };
    assert_eq!(fixture.store.prune().await.unwrap(), pruned);
    assert_eq!(fixture.store.prune().await.unwrap(), 0);
    assert_eq!(fixture.store.length().await.unwrap(), held.len() as u64);
}

/// A prune in batches goes on to the last, and ends nothing sooner: what is about to expire is held until it does.
#[allow(missing_docs)]
pub async fn prune_removes_all_that_has_expired_however_many(fixture: &Fixture) {
    let mut held = Held::new();
    for minutes in [1, 10, 29, 300] {
        let (sid, lifetime) = (Sid::random(), Duration::from_secs(60 * minutes));
        let record = lasting(fixture, Some(lifetime), &format!("\"minutes\":{minutes}"));
        put(fixture, &sid, &record).await;
        held.insert(sid, text_of(&record));
    }
    let expired = 2_500;
    let short = stream::iter(0..expired).map(async |_| {
        put_short(fixture, &Sid::random(), "", &Expect::Anything).await;
    });
    short.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await;
    fixture.pass(LONGER).await;
    assert_eq!(fixture.store.prune().await.unwrap(), if fixture.expires_by_itself { 0 } else { expired });
    assert_eq!(fixture.store.prune().await.unwrap(), 0);
    for (sid, text) in &held {
        let stored = fixture.store.get(sid).await.unwrap().expect("it has not expired");
        assert!(text_of(&stored.record) == *text);
    }
    assert_eq!(fixture.store.length().await.unwrap(), held.len() as u64);
}

/// `all` passes over it; whether `length` and `ids` count it is theirs to say, with one voice.
#[allow(missing_docs)]
pub async fn a_record_that_cannot_be_read_hides_no_other(fixture: &Fixture) -> Applies {
    let Some(plant) = fixture.planting() else { return Applies::No };
    let mut held = Held::new();
    let broken: Vec<Sid> = (0..10).map(|_| Sid::random()).collect();
    for (at, broken) in broken.iter().enumerate() {
        plant(broken.clone(), "{\"hunter2\":".into(), fixture.now() + HOUR).await;
        let (sid, record) = (Sid::random(), record(fixture, &format!("\"at\":{at}")));
        put(fixture, &sid, &record).await;
        held.insert(sid, text_of(&record));
    }
    let mut records = Held::new();
    let mut visit = |sid: Sid, record: Record| _ = records.insert(sid, text_of(&record));
    fixture.store.all(&mut visit).await.unwrap();
    assert!(records == held);

    let mut sids = Vec::new();
    fixture.store.ids(&mut |sid| sids.push(sid)).await.unwrap();
    assert_eq!(fixture.store.length().await.unwrap(), sids.len() as u64);
    let (readable, others): (Vec<Sid>, Vec<Sid>) = sids.into_iter().partition(|sid| held.contains_key(sid));
    assert_eq!(readable.len(), held.len());
    assert!(others.iter().all(|sid| broken.contains(sid)));

    assert_eq!(fixture.store.prune().await.unwrap(), 0);
    for sid in &broken {
        let read = fixture.store.get(sid).await;
        assert!(matches!(read, Err(StoreError::Corrupt { .. })), "it is left as it is");
    }
    fixture.store.clear().await.unwrap();
    assert_eq!(fixture.store.length().await.unwrap(), 0);
    assert!(fixture.store.get(&broken[0]).await.unwrap().is_none());
    Applies::Yes
}
