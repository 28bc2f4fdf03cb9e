//! The rules that cookie-session's own suite holds it to, shown through each adapter by its probe. `COVERAGE.md` says which test
//! answers which of its 42 titles. That every byte is the real one's is for the comparison with it, `client_side`.

#![allow(clippy::needless_pass_by_value, clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::{process::ExitCode, sync::LazyLock};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::Request,
};
use common::{ACTIX, AXUM, ROCKET};
use conformance::differential::{Program, client_side};
use express_session::{
    CookieSessionOptions, Error,
    axum::{Session, SessionError, SessionLayer},
};
use serde_json::{Value, json};
use test_support::tests;
use tower::ServiceExt as _;

fn main() -> ExitCode {
    tests! {
        free =>
            the_cookie_is_http_only_by_default,
            the_cookie_can_be_open_to_scripts,
            a_cookie_of_its_name_is_overwritten_by_default,
            a_cookie_of_its_name_can_be_left,
            the_cookie_can_have_another_name,
            with_keys_the_signature_is_a_cookie,
            with_keys_the_first_one_signs,
            with_keys_a_signed_session_is_read,
            with_keys_a_session_that_an_older_one_has_signed_is_read,
            with_keys_a_badly_signed_session_is_refused,
            with_keys_an_unsigned_session_is_refused,
            with_a_secret_the_signature_is_a_cookie,
            with_a_secret_that_is_what_signs,
            with_a_secret_a_signed_session_is_read,
            with_a_secret_a_badly_signed_session_is_refused,
            with_a_secret_an_unsigned_session_is_refused,
            without_keys_no_layer_is_built,
            unsigned_there_is_no_signature,
            unsigned_a_session_is_read_without_a_signature,
            unsigned_a_session_is_read_whatever_its_signature,
            a_secure_cookie_is_not_sent_over_an_insecure_connection,
            a_semicolon_in_a_session_comes_back,
            what_is_no_session_gets_a_new_one,
            a_new_session_that_nobody_asks_for_sets_no_cookie,
            a_new_session_without_data_sets_no_cookie,
            a_new_session_with_data_sets_its_cookie,
            a_session_that_nobody_asks_for_sets_no_cookie,
            a_session_that_is_read_is_the_one_that_was_saved,
            a_session_that_is_only_read_sets_no_cookie,
            a_session_that_is_changed_sets_its_cookie,
            a_session_that_is_unset_is_to_be_forgotten,
            a_session_that_is_unset_has_nothing_and_takes_nothing,
            a_session_replaced_by_an_empty_one_sets_no_cookie,
            a_session_can_be_replaced_by_an_object,
            a_replacement_with_a_reserved_name_is_an_error,
            a_replacement_that_is_no_object_is_an_error,
            a_new_session_is_not_populated,
            a_session_with_a_value_is_populated,
            a_session_that_is_read_is_populated,
            a_value_of_a_reserved_name_is_not_read,
            a_handler_sees_the_attributes_of_the_options_and_not_the_rest,
            a_handler_can_change_the_lifetime_of_its_cookie;
    }
    .run()
}

/// `{"user":"tj"}`
const SESSION: &str = "eyJ1c2VyIjoidGoifQ==";
/// Its signatures under the name `session`, by the keys *first*, *second* and *third*: SHA-1's, made by another program.
const BY_FIRST: &str = "b9Z-BrIEZCYiFIYs9u3oDRCEcyE";
const BY_SECOND: &str = "zRFixGjwYSAbISwR5--uDXZWXVo";
const BY_THIRD: &str = "zyD23g8bidh6gXObccN_yCi9pT4";

static PROBES: LazyLock<[(&str, Program); 3]> = LazyLock::new(|| {
    [("axum", AXUM), ("actix", ACTIX), ("rocket", ROCKET)].map(|(name, probe)| (name, Program::probe(probe)))
});

/// What a browser sends that has the session, signed by one of the keys.
fn signed_by(signature: &str) -> String {
    format!("session={SESSION}; session.sig={signature}")
}

/// A layer that signs by the first of two keys.
fn with_keys(options: Value) -> Value {
    with(options, json!({ "keys": ["first", "second"] }))
}

fn with_a_secret() -> Value {
    json!({ "secret": "first" })
}

fn unsigned(options: Value) -> Value {
    with(options, json!({ "signed": false }))
}

fn with(mut options: Value, more: Value) -> Value {
    options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    options
}

#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    results: Vec<Value>,
    set_cookie: Vec<String>,
}

