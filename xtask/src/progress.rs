//! Which test program runs, and how long each took.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

/// So many are shown as the slowest.
const SLOWEST: usize = 10;

#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// What each program tests, by its file name.
    names: HashMap<String, String>,
    running: Option<(String, Instant)>,
    done: Vec<(Duration, String)>,
}

impl Progress {
    /// Of the programs that `cargo test --no-run --message-format=json` names.
    pub(crate) fn of(messages: &str) -> Self {
        let messages = messages.lines().filter_map(|line| serde_json::from_str(line).ok());
        Self { names: messages.filter_map(|message: Value| program(&message)).collect(), ..Self::default() }
    }

    /// Goes by a line of `cargo test`; answers what is to be said before it.
    pub(crate) fn line(&mut self, line: &str) -> Option<String> {
        let next = self.begun(line)?;
        let ended = self.end().map(|ended| ended + "\n").unwrap_or_default();
        let number = self.done.len() + 1;
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
        let took = start.elapsed();
        let said = format!("xtask: {name} took {:.1} s", took.as_secs_f64());
        self.done.push((took, name));
        Some(said)
    }

    /// A line for each of the slowest; nothing for a few.
    pub(crate) fn slowest(&self) -> String {
        if self.done.len() < 2 {
            return String::new();
        }
        let mut done: Vec<_> = self.done.iter().collect();
        done.sort_by(|one, other| other.cmp(one));
        let mut lines = String::from("the slowest:\n");
        for (took, name) in done.into_iter().take(SLOWEST) {
            _ = writeln!(lines, "{:8.1} s  {name}", took.as_secs_f64());
        }
        lines
    }
}

/// The file name of a test program, and its package with the path of its source in it.
fn program(message: &Value) -> Option<(String, String)> {
    let file = Path::new(message["executable"].as_str()?).file_name()?.to_str()?;
    let folder = Path::new(message["manifest_path"].as_str()?).parent()?;
    let source = Path::new(message["target"]["src_path"].as_str()?);
    let source = source.strip_prefix(folder).unwrap_or(source).display();
    message["profile"]["test"].as_bool()?.then(|| (file.into(), format!("{} {source}", package(message))))
}

/// Of `path+file:///w/store-redis#0.1.0`, or `path+file:///w#express-session@0.1.0` where the folder has another name.
fn package(message: &Value) -> &str {
    let id = message["package_id"].as_str().unwrap_or_default();
    let (folder, version) = id.split_once('#').unwrap_or((id, ""));
    version.split_once('@').map_or_else(|| folder.rsplit('/').next().unwrap_or(id), |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::Progress;

    const MESSAGES: &str = r#"{"reason":"compiler-artifact","package_id":"path+file:///w/store-redis#0.1.0","manifest_path":"/w/store-redis/Cargo.toml","target":{"src_path":"/w/store-redis/tests/outage.rs"},"profile":{"test":true},"executable":"/w/target/debug/deps/outage-01"}
{"reason":"compiler-artifact","package_id":"path+file:///w#express-session@0.1.0","manifest_path":"/w/Cargo.toml","target":{"src_path":"/w/src/lib.rs"},"profile":{"test":true},"executable":"/w/target/debug/deps/express_session-02"}
{"reason":"compiler-artifact","package_id":"path+file:///w#express-session@0.1.0","manifest_path":"/w/Cargo.toml","target":{"src_path":"/w/examples/axum.rs"},"profile":{"test":false},"executable":"/w/target/debug/examples/axum"}
{"reason":"build-finished","success":true}
no JSON"#;

    #[test]
    fn programs_are_named_by_package_and_source() {
        let mut progress = Progress::of(MESSAGES);
        assert_eq!(progress.names.len(), 2, "an example is no test");
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
        assert_eq!(progress.slowest().lines().count(), 4);
    }
}
