//! The two spellings of a date in answers, read strictly: any other spelling stays as it is and so shows as a difference.

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]; // 1970 began on a Thursday

/// `2026-01-02T03:04:05.678Z` as milliseconds since 1970.
pub(super) fn iso(text: &str) -> Option<i64> {
    let fields = shape(text, "0000-00-00T00:00:00.000Z")?;
    let [year, month, day, hour, minute, second, milli] = fields[..] else { return None };
    Some((days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second) * 1000 + milli)
}

/// `Fri, 02 Jan 2026 03:04:05 GMT` as milliseconds since 1970.
pub(super) fn http(text: &str) -> Option<i64> {
    let name = text.get(8..11)?;
    let month = MONTHS.iter().position(|month| *month == name)? as i64 + 1;
    let fields = shape(text.get(3..)?, &format!(", 00 {name} 0000 00:00:00 GMT"))?;
    let [day, year, hour, minute, second] = fields[..] else { return None };
    let days = days(year, month, day);
    let weekday = DAYS[days.rem_euclid(7) as usize];
    text.starts_with(weekday).then_some((days * 86_400 + hour * 3600 + minute * 60 + second) * 1000)
}

/// The numbers in `text`, where `pattern` has a 0 for each digit and is equal elsewhere.
fn shape(text: &str, pattern: &str) -> Option<Vec<i64>> {
    let mut fields = Vec::new();
    let mut inside = false;
    if text.len() != pattern.len() {
        return None;
    }
    for (got, wanted) in text.bytes().zip(pattern.bytes()) {
        if wanted != b'0' {
            inside = false;
            if got != wanted {
                return None;
            }
        } else if got.is_ascii_digit() {
            if !inside {
                fields.push(0);
            }
            inside = true;
            *fields.last_mut()? = fields.last()? * 10 + i64::from(got - b'0');
        } else {
            return None;
        }
    }
    Some(fields)
}

/// Days from 1970-01-01 in the Gregorian calendar, counted in years that begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_mean_the_same() {
        assert_eq!(iso("2026-01-02T03:04:05.678Z"), Some(1_767_323_045_678));
        assert_eq!(http("Fri, 02 Jan 2026 03:04:05 GMT"), Some(1_767_323_045_000));
    }

    #[test]
    fn other_spellings_are_no_dates() {
        for text in ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678+00:00", "2026-1-2T03:04:05.678Z"] {
            assert_eq!(iso(text), None, "{text}");
        }
        for text in [
            "Thu, 02 Jan 2026 03:04:05 GMT",
            "Fri, 02-Jan-2026 03:04:05 GMT",
            "Fri, 2 Jan 2026 03:04:05 GMT",
            "é",
        ] {
            assert_eq!(http(text), None, "{text}");
        }
    }
}
