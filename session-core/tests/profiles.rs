//! What the new profile does better, and the express profile as Express does it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::{sync::Arc, time::Duration};

use session_core::{
    Attributes, BrowserRules, Clock, Cookie, CookieChange, CookieExpiry, CookieOptions, CookieRenewal,
    CookieSessionOptions, CorruptRecord, Destroyed, DuplicateCookies, Exchange, Expect, ExplicitSave,
    MemoryStore, Options, PathMatch, Record, RemovalCookie, RequestInfo, SameSite, SealedSessionOptions,
    Secret, Secure, SessionHandle, Sessions, Set, Sid, Store, StoreError, StoreRead, Stored, Touch, Touched,
    async_trait,
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

async fn ask(sessions: &Sessions, cookies: &[String]) -> (Exchange, SessionHandle) {
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
        handler: impl AsyncFnOnce(&SessionHandle),
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
            sid = Some(session.id().unwrap());
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
        let renew = async |session: &SessionHandle| session.renew_id().await.unwrap();
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
                let add = async |session: &SessionHandle| {
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
        let logout = async |session: &SessionHandle| session.destroy().await.unwrap();
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
        let remember = async |session: &SessionHandle| session.set_max_age(Some(HOUR)).unwrap();
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
        let save = async |session: &SessionHandle| session.save().await.unwrap();
        let regenerate = async |session: &SessionHandle| {
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
        assert!(session.is_new() && session.id().unwrap() != sid);
        session.insert("user", "tj").unwrap();
        assert_eq!(exchange.end().await.unwrap().len(), 1);

        let sessions = Options::express("keyboard cat").store(Arc::clone(&store)).build().unwrap();
        let cookie = cookie("connect.sid");
        let each = |visit: &mut dyn FnMut(&str, &[u8])| visit("cookie", cookie[0].as_bytes());
        let request = RequestInfo::new("/", false, &each);
        assert!(sessions.exchange().session(&request).await.is_err());

        // The other word of each.
        let new = Options::new("keyboard cat").name("connect.sid").corrupt_record(CorruptRecord::Fail);
        let sessions = new.store(Arc::clone(&store)).build().unwrap();
        assert!(sessions.exchange().session(&request).await.is_err());
        let express = Options::express("keyboard cat").corrupt_record(CorruptRecord::TreatAsMissing);
        let sessions = express.store(store).build().unwrap();
        let session = sessions.exchange().session(&request).await.unwrap().unwrap();
        assert!(session.is_new() && session.id().unwrap() != sid);
    });
}

/// The new profile and the express profile, each with one word of the other.
fn swapped(swap: impl Fn(Options, bool) -> Options) -> [App; 2] {
    let express = Options::express("keyboard cat").resave(false).save_uninitialized(false);
    [
        app(swap(Options::new("keyboard cat"), true).cookie(an_hour()), "sid"),
        app(swap(express, false).cookie(an_hour()), "connect.sid"),
    ]
}

#[test]
fn when_the_store_is_read_can_be_chosen() {
    let [new, express] = swapped(|options, new| {
        options.store_read(if new { StoreRead::OnArrival } else { StoreRead::WhenAsked })
    });
    assert!(new.sessions.reads_on_arrival() && !express.sessions.reads_on_arrival());
}

#[test]
fn how_paths_match_can_be_chosen() {
    session_testkit::run(async {
        let apps = swapped(|options, new| {
            let rule = if new { PathMatch::Prefix } else { PathMatch::Rfc6265 };
            options.path_match(rule).cookie(CookieOptions::new().path("/admin"))
        });
        for (app, covers) in apps.iter().zip([true, false]) {
            let none = |_: &mut dyn FnMut(&str, &[u8])| {};
            let request = RequestInfo::new("/administrator", false, &none);
            assert_eq!(app.sessions.exchange().session(&request).await.unwrap().is_some(), covers);
        }
    });
}

#[test]
fn which_of_several_cookies_counts_can_be_chosen() {
    session_testkit::run(async {
        let apps = swapped(|options, new| {
            let rule = if new { DuplicateCookies::First } else { DuplicateCookies::FirstVerified };
            options.duplicate_cookies(rule)
        });
        for (app, is_new) in apps.iter().zip([true, false]) {
            let (sid, name) = (app.log_in().await, app.name);
            let good = Secret::new("keyboard cat").sign(sid.as_str());
            let (_exchange, session) =
                ask(&app.sessions, &[format!("{name}=s:forged.x; {name}=s:{good}")]).await;
            assert_eq!(session.is_new(), is_new, "{name}");
        }
    });
}

#[test]
fn what_becomes_of_the_cookie_of_a_logout_can_be_chosen() {
    session_testkit::run(async {
        let apps = swapped(|options, new| {
            options.removal_cookie(if new { RemovalCookie::Never } else { RemovalCookie::OnDestroy })
        });
        let logout = async |session: &SessionHandle| session.destroy().await.unwrap();
        for (app, removes) in apps.iter().zip([false, true]) {
            let (_, cookie) = app.request(Some(&app.log_in().await), logout).await;
            assert_eq!(
                cookie.is_some_and(|cookie| cookie.contains("=; Path=/; Expires=Thu, 01 Jan 1970")),
                removes
            );
        }
    });
}

#[test]
fn where_attributes_come_from_can_be_chosen() {
    session_testkit::run(async {
        for (options, name, expected) in [
            (Options::new("keyboard cat").attributes(Attributes::Stored), "sid", Some(SameSite::Lax)),
            (Options::express("keyboard cat").attributes(Attributes::Current), "sid", Some(SameSite::Strict)),
        ] {
            let was = new(an_hour());
            let sid = was.log_in().await;
            let options = options.cookie(CookieOptions::new().same_site(SameSite::Strict));
            let options = options.name(name).clock(was.clock.clock()).store(Arc::clone(&was.store));
            let is = App { sessions: options.build().unwrap(), ..was };
            is.request(Some(&sid), async |session| assert_eq!(session.cookie().same_site(), expected)).await;
        }
    });
}

#[test]
fn whether_a_change_of_the_cookie_counts_can_be_chosen() {
    session_testkit::run(async {
        let apps = swapped(|options, new| {
            options.cookie_change(if new { CookieChange::Ignored } else { CookieChange::Counts })
        });
        let remember = async |session: &SessionHandle| session.set_max_age(Some(2 * HOUR)).unwrap();
        for (app, counts) in apps.iter().zip([false, true]) {
            let (calls, _) = app.request(Some(&app.log_in().await), remember).await;
            assert_eq!(calls.contains(&Call::Set), counts, "{calls:?}");
        }
    });
}

#[test]
fn what_an_explicit_save_counts_for_can_be_chosen() {
    session_testkit::run(async {
        let apps = swapped(|options, new| {
            options.explicit_save(if new { ExplicitSave::Forgotten } else { ExplicitSave::Counts })
        });
        let save = async |session: &SessionHandle| session.save().await.unwrap();
        for (app, counts) in apps.iter().zip([false, true]) {
            assert_eq!(app.request(None, save).await.1.is_some(), counts, "{}", app.name);
        }
    });
}

#[test]
fn when_the_cookie_is_sent_again_can_be_chosen() {
    session_testkit::run(async {
        let apps = swapped(|options, new| {
            options.cookie_renewal(if new { CookieRenewal::OnChange } else { CookieRenewal::WithRecord })
        });
        for (app, is_sent) in apps.iter().zip([false, true]) {
            let sid = app.log_in().await;
            app.store.calls();
            app.clock.pass(HOUR / 2);
            let (calls, cookie) = app.request(Some(&sid), async |_| {}).await;
            assert_eq!((calls, cookie.is_some()), (vec![Call::Get, Call::Touch], is_sent));
        }
    });
}

#[test]
fn when_a_touch_is_due_can_be_chosen() {
    session_testkit::run(async {
        let apps = swapped(|options, new| {
            options.touch(if new { Touch::EveryRequest } else { Touch::AfterPercent(20) })
        });
        for (app, is_due) in apps.iter().zip([true, false]) {
            let sid = app.log_in().await;
            app.store.calls();
            app.clock.pass(HOUR / 10);
            let (calls, _) = app.request(Some(&sid), async |_| {}).await;
            assert_eq!(calls.contains(&Call::Touch), is_due, "{calls:?}");
        }
    });
}

#[test]
fn what_browsers_refuse_can_be_allowed_and_refused() {
    let refused = || CookieOptions::new().same_site(SameSite::None).secure(false);
    let [new, express] = [Options::new("keyboard cat"), Options::express("keyboard cat")];
    assert!(new.browser_rules(BrowserRules::Warn).cookie(refused()).build().is_ok());
    assert!(express.browser_rules(BrowserRules::Enforce).cookie(refused()).build().is_err());
}

const DAY: Duration = Duration::from_secs(86_400);

/// The date that is so many days from now, as a cookie has it.
fn expires_of(cookie: &str) -> String {
    let attribute =
        cookie.split("; ").find(|attribute| attribute.to_ascii_lowercase().starts_with("expires="));
    attribute.unwrap_or_else(|| panic!("{cookie}"))[8..].into()
}

/// The record's own end stays as it is.
#[test]
fn no_cookie_of_the_new_profile_says_that_it_lives_for_longer_than_400_days() {
    session_testkit::run(async {
        let an_end = async |app: &App, days: u32| {
            let mut sid = None;
            let (_, cookie) = app
                .request(None, async |session| {
                    session.insert("user", "tj").unwrap();
                    session.set_max_age(Some(DAY * days)).unwrap();
                    sid = Some(session.id().unwrap());
                })
                .await;
            let held = app.store.get(&sid.unwrap()).await.unwrap().unwrap().record.cookie;
            (expires_of(&cookie.unwrap()), held.original_max_age().unwrap(), held.expires().unwrap())
        };
        let day_0 = |app: &App| app.clock.clock().now();
        for (app, is_capped) in [
            (new(CookieOptions::new()), true),
            (express(CookieOptions::new()), false),
            (app(Options::new("keyboard cat").cookie_expiry(CookieExpiry::AsTheRecord), "sid"), false),
            (app(Options::express("keyboard cat").cookie_expiry(CookieExpiry::Within400Days), "sid"), true),
        ] {
            let (at_most, ..) = an_end(&app, 400).await;
            assert_ne!(an_end(&app, 399).await.0, at_most);
            for days in [401, 4_000, 2_000_000] {
                let (sent, max_age, ends) = an_end(&app, days).await;
                assert_eq!(sent == at_most, is_capped, "{days}: {sent}");
                assert_eq!(max_age, DAY * days);
                assert!(days == 2_000_000 || ends == day_0(&app) + DAY * days, "{ends:?}");
            }
        }
    });
}

#[test]
fn no_cookie_of_a_session_that_its_client_keeps_says_so_either() {
    session_testkit::run(async {
        let clock = ManualClock::new();
        let kinds: [fn(Clock) -> Sessions; 3] = [
            |clock| CookieSessionOptions::new("keyboard cat").clock(clock).build().unwrap(),
            |clock| SealedSessionOptions::new([7; 32]).absolute(DAY * 5_000).clock(clock).build().unwrap(),
            |clock| CookieSessionOptions::express("keyboard cat").clock(clock).build().unwrap(),
        ];
        for (of, is_capped) in kinds.into_iter().zip([true, true, false]) {
            let sessions = of(clock.clock());
            let an_end = async |days: u32| {
                let (exchange, session) = ask(&sessions, &[]).await;
                session.insert("user", "tj").unwrap();
                session.set_max_age(Some(DAY * days)).unwrap();
                expires_of(&exchange.end().await.unwrap()[0])
            };
            let at_most = an_end(400).await;
            assert_ne!(an_end(399).await, at_most);
            for days in [401, 4_000] {
                assert_eq!(an_end(days).await == at_most, is_capped, "{days}");
            }
        }
    });
}
