//! The adapter contract on actix-web over real sockets.

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value, reason = "helpers of tests")]

#[path = "common/routes.rs"]
mod routes;
#[path = "common/served.rs"]
mod served;

use actix_web::HttpServer;
use session_core::{MemoryStore, Options};
use session_testkit::{Browser, adapter::Layers};
use test_support::sockets::{Protocol, Socket, server_tls};

use routes::layered;

/// With `h1_allow_half_closed(false)`, without which actix-web takes a client that has gone for one that has nothing more to say.
async fn served(layers: Layers, protocol: Protocol) -> Socket {
    serve(layers, protocol, false).await
}

async fn half_closed(layers: Layers, protocol: Protocol) -> Socket {
    serve(layers, protocol, true).await
}

async fn serve(layers: Layers, protocol: Protocol, may_half_close: bool) -> Socket {
    let layers = std::sync::Mutex::new(layers);
    let again = move || {
        let layers = layers.lock().unwrap();
        Layers { nested: layers.nested.clone(), second: layers.second.clone() }
    };
    let again = std::sync::Arc::new(again);
    served::serve(protocol, move || {
        let server = HttpServer::new(move || layered!(again()))
            .h1_allow_half_closed(may_half_close)
            .workers(2)
            // Its own are of seconds, in which a busy machine may not come to the next request.
            .keep_alive(std::time::Duration::from_secs(120))
            .client_request_timeout(std::time::Duration::ZERO)
            .tls_handshake_timeout(std::time::Duration::from_secs(120))
            .disable_signals()
            .shutdown_timeout(0);
        let server = if protocol.is_encrypted() {
            server.bind_rustls_0_23("127.0.0.1:0", server_tls(&[]))
        } else {
            server.bind("127.0.0.1:0")
        };
        let server = server.unwrap();
        (server.addrs()[0], server.run())
    })
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

/// Here each request has a task of its own, which nobody drops.
mod http2_tls {
    use super::{Protocol::Http2Tls, served};

    session_testkit::socket_contract!(
        async |layers| served(layers, Http2Tls).await,
        a_connection_that_is_encrypted_is_secure,
        a_body_that_never_ends_harms_no_session
    );
    session_testkit::hang_up_contract!(async |layers| served(layers, Http2Tls).await);
}

mod http2_tls_kept {
    use super::{Protocol::Http2Tls, kept};

    session_testkit::socket_contract!(
        async |layers| kept(layers, Http2Tls).await,
        a_body_that_never_ends_harms_no_session
    );
    session_testkit::hang_up_contract!(async |layers| kept(layers, Http2Tls).await);
}

mod http2_tls_broken {
    use super::{Protocol::Http2Tls, broken};

    session_testkit::hang_up_contract!(async |layers| broken(layers, Http2Tls).await);
}

/// As it is by default: a client that closes has nothing more to say, and one whose connection breaks has gone.
mod half_closed {
    use super::{Protocol::Http1, half_closed};

    session_testkit::hang_up_contract!(async |layers| half_closed(layers, Http1).await);
}

mod half_closed_broken {
    use super::{Protocol::Http1, half_closed};

    session_testkit::hang_up_contract!(async |layers| half_closed(layers, Http1).await.breaking(), dropped);
}
