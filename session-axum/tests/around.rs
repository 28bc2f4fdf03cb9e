//! What stands above and below the layer: time-outs, panics, compression, load shedding; and bodies of every kind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    BoxError, Router,
    body::{Body, Bytes},
    error_handling::HandleErrorLayer,
    http::{self, HeaderMap, HeaderValue, Method, Request, StatusCode},
    response::{IntoResponse, Response, Sse, sse::Event},
    routing::{any, get},
};
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use session_axum::{Session, SessionError, SessionLayer};
use session_core::{MemoryStore, OnDisconnect, Options, Sid, Store};
use session_testkit::Captured;
use tokio::sync::Semaphore;
use tower::{ServiceBuilder, ServiceExt};
use tower_http::{
    catch_panic::CatchPanicLayer, compression::CompressionLayer, set_header::SetResponseHeaderLayer,
    timeout::TimeoutLayer,
};

fn options(store: &Arc<MemoryStore>) -> Options {
    Options::new("keyboard cat").store(Arc::clone(store))
}

fn layer(options: Options) -> SessionLayer {
    SessionLayer::new(options).unwrap()
}

/// A visitor who has a session already.
struct Visitor {
    sid: Sid,
    cookie: String,
}

async fn visitor(options: &Options) -> Visitor {
    let app = Router::new()
        .route("/", get(async |session: Session| session.insert("n", 0).map_err(SessionError::from)))
        .layer(layer(options.clone()));
    let response = app.oneshot(Request::new(Body::empty())).await.unwrap();
    let cookie = cookie_of(&response).unwrap().split(';').next().unwrap().to_owned();
    let sid = cookie.split("%3A").nth(1).unwrap().split('.').next().unwrap();
    Visitor { sid: sid.into(), cookie }
}

fn cookie_of<B>(response: &Response<B>) -> Option<&str> {
    response.headers().get("set-cookie").map(|value| value.to_str().unwrap())
}

impl Visitor {
    async fn send(&self, app: Router, method: Method) -> Response {
        let request = Request::builder().method(method).header("cookie", &self.cookie);
        app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    async fn get(&self, app: Router) -> Response {
        self.send(app, Method::GET).await
    }

    async fn held(&self, store: &MemoryStore, key: &str) -> Option<String> {
        store.get(&self.sid).await.unwrap().unwrap().record.data.get(key).map(Into::into)
    }
}

/// Acknowledged, then set; then it waits, and sets more.
fn slow(gate: &Arc<Semaphore>) -> Router {
    let gate = Arc::clone(gate);
    let handler = async move |session: Session| {
        session.update("sum", |sum: Option<u32>| sum.unwrap_or(0) + 1).await?;
        session.insert("before", true)?;
        drop(gate.acquire().await);
        session.insert("after", true)?;
        Ok::<_, SessionError>("done")
    };
    Router::new().route("/", get(handler))
}

fn time_out() -> TimeoutLayer {
    TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, Duration::from_millis(50))
}

/// The time-out below has an answer, as any other: the session is saved as far as the handler came.
#[tokio::test]
async fn a_time_out_below_ends_the_handler_and_its_session_is_saved() {
    for policy in [OnDisconnect::Finish, OnDisconnect::Cancel] {
        let store = Arc::new(MemoryStore::new());
        let options = options(&store).on_disconnect(policy);
        let visitor = visitor(&options).await;
        let app = slow(&Arc::new(Semaphore::new(0))).layer(time_out()).layer(layer(options));
        assert_eq!(visitor.get(app).await.status(), 408);
        let held = async |key| visitor.held(&store, key).await;
        assert_eq!(
            (held("sum").await, held("before").await, held("after").await),
            (Some("1".into()), Some("true".into()), None)
        );
    }
}

