//! The contract of the four verbs, a test a sentence.

use std::time::{Duration, SystemTime};

use futures_util::{StreamExt, future::join_all, stream};
use session_core::{
    Cookie, Destroyed, Expect, Record, SameSite, Set, Sid, StoreError, Stored, Touched, Version,
};

use crate::{Applies, Fixture};

/// Long enough to be read before it has expired, short enough to wait for: stores count in whole seconds.
pub(crate) const SHORT: Duration = Duration::from_secs(2);
pub(crate) const LONGER: Duration = Duration::from_millis(3_200);
/// What is touched: see [`Fixture::new`].
pub(crate) const LIFE: Duration = Duration::from_secs(40);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// By so much a store may be off that counts in whole seconds, and the way to it takes its time.
const ROUNDING: Duration = Duration::from_millis(1_400);

/// A record of one hour, with data that JSON readers like to spoil.
pub(crate) fn record(fixture: &Fixture, data: &str) -> Record {
    lasting(fixture, Some(HOUR), data)
}

pub(crate) fn lasting(fixture: &Fixture, lifetime: Option<Duration>, data: &str) -> Record {
    let comma = if data.is_empty() { "" } else { "," };
    let mut record = Record::parse(format!("{{\"cookie\":{{}}{comma}{data}}}")).unwrap();
    record.cookie.set_max_age(lifetime, fixture.now());
    record
}

/// So long ago ended what has ended: now, within the second of now, or before it.
const ENDED: [Duration; 7] = [
    Duration::ZERO,
    Duration::from_millis(1),
    Duration::from_millis(300),
    Duration::from_millis(499),
    Duration::from_millis(999),
    Duration::from_secs(1),
    HOUR,
];

