//! Single rules, each with a test that fails when its line is left out or another.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::{Duration, SystemTime},
};

use common::{App, SlowStore, Trouble, add, apps, calls, clock, cookie, done, poll, polled, with_cookies};
use session_core::{
    BrowserRules, Clock, Cookie, CookieError, CookieOptions, Destroyed, Error, Exchange, Expect, Keygrip,
    MemoryStore, Options, Priority, Record, RequestInfo, SameSite, SameSiteOption, Secret, Secure,
    SessionHandle, Sessions, Set, Sid, Store, StoreError, Stored, Touched, async_trait,
};
use session_testkit::FailingStore;

const HOUR: Duration = Duration::from_secs(3_600);
const MONTH: Duration = Duration::from_secs(30 * 86_400);

type Task<T> = Pin<Box<dyn Future<Output = T>>>;

/// The new profile, its clock, and a store that goes by it.
fn timed(memory: MemoryStore, cookie: CookieOptions) -> (App, Arc<AtomicUsize>) {
    let (later, clock) = clock();
    let store = Arc::new(SlowStore { memory: memory.clock(clock.clone()), ..SlowStore::default() });
    // What the store says, and nothing else.
    let options = Options::new("keyboard cat").cookie(cookie).idle(None).absolute(None).clock(clock);
    (App { sessions: options.store(Arc::clone(&store)).build().unwrap(), store }, later)
}

fn an_hour() -> (App, Arc<AtomicUsize>) {
    timed(MemoryStore::new(), CookieOptions::new().max_age(HOUR))
}

/// It does not wait for itself.
fn ends(what: impl FnOnce() + Send + 'static) {
    let (ended, end) = mpsc::channel();
    thread::spawn(move || {
        what();
        ended.send(()).unwrap();
    });
    assert!(end.recv_timeout(Duration::from_secs(60)).is_ok(), "it never ends");
}

#[test]
fn all_that_was_set_of_a_cookie_outlives_a_conflict() {
    for app in apps() {
        for order in [false, true] {
            let sid = app.log_in();
            let (exchange, session) = app.request(&sid);
            let remember = || session.set_max_age(Some(MONTH)).unwrap();
            let attributes = || {
                session
                    .update_cookie(|cookie| {
                        cookie.set_http_only(false);
                        cookie.set_secure(false);
                        cookie.set_path("/");
                    })
                    .unwrap();
            };
            if order {
                remember();
                attributes();
            } else {
                attributes();
                remember();
            }
            session.insert("a", 1).unwrap();
            let (other, two) = app.request(&sid);
            two.insert("b", 1).unwrap();
            done(other.end()).unwrap();
            done(exchange.end()).unwrap();
            let held = app.held(&sid).unwrap();
            assert_eq!(held.cookie.original_max_age(), Some(MONTH), "{order}");
            assert!(!held.cookie.http_only(), "{order}");
        }
    }
}

#[test]
fn an_attribute_that_is_set_is_stored_over_what_another_wrote() {
    let [_, app] = apps();
    let sid = app.log_in();
    let (exchange, session) = app.request(&sid);
    session.update_cookie(|cookie| cookie.set_secure(true)).unwrap();
    session.insert("a", 1).unwrap();
    let (other, two) = app.request(&sid);
    two.insert("b", 1).unwrap();
    done(other.end()).unwrap();
    done(exchange.end()).unwrap();
    assert!(app.held(&sid).unwrap().cookie.secure());
}

#[test]
fn a_session_that_was_saved_early_in_a_long_request_is_held_from_its_end_on() {
    let memory = || MemoryStore::new();
    for (app, later) in
        [timed(memory(), CookieOptions::new().max_age(HOUR)), timed(memory().ttl(HOUR), CookieOptions::new())]
    {
        let (exchange, session) = app.ask(&[]);
        session.insert("a", 1).unwrap();
        done(session.save()).unwrap();
        later.store(30 * 60_000, Ordering::SeqCst);
        assert_eq!(done(exchange.end()).unwrap().len(), 1);
        assert_eq!(done(app.store.memory.get(&session.id().unwrap())).unwrap().unwrap().left, Some(HOUR));
    }
}

#[test]
fn a_session_that_has_ended_by_its_own_lifetime_asks_nothing_more() {
    let (app, _) = an_hour();
    let sid = app.log_in();
    let (exchange, session) = app.request(&sid);
    session.set_max_age(Some(Duration::ZERO)).unwrap();
    done(session.save()).unwrap();
    let before = calls(&app);
    assert_eq!(done(exchange.end()).unwrap().len(), 1);
    assert_eq!(calls(&app), before);
}

#[test]
fn what_a_save_has_touched_the_end_does_not_touch_again() {
    let (app, _) = an_hour();
    let sid = app.log_in();
    let (exchange, session) = app.request(&sid);
    let (other, two) = app.request(&sid);
    two.insert("a", 1).unwrap();
    done(other.end()).unwrap();
    // A conflict, and nothing of its own: a touch.
    done(session.save()).unwrap();
    let before = calls(&app);
    assert_eq!(done(exchange.end()).unwrap().len(), 1);
    assert_eq!(calls(&app), before);
}

#[test]
fn where_no_cookie_goes_out_a_slow_call_is_not_asked_about() {
    let (app, later) = timed(MemoryStore::new().ttl(HOUR), CookieOptions::new());
    let sid = app.log_in();
    later.store(30 * 60_000, Ordering::SeqCst);
    let (exchange, _session) = app.request(&sid);
    let before = calls(&app);
    let mut end = Box::pin(exchange.end());
    while calls(&app) == before {
        assert!(!poll(&mut end));
    }
    later.fetch_add(5_000, Ordering::SeqCst);
    assert!(done(end).unwrap().is_empty());
    assert_eq!(calls(&app), before + 1);
}

/// A store that counts in whole seconds, and rounds up.
#[derive(Debug)]
struct Seconds(MemoryStore, AtomicUsize);

#[async_trait]
impl Store for Seconds {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        let round = |left: Duration| Duration::from_secs(left.as_millis().div_ceil(1_000) as u64);
        let stored = self.0.get(sid).await?;
        Ok(stored.map(|stored| Stored { left: stored.left.map(round), ..stored }))
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        self.0.set(sid, record, expect).await
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.touch(sid, cookie, expect).await
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        self.0.destroy(sid, expect).await
    }
}

#[test]
fn a_store_that_rounds_up_is_not_taken_for_another_request() {
    let (later, clock) = clock();
    let store = Arc::new(Seconds(MemoryStore::new().clock(clock.clone()), AtomicUsize::new(0)));
    let options = Options::new("keyboard cat").cookie(CookieOptions::new().max_age(HOUR)).clock(clock);
    let app = App { sessions: options.store(Arc::clone(&store)).build().unwrap(), store: Arc::clone(&store) };
    let (exchange, session) = app.ask(&[]);
    session.insert("n", 0).unwrap();
    done(exchange.end()).unwrap();
    let (exchange, session) = app.request(&session.id().unwrap());
    done(add(&session)).unwrap();
    later.store(50, Ordering::SeqCst);
    done(session.reload()).unwrap();
    assert_eq!(done(exchange.end()).unwrap().len(), 1);
    assert_eq!(store.1.load(Ordering::SeqCst), 0);
}

#[test]
fn a_bound_holds_for_what_two_requests_make_together() {
    let [app, _] = apps();
    let options = Options::new("keyboard cat").store(Arc::clone(&app.store)).max_record_size(80);
    let app = App { sessions: options.build().unwrap(), store: Arc::clone(&app.store) };
    let sid = app.log_in();
    let [(a, one), (b, two)] = [(); 2].map(|()| app.request(&sid));
    one.insert("a", "x".repeat(40)).unwrap();
    two.insert("b", "x".repeat(40)).unwrap();
    done(a.end()).unwrap();
    assert!(matches!(done(b.end()).unwrap_err().error(), Error::TooLarge { limit: 80, .. }));
    assert!(app.held(&sid).unwrap().data.size() <= 80);
}

