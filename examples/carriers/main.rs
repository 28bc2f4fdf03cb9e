//! Three ways to carry a session: a cookie, a field of a form, and a code in a URL to another origin. Each in its safe form.
//! `cargo run --example carriers --features axum`, then open http://localhost:3000.

use std::{env, error::Error, sync::Arc};

use express_session::{MemoryStore, Options};
use tokio::net::TcpListener;

mod app;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // In an application both come from the environment.
    let secret =
        |name: &str| env::var(name).unwrap_or_else(|_| format!("of {name}, for nothing but this example"));
    let port = |name: &str, port: &str| env::var(name).unwrap_or_else(|_| port.into());
    let store = Arc::new(MemoryStore::new());
    let site = Options::new(secret("SITE_SECRET")).store(Arc::clone(&store));
    // Browsers keep no ports apart: the cookie needs a name of its own.
    let shop = Options::new(secret("SHOP_SECRET")).name("shop").store(store);

    let listener = TcpListener::bind(format!("127.0.0.1:{}", port("PORT", "3000"))).await?;
    let shop_listener = TcpListener::bind(format!("127.0.0.1:{}", port("SHOP_PORT", "3001"))).await?;
    let shop_url = format!("http://localhost:{}", shop_listener.local_addr()?.port());
    let (site, shop) = app::apps(site, shop, &shop_url)?;
    println!("listening on http://localhost:{}", listener.local_addr()?.port());
    let site = async { axum::serve(listener, site).await };
    let shop = async { axum::serve(shop_listener, shop).await };
    tokio::try_join!(site, shop)?;
    Ok(())
}
