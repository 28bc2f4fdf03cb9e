//! What a request's cookies come to.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32},
};

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::{
    json::{self, Numbers},
    options::ClientSide,
};
use crate::{record::data::Data, request::RequestInfo};

/// What came with the request.
#[derive(Default)]
pub(crate) struct Came {
    /// The text of the cookie of the name.
    pub(super) value: Option<String>,
    /// A session was read of it.
    pub(super) is_read: bool,
    /// What becomes of its signature.
    pub(super) signature: Signature,
    /// How many atomic changes there were, and whether the handler has set a date on which the session ends. Both go with the lock of the
    /// session's life.
    pub(crate) changes: AtomicU32,
    pub(crate) is_dated: AtomicBool,
}

#[derive(Default, PartialEq)]
pub(super) enum Signature {
    /// It stays.
    #[default]
    Stays,
    /// None of the keys has made it: the client is told to forget it.
    Forged,
    /// An older key has made it.
    Old,
}

/// As long as all headers together may be for Node. Browsers keep a quarter of that.
const LONGEST: usize = 16 << 10;

/// cookie-session's bytes: of either alphabet, junk skipped, and read up to the first `=`.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The session in the cookie; none where there is no cookie, or it is not what it should be.
pub(crate) fn read(request: &RequestInfo<'_>, name: &str, client: &ClientSide) -> (Option<Arc<Data>>, Came) {
    let header = header_of(request);
    let mut came = Came::default();
    let Some(value) = value_of(&header, name) else { return (None, came) };
    came.value = Some(value.to_owned());
    if let Some(keys) = &client.keys {
        let signature = value_of(&header, &format!("{name}.sig")).filter(|signature| !signature.is_empty());
        let Some(signature) = signature else { return (None, came) };
        match keys.verify(&format!("{name}={value}"), signature) {
            None => {
                tracing::debug!(why = "the signature is not ours", "session cookie refused");
                came.signature = Signature::Forged;
                return (None, came);
            }
            Some(0) => {}
            Some(_) => came.signature = Signature::Old,
        }
    }
    let numbers = if client.is_node { Numbers::JavaScript } else { Numbers::Exact };
    let data = decode(value, numbers);
    if data.is_none() {
        tracing::debug!(why = "the payload is no session", "session cookie refused");
    }
    came.is_read = data.is_some();
    (data.map(Arc::new), came)
}

/// The headers as Node joins them, and Latin-1 as Node reads them.
fn header_of(request: &RequestInfo<'_>) -> String {
    let mut all = String::new();
    request.each_header(&mut |name, value| {
        if name.eq_ignore_ascii_case("cookie") {
            if !all.is_empty() {
                all.push_str("; ");
            }
            all.extend(value.iter().map(|&byte| char::from(byte)));
        }
    });
    all
}

/// The first of the name: spaces before it fall away, behind its value they do not. After an opening quote the last letter is taken for
/// the closing one.
fn value_of<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let named = |pair: &'a str| pair.trim_start_matches(' ').strip_prefix(name)?.strip_prefix('=');
    let value = header.split(';').find_map(named)?;
    match value.strip_prefix('"') {
        Some(inside) => Some(inside.char_indices().next_back().map_or("", |(last, _)| &inside[..last])),
        None => Some(value),
    }
}

fn decode(value: &str, numbers: Numbers) -> Option<Data> {
    if value.is_empty() || value.len() > LONGEST {
        return None;
    }
    let letters = value.bytes().take_while(|byte| *byte != b'=').filter_map(|byte| match byte {
        b'-' => Some(b'+'),
        b'_' => Some(b'/'),
        byte if byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/') => Some(byte),
        _ => None,
    });
    let mut letters: Vec<u8> = letters.collect();
    // Six bits are no byte.
    if letters.len() % 4 == 1 {
        letters.pop();
    }
    let bytes = LENIENT.decode(letters).ok()?;
    json::parse(&String::from_utf8_lossy(&bytes), numbers)
}
