//! A layer around the session layer that spoils what passes it: the faults that show in requests and responses.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};

use super::{Config, Fault};

/// Does what the configuration's `fault` says, and nothing without one.
pub async fn faulty_layer(State(config): State<Arc<Config>>, mut request: Request, next: Next) -> Response {
    if config.fault == Some(Fault::LastCookieCounts) {
        each(request.headers_mut(), &header::COOKIE, |line| {
            vec![line.split("; ").collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("; ")]
        });
    }
    let head = request.method() == Method::HEAD;
    let mut response = next.run(request).await;
    let Some(fault) = config.fault else { return response };
    let failed = response.status() == StatusCode::INTERNAL_SERVER_ERROR;
    let headers = response.headers_mut();
    match fault {
        Fault::HeaderRemoved => drop(headers.remove("x-a")),
        Fault::ContentTypeChanged => {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        }
        Fault::ErrorBecomesSuccess if failed => {
            *response.status_mut() = StatusCode::OK;
        }
        _ => each(headers, &header::SET_COOKIE, |line| match fault {
            Fault::CookieWithoutHttpOnly => vec![line.replace("; HttpOnly", "")],
            Fault::CookieTwice => vec![line.to_owned(), line.to_owned()],
            Fault::CookieExpiresASecondOff => vec![a_second_off(line)],
            Fault::CookieInLowerCaseHex => vec![line.replace("%3A", "%3a")],
            Fault::CookieNotWithHead if head => Vec::new(),
            _ => vec![line.to_owned()],
        }),
    }
    response
}

/// Other values for each of a header.
fn each(headers: &mut HeaderMap, name: &HeaderName, change: impl Fn(&str) -> Vec<String>) {
    let lines: Vec<HeaderValue> = headers.get_all(name).iter().cloned().collect();
    headers.remove(name);
    for line in lines {
        let Ok(text) = line.to_str() else {
            headers.append(name, line);
            continue;
        };
        for changed in change(text) {
            headers.extend(HeaderValue::try_from(changed).map(|changed| (name.clone(), changed)));
        }
    }
}

/// The last digit of the seconds is the next one.
fn a_second_off(line: &str) -> String {
    let Some(at) = line.find(" GMT") else { return line.to_owned() };
    let (before, after) = line.split_at(at);
    let (before, digit) = before.split_at(at - 1);
    let next = digit.parse::<u8>().map_or(0, |digit| (digit + 1) % 10);
    format!("{before}{next}{after}")
}
