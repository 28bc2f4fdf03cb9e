//! How long a record is held, where that is less usual: for ever, for less than a second, until the year 9999.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use session_core::{Destroyed, Expect, Record, Set, Sid, Touched};

use crate::{
    Applies, Fixture,
    verbs::{HOUR, LIFE, LONGER, held, lasting, put, put_short, record, text_of, written},
};

/// What a store may round, and a test may take.
const ROUNDING: Duration = Duration::from_millis(1_400);
/// 9999-12-31T23:59:59Z, which many take for never.
const LAST: Duration = Duration::from_secs(253_402_300_799);

/// So much was left of it at a time that is past by now, give or take what a store rounds; `None`: for ever.
pub(crate) async fn is_left(fixture: &Fixture, begun: SystemTime, sid: &Sid, left: Option<Duration>) {
    let stored = fixture.store.get(sid).await.unwrap().expect("it is held");
    // As long as a busy machine has taken since.
    let passed = fixture.now().duration_since(begun).unwrap_or_default();
    let is_about = match (stored.left, left) {
        (None, None) => true,
        (Some(is), Some(left)) => left.saturating_sub(ROUNDING + passed) <= is && is <= left + ROUNDING,
        _ => false,
    };
    assert!(is_about, "{:?} is left, and not {left:?}", stored.left);
}

