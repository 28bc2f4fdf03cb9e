//! Ids that are renewed in time: what requests, parallel ones, other processes, Express and a failing store make of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use common::{App, SlowStore, Trouble, add, calls, clock, cookie, done, polled};
use session_core::{
    AdminStore, Carrier, CookieOptions, CookieRenewal, Error, Exchange, Expect, IdRenewal, MemoryStore,
    Options, RequestInfo, ReusedId, Secret, SessionHandle, Sid, Store, Touch,
};
use session_testkit::Captured;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

struct Timed {
    app: App,
    /// In milliseconds.
    later: Arc<AtomicUsize>,
    options: Options,
}

impl Timed {
    fn new(options: Options) -> Self {
        let (later, clock) = clock();
        let memory = MemoryStore::new().clock(clock.clone());
        let store = Arc::new(SlowStore { memory, ..SlowStore::default() });
        let options = options.store(Arc::clone(&store)).clock(clock).name("sid");
        Self { app: App { sessions: options.clone().build().unwrap(), store }, later, options }
    }

    /// Another process on the same store.
    fn other(&self) -> App {
        App { sessions: self.options.clone().build().unwrap(), store: Arc::clone(&self.app.store) }
    }

    fn pass(&self, time: Duration) {
        self.later.fetch_add(time.as_millis().try_into().unwrap(), Ordering::SeqCst);
    }

    /// A request that only reads: whose session it is, and with which id its browser goes on.
    fn visits(&self, sid: &Sid) -> (Option<String>, Sid) {
        let (exchange, session) = self.app.request(sid);
        let user = session.get("user").unwrap();
        let sent = done(exchange.end()).unwrap();
        (user, kept(&sent).unwrap_or_else(|| sid.clone()))
    }

    /// And is sent another id.
    fn is_renewed(&self, sid: &Sid) -> Sid {
        let (user, next) = self.visits(sid);
        assert_eq!(user.as_deref(), Some("tj"));
        assert_ne!(*sid, next, "it has the same id");
        next
    }

    fn stays(&self, sid: &Sid) {
        assert_eq!(self.visits(sid), (Some("tj".into()), sid.clone()));
    }

    fn opens_nothing(&self, sid: &Sid) {
        assert_eq!(self.visits(sid).0, None);
    }

    /// How many sessions there are, notes of former ids aside.
    fn records(&self) -> usize {
        let mut sids = Vec::new();
        done(self.app.store.memory.ids(&mut |sid| sids.push(sid))).unwrap();
        sids.iter().filter(|sid| !sid.as_str().starts_with("former-id:")).count()
    }
}

/// The id in the cookie that is set, if one is.
fn kept(sent: &[String]) -> Option<Sid> {
    let value = sent.first()?.strip_prefix("sid=")?.split(';').next()?;
    let value = value.replace("%3A", ":").replace("%2B", "+").replace("%2F", "/");
    Secret::new("keyboard cat").unsign(value.strip_prefix("s:")?).map(Sid::from)
}

fn renewal() -> IdRenewal {
    IdRenewal::every(15 * MINUTE)
}

fn profiles() -> [Options; 2] {
    let hours = || CookieOptions::new().max_age(8 * HOUR);
    [Options::new("keyboard cat").cookie(hours()), Options::express("keyboard cat").cookie(hours())]
        .map(|options| options.renew_ids(renewal()))
}

fn each(test: impl Fn(Timed)) {
    profiles().map(Timed::new).into_iter().for_each(test);
}

#[test]
fn a_session_gets_another_id_every_so_often_and_keeps_its_data() {
    each(|timed| {
        let first = timed.app.log_in();
        timed.pass(14 * MINUTE);
        timed.stays(&first);
        timed.pass(MINUTE);
        let second = timed.is_renewed(&first);
        timed.pass(14 * MINUTE);
        timed.stays(&second);
        timed.pass(MINUTE);
        let third = timed.is_renewed(&second);
        timed.stays(&third);
        timed.pass(MINUTE);
        timed.stays(&third);
        timed.opens_nothing(&first);
        timed.opens_nothing(&second);
    });
}

