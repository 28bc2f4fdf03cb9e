//! AES in the modes that connect-mongo is configured with, by the length of key and IV.

use aes::{Aes128, Aes192, Aes256};
use aes_gcm::{
    AesGcm,
    aead::{
        Aead, Payload,
        consts::{U12, U16, U32},
    },
};
use cbc::cipher::{
    BlockModeDecrypt, BlockModeEncrypt, KeyInit, KeyIvInit, StreamCipher, block_padding::Pkcs7,
};

pub(crate) const TAG: usize = 16;

/// The ciphers of kruptein, by OpenSSL's names. kruptein refuses the modes ccm, ecb, ocb2 and xts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// `aes-128-gcm`
    Aes128Gcm,
    /// `aes-192-gcm`
    Aes192Gcm,
    /// `aes-256-gcm`, the default.
    Aes256Gcm,
    /// `aes-128-cbc`
    Aes128Cbc,
    /// `aes-192-cbc`
    Aes192Cbc,
    /// `aes-256-cbc`
    Aes256Cbc,
    /// `aes-128-ctr`
    Aes128Ctr,
    /// `aes-192-ctr`
    Aes192Ctr,
    /// `aes-256-ctr`
    Aes256Ctr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Gcm,
    Cbc,
    Ctr,
}

impl Algorithm {
    pub(crate) fn mode(self) -> Mode {
        match self {
            Self::Aes128Gcm | Self::Aes192Gcm | Self::Aes256Gcm => Mode::Gcm,
            Self::Aes128Cbc | Self::Aes192Cbc | Self::Aes256Cbc => Mode::Cbc,
            Self::Aes128Ctr | Self::Aes192Ctr | Self::Aes256Ctr => Mode::Ctr,
        }
    }

    pub(crate) fn key_size(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aes128Cbc | Self::Aes128Ctr => 16,
            Self::Aes192Gcm | Self::Aes192Cbc | Self::Aes192Ctr => 24,
            Self::Aes256Gcm | Self::Aes256Cbc | Self::Aes256Ctr => 32,
        }
    }
}

/// Galois/counter mode; the tag comes last. `None` for lengths that are not offered.
pub(crate) fn gcm_encrypt(key: &[u8], iv: &[u8], aad: &[u8], plaintext: &[u8]) -> Option<Vec<u8>> {
    gcm(key, iv, Payload { msg: plaintext, aad }, true)
}

/// Also `None` when the tag does not fit.
pub(crate) fn gcm_decrypt(key: &[u8], iv: &[u8], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    gcm(key, iv, Payload { msg: sealed, aad }, false)
}

fn gcm(key: &[u8], iv: &[u8], payload: Payload<'_, '_>, encrypt: bool) -> Option<Vec<u8>> {
    fn with<C: Aead + KeyInit>(
        key: &[u8],
        iv: &[u8],
        payload: Payload<'_, '_>,
        encrypt: bool,
    ) -> Option<Vec<u8>> {
        let cipher = C::new_from_slice(key).ok()?;
        let iv = iv.try_into().ok()?;
        if encrypt { cipher.encrypt(iv, payload) } else { cipher.decrypt(iv, payload) }.ok()
    }
    let with = match (key.len(), iv.len()) {
        (16, 12) => with::<AesGcm<Aes128, U12>>,
        (24, 12) => with::<AesGcm<Aes192, U12>>,
        (32, 12) => with::<AesGcm<Aes256, U12>>,
        (16, 16) => with::<AesGcm<Aes128, U16>>,
        (24, 16) => with::<AesGcm<Aes192, U16>>,
        (32, 16) => with::<AesGcm<Aes256, U16>>,
        (32, 32) => with::<AesGcm<Aes256, U32>>,
        _ => return None,
    };
    with(key, iv, payload, encrypt)
}

/// Cipher block chaining with PKCS #7 padding.
pub(crate) fn cbc_encrypt(key: &[u8], iv: &[u8], plaintext: &[u8]) -> Option<Vec<u8>> {
    fn with<C: BlockModeEncrypt + KeyIvInit>(key: &[u8], iv: &[u8], plaintext: &[u8]) -> Option<Vec<u8>> {
        Some(C::new_from_slices(key, iv).ok()?.encrypt_padded_vec::<Pkcs7>(plaintext))
    }
    match key.len() {
        16 => with::<cbc::Encryptor<Aes128>>(key, iv, plaintext),
        24 => with::<cbc::Encryptor<Aes192>>(key, iv, plaintext),
        32 => with::<cbc::Encryptor<Aes256>>(key, iv, plaintext),
        _ => None,
    }
}

/// Also `None` when the padding is none.
pub(crate) fn cbc_decrypt(key: &[u8], iv: &[u8], encrypted: &[u8]) -> Option<Vec<u8>> {
    fn with<C: BlockModeDecrypt + KeyIvInit>(key: &[u8], iv: &[u8], encrypted: &[u8]) -> Option<Vec<u8>> {
        C::new_from_slices(key, iv).ok()?.decrypt_padded_vec::<Pkcs7>(encrypted).ok()
    }
    match key.len() {
        16 => with::<cbc::Decryptor<Aes128>>(key, iv, encrypted),
        24 => with::<cbc::Decryptor<Aes192>>(key, iv, encrypted),
        32 => with::<cbc::Decryptor<Aes256>>(key, iv, encrypted),
        _ => None,
    }
}

/// Counter mode, the same both ways.
pub(crate) fn ctr(key: &[u8], iv: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    fn with<C: StreamCipher + KeyIvInit>(key: &[u8], iv: &[u8], text: &[u8]) -> Option<Vec<u8>> {
        let mut text = text.to_vec();
        C::new_from_slices(key, iv).ok()?.try_apply_keystream(&mut text).ok()?;
        Some(text)
    }
    match key.len() {
        16 => with::<ctr::Ctr128BE<Aes128>>(key, iv, text),
        24 => with::<ctr::Ctr128BE<Aes192>>(key, iv, text),
        32 => with::<ctr::Ctr128BE<Aes256>>(key, iv, text),
        _ => None,
    }
}