fn with_ids(genid: impl Fn() -> Sid + Send + Sync + 'static) -> App {
    let store = Arc::new(SlowStore::default());
    let sessions = Options::new("keyboard cat").genid(move |_| genid()).store(Arc::clone(&store));
    App { sessions: sessions.build().unwrap(), store }
}

#[test]
fn a_genid_of_one_answer_is_not_asked_for_ever() {
    ends(|| {
        let app = with_ids(|| "same".into());
        let (exchange, session) = app.ask(&[]);
        session.insert("k", 1).unwrap();
        app.trouble_at(0, Trouble::FailsBefore);
        assert!(done(session.save()).is_err());
        done(session.save()).unwrap();
        assert_eq!(done(exchange.end()).unwrap().len(), 1);
        assert_eq!(app.records(), 1);
    });
}

#[test]
fn what_a_renewal_left_under_a_made_id_is_cleaned_up() {
    let made = AtomicUsize::new(0);
    let app = with_ids(move || format!("id{}", made.fetch_add(1, Ordering::SeqCst)).into());
    let sid = app.log_in();
    let (exchange, session) = app.request(&sid);
    let mut renewal = Box::pin(session.renew_id());
    while app.records() < 2 {
        assert!(!poll(&mut renewal));
    }
    // The copy's answer comes, and the next question goes out.
    let before = calls(&app);
    while calls(&app) == before {
        assert!(!poll(&mut renewal));
    }
    drop(renewal);
    session.insert("k", 1).unwrap();
    done(exchange.end()).unwrap();
    assert_eq!(app.records(), 1);
    assert_eq!(app.held(&session.id().unwrap()).unwrap().data.get("k"), Some("1"));
}

#[test]
fn nobody_makes_the_store_read_as_often_as_they_have_cookies() {
    let [app, _] = apps();
    let cookies: Vec<String> = (0..40).map(|_| cookie(&Sid::random())).collect();
    let before = calls(&app);
    app.ask(&cookies);
    app.ask(&[cookies.join("; ")]);
    assert!(calls(&app) - before <= 16, "{}", calls(&app) - before);
}

fn ask(sessions: &Sessions, headers: &[(&str, &str)], encrypted: bool) -> Result<SessionHandle, Error> {
    let each = |visit: &mut dyn FnMut(&str, &[u8])| {
        headers.iter().for_each(|(name, value)| visit(name, value.as_bytes()));
    };
    // The exchange lives as long as the session is looked at.
    let exchange = Box::leak(Box::new(sessions.exchange()));
    done(exchange.session(&RequestInfo::new("/", encrypted, &each))).map(Option::unwrap)
}

#[test]
fn a_header_is_found_in_any_case() {
    let [app, _] = apps();
    let sid = app.log_in();
    for name in ["cookie", "Cookie", "COOKIE"] {
        assert!(!ask(&app.sessions, &[(name, &cookie(&sid))], false).unwrap().is_new(), "{name}");
    }
}

#[test]
fn the_first_secret_signs_and_all_verify() {
    let store = Arc::new(MemoryStore::new());
    let sessions =
        |secrets: &[&str]| Options::new(secrets.to_vec()).store(Arc::clone(&store)).build().unwrap();
    let exchange = sessions(&["old"]).exchange();
    let none = |_: &mut dyn FnMut(&str, &[u8])| {};
    let session = done(exchange.session(&RequestInfo::new("/", false, &none))).unwrap().unwrap();
    session.insert("k", 1).unwrap();
    done(exchange.end()).unwrap();
    let sid = session.id().unwrap();
    let signed = |secret: &str| format!("sid=s:{}", Secret::new(secret).sign(sid.as_str()));
    let both = sessions(&["new", "old"]);
    for (secret, is_ours) in [("old", true), ("new", true), ("other", false)] {
        assert_eq!(!ask(&both, &[("cookie", &signed(secret))], false).unwrap().is_new(), is_ours, "{secret}");
    }
    let cookie = signed("old");
    let each = |visit: &mut dyn FnMut(&str, &[u8])| visit("cookie", cookie.as_bytes());
    let exchange = both.exchange();
    let session = done(exchange.session(&RequestInfo::new("/", false, &each))).unwrap().unwrap();
    session.insert("k", 2).unwrap();
    done(session.renew_id()).unwrap();
    let sent = done(exchange.end()).unwrap().remove(0);
    let value = sent.split(';').next().unwrap().to_owned();
    assert!(!ask(&sessions(&["new"]), &[("cookie", &value)], false).unwrap().is_new());
}

#[test]
fn whether_it_is_secure_the_connection_says_and_a_trusted_proxy() {
    let auto = CookieOptions::new().secure(Secure::Auto).same_site(SameSiteOption::Auto);
    for (proxy, forwarded, encrypted, secure) in [
        (false, &[][..], false, false),
        (false, &[""], false, false),
        (false, &[""], true, true),
        (false, &["https"], false, false),
        (true, &["https"], false, true),
        (true, &["HTTPS , http"], false, true),
        (true, &["http, https"], false, false),
        (true, &[""], false, false),
        // Node joins the lines of a header.
        (true, &["https", "http"], false, true),
        (true, &["http", "https"], false, false),
        (true, &["", "https"], false, false),
    ] {
        let sessions = Options::new("keyboard cat").cookie(auto.clone()).proxy(proxy).build().unwrap();
        let headers: Vec<_> = forwarded.iter().map(|line| ("X-Forwarded-Proto", *line)).collect();
        let cookie = ask(&sessions, &headers, encrypted).unwrap().cookie();
        let what = format!("{proxy} {forwarded:?} {encrypted}");
        assert_eq!(cookie.secure(), secure, "{what}");
        let same_site = if secure { SameSite::None } else { SameSite::Lax };
        assert_eq!(cookie.same_site(), Some(same_site), "{what}");
    }
}

#[test]
fn attributes_of_this_request_that_no_cookie_can_carry_are_an_error_and_what_browsers_refuse_is_not_sent() {
    let broken = Options::new("keyboard cat").cookie_with(|_| CookieOptions::new().domain("a;b"));
    assert!(matches!(ask(&broken.build().unwrap(), &[], false), Err(Error::Cookie(_))));
    let none = || CookieOptions::new().same_site(SameSite::None).secure(false);
    let store = Arc::new(MemoryStore::new());
    let refused = Options::new("keyboard cat").cookie_with(move |_| none()).store(Arc::clone(&store));
    let exchange = refused.build().unwrap().exchange();
    let no_headers = |_: &mut dyn FnMut(&str, &[u8])| {};
    let session = done(exchange.session(&RequestInfo::new("/", false, &no_headers))).unwrap().unwrap();
    session.insert("k", 1).unwrap();
    assert!(done(exchange.end()).unwrap().is_empty());
    // Nobody has its cookie: nothing more is stored.
    session.insert("late", 1).unwrap();
    assert!(matches!(done(session.save()), Err(Error::ResponseOut)));
    // The same where only this connection makes it one that browsers refuse.
    let by = |options: Options| {
        let exchange = options.build().unwrap().exchange();
        let session = done(exchange.session(&RequestInfo::new("/", false, &no_headers))).unwrap().unwrap();
        session.insert("k", 1).unwrap();
        done(exchange.end()).unwrap().len()
    };
    let (plain, host) = (|| Options::new("keyboard cat"), |options: Options| options.name("__Host-sid"));
    assert_eq!(by(plain()), 1);
    assert_eq!(by(host(plain())), 0, "not secure");
    assert_eq!(by(plain().cookie(CookieOptions::new().partitioned(true).secure(Secure::Auto))), 0);
    assert_eq!(by(host(Options::express("keyboard cat"))), 1, "as Express does");
    // And what a handler sets is refused where it stands.
    let sessions = Options::new("keyboard cat").build().unwrap();
    let session = ask(&sessions, &[], false).unwrap();
    assert!(matches!(session.update_cookie(|cookie| cookie.set_domain(Some("a;b"))), Err(Error::Cookie(_))));
    assert_eq!(session.cookie().domain(), None);
    assert!(matches!(session.insert_path("cookie.path", 1), Err(Error::ReservedKey(_))));
    session.unset();
}