/// Nobody knows how old its id is.
#[test]
fn a_session_that_express_began_gets_another_id_at_once() {
    each(|timed| {
        let sid = Sid::random();
        let text = r#"{"cookie":{"originalMaxAge":3600000,"expires":"2099-01-01T00:00:00.000Z","httpOnly":true,"path":"/"},"user":"tj"}"#;
        let record = session_core::Record::parse(text).unwrap();
        done(timed.app.store.memory.set(&sid, &record, &Expect::Anything)).unwrap();
        let next = timed.is_renewed(&sid);
        timed.stays(&next);
    });
}

/// A response that is lost on its way logs nobody out, however late its client comes again.
#[test]
fn whoever_comes_with_the_old_id_is_sent_the_new_one_until_it_has_arrived() {
    each(|timed| {
        let first = timed.app.log_in();
        timed.pass(20 * MINUTE);
        let second = timed.is_renewed(&first);
        for _ in 0..5 {
            timed.pass(2 * HOUR);
            // The same one, and it lives as long as it is used.
            assert_eq!(timed.is_renewed(&first), second);
        }
        let (exchange, session) = timed.app.request(&first);
        done(add(&session)).unwrap();
        done(exchange.end()).unwrap();
        let (exchange, session) = timed.app.request(&second);
        assert_eq!(session.get::<u64>("n").unwrap(), Some(1));
        done(exchange.end()).unwrap();
    });
}

#[test]
fn after_its_grace_the_old_id_opens_nothing_and_the_log_says_so() {
    each(|timed| {
        let first = timed.app.log_in();
        timed.pass(15 * MINUTE);
        let second = timed.is_renewed(&first);
        timed.pass(10 * MINUTE);
        timed.stays(&second);
        timed.pass(29 * SECOND);
        assert_eq!(timed.is_renewed(&first), second);
        timed.pass(SECOND);
        // Its record stands there still, and later not.
        for _ in 0..2 {
            let log = Captured::begin();
            timed.opens_nothing(&first);
            let text = log.text();
            assert!(text.contains("former session id used"), "{text}");
            assert!(![&first, &second].iter().any(|sid| text.contains(sid.as_str())), "{text}");
            timed.stays(&second);
        }
        assert!(timed.app.held(&first).is_none(), "Express takes it no more");
        // What nobody ever had is no such thing.
        let log = Captured::begin();
        timed.opens_nothing(&Sid::random());
        assert!(!log.text().contains("former session id used"));
    });
}

/// Also where the one who has it is many renewals further.
#[test]
fn a_former_id_ends_the_session_where_the_policy_says_so() {
    for options in profiles() {
        let timed = Timed::new(options.renew_ids(renewal().reused(ReusedId::EndSession)));
        let first = timed.app.log_in();
        let mut sid = first.clone();
        for _ in 0..6 {
            timed.pass(15 * MINUTE);
            sid = timed.is_renewed(&sid);
            timed.stays(&sid);
            timed.pass(MINUTE);
            timed.stays(&sid);
        }
        // And once more, which has not arrived.
        timed.pass(15 * MINUTE);
        let last = timed.is_renewed(&sid);
        timed.opens_nothing(&first);
        timed.opens_nothing(&sid);
        timed.opens_nothing(&last);
        // Who logs in again is no longer meant.
        let again = timed.app.log_in();
        timed.opens_nothing(&first);
        timed.stays(&again);
    }
}

#[test]
fn parallel_tabs_of_two_processes_lose_nothing_and_log_nobody_out() {
    each(|timed| {
        let other = timed.other();
        let first = timed.app.log_in();
        timed.pass(15 * MINUTE);
        // Of four that come with the old id, two had it before it was renewed.
        let (slow, slow_session) = other.request(&first);
        let slow_is = slow_session.id().unwrap();
        let (fast, fast_session) = timed.app.request(&first);
        assert_eq!(slow_is, fast_session.id().unwrap(), "one renewal is enough");
        done(add(&fast_session)).unwrap();
        let second = kept(&done(fast.end()).unwrap()).unwrap();
        let (late, late_session) = other.request(&first);
        done(add(&slow_session)).unwrap();
        done(add(&late_session)).unwrap();
        slow_session.insert("slow", 1).unwrap();
        late_session.insert("late", 1).unwrap();
        assert_eq!(kept(&done(late.end()).unwrap()), Some(second.clone()));
        assert_eq!(kept(&done(slow.end()).unwrap()), Some(second.clone()));
        let (exchange, session) = timed.app.request(&second);
        assert_eq!(session.get::<u64>("n").unwrap(), Some(3));
        assert!(session.contains("slow") && session.contains("late"));
        done(exchange.end()).unwrap();
    });
}

