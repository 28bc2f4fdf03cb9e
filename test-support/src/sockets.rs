//! An application of the adapter contract behind a real socket: HTTP/1.1 or HTTP/2, plain or over TLS. Every request has a
//! connection of its own, and whoever drops a request hangs up.

use std::{
    fmt,
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::pin,
    sync::{Arc, LazyLock},
    task::Poll,
};

use http_body_util::{BodyExt as _, Empty};
use hyper::{
    body::{Bytes, Incoming},
    client::conn::{http1, http2},
    rt::{Read, Write},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use session_testkit::{App, Request, Response};
use tokio::net::TcpStream;
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
    stop: Option<Box<dyn FnOnce()>>,
}

impl Socket {
    /// Of a server that listens already.
    pub fn new(address: SocketAddr, protocol: Protocol, stop: impl FnOnce() + 'static) -> Self {
        Self { address, protocol, stop: Some(Box::new(stop)) }
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
        self.try_send(request).await.unwrap_or_else(|error| panic!("no response: {error}"))
    }
}

impl Socket {
    /// Or why there is no answer.
    pub async fn try_send(&self, request: Request) -> hyper::Result<Response> {
        let stream = TcpStream::connect(self.address).await.expect("the server listens");
        if !self.protocol.is_encrypted() {
            return self.over(TokioIo::new(stream), request).await;
        }
        let mut config = CERTIFIED.client.clone();
        config.alpn_protocols =
            vec![if self.protocol.is_http2() { b"h2".into() } else { b"http/1.1".into() }];
        let name = ServerName::try_from("localhost").expect("it is a name");
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("TLS");
        self.over(TokioIo::new(stream), request).await
    }

    async fn over(
        &self,
        io: impl Read + Write + Send + Unpin + 'static,
        request: Request,
    ) -> hyper::Result<Response> {
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
        let sent = sent.body(Empty::<Bytes>::new()).expect("a request");
        if self.protocol.is_http2() {
            let (mut sender, connection) =
                http2::handshake(TokioExecutor::new(), io).await.expect("a connection");
            beside(connection, async move { read(sender.send_request(sent).await).await }).await
        } else {
            let (mut sender, connection) = http1::handshake(io).await.expect("a connection");
            beside(connection, async move { read(sender.send_request(sent).await).await }).await
        }
    }
}

async fn read(response: hyper::Result<hyper::Response<Incoming>>) -> hyper::Result<Response> {
    let (head, body) = response?.into_parts();
    let cookies = head.headers.get_all("set-cookie").iter();
    let set_cookie = cookies.map(|value| value.to_str().expect("text").into()).collect();
    let body = body.collect().await.expect("a whole body").to_bytes();
    let body = String::from_utf8(body.into()).expect("text");
    Ok(Response { status: head.status.as_u16(), set_cookie, body })
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
