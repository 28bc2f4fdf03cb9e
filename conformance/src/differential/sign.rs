//! What Node's `cookie-signature` and `encodeURIComponent` write, so that the runner can check and forge cookies.
//! Independent of `session-core` on purpose: a mistake there must not hide here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// `sid.signature`
pub(super) fn sign(sid: &str, secret: &[u8]) -> String {
    #[allow(clippy::expect_used, reason = "HMAC takes keys of every length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key of any length");
    mac.update(sid.as_bytes());
    format!("{sid}.{}", STANDARD_NO_PAD.encode(mac.finalize().into_bytes()))
}

/// The cookie value on the wire: percent-encoded `s:sid.signature`.
pub(super) fn wire(sid: &str, secret: &[u8]) -> String {
    encode(&format!("s:{}", sign(sid, secret)))
}

/// The sid in a cookie value, whatever its signature says.
pub(super) fn sid_of(wire: &str) -> Option<String> {
    let decoded = decode(wire)?;
    let (sid, _) = decoded.strip_prefix("s:")?.rsplit_once('.')?;
    Some(sid.to_owned())
}

/// JavaScript's `encodeURIComponent`.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            encoded.push(byte.into());
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let high = char::from(bytes.next()?).to_digit(16)?;
        let low = char::from(bytes.next()?).to_digit(16)?;
        decoded.push((high * 16 + low) as u8);
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_as_cookie_signature_does() {
        let value = wire("user:42/é☃", b"keyboard cat");
        assert_eq!(value, "s%3Auser%3A42%2F%C3%A9%E2%98%83.puJGk%2FlouU9th9KMZBUldfSThOWXuoW4rPaX9DRvEhE");
        assert_eq!(sid_of(&value).as_deref(), Some("user:42/é☃"));
        assert_eq!(sid_of("s%3Ano-signature"), None);
    }
}
