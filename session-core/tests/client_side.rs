//! Sessions that the client keeps: what differs from cookie-session in the new profile, and what they cannot do. That they are
//! cookie-session's to the byte is for the comparison with the real one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::{sync::Arc, time::Duration};

use common::{ask, done, kept};
use session_core::{
    Clock, CookieOptions, CookieSessionOptions, EmptySession, Error, Keygrip, KeygripAlgorithm, Reissue,
    SaveError, SessionHandle, Sessions, Sid,
};

fn new() -> CookieSessionOptions {
    CookieSessionOptions::new(["key1"])
}

/// What a visitor has after a login.
fn logged_in(sessions: &Sessions) -> Vec<String> {
    let (exchange, session) = ask(sessions, &[]);
    assert!(session.is_new());
    session.insert("user", "tj").unwrap();
    done(exchange.end()).unwrap()
}

#[test]
fn a_session_comes_back_with_its_client() {
    let sessions = new().build().unwrap();
    let set = logged_in(&sessions);
    assert_eq!(set.len(), 2, "the session and its signature");
    let (exchange, session) = ask(&sessions, &kept(&set));
    assert!(!session.is_new());
    assert_eq!(session.get::<String>("user").unwrap().as_deref(), Some("tj"));
    assert_eq!(done(exchange.end()).unwrap(), Vec::<String>::new(), "nothing has changed");
    // Nor is anything set for one that nobody asked for, or a visitor without data.
    assert!(done(sessions.exchange().end()).unwrap().is_empty());
    let (exchange, _session) = ask(&sessions, &[]);
    assert!(done(exchange.end()).unwrap().is_empty());
}

#[test]
fn what_needs_a_store_says_so() {
    let sessions = new().build().unwrap();
    let (_exchange, session) = ask(&sessions, &kept(&logged_in(&sessions)));
    let why = |result: Result<(), Error>| match result {
        Err(error @ Error::NoStore(_)) => error.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(why(session.id().map(drop)).starts_with("id: the client keeps this session in its cookie"));
    assert!(why(done(session.reload())).starts_with("reload: "));
    assert!(why(done(session.renew_id())).starts_with("renew_id: "));
    assert!(why(done(sessions.load(&Sid::random())).map(drop)).starts_with("load: "));
    assert!(done(sessions.store().get(&Sid::random())).is_err());
    assert_eq!(session.get::<String>("user").unwrap().as_deref(), Some("tj"), "and nothing is lost");
}

#[test]
fn what_needs_none_works() {
    let sessions = new().build().unwrap();
    let (exchange, session) = ask(&sessions, &[]);
    assert_eq!(done(session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1)).unwrap(), 1);
    assert_eq!(done(session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1)).unwrap(), 2);
    session.insert("flash", "hello").unwrap();
    assert_eq!(done(session.take::<String>("flash")).unwrap().as_deref(), Some("hello"));
    let refused = done(session.transaction(|draft| {
        draft.insert("n", 7)?;
        Err::<(), _>(Error::Destroyed)
    }));
    assert!(refused.is_err());
    done(session.save()).unwrap();
    let set = done(exchange.end()).unwrap();
    let (_exchange, again) = ask(&sessions, &kept(&set));
    assert_eq!((again.get::<u32>("n").unwrap(), again.len()), (Some(2), 1));
    // After the response nothing can take it to the client.
    for late in [done(session.save()), done(session.regenerate()), done(session.destroy())] {
        assert!(matches!(late, Err(Error::ResponseOut)), "{late:?}");
    }
    assert!(matches!(done(session.update("n", |_: Option<u32>| 1)), Err(Error::ResponseOut)));
    assert!(matches!(session.touch(), Err(Error::ResponseOut)));
    assert!(done(exchange.end()).unwrap().is_empty(), "asked twice, it is sent once");
}

