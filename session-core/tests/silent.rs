//! A database that goes silent is a quick error, also to those who wait for each other. By virtual time.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures_util::future::join_all;
use session_core::{
    Clock, Cookie, Destroyed, Error, Exchange, Expect, MemoryStore, Options, Record, RequestInfo, Secret,
    SessionHandle, Sessions, Set, Sid, Store, StoreError, Stored, Touched, async_trait,
};
use tokio::time::{Instant, sleep};

/// How long a call takes to be given up.
const TIME_OUT: Duration = Duration::from_secs(2);

/// It answers so many writes yet, and then each call by an error, after this time.
#[derive(Debug)]
struct GoesSilent {
    memory: MemoryStore,
    writes: AtomicUsize,
    takes: Duration,
    /// How many calls wait for their error, and how many did at most.
    failing: AtomicUsize,
    at_most: AtomicUsize,
}

impl GoesSilent {
    fn after(takes: Duration) -> Arc<Self> {
        let (writes, none) = (AtomicUsize::new(usize::MAX), AtomicUsize::default);
        Arc::new(Self { memory: MemoryStore::new(), writes, takes, failing: none(), at_most: none() })
    }

    async fn answers(&self) -> Result<(), StoreError> {
        sleep(Duration::from_millis(1)).await;
        if self.writes.load(Ordering::SeqCst) > 0 {
            return Ok(());
        }
        let failing = self.failing.fetch_add(1, Ordering::SeqCst) + 1;
        self.at_most.fetch_max(failing, Ordering::SeqCst);
        sleep(self.takes).await;
        self.failing.fetch_sub(1, Ordering::SeqCst);
        Err(StoreError::unavailable("silent", "timed out"))
    }
}

#[async_trait]
impl Store for GoesSilent {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        self.answers().await?;
        self.memory.get(sid).await
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        self.answers().await?;
        let set = self.memory.set(sid, record, expect).await?;
        if matches!(set, Set::Written(_)) {
            self.writes.fetch_sub(1, Ordering::SeqCst);
        }
        Ok(set)
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        self.answers().await?;
        self.memory.touch(sid, cookie, expect).await
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        self.answers().await?;
        self.memory.destroy(sid, expect).await
    }
}

async fn ask(sessions: &Sessions, sid: Option<&Sid>) -> (Exchange, SessionHandle) {
    let cookie = sid.map(|sid| format!("sid=s:{}", Secret::new("keyboard cat").sign(sid.as_str())));
    let exchange = sessions.exchange();
    let each = |visit: &mut dyn FnMut(&str, &[u8])| {
        cookie.iter().for_each(|cookie| visit("cookie", cookie.as_bytes()));
    };
    let asking = exchange.session(&RequestInfo::new("/", false, &each));
    let session = asking.await.unwrap().unwrap();
    (exchange, session)
}

/// Thirty of one session: some get through, the others are in each other's way, and then nothing answers. Each of them finds that
/// out in the time of a few calls, and not each after all those before it.
#[tokio::test(start_paused = true)]
async fn writers_of_one_session_do_not_wait_out_each_others_time_outs() {
    for get_through in [1, 3, 10] {
        for options in [Options::new("keyboard cat"), Options::express("keyboard cat").name("sid")] {
            let store = GoesSilent::after(TIME_OUT);
            let (start, began) = (SystemTime::now(), Instant::now());
            let clock = Clock::new(move || start + began.elapsed());
            let sessions = options.store(Arc::clone(&store)).clock(clock).build().unwrap();
            let (exchange, session) = ask(&sessions, None).await;
            session.insert("n", 0).unwrap();
            exchange.end().await.unwrap();
            let sid = session.id().unwrap();
            let requests = join_all((0..30).map(|_| ask(&sessions, Some(&sid)))).await;
            store.writes.store(get_through, Ordering::SeqCst);
            let begun = Instant::now();
            let ended = join_all(requests.iter().map(async |(exchange, session)| {
                let updated = session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await;
                // What was not done is tried once more.
                _ = exchange.end().await;
                updated
            }));
            let ended = ended.await;
            assert_eq!(ended.iter().filter(|updated| updated.is_ok()).count(), get_through);
            let unavailable =
                |updated: &Result<u32, Error>| updated.as_ref().is_err_and(|error| error.status() == 503);
            assert!(ended.iter().all(|updated| updated.is_ok() || unavailable(updated)), "{ended:?}");
            let took = begun.elapsed();
            assert!(took < 4 * TIME_OUT + Duration::from_secs(1), "{get_through}: {took:?}");

            // And when it answers again, nothing is in the way, and nothing is lost that was acknowledged.
            store.writes.store(usize::MAX, Ordering::SeqCst);
            let requests = join_all((0..30).map(|_| ask(&sessions, Some(&sid)))).await;
            let updates =
                requests.iter().map(|(_, session)| session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1));
            assert!(join_all(updates).await.iter().all(Result::is_ok));
            let n = requests[0].1.reload().await.map(|()| requests[0].1.get::<usize>("n").unwrap().unwrap());
            assert_eq!(n.unwrap(), get_through + 30);
        }
    }
}

/// An error that comes quickly costs the next writer little: one tries after the other, and a store that is ailing gets no herd.
#[tokio::test(start_paused = true)]
async fn after_a_quick_error_the_next_one_tries() {
    let store = GoesSilent::after(Duration::from_millis(5));
    let (start, began) = (SystemTime::now(), Instant::now());
    let clock = Clock::new(move || start + began.elapsed());
    let options = Options::new("keyboard cat").store(Arc::clone(&store)).clock(clock);
    let sessions = options.build().unwrap();
    let (exchange, session) = ask(&sessions, None).await;
    session.insert("n", 0).unwrap();
    exchange.end().await.unwrap();
    let sid = session.id().unwrap();
    let requests = join_all((0..30).map(|_| ask(&sessions, Some(&sid)))).await;
    store.writes.store(3, Ordering::SeqCst);
    let add = |n: Option<u32>| n.unwrap_or(0) + 1;
    let updates = join_all(requests.iter().map(|(_, session)| session.update("n", add))).await;
    let status = |updated: &Result<u32, Error>| updated.as_ref().map_or_else(Error::status, |_| 200);
    let mut ended: Vec<u16> = updates.iter().map(status).collect();
    ended.sort_unstable();
    assert_eq!(ended, [vec![200; 3], vec![503; 27]].concat());
    assert_eq!(store.at_most.load(Ordering::SeqCst), 1);
}
