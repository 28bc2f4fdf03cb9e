//! A certificate for this run of the tests, and a client that trusts nothing else.

use std::sync::{Arc, LazyLock};

use futures_util::FutureExt;
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::ring::default_provider,
    pki_types::{PrivatePkcs8KeyDer, ServerName},
};
use session_testkit::{Request, Response};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::Served;

const NAME: &str = "localhost";

static CERTIFIED: LazyLock<CertifiedKey<KeyPair>> =
    LazyLock::new(|| generate_simple_self_signed([NAME.to_owned()]).unwrap());

/// The certificate and its key.
pub(super) fn pem() -> (String, String) {
    (CERTIFIED.cert.pem(), CERTIFIED.signing_key.serialize_pem())
}

pub(super) fn server() -> ServerConfig {
    let key = PrivatePkcs8KeyDer::from(CERTIFIED.signing_key.serialize_der());
    ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CERTIFIED.cert.der().clone()], key.into())
        .unwrap()
}

/// Sends each request over a connection of its own.
pub(super) fn client(port: u16) -> Served {
    let mut roots = RootCertStore::empty();
    roots.add(CERTIFIED.cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    Box::new(move |request| send(connector.clone(), port, request).boxed_local())
}

async fn send(connector: TlsConnector, port: u16, request: Request) -> Response {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut stream = connector.connect(ServerName::try_from(NAME).unwrap(), stream).await.unwrap();
    let mut text =
        format!("{} {} HTTP/1.1\r\nhost: {NAME}\r\nconnection: close\r\n", request.method, request.path);
    for (name, value) in request.headers {
        text += &format!("{name}: {}\r\n", String::from_utf8(value).unwrap());
    }
    stream.write_all(format!("{text}\r\n").as_bytes()).await.unwrap();

    let mut answer = Vec::new();
    // Not every server closes TLS before it closes the connection.
    _ = stream.read_to_end(&mut answer).await;
    read(&String::from_utf8(answer).unwrap())
}

/// A response whose body is not chunked.
fn read(answer: &str) -> Response {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.filter_map(|line| line.split_once(": "));
    Response::new(status, headers, body)
}
