//! A Redis Cluster: who has a key, and a connection to each who has some.
//!
//! Not by redis's own client, which sends a command again by itself, lets all wait for a node that is silent, and (1.8) waits for
//! itself when a slot moves beside some sixty calls.

use std::{
    collections::VecDeque,
    fmt,
    ops::RangeInclusive,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

#[cfg(feature = "credentials")]
use crate::lazy::Provider;
use crate::{
    call::{LONG, late},
    connection::{Live, Place, kept_alive},
    lazy::{Lazy, Lease, Server, aborted, longest},
};
use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, Either, Shared, pending, select},
    stream::FuturesUnordered,
};
use redis::{
    Client, ConnectionAddr, ConnectionInfo, ErrorKind, FromRedisValue, IntoConnectionInfo, RedisError,
    RedisResult, ServerErrorKind, Value, cmd,
};
use tokio::{
    runtime::Handle,
    sync::{oneshot, watch},
    time::{Instant, sleep, timeout, timeout_at},
};

/// A Redis Cluster (or Valkey's), for [`RedisStore::new`](crate::RedisStore::new): some of its nodes, of which one that answers is enough to find the
/// others.
///
/// There is one connection to each master, made when a session of its is asked for. A slot that moves is followed, and when a
/// connection fails another node is asked who has taken over, twice a second at most. Replicas are never asked: they may be
/// behind. Each node is to the store what a single server is, with the same [`timeout`](crate::RedisStore::timeout).
///
/// ```
/// use store_redis::{Cluster, RedisStore};
///
/// let nodes = ["redis://10.0.0.1", "redis://10.0.0.2", "redis://10.0.0.3"];
/// let store = RedisStore::new(Cluster::new(nodes)?);
/// # Ok::<(), store_redis::redis::RedisError>(())
/// ```
#[derive(Clone)]
pub struct Cluster {
    /// One at least.
    nodes: Vec<ConnectionInfo>,
    address_map: Option<AddressMap>,
    #[cfg(feature = "credentials")]
    provider: Option<Provider>,
}

type AddressMap = Arc<dyn Fn(&str, u16) -> Option<(String, u16)> + Send + Sync>;

impl Cluster {
    /// By the URLs of some nodes, as [`RedisStore::open`](crate::RedisStore::open) takes them, or [`ConnectionInfo`]s. User, password, TLS and
    /// the other settings of the first one are those of every node that is not among them. Nothing is connected yet.
    ///
    /// # Errors
    /// One is no such URL, or there is none.
    pub fn new<T: IntoConnectionInfo>(nodes: impl IntoIterator<Item = T>) -> RedisResult<Self> {
        let client = |node: T| Ok(kept_alive(Client::open(node)?).get_connection_info().clone());
        let nodes: Vec<_> = nodes.into_iter().map(client).collect::<RedisResult<_>>()?;
        if nodes.is_empty() {
            return Err((ErrorKind::InvalidClientConfig, "a cluster needs the address of a node").into());
        }
        Ok(Self {
            nodes,
            address_map: None,
            #[cfg(feature = "credentials")]
            provider: None,
        })
    }

    /// Where nodes are reached, if not at the host and port that they announce: through a tunnel, or in containers (`nodeAddressMap`
    /// of node-redis, `natMap` of ioredis). `None`: there. Unless set, each node is reached where it says.
    ///
    /// ```
    /// # use store_redis::Cluster;
    /// let cluster = Cluster::new(["redis://127.0.0.1:30001"])?
    ///     .node_address_map(|host, port| (host == "10.0.1.230").then(|| ("127.0.0.1".to_owned(), port)));
    /// # Ok::<(), store_redis::redis::RedisError>(())
    /// ```
    #[must_use]
    pub fn node_address_map(
        mut self,
        map: impl Fn(&str, u16) -> Option<(String, u16)> + Send + Sync + 'static,
    ) -> Self {
        self.address_map = Some(Arc::new(map));
        self
    }

    /// Credentials that rotate, as [`Connection::with_credentials`](crate::Connection::with_credentials) takes them; each node's connection asks for
    /// its own. Unless set, those of the URLs are used.
    #[cfg(feature = "credentials")]
    #[cfg_attr(docsrs, doc(cfg(feature = "credentials")))]
    #[must_use]
    pub fn credentials(mut self, provider: impl redis::StreamingCredentialsProvider + 'static) -> Self {
        self.provider = Some(Provider(Arc::new(provider)));
        self
    }

