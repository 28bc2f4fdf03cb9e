//! A WebSocket keeps the session of the request that began it, and saves it for itself.

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value, reason = "helpers of tests")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use rocket::{
    Config,
    fairing::AdHoc,
    get, routes,
    tokio::{spawn, sync::oneshot, time::sleep},
};
use rocket_ws::{Channel, Message, WebSocket};
use session_core::{AdminStore, MemoryStore, Options};
use session_rocket::{Session, SessionError, SessionFairing};
use session_testkit::Captured;
use tokio_tungstenite::tungstenite::{self, client::IntoClientRequest};

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
    let sessions = SessionFairing::new(Options::new("keyboard cat").store(Arc::clone(&store))).unwrap();
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
        sleep(Duration::from_millis(1)).await;
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
    stop.notify();
}
