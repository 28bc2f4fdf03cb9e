//! A connection that is made when it is needed, and again when it broke. redis's own `ConnectionManager` knows no sentinels,
//! and answers the first command after a failed attempt with that failure, whatever the server does by then.

#[cfg(feature = "credentials")]
use std::pin::Pin;
use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

#[cfg(feature = "credentials")]
use futures_util::Stream;
#[cfg(feature = "sentinel")]
use futures_util::future::ready;
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use redis::{AsyncConnectionConfig, Client, RedisError, RedisResult};
#[cfg(feature = "credentials")]
use redis::{BasicAuth, StreamingCredentialsProvider};
use tokio::{
    sync::RwLockReadGuard,
    time::{Instant, timeout},
};

use crate::{
    call::{is_replica, late},
    connection::Live,
};

pub(crate) struct Lazy {
    server: Server,
    slot: Mutex<Slot>,
    /// When the server was heard last, in milliseconds since this was made.
    heard: AtomicU64,
    /// When it was asked first since then, likewise; zero: it was not.
    asked: AtomicU64,
    made: Instant,
}

pub(crate) enum Server {
    One(Client),
    #[cfg(feature = "credentials")]
    WithCredentials(Client, Provider),
    #[cfg(feature = "sentinel")]
    Sentinel(tokio::sync::Mutex<redis::sentinel::SentinelClient>),
}

/// Many connections have it, one after the other.
#[cfg(feature = "credentials")]
#[derive(Clone)]
pub(crate) struct Provider(pub(crate) Arc<dyn StreamingCredentialsProvider>);

#[cfg(feature = "credentials")]
impl StreamingCredentialsProvider for Provider {
    fn subscribe(&self) -> Pin<Box<dyn Stream<Item = RedisResult<BasicAuth>> + Send + 'static>> {
        self.0.subscribe()
    }
}

/// The connection of now, made or in the making, and how many there were before it.
#[derive(Default)]
struct Slot {
    epoch: u64,
    attempt: Option<Attempt>,
    /// When the sentinels were asked again for a master that may be none any more.
    #[cfg(feature = "sentinel")]
    left: Option<Instant>,
}

/// An attempt to connect has so long at least, however soon those who wait for it give up.
const LEAST: Duration = Duration::from_secs(5);

pub(crate) fn longest(patience: Duration) -> Duration {
    patience.max(LEAST)
}

/// A connection of which nothing was heard for so long is asked whether it is still there.
const IDLE: Duration = Duration::from_secs(5);

/// Between two times that the sentinels are asked again.
#[cfg(feature = "sentinel")]
const PAUSE: Duration = Duration::from_secs(1);

/// One to connect, and the connection that came of it.
struct Attempt {
    connecting: Connecting,
    is_over: Arc<AtomicBool>,
    /// It is over by then, or a task of a runtime that nobody drives.
    until: Instant,
}

type Connecting = Shared<BoxFuture<'static, RedisResult<Live>>>;

/// Also when its runtime drops it.
struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Whose connection it is, to whom its failures are told; of a manager, that nobody makes it connect again meanwhile.
pub(crate) struct Lease<'a> {
    lazy: Option<(Arc<Lazy>, u64)>,
    _managed: Option<RwLockReadGuard<'a, Option<Instant>>>,
}

impl Lazy {
    pub(crate) fn new(server: Server) -> Arc<Self> {
        Arc::new(Self {
            server,
            slot: Mutex::default(),
            heard: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            made: Instant::now(),
        })
    }

    pub(crate) async fn lease(self: &Arc<Self>, patience: Duration) -> RedisResult<(Live, Lease<'static>)> {
        let (connecting, epoch) = self.connecting(patience);
        match connecting.await {
            Ok(live) => Ok((live, Lease { lazy: Some((Arc::clone(self), epoch)), _managed: None })),
            Err(error) => {
                self.give_up(epoch);
                Err(error)
            }
        }
    }

