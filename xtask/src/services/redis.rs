//! Redis: `redis-server`.

use std::process::Command;

use super::{Service, ping};
use crate::install;
use crate::workspace::program;

pub(super) const REDIS: Service = Service {
    name: "redis",
    variable: "REDIS_URL",
    member: "store-redis",
    port: 6379,
    url: |port| format!("redis://127.0.0.1:{port}"),
    // The tests of TLS make their certificates with openssl.
    find: |_| program("redis-server").filter(|_| program("openssl").is_some()),
    install: |workspace| install::debian(workspace, &["redis-server", "openssl"]),
    command: |program, folder, port| {
        let mut command = Command::new(program);
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(folder);
        Ok(command)
    },
    greets: ping::redis,
    stop: "TERM",
    refuses_root: false,
};
