//! Rows of an answer, and their messages.

use crate::observe::harmless;
use crate::protocol::backend::message;
use std::time::SystemTime;

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// `text`
    Text,
    /// `int4`
    Int4,
    /// `int8`
    Int8,
    /// `numeric`
    Numeric,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// None.
    Null,
    /// Of a column of texts.
    Text(String),
    /// Of another.
    Number(i64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

/// `YYYY-MM-DD HH:MM:SS UTC`
impl From<SystemTime> for Value {
    fn from(time: SystemTime) -> Self {
        let shown = humantime::format_rfc3339_seconds(time).to_string();
        Self::Text(shown.replace('T', " ").replace('Z', " UTC"))
    }
}

/// Rows.
#[derive(Debug)]
pub struct Table {
    /// Names and types.
    pub columns: Vec<(&'static str, Type)>,
    /// As many values as columns in each.
    pub rows: Vec<Vec<Value>>,
}

impl Table {
    /// A table of these columns, as `name:t` for texts, `i` for int4, `q` for int8 and
    /// `n` for numeric.
    #[must_use]
    pub fn new(columns: &'static str) -> Self {
        let columns = columns.split_whitespace().map(|column| {
            let (name, kind) = column.split_once(':').unwrap_or((column, "t"));
            let kind = match kind {
                "i" => Type::Int4,
                "q" => Type::Int8,
                "n" => Type::Numeric,
                _ => Type::Text,
            };
            (name, kind)
        });
        Self {
            columns: columns.collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn row(&mut self, values: impl IntoIterator<Item = Value>) {
        self.rows.push(values.into_iter().collect());
    }

    /// Appends the RowDescription.
    pub fn describe(&self, out: &mut Vec<u8>, formats: &Formats) {
        let mut body = count(self.columns.len()).to_vec();
        for (n, (name, kind)) in self.columns.iter().enumerate() {
            body.extend_from_slice(name.as_bytes());
            body.extend_from_slice(&[0; 7]);
            let (oid, len): (u32, i16) = match kind {
                Type::Text => (25, -1),
                Type::Int4 => (23, 4),
                Type::Int8 => (20, 8),
                Type::Numeric => (1700, -1),
            };
            body.extend_from_slice(&oid.to_be_bytes());
            body.extend_from_slice(&len.to_be_bytes());
            body.extend_from_slice(&(-1_i32).to_be_bytes());
            body.extend_from_slice(&u16::from(formats.is_binary(n)).to_be_bytes());
        }
        message(out, b'T', &body);
    }

    /// Appends a DataRow for each row.
    pub fn write(&self, out: &mut Vec<u8>, formats: &Formats) {
        for row in &self.rows {
            let mut body = count(self.columns.len()).to_vec();
            for (n, (value, (_, kind))) in row.iter().zip(&self.columns).enumerate() {
                match encode(value, *kind, formats.is_binary(n)) {
                    None => body.extend_from_slice(&(-1_i32).to_be_bytes()),
                    Some(bytes) => {
                        let len = i32::try_from(bytes.len()).unwrap_or(0);
                        body.extend_from_slice(&len.to_be_bytes());
                        body.extend_from_slice(&bytes);
                    }
                }
            }
            message(out, b'D', &body);
        }
    }
}

/// The formats that a client wants columns in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Formats(Vec<bool>);

impl Formats {
    /// Those at the end of a Bind.
    pub fn new(binary: impl IntoIterator<Item = bool>) -> Self {
        Self(binary.into_iter().collect())
    }

    fn is_binary(&self, column: usize) -> bool {
        match &*self.0 {
            [one] => *one,
            all => all.get(column).copied().unwrap_or(false),
        }
    }
}

fn count(n: usize) -> [u8; 2] {
    u16::try_from(n).unwrap_or(0).to_be_bytes()
}

fn encode(value: &Value, kind: Type, binary: bool) -> Option<Vec<u8>> {
    let number = match value {
        Value::Null => return None,
        Value::Text(text) => return Some(harmless(text).into_owned().into_bytes()),
        Value::Number(number) => *number,
    };
    Some(match (binary, kind) {
        (true, Type::Int4) => i32::try_from(number)
            .unwrap_or(i32::MAX)
            .to_be_bytes()
            .to_vec(),
        (true, Type::Int8) => number.to_be_bytes().to_vec(),
        (true, Type::Numeric) => numeric(number),
        (false, Type::Int4) => i32::try_from(number)
            .unwrap_or(i32::MAX)
            .to_string()
            .into_bytes(),
        _ => number.to_string().into_bytes(),
    })
}

/// An integer as `numeric_send` writes it: digits to the base 10,000.
fn numeric(number: i64) -> Vec<u8> {
    let mut digits = Vec::new();
    let mut rest = number.unsigned_abs();
    while rest > 0 {
        digits.push(u16::try_from(rest % 10_000).unwrap_or(0));
        rest /= 10_000;
    }
    digits.reverse();
    let len = u16::try_from(digits.len()).unwrap_or(0);
    let sign: u16 = if number < 0 { 0x4000 } else { 0 };
    let head = [len, len.saturating_sub(1), sign, 0];
    head.iter()
        .chain(&digits)
        .flat_map(|n| n.to_be_bytes())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_postgresql_does() {
        assert_eq!(numeric(0), [0; 8]);
        let expected = [0, 2, 0, 1, 0, 0, 0, 0, 0, 12, 0x0d, 0x80];
        assert_eq!(numeric(123_456), expected);
        let time = SystemTime::UNIX_EPOCH;
        assert_eq!(Value::from(time), Value::from("1970-01-01 00:00:00 UTC"));
    }
}
