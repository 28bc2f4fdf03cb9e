//! What stands above and below the middleware, and bodies of every kind. On real sockets, because a handler that panics takes its
//! connection along.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

#[path = "common/served.rs"]
mod served;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use actix_web::{
    App, HttpResponse, HttpServer,
    body::MessageBody,
    dev::{Service as _, ServiceRequest, ServiceResponse},
    error::ErrorRequestTimeout,
    http::StatusCode,
    middleware::{Compress, Condition, DefaultHeaders, Next, from_fn},
    test as server,
    web::{self, Bytes},
};
use futures_util::{StreamExt as _, stream};
use session_actix::{Session, SessionError, SessionMiddleware};
use session_core::{MemoryStore, OnDisconnect, Options, Sid, Store};
use session_testkit::{Browser, Captured, run};
use test_support::sockets::Protocol;
use tokio::sync::Semaphore;

fn options(store: &Arc<MemoryStore>) -> Options {
    Options::new("keyboard cat").store(Arc::clone(store))
}

fn middleware(options: Options) -> SessionMiddleware {
    SessionMiddleware::new(options).unwrap()
}

async fn counts(session: Session) -> Result<String, SessionError> {
    let n = session.get::<u32>("n")?.unwrap_or(0) + 1;
    session.insert("n", n)?;
    Ok(n.to_string().repeat(1_000))
}

async fn held(store: &MemoryStore, sid: &Sid, key: &str) -> Option<String> {
    store.get(sid).await.unwrap().unwrap().record.data.get(key).map(Into::into)
}

#[test]
fn compression_and_headers_may_be_above_and_below() {
    run(async {
        let store = Arc::new(MemoryStore::new());
        let headers = || DefaultHeaders::new().add(("x-a", "1"));
        let request =
            || server::TestRequest::default().insert_header(("accept-encoding", "gzip")).to_request();
        let below = App::new().route("/", web::get().to(counts)).wrap(Compress::default()).wrap(headers());
        let below = server::init_service(below.wrap(middleware(options(&store)))).await;
        let above = App::new().route("/", web::get().to(counts)).wrap(middleware(options(&store)));
        let above = server::init_service(above.wrap(Compress::default()).wrap(headers())).await;
        let responses = [
            below.call(request()).await.unwrap().map_into_boxed_body(),
            above.call(request()).await.unwrap().map_into_boxed_body(),
        ];
        for response in responses {
            assert_eq!(response.headers().get("content-encoding").unwrap(), "gzip");
            assert_eq!(response.headers().get("x-a").unwrap(), "1");
            assert!(response.headers().contains_key("set-cookie"));
            assert!(server::read_body(response).await.starts_with(&[0x1f, 0x8b]));
        }
    });
}

/// The connection is closed, and no other request harmed. What was acknowledged is kept; nobody goes on with the handler.
/// Below the session's middleware a default is there before it, and above it finds what caches were told.
#[test]
fn headers_by_default_go_below() {
    run(async {
        let store = Arc::new(MemoryStore::new());
        let default = || DefaultHeaders::new().add(("cache-control", "no-store"));
        let app = || App::new().route("/", web::get().to(counts));
        let below = server::init_service(app().wrap(default()).wrap(middleware(options(&store)))).await;
        let above = server::init_service(app().wrap(middleware(options(&store))).wrap(default())).await;
        let request = || server::TestRequest::default().to_request();
        let responses = [
            (below.call(request()).await.unwrap().map_into_boxed_body(), "no-store"),
            (above.call(request()).await.unwrap().map_into_boxed_body(), "private, no-cache=\"Set-Cookie\""),
        ];
        for (response, told) in responses {
            assert!(response.headers().contains_key("set-cookie"));
            assert_eq!(response.headers().get_all("cache-control").collect::<Vec<_>>(), [told]);
            assert_eq!(response.headers().get("vary").unwrap(), "Cookie");
        }
    });
}

#[test]
fn a_panic_drops_what_was_not_acknowledged() {
    run(async {
        for policy in [OnDisconnect::Finish, OnDisconnect::Cancel] {
            let store = Arc::new(MemoryStore::new());
            let sessions = middleware(options(&store).on_disconnect(policy));
            let app = served::serve(Protocol::Http1, move || {
                let app = move || {
                    let panics = async |session: Session| {
                        session.update("sum", |sum: Option<u32>| sum.unwrap_or(0) + 1).await.unwrap();
                        session.insert("before", true).unwrap();
                        panic!("a mistake");
                        #[expect(unreachable_code, reason = "it says what the handler answers")]
                        ""
                    };
                    let id = async |session: Session| session.id().unwrap().as_str().to_owned();
                    App::new()
                        .route("/count", web::get().to(counts))
                        .route("/id", web::get().to(id))
                        .route("/panics", web::get().to(panics))
                        .wrap(sessions.clone())
                };
                let server = HttpServer::new(app).workers(1).disable_signals().shutdown_timeout(0);
                let server = server.bind("127.0.0.1:0").unwrap();
                (server.addrs()[0], server.run())
            });
            let mut browser = Browser::new();
            browser.get(&app, "/count").await;
            let sid = Sid::from(browser.get(&app, "/id").await.body);
            let closed = app.answer(browser.request("/panics")).await.unwrap_err();
            assert!(closed.is_incomplete_message(), "{closed}");
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert_eq!(browser.get(&app, "/count").await.status, 200);
            let held = async |key| held(&store, &sid, key).await;
            assert_eq!(
                (held("sum").await.as_deref(), held("before").await, held("n").await.as_deref()),
                (Some("1"), None, Some("2"))
            );
        }
    });
}

