//! The page counter of each framework, used as a browser would.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::{
    path::PathBuf,
    process::{Command, ExitCode},
};

use common::example::{Server, built};
use test_support::Tests;

fn main() -> ExitCode {
    let examples = [("axum_counts", "axum"), ("actix_counts", "actix"), ("rocket_counts", "rocket")];
    let all = examples.into_iter().fold(Tests::default(), |tests, (name, example)| {
        tests.needing(name, move || built(example), |program| counts(&program))
    });
    all.run()
}

/// The cookie that it sets, if any, and the page.
fn visit(server: &Server, cookie: &str) -> (Option<String>, String) {
    let mut page = ureq::get(&server.url).header("cookie", cookie).call().unwrap();
    let cookie = page.headers().get("set-cookie").map(|cookie| cookie.to_str().unwrap());
    let cookie = cookie.and_then(|cookie| cookie.split(';').next()).map(str::to_owned);
    (cookie, page.body_mut().read_to_string().unwrap())
}

fn counts(program: &PathBuf) {
    let mut program = Command::new(program);
    let server = Server::start(program.env_remove("STORE_URL").env_remove("SECRET"));
    let (cookie, page) = visit(&server, "");
    assert!(page.contains("Welcome to this page for the first time!"), "{page}");
    let cookie = cookie.unwrap();
    for views in 2..4 {
        let (_, page) = visit(&server, &cookie);
        assert!(page.contains(&format!("You visited this page {views} times")), "{page}");
    }
    let (other, page) = visit(&server, "");
    assert!(page.contains("Welcome to this page for the first time!"), "{page}");
    assert_ne!(other.unwrap(), cookie);
}
