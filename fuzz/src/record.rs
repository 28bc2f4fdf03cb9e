use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, value::RawValue};
use session_core::{
    Record,
    fuzzing::{insert, iso, parse_date, remove, without_lone_surrogates},
};

use crate::json::{by_key, is_json, members};

/// The text of a record.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let whole = without_lone_surrogates(text);
    assert_eq!(whole.len(), text.len());
    assert_eq!(is_json(&whole), is_json(text));
    // serde_json reads no halves of pairs.
    assert!(whole == text || serde_json::from_str::<Value>(text).is_err(), "there was none");

    let read = members(text);
    let cookies: Vec<&str> =
        read.iter().flatten().filter(|(key, _)| key == "cookie").map(|(_, value)| value.get()).collect();
    let is_record = !cookies.is_empty() && cookies.iter().all(|cookie| members(cookie).is_some());
    let parsed = Record::parse(text);
    assert_eq!(parsed.is_ok(), is_record, "an object with a cookie object");
    let Ok(record) = parsed else { return };
    crate::reached();

    let read = read.unwrap_or_default();
    let mut keys: Vec<&str> = Vec::new();
    for (key, _) in &read {
        if !keys.contains(&key.as_str()) {
            keys.push(key);
        }
    }
    let printed = record.to_json();
    let again = members(&printed).unwrap();
    assert!(again.iter().map(|(key, _)| key).eq(&keys), "each key once, where it came first");
    let cookie = |members: &[(String, Box<RawValue>)]| {
        let cookie = members.iter().rfind(|(key, _)| key == "cookie");
        by_key(self::members(cookie.unwrap().1.get()).unwrap())
    };
    attributes(&cookie(&read), &cookie(&again));

    let mut values = by_key(read);
    values.remove("cookie");
    for (key, value) in record.data.iter() {
        assert_eq!(values.remove(key).as_deref(), Some(value), "values are kept to the byte");
    }
    assert!(values.is_empty(), "all of them");

    assert!(is_json(&printed));
    let again = Record::parse(printed.as_str()).unwrap();
    assert!(again == record, "what is printed is what was read");
    assert_eq!(again.to_json(), printed);
    assert!(again.data.iter().eq(record.data.iter()));
    let key_len = |key: &str| serde_json::to_string(key).unwrap().len();
    let of_members: usize = record.data.iter().map(|(key, value)| key_len(key) + value.len() + 2).sum();
    assert_eq!(record.data.size(), of_members.saturating_sub(1));
    if let Some(expires) = record.expires() {
        let millis =
            i64::try_from(expires.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_millis());
        let millis = millis.unwrap();
        assert!(millis == 0 || parse_date(&iso(millis)) == Some(millis), "a date that can be printed");
    }
    change(record);
}

/// What Node's `Cookie` takes over as it stands is kept, whatever it is, and what it does not know is not.
fn attributes(read: &BTreeMap<String, String>, printed: &BTreeMap<String, String>) {
    let defaults = [
        ("partitioned", None),
        ("priority", None),
        ("secure", None),
        ("httpOnly", Some("true")),
        ("domain", None),
        ("path", Some("\"/\"")),
        ("sameSite", None),
    ];
    // One value may have many spellings.
    let value = |json: &str| serde_json::from_str::<Value>(json).map_err(|_| json.to_owned());
    for (name, default) in defaults {
        let read = read.get(name).map(String::as_str).or(default);
        assert_eq!(printed.get(name).map(|json| value(json)), read.map(value), "{name}");
    }
    let dates = ["originalMaxAge", "expires"];
    assert!(printed.keys().all(|name| defaults.iter().any(|(known, _)| known == name)
        || dates.contains(&name.as_str())
            && (read.contains_key(name) || printed[name] == "null" && name == "expires")));
    assert!(dates.iter().all(|name| !read.contains_key(*name) || printed.contains_key(*name)));
    let dated = |cookie: &BTreeMap<String, String>| {
        parse_date(serde_json::from_str::<&str>(cookie.get("expires")?).ok()?)
    };
    assert_eq!(dated(printed), dated(read), "the same moment");
    let lasting = |cookie: &BTreeMap<String, String>| cookie.get("originalMaxAge")?.parse::<i32>().ok();
    assert!(lasting(read).is_none() || lasting(read) == lasting(printed), "as long");
}

/// What is put and taken out leaves the others as they were.
fn change(mut record: Record) {
    let before: Vec<(String, String)> =
        record.data.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let taken = before.first().map(|(key, _)| key.as_str()).unwrap_or("none");
    assert_eq!(remove(Arc::make_mut(&mut record.data), taken), !before.is_empty());
    insert(Arc::make_mut(&mut record.data), "\u{1}new", "[1.50]");
    let after = Record::parse(record.to_json()).unwrap();
    assert!(after == record);
    assert_eq!(after.data.get("\u{1}new"), Some("[1.50]"));
    for (key, value) in before.iter().filter(|(key, _)| key != taken && key != "\u{1}new") {
        assert_eq!(after.data.get(key), Some(value.as_str()));
    }
}
