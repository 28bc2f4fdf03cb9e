//! Stores whose version of a record is its text: what is written again is another version all the same, so that a call that
//! nobody waits for any more does nothing when it arrives late.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use common::{App, add, done, polled};
use session_core::{
    Clock, Cookie, CookieOptions, Destroyed, Expect, Options, Record, Set, Sid, Store, StoreError, Stored,
    Touched, Version, async_trait,
};

/// A store that keeps texts. A destruction or a write may be caught, and done later.
#[derive(Debug, Default)]
struct Texts {
    clock: Clock,
    held: Mutex<HashMap<Sid, String>>,
    catches_destroy: AtomicBool,
    catches_set: AtomicBool,
    loses_an_answer: AtomicBool,
    caught: Mutex<Option<(Sid, Option<Record>, Expect)>>,
}

impl Texts {
    async fn catch(&self, catches: &AtomicBool, sid: &Sid, record: Option<&Record>, expect: &Expect) {
        if catches.swap(false, Ordering::SeqCst) {
            *self.caught.lock().unwrap() = Some((sid.clone(), record.cloned(), expect.clone()));
            std::future::pending::<()>().await;
        }
    }

    /// Whether what was caught does anything, now that it arrives.
    fn arrives(&self) -> bool {
        let (sid, record, expect) = self.caught.lock().unwrap().take().unwrap();
        match record {
            Some(record) => matches!(done(self.set(&sid, &record, &expect)).unwrap(), Set::Written(_)),
            None => done(self.destroy(&sid, &expect)).unwrap() == Destroyed::Destroyed,
        }
    }

    fn is_as_expected(held: Option<&String>, expect: &Expect) -> bool {
        match expect {
            Expect::Anything => true,
            Expect::Nothing => held.is_none(),
            Expect::Version(version) => held.map(String::as_str) == version.text(),
        }
    }

    fn record(&self, sid: &Sid) -> Option<Record> {
        self.held.lock().unwrap().get(sid).map(|text| Record::parse(text.as_str()).unwrap())
    }
}

#[async_trait]
impl Store for Texts {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        let (text, now) = (self.held.lock().unwrap().get(sid).cloned(), self.clock.now());
        Ok(text.map(|text| {
            let record = Record::parse(text.as_str()).unwrap();
            Stored {
                left: record.expires().map(|at| at.duration_since(now).unwrap_or_default()),
                lifetime: record.cookie.original_max_age(),
                record,
                version: Version::from_text(text),
            }
        }))
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        self.catch(&self.catches_set, sid, Some(record), expect).await;
        let (mut held, text) = (self.held.lock().unwrap(), record.to_json());
        if !Self::is_as_expected(held.get(sid), expect) {
            return Ok(Set::Conflict);
        }
        held.insert(sid.clone(), text.clone());
        if self.loses_an_answer.swap(false, Ordering::SeqCst) {
            return Err(StoreError::unavailable("texts", "lost"));
        }
        Ok(Set::Written(Version::from_text(text)))
    }

    async fn touch(&self, sid: &Sid, _: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        Ok(match self.held.lock().unwrap().get(sid) {
            None => Touched::Unknown,
            held if Self::is_as_expected(held, expect) => Touched::Moved,
            Some(_) => Touched::Conflict,
        })
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        self.catch(&self.catches_destroy, sid, None, expect).await;
        let mut held = self.held.lock().unwrap();
        Ok(match held.get(sid) {
            None => Destroyed::Unknown,
            there if Self::is_as_expected(there, expect) => {
                held.remove(sid);
                Destroyed::Destroyed
            }
            Some(_) => Destroyed::Conflict,
        })
    }
}

/// In both profiles, with a cookie that has a date and with one that has none. Each time the clock is asked it is a
/// millisecond later.
fn apps() -> impl Iterator<Item = App<Texts>> {
    let (start, later) = (SystemTime::now(), Arc::new(AtomicU64::new(0)));
    let clock = Clock::new(move || start + Duration::from_millis(later.fetch_add(1, Ordering::SeqCst)));
    let hour = || CookieOptions::new().max_age(Duration::from_secs(3_600));
    let profile = || [Options::new("keyboard cat"), Options::express("keyboard cat").name("sid")];
    let dated = profile().map(|options| options.cookie(hour()));
    profile().into_iter().chain(dated).map(move |options| {
        let store = Arc::new(Texts { clock: clock.clone(), ..Texts::default() });
        let sessions = options.clock(clock.clone()).store(Arc::clone(&store)).build().unwrap();
        App { sessions, store }
    })
}

