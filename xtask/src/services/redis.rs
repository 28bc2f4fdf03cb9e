//! Redis: `redis-server`.

use std::process::Command;

use test_support::program;

use super::{Service, ping};
use crate::install;

pub(super) const REDIS: Service = Service {
    name: "redis",
    variable: "REDIS_URL",
    member: "store-redis",
    port: 6379,
    url: |port| format!("redis://127.0.0.1:{port}"),
    // The tests of TLS make their certificates with openssl.
    find: || {
        program("redis-server").filter(|_| program("redis-cli").is_some() && program("openssl").is_some())
    },
    install: |workspace| install::debian(workspace, &["redis-server", "openssl"]),
    add: |_| Ok(()),
    command: |program, folder, port, _| {
        let mut command = Command::new(program);
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(folder);
        Ok(command)
    },
    greets: ping::redis,
    stop: "TERM",
    kill: "KILL",
    refuses_root: false,
};
