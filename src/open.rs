//! A store by its URL.

use std::{error::Error, sync::Arc};

use session_core::{AdminStore, MemoryStore};

/// Opens the store at a URL, with that store's default options. For programs that are told by their environment where
/// sessions live; a store with options of its own is made by its own type. The table of a SQL database is created where it
/// is missing.
///
/// | URL | store | feature |
/// |---|---|---|
/// | `memory:` | [`MemoryStore`] | none |
/// | `redis://…`, `valkey://…` | Redis, Valkey | `redis` |
/// | `rediss://…`, `valkeys://…` | the same over TLS | `redis-tls` |
/// | `mongodb://…` | MongoDB | `mongo` |
/// | `mongodb+srv://…` | MongoDB by its DNS records | `mongo-srv` |
/// | `postgres://…` | PostgreSQL | `postgres` |
/// | `mysql://…`, `mariadb://…` | MySQL and MariaDB | `mysql` |
/// | `sqlite:sessions.db`, `sqlite::memory:` | SQLite | `sqlite` |
///
/// Nothing is connected yet: a database that is down harms only the requests that need a session (with `Options::express` these
/// are all).
///
/// ```
/// # fn main() { let _ = async {
/// use express_session::{Options, open_store};
///
/// let url = std::env::var("STORE_URL").unwrap_or_else(|_| "memory:".into());
/// let sessions = Options::new("keyboard cat").store(open_store(&url).await?).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(()) }; }
/// ```
///
/// # Errors
/// No store has such URLs; the feature of the one that has is off; or the store refuses the URL.
#[allow(clippy::unused_async, reason = "which stores must wait depends on the features")]
pub async fn open_store(url: &str) -> Result<Arc<dyn AdminStore>, OpenStoreError> {
    let scheme = url.split(':').next().unwrap_or_default();
    match scheme {
        "memory" => Ok(Arc::new(MemoryStore::new())),
        #[cfg(feature = "redis")]
        "redis" | "valkey" | "redis+unix" | "valkey+unix" | "unix" => {
            opened(store_redis::RedisStore::open(url))
        }
        #[cfg(feature = "redis-tls")]
        "rediss" | "valkeys" => opened(store_redis::RedisStore::open(url)),
        #[cfg(feature = "mongo")]
        "mongodb" => opened(store_mongo::MongoStore::open(url).await),
        #[cfg(feature = "mongo-srv")]
        "mongodb+srv" => opened(store_mongo::MongoStore::open(url).await),
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => {
            opened(store_sqlx::PostgresStore::open(url).map(|store| store.create_table_if_missing(true)))
        }
        #[cfg(feature = "mysql")]
        "mysql" | "mariadb" => opened(store_sqlx::MySqlStore::open(url)),
        #[cfg(feature = "sqlite")]
        "sqlite" => opened(store_sqlx::SqliteStore::open(url)),
        _ => Err(without(scheme)),
    }
}

/// Why [`open_store`] has no store. It never shows the URL, which may carry a password.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenStoreError {
    /// The store exists, and its feature is off.
    MissingFeature {
        /// The feature to add.
        feature: &'static str,
    },
    /// No store has URLs that begin so.
    UnknownScheme,
    /// The store refused the URL.
    Refused(Box<dyn Error + Send + Sync>),
}

impl std::fmt::Display for OpenStoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::MissingFeature { feature } => write!(
                f,
                "this store needs the feature `{feature}`: express-session = {{ features = [\"{feature}\", …] }}, \
                 or cargo run --features {feature},…"
            ),
            Self::UnknownScheme => f.write_str(
                "no store has such a URL: known are memory:, redis:, mongodb:, postgres:, mysql: and sqlite:",
            ),
            Self::Refused(error) => write!(f, "the store refuses the URL: {error}"),
        }
    }
}

impl Error for OpenStoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Refused(error) => Some(error.as_ref()),
            _ => None,
        }
    }
}

#[allow(dead_code, reason = "without stores there is nothing to open")]
fn opened<S: AdminStore, E: Into<Box<dyn Error + Send + Sync>>>(
    store: Result<S, E>,
) -> Result<Arc<dyn AdminStore>, OpenStoreError> {
    match store {
        Ok(store) => Ok(Arc::new(store)),
        Err(error) => Err(OpenStoreError::Refused(error.into())),
    }
}

fn without(scheme: &str) -> OpenStoreError {
    let feature = match scheme {
        "redis" | "valkey" | "redis+unix" | "valkey+unix" | "unix" => "redis",
        "rediss" | "valkeys" => "redis-tls",
        "mongodb" => "mongo",
        "mongodb+srv" => "mongo-srv",
        "postgres" | "postgresql" => "postgres",
        "mysql" | "mariadb" => "mysql",
        "sqlite" => "sqlite",
        _ => return OpenStoreError::UnknownScheme,
    };
    OpenStoreError::MissingFeature { feature }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stores' own tests switch their features on themselves.
    #[test]
    fn a_feature_switches_on_what_it_is_named_after() {
        let manifest = include_str!("../Cargo.toml");
        for (feature, of_store) in [
            ("redis-tls", "store-redis/tls"),
            ("redis-sentinel", "store-redis/sentinel"),
            ("redis-credentials", "store-redis/credentials"),
            ("mongo-srv", "store-mongo/srv"),
            ("postgres", "store-sqlx/postgres"),
            ("mysql", "store-sqlx/mysql"),
            ("sqlite", "store-sqlx/sqlite"),
        ] {
            let line = manifest.lines().find(|line| line.starts_with(&format!("{feature} = ["))).unwrap();
            assert!(line.contains(&format!("\"{of_store}\"")), "{line}");
        }
    }

    #[test]
    fn what_cannot_be_opened_says_what_to_add() {
        for (scheme, feature) in [
            ("sqlite", "sqlite"),
            ("valkey", "redis"),
            ("rediss", "redis-tls"),
            ("valkeys", "redis-tls"),
            ("mongodb+srv", "mongo-srv"),
        ] {
            let says = format!("this store needs the feature `{feature}`: ");
            assert!(without(scheme).to_string().starts_with(&says), "{scheme}");
        }
        assert!(without("ftp").to_string().starts_with("no store has such a URL"));
    }
}
