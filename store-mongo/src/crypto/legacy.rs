//! The `secret` option of connect-mongo up to 3.2, before kruptein: JSON of hex strings. Read only.

use serde::Deserialize;
use sha2::{Digest, Sha512};

use super::{
    Unread, cipher,
    encoding::{hex, unhex},
    keys::{Hashing, Kdf, Keys},
    plaintext,
};

const ROUNDS: u32 = 10_000;

#[derive(Deserialize)]
pub(super) struct Record {
    hmac: String,
    ct: String,
    at: Buffer,
    aad: String,
    iv: String,
}

/// A Node `Buffer` as JSON.
#[derive(Deserialize)]
struct Buffer {
    data: Vec<u8>,
}

impl Record {
    /// With `stringify`, the JSON was stringified once more.
    pub(super) fn parse(stored: &str) -> Option<Self> {
        if stored.starts_with('"') {
            return Self::parse(
                &serde_json::from_str::<String>(stored).ok().filter(|text| text.starts_with('{'))?,
            );
        }
        if stored.starts_with('{') { serde_json::from_str(stored).ok() } else { None }
    }

    pub(super) async fn decrypt(&self, keys: &Keys) -> Result<String, Unread> {
        let salt = hex(&Sha512::digest(keys.secret()));
        let derived = keys.derive(Kdf::Pbkdf2(Hashing::Sha512, ROUNDS), &salt.as_bytes()[..16], 64).await?;
        // The hex digits themselves are the key's bytes, as they are the IV's and the additional data's.
        let digits = hex(&derived);
        let key = &digits.as_bytes()[..32];
        let hmac = unhex(self.hmac.as_bytes()).ok_or(Unread::Format)?;
        if !Hashing::Sha512.verifies(key, &[self.ct.as_bytes()], &hmac) {
            return Err(Unread::Tampered);
        }
        let mut sealed = unhex(self.ct.as_bytes()).ok_or(Unread::Format)?;
        sealed.extend(&self.at.data);
        let opened = cipher::gcm_decrypt(key, self.iv.as_bytes(), self.aad.as_bytes(), &sealed);
        opened.and_then(plaintext::unwrap).ok_or(Unread::Tampered)
    }
}
