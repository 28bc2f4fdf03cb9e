//! The probe of the Rocket adapter.

use std::{
    io::{self, Cursor},
    sync::Arc,
};

use conformance::probe::{self, Config, Reply};
use express_session::rocket::{SessionFairing, session};
use rocket::{
    Data, Request, Response, Route,
    config::{Config as RocketConfig, LogLevel},
    fairing::AdHoc,
    http::{ContentType, Method, Status},
    route::{Handler, Outcome},
    shield::Shield,
};

#[tokio::main]
async fn main() -> io::Result<()> {
    let config = Arc::new(probe::configure().await);
    let sessions = SessionFairing::new(config.options.clone()).map_err(io::Error::other)?;
    let methods = [
        Method::Get,
        Method::Head,
        Method::Post,
        Method::Put,
        Method::Delete,
        Method::Options,
        Method::Patch,
        Method::Trace,
        Method::Connect,
    ];
    let settings = RocketConfig { port: config.port, log_level: LogLevel::Off, ..RocketConfig::default() };
    let rocket = rocket::custom(settings)
        .mount("/", methods.map(|method| Route::new(method, "/none", NoSession)))
        .mount(
            "/",
            methods.map(|method| Route::ranked(20, method, "/<path..>", Perform(Arc::clone(&config)))),
        )
        // Rocket's own security headers are not what is compared.
        .attach(Shield::new())
        .attach(sessions)
        .attach(AdHoc::on_liftoff("announce", |rocket| {
            Box::pin(async move { probe::announce(rocket.config().port) })
        }));
    rocket.launch().await.map(drop).map_err(io::Error::other)
}

/// `/none`
#[derive(Clone)]
struct NoSession;

#[rocket::async_trait]
impl Handler for NoSession {
    async fn handle<'r>(&self, _: &'r Request<'_>, _: Data<'r>) -> Outcome<'r> {
        Outcome::Success(respond(probe::none()))
    }
}

/// Every other path.
#[derive(Clone)]
struct Perform(Arc<Config>);

#[rocket::async_trait]
impl Handler for Perform {
    async fn handle<'r>(&self, request: &'r Request<'_>, _: Data<'r>) -> Outcome<'r> {
        let Ok(session) = session(request).await else { return Outcome::Error(Status::InternalServerError) };
        let ops = request.headers().get_one("x-ops").map(str::as_bytes);
        let path = request.uri().path().as_str();
        Outcome::Success(respond(probe::perform(&self.0, path, ops, session.as_deref()).await))
    }
}

fn respond<'r>(reply: Reply) -> Response<'r> {
    let mut response = Response::build();
    response.status(Status::new(reply.status)).header(ContentType::JSON);
    response.sized_body(reply.body.len(), Cursor::new(reply.body));
    for (name, value) in reply.headers {
        response.raw_header_adjoin(name, value);
    }
    response.finalize()
}
