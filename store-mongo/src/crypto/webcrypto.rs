//! connect-mongo's `createWebCryptoAdapter`: IV, ciphertext and tag in one piece.

use std::fmt;

use rand::Rng;

use super::{
    Unread, cipher,
    cipher::TAG,
    encoding::Encoding,
    keys::{Hashing, Kdf, Key, Keys},
    plaintext,
};

const DEFAULT_SALT: &[u8] = b"connect-mongo:webcrypto-default-salt";
const DEFAULT_ITERATIONS: u32 = 310_000;
const KEY: usize = 32;

/// What connect-mongo's `createWebCryptoAdapter` encrypts. One salt serves all sessions, so that the key is derived once.
pub struct WebCrypto {
    keys: Keys,
    algorithm: WebAlgorithm,
    encoding: Encoding,
    iv_length: Option<usize>,
    salt: Vec<u8>,
    iterations: u32,
}

/// The ciphers of [`WebCrypto`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebAlgorithm {
    /// `AES-GCM`, the default.
    AesGcm,
    /// `AES-CBC`. Nothing in it tells whether it was tampered with: to read what exists, not for a new application.
    AesCbc,
}

impl WebCrypto {
    /// connect-mongo's defaults.
    pub fn new(secret: impl Into<Vec<u8>>) -> Self {
        Self {
            keys: Keys::new(secret.into()),
            algorithm: WebAlgorithm::AesGcm,
            encoding: Encoding::Base64,
            iv_length: None,
            salt: DEFAULT_SALT.to_vec(),
            iterations: DEFAULT_ITERATIONS,
        }
    }

    /// The cipher. Default: `AES-GCM`. Node: `algorithm`.
    #[must_use]
    pub fn algorithm(self, algorithm: WebAlgorithm) -> Self {
        Self { algorithm, ..self }
    }

    /// How the bytes are stored. Default: base64. Node: `encoding`.
    #[must_use]
    pub fn encoding(self, encoding: Encoding) -> Self {
        Self { encoding, ..self }
    }

    /// The length of the IV in bytes: 12 or 16 with `AES-GCM`, 16 with `AES-CBC`. Default: 12 and 16. Node: `ivLength`.
    #[must_use]
    pub fn iv_length(self, bytes: usize) -> Self {
        Self { iv_length: Some(bytes), ..self }
    }

    /// The salt of the key. Default: connect-mongo's, which everybody knows: a salt of your own is better. Node: `salt`.
    #[must_use]
    pub fn salt(self, salt: impl Into<Vec<u8>>) -> Self {
        Self { salt: salt.into(), ..self }
    }

    /// The rounds of PBKDF2. Default: 310,000. Node: `iterations`.
    #[must_use]
    pub fn iterations(self, iterations: u32) -> Self {
        Self { iterations, ..self }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.keys.secret().is_empty() {
            return Err("the secret is empty".into());
        }
        if self.iterations == 0 {
            return Err("a key takes at least one iteration".into());
        }
        match (self.algorithm, self.iv_size()) {
            (WebAlgorithm::AesGcm, 12 | 16) | (WebAlgorithm::AesCbc, 16) => Ok(()),
            (WebAlgorithm::AesGcm, _) => Err("iv_length: 12 or 16 with AES-GCM".into()),
            (WebAlgorithm::AesCbc, _) => Err("iv_length: 16 with AES-CBC".into()),
        }
    }

    pub(super) async fn encrypt(&self, record: &str) -> Result<String, Unread> {
        let key = self.key().await?;
        let mut sealed = vec![0; self.iv_size()];
        rand::rng().fill_bytes(&mut sealed);
        let encrypted = match self.algorithm {
            WebAlgorithm::AesGcm => cipher::gcm_encrypt(&key, &sealed, b"", record.as_bytes()),
            WebAlgorithm::AesCbc => cipher::cbc_encrypt(&key, &sealed, record.as_bytes()),
        };
        sealed.extend(encrypted.ok_or(Unread::Format)?);
        Ok(self.encoding.encode(&sealed))
    }

    pub(super) async fn decrypt(&self, stored: &str) -> Result<String, Unread> {
        let sealed = self.encoding.decode(stored.as_bytes()).ok_or(Unread::Format)?;
        let (iv, encrypted) = sealed.split_at_checked(self.iv_size()).ok_or(Unread::Format)?;
        if encrypted.len() < TAG {
            return Err(Unread::Format);
        }
        let key = self.key().await?;
        let opened = match self.algorithm {
            WebAlgorithm::AesGcm => cipher::gcm_decrypt(&key, iv, b"", encrypted),
            // Any key finds a padding now and then.
            WebAlgorithm::AesCbc => {
                cipher::cbc_decrypt(&key, iv, encrypted).filter(|opened| opened.starts_with(b"{"))
            }
        };
        opened.and_then(plaintext::unwrap).ok_or(Unread::Tampered)
    }

    async fn key(&self) -> Result<Key, Unread> {
        self.keys.derive(Kdf::Pbkdf2(Hashing::Sha256, self.iterations), &self.salt, KEY).await
    }

    fn iv_size(&self) -> usize {
        self.iv_length.unwrap_or(match self.algorithm {
            WebAlgorithm::AesGcm => 12,
            WebAlgorithm::AesCbc => 16,
        })
    }
}

/// Shows no secret.
impl fmt::Debug for WebCrypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebCrypto").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_write_has_an_iv_of_its_own() {
        for algorithm in [WebAlgorithm::AesGcm, WebAlgorithm::AesCbc] {
            let web = WebCrypto::new("secret").iterations(10).algorithm(algorithm);
            let mut ivs = Vec::new();
            for _ in 0..8 {
                let sealed = web.encoding.decode(web.encrypt("{}").await.unwrap().as_bytes()).unwrap();
                ivs.push(sealed[..web.iv_size()].to_vec());
            }
            crate::crypto::tests::assert_random(&ivs, web.iv_size());
        }
    }
}