/// An error that the handler has, and not a cookie that is missing.
#[test]
fn what_browsers_would_refuse_is_refused_where_the_handler_sets_it() {
    let always = || CookieOptions::new().secure(true);
    type Change = fn(&mut Cookie);
    let changes: [(Options, Change); 5] = [
        (Options::new("keyboard cat"), |cookie| cookie.set_same_site(Some(SameSite::None))),
        (Options::new("keyboard cat"), |cookie| cookie.set_partitioned(true)),
        (Options::new("keyboard cat").cookie(always()), |cookie| cookie.set_domain(Some("example.com"))),
        (Options::new("keyboard cat").cookie(always()), |cookie| cookie.set_path("/admin")),
        (Options::new("keyboard cat").cookie(always()), |cookie| cookie.set_secure(false)),
    ];
    for (options, change) in changes {
        let session = ask(&options.clone().build().unwrap(), &[], false).unwrap();
        let before = session.cookie_json();
        let refused = session.update_cookie(change);
        assert!(matches!(refused, Err(Error::Cookie(CookieError::Refused(_)))), "{refused:?}");
        assert_eq!(session.cookie_json(), before);
        // As Express does; and what it was before is not the handler's doing.
        let warns = options.browser_rules(BrowserRules::Warn).build().unwrap();
        ask(&warns, &[], false).unwrap().update_cookie(change).unwrap();
    }
    let host = Options::new("keyboard cat").name("__Host-sid").build().unwrap();
    let insecure = ask(&host, &[], false).unwrap();
    insecure.update_cookie(|cookie| cookie.set_http_only(false)).unwrap();
}

/// It handles the error, and its answer stands: what may have been stored is under an id that nobody has.
#[test]
fn a_handler_that_can_do_without_a_new_session_is_not_overruled() {
    for trouble in [Trouble::FailsBefore, Trouble::FailsAfter] {
        let [app, express] = apps();
        for (app, is_well) in [(app, true), (express, false)] {
            let (exchange, session) = app.ask(&[]);
            app.trouble(&session.id().unwrap(), Some(trouble));
            assert!(done(add(&session)).is_err());
            // The express profile stores what was never changed, and cannot.
            assert_eq!(done(exchange.end()).map(|cookies| cookies.len()).ok(), is_well.then_some(0));
        }
    }
}

/// The id is one that the client has: its record was over, and was begun again under it.
#[test]
fn an_id_that_a_client_came_with_is_never_forgiven() {
    for app in apps() {
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        session.set_expires(Some(SystemTime::UNIX_EPOCH)).unwrap();
        done(session.save()).unwrap();
        assert_eq!(app.held(&sid), None);
        session.set_max_age(Some(HOUR)).unwrap();
        session.insert("n", 1).unwrap();
        app.trouble_at(0, Trouble::FailsBefore);
        assert!(done(session.save()).is_err());
        assert_eq!(session.id().unwrap(), sid);
        done(session.regenerate()).unwrap();
        app.trouble(&sid, Some(Trouble::FailsBefore));
        assert!(done(exchange.end()).is_err(), "what was sent may still arrive");
    }
}

/// Of two logins at once, by a double click, the slower one begins anew.
#[test]
fn who_finds_the_session_gone_at_a_login_begins_anew() {
    for app in apps() {
        let sid = app.log_in();
        let (one, first) = app.request(&sid);
        let (other, second) = app.request(&sid);
        done(first.renew_id()).unwrap();
        done(one.end()).unwrap();
        assert!(matches!(done(second.renew_id()), Err(Error::Gone)));
        done(second.regenerate()).unwrap();
        second.insert("user", "hu").unwrap();
        assert_eq!(done(other.end()).unwrap().len(), 1);
        assert_eq!(app.held(&second.id().unwrap()).unwrap().data.get("user"), Some("\"hu\""));
        assert!(app.held(&first.id().unwrap()).is_some() && app.held(&sid).is_none());
    }
}

/// What a client may come with is to be gone.
#[test]
fn an_id_that_was_renewed_and_may_live_on_is_a_failure() {
    for app in apps() {
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        let new = {
            app.trouble(&sid, Some(Trouble::FailsBefore));
            assert!(done(session.regenerate()).is_err());
            session.id().unwrap()
        };
        assert_ne!(new, sid);
        assert!(done(exchange.end()).is_err());
        assert!(app.held(&sid).is_some());
    }
}

#[test]
fn options_that_are_set_later_count_and_every_attribute_goes_out() {
    let options = Options::new("keyboard cat")
        .cookie(CookieOptions::new().max_age(HOUR))
        .cookie(CookieOptions::new().max_age(MONTH).partitioned(true).secure(true));
    let sessions = options.build().unwrap();
    let no_headers = |_: &mut dyn FnMut(&str, &[u8])| {};
    let exchange = sessions.exchange();
    let session = done(exchange.session(&RequestInfo::new("/", true, &no_headers))).unwrap().unwrap();
    assert_eq!(session.cookie().original_max_age(), Some(MONTH));
    session.insert("k", 1).unwrap();
    let sent = done(exchange.end()).unwrap().remove(0);
    assert!(sent.contains("; Secure") && sent.contains("; Partitioned"), "{sent}");
}

#[test]
fn after_a_logout_nothing_is_read() {
    for app in apps() {
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        done(session.destroy()).unwrap();
        assert_eq!(session.get::<String>("user").unwrap(), None);
        assert!(session.is_empty() && session.data().is_empty() && session.get_json("user").is_none());
        done(exchange.end()).unwrap();
        let (_exchange, session) = app.request(&app.log_in());
        session.unset();
        assert_eq!(session.get::<String>("user").unwrap(), None);
    }
}

/// In both profiles, of sessions that live for an hour, and their clock.
fn hours() -> [(App, Arc<AtomicUsize>); 2] {
    [Options::new("keyboard cat"), Options::express("keyboard cat").name("sid")].map(|options| {
        let (later, clock) = clock();
        let memory = MemoryStore::new().clock(clock.clone());
        let store = Arc::new(SlowStore { memory, ..SlowStore::default() });
        let options = options.cookie(CookieOptions::new().max_age(HOUR)).clock(clock);
        (App { sessions: options.store(Arc::clone(&store)).build().unwrap(), store }, later)
    })
}

/// What was written for a second, and came after it, is written again for one from then on: it has not ended.
#[test]
fn what_comes_later_than_its_lifetime_is_sent_again() {
    let all: [fn(&Exchange, &SessionHandle); 4] = [
        |_, session| done(session.save()).unwrap(),
        |_, session| _ = done(session.update("n", |n: Option<u8>| n.unwrap_or(0) + 1)).unwrap(),
        |_, session| done(session.renew_id()).unwrap(),
        |exchange, _| _ = done(exchange.end()).unwrap(),
    ];
    for does in all {
        for (app, later) in hours() {
            let (exchange, session) = app.request(&app.log_in());
            session.insert("mine", 1).unwrap();
            session.set_max_age(Some(Duration::from_secs(1))).unwrap();
            *app.store.late.lock().unwrap() = Some((Arc::clone(&later), 1_500));
            does(&exchange, &session);
            assert_eq!(later.load(Ordering::SeqCst), 1_500, "it came late");
            done(exchange.end()).unwrap();
            let held = app.held(&session.id().unwrap()).unwrap();
            assert_eq!((held.data.get("mine"), held.data.get("user")), (Some("1"), Some("\"tj\"")));
        }
    }
}

