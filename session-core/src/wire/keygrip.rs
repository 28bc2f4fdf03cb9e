//! Keygrip's signatures: the second cookie, `<name>.sig`, of Node's `cookie-session` and `cookies`.

use std::fmt;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;

use crate::wire::key::{self, Key};

/// Signs and verifies cookies as Keygrip does, with several keys for rotation.
///
/// ```
/// use session_core::Keygrip;
///
/// let keys = Keygrip::new(["key2", "key1"]);
/// let old = Keygrip::new(["key1"]).sign("session=eyJhIjoxfQ==");
/// assert_eq!(old, "UnrWFWXg_7LPJE9wHI-xkA0L-Sk");
/// assert_eq!(keys.verify("session=eyJhIjoxfQ==", &old), Some(1));
/// assert_eq!(keys.verify("session=forged", &old), None);
/// ```
#[derive(Clone)]
pub struct Keygrip {
    keys: Vec<Key>,
    /// `None`: nobody has chosen one.
    algorithm: Option<KeygripAlgorithm>,
    encoding: KeygripEncoding,
}

/// The digest of the HMAC; Keygrip's default is SHA-1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeygripAlgorithm {
    /// `sha1`
    #[default]
    Sha1,
    /// `sha256`
    Sha256,
    /// `sha384`
    Sha384,
    /// `sha512`
    Sha512,
}

/// How the digest is written; Keygrip's default is base64 in the URL-safe alphabet without padding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeygripEncoding {
    /// `base64`
    #[default]
    Base64,
    /// `hex`
    Hex,
}

impl Keygrip {
    /// From keys of which the first signs and all verify, with Keygrip's defaults: SHA-1 and base64.
    pub fn new<K: Into<Key>>(keys: impl IntoIterator<Item = K>) -> Self {
        Self {
            keys: keys.into_iter().map(Into::into).collect(),
            algorithm: None,
            encoding: KeygripEncoding::default(),
        }
    }

    /// Another digest: Keygrip's second argument.
    #[must_use]
    pub fn algorithm(self, algorithm: KeygripAlgorithm) -> Self {
        Self { algorithm: Some(algorithm), ..self }
    }

    /// The digest where nobody has chosen one.
    pub(crate) fn or_algorithm(self, algorithm: KeygripAlgorithm) -> Self {
        Self { algorithm: self.algorithm.or(Some(algorithm)), ..self }
    }

    /// Another encoding: Keygrip's third argument.
    #[must_use]
    pub fn encoding(self, encoding: KeygripEncoding) -> Self {
        Self { encoding, ..self }
    }

    /// The signature by the first key; empty without keys. cookie-session signs the text `name=value`.
    #[must_use]
    pub fn sign(&self, data: &str) -> String {
        self.keys.first().map(|key| self.digest(key, data)).unwrap_or_default()
    }

    /// Which key made this signature: 0 for the one that signs, above that the cookie wants signing anew, `None` when
    /// none did.
    #[must_use]
    pub fn verify(&self, data: &str, signature: &str) -> Option<usize> {
        self.verify_one_of(data, &[signature])
    }

    /// The same of several signatures, each key asked once.
    pub(crate) fn verify_one_of(&self, data: &str, signatures: &[&str]) -> Option<usize> {
        self.keys.iter().position(|key| {
            let digest = self.digest(key, data);
            signatures.iter().any(|signature| digest.as_bytes().ct_eq(signature.as_bytes()).into())
        })
    }

    pub(crate) fn has_none(&self) -> bool {
        self.keys.is_empty()
    }

    pub(crate) fn has_shorter_than(&self, bytes: usize) -> bool {
        self.keys.iter().any(|key| key.bytes().len() < bytes)
    }

    pub(crate) fn is_usable(&self) -> bool {
        !self.has_none() && self.keys.iter().all(|key| !key.bytes().is_empty())
    }

