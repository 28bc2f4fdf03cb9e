//! The options, by connect-mongo's names.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use mongodb::{
    Client, Collection, Database,
    bson::{Bson, Document},
    options::{
        Acknowledgment, ClientOptions, CollectionOptions, ReadPreference, SelectionCriteria, WriteConcern,
    },
};
use session_core::Clock;

use crate::{crypto::Crypto, store::MongoStore};

const DAY: Duration = Duration::from_secs(86_400);
const MINUTE: Duration = Duration::from_secs(60);

/// What connect-mongo allows: longer ones do not fit into Node's timers.
const LONGEST_INTERVAL: Duration = Duration::from_secs(71_582 * 60);

/// Longer than anybody means: 14 days in milliseconds, taken for seconds, are 38 years.
const LONGEST_TTL: Duration = Duration::from_secs(10 * 365 * 86_400);

/// The driver's own 30 seconds would keep every request waiting while the database is down.
const SELECTION_TIMEOUT: Duration = Duration::from_secs(3);

/// The options of a [`MongoStore`], by connect-mongo's names. Times are `Duration`s: connect-mongo has seconds for some of
/// them and minutes for others.
///
/// ```no_run
/// use std::time::Duration;
///
/// use store_mongo::{MongoOptions, mongodb::Client};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::with_uri_str("mongodb://localhost").await?;
/// let store = MongoOptions::new(client)
///     .db_name("shop")
///     .touch_after(Duration::from_secs(24 * 3600))
///     .timestamps(true)
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct MongoOptions {
    source: MongoSource,
    db_name: Option<String>,
    collection_name: Option<String>,
    write_concern: Option<WriteConcern>,
    auto_remove: AutoRemove,
    auto_remove_interval: Duration,
    pub(crate) ttl: Duration,
    pub(crate) touch_after: Duration,
    pub(crate) stringify: bool,
    pub(crate) timestamps: bool,
    pub(crate) transform_id: Option<TransformId>,
    pub(crate) crypto: Option<Crypto>,
    pub(crate) serializer: Option<Serializer>,
    pub(crate) timeout: Duration,
    pub(crate) clock: Clock,
}

/// What a store is made from: a client, a database or a collection that the application already has.
#[derive(Clone, Debug)]
pub struct MongoSource(Source);

#[derive(Clone, Debug)]
enum Source {
    Client(Client),
    Database(Database),
    Collection(Collection<Document>),
}

/// How expired sessions go. Node: `autoRemove`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoRemove {
    /// By MongoDB, about once a minute, with the TTL index `expires_1` that connect-mongo makes. It is made again when it is gone, as often
    /// as [`auto_remove_interval`](MongoOptions::auto_remove_interval) says; where it cannot be made, for want of a right or since there is
    /// another index on `expires`, this process removes them as often. An index of your own that gives them more time wants
    /// [`Disabled`](Self::Disabled).
    Native,
    /// By this process, every [`auto_remove_interval`](MongoOptions::auto_remove_interval).
    Interval,
    /// By others. [`prune`](session_core::AdminStore::prune) does it at any time.
    Disabled,
}

type BoxError = Box<dyn Error + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Serializer {
    pub(crate) serialize: Arc<Serialize>,
    pub(crate) unserialize: Arc<Unserialize>,
}

type Serialize = dyn Fn(&str) -> Result<Bson, BoxError> + Send + Sync;
type Unserialize = dyn Fn(&Bson) -> Result<String, BoxError> + Send + Sync;

impl fmt::Debug for Serializer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Serializer(…)")
    }
}

#[derive(Clone)]
pub(crate) struct TransformId(pub(crate) Arc<dyn Fn(&str) -> String + Send + Sync>);

impl fmt::Debug for TransformId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TransformId(…)")
    }
}

/// Options that cannot work. It names the option, and says what would.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("option {option}: {reason}")]
pub struct MongoOptionsError {
    option: &'static str,
    reason: String,
}

impl MongoOptionsError {
    /// The option that is at fault, by its name in [`MongoOptions`]: `"ttl"`.
    #[must_use]
    pub fn option(&self) -> &'static str {
        self.option
    }
}

