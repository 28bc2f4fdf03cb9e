//! Orders of events that are easily forgotten: each test is one of them, over a store that waits.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::{
    fmt::{self, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Wake, Waker},
    thread,
    time::{Duration, SystemTime},
};

use common::{App, SlowStore, Trouble, add, apps, cookie, done, poll, polled, with_cookies};
use session_core::{
    AdminStore, Clock, Cookie, CookieOptions, Destroyed, Error, Exchange, Expect, MemoryStore, Options,
    Priority, Record, RequestInfo, SaveError, SessionHandle, Set, Sid, Store, StoreError, Stored, Touch,
    Touched, async_trait,
};

const MONTH: Duration = Duration::from_secs(30 * 86_400);

type Task<T> = Pin<Box<dyn Future<Output = T>>>;

/// A clock, and by how many seconds it is later.
fn clock() -> (Arc<AtomicUsize>, Clock) {
    let (start, later) = (SystemTime::now(), Arc::new(AtomicUsize::new(0)));
    let now = Arc::clone(&later);
    (later, Clock::new(move || start + Duration::from_secs(now.load(Ordering::SeqCst) as u64)))
}

/// A request, and somebody who has asked for its session, and waits.
fn one_asks(app: &App, sid: &Sid) -> (Exchange, Task<Option<SessionHandle>>) {
    let exchange = app.sessions.exchange();
    let asking = with_cookies(&[cookie(sid)], |request| exchange.session(request));
    let mut slow: Task<Option<SessionHandle>> = Box::pin(async move { asking.await.unwrap() });
    assert!(!poll(&mut slow));
    (exchange, slow)
}

/// A request whose session two ask for at the same time: the first one is still waiting.
fn two_ask(app: &App, sid: &Sid) -> (Exchange, SessionHandle, Task<Option<SessionHandle>>) {
    let (exchange, slow) = one_asks(app, sid);
    let asking = with_cookies(&[cookie(sid)], |request| exchange.session(request));
    let session = done(asking).unwrap().unwrap();
    (exchange, session, slow)
}

#[test]
fn who_asks_late_for_a_session_that_others_use_does_not_take_the_end_from_it() {
    for app in apps() {
        let sid = app.log_in();
        let (exchange, session, slow) = two_ask(&app, &sid);
        let mut job = Box::pin(add(&session));
        assert!(!poll(&mut job));
        session.insert("k", 1).unwrap();
        let mut end = Box::pin(exchange.end());
        assert!(!poll(&mut end));
        done(slow);
        done(end).unwrap();
        assert_eq!(app.held(&sid).unwrap().data.get("k"), Some("1"));
    }
}

#[test]
fn nor_undoes_a_logout() {
    for app in apps() {
        let sid = app.log_in();
        let (exchange, session, slow) = two_ask(&app, &sid);
        let mut job = Box::pin(add(&session));
        assert!(!poll(&mut job));
        let mut end = Box::pin(exchange.end());
        assert!(!poll(&mut end));
        done(slow);
        assert!(polled(1, session.destroy()).is_none(), "given up");
        assert!(done(end).is_err() || app.held(&sid).is_none());
    }
}

#[test]
fn nor_fails_a_login_nor_forgets_its_cookie() {
    for app in apps() {
        let sid = app.log_in();
        let (exchange, session, slow) = two_ask(&app, &sid);
        done(session.renew_id()).unwrap();
        session.insert("k", 1).unwrap();
        let (other, two) = app.request(&session.id().unwrap());
        let mut end = Box::pin(exchange.end());
        assert!(!poll(&mut end));
        two.insert("x", 1).unwrap();
        done(other.end()).unwrap();
        done(slow);
        assert_eq!(done(end).unwrap().len(), 1);
        session.insert("late", 1).unwrap();
        done(session.save()).unwrap();
    }
}

#[test]
fn who_sets_an_attribute_does_not_take_back_the_remember_me_of_another() {
    for app in apps() {
        let sid = app.log_in();
        let (a, one) = app.request(&sid);
        let (b, two) = app.request(&sid);
        two.set_max_age(Some(MONTH)).unwrap();
        two.insert("b", 1).unwrap();
        done(b.end()).unwrap();
        one.update_cookie(|cookie| cookie.set_http_only(false)).unwrap();
        one.insert("a", 1).unwrap();
        done(a.end()).unwrap();
        let held = app.held(&sid).unwrap();
        assert_eq!(held.cookie.original_max_age(), Some(MONTH));
        assert!(!held.cookie.http_only());
    }
}

#[test]
fn nor_with_no_data_of_its_own_nor_by_a_save() {
    let [app, _] = apps();
    for save in [false, true] {
        let sid = app.log_in();
        let (a, one) = app.request(&sid);
        let (b, two) = app.request(&sid);
        one.set_max_age(Some(MONTH)).unwrap();
        two.update_cookie(|cookie| cookie.set_priority(Some(Priority::High))).unwrap();
        done(a.end()).unwrap();
        if save {
            done(two.save()).unwrap();
        }
        done(b.end()).unwrap();
        assert_eq!(app.held(&sid).unwrap().cookie.original_max_age(), Some(MONTH), "{save}");
    }
}

