//! How expired documents go, and what becomes of a server that has another index or gives no right to make one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a test that cannot go on stops"
)]

mod common;

use std::{
    io::Write,
    process::ExitCode,
    sync::{Arc, Mutex, OnceLock},
    thread,
    time::Duration,
};

use common::{DATABASE, collection, mongodb_url, put, quiet, record, until};
use mongodb::{
    Client, Collection, IndexModel,
    bson::{Bson, DateTime, Document, doc},
    event::{EventHandler, command::CommandEvent},
    options::{ClientOptions, IndexOptions},
};
use session_core::{AdminStore, Expect, Set, Sid, Store, StoreError};
use session_testkit::run;
use store_mongo::{AutoRemove, MongoOptions, MongoStore, mongodb};
use test_support::tests;

fn main() -> ExitCode {
    tests! {
        needs mongodb_url =>
            the_index_is_connect_mongos,
            the_server_removes_what_has_expired,
            another_index_is_left_alone_and_the_store_works_on,
            an_index_that_somebody_dropped_is_made_again,
            what_another_index_allows_once_is_no_id_in_use,
            every_so_often_or_never,
            what_has_expired_goes_in_small_parts,
            removal_begins_again_where_its_runtime_has_ended,
            a_collection_with_a_collation_is_refused;
    }
    .run()
}

async fn indexes(collection: &Collection<Document>) -> Vec<Document> {
    let command = doc! { "listIndexes": collection.name() };
    let database = collection.client().database(&collection.namespace().db);
    // Without a collection there are none.
    let Ok(answer) = database.run_command(command).await else { return Vec::new() };
    let batch = answer.get_document("cursor").unwrap().get_array("firstBatch").unwrap();
    batch.iter().filter_map(Bson::as_document).cloned().collect()
}

async fn plant_expired(collection: &Collection<Document>) {
    let expired = doc! { "expires": DateTime::from_millis(0), "session": "{}" };
    collection.insert_one(expired).await.unwrap();
    collection.insert_one(doc! { "session": "without an expiry" }).await.unwrap();
}

async fn count(collection: &Collection<Document>) -> u64 {
    collection.count_documents(doc! {}).await.unwrap()
}

fn the_index_is_connect_mongos(url: String) {
    run(async {
        let collection = collection(&url).await;
        let store = MongoStore::new(collection.clone());
        put(&store, &record("")).await;
        until(async || indexes(&collection).await.len() == 2).await;
        let index = &indexes(&collection).await[1];
        let shown = Bson::Document(index.clone()).into_relaxed_extjson().to_string();
        assert_eq!(
            shown,
            r#"{"v":2,"key":{"expires":1},"name":"expires_1","background":true,"expireAfterSeconds":0}"#
        );
        // Another process finds it there.
        let other = MongoStore::new(collection.clone());
        put(&other, &record("")).await;
        assert_eq!(indexes(&collection).await.len(), 2);
    });
}

