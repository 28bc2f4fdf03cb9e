//! A sealed session in several cookies, where one is too small.
//!
//! It is sealed first and then cut: no part says anything, and none opens without the others. Each part begins with its number, how many there
//! are, and a mark of the text that it is of, so that parts of two texts are told apart before anything is opened.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// So many at most: four of them are nearly all that Node's servers take of headers.
pub(super) const MOST: usize = 4;

/// Bytes of name and value of each, a little less than browsers keep.
const LARGEST: usize = 3_900;

/// `version ‖ number, count ‖ mark`
const HEAD: usize = 6;
/// In letters.
const HEAD_LEN: usize = 8;
const VERSION: u8 = 2;

/// The name of each.
pub(super) fn name_of(name: &str, number: usize) -> String {
    format!("{name}.{number}")
}

/// Whether one of them has this behind the name.
pub(super) fn is_suffix(suffix: &str) -> bool {
    (0..MOST).any(|number| name_of("", number) == suffix)
}

/// How much of a text each can carry.
fn room(name: &str) -> usize {
    LARGEST.saturating_sub(name.len() + ".0".len() + HEAD_LEN)
}

/// How long a text can be at all.
pub(super) fn longest(name: &str) -> usize {
    MOST * room(name)
}

/// The values of the cookies, in order. The text is not longer than may be.
pub(super) fn cut(sealed: &str, name: &str) -> Vec<String> {
    let room = room(name).max(1);
    let count = sealed.len().div_ceil(room);
    let mark = mark_of(sealed);
    let parts = sealed.as_bytes().chunks(room).enumerate();
    parts
        .map(|(number, part)| {
            let [a, b, c, d] = mark;
            let numbers = u8::try_from(number << 4 | count).unwrap_or_default();
            let head = URL_SAFE_NO_PAD.encode([VERSION, numbers, a, b, c, d]);
            // Base64 is ASCII: it can be cut anywhere.
            head + std::str::from_utf8(part).unwrap_or_default()
        })
        .collect()
}

/// The texts that were cut into these: of each number what has come under its name, of which only some may be ours. A text of which one is
/// missing is none.
pub(super) fn join(parts: &[Vec<&str>; MOST]) -> Vec<String> {
    let [first, ..] = parts;
    first.iter().filter_map(|part| joined(part, parts)).collect()
}

/// With the parts that belong to this first one.
fn joined(first: &str, parts: &[Vec<&str>; MOST]) -> Option<String> {
    let (head, text) = head_of(first)?;
    let [VERSION, numbers, mark @ ..] = head else { return None };
    let count = usize::from(numbers);
    if !(1..=MOST).contains(&count) {
        return None;
    }
    let mut sealed = String::from(text);
    for (number, values) in parts.iter().enumerate().take(count).skip(1) {
        let is_next = |(head, _): &([u8; HEAD], &str)| {
            let [VERSION, numbers, of @ ..] = *head else { return false };
            usize::from(numbers) == number << 4 | count && of == mark
        };
        let (_, text) = values.iter().filter_map(|part| head_of(part)).find(is_next)?;
        sealed.push_str(text);
    }
    (mark_of(&sealed) == mark).then_some(sealed)
}

fn head_of(part: &str) -> Option<([u8; HEAD], &str)> {
    let (head, text) = part.split_at_checked(HEAD_LEN)?;
    Some((URL_SAFE_NO_PAD.decode(head).ok()?.try_into().ok()?, text))
}

/// Of its nonce: the letters behind version and key.
fn mark_of(sealed: &str) -> [u8; 4] {
    let letters = sealed.get(8..16).and_then(|letters| URL_SAFE_NO_PAD.decode(letters).ok());
    letters.and_then(|bytes| bytes.first_chunk().copied()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(byte: u8, length: usize) -> String {
        let text = URL_SAFE_NO_PAD.encode(vec![byte; length]);
        text[..length].to_owned()
    }

    fn of(parts: &[String]) -> [Vec<&str>; MOST] {
        std::array::from_fn(|number| parts.get(number).map(String::as_str).into_iter().collect())
    }

    fn joined(parts: &[String]) -> Option<String> {
        join(&of(parts)).pop()
    }

    #[test]
    fn what_was_cut_is_joined() {
        for length in [100, room("session"), room("session") + 1, 9_000, longest("session")] {
            let text = sealed(7, length);
            let parts = cut(&text, "session");
            assert_eq!(parts.len(), length.div_ceil(room("session")));
            let sizes = parts.iter().map(|part| "session.0".len() + part.len());
            assert!(parts.len() <= MOST && sizes.max().unwrap() <= LARGEST);
            assert_eq!(joined(&parts), Some(text));
        }
    }

    #[test]
    fn parts_of_two_texts_or_in_another_order_are_none() {
        let [one, two] = [7, 8].map(|byte| cut(&sealed(byte, 9_000), "session"));
        let [a, b, c] = [0, 1, 2].map(|at| one[at].clone());
        assert!(joined(&[a.clone(), b.clone(), c.clone()]).is_some());
        for parts in [
            vec![a.clone(), b.clone()],
            vec![a.clone(), c.clone(), b.clone()],
            vec![b.clone(), a.clone(), c.clone()],
            vec![a.clone(), b.clone(), two[2].clone()],
            vec![a.clone(), a, b.clone()],
            vec![two[0].clone(), b, c],
            vec!["".into()],
            vec!["AgE".into()],
            vec![sealed(7, 100)],
        ] {
            assert_eq!(joined(&parts), None);
        }
    }

    /// A sibling host may set one of a part's name, and browsers send that first.
    #[test]
    fn parts_are_found_among_others_of_their_names() {
        let [one, two] = [7, 8].map(|byte| sealed(byte, 9_000));
        let [parts, others] = [&one, &two].map(|text| cut(text, "session"));
        let mut all = of(&others);
        for (values, part) in all.iter_mut().zip(&parts) {
            values.insert(0, "x");
            values.push(part);
        }
        assert_eq!(join(&all), [two, one.clone()]);
        all[1].pop();
        assert!(!join(&all).contains(&one));
    }
}
