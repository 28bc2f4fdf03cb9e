use session_core::{Keygrip, KeygripAlgorithm, KeygripEncoding, cookie_session_value};

use crate::input::Input;

const ALGORITHMS: [(KeygripAlgorithm, usize); 4] = [
    (KeygripAlgorithm::Sha1, 20),
    (KeygripAlgorithm::Sha256, 32),
    (KeygripAlgorithm::Sha384, 48),
    (KeygripAlgorithm::Sha512, 64),
];

/// A byte that chooses; a line each: two keys, the data, and what may be their signature.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input(data);
    let chosen = usize::from(input.byte());
    let (algorithm, length) = ALGORITHMS[chosen % 4];
    let hex = chosen & 4 > 0;
    let encoding = if hex { KeygripEncoding::Hex } else { KeygripEncoding::Base64 };
    let (new, old) = (input.line(), input.line());
    let (Some(data), Some(signature)) = (input.text(), input.text()) else { return };
    crate::reached();
    let keygrip = |keys: &[&[u8]]| Keygrip::new(keys.iter().copied()).algorithm(algorithm).encoding(encoding);
    let keys = keygrip(&[new, old]);

    let signed = keys.sign(data);
    assert_eq!(signed.len(), if hex { 2 * length } else { (4 * length).div_ceil(3) });
    assert_eq!(keys.verify(data, &signed), Some(0));
    let by_old = keygrip(&[old]).sign(data);
    // HMAC fills a short key up with zeros.
    assert_eq!(keys.verify(data, &by_old), Some(usize::from(by_old != signed)));
    for at in [0, signed.len() / 2, signed.len() - 1] {
        let mut changed = signed.clone().into_bytes();
        changed[at] ^= 1;
        assert_eq!(keys.verify(data, std::str::from_utf8(&changed).unwrap()), None);
    }
    let found = keys.verify(data, signature);
    assert_eq!(
        found,
        [signed, by_old].iter().position(|known| known == signature),
        "as a text, and no other spelling"
    );
    assert_eq!(keygrip(&[]).verify(data, signature), None);
    assert_eq!(cookie_session_value(data).len(), data.len().div_ceil(3) * 4);
}
