//! An answer in the form in which two sides can be compared.

use std::fmt;

const TIME_TOLERANCE: i64 = 2000; // ms: the sides answer one after the other, and Expires has whole seconds
const AGE_TOLERANCE: i64 = 50; // ms: express-session loses one now and then

/// What one side answered, with `<sid N>`, `<time>` and `<age>` where the sides cannot be equal.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) set_cookie: Vec<String>,
    pub(super) headers: Vec<String>,
    pub(super) body: String,
    /// Milliseconds since 1970, one for each `<time>`.
    pub(super) times: Vec<i64>,
    /// Milliseconds, one for each `<age>`.
    pub(super) ages: Vec<i64>,
}

impl Answer {
    pub(super) fn agrees(&self, other: &Self) -> bool {
        self.status == other.status
            && self.set_cookie == other.set_cookie
            && self.headers == other.headers
            && self.body == other.body
            && near(&self.times, &other.times, TIME_TOLERANCE)
            && near(&self.ages, &other.ages, AGE_TOLERANCE)
    }
}

fn near(left: &[i64], right: &[i64], tolerance: i64) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(left, right)| (left - right).abs() <= tolerance)
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {}", self.status)?;
        for line in &self.set_cookie {
            writeln!(f, "  set-cookie: {line}")?;
        }
        for line in &self.headers {
            writeln!(f, "  {line}")?;
        }
        writeln!(f, "  {}", self.body)?;
        if !(self.times.is_empty() && self.ages.is_empty()) {
            writeln!(f, "  times {:?} ages {:?}", self.times, self.ages)?;
        }
        Ok(())
    }
}
