//! The `store` of a probe's configuration, its options spelled as the Node store spells them.

use std::{sync::Arc, time::Duration};

use express_session::{
    AdminStore, Clock, MemoryStore, StoreError,
    mongo::{Algorithm, AutoRemove, Encoding, Hashing, Kruptein, MongoOptions},
    redis::RedisStore,
    sql::{MySqlStore, PostgresStore, SqliteStore, SqliteTable},
};
use serde_json::{Map, Value};

use super::keys::{Keys, Parsed, Refusal, refusal};

/// Node's stores wait for as long as it takes, and a busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn store(object: &Map<String, Value>, clock: &Clock) -> Parsed<Arc<dyn AdminStore>> {
    let mut keys = Keys::of("store.", object);
    let kind = keys.text("kind")?.unwrap_or_else(|| "memory".into());
    let url = keys.text("url")?.unwrap_or_default();
    let options = keys.object("options")?.unwrap_or_default();
    keys.finish()?;
    let mut keys = Keys::of("store.options.", &options);
    let store: Arc<dyn AdminStore> = match kind.as_str() {
        "memory" => Arc::new(MemoryStore::new().clock(clock.clone())),
        "redis" => Arc::new(redis(&url, &mut keys)?.clock(clock.clone())),
        "mongo" => {
            let options = mongo(&url, &mut keys).await?.clock(clock.clone());
            Arc::new(options.build().map_err(|error| Refusal(error.to_string()))?)
        }
        "postgres" => Arc::new(postgres(&url, &mut keys)?.clock(clock.clone())),
        "mysql" => Arc::new(mysql(&url, &mut keys)?.clock(clock.clone())),
        "sqlite" => Arc::new(sqlite(&url, &mut keys)?.clock(clock.clone())),
        _ => return Err(refusal("store.kind", "no such store")),
    };
    keys.finish()?;
    Ok(store)
}

fn redis(url: &str, keys: &mut Keys<'_>) -> Parsed<RedisStore> {
    let mut store = RedisStore::open(url).map_err(bad_url)?.timeout(PATIENCE);
    if let Some(prefix) = keys.text("prefix")? {
        store = store.prefix(prefix);
    }
    if let Some(ttl) = seconds(keys, "ttl")? {
        store = store.ttl(ttl);
    }
    if let Some(disable) = keys.boolean("disableTouch")? {
        store = store.disable_touch(disable);
    }
    if let Some(disable) = keys.boolean("disableTTL")? {
        store = store.disable_ttl(disable);
    }
    Ok(store)
}

async fn mongo(url: &str, keys: &mut Keys<'_>) -> Parsed<MongoOptions> {
    let mut store = MongoOptions::open(url).await.map_err(|_| refusal("store.url", "no MongoDB URL"))?;
    store = store.timeout(PATIENCE);
    if let Some(name) = keys.text("dbName")? {
        store = store.db_name(name);
    }
    if let Some(name) = keys.text("collectionName")? {
        store = store.collection_name(name);
    }
    if let Some(ttl) = seconds(keys, "ttl")? {
        store = store.ttl(ttl);
    }
    if let Some(touch_after) = seconds(keys, "touchAfter")? {
        store = store.touch_after(touch_after);
    }
    if let Some(stringify) = keys.boolean("stringify")? {
        store = store.stringify(stringify);
    }
    if let Some(timestamps) = keys.boolean("timestamps")? {
        store = store.timestamps(timestamps);
    }
    let words = [
        ("native", AutoRemove::Native),
        ("interval", AutoRemove::Interval),
        ("disabled", AutoRemove::Disabled),
    ];
    if let Some(auto_remove) = keys.word("autoRemove", &words)? {
        store = store.auto_remove(auto_remove);
    }
    if let Some(crypto) = keys.object("crypto")? {
        store = store.crypto(kruptein(&crypto)?);
    }
    Ok(store)
}

fn kruptein(crypto: &Map<String, Value>) -> Parsed<Kruptein> {
    let mut keys = Keys::of("store.options.crypto.", crypto);
    let secret = keys.text("secret")?.ok_or_else(|| refusal("store.options.crypto.secret", "missing"))?;
    let mut kruptein = Kruptein::new(secret);
    let algorithms = [
        ("aes-128-gcm", Algorithm::Aes128Gcm),
        ("aes-192-gcm", Algorithm::Aes192Gcm),
        ("aes-256-gcm", Algorithm::Aes256Gcm),
        ("aes-128-cbc", Algorithm::Aes128Cbc),
        ("aes-192-cbc", Algorithm::Aes192Cbc),
        ("aes-256-cbc", Algorithm::Aes256Cbc),
        ("aes-128-ctr", Algorithm::Aes128Ctr),
        ("aes-192-ctr", Algorithm::Aes192Ctr),
        ("aes-256-ctr", Algorithm::Aes256Ctr),
    ];
    if let Some(algorithm) = keys.word("algorithm", &algorithms)? {
        kruptein = kruptein.algorithm(algorithm);
    }
    let hashes = [("sha256", Hashing::Sha256), ("sha384", Hashing::Sha384), ("sha512", Hashing::Sha512)];
    if let Some(hashing) = keys.word("hashing", &hashes)? {
        kruptein = kruptein.hashing(hashing);
    }
    if let Some(encoding) = keys.word("encodeas", &[("base64", Encoding::Base64), ("hex", Encoding::Hex)])? {
        kruptein = kruptein.encodeas(encoding);
    }
    if let Some(use_scrypt) = keys.boolean("use_scrypt")? {
        kruptein = kruptein.use_scrypt(use_scrypt);
    }
    // kruptein 3.0, which connect-mongo 6 comes with, passes over the three.
    for size in ["key_size", "iv_size", "at_size"] {
        keys.take(size, "a number", Value::as_u64)?;
    }
    keys.finish()?;
    Ok(kruptein)
}

