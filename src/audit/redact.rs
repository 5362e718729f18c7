//! A statement's text without its literals and comments.
//!
//! It splits the text as PostgreSQL's lexer does with `standard_conforming_strings` on.
//! What it is not sure of is taken for a literal: it leaves out too much rather than too
//! little.

/// Most bytes of a text that are kept.
const MOST: usize = 64 << 10;

/// The text, a `?` in the place of each literal.
#[must_use]
pub fn redact(sql: &str) -> String {
    redact_front(sql, MOST)
}

/// The front of that: it stops once there are `most` bytes, with the word or literal that
/// it is at.
#[must_use]
pub fn redact_front(sql: &str, most: usize) -> String {
    let mut redactor = Redactor {
        rest: sql,
        out: String::with_capacity(sql.len().min(most)),
        before: None,
    };
    while redactor.out.len() < most && redactor.step() {}
    let text = redactor.out.trim_end().len();
    redactor.out.truncate(text);
    redactor.out
}

struct Redactor<'a> {
    rest: &'a str,
    out: String,
    /// The character before the rest, if it is of a word.
    before: Option<char>,
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '\u{80}'..)
}

impl Redactor<'_> {
    /// Takes the next part. `false`: there is none.
    fn step(&mut self) -> bool {
        let Some(c) = self.rest.chars().next() else {
            return false;
        };
        let next = self
            .rest
            .get(c.len_utf8()..)
            .and_then(|rest| rest.chars().next());
        let inside = self.before.take();
        match (c, next) {
            ('\'', _) => self.string(inside),
            ('"', _) => self.quoted_name(),
            ('$', _) if inside.is_none() => self.dollar(),
            ('-', Some('-')) => {
                let end = self.rest.find(['\n', '\r']).unwrap_or(self.rest.len());
                self.skip(end);
                self.space();
            }
            ('/', Some('*')) => self.comment(),
            ('0'..='9', _) if inside.is_none() => self.number(),
            ('.', Some('0'..='9')) if inside.is_none() && !self.out.ends_with('"') => self.number(),
            (c, _) if c.is_whitespace() => {
                self.skip(c.len_utf8());
                self.space();
            }
            (c, _) => {
                self.out.push(c);
                self.skip(c.len_utf8());
                self.before = is_of_word(c).then_some(c);
            }
        }
        true
    }

    fn skip(&mut self, len: usize) {
        self.rest = self.rest.get(len..).unwrap_or_default();
    }

    fn space(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with(' ') {
            self.out.push(' ');
        }
    }

    /// From a quote on. With `E` in front of it, a backslash escapes.
    fn string(&mut self, inside: Option<char>) {
        let escapes = matches!(inside, Some('e' | 'E'));
        let mut chars = self.rest.char_indices().skip(1).peekable();
        let mut end = self.rest.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' if escapes => drop(chars.next()),
                '\'' if chars.peek().is_some_and(|(_, next)| *next == '\'') => drop(chars.next()),
                '\'' => {
                    end = at + 1;
                    break;
                }
                _ => {}
            }
        }
        self.skip(end);
        self.out.push('?');
    }

    fn quoted_name(&mut self) {
        let end = self.rest.get(1..).and_then(|rest| rest.find('"'));
        let end = end.map_or(self.rest.len(), |at| at + 2);
        self.out.push_str(self.rest.get(..end).unwrap_or_default());
        self.skip(end);
    }

    /// A parameter, or a string between dollars.
    fn dollar(&mut self) {
        let behind = self.rest.get(1..).unwrap_or_default();
        let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            self.out
                .push_str(self.rest.get(..=digits).unwrap_or_default());
            self.skip(1 + digits);
            return;
        }
        let tag = behind.find(|c: char| c == '$' || !is_of_word(c));
        let tag = tag.filter(|at| behind.get(*at..).is_some_and(|rest| rest.starts_with('$')));
        let Some(len) = tag.map(|at| at + 2) else {
            self.out.push('$');
            self.skip(1);
            return;
        };
        let (tag, body) = self.rest.split_at_checked(len).unwrap_or_default();
        let end = body.find(tag).map_or(self.rest.len(), |at| len + at + len);
        self.skip(end);
        self.out.push('?');
    }

    fn comment(&mut self) {
        let bytes = self.rest.as_bytes();
        let (mut depth, mut at) = (0_usize, 0);
        while let Some(pair) = bytes.get(at..at + 2) {
            match pair {
                b"/*" => depth += 1,
                b"*/" => depth -= 1,
                _ => {
                    at += 1;
                    continue;
                }
            }
            at += 2;
            if depth == 0 {
                break;
            }
        }
        let end = if depth == 0 { at } else { self.rest.len() };
        self.skip(end);
        self.space();
    }

    /// Digits, and whatever of a word is behind them.
    fn number(&mut self) {
        let mut end = 0;
        let mut last = ' ';
        for (at, c) in self.rest.char_indices() {
            let exponent = matches!(c, '+' | '-') && matches!(last, 'e' | 'E');
            if !is_of_word(c) && c != '.' && !exponent {
                break;
            }
            last = c;
            end = at + c.len_utf8();
        }
        self.skip(end);
        self.out.push('?');
    }
}

#[cfg(test)]
mod tests {
    use super::{redact, redact_front};
    use proptest::prelude::*;

    #[test]
    fn literals_and_comments_are_left_out() {
        for (sql, shape) in [
            ("SELECT 1", "SELECT ?"),
            (
                "select a1, 'it''s', 2.5e-3 from t1",
                "select a1, ?, ? from t1",
            ),
            ("SELECT E'a\\'b' , x'1f'", "SELECT E? , x?"),
            ("SELECT $1, $$a$b$$ , $t$ 'x' $t$", "SELECT $1, ? , ?"),
            ("SELECT /* it's /* secret */ */ \"a'1\"", "SELECT \"a'1\""),
            ("SELECT a -- secret\n  FROM b", "SELECT a FROM b"),
            ("SELECT 'open", "SELECT ?"),
            ("SELECT $t$open", "SELECT ?"),
            ("SELECT U&'d\\0061' UESCAPE '!'", "SELECT U&? UESCAPE ?"),
            ("SELECT a.b, .5, t.1", "SELECT a.b, ?, t.?"),
            ("ALTER ROLE a PASSWORD 'secret'", "ALTER ROLE a PASSWORD ?"),
        ] {
            assert_eq!(redact(sql), shape, "{sql}");
        }
    }

    #[test]
    fn the_front_ends_with_what_it_is_at() {
        let sql = "SELECT a FROM b WHERE c = 'secret'";
        assert_eq!(redact_front(sql, 10), "SELECT a F");
        assert_eq!(redact_front(sql, 1000), redact(sql));
    }

    proptest! {
        #[test]
        fn no_string_gets_through(
            before in "[a-z ,(]{0,8}[ ,(=]", inner in "[^'\\\\\u{0}]{0,9}", after in "[ ,);][a-z ]{0,5}",
        ) {
            let secret = format!("Z{inner}Q");
            let text = format!("{before}'{secret}'{after}");
            prop_assert!(!redact(&text).contains('Z'));
        }

        #[test]
        fn any_text_is_taken(sql in any::<String>()) {
            let _ = redact(&sql);
        }
    }
}
