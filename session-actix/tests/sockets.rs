//! The adapter contract on actix-web over real sockets.

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value, reason = "helpers of tests")]

#[path = "common/routes.rs"]
mod routes;

use std::sync::mpsc;

use actix_web::{HttpServer, rt::System};
use session_testkit::adapter::Layers;
use test_support::sockets::{Protocol, Socket, server_tls};

use routes::layered;

/// With `h1_allow_half_closed(false)`, without which actix-web takes a client that has gone for one that has nothing more to say.
async fn served(layers: Layers, protocol: Protocol) -> Socket {
    let layers = std::sync::Mutex::new(layers);
    let again = move || {
        let layers = layers.lock().unwrap();
        Layers { nested: layers.nested.clone(), second: layers.second.clone() }
    };
    let again = std::sync::Arc::new(again);
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        System::new().block_on(async move {
            let server = HttpServer::new(move || layered!(again()))
                .h1_allow_half_closed(false)
                .workers(2)
                .disable_signals()
                .shutdown_timeout(0);
            let server = if protocol.is_encrypted() {
                server.bind_rustls_0_23("127.0.0.1:0", server_tls(&[]))
            } else {
                server.bind("127.0.0.1:0")
            };
            let server = server.unwrap();
            let address = server.addrs()[0];
            let server = server.run();
            send.send((address, server.handle())).unwrap();
            server.await.unwrap();
        });
    });
    let (address, handle) = receive.recv().unwrap();
    // Polled once, it has told the server.
    Socket::new(address, protocol, move || _ = futures_util::FutureExt::now_or_never(handle.stop(false)))
}

mod http1 {
    session_testkit::socket_contract!(
        async |layers| super::served(layers, super::Protocol::Http1).await,
        a_peer_is_trusted_by_its_address,
        a_proxy_is_believed_only_when_it_is_trusted,
        who_hangs_up_in_the_middle_of_a_handler_cancels_it,
        who_hangs_up_before_the_session_is_asked_for_ends_the_request,
        what_is_left_of_a_request_goes_on_in_a_task_of_its_own
    );
}

mod http1_tls {
    session_testkit::socket_contract!(
        async |layers| super::served(layers, super::Protocol::Http1Tls).await,
        a_connection_that_is_encrypted_is_secure,
        who_hangs_up_in_the_middle_of_a_handler_cancels_it,
        who_hangs_up_before_the_session_is_asked_for_ends_the_request,
        what_is_left_of_a_request_goes_on_in_a_task_of_its_own
    );
}

/// Here each request has a task of its own, which nobody drops.
mod http2_tls {
    session_testkit::socket_contract!(
        async |layers| super::served(layers, super::Protocol::Http2Tls).await,
        a_connection_that_is_encrypted_is_secure
    );
}
