//! Who is believed when a request says that it was encrypted on its way here.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

/// The `proxy` option: whose word counts that a client's connection was encrypted. See [`Options::proxy`](crate::Options::proxy).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proxy {
    /// Nobody's: only the connection itself tells. Node: `proxy: false`.
    Never,
    /// Everybody's. Only behind a proxy that sets the header, which clients can send too. Node: `proxy: true`.
    Always,
    /// So many proxies stand between the client and this server. Node: Express's `trust proxy` with a number, under which `HTTPS`
    /// in capitals is not `https`; 0 is [`Never`](Self::Never).
    Hops(usize),
    /// Of these peers alone: see [`peers`](Self::peers). Node: Express's `trust proxy` with addresses.
    Peers(Peers),
}

/// Addresses and networks that are trusted: [`Proxy::peers`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peers(Result<Vec<IpNet>, String>);

/// Which header a trusted proxy says it in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyHeader {
    /// The first entry of `X-Forwarded-Proto`, as Express reads it.
    XForwardedProto,
    /// `proto` of `Forwarded` (RFC 7239), of the element that the outermost trusted proxy wrote: with [`Proxy::Hops`] counted from
    /// the end, with [`Proxy::Peers`] past each `for` that is trusted too, with [`Proxy::Always`] the first.
    Forwarded,
}

impl Proxy {
    /// Only a connection from one of these is believed: addresses, networks (`10.0.0.0/8`), and Express's names `loopback`,
    /// `linklocal` and `uniquelocal`. What is none of these, as a network of everybody (`0.0.0.0/0`), is an error of
    /// [`Options::build`](crate::Options::build). No network of IPv6 addresses has IPv4 ones, but for `::ffff:0:0/96` and what is in it. A connection
    /// that has no address, as over a Unix socket, is not trusted; nor is any with axum, unless it serves with
    /// `into_make_service_with_connect_info::<SocketAddr>()`.
    pub fn peers<T: AsRef<str>>(peers: impl IntoIterator<Item = T>) -> Self {
        let nets = peers.into_iter().map(|peer| networks(peer.as_ref()).ok_or(peer.as_ref().to_owned()));
        Self::Peers(Peers(nets.collect::<Result<Vec<_>, _>>().map(|nets| nets.concat())))
    }

    /// What of the peers is none.
    pub(crate) fn check(&self) -> Result<(), &str> {
        match self {
            Self::Peers(Peers(Err(peer))) => Err(peer),
            _ => Ok(()),
        }
    }

    /// Whether it is by the peer's address.
    pub(crate) fn needs_peer(&self) -> bool {
        matches!(self, Self::Peers(_))
    }

    /// Whether what the peer says counts.
    pub(crate) fn trusts(&self, peer: Option<IpAddr>) -> bool {
        match self {
            Self::Never | Self::Hops(0) => false,
            Self::Always | Self::Hops(_) => true,
            Self::Peers(Peers(nets)) => {
                let Some(peer) = peer.map(|peer| peer.to_canonical()) else { return false };
                nets.iter().flatten().any(|net| net.contains(&peer))
            }
        }
    }
}

/// `true`: [`Proxy::Always`]; `false`: [`Proxy::Never`].
impl From<bool> for Proxy {
    fn from(proxy: bool) -> Self {
        if proxy { Self::Always } else { Self::Never }
    }
}

/// A network of IPv4 addresses that are written as IPv6 ones is one of IPv4: as such peers are looked at. One that is wider is none, and
/// neither is what trusts everybody: nobody else has said so.
fn canonical(net: IpNet) -> Option<IpNet> {
    let net = match (net.addr(), net.addr().to_canonical()) {
        (IpAddr::V6(_), IpAddr::V4(address)) => {
            IpNet::new(address.into(), net.prefix_len().checked_sub(96)?).ok()?
        }
        _ if net.prefix_len() == 0 => return None,
        _ => net,
    };
    Some(net)
}

