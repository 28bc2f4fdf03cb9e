//! When a record ends: after a touch that its writer has not heard of, after an answer that took long, and with the cookie that
//! the browser has.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use common::{App, Trouble, add, done};
use session_core::{
    Clock, Cookie, CookieOptions, Destroyed, Expect, MemoryStore, Options, Record, Set, Sid, Store,
    StoreError, Stored, Touch, Touched, async_trait,
};

const MINUTE: u64 = 60;

/// A store whose reads take their time to arrive, and to come back.
#[derive(Debug)]
struct Far {
    memory: MemoryStore,
    now: Arc<AtomicU64>,
    there: AtomicU64,
    back: AtomicU64,
}

impl Far {
    fn new(memory: MemoryStore, now: Arc<AtomicU64>) -> Self {
        Self { memory, now, there: AtomicU64::new(0), back: AtomicU64::new(0) }
    }

    fn takes(&self, time: &AtomicU64) {
        self.now.fetch_add(time.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

#[async_trait]
impl Store for Far {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        self.takes(&self.there);
        let answer = self.memory.get(sid).await;
        self.takes(&self.back);
        answer
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        self.memory.set(sid, record, expect).await
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        self.memory.touch(sid, cookie, expect).await
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        self.memory.destroy(sid, expect).await
    }
}

/// How often it is read, and written. As in Redis, a touch leaves the record's text alone.
#[derive(Debug)]
struct Counting {
    far: Far,
    reads: AtomicU64,
    writes: AtomicU64,
    written: Mutex<Option<Cookie>>,
}

impl Counting {
    fn new(memory: MemoryStore, now: Arc<AtomicU64>) -> Self {
        let [reads, writes] = [(); 2].map(|()| AtomicU64::new(0));
        Self { far: Far::new(memory, now), reads, writes, written: Mutex::new(None) }
    }
}

#[async_trait]
impl Store for Counting {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let mut stored = self.far.get(sid).await?;
        if let (Some(stored), Some(cookie)) = (&mut stored, &*self.written.lock().unwrap()) {
            stored.record.cookie = cookie.clone();
        }
        Ok(stored)
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        *self.written.lock().unwrap() = Some(record.cookie.clone());
        self.far.set(sid, record, expect).await
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.far.touch(sid, cookie, expect).await
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        self.far.destroy(sid, expect).await
    }
}

/// The new profile, and a clock that stands still: in seconds since the beginning.
fn app_with<S: Store + 'static>(
    set: impl FnOnce(Options) -> Options,
    store: impl FnOnce(MemoryStore, Arc<AtomicU64>) -> S,
) -> (App<S>, Arc<AtomicU64>) {
    app_in(Duration::from_secs(1), set, store)
}

/// The same in another unit.
fn app_in<S: Store + 'static>(
    unit: Duration,
    set: impl FnOnce(Options) -> Options,
    store: impl FnOnce(MemoryStore, Arc<AtomicU64>) -> S,
) -> (App<S>, Arc<AtomicU64>) {
    let (start, later) = (SystemTime::now(), Arc::new(AtomicU64::new(0)));
    let now = Arc::clone(&later);
    let clock =
        Clock::new(move || start + unit * u32::try_from(now.load(Ordering::SeqCst)).expect("weeks at most"));
    let store = Arc::new(store(MemoryStore::new().clock(clock.clone()), Arc::clone(&later)));
    let options = set(Options::new("keyboard cat")).clock(clock);
    (App { sessions: options.store(Arc::clone(&store)).build().unwrap(), store }, later)
}

fn app<S: Store + 'static>(
    lifetime: Duration,
    store: impl FnOnce(MemoryStore, Arc<AtomicU64>) -> S,
) -> (App<S>, Arc<AtomicU64>) {
    app_with(|options| options.cookie(CookieOptions::new().max_age(lifetime)), store)
}

fn slow(memory: MemoryStore, _: Arc<AtomicU64>) -> common::SlowStore {
    common::SlowStore { memory, ..common::SlowStore::default() }
}

fn timed() -> (App, Arc<AtomicU64>) {
    app(Duration::from_secs(60 * MINUTE), slow)
}

/// A lifetime of an hour.
fn touched<S: Store + 'static>(
    touch: Touch,
    store: impl FnOnce(MemoryStore, Arc<AtomicU64>) -> S,
) -> (App<S>, Arc<AtomicU64>) {
    let hour = CookieOptions::new().max_age(Duration::from_secs(60 * MINUTE));
    app_with(|options| options.cookie(hour).touch(touch), store)
}

fn minutes_left(memory: &MemoryStore, sid: &Sid) -> u64 {
    done(memory.get(sid)).unwrap().unwrap().left.unwrap().as_secs() / MINUTE
}

