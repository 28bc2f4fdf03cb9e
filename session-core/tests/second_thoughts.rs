//! What comes otherwise than an operation was begun for: the session is no more by then, or has expired by the store's clock, or
//! the store fails at the last question. Nothing is left over, nobody else's is touched, and the store is not asked in vain.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use common::{App, SlowStore, Trouble, add, apps, calls, clock, done, poll, poll_until, polled};
use session_core::{
    Clock, Cookie, CookieOptions, Destroyed, Error, Exchange, Expect, MemoryStore, Options, Record,
    SessionHandle, Set, Sid, Store, StoreError, Stored, Touch, Touched, Unset, async_trait,
};

const HOUR: Duration = Duration::from_secs(3_600);
const SECOND: Duration = Duration::from_secs(1);

fn express() -> Options {
    Options::express("keyboard cat").name("sid")
}

/// The new profile, a session of an hour, and its clock.
fn an_hour() -> (App, Arc<AtomicUsize>) {
    let (later, clock) = clock();
    let memory = MemoryStore::new().clock(clock.clone());
    let store = Arc::new(SlowStore { memory, ..SlowStore::default() });
    let hour = CookieOptions::new().max_age(HOUR);
    let options = Options::new("keyboard cat").cookie(hour).clock(clock).unset(Unset::Destroy);
    (App { sessions: options.store(Arc::clone(&store)).build().unwrap(), store }, later)
}

/// Two logins at once, by a double click: the first one has moved the session to another id.
fn too_late(app: &App) -> (Exchange, SessionHandle) {
    let sid = app.log_in();
    let [(one, first), (other, second)] = [(); 2].map(|()| app.request(&sid));
    done(first.renew_id()).unwrap();
    done(one.end()).unwrap();
    (other, second)
}

#[test]
fn who_has_no_session_any_more_begins_and_reads_none() {
    for app in apps() {
        for destroys in [true, false] {
            let sid = app.log_in();
            let (exchange, session) = app.request(&sid);
            if destroys {
                done(session.destroy()).unwrap();
            } else {
                session.unset();
            }
            let (id, before) = (session.id().unwrap(), calls(&app));
            assert!(matches!(done(session.regenerate()), Err(Error::Destroyed)));
            assert!(matches!(done(session.renew_id()), Err(Error::Destroyed)));
            assert!(matches!(done(session.reload()), Err(Error::Destroyed)));
            assert!(matches!(done(session.save()), Err(Error::Destroyed)));
            assert_eq!((session.id().unwrap(), calls(&app)), (id, before));
            done(exchange.end()).unwrap();
            assert_eq!(app.held(&sid).is_none(), destroys);
        }
    }
}

#[test]
fn a_reload_that_fails_says_so_and_changes_nothing() {
    for app in apps() {
        let sid = app.log_in();
        let (_exchange, session) = app.request(&sid);
        session.insert("k", 1).unwrap();
        app.trouble(&sid, Some(Trouble::FailsBefore));
        let before = calls(&app);
        assert!(matches!(done(session.reload()), Err(Error::Store(_))));
        assert_eq!(calls(&app) - before, 1);
        assert_eq!(session.get::<u8>("k").unwrap(), Some(1));
    }
}

#[test]
fn a_session_that_is_let_go_of_and_destroyed_takes_its_cookie_along() {
    let (app, _) = an_hour();
    let sid = app.log_in();
    let (exchange, session) = app.request(&sid);
    session.unset();
    let cookies = done(exchange.end()).unwrap();
    assert!(cookies.len() == 1 && cookies[0].starts_with("sid=;"), "{cookies:?}");
    assert!(app.held(&sid).is_none());
}

/// Its own save has confirmed the cookie a moment ago; what the store answers then says that somebody else has written since.
#[test]
fn an_error_after_a_conflict_sets_no_browsers_cookie_back() {
    let (app, later) = an_hour();
    let sid = app.log_in();
    let [(one, first), (other, second)] = [(); 2].map(|()| app.request(&sid));
    done(first.save()).unwrap();
    // A touch is due by now.
    later.store(50 * 60 * 1_000, Ordering::SeqCst);
    done(first.reload()).unwrap();
    done(add(&second)).unwrap();
    assert_eq!(done(other.end()).unwrap().len(), 1, "the browser's cookie lives for an hour");
    // The touch is too late, and what is there by now cannot be read.
    app.trouble_at(1, Trouble::FailsBefore);
    let error = done(one.end()).unwrap_err();
    assert!(error.cookies().is_empty(), "{error:?}");
}