    /// Of the node that was announced so.
    fn address(&self, host: &str, port: u16) -> ConnectionAddr {
        let reached = self.address_map.as_ref().and_then(|map| map(host, port));
        let (host, port) = reached.unwrap_or_else(|| (host.to_owned(), port));
        match self.nodes.first().map(ConnectionInfo::addr) {
            Some(ConnectionAddr::TcpTls { insecure, tls_params, .. }) => {
                ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
            }
            _ => ConnectionAddr::Tcp(host, port),
        }
    }

    fn node(&self, address: ConnectionAddr) -> RedisResult<Node> {
        let same = self.nodes.iter().find(|node| *node.addr() == address);
        let Some(settings) = same.or_else(|| self.nodes.first()) else { return Err(nobody()) };
        let client = Client::open(settings.clone().set_addr(address.clone()))?;
        #[cfg(feature = "credentials")]
        if let Some(provider) = self.provider.clone() {
            return Ok(Node::at(address, Server::WithCredentials(client, provider)));
        }
        Ok(Node::at(address, Server::One(client)))
    }
}

/// Shows neither address nor password.
impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").finish_non_exhaustive()
    }
}

/// What is known of it, and its connections.
pub(crate) struct Nodes {
    cluster: Cluster,
    /// At the addresses that were given.
    given: Vec<Node>,
    map: watch::Sender<Arc<Map>>,
    asking: Mutex<Asking>,
}

/// A server like any other, with its own connection.
#[derive(Clone)]
pub(crate) struct Node {
    address: Arc<ConnectionAddr>,
    lazy: Arc<Lazy>,
}

/// Who has which slot. Until somebody was asked nobody has one.
#[derive(Clone, Default)]
struct Map {
    nodes: Vec<Node>,
    /// Of each slot, the place of its master among the nodes.
    masters: Vec<u16>,
    /// To whom keys are on their way.
    importing: Vec<Node>,
    /// Slots that are a master's of which it was not said where it is.
    hidden: Vec<RangeInclusive<u16>>,
    /// Whether nobody knows of more: where slots are missing there may be sessions.
    is_sure: bool,
}

/// Whether a node is being asked who has what, and since when; when that was done last, and how often.
#[derive(Default)]
struct Asking {
    now: Option<(Asked, Instant)>,
    ended: Option<Instant>,
    has_failed: bool,
    turn: usize,
}

type Asked = Shared<BoxFuture<'static, RedisResult<()>>>;

const SLOTS: u16 = 16_384;

const NOBODY: u16 = u16::MAX;

/// Between two times that a node is asked.
const PAUSE: Duration = Duration::from_millis(500);

/// After so long another node is asked as well.
const STAGGER: Duration = Duration::from_millis(100);

/// So long somebody new is waited for, by who has an error already.
const GRACE: Duration = Duration::from_millis(300);

/// And one who knows of all slots, where another one knows of some.
const WHOLE: Duration = Duration::from_secs(1);

impl Nodes {
    pub(crate) fn of(cluster: Cluster) -> Arc<Self> {
        let given = cluster.nodes.iter().filter_map(|node| cluster.node(node.addr().clone()).ok()).collect();
        Arc::new(Self { cluster, given, map: watch::Sender::default(), asking: Mutex::default() })
    }

    /// A connection to who has the key. Who waits for a node that has lost it goes on to the one that has it now.
    pub(crate) async fn lease(
        self: &Arc<Self>,
        key: &[u8],
        patience: Duration,
    ) -> RedisResult<(Live, Lease<'static>)> {
        let (slot, mut maps) = (slot_of(key), self.map.subscribe());
        loop {
            let Some(node) = maps.borrow_and_update().master(slot) else {
                match self.ask(patience, None) {
                    Some(asked) => asked.await?,
                    None if self.master(slot).is_none() => return Err(nobody()),
                    None => {}
                }
                continue;
            };
            if !node.lazy.is_connected() {
                // It may be none any more.
                _ = self.ask(patience, Some(&node.lazy));
            }
            let (lease, moves) = (pin!(node.lazy.lease(patience)), pin!(moves(&mut maps, slot, &node)));
            match select(lease, moves).await {
                Either::Left((Err(error), _)) => {
                    if let Some(asked) = self.ask(patience, Some(&node.lazy)) {
                        // No longer: others may be silent.
                        _ = timeout(GRACE, asked).await;
                    }
                    if self.master(slot).is_some_and(|now| now.is(&node)) {
                        return Err(error);
                    }
                }
                Either::Left((leased, _)) => return leased,
                Either::Right(_) => {}
            }
        }
    }

