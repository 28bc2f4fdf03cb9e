//! What every version of connect-mongo has encrypted, decrypted; what is written here, and what is refused.

use serde_json::Value;
use session_core::StoreError;

use super::*;

const SECRET: &str = "AAbb11!!squirrel";
const RECORD: &str = r#"{"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"},"user":{"id":42,"name":"Zoë 日本 😀"}}"#;
const SMALL: &str = r#"{"a":1}"#;

fn kruptein() -> Kruptein {
    Kruptein::new(SECRET)
}

fn web() -> WebCrypto {
    WebCrypto::new(SECRET)
}

/// The options that each vector was made with.
fn vectors() -> Vec<(&'static str, Crypto, &'static str)> {
    let knob = |algorithm| Crypto::from(kruptein().algorithm(algorithm));
    let few = || web().salt("my-salt").iterations(1_000);
    vec![
        ("v6 crypto{secret} stringify:true", kruptein().into(), RECORD),
        ("v6 crypto stringify:false", kruptein().into(), RECORD),
        (r#"knob {"algorithm":"aes-256-cbc"}"#, knob(Algorithm::Aes256Cbc), SMALL),
        (r#"knob {"hashing":"sha256"}"#, kruptein().hashing(Hashing::Sha256).into(), SMALL),
        (r#"knob {"encodeas":"hex"}"#, kruptein().encodeas(Encoding::Hex).into(), SMALL),
        (r#"knob {"key_size":16,"iv_size":8,"at_size":12}"#, kruptein().into(), SMALL),
        (r#"knob {"algorithm":"aes-128-gcm"}"#, knob(Algorithm::Aes128Gcm), SMALL),
        (r#"knob {"algorithm":"aes-192-gcm"}"#, knob(Algorithm::Aes192Gcm), SMALL),
        (r#"knob {"algorithm":"aes-256-ctr"}"#, knob(Algorithm::Aes256Ctr), SMALL),
        (r#"knob {"use_scrypt":true}"#, kruptein().use_scrypt(true).into(), SMALL),
        (r#"knob {"use_asn1":false}"#, kruptein().into(), SMALL),
        ("webcrypto {}", web().into(), RECORD),
        (r#"webcrypto {"encoding":"base64url"}"#, web().encoding(Encoding::Base64Url).into(), RECORD),
        (r#"webcrypto {"encoding":"hex"}"#, web().encoding(Encoding::Hex).into(), RECORD),
        (r#"webcrypto {"algorithm":"AES-CBC"}"#, web().algorithm(WebAlgorithm::AesCbc).into(), RECORD),
        (r#"webcrypto {"salt":"my-salt","iterations":1000}"#, few().into(), RECORD),
        (r#"webcrypto {"ivLength":16}"#, web().iv_length(16).into(), RECORD),
        (
            r#"webcrypto binary secret [1,2,3,4] salt [9] "hi""#,
            WebCrypto::new([1, 2, 3, 4]).salt([9]).into(),
            "hi",
        ),
        ("kruptein 3.0.0 via connect-mongo5 opts", kruptein().into(), RECORD),
        ("kruptein 3.0.8 via connect-mongo5 opts", kruptein().into(), RECORD),
        ("kruptein 3.0.9 via connect-mongo5 opts", kruptein().into(), RECORD),
        ("kruptein 3.1.1 via connect-mongo5 opts", kruptein().into(), RECORD),
        ("kruptein 3.1.5 via connect-mongo5 opts", kruptein().into(), RECORD),
        ("kruptein 3.1.7 via connect-mongo5 opts", kruptein().into(), RECORD),
        ("kruptein 3.3.0 via connect-mongo5 opts", kruptein().into(), RECORD),
        ("kruptein 3.4.0 via connect-mongo5 opts", kruptein().into(), RECORD),
        ("connect-mongo-3 stringify", kruptein().into(), RECORD),
        ("connect-mongo-3 serialize", kruptein().into(), RECORD),
    ]
}

/// No two alike, and no byte that stands still in all of them.
pub(super) fn assert_random(ivs: &[Vec<u8>], length: usize) {
    for (at, iv) in ivs.iter().enumerate() {
        assert_eq!(iv.len(), length);
        assert!(!ivs[..at].contains(iv));
    }
    for at in 0..length {
        assert!(ivs.iter().any(|iv| iv[at] != ivs[0][at]), "byte {at}");
    }
}

fn stored(all: &Value, name: &str) -> String {
    let vector = &all[name];
    let stored = ["full", "stored_session", "stored"].iter().find_map(|key| vector[*key].as_str());
    stored.unwrap_or_else(|| panic!("{name} is in the file")).to_owned()
}

fn all() -> Value {
    serde_json::from_str(include_str!("../../tests/data/crypto-vectors.json")).unwrap()
}

#[tokio::test]
async fn every_vector_decrypts() {
    let all = all();
    let mut open = all.as_object().unwrap().clone();
    for (name, crypto, plaintext) in vectors() {
        let stored = stored(&all, name);
        assert_eq!(crypto.decrypt(&stored).await.unwrap(), plaintext, "{name}");
        // The second time it costs no derivation.
        assert_eq!(crypto.decrypt(&stored).await.unwrap(), plaintext, "{name}");
        open.remove(name);
    }
    open.retain(|_, vector| ["full", "stored_session", "stored"].iter().any(|key| vector[*key].is_string()));
    assert!(open.is_empty(), "all of them: {:?}", open.keys());
}

#[tokio::test]
async fn what_was_changed_in_the_secret_option_of_connect_mongo_3_is_refused() {
    let stored = stored(&all(), "connect-mongo-3 serialize");
    for part in ["hmac", "ct", "aad", "iv"] {
        let (before, after) = stored.split_once(&format!("\"{part}\":\"")).unwrap();
        let digit = if after.starts_with('0') { '1' } else { '0' };
        let tampered = format!("{before}\"{part}\":\"{digit}{}", &after[1..]);
        assert_eq!(refused(&kruptein().into(), &tampered).await, CryptoError::Tampered, "{part}");
    }
}

async fn refused(crypto: &Crypto, stored: &str) -> CryptoError {
    match crypto.decrypt(stored).await.unwrap_err() {
        StoreError::Corrupt { source, .. } => *source.downcast::<CryptoError>().unwrap(),
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn what_was_changed_by_a_bit_is_refused() {
    let all = all();
    for (name, crypto, plaintext) in vectors() {
        if !(name.starts_with("v6")
            || name.contains("3.4.0")
            || name.contains("hex") && name.starts_with("knob"))
        {
            continue;
        }
        let stored = stored(&all, name);
        for at in (0..stored.len()).step_by(97) {
            let digit = if stored.as_bytes()[at] == b'0' { "1" } else { "0" };
            let mut tampered = stored.clone();
            tampered.replace_range(at..=at, digit);
            match crypto.decrypt(&tampered).await {
                // The last digit of a base64 text may hold bits of nothing.
                Ok(text) => assert_eq!(text, plaintext, "{name}: {at}"),
                Err(StoreError::Corrupt { .. }) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        for cut in [0, 1, stored.len() / 2, stored.len() - 4] {
            refused(&crypto, &stored[..cut]).await;
        }
    }
}

#[tokio::test]
async fn every_format_reads_what_it_writes() {
    let kruptein = [
        Algorithm::Aes128Gcm,
        Algorithm::Aes192Gcm,
        Algorithm::Aes256Gcm,
        Algorithm::Aes128Cbc,
        Algorithm::Aes192Cbc,
        Algorithm::Aes256Cbc,
        Algorithm::Aes128Ctr,
        Algorithm::Aes192Ctr,
        Algorithm::Aes256Ctr,
    ]
    .map(|algorithm| Crypto::from(Kruptein::new(SECRET).algorithm(algorithm).hashing(Hashing::Sha384)));
    let few = || WebCrypto::new(SECRET).iterations(10);
    let web = [few(), few().iv_length(16), few().algorithm(WebAlgorithm::AesCbc).encoding(Encoding::Hex)];
    for crypto in kruptein.into_iter().chain(web.map(Crypto::from)) {
        crypto.check().unwrap();
        let (one, other) = (crypto.encrypt(RECORD).await.unwrap(), crypto.encrypt(RECORD).await.unwrap());
        assert_ne!(one, other);
        assert_eq!(crypto.decrypt(&one).await.unwrap(), RECORD);
        assert_eq!(crypto.decrypt(&other).await.unwrap(), RECORD);
    }
}

#[tokio::test]
async fn secrets_and_formats_change_over() {
    let few = |secret: &str| WebCrypto::new(secret).iterations(10);
    let old = Crypto::from(Kruptein::new("old")).encrypt(RECORD).await.unwrap();
    let older = Crypto::from(few("older")).encrypt(RECORD).await.unwrap();
    let crypto = Crypto::from(few("new")).also_reads(Kruptein::new("old")).also_reads(few("older"));
    let new = crypto.encrypt(RECORD).await.unwrap();
    for stored in [&new, &old, &older] {
        assert_eq!(crypto.decrypt(stored).await.unwrap(), RECORD);
    }
    assert_eq!(refused(&Crypto::from(few("new")), &older).await, CryptoError::Tampered);
    assert_eq!(refused(&Crypto::from(Kruptein::new("new")), &old).await, CryptoError::Tampered);
    assert_eq!(refused(&Crypto::from(Kruptein::new("new")), "garbage!").await, CryptoError::Format);
}

#[tokio::test]
async fn plaintext_is_read_only_where_it_is_allowed() {
    let strict = Crypto::from(Kruptein::new(SECRET));
    assert_eq!(refused(&strict, RECORD).await, CryptoError::Plaintext);
    assert_eq!(strict.also_reads_plaintext().decrypt(RECORD).await.unwrap(), RECORD);
}

/// While keys are derived, the runtime's only thread goes on with other work.
#[tokio::test]
async fn a_derivation_blocks_no_other_work() {
    let crypto = Crypto::from(Kruptein::new(SECRET));
    let mut encrypted = std::pin::pin!(crypto.encrypt(RECORD));
    let mut turns = 0_u32;
    loop {
        tokio::select! {
            biased;
            done = &mut encrypted => break assert!(done.is_ok()),
            () = tokio::task::yield_now() => turns += 1,
        }
    }
    assert!(turns > 10, "{turns} turns");
}

#[test]
fn secrets_show_nowhere_and_empty_ones_are_refused() {
    let crypto = Crypto::from(Kruptein::new("hunter2")).also_reads(WebCrypto::new("hunter2"));
    let shown = format!("{crypto:?} {:?} {:?}", Kruptein::new("hunter2"), WebCrypto::new("hunter2"));
    assert!(!shown.contains("hunter2"), "{shown}");
    for refused in [
        Crypto::from(Kruptein::new("")),
        WebCrypto::new("").into(),
        WebCrypto::new("x").iterations(0).into(),
        WebCrypto::new("x").iv_length(8).into(),
        WebCrypto::new("x").algorithm(WebAlgorithm::AesCbc).iv_length(12).into(),
        Crypto::from(Kruptein::new("x")).also_reads(Kruptein::new("")),
    ] {
        assert!(refused.check().is_err(), "{refused:?}");
    }
}
