//! Response headers that are lists (RFC 9110 §5.6.1), and what is added to them without taking anything away.

use std::ops::Range;

/// The lines of `Vary` with one more member; `None`: it has that, or `*`, which says more.
pub(crate) fn vary(lines: &[Vec<u8>], member: &str) -> Option<Vec<Vec<u8>>> {
    let has_it = |one: &[u8]| one == b"*" || one.eq_ignore_ascii_case(member.as_bytes());
    let is_there = lines.iter().flat_map(|line| members(line)).any(has_it);
    (!is_there).then(|| with(lines, member))
}

/// The lines of `Cache-Control` under which no shared cache gives one visitor's cookie to another (RFC 9111 §5.2.2.4); `None`: they
/// say so, or more. Where nothing is said at all the response is its visitor's: caches keep also what nobody has spoken of (§4.2.2).
pub(crate) fn cookie_is_no_matter_of_caches(lines: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    let says_so = |directive: &[u8]| match name_and_argument(directive) {
        (name, None) => {
            [&b"no-store"[..], b"no-cache", b"private"].iter().any(|one| name.eq_ignore_ascii_case(one))
        }
        (name, Some(fields)) => {
            let is_cookie = |field: &[u8]| field.eq_ignore_ascii_case(b"set-cookie");
            name.eq_ignore_ascii_case(b"no-cache") && members(unquoted(fields)).any(is_cookie)
        }
    };
    let is_said = lines.iter().flat_map(|line| members(line)).any(says_so);
    if is_said {
        return None;
    }
    if lines.iter().all(|line| members(line).next().is_none()) {
        return Some(with(lines, "private, no-cache=\"Set-Cookie\""));
    }
    // One directive twice is one too many for some.
    let mut changed = lines.to_vec();
    for line in &mut changed {
        if let Some(longer) = with_the_cookie(line) {
            *line = longer;
            return Some(changed);
        }
    }
    Some(with(lines, "no-cache=\"Set-Cookie\""))
}

/// The line, where its `no-cache` names fields, and this one among them.
fn with_the_cookie(line: &[u8]) -> Option<Vec<u8>> {
    ranges(line).find_map(|range| {
        let (before, member, behind) =
            (line.get(..range.start)?, line.get(range.clone())?, line.get(range.end..)?);
        let (name, Some(fields)) = name_and_argument(member) else { return None };
        let fields = unquoted(fields);
        let is_ours = name.eq_ignore_ascii_case(b"no-cache") && !fields.starts_with(b"\"");
        let comma: &[u8] = if members(fields).next().is_some() { b", " } else { b"" };
        is_ours.then(|| [before, name, b"=\"", fields, comma, b"Set-Cookie\"", behind].concat())
    })
}

/// The lines of `Cache-Control` under which no cache keeps the response; `None`: they say so.
pub(crate) fn no_store(lines: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    let says_so = |directive: &[u8]| directive.eq_ignore_ascii_case(b"no-store");
    let is_said = lines.iter().flat_map(|line| members(line)).any(says_so);
    (!is_said).then(|| with(lines, "no-store"))
}

/// The lines of `Cache-Control` under which no shared cache keeps the response; `None`: they say so, or more.
pub(crate) fn private(lines: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    let says_so = |directive: &[u8]| {
        directive.eq_ignore_ascii_case(b"private") || directive.eq_ignore_ascii_case(b"no-store")
    };
    let is_said = lines.iter().flat_map(|line| members(line)).any(says_so);
    (!is_said).then(|| with(lines, "private"))
}

/// With one more member in the last line, or in a first one.
fn with(lines: &[Vec<u8>], member: &str) -> Vec<Vec<u8>> {
    let mut lines = lines.to_vec();
    match lines.last_mut() {
        Some(last) if members(last).next().is_some() => {
            last.extend_from_slice(b", ");
            last.extend_from_slice(member.as_bytes());
        }
        Some(empty) => *empty = member.into(),
        None => lines.push(member.into()),
    }
    lines
}

/// What stands between commas, and is not empty. A comma in a quoted string is none.
fn members(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    ranges(line).filter_map(|range| line.get(range))
}

/// And where.
fn ranges(line: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while let Some(rest) = line.get(at..).filter(|rest| !rest.is_empty()) {
            let (begin, end) = (at, end_of_member(rest));
            at += end + 1;
            let member = rest.get(..end).unwrap_or_default();
            let blanks = member.len() - member.trim_ascii_start().len();
            let length = member.trim_ascii().len();
            if length > 0 {
                return Some(begin + blanks..begin + blanks + length);
            }
        }
        None
    })
}

fn end_of_member(line: &[u8]) -> usize {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let ends = |&byte: &u8| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => return true,
            _ => {}
        }
        false
    };
    line.iter().position(ends).unwrap_or(line.len())
}

fn name_and_argument(directive: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut parts = directive.splitn(2, |byte| *byte == b'=');
    let name = parts.next().unwrap_or_default().trim_ascii();
    (name, parts.next().map(<[u8]>::trim_ascii))
}