/// One that came before the renewal, and writes after it.
#[test]
fn a_request_that_was_under_way_goes_on_in_the_session() {
    each(|timed| {
        let first = timed.app.log_in();
        timed.pass(15 * MINUTE - SECOND);
        let (under_way, session) = timed.other().request(&first);
        timed.pass(SECOND);
        let second = timed.is_renewed(&first);
        timed.stays(&second);
        done(add(&session)).unwrap();
        session.insert("late", 1).unwrap();
        let sent = done(under_way.end()).unwrap();
        assert_eq!(kept(&sent), Some(second.clone()), "the old id is not sent again");
        assert_eq!(session.id().unwrap(), second);
        // And after the response.
        done(add(&session)).unwrap();
        let held = timed.app.held(&second).unwrap();
        assert_eq!((held.data.get("n"), held.data.get("late")), (Some("2"), Some("1")));
    });
}

#[test]
fn a_logout_under_either_id_ends_the_session_and_both_records() {
    each(|timed| {
        for is_old in [false, true] {
            for has_arrived in [false, true] {
                let first = timed.app.log_in();
                timed.pass(15 * MINUTE);
                let (under_way, late) = timed.other().request(&first);
                let second = kept(&done(under_way.end()).unwrap()).unwrap();
                if has_arrived {
                    timed.stays(&second);
                }
                let (exchange, session) = timed.app.request(if is_old { &first } else { &second });
                done(session.destroy()).unwrap();
                done(exchange.end()).unwrap();
                assert_eq!(timed.records(), 0, "old {is_old}, arrived {has_arrived}");
                timed.opens_nothing(&first);
                timed.opens_nothing(&second);
                assert!(matches!(done(add(&late)), Err(Error::Gone)));
                done(timed.app.store.memory.clear()).unwrap();
            }
        }
    });
}

/// Of one that came before the renewal too: what it knows is the old id.
#[test]
fn a_logout_that_was_under_way_ends_what_the_session_has_become() {
    each(|timed| {
        let first = timed.app.log_in();
        timed.pass(15 * MINUTE - SECOND);
        let (under_way, session) = timed.other().request(&first);
        timed.pass(SECOND);
        let second = timed.is_renewed(&first);
        done(session.destroy()).unwrap();
        done(under_way.end()).unwrap();
        assert_eq!(timed.records(), 0);
        timed.opens_nothing(&second);
    });
}

#[test]
fn a_login_has_no_grace() {
    each(|timed| {
        for keeps in [true, false] {
            let first = timed.app.log_in();
            timed.pass(15 * MINUTE);
            let (exchange, session) = timed.app.request(&first);
            let second = session.id().unwrap();
            if keeps { done(session.renew_id()) } else { done(session.regenerate()) }.unwrap();
            session.insert("user", "tj").unwrap();
            let third = kept(&done(exchange.end()).unwrap()).unwrap();
            assert_eq!(timed.records(), 1);
            timed.opens_nothing(&first);
            timed.opens_nothing(&second);
            timed.stays(&third);
            // And begins the time anew.
            timed.pass(14 * MINUTE);
            timed.stays(&third);
            timed.pass(MINUTE);
            timed.is_renewed(&third);
            done(timed.app.store.memory.clear()).unwrap();
        }
    });
}

/// To Express both ids are logged in: it reads, writes whole records, and destroys.
#[test]
fn what_express_does_under_the_old_id_is_done_to_the_session() {
    each(|timed| {
        let first = timed.app.log_in();
        timed.pass(15 * MINUTE);
        let express_has = timed.app.held(&first).unwrap();
        let second = timed.is_renewed(&first);
        let seen = timed.app.held(&first).unwrap();
        assert_eq!(seen.data.get("user"), Some("\"tj\""));
        // One that had read it before, which forgets what we have written into it.
        let writes = |record: session_core::Record, key: &str| {
            let text = record.to_json();
            let text = format!("{},\"{key}\":1}}", text.trim_end().strip_suffix('}').unwrap());
            let record = session_core::Record::parse(text).unwrap();
            done(timed.app.store.memory.set(&first, &record, &Expect::Anything)).unwrap();
        };
        writes(express_has, "stale");
        assert_eq!(timed.is_renewed(&first), second);
        let (exchange, session) = timed.app.request(&second);
        done(add(&session)).unwrap();
        assert!(session.contains("stale"));
        done(exchange.end()).unwrap();
        // And one that reads it now.
        writes(timed.app.held(&first).unwrap(), "fresh");
        let (exchange, session) = timed.app.request(&second);
        assert!(session.contains("fresh"), "what was written is brought along");
        assert_eq!(session.get::<u64>("n").unwrap(), Some(1), "and undoes nothing");
        done(exchange.end()).unwrap();
        done(timed.app.store.memory.destroy(&first, &Expect::Anything)).unwrap();
        timed.opens_nothing(&second);
        timed.opens_nothing(&first);
        assert!([&first, &second].iter().all(|sid| timed.app.held(sid).is_none()));
    });
}

