//! What is written after the response, and calls that were given up and arrive late.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use common::{App, SlowStore, Trouble, add, apps, done, polled};
use session_core::{
    Clock, Cookie, CookieOptions, Destroyed, Error, Expect, MemoryStore, Options, Record, SessionHandle, Set,
    Sid, Store, StoreError, Stored, Touched, async_trait,
};

const HOUR: Duration = Duration::from_secs(3_600);

fn timed() -> (App, Arc<AtomicUsize>) {
    let (start, later) = (SystemTime::now(), Arc::new(AtomicUsize::new(0)));
    let now = Arc::clone(&later);
    let clock = Clock::new(move || start + Duration::from_secs(now.load(Ordering::SeqCst) as u64));
    let store =
        Arc::new(SlowStore { memory: MemoryStore::new().clock(clock.clone()), ..SlowStore::default() });
    let options = Options::new("keyboard cat").cookie(CookieOptions::new().max_age(HOUR)).clock(clock);
    (App { sessions: options.store(Arc::clone(&store)).build().unwrap(), store }, later)
}

/// The browser's cookie lives an hour from minute 0. A job of that request saves at minute 50, and the visitor comes at minute
/// 55: without a new cookie the browser would forget the session at minute 60.
#[test]
fn a_save_after_the_response_does_not_keep_the_cookie_from_being_renewed() {
    let (app, later) = timed();
    let (exchange, session) = app.ask(&[]);
    session.insert("user", "tj").unwrap();
    assert_eq!(done(exchange.end()).unwrap().len(), 1, "the cookie ends at minute 60");
    later.store(50 * 60, Ordering::SeqCst);
    session.insert("job", "done").unwrap();
    done(session.save()).unwrap();
    later.store(55 * 60, Ordering::SeqCst);
    let (exchange, _session) = app.request(&session.id().unwrap());
    let cookies = done(exchange.end()).unwrap();
    assert_eq!(cookies.len(), 1);
}

#[test]
fn a_socket_that_counts_once_a_minute_does_not_keep_the_cookie_from_being_renewed() {
    let (app, later) = timed();
    let (exchange, session) = app.ask(&[]);
    session.insert("user", "tj").unwrap();
    assert_eq!(done(exchange.end()).unwrap().len(), 1, "the cookie ends at minute 60");
    let mut renewed = 0;
    for minute in 1..60 {
        later.store(minute * 60, Ordering::SeqCst);
        done(add(&session)).unwrap();
        let (exchange, _session) = app.request(&session.id().unwrap());
        renewed += done(exchange.end()).unwrap().len();
    }
    assert!(renewed > 0, "a visitor who clicks every minute is logged out at minute 60");
}

#[test]
fn an_update_whose_request_fails_at_its_end_does_not_keep_the_cookie_from_being_renewed() {
    let (app, later) = timed();
    let (exchange, session) = app.ask(&[]);
    session.insert("user", "tj").unwrap();
    assert_eq!(done(exchange.end()).unwrap().len(), 1);
    later.store(50 * 60, Ordering::SeqCst);
    let (exchange, session) = app.request(&session.id().unwrap());
    done(add(&session)).unwrap();
    session.insert("more", 1).unwrap();
    app.trouble_at(0, Trouble::FailsBefore);
    let sent = done(exchange.end()).unwrap_err().cookies().len();
    later.store(55 * 60, Ordering::SeqCst);
    let (exchange, _session) = app.request(&session.id().unwrap());
    assert!(sent + done(exchange.end()).unwrap().len() > 0);
}

/// Also where it is the value that the handler has seen.
#[test]
fn what_is_set_after_an_update_in_doubt_is_stored() {
    for app in apps() {
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        app.trouble_at(0, Trouble::FailsAfter);
        assert!(done(add(&session)).is_err());
        // The handler begins to count anew.
        session.insert("n", 0).unwrap();
        done(exchange.end()).unwrap();
        assert_eq!(app.count(&sid), Some(0));
    }
}

