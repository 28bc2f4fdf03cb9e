//! The shell around the life of a session: futures dropped anywhere, closures that use the session, stores that hang. What
//! the rules do in every order of events is `life/simulation`'s to show; here are real futures, polled by hand.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Waker},
};

use common::{App, Trouble, add, apps, cookie, done, polled};
use session_core::{Error, Expect, Options, Record, Sid, Store};

#[test]
fn the_closure_of_an_update_may_use_the_session() {
    for app in apps() {
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        let sum = done(session.update("n", |n: Option<u64>| {
            session.insert("seen", n).unwrap();
            session.update_cookie(|cookie| cookie.set_path(&format!("/{}", session.len()))).unwrap();
            n.unwrap_or(0) + session.get::<String>("user").unwrap().map_or(0, |user| user.len() as u64)
        }));
        assert_eq!(sum.unwrap(), 2);
        done(exchange.end()).unwrap();
        let record = app.held(&sid).unwrap();
        assert_eq!((record.data.get("n"), record.data.get("seen")), (Some("2"), Some("0")));
    }
}

#[test]
fn an_update_that_is_dropped_anywhere_counts_once_or_not_at_all_and_hides_nobody_elses() {
    for times in 0..12 {
        for app in apps() {
            let sid = app.log_in();
            let (exchange, session) = app.request(&sid);
            let counted = polled(times, add(&session)).is_some();
            assert!(counted || times < 11, "it is dropped at every point");
            // Another request counts, and the one that gave up goes on.
            let (other, another) = app.request(&sid);
            done(add(&another)).unwrap();
            done(other.end()).unwrap();
            session.insert("seen", true).unwrap();
            done(exchange.end()).unwrap();
            let count = app.count(&sid).unwrap();
            assert!(count == 2 || (count == 1 && !counted), "{times} polls: {count}");
            assert_eq!(app.held(&sid).unwrap().data.get("seen"), Some("true"), "{times}");
        }
    }
}

#[test]
fn a_logout_that_is_dropped_or_fails_is_finished_by_the_end_of_the_request() {
    for times in 0..6 {
        for app in apps() {
            let sid = app.log_in();
            let (exchange, session) = app.request(&sid);
            if times > 0 {
                let is_done = polled(times, session.destroy()).is_some();
                assert!(is_done || times < 5, "it is dropped at every point");
                assert!(session.is_destroyed());
                done(exchange.end()).unwrap();
                assert!(app.held(&sid).is_none(), "{times}");
            }
            for trouble in [Trouble::FailsBefore, Trouble::FailsAfter] {
                let sid = app.log_in();
                let (exchange, session) = app.request(&sid);
                app.trouble(&sid, Some(trouble));
                assert!(matches!(done(session.destroy()), Err(Error::Store(_))));
                assert!(done(exchange.end()).is_err(), "nobody is told that it is done");
                app.trouble(&sid, None);
                // It can be tried again.
                assert!(matches!(done(session.destroy()), Ok(()) | Err(Error::Gone)));
                assert!(app.held(&sid).is_none());
                assert!(matches!(done(session.destroy()), Err(Error::Destroyed)));
            }
        }
    }
}

#[test]
fn a_renewal_that_is_dropped_anywhere_leaves_one_session_or_none() {
    for times in 0..14 {
        for app in apps() {
            let sid = app.log_in();
            let (exchange, session) = app.request(&sid);
            let renewed = polled(times, session.renew_id()).is_some();
            assert!(renewed || times < 13, "it is dropped at every point");
            let cookies = done(exchange.end()).unwrap();
            let now = session.id().unwrap();
            let held =
                usize::from(app.held(&sid).is_some()) + usize::from(now != sid && app.held(&now).is_some());
            assert_eq!(app.records(), held as u64, "{times}");
            if renewed {
                assert!(app.held(&sid).is_none() && app.held(&now).is_some() && cookies.len() == 1);
            }
        }
    }
}

#[test]
fn a_first_save_whose_answer_was_lost_can_be_tried_again() {
    for app in apps() {
        let (exchange, session) = app.ask(&[]);
        session.insert("user", "tj").unwrap();
        app.trouble(&session.id().unwrap(), Some(Trouble::FailsAfter));
        assert!(matches!(done(session.save()), Err(Error::Store(_))));
        app.trouble(&session.id().unwrap(), None);
        done(session.save()).unwrap();
        assert_eq!(done(exchange.end()).unwrap().len(), 1);
        assert_eq!(app.records(), 1);
        assert!(app.held(&session.id().unwrap()).is_some());
    }
}

