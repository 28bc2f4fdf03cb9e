//! What is dropped is never dropped in silence, is told once, and never with an id or data in it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::{
    io,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Waker},
    time::{Duration, SystemTime},
};

use common::{App, SlowStore, Trouble, add, apps, done, polled, with_cookies};
use session_core::{
    Clock, Cookie, CookieOptions, CookieSessionOptions, Destroyed, Expect, MemoryStore, Options, Proxy,
    Record, RequestInfo, SameSite, SaveError, SealedSessionOptions, Secure, SessionHandle, Sessions, Set,
    Sid, Store, StoreError, Stored, Touched, Unset, async_trait,
};
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// How often each of the three was said.
#[derive(Debug, Default, PartialEq)]
struct Told {
    /// The end of the request has dropped changes of a session that is gone.
    dropped: usize,
    /// Changes were given up with the handle.
    given_up: usize,
    /// A record that was to end may live on.
    unfinished: usize,
}

/// Somebody is to do something about these; all others warn.
const ERRORS: [&str; 4] = [
    "have a cookie name in common, and lose each other's sessions",
    "no cookie sent",
    "the session was not saved",
    "a stored record cannot be read",
];

/// What the warnings say of what happens, all handles dropped in it.
fn told(sids: impl FnOnce() -> Vec<Sid>) -> (Told, String) {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let sids = tracing::subscriber::with_default(subscriber, sids);
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for sid in &sids {
        assert!(!text.contains(sid.as_str()), "an id is in\n{text}");
    }
    assert!(!text.contains("swordfish"), "data are in\n{text}");
    for line in text.lines() {
        let level = if ERRORS.iter().any(|error| line.contains(error)) { " ERROR " } else { " WARN " };
        assert!(line.contains(level), "not{level}: {line}");
    }
    let count =
        |what: &str| text.lines().filter(|line| line.contains(" WARN ") && line.contains(what)).count();
    let told = Told {
        dropped: count(": changes are dropped: another request ended"),
        given_up: count(": changes of a session are dropped: nobody saved them"),
        unfinished: count("its record may live on"),
    };
    (told, text)
}

const NOTHING: Told = Told { dropped: 0, given_up: 0, unfinished: 0 };

fn unset_destroys() -> App {
    let store = Arc::new(SlowStore::default());
    let hour = CookieOptions::new().max_age(Duration::from_secs(3_600));
    let options = Options::new("keyboard cat").cookie(hour).unset(Unset::Destroy);
    App { sessions: options.store(Arc::clone(&store)).build().unwrap(), store }
}

#[test]
fn changes_of_a_request_that_was_given_up_are_told_once() {
    for app in apps() {
        let sid = app.log_in();
        let (told, text) = told(|| {
            let (_exchange, session) = app.request(&sid);
            session.insert("a", "swordfish").unwrap();
            session.insert("b", 1).unwrap();
            vec![sid.clone()]
        });
        assert_eq!(told, Told { given_up: 1, ..NOTHING }, "{text}");
        assert!(text.contains("changes=2"), "{text}");
    }
}

/// What a write in doubt may have stored, and was set to something else since: by an atomic change, and by a save.
#[test]
fn changes_of_what_is_in_doubt_are_told() {
    for app in apps() {
        for saves in [true, false] {
            let sid = app.log_in();
            let (told, text) = told(|| {
                let (_exchange, session) = app.request(&sid);
                app.trouble_at(0, Trouble::FailsAfter);
                let failed = if saves {
                    session.insert("n", 1).unwrap();
                    done(session.save())
                } else {
                    done(add(&session)).map(|_| ())
                };
                assert!(failed.is_err());
                session.insert("n", 0).unwrap();
                vec![sid.clone()]
            });
            assert_eq!(app.count(&sid), Some(1));
            assert_eq!(told, Told { given_up: 1, ..NOTHING }, "{text}");
            assert!(text.contains("changes=1"), "{text}");
        }
    }
}