#[test]
fn what_is_removed_after_an_atomic_change_in_doubt_is_not_stored() {
    let removals: [fn(&session_core::SessionHandle); 2] =
        [|session| _ = session.remove("added").unwrap(), |session| session.clear().unwrap()];
    for remove in removals {
        for app in apps() {
            let sid = app.log_in();
            let (exchange, session) = app.request(&sid);
            app.trouble_at(0, Trouble::FailsAfter);
            assert!(done(session.transaction(|draft| draft.insert("added", 1))).is_err());
            remove(&session);
            session.insert("kept", 1).unwrap();
            done(exchange.end()).unwrap();
            let (_exchange, session) = app.request(&sid);
            assert!(!session.contains("added") && session.contains("kept"));
        }
    }
}

#[derive(Debug, Default)]
struct LateStore {
    memory: MemoryStore,
    /// The next write takes a while.
    delays_set: AtomicBool,
    catches_set: AtomicBool,
    catches_destroy: AtomicBool,
    caught: Mutex<Vec<(Sid, Option<Record>, Expect)>>,
}

impl LateStore {
    async fn catch(&self, catches: &AtomicBool, sid: &Sid, record: Option<&Record>, expect: &Expect) {
        if catches.swap(false, Ordering::SeqCst) {
            self.caught.lock().unwrap().push((sid.clone(), record.cloned(), expect.clone()));
            std::future::pending::<()>().await;
        }
    }

    /// The oldest of those that were caught arrives: whether it does anything.
    fn arrives(&self) -> bool {
        let (sid, record, expect) = self.caught.lock().unwrap().remove(0);
        match record {
            Some(record) => {
                matches!(done(self.memory.set(&sid, &record, &expect)).unwrap(), Set::Written(_))
            }
            None => done(self.memory.destroy(&sid, &expect)).unwrap() == Destroyed::Destroyed,
        }
    }

    fn data(&self, sid: &Sid, key: &str) -> Option<String> {
        let stored = done(self.memory.get(sid)).unwrap()?;
        stored.record.data.get(key).map(str::to_owned)
    }
}

#[async_trait]
impl Store for LateStore {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        self.memory.get(sid).await
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        self.catch(&self.catches_set, sid, Some(record), expect).await;
        let mut is_delayed = self.delays_set.swap(false, Ordering::SeqCst);
        let delay = move |_: &mut Context<'_>| {
            if std::mem::take(&mut is_delayed) { Poll::Pending } else { Poll::Ready(()) }
        };
        poll_fn(delay).await;
        self.memory.set(sid, record, expect).await
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        self.memory.touch(sid, cookie, expect).await
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        self.catch(&self.catches_destroy, sid, None, expect).await;
        self.memory.destroy(sid, expect).await
    }
}

fn late() -> impl Iterator<Item = App<LateStore>> {
    let hour = || CookieOptions::new().max_age(HOUR);
    let express = Options::express("keyboard cat").name("sid");
    [Options::new("keyboard cat"), express.clone(), express.resave(false)].into_iter().map(move |options| {
        let store = Arc::new(LateStore::default());
        let sessions = options.cookie(hour()).store(Arc::clone(&store)).build().unwrap();
        App { sessions, store }
    })
}

fn log_in(app: &App<LateStore>) -> Sid {
    let (exchange, session) = app.ask(&[]);
    session.insert("user", "tj").unwrap();
    done(exchange.end()).unwrap();
    session.id().unwrap()
}

/// A transaction is given up (a time-out), and undone by another: the second one is answered, and the first arrives later.
#[test]
fn what_a_later_transaction_took_back_stays_taken_back() {
    for (at, app) in late().enumerate() {
        let sid = log_in(&app);
        let (exchange, session) = app.request(&sid);
        app.store.catches_set.store(true, Ordering::SeqCst);
        assert!(polled(3, session.transaction(|draft| draft.insert("admin", true))).is_none());
        assert_eq!(done(session.take::<bool>("admin")).unwrap(), None, "there is none, it says");
        done(exchange.end()).unwrap();
        app.store.arrives();
        assert_eq!(app.store.data(&sid, "admin"), None, "{at}");
    }
}