#[test]
fn what_express_ends_under_the_new_id_has_ended() {
    each(|timed| {
        let first = timed.app.log_in();
        timed.pass(15 * MINUTE);
        let second = timed.is_renewed(&first);
        done(timed.app.store.memory.destroy(&second, &Expect::Anything)).unwrap();
        timed.opens_nothing(&first);
        assert!(timed.app.held(&first).is_none(), "to Express it has ended too");
    });
}

/// The call that fails, whose answer is lost, or that is given up: with the id that the browser has it goes on.
#[test]
fn a_store_that_fails_on_the_way_costs_nobody_the_session() {
    for trouble in [Trouble::FailsBefore, Trouble::FailsAfter, Trouble::Hangs] {
        for at in 0..12 {
            each(|timed| {
                let mut sid = timed.app.log_in();
                let mut added = 0;
                for minutes in [15, 1, 1] {
                    timed.pass(minutes * MINUTE);
                    timed.app.trouble_at(at, trouble);
                    let exchange = timed.app.sessions.exchange();
                    let text = cookie(&sid);
                    let each = |visit: &mut dyn FnMut(&str, &[u8])| visit("cookie", text.as_bytes());
                    let asking = exchange.session(&RequestInfo::new("/", false, &each));
                    if let Some(Ok(Some(session))) = polled(300, asking)
                        && session.get::<String>("user").unwrap().is_some()
                        && let Some(Ok(_)) = polled(300, add(&session))
                    {
                        added += 1;
                        if let Some(Ok(sent)) = polled(300, exchange.end()) {
                            sid = kept(&sent).unwrap_or(sid);
                        }
                    }
                    *timed.app.store.trouble_at.lock().unwrap() = None;
                }
                timed.pass(MINUTE);
                let (exchange, session) = timed.app.request(&sid);
                assert_eq!(
                    session.get::<String>("user").unwrap().as_deref(),
                    Some("tj"),
                    "{trouble:?} at {at}"
                );
                let n = session.get::<u64>("n").unwrap().unwrap();
                assert!((added..=added + 1).contains(&n), "{trouble:?} at {at}: {n} of {added}");
                done(exchange.end()).unwrap();
            });
        }
    }
}

fn ask(app: &App, headers: &[(&str, String)]) -> Result<(Exchange, SessionHandle), Error> {
    let exchange = app.sessions.exchange();
    let each = |visit: &mut dyn FnMut(&str, &[u8])| {
        headers.iter().for_each(|(name, value)| visit(name, value.as_bytes()));
    };
    let session = done(exchange.session(&RequestInfo::new("/", false, &each)))?.unwrap();
    Ok((exchange, session))
}

#[test]
fn a_client_with_a_token_is_sent_the_new_one() {
    let options = profiles()[0].clone().carriers([Carrier::Cookie, Carrier::bearer()]);
    let timed = Timed::new(options);
    let first = timed.app.log_in();
    let token = |sid: &Sid| cookie(sid).split_once('=').unwrap().1.to_owned();
    let bearer = |sid: &Sid| ("authorization", format!("Bearer {}", token(sid).trim_start_matches("s:")));
    let exchange = ask(&timed.app, &[("cookie", cookie(&first))]).unwrap().0;
    done(exchange.end()).unwrap();
    timed.pass(15 * MINUTE);
    let (exchange, session) = ask(&timed.app, &[bearer(&first)]).unwrap();
    assert!(!session.is_new());
    let second = session.id().unwrap();
    assert_ne!(first, second);
    let (outgoing, saved) = done(exchange.finish());
    saved.unwrap();
    let mut headers = Headers::default();
    outgoing.apply(&mut headers);
    let sent = headers.0.iter().find(|(name, _)| name == "x-auth-token");
    let sent =
        sent.map(|(_, value)| String::from_utf8(value.clone()).unwrap()).expect("it is answered by a header");
    assert!(sent.contains(second.as_str()));
    // Two ids of one session are one session.
    let (exchange, session) = ask(&timed.app, &[("cookie", cookie(&first)), bearer(&second)]).unwrap();
    assert_eq!(session.id().unwrap(), second);
    done(exchange.finish()).1.unwrap();
}

