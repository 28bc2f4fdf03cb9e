//! What the server does in one step where no command does: writing, touching and destroying on the condition of a version, and
//! reading in a cluster. One round trip, one key.

use std::{fmt::Write, sync::LazyLock};

use redis::{Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, cmd};
use session_core::Version;
use sha1::{Digest, Sha1};

use crate::call::Call;

/// Runs a command on the key if the SHA-1 of what is held is the version. So 40 bytes are sent of the old text, not all of
/// it.
const IF_VERSION: &str = "\
local held = redis.pcall('GET', KEYS[1])
if not held then
  return 0
elseif type(held) == 'table' then
  if held.err:find('WRONGTYPE', 1, true) then
    return -1
  end
  return held
elseif redis.sha1hex(held) ~= ARGV[1] then
  return -1
end
local done = redis.pcall(ARGV[2], KEYS[1], unpack(ARGV, 3))
if type(done) ~= 'table' or not done.err then
  return 1
elseif done.err:find('READONLY', 1, true) then
  return redis.error_reply('READONLY it has become a replica')
end
return done
";

/// What is held and what is left of it. `GET` and `PTTL` in a transaction are no command that could be sent after a slot that
/// moves.
const READ: &str = "\
local held = redis.pcall('GET', KEYS[1])
if type(held) ~= 'string' then
  return held
end
return {held, redis.call('PTTL', KEYS[1])}
";

static IF_VERSION_SHA: LazyLock<String> = LazyLock::new(|| sha1_hex(IF_VERSION.as_bytes()));
static READ_SHA: LazyLock<String> = LazyLock::new(|| sha1_hex(READ.as_bytes()));

/// What the script found, and so what it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// What is held is of that version, or any will do: it is done.
    Version,
    /// Something else is held; it stays.
    Other,
    Nothing,
}

/// Runs the command that `then` appends: its name, and its arguments after the key. Sent once: a second attempt would find
/// what the first one left.
pub(crate) async fn if_version(
    call: &Call<'_>,
    key: &str,
    version: &Version,
    then: impl Fn(&mut Cmd),
) -> RedisResult<Found> {
    let command = |name, script: &str| {
        let mut command = cmd(name);
        command.arg(script).arg(1).arg(key).arg(version.text().unwrap_or_default());
        then(&mut command);
        command
    };
    let answer: RedisResult<i64> = match call.send_once(&command("EVALSHA", &IF_VERSION_SHA)).await {
        Err(error) if is_unknown(&error) => call.send_once(&command("EVAL", IF_VERSION)).await,
        answer => answer,
    };
    Ok(match answer? {
        1 => Found::Version,
        0 => Found::Nothing,
        _ => Found::Other,
    })
}

/// The text that is held, and what is left of it in milliseconds, as `PTTL` answers it.
pub(crate) async fn read(call: &Call<'_>, key: &str) -> RedisResult<Option<(Vec<u8>, i64)>> {
    let command = |name, script: &str| {
        let mut command = cmd(name);
        command.arg(script).arg(1).arg(key);
        command
    };
    match call.send(&command("EVALSHA", &READ_SHA)).await {
        Err(error) if is_unknown(&error) => call.send(&command("EVAL", READ)).await,
        answer => answer,
    }
}

/// The server was started since, or its scripts were flushed. `EVAL` makes it remember this one.
fn is_unknown(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

/// The version of a text: its SHA-1, as Redis's scripts can make it. It keeps writers apart, not attackers out.
pub(crate) fn version_of(text: &[u8]) -> Version {
    Version::from_text(sha1_hex(text))
}

fn sha1_hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(40);
    for byte in Sha1::digest(bytes) {
        // Writing to a String cannot fail.
        _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_what_redis_makes_of_the_text() {
        assert_eq!(version_of(b"abc").text(), Some("a9993e364706816aba3e25717850c26c9cd0d89d"));
    }
}
