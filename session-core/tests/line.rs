//! Many at once on one session: operations of one handle that come one after the other, and requests that take turns.
//! Executors of our own decide who is polled when.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use common::{App, Trouble, add, apps, cookie, done, polled};
use session_core::{
    Cookie, Destroyed, Error, Expect, MemoryStore, Options, Record, RequestInfo, SessionHandle, Set, Sid,
    Store, StoreError, Stored, Touched, async_trait,
};

type Task<T> = Pin<Box<dyn Future<Output = T>>>;

/// Which of those who were woken is polled next.
#[derive(Clone, Copy, Debug)]
enum Order {
    First,
    Last,
    Random(u64),
}

/// As they were woken, the other way round, and at random.
fn orders() -> impl Iterator<Item = Order> {
    [Order::First, Order::Last].into_iter().chain((1..=30).map(Order::Random))
}

#[derive(Default)]
struct Woken(Mutex<VecDeque<usize>>);

struct TaskWaker {
    task: usize,
    woken: Arc<Woken>,
    queued: AtomicBool,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::SeqCst) {
            self.woken.0.lock().unwrap().push_back(self.task);
        }
    }
}

/// Polls whoever was woken, in this order, until nobody is; what they answered, `None` for those who were never woken again.
fn run<T>(tasks: Vec<Task<T>>, order: Order) -> Vec<Option<T>> {
    let woken = Arc::new(Woken::default());
    let wakers: Vec<Arc<TaskWaker>> = (0..tasks.len())
        .map(|task| Arc::new(TaskWaker { task, woken: Arc::clone(&woken), queued: AtomicBool::new(false) }))
        .collect();
    wakers.iter().for_each(|waker| Arc::clone(waker).wake());
    let mut tasks: Vec<Option<Task<T>>> = tasks.into_iter().map(Some).collect();
    let mut answers: Vec<Option<T>> = tasks.iter().map(|_| None).collect();
    let mut seed = if let Order::Random(seed) = order { seed } else { 1 };
    loop {
        let next = {
            let mut woken = woken.0.lock().unwrap();
            match order {
                Order::First => woken.pop_front(),
                Order::Last => woken.pop_back(),
                Order::Random(_) => {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let at = usize::try_from(seed >> 33).unwrap() % woken.len().max(1);
                    woken.remove(at)
                }
            }
        };
        let Some(task) = next else { return answers };
        wakers[task].queued.store(false, Ordering::SeqCst);
        let Some(future) = &mut tasks[task] else { continue };
        let waker = Waker::from(Arc::clone(&wakers[task]));
        if let Poll::Ready(answer) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            answers[task] = Some(answer);
            tasks[task] = None;
        }
    }
}

fn adding(session: &SessionHandle) -> Task<bool> {
    let session = session.clone();
    Box::pin(async move { add(&session).await.is_ok() })
}

/// What went wrong, by what it was.
fn summary(answers: &[Option<Result<u64, Error>>]) -> String {
    let failed = answers.iter().filter_map(|answer| match answer {
        Some(Ok(_)) => None,
        Some(Err(error)) => Some(error.to_string()),
        None => Some("never woken".to_owned()),
    });
    failed.collect::<Vec<_>>().join(", ")
}

#[test]
fn everybody_who_updates_is_served_however_many_they_are() {
    for app in apps() {
        for order in orders() {
            for (requests, handles) in [(100, 1), (30, 3), (5, 12), (1, 60)] {
                let sid = app.log_in();
                let all: Vec<_> = (0..requests).map(|_| app.request(&sid)).collect();
                let tasks = all.iter().flat_map(|(_, session)| {
                    (0..handles).map(|_| -> Task<Result<u64, Error>> {
                        let session = session.clone();
                        Box::pin(async move { add(&session).await })
                    })
                });
                let failed = summary(&run(tasks.collect(), order));
                assert!(failed.is_empty(), "{order:?} {requests} {handles}: {failed}");
                assert_eq!(app.count(&sid), Some(requests * handles), "{order:?}");
            }
        }
    }
}

#[test]
fn one_that_comes_again_and_again_passes_nobody() {
    for app in apps() {
        for order in orders() {
            let sid = app.log_in();
            let (_exchange, session) = app.request(&sid);
            let rounds = Arc::new(AtomicUsize::new(0));
            let (greedy, counted) = (session.clone(), Arc::clone(&rounds));
            let greedy: Task<usize> = Box::pin(async move {
                for _ in 0..200 {
                    add(&greedy).await.unwrap();
                    counted.fetch_add(1, Ordering::SeqCst);
                }
                0
            });
            let other: Task<usize> = Box::pin(async move {
                add(&session).await.unwrap();
                rounds.load(Ordering::SeqCst)
            });
            let answers = run(vec![greedy, other], order);
            assert!(answers[1].unwrap() < 20, "{order:?} {answers:?}");
        }
    }
}

