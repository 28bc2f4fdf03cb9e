//! What a statement compares a version by: a version is the text that is held, and to send all of it would be a copy of each
//! record on the way.

use std::fmt::Write;

use session_core::Version;
use sha2::{Digest, Sha256};

/// As the server computes it of the column: SHA-256 in hexadecimal digits.
pub(crate) fn digest(version: &Version) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(version.text().unwrap_or_default()) {
        // Writing to a String cannot fail.
        _ = write!(hex, "{byte:02x}");
    }
    hex
}
