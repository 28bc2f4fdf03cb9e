//! Several exchanges in one request: which is found, and whose cookies go out when one of them cannot be saved.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::sync::Arc;

use common::done;
use session_core::{CookieOptions, Exchange, MemoryStore, Options, RequestInfo, SessionHandle, Sessions};
use session_testkit::FailingStore;

struct Cart;
struct Flags;

type Failing = Arc<FailingStore<MemoryStore>>;

fn sessions(name: &str) -> (Sessions, Failing) {
    let store = FailingStore::new(MemoryStore::new());
    (Options::new("keyboard cat").name(name).store(Arc::clone(&store)).build().unwrap(), store)
}

fn ask(exchange: &Exchange, path: &str) -> Option<SessionHandle> {
    done(exchange.session(&RequestInfo::new(path, false, &|_| {}))).unwrap()
}

fn names(cookies: &[String]) -> Vec<&str> {
    cookies.iter().map(|cookie| cookie.split('=').next().unwrap()).collect()
}

#[test]
fn an_exchange_is_found_by_its_marker_from_within() {
    let [(a, _), (b, _), (c, _)] = ["a", "b", "c"].map(sessions);
    let outer = a.exchange_below::<Cart>(None);
    let middle = b.exchange_below::<Flags>(Some(&outer));
    let inner = c.exchange_below::<Cart>(Some(&middle));
    ask(&inner, "/").unwrap().insert("of", "inner").unwrap();
    ask(&outer, "/").unwrap().insert("of", "outer").unwrap();
    let of = |exchange: Option<&Exchange>| {
        exchange.and_then(|exchange| ask(exchange, "/")).map(|session| session.get::<String>("of").unwrap())
    };
    assert_eq!(of(inner.marked::<Cart>()), Some(Some("inner".into())), "the innermost");
    assert_eq!(of(inner.marked::<Flags>()), Some(None));
    assert_eq!(of(middle.marked::<Cart>()), Some(Some("outer".into())));
    assert_eq!(of(inner.begun_by::<Cart>(&a)), Some(Some("outer".into())));
    assert!(inner.marked::<()>().is_none() && inner.begun_by::<Flags>(&a).is_none());
    assert!(outer.marked::<Flags>().is_none(), "not from without");
}

/// Three of them, in the order of tower and in that of Rocket, and each failing in turn.
#[test]
fn the_cookies_of_all_others_go_out_with_the_failure_of_one() {
    for failing in 0..3 {
        for outwards in [true, false] {
            let [one, two, three] = ["a", "b", "c"].map(sessions);
            let a = one.0.exchange_below::<()>(None);
            let b = two.0.exchange_below::<Cart>(Some(&a));
            let c = three.0.exchange_below::<Flags>(Some(&b));
            let (exchanges, stores) = ([a, b, c], [one.1, two.1, three.1]);
            exchanges.iter().for_each(|exchange| ask(exchange, "/").unwrap().insert("n", 1).unwrap());
            stores[failing].fail_writes(true);
            let order: Vec<usize> = if outwards { vec![2, 1, 0] } else { vec![0, 1, 2] };
            // What an adapter does: a failure takes the place of the response.
            let mut response: Vec<String> = Vec::new();
            for at in &order {
                match done(exchanges[*at].end()) {
                    Ok(cookies) => response.extend(cookies),
                    Err(error) => response = error.cookies().to_vec(),
                }
            }
            let expected: Vec<&str> =
                order.iter().filter(|at| **at != failing).map(|at| ["a", "b", "c"][*at]).collect();
            assert_eq!(names(&response), expected, "{failing} {outwards}");

            // Tried again it has nothing twice.
            let error = done(exchanges[failing].end()).unwrap_err();
            assert_eq!(names(error.cookies()), expected);
            stores[failing].fail_writes(false);
            assert_eq!(names(&done(exchanges[failing].end()).unwrap()), [["a", "b", "c"][failing]]);
            assert!(exchanges.iter().all(Exchange::has_ended));
        }
    }
}