    fn digest(&self, key: &Key, data: &str) -> String {
        let key = key.bytes();
        let digest = match self.algorithm.unwrap_or_default() {
            KeygripAlgorithm::Sha1 => mac::<Hmac<Sha1>>(key, data),
            KeygripAlgorithm::Sha256 => mac::<Hmac<Sha256>>(key, data),
            KeygripAlgorithm::Sha384 => mac::<Hmac<Sha384>>(key, data),
            KeygripAlgorithm::Sha512 => mac::<Hmac<Sha512>>(key, data),
        };
        match self.encoding {
            KeygripEncoding::Base64 => URL_SAFE_NO_PAD.encode(digest),
            KeygripEncoding::Hex => digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

key::from_one!(Keygrip);

/// cookie-session's cookie value for a JSON text: standard base64 with padding.
#[must_use]
pub fn cookie_session_value(json: &str) -> String {
    STANDARD.encode(json)
}

fn mac<M: Mac + KeyInit>(key: &[u8], data: &str) -> Vec<u8> {
    // HMAC takes keys of every length.
    <M as KeyInit>::new_from_slice(key)
        .map(|mac| mac.chain_update(data.as_bytes()).finalize().into_bytes().to_vec())
        .unwrap_or_default()
}

impl fmt::Debug for Keygrip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithm = self.algorithm.unwrap_or_default();
        write!(f, "Keygrip({} keys, {algorithm:?}, {:?})", self.keys.len(), self.encoding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By OpenSSL: `openssl dgst -sha1 -hmac key1`, and so on.
    #[test]
    fn signatures_are_those_of_every_digest_and_encoding() {
        const DATA: &str = "session=eyJhIjoxfQ==";
        for (algorithm, base64, hex) in [
            (
                KeygripAlgorithm::Sha1,
                "UnrWFWXg_7LPJE9wHI-xkA0L-Sk",
                "527ad61565e0ffb2cf244f701c8fb1900d0bf929",
            ),
            (
                KeygripAlgorithm::Sha256,
                "IGgooMyhxtFg83HVS-kJyuIcXYDM_-6MptFEQOxPG-I",
                "206828a0cca1c6d160f371d54be909cae21c5d80ccffee8ca6d14440ec4f1be2",
            ),
            (
                KeygripAlgorithm::Sha384,
                "uFLwZT_k301lYVbs0kf6Fs1W3q-C7Hh1-Jh_gDzsbkji_Wz-gq8FxHTgIyrKpM8_",
                "b852f0653fe4df4d656156ecd247fa16cd56deaf82ec7875f8987f803cec6e48e2fd6cfe82af05c474e0232acaa4cf3f",
            ),
            (
                KeygripAlgorithm::Sha512,
                "oNwdCPNa0PPB4fxX5o00JO8zcNQW4iCZTl8Ip1IBBGBJWuUuosUuRjBJE_LPe8fLOeQza-FQE877EM_xXnDcVw",
                "a0dc1d08f35ad0f3c1e1fc57e68d3424ef3370d416e220994e5f08a752010460495ae52ea2c52e46304913f2cf7bc7cb39e4336be15013cefb10cff15e70dc57",
            ),
        ] {
            for (encoding, signature) in [(KeygripEncoding::Base64, base64), (KeygripEncoding::Hex, hex)] {
                let keys = Keygrip::new(["key1"]).algorithm(algorithm).encoding(encoding);
                assert_eq!(keys.sign(DATA), signature);
                let rotated = Keygrip::new(["key2", "key1"]).algorithm(algorithm).encoding(encoding);
                assert_eq!(rotated.verify(DATA, signature), Some(1));
                assert_eq!(rotated.verify("session=forged", signature), None);
                assert_eq!(keys.verify(DATA, signature), Some(0));
            }
        }
        assert_eq!(Keygrip::new(Vec::<String>::new()).sign(DATA), "");
        assert_eq!(cookie_session_value(r#"{"a":1}"#), "eyJhIjoxfQ==");
    }

    #[test]
    fn keys_are_text_or_bytes() {
        let sign = |keys: Keygrip| keys.sign("session=x");
        let text = sign("key1".into());
        let bytes = b"key1";
        for same in [
            sign(String::from("key1").into()),
            sign((&String::from("key1")).into()),
            sign((*bytes).into()),
            sign(bytes.into()),
            sign(bytes.as_slice().into()),
            sign(bytes.to_vec().into()),
            sign(["key1", "key0"].into()),
            sign(vec![String::from("key1")].into()),
            sign([Key::from(*bytes), "key0".into()].into()),
            sign([bytes.to_vec(), b"key0".to_vec()].into()),
        ] {
            assert_eq!(same, text);
        }
    }

    #[test]
    fn it_shows_no_key() {
        assert_eq!(format!("{:?}", Keygrip::new(["swordfish"])), "Keygrip(1 keys, Sha1, Base64)");
    }
}
