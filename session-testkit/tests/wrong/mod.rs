//! What files of wrong stores have in common.

use std::{
    collections::HashMap,
    panic,
    sync::{LazyLock, Mutex, Once},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use session_core::{Record, StoreError, Stored};
use session_testkit::Fixture;

pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// The faults, each with the test that finds it and a part of what that says then (one of them, where calls race): it must
/// fail for the fault, and not because the store panics, say, or comes to no end.
macro_rules! faults {
    ($($(#[$doc:meta])* $fault:ident => $module:ident::$test:ident: $($reason:literal)|+,)+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Fault {
            None,
            $($(#[$doc])* $fault),+
        }

        $(
            #[test]
            #[allow(non_snake_case)]
            fn $fault() {
                let sentence = async |fixture: Fixture| {
                    fixture.check(stringify!($test), session_testkit::$module::$test(&fixture).await);
                };
                wrong::is_found(stringify!($fault), || open(Fault::$fault), sentence, &[$($reason),*]);
            }
        )+
    };
}
pub(crate) use faults;

/// Where the threads of a fault panicked first, and what that said.
static PANICS: LazyLock<Mutex<HashMap<String, (String, String)>>> = LazyLock::new(Mutex::default);

/// On threads that have the name of the fault, by which its panics are told from those of the others.
pub(crate) fn is_found(
    fault: &'static str,
    open: impl FnOnce() -> Fixture + Send,
    sentence: impl AsyncFnOnce(Fixture) + Send,
    reasons: &[&str],
) {
    watch();
    let name = format!("the fault {fault}");
    let run = || {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(4).thread_name(&name).enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async { sentence(open()).await });
    };
    let ended = thread::scope(|scope| {
        thread::Builder::new().name(name.clone()).spawn_scoped(scope, run).unwrap().join()
    });
    assert!(ended.is_err(), "it is not found");
    let (file, said) = PANICS.lock().unwrap().remove(&name).unwrap();
    let is_expected = reasons.iter().any(|reason| said.contains(reason));
    assert!(
        file.contains("session-testkit/src") && is_expected,
        "it is found for another reason: {said} ({file})"
    );
}

fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            let thread = thread::current();
            let Some(name) = thread.name().filter(|name| name.starts_with("the fault ")) else {
                return others(panic);
            };
            let file = panic.location().map_or("", |at| at.file()).to_owned();
            // In one line, and texts as they are.
            let text = panic.payload().downcast_ref::<&str>().copied();
            let text = text.or(panic.payload().downcast_ref::<String>().map(String::as_str));
            let said = text.unwrap_or_default().split_whitespace().collect::<Vec<_>>();
            let said = said.join(" ").replace("\\\"", "\"").replace("\\\\", "\\");
            PANICS.lock().unwrap().entry(name.to_owned()).or_insert((file, said));
        }));
    });
}

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