/// The time-out above gives up the request: as when the client has gone.
#[tokio::test]
async fn a_time_out_above_is_as_a_client_that_has_gone() {
    for policy in [OnDisconnect::Finish, OnDisconnect::Cancel] {
        let (store, gate) = (Arc::new(MemoryStore::new()), Arc::new(Semaphore::new(0)));
        let options = options(&store).on_disconnect(policy);
        let visitor = visitor(&options).await;
        let app = slow(&gate).layer(layer(options)).layer(time_out());
        assert_eq!(visitor.get(app).await.status(), 408);
        gate.add_permits(1);
        if policy == OnDisconnect::Finish {
            let begun = Instant::now();
            while visitor.held(&store, "after").await.is_none() {
                assert!(begun.elapsed() < Duration::from_secs(20), "the handler was to finish");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert!(visitor.held(&store, "before").await.is_some());
        } else {
            assert_eq!(visitor.held(&store, "before").await, None);
            assert_eq!(gate.available_permits(), 1, "nobody is there any more");
        }
        assert_eq!(visitor.held(&store, "sum").await.as_deref(), Some("1"), "it was acknowledged");
    }
}

fn panics() -> Router {
    let handler = async |session: Session| {
        session.update("sum", |sum: Option<u32>| sum.unwrap_or(0) + 1).await.unwrap();
        session.insert("before", true).unwrap();
        panic!("a mistake");
        #[expect(unreachable_code, reason = "it says what the handler answers")]
        "done"
    };
    Router::new().route("/", get(handler))
}

/// What catches below makes an answer of it.
#[tokio::test]
async fn a_panic_that_is_caught_below_is_an_answer() {
    let store = Arc::new(MemoryStore::new());
    let visitor = visitor(&options(&store)).await;
    let app = panics().layer(CatchPanicLayer::new()).layer(layer(options(&store)));
    assert_eq!(visitor.get(app).await.status(), 500);
    assert!(visitor.held(&store, "before").await.is_some() && visitor.held(&store, "sum").await.is_some());
}

/// What catches above finds a handler that is no more: nobody goes on with it, and the log says that changes are dropped.
#[tokio::test]
async fn a_panic_that_is_caught_above_drops_what_was_not_acknowledged() {
    for options_of in [
        |store: &Arc<MemoryStore>| options(store).on_disconnect(OnDisconnect::Finish),
        |store: &Arc<MemoryStore>| options(store),
        |store: &Arc<MemoryStore>| Options::express("keyboard cat").name("sid").store(Arc::clone(store)),
    ] {
        let store = Arc::new(MemoryStore::new());
        let visitor = visitor(&options_of(&store)).await;
        let app = panics().layer(layer(options_of(&store))).layer(CatchPanicLayer::new());
        let log = Captured::begin();
        assert_eq!(visitor.get(app).await.status(), 500);
        tokio::time::sleep(Duration::from_millis(20)).await;
        let told = log.lines("WARN");
        assert!(told.len() == 1 && told[0].contains("changes of a session are dropped"), "{}", log.text());
        assert_eq!(
            (visitor.held(&store, "sum").await.as_deref(), visitor.held(&store, "before").await),
            (Some("1"), None)
        );
    }
}

fn counts() -> Router {
    let handler = async |session: Session| {
        let n = session.get::<u32>("n")?.unwrap_or(0) + 1;
        session.insert("n", n)?;
        Ok::<_, SessionError>(n.to_string().repeat(1_000))
    };
    Router::new().route("/", any(handler))
}

#[tokio::test]
async fn compression_may_be_above_and_below() {
    let store = Arc::new(MemoryStore::new());
    let visitor = visitor(&options(&store)).await;
    let below = counts().layer(CompressionLayer::new()).layer(layer(options(&store).rolling(true)));
    let above = counts().layer(layer(options(&store).rolling(true))).layer(CompressionLayer::new());
    for (app, n) in [(below, "1"), (above, "2")] {
        let request = Request::builder().header("cookie", &visitor.cookie).header("accept-encoding", "gzip");
        let response = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.headers()["content-encoding"], "gzip");
        assert!(cookie_of(&response).is_some());
        assert!(response.into_body().collect().await.unwrap().to_bytes().starts_with(&[0x1f, 0x8b]));
        assert_eq!(visitor.held(&store, "n").await.as_deref(), Some(n));
    }
}