    /// All who wait share one attempt. It is a task of its own: it goes on when they lose patience, and when it fails
    /// while nobody looks, the next one does not hear of it.
    fn connecting(self: &Arc<Self>, patience: Duration) -> (Connecting, u64) {
        let mut slot = self.slot();
        let is_stuck =
            |attempt: &Attempt| !attempt.is_over.load(Ordering::Acquire) && attempt.until < Instant::now();
        if slot.attempt.as_ref().is_some_and(is_stuck) {
            (slot.epoch, slot.attempt) = (slot.epoch + 1, None);
        }
        let epoch = slot.epoch;
        let attempt = slot.attempt.get_or_insert_with(|| {
            let is_over = Arc::new(AtomicBool::new(false));
            let (lazy, over) = (Arc::clone(self), Over(Arc::clone(&is_over)));
            let attempt = tokio::spawn(async move {
                let _over = over;
                let connected = lazy.connect(patience).await;
                if connected.is_err() {
                    lazy.give_up(epoch);
                }
                connected
            });
            let connecting = attempt.map(|ended| ended.unwrap_or_else(|_| Err(aborted()))).boxed().shared();
            Attempt { connecting, is_over, until: Instant::now() + 2 * longest(patience) }
        });
        (attempt.connecting.clone(), epoch)
    }

    async fn connect(&self, patience: Duration) -> RedisResult<Live> {
        // A client's own limits are for each of several steps, or for none.
        let connecting = timeout(longest(patience), self.server.connect(patience));
        let connected = connecting.await.unwrap_or_else(|_| Err(late()));
        if connected.is_ok() {
            self.hears();
        }
        connected
    }

    /// The server has said something.
    fn hears(&self) {
        self.heard.fetch_max(self.now(), Ordering::Relaxed);
        self.asked.store(0, Ordering::Relaxed);
    }

    fn asks(&self) {
        _ = self.asked.compare_exchange(0, self.now().max(1), Ordering::Relaxed, Ordering::Relaxed);
    }

    /// For so long it has owed an answer.
    fn is_silent_for(&self) -> Duration {
        match self.asked.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            asked => Duration::from_millis(self.now().saturating_sub(asked)),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether what lies between may have forgotten it without a word.
    pub(crate) fn is_idle(&self) -> bool {
        let heard = Duration::from_millis(self.heard.load(Ordering::Relaxed));
        self.made.elapsed().saturating_sub(heard) >= IDLE
    }

    pub(crate) fn is_connected(&self) -> bool {
        // A failed one is given up.
        self.slot().attempt.as_ref().is_some_and(|attempt| attempt.is_over.load(Ordering::Acquire))
    }

    /// Beside the connection that is there, which serves those who read, and not with each error: there may be no other master.
    #[cfg(feature = "sentinel")]
    fn ask_again(self: &Arc<Self>, epoch: u64, patience: Duration) {
        let mut slot = self.slot();
        if slot.left.is_some_and(|left| left.elapsed() < PAUSE) {
            return;
        }
        slot.left = Some(Instant::now());
        drop(slot);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let lazy = Arc::clone(self);
        runtime.spawn(async move {
            if let Ok(live) = lazy.connect(patience).await {
                lazy.put(epoch, live);
            }
        });
    }

    /// Its connection is not needed any more.
    pub(crate) fn close(&self) {
        let mut slot = self.slot();
        (slot.epoch, slot.attempt) = (slot.epoch + 1, None);
    }

    /// Lets the next one connect anew, unless that has happened already.
    fn give_up(&self, epoch: u64) {
        let mut slot = self.slot();
        if slot.epoch == epoch {
            (slot.epoch, slot.attempt) = (epoch + 1, None);
        }
    }

    #[cfg(feature = "sentinel")]
    fn put(&self, epoch: u64, live: Live) {
        let mut slot = self.slot();
        if slot.epoch == epoch {
            let connecting = ready(Ok(live)).boxed().shared();
            let is_over = Arc::new(AtomicBool::new(true));
            slot.epoch = epoch + 1;
            slot.attempt = Some(Attempt { connecting, is_over, until: Instant::now() });
        }
    }

    /// A panic of another holder left it whole: nothing in it panics half-way.
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self.server {
            Server::One(_) => "Client",
            #[cfg(feature = "credentials")]
            Server::WithCredentials(..) => "Client(credentials)",
            #[cfg(feature = "sentinel")]
            Server::Sentinel(_) => "SentinelClient",
        }
    }
}

