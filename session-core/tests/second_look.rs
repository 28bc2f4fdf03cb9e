//! What is decided by a single word somewhere in the rules: each of these tests is of one that no other test would miss.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use common::{App, SlowStore, Trouble, add, apps, done, poll_until, polled};
use session_core::{
    Attributes, Clock, Cookie, CookieOptions, Destroyed, Error, Exchange, Expect, MemoryStore, Options,
    Priority, Record, SessionHandle, Set, Sid, Store, StoreError, Stored, Touch, Touched, async_trait,
};

const MINUTE: u64 = 60;
const HOUR: Duration = Duration::from_secs(60 * MINUTE);
const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// A memory that tells what it was sent, whose reads take their time, and which may hold records for less long than they say.
#[derive(Debug)]
struct Odd {
    memory: MemoryStore,
    texts: Mutex<Vec<String>>,
    now: Arc<AtomicU64>,
    there: AtomicU64,
    back: AtomicU64,
    left: Mutex<Option<Duration>>,
}

impl Odd {
    fn new(memory: MemoryStore, now: Arc<AtomicU64>) -> Self {
        let (there, back) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { memory, texts: Mutex::default(), now, there, back, left: Mutex::default() }
    }

    fn texts(&self) -> Vec<String> {
        std::mem::take(&mut *self.texts.lock().unwrap())
    }
}

#[async_trait]
impl Store for Odd {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        self.now.fetch_add(self.there.load(Ordering::SeqCst), Ordering::SeqCst);
        let stored = self.memory.get(sid).await?;
        self.now.fetch_add(self.back.load(Ordering::SeqCst), Ordering::SeqCst);
        let left = *self.left.lock().unwrap();
        Ok(stored.map(|stored| Stored { left: left.or(stored.left), ..stored }))
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        self.texts.lock().unwrap().push(record.to_json());
        self.memory.set(sid, record, expect).await
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        self.memory.touch(sid, cookie, expect).await
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        self.memory.destroy(sid, expect).await
    }
}

/// On a clock that stands still, in seconds since the beginning.
fn app<S: Store + 'static>(
    options: Options,
    store: impl FnOnce(MemoryStore, Arc<AtomicU64>) -> S,
) -> (App<S>, Arc<AtomicU64>) {
    let (start, later) = (SystemTime::now(), Arc::new(AtomicU64::new(0)));
    let now = Arc::clone(&later);
    let clock = Clock::new(move || start + Duration::from_secs(now.load(Ordering::SeqCst)));
    let store = Arc::new(store(MemoryStore::new().ttl(24 * HOUR).clock(clock.clone()), Arc::clone(&later)));
    (App { sessions: options.clock(clock).store(Arc::clone(&store)).build().unwrap(), store }, later)
}

fn slow(memory: MemoryStore, _: Arc<AtomicU64>) -> SlowStore {
    SlowStore { memory, ..SlowStore::default() }
}

/// The new profile, with a lifetime of an hour.
fn of_an_hour() -> Options {
    Options::new("keyboard cat").cookie(CookieOptions::new().max_age(HOUR))
}

fn express() -> Options {
    Options::express("keyboard cat").name("sid")
}

fn log_in<S>(app: &App<S>) -> Sid {
    let (exchange, session) = app.ask(&[]);
    session.insert("user", "tj").unwrap();
    done(exchange.end()).unwrap();
    session.id().unwrap()
}

fn left(memory: &MemoryStore, sid: &Sid) -> Duration {
    done(memory.get(sid)).unwrap().unwrap().left.unwrap()
}

fn has_blanks(text: &str) -> bool {
    text.contains(char::is_whitespace)
}

