//! The contract of the four verbs, a test a sentence.

use std::time::Duration;

use session_core::{Expect, Record, Set, Sid, StoreError, Stored, Touched, Version};

use crate::Fixture;

/// Long enough to be read before it is over, short enough to wait for: stores count in whole seconds.
const SHORT: Duration = Duration::from_secs(2);
const LONGER: Duration = Duration::from_millis(3_200);
const HOUR: Duration = Duration::from_secs(3_600);

/// A record of one hour, with data that JSON readers like to spoil.
pub(crate) fn record(fixture: &Fixture, data: &str) -> Record {
    lasting(fixture, Some(HOUR), data)
}

fn lasting(fixture: &Fixture, lifetime: Option<Duration>, data: &str) -> Record {
    let comma = if data.is_empty() { "" } else { "," };
    let mut record = Record::parse(format!("{{\"cookie\":{{}}{comma}{data}}}")).unwrap();
    record.cookie.set_max_age(lifetime, fixture.now());
    record
}

fn over(fixture: &Fixture) -> Record {
    let mut record = record(fixture, "");
    record.cookie.set_expires(Some(fixture.now() - HOUR), fixture.now());
    record
}

async fn set(fixture: &Fixture, sid: &Sid, record: &Record, expect: Expect) -> Set {
    fixture.store.set(sid, record, &expect).await.unwrap()
}

async fn put(fixture: &Fixture, sid: &Sid, record: &Record) -> Version {
    match set(fixture, sid, record, Expect::Anything).await {
        Set::Written(version) => version,
        other => panic!("a write that expects anything is never refused: {other:?}"),
    }
}

async fn get(fixture: &Fixture, sid: &Sid) -> Option<Stored> {
    fixture.store.get(sid).await.unwrap()
}

/// What is held, as the data's text.
pub(crate) async fn held(fixture: &Fixture, sid: &Sid) -> Option<Vec<(String, String)>> {
    let text = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    get(fixture, sid).await.map(|stored| stored.record.data.iter().map(text).collect())
}

#[allow(missing_docs)]
pub async fn get_answers_what_was_set(fixture: &Fixture) {
    let data = [
        r#""a":1"#,
        r#""n":null,"t":true,"f":1.5,"big":9007199254740993,"e":1e+21"#,
        r#""s":"é☃😀\\ \"quoted\" </script>","o":{"z":1,"a":[1,{"b":[]}]},"empty":"","list":[]"#,
        "",
    ];
    for data in data {
        for lifetime in [Some(HOUR), None] {
            let (sid, record) = (Sid::random(), lasting(fixture, lifetime, data));
            put(fixture, &sid, &record).await;
            let stored = get(fixture, &sid).await.expect("what was set is there");
            assert_eq!(stored.record.to_json(), record.to_json());
        }
    }
}

#[allow(missing_docs)]
pub async fn get_of_an_absent_sid_is_none_and_creates_nothing(fixture: &Fixture) {
    let sid = Sid::random();
    assert!(get(fixture, &sid).await.is_none());
    assert_eq!(fixture.store.length().await.unwrap(), 0);
}

#[allow(missing_docs)]
pub async fn get_of_an_expired_record_is_none(fixture: &Fixture) {
    let sid = Sid::random();
    put(fixture, &sid, &lasting(fixture, Some(SHORT), "")).await;
    fixture.pass(LONGER).await;
    assert!(get(fixture, &sid).await.is_none());
}

#[allow(missing_docs)]
pub async fn get_tells_how_long_the_record_is_held(fixture: &Fixture) {
    let sid = Sid::random();
    put(fixture, &sid, &record(fixture, "")).await;
    let stored = get(fixture, &sid).await.unwrap();
    let (left, lifetime) = (stored.left.expect("it expires"), stored.lifetime.expect("it expires"));
    // Stores round to whole seconds.
    let about =
        |time: Duration| HOUR - Duration::from_secs(5) <= time && time <= HOUR + Duration::from_secs(1);
    assert!(about(left) && about(lifetime), "{left:?} of {lifetime:?}");
}

#[allow(missing_docs)]
pub async fn get_of_a_record_that_cannot_be_read_is_an_error_that_says_so(fixture: &Fixture) {
    let Some(plant) = &fixture.plant else { return };
    for text in ["{\"hunter2\":", "[\"hunter2\"]", "{\"hunter2\":1}"] {
        let sid = Sid::random();
        plant(sid.clone(), text.into()).await;
        for _ in 0..2 {
            let error = fixture.store.get(&sid).await.unwrap_err();
            assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
            let shown = format!("{error:?} {error}");
            assert!(!shown.contains("hunter2") && !shown.contains(sid.as_str()), "{shown}");
        }
        fixture.store.destroy(&sid, &Expect::Anything).await.unwrap();
    }
}

