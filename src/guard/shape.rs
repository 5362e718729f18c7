//! The shape of a query string: what it is with its literals left out.
//!
//! Two texts with the same shape get the same verdict, if inspecting one of
//! them read no literal. That is sound because
//!
//! 1. *the tokens are the same.* A text has a shape only if it holds nothing
//!    that could join, hide or alter a token: no comment, no `&` (`U&'…'`), no
//!    backslash, no dollar quote, no string right behind a word (`E'…'`), no
//!    number but plain digits with at most one point. Then strings, quoted names
//!    and numbers begin and end where PostgreSQL's lexer (`scan.l`) lets them,
//!    everything but the inside of a literal is part of the shape, and the marks
//!    tell apart what the lexer tells apart (ICONST, FCONST, SCONST);
//! 2. *the trees are the same but for the literals.* The grammar decides by the
//!    types of tokens. Where its actions look at the value of a literal, in
//!    queries and changes of rows (`float(25)`), they choose a type's name or
//!    fail, on which no rule rests;
//! 3. *the verdict is a function of the tree*, and the walk has not looked at a
//!    literal of this one: it goes the same way through the other.
//!
//! Texts of other kinds of statements have no use for shapes: the guard reads
//! their literals.

/// Marks in the place of literals: bytes that stand in no text with a shape.
const INTEGER: u8 = 1;
const FLOAT: u8 = 2;
const STRING: u8 = 3;

/// Longer texts have no shape.
const MAX_TEXT: usize = 8 << 10;

/// Writes the shape of `sql` to `shape`. `false`: it has none, or no literal.
pub(super) fn write(sql: &[u8], shape: &mut Vec<u8>) -> bool {
    shape.clear();
    if sql.len() > MAX_TEXT || std::str::from_utf8(sql).is_err() {
        return false;
    }
    let literals = Writer { sql, at: 0, shape }.run();
    literals.is_some_and(|literals| literals > 0)
}

struct Writer<'a> {
    sql: &'a [u8],
    at: usize,
    shape: &'a mut Vec<u8>,
}

impl Writer<'_> {
    /// How many literals there are; `None`: the text has no shape.
    fn run(mut self) -> Option<usize> {
        let mut literals = 0;
        while let Some(byte) = self.sql.get(self.at) {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => self.copy(self.word_end()),
                b'0'..=b'9' => {
                    self.number()?;
                    literals += 1;
                }
                b'\'' => {
                    self.string()?;
                    literals += 1;
                }
                b'"' => self.copy(self.quote_end(b'"')?),
                b'$' => self.parameter()?,
                b'-' | b'/' if self.begins_comment() => return None,
                b'&' | b'\\' => return None,
                b' '..=b'~' | b'\t' | b'\n' | b'\r' => self.copy(self.at + 1),
                _ => return None,
            }
        }
        Some(literals)
    }

    fn copy(&mut self, end: usize) {
        self.shape
            .extend_from_slice(self.sql.get(self.at..end).unwrap_or_default());
        self.at = end;
    }

    fn mark(&mut self, mark: u8, end: usize) {
        self.shape.push(mark);
        self.at = end;
    }

    /// Where the letters, digits, `_` and `$` end that begin here.
    fn word_end(&self) -> usize {
        self.end_of(|byte| is_word(byte))
    }

    fn end_of(&self, belongs: impl Fn(u8) -> bool) -> usize {
        let rest = self.sql.get(self.at..).unwrap_or_default();
        let len = rest.iter().position(|byte| !belongs(*byte));
        self.at + len.unwrap_or(rest.len())
    }

    /// A number, taken with all that could belong to one.
    fn number(&mut self) -> Option<()> {
        if self.before() == Some(b'.') {
            return None;
        }
        let end = self.end_of(|byte| is_word(byte) || byte == b'.');
        let text = self.sql.get(self.at..end)?;
        let mark = match text.split(|byte| *byte == b'.').collect::<Parts<'_>>() {
            Parts::One(digits) => integer_or_float(digits)?,
            Parts::Two(whole, fraction) if is_digits(whole) && is_digits(fraction) => FLOAT,
            _ => return None,
        };
        self.mark(mark, end);
        Some(())
    }

    /// A string; one right behind a word may be of another kind (`E'…'`).
    fn string(&mut self) -> Option<()> {
        if self.before().is_some_and(is_word) {
            return None;
        }
        let end = self.quote_end(b'\'')?;
        if self.sql.get(self.at..end)?.contains(&b'\\') {
            return None;
        }
        self.mark(STRING, end);
        Some(())
    }

    /// The end of what is quoted here; a quote within it is doubled.
    fn quote_end(&self, quote: u8) -> Option<usize> {
        let mut at = self.at + 1;
        loop {
            let rest = self.sql.get(at..)?;
            at += rest.iter().position(|byte| *byte == quote)? + 1;
            if self.sql.get(at) != Some(&quote) {
                return Some(at);
            }
            at += 1;
        }
    }

    /// `$1`; anything else with a `$` may quote a text.
    fn parameter(&mut self) -> Option<()> {
        self.at += 1;
        let end = self.word_end();
        if !is_digits(self.sql.get(self.at..end)?) {
            return None;
        }
        self.shape.push(b'$');
        self.copy(end);
        Some(())
    }

    fn begins_comment(&self) -> bool {
        matches!(self.sql.get(self.at..self.at + 2), Some(b"--" | b"/*"))
    }

    fn before(&self) -> Option<u8> {
        self.sql.get(self.at.checked_sub(1)?).copied()
    }
}