#[test]
fn a_touch_by_hand_begins_the_lifetime_anew() {
    for (app, later) in hours() {
        let (_exchange, session) = app.request(&app.log_in());
        let before = session.cookie().expires().unwrap();
        later.fetch_add(300, Ordering::SeqCst);
        assert_eq!(session.cookie().expires(), Some(before));
        session.touch().unwrap();
        assert_eq!(session.cookie().expires(), Some(before + Duration::from_millis(300)));
        assert_eq!(session.cookie().original_max_age(), Some(HOUR));
    }
}

#[test]
fn a_clock_may_use_the_session() {
    ends(|| {
        let uses: Arc<Mutex<Option<SessionHandle>>> = Arc::default();
        let looks = Arc::clone(&uses);
        let clock = Clock::new(move || {
            let session = looks.lock().unwrap().clone();
            _ = session.map(|session| session.len());
            SystemTime::now()
        });
        let sessions = Options::new("keyboard cat").clock(clock).build().unwrap();
        let session = ask(&sessions, &[], false).unwrap();
        *uses.lock().unwrap() = Some(session.clone());
        session.insert("k", 1).unwrap();
        session.touch().unwrap();
        session.set_max_age(Some(HOUR)).unwrap();
        done(session.save()).unwrap();
        *uses.lock().unwrap() = None;
    });
}

#[test]
fn what_is_set_while_the_response_goes_out_is_refused() {
    for app in apps() {
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        let set = session.update_cookie(|cookie| {
            cookie.set_http_only(false);
            done(exchange.end()).unwrap();
        });
        assert!(matches!(set, Err(Error::ResponseOut)));
        assert!(session.cookie().http_only());
    }
}

/// A waker that counts, and how many hold it.
#[derive(Default)]
struct Counted(AtomicUsize);

impl Wake for Counted {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn polled_with<T>(task: &mut Task<T>, counted: &Arc<Counted>) -> Poll<T> {
    let waker = Waker::from(Arc::clone(counted));
    task.as_mut().poll(&mut Context::from_waker(&waker))
}

fn adding(session: &SessionHandle) -> Task<Result<u64, Error>> {
    let session = session.clone();
    Box::pin(async move { add(&session).await })
}

#[test]
fn a_future_that_was_moved_is_woken_where_it_is() {
    for app in apps() {
        for polls in 0..6 {
            let sid = app.log_in();
            let (_exchange, session) = app.request(&sid);
            let [first, second] = [(); 2].map(|()| Arc::new(Counted::default()));
            let mut moved = adding(&session);
            let mut is_done = polled_with(&mut moved, &first).is_ready();
            for _ in 0..=polls {
                is_done = is_done || polled_with(&mut moved, &second).is_ready();
            }
            if is_done {
                continue;
            }
            second.0.store(0, Ordering::SeqCst);
            // Another one drives it to its end.
            done(session.save()).unwrap();
            assert!(second.0.load(Ordering::SeqCst) > 0, "{polls}");
            assert!(polled_with(&mut moved, &second).is_ready() || second.0.load(Ordering::SeqCst) > 1);
        }
    }
}

#[test]
fn nothing_is_kept_of_those_who_are_gone() {
    for app in apps() {
        // Of one handle: one is under way, and another waits for it, and is dropped.
        let sid = app.log_in();
        let (_a, session) = app.request(&sid);
        let counted = Arc::new(Counted::default());
        let mut first = adding(&session);
        assert!(!poll(&mut first));
        let mut second = adding(&session);
        assert!(polled_with(&mut second, &counted).is_pending());
        drop(second);
        assert_eq!(Arc::strong_count(&counted), 1, "a waker is kept of what was dropped");
        done(first).unwrap();
        // Of another request: it waits for the turn of the first, and drives it.
        for polls in 1..12 {
            let sid = app.log_in();
            let [(_a, session), (_b, other), (_c, third)] = [(); 3].map(|()| app.request(&sid));
            done(add(&third)).unwrap();
            let mut first = adding(&session);
            for _ in 0..polls {
                if poll(&mut first) {
                    first = adding(&third);
                }
            }
            for polls in 1..12 {
                let counted = Arc::new(Counted::default());
                let mut waits = adding(&other);
                _ = (0..polls).any(|_| polled_with(&mut waits, &counted).is_ready());
                drop(waits);
                assert_eq!(Arc::strong_count(&counted), 1, "{polls}");
            }
        }
    }
}

/// A store that panics once.
#[derive(Debug, Default)]
struct Panics(MemoryStore, AtomicBool);

impl Panics {
    async fn may_panic(&self) {
        let mut waited = false;
        std::future::poll_fn(move |context: &mut Context<'_>| {
            context.waker().wake_by_ref();
            if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        assert!(!self.1.swap(false, Ordering::SeqCst), "this store panics");
    }
}

#[async_trait]
impl Store for Panics {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        self.0.get(sid).await
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        self.may_panic().await;
        self.0.set(sid, record, expect).await
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        self.0.touch(sid, cookie, expect).await
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        self.0.destroy(sid, expect).await
    }
}

#[test]
fn a_store_that_panics_strikes_who_asked_it_and_the_session_goes_on() {
    for helped in [false, true] {
        let store = Arc::new(Panics::default());
        let sessions = Options::new("keyboard cat").store(Arc::clone(&store)).build().unwrap();
        let app = App { sessions, store: Arc::clone(&store) };
        let (exchange, session) = app.ask(&[]);
        session.insert("n", 0).unwrap();
        done(session.save()).unwrap();
        let mut strikes = adding(&session);
        assert!(!poll(&mut strikes));
        store.1.store(true, Ordering::SeqCst);
        if helped {
            assert_eq!(polled(1_000, add(&session)).expect("it ends").unwrap(), 1);
            assert!(matches!(polled(1_000, strikes), Some(Err(Error::Store(_)))));
        } else {
            let hook = std::panic::take_hook();
            std::panic::set_hook(Box::new(|_| {}));
            let struck = catch_unwind(AssertUnwindSafe(|| polled(1_000, strikes)));
            std::panic::set_hook(hook);
            assert!(struck.is_err());
            assert_eq!(polled(1_000, add(&session)).expect("it ends").unwrap(), 1);
        }
        polled(1_000, exchange.end()).expect("it ends").unwrap();
    }
}

/// Writes fail, and one of them is done later.
#[derive(Debug, Default)]
struct Later {
    memory: MemoryStore,
    /// So many writes to come fail.
    fails: AtomicUsize,
    /// This one of them, counted from the last, is only on its way.
    caught_at: AtomicUsize,
    caught: Mutex<Option<(Sid, Record, Expect)>>,
}

#[async_trait]
impl Store for Later {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        self.memory.get(sid).await
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        let left = self.fails.load(Ordering::SeqCst);
        if left == 0 {
            return self.memory.set(sid, record, expect).await;
        }
        if left == self.caught_at.load(Ordering::SeqCst) {
            *self.caught.lock().unwrap() = Some((sid.clone(), record.clone(), expect.clone()));
        }
        self.fails.store(left - 1, Ordering::SeqCst);
        Err(StoreError::unavailable("later", "down"))
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        self.memory.touch(sid, cookie, expect).await
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        self.memory.destroy(sid, expect).await
    }
}

