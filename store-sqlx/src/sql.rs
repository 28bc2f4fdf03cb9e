//! Statements are written once for all names: `{table}` is filled in when the store is set up, `:sid` is a value and never
//! part of the text.

use std::sync::Arc;

use sqlx::AssertSqlSafe;

use crate::{error::Failure, time::Millis};

/// What a statement takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Sid,
    /// The same as bytes, which no collation compares.
    Bytes,
    Now,
    Until,
    /// Of the record.
    Text,
    Version,
    /// Where a page of rows begins, after which row, and where it ends.
    After,
    End,
    Limit,
    /// As many as there are.
    Sids,
}

const VALUES: &[(&str, Value)] = &[
    ("sids", Value::Sids),
    ("sid", Value::Sid),
    ("bytes", Value::Bytes),
    ("now", Value::Now),
    ("until", Value::Until),
    ("text", Value::Text),
    ("version", Value::Version),
    ("after", Value::After),
    ("end", Value::End),
    ("limit", Value::Limit),
];

/// One of each.
#[derive(Clone, Copy, Default)]
pub(crate) struct Values<'a> {
    pub(crate) sid: &'a str,
    pub(crate) now: Millis,
    pub(crate) until: Millis,
    pub(crate) text: &'a str,
    pub(crate) version: &'a str,
    pub(crate) after: &'a str,
    pub(crate) end: &'a str,
    pub(crate) limit: i64,
    pub(crate) sids: &'a [String],
}

/// How a database has its values written: `$1` and `?1`, where the same value is the same number, or `?`, one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) mark: char,
    pub(crate) is_numbered: bool,
}

/// A statement that is ready: its text holds nothing but this crate's SQL, quoted names and places for values.
#[derive(Clone)]
pub(crate) struct Statement {
    text: Arc<str>,
    values: Arc<[Value]>,
}

impl Statement {
    /// The template with its names filled in.
    pub(crate) fn new(template: &str, names: &[(&str, &str)], style: Style) -> Self {
        Self::placed(&fill(template, names), style, 1)
    }

    /// Without names and values.
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    pub(crate) fn plain(text: &str) -> Self {
        Self { text: text.into(), values: Arc::default() }
    }

    /// With so many places where it takes a list.
    pub(crate) fn with_list(filled: &str, style: Style, length: usize) -> Self {
        Self::placed(filled, style, length)
    }

    pub(crate) fn text(&self) -> AssertSqlSafe<Arc<str>> {
        AssertSqlSafe(Arc::clone(&self.text))
    }

    /// In the order in which the database wants them.
    pub(crate) fn values(&self) -> &[Value] {
        &self.values
    }

    /// What stands between quotes is a name or a text, and `::` is PostgreSQL's cast.
    fn placed(filled: &str, style: Style, length: usize) -> Self {
        let (mut text, mut values, mut rest) = (String::with_capacity(filled.len()), Vec::new(), filled);
        while let Some(at) = rest.find(['\'', '"', '`', ':']) {
            let (before, special) = rest.split_at(at);
            text.push_str(before);
            let value = VALUES.iter().find_map(|(name, value)| {
                let after = special.strip_prefix(':')?.strip_prefix(name)?;
                Some((*value, after))
            });
            if let Some((value, after)) = value {
                place(&mut text, &mut values, value, style, length);
                rest = after;
                continue;
            }
            let mark = &special[..1];
            let end = match mark {
                ":" if special.starts_with("::") => 2,
                ":" => 1,
                quote => special[1..].find(quote).map_or(special.len(), |at| at + 2),
            };
            text.push_str(&special[..end]);
            rest = &special[end..];
        }
        text.push_str(rest);
        Self { text: text.into(), values: values.into() }
    }
}

