//! Panics, and bodies of every kind.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "helpers of tests"
)]

use std::sync::Arc;

use rocket::{
    Config,
    fairing::AdHoc,
    get,
    http::Status,
    local::asynchronous::Client,
    response::stream::{ByteStream, Event, EventStream},
    routes,
};
use session_core::{MemoryStore, Options, Sid, Store};
use session_rocket::{Session, SessionError, SessionFairing};
use session_testkit::{Captured, run};

#[get("/count")]
fn count(session: Session) -> Result<String, SessionError> {
    let n = session.get::<u32>("n")?.unwrap_or(0) + 1;
    session.insert("n", n)?;
    Ok(session.id().unwrap().as_str().into())
}

#[get("/panics")]
async fn panics(session: Session) -> &'static str {
    session.update("sum", |sum: Option<u32>| sum.unwrap_or(0) + 1).await.unwrap();
    session.insert("before", true).unwrap();
    panic!("a mistake")
}

#[get("/stream/<saves>")]
fn streams(session: Session, saves: bool) -> Result<ByteStream![Vec<u8>], SessionError> {
    session.insert("n", 1)?;
    Ok(ByteStream! {
        for _ in 0..64 {
            yield vec![7; 64 << 10];
        }
        session.insert("sent", true).unwrap();
        if saves {
            session.save().await.unwrap();
        }
        yield vec![7];
    })
}

#[get("/events/<saves>")]
fn events(session: Session, saves: bool) -> Result<EventStream![Event], SessionError> {
    session.insert("n", 1)?;
    let events = EventStream! {
        yield Event::data("tick");
        session.insert("sent", true).unwrap();
        if saves {
            session.save().await.unwrap();
        }
        yield Event::data("tock");
    };
    // Rocket sends the first at once, where its timer has one to give: on a machine that is busy after the last event.
    Ok(events.heartbeat(None))
}

async fn client(store: &Arc<MemoryStore>) -> Client {
    let quiet = Config { log_level: rocket::config::LogLevel::Off, ..Config::default() };
    let sessions = SessionFairing::new(Options::new("keyboard cat").store(Arc::clone(store))).unwrap();
    let rocket = rocket::custom(quiet).mount("/", routes![count, panics, streams, events]).attach(sessions);
    Client::tracked(rocket).await.unwrap()
}

/// Fairings come by in the order in which they are attached: this one after the session was saved.
#[test]
fn what_a_later_response_fairing_changes_is_saved_by_itself_or_told() {
    run(async {
        for saves in [false, true] {
            let store = Arc::new(MemoryStore::new());
            let late = AdHoc::on_response("late", move |request, _| {
                Box::pin(async move {
                    let session = request.guard::<Session>().await.succeeded().unwrap();
                    session.insert("late", true).unwrap();
                    if saves {
                        session.save().await.unwrap();
                    }
                })
            });
            let quiet = Config { log_level: rocket::config::LogLevel::Off, ..Config::default() };
            let options = Options::new("keyboard cat").store(Arc::clone(&store));
            let session = SessionFairing::new(options).unwrap();
            let app = rocket::custom(quiet).mount("/", routes![count]).attach(session).attach(late);
            let client = Client::untracked(app).await.unwrap();
            let log = Captured::begin();
            let sid = Sid::from(client.get("/count").dispatch().await.into_string().await.unwrap());
            let held = store.get(&sid).await.unwrap().unwrap().record;
            assert_eq!((held.data.get("n"), held.data.get("late").is_some()), (Some("1"), saves));
            let told = log.text().contains("changes of a session are dropped");
            assert_eq!(told, !saves, "{}", log.text());
        }
    });
}

/// Before the session's fairing a default is there before it, and after it finds what caches were told.
#[test]
fn headers_by_default_go_before() {
    run(async {
        for (is_before, told) in [(true, "no-store"), (false, "private, no-cache=\"Set-Cookie\"")] {
            let default = AdHoc::on_response("default", |_, response| {
                Box::pin(async {
                    if !response.headers().contains("cache-control") {
                        response.set_raw_header("cache-control", "no-store");
                    }
                })
            });
            let quiet = Config { log_level: rocket::config::LogLevel::Off, ..Config::default() };
            let session =
                SessionFairing::new(Options::new("keyboard cat").store(MemoryStore::new())).unwrap();
            let app = rocket::custom(quiet).mount("/", routes![count]);
            let app = if is_before {
                app.attach(default).attach(session)
            } else {
                app.attach(session).attach(default)
            };
            let client = Client::untracked(app).await.unwrap();
            let response = client.get("/count").dispatch().await;
            assert!(response.headers().contains("set-cookie"));
            let all = |name| response.headers().get(name).collect::<Vec<_>>();
            assert_eq!((all("cache-control"), all("vary")), (vec![told], vec!["Cookie"]));
        }
    });
}

/// Rocket makes a 500 of it, below the fairing: an answer as any other.
#[test]
fn a_panic_is_an_answer() {
    run(async {
        let store = Arc::new(MemoryStore::new());
        let client = client(&store).await;
        let sid = Sid::from(client.get("/count").dispatch().await.into_string().await.unwrap());
        assert_eq!(client.get("/panics").dispatch().await.status(), Status::InternalServerError);
        let data = store.get(&sid).await.unwrap().unwrap().record.data;
        assert_eq!((data.get("sum"), data.get("before")), (Some("1"), Some("true")));
    });
}

fn sid_of(client: &Client) -> Sid {
    let cookie = client.cookies().get("sid").unwrap().value().to_owned();
    let cookie = cookie.strip_prefix("s:").or(cookie.strip_prefix("s%3A")).unwrap().to_owned();
    cookie.split('.').next().unwrap().into()
}

#[test]
fn a_body_is_streamed_and_what_changes_meanwhile_is_saved_explicitly() {
    run(async {
        for (route, saves) in [("stream", true), ("stream", false), ("events", true), ("events", false)] {
            let store = Arc::new(MemoryStore::new());
            let client = client(&store).await;
            let log = Captured::begin();
            let response = client.get(format!("/{route}/{saves}")).dispatch().await;
            assert!(response.headers().contains("set-cookie"));
            let body = response.into_bytes().await.unwrap();
            assert!(body.len() == (64 << 16) + 1 || body.ends_with(b"data:tock\n\n"), "{route}");
            let sent = store.get(&sid_of(&client)).await.unwrap().unwrap().record.data.get("sent").is_some();
            assert_eq!(sent, saves);
            assert_eq!(log.lines("WARN").len(), usize::from(!saves), "{}", log.text());
        }
    });
}
