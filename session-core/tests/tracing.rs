//! What is seen from outside: an event for everything that happens to a session, and never an id, a secret or data.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use session_core::{
    Exchange, MemoryStore, Options, RequestInfo, Secret, SessionHandle, Sessions, Sid, Store,
};
use session_testkit::{CANARY, FailingStore, ManualClock};
use tracing_subscriber::fmt::{MakeWriter, format::FmtSpan};

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

/// Every level, every span, on this thread.
fn capture() -> (Log, tracing::subscriber::DefaultGuard) {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    (log, tracing::subscriber::set_default(subscriber))
}

fn options(store: impl Store) -> Options {
    Options::new("hunter2").save_uninitialized(false).store(store)
}

async fn ask(sessions: &Sessions, cookie: Option<&str>) -> (Exchange, SessionHandle) {
    let each = |visit: &mut dyn FnMut(&str, &[u8])| {
        cookie.iter().for_each(|cookie| visit("cookie", cookie.as_bytes()));
    };
    let exchange = sessions.exchange();
    let session = exchange.session(&RequestInfo::new("/", false, &each)).await.unwrap().unwrap();
    (exchange, session)
}

fn cookie(sid: &Sid) -> String {
    format!("sid=s:{}", Secret::new("hunter2").sign(sid.as_str()))
}

#[test]
fn everything_that_happens_is_told_and_no_secret_with_it() {
    session_testkit::run(async {
        let (log, _guard) = capture();
        let sessions = options(MemoryStore::new()).build().unwrap();

        let (exchange, session) = ask(&sessions, None).await;
        session.insert("password", "swordfish").unwrap();
        let sid = session.id().unwrap();
        exchange.end().await.unwrap();

        let (slow, late) = ask(&sessions, Some(&cookie(&sid))).await;
        let (fast, first) = ask(&sessions, Some(&cookie(&sid))).await;
        first.insert("a", 1).unwrap();
        fast.end().await.unwrap();
        late.insert("b", 2).unwrap();
        slow.end().await.unwrap();

        let (reads, _) = ask(&sessions, Some(&cookie(&sid))).await;
        let (logout, session) = ask(&sessions, Some(&cookie(&sid))).await;
        session.destroy().await.unwrap();
        logout.end().await.unwrap();
        drop(reads);
        let (_exchange, session) = ask(&sessions, Some(&cookie(&sid))).await;
        session.renew_id().await.unwrap();
        session.regenerate().await.unwrap();
        ask(&sessions, Some("sid=plain")).await;
        ask(&sessions, Some("sid=s:forged.x")).await;
        ask(&sessions, Some(&cookie(&"".into()))).await;
        ask(&sessions, Some(&cookie(&"x".repeat(5_000).into()))).await;

        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        for event in [
            "session created",
            "session loaded",
            "session saved",
            "conflict",
            "session destroyed",
            "session regenerated",
            "session id renewed",
            "why=\"unknown to the store, or expired\"",
            "why=\"not signed\"",
            "why=\"the signature is not ours\"",
            "why=\"the id is empty\"",
            "why=\"too long\"",
        ] {
            let told = text.lines().any(|line| line.contains(" DEBUG ") && line.contains(event));
            assert!(told, "{event:?} is missing in\n{text}");
        }
        let requests = text.lines().filter(|line| line.ends_with(": new")).count();
        assert_eq!(requests, 10, "one span a request:\n{text}");
        for secret in [sid.as_str(), "swordfish", "password", "hunter2", "forged"] {
            assert!(!text.contains(secret), "{secret:?} is in\n{text}");
        }
    });
}

#[test]
fn a_session_that_somebody_ended_is_told_to_be_gone() {
    session_testkit::run(async {
        let (log, _guard) = capture();
        let sessions = options(MemoryStore::new()).build().unwrap();
        let (exchange, session) = ask(&sessions, None).await;
        session.insert("a", 1).unwrap();
        let sid = session.id().unwrap();
        exchange.end().await.unwrap();
        let (slow, session) = ask(&sessions, Some(&cookie(&sid))).await;
        session.insert("b", 1).unwrap();
        sessions.store().destroy(&sid, &session_core::Expect::Anything).await.unwrap();
        assert!(slow.end().await.unwrap().is_empty());
        assert!(String::from_utf8_lossy(&log.0.lock().unwrap()).contains("session gone"));
    });
}

/// With the first read that fails and the first that does not, and not more often than once a minute.
#[test]
fn a_store_that_is_lost_and_found_is_told_once_each() {
    session_testkit::run(async {
        let clock = ManualClock::new();
        let store = FailingStore::new(MemoryStore::new().clock(clock.clock()));
        let sessions = options(Arc::clone(&store)).clock(clock.clock()).build().unwrap();
        let (log, _guard) = capture();
        let told = || {
            let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
            ["WARN", "INFO"]
                .map(|level| text.lines().filter(|line| line.contains(&format!(" {level} "))).count())
        };
        let sid = Sid::random();
        for (fails, expected) in [
            (false, [0, 0]),
            (true, [1, 0]),
            (true, [1, 0]),
            (false, [1, 1]),
            (false, [1, 1]),
            // A part of it fails.
            (true, [1, 1]),
            (false, [1, 1]),
            (true, [2, 1]),
        ] {
            clock.pass(Duration::from_secs(10));
            store.fail_reads(fails);
            assert_eq!(sessions.load(&sid).await.is_err(), fails);
            assert_eq!(told(), expected);
        }
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("the store is lost") && text.contains("the store is found again"), "{text}");
        store.fail_reads(false);
        let (exchange, session) = ask(&sessions, None).await;
        session.insert("a", 1).unwrap();
        session.save().await.unwrap();
        store.fail_reads(true);
        assert!(session.reload().await.is_err());
        assert_eq!(told(), [2, 1], "it is lost already");
        store.fail_reads(false);
        session.reload().await.unwrap();
        assert_eq!(told(), [2, 2]);
        exchange.end().await.unwrap();
    });
}

#[test]
fn the_cause_of_a_failed_request_is_logged_once() {
    session_testkit::run(async {
        let store = FailingStore::new(MemoryStore::new());
        let sessions = options(Arc::clone(&store)).build().unwrap();
        let sid = Sid::random();
        store.fail_reads(true);
        let (log, _guard) = capture();
        let text = cookie(&sid);
        let each = |visit: &mut dyn FnMut(&str, &[u8])| visit("cookie", text.as_bytes());
        let exchange = sessions.exchange();
        assert!(exchange.session(&RequestInfo::new("/", false, &each)).await.is_err());
        exchange.end().await.unwrap();
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches(CANARY).count(), 1, "{text}");
        assert!(!text.contains(sid.as_str()), "{text}");
    });
}
