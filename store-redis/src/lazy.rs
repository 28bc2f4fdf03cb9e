//! A connection that is made when it is needed, and again when it broke. redis's own `ConnectionManager` knows no sentinels,
//! and answers the first command after a failed attempt with that failure, whatever the server does by then.

#[cfg(feature = "credentials")]
use std::pin::Pin;
use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

#[cfg(feature = "credentials")]
use futures_util::Stream;
#[cfg(any(feature = "cluster", feature = "sentinel"))]
use futures_util::future::ready;
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
#[cfg(feature = "cluster")]
use redis::cluster::ClusterConfig;
use redis::{AsyncConnectionConfig, Client, RedisError, RedisResult};
#[cfg(feature = "credentials")]
use redis::{BasicAuth, StreamingCredentialsProvider};
#[cfg(feature = "cluster")]
use tokio::time::sleep;
use tokio::{
    sync::RwLockReadGuard,
    time::{Instant, timeout},
};

#[cfg(feature = "cluster")]
use crate::cluster::{self, Beside};

use crate::{
    call::{is_replica, late},
    connection::Live,
};

pub(crate) struct Lazy {
    server: Server,
    slot: Mutex<Slot>,
    /// When the server was heard last, in milliseconds since this was made.
    heard: AtomicU64,
    made: Instant,
}

pub(crate) enum Server {
    One(Client),
    #[cfg(feature = "credentials")]
    WithCredentials(Client, Provider),
    #[cfg(feature = "sentinel")]
    Sentinel(tokio::sync::Mutex<redis::sentinel::SentinelClient>),
    #[cfg(feature = "cluster")]
    Cluster(Box<redis::cluster::ClusterClient>),
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
    connecting: Option<Connecting>,
    /// How many attempts have failed for want of time, or had not all nodes, since one did not.
    failed: u32,
    /// When the sentinels were asked again for a master that may be none any more.
    #[cfg(feature = "sentinel")]
    left: Option<Instant>,
    /// Whether another one is tried, while this one is in use.
    #[cfg(feature = "cluster")]
    trying: bool,
    /// Keys of which nothing was heard.
    #[cfg(feature = "cluster")]
    silent: Vec<Vec<u8>>,
}

/// An attempt to connect has so long at least, however soon those who wait for it give up.
const LEAST: Duration = Duration::from_secs(5);

const LEAST_FOR_A_NODE: Duration = Duration::from_millis(100);

fn longest(patience: Duration) -> Duration {
    patience.max(LEAST)
}

/// A cluster's client waits for each node that it knows of, again and again while one is silent, and nobody is served meanwhile. So
/// they have a part of the time-out, and more of it where that was not enough for any.
#[cfg(feature = "cluster")]
fn for_a_node(patience: Duration, failed: u32) -> Duration {
    let part = (patience / 4).clamp(LEAST_FOR_A_NODE, Duration::from_secs(1));
    // It waits twice: for those that it was told of, and for those that these tell of. Both must fit into an attempt.
    (part * 2_u32.pow(failed.min(6))).min(longest(patience) / 5 * 2)
}

#[cfg(feature = "cluster")]
const MOST_KEYS: usize = 16;

/// A connection of which nothing was heard for so long is asked whether it is still there.
const IDLE: Duration = Duration::from_secs(5);

/// Between two attempts at another connection.
#[cfg(any(feature = "cluster", feature = "sentinel"))]
const PAUSE: Duration = Duration::from_secs(1);

type Connecting = Shared<BoxFuture<'static, RedisResult<Live>>>;

/// Whose connection it is, to whom its failures are told; of a manager, that nobody makes it connect again meanwhile.
pub(crate) struct Lease<'a> {
    lazy: Option<(&'a Arc<Lazy>, u64)>,
    _managed: Option<RwLockReadGuard<'a, Option<Instant>>>,
}

