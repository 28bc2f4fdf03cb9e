//! The adapter contract on axum over real sockets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

#[path = "common/routes.rs"]
mod routes;

use std::{io, net::SocketAddr, sync::Arc};

use axum::{Extension, serve::Listener};
use session_axum::Encrypted;
use session_core::{MemoryStore, Options};
use session_testkit::{Browser, adapter::Layers};
use test_support::sockets::{Protocol, Socket, server_tls};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

async fn served(layers: Layers, protocol: Protocol) -> Socket {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = routes::layered(layers);
    let server = if protocol.is_encrypted() {
        let acceptor = Arc::new(server_tls(&["h2", "http/1.1"])).into();
        let app = app.layer(Extension(Encrypted));
        tokio::spawn(async { axum::serve(Tls { listener, acceptor }, app).await })
    } else {
        // So that there is a peer to trust.
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async { axum::serve(listener, app).await })
    };
    Socket::new(address, protocol, move || server.abort())
}

struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
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
        for protocol in [Protocol::Http1, Protocol::Http2, Protocol::Http1Tls, Protocol::Http2Tls] {
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
    session_testkit::hang_up_contract!(async |layers| served(layers, Http1).await, dropped);
}

mod http1_kept {
    use super::{Protocol::Http1, kept};

    session_testkit::socket_contract!(
        async |layers| kept(layers, Http1).await,
        a_body_that_never_ends_harms_no_session
    );
    session_testkit::hang_up_contract!(async |layers| kept(layers, Http1).await, dropped);
}

mod http1_broken {
    use super::{Protocol::Http1, broken};

    session_testkit::hang_up_contract!(async |layers| broken(layers, Http1).await, dropped);
}

mod http2 {
    use super::{Protocol::Http2, served};

    session_testkit::socket_contract!(
        async |layers| served(layers, Http2).await,
        a_peer_is_trusted_by_its_address,
        who_is_a_trusted_proxy_is_a_choice,
        a_proxy_is_believed_only_when_it_is_trusted,
        a_body_that_never_ends_harms_no_session
    );
    session_testkit::hang_up_contract!(async |layers| served(layers, Http2).await, dropped);
}

mod http2_kept {
    use super::{Protocol::Http2, kept};

    session_testkit::socket_contract!(
        async |layers| kept(layers, Http2).await,
        a_body_that_never_ends_harms_no_session
    );
    session_testkit::hang_up_contract!(async |layers| kept(layers, Http2).await, dropped);
}

mod http2_broken {
    use super::{Protocol::Http2, broken};

    session_testkit::hang_up_contract!(async |layers| broken(layers, Http2).await, dropped);
}

mod http1_tls {
    use super::{Protocol::Http1Tls, served};

    session_testkit::socket_contract!(
        async |layers| served(layers, Http1Tls).await,
        a_connection_that_is_encrypted_is_secure,
        a_body_that_never_ends_harms_no_session
    );
    session_testkit::hang_up_contract!(async |layers| served(layers, Http1Tls).await, dropped);
}

mod http1_tls_kept {
    use super::{Protocol::Http1Tls, kept};

    session_testkit::socket_contract!(
        async |layers| kept(layers, Http1Tls).await,
        a_body_that_never_ends_harms_no_session
    );
    session_testkit::hang_up_contract!(async |layers| kept(layers, Http1Tls).await, dropped);
}

mod http1_tls_broken {
    use super::{Protocol::Http1Tls, broken};

    session_testkit::hang_up_contract!(async |layers| broken(layers, Http1Tls).await, dropped);
}

mod http2_tls {
    use super::{Protocol::Http2Tls, served};

    session_testkit::socket_contract!(
        async |layers| served(layers, Http2Tls).await,
        a_connection_that_is_encrypted_is_secure,
        a_body_that_never_ends_harms_no_session
    );
    session_testkit::hang_up_contract!(async |layers| served(layers, Http2Tls).await, dropped);
}

mod http2_tls_kept {
    use super::{Protocol::Http2Tls, kept};

    session_testkit::socket_contract!(
        async |layers| kept(layers, Http2Tls).await,
        a_body_that_never_ends_harms_no_session
    );
    session_testkit::hang_up_contract!(async |layers| kept(layers, Http2Tls).await, dropped);
}

mod http2_tls_broken {
    use super::{Protocol::Http2Tls, broken};

    session_testkit::hang_up_contract!(async |layers| broken(layers, Http2Tls).await, dropped);
}