#[derive(Default)]
struct Headers(Vec<(String, Vec<u8>)>);

impl session_core::ResponseHeaders for Headers {
    fn visit(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        self.0.iter().filter(|(other, _)| other == name).for_each(|(_, value)| visit(value));
    }

    fn remove(&mut self, name: &str) {
        self.0.retain(|(other, _)| other != name);
    }

    fn append(&mut self, name: &str, value: &[u8]) {
        self.0.push((name.into(), value.into()));
    }
}

/// And where nobody has come since the grace of the very first was over.
#[test]
fn the_first_former_id_ends_the_session_too() {
    for options in profiles() {
        for closes in [false, true] {
            let timed = Timed::new(options.clone().renew_ids(renewal().reused(ReusedId::EndSession)));
            let first = timed.app.log_in();
            timed.pass(15 * MINUTE);
            let second = timed.is_renewed(&first);
            timed.stays(&second);
            timed.pass(MINUTE);
            if closes {
                timed.stays(&second);
            }
            timed.opens_nothing(&first);
            assert!([&first, &second].iter().all(|sid| timed.app.held(sid).is_none()));
            timed.opens_nothing(&second);
        }
    }
}

/// A page and its script have one session, and the script was not told of the new id.
#[test]
fn a_former_id_beside_that_of_its_session_is_told_of_it_and_ends_nothing() {
    for carriers in
        [[Carrier::Cookie, Carrier::header("x-session")], [Carrier::header("x-session"), Carrier::Cookie]]
    {
        for reused in [ReusedId::Refuse, ReusedId::EndSession] {
            let options =
                profiles()[0].clone().carriers(carriers.clone()).renew_ids(renewal().reused(reused));
            let timed = Timed::new(options);
            let header = |sid: &Sid| ("x-session", cookie(sid).trim_start_matches("sid=s:").to_owned());
            let (exchange, session) = ask(&timed.app, &[]).unwrap();
            session.insert("user", "tj").unwrap();
            let first = session.id().unwrap();
            done(exchange.finish()).1.unwrap();
            let by_cookie = |sid: &Sid| {
                let (exchange, session) = ask(&timed.app, &[("cookie", cookie(sid))]).unwrap();
                done(exchange.finish()).1.unwrap();
                session.id().unwrap()
            };
            timed.pass(15 * MINUTE);
            let second = by_cookie(&first);
            assert_eq!(by_cookie(&second), second);
            for _ in 0..2 {
                timed.pass(MINUTE);
                let (exchange, session) =
                    ask(&timed.app, &[("cookie", cookie(&second)), header(&first)]).unwrap();
                assert_eq!(session.get::<String>("user").unwrap().as_deref(), Some("tj"), "{reused:?}");
                let (outgoing, saved) = done(exchange.finish());
                saved.unwrap();
                let mut headers = Headers::default();
                outgoing.apply(&mut headers);
                let token = headers.0.iter().find(|(name, _)| name == "x-session");
                assert_eq!(token.map(|(_, value)| value.clone()), Some(header(&second).1.into_bytes()));
            }
            assert_eq!(by_cookie(&second), second);
        }
    }
}

/// The application held it: nobody has stolen anything.
#[test]
fn a_former_id_of_the_applications_ends_nothing() {
    for options in profiles() {
        let timed = Timed::new(options.renew_ids(renewal().reused(ReusedId::EndSession)));
        let first = timed.app.log_in();
        let token = cookie(&first).trim_start_matches("sid=s:").to_owned();
        timed.pass(15 * MINUTE);
        let second = timed.is_renewed(&first);
        timed.stays(&second);
        for _ in 0..2 {
            timed.pass(MINUTE);
            assert!(done(timed.app.sessions.load(&first)).unwrap().is_none());
            assert!(done(timed.app.sessions.resume(&token)).unwrap().is_none());
            timed.stays(&second);
        }
    }
}

