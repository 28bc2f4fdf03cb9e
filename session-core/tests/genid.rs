//! An application that makes its own ids, badly: whatever stands under an id in use is somebody else's, and stays.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use common::{App, Trouble, add, apps, done, polled};
use session_core::{Error, Exchange, Expect, Options, Record, SessionHandle, Sid, Store};

/// A store with a stranger's session, and an application whose ids are these, and then the stranger's for ever.
fn app_beside_a_stranger(ids: &'static [&'static str]) -> (App, Sid) {
    let [App { store, .. }, _] = apps();
    let made = AtomicUsize::new(0);
    let genid = move || Sid::from(*ids.get(made.fetch_add(1, Ordering::SeqCst)).unwrap_or(&"same"));
    let with = |options: Options| App {
        sessions: options.store(Arc::clone(&store)).build().unwrap(),
        store: Arc::clone(&store),
    };
    let stranger = with(Options::new("keyboard cat").genid(|_| "same".into()));
    let (exchange, session) = stranger.ask(&[]);
    session.insert("stranger", 1).unwrap();
    done(exchange.end()).unwrap();
    (with(Options::new("keyboard cat").genid(move |_| genid())), session.id().unwrap())
}

fn is_untouched(app: &App, stranger: &Sid) {
    let held = app.held(stranger).unwrap();
    assert_eq!(held.data.get("stranger"), Some("1"));
    assert_eq!(held.data.len(), 1);
}

#[test]
fn a_first_write_does_not_overwrite_it() {
    let (app, stranger) = app_beside_a_stranger(&[]);
    let (exchange, session) = app.ask(&[]);
    session.insert("me", 1).unwrap();
    assert!(matches!(done(session.save()), Err(Error::IdInUse)));
    assert!(matches!(done(exchange.end()).unwrap_err().error(), Error::IdInUse));
    is_untouched(&app, &stranger);
}

/// Without one nobody else has an id that was made here. A client of a store that sends a write twice is told of its own.
#[test]
fn a_first_write_that_was_sent_twice_is_done() {
    for app in apps() {
        let (exchange, session) = app.ask(&[]);
        session.insert("me", 1).unwrap();
        app.store.sends_twice.store(true, Ordering::SeqCst);
        assert_eq!(done(exchange.end()).unwrap().len(), 1);
        assert_eq!(app.records(), 1);
        assert_eq!(app.held(&session.id().unwrap()).unwrap().data.get("me"), Some("1"));
    }
}

#[test]
fn an_update_that_was_sent_twice_counts_once() {
    for app in apps() {
        let (exchange, session) = app.ask(&[]);
        app.store.sends_twice.store(true, Ordering::SeqCst);
        assert_eq!(done(add(&session)).unwrap(), 1);
        assert_eq!(done(exchange.end()).unwrap().len(), 1);
        assert_eq!(app.count(&session.id().unwrap()), Some(1));
    }
}

#[test]
fn a_destruction_does_not_end_it() {
    let (app, stranger) = app_beside_a_stranger(&[]);
    let (exchange, session) = app.ask(&[]);
    done(session.destroy()).unwrap();
    done(exchange.end()).unwrap();
    is_untouched(&app, &stranger);
}

#[test]
fn a_reload_does_not_show_it() {
    let (app, stranger) = app_beside_a_stranger(&[]);
    let (_exchange, session) = app.ask(&[]);
    session.insert("me", 1).unwrap();
    assert!(matches!(done(session.reload()), Err(Error::NotStored)));
    assert!(!session.contains("stranger") && session.contains("me"));
    is_untouched(&app, &stranger);
}

#[test]
fn a_renewal_does_not_overwrite_it_and_keeps_its_own() {
    let (app, stranger) = app_beside_a_stranger(&["mine"]);
    let (exchange, session) = app.ask(&[]);
    session.insert("me", 1).unwrap();
    done(session.save()).unwrap();
    assert!(matches!(done(session.renew_id()), Err(Error::IdInUse)));
    assert_eq!(done(exchange.end()).unwrap().len(), 1);
    is_untouched(&app, &stranger);
    assert_eq!(app.held(&session.id().unwrap()).unwrap().data.get("me"), Some("1"));
}

#[test]
fn a_regeneration_does_not_end_it() {
    let (app, stranger) = app_beside_a_stranger(&["mine"]);
    let (exchange, session) = app.ask(&[]);
    done(session.regenerate()).unwrap();
    done(session.regenerate()).unwrap();
    done(session.destroy()).unwrap();
    done(exchange.end()).unwrap();
    is_untouched(&app, &stranger);
}

/// The first write fails before it is done, a stranger gets the id, and the look before the regeneration fails.
#[test]
fn a_regeneration_whose_look_fails_does_not_end_it() {
    let [App { store, .. }, _] = apps();
    let made = AtomicUsize::new(0);
    let genid = move || Sid::from(["same", "mine"][made.fetch_add(1, Ordering::SeqCst).min(1)]);
    let with = |options: Options| App {
        sessions: options.store(Arc::clone(&store)).build().unwrap(),
        store: Arc::clone(&store),
    };
    let app = with(Options::new("keyboard cat").genid(move |_| genid()));
    let (exchange, session) = app.ask(&[]);
    session.insert("mine", 1).unwrap();
    app.trouble_at(0, Trouble::FailsBefore);
    assert!(done(session.save()).is_err());
    let (strangers, stranger) = with(Options::new("keyboard cat").genid(|_| "same".into())).ask(&[]);
    stranger.insert("stranger", 1).unwrap();
    done(strangers.end()).unwrap();
    app.trouble_at(0, Trouble::FailsBefore);
    assert!(done(session.regenerate()).is_err());
    done(exchange.end()).unwrap();
    is_untouched(&app, &"same".into());
}

