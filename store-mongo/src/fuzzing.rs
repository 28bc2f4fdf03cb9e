//! What the fuzz targets call of the private modules: no part of the interface, and without the feature `__fuzzing` not there.

#![allow(missing_docs, clippy::missing_errors_doc, reason = "each is its namesake's")]

use std::sync::Arc;

use mongodb::bson::{Bson, Document};
use session_core::{Record, StoreError, Version};

use crate::{crypto::Crypto, object, session_field::SessionField, to_bson, to_json};

pub async fn encrypt(crypto: &Crypto, record: &str) -> Result<String, StoreError> {
    crypto.encrypt(record).await
}

pub async fn decrypt(crypto: &Crypto, stored: &str) -> Result<String, StoreError> {
    crypto.decrypt(stored).await
}

pub fn to_bson(json: &str) -> Option<Bson> {
    to_bson::parse(json)
}

/// `None` for `undefined`.
pub fn to_json(value: &Bson) -> Option<String> {
    let mut text = String::new();
    to_json::push(&mut text, value).then_some(text)
}

pub fn object_text(session: &Document) -> String {
    object::to_text(session)
}

pub fn object_of(record: &Record, before: Option<&Document>) -> Option<Document> {
    object::from_record(record, before).ok()
}

pub fn object_version(session: &Document) -> Option<Version> {
    SessionField::Object(session.clone().into()).version().ok()
}

/// The document that a version names.
pub fn object_of_version(version: &Version) -> Option<Document> {
    match SessionField::from_version(version)? {
        SessionField::Object(session) => Some(Arc::unwrap_or_clone(session)),
        SessionField::Text(_) | SessionField::Other(_) => None,
    }
}