#[test]
fn whichever_of_many_writes_without_an_answer_is_done_later_what_was_taken_back_stays_so() {
    const WRITES: usize = 9;
    for arrives in 1..WRITES {
        for puts in [true, false] {
            let store = Arc::new(Later::default());
            let sessions = Options::new("keyboard cat").store(Arc::clone(&store)).build().unwrap();
            let app = App { sessions, store: Arc::clone(&store) };
            let (exchange, session) = app.ask(&[]);
            session.insert("n", 0).unwrap();
            session.insert("taken", 1).unwrap();
            done(exchange.end()).unwrap();
            let sid = session.id().unwrap();
            let (exchange, session) = app.request(&sid);
            store.fails.store(WRITES, Ordering::SeqCst);
            store.caught_at.store(WRITES + 1 - arrives, Ordering::SeqCst);
            for write in 1..=WRITES {
                session.insert("n", write).unwrap();
                match (write.cmp(&arrives), puts) {
                    (std::cmp::Ordering::Equal, true) => session.insert("admin", true).unwrap(),
                    (std::cmp::Ordering::Equal, false) => _ = session.remove("taken").unwrap(),
                    (std::cmp::Ordering::Greater, true) => _ = session.remove("admin").unwrap(),
                    (std::cmp::Ordering::Greater, false) => session.insert("taken", 1).unwrap(),
                    _ => {}
                }
                assert!(done(session.save()).is_err());
            }
            let (of, record, expect) = store.caught.lock().unwrap().take().unwrap();
            let arrived = done(store.memory.set(&of, &record, &expect)).unwrap();
            assert!(matches!(arrived, Set::Written(_)));
            done(exchange.end()).unwrap();
            let held = done(store.memory.get(&sid)).unwrap().unwrap().record.data;
            let told: Vec<_> = held.iter().collect();
            assert_eq!(held.get("admin"), None, "{arrives} {told:?}");
            assert_eq!(held.get("taken"), Some("1"), "{arrives} {told:?}");
            assert_eq!(held.get("n"), Some("9"), "{arrives} {told:?}");
        }
    }
}

/// When the cookie and the record end, in milliseconds of the clock.
fn ends_at(app: &App, sid: &Sid) -> Duration {
    done(app.store.memory.get(sid)).unwrap().unwrap().left.unwrap()
}

#[test]
fn a_cookie_that_another_request_sent_for_a_later_end_stays_the_last() {
    let (app, later) = an_hour();
    let sid = app.log_in();
    let (exchange, session) = app.request(&sid);
    done(add(&session)).unwrap();
    // Another one only reads, and touches.
    later.store(20 * 60_000, Ordering::SeqCst);
    let (other, _two) = app.request(&sid);
    assert_eq!(done(other.end()).unwrap().len(), 1);
    later.store(25 * 60_000, Ordering::SeqCst);
    assert_eq!(ends_at(&app, &sid), HOUR - Duration::from_secs(300));
    done(session.reload()).unwrap();
    // The cookie of the count that was read again says the same.
    assert_eq!(done(exchange.end()).unwrap().len(), 1);
    assert_eq!(ends_at(&app, &sid), HOUR - Duration::from_secs(300));
    let held = done(app.store.memory.get(&sid)).unwrap().unwrap().record;
    assert_eq!(session.cookie().expires(), held.cookie.expires());
}

/// A cookie that goes out for another reason carries a whole hour: the record has it as well.
#[test]
fn a_cookie_that_goes_out_after_another_request_moved_the_record_ends_with_it() {
    let (app, later) = an_hour();
    let sid = app.log_in();
    let (exchange, session) = app.request(&sid);
    session.update_cookie(|cookie| cookie.set_priority(Some(Priority::High))).unwrap();
    done(session.save()).unwrap();
    later.store(20 * 60_000, Ordering::SeqCst);
    let (other, _two) = app.request(&sid);
    assert_eq!(done(other.end()).unwrap().len(), 1);
    later.store(25 * 60_000, Ordering::SeqCst);
    assert_eq!(done(exchange.end()).unwrap().len(), 1);
    assert_eq!(ends_at(&app, &sid), HOUR);
}

#[test]
fn a_logout_that_came_too_late_takes_no_newer_cookie_away() {
    let [app, _] = apps();
    for unsets in [false, true] {
        let sid = app.log_in();
        let [(a, one), (b, two)] = [(); 2].map(|()| app.request(&sid));
        done(one.renew_id()).unwrap();
        assert_eq!(done(a.end()).unwrap().len(), 1);
        assert!(matches!(done(two.destroy()), Err(Error::Gone)));
        if unsets {
            two.unset();
        }
        assert!(done(b.end()).unwrap().is_empty());
    }
}

#[test]
fn a_cookie_with_an_error_ends_with_the_record() {
    let (app, later) = an_hour();
    let sid = app.log_in();
    later.store(20 * 60_000, Ordering::SeqCst);
    let (exchange, session) = app.request(&sid);
    done(session.renew_id()).unwrap();
    session.set_max_age(Some(MONTH)).unwrap();
    app.trouble_at(0, Trouble::FailsBefore);
    let error = done(exchange.end()).unwrap_err();
    let [sent] = error.cookies() else { panic!("{error:?}") };
    // What is sent is what a request that only reads would send.
    let (next, two) = app.request(&session.id().unwrap());
    two.insert("k", 1).unwrap();
    let renewed = done(next.end()).unwrap().remove(0);
    let expires =
        |cookie: &str| cookie.split("; ").find(|part| part.starts_with("Expires")).unwrap().to_owned();
    assert_eq!(expires(sent), expires(&renewed));
}

#[test]
fn a_lifetime_is_the_sessions_own_whatever_the_configuration_has() {
    let (app, _) = timed(MemoryStore::new(), CookieOptions::new());
    let sid = app.log_in();
    let (exchange, session) = app.request(&sid);
    session.set_max_age(Some(MONTH)).unwrap();
    done(exchange.end()).unwrap();
    let (exchange, session) = app.request(&sid);
    assert_eq!(session.cookie().expires(), app.held(&sid).unwrap().cookie.expires());
    session.insert("k", 1).unwrap();
    let sent = done(exchange.end()).unwrap();
    assert!(sent.first().is_some_and(|cookie| cookie.contains("Expires=")), "{sent:?}");
}

#[test]
fn a_memory_store_keeps_what_it_was_told() {
    use session_core::AdminStore as _;
    let (later, now) = clock();
    let store = MemoryStore::new().ttl(HOUR).clock(now).max_sessions(10);
    let forever = Record::new(Cookie::default(), session_core::Data::new());
    let put = |many: usize| {
        for at in 0..many {
            done(store.set(&format!("{at}").into(), &forever, &Expect::Anything)).unwrap();
        }
    };
    put(20);
    assert_eq!(done(store.length()).unwrap(), 10);
    assert_eq!(done(store.get(&"19".into())).unwrap().unwrap().left, Some(HOUR));
    done(store.clear()).unwrap();
    put(20);
    assert_eq!(done(store.length()).unwrap(), 10, "the limit stays");
    later.store(2 * 3_600_000, Ordering::SeqCst);
    assert!(done(store.get(&"19".into())).unwrap().is_none());
    // What has expired is dropped as others are written.
    let (later, now) = clock();
    let store = MemoryStore::new().ttl(HOUR).clock(now).max_sessions(1_000);
    for at in 0..200 {
        if at == 100 {
            later.store(2 * 3_600_000, Ordering::SeqCst);
        }
        done(store.set(&format!("{at}").into(), &forever, &Expect::Anything)).unwrap();
    }
    assert_eq!(done(store.prune()).unwrap(), 0);
    // Shard by shard, where there are many.
    let store = MemoryStore::new().max_sessions(8_192);
    for at in 0..20_000 {
        done(store.set(&format!("{at}").into(), &forever, &Expect::Anything)).unwrap();
    }
    let length = done(store.length()).unwrap();
    assert!((7_000..=8_192).contains(&length), "{length}");
}

