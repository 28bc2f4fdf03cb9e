//! Real futures over a store that waits, polled by hand.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    dead_code,
    reason = "helpers of tests, each of which uses some"
)]

use std::{
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use session_core::{
    AdminStore, Clock, Cookie, CookieOptions, Destroyed, Error, Exchange, Expect, MemoryStore, Options,
    Record, RequestInfo, Secret, SessionHandle, Sessions, Set, Sid, Store, StoreError, Stored, Touched,
    async_trait,
};

/// A store whose every call waits twice: before it is done, and after. One of them may be told to fail, or to hang.
#[derive(Debug, Default)]
pub(crate) struct SlowStore {
    pub(crate) memory: MemoryStore,
    pub(crate) trouble: Mutex<Option<(Sid, Trouble)>>,
    /// The call that is in trouble, by its number.
    pub(crate) trouble_at: Mutex<Option<(usize, Trouble)>>,
    pub(crate) calls: AtomicUsize,
    /// The next write, and the answer is the second one's.
    pub(crate) sends_twice: AtomicBool,
    /// As one whose options say so.
    pub(crate) skips_touches: AtomicBool,
    /// Somebody else writes this one before each call that goes by a version.
    pub(crate) overtaken: Mutex<Option<Overtaken>>,
    /// The next write or touch takes so many milliseconds of this clock to come.
    pub(crate) late: Mutex<Option<(Arc<AtomicUsize>, usize)>>,
}

#[derive(Debug)]
pub(crate) struct Overtaken {
    pub(crate) of: Sid,
    pub(crate) times: u32,
    pub(crate) at_most: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    FailsBefore,
    FailsAfter,
    Hangs,
}

impl SlowStore {
    fn trouble(&self, sid: &Sid) -> Option<Trouble> {
        self.trouble.lock().unwrap().as_ref().filter(|(of, _)| of == sid).map(|(_, trouble)| *trouble)
    }

    async fn overtake(&self, sid: &Sid, expect: &Expect) -> Result<(), StoreError> {
        if let Some((clock, by)) = self.late.lock().unwrap().take() {
            clock.fetch_add(by, Ordering::SeqCst);
        }
        let theirs = match (&mut *self.overtaken.lock().unwrap(), expect) {
            (Some(Overtaken { of, times, at_most }), Expect::Version(_))
                if of == sid && *times < *at_most =>
            {
                *times += 1;
                format!(r#"{{"cookie":{{"originalMaxAge":null,"expires":null}},"theirs":{times}}}"#)
            }
            _ => return Ok(()),
        };
        let record = Record::parse(theirs).unwrap();
        self.memory.set(sid, &record, &Expect::Anything).await.map(drop)
    }

    async fn around<T>(
        &self,
        sid: &Sid,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let at = self.trouble_at.lock().unwrap().filter(|(at, _)| *at == number).map(|(_, trouble)| trouble);
        let failed = || Err(StoreError::unavailable("slow", "down"));
        step().await;
        match at.or_else(|| self.trouble(sid)) {
            Some(Trouble::FailsBefore) => return failed(),
            Some(Trouble::Hangs) => std::future::pending().await,
            _ => {}
        }
        let answer = call.await;
        step().await;
        if at.or_else(|| self.trouble(sid)) == Some(Trouble::FailsAfter) { failed() } else { answer }
    }
}

#[async_trait]
impl Store for SlowStore {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        self.around(sid, self.memory.get(sid)).await
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        if self.sends_twice.swap(false, Ordering::Relaxed) {
            self.memory.set(sid, record, expect).await?;
        }
        self.overtake(sid, expect).await?;
        self.around(sid, self.memory.set(sid, record, expect)).await
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        if self.skips_touches.load(Ordering::Relaxed) {
            return self.around(sid, async { Ok(Touched::Skipped) }).await;
        }
        self.overtake(sid, expect).await?;
        self.around(sid, self.memory.touch(sid, cookie, expect)).await
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        self.overtake(sid, expect).await?;
        self.around(sid, self.memory.destroy(sid, expect)).await
    }
}

/// Not ready the first time.
async fn step() {
    let mut waited = false;
    std::future::poll_fn(move |context: &mut Context<'_>| {
        context.waker().wake_by_ref();
        if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Polls so often at most; `None`: it is not done by then, and is dropped.
pub(crate) fn polled<T>(times: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..times {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return Some(done);
        }
    }
    None
}

pub(crate) fn done<T>(future: impl Future<Output = T>) -> T {
    polled(10_000, future).expect("it ends")
}

/// Whether it ends with this poll.
pub(crate) fn poll<T>(task: &mut Pin<Box<impl Future<Output = T> + ?Sized>>) -> bool {
    task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

/// Polls, and it does not end, until it is so.
pub(crate) fn poll_until<T>(
    task: &mut Pin<Box<impl Future<Output = T> + ?Sized>>,
    mut is_so: impl FnMut() -> bool,
) {
    for _ in 0..10_000 {
        if is_so() {
            return;
        }
        assert!(!poll(task), "it ends before it is so");
    }
    panic!("it is never so");
}

/// A request with these cookies, and its session.
pub(crate) fn ask(sessions: &Sessions, cookies: &[String]) -> (Exchange, SessionHandle) {
    let exchange = sessions.exchange();
    let session = done(with_cookies(cookies, |request| exchange.session(request))).unwrap().unwrap();
    (exchange, session)
}

/// `name=value` of each, as a browser sends them.
pub(crate) fn kept(set: &[String]) -> Vec<String> {
    let pairs: Vec<&str> = set.iter().filter_map(|cookie| cookie.split(';').next()).collect();
    vec![pairs.join("; ")]
}

/// A clock, and by how many milliseconds it is later.
pub(crate) fn clock() -> (Arc<AtomicUsize>, Clock) {
    let (start, later) = (SystemTime::now(), Arc::new(AtomicUsize::new(0)));
    let now = Arc::clone(&later);
    (later, Clock::new(move || start + Duration::from_millis(now.load(Ordering::SeqCst) as u64)))
}

pub(crate) fn calls(app: &App) -> usize {
    app.store.calls.load(Ordering::SeqCst)
}

pub(crate) struct App<S = SlowStore> {
    pub(crate) store: Arc<S>,
    pub(crate) sessions: Sessions,
}

/// A request that comes with these cookies.
pub(crate) fn with_cookies<T>(cookies: &[String], ask: impl FnOnce(&RequestInfo<'_>) -> T) -> T {
    let each = |visit: &mut dyn FnMut(&str, &[u8])| {
        cookies.iter().for_each(|cookie| visit("cookie", cookie.as_bytes()));
    };
    ask(&RequestInfo::new("/", false, &each))
}

/// In both profiles, on a clock that stands still: a busy machine takes longer than an answer of the store is new.
pub(crate) fn apps() -> [App; 2] {
    let start = SystemTime::now();
    let clock = Clock::new(move || start);
    let hour = || CookieOptions::new().max_age(Duration::from_secs(3_600));
    [Options::new("keyboard cat").cookie(hour()), Options::express("keyboard cat").name("sid").cookie(hour())]
        .map(|options| {
            let memory = MemoryStore::new().clock(clock.clone());
            let store = Arc::new(SlowStore { memory, ..SlowStore::default() });
            App { sessions: options.store(Arc::clone(&store)).clock(clock.clone()).build().unwrap(), store }
        })
}

impl<S> App<S> {
    pub(crate) fn ask(&self, cookies: &[String]) -> (Exchange, SessionHandle) {
        let exchange = self.sessions.exchange();
        let asking = with_cookies(cookies, |request| exchange.session(request));
        let session = done(asking).unwrap().unwrap();
        (exchange, session)
    }

    pub(crate) fn request(&self, sid: &Sid) -> (Exchange, SessionHandle) {
        self.ask(&[cookie(sid)])
    }
}

impl App {
    pub(crate) fn log_in(&self) -> Sid {
        let (exchange, session) = self.ask(&[]);
        session.insert("user", "tj").unwrap();
        session.insert("n", 0).unwrap();
        done(exchange.end()).unwrap();
        session.id().unwrap()
    }

    pub(crate) fn trouble(&self, sid: &Sid, trouble: Option<Trouble>) {
        *self.store.trouble.lock().unwrap() = trouble.map(|trouble| (sid.clone(), trouble));
    }

    /// One of the calls to come is in trouble, by its number.
    pub(crate) fn trouble_at(&self, call: usize, trouble: Trouble) {
        let number = self.store.calls.load(Ordering::Relaxed) + call;
        *self.store.trouble_at.lock().unwrap() = Some((number, trouble));
    }

    /// Somebody else is faster so many times.
    pub(crate) fn is_overtaken(&self, of: &Sid, at_most: u32) {
        *self.store.overtaken.lock().unwrap() = Some(Overtaken { of: of.clone(), times: 0, at_most });
    }

    /// How often they were.
    pub(crate) fn overtakings(&self) -> u32 {
        self.store.overtaken.lock().unwrap().take().map_or(0, |overtaken| overtaken.times)
    }

    pub(crate) fn held(&self, sid: &Sid) -> Option<Record> {
        done(self.store.memory.get(sid)).unwrap().map(|stored| stored.record)
    }

    /// How many records there are.
    pub(crate) fn records(&self) -> u64 {
        done(self.store.memory.length()).unwrap()
    }

    pub(crate) fn count(&self, sid: &Sid) -> Option<u64> {
        self.held(sid).map(|record| record.data.get("n").unwrap().parse().unwrap())
    }
}

pub(crate) fn cookie(sid: &Sid) -> String {
    format!("sid=s:{}", Secret::new("keyboard cat").sign(sid.as_str()))
}

pub(crate) async fn add(session: &SessionHandle) -> Result<u64, Error> {
    session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1).await
}