/// Where a date tells one text from the next, and in Express's own records where no call may be on its way, they are as Node
/// would write them.
#[test]
fn a_text_has_no_blanks_where_none_are_needed() {
    for options in [express(), express().cookie(CookieOptions::new().max_age(HOUR)), of_an_hour()] {
        let (app, later) = app(options, Odd::new);
        let sid = log_in(&app);
        later.store(50 * MINUTE, Ordering::SeqCst);
        let (exchange, session) = app.request(&sid);
        session.insert("k", 1).unwrap();
        done(exchange.end()).unwrap();
        let texts = app.store.texts();
        assert_eq!(texts.len(), 2);
        assert!(!texts.iter().any(|text| has_blanks(text)), "{texts:?}");
    }
}

/// A call whose answer came is not on its way any more.
#[test]
fn what_was_answered_leaves_no_blanks() {
    let (app, _) = app(express(), Odd::new);
    let (exchange, session) = app.request(&log_in(&app));
    session.insert("k", 1).unwrap();
    done(session.save()).unwrap();
    done(session.reload()).unwrap();
    session.insert("k", 2).unwrap();
    done(exchange.end()).unwrap();
    let texts = app.store.texts();
    assert_eq!(texts.len(), 3);
    assert!(!texts.iter().any(|text| has_blanks(text)), "{texts:?}");
}

/// Two writes that both keep the end of the record, of the same data.
#[test]
fn where_the_date_stands_still_the_blanks_tell() {
    let (app, later) = app(of_an_hour(), Odd::new);
    let (_exchange, session) = app.request(&log_in(&app));
    for (second, value) in [(1, 1), (2, 2), (3, 1)] {
        later.store(second, Ordering::SeqCst);
        session.insert("k", value).unwrap();
        done(session.save()).unwrap();
    }
    let texts = app.store.texts();
    let [_, first, _, again] = &*texts else { panic!("{texts:?}") };
    assert!(has_blanks(first) && first != again, "{texts:?}");
    assert_eq!(
        Record::parse(first.as_str()).unwrap().to_json(),
        Record::parse(again.as_str()).unwrap().to_json()
    );
}

/// Somebody has shortened it in the store: what the record says of its end is not near what the store says.
#[test]
fn a_record_that_the_store_drops_earlier_than_it_says_is_touched() {
    let (app, later) = app(of_an_hour(), Odd::new);
    let sid = log_in(&app);
    later.store(MINUTE, Ordering::SeqCst);
    for (minutes, touches) in [(59, 0), (10, 1)] {
        *app.store.left.lock().unwrap() = Some(Duration::from_secs(minutes * MINUTE));
        let (exchange, _session) = app.request(&sid);
        assert_eq!(done(exchange.end()).unwrap().len(), touches, "{minutes}");
        assert_eq!(
            left(&app.store.memory, &sid),
            HOUR - Duration::from_secs(if touches > 0 { 0 } else { MINUTE })
        );
    }
}

/// What stands under the new id from before the session was set to end is no part of it any more.
#[test]
fn a_session_that_expires_while_its_id_is_renewed_leaves_no_copy_to_merge_with() {
    for app in apps() {
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        let mut renewal = Box::pin(session.renew_id());
        app.is_overtaken(&sid, 1);
        poll_until(&mut renewal, || app.records() == 2);
        session.set_max_age(Some(Duration::ZERO)).unwrap();
        done(renewal).unwrap();
        assert_eq!((app.overtakings(), app.records()), (1, 0));
        session.set_max_age(Some(HOUR)).unwrap();
        session.insert("k", 1).unwrap();
        done(exchange.end()).unwrap();
        assert_eq!(app.held(&session.id().unwrap()).unwrap().data.get("theirs"), Some("1"));
    }
}

/// Its first write has failed, and the second one went out under another id: that of the first, which nobody has.
fn saved_the_second_time(app: &App) -> (Exchange, SessionHandle, Sid) {
    let (exchange, session) = app.ask(&[]);
    session.insert("user", "tj").unwrap();
    let nobodys = session.id().unwrap();
    app.trouble(&nobodys, Some(Trouble::FailsBefore));
    assert!(done(session.save()).is_err());
    app.trouble(&nobodys, None);
    done(session.save()).unwrap();
    assert_ne!(session.id().unwrap(), nobodys);
    (exchange, session, nobodys)
}

