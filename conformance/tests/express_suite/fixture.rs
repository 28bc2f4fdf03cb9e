//! What most tests begin with: express-session's suite's defaults, a store that can be watched, a clock that can be moved.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use express_session::{AdminStore, Clock, CookieOptions, MemoryStore, Options, Store};
use serde_json::Value;

use crate::{
    adapters::{Adapter, App, Reply, Visit, app},
    recorder::Recorder,
};

pub(crate) const SECRET: &str = "keyboard cat";
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// The suite's defaults, where neither store nor clock matters.
pub(crate) fn options() -> Options {
    with_cookie(CookieOptions::new().max_age(MINUTE))
}

/// The suite's defaults with other cookie options than its own.
pub(crate) fn with_cookie(cookie: CookieOptions) -> Options {
    Options::express(SECRET).cookie(cookie)
}

pub(crate) struct Fixture {
    pub(crate) time: Time,
    pub(crate) memory: Arc<MemoryStore>,
    /// Over the memory.
    pub(crate) store: Arc<Recorder>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let time = Time::start();
        let memory = Arc::new(MemoryStore::new().clock(time.clock()));
        let store = Arc::new(Recorder::new(Arc::clone(&memory)));
        Self { time, memory, store }
    }

    /// The suite's defaults, with this store and this clock.
    pub(crate) fn options(&self) -> Options {
        self.with_cookie(CookieOptions::new().max_age(MINUTE))
    }

    pub(crate) fn with_cookie(&self, cookie: CookieOptions) -> Options {
        with_cookie(cookie).store(Arc::clone(&self.store)).clock(self.time.clock())
    }

    pub(crate) async fn sessions(&self) -> u64 {
        self.memory.length().await.unwrap()
    }

    /// What is stored under an id.
    pub(crate) async fn record(&self, sid: &str) -> Option<Value> {
        let stored = self.memory.get(&sid.into()).await.unwrap();
        stored.map(|stored| serde_json::from_str(&stored.record.to_json()).unwrap())
    }

    /// How often the store was asked to write since the calls were last taken.
    pub(crate) fn sets(&self) -> usize {
        self.store.take_calls().iter().filter(|verb| **verb == "set").count()
    }
}

/// Milliseconds since 1970, moved by the test alone.
#[derive(Clone)]
pub(crate) struct Time(Arc<AtomicU64>);

impl Time {
    /// Fri, 02 Jan 2026 03:04:05.678 GMT
    pub(crate) fn start() -> Self {
        Self(Arc::new(AtomicU64::new(1_767_323_045_678)))
    }

    pub(crate) fn clock(&self) -> Clock {
        let time = self.clone();
        Clock::new(move || time.now())
    }

    pub(crate) fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.0.load(Ordering::SeqCst))
    }

    pub(crate) fn pass(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

/// A handler that does nothing.
pub(crate) async fn nothing(_: Visit) -> Reply {
    Ok(String::new())
}

/// A handler that sets the same value each time.
pub(crate) async fn bob(visit: Visit) -> Reply {
    visit.insert("user", "bob")?;
    Ok("bob".into())
}

/// A handler that changes the session each time.
pub(crate) async fn hits(visit: Visit) -> Reply {
    let count = visit.get::<u32>("count")?.unwrap_or(0) + 1;
    visit.insert("count", count)?;
    Ok(format!("hits: {count}"))
}

/// Numbers sessions: each keeps the number that it got with its first request.
#[derive(Clone, Default)]
pub(crate) struct Numbers(Arc<AtomicU32>);

impl Numbers {
    pub(crate) async fn number(self, visit: Visit) -> Reply {
        let number = match visit.get::<u32>("num")? {
            Some(number) => number,
            None => 1 + self.0.fetch_add(1, Ordering::SeqCst),
        };
        visit.insert("num", number)?;
        Ok(format!("session {number}"))
    }
}

/// [`app`] over [`Numbers`].
pub(crate) fn numbering(adapter: Adapter, options: Options) -> App {
    let numbers = Numbers::default();
    app(adapter, options, move |visit| numbers.clone().number(visit))
}
