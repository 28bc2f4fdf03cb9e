//! Tests that need a server.

/// The URL of a server from this environment variable. Without it the test shall return: a sentence says what was skipped
/// and how to run it.
///
/// # Panics
/// Without the variable when `CI` is set: there, nothing is skipped.
#[must_use]
#[allow(clippy::print_stdout, reason = "a skipped test says so")]
pub fn service_url(variable: &str) -> Option<String> {
    let url = std::env::var(variable).ok().filter(|url| !url.is_empty());
    if url.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{variable} is not set: run `cargo xtask test`");
        println!("skipped: {variable} is not set; `cargo xtask test` starts what it takes");
    }
    url
}
