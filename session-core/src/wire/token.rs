//! The token: a signed id as other carriers than cookies have it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{options::secret::Secrets, wire::cookie_header::decode_up_to};

/// Longer ones are none of ours, as cookies.
const LONGEST: usize = 4096;

/// All but what a bearer's token may have (RFC 6750 §2.1).
const TOKEN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'+').remove(b'/');

/// `sid.signature`. Of a `genid` what a header cannot carry is percent-encoded.
pub(crate) fn of(secrets: &Secrets, sid: &str) -> String {
    utf8_percent_encode(&secrets.sign(sid), TOKEN).to_string()
}

/// The id in a token, or in a signed value as a cookie has it; else why it is refused.
pub(crate) fn open(secrets: &Secrets, token: &[u8]) -> Result<String, &'static str> {
    let Some(text) = decode_up_to(token, LONGEST) else { return Err("too long") };
    match secrets.unsign(&text) {
        None => Err("the signature is not ours"),
        Some("") => Err("the id is empty"),
        Some(sid) => Ok(sid.into()),
    }
}

/// Whether it may be one of somebody's: a dot, and a signature of 43 characters. What another system's clients bring, a JWT, has two.
pub(crate) fn has_form(token: &[u8]) -> bool {
    decode_up_to(token, LONGEST).is_some_and(|text| match text.split_once('.') {
        Some((sid, signature)) => {
            let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/".contains(&byte);
            !sid.is_empty() && signature.len() == 43 && signature.bytes().all(is_base64)
        }
        None => false,
    })
}

/// Of one that opens: whether the first secret has signed it.
pub(crate) fn is_current(secrets: &Secrets, token: &[u8]) -> bool {
    decode_up_to(token, LONGEST).is_some_and(|text| secrets.is_signed_by_first(&text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_id_comes_back_and_nothing_else_opens(sid in ".{1,40}", other in prop::collection::vec(any::<u8>(), 0..200)) {
            let secrets = Secrets::from("keyboard cat");
            let opened = open(&secrets, of(&secrets, &sid).as_bytes());
            prop_assert_eq!(opened.as_deref(), Ok(&*sid));
            prop_assert!(open(&secrets, &other).is_err());
        }
    }

    #[test]
    fn a_token_opens_to_the_id_that_it_was_made_of() {
        let secrets = Secrets::from(["new", "old"]);
        for sid in ["AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", "s:x", "a b", "%41", "é", "x.y", "=+/", "\n"] {
            let token = of(&secrets, sid);
            assert!(
                token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/%".contains(&byte)),
                "{token}"
            );
            assert_eq!(open(&secrets, token.as_bytes()).as_deref(), Ok(sid));
            assert_eq!(open(&"old".into(), of(&"old".into(), sid).as_bytes()).as_deref(), Ok(sid));
            assert_eq!(open(&secrets, of(&"old".into(), sid).as_bytes()).as_deref(), Ok(sid));
            assert!(open(&"other".into(), token.as_bytes()).is_err());
        }
        let plain = of(&secrets, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX");
        assert!(!plain.contains('%') && plain.len() == 32 + 1 + 43, "{plain}");
    }

    #[test]
    fn what_a_cookie_holds_is_one_as_well_and_nothing_else() {
        let secrets = Secrets::from("keyboard cat");
        let sealed = secrets.seal("sid");
        assert_eq!(open(&secrets, sealed.as_bytes()).as_deref(), Ok("sid"));
        assert_eq!(open(&secrets, sealed.replace(':', "%3A").as_bytes()).as_deref(), Ok("sid"));
        for other in ["", "sid", "sid.", "s:sid", "s:", ".", &secrets.sign(""), &format!("{sealed}x")] {
            assert!(open(&secrets, other.as_bytes()).is_err(), "{other}");
        }
        let long = secrets.sign(&"x".repeat(LONGEST));
        assert_eq!(open(&secrets, long.as_bytes()), Err("too long"));
        assert_eq!(open(&secrets, &[b'%'; 1 << 16]), Err("too long"));
    }
}
