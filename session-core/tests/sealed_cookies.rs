//! Sessions sealed into their clients' cookies.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use common::{ask, done, kept, with_cookies};
use session_core::{
    AdminStore, Clock, CookieOptions, CookieSessionOptions, Error, Exchange, MemoryStore, SaveError,
    SealedSessionOptions, SessionHandle, Sessions, Sid, StoreError, cookie_session_value,
};
use session_testkit::FailingStore;

const SECRET: [u8; 32] = [7; 32];
const MINUTE: usize = 60_000;
const DAY: usize = 24 * 60 * MINUTE;

fn new() -> SealedSessionOptions {
    SealedSessionOptions::new(SECRET)
}

fn logged_in(sessions: &Sessions) -> Vec<String> {
    let (exchange, session) = ask(sessions, &[]);
    assert!(session.is_new());
    session.insert("user", "swordfish").unwrap();
    let set = done(exchange.end()).unwrap();
    assert_eq!(set.len(), 1);
    kept(&set)
}

fn user(sessions: &Sessions, cookies: &[String]) -> Option<String> {
    ask(sessions, cookies).1.get("user").unwrap()
}

fn at_a_time(options: SealedSessionOptions) -> (Sessions, Arc<AtomicUsize>, Clock) {
    let (later, clock) = common::clock();
    (options.clock(clock.clone()).build().unwrap(), later, clock)
}

#[test]
fn a_session_comes_back_and_nobody_else_reads_it() {
    let sessions = new().build().unwrap();
    let cookies = logged_in(&sessions);
    assert!(cookies[0].starts_with("session=A") && !cookies[0].contains(".sig"));
    assert!(!cookies[0].contains(&cookie_session_value("swordfish")[..8]));
    let (exchange, session) = ask(&sessions, &cookies);
    assert!(!session.is_new());
    assert_eq!(session.get::<String>("user").unwrap().as_deref(), Some("swordfish"));
    assert_eq!(done(exchange.end()).unwrap(), Vec::<String>::new(), "nothing has changed");
    assert!(done(sessions.exchange().end()).unwrap().is_empty());
    // A change is sealed anew; so are numbers as they are.
    let (exchange, session) = ask(&sessions, &cookies);
    session.insert("n", u64::MAX).unwrap();
    let (_exchange, again) = ask(&sessions, &kept(&done(exchange.end()).unwrap()));
    assert_eq!((again.len(), again.get::<u64>("n").unwrap()), (2, Some(u64::MAX)));
    let shown = format!("{:?} {:?}", new(), sessions);
    assert!(!shown.contains("7, 7"), "{shown}");
}

#[test]
fn another_secret_name_or_audience_opens_nothing() {
    let sessions = new().build().unwrap();
    let cookies = logged_in(&sessions);
    assert_eq!(user(&sessions, &cookies).as_deref(), Some("swordfish"));
    let other_name = new().name("other").build().unwrap();
    let renamed = [cookies[0].replacen("session=", "other=", 1)];
    for (sessions, cookies) in [
        (SealedSessionOptions::new([8; 32]).build().unwrap(), &cookies[..]),
        (new().audience("admin").build().unwrap(), &cookies[..]),
        (other_name, &renamed),
    ] {
        let (exchange, session) = ask(&sessions, cookies);
        assert!(session.is_new() && session.is_empty());
        assert!(done(exchange.end()).unwrap().is_empty());
    }
    let mut forged = cookies[0].clone();
    forged.pop();
    assert!(ask(&sessions, &[forged]).1.is_new());
    // Behind another application's it is found all the same.
    assert_eq!(ask(&sessions, &[format!("session=x; {}", cookies[0])]).1.len(), 1);
}

/// Whatever the cookie says: here it says nothing.
#[test]
fn a_session_that_nobody_uses_ends_on_the_server() {
    let (sessions, later, _) = at_a_time(new().idle(Duration::from_secs(30 * 60)));
    let cookies = logged_in(&sessions);
    let now = |minutes: usize| later.store(minutes * MINUTE, Ordering::SeqCst);
    now(5);
    let (exchange, _session) = ask(&sessions, &cookies);
    assert!(done(exchange.end()).unwrap().is_empty(), "no fifth has passed");
    later.store(6 * MINUTE - 1, Ordering::SeqCst);
    assert!(done(ask_only(&sessions, &cookies).end()).unwrap().is_empty());
    later.store(6 * MINUTE, Ordering::SeqCst);
    assert_eq!(done(ask_only(&sessions, &cookies).end()).unwrap().len(), 1, "a fifth");
    now(29);
    let (exchange, _session) = ask(&sessions, &cookies);
    let renewed = kept(&done(exchange.end()).unwrap());
    now(30);
    assert_eq!(user(&sessions, &cookies), None);
    assert_eq!(user(&sessions, &renewed).as_deref(), Some("swordfish"));
    now(58);
    assert_eq!(user(&sessions, &renewed).as_deref(), Some("swordfish"));
    now(59);
    assert_eq!(user(&sessions, &renewed), None);
    // A change renews, and so does a touch.
    now(60);
    let cookies = logged_in(&sessions);
    now(61);
    let (exchange, session) = ask(&sessions, &cookies);
    session.touch().unwrap();
    assert_eq!(done(exchange.end()).unwrap().len(), 1);
}

#[test]
fn however_often_it_is_renewed_it_ends() {
    let day = Duration::from_secs(86_400);
    let options = || new().idle(day).absolute(3 * day).cookie(CookieOptions::new().max_age(day));
    let (sessions, later, clock) = at_a_time(options());
    let mut cookies = logged_in(&sessions);
    let first = cookies.clone();
    let shorter = options().absolute(day).clock(clock.clone()).build().unwrap();
    let longer = options().absolute(30 * day).clock(clock).build().unwrap();
    let mut ends = Vec::new();
    for hours in (12..72).step_by(12) {
        later.store(hours * 60 * MINUTE, Ordering::SeqCst);
        let (exchange, session) = ask(&sessions, &cookies);
        assert!(!session.is_new(), "{hours}");
        let set = done(exchange.end()).unwrap();
        ends.push(set[0].split("; expires=").nth(1).unwrap().split(';').next().unwrap().to_owned());
        cookies = kept(&set);
        // Who sets a shorter limit ends those that are older.
        assert_eq!(user(&shorter, &cookies).is_some(), hours < 24);
    }
    assert_eq!(ends[3], ends[4], "the cookie ends with the session");
    assert_ne!(ends[2], ends[3]);
    later.store(3 * DAY, Ordering::SeqCst);
    assert_eq!(user(&sessions, &cookies), None);
    assert_eq!(user(&sessions, &first), None);
    assert_eq!(user(&longer, &cookies), None, "a limit that is raised is one for new sessions");
    // A login, say, begins anew.
    later.store(0, Ordering::SeqCst);
    let (exchange, session) = ask(&sessions, &logged_in(&sessions));
    later.store(DAY / 2, Ordering::SeqCst);
    done(session.regenerate()).unwrap();
    session.insert("user", "jd").unwrap();
    let mut cookies = kept(&done(exchange.end()).unwrap());
    for quarters in [5, 8, 11] {
        later.store(quarters * DAY / 4, Ordering::SeqCst);
        cookies = kept(&done(ask_and_touch(&sessions, &cookies).end()).unwrap());
    }
    later.store(3 * DAY + DAY / 4, Ordering::SeqCst);
    assert_eq!(user(&sessions, &cookies).as_deref(), Some("jd"));
    later.store(3 * DAY + DAY / 2, Ordering::SeqCst);
    assert_eq!(user(&sessions, &cookies), None);
}

/// Whose handler keeps nothing.
fn ask_only(sessions: &Sessions, cookies: &[String]) -> Exchange {
    ask(sessions, cookies).0
}

fn ask_and_touch(sessions: &Sessions, cookies: &[String]) -> Exchange {
    let (exchange, session) = ask(sessions, cookies);
    session.touch().unwrap();
    exchange
}

/// "Remember me" is the session's own, from request to request.
#[test]
fn a_lifetime_that_a_session_was_given_stays_its_own() {
    let (sessions, later, _) = at_a_time(new());
    let (exchange, session) = ask(&sessions, &logged_in(&sessions));
    session.set_max_age(Some(Duration::from_secs(7 * 86_400))).unwrap();
    let cookies = done(exchange.end()).unwrap();
    assert!(cookies[0].contains("; expires="));
    later.store(6 * DAY, Ordering::SeqCst);
    let (exchange, session) = ask(&sessions, &kept(&cookies));
    assert_eq!(session.cookie().original_max_age(), Some(Duration::from_secs(7 * 86_400)));
    let cookies = done(exchange.end()).unwrap();
    assert!(cookies[0].contains("; expires="), "it is still kept by the browser");
    later.store(12 * DAY, Ordering::SeqCst);
    let (exchange, session) = ask(&sessions, &kept(&cookies));
    assert!(!session.is_new());
    session.set_max_age(None).unwrap();
    let cookies = done(exchange.end()).unwrap();
    assert!(!cookies[0].contains("; expires="));
    later.store(13 * DAY, Ordering::SeqCst);
    assert!(ask(&sessions, &kept(&cookies)).1.is_new(), "a day, as any other");
}

