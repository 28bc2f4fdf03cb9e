//! Tokens, what opens them, and what cannot be carried.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::sync::Arc;

use session_core::{
    Carrier, CookieOptions, CookieSessionOptions, Error, Exchange, MemoryStore, Options, OptionsError,
    RequestInfo, ResponseHeaders, SealedSessionOptions, SessionHandle, Sessions, Sid, StoreError,
};
use session_testkit::{Call, Captured, FailingStore, ManualClock, RecordingStore};

const SECRET: [u8; 32] = [7; 32];

#[derive(Default)]
struct Headers(Vec<(String, Vec<u8>)>);

impl ResponseHeaders for Headers {
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

impl Headers {
    fn get(&self, name: &str) -> Option<String> {
        let mut of_name = self.0.iter().filter(|(other, _)| other == name);
        let value = of_name.next().map(|(_, value)| String::from_utf8(value.clone()).unwrap());
        assert!(of_name.next().is_none(), "{name} is there twice");
        value
    }
}

type Asked = Result<(Exchange, Option<SessionHandle>), Error>;

async fn ask(sessions: &Sessions, headers: &[(&str, &str)]) -> Asked {
    let exchange = sessions.exchange();
    let each = |visit: &mut dyn FnMut(&str, &[u8])| {
        headers.iter().for_each(|(name, value)| visit(name, value.as_bytes()));
    };
    let asking = exchange.session(&RequestInfo::new("/", false, &each));
    let session = asking.await?;
    Ok((exchange, session))
}

async fn end(exchange: &Exchange) -> Headers {
    let (outgoing, saved) = exchange.finish().await;
    saved.unwrap();
    let mut headers = Headers::default();
    outgoing.apply(&mut headers);
    headers
}

/// One request: what its response has.
async fn request(
    sessions: &Sessions,
    headers: &[(&str, &str)],
    handler: impl AsyncFnOnce(&SessionHandle),
) -> Headers {
    let (exchange, session) = ask(sessions, headers).await.unwrap();
    handler(&session.unwrap()).await;
    end(&exchange).await
}

fn by_header(options: Options) -> Sessions {
    options.carriers([Carrier::header("x-session")]).build().unwrap()
}

async fn log_in(session: &SessionHandle) {
    session.insert("user", "tj").unwrap();
}

#[test]
fn a_token_is_that_of_what_is_stored() {
    session_testkit::run(async {
        let sessions = Options::new(SECRET).store(MemoryStore::new()).build().unwrap();
        let (exchange, session) = ask(&sessions, &[]).await.unwrap();
        let session = session.unwrap();
        log_in(&session).await;
        assert_eq!(session.token().unwrap(), None, "nobody could find it");
        session.save().await.unwrap();
        let first = session.token().unwrap().unwrap();
        session.renew_id().await.unwrap();
        let second = session.token().unwrap().unwrap();
        assert_ne!(first, second);
        exchange.end().await.unwrap();
        assert!(sessions.resume(&first).await.unwrap().is_none());
        let resumed = sessions.resume(&second).await.unwrap().unwrap();
        assert_eq!(
            (resumed.carrier(), resumed.get("user").unwrap()),
            (Carrier::Application, Some("tj".to_owned()))
        );
        assert_eq!(resumed.token().unwrap().as_deref(), Some(&*second));
        resumed.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await.unwrap();
        let again = sessions.resume(&second).await.unwrap().unwrap();
        assert_eq!(again.get("n").unwrap(), Some(1));
        again.destroy().await.unwrap();
        assert_eq!(again.token().unwrap(), None);
        assert!(sessions.resume(&second).await.unwrap().is_none());
        let loaded = sessions.load(&Sid::random()).await.unwrap();
        assert!(loaded.is_none());
    });
}

#[test]
fn what_is_no_token_asks_no_store() {
    session_testkit::run(async {
        let store = RecordingStore::new(MemoryStore::new());
        let sessions = Options::new(SECRET).store(Arc::clone(&store)).build().unwrap();
        let mut token = String::new();
        request(&sessions, &[], async |session| {
            log_in(session).await;
            session.save().await.unwrap();
            token = session.token().unwrap().unwrap();
        })
        .await;
        store.calls();
        let other = Options::new([8; 32]).store(Arc::clone(&store)).build().unwrap();
        for (sessions, token) in [
            (&sessions, ""),
            (&sessions, "x"),
            (&sessions, &token[1..]),
            (&sessions, &token.repeat(100)),
            (&other, &token),
        ] {
            assert!(sessions.resume(token).await.unwrap().is_none());
        }
        assert_eq!(store.calls(), []);
        // As a cookie has it, encoded or not.
        for token in [token.clone(), format!("s:{token}"), format!("s%3A{token}")] {
            assert!(sessions.resume(&token).await.unwrap().is_some());
            assert_eq!(store.calls(), [Call::Get]);
        }
    });
}

#[test]
fn sessions_that_their_clients_keep_have_no_other_carrier_and_no_token() {
    let is_refused = |built: Result<Sessions, OptionsError>| {
        let error = built.unwrap_err();
        assert!(error.option() == "carriers" && error.to_string().contains("in its cookie"), "{error}");
    };
    for carriers in [vec![Carrier::bearer()], vec![Carrier::Cookie, Carrier::header("x-session")]] {
        is_refused(CookieSessionOptions::new("key1").carriers(carriers.clone()).build());
        is_refused(CookieSessionOptions::express("key1").carriers(carriers.clone()).build());
        is_refused(SealedSessionOptions::new(SECRET).carriers(carriers).build());
    }
    session_testkit::run(async {
        for built in [
            CookieSessionOptions::new("key1").carriers([Carrier::Cookie]).build(),
            SealedSessionOptions::new(SECRET).carriers([Carrier::Cookie]).build(),
        ] {
            let sessions = built.unwrap();
            let (_, session) = ask(&sessions, &[]).await.unwrap();
            let session = session.unwrap();
            assert_eq!(session.carrier(), Carrier::Cookie);
            assert!(matches!(session.token(), Err(Error::NoStore("token"))));
            assert!(matches!(sessions.resume("x").await, Err(Error::NoStore("resume"))));
        }
    });
}

#[test]
fn different_ids_are_told_as_a_warning_without_them() {
    session_testkit::run(async {
        let carriers = [Carrier::Cookie, Carrier::header("x-session")];
        let sessions = Options::new(SECRET).store(MemoryStore::new()).carriers(carriers).build().unwrap();
        let mut tokens = Vec::new();
        for _ in 0..2 {
            let headers =
                request(&sessions, &[("x-session", &*format!("x.{}", "x".repeat(43)))], log_in).await;
            tokens.push(headers.get("x-session").unwrap());
        }
        let cookie = |tokens: &[&str]| {
            let each = tokens.iter().map(|token| format!("sid=s:{token}"));
            each.collect::<Vec<_>>().join("; ")
        };
        let (one, other) = (&*tokens[0], &*tokens[1]);
        let mut is_first = true;
        for headers in [
            [("cookie", cookie(&[one])), ("x-session", other.into())],
            // Which of the two cookies is meant is not known.
            [("cookie", cookie(&[one, other])), ("x-session", one.into())],
            [("cookie", cookie(&[other, one])), ("x-session", one.into())],
            [("x-session", one.into()), ("x-session", other.into())],
        ] {
            let headers = headers.each_ref().map(|(name, value)| (*name, &**value));
            let log = Captured::begin();
            let Err(error) = ask(&sessions, &headers).await else { panic!("{headers:?}") };
            assert!(matches!(error, Error::ConflictingIds) && error.status() == 400);
            let warned = log.lines("WARN");
            let warned: Vec<_> =
                warned.iter().filter(|line| line.contains("different session ids")).collect();
            assert_eq!(
                (warned.len(), log.lines("ERROR").len()),
                (usize::from(is_first), 0),
                "{}",
                log.text()
            );
            assert!(log.text().contains("different session ids"));
            is_first = false;
            for token in &tokens {
                assert!(!log.text().contains(token.split('.').next().unwrap()), "{}", log.text());
            }
        }
        // Several cookies alone are as the option for them has it.
        let both = cookie(&[one, other]);
        assert!(ask(&sessions, &[("cookie", &both)]).await.is_ok());
    });
}

fn by_both(options: Options) -> Sessions {
    options.carriers([Carrier::Cookie, Carrier::header("x-session")]).build().unwrap()
}

/// A session by the header, and its token.
async fn begun(sessions: &Sessions) -> String {
    let log_in_saved = async |session: &SessionHandle| {
        log_in(session).await;
        session.save().await.unwrap();
        session.token().unwrap().unwrap()
    };
    let (exchange, session) = ask(sessions, &[]).await.unwrap();
    let token = log_in_saved(&session.unwrap()).await;
    exchange.end().await.unwrap();
    token
}

#[test]
fn an_id_that_is_dead_refuses_nothing() {
    session_testkit::run(async {
        let sessions = by_both(Options::new(SECRET).store(MemoryStore::new()));
        let (live, dead, dead_too) = (begun(&sessions).await, begun(&sessions).await, begun(&sessions).await);
        for token in [&dead, &dead_too] {
            sessions.resume(token).await.unwrap().unwrap().destroy().await.unwrap();
        }
        let both = |cookie: &str, header: &str| [format!("sid=s:{cookie}"), header.to_owned()];
        for ([cookie, header], carrier) in [
            (both(&dead, &live), Some(Carrier::header("x-session"))),
            (both(&live, &dead), Some(Carrier::Cookie)),
            (both(&dead, &dead_too), None),
        ] {
            let headers = [("cookie", &*cookie), ("x-session", &*header)];
            let (exchange, session) = ask(&sessions, &headers).await.unwrap();
            let session = session.unwrap();
            assert_eq!(session.is_new(), carrier.is_none());
            assert_eq!(session.carrier(), carrier.clone().unwrap_or(Carrier::Cookie));
            session.insert("n", 1).unwrap();
            let answered = end(&exchange).await;
            // Who has none that lives gets it by each.
            let given = (answered.get("set-cookie").is_some(), answered.get("x-session").is_some());
            assert_eq!(given, (carrier.is_none(), carrier.is_none()));
        }
        let header = [("x-session", &*dead), ("x-session", &*live)];
        request(&sessions, &header, async |session| assert!(!session.is_new())).await;
    });
}

#[test]
fn a_session_that_came_by_two_carriers_goes_back_by_both() {
    session_testkit::run(async {
        let sessions = by_both(Options::new(SECRET).store(MemoryStore::new()));
        let token = begun(&sessions).await;
        let cookie = format!("sid=s:{token}");
        let headers = [("cookie", &*cookie), ("x-session", &*token)];
        let renewed = request(&sessions, &headers, async |session| {
            assert_eq!(session.carrier(), Carrier::Cookie, "the ambient one");
            session.renew_id().await.unwrap();
        })
        .await;
        let (cookie, token) = (renewed.get("set-cookie").unwrap(), renewed.get("x-session").unwrap());
        let cookie = cookie.split(';').next().unwrap();
        let headers = [("cookie", cookie), ("x-session", &*token)];
        let ended = request(&sessions, &headers, async |session| {
            assert_eq!(session.get("user").unwrap(), Some("tj".to_owned()));
            session.destroy().await.unwrap();
        })
        .await;
        assert_eq!(ended.get("x-session").as_deref(), Some(""));
        assert!(ended.get("set-cookie").unwrap().starts_with("sid=;"), "{:?}", ended.get("set-cookie"));
        request(&sessions, &headers, async |session| assert!(session.is_new())).await;
    });
}

#[test]
fn no_token_goes_over_a_connection_that_is_not_secure_enough() {
    session_testkit::run(async {
        let secure = CookieOptions::new().secure(true);
        let options = || Options::new(SECRET).store(MemoryStore::new()).cookie(secure.clone());
        let trusting = by_header(options().proxy(true));
        for (sessions, sent) in [(by_header(options()), false), (trusting, true)] {
            let log = Captured::begin();
            let headers = request(&sessions, &[("x-forwarded-proto", "https")], log_in).await;
            assert_eq!((headers.get("x-session").is_some(), headers.get("set-cookie")), (sent, None));
            assert_eq!(log.text().contains("this one is not: it was not sent"), !sent);
        }
    });
}

/// It removes no cookie of a destroyed session either.
#[test]
fn the_express_profile_takes_no_token_back() {
    session_testkit::run(async {
        for (options, taken_back) in
            [(Options::express(SECRET), None), (Options::new(SECRET), Some(String::new()))]
        {
            let sessions = by_header(options.store(MemoryStore::new()));
            let token = request(&sessions, &[], log_in).await.get("x-session").unwrap();
            let headers = [("x-session", &*token)];
            let ended = request(&sessions, &headers, async |session| session.destroy().await.unwrap()).await;
            assert_eq!(ended.get("x-session"), taken_back);
        }
    });
}

/// It moves with the record, and there is no date to be told.
#[test]
fn a_session_that_is_used_lives_on_without_a_word() {
    session_testkit::run(async {
        let clock = ManualClock::new();
        let hour = std::time::Duration::from_secs(3_600);
        let store = RecordingStore::new(MemoryStore::new().clock(clock.clock()));
        let options = Options::new(SECRET).store(Arc::clone(&store)).clock(clock.clock());
        let sessions = by_header(options.cookie(CookieOptions::new().max_age(hour)));
        let token = request(&sessions, &[], log_in).await.get("x-session").unwrap();
        for _ in 0..5 {
            clock.pass(hour / 2);
            let headers = [("x-session", &*token)];
            let answered = request(&sessions, &headers, async |session| assert!(!session.is_new())).await;
            assert_eq!(
                (answered.get("x-session"), answered.get("cache-control").as_deref()),
                (None, Some("private"))
            );
        }
        assert!(store.calls().contains(&Call::Touch));
        clock.pass(hour * 2);
        request(&sessions, &[("x-session", &*token)], async |session| assert!(session.is_new())).await;
    });
}

#[test]
fn two_layers_that_share_a_header_are_told() {
    struct Second;
    let of = |carrier: Carrier| {
        Options::new(SECRET).name("other").carriers([Carrier::Cookie, carrier]).build().unwrap()
    };
    for (carrier, told) in [(Carrier::header("X-Session"), true), (Carrier::bearer(), false)] {
        let log = Captured::begin();
        let outer = of(carrier).exchange_below::<Second>(None);
        let inner = Options::new(SECRET).carriers([Carrier::header("x-session")]).build().unwrap();
        drop(inner.exchange_below::<()>(Some(&outer)));
        assert_eq!(log.lines("ERROR").len(), usize::from(told), "{}", log.text());
        assert_eq!(log.text().contains("have a carrier in common"), told);
    }
    // And a name that one of them has no cookie under is no matter.
    let log = Captured::begin();
    let outer = of(Carrier::bearer()).exchange_below::<Second>(None);
    let inner = Options::new(SECRET).name("other").carriers([Carrier::header("x-session")]).build().unwrap();
    drop(inner.exchange_below::<()>(Some(&outer)));
    assert_eq!(log.lines("ERROR"), Vec::<String>::new());
}

#[test]
fn a_store_that_fails_is_an_error_of_resume() {
    session_testkit::run(async {
        let store = session_testkit::FailingStore::new(MemoryStore::new());
        let sessions = by_header(Options::new(SECRET).store(Arc::clone(&store)));
        let token = request(&sessions, &[], log_in).await.get("x-session").unwrap();
        store.fail_reads(true);
        let failed = sessions.resume(&token).await;
        assert!(matches!(failed, Err(Error::Store(StoreError::Unavailable { .. }))));
    });
}

/// As the documentation of `resume` has it: a handle of `resume` gets no new id.
#[test]
fn who_was_resumed_logs_in_to_a_session_of_the_request() {
    session_testkit::run(async {
        let sessions = by_header(Options::new(SECRET).store(MemoryStore::new()));
        let token = begun(&sessions).await;
        let mut new = None;
        let headers = request(&sessions, &[], async |session| {
            let resumed = sessions.resume(&token).await.unwrap().unwrap();
            assert!(matches!(resumed.renew_id().await, Err(Error::ResponseOut)));
            session.regenerate().await.unwrap();
            session.insert("user", resumed.get::<String>("user").unwrap()).unwrap();
            session.save().await.unwrap();
            resumed.destroy().await.unwrap();
            new = session.token().unwrap();
        })
        .await;
        assert_eq!(headers.get("x-session"), new);
        assert!(sessions.resume(&token).await.unwrap().is_none());
        let again = sessions.resume(&new.unwrap()).await.unwrap().unwrap();
        assert_eq!(again.get("user").unwrap(), Some("tj".to_owned()));
    });
}

#[test]
fn a_header_of_another_meaning_is_refused_however_it_is_named() {
    for name in [
        "Set-Cookie",
        "HOST",
        "Origin",
        "referer",
        "User-Agent",
        "Content-Length",
        "Connection",
        "TE",
        "Upgrade",
        "Via",
        "Date",
        "Expect",
        "Keep-Alive",
        "Trailer",
        "Transfer-Encoding",
        "Cookie",
        "Sec-Fetch-Site",
        "Proxy-Authorization",
        "Access-Control-Allow-Origin",
        "Forwarded",
        "X-Forwarded-For",
        "Authorization",
        "ETag",
        "Vary",
        "Cache-Control",
        "WWW-Authenticate",
        "Content-Security-Policy",
        "Location",
        "Content-Type",
    ] {
        for carrier in [Carrier::header(name), Carrier::Header(name.into())] {
            let built = Options::new(SECRET).store(MemoryStore::new()).carriers([carrier]).build();
            assert_eq!(built.expect_err(name).option(), "carriers", "{name}");
        }
    }
    session_testkit::run(async {
        let of = |carriers: Vec<Carrier>| {
            Options::new(SECRET).store(MemoryStore::new()).carriers(carriers).build()
        };
        assert!(
            of(vec![Carrier::Header("X-A".into()), Carrier::header("x-a")]).is_err(),
            "one is there twice"
        );
        let sessions = of(vec![Carrier::Header("X-Session".into())]).unwrap();
        let headers = request(&sessions, &[], log_in).await;
        assert_eq!(headers.get("vary").as_deref(), Some("x-session"));
        assert!(headers.get("x-session").is_some());
    });
}

#[test]
fn two_layers_that_answer_by_one_header_are_told_and_that_hides_no_other_warning() {
    struct Second;
    let of = |name: &str, carriers: Vec<Carrier>| {
        Options::new(SECRET).name(name).store(MemoryStore::new()).carriers(carriers).build().unwrap()
    };
    let bearer = of("one", vec![Carrier::bearer()]).exchange_below::<Second>(None);
    let cookie = of("other", vec![Carrier::Cookie]).exchange_below::<Second>(None);
    let log = Captured::begin();
    let inner = of("other", vec![Carrier::Cookie, Carrier::header("x-auth-token")]);
    drop(inner.exchange_below::<()>(Some(&bearer)));
    assert!(log.text().contains("have a carrier in common"), "{}", log.text());
    drop(inner.exchange_below::<()>(Some(&cookie)));
    assert!(log.text().contains("a cookie name in common"), "{}", log.text());
}

#[test]
fn a_token_of_an_older_secret_is_replaced_once() {
    session_testkit::run(async {
        let store = Arc::new(MemoryStore::new());
        let old = by_header(Options::new([8; 32]).store(Arc::clone(&store)));
        let token = begun(&old).await;
        let sessions = by_header(Options::new([SECRET, [8; 32]]).store(Arc::clone(&store)));
        let change = async |session: &SessionHandle| {
            assert!(!session.is_new());
            session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await.unwrap();
        };
        let replaced = request(&sessions, &[("x-session", &*token)], change).await.get("x-session").unwrap();
        assert_ne!(replaced, token);
        let headers = request(&sessions, &[("x-session", &*replaced)], change).await;
        assert_eq!(headers.get("x-session"), None);
    });
}

#[test]
fn a_bearer_of_another_system_is_not_taken_for_a_token() {
    session_testkit::run(async {
        let carriers = [Carrier::Cookie, Carrier::bearer()];
        let sessions = Options::new(SECRET).store(MemoryStore::new()).carriers(carriers).build().unwrap();
        let signature = "x".repeat(43);
        for (value, is_shown) in [
            (format!("Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ0aiJ9.{signature}"), false),
            ("Bearer mF_9.B5f-4.1JqM".into(), false),
            ("Bearer x.y".into(), false),
            (format!("Bearer .{signature}"), false),
            (format!("Bearer x.{signature}"), true),
            (format!("Bearer s%3Ax.{signature}"), true),
        ] {
            let headers = request(&sessions, &[("authorization", &*value)], log_in).await;
            let given = (headers.get("set-cookie").is_some(), headers.get("x-auth-token").is_some());
            assert_eq!(given, (!is_shown, is_shown), "{value}");
        }
    });
}

#[test]
fn what_is_answered_to_a_session_of_a_header_is_for_no_shared_cache() {
    session_testkit::run(async {
        let sessions = by_both(Options::new(SECRET).store(MemoryStore::new()));
        let token = begun(&sessions).await;
        let cookie = format!("sid=s:{token}");
        for (header, value, before, after) in [
            ("x-session", &token, "public, max-age=60", "public, max-age=60, private"),
            ("x-session", &token, "no-store", "no-store"),
            ("x-session", &token, "max-age=60, private", "max-age=60, private"),
            ("cookie", &cookie, "max-age=60", "max-age=60"),
            ("accept", &cookie, "max-age=60", "max-age=60"),
        ] {
            let (exchange, _session) = ask(&sessions, &[(header, &**value)]).await.unwrap();
            let (outgoing, saved) = exchange.finish().await;
            saved.unwrap();
            let mut headers = Headers(vec![("cache-control".into(), before.into())]);
            outgoing.apply(&mut headers);
            assert_eq!(headers.get("cache-control").as_deref(), Some(after), "{header}");
        }
    });
}

/// A session that is resumed lives on where it is touched and saved.
#[test]
fn to_read_what_was_resumed_keeps_no_session_alive_and_to_save_it_does() {
    session_testkit::run(async {
        for is_saved in [false, true] {
            let clock = ManualClock::new();
            let hour = std::time::Duration::from_secs(3_600);
            let options =
                Options::new(SECRET).store(MemoryStore::new().clock(clock.clock())).clock(clock.clock());
            let sessions = by_header(options.cookie(CookieOptions::new().max_age(hour)));
            let token = begun(&sessions).await;
            clock.pass(hour * 2 / 3);
            let resumed = sessions.resume(&token).await.unwrap().unwrap();
            assert_eq!(resumed.get("user").unwrap(), Some("tj".to_owned()));
            if is_saved {
                resumed.touch().unwrap();
                resumed.save().await.unwrap();
            }
            clock.pass(hour * 2 / 3);
            assert_eq!(sessions.resume(&token).await.unwrap().is_some(), is_saved);
        }
    });
}

/// Of two cookies the first that lives counts, whatever dead thing comes beside them.
#[test]
fn a_dead_id_beside_two_cookies_refuses_nothing() {
    session_testkit::run(async {
        let sessions = by_both(Options::new(SECRET).store(MemoryStore::new()));
        let [first, second, dead] = [begun(&sessions).await, begun(&sessions).await, begun(&sessions).await];
        sessions.resume(&dead).await.unwrap().unwrap().destroy().await.unwrap();
        let cookies = format!("sid=s:{first}; sid=s:{second}");
        let headers = [("cookie", &*cookies), ("x-session", &*dead)];
        let expected = sessions.resume(&first).await.unwrap().unwrap().id().unwrap();
        request(&sessions, &headers, async |session| assert_eq!(session.id().unwrap(), expected)).await;
        // And what lives is refused beside the one that would count.
        let other = begun(&sessions).await;
        let headers = [("cookie", &*cookies), ("x-session", &*other)];
        assert!(matches!(ask(&sessions, &headers).await, Err(Error::ConflictingIds)));
    });
}

/// Caches are told though there is no session.
#[test]
fn a_session_that_could_not_be_read_is_one_that_was_used() {
    session_testkit::run(async {
        let store = FailingStore::new(MemoryStore::new());
        let sessions = by_both(Options::new(SECRET).store(Arc::clone(&store)));
        let token = begun(&sessions).await;
        store.fail_reads(true);
        let exchange = sessions.exchange();
        let each = |visit: &mut dyn FnMut(&str, &[u8])| visit("x-session", token.as_bytes());
        assert!(exchange.session(&RequestInfo::new("/", false, &each)).await.is_err());
        assert_eq!(end(&exchange).await.get("vary").unwrap(), "x-session, Cookie");
    });
}

/// A browser drops a cookie that has expired; a token has no date.
#[test]
fn who_came_by_a_header_is_told_that_its_session_ends() {
    session_testkit::run(async {
        let sessions = by_header(Options::new(SECRET).store(MemoryStore::new()));
        let token = begun(&sessions).await;
        let headers = [("x-session", &*token)];
        let answered = request(&sessions, &headers, async |session| {
            session.set_max_age(Some(std::time::Duration::ZERO)).unwrap();
        })
        .await;
        assert_eq!(answered.get("x-session").as_deref(), Some(""));
        let answered = request(&sessions, &[], async |session| {
            session.insert("a", 1).unwrap();
            session.set_max_age(Some(std::time::Duration::ZERO)).unwrap();
        })
        .await;
        assert_eq!(answered.get("x-session"), None);
    });
}