#[test]
fn changes_of_a_session_that_somebody_ended_are_told_once() {
    for app in apps() {
        let sid = app.log_in();
        let (told, text) = told(|| {
            let (exchange, session) = app.request(&sid);
            session.insert("a", "swordfish").unwrap();
            let (other, another) = app.request(&sid);
            done(another.destroy()).unwrap();
            done(other.end()).unwrap();
            assert!(done(exchange.end()).unwrap().is_empty());
            vec![sid.clone()]
        });
        assert_eq!(told, Told { dropped: 1, ..NOTHING }, "{text}");
        assert!(text.contains("changes=1"), "{text}");
    }
}

#[test]
fn what_was_stored_or_logged_out_is_told_nobody() {
    for app in apps() {
        let sid = app.log_in();
        let (told, text) = told(|| {
            let (exchange, session) = app.request(&sid);
            session.insert("a", 1).unwrap();
            done(exchange.end()).unwrap();
            let (exchange, session) = app.request(&sid);
            session.insert("b", 1).unwrap();
            done(session.destroy()).unwrap();
            done(exchange.end()).unwrap();
            vec![sid.clone()]
        });
        assert_eq!(told, NOTHING, "{text}");
    }
    let app = unset_destroys();
    let (told, text) = told(|| {
        // Of a visitor of whom nothing was stored there is nothing to end.
        let (_exchange, session) = app.ask(&[]);
        session.insert("a", 1).unwrap();
        session.unset();
        vec![session.id().unwrap()]
    });
    assert_eq!(told, NOTHING, "{text}");
}

#[test]
fn a_logout_that_was_given_up_is_told() {
    for app in apps() {
        let sid = app.log_in();
        let (told, text) = told(|| {
            let (_exchange, session) = app.request(&sid);
            assert!(polled(1, session.destroy()).is_none());
            vec![sid.clone()]
        });
        assert_eq!(told, Told { unfinished: 1, ..NOTHING }, "{text}");
    }
}

#[test]
fn a_renewal_and_a_regeneration_that_were_given_up_are_told() {
    for app in apps() {
        for renews in [true, false] {
            let sid = app.log_in();
            let (told, text) = told(|| {
                let (_exchange, session) = app.request(&sid);
                if renews {
                    let mut renewal = Box::pin(session.renew_id());
                    while app.records() < 2 {
                        assert!(polled(1, &mut renewal).is_none());
                    }
                } else {
                    assert!(polled(1, session.regenerate()).is_none());
                }
                vec![sid.clone(), session.id().unwrap()]
            });
            assert_eq!(told, Told { unfinished: 1, ..NOTHING }, "{renews} {text}");
            let (exchange, session) = app.request(&sid);
            done(session.destroy()).unwrap();
            done(exchange.end()).unwrap();
            done(session_core::AdminStore::clear(&app.store.memory)).unwrap();
        }
    }
}

#[test]
fn a_logout_that_failed_is_told_by_its_error_and_one_that_is_tried_again_and_given_up_by_a_warning() {
    for app in apps() {
        for again in [false, true] {
            let sid = app.log_in();
            let (told, text) = told(|| {
                let (exchange, session) = app.request(&sid);
                app.trouble(&sid, Some(Trouble::FailsBefore));
                assert!(done(session.destroy()).is_err());
                assert!(done(exchange.end()).is_err());
                if again {
                    assert!(polled(1, session.destroy()).is_none());
                }
                app.trouble(&sid, None);
                vec![sid.clone()]
            });
            assert_eq!(told, Told { unfinished: usize::from(again), ..NOTHING }, "{again} {text}");
        }
    }
}

