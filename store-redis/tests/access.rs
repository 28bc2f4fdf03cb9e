//! A server that lets in whom it knows, and one that speaks TLS.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::{
    pin::Pin,
    process::ExitCode,
    time::{Duration, Instant},
};

use common::{
    put, record,
    server::{Cluster, Server, redis_server, redis_server_and_openssl, until},
};
use futures_util::{Stream, StreamExt, stream::unfold};
use session_core::{AdminStore, Destroyed, Expect, Sid, Store, StoreError, Touched};
use store_redis::{
    Connection, RedisStore,
    redis::{BasicAuth, Client, ErrorKind, RedisResult, StreamingCredentialsProvider, TlsCertificates},
};
use test_support::{Network, put_patiently, tests, until_served};
use tokio::sync::watch;

fn main() -> ExitCode {
    tests! {
        if redis_server =>
            the_permissions_that_the_readme_names_are_enough,
            half_a_list_is_an_error_and_never_the_whole,
            the_permissions_that_the_readme_names_are_enough_in_a_cluster,
            a_connection_has_the_credentials_of_now;
        if redis_server_and_openssl =>
            sessions_travel_over_tls_to_a_server_that_proves_who_it_is;
    }
    .run()
}

/// What gives them out.
struct Tokens(watch::Receiver<&'static str>);

impl StreamingCredentialsProvider for Tokens {
    fn subscribe(&self) -> Pin<Box<dyn Stream<Item = RedisResult<BasicAuth>> + Send>> {
        let mut tokens = self.0.clone();
        tokens.mark_changed();
        let next = async |mut tokens: watch::Receiver<&'static str>| {
            tokens.changed().await.ok()?;
            let token = *tokens.borrow_and_update();
            let is_there = !token.is_empty();
            let token = is_there.then(|| BasicAuth::new("rotating".into(), token.into()));
            let token = token.ok_or((ErrorKind::AuthenticationFailed, "the service is down").into());
            Some((token, tokens))
        };
        unfold(tokens, next).boxed()
    }
}

/// What a call says, once the end of its connection is known.
async fn refused(store: &RedisStore, sid: &Sid) -> StoreError {
    let begun = Instant::now();
    loop {
        if let Err(error) = store.get(sid).await
            && !format!("{error:?}").contains("BrokenPipe")
        {
            return error;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "it is served");
    }
}

fn a_connection_has_the_credentials_of_now() {
    session_testkit::run(async {
        let server = Server::start(&[]);
        let changes = |password: &str| -> String {
            server.ask(&["ACL", "SETUSER", "rotating", "resetpass", password, "on", "~*", "+@all"])
        };
        let authenticated = || {
            let stats: String = server.ask(&["INFO", "commandstats"]);
            let calls =
                stats.split("cmdstat_auth:calls=").nth(1).map_or("0", |rest| rest.split(',').next().unwrap());
            calls.parse::<u32>().unwrap()
        };
        let ends = || server.ask::<u32>(&["CLIENT", "KILL", "USER", "rotating"]);
        changes(">first");
        let (says, tokens) = watch::channel("first");
        let client = Client::open(server.url()).unwrap();
        let store = RedisStore::new(Connection::with_credentials(client, Tokens(tokens)));
        let sid = put(&store, &record("")).await;

        // A connection that is there goes on with the new ones.
        let before = authenticated();
        changes(">second");
        says.send("second").unwrap();
        until("it authenticates anew", || authenticated() > before);
        assert!(store.get(&sid).await.unwrap().is_some());

        // And a new one begins with them.
        assert!(ends() > 0);
        until_served(&store, &sid).await;

        for (token, is_said) in [("", "the service is down"), ("hunter2", "Password authentication failed")] {
            says.send(token).unwrap();
            ends();
            let error = refused(&store, &sid).await;
            assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
            let source = std::error::Error::source(&error).unwrap();
            let shown = format!("{error:?} {source} {source:?}");
            assert!(shown.contains(is_said) && !shown.contains("hunter2"), "{shown}");
        }
        says.send("second").unwrap();
        // And nothing has to be restarted.
        until_served(&store, &sid).await;

        let (cluster, _networks) = Cluster::start_behind_networks().await;
        for node in &cluster.0 {
            let _: String = node.ask(&["ACL", "SETUSER", "rotating", "on", ">second", "~*", "+@all"]);
            let _: String = node.ask(&["ACL", "SETUSER", "default", "off"]);
        }
        let nodes = store_redis::Cluster::new(cluster.urls()).unwrap();
        let refused = RedisStore::new(nodes.clone()).get(&sid).await.unwrap_err();
        assert!(format!("{refused:?}").contains("NOAUTH"), "{refused:?}");
        let store = RedisStore::new(nodes.credentials(Tokens(says.subscribe())));
        until_served(&store, &put_patiently(&store, &record("")).await).await;
    });
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

        // Another database is a right more.
        assert!(readme.contains("another database than 0\n`+select`"));
        let numbered = RedisStore::open(&format!("{url}/1")).unwrap();
        numbered.get(&sid).await.expect_err("it may not go there");
        let _: String = server.ask(&["ACL", "SETUSER", "web", "+select"]);
        put(&numbered, &record("")).await;
        assert_eq!((numbered.length().await.unwrap(), store.length().await.unwrap()), (1, 0));
    });
}

