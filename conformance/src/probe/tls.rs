//! A probe that ends TLS itself.

use std::{fmt, io, net::SocketAddr, sync::Arc};

use axum::serve::Listener;
use rocket::config::TlsConfig;
use rustls::{
    ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use serde_json::{Map, Value};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::keys::{Keys, Parsed, refusal};

/// A certificate and its key, as PEM. Shows neither.
pub struct Tls {
    certificate: String,
    key: String,
    server: ServerConfig,
}

impl Tls {
    pub(super) fn parse(object: &Map<String, Value>) -> Parsed<Self> {
        let mut keys = Keys::of("tls.", object);
        let certificate = keys.text("certificate")?.ok_or_else(|| refusal("tls.certificate", "missing"))?;
        let key = keys.text("key")?.ok_or_else(|| refusal("tls.key", "missing"))?;
        keys.finish()?;
        let server = server(&certificate, &key).map_err(|error| refusal("tls", &error.to_string()))?;
        Ok(Self { certificate, key, server })
    }

    /// For rustls.
    #[must_use]
    pub fn server(&self) -> ServerConfig {
        self.server.clone()
    }

    /// For Rocket.
    #[must_use]
    pub fn rocket(&self) -> TlsConfig {
        TlsConfig::from_bytes(self.certificate.as_bytes(), self.key.as_bytes())
    }
}

fn server(certificate: &str, key: &str) -> io::Result<ServerConfig> {
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(io::Error::other)?;
    ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(vec![certificate], key))
        .map_err(io::Error::other)
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

/// For axum, which has no TLS of its own.
pub struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl TlsListener {
    /// What `listener` accepts, as such a server.
    #[must_use]
    pub fn new(listener: TcpListener, server: ServerConfig) -> Self {
        Self { listener, acceptor: Arc::new(server).into() }
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.listener).await;
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl fmt::Debug for TlsListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TlsListener").field(&self.listener).finish()
    }
}