/// At whatever moment of an operation it is let go of.
#[test]
fn what_is_let_go_of_beside_an_operation_takes_its_cookie_along() {
    type Task<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + 'a>>;
    let operations: [fn(&SessionHandle) -> Task<'_>; 5] = [
        |session| Box::pin(session.renew_id()),
        |session| Box::pin(session.regenerate()),
        |session| Box::pin(session.reload()),
        |session| Box::pin(session.save()),
        |session| Box::pin(async { add(session).await.map(drop) }),
    ];
    for (at, operation) in operations.iter().enumerate() {
        for moment in 1.. {
            let (app, _) = an_hour();
            let sid = app.log_in();
            let (exchange, session) = app.request(&sid);
            session.insert("k", 1).unwrap();
            let mut task = operation(&session);
            if (0..moment).any(|_| poll(&mut task)) {
                assert!(moment > 1, "{at}");
                break;
            }
            session.unset();
            _ = done(task);
            let cookies = done(exchange.end()).unwrap();
            assert!(cookies.len() == 1 && cookies[0].starts_with("sid=;"), "{at} {moment}: {cookies:?}");
            assert_eq!(app.records(), 0, "{at} {moment}");
        }
    }
}

/// Also where that cannot be asked.
#[test]
fn what_is_let_go_of_while_the_end_asks_whether_it_is_so_is_destroyed() {
    for fails in [false, true] {
        let (app, later) = an_hour();
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        session.insert("k", 1).unwrap();
        done(session.save()).unwrap();
        later.store(5_000, Ordering::SeqCst);
        if fails {
            app.trouble_at(0, Trouble::FailsBefore);
        }
        let mut end = Box::pin(exchange.end());
        let before = calls(&app);
        poll_until(&mut end, || calls(&app) != before);
        session.unset();
        done(end).unwrap();
        assert!(app.held(&sid).is_none(), "{fails}");
    }
}

#[test]
fn what_another_request_wrote_is_not_written_again_once_the_end_has_asked() {
    let (app, later) = an_hour();
    let sid = app.log_in();
    let (exchange, session) = app.request(&sid);
    session.insert("a", 1).unwrap();
    done(session.save()).unwrap();
    let (other, two) = app.request(&sid);
    two.insert("b", 1).unwrap();
    done(other.end()).unwrap();
    later.store(5_000, Ordering::SeqCst);
    let before = calls(&app);
    assert_eq!(done(exchange.end()).unwrap().len(), 1);
    assert_eq!(calls(&app) - before, 1, "asked, and written");
    assert_eq!(app.held(&sid).unwrap().data.get("b"), Some("1"));
}

/// The store takes half the lifetime to say that the session is there.
#[test]
fn a_touch_that_is_due_once_the_end_has_asked_is_made() {
    let (app, later) = an_hour();
    let sid = app.log_in();
    let (exchange, session) = app.request(&sid);
    session.insert("a", 1).unwrap();
    done(session.save()).unwrap();
    later.store(5_000, Ordering::SeqCst);
    let mut end = Box::pin(exchange.end());
    let before = calls(&app);
    poll_until(&mut end, || calls(&app) != before);
    later.store(30 * 60_000, Ordering::SeqCst);
    assert_eq!(done(end).unwrap().len(), 1);
    assert_eq!(done(app.store.memory.get(&sid)).unwrap().unwrap().left, Some(HOUR));
}

/// What a renewal left behind comes after it: nobody has the id of that.
#[test]
fn a_logout_that_the_end_finishes_ends_first_what_somebody_has() {
    for app in apps() {
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        let mut renewal = Box::pin(session.renew_id());
        let before = calls(&app);
        // The copy is made, and nobody waits for the rest.
        poll_until(&mut renewal, || calls(&app) >= before + 2);
        drop(renewal);
        assert_eq!(app.records(), 2);
        assert!(polled(1, session.destroy()).is_none());
        let mut end = Box::pin(exchange.end());
        poll_until(&mut end, || app.records() != 2);
        assert!(app.held(&sid).is_none());
        done(end).unwrap();
        assert_eq!(app.records(), 0);
    }
}

#[test]
fn a_renewal_that_comes_too_late_leaves_no_copy_and_reads_nothing() {
    for app in apps() {
        let (_exchange, session) = too_late(&app);
        let before = calls(&app);
        assert!(matches!(done(session.renew_id()), Err(Error::Gone)));
        // The copy, the end of the old record, and that of the copy.
        assert_eq!((calls(&app) - before, app.records()), (3, 1));
    }
}