/// A job, or what is resumed: it is led to the session, and gives nobody a new id.
#[test]
fn what_the_application_loads_is_followed_and_not_renewed() {
    each(|timed| {
        let first = timed.app.log_in();
        timed.pass(15 * MINUTE);
        let session = done(timed.app.sessions.load(&first)).unwrap().unwrap();
        assert_eq!(session.id().unwrap(), first);
        let second = timed.is_renewed(&first);
        done(add(&session)).unwrap();
        let session = done(timed.app.sessions.load(&first)).unwrap().unwrap();
        assert_eq!((session.id().unwrap(), session.get::<u64>("n").unwrap()), (second.clone(), Some(1)));
        done(add(&session)).unwrap();
        timed.stays(&second);
        timed.pass(MINUTE);
        assert!(done(timed.app.sessions.load(&first)).unwrap().is_none());
        assert!(done(timed.app.sessions.load(&second)).unwrap().is_some());
    });
}

/// What stands beside the sessions is none, whoever signs its key.
#[test]
fn what_is_noted_of_former_ids_is_no_session() {
    let timed = Timed::new(profiles()[0].clone().renew_ids(renewal().reused(ReusedId::EndSession)));
    let first = timed.app.log_in();
    timed.pass(15 * MINUTE);
    let second = timed.is_renewed(&first);
    timed.stays(&second);
    timed.pass(MINUTE);
    timed.stays(&second);
    let mut sids = Vec::new();
    done(timed.app.store.memory.ids(&mut |sid| sids.push(sid))).unwrap();
    assert_eq!(sids.len(), 3, "the session, its former id, and its family");
    for sid in sids.iter().filter(|sid| **sid != second) {
        assert!(!sid.as_str().contains(first.as_str()), "it is not to be read there");
        timed.opens_nothing(sid);
        assert!(done(timed.app.sessions.load(sid)).unwrap().is_none());
    }
}

#[test]
fn limits_count_from_when_the_session_began() {
    let options = profiles()[0].clone().absolute(HOUR);
    let timed = Timed::new(options);
    let mut sid = timed.app.log_in();
    for _ in 0..3 {
        timed.pass(15 * MINUTE);
        sid = timed.is_renewed(&sid);
        timed.stays(&sid);
    }
    timed.pass(15 * MINUTE - SECOND);
    timed.stays(&sid);
    timed.pass(SECOND);
    timed.opens_nothing(&sid);
}

/// Over plain HTTP it would be withheld.
#[test]
fn an_id_that_no_cookie_would_bring_is_not_given() {
    let options = profiles().map(|options| options.cookie(CookieOptions::new().secure(true).max_age(HOUR)));
    for options in options {
        let timed = Timed::new(options);
        let sid = Sid::random();
        let text = r#"{"cookie":{"originalMaxAge":3600000,"expires":"2099-01-01T00:00:00.000Z","secure":true,"httpOnly":true,"path":"/"},"user":"tj"}"#;
        let record = session_core::Record::parse(text).unwrap();
        done(timed.app.store.memory.set(&sid, &record, &Expect::Anything)).unwrap();
        for _ in 0..2 {
            let (exchange, session) = timed.app.request(&sid);
            assert_eq!(session.id().unwrap(), sid);
            done(exchange.end()).unwrap();
        }
        assert_eq!(timed.records(), 1);
    }
}

