//! Millions of sessions in one database, half of them expired (not on Redis, which removes such by itself): how long counting them, showing all of them and removing the
//! expired ones takes, how much memory that needs here, and how long reads and writes of others take meanwhile.
//!
//! `cargo run --release -p bench --bin many_sessions -- postgres://…` (or `mysql:`, `sqlite:`, `redis:`, `mongodb:`), and how
//! many, a million unless said. The database should be empty, and is left full.

#![allow(clippy::print_stdout, reason = "it prints a table")]
#![allow(clippy::expect_used, clippy::panic, reason = "what cannot be set up cannot be measured")]

use std::{
    collections::BTreeMap,
    env, fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bench::{samples::SMALL, table};
use express_session::{
    AdminStore, Expect, Record, Set, Sid,
    mongo::{
        AutoRemove, MongoOptions,
        mongodb::{
            Client,
            bson::{DateTime, doc},
        },
    },
    redis::{RedisStore, redis},
    sql::{
        MySqlStore, PostgresStore, SqliteStore,
        sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection, PgConnection, SqliteConnection},
    },
};
use tokio::task::JoinHandle;

/// Who read and write meanwhile.
const VISITORS: usize = 8;
const ALONE: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() {
    let mut arguments = env::args().skip(1);
    let url = arguments.next().unwrap_or_else(|| "sqlite:many.db".into());
    let count = arguments.next().map_or(1_000_000, |count| count.parse().expect("a number"));
    let begun = Instant::now();
    let store = filled(&url, count).await;
    println!("{count} sessions in {:.0} s", begun.elapsed().as_secs_f64());

    let visitors = Visitors::start(&store).await;
    tokio::time::sleep(ALONE).await;
    let head = ["", "result", "took", "memory here", "calls of others", "p50", "p99", "longest", "failed"];
    let mut rows = vec![head.map(String::from).to_vec()];
    rows.push(visitors.stop("others alone", ALONE, None, String::new()).await);
    let shown = |what: &str, number: u64| format!("{number} {what}");
    for what in ["length", "all", "prune"] {
        let is_forgotten = forget_peak();
        let (visitors, before, begun) = (Visitors::start(&store).await, resident("VmRSS"), Instant::now());
        let result = match what {
            "length" => shown("sessions", store.length().await.expect("it counts")),
            "all" => {
                let mut all = 0;
                store.all(&mut |_, _| all += 1).await.expect("it shows all");
                shown("shown", all)
            }
            _ => shown("removed", store.prune().await.expect("it prunes")),
        };
        let took = begun.elapsed();
        // Some calls of others at least.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let peak = resident("VmHWM").zip(before).map(|(peak, before)| peak.saturating_sub(before));
        let peak = peak.filter(|_| is_forgotten);
        rows.push(visitors.stop(what, took, peak, result).await);
    }
    print!("{}", table(&rows));
}

/// A store with so many sessions, every second one expired where the database does not remove them by itself.
async fn filled(url: &str, count: u64) -> Arc<dyn AdminStore> {
    match url.split(':').next().unwrap_or_default() {
        "postgres" => {
            let store = PostgresStore::open(url).expect("a URL").create_table_if_missing(true);
            let store = store.prune_session_interval(None);
            store.length().await.expect("it is there");
            let mut connection = PgConnection::connect(url).await.expect("it is there");
            run(
                &mut connection,
                format!(
                    "INSERT INTO session (sid, sess, expire) SELECT 'many-' || md5(n::text), '{SMALL}', \
                     now() at time zone 'utc' + (n % 2 * 2 - 1) * interval '1 day' FROM generate_series(1, {count}) n"
                ),
            )
            .await;
            run(&mut connection, "VACUUM ANALYZE session".into()).await;
            Arc::new(store)
        }
        "mysql" => {
            let store = MySqlStore::open(url).expect("a URL").clear_expired(false);
            store.length().await.expect("it is there");
            let mut connection = MySqlConnection::connect(url).await.expect("it is there");
            let now = since_1970().as_secs();
            for from in (0..count).step_by(10_000) {
                let row = |n| {
                    let expires = if n % 2 == 0 { now - 86_400 } else { now + 86_400 };
                    format!("('many-{n:032}', {expires}, '{SMALL}')")
                };
                let rows: Vec<String> = (from..count.min(from + 10_000)).map(row).collect();
                let sql =
                    format!("INSERT INTO sessions (session_id, expires, data) VALUES {}", rows.join(","));
                run(&mut connection, sql).await;
            }
            Arc::new(store)
        }
        "sqlite" => {
            let store = SqliteStore::open(url).expect("a URL").prune_interval(None);
            store.length().await.expect("it is there");
            let mut connection = SqliteConnection::connect(url).await.expect("it is there");
            run(
                &mut connection,
                format!(
                    "WITH RECURSIVE numbers (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}) \
                     INSERT INTO session (sid, expire, sess) SELECT 'many-' || hex(randomblob(16)), \
                     unixepoch() * 1000 + (n % 2 * 2 - 1) * 86400000, '{SMALL}' FROM numbers"
                ),
            )
            .await;
            Arc::new(store)
        }
        "redis" => {
            let client = redis::Client::open(url).expect("a URL");
            let mut connection = client.get_multiplexed_async_connection().await.expect("it is there");
            for from in (0..count).step_by(1_000) {
                let mut commands = redis::pipe();
                for n in from..count.min(from + 1_000) {
                    let key = format!("sess:many-{n:032}");
                    commands.cmd("SET").arg(key).arg(SMALL).arg("EX").arg(86_400).ignore();
                }
                commands.exec_async(&mut connection).await.expect("it is written");
            }
            Arc::new(RedisStore::new(client))
        }
        "mongodb" => {
            let client = Client::with_uri_str(url).await.expect("a URL");
            let database = client.default_database().unwrap_or_else(|| client.database("test"));
            let collection = database.collection("sessions");
            let now = i64::try_from(since_1970().as_millis()).expect("it fits");
            for from in (0..count).step_by(10_000) {
                let document = |n| {
                    let expires = if n % 2 == 0 { now - 86_400_000 } else { now + 86_400_000 };
                    let expires = DateTime::from_millis(expires);
                    doc! { "_id": format!("many-{n:032}"), "expires": expires, "session": SMALL }
                };
                let documents = (from..count.min(from + 10_000)).map(document);
                collection.insert_many(documents).await.expect("it is written");
            }
            let options = MongoOptions::new(collection).auto_remove(AutoRemove::Disabled);
            Arc::new(options.build().expect("options"))
        }
        other => panic!("no store for {other}:"),
    }
}

