//! A WebSocket keeps the session of the request that began it, and saves it for itself.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::sync::Arc;

use actix_web::{App, Error, HttpRequest, HttpResponse, HttpServer, rt, web};
use actix_ws::Message;
use futures_util::StreamExt;
use session_actix::{Session, SessionMiddleware};
use session_core::{MemoryStore, Options};
use session_testkit::Captured;
use test_support::websocket::talks_and_is_told_what_was_saved;

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
    let sessions = SessionMiddleware::new(Options::new([7; 32]).store(Arc::clone(&store))).unwrap();
    let app = move || App::new().route("/talk", web::get().to(upgrade)).wrap(sessions.clone());
    let server = HttpServer::new(app).workers(1).bind("127.0.0.1:0").unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    rt::spawn(server);

    let url = format!("ws://{address}/talk");
    talks_and_is_told_what_was_saved(&url, &store, &log).await;
    handle.stop(false).await;
}
