//! One `Session` in the handlers of three frameworks, with and without a marker.

#![cfg(all(feature = "axum", feature = "actix", feature = "rocket"))]
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "helpers of tests")]

use std::convert::Infallible;

use express_session::{
    MemoryStore, Options, RequestInfo, Session, SessionData, SessionHandle, TypedHandle, TypedSession,
};
use serde::{Deserialize, Serialize};

struct Cart;

fn options(name: &str) -> Options {
    Options::new("keyboard cat").name(name).store(MemoryStore::new())
}

/// Of all that a session has.
#[derive(Default, Serialize, Deserialize)]
struct Visit {
    #[serde(default)]
    user: String,
}

impl SessionData for Visit {}

/// What tells the two apart.
fn put(user: &SessionHandle, cart: &SessionHandle) -> String {
    user.insert("user", "tj").unwrap();
    format!("{} {}", user.len(), cart.len())
}

fn put_typed(user: &TypedHandle<Visit>, cart: &TypedHandle<Visit>) -> String {
    cart.insert(&Visit { user: "hu".into() }).unwrap();
    let name = |of: &TypedHandle<Visit>| of.get().unwrap().map_or("nobody".into(), |visit| visit.user);
    format!("{} {}", name(user), name(cart))
}

#[tokio::test]
async fn a_handler_is_tested_without_a_server() {
    async fn greet(session: Session) -> String {
        let user = session.get::<String>("user").ok().flatten();
        format!("Hello, {}", user.as_deref().unwrap_or("stranger"))
    }
    let sessions = options("sid").build().unwrap();
    let exchange = sessions.exchange();
    let session = exchange.session(&RequestInfo::new("/", false, &|_| {})).await.unwrap().unwrap();
    assert_eq!(greet(session.clone().into()).await, "Hello, stranger");
    session.insert("user", "tj").unwrap();
    assert_eq!(greet(session.into()).await, "Hello, tj");
}

fn names<'a>(cookies: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    cookies.filter_map(|cookie| cookie.split('=').next()).collect()
}

#[tokio::test]
async fn axum_extracts_it() {
    use axum::{Router, body::Body, routing::get};
    use express_session::axum::{SessionError, SessionLayer};
    use tower::ServiceExt as _;

    async fn page(user: Session, cart: Session<Cart>) -> String {
        put(&user, &cart)
    }
    async fn typed(user: TypedSession<Visit>, cart: TypedSession<Visit, Cart>) -> String {
        put_typed(&user, &cart)
    }
    async fn optional(
        user: Option<Session>,
        cart: Option<Session<Cart>>,
        typed_user: Option<TypedSession<Visit>>,
        typed_cart: Option<TypedSession<Visit, Cart>>,
    ) -> Result<String, SessionError> {
        let [user, cart] = [user.is_some(), cart.is_some()];
        Ok(format!("{user} {cart} {} {}", typed_user.is_some(), typed_cart.is_some()))
    }
    let admin = options("cart").cookie(express_session::CookieOptions::new().path("/cart"));
    let app: Router = Router::new()
        .route("/cart", get(page))
        .route("/cart/typed", get(typed))
        .route("/optional", get(optional))
        .layer(SessionLayer::new(options("user")).unwrap())
        .layer(SessionLayer::new(admin).unwrap().marked::<Cart>());
    let send = async |uri: &str| {
        let request = http::Request::builder().uri(uri).body(Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap_or_else(|never: Infallible| match never {});
        let cookies = response.headers().get_all("set-cookie").iter();
        let cookies: Vec<String> = cookies.map(|value| value.to_str().unwrap().to_owned()).collect();
        (
            String::from_utf8(axum::body::to_bytes(response.into_body(), 1 << 10).await.unwrap().into())
                .unwrap(),
            cookies,
        )
    };
    let (body, cookies) = send("/cart").await;
    assert_eq!((body.as_str(), names(cookies.iter().map(String::as_str))), ("1 0", vec!["user"]));
    let (body, cookies) = send("/cart/typed").await;
    assert_eq!((body.as_str(), names(cookies.iter().map(String::as_str))), ("nobody hu", vec!["cart"]));
    assert_eq!(send("/optional").await.0, "true false true false");
}

#[actix_web::test]
async fn actix_extracts_it() {
    use actix_web::{App, test, web};
    use express_session::actix::SessionMiddleware;

    async fn page(user: Session, cart: Session<Cart>) -> String {
        put(&user, &cart)
    }
    async fn typed(user: TypedSession<Visit>, cart: TypedSession<Visit, Cart>) -> String {
        put_typed(&user, &cart)
    }
    let app = App::new()
        .route("/", web::get().to(page))
        .route("/typed", web::get().to(typed))
        .wrap(SessionMiddleware::new(options("user")).unwrap())
        .wrap(SessionMiddleware::new(options("cart")).unwrap().marked::<Cart>());
    let app = test::init_service(app).await;
    let response = test::call_service(&app, test::TestRequest::default().to_request()).await;
    let cookies = response.headers().get_all("set-cookie").map(|value| value.to_str().unwrap());
    assert_eq!(names(cookies), ["user"]);
    assert_eq!(test::read_body(response).await, "1 0");
    let response = test::call_service(&app, test::TestRequest::with_uri("/typed").to_request()).await;
    let cookies = response.headers().get_all("set-cookie").map(|value| value.to_str().unwrap());
    assert_eq!(names(cookies), ["cart"]);
    assert_eq!(test::read_body(response).await, "nobody hu");
}

#[rocket::get("/")]
fn page(user: Session, cart: Session<Cart>) -> String {
    put(&user, &cart)
}

#[rocket::get("/typed")]
fn typed(user: TypedSession<Visit>, cart: TypedSession<Visit, Cart>) -> String {
    put_typed(&user, &cart)
}

#[rocket::async_test]
async fn rocket_guards_with_it() {
    use express_session::rocket::SessionFairing;
    use rocket::local::asynchronous::Client;

    let quiet = rocket::Config { log_level: rocket::config::LogLevel::Off, ..rocket::Config::default() };
    let app = rocket::custom(quiet)
        .mount("/", rocket::routes![page, typed])
        .attach(SessionFairing::new(options("user")).unwrap())
        .attach(SessionFairing::new(options("cart")).unwrap().marked::<Cart>());
    let client = Client::untracked(app).await.unwrap();
    let response = client.get("/").dispatch().await;
    assert_eq!(names(response.headers().get("set-cookie")), ["user"]);
    assert_eq!(response.into_string().await.unwrap(), "1 0");
    let response = client.get("/typed").dispatch().await;
    assert_eq!(names(response.headers().get("set-cookie")), ["cart"]);
    assert_eq!(response.into_string().await.unwrap(), "nobody hu");
}
