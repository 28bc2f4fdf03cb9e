//! What stands in a document's `session`: a string (`stringify: true`, or encrypted) or a document (`stringify: false`), or
//! what the application's own serializer makes. It is also the version that a conditional write names.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use session_core::Version;

use crate::error::MongoError;

/// What a version begins with that is not a string's. Where a string begins so, which only a serializer makes, [`TEXT`] comes before it.
const OBJECT: char = '\0';
const OTHER: char = '\u{1}';
const TEXT: char = '\u{2}';
const MARKS: [char; 3] = [OBJECT, OTHER, TEXT];

pub(crate) enum SessionField {
    Text(Arc<str>),
    Object(Arc<Document>),
    /// Of another type, in a document of its own. No session without a serializer.
    Other(Arc<Document>),
}

impl SessionField {
    /// `None` for nothing, and for arrays: MongoDB takes an array for each of its elements, a null among them and what a version
    /// names.
    pub(crate) fn from_bson(session: Bson) -> Option<Self> {
        Some(match session {
            Bson::String(text) => Self::Text(text.into()),
            Bson::Document(session) => Self::Object(session.into()),
            Bson::Null | Bson::Undefined | Bson::Array(_) => return None,
            other => Self::Other(doc! { "": other }.into()),
        })
    }

    pub(crate) fn to_bson(&self) -> Bson {
        match self {
            Self::Text(text) => Bson::String((**text).to_owned()),
            Self::Object(document) => Bson::Document(Document::clone(document)),
            Self::Other(document) => document.get("").cloned().unwrap_or(Bson::Null),
        }
    }

    /// The string itself, or the document's bytes: only they say what a `Date` was.
    pub(crate) fn version(&self) -> Result<Version, MongoError> {
        let (mark, document) = match self {
            Self::Text(text) if text.starts_with(MARKS) => {
                return Ok(Version::from_text(format!("{TEXT}{text}")));
            }
            Self::Text(text) => return Ok(Version::from_text(Arc::clone(text))),
            Self::Object(document) => (OBJECT, document),
            Self::Other(document) => (OTHER, document),
        };
        let mut bytes = Vec::new();
        let written = document.to_writer(&mut bytes);
        written.map_err(|_| MongoError::plain("the session has a key that BSON cannot hold"))?;
        let mut text = String::with_capacity(1 + bytes.len().div_ceil(3) * 4);
        text.push(mark);
        STANDARD.encode_string(bytes, &mut text);
        Ok(Version::from_text(text))
    }

    /// The bytes of a field that has this version.
    pub(crate) fn size(version: &Version) -> usize {
        match version.text().map(|text| (text.strip_prefix([OBJECT, OTHER]), text.len())) {
            Some((Some(bytes), _)) => bytes.len() / 4 * 3,
            Some((None, size)) => size,
            None => 0,
        }
    }

    /// `None` for a version of another store.
    pub(crate) fn from_version(version: &Version) -> Option<Self> {
        let text = version.text()?;
        let Some(bytes) = text.strip_prefix([OBJECT, OTHER]) else {
            return Some(Self::Text(text.strip_prefix(TEXT).unwrap_or(text).into()));
        };
        let raw = RawDocumentBuf::from_bytes(STANDARD.decode(bytes).ok()?).ok()?;
        let document = Document::try_from(raw).ok()?.into();
        Some(if text.starts_with(OBJECT) { Self::Object(document) } else { Self::Other(document) })
    }
}
