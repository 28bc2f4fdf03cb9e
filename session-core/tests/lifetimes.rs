//! Two clocks: how long a session lives after its last use, and at all. And what goes by when its user has shown who that is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use common::{App, SlowStore, Trouble, add, done};
use session_core::{
    AdminStore, Clock, CookieOptions, CookieSessionOptions, Error, Expect, Lifetimes, MemoryStore, Options,
    Record, Sessions, Sid, Store, Touch,
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

struct Timed {
    app: App,
    /// In milliseconds.
    later: Arc<AtomicUsize>,
    start: SystemTime,
}

/// In whole milliseconds, as records have them.
fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_323_045_678)
}

fn clock_of(later: &Arc<AtomicUsize>) -> Clock {
    let later = Arc::clone(later);
    Clock::new(move || start() + Duration::from_millis(later.load(Ordering::SeqCst).try_into().unwrap()))
}

impl Timed {
    fn new(options: Options) -> Self {
        let later = Arc::new(AtomicUsize::new(0));
        let memory = MemoryStore::new().clock(clock_of(&later));
        let store = Arc::new(SlowStore { memory, ..SlowStore::default() });
        Self::over(store, later, options)
    }

    fn over(store: Arc<SlowStore>, later: Arc<AtomicUsize>, options: Options) -> Self {
        let options = options.store(Arc::clone(&store)).clock(clock_of(&later)).name("sid");
        Self { app: App { sessions: options.build().unwrap(), store }, later, start: start() }
    }

    /// The same sessions under other options.
    fn and(&self, options: Options) -> Self {
        Self::over(Arc::clone(&self.app.store), Arc::clone(&self.later), options)
    }

    /// So long after the beginning.
    fn at(&self, time: Duration) {
        self.later.store(time.as_millis().try_into().unwrap(), Ordering::SeqCst);
    }

    fn left(&self, sid: &Sid) -> Option<Duration> {
        done(self.app.store.memory.get(sid)).unwrap()?.left
    }

    /// A request that only reads; answers its cookies, or `None` where it has another session.
    fn reads(&self, sid: &Sid) -> Option<Vec<String>> {
        let (exchange, session) = self.app.request(sid);
        let is_it = session.id().unwrap() == *sid;
        let cookies = done(exchange.end()).unwrap();
        is_it.then_some(cookies)
    }

    fn logs_in(&self, then: impl FnOnce(&session_core::SessionHandle)) -> (Sid, Vec<String>) {
        let (exchange, session) = self.app.ask(&[]);
        session.insert("user", "tj").unwrap();
        then(&session);
        let cookies = done(exchange.end()).unwrap();
        (session.id().unwrap(), cookies)
    }

    fn text(&self, sid: &Sid) -> String {
        self.app.held(sid).unwrap().to_json()
    }

    /// As Express does: a whole lifetime from now on, by the cookie alone.
    fn express_touches(&self, sid: &Sid, lifetime: Duration) {
        let mut record = Record::parse(self.text(sid)).unwrap();
        let now = self.start + Duration::from_millis(self.later.load(Ordering::SeqCst).try_into().unwrap());
        record.cookie.set_max_age(Some(lifetime), now);
        done(self.app.store.memory.set(sid, &record, &Expect::Anything)).unwrap();
    }
}

fn an_hour() -> CookieOptions {
    CookieOptions::new().max_age(HOUR)
}

fn new() -> Options {
    Options::new("keyboard cat")
}

/// Record and cookie end when the session has lived for so long, however often it is used.
#[test]
fn a_session_ends_at_its_limit_however_often_it_is_used() {
    let timed = Timed::new(new().cookie(an_hour()).absolute(3 * HOUR));
    let (sid, _) = timed.logs_in(|_| {});
    let limit = timed.start + 3 * HOUR;
    for minutes in (0..180).step_by(7) {
        timed.at(minutes * MINUTE);
        let sent = timed.reads(&sid).expect("it is used all the time");
        let held = timed.app.held(&sid).unwrap().cookie;
        assert!(held.expires().unwrap() <= limit);
        if minutes > 150 {
            assert_eq!(held.expires(), Some(limit));
            assert!(sent.is_empty(), "nothing is left to be told");
        }
    }
    timed.at(3 * HOUR - Duration::from_millis(1));
    assert!(timed.reads(&sid).is_some());
    timed.at(3 * HOUR);
    assert!(timed.reads(&sid).is_none());
}

/// Nothing can be given to it any more: the store is asked as often as with any session that nobody needs to touch.
#[test]
fn a_session_near_its_limit_is_not_touched_with_every_request() {
    let timed = Timed::new(new().cookie(an_hour()).absolute(2 * HOUR));
    let (sid, _) = timed.logs_in(|_| {});
    let calls = || timed.app.store.calls.load(Ordering::SeqCst);
    for minutes in [50, 90] {
        timed.at(minutes * MINUTE);
        timed.reads(&sid).unwrap();
    }
    for minutes in 91..120 {
        timed.at(minutes * MINUTE);
        let before = calls();
        timed.reads(&sid).unwrap();
        assert_eq!(calls() - before, 1, "it is read");
    }
}

