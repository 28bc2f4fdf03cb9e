//! What a probe serves, and for how long: the configuration of the environment until it is stopped, or one after the other.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    io::{self, Write},
    pin::Pin,
    sync::Arc,
};

use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::{config::Config, gates};

/// One configuration that is being served.
pub struct Serving {
    scheme: &'static str,
    port: u16,
    end: Pin<Box<dyn Future<Output = io::Result<()>>>>,
    stop: Box<dyn FnOnce()>,
}

impl Serving {
    /// The port is bound; `end` is over when the server is, and `stop` makes it so.
    pub fn new(
        port: u16,
        end: impl Future<Output = io::Result<()>> + 'static,
        stop: impl FnOnce() + 'static,
    ) -> Self {
        Self { scheme: "http", port, end: Box::pin(end), stop: Box::new(stop) }
    }

    /// Over TLS, if the configuration says so.
    #[must_use]
    pub fn with_tls(self, tls: bool) -> Self {
        Self { scheme: if tls { "https" } else { "http" }, ..self }
    }

    fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Serving").field(&self.port).finish()
    }
}

/// Serves what `PROBE_CONFIG` says. One that cannot be honoured ends the process with exit status 2.
///
/// With `--many` it serves one configuration after the other: each line of standard input is one, answered by `listening URL` or
/// `refused REASON`; a line `close URL` ends it, and is answered by `closed`. The end of the input ends the process. A line
/// `gate NAME` asks whether a handler waits there (`waiting`, `nobody`), and `open NAME` lets it go on (`opened`).
///
/// # Errors
/// The server cannot run.
pub async fn run<F: Future<Output = io::Result<Serving>>>(
    serve: impl Fn(Arc<Config>) -> F,
) -> io::Result<()> {
    if std::env::args().any(|argument| argument == "--many") {
        return many(serve).await;
    }
    let text = std::env::var("PROBE_CONFIG").unwrap_or_else(|_| "{}".into());
    fn refused(reason: &dyn fmt::Display) -> ! {
        _ = writeln!(io::stderr(), "{reason}");
        std::process::exit(2)
    }
    let config = Config::parse(&text).await.unwrap_or_else(|refusal| refused(&refusal));
    match serve(Arc::new(config)).await {
        Ok(serving) => {
            say(&format!("listening {}", serving.url()));
            serving.end.await
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => refused(&error),
        Err(error) => Err(error),
    }
}

async fn many<F: Future<Output = io::Result<Serving>>>(serve: impl Fn(Arc<Config>) -> F) -> io::Result<()> {
    let mut running = HashMap::new();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        if let Some(url) = line.strip_prefix("close ") {
            if let Some(Serving { stop, end, .. }) = running.remove(url) {
                stop();
                end.await?;
            }
            say("closed");
            continue;
        }
        if let Some(gate) = line.strip_prefix("gate ") {
            say(if gates::is_waited_at(gate) { "waiting" } else { "nobody" });
            continue;
        }
        if let Some(gate) = line.strip_prefix("open ") {
            gates::open(gate);
            say("opened");
            continue;
        }
        let served = match Config::parse(&line).await {
            Ok(config) => serve(Arc::new(config)).await.map_err(|error| error.to_string()),
            Err(refusal) => Err(refusal.to_string()),
        };
        match served {
            Ok(serving) => {
                say(&format!("listening {}", serving.url()));
                running.insert(serving.url(), serving);
            }
            Err(reason) => say(&format!("refused {}", reason.replace('\n', " "))),
        }
    }
    // Servers that are still running hold nothing that must be kept.
    std::process::exit(0)
}

fn say(line: &str) {
    let mut out = io::stdout();
    _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