fn the_server_removes_what_has_expired(url: String) {
    run(async {
        let collection = collection(&url).await;
        plant_expired(&collection).await;
        let store = MongoStore::new(collection.clone());
        put(&store, &record("")).await;
        // Once a minute, unless the server is told to do it more often.
        for _ in 0..280 {
            if count(&collection).await == 2 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        panic!("not within 70 seconds");
    });
}

fn another_index_is_left_alone_and_the_store_works_on(url: String) {
    run(async {
        let plain = IndexModel::builder().keys(doc! { "expires": 1 }).build();
        let hour = Duration::from_secs(3_600);
        let later = IndexOptions::builder().expire_after(hour).build();
        let later = IndexModel::builder().keys(doc! { "expires": 1 }).options(later).build();
        let named = IndexOptions::builder().name("other".to_owned()).expire_after(Duration::ZERO).build();
        let named = IndexModel::builder().keys(doc! { "expires": 1 }).options(named).build();
        log();
        for (at, index) in [plain, later, named].into_iter().enumerate() {
            let collection = collection(&url).await;
            collection.create_index(index).await.unwrap();
            plant_expired(&collection).await;
            let before = indexes(&collection).await;
            let interval = Duration::from_millis(1_100 + at as u64);
            let options = MongoOptions::new(collection.clone()).auto_remove_interval(interval);
            let store = options.build().unwrap();
            let sid = put(&store, &record("")).await;
            assert!(store.get(&sid).await.unwrap().is_some());
            until(async || count(&collection).await == 2).await;
            assert_eq!(indexes(&collection).await, before);
            assert!(store.get(&sid).await.unwrap().is_some());
            assert_eq!(warnings(&format!("{interval:?}")), 1, "it says so once");
        }
    });
}

fn an_index_that_somebody_dropped_is_made_again(url: String) {
    run(async {
        let collection = collection(&url).await;
        let options = MongoOptions::new(collection.clone()).auto_remove_interval(Duration::from_secs(1));
        let store = options.build().unwrap();
        put(&store, &record("")).await;
        for _ in 0..2 {
            until(async || indexes(&collection).await.len() == 2).await;
            // To log everybody out.
            collection.drop().await.unwrap();
            put(&store, &record("")).await;
        }
        // With another one it is as if that had been there from the beginning.
        until(async || indexes(&collection).await.len() == 2).await;
        let later = doc! { "collMod": collection.name(), "index": { "name": "expires_1", "expireAfterSeconds": i32::MAX } };
        collection.client().database(&collection.namespace().db).run_command(later).await.unwrap();
        plant_expired(&collection).await;
        until(async || count(&collection).await == 2).await;
    });
}

fn what_another_index_allows_once_is_no_id_in_use(url: String) {
    run(async {
        let collection = collection(&url).await;
        let once = IndexOptions::builder().unique(true).build();
        let user = IndexModel::builder().keys(doc! { "session.user": 1 }).options(once).build();
        collection.create_index(user).await.unwrap();
        let store = quiet(&collection).stringify(false).build().unwrap();
        let one = put(&store, &record("\"user\":1")).await;
        assert_eq!(store.set(&one, &record("\"user\":1"), &Expect::Nothing).await.unwrap(), Set::Conflict);
        let other = Sid::random();
        let error = store.set(&other, &record("\"user\":1"), &Expect::Nothing).await.unwrap_err();
        assert!(format!("{error:?}").contains("11000"), "{error:?}");
        assert!(store.get(&other).await.unwrap().is_none());
    });
}

fn every_so_often_or_never(url: String) {
    run(async {
        let (removed, kept) = (collection(&url).await, collection(&url).await);
        plant_expired(&removed).await;
        plant_expired(&kept).await;
        let interval = MongoOptions::new(removed.clone()).auto_remove(AutoRemove::Interval);
        let interval = interval.auto_remove_interval(Duration::from_secs(1)).build().unwrap();
        let never = quiet(&kept).build().unwrap();
        assert_eq!((interval.length().await.unwrap(), never.length().await.unwrap()), (1, 1));
        until(async || count(&removed).await == 1).await;
        assert_eq!(indexes(&removed).await.len(), 1);
        assert_eq!(count(&kept).await, 2);
        assert_eq!((never.prune().await.unwrap(), never.prune().await.unwrap()), (1, 0));
        assert_eq!(count(&kept).await, 1);
    });
}

fn what_has_expired_goes_in_small_parts(url: String) {
    run(async {
        let deletes = Arc::new(Mutex::new(Vec::new()));
        let mut options = ClientOptions::parse(&url).await.unwrap();
        let noted = Arc::clone(&deletes);
        options.command_event_handler = Some(EventHandler::callback(move |event| {
            if let CommandEvent::Started(started) = event
                && started.command_name == "delete"
            {
                let delete = started.command.get_array("deletes").unwrap()[0].as_document().unwrap();
                let ids = delete.get_document("q").unwrap().get_document("_id").unwrap().get_array("$in");
                noted.lock().unwrap().push(ids.unwrap().len());
            }
        }));
        let client = Client::with_options(options).unwrap();
        let collection = client.database(DATABASE).collection(collection(&url).await.name());
        let expired = (0..2_500).map(|_| doc! { "expires": DateTime::from_millis(0), "session": "{}" });
        collection.insert_many(expired).await.unwrap();
        let store = quiet(&collection).build().unwrap();
        let sid = put(&store, &record("")).await;
        assert_eq!(store.prune().await.unwrap(), 2_500);
        assert_eq!(*deletes.lock().unwrap(), [1_000, 1_000, 500]);
        assert!(store.get(&sid).await.unwrap().is_some());
        assert_eq!(store.prune().await.unwrap(), 0);
        assert_eq!(deletes.lock().unwrap().len(), 3, "where nothing has expired nothing is deleted");
    });
}

/// The request that began it was of a worker whose runtime ends before the store does.
fn removal_begins_again_where_its_runtime_has_ended(url: String) {
    run(async {
        let collection = collection(&url).await;
        let options = MongoOptions::new(collection.clone()).auto_remove(AutoRemove::Interval);
        let store = options.auto_remove_interval(Duration::from_secs(1)).build().unwrap();
        let worker = thread::spawn({
            let store = store.clone();
            move || tokio::runtime::Runtime::new().unwrap().block_on(put(&store, &record("")))
        });
        let sid = tokio::task::spawn_blocking(|| worker.join().unwrap()).await.unwrap();
        plant_expired(&collection).await;
        // Its connections ended with it.
        until(async || store.get(&sid).await.is_ok_and(|held| held.is_some())).await;
        until(async || count(&collection).await == 2).await;
    });
}

fn a_collection_with_a_collation_is_refused(url: String) {
    run(async {
        for collation in [doc! { "locale": "en", "strength": 2 }, doc! { "locale": "de" }] {
            let collection = collection(&url).await;
            let database = collection.client().database(&collection.namespace().db);
            let create = doc! { "create": collection.name(), "collation": collation };
            database.run_command(create).await.unwrap();
            let store = quiet(&collection).build().unwrap();
            let (sid, record) = (Sid::random(), record(""));
            for _ in 0..2 {
                for error in [
                    store.get(&sid).await.map(drop).unwrap_err(),
                    store.set(&sid, &record, &Expect::Nothing).await.map(drop).unwrap_err(),
                    store.touch(&sid, &record.cookie, &Expect::Anything).await.map(drop).unwrap_err(),
                    store.destroy(&sid, &Expect::Anything).await.map(drop).unwrap_err(),
                    store.length().await.map(drop).unwrap_err(),
                    store.ids(&mut |_| ()).await.unwrap_err(),
                    store.all(&mut |_, _| ()).await.unwrap_err(),
                    store.clear().await.unwrap_err(),
                    store.prune().await.map(drop).unwrap_err(),
                ] {
                    let StoreError::Unavailable { source, .. } = &error else { panic!("{error:?}") };
                    assert!(source.to_string().contains("default collation"), "{error:?}");
                }
            }
            // Once it is another one, nobody has to restart anything.
            collection.drop().await.unwrap();
            assert!(store.get(&put(&store, &record).await).await.unwrap().is_some());
        }
    });
}

/// How many warnings contain these words.
fn warnings(words: &str) -> usize {
    let log = log().lock().unwrap();
    String::from_utf8_lossy(&log).lines().filter(|line| line.contains("WARN") && line.contains(words)).count()
}

fn log() -> &'static Arc<Mutex<Vec<u8>>> {
    static LOG: OnceLock<Arc<Mutex<Vec<u8>>>> = OnceLock::new();
    LOG.get_or_init(|| {
        let log = Arc::<Mutex<Vec<u8>>>::default();
        let written = Arc::clone(&log);
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || Log(Arc::clone(&written))).init();
        log
    })
}

struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
