//! What `services up` started, kept in a file, so that another run can find and stop it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::running::{Handle, Origin, Running};
use super::{ALL, Service};
use crate::Result;
use crate::workspace::{self, Workspace};

#[derive(Debug)]
pub(super) struct State {
    file: PathBuf,
    /// For the containers: where the compose file is.
    root: PathBuf,
    running: Vec<Running>,
}

impl State {
    /// No file, or one that nobody can read, is nothing running.
    pub(super) fn load(workspace: &Workspace) -> Self {
        let file = workspace.kept.join("state.json");
        let root = workspace.root.clone();
        let entries =
            fs::read_to_string(&file).ok().and_then(|text| serde_json::from_str::<Vec<Value>>(&text).ok());
        let running = entries.iter().flatten().filter_map(|entry| parse(entry, &root)).collect();
        Self { file, root, running }
    }

    pub(super) fn get(&self, service: &Service) -> Option<&Running> {
        self.running.iter().find(|running| running.service.name == service.name)
    }

    pub(super) fn keep(&mut self, running: Running) -> Result<()> {
        self.running.push(running);
        self.save()
    }

    pub(super) fn take(&mut self, service: &Service) -> Option<Running> {
        let at = self.running.iter().position(|running| running.service.name == service.name)?;
        Some(self.running.remove(at))
    }

    pub(super) fn take_all(&mut self) -> Result<Vec<Running>> {
        let all = std::mem::take(&mut self.running);
        self.save()?;
        Ok(all)
    }

    fn save(&self) -> Result<()> {
        let entries: Vec<Value> = self.running.iter().map(entry).collect();
        workspace::create(self.file.parent().unwrap_or(&self.root))?;
        workspace::write(&self.file, &format!("{:#}\n", Value::from(entries)))
    }
}

fn entry(running: &Running) -> Value {
    let mut entry = json!({ "name": running.service.name, "port": running.port });
    if let Origin::Process { pid, folder, .. } = &running.origin {
        entry["pid"] = json!(pid);
        entry["folder"] = json!(folder);
    }
    entry
}

fn parse(entry: &Value, root: &Path) -> Option<Running> {
    let service = ALL.into_iter().find(|service| entry["name"] == service.name)?;
    let port = entry["port"].as_u64()?.try_into().ok()?;
    let origin = match entry.get("pid") {
        None => Origin::Compose { root: root.into() },
        Some(pid) => Origin::Process {
            pid: pid.as_u64()?.try_into().ok()?,
            folder: entry["folder"].as_str()?.into(),
            handle: Handle::Stranger,
        },
    };
    Some(Running { service, port, url: (service.url)(port), origin })
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process};

    use super::super::{mongo::MONGO, redis::REDIS};
    use super::{Handle, Origin, Path, Running, Service, State, Workspace};

    fn workspace(name: &str) -> Workspace {
        let folder = env::temp_dir().join(format!("xtask-{}-{name}", process::id()));
        Workspace { root: folder.clone(), kept: folder.join("services") }
    }

    fn running(service: &'static Service, port: u16, origin: Origin) -> Running {
        Running { service, port, url: (service.url)(port), origin }
    }

    #[test]
    fn another_run_finds_what_was_kept() {
        let workspace = workspace("kept");
        let mut state = State::load(&workspace);
        assert!(state.get(&REDIS).is_none());
        let folder = workspace.kept.join("redis-4001");
        state
            .keep(running(&REDIS, 4001, Origin::Process { pid: 17, folder, handle: Handle::Stranger }))
            .unwrap();
        state.keep(running(&MONGO, 4002, Origin::Compose { root: workspace.root.clone() })).unwrap();

        let mut state = State::load(&workspace);
        let redis = state.get(&REDIS).unwrap();
        assert_eq!((redis.port, redis.url.as_str()), (4001, "redis://127.0.0.1:4001"));
        let Origin::Process { pid: 17, folder, handle: Handle::Stranger } = &redis.origin else {
            panic!("{redis:?}")
        };
        assert_eq!(*folder, workspace.kept.join("redis-4001"));
        let mongo = state.get(&MONGO).unwrap();
        assert_eq!(mongo.url, "mongodb://127.0.0.1:4002");
        assert!(matches!(&mongo.origin, Origin::Compose { root } if *root == workspace.root));

        assert_eq!(state.take_all().unwrap().len(), 2);
        assert!(State::load(&workspace).running.is_empty());
        fs::remove_dir_all(&workspace.root).unwrap();
    }

    #[test]
    fn what_nobody_can_read_is_nothing() {
        let entries = [
            r#"{"name":"redis","port":4001,"pid":17}"#,
            r#"{"name":"redis","port":70000}"#,
            r#"{"name":"redis"}"#,
            r#"{"name":"oracle","port":4001}"#,
            "17",
        ];
        for entry in entries {
            let entry = serde_json::from_str(entry).unwrap();
            assert!(super::parse(&entry, Path::new("")).is_none(), "{entry}");
        }
        let workspace = workspace("broken");
        fs::create_dir_all(&workspace.kept).unwrap();
        fs::write(workspace.kept.join("state.json"), "[{").unwrap();
        assert!(State::load(&workspace).running.is_empty());
        fs::remove_dir_all(&workspace.root).unwrap();
    }
}
