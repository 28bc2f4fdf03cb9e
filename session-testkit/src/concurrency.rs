//! What parallel requests may count on: nothing lost, nobody brought back. Each request runs on a driver of its own, as if
//! in a process of its own, so that only the store's conditional writes can keep them apart.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use session_core::{CookieOptions, Error, Expect, Options, RequestInfo, Secret, Session, Sessions, Set, Sid};

use crate::{
    Fixture,
    verbs::{held, record},
};

const PARALLEL: usize = 32;

fn sessions(fixture: &Fixture) -> Sessions {
    let lifetime = CookieOptions::new().max_age(Duration::from_secs(3_600));
    let options = Options::express("keyboard cat").resave(false).save_uninitialized(false).cookie(lifetime);
    options.store(Arc::clone(&fixture.store)).clock(fixture.session_clock()).build().unwrap()
}

/// A request with this sid in its cookie, up to where the handler has its session; the exchange must be ended.
async fn request(fixture: &Fixture, sid: Option<&Sid>) -> Request {
    let cookie = sid.map(|sid| format!("connect.sid=s:{}", Secret::new("keyboard cat").sign(sid.as_str())));
    let each = |visit: &mut dyn FnMut(&str, &[u8])| {
        cookie.iter().for_each(|cookie| visit("cookie", cookie.as_bytes()));
    };
    let exchange = sessions(fixture).exchange();
    let asked = exchange.session(&RequestInfo::new("/", false, &each));
    Request { session: asked.await.unwrap().unwrap(), exchange }
}

struct Request {
    session: Session,
    exchange: session_core::Exchange,
}

impl Request {
    async fn end(self) -> Vec<String> {
        self.exchange.end().await.unwrap()
    }
}

async fn logged_in(fixture: &Fixture) -> Sid {
    let first = request(fixture, None).await;
    first.session.insert("user", "tj").unwrap();
    let sid = first.session.id();
    first.end().await;
    sid
}

async fn one_is_written(fixture: &Fixture, sid: &Sid, expect: Expect) {
    let write = |at: usize| {
        let (store, sid, expect) = (Arc::clone(&fixture.store), sid.clone(), expect.clone());
        let record = record(fixture, &format!("\"writer\":{at}"));
        tokio::spawn(async move { (at, store.set(&sid, &record, &expect).await.unwrap()) })
    };
    let outcomes = join_all((0..PARALLEL).map(write)).await;
    let winners: Vec<usize> = outcomes
        .into_iter()
        .map(Result::unwrap)
        .filter_map(|(at, outcome)| matches!(outcome, Set::Written(_)).then_some(at))
        .collect();
    assert_eq!(winners.len(), 1, "one writer and no other is told that it wrote");
    assert_eq!(held(fixture, sid).await.unwrap(), [("writer".into(), winners[0].to_string())]);
}

#[allow(missing_docs)]
pub async fn of_parallel_writes_that_expect_nothing_one_is_written(fixture: &Fixture) {
    one_is_written(fixture, &Sid::random(), Expect::Nothing).await;
}

#[allow(missing_docs)]
pub async fn of_parallel_writes_that_expect_one_version_one_is_written(fixture: &Fixture) {
    let sid = Sid::random();
    let Set::Written(version) =
        fixture.store.set(&sid, &record(fixture, ""), &Expect::Nothing).await.unwrap()
    else {
        panic!("nothing was held")
    };
    one_is_written(fixture, &sid, Expect::Version(version)).await;
}

#[allow(missing_docs)]
pub async fn parallel_increments_are_all_kept(fixture: &Fixture) {
    let sid = logged_in(fixture).await;
    let requests = join_all((0..PARALLEL).map(|_| request(fixture, Some(&sid)))).await;
    let add = |request: Request| {
        tokio::spawn(async move {
            let sum = request.session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1).await.unwrap();
            request.end().await;
            sum
        })
    };
    let mut sums: Vec<u64> =
        join_all(requests.into_iter().map(add)).await.into_iter().map(Result::unwrap).collect();
    sums.sort_unstable();
    assert!(sums.into_iter().eq(1..=PARALLEL as u64), "each was told its own sum");
    let last = request(fixture, Some(&sid)).await;
    assert_eq!(last.session.get::<usize>("n").unwrap(), Some(PARALLEL));
    assert_eq!(last.session.get::<String>("user").unwrap().as_deref(), Some("tj"));
}

