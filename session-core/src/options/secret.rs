//! Secrets and signed values: what Node's `cookie-signature` writes and reads.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// HMAC-SHA256 in base64 without padding.
const SIGNATURE_LENGTH: usize = 43;

/// One secret, prepared for signing: the key itself is not kept, and what is derived from it is wiped on drop.
///
/// ```
/// use session_core::Secret;
///
/// let secret = Secret::new("tobiiscool");
/// let signed = secret.sign("hello");
/// assert_eq!(signed, "hello.DGDUkGlIkCzPz+C0B064FNgHdEjox7ch8tOBGslZ5QI");
/// assert_eq!(secret.unsign(&signed), Some("hello"));
/// assert_eq!(secret.unsign("hello.forged"), None);
/// assert_eq!(format!("{secret:?}"), "Secret(…)");
/// ```
#[derive(Clone)]
pub struct Secret {
    mac: Hmac<Sha256>,
    length: usize,
}

impl Secret {
    /// From a string or from bytes, as express-session takes a string or a Buffer.
    pub fn new(secret: impl AsRef<[u8]>) -> Self {
        let key = secret.as_ref();
        // HMAC takes keys of every length: the fallback is unreachable, and signs with a key nobody knows.
        let mac = Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&rand::random::<[u8; 64]>().into()));
        Self { mac, length: key.len() }
    }

    /// `value.signature`: HMAC-SHA256 of the value, base64 without padding.
    #[must_use]
    pub fn sign(&self, value: &str) -> String {
        self.sign_after("", value)
    }

    fn sign_after(&self, prefix: &str, value: &str) -> String {
        let mut signed = String::with_capacity(prefix.len() + value.len() + 1 + SIGNATURE_LENGTH);
        signed.push_str(prefix);
        signed.push_str(value);
        signed.push('.');
        self.with_signature(value, |signature| signed.push_str(signature));
        signed
    }

    /// The value of `value.signature`; `None` when the signature is not this secret's. Splits at the last dot, and
    /// compares the texts of the signatures in constant time: another spelling of the same bytes is refused.
    #[must_use]
    pub fn unsign<'a>(&self, signed: &'a str) -> Option<&'a str> {
        let (value, signature) = signed.rsplit_once('.')?;
        let mut same = false;
        self.with_signature(value, |ours| same = equal(ours, signature));
        same.then_some(value)
    }

    fn with_signature(&self, value: &str, take: impl FnOnce(&str)) {
        let mac = self.mac.clone().chain_update(value.as_bytes()).finalize().into_bytes();
        let mut text = [0; SIGNATURE_LENGTH];
        let length = STANDARD_NO_PAD.encode_slice(mac, &mut text).unwrap_or_default();
        take(std::str::from_utf8(&text[..length]).unwrap_or_default());
    }
}

/// In constant time, and eight bytes at once: one by one takes longer than all the rest but the hash.
fn equal(ours: &str, theirs: &str) -> bool {
    fn words(text: &str) -> [u64; SIGNATURE_LENGTH.div_ceil(8)] {
        let mut padded = [0; SIGNATURE_LENGTH.next_multiple_of(8)];
        padded[..SIGNATURE_LENGTH].copy_from_slice(text.as_bytes());
        let (words, _) = padded.as_chunks();
        std::array::from_fn(|at| u64::from_ne_bytes(words[at]))
    }
    let whole = [ours, theirs].iter().all(|text| text.len() == SIGNATURE_LENGTH);
    whole && words(ours).ct_eq(&words(theirs)).into()
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl From<&str> for Secret {
    fn from(secret: &str) -> Self {
        Self::new(secret)
    }
}

impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self::new(Zeroizing::new(secret).as_bytes())
    }
}

impl From<&[u8]> for Secret {
    fn from(secret: &[u8]) -> Self {
        Self::new(secret)
    }
}

impl From<&String> for Secret {
    fn from(secret: &String) -> Self {
        Self::new(secret)
    }
}

impl<const N: usize> From<[u8; N]> for Secret {
    fn from(secret: [u8; N]) -> Self {
        Self::new(Zeroizing::new(secret).as_slice())
    }
}

impl<const N: usize> From<&[u8; N]> for Secret {
    fn from(secret: &[u8; N]) -> Self {
        Self::new(secret)
    }
}

impl From<Vec<u8>> for Secret {
    fn from(secret: Vec<u8>) -> Self {
        Self::new(Zeroizing::new(secret).as_slice())
    }
}

/// The `secret` option: one secret or several. The first signs, all verify, so that secrets can be rotated.
///
/// ```
/// use session_core::{Secret, Secrets};
///
/// let one: Secrets = "keyboard cat".into();
/// let rotated: Secrets = ["this year's", "last year's"].into();
/// let bytes: Secrets = [0x5a; 32].into();
/// ```
#[derive(Clone, Debug)]
pub struct Secrets(Vec<Secret>);

