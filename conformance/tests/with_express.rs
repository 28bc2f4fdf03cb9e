//! The example `with-express`, used as a browser would: logged in on one half is logged in on the other.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "helpers of tests")]

mod common;

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use ureq::{Agent, http::Response};

struct Half {
    child: Child,
    url: String,
}

impl Drop for Half {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn start(command: &mut Command, redis: &str, port: u16) -> Half {
    let command = command.env("REDIS_URL", redis).env("PORT", port.to_string()).stdout(Stdio::piped());
    let mut child = command.stdin(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    Half { child, url: line.trim().strip_prefix("listening on ").unwrap().to_owned() }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn knows(agent: &Agent, half: &Half, cookie: &str, user: &str) -> bool {
    let mut page = agent.get(&half.url).header("cookie", cookie).call().unwrap();
    page.body_mut().read_to_string().unwrap().contains(&format!("knows you as <b>{user}</b>"))
}

fn post(agent: &Agent, half: &Half, path: &str, cookie: &str) -> Response<ureq::Body> {
    let request = agent.post(format!("{}{path}", half.url)).header("cookie", cookie);
    let response = request.content_type("application/x-www-form-urlencoded").send("user=tj").unwrap();
    assert_eq!(response.status(), 303);
    response
}

#[test]
fn one_login_serves_both_halves() {
    let Some(redis) = session_testkit::service_url("REDIS_URL") else { return };
    if common::oracle().is_none() {
        return;
    }
    let rust = Path::new(common::AXUM).with_file_name("examples").join("with-express");
    if !rust.exists() {
        assert!(std::env::var_os("CI").is_none(), "the example is not built: run `cargo xtask test`");
        println!("skipped: the example is not built; `cargo xtask test` builds it");
        return;
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let app = here.join("../examples/with-express/app.js");
    let mut express = Command::new("node");
    let express =
        start(express.arg(app).env("NODE_PATH", here.join("express/node_modules")), &redis, free_port());
    let rust = start(&mut Command::new(rust), &redis, free_port());

    let agent: Agent =
        Agent::config_builder().max_redirects(0).max_redirects_will_error(false).build().into();
    for (one, other) in [(&rust, &express), (&express, &rust)] {
        let response = post(&agent, one, "/login", "");
        let cookie = response.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap();
        assert!(knows(&agent, one, cookie, "tj") && knows(&agent, other, cookie, "tj"));
        post(&agent, other, "/logout", cookie);
        assert!(knows(&agent, one, cookie, "nobody") && knows(&agent, other, cookie, "nobody"));
    }
}