fn log_in(app: &App<Texts>) -> Sid {
    let (exchange, session) = app.ask(&[]);
    session.insert("user", "tj").unwrap();
    session.insert("n", 1).unwrap();
    done(exchange.end()).unwrap();
    session.id().unwrap()
}

#[test]
fn a_renewal_that_was_given_up_does_not_end_the_session() {
    for app in apps() {
        let sid = log_in(&app);
        let (exchange, session) = app.request(&sid);
        app.store.catches_destroy.store(true, Ordering::SeqCst);
        assert!(polled(3, session.renew_id()).is_none());
        done(exchange.end()).unwrap();
        assert!(!app.store.arrives());
        assert_eq!(app.store.held.lock().unwrap().len(), 1);
    }
}

#[test]
fn a_regeneration_that_was_given_up_does_not_end_what_was_stored_since() {
    for app in apps() {
        let sid = log_in(&app);
        let (exchange, session) = app.request(&sid);
        app.store.catches_destroy.store(true, Ordering::SeqCst);
        assert!(polled(3, session.regenerate()).is_none());
        session.insert("order", 42).unwrap();
        done(exchange.end()).unwrap();
        assert!(!app.store.arrives());
        assert_eq!(app.store.record(&sid).unwrap().data.get("order"), Some("42"));
    }
}

#[test]
fn what_was_taken_back_stays_taken_back() {
    for app in apps() {
        let sid = log_in(&app);
        let (exchange, session) = app.request(&sid);
        session.insert("admin", true).unwrap();
        app.store.catches_set.store(true, Ordering::SeqCst);
        assert!(polled(3, session.save()).is_none());
        session.remove("admin").unwrap();
        done(exchange.end()).unwrap();
        assert!(!app.store.arrives());
        assert_eq!(app.store.record(&sid).unwrap().data.get("admin"), None);
    }
}

#[test]
fn what_was_counted_back_is_not_counted_again() {
    for app in apps() {
        let sid = log_in(&app);
        let (exchange, session) = app.request(&sid);
        app.store.catches_set.store(true, Ordering::SeqCst);
        assert!(polled(3, add(&session)).is_none());
        assert_eq!(done(add(&session)).unwrap(), 2);
        done(session.update("n", |n: Option<u64>| n.unwrap() - 1)).unwrap();
        done(exchange.end()).unwrap();
        assert!(!app.store.arrives());
        assert_eq!(app.store.record(&sid).unwrap().data.get("n"), Some("1"));
    }
}

#[test]
fn the_same_text_again_is_another_version_to_a_renewal_that_was_given_up() {
    for app in apps() {
        let sid = log_in(&app);
        let (exchange, session) = app.request(&sid);
        app.store.catches_destroy.store(true, Ordering::SeqCst);
        assert!(polled(3, session.renew_id()).is_none());
        session.insert("tmp", 1).unwrap();
        done(session.save()).unwrap();
        session.remove("tmp").unwrap();
        done(exchange.end()).unwrap();
        assert!(!app.store.arrives());
        assert_eq!(app.store.held.lock().unwrap().len(), 1);
    }
}

#[test]
fn a_regeneration_of_what_may_be_stored_ends_nothing_else() {
    for app in apps() {
        let (exchange, session) = app.ask(&[]);
        session.insert("k", 1).unwrap();
        app.store.loses_an_answer.store(true, Ordering::SeqCst);
        assert!(done(session.save()).is_err());
        app.store.catches_destroy.store(true, Ordering::SeqCst);
        assert!(polled(3, session.regenerate()).is_none());
        done(exchange.end()).unwrap();
        assert!(app.store.record(&session.id().unwrap()).is_some());
        assert!(!app.store.arrives());
    }
}

