//! The example `with-express`, used as a browser would: logged in on one half is logged in on the other.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "helpers of tests")]

mod common;

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use common::example::{Server, built};
use test_support::{Express, Need, express, service, tests};
use ureq::{Agent, http::Response};

fn main() -> ExitCode {
    tests! { needs both_halves => one_login_serves_both_halves; }.run()
}

/// Their database, and what runs them.
fn both_halves() -> Need<(String, Express, PathBuf)> {
    Ok((service("REDIS_URL")?, express()?, built("with-express")?))
}

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

fn one_login_serves_both_halves((redis, node, rust): (String, Express, PathBuf)) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let app = here.join("../examples/with-express/app.js");
    let mut express = Command::new(&node.node);
    express.arg(app).env("NODE_PATH", node.folder.join("node_modules"));
    let express = Server::start(express.env("REDIS_URL", &redis));
    let rust = Server::start(Command::new(&rust).env("REDIS_URL", &redis));

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