#[test]
fn many_that_are_put_aside_hold_up_nobody_of_other_requests() {
    for app in apps() {
        let sid = app.log_in();
        let others: Vec<_> = (0..8).map(|_| app.request(&sid)).collect();
        let mut aside: Vec<Task<bool>> = others.iter().map(|(_, session)| adding(session)).collect();
        let mut context = Context::from_waker(Waker::noop());
        for times in 0..12 {
            for future in &mut aside {
                if times < 11 {
                    _ = future.as_mut().poll(&mut context);
                }
            }
            let (exchange, session) = app.request(&sid);
            done(add(&session)).unwrap();
            done(exchange.end()).unwrap();
            aside = others.iter().map(|(_, session)| adding(session)).collect();
        }
        assert!(app.count(&sid).unwrap() >= 12);
    }
}

#[test]
fn a_closure_may_wait_for_the_session_after_a_conflict_too() {
    for app in apps() {
        for own in [true, false] {
            let sid = app.log_in();
            let [(_a, session), (_b, other), (_c, third)] = [(); 3].map(|()| app.request(&sid));
            done(add(&other)).unwrap();
            let mut asked = 0;
            let sum = done(session.update("n", |n: Option<u64>| {
                asked += 1;
                if asked == 2 {
                    done(add(&other)).unwrap();
                    let waits = if own { &session } else { &third };
                    waits.insert("k", 1).unwrap();
                    polled(1_000, waits.save()).expect("it ends").unwrap();
                }
                n.unwrap_or(0) + 1
            }));
            assert_eq!((sum.unwrap(), app.count(&sid)), (3, Some(3)), "{own}");
        }
    }
}