#[test]
fn a_cookie_with_an_error_is_what_was_sent_to_the_store_and_not_what_was_set_meanwhile() {
    let (app, later) = an_hour();
    let sid = app.log_in();
    later.store(20 * 60_000, Ordering::SeqCst);
    let (exchange, session) = app.request(&sid);
    let mut renewal = Box::pin(session.renew_id());
    assert!(!poll(&mut renewal));
    session.set_max_age(Some(MONTH)).unwrap();
    done(renewal).unwrap();
    app.trouble_at(0, Trouble::FailsBefore);
    let error = done(exchange.end()).unwrap_err();
    let [sent] = error.cookies() else { panic!("{error:?}") };
    let stored = app.held(&session.id().unwrap()).unwrap().cookie;
    assert_eq!(stored.original_max_age(), Some(HOUR));
    // What a request that only changes data sends at the same time.
    let (next, two) = app.request(&session.id().unwrap());
    two.insert("k", 1).unwrap();
    let as_stored = done(next.end()).unwrap().remove(0);
    let expires =
        |cookie: &str| cookie.split("; ").find(|part| part.starts_with("Expires")).unwrap().to_owned();
    assert_eq!(expires(sent), expires(&as_stored));
}

#[test]
fn the_handler_sees_the_date_that_is_stored_and_sent() {
    let (app, later) = an_hour();
    let sid = app.log_in();
    later.store(20 * 60_000, Ordering::SeqCst);
    let (exchange, session) = app.request(&sid);
    done(session.save()).unwrap();
    assert_eq!(session.cookie().expires(), app.held(&sid).unwrap().cookie.expires());
    done(exchange.end()).unwrap();
    later.store(40 * 60_000, Ordering::SeqCst);
    let (exchange, session) = app.request(&sid);
    assert_eq!(done(exchange.end()).unwrap().len(), 1);
    assert_eq!(session.cookie().expires(), app.held(&sid).unwrap().cookie.expires());
}

#[test]
fn what_was_read_by_a_slow_call_is_as_old_as_its_question() {
    let (app, later) = an_hour();
    let sid = app.log_in();
    let (exchange, session) = app.request(&sid);
    done(add(&session)).unwrap();
    let mut reload = Box::pin(session.reload());
    // It is read, and the answer is on its way.
    assert!(!poll(&mut reload) && !poll(&mut reload));
    let (other, two) = app.request(&sid);
    done(two.renew_id()).unwrap();
    assert_eq!(done(other.end()).unwrap().len(), 1);
    // Not longer than a store may round by.
    later.store(500, Ordering::SeqCst);
    done(reload).unwrap();
    assert!(done(exchange.end()).unwrap().is_empty(), "an old cookie over a newer one");
}

#[test]
fn a_lifetime_that_is_set_while_an_expired_session_is_destroyed_begins_another() {
    let [app, _] = apps();
    let sid = app.log_in();
    let (exchange, session) = app.request(&sid);
    session.set_expires(Some(SystemTime::UNIX_EPOCH)).unwrap();
    let mut save = Box::pin(session.save());
    assert!(!poll(&mut save));
    session.set_max_age(Some(HOUR)).unwrap();
    done(save).unwrap();
    assert_eq!(done(exchange.end()).unwrap().len(), 1);
    assert_eq!(app.held(&sid).unwrap().data.get("user"), Some("\"tj\""));
}

#[test]
fn a_regenerated_session_has_the_lifetime_of_the_configuration() {
    for app in apps() {
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        session.set_max_age(Some(MONTH)).unwrap();
        done(session.save()).unwrap();
        done(session.regenerate()).unwrap();
        session.insert("k", 1).unwrap();
        done(exchange.end()).unwrap();
        assert_eq!(app.held(&session.id().unwrap()).unwrap().cookie.original_max_age(), Some(HOUR));
    }
}

#[test]
fn a_first_write_that_arrives_after_its_id_was_given_up_is_cleaned_up() {
    let store = Arc::new(Later::default());
    let sessions = Options::new("keyboard cat").store(Arc::clone(&store)).build().unwrap();
    let app = App { sessions, store: Arc::clone(&store) };
    let (exchange, session) = app.ask(&[]);
    session.insert("k", 1).unwrap();
    store.fails.store(1, Ordering::SeqCst);
    store.caught_at.store(1, Ordering::SeqCst);
    assert!(done(session.save()).is_err());
    let first = session.id().unwrap();
    done(session.save()).unwrap();
    assert!(session.id().unwrap() != first);
    let (of, record, expect) = store.caught.lock().unwrap().take().unwrap();
    assert!(matches!(done(store.memory.set(&of, &record, &expect)).unwrap(), Set::Written(_)));
    assert_eq!(done(exchange.end()).unwrap().len(), 1);
    assert!(done(store.memory.get(&first)).unwrap().is_none());
    assert!(done(store.memory.get(&session.id().unwrap())).unwrap().is_some());
}

#[test]
fn a_first_write_without_an_answer_that_was_taken_back_leaves_nothing() {
    let [app, _] = apps();
    let (exchange, session) = app.ask(&[]);
    session.insert("k", 1).unwrap();
    app.trouble_at(0, Trouble::FailsAfter);
    assert!(done(session.save()).is_err());
    assert_eq!(app.records(), 1);
    session.remove("k").unwrap();
    let cookies = done(exchange.end()).unwrap();
    assert_eq!(app.records(), cookies.len() as u64, "{cookies:?}");
}

#[test]
fn a_touch_that_came_too_late_sends_no_cookie_with_the_lifetime_of_before() {
    let (app, later) = an_hour();
    let sid = app.log_in();
    later.store(20 * 60_000, Ordering::SeqCst);
    let [(a, _one), (b, two)] = [(); 2].map(|()| app.request(&sid));
    two.set_max_age(Some(MONTH)).unwrap();
    let remembered = done(b.end()).unwrap();
    let sent = done(a.end()).unwrap();
    let expires =
        |cookie: &String| cookie.split("; ").find(|part| part.starts_with("Expires")).unwrap().to_owned();
    assert!(sent.first().is_none_or(|cookie| expires(cookie) == expires(&remembered[0])), "{sent:?}");
    assert_eq!(ends_at(&app, &sid), MONTH);
}

#[test]
fn a_regeneration_of_what_another_request_ended_takes_no_newer_cookie_away() {
    let [app, _] = apps();
    let sid = app.log_in();
    let [(a, one), (b, two)] = [(); 2].map(|()| app.request(&sid));
    done(one.renew_id()).unwrap();
    assert_eq!(done(a.end()).unwrap().len(), 1);
    done(two.regenerate()).unwrap();
    done(two.destroy()).unwrap();
    assert!(done(b.end()).unwrap().is_empty());
}

#[test]
fn what_a_regeneration_could_not_destroy_the_end_destroys() {
    for app in apps() {
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        app.trouble_at(0, Trouble::FailsBefore);
        assert!(done(session.regenerate()).is_err());
        session.insert("k", 1).unwrap();
        assert_eq!(done(exchange.end()).unwrap().len(), 1);
        assert!(app.held(&sid).is_none());
    }
}

#[test]
fn what_is_set_while_the_end_asks_whether_it_is_so_is_stored_or_an_error() {
    for fails in [false, true] {
        let (app, later) = an_hour();
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        session.insert("k", 1).unwrap();
        let mut end = Box::pin(exchange.end());
        while app.held(&sid).unwrap().data.get("k").is_none() {
            assert!(!poll(&mut end));
        }
        later.store(5_000, Ordering::SeqCst);
        if fails {
            app.trouble_at(0, Trouble::FailsBefore);
        }
        let before = calls(&app);
        while calls(&app) == before {
            assert!(!poll(&mut end));
        }
        session.insert("late", 1).unwrap();
        let answer = done(end);
        let is_stored = app.held(&sid).unwrap().data.get("late").is_some();
        assert_eq!(answer.is_ok(), is_stored, "{fails}: {answer:?}");
    }
}