#[test]
fn a_new_id_changes_nothing_of_the_limit_and_a_new_session_begins_anew() {
    let timed = Timed::new(new().cookie(an_hour()).absolute(2 * HOUR));
    let (sid, _) = timed.logs_in(|_| {});
    timed.at(50 * MINUTE);
    let (exchange, session) = timed.app.request(&sid);
    assert_eq!(session.begun().unwrap(), Some(timed.start));
    done(session.renew_id()).unwrap();
    done(exchange.end()).unwrap();
    let renewed = session.id().unwrap();
    timed.at(100 * MINUTE);
    let (exchange, session) = timed.app.request(&renewed);
    assert_eq!(session.begun().unwrap(), Some(timed.start));
    done(exchange.end()).unwrap();
    assert_eq!(timed.left(&renewed), Some(20 * MINUTE));

    let (exchange, session) = timed.app.request(&renewed);
    done(session.regenerate()).unwrap();
    session.insert("user", "tj").unwrap();
    done(exchange.end()).unwrap();
    assert_eq!(session.begun().unwrap(), Some(timed.start + 100 * MINUTE));
    assert_eq!(timed.left(&session.id().unwrap()), Some(HOUR));
}

/// And one that is under way with it stores nothing.
#[test]
fn what_express_has_kept_alive_ends_at_its_limit() {
    let timed = Timed::new(new().cookie(an_hour()).absolute(2 * HOUR));
    let (sid, _) = timed.logs_in(|_| {});
    timed.at(50 * MINUTE);
    timed.express_touches(&sid, 2 * HOUR);
    let (exchange, late) = timed.app.request(&sid);
    late.insert("a", 1).unwrap();
    timed.at(120 * MINUTE);
    assert!(timed.app.held(&sid).is_some(), "the store holds it");
    assert!(matches!(done(late.save()), Err(Error::Gone)));
    assert!(matches!(done(add(&late)), Err(Error::Gone)));
    assert!(matches!(done(late.renew_id()), Err(Error::Gone)));
    assert!(matches!(done(late.reload()), Err(Error::NotStored | Error::Gone)));
    assert!(done(exchange.end()).unwrap().is_empty());
    assert!(!timed.text(&sid).contains(r#""a":1"#));

    // It is refused, and to Express it lives.
    assert!(timed.reads(&sid).is_none() && timed.app.held(&sid).is_some());
    assert!(done(timed.app.sessions.load(&sid)).unwrap().is_none());
    let (_exchange, next) = timed.app.request(&sid);
    assert!(next.is_new() && next.is_empty());
}

/// The browser closes when it likes, and most do not: the server goes by a time of its own.
#[test]
fn a_session_without_a_date_lives_as_long_as_it_may_lie_unused() {
    let timed = Timed::new(new().idle(HOUR));
    let (sid, sent) = timed.logs_in(|_| {});
    assert!(!sent[0].contains("Expires") && !sent[0].contains("Max-Age"), "{sent:?}");
    assert_eq!(timed.left(&sid), Some(HOUR));
    // Used, and not often enough to be touched.
    timed.at(11 * MINUTE);
    assert_eq!(timed.reads(&sid), Some(vec![]));
    assert_eq!(timed.left(&sid), Some(49 * MINUTE));
    timed.at(12 * MINUTE);
    assert_eq!(timed.reads(&sid), Some(vec![]), "the browser needs no word of it");
    assert_eq!(timed.left(&sid), Some(HOUR));
    assert!(timed.text(&sid).contains(r#""originalMaxAge":null,"expires":null"#));
    timed.at(72 * MINUTE);
    assert!(timed.reads(&sid).is_none());
}

/// Nobody has chosen the store, or how long it holds what has no date.
#[test]
fn no_store_of_the_new_profile_holds_a_session_for_ever() {
    let left = |sessions: &Sessions| {
        let (exchange, session) = common::ask(sessions, &[]);
        session.insert("user", "tj").unwrap();
        done(exchange.end()).unwrap();
        done(sessions.store().get(&session.id().unwrap())).unwrap().unwrap().left
    };
    let by_itself = left(&new().build().unwrap());
    assert!(by_itself.is_some_and(|left| left <= DAY), "{by_itself:?}");
    // One that was chosen, for ever: as long as a session lives at all.
    let chosen = left(&new().store(MemoryStore::new()).build().unwrap());
    assert!(chosen.is_some_and(|left| left <= 30 * DAY), "{chosen:?}");
    // And what was chosen is so.
    let a_quarter = left(&new().store(MemoryStore::new().ttl(15 * MINUTE)).build().unwrap());
    assert!(a_quarter.is_some_and(|left| left <= 15 * MINUTE), "{a_quarter:?}");
    assert_eq!(left(&new().store(MemoryStore::new()).absolute(None).build().unwrap()), None);
}

/// Node's MemoryStore holds them for ever.
#[test]
fn the_memory_store_does_not_grow_with_visitors_who_do_not_come_again() {
    let timed = Timed::new(new().idle(DAY));
    for day in 0..20_u32 {
        timed.at(day * 2 * DAY);
        (0..50).for_each(|_| drop(timed.logs_in(|_| {})));
    }
    assert_eq!(timed.app.records(), 50);
    // What has expired is dropped while others are written, and the rest of a day's here.
    let left = done(timed.app.store.memory.prune()).unwrap();
    assert!(left < 100, "{left} of 950 are held yet");
}

/// With what is written anyway: a request that only reads does not fail with a store that cannot write.
#[test]
fn what_was_begun_without_a_limit_is_first_seen_and_that_is_written_once() {
    for options in [new(), Options::express("keyboard cat").resave(false).touch(Touch::AfterPercent(20))] {
        let options = options.cookie(an_hour());
        let timed = Timed::new(options.clone().absolute(None));
        let (sid, _) = timed.logs_in(|_| {});
        assert!(!timed.text(&sid).contains("__session_times"));
        let limited = timed.and(options.absolute(DAY));
        let calls = || timed.app.store.calls.load(Ordering::SeqCst);
        timed.at(MINUTE);
        let before = calls();
        assert_eq!(limited.reads(&sid), Some(vec![]));
        assert_eq!(calls() - before, 1, "it is read");
        timed.at(12 * MINUTE);
        limited.reads(&sid).unwrap();
        let seen = limited.start + 12 * MINUTE;
        let millis = seen.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
        assert!(timed.text(&sid).contains(&format!(r#","__session_times":{{"begun":{millis}}},"#)));
        timed.at(25 * MINUTE);
        let (exchange, session) = limited.app.request(&sid);
        assert_eq!(session.begun().unwrap(), Some(seen));
        let before = calls();
        done(exchange.end()).unwrap();
        assert_eq!(calls() - before, 1, "it is touched");
        assert_eq!(session.len(), 1, "it is none of the data");
        // Options that say nothing of it keep it.
        let (exchange, session) = timed.app.request(&sid);
        session.remove("user").unwrap();
        session.insert("a", 1).unwrap();
        done(exchange.end()).unwrap();
        let times = format!(r#","__session_times":{{"begun":{millis}}},"a":1}}"#);
        assert!(
            timed
                .text(&sid)
                .trim_end_matches(char::is_whitespace)
                .replace(char::is_whitespace, "")
                .ends_with(&times)
        );
    }
}

/// Two tabs of a session that Express has begun.
#[test]
fn of_two_that_see_a_session_first_the_first_counts() {
    let options = new().cookie(an_hour());
    let timed = Timed::new(options.clone().absolute(None));
    let (sid, _) = timed.logs_in(|_| {});
    let limited = timed.and(options.absolute(DAY));
    let (a, one) = limited.app.request(&sid);
    timed.at(MINUTE);
    let (b, two) = limited.app.request(&sid);
    one.insert("a", 1).unwrap();
    two.insert("b", 1).unwrap();
    done(a.end()).unwrap();
    done(b.end()).unwrap();
    assert_eq!(one.begun().unwrap(), Some(timed.start));
    assert_eq!(two.begun().unwrap(), one.begun().unwrap());
    assert!(timed.text(&sid).contains(r#""user":"tj","a":1,"b":1"#));
}

/// The new limits are those of all sessions that were not given their own.
#[test]
fn limits_that_are_lowered_hold_from_the_next_request_on() {
    let timed = Timed::new(new().lifetimes(Lifetimes::NIST_AAL1));
    let [(unused, _), (old, _), (own, _)] = [
        timed.logs_in(|_| {}),
        timed.logs_in(|_| {}),
        timed.logs_in(|session| session.remember(Lifetimes::new(DAY, 30 * DAY)).unwrap()),
    ];
    let lowered = timed.and(new().lifetimes(Lifetimes::NIST_AAL3));
    timed.at(MINUTE);
    lowered.reads(&unused).unwrap();
    assert_eq!(timed.left(&unused), Some(15 * MINUTE));
    timed.at(12 * HOUR);
    assert!(timed.left(&old).is_some() && lowered.reads(&old).is_none());
    assert!(lowered.reads(&own).is_some(), "it has limits of its own");
}

#[test]
fn the_same_session_is_remembered_for_longer() {
    let timed = Timed::new(new().lifetimes(Lifetimes::OWASP_LOW_RISK));
    let (sid, sent) = timed.logs_in(|session| session.remember(Lifetimes::new(30 * DAY, 90 * DAY)).unwrap());
    assert!(sent[0].contains("Expires="), "{sent:?}");
    assert_eq!(timed.left(&sid), Some(30 * DAY));
    for days in [20, 40, 60, 80, 89] {
        timed.at(days * DAY);
        timed.reads(&sid).expect("it is remembered");
    }
    assert_eq!(timed.left(&sid), Some(DAY));
    // And as all others again: it has been here for too long.
    let (exchange, session) = timed.app.request(&sid);
    session.set_absolute(None).unwrap();
    done(exchange.end()).unwrap();
    assert!(timed.reads(&sid).is_none());
}

#[test]
fn a_limit_of_its_own_needs_no_option() {
    let timed = Timed::new(Options::express("keyboard cat").cookie(an_hour()));
    let (sid, _) = timed.logs_in(|session| {
        assert_eq!(session.begun().unwrap(), None);
        session.set_absolute(90 * MINUTE).unwrap();
    });
    timed.at(45 * MINUTE);
    timed.reads(&sid).unwrap();
    assert_eq!(timed.left(&sid), Some(45 * MINUTE));
    timed.at(90 * MINUTE);
    assert!(timed.reads(&sid).is_none());
}

/// Who asks for a year gets it.
#[test]
fn a_limit_that_nobody_has_chosen_cuts_no_lifetime_that_somebody_has() {
    let year = 365 * DAY;
    let of = |options: Options, own: Option<Duration>| {
        let timed = Timed::new(options);
        let (sid, _) = timed.logs_in(|session| {
            if let Some(own) = own {
                session.set_max_age(Some(own)).unwrap();
            }
        });
        timed.left(&sid).unwrap()
    };
    let a_year = || new().cookie(CookieOptions::new().max_age(year));
    assert_eq!(of(a_year(), None), year);
    assert_eq!(of(new(), Some(year)), year);
    assert_eq!(of(a_year().absolute(DAY), None), DAY);
    assert_eq!(of(new().absolute(DAY), Some(year)), DAY);
    // A time that it may lie unused cuts what the options say, and not what one session was given.
    assert_eq!(of(a_year().idle(HOUR), None), HOUR);
    assert_eq!(of(a_year().idle(HOUR).absolute(None), Some(year)), year);
    assert_eq!(of(new().cookie(an_hour()).idle(DAY), None), HOUR);
}

#[test]
fn who_has_just_shown_who_that_is_need_not_again() {
    let timed = Timed::new(new().lifetimes(Lifetimes::NIST_AAL1));
    // That alone is worth a session.
    let (exchange, session) = timed.app.ask(&[]);
    assert!(matches!(session.require_recent(HOUR), Err(Error::NotRecent)));
    session.mark_authenticated().unwrap();
    session.require_recent(Duration::ZERO).unwrap();
    assert_eq!(done(exchange.end()).unwrap().len(), 1);
    let sid = session.id().unwrap();
    timed.at(10 * MINUTE);
    let (exchange, session) = timed.app.request(&sid);
    assert_eq!(session.authenticated_at().unwrap(), Some(timed.start));
    session.require_recent(10 * MINUTE).unwrap();
    done(session.renew_id()).unwrap();
    done(exchange.end()).unwrap();
    timed.at(10 * MINUTE + Duration::from_millis(1));
    let (exchange, session) = timed.app.request(&session.id().unwrap());
    let error = session.require_recent(10 * MINUTE).unwrap_err();
    assert!(matches!(error, Error::NotRecent) && error.status() == 403);
    session.require_recent(11 * MINUTE).unwrap();
    done(session.regenerate()).unwrap();
    assert_eq!(session.authenticated_at().unwrap(), None);
    session.mark_authenticated().unwrap();
    done(session.destroy()).unwrap();
    assert!(matches!(session.require_recent(HOUR), Err(Error::NotRecent)));
    assert!(matches!(session.mark_authenticated(), Err(Error::Destroyed)));
    done(exchange.end()).unwrap();
}

/// Of a request beside it, one that fails first, and one that is read again.
#[test]
fn that_a_user_was_authenticated_is_not_lost() {
    for options in [new(), Options::express("keyboard cat")] {
        let timed = Timed::new(options.cookie(an_hour()));
        let (sid, _) = timed.logs_in(|_| {});
        let [(a, one), (b, two)] = [(); 2].map(|()| timed.app.request(&sid));
        timed.at(MINUTE);
        one.mark_authenticated().unwrap();
        two.insert("b", 1).unwrap();
        done(a.end()).unwrap();
        done(b.end()).unwrap();
        let (exchange, session) = timed.app.request(&sid);
        let authenticated = Some(timed.start + MINUTE);
        assert_eq!(session.authenticated_at().unwrap(), authenticated);
        assert_eq!(two.authenticated_at().unwrap(), authenticated);

        timed.at(2 * MINUTE);
        session.mark_authenticated().unwrap();
        timed.app.trouble_at(0, Trouble::FailsBefore);
        assert!(done(session.save()).is_err());
        done(session.save()).unwrap();
        let again = Some(timed.start + 2 * MINUTE);
        assert_eq!(done(timed.app.sessions.load(&sid)).unwrap().unwrap().authenticated_at().unwrap(), again);
        timed.at(3 * MINUTE);
        session.mark_authenticated().unwrap();
        done(session.reload()).unwrap();
        assert_eq!(session.authenticated_at().unwrap(), again, "it was not stored");
        done(exchange.end()).unwrap();
        assert!(timed.text(&sid).contains("\"authenticated\":"));
    }
}

/// Of what was stored with an end that stays, and is longer than it was.
#[test]
fn a_cookie_whose_lifetime_was_changed_twice_ends_with_its_record() {
    let timed = Timed::new(new().cookie(an_hour()));
    let (exchange, session) = timed.app.ask(&[]);
    session.insert("user", "tj").unwrap();
    done(session.save()).unwrap();
    session.set_max_age(Some(70 * MINUTE)).unwrap();
    done(session.save()).unwrap();
    let sent = done(exchange.end()).unwrap();
    assert_eq!(sent.len(), 1);
    let held = timed.app.held(&session.id().unwrap()).unwrap();
    assert_eq!(session.cookie().expires(), held.cookie.expires());
    assert_eq!(timed.left(&session.id().unwrap()), Some(HOUR));
}

#[test]
fn the_express_profile_stores_nothing_of_it_unless_asked() {
    let timed = Timed::new(Options::express("keyboard cat"));
    let (sid, _) = timed.logs_in(|_| {});
    let bare = r#"{"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"},"user":"tj"}"#;
    assert_eq!(timed.text(&sid), bare);
    assert_eq!(timed.left(&sid), None);
    let (exchange, session) = timed.app.request(&sid);
    assert_eq!((session.begun().unwrap(), session.authenticated_at().unwrap()), (None, None));
    session.mark_authenticated().unwrap();
    done(exchange.end()).unwrap();
    assert!(timed.text(&sid).contains(r#","__session_times":{"authenticated":"#));
    // What an Express app keeps under the name is its own.
    let theirs = bare.replace("\"user\":\"tj\"", "\"__session_times\":[1]");
    let record = Record::parse(theirs.as_str()).unwrap();
    done(timed.app.store.memory.set(&sid, &record, &Expect::Anything)).unwrap();
    let (exchange, session) = timed.app.request(&sid);
    assert_eq!(session.get::<Vec<u8>>("__session_times").unwrap(), Some(vec![1]));
    done(exchange.end()).unwrap();
    assert_eq!(timed.text(&sid), theirs);
}

#[test]
fn without_a_store_each_call_says_why() {
    let sessions: Sessions = CookieSessionOptions::new(["key"]).build().unwrap();
    let (_exchange, session) = common::ask(&sessions, &[]);
    let refused = [
        session.begun().map(drop),
        session.set_absolute(HOUR),
        session.mark_authenticated(),
        session.authenticated_at().map(drop),
        session.require_recent(HOUR),
        session.remember(Lifetimes::NIST_AAL2),
    ];
    for refused in refused {
        assert!(matches!(refused, Err(Error::NoStore(_))), "{refused:?}");
    }
}

/// "Un-remember me", and a login that does not remember.
#[test]
fn a_lifetime_that_is_shortened_ends_no_session() {
    for shortened in [Some(7 * DAY), None] {
        let timed = Timed::new(new());
        let (sid, _) = timed.logs_in(|session| session.set_max_age(Some(365 * DAY)).unwrap());
        timed.at(40 * DAY);
        let (exchange, session) = timed.app.request(&sid);
        done(session.renew_id()).unwrap();
        session.insert("cart", 1).unwrap();
        session.set_max_age(shortened).unwrap();
        assert_eq!(done(exchange.end()).unwrap().len(), 1);
        let (_exchange, session) = timed.app.request(&session.id().unwrap());
        assert_eq!(session.get::<u8>("cart").unwrap(), Some(1));
        assert_eq!(session.cookie().original_max_age(), shortened);
    }
}

/// Those that have a date, too; but for what one session was given.
#[test]
fn a_session_with_a_date_may_lie_unused_no_longer_than_the_options_say() {
    let timed = Timed::new(new().cookie(CookieOptions::new().max_age(20 * DAY)));
    let [(sid, _), (own, _)] =
        [timed.logs_in(|_| {}), timed.logs_in(|session| session.set_max_age(Some(25 * DAY)).unwrap())];
    let short = timed.and(new().cookie(CookieOptions::new().max_age(20 * DAY)).idle(HOUR));
    timed.at(MINUTE);
    short.reads(&sid).unwrap();
    assert_eq!(timed.left(&sid), Some(HOUR));
    let (given, _) = short.logs_in(|session| session.set_max_age(Some(25 * DAY)).unwrap());
    timed.at(DAY);
    assert!(short.reads(&sid).is_none());
    short.reads(&given).expect("it was given that time");
    // Nobody knows any more that this one was: it is as all others.
    short.reads(&own).unwrap();
    assert_eq!(timed.left(&own), Some(HOUR));
}

#[test]
fn a_clock_that_was_wrong_keeps_nobody_in() {
    let timed = Timed::new(new().cookie(an_hour()).absolute(DAY));
    timed.at(400 * DAY);
    let (sid, _) = timed.logs_in(|session| session.mark_authenticated().unwrap());
    timed.at(Duration::ZERO);
    let (exchange, session) = timed.app.request(&sid);
    assert_eq!(session.begun().unwrap(), Some(timed.start), "it is seen now");
    assert!(matches!(session.require_recent(HOUR), Err(Error::NotRecent)));
    session.mark_authenticated().unwrap();
    session.require_recent(MINUTE).unwrap();
    done(exchange.end()).unwrap();
    let (_exchange, session) = timed.app.request(&sid);
    assert_eq!(session.authenticated_at().unwrap(), Some(timed.start));
    assert!(timed.left(&sid).unwrap() <= DAY);
}

/// Clearing a session is how many log out.
#[test]
fn who_has_shown_who_that_is_is_nobody_without_data() {
    let timed = Timed::new(new());
    for clears in [0, 1, 2] {
        let (sid, _) = timed.logs_in(|session| session.mark_authenticated().unwrap());
        let (exchange, session) = timed.app.request(&sid);
        session.require_recent(HOUR).unwrap();
        match clears {
            0 => session.clear().unwrap(),
            1 => session.replace(&std::collections::BTreeMap::from([("user", "mallory")])).unwrap(),
            _ => session.forget_authenticated().unwrap(),
        }
        assert!(matches!(session.require_recent(HOUR), Err(Error::NotRecent)));
        session.insert("user", "mallory").unwrap();
        done(exchange.end()).unwrap();
        let (_exchange, session) = timed.app.request(&sid);
        assert_eq!(session.authenticated_at().unwrap(), None, "{clears}");
    }
}

/// Whatever an application lets its users name.
#[test]
fn nobody_makes_times_of_data() {
    for options in [new().absolute(None), Options::express("keyboard cat")] {
        let timed = Timed::new(options);
        let (sid, _) = timed.logs_in(|session| {
            let forged = std::collections::BTreeMap::from([("authenticated", i64::MAX)]);
            for refused in [
                session.insert("__session_times", &forged),
                session.insert_path("__session_times.authenticated", 1),
                session.replace(&std::collections::BTreeMap::from([("__session_times", forged)])),
            ] {
                assert!(matches!(refused, Err(Error::ReservedKey(_))), "{refused:?}");
            }
        });
        assert!(!timed.text(&sid).contains("__session_times"));
    }
}

/// It closes when its session ends, and serves nobody after that.
#[test]
fn a_socket_knows_when_its_session_ends() {
    let timed = Timed::new(new().cookie(an_hour()).absolute(90 * MINUTE));
    let (sid, _) = timed.logs_in(|session| session.mark_authenticated().unwrap());
    let socket = done(timed.app.sessions.load(&sid)).unwrap().unwrap();
    assert_eq!(socket.ends_at().unwrap(), Some(timed.start + HOUR));
    timed.at(50 * MINUTE);
    timed.reads(&sid).unwrap();
    done(socket.reload()).unwrap();
    assert_eq!(socket.ends_at().unwrap(), Some(timed.start + 90 * MINUTE));
    socket.require_recent(HOUR).unwrap();
    timed.at(90 * MINUTE);
    assert!(matches!(socket.require_recent(2 * HOUR), Err(Error::NotRecent)));
    assert!(matches!(socket.mark_authenticated(), Err(Error::Gone)));
    assert!(matches!(done(add(&socket)), Err(Error::Gone)));
}

/// A fifth of ten years is longer than any browser keeps a cookie.
#[test]
fn a_session_that_outlives_cookies_is_sent_again_in_time() {
    let timed = Timed::new(new().cookie(CookieOptions::new().max_age(3_650 * DAY)));
    let (sid, sent) = timed.logs_in(|_| {});
    let ends =
        |sent: &[String]| sent[0].split("; ").find(|part| part.starts_with("Expires")).unwrap().to_owned();
    let first = ends(&sent);
    timed.at(79 * DAY);
    assert_eq!(timed.reads(&sid), Some(vec![]));
    timed.at(81 * DAY);
    let again = timed.reads(&sid).unwrap();
    assert_ne!(ends(&again), first);
    timed.at(81 * DAY + HOUR);
    assert_eq!(timed.reads(&sid), Some(vec![]));
}

/// Whatever lifetime it is given, in the same request or later.
#[test]
fn a_limit_that_one_session_was_given_is_its_own() {
    let timed = Timed::new(new());
    let (sid, _) = timed.logs_in(|session| session.remember(Lifetimes::new(30 * DAY, 40 * DAY)).unwrap());
    let (short, _) = timed.logs_in(|session| session.set_absolute(8 * HOUR).unwrap());
    timed.at(HOUR);
    let (exchange, session) = timed.app.request(&short);
    session.set_max_age(Some(30 * DAY)).unwrap();
    done(exchange.end()).unwrap();
    assert_eq!(timed.left(&short), Some(7 * HOUR));
    timed.at(29 * DAY);
    timed.reads(&sid).unwrap();
    assert_eq!(timed.left(&sid), Some(11 * DAY));
}

/// At creation, by a handler, by Express; and as the options say again.
#[test]
fn a_limit_that_nobody_has_chosen_makes_room_wherever_a_lifetime_comes_from() {
    let year = 365 * DAY;
    let timed = Timed::new(new().cookie(CookieOptions::new().max_age(year)));
    let (sid, _) = timed.logs_in(|session| session.set_absolute(DAY).unwrap());
    let (exchange, session) = timed.app.request(&sid);
    session.set_absolute(None).unwrap();
    done(exchange.end()).unwrap();
    assert_eq!(timed.left(&sid), Some(year));

    let timed = Timed::new(new().cookie(an_hour()));
    let (sid, _) = timed.logs_in(|_| {});
    timed.express_touches(&sid, year);
    timed.at(40 * DAY);
    timed.reads(&sid).expect("Express has given it a year");
    let unused = Timed::new(new().idle(60 * DAY));
    let (sid, _) = unused.logs_in(|_| {});
    assert_eq!(unused.left(&sid), Some(60 * DAY));
}

/// Of who logs in and who logs out beside it, the one who was later.
#[test]
fn a_mark_does_not_outlive_the_data_that_were_cleared_beside_it() {
    let options = [new(), new().absolute(None), Options::express("keyboard cat")];
    for (options, forgets) in options.iter().flat_map(|options| [(options, false), (options, true)]) {
        for marks_first in [true, false] {
            let timed = Timed::new(options.clone());
            let (sid, _) = timed.logs_in(|_| {});
            let [(a, one), (b, two)] = [(); 2].map(|()| timed.app.request(&sid));
            let clears = || {
                two.clear().unwrap();
                two.insert("user", "mallory").unwrap();
                if forgets {
                    two.forget_authenticated().unwrap();
                }
            };
            let ends = [a, b];
            if marks_first {
                one.mark_authenticated().unwrap();
                timed.at(MINUTE);
                clears();
            } else {
                clears();
                timed.at(MINUTE);
                one.mark_authenticated().unwrap();
            }
            // Where nothing is said of times in a record, who clears it says nothing either: the mark is to be there first.
            let has_times = timed.text(&sid).contains("__session_times");
            for end in if forgets || !has_times { [&ends[0], &ends[1]] } else { [&ends[1], &ends[0]] } {
                done(end.end()).unwrap();
            }
            let (_exchange, session) = timed.app.request(&sid);
            assert_eq!(session.require_recent(HOUR).is_ok(), !marks_first, "{forgets}");
        }
    }
}

#[test]
fn a_login_in_a_session_that_was_just_cleared_is_one() {
    let timed = Timed::new(new());
    let (sid, _) = timed.logs_in(|session| session.mark_authenticated().unwrap());
    let (exchange, session) = timed.app.request(&sid);
    session.clear().unwrap();
    session.insert("user", "mallory").unwrap();
    session.mark_authenticated().unwrap();
    done(exchange.end()).unwrap();
    let (_exchange, session) = timed.app.request(&sid);
    session.require_recent(HOUR).unwrap();
}

/// Of a store that would hold it for ever there is nothing to be given.
#[test]
fn a_read_costs_no_touch_where_the_store_has_no_time_to_live() {
    let timed = Timed::new(new());
    let (sid, _) = timed.logs_in(|_| {});
    assert_eq!(timed.left(&sid), Some(30 * DAY));
    for minutes in 1..20 {
        timed.at(minutes * MINUTE);
        let before = timed.app.store.calls.load(Ordering::SeqCst);
        timed.reads(&sid).unwrap();
        assert_eq!(timed.app.store.calls.load(Ordering::SeqCst) - before, 1);
    }
}

#[test]
fn the_express_profile_has_the_memory_store_of_express() {
    let sessions = Options::express("keyboard cat").name("sid").build().unwrap();
    let (exchange, session) = common::ask(&sessions, &[]);
    session.insert("user", "tj").unwrap();
    done(exchange.end()).unwrap();
    assert_eq!(done(sessions.store().get(&session.id().unwrap())).unwrap().unwrap().left, None);
}

#[test]
fn when_a_session_ends_that_was_not_stored_yet_is_not_made_up() {
    let timed = Timed::new(new());
    let (_exchange, session) = timed.app.ask(&[]);
    assert_eq!(session.ends_at().unwrap(), None);
    session.set_max_age(Some(HOUR)).unwrap();
    assert_eq!(session.ends_at().unwrap(), Some(timed.start + HOUR));
}

/// Also where no cookie tells of it, and the clock goes on meanwhile.
#[test]
fn a_session_that_is_given_less_than_it_has_lived_ends() {
    let timed = Timed::new(new());
    let (sid, _) = timed.logs_in(|_| {});
    timed.at(HOUR);
    let (exchange, session) = timed.app.request(&sid);
    session.set_absolute(MINUTE).unwrap();
    let mut end = Box::pin(exchange.end());
    for second in 0..20 {
        timed.at(HOUR + second * Duration::from_secs(1));
        if common::polled(1, end.as_mut()).is_some() {
            break;
        }
    }
    assert!(timed.app.held(&sid).is_none());
}

/// No number that JavaScript would write back as another one.
#[test]
fn times_are_numbers_that_express_writes_back() {
    let timed = Timed::new(new());
    let (sid, _) = timed.logs_in(|session| {
        session.remember(Lifetimes::new(Duration::MAX, Duration::MAX)).unwrap();
    });
    let text = timed.text(&sid);
    let times = &text[text.find("__session_times").unwrap()..];
    let numbers = times.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse::<u64>().ok());
    assert!(numbers.clone().count() > 1 && numbers.into_iter().all(|number| number < 1 << 53), "{times}");
}

/// A clock that was days ahead, and a logout between.
#[test]
fn a_login_after_a_wrong_clock_is_one() {
    let timed = Timed::new(new());
    timed.at(9 * DAY);
    let (sid, _) = timed.logs_in(|session| session.mark_authenticated().unwrap());
    timed.at(Duration::ZERO);
    let (exchange, session) = timed.app.request(&sid);
    session.clear().unwrap();
    session.insert("user", "tj").unwrap();
    session.mark_authenticated().unwrap();
    session.require_recent(MINUTE).unwrap();
    done(exchange.end()).unwrap();
    let (_exchange, session) = timed.app.request(&sid);
    session.require_recent(MINUTE).unwrap();
}

/// Its own limit counts from when it is seen by a clock that is right.
#[test]
fn a_limit_of_its_own_holds_after_a_wrong_clock() {
    let timed = Timed::new(Options::express("keyboard cat").cookie(an_hour()));
    timed.at(9 * DAY);
    let (sid, _) = timed.logs_in(|session| session.set_absolute(90 * MINUTE).unwrap());
    timed.at(Duration::ZERO);
    timed.reads(&sid).unwrap();
    timed.at(50 * MINUTE);
    timed.reads(&sid).unwrap();
    assert_eq!(timed.left(&sid), Some(40 * MINUTE));
    timed.at(90 * MINUTE);
    assert!(timed.reads(&sid).is_none());
}

/// Logged out is who was nobody: nothing is stored of that.
#[test]
fn to_forget_nobody_begins_no_session() {
    let timed = Timed::new(new());
    let (exchange, session) = timed.app.ask(&[]);
    session.forget_authenticated().unwrap();
    session.set_absolute(None).unwrap();
    session.clear().unwrap();
    assert!(done(exchange.end()).unwrap().is_empty());
    assert_eq!(timed.app.records(), 0);
}

/// How long it may lie unused goes with the lifetime that the last one gave, whoever else gave it another.
#[test]
fn of_two_lifetimes_the_one_that_stays_brings_its_idle_time() {
    let timed = Timed::new(new().cookie(CookieOptions::new().max_age(HOUR / 2)).idle(HOUR));
    let (sid, _) = timed.logs_in(|_| {});
    let (long, longer) = timed.app.request(&sid);
    let (short, shorter) = timed.app.request(&sid);
    longer.set_max_age(Some(25 * DAY)).unwrap();
    done(long.end()).unwrap();
    shorter.set_max_age(None).unwrap();
    done(short.end()).unwrap();
    assert_eq!(timed.left(&sid), Some(HOUR), "a cookie without a date, and no time of its own");

    timed.and(new().cookie(CookieOptions::new().max_age(HOUR / 2)).idle(HOUR));
    let (sid, _) = timed.logs_in(|session| session.set_max_age(Some(25 * DAY)).unwrap());
    let (long, longer) = timed.app.request(&sid);
    let (short, shorter) = timed.app.request(&sid);
    shorter.set_max_age(Some(HOUR / 2)).unwrap();
    done(short.end()).unwrap();
    timed.at(MINUTE);
    longer.set_max_age(Some(25 * DAY)).unwrap();
    done(long.end()).unwrap();
    assert_eq!(timed.left(&sid), Some(25 * DAY), "who is remembered is");
}

/// A request that took long has marked it earlier than another, and writes later.
#[test]
fn of_two_marks_the_later_one_counts_however_late_the_other_is_written() {
    let timed = Timed::new(new().cookie(an_hour()));
    let (sid, _) = timed.logs_in(|_| {});
    let (exchange, slow) = timed.app.request(&sid);
    slow.mark_authenticated().unwrap();
    timed.at(20 * MINUTE);
    let (fast, session) = timed.app.request(&sid);
    session.mark_authenticated().unwrap();
    done(fast.end()).unwrap();
    timed.at(30 * MINUTE);
    done(exchange.end()).unwrap();
    let (exchange, session) = timed.app.request(&sid);
    session.require_recent(15 * MINUTE).unwrap();
    done(exchange.end()).unwrap();
}

/// Also in a record that says nothing of times until then.
#[test]
fn who_becomes_somebody_else_is_not_who_showed_that_before() {
    for options in [new().absolute(None), Options::express("keyboard cat")] {
        let timed = Timed::new(options.cookie(an_hour()));
        let (sid, _) = timed.logs_in(|_| {});
        let (marking, marked) = timed.app.request(&sid);
        marked.mark_authenticated().unwrap();
        timed.at(MINUTE);
        let (changing, changed) = timed.app.request(&sid);
        changed.clear().unwrap();
        changed.insert("user", "mallory").unwrap();
        changed.forget_authenticated().unwrap();
        done(changing.end()).unwrap();
        done(marking.end()).unwrap();
        let (exchange, session) = timed.app.request(&sid);
        assert_eq!(session.get::<String>("user").unwrap().as_deref(), Some("mallory"));
        assert!(matches!(session.require_recent(HOUR), Err(Error::NotRecent)));
        done(exchange.end()).unwrap();
    }
}

/// It has ended while the request went on.
#[test]
fn what_has_lived_as_long_as_it_may_is_given_no_more() {
    let timed = Timed::new(new().cookie(CookieOptions::new().max_age(3 * HOUR)).absolute(2 * HOUR));
    let (sid, _) = timed.logs_in(|_| {});
    timed.at(2 * HOUR - MINUTE);
    let (exchange, session) = timed.app.request(&sid);
    timed.at(2 * HOUR + MINUTE);
    assert!(matches!(session.set_absolute(DAY), Err(Error::Gone)));
    assert!(matches!(session.remember(Lifetimes::NIST_AAL1), Err(Error::Gone)));
    done(exchange.end()).unwrap();
    assert!(timed.reads(&sid).is_none());
}

/// It is all that the request has done, and others have written meanwhile.
#[test]
fn what_is_only_forgotten_is_written_however_many_write_beside_it() {
    for options in [new(), new().absolute(None), Options::express("keyboard cat")] {
        let timed = Timed::new(options.cookie(an_hour()));
        let (sid, _) = timed.logs_in(|_| {});
        let (marking, marked) = timed.app.request(&sid);
        let (forgetting, forgot) = timed.app.request(&sid);
        marked.insert("other", 1).unwrap();
        done(marked.save()).unwrap();
        marked.mark_authenticated().unwrap();
        timed.at(MINUTE);
        forgot.forget_authenticated().unwrap();
        done(forgetting.end()).unwrap();
        done(marking.end()).unwrap();
        let (exchange, session) = timed.app.request(&sid);
        assert!(matches!(session.require_recent(HOUR), Err(Error::NotRecent)));
        done(exchange.end()).unwrap();
    }
}

/// What a request has said of its end it may take back.
#[test]
fn an_end_that_was_just_set_may_be_set_again() {
    let timed = Timed::new(new().cookie(an_hour()));
    let (sid, _) = timed.logs_in(|_| {});
    timed.at(MINUTE);
    let (exchange, session) = timed.app.request(&sid);
    session.set_absolute(Duration::from_secs(1)).unwrap();
    session.set_absolute(None).unwrap();
    done(exchange.end()).unwrap();
    assert!(timed.reads(&sid).is_some());
}
