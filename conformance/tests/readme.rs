//! Numbers of README's table *Proof*: each of these is what is counted here, in the words in which it stands there.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{fs, path::Path};

use conformance::probe::Fault;

#[track_caller]
fn says(words: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(folder.join("../README.md")).unwrap();
    assert!(readme.contains(words), "README does not say: {words}");
}

fn source(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

/// The length of the list of all, which the compiler holds to it.
fn planted_in_the_core() -> usize {
    let faults = source("session-core/src/life/fault.rs");
    let length = faults.split_once("const ALL: [Self; ").unwrap().1.split_once(']').unwrap().0;
    length.parse().unwrap()
}

/// `    TheFault => module::the_sentence: "what it says",`
fn wrong_stores(path: &str) -> usize {
    let is_one = |line: &&str| {
        let name = line.strip_prefix("    ").and_then(|line| line.split_once(" =>")).unwrap_or_default().0;
        name.starts_with(|letter: char| letter.is_ascii_uppercase())
            && name.chars().all(|letter| letter.is_ascii_alphanumeric())
    };
    source(path).lines().filter(is_one).count()
}

#[test]
fn faults_that_are_planted() {
    let in_each = Fault::ALL.iter().filter(|(_, fault)| !fault.needs_database() && !fault.needs_layer());
    says(&format!("{} faults put into this side", Fault::ALL.len()));
    says(&format!("{} of them in each adapter's probe", in_each.count()));
    says(&format!("each of {} planted faults found", planted_in_the_core()));
    assert_eq!(planted_in_the_core(), 49, "DESIGN.md has the number as a word");
}

/// Words that stand for the number of something, and the source from which it is counted.
#[test]
fn how_much_is_compared() {
    let of_databases = source("conformance/tests/planted.rs");
    let faults = of_databases.split_once("fn each_of_stores_is_found").unwrap().1;
    let faults = faults.split_once("vec![").unwrap().1.split_once(']').unwrap().0;
    // And one where text is held.
    assert_eq!(faults.split(',').count() + 1, 5);
    says("five on each database (MongoDB in text and encrypted; four where it has objects)");
    let differential = source("conformance/tests/differential.rs");
    assert!(differential.contains("const USUAL: (u64, usize) = (20_260_101, 160);"));
    says("some 2,800 each over 160 configurations");
    let simulation = source("session-core/src/life/simulation/mod.rs");
    for least in ["Much::Few => 10_000_000,", "Much::Usual => 64_000_000,", "Much::All => 300_000_000,"] {
        assert!(simulation.contains(least), "{least}");
    }
    says(
        "ten million states in half a minute, over sixty-five with `usual`, and over three hundred with `SIMULATION=all`",
    );
}

#[test]
fn stores_that_are_wrong() {
    let files = ["session-testkit/tests/faults.rs", "session-testkit/tests/rare_faults.rs"];
    let wrong: usize = files.map(wrong_stores).iter().sum();
    says(&format!("some {} wrong stores fail it", wrong / 10 * 10));
}

#[test]
fn recorded_data() {
    let golden: serde_json::Value = serde_json::from_str(include_str!("../data/golden.json")).unwrap();
    let of = |name: &str| golden[name].as_array().unwrap().len();
    let of_express = [of("wire"), of("hash"), of("uid")];
    let others = [of("cookieParse"), of("tamper"), of("keygrip"), of("cookieSession")];
    let whole: usize = of_express.iter().chain(&others).sum();
    let [wire, hash, uid] = of_express;
    let express = wire + hash + uid;
    let [cookie, signature, keygrip, cookie_session] = others;
    says(&format!(
        "{whole} vectors that the published packages print: {express} of express-session ({wire} cookies, {hash} hashes, {uid} \
         ids), {cookie} of cookie, {signature} of cookie-signature (ten of them forged), {keygrip} of keygrip, {cookie_session} \
         of cookie-session"
    ));
    let rows: Vec<serde_json::Value> = serde_json::from_str(include_str!("../data/truth-3328.json")).unwrap();
    assert_eq!(rows.len(), 3_328);
    // `truth.rs` and `decide.rs` count what they run.
    says("3,328 observed runs of its option matrix, each combination once (3,072 distinct ones here");
    says("on all 768 combinations");
}
