//! An application of the adapter contract behind a real socket: HTTP/1.1 or HTTP/2, plain or over TLS. Whoever drops a request
//! hangs up: over HTTP/1.1 by closing the connection, over HTTP/2 by a reset of the stream; or in both by a reset of the connection, as one
//! that broke.

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    fmt,
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{Arc, LazyLock, Mutex, PoisonError},
    task::{Context, Poll},
};

use http_body_util::BodyExt as _;
use hyper::{
    body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint},
    client::conn::{http1, http2},
    rt::Executor,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use session_testkit::{App, Body, Request, Response};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::AbortHandle,
};
use tokio_rustls::TlsConnector;

/// What is spoken over the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Plain HTTP/1.1.
    Http1,
    /// Plain HTTP/2 that both sides know of beforehand.
    Http2,
    /// HTTP/1.1 over TLS.
    Http1Tls,
    /// HTTP/2 over TLS, as ALPN agrees it.
    Http2Tls,
}

impl Protocol {
    /// Whether it is over TLS.
    #[must_use]
    pub fn is_encrypted(self) -> bool {
        matches!(self, Self::Http1Tls | Self::Http2Tls)
    }

    fn is_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Http2Tls)
    }
}

/// A server that a test has started. It is stopped when this is dropped.
pub struct Socket {
    address: SocketAddr,
    protocol: Protocol,
    connections: Connections,
    made: Cell<usize>,
    stop: Option<Box<dyn FnOnce()>>,
}

/// What becomes of connections.
enum Connections {
    /// Every request has one of its own.
    Own,
    /// More requests may come over them.
    Kept(RefCell<Kept>),
    /// Every request has one of its own, and whoever hangs up lets it break.
    Broken,
}

#[derive(Default)]
struct Kept {
    /// And whether the last request over it had a body.
    idle: Vec<(http1::SendRequest<Sent>, bool)>,
    shared: Option<http2::SendRequest<Sent>>,
}

impl Socket {
    /// Of a server that listens already. Every request has a connection of its own.
    pub fn new(address: SocketAddr, protocol: Protocol, stop: impl FnOnce() + 'static) -> Self {
        Self {
            address,
            protocol,
            connections: Connections::Own,
            made: Cell::new(0),
            stop: Some(Box::new(stop)),
        }
    }

    /// Connections are kept: over HTTP/1.1 the next request comes over one that is idle, and over HTTP/2 all share one.
    #[must_use]
    pub fn keeping(mut self) -> Self {
        self.connections = Connections::Kept(RefCell::default());
        self
    }

    /// Whoever hangs up resets the connection, without a word of HTTP or TLS.
    #[must_use]
    pub fn breaking(mut self) -> Self {
        self.connections = Connections::Broken;
        self
    }

    /// How many connections there were.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.made.get()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.stop.take().into_iter().for_each(|stop| stop());
    }
}

#[session_core::async_trait(?Send)]
impl App for Socket {
    async fn send(&self, request: Request) -> Response {
        self.answer(request).await.unwrap_or_else(|error| panic!("no response: {error}"))
    }

    async fn try_send(&self, request: Request) -> Option<Response> {
        self.answer(request).await.ok()
    }
}

impl Socket {
    /// Or why there is no answer.
    pub async fn answer(&self, request: Request) -> hyper::Result<Response> {
        let kept = match &self.connections {
            Connections::Own => return self.over_its_own(request).await,
            Connections::Broken => return self.over_one_that_breaks(request).await,
            Connections::Kept(kept) => kept,
        };
        if self.protocol.is_http2() {
            return self.over_the_shared(kept, request).await;
        }
        while let Some((sender, had_body)) = { kept.borrow_mut().idle.pop() } {
            match self.over(kept, sender, request.clone()).await {
                // Its server had closed it; of a body that nobody has read it may have found out only now.
                Err(error) if error.is_closed() || error.is_canceled() => {}
                Err(error) if had_body && error.is_incomplete_message() => {}
                answered => return answered,
            }
        }
        let (sender, connection) = http1::handshake(self.connect().await).await.expect("a connection");
        tokio::spawn(connection);
        self.over(kept, sender, request).await
    }

    async fn over_its_own(&self, request: Request) -> hyper::Result<Response> {
        let (request, io) = (self.to_send(request), self.connect().await);
        if self.protocol.is_http2() {
            let (mut sender, connection) =
                http2::handshake(TokioExecutor::new(), io).await.expect("a connection");
            beside(connection, async move { read(sender.send_request(request).await).await }).await
        } else {
            let (mut sender, connection) = http1::handshake(io).await.expect("a connection");
            beside(connection, async move { read(sender.send_request(request).await).await }).await
        }
    }

    async fn over_one_that_breaks(&self, request: Request) -> hyper::Result<Response> {
        let (request, io) = (self.to_send(request), self.connect().await);
        let tasks = Tasks::default();
        let response: Pin<Box<dyn Future<Output = _>>> = if self.protocol.is_http2() {
            let (mut sender, connection) = http2::handshake(tasks.clone(), io).await.expect("a connection");
            tasks.execute(connection);
            Box::pin(async move { read(sender.send_request(request).await).await })
        } else {
            let (mut sender, connection) = http1::handshake(io).await.expect("a connection");
            tasks.execute(connection);
            Box::pin(async move { read(sender.send_request(request).await).await })
        };
        Breaking { tasks, response }.await
    }

