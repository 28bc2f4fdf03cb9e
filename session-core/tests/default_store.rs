//! A store that nobody has chosen: one process may have one. A test file of its own, because others have some too.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    io,
    sync::{Arc, Mutex},
};

use session_core::{MemoryStore, Options};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_second_store_that_nobody_chose_is_told() {
    let log = Log::default();
    let written = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || written.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let told =
        || String::from_utf8(log.0.lock().unwrap().clone()).unwrap().matches("a second default").count();
    let options = || Options::new("keyboard cat");

    let shared = options();
    let first = shared.clone().build().unwrap();
    let _chosen = options().store(MemoryStore::new()).build().unwrap();
    // The same store.
    let _same = (first.clone(), shared.build().unwrap());
    assert_eq!(told(), 0);
    // As where each worker makes its own: it counts for itself.
    let second = options().build().unwrap();
    assert_eq!(told(), 1);
    drop((first, _same, second));
    let _another = options().build().unwrap();
    assert_eq!(told(), 1, "one after the other are not two");
}
