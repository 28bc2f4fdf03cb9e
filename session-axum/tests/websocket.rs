//! A WebSocket keeps the session of the request that began it, and saves it for itself.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::sync::Arc;

use axum::{
    Router,
    extract::ws::{Message, WebSocket, WebSocketUpgrade},
    response::Response,
    routing::get,
};
use session_axum::{Session, SessionError, SessionLayer};
use session_core::{MemoryStore, Options};
use session_testkit::Captured;
use test_support::websocket::talks_and_is_told_what_was_saved;

async fn upgrade(session: Session, upgrade: WebSocketUpgrade) -> Result<Response, SessionError> {
    session.insert("user", "tj")?;
    Ok(upgrade.on_upgrade(|socket| talk(session, socket)))
}

async fn talk(session: Session, mut socket: WebSocket) {
    while let Some(Ok(Message::Text(word))) = socket.recv().await {
        session.insert("word", word.as_str()).unwrap();
        let forgets = word == "forget";
        if !forgets {
            session.save().await.unwrap();
        }
        socket.send(Message::Text(if forgets { "set" } else { "saved" }.into())).await.unwrap();
    }
}

#[tokio::test]
async fn a_websocket_saves_for_itself_or_is_told_that_it_has_not() {
    let log = Captured::begin_for_all_threads();
    let store = Arc::new(MemoryStore::new());
    let layer = SessionLayer::new(Options::new([7; 32]).store(Arc::clone(&store))).unwrap();
    let app = Router::new().route("/talk", get(upgrade)).layer(layer);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, app).await });

    let url = format!("ws://{address}/talk");
    talks_and_is_told_what_was_saved(&url, &store, &log).await;
    server.abort();
}