/// Below the session's layer a default is there before it, and above it finds what caches were told.
#[tokio::test]
async fn headers_by_default_go_below() {
    let store = Arc::new(MemoryStore::new());
    let default = || {
        let no_store = HeaderValue::from_static("no-store");
        SetResponseHeaderLayer::if_not_present(http::header::CACHE_CONTROL, no_store)
    };
    let below = counts().layer(default()).layer(layer(options(&store)));
    let above = counts().layer(layer(options(&store))).layer(default());
    for (app, told) in [(below, "no-store"), (above, "private, no-cache=\"Set-Cookie\"")] {
        let response = app.oneshot(Request::new(Body::empty())).await.unwrap();
        assert!(cookie_of(&response).is_some());
        assert_eq!(response.headers().get_all("cache-control").iter().collect::<Vec<_>>(), [told]);
        assert_eq!(response.headers()["vary"], "Cookie");
    }
}

async fn busy(_: BoxError) -> StatusCode {
    StatusCode::SERVICE_UNAVAILABLE
}

/// Services that must be asked whether they are ready, and answer errors.
#[tokio::test]
async fn load_shedding_and_buffers_may_be_above_and_below() {
    let store = Arc::new(MemoryStore::new());
    let visitor = visitor(&options(&store)).await;
    let shed = || {
        ServiceBuilder::new().layer(HandleErrorLayer::new(busy)).load_shed().concurrency_limit(2).buffer(4)
    };
    let below = counts().layer(shed()).layer(layer(options(&store).rolling(true)));
    let above = counts().layer(layer(options(&store).rolling(true))).layer(shed());
    for (app, n) in [(below, "1"), (above, "2")] {
        let response = visitor.get(app).await;
        assert!(response.status() == 200 && cookie_of(&response).is_some());
        assert_eq!(visitor.held(&store, "n").await.as_deref(), Some(n));
    }
}

/// Many megabytes go through piece by piece, and trailers behind them.
#[tokio::test]
async fn a_body_of_many_megabytes_is_streamed_with_its_trailers() {
    const PIECES: usize = 512;
    let (store, made) = (Arc::new(MemoryStore::new()), Arc::new(AtomicUsize::new(0)));
    let making = Arc::clone(&made);
    let handler = async move |session: Session| {
        session.insert("n", 1).map_err(SessionError::from)?;
        let pieces = stream::iter(0..PIECES).map(move |_| {
            making.fetch_add(1, Ordering::SeqCst);
            Ok::<_, Infallible>(Frame::data(Bytes::from(vec![7; 64 << 10])))
        });
        Ok::<_, SessionError>(Response::new(Body::new(StreamBody::new(pieces).with_trailers(async {
            Some(Ok(HeaderMap::from_iter([(http::HeaderName::from_static("x-sum"), HeaderValue::from(7))])))
        }))))
    };
    let app = Router::new().route("/", get(handler)).layer(layer(options(&store)));
    let response = app.oneshot(Request::new(Body::empty())).await.unwrap();
    assert!(cookie_of(&response).is_some());
    assert_eq!(made.load(Ordering::SeqCst), 0, "the head goes out before the body is made");
    let mut body = response.into_body();
    let (mut size, mut trailers) = (0, None);
    while let Some(frame) = body.frame().await {
        match frame.unwrap().into_data() {
            Ok(data) => size += data.len(),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
        assert!(made.load(Ordering::SeqCst) <= size / (64 << 10) + 1, "nothing is collected");
    }
    assert_eq!((size, trailers.unwrap()["x-sum"].to_str().unwrap()), (PIECES << 16, "7"));
}

/// What is set while events are sent is saved by those who say so, and whoever forgets it is told.
#[tokio::test]
async fn what_changes_while_events_are_sent_is_saved_explicitly() {
    for saves in [true, false] {
        let store = Arc::new(MemoryStore::new());
        let visitor = visitor(&options(&store)).await;
        let handler = async move |session: Session| {
            let events = stream::once(async move {
                session.insert("sent", 1).unwrap();
                if saves {
                    session.save().await.unwrap();
                }
                Ok::<_, Infallible>(Event::default().data("tick"))
            });
            Sse::new(events).into_response()
        };
        let app = Router::new().route("/", get(handler)).layer(layer(options(&store)));
        let log = Captured::begin();
        let response = visitor.get(app).await;
        assert!(response.into_body().collect().await.unwrap().to_bytes().starts_with(b"data: tick"));
        assert_eq!(visitor.held(&store, "sent").await.is_some(), saves);
        assert_eq!(log.lines("WARN").len(), usize::from(!saves), "{}", log.text());
    }
}
