//! A collection whose strings compare loosely: one sid for another, and a stale version for what is held.

use mongodb::{
    Collection,
    bson::{Bson, Document, doc},
};

use crate::{error::MongoError, ready::Looked};

/// Refuses a collection with a default collation. The `_id` index has it as well, and so no command could do without.
pub(crate) async fn check(collection: &Collection<Document>) -> Result<Looked, MongoError> {
    let namespace = collection.namespace();
    let database = collection.client().database(&namespace.db);
    let list = async || {
        let list = doc! { "listCollections": 1, "filter": { "name": &namespace.coll } };
        database.run_command(list).await.map_err(MongoError::from)
    };
    let listed = match list().await {
        // The driver repeats no command that it does not know.
        Err(error) if error.may_pass() => list().await,
        listed => listed,
    };
    match listed {
        Ok(answer) => refuse_collated(&answer).map(|()| Looked::ForGood),
        Err(error) if error.is_refused_for_good() => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "nobody may list the collection: make sure that it has no default collation"
            );
            Ok(Looked::ForGood)
        }
        // Another server than MongoDB may have reasons of its own.
        Err(error) if error.is_refused() => {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "whether it has a collation has to wait"
            );
            Ok(Looked::NotYet)
        }
        Err(error) => Err(error),
    }
}

/// One that is not there yet will be created without a collation.
fn refuse_collated(answer: &Document) -> Result<(), MongoError> {
    let listed = answer.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
    let collections = listed.into_iter().flatten().filter_map(Bson::as_document);
    for collection in collections {
        let collation =
            collection.get_document("options").and_then(|options| options.get_document("collation"));
        let locale = collation.and_then(|collation| collation.get_str("locale")).unwrap_or(SIMPLE);
        if locale != SIMPLE {
            return Err(MongoError::plain(format!(
                "the collection has the default collation {locale:?}, which takes one session id for another: \
                 sessions need one that was created without a collation"
            )));
        }
    }
    Ok(())
}

/// Bytes.
const SIMPLE: &str = "simple";

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(options: Document) -> Document {
        doc! { "cursor": { "firstBatch": [{ "name": "sessions", "options": options }] } }
    }

    #[test]
    fn what_compares_bytes_is_fine_and_so_is_what_is_not_there() {
        assert!(refuse_collated(&doc! { "cursor": { "firstBatch": [] } }).is_ok());
        assert!(refuse_collated(&listed(doc! {})).is_ok());
        assert!(refuse_collated(&listed(doc! { "collation": { "locale": "simple" } })).is_ok());
        let error = refuse_collated(&listed(doc! { "collation": { "locale": "en" } })).unwrap_err();
        assert!(error.to_string().contains("default collation \"en\""), "{error}");
    }
}
