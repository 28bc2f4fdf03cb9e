//! Containers, where a Docker engine answers: for a machine on which no program can be installed.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use super::Service;
use super::running::{Origin, Running};
use crate::workspace::Workspace;
use crate::{Result, process};

static GIVEN_UP: AtomicBool = AtomicBool::new(false);

/// The client alone, without an engine or without its compose plugin, is of no use.
pub(super) fn usable() -> bool {
    static ANSWERS: OnceLock<bool> = OnceLock::new();
    let asked = |words: &[&str]| process::ask(Command::new("docker").args(words)).is_some();
    !GIVEN_UP.load(SeqCst)
        && *ANSWERS.get_or_init(|| {
            asked(&["info", "--format", "{{.ServerVersion}}"]) && asked(&["compose", "version"])
        })
}

/// What fails once, an image that cannot be had, most likely fails again, and slowly.
pub(super) fn give_up() {
    GIVEN_UP.store(true, SeqCst);
}

pub(super) fn up(service: &'static Service, workspace: &Workspace) -> Result<Running> {
    let root = &workspace.root;
    let log = workspace.kept.join("compose.log");
    let port = process::run(compose(root).args(["up", "--detach", service.name]), &log)
        .and_then(|()| port(service, root).ok_or("it has no port".into()))
        .inspect_err(|_| down(service, root))?;
    let origin = Origin::Compose { root: root.clone() };
    Ok(Running { service, port, url: (service.url)(port), origin })
}

pub(super) fn down(service: &Service, root: &Path) {
    process::quietly(compose(root).args(["rm", "--stop", "--force", "--volumes", service.name]));
}

/// The port that Docker chose on this machine: `127.0.0.1:32768`.
fn port(service: &Service, root: &Path) -> Option<u16> {
    let inside = service.port.to_string();
    process::ask(compose(root).args(["port", service.name, &inside]))?.rsplit(':').next()?.parse().ok()
}

/// A project for each checkout: by default they have the name of its folder, which another may have as well.
fn compose(root: &Path) -> Command {
    let mut path = DefaultHasher::new();
    root.hash(&mut path);
    let project = format!("express-session-{:x}", path.finish());
    let mut command = Command::new("docker");
    command.args(["compose", "--project-name", &project, "--file"]).arg(root.join("compose.yaml"));
    command
}