#[test]
fn what_is_let_go_of_while_the_end_is_at_work_is_destroyed_where_that_is_said() {
    for times in 1..8 {
        for express in [false, true] {
            let store = Arc::new(SlowStore::default());
            let options =
                if express { Options::express("keyboard cat") } else { Options::new("keyboard cat") };
            let options = options.name("sid").unset(session_core::Unset::Destroy);
            let app = App { sessions: options.store(Arc::clone(&store)).build().unwrap(), store };
            let sid = app.log_in();
            let (exchange, session) = app.request(&sid);
            session.insert("k", 1).unwrap();
            let mut end = Box::pin(exchange.end());
            if (0..times).any(|_| poll(&mut end)) {
                continue;
            }
            session.unset();
            done(end).unwrap();
            assert!(app.held(&sid).is_none(), "{times} {express}");
        }
    }
}

#[test]
fn a_cookie_with_an_error_is_what_was_sent_last_and_not_what_was_stored_first() {
    let (app, _) = an_hour();
    let sid = app.log_in();
    let (exchange, session) = app.request(&sid);
    session.set_max_age(Some(MONTH)).unwrap();
    let mut renewal = Box::pin(session.renew_id());
    assert!(!poll(&mut renewal));
    session.set_max_age(None).unwrap();
    done(renewal).unwrap();
    app.trouble_at(0, Trouble::FailsBefore);
    let error = done(exchange.end()).unwrap_err();
    let [sent] = error.cookies() else { panic!("{error:?}") };
    assert_eq!(app.held(&session.id().unwrap()).unwrap().cookie.original_max_age(), Some(MONTH));
    let (next, two) = app.request(&session.id().unwrap());
    two.insert("k", 1).unwrap();
    let as_stored = done(next.end()).unwrap().remove(0);
    let expires =
        |cookie: &str| cookie.split("; ").find(|part| part.starts_with("Expires")).unwrap().to_owned();
    assert_eq!(expires(sent), expires(&as_stored));
}

#[test]
fn a_renewal_that_took_longer_than_the_session_lives_is_not_done() {
    let (app, later) = an_hour();
    let sid = app.log_in();
    let (_exchange, session) = app.request(&sid);
    let mut renewal = Box::pin(session.renew_id());
    while app.held(&sid).is_some() {
        assert!(!poll(&mut renewal));
    }
    // The old record is gone, and the answer is on its way for longer than the new one is held.
    later.store(2 * 3_600_000, Ordering::SeqCst);
    assert!(matches!(done(renewal), Err(Error::Gone)));
}

#[test]
fn nothing_is_kept_of_those_who_waited_for_one_that_hangs() {
    for app in apps() {
        let sid = app.log_in();
        let [(_a, session), (_b, other), (_c, third)] = [(); 3].map(|()| app.request(&sid));
        done(add(&third)).unwrap();
        let (mut first, mut waits) = (adding(&session), adding(&other));
        // A conflict, the turn, and the next call.
        (0..3).for_each(|_| assert!(!poll(&mut first)));
        let counted = Arc::new(Counted::default());
        (0..2).for_each(|_| assert!(polled_with(&mut waits, &counted).is_pending()));
        app.trouble(&sid, Some(Trouble::Hangs));
        (0..3).for_each(|_| assert!(polled_with(&mut waits, &counted).is_pending()));
        drop(waits);
        assert_eq!(Arc::strong_count(&counted), 1, "a waker is kept of what was dropped");
    }
}

/// A store whose writes wait for an answer, and in which something may happen while one is polled: as on another thread.
#[derive(Default)]
struct Hooked {
    memory: MemoryStore,
    waits: AtomicBool,
    waker: Mutex<Option<Waker>>,
    meanwhile: Mutex<Option<Meanwhile>>,
}

/// Answers whether the call is answered with it.
type Meanwhile = Box<dyn FnOnce(&Waker) -> bool + Send>;

impl std::fmt::Debug for Hooked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hooked")
    }
}

impl Hooked {
    fn answers(&self) {
        self.waits.store(false, Ordering::SeqCst);
        let waker = self.waker.lock().unwrap().take();
        waker.expect("somebody waits").wake();
    }
}

