//! What must lose no session that is sealed into its client's cookie, nor log out one beside it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use common::{Trouble, ask, done, kept};
use session_core::{
    AdminStore, BrowserRules, CookieOptions, CookieSessionOptions, Error, Exchange, Keygrip,
    KeygripAlgorithm, MemoryStore, RequestInfo, SaveError, SealedSessionOptions, SessionHandle, Sessions,
    Sid,
};
use session_testkit::FailingStore;

const DAY: usize = 86_400_000;

fn new() -> SealedSessionOptions {
    SealedSessionOptions::new([7; 32]).name("session")
}

fn days(days: u64) -> Duration {
    Duration::from_secs(days * 86_400)
}

fn logged_in(sessions: &Sessions) -> Vec<String> {
    let (exchange, session) = ask(sessions, &[]);
    session.insert("user", "swordfish").unwrap();
    kept(&done(exchange.end()).unwrap())
}

fn lives(sessions: &Sessions, cookies: &[String]) -> bool {
    !ask(sessions, cookies).1.is_new()
}

fn too_much(session: &SessionHandle) {
    session.insert("text", "x".repeat(6_000)).unwrap();
}

/// The cookies of a response that fails since the data do not fit, or that was told to the log alone.
fn does_not_fit(exchange: &Exchange) -> Vec<String> {
    match done(exchange.end()) {
        Ok(set) => set,
        Err(error) => {
            assert!(matches!(error.error(), Error::CookieTooLarge { .. }), "{error:?}");
            error.cookies().to_vec()
        }
    }
}

/// It is under way, was dropped half way, or its answer was lost: what it has written down by then nobody knows.
#[test]
fn a_renewal_before_data_that_do_not_fit_loses_no_session() {
    for logs in [false, true] {
        for drops in [false, true] {
            for polls in 1..3 {
                let store = Arc::new(common::SlowStore::default());
                let options = new().revocations(Arc::clone(&store));
                let options = if logs { options.save_error(SaveError::Log) } else { options };
                let sessions = options.build().unwrap();
                let cookies = logged_in(&sessions);
                let (exchange, session) = ask(&sessions, &cookies);
                session.insert("role", "admin").unwrap();
                let mut renewal = Some(Box::pin(session.renew_id()));
                for _ in 0..polls {
                    assert!(!common::poll(renewal.as_mut().unwrap()));
                }
                if drops {
                    renewal = None;
                }
                too_much(&session);
                let set = does_not_fit(&exchange);
                renewal.map(done).transpose().unwrap();
                let (_exchange, again) = ask(&sessions, &kept(&set));
                assert_eq!(again.keys(), ["user", "role"], "{logs} {drops} {polls}");
                assert_eq!(again.id().unwrap(), session.id().unwrap());
                assert!(!lives(&sessions, &cookies));
                // And it can be ended, as what any response has sent.
                done(session.destroy()).unwrap();
                assert!(!lives(&sessions, &kept(&set)));
            }
        }
    }
    for trouble in [Trouble::FailsAfter, Trouble::FailsBefore] {
        let store = Arc::new(common::SlowStore::default());
        let sessions = new().revocations(Arc::clone(&store)).build().unwrap();
        let cookies = logged_in(&sessions);
        let (exchange, session) = ask(&sessions, &cookies);
        let sid = Sid::from(format!("ended:{}", session.id().unwrap().as_str()));
        *store.trouble.lock().unwrap() = Some((sid, trouble));
        assert!(matches!(done(session.renew_id()), Err(Error::Store(_))));
        *store.trouble.lock().unwrap() = None;
        too_much(&session);
        let set = does_not_fit(&exchange);
        assert!(lives(&sessions, &kept(&set)) && !lives(&sessions, &cookies), "{trouble:?}");
        // Where it fits after all, it goes on.
        session.remove("text").unwrap();
        session.insert("n", 1).unwrap();
        let (_exchange, again) = ask(&sessions, &kept(&done(exchange.end()).unwrap()));
        assert_eq!(
            (again.keys(), again.id().unwrap()),
            (vec!["user".into(), "n".into()], session.id().unwrap())
        );
    }
    // As long as nothing can be written down, it stays what it is.
    let failing = FailingStore::new(MemoryStore::new());
    let sessions = new().revocations(Arc::clone(&failing)).build().unwrap();
    let cookies = logged_in(&sessions);
    let (exchange, session) = ask(&sessions, &cookies);
    failing.fail_writes(true);
    assert!(done(session.renew_id()).is_err());
    too_much(&session);
    let error = done(exchange.end()).unwrap_err();
    assert!(matches!(error.error(), Error::Store(_)) && error.cookies().is_empty());
    assert!(lives(&sessions, &cookies));
}

