//! What several processes, or several calls of one, do to each other's sessions.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use futures_util::{
    StreamExt,
    future::{join_all, poll_fn},
    stream,
};
use session_core::{AdminStore, Destroyed, Expect, Record, Set, Sid, Touched};

use crate::{
    Fixture,
    tasks::Beside,
    verbs::{HOUR, LIFE, LONGER, held, lasting, put, put_short, record, text_of, written},
};

/// However soon after another: a touch that moves nothing must still look whether there is something.
pub async fn a_touch_sees_what_the_other_process_did(fixture: &Fixture) {
    for is_conditional in [false, true] {
        let (one, other, sid) = (fixture.process(), fixture.process(), Sid::random());
        let hour = record(fixture, r#""a":1"#);
        let version = put(fixture, &sid, &hour).await;
        let expect = if is_conditional { Expect::Version(version) } else { Expect::Anything };
        let touch = async |store: &Arc<dyn session_core::AdminStore>| {
            store.touch(&sid, &record(fixture, "").cookie, &expect).await.unwrap()
        };
        assert_eq!((touch(&one).await, touch(&other).await), (Touched::Moved, Touched::Moved));
        if is_conditional {
            written(other.set(&sid, &record(fixture, r#""a":2"#), &expect).await.unwrap());
            assert_eq!((touch(&one).await, touch(&other).await), (Touched::Conflict, Touched::Conflict));
        }
        assert_eq!(other.destroy(&sid, &Expect::Anything).await.unwrap(), Destroyed::Destroyed);
        assert_eq!((touch(&one).await, touch(&other).await), (Touched::Unknown, Touched::Unknown));
    }
}

/// The data of one write come with the expiry of the same, whoever writes beside it.
pub async fn parallel_writes_without_a_condition_are_each_done_as_a_whole(fixture: &Fixture) {
    for round in 0..24 {
        let sid = Sid::random();
        if round % 2 == 0 {
            put(fixture, &sid, &lasting(fixture, Some(LIFE), "")).await;
        }
        let write = |at: usize| {
            let (store, sid) = (fixture.process(), sid.clone());
            let lifetime = if (at + round).is_multiple_of(2) { LIFE } else { HOUR };
            let record = lasting(fixture, Some(lifetime), &format!("\"hour\":{}", lifetime == HOUR));
            tokio::spawn(async move {
                for _ in 0..at % 6 {
                    tokio::task::yield_now().await;
                }
                written(store.set(&sid, &record, &Expect::Anything).await.unwrap())
            })
        };
        let versions: Vec<_> =
            join_all((0..8).map(write)).await.into_iter().map(|version| version.unwrap()).collect();
        let stored = fixture.store.get(&sid).await.unwrap().expect("nobody destroyed it");
        assert!(versions.contains(&stored.version), "whoever came last was told so");
        let is_hour = stored.left.is_some_and(|left| left > 2 * LIFE);
        assert_eq!(text_of(&stored.record), [("hour".into(), is_hour.to_string())], "{:?}", stored.left);
    }
}

/// The record, its version and what is left of it are of one moment: who read them apart would take the end of one write for
/// that of another.
pub async fn what_is_read_is_of_one_moment(fixture: &Fixture) {
    const WRITES: usize = 120;
    let (sid, ended) = (Sid::random(), Arc::new(AtomicBool::new(false)));
    let record = |n: usize| {
        let lifetime = if n.is_multiple_of(2) { LIFE } else { HOUR };
        lasting(fixture, Some(lifetime), &format!("\"hour\":{}", lifetime == HOUR))
    };
    let mut version = put(fixture, &sid, &record(0)).await;
    let read = |_| {
        let (store, sid, ended) = (fixture.process(), sid.clone(), Arc::clone(&ended));
        tokio::spawn(async move {
            while !ended.load(Ordering::SeqCst) {
                let stored = store.get(&sid).await.unwrap().expect("nobody destroyed it");
                let is_hour = stored.left.is_some_and(|left| left > 2 * LIFE);
                assert_eq!(text_of(&stored.record), [("hour".into(), is_hour.to_string())]);
                tokio::task::yield_now().await;
            }
        })
    };
    let reading: Vec<_> = (0..4).map(read).collect();
    let (records, store) = ((1..=WRITES).map(record).collect::<Vec<_>>(), fixture.process());
    let (written_to, end) = (sid.clone(), Arc::clone(&ended));
    let writing = tokio::spawn(async move {
        for record in records {
            version = written(store.set(&written_to, &record, &Expect::Version(version)).await.unwrap());
            tokio::task::yield_now().await;
        }
        end.store(true, Ordering::SeqCst);
    });
    let wrote = writing.await;
    ended.store(true, Ordering::SeqCst);
    join_all(reading).await.into_iter().for_each(Result::unwrap);
    wrote.unwrap();
}

/// Whoever finds that something has expired may remove it, but not what has come in its place.
pub async fn a_session_over_an_expired_one_outlives_whatever_is_done_beside(fixture: &Fixture) {
    const SIDS: usize = 24;
    // Where the time is the real one, a round takes seconds.
    let rounds = if fixture.clock.is_some() { 6 } else { 1 };
    let what = [
        "touch",
        "touch a version",
        "touch nothing",
        "set a version",
        "destroy a version",
        "destroy nothing",
        "lists",
    ];
    for _ in 0..rounds {
        let mut all = Vec::new();
        for what in what {
            for _ in 0..SIDS / 4 {
                let sid = Sid::random();
                let (version, _) = put_short(fixture, &sid, r#""old":true"#, &Expect::Nothing).await;
                all.push((what, sid, Expect::Version(version)));
            }
        }
        fixture.pass(LONGER).await;
        let beside = all.iter().map(|(what, sid, old)| {
            let (store, what, sid, old) = (fixture.process(), *what, sid.clone(), old.clone());
            let next = record(fixture, r#""beside":true"#);
            tokio::spawn(async move {
                match what {
                    "touch" => _ = store.touch(&sid, &next.cookie, &Expect::Anything).await.unwrap(),
                    "touch a version" => _ = store.touch(&sid, &next.cookie, &old).await.unwrap(),
                    "touch nothing" => _ = store.touch(&sid, &next.cookie, &Expect::Nothing).await.unwrap(),
                    "set a version" => {
                        assert_eq!(store.set(&sid, &next, &old).await.unwrap(), Set::Conflict);
                    }
                    "destroy a version" => _ = store.destroy(&sid, &old).await.unwrap(),
                    "destroy nothing" => _ = store.destroy(&sid, &Expect::Nothing).await.unwrap(),
                    _ => _ = store.length().await.unwrap(),
                }
            })
        });
        let beside: Vec<_> = beside.collect();
        let write = all.iter().map(|(what, sid, _)| {
            let (store, sid, what) = (fixture.process(), sid.clone(), *what);
            let record = record(fixture, r#""new":true"#);
            tokio::spawn(async move {
                let set = store.set(&sid, &record, &Expect::Nothing).await.unwrap();
                assert!(matches!(set, Set::Written(_)), "beside {what}: {set:?}");
            })
        });
        let write: Vec<_> = write.collect();
        join_all(write).await.into_iter().for_each(Result::unwrap);
        join_all(beside).await.into_iter().for_each(Result::unwrap);
        for (what, sid, _) in &all {
            let text = held(fixture, sid).await.unwrap_or_else(|| panic!("beside {what} it is gone"));
            assert_eq!(text, [("new".into(), "true".into())], "{what}");
        }
    }
}

/// Each session that stays is shown, with its own record, whoever touches, writes or leaves meanwhile.
pub async fn a_list_beside_touches_shows_all_with_their_own_records(fixture: &Fixture) {
    const MANY: u64 = 600;
    const LISTS: usize = 12;
    let mut all = BTreeMap::new();
    for at in 0..MANY {
        let sid = Sid::random();
        let record = lasting(fixture, Some(HOUR + Duration::from_secs(at)), &format!("\"at\":{at}"));
        put(fixture, &sid, &record).await;
        all.insert(sid, text_of(&record));
    }
    let (store, sids) = (fixture.process(), all.keys().cloned().collect::<Vec<_>>());
    let (sooner, later) = (record(fixture, "").cookie, lasting(fixture, Some(2 * HOUR), "").cookie);
    let (ended, beside) = (Arc::new(AtomicBool::new(false)), Arc::<Beside>::default());
    let (end, touches) = (Arc::clone(&ended), Arc::clone(&beside));
    let touching = tokio::spawn(async move {
        // Every end moves with every round.
        for (at, sid) in (0..).flat_map(|round: usize| (round..).zip(&sids)) {
            if end.load(Ordering::SeqCst) {
                return;
            }
            let cookie = if at % 2 == 0 { &sooner } else { &later };
            let touched = touches.call(store.touch(sid, cookie, &Expect::Anything)).await.unwrap();
            assert_eq!(touched, Touched::Moved);
            tokio::task::yield_now().await;
        }
    });
    // Each with touches beside it: one that never waits would be over before anybody can.
    let touched_beside = |shown: usize| {
        if shown % 100 == 1 {
            beside.wait_for_one(beside.done());
        }
    };
    for _ in 0..LISTS {
        let (mut sids, mut records) = (BTreeSet::new(), BTreeMap::new());
        let mut show = |sid| {
            sids.insert(sid);
            touched_beside(sids.len());
        };
        fixture.store.ids(&mut show).await.unwrap();
        let mut show = |sid, record: Record| {
            records.insert(sid, text_of(&record));
            touched_beside(records.len());
        };
        fixture.store.all(&mut show).await.unwrap();
        assert!(sids.iter().eq(all.keys()), "who stays is not shown");
        assert!(records == all, "not shown, or shown with another one's record");
        tokio::task::yield_now().await;
    }
    ended.store(true, Ordering::SeqCst);
    touching.await.unwrap();
    assert!(beside.met() >= 2 * LISTS, "a list had nobody beside it");
}

/// What was asked for and given up leaves nothing taken: an admin page that is closed while it loads.
pub async fn a_list_that_is_dropped_half_way_leaves_the_store_as_it_was(fixture: &Fixture) {
    for at in 0..20 {
        put(fixture, &Sid::random(), &record(fixture, &format!("\"at\":{at}"))).await;
    }
    for polls in 1..=4 {
        for _ in 0..4 {
            dropped(fixture.store.length(), polls).await;
            dropped(fixture.store.ids(&mut |_| ()), polls).await;
            dropped(fixture.store.all(&mut |_, _| ()), polls).await;
            dropped(fixture.store.prune(), polls).await;
        }
    }
    let again = async {
        for _ in 0..4 {
            assert_eq!(fixture.store.length().await.unwrap(), 20);
            let reads = (0..32).map(|_| async { fixture.store.get(&Sid::random()).await.unwrap().is_none() });
            assert!(join_all(reads).await.into_iter().all(|is_none| is_none));
        }
    };
    tokio::time::timeout(Duration::from_secs(60), again).await.expect("the store still answers");
    dropped(fixture.store.clear(), 1).await;
    fixture.store.clear().await.unwrap();
    assert_eq!(fixture.store.length().await.unwrap(), 0);
}

/// Each record that was removed is counted by one who removed it.
pub async fn what_parallel_prunes_answer_is_what_there_was(fixture: &Fixture) {
    const EXPIRED: u64 = 40;
    for at in 0..EXPIRED {
        put_short(fixture, &Sid::random(), &format!("\"at\":{at}"), &Expect::Anything).await;
    }
    fixture.pass(LONGER).await;
    let prunes = (0..6).map(|_| {
        let store = fixture.process();
        tokio::spawn(async move { store.prune().await.unwrap() })
    });
    let pruned: u64 =
        join_all(prunes.collect::<Vec<_>>()).await.into_iter().map(|pruned| pruned.unwrap()).sum();
    assert_eq!(pruned, if fixture.expires_by_itself { 0 } else { EXPIRED });
}

/// So many under way at a time.
const AT_ONCE: usize = 32;
/// Whoever leaves out one in a thousand leaves out one of these.
const CALLS: usize = 1_100;

/// What each comes to of so many at once, through all processes by turns.
async fn each<F: Future>(call: impl Fn(usize) -> F) -> Vec<F::Output> {
    stream::iter(0..CALLS).map(call).buffered(AT_ONCE).collect().await
}

/// As many new sids, each with a record that lives for so long.
async fn sids_with(fixture: &Fixture, lifetime: Duration) -> Vec<Sid> {
    each(async |at| {
        let (sid, record) = (Sid::random(), lasting(fixture, Some(lifetime), &format!("\"at\":{at}")));
        written(fixture.process().set(&sid, &record, &Expect::Anything).await.unwrap());
        sid
    })
    .await
}

/// Without a condition nobody hears of one that is left out, as the next write of a version does.
pub async fn every_set_that_is_answered_is_done(fixture: &Fixture) {
    let sids = sids_with(fixture, HOUR).await;
    each(async |at| {
        let (store, next) = (fixture.process(), record(fixture, &format!("\"next\":{at}")));
        let version = written(store.set(&sids[at], &next, &Expect::Anything).await.unwrap());
        let stored = store.get(&sids[at]).await.unwrap().expect("it is held");
        assert!(stored.version == version && text_of(&stored.record) == text_of(&next), "a set is not done");
    })
    .await;
}

/// As [`every_set_that_is_answered_is_done`], and of what is known, which stores often do in another way.
pub async fn every_touch_that_is_answered_is_done(fixture: &Fixture) {
    for of_a_version in [false, true] {
        let sids = sids_with(fixture, LIFE).await;
        each(async |at| {
            let (store, next) = (fixture.process(), record(fixture, ""));
            let expect = as_known(&*store, &sids[at], of_a_version).await;
            assert_eq!(store.touch(&sids[at], &next.cookie, &expect).await.unwrap(), Touched::Moved);
            let left = store.get(&sids[at]).await.unwrap().expect("it is held").left;
            assert!(left.is_some_and(|left| left > 2 * LIFE), "a touch is not done");
        })
        .await;
    }
}

/// As [`every_touch_that_is_answered_is_done`].
pub async fn every_destruction_that_is_answered_is_done(fixture: &Fixture) {
    for of_a_version in [false, true] {
        let sids = sids_with(fixture, HOUR).await;
        each(async |at| {
            let store = fixture.process();
            let expect = as_known(&*store, &sids[at], of_a_version).await;
            assert_eq!(store.destroy(&sids[at], &expect).await.unwrap(), Destroyed::Destroyed);
            assert!(store.get(&sids[at]).await.unwrap().is_none(), "a destruction is not done");
        })
        .await;
    }
}

async fn as_known(store: &dyn AdminStore, sid: &Sid, of_a_version: bool) -> Expect {
    if !of_a_version {
        return Expect::Anything;
    }
    Expect::Version(store.get(sid).await.unwrap().expect("it is held").version)
}

async fn dropped<T>(call: impl Future<Output = T>, polls: usize) {
    let mut call = pin!(call);
    let mut polled = 0;
    poll_fn(|context| {
        polled += 1;
        match call.as_mut().poll(context) {
            Poll::Pending if polled < polls => Poll::Pending,
            _ => Poll::Ready(()),
        }
    })
    .await;
}
