use std::sync::LazyLock;

use session_core::{Record, StoreError};
use store_mongo::{
    Crypto, Encoding, WebAlgorithm, WebCrypto,
    fuzzing::{decrypt, encrypt},
};

use crate::{input::Input, runtime::block_on};

static CRYPTO: LazyLock<[(Crypto, bool); 5]> = LazyLock::new(|| {
    let new = || WebCrypto::new("AAbb11!!squirrel").iterations(1);
    [
        (new().into(), true),
        (new().encoding(Encoding::Base64Url).into(), true),
        (new().encoding(Encoding::Hex).iv_length(16).into(), true),
        (new().algorithm(WebAlgorithm::AesCbc).into(), false),
        (new().algorithm(WebAlgorithm::AesCbc).encoding(Encoding::Hex).into(), false),
    ]
});

/// A byte that chooses the options, and one that says how many changes of three bytes come before a record, or a stored text.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input(data);
    let (crypto, authentic) = &CRYPTO[usize::from(input.byte()) % CRYPTO.len()];
    let changes: Vec<[u8; 3]> =
        (0..input.byte() % 4).map(|_| std::array::from_fn(|_| input.byte())).collect();
    let Ok(text) = std::str::from_utf8(input.0) else { return };
    // Nobody knows the key: what opens was made with it.
    assert!(!authentic || opened(crypto, text).is_none());

    let Ok(record) = Record::parse(text) else { return };
    let record = record.to_json();
    let stored = block_on(encrypt(crypto, &record)).unwrap();
    assert_eq!(opened(crypto, &stored).as_ref(), Some(&record));
    let mut changed = stored.into_bytes();
    for [high, low, change] in changes {
        let at = usize::from(u16::from_be_bytes([high, low])) % changed.len();
        changed[at] ^= change;
    }
    let Ok(changed) = String::from_utf8(changed) else { return };
    let opened = opened(crypto, &changed);
    assert!(!authentic || opened.is_none_or(|opened| opened == record), "tampered with, and read");
}

fn opened(crypto: &Crypto, stored: &str) -> Option<String> {
    match block_on(decrypt(crypto, stored)) {
        Ok(opened) => Some(opened),
        Err(StoreError::Corrupt { .. }) => None,
        Err(error) => panic!("{error:?}"),
    }
}
