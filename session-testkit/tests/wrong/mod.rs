//! What files of wrong stores have in common.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use session_core::{Record, StoreError, Stored};

pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// The faults, each with the test that finds it.
macro_rules! faults {
    ($($(#[$doc:meta])* $fault:ident => $module:ident::$test:ident,)+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Fault {
            None,
            $($(#[$doc])* $fault),+
        }

        $(
            #[test]
            #[should_panic]
            #[allow(non_snake_case)]
            fn $fault() {
                session_testkit::run(async { session_testkit::$module::$test(&open(Fault::$fault)).await });
            }
        )+
    };
}
pub(crate) use faults;

/// The record that a fixture plants: where nobody can read the text, one that the wrong store calls unreadable.
pub(crate) fn planted(text: String, until: SystemTime) -> Record {
    let readable = Record::parse(text).ok().filter(|record| !record.data.is_empty());
    let unreadable = || Record::parse(r#"{"cookie":{"path":"/"},"unreadable":true}"#).unwrap();
    let mut record = readable.unwrap_or_else(unreadable);
    record.cookie.set_expires(Some(until), UNIX_EPOCH);
    record
}

pub(crate) fn is_unreadable(stored: &Stored) -> bool {
    stored.record.data.contains("unreadable")
}

pub(crate) fn unreadable() -> StoreError {
    StoreError::corrupt("faulty", "it was planted so")
}
