use std::time::Duration;

use session_core::{Record, StoreError, Stored};
use store_sqlx::fuzzing::{mysql_row, postgres_row};

use crate::input::Input;

/// Now, and an expiry, in eight bytes each; the text.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input(data);
    let (now, expiry) = (i64::from_le_bytes(input.word()), input.word());
    // Both servers hand out nothing but text.
    let Ok(text) = std::str::from_utf8(input.0) else { return };

    let seconds = f64::from_le_bytes(expiry);
    let row = (Some(text.to_owned()), seconds);
    if let Some(stored) = check(text, postgres_row(row, now)) {
        let until = (seconds * 1_000.0) as i64;
        assert_eq!(stored.left, Some(span(until.saturating_sub(now))));
    }
    assert!(postgres_row((None, seconds), now).is_err());

    let seconds = i64::from_le_bytes(expiry);
    if let Some(stored) = check(text, mysql_row((text.to_owned(), seconds), now)) {
        assert_eq!(stored.left, Some(span(seconds.saturating_mul(1_000).saturating_sub(now))));
    }
}

fn check(text: &str, read: Result<Stored, StoreError>) -> Option<Stored> {
    match (read, Record::parse(text)) {
        (Ok(stored), Ok(record)) => {
            crate::reached();
            assert!(stored.record == record);
            assert_eq!(stored.version.text(), Some(text));
            let lifetime = record.cookie.original_max_age().unwrap_or(Duration::from_secs(86_400));
            assert_eq!(stored.lifetime, Some(lifetime));
            Some(stored)
        }
        (Err(StoreError::Corrupt { .. }), Err(_)) => None,
        (other, _) => panic!("{:?} for {text:?}", other.map(|_| "read")),
    }
}

/// Nothing is left of what is over.
fn span(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}
