//! What `services up` started, kept in a file, so that another run can find and stop it.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::running::{Origin, Running};
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

fn parse(entry: &Value, root: &std::path::Path) -> Option<Running> {
    let service = ALL.into_iter().find(|service| entry["name"] == service.name)?;
    let port = entry["port"].as_u64()?.try_into().ok()?;
    let origin = match entry.get("pid") {
        None => Origin::Compose { root: root.into() },
        Some(pid) => Origin::Process {
            pid: pid.as_u64()?.try_into().ok()?,
            folder: entry["folder"].as_str()?.into(),
            child: None,
        },
    };
    Some(Running { service, port, url: (service.url)(port), origin })
}
