use session_core::fuzzing::{http, iso, parse_date};
use store_mongo::{
    fuzzing::to_json,
    mongodb::bson::{Bson, DateTime},
};
use time::{
    OffsetDateTime,
    format_description::{BorrowedFormatItem, well_known::Rfc3339},
    macros::format_description,
};

use crate::input::Input;

/// Years of four digits, which both forms keep to.
const FIRST: i64 = -62_167_219_200_000;
const LAST: i64 = 253_402_300_799_999;
/// 400 years.
const ERA: i64 = 146_097 * 86_400_000;

const ISO: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
const HTTP: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// Milliseconds in eight bytes; and the same as the text of a date.
pub(crate) fn run(data: &[u8]) {
    let millis = i64::from_le_bytes(Input(data).word());
    print(millis);
    print(millis % LAST);
    print(millis % (2 * 8_640_000_000_000_000));
    let Ok(text) = std::str::from_utf8(data) else { return };
    crate::reached();
    let read = parse_date(text);
    // JavaScript has no leap seconds, no other letters between the day and the hour, and with a space no year before 100.
    let is_odd = text.get(17..19) == Some("60")
        || !matches!(text.as_bytes().get(10), Some(b'T' | b't' | b' '))
        || (text.starts_with("00") && text.get(10..11) == Some(" "));
    let reference = OffsetDateTime::parse(text, &Rfc3339).ok().filter(|_| !is_odd);
    let reference = reference.map(|date| date.unix_timestamp_nanos().div_euclid(1_000_000));
    assert_eq!(read, reference.map(|millis| i64::try_from(millis).unwrap().clamp(FIRST, LAST)));
    if let Some(millis) = read {
        assert_eq!(parse_date(&iso(millis)), Some(millis));
    }
}

fn print(millis: i64) {
    let kept = millis.clamp(FIRST, LAST);
    let date = OffsetDateTime::from_unix_timestamp_nanos(i128::from(kept) * 1_000_000).unwrap();
    assert_eq!(iso(millis), date.format(ISO).unwrap());
    assert_eq!(http(millis), date.format(HTTP).unwrap());
    assert_eq!(parse_date(&iso(millis)), Some(kept));
    let in_bson = to_json(&Bson::DateTime(DateTime::from_millis(millis))).unwrap();
    assert_eq!(in_bson, of_any_year(millis));
}

/// A BSON date may have any year that JavaScript has: with its sign and six digits beyond those of four. Every 400 years
/// the calendar is the same.
fn of_any_year(millis: i64) -> String {
    if millis.unsigned_abs() > 8_640_000_000_000_000 {
        return "null".to_owned();
    }
    let (eras, within) = ((millis - FIRST).div_euclid(ERA), (millis - FIRST).rem_euclid(ERA) + FIRST);
    let date = iso(within);
    let (year, rest) = date.split_at(4);
    let year = year.parse::<i64>().unwrap() + 400 * eras;
    if (0..=9_999).contains(&year) { format!("\"{year:04}{rest}\"") } else { format!("\"{year:+07}{rest}\"") }
}