fn unquoted(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn lines(text: &[&str]) -> Vec<Vec<u8>> {
        text.iter().map(|line| line.as_bytes().to_vec()).collect()
    }

    proptest! {
        /// Whatever stands there: it stays in front, and what was said is not said again.
        #[test]
        fn what_is_added_takes_nothing_away(before in vec(vec(prop::sample::select(b"a,=\" \\*".to_vec()), 0..12), 0..3)) {
            for (add, said) in [
                (Box::new(|lines: &[Vec<u8>]| vary(lines, "Cookie")) as Box<dyn Fn(&[Vec<u8>]) -> _>, &b"Cookie"[..]),
                (Box::new(cookie_is_no_matter_of_caches), b"no-cache=\"Set-Cookie\""),
                (Box::new(no_store), b"no-store"),
                (Box::new(private), b"private"),
            ] {
                let Some(after) = add(&before) else { continue };
                prop_assert!(after.last().is_some_and(|last| last.ends_with(said)));
                prop_assert_eq!(after.len(), before.len().max(1));
                let is_kept = |(before, after): (&Vec<u8>, &Vec<u8>)| {
                    after.starts_with(before) || members(before).next().is_none()
                };
                prop_assert!(before.iter().zip(&after).all(is_kept));
                // In a quote that nobody closes nothing can be said.
                if before.iter().all(|line| line.iter().all(|byte| *byte != b'"')) {
                    prop_assert_eq!(add(&after), None);
                }
            }
        }
    }

    #[test]
    fn a_member_of_vary_is_added_once_and_nothing_to_a_star() {
        for (before, after) in [
            (vec![], Some(vec!["Cookie"])),
            (vec!["Accept-Encoding"], Some(vec!["Accept-Encoding, Cookie"])),
            (vec!["Accept", "Origin"], Some(vec!["Accept", "Origin, Cookie"])),
            (vec!["X-Cookie"], Some(vec!["X-Cookie, Cookie"])),
            (vec![""], Some(vec!["Cookie"])),
            (vec!["Origin", " , "], Some(vec!["Origin", "Cookie"])),
            (vec!["cookie"], None),
            (vec!["Accept,COOKIE ,Origin"], None),
            (vec!["Origin", "Cookie"], None),
            (vec!["*"], None),
            (vec!["Origin, *"], None),
            (vec!["*", "Origin"], None),
        ] {
            assert_eq!(vary(&lines(&before), "Cookie"), after.map(|after| lines(&after)), "{before:?}");
        }
    }

    #[test]
    fn what_is_not_to_be_kept_is_said_once() {
        for (before, after) in [
            (vec![], Some(vec!["no-store"])),
            (vec!["public, max-age=60"], Some(vec!["public, max-age=60, no-store"])),
            (vec!["private"], Some(vec!["private, no-store"])),
            (vec!["x=\"no-store\""], Some(vec!["x=\"no-store\", no-store"])),
            (vec!["max-age=0, No-Store"], None),
        ] {
            assert_eq!(no_store(&lines(&before)), after.map(|after| lines(&after)), "{before:?}");
        }
    }

    #[test]
    fn cache_control_is_never_weaker_than_it_was() {
        let ours = "no-cache=\"Set-Cookie\"";
        let added = |to: &str| Some(vec![format!("{to}, {ours}")]);
        for (before, after) in [
            (vec![], Some(vec![format!("private, {ours}")])),
            (vec![" , "], Some(vec![format!("private, {ours}")])),
            (vec!["public, max-age=60"], added("public, max-age=60")),
            (vec!["max-age=0"], added("max-age=0")),
            (vec!["no-cache=\"X-A, X-B\""], Some(vec!["no-cache=\"X-A, X-B, Set-Cookie\"".into()])),
            (
                vec!["public", "max-age=60 , No-Cache = X-A,proxy-revalidate"],
                Some(vec![
                    "public".into(),
                    "max-age=60 , No-Cache=\"X-A, Set-Cookie\",proxy-revalidate".into(),
                ]),
            ),
            (vec!["no-cache=\"\", max-age=0"], Some(vec![format!("{ours}, max-age=0")])),
            (
                vec!["no-cache=\"X-A", "public"],
                Some(vec!["no-cache=\"X-A".into(), format!("public, {ours}")]),
            ),
            // Of these fields alone.
            (vec!["private=\"X-A\""], added("private=\"X-A\"")),
            // In quotes they are no directives.
            (
                vec!["community=\"a, no-store, \\\", private\""],
                added("community=\"a, no-store, \\\", private\""),
            ),
            (vec!["public", "max-age=60"], Some(vec!["public".into(), format!("max-age=60, {ours}")])),
            (vec![""], Some(vec![format!("private, {ours}")])),
            (vec!["no-store"], None),
            (vec!["No-Store, max-age=0"], None),
            (vec!["no-cache"], None),
            (vec!["max-age=60,PRIVATE"], None),
            (vec!["public", "private"], None),
            (vec!["no-cache=\"set-cookie\""], None),
            (vec!["no-cache=Set-Cookie"], None),
            (vec!["public, no-cache = \"X-A, SET-COOKIE\", max-age=60"], None),
        ] {
            let after = after.map(|after| after.into_iter().map(String::into_bytes).collect::<Vec<_>>());
            assert_eq!(cookie_is_no_matter_of_caches(&lines(&before)), after, "{before:?}");
        }
    }
}
