//! A handler that changes its session while one of its operations is under way: every operation, every change, at every moment.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::{
    pin::Pin,
    task::{Context, Waker},
    time::Duration,
};

use common::{App, add, apps, done, polled};
use session_core::{Error, Exchange, SessionHandle};

const MONTH: Duration = Duration::from_secs(30 * 86_400);

type Task<T> = Pin<Box<dyn Future<Output = T>>>;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Op {
    Update,
    NoChange,
    Save,
    Reload,
    Renew,
    Regenerate,
    Destroy,
    End,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    Insert,
    Remove,
    MaxAge,
    Attribute,
    Touch,
    Unset,
    /// A logout that is given up.
    Destroy,
}

fn begin(op: Op, session: &SessionHandle) -> Task<Result<(), Error>> {
    let session = session.clone();
    Box::pin(async move {
        match op {
            Op::Update => add(&session).await.map(drop),
            Op::NoChange => session.transaction(|_| Ok(())).await,
            Op::Save => session.save().await,
            Op::Reload => session.reload().await,
            Op::Renew => session.renew_id().await,
            Op::Regenerate => session.regenerate().await,
            Op::Destroy => session.destroy().await,
            Op::End => unreachable!("the exchange's"),
        }
    })
}

fn change(change: Change, session: &SessionHandle) {
    // After a logout these are refused, which is said.
    let refused = |done: Result<(), Error>| assert!(matches!(done, Ok(()) | Err(Error::Destroyed)));
    match change {
        Change::Insert => refused(session.insert("late", 1)),
        Change::Remove => refused(session.remove("user").map(drop)),
        Change::MaxAge => refused(session.set_max_age(Some(MONTH))),
        Change::Attribute => refused(session.update_cookie(|cookie| cookie.set_http_only(false))),
        Change::Touch => refused(session.touch()),
        Change::Unset => session.unset(),
        Change::Destroy => _ = polled(1, session.destroy()),
    }
}

/// One run; false when the operation was done before that moment.
fn run(app: &App, express: bool, op: Op, made: Change, moment: usize, dirty: bool) -> bool {
    let what = format!("{op:?}, {made:?} at {moment}, {dirty}");
    let sid = app.log_in();
    let (exchange, session) = app.request(&sid);
    if dirty {
        session.insert("k", 1).unwrap();
    }
    let mut task: Task<Result<Option<Vec<String>>, Error>> = if op == Op::End {
        let exchange = exchange.clone();
        Box::pin(async move { Ok(Some(exchange.end().await?)) })
    } else {
        let task = begin(op, &session);
        Box::pin(async move { task.await.map(|()| None) })
    };
    for _ in 0..moment {
        if task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            return false;
        }
    }
    change(made, &session);
    let answer = done(task);
    let over = matches!(made, Change::Unset | Change::Destroy);
    assert!(answer.is_ok() || over && matches!(answer, Err(Error::Destroyed)), "{what}: {answer:?}");
    let was_refused = answer.is_err();
    let cookies = match answer {
        Ok(Some(cookies)) => cookies,
        _ => done(exchange.end()).unwrap(),
    };

    let held = app.held(&session.id().unwrap());
    if (op == Op::Destroy && !was_refused) || made == Change::Destroy {
        assert_eq!(app.records(), 0, "{what}");
        assert!(cookies.iter().all(|cookie| cookie.starts_with("sid=;")), "{what}: {cookies:?}");
        return true;
    }
    if made == Change::Unset {
        assert!(app.records() <= 1, "{what}");
        assert!(cookies.is_empty(), "{what}: {cookies:?}");
        if !matches!(op, Op::Renew | Op::Regenerate) {
            assert!(app.held(&sid).is_some(), "{what}: the record stays");
        }
        return true;
    }
    let Some(held) = held else {
        // What was regenerated and has nothing is not stored.
        assert!(op == Op::Regenerate && !session.contains("late"), "{what}");
        return true;
    };
    assert_eq!(app.records(), 1, "{what}");
    // The handler and the store agree.
    for key in ["late", "user", "k", "n"] {
        assert_eq!(held.data.get(key).map(str::to_owned), session.get_json(key), "{what}: {key}");
    }
    // Express stores a cookie with its data, or with the touch that was sent before.
    if express && op == Op::End && matches!(made, Change::MaxAge | Change::Attribute) {
        return true;
    }
    assert_eq!(held.cookie.original_max_age(), session.cookie().original_max_age(), "{what}");
    if !matches!(op, Op::Reload | Op::Regenerate) {
        assert_eq!(held.data.get("k").is_some(), dirty, "{what}");
        match made {
            Change::Insert => assert_eq!(held.data.get("late"), Some("1"), "{what}"),
            Change::Remove => assert_eq!(held.data.get("user"), None, "{what}"),
            Change::MaxAge => assert_eq!(held.cookie.original_max_age(), Some(MONTH), "{what}"),
            Change::Attribute => assert!(!held.cookie.http_only(), "{what}"),
            _ => {}
        }
    }
    true
}

#[test]
fn what_is_changed_beside_an_operation_is_stored_or_refused() {
    let ops =
        [Op::Update, Op::NoChange, Op::Save, Op::Reload, Op::Renew, Op::Regenerate, Op::Destroy, Op::End];
    let changes = [
        Change::Insert,
        Change::Remove,
        Change::MaxAge,
        Change::Attribute,
        Change::Touch,
        Change::Unset,
        Change::Destroy,
    ];
    let mut runs = 0;
    for express in [false, true] {
        for op in ops {
            for made in changes {
                for dirty in [false, true] {
                    for moment in 0..64 {
                        let [new, other] = apps();
                        let app = if express { other } else { new };
                        if !run(&app, express, op, made, moment, dirty) {
                            break;
                        }
                        runs += 1;
                    }
                }
            }
        }
    }
    assert!(runs > 500, "{runs}");
}

/// The end of a new session's request, brought to its own by a job that the handler has spawned, and dropped before it heard
/// of that.
fn with_an_unheard_end(app: &App) -> (Exchange, SessionHandle) {
    let (exchange, session) = app.ask(&[]);
    session.insert("user", "tj").unwrap();
    let mut end = Box::pin(exchange.end());
    assert!(end.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    done(session.save()).unwrap();
    drop(end);
    (exchange, session)
}

#[test]
fn an_end_that_was_not_heard_of_can_be_tried_again() {
    for app in apps() {
        let (exchange, session) = with_an_unheard_end(&app);
        session.insert("late", 1).unwrap();
        assert_eq!(done(exchange.end()).unwrap().len(), 1);
        assert_eq!(app.records(), 1);
        assert!(app.held(&session.id().unwrap()).unwrap().data.contains("late"));
    }
}

/// And if it is not, nobody has the cookie: what is saved later could not be found.
#[test]
fn after_an_end_that_was_not_heard_of_nothing_is_saved_that_nobody_finds() {
    for app in apps() {
        let (exchange, session) = with_an_unheard_end(&app);
        drop(exchange);
        assert!(matches!(done(add(&session)), Err(Error::ResponseOut)));
    }
}
