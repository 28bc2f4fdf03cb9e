//! On Rocket.

use std::{collections::HashSet, io::Cursor, rc::Rc, sync::Mutex};

use express_session::rocket::{SessionError, SessionFairing, session};
use futures_util::FutureExt;
use rocket::{
    Build, Data, Request as RocketRequest, Response as RocketResponse, Rocket, Route,
    config::{Config, LogLevel, Shutdown, TlsConfig},
    fairing::AdHoc,
    http::{Header, Method, Status},
    local::asynchronous::Client,
    response::{Responder, stream::TextStream},
    route::{self, Outcome},
};
use session_testkit::{Request, Response};
use tokio::sync::oneshot;

use super::{Body, Handler, Page, Served, Shout, Site, Visit, tls};

pub(super) async fn serve(site: Site) -> Served {
    let client = Rc::new(client(&site).await);
    Box::new(move |request| send(Rc::clone(&client), request).boxed_local())
}

/// The local client, which keeps no cookies.
pub(super) async fn client(site: &Site) -> Client {
    Client::untracked(rocket(site, config())).await.unwrap()
}

pub(super) async fn serve_tls(site: Site) -> Served {
    let (certificate, key) = tls::pem();
    let tls = TlsConfig::from_bytes(certificate.as_bytes(), key.as_bytes());
    let (bound, port) = oneshot::channel();
    let bound = Mutex::new(Some(bound));
    let rocket = rocket(&site, Config { port: 0, tls: Some(tls), ..config() });
    let rocket = rocket.attach(AdHoc::on_liftoff("bound", move |rocket| {
        bound.lock().unwrap().take().map(|bound| bound.send(rocket.config().port));
        Box::pin(async {})
    }));
    tokio::spawn(rocket.launch());
    tls::client(port.await.unwrap())
}

fn config() -> Config {
    let shutdown = Shutdown { ctrlc: false, signals: HashSet::new(), ..Shutdown::default() };
    Config { log_level: LogLevel::Off, shutdown, ..Config::default() }
}

/// Rocket's fairings see a response in the order in which they were attached.
fn rocket(site: &Site, config: Config) -> Rocket<Build> {
    let sessions = || SessionFairing::new(site.options.clone()).unwrap();
    let at = if site.mounted_at.is_empty() { "/" } else { site.mounted_at };
    let route = |method| Route::new(method, "/<path..>", Answer(Handler::clone(&site.handler)));
    let rocket = rocket::custom(config).mount(at, [Method::Get, Method::Head, Method::Put].map(route));
    match site.shout {
        Some(Shout::InsideOfTheSession) => rocket.attach(shout()).attach(sessions()),
        Some(Shout::OutsideOfTheSession) => rocket.attach(sessions()).attach(shout()),
        None if site.twice => rocket.attach(sessions()).attach(sessions()),
        None => rocket.attach(sessions()),
    }
}

#[derive(Clone)]
struct Answer(Handler);

#[rocket::async_trait]
impl route::Handler for Answer {
    async fn handle<'r>(&self, request: &'r RocketRequest<'_>, _: Data<'r>) -> Outcome<'r> {
        let answer = match answer(&self.0, request).await {
            Ok(page) => Ok(respond(request, page)),
            Err(error) => error.respond_to(request),
        };
        answer.map_or_else(Outcome::Error, Outcome::Success)
    }
}

async fn answer(handler: &Handler, request: &RocketRequest<'_>) -> Result<Page, SessionError> {
    let session = session(request).await?;
    let path = request.uri().path().to_string();
    Ok(handler(Visit { method: request.method().to_string(), path, session }).await?)
}

fn respond<'r>(request: &'r RocketRequest<'_>, page: Page) -> RocketResponse<'r> {
    let mut response = match page.body {
        Body::Whole(text) => RocketResponse::build().sized_body(text.len(), Cursor::new(text)).finalize(),
        Body::Parts(parts) => TextStream(parts).respond_to(request).unwrap(),
    };
    response.set_status(Status::new(page.status));
    for (name, value) in page.headers {
        response.adjoin_raw_header(name, value);
    }
    response
}

fn shout() -> AdHoc {
    AdHoc::on_response("shout", |_, response| {
        Box::pin(async {
            let text = response.body_mut().to_string().await.unwrap().to_uppercase();
            response.set_sized_body(text.len(), Cursor::new(text));
        })
    })
}

async fn send(client: Rc<Client>, request: Request) -> Response {
    let method: Method = request.method.parse().unwrap();
    let mut sent = client.req(method, request.path);
    for (name, value) in request.headers {
        sent.add_header(Header::new(name, String::from_utf8(value).unwrap()));
    }
    let response = sent.dispatch().await;
    let of = |header: Header<'_>| (header.name().to_string(), header.value().to_owned());
    let (status, headers): (_, Vec<_>) =
        (response.status().code, response.headers().iter().map(of).collect());
    Response::new(status, headers, response.into_string().await.unwrap_or_default())
}
