//! Records that the database cannot read.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::sync::Arc;

use common::done;
use session_core::{
    AdminStore, Cookie, Expect, MemoryStore, Options, Record, Sealed, Set, Sid, Store, StoreError, Touched,
};
use session_testkit::{Fixture, ManualClock};

const SECRET: [u8; 32] = [7; 32];

async fn open() -> Fixture {
    let clock = ManualClock::new();
    let store = Sealed::new(MemoryStore::new().clock(clock.clock()), SECRET).unwrap();
    Fixture::new(store).clock(clock).exact_to_the_millisecond().nobody_else_writes()
}

session_testkit::store_contract!(open);
session_testkit::admin_contract!(open);

/// A memory store, and the same with its records sealed.
fn stores() -> (Arc<MemoryStore>, Sealed<Arc<MemoryStore>>) {
    let inner = Arc::new(MemoryStore::new());
    (Arc::clone(&inner), Sealed::new(inner, SECRET).unwrap())
}

fn record(data: &str) -> Record {
    Record::parse(format!(r#"{{"cookie":{{"originalMaxAge":null,"expires":null,"path":"/"}}{data}}}"#))
        .unwrap()
}

fn read(store: &impl Store, sid: &Sid) -> Result<Option<Record>, StoreError> {
    Ok(done(store.get(sid))?.map(|stored| stored.record))
}

#[test]
fn the_database_sees_no_data_and_what_was_stored_comes_back_to_the_byte() {
    let (inner, sealed) = stores();
    let sid = Sid::random();
    for data in ["", r#","user":"swordfish""#, r#","a":1.50,"s":"\ud800 \u0041","o":{ "z" : 1 }"#] {
        let record = record(data);
        done(sealed.set(&sid, &record, &Expect::Anything)).unwrap();
        assert_eq!(read(&sealed, &sid).unwrap().unwrap().to_json(), record.to_json());
        let held = read(&inner, &sid).unwrap().unwrap();
        assert_eq!(held.data.keys().collect::<Vec<_>>(), ["sealed"]);
        assert!(held.data.get("sealed").unwrap().starts_with("\"A") && !held.to_json().contains("swordfish"));
        assert_eq!(held.cookie, record.cookie);
        let mut all = Vec::new();
        done(sealed.all(&mut |of, record| all.push((of, record)))).unwrap();
        assert_eq!(all, [(sid.clone(), record)]);
    }
    assert!(!format!("{sealed:?}").contains("[7"));
}

/// Whoever can write to the database.
#[test]
fn a_record_in_another_ones_place_or_by_another_secret_is_none() {
    let (inner, sealed) = stores();
    let [mine, theirs] = [Sid::from("mine"), Sid::from("theirs")];
    done(sealed.set(&theirs, &record(r#","user":"admin""#), &Expect::Anything)).unwrap();
    let copied = read(&inner, &theirs).unwrap().unwrap();
    done(inner.set(&mine, &copied, &Expect::Anything)).unwrap();
    let is_corrupt =
        |store: &Sealed<Arc<MemoryStore>>, sid| matches!(read(store, sid), Err(StoreError::Corrupt { .. }));
    assert!(is_corrupt(&sealed, &mine));
    let mut seen = 0;
    done(sealed.all(&mut |_, _| seen += 1)).unwrap();
    assert_eq!((seen, done(sealed.length()).unwrap()), (1, 2), "what cannot be read is passed over");
    let other = Sealed::new(Arc::clone(&inner), [8; 32]).unwrap();
    assert!(is_corrupt(&other, &theirs));
    // It may also make one that nobody has sealed.
    done(inner.set(&mine, &record(r#","user":"admin""#), &Expect::Anything)).unwrap();
    assert!(is_corrupt(&sealed, &mine));
    // Or let Express add a key to a sealed one: nothing of it is lost, and it is not taken for a plain one.
    let mut both = copied.to_json();
    both.insert_str(both.len() - 1, r#","views":1"#);
    done(inner.set(&theirs, &Record::parse(both).unwrap(), &Expect::Anything)).unwrap();
    assert!(is_corrupt(&sealed, &theirs) && is_corrupt(&sealed.clone().also_reads_plain(true), &theirs));
    // An application may have such a key.
    done(inner.set(&mine, &record(r#","sealed":"yes""#), &Expect::Anything)).unwrap();
    let plain = sealed.clone().also_reads_plain(true);
    assert!(read(&plain, &mine).unwrap().is_some() && is_corrupt(&sealed, &mine));
    done(inner.set(&mine, &record(r#","sealed":"A""#), &Expect::Anything)).unwrap();
    assert!(is_corrupt(&sealed, &mine));
}

/// An application may have the key, and any text under it. What another secret has sealed is none of these.
#[test]
fn a_plain_record_with_that_key_alone_is_read_and_sealed() {
    let (inner, sealed) = stores();
    let migrating = sealed.clone().also_reads_plain(true);
    let sid = Sid::from("plain");
    let long = "A".repeat(200);
    for text in [
        "yes",
        "A",
        "Approved",
        "AQ",
        "Another one, who has approved of it, of this, and of all that is",
        &long,
    ] {
        let plain = record(&format!(r#","sealed":"{text}""#));
        done(inner.set(&sid, &plain, &Expect::Anything)).unwrap();
        assert!(matches!(read(&sealed, &sid), Err(StoreError::Corrupt { .. })));
        assert_eq!(read(&migrating, &sid).unwrap().as_ref(), Some(&plain), "{text}");
        assert_eq!(done(migrating.reseal()).unwrap(), 1, "{text}");
        assert_eq!(read(&sealed, &sid).unwrap(), Some(plain));
    }
    let gone = Sealed::new(Arc::clone(&inner), [8; 32]).unwrap().also_reads_plain(true);
    assert!(matches!(read(&gone, &sid), Err(StoreError::Corrupt { .. })));
    assert_eq!(done(gone.reseal()).unwrap(), 0, "it would be sealed twice");
}

/// A session's attributes are inside; a touch writes the end outside.
#[test]
fn the_end_is_the_one_outside_and_all_else_the_one_inside() {
    let (inner, sealed) = stores();
    let sid = Sid::random();
    let parse = |attributes: &str| {
        let at = |year: u32| format!(r#""originalMaxAge":60000,"expires":"{year}-01-02T03:04:05.000Z""#);
        let text = |year| format!(r#"{{"cookie":{{{},{attributes}}},"k":1}}"#, at(year));
        [2_100, 2_101].map(|year| Record::parse(text(year)).unwrap())
    };
    let [written, _] = parse(r#""secure":true,"httpOnly":true,"path":"/""#);
    let Set::Written(version) = done(sealed.set(&sid, &written, &Expect::Nothing)).unwrap() else { panic!() };
    let [_, touched] = parse(r#""secure":true,"httpOnly":true,"path":"/""#);
    let moved = done(sealed.touch(&sid, &touched.cookie, &Expect::Version(version)));
    assert_eq!(moved.unwrap(), Touched::Moved);
    let cookie_of = |sid| -> Cookie { read(&sealed, sid).unwrap().unwrap().cookie };
    assert_eq!(cookie_of(&sid).expires(), touched.cookie.expires());
    // By hand, in the database.
    let [_, changed] = parse(r#""secure":false,"httpOnly":false,"path":"/""#);
    let mut held = read(&inner, &sid).unwrap().unwrap();
    held.cookie = changed.cookie;
    done(inner.set(&sid, &held, &Expect::Anything)).unwrap();
    assert!(cookie_of(&sid).secure() && cookie_of(&sid).http_only());
}

#[test]
fn a_table_that_has_plain_records_is_read_while_it_is_sealed() {
    let (inner, sealed) = stores();
    let migrating = sealed.clone().also_reads_plain(true);
    let sid = Sid::random();
    done(inner.set(&sid, &record(r#","views":1"#), &Expect::Anything)).unwrap();
    let stored = done(migrating.get(&sid)).unwrap().unwrap();
    assert_eq!(stored.record, record(r#","views":1"#));
    let expect = Expect::Version(stored.version);
    assert!(matches!(done(migrating.set(&sid, &record(r#","views":2"#), &expect)), Ok(Set::Written(_))));
    assert_eq!(read(&sealed, &sid).unwrap(), Some(record(r#","views":2"#)), "sealed by now");
    assert_eq!(done(migrating.set(&sid, &record(""), &expect)).unwrap(), Set::Conflict);
}

/// Express has added a key to a record whose secret is not known any more: as a plain one the next write would lose its data.
#[test]
fn a_sealed_record_with_more_beside_it_is_not_plain_whoever_has_sealed_it() {
    let (inner, sealed) = stores();
    let sid = Sid::random();
    done(sealed.set(&sid, &record(r#","user":"tj""#), &Expect::Anything)).unwrap();
    let mut text = read(&inner, &sid).unwrap().unwrap().to_json();
    text.insert_str(text.len() - 1, ",\"views\":1");
    done(inner.set(&sid, &Record::parse(text).unwrap(), &Expect::Anything)).unwrap();
    for secret in [SECRET, [9; 32]] {
        let migrating = Sealed::new(Arc::clone(&inner), secret).unwrap().also_reads_plain(true);
        assert!(read(&migrating, &sid).is_err());
        assert_eq!(done(migrating.reseal()).unwrap(), 0);
    }
    // An application's own word is none that was sealed.
    let plain = record(r#","sealed":"Amber","views":1"#);
    done(inner.set(&sid, &plain, &Expect::Anything)).unwrap();
    let migrating = sealed.also_reads_plain(true);
    assert_eq!(read(&migrating, &sid).unwrap(), Some(plain));
}

#[test]
fn secrets_rotate_and_short_ones_are_refused() {
    let (inner, old) = stores();
    let sid = Sid::random();
    done(old.set(&sid, &record(r#","k":1"#), &Expect::Anything)).unwrap();
    let rotated = Sealed::new(Arc::clone(&inner), [[9; 32], SECRET]).unwrap();
    assert_eq!(read(&rotated, &sid).unwrap(), Some(record(r#","k":1"#)));
    done(rotated.set(&sid, &record(r#","k":2"#), &Expect::Anything)).unwrap();
    assert!(read(&old, &sid).is_err(), "the new one has sealed it");
    let error = Sealed::new(MemoryStore::new(), "keyboard cat").unwrap_err();
    assert_eq!(error.to_string(), "option secrets: one has fewer than 32 bytes; take as many random ones");
}

/// What the rules promise on any store.
#[test]
fn sessions_do_not_notice() {
    let (inner, sealed) = stores();
    let sessions = Options::new("keyboard cat").store(sealed).build().unwrap();
    let request = |cookies: &[String]| {
        let exchange = sessions.exchange();
        let session = done(common::with_cookies(cookies, |request| exchange.session(request)));
        (exchange, session.unwrap().unwrap())
    };
    let (exchange, session) = request(&[]);
    session.insert("n", 1).unwrap();
    let set = done(exchange.end()).unwrap();
    let cookies = [set[0].split(';').next().unwrap().to_owned()];
    // Two at the same time: both count.
    let [(a, one), (b, two)] = [(); 2].map(|()| request(&cookies));
    one.insert("a", 1).unwrap();
    done(two.update("n", |n: Option<u32>| n.unwrap_or(0) + 1)).unwrap();
    done(a.end()).unwrap();
    done(b.end()).unwrap();
    let (exchange, session) = request(&cookies);
    assert_eq!(session.keys(), ["n", "a"]);
    assert_eq!(session.get::<u32>("n").unwrap(), Some(2));
    done(session.renew_id()).unwrap();
    let id = session.id().unwrap();
    done(exchange.end()).unwrap();
    assert_eq!(done(inner.length()).unwrap(), 1);
    assert!(read(&inner, &id).unwrap().unwrap().data.contains("sealed"));
}

/// Who only reads writes nothing: what is plain, or sealed by a secret that shall go, is sealed by hand.
#[test]
fn what_is_only_read_is_sealed_on_request() {
    let (inner, sealed) = stores();
    let migrating = sealed.clone().also_reads_plain(true);
    let parse = |year: u32| {
        let at = format!(r#""originalMaxAge":60000,"expires":"{year}-01-02T03:04:05.000Z""#);
        Record::parse(format!(r#"{{"cookie":{{{at}}},"k":1}}"#)).unwrap()
    };
    for (name, data) in [("a", ""), ("b", r#","k":1"#)] {
        done(inner.set(&name.into(), &record(data), &Expect::Anything)).unwrap();
    }
    done(inner.set(&"dated".into(), &parse(2_100), &Expect::Anything)).unwrap();
    done(inner.touch(&"dated".into(), &parse(2_101).cookie, &Expect::Anything)).unwrap();
    done(sealed.set(&"sealed".into(), &record(r#","k":2"#), &Expect::Anything)).unwrap();
    assert_eq!(done(sealed.reseal()).unwrap(), 0, "they are corrupt");
    assert_eq!(done(migrating.reseal()).unwrap(), 3);
    assert_eq!(done(migrating.reseal()).unwrap(), 0);
    assert_eq!(read(&sealed, &"b".into()).unwrap(), Some(record(r#","k":1"#)));
    let left = done(sealed.get(&"dated".into())).unwrap().unwrap().left.unwrap().as_secs();
    let year = 365 * 86_400;
    assert!((74 * year..76 * year + 30 * 86_400).contains(&left), "its touch is not undone");
    let rotated = Sealed::new(Arc::clone(&inner), [[9; 32], SECRET]).unwrap();
    assert_eq!(done(rotated.reseal()).unwrap(), 4);
    let new = Sealed::new(inner, [9; 32]).unwrap();
    assert_eq!(read(&new, &"sealed".into()).unwrap(), Some(record(r#","k":2"#)));
}
