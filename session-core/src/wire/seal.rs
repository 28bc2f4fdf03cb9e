//! Sealed text: encrypted, and nobody else's. One construction, around sessions that their clients keep and around records at rest.
//!
//! `base64url(1 ‖ kid ‖ nonce ‖ ciphertext ‖ tag)`: XAES-256-GCM (C2SP), whose nonce of 192 bits may be drawn at random for as many texts as
//! there will ever be; one of 96 bits would repeat itself. Each secret gives a key for each purpose (HKDF, RFC 5869) and a name, `kid`, by which
//! it is found again; what a text is bound to (its purpose, the cookie's name, the record's id) is authenticated with it. Nothing is compressed:
//! lengths would tell of what is inside.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hkdf::Hkdf;
use sha2::Sha256;
use xaes_256_gcm::{
    Nonce, Xaes256Gcm,
    aead::{Aead, KeyInit, Payload},
};
use zeroize::Zeroizing;

use crate::wire::key::{self, Key};

/// What the sealed text begins with, in its first byte and so in its first letter: `A`.
const VERSION: u8 = 1;
const KID: usize = 4;
const NONCE: usize = 24;
const TAG: usize = 16;

/// A guess at shorter ones is no guess.
const SHORTEST: usize = 32;

/// The secrets that sessions are sealed with: the first seals, and all open, so that they can be rotated. Each has 32 random bytes at least
/// (`openssl rand -hex 32` prints 32 as 64 letters).
///
/// ```
/// use session_core::{Key, SealingKeys};
///
/// let one = SealingKeys::from([7; 32]);
/// let rotated = SealingKeys::new([Key::from([8; 32]), Key::from([7; 32])]);
/// assert_eq!(format!("{rotated:?}"), "SealingKeys(2 keys)");
/// ```
#[derive(Clone)]
pub struct SealingKeys(Vec<Key>);

impl SealingKeys {
    /// From secrets of which the first seals and all open.
    pub fn new<K: Into<Key>>(keys: impl IntoIterator<Item = K>) -> Self {
        Self(keys.into_iter().map(Into::into).collect())
    }

    /// Why they cannot be used.
    pub(crate) fn refusal(&self) -> Option<String> {
        if self.0.is_empty() {
            return Some("there is none; give one secret, or several of which the first seals".into());
        }
        let is_short = self.0.iter().any(|key| key.bytes().len() < SHORTEST);
        is_short.then(|| format!("one has fewer than {SHORTEST} bytes; take as many random ones"))
    }
}

key::from_one!(SealingKeys);

impl fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKeys({} keys)", self.0.len())
    }
}

/// What is sealed, and is no other's.
#[derive(Clone, Copy)]
pub(crate) enum Purpose<'a> {
    /// A session in the cookie of this name.
    Cookie(&'a str),
    /// The records of a store.
    Record,
}

/// Seals for one purpose. Cheap to clone it is not: share it.
pub(crate) struct Sealer(Vec<Derived>);

struct Derived {
    kid: [u8; KID],
    cipher: Xaes256Gcm,
}

/// What was opened.
pub(crate) struct Opened {
    pub(crate) text: Zeroizing<Vec<u8>>,
    /// By another secret than the one that seals.
    pub(crate) by_older: bool,
}

impl Sealer {
    pub(crate) fn new(keys: &SealingKeys, purpose: Purpose<'_>) -> Self {
        let info: Vec<u8> = match purpose {
            // Its length first, so that no name and purpose together are another's.
            Purpose::Cookie(name) => [b"seal", &[length(name)][..], name.as_bytes()].concat(),
            Purpose::Record => b"record".to_vec(),
        };
        Self(keys.0.iter().map(|key| Derived::new(key, &info)).collect())
    }

    /// `bound`: what is not in the text, and belongs to it.
    pub(crate) fn seal(&self, text: &[u8], bound: &str) -> String {
        let Some(derived) = self.0.first() else { return String::new() };
        let nonce: [u8; NONCE] = rand::random();
        derived.seal(text, bound, nonce)
    }

