//! What the compiler says to who forgot something: by a package of its own, which does not compile.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// As who depends on this crate would see it.
fn said_of(code: &str) -> String {
    let core = Path::new(env!("CARGO_MANIFEST_DIR"));
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile_errors");
    fs::create_dir_all(package.join("src")).unwrap();
    let manifest = format!(
        "[package]\nname = \"compile-errors\"\nedition = \"2024\"\n[workspace]\n[dependencies]\nserde = {{ version = \"1\", \
         features = [\"derive\"] }}\nsession-core.path = {core:?}\n"
    );
    fs::write(package.join("Cargo.toml"), manifest).unwrap();
    fs::write(package.join("src/lib.rs"), code).unwrap();
    // The versions that are here already.
    fs::copy(core.join("../Cargo.lock"), package.join("Cargo.lock")).unwrap();
    let checked = Command::new(env!("CARGO"))
        .args(["check", "--offline", "--quiet", "--color=never", "--target-dir"])
        .arg(package.join("target"))
        .current_dir(&package)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(checked.stderr).unwrap();
    assert!(!checked.status.success(), "it compiles: {code}");
    // Lines are broken anywhere.
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_compiler_says_what_to_write() {
    for (code, sentences) in [
        (
            "use session_core::{SessionHandle, TypedHandle};
             #[derive(serde::Serialize, serde::Deserialize)]
             pub struct Cart;
             pub fn cart(session: &SessionHandle) -> TypedHandle<Cart> { session.typed() }",
            [
                "`Cart` does not say where in a session it stands",
                "implement `SessionData` for it, with `const KEY",
            ],
        ),
        (
            "pub fn options() -> session_core::Options { session_core::Options::new(\"k\").store(\"redis://localhost\") }",
            ["` is no session store", "`RedisStore::open(url)?`"],
        ),
    ] {
        let said = said_of(code);
        for sentence in sentences {
            assert!(said.contains(sentence), "{said}");
        }
    }
}
