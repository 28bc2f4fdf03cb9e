//! A server that was started here: how, where, and how it stops.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{env, fmt, fs};

use test_support::{Guarded, User, free_port};

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
    /// A process with a folder of its own.
    Process { pid: u32, folder: PathBuf, handle: Handle },
}

/// What a process is to this one.
#[derive(Debug)]
pub(super) enum Handle {
    /// It ends with us.
    Guarded(Guarded),
    Child(Child),
    /// An earlier run started it.
    Stranger,
}

/// How long a server is to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    OfThisProcess,
    UntilStopped,
}

/// The program of a server: the one that is installed, or is then.
pub(super) fn program(service: &Service, workspace: &Workspace) -> Result<PathBuf> {
    let name = service.name;
    let found = match (service.find)() {
        Some(program) => program,
        None => {
            (service.install)(workspace).map_err(|error| {
                format!("{name}: {error}\n(or name a server that runs in {})", service.variable)
            })?;
            (service.find)().ok_or(format!("{name}: not found, although it was installed"))?
        }
    };
    if let Err(error) = (service.add)(workspace) {
        say(&format!("{name}: going on without what some tests need\n{error}"));
    }
    Ok(found)
}

/// By its program, or else in a container.
pub(super) fn start(
    service: &'static Service,
    workspace: &Workspace,
    program: Result<PathBuf>,
    life: Life,
) -> Result<Running> {
    let name = service.name;
    let serve = |program: PathBuf| serve(service, workspace, &program, life);
    let error = match program.and_then(|program| serve(program).map_err(|error| format!("{name}: {error}"))) {
        Ok(running) => return Ok(running),
        Err(error) => error,
    };
    process::not_interrupted()?;
    if !compose::usable() {
        return Err(error);
    }
    say(&format!("{error}\n{name}: starting a container instead"));
    compose::up(service, workspace).and_then(Running::ready).map_err(|container| {
        compose::give_up();
        format!("{error}\nnor in a container: {}", container.lines().last().unwrap_or_default())
    })
}

fn serve(service: &'static Service, workspace: &Workspace, program: &Path, life: Life) -> Result<Running> {
    let port = free_port();
    let folder = folder(service, workspace, port);
    let says = process::ask(Command::new(program).arg("--version")).unwrap_or_default();
    let version = says.lines().next().unwrap_or("of no version");
    say(&format!("{}: starting {} ({version}) on 127.0.0.1:{port}", service.name, program.display()));
    workspace::create(&folder)?;
    let (pid, handle) = run(service, program, &folder, port, life).inspect_err(|_| forget(&folder))?;
    let origin = Origin::Process { pid, folder, handle };
    Running { service, port, url: (service.url)(port), origin }.ready()
}

fn run(service: &Service, program: &Path, folder: &Path, port: u16, life: Life) -> Result<(u32, Handle)> {
    let user = if service.refuses_root { User::unprivileged() } else { None };
    if let Some(user) = user {
        let cannot = |error| format!("cannot give {} to another user: {error}", folder.display());
        user.takes(folder).map_err(cannot)?;
    }
    let mut command = (service.command)(program, folder, port, user)?;
    command.current_dir(folder);
    process::not_interrupted()?;
    match life {
        Life::OfThisProcess => {
            let guarded = Guarded::start(&command, service.kill, user)
                .map_err(|error| format!("cannot run {}: {error}", program.display()))?;
            Ok((guarded.pid(), Handle::Guarded(guarded)))
        }
        Life::UntilStopped => {
            if let Some(user) = user {
                user.runs(&mut command);
            }
            let child = process::background(&mut command, &folder.join("log"))?;
            Ok((child.id(), Handle::Child(child)))
        }
    }
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

impl Running {
    pub(super) fn answers(&self) -> bool {
        ping::greeted(self.service, self.port)
    }

    /// Itself, once it answers; stopped, if it does not.
    fn ready(mut self) -> Result<Self> {
        let end = Instant::now() + TO_START;
        loop {
            // Not another one, that was quicker to take the port.
            if self.answers() && !self.ended() {
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
            Origin::Process { pid, folder, handle } => {
                if lives {
                    process::signal("KILL", pid);
                }
                match handle {
                    Handle::Guarded(guarded) => drop(guarded),
                    Handle::Child(mut child) => _ = child.wait(),
                    Handle::Stranger => {}
                }
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
            Self::Process { handle: Handle::Child(child), .. } => matches!(child.try_wait(), Ok(None)),
            Self::Process { handle: Handle::Guarded(guarded), .. } => process::lives(guarded.pid()),
            // All four have their port in their command line.
            Self::Process { pid, handle: Handle::Stranger, .. } => process::runs(*pid, &port.to_string()),
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
