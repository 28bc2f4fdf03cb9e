//! Where things are.

use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::Result;

#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    /// All that xtask keeps: installed programs, data folders, logs, and which services run.
    pub(crate) kept: PathBuf,
}

impl Workspace {
    /// Cargo says where xtask's own folder is: the root is its parent.
    pub(crate) fn find() -> Self {
        let xtask = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        let root = xtask.parent().unwrap_or(&xtask).to_path_buf();
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
        let kept = root.join(target).join("services");
        Self { root, kept }
    }

    /// Whether the workspace has a member in this folder.
    pub(crate) fn has(&self, member: &str) -> bool {
        self.root.join(member).join("Cargo.toml").is_file()
    }
}

pub(crate) fn create(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))
}

pub(crate) fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))
}

pub(crate) fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))
}