/// Nobody has them: a failure does not bring them back.
#[test]
fn cookies_that_are_lost_stay_lost() {
    let [(a, down), (b, _)] = ["a", "b"].map(sessions);
    let outer = a.exchange();
    let inner = b.exchange_below::<Cart>(Some(&outer));
    for exchange in [&outer, &inner] {
        ask(exchange, "/").unwrap().insert("n", 1).unwrap();
    }
    assert_eq!(names(&done(inner.end()).unwrap()), ["b"]);
    inner.cookies_are_lost();
    down.fail_writes(true);
    assert!(done(outer.end()).unwrap_err().cookies().is_empty());
}

/// What was decided stays so, whatever a layer between makes of the path.
#[test]
fn whether_an_exchange_serves_is_decided_once() {
    let cookie = CookieOptions::new().path("/admin");
    let sessions = Options::new("keyboard cat").store(MemoryStore::new()).cookie(cookie).build().unwrap();
    let (inside, outside) = (sessions.exchange(), sessions.exchange());
    let serves = |exchange: &Exchange, path| exchange.serves(&RequestInfo::new(path, false, &|_| {}));
    assert!(serves(&inside, "/admin/x") && !serves(&inside, "/"));
    assert!(ask(&inside, "/admin").is_some() && ask(&outside, "/").is_none());
    assert!(serves(&inside, "/") && !serves(&outside, "/admin"));
}

/// A function for the attributes is asked once, by whoever comes first.
#[test]
fn a_layer_with_a_path_for_each_request_serves_by_it() {
    let of = |request: &RequestInfo<'_>| {
        CookieOptions::new().path(if request.method() == "GET" { "/" } else { "/api" })
    };
    let options = Options::new("keyboard cat").store(MemoryStore::new()).cookie_with(of);
    let sessions = options.build().unwrap();
    let serves = |method, path| {
        sessions.exchange().serves(&RequestInfo::new(path, false, &|_| {}).with_method(method))
    };
    assert!(serves("GET", "/x") && !serves("POST", "/x") && serves("POST", "/api/x"));
}

/// A middleware between two layers calls the inner one a second time, and throws away what it answered first.
#[test]
fn an_inner_layer_that_is_called_again_begins_anew_within_the_same_request() {
    let [(a, down), (b, _)] = ["a", "b"].map(sessions);
    let outer = a.exchange();
    let first = b.exchange_below::<Cart>(Some(&outer));
    ask(&first, "/").unwrap().insert("n", 1).unwrap();
    assert_eq!(done(first.end()).unwrap().len(), 1);
    let request = |of: &Exchange| {
        let info = RequestInfo::new("/", false, &|_| {});
        (of.is_served::<()>(&info), of.is_served::<Cart>(&info), of.is_served::<Flags>(&info))
    };
    assert_eq!(request(&first), (true, false, false), "it has ended, and the outer one has not");
    let again = b.exchange_below::<Cart>(Some(&first));
    assert_eq!(request(&again), (true, true, false));
    for exchange in [again.marked::<()>().unwrap(), &again] {
        ask(exchange, "/").unwrap().insert("n", 2).unwrap();
    }
    let sent = done(again.end()).unwrap();
    down.fail_writes(true);
    assert_eq!(done(outer.end()).unwrap_err().cookies(), sent, "and not the first one's");
}

/// The same, of one that clones the request as it came: it knows of no other than the outer one. What others gave stays.
#[test]
fn an_inner_layer_that_is_called_again_takes_back_its_own_cookie_alone() {
    let [(a, down), (b, _)] = ["a", "b"].map(sessions);
    let (c, _) = sessions("c");
    let outer = a.exchange();
    let beside = c.exchange_below::<Flags>(Some(&outer));
    ask(&beside, "/").unwrap().insert("n", 1).unwrap();
    let mut sent = done(beside.end()).unwrap();
    for n in 1..3 {
        let inner = b.exchange_below::<Cart>(Some(&outer));
        ask(&inner, "/").unwrap().insert("n", n).unwrap();
        let given = done(inner.end()).unwrap();
        if n == 2 {
            sent.extend(given);
        }
    }
    ask(&outer, "/").unwrap().insert("n", 2).unwrap();
    down.fail_writes(true);
    assert_eq!(done(outer.end()).unwrap_err().cookies(), sent);
}
