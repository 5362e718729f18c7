//! Names as SQL writes them.

use std::iter::Peekable;
use std::str::Chars;

/// The parts of a name with dots; `None` if it is none.
pub(super) fn dotted(text: &str) -> Option<Vec<String>> {
    let mut rest = text.trim().chars().peekable();
    let mut parts = vec![identifier(&mut rest)?];
    while rest.next_if_eq(&'.').is_some() {
        parts.push(identifier(&mut rest)?);
    }
    rest.next().is_none().then_some(parts)
}

/// A column, and a path within it: `value->'mood'`, `value->'days'->0`.
pub(super) fn column(text: &str) -> Option<(String, Vec<String>)> {
    let mut rest = text.trim().chars().peekable();
    let name = identifier(&mut rest)?;
    let mut path = Vec::new();
    loop {
        spaces(&mut rest);
        match (rest.next(), rest.next_if_eq(&'>')) {
            (None, _) => return Some((name, path)),
            (Some('-'), Some(_)) => {}
            _ => return None,
        }
        spaces(&mut rest);
        path.push(match rest.peek()? {
            '\'' => quoted(&mut rest, '\'')?,
            _ => {
                let mut digits = String::new();
                while let Some(digit) = rest.next_if(char::is_ascii_digit) {
                    digits.push(digit);
                }
                let index: u32 = digits.parse().ok()?;
                index.to_string()
            }
        });
    }
}

/// What a literal such as `'x'` says.
pub(super) fn literal(text: &str) -> Option<String> {
    let mut rest = text.chars().peekable();
    let said = quoted(&mut rest, '\'')?;
    rest.next().is_none().then_some(said)
}

fn spaces(rest: &mut Peekable<Chars<'_>>) {
    while rest.next_if_eq(&' ').is_some() {}
}

fn identifier(rest: &mut Peekable<Chars<'_>>) -> Option<String> {
    if rest.peek() == Some(&'"') {
        return quoted(rest, '"').filter(|name| !name.is_empty());
    }
    let mut name = String::new();
    let is_part = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '$');
    while let Some(c) = rest.next_if(is_part) {
        name.push(c.to_ascii_lowercase());
    }
    let starts = |c: char| c.is_alphabetic() || c == '_';
    name.starts_with(starts).then_some(name)
}

/// What is in quotes, each of which is doubled within.
fn quoted(rest: &mut Peekable<Chars<'_>>, quote: char) -> Option<String> {
    rest.next_if_eq(&quote)?;
    let mut said = String::new();
    loop {
        let c = rest.next()?;
        if c != quote {
            said.push(c);
        } else if rest.next_if_eq(&quote).is_some() {
            said.push(quote);
        } else {
            return Some(said);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_sql_reads_them() {
        let parts = |text| dotted(text).unwrap_or_default();
        assert_eq!(parts("Users"), ["users"]);
        assert_eq!(parts(r#""a""B".C"#), ["a\"B", "c"]);
        assert!(parts("a b").is_empty() && parts("a.").is_empty() && parts("1a").is_empty());
    }

    #[test]
    fn paths_are_taken_apart() {
        let path = |text| column(text).map(|(name, path)| (name, path.join("/")));
        assert_eq!(
            path("value -> 'it''s'->0"),
            Some(("value".into(), "it's/0".into()))
        );
        assert_eq!(path("note"), Some(("note".into(), String::new())));
        assert_eq!(path("value->>'mood'"), None);
        assert_eq!(path("value->mood"), None);
        assert_eq!(path("value-"), None);
    }
}