/// Held until the cookie's `expires`, whatever its `originalMaxAge` says: a record that was touched, or whose `expires` was
/// set, has two that differ.
pub async fn the_end_is_expires_and_not_the_original_max_age(fixture: &Fixture) {
    for age in [LIFE / 2, HOUR] {
        let begun = fixture.now();
        let until = |left: Duration| {
            let mut record = record(fixture, r#""a":1"#);
            // What is left of it at this moment becomes the age.
            record.cookie.set_expires(Some(fixture.now() + left), fixture.now() + left - age);
            record
        };
        let [anyhow, fresh, on, touched, kept] = [(); 5].map(|()| Sid::random());
        let life = lasting(fixture, Some(LIFE / 4), "");
        let version = Expect::Version(put(fixture, &on, &life).await);
        put(fixture, &anyhow, &until(LIFE)).await;
        written(fixture.store.set(&fresh, &until(LIFE), &Expect::Nothing).await.unwrap());
        written(fixture.store.set(&on, &until(LIFE), &version).await.unwrap());
        put(fixture, &touched, &life).await;
        let version = Expect::Version(put(fixture, &kept, &life).await);
        for (sid, expect) in [(&touched, Expect::Anything), (&kept, version)] {
            let moved = fixture.store.touch(sid, &until(LIFE).cookie, &expect).await.unwrap();
            assert_eq!(moved, Touched::Moved);
        }
        for sid in [&anyhow, &fresh, &on, &touched, &kept] {
            is_left(fixture, begun, sid, Some(LIFE)).await;
        }
        // And a touch now would make it the whole age.
        for sid in [&anyhow, &fresh, &on] {
            let lifetime = fixture.store.get(sid).await.unwrap().unwrap().lifetime.expect("it has an end");
            assert!(lifetime.abs_diff(age) <= ROUNDING, "{lifetime:?} is not {age:?}");
        }
    }
}

/// What ended at the beginning of time, or before it: zero is no sign of having no end.
pub async fn what_ended_at_the_epoch_has_expired(fixture: &Fixture) {
    let begun = fixture.now();
    let (sid, absent, life) = (Sid::random(), Sid::random(), lasting(fixture, Some(LIFE), r#""a":1"#));
    let version = put(fixture, &sid, &life).await;
    let day = Duration::from_secs(86_400);
    for end in [UNIX_EPOCH, UNIX_EPOCH + Duration::from_millis(1), UNIX_EPOCH + day, UNIX_EPOCH - day] {
        let mut ended = record(fixture, r#""ended":true"#);
        ended.cookie.set_expires(Some(end), fixture.now());
        for expect in [Expect::Anything, Expect::Nothing, Expect::Version(version.clone())] {
            for sid in [&sid, &absent] {
                assert_eq!(fixture.store.set(sid, &ended, &expect).await.unwrap(), Set::Expired);
                let touched = fixture.store.touch(sid, &ended.cookie, &expect).await.unwrap();
                assert_eq!(touched, Touched::Expired);
            }
        }
    }
    assert!(held(fixture, &absent).await.is_none());
    assert_eq!(held(fixture, &sid).await.unwrap(), [("a".into(), "1".into())]);
    is_left(fixture, begun, &sid, Some(LIFE)).await;
}

/// In whole seconds that may be none, which is no error, no end that has come already, and no end that never comes.
pub async fn what_has_less_than_a_second_left_is_written_and_ends(fixture: &Fixture) {
    const MILLI: Duration = Duration::from_millis(1);
    let calls = [
        ("anything", false),
        ("anything", true),
        ("nothing", false),
        ("a version", false),
        ("a version", true),
    ];
    let cases = |millis| calls.map(|(expect, touches)| (Duration::from_millis(millis), expect, touches));
    let mut ahead: Vec<_> = [1, 300, 499, 501, 999].into_iter().flat_map(cases).collect();
    let (mut all, mut late) = (Vec::new(), 0);
    while let Some(case) = ahead.pop() {
        let ((left, expect, touches), sid) = (case, Sid::random());
        let life = lasting(fixture, Some(LIFE), r#""a":1"#);
        let version = match expect {
            "nothing" => Expect::Nothing,
            "anything" => {
                put(fixture, &sid, &life).await;
                Expect::Anything
            }
            _ => Expect::Version(put(fixture, &sid, &life).await),
        };
        let short = lasting(fixture, Some(left), r#""a":2"#);
        let (is_done, answer) = if touches {
            let answer = fixture.store.touch(&sid, &short.cookie, &version).await.unwrap();
            (answer == Touched::Moved, format!("{answer:?}"))
        } else {
            let answer = fixture.store.set(&sid, &short, &version).await.unwrap();
            (matches!(answer, Set::Written(_)), format!("{answer:?}"))
        };
        if !is_done {
            // On the real clock it may have come to its end on the way: again, unless a millisecond is too short for any way.
            let is_late = fixture.clock.is_none() && short.expires().is_some_and(|end| end <= fixture.now());
            assert!(is_late, "{left:?}: {answer}");
            late += 1;
            assert!(late < 200, "nothing is written in time");
            ahead.extend((left > MILLI).then_some(case));
            continue;
        }
        let stored = fixture.store.get(&sid).await.unwrap();
        assert!(stored.is_some() || !fixture.is_exact, "{left:?}: its end has not come");
        if let Some(stored) = stored {
            assert!(stored.left.is_some_and(|is| is <= left + ROUNDING), "{:?} is left", stored.left);
        }
        all.push(sid);
    }
    fixture.pass(LONGER).await;
    for sid in all {
        assert!(held(fixture, &sid).await.is_none(), "its end has come");
    }
}

/// A date that many write for never, beyond the nanoseconds of 64 bits.
pub async fn what_ends_in_the_year_9999_is_held(fixture: &Fixture) {
    let far = || {
        let mut record = record(fixture, r#""a":1"#);
        record.cookie.set_expires(Some(UNIX_EPOCH + LAST), fixture.now());
        record
    };
    let [anyhow, on, touched, kept] = [(); 4].map(|()| Sid::random());
    let life = lasting(fixture, Some(LIFE), r#""a":1"#);
    put(fixture, &anyhow, &far()).await;
    let version = put(fixture, &on, &life).await;
    written(fixture.store.set(&on, &far(), &Expect::Version(version)).await.unwrap());
    put(fixture, &touched, &life).await;
    let version = put(fixture, &kept, &life).await;
    for (sid, expect) in [(&touched, Expect::Anything), (&kept, Expect::Version(version))] {
        assert_eq!(fixture.store.touch(sid, &far().cookie, &expect).await.unwrap(), Touched::Moved);
    }
    for sid in [&anyhow, &on, &touched, &kept] {
        let stored = fixture.store.get(sid).await.unwrap().expect("it is held");
        // The first columns to end do so in 2038.
        assert!(stored.left.is_none_or(|left| left > HOUR * 24 * 365 * 10), "{:?} is left", stored.left);
        assert_eq!(fixture.store.set(sid, &life, &Expect::Nothing).await.unwrap(), Set::Conflict);
    }
}

/// A write as a touch: the time to live begins anew, whether what was there before had an end of its own or not.
pub async fn a_write_without_expires_begins_the_time_to_live_anew(fixture: &Fixture) {
    let [anyhow, on] = [(); 2].map(|()| Sid::random());
    let session = lasting(fixture, None, r#""a":1"#);
    put(fixture, &anyhow, &session).await;
    let mut version = put(fixture, &on, &session).await;
    for n in 0..2 {
        fixture.pass(LONGER).await;
        let begun = fixture.now();
        let session = lasting(fixture, None, &format!("\"n\":{n}"));
        put(fixture, &anyhow, &session).await;
        version = written(fixture.store.set(&on, &session, &Expect::Version(version)).await.unwrap());
        for sid in [&anyhow, &on] {
            is_left(fixture, begun, sid, fixture.ttl).await;
        }
    }
}

/// How long a session may lie unused, where its cookie lives until the browser closes: whatever the store's own time to live is.
pub async fn a_cookie_without_expires_is_held_as_long_as_it_may_lie_unused(fixture: &Fixture) {
    let unused = |time: Option<Duration>| {
        let mut record = lasting(fixture, None, r#""a":1"#);
        record.cookie.set_held_until(time.map(|time| fixture.now() + time));
        record
    };
    for time in [LIFE, HOUR * 24 * 40] {
        let begun = fixture.now();
        let [anyhow, fresh, on, touched, kept] = [(); 5].map(|()| Sid::random());
        let session = lasting(fixture, Some(LIFE / 2), "");
        put(fixture, &anyhow, &unused(Some(time))).await;
        written(fixture.store.set(&fresh, &unused(Some(time)), &Expect::Nothing).await.unwrap());
        let version = Expect::Version(put(fixture, &on, &session).await);
        written(fixture.store.set(&on, &unused(Some(time)), &version).await.unwrap());
        put(fixture, &touched, &unused(Some(LIFE / 2))).await;
        let version = Expect::Version(put(fixture, &kept, &unused(Some(LIFE / 2))).await);
        for (sid, expect) in [(&touched, Expect::Anything), (&kept, version)] {
            let moved = fixture.store.touch(sid, &unused(Some(time)).cookie, &expect).await.unwrap();
            assert_eq!(moved, Touched::Moved);
        }
        for sid in [&anyhow, &fresh, &on, &touched, &kept] {
            is_left(fixture, begun, sid, Some(time)).await;
            let read = fixture.store.get(sid).await.unwrap().expect("it is held").record;
            assert_eq!(read.expires(), None, "no browser is told");
        }
    }
    let (sid, ended) = (Sid::random(), unused(Some(Duration::ZERO)));
    assert_eq!(fixture.store.set(&sid, &ended, &Expect::Anything).await.unwrap(), Set::Expired);
    put(fixture, &sid, &unused(Some(LIFE))).await;
    let touched = fixture.store.touch(&sid, &ended.cookie, &Expect::Anything).await.unwrap();
    assert_eq!(touched, Touched::Expired);
}

/// When it has begun, and what goes by that, and which ids it has had: in the record beside cookie and data.
pub async fn the_times_of_a_session_stay_with_it(fixture: &Fixture) {
    let timed = |times: &str| {
        let ids = r#"{"issued":1767323045678,"next":"a","former":"b","was":"dGVuIGJ5dGVz"}"#;
        let text = format!(r#"{{"cookie":{{}},"__session_times":{times},"__session_ids":{ids},"a":"b"}}"#);
        let mut record = Record::parse(text).unwrap();
        record.cookie.set_max_age(Some(HOUR), fixture.now());
        record
    };
    let (sid, first) = (Sid::random(), timed(r#"{"begun":1767323045678}"#));
    let version = put(fixture, &sid, &first).await;
    let all = r#"{"begun":1767323045678,"authenticated":1767323045679,"absolute":7776000000}"#;
    for (record, is_touch) in [(first, true), (timed(all), false)] {
        if is_touch {
            let touched = fixture.store.touch(&sid, &record.cookie, &Expect::Version(version.clone())).await;
            assert_eq!(touched.unwrap(), Touched::Moved);
        } else {
            written(fixture.store.set(&sid, &record, &Expect::Version(version.clone())).await.unwrap());
        }
        let read = fixture.store.get(&sid).await.unwrap().expect("it is held").record;
        assert!(read == record && text_of(&read) == text_of(&record), "its times are its own");
        assert_eq!(read.data.keys().collect::<Vec<_>>(), ["a"]);
    }
}

/// What has no `expires` is held as any other: no condition overlooks it, and none is met by it that should not be.
pub async fn what_has_no_expires_is_held_to_every_verb(fixture: &Fixture) {
    for data in [r#""a":1"#, ""] {
        let begun = fixture.now();
        let (sid, session) = (Sid::random(), lasting(fixture, None, data));
        let old = put(fixture, &sid, &record(fixture, r#""old":true"#)).await;
        let version = put(fixture, &sid, &session).await;
        let next = lasting(fixture, Some(LIFE), r#""a":2"#);
        for expect in [Expect::Nothing, Expect::Version(old)] {
            assert_eq!(fixture.store.set(&sid, &next, &expect).await.unwrap(), Set::Conflict, "{expect:?}");
            let touched = fixture.store.touch(&sid, &next.cookie, &expect).await.unwrap();
            assert_eq!(touched, Touched::Conflict, "{expect:?}");
            let destroyed = fixture.store.destroy(&sid, &expect).await.unwrap();
            assert_eq!(destroyed, Destroyed::Conflict, "{expect:?}");
            is_left(fixture, begun, &sid, fixture.ttl).await;
        }
        // From no end to no end, which some databases count as nothing done.
        for expect in [Expect::Anything, Expect::Version(version.clone())] {
            for _ in 0..2 {
                let touched = fixture.store.touch(&sid, &session.cookie, &expect).await.unwrap();
                assert_eq!(touched, Touched::Moved, "{expect:?}");
                is_left(fixture, begun, &sid, fixture.ttl).await;
            }
        }
        let stored = fixture.store.get(&sid).await.unwrap().expect("it is held");
        assert!(stored.version == version && text_of(&stored.record) == text_of(&session));
        let second = lasting(fixture, None, r#""a":3"#);
        let version = written(fixture.store.set(&sid, &second, &Expect::Version(version)).await.unwrap());
        let destroyed = fixture.store.destroy(&sid, &Expect::Version(version)).await.unwrap();
        assert_eq!(destroyed, Destroyed::Destroyed);
        assert!(held(fixture, &sid).await.is_none());
    }
}

/// Without `expires`, and without data: `NULL` is neither before now nor after it.
pub async fn what_has_no_expires_is_listed_and_never_pruned(fixture: &Fixture) {
    let mut all = BTreeMap::new();
    for at in 0..12 {
        let sid = Sid::random();
        let data = if at % 3 == 0 { String::new() } else { format!("\"at\":{at}") };
        let record = lasting(fixture, (at % 2 == 0).then_some(HOUR), &data);
        put(fixture, &sid, &record).await;
        all.insert(sid, text_of(&record));
    }
    // One that a touch has made so.
    let (touched, record) = (Sid::random(), lasting(fixture, Some(LIFE), r#""touched":true"#));
    put(fixture, &touched, &record).await;
    let session = lasting(fixture, None, "").cookie;
    let moved = fixture.store.touch(&touched, &session, &Expect::Anything).await.unwrap();
    assert_eq!(moved, Touched::Moved);
    all.insert(touched, text_of(&record));
    put_short(fixture, &Sid::random(), "", &Expect::Anything).await;
    fixture.pass(LONGER).await;
    for expired in [u64::from(!fixture.expires_by_itself), 0] {
        let (mut sids, mut records) = (BTreeSet::new(), BTreeMap::new());
        fixture.store.ids(&mut |sid| _ = sids.insert(sid)).await.unwrap();
        fixture
            .store
            .all(&mut |sid, record: Record| _ = records.insert(sid, text_of(&record)))
            .await
            .unwrap();
        assert!(sids.iter().eq(all.keys()), "ids shows what is held");
        assert!(records == all, "all shows what is held");
        assert_eq!(fixture.store.length().await.unwrap(), all.len() as u64);
        assert_eq!(fixture.store.prune().await.unwrap(), expired);
    }
    for sid in all.keys() {
        assert!(held(fixture, sid).await.is_some(), "it is pruned");
    }
    fixture.store.clear().await.unwrap();
    for sid in all.keys() {
        assert!(held(fixture, sid).await.is_none(), "it is not cleared");
    }
}

/// Many stores prune as they write, every few minutes. Only of a store that goes by a clock of the test's.
pub async fn what_is_removed_by_the_way_has_expired(fixture: &Fixture) -> Applies {
    if fixture.clock.is_none() {
        return Applies::No;
    }
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let mut all = Vec::new();
    for lifetime in [None, Some(minutes(61)), Some(minutes(75)), Some(minutes(89)), Some(minutes(600))] {
        let (sid, touched) = (Sid::random(), Sid::random());
        put(fixture, &sid, &lasting(fixture, lifetime, r#""a":1"#)).await;
        put(fixture, &touched, &lasting(fixture, Some(minutes(1)), r#""a":1"#)).await;
        let cookie = lasting(fixture, lifetime, "").cookie;
        let moved = fixture.store.touch(&touched, &cookie, &Expect::Anything).await.unwrap();
        assert_eq!(moved, Touched::Moved);
        all.extend([sid, touched]);
    }
    for _ in 0..3 {
        fixture.pass(minutes(20)).await;
        for _ in 0..4 {
            let sid = Sid::random();
            put(fixture, &sid, &record(fixture, "")).await;
            fixture.store.touch(&sid, &record(fixture, "").cookie, &Expect::Anything).await.unwrap();
            fixture.store.destroy(&sid, &Expect::Anything).await.unwrap();
            // What was begun in a task of its own goes on while others are served.
            for _ in 0..4 {
                assert!(held(fixture, &sid).await.is_none());
                tokio::task::yield_now().await;
            }
        }
        for sid in &all {
            assert!(held(fixture, sid).await.is_some(), "it has not expired");
        }
    }
    Applies::Yes
}
