//! The four verbs on MongoDB.

use std::{fmt, future::IntoFuture, sync::Arc, time::Duration};

use mongodb::{
    Collection,
    bson::{DateTime, Document, RawDocumentBuf, doc},
    options::UpdateModifications,
};
use session_core::{
    Cookie, Destroyed, Expect, Record, Set, Sid, Store, StoreError, Stored, Touched, async_trait,
};

use crate::{
    collation,
    error::{MongoError, STORE, unwritten},
    expiry::{self, Millis, date, expired, held, left, millis},
    large, object,
    options::{MongoOptions, MongoOptionsError, MongoSource, UNACKNOWLEDGED, acknowledges},
    ready::Ready,
    removal::Removal,
    session_field::SessionField,
};

/// MongoDB takes one of two inserts of one key at the same moment for a duplicate: the next attempt finds the document.
const ATTEMPTS: usize = 3;

/// Sessions in a MongoDB collection, which an Express app with connect-mongo can share.
///
/// ```no_run
/// use session_core::Options;
/// use store_mongo::MongoStore;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MongoStore::open("mongodb://localhost/shop").await?;
/// let sessions = Options::new("keyboard cat").store(store).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MongoStore(Arc<Inner>);

struct Inner {
    options: MongoOptions,
    collection: Collection<Document>,
    removal: Removal,
    ready: Ready,
}

impl MongoStore {
    /// On the client, database or collection that the application already has, with connect-mongo's defaults. For others:
    /// [`MongoOptions`].
    pub fn new(source: impl Into<MongoSource>) -> Self {
        MongoOptions::new(source).unchecked()
    }

    /// On a client of its own, with connect-mongo's defaults. See [`MongoOptions::open`].
    ///
    /// # Errors
    /// The URL is none that the driver takes.
    pub async fn open(url: &str) -> Result<Self, MongoOptionsError> {
        MongoOptions::open(url).await?.build()
    }

    pub(crate) fn from_options(options: MongoOptions, collection: Collection<Document>) -> Self {
        let (how, interval) = options.auto_remove_settings();
        let (removal, ready) = (Removal::new(how, interval), Ready::default());
        Self(Arc::new(Inner { options, collection, removal, ready }))
    }
}

#[async_trait]
impl Store for MongoStore {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        let now = self.now();
        let filter = self.filter(sid, held(now));
        // What the driver cannot decode would be an error of the driver's, and of nobody's session.
        let found = self.collection().clone_with_type::<RawDocumentBuf>();
        match self.run(found.find_one(filter)).await? {
            Some(document) => {
                let document = Document::try_from(document)
                    .map_err(|_| StoreError::corrupt(STORE, "a document that is no BSON"))?;
                self.stored(document, now).await
            }
            None => Ok(None),
        }
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        let now = self.now();
        let expires = expiry::expires(&record.cookie, now, self.options().ttl);
        if expires <= now {
            return Ok(Set::Expired);
        }
        let before = match expect {
            Expect::Version(version) => match SessionField::from_version(version) {
                None => return Ok(Set::Conflict),
                before => before,
            },
            Expect::Anything | Expect::Nothing => None,
        };
        let filter = match (expect, &before) {
            (_, Some(before)) => self.unchanged(sid, before, now),
            (Expect::Nothing, _) => self.filter(sid, expired(now)),
            _ => self.filter(sid, Document::new()),
        };
        let session = self.session_field(record, before.as_ref()).await?;
        let version = session.version()?;
        let whole = expiry::is_whole(&record.cookie, expires, now);
        let update = self.update(&session, expires, whole, now, expect);
        let is_written = match expect {
            Expect::Version(before) if large::are_together(before, &version) => {
                self.write_large(sid, before, update, now).await?
            }
            _ => self.write(filter, update, expect).await?,
        };
        Ok(if is_written { Set::Written(version) } else { Set::Conflict })
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        let now = self.now();
        let expires = expiry::expires(cookie, now, self.options().ttl);
        if expires <= now {
            return Ok(Touched::Expired);
        }
        let filter = match expect {
            Expect::Anything => Some(self.filter(sid, held(now))),
            Expect::Version(version) => {
                SessionField::from_version(version).map(|before| self.unchanged(sid, &before, now))
            }
            Expect::Nothing => None,
        };
        let touched = async {
            if let Some(filter) = filter
                && self.collection().update_one(filter, self.move_to(expires, now)).await?.matched_count > 0
            {
                return Ok(Touched::Moved);
            }
            if *expect == Expect::Anything {
                return Ok(Touched::Unknown);
            }
            Ok(if self.is_held(sid, now).await? { Touched::Conflict } else { Touched::Unknown })
        };
        Ok(self.run(touched).await?)
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        let now = self.now();
        let filter = match expect {
            Expect::Anything => Some(self.filter(sid, Document::new())),
            Expect::Version(version) => {
                SessionField::from_version(version).map(|before| self.unchanged(sid, &before, now))
            }
            Expect::Nothing => None,
        };
        let destroyed = async {
            if let Some(filter) = filter
                && self.collection().delete_one(filter).await?.deleted_count > 0
            {
                return Ok(Destroyed::Destroyed);
            }
            if *expect == Expect::Anything {
                return Ok(Destroyed::Unknown);
            }
            Ok(if self.is_held(sid, now).await? { Destroyed::Conflict } else { Destroyed::Unknown })
        };
        Ok(self.run(destroyed).await?)
    }
}