#[test]
fn what_is_let_go_of_after_an_end_that_failed_is_told() {
    let app = unset_destroys();
    let sid = app.log_in();
    let (told, text) = told(|| {
        let (exchange, session) = app.request(&sid);
        session.insert("a", 1).unwrap();
        app.trouble_at(0, Trouble::FailsBefore);
        assert!(done(exchange.end()).is_err());
        session.unset();
        vec![sid.clone()]
    });
    assert_eq!(told, Told { unfinished: 1, ..NOTHING }, "{text}");
}

#[test]
fn what_an_end_that_was_tried_again_and_given_up_leaves_is_told() {
    for leaves in [false, true] {
        let [app, _] = apps();
        let sid = app.log_in();
        let (told, text) = told(|| {
            let (exchange, session) = app.request(&sid);
            session.insert("a", 1).unwrap();
            app.trouble_at(0, Trouble::FailsBefore);
            assert!(done(exchange.end()).is_err());
            assert!(polled(1, exchange.end()).is_none());
            if leaves {
                let mut renewal = Box::pin(session.renew_id());
                while app.records() < 2 {
                    assert!(polled(1, &mut renewal).is_none());
                }
            } else {
                session.set_max_age(None).unwrap();
            }
            vec![sid.clone()]
        });
        if leaves {
            assert_eq!(told.unfinished, 1, "{text}");
        } else {
            assert_eq!(told.given_up, 1, "{text}");
        }
    }
}

