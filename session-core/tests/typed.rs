//! A session as one value of the application's own: under a key, and as a whole.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::atomic::Ordering,
    time::{Duration, SystemTime},
};

use common::{App, Trouble, add, apps, done, polled};
use serde::{Deserialize, Serialize};
use session_core::{Error, Expect, MemoryStore, Options, Record, SessionData, SessionHandle, Sid, Store};

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
            assert_eq!(typed.session().id().unwrap(), session.id().unwrap());
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
            session.insert("other", 1).unwrap();
            session.typed::<Visit>().remove().unwrap();
            assert_eq!(session.typed::<Visit>().get().unwrap(), Some(Visit::default()));
        });
        assert_eq!(stored, "other=1");
    }
}

/// JavaScript's `null` is no value, of a field neither; and stays where it is read as what it is set to.
#[test]
fn a_member_that_is_null_is_none() {
    let [app, _] = apps();
    let stored = in_a_request(&app, |session| {
        session.insert("n", ()).unwrap();
        session.insert("seen", ()).unwrap();
        let typed = session.typed::<Visit>();
        assert_eq!(typed.get().unwrap(), Some(visit(0, Some("tj"), &[])));
        session.remove("user").unwrap();
        assert_eq!(typed.get().unwrap(), Some(visit(0, None, &[])));
        typed.insert(&visit(0, None, &[1])).unwrap();
    });
    assert_eq!(stored, "n=null seen=[1]");
}

