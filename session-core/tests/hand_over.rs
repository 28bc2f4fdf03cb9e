//! A session is handed over once, for seconds, and to whoever comes first.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use common::{App, Trouble, apps, clock, cookie, done};
use futures_util::future::join_all;
use session_core::{
    AdminStore, CookieSessionOptions, Error, MemoryStore, Options, SealedSessionOptions, SessionHandle,
    Sessions, Sid,
};
use session_testkit::{Call, Captured, RecordingStore};

const MINUTE: Duration = Duration::from_secs(60);

fn handed_over(session: &SessionHandle) -> String {
    done(session.hand_over(MINUTE)).unwrap()
}

fn user(session: Option<SessionHandle>) -> Option<String> {
    session.and_then(|session| session.get("user").unwrap())
}

#[test]
fn a_code_works_once() {
    for app in apps() {
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        let code = handed_over(&session);
        assert_ne!(code, sid.as_str());
        done(exchange.end()).unwrap();
        let there = done(app.sessions.redeem(&code)).unwrap().unwrap();
        assert_eq!((there.id().unwrap(), there.is_new()), (sid.clone(), false));
        assert_eq!(user(Some(there)).as_deref(), Some("tj"));
        assert!(done(app.sessions.redeem(&code)).unwrap().is_none());
        assert_eq!(app.records(), 1, "nothing of it is left");
    }
}

#[test]
fn of_many_who_come_with_a_code_at_once_one_gets_the_session() {
    for app in apps() {
        let sid = app.log_in();
        let (_exchange, session) = app.request(&sid);
        let code = handed_over(&session);
        // Their calls alternate: all have read before the first destroys.
        let redeemed = done(join_all((0..10).map(|_| app.sessions.redeem(&code))));
        assert_eq!(redeemed.into_iter().filter(|there| there.as_ref().unwrap().is_some()).count(), 1);
    }
}

#[test]
fn a_code_lives_for_seconds_and_never_for_longer_than_a_minute() {
    for (lifetime, lives) in [(5, 5), (60, 60), (61, 60), (86_400, 60), (u64::MAX, 60), (0, 0)] {
        let (later, clock) = clock();
        let store = Arc::new(MemoryStore::new().clock(clock.clone()));
        let sessions = Options::new([7; 32]).store(Arc::clone(&store)).clock(clock).build().unwrap();
        let code = || {
            let (exchange, session) = common::ask(&sessions, &[]);
            session.insert("user", "tj").unwrap();
            let code = done(session.hand_over(Duration::from_secs(lifetime))).unwrap();
            done(exchange.end()).unwrap();
            code
        };
        let (one, other) = (code(), code());
        let lives = lives * 1_000;
        if lives > 0 {
            later.fetch_add(lives - 1, Ordering::SeqCst);
            assert_eq!(user(done(sessions.redeem(&one)).unwrap()).as_deref(), Some("tj"), "{lifetime}");
            later.fetch_add(1, Ordering::SeqCst);
        }
        assert_eq!(user(done(sessions.redeem(&other)).unwrap()), None, "{lifetime}");
    }
}

/// What goes by a clock of its own, or rounds up, may hold it for longer.
#[test]
fn a_store_that_holds_a_code_for_longer_does_not_prolong_it() {
    let (later, clock) = clock();
    let store = Arc::new(MemoryStore::new());
    let sessions = Options::new([7; 32]).store(Arc::clone(&store)).clock(clock).build().unwrap();
    let (exchange, session) = common::ask(&sessions, &[]);
    session.insert("user", "tj").unwrap();
    let code = handed_over(&session);
    done(exchange.end()).unwrap();
    later.fetch_add(60_000, Ordering::SeqCst);
    assert!(done(sessions.redeem(&code)).unwrap().is_none());
    assert_eq!(done(store.length()).unwrap(), 1, "and it is used up");
}

#[test]
fn a_session_that_has_ended_or_moved_is_not_handed_over() {
    let ends: [fn(&SessionHandle); 2] =
        [|session| done(session.destroy()).unwrap(), |session| done(session.renew_id()).unwrap()];
    for app in apps() {
        for end in ends {
            let sid = app.log_in();
            let (exchange, session) = app.request(&sid);
            let code = handed_over(&session);
            end(&session);
            done(exchange.end()).unwrap();
            assert!(done(app.sessions.redeem(&code)).unwrap().is_none());
        }
    }
}

/// Nor anything that a code is made of.
#[test]
fn neither_the_store_nor_the_log_sees_a_code() {
    for app in apps() {
        let sid = app.log_in();
        let log = Captured::begin();
        let (exchange, session) = app.request(&sid);
        let code = handed_over(&session);
        done(exchange.end()).unwrap();
        let mut keys = Vec::new();
        let mut visit = |sid: Sid, record: session_core::Record| {
            keys.push(format!("{} {}", sid.as_str(), record.to_json()));
        };
        done(app.store.memory.all(&mut visit)).unwrap();
        assert!(keys.len() == 2 && keys.iter().all(|key| !key.contains(&code)), "{}", keys.len());
        // A key of the store is no code, and no id that anybody has signed.
        let key =
            keys.iter().find_map(|key| key.split(' ').next().filter(|key| key.starts_with("hand-over:")));
        assert!(done(app.sessions.redeem(key.unwrap())).unwrap().is_none());
        for other in ["", "x", sid.as_str(), &"x".repeat(1 << 20)] {
            assert!(done(app.sessions.redeem(other)).unwrap().is_none());
        }
        assert!(done(app.sessions.redeem(&code)).unwrap().is_some());
        assert!(!log.text().contains(&code) && !log.text().contains(sid.as_str()), "{}", log.text());
    }
}

