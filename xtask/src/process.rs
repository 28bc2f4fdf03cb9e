//! Children: run in the foreground, asked quickly, started in the background, stopped by process id.
//!
//! Each child leads a process group of its own, so that an interrupt reaches it, and all it started, through us alone:
//! the servers must outlive the tests that are being interrupted.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::{Result, workspace};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// The children in the foreground.
static FOREGROUND: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// From now on an interrupt ends the children in the foreground, and what waits for them returns an error: the way out is the
/// same as after any failure, past everything that has to be stopped.
pub(crate) fn catch_interrupts() -> Result<()> {
    ctrlc::set_handler(|| {
        let again = INTERRUPTED.swap(true, SeqCst);
        signal_foreground(if again { "KILL" } else { "INT" });
    })
    .map_err(|error| format!("cannot handle Ctrl-C: {error}"))
}

pub(crate) fn not_interrupted() -> Result<()> {
    if INTERRUPTED.load(SeqCst) { Err("interrupted".into()) } else { Ok(()) }
}

/// Of a failure: 130 is what shells make of an interrupt.
pub(crate) fn exit_code() -> ExitCode {
    ExitCode::from(if INTERRUPTED.load(SeqCst) { 130 } else { 1 })
}

/// Runs to the end, without a word: all output goes to the log, whose end is in the error.
pub(crate) fn run(command: &mut Command, log: &Path) -> Result<()> {
    let before = fs::metadata(log).map_or(0, |log| log.len());
    let status = wait(&mut foreground(to_log(command, log)?)?)?;
    if status.success() { Ok(()) } else { Err(format!("{}: {status}\n{}", name(command), tail(log, before))) }
}

/// Starts a child that an interrupt will end. `wait` for it next.
pub(crate) fn foreground(command: &mut Command) -> Result<Child> {
    run_foreground(command.stdin(Stdio::null()))
}

fn run_foreground(command: &mut Command) -> Result<Child> {
    not_interrupted()?;
    let child = spawn(command)?;
    all_foreground().push(child.id());
    if not_interrupted().is_err() {
        signal_foreground("INT");
    }
    Ok(child)
}

/// As [`foreground`], for a long run: it and all that it started end when this process is killed, by a shell in between that
/// sees the end of its input then.
pub(crate) fn foreground_guarded(command: &Command, set: impl FnOnce(&mut Command)) -> Result<Child> {
    let mut shell = guarded(command);
    set(&mut shell);
    run_foreground(&mut shell)
}

/// By a shell that ends its process group at the end of its input. What waits for that holds no output open.
fn guarded(command: &Command) -> Command {
    const GUARD: &str =
        r#"exec 3<&0; { read -r _ <&3; kill -KILL 0; } >/dev/null 2>&1 & "$@" </dev/null 3<&-"#;
    let mut shell = Command::new("sh");
    shell.args(["-c", GUARD, "guard"]).arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        shell.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.stdin(Stdio::piped());
    shell
}

/// Waits for a child in the foreground, and ends what it left behind.
pub(crate) fn wait(child: &mut Child) -> Result<ExitStatus> {
    // Waiting would close it, and so end one that is guarded.
    let _input = child.stdin.take();
    let status = child.wait();
    kill_group(child.id());
    all_foreground().retain(|pid| *pid != child.id());
    not_interrupted()?;
    status.map_err(|error| format!("cannot wait for a child: {error}"))
}

/// Ends a child in the foreground and all that it started.
pub(crate) fn kill_group(leader: u32) {
    send("KILL", &group(leader));
}

/// A busy machine takes its time, and "no Node" is a wrong answer then.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a quick question answers on stdout, or none if it fails or takes longer than that.
pub(crate) fn ask(command: &mut Command) -> Option<String> {
    let mut child = spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null())).ok()?;
    let end = Instant::now() + PATIENCE;
    while child.try_wait().ok()?.is_none() {
        if Instant::now() > end {
            child.kill().ok();
            child.wait().ok();
            return None;
        }
        sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs to the end, whatever comes of it, and whatever is interrupted: for cleaning up.
pub(crate) fn quietly(command: &mut Command) {
    if let Ok(mut child) = spawn(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())) {
        child.wait().ok();
    }
}

/// Starts a server, which goes on until it is stopped.
pub(crate) fn background(command: &mut Command, log: &Path) -> Result<Child> {
    not_interrupted()?;
    spawn(to_log(command, log)?.stdin(Stdio::null()))
}

/// Asks a process to end, by its id.
pub(crate) fn signal(signal: &str, pid: u32) {
    send(signal, &pid.to_string());
}

