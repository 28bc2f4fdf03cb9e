//! A site with a cookie and with a field of a form, and a shop of another origin to which its visitors go by a URL.

use axum::{
    Extension, Form, Router,
    http::{StatusCode, Uri, header},
    response::{Html, IntoResponse, Redirect},
    routing::{get, post},
};
use express_session::{
    Carrier, Options, OptionsError, Session, SessionHandle, Sessions,
    axum::{SessionError, SessionLayer},
};

type Answer<T> = Result<T, SessionError>;

/// Two origins on one store: each with a cookie and a secret of its own.
pub(crate) fn apps(site: Options, shop: Options, shop_url: &str) -> Result<(Router, Router), OptionsError> {
    // For the quiz nobody is sent a cookie. A new session's token also goes out in this header, for a script that likes it better.
    let quiz = site.clone().carriers([Carrier::header("x-session")]).build()?;
    let quiz = Router::new()
        .route("/quiz", get(begin).post(answer))
        .layer(SessionLayer::from(quiz.clone()))
        .layer(Extension(quiz));
    let site = Router::new()
        .route("/", get(home))
        .route("/login", post(log_in))
        .route("/to-shop", post(to_shop))
        .layer(SessionLayer::new(site)?)
        .layer(Extension(ShopUrl(shop_url.into())))
        .merge(quiz);
    let shop = shop.build()?;
    let shop = Router::new()
        .route("/", get(shop_home))
        .route("/arrive", get(arrive))
        .layer(SessionLayer::from(shop.clone()))
        .layer(Extension(shop));
    Ok((site, shop))
}

#[derive(Clone)]
struct ShopUrl(String);

fn page(title: &str, content: &str) -> Html<String> {
    let escaped = title.replace('&', "&amp;").replace('<', "&lt;");
    Html(include_str!("page.html").replace("{{title}}", &escaped).replace("{{content}}", content))
}

fn user(session: &SessionHandle) -> Answer<String> {
    Ok(session.get("user")?.unwrap_or_else(|| "nobody".into()))
}

// The first way: a cookie. The browser keeps it and sends it by itself.

async fn home(session: Session) -> Answer<Html<String>> {
    let content = r#"<form method="post" action="/login"><input name="user" required><button>Log in</button></form>
<form method="post" action="/to-shop"><button>To the shop</button></form>
<a href="/quiz">A quiz without cookies</a>"#;
    Ok(page(&format!("{} is logged in", user(&session)?), content))
}

#[derive(serde::Deserialize)]
struct Login {
    user: String,
}

async fn log_in(session: Session, Form(login): Form<Login>) -> Answer<Redirect> {
    session.renew_id().await?;
    session.insert("user", login.user)?;
    Ok(Redirect::to("/"))
}

// The second way: a hidden field. The page brings the token back itself, in the body of a `POST`: no URL, log or history has it.

async fn begin(session: Session) -> Answer<impl IntoResponse> {
    session.insert("score", 0)?;
    // Before the page can name it, it must be there.
    session.save().await?;
    quiz_page(&session)
}

#[derive(serde::Deserialize)]
struct Answered {
    session: String,
    answer: String,
}

async fn answer(
    Extension(sessions): Extension<Sessions>,
    Form(answered): Form<Answered>,
) -> Answer<Result<impl IntoResponse, StatusCode>> {
    let Some(session) = sessions.resume(&answered.session).await? else {
        return Ok(Err(StatusCode::FORBIDDEN));
    };
    let is_right = answered.answer.trim() == "4";
    session.update("score", |score: Option<u32>| score.unwrap_or(0) + u32::from(is_right)).await?;
    quiz_page(&session).map(Ok)
}

fn quiz_page(session: &SessionHandle) -> Answer<impl IntoResponse + use<>> {
    let (score, token) = (session.get::<u32>("score")?.unwrap_or(0), session.token()?.unwrap_or_default());
    // A token has no character that HTML would take for its own.
    let content = format!(
        r#"<form method="post" action="/quiz"><input type="hidden" name="session" value="{token}">
<label>2 + 2 = <input name="answer" required></label><button>Answer</button></form>"#
    );
    // The page is the credential now: no cache may keep it.
    Ok(([(header::CACHE_CONTROL, "no-store")], page(&format!("{score} right"), &content)))
}

// The third way: a URL, to another origin, which no cookie of ours reaches. It has a code that works once, and for seconds: what stays of
// it in histories and logs opens nothing.

async fn to_shop(
    session: Session,
    Extension(ShopUrl(shop)): Extension<ShopUrl>,
) -> Answer<impl IntoResponse> {
    let code = session.hand_over(std::time::Duration::from_secs(30)).await?;
    let headers = [(header::REFERRER_POLICY, "no-referrer"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Redirect::to(&format!("{shop}/arrive?code={code}"))))
}

async fn arrive(
    session: Session,
    Extension(sessions): Extension<Sessions>,
    uri: Uri,
) -> Answer<Result<Redirect, StatusCode>> {
    let code = uri.query().and_then(|query| query.strip_prefix("code=")).unwrap_or_default();
    let Some(there) = sessions.redeem(code).await? else { return Ok(Err(StatusCode::FORBIDDEN)) };
    // From here on it is a cookie of this origin, under an id that nobody knew before.
    session.regenerate().await?;
    session.insert("user", there.get::<String>("user")?)?;
    // And away from the URL with the code.
    Ok(Ok(Redirect::to("/")))
}

async fn shop_home(session: Session) -> Answer<Html<String>> {
    Ok(page(&format!("The shop: {} is logged in", user(&session)?), ""))
}