#[test]
fn what_is_set_while_the_cookie_is_changed_is_kept() {
    for app in apps() {
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        let change = |cookie: &mut Cookie| {
            session.set_max_age(Some(MONTH)).unwrap();
            cookie.set_http_only(false);
        };
        session.update_cookie(change).unwrap();
        session.insert("a", 1).unwrap();
        done(exchange.end()).unwrap();
        let held = app.held(&sid).unwrap();
        assert_eq!(held.cookie.original_max_age(), Some(MONTH));
        assert!(!held.cookie.http_only());
    }
}

#[test]
fn an_end_that_fails_after_a_renewal_leaves_the_visitor_the_session() {
    for app in apps() {
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        done(session.renew_id()).unwrap();
        session.insert("a", 1).unwrap();
        app.trouble_at(0, Trouble::FailsBefore);
        let error = done(exchange.end()).unwrap_err();
        let [sent] = error.cookies() else { panic!("{error:?}") };
        assert!(!format!("{error:?} {error}").contains(session.id().unwrap().as_str()));
        let (_, next) = app.ask(&[sent.split(';').next().unwrap().to_owned()]);
        assert_eq!(next.get::<String>("user").unwrap().as_deref(), Some("tj"));
    }
}

#[test]
fn also_where_the_response_goes_out_all_the_same() {
    for options in [Options::new("keyboard cat"), Options::express("keyboard cat").name("sid")] {
        let store = Arc::new(SlowStore::default());
        let sessions = options.save_error(SaveError::Log).store(Arc::clone(&store)).build().unwrap();
        let app = App { sessions, store };
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        done(session.renew_id()).unwrap();
        session.insert("a", 1).unwrap();
        app.trouble_at(0, Trouble::FailsBefore);
        assert_eq!(done(exchange.end()).unwrap().len(), 1);
    }
}

#[test]
fn a_visitor_whose_session_keeps_its_id_gets_no_cookie_with_an_error() {
    for app in apps() {
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        session.insert("a", 1).unwrap();
        app.trouble_at(0, Trouble::FailsBefore);
        assert!(done(exchange.end()).unwrap_err().cookies().is_empty());
    }
}

#[test]
fn an_end_that_failed_can_be_tried_again() {
    for app in apps() {
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        session.insert("a", 1).unwrap();
        app.trouble_at(0, Trouble::FailsBefore);
        assert!(done(exchange.end()).is_err());
        done(exchange.end()).unwrap();
        assert_eq!(app.held(&sid).unwrap().data.get("a"), Some("1"));

        let (exchange, session) = app.ask(&[]);
        session.insert("user", "new").unwrap();
        app.trouble_at(0, Trouble::FailsBefore);
        assert!(done(exchange.end()).is_err());
        assert_eq!(done(exchange.end()).unwrap().len(), 1);
        assert!(app.held(&session.id().unwrap()).is_some());
    }
}

#[test]
fn and_so_can_its_logout() {
    for app in apps() {
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        assert!(polled(1, session.destroy()).is_none());
        app.trouble(&sid, Some(Trouble::FailsBefore));
        assert!(done(exchange.end()).is_err());
        app.trouble(&sid, None);
        done(exchange.end()).unwrap();
        assert!(app.held(&sid).is_none());
    }
}

#[test]
fn what_failed_at_the_end_is_not_stored_later_where_nobody_could_find_it() {
    for app in apps() {
        let (exchange, session) = app.ask(&[]);
        session.insert("user", "new").unwrap();
        app.trouble_at(0, Trouble::FailsBefore);
        assert!(done(exchange.end()).is_err());
        assert!(matches!(done(session.save()), Err(Error::ResponseOut)));
    }
}

/// The next destruction is given up by its caller, and done by the database later.
#[derive(Debug, Default)]
struct Late {
    memory: MemoryStore,
    catches: AtomicBool,
    caught: Mutex<Vec<(Sid, Expect)>>,
    /// The next write fails.
    refuses: AtomicBool,
}

#[async_trait]
impl Store for Late {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        self.memory.get(sid).await
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        if self.refuses.swap(false, Ordering::SeqCst) {
            return Err(StoreError::unavailable("late", "down"));
        }
        self.memory.set(sid, record, expect).await
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        self.memory.touch(sid, cookie, expect).await
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        if self.catches.swap(false, Ordering::SeqCst) {
            self.caught.lock().unwrap().push((sid.clone(), expect.clone()));
            std::future::pending::<()>().await;
        }
        self.memory.destroy(sid, expect).await
    }
}

/// What a handler may do after a renewal that it gave up, before its request ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    Nothing,
    Insert,
    Take,
    Reload,
    RenewAndFail,
}

