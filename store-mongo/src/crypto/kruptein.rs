//! kruptein, connect-mongo's `crypto` option: a DER sequence of ciphertext, HMAC, IV, salt, tag and additional data.
//!
//! Three generations differ in what stands in it. Written is the first, since connect-mongo 6 reads no other:
//!
//! | | 1: 3.0 | 2: 3.1 to 3.3 | 3: 3.4 |
//! |---|---|---|---|
//! | PBKDF2 rounds | 15,000 | 15,000 or 20,000 | 20,000 |
//! | ciphertext, HMAC, additional data | as text | as text | as bytes |
//! | HMAC over | that text | that text, salt and IV as UTF-8 | ciphertext, salt and IV |
//! | IV of GCM | 12 bytes | 12 bytes | 16 bytes |

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use rand::Rng;

use super::{
    Unread,
    cipher::{self, Algorithm, Mode, TAG},
    der,
    encoding::Encoding,
    keys::{Hashing, Kdf, Key, Keys},
    legacy, plaintext,
};

const SALT: usize = 128;
const GCM_IV: usize = 12;
const IV: usize = 16;
const ROUNDS: u32 = 15_000;
const LATER_ROUNDS: u32 = 20_000;

/// So many sessions are encrypted under one salt, far below the 2³² that random IVs allow (NIST SP 800-38D §8.3).
const WRITES_PER_SALT: u32 = 1 << 24;

/// What connect-mongo's `crypto` option encrypts: kruptein. Written is what connect-mongo 6 writes and reads; read are all
/// three generations of kruptein, which connect-mongo 4 and 5 write as installed today, and what the option `secret` of
/// connect-mongo 3 has written with the same secret, at its other defaults.
///
/// Deriving a key takes some ten milliseconds, and Node does it for every read and write. Here it happens once for all that
/// this process writes, and once for every session that another process has written since it was read.
pub struct Kruptein {
    keys: Keys,
    algorithm: Algorithm,
    hashing: Hashing,
    encodeas: Encoding,
    use_scrypt: bool,
    writing: Mutex<Option<Writing>>,
}

/// The salt that this process writes with.
#[derive(Clone)]
struct Writing {
    salt: [u8; SALT],
    left: u32,
}

/// What is stored, taken apart.
struct Parts<'a> {
    ct: &'a [u8],
    hmac: &'a [u8],
    iv: &'a [u8],
    salt: &'a [u8],
    tag: &'a [u8],
    aad: &'a [u8],
}

impl Kruptein {
    /// connect-mongo's defaults: `crypto: { secret }`.
    pub fn new(secret: impl Into<Vec<u8>>) -> Self {
        Self {
            keys: Keys::new(secret.into()),
            algorithm: Algorithm::Aes256Gcm,
            hashing: Hashing::Sha512,
            encodeas: Encoding::Base64,
            use_scrypt: false,
            writing: Mutex::new(None),
        }
    }

    /// The cipher. Default: `aes-256-gcm`. Node: `algorithm`.
    #[must_use]
    pub fn algorithm(self, algorithm: Algorithm) -> Self {
        Self { algorithm, ..self }
    }

    /// The hash. Default: `sha512`. Node: `hashing`.
    #[must_use]
    pub fn hashing(self, hashing: Hashing) -> Self {
        Self { hashing, ..self }
    }

    /// How the bytes are stored. Default: base64. Node: `encodeas`.
    #[must_use]
    pub fn encodeas(self, encodeas: Encoding) -> Self {
        Self { encodeas, ..self }
    }

    /// Keys by scrypt in place of PBKDF2. Default: no. Node: `use_scrypt`.
    #[must_use]
    pub fn use_scrypt(self, use_scrypt: bool) -> Self {
        Self { use_scrypt, ..self }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.keys.secret().is_empty() { Err("the secret is empty".into()) } else { Ok(()) }
    }

    pub(super) async fn encrypt(&self, record: &str) -> Result<String, Unread> {
        // kruptein stringifies what is a string already. A string always has a JSON text.
        let plaintext = serde_json::to_string(record).unwrap_or_default();
        let salt = self.writing_salt();
        let key = self.key(ROUNDS, &salt).await?;
        let sealed = self.seal(&key, plaintext.as_bytes(), &salt).ok_or(Unread::Format)?;
        Ok(self.encodeas.encode(&sealed))
    }

