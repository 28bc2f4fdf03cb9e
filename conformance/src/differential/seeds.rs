//! Under which seeds a test runs.

use std::env;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

/// The fixed seed and, unless it was chosen by hand, today's.
pub(super) struct Seeds {
    fixed: u64,
    configs: usize,
    dated: Option<u64>,
}

impl Seeds {
    /// What the environment says (`SEEDS=fixed`: not today's), or these.
    pub(super) fn from_env(fixed: u64, configs: usize) -> Result<Self, String> {
        let chosen = setting("DIFFERENTIAL_SEED")?;
        let configs = setting("DIFFERENTIAL_CONFIGS")?.unwrap_or(configs);
        let dated = match env::var("SEEDS").as_deref() {
            Ok("fixed") => None,
            Ok(other) if !other.is_empty() => return Err(format!("SEEDS is fixed or nothing: {other:?}")),
            _ => chosen.is_none().then(of_today),
        };
        Ok(Self { fixed: chosen.unwrap_or(fixed), configs, dated })
    }

    /// Each seed, and how many configurations from it on.
    pub(super) fn runs(&self) -> impl Iterator<Item = (u64, usize)> {
        let dated = self.dated.map(|seed| (seed, self.configs.div_ceil(10)));
        std::iter::once((self.fixed, self.configs)).chain(dated)
    }
}

fn setting<T: FromStr>(variable: &str) -> Result<Option<T>, String> {
    let Ok(text) = env::var(variable) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| format!("{variable} is not a number: {text:?}"))
}

/// The days since 1970 with room for the configurations of one day.
fn of_today() -> u64 {
    const DAY: u64 = 86_400; // s
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    seconds / DAY * 1_000_000_000
}
