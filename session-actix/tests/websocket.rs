//! A WebSocket keeps the session of the request that began it, and saves it for itself.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{App, Error, HttpRequest, HttpResponse, HttpServer, rt, web};
use actix_ws::Message;
use futures_util::{SinkExt, StreamExt};
use session_actix::{Session, SessionMiddleware};
use session_core::{AdminStore, MemoryStore, Options};
use session_testkit::Captured;
use tokio_tungstenite::tungstenite::{self, client::IntoClientRequest};

async fn upgrade(session: Session, request: HttpRequest, body: web::Payload) -> Result<HttpResponse, Error> {
    session.insert("user", "tj").map_err(session_actix::SessionError::from)?;
    let (response, mut socket, mut messages) = actix_ws::handle(&request, body)?;
    rt::spawn(async move {
        while let Some(Ok(Message::Text(word))) = messages.next().await {
            session.insert("word", word.to_string()).unwrap();
            let forgets = word == "forget";
            if !forgets {
                session.save().await.unwrap();
            }
            socket.text(if forgets { "set" } else { "saved" }).await.unwrap();
        }
    });
    Ok(response)
}

#[actix_web::test]
async fn a_websocket_saves_for_itself_or_is_told_that_it_has_not() {
    let log = Captured::begin_for_all_threads();
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
    for (word, answer) in [("hello", "saved"), ("world", "saved"), ("forget", "set")] {
        socket.send(tungstenite::Message::text(word)).await.unwrap();
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
        rt::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(log.text().contains("changes of a session are dropped"), "{}", log.text());
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
