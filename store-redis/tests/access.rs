//! A server that lets in whom it knows, and one that speaks TLS.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::process::ExitCode;

use common::{
    put, record,
    server::{Server, redis_server, redis_server_and_openssl},
};
use session_core::{AdminStore, Destroyed, Expect, Store, Touched};
use store_redis::{
    RedisStore,
    redis::{Client, TlsCertificates},
};
use test_support::tests;

fn main() -> ExitCode {
    tests! {
        if redis_server =>
            the_permissions_that_the_readme_names_are_enough;
        if redis_server_and_openssl =>
            sessions_travel_over_tls_to_a_server_that_proves_who_it_is;
    }
    .run()
}

fn the_permissions_that_the_readme_names_are_enough() {
    session_testkit::run(async {
        let server = Server::start(&[]);
        let readme = include_str!("../README.md");
        let acl = readme.lines().find_map(|line| line.strip_prefix("ACL SETUSER web ")).unwrap();
        let setuser: Vec<&str> = ["ACL", "SETUSER", "web"].into_iter().chain(acl.split(' ')).collect();
        let _: String = server.ask(&setuser);
        let url = format!("redis://web:password@127.0.0.1:{}", server.port);
        let store = RedisStore::open(&url).unwrap();
        let sid = put(&store, &record("")).await;
        let version = store.get(&sid).await.unwrap().unwrap().version;
        store.set(&sid, &record("\"a\":1"), &Expect::Version(version)).await.unwrap();
        let version = Expect::Version(store.get(&sid).await.unwrap().unwrap().version);
        for expect in [&version, &Expect::Anything] {
            assert_eq!(store.touch(&sid, &record("").cookie, expect).await.unwrap(), Touched::Moved);
        }
        assert_eq!(store.length().await.unwrap(), 1);
        assert_eq!(store.destroy(&sid, &Expect::Nothing).await.unwrap(), Destroyed::Conflict);
        assert_eq!(store.destroy(&sid, &version).await.unwrap(), Destroyed::Destroyed);
        let sid = put(&store, &record("")).await;
        assert_eq!(store.destroy(&sid, &Expect::Anything).await.unwrap(), Destroyed::Destroyed);
        let sid = put(&store, &record("")).await;
        store.clear().await.unwrap();
        assert!(store.get(&sid).await.unwrap().is_none());
        let other = RedisStore::open(&url).unwrap().prefix("other:");
        let error = other.get(&sid).await.unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("NOPERM"), "{source}");
    });
}

fn sessions_travel_over_tls_to_a_server_that_proves_who_it_is() {
    session_testkit::run(async {
        let (port, server) = Server::start_tls();
        let url = format!("rediss://localhost:{port}");
        let root_cert = Some(server.file("cert.pem"));
        let trusting = Client::build_with_tls(url.as_str(), TlsCertificates { client_tls: None, root_cert });
        let store = RedisStore::new(trusting.unwrap());
        let sid = put(&store, &record("")).await;
        assert!(store.get(&sid).await.unwrap().is_some());
        assert!(RedisStore::open(&url).unwrap().get(&sid).await.is_err(), "nobody vouches for this server");
    });
}