/// A socket's handle, kept since minute 0; a visitor's request at minute 50 touches the session until minute 110.
fn a_socket_and_a_visitor(app: &App, later: &AtomicU64) -> (session_core::SessionHandle, Cookie) {
    let (exchange, socket) = app.ask(&[]);
    socket.insert("user", "tj").unwrap();
    done(exchange.end()).unwrap();
    later.store(50 * MINUTE, Ordering::SeqCst);
    let (exchange, visitor) = app.request(&socket.id().unwrap());
    assert_eq!(done(exchange.end()).unwrap().len(), 1);
    assert_eq!(minutes_left(&app.store.memory, &socket.id().unwrap()), 60);
    (socket, visitor.cookie())
}

#[test]
fn a_save_after_the_response_does_not_shorten_what_another_request_gave() {
    let (app, later) = timed();
    let (socket, _) = a_socket_and_a_visitor(&app, &later);
    later.store(51 * MINUTE, Ordering::SeqCst);
    socket.insert("job", "done").unwrap();
    done(socket.save()).unwrap();
    assert_eq!(minutes_left(&app.store.memory, &socket.id().unwrap()), 59);
    later.store(109 * MINUTE, Ordering::SeqCst);
    assert!(app.request(&socket.id().unwrap()).1.contains("user"), "last seen at minute 50");
}

#[test]
fn nor_does_an_update_in_the_same_second() {
    let (app, later) = timed();
    let (socket, cookie) = a_socket_and_a_visitor(&app, &later);
    done(add(&socket)).unwrap();
    let held = app.held(&socket.id().unwrap()).unwrap();
    assert!(held.cookie.expires() >= cookie.expires());
}

/// It reads first only where it cannot know: a socket that writes again immediately does not.
#[test]
fn a_socket_that_has_just_heard_of_its_session_does_not_read_it_again() {
    let (app, later) = timed();
    let (socket, _) = a_socket_and_a_visitor(&app, &later);
    done(add(&socket)).unwrap();
    let calls = app.store.calls.load(Ordering::SeqCst);
    done(add(&socket)).unwrap();
    assert_eq!(app.store.calls.load(Ordering::SeqCst) - calls, 1);
}

/// The end that this request gave the record is the one of the lifetime that it had then.
#[test]
fn an_end_that_another_lifetime_would_have_given_is_not_that_of_the_record() {
    let (app, _) = app(Duration::from_secs(2), slow);
    let (_exchange, session) = app.ask(&[]);
    done(add(&session)).unwrap();
    session.set_max_age(Some(Duration::from_millis(4_500))).unwrap();
    let left = || done(app.store.memory.get(&session.id().unwrap())).unwrap().unwrap().left.unwrap();
    app.trouble_at(0, Trouble::FailsAfter);
    assert!(done(add(&session)).is_err());
    assert_eq!(left(), Duration::from_millis(3_600), "so that a touch is due");
    done(add(&session)).unwrap();
    assert_eq!(left(), Duration::from_millis(3_600));
}

/// The browser's cookie ends at minute 60, and the response of a request that has saved at minute 55 never goes out.
#[test]
fn a_request_without_a_response_does_not_keep_the_cookie_from_being_renewed() {
    for saves in [true, false] {
        let (app, later) = timed();
        let sid = app.log_in();
        later.store(55 * MINUTE, Ordering::SeqCst);
        let (exchange, session) = app.request(&sid);
        if saves {
            session.insert("cart", 1).unwrap();
            done(session.save()).unwrap();
        } else {
            done(add(&session)).unwrap();
        }
        drop((exchange, session));
        assert!(minutes_left(&app.store.memory, &sid) >= 48);
        later.store(58 * MINUTE, Ordering::SeqCst);
        let (exchange, _session) = app.request(&sid);
        assert_eq!(done(exchange.end()).unwrap().len(), 1, "else the browser forgets it at minute 60");
    }
}

/// However often it has saved, and whatever became of the first time.
#[test]
fn nor_does_one_that_has_saved_twice() {
    for fails in [true, false] {
        let (app, later) = timed();
        let sid = app.log_in();
        later.store(55 * MINUTE, Ordering::SeqCst);
        let (exchange, session) = app.request(&sid);
        if fails {
            app.trouble_at(0, Trouble::FailsAfter);
        }
        assert_eq!(done(add(&session)).is_err(), fails);
        done(add(&session)).unwrap();
        drop((exchange, session));
        later.store(58 * MINUTE, Ordering::SeqCst);
        let (exchange, _session) = app.request(&sid);
        assert_eq!(done(exchange.end()).unwrap().len(), 1);
    }
}

