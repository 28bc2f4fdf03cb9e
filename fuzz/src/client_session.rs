use session_core::{
    CookieSessionOptions, Error, Exchange, RequestInfo, SessionHandle, Sessions, cookie_session_value,
};

use crate::{input::Input, runtime::block_on};

/// A byte that chooses the profile, and whether a payload follows or the cookie itself.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input(data);
    let chosen = input.byte();
    let keys: [&str; 0] = [];
    let options =
        if chosen & 1 > 0 { CookieSessionOptions::express(keys) } else { CookieSessionOptions::new(keys) };
    let sessions = options.signed(false).build().unwrap();
    let cookie = match std::str::from_utf8(input.0) {
        Ok(payload) if chosen & 2 > 0 => cookie_session_value(payload).into_bytes(),
        _ => input.0.to_vec(),
    };
    let (exchange, session) = ask(&sessions, &cookie);
    if session.is_new() {
        assert!(session.is_empty());
        assert!(block_on(exchange.end()).unwrap().is_empty());
        return;
    }
    crate::reached();
    let set = block_on(exchange.end());
    // What came may be written in another way than it is printed; then the print is what stays.
    if let Ok(set) = &set
        && let Some(cookie) = set.first()
    {
        let (exchange, again) = ask(&sessions, value_of(cookie));
        assert_eq!(again.data(), session.data());
        assert!(block_on(exchange.end()).unwrap().is_empty(), "a print is printed as it is");
    }

    let (exchange, changed) = ask(&sessions, &cookie);
    assert_eq!(changed.data(), session.data());
    changed.insert("fuzz", changed.len()).unwrap();
    let (saved, set) = (block_on(changed.save()), block_on(exchange.end()));
    match (saved, set) {
        (Ok(()), Ok(set)) => {
            let (exchange, again) = ask(&sessions, value_of(&set[0]));
            assert_eq!(again.data(), changed.data(), "what is sent comes back");
            assert!(block_on(exchange.end()).unwrap().is_empty());
        }
        (Err(_), Err(error)) => assert!(matches!(error.error(), Error::CookieTooLarge { .. })),
        (saved, set) => panic!("save() {saved:?}, end() {set:?}"),
    }
}

fn ask(sessions: &Sessions, value: &[u8]) -> (Exchange, SessionHandle) {
    let exchange = sessions.exchange();
    let header = [format!("{}=", sessions.cookie_name()).as_bytes(), value].concat();
    let headers = |visit: &mut dyn FnMut(&str, &[u8])| visit("cookie", &header);
    let session = block_on(exchange.session(&RequestInfo::new("/", false, &headers))).unwrap().unwrap();
    (exchange, session)
}

fn value_of(set_cookie: &str) -> &[u8] {
    let pair = set_cookie.split(';').next().unwrap_or_default();
    pair.split_once('=').map_or(b"", |(_, value)| value.as_bytes())
}