/// It is saved first, so that who redeems it finds it.
#[test]
fn a_session_that_begins_is_handed_over_too() {
    for app in apps() {
        let (exchange, session) = app.ask(&[]);
        session.insert("user", "new").unwrap();
        let code = handed_over(&session);
        assert_eq!(user(done(app.sessions.redeem(&code)).unwrap()).as_deref(), Some("new"));
        done(exchange.end()).unwrap();
    }
}

#[test]
fn a_code_whose_end_was_not_heard_of_hands_nothing_over() {
    for trouble in [Trouble::FailsBefore, Trouble::FailsAfter] {
        let [app, _] = apps();
        let sid = app.log_in();
        let (_exchange, session) = app.request(&sid);
        let code = handed_over(&session);
        // Its reading is the first call.
        app.trouble_at(1, trouble);
        assert!(matches!(done(app.sessions.redeem(&code)), Err(Error::Store(_))));
        let again = done(app.sessions.redeem(&code)).unwrap();
        assert_eq!(again.is_some(), trouble == Trouble::FailsBefore, "it was used up");
    }
}

#[test]
fn after_the_response_who_is_known_is_handed_over_and_who_is_not_is_not() {
    let [app, _] = apps();
    let sid = app.log_in();
    let (exchange, session) = app.request(&sid);
    done(exchange.end()).unwrap();
    let code = handed_over(&session);
    assert!(done(app.sessions.redeem(&code)).unwrap().is_some());
    let (exchange, session) = app.ask(&[]);
    done(exchange.end()).unwrap();
    session.insert("user", "nobody").unwrap();
    assert!(matches!(done(session.hand_over(MINUTE)), Err(Error::ResponseOut)));
}

/// Another application, whose cookies have other names and secrets, on the same store.
#[test]
fn what_is_handed_over_becomes_a_session_of_the_other_application() {
    let App { store, sessions } = &apps()[0];
    let other = Options::new([9; 32]).name("other").store(Arc::clone(store)).build().unwrap();
    let (exchange, session) = common::ask(sessions, &[]);
    session.insert("user", "tj").unwrap();
    let code = handed_over(&session);
    done(exchange.end()).unwrap();
    let (exchange, arrived) = common::ask(&other, &[]);
    let there = done(other.redeem(&code)).unwrap().unwrap();
    done(arrived.regenerate()).unwrap();
    arrived.insert("user", there.get::<String>("user").unwrap()).unwrap();
    let sent = done(exchange.end()).unwrap();
    let (_exchange, again) = common::ask(&other, &common::kept(&sent));
    assert_eq!(again.get::<String>("user").unwrap().as_deref(), Some("tj"));
    let ids = [again.id().unwrap(), session.id().unwrap()];
    assert_ne!(ids[0], ids[1]);
    assert!(cookie(&ids[0]).starts_with("sid="));
}

#[test]
fn where_there_is_no_store_nothing_is_handed_over() {
    let kinds: [fn() -> Sessions; 2] = [
        || CookieSessionOptions::new("key1").build().unwrap(),
        || SealedSessionOptions::new([7; 32]).revocations(MemoryStore::new()).build().unwrap(),
    ];
    for sessions in kinds.map(|build| build()) {
        let (_exchange, session) = common::ask(&sessions, &[]);
        assert!(matches!(done(session.hand_over(MINUTE)), Err(Error::NoStore("hand_over"))));
        assert!(matches!(done(sessions.redeem("x")), Err(Error::NoStore("redeem"))));
    }
}

#[test]
fn what_has_not_the_form_of_a_code_asks_no_store() {
    let store = RecordingStore::new(MemoryStore::new());
    let sessions = Options::new([7; 32]).store(Arc::clone(&store)).build().unwrap();
    let code = "A".repeat(32);
    for other in [
        String::new(),
        "x".into(),
        "A".repeat(31),
        "A".repeat(33),
        format!("{}=", "A".repeat(31)),
        format!("{}é", "A".repeat(30)),
        "x".repeat(1 << 20),
    ] {
        assert!(done(sessions.redeem(&other)).unwrap().is_none());
        assert_eq!(store.calls(), [], "{}", other.len());
    }
    assert!(done(sessions.redeem(&code)).unwrap().is_none());
    assert_eq!(store.calls(), [Call::Get]);
}

#[test]
fn the_record_of_a_code_is_no_session() {
    for app in apps() {
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        let code = handed_over(&session);
        done(exchange.end()).unwrap();
        let mut keys = Vec::new();
        done(app.store.memory.all(&mut |sid: Sid, _: session_core::Record| keys.push(sid))).unwrap();
        let key = keys.into_iter().find(|key| key.as_str().starts_with("hand-over:")).unwrap();
        assert!(done(app.sessions.load(&key)).unwrap().is_none());
        let value = cookie(&key);
        assert!(done(app.sessions.resume(value.trim_start_matches("sid="))).unwrap().is_none());
        let (_exchange, session) = app.request(&key);
        assert!(session.is_new() && session.id().unwrap() != key);
        assert!(done(app.sessions.redeem(&code)).unwrap().is_some(), "and it works still");
    }
}