    /// Where what the error is about is to be sent: a key that has moved, or is on its way.
    pub(crate) fn redirected(self: &Arc<Self>, error: &RedisError, patience: Duration) -> Option<Place> {
        let ErrorKind::Server(kind) = error.kind() else { return None };
        if kind == ServerErrorKind::TryAgain {
            return Some(Place::OfKey);
        }
        let (address, slot) = error.redirect_node()?;
        let (host, port) = address.rsplit_once(':')?;
        // Others may have moved as well.
        let again = || {
            _ = self.ask(patience, None);
            Some(Place::OfKey)
        };
        let now = self.master(slot);
        let host = match host {
            // It does not know.
            "?" => return again(),
            // Its own.
            "" => now.as_ref()?.host()?,
            host => host,
        };
        let address = self.cluster.address(host, port.parse().ok()?);
        let is_asking = kind == ServerErrorKind::Ask;
        if !is_asking && now.is_some_and(|now| *now.address == address) {
            return again();
        }
        let mut node = None;
        // In one step, so that all who are sent there go by one connection.
        self.map.send_if_modified(|map| {
            node = self.known(map.all().chain(&self.given), address).ok();
            let Some(node) = &node else { return false };
            if !is_asking {
                Arc::make_mut(map).moves(slot..=slot, node.clone());
            } else if !map.all().any(|known| known.is(node)) {
                Arc::make_mut(map).importing.push(node.clone());
            }
            !is_asking
        });
        if is_asking { node.map(Place::Asking) } else { again() }
    }

    /// After an error that a master may answer with who is none any more.
    pub(crate) fn doubts(self: &Arc<Self>, error: &RedisError, lease: &Lease<'_>, patience: Duration) {
        let is_doubtful = match error.kind() {
            ErrorKind::Server(kind) => matches!(
                kind,
                ServerErrorKind::BusyLoading
                    | ServerErrorKind::ClusterDown
                    | ServerErrorKind::MasterDown
                    | ServerErrorKind::ReadOnly
            ),
            _ => error.is_timeout() || error.is_unrecoverable_error() || error.code() == Some("NOREPLICAS"),
        };
        if is_doubtful {
            _ = self.ask(patience, lease.lazy());
        }
    }

    /// All that have keys.
    pub(crate) async fn masters(self: &Arc<Self>, patience: Duration) -> RedisResult<Vec<Node>> {
        let mut asked = Err(nobody());
        // An attempt that was under way, or has just failed, may be of a time when nobody could be reached.
        for is_last in [false, true] {
            asked = match self.ask(patience, None) {
                Some(asked) => asked.await,
                None if self.asking().has_failed => Err(nobody()),
                None => Ok(()),
            };
            if asked.is_ok() || is_last {
                break;
            }
            sleep(PAUSE).await;
        }
        asked?;
        let map = Arc::clone(&self.map.borrow());
        if !map.is_sure {
            return Err(nobody());
        }
        let has_some = |(place, node): (u16, &Node)| map.masters.contains(&place).then(|| node.clone());
        let masters = (0..).zip(&map.nodes).filter_map(has_some);
        Ok(masters.chain(map.importing.iter().cloned()).collect())
    }

    fn master(&self, slot: u16) -> Option<Node> {
        self.map.borrow().master(slot)
    }