    async fn over_the_shared(&self, kept: &RefCell<Kept>, request: Request) -> hyper::Result<Response> {
        let shared = kept.borrow().shared.clone();
        let mut sender = match shared {
            Some(sender) => sender,
            None => {
                let io = self.connect().await;
                let (sender, connection) =
                    http2::handshake(TokioExecutor::new(), io).await.expect("a connection");
                tokio::spawn(connection);
                // Of two who connect at once the first one's.
                kept.borrow_mut().shared.get_or_insert(sender).clone()
            }
        };
        read(sender.send_request(self.to_send(request)).await).await
    }

    async fn over(
        &self,
        kept: &RefCell<Kept>,
        mut sender: http1::SendRequest<Sent>,
        request: Request,
    ) -> hyper::Result<Response> {
        sender.ready().await?;
        let had_body = !matches!(request.body, Body::Empty);
        let response = read(sender.send_request(self.to_send(request)).await).await?;
        kept.borrow_mut().idle.push((sender, had_body));
        Ok(response)
    }

    async fn connect(&self) -> TokioIo<Box<dyn Stream>> {
        let stream = TcpStream::connect(self.address).await.expect("the server listens");
        self.made.update(|made| made + 1);
        if matches!(self.connections, Connections::Broken) {
            // It is reset, where nothing shuts it down before.
            stream.set_zero_linger().expect("an option of TCP");
        }
        if !self.protocol.is_encrypted() {
            return TokioIo::new(Box::new(stream));
        }
        let mut config = CERTIFIED.client.clone();
        config.alpn_protocols =
            vec![if self.protocol.is_http2() { b"h2".into() } else { b"http/1.1".into() }];
        let name = ServerName::try_from("localhost").expect("it is a name");
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("TLS");
        TokioIo::new(Box::new(stream))
    }

    fn to_send(&self, request: Request) -> hyper::Request<Sent> {
        let scheme = if self.protocol.is_encrypted() { "https" } else { "http" };
        let uri = match self.protocol.is_http2() {
            true => format!("{scheme}://localhost:{}{}", self.address.port(), request.path),
            false => request.path,
        };
        let mut sent = hyper::Request::builder().method(request.method).uri(uri);
        if !self.protocol.is_http2() {
            sent = sent.header("host", "localhost");
        }
        let sent = request
            .headers
            .into_iter()
            .fold(sent, |sent, (name, value)| sent.header::<_, Vec<u8>>(name, value));
        sent.body(request.body.into()).expect("a request")
    }
}

/// The tasks that have a connection.
#[derive(Clone, Default)]
struct Tasks(Arc<Mutex<Vec<AbortHandle>>>);

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        let handle = tokio::spawn(task).abort_handle();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(handle);
    }
}

/// The connection is gone before whoever waits is: nobody tells the server.
struct Breaking<T> {
    tasks: Tasks,
    response: Pin<Box<dyn Future<Output = T>>>,
}

impl<T> Future for Breaking<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        self.response.as_mut().poll(context)
    }
}

impl<T> Drop for Breaking<T> {
    fn drop(&mut self) {
        self.tasks.0.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(AbortHandle::abort);
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A request's body on its way.
struct Sent {
    next: Option<Bytes>,
    ends: bool,
}

impl From<Body> for Sent {
    fn from(body: Body) -> Self {
        match body {
            Body::Empty => Self { next: None, ends: true },
            Body::Whole(bytes) => Self { next: Some(bytes.into()), ends: true },
            Body::Unfinished => Self { next: Some("it begins".into()), ends: false },
        }
    }
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.next.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None if self.ends => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ends && self.next.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.next.as_ref().map_or(0, Bytes::len) as u64;
        if self.ends { SizeHint::with_exact(left) } else { SizeHint::default() }
    }
}

async fn read(response: hyper::Result<hyper::Response<Incoming>>) -> hyper::Result<Response> {
    let (head, body) = response?.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    let body = String::from_utf8(body.into()).expect("text");
    Ok(Response::new(head.status.as_u16(), &head.headers, body))
}

/// The connection is driven by whoever waits for the response, and closed with them.
async fn beside<T>(connection: impl Future, response: impl Future<Output = T>) -> T {
    let (mut connection, mut response) = (pin!(connection), pin!(response));
    let mut is_open = true;
    poll_fn(|context| {
        is_open = is_open && connection.as_mut().poll(context).is_pending();
        match response.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            ready => ready,
        }
    })
    .await
}

struct Certified {
    certificate: String,
    key: String,
    client: ClientConfig,
    server: ServerConfig,
}

/// Made anew for each run.
static CERTIFIED: LazyLock<Certified> = LazyLock::new(|| {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (certificate, key) = (cert.pem(), signing_key.serialize_pem());
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("it is PEM");
    let provider = Arc::new(default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(der.clone()).expect("a root");
    let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![der], PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("it is PEM"))
        .expect("a server");
    Certified { certificate, key, client, server }
});

/// What a server ends TLS with, for a framework that takes rustls' own type.
#[must_use]
pub fn server_tls(alpn: &[&str]) -> ServerConfig {
    let mut server = CERTIFIED.server.clone();
    server.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().into()).collect();
    server
}

/// The certificate and its key as PEM, for one that does not.
#[must_use]
pub fn certificate_and_key() -> (&'static str, &'static str) {
    (&CERTIFIED.certificate, &CERTIFIED.key)
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Socket").field(&self.address).field(&self.protocol).finish()
    }
}
