//! The example `with-express`, used as a browser would: logged in on one half is logged in on the other.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::path::Path;
use std::process::Command;

use common::example::{Server, built};
use ureq::{Agent, http::Response};

fn knows(agent: &Agent, half: &Server, cookie: &str, user: &str) -> bool {
    let mut page = agent.get(&half.url).header("cookie", cookie).call().unwrap();
    page.body_mut().read_to_string().unwrap().contains(&format!("knows you as <b>{user}</b>"))
}

fn post(agent: &Agent, half: &Server, path: &str, cookie: &str) -> Response<ureq::Body> {
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
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let app = here.join("../examples/with-express/app.js");
    let mut express = Command::new("node");
    express.arg(app).env("NODE_PATH", here.join("express/node_modules"));
    let express = Server::start(express.env("REDIS_URL", &redis));
    let rust = Server::start(Command::new(built("with-express")).env("REDIS_URL", &redis));

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
