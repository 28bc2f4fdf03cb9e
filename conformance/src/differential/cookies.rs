//! The Cookie headers that a client sends: its own honest one, and every kind of bad one.

use super::sign::{encode, sid_of, sign, wire};

/// How a request's Cookie header comes about. "Good" is the session cookie that the client holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cookies {
    /// What the jar holds.
    Jar,
    None,
    /// The jar of another client.
    Of(usize),
    /// The good cookie signed anew with another of the configured secrets.
    ResignedWith(usize),
    /// The good cookie signed with a secret that is not configured.
    WrongSecret,
    /// A valid signature on a sid that no store knows.
    UnknownSid(&'static str),
    /// The signature's first character is another.
    BadSignature,
    /// The signature's last character differs only in the bits that base64 does not use.
    SpareBits,
    /// The signature ends in `=`.
    PaddedSignature,
    /// One character of the sid is another.
    BadSid,
    /// `s:sid`
    NoSignature,
    /// `sid.signature`
    NoPrefix,
    /// Only so many characters of the good value.
    Truncated(usize),
    /// Not percent-encoded.
    Unencoded,
    /// Every byte percent-encoded, in lower case.
    OverEncoded,
    Quoted,
    /// Spaces, tabs, empty and nameless pairs around the good one.
    Untidy,
    BadThenGood,
    GoodThenBad,
    GoodThenOf(usize),
    OfThenGood(usize),
    /// Two Cookie header lines, the good one in the second.
    TwoLines,
    /// The name in upper case.
    WrongName,
    BrokenPercent,
    BrokenPercentBeside,
    NotUtf8,
    NotUtf8Beside,
    /// A session cookie of so many bytes.
    Oversized(usize),
    /// A valid signature on a sid of so many bytes.
    OversizedSid(usize),
    /// So many bytes of another cookie before the good one.
    Beside(usize),
    /// Two of [`SINGLE`] in one header line.
    Both(usize, usize),
    /// Two of [`SINGLE`], each in a header line of its own.
    Apart(usize, usize),
}

/// What can stand beside another in one request.
pub(super) const SINGLE: [Cookies; 14] = [
    Cookies::Jar,
    Cookies::WrongSecret,
    Cookies::UnknownSid("a"),
    Cookies::BadSignature,
    Cookies::SpareBits,
    Cookies::BadSid,
    Cookies::NoSignature,
    Cookies::NoPrefix,
    Cookies::Unencoded,
    Cookies::Quoted,
    Cookies::Untidy,
    Cookies::WrongName,
    Cookies::BrokenPercentBeside,
    Cookies::NotUtf8,
];

/// What one side knows when it writes a Cookie header.
pub(super) struct Wallet<'a> {
    pub(super) name: &'a str,
    pub(super) secrets: &'a [Vec<u8>],
    /// The jar's header line of a client.
    pub(super) line: &'a dyn Fn(usize) -> String,
    /// The session cookie's value in the jar of a client.
    pub(super) value: &'a dyn Fn(usize) -> Option<String>,
}

/// A sid for clients that hold none yet.
pub(crate) const STAND_IN: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

