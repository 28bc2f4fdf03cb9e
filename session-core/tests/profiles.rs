//! What the new profile does better, and the express profile as Express does it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::{sync::Arc, time::Duration};

use session_core::{
    Cookie, CookieOptions, Destroyed, Exchange, Expect, MemoryStore, Options, Record, RequestInfo, SameSite,
    Secret, Secure, Session, Sessions, Set, Sid, Store, StoreError, Stored, Touched, async_trait,
};
use session_testkit::{Call, ManualClock, RecordingStore};

const HOUR: Duration = Duration::from_secs(3_600);

#[derive(Clone)]
struct App {
    store: Arc<RecordingStore<MemoryStore>>,
    clock: ManualClock,
    sessions: Sessions,
    name: &'static str,
}

fn app(options: Options, name: &'static str) -> App {
    let clock = ManualClock::new();
    let store = RecordingStore::new(MemoryStore::new().clock(clock.clock()));
    let options = options.store(Arc::clone(&store)).clock(clock.clock()).name(name);
    App { sessions: options.build().unwrap(), store, clock, name }
}

fn new(cookie: CookieOptions) -> App {
    app(Options::new("keyboard cat").cookie(cookie), "sid")
}

fn express(cookie: CookieOptions) -> App {
    let options = Options::express("keyboard cat").resave(false).save_uninitialized(false);
    app(options.cookie(cookie), "connect.sid")
}

fn an_hour() -> CookieOptions {
    CookieOptions::new().max_age(HOUR)
}

async fn ask(sessions: &Sessions, cookies: &[String]) -> (Exchange, Session) {
    let each = |visit: &mut dyn FnMut(&str, &[u8])| {
        cookies.iter().for_each(|cookie| visit("cookie", cookie.as_bytes()));
    };
    let exchange = sessions.exchange();
    let session = exchange.session(&RequestInfo::new("/", false, &each)).await.unwrap().unwrap();
    (exchange, session)
}

impl App {
    /// One request: its calls to the store, and its cookie.
    async fn request(
        &self,
        sid: Option<&Sid>,
        handler: impl AsyncFnOnce(&Session),
    ) -> (Vec<Call>, Option<String>) {
        let signed =
            |sid: &Sid| format!("{}=s:{}", self.name, Secret::new("keyboard cat").sign(sid.as_str()));
        let (exchange, session) = ask(&self.sessions, &sid.map(signed).into_iter().collect::<Vec<_>>()).await;
        handler(&session).await;
        let mut cookies = exchange.end().await.unwrap();
        (self.store.calls(), cookies.pop())
    }

    async fn log_in(&self) -> Sid {
        let mut sid = None;
        self.request(None, async |session| {
            session.insert("user", "tj").unwrap();
            sid = Some(session.id());
        })
        .await;
        sid.unwrap()
    }
}

#[test]
fn a_touch_waits_until_a_fifth_of_the_lifetime_has_passed() {
    session_testkit::run(async {
        let (new, express) = (new(an_hour()), express(an_hour()));
        let (ours, theirs) = (new.log_in().await, express.log_in().await);
        for (minutes, calls) in
            [(0, vec![Call::Get]), (11, vec![Call::Get]), (2, vec![Call::Get, Call::Touch])]
        {
            new.clock.pass(Duration::from_secs(minutes * 60));
            let (called, cookie) = new.request(Some(&ours), async |_| {}).await;
            assert_eq!(called, calls, "{minutes}");
            // The cookie ends when the record does.
            assert_eq!(cookie.is_some(), calls.len() == 2, "{minutes}");
            assert_eq!(express.request(Some(&theirs), async |_| {}).await.0, [Call::Get, Call::Touch]);
        }
        new.clock.pass(Duration::from_secs(59 * 60));
        assert_eq!(new.request(Some(&ours), async |session| assert!(!session.is_new())).await.0.len(), 2);
    });
}

#[test]
fn a_login_costs_three_round_trips() {
    session_testkit::run(async {
        let (new, express) = (new(an_hour()), express(an_hour()));
        let renew = async |session: &Session| session.renew_id().await.unwrap();
        let (calls, cookie) = new.request(Some(&new.log_in().await), renew).await;
        assert_eq!((calls, cookie.is_some()), (vec![Call::Get, Call::Set, Call::Destroy], true));
        // Express's rule for a regenerated session: it is saved again.
        let (calls, _) = express.request(Some(&express.log_in().await), renew).await;
        assert_eq!(calls, [Call::Get, Call::Set, Call::Destroy, Call::Set]);
    });
}

#[test]
fn a_session_that_only_updates_rolls_on() {
    session_testkit::run(async {
        for app in [new(an_hour()), express(an_hour())] {
            let sid = app.log_in().await;
            for count in 1..6 {
                app.clock.pass(Duration::from_secs(50 * 60));
                let add = async |session: &Session| {
                    let sum = session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await.unwrap();
                    assert_eq!(sum, count);
                };
                let (_, cookie) = app.request(Some(&sid), add).await;
                let stored = app.store.get(&sid).await.unwrap().unwrap();
                assert_eq!(stored.left, Some(HOUR), "every write renews the whole lifetime");
                assert!(cookie.is_some());
                app.store.calls();
            }
        }
    });
}

