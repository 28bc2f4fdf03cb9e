//! The probe of the actix-web adapter.

use std::{io, sync::Arc};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    http::{
        StatusCode,
        header::{HeaderName, HeaderValue},
    },
    web,
};
use conformance::probe::{self, Config, Reply};
use express_session::actix::{SessionError, SessionExt, SessionMiddleware};

#[actix_web::main]
async fn main() -> io::Result<()> {
    let config = Arc::new(probe::configure().await);
    let sessions = SessionMiddleware::new(config.options.clone()).map_err(io::Error::other)?;
    let port = config.port;
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::from(Arc::clone(&config)))
            .wrap(sessions.clone())
            .route("/none", web::route().to(async || respond(probe::none())))
            .default_service(web::to(perform))
    });
    let server = server.workers(2).bind(("127.0.0.1", port))?;
    server.addrs().iter().for_each(|address| probe::announce(address.port()));
    server.run().await
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
