//! The page counter on Rocket: `cargo run --example rocket --features rocket`, then open http://127.0.0.1:3000.
//! It forgets at the end, unless it is told where to keep sessions: `STORE_URL=sqlite:sessions.db` and the feature `sqlite`.

use std::{env, error::Error, time::Duration};

use express_session::{
    CookieOptions, Options, Session, open_store,
    rocket::{SessionError, SessionFairing},
};
use rocket::{Config, fairing::AdHoc, get, response::content::RawHtml, routes};

#[path = "page/mod.rs"]
mod page;

#[rocket::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let secret = env::var("SECRET").unwrap_or_else(|_| "keyboard cat".into());
    let store = open_store(&env::var("STORE_URL").unwrap_or_else(|_| "memory:".into())).await?;
    let a_day = CookieOptions::new().max_age(Duration::from_secs(86_400));
    let sessions = SessionFairing::new(Options::new(secret).cookie(a_day).store(store))?;

    let port = env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let config = Config { port, log_level: rocket::config::LogLevel::Off, ..Config::default() };
    let listening = AdHoc::on_liftoff("listening", move |_| {
        Box::pin(async move { println!("listening on http://127.0.0.1:{port}") })
    });
    let app = rocket::custom(config).mount("/", routes![count]).attach(sessions).attach(listening);
    app.launch().await?;
    Ok(())
}

#[get("/")]
async fn count(session: Session) -> Result<RawHtml<String>, SessionError> {
    let views = session.update("views", |views: Option<u32>| views.unwrap_or(0) + 1).await?;
    Ok(RawHtml(page::counter(views)))
}
