//! What serde_json makes of a text: the reference for what is JSON, and for its members.

use std::{collections::BTreeMap, fmt};

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use session_core::fuzzing::without_lone_surrogates;

/// Whether the text is JSON, however deep.
pub(crate) fn is_json(text: &str) -> bool {
    serde_json::from_str::<Box<RawValue>>(text).is_ok()
}

/// The members of an object as they stand in the text; `None` for what is no object, or has a key that is no text.
pub(crate) fn members(text: &str) -> Option<Vec<(String, Box<RawValue>)>> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let members = reader.deserialize_map(Members).ok()?;
    reader.end().ok().map(|()| members)
}

/// As `JSON.parse` has them: of duplicates the last one.
pub(crate) fn by_key(members: Vec<(String, Box<RawValue>)>) -> BTreeMap<String, String> {
    members.into_iter().map(|(key, value)| (key, value.get().to_owned())).collect()
}

/// Whether a key in it, at any depth and also one that comes again, has a NUL. `false` for what is no JSON.
pub fn has_key_with_nul(text: &str) -> bool {
    let text = without_lone_surrogates(text);
    let is_in = |members: Vec<(String, Box<RawValue>)>| {
        members.iter().any(|(key, value)| key.contains('\0') || has_key_with_nul(value.get()))
    };
    let items = || serde_json::from_str::<Vec<Box<RawValue>>>(&text).unwrap_or_default();
    members(&text).map_or_else(|| items().iter().any(|item| has_key_with_nul(item.get())), is_in)
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, Box<RawValue>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = access.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}
