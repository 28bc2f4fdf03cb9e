use std::{collections::BTreeMap, sync::LazyLock};

use session_core::{Record, StoreError};
use store_mongo::{
    Crypto, Encoding, WebAlgorithm, WebCrypto,
    fuzzing::{decrypt, encrypt},
};

use crate::{input::Input, runtime::block_on};

/// What Node has encrypted, and how.
static SEALED: LazyLock<[Sealed; 5]> = LazyLock::new(|| {
    let text = include_str!("../../store-mongo/tests/data/crypto-vectors.json");
    let vectors: BTreeMap<String, serde_json::Value> = serde_json::from_str(text).unwrap();
    let new = || WebCrypto::new("AAbb11!!squirrel");
    [
        ("{}", new(), true),
        (r#"{"encoding":"base64url"}"#, new().encoding(Encoding::Base64Url), true),
        (r#"{"encoding":"hex"}"#, new().encoding(Encoding::Hex), true),
        (r#"{"ivLength":16}"#, new().iv_length(16), true),
        (r#"{"algorithm":"AES-CBC"}"#, new().algorithm(WebAlgorithm::AesCbc), false),
    ]
    .map(|(name, web, authentic)| {
        let vector = &vectors[&format!("webcrypto {name}")];
        let text = vector["stored_session"].as_str().unwrap().to_owned();
        let crypto = Crypto::from(web);
        assert_eq!(opened(&crypto, &text).as_deref(), vector["plaintext_utf8"].as_str());
        Sealed { crypto, text, authentic }
    })
});

struct Sealed {
    crypto: Crypto,
    text: String,
    authentic: bool,
}

/// A byte that chooses what was encrypted, and one that says how many changes of three bytes come before a record, or a stored
/// text.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input(data);
    let Sealed { crypto, text: sealed, authentic } = &SEALED[usize::from(input.byte()) % SEALED.len()];
    let changes: Vec<[u8; 3]> =
        (0..input.byte() % 4).map(|_| std::array::from_fn(|_| input.byte())).collect();
    let mut changed = sealed.clone().into_bytes();
    for [high, low, change] in changes {
        let at = usize::from(u16::from_be_bytes([high, low])) % changed.len();
        changed[at] ^= change;
    }
    if let Ok(changed) = String::from_utf8(changed) {
        let read = opened(crypto, &changed);
        assert!(!authentic || read.is_none() || read == opened(crypto, sealed), "tampered with, and read");
    }

    let Ok(text) = std::str::from_utf8(input.0) else { return };
    // Nobody knows the key: what opens was made with it.
    assert!(!authentic || text.contains(sealed.as_str()) || opened(crypto, text).is_none());
    let Ok(record) = Record::parse(text) else { return };
    crate::reached();
    let record = record.to_json();
    let stored = block_on(encrypt(crypto, &record)).unwrap();
    assert_eq!(opened(crypto, &stored), Some(record));
}

fn opened(crypto: &Crypto, stored: &str) -> Option<String> {
    match block_on(decrypt(crypto, stored)) {
        Ok(opened) => Some(opened),
        Err(StoreError::Corrupt { .. }) => None,
        Err(error) => panic!("{error:?}"),
    }
}