/// A request that was loaded at minute 58 saves at minute 63: another one has touched the session meanwhile.
#[test]
fn an_early_save_does_not_go_by_an_end_that_is_long_past() {
    for percent in [20, 100] {
        let (start, later) = (SystemTime::now(), Arc::new(AtomicU64::new(0)));
        let now = Arc::clone(&later);
        let clock = Clock::new(move || start + Duration::from_secs(now.load(Ordering::SeqCst)));
        let memory = MemoryStore::new().clock(clock.clone());
        let store = Arc::new(common::SlowStore { memory, ..common::SlowStore::default() });
        let hour = CookieOptions::new().max_age(Duration::from_secs(60 * MINUTE));
        let options =
            Options::new("keyboard cat").cookie(hour).clock(clock).touch(Touch::AfterPercent(percent));
        let app = App { sessions: options.store(Arc::clone(&store)).build().unwrap(), store };
        let sid = app.log_in();
        later.store(50 * MINUTE, Ordering::SeqCst);
        let (other, two) = app.request(&sid);
        done(add(&two)).unwrap();
        let (exchange, session) = app.request(&sid);
        // It gives the record the rest by a touch.
        done(other.end()).unwrap();
        assert_eq!(minutes_left(&app.store.memory, &sid), 60);
        later.store(65 * MINUTE, Ordering::SeqCst);
        session.insert("cart", 1).unwrap();
        done(session.save()).unwrap();
        drop(exchange);
        assert!(minutes_left(&app.store.memory, &sid) >= 45, "{percent}");
        assert_eq!(app.held(&sid).unwrap().data.get("cart"), Some("1"), "{percent}");
    }
}

/// And where it does go out, it carries the whole lifetime.
#[test]
fn the_end_gives_what_an_early_save_has_kept_back() {
    let (app, later) = timed();
    let sid = app.log_in();
    // Before a touch is due the end stays where it is, and costs nothing.
    for (minute, calls, left) in [(10, 2, 50), (15, 3, 60), (70, 3, 60)] {
        later.store(minute * MINUTE, Ordering::SeqCst);
        let before = app.store.calls.load(Ordering::SeqCst);
        let (exchange, session) = app.request(&sid);
        done(add(&session)).unwrap();
        assert_eq!(done(exchange.end()).unwrap().len(), 1, "minute {minute}");
        assert_eq!(minutes_left(&app.store.memory, &sid), left, "minute {minute}");
        assert_eq!(session.cookie().expires(), app.held(&sid).unwrap().cookie.expires());
        assert_eq!(app.store.calls.load(Ordering::SeqCst) - before, calls, "minute {minute}");
    }
}

/// Requests whose clients leave: however many write, and whenever, the next one that is answered tells the browser in time.
#[test]
fn requests_without_a_response_do_not_keep_the_cookie_from_being_renewed_together() {
    for minutes in [
        vec![30],
        vec![45],
        vec![10],
        vec![10, 20],
        vec![11, 22, 33, 44, 55],
        (1..60).filter(|minute| minute % 20 != 0).collect(),
    ] {
        let (app, later) = timed();
        let sid = app.log_in();
        let mut cookie_ends = 60;
        for minute in 1..180 {
            later.store(minute * MINUTE, Ordering::SeqCst);
            let (exchange, session) = app.request(&sid);
            assert!(session.contains("user") && minute < cookie_ends, "{minute} {minutes:?}");
            if minutes.contains(&(minute % 60)) {
                done(add(&session)).unwrap();
                continue;
            }
            if !done(exchange.end()).unwrap().is_empty() {
                cookie_ends = minute + minutes_left(&app.store.memory, &sid);
            }
            // Whoever was answered may be idle for four fifths.
            let left = (cookie_ends - minute).min(minutes_left(&app.store.memory, &sid));
            assert!(left >= 48, "{left} at {minute} of {minutes:?}");
        }
    }
}

/// A store that keeps a record's end beside it and rounds it up to whole seconds: from the moment when it is asked, as Redis
/// does, or by the calendar, as PostgreSQL's table does. Its answers take three milliseconds.
#[derive(Debug)]
struct Rounding {
    memory: MemoryStore,
    records: Mutex<HashMap<Sid, Record>>,
    now: Arc<AtomicU64>,
    by_the_calendar: bool,
}

impl Rounding {
    fn rounded(&self, cookie: &Cookie) -> Cookie {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(self.now.load(Ordering::SeqCst));
        let from = if self.by_the_calendar { SystemTime::UNIX_EPOCH } else { now };
        let end = cookie.expires().unwrap().duration_since(from).unwrap();
        let mut held = cookie.clone();
        held.set_expires(Some(from + Duration::from_secs(end.as_millis().div_ceil(1_000) as u64)), now);
        held
    }
}

#[async_trait]
impl Store for Rounding {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        let stored = self.memory.get(sid).await?;
        self.now.fetch_add(3, Ordering::SeqCst);
        Ok(stored.map(|stored| {
            let record = self.records.lock().unwrap()[sid].clone();
            Stored { lifetime: record.cookie.original_max_age(), record, ..stored }
        }))
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        self.records.lock().unwrap().insert(sid.clone(), record.clone());
        let held = Record::new(self.rounded(&record.cookie), Arc::clone(&record.data));
        self.memory.set(sid, &held, expect).await
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        self.memory.touch(sid, &self.rounded(cookie), expect).await
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        self.memory.destroy(sid, expect).await
    }
}

