//! Clients that leave, a network that stops or goes silent, and a session that somebody locks: whoever is not concerned
//! has a connection all the same.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a test that cannot go on stops"
)]

mod common;

use std::{
    pin::pin,
    process::ExitCode,
    time::{Duration, Instant},
};

use common::{mysql_url, new_name, postgres_url, record};
use futures_util::future::{Either, join_all, select};
use session_core::{AdminStore, Expect, Set, Sid, Store, Touched};
use store_sqlx::{
    MySqlStore, PostgresStore,
    sqlx::{
        AssertSqlSafe, Connection, Executor, MySqlConnection, MySqlPool, PgConnection, PgPool, query_scalar,
    },
};
use test_support::{Network, put_patiently, tests, until_served, within};

fn main() -> ExitCode {
    tests! {
        needs postgres_url =>
            postgres_serves_others_when_clients_leave,
            postgres_comes_back_when_a_host_goes_silent,
            postgres_notices_a_silent_connection_before_it_is_used,
            postgres_reads_again_where_a_connection_broke,
            postgres_lends_nobody_a_connection_that_has_had_its_last_word,
            postgres_is_asked_once_a_call,
            postgres_makes_all_who_come_at_the_start_wait_for_one_attempt,
            postgres_gives_up_a_pool_of_the_applications_own_that_goes_silent,
            postgres_serves_others_while_one_session_is_locked;
        needs mysql_url =>
            mysql_serves_others_when_clients_leave,
            mysql_comes_back_when_a_host_goes_silent,
            mysql_notices_a_silent_connection_before_it_is_used,
            mysql_reads_again_where_a_connection_broke,
            mysql_leaves_a_node_that_serves_nobody,
            mysql_is_asked_once_a_call,
            mysql_makes_all_who_come_at_the_start_wait_for_one_attempt,
            mysql_gives_up_a_pool_of_the_applications_own_that_goes_silent,
            mysql_serves_others_while_one_session_is_locked,
            in_mysql_nobody_who_gave_up_waits_for_a_locked_table;
    }
    .run()
}

const SECOND: Duration = Duration::from_secs(1);

/// For what must not be an error, however busy the machine is.
const PATIENT: Duration = Duration::from_secs(30);

/// More than a pool has.
const MANY: usize = 12;

