//! What stands in a document's `session`: a string (`stringify: true`, or encrypted) or a document (`stringify: false`). It
//! is also the version that a conditional write names.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use mongodb::bson::{Bson, Document, RawDocumentBuf};
use session_core::Version;

use crate::error::MongoError;

/// No string that can be read as a session begins with it.
const OBJECT: char = '\0';

pub(crate) enum SessionField {
    Text(Arc<str>),
    Object(Arc<Document>),
}

impl SessionField {
    /// `None` for what is no session.
    pub(crate) fn from_bson(session: Bson) -> Option<Self> {
        match session {
            Bson::String(text) => Some(Self::Text(text.into())),
            Bson::Document(session) => Some(Self::Object(session.into())),
            _ => None,
        }
    }

    pub(crate) fn to_bson(&self) -> Bson {
        match self {
            Self::Text(text) => Bson::String((**text).to_owned()),
            Self::Object(document) => Bson::Document(Document::clone(document)),
        }
    }

    /// The string itself, or the document's bytes: only they say what a `Date` was.
    pub(crate) fn version(&self) -> Result<Version, MongoError> {
        let bytes = match self {
            Self::Text(text) => return Ok(Version::from_text(Arc::clone(text))),
            Self::Object(document) => {
                let mut bytes = Vec::new();
                let written = document.to_writer(&mut bytes);
                written.map_err(|_| MongoError::plain("the session has a key that BSON cannot hold"))?;
                bytes
            }
        };
        let mut text = String::with_capacity(1 + bytes.len().div_ceil(3) * 4);
        text.push(OBJECT);
        STANDARD.encode_string(bytes, &mut text);
        Ok(Version::from_text(text))
    }

    /// The bytes of a field that has this version.
    pub(crate) fn size(version: &Version) -> usize {
        match version.text().map(|text| (text.strip_prefix(OBJECT), text.len())) {
            Some((Some(bytes), _)) => bytes.len() / 4 * 3,
            Some((None, size)) => size,
            None => 0,
        }
    }

    /// `None` for a version of another store.
    pub(crate) fn from_version(version: &Version) -> Option<Self> {
        let text = version.text()?;
        match text.strip_prefix(OBJECT) {
            None => Some(Self::Text(text.into())),
            Some(bytes) => {
                let raw = RawDocumentBuf::from_bytes(STANDARD.decode(bytes).ok()?).ok()?;
                Document::try_from(raw).ok().map(|document| Self::Object(document.into()))
            }
        }
    }
}