impl Secrets {
    /// The signed value of a sid, before percent-encoding: `s:sid.signature`, by the first secret.
    pub(crate) fn seal(&self, sid: &str) -> String {
        self.0.first().map(|secret| secret.sign_after("s:", sid)).unwrap_or_default()
    }

    /// A sid as other carriers than cookies have it: `sid.signature`, by the first secret.
    pub(crate) fn sign(&self, sid: &str) -> String {
        self.0.first().map(|secret| secret.sign(sid)).unwrap_or_default()
    }

    /// The sid of such a one, or of a signed value as a cookie holds it, if any of the secrets signed it.
    pub(crate) fn unsign<'a>(&self, token: &'a str) -> Option<&'a str> {
        self.unseal(token).or_else(|| self.0.iter().find_map(|secret| secret.unsign(token)))
    }

    /// Whether it is the first secret that has signed it: it does not need to be replaced.
    pub(crate) fn is_signed_by_first(&self, token: &str) -> bool {
        self.0.first().is_some_and(|first| {
            token
                .strip_prefix("s:")
                .and_then(|signed| first.unsign(signed))
                .or_else(|| first.unsign(token))
                .is_some()
        })
    }

    /// The sid of a signed value, if any of the secrets signed it.
    pub(crate) fn unseal<'a>(&self, signed: &'a str) -> Option<&'a str> {
        let signed = signed.strip_prefix("s:")?;
        self.0.iter().find_map(|secret| secret.unsign(signed))
    }

    pub(crate) fn is_usable(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|secret| secret.length > 0)
    }

    /// Whether one of them has fewer bytes than this.
    pub(crate) fn has_shorter_than(&self, bytes: usize) -> bool {
        self.0.iter().any(|secret| secret.length < bytes)
    }
}

impl From<Secret> for Secrets {
    fn from(secret: Secret) -> Self {
        Self(vec![secret])
    }
}

impl From<&str> for Secrets {
    fn from(secret: &str) -> Self {
        Secret::from(secret).into()
    }
}

impl From<String> for Secrets {
    fn from(secret: String) -> Self {
        Secret::from(secret).into()
    }
}

impl From<&String> for Secrets {
    fn from(secret: &String) -> Self {
        Secret::from(secret).into()
    }
}

impl From<&[u8]> for Secrets {
    fn from(secret: &[u8]) -> Self {
        Secret::from(secret).into()
    }
}

impl From<Vec<u8>> for Secrets {
    fn from(secret: Vec<u8>) -> Self {
        Secret::from(secret).into()
    }
}

impl<const N: usize> From<[u8; N]> for Secrets {
    fn from(secret: [u8; N]) -> Self {
        Secret::from(secret).into()
    }
}

impl<const N: usize> From<&[u8; N]> for Secrets {
    fn from(secret: &[u8; N]) -> Self {
        Secret::from(secret).into()
    }
}

impl<S: Into<Secret>, const N: usize> From<[S; N]> for Secrets {
    fn from(secrets: [S; N]) -> Self {
        secrets.into_iter().collect()
    }
}

impl<S: Into<Secret>> From<Vec<S>> for Secrets {
    fn from(secrets: Vec<S>) -> Self {
        secrets.into_iter().collect()
    }
}

impl<S: Into<Secret>> FromIterator<S> for Secrets {
    fn from_iter<I: IntoIterator<Item = S>>(secrets: I) -> Self {
        Self(secrets.into_iter().map(Into::into).collect())
    }
}

#[cfg(test)]
mod tests {
    use zeroize::ZeroizeOnDrop;

    use super::*;

    #[test]
    fn nothing_of_a_secret_is_shown() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(…)");
        assert!(!format!("{:?}", Secrets::from(["hunter2", "hunter3"])).contains("hunter"));
    }

    /// What a secret was made into is the state of two hashes, which only a feature of theirs wipes.
    #[test]
    fn what_is_kept_of_a_secret_is_wiped() {
        fn is_wiped<T: ZeroizeOnDrop>() {}
        is_wiped::<Sha256>();
        is_wiped::<sha2::block_api::Sha256VarCore>();
        // Keygrip's.
        is_wiped::<sha1::block_api::Sha1Core>();
        is_wiped::<Zeroizing<Vec<u8>>>();
    }

    #[test]
    fn signatures_of_every_other_text_differ() {
        let signed = Secret::new("keyboard cat").sign("a");
        let ours = signed.rsplit_once('.').unwrap().1;
        assert!(equal(ours, ours));
        for at in 0..SIGNATURE_LENGTH {
            let mut theirs = ours.as_bytes().to_vec();
            theirs[at] ^= 1;
            assert!(!equal(ours, std::str::from_utf8(&theirs).unwrap()), "{at}");
        }
        assert!(!equal(ours, &ours[1..]) && !equal(ours, &format!("{ours}=")) && !equal("", ours));
    }
}
