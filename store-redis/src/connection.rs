//! What the store talks to.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::Instant;
#[cfg(feature = "connection-manager")]
use tokio::time::timeout_at;

use redis::{
    Cmd, Pipeline, RedisError, RedisFuture, RedisResult, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    io::tcp::socket2::TcpKeepalive,
};

use crate::cluster::{Cluster, Node, Nodes};
#[cfg(feature = "credentials")]
use crate::lazy::Provider;
use crate::lazy::{Lazy, Lease, Server};

/// What a [`RedisStore`](crate::RedisStore) is made on: a client or a connection that the application already has, by
/// `From`.
///
/// A client is connected when it is needed and whenever its connection broke: [`redis::Client`], with the feature `sentinel`
/// `SentinelClient`; a [`Cluster`](crate::Cluster). A connection is shared with the application and takes care of itself:
/// with the feature `connection-manager` a `ConnectionManager`; a [`MultiplexedConnection`] does not reconnect.
///
/// How long a call waits for connecting and for its answer is the store's [`timeout`](crate::RedisStore::timeout). How long sentinels may take is redis's own:
/// a second to be connected, half a second for an answer.
#[derive(Clone)]
pub struct Connection(Source);

#[derive(Clone)]
enum Source {
    Opened(Arc<Lazy>),
    Cluster(Arc<Nodes>),
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
    /// To a node that serves who says so before each command.
    Asking(MultiplexedConnection),
}

/// Which server a call is for.
#[derive(Clone, Default)]
pub(crate) enum Place {
    /// The one that has its key, or the only one.
    #[default]
    OfKey,
    At(Node),
    /// One that has the key and not yet its slot, and serves who says `ASKING`.
    Asking(Node),
}

impl Connection {
    /// A client whose credentials rotate, tokens of an identity service (IAM, Entra ID), say: the `provider`'s first ones are each
    /// new connection's, and with those that follow it authenticates anew, until the server refuses some. Those of the client's URL are not used.
    ///
    /// For the first ones the provider has the time of connecting, five seconds at least; what it fails with is the error of the call
    /// ([`StoreError::Unavailable`](session_core::StoreError::Unavailable)). redis has such a provider for Entra ID, with its feature `entra-id`.
    /// `Cluster::credentials` takes one as well, and so does `ConnectionManagerConfig` (`set_credentials_provider`).
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

    /// The connection for a key, connected if it is not; `patience`: how long an attempt may take.
    pub(crate) async fn lease(
        &self,
        place: &Place,
        key: Option<&[u8]>,
        patience: Duration,
    ) -> RedisResult<(Live, Lease<'_>)> {
        match place {
            Place::OfKey => {}
            Place::At(node) => return node.lease(patience).await,
            Place::Asking(node) => {
                let (live, lease) = node.lease(patience).await?;
                return Ok((
                    if let Live::Multiplexed(live) = live { Live::Asking(live) } else { live },
                    lease,
                ));
            }
        }
        match &self.0 {
            Source::Cluster(nodes) => nodes.lease(key.unwrap_or_default(), patience).await,
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

    /// Where a command is to be sent after this error, if elsewhere: it was not done.
    pub(crate) fn redirected(&self, error: &RedisError, patience: Duration) -> Option<Place> {
        match &self.0 {
            Source::Cluster(nodes) => nodes.redirected(error, patience),
            _ => None,
        }
    }

    /// An error that may mean that the server is not the right one any more.
    pub(crate) fn doubts(&self, error: &RedisError, lease: &Lease<'_>, patience: Duration) {
        if let Source::Cluster(nodes) = &self.0 {
            nodes.doubts(error, lease, patience);
        }
    }

    /// All that have keys.
    pub(crate) async fn places(&self, patience: Duration) -> RedisResult<Vec<Place>> {
        match &self.0 {
            Source::Cluster(nodes) => {
                nodes.masters(patience).await.map(|nodes| nodes.into_iter().map(Place::At).collect())
            }
            _ => Ok(vec![Place::OfKey]),
        }
    }

    /// Whether it is the store that connects anew, and not what it was given.
    pub(crate) fn is_reopened(&self) -> bool {
        matches!(&self.0, Source::Opened(_)) || self.is_cluster()
    }

    /// Whether one key is here and the next one there.
    pub(crate) fn is_cluster(&self) -> bool {
        matches!(&self.0, Source::Cluster(_))
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
pub(crate) fn kept_alive(client: redis::Client) -> redis::Client {
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

impl From<Cluster> for Connection {
    fn from(cluster: Cluster) -> Self {
        Self(Source::Cluster(Nodes::of(cluster)))
    }
}

impl ConnectionLike for Live {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Multiplexed(connection) => connection.req_packed_command(command),
            #[cfg(feature = "connection-manager")]
            Self::Managed(connection) => connection.req_packed_command(command),
            // Together: what others send on the same connection does not come between.
            Self::Asking(connection) => Box::pin(async move {
                let mut together = redis::pipe();
                together.cmd("ASKING").add_command(command.clone());
                let answers = connection.req_packed_commands(&together, 0, 2).await?;
                let refused = answers.iter().position(|answer| matches!(answer, Value::ServerError(_)));
                let answer = answers.into_iter().nth(refused.unwrap_or(1));
                answer.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into())
            }),
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
            Self::Asking(connection) => connection.req_packed_commands(commands, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Multiplexed(connection) => connection.get_db(),
            #[cfg(feature = "connection-manager")]
            Self::Managed(connection) => connection.get_db(),
            Self::Asking(connection) => connection.get_db(),
        }
    }
}

/// Shows neither address nor password.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Source::Opened(lazy) => lazy.kind(),
            Source::Cluster(_) => "Cluster",
            _ => "Connection(given)",
        })
    }
}
