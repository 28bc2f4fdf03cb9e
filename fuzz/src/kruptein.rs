use std::{collections::BTreeMap, ops::Range, sync::LazyLock};

use session_core::{Record, StoreError};
use store_mongo::{
    Algorithm, Crypto, Encoding, Hashing, Kruptein,
    fuzzing::{decrypt, encrypt},
};

use crate::{input::Input, runtime::block_on};

const SECRET: &str = "AAbb11!!squirrel";

/// What Node has encrypted, and how.
static SEALED: LazyLock<Vec<Sealed>> = LazyLock::new(|| {
    let text = include_str!("../../store-mongo/tests/data/crypto-vectors.json");
    let vectors: BTreeMap<String, serde_json::Value> = serde_json::from_str(text).unwrap();
    let new = || Kruptein::new(SECRET);
    [
        ("v6 crypto{secret} stringify:true", new(), None),
        ("kruptein 3.3.0 via connect-mongo5 opts", new(), None),
        ("kruptein 3.4.0 via connect-mongo5 opts", new(), None),
        (r#"knob {"algorithm":"aes-128-gcm"}"#, new().algorithm(Algorithm::Aes128Gcm), None),
        (r#"knob {"hashing":"sha256"}"#, new().hashing(Hashing::Sha256), None),
        (r#"knob {"encodeas":"hex"}"#, new().encodeas(Encoding::Hex), None),
        (r#"knob {"algorithm":"aes-256-cbc"}"#, new().algorithm(Algorithm::Aes256Cbc), Some(162..184)),
        (r#"knob {"algorithm":"aes-256-ctr"}"#, new().algorithm(Algorithm::Aes256Ctr), Some(152..174)),
    ]
    .into_iter()
    .map(|(name, kruptein, iv)| {
        let vector = &vectors[name];
        let text = ["full", "stored_session", "stored"].iter().find_map(|key| vector[*key].as_str()).unwrap();
        let crypto = Crypto::from(kruptein);
        let opened = block_on(decrypt(&crypto, text)).unwrap();
        Sealed { crypto, text: text.to_owned(), opened, iv: iv.unwrap_or_default() }
    })
    .collect()
});

struct Sealed {
    crypto: Crypto,
    text: String,
    opened: String,
    /// Where the text has the IV, if that alone is not authenticated: kruptein leaves it out, and only GCM does not.
    iv: Range<usize>,
}

/// A byte that chooses what was encrypted, and a byte that says what follows: a stored text, a record, or changes of what was
/// encrypted, three bytes each.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input(data);
    let sealed = &SEALED[usize::from(input.byte()) % SEALED.len()];
    match input.byte() % 4 {
        0 => check(sealed, input.0),
        1 => {
            let Some(record) = std::str::from_utf8(input.0).ok().and_then(|text| Record::parse(text).ok())
            else {
                return;
            };
            let record = record.to_json();
            let stored = block_on(encrypt(&sealed.crypto, &record)).unwrap();
            assert_eq!(block_on(decrypt(&sealed.crypto, &stored)).unwrap(), record);
        }
        _ => {
            let mut text = sealed.text.clone().into_bytes();
            let (changes, _) = input.0.as_chunks::<3>();
            for [high, low, change] in changes {
                let at = usize::from(u16::from_be_bytes([*high, *low])) % text.len();
                text[at] ^= change;
            }
            check(sealed, &text);
        }
    }
}

fn check(sealed: &Sealed, text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    match block_on(decrypt(&sealed.crypto, text)) {
        Ok(opened) => assert!(
            opened == sealed.opened || text.get(sealed.iv.clone()) != sealed.text.get(sealed.iv.clone()),
            "tampered with, and read"
        ),
        Err(StoreError::Corrupt { .. }) => {}
        Err(error) => panic!("{error:?}"),
    }
}
