//! The operations of the probe protocol, on the session that a framework's adapter gave; and `["now", ms]`, which moves the
//! clock within a request, `["stream"]`, which has the answer sent in chunks, and `["wait", gate]`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use express_session::{AdminStore, Clock, Cookie, Error, Priority, SameSite, SessionHandle, Sid, StoreError};

use super::{Reply, client_side::replace, config::Config, faults::Fault, gates, javascript::Value};

/// `[name, argument, …]`
pub(super) type Operation = OperationOf;

/// The name and the arguments of one operation, or what was sent instead.
#[derive(Debug, serde::Deserialize)]
#[serde(transparent)]
pub(super) struct OperationOf(Value);

/// The JSON text of a result, or the message of an error.
type Outcome = Result<String, String>;

const NULL: &str = "null";

impl OperationOf {
    /// The handler ends here, with an error.
    pub(super) fn throws(&self) -> bool {
        matches!(&self.0, Value::Array(parts) if parts.first().and_then(Value::as_str) == Some("throw"))
    }

    pub(super) async fn perform(
        &self,
        config: &Config,
        session: Option<&SessionHandle>,
        reply: &mut Reply,
    ) -> Outcome {
        let Value::Array(parts) = &self.0 else { return Err("an operation is an array".into()) };
        let argument = |at: usize| parts.get(at).unwrap_or(&Value::Null);
        let text = |at: usize| argument(at).as_str().ok_or(format!("argument {at} is no string"));
        let number = |at: usize| argument(at).as_number().ok_or(format!("argument {at} is no number"));
        let name = text(0)?;
        match name {
            "status" => reply.status = whole(number(1)?),
            "header" => reply.headers.push((text(1)?.into(), text(2)?.into())),
            "wait" => gates::wait(text(1)?).await,
            "stream" => reply.streamed = true,
            "sleep" => tokio::time::sleep(Duration::from_millis(whole(number(1)?))).await,
            "now" => {
                #[expect(clippy::cast_possible_truncation, reason = "whole milliseconds")]
                let moved = config.clock.put_millis(number(1)? as i64);
                moved.then_some(()).ok_or("the clock is the real one")?;
            }
            "store" => return on_store(config.store.as_ref(), text(1)?, text(2).ok()).await.map_err(words),
            "unset" if config.fault == Some(Fault::UnsetKeeps) => {}
            "unset" => session.iter().for_each(|session| session.unset()),
            "options" => {
                let session = session.ok_or("the request has no session")?;
                return set_attributes(session, argument(1), &config.clock.clock());
            }
            "replace" => replace(session.ok_or("the request has no session")?, argument(1))?,
            _ => {
                let present = session.filter(|session| !session.is_destroyed());
                let session = present.ok_or("the request has no session")?;
                if let Some(result) = config.fault.and_then(|fault| instead(fault, name, session)) {
                    return result;
                }
                return on_session(session, name, parts, &config.clock.clock()).await;
            }
        }
        Ok(NULL.into())
    }
}

/// What a probe with a fault does.
fn instead(fault: Fault, name: &str, session: &SessionHandle) -> Option<Outcome> {
    match (fault, name) {
        (Fault::RegenerateKeepsId, "regenerate") => {
            Some(session.clear().map(|()| NULL.into()).map_err(words))
        }
        (Fault::ReloadDoesNothing, "reload") | (Fault::ExplicitSaveDoesNothing, "save") => {
            Some(Ok(NULL.into()))
        }
        _ => None,
    }
}

async fn on_session(session: &SessionHandle, name: &str, parts: &[Value], clock: &Clock) -> Outcome {
    let argument = |at: usize| parts.get(at).unwrap_or(&Value::Null);
    let key = || argument(1).as_str().ok_or("the key is no string");
    let done = |result: Result<(), Error>| result.map(|()| NULL.to_owned()).map_err(words);
    match name {
        "get" => Ok(session.get_json(key()?).unwrap_or_else(|| NULL.into())),
        "set" => done(session.insert(key()?, argument(2))),
        "del" => done(session.remove(key()?).map(drop)),
        "keys" => serde_json::to_string(&session.keys()).map_err(words),
        "id" => serde_json::to_string(session.id().map_err(words)?.as_str()).map_err(words),
        "cookie" => Ok(session.cookie_json()),
        "maxAge" => done(max_age(session, argument(1), clock)),
        // What Node's `touch` calls, and no more.
        "touch" | "resetMaxAge" => done(session.touch()),
        "isNew" => Ok(session.is_new().to_string()),
        "isPopulated" => Ok((!session.is_empty()).to_string()),
        "cookieSet" => set_attribute(session, argument(1), argument(2)),
        "save" => done(session.save().await),
        "reload" => done(session.reload().await),
        "regenerate" => done(session.regenerate().await),
        "destroy" => done(session.destroy().await),
        "renew" => done(session.renew_id().await),
        "add" => {
            let n = argument(2).as_number().ok_or("the summand is no number")?;
            let sum = session.update(key()?, |value: Option<f64>| value.unwrap_or(0.0) + n).await;
            sum.map_err(words)?;
            Ok(session.get_json(key()?).unwrap_or_else(|| NULL.into()))
        }
        "addAll" => add_all(session, argument(1)).await,
        "take" => {
            let key = key()?;
            let taken = session.transaction(|draft| {
                let json = draft.data().get(key).map(String::from);
                draft.remove(key);
                Ok::<_, Error>(json)
            });
            Ok(taken.await.map_err(words)?.unwrap_or_else(|| NULL.into()))
        }
        unknown => Err(format!("unknown operation {unknown:?}")),
    }
}