#[test]
fn destroyed_and_unset_the_client_forgets_it() {
    let sessions = new().build().unwrap();
    let cookies = kept(&logged_in(&sessions));
    for destroys in [true, false] {
        let (exchange, session) = ask(&sessions, &cookies);
        if destroys {
            done(session.destroy()).unwrap();
            assert!(matches!(done(session.destroy()), Err(Error::Destroyed)));
        } else {
            session.unset();
        }
        assert!(session.is_destroyed() && session.insert("k", 1).is_err());
        let set = done(exchange.end()).unwrap();
        assert_eq!(set.len(), 2);
        assert!(set.iter().all(|cookie| cookie.contains("expires=Thu, 01 Jan 1970 00:00:00 GMT")), "{set:?}");
    }
    // Who has none needs not be told.
    let (exchange, session) = ask(&sessions, &[]);
    session.unset();
    assert!(done(exchange.end()).unwrap().is_empty());
    let (exchange, session) = ask(&CookieSessionOptions::express(["key1"]).build().unwrap(), &[]);
    session.unset();
    assert_eq!(done(exchange.end()).unwrap().len(), 2, "as cookie-session does");
}

#[test]
fn regenerated_it_is_empty() {
    let sessions = new().build().unwrap();
    let (exchange, session) = ask(&sessions, &kept(&logged_in(&sessions)));
    done(session.regenerate()).unwrap();
    session.insert("role", "admin").unwrap();
    let (_exchange, again) = ask(&sessions, &kept(&done(exchange.end()).unwrap()));
    assert_eq!(again.keys(), ["role"]);
}

/// Whatever becomes of one that was replaced by an empty one.
#[test]
fn regenerated_and_left_empty_it_is_no_more() {
    let empty = std::collections::BTreeMap::<String, u32>::new();
    for options in [new(), new().empty_session(EmptySession::Kept), CookieSessionOptions::express(["key1"])] {
        let sessions = options.build().unwrap();
        let cookies = kept(&logged_in(&sessions));
        for then_replaced in [false, true] {
            let (exchange, session) = ask(&sessions, &cookies);
            done(session.regenerate()).unwrap();
            if then_replaced {
                session.replace(&empty).unwrap();
            }
            let set = done(exchange.end()).unwrap();
            assert_eq!(set.len(), 2);
            assert!(set.iter().all(|cookie| cookie.contains("expires=Thu, 01 Jan 1970")), "{set:?}");
        }
    }
}

/// Browsers would drop it in silence, and the visitor would be as before.
#[test]
fn what_does_not_fit_is_an_error_before_the_response() {
    let sessions = new().build().unwrap();
    let (exchange, session) = ask(&sessions, &[]);
    session.insert("text", "x".repeat(4_000)).unwrap();
    let error = done(exchange.end()).unwrap_err();
    assert!(error.cookies().is_empty());
    let Error::CookieTooLarge { size, limit: 4_096 } = *error.error() else { panic!("{error:?}") };
    assert!(size > 5_300, "{size}");
    // What fits by a byte goes out: name and value.
    let exact = new().max_size(size).build().unwrap();
    let (exchange, session) = ask(&exact, &[]);
    session.insert("text", "x".repeat(4_000)).unwrap();
    assert_eq!(done(exchange.end()).unwrap()[0].split(';').next().unwrap().len(), size + "=".len());
    for options in [
        new().max_size(size - 1).save_error(SaveError::Log),
        new().max_size(None),
        CookieSessionOptions::express(["key1"]),
    ] {
        let is_sent = !format!("{options:?}").contains(&format!("max_size: Some({})", size - 1));
        let (exchange, session) = ask(&options.build().unwrap(), &[]);
        session.insert("text", "x".repeat(4_000)).unwrap();
        assert_eq!(done(exchange.end()).unwrap().is_empty(), !is_sent);
    }
}

/// cookie-session sends the signature alone, without the attributes, and a session that shall outlive the browser ends with it.
#[test]
fn an_older_keys_session_is_sent_again_whole() {
    let hour = || CookieOptions::new().max_age(Duration::from_secs(3_600));
    let cookies = kept(&logged_in(&new().cookie(hour()).build().unwrap()));
    let rotated = |options: CookieSessionOptions| {
        let sessions = options.cookie(hour()).build().unwrap();
        let (exchange, session) = ask(&sessions, &cookies);
        assert!(!session.is_new());
        done(exchange.end()).unwrap()
    };
    let keys = || Keygrip::new(["key2", "key1"]);
    let both = rotated(CookieSessionOptions::new(keys()));
    assert_eq!(both.len(), 2);
    assert!(both.iter().all(|cookie| cookie.contains("; expires=") && cookie.contains("; samesite=lax")));
    let one = rotated(CookieSessionOptions::new(keys()).reissue(Reissue::SignatureOnly));
    assert!(one.len() == 1 && one[0].starts_with("session.sig=") && !one[0].contains("expires"), "{one:?}");
    let sha256 = keys().algorithm(KeygripAlgorithm::Sha256);
    assert_eq!(rotated(CookieSessionOptions::express(sha256)), one, "the digest of the new profile");
}