#[test]
fn a_renewal_that_was_given_up_and_arrives_late_does_not_end_the_session() {
    for then in [Then::Nothing, Then::Insert, Then::Take, Then::Reload, Then::RenewAndFail] {
        let store = Arc::new(Late::default());
        let hour = CookieOptions::new().max_age(Duration::from_secs(3_600));
        let sessions = Options::new("keyboard cat").cookie(hour).store(Arc::clone(&store)).build().unwrap();
        let app = App { sessions, store: Arc::clone(&store) };
        let (exchange, session) = app.ask(&[]);
        session.insert("user", "tj").unwrap();
        done(exchange.end()).unwrap();
        let (exchange, session) = app.request(&session.id().unwrap());
        store.catches.store(true, Ordering::SeqCst);
        assert!(polled(3, session.renew_id()).is_none());
        match then {
            Then::Nothing => {}
            Then::Insert => session.insert("k", 1).unwrap(),
            Then::Take => assert_eq!(done(session.take::<String>("flash")).unwrap(), None),
            Then::Reload => done(session.reload()).unwrap(),
            Then::RenewAndFail => {
                store.refuses.store(true, Ordering::SeqCst);
                assert!(done(session.renew_id()).is_err());
            }
        }
        done(exchange.end()).unwrap();
        let (sid, expect) = store.caught.lock().unwrap().pop().unwrap();
        assert_eq!(done(store.memory.destroy(&sid, &expect)).unwrap(), Destroyed::Conflict, "{then:?}");
        assert_eq!(done(store.memory.length()).unwrap(), 1, "{then:?}");
    }
}

#[test]
fn what_is_stored_under_an_id_that_was_left_over_stays() {
    // A regeneration whose answer is lost, and an application that makes the same id again.
    let [App { store, .. }, _] = apps();
    let sessions = Options::new("keyboard cat").genid(|_| "same".into()).store(Arc::clone(&store));
    let app = App { sessions: sessions.build().unwrap(), store };
    let sid = app.log_in();
    let (exchange, session) = app.request(&sid);
    app.trouble_at(0, Trouble::FailsAfter);
    assert!(done(session.regenerate()).is_err());
    session.insert("user", "new").unwrap();
    done(exchange.end()).unwrap();
    assert_eq!(app.held(&sid).unwrap().data.get("user"), Some("\"new\""));
}

#[test]
fn what_changes_while_the_end_cleans_up_is_stored_and_the_cookie_ends_with_the_record() {
    for times in 1..12 {
        let [app, _] = apps();
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        assert!(polled(1, session.renew_id()).is_none());
        session.insert("k", 1).unwrap();
        let mut end = Box::pin(exchange.end());
        if (0..times).any(|_| poll(&mut end)) {
            break;
        }
        session.set_max_age(Some(MONTH)).unwrap();
        session.insert("late", 1).unwrap();
        done(end).unwrap();
        let held = app.held(&sid).unwrap();
        assert_eq!(held.data.get("late"), Some("1"), "{times}");
        assert_eq!(held.cookie.original_max_age(), Some(MONTH), "{times}");
    }
}

#[test]
fn a_change_that_saves_the_session_itself_comes_to_an_end() {
    for app in apps() {
        let sid = app.log_in();
        let (_exchange, session) = app.request(&sid);
        let mut asked = 0;
        let count = |n: Option<u64>| {
            asked += 1;
            session.insert("seen", true).unwrap();
            done(session.save()).unwrap();
            n.unwrap_or(0) + 1
        };
        assert_eq!(done(session.update("n", count)).unwrap(), 1);
        assert_eq!(asked, 2);
        // Another value each time: it gives up.
        let mut asked = 0_u32;
        let never = |n: Option<u64>| {
            asked += 1;
            session.insert("seen", asked).unwrap();
            done(session.save()).unwrap();
            n.unwrap_or(0) + 1
        };
        assert!(matches!(done(session.update("n", never)), Err(Error::Contended(32))));
        assert_eq!(asked, 33, "once, and so many times again");
        assert_eq!(app.held(&sid).unwrap().data.get("n"), Some("1"));
    }
}

#[test]
fn debug_holds_nothing_while_it_writes() {
    struct Uses<'a>(&'a SessionHandle, String);
    impl fmt::Write for Uses<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let keys = self.0.len();
            write!(self.1, "{text}{keys}")
        }
    }
    let (written, is_written) = mpsc::channel();
    thread::spawn(move || {
        let [app, _] = apps();
        let (_exchange, session) = app.request(&app.log_in());
        write!(Uses(&session, String::new()), "{session:?}").unwrap();
        written.send(()).unwrap();
    });
    assert!(is_written.recv_timeout(Duration::from_secs(60)).is_ok(), "it waits for itself");
}

#[test]
fn a_reload_does_not_hide_a_lifetime_that_was_saved() {
    let [app, _] = apps();
    let sid = app.log_in();
    let (exchange, session) = app.request(&sid);
    session.set_max_age(None).unwrap();
    done(session.save()).unwrap();
    session.update_cookie(|cookie| cookie.set_path("/shop")).unwrap();
    done(session.reload()).unwrap();
    let cookies = done(exchange.end()).unwrap();
    assert!(app.held(&sid).unwrap().cookie.expires().is_none());
    assert_eq!(cookies.len(), 1);
    assert!(!cookies[0].contains("Expires") && cookies[0].contains("Path=/;"), "{cookies:?}");
}