/// However the session that came of it goes on.
#[test]
fn an_id_that_nobody_has_stays_nobodys() {
    for renews in [false, true] {
        for app in apps() {
            let (exchange, session, nobodys) = saved_the_second_time(&app);
            app.trouble(&nobodys, Some(Trouble::FailsBefore));
            if renews {
                done(session.renew_id()).unwrap();
            }
            assert_eq!(done(exchange.end()).unwrap().len(), 1, "no reason to fail");
            assert!(app.held(&session.id().unwrap()).is_some());
        }
    }
}

/// The copy of a renewal that failed, and an id that nobody has: the store hangs with the latter, and the client does not wait.
#[test]
fn what_somebody_may_come_with_is_destroyed_first() {
    for app in apps() {
        let (exchange, session, nobodys) = saved_the_second_time(&app);
        app.trouble_at(1, Trouble::FailsBefore);
        assert!(done(session.renew_id()).is_err());
        assert_eq!(app.records(), 2);
        app.trouble(&nobodys, Some(Trouble::Hangs));
        assert!(polled(1_000, exchange.end()).is_none());
        assert_eq!(app.records(), 1);
    }
}

/// A change of the cookie that was sent, and may be stored or not, and was changed once more: nobody knows which lifetime the
/// record has.
#[test]
fn with_an_error_no_cookie_goes_out_that_was_changed_again_in_doubt() {
    let (app, _) = app(of_an_hour().touch(Touch::EveryRequest), slow);
    for in_doubt in [true, false] {
        let (exchange, session) = app.request(&app.log_in());
        done(add(&session)).unwrap();
        session.set_max_age(Some(MONTH)).unwrap();
        if in_doubt {
            app.trouble_at(0, Trouble::FailsAfter);
            assert!(done(session.save()).is_err());
        }
        session.set_max_age(Some(2 * HOUR)).unwrap();
        app.trouble_at(0, Trouble::FailsBefore);
        assert_eq!(done(exchange.end()).unwrap_err().cookies().len(), usize::from(!in_doubt));
    }
}

/// How long the store holds what has no date of its own is not known yet: a touch gives it all of that again, once a moment has
/// passed.
#[test]
fn a_session_without_a_date_that_was_saved_early_is_touched_at_the_end() {
    let (app, later) = app(Options::new("keyboard cat").idle(None), slow);
    for (seconds, calls) in [(0, 0), (5, 1)] {
        let (exchange, session) = app.ask(&[]);
        session.insert("user", "tj").unwrap();
        done(session.save()).unwrap();
        later.fetch_add(seconds, Ordering::SeqCst);
        let before = app.store.calls.load(Ordering::SeqCst);
        assert_eq!(done(exchange.end()).unwrap().len(), 1);
        assert_eq!(app.store.calls.load(Ordering::SeqCst) - before, calls);
        assert_eq!(left(&app.store.memory, &session.id().unwrap()), 24 * HOUR);
    }
}

/// The end has nothing else to add to what another request wrote.
#[test]
fn what_an_early_save_has_kept_back_is_given_after_a_conflict_where_touches_are_left_out() {
    let (app, later) = app(of_an_hour(), slow);
    let sid = app.log_in();
    app.store.skips_touches.store(true, Ordering::SeqCst);
    later.store(50 * MINUTE, Ordering::SeqCst);
    let [(exchange, one), (_other, two)] = [(); 2].map(|()| app.request(&sid));
    done(add(&one)).unwrap();
    let mut end = Box::pin(exchange.end());
    assert!(polled(1, end.as_mut()).is_none());
    done(add(&two)).unwrap();
    assert_eq!(left(&app.store.memory, &sid), Duration::from_secs(48 * MINUTE));
    assert_eq!(done(end).unwrap().len(), 1);
    assert_eq!((left(&app.store.memory, &sid), app.count(&sid)), (HOUR, Some(2)));
}

