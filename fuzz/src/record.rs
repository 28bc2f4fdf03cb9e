use std::sync::Arc;

use session_core::{
    Record,
    fuzzing::{insert, iso, parse_date, remove, string_len, without_lone_surrogates},
};

use crate::json::{by_key, is_json, members};

/// The text of a record.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let whole = without_lone_surrogates(text);
    assert_eq!(whole.len(), text.len());
    assert_eq!(is_json(&whole), is_json(text));

    let read = members(text);
    let cookies: Vec<&str> =
        read.iter().flatten().filter(|(key, _)| key == "cookie").map(|(_, value)| value.get()).collect();
    let is_record = !cookies.is_empty() && cookies.iter().all(|cookie| members(cookie).is_some());
    let parsed = Record::parse(text);
    assert_eq!(parsed.is_ok(), is_record, "an object with a cookie object");
    let Ok(record) = parsed else { return };

    let mut values = by_key(read.unwrap_or_default());
    values.remove("cookie");
    for (key, value) in record.data.iter() {
        assert_eq!(values.remove(key).as_deref(), Some(value), "values are kept to the byte");
    }
    assert!(values.is_empty(), "all of them");

    let printed = record.to_json();
    assert!(is_json(&printed));
    let again = Record::parse(printed.as_str()).unwrap();
    assert!(again == record, "what is printed is what was read");
    assert_eq!(again.to_json(), printed);
    assert!(again.data.iter().eq(record.data.iter()));
    let of_members: usize = record.data.iter().map(|(key, value)| string_len(key) + value.len() + 2).sum();
    assert_eq!(record.data.size(), of_members.saturating_sub(1));
    if let Some(expires) = record.expires() {
        let millis =
            i64::try_from(expires.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_millis());
        let millis = millis.unwrap();
        assert!(millis == 0 || parse_date(&iso(millis)) == Some(millis), "a date that can be printed");
    }
    change(record);
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