impl MongoOptions {
    /// The defaults, on what the application already has. Its timeouts, its credentials, and its read and write concerns hold
    /// for the store. Its read preference does not: sessions are read from the primary, always, since a secondary may not have
    /// yet what was just written. Node: `client`.
    pub fn new(source: impl Into<MongoSource>) -> Self {
        Self {
            source: source.into(),
            db_name: None,
            collection_name: None,
            write_concern: None,
            auto_remove: AutoRemove::Native,
            auto_remove_interval: 10 * MINUTE,
            ttl: 14 * DAY,
            touch_after: Duration::ZERO,
            stringify: true,
            timestamps: false,
            transform_id: None,
            crypto: None,
            serializer: None,
            timeout: Duration::from_secs(10),
            clock: Clock::system(),
        }
    }

    /// The defaults, on a client of its own. It connects when it is first used, so that a database that is down does not
    /// keep the application from starting; while it is down, requests fail within three seconds, unless the URL sets
    /// `serverSelectionTimeoutMS` and `connectTimeoutMS`. Node: `mongoUrl`.
    ///
    /// # Errors
    /// The URL is none that the driver takes: `mongodb+srv://` needs the feature `srv`, and DNS.
    pub async fn open(url: &str) -> Result<Self, MongoOptionsError> {
        let parsed = ClientOptions::parse(url).await.and_then(|mut options| {
            options.server_selection_timeout.get_or_insert(SELECTION_TIMEOUT);
            options.connect_timeout.get_or_insert(SELECTION_TIMEOUT);
            Client::with_options(options)
        });
        // The driver's own words could quote the password.
        let reason = if url.starts_with("mongodb+srv://") {
            "not a URL that the driver takes; mongodb+srv:// needs DNS and the feature `srv`"
        } else {
            "not a URL that the driver takes: mongodb://user:password@host:27017/database?options, percent-encoded"
        };
        parsed.map(Self::new).or_else(|_| refuse("url", reason))
    }

    /// The database. Default: the one in the client's URL, else `test`. Refused where the application gave a database or a
    /// collection. Node: `dbName`.
    pub fn db_name(self, name: impl Into<String>) -> Self {
        Self { db_name: Some(name.into()), ..self }
    }

    /// The collection. Default: `sessions`. Refused where the application gave a collection. Node: `collectionName`.
    pub fn collection_name(self, name: impl Into<String>) -> Self {
        Self { collection_name: Some(name.into()), ..self }
    }

    /// How long a session is held whose cookie lives until the browser closes. Default: 14 days. Node: `ttl`, in seconds.
    pub fn ttl(self, ttl: Duration) -> Self {
        Self { ttl, ..self }
    }

    /// An unchanged session's expiry is moved at most once in this time, which spares the database a write with every
    /// request. Default: zero, which is no limit. It has to be shorter than sessions live. All applications that share
    /// the collection should have the same. Node: `touchAfter`, in seconds.
    pub fn touch_after(self, touch_after: Duration) -> Self {
        Self { touch_after, ..self }
    }

    /// Whether sessions are stored as strings, or as documents that queries can look into. Default: strings. Both are read,
    /// whatever it says here; a session changes its form when it is next written. Encrypted sessions are always strings.
    /// Node: `stringify`.
    pub fn stringify(self, stringify: bool) -> Self {
        Self { stringify, ..self }
    }

    /// How expired sessions go. Default: MongoDB removes them. Node: `autoRemove`.
    pub fn auto_remove(self, auto_remove: AutoRemove) -> Self {
        Self { auto_remove, ..self }
    }

    /// How often this process removes expired sessions: with [`AutoRemove::Interval`], and where the TTL index cannot be
    /// made; up to an eighth sooner or later. Default: 10 minutes. Node: `autoRemoveInterval`, in minutes.
    pub fn auto_remove_interval(self, interval: Duration) -> Self {
        Self { auto_remove_interval: interval, ..self }
    }

    /// Whether documents say when they were created and last written (`createdAt`, `updatedAt`). Default: no. Node:
    /// `timestamps`.
    pub fn timestamps(self, timestamps: bool) -> Self {
        Self { timestamps, ..self }
    }

    /// What the document of a sid is called: a prefix for one of several applications, or a digest, so that who reads the
    /// database learns no sid. Default: the sid itself. There is no way back from it, so that
    /// [`ids`](session_core::AdminStore::ids) and [`all`](session_core::AdminStore::all) are refused. Node: `transformId`.
    pub fn transform_id(self, transform_id: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self { transform_id: Some(TransformId(Arc::new(transform_id))), ..self }
    }