/// A call that hangs, and panics when it is dropped.
#[derive(Debug, Default)]
struct Hangs {
    memory: MemoryStore,
    next: AtomicBool,
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a drop that panics");
    }
}

#[async_trait]
impl Store for Hangs {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        self.memory.get(sid).await
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        if self.next.swap(false, Ordering::SeqCst) {
            let _bomb = Bomb;
            std::future::pending::<()>().await;
        }
        self.memory.set(sid, record, expect).await
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        self.memory.touch(sid, cookie, expect).await
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        self.memory.destroy(sid, expect).await
    }
}

#[test]
fn a_drop_that_panics_wakes_who_waits() {
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let store = Arc::new(Hangs::default());
    let sessions = Options::new("keyboard cat").store(Arc::clone(&store)).build().unwrap();
    let app = App { sessions, store: Arc::clone(&store) };
    let (_exchange, session) = app.ask(&[]);
    session.insert("n", 0).unwrap();
    done(session.save()).unwrap();
    store.next.store(true, Ordering::SeqCst);
    let mut one = Box::pin(add(&session));
    assert!(!poll(&mut one));
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&count));
    let mut two = Box::pin(add(&session));
    assert!(two.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let before = count.0.load(Ordering::SeqCst);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(one))).is_err());
    assert!(count.0.load(Ordering::SeqCst) > before, "it sleeps for ever");
    assert_eq!(done(two).unwrap(), 1);
}

#[test]
fn a_rolling_cookie_ends_with_the_record() {
    let express = Options::express("keyboard cat").name("sid").resave(false).touch(Touch::AfterPercent(20));
    for options in [Options::new("keyboard cat"), express] {
        let (later, clock) = clock();
        let store = Arc::new(MemoryStore::new().clock(clock.clone()));
        let lifetime = Duration::from_secs(1_000);
        let sessions = options
            .rolling(true)
            .clock(clock)
            .cookie(CookieOptions::new().max_age(lifetime))
            .store(Arc::clone(&store))
            .build()
            .unwrap();
        let app = App { sessions, store };
        let (exchange, session) = app.ask(&[]);
        session.insert("a", 1).unwrap();
        done(exchange.end()).unwrap();
        later.store(150, Ordering::SeqCst);
        let (exchange, session) = app.request(&session.id().unwrap());
        assert_eq!(done(exchange.end()).unwrap().len(), 1);
        assert_eq!(done(app.store.get(&session.id().unwrap())).unwrap().unwrap().left, Some(lifetime));
    }
}

#[test]
fn a_lifetime_that_is_set_while_the_end_writes_is_stored() {
    for times in 1..4 {
        let [app, _] = apps();
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        session.insert("k", 1).unwrap();
        let mut end = Box::pin(exchange.end());
        if (0..times).any(|_| poll(&mut end)) {
            break;
        }
        session.set_max_age(Some(MONTH)).unwrap();
        done(end).unwrap();
        assert_eq!(app.held(&sid).unwrap().cookie.original_max_age(), Some(MONTH), "{times}");
    }
}

#[test]
fn what_is_set_while_the_end_touches_is_stored() {
    let [_, app] = apps();
    let options = Options::express("keyboard cat").name("sid").resave(false);
    let sessions = options.store(Arc::clone(&app.store)).build().unwrap();
    let app = App { sessions, store: app.store };
    let sid = app.log_in();
    let (exchange, session) = app.request(&sid);
    let mut end = Box::pin(exchange.end());
    assert!(!poll(&mut end));
    session.insert("late", 1).unwrap();
    done(end).unwrap();
    assert_eq!(app.held(&sid).unwrap().data.get("late"), Some("1"));
}

#[test]
fn a_new_session_is_saved_after_its_response() {
    for app in apps() {
        let (exchange, session) = app.ask(&[]);
        session.insert("k", 1).unwrap();
        assert_eq!(done(exchange.end()).unwrap().len(), 1);
        session.insert("late", 1).unwrap();
        done(session.save()).unwrap();
        assert_eq!(app.held(&session.id().unwrap()).unwrap().data.get("late"), Some("1"));
    }
}

#[test]
fn after_an_expired_cookie_nothing_is_saved() {
    let [app, _] = apps();
    let (exchange, session) = app.request(&app.log_in());
    session.set_max_age(Some(Duration::ZERO)).unwrap();
    done(exchange.end()).unwrap();
    assert!(matches!(session.set_max_age(Some(MONTH)), Err(Error::ResponseOut)));
    session.insert("late", 1).unwrap();
    assert!(matches!(done(session.save()), Err(Error::ResponseOut)));
    assert_eq!(app.records(), 0);
}

