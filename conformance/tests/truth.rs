//! The 3,328 rows of `data/truth-3328.json`: what express-session did with its store and its cookie over four ways of
//! arriving, thirteen things that a handler can do, and every combination of the options that matter. Here the driver does
//! the same. `req.session = null` and `delete req.session` are one call here, so that 3,072 of the runs are distinct ones.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

#[path = "express_suite/recorder.rs"]
mod recorder;

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use express_session::{
    CookieOptions, Error, Exchange, MemoryStore, Options, RequestInfo, Secret, SessionHandle, Sessions, Unset,
};
use percent_encoding::percent_decode_str;
use recorder::Recorder;
use serde::Deserialize;

const SECRET: &str = "keyboard cat";
const PRESENTED: &str = "presented";

/// One run: the axes, and what was observed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Row {
    kind: String,
    #[serde(rename = "mod")]
    action: String,
    max_age: String,
    unset: String,
    resave: u8,
    su: u8,
    rolling: u8,
    touchless: u8,
    ops: String,
    sc: String,
}

impl Row {
    fn options(&self) -> Options {
        let cookie = CookieOptions::new();
        let cookie = match self.max_age.as_str() {
            "y" => cookie.max_age(Duration::from_secs(60)),
            none => {
                assert_eq!(none, "n");
                cookie
            }
        };
        let unset = if self.unset == "destroy" { Unset::Destroy } else { Unset::Keep };
        Options::express(SECRET)
            .cookie(cookie)
            .unset(unset)
            .resave(self.resave == 1)
            .save_uninitialized(self.su == 1)
            .rolling(self.rolling == 1)
    }

    /// What the client sends.
    fn cookie(&self) -> Option<String> {
        let secret = match self.kind.as_str() {
            "none" => return None,
            "badsig" => "another cat",
            "unknown" | "existing" => SECRET,
            other => panic!("{other}"),
        };
        Some(format!("connect.sid=s:{}", Secret::new(secret).sign(PRESENTED)))
    }

    /// What the handler does.
    async fn act(&self, session: &SessionHandle) {
        for step in self.action.split('+') {
            match step {
                "nothing" => {}
                "set" => session.insert("views", 2).unwrap(),
                "cookie" => session.set_max_age(Some(Duration::from_secs(30))).unwrap(),
                "null" | "delete" => session.unset(),
                "save" => session.save().await.unwrap(),
                "destroy" => session.destroy().await.unwrap(),
                "regen" => session.regenerate().await.unwrap(),
                "reload" if self.kind == "existing" => session.reload().await.unwrap(),
                "reload" => assert!(matches!(session.reload().await, Err(Error::NotStored))),
                other => panic!("{other}"),
            }
        }
    }

    /// What is executed here: the same for two ways of Node's to let go of a session.
    fn execution(&self) -> Self {
        Self { action: self.action.replace("delete", "null"), ..self.clone() }
    }

    /// The store's verbs and the cookie, in the words of the columns `ops` and `sc`.
    async fn run(&self) -> (String, String) {
        let memory = Arc::new(MemoryStore::new());
        if self.kind == "existing" {
            let before =
                self.options().store(Arc::clone(&memory)).genid(|_| PRESENTED.into()).build().unwrap();
            let (_exchange, session) = begin(&before, None).await;
            session.insert("views", 1).unwrap();
            session.save().await.unwrap();
        }
        let recorder = Recorder::new(memory);
        let store = Arc::new(if self.touchless == 1 { recorder.without_touch() } else { recorder });
        let generated = AtomicUsize::new(0);
        let genid =
            move |_: &RequestInfo<'_>| format!("NEW{}", 1 + generated.fetch_add(1, Ordering::Relaxed)).into();
        let sessions = self.options().store(Arc::clone(&store)).genid(genid).build().unwrap();

        let (exchange, session) = begin(&sessions, self.cookie().as_deref()).await;
        self.act(&session).await;
        let cookies = exchange.end().await.unwrap();
        (or_none(store.take_calls().join(",")), or_none(cookies.iter().map(|cookie| short(cookie)).collect()))
    }
}

async fn begin(sessions: &Sessions, cookie: Option<&str>) -> (Exchange, SessionHandle) {
    let headers = |visit: &mut dyn FnMut(&str, &[u8])| {
        cookie.iter().for_each(|cookie| visit("cookie", cookie.as_bytes()));
    };
    let exchange = sessions.exchange();
    let session = exchange.session(&RequestInfo::new("/", false, &headers)).await.unwrap().unwrap();
    (exchange, session)
}

/// `1` and whose id the cookie carries.
fn short(set_cookie: &str) -> String {
    let value = set_cookie.strip_prefix("connect.sid=").and_then(|rest| rest.split(';').next()).unwrap();
    let value = percent_decode_str(value).decode_utf8().unwrap();
    let sid = Secret::new(SECRET).unsign(value.strip_prefix("s:").unwrap()).unwrap();
    format!("1{}", if sid == PRESENTED { "same" } else { sid })
}

fn or_none(words: String) -> String {
    if words.is_empty() { "-".into() } else { words }
}

#[tokio::test]
async fn the_driver_does_what_express_session_was_seen_to_do() {
    let rows: Vec<Row> = serde_json::from_str(include_str!("../data/truth-3328.json")).unwrap();
    let (mut compared, mut executed) = (HashSet::new(), HashSet::new());
    let mut different = Vec::new();
    for row in &rows {
        let (ops, sc) = row.run().await;
        if (&ops, &sc) != (&row.ops, &row.sc) {
            different.push(format!("{row:?}\n    here: ops {ops}, sc {sc}"));
        }
        compared.insert(row);
        executed.insert(row.execution());
    }
    assert!(different.is_empty(), "{} rows differ:\n{}", different.len(), different.join("\n"));
    assert_eq!((rows.len(), compared.len(), executed.len()), (3328, 3328, 3072));
}
