use std::{collections::BTreeMap, ops::Range, sync::LazyLock};

use base64::{Engine, engine::general_purpose::STANDARD};
use session_core::{Record, StoreError};
use store_mongo::{
    Algorithm, Crypto, Encoding, Hashing, Kruptein,
    fuzzing::{decrypt, encrypt},
};

use crate::{input::Input, runtime::block_on};

const SECRET: &str = "AAbb11!!squirrel";
/// A sequence whose length has two bytes.
const HEX_START: &str = "3082";

/// What Node has encrypted, and how.
static SEALED: LazyLock<Vec<Sealed>> = LazyLock::new(|| {
    let text = include_str!("../../store-mongo/tests/data/crypto-vectors.json");
    let vectors: BTreeMap<String, serde_json::Value> = serde_json::from_str(text).unwrap();
    let new = || Kruptein::new(SECRET);
    [
        ("v6 crypto{secret} stringify:true", new()),
        ("kruptein 3.3.0 via connect-mongo5 opts", new()),
        ("kruptein 3.4.0 via connect-mongo5 opts", new()),
        (r#"knob {"algorithm":"aes-128-gcm"}"#, new().algorithm(Algorithm::Aes128Gcm)),
        (r#"knob {"hashing":"sha256"}"#, new().hashing(Hashing::Sha256)),
        (r#"knob {"encodeas":"hex"}"#, new().encodeas(Encoding::Hex)),
        (r#"knob {"algorithm":"aes-256-cbc"}"#, new().algorithm(Algorithm::Aes256Cbc)),
        (r#"knob {"algorithm":"aes-256-ctr"}"#, new().algorithm(Algorithm::Aes256Ctr)),
    ]
    .into_iter()
    .map(|(name, kruptein)| {
        let vector = &vectors[name];
        let text = ["full", "stored_session", "stored"].iter().find_map(|key| vector[*key].as_str()).unwrap();
        let crypto = Crypto::from(kruptein);
        let opened = block_on(decrypt(&crypto, text)).unwrap();
        let (iv, tag) = places(text);
        Sealed { crypto, text: text.to_owned(), opened, iv, tag }
    })
    .collect()
});

struct Sealed {
    crypto: Crypto,
    text: String,
    opened: String,
    /// Where the text has the IV, which kruptein does not authenticate: GCM does.
    iv: Range<usize>,
    /// And the end of GCM's tag: from the IV to there nothing can be written in two ways.
    tag: Option<usize>,
}

/// A byte that chooses what was encrypted, and a byte that says what follows: a stored text, a record, or changes of what was
/// encrypted, three bytes each.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input(data);
    let sealed = &SEALED[usize::from(input.byte()) % SEALED.len()];
    match input.byte() % 4 {
        0 => check(sealed, input.0, false),
        1 => {
            let Some(record) = std::str::from_utf8(input.0).ok().and_then(|text| Record::parse(text).ok())
            else {
                return;
            };
            crate::reached();
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
            check(sealed, &text, true);
        }
    }
}

/// `is_changed`: it is nothing else that was encrypted with this secret.
fn check(sealed: &Sealed, text: &[u8], is_changed: bool) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    crate::reached();
    match block_on(decrypt(&sealed.crypto, text)) {
        Ok(opened) => {
            // Hex may have capitals.
            let is_hex = sealed.text.starts_with(HEX_START);
            let same = if is_hex { text.to_ascii_lowercase() } else { text.to_owned() };
            let differs = |part: Range<usize>| same.get(part.clone()) != sealed.text.get(part);
            assert!(
                opened == sealed.opened || sealed.tag.is_none() && differs(sealed.iv.clone()),
                "tampered with, and read"
            );
            let covered = sealed.tag.filter(|_| is_changed).map(|tag| sealed.iv.start..tag);
            assert!(!covered.is_some_and(differs), "tampered with, and read as if not");
        }
        Err(StoreError::Corrupt { .. }) => {}
        Err(error) => panic!("{error:?}"),
    }
}

/// The third field of DER, and where the fifth ends, in the letters of the text.
fn places(text: &str) -> (Range<usize>, Option<usize>) {
    let hex = text.starts_with(HEX_START);
    let bytes = match hex {
        true => text.as_bytes().as_chunks().0.iter().map(|pair| from_hex(*pair)).collect(),
        false => STANDARD.decode(text).unwrap(),
    };
    let letters = |byte: usize| if hex { byte * 2 } else { byte * 4 / 3 };
    let content = |at: usize| match bytes[at + 1] {
        short @ 0..0x80 => at + 2..at + 2 + usize::from(short),
        long => {
            let start = at + 2 + usize::from(long & 0x7f);
            let length = bytes[at + 2..start].iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            start..start + length
        }
    };
    let mut fields = vec![content(content(0).start)];
    while let Some(last) = fields.last().filter(|last| last.end < bytes.len()) {
        fields.push(content(last.end));
    }
    (
        letters(fields[2].start)..letters(fields[2].end).next_multiple_of(2),
        fields.get(4).map(|tag| letters(tag.end)),
    )
}

fn from_hex(pair: [u8; 2]) -> u8 {
    u8::from_str_radix(std::str::from_utf8(&pair).unwrap(), 16).unwrap()
}
