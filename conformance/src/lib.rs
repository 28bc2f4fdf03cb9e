//! Proof that this project answers as express-session does: the probes, the oracle and the differential runner.

pub mod differential;
pub mod probe;
