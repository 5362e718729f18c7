//! Names and texts within SQL.

pub(super) use postgres_protocol::escape::{
    escape_identifier as identifier, escape_literal as literal,
};

/// The elements of an array of texts as PostgreSQL prints it: `{a,"b c"}`.
pub(super) fn elements(text: &str) -> Vec<String> {
    let inner = text.strip_prefix('{').and_then(|t| t.strip_suffix('}'));
    let (mut all, mut one, mut is_quoted, mut is_escaped) =
        (Vec::new(), String::new(), false, false);
    let Some(inner) = inner.filter(|inner| !inner.is_empty()) else {
        return all;
    };
    for c in inner.chars() {
        match c {
            c if is_escaped => {
                one.push(c);
                is_escaped = false;
            }
            '\\' => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => all.push(std::mem::take(&mut one)),
            c => one.push(c),
        }
    }
    all.push(one);
    all
}

/// A text that nobody else has.
pub(super) fn canary() -> String {
    let mut bytes = [0; 12];
    // Without randomness it is still one that is not found by chance.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("pgtenant prove {hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_read_as_they_are_printed() {
        assert_eq!(elements("{}"), Vec::<String>::new());
        assert_eq!(elements("{a,b}"), ["a", "b"]);
        assert_eq!(elements(r#"{"a,\"b\\",c}"#), ["a,\"b\\", "c"]);
    }
}