/// However often it is written, a kept end is kept, and a fifth of the lifetime later it is renewed.
#[test]
fn what_a_store_rounds_does_not_add_up() {
    for by_the_calendar in [false, true] {
        for step in [150, 500, 1_200, 3_333] {
            let now = Arc::new(AtomicU64::new(1_767_323_045_678));
            let at = Arc::clone(&now);
            let clock =
                Clock::new(move || SystemTime::UNIX_EPOCH + Duration::from_millis(at.load(Ordering::SeqCst)));
            let store = Arc::new(Rounding {
                memory: MemoryStore::new().clock(clock.clone()),
                records: Mutex::default(),
                now: Arc::clone(&now),
                by_the_calendar,
            });
            let minute = CookieOptions::new().max_age(Duration::from_secs(60));
            let options = Options::new("keyboard cat").cookie(minute).clock(clock.clone());
            let app = App { sessions: options.store(Arc::clone(&store)).build().unwrap(), store };
            let (exchange, session) = app.ask(&[]);
            session.insert("user", "tj").unwrap();
            done(exchange.end()).unwrap();
            let mut cookie_ends = session.cookie().expires().unwrap();
            for _ in 0..200_000 / step {
                now.fetch_add(step, Ordering::SeqCst);
                // A client that leaves, and one that only reads.
                done(add(&app.request(&session.id().unwrap()).1)).unwrap();
                let (exchange, session) = app.request(&session.id().unwrap());
                if !done(exchange.end()).unwrap().is_empty() {
                    cookie_ends = session.cookie().expires().unwrap();
                }
                let left = cookie_ends.duration_since(clock.now()).unwrap();
                assert!(left >= Duration::from_secs(47), "{left:?} {by_the_calendar} {step}");
                assert!(left <= Duration::from_secs(60), "{left:?} {by_the_calendar} {step}");
            }
        }
    }
}

/// Express touches a record that both share, and sends no cookie. The next change sends it.
#[test]
fn a_change_sends_the_cookie_that_another_one_did_not() {
    let (app, later) = timed();
    let sid = app.log_in();
    later.store(20 * MINUTE, Ordering::SeqCst);
    let mut cookie = app.held(&sid).unwrap().cookie;
    let now = cookie.expires().unwrap() - Duration::from_secs(40 * MINUTE);
    cookie.set_max_age(cookie.original_max_age(), now);
    done(app.store.memory.touch(&sid, &cookie, &Expect::Anything)).unwrap();
    later.store(25 * MINUTE, Ordering::SeqCst);
    let (exchange, session) = app.request(&sid);
    done(add(&session)).unwrap();
    assert_eq!(done(exchange.end()).unwrap().len(), 1);
    assert_eq!(minutes_left(&app.store.memory, &sid), 55);
    assert_eq!(session.cookie().expires(), app.held(&sid).unwrap().cookie.expires());
}

/// A store whose touch looks and moves nothing, as `touch_after` has it.
#[derive(Debug)]
struct NoTouch(MemoryStore);

#[async_trait]
impl Store for NoTouch {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        self.0.get(sid).await
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        self.0.set(sid, record, expect).await
    }

    async fn touch(&self, sid: &Sid, _: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        Ok(match (self.0.get(sid).await?, expect) {
            (None, _) => Touched::Unknown,
            (Some(held), Expect::Version(version)) if held.version != *version => Touched::Conflict,
            _ => Touched::Moved,
        })
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        self.0.destroy(sid, expect).await
    }
}

#[test]
fn what_an_early_save_has_kept_back_is_given_where_a_touch_does_nothing() {
    let (app, later) = app(Duration::from_secs(60 * MINUTE), |memory, _| NoTouch(memory));
    let (exchange, session) = app.ask(&[]);
    session.insert("user", "tj").unwrap();
    done(exchange.end()).unwrap();
    let sid = session.id().unwrap();
    later.store(50 * MINUTE, Ordering::SeqCst);
    let (exchange, session) = app.request(&sid);
    done(add(&session)).unwrap();
    assert_eq!(done(exchange.end()).unwrap().len(), 1);
    assert_eq!(minutes_left(&app.store.0, &sid), 60);
}

/// A store whose options leave touches out, as `disable_touch` has it.
#[derive(Debug)]
struct Skips(MemoryStore);

#[async_trait]
impl Store for Skips {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        let stored = self.0.get(sid).await?;
        Ok(stored.map(|stored| Stored { lifetime: stored.left, ..stored }))
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        self.0.set(sid, record, expect).await
    }

    async fn touch(&self, _: &Sid, _: &Cookie, _: &Expect) -> Result<Touched, StoreError> {
        Ok(Touched::Skipped)
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        self.0.destroy(sid, expect).await
    }
}

/// Nobody was asked whether it is still there: another request has given the browser a newer cookie.
#[test]
fn a_touch_that_is_left_out_is_no_word_of_the_store() {
    let (app, later) = app_with(|options| options.rolling(true), |memory, _| Skips(memory));
    let (exchange, session) = app.ask(&[]);
    session.insert("user", "tj").unwrap();
    done(exchange.end()).unwrap();
    let [(a, _one), (b, two)] = [(); 2].map(|()| app.request(&session.id().unwrap()));
    later.store(5, Ordering::SeqCst);
    done(two.renew_id()).unwrap();
    assert_eq!(done(b.end()).unwrap().len(), 1);
    later.store(10, Ordering::SeqCst);
    assert!(done(a.end()).unwrap().is_empty(), "the cookie of what is no more");
}