#[test]
fn what_a_reload_dropped_stays_dropped() {
    for (at, app) in late().enumerate() {
        let sid = log_in(&app);
        let (exchange, session) = app.request(&sid);
        session.insert("admin", true).unwrap();
        app.store.catches_set.store(true, Ordering::SeqCst);
        assert!(polled(3, session.save()).is_none());
        done(session.reload()).unwrap();
        assert!(!session.contains("admin"));
        done(exchange.end()).unwrap();
        app.store.arrives();
        assert_eq!(app.store.data(&sid, "admin"), None, "{at}");
    }
}

/// A renewal and an update are given up. The end destroys what the renewal may have left, and reads the session: the update is
/// not to count any more.
#[test]
fn an_update_that_was_given_up_does_not_count_after_the_end_has_read_the_session() {
    let app = late().next().unwrap();
    let sid = log_in(&app);
    let (exchange, session) = app.request(&sid);
    done(add(&session)).unwrap();
    app.store.catches_set.store(true, Ordering::SeqCst);
    assert!(polled(3, session.renew_id()).is_none());
    app.store.catches_set.store(true, Ordering::SeqCst);
    assert!(polled(3, add(&session)).is_none());
    assert_eq!(done(exchange.end()).unwrap().len(), 1);
    assert_eq!(app.store.data(&sid, "n").as_deref(), Some("1"));
    app.store.arrives();
    assert!(!app.store.arrives(), "the update");
    assert_eq!(app.store.data(&sid, "n").as_deref(), Some("1"));
}

/// A record that is to end because its lifetime is over: the call is given up, and the session is read again, or given another
/// lifetime, with which the end only touches it.
#[test]
fn what_was_to_expire_and_goes_on_is_not_ended_by_a_late_call() {
    for (at, app) in late().enumerate() {
        for reloads in [true, false] {
            let sid = log_in(&app);
            let (exchange, session) = app.request(&sid);
            session.set_max_age(Some(Duration::ZERO)).unwrap();
            app.store.catches_destroy.store(true, Ordering::SeqCst);
            assert!(polled(3, session.save()).is_none());
            if reloads {
                done(session.reload()).unwrap();
            } else {
                session.set_max_age(Some(HOUR)).unwrap();
            }
            done(exchange.end()).unwrap();
            app.store.arrives();
            assert!(app.store.data(&sid, "user").is_some(), "{at} {reloads}");
        }
    }
}

/// A first write and then a regeneration are given up, and both arrive late.
#[test]
fn a_regeneration_that_found_nothing_ends_nothing_that_was_stored_since() {
    for (at, app) in late().enumerate() {
        let (exchange, session) = app.ask(&[]);
        session.insert("k", 1).unwrap();
        app.store.catches_set.store(true, Ordering::SeqCst);
        assert!(polled(3, session.save()).is_none());
        app.store.catches_destroy.store(true, Ordering::SeqCst);
        assert!(polled(3, session.regenerate()).is_none());
        assert!(app.store.arrives(), "the first write");
        session.insert("order", 42).unwrap();
        let cookies = done(exchange.end()).unwrap();
        assert_eq!(cookies.len(), 1);
        app.store.arrives();
        assert_eq!(app.store.data(&session.id().unwrap(), "order").as_deref(), Some("42"), "{at}");
    }
}

