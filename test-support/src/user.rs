//! Who runs a server that refuses root.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// A user and a group, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(unix), allow(dead_code, reason = "there is no root"))]
pub struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// In root's place: PostgreSQL's own, or nobody. None if we are not root.
    #[must_use]
    pub fn unprivileged() -> Option<Self> {
        if id(&["-u"])? != 0 {
            return None;
        }
        let named = |user| Some(Self { uid: id(&["-u", user])?, gid: id(&["-g", user])? });
        named("postgres").or_else(|| named("nobody"))
    }

    /// Has a command run by this user.
    pub fn runs(self, command: &mut Command) {
        #[cfg(unix)]
        {
            use std::os::unix::process::CommandExt;
            command.uid(self.uid).gid(self.gid);
        }
        #[cfg(not(unix))]
        let _ = command;
    }

    /// Gives a folder to this user.
    ///
    /// # Errors
    /// When it cannot be.
    pub fn takes(self, folder: &Path) -> io::Result<()> {
        #[cfg(unix)]
        std::os::unix::fs::chown(folder, Some(self.uid), Some(self.gid))?;
        #[cfg(not(unix))]
        let _ = folder;
        Ok(())
    }
}

fn id(arguments: &[&str]) -> Option<u32> {
    let id = Command::new("id").args(arguments).stderr(Stdio::null()).output().ok()?;
    String::from_utf8(id.stdout).ok()?.trim().parse().ok()
}
