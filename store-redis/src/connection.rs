//! What the store talks to.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::Instant;
#[cfg(feature = "connection-manager")]
use tokio::time::timeout_at;

use redis::{
    Cmd, Pipeline, RedisFuture, RedisResult, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    io::tcp::socket2::TcpKeepalive,
};

#[cfg(feature = "credentials")]
use crate::lazy::Provider;
use crate::lazy::{Lazy, Lease, Server};

/// What a [`RedisStore`](crate::RedisStore) is made on: a client or a connection that the application already has, by
/// `From`.
///
/// A client is connected when it is needed and whenever its connection broke: [`redis::Client`], with the feature `sentinel`
/// `SentinelClient`, with `cluster` `ClusterClient`. A connection is shared with the application and takes care of itself:
/// `ClusterConnection`, with the feature `connection-manager` `ConnectionManager`; a [`MultiplexedConnection`] does not
/// reconnect.
///
/// How long a call waits for connecting and for its answer is the store's [`timeout`](crate::RedisStore::timeout). Of a cluster's client the
/// store sets the limits of connecting and of an answer itself: a node has a quarter of the time-out to be connected, a second at
/// most, and somewhat more after that was not enough for any. A limit that it was built with for *all* of a call stays
/// (`overall_response_timeout`, which `response_timeout` sets as well). How long sentinels may take is redis's own: a second to
/// be connected, half a second for an answer.
#[derive(Clone)]
pub struct Connection(Source);

#[derive(Clone)]
enum Source {
    Opened(Arc<Lazy>),
    Given(Live),
    /// And when it was last made to connect again.
    #[cfg(feature = "connection-manager")]
    Managed(redis::aio::ConnectionManager, Arc<tokio::sync::RwLock<Option<Instant>>>),
}

/// Between two times that a manager is made to connect again.
#[cfg(feature = "connection-manager")]
const AGAIN: Duration = Duration::from_secs(1);

/// A connection that is there.
#[derive(Clone)]
pub(crate) enum Live {
    Multiplexed(MultiplexedConnection),
    #[cfg(feature = "connection-manager")]
    Managed(redis::aio::ConnectionManager),
    #[cfg(feature = "cluster")]
    Cluster(redis::cluster_async::ClusterConnection),
}

impl Connection {
    /// A client whose credentials rotate, tokens of an identity service (IAM, Entra ID), say: the `provider`'s first ones are each
    /// new connection's, and with those that follow it authenticates anew, until the server refuses some. Those of the client's URL are not used.
    ///
    /// For the first ones the provider has the time of connecting, five seconds at least; what it fails with is the error of the call
    /// ([`StoreError::Unavailable`](session_core::StoreError::Unavailable)). redis has such a provider for Entra ID, with its feature `entra-id`.
    /// `ClusterClient`'s builder and `ConnectionManagerConfig` take one themselves (`set_credentials_provider`).
    ///
    /// ```
    /// use std::pin::Pin;
    ///
    /// use futures_util::{Stream, StreamExt, stream};
    /// use store_redis::{
    ///     Connection, RedisStore,
    ///     redis::{BasicAuth, Client, RedisResult, StreamingCredentialsProvider},
    /// };
    ///
    /// /// A new one every ten minutes.
    /// struct Tokens;
    ///
    /// impl StreamingCredentialsProvider for Tokens {
    ///     fn subscribe(&self) -> Pin<Box<dyn Stream<Item = RedisResult<BasicAuth>> + Send>> {
    ///         let next = |is_first: bool| async move {
    ///             if !is_first {
    ///                 tokio::time::sleep(std::time::Duration::from_secs(600)).await;
    ///             }
    ///             let token = "of the identity service".to_owned();
    ///             Some((Ok(BasicAuth::new("web".to_owned(), token)), false))
    ///         };
    ///         stream::unfold(true, next).boxed()
    ///     }
    /// }
    ///
    /// let client = Client::open("redis://127.0.0.1:6379")?;
    /// let store = RedisStore::new(Connection::with_credentials(client, Tokens));
    /// # Ok::<(), store_redis::redis::RedisError>(())
    /// ```
    #[cfg(feature = "credentials")]
    #[cfg_attr(docsrs, doc(cfg(feature = "credentials")))]
    #[must_use]
    pub fn with_credentials(
        client: redis::Client,
        provider: impl redis::StreamingCredentialsProvider + 'static,
    ) -> Self {
        let provider = Provider(Arc::new(provider));
        Self(Source::Opened(Lazy::new(Server::WithCredentials(kept_alive(client), provider))))
    }

    /// The connection, connected if it is not; `patience`: how long an attempt may take.
    pub(crate) async fn lease(&self, patience: Duration) -> RedisResult<(Live, Lease<'_>)> {
        match &self.0 {
            Source::Opened(lazy) => lazy.lease(patience).await,
            Source::Given(live) => Ok((live.clone(), Lease::none())),
            #[cfg(feature = "connection-manager")]
            Source::Managed(manager, left) => {
                Ok((Live::Managed(manager.clone()), Lease::managed(left.read().await)))
            }
        }
    }

