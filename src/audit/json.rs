//! Fields of a record, written as JSON.

use std::fmt::Display;
use std::io::Write as _;

/// Writes fields behind each other. What it writes is one line whatever the values
/// are.
#[derive(Debug)]
pub(super) struct Fields<'a>(&'a mut Vec<u8>);

impl<'a> Fields<'a> {
    /// The fields of a record of this kind.
    pub(super) fn new(event: &'static str, out: &'a mut Vec<u8>) -> Self {
        out.extend_from_slice(b"\"event\":\"");
        out.extend_from_slice(event.as_bytes());
        out.push(b'"');
        Self(out)
    }

    /// More fields behind what is there.
    pub(super) fn behind(out: &'a mut Vec<u8>) -> Self {
        Self(out)
    }

    /// A text.
    pub(super) fn text(&mut self, key: &'static str, value: &str) -> &mut Self {
        self.key(key);
        write_text(value, self.0);
        self
    }

    /// A text, if there is one.
    pub(super) fn optional(&mut self, key: &'static str, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.text(key, value),
            None => self,
        }
    }

    /// Something whose text needs no escapes: an address, a number, hexadecimal digits.
    pub(super) fn plain(&mut self, key: &'static str, value: impl Display) -> &mut Self {
        self.key(key);
        self.0.push(b'"');
        // Writing to memory does not fail.
        let _ = write!(self.0, "{value}");
        self.0.push(b'"');
        self
    }

    /// A number.
    pub(super) fn number(&mut self, key: &'static str, value: u64) -> &mut Self {
        self.key(key);
        write_number(value, self.0);
        self
    }

    /// True or false.
    pub(super) fn boolean(&mut self, key: &'static str, value: bool) -> &mut Self {
        self.key(key);
        self.0
            .extend_from_slice(if value { b"true" } else { b"false" });
        self
    }

    /// A list of texts.
    pub(super) fn list<T: AsRef<str>>(
        &mut self,
        key: &'static str,
        values: impl IntoIterator<Item = T>,
    ) -> &mut Self {
        self.key(key);
        write_list(values, self.0);
        self
    }

    /// Fields that have been written already.
    pub(super) fn more(&mut self, fields: &[u8]) {
        self.0.extend_from_slice(fields);
    }

    /// What has been written already as JSON.
    pub(super) fn written(&mut self, key: &'static str, json: &[u8]) -> &mut Self {
        self.key(key);
        self.0.extend_from_slice(json);
        self
    }

    fn key(&mut self, key: &'static str) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(key.as_bytes());
        self.0.extend_from_slice(b"\":");
    }
}

/// Writes a number: many are written, and formatting takes its time.
pub(super) fn write_number(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(value % 10).unwrap_or_default();
        value /= 10;
        at -= 1;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

/// Writes a list of texts.
pub(super) fn write_list<T: AsRef<str>>(values: impl IntoIterator<Item = T>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (n, value) in values.into_iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        write_text(value.as_ref(), out);
    }
    out.push(b']');
}

/// Writes a text with its quotes. Control characters are escaped, and line and
/// paragraph separators too, which some readers take for line ends.
pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    // Most texts are so, and then there is nothing to look for character by character.
    if is_plain(text.as_bytes()) {
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    let mut rest = text;
    while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_escaped(*c)) {
        let (plain, behind) = rest.split_at(at);
        out.extend_from_slice(plain.as_bytes());
        let _ = match c {
            '"' => out.write_all(b"\\\""),
            '\\' => out.write_all(b"\\\\"),
            '\n' => out.write_all(b"\\n"),
            '\r' => out.write_all(b"\\r"),
            '\t' => out.write_all(b"\\t"),
            // All that are escaped are in the first plane.
            c => write!(out, "\\u{:04x}", u32::from(c)),
        };
        rest = behind.get(c.len_utf8()..).unwrap_or_default();
    }
    out.extend_from_slice(rest.as_bytes());
    out.push(b'"');
}

/// Whether all is ASCII of which nothing is escaped. It does not end with the first byte
/// that is not: so many bytes are looked at in one instruction.
fn is_plain(text: &[u8]) -> bool {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\');
    text.iter().fold(true, |all, byte| all & is_plain(*byte))
}

fn is_escaped(c: char) -> bool {
    matches!(c, '"' | '\\' | '\u{2028}' | '\u{2029}') || c.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_is_one_line_that_reads_back(text in any::<String>()) {
            let mut out = Vec::new();
            write_text(&text, &mut out);
            prop_assert!(!out.iter().any(u8::is_ascii_control));
            let read: String = serde_json::from_slice(&out).expect("is JSON");
            prop_assert_eq!(read, text);
        }
    }

    #[test]
    fn numbers_are_written_whole() {
        for n in [0, 7, 10, 12_345, u64::MAX] {
            let mut out = Vec::new();
            write_number(n, &mut out);
            assert_eq!(out, n.to_string().into_bytes());
        }
    }

    #[test]
    fn separators_are_escaped() {
        let mut out = Vec::new();
        write_text("\u{2028}\u{85}\0\"\\", &mut out);
        assert_eq!(out, b"\"\\u2028\\u0085\\u0000\\\"\\\\\"");
    }
}