impl Cookies {
    /// The values of the request's Cookie headers.
    pub(super) fn lines(self, client: usize, wallet: &Wallet<'_>) -> Vec<Vec<u8>> {
        let name = wallet.name;
        let secret = wallet.secrets.first().map(Vec::as_slice).unwrap_or_default();
        let held = |client| (wallet.value)(client).unwrap_or_else(|| wire(STAND_IN, secret));
        let good = held(client);
        let sid = sid_of(&good).unwrap_or_else(|| STAND_IN.to_owned());
        let signed = sign(&sid, secret);
        let (_, signature) = signed.rsplit_once('.').unwrap_or_default();
        let bad = "s%3Anobody.c2lnbmF0dXJl";
        let pair = |value: &str| vec![format!("{name}={value}").into_bytes()];
        let signed_pair = |signed: &str| pair(&encode(&format!("s:{signed}")));

        let both = |one: usize, other: usize| {
            let lines = [one, other].map(|index| SINGLE[index].lines(client, wallet));
            lines.concat()
        };

        match self {
            Self::None => Vec::new(),
            Self::Jar => line((wallet.line)(client)),
            Self::Of(other) => line((wallet.line)(other)),
            Self::ResignedWith(index) => {
                pair(&wire(&sid, wallet.secrets.get(index).map_or(secret, Vec::as_slice)))
            }
            Self::WrongSecret => pair(&wire(&sid, b"not a configured secret")),
            Self::UnknownSid(sid) => pair(&wire(sid, secret)),
            Self::BadSignature => signed_pair(&format!("{sid}.{}", other_first(signature))),
            Self::SpareBits => signed_pair(&format!("{sid}.{}", other_spare_bits(signature))),
            Self::PaddedSignature => signed_pair(&format!("{signed}=")),
            Self::BadSid => signed_pair(&other_first(&signed)),
            Self::NoSignature => signed_pair(&sid),
            Self::NoPrefix => pair(&encode(&signed)),
            Self::Truncated(length) => pair(&good.chars().take(length).collect::<String>()),
            Self::Unencoded => pair(&format!("s:{signed}")),
            Self::OverEncoded => {
                let escaped: String =
                    format!("s:{signed}").bytes().map(|byte| format!("%{byte:02x}")).collect();
                pair(&escaped)
            }
            Self::Quoted => pair(&format!("\"{good}\"")),
            Self::Untidy => line(format!("a; ;=b;c=\"; ;\t{name}\t=  {good}\t ;d=e=f")),
            Self::BadThenGood => line(format!("{name}={bad}; {name}={good}")),
            Self::GoodThenBad => line(format!("{name}={good}; {name}={bad}")),
            Self::GoodThenOf(other) => line(format!("{name}={good}; {name}={}", held(other))),
            Self::OfThenGood(other) => line(format!("{name}={};{name}={good}", held(other))),
            Self::TwoLines => vec![b"theme=dark".to_vec(), format!("{name}={good}").into_bytes()],
            Self::WrongName => line(format!("{}={good}", name.to_uppercase())),
            Self::BrokenPercent => pair(&format!("{good}%zz")),
            Self::BrokenPercentBeside => line(format!("a=%zz; b=%; c=%E0%A4%A; {name}={good}; d=%C3")),
            Self::NotUtf8 => {
                vec![[format!("{name}=s:").as_bytes(), b"\xff\xfe\xc3.", signature.as_bytes()].concat()]
            }
            Self::NotUtf8Beside => vec![[b"a=\xff\xc3\x28; ", format!("{name}={good}").as_bytes()].concat()],
            Self::Oversized(bytes) => pair(&format!("s%3A{}", "x".repeat(bytes))),
            Self::OversizedSid(bytes) => pair(&wire(&"x".repeat(bytes), secret)),
            Self::Both(one, other) => vec![both(one, other).join(&b"; "[..])],
            Self::Apart(one, other) => both(one, other),
            Self::Beside(bytes) => line(format!("a={}; {name}={good}", "x".repeat(bytes))),
        }
    }
}

fn line(text: String) -> Vec<Vec<u8>> {
    if text.is_empty() { Vec::new() } else { vec![text.into_bytes()] }
}

fn other_first(text: &str) -> String {
    let first = if text.starts_with('A') { 'B' } else { 'A' };
    text.chars().enumerate().map(|(index, char)| if index == 0 { first } else { char }).collect()
}

/// 32 bytes are 42 base64 characters and 4 bits: the last character has 2 bits that decoding drops.
fn other_spare_bits(signature: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = signature.as_bytes().to_vec();
    if let Some(last) = bytes.last_mut() {
        let index = ALPHABET.iter().position(|byte| byte == last).unwrap_or_default();
        *last = ALPHABET[index ^ 1];
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