    fn known<'a>(
        &self,
        mut nodes: impl Iterator<Item = &'a Node>,
        address: ConnectionAddr,
    ) -> RedisResult<Node> {
        match nodes.find(|node| *node.address == address) {
            Some(node) => Ok(node.clone()),
            None => self.cluster.node(address),
        }
    }

    /// Has a node asked who has what, for all who want to know: `None` where that was just done. It is a task of its own, and goes on
    /// when nobody waits for it. The one that is in doubt is asked last: cut off from the others, it believes that it is none.
    fn ask(self: &Arc<Self>, patience: Duration, doubted: Option<&Arc<Lazy>>) -> Option<Asked> {
        // Who drops a call may not be on a runtime.
        let runtime = Handle::try_current().ok()?;
        let mut asking = self.asking();
        // Longer than it may take: it is a task of a runtime that nobody drives.
        if let Some((now, since)) = &asking.now
            && since.elapsed() < 2 * longest(patience)
        {
            return Some(now.clone());
        }
        if asking.ended.is_some_and(|ended| ended.elapsed() < PAUSE) {
            return None;
        }
        let (answer, answered) = oneshot::channel();
        let now = answered.map(|answer| answer.unwrap_or_else(|_| Err(aborted()))).boxed().shared();
        asking.now = Some((now.clone(), Instant::now()));
        asking.turn = asking.turn.saturating_add(1);
        let turn = asking.turn;
        drop(asking);
        let (asks, doubted) = (Asks { nodes: Arc::clone(self), turn }, doubted.cloned());
        runtime.spawn(async move {
            let Asks { nodes, turn } = &asks;
            let learnt = nodes.learn(*turn, doubted, patience).await;
            nodes.has_ended(*turn, learnt.is_err());
            drop(asks);
            _ = answer.send(learnt);
        });
        Some(now)
    }

    fn has_ended(&self, turn: usize, has_failed: bool) {
        let mut asking = self.asking();
        if asking.turn == turn {
            asking.has_failed = has_failed;
        }
    }

    /// A panic of another holder left it whole: nothing in it panics half-way.
    fn asking(&self) -> MutexGuard<'_, Asking> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From the first that knows of all slots, or else from all who know of some.
    async fn learn(&self, turn: usize, doubted: Option<Arc<Lazy>>, patience: Duration) -> RedisResult<()> {
        let before = Arc::clone(&self.map.borrow());
        let mut known = self.in_turn(&before, turn, doubted.as_ref());
        let mut ahead = VecDeque::from(known.clone());
        let end = Instant::now() + longest(patience);
        // All are asked before half of the time is over.
        let most = longest(patience) / 2 / u32::try_from(known.len()).unwrap_or(u32::MAX).max(1);
        let stagger = STAGGER.min(most);
        let (mut asked, mut parts) = (FuturesUnordered::new(), Vec::new());
        let (mut failure, mut enough) = (late(), end);
        let whole = loop {
            let next = ahead.pop_front();
            let wait = if next.is_some() { enough.min(Instant::now() + stagger) } else { enough };
            let is_last = next.is_none();
            asked.extend(next.map(|node| async {
                let answer = self.asked(&node, patience).await;
                (node, answer)
            }));
            match timeout_at(wait, asked.next()).await {
                Ok(Some((_, Ok(map)))) if map.is_whole() => break Some(map),
                Ok(Some((node, Ok(map)))) => {
                    enough = enough.min(Instant::now() + WHOLE);
                    // Those of whom it tells may know of more.
                    for named in &map.nodes {
                        if !known.iter().any(|known| known.address == named.address) {
                            known.push(named.clone());
                            ahead.push_back(named.clone());
                        }
                    }
                    parts.push((node, map));
                }
                Ok(Some((_, Err(error)))) => failure = error,
                Ok(None) if is_last => break None,
                Err(_) if Instant::now() >= enough => break None,
                _ => {}
            }
        };
        let learnt = match whole {
            Some(whole) => Map { is_sure: true, ..whole },
            None if parts.is_empty() => return Err(failure),
            None => Map::of_parts(parts, known.len(), &before),
        };
        // Nobody else has begun since, who knows better.
        if self.asking().turn == turn {
            if learnt.is_sure {
                self.leave_strangers(&learnt);
            }
            self.map.send_replace(Arc::new(learnt));
        }
        Ok(())
    }

    /// Whom to ask, one after the other: those who have slots, each time another one first and those who are connected before the
    /// others; then those that were given.
    fn in_turn(&self, map: &Map, turn: usize, doubted: Option<&Arc<Lazy>>) -> Vec<Node> {
        let is_given = |node: &Node| !map.nodes.iter().any(|known| known.address == node.address);
        let (mut nodes, mut given) = (map.nodes.clone(), self.given.clone());
        given.retain(is_given);
        for nodes in [&mut nodes, &mut given] {
            let first = (turn - 1).checked_rem(nodes.len()).unwrap_or_default();
            nodes.rotate_left(first);
        }
        nodes.extend(given);
        nodes.sort_by_cached_key(|node| {
            let is_doubted = doubted.is_some_and(|lazy| Arc::ptr_eq(lazy, &node.lazy));
            (is_doubted, is_given(node), !node.lazy.is_connected())
        });
        nodes
    }

    /// Who was only given, by a name that leads to some node, say, is asked again when nobody else answers.
    fn leave_strangers(&self, map: &Map) {
        let is_stranger = |given: &&Node| !map.all().any(|node| node.is(given));
        self.given.iter().filter(is_stranger).for_each(|given| given.lazy.close());
    }

    async fn asked(&self, node: &Node, patience: Duration) -> RedisResult<Map> {
        let (mut live, lease) = node.lazy.lease(patience).await?;
        let mut slots = cmd("CLUSTER");
        slots.arg("SLOTS");
        // What lies between may have forgotten it without a word.
        let limit = if lease.is_idle() { patience / LONG } else { patience };
        let answer = timeout(limit, slots.query_async(&mut live)).await;
        let answer = answer.unwrap_or_else(|_| Err(late()));
        match answer {
            Ok(answer) => {
                lease.hears();
                self.read(answer, node)
            }
            Err(error) => {
                lease.report(&error, patience);
                Err(error)
            }
        }
    }

    /// The first and the last one, the master, its replicas; of a master its host, its port, its name.
    fn read(&self, slots: Vec<Vec<Value>>, from: &Node) -> RedisResult<Map> {
        let before = Arc::clone(&self.map.borrow());
        let mut map = Map::default();
        for slots in slots {
            let Some([first, last, master]) = slots.first_chunk().cloned() else {
                return Err(misunderstood());
            };
            let (first, last) = (u16::from_redis_value(first)?, u16::from_redis_value(last)?);
            let master = Vec::<Value>::from_redis_value(master)?;
            let Some([host, port]) = master.first_chunk().cloned() else { return Err(misunderstood()) };
            let (host, port) = (Option::<String>::from_redis_value(host)?, u16::from_redis_value(port)?);
            let host = match host.as_deref() {
                // It does not know.
                Some("?") => {
                    map.hidden.push(first..=last);
                    continue;
                }
                None | Some("") => from.host().ok_or_else(nobody)?,
                Some(host) => host,
            };
            let known = map.nodes.iter().chain(before.all()).chain([from]).chain(&self.given);
            let node = self.known(known, self.cluster.address(host, port))?;
            map.moves(first..=last, node);
        }
        if map.nodes.is_empty() {
            // It has left the cluster, or has not yet come to it.
            return Err(nobody());
        }
        let has_no_slot = |node: &&Node| !map.nodes.iter().any(|other| other.is(node));
        let importing = before.importing.iter().filter(has_no_slot);
        map.importing = importing.filter(|node| !node.lazy.is_idle()).cloned().collect();
        Ok(map)
    }
}

