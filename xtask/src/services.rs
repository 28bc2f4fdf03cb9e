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

use test_support::User;

use crate::workspace::Workspace;
use crate::{Result, process, say};
use running::{Life, Running};
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
    /// The program that is already installed, with all that its tests need beside it.
    find: fn() -> Option<PathBuf>,
    install: fn(&Workspace) -> Result<()>,
    /// What some of its tests need besides: without it, it serves all the same.
    add: fn(&Workspace) -> Result<()>,
    /// Fills an empty folder, if it must, by the user that will serve it, and returns the command that serves it on the port
    /// of 127.0.0.1.
    command: fn(&Path, &Path, u16, Option<User>) -> Result<Command>,
    /// Whether it serves: a greeting in its own protocol.
    greets: fn(&mut net::TcpStream) -> io::Result<bool>,
    /// The signal that stops it without waiting for its clients.
    stop: &'static str,
    /// The signal that ends it at once.
    kill: &'static str,
    /// Then another user runs it.
    refuses_root: bool,
}

const ALL: [&Service; 4] = [&redis::REDIS, &mongo::MONGO, &postgres::POSTGRES, &mysql::MYSQL];

/// In the environment: what runs already is of another version, and none of it is taken.
pub(crate) const OF_ITS_OWN: &str = "SERVICES_OF_ITS_OWN";

/// What the tests need: it grows with the workspace.
fn needed(workspace: &Workspace) -> impl Iterator<Item = &'static Service> {
    ALL.into_iter().filter(|service| workspace.has(service.member))
}

/// The servers of one test run: those it started stop when it ends, even if it is killed.
pub(crate) struct Lease(Vec<(&'static Service, Result<Source>)>);

enum Source {
    Given(String),
    Started(Running),
}

impl Lease {
    /// All that the tests need. One that cannot be had harms no other: its own tests fail, with the reason.
    pub(crate) fn take(workspace: &Workspace) -> Result<Self> {
        let state = State::load(workspace);
        let mut lease = Self(Vec::new());
        for service in needed(workspace) {
            let source = source(service, workspace, &state);
            process::not_interrupted()?;
            if let Err(error) = &source {
                say(&format!("{}: going on without one\n{error}", service.name));
            }
            lease.0.push((service, source));
        }
        Ok(lease)
    }

    /// Each one's URL, or why there is none.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (String, String)> {
        self.0.iter().map(|(service, source)| match source {
            Ok(source) => (service.variable.to_owned(), source.url().to_owned()),
            Err(error) => (format!("{}_MISSING", service.variable), error.clone()),
        })
    }
}

fn source(service: &'static Service, workspace: &Workspace, state: &State) -> Result<Source> {
    // Its tests start servers of their own, too.
    let program = running::program(service, workspace);
    match (given(service).or_else(|| kept(service, state)), program) {
        (Some(url), Ok(_)) => Ok(Source::Given(url)),
        (Some(url), Err(error)) => {
            say(&error);
            Ok(Source::Given(url))
        }
        (None, program) => {
            running::start(service, workspace, program, Life::OfThisProcess).map(Source::Started)
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        running::stop(self.0.drain(..).filter_map(|(_, source)| match source {
            Ok(Source::Started(running)) => Some(running),
            Ok(Source::Given(_)) | Err(_) => None,
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
    if env::var_os(OF_ITS_OWN).is_some() {
        return None;
    }
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
                let program = running::program(service, workspace);
                let running = running::start(service, workspace, program, Life::UntilStopped)?;
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
