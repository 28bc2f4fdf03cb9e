//! Encryption as connect-mongo does it: kruptein in all three generations, the Web Crypto adapter, and the `secret` option of
//! connect-mongo 3. The ciphers are RustCrypto's; here are only the layouts.

mod cipher;
mod der;
mod encoding;
mod keys;
mod kruptein;
mod legacy;
mod plaintext;
mod webcrypto;

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use session_core::StoreError;

pub use self::{
    cipher::Algorithm,
    encoding::Encoding,
    keys::Hashing,
    kruptein::Kruptein,
    webcrypto::{WebAlgorithm, WebCrypto},
};
use crate::error::{MongoError, STORE};

/// How sessions are encrypted: the first format writes, all read.
///
/// ```
/// use store_mongo::{Crypto, Kruptein, WebCrypto};
///
/// // What connect-mongo's `crypto: { secret }` writes and reads.
/// let crypto = Crypto::from(Kruptein::new("a new secret"))
///     // Sessions from before the secret was changed.
///     .also_reads(Kruptein::new("the old secret"))
///     .also_reads(WebCrypto::new("another"));
/// ```
#[derive(Clone)]
pub struct Crypto {
    writes: Format,
    reads: Vec<Format>,
    plaintext: bool,
}

#[derive(Clone)]
enum Format {
    Kruptein(Arc<Kruptein>),
    WebCrypto(Arc<WebCrypto>),
}

/// A stored session that is not what one of the secrets has encrypted. The source of a [`StoreError::Corrupt`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CryptoError {
    /// It has the form of none of the formats that are configured.
    #[error("not encrypted in any of the formats that are configured")]
    Format,
    /// It has the form, and none of the secrets fits: it was changed, or encrypted with another secret. kruptein: "Encrypted
    /// session was tampered with!"
    #[error("tampered with, or encrypted with another secret")]
    Tampered,
    /// It is stored in clear, see [`Crypto::also_reads_plaintext`].
    #[error("stored in clear, where only encrypted sessions are read")]
    Plaintext,
}

/// Why one format did not read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unread {
    /// Not this format.
    Format,
    Tampered,
    /// The runtime shut down meanwhile.
    Interrupted,
}

impl Crypto {
    /// Reads what another secret, or another format, has encrypted. Every secret costs a derivation of a key where the ones
    /// before it do not fit.
    #[must_use]
    pub fn also_reads(mut self, other: impl Into<Self>) -> Self {
        let other = other.into();
        self.reads.push(other.writes);
        self.reads.extend(other.reads);
        self
    }

    /// Reads sessions that are stored in clear, while a collection is on its way to being encrypted: they are when they are
    /// next written. Default: an error, since who can write to the collection could put sessions there.
    #[must_use]
    pub fn also_reads_plaintext(self) -> Self {
        Self { plaintext: true, ..self }
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        std::iter::once(&self.writes).chain(&self.reads).try_for_each(|format| match format {
            Format::Kruptein(kruptein) => kruptein.check(),
            Format::WebCrypto(webcrypto) => webcrypto.check(),
        })
    }

    pub(crate) async fn encrypt(&self, record: &str) -> Result<String, StoreError> {
        let encrypted = match &self.writes {
            Format::Kruptein(kruptein) => kruptein.encrypt(record).await,
            Format::WebCrypto(webcrypto) => webcrypto.encrypt(record).await,
        };
        encrypted
            .map_err(|_| MongoError::plain("the session is not encrypted: the runtime shuts down").into())
    }

    /// The record's text.
    pub(crate) async fn decrypt(&self, stored: &str) -> Result<String, StoreError> {
        let mut error = CryptoError::Format;
        for format in std::iter::once(&self.writes).chain(&self.reads) {
            let decrypted = match format {
                Format::Kruptein(kruptein) => kruptein.decrypt(stored).await,
                Format::WebCrypto(webcrypto) => webcrypto.decrypt(stored).await,
            };
            match decrypted {
                Ok(text) => return Ok(text),
                Err(Unread::Format) => {}
                Err(Unread::Tampered) => error = CryptoError::Tampered,
                Err(Unread::Interrupted) => {
                    return Err(
                        MongoError::plain("the session is not decrypted: the runtime shuts down").into()
                    );
                }
            }
        }
        if stored.starts_with('{') && error == CryptoError::Format {
            return self.allow_plaintext().map(|()| stored.to_owned());
        }
        Err(StoreError::corrupt(STORE, error))
    }

    pub(crate) fn allow_plaintext(&self) -> Result<(), StoreError> {
        if self.plaintext { Ok(()) } else { Err(StoreError::corrupt(STORE, CryptoError::Plaintext)) }
    }
}

impl From<Kruptein> for Crypto {
    fn from(kruptein: Kruptein) -> Self {
        Self { writes: Format::Kruptein(Arc::new(kruptein)), reads: Vec::new(), plaintext: false }
    }
}

impl From<WebCrypto> for Crypto {
    fn from(webcrypto: WebCrypto) -> Self {
        Self { writes: Format::WebCrypto(Arc::new(webcrypto)), reads: Vec::new(), plaintext: false }
    }
}

/// Shows no secret.
impl fmt::Debug for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = match self.writes {
            Format::Kruptein(_) => "kruptein",
            Format::WebCrypto(_) => "Web Crypto",
        };
        write!(f, "Crypto({format}, reads {} others)", self.reads.len())
    }
}
