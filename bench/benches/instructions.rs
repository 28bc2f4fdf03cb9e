//! How many instructions it takes, counted by valgrind: the same on every run, whatever else the machine does. SHA-256 is
//! counted in software, because valgrind's processor has no instructions for it.
//!
//! `cargo bench -p bench --bench instructions`

#![allow(clippy::print_stdout, reason = "it says what is missing")]
#![allow(clippy::expect_used, reason = "what cannot be set up cannot be measured")]

use std::{env, path::Path};

use crate::counted::benches;

const RUNNER: &str = "gungraun-runner";

fn main() {
    // The runner starts this program once more under valgrind, without a PATH.
    let counting = env::args().nth(1).is_some_and(|argument| argument == "--gungraun-run");
    let missing: Vec<&str> =
        [RUNNER, "valgrind"].into_iter().filter(|program| !is_installed(program)).collect();
    if counting || missing.is_empty() {
        benches();
    } else {
        println!(
            "instructions are not counted, for want of {}: install valgrind by the system's packages, and the runner \
             with `cargo install --locked gungraun-runner@0.20.0`",
            missing.join(" and ")
        );
    }
}

fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(Path::new(program)).is_file())
}

mod counted {
    use std::hint::black_box;

    use axum::{extract::Request, response::Response};
    use bench::{App, Asks, Server, Visitor, now, samples};
    use gungraun::{
        Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
    };
    use session_core::{
        Error, Expect, MemoryStore, Record, RecordError, Secret, Set, Sid, Store, StoreError, Stored,
        cookie_values,
    };

    pub(crate) fn benches() {
        main();
    }

    #[library_benchmark(setup = server)]
    #[bench::bare_router(App::Bare, Asks::Nothing)]
    #[bench::idle_layer(App::Nothing, Asks::Nothing)]
    #[bench::never_asks(App::New, Asks::Nothing)]
    #[bench::read(App::New, Asks::Read)]
    #[bench::write(App::New, Asks::Write)]
    #[bench::new(App::New, Asks::New)]
    #[bench::peer_never_asks(App::Peer, Asks::Nothing)]
    #[bench::peer_read(App::Peer, Asks::Read)]
    #[bench::peer_write(App::Peer, Asks::Write)]
    #[bench::peer_new(App::Peer, Asks::New)]
    #[bench::signed_peer_read(App::PeerSigned, Asks::Read)]
    #[bench::signed_peer_write(App::PeerSigned, Asks::Write)]
    #[bench::signed_peer_new(App::PeerSigned, Asks::New)]
    fn request((mut server, request): (Server, Request)) -> (Server, Response) {
        let response = server.answer(black_box(request));
        (server, response)
    }

    fn server(app: App, asks: Asks) -> (Server, Request) {
        let server = Server::start(app);
        let request = server.request(asks);
        (server, request)
    }

    #[library_benchmark(setup = visitor)]
    #[bench::read(Asks::Read)]
    #[bench::write(Asks::Write)]
    #[bench::new(Asks::New)]
    fn exchange((visitor, asks): (Visitor, Asks)) -> (Visitor, Result<Vec<String>, Error>) {
        let cookies = visitor.visit(black_box(asks));
        (visitor, cookies)
    }

    fn visitor(asks: Asks) -> (Visitor, Asks) {
        let visitor = Visitor::new_profile();
        _ = [visitor.visit(asks), visitor.visit(asks)];
        (visitor, asks)
    }

    #[library_benchmark(setup = secret)]
    #[bench::sid()]
    fn sign((secret, sid): (Secret, Sid)) -> (Secret, String) {
        let signed = secret.sign(black_box(sid.as_str()));
        (secret, signed)
    }

    fn secret() -> (Secret, Sid) {
        let secret = Secret::new(samples::SECRET);
        _ = secret.sign("once");
        (secret, Sid::random())
    }

    #[library_benchmark(setup = signed)]
    #[bench::cookie_header()]
    fn verify((secret, header): (Secret, String)) -> (Secret, bool) {
        let verified = cookie_values(black_box(header.as_bytes()), "sid")
            .any(|value| secret.unsign(value.strip_prefix("s:").unwrap_or_default()).is_some());
        (secret, verified)
    }

    fn signed() -> (Secret, String) {
        let visitor = Visitor::new_profile();
        (Secret::new(samples::SECRET), visitor.cookie_header().to_owned())
    }

    #[library_benchmark(setup = warm)]
    #[bench::of_100_bytes(samples::SMALL)]
    #[bench::of_4_kilobytes(&samples::large())]
    fn read_record((text, _): (String, Record)) -> Result<Record, RecordError> {
        Record::parse(black_box(text))
    }

    #[library_benchmark(setup = warm)]
    #[bench::of_100_bytes(samples::SMALL)]
    #[bench::of_4_kilobytes(&samples::large())]
    fn write_record((_, record): (String, Record)) -> (Record, String) {
        let text = black_box(&record).to_json();
        (record, text)
    }

    fn warm(text: &str) -> (String, Record) {
        let record = Record::parse(text).expect("a record");
        assert_eq!(record.to_json(), text);
        (text.to_owned(), record)
    }

    #[library_benchmark(setup = Held::new)]
    #[bench::of_100_bytes()]
    fn store_get(held: Held) -> (Held, Result<Option<Stored>, StoreError>) {
        let stored = now(held.store.get(black_box(&held.sid)));
        (held, stored)
    }

    #[library_benchmark(setup = Held::new)]
    #[bench::of_100_bytes()]
    fn store_set(held: Held) -> (Held, Result<Set, StoreError>) {
        let set = now(held.store.set(black_box(&held.sid), &held.record, &Expect::Anything));
        (held, set)
    }

    struct Held {
        store: MemoryStore,
        sid: Sid,
        record: Record,
    }

    impl Held {
        fn new() -> Self {
            let record = Record::parse(samples::SMALL).expect("a record");
            let held = Self { store: MemoryStore::new(), sid: Sid::random(), record };
            for _ in 0..2 {
                now(held.store.set(&held.sid, &held.record, &Expect::Anything)).expect("a write");
                now(held.store.get(&held.sid)).expect("a read");
            }
            held
        }
    }

    library_benchmark_group!(
        name = through,
        benchmarks = [request, exchange, sign, verify, read_record, write_record, store_get, store_set]
    );

    main!(
        config = LibraryBenchmarkConfig::default()
            .tool(Callgrind::with_args(["--cache-sim=no"]).format([EventKind::Ir])),
        library_benchmark_groups = through
    );
}
