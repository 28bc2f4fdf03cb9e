use std::fmt::Write as _;

use session_core::fuzzing::forwarded;

/// A header as it came: what a client has sent, and then what the proxy appends to it.
pub(crate) fn run(data: &[u8]) {
    const APPENDED: &str = "for=192.0.2.7;proto=http";
    let Ok(sent) = std::str::from_utf8(data) else { return };
    let read = forwarded(sent);
    let appended = forwarded(&format!("{sent}, {APPENDED}"));
    // A client can make nothing of the proxy's own word but that nobody believes any of it.
    let expected = read.clone().map(|mut elements| {
        elements.extend(forwarded(APPENDED).unwrap());
        elements
    });
    assert!(appended == expected || (read.is_none() && appended.is_none()), "{appended:?}");
    let Some(elements) = read else { return };
    crate::reached();
    let mut text = String::new();
    for (from, proto) in &elements {
        // One that says nothing is no element of the list, unless it has another word.
        text.push_str("by=_hidden");
        match from {
            Some(from) if from.is_ipv6() => write!(text, ";For=\"[{from}]:47011\"").unwrap(),
            Some(from) => write!(text, ";for={from}").unwrap(),
            None => {}
        }
        if let Some(proto) = proto {
            write!(text, ";proto=\"{}\"", proto.replace('\\', "\\\\").replace('"', "\\\"")).unwrap();
        }
        text.push_str(" ,");
    }
    assert_eq!(forwarded(&text), Some(elements), "{text}");
}
