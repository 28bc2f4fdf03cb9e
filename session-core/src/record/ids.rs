//! Which ids a session has had: the part of a record that timed renewal goes by.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    sync::Arc,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    record::data::Data,
    wire::{
        date::{self, Millis},
        sid::Sid,
    },
};

/// The member of a record under which they stand. Express leaves it alone.
pub(crate) const KEY: &str = "__session_ids";

/// Of the keys under which a store holds what became of former ids, and who goes on for a family of them.
const FORMER: &str = "former-id:";
const FAMILY: &str = "id-family:";

/// The **ids** of a session that has been given another one, and of one that may be. Times are in milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Ids {
    /// When the record's id was given.
    pub(crate) issued: Option<Millis>,
    /// The session has gone on under this one.
    pub(crate) next: Option<Sid>,
    /// It had this one before.
    pub(crate) former: Option<Sid>,
    /// Until then that one is served. `None`: for as long as nobody has come with the new one.
    pub(crate) until: Option<Millis>,
    /// Until then the record under the former id is held, if nobody ends it. `None`: for ever.
    pub(crate) held: Option<Millis>,
    /// The [digests](digests_of) of what that one held when it was read last.
    pub(crate) was: Option<Arc<str>>,
    /// All of them, by a name that no client has.
    pub(crate) family: Option<Arc<str>>,
}

/// As they stand in a record.
#[derive(Default, Deserialize, Serialize)]
struct Text<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    issued: Option<Millis>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    next: Option<Cow<'a, str>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    former: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Millis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<Millis>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    was: Option<Cow<'a, str>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    family: Option<Cow<'a, str>>,
}

impl Ids {
    pub(crate) fn issued_at(now: Millis) -> Self {
        Self { issued: Some(now), ..Self::default() }
    }

    /// The id that the session had before, as long as that leads here.
    pub(crate) fn served(&self, now: Millis) -> Option<&Sid> {
        self.former.as_ref().filter(|_| self.until.is_none_or(|until| now < until))
    }

    /// Of a member of a record. `None`: what stands there is somebody else's.
    pub(crate) fn of_member(key: &str, json: &str) -> Option<Self> {
        // A list would do for serde.
        let text =
            (key == KEY && json.starts_with('{')).then(|| serde_json::from_str::<Text<'_>>(json).ok())??;
        let time = |at: Option<Millis>| at.map(|at| date::after(at, 0));
        let sid = |sid: Option<Cow<'_, str>>| sid.map(|sid| Sid::from(&*sid));
        let name = |name: Option<Cow<'_, str>>| name.map(|name| Arc::from(&*name));
        let ids = Self {
            issued: time(text.issued),
            next: sid(text.next),
            former: sid(text.former),
            until: time(text.until),
            held: time(text.held),
            was: name(text.was),
            family: name(text.family),
        };
        (ids != Self::default()).then_some(ids)
    }

    /// Appends the JSON object.
    pub(crate) fn push_json(&self, text: &mut String) {
        let sid = |sid: &'_ Option<Sid>| sid.as_ref().map(|sid| sid.as_str().to_owned().into());
        let name = |name: &'_ Option<Arc<str>>| name.as_ref().map(|name| name.to_string().into());
        let members = Text {
            issued: self.issued,
            next: sid(&self.next),
            former: sid(&self.former),
            until: self.until,
            held: self.held,
            was: name(&self.was),
            family: name(&self.family),
        };
        // Text and numbers have their JSON.
        text.push_str(&serde_json::to_string(&members).unwrap_or_else(|_| "{}".into()));
    }
}

/// So many keys are remembered.
const KEYS: usize = 256;
/// Characters of a digest: so many bits that no two are taken for one another.
const DIGEST: usize = 8;

/// What these data are, key by key, by which it is known what somebody has written since. `None`: there are too many.
pub(crate) fn digests_of(data: &Data) -> Option<Arc<str>> {
    (data.len() <= KEYS)
        .then(|| data.iter().map(|(key, json)| digest_of(key, json)).collect::<String>().into())
}

fn digest_of(key: &str, json: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(key.len().to_be_bytes());
    digest.update(key);
    digest.update(json);
    URL_SAFE_NO_PAD.encode(&digest.finalize()[..DIGEST * 3 / 4])
}

/// What somebody has made of data that [were](digests_of) so, applied to `ours`. What both have changed is as it is here.
pub(crate) fn changed_since(was: &str, theirs: &Data, ours: &Data) -> Data {
    // It comes from a store: any text may stand there.
    let was: HashSet<&[u8]> = was.as_bytes().chunks(DIGEST).collect();
    let of = |data: &Data| -> HashMap<String, String> {
        data.iter().map(|(key, json)| (digest_of(key, json), key.to_owned())).collect()
    };
    let (in_theirs, in_ours) = (of(theirs), of(ours));
    let has_changed = |digest: &str| !was.contains(digest.as_bytes());
    let changed_here: HashSet<&str> =
        in_ours.iter().filter(|(digest, _)| has_changed(digest)).map(|(_, key)| &**key).collect();
    let put: Vec<(&str, &str)> = in_theirs
        .iter()
        .filter(|(digest, key)| has_changed(digest) && !changed_here.contains(&***key))
        .filter_map(|(_, key)| Some((&**key, theirs.get(key)?)))
        .collect();
    let removed: Vec<&str> = in_ours
        .iter()
        .filter(|(digest, key)| !has_changed(digest) && !theirs.contains(key))
        .map(|(_, key)| &**key)
        .collect();
    let mut data = ours.clone();
    data.change(&removed, &put);
    data
}

/// Under which a store holds that this was an id. The id itself does not stand there.
pub(crate) fn key_of_former(sid: &Sid) -> Sid {
    format!("{FORMER}{}", hash_of(sid)).into()
}

/// The name of all ids that come after this one.
pub(crate) fn family_of(sid: &Sid) -> Arc<str> {
    hash_of(sid).into()
}

fn hash_of(sid: &Sid) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(sid.as_str()))
}