impl MongoStore {
    pub(crate) fn options(&self) -> &MongoOptions {
        &self.0.options
    }

    pub(crate) fn collection(&self) -> &Collection<Document> {
        self.0.removal.begin(&self.0.collection, &self.0.options.clock);
        &self.0.collection
    }

    pub(crate) fn now(&self) -> Millis {
        millis(self.options().clock.now())
    }

    /// The document of a sid, if all this holds of it.
    pub(crate) fn filter(&self, sid: &Sid, condition: Document) -> Document {
        let id = match &self.options().transform_id {
            Some(transform) => (transform.0)(sid.as_str()),
            None => sid.as_str().to_owned(),
        };
        let mut filter = doc! { "_id": id };
        filter.extend(condition);
        filter
    }

    /// The document of a sid, if it is held and what was read is still in it.
    fn unchanged(&self, sid: &Sid, before: &SessionField, now: Millis) -> Document {
        let mut filter = self.filter(sid, held(now));
        filter.insert("session", doc! { "$eq": before.to_bson() });
        filter
    }

    async fn is_held(&self, sid: &Sid, now: Millis) -> mongodb::error::Result<bool> {
        let held = self.collection().find_one(self.filter(sid, held(now))).projection(doc! { "_id": 1 });
        Ok(held.await?.is_some())
    }

    /// What is sent, or an error before the time is over.
    pub(crate) async fn run<T>(
        &self,
        action: impl IntoFuture<Output = mongodb::error::Result<T>, IntoFuture: Send> + Send,
    ) -> Result<T, MongoError> {
        let timeout = self.options().timeout;
        let action = async {
            self.ready().await?;
            action.into_future().await.map_err(MongoError::from)
        };
        let done = tokio::time::timeout(timeout, action).await;
        done.unwrap_or_else(|_| Err(MongoError::timeout(timeout)))
    }

    /// Looks at the collection before it is used first; a failure is no reason not to look again.
    pub(crate) async fn ready(&self) -> Result<(), MongoError> {
        let look = || {
            let (collection, timeout) = (self.0.collection.clone(), self.options().timeout);
            async move {
                if !acknowledges(&collection) {
                    return Err(MongoError::plain(format!("option write_concern: {UNACKNOWLEDGED}")));
                }
                let looked = tokio::time::timeout(timeout, collation::check(&collection)).await;
                looked.unwrap_or_else(|_| Err(MongoError::timeout(timeout)))
            }
        };
        self.0.ready.ensure(look).await
    }

    async fn stored(&self, mut document: Document, now: Millis) -> Result<Option<Stored>, StoreError> {
        let session = document.remove("session").and_then(SessionField::from_bson);
        let session =
            session.ok_or_else(|| StoreError::corrupt(STORE, "its `session` is missing, or none"))?;
        let record = self.record(&session).await?;
        let left = document.get_datetime("expires").ok().map(|at| left(now, at.timestamp_millis()));
        let lifetime = if self.is_touched(&document, left, now) {
            left
        } else {
            Some(record.cookie.original_max_age().unwrap_or(self.options().ttl))
        };
        Ok(Some(Stored { version: session.version()?, record, left, lifetime }))
    }

    pub(crate) async fn record(&self, session: &SessionField) -> Result<Record, StoreError> {
        if let Some(serializer) = &self.options().serializer {
            let text = (serializer.unserialize)(&session.to_bson());
            let record = text.and_then(|text| Ok(Record::parse(text)?));
            // Its words, and not what it may hold: the text that is none.
            return record.map_err(|error| StoreError::corrupt(STORE, error.to_string()));
        }
        let text: Arc<str> = match (session, &self.options().crypto) {
            (SessionField::Other(_), _) => {
                return Err(StoreError::corrupt(STORE, "its `session` is neither a string nor a document"));
            }
            (SessionField::Text(text), None) => Arc::clone(text),
            (SessionField::Text(text), Some(crypto)) => crypto.decrypt(text).await?.into(),
            (SessionField::Object(session), None) => object::to_text(session).into(),
            (SessionField::Object(session), Some(crypto)) => {
                crypto.allow_plaintext()?;
                object::to_text(session).into()
            }
        };
        let record = Record::parse(text).map_err(|error| StoreError::corrupt(STORE, error))?;
        Ok(match session {
            SessionField::Text(_) | SessionField::Other(_) => record,
            SessionField::Object(session) => record.with_origin(Arc::<Document>::clone(session)),
        })
    }

