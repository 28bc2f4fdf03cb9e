//! The page counter on actix-web: `cargo run --example actix --features actix`, then open http://127.0.0.1:3000.
//! It forgets at the end, unless it is told where to keep sessions: `STORE_URL=sqlite:sessions.db` and the feature `sqlite`.

use std::{env, error::Error, time::Duration};

use actix_web::{App, HttpServer, web, web::Html};
use express_session::{
    CookieOptions, Options, Session,
    actix::{SessionError, SessionMiddleware},
    open_store,
};

#[path = "page/mod.rs"]
mod page;

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let secret = env::var("SECRET").unwrap_or_else(|_| "keyboard cat".into());
    let store = open_store(&env::var("STORE_URL").unwrap_or_else(|_| "memory:".into())).await?;
    let a_day = CookieOptions::new().max_age(Duration::from_secs(86_400));
    let sessions = SessionMiddleware::new(Options::new(secret).cookie(a_day).store(store))?;
    let app = move || App::new().route("/", web::get().to(count)).wrap(sessions.clone());

    let address = format!("127.0.0.1:{}", env::var("PORT").unwrap_or_else(|_| "3000".into()));
    let server = HttpServer::new(app).bind(&address)?;
    println!("listening on http://{address}");
    Ok(server.run().await?)
}

async fn count(session: Session) -> Result<Html, SessionError> {
    let views = session.update("views", |views: Option<u32>| views.unwrap_or(0) + 1).await?;
    Ok(Html::new(page::counter(views)))
}
