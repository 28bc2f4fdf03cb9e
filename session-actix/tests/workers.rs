//! The closure that makes an application for each worker: sessions that are made within it are each worker's own. A test file of its own,
//! because the workers' log is the process's.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

#[path = "common/served.rs"]
mod served;

use actix_web::{App, HttpServer, web};
use session_actix::{Session, SessionError, SessionMiddleware};
use session_core::{MemoryStore, Options};
use session_testkit::{Browser, Captured, run};
use test_support::sockets::{Protocol, Socket};

use served::serve;

async fn counts(session: Session) -> Result<String, SessionError> {
    let count = session.get::<u32>("count")?.unwrap_or(0) + 1;
    session.insert("count", count)?;
    Ok(count.to_string())
}

/// Two workers, which connections come to in turns.
fn served(make: impl Fn() -> SessionMiddleware + Clone + Send + 'static) -> Socket {
    serve(Protocol::Http1, move || {
        let app = move || App::new().route("/count", web::get().to(counts)).wrap(make());
        let server = HttpServer::new(app).workers(2).disable_signals().shutdown_timeout(0);
        let server = server.bind("127.0.0.1:0").unwrap();
        (server.addrs()[0], server.run())
    })
}

async fn six_visits(app: &Socket) -> Vec<String> {
    let mut browser = Browser::new();
    let mut answers = Vec::new();
    for _ in 0..6 {
        answers.push(browser.get(app, "/count").await.body);
    }
    answers
}

#[test]
fn workers_that_make_their_own_sessions_are_told() {
    let log = Captured::begin_for_all_threads();
    let told = || log.text().matches("a second default").count();
    run(async {
        let options = || Options::new("keyboard cat");
        let shared = SessionMiddleware::new(options().store(MemoryStore::new())).unwrap();
        let app = served(move || shared.clone());
        assert_eq!(six_visits(&app).await, ["1", "2", "3", "4", "5", "6"]);
        assert_eq!(told(), 0);

        let app = served(move || SessionMiddleware::new(options()).unwrap());
        assert_ne!(six_visits(&app).await, ["1", "2", "3", "4", "5", "6"], "each worker counts for itself");
        assert_eq!(told(), 1, "of two workers the second: {}", log.text());
    });
}
