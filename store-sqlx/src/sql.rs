//! Statements are written with `{names}`, which are filled in once, when the store is set up. Values are never part of them.

use std::sync::Arc;

use sqlx::AssertSqlSafe;

use crate::error::Failure;

/// A statement that is ready: its text holds nothing but this crate's SQL and quoted names.
#[derive(Clone)]
pub(crate) struct Statement(Arc<str>);

impl Statement {
    /// The template with its names filled in.
    pub(crate) fn fill(template: &str, names: &[(&str, &str)]) -> Self {
        Self(fill(template, names).into())
    }

    pub(crate) fn text(&self) -> AssertSqlSafe<Arc<str>> {
        AssertSqlSafe(Arc::clone(&self.0))
    }
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
        "is empty"
    } else if name.len() > longest {
        "is longer than the database's names can be"
    } else if name.chars().any(char::is_control) {
        "has a control character"
    } else if name.ends_with(' ') {
        "ends in a blank"
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
        for good in ["session", "user sessions", "séance", "a\"b", "{x}"] {
            assert_eq!(identifier("table_name", good, 63).unwrap(), good);
        }
    }
}
