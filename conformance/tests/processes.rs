//! Several processes on one database: nothing lost, nobody brought back, and Express writing in between.

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value, reason = "helpers of tests")]

mod common;

use std::{
    collections::HashSet,
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use common::{ACTIX, AXUM, Database, MONGO, MONGO_OBJECTS, MYSQL, POSTGRES, REDIS, ROCKET, Store, oracle};
use conformance::differential::{Program, Sent, Server};
use serde_json::{Value, json};
use test_support::Tests;

type Test = fn(&Stand);

/// By whether they need Express.
const WITHOUT_EXPRESS: [(&str, Test); 6] = [
    ("counters_are_exact", counters_are_exact),
    ("changes_of_several_keys_are_whole", changes_of_several_keys_are_whole),
    ("a_flash_message_is_taken_once", a_flash_message_is_taken_once),
    ("a_session_in_use_outlives_its_first_expiry", a_session_in_use_outlives_its_first_expiry),
    ("keys_written_at_once_are_all_kept", keys_written_at_once_are_all_kept),
    ("tabs_whose_id_is_renewed_lose_nothing", tabs_whose_id_is_renewed_lose_nothing),
];
const WITH_EXPRESS: [(&str, Test); 4] = [
    ("counters_are_exact_with_express_adding_in_between", counters_are_exact_with_express_adding_in_between),
    ("a_logout_stays_a_logout", a_logout_stays_a_logout),
    ("what_express_wrote_in_between_is_kept", what_express_wrote_in_between_is_kept),
    ("express_is_logged_in_under_both_ids", express_is_logged_in_under_both_ids),
];

fn main() -> ExitCode {
    let databases: [(&str, &'static Database); 5] = [
        ("redis", &REDIS),
        ("mongo", &MONGO),
        ("mongo_objects", &MONGO_OBJECTS),
        ("postgres", &POSTGRES),
        ("mysql", &MYSQL),
    ];
    let mut tests = Tests::default();
    for (module, database) in databases {
        for (name, test) in WITHOUT_EXPRESS {
            let need = move || Ok(Stand { database, url: database.url()?, oracle: None });
            tests = tests.needing(&format!("{module}::{name}"), need, move |stand| test(&stand));
        }
        for (name, test) in WITH_EXPRESS {
            let need = move || Ok(Stand { database, url: database.url()?, oracle: Some(oracle()?) });
            tests = tests.needing(&format!("{module}::{name}"), need, move |stand| test(&stand));
        }
    }
    tests.run()
}

/// What a test runs on.
struct Stand {
    database: &'static Database,
    url: String,
    oracle: Option<Program>,
}

/// Processes of the three adapters, and Express for a test that needs it, on sessions that nothing else sees.
struct Processes {
    rust: Vec<Arc<Server>>,
    express: Option<Arc<Server>>,
    /// Goes after them.
    _store: Store,
}

impl Stand {
    fn processes(&self) -> Processes {
        self.processes_with(3_600_000)
    }

    fn processes_with(&self, max_age: u32) -> Processes {
        self.processes_that_renew(max_age, None)
    }

    /// After so many milliseconds, and with so many of grace: Express does not.
    fn processes_that_renew(&self, max_age: u32, renewal: Option<[u32; 2]>) -> Processes {
        static CASES: AtomicUsize = AtomicUsize::new(0);
        let case = format!("p{}_{}", std::process::id(), CASES.fetch_add(1, Ordering::Relaxed));
        let store = self.database.store(&self.url);
        let named: Value = store.config.to_string().replace("{case}", &case).parse().unwrap();
        let config = json!({
            "secret": "keyboard cat", "resave": false, "saveUninitialized": false, "store": named,
            "cookie": { "maxAge": max_age },
        });
        let mut ours = config.clone();
        if let Some(renewal) = renewal {
            ours["renewIds"] = json!(renewal);
        }
        let serve = |program: &Program, config: &Value| {
            Arc::new(program.serve(config).unwrap_or_else(|error| panic!("{error}")))
        };
        let rust = [AXUM, ACTIX, ROCKET].map(|probe| serve(&Program::probe(probe), &ours));
        if self.database.one_at_a_time {
            send(&rust[0], json!([["store", "clear"]]), None);
        }
        Processes {
            rust: rust.into(),
            express: self.oracle.as_ref().map(|oracle| serve(oracle, &config)),
            _store: store,
        }
    }
}

fn send(server: &Server, operations: Value, cookie: Option<&str>) -> Sent {
    let sent = server.send(&operations, cookie).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(sent.status, 200, "{operations}: {sent:?}");
    sent
}

fn log_in(server: &Server) -> String {
    send(server, json!([["set", "user", "tj"]]), None)
        .cookie
        .unwrap_or_else(|| panic!("a session has a cookie"))
}

/// A request that has read its session, and waits before it goes on.
struct Waiting {
    server: Arc<Server>,
    gate: String,
    request: thread::JoinHandle<Sent>,
}

impl Waiting {
    /// The session is read before the first operation, and written at the end.
    fn to(server: &Arc<Server>, cookie: &str, then: Vec<Value>) -> Self {
        static GATES: AtomicUsize = AtomicUsize::new(0);
        let gate = format!("gate{}", GATES.fetch_add(1, Ordering::Relaxed));
        let operations: Vec<Value> =
            [json!(["get", "user"]), json!(["wait", gate])].into_iter().chain(then).collect();
        let request = {
            let (server, cookie) = (Arc::clone(server), cookie.to_owned());
            thread::spawn(move || send(&server, json!(operations), Some(&cookie)))
        };
        while !server.waits_at(&gate).unwrap_or_else(|error| panic!("{error}")) {
            assert!(!request.is_finished(), "it did not wait");
            thread::sleep(Duration::from_millis(5));
        }
        Self { server: Arc::clone(server), gate, request }
    }

    fn goes_on(self) -> Sent {
        self.server.open(&self.gate).unwrap_or_else(|error| panic!("{error}"));
        self.request.join().unwrap_or_else(|_| panic!("a request failed"))
    }
}

/// 32 requests at once, over all processes of ours.
fn at_once(processes: &Processes, cookie: &str, operations: impl Fn(usize) -> Value) -> Vec<Sent> {
    thread::scope(|scope| {
        let request = |at: usize| {
            let (server, operations) = (&processes.rust[at % processes.rust.len()], operations(at));
            scope.spawn(move || send(server, operations, Some(cookie)))
        };
        let requests: Vec<_> = (0..32).map(request).collect();
        requests
            .into_iter()
            .map(|request| request.join().unwrap_or_else(|_| panic!("a request failed")))
            .collect()
    })
}

fn counters_are_exact(stand: &Stand) {
    let processes = stand.processes();
    let cookie = log_in(&processes.rust[0]);
    let mut sums: Vec<u64> = at_once(&processes, &cookie, |_| json!([["add", "n", 1]]))
        .iter()
        .map(|sent| sent.results[0].as_u64().unwrap_or_else(|| panic!("{sent:?}")))
        .collect();
    sums.sort_unstable();
    assert_eq!(sums, (1..=32).collect::<Vec<_>>());
    let last = send(&processes.rust[1], json!([["get", "n"], ["get", "user"]]), Some(&cookie));
    assert_eq!(last.results, json!([32, "tj"]));
}

/// What Express itself reads before we write, and writes after, it overwrites: nobody else can keep that.
fn counters_are_exact_with_express_adding_in_between(stand: &Stand) {
    let processes = stand.processes();
    let express = processes.express.as_ref().unwrap();
    for rust in &processes.rust {
        let cookie = log_in(express);
        let ours = Waiting::to(rust, &cookie, vec![json!(["add", "n", 1])]);
        let read = || send(express, json!([["get", "n"]]), Some(&cookie)).results[0].clone();
        for _ in 0..4 {
            send(express, json!([["set", "n", read().as_u64().unwrap_or(0) + 1]]), Some(&cookie));
        }
        assert_eq!((&ours.goes_on().results[2], read()), (&json!(5), json!(5)));
    }
}

fn changes_of_several_keys_are_whole(stand: &Stand) {
    let processes = stand.processes();
    let cookie = log_in(&processes.rust[0]);
    for sent in at_once(&processes, &cookie, |_| json!([["addAll", { "a": 1, "b": 2 }]])) {
        let sums = &sent.results[0];
        assert_eq!(sums["a"].as_u64().map(|sum| sum * 2), sums["b"].as_u64(), "{sent:?}");
    }
    let last = send(&processes.rust[1], json!([["get", "a"], ["get", "b"]]), Some(&cookie));
    assert_eq!(last.results, json!([32, 64]));
}

fn a_flash_message_is_taken_once(stand: &Stand) {
    let processes = stand.processes();
    let cookie = log_in(&processes.rust[0]);
    send(&processes.rust[0], json!([["set", "flash", "hello"]]), Some(&cookie));
    let taken = at_once(&processes, &cookie, |_| json!([["take", "flash"]]));
    let taken: Vec<&Value> =
        taken.iter().map(|sent| &sent.results[0]).filter(|value| !value.is_null()).collect();
    assert_eq!(taken, ["hello"]);
}

/// Max age 10 s: a read moves the store's expiry and not the record's, and a later write must not go by the record's. Where the
/// machine stood still for so long that a session had to end, the story begins anew.
fn a_session_in_use_outlives_its_first_expiry(stand: &Stand) {
    let processes = stand.processes_with(10_000);
    let outlives = |server: &Server| {
        let (mut asked, mut stood_still) = (Instant::now(), false);
        let cookie = log_in(server);
        let mut after = |seconds, operations| {
            thread::sleep(Duration::from_secs(seconds));
            let before = std::mem::replace(&mut asked, Instant::now());
            let sent = send(server, operations, Some(&cookie));
            stood_still |= before.elapsed() > Duration::from_secs(9);
            sent.results
        };
        after(6, json!([["get", "user"]]));
        let written = after(6, json!([["add", "n", 1]]));
        let read = after(5, json!([["get", "user"], ["get", "n"]]));
        assert!(stood_still || (written == json!([1]) && read == json!(["tj", 1])), "{written} {read}");
        stood_still
    };
    let outlives = |server: &Server| assert!((0..3).any(|_| !outlives(server)), "the machine stands still");
    // All at once: they mostly wait.
    thread::scope(|scope| {
        processes.rust.iter().for_each(|server| drop(scope.spawn(move || outlives(server))));
    });
}

fn keys_written_at_once_are_all_kept(stand: &Stand) {
    let processes = stand.processes();
    let cookie = log_in(&processes.rust[0]);
    at_once(&processes, &cookie, |at| json!([["set", format!("key{at}"), at]]));
    let gets: Vec<Value> = (0..32).map(|at| json!(["get", format!("key{at}")])).collect();
    let last = send(&processes.rust[2], json!(gets), Some(&cookie));
    assert_eq!(last.results, json!((0..32).collect::<Vec<_>>()));
}

fn a_logout_stays_a_logout(stand: &Stand) {
    let processes = stand.processes();
    let others = processes.rust.iter().chain(&processes.express);
    for other in others {
        let cookie = log_in(other);
        let writes = Waiting::to(&processes.rust[0], &cookie, vec![json!(["set", "cart", 1])]);
        let reads = Waiting::to(&processes.rust[1], &cookie, Vec::new());
        send(other, json!([["destroy"]]), Some(&cookie));
        for request in [writes, reads] {
            assert_eq!(request.goes_on().cookie, None);
        }
        let after = send(&processes.rust[2], json!([["get", "user"], ["get", "cart"]]), Some(&cookie));
        assert_eq!(after.results, json!([null, null]));
        assert_eq!(send(other, json!([["store", "length"]]), None).results, json!([0]));
    }
}

fn what_express_wrote_in_between_is_kept(stand: &Stand) {
    let processes = stand.processes();
    let express = processes.express.as_ref().unwrap();
    for rust in &processes.rust {
        let cookie = log_in(express);
        let ours = Waiting::to(rust, &cookie, vec![json!(["set", "ours", 1]), json!(["del", "user"])]);
        send(express, json!([["set", "theirs", { "b": 1, "a": [1.5, null] }]]), Some(&cookie));
        ours.goes_on();
        let after = send(express, json!([["keys"], ["get", "theirs"]]), Some(&cookie));
        assert_eq!(after.results, json!([["theirs", "ours"], { "b": 1, "a": [1.5, null] }]));
    }
}

/// A browser: all of its tabs have one jar.
struct Browser(Mutex<String>);

impl Browser {
    fn new(cookie: String) -> Self {
        Self(Mutex::new(cookie))
    }

    fn cookie(&self) -> String {
        self.0.lock().unwrap().clone()
    }

    fn send(&self, server: &Server, operations: Value) -> Sent {
        let sent = send(server, operations, Some(&self.cookie()));
        if let Some(cookie) = &sent.cookie {
            self.0.lock().unwrap().clone_from(cookie);
        }
        sent
    }
}

/// Four tabs, each of which goes from one process to the next, while the id is renewed again and again.
fn tabs_whose_id_is_renewed_lose_nothing(stand: &Stand) {
    const EACH: usize = 40;
    let processes = stand.processes_that_renew(3_600_000, Some([400, 200]));
    let browser = Browser::new(log_in(&processes.rust[0]));
    let (first, ids) = (browser.cookie(), Mutex::new(HashSet::new()));
    thread::scope(|scope| {
        for tab in 0..4 {
            let (browser, processes, ids) = (&browser, &processes, &ids);
            scope.spawn(move || {
                for at in 0..EACH {
                    let server = &processes.rust[(tab + at) % processes.rust.len()];
                    let sent = browser.send(server, json!([["get", "user"], ["add", "n", 1]]));
                    assert_eq!(sent.results[0], "tj", "tab {tab} is logged out");
                    ids.lock().unwrap().insert(browser.cookie());
                    thread::sleep(Duration::from_millis(25));
                }
            });
        }
    });
    let last = browser.send(&processes.rust[1], json!([["get", "user"], ["get", "n"]]));
    assert_eq!(last.results, json!(["tj", 4 * EACH]));
    let renewals = ids.into_inner().unwrap().len();
    assert!(renewals > 2, "it was renewed {renewals} times");
    // The grace of the first is long over.
    let former = send(&processes.rust[2], json!([["get", "user"]]), Some(&first));
    assert_eq!(former.results, json!([null]));
}

/// The real one, which knows of no renewal: it reads, writes whole records, and destroys.
fn express_is_logged_in_under_both_ids(stand: &Stand) {
    let processes = stand.processes_that_renew(3_600_000, Some([3_600_000, 60_000]));
    let express = processes.express.as_ref().unwrap();
    for rust in &processes.rust {
        // How old its id is nobody knows: it is renewed at once.
        let first = log_in(express);
        let sent = send(rust, json!([["get", "user"], ["set", "ours", 1]]), Some(&first));
        assert_eq!(sent.results[0], "tj");
        let second = sent.cookie.unwrap_or_else(|| panic!("the id is renewed"));
        assert_ne!(first, second);
        for cookie in [&first, &second] {
            assert_eq!(send(express, json!([["get", "user"]]), Some(cookie)).results, json!(["tj"]));
        }
        send(express, json!([["set", "theirs", 1]]), Some(&first));
        send(express, json!([["set", "more", 1]]), Some(&second));
        let keys = json!([["get", "user"], ["get", "ours"], ["get", "theirs"], ["get", "more"]]);
        for cookie in [&first, &second, &first] {
            let sent = send(rust, keys.clone(), Some(cookie));
            assert_eq!(sent.results, json!(["tj", 1, 1, 1]));
        }
        assert_eq!(send(express, keys.clone(), Some(&second)).results, json!(["tj", 1, 1, 1]));
        // A logout of either kind, under either id.
        let is_over = |server: &Server, cookie: &str| {
            assert_eq!(send(server, json!([["get", "user"]]), Some(cookie)).results, json!([null]));
        };
        send(express, json!([["destroy"]]), Some(&first));
        is_over(rust, &second);
        is_over(express, &second);
        let first = log_in(express);
        let second = send(rust, json!([["get", "user"]]), Some(&first)).cookie.unwrap();
        send(rust, json!([["destroy"]]), Some(&second));
        is_over(express, &first);
        is_over(express, &second);
        is_over(rust, &first);
    }
}