/// Gives up after a moment, as middleware of actix-web does: with an error.
async fn time_out(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let answer = tokio::time::timeout(Duration::from_millis(50), next.call(request)).await;
    answer.unwrap_or_else(|_| Err(ErrorRequestTimeout("")))
}

/// Below, the session is saved as far as the handler came; above, it is as when the client has gone.
#[test]
fn a_time_out_below_ends_the_handler_and_one_above_is_as_a_client_that_has_gone() {
    run(async {
        for (is_below, policy) in [
            (true, OnDisconnect::Finish),
            (true, OnDisconnect::Cancel),
            (false, OnDisconnect::Finish),
            (false, OnDisconnect::Cancel),
        ] {
            let (store, gate) = (Arc::new(MemoryStore::new()), Arc::new(Semaphore::new(0)));
            let opened = Arc::clone(&gate);
            let slow = move |session: Session| {
                let opened = Arc::clone(&opened);
                async move {
                    session.update("sum", |sum: Option<u32>| sum.unwrap_or(0) + 1).await?;
                    session.insert("before", true)?;
                    drop(opened.acquire().await);
                    session.insert("after", true)?;
                    Ok::<_, SessionError>("done")
                }
            };
            let id = async |session: Session| {
                session.insert("n", 0)?;
                Ok::<_, SessionError>(session.id().unwrap().as_str().to_owned())
            };
            let sessions = || middleware(options(&store).on_disconnect(policy));
            let routes = App::new().route("/id", web::get().to(id)).route("/slow", web::get().to(slow));
            let app = routes
                .wrap(Condition::new(is_below, from_fn(time_out)))
                .wrap(sessions())
                .wrap(Condition::new(!is_below, from_fn(time_out)));
            let app = server::init_service(app).await;
            let sent = actix_web::rt::spawn(async move {
                let response = app.call(server::TestRequest::with_uri("/id").to_request()).await.unwrap();
                let cookie = response.headers().get("set-cookie").unwrap().clone();
                let sid = String::from_utf8(server::read_body(response).await.into()).unwrap();
                let slow = server::TestRequest::with_uri("/slow").insert_header(("cookie", cookie));
                let answer = app.call(slow.to_request()).await;
                let answer = answer.map_or_else(
                    |error| error.error_response(),
                    |answer| answer.into_parts().1.map_into_boxed_body(),
                );
                (answer.status(), Sid::from(sid))
            });
            let (status, sid) = sent.await.unwrap();
            assert_eq!(status, StatusCode::REQUEST_TIMEOUT);
            let held = async |key| held(&store, &sid, key).await;
            assert_eq!(held("sum").await.as_deref(), Some("1"), "it was acknowledged");
            assert_eq!(held("before").await.is_some(), is_below);
            gate.add_permits(1);
            let finishes = !is_below && policy == OnDisconnect::Finish;
            let begun = Instant::now();
            while finishes && held("after").await.is_none() {
                assert!(begun.elapsed() < Duration::from_secs(20), "the handler was to finish");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(held("after").await.is_some(), finishes);
            assert_eq!(gate.available_permits(), 1, "nobody is there any more");
        }
    });
}

/// Many megabytes go through piece by piece; and what is set meanwhile is saved by those who say so.
#[test]
fn a_body_is_streamed_and_what_changes_meanwhile_is_saved_explicitly() {
    const PIECES: usize = 512;
    run(async {
        for saves in [true, false] {
            let (store, made) = (Arc::new(MemoryStore::new()), Arc::new(AtomicUsize::new(0)));
            let making = Arc::clone(&made);
            let streams = move |session: Session| {
                let making = Arc::clone(&making);
                async move {
                    session.insert("n", 1)?;
                    let last = stream::once(async move {
                        session.insert("sent", true).unwrap();
                        if saves {
                            session.save().await.unwrap();
                        }
                        Ok::<_, actix_web::Error>(Bytes::new())
                    });
                    let pieces = stream::iter(0..PIECES).map(move |_| {
                        making.fetch_add(1, Ordering::SeqCst);
                        Ok(Bytes::from(vec![7; 64 << 10]))
                    });
                    Ok::<_, SessionError>(HttpResponse::Ok().streaming(pieces.chain(last)))
                }
            };
            let app = App::new().route("/", web::get().to(streams)).wrap(middleware(options(&store)));
            let app = server::init_service(app).await;
            let log = Captured::begin();
            let response = app.call(server::TestRequest::default().to_request()).await.unwrap();
            assert!(response.headers().contains_key("set-cookie"));
            assert_eq!(made.load(Ordering::SeqCst), 0, "the head goes out before the body is made");
            assert_eq!(server::read_body(response).await.len(), PIECES << 16);
            assert_eq!(log.lines("WARN").len(), usize::from(!saves), "{}", log.text());
        }
    });
}