    pub(super) async fn decrypt(&self, stored: &str) -> Result<String, Unread> {
        if let Some(record) = legacy::Record::parse(stored) {
            return record.decrypt(&self.keys).await;
        }
        let sealed = self.encodeas.decode(stored.as_bytes()).ok_or(Unread::Format)?;
        let parts = Parts::parse(&sealed).ok_or(Unread::Format)?;
        let opened = self.open(&parts).await?.ok_or(Unread::Tampered)?;
        plaintext::unwrap(opened).ok_or(Unread::Tampered)
    }

    fn seal(&self, key: &[u8], plaintext: &[u8], salt: &[u8]) -> Option<Vec<u8>> {
        let mut iv = [0; IV];
        let iv = if self.algorithm.mode() == Mode::Gcm { &mut iv[..GCM_IV] } else { &mut iv[..] };
        rand::rng().fill_bytes(iv);
        let encode = |bytes: &[u8]| self.encodeas.encode(bytes).into_bytes();
        let hmac = |ct: &[u8]| encode(&self.hashing.hmac(key, &[ct]));
        match self.algorithm.mode() {
            Mode::Gcm => {
                let mut random = [0; SALT];
                rand::rng().fill_bytes(&mut random);
                let aad = self.hashing.hmac(&random, &[plaintext]);
                let sealed = cipher::gcm_encrypt(key, iv, &aad, plaintext)?;
                let (ct, tag) = sealed.split_at_checked(sealed.len().checked_sub(TAG)?)?;
                let ct = encode(ct);
                Some(der::encode(&[&ct, &hmac(&ct), iv, salt, tag, &encode(&aad)]))
            }
            mode => {
                let encrypt = if mode == Mode::Cbc { cipher::cbc_encrypt } else { cipher::ctr };
                let ct = encode(&encrypt(key, iv, plaintext)?);
                Some(der::encode(&[&ct, &hmac(&ct), iv, salt]))
            }
        }
    }

    /// `None` when no generation's HMAC fits.
    async fn open(&self, parts: &Parts<'_>) -> Result<Option<Vec<u8>>, Unread> {
        let as_text = self.encodeas.decode(parts.ct).zip(self.encodeas.decode(parts.hmac));
        if let Some((ct, hmac)) = as_text {
            let salt = String::from_utf8_lossy(parts.salt);
            let iv = String::from_utf8_lossy(parts.iv);
            let with_salt = [parts.ct, salt.as_bytes(), iv.as_bytes()];
            let key = self.key(ROUNDS, parts.salt).await?;
            let mut fits = self.hashing.verifies(&key, &[parts.ct], &hmac)
                || self.hashing.verifies(&key, &with_salt, &hmac);
            let mut opening = key;
            if !fits {
                opening = self.key(LATER_ROUNDS, parts.salt).await?;
                fits = self.hashing.verifies(&opening, &with_salt, &hmac);
            }
            if fits {
                let aad = self.encodeas.decode(parts.aad).unwrap_or_default();
                return Ok(self.decipher(&opening, parts, &ct, &aad));
            }
        }
        let key = self.key(LATER_ROUNDS, parts.salt).await?;
        let fits = self.hashing.verifies(&key, &[parts.ct, parts.salt, parts.iv], parts.hmac);
        Ok(fits.then(|| self.decipher(&key, parts, parts.ct, parts.aad)).flatten())
    }

    fn decipher(&self, key: &[u8], parts: &Parts<'_>, ct: &[u8], aad: &[u8]) -> Option<Vec<u8>> {
        match self.algorithm.mode() {
            Mode::Gcm => cipher::gcm_decrypt(key, parts.iv, aad, &[ct, parts.tag].concat()),
            Mode::Cbc => cipher::cbc_decrypt(key, parts.iv, ct),
            Mode::Ctr => cipher::ctr(key, parts.iv, ct),
        }
    }

    async fn key(&self, rounds: u32, salt: &[u8]) -> Result<Key, Unread> {
        let kdf = if self.use_scrypt { Kdf::Scrypt } else { Kdf::Pbkdf2(self.hashing, rounds) };
        self.keys.derive(kdf, salt, self.algorithm.key_size()).await
    }