impl Lazy {
    pub(crate) fn new(server: Server) -> Arc<Self> {
        Arc::new(Self { server, slot: Mutex::default(), heard: AtomicU64::new(0), made: Instant::now() })
    }

    pub(crate) async fn lease(self: &Arc<Self>, patience: Duration) -> RedisResult<(Live, Lease<'_>)> {
        let (connecting, epoch) = self.connecting(patience);
        match connecting.await {
            Ok(live) => Ok((live, Lease { lazy: Some((self, epoch)), _managed: None })),
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
        let epoch = slot.epoch;
        let connecting = slot.connecting.get_or_insert_with(|| {
            let lazy = Arc::clone(self);
            let attempt = tokio::spawn(async move {
                let connected = lazy.connect(patience).await;
                match connected {
                    Ok(_) => lazy.has_failed(0),
                    Err(_) => lazy.give_up(epoch),
                }
                connected
            });
            attempt.map(|ended| ended.unwrap_or_else(|_| Err(aborted()))).boxed().shared()
        });
        (connecting.clone(), epoch)
    }

    async fn connect(&self, patience: Duration) -> RedisResult<Live> {
        let (failed, begun) = (self.failed(), Instant::now());
        // A client's own limits are for each of several steps, or for none.
        let connecting = timeout(longest(patience), self.server.connect(patience, failed));
        let connected = connecting.await.map_err(late).and_then(|connected| connected);
        match &connected {
            Ok(_) => self.hears(),
            Err(_) if begun.elapsed() >= LEAST_FOR_A_NODE => self.has_failed(failed.saturating_add(1)),
            Err(_) => {}
        }
        connected
    }

    fn failed(&self) -> u32 {
        self.slot().failed
    }

    fn has_failed(&self, times: u32) {
        self.slot().failed = times;
    }

    /// The server has said something.
    fn hears(&self) {
        let since = u64::try_from(self.made.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard.fetch_max(since, Ordering::Relaxed);
    }

    /// Whether what lies between may have forgotten it without a word. (Of a cluster's nodes that is not known of each.)
    fn is_idle(&self) -> bool {
        let heard = Duration::from_millis(self.heard.load(Ordering::Relaxed));
        !self.is_cluster() && self.made.elapsed().saturating_sub(heard) >= IDLE
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

    /// Lets the next one connect anew, unless that has happened already.
    fn give_up(&self, epoch: u64) {
        let mut slot = self.slot();
        if slot.epoch == epoch {
            (slot.epoch, slot.connecting) = (epoch + 1, None);
        }
    }

    /// Tries another connection beside this one, which serves all others as long as that takes: it is taken if one of the keys
    /// on which this one was silent, and still is, is answered on it; where no key was asked for, if all masters are there. One at
    /// a time, and a while apart: what is slow for being busy does not become faster by it.
    #[cfg(feature = "cluster")]
    fn try_another(self: &Arc<Self>, epoch: u64, patience: Duration, key: Option<&[u8]>) {
        // Who drops a call may not be on a runtime.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let mut slot = self.slot();
        if slot.epoch != epoch {
            return;
        }
        if let Some(key) = key
            && slot.silent.len() < MOST_KEYS
        {
            slot.silent.push(key.to_vec());
        }
        let Some(present) = slot.connecting.clone() else { return };
        if std::mem::replace(&mut slot.trying, true) {
            return;
        }
        drop(slot);
        let trying = Trying(Arc::clone(self));
        runtime.spawn(async move {
            let Trying(lazy) = &trying;
            let failed = lazy.failed();
            if let (Ok(live), Ok(present)) = (lazy.connect(patience).await, present.await) {
                let silent = std::mem::take(&mut lazy.slot().silent);
                match cluster::compared(&live, &present, &silent, patience).await {
                    Beside::Better => {
                        lazy.put(epoch, live);
                        lazy.has_failed(0);
                    }
                    // A node that is slow may not have been connected in time.
                    Beside::AsSilent => lazy.has_failed(failed.saturating_add(1)),
                    Beside::NotNeeded => {}
                }
            }
            sleep(PAUSE).await;
        });
    }

    #[cfg(any(feature = "cluster", feature = "sentinel"))]
    fn put(&self, epoch: u64, live: Live) {
        let mut slot = self.slot();
        if slot.epoch == epoch {
            (slot.epoch, slot.connecting) = (epoch + 1, Some(ready(Ok(live)).boxed().shared()));
        }
    }

    /// A panic of another holder left it whole: nothing in it panics half-way.
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_cluster(&self) -> bool {
        match self.server {
            #[cfg(feature = "cluster")]
            Server::Cluster(_) => true,
            _ => false,
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self.server {
            Server::One(_) => "Client",
            #[cfg(feature = "credentials")]
            Server::WithCredentials(..) => "Client(credentials)",
            #[cfg(feature = "sentinel")]
            Server::Sentinel(_) => "SentinelClient",
            #[cfg(feature = "cluster")]
            Server::Cluster(_) => "ClusterClient",
        }
    }
}

/// That one is tried, until this is dropped: with its runtime as well.
#[cfg(feature = "cluster")]
struct Trying(Arc<Lazy>);

#[cfg(feature = "cluster")]
impl Drop for Trying {
    fn drop(&mut self) {
        let mut slot = self.0.slot();
        slot.trying = false;
        slot.silent.clear();
    }
}

impl Server {
    /// After so many attempts that failed.
    async fn connect(&self, patience: Duration, failed: u32) -> RedisResult<Live> {
        #[cfg(feature = "tls")]
        choose_cryptography();
        #[cfg(not(feature = "cluster"))]
        let _: u32 = failed;
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
            #[cfg(feature = "cluster")]
            Self::Cluster(client) => {
                // What it waits for by itself, while others wait for it, has an end: no call waits for longer.
                let config = ClusterConfig::new()
                    .set_connection_timeout(for_a_node(patience, failed))
                    .set_response_timeout(patience);
                client.get_async_connection_with_config(config).await.map(Live::Cluster)
            }
        }
    }

    /// Whether the connection is of no more use after this error.
    fn is_lost(&self, error: &RedisError) -> bool {
        match self {
            // It reconnects to its nodes by itself; this is the end of all of it.
            #[cfg(feature = "cluster")]
            Self::Cluster(_) => error.is_connection_dropped(),
            // One that does not answer may have been forgotten by the other side.
            _ => error.is_unrecoverable_error() || error.is_timeout() || is_replica(error),
        }
    }
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
        self.lazy.is_some_and(|(lazy, _)| lazy.is_idle())
    }

    pub(crate) fn hears(&self) {
        if let Some((lazy, _)) = self.lazy {
            lazy.hears();
        }
    }

    /// `key`: what was asked for, if it was one.
    pub(crate) fn report(&self, error: &RedisError, patience: Duration, key: Option<&[u8]>) {
        let Some((lazy, epoch)) = self.lazy else { return };
        if lazy.server.is_lost(error) {
            lazy.give_up(epoch);
        }
        // It is cut off from its replicas, and perhaps from the sentinels, who have made another one the master.
        #[cfg(feature = "sentinel")]
        if matches!(lazy.server, Server::Sentinel(_)) && error.code() == Some("NOREPLICAS") {
            lazy.ask_again(epoch, patience);
        }
        // A cluster's client waits for ever for a node that says nothing, and does not learn who took over from it.
        #[cfg(feature = "cluster")]
        if lazy.is_cluster() && (error.is_timeout() || cluster::is_not_all(error)) {
            lazy.try_another(epoch, patience, key);
        }
        #[cfg(not(feature = "cluster"))]
        let _: (Duration, Option<&[u8]>) = (patience, key);
    }
}

fn aborted() -> RedisError {
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
