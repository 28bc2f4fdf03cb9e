//! The optional powers on MongoDB. They may take as long as the collection is large: no timeout but the client's.

use mongodb::{
    bson::{Document, doc},
    options::Hint,
};
use session_core::{AdminStore, Record, Sid, StoreError, async_trait};

use crate::{error::MongoError, expiry::held, removal, session_field::SessionField, store::MongoStore};

/// A collection that is not there is empty.
const NAMESPACE_NOT_FOUND: i32 = 26;

/// On the way by `expires` a session that is touched meanwhile may move to where the list has been.
fn by_id() -> Hint {
    Hint::Keys(doc! { "_id": 1 })
}

#[async_trait]
impl AdminStore for MongoStore {
    async fn length(&self) -> Result<u64, StoreError> {
        self.ready().await?;
        Ok(self.collection().count_documents(held(self.now())).await.map_err(MongoError::from)?)
    }

    async fn ids(&self, visit: &mut (dyn FnMut(Sid) + Send)) -> Result<(), StoreError> {
        self.refuse_transformed()?;
        self.ready().await?;
        let found = self.collection().find(held(self.now())).projection(doc! { "_id": 1 });
        let mut found = found.hint(by_id()).await.map_err(MongoError::from)?;
        while found.advance().await.map_err(MongoError::from)? {
            // A document that is none of a session has another kind of id.
            if let Some(sid) = found.deserialize_current().ok().as_ref().and_then(sid) {
                visit(sid);
            }
        }
        Ok(())
    }

    async fn all(&self, visit: &mut (dyn FnMut(Sid, Record) + Send)) -> Result<(), StoreError> {
        self.refuse_transformed()?;
        self.ready().await?;
        let found = self.collection().find(held(self.now())).hint(by_id());
        let mut found = found.await.map_err(MongoError::from)?;
        while found.advance().await.map_err(MongoError::from)? {
            let Ok(mut document) = Document::try_from(found.current()) else { continue };
            let Some(sid) = sid(&document) else { continue };
            let Some(session) = document.remove("session").and_then(SessionField::from_bson) else {
                continue;
            };
            if let Ok(record) = self.record(&session).await {
                visit(sid, record);
            }
        }
        Ok(())
    }

    async fn clear(&self) -> Result<(), StoreError> {
        self.ready().await?;
        match self.collection().delete_many(doc! {}).await.map_err(MongoError::from) {
            Err(error) if error.code() != Some(NAMESPACE_NOT_FOUND) => Err(error.into()),
            _ => Ok(()),
        }
    }

    async fn prune(&self) -> Result<u64, StoreError> {
        self.ready().await?;
        Ok(removal::prune(self.collection(), self.now()).await?)
    }
}

impl MongoStore {
    fn refuse_transformed(&self) -> Result<(), MongoError> {
        match self.options().transform_id {
            Some(_) => Err(MongoError::plain("there is no way back from transform_id to the sids")),
            None => Ok(()),
        }
    }
}

fn sid(document: &Document) -> Option<Sid> {
    document.get_str("_id").ok().map(Sid::from)
}
