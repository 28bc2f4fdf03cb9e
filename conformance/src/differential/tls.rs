//! The certificate of servers that end TLS themselves: made anew for each run.

use std::sync::LazyLock;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::{Value, json};

/// What the key `tls` of a configuration stands for.
pub(super) fn certified() -> Result<Value, String> {
    static CERTIFIED: LazyLock<Result<Value, String>> = LazyLock::new(|| {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).map_err(|error| error.to_string())?;
        Ok(json!({ "certificate": cert.pem(), "key": signing_key.serialize_pem() }))
    });
    CERTIFIED.clone()
}
