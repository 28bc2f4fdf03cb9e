//! A client of the adapters' WebSocket tests.

use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use session_core::{AdminStore as _, MemoryStore};
use session_testkit::Captured;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest as _};

/// Talks to a server whose sockets set each word that comes under the key `word`, and answer `saved` when they have saved it; `forget`
/// they do not save, and answer `set`. The cookie of the upgrade is the session's.
pub async fn talks_and_is_told_what_was_saved(url: &str, store: &MemoryStore, log: &Captured) {
    let (mut socket, response) = tokio_tungstenite::connect_async(url).await.unwrap();
    let cookie = response.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    for (word, answer) in [("hello", "saved"), ("world", "saved"), ("forget", "set")] {
        socket.send(Message::text(word)).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap().to_text().unwrap(), answer);
    }
    assert_eq!(log.lines("WARN"), Vec::<String>::new());
    socket.close(None).await.unwrap();
    drop(socket);
    let begun = Instant::now();
    while log.lines("WARN").is_empty() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "the log was to say that the last word is not saved"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(log.text().contains("changes of a session are dropped"), "{}", log.text());
    let mut words = Vec::new();
    store.all(&mut |_, record| words.push(record.data.get("word").map(str::to_owned))).await.unwrap();
    assert_eq!(words, [Some("\"world\"".to_owned())]);

    // Another connection with the cookie of the upgrade is the same session.
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("cookie", cookie.parse().unwrap());
    let (_, response) = tokio_tungstenite::connect_async(request).await.unwrap();
    assert!(response.headers().get("set-cookie").is_none(), "nothing changed: it is the same session");
}