#[test]
fn what_an_older_secret_has_sealed_is_sealed_anew() {
    let cookies = logged_in(&new().build().unwrap());
    let rotated = SealedSessionOptions::new([[8; 32], SECRET]).build().unwrap();
    let (exchange, session) = ask(&rotated, &cookies);
    assert!(!session.is_new());
    let set = done(exchange.end()).unwrap();
    assert_eq!(set.len(), 1);
    let only_new = SealedSessionOptions::new([8; 32]).build().unwrap();
    assert_eq!(user(&only_new, &kept(&set)).as_deref(), Some("swordfish"));
    assert_eq!(user(&only_new, &cookies), None);
}

/// Both are read while a team migrates, and what is read is sealed.
#[test]
fn cookie_sessions_cookies_are_read_on_request_and_sealed() {
    let signed = CookieSessionOptions::express(["key1"]).build().unwrap();
    let (exchange, session) = ask(&signed, &[]);
    session.insert("user", "swordfish").unwrap();
    let cookies = kept(&done(exchange.end()).unwrap());
    assert!(ask(&new().build().unwrap(), &cookies).1.is_new());
    let migrating = new().also_reads_cookie_session(["key2", "key1"]).build().unwrap();
    let (exchange, session) = ask(&migrating, &cookies);
    assert!(!session.is_new() && session.len() == 1);
    let set = done(exchange.end()).unwrap();
    assert_eq!(set.len(), 2, "{set:?}");
    assert!(set[0].starts_with("session=A") && set[1].starts_with("session.sig=; "));
    assert_eq!(user(&migrating, &kept(&set[..1])).as_deref(), Some("swordfish"));
    assert_eq!(user(&new().build().unwrap(), &kept(&set[..1])).as_deref(), Some("swordfish"));
    // Signed by nobody, it is nobody's.
    let forged = [cookies[0].replacen("session=e", "session=f", 1)];
    assert!(ask(&migrating, &forged).1.is_new());
    let unsigned = [format!("session={}", cookie_session_value(r#"{"user":"admin"}"#))];
    assert!(ask(&migrating, &unsigned).1.is_new());
    // Logged out, both go.
    let (exchange, session) = ask(&migrating, &cookies);
    done(session.destroy()).unwrap();
    let set = done(exchange.end()).unwrap();
    assert!(set.len() == 2 && set.iter().all(|cookie| cookie.contains("=; ") && cookie.contains("1970")));
}

#[test]
fn what_does_not_fit_is_an_error_before_the_response() {
    let sessions = new().build().unwrap();
    let (exchange, session) = ask(&sessions, &[]);
    session.insert("text", "x".repeat(3_100)).unwrap();
    let Err(Error::CookieTooLarge { size, limit: 4_096 }) = done(session.save()) else { panic!() };
    assert!(matches!(done(exchange.end()).unwrap_err().error(), Error::CookieTooLarge { .. }));
    let exact = new().max_size(size).build().unwrap();
    let (exchange, session) = ask(&exact, &[]);
    session.insert("text", "x".repeat(3_100)).unwrap();
    assert_eq!(kept(&done(exchange.end()).unwrap())[0].len(), size + "=".len());
    // What padding adds counts.
    let padded = new().padding(1_000).build().unwrap();
    let (exchange, session) = ask(&padded, &[]);
    session.insert("text", "x".repeat(2_000)).unwrap();
    assert!(matches!(done(session.save()), Err(Error::CookieTooLarge { size: 4_101..4_200, .. })));
    assert!(done(exchange.end()).is_err());
    // What fitted before, and has not changed, stays; who only reads it is served.
    let cookies = logged_in(&new().build().unwrap());
    let rotated = SealedSessionOptions::new([[8; 32], SECRET]).max_size(100).build().unwrap();
    let (exchange, session) = ask(&rotated, &cookies);
    assert_eq!(session.len(), 1);
    assert!(done(exchange.end()).unwrap().is_empty());
}

/// As a browser does.
fn update(jar: &mut BTreeMap<String, String>, set: &[String]) -> Vec<String> {
    for cookie in set {
        let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
        if value.is_empty() {
            jar.remove(name);
        } else {
            assert!(name.len() + value.len() <= 4_096);
            jar.insert(name.to_owned(), value.to_owned());
        }
    }
    let pairs: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
    vec![pairs.join("; ")]
}

/// Where it may go into several, every write clears what is unused.
#[test]
fn what_does_not_fit_into_one_cookie_goes_into_several_on_request() {
    let sessions = new().chunks(true).build().unwrap();
    let grown = |cookies: &[String], length: usize| {
        let (exchange, session) = ask(&sessions, cookies);
        session.insert("text", "x".repeat(length)).unwrap();
        done(session.save()).unwrap();
        done(exchange.end()).unwrap()
    };
    let mut jar = BTreeMap::new();
    let mut cookies = Vec::new();
    for (length, count) in [(100, 1), (9_000, 4), (4_000, 2), (8_000, 3), (1_000, 1), (9_000, 4)] {
        cookies = update(&mut jar, &grown(&cookies, length));
        assert_eq!(jar.len(), count, "{:?}", jar.keys());
        let (exchange, session) = ask(&sessions, &cookies);
        assert_eq!(session.get::<String>("text").unwrap().unwrap().len(), length);
        assert!(done(exchange.end()).unwrap().is_empty());
    }
    // One is lost, or is of another text: no session, and no error.
    let lost = [cookies[0].replacen("session.2=", "other=", 1)];
    assert!(ask(&sessions, &lost).1.is_new());
    let other = kept(&grown(&[], 9_000)).remove(0);
    let of_other = other.split("; ").find(|pair| pair.starts_with("session.1=")).unwrap();
    let mixed =
        cookies[0].split("; ").map(|pair| if pair.starts_with("session.1=") { of_other } else { pair });
    let mixed = mixed.collect::<Vec<_>>().join("; ");
    let (exchange, session) = ask(&sessions, &[mixed]);
    assert!(session.is_new());
    // Whoever logs in then has one whole session, and nothing of the other.
    session.insert("user", "tj").unwrap();
    let set = done(exchange.end()).unwrap();
    let is_gone = |cookie: &String| cookie.split(';').next().unwrap().ends_with('=');
    assert_eq!(set.iter().map(is_gone).collect::<Vec<_>>(), [false, true, true, true, true]);
    // Logged out, all go.
    let (exchange, session) = ask(&sessions, &cookies);
    done(session.destroy()).unwrap();
    assert!(update(&mut jar, &done(exchange.end()).unwrap())[0].is_empty());
    // A logout that answers last ends what another tab has grown meanwhile.
    let small = update(&mut BTreeMap::new(), &grown(&[], 10));
    let [(a, one), (b, two)] = [(); 2].map(|()| ask(&sessions, &small));
    one.insert("text", "x".repeat(9_000)).unwrap();
    done(two.destroy()).unwrap();
    let mut jar = BTreeMap::new();
    update(&mut jar, &done(a.end()).unwrap());
    assert!(update(&mut jar, &done(b.end()).unwrap())[0].is_empty());
    // What would not be read again is refused however large it is.
    let (exchange, session) = ask(&sessions, &[]);
    session.insert("text", "x".repeat(6_000)).unwrap();
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    session.insert("deep", serde_json::value::RawValue::from_string(deep).unwrap()).unwrap();
    assert!(matches!(done(session.save()), Err(Error::TooDeep { .. })));
    assert!(done(exchange.end()).is_err());
    // There is an end to it.
    let (exchange, session) = ask(&sessions, &[]);
    session.insert("text", "x".repeat(12_000)).unwrap();
    assert!(matches!(done(session.save()), Err(Error::CookieTooLarge { limit: 15_000.., .. })));
    assert!(done(exchange.end()).is_err());
    // Without the option they are nobody's.
    assert!(ask(&new().build().unwrap(), &cookies).1.is_new());
}

#[test]
fn padded_cookies_are_of_one_length() {
    let length = |padding: usize, user: &str| {
        let sessions = new().padding(padding).build().unwrap();
        let (exchange, session) = ask(&sessions, &[]);
        session.insert("user", user).unwrap();
        let cookies = kept(&done(exchange.end()).unwrap());
        assert_eq!(ask(&sessions, &cookies).1.get::<String>("user").unwrap().as_deref(), Some(user));
        cookies[0].len()
    };
    assert_ne!(length(0, "a"), length(0, "abcdef"));
    assert_eq!(length(256, "a"), length(256, "abcdef"));
    assert!(length(256, &"x".repeat(300)) > length(256, "a"));
}

#[test]
fn it_has_an_id_that_can_be_renewed_and_no_store() {
    let sessions = new().build().unwrap();
    let cookies = logged_in(&sessions);
    let (exchange, session) = ask(&sessions, &cookies);
    let id = session.id().unwrap();
    assert_eq!(id.as_str().len(), 22);
    done(session.renew_id()).unwrap();
    assert_ne!(session.id().unwrap(), id);
    let set = done(exchange.end()).unwrap();
    let (_exchange, again) = ask(&sessions, &kept(&set));
    assert_eq!((again.id().unwrap(), again.len()), (session.id().unwrap(), 1));
    for needs_a_store in [done(session.reload()), done(sessions.load(&Sid::random())).map(drop)] {
        assert!(matches!(needs_a_store, Err(Error::NoStore(_))));
    }
    assert!(matches!(done(session.renew_id()), Err(Error::ResponseOut)));
}

#[test]
fn an_ended_session_goes_from_its_client() {
    let sessions = new().build().unwrap();
    let cookies = logged_in(&sessions);
    let ends: [fn(&SessionHandle); 4] = [
        |session| done(session.destroy()).unwrap(),
        |session| session.unset(),
        |session| done(session.regenerate()).unwrap(),
        |session| session.set_max_age(Some(Duration::ZERO)).unwrap(),
    ];
    for end in ends {
        let (exchange, session) = ask(&sessions, &cookies);
        end(&session);
        let set = done(exchange.end()).unwrap();
        assert!(set.len() == 1 && set[0].starts_with("session=; "), "{set:?}");
        // Who has none needs not be told.
        let (exchange, session) = ask(&sessions, &[]);
        end(&session);
        assert!(done(exchange.end()).unwrap().is_empty());
    }
    // One that does not open goes as well.
    let (exchange, session) = ask(&sessions, &["session=Aunreadable".into()]);
    done(session.destroy()).unwrap();
    assert_eq!(done(exchange.end()).unwrap().len(), 1);
}

/// A logout stays a logout, also for a copy of the cookie.
#[test]
fn of_a_session_that_was_ended_no_copy_opens() {
    type End = fn(&SessionHandle);
    let ends: [(End, bool); 6] = [
        (|session| done(session.destroy()).unwrap(), false),
        (|session| session.unset(), false),
        (|session| done(session.regenerate()).unwrap(), false),
        (|session| done(session.renew_id()).unwrap(), true),
        (
            |session| {
                session.unset();
                session.replace(&BTreeMap::from([("user", "jd")])).unwrap();
            },
            true,
        ),
        (|session| session.set_max_age(Some(Duration::ZERO)).unwrap(), false),
    ];
    for (end, goes_on) in ends {
        let revoked = Arc::new(MemoryStore::new());
        let sessions = new().revocations(Arc::clone(&revoked)).build().unwrap();
        let cookies = logged_in(&sessions);
        assert_eq!(done(revoked.length()).unwrap(), 0, "a visitor costs no record");
        let (exchange, session) = ask(&sessions, &cookies);
        // Another tab, which answers last.
        let (other_exchange, other) = ask(&sessions, &cookies);
        end(&session);
        let set = done(exchange.end()).unwrap();
        other.insert("seen", true).unwrap();
        let late = done(other_exchange.end()).unwrap();
        assert_eq!(done(revoked.length()).unwrap(), 1);
        for copy in [&cookies, &kept(&late)] {
            let (exchange, session) = ask(&sessions, copy);
            assert!(session.is_new() && session.is_empty());
            assert!(done(exchange.end()).unwrap().is_empty());
        }
        assert_eq!(!ask(&sessions, &kept(&set)).1.is_new(), goes_on);
    }
}

#[test]
fn where_the_revocations_do_not_answer_there_is_no_session_and_a_logout_is_no_success() {
    let failing = FailingStore::new(MemoryStore::new());
    let sessions = new().revocations(Arc::clone(&failing)).build().unwrap();
    let cookies = logged_in(&sessions);
    failing.fail_reads(true);
    let exchange = sessions.exchange();
    let asked = done(with_cookies(&cookies, |request| exchange.session(request)));
    assert!(matches!(asked, Err(Error::Store(StoreError::Unavailable { .. }))));
    // Who has none is not asked about.
    assert!(ask(&sessions, &[]).1.is_new());
    failing.fail_reads(false);
    let (exchange, session) = ask(&sessions, &cookies);
    failing.fail_writes(true);
    assert!(matches!(done(session.destroy()), Err(Error::Store(_))));
    assert!(session.is_destroyed());
    // The end tries again, tells of it, and the client forgets its own.
    let error = done(exchange.end()).unwrap_err();
    assert!(matches!(error.error(), Error::Store(_)) && error.cookies().len() == 1);
    let (exchange, session) = ask(&sessions, &cookies);
    assert!(done(session.destroy()).is_err());
    failing.fail_writes(false);
    done(session.destroy()).unwrap();
    assert!(matches!(done(session.destroy()), Err(Error::Destroyed)));
    assert_eq!(done(exchange.end()).unwrap().len(), 1);
    assert!(ask(&sessions, &cookies).1.is_new());
    // An end that is asked again tries again, whatever else it has to say.
    for too_large in [false, true] {
        let cookies = logged_in(&sessions);
        let (exchange, session) = ask(&sessions, &cookies);
        failing.fail_writes(true);
        assert!(done(session.regenerate()).is_err());
        if too_large {
            session.insert("text", "x".repeat(6_000)).unwrap();
        }
        assert!(done(exchange.end()).is_err());
        failing.fail_writes(false);
        assert_eq!(done(exchange.end()).is_err(), too_large);
        assert!(ask(&sessions, &cookies).1.is_new());
    }
    // What was to get another id does not go out under the old one.
    let cookies = logged_in(&sessions);
    let (exchange, session) = ask(&sessions, &cookies);
    failing.fail_writes(true);
    assert!(done(session.renew_id()).is_err());
    session.insert("user", "root").unwrap();
    let error = done(exchange.end()).unwrap_err();
    assert!(error.cookies().is_empty(), "{error:?}");
    failing.fail_writes(false);
    assert!(!ask(&sessions, &cookies).1.is_new(), "nothing has happened to it");
    let logs = new().revocations(Arc::clone(&failing)).save_error(SaveError::Log);
    let logs = logs.build().unwrap();
    let (exchange, session) = ask(&logs, &cookies);
    let id = session.id().unwrap();
    failing.fail_writes(true);
    assert!(done(session.renew_id()).is_err());
    assert!(done(exchange.end()).unwrap().is_empty(), "nor by who only logs it");
    failing.fail_writes(false);
    assert_eq!(ask(&logs, &cookies).1.id().unwrap(), id, "nothing has happened to it");
}

/// Not by a renewal that could not be written down, and whose request only logs that.
#[test]
fn a_logout_is_one_also_where_errors_are_only_logged() {
    let failing = FailingStore::new(MemoryStore::new());
    let options = new().revocations(Arc::clone(&failing)).save_error(SaveError::Log);
    let sessions = options.build().unwrap();
    let cookies = logged_in(&sessions);
    let [(a, one), (b, two)] = [(); 2].map(|()| ask(&sessions, &cookies));
    done(one.destroy()).unwrap();
    assert_eq!(done(a.end()).unwrap().len(), 1);
    failing.fail_writes(true);
    assert!(done(two.renew_id()).is_err());
    assert!(done(b.end()).unwrap().is_empty());
}

/// A clone of the handle ends the session while the end asks whether it still stands.
#[test]
fn a_clone_that_is_faster_than_the_end_is_not_taken_for_somebody_else() {
    for renews in [true, false] {
        let store = Arc::new(common::SlowStore::default());
        let sessions = new().revocations(Arc::clone(&store)).build().unwrap();
        let cookies = logged_in(&sessions);
        let (exchange, session) = ask(&sessions, &cookies);
        session.insert("seen", true).unwrap();
        let mut end = Box::pin(exchange.end());
        assert!(!common::poll(&mut end));
        if renews {
            done(session.renew_id()).unwrap();
        } else {
            done(session.destroy()).unwrap();
        }
        let set = done(end).unwrap();
        assert_eq!(set.len(), 1);
        assert_eq!(!ask(&sessions, &kept(&set)).1.is_new(), renews);
    }
}

/// It stays signed while it is only read.
#[test]
fn a_signed_session_that_has_no_room_once_sealed_is_served() {
    let signed = CookieSessionOptions::express(["key1"]).build().unwrap();
    let (exchange, session) = ask(&signed, &[]);
    session.insert("text", "x".repeat(3_040)).unwrap();
    let cookies = kept(&done(exchange.end()).unwrap());
    let sessions = new().also_reads_cookie_session("key1").build().unwrap();
    let (exchange, session) = ask(&sessions, &cookies);
    assert_eq!(session.len(), 1);
    assert!(done(exchange.end()).unwrap().is_empty());
    let (exchange, session) = ask(&sessions, &cookies);
    session.insert("k", 1).unwrap();
    assert!(matches!(done(exchange.end()).unwrap_err().error(), Error::CookieTooLarge { .. }));
}

#[test]
fn what_is_told_to_be_gone_is_gone_to_every_call() {
    let (sessions, _revoked) = with_revocations(new());
    let cookies = logged_in(&sessions);
    let [(_a, one), (_b, two)] = [(); 2].map(|()| ask(&sessions, &cookies));
    done(one.destroy()).unwrap();
    assert!(matches!(done(two.renew_id()), Err(Error::Gone)));
    assert!(matches!(done(two.save()), Err(Error::Gone)));
    assert!(matches!(done(two.update("n", |n: Option<u32>| n.unwrap_or(0) + 1)), Err(Error::Gone)));
}

/// The handler took longer than it had to live.
#[test]
fn what_would_be_sent_dead_is_removed() {
    let (sessions, later, _) = at_a_time(new().absolute(Duration::from_secs(60)));
    let cookies = logged_in(&sessions);
    let (exchange, session) = ask(&sessions, &cookies);
    session.insert("seen", true).unwrap();
    later.store(MINUTE, Ordering::SeqCst);
    let set = done(exchange.end()).unwrap();
    assert!(set.len() == 1 && set[0].starts_with("session=; "), "{set:?}");
}

/// It is renewed another time; what has changed is an error.
#[test]
fn a_renewal_that_cannot_be_confirmed_is_not_sent() {
    let (later, clock) = common::clock();
    let failing = FailingStore::new(MemoryStore::new());
    let sessions = new().revocations(Arc::clone(&failing)).clock(clock).build().unwrap();
    let cookies = logged_in(&sessions);
    later.store(DAY / 2, Ordering::SeqCst);
    for changes in [false, true] {
        let (exchange, session) = ask(&sessions, &cookies);
        if changes {
            session.insert("seen", true).unwrap();
        }
        failing.fail_reads(true);
        assert_eq!(done(exchange.end()).map_or(1, |set| set.len()), usize::from(changes));
        failing.fail_reads(false);
    }
}

#[test]
fn what_cannot_work_is_refused_by_name() {
    for (option, options) in [
        ("secrets", SealedSessionOptions::new(Vec::<&str>::new())),
        ("secrets", SealedSessionOptions::new([&[1; 32][..], b"short"])),
        ("also_reads_cookie_session", new().also_reads_cookie_session("")),
        ("idle", new().idle(Duration::ZERO)),
        ("absolute", new().absolute(Duration::ZERO)),
        ("padding", new().padding(usize::MAX)),
        ("name", new().name("a b")),
    ] {
        assert_eq!(options.build().unwrap_err().option(), option);
    }
}

#[test]
fn a_cookie_that_is_always_secure_is_bound_to_its_host() {
    let sessions = new().cookie(CookieOptions::new().secure(true)).build().unwrap();
    assert_eq!(sessions.cookie_name(), "__Host-session");
    let (exchange, session) = ask(&sessions, &[]);
    session.insert("k", 1).unwrap();
    assert!(done(exchange.end()).unwrap().is_empty(), "and does not go over an insecure connection");
}

fn with_revocations(options: SealedSessionOptions) -> (Sessions, Arc<MemoryStore>) {
    let revoked = Arc::new(MemoryStore::new());
    (options.revocations(Arc::clone(&revoked)).build().unwrap(), revoked)
}

/// Requests that were under way when another one ended the session.
#[test]
fn who_comes_late_brings_nothing_back() {
    type Late = fn(&SessionHandle) -> Result<(), Error>;
    let late: [(Late, bool); 4] = [
        (|session| done(session.renew_id()), true),
        (|session| session.insert("seen", true), false),
        (|session| session.touch(), false),
        (|session| session.replace(&BTreeMap::from([("user", "tj")])), false),
    ];
    for (late, is_told) in late {
        for ends in [
            |session: &SessionHandle| done(session.destroy()),
            |session: &SessionHandle| done(session.renew_id()),
        ] {
            let (sessions, _revoked) = with_revocations(new());
            let cookies = logged_in(&sessions);
            let [(a, one), (b, two)] = [(); 2].map(|()| ask(&sessions, &cookies));
            ends(&one).unwrap();
            done(a.end()).unwrap();
            let told = late(&two);
            assert_eq!(matches!(told, Err(Error::Gone)), is_told, "{told:?}");
            assert!(done(b.end()).unwrap().is_empty(), "nothing over what the other one has sent");
        }
    }
    // A logout that was late has not ended what the renewal made.
    let (sessions, _revoked) = with_revocations(new());
    let cookies = logged_in(&sessions);
    let [(a, one), (b, two)] = [(); 2].map(|()| ask(&sessions, &cookies));
    done(one.renew_id()).unwrap();
    assert!(matches!(done(two.destroy()), Err(Error::Gone)));
    assert!(done(b.end()).unwrap().is_empty());
    assert!(user(&sessions, &kept(&done(a.end()).unwrap())).is_some());
    // It may begin anew.
    let (sessions, _revoked) = with_revocations(new());
    let cookies = logged_in(&sessions);
    let [(_a, one), (b, two)] = [(); 2].map(|()| ask(&sessions, &cookies));
    done(one.destroy()).unwrap();
    assert!(matches!(done(two.renew_id()), Err(Error::Gone)));
    assert!(matches!(done(two.renew_id()), Err(Error::Gone)), "and again");
    done(two.regenerate()).unwrap();
    two.insert("user", "jd").unwrap();
    done(two.renew_id()).unwrap();
    assert_eq!(user(&sessions, &kept(&done(b.end()).unwrap())).as_deref(), Some("jd"));
}

/// Also of a request that has only read, and whose session is due.
#[test]
fn a_renewal_is_not_sent_for_what_has_ended_meanwhile() {
    let (later, clock) = common::clock();
    let (sessions, _revoked) = with_revocations(new().clock(clock));
    let cookies = logged_in(&sessions);
    later.store(DAY / 2, Ordering::SeqCst);
    let [(a, one), (b, _two)] = [(); 2].map(|()| ask(&sessions, &cookies));
    done(one.destroy()).unwrap();
    done(a.end()).unwrap();
    assert!(done(b.end()).unwrap().is_empty());
}

#[test]
fn a_revoked_cookie_hides_no_live_one() {
    let (sessions, _revoked) = with_revocations(new());
    let [revoked, live] = [(); 2].map(|()| logged_in(&sessions));
    let (exchange, session) = ask(&sessions, &revoked);
    done(session.destroy()).unwrap();
    done(exchange.end()).unwrap();
    for cookies in [[&revoked[0], &live[0]], [&live[0], &revoked[0]]] {
        let cookies = cookies.map(String::as_str).join("; ");
        assert_eq!(user(&sessions, &[cookies]).as_deref(), Some("swordfish"));
    }
}

/// What the cookie's max age is to the browser, idle is to the server; a lifetime of its own is the session's.
#[test]
fn idle_counts_beside_a_max_age_and_may_be_lowered() {
    let week = Duration::from_secs(7 * 86_400);
    let (later, clock) = common::clock();
    let sessions = |idle: u64| {
        let options = new().idle(Duration::from_secs(idle * 60)).cookie(CookieOptions::new().max_age(week));
        options.clock(clock.clone()).build().unwrap()
    };
    let half_an_hour = sessions(30);
    let cookies = logged_in(&half_an_hour);
    let (exchange, session) = ask(&half_an_hour, &[]);
    session.insert("user", "swordfish").unwrap();
    session.set_max_age(Some(week)).unwrap();
    let remembered = kept(&done(exchange.end()).unwrap());
    later.store(10 * MINUTE, Ordering::SeqCst);
    assert!(user(&half_an_hour, &cookies).is_some() && user(&sessions(11), &cookies).is_some());
    assert!(user(&sessions(10), &cookies).is_none(), "the limit was lowered");
    later.store(30 * MINUTE, Ordering::SeqCst);
    assert!(user(&half_an_hour, &cookies).is_none());
    later.store(6 * DAY, Ordering::SeqCst);
    assert!(user(&half_an_hour, &remembered).is_some());
    // Whose lifetime is the browser's again has the option's limit, as it is today.
    let (exchange, session) = ask(&half_an_hour, &[]);
    session.insert("user", "swordfish").unwrap();
    session.set_max_age(None).unwrap();
    let forgotten = kept(&done(exchange.end()).unwrap());
    later.fetch_add(15 * MINUTE, Ordering::SeqCst);
    assert!(user(&half_an_hour, &forgotten).is_some() && user(&sessions(10), &forgotten).is_none());
    later.store(6 * DAY, Ordering::SeqCst);
    // Without one the max age is the limit.
    let plain_clock = clock.clone();
    let options = new().cookie(CookieOptions::new().max_age(week)).clock(clock);
    let plain = options.build().unwrap();
    let cookies = logged_in(&plain);
    later.store(12 * DAY, Ordering::SeqCst);
    assert!(user(&plain, &cookies).is_some());
    let shorter = new().cookie(CookieOptions::new().max_age(Duration::from_secs(86_400)));
    assert!(user(&shorter.clock(plain_clock).build().unwrap(), &cookies).is_none(), "lowered as well");
    later.store(13 * DAY, Ordering::SeqCst);
    assert!(user(&plain, &cookies).is_none());
}

#[test]
fn dates_end_sessions_where_they_say() {
    let (later, clock) = common::clock();
    let now = clock.now();
    let two_days = now + Duration::from_secs(2 * 86_400);
    let options = new().cookie(CookieOptions::new().expires(two_days)).clock(clock.clone());
    let sessions = options.build().unwrap();
    let mut cookies = logged_in(&sessions);
    for quarters in 1..8 {
        later.store(quarters * DAY / 4, Ordering::SeqCst);
        let set = done(ask_and_touch(&sessions, &cookies).end()).unwrap();
        cookies = kept(&set);
    }
    later.store(2 * DAY - 1_000, Ordering::SeqCst);
    assert!(user(&sessions, &cookies).is_some());
    later.store(2 * DAY, Ordering::SeqCst);
    assert!(user(&sessions, &cookies).is_none());
    // Set by a handler, and however long that takes.
    later.store(0, Ordering::SeqCst);
    let sessions = new().clock(clock).build().unwrap();
    let (exchange, session) = ask(&sessions, &[]);
    session.insert("user", "swordfish").unwrap();
    session.set_expires(Some(now + Duration::from_secs(60))).unwrap();
    later.store(30_000, Ordering::SeqCst);
    let cookies = kept(&done(exchange.end()).unwrap());
    later.store(59_000, Ordering::SeqCst);
    assert!(user(&sessions, &cookies).is_some());
    later.store(60_000, Ordering::SeqCst);
    assert!(user(&sessions, &cookies).is_none());
}

/// As one in a store does: only the data are others.
#[test]
fn a_session_whose_data_are_replaced_is_the_same() {
    let (sessions, later, _) = at_a_time(new().absolute(Duration::from_secs(86_400)));
    let mut cookies = logged_in(&sessions);
    let id = ask(&sessions, &cookies).1.id().unwrap();
    for quarters in 1..4 {
        later.store(quarters * DAY / 4, Ordering::SeqCst);
        let (exchange, session) = ask(&sessions, &cookies);
        session.replace(&BTreeMap::from([("user", quarters.to_string())])).unwrap();
        assert!(!session.is_new() && session.id().unwrap() == id);
        cookies = kept(&done(exchange.end()).unwrap());
    }
    assert_eq!(user(&sessions, &cookies).as_deref(), Some("3"));
    later.store(DAY, Ordering::SeqCst);
    assert!(user(&sessions, &cookies).is_none(), "since it began");
}

/// Equal cookies are not equal sessions, and nothing is written down of what has no id.
#[test]
fn a_signed_session_gets_an_id_of_its_own() {
    let signed = CookieSessionOptions::express(["key1"]).build().unwrap();
    let (exchange, session) = ask(&signed, &[]);
    session.insert("lang", "de").unwrap();
    let cookies = kept(&done(exchange.end()).unwrap());
    let (sessions, revoked) = with_revocations(new().also_reads_cookie_session("key1"));
    let [(a, one), (b, two)] = [(); 2].map(|()| ask(&sessions, &cookies));
    assert_ne!(one.id().unwrap(), two.id().unwrap());
    done(one.destroy()).unwrap();
    assert_eq!(done(a.end()).unwrap().len(), 2);
    done(two.renew_id()).unwrap();
    assert_eq!(ask(&sessions, &kept(&done(b.end()).unwrap())).1.len(), 1);
    assert_eq!(done(revoked.length()).unwrap(), 0);
    // The name must be there, and stay when the keys go.
    let secure = || new().also_reads_cookie_session("key1").cookie(CookieOptions::new().secure(true));
    assert_eq!(secure().build().unwrap_err().option(), "name");
    assert_eq!(secure().name("session").build().unwrap().cookie_name(), "session");
}

/// Instances may have other limits, and clocks differ.
#[test]
fn it_is_written_down_for_as_long_as_a_copy_may_open_anywhere() {
    let long = new().build().unwrap();
    let cookies = logged_in(&long);
    let (short, revoked) = with_revocations(new().absolute(Duration::from_secs(3_600)));
    let (exchange, session) = ask(&short, &cookies);
    let id = session.id().unwrap();
    done(session.destroy()).unwrap();
    done(exchange.end()).unwrap();
    let held = done(session_core::Store::get(&revoked, &format!("ended:{}", id.as_str()).into()));
    assert!(held.unwrap().unwrap().left.unwrap() > Duration::from_secs(30 * 86_400));
    // Also where the short one has sealed it anew before.
    let cookies = logged_in(&long);
    let (exchange, session) = ask(&short, &cookies);
    session.touch().unwrap();
    let (exchange, session) = ask(&short, &kept(&done(exchange.end()).unwrap()));
    let id = session.id().unwrap();
    done(session.destroy()).unwrap();
    done(exchange.end()).unwrap();
    let held = done(session_core::Store::get(&revoked, &format!("ended:{}", id.as_str()).into()));
    assert!(held.unwrap().unwrap().left.unwrap() > Duration::from_secs(30 * 86_400));
}

#[test]
fn what_was_given_up_half_way_is_done_by_the_end() {
    let store = Arc::new(common::SlowStore::default());
    let sessions = new().revocations(Arc::clone(&store)).build().unwrap();
    let cookies = logged_in(&sessions);
    let written = || done(store.memory.length()).unwrap();
    for polls in 1..3 {
        done(store.memory.clear()).unwrap();
        let (exchange, session) = ask(&sessions, &cookies);
        assert!(common::polled(polls, session.renew_id()).is_none());
        // So is an end that is given up.
        assert!(common::polled(1, exchange.end()).is_none());
        let set = done(exchange.end()).unwrap();
        assert_eq!(written(), 1);
        assert_eq!(user(&sessions, &kept(&set)).as_deref(), Some("swordfish"), "{polls}");
        assert!(ask(&sessions, &cookies).1.is_new());
    }
    // Whose answer was lost is its own.
    done(store.memory.clear()).unwrap();
    let (exchange, session) = ask(&sessions, &cookies);
    let sid = Sid::from(format!("ended:{}", session.id().unwrap().as_str()));
    *store.trouble.lock().unwrap() = Some((sid, common::Trouble::FailsAfter));
    assert!(matches!(done(session.renew_id()), Err(Error::Store(_))));
    *store.trouble.lock().unwrap() = None;
    done(session.renew_id()).unwrap();
    assert_eq!(user(&sessions, &kept(&done(exchange.end()).unwrap())).as_deref(), Some("swordfish"));
}

/// A socket, say: what the client has by then opens no more.
#[test]
fn a_session_can_be_ended_after_its_response() {
    type Before = fn(&SessionHandle);
    let before: [(Before, u64); 4] = [
        (|_| {}, 1),
        (|session| session.insert("seen", true).unwrap(), 1),
        (|session| done(session.renew_id()).unwrap(), 2),
        (
            |session| {
                done(session.regenerate()).unwrap();
                session.insert("user", "jd").unwrap();
            },
            2,
        ),
    ];
    let (sessions, revoked) = with_revocations(new());
    for (before, written) in before {
        done(revoked.clear()).unwrap();
        let mut cookies = logged_in(&sessions);
        let (exchange, session) = ask(&sessions, &cookies);
        before(&session);
        let set = done(exchange.end()).unwrap();
        if !set.is_empty() {
            cookies = kept(&set);
        }
        assert!(!ask(&sessions, &cookies).1.is_new());
        done(session.destroy()).unwrap();
        assert!(session.is_destroyed());
        assert!(matches!(done(session.destroy()), Err(Error::Destroyed)));
        assert_eq!(done(revoked.length()).unwrap(), written);
        assert!(ask(&sessions, &cookies).1.is_new());
    }
    // Also where it was unset, of which nobody was told after the response; and where the store failed at first.
    let failing = FailingStore::new(MemoryStore::new());
    let fails = new().revocations(Arc::clone(&failing)).build().unwrap();
    let cookies = logged_in(&fails);
    let (exchange, session) = ask(&fails, &cookies);
    done(exchange.end()).unwrap();
    session.unset();
    failing.fail_writes(true);
    assert!(matches!(done(session.destroy()), Err(Error::Store(_))));
    assert!(session.is_destroyed());
    failing.fail_writes(false);
    done(session.destroy()).unwrap();
    assert!(ask(&fails, &cookies).1.is_new());
    // One that has begun in this request, too.
    let (exchange, session) = ask(&sessions, &[]);
    session.insert("user", "jd").unwrap();
    let cookies = kept(&done(exchange.end()).unwrap());
    done(session.destroy()).unwrap();
    assert!(ask(&sessions, &cookies).1.is_new());
    let cookies = logged_in(&sessions);
    let (exchange, session) = ask(&new().build().unwrap(), &cookies);
    done(exchange.end()).unwrap();
    assert!(matches!(done(session.destroy()), Err(Error::ResponseOut)), "nobody would know of it");
}

/// That something is written down is enough.
#[test]
fn a_revocation_that_cannot_be_read_is_one() {
    let memory = Arc::new(MemoryStore::new());
    let revoking = |secret: [u8; 32]| {
        let store = session_core::Sealed::new(Arc::clone(&memory), secret).unwrap();
        new().revocations(store).build().unwrap()
    };
    let [one, other] = [revoking([1; 32]), revoking([2; 32])];
    let cookies = logged_in(&one);
    let (exchange, session) = ask(&one, &cookies);
    done(session.destroy()).unwrap();
    done(exchange.end()).unwrap();
    assert!(ask(&other, &cookies).1.is_new());
}

/// What other code has sealed (`sealed_vectors/make.py`), so that the format stays what it is.
#[test]
fn the_format_is_the_one_that_is_written_down() {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("sealed_vectors/vectors.json")).unwrap();
    let at = |key: &str| std::time::UNIX_EPOCH + Duration::from_millis(vectors[key].as_u64().unwrap());
    let secret: [u8; 32] = std::array::from_fn(|byte| u8::try_from(byte).unwrap());
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    for vector in vectors["cookies"].as_array().unwrap() {
        let (name, value) = (text(&vector["name"]), text(&vector["value"]));
        let sessions = |now: std::time::SystemTime, absolute: u64| {
            let options =
                SealedSessionOptions::new(secret).name(name.as_str()).audience(text(&vector["audience"]));
            let options = options.absolute(Duration::from_secs(absolute)).clock(Clock::new(move || now));
            options.build().unwrap()
        };
        let opens = |sessions: &Sessions| ask(sessions, &[format!("{name}={value}")]).1;
        let year = 365 * 86_400;
        let session = opens(&sessions(at("now"), year));
        let data =
            session_core::Record::parse(text(&vectors["data"]).replacen('{', r#"{"cookie":{},"#, 1)).unwrap();
        assert_eq!(*session.data(), *data.data);
        assert_eq!(session.id().unwrap().as_str(), "AAECAwQFBgcICQoLDA0ODw");
        let lifetime = vector["lifetime"].as_u64().map(Duration::from_millis);
        assert_eq!(session.cookie().original_max_age(), lifetime);
        if lifetime.is_none() {
            // Idle for a day since it was renewed, and so long since it began.
            let day = Duration::from_secs(86_400);
            let second = Duration::from_secs(1);
            assert!(!opens(&sessions(at("renewed") + day - second, year)).is_new());
            assert!(opens(&sessions(at("renewed") + day, year)).is_new());
            assert!(!opens(&sessions(at("begun") + day + second, 86_402)).is_new());
            assert!(opens(&sessions(at("begun") + day + 2 * second, 86_402)).is_new());
        }
    }
    let store = Arc::new(MemoryStore::new());
    let sealed = session_core::Sealed::new(Arc::clone(&store), secret).unwrap();
    for vector in vectors["records"].as_array().unwrap() {
        let sid = Sid::from(text(&vector["sid"]));
        let held = format!(
            r#"{{"cookie":{{"originalMaxAge":null,"expires":null}},"sealed":"{}"}}"#,
            text(&vector["sealed"])
        );
        let held = session_core::Record::parse(held).unwrap();
        done(session_core::Store::set(&store, &sid, &held, &session_core::Expect::Anything)).unwrap();
        let record = done(session_core::Store::get(&sealed, &sid)).unwrap().unwrap().record;
        assert_eq!(record.to_json(), text(&vector["record"]));
    }
}

/// Each in one browser, whose two requests are answered one after the other.
#[test]
fn of_two_tabs_the_later_one_stands_in_one_cookie_or_in_several() {
    let (sessions, later, _) = at_a_time(new().chunks(true));
    for (before, after) in [(6_000, 10), (10, 6_000)] {
        for takes in [0, 5] {
            let (exchange, session) = ask(&sessions, &[]);
            session.insert("text", "x".repeat(before)).unwrap();
            let mut jar = BTreeMap::new();
            let cookies = update(&mut jar, &done(exchange.end()).unwrap());
            let [(a, one), (b, two)] = [(); 2].map(|()| ask(&sessions, &cookies));
            one.insert("by", "the later one").unwrap();
            two.insert("text", "x".repeat(after)).unwrap();
            // Decided first, and answered last.
            let of_one = done(a.end()).unwrap();
            later.fetch_add(takes, Ordering::SeqCst);
            update(&mut jar, &done(b.end()).unwrap());
            let (_exchange, session) = ask(&sessions, &update(&mut jar, &of_one));
            assert_eq!(
                session.get::<String>("by").unwrap().as_deref(),
                Some("the later one"),
                "{:?}",
                jar.keys()
            );
            assert_eq!(session.get::<String>("text").unwrap().unwrap().len(), before);
        }
    }
}

/// A sibling host may set one of a chunk's name, and browsers send that first.
#[test]
fn a_foreign_chunk_hides_no_session_in_several() {
    let sessions = new().chunks(true).build().unwrap();
    let (exchange, session) = ask(&sessions, &[]);
    session.insert("text", "x".repeat(9_000)).unwrap();
    let cookies = update(&mut BTreeMap::new(), &done(exchange.end()).unwrap());
    let other = update(&mut BTreeMap::new(), &done(ask_and_fill(&sessions, 8_000).end()).unwrap());
    for foreign in ["session.0=x", "session.0=x; session.1=y; session.2=", "session.3=AgE", &other[0]] {
        for cookies in [format!("{foreign}; {}", cookies[0]), format!("{}; {foreign}", cookies[0])] {
            let length = ask(&sessions, &[cookies]).1.get::<String>("text").unwrap().map(|text| text.len());
            assert!(matches!(length, Some(8_000 | 9_000)), "{foreign}: {length:?}");
        }
    }
    let another = new().chunks(true).build().unwrap();
    let (_, text) = told(|| _ = ask(&another, &[format!("session.0=x; {}", cookies[0])]));
    assert!(text.contains("several cookies of this name"), "{text}");
    // So many are looked at.
    let many = "session.0=x; ".repeat(8);
    assert!(ask(&sessions, &[format!("{many}{}", cookies[0])]).1.is_new());
    // Nor may a layer beside it have one of these names.
    struct Beside;
    for (name, chunks, collides) in [
        ("session.3", true, true),
        ("session.4", true, false),
        ("session.0", false, false),
        ("session", false, true),
    ] {
        let around = new().chunks(chunks).build().unwrap();
        let beside = CookieSessionOptions::new("a key of 32 bytes, or nearly so").name(name).build().unwrap();
        for (around, beside) in [(&around, &beside), (&beside, &around)] {
            let (_, text) = told(|| _ = beside.exchange_below::<Beside>(Some(&around.exchange())));
            // Said once of each.
            let is_told = text.contains("have a cookie name in common");
            assert_eq!(is_told, collides, "{name} {chunks}");
        }
    }
}

fn ask_and_fill(sessions: &Sessions, length: usize) -> Exchange {
    let (exchange, session) = ask(sessions, &[]);
    session.insert("text", "x".repeat(length)).unwrap();
    exchange
}

/// What the log is told meanwhile.
fn told<T>(work: impl FnOnce() -> T) -> (T, String) {
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let done = tracing::subscriber::with_default(subscriber, work);
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(!text.contains("swordfish"), "data are in\n{text}");
    (done, text)
}

type Ends = fn(&SessionHandle);

/// By its lifetime a session is ended as by a logout.
#[test]
fn a_session_without_time_left_is_forgotten_also_where_that_cannot_be_written_down() {
    let ends: [Ends; 2] = [
        |session| session.set_max_age(Some(Duration::ZERO)).unwrap(),
        |session| session.set_expires(Some(std::time::UNIX_EPOCH)).unwrap(),
    ];
    for end in ends {
        for logs in [true, false] {
            let failing = FailingStore::new(MemoryStore::new());
            let options = new().revocations(Arc::clone(&failing));
            let options = if logs { options.save_error(SaveError::Log) } else { options };
            let sessions = options.build().unwrap();
            let cookies = logged_in(&sessions);
            let (exchange, session) = ask(&sessions, &cookies);
            let id = session.id().unwrap();
            end(&session);
            failing.fail_writes(true);
            let set = match done(exchange.end()) {
                Ok(set) if logs => set,
                Err(error) if !logs => error.cookies().to_vec(),
                other => panic!("{other:?}"),
            };
            assert!(set.len() == 1 && set[0].starts_with("session=; "), "{set:?}");
            assert_eq!(session.id().unwrap(), id, "none that is about to end gets another id");
            // An end that is asked again tries again.
            failing.fail_writes(false);
            assert!(done(exchange.end()).unwrap().is_empty());
            assert!(ask(&sessions, &cookies).1.is_new());
        }
    }
}

/// Of one that was to end, and a clone has given time again: nothing goes out under what was written down.
#[test]
fn a_session_that_is_given_time_again_while_it_ends_goes_on_under_another_id() {
    let store = Arc::new(common::SlowStore::default());
    let sessions = new().revocations(Arc::clone(&store)).build().unwrap();
    let cookies = logged_in(&sessions);
    let (exchange, session) = ask(&sessions, &cookies);
    session.set_max_age(Some(Duration::ZERO)).unwrap();
    let mut end = Box::pin(exchange.end());
    assert!(!common::poll(&mut end));
    session.set_max_age(Some(Duration::from_secs(60))).unwrap();
    let set = done(end).unwrap();
    assert_eq!(user(&sessions, &kept(&set)).as_deref(), Some("swordfish"));
    assert!(ask(&sessions, &cookies).1.is_new());
}

/// What clones of the handle do while the end asks whether the session still stands, and is not told.
#[test]
fn what_is_done_while_the_end_asks_in_vain_is_not_lost() {
    let acts: [(Ends, Option<&str>); 4] = [
        (|session| done(session.destroy()).unwrap(), None),
        (|session| session.unset(), None),
        (
            |session| {
                done(session.regenerate()).unwrap();
                session.insert("user", "jd").unwrap();
            },
            Some("jd"),
        ),
        (|session| done(session.renew_id()).unwrap(), Some("swordfish")),
    ];
    let begin = |changes: bool, logs: bool| {
        let (later, clock) = common::clock();
        let store = Arc::new(common::SlowStore::default());
        let options = new().revocations(Arc::clone(&store)).clock(clock);
        let options = if logs { options.save_error(SaveError::Log) } else { options };
        let sessions = options.build().unwrap();
        let cookies = logged_in(&sessions);
        later.store(DAY / 2, Ordering::SeqCst);
        let (exchange, session) = ask(&sessions, &cookies);
        if changes {
            session.insert("seen", true).unwrap();
        }
        (store, sessions, cookies, exchange, session)
    };
    let fails_next = |store: &common::SlowStore| {
        let number = store.calls.load(Ordering::SeqCst);
        *store.trouble_at.lock().unwrap() = Some((number, common::Trouble::FailsBefore));
    };
    for changes in [false, true] {
        for (act, after) in acts {
            let (store, sessions, cookies, exchange, session) = begin(changes, false);
            fails_next(&store);
            let mut end = Box::pin(exchange.end());
            assert!(!common::poll(&mut end));
            act(&session);
            let set = done(end).unwrap();
            assert_eq!(set.len(), 1, "{changes} {after:?}");
            assert_eq!(user(&sessions, &kept(&set)).as_deref(), after);
            assert!(ask(&sessions, &cookies).1.is_new());
        }
        // A change of what may have ended is an error.
        let (store, sessions, cookies, exchange, session) = begin(changes, false);
        fails_next(&store);
        let mut end = Box::pin(exchange.end());
        assert!(!common::poll(&mut end));
        session.insert("order", 1).unwrap();
        let error = done(end).unwrap_err();
        assert!(matches!(error.error(), Error::Store(_)) && error.cookies().is_empty());
        assert!(user(&sessions, &cookies).is_some());
        // Where nothing can be written down either, a logout is forgotten by its client.
        for logs in [false, true] {
            let (store, _sessions, _, exchange, session) = begin(changes, logs);
            let sid = Sid::from(format!("ended:{}", session.id().unwrap().as_str()));
            *store.trouble.lock().unwrap() = Some((sid, common::Trouble::FailsBefore));
            let mut end = Box::pin(exchange.end());
            assert!(!common::poll(&mut end));
            session.unset();
            let set = done(end).or_else(|error| if logs { Err(error) } else { Ok(error.cookies().to_vec()) });
            assert!(set.unwrap()[0].starts_with("session=; "));
        }
    }
}

fn deep() -> Box<serde_json::value::RawValue> {
    serde_json::value::RawValue::from_string(format!("{}{}", "[".repeat(200), "]".repeat(200))).unwrap()
}

/// Its old id opens no more: without that cookie the client had none.
#[test]
fn a_renewed_session_whose_data_do_not_fit_goes_out_as_it_was() {
    let does_not_fit: [Ends; 2] = [
        |session| session.insert("text", "x".repeat(6_000)).unwrap(),
        |session| session.insert("deep", deep()).unwrap(),
    ];
    for fill in does_not_fit {
        for logs in [false, true] {
            let options = if logs { new().save_error(SaveError::Log) } else { new() };
            let (sessions, _revoked) = with_revocations(options);
            let cookies = logged_in(&sessions);
            let (exchange, session) = ask(&sessions, &cookies);
            session.insert("role", "admin").unwrap();
            done(session.renew_id()).unwrap();
            fill(&session);
            let set = match done(exchange.end()) {
                Ok(set) if logs => set,
                Err(error) if !logs => {
                    assert!(matches!(error.error(), Error::CookieTooLarge { .. } | Error::TooDeep { .. }));
                    error.cookies().to_vec()
                }
                other => panic!("{other:?}"),
            };
            let (_exchange, again) = ask(&sessions, &kept(&set));
            assert_eq!(
                (again.keys(), again.id().unwrap()),
                (vec!["user".into(), "role".into()], session.id().unwrap())
            );
            assert!(ask(&sessions, &cookies).1.is_new());
            // And it can be ended, as what any response has sent.
            done(session.destroy()).unwrap();
            assert!(ask(&sessions, &kept(&set)).1.is_new());
        }
    }
    // Of one that was to be another one since, nothing.
    let (sessions, _revoked) = with_revocations(new());
    let (exchange, session) = ask(&sessions, &logged_in(&sessions));
    done(session.renew_id()).unwrap();
    done(session.regenerate()).unwrap();
    session.insert("text", "x".repeat(6_000)).unwrap();
    let error = done(exchange.end()).unwrap_err();
    assert!(error.cookies().len() == 1 && error.cookies()[0].starts_with("session=; "), "{error:?}");
}

/// With and without a place where ends are written down.
#[test]
fn what_was_to_be_another_session_and_does_not_fit_is_forgotten() {
    for options in [new(), new().revocations(MemoryStore::new())] {
        let sessions = options.build().unwrap();
        let (exchange, session) = ask(&sessions, &logged_in(&sessions));
        done(session.regenerate()).unwrap();
        session.insert("text", "x".repeat(6_000)).unwrap();
        let error = done(exchange.end()).unwrap_err();
        assert!(matches!(error.error(), Error::CookieTooLarge { .. }));
        assert!(error.cookies().len() == 1 && error.cookies()[0].starts_with("session=; "), "{error:?}");
    }
}

/// The end of the request is faster than a renewal by a clone: it has done that.
#[test]
fn a_renewal_that_the_end_overtakes_is_one() {
    for polls in 1..3 {
        let store = Arc::new(common::SlowStore::default());
        let sessions = new().revocations(Arc::clone(&store)).build().unwrap();
        let cookies = logged_in(&sessions);
        let (exchange, session) = ask(&sessions, &cookies);
        let mut renewal = Box::pin(session.renew_id());
        for _ in 0..polls {
            assert!(!common::poll(&mut renewal));
        }
        let set = done(exchange.end()).unwrap();
        done(renewal).unwrap();
        let (_exchange, again) = ask(&sessions, &kept(&set));
        assert_eq!(again.id().unwrap(), session.id().unwrap());
        assert!(ask(&sessions, &cookies).1.is_new());
    }
}

/// A clone acts while the end is at work on another thread, and `check` is told whether the session that the client then has
/// lives.
fn beside_the_end(
    rounds: usize,
    act: impl Fn(&SessionHandle) -> Result<(), Error> + Sync,
    check: impl Fn(bool, &Result<(), Error>) -> bool,
) {
    let (sessions, _revoked) = with_revocations(new());
    for round in 0..rounds {
        let cookies = logged_in(&sessions);
        let (exchange, session) = ask(&sessions, &cookies);
        if round % 2 == 0 {
            session.insert("n", round).unwrap();
        }
        let both = Barrier::new(2);
        let wait = |turns: usize| {
            both.wait();
            (0..turns * 3).for_each(|_| std::hint::spin_loop());
        };
        let (set, acted) = std::thread::scope(|scope| {
            let beside = scope.spawn(|| {
                wait(round % 97);
                act(&session)
            });
            wait(round % 89);
            (done(exchange.end()).unwrap(), beside.join().unwrap())
        });
        let jar = if set.is_empty() { cookies } else { kept(&set) };
        let lives = !ask(&sessions, &jar).1.is_new();
        assert!(check(lives, &acted), "{round}: {lives} {acted:?}");
    }
}

/// On two threads, in whatever order.
#[test]
fn a_renewal_beside_the_end_loses_no_session() {
    beside_the_end(
        1_500,
        |session| done(session.renew_id()),
        |lives, renewed| lives && matches!(renewed, Ok(()) | Err(Error::ResponseOut)),
    );
}

/// So: before or after the response. What lies between is short, and takes many rounds to be met.
#[test]
fn a_logout_beside_the_end_is_one() {
    beside_the_end(8_000, |session| done(session.destroy()), |lives, ended| !lives && ended.is_ok());
}

/// Of another path or domain, say: who logs out would be in that one by the next request.
#[test]
fn a_logout_ends_what_came_beside_it() {
    let late: Ends = |session| done(session.destroy()).unwrap();
    let ends: [(Ends, bool); 5] = [
        (late, false),
        (|session| session.unset(), false),
        (|session| done(session.regenerate()).unwrap(), false),
        (|session| session.set_max_age(Some(Duration::ZERO)).unwrap(), false),
        (|session| done(session.renew_id()).unwrap(), true),
    ];
    for (end, lives) in ends {
        let (sessions, revoked) = with_revocations(new());
        let [x, y, z] = [(); 3].map(|()| logged_in(&sessions).remove(0));
        let all = [format!("{x}; {y}; {z}; {y}")];
        let (exchange, session) = ask(&sessions, &all);
        end(&session);
        done(exchange.end()).unwrap();
        assert_eq!(!ask(&sessions, &all).1.is_new(), lives);
        assert_eq!(done(revoked.length()).unwrap(), if lives { 1 } else { 3 });
    }
    // After the response as well; and one that could not be written down is tried again.
    let failing = FailingStore::new(MemoryStore::new());
    let sessions = new().revocations(Arc::clone(&failing)).build().unwrap();
    for after_the_response in [true, false] {
        let [x, y] = [(); 2].map(|()| logged_in(&sessions).remove(0));
        let both = [format!("{x}; {y}")];
        let (exchange, session) = ask(&sessions, &both);
        if after_the_response {
            done(exchange.end()).unwrap();
        }
        failing.fail_writes_after(1);
        assert!(matches!(done(session.destroy()), Err(Error::Store(_))));
        assert!(!ask(&sessions, &both).1.is_new());
        failing.fail_writes(false);
        done(session.destroy()).unwrap();
        assert!(ask(&sessions, &both).1.is_new());
        assert!(matches!(done(session.destroy()), Err(Error::Destroyed)));
    }
    let [x, y] = [(); 2].map(|()| logged_in(&sessions).remove(0));
    let both = [format!("{x}; {y}")];
    let (exchange, session) = ask(&sessions, &both);
    failing.fail_writes_after(1);
    session.unset();
    assert_eq!(done(exchange.end()).unwrap_err().cookies().len(), 1);
    failing.fail_writes(false);
    done(exchange.end()).unwrap();
    assert!(ask(&sessions, &both).1.is_new());
}

/// Whoever sends it many times.
#[test]
fn of_copies_of_one_session_one_is_asked_about() {
    let (later, clock) = common::clock();
    let store = Arc::new(common::SlowStore::default());
    let sessions = new().revocations(Arc::clone(&store)).clock(clock).build().unwrap();
    let older = logged_in(&sessions).remove(0);
    later.store(MINUTE, Ordering::SeqCst);
    let (exchange, session) = ask(&sessions, std::slice::from_ref(&older));
    session.insert("seen", true).unwrap();
    let younger = kept(&done(exchange.end()).unwrap()).remove(0);
    let asked = |cookies: String| {
        let before = store.calls.load(Ordering::SeqCst);
        let session = ask(&sessions, &[cookies]).1;
        (session.contains("seen"), store.calls.load(Ordering::SeqCst) - before)
    };
    let both = format!("{older}; {younger}");
    assert_eq!(asked(both.clone()), (true, 1), "the younger one counts");
    done(ask(&sessions, std::slice::from_ref(&younger)).1.destroy()).unwrap();
    assert_eq!(asked(vec![younger; 8].join("; ")), (false, 1));
    assert_eq!(asked(both), (false, 1));
}

/// What a thief's requests have made of a copy, and its owner's logout has never seen: with a lifetime that the owner's has not.
#[test]
fn a_logout_ends_also_what_other_requests_have_made_of_it() {
    let (later, clock) = common::clock();
    let revoked = MemoryStore::new().clock(clock.clone());
    let options = new().idle(Duration::from_secs(30 * 60)).clock(clock);
    let sessions = options.revocations(revoked).build().unwrap();
    let cookies = logged_in(&sessions);
    let (exchange, session) = ask(&sessions, &cookies);
    session.set_max_age(Some(Duration::from_secs(7 * 86_400))).unwrap();
    let stolen = kept(&done(exchange.end()).unwrap());
    let (exchange, session) = ask(&sessions, &cookies);
    done(session.destroy()).unwrap();
    done(exchange.end()).unwrap();
    for days in [0, 1, 6] {
        later.store(days * DAY, Ordering::SeqCst);
        assert!(ask(&sessions, &stolen).1.is_new(), "{days}");
    }
}

#[test]
fn what_happens_to_revocations_is_told() {
    // That they do not answer, and that they do again.
    let failing = FailingStore::new(MemoryStore::new());
    let sessions = new().revocations(Arc::clone(&failing)).build().unwrap();
    let cookies = logged_in(&sessions);
    let (_, text) = told(|| {
        for fails in [true, true, false] {
            failing.fail_reads(fails);
            let exchange = sessions.exchange();
            assert_eq!(done(with_cookies(&cookies, |request| exchange.session(request))).is_err(), fails);
        }
    });
    assert_eq!(text.matches("the store is lost").count(), 1, "{text}");
    assert_eq!(text.matches("the store is found again").count(), 1, "{text}");
    // What the error of the end has told is not told again.
    let (_, text) = told(|| {
        let (exchange, session) = ask(&sessions, &cookies);
        session.insert("seen", true).unwrap();
        failing.fail_reads(true);
        assert!(done(exchange.end()).is_err());
        failing.fail_reads(false);
    });
    assert!(!text.contains("changes of a session are dropped"), "{text}");
}

#[test]
fn short_keys_of_cookie_session_are_told() {
    let build = |key: &str| told(|| new().also_reads_cookie_session(key).build().unwrap()).1;
    assert!(build("hunter2").contains("fewer than 8 bytes"));
    assert!(!build("hunter22").contains("bytes"));
    assert!(!build("hunter2").contains("hunter2"));
}
