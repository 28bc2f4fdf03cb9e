//! Makes a case that fails smaller while it fails: fewer requests, then fewer operations, plainer requests, fewer keys.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::case::{Case, WAIT};
use super::cookies::Cookies;

const TRIES: usize = 250;
const TIME: Duration = Duration::from_secs(90);

/// The smallest case found for which `fails` still answers true.
pub(super) fn shrink(case: Case, fails: impl Fn(&Case) -> bool) -> Case {
    let mut search =
        Search { smallest: case, fails, tries: TRIES, until: Instant::now() + TIME, found: true };
    // One kind of change often makes room for another, so go round until nothing helps.
    while std::mem::take(&mut search.found) {
        search.requests();
        search.operations();
        search.plain_requests();
        search.config();
    }
    search.smallest
}

struct Search<F> {
    smallest: Case,
    fails: F,
    tries: usize,
    until: Instant,
    /// A smaller case was found in this round.
    found: bool,
}

impl<F: Fn(&Case) -> bool> Search<F> {
    /// Keeps `change` if the case still fails with it.
    fn attempt(&mut self, change: impl FnOnce(&mut Case)) -> bool {
        if self.tries == 0 || Instant::now() > self.until {
            return false;
        }
        self.tries -= 1;
        let mut smaller = self.smallest.clone();
        change(&mut smaller);
        let fails = smaller.fails_in_handler() && (self.fails)(&smaller);
        if fails {
            self.smallest = smaller;
            self.found = true;
        }
        fails
    }

    /// Drops runs of requests, long ones first.
    fn requests(&mut self) {
        let mut length = self.smallest.requests.len() / 2;
        while length > 0 {
            let mut end = self.smallest.requests.len();
            while end >= length {
                self.attempt(|case| drop(case.requests.drain(end - length..end)));
                end = (end - length).min(self.smallest.requests.len());
            }
            length /= 2;
        }
    }

    fn operations(&mut self) {
        for request in (0..self.smallest.requests.len()).rev() {
            if self.smallest.requests[request].ops.len() > 1
                && self.attempt(|case| case.requests[request].ops.clear())
            {
                continue;
            }
            for op in (0..self.smallest.requests[request].ops.len()).rev() {
                self.attempt(|case| drop(case.requests[request].ops.remove(op)));
            }
        }
    }

    fn plain_requests(&mut self) {
        for index in 0..self.smallest.requests.len() {
            let request = self.smallest.requests[index].clone();
            if request.cookies != Cookies::Jar
                && !self.attempt(|case| case.requests[index].cookies = Cookies::None)
            {
                self.attempt(|case| case.requests[index].cookies = Cookies::Jar);
            }
            if request.method != "GET" {
                self.attempt(|case| case.requests[index].method = "GET");
            }
            if request.path != "/" {
                self.attempt(|case| "/".clone_into(&mut case.requests[index].path));
            }
            if request.after != 0 {
                self.attempt(|case| case.requests[index].after = 0);
            }
            if request.secret.is_some() {
                self.attempt(|case| case.requests[index].secret = None);
            }
            if request.spoils {
                self.attempt(|case| case.requests[index].spoils = false);
            }
            if request.during.is_some() {
                self.attempt(|case| {
                    let request = &mut case.requests[index];
                    request.during = None;
                    request.ops.retain(|op| op.text != WAIT);
                });
            }
            if request.forwarded.is_some() {
                self.attempt(|case| case.requests[index].forwarded = None);
            }
        }
    }

    fn config(&mut self) {
        let keys = |config: &serde_json::Map<String, Value>| config.keys().cloned().collect::<Vec<_>>();
        for key in keys(&self.smallest.config) {
            if key != "secret" {
                self.attempt(|case| drop(case.config.remove(&key)));
            }
        }
        let Some(Value::Object(cookie)) = self.smallest.config.get("cookie") else { return };
        for key in keys(cookie) {
            self.attempt(|case| {
                if let Some(Value::Object(cookie)) = case.config.get_mut("cookie") {
                    cookie.remove(&key);
                }
            });
        }
    }
}
