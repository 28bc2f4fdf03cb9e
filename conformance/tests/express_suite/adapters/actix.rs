//! On actix-web.

use std::{net::SocketAddr, rc::Rc};

use actix_web::{
    App as Application, Error, HttpRequest, HttpResponse, HttpServer,
    body::{BoxBody, MessageBody, to_bytes},
    dev::{Service, ServiceRequest, ServiceResponse},
    http::{StatusCode, header::HeaderValue},
    middleware::{Next, from_fn},
    test::{TestRequest, init_service},
    web::{self, ServiceConfig},
};
use express_session::actix::{SessionError, SessionExt, SessionMiddleware};
use futures_util::{FutureExt, StreamExt};
use session_testkit::{Request, Response};

use super::{Body, Handler, Page, Served, Shout, Site, Visit, tls};

pub(super) async fn serve(site: Site) -> Served {
    let sessions = SessionMiddleware::new(site.options.clone()).unwrap();
    let app = init_service(Application::new().configure(|config| configure(config, &site, sessions))).await;
    let app = Rc::new(app);
    Box::new(move |request| {
        let app = Rc::clone(&app);
        async move {
            match app.call(sent(request).to_request()).await {
                Ok(response) => read(response.into_parts().1).await,
                Err(error) => read(error.error_response()).await,
            }
        }
        .boxed_local()
    })
}

pub(super) fn serve_tls(site: Site) -> Served {
    let sessions = SessionMiddleware::new(site.options.clone()).unwrap();
    let server = HttpServer::new(move || {
        Application::new().configure(|config| configure(config, &site, sessions.clone()))
    });
    let server = server.workers(1).disable_signals();
    let server = server.bind_rustls_0_23(("127.0.0.1", 0), tls::server()).unwrap();
    let port = server.addrs().first().map(SocketAddr::port).unwrap();
    tokio::spawn(server.run());
    tls::client(port)
}

fn configure(config: &mut ServiceConfig, site: &Site, sessions: SessionMiddleware) {
    let handler = Handler::clone(&site.handler);
    let scope = web::scope(site.mounted_at)
        .default_service(web::to(move |request| answer(Handler::clone(&handler), request)));
    match site.shout {
        Some(Shout::InsideOfTheSession) => config.service(scope.wrap(from_fn(shout)).wrap(sessions)),
        Some(Shout::OutsideOfTheSession) => config.service(scope.wrap(sessions).wrap(from_fn(shout))),
        None if site.twice => config.service(scope.wrap(sessions.clone()).wrap(sessions)),
        None => config.service(scope.wrap(sessions)),
    };
}

async fn answer(handler: Handler, request: HttpRequest) -> Result<HttpResponse, SessionError> {
    let session = request.session().await?;
    let visit = Visit { method: request.method().to_string(), path: request.path().into(), session };
    Ok(respond(handler(visit).await?))
}

fn respond(page: Page) -> HttpResponse {
    let mut response = HttpResponse::build(StatusCode::from_u16(page.status).unwrap());
    for header in page.headers {
        response.append_header(header);
    }
    match page.body {
        Body::Whole(text) => response.body(text),
        Body::Parts(parts) => response.streaming(parts.map(|part| Ok::<_, Error>(part.into()))),
    }
}

async fn shout<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let (request, response) = next.call(request).await?.into_parts();
    let (head, body) = response.into_parts();
    let body = to_bytes(body).await.unwrap_or_else(|_| panic!("a body"));
    let text = String::from_utf8(body.into()).unwrap();
    Ok(ServiceResponse::new(request, head.set_body(BoxBody::new(text.to_uppercase()))))
}

fn sent(request: Request) -> TestRequest {
    let sent = TestRequest::with_uri(&request.path).method(request.method.parse().unwrap());
    request.headers.into_iter().fold(sent, |sent, (name, value)| {
        sent.append_header((name, HeaderValue::from_bytes(&value).unwrap()))
    })
}

async fn read<B: MessageBody>(response: HttpResponse<B>) -> Response {
    let (head, body) = response.into_parts();
    let body = to_bytes(body).await.unwrap_or_else(|_| panic!("a body"));
    Response::new(head.status().as_u16(), head.headers(), String::from_utf8(body.into()).unwrap())
}