#[async_trait]
impl Store for Hooked {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        self.memory.get(sid).await
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        std::future::poll_fn(|context| {
            if !self.waits.load(Ordering::SeqCst) {
                return Poll::Ready(());
            }
            *self.waker.lock().unwrap() = Some(context.waker().clone());
            let meanwhile = self.meanwhile.lock().unwrap().take();
            let is_answered = meanwhile.is_some_and(|meanwhile| meanwhile(context.waker()));
            if is_answered { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        self.memory.set(sid, record, expect).await
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        self.memory.touch(sid, cookie, expect).await
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        self.memory.destroy(sid, expect).await
    }
}

type SharedTask = Arc<Mutex<Option<Pin<Box<dyn Future<Output = Result<u64, Error>> + Send>>>>>;

fn shared(session: &SessionHandle) -> SharedTask {
    let session = session.clone();
    let task: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(async move { add(&session).await });
    Arc::new(Mutex::new(Some(task)))
}

fn poll_shared(task: &SharedTask, counted: &Arc<Counted>) -> Poll<Result<u64, Error>> {
    let waker = Waker::from(Arc::clone(counted));
    task.lock().unwrap().as_mut().unwrap().as_mut().poll(&mut Context::from_waker(&waker))
}

fn hooked() -> (App<Hooked>, SessionHandle) {
    let store = Arc::new(Hooked::default());
    let sessions = Options::new("keyboard cat").store(Arc::clone(&store)).build().unwrap();
    let app = App { sessions, store };
    let (exchange, session) = app.ask(&[]);
    session.insert("n", 0).unwrap();
    done(exchange.end()).unwrap();
    let (exchange, session) = app.request(&session.id().unwrap());
    // It lives as long as the test.
    Box::leak(Box::new(exchange));
    app.store.waits.store(true, Ordering::SeqCst);
    (app, session)
}

#[test]
fn who_comes_while_another_is_polled_is_woken_by_the_answer() {
    let (app, session) = hooked();
    let [first, second] = [(); 2].map(|()| shared(&session));
    let [mine, its] = [(); 2].map(|()| Arc::new(Counted::default()));
    let (comes, counted) = (Arc::clone(&second), Arc::clone(&its));
    *app.store.meanwhile.lock().unwrap() = Some(Box::new(move |_| poll_shared(&comes, &counted).is_ready()));
    assert!(poll_shared(&first, &mine).is_pending());
    // The first one is put aside now.
    app.store.answers();
    assert!(its.0.load(Ordering::SeqCst) > 0, "nobody wakes it");
    assert!(matches!(poll_shared(&second, &its), Poll::Ready(Ok(2))));
}

#[test]
fn who_comes_between_an_answer_and_the_end_of_the_poll_is_woken() {
    let (app, session) = hooked();
    let [first, second, third] = [(); 3].map(|()| shared(&session));
    let [mine, its, others] = [(); 3].map(|()| Arc::new(Counted::default()));
    assert!(poll_shared(&first, &mine).is_pending());
    assert!(poll_shared(&third, &others).is_pending());
    let (comes, counted, store) = (Arc::clone(&second), Arc::clone(&its), Arc::downgrade(&app.store));
    *app.store.meanwhile.lock().unwrap() = Some(Box::new(move |waker| {
        store.upgrade().unwrap().waits.store(false, Ordering::SeqCst);
        waker.wake_by_ref();
        poll_shared(&comes, &counted).is_ready()
    }));
    assert!(poll_shared(&first, &mine).is_pending());
    // The other two are put aside now.
    assert!(its.0.load(Ordering::SeqCst) > 0, "nobody wakes it");
    assert!(matches!(poll_shared(&second, &its), Poll::Ready(Ok(_))));
}

#[test]
fn one_that_is_dropped_while_another_drives_it_holds_up_nobody() {
    let (app, session) = hooked();
    let [first, second] = [(); 2].map(|()| shared(&session));
    let [mine, its] = [(); 2].map(|()| Arc::new(Counted::default()));
    assert!(poll_shared(&first, &mine).is_pending());
    let (dropped, store) = (Arc::clone(&first), Arc::downgrade(&app.store));
    *app.store.meanwhile.lock().unwrap() = Some(Box::new(move |_| {
        // A time-out: this call never comes back, and the next one does.
        let task = dropped.lock().unwrap().take();
        drop(task);
        store.upgrade().unwrap().waits.store(false, Ordering::SeqCst);
        false
    }));
    // One is added: the one that was dropped had done nothing yet.
    let answer = (0..3).find_map(|_| match poll_shared(&second, &its) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    });
    assert!(matches!(answer, Some(Ok(1))), "{answer:?}");
}

#[test]
fn one_that_comes_while_another_brings_it_to_its_end_is_told_so() {
    let (app, session) = hooked();
    let [first, second] = [(); 2].map(|()| shared(&session));
    let [mine, its] = [(); 2].map(|()| Arc::new(Counted::default()));
    assert!(poll_shared(&first, &mine).is_pending());
    let (comes, counted) = (Arc::clone(&first), Arc::clone(&mine));
    *app.store.meanwhile.lock().unwrap() = Some(Box::new(move |_| {
        assert!(poll_shared(&comes, &counted).is_pending());
        true
    }));
    // The second one goes on with its own, which hangs.
    assert!(poll_shared(&second, &its).is_pending());
    assert!(mine.0.load(Ordering::SeqCst) > 0, "nobody wakes it");
    assert!(matches!(poll_shared(&first, &mine), Poll::Ready(Ok(1))));
}

/// express-session and the cookie package take the words in any case, and an application may have stored them so.
#[test]
fn the_words_of_a_stored_cookie_are_read_in_any_case() {
    let cookie = r#"{"originalMaxAge":null,"expires":null,"path":"/","sameSite":"Lax","priority":"HIGH"}"#;
    let record = Record::parse(format!(r#"{{"cookie":{cookie}}}"#)).unwrap();
    assert_eq!(record.cookie.same_site(), Some(SameSite::Lax));
    assert_eq!(record.cookie.priority(), Some(Priority::High));
    let sid = Sid::random();
    let store = MemoryStore::new();
    done(store.set(&sid, &record, &Expect::Nothing)).unwrap();
    let options = Options::express("keyboard cat").name("sid").rolling(true).store(store);
    let sessions = options.build().unwrap();
    let exchange = sessions.exchange();
    let line = common::cookie(&sid);
    let headers = |visit: &mut dyn FnMut(&str, &[u8])| visit("cookie", line.as_bytes());
    done(exchange.session(&RequestInfo::new("/", false, &headers))).unwrap().unwrap();
    let sent = done(exchange.end()).unwrap();
    assert!(sent[0].ends_with("; Priority=High; SameSite=Lax"), "{sent:?}");
}

/// No app writes them. JavaScript sends `Path=5`, fails at `sameSite`, and its request hangs at the lifetime that is a text.
#[test]
fn odd_values_of_a_stored_cookie_are_kept_and_not_sent() {
    for (odd, kept) in [
        (r#""originalMaxAge":null,"expires":null,"path":5"#, r#""path":5"#),
        (r#""originalMaxAge":null,"expires":null,"sameSite":"foo""#, r#""sameSite":"foo""#),
        (r#""originalMaxAge":"60000","expires":1"#, r#""originalMaxAge":"60000","expires":1"#),
        (
            r#""originalMaxAge":"60000","expires":"Thu, 01 Jan 2026 00:00:00 GMT""#,
            r#""originalMaxAge":"60000","expires":"Thu, 01 Jan 2026 00:00:00 GMT""#,
        ),
    ] {
        let record = Record::parse(format!(r#"{{"cookie":{{{odd}}},"n":1}}"#)).unwrap();
        let (sid, store) = (Sid::random(), Arc::new(MemoryStore::new()));
        done(store.set(&sid, &record, &Expect::Nothing)).unwrap();
        let options = Options::express("keyboard cat").name("sid").rolling(true).store(Arc::clone(&store));
        let sessions = options.build().unwrap();
        let exchange = sessions.exchange();
        let line = common::cookie(&sid);
        let headers = |visit: &mut dyn FnMut(&str, &[u8])| visit("cookie", line.as_bytes());
        let session = done(exchange.session(&RequestInfo::new("/", false, &headers))).unwrap().unwrap();
        session.insert("n", 2).unwrap();
        let sent = done(exchange.end()).unwrap();
        assert!(sent.len() == 1 && !sent[0].contains("5;") && !sent[0].contains("foo"), "{sent:?}");
        assert!(!sent[0].contains("Expires") && !sent[0].contains("SameSite"), "{sent:?}");
        let held = done(store.get(&sid)).unwrap().unwrap().record;
        assert_eq!(held.data.get("n"), Some("2"));
        assert!(held.to_json().contains(kept), "{}", held.to_json());
    }
}

#[test]
fn debug_shows_no_data_and_no_id() {
    const CANARY: &str = "swordfish";
    let record = Record::parse(format!(r#"{{"cookie":{{}},"{CANARY}":"{CANARY}"}}"#)).unwrap();
    let sid = Sid::from(CANARY);
    let store = MemoryStore::new();
    let set = done(store.set(&sid, &record, &Expect::Nothing)).unwrap();
    let stored = done(store.get(&sid)).unwrap().unwrap();
    let of_a_text = session_core::Version::from_text(CANARY);
    let expect = Expect::Version(of_a_text.clone());
    let secret = Secret::new(CANARY);
    for shown in [
        format!("{sid:?}"),
        format!("{record:?} {:?}", record.data),
        format!("{set:?} {stored:?}"),
        format!("{of_a_text:?} {expect:?} {:?}", Set::Written(of_a_text.clone())),
        format!("{secret:?}"),
        format!("{:?}", Options::new(CANARY)),
        format!("{store:?}"),
        format!("{:?}", Keygrip::new([CANARY])),
    ] {
        assert!(!shown.is_empty() && !shown.contains(CANARY) && !shown.contains("115, 119"), "{shown}");
    }
    let [app, _] = apps();
    let cookies = [cookie(&app.log_in())];
    let (exchange, session) = app.ask(&cookies);
    session.insert(CANARY, CANARY).unwrap();
    let draft = done(session.transaction(|draft| Ok(format!("{draft:?}")))).unwrap();
    // Of a session whose id was renewed and whose save then failed: it has the cookie with the new id.
    let store = FailingStore::new(MemoryStore::new());
    let sessions = Options::new(CANARY).store(Arc::clone(&store)).build().unwrap();
    let of_it = sessions.exchange();
    let failing = done(with_cookies(&[], |request| of_it.session(request))).unwrap().unwrap();
    done(failing.update("n", |_: Option<u8>| 1)).unwrap();
    failing.insert(CANARY, CANARY).unwrap();
    store.fail_writes(true);
    let failed = done(of_it.end()).unwrap_err();
    assert_eq!(failed.cookies().len(), 1, "{failed:?}");
    let shown = format!("{failed:?} {failed}");
    for secret in [failing.id().unwrap().as_str(), &failed.cookies()[0], CANARY, "%3A"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let request = with_cookies(&cookies, |request| format!("{request:?}"));
    for shown in [format!("{session:?} {exchange:?} {:?}", app.sessions), draft, request] {
        assert!(!shown.contains(CANARY) && !shown.contains(session.id().unwrap().as_str()), "{shown}");
        assert!(
            !shown.is_empty() && !shown.contains(&cookies[0]) && !shown.contains("keyboard cat"),
            "{shown}"
        );
    }
}