/// What stands between the points of a number.
enum Parts<'a> {
    None,
    One(&'a [u8]),
    Two(&'a [u8], &'a [u8]),
    More,
}

impl<'a> FromIterator<&'a [u8]> for Parts<'a> {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(parts: I) -> Self {
        parts.into_iter().fold(Self::None, |all, part| match all {
            Self::None => Self::One(part),
            Self::One(first) => Self::Two(first, part),
            Self::Two(..) | Self::More => Self::More,
        })
    }
}

/// Digits are an ICONST up to the largest `int4`, an FCONST beyond.
fn integer_or_float(digits: &[u8]) -> Option<u8> {
    const LONGEST: usize = 19;
    if !is_digits(digits) || digits.len() > LONGEST {
        return None;
    }
    let value = digits
        .iter()
        .fold(0_u64, |value, digit| value * 10 + u64::from(digit - b'0'));
    Some(match i32::try_from(value) {
        Ok(_) => INTEGER,
        Err(_) => FLOAT,
    })
}

fn is_digits(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | 0x80..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(sql: &str) -> Option<String> {
        let mut shape = Vec::new();
        write(sql.as_bytes(), &mut shape).then(|| String::from_utf8(shape).unwrap())
    }

    #[test]
    fn literals_are_left_out_and_nothing_else() {
        for (sql, expected) in [
            (
                "SELECT a1 FROM t WHERE id = 7",
                "SELECT a1 FROM t WHERE id = \x01",
            ),
            ("SELECT 2147483647,2147483648", "SELECT \x01,\x02"),
            ("SELECT 1.50, -3 LIMIT 007", "SELECT \x02, -\x01 LIMIT \x01"),
            (
                "SELECT 'it''s', \"a 1 ''\" , $1, 'x'",
                "SELECT \x03, \"a 1 ''\" , $1, \x03",
            ),
            (
                "VALUES ('a'\n'b',t[1:2])",
                "VALUES (\x03\n\x03,t[\x01:\x01])",
            ),
        ] {
            assert_eq!(shape(sql).as_deref(), Some(expected), "{sql}");
        }
    }

    #[test]
    fn what_could_alter_a_token_has_no_shape() {
        for sql in [
            "",
            "SELECT a",
            "SELECT $1",
            "SELECT E'a'",
            "SELECT 1 -- x",
            "SELECT 1 /* x */",
            "SELECT U&'a' , 1",
            "SELECT 'a\\'",
            "SELECT 1 & 2",
            "SELECT $$a$$, 1",
            "SELECT $a$1$a$",
            "SELECT $1a, 1",
            "SELECT 1e5",
            "SELECT 1e-5",
            "SELECT 0x1F",
            "SELECT 1_000",
            "SELECT 1a",
            "SELECT 1..2",
            "SELECT .5",
            "SELECT 5.",
            "SELECT 'a",
            "SELECT \"a, 1",
            "SELECT date'2020-01-01'",
            "SELECT 12345678901234567890",
            "SELECT 1\x01",
            "SELECT 1\0",
        ] {
            assert_eq!(shape(sql), None, "{sql}");
        }
    }
}