#[allow(missing_docs)]
pub async fn set_expecting_anything_writes_over_anything(fixture: &Fixture) {
    let sid = Sid::random();
    put(fixture, &sid, &record(fixture, r#""a":1"#)).await;
    put(fixture, &sid, &record(fixture, r#""b":2"#)).await;
    assert_eq!(held(fixture, &sid).await.unwrap(), [("b".into(), "2".into())]);
}

#[allow(missing_docs)]
pub async fn set_expecting_nothing_writes_only_where_nothing_is_held(fixture: &Fixture) {
    let sid = Sid::random();
    let first = set(fixture, &sid, &record(fixture, r#""a":1"#), Expect::Nothing).await;
    assert!(matches!(first, Set::Written(_)));
    assert_eq!(set(fixture, &sid, &record(fixture, r#""a":2"#), Expect::Nothing).await, Set::Conflict);
    assert_eq!(held(fixture, &sid).await.unwrap(), [("a".into(), "1".into())]);
}

#[allow(missing_docs)]
pub async fn set_expecting_a_version_writes_only_over_that_version(fixture: &Fixture) {
    let sid = Sid::random();
    let first = put(fixture, &sid, &record(fixture, r#""a":1"#)).await;
    let second = set(fixture, &sid, &record(fixture, r#""a":2"#), Expect::Version(first.clone())).await;
    let Set::Written(second) = second else { panic!("the version was the one held") };
    let late = set(fixture, &sid, &record(fixture, r#""a":3"#), Expect::Version(first)).await;
    assert_eq!(late, Set::Conflict);
    assert_eq!(held(fixture, &sid).await.unwrap(), [("a".into(), "2".into())]);
    let third = set(fixture, &sid, &record(fixture, r#""a":4"#), Expect::Version(second)).await;
    assert!(matches!(third, Set::Written(_)));
}

#[allow(missing_docs)]
pub async fn set_expecting_a_version_creates_nothing(fixture: &Fixture) {
    let sid = Sid::random();
    let version = put(fixture, &sid, &record(fixture, "")).await;
    fixture.store.destroy(&sid, &Expect::Anything).await.unwrap();
    let late = set(fixture, &sid, &record(fixture, ""), Expect::Version(version)).await;
    assert_eq!(late, Set::Conflict);
    assert!(get(fixture, &sid).await.is_none());
}

#[allow(missing_docs)]
pub async fn set_answers_the_version_that_get_answers(fixture: &Fixture) {
    let sid = Sid::random();
    put(fixture, &sid, &record(fixture, r#""a":1"#)).await;
    let read = get(fixture, &sid).await.unwrap().version;
    let written = set(fixture, &sid, &record(fixture, r#""a":2"#), Expect::Version(read)).await;
    let Set::Written(written) = written else { panic!("the version was the one read") };
    let read = get(fixture, &sid).await.unwrap().version;
    assert!(read == written, "both name what is held");
}

#[allow(missing_docs)]
pub async fn set_holds_the_record_until_its_cookie_expires(fixture: &Fixture) {
    let sid = Sid::random();
    put(fixture, &sid, &lasting(fixture, Some(SHORT), "")).await;
    assert!(get(fixture, &sid).await.is_some());
    put(fixture, &sid, &record(fixture, "")).await;
    fixture.pass(LONGER).await;
    assert!(get(fixture, &sid).await.is_some(), "the later write's expiry holds");
}

#[allow(missing_docs)]
pub async fn set_of_a_record_that_is_over_destroys_it_under_the_same_condition(fixture: &Fixture) {
    let sid = Sid::random();
    let first = put(fixture, &sid, &record(fixture, r#""a":1"#)).await;
    put(fixture, &sid, &record(fixture, r#""a":2"#)).await;
    assert_eq!(set(fixture, &sid, &over(fixture), Expect::Version(first)).await, Set::Conflict);
    let version = get(fixture, &sid).await.expect("a conflict destroys nothing").version;
    let written = set(fixture, &sid, &over(fixture), Expect::Version(version)).await;
    assert!(matches!(written, Set::Written(_)));
    assert!(get(fixture, &sid).await.is_none());
    put(fixture, &sid, &record(fixture, "")).await;
    put(fixture, &sid, &over(fixture)).await;
    assert!(get(fixture, &sid).await.is_none());
    assert!(matches!(set(fixture, &sid, &record(fixture, ""), Expect::Nothing).await, Set::Written(_)));
}

#[allow(missing_docs)]
pub async fn what_has_expired_counts_as_nothing_held(fixture: &Fixture) {
    let (versioned, anew) = (Sid::random(), Sid::random());
    let short = || lasting(fixture, Some(SHORT), "");
    let version = put(fixture, &versioned, &short()).await;
    put(fixture, &anew, &short()).await;
    fixture.pass(LONGER).await;
    let late = set(fixture, &versioned, &record(fixture, ""), Expect::Version(version)).await;
    assert_eq!(late, Set::Conflict);
    assert!(get(fixture, &versioned).await.is_none());
    assert!(matches!(set(fixture, &anew, &record(fixture, ""), Expect::Nothing).await, Set::Written(_)));
    assert!(get(fixture, &anew).await.is_some());
}

#[allow(missing_docs)]
pub async fn touch_moves_the_expiry_and_nothing_else(fixture: &Fixture) {
    let sid = Sid::random();
    let version = put(fixture, &sid, &lasting(fixture, Some(SHORT), r#""a":1"#)).await;
    let other = record(fixture, r#""a":2"#);
    assert_eq!(fixture.store.touch(&sid, &other.cookie).await.unwrap(), Touched::Moved);
    fixture.pass(LONGER).await;
    assert_eq!(held(fixture, &sid).await.expect("the expiry moved"), [("a".into(), "1".into())]);
    let next = set(fixture, &sid, &record(fixture, r#""a":3"#), Expect::Version(version)).await;
    assert!(matches!(next, Set::Written(_)), "a touch is no write that a conflict would be due to");
}

#[allow(missing_docs)]
pub async fn touch_of_an_unknown_sid_says_so_and_creates_nothing(fixture: &Fixture) {
    let sid = Sid::random();
    let touched = fixture.store.touch(&sid, &record(fixture, "").cookie).await.unwrap();
    assert_eq!(touched, Touched::Unknown);
    assert!(get(fixture, &sid).await.is_none());
}

#[allow(missing_docs)]
pub async fn touch_of_an_expired_record_does_not_revive_it(fixture: &Fixture) {
    let sid = Sid::random();
    put(fixture, &sid, &lasting(fixture, Some(SHORT), "")).await;
    fixture.pass(LONGER).await;
    let touched = fixture.store.touch(&sid, &record(fixture, "").cookie).await.unwrap();
    assert_eq!(touched, Touched::Unknown);
    assert!(get(fixture, &sid).await.is_none());
}

#[allow(missing_docs)]
pub async fn destroy_forgets_and_twice_is_fine(fixture: &Fixture) {
    let (sid, other) = (Sid::random(), Sid::random());
    put(fixture, &sid, &record(fixture, "")).await;
    put(fixture, &other, &record(fixture, "")).await;
    for _ in 0..2 {
        fixture.store.destroy(&sid, &Expect::Anything).await.unwrap();
        assert!(get(fixture, &sid).await.is_none());
    }
    assert!(get(fixture, &other).await.is_some());
}

#[allow(missing_docs)]
pub async fn sids_are_told_apart_to_the_byte(fixture: &Fixture) {
    let sids = [
        "a", "A", "a ", " a", "ä", "a'", "a\"", "a`--", "a\\", "a*", "a?", "a[b]", "a%", "a_", "😀", "a/b",
        "a:b",
    ];
    for (at, sid) in sids.iter().enumerate() {
        let written =
            set(fixture, &Sid::from(*sid), &record(fixture, &format!("\"at\":{at}")), Expect::Nothing).await;
        assert!(matches!(written, Set::Written(_)), "{sid:?} is another sid");
    }
    for (at, sid) in sids.iter().enumerate() {
        assert_eq!(held(fixture, &Sid::from(*sid)).await.unwrap(), [("at".into(), at.to_string())]);
    }
}

#[allow(missing_docs)]
pub async fn values_of_a_megabyte_come_back(fixture: &Fixture) {
    let sid = Sid::random();
    let large = record(fixture, &format!("\"large\":\"{}\"", "x".repeat(1 << 20)));
    put(fixture, &sid, &large).await;
    assert!(get(fixture, &sid).await.unwrap().record.to_json() == large.to_json());
}
