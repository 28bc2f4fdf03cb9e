//! Containers, where a Docker engine answers.

use std::path::Path;
use std::process::Command;

use super::Service;
use super::running::{Origin, Running};
use crate::workspace::Workspace;
use crate::{Result, process};

/// The client alone, without an engine or without its compose plugin, is of no use.
pub(super) fn engine_answers() -> bool {
    process::ask(Command::new("docker").args(["info", "--format", "{{.ServerVersion}}"])).is_some()
        && process::ask(Command::new("docker").args(["compose", "version"])).is_some()
}

pub(super) fn up(service: &'static Service, workspace: &Workspace) -> Result<Running> {
    let root = &workspace.root;
    process::run(compose(root).args(["up", "--detach", service.name]), &workspace.kept.join("compose.log"))?;
    let origin = Origin::Compose { root: root.clone() };
    let Some(port) = port(service, root) else {
        down(service, root);
        return Err("it has no port".into());
    };
    Ok(Running { service, port, url: (service.url)(port), origin })
}

pub(super) fn down(service: &Service, root: &Path) {
    compose(root).args(["rm", "--stop", "--force", "--volumes", service.name]).output().ok();
}

/// The port that Docker chose on this machine: `127.0.0.1:32768`.
fn port(service: &Service, root: &Path) -> Option<u16> {
    let inside = service.port.to_string();
    process::ask(compose(root).args(["port", service.name, &inside]))?.rsplit(':').next()?.parse().ok()
}

fn compose(root: &Path) -> Command {
    let mut command = Command::new("docker");
    command.arg("compose").arg("--file").arg(root.join("compose.yaml"));
    command
}
