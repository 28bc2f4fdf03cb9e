//! The adapter contract on Rocket over real sockets. What becomes of its requests when a client goes is not ours to choose: they finish.

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value, reason = "helpers of tests")]

#[path = "common/routes.rs"]
mod routes;

use std::{collections::HashSet, net::SocketAddr, sync::Mutex};

use rocket::{
    config::{Config, Shutdown, TlsConfig},
    fairing::AdHoc,
    tokio::{self, sync::oneshot},
};
use session_testkit::adapter::Layers;
use test_support::sockets::{Protocol, Socket, certificate_and_key};

use routes::{custom, layered};

async fn served(layers: Layers, protocol: Protocol) -> Socket {
    let (certificate, key) = certificate_and_key();
    let tls = || TlsConfig::from_bytes(certificate.as_bytes(), key.as_bytes());
    let shutdown =
        Shutdown { ctrlc: false, signals: HashSet::new(), grace: 0, mercy: 0, ..Shutdown::default() };
    let config = Config { port: 0, tls: protocol.is_encrypted().then(tls), shutdown, ..Config::default() };
    let (bound, port) = oneshot::channel();
    let bound = Mutex::new(Some(bound));
    let rocket = layered(custom(config), layers).attach(AdHoc::on_liftoff("bound", move |rocket| {
        bound.lock().unwrap().take().unwrap().send(rocket.config().port).unwrap();
        Box::pin(async {})
    }));
    let rocket = rocket.ignite().await.unwrap();
    let stop = rocket.shutdown();
    tokio::spawn(rocket.launch());
    let address = SocketAddr::from(([127, 0, 0, 1], port.await.unwrap()));
    Socket::new(address, protocol, || stop.notify())
}

mod http1 {
    session_testkit::socket_contract!(
        async |layers| super::served(layers, super::Protocol::Http1).await,
        a_peer_is_trusted_by_its_address,
        a_proxy_is_believed_only_when_it_is_trusted
    );
}

mod http1_tls {
    session_testkit::socket_contract!(
        async |layers| super::served(layers, super::Protocol::Http1Tls).await,
        a_connection_that_is_encrypted_is_secure
    );
}

mod http2_tls {
    session_testkit::socket_contract!(
        async |layers| super::served(layers, super::Protocol::Http2Tls).await,
        a_connection_that_is_encrypted_is_secure
    );
}
