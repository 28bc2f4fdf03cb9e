use std::{
    sync::LazyLock,
    time::{Duration, UNIX_EPOCH},
};

use session_core::{Clock, Record, StoreError};
use sha1::{Digest, Sha1};
use store_redis::{RedisStore, fuzzing::stored, redis::Client};

use crate::input::Input;

/// Never connected; a clock that stands still.
static STORES: LazyLock<[RedisStore; 3]> = LazyLock::new(|| {
    let store = || RedisStore::new(Client::open("redis://127.0.0.1:1").unwrap());
    let store = || store().clock(Clock::new(|| UNIX_EPOCH + Duration::from_secs(1_767_323_045)));
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
            crate::reached();
            assert!(stored.record == record);
            let digest: String = Sha1::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(stored.version.text(), Some(digest.as_str()), "one text, one version");
            assert_eq!(
                stored.left,
                u64::try_from(left).ok().map(Duration::from_millis),
                "negative is for ever"
            );
            if chosen > 0 {
                assert_eq!(stored.lifetime, stored.left, "where a touch does nothing, none is due");
                return;
            }
            // Of a lifetime that leads beyond the year 9999, what is left until then.
            let century = Duration::from_secs(100 * 366 * 86_400);
            let age = record.cookie.original_max_age().unwrap_or(Duration::from_secs(86_400));
            let seconds = age.as_millis().div_ceil(1_000);
            assert!(
                age > century
                    || stored.lifetime.is_some_and(|lifetime| lifetime.as_millis() == seconds * 1_000),
                "{:?} for {age:?}",
                stored.lifetime
            );
        }
        (Err(StoreError::Corrupt { .. }), None) => {}
        (other, _) => panic!("{:?} for {text:?}", other.map(|_| "read")),
    }
}