/// What was kept of the one before is not the one that has begun anew.
#[test]
fn what_begins_anew_beside_a_renewal_does_not_go_out_as_the_old_one() {
    let store = Arc::new(common::SlowStore::default());
    let sessions = new().revocations(Arc::clone(&store)).build().unwrap();
    let (exchange, session) = ask(&sessions, &logged_in(&sessions));
    let mut renewal = Box::pin(session.renew_id());
    assert!(!common::poll(&mut renewal));
    done(session.regenerate()).unwrap();
    done(renewal).unwrap();
    too_much(&session);
    let set = does_not_fit(&exchange);
    assert!(set.len() == 1 && set[0].starts_with("session=; "), "{set:?}");
}

/// The old id would open no more, and nobody have the new one.
#[test]
fn a_renewal_of_which_no_cookie_could_go_out_is_refused() {
    let secure = |is_secure| new().cookie(CookieOptions::new().secure(is_secure));
    // Served as the second, where the first has sent the cookie.
    let sent = secure(false).revocations(MemoryStore::new()).build().unwrap();
    let refused = |error: Error, reason: &str| {
        assert!(matches!(error, Error::Cookie(_)) && error.to_string().contains(reason), "{error}");
    };
    let withheld = secure(true).revocations(MemoryStore::new()).build().unwrap();
    let cookies = logged_in(&sent);
    let (exchange, session) = ask(&withheld, &cookies);
    refused(done(session.renew_id()).unwrap_err(), "secure connections");
    assert!(done(exchange.end()).unwrap().is_empty());
    assert!(lives(&withheld, &cookies));
    // Over a secure one it goes.
    let each = |visit: &mut dyn FnMut(&str, &[u8])| visit("cookie", cookies[0].as_bytes());
    let exchange = withheld.exchange();
    let session = done(exchange.session(&RequestInfo::new("/", true, &each))).unwrap().unwrap();
    done(session.renew_id()).unwrap();
    assert!(lives(&withheld, &kept(&done(exchange.end()).unwrap())));
    assert!(!lives(&withheld, &cookies));
    // What browsers would refuse; the one who sends it all the same renews it.
    let partitioned = |rules: BrowserRules| {
        let options = new().browser_rules(BrowserRules::Warn).cookie(CookieOptions::new().partitioned(true));
        options.browser_rules(rules).revocations(MemoryStore::new()).build()
    };
    let sessions = partitioned(BrowserRules::Warn).unwrap();
    let (_exchange, session) = ask(&sessions, &cookies);
    done(session.renew_id()).unwrap();
    // Where nothing is written down nothing is lost: it keeps its id.
    let sessions = secure(true).build().unwrap();
    let (exchange, session) = ask(&sessions, &cookies);
    done(session.renew_id()).unwrap();
    assert!(done(exchange.end()).unwrap().is_empty() && lives(&sessions, &cookies));
}

/// It is begun, and then no cookie can go out any more.
#[test]
fn a_renewal_that_is_not_sent_is_not_made_up_for() {
    let failing = FailingStore::new(MemoryStore::new());
    let sessions = new().revocations(Arc::clone(&failing)).build().unwrap();
    let cookies = logged_in(&sessions);
    let (exchange, session) = ask(&sessions, &cookies);
    failing.fail_writes(true);
    assert!(matches!(done(session.renew_id()), Err(Error::Store(_))));
    failing.fail_writes(false);
    session.update_cookie(|cookie| cookie.set_secure(true)).unwrap();
    assert!(done(exchange.end()).unwrap().is_empty());
    assert!(lives(&sessions, &cookies));
    // And what its client has still can be ended.
    done(session.destroy()).unwrap();
    assert!(!lives(&sessions, &cookies));
}

