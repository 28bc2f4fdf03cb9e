use session_core::fuzzing::to_text;
use store_mongo::{fuzzing::to_json, mongodb::bson::Bson};

use crate::input::Input;

/// The bits of a double; and what the same text is as a number.
pub(crate) fn run(data: &[u8]) {
    check(f64::from_le_bytes(Input(data).word()));
    let text = std::str::from_utf8(data).ok();
    if let Some(number) = text.and_then(|text| serde_json::from_str::<f64>(text).ok()) {
        check(number);
    }
}

fn check(number: f64) {
    let printed = to_text(&number).unwrap();
    // Both stores' printers, and one that others made.
    assert_eq!(to_json(&Bson::Double(number)).as_ref(), Some(&printed));
    if !number.is_finite() {
        assert_eq!(printed, "null");
        return;
    }
    assert_eq!(printed, ryu_js::Buffer::new().format_finite(number));
    // JavaScript prints no sign of a zero.
    assert_eq!(printed.parse::<f64>().unwrap(), number);
}