/// Whether a process with this id runs and has this word in its command line: an id may have been given to another since.
pub(crate) fn runs(pid: u32, word: &str) -> bool {
    // Empty for a process that has ended and is not yet waited for.
    let line = match fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(line) => Some(String::from_utf8_lossy(&line).into_owned()),
        Err(_) if Path::new("/proc/self").exists() => None,
        Err(_) => ask(Command::new("ps").args(["-o", "command=", "-p", &pid.to_string()])),
    };
    line.is_some_and(|line| line.contains(word))
}

/// Whether a process with this id has not ended; one that nobody has waited for yet has.
pub(crate) fn lives(pid: u32) -> bool {
    // 17 (redis-server) S 1 …
    let state = match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat.rsplit(')').next().map(|rest| rest.trim_start().to_owned()),
        Err(_) if Path::new("/proc/self").exists() => None,
        Err(_) => ask(Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()])),
    };
    state.is_some_and(|state| !state.is_empty() && !state.starts_with(['Z', 'X']))
}

/// The last lines of a log, of what stands after so many bytes.
pub(crate) fn tail(log: &Path, after: u64) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(text.get(after as usize..).unwrap_or_default());
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

fn spawn(command: &mut Command) -> Result<Child> {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    command.spawn().map_err(|error| format!("cannot run {}: {error}", name(command)))
}

fn to_log<'a>(command: &'a mut Command, log: &Path) -> Result<&'a mut Command> {
    if let Some(folder) = log.parent() {
        workspace::create(folder)?;
    }
    let cannot = |error| format!("cannot write {}: {error}", log.display());
    let file = File::options().create(true).append(true).open(log).map_err(cannot)?;
    let twin = file.try_clone().map_err(cannot)?;
    Ok(command.stdout(file).stderr(twin))
}

fn signal_foreground(signal: &str) {
    let groups: Vec<_> = all_foreground().iter().map(|pid| group(*pid)).collect();
    if !groups.is_empty() {
        send(signal, &groups.join(" "));
    }
}

fn all_foreground() -> MutexGuard<'static, Vec<u32>> {
    FOREGROUND.lock().unwrap_or_else(PoisonError::into_inner)
}

fn group(pid: u32) -> String {
    format!("-{pid}")
}

/// The shell's own `kill`: the program is not on every machine.
fn send(signal: &str, target: &str) {
    quietly(Command::new("sh").args(["-c", &format!("kill -s {signal} -- {target}")]));
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

#[cfg(all(test, unix))]
mod tests {
    use std::path::PathBuf;
    use std::process::{self, Command};
    use std::{env, fs};

    use super::{ask, background, guarded, lives, run, runs, signal, spawn, tail};

    fn log(name: &str) -> PathBuf {
        env::temp_dir().join(format!("xtask-{}-{name}.log", process::id()))
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn answers() {
        assert_eq!(ask(&mut shell("echo ' v22.20.0'")).as_deref(), Some("v22.20.0"));
        assert_eq!(ask(&mut shell("echo no; exit 1")), None);
        assert_eq!(ask(&mut Command::new("no-such-program")), None);
    }

    #[test]
    fn a_failure_shows_the_end_of_its_own_log() {
        let log = log("run");
        run(&mut shell("echo before"), &log).unwrap();
        let error = run(&mut shell("seq 100; echo why >&2; exit 3"), &log).unwrap_err();
        assert!(error.starts_with("sh: exit status: 3") && error.ends_with("100\nwhy"), "{error}");
        assert!(!error.contains("before"));
        assert_eq!(tail(&log, 0).lines().count(), 20);
        fs::remove_file(&log).unwrap();
    }

    #[test]
    fn what_is_guarded_ends_with_its_input_and_answers_its_status() {
        let mut child = spawn(&mut guarded(&shell("exit 3"))).unwrap();
        let input = child.stdin.take();
        assert_eq!(child.wait().unwrap().code(), Some(3));
        drop(input);
        let log = log("guarded");
        let mut child = guarded(&shell("sleep 1000 & echo $!; wait"));
        let mut child = spawn(child.stdout(fs::File::create(&log).unwrap())).unwrap();
        let pid = loop {
            if let Ok(pid) = tail(&log, 0).parse() {
                break pid;
            }
        };
        assert!(runs(pid, "1000"));
        // Closes its input.
        assert!(!child.wait().unwrap().success());
        while runs(pid, "1000") {}
        fs::remove_file(&log).unwrap();
    }

    #[test]
    fn a_server_is_stopped_by_its_id() {
        let log = log("server");
        let script = "echo ready; while sleep 0.05; do :; done # port 54321";
        let mut server = background(&mut shell(script), &log).unwrap();
        while tail(&log, 0) != "ready" {}
        assert!(lives(server.id()) && runs(server.id(), "54321"));
        assert!(!runs(server.id(), "6379"), "another process");
        signal("TERM", server.id());
        server.wait().unwrap();
        assert!(!lives(server.id()) && !runs(server.id(), "54321"));
        fs::remove_file(&log).unwrap();
    }
}