#[test]
fn a_session_that_is_asked_for_after_the_end_is_not_stored() {
    let [app, _] = apps();
    let exchange = app.sessions.exchange();
    assert!(done(exchange.end()).unwrap().is_empty());
    let session = done(exchange.session(&RequestInfo::new("/", false, &|_| {}))).unwrap().unwrap();
    session.insert("k", 1).unwrap();
    assert!(matches!(done(session.save()), Err(Error::ResponseOut)));
}

#[test]
fn a_transaction_that_changes_nothing_stores_what_was_set_before() {
    for app in apps() {
        let sid = app.log_in();
        let (_exchange, session) = app.request(&sid);
        session.insert("k", 1).unwrap();
        done(session.transaction(|_| Ok(()))).unwrap();
        assert_eq!(app.held(&sid).unwrap().data.get("k"), Some("1"));
    }
}

#[test]
fn a_session_that_is_let_go_of_while_its_id_is_renewed_leaves_nothing_that_nobody_finds() {
    for times in 1..8 {
        for app in apps() {
            let sid = app.log_in();
            let (exchange, session) = app.request(&sid);
            let mut renewal = Box::pin(session.renew_id());
            if (0..times).any(|_| poll(&mut renewal)) {
                continue;
            }
            session.unset();
            _ = done(renewal);
            done(exchange.end()).unwrap();
            assert_eq!(app.records(), u64::from(app.held(&sid).is_some()), "{times}");
        }
    }
}

#[test]
fn a_logout_of_a_visitor_without_a_session_takes_no_newer_cookie_away() {
    let [app, _] = apps();
    let sid = app.log_in();
    let (renews, one) = app.request(&sid);
    done(one.renew_id()).unwrap();
    // With the cookie from before: nothing is under it any more.
    let (logs_out, two) = app.request(&sid);
    assert_eq!(done(renews.end()).unwrap().len(), 1);
    done(two.destroy()).unwrap();
    assert!(done(logs_out.end()).unwrap().is_empty());
    assert!(app.held(&one.id().unwrap()).is_some());
}

#[test]
fn a_logout_takes_its_own_cookie_away_also_after_a_renewal() {
    let [app, _] = apps();
    for renews in [false, true] {
        let (exchange, session) = app.request(&app.log_in());
        if renews {
            done(session.renew_id()).unwrap();
        }
        done(session.destroy()).unwrap();
        let cookies = done(exchange.end()).unwrap();
        assert!(cookies.len() == 1 && cookies[0].starts_with("sid=;"), "{cookies:?}");
    }
}

#[test]
fn a_touch_undoes_no_lifetime_that_another_request_gave() {
    let (later, clock) = clock();
    let store =
        Arc::new(SlowStore { memory: MemoryStore::new().clock(clock.clone()), ..SlowStore::default() });
    let lifetime = CookieOptions::new().max_age(Duration::from_secs(100));
    let options = Options::new("keyboard cat").cookie(lifetime).absolute(None).clock(clock);
    let app = App { sessions: options.store(Arc::clone(&store)).build().unwrap(), store };
    let sid = app.log_in();
    later.store(30, Ordering::SeqCst);
    let (touches, _one) = app.request(&sid);
    let (lengthens, two) = app.request(&sid);
    two.set_max_age(Some(MONTH)).unwrap();
    done(lengthens.end()).unwrap();
    done(touches.end()).unwrap();
    assert_eq!(app.held(&sid).unwrap().cookie.original_max_age(), Some(MONTH));
    assert_eq!(done(app.store.memory.get(&sid)).unwrap().unwrap().left, Some(MONTH));
    // And the cookie of one that read a shorter lifetime ends with the record.
    let (reads, one) = app.request(&sid);
    done(add(&one)).unwrap();
    later.store(60, Ordering::SeqCst);
    let (shortens, two) = app.request(&sid);
    two.set_max_age(Some(Duration::from_secs(50))).unwrap();
    let expires = |cookies: Vec<String>| {
        cookies
            .first()
            .and_then(|cookie| Some(cookie.split_once("Expires=")?.1.split_once(';')?.0.to_owned()))
    };
    let shorter = expires(done(shortens.end()).unwrap());
    done(one.reload()).unwrap();
    let read = expires(done(reads.end()).unwrap());
    assert!(shorter.is_some() && (read.is_none() || read == shorter), "{read:?}, not {shorter:?}");
}

#[test]
fn the_end_asks_no_more_than_it_must() {
    for app in apps() {
        let (exchange, session) = app.ask(&[]);
        session.insert("k", 1).unwrap();
        app.trouble_at(0, Trouble::FailsBefore);
        assert!(done(session.save()).is_err());
        session.unset();
        let before = app.store.calls.load(Ordering::SeqCst);
        done(exchange.end()).unwrap();
        assert!(app.store.calls.load(Ordering::SeqCst) - before <= 1);
    }
}