#[allow(missing_docs)]
pub async fn parallel_requests_keep_each_others_keys(fixture: &Fixture) {
    let sid = logged_in(fixture).await;
    let requests = join_all((0..PARALLEL).map(|_| request(fixture, Some(&sid)))).await;
    let ends = requests.into_iter().enumerate().map(|(at, request)| {
        tokio::spawn(async move {
            request.session.insert(&format!("key{at}"), at).unwrap();
            request.end().await;
        })
    });
    join_all(ends).await.into_iter().for_each(Result::unwrap);
    let last = request(fixture, Some(&sid)).await;
    for at in 0..PARALLEL {
        assert_eq!(last.session.get::<usize>(&format!("key{at}")).unwrap(), Some(at));
    }
}

#[allow(missing_docs)]
pub async fn a_logout_stays_a_logout(fixture: &Fixture) {
    let sid = logged_in(fixture).await;
    let reads = request(fixture, Some(&sid)).await;
    let writes = request(fixture, Some(&sid)).await;
    let saves = request(fixture, Some(&sid)).await;
    let renews = request(fixture, Some(&sid)).await;
    let logout = request(fixture, Some(&sid)).await;
    logout.session.destroy().await.unwrap();
    logout.end().await;

    writes.session.insert("cart", 1).unwrap();
    saves.session.insert("cart", 1).unwrap();
    assert!(matches!(saves.session.save().await, Err(Error::Gone)));
    let updated = saves.session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1).await;
    assert!(matches!(updated, Err(Error::Gone)));
    assert!(matches!(renews.session.renew_id().await, Err(Error::Gone)));
    for request in [reads, writes, saves, renews] {
        assert!(request.end().await.is_empty(), "no cookie for a session that is gone");
    }
    assert!(held(fixture, &sid).await.is_none());
    assert_eq!(fixture.store.length().await.unwrap(), 0);
}

#[allow(missing_docs)]
pub async fn a_regenerated_session_stays_under_its_new_id(fixture: &Fixture) {
    let sid = logged_in(fixture).await;
    let late = request(fixture, Some(&sid)).await;
    let regenerates = request(fixture, Some(&sid)).await;
    regenerates.session.regenerate().await.unwrap();
    regenerates.session.insert("user", "tobi").unwrap();
    let new = regenerates.session.id();
    assert_eq!(regenerates.end().await.len(), 1);
    late.session.insert("cart", 1).unwrap();
    late.end().await;
    assert!(held(fixture, &sid).await.is_none());
    assert_eq!(held(fixture, &new).await.unwrap(), [("user".into(), "\"tobi\"".into())]);
}

#[allow(missing_docs)]
pub async fn a_renewed_session_takes_along_what_others_wrote(fixture: &Fixture) {
    let sid = logged_in(fixture).await;
    let renews = request(fixture, Some(&sid)).await;
    let late = request(fixture, Some(&sid)).await;
    let faster = request(fixture, Some(&sid)).await;
    faster.session.insert("cart", 1).unwrap();
    faster.end().await;

    renews.session.insert("role", "admin").unwrap();
    renews.session.renew_id().await.unwrap();
    let new = renews.session.id();
    assert_eq!(renews.end().await.len(), 1);
    late.session.insert("stolen", 1).unwrap();
    late.end().await;

    assert!(new != sid);
    assert!(held(fixture, &sid).await.is_none());
    let expected = [("user", "\"tj\""), ("cart", "1"), ("role", "\"admin\"")];
    assert_eq!(held(fixture, &new).await.unwrap(), expected.map(|(key, value)| (key.into(), value.into())));
}

#[allow(missing_docs)]
pub async fn an_expired_session_is_not_brought_back(fixture: &Fixture) {
    let first = request(fixture, None).await;
    first.session.set_max_age(Some(Duration::from_secs(2))).unwrap();
    first.session.insert("user", "tj").unwrap();
    let sid = first.session.id();
    first.end().await;
    let reads = request(fixture, Some(&sid)).await;
    let writes = request(fixture, Some(&sid)).await;
    writes.session.insert("cart", 1).unwrap();
    fixture.pass(Duration::from_millis(3_200)).await;
    assert!(reads.end().await.is_empty());
    assert!(writes.end().await.is_empty());
    assert!(held(fixture, &sid).await.is_none());
}
