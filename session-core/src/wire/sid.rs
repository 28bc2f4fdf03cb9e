//! The session id.

use std::{fmt, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::Rng;

/// **Sid**: the opaque session id, and the key under which a store holds the record. Whoever knows a sid and the secret
/// is logged in, so it has no `Display`, and its `Debug` shows nothing of it.
///
/// ```
/// use session_core::Sid;
///
/// let sid = Sid::random();
/// assert_eq!(sid.as_str().len(), 32);
/// assert_eq!(format!("{sid:?}"), "Sid(…)");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sid(Arc<str>);

impl Sid {
    /// 24 random bytes as 32 characters of base64url: what express-session's default `genid` (uid-safe) makes.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = [0; 24];
        rand::rng().fill_bytes(&mut bytes);
        Self::from_bytes(&bytes)
    }

    pub(crate) fn from_bytes(bytes: &[u8; 24]) -> Self {
        let mut text = [0; 32];
        // 24 bytes are 32 characters exactly, all ASCII.
        let length = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text).unwrap_or_default();
        Self(std::str::from_utf8(&text[..length]).unwrap_or_default().into())
    }

    /// The id in clear, for a store to use as its key. Do not log it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Sid {
    fn from(id: &str) -> Self {
        Self(id.into())
    }
}

impl From<String> for Sid {
    fn from(id: String) -> Self {
        Self(id.into())
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sid(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_uid_safe_writes_it() {
        let counting = std::array::from_fn(|at| u8::try_from(at).unwrap());
        assert_eq!(Sid::from_bytes(&[0xff; 24]).as_str(), "_".repeat(32));
        assert_eq!(Sid::from_bytes(&[0xfb; 24]).as_str(), "-_v7".repeat(8));
        assert_eq!(Sid::from_bytes(&counting).as_str(), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX");
    }

    #[test]
    fn it_does_not_show_itself() {
        assert_eq!(format!("{:?}", Sid::from("swordfish")), "Sid(…)");
    }

    /// Of 192 bits each is as often one as zero: that one of them is off by a sixth happens once in 10^22 runs.
    #[test]
    fn every_bit_is_random() {
        let sids: Vec<_> =
            (0..1_000).map(|_| URL_SAFE_NO_PAD.decode(Sid::random().as_str()).unwrap()).collect();
        for bit in 0..192 {
            let ones = sids.iter().filter(|sid| sid[bit / 8] >> (bit % 8) & 1 == 1).count();
            assert!((333..=667).contains(&ones), "bit {bit}: {ones} of 1,000");
        }
    }
}