#[test]
fn a_session_that_is_replaced_by_an_empty_one_is_gone_from_its_client() {
    let empty = std::collections::BTreeMap::<String, u32>::new();
    for (options, sent) in [(new(), 2), (new().empty_session(EmptySession::Kept), 0)] {
        let sessions = options.build().unwrap();
        let cookies = kept(&logged_in(&sessions));
        let (exchange, session) = ask(&sessions, &cookies);
        session.replace(&empty).unwrap();
        assert!(session.is_new() && session.is_empty());
        assert_eq!(done(exchange.end()).unwrap().len(), sent);
        // By one with data it is another session, also after it was unset.
        let (exchange, session) = ask(&sessions, &cookies);
        session.unset();
        session.replace(&std::collections::BTreeMap::from([("n", 1)])).unwrap();
        let (_exchange, again) = ask(&sessions, &kept(&done(exchange.end()).unwrap()));
        assert_eq!(again.keys(), ["n"]);
    }
    // Where there is a store, only the data are replaced.
    let stored = session_core::Options::new("keyboard cat").build().unwrap();
    let (_exchange, session) = ask(&stored, &[]);
    session.insert("k", 1).unwrap();
    session.replace(&std::collections::BTreeMap::from([("n", 1)])).unwrap();
    assert_eq!(session.keys(), ["n"]);
    assert!(matches!(
        session.replace(&std::collections::BTreeMap::from([("cookie", 1)])),
        Err(Error::ReservedKey(_))
    ));
    session.unset();
    assert!(matches!(session.replace(&empty), Err(Error::Destroyed)));
}

#[test]
fn over_an_insecure_connection_nothing_goes_out_that_is_for_secure_ones() {
    let sessions = new().cookie(CookieOptions::new().secure(true)).build().unwrap();
    assert_eq!(sessions.cookie_name(), "__Host-session");
    assert!(logged_in(&sessions).is_empty());
    // Nor the signature alone.
    let old = new().name("s").build().unwrap();
    let cookies = kept(&logged_in(&old));
    let secure = CookieOptions::new().secure(true);
    let rotated = CookieSessionOptions::new(["key2", "key1"]).name("s").cookie(secure);
    let rotated = rotated.reissue(Reissue::SignatureOnly).build().unwrap();
    let (exchange, session) = ask(&rotated, &cookies);
    assert!(!session.is_new() && done(exchange.end()).unwrap().is_empty());
}

#[test]
fn what_cannot_work_is_refused_by_name() {
    for (option, options) in [
        ("keys", CookieSessionOptions::new(Vec::<&str>::new())),
        ("keys", CookieSessionOptions::express(["good", ""])),
        ("keys", CookieSessionOptions::express("")),
        ("name", new().name("a b")),
        ("proxy", new().proxy(session_core::Proxy::peers(["everybody"]))),
    ] {
        assert_eq!(options.build().unwrap_err().option(), option);
    }
    assert!(CookieSessionOptions::new(Vec::<&str>::new()).signed(false).build().is_ok());
    let shown = format!("{:?}", CookieSessionOptions::new("hunter2"));
    assert!(!shown.contains("hunter2") && shown.contains("max_size"), "{shown}");
}

/// What it says is never seen. Its signature stays: it may be of another instance's newer key.
#[test]
fn a_session_that_somebody_has_changed_is_none() {
    let sessions = new().build().unwrap();
    let cookies = kept(&logged_in(&sessions));
    let forged = cookies[0].replacen("session=e", "session=f", 1);
    let (exchange, session) = ask(&sessions, &[forged]);
    assert!(session.is_new() && session.is_empty());
    assert!(done(exchange.end()).unwrap().is_empty());
}

