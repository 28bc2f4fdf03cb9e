//! A framework's own cookie jar. Only Rocket's is read, where a request has no `Cookie` header: its client in process puts cookies
//! into the jar alone. Whatever a jar of axum's or actix-web's holds came in the header.

use express_session::{
    Secret,
    rocket::{Session, SessionError, SessionFairing},
};
use rocket::{Config, config::LogLevel, get, local::asynchronous::Client, routes};

use crate::fixture::{SECRET, options};

#[get("/")]
async fn hits(session: Session) -> Result<String, SessionError> {
    let count = session.get::<u32>("count")?.unwrap_or(0) + 1;
    session.insert("count", count)?;
    Ok(format!("{count} {}", session.id().unwrap().as_str()))
}

/// The count that a second request gets, whose cookie is made of the id of the first.
async fn second_count(value: fn(&str) -> String) -> String {
    let quiet = Config { log_level: LogLevel::Off, ..Config::default() };
    let sessions = SessionFairing::new(options().name("sessid")).unwrap();
    let rocket = rocket::custom(quiet).mount("/", routes![hits]).attach(sessions);
    let client = Client::untracked(rocket).await.unwrap();

    let first = client.get("/").dispatch().await.into_string().await.unwrap();
    let (count, sid) = first.split_once(' ').unwrap();
    assert_eq!(count, "1");
    let second = client.get("/").cookie(("sessid", value(sid)));
    assert!(!second.inner().headers().contains("cookie"));
    second.dispatch().await.into_string().await.unwrap().split(' ').next().unwrap().into()
}

fn signed(secret: &str, sid: &str) -> String {
    format!("s:{}", Secret::new(secret).sign(sid))
}

#[tokio::test]
async fn a_signed_id_from_the_jar_is_read() {
    assert_eq!(second_count(|sid| signed(SECRET, sid)).await, "2");
}

#[tokio::test]
async fn an_unsigned_id_from_the_jar_is_refused() {
    assert_eq!(second_count(str::to_owned).await, "1");
    // Signed, and without the mark that says so.
    assert_eq!(second_count(|sid| Secret::new(SECRET).sign(sid)).await, "1");
}

#[tokio::test]
async fn a_badly_signed_id_from_the_jar_is_refused() {
    assert_eq!(second_count(|sid| signed("another cat", sid)).await, "1");
}