#[test]
fn who_gets_the_session_after_the_end_cannot_move_it_away() {
    for app in apps() {
        let sid = app.log_in();
        let (exchange, slow) = one_asks(&app, &sid);
        assert!(exchange.ends_unasked());
        let session = done(slow).unwrap();
        assert!(matches!(done(session.renew_id()), Err(Error::ResponseOut)));
        assert!(app.held(&sid).is_some());
    }
}

#[test]
fn a_part_of_the_cookie_that_is_stored_takes_back_nothing_later() {
    for app in apps() {
        let sid = app.log_in();
        let (a, one) = app.request(&sid);
        one.set_max_age(Some(MONTH)).unwrap();
        one.insert("a", 1).unwrap();
        let mut save = Box::pin(one.save());
        assert!(!poll(&mut save));
        one.update_cookie(|cookie| cookie.set_http_only(false)).unwrap();
        done(save).unwrap();
        let (b, two) = app.request(&sid);
        let shorter = Duration::from_secs(1_800);
        two.set_max_age(Some(shorter)).unwrap();
        two.insert("b", 1).unwrap();
        done(b.end()).unwrap();
        one.insert("c", 1).unwrap();
        done(a.end()).unwrap();
        let held = app.held(&sid).unwrap();
        assert_eq!(held.cookie.original_max_age(), Some(shorter));
        assert!(!held.cookie.http_only());
    }
}

#[test]
fn a_lifetime_whose_save_had_no_answer_is_sent_after_a_reload() {
    let [app, _] = apps();
    let sid = app.log_in();
    let (exchange, session) = app.request(&sid);
    session.set_max_age(None).unwrap();
    app.trouble_at(0, Trouble::FailsAfter);
    assert!(done(session.save()).is_err());
    done(session.reload()).unwrap();
    assert_eq!(done(exchange.end()).unwrap().len(), 1);
}

#[test]
fn a_lifetime_that_is_stored_is_sent_though_the_end_fails_afterwards() {
    let [app, _] = apps();
    let sid = app.log_in();
    let (exchange, session) = app.request(&sid);
    assert!(polled(3, session.renew_id()).is_none(), "a copy is left");
    session.set_max_age(None).unwrap();
    // Read, written; and then the copy is destroyed.
    let before = app.store.calls.load(Ordering::SeqCst);
    let mut end = Box::pin(exchange.end());
    while app.store.calls.load(Ordering::SeqCst) == before {
        assert!(!poll(&mut end));
    }
    while app.held(&sid).unwrap().cookie.expires().is_some() {
        assert!(!poll(&mut end));
    }
    app.trouble_at(0, Trouble::FailsBefore);
    let error = done(end).unwrap_err();
    assert_eq!(error.cookies().len(), 1);
    assert!(!error.cookies()[0].contains("Expires"), "{:?}", error.cookies());
}

#[test]
fn an_attribute_of_this_response_outlives_a_conflict() {
    let [app, _] = apps();
    let sid = app.log_in();
    let (exchange, session) = app.request(&sid);
    session.update_cookie(|cookie| cookie.set_path("/shop")).unwrap();
    done(session.save()).unwrap();
    let (other, two) = app.request(&sid);
    two.insert("b", 1).unwrap();
    done(other.end()).unwrap();
    session.set_max_age(Some(MONTH)).unwrap();
    let cookies = done(exchange.end()).unwrap();
    assert!(cookies[0].contains("Path=/shop;"), "{cookies:?}");
}

const HOUR: Duration = Duration::from_secs(3_600);

/// The new profile, a session of an hour, and how many seconds have passed.
fn timed() -> (App, Arc<AtomicUsize>) {
    let (later, clock) = clock();
    let store =
        Arc::new(SlowStore { memory: MemoryStore::new().clock(clock.clone()), ..SlowStore::default() });
    let options = Options::new("keyboard cat").cookie(CookieOptions::new().max_age(HOUR)).clock(clock);
    (App { sessions: options.store(Arc::clone(&store)).build().unwrap(), store }, later)
}

fn left(app: &App, sid: &Sid) -> Option<Duration> {
    done(app.store.memory.get(sid)).unwrap().unwrap().left
}

/// All of a `Set-Cookie` but the id.
fn attributes(cookies: &[String]) -> &str {
    cookies.first().unwrap().split_once(';').unwrap().1
}

#[test]
fn a_cookie_with_an_error_is_the_one_that_is_stored() {
    for lifetime in [MONTH, Duration::ZERO] {
        let (app, _) = timed();
        let (exchange, session) = app.ask(&[]);
        session.insert("user", "tj").unwrap();
        let first = done(exchange.end()).unwrap();
        let (exchange, session) = app.request(&session.id().unwrap());
        done(session.renew_id()).unwrap();
        session.set_max_age(Some(lifetime)).unwrap();
        session.update_cookie(|cookie| cookie.set_path("/shop")).unwrap();
        app.trouble_at(0, Trouble::FailsBefore);
        let error = done(exchange.end()).unwrap_err();
        assert_eq!(attributes(error.cookies()), attributes(&first));
        // Tried again, it is as it was to be.
        let mended = done(exchange.end()).unwrap();
        assert!(attributes(&mended).contains("Path=/shop"), "{mended:?}");
    }
}