/// What only reads costs nothing and sends nothing, however much of the lifetime has passed.
#[test]
fn where_touches_are_left_out_a_read_sends_no_cookie() {
    for touch in [Touch::AfterPercent(20), Touch::EveryRequest] {
        let (app, later) = touched(touch, |memory, _| Skips(memory));
        let (exchange, session) = app.ask(&[]);
        session.insert("user", "tj").unwrap();
        done(exchange.end()).unwrap();
        for minute in [13, 59] {
            later.store(minute * MINUTE, Ordering::SeqCst);
            let (exchange, _session) = app.request(&session.id().unwrap());
            assert!(done(exchange.end()).unwrap().is_empty());
        }
    }
}

/// Its touch took long, and another one that came meanwhile has moved the end further: the cookie goes out all the same.
#[test]
fn a_cookie_that_waits_for_a_slow_store_goes_out_with_the_end_that_another_request_gave() {
    let (app, later) = timed();
    let sid = app.log_in();
    later.store(50 * MINUTE, Ordering::SeqCst);
    let [(a, one), (b, _two)] = [(); 2].map(|()| app.request(&sid));
    let mut end = Box::pin(a.end());
    while minutes_left(&app.store.memory, &sid) < 60 {
        assert!(common::polled(1, end.as_mut()).is_none());
    }
    later.store(50 * MINUTE + 3, Ordering::SeqCst);
    assert_eq!(done(b.end()).unwrap().len(), 1);
    assert_eq!(done(end).unwrap().len(), 1);
    assert_eq!(one.cookie().expires(), app.held(&sid).unwrap().cookie.expires());
}

/// The same, and another operation brings it to its end while nobody waits for it: what was not heard is told again.
#[test]
fn an_end_that_was_not_heard_after_its_look_still_owes_its_cookie() {
    let (app, later) = timed();
    let sid = app.log_in();
    later.store(50 * MINUTE, Ordering::SeqCst);
    let [(a, one), (b, _two)] = [(); 2].map(|()| app.request(&sid));
    let mut end = Box::pin(a.end());
    while minutes_left(&app.store.memory, &sid) < 60 {
        assert!(common::polled(1, end.as_mut()).is_none());
    }
    later.store(50 * MINUTE + 3, Ordering::SeqCst);
    assert_eq!(done(b.end()).unwrap().len(), 1);
    done(one.reload()).unwrap();
    drop(end);
    assert_eq!(done(a.end()).unwrap().len(), 1);
    assert_eq!(one.cookie().expires(), app.held(&sid).unwrap().cookie.expires());
}

/// What it reads takes seconds, and meanwhile another request gives both a later end.
#[test]
fn a_cookie_that_waits_for_a_slow_look_is_not_set_back() {
    let (app, later) = timed();
    let sid = app.log_in();
    let [(a, one), (b, two)] = [(); 2].map(|()| app.request(&sid));
    done(add(&one)).unwrap();
    later.store(1, Ordering::SeqCst);
    let mut end = Box::pin(a.end());
    assert!(common::polled(1, end.as_mut()).is_none());
    later.store(7, Ordering::SeqCst);
    two.insert("k", 1).unwrap();
    assert_eq!(done(b.end()).unwrap().len(), 1);
    done(end).unwrap();
    assert!(one.cookie().expires() >= two.cookie().expires());
}

/// Such an answer does not say to the second which end it is: the later one harms nobody.
#[test]
fn a_cookie_that_waits_for_a_slow_look_is_not_set_back_by_a_part_of_it() {
    let (app, later) = touched(Touch::AfterPercent(100), Far::new);
    let (exchange, session) = app.ask(&[]);
    session.insert("user", "tj").unwrap();
    done(exchange.end()).unwrap();
    let [(a, one), (b, two)] = [(); 2].map(|()| app.request(&session.id().unwrap()));
    later.store(50 * MINUTE, Ordering::SeqCst);
    done(add(&one)).unwrap();
    later.store(50 * MINUTE + 6, Ordering::SeqCst);
    two.insert("k", 1).unwrap();
    assert_eq!(done(b.end()).unwrap().len(), 1);
    app.store.there.store(8, Ordering::SeqCst);
    done(a.end()).unwrap();
    assert!(one.cookie().expires() >= two.cookie().expires());
}

/// With `rolling` a touch is always due. One that took long is looked after, and needs no second one: its answer would come
/// after whatever happened meanwhile, and its failure would be one of what is stored.
#[test]
fn a_slow_touch_is_looked_after_once_and_not_repeated() {
    let (app, later) = app_with(|options| options.rolling(true), slow);
    let (exchange, _session) = app.request(&app.log_in());
    let calls = || app.store.calls.load(Ordering::SeqCst);
    let before = calls();
    let mut end = Box::pin(exchange.end());
    assert!(common::polled(2, end.as_mut()).is_none());
    later.store(2, Ordering::SeqCst);
    assert_eq!(done(end).unwrap().len(), 1);
    assert_eq!(calls() - before, 2, "a touch and a look");
}

