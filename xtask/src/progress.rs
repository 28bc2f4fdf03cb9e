//! Which test program runs, and how long each took.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Result;

/// So many are shown as the slowest.
const SLOWEST: usize = 10;

/// A test program.
#[derive(Debug)]
pub(crate) struct Program {
    /// Its package, with the path of its source in it.
    pub(crate) name: String,
    pub(crate) executable: PathBuf,
    /// The folder of its package, in which tests run.
    pub(crate) folder: PathBuf,
}

impl Program {
    /// Those that `cargo test --no-run --message-format=json` names: one at least, and none whose message cannot be read.
    pub(crate) fn all(messages: &str) -> Result<Vec<Self>> {
        let messages = messages.lines().filter_map(|line| serde_json::from_str(line).ok());
        let tests = messages.filter(|message: &Value| message["profile"]["test"] == true);
        let built = tests.filter(|message| !message["executable"].is_null());
        let unknown =
            |message: &Value| format!("cargo names a test program in a way that is not known: {message}");
        let programs: Vec<Self> =
            built.map(|message| program(&message).ok_or_else(|| unknown(&message))).collect::<Result<_>>()?;
        if programs.is_empty() { Err("cargo names no test program".into()) } else { Ok(programs) }
    }
}

/// How long each took.
#[derive(Debug, Default)]
pub(crate) struct Done(Vec<(Duration, String)>);

impl Done {
    /// Answers the line that says so.
    pub(crate) fn add(&mut self, name: String, took: Duration) -> String {
        let said = format!("{name} took {:.1} s", took.as_secs_f64());
        self.0.push((took, name));
        said
    }

    /// A line for each of the slowest; nothing for a few.
    pub(crate) fn slowest(&self) -> String {
        if self.0.len() < 2 {
            return String::new();
        }
        let mut done: Vec<_> = self.0.iter().collect();
        done.sort_by(|one, other| other.cmp(one));
        let mut lines = String::from("the slowest:\n");
        for (took, name) in done.into_iter().take(SLOWEST) {
            _ = writeln!(lines, "{:8.1} s  {name}", took.as_secs_f64());
        }
        lines
    }
}

/// Of programs that run one after the other.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// What each program tests, by its file name.
    names: HashMap<String, String>,
    running: Option<(String, Instant)>,
    pub(crate) done: Done,
}

impl Progress {
    pub(crate) fn of(programs: &[Program]) -> Self {
        let file = |program: &Program| Some(program.executable.file_name()?.to_str()?.to_owned());
        let names = programs.iter().filter_map(|program| Some((file(program)?, program.name.clone())));
        Self { names: names.collect(), ..Self::default() }
    }

    /// Goes by a line of `cargo test`; answers what is to be said before it.
    pub(crate) fn line(&mut self, line: &str) -> Option<String> {
        let next = self.begun(line)?;
        let ended = self.end().map(|ended| ended + "\n").unwrap_or_default();
        let number = self.done.0.len() + 1;
        let begun = format!("{ended}xtask: {number} of {}: {next}", self.names.len().max(number));
        self.running = Some((next, Instant::now()));
        Some(begun)
    }

    /// What a line says to have begun.
    fn begun(&self, line: &str) -> Option<String> {
        // "     Running tests/outage.rs (target/debug/deps/outage-0123456789abcdef)", "   Doc-tests session_core"
        let line = line.trim();
        if let Some(name) = line.strip_prefix("Doc-tests ") {
            return Some(format!("{name}, examples of its documentation"));
        }
        let (source, program) = line.strip_prefix("Running ")?.strip_suffix(')')?.split_once(" (")?;
        let file = Path::new(program).file_name()?.to_str()?;
        Some(self.names.get(file).cloned().unwrap_or_else(|| source.to_owned()))
    }

    /// The last one, or the one before the next, has ended.
    pub(crate) fn end(&mut self) -> Option<String> {
        let (name, start) = self.running.take()?;
        Some(format!("xtask: {}", self.done.add(name, start.elapsed())))
    }
}

fn program(message: &Value) -> Option<Program> {
    let executable = PathBuf::from(message["executable"].as_str()?);
    let folder = Path::new(message["manifest_path"].as_str()?).parent()?.to_owned();
    let source = Path::new(message["target"]["src_path"].as_str()?);
    let source = source.strip_prefix(&folder).unwrap_or(source).display();
    let name = format!("{} {source}", package(message));
    Some(Program { name, executable, folder })
}

/// Of `path+file:///w/store-redis#0.1.0`, or `path+file:///w#express-session@0.1.0` where the folder has another name.
fn package(message: &Value) -> &str {
    let id = message["package_id"].as_str().unwrap_or_default();
    let (folder, version) = id.split_once('#').unwrap_or((id, ""));
    version.split_once('@').map_or_else(|| folder.rsplit('/').next().unwrap_or(id), |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Program, Progress};

    const MESSAGES: &str = r#"{"reason":"compiler-artifact","package_id":"path+file:///w/store-redis#0.1.0","manifest_path":"/w/store-redis/Cargo.toml","target":{"src_path":"/w/store-redis/tests/outage.rs"},"profile":{"test":true},"executable":"/w/target/debug/deps/outage-01"}
{"reason":"compiler-artifact","package_id":"path+file:///w#express-session@0.1.0","manifest_path":"/w/Cargo.toml","target":{"src_path":"/w/src/lib.rs"},"profile":{"test":true},"executable":"/w/target/debug/deps/express_session-02"}
{"reason":"compiler-artifact","package_id":"path+file:///w#express-session@0.1.0","manifest_path":"/w/Cargo.toml","target":{"src_path":"/w/examples/axum.rs"},"profile":{"test":false},"executable":"/w/target/debug/examples/axum"}
{"reason":"build-finished","success":true}
no JSON"#;

    #[test]
    fn programs_are_named_by_package_and_source() {
        let programs = Program::all(MESSAGES).unwrap();
        assert_eq!(programs.len(), 2, "an example is no test");
        assert_eq!(programs[0].folder, Path::new("/w/store-redis"));
        let mut progress = Progress::of(&programs);
        let said = progress.line("     Running tests/outage.rs (target/debug/deps/outage-01)\n");
        assert_eq!(said.as_deref(), Some("xtask: 1 of 2: store-redis tests/outage.rs"));
        assert_eq!(progress.line("test a ... ok\n"), None);
        let said = progress.line("     Running unittests src/lib.rs (target/debug/deps/express_session-02)");
        let (ended, begun) = said.as_deref().unwrap().split_once('\n').unwrap();
        assert!(ended.starts_with("xtask: store-redis tests/outage.rs took 0."), "{ended}");
        assert_eq!(begun, "xtask: 2 of 2: express-session src/lib.rs");
        let said = progress.line("   Doc-tests session_core").unwrap();
        assert!(said.ends_with("xtask: 3 of 3: session_core, examples of its documentation"), "{said}");
        assert!(progress.end().unwrap().starts_with("xtask: session_core, examples"));
        assert_eq!(progress.end(), None);
        assert!(Program::all("no JSON").is_err() && Program::all("").is_err());
        assert!(Program::all(&MESSAGES.replace("\"src_path\"", "\"path\"")).is_err());
        assert_eq!(progress.done.slowest().lines().count(), 4);
    }
}
