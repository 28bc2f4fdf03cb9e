//! What who depends on this crate is told: by the compiler, where something was forgotten, and by a release build. Packages of their own
//! are compiled for it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

struct Package(PathBuf);

impl Package {
    fn new(name: &str) -> Self {
        let core = Path::new(env!("CARGO_MANIFEST_DIR"));
        let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(package.join("src")).unwrap();
        let manifest = format!(
            "package = {{ name = {name:?}, edition = \"2024\" }}\nworkspace = {{}}\nprofile.dev.debug-assertions = false\n\
             [dependencies]\nserde = {{ version = \"1\", features = [\"derive\"] }}\nsession-core.path = {core:?}\n\
             tracing-subscriber = {{ version = \"0.3\", default-features = false, features = [\"fmt\"] }}\n"
        );
        fs::write(package.join("Cargo.toml"), manifest).unwrap();
        // The versions that are here already.
        fs::copy(core.join("../Cargo.lock"), package.join("Cargo.lock")).unwrap();
        Self(package)
    }

    fn cargo(&self, command: &str, code: &str) -> Output {
        fs::write(self.0.join("src/main.rs"), code).unwrap();
        Command::new(env!("CARGO"))
            .args([command, "--offline", "--quiet", "--color=never", "--target-dir"])
            .arg(self.0.join("target"))
            .current_dir(&self.0)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }
}

#[test]
fn the_compiler_says_what_to_write() {
    let package = Package::new("forgetful");
    for (code, sentences) in [
        (
            "use session_core::{SessionHandle, TypedHandle};
             #[derive(serde::Serialize, serde::Deserialize)]
             struct Cart;
             fn cart(session: &SessionHandle) -> TypedHandle<Cart> { session.typed() }
             fn main() {}",
            [
                "`Cart` does not say where in a session it stands",
                "implement `SessionData` for it, with `const KEY",
            ],
        ),
        (
            "fn main() { session_core::Options::new(\"k\").store(\"redis://localhost\"); }",
            ["` is no session store", "`RedisStore::open(url)?`"],
        ),
    ] {
        let checked = package.cargo("check", code);
        assert!(!checked.status.success(), "it compiles: {code}");
        let said = String::from_utf8(checked.stderr).unwrap();
        // Lines are broken anywhere.
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        for sentence in sentences {
            assert!(said.contains(sentence), "{said}");
        }
    }
}

/// Express' memory store says so where `NODE_ENV` is `production`.
#[test]
fn a_release_build_warns_of_the_store_that_nobody_chose() {
    let code = "fn main() {
        tracing_subscriber::fmt().with_ansi(false).init();
        let chosen = session_core::Options::new([7; 32]).store(session_core::MemoryStore::new());
        chosen.build().unwrap();
        println!(\"and now\");
        session_core::Options::new([7; 32]).build().unwrap();
    }";
    let ran = Package::new("released").cargo("run", code);
    let said = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let (before, after) = said.split_once("and now").unwrap();
    assert!(
        !before.contains("WARN") && after.matches("choose a store for production").count() == 1,
        "{said}"
    );
}
