use std::{sync::LazyLock, time::Duration};

use session_core::{Record, StoreError};
use store_redis::{RedisStore, fuzzing::stored, redis::Client};

use crate::input::Input;

/// Never connected.
static STORES: LazyLock<[RedisStore; 3]> = LazyLock::new(|| {
    let store = || RedisStore::new(Client::open("redis://127.0.0.1:1").unwrap());
    [store(), store().disable_touch(true), store().disable_ttl(true)]
});

/// A byte that chooses the options, what PTTL answers, and what GET answers.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input(data);
    let chosen = usize::from(input.byte()) % STORES.len();
    let left = i64::from_le_bytes(input.word());
    let text = input.0;
    let read = std::str::from_utf8(text).ok().and_then(|text| Record::parse(text).ok());
    match (stored(&STORES[chosen], text.to_vec(), left), read) {
        (Ok(stored), Some(record)) => {
            assert!(stored.record == record);
            let hex = stored.version.text().unwrap();
            assert!(hex.len() == 40 && hex.bytes().all(|digit| digit.is_ascii_hexdigit()));
            assert_eq!(
                stored.left,
                u64::try_from(left).ok().map(Duration::from_millis),
                "negative is for ever"
            );
            assert!(chosen == 0 || stored.lifetime == stored.left, "where a touch does nothing, none is due");
        }
        (Err(StoreError::Corrupt { .. }), None) => {}
        (other, _) => panic!("{:?} for {text:?}", other.map(|_| "read")),
    }
}
