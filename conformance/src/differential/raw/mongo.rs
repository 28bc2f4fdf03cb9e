//! MongoDB: a document for each sid, field by field with its types.

use express_session::mongo::mongodb::{
    Client, Collection,
    bson::{Bson, Document, doc},
};

use super::{Piece, Row, words};

#[derive(Clone, Debug)]
pub(super) struct Mongo(Client);

impl Mongo {
    pub(super) async fn open(url: &str) -> Result<Self, String> {
        Client::with_uri_str(url).await.map(Self).map_err(words)
    }

    /// Where connect-mongo keeps them that is given no name of a database.
    fn collection(&self, name: &str) -> Collection<Document> {
        self.0.default_database().unwrap_or_else(|| self.0.database("test")).collection(name)
    }

    pub(super) async fn clear(&self, collection: &str) -> Result<(), String> {
        self.collection(collection).delete_many(doc! {}).await.map(drop).map_err(words)
    }

    pub(super) async fn remove(&self, collection: &str, sid: &str) -> Result<(), String> {
        self.collection(collection).delete_one(doc! { "_id": sid }).await.map(drop).map_err(words)
    }

    pub(super) async fn spoil(&self, collection: &str, sid: &str) -> Result<(), String> {
        let collection = self.collection(collection);
        // A session is a text or an object.
        for (kind, spoilt) in [("string", Bson::String("{}".into())), ("object", doc! {}.into())] {
            let is_it = doc! { "_id": sid, "session": { "$type": kind } };
            collection.update_one(is_it, doc! { "$set": { "session": spoilt } }).await.map_err(words)?;
        }
        Ok(())
    }

    pub(super) async fn rows(&self, collection: &str) -> Result<Vec<Row>, String> {
        let mut found = self.collection(collection).find(doc! {}).await.map_err(words)?;
        let mut rows = Vec::new();
        while found.advance().await.map_err(words)? {
            rows.push(row(found.deserialize_current().map_err(words)?));
        }
        Ok(rows)
    }
}

fn row(document: Document) -> Row {
    let mut row = Row { sid: String::new(), pieces: Vec::new() };
    for (name, value) in document {
        match (name.as_str(), value) {
            ("_id", Bson::String(sid)) => row.sid = sid,
            // By the server's clock, which neither side moves.
            ("updatedAt", Bson::DateTime(_)) => row.pieces.push(Piece::Text("updatedAt a date".into())),
            ("session", Bson::String(text)) => {
                row.pieces.push(Piece::Text("session a string".into()));
                row.pieces.push(payload(text));
            }
            ("session", Bson::Document(session)) => {
                row.pieces.push(Piece::Text("session a document".into()));
                document_pieces(session, &mut row.pieces);
            }
            (_, value) => field(&name, value, &mut row.pieces),
        }
    }
    row
}

/// The text of a session, or of what kruptein made of one: base64, of which only the length can be equal, since every write has
/// another key and another start.
fn payload(text: String) -> Piece {
    if text.starts_with('{') {
        Piece::Record(text)
    } else {
        Piece::Text(format!("{} characters", text.len()))
    }
}

/// A session in object form, with the cookie's times apart.
fn document_pieces(session: Document, pieces: &mut Vec<Piece>) {
    for (name, value) in session {
        match (name.as_str(), value) {
            ("cookie", Bson::Document(cookie)) => {
                pieces.push(Piece::Text("cookie a document".into()));
                for (name, value) in cookie {
                    match value {
                        Bson::Int32(age) if name == "originalMaxAge" => aged(age.into(), "an int32", pieces),
                        Bson::Int64(age) if name == "originalMaxAge" => aged(age, "an int64", pieces),
                        #[expect(clippy::cast_possible_truncation, reason = "an age has whole milliseconds")]
                        Bson::Double(age) if name == "originalMaxAge" => {
                            aged(age as i64, "a double", pieces);
                        }
                        value => field(&name, value, pieces),
                    }
                }
            }
            (_, value) => field(&name, value, pieces),
        }
    }
}

fn aged(age: i64, kind: &str, pieces: &mut Vec<Piece>) {
    pieces.push(Piece::Text(format!("originalMaxAge {kind}")));
    pieces.push(Piece::Age(age));
}

fn field(name: &str, value: Bson, pieces: &mut Vec<Piece>) {
    if let Bson::DateTime(date) = value {
        pieces.push(Piece::Text(format!("{name} a date")));
        pieces.push(Piece::Time(date.timestamp_millis()));
    } else {
        pieces.push(Piece::Text(format!("{name} {}", without_minus_zero(value).into_canonical_extjson())));
    }
}

/// A session is JSON text, in which JavaScript writes -0 as 0; only Node's driver, which is given the values, keeps it.
fn without_minus_zero(value: Bson) -> Bson {
    match value {
        Bson::Double(0.0) => Bson::Int32(0),
        Bson::Array(items) => Bson::Array(items.into_iter().map(without_minus_zero).collect()),
        Bson::Document(members) => Bson::Document(
            members.into_iter().map(|(name, value)| (name, without_minus_zero(value))).collect(),
        ),
        other => other,
    }
}
