use std::time::{Duration, UNIX_EPOCH};

use session_core::{
    Clock, Error, Exchange, RequestInfo, SealedSessionOptions, SessionHandle, Sessions,
    fuzzing::sealed_cookie,
};

use crate::{input::Input, runtime::block_on};

const SECRET: [u8; 32] = [7; 32];
const NAME: &str = "session";

/// A byte that chooses: the cookies as somebody sends them, or what is in a sealed one.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input(data);
    let is_inside = input.byte() & 1 > 0;
    let clock = Clock::new(|| UNIX_EPOCH + Duration::from_secs(1_767_323_045));
    let options = SealedSessionOptions::new(SECRET)
        .name(NAME)
        .also_reads_cookie_session("key1")
        .chunks(true)
        .clock(clock);
    let sessions = options.build().unwrap();
    let cookies = if is_inside {
        format!("{NAME}={}", sealed_cookie(SECRET, NAME, input.0)).into_bytes()
    } else {
        input.0.to_vec()
    };
    let (exchange, session) = ask(&sessions, &cookies);
    if session.is_new() {
        assert!(session.is_empty());
        assert!(block_on(exchange.end()).unwrap().is_empty());
        return;
    }
    crate::reached();
    session.insert("fuzz", session.len()).unwrap();
    match (block_on(session.save()), block_on(exchange.end())) {
        (Ok(()), Ok(set)) => {
            // What has no time left is not sent.
            let (_exchange, again) = ask(&sessions, &kept(&set));
            assert!(again.is_new() || again.data() == session.data(), "what is sent comes back");
        }
        (Err(_), Err(error)) => {
            assert!(matches!(error.error(), Error::CookieTooLarge { .. } | Error::TooDeep { .. }));
        }
        // One that is to end needs no room.
        (Err(_), Ok(set)) => assert!(set.iter().all(|cookie| cookie.contains("=; "))),
        (Ok(()), Err(error)) => panic!("save() succeeds, end() {error:?}"),
    }
}

fn ask(sessions: &Sessions, cookies: &[u8]) -> (Exchange, SessionHandle) {
    let exchange = sessions.exchange();
    let headers = |visit: &mut dyn FnMut(&str, &[u8])| visit("cookie", cookies);
    let session = block_on(exchange.session(&RequestInfo::new("/", false, &headers))).unwrap().unwrap();
    (exchange, session)
}

fn kept(set: &[String]) -> Vec<u8> {
    let pairs: Vec<&str> = set.iter().filter_map(|cookie| cookie.split(';').next()).collect();
    pairs.join("; ").into_bytes()
}
