//! How expired documents go: by MongoDB itself, or every few minutes by this process.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use mongodb::{
    Collection, IndexModel,
    bson::{Bson, Document, doc},
    options::IndexOptions,
};
use session_core::Clock;
use tokio::sync::watch;

use crate::{
    error::MongoError,
    expiry::{Millis, millis, past},
    options::AutoRemove,
};

/// Between two attempts to make the index while the server is down.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// So many go by one command, and between two of them others come first.
const TOGETHER: u16 = 1_000;
const BREATH: Duration = Duration::from_millis(10);

/// Nothing is under way; the next request begins it.
const IDLE: u8 = 0;
const RUNNING: u8 = 1;
const DONE: u8 = 2;

/// Begins with the first request and never keeps one waiting. It ends with the store, and begins again when the runtime
/// that it ran on is gone.
#[derive(Debug)]
pub(crate) struct Removal {
    how: AutoRemove,
    interval: Duration,
    state: Arc<AtomicU8>,
    /// Gone with the store, which the task then sees.
    alive: watch::Sender<()>,
}

impl Removal {
    pub(crate) fn new(how: AutoRemove, interval: Duration) -> Self {
        let state = if how == AutoRemove::Disabled { DONE } else { IDLE };
        Self { how, interval, state: Arc::new(AtomicU8::new(state)), alive: watch::Sender::new(()) }
    }

    pub(crate) fn begin(&self, collection: &Collection<Document>, clock: &Clock) {
        if self.state.load(Ordering::Relaxed) != IDLE {
            return;
        }
        // Without a runtime of tokio's, the driver will not work either, and says so.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.state.compare_exchange(IDLE, RUNNING, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return;
        }
        let task = Task {
            collection: collection.clone(),
            clock: clock.clone(),
            interval: self.interval,
            alive: self.alive.subscribe(),
            state: Arc::clone(&self.state),
        };
        runtime.spawn(task.run(self.how));
    }
}

struct Task {
    collection: Collection<Document>,
    clock: Clock,
    interval: Duration,
    alive: watch::Receiver<()>,
    state: Arc<AtomicU8>,
}

/// Also when the runtime drops the task in the middle.
impl Drop for Task {
    fn drop(&mut self) {
        _ = self.state.compare_exchange(RUNNING, IDLE, Ordering::AcqRel, Ordering::Relaxed);
    }
}

impl Task {
    async fn run(mut self, how: AutoRemove) {
        let mut is_told = false;
        loop {
            // Made again and again: somebody may have dropped it, or the collection, and what was refused may be granted.
            let is_there = how == AutoRemove::Native && self.index(&mut is_told).await;
            // Processes that were started together do not all come at once: an eighth sooner or later.
            if !self.sleeps(self.interval.mul_f64(0.875 + rand::random::<f64>() / 4.0)).await {
                return;
            }
            if !is_there {
                self.remove().await;
            }
        }
    }

    /// connect-mongo's index; answers whether it is there. Is it refused, that is told once.
    async fn index(&mut self, is_told: &mut bool) -> bool {
        let mut pause = FIRST_PAUSE;
        loop {
            let index = self.collection.create_index(expires_1()).await;
            match index.map_err(MongoError::from) {
                Ok(_) => return true,
                Err(error) if error.is_refused() => {
                    if !std::mem::replace(is_told, true) {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "no TTL index on `expires`: this process removes expired sessions every {:?} instead",
                            self.interval
                        );
                    }
                    return false;
                }
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "the TTL index has to wait");
                }
            }
            if !self.sleeps(pause).await {
                return true;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn remove(&self) {
        match prune(&self.collection, millis(self.clock.now())).await {
            Ok(removed) => tracing::debug!(removed, "expired sessions removed"),
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "expired sessions not removed");
            }
        }
    }

    /// Answers whether there is still a store.
    async fn sleeps(&mut self, time: Duration) -> bool {
        // Nothing is ever sent: only the sender's end is an answer.
        tokio::time::timeout(time, self.alive.changed()).await.is_err()
    }
}

/// What has expired is found by one walk, which an index may lead, and removed by its keys; answers how many that were.
pub(crate) async fn prune(collection: &Collection<Document>, now: Millis) -> Result<u64, MongoError> {
    let found = collection.find(past(now)).projection(doc! { "_id": 1 });
    let mut found = found.batch_size(TOGETHER.into()).await?;
    let (mut ids, mut removed) = (Vec::new(), 0);
    loop {
        let is_more = found.advance().await?;
        if is_more {
            let id = found.current().get("_id").ok().flatten();
            ids.extend(id.and_then(|id| Bson::try_from(id).ok()));
        }
        if ids.len() >= usize::from(TOGETHER) || !(is_more || ids.is_empty()) {
            let mut filter = past(now);
            filter.insert("_id", doc! { "$in": std::mem::take(&mut ids) });
            removed += collection.delete_many(filter).await?.deleted_count;
        }
        if !is_more {
            return Ok(removed);
        }
        if ids.is_empty() {
            tokio::time::sleep(BREATH).await;
        }
    }
}

fn expires_1() -> IndexModel {
    #[expect(
        deprecated,
        reason = "MongoDB ignores `background` and lists it, as in the index that connect-mongo makes"
    )]
    let options = IndexOptions::builder()
        .name("expires_1".to_owned())
        .background(true)
        .expire_after(Duration::ZERO)
        .build();
    IndexModel::builder().keys(doc! { "expires": 1 }).options(options).build()
}
