use std::sync::{Arc, Mutex};

use session_core::{
    Cookie, Destroyed, Expect, Options, Record, RequestInfo, Secret, Set, Sid, Store, StoreError, Stored,
    Touched, async_trait,
    fuzzing::{VALUE_LIMIT, encode_uri_component},
};

use crate::input::Input;

/// The secret on the first line; after it a value that may be signed, and then an id.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input(data);
    let secret = input.line();
    let Some(value) = std::str::from_utf8(input.0).ok().filter(|_| !secret.is_empty()) else { return };
    crate::reached();
    let (this, other) = (Secret::new(secret), Secret::new([secret, b"?"].concat()));

    let read = this.unsign(value);
    if let Some(read) = read {
        assert_eq!(this.sign(read), value, "there is one signature of a value");
        assert_eq!(other.unsign(value), None);
    }
    let signed = this.sign(value);
    assert_eq!(this.unsign(&signed), Some(value));
    assert_eq!(other.unsign(&signed), None);
    for at in [0, signed.len() / 2, signed.len() - 1] {
        let mut changed = signed.clone().into_bytes();
        changed[at] ^= 1;
        assert!(
            String::from_utf8(changed).is_ok_and(|changed| this.unsign(&changed).is_none())
                || !signed.is_ascii()
        );
    }

    let asked = |cookie: &str| asked(secret, cookie);
    let sent = |value: &str| format!("sid={}", encode_uri_component(value));
    let is_id = |id: &&str| !id.is_empty();
    let unsealed = value.strip_prefix("s:").filter(|_| value.len() <= VALUE_LIMIT);
    let expected: Vec<&str> =
        unsealed.and_then(|value| this.unsign(value)).filter(is_id).into_iter().collect();
    assert_eq!(asked(&sent(value)), expected, "the store is asked for what is signed alone");
    let sealed = format!("s:{signed}");
    let expected: Vec<&str> =
        Some(value).filter(is_id).filter(|_| sealed.len() <= VALUE_LIMIT).into_iter().collect();
    assert_eq!(asked(&sent(&sealed)), expected);
    // However well it is signed.
    let of_length = |length: usize| {
        let rest = length.saturating_sub("s:".len() + signed.len());
        let id = value.to_owned() + &"x".repeat(rest);
        (format!("s:{}", this.sign(&id)), id)
    };
    let (longest, id) = of_length(VALUE_LIMIT);
    assert!(longest.len() > VALUE_LIMIT || asked(&sent(&longest)) == [id], "as long as may be");
    let (long, _) = of_length(VALUE_LIMIT + 1);
    assert!(asked(&sent(&long)).is_empty(), "too long, and read");
}

/// The ids that the store is asked for when a request comes with this header.
fn asked(secret: &[u8], cookie: &str) -> Vec<String> {
    let store = Arc::new(Asked::default());
    let options = Options::express(Secret::new(secret)).name("sid").store(Arc::clone(&store));
    let exchange = options.build().unwrap().exchange();
    let headers = |visit: &mut dyn FnMut(&str, &[u8])| visit("cookie", cookie.as_bytes());
    let request = RequestInfo::new("/", false, &headers);
    let session = crate::runtime::block_on(exchange.session(&request)).unwrap().unwrap();
    assert!(session.is_new());
    let asked = store.0.lock().unwrap();
    asked.iter().map(|sid| sid.as_str().to_owned()).collect()
}

/// A store that holds nothing, and remembers what it was asked for.
#[derive(Debug, Default)]
struct Asked(Mutex<Vec<Sid>>);

#[async_trait]
impl Store for Asked {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        self.0.lock().unwrap().push(sid.clone());
        Ok(None)
    }

    async fn set(&self, _: &Sid, _: &Record, _: &Expect) -> Result<Set, StoreError> {
        Ok(Set::Conflict)
    }

    async fn touch(&self, _: &Sid, _: &Cookie, _: &Expect) -> Result<Touched, StoreError> {
        Ok(Touched::Unknown)
    }

    async fn destroy(&self, _: &Sid, _: &Expect) -> Result<Destroyed, StoreError> {
        Ok(Destroyed::Unknown)
    }
}
