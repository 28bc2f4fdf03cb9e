//! A server that was started here: how, where, and how it stops.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{env, fmt, fs};

use super::{Service, compose, ping};
use crate::workspace::{self, Workspace};
use crate::{Result, process, say};

const TO_START: Duration = Duration::from_secs(60);
const TO_STOP: Duration = Duration::from_secs(15);
/// For one that never answered: it may not listen to signals yet either.
const TO_GIVE_UP: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Running {
    pub(super) service: &'static Service,
    pub(super) port: u16,
    pub(super) url: String,
    pub(super) origin: Origin,
}

#[derive(Debug)]
pub(super) enum Origin {
    /// A container, of the compose file in this folder.
    Compose { root: PathBuf },
    /// A process with a folder of its own. Our child, unless an earlier run started it.
    Process { pid: u32, folder: PathBuf, child: Option<Child> },
}

/// In this order: a container, the program that is installed, the program that is then installed.
pub(super) fn start(service: &'static Service, workspace: &Workspace) -> Result<Running> {
    let name = service.name;
    if compose::usable() {
        say(&format!("{name}: starting a container"));
        match compose::up(service, workspace).and_then(Running::ready) {
            Ok(running) => return Ok(running),
            Err(error) => {
                process::not_interrupted()?;
                compose::give_up(&error);
            }
        }
    }
    let program = match (service.find)(workspace) {
        Some(program) => program,
        None => {
            (service.install)(workspace).map_err(|error| {
                format!("{name}: {error}\n(or name a server that runs in {})", service.variable)
            })?;
            (service.find)(workspace).ok_or(format!("{name}: not found, although it was installed"))?
        }
    };
    serve(service, workspace, &program).map_err(|error| format!("{name}: {error}"))
}

fn serve(service: &'static Service, workspace: &Workspace, program: &Path) -> Result<Running> {
    let port = free_port()?;
    let folder = folder(service, workspace, port);
    say(&format!("{}: starting {} on 127.0.0.1:{port}", service.name, program.display()));
    workspace::create(&folder)?;
    let log = folder.join("log");
    let child = (service.command)(program, &folder, port)
        .and_then(|mut command| process::background(&mut command, &log))
        .inspect_err(|_| forget(&folder))?;
    let origin = Origin::Process { pid: child.id(), folder, child: Some(child) };
    Running { service, port, url: (service.url)(port), origin }.ready()
}

/// In the target folder; for the server that refuses root in the system's, where other users get, too.
fn folder(service: &Service, workspace: &Workspace, port: u16) -> PathBuf {
    let name = format!("{}-{port}", service.name);
    if service.refuses_root {
        env::temp_dir().join(format!("express-session-{name}"))
    } else {
        workspace.kept.join(name)
    }
}

fn free_port() -> Result<u16> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| format!("no free port: {error}"))
}

impl Running {
    pub(super) fn answers(&self) -> bool {
        ping::greeted(self.service, self.port)
    }

    /// Itself, once it answers; stopped, if it does not.
    fn ready(mut self) -> Result<Self> {
        let end = Instant::now() + TO_START;
        loop {
            if self.answers() {
                return Ok(self);
            }
            let error = match process::not_interrupted() {
                Err(error) => error,
                Ok(()) if self.ended() => format!("it ended\n{}", self.origin.log()),
                Ok(()) if Instant::now() > end => format!("it does not answer\n{}", self.origin.log()),
                Ok(()) => {
                    sleep(Duration::from_millis(50));
                    continue;
                }
            };
            self.ask_to_stop();
            self.end(TO_GIVE_UP);
            return Err(error);
        }
    }
}

/// Asks all to stop, then waits for each.
pub(super) fn stop(all: impl IntoIterator<Item = Running>) {
    let mut all: Vec<Running> = all.into_iter().collect();
    if all.is_empty() {
        return;
    }
    let names: Vec<&str> = all.iter().map(|running| running.service.name).collect();
    say(&format!("stopping {}", names.join(", ")));
    all.iter_mut().for_each(Running::ask_to_stop);
    all.into_iter().for_each(|running| running.end(TO_STOP));
}

impl Running {
    fn ended(&mut self) -> bool {
        matches!(self.origin, Origin::Process { .. }) && !self.origin.lives(self.port)
    }

    fn ask_to_stop(&mut self) {
        if let Origin::Process { pid, .. } = self.origin
            && self.origin.lives(self.port)
        {
            process::signal(self.service.stop, pid);
        }
    }

    fn end(mut self, patience: Duration) {
        let end = Instant::now() + patience;
        while self.origin.lives(self.port) && Instant::now() < end {
            sleep(Duration::from_millis(20));
        }
        let lives = self.origin.lives(self.port);
        match self.origin {
            Origin::Compose { root } => compose::down(self.service, &root),
            Origin::Process { pid, folder, child } => {
                if lives {
                    process::signal("KILL", pid);
                }
                child.map(|mut child| child.wait());
                forget(&folder);
            }
        }
    }
}

impl Origin {
    /// Of a process only: Docker looks after its containers.
    fn lives(&mut self, port: u16) -> bool {
        match self {
            Self::Compose { .. } => false,
            Self::Process { child: Some(child), .. } => matches!(child.try_wait(), Ok(None)),
            // All four have their port in their command line.
            Self::Process { pid, child: None, .. } => process::runs(*pid, &port.to_string()),
        }
    }

    fn log(&self) -> String {
        match self {
            Self::Compose { .. } => String::new(),
            Self::Process { folder, .. } => process::tail(&folder.join("log"), 0),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compose { .. } => write!(f, "in a container"),
            Self::Process { pid, .. } => write!(f, "process {pid}"),
        }
    }
}

fn forget(folder: &Path) {
    fs::remove_dir_all(folder).ok();
}