impl Server {
    async fn connect(&self, patience: Duration) -> RedisResult<Live> {
        #[cfg(feature = "tls")]
        choose_cryptography();
        // The calls have their own limit for answers.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(longest(patience)))
            .set_response_timeout(None);
        match self {
            Self::One(client) => {
                client.get_multiplexed_async_connection_with_config(&config).await.map(Live::Multiplexed)
            }
            #[cfg(feature = "credentials")]
            Self::WithCredentials(client, provider) => {
                let config = config.set_credentials_provider(provider.clone());
                client.get_multiplexed_async_connection_with_config(&config).await.map(Live::Multiplexed)
            }
            #[cfg(feature = "sentinel")]
            Self::Sentinel(client) => {
                client.lock().await.get_async_connection_with_config(&config).await.map(Live::Multiplexed)
            }
        }
    }
}

/// Whether the connection is of no more use after this error. One that does not answer may have been forgotten by the other side.
fn is_lost(error: &RedisError) -> bool {
    error.is_unrecoverable_error() || error.is_timeout() || is_replica(error)
}

impl Lease<'_> {
    /// Of a connection that takes care of itself.
    pub(crate) fn none() -> Self {
        Self { lazy: None, _managed: None }
    }
}

impl<'a> Lease<'a> {
    #[cfg(feature = "connection-manager")]
    pub(crate) fn managed(guard: RwLockReadGuard<'a, Option<Instant>>) -> Self {
        Self { lazy: None, _managed: Some(guard) }
    }

    /// Whether it is to be asked whether it is still there, before it is used.
    pub(crate) fn is_idle(&self) -> bool {
        self.lazy.as_ref().is_some_and(|(lazy, _)| lazy.is_idle())
    }

    pub(crate) fn lazy(&self) -> Option<&Arc<Lazy>> {
        self.lazy.as_ref().map(|(lazy, _)| lazy)
    }

    pub(crate) fn asks(&self) {
        if let Some((lazy, _)) = &self.lazy {
            lazy.asks();
        }
    }

    pub(crate) fn is_silent_for(&self) -> Duration {
        self.lazy.as_ref().map_or(Duration::ZERO, |(lazy, _)| lazy.is_silent_for())
    }

    pub(crate) fn hears(&self) {
        if let Some((lazy, _)) = &self.lazy {
            lazy.hears();
        }
    }

    pub(crate) fn report(&self, error: &RedisError, patience: Duration) {
        let Some((lazy, epoch)) = &self.lazy else { return };
        if is_lost(error) {
            lazy.give_up(*epoch);
        }
        // It is cut off from its replicas, and perhaps from the sentinels, who have made another one the master.
        #[cfg(feature = "sentinel")]
        if matches!(lazy.server, Server::Sentinel(_)) && error.code() == Some("NOREPLICAS") {
            lazy.ask_again(*epoch, patience);
        }
        #[cfg(not(feature = "sentinel"))]
        let _: Duration = patience;
    }
}

pub(crate) fn aborted() -> RedisError {
    io::Error::from(io::ErrorKind::ConnectionAborted).into()
}

/// rustls wants one to be chosen for the process, and panics where two are compiled in and none is.
#[cfg(feature = "tls")]
fn choose_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // An error means that somebody else was faster.
        _ = rustls::crypto::ring::default_provider().install_default();
    }
}
