//! The Rust half of one site: who is logged in on the Express half is logged in here, and the reverse.
//!
//! ```sh
//! REDIS_URL=redis://127.0.0.1:6379 cargo run --example with-express --features axum,redis   # http://127.0.0.1:3000
//! cd examples/with-express && npm install && REDIS_URL=redis://127.0.0.1:6379 npm start     # http://127.0.0.1:3001
//! ```

use std::{env, error::Error};

use axum::{
    Form, Router,
    response::{Html, Redirect},
    routing::{get, post},
};
use express_session::{
    Options, Session,
    axum::{SessionError, SessionLayer},
    redis::RedisStore,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let redis = env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379".into());
    let secret = env::var("SECRET").unwrap_or_else(|_| "keyboard cat".into());
    // Exactly what app.js gives to express-session.
    let options =
        Options::express(secret).resave(false).save_uninitialized(false).store(RedisStore::open(&redis)?);
    let app = Router::new()
        .route("/", get(page))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .layer(SessionLayer::new(options)?);

    let address = format!("127.0.0.1:{}", env::var("PORT").unwrap_or_else(|_| "3000".into()));
    let listener = tokio::net::TcpListener::bind(&address).await?;
    println!("listening on http://{address}");
    Ok(axum::serve(listener, app).await?)
}

async fn page(session: Session) -> Result<Html<String>, SessionError> {
    let user = session.get::<String>("user")?.unwrap_or_else(|| "nobody".into());
    let page = include_str!("page.html").replace("{{server}}", "Rust");
    Ok(Html(page.replace("{{user}}", &user.replace('&', "&amp;").replace('<', "&lt;"))))
}

#[derive(serde::Deserialize)]
struct Login {
    user: String,
}

async fn login(session: Session, Form(login): Form<Login>) -> Result<Redirect, SessionError> {
    session.renew_id().await?;
    session.insert("user", login.user)?;
    Ok(Redirect::to("/"))
}

async fn logout(session: Session) -> Result<Redirect, SessionError> {
    session.destroy().await?;
    Ok(Redirect::to("/"))
}
