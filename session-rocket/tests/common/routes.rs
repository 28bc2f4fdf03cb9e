//! The application of the adapter contract on Rocket.

use rocket::{
    Build, Data, Rocket, catch, catchers,
    data::ToByteUnit,
    get,
    http::{Cookie, CookieJar, Status, uri::Origin},
    post,
    response::{
        Responder,
        stream::{ByteStream, TextStream},
    },
    routes,
    tokio::io::sink,
};
use session_rocket::{MaybeSession, Session, SessionError, SessionFairing, TypedSession};
use session_testkit::adapter::{
    self, Basket, Layers, MEGABYTES, Second, answer, later, meanwhile, megabyte, twice,
};

/// The outermost is attached first.
pub(crate) fn layered(rocket: Rocket<Build>, layers: Layers) -> Rocket<Build> {
    let rocket = match layers.second {
        Some(second) => rocket.attach(SessionFairing::from(second).marked::<Second>()),
        None => rocket,
    };
    layers.nested.into_iter().fold(rocket, |rocket, sessions| rocket.attach(SessionFairing::from(sessions)))
}

pub(crate) fn custom(config: rocket::Config) -> Rocket<Build> {
    rocket::custom(rocket::Config { log_level: rocket::config::LogLevel::Off, ..config })
        .mount(
            "/",
            routes![
                none,
                optional,
                both,
                streamed,
                megabytes,
                upload,
                nothing,
                unchanged,
                panics,
                error,
                cookie,
                headed,
                spawn,
                second,
                side_by_side,
                typed,
                typed_second,
                posted,
                unasked,
                plain
            ],
        )
        .mount("/mounted", routes![optional])
        .register("/", catchers![teapot])
}

type Answer<T = String> = Result<T, SessionError>;

#[get("/none")]
fn none() -> &'static str {
    "none"
}

#[get("/<_..>", rank = 20)]
async fn plain(session: Session, uri: &Origin<'_>) -> Answer {
    Ok(answer(&session, uri.path().as_str()).await?)
}

#[post("/<_..>")]
async fn posted(session: Session, uri: &Origin<'_>) -> Answer {
    Ok(answer(&session, uri.path().as_str()).await?)
}

#[get("/second/<_..>")]
async fn second(session: Session<Second>, uri: &Origin<'_>) -> Answer {
    Ok(answer(&session, uri.path().as_str()).await?)
}

#[get("/both/<_..>")]
async fn side_by_side(first: Session, second: Session<Second>, uri: &Origin<'_>) -> Answer {
    Ok(adapter::both(&first, &second, uri.path().as_str()).await?)
}

#[get("/typed/<_..>", rank = 10)]
async fn typed(basket: TypedSession<Basket>, uri: &Origin<'_>) -> Answer {
    Ok(adapter::typed(&basket, uri.path().as_str()).await?)
}

#[get("/typed/second/<_..>")]
async fn typed_second(basket: TypedSession<Basket, Second>, uri: &Origin<'_>) -> Answer {
    Ok(adapter::typed(&basket, uri.path().as_str()).await?)
}

#[get("/unasked/<_..>")]
async fn unasked(uri: &Origin<'_>) {
    adapter::unasked(uri.path().as_str()).await;
}

#[get("/optional")]
fn optional(session: MaybeSession) -> &'static str {
    if session.is_some() { "some" } else { "none" }
}

#[get("/twice/<_..>")]
async fn both(one: Session, other: Session, uri: &Origin<'_>) -> Answer {
    answer(&one, uri.path().as_str()).await?;
    Ok(twice(&one, &other))
}

#[get("/stream/<_..>")]
async fn streamed<'r>(session: Session, uri: &'r Origin<'_>) -> Answer<TextStream![String + 'r]> {
    let text = answer(&session, uri.path().as_str()).await?;
    Ok(TextStream! {
        for piece in text.chars() {
            yield piece.to_string();
        }
        yield meanwhile(session.into_handle(), uri.path().as_str()).await.to_owned();
    })
}

#[get("/megabytes/<_..>")]
async fn megabytes(session: Session, uri: &Origin<'_>) -> Answer<ByteStream![Vec<u8>]> {
    let text = answer(&session, uri.path().as_str()).await?;
    Ok(ByteStream! {
        yield text.into_bytes();
        for _ in 0..MEGABYTES {
            yield megabyte();
        }
    })
}

#[post("/upload/<_..>", data = "<body>")]
async fn upload(session: Session, uri: &Origin<'_>, body: Data<'_>) -> Answer {
    let length = body.open(64.mebibytes()).stream_to(sink()).await.unwrap().written;
    Ok(format!("{length} {}", answer(&session, uri.path().as_str()).await?))
}

#[get("/nothing/<_..>")]
async fn nothing(session: Session, uri: &Origin<'_>) -> Answer<Status> {
    answer(&session, uri.path().as_str()).await?;
    Ok(Status::NoContent)
}

#[get("/unchanged/<_..>")]
async fn unchanged(session: Session, uri: &Origin<'_>) -> Answer<(Status, ())> {
    answer(&session, uri.path().as_str()).await?;
    Ok((Status::NotModified, ()))
}

#[get("/panics/<_..>")]
async fn panics(session: Session, uri: &Origin<'_>) -> Answer {
    answer(&session, uri.path().as_str()).await?;
    panic!("a mistake")
}

#[get("/error/<_..>")]
async fn error(session: Session, uri: &Origin<'_>) -> Answer<(Status, String)> {
    Ok((Status::BadRequest, answer(&session, uri.path().as_str()).await?))
}

#[get("/cookie/<_..>")]
async fn cookie(session: Session, jar: &CookieJar<'_>, uri: &Origin<'_>) -> Answer {
    jar.add(Cookie::new("own", "1"));
    Ok(answer(&session, uri.path().as_str()).await?)
}

struct Headed(Vec<(String, String)>, String);

impl<'r> Responder<'r, 'static> for Headed {
    fn respond_to(self, request: &'r rocket::Request<'_>) -> rocket::response::Result<'static> {
        let mut response = self.1.respond_to(request)?;
        self.0.into_iter().for_each(|(name, value)| response.adjoin_raw_header(name, value));
        Ok(response)
    }
}

#[get("/headed/<_..>")]
async fn headed(session: Session, uri: &Origin<'_>) -> Answer<Headed> {
    let headers = adapter::headed(uri.query().map(|query| query.as_str()).unwrap_or_default());
    Ok(Headed(headers, answer(&session, uri.path().as_str()).await?))
}

#[get("/later/<_..>")]
async fn spawn(session: Session, uri: &Origin<'_>) -> Answer {
    let text = answer(&session, uri.path().as_str()).await?;
    rocket::tokio::spawn(later(session.into_handle()));
    Ok(text)
}

#[catch(418)]
async fn teapot(request: &rocket::Request<'_>) -> String {
    let session = request.guard::<Session>().await.unwrap();
    answer(&session, "/count").await.unwrap()
}
