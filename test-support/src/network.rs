//! What lies between a store and its server, and can be made to stop, silent or lossy.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use session_core::{Sid, Store};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

/// A network of its own before one server, on the loopback interface. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Network(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// Where new connections lead.
    port: AtomicU16,
    connections: AtomicUsize,
    /// Pieces from the client.
    asked: AtomicUsize,
    /// Connections from before this grew are silent.
    failures: AtomicUsize,
    /// New ones are so from the beginning.
    is_silent: AtomicBool,
    /// How many large pieces of an answer come through yet, and one more; 0: all of them.
    held_after: AtomicUsize,
    is_held: AtomicBool,
    /// The answer to the next question that has this in it is lost.
    loses: Mutex<Option<Vec<u8>>>,
    has_lost: AtomicBool,
    /// Connections from before this grew are closed.
    cuts: watch::Sender<usize>,
    /// So many milliseconds later each piece of an answer comes.
    delay: AtomicU64,
    /// What the next answer is instead of what it is, and whether it is the last one.
    instead: Mutex<Option<(Vec<u8>, bool)>>,
}

impl State {
    fn instead(&self) -> MutexGuard<'_, Option<(Vec<u8>, bool)>> {
        self.instead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn loses(&self) -> MutexGuard<'_, Option<Vec<u8>>> {
        self.loses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Network {
    /// One that carries everything immediately.
    pub fn new() -> Self {
        Self::default()
    }

    /// The URL of this server behind it. The URL has a port.
    pub async fn before(&self, url: &str) -> String {
        let port = url.rsplit_once(':').unwrap().1.split(['/', '?']).next().unwrap();
        self.leads_to(port.parse().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ours = listener.local_addr().unwrap().port();
        let network = self.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                network.0.connections.fetch_add(1, Ordering::SeqCst);
                // A server that is not there: the client is hung up on.
                let Ok(server) = TcpStream::connect(("127.0.0.1", network.port())).await else { continue };
                let [(asks, answered), (answers, asked)] = [client, server].map(|stream| {
                    stream.set_nodelay(true).unwrap();
                    stream.into_split()
                });
                let is_lost = Arc::default();
                tokio::spawn(network.clone().carry(asks, asked, false, Arc::clone(&is_lost)));
                tokio::spawn(network.clone().carry(answers, answered, true, is_lost));
            }
        });
        url.replacen(&format!(":{port}"), &format!(":{ours}"), 1)
    }

    /// How often a client has said something so far: what it writes together comes as one piece, if it is no large one.
    pub fn asked(&self) -> usize {
        self.0.asked.load(Ordering::SeqCst)
    }

    /// New connections lead to another server. Those that are there stay.
    pub fn leads_to(&self, port: u16) {
        self.0.port.store(port, Ordering::SeqCst);
    }

    /// The connections that are there are closed.
    pub fn cuts(&self) {
        self.0.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// On the connections that are there nothing comes through any more, and nobody is told.
    pub fn goes_silent(&self) {
        self.0.failures.fetch_add(1, Ordering::SeqCst);
    }

    /// Nor on new ones, which are accepted all the same: a host that hangs.
    pub fn stays_silent(&self) {
        self.0.is_silent.store(true, Ordering::SeqCst);
        self.goes_silent();
    }

    /// New connections carry again.
    pub fn speaks_again(&self) {
        self.0.is_silent.store(false, Ordering::SeqCst);
    }

    /// The answer to the next question about this session is lost together with its connection. (A client asks some of its own,
    /// whose answers nobody misses.)
    pub fn loses_an_answer(&self, about: &Sid) {
        self.0.has_lost.store(false, Ordering::SeqCst);
        *self.0.loses() = Some(about.as_str().into());
    }

    /// Answers come so much later, from now on.
    pub fn delays(&self, by: Duration) {
        self.0.delay.store(by.as_millis().try_into().unwrap(), Ordering::SeqCst);
    }

    /// The next answer is this one, and not the server's.
    pub fn answers_once(&self, answer: Vec<u8>) {
        *self.0.instead() = Some((answer, false));
    }

    /// And the last of its connection.
    pub fn ends_with(&self, answer: Vec<u8>) {
        *self.0.instead() = Some((answer, true));
    }

    /// How many connections there were so far.
    pub fn connections(&self) -> usize {
        self.0.connections.load(Ordering::SeqCst)
    }

    /// Until the session is read, by a store whose connections have gone silent. A busy machine may be too slow for a new one;
    /// a silent one is found out a few times at most.
    ///
    /// # Panics
    /// When it is not read.
    pub async fn serves_again(&self, store: &impl Store, sid: &Sid) {
        self.answers_again(async || store.get(sid).await.is_ok_and(|held| held.is_some())).await;
    }

    /// The same, until it is so.
    ///
    /// # Panics
    /// When it is not.
    pub async fn answers_again(&self, mut is_so: impl AsyncFnMut() -> bool) {
        let (begun, mut silent) = (Instant::now(), 0);
        loop {
            let before = self.connections();
            if is_so().await {
                return;
            }
            silent += usize::from(self.connections() == before);
            assert!(silent < 4 && begun.elapsed() < Duration::from_secs(60), "it never comes back");
        }
    }

    /// Large answers stop after so many pieces, until they [go on](Self::goes_on).
    pub fn holds_after(&self, pieces: usize) {
        self.0.is_held.store(false, Ordering::SeqCst);
        self.0.held_after.store(pieces + 1, Ordering::SeqCst);
    }

    /// Until one has stopped.
    pub async fn until_held(&self) {
        while !self.0.is_held.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// All answers come through.
    pub fn goes_on(&self) {
        self.0.held_after.store(0, Ordering::SeqCst);
    }

    async fn hold(&self) {
        let one_less = |left: usize| (left > 1).then(|| left - 1);
        if self.0.held_after.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
            return;
        }
        while self.0.held_after.load(Ordering::SeqCst) == 1 {
            self.0.is_held.store(true, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Whether the answer that was to be lost has been.
    pub fn has_lost_it(&self) -> bool {
        self.0.has_lost.load(Ordering::SeqCst)
    }

    fn port(&self) -> u16 {
        self.0.port.load(Ordering::SeqCst)
    }

    /// One direction of a connection, of which the next answer `is_lost`.
    async fn carry(
        self,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        answers: bool,
        is_lost: Arc<AtomicBool>,
    ) {
        let state = &self.0;
        let (born, mut piece) = (state.failures.load(Ordering::SeqCst), vec![0; 16_384]);
        if state.is_silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let mut cuts = state.cuts.subscribe();
        loop {
            let length = tokio::select! {
                _ = cuts.changed() => return,
                read = from.read(&mut piece) => match read {
                    Ok(length @ 1..) => length,
                    _ => return,
                },
            };
            if state.failures.load(Ordering::SeqCst) != born {
                std::future::pending::<()>().await;
            }
            if !answers {
                state.asked.fetch_add(1, Ordering::SeqCst);
                let is_about =
                    |about: &mut Vec<u8>| piece[..length].windows(about.len()).any(|part| part == about);
                if state.loses().take_if(is_about).is_some() {
                    is_lost.store(true, Ordering::SeqCst);
                }
            }
            if answers && is_lost.load(Ordering::SeqCst) {
                state.has_lost.store(true, Ordering::SeqCst);
                return;
            }
            let delay = state.delay.load(Ordering::SeqCst);
            if answers && delay > 0 {
                tokio::time::sleep(Duration::from_millis(delay)).await;
            }
            let instead = if answers { state.instead().take() } else { None };
            if let Some((answer, is_last)) = instead {
                if to.write_all(&answer).await.is_err() || is_last {
                    return;
                }
                continue;
            }
            if answers && length > 8_000 {
                self.hold().await;
            }
            if to.write_all(&piece[..length]).await.is_err() {
                return;
            }
        }
    }
}