/// The end's own destruction of what has expired is given up, the lifetime is set anew, and the end is tried again.
#[test]
fn what_was_to_expire_and_was_stored_again_is_not_ended_by_a_late_call() {
    for (at, app) in late().enumerate() {
        let sid = log_in(&app);
        let (exchange, session) = app.request(&sid);
        session.set_max_age(Some(Duration::ZERO)).unwrap();
        app.store.catches_destroy.store(true, Ordering::SeqCst);
        assert!(polled(3, exchange.end()).is_none());
        session.set_max_age(Some(HOUR)).unwrap();
        session.insert("order", 42).unwrap();
        done(exchange.end()).unwrap();
        assert_eq!(app.store.data(&sid, "order").as_deref(), Some("42"), "{at}");
        app.store.arrives();
        assert_eq!(app.store.data(&sid, "order").as_deref(), Some("42"), "{at}");
    }
}

/// An atomic change is given up, and beside a save that is under way the handler says what it saw. The change arrives late, and
/// the save is overtaken by it.
#[test]
fn what_is_set_beside_a_save_that_is_overtaken_is_stored() {
    for (at, app) in late().enumerate() {
        for clears in [true, false] {
            let (exchange, session) = app.ask(&[]);
            session.insert("n", 0).unwrap();
            done(exchange.end()).unwrap();
            let sid = session.id().unwrap();
            let (exchange, session) = app.request(&sid);
            app.store.catches_set.store(true, Ordering::SeqCst);
            assert!(polled(3, add(&session)).is_none());
            app.store.delays_set.store(true, Ordering::SeqCst);
            session.insert("k", 1).unwrap();
            let mut save = Box::pin(session.save());
            assert!(polled(1, save.as_mut()).is_none());
            if clears {
                session.clear().unwrap();
            } else {
                session.insert("n", 0).unwrap();
            }
            assert!(app.store.arrives());
            done(save).unwrap();
            done(exchange.end()).unwrap();
            let expected = (!clears).then_some("0");
            assert_eq!(app.store.data(&sid, "n").as_deref(), expected, "{at} {clears}");
        }
    }
}

/// A renewal whose copy is made, and whose old record is on its way out.
fn copied<'a>(
    app: &App,
    session: &'a SessionHandle,
) -> Pin<Box<dyn Future<Output = Result<(), Error>> + 'a>> {
    let first = app.store.calls.load(Ordering::SeqCst);
    let mut renewal = Box::pin(session.renew_id());
    while app.store.calls.load(Ordering::SeqCst) < first + 2 {
        assert!(polled(1, renewal.as_mut()).is_none());
    }
    renewal
}

/// Its copy is left under an id that nobody knows, until a logout is done with it too.
#[test]
fn a_logout_that_failed_at_what_a_renewal_left_may_be_tried_again() {
    for app in apps() {
        let (_exchange, session) = app.request(&app.log_in());
        let renewal = copied(&app, &session);
        drop(renewal);
        assert_eq!(app.records(), 2);
        app.trouble_at(1, Trouble::FailsBefore);
        assert!(matches!(done(session.destroy()), Err(Error::Store(_))));
        assert_eq!(app.records(), 1);
        done(session.destroy()).unwrap();
        assert_eq!(app.records(), 0);
        assert!(matches!(done(session.destroy()), Err(Error::Destroyed)));
    }
}

/// The same, and another job logs out meanwhile: that has ended it.
#[test]
fn a_logout_beside_a_renewal_that_no_response_can_tell_of_is_done() {
    for app in apps() {
        let (exchange, session) = app.request(&app.log_in());
        let renewal = copied(&app, &session);
        drop(exchange);
        let mut logout = Box::pin(session.destroy());
        assert!(polled(1, logout.as_mut()).is_none());
        _ = done(renewal);
        done(logout).unwrap();
        assert_eq!(app.records(), 0);
    }
}

/// The client leaves while a job renews the id.
#[test]
fn a_renewal_that_no_response_can_tell_of_leaves_no_record() {
    for app in apps() {
        let (exchange, session) = app.request(&app.log_in());
        let renewal = copied(&app, &session);
        drop(exchange);
        assert!(matches!(done(renewal), Err(Error::ResponseOut)));
        assert_eq!(app.records(), 0);
    }
}