/// What is read after a conflict tells whether the cookie may go out; nobody has read it here.
#[test]
fn a_cookie_does_not_go_out_in_doubt() {
    let (app, later) = timed();
    let sid = app.log_in();
    later.store(MINUTE, Ordering::SeqCst);
    let [(a, one), (b, two)] = [(); 2].map(|()| app.request(&sid));
    done(add(&one)).unwrap();
    done(two.renew_id()).unwrap();
    assert_eq!(done(b.end()).unwrap().len(), 1);
    let mut update = Box::pin(add(&one));
    let first = app.store.calls.load(Ordering::SeqCst);
    while app.store.calls.load(Ordering::SeqCst) < first + 2 {
        assert!(common::polled(1, update.as_mut()).is_none());
    }
    drop(update);
    assert!(done(a.end()).unwrap().is_empty(), "the cookie of what is no more");
}

/// No touch may ever tell of it.
#[test]
fn an_end_that_the_handler_has_moved_is_not_dropped_with_a_look_that_fails() {
    for touch in [Touch::AfterPercent(20), Touch::AfterPercent(100)] {
        let (app, later) = touched(touch, slow);
        let sid = app.log_in();
        later.store(50 * MINUTE, Ordering::SeqCst);
        let (exchange, session) = app.request(&sid);
        if touch == Touch::AfterPercent(20) {
            session.set_max_age(None).unwrap();
        }
        done(add(&session)).unwrap();
        later.store(50 * MINUTE + 5, Ordering::SeqCst);
        app.trouble_at(0, Trouble::FailsBefore);
        assert!(done(exchange.end()).is_err());
        assert_eq!(done(exchange.end()).unwrap().len(), 1);
    }
}

/// The store is asked once more before the cookie of an early update goes out, and not for a lifetime.
#[test]
fn a_cookie_that_is_sent_a_while_after_an_update_ends_with_a_record_that_no_touch_moves() {
    let (app, later) = app(Duration::from_secs(60 * MINUTE), |memory, _| NoTouch(memory));
    let (exchange, session) = app.ask(&[]);
    session.insert("user", "tj").unwrap();
    done(exchange.end()).unwrap();
    let sid = session.id().unwrap();
    later.store(10 * MINUTE, Ordering::SeqCst);
    let (exchange, session) = app.request(&sid);
    done(add(&session)).unwrap();
    later.store(10 * MINUTE + 5, Ordering::SeqCst);
    assert_eq!(done(exchange.end()).unwrap().len(), 1);
    let held = done(app.store.0.get(&sid)).unwrap().unwrap();
    assert_eq!(session.cookie().expires(), held.record.cookie.expires());
    assert_eq!(minutes_left(&app.store.0, &sid), 49);
}

/// What the handler has stored is no failure, where it cannot be asked whether it still stands, and no end was moved. The cookie of a new session goes
/// out, and what a renewal has left behind is destroyed.
#[test]
fn an_end_that_only_asks_once_more_does_not_fail_with_the_store() {
    for renews in [false, true] {
        let (app, later) = timed();
        let sid = app.log_in();
        later.store(5 * MINUTE, Ordering::SeqCst);
        let (exchange, session) = if renews { app.request(&sid) } else { app.ask(&[]) };
        if renews {
            let first = app.store.calls.load(Ordering::SeqCst);
            // The copy is made, and nobody waits for the rest.
            let mut renewal = Box::pin(session.renew_id());
            while app.store.calls.load(Ordering::SeqCst) < first + 2 {
                assert!(common::polled(1, renewal.as_mut()).is_none());
            }
            drop(renewal);
        }
        done(add(&session)).unwrap();
        later.store(5 * MINUTE + 5, Ordering::SeqCst);
        app.trouble(&session.id().unwrap(), Some(Trouble::FailsBefore));
        let cookies = done(exchange.end()).unwrap();
        assert_eq!(cookies.len(), usize::from(!renews));
        assert_eq!((app.records(), app.count(&session.id().unwrap())), (if renews { 1 } else { 2 }, Some(1)));
    }
}

/// Where no touch is ever due, writes alone keep a session: early ones, late ones, and the first one, tried again.
#[test]
fn where_no_touch_is_due_every_write_gives_the_whole_lifetime() {
    let (app, later) = touched(Touch::AfterPercent(100), slow);
    let (exchange, session) = app.ask(&[]);
    session.insert("user", "tj").unwrap();
    app.trouble_at(0, Trouble::FailsBefore);
    assert!(done(session.save()).is_err());
    done(session.save()).unwrap();
    assert_eq!(app.records(), 1);
    assert_eq!(done(exchange.end()).unwrap().len(), 1);
    let sid = session.id().unwrap();
    for minute in [30, 60, 90] {
        later.store(minute * MINUTE, Ordering::SeqCst);
        let (exchange, session) = app.request(&sid);
        done(add(&session)).unwrap();
        assert_eq!(minutes_left(&app.store.memory, &sid), 60);
        assert_eq!(done(exchange.end()).unwrap().len(), 1);
        later.store((minute + 10) * MINUTE, Ordering::SeqCst);
        done(add(&session)).unwrap();
        assert_eq!(minutes_left(&app.store.memory, &sid), 60);
    }
}

