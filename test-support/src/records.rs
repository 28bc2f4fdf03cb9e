//! Sessions for tests of stores.

use std::time::{Duration, Instant};

use session_core::{Expect, Record, Set, Sid, Store};

/// A record with this data that lives until the browser closes.
///
/// # Panics
/// When the data are no JSON members.
#[must_use]
pub fn record(data: &str) -> Record {
    let cookie = r#""cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}"#;
    let comma = if data.is_empty() { "" } else { "," };
    Record::parse(format!("{{{cookie}{comma}{data}}}")).unwrap()
}

/// A new session with the record.
///
/// # Panics
/// When it cannot be written.
pub async fn put(store: &impl Store, record: &Record) -> Sid {
    let sid = Sid::random();
    let written = store.set(&sid, record, &Expect::Nothing).await.unwrap();
    assert!(matches!(written, Set::Written(_)));
    sid
}

/// The same, as often as it takes within a minute: for a store that waits so shortly that a busy machine is too slow for it.
///
/// # Panics
/// When it still cannot be written.
pub async fn put_patiently(store: &impl Store, record: &Record) -> Sid {
    let (sid, begun) = (Sid::random(), Instant::now());
    while let Err(error) = store.set(&sid, record, &Expect::Anything).await {
        assert!(begun.elapsed() < Duration::from_secs(60), "{error:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    sid
}