#[test]
fn a_logout_takes_the_cookie_along() {
    session_testkit::run(async {
        let (new, express) = (new(an_hour()), express(an_hour()));
        let logout = async |session: &Session| session.destroy().await.unwrap();
        let (calls, cookie) = new.request(Some(&new.log_in().await), logout).await;
        assert_eq!(calls, [Call::Get, Call::Destroy]);
        assert_eq!(
            cookie.unwrap(),
            "sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax",
        );
        assert_eq!(express.request(Some(&express.log_in().await), logout).await.1, None);
    });
}

#[test]
fn a_change_of_the_cookie_is_a_change() {
    session_testkit::run(async {
        let (new, express) = (new(CookieOptions::new()), express(CookieOptions::new()));
        let remember = async |session: &Session| session.set_max_age(Some(HOUR)).unwrap();
        let sid = new.log_in().await;
        let (calls, cookie) = new.request(Some(&sid), remember).await;
        assert_eq!(calls, [Call::Get, Call::Set]);
        assert!(cookie.unwrap().contains("Expires=Fri, 02 Jan 2026 04:04:05 GMT"));
        new.request(Some(&sid), async |session| assert_eq!(session.cookie().original_max_age(), Some(HOUR)))
            .await;
        let sid = express.log_in().await;
        assert_eq!(express.request(Some(&sid), remember).await, (vec![Call::Get, Call::Touch], None));
    });
}

#[test]
fn attributes_come_from_the_configuration_of_today() {
    session_testkit::run(async {
        let was = new(an_hour());
        let sid = was.log_in().await;
        let today =
            CookieOptions::new().same_site(SameSite::Strict).secure(Secure::Never).domain("example.com");
        for (options, name, expected) in [
            (Options::new("keyboard cat"), "sid", Some(SameSite::Strict)),
            (Options::express("keyboard cat"), "sid", Some(SameSite::Lax)),
        ] {
            let options = options.cookie(today.clone()).name(name).clock(was.clock.clock());
            let is = App { sessions: options.store(Arc::clone(&was.store)).build().unwrap(), ..was.clone() };
            is.request(Some(&sid), async |session| {
                assert_eq!(session.cookie().same_site(), expected);
                assert_eq!(
                    session.cookie().original_max_age(),
                    Some(HOUR),
                    "the lifetime is the session's own"
                );
            })
            .await;
        }
    });
}

#[test]
fn a_session_that_was_saved_is_written_once_and_its_cookie_is_sent() {
    session_testkit::run(async {
        let (new, express) = (new(an_hour()), express(an_hour()));
        let save = async |session: &Session| session.save().await.unwrap();
        let regenerate = async |session: &Session| {
            session.regenerate().await.unwrap();
            session.insert("user", "tobi").unwrap();
            session.save().await.unwrap();
        };
        let (calls, cookie) = new.request(None, save).await;
        assert_eq!((calls, cookie.is_some()), (vec![Call::Set], true));
        // Express stores a record that nobody has the id of.
        assert_eq!(express.request(None, save).await, (vec![Call::Set], None));

        let (calls, cookie) = new.request(Some(&new.log_in().await), regenerate).await;
        assert_eq!((calls, cookie.is_some()), (vec![Call::Get, Call::Destroy, Call::Set], true));
        let (calls, _) = express.request(Some(&express.log_in().await), regenerate).await;
        assert_eq!(calls, [Call::Get, Call::Destroy, Call::Set, Call::Set]);
    });
}

/// Everything it holds is unreadable; nothing may be done about that.
#[derive(Debug)]
struct Unreadable(MemoryStore, Sid);

#[async_trait]
impl Store for Unreadable {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        if *sid == self.1 { Err(StoreError::corrupt("test", "broken")) } else { self.0.get(sid).await }
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        assert_ne!(*sid, self.1, "the record is left alone");
        self.0.set(sid, record, expect).await
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        assert_ne!(*sid, self.1, "the record is left alone");
        self.0.touch(sid, cookie, expect).await
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        assert_ne!(*sid, self.1, "the record is left alone");
        self.0.destroy(sid, expect).await
    }
}

#[test]
fn a_record_that_cannot_be_read_is_left_alone_and_the_visitor_gets_another_session() {
    session_testkit::run(async {
        let sid = Sid::random();
        let store = Arc::new(Unreadable(MemoryStore::new(), sid.clone()));
        let cookie = |name: &str| [format!("{name}=s:{}", Secret::new("keyboard cat").sign(sid.as_str()))];
        let sessions = Options::new("keyboard cat").store(Arc::clone(&store)).build().unwrap();
        let (exchange, session) = ask(&sessions, &cookie("sid")).await;
        assert!(session.is_new() && session.id() != sid);
        session.insert("user", "tj").unwrap();
        assert_eq!(exchange.end().await.unwrap().len(), 1);

        let sessions = Options::express("keyboard cat").store(store).build().unwrap();
        let cookie = cookie("connect.sid");
        let each = |visit: &mut dyn FnMut(&str, &[u8])| visit("cookie", cookie[0].as_bytes());
        assert!(sessions.exchange().session(&RequestInfo::new("/", false, &each)).await.is_err());
    });
}