/// And who goes on for a family.
pub(crate) fn key_of_family(family: &str) -> Sid {
    format!("{FAMILY}{family}").into()
}

/// What a store has under it is no session, whoever has signed it.
pub(crate) fn is_key(sid: &str) -> bool {
    sid.starts_with(FORMER) || sid.starts_with(FAMILY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_the_ids_is_read_as_it_was_written() {
        let all = Ids {
            issued: Some(1),
            next: Some("a\"\u{e9}".into()),
            former: Some("b".into()),
            until: Some(2),
            held: Some(3),
            was: Some("c".into()),
            family: Some("d".into()),
        };
        for ids in [all, Ids::issued_at(5)] {
            let mut text = String::new();
            ids.push_json(&mut text);
            assert_eq!(Ids::of_member(KEY, &text), Some(ids));
        }
        let mut text = String::new();
        Ids::issued_at(5).push_json(&mut text);
        assert_eq!(text, r#"{"issued":5}"#);
    }

    #[test]
    fn what_is_somebody_elses_is_left_to_them() {
        for (key, json) in [
            (KEY, "null"),
            (KEY, "[1]"),
            (KEY, "{}"),
            (KEY, r#"{"other":1}"#),
            (KEY, r#"{"issued":"x"}"#),
            ("ids", r#"{"issued":1}"#),
        ] {
            assert_eq!(Ids::of_member(key, json), None, "{key} {json}");
        }
    }

    #[test]
    fn what_somebody_has_changed_is_changed_and_nothing_else() {
        let data = |pairs: &[(&str, &str)]| {
            let mut data = Data::new();
            pairs.iter().for_each(|(key, value)| data.insert(key, (*value).into()));
            data
        };
        let base = data(&[
            ("same", "1"),
            ("theirs", "1"),
            ("ours", "1"),
            ("both", "1"),
            ("gone", "1"),
            ("gone here", "1"),
        ]);
        let was = digests_of(&base).unwrap();
        assert_eq!(was.len(), 6 * DIGEST);
        let theirs = data(&[
            ("same", "1"),
            ("theirs", "2"),
            ("ours", "1"),
            ("both", "2"),
            ("gone here", "1"),
            ("new", "1"),
        ]);
        let ours = data(&[
            ("same", "1"),
            ("theirs", "1"),
            ("ours", "3"),
            ("both", "3"),
            ("gone", "1"),
            ("own", "1"),
        ]);
        let merged = changed_since(&was, &theirs, &ours);
        let expected =
            data(&[("same", "1"), ("theirs", "2"), ("ours", "3"), ("both", "3"), ("own", "1"), ("new", "1")]);
        assert!(merged == expected, "{:?}", merged.iter().collect::<Vec<_>>());
        assert!(changed_since(&was, &base, &ours) == ours);
        assert_ne!(digests_of(&data(&[("a", "12")])), digests_of(&data(&[("a1", "2")])));
        let many: Vec<String> = (0..=KEYS).map(|key| key.to_string()).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|key| (&**key, "1")).collect();
        assert_eq!(digests_of(&data(&many)), None);
    }
}