#[test]
fn a_logout_that_was_given_up_while_it_waited_for_another_operation_is_finished() {
    for app in apps() {
        for op in 0..4 {
            let sid = app.log_in();
            let (exchange, session) = app.request(&sid);
            session.insert("k", 1).unwrap();
            let other = session.clone();
            let mut under_way: Task<()> = Box::pin(async move {
                _ = match op {
                    0 => other.save().await,
                    1 => other.renew_id().await,
                    2 => other.regenerate().await,
                    _ => add(&other).await.map(|_| ()),
                };
            });
            assert!(under_way.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            assert!(polled(1, session.destroy()).is_none());
            assert!(session.is_destroyed());
            let cookies = done(exchange.end()).unwrap();
            assert_eq!(app.records(), 0, "{op} {cookies:?}");
            drop(under_way);
        }
    }
}

#[test]
fn a_logout_that_comes_while_the_end_is_at_work_is_finished_by_it() {
    for times in 1..6 {
        for app in apps() {
            for (changes, trouble) in [(true, None), (false, None), (true, Some(Trouble::FailsBefore))] {
                let sid = app.log_in();
                let (exchange, session) = app.request(&sid);
                if changes {
                    session.insert("k", 1).unwrap();
                }
                if let Some(trouble) = trouble {
                    app.trouble_at(0, trouble);
                }
                let mut end = Box::pin(exchange.end());
                let mut context = Context::from_waker(Waker::noop());
                if !(0..times).all(|_| end.as_mut().poll(&mut context).is_pending()) {
                    continue;
                }
                // With a time-out, say.
                _ = polled(1, session.destroy());
                let answer = done(end);
                assert!(app.held(&sid).is_none(), "{times} {changes} {trouble:?} {answer:?}");
            }
        }
    }
}

#[test]
fn a_logout_that_the_end_has_finished_is_done() {
    for times in 1..4 {
        for app in apps() {
            let sid = app.log_in();
            let (exchange, session) = app.request(&sid);
            session.insert("k", 1).unwrap();
            let mut end = Box::pin(exchange.end());
            let mut context = Context::from_waker(Waker::noop());
            if (0..times).all(|_| end.as_mut().poll(&mut context).is_pending()) {
                let mut destroy = Box::pin(session.destroy());
                assert!(destroy.as_mut().poll(&mut context).is_pending());
                done(end).unwrap();
                done(destroy).unwrap();
                assert!(app.held(&sid).is_none());
                assert!(matches!(done(session.destroy()), Err(Error::Destroyed)));
            }
        }
    }
}

#[test]
fn a_renewal_of_what_expires_meanwhile_leaves_no_copy_under_its_id() {
    for times in 1..4 {
        for app in apps() {
            let sid = app.log_in();
            let (exchange, session) = app.request(&sid);
            let mut renew = Box::pin(session.renew_id());
            let mut context = Context::from_waker(Waker::noop());
            assert!((0..times).all(|_| renew.as_mut().poll(&mut context).is_pending()));
            let (other, another) = app.request(&sid);
            done(add(&another)).unwrap();
            done(other.end()).unwrap();
            session.set_expires(Some(std::time::SystemTime::UNIX_EPOCH)).unwrap();
            done(renew).unwrap();
            session.set_max_age(Some(Duration::from_secs(3_600))).unwrap();
            session.insert("late", 1).unwrap();
            assert_eq!(done(exchange.end()).unwrap().len(), 1, "{times}");
            assert_eq!(app.held(&session.id().unwrap()).unwrap().data.get("late"), Some("1"));
            assert_eq!(app.records(), 1, "{times}");
            done(session.destroy()).unwrap();
        }
    }
}

#[test]
fn what_changes_while_an_expired_session_is_destroyed_begins_another() {
    let [app, _] = apps();
    let sid = app.log_in();
    let (exchange, session) = app.request(&sid);
    session.set_expires(Some(std::time::SystemTime::UNIX_EPOCH)).unwrap();
    let mut save = Box::pin(session.save());
    assert!(save.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    session.set_max_age(Some(Duration::from_secs(3_600))).unwrap();
    session.insert("late", 1).unwrap();
    done(save).unwrap();
    assert_eq!(done(exchange.end()).unwrap().len(), 1);
    assert_eq!(app.held(&sid).unwrap().data.get("late"), Some("1"));
}

/// A store behind a network: a call wakes its caller once, when it is answered.
#[derive(Debug, Default)]
struct Far {
    memory: MemoryStore,
    calls: Mutex<Vec<(Arc<AtomicBool>, Waker)>>,
}

impl Far {
    async fn trip(&self) {
        let answered = Arc::new(AtomicBool::new(false));
        std::future::poll_fn(|context| {
            if answered.load(Ordering::SeqCst) {
                return Poll::Ready(());
            }
            let mut calls = self.calls.lock().unwrap();
            calls.retain(|(of, _)| !Arc::ptr_eq(of, &answered));
            calls.push((Arc::clone(&answered), context.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// Answers all that was asked; whether that was anything.
    fn answers(&self) -> bool {
        let calls = std::mem::take(&mut *self.calls.lock().unwrap());
        calls.iter().for_each(|(answered, _)| answered.store(true, Ordering::SeqCst));
        !calls.into_iter().map(|(_, waker)| waker.wake()).collect::<Vec<()>>().is_empty()
    }
}

#[async_trait]
impl Store for Far {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        self.trip().await;
        self.memory.get(sid).await
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        self.trip().await;
        self.memory.set(sid, record, expect).await
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        self.trip().await;
        self.memory.touch(sid, cookie, expect).await
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        self.trip().await;
        self.memory.destroy(sid, expect).await
    }
}

impl Far {
    /// Polls only when it is woken, and lets the store answer when nobody is.
    fn drive<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let waker =
            Arc::new(TaskWaker { task: 0, woken: Arc::new(Woken::default()), queued: AtomicBool::new(true) });
        let mut future = Box::pin(future);
        loop {
            if waker.queued.swap(false, Ordering::SeqCst) {
                let waker = Waker::from(Arc::clone(&waker));
                if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return Some(done);
                }
            } else if !self.answers() {
                return None;
            }
        }
    }
}

#[test]
fn however_many_were_put_aside_the_next_one_is_woken() {
    for requests in [1, 3] {
        for many in 0..16 {
            let store = Arc::new(Far::default());
            let sessions = Options::new("keyboard cat").store(Arc::clone(&store)).build().unwrap();
            let ask = |sid: Option<&Sid>| {
                let cookie = sid.map(cookie);
                let each = |visit: &mut dyn FnMut(&str, &[u8])| {
                    cookie.iter().for_each(|cookie| visit("cookie", cookie.as_bytes()));
                };
                let exchange = sessions.exchange();
                let session = store.drive(exchange.session(&RequestInfo::new("/", false, &each)));
                (exchange, session.unwrap().unwrap().unwrap())
            };
            let (exchange, session) = ask(None);
            session.insert("n", 0).unwrap();
            store.drive(exchange.end()).unwrap().unwrap();
            let all: Vec<_> = (0..requests).map(|_| ask(Some(&session.id().unwrap()))).collect();
            let mut aside: Vec<Task<bool>> = (0..many).map(|at| adding(&all[at % requests].1)).collect();
            for _ in 0..2 {
                for future in &mut aside {
                    _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                }
            }
            let (exchange, next) = &all[requests - 1];
            assert!(matches!(store.drive(add(next)), Some(Ok(_))), "{requests} {many}");
            assert!(matches!(store.drive(exchange.end()), Some(Ok(_))), "{requests} {many}");
        }
    }
}

#[test]
fn what_changes_while_the_end_writes_is_written_as_well() {
    let day = Duration::from_secs(86_400);
    for times in 1..4 {
        let [app, _] = apps();
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        session.insert("k", 1).unwrap();
        let mut end = Box::pin(exchange.end());
        let mut context = Context::from_waker(Waker::noop());
        let is_out = (0..times).all(|_| end.as_mut().poll(&mut context).is_pending());
        session.insert("late", 1).unwrap();
        let is_set = session.set_max_age(Some(day)).is_ok();
        assert_eq!(is_set, is_out);
        if is_out {
            let cookie = done(end).unwrap().remove(0);
            let record = app.held(&sid).unwrap();
            assert_eq!(record.data.get("late"), Some("1"));
            assert_eq!(record.cookie.original_max_age(), Some(day), "{cookie}");
        }
    }
}

/// A waker that is all that is left of a task: with it go the task's futures, one of which uses the session.
struct LastOfTask(#[expect(dead_code, reason = "dropped with it")] Mutex<UsesSession>);

struct UsesSession(SessionHandle);

impl Drop for UsesSession {
    fn drop(&mut self) {
        polled(1, self.0.save());
    }
}

impl Wake for LastOfTask {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn no_waker_is_dropped_while_anything_is_locked() {
    let (ended, end) = mpsc::channel();
    thread::spawn(move || {
        for app in apps() {
            let sid = app.log_in();
            let (_exchange, session) = app.request(&sid);
            let mut moves = adding(&session);
            let last = Waker::from(Arc::new(LastOfTask(Mutex::new(UsesSession(session.clone())))));
            assert!(moves.as_mut().poll(&mut Context::from_waker(&last)).is_pending());
            drop(last);
            // The future has moved to another task: the first one's waker is dropped.
            while moves.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {}
        }
        ended.send(()).unwrap();
    });
    assert!(end.recv_timeout(Duration::from_secs(60)).is_ok(), "somebody waits for a lock that it holds");
}

/// Some futures are put aside or dropped, and may have added all the same; where none is, the sum is exact.
#[test]
fn on_several_threads_nobody_is_left_waiting() {
    for (app, is_patient) in apps().into_iter().chain(apps()).zip([true, true, false, false]) {
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        let added = AtomicUsize::new(0);
        let tried = AtomicUsize::new(0);
        thread::scope(|scope| {
            for worker in 0..4 {
                let (session, added, tried) = (&session, &added, &tried);
                scope.spawn(move || {
                    let mut aside = Vec::new();
                    for round in 0..150 {
                        tried.fetch_add(1, Ordering::SeqCst);
                        let counted = match (round + worker) % 5 {
                            _ if is_patient => parked(add(session)).is_ok(),
                            0 => {
                                let mut future = adding(session);
                                _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                                aside.push(future);
                                false
                            }
                            1 => polled(3, add(session)).is_some(),
                            _ => parked(add(session)).is_ok(),
                        };
                        added.fetch_add(usize::from(counted), Ordering::SeqCst);
                        if aside.len() > 3 {
                            aside.clear();
                        }
                    }
                });
            }
        });
        done(exchange.end()).unwrap();
        let count = usize::try_from(app.count(&sid).unwrap()).unwrap();
        let (added, tried) = (added.into_inner(), tried.into_inner());
        assert!((added..=tried).contains(&count));
        assert!(!is_patient || added == tried);
    }
}

/// Sleeps until it is woken, and not for ever.
fn parked<T>(future: impl Future<Output = T>) -> T {
    struct Thread(thread::Thread);
    impl Wake for Thread {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Thread(thread::current())));
    let mut future = Box::pin(future);
    let begun = std::time::Instant::now();
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return done;
        }
        thread::park_timeout(Duration::from_secs(60));
        assert!(begun.elapsed() < Duration::from_secs(50), "nobody woke it");
    }
}

#[test]
fn a_failure_is_told_to_whom_it_belongs() {
    let app: App = apps().into_iter().next().unwrap();
    let sid = app.log_in();
    let (_exchange, session) = app.request(&sid);
    app.trouble_at(0, Trouble::FailsBefore);
    let mut fails = adding(&session);
    assert!(fails.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    // It is driven to its end by another one, which is not the one that failed.
    assert_eq!(done(add(&session)).unwrap(), 1);
    assert!(!done(fails));
}