/// An application whose ids go by the request: what a renewal that failed has left under the next one is this session's.
#[test]
fn a_renewal_that_is_tried_again_under_the_same_id_leaves_nothing() {
    let (app, stranger) = app_beside_a_stranger(&["mine", "next", "next"]);
    let (exchange, session) = app.ask(&[]);
    session.insert("me", 1).unwrap();
    done(exchange.end()).unwrap();
    let (exchange, session) = app.request(&session.id().unwrap());
    app.trouble_at(1, Trouble::FailsBefore);
    assert!(matches!(done(session.renew_id()), Err(Error::Store(_))));
    assert_eq!(app.records(), 3);
    assert!(matches!(done(session.renew_id()), Err(Error::IdInUse)));
    done(exchange.end()).unwrap();
    assert_eq!((app.records(), session.id().unwrap().as_str()), (2, "mine"));
    is_untouched(&app, &stranger);
}

/// What is there may hold just what was to be written, and is no less a stranger's.
#[test]
fn a_first_write_of_what_a_stranger_holds_too_is_told() {
    let (app, stranger) = app_beside_a_stranger(&[]);
    let (exchange, session) = app.ask(&[]);
    session.insert("stranger", 1).unwrap();
    assert!(matches!(done(session.save()), Err(Error::IdInUse)));
    assert!(matches!(done(exchange.end()).unwrap_err().error(), Error::IdInUse));
    is_untouched(&app, &stranger);
}

/// The answer of the first write was lost: whose the record is has to be looked at, and what it was then is what ends.
fn logs_out_after_a_first_write_whose_answer_was_lost() -> (App, Exchange, SessionHandle) {
    let (app, _) = app_beside_a_stranger(&["mine"]);
    let (exchange, session) = app.ask(&[]);
    session.insert("me", 1).unwrap();
    app.trouble_at(0, Trouble::FailsAfter);
    assert!(done(session.save()).is_err());
    assert_eq!(app.records(), 2);
    (app, exchange, session)
}

#[test]
fn a_logout_ends_what_it_has_seen() {
    let (app, exchange, session) = logs_out_after_a_first_write_whose_answer_was_lost();
    app.is_overtaken(&"mine".into(), 1);
    done(session.destroy()).unwrap();
    done(exchange.end()).unwrap();
    assert!(app.held(&"mine".into()).is_none());
    // By its version, which somebody had changed; and by the one that it had then.
    assert_eq!(app.overtakings(), 1);
}

#[test]
fn so_does_the_end_of_its_request() {
    let (app, exchange, session) = logs_out_after_a_first_write_whose_answer_was_lost();
    assert!(polled(1, session.destroy()).is_none());
    app.is_overtaken(&"mine".into(), 1);
    done(exchange.end()).unwrap();
    assert!(app.held(&"mine".into()).is_none());
    assert_eq!(app.overtakings(), 1);
}

#[test]
fn no_id_is_made_for_who_comes_with_a_session() {
    let made = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&made);
    let options = Options::new("keyboard cat").genid(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        Sid::random()
    });
    let [App { store, .. }, _] = apps();
    let app = App { sessions: options.store(Arc::clone(&store)).build().unwrap(), store };
    let sid = app.log_in();
    assert_eq!(app.request(&sid).1.id().unwrap(), sid);
    assert_eq!(made.load(Ordering::SeqCst), 1);
}

/// It was overtaken, and by the time that it looks again somebody has ended the session, and somebody else has its id.
#[test]
fn a_logout_that_finds_nothing_leaves_who_comes_later() {
    let (app, _exchange, session) = logs_out_after_a_first_write_whose_answer_was_lost();
    let sid = Sid::from("mine");
    app.is_overtaken(&sid, 1);
    let mut logout = Box::pin(session.destroy());
    while app.store.overtaken.lock().unwrap().as_ref().unwrap().times == 0 {
        assert!(polled(1, &mut logout).is_none());
    }
    // The conflict, its answer, and the look begins.
    assert!(polled(2, &mut logout).is_none());
    done(app.store.memory.destroy(&sid, &Expect::Anything)).unwrap();
    assert!(polled(1, &mut logout).is_none());
    let stranger = Record::parse(r#"{"cookie":{},"stranger":1}"#).unwrap();
    done(app.store.memory.set(&sid, &stranger, &Expect::Anything)).unwrap();
    assert!(matches!(done(logout), Err(Error::Gone)));
    assert_eq!(app.held(&sid).unwrap().data.get("stranger"), Some("1"));
}

#[test]
fn what_ends_a_session_that_is_known_to_be_gone_leaves_who_comes_later() {
    for regenerates in [false, true] {
        let (app, _) = app_beside_a_stranger(&["mine", "new"]);
        let (exchange, session) = app.ask(&[]);
        session.insert("me", 1).unwrap();
        done(exchange.end()).unwrap();
        let sid = session.id().unwrap();
        let (exchange, session) = app.request(&sid);
        done(app.store.memory.destroy(&sid, &Expect::Anything)).unwrap();
        session.insert("me", 2).unwrap();
        assert!(matches!(done(session.save()), Err(Error::Gone)));
        let stranger = Record::parse(r#"{"cookie":{},"stranger":1}"#).unwrap();
        done(app.store.memory.set(&sid, &stranger, &Expect::Anything)).unwrap();
        if regenerates {
            done(session.regenerate()).unwrap();
        } else {
            assert!(matches!(done(session.destroy()), Err(Error::Gone)));
        }
        done(exchange.end()).unwrap();
        assert_eq!(app.held(&sid).unwrap().data.get("stranger"), Some("1"));
    }
}