/// The end that the first write gave is still that of the record after a second one, which has kept it.
#[test]
fn with_an_error_the_cookie_goes_out_whose_end_a_second_write_has_kept() {
    let (app, later) = app(of_an_hour(), slow);
    let sid = app.log_in();
    later.store(50 * MINUTE, Ordering::SeqCst);
    done(app.request(&sid).0.end()).unwrap();
    let (exchange, session) = app.request(&sid);
    done(add(&session)).unwrap();
    later.store(51 * MINUTE, Ordering::SeqCst);
    done(add(&session)).unwrap();
    assert_eq!(left(&app.store.memory, &sid), Duration::from_secs(59 * MINUTE));
    session.insert("k", 1).unwrap();
    app.trouble_at(0, Trouble::FailsBefore);
    assert_eq!(done(exchange.end()).unwrap_err().cookies().len(), 1);
    assert!(session.cookie().expires() >= app.held(&sid).unwrap().cookie.expires());
}

/// An answer that took two seconds, one of them on its way back: the end seems to be a second later than this request gave it.
#[test]
fn an_end_that_seems_a_second_later_is_not_one_that_somebody_else_gave() {
    let (app, later) = app(of_an_hour(), Odd::new);
    let (exchange, session) = app.ask(&[]);
    session.insert("user", "tj").unwrap();
    done(session.save()).unwrap();
    later.store(5, Ordering::SeqCst);
    app.store.there.store(1, Ordering::SeqCst);
    app.store.back.store(1, Ordering::SeqCst);
    assert_eq!(done(exchange.end()).unwrap().len(), 1);
    assert_eq!(later.load(Ordering::SeqCst), 7);
    let held = done(app.store.memory.get(&session.id().unwrap())).unwrap().unwrap();
    assert_eq!(session.cookie().expires(), held.record.cookie.expires());
}

/// Each of two requests changes another part of the cookie.
#[test]
fn where_the_attributes_are_the_records_a_lifetime_leaves_them_as_another_request_set_them() {
    let (app, _) = app(of_an_hour().attributes(Attributes::Stored), slow);
    let sid = app.log_in();
    let [(a, one), (b, two)] = [(); 2].map(|()| app.request(&sid));
    one.set_max_age(Some(MONTH)).unwrap();
    two.update_cookie(|cookie| cookie.set_priority(Some(Priority::High))).unwrap();
    done(b.end()).unwrap();
    let sent = done(a.end()).unwrap();
    assert!(sent[0].contains("Priority=High"), "{sent:?}");
    let held = app.held(&sid).unwrap().cookie;
    assert_eq!((held.priority(), held.original_max_age()), (Some(Priority::High), Some(MONTH)));
}

/// Also where they are stored, and another request wrote since.
#[test]
fn where_the_attributes_are_the_configurations_those_of_a_handler_last_for_its_response() {
    let (app, _) = app(of_an_hour(), slow);
    let sid = app.log_in();
    let [(exchange, one), (_other, two)] = [(); 2].map(|()| app.request(&sid));
    one.update_cookie(|cookie| cookie.set_priority(Some(Priority::High))).unwrap();
    done(one.save()).unwrap();
    done(add(&two)).unwrap();
    assert_eq!(done(add(&one)).unwrap(), 2);
    let sent = done(exchange.end()).unwrap();
    assert!(sent[0].contains("Priority=High"), "{sent:?}");
}

#[test]
fn a_renewal_that_finds_the_session_gone_asks_no_more_than_it_must() {
    for app in apps() {
        let sid = app.log_in();
        let (_exchange, session) = app.request(&sid);
        let before = app.store.calls.load(Ordering::SeqCst);
        let mut renewal = Box::pin(session.renew_id());
        poll_until(&mut renewal, || app.records() == 2);
        done(app.store.memory.destroy(&sid, &Expect::Anything)).unwrap();
        assert!(matches!(done(renewal), Err(Error::Gone)));
        assert_eq!(app.store.calls.load(Ordering::SeqCst) - before, 3, "the copy, the old one, the copy");
        assert_eq!(app.records(), 0);
    }
}
