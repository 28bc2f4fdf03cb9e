//! The little of DER that kruptein needs: a sequence of octet strings.

const SEQUENCE: u8 = 0x30;
const OCTET_STRING: u8 = 0x04;

pub(crate) fn encode(fields: &[&[u8]]) -> Vec<u8> {
    let mut inside = Vec::new();
    fields.iter().for_each(|field| push(&mut inside, OCTET_STRING, field));
    let mut sequence = Vec::with_capacity(inside.len() + 8);
    push(&mut sequence, SEQUENCE, &inside);
    sequence
}

/// `None` when it is anything else.
pub(crate) fn decode(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut inside, []) = take(bytes, SEQUENCE)? else { return None };
    let mut fields = Vec::new();
    while !inside.is_empty() {
        let (field, rest) = take(inside, OCTET_STRING)?;
        fields.push(field);
        inside = rest;
    }
    Some(fields)
}

fn push(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    let length = content.len().to_be_bytes();
    let digits = &length[content.len().leading_zeros() as usize / 8..];
    match digits {
        [] => out.push(0),
        [short @ ..0x80] => out.push(*short),
        digits => {
            // At most eight.
            out.push(0x80 | u8::try_from(digits.len()).unwrap_or_default());
            out.extend(digits);
        }
    }
    out.extend(content);
}

fn take(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if digits.is_empty() || digits.len() > 4 {
            return None;
        }
        (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
    };
    (found == tag).then(|| rest.split_at_checked(length)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x1_0000] {
            let field = vec![7; length];
            let encoded = encode(&[&field, b"x"]);
            assert_eq!(decode(&encoded).unwrap(), [&field[..], b"x"]);
            for cut in [1, encoded.len() / 2, encoded.len() - 1] {
                assert!(decode(&encoded[..cut]).is_none_or(|fields| fields.is_empty() && length == 0));
            }
        }
        assert_eq!(encode(&[b"ab"]), [0x30, 4, 4, 2, b'a', b'b']);
        for broken in
            [&b""[..], &[0x30], &[0x30, 0x80], &[0x30, 2, 2, 0], &[0x30, 0, 0], &[0x30, 0x85, 1, 1, 1, 1, 1]]
        {
            assert_eq!(decode(broken), None);
        }
    }
}
