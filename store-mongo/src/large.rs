//! Writes over a session that does not fit into one command together with the new one. What was read is then compared here,
//! and a transaction sees to it that nobody comes in between.

use mongodb::{
    bson::{Document, RawDocumentBuf},
    error::{Error, ErrorKind},
    options::{ReadConcern, ReadPreference, SelectionCriteria},
};
use session_core::{Sid, Version};

use crate::{
    error::MongoError,
    expiry::{Millis, held},
    session_field::SessionField,
    store::MongoStore,
};

/// What MongoDB takes as a command, but for what else is in it.
const LIMIT: usize = (16 << 20) - (64 << 10);

/// Transactions are for members of a replica set only.
const ILLEGAL_OPERATION: i32 = 20;

/// Whether the command that names the one and writes the other would be too large.
pub(crate) fn are_together(before: &Version, after: &Version) -> bool {
    SessionField::size(before) + SessionField::size(after) > LIMIT
}

/// Somebody else writes it.
fn is_write_conflict(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::Command(error) if error.code == 112)
}

impl MongoStore {
    /// Answers whether it is written. What is dropped half way, the driver takes back.
    pub(crate) async fn write_large(
        &self,
        sid: &Sid,
        before: &Version,
        update: Document,
        now: Millis,
    ) -> Result<bool, MongoError> {
        let written = self.run(self.transaction(sid, before, update, now)).await;
        written.map_err(|error| match error.code() {
            Some(ILLEGAL_OPERATION) => MongoError::plain(
                "the session and the one that it replaces have more than 16 MB together, which needs a replica set",
            ),
            _ => error,
        })
    }

    async fn transaction(
        &self,
        sid: &Sid,
        before: &Version,
        update: Document,
        now: Millis,
    ) -> Result<bool, Error> {
        let mut session = self.collection().client().start_session().await?;
        // Not as the client prefers: in a transaction that would come before what the collection says.
        let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
        let transaction = session.start_transaction().selection_criteria(primary);
        let transaction = transaction.read_concern(ReadConcern::local());
        match self.collection().write_concern().cloned() {
            Some(concern) => transaction.write_concern(concern).await?,
            None => transaction.await?,
        }
        let found = self.collection().clone_with_type::<RawDocumentBuf>();
        let found = found.find_one(self.filter(sid, held(now))).session(&mut session).await?;
        let version = found.and_then(|found| {
            let mut found = Document::try_from(found).ok()?;
            found.remove("session").and_then(SessionField::from_bson)?.version().ok()
        });
        if version.as_ref() != Some(before) {
            session.abort_transaction().await?;
            return Ok(false);
        }
        let filter = self.filter(sid, Document::new());
        let updated = async {
            self.collection().update_one(filter, update).session(&mut session).await?;
            session.commit_transaction().await
        };
        match updated.await {
            Ok(()) => Ok(true),
            Err(error) if is_write_conflict(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