#[test]
fn after_a_call_that_took_long_the_store_is_asked_again_before_a_cookie_goes_out() {
    for leaves in [false, true] {
        let (app, later) = timed();
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        // What a renewal leaves behind is cleaned up after the write.
        assert!(!leaves || polled(3, session.renew_id()).is_none());
        session.insert("k", 1).unwrap();
        let mut end = Box::pin(exchange.end());
        while app.held(&sid).unwrap().data.get("k").is_none() {
            assert!(!poll(&mut end));
        }
        let calls = app.store.calls.load(Ordering::SeqCst);
        while leaves && app.store.calls.load(Ordering::SeqCst) == calls {
            assert!(!poll(&mut end));
        }
        later.store(5, Ordering::SeqCst);
        // The same browser logs in meanwhile.
        let (other, two) = app.request(&sid);
        done(two.renew_id()).unwrap();
        assert_eq!(done(other.end()).unwrap().len(), 1);
        assert!(done(end).unwrap().is_empty(), "an old cookie over a newer one");
    }
}

#[test]
fn a_cookie_without_a_write_ends_with_the_record() {
    let (app, later) = timed();
    let sid = app.log_in();
    let (exchange, session) = app.request(&sid);
    done(add(&session)).unwrap();
    later.store(600, Ordering::SeqCst);
    let (other, two) = app.request(&sid);
    two.insert("k", 1).unwrap();
    done(other.end()).unwrap();
    later.store(1_200, Ordering::SeqCst);
    done(session.reload()).unwrap();
    assert_eq!(done(exchange.end()).unwrap().len(), 1);
    assert_eq!(left(&app, &sid), Some(HOUR));
}

#[test]
fn an_id_in_use_ends_nobody_elses_session() {
    for then in 0..4 {
        let [App { store, .. }, _] = apps();
        let sessions = Options::new("keyboard cat").genid(|_| "same".into()).store(Arc::clone(&store));
        let app = App { sessions: sessions.build().unwrap(), store };
        let sid = app.log_in();
        // Another visitor.
        let (exchange, session) = app.ask(&[]);
        session.insert("k", 1).unwrap();
        app.trouble_at(0, Trouble::FailsBefore);
        assert!(done(session.save()).is_err());
        match then {
            0 => done(session.destroy()).unwrap(),
            1 => session.unset(),
            2 => session.clear().unwrap(),
            _ => done(session.regenerate()).unwrap(),
        }
        _ = done(exchange.end());
        assert_eq!(app.held(&sid).unwrap().data.get("user"), Some("\"tj\""), "{then}");
    }
}

#[test]
fn what_an_application_made_the_id_of_ends_with_its_session() {
    let [App { store, .. }, _] = apps();
    let sessions = Options::new("keyboard cat").genid(|_| "same".into()).store(Arc::clone(&store));
    let app = App { sessions: sessions.build().unwrap(), store };
    let (exchange, session) = app.ask(&[]);
    session.insert("k", 1).unwrap();
    app.trouble_at(0, Trouble::FailsAfter);
    assert!(done(session.save()).is_err());
    assert_eq!(app.records(), 1);
    done(session.destroy()).unwrap();
    done(exchange.end()).unwrap();
    assert_eq!(app.records(), 0);
}

#[test]
fn what_a_browser_cannot_be_told_is_refused() {
    for app in apps() {
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        done(exchange.end()).unwrap();
        assert!(matches!(session.set_max_age(Some(MONTH)), Err(Error::ResponseOut)));
        let changed = session.update_cookie(|cookie| cookie.set_path("/shop"));
        assert!(matches!(changed, Err(Error::ResponseOut)));
        done(session.save()).unwrap();
    }
}

#[test]
fn after_a_request_was_given_up_nothing_moves_to_an_id_that_nobody_gets() {
    for app in apps() {
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        session.insert("k", 1).unwrap();
        assert!(polled(1, exchange.end()).is_none());
        drop(exchange);
        assert!(matches!(done(session.renew_id()), Err(Error::ResponseOut)));
        assert!(matches!(done(session.regenerate()), Err(Error::ResponseOut)));
        done(session.save()).unwrap();
        assert_eq!(app.held(&sid).unwrap().data.get("k"), Some("1"));
        // And a new one is not stored.
        let (exchange, session) = app.ask(&[]);
        session.insert("k", 1).unwrap();
        drop(exchange);
        assert!(matches!(done(session.save()), Err(Error::ResponseOut)));
    }
}

