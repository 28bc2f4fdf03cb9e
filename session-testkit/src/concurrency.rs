//! What parallel requests may count on: nothing lost, nobody brought back. Each request runs on a driver of its own, as if
//! in a process of its own, so that only the store's conditional writes can keep them apart; on the store of a process of
//! its own as well where there is one ([`Fixture::beside`]).

use std::{
    collections::BTreeSet,
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use futures_util::future::join_all;
use session_core::{
    CookieOptions, Destroyed, Error, Exchange, Expect, IdRenewal, Lifetimes, Options, Record, RequestInfo,
    Secret, SessionHandle, Sessions, Set, Sid, Stored, Touched,
};
use tokio::sync::Barrier;

use crate::{
    Fixture,
    lifetimes::is_left,
    verbs::{HOUR, LIFE, LONGER, SHORT, held, in_time, lasting, put, put_short, record, text_of, written},
};

const PARALLEL: usize = 32;

/// More than comes in one piece, in bytes.
const LARGE: usize = 100_000;

/// An application of either profile, in as many processes as it has requests.
struct Server<'a> {
    fixture: &'a Fixture,
    options: Options,
    max_age: Option<Duration>,
}

/// What is promised of sessions is promised of both profiles.
fn servers(fixture: &Fixture) -> [Server<'_>; 2] {
    let express = Options::express("keyboard cat").resave(false).save_uninitialized(false);
    [express, Options::new("keyboard cat")].map(|options| Server { fixture, options, max_age: Some(HOUR) })
}

impl Server<'_> {
    fn sessions(&self) -> Sessions {
        let lifetime = CookieOptions::new().max_age(self.max_age);
        let options = self.options.clone().name("sid").cookie(lifetime).store(self.fixture.process());
        options.clock(self.fixture.session_clock()).build().unwrap()
    }

    /// A request with this sid in its cookie, up to where the handler has its session; the exchange must be ended.
    async fn request(&self, sid: Option<&Sid>) -> Request {
        let cookie = sid.map(|sid| format!("sid=s:{}", Secret::new("keyboard cat").sign(sid.as_str())));
        let each = |visit: &mut dyn FnMut(&str, &[u8])| {
            cookie.iter().for_each(|cookie| visit("cookie", cookie.as_bytes()));
        };
        let exchange = self.sessions().exchange();
        let asked = exchange.session(&RequestInfo::new("/", false, &each));
        Request { session: asked.await.unwrap().unwrap(), exchange }
    }

    async fn requests(&self, count: usize, sid: &Sid) -> Vec<Request> {
        join_all((0..count).map(|_| self.request(Some(sid)))).await
    }

    async fn logged_in(&self) -> Sid {
        let first = self.request(None).await;
        first.session.insert("user", "tj").unwrap();
        let sid = first.session.id().unwrap();
        first.end().await;
        sid
    }
}

struct Request {
    session: SessionHandle,
    exchange: Exchange,
}

impl Request {
    async fn end(self) -> Vec<String> {
        self.exchange.end().await.unwrap()
    }
}

/// All of them at once, each in a task of its own. They wait for the last, and then until all have been woken: on a busy
/// machine the first might be done before there is a second.
async fn at_once<F>(parts: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let parts: Vec<F> = parts.into_iter().collect();
    let count = parts.len();
    let (start, awake) = (Arc::new(Barrier::new(count)), Arc::new(AtomicUsize::new(0)));
    let run = |part: F| {
        let (start, awake) = (Arc::clone(&start), Arc::clone(&awake));
        tokio::spawn(async move {
            start.wait().await;
            awake.fetch_add(1, Ordering::SeqCst);
            while awake.load(Ordering::SeqCst) < count {
                tokio::task::yield_now().await;
            }
            part.await
        })
    };
    let tasks: Vec<_> = parts.into_iter().map(run).collect();
    join_all(tasks).await.into_iter().map(Result::unwrap).collect()
}

#[allow(missing_docs)]
pub async fn what_one_process_writes_the_other_reads(fixture: &Fixture) {
    let (one, other, sid) = (fixture.process(), fixture.process(), Sid::random());
    assert!(other.get(&sid).await.unwrap().is_none());
    let mut expect = Expect::Nothing;
    for n in 0..4 {
        let (writes, reads) = if n % 2 == 0 { (&one, &other) } else { (&other, &one) };
        let record = lasting(fixture, Some(LIFE), &format!("\"n\":{n}"));
        written(writes.set(&sid, &record, &expect).await.unwrap());
        let read = reads.get(&sid).await.unwrap().expect("it is written");
        assert_eq!(text_of(&read.record), [("n".into(), n.to_string())]);
        expect = Expect::Version(read.version);
    }
    let short = lasting(fixture, Some(LIFE / 2), "").cookie;
    assert_eq!(one.touch(&sid, &short, &expect).await.unwrap(), Touched::Moved);
    assert!(other.get(&sid).await.unwrap().unwrap().left.unwrap() < LIFE * 3 / 4);
    assert_eq!(one.destroy(&sid, &expect).await.unwrap(), Destroyed::Destroyed);
    assert!(other.get(&sid).await.unwrap().is_none());
}

