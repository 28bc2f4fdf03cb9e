//! A server of actix-web in a thread of its own.

use std::{net::SocketAddr, sync::mpsc, thread};

use actix_web::{dev::Server, rt::System};
use futures_util::FutureExt as _;
use test_support::sockets::{Protocol, Socket};

/// `start` makes it there, bound already.
pub(crate) fn serve(
    protocol: Protocol,
    start: impl FnOnce() -> (SocketAddr, Server) + Send + 'static,
) -> Socket {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        System::new().block_on(async move {
            let (address, server) = start();
            send.send((address, server.handle())).unwrap();
            server.await.unwrap();
        });
    });
    let (address, handle) = receive.recv().unwrap();
    // Polled once, it has told the server.
    Socket::new(address, protocol, move || _ = handle.stop(false).now_or_never())
}
