//! What goes into the headers of a response, and what of them is looked at.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::{cell::Cell, sync::Arc};

use common::{ask, done};
use session_core::{
    CacheHeaders, MemoryStore, Options, RequestInfo, ResponseHeaders, SealedSessionOptions, Sessions,
};
use session_testkit::FailingStore;

struct Cart;

#[derive(Default)]
struct Headers {
    all: Vec<(String, String)>,
    visited: Cell<usize>,
}

impl Headers {
    fn list(&self, name: &str) -> String {
        let of = |(other, value): &(String, String)| (other == name).then(|| value.clone());
        self.all.iter().filter_map(of).collect::<Vec<_>>().join(", ")
    }
}

impl ResponseHeaders for Headers {
    fn visit(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        if name == "set-cookie" {
            self.visited.set(self.visited.get() + 1);
        }
        self.all.iter().filter(|(other, _)| other == name).for_each(|(_, value)| visit(value.as_bytes()));
    }

    fn remove(&mut self, name: &str) {
        self.all.retain(|(other, _)| other != name);
    }

    fn append(&mut self, name: &str, value: &[u8]) {
        self.all.push((name.into(), String::from_utf8(value.into()).unwrap()));
    }
}

/// The outer one cannot be saved, and the response that takes the place of the inner one's carries both.
#[test]
fn with_the_failure_of_one_caches_are_told_what_each_would_have_told() {
    let no_cache = "private, no-cache=\"Set-Cookie\"";
    let (never, used) = (CacheHeaders::Never, CacheHeaders::WhereUsed);
    for (of_outer, of_inner, sets, expected) in [
        (never, used, true, ("Cookie", no_cache)),
        (never, used, false, ("Cookie", "")),
        (used, never, true, ("Cookie", "")),
        (never, never, true, ("", "")),
    ] {
        let store = FailingStore::new(MemoryStore::new());
        let of = |name: &str, cache_headers| Options::new([7; 32]).name(name).cache_headers(cache_headers);
        let outer: Sessions = of("a", of_outer).store(Arc::clone(&store)).build().unwrap();
        let inner: Sessions = of("b", of_inner).store(MemoryStore::new()).build().unwrap();
        let outer = outer.exchange_below::<Cart>(None);
        let inner = inner.exchange_below::<()>(Some(&outer));
        for (exchange, sets) in [(&outer, true), (&inner, sets)] {
            let session = done(exchange.session(&RequestInfo::new("/", false, &|_| {}))).unwrap().unwrap();
            if sets {
                session.insert("n", 1).unwrap();
            }
        }
        let (_below, saved) = done(inner.finish());
        assert!(saved.is_ok());
        store.fail_writes(true);
        let (outgoing, saved) = done(outer.finish());
        assert!(saved.is_err());
        let mut headers = Headers::default();
        outgoing.apply(&mut headers);
        assert_eq!(headers.list("set-cookie").starts_with("b="), sets);
        assert_eq!((&*headers.list("vary"), &*headers.list("cache-control")), expected);
    }
}

/// Of a response that gets no cookie none is copied to look for one of the same name.
#[test]
fn the_handlers_cookies_are_looked_at_where_one_of_ours_goes_out() {
    let sessions = SealedSessionOptions::new([7; 32]).build().unwrap();
    for sets in [false, true] {
        let (exchange, session) = ask(&sessions, &[]);
        if sets {
            session.insert("n", 1).unwrap();
        }
        let mut headers = Headers::default();
        headers.append("set-cookie", b"own=1");
        done(exchange.finish()).0.apply(&mut headers);
        assert_eq!((headers.visited.get() > 0, headers.list("set-cookie").contains(", ")), (sets, sets));
    }
}
