//! The closure that makes an application for each worker: sessions that are made within it are each worker's own. A test file of its own,
//! because the workers' log is the process's.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::sync::{Arc, Mutex, mpsc};

use actix_web::{App, HttpServer, rt::System, web};
use session_actix::{Session, SessionError, SessionMiddleware};
use session_core::Options;
use session_testkit::{Browser, run};
use test_support::sockets::{Protocol, Socket};

async fn counts(session: Session) -> Result<String, SessionError> {
    let count = session.get::<u32>("count")?.unwrap_or(0) + 1;
    session.insert("count", count)?;
    Ok(count.to_string())
}

fn middleware() -> SessionMiddleware {
    SessionMiddleware::new(Options::new("keyboard cat")).unwrap()
}

/// Two workers, which connections come to in turns.
fn served(make: impl Fn() -> SessionMiddleware + Clone + Send + 'static) -> Socket {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        System::new().block_on(async move {
            let app = move || App::new().route("/count", web::get().to(counts)).wrap(make());
            let server = HttpServer::new(app).workers(2).disable_signals().shutdown_timeout(0);
            let server = server.bind("127.0.0.1:0").unwrap();
            let address = server.addrs()[0];
            let server = server.run();
            send.send((address, server.handle())).unwrap();
            server.await.unwrap();
        });
    });
    let (address, handle) = receive.recv().unwrap();
    let stop = move || _ = futures_util::FutureExt::now_or_never(handle.stop(false));
    Socket::new(address, Protocol::Http1, stop)
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
    let log = Arc::new(Mutex::new(Vec::new()));
    let written = Arc::clone(&log);
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || Written(Arc::clone(&written)))
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let told = || String::from_utf8(log.lock().unwrap().clone()).unwrap().matches("a second default").count();

    run(async {
        let shared = middleware();
        let app = served(move || shared.clone());
        assert_eq!(six_visits(&app).await, ["1", "2", "3", "4", "5", "6"]);
        assert_eq!(told(), 0);

        let app = served(middleware);
        assert_ne!(six_visits(&app).await, ["1", "2", "3", "4", "5", "6"], "each worker counts for itself");
        assert!(told() >= 1, "{}", String::from_utf8_lossy(&log.lock().unwrap()));
    });
}

struct Written(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
