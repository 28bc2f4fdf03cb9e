//! One HTTP exchange. Header values are bytes on the way out: bad cookies need not be UTF-8.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring::default_provider;
use ureq::Agent;
use ureq::http::{HeaderMap, Request};
use ureq::tls::TlsConfig;

const PATIENCE: Duration = Duration::from_secs(60);

/// An answer as it came.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

pub(super) fn agent() -> Agent {
    // The certificate is the runner's own, of this run.
    let tls = TlsConfig::builder()
        .disable_verification(true)
        .unversioned_rustls_crypto_provider(Arc::new(default_provider()))
        .build();
    Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(PATIENCE))
        .build()
        .into()
}

pub(super) fn exchange(
    agent: &Agent,
    method: &str,
    url: &str,
    headers: &[(&str, Vec<u8>)],
) -> Result<Reply, ureq::Error> {
    let mut request = Request::builder().method(method).uri(url);
    if matches!(method, "PATCH" | "POST" | "PUT") {
        // Else the end of a chunked body goes out by itself, and a server that has answered by then closes the connection.
        request = request.header("content-length", "0");
    }
    for (name, value) in headers {
        request = request.header(*name, value.as_slice());
    }
    let mut response = agent.run(request.body(())?)?;
    let body = response.body_mut().read_to_vec()?;
    Ok(Reply {
        status: response.status().as_u16(),
        headers: std::mem::take(response.headers_mut()),
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}