    /// The server has been a replica since `begun`, and its name may lead to another one. What the store has opened it opens anew
    /// by itself. A manager connects again only where the connection is closed, and the server closes it when it is asked to: once
    /// for all who were told so, and not again and again while the name leads to a replica, since others use it as well.
    pub(crate) async fn leaves(&self, begun: Instant, deadline: Instant) {
        match &self.0 {
            #[cfg(feature = "connection-manager")]
            Source::Managed(manager, left) => {
                let leave = async {
                    // Nothing of this store's is under way then, which the server would not do any more.
                    let mut left = left.write().await;
                    if left.is_some_and(|at| at >= begun || at.elapsed() < AGAIN) {
                        return;
                    }
                    let mut manager = manager.clone();
                    for word in ["QUIT", "PING"] {
                        // The second one finds out, where the first one has not.
                        _ = redis::cmd(word).exec_async(&mut manager).await;
                    }
                    *left = Some(Instant::now());
                };
                _ = timeout_at(deadline, leave).await;
            }
            _ => _ = (begun, deadline),
        }
    }

    /// Whether it is the store that connects anew, and not what it was given.
    pub(crate) fn is_reopened(&self) -> bool {
        matches!(&self.0, Source::Opened(lazy) if !lazy.is_cluster())
    }

    /// Whether it is a cluster's: it sends a command again whose connection broke, and after a slot that moves.
    pub(crate) fn is_cluster(&self) -> bool {
        match &self.0 {
            Source::Opened(lazy) => lazy.is_cluster(),
            #[cfg(feature = "cluster")]
            Source::Given(Live::Cluster(..)) => true,
            _ => false,
        }
    }
}

impl From<redis::Client> for Connection {
    fn from(client: redis::Client) -> Self {
        Self(Source::Opened(Lazy::new(Server::One(kept_alive(client)))))
    }
}

/// What lies between forgets a connection of which it hears nothing, some after four minutes.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// The system asks whether the other side is there, unless the application has said how.
fn kept_alive(client: redis::Client) -> redis::Client {
    let info = client.get_connection_info();
    let settings = info.tcp_settings();
    if settings.keepalive().is_some() {
        return client;
    }
    let settings = settings.clone().set_keepalive(TcpKeepalive::new().with_time(KEEPALIVE));
    redis::Client::open(info.clone().set_tcp_settings(settings)).unwrap_or(client)
}

impl From<MultiplexedConnection> for Connection {
    fn from(connection: MultiplexedConnection) -> Self {
        Self(Source::Given(Live::Multiplexed(connection)))
    }
}

#[cfg(feature = "connection-manager")]
#[cfg_attr(docsrs, doc(cfg(feature = "connection-manager")))]
impl From<redis::aio::ConnectionManager> for Connection {
    fn from(connection: redis::aio::ConnectionManager) -> Self {
        Self(Source::Managed(connection, Arc::default()))
    }
}

#[cfg(feature = "sentinel")]
#[cfg_attr(docsrs, doc(cfg(feature = "sentinel")))]
impl From<redis::sentinel::SentinelClient> for Connection {
    fn from(client: redis::sentinel::SentinelClient) -> Self {
        Self(Source::Opened(Lazy::new(Server::Sentinel(tokio::sync::Mutex::new(client)))))
    }
}

#[cfg(feature = "cluster")]
#[cfg_attr(docsrs, doc(cfg(feature = "cluster")))]
impl From<redis::cluster::ClusterClient> for Connection {
    fn from(client: redis::cluster::ClusterClient) -> Self {
        Self(Source::Opened(Lazy::new(Server::Cluster(Box::new(client)))))
    }
}

#[cfg(feature = "cluster")]
#[cfg_attr(docsrs, doc(cfg(feature = "cluster")))]
impl From<redis::cluster_async::ClusterConnection> for Connection {
    fn from(connection: redis::cluster_async::ClusterConnection) -> Self {
        Self(Source::Given(Live::Cluster(connection)))
    }
}

impl ConnectionLike for Live {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Multiplexed(connection) => connection.req_packed_command(command),
            #[cfg(feature = "connection-manager")]
            Self::Managed(connection) => connection.req_packed_command(command),
            #[cfg(feature = "cluster")]
            Self::Cluster(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Multiplexed(connection) => connection.req_packed_commands(commands, offset, count),
            #[cfg(feature = "connection-manager")]
            Self::Managed(connection) => connection.req_packed_commands(commands, offset, count),
            #[cfg(feature = "cluster")]
            Self::Cluster(connection) => connection.req_packed_commands(commands, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Multiplexed(connection) => connection.get_db(),
            #[cfg(feature = "connection-manager")]
            Self::Managed(connection) => connection.get_db(),
            #[cfg(feature = "cluster")]
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

/// Shows neither address nor password.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Source::Opened(lazy) => lazy.kind(),
            _ => "Connection(given)",
        })
    }
}
