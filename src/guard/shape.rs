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
    // Within a literal, too, a text must be one that the guard takes.
    let is_text = std::str::from_utf8(sql).is_ok() && memchr::memchr(0, sql).is_none();
    if sql.len() > MAX_TEXT || !is_text {
        return false;
    }
    let writer = Writer {
        sql,
        at: 0,
        copied: 0,
        shape,
    };
    writer.run().is_some()
}

struct Writer<'a> {
    sql: &'a [u8],
    at: usize,
    /// Up to here the text is in the shape.
    copied: usize,
    shape: &'a mut Vec<u8>,
}

/// What a byte begins where no word, literal or quoted name goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// A word, of which digits and `$` can be a part.
    Word,
    Digit,
    /// White space, operators and the like: one byte of the shape.
    Other,
    Quote,
    DoubleQuote,
    Dollar,
    /// Perhaps a comment.
    MinusOrSlash,
    /// Nothing that a shape may hold.
    Never,
}

static CLASSES: [Class; 256] = classes();

const fn classes() -> [Class; 256] {
    let mut classes = [Class::Never; 256];
    let mut byte: u8 = 0;
    loop {
        classes[byte as usize] = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => Class::Word,
            b'0'..=b'9' => Class::Digit,
            b'\'' => Class::Quote,
            b'"' => Class::DoubleQuote,
            b'$' => Class::Dollar,
            b'-' | b'/' => Class::MinusOrSlash,
            b'&' | b'\\' => Class::Never,
            b' '..=b'~' | b'\t' | b'\n' | b'\r' => Class::Other,
            _ => Class::Never,
        };
        if byte == u8::MAX {
            return classes;
        }
        byte += 1;
    }
}

fn class(byte: u8) -> Class {
    CLASSES[usize::from(byte)]
}

/// Bytes that are passed by: those of words but for digits and `$`, and what
/// stands between words.
static IS_PLAIN: [bool; 256] = all_of(&[Class::Word, Class::Other]);
/// Bytes that can go on with a word.
static IS_OF_WORD: [bool; 256] = all_of(&[Class::Word, Class::Digit, Class::Dollar]);

const fn all_of(of: &[Class]) -> [bool; 256] {
    let classes = classes();
    let mut all = [false; 256];
    let mut byte = 0;
    while byte < all.len() {
        let mut i = 0;
        while i < of.len() {
            all[byte] |= classes[byte] as u8 == of[i] as u8;
            i += 1;
        }
        byte += 1;
    }
    all
}

impl Writer<'_> {
    /// `None`: the text has no shape, or no literal.
    fn run(mut self) -> Option<()> {
        loop {
            self.at = self.end_of(|byte| IS_PLAIN[usize::from(byte)]);
            let Some(byte) = self.sql.get(self.at) else {
                break;
            };
            match class(*byte) {
                // Literals take all that could belong to them: this is a word's.
                Class::Digit | Class::Dollar if self.before().is_some_and(is_word) => {
                    self.at = self.word_end();
                }
                Class::Digit => self.number()?,
                Class::Quote => self.string()?,
                Class::DoubleQuote => self.at = self.quote_end(b'"')?,
                Class::Dollar => self.parameter()?,
                Class::MinusOrSlash if self.begins_comment() => return None,
                Class::MinusOrSlash | Class::Word | Class::Other => self.at += 1,
                Class::Never => return None,
            }
        }
        if self.copied == 0 {
            return None;
        }
        self.copy();
        Some(())
    }

    /// Copies what has been passed by.
    fn copy(&mut self) {
        let passed = self.sql.get(self.copied..self.at);
        self.shape.extend_from_slice(passed.unwrap_or_default());
    }

    /// Leaves a literal out that ends at `end`.
    fn mark(&mut self, mark: u8, end: usize) {
        self.copy();
        self.shape.push(mark);
        self.at = end;
        self.copied = end;
    }

    /// Where the letters, digits, `_` and `$` end that begin here.
    fn word_end(&self) -> usize {
        self.end_of(is_word)
    }

    fn end_of(&self, belongs: impl Fn(u8) -> bool) -> usize {
        let mut end = self.at;
        while self.sql.get(end).is_some_and(|byte| belongs(*byte)) {
            end += 1;
        }
        end
    }

    /// A number, taken with all that could belong to one.
    fn number(&mut self) -> Option<()> {
        if self.before() == Some(b'.') {
            return None;
        }
        let end = self.end_of(|byte| is_word(byte) || byte == b'.');
        let text = self.sql.get(self.at..end)?;
        let mark = match text.iter().position(|byte| *byte == b'.') {
            None => integer_or_float(text)?,
            Some(point) => {
                let (whole, fraction) = (text.get(..point)?, text.get(point + 1..)?);
                (is_digits(whole) && is_digits(fraction)).then_some(FLOAT)?
            }
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
            at += memchr::memchr(quote, self.sql.get(at..)?)? + 1;
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
        is_digits(self.sql.get(self.at..end)?).then(|| self.at = end)
    }

    fn begins_comment(&self) -> bool {
        matches!(self.sql.get(self.at..self.at + 2), Some(b"--" | b"/*"))
    }

    fn before(&self) -> Option<u8> {
        self.sql.get(self.at.checked_sub(1)?).copied()
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
    IS_OF_WORD[usize::from(byte)]
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
            "SELECT 'a\0b'",
        ] {
            assert_eq!(shape(sql), None, "{sql}");
        }
    }
}