/// Records that have expired by so much; the last one has no time to live at all.
fn all_expired(fixture: &Fixture) -> Vec<Record> {
    let mut all: Vec<Record> = ENDED.into_iter().map(|since| expired(fixture, since)).collect();
    all.push(lasting(fixture, Some(Duration::ZERO), r#""expired":true"#));
    all
}

/// Expired by this much.
fn expired(fixture: &Fixture, since: Duration) -> Record {
    let mut record = record(fixture, r#""expired":true"#);
    record.cookie.set_expires(Some(fixture.now() - since), fixture.now());
    record
}

async fn set(fixture: &Fixture, sid: &Sid, record: &Record, expect: Expect) -> Set {
    fixture.store.set(sid, record, &expect).await.unwrap()
}

async fn touch(fixture: &Fixture, sid: &Sid, cookie: &Cookie, expect: Expect) -> Touched {
    fixture.store.touch(sid, cookie, &expect).await.unwrap()
}

async fn destroy(fixture: &Fixture, sid: &Sid, expect: Expect) -> Destroyed {
    fixture.store.destroy(sid, &expect).await.unwrap()
}

pub(crate) fn written(set: Set) -> Version {
    match set {
        Set::Written(version) => version,
        other => panic!("what was expected is held, and the write is refused: {other:?}"),
    }
}

pub(crate) async fn put(fixture: &Fixture, sid: &Sid, record: &Record) -> Version {
    written(set(fixture, sid, record, Expect::Anything).await)
}

async fn get(fixture: &Fixture, sid: &Sid) -> Option<Stored> {
    fixture.store.get(sid).await.unwrap()
}

/// How often a busy machine may be too late for an end that is near.
const TRIES: usize = 50;

/// Whether a machine that is busy was too late for this end, on the real clock.
fn is_too_late(fixture: &Fixture, end: SystemTime) -> bool {
    fixture.clock.is_none() && end <= fixture.now()
}

/// Writes what lives for [`SHORT`] and answers when it ends. What has expired on its way to the store is written again.
pub(crate) async fn put_short(
    fixture: &Fixture,
    sid: &Sid,
    data: &str,
    expect: &Expect,
) -> (Version, SystemTime) {
    for _ in 0..TRIES {
        let (end, short) = (fixture.now() + SHORT, lasting(fixture, Some(SHORT), data));
        match set(fixture, sid, &short, expect.clone()).await {
            Set::Expired if is_too_late(fixture, end) => {}
            answer => return (written(answer), end),
        }
    }
    panic!("nothing is written in time");
}

/// The same by a touch.
pub(crate) async fn touch_short(fixture: &Fixture, sid: &Sid, expect: &Expect) -> SystemTime {
    for _ in 0..TRIES {
        let (end, short) = (fixture.now() + SHORT, lasting(fixture, Some(SHORT), ""));
        match touch(fixture, sid, &short.cookie, expect.clone()).await {
            Touched::Expired if is_too_late(fixture, end) => {}
            answer => {
                assert_eq!(answer, Touched::Moved);
                return end;
            }
        }
    }
    panic!("nothing is touched in time");
}

/// What an attempt came to that must be over before the end that it answers as well; one for which it was too late is made
/// again.
pub(crate) async fn in_time<T>(fixture: &Fixture, attempt: impl AsyncFn() -> (SystemTime, Option<T>)) -> T {
    for _ in 0..TRIES {
        match attempt().await {
            (_, Some(done)) => return done,
            (end, None) => assert!(is_too_late(fixture, end), "it is gone, and its end has not come"),
        }
    }
    panic!("nothing is done in time");
}

/// The data as text.
pub(crate) fn text_of(record: &Record) -> Vec<(String, String)> {
    record.data.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn is_about(time: Option<Duration>, least: Option<Duration>, most: Option<Duration>) -> bool {
    match (time, least, most) {
        (None, None, None) => true,
        (Some(time), Some(least), Some(most)) => {
            least.saturating_sub(ROUNDING) <= time && time <= most + ROUNDING
        }
        _ => false,
    }
}

/// Held, and until then: `None` is for ever.
async fn held_until(fixture: &Fixture, sid: &Sid, end: Option<SystemTime>) -> Stored {
    if_held_until(fixture, sid, end).await.expect("it is held")
}

/// The same of what may have come to its end.
async fn if_held_until(fixture: &Fixture, sid: &Sid, end: Option<SystemTime>) -> Option<Stored> {
    let before = fixture.now();
    let stored = get(fixture, sid).await?;
    let after = fixture.now();
    let left = |now| end.map(|end| end.duration_since(now).unwrap_or_default());
    assert!(is_about(stored.left, left(after), left(before)), "{:?} of {:?}", stored.left, left(after));
    Some(stored)
}

fn lives_for(stored: &Stored, lifetime: Option<Duration>) {
    assert!(is_about(stored.lifetime, lifetime, lifetime), "{:?} of {lifetime:?}", stored.lifetime);
}

/// What is held, as the data's text.
pub(crate) async fn held(fixture: &Fixture, sid: &Sid) -> Option<Vec<(String, String)>> {
    get(fixture, sid).await.map(|stored| text_of(&stored.record))
}

#[allow(missing_docs)]
pub async fn get_answers_what_was_set(fixture: &Fixture) {
    let data = [
        r#""a":1"#,
        r#""n":null,"t":true,"f":1.5,"big":9007199254740993,"e":1e+21"#,
        r#""s":"é☃😀\\ \"quoted\" </script>","o":{"z":1,"a":[1,{"b":[]}]},"empty":"","list":[]"#,
        r#""$set":{"$inc":1,"a.b":2},"__proto__":{},"constructor":1"#,
        "",
    ];
    for data in data {
        for lifetime in [Some(HOUR), None] {
            for record in [lasting(fixture, lifetime, data), with_attributes(fixture, lifetime, data)] {
                let [anyhow, new, on] = [(); 3].map(|()| Sid::random());
                let before = put(fixture, &on, &lasting(fixture, Some(LIFE), r#""before":true"#)).await;
                put(fixture, &anyhow, &record).await;
                written(set(fixture, &new, &record, Expect::Nothing).await);
                written(set(fixture, &on, &record, Expect::Version(before)).await);
                for sid in [&anyhow, &new, &on] {
                    let stored = get(fixture, sid).await.expect("what was set is there");
                    assert_eq!(stored.record.to_json(), record.to_json());
                }
            }
        }
    }
}

pub(crate) fn with_attributes(fixture: &Fixture, lifetime: Option<Duration>, data: &str) -> Record {
    let mut record = lasting(fixture, lifetime, data);
    record.cookie.set_partitioned(true);
    record.cookie.set_secure(true);
    record.cookie.set_http_only(false);
    record.cookie.set_domain(Some("example.com"));
    record.cookie.set_path("/app");
    record.cookie.set_same_site(Some(SameSite::Strict));
    record
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
    put_short(fixture, &sid, "", &Expect::Anything).await;
    fixture.pass(LONGER).await;
    assert!(get(fixture, &sid).await.is_none());
}

#[allow(missing_docs)]
pub async fn get_tells_how_long_the_record_is_held(fixture: &Fixture) {
    let mut held = Vec::new();
    for lifetime in [LIFE, HOUR, YEAR] {
        let (sid, record) = (Sid::random(), lasting(fixture, Some(lifetime), ""));
        put(fixture, &sid, &record).await;
        lives_for(&held_until(fixture, &sid, record.expires()).await, Some(lifetime));
        held.push((sid, record.expires(), lifetime));
    }
    fixture.pass(Duration::from_secs(2)).await;
    let (sid, end, lifetime) = &held[0];
    // Twice: to be read is not to be touched.
    for _ in 0..2 {
        lives_for(&held_until(fixture, sid, *end).await, Some(*lifetime));
    }
    let short = lasting(fixture, Some(LIFE), "");
    assert_eq!(touch(fixture, sid, &short.cookie, Expect::Anything).await, Touched::Moved);
    lives_for(&held_until(fixture, sid, short.expires()).await, Some(LIFE));

    // Further than some columns go, which may hold it until they end.
    let far = lasting(fixture, Some(YEAR * 200), "");
    let [anyhow, on, touched, kept] = [(); 4].map(|()| Sid::random());
    put(fixture, &anyhow, &far).await;
    let version = put(fixture, &on, &short).await;
    written(set(fixture, &on, &far, Expect::Version(version)).await);
    put(fixture, &touched, &short).await;
    let version = put(fixture, &kept, &short).await;
    for (sid, expect) in [(&touched, Expect::Anything), (&kept, Expect::Version(version))] {
        assert_eq!(touch(fixture, sid, &far.cookie, expect).await, Touched::Moved);
    }
    let far = [&anyhow, &on, &touched, &kept];
    for sid in far {
        assert!(get(fixture, sid).await.expect("it is held").left.is_none_or(|left| left > YEAR));
    }
    for sid in held.iter().map(|(sid, ..)| sid).chain(far) {
        assert_eq!(destroy(fixture, sid, Expect::Anything).await, Destroyed::Destroyed);
    }
}

/// Held for ever or for the time to live that the fixture says, from between these times on.
async fn held_for_the_ttl(fixture: &Fixture, sid: &Sid, since: SystemTime, until: SystemTime) -> Stored {
    let before = fixture.now();
    let stored = get(fixture, sid).await.expect("it is held");
    let after = fixture.now();
    let left =
        |since: SystemTime, now| fixture.ttl.map(|ttl| (since + ttl).duration_since(now).unwrap_or_default());
    let (least, most) = (left(since, after), left(until, before));
    assert!(is_about(stored.left, least, most), "{:?} of {:?}", stored.left, fixture.ttl);
    stored
}

/// Without `expires` by every way to it, and between which times that was: written three ways, then touched in two.
async fn without_expires(fixture: &Fixture) -> ([Sid; 5], SystemTime, SystemTime) {
    let sids = [(); 5].map(|()| Sid::random());
    let [anyhow, fresh, on, touched, kept] = &sids;
    let session = lasting(fixture, None, "");
    let short = lasting(fixture, Some(LIFE), "");
    for sid in [anyhow, touched] {
        put(fixture, sid, &short).await;
    }
    let version = put(fixture, on, &short).await;
    let kept_version = put(fixture, kept, &short).await;
    let since = fixture.now();
    put(fixture, anyhow, &session).await;
    written(set(fixture, fresh, &session, Expect::Nothing).await);
    written(set(fixture, on, &session, Expect::Version(version)).await);
    for (sid, expect) in [(touched, Expect::Anything), (kept, Expect::Version(kept_version))] {
        assert_eq!(touch(fixture, sid, &session.cookie, expect).await, Touched::Moved);
    }
    (sids, since, fixture.now())
}

#[allow(missing_docs)]
pub async fn a_cookie_without_expires_is_held_for_the_stores_own_time_to_live(fixture: &Fixture) {
    let (sids, since, until) = without_expires(fixture).await;
    let (written, touched) = sids.split_at(3);
    for sid in written {
        lives_for(&held_for_the_ttl(fixture, sid, since, until).await, fixture.ttl);
    }
    for sid in touched {
        held_for_the_ttl(fixture, sid, since, until).await;
    }
    let (session, life) = (lasting(fixture, None, ""), lasting(fixture, Some(LIFE), ""));
    for is_conditional in [false, true] {
        let sid = Sid::random();
        let version = put(fixture, &sid, &session).await;
        let expect = if is_conditional { Expect::Version(version) } else { Expect::Anything };
        assert_eq!(touch(fixture, &sid, &life.cookie, expect).await, Touched::Moved);
        held_until(fixture, &sid, life.expires()).await;
    }
}

/// And no longer. Only of a store that goes by a clock of the test's: nobody waits for a day.
#[allow(missing_docs)]
pub async fn what_has_no_expires_ends_with_the_stores_own_time_to_live(fixture: &Fixture) -> Applies {
    if fixture.clock.is_none() {
        return Applies::No;
    }
    let (sids, ..) = without_expires(fixture).await;
    fixture.pass(fixture.ttl.map_or(10 * YEAR, |ttl| ttl.saturating_sub(SHORT))).await;
    for sid in &sids {
        assert!(get(fixture, sid).await.is_some());
    }
    if fixture.ttl.is_some() {
        // From the time to live to the time to live again, and the others' end comes.
        let (session, moved, moved_too) = (lasting(fixture, None, ""), &sids[0], &sids[1]);
        let version = get(fixture, moved_too).await.expect("it is held").version;
        for (sid, expect) in [(moved, Expect::Anything), (moved_too, Expect::Version(version))] {
            let since = fixture.now();
            assert_eq!(touch(fixture, sid, &session.cookie, expect).await, Touched::Moved);
            held_for_the_ttl(fixture, sid, since, fixture.now()).await;
        }
        fixture.pass(SHORT + LONGER).await;
        for sid in &sids {
            assert_eq!(get(fixture, sid).await.is_some(), sid == moved || sid == moved_too);
        }
    }
    Applies::Yes
}

/// Up or to the nearest second, never down, on whichever side of a second's beginning it falls. Read more than half a
/// second before each one's end: the nearest second is no sooner.
#[allow(missing_docs)]
pub async fn a_lifetime_is_never_rounded_down(fixture: &Fixture) {
    const MILLI: Duration = Duration::from_millis(1);
    let hold = async |start: SystemTime, tenth: u32| {
        let end = start + MILLI * (1_500 + 100 * tenth);
        let sids = [(); 4].map(|()| Sid::random());
        let [anyhow, on, touched, kept] = &sids;
        let life = lasting(fixture, Some(LIFE), r#""a":1"#);
        let mut short = record(fixture, r#""a":2"#);
        short.cookie.set_expires(Some(end), fixture.now());
        let answers = [set(fixture, anyhow, &short, Expect::Anything).await, {
            let version = put(fixture, on, &life).await;
            set(fixture, on, &short, Expect::Version(version)).await
        }];
        put(fixture, touched, &life).await;
        let moved = touch(fixture, touched, &short.cookie, Expect::Anything).await;
        let expect = Expect::Version(put(fixture, kept, &life).await);
        let answer = touch(fixture, kept, &short.cookie, expect).await;
        let is_done = answers.iter().all(|answer| matches!(answer, Set::Written(_)));
        let is_done = is_done && [moved, answer] == [Touched::Moved; 2];
        assert!(is_done || is_too_late(fixture, end), "{answers:?} {moved:?} {answer:?}");
        (tenth, end, sids)
    };
    let mut ahead: Vec<u32> = (0..10).collect();
    // What a busy machine asked too late has shown nothing: it is held again.
    for _ in 0..TRIES {
        let start = fixture.now();
        for (tenth, end, sids) in join_all(ahead.clone().into_iter().map(|tenth| hold(start, tenth))).await {
            fixture.pass_until(end - 600 * MILLI).await;
            let mut all_held = true;
            for sid in sids {
                let is_held = get(fixture, &sid).await.is_some();
                let was_in_time = fixture.now() < end - 500 * MILLI;
                assert!(
                    is_held || !was_in_time,
                    "it is dropped more than half a second before its cookie expires"
                );
                all_held &= is_held;
            }
            if all_held {
                ahead.retain(|other| *other != tenth);
            }
        }
    }
    assert!(ahead.is_empty(), "nothing is read in time");
}

#[allow(missing_docs)]
pub async fn get_of_a_record_that_cannot_be_read_is_an_error_that_says_so(fixture: &Fixture) -> Applies {
    let Some(plant) = fixture.planting() else { return Applies::No };
    for text in ["{\"hunter2\":", "[\"hunter2\"]", "{\"hunter2\":1}"] {
        let sid = Sid::random();
        plant(sid.clone(), text.into(), fixture.now() + HOUR).await;
        for _ in 0..2 {
            let error = fixture.store.get(&sid).await.unwrap_err();
            assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
            let shown = format!("{error:?} {error}");
            assert!(!shown.contains("hunter2") && !shown.contains(sid.as_str()), "{shown}");
        }
        destroy(fixture, &sid, Expect::Anything).await;
    }
    Applies::Yes
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
    destroy(fixture, &sid, Expect::Anything).await;
    let late = set(fixture, &sid, &record(fixture, ""), Expect::Version(version)).await;
    assert_eq!(late, Set::Conflict);
    assert!(get(fixture, &sid).await.is_none());
}

#[allow(missing_docs)]
pub async fn a_version_is_not_that_of_a_later_session_under_the_sid(fixture: &Fixture) {
    let sid = Sid::random();
    let first = put(fixture, &sid, &record(fixture, r#""a":1"#)).await;
    destroy(fixture, &sid, Expect::Anything).await;
    written(set(fixture, &sid, &record(fixture, r#""a":2"#), Expect::Nothing).await);
    let late = set(fixture, &sid, &record(fixture, r#""a":3"#), Expect::Version(first.clone())).await;
    assert_eq!(late, Set::Conflict);
    let cookie = record(fixture, "").cookie;
    assert_eq!(touch(fixture, &sid, &cookie, Expect::Version(first.clone())).await, Touched::Conflict);
    assert_eq!(destroy(fixture, &sid, Expect::Version(first)).await, Destroyed::Conflict);
    assert_eq!(held(fixture, &sid).await.unwrap(), [("a".into(), "2".into())]);
}

/// Only of a store that goes by a clock of the test's: nobody waits for hours.
#[allow(missing_docs)]
pub async fn a_version_is_as_good_after_hours(fixture: &Fixture) -> Applies {
    const DAY: Duration = Duration::from_secs(86_400);
    if fixture.clock.is_none() {
        return Applies::No;
    }
    let sid = Sid::random();
    let first = Expect::Version(put(fixture, &sid, &lasting(fixture, Some(DAY), r#""a":1"#)).await);
    let second = Expect::Version(put(fixture, &sid, &lasting(fixture, Some(DAY), r#""a":2"#)).await);
    fixture.pass(2 * HOUR).await;
    let next = lasting(fixture, Some(DAY), r#""a":3"#);
    assert_eq!(set(fixture, &sid, &next, first.clone()).await, Set::Conflict);
    assert_eq!(touch(fixture, &sid, &next.cookie, first.clone()).await, Touched::Conflict);
    assert_eq!(destroy(fixture, &sid, first).await, Destroyed::Conflict);
    assert_eq!(held(fixture, &sid).await.unwrap(), [("a".into(), "2".into())]);
    assert_eq!(touch(fixture, &sid, &next.cookie, second.clone()).await, Touched::Moved);
    fixture.pass(2 * HOUR).await;
    written(set(fixture, &sid, &next, second).await);
    Applies::Yes
}

/// Pairs of records that are one to a collation, to a part of the record, or to who stops reading somewhere.
/// The text, of a large one its end.
fn shown(record: &Record) -> String {
    let json = record.to_json();
    if json.len() <= 300 { json } else { json.get(json.len() - 40..).unwrap_or_default().into() }
}

fn almost_alike(fixture: &Fixture) -> Vec<[Record; 2]> {
    let of = |data: &str| lasting(fixture, Some(LIFE), data);
    let large = |last: &str| of(&format!("\"large\":\"{}{last}\"", "x".repeat(1 << 20)));
    let mut pairs = vec![
        [of(r#""s":"a""#), of(r#""s":"A""#)],
        [of(r#""s":"ä""#), of(r#""s":"Ä""#)],
        [of(r#""s":"ä""#), of(r#""s":"ö""#)],
        [of(r#""s":"a""#), of(r#""s":"a ""#)],
        [of(r#""s":"a""#), of("\"s\":\"a\u{200b}\"")],
        [of(r#""s":"a""#), of(r#""s":"ａ""#)],
        [of("\"s\":\"\u{e9}\""), of("\"s\":\"e\u{301}\"")],
        [of(r#""s":"ß""#), of(r#""s":"ss""#)],
        [of(r#""s":"😀""#), of(r#""s":"😁""#)],
        [of(r#""n":9007199254740993"#), of(r#""n":9007199254740992"#)],
        [of(r#""n":1"#), of(r#""n":"1""#)],
        [of(r#""n":1"#), of(r#""n":true"#)],
        [of(r#""n":0"#), of(r#""n":false"#)],
        [of(r#""n":null"#), of("")],
        [of(r#""n":null"#), of(r#""n":"""#)],
        [of(r#""n":[]"#), of(r#""n":{}"#)],
        [of(r#""s":"ab""#), of(r#""s":"ba""#)],
        [of(r#""s":"a""#), lasting(fixture, Some(LIFE / 2), r#""s":"a""#)],
        [of(r#""s":"a""#), with_attributes(fixture, Some(LIFE), r#""s":"a""#)],
        [large("a"), large("b")],
    ];
    // Either of them may be the one that is held.
    pairs.extend(pairs.clone().into_iter().map(|[one, other]| [other, one]));
    pairs
}

#[allow(missing_docs)]
pub async fn a_version_is_of_all_that_is_held(fixture: &Fixture) {
    for [before, after] in almost_alike(fixture) {
        let sid = Sid::random();
        let old = Expect::Version(put(fixture, &sid, &before).await);
        let version = put(fixture, &sid, &after).await;
        let (data, next) = (text_of(&after), lasting(fixture, Some(LIFE), r#""next":true"#));
        let what = shown(&after);
        assert_eq!(set(fixture, &sid, &next, old.clone()).await, Set::Conflict, "{what}");
        assert_eq!(touch(fixture, &sid, &next.cookie, old.clone()).await, Touched::Conflict, "{what}");
        assert_eq!(destroy(fixture, &sid, old).await, Destroyed::Conflict, "{what}");
        let stored = get(fixture, &sid).await.expect("a conflict destroys nothing");
        assert!(stored.version == version && text_of(&stored.record) == data, "{what}");

        let expect = Expect::Version(version);
        assert_eq!(touch(fixture, &sid, &after.cookie, expect.clone()).await, Touched::Moved, "{what}");
        written(set(fixture, &sid, &next, expect).await);
        let expect = Expect::Version(put(fixture, &sid, &after).await);
        assert_eq!(destroy(fixture, &sid, expect).await, Destroyed::Destroyed, "{what}");
    }
}

/// Some databases count no row that a statement leaves as it was.
#[allow(missing_docs)]
pub async fn what_changes_nothing_is_done_all_the_same(fixture: &Fixture) {
    let (sid, same) = (Sid::random(), lasting(fixture, Some(LIFE), r#""a":1"#));
    let mut version = put(fixture, &sid, &same).await;
    for _ in 0..2 {
        for expect in [Expect::Anything, Expect::Version(version.clone())] {
            for _ in 0..2 {
                let touched = touch(fixture, &sid, &same.cookie, expect.clone()).await;
                assert_eq!(touched, Touched::Moved, "{expect:?}");
            }
        }
        for _ in 0..2 {
            version = written(set(fixture, &sid, &same, Expect::Version(version)).await);
        }
        put(fixture, &sid, &same).await;
        version = put(fixture, &sid, &same).await;
        assert_eq!(set(fixture, &sid, &same, Expect::Nothing).await, Set::Conflict);
        let stored = held_until(fixture, &sid, same.expires()).await;
        assert!(stored.version == version && text_of(&stored.record) == text_of(&same));
    }
    assert_eq!(destroy(fixture, &sid, Expect::Version(version)).await, Destroyed::Destroyed);
}

/// Only of a store that says of itself that it is [that exact](Fixture::exact_to_the_millisecond).
#[allow(missing_docs)]
pub async fn the_end_is_the_same_millisecond_to_every_verb(fixture: &Fixture) -> Applies {
    const MILLI: Duration = Duration::from_millis(1);
    if !fixture.is_exact || fixture.clock.is_none() {
        return Applies::No;
    }
    for is_held in [true, false] {
        let sids = [(); 6].map(|()| Sid::random());
        let life = lasting(fixture, Some(LIFE), r#""a":1"#);
        let mut versions = Vec::new();
        for sid in &sids {
            versions.push(Expect::Version(put(fixture, sid, &life).await));
        }
        fixture.pass(if is_held { LIFE - MILLI } else { LIFE + MILLI }).await;
        let [read, touched, kept, on, fresh, destroyed] = &sids;
        let next = record(fixture, r#""a":2"#);
        assert_eq!(get(fixture, read).await.is_some(), is_held);
        for (sid, expect) in [(touched, Expect::Anything), (kept, versions[2].clone())] {
            let answer = if is_held { Touched::Moved } else { Touched::Unknown };
            assert_eq!(touch(fixture, sid, &next.cookie, expect).await, answer);
            assert_eq!(get(fixture, sid).await.is_some(), is_held);
        }
        let set_on = set(fixture, on, &next, versions[3].clone()).await;
        assert_eq!(matches!(set_on, Set::Written(_)), is_held, "{set_on:?}");
        assert_eq!(get(fixture, on).await.is_some(), is_held);
        let anew = set(fixture, fresh, &next, Expect::Nothing).await;
        assert_eq!(matches!(anew, Set::Written(_)), !is_held, "{anew:?}");
        let nothing = destroy(fixture, destroyed, Expect::Nothing).await;
        assert_eq!(nothing, if is_held { Destroyed::Conflict } else { Destroyed::Unknown });
    }
    Applies::Yes
}

/// Where it is, whole seconds and the way they are rounded are the store's business; that it is in one place is not. Asked
/// ten times a second, of records that nobody has asked of before. Only of a store that goes by a clock of the test's.
#[allow(missing_docs)]
pub async fn all_verbs_see_the_end_at_the_same_moment(fixture: &Fixture) -> Applies {
    const BEFORE: Duration = Duration::from_secs(1);
    const STEP: Duration = Duration::from_millis(100);
    const STEPS: usize = 24;
    if fixture.clock.is_none() {
        return Applies::No;
    }
    // The first end is in the one half of a second, and the second in the other.
    for _ in 0..2 {
        let first = lasting(fixture, Some(3 * BEFORE), r#""a":0"#);
        let life = lasting(fixture, Some(3 * BEFORE), r#""a":1"#);
        let hold = async |_| {
            let sids = [(); 9].map(|()| Sid::random());
            let put_all = async |record| {
                let versions = join_all(sids.iter().map(|sid| put(fixture, sid, record))).await;
                versions.into_iter().map(Expect::Version).collect::<Vec<_>>()
            };
            let (old, versions) = (put_all(&first).await, put_all(&life).await);
            (sids, old, versions)
        };
        let held: Vec<_> = stream::iter(0..STEPS).then(hold).collect().await;
        fixture.pass(2 * BEFORE).await;
        let mut seen = Vec::new();
        for (sids, old, versions) in held {
            let [read, touched, kept, moved, on, fresh, nothing, destroyed, own] = &sids;
            let is_held = get(fixture, read).await.is_some();
            let next = lasting(fixture, Some(LIFE), r#""a":2"#);
            let mut listed = Vec::new();
            fixture.store.ids(&mut |sid| listed.push(sid)).await.unwrap();
            assert_eq!(listed.contains(read), is_held);
            assert_eq!(fixture.store.length().await.unwrap(), listed.len() as u64);

            let answer = if is_held { Touched::Moved } else { Touched::Unknown };
            for (sid, expect) in [(touched, Expect::Anything), (kept, versions[2].clone())] {
                assert_eq!(touch(fixture, sid, &next.cookie, expect).await, answer);
            }
            let answer = if is_held { Touched::Conflict } else { Touched::Unknown };
            for expect in [old[3].clone(), Expect::Nothing] {
                assert_eq!(touch(fixture, moved, &next.cookie, expect).await, answer);
            }
            let answer = set(fixture, on, &next, versions[4].clone()).await;
            assert_eq!(matches!(answer, Set::Written(_)), is_held, "{answer:?}");
            let answer = set(fixture, fresh, &next, Expect::Nothing).await;
            assert_eq!(matches!(answer, Set::Written(_)), !is_held, "{answer:?}");
            let answer = destroy(fixture, nothing, Expect::Nothing).await;
            assert_eq!(answer, if is_held { Destroyed::Conflict } else { Destroyed::Unknown });
            let answer = destroy(fixture, destroyed, old[7].clone()).await;
            assert_eq!(answer == Destroyed::Conflict, is_held, "{answer:?}");
            let answer = destroy(fixture, own, versions[8].clone()).await;
            assert!(answer == Destroyed::Destroyed || !is_held, "{answer:?}");
            seen.push(is_held);
            fixture.pass(STEP).await;
        }
        assert!(seen[0] && !seen[STEPS - 1] && seen.is_sorted_by(|before, after| before >= after));
    }
    Applies::Yes
}

#[allow(missing_docs)]
pub async fn set_answers_the_version_that_get_answers(fixture: &Fixture) {
    let sid = Sid::random();
    let mut expect = Expect::Nothing;
    for n in 0..4 {
        let version = written(set(fixture, &sid, &record(fixture, &format!("\"n\":{n}")), expect).await);
        let read = get(fixture, &sid).await.unwrap().version;
        assert!(read == version, "both name what is held");
        expect = if n == 1 { Expect::Anything } else { Expect::Version(read) };
    }
}

#[allow(missing_docs)]
pub async fn set_holds_the_record_until_its_cookie_expires(fixture: &Fixture) {
    let sid = Sid::random();
    in_time(fixture, async || {
        let (_, end) = put_short(fixture, &sid, "", &Expect::Anything).await;
        (end, get(fixture, &sid).await)
    })
    .await;
    put(fixture, &sid, &record(fixture, "")).await;
    fixture.pass(LONGER).await;
    assert!(get(fixture, &sid).await.is_some(), "the later write's expiry holds");
}

#[allow(missing_docs)]
pub async fn set_moves_the_expiry_under_every_condition(fixture: &Fixture) {
    let sid = Sid::random();
    let mut expect = Expect::Nothing;
    for (n, lifetime) in [LIFE, HOUR, LIFE, HOUR, LIFE].into_iter().enumerate() {
        let record = lasting(fixture, Some(lifetime), &format!("\"n\":{n}"));
        let version = written(set(fixture, &sid, &record, expect).await);
        lives_for(&held_until(fixture, &sid, record.expires()).await, Some(lifetime));
        expect = if n < 2 { Expect::Version(version) } else { Expect::Anything };
    }
}

#[allow(missing_docs)]
pub async fn set_of_an_expired_record_says_so_and_changes_nothing(fixture: &Fixture) {
    let (sid, absent) = (Sid::random(), Sid::random());
    let first = put(fixture, &sid, &record(fixture, r#""a":1"#)).await;
    let second = record(fixture, r#""a":2"#);
    let version = put(fixture, &sid, &second).await;
    for expired in all_expired(fixture) {
        for expect in [
            Expect::Anything,
            Expect::Nothing,
            Expect::Version(version.clone()),
            Expect::Version(first.clone()),
        ] {
            for sid in [&sid, &absent] {
                let answer = set(fixture, sid, &expired, expect.clone()).await;
                assert_eq!(answer, Set::Expired, "{expect:?}");
            }
            assert!(get(fixture, &absent).await.is_none());
            let stored = held_until(fixture, &sid, second.expires()).await;
            assert!(stored.version == version && text_of(&stored.record) == [("a".into(), "2".into())]);
        }
    }
    assert_eq!(fixture.store.length().await.unwrap(), 1);
}

/// The beginning of a record.
const UNREADABLE: &str = "{\"hunter2\":";

/// Something that cannot be read is held under each of these, for so long.
async fn unreadable<const N: usize>(fixture: &Fixture, lifetime: Duration) -> Option<[Sid; N]> {
    let plant = fixture.planting()?;
    let sids = [(); N].map(|()| Sid::random());
    for sid in &sids {
        plant(sid.clone(), UNREADABLE.into(), fixture.now() + lifetime).await;
    }
    Some(sids)
}

async fn is_unreadable(fixture: &Fixture, sid: &Sid) -> bool {
    matches!(fixture.store.get(sid).await, Err(StoreError::Corrupt { .. }))
}

#[allow(missing_docs)]
pub async fn a_record_that_cannot_be_read_is_held_all_the_same(fixture: &Fixture) -> Applies {
    let Some(plant) = fixture.planting() else { return Applies::No };
    let [sid, other] = [(); 2].map(|()| Sid::random());
    let version = put(fixture, &sid, &record(fixture, r#""a":1"#)).await;
    // As a program writes that knows of no versions.
    for sid in [&sid, &other] {
        plant(sid.clone(), UNREADABLE.into(), fixture.now() + HOUR).await;
    }
    let next = record(fixture, r#""a":2"#);
    for expect in [Expect::Nothing, Expect::Version(version)] {
        assert_eq!(set(fixture, &sid, &next, expect.clone()).await, Set::Conflict, "{expect:?}");
        let touched = touch(fixture, &sid, &next.cookie, expect.clone()).await;
        assert_eq!(touched, Touched::Conflict, "{expect:?}");
        assert_eq!(destroy(fixture, &sid, expect.clone()).await, Destroyed::Conflict, "{expect:?}");
        assert!(is_unreadable(fixture, &sid).await);
    }
    // Whatever it answers, it repairs nothing.
    _ = fixture.store.touch(&sid, &next.cookie, &Expect::Anything).await;
    assert!(is_unreadable(fixture, &sid).await);
    put(fixture, &sid, &next).await;
    assert_eq!(held(fixture, &sid).await.unwrap(), [("a".into(), "2".into())]);
    assert_eq!(destroy(fixture, &other, Expect::Anything).await, Destroyed::Destroyed);
    assert!(get(fixture, &other).await.is_none());
    Applies::Yes
}

#[allow(missing_docs)]
pub async fn a_record_that_cannot_be_read_expires_as_any_other(fixture: &Fixture) -> Applies {
    let Some(sids) = unreadable::<8>(fixture, SHORT).await else { return Applies::No };
    let [read, touched, on, anew, anyhow, all, nothing, others] = &sids;
    if fixture.clock.is_some() {
        assert!(is_unreadable(fixture, read).await, "it has not expired yet");
    }
    let version = Expect::Version(put(fixture, &Sid::random(), &record(fixture, r#""a":1"#)).await);
    fixture.pass(LONGER).await;
    assert!(get(fixture, read).await.is_none());
    let mut listed = Vec::new();
    fixture.store.ids(&mut |sid| listed.push(sid)).await.unwrap();
    assert_eq!((listed.len(), fixture.store.length().await.unwrap()), (1, 1));

    let next = record(fixture, r#""a":2"#);
    for expect in [Expect::Anything, Expect::Nothing, version.clone()] {
        assert_eq!(
            touch(fixture, touched, &next.cookie, expect.clone()).await,
            Touched::Unknown,
            "{expect:?}"
        );
        assert!(get(fixture, touched).await.is_none());
    }
    assert_eq!(set(fixture, on, &next, version.clone()).await, Set::Conflict);
    assert!(get(fixture, on).await.is_none());
    for (sid, expect) in [(anew, Expect::Nothing), (anyhow, Expect::Anything)] {
        written(set(fixture, sid, &next, expect).await);
        assert_eq!(held(fixture, sid).await.unwrap(), [("a".into(), "2".into())]);
    }
    assert_eq!(destroy(fixture, nothing, Expect::Nothing).await, Destroyed::Unknown);
    for (sid, expect) in [(all, Expect::Anything), (others, version)] {
        assert_ne!(destroy(fixture, sid, expect.clone()).await, Destroyed::Conflict, "{expect:?}");
        assert!(get(fixture, sid).await.is_none());
    }
    Applies::Yes
}

#[allow(missing_docs)]
pub async fn what_has_expired_counts_as_nothing_held(fixture: &Fixture) {
    let sids = [(); 7].map(|()| Sid::random());
    let mut versions = Vec::new();
    for sid in &sids {
        versions.push(put_short(fixture, sid, r#""a":1"#, &Expect::Anything).await.0);
    }
    let other = put(fixture, &Sid::random(), &record(fixture, r#""a":2"#)).await;
    fixture.pass(LONGER).await;
    let [versioned, anew, anyhow, all, own, others, nothing] = &sids;
    let (next, version) = (record(fixture, r#""a":3"#), |at: usize| Expect::Version(versions[at].clone()));
    assert_eq!(set(fixture, versioned, &next, version(0)).await, Set::Conflict);
    assert!(get(fixture, versioned).await.is_none());
    written(set(fixture, anew, &next, Expect::Nothing).await);
    assert_eq!(set(fixture, anew, &record(fixture, ""), version(1)).await, Set::Conflict);
    put(fixture, anyhow, &next).await;
    for sid in [anew, anyhow] {
        assert_eq!(held(fixture, sid).await.unwrap(), [("a".into(), "3".into())]);
    }
    // That it was still there may be seen, but not that it is still held.
    for (sid, expect) in [(all, Expect::Anything), (own, version(4)), (others, Expect::Version(other))] {
        assert_ne!(destroy(fixture, sid, expect.clone()).await, Destroyed::Conflict, "{expect:?}");
        assert!(get(fixture, sid).await.is_none());
    }
    assert_eq!(destroy(fixture, nothing, Expect::Nothing).await, Destroyed::Unknown);
    assert!(get(fixture, nothing).await.is_none());
}

#[allow(missing_docs)]
pub async fn touch_moves_the_expiry_and_nothing_else(fixture: &Fixture) {
    let [later, earlier, ended] = [(); 3].map(|()| Sid::random());
    in_time(fixture, async || {
        put(fixture, &earlier, &lasting(fixture, Some(LIFE), r#""a":1"#)).await;
        let end = touch_short(fixture, &earlier, &Expect::Anything).await;
        (end, if_held_until(fixture, &earlier, Some(end)).await)
    })
    .await;
    let move_on = async |sid| {
        let moved = in_time(fixture, async || {
            let (version, end) = put_short(fixture, sid, r#""a":1"#, &Expect::Anything).await;
            fixture.pass(SHORT / 4).await;
            let long = lasting(fixture, Some(LIFE), r#""a":2"#);
            let touched = touch(fixture, sid, &long.cookie, Expect::Anything).await;
            (end, (touched == Touched::Moved).then_some((version, long)))
        });
        let (version, long) = moved.await;
        let stored = held_until(fixture, sid, long.expires()).await;
        assert_eq!(text_of(&stored.record), [("a".into(), "1".into())]);
        (version, long)
    };
    let ((version, long), (other, _)) = (move_on(&later).await, move_on(&ended).await);
    fixture.pass(LONGER).await;
    assert!(get(fixture, &earlier).await.is_none(), "its new end has come");
    let stored = held_until(fixture, &later, long.expires()).await;
    assert_eq!(text_of(&stored.record), [("a".into(), "1".into())]);
    // The end that it had at first counts no longer, and a touch is no write that a conflict would be due to.
    assert!(stored.version == version);
    let expect = Expect::Version(version.clone());
    assert_eq!(touch(fixture, &later, &long.cookie, expect).await, Touched::Moved);
    assert_eq!(set(fixture, &later, &record(fixture, ""), Expect::Nothing).await, Set::Conflict);
    written(set(fixture, &later, &record(fixture, r#""a":3"#), Expect::Version(version)).await);
    assert_eq!(destroy(fixture, &ended, Expect::Version(other)).await, Destroyed::Destroyed);
}

/// With the record's own cookie, its end moved, as the core does it.
#[allow(missing_docs)]
pub async fn touch_keeps_the_cookies_attributes_and_the_lifetime(fixture: &Fixture) {
    for is_conditional in [false, true] {
        for lifetime in [LIFE, LIFE / 2] {
            let text = r#""a":1,"nothing":null,"big":9007199254740993,"o":{"a":[]}"#;
            let (sid, record) = (Sid::random(), with_attributes(fixture, Some(LIFE), text));
            let version = put(fixture, &sid, &record).await;
            let data = held(fixture, &sid).await;
            // Where the time is the real one, the end moves by what it took.
            if fixture.clock.is_some() {
                fixture.pass(SHORT).await;
            }
            let mut moved = record.cookie.clone();
            moved.set_max_age(Some(lifetime), fixture.now());
            let expect = if is_conditional { Expect::Version(version) } else { Expect::Anything };
            assert_eq!(touch(fixture, &sid, &moved, expect).await, Touched::Moved);
            let stored = held_until(fixture, &sid, moved.expires()).await;
            let is = |time| is_about(stored.lifetime, Some(time), Some(time));
            assert!(is(LIFE) || is(lifetime), "{:?} is neither's", stored.lifetime);
            assert_eq!(Some(text_of(&stored.record)), data, "a touch changes no data");
            let mut kept = stored.record.cookie;
            kept.set_max_age(None, fixture.now());
            moved.set_max_age(None, fixture.now());
            assert!(kept == moved, "an attribute is lost");
        }
    }
}

#[allow(missing_docs)]
pub async fn touch_goes_by_the_condition(fixture: &Fixture) {
    let sid = Sid::random();
    let first = put(fixture, &sid, &record(fixture, r#""a":1"#)).await;
    let second = lasting(fixture, Some(LIFE), r#""a":2"#);
    let version = put(fixture, &sid, &second).await;
    let is_second =
        |stored: &Stored| stored.version == version && text_of(&stored.record) == [("a".into(), "2".into())];
    for expect in [Expect::Version(first), Expect::Nothing] {
        for lifetime in [LIFE / 2, HOUR] {
            let cookie = lasting(fixture, Some(lifetime), r#""a":3"#).cookie;
            let touched = touch(fixture, &sid, &cookie, expect.clone()).await;
            assert_eq!(touched, Touched::Conflict, "{expect:?}");
            let stored = held_until(fixture, &sid, second.expires()).await;
            assert!(is_second(&stored), "a conflict changes nothing");
        }
    }
    // As often as one likes: what is held stays what was read.
    for lifetime in [LIFE / 2, LIFE, LIFE / 4] {
        let next = lasting(fixture, Some(lifetime), r#""a":3"#);
        let expect = Expect::Version(version.clone());
        assert_eq!(touch(fixture, &sid, &next.cookie, expect).await, Touched::Moved);
        let stored = held_until(fixture, &sid, next.expires()).await;
        assert!(is_second(&stored), "a touch moves the expiry and nothing else");
    }
    written(set(fixture, &sid, &record(fixture, ""), Expect::Version(version)).await);
}

#[allow(missing_docs)]
pub async fn touch_with_an_expired_cookie_says_so_and_changes_nothing(fixture: &Fixture) {
    let (sid, absent) = (Sid::random(), Sid::random());
    let first = put(fixture, &sid, &record(fixture, r#""a":1"#)).await;
    let second = lasting(fixture, Some(LIFE), r#""a":2"#);
    let version = put(fixture, &sid, &second).await;
    for expired in all_expired(fixture) {
        for expect in [
            Expect::Anything,
            Expect::Nothing,
            Expect::Version(version.clone()),
            Expect::Version(first.clone()),
        ] {
            for sid in [&sid, &absent] {
                let answer = touch(fixture, sid, &expired.cookie, expect.clone()).await;
                assert_eq!(answer, Touched::Expired, "{expect:?}");
            }
            assert!(get(fixture, &absent).await.is_none());
            let stored = held_until(fixture, &sid, second.expires()).await;
            assert!(stored.version == version && text_of(&stored.record) == [("a".into(), "2".into())]);
        }
    }
    assert_eq!(fixture.store.length().await.unwrap(), 1);
}

#[allow(missing_docs)]
pub async fn touch_of_an_unknown_sid_says_so_and_creates_nothing(fixture: &Fixture) {
    let (sid, record) = (Sid::random(), record(fixture, ""));
    let version = put(fixture, &sid, &record).await;
    destroy(fixture, &sid, Expect::Anything).await;
    for sid in [&sid, &Sid::random()] {
        for expect in [Expect::Anything, Expect::Nothing, Expect::Version(version.clone())] {
            let touched = touch(fixture, sid, &record.cookie, expect.clone()).await;
            assert_eq!(touched, Touched::Unknown, "{expect:?}");
            assert!(get(fixture, sid).await.is_none());
        }
    }
}

#[allow(missing_docs)]
pub async fn touch_of_an_expired_record_does_not_revive_it(fixture: &Fixture) {
    let sid = Sid::random();
    let (own, _) = put_short(fixture, &sid, r#""a":1"#, &Expect::Anything).await;
    let other = put(fixture, &Sid::random(), &record(fixture, r#""a":2"#)).await;
    fixture.pass(LONGER).await;
    for expect in [Expect::Version(own), Expect::Version(other), Expect::Nothing, Expect::Anything] {
        let touched = touch(fixture, &sid, &record(fixture, "").cookie, expect.clone()).await;
        assert_eq!(touched, Touched::Unknown, "{expect:?}");
        assert!(get(fixture, &sid).await.is_none());
    }
}

#[allow(missing_docs)]
pub async fn destroy_forgets_and_twice_is_fine(fixture: &Fixture) {
    let (sid, other) = (Sid::random(), Sid::random());
    put(fixture, &sid, &record(fixture, "")).await;
    put(fixture, &other, &record(fixture, "")).await;
    for answer in [Destroyed::Destroyed, Destroyed::Unknown] {
        assert_eq!(destroy(fixture, &sid, Expect::Anything).await, answer);
        assert!(get(fixture, &sid).await.is_none());
    }
    assert!(get(fixture, &other).await.is_some());
}

#[allow(missing_docs)]
pub async fn destroy_goes_by_the_condition(fixture: &Fixture) {
    let sid = Sid::random();
    let first = put(fixture, &sid, &record(fixture, r#""a":1"#)).await;
    let version = put(fixture, &sid, &record(fixture, r#""a":2"#)).await;
    for expect in [Expect::Version(first), Expect::Nothing] {
        assert_eq!(destroy(fixture, &sid, expect.clone()).await, Destroyed::Conflict, "{expect:?}");
        let stored = get(fixture, &sid).await.expect("a conflict destroys nothing");
        assert!(stored.version == version && text_of(&stored.record) == [("a".into(), "2".into())]);
    }
    let expect = Expect::Version(version);
    assert_eq!(destroy(fixture, &sid, expect.clone()).await, Destroyed::Destroyed);
    for expect in [expect, Expect::Nothing, Expect::Anything] {
        assert_eq!(destroy(fixture, &sid, expect.clone()).await, Destroyed::Unknown, "{expect:?}");
    }
    assert!(get(fixture, &sid).await.is_none());
    assert_eq!(fixture.store.length().await.unwrap(), 0);
}

#[allow(missing_docs)]
pub async fn sids_are_told_apart_to_the_byte(fixture: &Fixture) {
    let long = "x".repeat(127);
    let (long_a, long_b) = (format!("{long}a"), format!("{long}b"));
    let sids = [
        "a",
        "A",
        "a ",
        " a",
        "ä",
        "á",
        "a\u{301}",
        "a\u{200b}",
        "a'",
        "a\"",
        "a`--",
        "a\\",
        "a*",
        "a?",
        "a[b]",
        "a%",
        "a_",
        "😀",
        "a/b",
        "a:b",
        &long_a,
        &long_b,
    ];
    for (at, sid) in sids.iter().enumerate() {
        let answer =
            set(fixture, &Sid::from(*sid), &record(fixture, &format!("\"at\":{at}")), Expect::Nothing).await;
        assert!(matches!(answer, Set::Written(_)), "{sid:?} is another sid");
    }
    for (at, sid) in sids.iter().enumerate() {
        assert_eq!(held(fixture, &Sid::from(*sid)).await.unwrap(), [("at".into(), at.to_string())]);
    }
}

/// Only a `genid` makes such sids. What a store cannot hold is an error, and never another one's session.
#[allow(missing_docs)]
pub async fn a_sid_is_held_or_refused_as_a_whole(fixture: &Fixture) {
    let [long, longer, longest] = [129, 256, 5_000].map(|length| "x".repeat(length));
    let blank = format!("{}  ", "x".repeat(128));
    let sids = [&long, &longer, &longest, &blank, "a\0b", "a\0", "b:a", "a:", ":a", "a\nb", "{a}b", "b{a}"];
    for cut in ["a", "b", &"x".repeat(128), &"x".repeat(255)] {
        // What a longer one would be cut to, if it is held.
        _ = fixture.store.set(&cut.into(), &record(fixture, r#""cut":true"#), &Expect::Anything).await;
    }
    for (at, sid) in sids.into_iter().enumerate() {
        let record = record(fixture, &format!("\"at\":{at}"));
        match fixture.store.set(&sid.into(), &record, &Expect::Nothing).await {
            Ok(answer) => {
                assert!(matches!(answer, Set::Written(_)), "{sid:?} is another sid");
                assert_eq!(held(fixture, &sid.into()).await.unwrap(), [("at".into(), at.to_string())]);
            }
            Err(error) => assert!(!format!("{error:?}").contains(&"x".repeat(64)), "an error shows no sid"),
        }
    }
}

/// Each matches one of [`PLAIN`] in the language of some database.
const PATTERNS: [&str; 14] =
    ["*", "%", "?b", "_b", "a*", "a%", "a?", "a_", "a[b]", "[a-z]b", "a.", "^a", "a|b", "a\\"];
/// Each is the first of [`PLAIN`] to the collation of some database.
const LOOKALIKES: [&str; 5] = ["A", "a ", "ä", "a\u{200b}", "a\u{301}"];
const PLAIN: [&str; 5] = ["a", "b", "ab", "abc", "a/b"];

/// What is done to the one half of the sids changes nothing of the other.
#[allow(missing_docs)]
pub async fn no_sid_is_a_pattern(fixture: &Fixture) {
    let patterns: Vec<Sid> = PATTERNS.iter().chain(&LOOKALIKES).map(|sid| Sid::from(*sid)).collect();
    let plain: Vec<Sid> = PLAIN.iter().map(|sid| Sid::from(*sid)).collect();
    let (store, all) = (&fixture.store, || patterns.iter().chain(&plain));
    for action in ["touch", "touch a version", "set", "set a version", "destroy", "destroy a version"] {
        for (reached, others) in [(&patterns, &plain), (&plain, &patterns)] {
            // The same record under all of them, so that a version that is a digest is of no help.
            let record = lasting(fixture, Some(LIFE), r#""a":1"#);
            let next = lasting(fixture, Some(LIFE / 2), r#""a":2"#);
            join_all(all().map(|sid| put(fixture, sid, &record))).await;
            join_all(reached.iter().map(async |sid| {
                let version = async || Expect::Version(store.get(sid).await.unwrap().unwrap().version);
                let touch = async |expect| touch(fixture, sid, &next.cookie, expect).await;
                match action {
                    "touch" => assert_eq!(touch(Expect::Anything).await, Touched::Moved),
                    "touch a version" => assert_eq!(touch(version().await).await, Touched::Moved),
                    "set" => _ = put(fixture, sid, &next).await,
                    "set a version" => _ = written(set(fixture, sid, &next, version().await).await),
                    "destroy" => _ = destroy(fixture, sid, Expect::Anything).await,
                    _ => _ = destroy(fixture, sid, version().await).await,
                }
            }))
            .await;
            for sid in others {
                let stored = get(fixture, sid).await;
                let stored = stored.unwrap_or_else(|| panic!("{action}: {:?} is reached", sid.as_str()));
                let untouched = stored.left.is_some_and(|left| left > LIFE * 3 / 4);
                let unwritten = text_of(&stored.record) == [("a".into(), "1".into())];
                assert!(untouched && unwritten, "{action}: {:?} is reached", sid.as_str());
            }
            for sid in reached {
                let is_held = get(fixture, sid).await.is_some();
                assert_eq!(is_held, !action.starts_with("destroy"), "{action} {:?}", sid.as_str());
            }
        }
    }
}

#[allow(missing_docs)]
pub async fn values_of_a_megabyte_come_back(fixture: &Fixture) {
    let [anyhow, new, on] = [(); 3].map(|()| Sid::random());
    let large = record(fixture, &format!("\"large\":\"{}\"", "x".repeat(1 << 20)));
    let version = put(fixture, &on, &record(fixture, "")).await;
    put(fixture, &anyhow, &large).await;
    written(set(fixture, &new, &large, Expect::Nothing).await);
    written(set(fixture, &on, &large, Expect::Version(version)).await);
    for sid in [&anyhow, &new, &on] {
        assert!(get(fixture, sid).await.unwrap().record.to_json() == large.to_json());
    }
}