impl Map {
    fn master(&self, slot: u16) -> Option<Node> {
        let place = *self.masters.get(usize::from(slot))?;
        self.nodes.get(usize::from(place)).cloned()
    }

    fn slots(&self) -> usize {
        self.masters.iter().filter(|master| **master != NOBODY).count()
    }

    fn is_whole(&self) -> bool {
        self.slots() == usize::from(SLOTS)
    }

    /// What some say who know of a part each, of so many who were asked.
    fn of_parts(mut parts: Vec<(Node, Self)>, asked: usize, before: &Self) -> Self {
        parts.sort_by_key(|(_, part)| part.slots());
        let told = parts.iter().fold(Self::default(), |told, (_, part)| part.over(&told));
        let has_answered = |master: &Node| parts.iter().any(|(node, _)| node.address == master.address);
        let is_all = told.nodes.iter().all(has_answered) && 2 * parts.len() > asked;
        let mut hidden = parts.iter().flat_map(|(_, part)| &part.hidden).cloned().flatten().peekable();
        // Else what was known before may be so still.
        let map = if is_all && hidden.peek().is_none() { told } else { told.over(before) };
        let is_sure = is_all && hidden.all(|slot| map.master(slot).is_some());
        Self { is_sure, ..map }
    }

    /// What it says, and of the other slots what was known before.
    fn over(&self, before: &Self) -> Self {
        let mut all = Self { importing: self.importing.clone(), ..Self::default() };
        let owner = |slot| self.master(slot).or_else(|| before.master(slot));
        let mut first = 0;
        while first < SLOTS {
            let node = owner(first);
            let is_same = |slot: &u16| match (&node, owner(*slot)) {
                (Some(node), Some(other)) => node.is(&other),
                (None, None) => true,
                _ => false,
            };
            let last = (first..SLOTS).take_while(is_same).last().unwrap_or(first);
            if let Some(node) = node {
                let same = all.nodes.iter().find(|known| known.address == node.address).cloned();
                all.moves(first..=last, same.unwrap_or(node));
            }
            first = last + 1;
        }
        all
    }

