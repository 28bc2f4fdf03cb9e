//! The store contract on a Redis Cluster of three masters and three replicas.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::{process::ExitCode, sync::LazyLock};

use common::{
    BY_ITS_OWN_CLOCK, DAY, PATIENT, left, new_prefix, put, record,
    server::{Cluster, redis_server},
};
use session_core::Store;
use session_testkit::Fixture;
use store_redis::RedisStore;
use test_support::{Tests, recovered};

fn main() -> ExitCode {
    let open = |()| async { fixture() };
    Tests::default()
        .contracts("", redis_server, open)
        .needing("a_connection_whose_runtime_has_ended_is_made_anew", redis_server, |()| {
            a_connection_whose_runtime_has_ended_is_made_anew();
        })
        .run()
}

/// Nobody dies here, however busy the machine is.
static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::start("30000"));

/// It is driven by a task of the runtime in which it was made, and is dead without it.
fn a_connection_whose_runtime_has_ended_is_made_anew() {
    let store = RedisStore::new(store_redis::Cluster::new(CLUSTER.urls()).unwrap()).prefix(new_prefix());
    let mut sid = None;
    session_testkit::run(async { sid = Some(put(&store, &record("")).await) });
    let sid = sid.unwrap();
    session_testkit::run(async {
        recovered(&store).await;
        assert!(store.get(&sid).await.unwrap().is_some());
    });
}

fn fixture() -> Fixture {
    let prefix = new_prefix();
    let client = store_redis::Cluster::new(CLUSTER.urls()).unwrap();
    let [store, other] = [(); 2].map(|()| RedisStore::new(client.clone()).prefix(&prefix).timeout(PATIENT));
    let fixture = Fixture::new(store).beside(other).ttl(DAY).expires_by_itself().exempt(BY_ITS_OWN_CLOCK);
    fixture.plant(move |sid, text, until| {
        let (key, left) = (format!("{prefix}{}", sid.as_str()), left(until));
        async move {
            let master = &CLUSTER.0[CLUSTER.master_of(&key)];
            let _: String = master.ask(&["SET", &key, &text, "PX", &left]);
        }
    })
}