#[test]
fn an_application_makes_the_ids_where_it_says_so() {
    let number = Arc::new(AtomicUsize::new(0));
    let genid = {
        let number = Arc::clone(&number);
        move |_: &RequestInfo<'_>| Sid::from(format!("id-{}", number.fetch_add(1, Ordering::SeqCst)))
    };
    let timed = Timed::new(profiles()[0].clone().genid(genid));
    let first = timed.app.log_in();
    timed.pass(15 * MINUTE);
    let second = timed.is_renewed(&first);
    assert!(second.as_str().starts_with("id-"));
    // One that has one answer only gives no other.
    let timed = Timed::new(profiles()[0].clone().genid(|_: &RequestInfo<'_>| Sid::from("always")));
    let first = timed.app.log_in();
    timed.pass(15 * MINUTE);
    timed.stays(&first);
}

/// Of one that is renewed each 15 minutes almost all requests cost what they did.
#[test]
fn what_renewal_costs() {
    let timed = Timed::new(profiles()[0].clone());
    let mut sid = timed.app.log_in();
    let mut costs = |time: Duration| {
        timed.pass(time);
        let before = calls(&timed.app);
        sid = timed.visits(&sid).1;
        calls(&timed.app) - before
    };
    assert_eq!(costs(MINUTE), 1, "it is read");
    assert_eq!(costs(14 * MINUTE), 5, "and renewed: was it before? the new record, the old one, and a note");
    assert_eq!(costs(SECOND), 3, "the new id has arrived: is the old one there? it is written down");
    assert_eq!(costs(SECOND), 2, "is the old one still there?");
    assert_eq!(costs(30 * SECOND), 5, "the grace is over: it was an id, is forgotten, and goes");
    assert_eq!(costs(SECOND), 1);
}

#[test]
fn without_the_option_nothing_is_renewed_and_what_was_is_followed() {
    let timed = Timed::new(profiles()[0].clone());
    let plain = {
        let options = timed.options.clone().renew_ids(None);
        App { sessions: options.build().unwrap(), store: Arc::clone(&timed.app.store) }
    };
    let first = timed.app.log_in();
    timed.pass(HOUR);
    let (exchange, session) = plain.request(&first);
    assert_eq!(session.id().unwrap(), first);
    done(exchange.end()).unwrap();
    let second = timed.is_renewed(&first);
    let (exchange, session) = plain.request(&first);
    assert_eq!(session.id().unwrap(), second);
    assert_eq!(kept(&done(exchange.end()).unwrap()), Some(second.clone()));
    timed.pass(HOUR);
    let (exchange, session) = plain.request(&second);
    assert_eq!(session.id().unwrap(), second);
    done(exchange.end()).unwrap();
    timed.pass(MINUTE);
    let (exchange, session) = plain.request(&first);
    assert!(session.is_new());
    done(exchange.end()).unwrap();
}

#[test]
fn what_cannot_work_is_refused() {
    let refused = |options: Options| options.build().unwrap_err().to_string();
    let new = || Options::new("keyboard cat");
    for options in [
        new().renew_ids(IdRenewal::every(Duration::ZERO)),
        new().renew_ids(IdRenewal::every(MINUTE).grace(MINUTE)),
    ] {
        let reason = refused(options);
        assert!(reason.contains("renew_ids"), "{reason}");
    }
}

/// A response that was slow brings no id that leads elsewhere by now: with a save, with every response, and where touches are left out.
#[test]
fn a_slow_response_does_not_bring_the_old_id_back() {
    let hours = || CookieOptions::new().max_age(8 * HOUR);
    let express = || Options::express("keyboard cat").cookie(hours()).renew_ids(renewal());
    for (skips, options) in [
        (false, express().touch(Touch::AfterPercent(20))),
        (
            false,
            Options::new("keyboard cat")
                .cookie(hours())
                .renew_ids(renewal())
                .cookie_renewal(CookieRenewal::OnChange),
        ),
        (true, express()),
        (true, express().rolling(true).resave(false)),
    ] {
        let timed = Timed::new(options);
        timed.app.store.skips_touches.store(skips, Ordering::SeqCst);
        let first = timed.app.log_in();
        timed.pass(15 * MINUTE - SECOND);
        let (slow, session) = timed.other().request(&first);
        session.insert("slow", 1).unwrap();
        done(session.save()).unwrap();
        timed.pass(5 * SECOND);
        let second = timed.is_renewed(&first);
        timed.visits(&second);
        let sent = done(slow.end()).unwrap();
        assert!(kept(&sent).is_none_or(|sid| sid == second), "the old id is sent again");
    }
}

/// Nobody has written when it began, and no touch is due between renewals.
#[test]
fn a_session_that_express_began_ends_at_its_limit_all_the_same() {
    for cookie in [CookieOptions::new().max_age(24 * HOUR), CookieOptions::new()] {
        let timed =
            Timed::new(Options::new("keyboard cat").cookie(cookie).renew_ids(renewal()).absolute(2 * HOUR));
        let mut sid = Sid::random();
        let record = session_core::Record::parse(r#"{"cookie":{},"user":"tj"}"#).unwrap();
        done(timed.app.store.memory.set(&sid, &record, &Expect::Anything)).unwrap();
        for _ in 0..30 {
            timed.pass(4 * MINUTE);
            let (user, next) = timed.visits(&sid);
            if user.is_none() {
                return;
            }
            sid = next;
        }
        timed.pass(4 * MINUTE);
        timed.opens_nothing(&sid);
    }
}

/// An Express app has let somebody write anything into a session: with an id that is known, and the secret that is not, it opens nothing.
#[test]
fn what_an_application_writes_about_ids_opens_no_other_session() {
    for options in profiles() {
        let timed = Timed::new(options);
        let victim = timed.app.log_in();
        let (exchange, session) = timed.app.request(&victim);
        session.insert("secret", "s3").unwrap();
        done(exchange.end()).unwrap();
        for forged in [
            format!(r#"{{"former":"{}","was":"","issued":99999999999999}}"#, victim.as_str()),
            format!(
                r#"{{"former":"{}","until":1,"family":"x","was":"","issued":99999999999999}}"#,
                victim.as_str()
            ),
            format!(r#"{{"next":"{}"}}"#, victim.as_str()),
        ] {
            let own = Sid::random();
            let text = |more: &str| {
                format!(
                    r#"{{"cookie":{{"originalMaxAge":3600000,"expires":"2099-01-01T00:00:00.000Z"}},"own":1{more}}}"#
                )
            };
            let set = |text: String| {
                let record = session_core::Record::parse(text).unwrap();
                done(timed.app.store.memory.set(&own, &record, &Expect::Anything)).unwrap();
            };
            set(text(""));
            // One that was read before.
            let handle = done(timed.app.sessions.load(&own)).unwrap().unwrap();
            set(text(&format!(r#","__session_ids":{forged}"#)));
            drop(done(add(&handle)));
            assert!(!handle.contains("secret") && handle.id().unwrap() != victim);
            for _ in 0..2 {
                let (exchange, session) = timed.app.request(&own);
                assert!(!session.contains("secret"), "{forged}");
                drop(done(session.destroy()));
                let sent = done(exchange.end()).unwrap();
                assert!(kept(&sent).is_none_or(|sid| sid != victim));
            }
            let (exchange, session) = timed.app.request(&victim);
            assert!(session.contains("secret") && !session.contains("own"), "{forged}");
            assert_eq!(session.id().unwrap(), victim);
            done(exchange.end()).unwrap();
        }
    }
}

/// What Express has ended under the old id is over for a job too.
#[test]
fn what_is_loaded_looks_back_too() {
    each(|timed| {
        let first = timed.app.log_in();
        timed.pass(15 * MINUTE);
        let second = timed.is_renewed(&first);
        done(timed.app.store.memory.destroy(&first, &Expect::Anything)).unwrap();
        assert!(done(timed.app.sessions.load(&second)).unwrap().is_none());
        assert!(done(timed.app.sessions.load(&first)).unwrap().is_none());
    });
}

/// Its path has changed: the browser keeps the cookie with the old id, and sends it first.
#[test]
fn of_two_cookies_of_one_session_the_new_id_has_arrived() {
    let timed = Timed::new(profiles()[0].clone().renew_ids(renewal().reused(ReusedId::EndSession)));
    let first = timed.app.log_in();
    timed.pass(15 * MINUTE);
    let second = timed.is_renewed(&first);
    let both = vec![format!("{}; {}", cookie(&first), cookie(&second))];
    for minutes in [0, 1, 1] {
        timed.pass(minutes * MINUTE);
        let (exchange, session) = timed.app.ask(&both);
        assert_eq!(session.get::<String>("user").unwrap().as_deref(), Some("tj"));
        assert_eq!(session.id().unwrap(), second);
        done(exchange.end()).unwrap();
    }
    assert!(timed.app.held(&first).is_none(), "the grace was counted");
    // One of another session beside it is no excuse.
    let other = timed.app.log_in();
    let both = vec![format!("{}; {}", cookie(&first), cookie(&other))];
    let (exchange, session) = timed.app.ask(&both);
    assert_eq!(session.id().unwrap(), other);
    done(exchange.end()).unwrap();
    timed.opens_nothing(&second);
    timed.stays(&other);
}