fn networks(peer: &str) -> Option<Vec<IpNet>> {
    let names: &[&str] = match peer {
        "loopback" => &["127.0.0.0/8", "::1/128"],
        "linklocal" => &["169.254.0.0/16", "fe80::/10"],
        "uniquelocal" => &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"],
        peer => {
            let net = match peer.split_once('/') {
                None => IpNet::from(peer.parse::<IpAddr>().ok()?.to_canonical()),
                Some((address, bits)) => match bits.parse() {
                    // No sign, which a number of Rust's may have.
                    Ok(length) if bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                        IpNet::new(address.parse().ok()?, length).ok()?
                    }
                    Ok(_) => return None,
                    Err(_) => Ipv4Net::with_netmask(address.parse().ok()?, bits.parse().ok()?).ok()?.into(),
                },
            };
            return canonical(net).map(|net| vec![net]);
        }
    };
    names.iter().map(|net| net.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_trusted_by_address_network_and_name() {
        let trusts = |peer: &str, from: &str| Proxy::peers([peer]).trusts(from.parse().ok());
        for (peer, from, trusted) in [
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("10.1.2.3", "::ffff:10.1.2.3", true),
            ("::ffff:10.1.2.3", "10.1.2.3", true),
            ("::ffff:10.1.0.0/112", "10.1.255.255", true),
            ("::ffff:10.1.0.0/112", "10.2.0.0", false),
            ("10.1.0.0/16", "10.1.255.255", true),
            ("10.1.0.0/16", "10.2.0.0", false),
            ("10.1.0.0/255.255.0.0", "10.1.255.255", true),
            ("2001:db8::/32", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("loopback", "127.9.9.9", true),
            ("loopback", "::1", true),
            ("loopback", "10.0.0.1", false),
            ("linklocal", "169.254.1.1", true),
            ("linklocal", "fe80::1", true),
            ("loopback", "126.255.255.255", false),
            ("loopback", "128.0.0.0", false),
            ("loopback", "::2", false),
            ("linklocal", "169.253.255.255", false),
            ("linklocal", "169.255.0.0", false),
            ("linklocal", "fe7f:ffff::", false),
            ("linklocal", "febf:ffff::", true),
            ("linklocal", "fec0::", false),
            ("uniquelocal", "9.255.255.255", false),
            ("uniquelocal", "10.0.0.0", true),
            ("uniquelocal", "10.255.255.255", true),
            ("uniquelocal", "11.0.0.0", false),
            ("uniquelocal", "172.15.255.255", false),
            ("uniquelocal", "172.16.0.0", true),
            ("uniquelocal", "172.31.255.255", true),
            ("uniquelocal", "172.32.0.0", false),
            ("uniquelocal", "192.167.255.255", false),
            ("uniquelocal", "192.168.0.0", true),
            ("uniquelocal", "192.168.255.255", true),
            ("uniquelocal", "192.169.0.0", false),
            ("uniquelocal", "fbff:ffff::", false),
            ("uniquelocal", "fc00::", true),
            ("uniquelocal", "fdff:ffff::", true),
            ("uniquelocal", "fe00::", false),
            ("::ffff:0:0/96", "203.0.113.7", true),
            ("::ffff:0:0/96", "2001:db8::1", false),
            ("::/1", "203.0.113.7", false),
            ("::/1", "::ffff:203.0.113.7", false),
            ("0.0.0.0/1", "not known", false),
        ] {
            assert_eq!(trusts(peer, from), trusted, "{peer} {from}");
        }
        assert!(Proxy::peers(["192.0.2.1", "loopback"]).trusts("127.0.0.1".parse().ok()));
        assert!(!Proxy::peers(Vec::<String>::new()).trusts("127.0.0.1".parse().ok()));
    }

    #[test]
    fn a_peer_that_is_none_is_named() {
        for peer in [
            "10.0.0.0/33",
            "example.com",
            "",
            "10.0.0.0/255.0.255.0",
            "10.0.0.0/2001:db8::",
            "0.0.0.0/0",
            "10.0.0.0/0.0.0.0",
            "::/0",
            "::ffff:0:0/95",
            "::ffff:0:0/0",
            "10.0.0.0/+8",
            "2001:db8::/ffff:ffff::",
        ] {
            assert_eq!(Proxy::peers(["loopback", peer]).check(), Err(peer));
            assert!(!Proxy::peers([peer, "10.0.0.0/8"]).trusts("10.0.0.1".parse().ok()));
        }
        assert_eq!(Proxy::peers(["loopback"]).check(), Ok(()));
    }

    #[test]
    fn everybody_and_hops_need_no_address() {
        for (proxy, trusted) in [
            (Proxy::Never, false),
            (Proxy::Always, true),
            (Proxy::Hops(0), false),
            (Proxy::Hops(1), true),
            (true.into(), true),
            (false.into(), false),
        ] {
            assert_eq!(proxy.trusts(None), trusted, "{proxy:?}");
        }
    }
}
