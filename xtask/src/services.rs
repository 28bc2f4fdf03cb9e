//! The database servers: which there are, and starting, keeping and stopping them.

mod compose;
mod mongo;
mod mysql;
mod ping;
mod postgres;
mod redis;
mod running;
mod state;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, io, net};

use crate::workspace::Workspace;
use crate::{Result, say};
use running::Running;
use state::State;

/// A kind of server. Each has a file of its own.
#[derive(Debug)]
pub(crate) struct Service {
    /// On the command line, in what is said, and in `compose.yaml`.
    name: &'static str,
    /// The environment variable with its URL, for the tests and by hand.
    variable: &'static str,
    /// The workspace member whose tests need it.
    member: &'static str,
    /// Its port in a container.
    port: u16,
    url: fn(u16) -> String,
    /// The program that is already installed.
    find: fn(&Workspace) -> Option<PathBuf>,
    install: fn(&Workspace) -> Result<()>,
    /// Fills an empty folder, if it must, and returns the command that serves it on the port of 127.0.0.1.
    command: fn(&Path, &Path, u16) -> Result<Command>,
    /// Whether it serves: a greeting in its own protocol.
    greets: fn(&mut net::TcpStream) -> io::Result<bool>,
    /// The signal that stops it without waiting for its clients.
    stop: &'static str,
    /// Then another user runs it.
    refuses_root: bool,
}

const ALL: [&Service; 4] = [&redis::REDIS, &mongo::MONGO, &postgres::POSTGRES, &mysql::MYSQL];

/// What the tests need: it grows with the workspace.
fn needed(workspace: &Workspace) -> impl Iterator<Item = &'static Service> {
    ALL.into_iter().filter(|service| workspace.has(service.member))
}

/// The servers of one test run: those it started stop when it ends.
pub(crate) struct Lease(Vec<(&'static Service, Source)>);

enum Source {
    Given(String),
    Started(Running),
}

impl Lease {
    pub(crate) fn take(workspace: &Workspace) -> Result<Self> {
        let state = State::load(workspace);
        let mut lease = Self(Vec::new());
        for service in needed(workspace) {
            let source = match given(service).or_else(|| kept(service, &state)) {
                Some(url) => Source::Given(url),
                None => Source::Started(running::start(service, workspace)?),
            };
            lease.0.push((service, source));
        }
        Ok(lease)
    }

    pub(crate) fn urls(&self) -> Vec<(&'static str, String)> {
        self.0.iter().map(|(service, source)| (service.variable, source.url().to_owned())).collect()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        running::stop(self.0.drain(..).filter_map(|(_, source)| match source {
            Source::Given(_) => None,
            Source::Started(running) => Some(running),
        }));
    }
}

impl Source {
    fn url(&self) -> &str {
        match self {
            Self::Given(url) => url,
            Self::Started(running) => &running.url,
        }
    }
}

/// The URL in the environment: somebody else's server.
fn given(service: &Service) -> Option<String> {
    let url = env::var(service.variable).ok().filter(|url| !url.is_empty())?;
    say(&format!("{}: taking the one in {}", service.name, service.variable));
    Some(url)
}

/// The URL of one that `services up` started and that still answers.
fn kept(service: &Service, state: &State) -> Option<String> {
    let running = state.get(service).filter(|running| running.answers())?;
    say(&format!("{}: taking the one that runs at {}", service.name, running.url));
    Some(running.url.clone())
}

/// `services up`: prints the URLs for the shell, `eval "$(cargo xtask services up)"`.
pub(crate) fn up(workspace: &Workspace, names: &[&str]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| !ALL.iter().any(|service| service.name == **name)) {
        return Err(format!("no service {unknown}, only {}", ALL.map(|service| service.name).join(", ")));
    }
    let mut state = State::load(workspace);
    for service in ALL.into_iter().filter(|service| names.is_empty() || names.contains(&service.name)) {
        let url = match given(service).or_else(|| kept(service, &state)) {
            Some(url) => url,
            None => {
                // What is left of one that no longer answers.
                running::stop(state.take(service));
                let running = running::start(service, workspace)?;
                let url = running.url.clone();
                state.keep(running)?;
                url
            }
        };
        println!("export {}={url}", service.variable);
    }
    Ok(())
}

/// `services down`: `eval` it too, and the URLs are forgotten.
pub(crate) fn down(workspace: &Workspace) -> Result<()> {
    let mut state = State::load(workspace);
    let all = state.take_all()?;
    for running in &all {
        println!("unset {}", running.service.variable);
    }
    running::stop(all);
    Ok(())
}

/// `services status`: one line each.
pub(crate) fn status(workspace: &Workspace) -> Result<()> {
    let state = State::load(workspace);
    for service in ALL {
        let word = match state.get(service) {
            Some(running) if running.answers() => format!("up at {}, {}", running.url, running.origin),
            Some(running) => format!("does not answer at {}, {}", running.url, running.origin),
            None => "down".into(),
        };
        println!("{}: {word}", service.name);
    }
    Ok(())
}