/// While its handler runs: by its date, or by how long any may live.
#[test]
fn a_session_that_expires_by_itself_logs_out_none_beside_it() {
    let (later, clock) = common::clock();
    let revoked = Arc::new(MemoryStore::new().clock(clock.clone()));
    let options = new().idle(days(10)).absolute(days(10)).clock(clock).revocations(Arc::clone(&revoked));
    let sessions = options.build().unwrap();
    let first = logged_in(&sessions);
    later.store(5 * DAY, Ordering::SeqCst);
    let second = logged_in(&sessions);
    later.store(9 * DAY, Ordering::SeqCst);
    let (exchange, session) = ask(&sessions, &first);
    session.insert("n", 1).unwrap();
    let first = kept(&done(exchange.end()).unwrap());
    later.store(10 * DAY - 1, Ordering::SeqCst);
    let both = [format!("{}; {}", first[0], second[0])];
    for n in [2, 3] {
        let (exchange, session) = ask(&sessions, &both);
        assert_eq!(session.get::<u32>("n").unwrap(), Some(1));
        session.insert("n", n).unwrap();
        later.store(10 * DAY + 1, Ordering::SeqCst);
        // A logout is one also then.
        if n == 3 {
            session.unset();
        }
        let set = done(exchange.end()).unwrap();
        assert!(set.len() == 1 && set[0].starts_with("session=; "), "{set:?}");
        assert_eq!(lives(&sessions, &second), n == 2);
        later.store(10 * DAY - 1, Ordering::SeqCst);
    }
    // By the options' date.
    let (later, clock) = common::clock();
    let ends = clock.now() + days(1);
    let options = new().cookie(CookieOptions::new().expires(ends)).clock(clock);
    let revoked = Arc::new(MemoryStore::new());
    let sessions = options.revocations(Arc::clone(&revoked)).build().unwrap();
    let both = [[(); 2].map(|()| logged_in(&sessions).remove(0)).join("; ")];
    let (exchange, session) = ask(&sessions, &both);
    session.insert("n", 1).unwrap();
    later.store(DAY + 1, Ordering::SeqCst);
    assert!(done(exchange.end()).unwrap()[0].starts_with("session=; "));
    assert_eq!(done(revoked.length()).unwrap(), 0);
}

/// Browsers throw every cookie away after 400 days.
#[test]
fn a_session_that_lives_for_years_is_sent_again_before_browsers_forget_it() {
    let (later, clock) = common::clock();
    let years = |years: u64| days(years * 365);
    let cookie = CookieOptions::new().max_age(years(10));
    let sessions = new().idle(years(10)).absolute(years(20)).cookie(cookie).clock(clock).build().unwrap();
    let cookies = logged_in(&sessions);
    for (days, is_sent) in [(79, false), (80, true)] {
        later.store(days * DAY, Ordering::SeqCst);
        let (exchange, _session) = ask(&sessions, &cookies);
        assert_eq!(!done(exchange.end()).unwrap().is_empty(), is_sent, "{days}");
    }
}

/// As one that is sealed and has ended hides none that is sealed.
#[test]
fn a_sealed_cookie_that_has_ended_hides_no_signed_one() {
    let keys = || Keygrip::new(["x".repeat(32)]).algorithm(KeygripAlgorithm::Sha256);
    let signs = CookieSessionOptions::new(keys()).name("session").build().unwrap();
    let sessions = new().also_reads_cookie_session(keys()).revocations(MemoryStore::new()).build().unwrap();
    let (signed, sealed) = (logged_in(&signs), logged_in(&sessions));
    let both = [format!("{}; {}", sealed[0], signed[0])];
    let (exchange, session) = ask(&sessions, &both);
    let id = session.id().unwrap();
    done(session.destroy()).unwrap();
    done(exchange.end()).unwrap();
    let (exchange, session) = ask(&sessions, &both);
    assert!(!session.is_new() && session.id().unwrap() != id);
    // It is sealed, and its signature forgotten.
    let set = done(exchange.end()).unwrap();
    assert!(set.len() == 2 && set[1].starts_with("session.sig=; "), "{set:?}");
    assert!(lives(&sessions, &kept(&set)));
    // One that somebody has forged is none.
    let forged = [both[0].replace("session.sig=", "session.sig=x")];
    assert!(!lives(&sessions, &forged));
}
