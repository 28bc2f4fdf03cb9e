//! The conditional write: one round trip, one key.

use std::{fmt::Write, sync::LazyLock};

use redis::{ErrorKind, RedisResult, ServerErrorKind, cmd};
use session_core::Version;
use sha1::{Digest, Sha1};

use crate::{call::Call, options::Hold};

/// Writes or deletes, if the SHA-1 of what is held is the version. So 40 bytes are sent of the old text, not all of it.
const SET_IF: &str = "\
local held = redis.call('GET', KEYS[1])
if not held or redis.sha1hex(held) ~= ARGV[1] then
  return 0
end
if ARGV[2] then
  redis.call('SET', KEYS[1], unpack(ARGV, 2))
else
  redis.call('DEL', KEYS[1])
end
return 1
";

static SET_IF_SHA: LazyLock<String> = LazyLock::new(|| sha1_hex(SET_IF.as_bytes()));

pub(crate) async fn set_if(
    call: &Call<'_>,
    key: &str,
    version: &Version,
    text: &str,
    hold: Hold,
) -> RedisResult<bool> {
    let command = |name, script: &str| {
        let mut command = cmd(name);
        command.arg(script).arg(1).arg(key).arg(version.text());
        match hold {
            Hold::Over => &mut command,
            Hold::Seconds(seconds) => command.arg(text).arg("EX").arg(seconds),
            Hold::ForEver => command.arg(text),
        };
        command
    };
    match call.send_once(&command("EVALSHA", &SET_IF_SHA)).await {
        // The server was started since, or its scripts were flushed. EVAL makes it remember this one.
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
            call.send_once(&command("EVAL", SET_IF)).await
        }
        written => written,
    }
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
