//! The probe of the actix-web adapter.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::Service as _,
    error::ErrorInternalServerError,
    http::{
        StatusCode,
        header::{HeaderName, HeaderValue},
    },
    middleware::Condition,
    web::{self, Bytes},
};
use conformance::probe::{self, Config, Reply, Serving, Tls};
use express_session::actix::{SessionExt, SessionMiddleware};
use futures_util::stream;

#[actix_web::main]
async fn main() -> io::Result<()> {
    probe::run(serve).await
}

async fn serve(config: Arc<Config>) -> io::Result<Serving> {
    probe::without_faulty_layer(&config)?;
    let sessions = SessionMiddleware::from(config.sessions.clone());
    let outer = config.outer.clone().map(SessionMiddleware::from);
    let (port, tls) = (config.port, config.tls.as_ref().map(Tls::server));
    let has_tls = tls.is_some();
    let server = HttpServer::new(move || {
        let clock = config.clock.clone();
        App::new()
            .app_data(web::Data::from(Arc::clone(&config)))
            .wrap(sessions.clone())
            // One that is switched off has to be some middleware all the same.
            .wrap(Condition::new(outer.is_some(), outer.clone().unwrap_or_else(|| sessions.clone())))
            .wrap_fn(move |request, service| {
                clock.put(request.headers().get("x-now").map(HeaderValue::as_bytes));
                service.call(request)
            })
            .route("/none", web::route().to(async || respond(probe::none())))
            .default_service(web::to(perform))
    });
    // Else it takes a client that has gone for one that has nothing more to say.
    let server = server.h1_allow_half_closed(false).workers(2).disable_signals().shutdown_timeout(0);
    // Its own are of seconds, in which a busy machine may not come to the next request.
    let server = server.keep_alive(Duration::from_secs(120)).client_request_timeout(Duration::ZERO);
    let server = server.tls_handshake_timeout(Duration::from_secs(120));
    let server = match tls {
        Some(tls) => server.bind_rustls_0_23(("127.0.0.1", port), tls)?,
        None => server.bind(("127.0.0.1", port))?,
    };
    let port = server.addrs().first().map_or(port, SocketAddr::port);
    let server = server.run();
    let handle = server.handle();
    let server = actix_web::rt::spawn(server);
    let stop = move || drop(actix_web::rt::spawn(handle.stop(false)));
    Ok(Serving::new(port, async { server.await.unwrap_or(Ok(())) }, stop).with_tls(has_tls))
}

async fn perform(request: HttpRequest, config: web::Data<Config>) -> actix_web::Result<HttpResponse> {
    let session = request.session().await?;
    let ops = request.headers().get("x-ops").map(HeaderValue::as_bytes);
    let reply = probe::perform(&config, request.path(), ops, session.as_ref()).await;
    if reply.thrown { Err(ErrorInternalServerError("thrown")) } else { Ok(respond(reply)) }
}

fn respond(reply: Reply) -> HttpResponse {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    if !reply.body.is_empty() {
        response.content_type("application/json");
    }
    for (name, value) in &reply.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.append_header((name, value));
        }
    }
    if reply.streamed {
        return response
            .streaming(stream::iter(reply.chunks().map(|chunk| Ok::<_, Infallible>(Bytes::from(chunk)))));
    }
    response.body(reply.body)
}
