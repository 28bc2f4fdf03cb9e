//! A WebSocket keeps the session of the request that began it, and saves it for itself.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::sync::Arc;

use axum::{
    Router,
    extract::ws::{Message, WebSocket, WebSocketUpgrade},
    response::Response,
    routing::get,
};
use futures_util::{SinkExt, StreamExt};
use session_axum::{Session, SessionError, SessionLayer};
use session_core::{AdminStore, MemoryStore, Options};
use tokio_tungstenite::tungstenite::{self, client::IntoClientRequest};

async fn upgrade(session: Session, upgrade: WebSocketUpgrade) -> Result<Response, SessionError> {
    session.insert("user", "tj")?;
    Ok(upgrade.on_upgrade(|socket| talk(session, socket)))
}

async fn talk(session: Session, mut socket: WebSocket) {
    while let Some(Ok(Message::Text(word))) = socket.recv().await {
        session.insert("word", word.as_str()).unwrap();
        session.save().await.unwrap();
        socket.send(Message::Text("saved".into())).await.unwrap();
    }
}

#[tokio::test]
async fn a_websocket_saves_for_itself() {
    let store = Arc::new(MemoryStore::new());
    let layer = SessionLayer::new(Options::new("keyboard cat").store(Arc::clone(&store))).unwrap();
    let app = Router::new().route("/talk", get(upgrade)).layer(layer);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, app).await });

    let url = format!("ws://{address}/talk");
    let (mut socket, response) = tokio_tungstenite::connect_async(&url).await.unwrap();
    let cookie = response.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    for word in ["hello", "world"] {
        socket.send(tungstenite::Message::text(word)).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap().to_text().unwrap(), "saved");
    }
    let mut words = Vec::new();
    store.all(&mut |_, record| words.push(record.data.get("word").map(str::to_owned))).await.unwrap();
    assert_eq!(words, [Some("\"world\"".to_owned())]);

    // Another connection with the cookie of the upgrade is the same session.
    let mut request = url.as_str().into_client_request().unwrap();
    request.headers_mut().insert("cookie", cookie.parse().unwrap());
    let (_, response) = tokio_tungstenite::connect_async(request).await.unwrap();
    assert!(response.headers().get("set-cookie").is_none(), "nothing changed: it is the same session");
    server.abort();
}
