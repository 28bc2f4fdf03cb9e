//! A session as one value of the application's own: under a key, and as a whole.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::collections::BTreeMap;

use common::{App, add, apps, done, polled};
use serde::{Deserialize, Serialize};
use session_core::{Error, Options, SessionData, SessionHandle, Sid};

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Cart {
    items: Vec<String>,
}

impl SessionData for Cart {
    const KEY: Option<&'static str> = Some("cart");
}

fn cart(items: &[&str]) -> Cart {
    Cart { items: items.iter().map(|&item| item.into()).collect() }
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Visit {
    #[serde(default)]
    n: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    seen: Vec<u32>,
}

impl SessionData for Visit {}

fn visit(n: u32, user: Option<&str>, seen: &[u32]) -> Visit {
    Visit { n, user: user.map(Into::into), seen: seen.into() }
}

/// What no object is.
#[derive(Debug, Serialize, Deserialize)]
struct Number(u32);

impl SessionData for Number {}

fn held(app: &App, sid: &Sid) -> String {
    let record = app.held(sid).unwrap();
    let members: Vec<String> = record.data.iter().map(|(key, value)| format!("{key}={value}")).collect();
    members.join(" ")
}

/// A request of a visitor who has `user` and `n`, and what is stored at its end.
fn in_a_request(app: &App, then: impl FnOnce(&SessionHandle)) -> String {
    let sid = app.log_in();
    let (exchange, session) = app.request(&sid);
    then(&session);
    done(exchange.end()).unwrap();
    held(app, &sid)
}

#[test]
fn under_a_key_it_is_that_key() {
    for app in apps() {
        let stored = in_a_request(&app, |session| {
            let typed = session.typed::<Cart>();
            assert_eq!(typed.get().unwrap(), None);
            typed.insert(&cart(&["a", "b"])).unwrap();
            assert_eq!(typed.get().unwrap(), Some(cart(&["a", "b"])));
            assert_eq!(typed.session().id(), session.id());
        });
        assert_eq!(stored, r#"user="tj" n=0 cart={"items":["a","b"]}"#);
        let stored = in_a_request(&app, |session| {
            let typed = session.typed::<Cart>();
            typed.insert(&Cart::default()).unwrap();
            typed.remove().unwrap();
            assert_eq!(typed.get().unwrap(), None);
        });
        assert_eq!(stored, r#"user="tj" n=0"#);
    }
}

#[test]
fn as_a_whole_it_is_every_key_and_takes_away_no_other() {
    for app in apps() {
        let stored = in_a_request(&app, |session| {
            session.insert("passport", BTreeMap::from([("user", 7)])).unwrap();
            let typed = session.typed::<Visit>();
            assert_eq!(typed.get().unwrap(), Some(visit(0, Some("tj"), &[])));
            typed.insert(&visit(1, Some("tj"), &[3])).unwrap();
        });
        assert_eq!(stored, r#"user="tj" n=1 passport={"user":7} seen=[3]"#);

        // What it does not write any more is gone.
        let stored = in_a_request(&app, |session| {
            session.insert("other", 1).unwrap();
            session.typed::<Visit>().insert(&visit(2, None, &[])).unwrap();
        });
        assert_eq!(stored, "n=2 other=1");

        let stored = in_a_request(&app, |session| {
            session.typed::<Visit>().remove().unwrap();
            assert_eq!(session.typed::<Visit>().get().unwrap(), None);
        });
        assert_eq!(stored, "");
    }
}

/// JavaScript's `null` is no value, of a field neither.
#[test]
fn a_member_that_is_null_is_none() {
    let [app, _] = apps();
    let stored = in_a_request(&app, |session| {
        session.insert("n", ()).unwrap();
        session.insert("seen", ()).unwrap();
        assert_eq!(session.typed::<Visit>().get().unwrap(), Some(visit(0, Some("tj"), &[])));
        session.remove("user").unwrap();
        assert_eq!(session.typed::<Visit>().get().unwrap(), Some(visit(0, None, &[])));
    });
    assert_eq!(stored, "n=null seen=null");
}

/// A field that is as it was is not this request's to say, and keeps its text.
#[test]
fn of_the_whole_only_what_changed_is_set() {
    for app in apps() {
        let sid = app.log_in();
        let (one, first) = app.request(&sid);
        let (other, second) = app.request(&sid);
        first.typed::<Visit>().insert(&visit(0, Some("tj"), &[1])).unwrap();
        second.typed::<Visit>().insert(&visit(5, Some("tj"), &[])).unwrap();
        done(one.end()).unwrap();
        done(other.end()).unwrap();
        assert_eq!(held(&app, &sid), r#"user="tj" n=5 seen=[1]"#);
    }
}

/// A write beside it makes it begin again.
#[test]
fn an_update_keeps_what_others_wrote() {
    for app in apps() {
        let sid = app.log_in();
        let (_one, first) = app.request(&sid);
        let typed = first.typed::<Visit>();
        let mut adding = Box::pin(typed.update(|visit| {
            let mut visit = visit.unwrap();
            visit.n += 1;
            visit.seen.push(7);
            visit
        }));
        assert!(polled(1, &mut adding).is_none());
        let (_other, second) = app.request(&sid);
        done(add(&second)).unwrap();
        assert_eq!(done(adding).unwrap(), visit(2, Some("tj"), &[7]));
        assert_eq!(held(&app, &sid), r#"user="tj" n=2 seen=[7]"#);

        let typed = first.typed::<Cart>();
        done(typed.update(|cart| cart.unwrap_or_default())).unwrap();
        assert_eq!(held(&app, &sid), r#"user="tj" n=2 seen=[7] cart={"items":[]}"#);
    }
}

#[test]
fn an_update_may_refuse_and_may_remove() {
    for app in apps() {
        let sid = app.log_in();
        let (_exchange, session) = app.request(&sid);
        let typed = session.typed::<Cart>();
        done(typed.update(|_| cart(&["a"]))).unwrap();
        let refused = done(typed.try_update(|held| {
            assert_eq!(held, Some(cart(&["a"])));
            Err(Error::NotStored)
        }));
        assert!(matches!(refused, Err(Error::NotStored)));
        assert_eq!(held(&app, &sid), r#"user="tj" n=0 cart={"items":["a"]}"#);
        let longer = done(typed.try_update(|_| Ok::<_, Error>(Some(cart(&["a", "b"])))));
        assert_eq!(longer.unwrap(), Some(cart(&["a", "b"])));
        assert_eq!(held(&app, &sid), r#"user="tj" n=0 cart={"items":["a","b"]}"#);
        assert_eq!(done(typed.try_update(|_| Ok::<_, Error>(None))).unwrap(), None);
        assert_eq!(held(&app, &sid), r#"user="tj" n=0"#);
        assert_eq!(done(session.typed::<Visit>().try_update(|_| Ok::<_, Error>(None))).unwrap(), None);
        assert_eq!(held(&app, &sid), "");
    }
}

#[test]
fn what_does_not_fit_is_an_error_that_names_the_type_and_changes_nothing() {
    let [app, _] = apps();
    let stored = in_a_request(&app, |session| {
        session.insert("cart", 1).unwrap();
        let error = session.typed::<Cart>().get().unwrap_err();
        assert!(
            error.to_string().starts_with(r#"the session key "cart" holds a value that is no Cart: "#),
            "{error}"
        );
        session.insert("seen", "swordfish").unwrap();
        let error = session.typed::<Visit>().get().unwrap_err();
        assert_eq!(
            error.to_string(),
            "the session's data are no Visit: invalid type: string, expected a sequence"
        );
        let error = done(session.typed::<Visit>().update(Option::unwrap)).unwrap_err();
        assert!(matches!(error, Error::DeserializeData { .. }), "{error}");
        let error = session.typed::<Number>().insert(&Number(1)).unwrap_err();
        assert!(error.to_string().starts_with("a Number is not written as a JSON object: "), "{error}");
        // An older form of the type is no reason not to write the new one.
        session.typed::<Visit>().insert(&visit(1, None, &[2])).unwrap();
    });
    assert_eq!(stored, r#"user="tj" n=1 cart=1 seen=[2]"#);
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Reserved {
    n: u32,
    id: u32,
}

impl SessionData for Reserved {}

#[test]
fn reserved_names_and_bounds_hold_for_each_field_and_change_nothing() {
    let [app, _] = apps();
    let stored = in_a_request(&app, |session| {
        let error = session.typed::<Reserved>().insert(&Reserved { n: 7, id: 1 }).unwrap_err();
        assert!(matches!(error, Error::ReservedKey(key) if key == "id"));
    });
    assert_eq!(stored, r#"user="tj" n=0"#);

    let sessions = Options::new("keyboard cat").max_record_size(40).build().unwrap();
    let exchange = sessions.exchange();
    let session = done(common::with_cookies(&[], |request| exchange.session(request))).unwrap().unwrap();
    session.insert("user", "tj").unwrap();
    let seen: Vec<u32> = (0..30).collect();
    let error = session.typed::<Visit>().insert(&visit(1, None, &seen)).unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit: 40, .. }), "{error}");
    assert_eq!(session.keys(), ["user"]);
    session.typed::<Visit>().insert(&visit(1, None, &[])).unwrap();
    assert_eq!(session.keys(), ["n"]);
}

#[test]
fn a_session_that_is_no_more_takes_none() {
    for app in apps() {
        let (_exchange, session) = app.request(&app.log_in());
        done(session.destroy()).unwrap();
        let (cart, visit) = (session.typed::<Cart>(), session.typed::<Visit>());
        assert_eq!((cart.get().unwrap(), visit.get().unwrap()), (None, None));
        assert!(matches!(cart.insert(&Cart::default()), Err(Error::Destroyed)));
        assert!(matches!(visit.insert(&Visit::default()), Err(Error::Destroyed)));
        assert!(matches!(cart.remove(), Err(Error::Destroyed)));
        assert!(matches!(visit.remove(), Err(Error::Destroyed)));
        assert!(matches!(done(visit.update(Option::unwrap_or_default)), Err(Error::Destroyed)));
    }
}

#[test]
fn it_shows_no_data() {
    let [app, _] = apps();
    let (_exchange, session) = app.ask(&[]);
    session.insert("user", "swordfish").unwrap();
    let typed = session.typed::<Visit>();
    let shown = format!("{typed:?} {:?}", typed.clone());
    assert!(!shown.contains("swordfish") && !shown.contains(session.id().as_str()), "{shown}");
}
