//! The probe of the actix-web adapter.

use std::{io, net::SocketAddr, sync::Arc};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::Service as _,
    http::{
        StatusCode,
        header::{HeaderName, HeaderValue},
    },
    web,
};
use conformance::probe::{self, Config, Reply, Serving};
use express_session::actix::{SessionError, SessionExt, SessionMiddleware};

#[actix_web::main]
async fn main() -> io::Result<()> {
    probe::run(serve).await
}

async fn serve(config: Arc<Config>) -> io::Result<Serving> {
    let sessions = SessionMiddleware::new(config.options.clone()).map_err(io::Error::other)?;
    let port = config.port;
    let server = HttpServer::new(move || {
        let clock = config.clock.clone();
        App::new()
            .app_data(web::Data::from(Arc::clone(&config)))
            .wrap(sessions.clone())
            .wrap_fn(move |request, service| {
                clock.put(request.headers().get("x-now").map(HeaderValue::as_bytes));
                service.call(request)
            })
            .route("/none", web::route().to(async || respond(probe::none())))
            .default_service(web::to(perform))
    });
    let server = server.workers(2).disable_signals().shutdown_timeout(0).bind(("127.0.0.1", port))?;
    let port = server.addrs().first().map_or(port, SocketAddr::port);
    let server = server.run();
    let handle = server.handle();
    let server = actix_web::rt::spawn(server);
    let stop = move || drop(actix_web::rt::spawn(handle.stop(false)));
    Ok(Serving::new(port, async { server.await.unwrap_or(Ok(())) }, stop))
}

async fn perform(request: HttpRequest, config: web::Data<Config>) -> Result<HttpResponse, SessionError> {
    let session = request.session().await?;
    let ops = request.headers().get("x-ops").map(HeaderValue::as_bytes);
    Ok(respond(probe::perform(&config, request.path(), ops, session.as_deref()).await))
}

fn respond(reply: Reply) -> HttpResponse {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    response.content_type("application/json");
    for (name, value) in reply.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.append_header((name, value));
        }
    }
    response.body(reply.body)
}