    /// What this store writes for a record; `before` is what it replaces, where that is named.
    async fn session_field(
        &self,
        record: &Record,
        before: Option<&SessionField>,
    ) -> Result<SessionField, StoreError> {
        if let Some(serializer) = &self.options().serializer {
            let serialized = (serializer.serialize)(&record.to_json()).map_err(unwritten)?;
            return SessionField::from_bson(serialized)
                .ok_or_else(|| unwritten("it made nothing of one, or an array"));
        }
        let before = before.and_then(|before| match before {
            SessionField::Object(document) => Some(&**document),
            SessionField::Text(_) | SessionField::Other(_) => None,
        });
        match &self.options().crypto {
            Some(crypto) => Ok(SessionField::Text(crypto.encrypt(&record.to_json()).await?.into())),
            None if self.options().stringify => Ok(SessionField::Text(record.to_json().into())),
            None => Ok(SessionField::Object(object::from_record(record, before)?.into())),
        }
    }

    /// connect-mongo's update. A record that does not get its `whole` lifetime is to be touched with the next request.
    fn update(
        &self,
        session: &SessionField,
        expires: Millis,
        whole: bool,
        now: Millis,
        expect: &Expect,
    ) -> Document {
        let mut set = doc! { "expires": date(expires), "session": session.to_bson() };
        let touch_after = expiry::after(0, self.options().touch_after);
        if touch_after > 0 {
            let touched = if whole { now } else { now.saturating_sub(touch_after) };
            set.insert("lastModified", date(touched));
        }
        let mut update = Document::new();
        if self.options().timestamps {
            // What has expired is overwritten by what is new.
            if *expect == Expect::Nothing {
                set.insert("createdAt", date(now));
            } else {
                update.insert("$setOnInsert", doc! { "createdAt": date(now) });
            }
        }
        update.insert("$set", set);
        self.stamp(&mut update);
        update
    }

    fn stamp(&self, update: &mut Document) {
        if self.options().timestamps {
            update.insert("$currentDate", doc! { "updatedAt": true });
        }
    }

    /// Answers whether it is written.
    async fn write(&self, filter: Document, update: Document, expect: &Expect) -> Result<bool, MongoError> {
        let mut attempt = 1;
        loop {
            let upsert = !matches!(expect, Expect::Version(_));
            let action = self.collection().update_one(filter.clone(), update.clone()).upsert(upsert);
            match self.run(action).await {
                Ok(written) => return Ok(upsert || written.matched_count > 0),
                Err(error) if error.is_duplicate_key() && *expect == Expect::Nothing => return Ok(false),
                Err(error) if error.is_duplicate_key() && attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// A touch's update.
    fn move_to(&self, expires: Millis, now: Millis) -> UpdateModifications {
        if !self.options().touch_after.is_zero() {
            return vec![self.touch_if_due(expires, now)].into();
        }
        let mut update = doc! { "$set": { "expires": date(expires) } };
        self.stamp(&mut update);
        update.into()
    }

    /// connect-mongo's `touchAfter`, which goes by the `lastModified` that it has read. Here the server looks: a touch that is
    /// not due writes nothing. A document without `lastModified` is always due and gets none. One that would have expired
    /// before the next touch is due as well, and one that shall expire earlier than it does: connect-mongo leaves both.
    fn touch_if_due(&self, expires: Millis, now: Millis) -> Document {
        let touch_after = expiry::after(0, self.options().touch_after);
        // What is missing comes before all dates.
        let due = doc! { "$or": [
            { "$lte": ["$lastModified", date(now.saturating_sub(touch_after))] },
            { "$lte": ["$expires", date(now.saturating_add(touch_after))] },
            { "$gt": ["$expires", date(expires)] },
        ] };
        let dated = doc! { "$eq": [{ "$type": "$lastModified" }, "date"] };
        let mut set = doc! {
            "expires": { "$cond": [due.clone(), date(expires), "$expires"] },
            "lastModified": { "$cond": [{ "$and": [dated, due.clone()] }, date(now), "$lastModified"] },
        };
        if self.options().timestamps {
            set.insert("updatedAt", doc! { "$cond": [due, "$$NOW", "$updatedAt"] });
        }
        doc! { "$set": set }
    }

    /// Whether a touch now would be too early to move anything.
    fn is_touched(&self, document: &Document, left: Option<Duration>, now: Millis) -> bool {
        let touch_after = self.options().touch_after;
        let recently = |at: &DateTime| now < expiry::after(at.timestamp_millis(), touch_after);
        left.is_some_and(|left| left > touch_after)
            && document.get_datetime("lastModified").is_ok_and(recently)
    }
}

impl fmt::Debug for MongoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let collection = self.0.collection.namespace().to_string();
        f.debug_struct("MongoStore").field("collection", &collection).finish_non_exhaustive()
    }
}