    /// What a write has to wait for. Default: what the client, database or collection says, and that is a majority of the
    /// replica set unless somebody changed it. A concern of zero is refused: it would not say whether anything was
    /// written. Node: `writeOperationOptions`.
    pub fn write_concern(self, write_concern: WriteConcern) -> Self {
        Self { write_concern: Some(write_concern), ..self }
    }

    /// How sessions are encrypted: a [`Kruptein`](crate::Kruptein), a [`WebCrypto`](crate::WebCrypto), or a [`Crypto`] with
    /// several secrets. Default: not at all. Node: `crypto`, `cryptoAdapter`.
    pub fn crypto(self, crypto: impl Into<Crypto>) -> Self {
        Self { crypto: Some(crypto.into()), ..self }
    }

    /// How a record's JSON becomes a document's `session`, and the way back: to compress it, or for records in another form.
    /// Default: [`stringify`](Self::stringify) says it. Any BSON will do but null and arrays, and what it makes is compared as it
    /// stands.
    ///
    /// Whoever shares the collection must have the same. What `unserialize` refuses is a record that cannot be read
    /// ([`StoreError::Corrupt`](session_core::StoreError::Corrupt)); what `serialize` refuses is not written, and an error of the
    /// call. The words of these errors may be logged: let them show no data. Both run on the caller's thread, which they should
    /// not hold up. Not together with [`crypto`](Self::crypto). Node: `serialize`, `unserialize`, which see the session object.
    ///
    /// ```
    /// use store_mongo::{MongoOptions, mongodb::bson::{Bson, doc}};
    ///
    /// # fn options(options: MongoOptions) -> MongoOptions {
    /// options.serializer(
    ///     |json| Ok(doc! { "wrapped": json }.into()),
    ///     |held| {
    ///         let wrapped = held.as_document().and_then(|held| held.get_str("wrapped").ok());
    ///         Ok(wrapped.ok_or("it is not wrapped")?.to_owned())
    ///     },
    /// )
    /// # }
    /// ```
    pub fn serializer(
        self,
        serialize: impl Fn(&str) -> Result<Bson, BoxError> + Send + Sync + 'static,
        unserialize: impl Fn(&Bson) -> Result<String, BoxError> + Send + Sync + 'static,
    ) -> Self {
        let serializer = Serializer { serialize: Arc::new(serialize), unserialize: Arc::new(unserialize) };
        Self { serializer: Some(serializer), ..self }
    }

    /// How long each of the four verbs may take before it fails, whatever the client's own timeouts are. Default: 10
    /// seconds.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// The clock that expiry goes by, for tests. Default: the system's. MongoDB's own removal goes by the server's.
    pub fn clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Checks the options and makes the store. Nothing is sent to the database yet.
    ///
    /// # Errors
    /// An option that cannot work.
    pub fn build(self) -> Result<MongoStore, MongoOptionsError> {
        self.check()?;
        Ok(self.unchecked())
    }

    pub(crate) fn unchecked(self) -> MongoStore {
        let collection = self.collection();
        MongoStore::from_options(self, collection)
    }

    fn check(&self) -> Result<(), MongoOptionsError> {
        if self.db_name.is_some() && !matches!(self.source.0, Source::Client(_)) {
            return refuse("db_name", "the database is given already");
        }
        if self.collection_name.is_some() && matches!(self.source.0, Source::Collection(_)) {
            return refuse("collection_name", "the collection is given already");
        }
        if self
            .db_name
            .as_ref()
            .is_some_and(|name| name.is_empty() || name.contains(['/', '\\', '.', ' ', '"', '$', '\0']))
        {
            return refuse("db_name", "not a name that MongoDB takes");
        }
        let refused =
            |name: &String| name.is_empty() || name.starts_with("system.") || name.contains(['$', '\0']);
        if self.collection_name.as_ref().is_some_and(refused) {
            return refuse("collection_name", "not a name that MongoDB takes");
        }
        if self.ttl.as_millis() == 0 {
            return refuse("ttl", "sessions that are over at once");
        }
        if self.ttl > LONGEST_TTL {
            return refuse("ttl", "longer than ten years: connect-mongo's number is in seconds");
        }
        if self.touch_after >= self.ttl {
            return refuse(
                "touch_after",
                "sessions would expire before they are touched: make it shorter than ttl",
            );
        }
        if self.auto_remove_interval < Duration::from_secs(1) {
            return refuse("auto_remove_interval", "at least a second: connect-mongo's number is in minutes");
        }
        if self.auto_remove_interval > LONGEST_INTERVAL {
            return refuse("auto_remove_interval", "at most 71582 minutes, as in connect-mongo");
        }
        if self.timeout.is_zero() {
            return refuse("timeout", "nothing could be done in no time");
        }
        if !acknowledges(&self.collection()) {
            return refuse("write_concern", UNACKNOWLEDGED);
        }
        if self.serializer.is_some() && self.crypto.is_some() {
            return refuse("serializer", "not together with crypto: let it encrypt as well");
        }
        self.crypto
            .as_ref()
            .map_or(Ok(()), |crypto| crypto.check().or_else(|reason| refuse("crypto", reason)))
    }