/// A job, or a message on a socket, of which only the id is known.
#[test]
fn a_session_is_loaded_outside_of_any_request() {
    for app in apps() {
        assert!(done(app.sessions.load(&Sid::from("nobody"))).unwrap().is_none());
        let sid = app.log_in();
        let session = done(app.sessions.load(&sid)).unwrap().unwrap();
        assert_eq!((session.id().unwrap(), session.is_new()), (sid.clone(), false));
        assert_eq!(session.get::<String>("user").unwrap().as_deref(), Some("tj"));
        assert_eq!(done(add(&session)).unwrap(), 1);
        session.insert("job", "done").unwrap();
        done(session.save()).unwrap();
        assert_eq!(app.held(&sid).unwrap().data.get("job"), Some("\"done\""));

        // What only a cookie could tell.
        assert!(matches!(done(session.renew_id()), Err(Error::ResponseOut)));
        assert!(matches!(done(session.regenerate()), Err(Error::ResponseOut)));
        assert!(matches!(session.set_max_age(Some(HOUR)), Err(Error::ResponseOut)));

        // Beside a request.
        let (exchange, visitor) = app.request(&sid);
        done(add(&visitor)).unwrap();
        done(add(&session)).unwrap();
        done(exchange.end()).unwrap();
        assert_eq!(app.count(&sid), Some(3));

        app.trouble(&sid, Some(Trouble::FailsBefore));
        assert_eq!(done(app.sessions.load(&sid)).unwrap_err().status(), 503);
        app.trouble(&sid, None);
        done(session.destroy()).unwrap();
        assert!(done(app.sessions.load(&sid)).unwrap().is_none());
        assert!(matches!(done(add(&session)), Err(Error::Destroyed)));
    }
}

/// It knows no connection, and leaves what *auto* came out as.
#[test]
fn a_session_that_is_loaded_outside_of_any_request_stays_secure() {
    for is_secure in [false, true] {
        let store = Arc::new(MemoryStore::new());
        let options = Options::new("keyboard cat").store(Arc::clone(&store));
        let sessions = options.build().unwrap();
        let exchange = sessions.exchange();
        let asking = exchange.session(&session_core::RequestInfo::new("/", is_secure, &|_| {}));
        let session = done(asking).unwrap().unwrap();
        session.insert("user", "tj").unwrap();
        done(exchange.end()).unwrap();
        let loaded = done(sessions.load(&session.id().unwrap())).unwrap().unwrap();
        loaded.insert("job", "done").unwrap();
        done(loaded.save()).unwrap();
        let held = done(store.get(&session.id().unwrap())).unwrap().unwrap().record;
        assert_eq!((held.cookie.secure(), held.data.get("job")), (is_secure, Some("\"done\"")));
    }
}

/// Nor what a function has made of the attributes for the request: there is none.
#[test]
fn a_session_that_is_loaded_outside_of_any_request_keeps_its_attributes() {
    let store = Arc::new(MemoryStore::new());
    let options = Options::new("keyboard cat").store(Arc::clone(&store));
    let options = options.cookie_with(|_| CookieOptions::new().domain("tenant.example.com"));
    let sessions = options.build().unwrap();
    let exchange = sessions.exchange();
    let asking = exchange.session(&session_core::RequestInfo::new("/", false, &|_| {}));
    let session = done(asking).unwrap().unwrap();
    session.insert("user", "tj").unwrap();
    done(exchange.end()).unwrap();
    let loaded = done(sessions.load(&session.id().unwrap())).unwrap().unwrap();
    loaded.insert("job", "done").unwrap();
    done(loaded.save()).unwrap();
    done(loaded.reload()).unwrap();
    done(add(&loaded)).unwrap();
    let held = done(store.get(&session.id().unwrap())).unwrap().unwrap().record;
    assert_eq!((held.cookie.domain(), held.data.get("n")), (Some("tenant.example.com"), Some("1")));
}