/// And those beside them of a cluster.
fn the_permissions_that_the_readme_names_are_enough_in_a_cluster() {
    session_testkit::run(async {
        let (cluster, networks) = Cluster::start_behind_networks().await;
        let readme = include_str!("../README.md");
        assert!(readme.contains("A cluster needs `+cluster|slots` and `+asking` as well"));
        let acl = readme.lines().find_map(|line| line.strip_prefix("ACL SETUSER web ")).unwrap();
        let rights = acl.replace("~sess:*", "~{one}:* ~sess:*");
        for node in &cluster.0 {
            let setuser = ["ACL", "SETUSER", "web"].into_iter().chain(rights.split(' '));
            let setuser: Vec<&str> = setuser.chain(["+cluster|slots", "+asking"]).collect();
            let _: String = node.ask(&setuser);
        }
        let urls = cluster.urls().into_iter().map(|url| url.replace("redis://", "redis://web:password@"));
        // The others are found by it.
        let store = RedisStore::new(store_redis::Cluster::new(urls.take(1)).unwrap());
        let sid = put_patiently(&store, &record("")).await;
        let version = Expect::Version(store.get(&sid).await.unwrap().unwrap().version);
        assert_eq!(store.touch(&sid, &record("").cookie, &version).await.unwrap(), Touched::Moved);
        assert_eq!(store.length().await.unwrap(), 1);

        // A slot that moves costs nobody a connection.
        let before: usize = networks.iter().map(Network::connections).sum();
        let from = cluster.master_of("sess:moved");
        let to = (from + 1) % cluster.0.len();
        let slot = cluster.slot_of("sess:moved").to_string();
        let [source, id] = [from, to].map(|node| cluster.0[node].ask::<String>(&["CLUSTER", "MYID"]));
        let _: String = cluster.0[to].ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source]);
        let _: String = cluster.0[from].ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id]);
        assert!(store.get(&Sid::from("moved")).await.unwrap().is_none());
        for node in [to, from, 3 - to - from] {
            let _: String = cluster.0[node].ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &id]);
        }
        assert!(store.get(&Sid::from("moved")).await.unwrap().is_none());
        assert!(store.get(&sid).await.unwrap().is_some());
        assert_eq!(networks.iter().map(Network::connections).sum::<usize>(), before);
        store.clear().await.unwrap();
        assert_eq!(store.length().await.unwrap(), 0);
    });
}

/// Whom the server refuses some of the keys that it shows.
fn half_a_list_is_an_error_and_never_the_whole() {
    session_testkit::run(async {
        let server = Server::start(&[]);
        let all = RedisStore::open(&server.url()).unwrap();
        for at in 0..20 {
            let sid = format!("{}{at}", if at % 2 == 0 { "readable" } else { "refused" });
            all.set(&sid.into(), &record(""), &Expect::Anything).await.unwrap();
        }
        let user = ["ACL", "SETUSER", "half", "on", ">password", "~sess:readable*", "+@all"];
        let _: String = server.ask(&user);
        let half = RedisStore::open(&format!("redis://half:password@127.0.0.1:{}", server.port)).unwrap();
        assert_eq!(half.length().await.unwrap(), 20, "it sees all of them");
        let error = half.all(&mut |_, _| ()).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        assert!(half.clear().await.is_err());
        let mut shown = 0;
        all.all(&mut |_, _| shown += 1).await.unwrap();
        assert!(shown >= 10, "nobody cleared what was refused");
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
