//! What a network does to each store, while sixteen write sessions without pause: how many of their calls fail, how long the
//! longest takes, after how long the first one succeeds again, and what becomes of what was acknowledged.
//!
//! `cargo run --release -p bench --bin faults`, with `REDIS_URL`, `MONGODB_URL`, `POSTGRES_URL` and `MYSQL_URL`
//! (`cargo xtask services up` starts them); those that are missing are left out. Servers that are killed, frozen and failed over
//! are in the stores' own tests, which print the same figures: `cargo test -p store-redis --test failover -- --nocapture`.

#![allow(clippy::print_stdout, reason = "it prints a table")]
#![allow(clippy::expect_used, reason = "what cannot be set up cannot be measured")]

use std::{
    env,
    sync::Arc,
    time::{Duration, Instant},
};

use bench::table;
use express_session::{
    Sid, Store,
    mongo::MongoStore,
    redis::RedisStore,
    sql::{MySqlStore, PostgresStore},
};
use test_support::{Load, Network, Outcome, Repeats};
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);

/// Longer than each store's default, and no call takes longer.
const BOUND: Duration = Duration::from_secs(15);

/// How long a fault lasts that does not end by itself.
const LASTS: Duration = Duration::from_secs(3);

#[derive(Clone, Copy)]
enum Fault {
    None,
    /// All connections are closed at once.
    Cut,
    /// All connections go silent; new ones work.
    Silence,
    /// So do new ones, for three seconds: a host that froze.
    Freeze,
    /// Every answer comes half a second later, for three seconds: more wait than there are connections.
    Slow,
}

const ALL: [(&str, Fault); 5] = [
    ("none", Fault::None),
    ("connections are cut", Fault::Cut),
    ("connections go silent", Fault::Silence),
    ("the host freezes for 3 s", Fault::Freeze),
    ("answers are late for 3 s", Fault::Slow),
];

#[tokio::main]
async fn main() {
    let head = ["store", "fault", "acknowledged", "failed", "longest call", "back after", "lost"];
    let mut rows = vec![head.map(String::from).to_vec()];
    let url = |variable: &str| env::var(variable).ok();
    for (what, fault) in ALL {
        if let Some(url) = url("REDIS_URL") {
            let open = async |url: String| RedisStore::open(&url).expect("a URL").prefix("faults:");
            rows.push(row("Redis", what, fault, &url, open).await);
        }
        if let Some(url) = url("MONGODB_URL") {
            let open = async |url: String| {
                let url = format!("{url}/faults?directConnection=true");
                MongoStore::open(&url).await.expect("a URL")
            };
            rows.push(row("MongoDB", what, fault, &url, open).await);
        }
        if let Some(url) = url("POSTGRES_URL") {
            let open = async |url: String| {
                let store = PostgresStore::open(&url).expect("a URL").table_name("faults").expect("a name");
                store.create_table_if_missing(true)
            };
            rows.push(row("PostgreSQL", what, fault, &url, open).await);
        }
        if let Some(url) = url("MYSQL_URL") {
            let open = async |url: String| {
                MySqlStore::open(&url).expect("a URL").table_name("faults").expect("a name")
            };
            rows.push(row("MySQL", what, fault, &url, open).await);
        }
    }
    print!("{}", table(&rows));
}

async fn row<S: Store>(
    name: &str,
    what: &str,
    fault: Fault,
    url: &str,
    open: impl AsyncFn(String) -> S,
) -> Vec<String> {
    let network = Network::new();
    let store = Arc::new(open(network.before(url).await).await);
    // The table, the index.
    first_success(&*store).await;
    let load = Load::start(&store, BOUND, Repeats::Never);
    load.until_acknowledged(500).await;
    let back = match fault {
        Fault::None => Duration::ZERO,
        Fault::Cut => {
            network.cuts();
            first_success(&*store).await
        }
        Fault::Silence => {
            network.goes_silent();
            first_success(&*store).await
        }
        Fault::Freeze => {
            network.stays_silent();
            sleep(LASTS).await;
            network.speaks_again();
            first_success(&*store).await
        }
        Fault::Slow => {
            network.delays(SECOND / 2);
            sleep(LASTS).await;
            network.delays(Duration::ZERO);
            first_success(&*store).await
        }
    };
    load.until_acknowledged(500).await;
    let outcome: Outcome = load.stop().await;
    let ms = |time: Duration| format!("{:.0} ms", time.as_secs_f64() * 1e3);
    vec![
        name.into(),
        what.into(),
        outcome.acknowledged().to_string(),
        outcome.errors.len().to_string(),
        ms(outcome.slowest()),
        ms(back),
        outcome.lost(&*store).await.to_string(),
    ]
}

/// From now on.
async fn first_success(store: &impl Store) -> Duration {
    let begun = Instant::now();
    while store.get(&Sid::random()).await.is_err() {
        sleep(Duration::from_millis(1)).await;
    }
    begun.elapsed()
}