/// Several keys in one atomic change; answers the new values by key.
async fn add_all(session: &SessionHandle, summands: &Value) -> Outcome {
    let Value::Object(summands) = summands else { return Err("the summands are no object".into()) };
    let summand = |(key, n): &(String, Value)| n.as_number().map(|n| (key.clone(), n));
    let summands: Vec<(String, f64)> =
        summands.iter().map(summand).collect::<Option<_>>().ok_or("a summand is no number")?;
    let sums = session.transaction(|draft| {
        let mut sums = Vec::new();
        for (key, n) in &summands {
            draft.insert(key, draft.get::<f64>(key)?.unwrap_or(0.0) + n)?;
            // As JavaScript prints it: 1, not 1.0.
            sums.push((key.clone(), draft.data().get(key).unwrap_or(NULL).to_owned()));
        }
        Ok::<_, Error>(sums)
    });
    let sums = sums.await.map_err(words)?;
    let members = sums.into_iter().map(|(key, json)| format!("{}:{json}", serde_json::Value::from(key)));
    Ok(format!("{{{}}}", members.collect::<Vec<_>>().join(",")))
}

fn max_age(session: &SessionHandle, argument: &Value, clock: &Clock) -> Result<(), Error> {
    match argument.as_number() {
        None => session.set_max_age(None),
        // A lifetime that is over already has no Duration.
        Some(ms) if ms < 0.0 => session.set_expires(Some(clock.now() - Duration::from_millis(whole(-ms)))),
        Some(ms) => session.set_max_age(Some(Duration::from_millis(whole(ms)))),
    }
}

/// What changing `req.sessionOptions` does.
fn set_attributes(session: &SessionHandle, attributes: &Value, clock: &Clock) -> Outcome {
    let Value::Object(attributes) = attributes else { return Err("the attributes are no object".into()) };
    for (name, value) in attributes {
        match name.as_str() {
            "maxAge" => max_age(session, value, clock).map_err(words)?,
            _ => drop(set_attribute(session, &Value::String(name.clone()), value)?),
        }
    }
    Ok(NULL.into())
}

fn set_attribute(session: &SessionHandle, attribute: &Value, value: &Value) -> Outcome {
    let change: Box<dyn FnOnce(&mut Cookie)> = match (attribute.as_str().unwrap_or_default(), value) {
        ("expires", Value::Null) => return set_expires(session, None),
        #[expect(clippy::cast_possible_truncation, reason = "whole milliseconds")]
        ("expires", Value::Number(ms)) => return set_expires(session, Some(time(*ms as i64))),
        ("path", Value::String(path)) => {
            let path = path.clone();
            Box::new(move |cookie| cookie.set_path(&path))
        }
        ("domain", Value::String(domain)) => {
            let domain = domain.clone();
            Box::new(move |cookie| cookie.set_domain(Some(&domain)))
        }
        ("secure", Value::Boolean(secure)) => {
            let secure = *secure;
            Box::new(move |cookie| cookie.set_secure(secure))
        }
        ("httpOnly", Value::Boolean(http_only)) => {
            let http_only = *http_only;
            Box::new(move |cookie| cookie.set_http_only(http_only))
        }
        ("partitioned", Value::Boolean(partitioned)) => {
            let partitioned = *partitioned;
            Box::new(move |cookie| cookie.set_partitioned(partitioned))
        }
        ("sameSite", Value::Boolean(strict)) => {
            let word = strict.then_some(SameSite::Strict);
            Box::new(move |cookie| cookie.set_same_site(word))
        }
        ("sameSite", Value::String(word)) => {
            let word = named(
                &[("strict", SameSite::Strict), ("lax", SameSite::Lax), ("none", SameSite::None)],
                word,
            )?;
            Box::new(move |cookie| cookie.set_same_site(Some(word)))
        }
        ("priority", Value::String(word)) => {
            let word = named(
                &[("low", Priority::Low), ("medium", Priority::Medium), ("high", Priority::High)],
                word,
            )?;
            Box::new(move |cookie| cookie.set_priority(Some(word)))
        }
        _ => return Err("no such value of a cookie's attribute".into()),
    };
    session.update_cookie(change).map(|()| NULL.into()).map_err(words)
}

fn set_expires(session: &SessionHandle, expires: Option<SystemTime>) -> Outcome {
    session.set_expires(expires).map(|()| NULL.into()).map_err(words)
}

fn named<T: Copy>(words: &[(&str, T)], word: &str) -> Result<T, String> {
    let known = words.iter().find(|(known, _)| *known == word);
    known.map(|(_, meaning)| *meaning).ok_or_else(|| "no such word".into())
}

/// Milliseconds since 1970 as a time.
pub(super) fn time(millis: i64) -> SystemTime {
    let distance = Duration::from_millis(millis.unsigned_abs());
    if millis < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}

async fn on_store(store: &dyn AdminStore, verb: &str, sid: Option<&str>) -> Result<String, StoreError> {
    let sid = Sid::from(sid.unwrap_or_default());
    Ok(match verb {
        "length" => store.length().await?.to_string(),
        "get" => store.get(&sid).await?.map_or(NULL.into(), |stored| stored.record.to_json()),
        "all" => {
            let mut count = 0;
            store.all(&mut |_, _| count += 1).await?;
            count.to_string()
        }
        verb => {
            match verb {
                "clear" => store.clear().await?,
                "destroy" => _ = store.destroy(&sid, &express_session::Expect::Anything).await?,
                _ => return Err(StoreError::unavailable("probe", "unknown store operation")),
            }
            NULL.into()
        }
    })
}

/// The whole part of a JavaScript number, in any of Rust's unsigned types; zero where it does not fit.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn whole<T: TryFrom<u64> + Default>(number: f64) -> T {
    T::try_from(number as u64).unwrap_or_default()
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}