#[test]
fn an_end_that_is_tried_again_after_a_save_sends_a_cookie_that_ends_with_the_record() {
    let (app, later) = timed();
    let sid = app.log_in();
    later.store(50 * MINUTE, Ordering::SeqCst);
    let (exchange, session) = app.request(&sid);
    session.insert("k", 1).unwrap();
    app.trouble_at(0, Trouble::FailsBefore);
    assert!(done(exchange.end()).is_err());
    done(session.save()).unwrap();
    assert_eq!(done(exchange.end()).unwrap().len(), 1);
    assert_eq!(session.cookie().expires(), app.held(&sid).unwrap().cookie.expires());
    assert_eq!(minutes_left(&app.store.memory, &sid), 60);
}

/// What the store says of the time that is left was true when it was asked.
#[test]
fn a_read_that_took_half_the_lifetime_does_not_keep_the_end_from_touching() {
    let (app, later) = app(Duration::from_secs(60 * MINUTE), Far::new);
    let (exchange, session) = app.ask(&[]);
    session.insert("user", "tj").unwrap();
    done(exchange.end()).unwrap();
    let sid = session.id().unwrap();
    later.store(10 * MINUTE, Ordering::SeqCst);
    app.store.back.store(30 * MINUTE, Ordering::SeqCst);
    let (exchange, _session) = app.request(&sid);
    app.store.back.store(0, Ordering::SeqCst);
    assert_eq!(later.load(Ordering::SeqCst), 40 * MINUTE);
    assert_eq!(done(exchange.end()).unwrap().len(), 1);
    assert_eq!(minutes_left(&app.store.memory, &sid), 60);
}

#[test]
fn a_lifetime_beyond_the_last_date_is_not_touched_with_every_request() {
    let (app, later) = app(Duration::MAX, slow);
    let sid = app.log_in();
    for at in 1..5 {
        later.store(at * 60 * MINUTE, Ordering::SeqCst);
        let (exchange, _session) = app.request(&sid);
        assert!(done(exchange.end()).unwrap().is_empty());
    }
}

/// An early save, and a store that takes more than a second to say that it still stands.
#[test]
fn a_store_that_is_slow_is_not_asked_twice() {
    let (app, later) = app(Duration::from_secs(60 * MINUTE), Counting::new);
    let (exchange, session) = app.ask(&[]);
    session.insert("user", "tj").unwrap();
    done(session.save()).unwrap();
    later.store(5, Ordering::SeqCst);
    app.store.far.back.store(3, Ordering::SeqCst);
    assert_eq!(done(exchange.end()).unwrap().len(), 1);
    assert_eq!(app.store.reads.load(Ordering::SeqCst), 1);
}

/// What the end writes takes seconds, and so does the look after it. The cookie goes out: no touch would bring it for a fifth of the
/// lifetime, and the browser's own ends before.
#[test]
fn a_store_that_is_slow_logs_nobody_out() {
    for changes in [false, true] {
        let (app, later) = timed();
        let sid = app.log_in();
        later.store(56 * MINUTE, Ordering::SeqCst);
        let (exchange, session) = app.request(&sid);
        if changes {
            session.set_max_age(Some(Duration::from_secs(600 * MINUTE))).unwrap();
        }
        let mut end = Box::pin(exchange.end());
        let before = common::calls(&app);
        common::poll_until(&mut end, || common::calls(&app) > before);
        later.store(56 * MINUTE + 2, Ordering::SeqCst);
        common::poll_until(&mut end, || common::calls(&app) > before + 1);
        later.store(56 * MINUTE + 4, Ordering::SeqCst);
        assert_eq!(done(end).unwrap().len(), 1, "{changes}");
        assert_eq!(session.cookie().expires(), app.held(&sid).unwrap().cookie.expires());
    }
}

