//! Clients that hang up in the middle of a handler, of a read, of a write: what is kept is what Express keeps.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::{
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use common::{ACTIX, AXUM, ROCKET, oracle};
use conformance::differential::{Program, Server};
use serde_json::{Value, json};
use test_support::Tests;

fn main() -> ExitCode {
    let mut tests = Tests::default();
    for (name, probe) in [("axum", AXUM), ("actix", ACTIX), ("rocket", ROCKET)] {
        tests = tests.needing(&format!("{name}::keeps_what_express_keeps"), oracle, move |oracle| {
            keeps_what_express_keeps(&oracle, &Program::probe(probe));
        });
        let test = move |oracle: Program| keeps_what_the_store_is_busy_with(&oracle, &Program::probe(probe));
        tests = tests.needing(&format!("{name}::keeps_what_the_store_is_busy_with"), oracle, test);
    }
    for (name, probe) in [("axum", AXUM), ("actix", ACTIX)] {
        let test = move |()| what_was_acknowledged_is_kept_where_the_rest_is_given_up(&Program::probe(probe));
        tests = tests.needing(&format!("{name}::what_was_acknowledged_is_kept"), || Ok(()), test);
    }
    tests.run()
}

/// For a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a handler does before and after its client has gone.
const STORIES: [(&str, &str); 12] = [
    ("[]", r#"[["set","b",2]]"#),
    (r#"[["set","a",1]]"#, "[]"),
    (r#"[["set","a",1]]"#, r#"[["set","b",2],["del","n"]]"#),
    (r#"[["set","a",1],["save"]]"#, r#"[["set","b",2],["save"],["set","c",3]]"#),
    ("[]", r#"[["destroy"]]"#),
    (r#"[["destroy"]]"#, "[]"),
    (r#"[["set","a",1]]"#, r#"[["regenerate"],["set","b",2]]"#),
    (r#"[["regenerate"],["set","a",1]]"#, r#"[["set","b",2]]"#),
    (r#"[["set","a",1]]"#, r#"[["unset"]]"#),
    (r#"[["set","a",1]]"#, r#"[["reload"],["set","b",2]]"#),
    (r#"[["set","a",1]]"#, r#"[["status",500],["set","b",2]]"#),
    (r#"[["set","a",1]]"#, r#"[["throw"]]"#),
];

/// What the last write of a story leaves in a record; none where the session has ended by then, and nothing is left to be written.
fn last_write(before: &str, after: &str) -> Option<&'static str> {
    let has = |operation| has(before, after, operation);
    match () {
        () if has("throw") => Some(r#""a":1"#),
        () if has("destroy") || has("unset") => None,
        () => Some(r#""end":1"#),
    }
}

fn has(before: &str, after: &str, operation: &str) -> bool {
    before.contains(operation) || after.contains(operation)
}

fn keeps_what_express_keeps(oracle: &Program, probe: &Program) {
    for config in [
        json!({ "secret": "k" }),
        json!({ "secret": "k", "resave": false, "saveUninitialized": false }),
        json!({ "secret": "k", "resave": false, "saveUninitialized": false, "rolling": true, "unset": "destroy" }),
    ] {
        for (at, (before, after)) in STORIES.into_iter().enumerate() {
            for is_new in [false, true] {
                let sides = [oracle, probe].map(|program| Watched::new(program, &config));
                sides.iter().for_each(|side| side.hung_up(at, before, after, is_new));
                let (begun, mut equal) = (Instant::now(), 0);
                // What is left is the end of the request: what it writes comes last. Of one that writes nothing there is nothing to
                // see but that, for longer than an end takes; and that the session is gone, if that is what it was for.
                let looks = if last_write(before, after).is_some() { 1 } else { 20 };
                let ends = has(before, after, "destroy")
                    || (has(before, after, "unset") && config.get("unset") == Some(&json!("destroy")));
                while equal < looks {
                    thread::sleep(Duration::from_millis(5));
                    let held = sides.each_ref().map(Watched::held);
                    let is_written = |held: &Value| {
                        let is_gone = !ends || held[1].is_null();
                        is_gone
                            && last_write(before, after)
                                .is_none_or(|written| held.to_string().contains(written))
                    };
                    let [express, ours] = &held;
                    equal = if express == ours && is_written(ours) { equal + 1 } else { 0 };
                    assert!(
                        begun.elapsed() < PATIENCE,
                        "{config} {before} {after} {is_new}:\nexpress {express}\nours    {ours}"
                    );
                }
            }
        }
    }
}

/// What a request does whose client has gone while one call of the store is under way: its verb, which call of it, and what is left of the
/// session that had `n`, and of the one after it. Before it the watcher and the visitor have each written once.
const BUSY: [(&str, u64, &str, &str); 6] = [
    ("get", 1, r#"[["set","b",2]]"#, r#"[2,{"n":0,"b":2},null]"#),
    ("set", 3, r#"[["set","b",2]]"#, r#"[2,{"n":0,"b":2},null]"#),
    ("set", 3, r#"[["set","b",2],["save"],["set","c",3]]"#, r#"[2,{"n":0,"b":2,"c":3},null]"#),
    ("set", 3, r#"[["regenerate"],["set","b",2]]"#, r#"[2,null,{"b":2}]"#),
    ("destroy", 1, r#"[["destroy"]]"#, "[1,null,null]"),
    ("destroy", 1, r#"[["set","b",2],["regenerate"],["set","c",3]]"#, r#"[2,null,{"c":3}]"#),
];

fn keeps_what_the_store_is_busy_with(oracle: &Program, probe: &Program) {
    for (at, (verb, call, operations, left)) in BUSY.into_iter().enumerate() {
        let gate = format!("busy-{at}");
        let config = json!({
            "secret": "k", "resave": false, "saveUninitialized": false,
            "storeWaits": { "verb": verb, "call": call, "gate": gate },
        });
        let sides = [oracle, probe].map(|program| Watched::new(program, &config));
        sides.iter().for_each(|side| {
            let visitor = side.server.send(&json!([["set", "n", 0]]), None).unwrap();
            let operations = serde_json::from_str(operations).unwrap();
            side.server.hang_up_at(&gate, &operations, visitor.cookie.as_deref()).unwrap();
            // As long as it takes to see that nobody is there any more.
            thread::sleep(Duration::from_millis(20));
            side.server.open(&gate).unwrap();
        });
        let left: Value = serde_json::from_str(left).unwrap();
        let begun = Instant::now();
        for (name, side) in ["express", "ours"].into_iter().zip(&sides) {
            while side.held() != left {
                let held = side.held();
                assert!(begun.elapsed() < PATIENCE, "{verb} {operations}: {name} {held}");
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

fn what_was_acknowledged_is_kept_where_the_rest_is_given_up(probe: &Program) {
    for profile in ["new", "express"] {
        let config = json!({ "secret": "k", "profile": profile, "onDisconnect": "cancel" });
        let side = Watched::new(probe, &config);
        side.gone_before(0, r#"[["add","n",1],["set","a",1]]"#, r#"[["set","b",2]]"#, false);
        let (gate, begun) = (first_gate(0, false), Instant::now());
        // Dropped, nobody waits there any more; what is left alone would come to the last gate.
        while side.server.waits_at(&gate).unwrap() {
            assert!(begun.elapsed() < PATIENCE, "{profile}: it is not given up");
            thread::sleep(Duration::from_millis(1));
        }
        side.server.open(&gate).unwrap();
        thread::sleep(Duration::from_millis(50));
        assert!(!side.server.waits_at(&last_gate(0, false)).unwrap(), "{profile}: it went on");
        assert_eq!(side.held(), json!([2, { "n": 1 }, null]), "{profile}");
    }
}

/// A probe, and a session of its own by which its store is watched.
struct Watched {
    server: Server,
    watcher: String,
}

impl Watched {
    /// Ids are numbered: the watcher's session is the first.
    fn new(program: &Program, config: &Value) -> Self {
        let mut config = config.clone();
        config["genidFunction"] = "counted".into();
        let server = program.serve(&config).unwrap();
        let watcher = server.send(&json!([["set", "watcher", true]]), None).unwrap().cookie.unwrap();
        Self { server, watcher }
    }

    /// The number of records, that of the visitor, and the one that came after it, both without their cookies.
    fn held(&self) -> Value {
        let ops = json!([["store", "length"], ["store", "get", "number-2"], ["store", "get", "number-3"]]);
        let mut results = self.server.send(&ops, Some(&self.watcher)).unwrap().results;
        for record in results.as_array_mut().unwrap().iter_mut().filter_map(Value::as_object_mut) {
            record.remove("cookie");
            record.remove("__session_times");
        }
        results
    }

    /// Somebody hangs up in the middle, and the handler goes on to its last operation.
    fn hung_up(&self, at: usize, before: &str, after: &str, is_new: bool) {
        self.hung_up_before(at, before, after, is_new);
        // One that throws comes no further.
        if !after.contains("throw") {
            let (gate, begun) = (last_gate(at, is_new), Instant::now());
            while !self.server.waits_at(&gate).unwrap() {
                assert!(begun.elapsed() < PATIENCE, "{before} {after}: the handler does not go on");
                thread::sleep(Duration::from_millis(1));
            }
            self.server.open(&gate).unwrap();
        }
    }

    fn hung_up_before(&self, at: usize, before: &str, after: &str, is_new: bool) {
        self.gone_before(at, before, after, is_new);
        // As long as it takes to see that nobody is there any more.
        thread::sleep(Duration::from_millis(20));
        self.server.open(&first_gate(at, is_new)).unwrap();
    }

    fn gone_before(&self, at: usize, before: &str, after: &str, is_new: bool) {
        let visitor = || self.server.send(&json!([["set", "n", 0]]), None).unwrap();
        let visitor = if is_new { None } else { Some(visitor()) };
        let gate = first_gate(at, is_new);
        let parts = [
            before,
            &json!([["wait", gate]]).to_string(),
            after,
            &json!([["wait", last_gate(at, is_new)], ["set", "end", 1]]).to_string(),
        ];
        let parts = parts.map(|part| serde_json::from_str::<Vec<Value>>(part).unwrap());
        let cookie = visitor.as_ref().and_then(|visitor| visitor.cookie.as_deref());
        self.server.hang_up_at(&gate, &json!(parts.concat()), cookie).unwrap();
    }
}

fn first_gate(at: usize, is_new: bool) -> String {
    format!("hang-up-{at}-{is_new}")
}

fn last_gate(at: usize, is_new: bool) -> String {
    format!("end-{at}-{is_new}")
}