impl Answer {
    fn value(&self, name: &str) -> Option<&str> {
        let mut pairs = self.set_cookie.iter().filter_map(|line| line.split(';').next()?.split_once('='));
        pairs.find_map(|(found, value)| (found == name).then_some(value))
    }

    /// What a browser without other cookies sends after this answer.
    fn cookies(&self) -> String {
        let pairs: Vec<_> = self.set_cookie.iter().filter_map(|line| line.split(';').next()).collect();
        pairs.join("; ")
    }

    fn sets_no_cookie(&self) -> bool {
        self.status == 200 && self.set_cookie.is_empty()
    }
}

/// 2 January 2026, 03:04:05.678
const NOW: &str = "1767323045678";

/// Asks each of the three adapters, which all give the same answer, and this is it.
fn ask_at(path: &str, options: &Value, cookies: &str, operations: Value) -> Answer {
    let config = with(options.clone(), json!({ "backend": "cookie", "clock": true }));
    let headers = [("x-now", NOW), ("cookie", cookies)];
    let headers = if cookies.is_empty() { &headers[..1] } else { &headers };
    let answers = PROBES.each_ref().map(|(name, probe)| {
        let answer = client_side::answer_of(probe, &config, path, headers, &operations);
        let (status, results, set_cookie) = answer.unwrap_or_else(|error| panic!("{name}: {error}"));
        Answer { status, results, set_cookie }
    });
    let [axum, actix, rocket] = answers;
    assert_eq!(axum, actix, "axum and actix");
    assert_eq!(axum, rocket, "axum and rocket");
    axum
}

fn ask(options: &Value, cookies: &str, operations: Value) -> Answer {
    ask_at("/", options, cookies, operations)
}

/// What a handler sees of the session that came.
fn seen(options: &Value, cookies: &str) -> Vec<Value> {
    ask(options, cookies, json!([["isNew"], ["get", "user"]])).results
}

fn known() -> Vec<Value> {
    vec![json!(false), json!("tj")]
}

fn unknown() -> Vec<Value> {
    vec![json!(true), json!(null)]
}

/// The operations of a login.
fn login() -> Value {
    json!([["set", "user", "tj"]])
}

fn is_error(result: &Value) -> bool {
    result["error"] == true
}

/// Both cookies of a login, with the attributes behind their values.
fn both(attributes: &str) -> [String; 2] {
    [format!("session={SESSION}{attributes}"), format!("session.sig={BY_FIRST}{attributes}")]
}

fn the_cookie_is_http_only_by_default() {
    let answer = ask(&with_keys(json!({})), "", json!([["set", "user", "tj"], ["cookie"]]));
    assert_eq!(answer.results[1]["httpOnly"], true);
    assert_eq!(answer.set_cookie, both("; path=/; httponly"));
}

fn the_cookie_can_be_open_to_scripts() {
    let options = with_keys(json!({ "httpOnly": false }));
    let answer = ask(&options, "", json!([["set", "user", "tj"], ["cookie"]]));
    assert_eq!(answer.results[1]["httpOnly"], false);
    assert_eq!(answer.set_cookie, both("; path=/"));
}

/// The handler sets a cookie of the session's name, and another.
fn with_cookies_of_the_handler(options: &Value) -> Answer {
    let theirs = |line: &str| json!(["header", "Set-Cookie", line]);
    ask(options, "", json!([theirs("session=theirs; path=/p"), theirs("other=1"), ["set", "user", "tj"]]))
}

fn a_cookie_of_its_name_is_overwritten_by_default() {
    let answer = with_cookies_of_the_handler(&with_keys(json!({})));
    let [session, signature] = both("; path=/; httponly");
    assert_eq!(answer.set_cookie, ["other=1".into(), session, signature]);
}

fn a_cookie_of_its_name_can_be_left() {
    let answer = with_cookies_of_the_handler(&with_keys(json!({ "overwrite": false })));
    let [session, signature] = both("; path=/; httponly");
    assert_eq!(answer.set_cookie, ["session=theirs; path=/p".into(), "other=1".into(), session, signature]);
}

fn the_cookie_can_have_another_name() {
    let options = with_keys(json!({ "name": "my.session" }));
    let answer = ask(&options, "", login());
    assert_eq!(answer.value("my.session"), Some(SESSION));
    assert!(answer.value("my.session.sig").is_some() && answer.value("session").is_none());
    assert_eq!(seen(&options, &answer.cookies()), known());
}

fn with_keys_the_signature_is_a_cookie() {
    let answer = ask(&with_keys(json!({})), "", login());
    assert_eq!(answer.status, 200);
    assert_eq!(answer.set_cookie.len(), 2);
    assert!(answer.value("session").is_some() && answer.value("session.sig").is_some());
}