/// A socket that writes while every answer takes seconds: the record ends no later than the browser's cookie, which nobody renews.
#[test]
fn a_write_that_keeps_the_end_does_not_move_it_by_the_time_of_an_answer() {
    let (app, later) = app(Duration::from_secs(60 * MINUTE), Far::new);
    let (exchange, socket) = app.ask(&[]);
    socket.insert("user", "tj").unwrap();
    done(exchange.end()).unwrap();
    let sid = socket.id().unwrap();
    let (exchange, one) = app.request(&sid);
    let end = one.cookie().expires().unwrap();
    let held = || done(app.store.memory.get(&sid)).unwrap().unwrap().record.cookie.expires().unwrap();
    app.store.back.store(8, Ordering::SeqCst);
    for minute in 1..4 {
        later.store(minute * MINUTE, Ordering::SeqCst);
        done(add(&one)).unwrap();
        assert_eq!(held(), end);
    }
    // Where the question took its time, the same answer means a later end: nobody can tell.
    app.store.back.store(0, Ordering::SeqCst);
    app.store.there.store(8, Ordering::SeqCst);
    for minute in 4..7 {
        later.store(minute * MINUTE, Ordering::SeqCst);
        done(add(&one)).unwrap();
        let early = end.duration_since(held()).unwrap();
        assert!(early <= Duration::from_secs((minute - 3) * 8), "{early:?}");
    }
    drop(exchange);
}

/// Of a touched record it is the store that says when it ends, and its answer takes a moment: an early save that keeps that end
/// has kept nothing back which the end of the request would have to write once more.
#[test]
fn an_early_save_of_a_touched_record_is_one_write() {
    let hour = CookieOptions::new().max_age(Duration::from_secs(60 * MINUTE));
    let (app, later) = app_in(Duration::from_millis(1), |options| options.cookie(hour), Counting::new);
    let (exchange, session) = app.ask(&[]);
    session.insert("user", "tj").unwrap();
    done(exchange.end()).unwrap();
    let sid = session.id().unwrap();
    later.store(30 * MINUTE * 1_000, Ordering::SeqCst);
    let (exchange, _session) = app.request(&sid);
    assert_eq!(done(exchange.end()).unwrap().len(), 1, "the touch, and its cookie");
    app.store.far.back.store(50, Ordering::SeqCst);
    later.store(31 * MINUTE * 1_000, Ordering::SeqCst);
    let calls = || [&app.store.reads, &app.store.writes].map(|counter| counter.load(Ordering::SeqCst));
    let [reads, writes] = calls();
    let (exchange, session) = app.request(&sid);
    session.insert("page", 2).unwrap();
    done(session.save()).unwrap();
    done(exchange.end()).unwrap();
    assert_eq!(calls(), [reads + 1, writes + 1]);
}

/// A touch that was left out, and then a change that was stored: that is what the end has written.
#[test]
fn an_end_whose_change_is_stored_after_a_touch_was_left_out_does_not_fail_with_the_look() {
    let (app, later) = timed();
    let sid = app.log_in();
    app.store.skips_touches.store(true, Ordering::SeqCst);
    later.store(50 * MINUTE, Ordering::SeqCst);
    let (exchange, session) = app.request(&sid);
    let mut end = Box::pin(exchange.end());
    assert!(common::polled(1, end.as_mut()).is_none());
    session.insert("k", 1).unwrap();
    while app.held(&sid).unwrap().data.get("k").is_none() {
        assert!(common::polled(1, end.as_mut()).is_none());
    }
    later.store(50 * MINUTE + 2, Ordering::SeqCst);
    app.trouble(&sid, Some(Trouble::FailsBefore));
    done(end).unwrap();
}

/// A lifetime that has ended is no reason to forget what was answered.
#[test]
fn an_update_of_a_session_that_was_set_to_end_is_stored_when_it_is_revived() {
    let (app, _) = timed();
    let sid = app.log_in();
    let (exchange, session) = app.request(&sid);
    session.set_max_age(Some(Duration::ZERO)).unwrap();
    assert_eq!(done(add(&session)).unwrap(), 1);
    assert_eq!((session.get::<u64>("n").unwrap(), app.records()), (Some(1), 0));
    // The same before anything is stored.
    assert_eq!(done(add(&session)).unwrap(), 2);
    session.set_max_age(Some(Duration::from_secs(60 * MINUTE))).unwrap();
    done(exchange.end()).unwrap();
    assert_eq!(app.count(&sid), Some(2));
    let (exchange, session) = app.request(&sid);
    session.set_max_age(Some(Duration::ZERO)).unwrap();
    app.trouble_at(0, Trouble::FailsBefore);
    assert!(done(add(&session)).is_err());
    session.set_max_age(Some(Duration::from_secs(60 * MINUTE))).unwrap();
    assert_eq!(done(add(&session)).unwrap(), 3, "the one that failed does not count");
    done(exchange.end()).unwrap();
    assert_eq!(app.count(&sid), Some(3));
}

/// A virtual machine that resumes, say. Who was told a moment ago by a later clock is not told for as long.
#[test]
fn a_clock_that_is_set_back_does_not_make_old_answers_new() {
    let (app, later) = timed();
    later.store(30, Ordering::SeqCst);
    let sid = app.log_in();
    let [(a, one), (b, two)] = [(); 2].map(|()| app.request(&sid));
    done(add(&one)).unwrap();
    later.store(10, Ordering::SeqCst);
    done(two.renew_id()).unwrap();
    assert_eq!(done(b.end()).unwrap().len(), 1);
    assert!(done(a.end()).unwrap().is_empty(), "the cookie of what is no more");
}