/// Deeper than any application nests: each level would cost stack, and a client that needs no key could send as many as fit.
#[test]
fn a_payload_as_deep_as_a_header_is_long_is_none() {
    let sessions = new().signed(false).build().unwrap();
    for (depth, is_new) in [(128, false), (129, true), (5_000, true)] {
        let json = format!(r#"{{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        let cookie = format!("session={}", session_core::cookie_session_value(&json));
        assert_eq!(ask(&sessions, &[cookie]).1.is_new(), is_new, "{depth}");
    }
}

/// In both directions: what would not come back is not sent.
#[test]
fn what_would_not_be_read_again_is_an_error() {
    let sessions = new().max_size(None).build().unwrap();
    for (depth, scalar, comes_back) in
        [(128, "", true), (129, "", false), (127, "1", true), (128, "1", false), (127, r#""[\"[""#, true)]
    {
        let (exchange, session) = ask(&sessions, &[]);
        session.insert("user", "tj").unwrap();
        let json = format!("{}{scalar}{}", "[".repeat(depth), "]".repeat(depth));
        session.insert("deep", serde_json::value::RawValue::from_string(json).unwrap()).unwrap();
        match (done(session.save()), done(exchange.end())) {
            (Ok(()), Ok(set)) => {
                assert!(comes_back, "{depth}");
                assert_eq!(ask(&sessions, &kept(&set)).1.len(), 2);
            }
            (Err(Error::TooDeep { limit: 128 }), Err(error)) => {
                assert!(!comes_back && matches!(error.error(), Error::TooDeep { .. }), "{depth}");
            }
            other => panic!("{depth} {other:?}"),
        }
    }
    let (exchange, session) = ask(&sessions, &[]);
    session.insert("text", "x".repeat(13_000)).unwrap();
    assert!(matches!(done(session.save()), Err(Error::CookieTooLarge { .. })));
    assert!(matches!(done(exchange.end()).unwrap_err().error(), Error::CookieTooLarge { .. }));
}

/// The user's number, say: a double would be another user's.
#[test]
fn large_integers_stay_what_they_are() {
    let numbers = (1_234_567_890_123_456_789_u64, u64::MAX, i64::MIN);
    let come_back = |options: CookieSessionOptions| {
        let sessions = options.build().unwrap();
        let (exchange, session) = ask(&sessions, &[]);
        session.insert("ids", numbers).unwrap();
        let cookies = kept(&done(exchange.end()).unwrap());
        let (exchange, session) = ask(&sessions, &cookies);
        let same = session.get::<(u64, u64, i64)>("ids").is_ok_and(|ids| ids == Some(numbers));
        (same, done(exchange.end()).unwrap().len())
    };
    assert_eq!(come_back(new()), (true, 0));
    // JavaScript has no others than doubles.
    assert_eq!(come_back(CookieSessionOptions::express("key1")), (false, 2));
}

#[test]
fn a_changed_lifetime_is_sent_by_itself() {
    for (options, sent) in [(new(), 2), (CookieSessionOptions::express("key1"), 0)] {
        let sessions = options.build().unwrap();
        let (exchange, session) = ask(&sessions, &kept(&logged_in(&sessions)));
        session.set_max_age(Some(Duration::from_secs(86_400))).unwrap();
        let set = done(exchange.end()).unwrap();
        assert_eq!(set.len(), sent);
        assert!(set.iter().all(|cookie| cookie.contains("; expires=")));
    }
    // Also to what it is: nobody knows since when the client has it. So an active user stays.
    let day = || Duration::from_secs(86_400);
    let (_, clock) = common::clock();
    let sessions = new().cookie(CookieOptions::new().max_age(day())).clock(clock).build().unwrap();
    let cookies = kept(&logged_in(&sessions));
    for touches in [false, true] {
        let (exchange, session) = ask(&sessions, &cookies);
        if touches {
            session.touch().unwrap();
        } else {
            session.set_max_age(Some(day())).unwrap();
        }
        assert_eq!(done(exchange.end()).unwrap().len(), 2, "{touches}");
    }
    // None at all ends the session, and not with the browser.
    let sessions = new().build().unwrap();
    let (exchange, session) = ask(&sessions, &kept(&logged_in(&sessions)));
    session.set_max_age(Some(Duration::ZERO)).unwrap();
    assert!(done(exchange.end()).unwrap()[0].contains("; expires=Thu, 01 Jan 1970 00:00:00 GMT"));
}

/// A date is no lifetime: it does not move while a handler is at work.
#[test]
fn a_date_stays_where_it_is() {
    let later = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let date = std::time::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
    // Within what browsers keep.
    let (start, now) = (date - Duration::from_secs(86_400 * 300), Arc::clone(&later));
    let passed = move || Duration::from_millis(now.load(std::sync::atomic::Ordering::SeqCst) as u64);
    let clock = Clock::new(move || start + passed());
    let with_date = CookieOptions::new().expires(date);
    type Set = fn(&SessionHandle, std::time::SystemTime);
    let max_age = CookieOptions::new().max_age(Duration::from_secs(60));
    let cases: [(CookieOptions, Set); 7] = [
        (with_date.clone(), |_, _| {}),
        (with_date.clone(), |session, _| session.update_cookie(|cookie| cookie.set_path("/a")).unwrap()),
        (with_date, |session, _| session.touch().unwrap()),
        (CookieOptions::new(), |session, date| session.set_expires(Some(date)).unwrap()),
        (CookieOptions::new(), |session, date| {
            session.set_expires(Some(date)).unwrap();
            session.touch().unwrap();
        }),
        (max_age.clone(), |session, date| {
            let now = date - Duration::from_secs(86_400);
            session.update_cookie(|cookie| cookie.set_expires(Some(date), now)).unwrap();
        }),
        // To where it ends already.
        (max_age, |session, date| {
            session.set_expires(Some(date)).unwrap();
            session.set_expires(session.cookie().expires()).unwrap();
        }),
    ];
    for (cookie, set) in cases {
        let sessions = new().cookie(cookie).clock(clock.clone()).build().unwrap();
        let (exchange, session) = ask(&sessions, &[]);
        session.insert("k", 1).unwrap();
        set(&session, date);
        later.fetch_add(2_100, std::sync::atomic::Ordering::SeqCst);
        assert!(done(exchange.end()).unwrap()[0].contains("; expires=Tue, 02 Oct 2096 07:06:40 GMT"));
        assert_eq!(session.cookie().expires(), Some(date));
    }
    // An end that a max age gives, set as a date, is one.
    let minute = new().cookie(CookieOptions::new().max_age(Duration::from_secs(60)));
    let sessions = minute.clock(clock).build().unwrap();
    let expires = |sets_date: bool, takes: usize| {
        let (exchange, session) = ask(&sessions, &[]);
        session.insert("k", 1).unwrap();
        if sets_date {
            session.set_expires(session.cookie().expires()).unwrap();
        }
        later.fetch_add(takes, std::sync::atomic::Ordering::SeqCst);
        let sent = done(exchange.end()).unwrap().remove(0);
        sent.split("; expires=").nth(1).unwrap().split(';').next().unwrap().to_owned()
    };
    let now = expires(false, 0);
    assert_eq!(expires(true, 30_000), now);
    assert_ne!(expires(false, 0), now);
}

/// In the millisecond in which it was set it has no time left: that is no max age of nothing.
#[test]
fn a_date_that_is_now_ends_the_session() {
    let (_, clock) = common::clock();
    let sessions = CookieSessionOptions::express(["key1"]).clock(clock.clone()).build().unwrap();
    let (exchange, session) = ask(&sessions, &[]);
    session.insert("k", 1).unwrap();
    session.set_expires(Some(clock.now())).unwrap();
    assert!(done(exchange.end()).unwrap().iter().all(|cookie| cookie.contains("; expires=")));
    let (exchange, session) = ask(&sessions, &[]);
    session.insert("k", 1).unwrap();
    session.set_max_age(Some(Duration::ZERO)).unwrap();
    assert!(done(exchange.end()).unwrap().iter().all(|cookie| !cookie.contains("; expires=")));
}

#[test]
fn of_two_handles_none_loses_what_the_other_has_done() {
    let sessions = new().build().unwrap();
    let (_exchange, session) = ask(&sessions, &[]);
    let other = session.clone();
    let mut is_first = true;
    let sum = done(session.update("n", |n: Option<u32>| {
        if std::mem::take(&mut is_first) {
            assert_eq!(done(other.update("n", |n: Option<u32>| n.unwrap_or(0) + 10)).unwrap(), 10);
        }
        n.unwrap_or(0) + 1
    }));
    assert_eq!(sum.unwrap(), 11);
    // What is set meanwhile is no atomic change: both stay, and nothing is asked again.
    let mut asked = 0;
    let sum = done(session.update("n", |n: Option<u32>| {
        asked += 1;
        session.insert("seen", true).unwrap();
        n.unwrap_or(0) + 1
    }));
    assert_eq!((sum.unwrap(), asked, session.get("seen").unwrap()), (12, 1, Some(true)));
    let ended = done(session.update("n", |_: Option<u32>| {
        _ = done(other.destroy());
        99
    }));
    assert!(matches!(ended, Err(Error::Destroyed)), "{ended:?}");
    assert!(matches!(session.replace(&std::collections::BTreeMap::from([("n", 1)])), Err(Error::Destroyed)));
}

/// As with a store: what the change answers is what the session then has.
#[test]
fn an_atomic_change_stands_on_top_of_what_was_set_meanwhile() {
    let sessions = new().build().unwrap();
    let meanwhile: [fn(&SessionHandle); 4] = [
        |session| session.insert("n", 100).unwrap(),
        |session| assert!(session.remove("n").unwrap()),
        |session| session.clear().unwrap(),
        |session| session.insert("m", 1).unwrap(),
    ];
    for set in meanwhile {
        let (_exchange, session) = ask(&sessions, &[]);
        session.insert("n", 5).unwrap();
        let made = done(session.update("n", |n: Option<u32>| {
            set(&session);
            n.unwrap_or(0) + 1
        }));
        assert_eq!((made.unwrap(), session.get("n").unwrap()), (6, Some(6)));
    }
    // Of another session it is made anew.
    let another: [fn(&SessionHandle); 2] = [
        |session| done(session.regenerate()).unwrap(),
        |session| session.replace(&std::collections::BTreeMap::from([("user", "jd")])).unwrap(),
    ];
    for (set, greeting) in another.into_iter().zip(["hello nobody", "hello jd"]) {
        let (_exchange, session) = ask(&sessions, &[]);
        session.insert("user", "tj").unwrap();
        let mut is_first = true;
        done(session.transaction(|draft| {
            let user: Option<String> = draft.get("user")?;
            if std::mem::take(&mut is_first) {
                set(&session);
            }
            draft.insert("greeting", format!("hello {}", user.as_deref().unwrap_or("nobody")))
        }))
        .unwrap();
        assert_eq!(session.get::<String>("greeting").unwrap().as_deref(), Some(greeting));
    }
}

/// A sibling host may set one of the same name, and browsers send that first.
#[test]
fn another_applications_cookie_hides_none_of_ours() {
    let sessions = new().build().unwrap();
    let ours = kept(&logged_in(&sessions)).remove(0);
    for cookies in [
        format!("session=x; {ours}"),
        format!("session=x; session.sig=y; {ours}"),
        format!("{ours}; session=x; session.sig=y"),
    ] {
        let (exchange, session) = ask(&sessions, &[cookies]);
        assert_eq!(session.len(), 1);
        assert!(done(exchange.end()).unwrap().is_empty());
    }
    // So many are looked at.
    let many = "session=x; ".repeat(8);
    assert!(ask(&sessions, &[format!("{many}{ours}")]).1.is_new());
    // cookie-session takes the first, and has its signature forgotten.
    let express = CookieSessionOptions::express(["key1"]).build().unwrap();
    let ours = kept(&logged_in(&express)).remove(0);
    let (exchange, session) = ask(&express, &[format!("session=x; {ours}")]);
    assert!(session.is_new() && done(exchange.end()).unwrap().len() == 1);
}

/// Each letter is a key, and each key an index: in one pass, and no more than a header of Node's can hold.
#[test]
fn many_keys_of_a_client_cost_no_more_than_their_number() {
    let sessions = new().signed(false).build().unwrap();
    let cookie = |letters: usize| {
        let json = format!("\"{}\"", "a".repeat(letters));
        vec![format!("session={}", session_core::cookie_session_value(&json))]
    };
    assert_eq!(ask(&sessions, &cookie(12_000)).1.len(), 12_000);
    assert!(ask(&sessions, &cookie(13_000)).1.is_new());
}

/// After a rotation: the client keeps it, and who only reads it is served.
#[test]
fn what_does_not_fit_any_more_and_has_not_changed_stays() {
    let sessions = new().build().unwrap();
    let cookies = kept(&logged_in(&sessions));
    let rotated = CookieSessionOptions::new(["key2", "key1"]).max_size(10).build().unwrap();
    let (exchange, session) = ask(&rotated, &cookies);
    assert_eq!(session.len(), 1);
    assert!(done(exchange.end()).unwrap().is_empty());
    // Unless it was to live for another time; and one that is to end needs no room.
    let (exchange, session) = ask(&rotated, &cookies);
    session.set_max_age(Some(Duration::from_secs(60))).unwrap();
    assert!(done(exchange.end()).is_err());
    let (exchange, session) = ask(&rotated, &cookies);
    session.set_max_age(Some(Duration::ZERO)).unwrap();
    assert!(done(exchange.end()).unwrap()[0].starts_with("session=; "));
}

/// UTF-8 has no such keys.
#[test]
fn keys_that_are_no_text_are_one_key() {
    let sessions = new().signed(false).build().unwrap();
    let json = r#"{"\ud800":1,"a":2,"\ud801":3}"#;
    let (_exchange, session) =
        ask(&sessions, &[format!("session={}", session_core::cookie_session_value(json))]);
    assert_eq!(session.len(), 2);
}

/// Browsers would drop it.
#[test]
fn what_browsers_refuse_is_not_sent() {
    let none = CookieOptions::new().same_site(session_core::SameSite::None);
    let sessions = new().cookie(none.clone()).build().unwrap();
    assert!(logged_in(&sessions).is_empty());
    // What it has from before it is to forget all the same.
    let (exchange, session) = ask(&sessions, &kept(&logged_in(&new().build().unwrap())));
    done(session.destroy()).unwrap();
    let set = done(exchange.end()).unwrap();
    assert!(set.len() == 2 && set.iter().all(|cookie| !cookie.contains("samesite")), "{set:?}");
    let sent = logged_in(&CookieSessionOptions::express("key1").cookie(none).build().unwrap());
    assert_eq!(sent.len(), 2, "as cookie-session does; a warning tells");
}

/// The browser would go on with what was to be no more.
#[test]
fn what_was_to_be_another_session_and_does_not_fit_is_forgotten() {
    type Begins = fn(&SessionHandle);
    let begins: [Begins; 2] = [
        |session| done(session.regenerate()).unwrap(),
        |session| {
            session.unset();
            session.replace(&std::collections::BTreeMap::from([("user", "jd")])).unwrap();
        },
    ];
    for begins in begins {
        for logs in [false, true] {
            let options = if logs { new().save_error(SaveError::Log) } else { new() };
            let sessions = options.build().unwrap();
            let (exchange, session) = ask(&sessions, &kept(&logged_in(&sessions)));
            begins(&session);
            session.insert("text", "x".repeat(4_000)).unwrap();
            let set = done(exchange.end()).or_else(|error| {
                assert!(!logs && matches!(error.error(), Error::CookieTooLarge { .. }));
                Ok::<_, Error>(error.cookies().to_vec())
            });
            let set = set.unwrap();
            assert_eq!(set.len(), 2);
            assert!(
                set[0].starts_with("session=; ") && set.iter().all(|cookie| cookie.contains("1970")),
                "{set:?}"
            );
        }
        // Who has none needs not be told.
        let (exchange, session) = ask(&new().build().unwrap(), &[]);
        begins(&session);
        session.insert("text", "x".repeat(4_000)).unwrap();
        assert!(done(exchange.end()).unwrap_err().cookies().is_empty());
    }
}
