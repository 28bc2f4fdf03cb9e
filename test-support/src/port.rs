//! Ports for servers that a test, or `cargo xtask`, starts itself.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::process;
use std::sync::{Mutex, PoisonError};

/// Below those that outgoing connections get.
const PORTS: std::ops::Range<u32> = 20_000..30_000;

/// A free port of the loopback interface, which nobody else gets here while this process lives: its twin of UDP, that no
/// server uses, stays bound.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    static KEPT: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    // Processes begin in different places.
    let first = process::id().wrapping_mul(61);
    for at in 0..PORTS.len() as u32 {
        let port = PORTS.start + first.wrapping_add(at) % PORTS.len() as u32;
        let port = u16::try_from(port).unwrap();
        let Ok(twin) = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)) else { continue };
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            kept.push(twin);
            return port;
        }
    }
    panic!("no free port");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn every_port_is_given_once() {
        let ports: BTreeSet<u16> = (0..100).map(|_| super::free_port()).collect();
        assert_eq!(ports.len(), 100);
    }
}
