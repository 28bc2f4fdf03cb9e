//! A connection that is made when it is needed, and again when it broke. redis's own `ConnectionManager` knows no sentinels,
//! and answers the first command after a failed attempt with that failure, whatever the server does by then.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use redis::{AsyncConnectionConfig, Client, RedisError, RedisResult};
use tokio::{sync::RwLockReadGuard, time::Instant};

use crate::{call::is_replica, connection::Live};

pub(crate) struct Lazy {
    server: Server,
    slot: Mutex<Slot>,
}

pub(crate) enum Server {
    One(Client),
    #[cfg(feature = "sentinel")]
    Sentinel(tokio::sync::Mutex<redis::sentinel::SentinelClient>),
    #[cfg(feature = "cluster")]
    Cluster(Box<redis::cluster::ClusterClient>),
}

/// The connection of now, made or in the making, and how many there were before it.
#[derive(Default)]
struct Slot {
    epoch: u64,
    connecting: Option<Connecting>,
}

type Connecting = Shared<BoxFuture<'static, RedisResult<Live>>>;

/// Whose connection it is, to whom its failures are told; of a manager, that nobody makes it connect again meanwhile.
pub(crate) struct Lease<'a> {
    lazy: Option<(&'a Lazy, u64)>,
    _managed: Option<RwLockReadGuard<'a, Option<Instant>>>,
}

impl Lazy {
    pub(crate) fn new(server: Server) -> Arc<Self> {
        Arc::new(Self { server, slot: Mutex::default() })
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
                let connected = lazy.server.connect(patience).await;
                if connected.is_err() {
                    lazy.give_up(epoch);
                }
                connected
            });
            attempt.map(|ended| ended.unwrap_or_else(|_| Err(aborted()))).boxed().shared()
        });
        (connecting.clone(), epoch)
    }

    /// Lets the next one connect anew, unless that has happened already.
    fn give_up(&self, epoch: u64) {
        let mut slot = self.slot();
        if slot.epoch == epoch {
            *slot = Slot { epoch: epoch + 1, connecting: None };
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
            #[cfg(feature = "sentinel")]
            Server::Sentinel(_) => "SentinelClient",
            #[cfg(feature = "cluster")]
            Server::Cluster(_) => "ClusterClient",
        }
    }
}

impl Server {
    async fn connect(&self, patience: Duration) -> RedisResult<Live> {
        #[cfg(feature = "tls")]
        choose_cryptography();
        // The calls have their own limit for answers.
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(patience)).set_response_timeout(None);
        match self {
            Self::One(client) => {
                client.get_multiplexed_async_connection_with_config(&config).await.map(Live::Multiplexed)
            }
            #[cfg(feature = "sentinel")]
            Self::Sentinel(client) => {
                client.lock().await.get_async_connection_with_config(&config).await.map(Live::Multiplexed)
            }
            #[cfg(feature = "cluster")]
            Self::Cluster(client) => client.get_async_connection().await.map(Live::Cluster),
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

    pub(crate) fn report(&self, error: &RedisError) {
        if let Some((lazy, epoch)) = self.lazy
            && lazy.server.is_lost(error)
        {
            lazy.give_up(epoch);
        }
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
