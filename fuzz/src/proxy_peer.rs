use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use session_core::fuzzing::trusts;

/// Who is trusted, and who comes: by chance, or by one bit another than who is.
pub(crate) fn run(data: &[u8]) {
    let Some((peer, from)) = question(data) else { return };
    let Some(trusted) = trusts(peer, from) else { return };
    crate::reached();
    if let IpAddr::V4(from) = from {
        assert_eq!(trusts(peer, from.to_ipv6_mapped().into()), Some(trusted), "{peer} {from}");
    }
    let (address, bits) = peer.split_once('/').unwrap_or((peer, ""));
    if let Ok(itself) = address.parse() {
        assert_eq!(trusts(peer, itself), Some(true), "{peer}");
        assert!(!matches!(bits, "0" | "00"), "{peer} trusts everybody");
    }
}

/// What the bytes ask.
pub fn question(data: &[u8]) -> Option<(&str, IpAddr)> {
    let (head, peer) = data.split_at_checked(17)?;
    let peer = std::str::from_utf8(peer).ok()?;
    let address: [u8; 16] = head[1..].try_into().ok()?;
    let trusted = peer.split('/').next().and_then(|address| address.parse().ok());
    let from = match (head[0] % 4, trusted) {
        (0, _) => {
            Ipv4Addr::from_bits(u32::from_le_bytes([address[0], address[1], address[2], address[3]])).into()
        }
        (1, _) => Ipv6Addr::from(address).into(),
        (_, Some(IpAddr::V4(trusted))) => {
            Ipv4Addr::from_bits(trusted.to_bits() ^ 1 << (address[0] % 32)).into()
        }
        (_, Some(IpAddr::V6(trusted))) => {
            Ipv6Addr::from_bits(trusted.to_bits() ^ 1 << (address[0] % 128)).into()
        }
        (_, None) => Ipv4Addr::from([address[0], address[1], address[2], address[3]]).to_ipv6_mapped().into(),
    };
    Some((peer, from))
}