fn with_keys_the_first_one_signs() {
    let answer = ask(&with_keys(json!({})), "", login());
    assert_eq!((answer.value("session"), answer.value("session.sig")), (Some(SESSION), Some(BY_FIRST)));
}

fn with_keys_a_signed_session_is_read() {
    assert_eq!(seen(&with_keys(json!({})), &signed_by(BY_FIRST)), known());
}

/// And signed anew by the first.
fn with_keys_a_session_that_an_older_one_has_signed_is_read() {
    let answer = ask(&with_keys(json!({})), &signed_by(BY_SECOND), json!([["isNew"], ["get", "user"]]));
    assert_eq!(answer.results, known());
    assert_eq!(answer.set_cookie, [format!("session.sig={BY_FIRST}; path=/; httponly")]);
}

/// By no key at all, and by one that the layer has not.
fn refuses_bad_signatures(options: &Value) {
    for signature in ["bogus", BY_THIRD] {
        let answer = ask(options, &signed_by(signature), json!([["isNew"], ["get", "user"]]));
        assert_eq!(answer.results, unknown());
        let forgotten = "session.sig=; path=/; expires=Thu, 01 Jan 1970 00:00:00 GMT; httponly";
        assert_eq!(answer.set_cookie, [forgotten]);
    }
}

fn with_keys_a_badly_signed_session_is_refused() {
    refuses_bad_signatures(&with_keys(json!({})));
}

fn with_keys_an_unsigned_session_is_refused() {
    assert_eq!(seen(&with_keys(json!({})), &format!("session={SESSION}")), unknown());
}

fn with_a_secret_the_signature_is_a_cookie() {
    let answer = ask(&with_a_secret(), "", login());
    assert_eq!(answer.status, 200);
    assert!(answer.value("session").is_some() && answer.value("session.sig").is_some());
}

fn with_a_secret_that_is_what_signs() {
    let answer = ask(&with_a_secret(), "", login());
    assert_eq!((answer.value("session"), answer.value("session.sig")), (Some(SESSION), Some(BY_FIRST)));
}

fn with_a_secret_a_signed_session_is_read() {
    assert_eq!(seen(&with_a_secret(), &signed_by(BY_FIRST)), known());
}

fn with_a_secret_a_badly_signed_session_is_refused() {
    refuses_bad_signatures(&with_a_secret());
    // Another layer's second key is none of this one's.
    assert_eq!(seen(&with_a_secret(), &signed_by(BY_SECOND)), unknown());
}

fn with_a_secret_an_unsigned_session_is_refused() {
    assert_eq!(seen(&with_a_secret(), &format!("session={SESSION}")), unknown());
}

fn without_keys_no_layer_is_built() {
    for (name, probe) in PROBES.iter() {
        let refused = client_side::answer_of(probe, &json!({ "backend": "cookie" }), "/", &[], &json!([]));
        let reason = refused.unwrap_err();
        assert!(reason.contains("option keys: there is none"), "{name}: {reason}");
    }
}

fn unsigned_there_is_no_signature() {
    let answer = ask(&unsigned(json!({})), "", login());
    assert_eq!(answer.status, 200);
    assert_eq!(answer.set_cookie, [format!("session={SESSION}; path=/; httponly")]);
}

fn unsigned_a_session_is_read_without_a_signature() {
    assert_eq!(seen(&unsigned(json!({})), &format!("session={SESSION}")), known());
}

fn unsigned_a_session_is_read_whatever_its_signature() {
    let answer = ask(&unsigned(json!({})), &signed_by("bogus"), json!([["isNew"], ["get", "user"]]));
    assert_eq!(answer.results, known());
    assert!(answer.sets_no_cookie(), "nobody looks at it");
}

fn a_secure_cookie_is_not_sent_over_an_insecure_connection() {
    let options = with_keys(json!({ "secure": true }));
    // `set` succeeds, and the handler's response goes out.
    let answer = ask(&options, "", login());
    assert_eq!(answer.results, [json!(null)]);
    assert!(answer.sets_no_cookie());
}

fn a_semicolon_in_a_session_comes_back() {
    let options = with_keys(json!({}));
    let answer = ask(&options, "", json!([["set", "text", "a; b=c;"], ["status", 204]]));
    assert_eq!(answer.status, 204);
    let answer = ask(&options, &answer.cookies(), json!([["get", "text"]]));
    assert_eq!(answer.results, [json!("a; b=c;")]);
}