    /// `None`: it is not sealed, or by none of the secrets, or bound to something else.
    pub(crate) fn open(&self, sealed: &str, bound: &str) -> Option<Opened> {
        // Before anything is decoded: most of what a stranger sends.
        if !sealed.starts_with('A') {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (&VERSION, rest) = bytes.split_first()? else { return None };
        let (kid, rest) = rest.split_first_chunk::<KID>()?;
        let (nonce, text) = rest.split_first_chunk::<NONCE>()?;
        self.0.iter().enumerate().filter(|(_, derived)| derived.kid == *kid).find_map(|(at, derived)| {
            let bound = derived.bound_to(bound);
            let payload = Payload { msg: text, aad: &bound };
            let text = derived.cipher.decrypt(&Nonce::from(*nonce), payload).ok()?;
            Some(Opened { text: Zeroizing::new(text), by_older: at > 0 })
        })
    }

    /// Whether it looks like what is sealed, by whichever secret.
    pub(crate) fn may_have_made(text: &str) -> bool {
        let bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
        bytes.first() == Some(&VERSION) && text.len() >= Self::sealed_len(0)
    }

    /// Whether it says that one of the secrets has sealed it.
    pub(crate) fn knows(&self, sealed: &str) -> bool {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok().filter(|_| sealed.starts_with('A'));
        let kid = bytes.as_deref().and_then(|bytes| bytes.get(1..=KID));
        self.0.iter().any(|derived| kid == Some(&derived.kid))
    }

    /// How long a text of so many bytes becomes.
    pub(crate) fn sealed_len(text: usize) -> usize {
        let bytes = 1 + KID + NONCE + text + TAG;
        (bytes * 4).div_ceil(3)
    }
}

impl Derived {
    fn new(key: &Key, info: &[u8]) -> Self {
        let hkdf = Hkdf::<Sha256>::new(Some(b"express-session cookie v1"), key.bytes());
        let mut kid = [0; KID];
        let mut derived = Zeroizing::new([0; 32]);
        // So few bytes HKDF always has.
        let all = hkdf.expand(b"kid", &mut kid).and_then(|()| hkdf.expand(info, &mut *derived));
        debug_assert!(all.is_ok());
        Self { kid, cipher: Xaes256Gcm::new(&(*derived).into()) }
    }

    fn seal(&self, text: &[u8], bound: &str, nonce: [u8; NONCE]) -> String {
        let aad = self.bound_to(bound);
        // What fits into memory is not too long for the cipher.
        let sealed =
            self.cipher.encrypt(&Nonce::from(nonce), Payload { msg: text, aad: &aad }).unwrap_or_default();
        URL_SAFE_NO_PAD.encode([&[VERSION], &self.kid[..], &nonce, &sealed].concat())
    }