    fn writing_salt(&self) -> [u8; SALT] {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut current = writing.take().filter(|writing| writing.left > 0).unwrap_or_else(|| {
            let mut salt = [0; SALT];
            rand::rng().fill_bytes(&mut salt);
            Writing { salt, left: WRITES_PER_SALT }
        });
        current.left -= 1;
        let salt = current.salt;
        *writing = Some(current);
        salt
    }
}

impl<'a> Parts<'a> {
    fn parse(sealed: &'a [u8]) -> Option<Self> {
        match *der::decode(sealed)? {
            [ct, hmac, iv, salt] => Some(Self { ct, hmac, iv, salt, tag: &[], aad: &[] }),
            [ct, hmac, iv, salt, tag, aad] => Some(Self { ct, hmac, iv, salt, tag, aad }),
            _ => None,
        }
    }
}

/// Shows no secret.
impl fmt::Debug for Kruptein {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kruptein").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Under one key an IV that comes twice gives away what both have encrypted, and with GCM the key of the tags. All else of a
    /// session differs each time already.
    #[tokio::test]
    async fn every_write_has_an_iv_of_its_own() {
        for algorithm in [Algorithm::Aes256Gcm, Algorithm::Aes256Cbc, Algorithm::Aes256Ctr] {
            let kruptein = Kruptein::new("AAbb11!!squirrel").algorithm(algorithm);
            let mut ivs = Vec::new();
            for _ in 0..8 {
                let sealed =
                    kruptein.encodeas.decode(kruptein.encrypt("{}").await.unwrap().as_bytes()).unwrap();
                ivs.push(Parts::parse(&sealed).unwrap().iv.to_vec());
            }
            let length = if algorithm.mode() == Mode::Gcm { GCM_IV } else { IV };
            crate::crypto::tests::assert_random(&ivs, length);
        }
    }

    /// What stands in clear beside what is encrypted says nothing of it: equal sessions do not show.
    #[tokio::test]
    async fn the_additional_data_and_the_salt_are_random() {
        let (mut salts, mut additional) = (Vec::new(), Vec::new());
        for _ in 0..8 {
            let kruptein = Kruptein::new("AAbb11!!squirrel");
            for _ in 0..2 {
                let sealed =
                    kruptein.encodeas.decode(kruptein.encrypt("{}").await.unwrap().as_bytes()).unwrap();
                let parts = Parts::parse(&sealed).unwrap();
                additional.push(kruptein.encodeas.decode(parts.aad).unwrap());
                salts.push(parts.salt.to_vec());
            }
        }
        salts.dedup();
        assert_eq!(salts.len(), 8, "one for all that a process writes");
        crate::crypto::tests::assert_random(&salts, SALT);
        crate::crypto::tests::assert_random(&additional, 64);
    }

    #[test]
    fn a_salt_serves_for_a_bounded_number_of_writes() {
        let kruptein = Kruptein::new("AAbb11!!squirrel");
        let first = kruptein.writing_salt();
        assert_eq!(kruptein.writing_salt(), first);
        let left = || kruptein.writing.lock().unwrap().as_ref().unwrap().left;
        assert_eq!(left(), WRITES_PER_SALT - 2);
        kruptein.writing.lock().unwrap().as_mut().unwrap().left = 1;
        assert_eq!(kruptein.writing_salt(), first);
        assert_ne!(kruptein.writing_salt(), first);
        assert_eq!(left(), WRITES_PER_SALT - 1);
    }

    /// A salt has one key, which is derived once (`keys.rs`).
    #[tokio::test]
    async fn what_this_process_writes_is_under_one_key() {
        let kruptein = Kruptein::new("AAbb11!!squirrel");
        let mut salts = std::collections::HashSet::new();
        for _ in 0..20 {
            let written = kruptein.encrypt("{}").await.unwrap();
            let sealed = kruptein.encodeas.decode(written.as_bytes()).unwrap();
            salts.insert(Parts::parse(&sealed).unwrap().salt.to_vec());
        }
        assert_eq!(salts.len(), 1);
    }
}
