//! A WebSocket keeps the session of the request that began it, and saves it for itself.

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value, reason = "helpers of tests")]

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use rocket::{
    Config,
    fairing::AdHoc,
    get, routes,
    tokio::{spawn, sync::oneshot},
};
use rocket_ws::{Channel, Message, WebSocket};
use session_core::{MemoryStore, Options};
use session_rocket::{Session, SessionError, SessionFairing};
use session_testkit::Captured;
use test_support::websocket::talks_and_is_told_what_was_saved;

#[get("/talk")]
fn upgrade(session: Session, socket: WebSocket) -> Result<Channel<'static>, SessionError> {
    session.insert("user", "tj")?;
    Ok(socket.channel(move |mut stream| {
        Box::pin(async move {
            while let Some(Ok(Message::Text(word))) = stream.next().await {
                let forgets = word == "forget";
                session.insert("word", word).unwrap();
                if !forgets {
                    session.save().await.unwrap();
                }
                stream.send(if forgets { "set" } else { "saved" }.into()).await?;
            }
            Ok(())
        })
    }))
}

#[rocket::async_test]
async fn a_websocket_saves_for_itself_or_is_told_that_it_has_not() {
    let log = Captured::begin_for_all_threads();
    let store = Arc::new(MemoryStore::new());
    let sessions = SessionFairing::new(Options::new([7; 32]).store(Arc::clone(&store))).unwrap();
    let config = Config { port: 0, log_level: rocket::config::LogLevel::Off, ..Config::default() };
    let (bound, port) = oneshot::channel();
    let bound = std::sync::Mutex::new(Some(bound));
    let liftoff = AdHoc::on_liftoff("bound", move |rocket| {
        bound.lock().unwrap().take().unwrap().send(rocket.config().port).unwrap();
        Box::pin(async {})
    });
    let app = rocket::custom(config).mount("/", routes![upgrade]).attach(sessions).attach(liftoff);
    let app = app.ignite().await.unwrap();
    let stop = app.shutdown();
    spawn(app.launch());

    let url = format!("ws://127.0.0.1:{}/talk", port.await.unwrap());
    talks_and_is_told_what_was_saved(&url, &store, &log).await;
    stop.notify();
}
