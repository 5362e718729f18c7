//! Texts of clients, where people read them.

use std::borrow::Cow;

/// A text that a terminal or a page shows as it is, on one line: names and statements
/// are the clients'. No NUL is in a text of PostgreSQL's either.
#[must_use]
pub fn harmless(text: &str) -> Cow<'_, str> {
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_harmful(c) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// Whether the character moves the cursor, ends the line, changes the direction or the
/// order of others, or is not seen (Unicode, Cf).
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_hide_or_turn_what_it_is() {
        assert!(matches!(harmless("ärger \"x\""), Cow::Borrowed(_)));
        assert_eq!(harmless("a\nb\0c\u{1b}[2J"), "a\\nb\\u{0}c\\u{1b}[2J");
        assert_eq!(harmless("\u{202e}evil"), "\\u{202e}evil");
    }
}
