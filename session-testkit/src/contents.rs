//! What a record holds comes back, under its own sid and with a version of its own.

use std::collections::BTreeSet;

use session_core::{Cookie, Destroyed, Expect, Priority, SameSite, Set, Sid, StoreError, Touched};

use crate::{
    Applies, Fixture,
    lifetimes::is_left,
    verbs::{HOUR, LIFE, LONGER, held, lasting, put, put_short, record, text_of, with_attributes, written},
};

/// Keys and values that a store of columns, of paths or of its own JSON writer spoils.
pub async fn odd_keys_and_values_come_back(fixture: &Fixture) {
    let data = [
        r#""a.b":1,"a":{"b":2},"A":3,"$a":4"#,
        r#""":1,"é":2,"😀":3,"a b":4,"a'b":5"#,
        r#""a\"b":1,"a\\b":2,"a\nb":3"#,
        // Names of fields that stores have of their own.
        r#""_id":1,"id":2,"sid":3,"expires":"then","expire":4,"version":5,"ttl":6,"session":{},"sess":[],"data":7"#,
        r#""x":{"cookie":{"expires":"then","originalMaxAge":1,"path":"/x"}}"#,
        r#""c":"a\nb\r\n\tc\b\f\u001f","blank":" a  b ","number":"1","date":"2026-01-02T03:04:05.678Z""#,
        r#""f":0.30000000000000004,"small":1e-7,"n":-9007199254740991"#,
    ];
    for data in data {
        let [anyhow, on] = [(); 2].map(|()| Sid::random());
        let record = lasting(fixture, Some(LIFE), data);
        let version = put(fixture, &on, &lasting(fixture, Some(LIFE), "")).await;
        put(fixture, &anyhow, &record).await;
        let version = written(fixture.store.set(&on, &record, &Expect::Version(version)).await.unwrap());
        let text = text_of(&record);
        for (sid, expect) in [(&anyhow, Expect::Anything), (&on, Expect::Version(version.clone()))] {
            assert_eq!(held(fixture, sid).await.as_ref(), Some(&text));
            let moved = lasting(fixture, Some(HOUR), "").cookie;
            assert_eq!(fixture.store.touch(sid, &moved, &expect).await.unwrap(), Touched::Moved);
            assert_eq!(held(fixture, sid).await.as_ref(), Some(&text), "a touch changes no data");
        }
        written(fixture.store.set(&on, &record, &Expect::Version(version)).await.unwrap());
    }
}