    pub(crate) fn auto_remove_settings(&self) -> (AutoRemove, Duration) {
        (self.auto_remove, self.auto_remove_interval)
    }

    fn collection(&self) -> Collection<Document> {
        let name = self.collection_name.as_deref().unwrap_or("sessions");
        let collection: Collection<Document> = match &self.source.0 {
            Source::Client(client) => match &self.db_name {
                Some(database) => client.database(database).collection(name),
                None => client.default_database().unwrap_or_else(|| client.database("test")).collection(name),
            },
            Source::Database(database) => database.collection(name),
            Source::Collection(collection) => collection.clone(),
        };
        let options = CollectionOptions::builder()
            .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
            .read_concern(collection.read_concern().cloned())
            .write_concern(self.write_concern.clone().or_else(|| collection.write_concern().cloned()))
            .build();
        let namespace = collection.namespace();
        collection.client().database(&namespace.db).collection_with_options(&namespace.coll, options)
    }
}

impl From<Client> for MongoSource {
    fn from(client: Client) -> Self {
        Self(Source::Client(client))
    }
}

impl From<Database> for MongoSource {
    fn from(database: Database) -> Self {
        Self(Source::Database(database))
    }
}

impl<T: Send + Sync> From<Collection<T>> for MongoSource {
    fn from(collection: Collection<T>) -> Self {
        Self(Source::Collection(collection.clone_with_type()))
    }
}

/// Whether what is written is answered.
pub(crate) fn acknowledges(collection: &Collection<Document>) -> bool {
    collection.write_concern().is_none_or(|concern| concern.w != Some(Acknowledgment::Nodes(0)))
}

pub(crate) const UNACKNOWLEDGED: &str = "with zero, nobody would know whether a session was written";

fn refuse<T>(option: &'static str, reason: impl Into<String>) -> Result<T, MongoOptionsError> {
    Err(MongoOptionsError { option, reason: reason.into() })
}

#[cfg(test)]
mod tests {
    use mongodb::options::ReadConcern;

    use super::*;

    #[tokio::test]
    async fn it_reads_from_the_primary_and_keeps_the_concerns_that_the_application_has() {
        let client = Client::with_uri_str("mongodb://127.0.0.1:1").await.unwrap();
        let preference = ReadPreference::SecondaryPreferred { options: Default::default() };
        let criteria = SelectionCriteria::ReadPreference(preference);
        let one = WriteConcern::builder().w(Acknowledgment::Nodes(1)).build();
        let own = CollectionOptions::builder()
            .selection_criteria(criteria)
            .read_concern(ReadConcern::linearizable())
            .write_concern(one.clone())
            .build();
        let given = client.database("a").collection_with_options::<Document>("b", own);
        let options = MongoOptions::new(given);
        for (options, concern) in [
            (options.clone(), one),
            (options.clone().write_concern(WriteConcern::majority()), WriteConcern::majority()),
        ] {
            let collection = options.collection();
            let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
            assert_eq!(collection.selection_criteria(), Some(&primary));
            assert_eq!(collection.read_concern(), Some(&ReadConcern::linearizable()));
            assert_eq!(collection.write_concern(), Some(&concern));
        }
        assert_eq!(options.auto_remove_settings(), (AutoRemove::Native, 10 * MINUTE));
        assert_eq!(options.timeout, Duration::from_secs(10));
    }
}
