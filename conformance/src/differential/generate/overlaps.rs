//! What two requests at once do beside changing data.

use super::super::case::{Answers, Op, Request, WAIT};
use super::super::rng::Rng;

/// The one that changes something also saves it, changes the lifetime, or ends the session. The other one must not have the
/// session meanwhile: it begins after what the waiting one does before its gate, and ends before the rest.
pub(super) fn more(seed: u64, requests: &mut [Request]) {
    let mut rng = Rng::new(seed ^ 0x006f_7665_726c_6170);
    for request in requests {
        let Some(during) = &mut request.during else { continue };
        if !rng.percent(60) {
            continue;
        }
        if changes(&during.ops) {
            during.ops.push(op(r#"["save"]"#));
            continue;
        }
        const OPS: [&str; 6] = [
            r#"["save"]"#,
            r#"["save"]"#,
            r#"["maxAge",60000]"#,
            r#"["maxAge",3600000]"#,
            r#"["regenerate"]"#,
            r#"["destroy"]"#,
        ];
        for _ in 0..1 + rng.below(2) {
            let at = rng.below(request.ops.len() + 1);
            request.ops.insert(at, op(rng.pick(&OPS)));
        }
    }
}

fn changes(ops: &[Op]) -> bool {
    ops.iter()
        .any(|op| op.text != WAIT && (op.text.starts_with("[\"set\"") || op.text.starts_with("[\"del\"")))
}

fn op(text: &str) -> Op {
    Op { text: text.to_owned(), answers: Answers::Plain, moves: 0 }
}