async fn one_is_written(fixture: &Fixture, sid: &Sid, expect: Expect) {
    let write = |at: usize| {
        let (store, sid, expect) = (fixture.process(), sid.clone(), expect.clone());
        let record = record(fixture, &format!("\"writer\":{at}"));
        async move { (at, store.set(&sid, &record, &expect).await.unwrap()) }
    };
    let outcomes = at_once((0..PARALLEL).map(write)).await;
    let winners: Vec<usize> = outcomes
        .into_iter()
        .filter_map(|(at, outcome)| matches!(outcome, Set::Written(_)).then_some(at))
        .collect();
    assert_eq!(winners.len(), 1, "one writer and no other is told that it wrote");
    assert_eq!(held(fixture, sid).await.unwrap(), [("writer".into(), winners[0].to_string())]);
}

#[allow(missing_docs)]
pub async fn of_parallel_writes_that_expect_nothing_one_is_written(fixture: &Fixture) {
    // Where there is nothing, and where there is only what has expired.
    let expired = expired(fixture, 8).await;
    for sid in expired.into_iter().flat_map(|expired| [Sid::random(), expired]) {
        one_is_written(fixture, &sid, Expect::Nothing).await;
    }
}

/// Under these sids is something that has expired.
async fn expired(fixture: &Fixture, count: usize) -> Vec<Sid> {
    let sids: Vec<Sid> = (0..count).map(|_| Sid::random()).collect();
    let write = async |sid| _ = put_short(fixture, sid, r#""old":true"#, &Expect::Nothing).await;
    join_all(sids.iter().map(write)).await;
    fixture.pass(LONGER).await;
    sids
}

#[allow(missing_docs)]
pub async fn of_parallel_writes_that_expect_one_version_one_is_written(fixture: &Fixture) {
    for _ in 0..8 {
        let sid = Sid::random();
        let version = put(fixture, &sid, &record(fixture, "")).await;
        one_is_written(fixture, &sid, Expect::Version(version)).await;
    }
}

#[allow(missing_docs)]
pub async fn of_parallel_destructions_one_is_told_that_it_was_the_one(fixture: &Fixture) {
    for round in 0..8 {
        let sid = Sid::random();
        let version = put(fixture, &sid, &record(fixture, "")).await;
        let expect = if round % 2 == 0 { Expect::Version(version) } else { Expect::Anything };
        let answers = at_once((0..8).map(|_| {
            let (store, sid, expect) = (fixture.process(), sid.clone(), expect.clone());
            async move { store.destroy(&sid, &expect).await.unwrap() }
        }))
        .await;
        let count = |answer| answers.iter().filter(|other| **other == answer).count();
        assert_eq!((count(Destroyed::Destroyed), count(Destroyed::Unknown)), (1, 7), "{answers:?}");
        assert!(held(fixture, &sid).await.is_none());
    }
}

#[allow(missing_docs)]
pub async fn of_writes_and_destructions_of_one_version_one_is_done(fixture: &Fixture) {
    for round in 0..96 {
        let sid = Sid::random();
        let expect = Expect::Version(put(fixture, &sid, &record(fixture, "")).await);
        let answers = at_once((0..8).map(|at| {
            let (store, sid, expect) = (fixture.process(), sid.clone(), expect.clone());
            let record = record(fixture, &format!("\"writer\":{at}"));
            async move {
                if (at + round) % 2 == 0 {
                    Ok((at, store.set(&sid, &record, &expect).await.unwrap()))
                } else {
                    Err(store.destroy(&sid, &expect).await.unwrap())
                }
            }
        }))
        .await;
        let is_done = |answer: &&_| matches!(answer, Ok((_, Set::Written(_))) | Err(Destroyed::Destroyed));
        let done: Vec<_> = answers.iter().filter(is_done).collect();
        assert_eq!(done.len(), 1, "each of them would undo the other: {answers:?}");
        let left = held(fixture, &sid).await;
        match done[0] {
            Ok((at, _)) => assert_eq!(left.unwrap(), [("writer".into(), at.to_string())]),
            Err(_) => assert!(left.is_none()),
        }
    }
}

/// One writer of each session, and beside it others that touch the session all the time, until it is destroyed.
#[allow(missing_docs)]
pub async fn no_write_is_lost_to_a_touch(fixture: &Fixture) {
    const WRITES: usize = 25;
    let session = |_| async {
        let (sid, ended) = (Sid::random(), Arc::new(AtomicBool::new(false)));
        let record = |n| lasting(fixture, Some(LIFE), &format!("\"n\":{n}"));
        put(fixture, &sid, &record(0)).await;
        let touch = |_| {
            let (store, sid, ended) = (fixture.process(), sid.clone(), Arc::clone(&ended));
            let cookie = record(0).cookie;
            tokio::spawn(async move {
                while !ended.load(Ordering::SeqCst) {
                    store.touch(&sid, &cookie, &Expect::Anything).await.unwrap();
                    tokio::task::yield_now().await;
                }
            })
        };
        let touching: Vec<_> = (0..2).map(touch).collect();
        let writes = (1..=WRITES).map(record).collect::<Vec<_>>();
        let (store, written_to, end) = (fixture.process(), sid.clone(), Arc::clone(&ended));
        let writing = tokio::spawn(async move {
            for record in writes {
                let read = store.get(&written_to).await.unwrap().expect("nobody destroyed it");
                let n: usize = read.record.data.get("n").unwrap().parse().unwrap();
                // Every third without a condition, which a touch must not undo either.
                let expect = if n % 3 == 2 { Expect::Anything } else { Expect::Version(read.version) };
                written(store.set(&written_to, &record, &expect).await.unwrap());
                let read = store.get(&written_to).await.unwrap().expect("nobody destroyed it");
                assert!(text_of(&read.record) == text_of(&record), "it was written, and nobody else writes");
            }
            let last = Expect::Version(store.get(&written_to).await.unwrap().unwrap().version);
            assert_eq!(store.destroy(&written_to, &last).await.unwrap(), Destroyed::Destroyed);
        });
        let wrote = writing.await;
        end.store(true, Ordering::SeqCst);
        wrote.unwrap();
        join_all(touching).await.into_iter().for_each(Result::unwrap);
        assert!(held(fixture, &sid).await.is_none(), "a touch does not bring it back");
    };
    join_all((0..8).map(session)).await;
}

/// Touches, and beside them two that write or destroy, all of what was read before: a touch is done first or not at all.
#[allow(missing_docs)]
pub async fn no_touch_of_a_version_comes_after_a_write(fixture: &Fixture) {
    for round in 0..36 {
        let sid = Sid::random();
        let version = Expect::Version(put(fixture, &sid, &lasting(fixture, Some(LIFE), "")).await);
        let destroys = round % 3 == 0;
        let expect = if round % 3 == 1 { &Expect::Anything } else { &version };
        let answers = at_once((0..8).map(|at| {
            let (store, sid, version) = (fixture.process(), sid.clone(), version.clone());
            let (expect, record) = (expect.clone(), record(fixture, &format!("\"writer\":{at}")));
            let sooner = lasting(fixture, Some(LIFE / 2), "").cookie;
            async move {
                if (at + round) % 4 != 0 {
                    Err(store.touch(&sid, &sooner, &version).await.unwrap())
                } else if destroys {
                    let destroyed = store.destroy(&sid, &expect).await.unwrap();
                    Ok((at, destroyed == Destroyed::Destroyed))
                } else {
                    let set = store.set(&sid, &record, &expect).await.unwrap();
                    Ok((at, matches!(set, Set::Written(_))))
                }
            }
        }))
        .await;
        let done = |answer: &Result<(usize, bool), Touched>| answer.ok().filter(|(_, done)| *done);
        let done: Vec<usize> = answers.iter().filter_map(done).map(|(at, _)| at).collect();
        let all = *expect == Expect::Anything;
        assert_eq!(done.len(), if all { 2 } else { 1 }, "no touch makes a version an old one: {answers:?}");
        let missed = if destroys { Touched::Unknown } else { Touched::Conflict };
        let is_right = |touched: Touched| touched == Touched::Moved || touched == missed;
        let are_right = answers.iter().filter_map(|answer| answer.err()).all(is_right);
        assert!(are_right, "a touch moves what it expects, or answers what became of that: {answers:?}");
        let stored = fixture.store.get(&sid).await.unwrap();
        assert_eq!(stored.is_none(), destroys, "a touch brings nothing back, and removes nothing");
        if let Some(stored) = stored {
            let is_of = |at: &usize| text_of(&stored.record) == [("writer".into(), at.to_string())];
            assert!(done.iter().any(is_of), "a touch undid the write");
            let lives_long = stored.left.is_some_and(|left| left > 2 * LIFE);
            assert!(lives_long, "a touch of what was there before moved what was written");
        }
    }
}

/// What somebody does to what was there before, beside one who writes or destroys whatever is there.
#[derive(Clone, Copy, Debug)]
enum Late {
    Set,
    Create,
    Touch,
    TouchAnything,
    Destroy,
}

/// Whichever comes first: in the end it is as the one wants it who asked for no condition.
#[allow(missing_docs)]
pub async fn what_is_done_unconditionally_is_not_undone(fixture: &Fixture) {
    const ROUNDS: usize = 24;
    for round in 0..ROUNDS {
        for (late, destroys) in [
            (Late::Set, false),
            (Late::Set, true),
            (Late::Create, false),
            (Late::Touch, false),
            (Late::Touch, true),
            (Late::TouchAnything, true),
            (Late::Destroy, false),
        ] {
            let sid = Sid::random();
            let version = put(fixture, &sid, &lasting(fixture, Some(LIFE), r#""before":true"#)).await;
            if let Late::Create = late {
                fixture.store.destroy(&sid, &Expect::Anything).await.unwrap();
            }
            let play = |at: usize| {
                let (store, sid, version) = (fixture.process(), sid.clone(), version.clone());
                let anyway = record(fixture, r#""anyway":true"#);
                let conditional = lasting(fixture, Some(LIFE / 2), r#""late":true"#);
                async move {
                    // Each time at another moment of the others' calls.
                    for _ in 0..(at + round) % 6 {
                        tokio::task::yield_now().await;
                    }
                    let expect = Expect::Version(version);
                    match late {
                        _ if at == 0 && destroys => {
                            let destroyed = store.destroy(&sid, &Expect::Anything).await.unwrap();
                            assert_eq!(destroyed, Destroyed::Destroyed, "something was held all the time");
                        }
                        _ if at == 0 => {
                            _ = written(store.set(&sid, &anyway, &Expect::Anything).await.unwrap());
                        }
                        Late::Set => _ = store.set(&sid, &conditional, &expect).await.unwrap(),
                        Late::Create => {
                            _ = store.set(&sid, &conditional, &Expect::Nothing).await.unwrap();
                        }
                        Late::Touch => _ = store.touch(&sid, &conditional.cookie, &expect).await.unwrap(),
                        Late::TouchAnything => {
                            _ = store.touch(&sid, &conditional.cookie, &Expect::Anything).await.unwrap();
                        }
                        Late::Destroy => _ = store.destroy(&sid, &expect).await.unwrap(),
                    }
                }
            };
            at_once((0..6).map(play)).await;
            let stored = fixture.store.get(&sid).await.unwrap();
            assert_eq!(stored.is_none(), destroys, "{late:?} undid what was done without a condition");
            if let Some(stored) = stored {
                assert_eq!(text_of(&stored.record), [("anyway".into(), "true".into())], "{late:?}");
                assert!(stored.left.is_some_and(|left| left > 2 * LIFE), "{late:?} moved what was written");
            }
        }
    }
}

/// Several count, and each goes on with the version that its last write was answered, without reading again.
#[allow(missing_docs)]
pub async fn who_goes_on_with_the_version_that_was_answered_loses_nothing(fixture: &Fixture) {
    const WRITES: usize = 24;
    let sid = Sid::random();
    let record = |n: usize| record(fixture, &format!("\"n\":{n}"));
    put(fixture, &sid, &record(0)).await;
    let records: Arc<Vec<Record>> = Arc::new((0..=4 * WRITES).map(record).collect());
    let count = |_| {
        let (store, sid, records) = (fixture.process(), sid.clone(), Arc::clone(&records));
        async move {
            let mut known = None;
            for _ in 0..WRITES {
                loop {
                    let (n, version) = match known.take() {
                        Some(known) => known,
                        None => {
                            let read = store.get(&sid).await.unwrap().expect("nobody destroyed it");
                            (read.record.data.get("n").unwrap().parse::<usize>().unwrap(), read.version)
                        }
                    };
                    let record = records.get(n + 1).expect("no more was counted than that");
                    if let Set::Written(version) =
                        store.set(&sid, record, &Expect::Version(version)).await.unwrap()
                    {
                        known = Some((n + 1, version));
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            }
        }
    };
    at_once((0..4).map(count)).await;
    assert_eq!(held(fixture, &sid).await.unwrap(), [("n".into(), (4 * WRITES).to_string())]);
}

/// One writes all the time, on the condition of what it wrote last; two read, and two touch.
#[allow(missing_docs)]
pub async fn who_reads_beside_a_writer_finds_the_session(fixture: &Fixture) {
    const WRITES: usize = 80;
    let (sid, ended) = (Sid::random(), Arc::new(AtomicBool::new(false)));
    let record = |n| lasting(fixture, Some(LIFE), &format!("\"n\":{n}"));
    let mut version = put(fixture, &sid, &record(0)).await;
    let cookie = record(0).cookie;
    let start = Arc::new(Barrier::new(5));
    let read = |at: usize| {
        let (store, sid, ended) = (fixture.process(), sid.clone(), Arc::clone(&ended));
        let (start, cookie) = (Arc::clone(&start), cookie.clone());
        tokio::spawn(async move {
            start.wait().await;
            while !ended.load(Ordering::SeqCst) {
                if at < 2 {
                    assert!(
                        store.get(&sid).await.unwrap().is_some(),
                        "who reads beside a writer finds nothing"
                    );
                } else {
                    let touched = store.touch(&sid, &cookie, &Expect::Anything).await.unwrap();
                    assert_eq!(touched, Touched::Moved, "who touches beside a writer finds nothing");
                }
                tokio::task::yield_now().await;
            }
        })
    };
    let reading: Vec<_> = (0..4).map(read).collect();
    let (writes, store) = ((1..=WRITES).map(record).collect::<Vec<_>>(), fixture.process());
    let writing = tokio::spawn(async move {
        start.wait().await;
        for record in writes {
            version = written(store.set(&sid, &record, &Expect::Version(version)).await.unwrap());
        }
    });
    let wrote = writing.await;
    ended.store(true, Ordering::SeqCst);
    join_all(reading).await.into_iter().for_each(Result::unwrap);
    wrote.unwrap();
}

/// What it came to, if that came within so many polls and so much time; else it is dropped where it is.
async fn dropped<T>(call: impl Future<Output = T>, polls: usize, time: Duration) -> Option<T> {
    let mut call = pin!(call);
    let mut polled = 0;
    let some_polls = poll_fn(|context| {
        polled += 1;
        match call.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending if polled >= polls => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    });
    tokio::time::timeout(time, some_polls).await.ok().flatten()
}

/// Reads the session, and then writes it on the condition of what was read, until that is what is held: a call that was
/// dropped may still be under way to the database.
async fn settle(fixture: &Fixture, sid: &Sid, is_whole: impl Fn(Option<&Stored>) -> bool) {
    let settled = record(fixture, r#""settled":true"#);
    for _ in 0..100 {
        let stored = fixture.process().get(sid).await.unwrap();
        assert!(is_whole(stored.as_ref()), "it was done in part");
        let expect = stored.map_or(Expect::Nothing, |stored| Expect::Version(stored.version));
        if let Set::Written(_) = fixture.store.set(sid, &settled, &expect).await.unwrap() {
            assert_eq!(held(fixture, sid).await.unwrap(), [("settled".into(), "true".into())]);
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the session cannot be written any more");
}

#[allow(missing_docs)]
pub async fn a_call_that_is_dropped_half_way_is_done_wholly_or_not_at_all(fixture: &Fixture) {
    const LONG: Duration = Duration::from_secs(10);
    let by_polls = (1..=8).map(|polls| (polls, LONG));
    let by_time = (0..=3).map(|millis| (usize::MAX, Duration::from_millis(millis)));
    let cases: Vec<(usize, Duration)> = by_polls.chain(by_time).collect();
    let expired = expired(fixture, cases.len()).await;
    let all = async {
        for ((polls, time), expired) in cases.into_iter().zip(expired) {
            dropped_calls(fixture, polls, time, expired).await;
        }
        // As many as before can use the store at once.
        let (store, large) = (&fixture.store, format!("\"large\":\"{}\"", "x".repeat(LARGE)));
        for (data, readers) in [("", PARALLEL), (&large, PARALLEL / 4)] {
            let sid = Sid::random();
            put(fixture, &sid, &record(fixture, data)).await;
            for read in join_all((0..readers).map(|_| store.get(&sid))).await {
                assert!(read.unwrap().is_some());
            }
        }
    };
    tokio::time::timeout(6 * LONG, all).await.expect("the store still answers");
}

async fn dropped_calls(fixture: &Fixture, polls: usize, time: Duration, expired: Sid) {
    let (old, new) = (lasting(fixture, Some(LIFE), r#""a":1"#), record(fixture, r#""a":2"#));
    // The data of one write come with the expiry of the same.
    let lives_long = |stored: &Stored| stored.left.is_some_and(|left| left > 2 * LIFE);
    let is_old = |stored: &Stored| text_of(&stored.record) == text_of(&old) && !lives_long(stored);
    let is_new = |stored: &Stored| text_of(&stored.record) == text_of(&new) && lives_long(stored);
    let store = &fixture.store;
    let [read, written, created, touched, kept, destroyed, overwritten, forgotten, large] =
        [(); 9].map(|()| Sid::random());
    put(fixture, &large, &record(fixture, &format!("\"large\":\"{}\"", "x".repeat(LARGE)))).await;
    let mut versions = Vec::new();
    for sid in [&read, &written, &touched, &kept, &destroyed, &overwritten, &forgotten] {
        versions.push(Expect::Version(put(fixture, sid, &old).await));
    }

    dropped(store.get(&read), polls, time).await;
    for later in 0..3 {
        dropped(store.get(&large), polls.saturating_add(later), time).await;
    }
    dropped(store.set(&written, &new, &versions[1]), polls, time).await;
    dropped(store.set(&created, &new, &Expect::Nothing), polls, time).await;
    dropped(store.touch(&touched, &new.cookie, &Expect::Anything), polls, time).await;
    dropped(store.touch(&kept, &new.cookie, &versions[3]), polls, time).await;
    dropped(store.destroy(&destroyed, &versions[4]), polls, time).await;
    dropped(store.set(&expired, &new, &Expect::Nothing), polls, time).await;
    dropped(store.set(&overwritten, &new, &Expect::Anything), polls, time).await;
    dropped(store.destroy(&forgotten, &Expect::Anything), polls, time).await;

    settle(fixture, &read, |stored| stored.is_some_and(is_old)).await;
    settle(fixture, &written, |stored| stored.is_some_and(|stored| is_old(stored) || is_new(stored))).await;
    settle(fixture, &created, |stored| stored.is_none_or(is_new)).await;
    settle(fixture, &expired, |stored| stored.is_none_or(is_new)).await;
    // Without a condition it may come at any later time, and so nothing else is written there meanwhile.
    for _ in 0..4 {
        let store = fixture.process();
        let stored = store.get(&overwritten).await.unwrap();
        assert!(stored.is_some_and(|stored| is_old(&stored) || is_new(&stored)), "it was done in part");
        assert!(store.get(&forgotten).await.unwrap().is_none_or(|stored| is_old(&stored)), "in part");
        tokio::task::yield_now().await;
    }
    settle(fixture, &destroyed, |stored| stored.is_none_or(is_old)).await;
    for (sid, version) in [(&touched, &versions[2]), (&kept, &versions[3])] {
        let stored = fixture.process().get(sid).await.unwrap().expect("a touch destroys nothing");
        assert_eq!(text_of(&stored.record), text_of(&old));
        assert!(matches!(store.set(sid, &new, version).await.unwrap(), Set::Written(_)));
    }
}

#[allow(missing_docs)]
pub async fn parallel_increments_are_all_kept(fixture: &Fixture) {
    for server in servers(fixture) {
        let sid = server.logged_in().await;
        let add = |request: Request| async move {
            let sum = request.session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1).await.unwrap();
            request.end().await;
            sum
        };
        let mut sums = at_once(server.requests(PARALLEL, &sid).await.into_iter().map(add)).await;
        sums.sort_unstable();
        assert!(sums.into_iter().eq(1..=PARALLEL as u64), "each was told its own sum");
        let last = server.request(Some(&sid)).await;
        assert_eq!(last.session.get::<usize>("n").unwrap(), Some(PARALLEL));
        assert_eq!(last.session.get::<String>("user").unwrap().as_deref(), Some("tj"));
    }
}

#[allow(missing_docs)]
pub async fn parallel_requests_keep_each_others_keys(fixture: &Fixture) {
    for server in servers(fixture) {
        let sid = server.logged_in().await;
        let requests = server.requests(PARALLEL, &sid).await.into_iter().enumerate();
        at_once(requests.map(|(at, request)| async move {
            request.session.insert(&format!("key{at}"), at).unwrap();
            request.end().await;
        }))
        .await;
        let last = server.request(Some(&sid)).await;
        for at in 0..PARALLEL {
            assert_eq!(last.session.get::<usize>(&format!("key{at}")).unwrap(), Some(at));
        }
    }
}

#[allow(missing_docs)]
pub async fn a_logout_stays_a_logout(fixture: &Fixture) {
    for server in servers(fixture) {
        let sid = server.logged_in().await;
        let reads = server.request(Some(&sid)).await;
        let writes = server.request(Some(&sid)).await;
        let saves = server.request(Some(&sid)).await;
        let renews = server.request(Some(&sid)).await;
        let logout = server.request(Some(&sid)).await;
        logout.session.destroy().await.unwrap();
        logout.end().await;

        writes.session.insert("cart", 1).unwrap();
        saves.session.insert("cart", 1).unwrap();
        assert!(matches!(saves.session.save().await, Err(Error::Gone)));
        let updated = saves.session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1).await;
        assert!(matches!(updated, Err(Error::Gone)));
        assert!(matches!(renews.session.renew_id().await, Err(Error::Gone)));
        for request in [reads, writes, saves, renews] {
            assert!(request.end().await.is_empty(), "no cookie for a session that is gone");
        }
        assert!(held(fixture, &sid).await.is_none());
        assert_eq!(fixture.store.length().await.unwrap(), 0);
    }
}

/// After the last request that used it, and at all: whatever the store's own time to live is, and whoever keeps it alive.
pub async fn sessions_end_at_both_limits(fixture: &Fixture) {
    let (idle, absolute, rest) = (HOUR / 2, HOUR * 2, HOUR / 4);
    for server in servers(fixture) {
        for max_age in [Some(HOUR), None] {
            let options = server.options.clone().lifetimes(Lifetimes::new(idle, absolute));
            let server = Server { options, max_age, ..server };
            let begun = fixture.now();
            let sid = server.logged_in().await;
            is_left(fixture, begun, &sid, Some(idle)).await;
            let renews = server.request(Some(&sid)).await;
            let first = renews.session.begun().unwrap();
            renews.session.renew_id().await.unwrap();
            let sid = renews.session.id().unwrap();
            renews.end().await;

            // A part of the lifetime is left to it.
            let record = fixture.store.get(&sid).await.unwrap().unwrap().record;
            put(fixture, &sid, &begun_before(&record, absolute - rest)).await;
            let writes = server.request(Some(&sid)).await;
            let second = writes.session.begun().unwrap();
            assert_eq!(second, first.map(|first| first - (absolute - rest)));
            writes.session.insert("a", 1).unwrap();
            let begun = fixture.now();
            writes.end().await;
            let passed = begun.duration_since(first.unwrap()).unwrap_or_default();
            is_left(fixture, begun, &sid, Some(rest.saturating_sub(passed))).await;

            // And nothing, though Express has kept it alive.
            let mut record = begun_before(&record, absolute);
            record.cookie.set_max_age(Some(HOUR), fixture.now());
            put(fixture, &sid, &record).await;
            let next = server.request(Some(&sid)).await;
            assert!(next.session.is_new() && next.session.is_empty(), "it has lived as long as it may");
            next.end().await;
            fixture.store.destroy(&sid, &Expect::Anything).await.unwrap();
        }
    }
}

/// Of parallel requests of several processes one renews the id, and all go on in the session: under the old id as long as the new one has not
/// arrived, and for a grace after. A logout ends it under both.
pub async fn renewed_ids_reach_one_session(fixture: &Fixture) {
    for server in servers(fixture) {
        let options = server.options.clone().renew_ids(IdRenewal::every(HOUR / 4));
        let server = Server { options, ..server };
        let first = server.logged_in().await;
        let is_old = before(&held_record(fixture, &first).await, "issued", HOUR / 4);
        put(fixture, &first, &is_old).await;
        let add = |request: Request| async move {
            request.session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1).await.unwrap();
            let sid = request.session.id().unwrap();
            assert_eq!(request.end().await.len(), 1, "it is sent the new id");
            sid
        };
        let mut sids = at_once(server.requests(PARALLEL, &first).await.into_iter().map(add)).await;
        sids.dedup();
        let [second] = &sids[..] else { panic!("{} sessions have become of one", sids.len()) };
        assert!(*second != first);
        for sid in [&first, second, second, &first] {
            let request = server.request(Some(sid)).await;
            assert_eq!(request.session.get::<usize>("n").unwrap(), Some(PARALLEL));
            assert_eq!(request.session.id().unwrap(), *second);
            request.end().await;
        }

        // The grace is over.
        let is_over = before(&held_record(fixture, second).await, "until", HOUR);
        put(fixture, second, &is_over).await;
        for (sid, is_there) in [(&first, false), (second, true), (&first, false), (second, true)] {
            let request = server.request(Some(sid)).await;
            assert_eq!(request.session.contains("user"), is_there);
            request.end().await;
        }
        assert!(held(fixture, &first).await.is_none());

        let is_old = before(&held_record(fixture, second).await, "issued", HOUR / 4);
        let under_way = server.request(Some(second)).await;
        put(fixture, second, &is_old).await;
        let renews = server.request(Some(second)).await;
        let third = renews.session.id().unwrap();
        renews.end().await;
        assert!(third != *second);
        // It knows of the old one only.
        under_way.session.destroy().await.unwrap();
        under_way.end().await;
        for sid in [second, &third] {
            assert!(held(fixture, sid).await.is_none(), "a logout ends both");
        }
        fixture.store.clear().await.unwrap();
    }
}

async fn held_record(fixture: &Fixture, sid: &Sid) -> Record {
    fixture.store.get(sid).await.unwrap().expect("it is held").record
}

/// The record of a session that has begun so much earlier.
fn begun_before(record: &Record, time: Duration) -> Record {
    before(record, "begun", time)
}

/// With one of its times so much earlier.
fn before(record: &Record, name: &str, time: Duration) -> Record {
    let text = record.to_json();
    let name = format!("\"{name}\":");
    let (before, at) = text.split_once(&name).expect("it has such a time");
    let digits = at.len() - at.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (begun, after) = at.split_at(digits);
    let begun = begun.parse::<u128>().unwrap() - time.as_millis();
    Record::parse(format!("{before}{name}{begun}{after}")).unwrap()
}

/// What one of the parallel requests does with its session.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Write,
    Update,
    Renew,
    Logout,
}

impl Part {
    /// Answers under which id its session is then; none when the session is gone.
    async fn play(self, request: Request) -> (Self, Option<Sid>) {
        let session = request.session.clone();
        let played = match self {
            Self::Write => session.insert("cart", 1),
            Self::Update => session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1).await.map(drop),
            Self::Renew => session.renew_id().await,
            Self::Logout => session.destroy().await,
        };
        request.end().await;
        match played {
            Ok(()) => (self, Some(session.id().unwrap())),
            Err(Error::Gone) => (self, None),
            Err(error) => panic!("{error}"),
        }
    }
}

/// A logout beside writes, updates and renewals. It may come too late for a renewal, and then it says so; otherwise nothing
/// of the session is left under any id.
#[allow(missing_docs)]
pub async fn a_logout_is_final_whatever_runs_beside_it(fixture: &Fixture) {
    const ROUNDS: usize = 28;
    use Part::{Logout, Renew, Update, Write};
    for server in servers(fixture) {
        let mut renewed_in_time = BTreeSet::new();
        for round in 0..ROUNDS {
            let mut parts = [Logout, Write, Renew, Update, Write, Renew, Update];
            parts.rotate_right(round % 7);
            let sid = server.logged_in().await;
            let requests = server.requests(parts.len(), &sid).await;
            let played = at_once(parts.into_iter().zip(requests).map(|(part, request)| part.play(request)));
            let played = played.await;
            let ids = |wanted| {
                let of_part = move |(part, id): &(Part, Option<Sid>)| (*part == wanted).then(|| id.clone());
                played.iter().filter_map(of_part).flatten()
            };
            assert!(held(fixture, &sid).await.is_none(), "it lives on under its old id");
            if ids(Logout).next().is_none() {
                assert!(ids(Renew).next().is_some(), "nobody else could have ended it");
                renewed_in_time.extend(ids(Renew));
            } else {
                for renewed in ids(Renew) {
                    assert!(held(fixture, &renewed).await.is_none(), "it lives on under another id");
                }
            }
        }
        let mut live = BTreeSet::new();
        fixture.store.ids(&mut |sid| _ = live.insert(sid)).await.unwrap();
        assert!(live.is_subset(&renewed_in_time), "something of it is left under an id that nobody has");
        fixture.store.clear().await.unwrap();
    }
}

#[allow(missing_docs)]
pub async fn a_regenerated_session_stays_under_its_new_id(fixture: &Fixture) {
    for server in servers(fixture) {
        let sid = server.logged_in().await;
        let late = server.request(Some(&sid)).await;
        let regenerates = server.request(Some(&sid)).await;
        regenerates.session.regenerate().await.unwrap();
        regenerates.session.insert("user", "tobi").unwrap();
        let new = regenerates.session.id().unwrap();
        assert_eq!(regenerates.end().await.len(), 1);
        late.session.insert("cart", 1).unwrap();
        late.end().await;
        assert!(held(fixture, &sid).await.is_none());
        assert_eq!(held(fixture, &new).await.unwrap(), [("user".into(), "\"tobi\"".into())]);
    }
}

#[allow(missing_docs)]
pub async fn a_renewed_session_takes_along_what_others_wrote(fixture: &Fixture) {
    for server in servers(fixture) {
        let sid = server.logged_in().await;
        let renews = server.request(Some(&sid)).await;
        let late = server.request(Some(&sid)).await;
        let faster = server.request(Some(&sid)).await;
        faster.session.insert("cart", 1).unwrap();
        faster.end().await;

        renews.session.insert("role", "admin").unwrap();
        renews.session.renew_id().await.unwrap();
        let new = renews.session.id().unwrap();
        assert_eq!(renews.end().await.len(), 1);
        late.session.insert("stolen", 1).unwrap();
        late.end().await;

        assert!(new != sid);
        assert!(held(fixture, &sid).await.is_none());
        let expected = [("user", "\"tj\""), ("cart", "1"), ("role", "\"admin\"")];
        let expected = expected.map(|(key, value)| (key.into(), value.into()));
        assert_eq!(held(fixture, &new).await.unwrap(), expected);
    }
}

#[allow(missing_docs)]
pub async fn an_expired_session_is_not_brought_back(fixture: &Fixture) {
    let mut late = Vec::new();
    for server in servers(fixture) {
        let begin = async || {
            let first = server.request(None).await;
            let end = fixture.now() + SHORT;
            first.session.set_max_age(Some(SHORT)).unwrap();
            first.session.insert("user", "tj").unwrap();
            let sid = first.session.id().unwrap();
            first.end().await;
            let requests = [server.request(Some(&sid)).await, server.request(Some(&sid)).await];
            let both_found_it = requests.iter().all(|request| request.session.id().unwrap() == sid);
            (end, both_found_it.then_some((sid, requests)))
        };
        let (sid, [reads, writes]) = in_time(fixture, begin).await;
        writes.session.insert("cart", 1).unwrap();
        late.push((sid, [reads, writes]));
    }
    fixture.pass(LONGER).await;
    for (sid, requests) in late {
        for request in requests {
            assert!(request.end().await.is_empty());
        }
        assert!(held(fixture, &sid).await.is_none());
    }
}

/// Whoever prunes must not go by what it saw before.
/// What else is done while a session is written over one that has expired.
#[derive(Clone, Copy)]
enum Beside {
    Prunes,
    Reads,
}

#[allow(missing_docs)]
pub async fn a_session_over_an_expired_one_outlives_a_prune(fixture: &Fixture) {
    over_an_expired_one(fixture, Beside::Prunes).await;
}

/// Who finds it expired may remove it, but not what has come in its place.
#[allow(missing_docs)]
pub async fn a_session_over_an_expired_one_outlives_who_reads_it(fixture: &Fixture) {
    over_an_expired_one(fixture, Beside::Reads).await;
}

async fn over_an_expired_one(fixture: &Fixture, beside: Beside) {
    // Where the time is the real one, a round takes seconds.
    let rounds = if fixture.clock.is_some() { 24 } else { 1 };
    for _ in 0..rounds {
        let sids: Vec<Sid> = (0..PARALLEL).map(|_| Sid::random()).collect();
        let write = async |sid| put_short(fixture, sid, r#""old":true"#, &Expect::Anything).await;
        join_all(sids.iter().map(write)).await;
        fixture.pass(LONGER).await;
        let pruning = (0..if matches!(beside, Beside::Reads) { 1 } else { 4 }).map(|_| {
            let (store, sids) = (fixture.process(), sids.clone());
            tokio::spawn(async move {
                match beside {
                    Beside::Prunes => store.prune().await.map(drop).unwrap(),
                    Beside::Reads => {
                        join_all(sids.iter().map(async |sid| store.get(sid).await.map(drop).unwrap())).await;
                    }
                }
            })
        });
        let pruning: Vec<_> = pruning.collect();
        let write = |sid: &Sid| {
            let (store, sid, record) = (fixture.process(), sid.clone(), record(fixture, r#""new":true"#));
            async move { written(store.set(&sid, &record, &Expect::Nothing).await.unwrap()) }
        };
        at_once(sids.iter().map(write)).await;
        join_all(pruning).await.into_iter().for_each(Result::unwrap);
        for sid in &sids {
            let text = held(fixture, sid).await.expect("it has not expired");
            assert_eq!(text, [("new".into(), "true".into())]);
        }
    }
}
