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
    assert_eq!(to_json(&Bson::Double(number)).as_ref(), Some(&printed), "both printers");
    if !number.is_finite() {
        assert_eq!(printed, "null");
        return;
    }
    crate::reached();
    // JavaScript prints no sign of a zero.
    assert_eq!(printed.parse::<f64>().unwrap(), number, "no digit too few");
    let shortest = by_javascript(number);
    // Of two texts that are equally short and equally near, Rust may take the other one.
    assert!(printed == shortest || printed.len() == shortest.len(), "{printed} for {shortest}");
}

/// ECMA-262 `Number::toString` of the digits that Rust prints.
fn by_javascript(number: f64) -> String {
    let scientific = format!("{:e}", number.abs());
    let (digits, exponent) = scientific.split_once('e').unwrap();
    let digits = digits.replace('.', "");
    let (count, point) = (digits.len() as i32, exponent.parse::<i32>().unwrap() + 1);
    let zeros = |count: i32| "0".repeat(count.unsigned_abs() as usize);
    let sign = if number < 0.0 { "-" } else { "" };
    let rest = match point {
        _ if number == 0.0 => digits,
        _ if count <= point && point <= 21 => format!("{digits}{}", zeros(point - count)),
        1..=21 => {
            let (whole, part) = digits.split_at(point as usize);
            format!("{whole}.{part}")
        }
        -5..=0 => format!("0.{}{digits}", zeros(point)),
        _ => {
            let (first, part) = digits.split_at(1);
            let dot = if part.is_empty() { "" } else { "." };
            format!("{first}{dot}{part}e{:+}", point - 1)
        }
    };
    format!("{sign}{rest}")
}
