//! The page counter on axum: `cargo run --example axum --features axum`, then open http://127.0.0.1:3000.
//! It forgets at the end, unless it is told where to keep sessions: `STORE_URL=sqlite:sessions.db` and the feature `sqlite`.

use std::{env, error::Error, time::Duration};

use axum::{Router, response::Html, routing::get};
use express_session::{
    CookieOptions, Options, Session,
    axum::{SessionError, SessionLayer},
    open_store,
};

#[path = "page/mod.rs"]
mod page;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let secret = env::var("SECRET").unwrap_or_else(|_| "keyboard cat".into());
    let store = open_store(&env::var("STORE_URL").unwrap_or_else(|_| "memory:".into())).await?;
    let a_day = CookieOptions::new().max_age(Duration::from_secs(86_400));
    let sessions = SessionLayer::new(Options::new(secret).cookie(a_day).store(store))?;
    let app = Router::new().route("/", get(count)).layer(sessions);

    let address = format!("127.0.0.1:{}", env::var("PORT").unwrap_or_else(|_| "3000".into()));
    let listener = tokio::net::TcpListener::bind(&address).await?;
    println!("listening on http://{address}");
    Ok(axum::serve(listener, app).await?)
}

async fn count(session: Session) -> Result<Html<String>, SessionError> {
    let views = session.update("views", |views: Option<u32>| views.unwrap_or(0) + 1).await?;
    Ok(Html(page::counter(views)))
}