#[test]
fn writes_that_fail_are_not_all_kept() {
    let [app, _] = apps();
    let sid = app.log_in();
    let (exchange, session) = app.request(&sid);
    done(exchange.end()).unwrap();
    // What is kept is what a change costs at the next read: its merges, each over all keys that may have changed.
    let stored = |app: &App| app.held(&sid).unwrap();
    for times in 0..50 {
        session.insert(&format!("k{times}"), times).unwrap();
        if times % 7 == 3 {
            session.remove(&format!("k{}", times - 1)).unwrap();
        }
        app.trouble_at(
            usize::from(times > 0),
            if times == 20 { Trouble::FailsAfter } else { Trouble::FailsBefore },
        );
        assert!(done(session.save()).is_err());
    }
    // Others write meanwhile.
    let (other, two) = app.request(&sid);
    two.insert("theirs", 1).unwrap();
    done(other.end()).unwrap();
    done(session.save()).unwrap();
    let data = stored(&app).data;
    for times in 0..50 {
        let is_there = times % 7 != 2 || times > 48;
        assert_eq!(data.contains(&format!("k{times}")), is_there, "k{times}");
    }
    assert_eq!((data.get("user"), data.get("theirs")), (Some("\"tj\""), Some("1")));
}

#[test]
fn a_regeneration_that_fails_ends_nobody_elses_session() {
    let [App { store, .. }, _] = apps();
    // The same twice, and then others.
    let made = AtomicUsize::new(0);
    let genid = move |_: &RequestInfo<'_>| match made.fetch_add(1, Ordering::SeqCst) {
        0 | 1 => "same".into(),
        _ => Sid::random(),
    };
    let sessions = Options::new("keyboard cat").genid(genid).store(Arc::clone(&store));
    let app = App { sessions: sessions.build().unwrap(), store };
    let sid = app.log_in();
    let (exchange, session) = app.ask(&[]);
    app.trouble_at(0, Trouble::FailsBefore);
    assert!(done(session.regenerate()).is_err());
    done(exchange.end()).unwrap();
    assert_eq!(app.held(&sid).unwrap().data.get("user"), Some("\"tj\""));
}

#[test]
fn what_is_stored_is_no_failure_where_nobody_can_tell_whether_it_still_is() {
    let (app, later) = timed();
    let sid = app.log_in();
    let (exchange, session) = app.request(&sid);
    session.insert("k", 1).unwrap();
    let mut end = Box::pin(exchange.end());
    while app.held(&sid).unwrap().data.get("k").is_none() {
        assert!(!poll(&mut end));
    }
    later.store(5, Ordering::SeqCst);
    app.trouble_at(0, Trouble::FailsBefore);
    assert!(done(end).unwrap().is_empty());
    assert_eq!(app.held(&sid).unwrap().data.get("k"), Some("1"));
}

#[test]
fn a_renewal_whose_request_is_given_up_meanwhile_moves_nothing() {
    for app in apps() {
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        let mut renewal = Box::pin(session.renew_id());
        while app.records() < 2 {
            assert!(!poll(&mut renewal));
        }
        drop(exchange);
        assert!(matches!(done(renewal), Err(Error::ResponseOut)));
        assert!(app.held(&sid).is_some());
        assert_eq!(app.records(), 1);
    }
}

/// What a change made of the session before a regeneration, or a reload, is nothing to what is there after it.
#[test]
fn a_change_that_saw_what_is_no_more_is_asked_again() {
    for app in apps() {
        for regenerates in [true, false] {
            let (exchange, session) = app.ask(&[]);
            if !regenerates {
                session.insert("n", 0).unwrap();
                done(session.save()).unwrap();
            }
            session.insert("n", 5).unwrap();
            let mut asked = 0;
            let changing = session.update("n", |n: Option<u64>| {
                asked += 1;
                match asked {
                    1 if regenerates => done(session.regenerate()).unwrap(),
                    1 => done(session.reload()).unwrap(),
                    _ => {}
                }
                n.unwrap_or(0) + 1
            });
            assert_eq!(done(changing).unwrap(), 1);
            assert_eq!(asked, 2);
            done(exchange.end()).unwrap();
            assert_eq!(app.count(&session.id().unwrap()), Some(1));
        }
    }
}

/// What writes by a version: once, and 32 times again. (A copy under a new id goes with the end of the request.)
#[test]
fn who_is_overtaken_for_ever_gives_up_and_changes_nothing() {
    let overtaken = |app: &App, of: &dyn Fn(Exchange, SessionHandle) -> Result<(), Error>| {
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        session.insert("mine", 1).unwrap();
        app.is_overtaken(&sid, u32::MAX);
        let failed = of(exchange, session);
        let times = app.overtakings();
        assert!(matches!(failed, Err(Error::Contended(32))), "{failed:?}");
        assert_eq!(times, 33);
        let held = app.held(&sid).unwrap();
        assert_eq!((held.data.get("theirs"), held.data.get("mine")), (Some("33"), None));
    };
    for app in apps() {
        overtaken(&app, &|_, session| {
            done(session.update("n", |n: Option<u8>| n.unwrap_or(0) + 1)).map(drop)
        });
        overtaken(&app, &|_, session| done(session.save()));
        overtaken(&app, &|_, session| done(session.renew_id()));
        overtaken(&app, &|exchange, _| done(exchange.end()).map(drop).map_err(Error::from));
    }
}