#[test]
fn a_store_that_hangs_for_one_session_holds_up_no_other() {
    for app in apps() {
        let stuck = app.log_in();
        let sids: Vec<Sid> = (0..500).map(|_| app.log_in()).collect();
        let (exchange, session) = app.request(&stuck);
        app.trouble(&stuck, Some(Trouble::Hangs));
        let mut hanging = pin!(add(&session));
        let mut context = Context::from_waker(Waker::noop());
        assert!(hanging.as_mut().poll(&mut context).is_pending());
        for sid in &sids {
            let (exchange, session) = app.request(sid);
            assert_eq!(done(add(&session)).unwrap(), 1);
            done(session.destroy()).unwrap();
            done(exchange.end()).unwrap();
        }
        assert!(hanging.as_mut().poll(&mut context).is_pending());
        drop(exchange);
    }
}

#[test]
fn an_operation_that_was_put_aside_holds_up_nothing_of_its_own_session() {
    for app in apps() {
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        for times in 0..12 {
            let mut aside = pin!(add(&session));
            let mut context = Context::from_waker(Waker::noop());
            for _ in 0..times {
                if aside.as_mut().poll(&mut context).is_ready() {
                    break;
                }
            }
            // Not dropped: as in a `select!` that goes on with the other branch.
            done(add(&session)).unwrap();
            done(session.save()).unwrap();
        }
        done(exchange.end()).unwrap();
        assert!((12..=24).contains(&app.count(&sid).unwrap()));
    }
}

#[test]
fn parallel_operations_of_one_handle_all_count() {
    session_testkit::run(async {
        for app in apps() {
            let sid = app.log_in();
            let (exchange, session) = app.request(&sid);
            let all = (0..40).map(|_| add(&session));
            let sums: Result<Vec<u64>, Error> =
                futures_util::future::join_all(all).await.into_iter().collect();
            let mut sums = sums.unwrap();
            sums.sort_unstable();
            assert!(sums.into_iter().eq(1..=40));
            exchange.end().await.unwrap();
            assert_eq!(app.count(&sid), Some(40));
        }
    });
}

#[test]
fn after_the_response_what_nobody_could_find_is_refused() {
    for app in apps() {
        let (exchange, session) = app.ask(&[]);
        // In the express profile an untouched session is stored, and its cookie sent.
        session.unset();
        done(exchange.end()).unwrap();
        assert!(matches!(done(session.save()), Err(Error::Destroyed)));

        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        done(exchange.end()).unwrap();
        assert!(matches!(done(session.renew_id()), Err(Error::ResponseOut)));
        assert!(matches!(done(session.regenerate()), Err(Error::ResponseOut)));
        session.insert("late", 1).unwrap();
        done(session.save()).unwrap();
        assert_eq!(app.held(&sid).unwrap().data.get("late"), Some("1"));
    }
    let [new, _] = apps();
    let (exchange, session) = new.ask(&[]);
    assert!(done(exchange.end()).unwrap().is_empty());
    session.insert("late", 1).unwrap();
    assert!(matches!(done(session.save()), Err(Error::ResponseOut)));
    assert!(matches!(done(add(&session)), Err(Error::ResponseOut)));
    assert_eq!(new.records(), 0);
}

#[test]
fn a_stale_cookie_does_not_hide_a_live_one_behind_it() {
    let [new, express] = apps();
    for (app, finds) in [(new, true), (express, false)] {
        let sid = app.log_in();
        let (_, session) = app.ask(&[cookie(&Sid::random()), cookie(&sid)]);
        assert_eq!(session.get::<String>("user").unwrap().is_some(), finds);
    }
}

/// A request may make the store look up so many, and no more.
#[test]
fn of_many_cookies_the_first_eight_are_looked_at() {
    let [app, _] = apps();
    let sid = app.log_in();
    for (before, finds) in [(1, true), (7, true), (8, false)] {
        let mut cookies: Vec<_> = (0..before).map(|_| cookie(&Sid::random())).collect();
        cookies.push(cookie(&sid));
        // In one header, as a browser sends them, and in several.
        for cookies in [vec![cookies.join("; ")], cookies.clone()] {
            let (_, session) = app.ask(&cookies);
            assert_eq!(session.get::<String>("user").unwrap().is_some(), finds, "{before}");
        }
    }
}

#[test]
fn of_several_live_sessions_the_first_counts() {
    let [app, _] = apps();
    let (one, other) = (app.log_in(), app.log_in());
    for (cookies, first) in [([&one, &other], &one), ([&other, &one], &other)] {
        assert_eq!(app.ask(&cookies.map(cookie)).1.id().unwrap(), *first);
    }
}

