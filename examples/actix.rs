//! The page counter on actix-web: `cargo run --example actix --features actix`, then open http://127.0.0.1:3000.

use std::{env, error::Error, time::Duration};

use actix_web::{App, HttpServer, web, web::Html};
use express_session::{
    CookieOptions, Options,
    actix::{Session, SessionError, SessionMiddleware},
};

#[path = "page/mod.rs"]
mod page;

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let secret = env::var("SECRET").unwrap_or_else(|_| "keyboard cat".into());
    let a_day = CookieOptions::new().max_age(Duration::from_secs(86_400));
    let sessions = SessionMiddleware::new(Options::new(secret).cookie(a_day))?;
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