fn what_is_no_session_gets_a_new_one() {
    let options = unsigned(json!({ "name": "my.session" }));
    for value in ["bogus", "", "e30", "bm8ganNvbg=="] {
        let is_session = value == "e30";
        let answer = ask(&options, &format!("my.session={value}"), json!([["isNew"]]));
        assert_eq!((answer.status, &answer.results[..]), (200, &[json!(!is_session)][..]), "{value}");
    }
}

/// `/none` is a route that never asks for the session.
fn a_new_session_that_nobody_asks_for_sets_no_cookie() {
    assert!(ask_at("/none", &with_keys(json!({})), "", json!([])).sets_no_cookie());
}

fn a_new_session_without_data_sets_no_cookie() {
    let answer = ask(&with_keys(json!({})), "", json!([["keys"], ["get", "user"]]));
    assert_eq!(answer.results, [json!([]), json!(null)]);
    assert!(answer.sets_no_cookie());
}

fn a_new_session_with_data_sets_its_cookie() {
    let answer = ask(&with_keys(json!({})), "", login());
    assert_eq!((answer.status, answer.value("session")), (200, Some(SESSION)));
}

fn a_session_that_nobody_asks_for_sets_no_cookie() {
    let options = with_keys(json!({}));
    assert!(ask_at("/none", &options, &signed_by(BY_FIRST), json!([])).sets_no_cookie());
    // Nor is a signature judged that nobody asks about.
    assert!(ask_at("/none", &options, &signed_by("bogus"), json!([])).sets_no_cookie());
}

fn a_session_that_is_read_is_the_one_that_was_saved() {
    let options = with_keys(json!({}));
    let saved = ask(&options, "", login());
    assert_eq!(seen(&options, &saved.cookies()), known());
}

fn a_session_that_is_only_read_sets_no_cookie() {
    let options = with_keys(json!({}));
    let saved = ask(&options, "", login());
    let answer = ask(&options, &saved.cookies(), json!([["get", "user"]]));
    assert_eq!(answer.results, [json!("tj")]);
    assert!(answer.sets_no_cookie());
}

fn a_session_that_is_changed_sets_its_cookie() {
    let options = with_keys(json!({}));
    let saved = ask(&options, "", login());
    let changed = ask(&options, &saved.cookies(), json!([["set", "role", "admin"]]));
    assert_ne!(changed.value("session").unwrap(), SESSION);
    assert_ne!(changed.value("session.sig").unwrap(), BY_FIRST);
    let answer = ask(&options, &changed.cookies(), json!([["get", "user"], ["get", "role"]]));
    assert_eq!(answer.results, [json!("tj"), json!("admin")]);
}

/// Whether it came with the request or not.
fn a_session_that_is_unset_is_to_be_forgotten() {
    for cookies in ["", &signed_by(BY_FIRST)] {
        let answer = ask(&with_keys(json!({})), cookies, json!([["unset"]]));
        assert_eq!((answer.status, answer.set_cookie.len()), (200, 2));
        let over = "; path=/; expires=Thu, 01 Jan 1970 00:00:00 GMT; httponly";
        assert_eq!(answer.set_cookie[0], format!("session={over}"));
        assert!(answer.set_cookie[1].starts_with("session.sig=") && answer.set_cookie[1].ends_with(over));
    }
}

/// The value that a handler holds stays: there is no null to take its place.
fn a_session_that_is_unset_has_nothing_and_takes_nothing() {
    let operations = json!([["unset"], ["get", "user"], ["set", "user", "other"], ["isNew"]]);
    let answer = ask(&with_keys(json!({})), &signed_by(BY_FIRST), operations);
    assert_eq!((answer.status, answer.value("session")), (200, Some("")));
    assert!(answer.results[1..].iter().all(is_error), "{answer:?}");
    // The probe has asked `is_destroyed`. Without that question:
    let told = in_process(async |session: Session| {
        session.insert("user", "tj")?;
        session.unset();
        let read = session.get::<String>("user")?;
        let is_refused = matches!(session.insert("user", "other"), Err(Error::Destroyed));
        Ok(format!("{} {read:?} {is_refused}", session.is_destroyed()))
    });
    assert_eq!(told, (200, "true None true".into()));
}

fn a_session_replaced_by_an_empty_one_sets_no_cookie() {
    assert!(ask(&with_keys(json!({})), "", json!([["replace", {}]])).sets_no_cookie());
}