/// JavaScript's `false` for a date, and the last date that there is.
#[test]
fn a_date_that_does_not_move_is_none() {
    let sid = Sid::from("first");
    for app in apps() {
        for cookie in [
            r#"{"originalMaxAge":false,"expires":false,"httpOnly":true,"path":"/"}"#,
            r#"{"originalMaxAge":9007199254740991,"expires":"9999-12-31T23:59:59.999Z","httpOnly":true,"path":"/"}"#,
        ] {
            let text = format!(r#"{{"cookie":{cookie},"user":"tj"}}"#);
            app.store.held.lock().unwrap().insert(sid.clone(), text);
            let (exchange, session) = app.request(&sid);
            app.store.catches_destroy.store(true, Ordering::SeqCst);
            assert!(polled(3, session.renew_id()).is_none());
            done(exchange.end()).unwrap();
            assert!(!app.store.arrives(), "{cookie}");
        }
    }
}

/// Express, and whoever writes as it does, makes the same text again: only the new profile's own text differs each time.
#[test]
fn what_another_request_took_back_stays_taken_back() {
    for app in apps().step_by(2) {
        let sid = log_in(&app);
        let (exchange, session) = app.request(&sid);
        app.store.catches_set.store(true, Ordering::SeqCst);
        assert!(polled(3, add(&session)).is_none());
        assert_eq!(done(add(&session)).unwrap(), 2);
        done(exchange.end()).unwrap();
        let (exchange, other) = app.request(&sid);
        done(other.update("n", |n: Option<u64>| n.unwrap() - 1)).unwrap();
        done(exchange.end()).unwrap();
        assert!(!app.store.arrives());
        assert_eq!(app.store.record(&sid).unwrap().data.get("n"), Some("1"));
    }
}

/// Nor does what another request wrote in between let a request of Express's profile forget that a call may be on its way.
#[test]
fn what_was_given_up_does_nothing_though_another_request_wrote_since() {
    for app in apps() {
        let sid = log_in(&app);
        let (_exchange, session) = app.request(&sid);
        app.store.catches_destroy.store(true, Ordering::SeqCst);
        assert!(polled(20, session.renew_id()).is_none());
        let (exchange, other) = app.request(&sid);
        other.insert("n", 2).unwrap();
        done(exchange.end()).unwrap();
        done(session.update("n", |n: Option<u64>| n.unwrap() - 1)).unwrap();
        assert!(!app.store.arrives());
        assert!(app.store.record(&sid).is_some());
    }
}

/// A socket, in the first fifth of the lifetime: every write keeps the end that the record has, and with it the date.
#[test]
fn what_a_socket_took_back_stays_taken_back() {
    let (start, later) = (SystemTime::now(), Arc::new(AtomicU64::new(0)));
    let now = Arc::clone(&later);
    let clock = Clock::new(move || start + Duration::from_secs(now.load(Ordering::SeqCst)));
    for saves in [true, false] {
        let store = Arc::new(Texts { clock: clock.clone(), ..Texts::default() });
        let hour = CookieOptions::new().max_age(Duration::from_secs(3_600));
        let options = Options::new("keyboard cat").cookie(hour).clock(clock.clone());
        let app = App { sessions: options.store(Arc::clone(&store)).build().unwrap(), store };
        let (exchange, socket) = app.ask(&[]);
        socket.insert("user", "tj").unwrap();
        socket.insert("n", 1).unwrap();
        done(exchange.end()).unwrap();
        later.fetch_add(1, Ordering::SeqCst);
        app.store.catches_set.store(true, Ordering::SeqCst);
        if saves {
            socket.insert("n", 2).unwrap();
            assert!(polled(3, socket.save()).is_none());
            later.fetch_add(1, Ordering::SeqCst);
            socket.insert("n", 1).unwrap();
            done(socket.save()).unwrap();
        } else {
            assert!(polled(3, add(&socket)).is_none());
            later.fetch_add(1, Ordering::SeqCst);
            assert_eq!(done(add(&socket)).unwrap(), 2);
            later.fetch_add(1, Ordering::SeqCst);
            done(socket.update("n", |n: Option<u64>| n.unwrap() - 1)).unwrap();
        }
        assert!(!app.store.arrives());
        assert_eq!(app.store.record(&socket.id().unwrap()).unwrap().data.get("n"), Some("1"));
    }
}