/// The end has stored the session, which took long, and the store fails when it is asked whether that is still so.
#[test]
fn a_store_that_fails_after_all_is_stored_is_told() {
    let (start, later) = (SystemTime::now(), Arc::new(AtomicU64::new(0)));
    let now = Arc::clone(&later);
    let clock = Clock::new(move || start + Duration::from_secs(now.load(Ordering::SeqCst)));
    let memory = MemoryStore::new().clock(clock.clone());
    let store = Arc::new(SlowStore { memory, ..SlowStore::default() });
    let hour = CookieOptions::new().max_age(Duration::from_secs(3_600));
    let options = Options::new("keyboard cat").cookie(hour).clock(clock).store(Arc::clone(&store));
    let app = App { sessions: options.build().unwrap(), store };
    let sid = app.log_in();
    let (told, text) = told(|| {
        let (exchange, session) = app.request(&sid);
        session.insert("k", 1).unwrap();
        let mut end = pin!(exchange.end());
        while app.held(&sid).unwrap().data.get("k").is_none() {
            assert!(end.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        later.store(5, Ordering::SeqCst);
        app.trouble_at(0, Trouble::FailsBefore);
        assert!(done(end).unwrap().is_empty());
        vec![sid.clone()]
    });
    assert_eq!(told, NOTHING, "{text}");
    assert!(text.contains("could not be asked") && text.contains("down"), "{text}");
}

/// What was told once, and was stored after all, is told when it is dropped again.
#[test]
fn the_same_change_is_told_again_when_it_is_dropped_later() {
    for app in apps() {
        let sid = app.log_in();
        let (told, text) = told(|| {
            let (exchange, session) = app.request(&sid);
            session.insert("n", 1).unwrap();
            app.trouble_at(0, Trouble::FailsBefore);
            assert!(done(exchange.end()).is_err());
            done(exchange.end()).unwrap();
            session.insert("n", 2).unwrap();
            done(session.save()).unwrap();
            session.insert("n", 1).unwrap();
            vec![sid.clone()]
        });
        assert_eq!(told, Told { given_up: 1, ..NOTHING }, "{text}");
    }
}

/// Another request waits for its turn, and brings this one to its end; the client of this one leaves in that moment.
#[test]
fn an_end_that_nobody_heard_of_tells_of_what_it_dropped() {
    for fails in [true, false] {
        for app in apps() {
            let sid = app.log_in();
            let (told, text) = told(|| {
                let (one, a) = app.request(&sid);
                let (_two, b) = app.request(&sid);
                let (third, c) = app.request(&sid);
                c.insert("third", 1).unwrap();
                done(third.end()).unwrap();
                a.insert("order", "swordfish").unwrap();
                let mut end = Box::pin(one.end());
                // A conflict: it has the turn, and reads.
                for _ in 0..3 {
                    assert!(end.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
                }
                if fails {
                    app.trouble(&sid, Some(Trouble::FailsBefore));
                } else {
                    let (_four, other) = app.request(&sid);
                    done(other.destroy()).unwrap();
                }
                assert!(done(add(&b)).is_err());
                drop(end);
                vec![sid.clone()]
            });
            assert_eq!(told.given_up, 1, "{text}");
        }
    }
}

/// The most frequent question about sessions behind a proxy.
#[test]
fn a_secure_cookie_over_an_insecure_connection_is_told_once() {
    let options = Options::new("keyboard cat").cookie(CookieOptions::new().secure(true));
    let sessions = options.build().unwrap();
    let (_, text) = told(|| {
        for _ in 0..3 {
            let exchange = sessions.exchange();
            let session =
                done(exchange.session(&RequestInfo::new("/", false, &|_: &mut dyn FnMut(&str, &[u8])| {})))
                    .unwrap()
                    .unwrap();
            session.insert("user", "tj").unwrap();
            assert!(done(exchange.end()).unwrap().is_empty());
        }
        Vec::new()
    });
    assert_eq!(text.matches("was not sent").count(), 1, "{text}");
    assert!(text.contains("set the option proxy"), "{text}");
}

/// And fails nothing: nobody can come with it.
#[test]
fn a_record_that_may_be_left_under_an_id_that_nobody_has_is_told() {
    let [app, _] = apps();
    let (counted, text) = told(|| {
        let (exchange, session) = app.ask(&[]);
        app.trouble(&session.id().unwrap(), Some(Trouble::FailsAfter));
        assert!(done(add(&session)).is_err());
        assert!(done(exchange.end()).unwrap().is_empty());
        vec![session.id().unwrap()]
    });
    assert_eq!(counted, NOTHING, "{text}");
    assert_eq!(text.matches("nobody has the id of, lives until it expires").count(), 1, "{text}");
    assert!(!text.contains(" ERROR "), "{text}");
}

/// Nobody could be trusted, and the option is set already.
#[test]
fn peers_that_are_trusted_by_addresses_which_are_not_known_are_told_once() {
    for (cookie, is_auto) in [(CookieOptions::new().secure(true), false), (CookieOptions::new(), true)] {
        let tellings = |proxy: Proxy, peer: Option<&str>| {
            let sessions = Options::new("keyboard cat").cookie(cookie.clone()).proxy(proxy).build().unwrap();
            let (_, text) = told(|| {
                for _ in 0..2 {
                    let each = |visit: &mut dyn FnMut(&str, &[u8])| visit("x-forwarded-proto", b"https");
                    let request = RequestInfo::new("/", false, &each);
                    let request = request.with_peer(peer.map(|peer| peer.parse().unwrap()));
                    done(sessions.exchange().session(&request)).unwrap().unwrap();
                }
                Vec::new()
            });
            text.matches("into_make_service_with_connect_info").count()
        };
        assert_eq!(tellings(Proxy::peers(["loopback"]), None), 1);
        let sessions = Options::new("keyboard cat").cookie(cookie.clone()).proxy(Proxy::peers(["loopback"]));
        let sessions = sessions.build().unwrap();
        let (_, text) = told(|| {
            let each = |visit: &mut dyn FnMut(&str, &[u8])| visit("x-forwarded-proto", b"https");
            for (encrypted, peer) in [(true, None), (false, None), (false, Some("192.0.2.1"))] {
                let request = RequestInfo::new("/", encrypted, &each);
                let request = request.with_peer(peer.map(|peer| peer.parse().unwrap()));
                done(sessions.exchange().session(&request)).unwrap().unwrap();
            }
            Vec::new()
        });
        // Each is told for itself; and only *auto* comes out insecure without another word.
        assert_eq!(text.matches("whom it comes from is not trusted").count(), usize::from(is_auto), "{text}");
        assert_eq!(text.matches("into_make_service_with_connect_info").count(), 1, "{text}");
        assert_eq!(tellings(Proxy::peers(["loopback"]), Some("127.0.0.1")), 0);
        assert_eq!(tellings(Proxy::Hops(1), None), 0);
        assert_eq!(tellings(Proxy::Never, None), 0);
    }
}

/// *Auto* that came out insecure, attributes of the request, and what a handler sets: sent, as by Express, and told once.
#[test]
fn a_cookie_that_browsers_refuse_is_told_where_it_is_sent() {
    let express = || Options::express("keyboard cat").store(MemoryStore::new());
    let none = || CookieOptions::new().same_site(SameSite::None);
    let auto = express().name("__Secure-sid").cookie(CookieOptions::new().secure(Secure::Auto));
    for (options, sets, tellings) in [
        (express(), false, 0),
        (auto, false, 1),
        (express().cookie_with(move |_| none()), false, 1),
        (express(), true, 1),
    ] {
        let sessions = options.build().unwrap();
        let (_, text) = told(|| {
            for _ in 0..2 {
                let exchange = sessions.exchange();
                let session = done(with_cookies(&[], |request| exchange.session(request))).unwrap().unwrap();
                session.insert("user", "swordfish").unwrap();
                if sets {
                    session.update_cookie(|cookie| cookie.set_same_site(Some(SameSite::None))).unwrap();
                }
                assert_eq!(done(exchange.end()).unwrap().len(), 1);
            }
            Vec::new()
        });
        assert_eq!(
            text.matches("a session cookie was sent that browsers refuse").count(),
            tellings,
            "{text}"
        );
    }
}

/// By the default, which trusts nobody.
#[test]
fn an_untrusted_word_of_https_is_told_once() {
    let sessions = Options::new("keyboard cat").store(MemoryStore::new()).build().unwrap();
    let (_, text) = told(|| {
        for _ in 0..2 {
            let each = |visit: &mut dyn FnMut(&str, &[u8])| visit("x-forwarded-proto", b"https");
            done(sessions.exchange().session(&RequestInfo::new("/", false, &each))).unwrap().unwrap();
        }
        Vec::new()
    });
    assert_eq!(text.matches("name it by the option proxy").count(), 1, "{text}");
}

#[test]
fn layers_side_by_side_with_one_cookie_name_are_told_once() {
    struct Cart;
    let sessions =
        |name: &str| Options::new("keyboard cat").name(name).store(MemoryStore::new()).build().unwrap();
    let tellings = |outer: &Sessions, inner: &Sessions| {
        let (_, text) = told(|| {
            for _ in 0..2 {
                drop(inner.exchange_below::<Cart>(Some(&outer.exchange())));
            }
            Vec::new()
        });
        text.matches("have a cookie name in common").count()
    };
    assert_eq!(tellings(&sessions("sid"), &sessions("sid")), 1);
    assert_eq!(tellings(&sessions("sid"), &sessions("cart")), 0);
    // What no browser sends with one request.
    let under = |path: &str| {
        let cookie = CookieOptions::new().path(path);
        Options::new("keyboard cat").cookie(cookie).store(MemoryStore::new()).build().unwrap()
    };
    assert_eq!(tellings(&under("/app"), &under("/app/admin")), 1);
    assert_eq!(tellings(&under("/app/admin"), &under("/app")), 1);
    assert_eq!(tellings(&under("/app"), &under("/application")), 0);
    // Where paths match by their prefix.
    let express = |path: &str| {
        let options = Options::express("keyboard cat").cookie(CookieOptions::new().path(path));
        options.store(MemoryStore::new()).build().unwrap()
    };
    assert_eq!(tellings(&express("/app"), &express("/application")), 1);
    assert_eq!(tellings(&express("/app"), &express("/shop")), 0);
    // Of one whose cookie is made for each request, nobody knows the path.
    let computed = Options::new("keyboard cat").cookie_with(|_| CookieOptions::new().path("/app"));
    let computed = computed.store(MemoryStore::new()).build().unwrap();
    assert_eq!(tellings(&computed, &under("/app")) + tellings(&under("/app"), &computed), 0);
    let shared = sessions("sid");
    assert_eq!(tellings(&shared, &shared), 1);
    // One in the place of the other, as in Express, may share it.
    let (outer, inner) = (sessions("sid"), sessions("sid"));
    let (_, text) = told(|| {
        drop(inner.exchange_below::<()>(Some(&outer.exchange())));
        Vec::new()
    });
    assert!(!text.contains("have a cookie name in common"), "{text}");
}

/// Of one name: which of them counts is the client's order.
#[test]
fn several_cookies_of_the_name_are_told_once() {
    for app in apps() {
        let sid = app.log_in();
        let (ours, planted) = (common::cookie(&sid), "sid=s:planted.x".to_owned());
        let tellings = |requests: &[&[String]]| {
            let (_, text) = told(|| {
                requests.iter().for_each(|cookies| drop(app.ask(cookies)));
                vec![sid.clone()]
            });
            assert!(!text.contains("planted"), "{text}");
            text.lines().filter(|line| line.contains("several cookies of this name")).count()
        };
        let beside = "theme=dark; sidebar=1; a=sid=2".to_owned();
        assert_eq!(tellings(&[std::slice::from_ref(&ours), &[beside, ours.clone()]]), 0);
        let in_one = format!("{ours}; {planted}");
        assert_eq!(tellings(&[&[in_one], &[planted, ours]]), 1);
    }
}

/// One request of a visitor who logs in.
fn log_in(sessions: &Sessions) -> SessionHandle {
    let exchange = sessions.exchange();
    let session = done(with_cookies(&[], |request| exchange.session(request))).unwrap().unwrap();
    session.insert("user", "swordfish").unwrap();
    done(exchange.end()).unwrap();
    session
}

/// Nobody else would tell that what was answered was not stored.
#[test]
fn a_save_that_failed_is_told_where_the_response_goes_out_all_the_same() {
    let store = Arc::new(SlowStore::default());
    let options = Options::new("keyboard cat").save_error(SaveError::Log).store(Arc::clone(&store));
    let app = App { sessions: options.build().unwrap(), store };
    let sid = app.log_in();
    let (_, text) = told(|| {
        let (exchange, session) = app.request(&sid);
        session.insert("a", "swordfish").unwrap();
        app.trouble_at(0, Trouble::FailsBefore);
        assert!(done(exchange.end()).unwrap().is_empty());
        vec![sid.clone()]
    });
    let told = text.lines().filter(|line| line.contains(" ERROR ") && line.contains("was not saved"));
    assert_eq!(told.filter(|line| line.contains("down")).count(), 1, "{text}");
}

#[test]
fn a_cookie_that_cannot_be_sent_is_told() {
    // Browsers take such a name over TLS only.
    let sessions = Options::new("keyboard cat").name("__Host-sid").build().unwrap();
    let (_, text) = told(|| vec![log_in(&sessions).id().unwrap()]);
    for said in ["browsers would refuse it", "option=\"name\"", "secure_connection=false"] {
        assert!(text.contains(said), "{text}");
    }

    // From a record that somebody else wrote.
    let [_, app] = apps();
    let sid = app.log_in();
    let cookie = r#"{"originalMaxAge":3600000,"expires":"2099-01-01T00:00:00.000Z","path":"/a;b"}"#;
    let record = Record::parse(format!(r#"{{"cookie":{cookie},"user":"tj"}}"#)).unwrap();
    done(app.store.memory.set(&sid, &record, &Expect::Anything)).unwrap();
    let (_, text) = told(|| {
        let (exchange, session) = app.request(&sid);
        session.insert("a", "swordfish").unwrap();
        assert!(done(exchange.end()).unwrap().is_empty());
        vec![sid.clone()]
    });
    assert!(text.contains("no cookie sent") && text.contains("option path is invalid"), "{text}");
}

#[test]
fn a_cookie_that_was_lost_is_told() {
    let [app, _] = apps();
    let (_, text) = told(|| {
        let (exchange, session) = app.ask(&[]);
        session.insert("user", "swordfish").unwrap();
        assert_eq!(done(exchange.end()).unwrap().len(), 1);
        exchange.cookies_are_lost();
        vec![session.id().unwrap()]
    });
    assert_eq!(text.matches(" WARN ").count(), 1, "{text}");
    assert!(text.contains("the session's cookie is lost"), "{text}");
}

#[test]
fn where_there_was_no_cookie_none_is_lost() {
    let [app, _] = apps();
    let (_, text) = told(|| {
        let (exchange, session) = app.ask(&[]);
        assert!(done(exchange.end()).unwrap().is_empty());
        exchange.cookies_are_lost();
        vec![session.id().unwrap()]
    });
    assert_eq!(text, "");
}

#[test]
fn attributes_that_browsers_refuse_are_told_when_the_options_are_built() {
    let refused = CookieOptions::new().same_site(SameSite::None).secure(false);
    let (_, text) = told(|| {
        Options::express("keyboard cat").cookie(refused).build().unwrap();
        Vec::new()
    });
    assert!(text.contains("browsers will refuse") && text.contains("cookie.same_site"), "{text}");
}

#[test]
fn what_can_be_guessed_or_is_no_use_is_told() {
    let built = |options: Options| {
        told(|| {
            options.build().unwrap();
            Vec::new()
        })
        .1
    };
    type Profile = fn(String) -> Options;
    for (profile, enough) in [(Options::new as Profile, 32), (Options::express, 8)] {
        let options = |length: usize| profile("1234567".repeat(5)[..length].into()).store(Unreadable);
        let short = built(options(enough - 1));
        assert_eq!(short.matches(" WARN ").count(), 1, "{short}");
        assert!(
            short.contains(&format!("fewer than {enough} bytes")) && !short.contains("1234567"),
            "{short}"
        );
        assert_eq!(built(options(enough)), "");
        // One of several, whichever it is.
        let several = |secrets: [&str; 2]| built(profile(String::new()).secret(secrets).store(Unreadable));
        let (long, short) = (&*"x".repeat(enough), "1234567");
        assert_eq!(several([long, long]), "");
        for secrets in [[short, long], [long, short]] {
            assert_eq!(several(secrets).matches("fewer than").count(), 1);
        }
    }
    let of = |domain: &str| {
        let options = Options::new([7; 32]).store(Unreadable);
        built(options.cookie(CookieOptions::new().domain(domain)))
    };
    for domain in ["com", ".com"] {
        assert!(of(domain).contains("cookie.domain has one label"), "{domain}");
    }
    for domain in ["example.com", "localhost", "127.0.0.1"] {
        assert_eq!(of(domain), "");
    }
}

#[test]
fn a_key_of_sessions_that_the_client_keeps_that_can_be_guessed_is_told() {
    type Profile = fn(String) -> CookieSessionOptions;
    for (profile, enough) in [(CookieSessionOptions::new as Profile, 32), (CookieSessionOptions::express, 8)]
    {
        for (length, times) in [(enough - 1, 1), (enough, 0)] {
            let (_, text) = told(|| {
                profile("x".repeat(length)).build().unwrap();
                Vec::new()
            });
            assert_eq!(text.matches("fewer than").count(), times, "{length}: {text}");
        }
    }
}

/// Told where a cookie goes out, since who only looks is sent none; and once.
#[test]
fn a_cookie_whose_domain_is_not_the_host_is_told_once() {
    let domain = || CookieOptions::new().domain("example.com");
    let profiles: [fn() -> Sessions; 4] = [
        || Options::new([7; 32]).cookie(CookieOptions::new().domain("example.com")).build().unwrap(),
        || {
            let domain = |_: &RequestInfo<'_>| CookieOptions::new().domain("example.com");
            Options::express([7; 32]).cookie_with(domain).build().unwrap()
        },
        || {
            let options = CookieSessionOptions::new("x".repeat(32));
            options.cookie(CookieOptions::new().domain("example.com")).build().unwrap()
        },
        || {
            SealedSessionOptions::new([7; 32])
                .cookie(CookieOptions::new().domain("example.com"))
                .build()
                .unwrap()
        },
    ];
    let visit = |sessions: &Sessions, host: &[u8], changes: bool| {
        let each = |visit: &mut dyn FnMut(&str, &[u8])| visit("host", host);
        let exchange = sessions.exchange();
        let session = done(exchange.session(&RequestInfo::new("/", false, &each))).unwrap().unwrap();
        if changes {
            session.insert("user", "swordfish").unwrap();
        }
        done(exchange.end()).unwrap();
    };
    for profile in profiles {
        let tells = |host: &[u8], times: usize| {
            let sessions = profile();
            let (_, text) = told(|| {
                (0..times).for_each(|_| visit(&sessions, host, true));
                Vec::new()
            });
            text.lines().filter(|line| line.contains("cookie.domain")).map(String::from).collect::<Vec<_>>()
        };
        for host in [
            &b"example.com"[..],
            b"a.EXAMPLE.com:80",
            b"",
            b"a b",
            b"\xff\n",
            b"127.0.0.1",
            b"[::1]:80",
            &[b'a'; 300],
        ] {
            assert_eq!(tells(host, 2), Vec::<String>::new(), "{host:?}");
        }
        let told = tells(b"example.org:3000", 3);
        assert_eq!(told.len(), 1, "{told:?}");
        for said in ["a request to a host that", "domain=\"example.com\"", "host=\"example.org\""] {
            assert!(told[0].contains(said), "{told:?}");
        }
    }
    let sessions = Options::new([7; 32]).cookie(domain()).build().unwrap();
    let (_, text) = told(|| {
        visit(&sessions, b"example.org", false);
        Vec::new()
    });
    assert_eq!(text, "");
}

/// All that it holds is unreadable.
#[derive(Debug)]
struct Unreadable;

#[async_trait]
impl Store for Unreadable {
    async fn get(&self, _: &Sid) -> Result<Option<Stored>, StoreError> {
        Err(StoreError::corrupt("test", "no JSON"))
    }

    async fn set(&self, _: &Sid, _: &Record, _: &Expect) -> Result<Set, StoreError> {
        Err(StoreError::unavailable("test", "read only"))
    }

    async fn touch(&self, _: &Sid, _: &Cookie, _: &Expect) -> Result<Touched, StoreError> {
        Err(StoreError::unavailable("test", "read only"))
    }

    async fn destroy(&self, _: &Sid, _: &Expect) -> Result<Destroyed, StoreError> {
        Err(StoreError::unavailable("test", "read only"))
    }
}

/// After a change of keys every visitor is logged out by it.
#[test]
fn a_record_that_cannot_be_read_is_told() {
    let app = App {
        sessions: Options::new("keyboard cat").store(Unreadable).build().unwrap(),
        store: Arc::new(()),
    };
    let sid = Sid::random();
    let (_, text) = told(|| {
        let (_exchange, session) = app.request(&sid);
        assert!(session.is_new());
        vec![sid.clone()]
    });
    let told = text.lines().filter(|line| line.contains(" ERROR ") && line.contains("cannot be read"));
    assert_eq!(told.filter(|line| line.contains("no JSON")).count(), 1, "{text}");
}