async fn run<'c>(connection: impl Executor<'c>, sql: String) {
    connection.execute(AssertSqlSafe(sql)).await.expect("it is done");
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970")
}

/// In kilobytes, from a system that tells it: what this process has, or has had at most.
fn resident(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

fn forget_peak() -> bool {
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// Each reads and writes a session of its own, over and over.
struct Visitors {
    ended: Arc<AtomicBool>,
    visits: Vec<JoinHandle<(Times, usize)>>,
}

/// How many calls took so many tenths of a millisecond: what they took each would be the memory that is measured.
#[derive(Default)]
struct Times(BTreeMap<u128, usize>);

impl Times {
    fn note(&mut self, took: Duration) {
        *self.0.entry(took.as_micros() / 100).or_default() += 1;
    }

    fn add(&mut self, other: Self) {
        for (tenths, count) in other.0 {
            *self.0.entry(tenths).or_default() += count;
        }
    }

    fn count(&self) -> usize {
        self.0.values().sum()
    }

    /// Which this part of a hundred, of a thousand, does not exceed.
    fn at(&self, part: usize, of: usize) -> String {
        let (mut seen, place) = (0, self.count() * part / of);
        let reached = self.0.iter().find(|(_, count)| {
            seen += **count;
            seen >= place
        });
        let tenths = reached.map_or(0, |(tenths, _)| tenths + 1);
        format!("{}.{} ms", tenths / 10, tenths % 10)
    }
}

impl Visitors {
    async fn start(store: &Arc<dyn AdminStore>) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let mut visits = Vec::new();
        for _ in 0..VISITORS {
            let (store, ended, sid) = (Arc::clone(store), Arc::clone(&ended), Sid::random());
            let record = Record::parse(SMALL).expect("a record");
            store.set(&sid, &record, &Expect::Nothing).await.expect("it is written");
            visits.push(tokio::spawn(async move {
                let (mut calls, mut failed) = (Times::default(), 0);
                while !ended.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    let read = store.get(&sid).await;
                    calls.note(begun.elapsed());
                    let Ok(Some(held)) = read else {
                        failed += 1;
                        continue;
                    };
                    let begun = Instant::now();
                    let written = store.set(&sid, &held.record, &Expect::Version(held.version)).await;
                    calls.note(begun.elapsed());
                    failed += usize::from(!matches!(written, Ok(Set::Written(_))));
                }
                (calls, failed)
            }));
        }
        Self { ended, visits }
    }

    async fn stop(self, what: &str, took: Duration, memory: Option<u64>, result: String) -> Vec<String> {
        self.ended.store(true, Ordering::Relaxed);
        let (mut calls, mut failed) = (Times::default(), 0);
        for visit in self.visits {
            let (more, unwell) = visit.await.expect("it goes on");
            calls.add(more);
            failed += unwell;
        }
        vec![
            what.into(),
            result,
            format!("{:.1} s", took.as_secs_f64()),
            memory.map_or("unknown".into(), |memory| format!("{} MB", memory / 1_024)),
            calls.count().to_string(),
            calls.at(50, 100),
            calls.at(99, 100),
            calls.at(1, 1),
            failed.to_string(),
        ]
    }
}