#[test]
fn what_is_known_to_be_gone_is_not_asked_for_again() {
    for options in [Options::new("keyboard cat").touch(Touch::EveryRequest), express().resave(false)] {
        let (_, clock) = clock();
        let store =
            Arc::new(SlowStore { memory: MemoryStore::new().clock(clock.clone()), ..SlowStore::default() });
        let options = options.clock(clock).store(Arc::clone(&store));
        let app = App { sessions: options.build().unwrap(), store };
        let (exchange, session) = too_late(&app);
        assert!(matches!(done(session.renew_id()), Err(Error::Gone)));
        let before = calls(&app);
        assert!(matches!(done(session.renew_id()), Err(Error::Gone)));
        assert!(done(exchange.end()).unwrap().is_empty());
        assert_eq!(calls(&app), before);
    }
}

#[test]
fn a_session_that_has_expired_is_renewed_and_begins_anew() {
    for app in apps() {
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        session.set_expires(Some(SystemTime::UNIX_EPOCH)).unwrap();
        let before = calls(&app);
        done(session.renew_id()).unwrap();
        assert_eq!((calls(&app) - before, app.records()), (1, 0));
        assert_ne!(session.id().unwrap(), sid);
        session.set_max_age(Some(HOUR)).unwrap();
        session.insert("late", 1).unwrap();
        assert_eq!(done(exchange.end()).unwrap().len(), 1);
        assert_eq!(app.held(&session.id().unwrap()).unwrap().data.get("late"), Some("1"));
    }
}

#[test]
fn a_copy_of_what_has_expired_since_is_gone_when_its_id_is_the_sessions() {
    for app in apps() {
        let sid = app.log_in();
        let (_exchange, session) = app.request(&sid);
        let mut renewal = Box::pin(session.renew_id());
        poll_until(&mut renewal, || app.records() >= 2);
        app.is_overtaken(&sid, 1);
        session.set_expires(Some(SystemTime::UNIX_EPOCH)).unwrap();
        done(renewal).unwrap();
        assert_eq!(app.overtakings(), 1);
        assert_ne!(session.id().unwrap(), sid);
        assert_eq!(app.records(), 0);
    }
}

/// The id is of the application's making, and somebody has it already.
#[test]
fn a_renewal_that_copies_nothing_ends_nobody_elses_session() {
    for expires in [true, false] {
        let made = AtomicUsize::new(0);
        let genid = move |_: &session_core::RequestInfo<'_>| match made.fetch_add(1, Ordering::SeqCst) {
            1 => "mine".into(),
            _ => Sid::from("theirs"),
        };
        let store = Arc::new(SlowStore::default());
        let sessions = Options::new("keyboard cat").genid(genid).store(Arc::clone(&store)).build().unwrap();
        let app = App { sessions, store };
        let (theirs, mine) = (app.log_in(), app.log_in());
        assert_ne!(mine, theirs);
        let (_exchange, session) = app.request(&mine);
        if expires {
            session.set_expires(Some(SystemTime::UNIX_EPOCH)).unwrap();
            done(session.renew_id()).unwrap();
        } else {
            let (_other, two) = app.request(&mine);
            done(two.destroy()).unwrap();
            // So it is known to be gone.
            assert!(matches!(done(session.save()), Err(Error::Gone)));
            assert!(matches!(done(session.renew_id()), Err(Error::Gone)));
        }
        assert!(app.held(&theirs).is_some(), "{expires}");
        assert!(app.held(&mine).is_none());
    }
}

/// Two requests have made it so large together, or the bound was set lower since.
#[test]
fn what_is_above_the_bound_may_expire() {
    for (app, options) in apps().into_iter().zip([Options::new("keyboard cat"), express()]) {
        for saves in [true, false] {
            let sid = app.log_in();
            let options = options.clone().max_record_size(8).store(Arc::clone(&app.store));
            let bounded = App { sessions: options.build().unwrap(), store: Arc::clone(&app.store) };
            let (exchange, session) = bounded.request(&sid);
            session.set_expires(Some(SystemTime::UNIX_EPOCH)).unwrap();
            if saves {
                done(session.save()).unwrap();
                assert!(app.held(&sid).is_none());
            }
            done(exchange.end()).unwrap();
            assert!(app.held(&sid).is_none());
        }
    }
}

/// A store whose writes take their time to come. It may be given up, and do what it was asked later.
#[derive(Debug, Default)]
struct Odd {
    memory: MemoryStore,
    later: Arc<AtomicUsize>,
    /// So many milliseconds.
    takes: AtomicUsize,
    /// How many writes and touches came.
    came: AtomicUsize,
    /// The answer to the next write is lost.
    loses: AtomicBool,
    /// The next destruction is given up by its caller.
    catches: AtomicBool,
    caught: Mutex<Option<(Sid, Expect)>>,
}

