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
use session_core::{MemoryStore, Options};
use session_testkit::{Browser, adapter::Layers};
use test_support::sockets::{Protocol, Socket, certificate_and_key};

use routes::{custom, layered};

async fn served(layers: Layers, protocol: Protocol) -> Socket {
    let (certificate, key) = certificate_and_key();
    let tls = || TlsConfig::from_bytes(certificate.as_bytes(), key.as_bytes());
    let shutdown =
        Shutdown { ctrlc: false, signals: HashSet::new(), grace: 0, mercy: 0, ..Shutdown::default() };
    let config = Config {
        port: 0,
        tls: protocol.is_encrypted().then(tls),
        shutdown,
        keep_alive: 120,
        ..Config::default()
    };
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

async fn kept(layers: Layers, protocol: Protocol) -> Socket {
    served(layers, protocol).await.keeping()
}

async fn broken(layers: Layers, protocol: Protocol) -> Socket {
    served(layers, protocol).await.breaking()
}

/// The tests of connections that are kept are of such.
#[test]
fn connections_are_kept() {
    session_testkit::run(async {
        for protocol in [Protocol::Http1, Protocol::Http1Tls, Protocol::Http2Tls] {
            let sessions = Options::new("keyboard cat").store(MemoryStore::new()).build().unwrap();
            let app = kept(Layers { nested: vec![sessions], second: None }, protocol).await;
            let mut browser = Browser::new();
            for count in 1..4 {
                assert_eq!(browser.get(&app, "/count").await.body, count.to_string());
            }
            assert_eq!(app.connections(), 1, "{protocol:?}");
        }
    });
}

mod http1 {
    use super::{Protocol::Http1, served};

    session_testkit::socket_contract!(
        async |layers| served(layers, Http1).await,
        a_peer_is_trusted_by_its_address,
        who_is_a_trusted_proxy_is_a_choice,
        a_proxy_is_believed_only_when_it_is_trusted,
        a_body_that_never_ends_harms_no_session
    );
    session_testkit::hang_up_contract!(async |layers| served(layers, Http1).await);
}

mod http1_kept {
    use super::{Protocol::Http1, kept};

    session_testkit::socket_contract!(
        async |layers| kept(layers, Http1).await,
        a_body_that_never_ends_harms_no_session
    );
    session_testkit::hang_up_contract!(async |layers| kept(layers, Http1).await);
}

mod http1_broken {
    use super::{Protocol::Http1, broken};

    session_testkit::hang_up_contract!(async |layers| broken(layers, Http1).await);
}

mod http1_tls {
    use super::{Protocol::Http1Tls, served};

    session_testkit::socket_contract!(
        async |layers| served(layers, Http1Tls).await,
        a_connection_that_is_encrypted_is_secure,
        a_body_that_never_ends_harms_no_session
    );
    session_testkit::hang_up_contract!(async |layers| served(layers, Http1Tls).await);
}

mod http1_tls_kept {
    use super::{Protocol::Http1Tls, kept};

    session_testkit::socket_contract!(
        async |layers| kept(layers, Http1Tls).await,
        a_body_that_never_ends_harms_no_session
    );
    session_testkit::hang_up_contract!(async |layers| kept(layers, Http1Tls).await);
}

mod http1_tls_broken {
    use super::{Protocol::Http1Tls, broken};

    session_testkit::hang_up_contract!(async |layers| broken(layers, Http1Tls).await);
}

/// Here Rocket answers nothing until the request's body has ended, of a route without a session neither.
mod http2_tls {
    use super::{Protocol::Http2Tls, served};

    session_testkit::socket_contract!(
        async |layers| served(layers, Http2Tls).await,
        a_connection_that_is_encrypted_is_secure
    );
    session_testkit::hang_up_contract!(async |layers| served(layers, Http2Tls).await);
}

mod http2_tls_kept {
    use super::{Protocol::Http2Tls, kept};

    session_testkit::socket_contract!(async |layers| kept(layers, Http2Tls).await);
    session_testkit::hang_up_contract!(async |layers| kept(layers, Http2Tls).await);
}

mod http2_tls_broken {
    use super::{Protocol::Http2Tls, broken};

    session_testkit::hang_up_contract!(async |layers| broken(layers, Http2Tls).await);
}
