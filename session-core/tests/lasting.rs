//! What is left of a request whose client has gone.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::{
    cell::RefCell,
    future::{Future, pending},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use session_core::{CookieOptions, Exchange, Lasting, MemoryStore, OnDisconnect, Options, RequestInfo, Rest};
use session_testkit::Captured;

type Request = dyn Future<Output = ()>;

thread_local! {
    static LEFT: RefCell<Vec<Rest<Request>>> = const { RefCell::new(Vec::new()) };
}

fn left() -> Vec<Rest<Request>> {
    LEFT.take()
}

fn poll(future: impl Future<Output = ()>) -> Poll<()> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn lasting(exchange: &Exchange, request: impl Future<Output = ()> + 'static) -> Lasting<Request> {
    let request: Pin<Box<Request>> = Box::pin(request);
    Lasting::new(request, exchange.clone(), |rest| LEFT.with_borrow_mut(|left| left.push(rest)))
}

fn ask(exchange: &Exchange, path: &str) {
    let mut asking = pin!(exchange.session(&RequestInfo::new(path, false, &|_| {})));
    assert!(asking.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
}

fn options() -> Options {
    Options::new("keyboard cat").store(MemoryStore::new()).on_disconnect(OnDisconnect::Finish)
}

#[test]
fn what_is_left_goes_on_once_the_session_was_asked_for() {
    for (options, asks, goes_on) in [
        (options(), true, true),
        (options(), false, false),
        (options().on_disconnect(OnDisconnect::Cancel), true, false),
        // Read on arrival: it was about to be.
        (Options::express("keyboard cat").store(MemoryStore::new()), false, true),
        (
            Options::express("keyboard cat").store(MemoryStore::new()).on_disconnect(OnDisconnect::Cancel),
            true,
            false,
        ),
    ] {
        let exchange = options.build().unwrap().exchange();
        let mut request = lasting(&exchange, pending());
        // A server may be so quick that it was not polled.
        assert!(asks || poll(&mut request).is_pending());
        if asks {
            ask(&exchange, "/");
        }
        drop(request);
        assert_eq!(left().len(), usize::from(goes_on), "{asks} {goes_on}");
    }
}

/// Where there is no session, or another layer has it.
#[test]
fn what_is_outside_of_the_cookies_path_is_dropped() {
    for options in [options(), Options::express("keyboard cat").store(MemoryStore::new())] {
        let exchange = options.cookie(CookieOptions::new().path("/admin")).build().unwrap().exchange();
        let request = lasting(&exchange, pending());
        ask(&exchange, "/");
        drop(request);
        assert!(left().is_empty());
    }
}

#[test]
fn who_asks_for_one_session_keeps_the_request_of_all_around() {
    let outer = options().build().unwrap().exchange();
    let inner = options().name("inner").build().unwrap().exchange_below::<u8>(Some(&outer));
    let request = lasting(&outer, pending());
    ask(&inner, "/");
    drop(request);
    assert_eq!(left().len(), 1);
}

#[test]
fn what_is_over_or_has_panicked_has_nothing_left() {
    let exchange = options().build().unwrap().exchange();
    ask(&exchange, "/");
    let mut over = lasting(&exchange, async {});
    assert!(poll(&mut over).is_ready());
    drop(over);
    let mut panics = lasting(&exchange, async { panic!("a mistake") });
    assert!(catch_unwind(AssertUnwindSafe(|| poll(&mut panics))).is_err());
    drop(panics);
    assert!(left().is_empty());
}

#[test]
fn it_goes_on_where_it_was_within_its_span() {
    let log = Captured::begin();
    let exchange = options().build().unwrap().exchange();
    ask(&exchange, "/");
    let request = tracing::info_span!("request", id = 7).in_scope(|| {
        let mut polls = 0;
        let steps = std::future::poll_fn(move |_| {
            polls += 1;
            tracing::info!(polls, "polled");
            if polls == 2 { Poll::Ready(()) } else { Poll::Pending }
        });
        let mut request = lasting(&exchange, steps);
        assert!(poll(&mut request).is_pending());
        request
    });
    drop(request);
    let mut left = left();
    assert!(poll(left.pop().unwrap()).is_ready() && left.is_empty());
    let polled: Vec<_> = log.lines("INFO").into_iter().filter(|line| line.contains("polls=2")).collect();
    assert!(polled.len() == 1 && polled[0].contains("request{id=7}"), "{}", log.text());
}