fn postgres(url: &str, keys: &mut Keys<'_>) -> Parsed<PostgresStore> {
    let mut store = PostgresStore::open(url).map_err(bad_url)?.timeout(PATIENCE);
    if let Some(name) = keys.text("tableName")? {
        store =
            store.table_name(&name).map_err(|_| refusal("store.options.tableName", "no name of a table"))?;
    }
    if let Some(name) = keys.text("schemaName")? {
        store = store
            .schema_name(&name)
            .map_err(|_| refusal("store.options.schemaName", "no name of a schema"))?;
    }
    if let Some(ttl) = seconds(keys, "ttl")? {
        store = store.ttl(ttl);
    }
    if let Some(create) = keys.boolean("createTableIfMissing")? {
        store = store.create_table_if_missing(create);
    }
    if let Some(disable) = keys.boolean("disableTouch")? {
        store = store.disable_touch(disable);
    }
    if let Some(zone) = keys.text("timeZone")? {
        store = store
            .time_zone(&zone)
            .map_err(|_| refusal("store.options.timeZone", "no name of a time zone"))?;
    }
    if keys.take("pruneSessionInterval", "false", is_false)?.is_some() {
        store = store.prune_session_interval(None);
    }
    Ok(store)
}

fn mysql(url: &str, keys: &mut Keys<'_>) -> Parsed<MySqlStore> {
    let mut store = MySqlStore::open(url).map_err(bad_url)?.timeout(PATIENCE);
    if let Some(expiration) = keys.duration("expiration", |ms| Duration::from_secs_f64(ms / 1_000.0))? {
        store = store.expiration(expiration);
    }
    if let Some(create) = keys.boolean("createDatabaseTable")? {
        store = store.create_database_table(create);
    }
    if let Some(disable) = keys.boolean("disableTouch")? {
        store = store.disable_touch(disable);
    }
    if keys.take("clearExpired", "false", is_false)?.is_some() {
        store = store.clear_expired(false);
    }
    if let Some(schema) = keys.object("schema")? {
        store = mysql_schema(store, &schema)?;
    }
    Ok(store)
}

fn mysql_schema(mut store: MySqlStore, schema: &Map<String, Value>) -> Parsed<MySqlStore> {
    let refused = |_| refusal("store.options.schema", "no names of a table and columns");
    let mut keys = Keys::of("store.options.schema.", schema);
    if let Some(name) = keys.text("tableName")? {
        store = store.table_name(&name).map_err(refused)?;
    }
    if let Some(columns) = keys.object("columnNames")? {
        let mut columns = Keys::of("store.options.schema.columnNames.", &columns);
        let mut names = Vec::new();
        for key in ["session_id", "expires", "data"] {
            names.extend(columns.text(key)?.map(|name| (key, name)));
        }
        columns.finish()?;
        store = store.column_names(names.iter().map(|(key, name)| (*key, &**name))).map_err(refused)?;
    }
    keys.finish()?;
    Ok(store)
}

/// Two of Node's packages have SQLite: which one's table it is; none for our own.
fn sqlite(url: &str, keys: &mut Keys<'_>) -> Parsed<SqliteStore> {
    let store = SqliteStore::open(url).map_err(bad_url)?.timeout(PATIENCE);
    let packages = [
        ("connect-sqlite3", SqliteTable::ConnectSqlite3),
        ("better-sqlite3-session-store", SqliteTable::BetterSqlite3),
    ];
    let Some(table) = keys.word("package", &packages)? else { return Ok(store.prune_interval(None)) };
    // As Node opens it.
    let store = store.concurrent_db(false).map_err(bad_url)?;
    Ok(store.table(table).prune_interval(None))
}

fn is_false(value: &Value) -> Option<()> {
    (value == &Value::Bool(false)).then_some(())
}

/// Node's stores take their default for 0.
fn seconds(keys: &mut Keys<'_>, key: &'static str) -> Parsed<Option<Duration>> {
    Ok(keys.duration(key, Duration::from_secs_f64)?.filter(|time| !time.is_zero()))
}

fn bad_url(_: StoreError) -> Refusal {
    refusal("store.url", "no URL of this store")
}