    fn all(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().chain(&self.importing)
    }

    fn moves(&mut self, slots: RangeInclusive<u16>, to: Node) {
        self.masters.resize(SLOTS.into(), NOBODY);
        self.importing.retain(|node| !node.is(&to));
        let place = self.nodes.iter().position(|node| node.is(&to)).unwrap_or_else(|| {
            self.nodes.push(to);
            self.nodes.len() - 1
        });
        let place = u16::try_from(place).unwrap_or(NOBODY);
        for slot in slots {
            if let Some(master) = self.masters.get_mut(usize::from(slot)) {
                *master = place;
            }
        }
    }
}

impl Node {
    fn at(address: ConnectionAddr, server: Server) -> Self {
        Self { address: Arc::new(address), lazy: Lazy::new(server) }
    }

    /// Also one that was replaced and is back is another one.
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.lazy, &other.lazy)
    }

    fn host(&self) -> Option<&str> {
        match &*self.address {
            ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => Some(host),
            _ => None,
        }
    }

    pub(crate) async fn lease(&self, patience: Duration) -> RedisResult<(Live, Lease<'static>)> {
        self.lazy.lease(patience).await
    }
}

/// That a node is asked, until this is dropped: with its runtime as well.
struct Asks {
    nodes: Arc<Nodes>,
    turn: usize,
}

impl Drop for Asks {
    fn drop(&mut self) {
        let mut asking = self.nodes.asking();
        if asking.turn == self.turn {
            (asking.now, asking.ended) = (None, Some(Instant::now()));
        }
    }
}

/// Ends when somebody else has the slot.
async fn moves(maps: &mut watch::Receiver<Arc<Map>>, slot: u16, from: &Node) {
    while maps.changed().await.is_ok() {
        if !maps.borrow_and_update().master(slot).is_some_and(|now| now.is(from)) {
            return;
        }
    }
    pending::<()>().await;
}

fn nobody() -> RedisError {
    (ErrorKind::ClusterConnectionNotFound, "no node of the cluster has the session's slot").into()
}

fn misunderstood() -> RedisError {
    (ErrorKind::UnexpectedReturnType, "no list of slots").into()
}

/// CRC16 (XMODEM) of the key, or of what stands in its first braces, if that is something: the Redis Cluster specification.
fn slot_of(key: &[u8]) -> u16 {
    let position = |part: &[u8], byte| part.iter().position(|it| *it == byte);
    let tag = position(key, b'{').and_then(|open| {
        let behind = key.get(open + 1..)?;
        behind.get(..position(behind, b'}')?).filter(|tag| !tag.is_empty())
    });
    let crc = tag.unwrap_or(key).iter().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            (crc << 1) ^ if crc >> 15 == 1 { 0x1021 } else { 0 }
        })
    });
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value is the specification's, the others are what `CLUSTER KEYSLOT` answers.
    #[test]
    fn a_slot_is_the_one_of_the_specification() {
        assert_eq!(slot_of(b"123456789"), 0x31c3);
        assert_eq!(slot_of(b""), 0);
        assert_eq!(slot_of(b"foo"), 12_182);
        for same in ["{foo}", "{foo}bar", "a{foo}{b}", "{foo}}"] {
            assert_eq!(slot_of(same.as_bytes()), 12_182, "{same}");
        }
        for whole in ["{}foo", "foo}{", "foo{"] {
            assert_ne!(slot_of(whole.as_bytes()), 12_182, "{whole}");
        }
    }

    #[test]
    fn a_cluster_without_a_node_is_refused() {
        assert!(Cluster::new([""; 0]).is_err() && Cluster::new(["http://a"]).is_err());
    }
}
