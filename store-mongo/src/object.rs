//! A record as a BSON document, what connect-mongo stores with `stringify: false`.

use std::fmt;

use mongodb::bson::{Bson, Document};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use session_core::{Cookie, Record};

use crate::{
    error::MongoError,
    expiry::{date, millis},
    to_bson::{self, Before},
    to_json::{self, Object},
};

/// Cookie members that are `undefined` in Node unless they are set, which its driver stores as `null`.
const UNDEFINED: [&str; 5] = ["partitioned", "priority", "secure", "domain", "sameSite"];

/// All members, in Node's order.
const MEMBERS: [&str; 9] = [
    "originalMaxAge",
    "partitioned",
    "priority",
    "expires",
    "secure",
    "httpOnly",
    "domain",
    "path",
    "sameSite",
];

/// The record's JSON text.
pub(crate) fn to_text(session: &Document) -> String {
    let mut text = String::new();
    let mut object = Object::open(&mut text);
    for (key, value) in to_json::in_order(session) {
        object.member(key, |text| match value {
            Bson::Document(cookie) if key == "cookie" => push_cookie(text, cookie),
            value => to_json::push(text, value),
        });
    }
    object.close();
    text
}

fn push_cookie(text: &mut String, cookie: &Document) -> bool {
    let mut object = Object::open(text);
    for (key, value) in cookie {
        if !(*value == Bson::Null && UNDEFINED.contains(&key.as_str())) {
            object.member(key, |text| to_json::push(text, value));
        }
    }
    object.close();
    true
}

/// The document of a record. What has the same text as in the document that it was read from, or else in `before`, is taken from
/// there: a `Date` or an `ObjectId`, which is a string in the record, stays one.
pub(crate) fn from_record(record: &Record, before: Option<&Document>) -> Result<Document, MongoError> {
    let members = Members { record, before: record.origin().or(before).map(Before::new) };
    serde_json::Deserializer::from_str(&to_bson::whole(&record.to_json()))
        .deserialize_map(members)
        .map_err(|_| MongoError::plain("the session has a value that BSON cannot hold"))
}

struct Members<'a> {
    record: &'a Record,
    before: Option<Before<'a>>,
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Document, A::Error> {
        let mut session = Document::new();
        while let Some((key, json)) = members.next_entry::<String, &RawValue>()? {
            let value = match key.as_str() {
                "cookie" => cookie(&self.record.cookie, json.get()),
                _ if !to_bson::is_key(&key) => None,
                key => match &self.before {
                    Some(before) => before.over(key, json.get()),
                    None => to_bson::parse(json.get()),
                },
            };
            let value = value.ok_or_else(|| serde::de::Error::custom("no BSON"))?;
            session.insert(key, value);
        }
        Ok(session)
    }
}

fn cookie(cookie: &Cookie, json: &str) -> Option<Bson> {
    let Bson::Document(mut known) = to_bson::parse(json)? else { return None };
    let mut document: Document = MEMBERS
        .into_iter()
        .map(|member| (member.to_owned(), known.remove(member).unwrap_or(Bson::Null)))
        .collect();
    if let Some(expires) = cookie.expires() {
        document.insert("expires", date(millis(expires)));
    }
    Some(Bson::Document(document))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mongodb::bson::{doc, oid::ObjectId};

    use super::*;

    fn record(data: &str) -> Record {
        Record::parse(format!(
            r#"{{"cookie":{{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}}{data}}}"#
        ))
        .unwrap()
    }

    #[test]
    fn what_was_not_changed_keeps_its_type() {
        let id = ObjectId::new();
        let before =
            doc! { "cookie": {}, "at": date(0), "ids": [id], "views": 1_i64, "nested": { "at": date(1) } };
        let mut text = to_text(&before).replace("\"views\":1", "\"views\":2");
        text = text.replace("\"cookie\":{}", "\"cookie\":{\"expires\":null},\"new\":true");
        let record = Record::parse(text).unwrap().with_origin(Arc::new(before.clone()));
        let after = from_record(&record, None).unwrap();
        assert_eq!(after.keys().collect::<Vec<_>>(), ["cookie", "new", "at", "ids", "views", "nested"]);
        assert_eq!(after.get("at"), before.get("at"));
        assert_eq!(after.get("ids"), before.get("ids"));
        assert_eq!(after.get("nested"), before.get("nested"));
        assert_eq!(after.get("views"), Some(&Bson::Int32(2)));
    }

    #[test]
    fn the_text_comes_back() {
        for data in ["", r#","a":{"b":[1,2.5,null,true]},"$x":{"a.b":"é\"\n"},"":[]"#] {
            let record = record(data);
            let document = from_record(&record, None).unwrap();
            assert_eq!(to_text(&document), record.to_json());
            assert_eq!(document.get_document("cookie").unwrap().len(), 9);
        }
        assert_eq!(
            to_text(&doc! { "cookie": {}, "b": 1, "10": 2, "2": 3 }),
            r#"{"2":3,"10":2,"cookie":{},"b":1}"#
        );
    }
}