    fn bound_to(&self, bound: &str) -> Vec<u8> {
        [&[VERSION], &self.kid[..], bound.as_bytes()].concat()
    }
}

/// A cookie's name is shorter; one that is not has the key of all that are so long.
fn length(name: &str) -> u8 {
    u8::try_from(name.len()).unwrap_or(u8::MAX)
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer({} keys)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    /// Those of C2SP's XAES-256-GCM.md.
    #[test]
    fn the_cipher_is_the_one_of_c2sp() {
        let nonce = *b"ABCDEFGHIJKLMNOPQRSTUVWX";
        for (key, aad, sealed) in [
            (1, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
            (3, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"),
        ] {
            let cipher = Xaes256Gcm::new(&[key; 32].into());
            let payload = Payload { msg: b"XAES-256-GCM", aad: aad.as_bytes() };
            assert_eq!(cipher.encrypt(&Nonce::from(nonce), payload).unwrap(), bytes(sealed));
        }
    }

    /// RFC 5869, by OpenSSL: `openssl kdf -keylen 4 -kdfopt digest:SHA256 -kdfopt hexkey:2a…2a -kdfopt salt:'express-session cookie v1'
    /// -kdfopt info:kid HKDF`, and with `-keylen 32 -kdfopt hexinfo:7365616c0773657373696f6e` ("seal", 7, "session").
    #[test]
    fn keys_are_derived_as_it_is_written_down() {
        let derived = Derived::new(&Key::from([0x2a; 32]), b"seal\x07session");
        assert_eq!(derived.kid.to_vec(), bytes(KID_OF_2A));
        let cipher = Xaes256Gcm::new(&<[u8; 32]>::try_from(bytes(KEY_OF_2A)).unwrap().into());
        let (nonce, aad) = ([9; NONCE], derived.bound_to("session"));
        let sealed = cipher.encrypt(&Nonce::from(nonce), Payload { msg: b"{}", aad: &aad }).unwrap();
        let whole = [&[1], &derived.kid[..], &nonce, &sealed].concat();
        assert_eq!(derived.seal(b"{}", "session", nonce), URL_SAFE_NO_PAD.encode(whole));
    }

    const KID_OF_2A: &str = "6269c6b4";
    const KEY_OF_2A: &str = "e3436286b16f0fc68316fd27c07444881154bc7998f9c24a4b221652769e23af";

    fn sealer(keys: impl Into<SealingKeys>, purpose: Purpose<'_>) -> Sealer {
        Sealer::new(&keys.into(), purpose)
    }

    #[test]
    fn what_is_sealed_is_opened_by_its_secret_alone() {
        let [one, two] = [[1; 32], [2; 32]];
        let purpose = Purpose::Cookie("session");
        let sealed = sealer(one, purpose).seal(b"text", "bound");
        assert!(sealed.starts_with('A') && sealed.len() == Sealer::sealed_len(4));
        let opened = sealer(one, purpose).open(&sealed, "bound").unwrap();
        assert!(*opened.text == b"text" && !opened.by_older);
        assert!(sealer([two, one], purpose).open(&sealed, "bound").unwrap().by_older);
        for (keys, purpose, bound) in [
            (two, purpose, "bound"),
            (one, purpose, "other"),
            (one, Purpose::Cookie("sessions"), "bound"),
            (one, Purpose::Record, "bound"),
        ] {
            assert!(sealer(keys, purpose).open(&sealed, bound).is_none());
        }
    }

    /// None comes twice, and each of its bytes takes nearly all values: with 300 of them the least that is missing is a third.
    #[test]
    fn nonces_are_random_in_all_of_their_bytes() {
        let sealer = sealer([1; 32], Purpose::Record);
        let nonces: Vec<Vec<u8>> = (0..300)
            .map(|_| URL_SAFE_NO_PAD.decode(sealer.seal(b"", "")).unwrap()[1 + KID..][..NONCE].to_vec())
            .collect();
        for at in 0..NONCE {
            let values: std::collections::HashSet<u8> = nonces.iter().map(|nonce| nonce[at]).collect();
            assert!(values.len() > 120, "{at}: {}", values.len());
        }
        assert_eq!(nonces.iter().collect::<std::collections::HashSet<_>>().len(), nonces.len());
    }

    #[test]
    fn what_somebody_has_changed_is_not_opened() {
        let sealer = sealer([1; 32], Purpose::Record);
        let sealed = sealer.seal(b"{\"user\":\"tj\"}", "sid");
        let bytes = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        for at in 0..bytes.len() {
            for bit in [1, 0x80] {
                let mut changed = bytes.clone();
                changed[at] ^= bit;
                assert!(sealer.open(&URL_SAFE_NO_PAD.encode(changed), "sid").is_none(), "{at}");
            }
            assert!(sealer.open(&URL_SAFE_NO_PAD.encode(&bytes[..at]), "sid").is_none(), "{at}");
        }
        for other in
            ["", "A", "AQ", "e30=", &format!("{sealed}="), &format!(" {sealed}"), &format!("{sealed}A")]
        {
            assert!(sealer.open(other, "sid").is_none(), "{other}");
        }
    }

    #[test]
    fn short_secrets_are_refused() {
        let why = |keys: SealingKeys| keys.refusal();
        assert!(why(Vec::<&str>::new().into()).is_some_and(|why| why.starts_with("there is none")));
        assert!(why(["x".repeat(32), "x".repeat(31)].into()).is_some_and(|why| why.contains("32 bytes")));
        assert_eq!(why([0; 32].into()), None);
    }

    #[test]
    fn keys_are_wiped() {
        fn is_wiped<T: zeroize::ZeroizeOnDrop>() {}
        is_wiped::<Xaes256Gcm>();
    }
}