fn a_session_can_be_replaced_by_an_object() {
    let options = with_keys(json!({}));
    let replaced = ask(&options, "", json!([["replace", { "user": "tj", "role": "admin" }], ["isNew"]]));
    assert_eq!((replaced.status, &replaced.results[..]), (200, &[json!(null), json!(true)][..]));
    let answer = ask(&options, &replaced.cookies(), json!([["keys"], ["isNew"]]));
    assert_eq!(answer.results, [json!(["user", "role"]), json!(false)]);
}

/// And of its other values none is taken.
fn a_replacement_with_a_reserved_name_is_an_error() {
    for name in ["isChanged", "isNew", "isPopulated", "_ctx", "toString"] {
        let operations = json!([["replace", { "user": "other", name: false }], ["isNew"], ["get", "user"]]);
        let answer = ask(&with_keys(json!({})), &signed_by(BY_FIRST), operations);
        assert!(is_error(&answer.results[0]), "{name}: {answer:?}");
        assert_eq!(answer.results[1..], known(), "{name}");
        assert!(answer.sets_no_cookie(), "{name}");
    }
}

fn a_replacement_that_is_no_object_is_an_error() {
    for value in [json!("text"), json!(5), json!(true)] {
        let operations = json!([["replace", value], ["isNew"], ["get", "user"]]);
        let answer = ask(&with_keys(json!({})), &signed_by(BY_FIRST), operations);
        assert!(is_error(&answer.results[0]), "{answer:?}");
        assert_eq!(answer.results[1..], known());
        assert!(answer.sets_no_cookie());
    }
    // The probe has refused it itself. The error of `replace`, handed on:
    let told = in_process(async |session: Session| {
        session.replace(&"text")?;
        Ok("replaced".into())
    });
    assert_eq!(told, (500, String::new()));
}

fn a_new_session_is_not_populated() {
    let answer = ask(&with_keys(json!({})), "", json!([["isPopulated"]]));
    assert_eq!(answer.results, [json!(false)]);
}

fn a_session_with_a_value_is_populated() {
    let answer = ask(&with_keys(json!({})), "", json!([["set", "user", "tj"], ["isPopulated"]]));
    assert_eq!(answer.results[1], true);
}

fn a_session_that_is_read_is_populated() {
    let cookies = format!("session={SESSION}");
    assert_eq!(ask(&unsigned(json!({})), &cookies, json!([["isPopulated"]])).results, [json!(true)]);
}

/// `{"isPopulated":false,"user":"tj"}`
fn a_value_of_a_reserved_name_is_not_read() {
    let cookies = "session=eyJpc1BvcHVsYXRlZCI6ZmFsc2UsInVzZXIiOiJ0aiJ9";
    let operations = json!([["isPopulated"], ["keys"], ["get", "isPopulated"]]);
    let answer = ask(&unsigned(json!({})), cookies, operations);
    assert_eq!(answer.results, [json!(true), json!(["user"]), json!(null)]);
}

fn a_handler_sees_the_attributes_of_the_options_and_not_the_rest() {
    let options = with_keys(json!({ "name": "my.session", "path": "/app", "domain": "example.com" }));
    let operations = json!([["cookie"], ["options", { "name": "other" }], ["set", "user", "tj"]]);
    let answer = ask(&options, "", operations);
    let cookie = &answer.results[0];
    assert_eq!((&cookie["path"], &cookie["domain"]), (&json!("/app"), &json!("example.com")));
    assert!(cookie.get("name").is_none() && is_error(&answer.results[1]));
    assert_eq!(answer.value("my.session"), Some(SESSION));
}

/// For one response.
fn a_handler_can_change_the_lifetime_of_its_cookie() {
    let options = with_keys(json!({ "maxAge": 3_600_000 }));
    let longer = json!([["options", { "maxAge": 6_500_000 }], ["set", "user", "tj"]]);
    for (operations, time) in [(login(), "04:04:05"), (longer, "04:52:25"), (login(), "04:04:05")] {
        let answer = ask(&options, "", operations);
        assert_eq!(
            answer.set_cookie,
            both(&format!("; path=/; expires=Fri, 02 Jan 2026 {time} GMT; httponly"))
        );
    }
}

/// What a handler behind the axum layer answers: for what the protocol of the probes has no words.
fn in_process<F, A>(handler: F) -> (u16, String)
where
    F: Fn(Session) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Result<String, SessionError>> + Send + 'static,
{
    let layer = SessionLayer::new(CookieSessionOptions::express(["first"])).unwrap();
    let app = Router::new().fallback(handler).layer(layer);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let response = app.oneshot(Request::new(Body::empty())).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.into()).unwrap())
    })
}
