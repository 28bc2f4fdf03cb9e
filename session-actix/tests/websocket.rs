//! A WebSocket keeps the session of the request that began it, and saves it for itself.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::sync::Arc;

use actix_web::{App, Error, HttpRequest, HttpResponse, HttpServer, rt, web};
use actix_ws::Message;
use futures_util::{SinkExt, StreamExt};
use session_actix::{Session, SessionMiddleware};
use session_core::{AdminStore, MemoryStore, Options};
use tokio_tungstenite::tungstenite::{self, client::IntoClientRequest};

async fn upgrade(session: Session, request: HttpRequest, body: web::Payload) -> Result<HttpResponse, Error> {
    session.insert("user", "tj").map_err(session_actix::SessionError::from)?;
    let (response, mut socket, mut messages) = actix_ws::handle(&request, body)?;
    rt::spawn(async move {
        while let Some(Ok(Message::Text(word))) = messages.next().await {
            session.insert("word", word.to_string()).unwrap();
            session.save().await.unwrap();
            socket.text("saved").await.unwrap();
        }
    });
    Ok(response)
}

#[actix_web::test]
async fn a_websocket_saves_for_itself() {
    let store = Arc::new(MemoryStore::new());
    let sessions = SessionMiddleware::new(Options::new("keyboard cat").store(Arc::clone(&store))).unwrap();
    let app = move || App::new().route("/talk", web::get().to(upgrade)).wrap(sessions.clone());
    let server = HttpServer::new(app).workers(1).bind("127.0.0.1:0").unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    rt::spawn(server);

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
    handle.stop(false).await;
}