#[test]
fn an_id_that_comes_several_times_is_looked_up_once() {
    let [app, _] = apps();
    let (sid, other) = (Sid::random(), Sid::random());
    app.ask(&[&sid, &sid, &other, &sid, &other].map(cookie));
    assert_eq!(app.store.calls.load(Ordering::SeqCst), 2);
}

#[test]
fn a_session_tells_whether_it_is_destroyed_and_what_its_record_would_hold_of_its_cookie() {
    let [app, _] = apps();
    let (_exchange, session) = app.ask(&[]);
    assert!(!session.is_destroyed());
    let cookie = session.cookie_json();
    session.insert("user", "tj").unwrap();
    done(session.save()).unwrap();
    let record = app.held(&session.id().unwrap()).unwrap();
    assert!(record.to_json().starts_with(&format!("{{\"cookie\":{cookie},")), "{cookie}");
    done(session.destroy()).unwrap();
    assert!(session.is_destroyed());
}

#[test]
fn null_is_absent_and_paths_reach_inside() {
    let [app, _] = apps();
    let (_exchange, session) = app.ask(&[]);
    session.insert("user", ()).unwrap();
    assert!(session.contains("user"));
    assert_eq!(session.get::<String>("user").unwrap(), None);
    assert_eq!(done(session.update("user", |user: Option<u32>| user.map_or(7, |user| user + 1))).unwrap(), 7);
    session.insert_path("passport.user.id", 5).unwrap();
    assert_eq!(session.get_json("passport").unwrap(), r#"{"user":{"id":5}}"#);
    assert_eq!(session.get_path::<u32>("passport.user.id").unwrap(), Some(5));
    let error = session.insert_path("passport.user.id.no", 1).unwrap_err();
    assert!(matches!(error, Error::NoPlace { path } if path == "passport.user.id"));
    assert_eq!((session.len(), session.is_empty()), (2, false));
}

#[test]
fn a_transaction_reaches_inside_as_the_session_does() {
    for app in apps() {
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        let change = session.transaction(|draft| {
            let before = (draft.contains("passport"), draft.get_path::<u32>("passport.user.id")?);
            draft.insert_path("passport.user.id", 5)?;
            let error = draft.insert_path("passport.user.id.no", 1).unwrap_err();
            assert!(matches!(error, Error::NoPlace { path } if path == "passport.user.id"));
            let error = draft.insert_path("constructor.name", 1).unwrap_err();
            assert!(matches!(error, Error::ReservedKey(_)));
            Ok((before, draft.contains("passport"), draft.get_path::<u32>("passport.user.id")?))
        });
        assert_eq!(done(change).unwrap(), ((false, None), true, Some(5)));
        assert_eq!(app.held(&sid).unwrap().data.get("passport"), Some(r#"{"user":{"id":5}}"#));
        done(exchange.end()).unwrap();
    }
}

#[test]
fn a_change_may_refuse_or_remove_and_a_flash_message_is_taken_once() {
    #[derive(Debug)]
    enum Refused {
        Enough,
        Session,
    }
    impl From<Error> for Refused {
        fn from(_: Error) -> Self {
            Self::Session
        }
    }
    for app in apps() {
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        let up = |n: Option<u64>| if n == Some(0) { Ok(Some(1)) } else { Err(Refused::Enough) };
        assert_eq!(done(session.try_update("n", up)).unwrap(), Some(1));
        assert!(matches!(done(session.try_update("n", up)), Err(Refused::Enough)));
        assert_eq!(app.count(&sid), Some(1));
        let remove = |_: Option<u64>| Ok::<_, Refused>(None);
        assert_eq!(done(session.try_update("n", remove)).unwrap(), None);
        assert_eq!(app.held(&sid).unwrap().data.get("n"), None);
        done(exchange.end()).unwrap();

        let (one, first) = app.request(&sid);
        let (two, second) = app.request(&sid);
        let taken =
            [done(first.take::<String>("user")).unwrap(), done(second.take::<String>("user")).unwrap()];
        assert_eq!(taken, [Some("tj".to_owned()), None]);
        done(one.end()).unwrap();
        done(two.end()).unwrap();
    }
}

#[test]
fn a_key_of_a_kilobyte_and_a_record_of_a_megabyte_are_the_most_of_a_new_application() {
    let [new, express] = apps();
    let (_exchange, session) = new.ask(&[]);
    session.insert(&"k".repeat(1_024), 1).unwrap();
    let long = "k".repeat(1_025);
    let too_long = |result: Result<(), Error>| matches!(result, Err(Error::KeyTooLong { limit: 1_024 }));
    assert!(too_long(session.insert(&long, 1)));
    assert!(too_long(session.insert_path(&format!("{long}.inside"), 1)));
    assert!(too_long(done(session.update(&long, |_: Option<u32>| 1)).map(|_| ())));
    let change = session.transaction(|draft| {
        assert!(
            too_long(draft.insert(&long, 1)) && too_long(draft.insert_path(&format!("{long}.inside"), 1))
        );
        Ok(())
    });
    done(change).unwrap();
    session.insert("a", "x".repeat(1_040_000)).unwrap();
    assert!(matches!(session.insert("b", "x".repeat(10_000)), Err(Error::TooLarge { limit: 1_048_576, .. })));
    let (_exchange, session) = express.ask(&[]);
    session.insert(&"k".repeat(2_000), "x".repeat(2_000_000)).unwrap();
}

#[test]
fn a_bound_is_told_before_the_store_is_asked() {
    let [app, _] = apps();
    let options =
        Options::new("keyboard cat").store(Arc::clone(&app.store)).max_key_length(8).max_record_size(64);
    let app = App { sessions: options.build().unwrap(), store: Arc::clone(&app.store) };
    let (_exchange, session) = app.ask(&[]);
    let error = session.insert("123456789", 1).unwrap_err();
    assert_eq!(error.to_string(), "a session key is longer than 8 bytes (option max_key_length)");
    session.insert("a", "x".repeat(40)).unwrap();
    assert!(matches!(session.insert("b", "x".repeat(40)), Err(Error::TooLarge { limit: 64, .. })));
    let room = 64 - session.data().size() - r#","c":"""#.len();
    assert!(matches!(session.insert("c", "x".repeat(room + 1)), Err(Error::TooLarge { size: 65, .. })));
    session.insert("c", "x".repeat(room)).unwrap();
    session.remove("c").unwrap();
    session.insert("a", "y".repeat(40)).unwrap();
    let calls = app.store.calls.load(Ordering::Relaxed);
    let grow = session.update("a", |a: Option<String>| a.unwrap_or_default() + &"z".repeat(40));
    assert!(matches!(done(grow), Err(Error::TooLarge { .. })));
    assert_eq!(app.store.calls.load(Ordering::Relaxed), calls);
}

/// express-session's own members, and those of every JavaScript object: an Express app would drop what is stored under them.
#[test]
fn no_name_that_express_keeps_for_itself_can_be_set() {
    let mut of_a_session =
        vec!["cookie", "id", "req", "touch", "resetMaxAge", "save", "reload", "destroy", "regenerate"];
    of_a_session.extend(["constructor", "toString", "toLocaleString", "valueOf", "hasOwnProperty"]);
    of_a_session.extend(["isPrototypeOf", "propertyIsEnumerable", "__proto__", "__defineGetter__"]);
    of_a_session.extend(["__defineSetter__", "__lookupGetter__", "__lookupSetter__"]);
    let [app, _] = apps();
    let (_exchange, session) = app.ask(&[]);
    let is_reserved = |result: Result<(), Error>| matches!(result, Err(Error::ReservedKey(_)));
    for name in of_a_session {
        assert!(is_reserved(session.insert(name, 1)), "{name}");
        assert!(is_reserved(session.insert_path(&format!("{name}.inside"), 1)), "{name}");
        assert!(is_reserved(done(session.update(name, |_: Option<u32>| 1)).map(|_| ())), "{name}");
    }
    assert!(session.is_empty());
}

#[test]
fn a_session_that_was_begun_anew_is_new() {
    for app in apps() {
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        assert!(!session.is_new());
        done(session.renew_id()).unwrap();
        assert!(!session.is_new());
        done(session.regenerate()).unwrap();
        assert!(session.is_new());
        done(exchange.end()).unwrap();
    }
}

/// More than a browser keeps is not looked at; up to that, an id of one's own may be as long as it likes.
#[test]
fn a_cookie_of_four_kilobytes_is_the_longest() {
    for app in apps() {
        for (length, is_found) in [(4_096, true), (4_097, false)] {
            let signature = cookie(&Sid::from("")).len() - "sid=".len();
            let sid = Sid::from("x".repeat(length - signature));
            let record = Record::parse(r#"{"cookie":{"originalMaxAge":null},"user":"tj"}"#).unwrap();
            done(app.store.memory.set(&sid, &record, &Expect::Nothing)).unwrap();
            assert_eq!(cookie(&sid).len() - "sid=".len(), length);
            let (_exchange, session) = app.request(&sid);
            assert_eq!(session.get::<String>("user").unwrap().is_some(), is_found, "{length}");
        }
    }
}
