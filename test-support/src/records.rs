//! Sessions for tests of stores.

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
