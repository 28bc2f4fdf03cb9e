//! Every kind of store by its URL, as a program opens it that is told by its environment where sessions live.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "helpers of tests")]

use std::process::ExitCode;

use express_session::{Destroyed, Expect, Set, Sid, open_store};
use test_support::{Tests, record, service};

fn main() -> ExitCode {
    let servers = [
        ("redis", "REDIS_URL"),
        ("mongodb", "MONGODB_URL"),
        ("postgres", "POSTGRES_URL"),
        ("mysql", "MYSQL_URL"),
    ];
    let tests = Tests::default()
        .free("memory", || holds_a_session("memory:"))
        .free("sqlite", || holds_a_session("sqlite::memory:"))
        .needing(
            "mariadb",
            || service("MYSQL_URL"),
            |url| holds_a_session(&url.replace("mysql:", "mariadb:")),
        );
    let by_name = |tests: Tests, (name, variable): (&str, &'static str)| {
        tests.needing(name, move || service(variable), |url| holds_a_session(&url))
    };
    servers.into_iter().fold(tests, by_name).run()
}

fn holds_a_session(url: &str) {
    session_testkit::run(async {
        let store = open_store(url).await.unwrap();
        let (sid, record) = (Sid::random(), record("\"user\":\"tj\""));
        assert!(matches!(store.set(&sid, &record, &Expect::Nothing).await.unwrap(), Set::Written(_)));
        let stored = store.get(&sid).await.unwrap().unwrap();
        assert_eq!(stored.record.to_json(), record.to_json());
        assert_eq!(store.destroy(&sid, &Expect::Anything).await.unwrap(), Destroyed::Destroyed);
        assert!(store.get(&sid).await.unwrap().is_none());
    });
}
