//! Templates such as `"{schema}_app"`, and the identifiers that they make.

use super::limits::RESERVED;
use crate::problem::shown;

/// Text with placeholders in braces, which a tenant's own values fill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Placeholder(String),
}

impl Template {
    /// Parses the text, or says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            literal(&mut parts, before)?;
            let (name, after) = after
                .split_once('}')
                .ok_or("a brace `{` is not closed: right is such as \"{schema}\"")?;
            parts.push(Part::Placeholder(placeholder(name)?));
            rest = after;
        }
        literal(&mut parts, rest)?;
        Ok(Self {
            text: text.to_owned(),
            parts,
        })
    }

    /// The template as it was written.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// The names in braces, in order.
    pub(super) fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Placeholder(name) => Some(name.as_str()),
            Part::Literal(_) => None,
        })
    }

    /// The text with the placeholders filled; `None` if `value` lacks one.
    pub(super) fn fill<'v>(&self, value: impl Fn(&str) -> Option<&'v str>) -> Option<String> {
        let mut text = String::new();
        for part in &self.parts {
            text.push_str(match part {
                Part::Literal(literal) => literal,
                Part::Placeholder(name) => value(name)?,
            });
        }
        Some(text)
    }
}

fn literal(parts: &mut Vec<Part>, text: &str) -> Result<(), String> {
    if text.contains('}') {
        return Err("a brace `}` has no opening one: right is such as \"{schema}\"".into());
    }
    if !text.is_empty() {
        parts.push(Part::Literal(text.to_owned()));
    }
    Ok(())
}

fn placeholder(name: &str) -> Result<String, String> {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let continues = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !starts || !name.chars().all(continues) {
        return Err(format!(
            "{} is not the name of a tenant's key: right is such as \"{{schema}}\"",
            shown(&format!("{{{name}}}"))
        ));
    }
    if !matches!(name, "id" | "name") && RESERVED.contains(&name) {
        return Err(format!("{{{name}}} is not a value of the tenant's own"));
    }
    Ok(name.to_owned())
}

/// PostgreSQL cuts longer identifiers (NAMEDATALEN - 1), which could make two
/// of them one.
const MOST_BYTES: usize = 63;

/// Whether PostgreSQL takes the text as an identifier as it is.
pub(super) fn check_identifier(text: &str) -> Result<(), String> {
    if text.is_empty() {
        Err("must not be empty".into())
    } else if text.contains(char::is_control) {
        Err("must not have control characters".into())
    } else if text.len() > MOST_BYTES {
        Err(format!(
            "is longer than PostgreSQL's limit for a name of {MOST_BYTES} bytes"
        ))
    } else {
        Ok(())
    }
}

/// Whether the text can be the name of a tenant's schema.
pub(super) fn check_schema(text: &str) -> Result<(), String> {
    check_identifier(text)?;
    if text == "information_schema" || text.starts_with("pg_") {
        return Err("is a schema of PostgreSQL itself".into());
    }
    // `"$user"` means the role's own schema even in quotes.
    if text == "$user" {
        return Err("means the role's own schema: write the schema's name".into());
    }
    Ok(())
}

/// Whether the text can be the name of a tenant's role.
pub(super) fn check_role(text: &str) -> Result<(), String> {
    check_identifier(text)?;
    if text == "public" || text == "none" || text.starts_with("pg_") {
        return Err("is a name that PostgreSQL keeps for itself".into());
    }
    Ok(())
}

/// The text as a quoted identifier.
pub(super) fn quote(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// The names in a search path whose elements are all quoted.
#[must_use]
pub fn unquote(search_path: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = search_path.chars().peekable();
    while rest.by_ref().any(|c| c == '"') {
        let mut name = String::new();
        while let Some(c) = rest.next() {
            if c != '"' {
                name.push(c);
            } else if rest.next_if_eq(&'"').is_some() {
                name.push('"');
            } else {
                break;
            }
        }
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::unquote;

    #[test]
    fn a_quoted_search_path_is_taken_apart() {
        assert_eq!(unquote(r#""a", "b""c", "d, e""#), ["a", "b\"c", "d, e"]);
        assert!(unquote("").is_empty());
    }
}