async fn clients_leave_while_their_sessions_are_read(store: impl AdminStore, network: Network) {
    let big = put_patiently(&store, &record(&format!(r#""x":"{}""#, "x".repeat(300_000)))).await;
    let small = put_patiently(&store, &record("")).await;
    let (mut left, begun) = (0, Instant::now());
    while left < 3 * MANY {
        assert!(begun.elapsed() < 120 * SECOND, "the pool is used up");
        // In the middle of the answer, after more of it each time.
        network.holds_after(left % 16);
        match select(pin!(store.get(&big)), pin!(network.until_held())).await {
            Either::Left((read, _)) => assert!(read.is_err(), "nobody held the answer"),
            Either::Right(_) => left += 1,
        }
        network.goes_on();
    }
    until_served(&store, &small).await;
}

async fn a_host_goes_silent(store: impl AdminStore, network: Network) {
    let sid = put_patiently(&store, &record("")).await;
    join_all((0..MANY).map(|_| store.get(&sid))).await;
    network.goes_silent();
    join_all((0..MANY).map(|_| store.get(&sid))).await;
    network.serves_again(&store, &sid).await;
}

/// All connections of the pool were idle for a while: nobody gets an error for one that is asked first, and the others are
/// not asked.
async fn a_silent_connection_is_noticed(store: impl AdminStore, network: Network) {
    let sid = put_patiently(&store, &record("")).await;
    join_all((0..MANY).map(|_| store.get(&sid))).await;
    tokio::time::sleep(SECOND).await;
    network.goes_silent();
    // To ask each of them would take ten seconds.
    within(7 * SECOND, async {
        for _ in 0..3 {
            assert!(store.get(&sid).await.unwrap().is_some());
        }
    })
    .await;
}

/// And nothing beside it: neither whether the connection is still there, nor for a statement that is known.
async fn a_call_is_one_question(store: impl AdminStore, network: Network) {
    let sid = put_patiently(&store, &record("")).await;
    // Each statement once, which prepares it; and one connection does for one after the other.
    for round in 0..3 {
        let held = store.get(&sid).await.unwrap().unwrap();
        let next = record(&format!("\"n\":{round}"));
        let before = network.asked();
        let expect = Expect::Version(held.version);
        let Set::Written(version) = store.set(&sid, &next, &expect).await.unwrap() else {
            panic!("nobody else writes")
        };
        let expect = Expect::Version(version);
        assert_eq!(store.touch(&sid, &next.cookie, &expect).await.unwrap(), Touched::Moved);
        assert!(store.get(&sid).await.unwrap().is_some());
        assert!(store.get(&Sid::random()).await.unwrap().is_none());
        let asked = network.asked() - before;
        assert!(round == 0 || asked == 4, "{asked} questions for four calls");
    }
}

/// Its answer may be asked for twice: a server that was restarted is noticed by nobody who reads.
async fn a_connection_that_broke_is_no_error_of_a_read(store: impl AdminStore, network: Network) {
    let sid = put_patiently(&store, &record("")).await;
    network.loses_an_answer(&sid);
    assert!(store.get(&sid).await.unwrap().is_some());
    assert!(network.has_lost_it());
}

/// What stands between says what no server does.
fn postgres_lends_nobody_a_connection_that_has_had_its_last_word(url: String) {
    session_testkit::run(async {
        let network = Network::new();
        let store = PostgresStore::open(&network.before(&url).await).unwrap().create_table_if_missing(true);
        let sid = put_patiently(&store, &record("")).await;
        let held = store.get(&sid).await.unwrap().unwrap();
        let fields = b"SFATAL\0VFATAL\0C08P01\0Mserver conn crashed?\0\0";
        let length = u32::try_from(fields.len() + 4).unwrap().to_be_bytes();
        network.ends_with([&b"E"[..], &length, fields].concat());
        let expect = Expect::Version(held.version);
        store.set(&sid, &record("\"n\":1"), &expect).await.expect_err("the pooler said so");
        // Nothing was sent over the connection since, which is as good as new for all that is known.
        store.set(&Sid::random(), &record(""), &Expect::Nothing).await.unwrap();
    });
}

/// A node of Galera without the others answers that it is there, and refuses the rest.
fn mysql_leaves_a_node_that_serves_nobody(url: String) {
    session_testkit::run(async {
        let network = Network::new();
        let store = MySqlStore::open(&network.before(&url).await).unwrap();
        let sid = put_patiently(&store, &record("")).await;
        // Several connections.
        join_all((0..MANY).map(|_| store.get(&sid))).await;
        let refusal =
            [&b"\xff"[..], &1047_u16.to_le_bytes(), b"#08S01WSREP has not yet prepared node"].concat();
        let length = u32::try_from(refusal.len()).unwrap().to_le_bytes();
        let before = network.connections();
        network.answers_once([&length[..3], b"\x01", &refusal].concat());
        store.get(&sid).await.expect_err("the node said so");
        for read in join_all((0..MANY).map(|_| store.get(&sid))).await {
            assert!(read.unwrap().is_some());
        }
        assert!(network.connections() > before + 1, "all lead to the same node");
    });
}

/// Thirty at once, and a server that says nothing: none of them waits for another one's time to be up.
async fn all_wait_for_one_attempt(store: impl AdminStore, network: Network) {
    network.stays_silent();
    let sid = Sid::random();
    // Whoever has more time for a call of their own has no more for the attempt.
    let all = async { tokio::join!(store.length(), join_all((0..30).map(|_| store.get(&sid)))) };
    // One after the other they would take half a minute.
    let (length, all) = within(10 * SECOND, all).await;
    assert!(length.is_err() && all.iter().all(Result::is_err));
    network.speaks_again();
    put_patiently(&store, &record("")).await;
}

/// Of sqlx's, which asks each connection that is given back whether it is still there.
async fn a_pool_that_goes_silent_is_given_up(store: impl AdminStore, network: Network) {
    let sid = put_patiently(&store, &record("")).await;
    join_all((0..MANY).map(|_| store.get(&sid))).await;
    // Time enough for an answer, and not to be given back.
    let asked = join_all((0..MANY).map(async |_| store.get(&sid).await.is_ok()));
    let silence = async {
        tokio::task::yield_now().await;
        network.goes_silent();
    };
    tokio::join!(asked, silence);
    network.serves_again(&store, &sid).await;
}

/// Nothing is left on the server of those who gave up, within twice the time that it lets them wait.
async fn all_leave(mut waiting: impl AsyncFnMut() -> i64) {
    for _ in 0..200 {
        if waiting().await == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("who gave up waits for the lock for ever");
}

async fn one_session_is_locked(store: impl AdminStore, locked: &Sid) {
    let other = put_patiently(&store, &record("")).await;
    let again = record("\"k\":1");
    let writes = join_all((0..MANY).map(|_| store.set(locked, &again, &Expect::Anything))).await;
    assert!(writes.iter().all(Result::is_err));
    // A locked session does not stop all others.
    until_served(&store, &other).await;
}

fn postgres(url: &str) -> PostgresStore {
    let store = PostgresStore::open(url).unwrap().table_name(&new_name()).unwrap();
    store.create_table_if_missing(true).timeout(SECOND)
}

fn mysql(url: &str) -> MySqlStore {
    MySqlStore::open(url).unwrap().table_name(&new_name()).unwrap().timeout(SECOND)
}

fn postgres_serves_others_when_clients_leave(url: String) {
    session_testkit::run(async {
        let network = Network::new();
        let store = postgres(&network.before(&url).await);
        clients_leave_while_their_sessions_are_read(store, network).await;
    });
}

fn mysql_serves_others_when_clients_leave(url: String) {
    session_testkit::run(async {
        let network = Network::new();
        let store = mysql(&network.before(&url).await);
        clients_leave_while_their_sessions_are_read(store, network).await;
    });
}

fn postgres_comes_back_when_a_host_goes_silent(url: String) {
    session_testkit::run(async {
        let network = Network::new();
        a_host_goes_silent(postgres(&network.before(&url).await), network).await;
    });
}

fn mysql_comes_back_when_a_host_goes_silent(url: String) {
    session_testkit::run(async {
        let network = Network::new();
        a_host_goes_silent(mysql(&network.before(&url).await), network).await;
    });
}

fn postgres_notices_a_silent_connection_before_it_is_used(url: String) {
    session_testkit::run(async {
        let network = Network::new();
        let store = postgres(&network.before(&url).await).timeout(PATIENT);
        a_silent_connection_is_noticed(store, network).await;
    });
}

fn postgres_reads_again_where_a_connection_broke(url: String) {
    session_testkit::run(async {
        let network = Network::new();
        let store = postgres(&network.before(&url).await).timeout(PATIENT);
        a_connection_that_broke_is_no_error_of_a_read(store, network).await;
    });
}

fn postgres_is_asked_once_a_call(url: String) {
    session_testkit::run(async {
        let network = Network::new();
        let store = postgres(&network.before(&url).await).timeout(PATIENT);
        a_call_is_one_question(store, network).await;
    });
}

fn mysql_is_asked_once_a_call(url: String) {
    session_testkit::run(async {
        let network = Network::new();
        let store = mysql(&network.before(&url).await).timeout(PATIENT);
        a_call_is_one_question(store, network).await;
    });
}

fn postgres_makes_all_who_come_at_the_start_wait_for_one_attempt(url: String) {
    session_testkit::run(async {
        let network = Network::new();
        all_wait_for_one_attempt(postgres(&network.before(&url).await), network).await;
    });
}

fn postgres_gives_up_a_pool_of_the_applications_own_that_goes_silent(url: String) {
    session_testkit::run(async {
        let network = Network::new();
        let pool = PgPool::connect_lazy(&network.before(&url).await).unwrap();
        let store = PostgresStore::new(pool)
            .table_name(&new_name())
            .unwrap()
            .create_table_if_missing(true)
            .timeout(SECOND);
        a_pool_that_goes_silent_is_given_up(store, network).await;
    });
}

fn postgres_serves_others_while_one_session_is_locked(url: String) {
    session_testkit::run(async {
        let table = new_name();
        let store = postgres(&url).table_name(&table).unwrap();
        let sid = put_patiently(&store, &record("")).await;
        let mut other = PgConnection::connect(&url).await.unwrap();
        let mut lock = other.begin().await.unwrap();
        let sql = format!("SELECT 1 FROM \"{table}\" WHERE sid = '{}' FOR UPDATE", sid.as_str());
        lock.execute(AssertSqlSafe(sql)).await.unwrap();
        one_session_is_locked(store, &sid).await;
        let waiting = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%{table}%'"
        );
        all_leave(async || query_scalar(AssertSqlSafe(waiting.clone())).fetch_one(&mut *lock).await.unwrap())
            .await;
        lock.rollback().await.unwrap();
    });
}

fn mysql_notices_a_silent_connection_before_it_is_used(url: String) {
    session_testkit::run(async {
        let network = Network::new();
        let store = mysql(&network.before(&url).await).timeout(PATIENT);
        a_silent_connection_is_noticed(store, network).await;
    });
}

fn mysql_reads_again_where_a_connection_broke(url: String) {
    session_testkit::run(async {
        let network = Network::new();
        let store = mysql(&network.before(&url).await).timeout(PATIENT);
        a_connection_that_broke_is_no_error_of_a_read(store, network).await;
    });
}

fn mysql_makes_all_who_come_at_the_start_wait_for_one_attempt(url: String) {
    session_testkit::run(async {
        let network = Network::new();
        all_wait_for_one_attempt(mysql(&network.before(&url).await), network).await;
    });
}

fn mysql_gives_up_a_pool_of_the_applications_own_that_goes_silent(url: String) {
    session_testkit::run(async {
        let network = Network::new();
        let pool = MySqlPool::connect_lazy(&network.before(&url).await).unwrap();
        let store = MySqlStore::new(pool).table_name(&new_name()).unwrap().timeout(SECOND);
        a_pool_that_goes_silent_is_given_up(store, network).await;
    });
}

fn mysql_serves_others_while_one_session_is_locked(url: String) {
    session_testkit::run(async {
        let table = new_name();
        let store = mysql(&url).table_name(&table).unwrap();
        let sid = put_patiently(&store, &record("")).await;
        let mut other = MySqlConnection::connect(&url).await.unwrap();
        let mut lock = other.begin().await.unwrap();
        let sql = format!("SELECT 1 FROM `{table}` WHERE session_id = '{}' FOR UPDATE", sid.as_str());
        lock.execute(AssertSqlSafe(sql)).await.unwrap();
        one_session_is_locked(store, &sid).await;
        let waiting = waiting_in_mysql(&table);
        all_leave(async || query_scalar(AssertSqlSafe(waiting.clone())).fetch_one(&mut *lock).await.unwrap())
            .await;
        lock.rollback().await.unwrap();
    });
}

/// An `ALTER TABLE` that takes its time, say.
fn in_mysql_nobody_who_gave_up_waits_for_a_locked_table(url: String) {
    session_testkit::run(async {
        let table = new_name();
        let store = mysql(&url).table_name(&table).unwrap();
        let sid = put_patiently(&store, &record("")).await;
        let mut other = MySqlConnection::connect(&url).await.unwrap();
        other.execute(AssertSqlSafe(format!("LOCK TABLES `{table}` WRITE"))).await.unwrap();
        let again = record("\"k\":1");
        let writes = join_all((0..MANY).map(|_| store.set(&sid, &again, &Expect::Anything))).await;
        assert!(writes.iter().all(Result::is_err));
        let waiting = waiting_in_mysql(&table);
        all_leave(async || query_scalar(AssertSqlSafe(waiting.clone())).fetch_one(&mut other).await.unwrap())
            .await;
        other.execute("UNLOCK TABLES").await.unwrap();
        until_served(&store, &sid).await;
    });
}

fn waiting_in_mysql(table: &str) -> String {
    format!(
        "SELECT count(*) FROM information_schema.processlist
        WHERE info LIKE '%{table}%' AND id <> CONNECTION_ID()"
    )
}
