//! Servers that end with whoever started them.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::User;

/// Runs the command with its output in the file `log` of the current folder, and says its id. At the end of the input, which
/// comes with the end of the process that started this, however that ends, it is killed; then the folder goes, unless the
/// last line says to keep it.
const GUARD: &str = r#"signal=$1; shift; "$@" >>log 2>&1 & echo $!
    read -r last; kill -s "$signal" $!; wait; [ "$last" = keep ] || rm -rf "$PWD""#;

/// A server in a folder of its own. Both end with this value, and with this process, even if it is killed.
#[derive(Debug)]
pub struct Guarded {
    pid: u32,
    guard: Child,
    input: Option<ChildStdin>,
}

impl Guarded {
    /// Has the command run, by another user if one is named. The signal is the one that ends it at once.
    ///
    /// # Errors
    /// When there is no shell, or it does not say the id.
    pub fn start(command: &Command, signal: &str, user: Option<User>) -> io::Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", GUARD, "guard", signal]).arg(command.get_program()).args(command.get_args());
        if let Some(folder) = command.get_current_dir() {
            shell.current_dir(folder);
        }
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        // Whoever ends our process group leaves it the time to clean up.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut shell, 0);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        if let Some(user) = user {
            user.runs(&mut shell);
        }
        let mut guard = shell.spawn()?;
        let mut pid = String::new();
        if let Some(output) = guard.stdout.take() {
            BufReader::new(output).read_line(&mut pid)?;
        }
        let pid = pid.trim().parse().map_err(io::Error::other)?;
        let input = guard.stdin.take();
        Ok(Self { pid, guard, input })
    }

    /// The process id of the server itself.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it has ended.
    pub fn signal(&self, name: &str) {
        let kill = Command::new("sh").args(["-c", &format!("kill -s {name} {}", self.pid)]).status();
        assert!(kill.is_ok_and(|status| status.success()), "kill -s {name}");
    }

    /// Ends it without warning, and keeps its folder.
    pub fn kill(mut self) {
        if let Some(input) = &mut self.input {
            _ = input.write_all(b"keep\n");
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.input.take());
        _ = self.guard.wait();
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::path::PathBuf;
    use std::process::{self, Command};
    use std::time::{Duration, Instant};
    use std::{env, fs, thread};

    use super::Guarded;

    fn folder(name: &str) -> PathBuf {
        let folder = env::temp_dir().join(format!("test-support-{}-{name}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn sleeper(folder: &PathBuf) -> Command {
        let mut command = Command::new("sleep");
        command.arg("1000").current_dir(folder);
        command
    }

    fn lives(pid: u32) -> bool {
        let kill = Command::new("sh").args(["-c", &format!("kill -0 {pid} 2>/dev/null")]).status();
        kill.unwrap().success()
    }

    #[test]
    fn a_server_and_its_folder_end_with_the_value() {
        let folder = folder("dropped");
        let server = Guarded::start(&sleeper(&folder), "KILL", None).unwrap();
        let pid = server.pid();
        assert!(lives(pid));
        // It opens its log by itself, a moment later.
        let begun = Instant::now();
        while !folder.join("log").is_file() {
            assert!(begun.elapsed() < Duration::from_secs(20), "it has no log");
            thread::sleep(Duration::from_millis(1));
        }
        drop(server);
        assert!(!lives(pid) && !folder.exists());
    }

    #[test]
    fn one_that_is_killed_leaves_its_folder() {
        let folder = folder("killed");
        let server = Guarded::start(&sleeper(&folder), "KILL", None).unwrap();
        let pid = server.pid();
        server.kill();
        assert!(!lives(pid) && folder.exists());
        fs::remove_dir_all(folder).unwrap();
    }

    /// Set for the process that this file's test starts and kills.
    const CHILD: &str = "TEST_SUPPORT_GUARDED_IN";

    #[test]
    fn it_ends_with_a_process_that_is_killed() {
        if let Some(folder) = env::var_os(CHILD) {
            let server = Guarded::start(&sleeper(&folder.into()), "KILL", None).unwrap();
            println!("\npid {}", server.pid());
            loop {
                std::thread::park();
            }
        }
        use std::io::{BufRead, BufReader};
        let folder = folder("orphaned");
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "guarded::tests::it_ends_with_a_process_that_is_killed", "--nocapture"])
            .env(CHILD, &folder)
            .stdout(process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let pid = lines.find_map(|line| line.strip_prefix("pid ")?.parse().ok()).unwrap();
        assert!(lives(pid));
        child.kill().unwrap();
        child.wait().unwrap();
        while lives(pid) || folder.exists() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}
