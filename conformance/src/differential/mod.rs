//! The differential runner: the same seeded random requests to the real express-session and to a probe of this project,
//! over random configurations, with every answer compared.
//!
//! ```text
//! seed ─► generate ─► case ─► side (reference) ─► reply ─► normalise ─► answer ┐
//!                        └──► side (tested)    ─► reply ─► normalise ─► answer ┴─► equal, or shrink and report
//! ```
//!
//! On databases each side's records are read from the database itself after every request (`raw`), and compared as the answers
//! are.
//!
//! Sids, signatures and the clock differ between the sides, and each framework has error pages and headers of its own; what
//! `normalise` takes out because of that stands at its top, and what is not generated, and why, at the top of `generate/mod.rs`.
//! A run in which most requests were refused, or few records were to be seen, shows nothing, and fails.
//!
//! ```no_run
//! use conformance::differential::{Differential, Program, Side};
//!
//! let oracle = Program::oracle().unwrap();
//! let probe = Program::probe("target/debug/probe-axum");
//! match Differential::new(Side::of(oracle), Side::of(probe)).configs(150).seed(1).run() {
//!     Ok(summary) => println!("{summary}"),
//!     Err(failure) => panic!("{failure}"),
//! }
//! ```

mod answer;
mod case;
pub mod client_side;
mod cookies;
mod dates;
mod fields;
mod generate;
mod http;
mod jar;
mod normalise;
mod process;
mod raw;
mod report;
mod rng;
mod runner;
mod seeds;
mod server;
mod shrink;
mod side;
mod sign;
mod tls;

pub(crate) use cookies::STAND_IN;
pub use process::Program;
pub use report::{Difference, Failure, Summary};
pub use runner::Differential;
pub use server::{Sent, Server};
pub use side::Side;