fn place(text: &mut String, values: &mut Vec<Value>, value: Value, style: Style, length: usize) {
    let Style { mark, is_numbered } = style;
    let places = |value: Value| if value == Value::Sids { length } else { 1 };
    let known = values.iter().position(|known| is_numbered && *known == value);
    let before = known.unwrap_or(values.len());
    if known.is_none() {
        values.push(value);
    }
    let first = 1 + values[..before].iter().map(|value| places(*value)).sum::<usize>();
    let numbers = first..first + places(value);
    let marks = numbers.map(|number| if is_numbered { format!("{mark}{number}") } else { mark.to_string() });
    text.push_str(&marks.collect::<Vec<_>>().join(", "));
}

/// In one pass: what stands in a name is not filled in again.
pub(crate) fn fill(template: &str, names: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        filled.push_str(before);
        filled.push_str(names.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value));
        rest = after;
    }
    filled + rest
}

/// A name of a table, a schema or a column, as the option gave it: anything that the database can have between quotes.
pub(crate) fn identifier(option: &'static str, name: &str, longest: usize) -> Result<String, Failure> {
    let reason = if name.is_empty() {
        "the name is empty"
    } else if name.len() > longest {
        "the name is longer than the database's names can be"
    } else if name.chars().any(char::is_control) {
        "the name has a control character"
    } else if name.ends_with(' ') {
        "the name ends in a blank"
    } else {
        return Ok(name.to_owned());
    };
    Err(Failure::Option { option, reason })
}

/// Between quotes, and so nothing but a name, whatever is in it.
pub(crate) fn quoted(name: &str, quote: char) -> String {
    let doubled = name.replace(quote, &format!("{quote}{quote}"));
    format!("{quote}{doubled}{quote}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_filled_in_once() {
        let names = [("table", "\"{sid}\""), ("sid", "id")];
        assert_eq!(fill("SELECT {sid} FROM {table} LIMIT 1", &names), "SELECT id FROM \"{sid}\" LIMIT 1");
    }

    const DOLLAR: Style = Style { mark: '$', is_numbered: true };
    const NUMBERED: Style = Style { mark: '?', is_numbered: true };
    const IN_ORDER: Style = Style { mark: '?', is_numbered: false };

    #[test]
    fn each_database_has_its_values_in_its_own_way() {
        let template = "SELECT sid::text, ':now' FROM {table} \
            WHERE sid IN (:sids) AND a < :now AND b > :until OR c = :now";
        let names = [("table", "\"a:sid\"")];
        let statement = |style| {
            let statement = Statement::with_list(&fill(template, &names), style, 2);
            let text =
                statement.text().0.replace("SELECT sid::text, ':now' FROM \"a:sid\" WHERE sid IN ", "");
            (text, statement.values().to_vec())
        };
        use Value::{Now, Sids, Until};
        let thrice = vec![Sids, Now, Until];
        for (style, text, values) in [
            (DOLLAR, "($1, $2) AND a < $3 AND b > $4 OR c = $3", &thrice),
            (NUMBERED, "(?1, ?2) AND a < ?3 AND b > ?4 OR c = ?3", &thrice),
            (IN_ORDER, "(?, ?) AND a < ? AND b > ? OR c = ?", &vec![Sids, Now, Until, Now]),
        ] {
            assert_eq!(statement(style), (text.to_owned(), values.clone()), "{style:?}");
        }
    }

    #[test]
    fn a_name_cannot_end_its_quotes() {
        assert_eq!(quoted(r#"a"; DROP TABLE b; --"#, '"'), r#""a""; DROP TABLE b; --""#);
        assert_eq!(quoted("a`b", '`'), "`a``b`");
    }

    #[test]
    fn a_name_that_no_database_can_have_is_refused_by_its_option() {
        for bad in ["", "a\0b", "a\n", "a ", &"x".repeat(64)] {
            let error = identifier("table_name", bad, 63).unwrap_err();
            assert!(error.to_string().starts_with("option table_name: the name "), "{error}");
        }
        for good in ["session", "user sessions", "séance", "a\"b", "{x}", ":sid"] {
            assert_eq!(identifier("table_name", good, 63).unwrap(), good);
        }
    }
}