/// What cannot be held is an error when it is written, not when it is read.
pub async fn what_is_nested_deep_is_held_or_refused(fixture: &Fixture) {
    for depth in [60, 99, 100, 101, 127, 128, 129, 600, 3_000] {
        let sid = Sid::random();
        let before = put(fixture, &sid, &record(fixture, r#""before":true"#)).await;
        let deep = record(fixture, &format!("\"deep\":{}1{}", "[".repeat(depth), "]".repeat(depth)));
        match fixture.store.set(&sid, &deep, &Expect::Version(before)).await {
            Ok(answer) => {
                assert!(matches!(answer, Set::Written(_)), "{depth}: {answer:?}");
                assert!(held(fixture, &sid).await.unwrap() == text_of(&deep), "{depth}");
            }
            Err(_) => {
                assert!(depth > 60, "so deep are some sessions");
                assert_eq!(held(fixture, &sid).await.unwrap(), [("before".into(), "true".into())]);
            }
        }
    }
}

/// Nothing of the cookie that was there before is left.
pub async fn the_cookie_is_that_of_the_last_write(fixture: &Fixture) {
    let plain = || lasting(fixture, Some(LIFE), r#""a":1"#);
    let with = |change: fn(&mut Cookie)| {
        let mut record = plain();
        change(&mut record.cookie);
        record
    };
    let records = [
        with_attributes(fixture, Some(LIFE), r#""a":1"#),
        plain(),
        with(|cookie| cookie.set_priority(Some(Priority::High))),
        with(|cookie| cookie.set_priority(Some(Priority::Low))),
        with(|cookie| cookie.set_same_site(Some(SameSite::Lax))),
        with(|cookie| cookie.set_same_site(Some(SameSite::None))),
        with(|cookie| cookie.set_secure(false)),
        with(|cookie| cookie.set_partitioned(false)),
        with(|cookie| cookie.set_path("/é '\"\\;%/a")),
        plain(),
    ];
    let [anyhow, on] = [(); 2].map(|()| Sid::random());
    let mut version = put(fixture, &on, &plain()).await;
    for record in records {
        put(fixture, &anyhow, &record).await;
        version = written(fixture.store.set(&on, &record, &Expect::Version(version)).await.unwrap());
        for sid in [&anyhow, &on] {
            let stored = fixture.store.get(sid).await.unwrap().expect("it is held");
            assert_eq!(stored.record.to_json(), record.to_json());
        }
    }
}

/// As any other, and keeps its data.
pub async fn a_large_record_is_touched(fixture: &Fixture) {
    let sid = Sid::random();
    let large = lasting(fixture, Some(LIFE), &format!("\"large\":\"{}\"", "é\\n☃".repeat(100_000)));
    let version = put(fixture, &sid, &large).await;
    for (expect, lifetime) in [(Expect::Anything, LIFE / 2), (Expect::Version(version), HOUR)] {
        let begun = fixture.now();
        let cookie = lasting(fixture, Some(lifetime), "").cookie;
        assert_eq!(fixture.store.touch(&sid, &cookie, &expect).await.unwrap(), Touched::Moved);
        is_left(fixture, begun, &sid, Some(lifetime)).await;
        assert!(held(fixture, &sid).await.unwrap() == text_of(&large), "a touch changes no data");
    }
}

/// Not by a destruction, not by a clearing, not when what has expired was removed.
pub async fn no_version_comes_again_under_a_sid(fixture: &Fixture) {
    for end in ["destroyed", "expired", "expired and pruned", "cleared"] {
        let sid = Sid::random();
        let first = record(fixture, r#""a":1"#);
        let old = Expect::Version(if end.starts_with("expired") {
            put_short(fixture, &sid, r#""a":1"#, &Expect::Nothing).await.0
        } else {
            written(fixture.store.set(&sid, &first, &Expect::Nothing).await.unwrap())
        });
        match end {
            "destroyed" => _ = fixture.store.destroy(&sid, &Expect::Anything).await.unwrap(),
            "cleared" => fixture.store.clear().await.unwrap(),
            _ => fixture.pass(LONGER).await,
        }
        if end == "expired and pruned" {
            fixture.store.prune().await.unwrap();
        }
        let begun = fixture.now();
        let second = lasting(fixture, Some(LIFE), r#""a":2"#);
        written(fixture.store.set(&sid, &second, &Expect::Nothing).await.unwrap());
        let late = record(fixture, r#""late":true"#);
        assert_eq!(fixture.store.set(&sid, &late, &old).await.unwrap(), Set::Conflict, "{end}");
        let touched = fixture.store.touch(&sid, &late.cookie, &old).await.unwrap();
        assert_eq!(touched, Touched::Conflict, "{end}");
        assert_eq!(fixture.store.destroy(&sid, &old).await.unwrap(), Destroyed::Conflict, "{end}");
        assert_eq!(held(fixture, &sid).await.unwrap(), [("a".into(), "2".into())], "{end}");
        is_left(fixture, begun, &sid, Some(LIFE)).await;
    }
}

/// More than a column of one byte can count, and than a thousand. Of a write that was answered and not done the next one knows.
pub async fn no_version_comes_again_after_many_writes(fixture: &Fixture) {
    const WRITES: usize = 1_100;
    /// Where a byte begins anew.
    const BYTE: usize = 256;
    let sid = Sid::random();
    let record = |n: usize| record(fixture, &format!("\"n\":{n}"));
    let first = Expect::Version(put(fixture, &sid, &record(0)).await);
    let mut version = put(fixture, &sid, &record(1)).await;
    for n in 2..WRITES {
        let old = Expect::Version(version);
        version = written(fixture.store.set(&sid, &record(n), &old).await.unwrap());
        assert!(old != Expect::Version(version.clone()), "write {n} has the version of the one before");
        if n % 32 == 0 || (BYTE - 4..BYTE + 4).contains(&n) {
            for old in [&first, &old] {
                assert_eq!(fixture.store.set(&sid, &record(0), old).await.unwrap(), Set::Conflict, "{n}");
            }
        }
    }
}

/// A sid that `set` refuses names nobody else's session to the other verbs.
pub async fn a_sid_that_is_refused_reaches_nothing(fixture: &Fixture) {
    let whole =
        |sid: &str| [1, 2, 64, 128, 191, 250, 255, 767].map(|cut| sid.chars().take(cut).collect::<String>());
    let long = ["x".repeat(129), "x".repeat(256), "x".repeat(5_000), "a\0b".into(), "a\n".into()];
    for sid in &long {
        let begun = fixture.now();
        let life = lasting(fixture, Some(LIFE), r#""cut":true"#);
        let others: BTreeSet<String> = whole(sid).into_iter().filter(|cut| cut != sid).collect();
        let mut there = Vec::new();
        for other in others {
            let other = Sid::from(other);
            if fixture.store.set(&other, &life, &Expect::Anything).await.is_ok() {
                there.push(other);
            }
        }
        let sid = Sid::from(&**sid);
        assert!(!matches!(fixture.store.get(&sid).await, Ok(Some(_))), "another one's session");
        let cookie = record(fixture, "").cookie;
        for expect in [Expect::Anything, Expect::Nothing] {
            let touched = fixture.store.touch(&sid, &cookie, &expect).await;
            assert!(touched.is_err() || touched.is_ok_and(|touched| touched == Touched::Unknown));
            let destroyed = fixture.store.destroy(&sid, &expect).await;
            assert!(destroyed.is_err() || destroyed.is_ok_and(|gone| gone == Destroyed::Unknown));
        }
        for other in there {
            is_left(fixture, begun, &other, Some(LIFE)).await;
            fixture.store.destroy(&other, &Expect::Anything).await.unwrap();
        }
    }
}

/// Express writes the same records, and knows of no version: what it wrote is another one than what was read before. Only
/// where the fixture's `plant` puts a text over another (an upsert that leaves the store's own columns alone, as Node's does).
pub async fn what_a_stranger_writes_is_another_version(fixture: &Fixture) -> Applies {
    let Some(plant) = fixture.planting() else { return Applies::No };
    // As JSON.stringify writes it, and as other writers may.
    let cookie = r#""cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}"#;
    for text in [format!("{{{cookie},\"by\":\"express\"}}"), format!("{{ \"by\" : \"express\",\n{cookie} }}")]
    {
        let sid = Sid::random();
        let old = Expect::Version(put(fixture, &sid, &record(fixture, r#""by":"us""#)).await);
        plant(sid.clone(), text, fixture.now() + HOUR).await;
        let next = lasting(fixture, Some(LIFE), r#""by":"us again""#);
        assert_eq!(fixture.store.set(&sid, &next, &old).await.unwrap(), Set::Conflict);
        assert_eq!(fixture.store.touch(&sid, &next.cookie, &old).await.unwrap(), Touched::Conflict);
        assert_eq!(fixture.store.destroy(&sid, &old).await.unwrap(), Destroyed::Conflict);
        // And what is read of it can be named.
        let read = match fixture.store.get(&sid).await {
            // A store that encrypts cannot read what is not encrypted.
            Err(StoreError::Corrupt { .. }) => continue,
            read => read.unwrap().expect("it is held"),
        };
        assert_eq!(text_of(&read.record), [("by".into(), "\"express\"".into())]);
        let expect = Expect::Version(read.version);
        assert_eq!(fixture.store.touch(&sid, &next.cookie, &expect).await.unwrap(), Touched::Moved);
        written(fixture.store.set(&sid, &next, &expect).await.unwrap());
    }
    Applies::Yes
}