impl Odd {
    fn comes(&self) {
        assert!(self.came.fetch_add(1, Ordering::SeqCst) < 1_000, "it is asked for ever");
        self.later.fetch_add(self.takes.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

#[async_trait]
impl Store for Odd {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        self.memory.get(sid).await
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        self.comes();
        let answer = self.memory.set(sid, record, expect).await;
        let is_lost = self.loses.swap(false, Ordering::SeqCst);
        if is_lost { Err(StoreError::unavailable("odd", "lost")) } else { answer }
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        self.comes();
        self.memory.touch(sid, cookie, expect).await
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        if self.catches.swap(false, Ordering::SeqCst) {
            *self.caught.lock().unwrap() = Some((sid.clone(), expect.clone()));
            std::future::pending::<()>().await;
        }
        self.memory.destroy(sid, expect).await
    }
}

/// In all profiles, and of one that touches where Express would write; and by how much the store's clock is ahead.
fn odd(ahead: Duration) -> [App<Odd>; 3] {
    [Options::new("keyboard cat"), express(), express().resave(false)].map(|options| {
        let (later, clock) = clock();
        let (theirs, behind) = (clock.clone(), clock);
        let memory = MemoryStore::new().clock(Clock::new(move || theirs.now() + ahead));
        let store = Arc::new(Odd { memory, later, ..Odd::default() });
        let options = options.cookie(CookieOptions::new().max_age(HOUR)).clock(behind);
        App { sessions: options.store(Arc::clone(&store)).build().unwrap(), store }
    })
}

fn log_in(app: &App<Odd>) -> Sid {
    let (exchange, session) = app.ask(&[]);
    session.insert("user", "tj").unwrap();
    done(exchange.end()).unwrap();
    session.id().unwrap()
}

type Does = fn(&Exchange, &SessionHandle) -> Result<(), Error>;

/// Whatever writes by the clock.
const ALL: [Does; 4] = [
    |_, session| done(session.save()),
    |_, session| done(session.update("n", |n: Option<u8>| n.unwrap_or(0) + 1)).map(drop),
    |_, session| done(session.renew_id()),
    |exchange, _| done(exchange.end()).map(drop).map_err(Error::from),
];

#[test]
fn what_has_expired_by_the_stores_clock_has_ended() {
    for does in ALL {
        for app in odd(2 * SECOND) {
            let sid = log_in(&app);
            let (exchange, session) = app.request(&sid);
            session.set_max_age(Some(SECOND)).unwrap();
            let before = app.store.came.load(Ordering::SeqCst);
            does(&exchange, &session).unwrap();
            assert_eq!(app.store.came.load(Ordering::SeqCst) - before, 1);
            assert!(done(app.store.memory.get(&sid)).unwrap().is_none());
        }
    }
}

/// Each time it is sent for another second, and each time that takes longer.
#[test]
fn what_always_comes_later_than_its_lifetime_is_given_up() {
    for does in ALL {
        for app in odd(Duration::ZERO) {
            let sid = log_in(&app);
            let (exchange, session) = app.request(&sid);
            session.set_max_age(Some(SECOND)).unwrap();
            app.store.takes.store(1_500, Ordering::SeqCst);
            let before = app.store.came.load(Ordering::SeqCst);
            let failed = does(&exchange, &session);
            assert!(matches!(failed, Err(Error::Contended(32))), "{failed:?}");
            assert_eq!(app.store.came.load(Ordering::SeqCst) - before, 33);
            assert!(done(app.store.memory.get(&sid)).unwrap().is_some());
        }
    }
}

/// Of a session that a save has left in doubt, too: the old record ends only if it is the one that was read.
#[test]
fn a_regeneration_that_was_given_up_ends_nothing_that_was_stored_since() {
    for app in odd(Duration::ZERO) {
        let (exchange, session) = app.request(&log_in(&app));
        session.insert("a", 1).unwrap();
        app.store.loses.store(true, Ordering::SeqCst);
        assert!(matches!(done(session.save()), Err(Error::Store(_))));
        app.store.catches.store(true, Ordering::SeqCst);
        assert!(polled(3, session.regenerate()).is_none());
        session.insert("b", 1).unwrap();
        done(exchange.end()).unwrap();
        let (sid, expect) = app.store.caught.lock().unwrap().take().unwrap();
        assert_eq!(done(app.store.memory.destroy(&sid, &expect)).unwrap(), Destroyed::Conflict);
        let held = done(app.store.memory.get(&session.id().unwrap())).unwrap().unwrap().record;
        assert_eq!((held.data.get("a"), held.data.get("b")), (Some("1"), Some("1")));
    }
}
