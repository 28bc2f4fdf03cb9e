//! One input again, without libFuzzer.

use std::{env, fs, io};

use crate::Target;

/// Runs a target on each of the files that the command line names.
///
/// # Errors
/// A file cannot be read.
pub fn replay(target: Target) -> io::Result<()> {
    env::args_os().skip(1).try_for_each(|file| fs::read(file).map(|data| target(&data)))
}
