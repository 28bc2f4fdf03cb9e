//! The probe of the Rocket adapter.

use std::{
    collections::HashSet,
    io::{self, Cursor},
    sync::{Arc, Mutex},
};

use conformance::probe::{self, Config, Reply, Serving, Tls};
use express_session::{
    OnDisconnect,
    rocket::{SessionFairing, session},
};
use rocket::{
    Data, Request, Response, Route,
    config::{Config as RocketConfig, LogLevel, Shutdown as ShutdownConfig},
    fairing::AdHoc,
    http::{ContentType, Method, Status},
    route::{Handler, Outcome},
    shield::Shield,
};
use tokio::sync::oneshot;

#[tokio::main]
async fn main() -> io::Result<()> {
    probe::run(serve).await
}

async fn serve(config: Arc<Config>) -> io::Result<Serving> {
    probe::without_faulty_layer(&config)?;
    if config.on_disconnect == Some(OnDisconnect::Cancel) {
        return Err(probe::unhonoured("onDisconnect: Rocket finishes every request"));
    }
    let sessions = SessionFairing::from(config.sessions.clone());
    let outer = config.outer.clone().map(SessionFairing::from);
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
    let settings = RocketConfig {
        port: config.port,
        tls: config.tls.as_ref().map(Tls::rocket),
        log_level: LogLevel::Off,
        // In five seconds a busy machine may not come to the next request.
        keep_alive: 120,
        // The process ends when its input does, or by a signal that nothing catches.
        shutdown: ShutdownConfig {
            ctrlc: false,
            signals: HashSet::new(),
            grace: 0,
            mercy: 0,
            ..Default::default()
        },
        ..RocketConfig::default()
    };
    let has_tls = config.tls.is_some();
    let (bound, port) = oneshot::channel();
    let bound = Mutex::new(Some(bound));
    let rocket = rocket::custom(settings)
        .mount("/", methods.map(|method| Route::new(method, "/none", NoSession)))
        .mount(
            "/",
            methods.map(|method| Route::ranked(20, method, "/<path..>", Perform(Arc::clone(&config)))),
        )
        // Rocket's own security headers are not what is compared.
        .attach(Shield::new())
        .attach(AdHoc::on_request("clock", move |request, _| {
            config.clock.put(request.headers().get_one("x-now").map(str::as_bytes));
            Box::pin(async {})
        }))
        .attach(AdHoc::on_ignite("outer", async |rocket| match outer {
            Some(outer) => rocket.attach(outer),
            None => rocket,
        }))
        .attach(AdHoc::on_ignite("inner", async |rocket| rocket.attach(sessions)))
        .attach(AdHoc::on_liftoff("bound", move |rocket| {
            let bound = bound.lock().ok().and_then(|mut bound| bound.take());
            bound.map(|bound| bound.send(rocket.config().port));
            Box::pin(async {})
        }));
    let rocket = rocket.ignite().await.map_err(io::Error::other)?;
    let stop = rocket.shutdown();
    let server = tokio::spawn(rocket.launch());
    let end = async { server.await.map_err(io::Error::other)?.map(drop).map_err(io::Error::other) };
    match port.await {
        Ok(port) => Ok(Serving::new(port, end, || stop.notify()).with_tls(has_tls)),
        Err(_) => Err(end.await.err().unwrap_or_else(|| io::Error::other("it did not lift off"))),
    }
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
        let reply = probe::perform(&self.0, path, ops, session.as_ref()).await;
        if reply.thrown {
            return Outcome::Error(Status::InternalServerError);
        }
        Outcome::Success(respond(reply))
    }
}

fn respond<'r>(reply: Reply) -> Response<'r> {
    let mut response = Response::build();
    response.status(Status::new(reply.status));
    if !reply.body.is_empty() {
        response.header(ContentType::JSON);
    }
    if reply.streamed {
        response.streamed_body(Cursor::new(reply.body)).max_chunk_size(1);
    } else {
        response.sized_body(reply.body.len(), Cursor::new(reply.body));
    }
    for (name, value) in reply.headers {
        response.raw_header_adjoin(name, value);
    }
    response.finalize()
}
