//! What lies between a store and its server, and can be made slow, silent or lossy.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// A network of its own before one server, on the loopback interface. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Network(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// Where new connections lead.
    port: AtomicU16,
    /// Between two pieces of a large answer, in milliseconds.
    pause: AtomicU64,
    /// Connections from before this grew are silent.
    failures: AtomicUsize,
    /// New ones are so from the beginning.
    is_silent: AtomicBool,
    loses_an_answer: AtomicBool,
}

impl Network {
    /// One that carries everything immediately.
    pub fn new() -> Self {
        Self::default()
    }

    /// A large answer comes in pieces, so long apart.
    #[must_use]
    pub fn slow(self, pause: Duration) -> Self {
        self.0.pause.store(pause.as_millis() as u64, Ordering::SeqCst);
        self
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
                // A server that is not there: the client is hung up on.
                let Ok(server) = TcpStream::connect(("127.0.0.1", network.port())).await else { continue };
                let [(asks, answered), (answers, asked)] = [client, server].map(|stream| {
                    stream.set_nodelay(true).unwrap();
                    stream.into_split()
                });
                tokio::spawn(network.clone().carry(asks, asked, false));
                tokio::spawn(network.clone().carry(answers, answered, true));
            }
        });
        url.replacen(&format!(":{port}"), &format!(":{ours}"), 1)
    }

    /// New connections lead to another server. Those that are there stay.
    pub fn leads_to(&self, port: u16) {
        self.0.port.store(port, Ordering::SeqCst);
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

    /// The next answer is lost together with its connection.
    pub fn loses_an_answer(&self) {
        self.0.loses_an_answer.store(true, Ordering::SeqCst);
    }

    /// Whether the answer that was to be lost has been.
    pub fn has_lost_it(&self) -> bool {
        !self.0.loses_an_answer.load(Ordering::SeqCst)
    }

    fn port(&self) -> u16 {
        self.0.port.load(Ordering::SeqCst)
    }

    async fn carry(self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, answers: bool) {
        let state = &self.0;
        let (born, mut piece) = (state.failures.load(Ordering::SeqCst), vec![0; 16_384]);
        if state.is_silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        while let Ok(length @ 1..) = from.read(&mut piece).await {
            if state.failures.load(Ordering::SeqCst) != born {
                std::future::pending::<()>().await;
            }
            if answers && state.loses_an_answer.swap(false, Ordering::SeqCst) {
                return;
            }
            if to.write_all(&piece[..length]).await.is_err() {
                return;
            }
            let pause = state.pause.load(Ordering::SeqCst);
            if answers && length > 8_000 && pause > 0 {
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
        }
    }
}