/// A record as Node may have written it.
fn planted(app: &App, members: &str) -> Sid {
    let sid = Sid::from("planted");
    let cookie = r#"{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}"#;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    let times = format!(r#""__session_times":{{"begun":{now}}}"#);
    let mut record = Record::parse(format!(r#"{{"cookie":{cookie},{times}{members}}}"#)).unwrap();
    record.cookie.set_max_age(Some(Duration::from_secs(3_600)), SystemTime::now());
    done(app.store.memory.set(&sid, &record, &Expect::Anything)).unwrap();
    sid
}

#[derive(Debug, Serialize, Deserialize)]
struct Profile {
    views: u32,
    #[serde(default)]
    items: BTreeSet<String>,
    #[serde(default)]
    tags: HashMap<String, u32>,
    note: Option<String>,
    #[serde(default)]
    map: BTreeMap<String, f64>,
}

impl SessionData for Profile {}

/// A field that is as it was is not this request's to say, and keeps its text: whatever it is spelled like, in whatever order a map
/// is written today, and where it is not there.
#[test]
fn of_the_whole_only_what_changed_is_set() {
    for app in apps() {
        let text = r#","views":1,"map":{"b":1.50,"a":1e2},"tags":{"c":3,"b":2,"a":1},"é\"":"\u00e9""#;
        let sid = planted(&app, text);
        let (one, first) = app.request(&sid);
        let (other, second) = app.request(&sid);
        let (first, second) = (first.typed::<Profile>(), second.typed::<Profile>());
        let mut held = first.get().unwrap().unwrap();
        held.items.insert("book".into());
        held.note = Some("new".into());
        first.insert(&held).unwrap();
        let mut held = second.get().unwrap().unwrap();
        held.views += 1;
        second.insert(&held).unwrap();
        done(one.end()).unwrap();
        done(other.end()).unwrap();
        let expected = r#"views=2 map={"b":1.50,"a":1e2} tags={"c":3,"b":2,"a":1} é"="\u00e9" items=["book"] note="new""#;
        assert_eq!(self::held(&app, &sid), expected);
    }
}

#[test]
fn what_is_written_as_it_was_read_is_no_change() {
    let [app, _] = apps();
    let sid = planted(&app, r#","views":1"#);
    let calls = app.store.calls.load(Ordering::SeqCst);
    let (exchange, session) = app.request(&sid);
    let typed = session.typed::<Profile>();
    typed.insert(&typed.get().unwrap().unwrap()).unwrap();
    assert_eq!(done(typed.update(Option::unwrap)).unwrap().views, 1);
    assert!(done(exchange.end()).unwrap().is_empty());
    assert_eq!(app.store.calls.load(Ordering::SeqCst), calls + 1, "it was read");
}

/// A map can be all of the data, with every key that is not reserved, and with those that Express has left there.
#[test]
fn a_map_is_all_of_the_data() {
    type All = BTreeMap<String, serde_json::Value>;
    #[derive(Serialize, Deserialize)]
    struct Map(All);
    impl SessionData for Map {}

    let [app, _] = apps();
    let sid = planted(&app, r#","10":2,"id":7,"a\"b":1"#);
    let (exchange, session) = app.request(&sid);
    let typed = session.typed::<Map>();
    let mut all = typed.get().unwrap().unwrap().0;
    assert_eq!(all.keys().map(String::as_str).collect::<Vec<_>>(), ["10", "a\"b", "id"]);
    all.insert("9".into(), 3.into());
    all.remove("a\"b");
    typed.insert(&Map(all)).unwrap();
    done(exchange.end()).unwrap();
    assert_eq!(held(&app, &sid), "9=3 10=2 id=7");
    let (_exchange, session) = app.request(&sid);
    let error = session.typed::<Map>().insert(&Map([("id".into(), 8.into())].into())).unwrap_err();
    assert!(matches!(error, Error::ReservedKey(key) if key == "id"));
}

#[test]
fn many_keys_are_changed_at_once() {
    #[derive(Serialize, Deserialize)]
    struct Map(BTreeMap<String, u32>);
    impl SessionData for Map {}

    let [app, _] = apps();
    let (exchange, session) = app.ask(&[]);
    let typed = session.typed::<Map>();
    // Of numbers, which come first and in their order.
    let many: BTreeMap<String, u32> = (0..50_000).map(|n| (n.to_string(), n)).collect();
    typed.insert(&Map(many)).unwrap();
    assert_eq!(session.keys()[..3], ["0", "1", "2"]);
    typed.remove().unwrap();
    let many: BTreeMap<String, u32> = (0..50_000).map(|n| (format!("k{n}"), n)).collect();
    typed.insert(&Map(many.clone())).unwrap();
    typed.insert(&Map(many.into_iter().map(|(key, n)| (key, n + 1)).collect())).unwrap();
    assert_eq!(session.get::<u32>("k49999").unwrap(), Some(50_000));
    assert_eq!(done(typed.try_update(|_| Ok::<_, Error>(None))).unwrap().map(|map| map.0.len()), None);
    assert!(session.is_empty());
    done(exchange.end()).unwrap();
}

/// Whatever the order of a set, of a map, or what is none of a group of fields.
#[test]
fn usual_types_are_set_as_they_are() {
    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Address {
        street: Option<String>,
        city: Option<String>,
    }
    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Usual {
        #[serde(default)]
        views: u32,
        #[serde(default)]
        tags: HashSet<u32>,
        #[serde(default)]
        ratio: f64,
        #[serde(flatten)]
        address: Option<Address>,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Anything(BTreeMap<String, serde_json::Value>);
    impl SessionData for Usual {}
    impl SessionData for Anything {}

    for app in apps() {
        let sid = planted(&app, "");
        for views in 1..4 {
            let (exchange, session) = app.request(&sid);
            let typed = session.typed::<Usual>();
            let usual = |usual: Option<Usual>| {
                let mut usual = usual.unwrap_or_default();
                usual.views += 1;
                (usual.tags, usual.ratio) = ((0..20).collect(), -0.0);
                usual
            };
            assert_eq!(typed.modify(usual).unwrap().views, views);
            assert_eq!(typed.get().unwrap().unwrap().tags.len(), 20);
            done(exchange.end()).unwrap();
        }
        let (_exchange, session) = app.request(&sid);
        let address = Some(Address { street: None, city: Some("Bern".into()) });
        session.typed::<Usual>().insert(&Usual { address, ..Usual::default() }).unwrap();
        assert_eq!(session.typed::<Usual>().get().unwrap().unwrap().address.unwrap().city.unwrap(), "Bern");
        session.typed::<Usual>().insert(&Usual::default()).unwrap();
        assert!(!session.contains("city"));
        // As serde reads a group of which nothing is there.
        assert_eq!(session.typed::<Usual>().get().unwrap().unwrap().address, Some(Address::default()));

        let anything = session.typed::<Anything>();
        let with = |json| Anything(serde_json::from_str(json).unwrap());
        for json in
            [r#"{"returnTo":null}"#, r#"{"a\"":1e21,"10":[],"9":{}}"#, r#"{"n":18446744073709551615}"#]
        {
            anything.insert(&with(json)).unwrap();
        }
        assert_eq!(anything.get().unwrap(), Some(with(r#"{"n":18446744073709551615}"#)));
    }
}

/// As `None`, and as a number that JSON has no text for.
#[test]
fn what_would_be_read_as_something_else_is_refused() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(default)]
    struct Prefs {
        theme: Option<String>,
        ratio: f64,
        #[serde(skip_serializing_if = "is_zero")]
        page: u32,
    }
    fn is_zero(page: &u32) -> bool {
        *page == 0
    }
    impl Default for Prefs {
        fn default() -> Self {
            Self { theme: Some("light".into()), ratio: 1.0, page: 1 }
        }
    }
    impl SessionData for Prefs {}

    for app in apps() {
        let sid = planted(&app, r#","theme":"dark","page":3"#);
        let (exchange, session) = app.request(&sid);
        let typed = session.typed::<Prefs>();
        let held = || typed.get().unwrap().unwrap();
        for refused in [
            Prefs { theme: None, ..held() },
            Prefs { ratio: f64::NAN, ..held() },
            Prefs { page: 0, ..held() },
        ] {
            let error = typed.insert(&refused).unwrap_err();
            assert!(error.to_string().contains("a default that is something"), "{error}");
            let change = |_: Option<Prefs>| Prefs { theme: refused.theme.clone(), ..refused };
            assert!(matches!(done(typed.update(change)), Err(Error::DeserializeData { .. })));
        }
        typed.insert(&Prefs { ratio: 0.5, page: 4, ..held() }).unwrap();
        done(exchange.end()).unwrap();
        assert_eq!(self::held(&app, &sid), r#"theme="dark" page=4 ratio=0.5"#);
    }
}

/// As when somebody logs out.
#[test]
fn what_was_something_may_be_none() {
    for app in apps() {
        for updates in [false, true] {
            let sid = planted(&app, r#","views":1,"note":"x""#);
            let (exchange, session) = app.request(&sid);
            let typed = session.typed::<Profile>();
            let logs_out = |profile: Option<Profile>| Profile { note: None, ..profile.unwrap() };
            let now = if updates { done(typed.update(logs_out)) } else { typed.modify(logs_out) };
            assert_eq!(now.unwrap().note, None);
            assert_eq!(typed.get().unwrap().unwrap().note, None);
            done(exchange.end()).unwrap();
            assert_eq!(held(&app, &sid), "views=1 note=null");
            done(app.store.memory.destroy(&sid, &Expect::Anything)).unwrap();
        }
    }
}

/// Of a group that is flattened serde says that it is not there where it cannot be read, and that it is where all has defaults.
#[test]
fn a_group_that_comes_and_goes_by_its_defaults_is_refused() {
    #[derive(Debug, Default, Serialize, Deserialize)]
    struct Group {
        shop: String,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        items: Vec<u32>,
    }
    #[derive(Debug, Default, Serialize, Deserialize)]
    struct Shop {
        #[serde(default)]
        views: u32,
        #[serde(flatten)]
        cart: Option<Group>,
    }
    #[derive(Debug, Default, Serialize, Deserialize)]
    struct Place {
        #[serde(default)]
        zip: u32,
    }
    #[derive(Debug, Default, Serialize, Deserialize)]
    struct Visitor {
        #[serde(default)]
        views: u32,
        #[serde(flatten)]
        place: Option<Place>,
    }
    impl SessionData for Shop {}
    impl SessionData for Visitor {}

    let [app, _] = apps();
    let (_exchange, session) = app.ask(&[]);
    let cart = || Some(Group { shop: "x".into(), items: Vec::new() });
    let refused = session.typed::<Shop>().insert(&Shop { views: 1, cart: cart() });
    assert!(matches!(refused, Err(Error::DeserializeData { .. })), "{refused:?}");
    let refused = done(session.typed::<Shop>().update(|_| Shop { views: 1, cart: cart() }));
    assert!(matches!(refused, Err(Error::DeserializeData { .. })));
    let refused = session.typed::<Visitor>().insert(&Visitor { views: 1, place: None });
    assert!(matches!(refused, Err(Error::DeserializeData { .. })), "{refused:?}");
    assert!(session.is_empty());
}

#[derive(Debug, Serialize, Deserialize)]
struct Renamed {
    #[serde(alias = "userName")]
    user_name: String,
}

impl SessionData for Renamed {}

/// Two spellings of one field would be an error with every request from then on.
#[test]
fn what_could_not_be_read_again_is_refused() {
    let [app, _] = apps();
    let sid = planted(&app, r#","userName":"tj""#);
    let (exchange, session) = app.request(&sid);
    let typed = session.typed::<Renamed>();
    assert_eq!(typed.get().unwrap().unwrap().user_name, "tj");
    let error = typed.insert(&Renamed { user_name: "hu".into() }).unwrap_err();
    assert!(
        matches!(&error, Error::DeserializeData { reason, .. } if reason.contains("duplicate field")),
        "{error}"
    );
    let error = done(typed.update(|_| Renamed { user_name: "hu".into() })).unwrap_err();
    assert!(matches!(error, Error::DeserializeData { .. }), "{error}");
    done(exchange.end()).unwrap();
    assert_eq!(held(&app, &sid), r#"userName="tj""#);
}

/// What is the same as the handler saw is set all the same where an atomic change may have made it another; and what others wrote
/// meanwhile, and came along, stays.
#[test]
fn while_a_change_is_in_doubt_every_field_is_set() {
    for app in apps() {
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        let typed = session.typed::<Visit>();
        let (other, another) = app.request(&sid);
        another.insert("seen", [7]).unwrap();
        done(other.end()).unwrap();
        app.trouble_at(2, Trouble::FailsAfter);
        assert!(done(typed.update(|visit| Visit { n: 1, ..visit.unwrap() })).is_err());
        assert_eq!(app.count(&sid), Some(1));
        typed.modify(|visit| Visit { n: 0, ..visit.unwrap() }).unwrap();
        done(exchange.end()).unwrap();
        assert_eq!(held(&app, &sid), r#"user="tj" n=0 seen=[7]"#);
    }
}

/// What is as it was is checked by nothing, and so changes no key that is not there.
#[test]
fn while_a_change_is_in_doubt_no_key_comes_in_unchecked() {
    #[derive(Default, Serialize, Deserialize)]
    struct Old {
        #[serde(default)]
        id: u32,
        #[serde(alias = "userName", default)]
        user_name: String,
        #[serde(default)]
        note: Vec<u32>,
    }
    impl SessionData for Old {}

    let [app, _] = apps();
    let sid = planted(&app, r#","userName":"tj""#);
    let (exchange, session) = app.request(&sid);
    app.trouble_at(0, Trouble::FailsAfter);
    assert!(done(session.update("hits", |_: Option<u32>| 1)).is_err());
    let typed = session.typed::<Old>();
    typed.insert(&typed.get().unwrap().unwrap()).unwrap();
    done(exchange.end()).unwrap();
    assert_eq!(held(&app, &sid), r#"userName="tj" hits=1"#);
}

/// A double has no room for the difference.
#[test]
fn large_numbers_are_told_apart() {
    const LARGE: u64 = 1_234_567_890_123_456_789;
    #[derive(Default, Serialize, Deserialize)]
    struct Account {
        #[serde(default)]
        user_id: u64,
    }
    impl SessionData for Account {}

    for app in apps() {
        let sid = planted(&app, &format!(r#","user_id":{LARGE}"#));
        let (exchange, session) = app.request(&sid);
        let typed = session.typed::<Account>();
        typed.insert(&Account { user_id: LARGE + 1 }).unwrap();
        done(exchange.end()).unwrap();
        assert_eq!(held(&app, &sid), format!("user_id={}", LARGE + 1));
        let (_exchange, session) = app.request(&sid);
        let added = done(
            session.typed::<Account>().update(|account| Account { user_id: account.unwrap().user_id + 1 }),
        );
        assert_eq!(added.unwrap().user_id, LARGE + 2);
        assert_eq!(held(&app, &sid), format!("user_id={}", LARGE + 2));
    }
}

/// What others wrote came along with a call in between: it stays where the value is modified as it is now.
#[test]
fn what_came_along_stays_where_the_value_is_modified() {
    for app in apps() {
        let sid = app.log_in();
        let (exchange, session) = app.request(&sid);
        let typed = session.typed::<Visit>();
        assert_eq!(typed.get().unwrap(), Some(visit(0, Some("tj"), &[])));
        let (other, another) = app.request(&sid);
        another.insert("seen", [7]).unwrap();
        another.remove("user").unwrap();
        done(other.end()).unwrap();
        done(session.renew_id()).unwrap();
        let one_more = |visit: Option<Visit>| {
            let mut visit = visit.unwrap();
            visit.n += 1;
            visit
        };
        assert_eq!(typed.modify(one_more).unwrap(), visit(1, None, &[7]));
        typed.modify(one_more).unwrap();
        done(exchange.end()).unwrap();
        assert_eq!(held(&app, &session.id().unwrap()), "n=2 seen=[7]");
    }
}

/// Whatever else the handler did before: afterwards the session has the value.
#[test]
fn what_is_set_is_there() {
    type Before = fn(&SessionHandle);
    let before: [Before; 6] = [
        |_| {},
        |session| session.clear().unwrap(),
        |session| done(session.regenerate()).unwrap(),
        |session| {
            session.typed::<Visit>().insert(&visit(7, Some("tj"), &[1])).unwrap();
            done(session.reload()).unwrap();
        },
        |session| session.insert("n", 5).unwrap(),
        |session| session.clone().typed::<Visit>().insert(&visit(9, None, &[2])).unwrap(),
    ];
    for before in before {
        for app in apps() {
            let sid = app.log_in();
            let (exchange, session) = app.request(&sid);
            let typed = session.typed::<Visit>();
            let value = typed.get().unwrap().unwrap();
            typed.insert(&value).unwrap();
            before(&session);
            typed.insert(&value).unwrap();
            assert_eq!(typed.get().unwrap(), Some(value));
            done(exchange.end()).unwrap();
            assert!(held(&app, &session.id().unwrap()).contains(r#"user="tj""#));
            let record = app.held(&session.id().unwrap()).unwrap();
            assert!(matches!(record.data.get("n"), None | Some("0")), "{:?}", record.data.get("n"));
        }
    }
}

/// A key that only changes in doubt may have stored is taken out as well: however many there were, and whatever stands there as
/// nothing.
#[test]
fn while_a_change_is_in_doubt_what_is_left_out_is_removed() {
    type Step = fn(&SessionHandle) -> bool;
    let bob: Step = |session| done(session.typed::<Visit>().update(|_| visit(1, Some("bob"), &[7]))).is_err();
    let alice: Step =
        |session| done(session.typed::<Visit>().update(|_| visit(2, Some("alice"), &[]))).is_err();
    let items: Step = |session| done(session.typed::<Cart>().update(|_| cart(&["a"]))).is_err();
    let needy: Step =
        |session| done(session.typed::<Needy>().update(|_| Needy { user: "bob".into() })).is_err();
    let nobody: Step = |session| session.typed::<Visit>().insert(&visit(0, None, &[])).is_ok();
    let eve: Step = |session| session.typed::<Visit>().insert(&visit(5, Some("eve"), &[])).is_ok();
    let nothing: Step = |session| session.typed::<Visit>().remove().is_ok();
    let empty: Step = |session| session.typed::<Cart>().remove().is_ok();
    let never: Step = |session| session.typed::<Needy>().remove().is_ok();
    for (lost, undo, members, left) in [
        (vec![bob], nobody, "", ""),
        (vec![bob], nobody, r#","n":0"#, "n=0"),
        (vec![bob], nobody, r#","user":null,"seen":[]"#, ""),
        (vec![bob], eve, "", r#"n=5 user="eve""#),
        (vec![bob], nothing, "", ""),
        (vec![bob], nothing, r#","user":null,"seen":[],"other":1"#, "other=1"),
        (vec![bob, alice], nobody, "", ""),
        (vec![bob, alice], nothing, "", ""),
        (vec![alice, bob], nothing, r#","other":1"#, "other=1"),
        (vec![items], empty, "", ""),
        (vec![needy], never, "", ""),
    ] {
        for app in apps() {
            let sid = planted(&app, members);
            let (exchange, session) = app.request(&sid);
            for (at, change) in lost.iter().enumerate() {
                // In doubt it reads first. Only the last one has arrived.
                let arrives = at + 1 == lost.len();
                let trouble = if arrives { Trouble::FailsAfter } else { Trouble::FailsBefore };
                app.trouble_at(usize::from(at > 0), trouble);
                assert!(change(&session));
            }
            assert_ne!(held(&app, &sid), left, "it was stored");
            assert!(undo(&session));
            done(exchange.end()).unwrap();
            assert_eq!(held(&app, &sid), left);
        }
    }
}

/// In one pass, and each as it stands there.
#[test]
fn while_a_change_is_in_doubt_what_is_the_same_keeps_its_text() {
    #[derive(Serialize, Deserialize)]
    struct Map(BTreeMap<String, f64>);
    impl SessionData for Map {}

    for count in [1, 50_000] {
        let [app, _] = apps();
        let members: String = (0..count).map(|n| format!(r#","k{n}":1.50"#)).collect();
        let sid = planted(&app, &members);
        let (exchange, session) = app.request(&sid);
        app.trouble_at(0, Trouble::FailsAfter);
        assert!(done(session.update("hits", |_: Option<u32>| 1)).is_err());
        let typed = session.typed::<Map>();
        typed.insert(&typed.get().unwrap().unwrap()).unwrap();
        done(exchange.end()).unwrap();
        assert!(held(&app, &sid).starts_with("k0=1.50"), "it keeps its text");
        assert_eq!(app.held(&sid).unwrap().data.get("hits"), None, "the map had none");
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Needy {
    user: String,
}

impl SessionData for Needy {}

/// What Express has left is more than the bound here.
#[test]
fn what_sets_nothing_is_within_every_bound() {
    let memory = MemoryStore::new();
    let sid = Sid::from("large");
    let text = format!(r#"{{"cookie":{{}},"cart":{{"items":["{}"]}},"user":"tj","n":5}}"#, "x".repeat(200));
    done(memory.set(&sid, &Record::parse(text).unwrap(), &Expect::Anything)).unwrap();
    let sessions = Options::new("keyboard cat").max_record_size(100).max_key_length(5).store(memory);
    let sessions = sessions.build().unwrap();
    let session = done(sessions.load(&sid)).unwrap().unwrap();
    session.typed::<Visit>().insert(&visit(5, Some("tj"), &[])).unwrap();
    let larger = session.typed::<Visit>().insert(&visit(6, Some("tj"), &[]));
    assert!(matches!(larger, Err(Error::TooLarge { .. })));
    session.typed::<Cart>().remove().unwrap();
    session.typed::<Visit>().insert(&visit(6, Some("tj"), &[1])).unwrap();
    assert_eq!(session.typed::<Needy>().get().unwrap().unwrap().user, "tj");

    #[derive(Serialize, Deserialize)]
    struct LongKey {
        #[serde(default)]
        longer: u32,
    }
    impl SessionData for LongKey {}
    let typed = session.typed::<LongKey>();
    assert!(matches!(typed.insert(&LongKey { longer: 1 }), Err(Error::KeyTooLong { limit: 5 })));
    assert!(matches!(done(typed.update(|_| LongKey { longer: 1 })), Err(Error::KeyTooLong { limit: 5 })));
}

/// A type that cannot be read of nothing is removed of nothing.
#[test]
fn of_an_empty_session_nothing_is_removed() {
    let [app, _] = apps();
    let (_exchange, session) = app.ask(&[]);
    session.typed::<Needy>().remove().unwrap();
    assert!(done(session.typed::<Needy>().try_update(|_| Ok::<_, Error>(None))).unwrap().is_none());
    session.insert("n", 1).unwrap();
    assert!(matches!(session.typed::<Needy>().remove(), Err(Error::DeserializeData { .. })));
}

/// A bound holds for what comes of all of it, not on the way there.
#[test]
fn what_grows_may_come_before_what_shrinks() {
    #[derive(Serialize, Deserialize)]
    struct Two {
        #[serde(default)]
        b: String,
        #[serde(default)]
        a: String,
    }
    impl SessionData for Two {}

    let sessions = Options::new("keyboard cat").max_record_size(100).build().unwrap();
    let exchange = sessions.exchange();
    let session = done(common::with_cookies(&[], |request| exchange.session(request))).unwrap().unwrap();
    let typed = session.typed::<Two>();
    let two = |b: usize, a: usize| Two { b: "b".repeat(b), a: "a".repeat(a) };
    typed.insert(&two(0, 70)).unwrap();
    typed.insert(&two(70, 0)).unwrap();
    done(typed.update(|_| two(0, 70))).unwrap();
    assert!(matches!(typed.insert(&two(70, 70)), Err(Error::TooLarge { limit: 100, .. })));
    assert!(matches!(done(typed.update(|_| two(70, 70))), Err(Error::TooLarge { limit: 100, .. })));
    assert_eq!(session.get::<String>("a").unwrap().unwrap().len(), 70);
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
        let (exchange, session) = app.request(&sid);
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
        session.insert("other", 1).unwrap();
        assert_eq!(done(session.typed::<Visit>().try_update(|_| Ok::<_, Error>(None))).unwrap(), None);
        done(exchange.end()).unwrap();
        assert_eq!(held(&app, &sid), "other=1");
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
    // And what it leaves out is gone, now that it can be told.
    assert_eq!(stored, "n=1 cart=1 seen=[2]");
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
    assert!(shown.contains("Session"), "{shown}");
    assert!(!shown.contains("swordfish") && !shown.contains(session.id().unwrap().as_str()), "{shown}");
}
